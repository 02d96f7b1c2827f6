#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::{collections::HashMap, time::Duration};

use schemas::{
    BillSn, BookDay, Currency, Fen, JobId, Scene, Timestamp, UserId,
    bill::{NewBill, Paid, PaymentNews, RefundNews, Source, Way},
};

use super::*;

const PAID: i64 = 100_000;
const BACK: i64 = 2_500;

fn day() -> BookDay {
    "2026-11-22".parse().unwrap()
}

fn noon() -> Timestamp {
    "2026-11-22T12:00:00+08:00".parse().unwrap()
}

fn terms(follows: bool) -> Terms {
    Terms::new(Channel::WeChatPay, day(), HashMap::from([("shop".to_owned(), Some(60))]), follows)
}

fn open() -> BillRecord {
    let new = NewBill {
        owner: UserId::new(7).unwrap(),
        amount: Fen::new(PAID).unwrap(),
        currency: Currency::Cny,
        subject: "tea".to_owned(),
        client_ref: None,
        expires_at: noon() + Duration::from_hours(2),
    };
    let bill = BillRecord::open(new, BillSn::generate(noon()), noon());
    let way = Way {
        channel: Channel::WeChatPay,
        scene: Scene::Native,
        code: true,
        app: "shop".to_owned(),
        account: None,
        card: None,
    };
    bill.begin_attempt(&way, 0, noon()).unwrap()
}

fn closed() -> BillRecord {
    open().close_attempt(1, Source::Query, "job", noon()).unwrap()
}

fn refused() -> BillRecord {
    open().refuse_attempt(1, "NO", "job", noon()).unwrap()
}

fn paid() -> BillRecord {
    let payment =
        Paid { transaction_id: "4200".to_owned(), amount: Fen::new(PAID).unwrap(), at: noon() };
    match open().pay(1, &payment, Source::Notify, "job", noon()).unwrap() {
        PaymentNews::Counted(bill) => bill,
        other => panic!("{other:?}"),
    }
}

fn with_refund(state: RefundState) -> BillRecord {
    let amount = Fen::new(BACK).unwrap();
    let bill = paid().begin_refund(JobId::generate(), amount, "r", noon()).unwrap();
    if state == RefundState::Sent {
        return bill;
    }
    match bill.hear_of_refund(1, state, Some("5000"), Source::Query, "job", noon()).unwrap() {
        RefundNews::Changed(bill) => bill,
        other => panic!("{other:?}"),
    }
}

fn payment_line(bill: &BillRecord) -> BillLine {
    BillLine {
        kind: BillLineKind::Payment,
        key: bill.attempts[0].key.to_string(),
        refund_key: None,
        transaction_id: "4200".to_owned(),
        refund_id: None,
        amount_fen: PAID,
        fee_thousandths: Some(PAID * 6),
        state: "SUCCESS".to_owned(),
        at: Some(noon()),
    }
}

fn refund_line(bill: &BillRecord, state: &str) -> BillLine {
    BillLine {
        kind: BillLineKind::Refund,
        refund_key: bill.refunds.first().map(|refund| refund.key.to_string()),
        refund_id: Some("5000".to_owned()),
        amount_fen: BACK,
        fee_thousandths: Some(-BACK * 6),
        state: state.to_owned(),
        ..payment_line(bill)
    }
}

fn class(verdict: &Verdict) -> Option<DifferenceClass> {
    verdict.difference.as_ref().map(|difference| difference.class)
}

#[test]
fn a_payment_is_judged_by_what_both_sides_know() {
    use DifferenceClass::{Amount, Fee, MissingHere, State};
    let (open, closed, refused, paid) = (open(), closed(), refused(), paid());
    let line = payment_line(&paid);
    let with = |change: fn(&mut BillLine)| {
        let mut line = line.clone();
        change(&mut line);
        line
    };
    let mine = payment_line(&open);
    let other = with(|line| line.key.replace_range(..4, "1999"));
    let cases = [
        ("alike", line.clone(), Some(&paid), None),
        ("no bill", line.clone(), None, Some(MissingHere)),
        ("no attempt of that number", other, Some(&paid), Some(MissingHere)),
        ("open here", mine, Some(&open), Some(State)),
        ("closed here", payment_line(&closed), Some(&closed), Some(State)),
        ("refused here", payment_line(&refused), Some(&refused), Some(State)),
        ("other sum", with(|line| line.amount_fen += 1), Some(&paid), Some(Amount)),
        ("other payment", with(|line| line.transaction_id.push('1')), Some(&paid), Some(State)),
        ("fee", with(|line| line.fee_thousandths = Some(601_000)), Some(&paid), Some(Fee)),
        (
            "fee given back",
            with(|line| line.fee_thousandths = Some(-600_000)),
            Some(&paid),
            Some(Fee),
        ),
        ("rounded fee", with(|line| line.fee_thousandths = Some(600_999)), Some(&paid), None),
        ("no word of a fee", with(|line| line.fee_thousandths = None), Some(&paid), None),
    ];
    for (name, line, bill, expected) in cases {
        let verdict = judge(&line, bill, &terms(true));
        assert_eq!(class(&verdict), expected, "{name}");
        let asks = expected == Some(State) && bill.is_some_and(|bill| bill.payments.is_empty());
        assert_eq!(verdict.ask.is_some(), asks, "{name}");
    }
    let verdict = judge(&line, Some(&paid), &terms(true));
    assert_eq!(verdict.listed, Some(Listed::Payment(1)));
    let foreign = Terms::new(Channel::WeChatPay, day(), HashMap::new(), true);
    assert_eq!(class(&judge(&line, Some(&paid), &foreign)), Some(MissingHere));
}

