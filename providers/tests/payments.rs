//! The conformance suite of payment providers: what every one of them promises, over real sockets.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

mod support;

use std::time::Duration;

use providers::payment::{
    Call, Gateway, Gateways, News, NoticeAnswer, NotifyError, Payer, ProviderError, RawNotify,
    RefundState, TradeState,
};
use reqwest::header::HeaderMap;
use schemas::Fen;

use self::support::{
    Fake, Reply, Seen,
    desk::{Desk, FEN, KEY, REFUND_FEN, Story, order, refund_order, refund_ref, trade},
    desks::{PAYER, all},
};

/// A provider that always tells `story`, and its account.
async fn telling(desk: Box<dyn Desk>, story: Story) -> (Fake, Gateway, &'static str) {
    let name = desk.name();
    let desk: std::sync::Arc<dyn Desk> = desk.into();
    let fake = Fake::start({
        let desk = std::sync::Arc::clone(&desk);
        move |request| desk.answer(story, request)
    })
    .await;
    let gateway = desk.gateway(&fake.url);
    (fake, gateway, name)
}

#[tokio::test]
async fn a_trade_is_made_under_the_callers_number() {
    for desk in all() {
        let (scene, presentation) = desk.asked_scene();
        let (fake, gateway, name) = telling(desk, Story::Created).await;
        let mut call = Call::default();
        let created = gateway.create(&order(scene, presentation), &mut call).await;

        let created = created.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(created.code.is_some() || created.reference.is_some(), "{name}");
        let seen = fake.seen();
        assert_eq!(seen.len(), 1, "{name}");
        assert!(seen[0].body.contains(KEY), "{name}");
        assert_eq!(call.trail.exchanges.len(), 1, "{name}");
    }
}

#[tokio::test]
async fn a_query_tells_how_the_trade_stands() {
    for (story, expected) in
        [(Story::NotPaid, "not paid"), (Story::Missing, "not found"), (Story::Paid, "paid")]
    {
        for desk in all() {
            let (_fake, gateway, name) = telling(desk, story).await;
            let state = gateway.query(&trade(), &mut Call::default()).await;
            let told = match state.unwrap_or_else(|error| panic!("{name}: {error}")) {
                TradeState::NotPaid => "not paid",
                TradeState::NotFound => "not found",
                TradeState::Paid(payment) => {
                    assert_eq!(payment.amount.get(), FEN, "{name}");
                    assert!(!payment.transaction_id.is_empty(), "{name}");
                    let payer = payment.payer.as_ref().map(Payer::expose);
                    assert!(payer.is_none_or(|payer| payer == PAYER), "{name}");
                    "paid"
                }
                other => panic!("{name}: {other:?}"),
            };
            assert_eq!(told, expected, "{name}");
        }
    }
}

#[tokio::test]
async fn a_refund_is_accepted_and_then_asked_for() {
    for desk in all() {
        let (_fake, gateway, name) = telling(desk, Story::RefundTaken).await;
        let refund = gateway.refund(&refund_order(), &mut Call::default()).await;
        let refund = refund.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(refund.state, RefundState::Processing, "{name}");
    }
    for desk in all() {
        let (_fake, gateway, name) = telling(desk, Story::RefundDone).await;
        let refund = gateway.query_refund(&refund_ref(), &mut Call::default()).await;
        let refund = refund.unwrap_or_else(|error| panic!("{name}: {error}"));
        let RefundState::Done { amount, .. } = refund.state else { panic!("{name}: {refund:?}") };
        assert_eq!(amount.map(Fen::get), Some(REFUND_FEN), "{name}");
    }
    for desk in all() {
        let (_fake, gateway, name) = telling(desk, Story::RefundMissing).await;
        let refund = gateway.query_refund(&refund_ref(), &mut Call::default()).await;
        assert_eq!(refund.unwrap().state, RefundState::NotFound, "{name}");
    }
}

#[tokio::test]
async fn a_passing_trouble_is_told_from_a_refusal() {
    for desk in all() {
        let (_fake, gateway, name) = telling(desk, Story::NotEnough).await;
        let refused = gateway.refund(&refund_order(), &mut Call::default()).await;
        assert!(matches!(refused, Err(ProviderError::NotNow { .. })), "{name}: {refused:?}");
    }
}

