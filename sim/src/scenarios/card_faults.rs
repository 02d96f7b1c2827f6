//! Faults of calls about cards, and of their notifications.

use super::{
    MINUTE, World,
    shop::FORM,
    unionpay::is_genuine,
    wallet::{BACK, DEBIT, DECLINED, notice},
};
use crate::{Act, Fault, http::write_form};

const PAY: &str = "unionpay.back.card_pay";

#[tokio::test]
async fn a_payment_whose_answer_is_lost_moved_money_once() {
    let cases = [
        ("dropped before", Act::DropBefore, false),
        ("dropped after", Act::DropAfter, true),
        ("late", Act::Late { ms: 1 }, true),
        ("error before", Act::ErrorBefore, false),
        ("error after", Act::ErrorAfter, true),
        ("wrong signature", Act::BadSignature, true),
        ("unsigned", Act::Unsigned, true),
        ("garbage", Act::Garbage, true),
        ("throttled", Act::Throttle, false),
        ("pending", Act::Pending, true),
        ("defective", Act::Defective, true),
        ("rotated", Act::RotateKeys, true),
        ("early notice", Act::PayEarly, true),
    ];
    let world = World::start().await;
    for (n, (name, act, effect)) in cases.into_iter().enumerate() {
        let order = format!("202611240000{n:02}");
        world.back(&world.card_text(&order, &DEBIT, "100")).await;
        world.sim.fault(Fault::once(PAY, act.clone())).unwrap();
        let payment = world.card_pay(&order, &DEBIT, "100");
        let request = world.unionpay_request(payment.clone());
        let body = write_form(request.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let answer = world.post(BACK, FORM, body).await;
        let key = format!("{order}@{}", payment["txnTime"]);
        assert_eq!(world.sim.ledger().of_key(&key).count(), usize::from(effect), "{name}");
        let code = match answer {
            Ok(answer) => super::shop::read_unionpay(&answer.text()).remove("respCode"),
            Err(_) => None,
        };
        let expected = match act {
            Act::Late { .. }
            | Act::BadSignature
            | Act::Unsigned
            | Act::RotateKeys
            | Act::PayEarly => Some("00"),
            Act::Throttle => Some("37"),
            Act::Pending => Some("05"),
            Act::Defective => Some("A6"),
            _ => None,
        };
        assert_eq!(code.as_deref(), expected, "{name}");

        // What the merchant does then: the same again moves nothing more, and a query knows.
        let again = world.back(&payment).await;
        assert_eq!(again["respCode"], if effect { "12" } else { "00" }, "{name}: {again:?}");
        assert_eq!(world.told(&payment).await["origRespCode"], "00", "{name}");
        assert_eq!(world.sim.ledger().of_key(&key).count(), 1, "{name}");
    }
    assert!(world.sim.faults().iter().all(|script| script.applied == 1));
    assert_eq!(world.sums(), (1300, 0));
}

#[tokio::test]
async fn the_other_calls_have_names_for_scripts() {
    let world = World::start().await;
    for name in ["card_query", "card_code", "card_open", "card_pay"] {
        world.sim.fault(Fault::once(format!("unionpay.back.{name}"), Act::Throttle)).unwrap();
    }
    let text = world.card_text("20261124000001", &DEBIT, "100");
    let requests = [
        world.card("78", "00", "20261124000001", &DEBIT),
        text.clone(),
        world.card("79", "00", "20261124000001", &DEBIT),
        world.card_pay("20261124000001", &DEBIT, "100"),
    ];
    for request in requests {
        assert_eq!(world.back(&request).await["respCode"], "37", "{request:?}");
    }
    assert!(world.sim.faults().iter().all(|script| script.applied == 1));
    assert_eq!(world.back(&text).await["respCode"], "00");

    // The rare path is the same call.
    world.sim.clear_faults();
    world.sim.fault(Fault::times(2, "unionpay.back.card_*", Act::Throttle)).unwrap();
    for request in [text, world.card("78", "00", "20261124000001", &DEBIT)] {
        let answer = world.unionpay("/gateway/api/cardTransReq.do", request).await;
        assert_eq!(answer["respCode"], "37");
    }
}

#[tokio::test]
async fn notices_of_cards_are_lost_doubled_defective_and_forged() {
    let world = World::start().await;
    let cases = [
        ("lost", Act::Lose, vec![]),
        ("doubled", Act::Duplicate { copies: 1 }, vec!["00", "00"]),
        ("defective", Act::Defective, vec!["A6"]),
        ("wrong signature", Act::BadSignature, vec!["00"]),
        ("stranger", Act::Stranger, vec!["00"]),
    ];
    for (n, (name, act, codes)) in cases.into_iter().enumerate() {
        world.sim.fault(Fault::once("unionpay.notify.pay", act.clone())).unwrap();
        let before = world.shop.heard().len();
        world.text_and_pay(&format!("202611240000{n:02}"), &DEBIT, "100").await;
        world.sim.settled().await;
        let heard: Vec<_> = world.shop.heard()[before..].iter().map(notice).collect();
        let told: Vec<_> = heard.iter().map(|told| told["respCode"].as_str()).collect();
        assert_eq!(told, codes, "{name}");
        let forged = matches!(act, Act::BadSignature | Act::Stranger);
        assert!(heard.iter().all(|told| is_genuine(&world, told) != forged), "{name}");
    }
    // Failures are repeated as successes are.
    world.shop.refuse(usize::MAX);
    let before = world.shop.heard().len();
    world.text_and_pay("20261124000009", &DECLINED, "100").await;
    world.sim.advance(MINUTE * 60).await.unwrap();
    let heard = world.shop.heard();
    assert_eq!(heard.len() - before, 5);
    assert!(heard[before..].iter().all(|heard| notice(heard)["respCode"] == "60"));
    assert_eq!(world.sums(), (500, 0));
}