#[test]
fn a_refund_may_have_gone_on_since_its_file_was_made() {
    use DifferenceClass::State;
    let cases = [
        ("done", RefundState::Succeeded, "SUCCESS", None, false),
        ("done since", RefundState::Succeeded, "PROCESSING", None, false),
        ("under way", RefundState::Processing, "PROCESSING", None, false),
        ("stuck", RefundState::Abnormal, "CHANGE", None, false),
        ("refused", RefundState::Refused, "REFUNDCLOSE", None, false),
        ("not heard of yet", RefundState::Processing, "SUCCESS", Some(State), true),
        ("no answer yet", RefundState::Sent, "CLOSED", Some(State), true),
        ("refused here", RefundState::Refused, "SUCCESS", Some(State), true),
        ("going on there", RefundState::Refused, "PROCESSING", Some(State), false),
        ("failed there", RefundState::Succeeded, "CLOSED", Some(State), false),
    ];
    for (name, ours, theirs, expected, asks) in cases {
        let bill = with_refund(ours);
        let verdict = judge(&refund_line(&bill, theirs), Some(&bill), &terms(true));
        assert_eq!(class(&verdict), expected, "{name}");
        assert_eq!(verdict.ask.is_some(), asks, "{name}");
        assert_eq!(verdict.listed, Some(Listed::Refund(1)), "{name}");
    }
    let bill = with_refund(RefundState::Succeeded);
    let line = BillLine { amount_fen: BACK + 1, ..refund_line(&bill, "SUCCESS") };
    assert_eq!(class(&judge(&line, Some(&bill), &terms(true))), Some(DifferenceClass::Amount));
}

#[test]
fn the_fee_comes_back_with_a_refund() {
    let agreed = -BACK * 6;
    let cases = [
        ("in proportion", "SUCCESS", Some(agreed), None),
        ("rounded", "SUCCESS", Some(agreed + 999), None),
        ("a fen less", "SUCCESS", Some(agreed + 1_000), Some(agreed)),
        ("kept", "SUCCESS", Some(0), Some(agreed)),
        ("taken again", "SUCCESS", Some(-agreed), Some(agreed)),
        ("no word of it", "SUCCESS", None, None),
        ("not paid back yet", "PROCESSING", Some(0), None),
    ];
    for (name, state, fee, expected) in cases {
        let bill = with_refund(RefundState::Succeeded);
        let line = BillLine { fee_thousandths: fee, ..refund_line(&bill, state) };
        let verdict = judge(&line, Some(&bill), &terms(true));

        assert_eq!(class(&verdict), expected.map(|_| DifferenceClass::Fee), "{name}");
        let ours = verdict.difference.and_then(|found| found.ours);
        assert_eq!(ours.and_then(|side| side.fee_thousandths), expected, "{name}");
        assert_eq!((verdict.listed, verdict.ask), (Some(Listed::Refund(1)), None), "{name}");
    }
    let (bill, shop) = (with_refund(RefundState::Succeeded), "shop".to_owned());
    let line = BillLine { fee_thousandths: Some(0), ..refund_line(&bill, "SUCCESS") };
    let apps = HashMap::from([(shop, None)]);
    let unagreed = Terms::new(Channel::WeChatPay, day(), apps, true);
    assert_eq!(class(&judge(&line, Some(&bill), &unagreed)), None, "nothing was agreed");
}

#[test]
fn what_the_file_has_not_is_missing_unless_another_day_had_it() {
    let bill = with_refund(RefundState::Succeeded);
    let found = |bill: &BillRecord, terms: &Terms, file: &HashSet<Name>| {
        let all = unlisted(bill, terms, file);
        all.iter().map(|(name, _)| name.0).collect::<Vec<_>>()
    };
    let both = [Movement::Payment, Movement::Refund];
    let names =
        [name_of(&payment_line(&bill)).unwrap(), name_of(&refund_line(&bill, "SUCCESS")).unwrap()];
    let empty = HashSet::new();

    assert_eq!(found(&bill, &terms(true), &empty), both);
    assert_eq!(found(&bill, &terms(false), &empty), both);
    assert_eq!(found(&bill, &terms(true), &HashSet::from(names)), []);
    let heard = &unlisted(&bill, &terms(true), &empty)[0].1.heard;
    assert_eq!(*heard, Some(Source::Notify));

    let listed = [Listed::Payment(1), Listed::Refund(1)];
    let same = bill.clone().list(day(), &listed, noon()).unwrap();
    assert_eq!(found(&same, &terms(true), &empty), both, "the file was replaced");
    let before = bill.clone().list(day().before(), &listed, noon()).unwrap();
    assert_eq!(found(&before, &terms(true), &empty), []);

    let mut late = bill.clone();
    late.payments[0].paid_at = day().ends(Channel::WeChatPay) - Duration::from_mins(5);
    assert_eq!(found(&late, &terms(true), &empty), [Movement::Refund], "judged tomorrow");
    let mut early = bill;
    let before = day().begins(Channel::WeChatPay) - Duration::from_mins(5);
    early.payments[0].paid_at = before;
    early.refunds[0].sent_at = Some(before);
    assert_eq!(found(&early, &terms(true), &empty), both);
    assert_eq!(found(&early, &terms(false), &empty), [], "nobody knows what yesterday listed");
}