/// What goes wrong, by name.
type Fault = (&'static str, fn() -> Reply);

#[tokio::test]
async fn an_answer_that_cannot_be_believed_leaves_the_outcome_unknown() {
    let faults: [Fault; 8] = [
        ("dropped", || Reply::Drop),
        ("late", || Reply::Hang),
        ("broken", || Reply::text(502, "<html>Bad Gateway</html>")),
        ("garbage", || Reply::text(200, "\u{0}garbage")),
        ("empty", || Reply::text(200, "")),
        ("too large", || Reply::text(200, &"x".repeat(2_000_000))),
        ("redirect", || Reply::Answer {
            status: 307,
            headers: vec![("location".into(), "http://127.0.0.1:1/".into())],
            body: Vec::new(),
        }),
        ("html error", || Reply::text(200, "<html><body>error</body></html>")),
    ];
    for (fault, reply) in faults {
        for desk in all() {
            let name = desk.name();
            let fake = Fake::start(move |_| reply()).await;
            let gateway = desk.gateway(&fake.url);
            let mut call = Call { timeout: Duration::from_millis(300), ..Call::default() };
            let refunded = gateway.refund(&refund_order(), &mut call).await;

            let unknown = matches!(refunded, Err(ProviderError::OutcomeUnknown(_)));
            assert!(unknown, "{name}, {fault}: {refunded:?}");
            assert_eq!(fake.seen().len(), 1, "{name}, {fault}: sent again");
            assert_ne!(call.trail.exchanges[0].ended, "abandoned", "{name}, {fault}");
        }
    }
}

#[tokio::test]
async fn forged_and_foreign_answers_are_not_believed() {
    for story in [Story::Forged, Story::OtherTrade] {
        for desk in all() {
            let (_fake, gateway, name) = telling(desk, story).await;
            let state = gateway.query(&trade(), &mut Call::default()).await;
            let unknown = matches!(state, Err(ProviderError::OutcomeUnknown(_)));
            assert!(unknown, "{name}, {story:?}: {state:?}");
        }
    }
}

#[tokio::test]
async fn what_never_left_is_said_so_and_the_circuit_opens() {
    for desk in all() {
        let name = desk.name();
        // Nobody listens there any more.
        let gone = {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            format!("http://{}", listener.local_addr().unwrap())
        };
        let gateway = desk.gateway(&gone);
        let mut reasons = Vec::new();
        for _ in 0..12 {
            let refunded = gateway.refund(&refund_order(), &mut Call::default()).await;
            match refunded {
                Err(ProviderError::NotSent { reason, .. }) => reasons.push(reason),
                other => panic!("{name}: {other:?}"),
            }
        }
        assert_eq!(reasons[0], "unreachable", "{name}");
        assert_eq!(reasons[11], "circuit_open", "{name}");
    }
}

#[tokio::test]
async fn bills_that_cannot_be_fetched_hold_up_no_payment() {
    for desk in all() {
        let (scene, presentation) = desk.asked_scene();
        let name = desk.name();
        let desk: std::sync::Arc<dyn Desk> = desk.into();
        let fake = Fake::start({
            let desk = std::sync::Arc::clone(&desk);
            move |request| {
                if is_about_a_bill(request) {
                    Reply::Drop
                } else {
                    desk.answer(Story::Created, request)
                }
            }
        })
        .await;
        let gateway = desk.gateway(&fake.url);
        let day = "2026-11-24".parse().unwrap();
        let mut last = None;
        for _ in 0..12 {
            last = gateway.bill(day, &mut Call::default()).await.err();
        }
        let stopped = matches!(last, Some(ProviderError::NotSent { reason: "circuit_open", .. }));
        assert!(stopped, "{name}: {last:?}");

        let created = gateway.create(&order(scene, presentation), &mut Call::default()).await;
        assert!(created.is_ok(), "{name}: {created:?}");
    }
}

fn is_about_a_bill(request: &Seen) -> bool {
    let Seen { path, body, .. } = request;
    path.contains("bill") || body.contains("dataservice.bill") || body.contains("txnType=76")
}

#[tokio::test]
async fn a_slow_provider_does_not_gather_calls() {
    for desk in all() {
        let name = desk.name();
        let fake = Fake::start(|_| Reply::Hang).await;
        let mut settings = desk.settings(&fake.url);
        let reaches = settings.wechat_pay.iter_mut().map(|one| &mut one.reach);
        let reaches = reaches.chain(settings.alipay.iter_mut().map(|one| &mut one.reach));
        for reach in reaches.chain(settings.unionpay.iter_mut().map(|one| &mut one.reach)) {
            (reach.concurrency, reach.queue_ms) = (1, 20);
        }
        let gateways = Gateways::open(&settings).unwrap();
        let gateway = gateways.get(desk.channel(), "shop").unwrap().clone();
        let ask = || {
            let gateway = gateway.clone();
            tokio::spawn(async move {
                let mut call = Call { timeout: Duration::from_secs(1), ..Call::default() };
                gateway.query(&trade(), &mut call).await
            })
        };
        let mut ended = Vec::new();
        for asked in [ask(), ask(), ask()] {
            ended.push(asked.await.unwrap());
        }
        let busy = |one: &&Result<TradeState, ProviderError>| {
            matches!(one, Err(ProviderError::NotSent { reason: "busy", .. }))
        };
        assert_eq!(ended.iter().filter(busy).count(), 2, "{name}: {ended:?}");
        assert_eq!(fake.seen().len(), 1, "{name}");
    }
}

#[tokio::test]
async fn a_notice_is_believed_once_it_is_verified() {
    for desk in all() {
        let name = desk.name();
        let gateway = desk.gateway("http://127.0.0.1:9");
        let (headers, body) = desk.notice(None);
        let raw = RawNotify { headers: &headers, body: &body };
        let notice = gateway.read_notify(raw).await.unwrap_or_else(|e| panic!("{name}: {e}"));

        let News::Trade { key, state: TradeState::Paid(payment) } = &notice.news else {
            panic!("{name}: {notice:?}")
        };
        assert_eq!((key.as_str(), payment.amount.get()), (KEY, FEN), "{name}");
        assert!((1..=64).contains(&notice.id.len()), "{name}");
        let again = gateway.read_notify(raw).await.unwrap();
        assert_eq!(again.id, notice.id, "{name}: a repeat has another id");
        let [taken, refused] = desk.acknowledgements();
        for (answer, expected) in [(NoticeAnswer::Taken, taken), (NoticeAnswer::Refused, refused)] {
            let reply = gateway.acknowledge(raw, answer);
            assert_eq!((reply.status, reply.body), expected, "{name}");
        }
    }
}

#[tokio::test]
async fn notices_that_are_not_genuine_are_refused() {
    for desk in all() {
        let name = desk.name();
        let gateway = desk.gateway("http://127.0.0.1:9");
        let (headers, body) = desk.notice(None);
        let text = String::from_utf8(body.clone()).unwrap();
        let tampered = [
            text.replace("8888", "1").replace("88.88", "0.01"),
            text.replace(KEY, "20261124000000000002"),
            text.replacen("sign", "sing", 1).replacen("ciphertext\":\"", "ciphertext\":\"AAAA", 1),
        ];
        for forged in tampered.iter().filter(|forged| **forged != text) {
            let raw = RawNotify { headers: &headers, body: forged.as_bytes() };
            let judged = gateway.read_notify(raw).await;
            assert!(judged.is_err(), "{name}: {forged}");
        }
        let none = HeaderMap::new();
        let rubbish: [&[u8]; 5] = [
            b"",
            b"<!DOCTYPE x [<!ENTITY e SYSTEM \"file:///etc/passwd\">]><xml><a>&e;</a></xml>",
            b"{\"id\":\"EV-1\"}",
            b"a=1&a=1",
            &vec![b'x'; 100_000],
        ];
        for body in rubbish {
            let judged = gateway.read_notify(RawNotify { headers: &none, body }).await;
            assert!(judged.is_err(), "{name}");
        }
        let (headers, body) = desk.notice(Some("1999999999"));
        let judged = gateway.read_notify(RawNotify { headers: &headers, body: &body }).await;
        assert_eq!(judged, Err(NotifyError::Foreign), "{name}");
    }
}

#[tokio::test]
async fn nothing_secret_is_shown() {
    for desk in all() {
        let secrets = desk.secrets();
        let (_fake, gateway, name) = telling(desk, Story::Paid).await;
        let mut call = Call::default();
        let state = gateway.query(&trade(), &mut call).await;
        let refused = gateway.refund(&refund_order(), &mut call).await;
        let shown = format!("{:?} {state:?} {refused:?} {gateway:?}", call.trail);

        assert!(shown.contains(KEY), "{name}: the trail says nothing");
        for secret in secrets {
            assert!(!shown.contains(&secret), "{name}: {secret}");
        }
        assert!(!shown.contains("BEGIN"), "{name}");
    }
}
