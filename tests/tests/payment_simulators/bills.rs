//! What the gateways read out of the simulators' bill files.

use std::time::Duration;

use providers::payment::{BillLineKind, Call, DayBill};
use sim::{Clock, Provider};

use crate::shop::{Shop, WAYS, Way};

#[tokio::test]
async fn bills_list_what_was_paid_and_returned() {
    // WeChat Pay's JSON protocol refuses requests from another day, so it is not here; its file has
    // the same form.
    for way in [Way::WeChatV2, Way::AlipayPublicKey, Way::UnionPayCertificate] {
        println!("{way:?}");
        let begin = chrono::Utc::now() - Duration::from_hours(48);
        let shop = Shop::with(way, Clock::manual(begin)).await;
        let order = shop.paid("20261124000000000001").await;
        let refund = shop.refund_order(&order, "20261124000000000001R1", 888);
        shop.gateway.refund(&refund, &mut Call::default()).await.unwrap();
        shop.sim.advance(Duration::from_hours(48)).await.unwrap();

        // Beijing is 8 hours ahead, and UnionPay's day begins an hour early.
        let ahead = if way.provider() == Provider::UnionPay { 9 } else { 8 };
        let day = (begin + Duration::from_hours(ahead)).date_naive();
        let mut call = Call::default();
        let bill = shop.gateway.bill(day, &mut call).await;
        let bill = bill.unwrap_or_else(|error| panic!("{error}: {:#?}", call.trail));
        let DayBill::Lines(lines) = bill else { panic!("{bill:?}") };
        let seen: Vec<_> = lines.iter().map(|line| (line.kind, line.amount_fen)).collect();
        assert_eq!(seen, [(BillLineKind::Payment, 8_888), (BillLineKind::Refund, 888)]);
        assert_eq!(lines[0].key, order.trade.key.as_str());
        assert_eq!(lines[1].refund_key.as_deref(), Some(refund.refund.key.as_str()));
        assert_eq!(lines[0].transaction_id, lines[1].transaction_id);
    }
}

#[tokio::test]
async fn a_day_without_trades_has_no_lines() {
    for way in WAYS {
        println!("{way:?}");
        let shop = Shop::open(way).await;
        let day = (chrono::Utc::now() - Duration::from_hours(72)).date_naive();
        let mut call = Call::default();
        let bill = shop.gateway.bill(day, &mut call).await;
        let bill = bill.unwrap_or_else(|error| panic!("{error}: {:#?}", call.trail));
        let as_it_should = match way.provider() {
            // It does not say whether the day was without trades or its file is late.
            Provider::UnionPay => matches!(bill, DayBill::Absent),
            Provider::Alipay | Provider::Wechat => matches!(bill, DayBill::Empty),
        };
        assert!(as_it_should, "{way:?}: {bill:?}");
    }
}
