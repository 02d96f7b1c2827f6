//! Notifications on the providers' schedules.

use super::{MINUTE, World};
use crate::Attempt;

/// Seconds between the attempts.
fn gaps(attempts: &[Attempt]) -> Vec<i64> {
    attempts.windows(2).map(|pair| (pair[1].at - pair[0].at).num_seconds()).collect()
}

#[tokio::test]
async fn unheard_notifications_are_repeated_as_the_provider_does() {
    let wechat =
        vec![15, 15, 30, 180, 600, 1200, 1800, 1800, 1800, 3600, 10800, 10800, 10800, 21600, 21600];
    let cases = [
        ("wechat", wechat.clone()),
        ("wechat v2", wechat),
        ("alipay", vec![240, 600, 600, 3600, 7200, 21600, 54000]),
        ("unionpay", vec![60, 120, 240, 300]),
    ];
    for (name, expected) in cases {
        let world = World::start().await;
        world.shop.refuse(usize::MAX);
        let number = "20261124000001";
        match name {
            "wechat" => {
                let order = world.v3_order(number, 888);
                world.v3("POST", "/v3/pay/transactions/native", order).await;
            }
            "wechat v2" => {
                world.v2("/pay/unifiedorder", world.v2_order(number, "888")).await;
            }
            "alipay" => {
                let order = World::alipay_order(number, "8.88");
                world.alipay("alipay.trade.precreate", order).await;
            }
            _ => {
                let order = world.unionpay_order(number, "888");
                world.unionpay("/gateway/api/appTransReq.do", order).await;
            }
        }
        world.sim.approve(number).unwrap();
        world.sim.advance(MINUTE * 60 * 48).await.unwrap();
        let attempts = world.sim.notifies();
        assert_eq!(gaps(&attempts), expected, "{name}");
        assert_eq!(attempts.len(), world.shop.heard().len(), "{name}");
        let events: std::collections::BTreeSet<_> =
            attempts.iter().map(|attempt| &attempt.event).collect();
        assert_eq!(events.len(), 1, "{name}: one event, whatever the attempt");
        assert!(attempts.iter().all(|attempt| !attempt.accepted), "{name}");
    }
}

#[tokio::test]
async fn an_acknowledgement_ends_the_repeats_and_every_attempt_is_signed_anew() {
    let world = World::start().await;
    world.shop.refuse(2);
    let order = world.v3_order("20261124000001", 888);
    world.v3("POST", "/v3/pay/transactions/native", order).await;
    world.sim.approve("20261124000001").unwrap();
    world.sim.advance(MINUTE * 60 * 48).await.unwrap();
    let attempts = world.sim.notifies();
    assert_eq!(gaps(&attempts), [15, 15]);
    assert!(attempts[2].accepted);
    let heard = world.shop.heard();
    let header = |n: usize, name: &str| heard[n].headers[name].clone();
    assert_ne!(header(0, "wechatpay-nonce"), header(1, "wechatpay-nonce"));
    assert_ne!(header(0, "wechatpay-timestamp"), header(1, "wechatpay-timestamp"));
    assert_ne!(
        header(0, "wechatpay-serial"),
        header(1, "wechatpay-serial"),
        "certificate and public key take turns"
    );
}

#[tokio::test]
async fn only_the_exact_word_satisfies_alipay() {
    let world = World::start().await;
    let order = World::alipay_order("20261124000001", "8.88");
    let mut wrong = crate::scenarios::fields([("notify_url", world.shop.url("v2").as_str())]);
    wrong.extend(crate::scenarios::Fields::new());
    let body = world.alipay_request("alipay.trade.precreate", &order, wrong);
    world.post("/gateway.do", super::shop::FORM, body).await.unwrap();
    world.sim.approve("20261124000001").unwrap();
    world.sim.settled().await;
    assert!(!world.sim.notifies()[0].accepted, "an XML answer is none");
}
