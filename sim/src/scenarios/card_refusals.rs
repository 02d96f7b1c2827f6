//! What is refused about cards, with which code and by which name.

use super::{
    Fields, World, fields,
    unionpay::is_genuine,
    wallet::{CREDIT, DEBIT, DECLINED, POOR, notice, packed},
};
use crate::TestCard;

/// A card that does not exist.
const UNKNOWN: TestCard = TestCard { number: "6228480402564890018", ..DEBIT };

/// What is wrong, the field that is changed, to what, the code, and the name in the answer.
type Wrong = (&'static str, &'static str, String, &'static str, &'static str);

/// Refuses a payment with each of them, and pays with the same number and code afterwards.
async fn refuses(world: &World, cases: Vec<Wrong>) {
    world.back(&world.card_text("20261124000001", &DEBIT, "888")).await;
    for (name, field, value, code, named) in cases {
        let mut payment = world.card_pay("20261124000001", &DEBIT, "888");
        payment.insert(field.to_owned(), value);
        let answer = world.back(&payment).await;
        assert_eq!(answer["respCode"], code, "{name}: {answer:?}");
        assert!(answer["respMsg"].ends_with(&format!("[{named}]")), "{name}: {answer:?}");
        assert!(is_genuine(world, &answer), "{name}: refusals are signed");
    }
    assert!(world.sim.trades().is_empty());
    let paid = world.back(&world.card_pay("20261124000001", &DEBIT, "888")).await;
    assert_eq!(paid["respCode"], "00", "number and message are still good: {paid:?}");
}

#[tokio::test]
async fn a_card_that_cannot_be_read_is_refused_by_field() {
    let world = World::start().await;
    let (sealer, next) = (world.sealer(), &world.shop.merchant.unionpay.next_encrypt_certificate);
    let seal = |text: &str| sealer.seal(text);
    let serial_hex = "382F9511DD07A5454455F023931647D38ACA85B3".to_owned();
    let cases = vec![
        ("no card", "accNo", String::new(), "13", "accNo"),
        ("a plain number", "accNo", DEBIT.number.to_owned(), "10", "accNo"),
        ("not encrypted by our key", "accNo", "AAAA".to_owned(), "10", "accNo"),
        ("a short number", "accNo", seal("621626100000"), "10", "accNo"),
        ("a long number", "accNo", seal("62162610000000000181"), "10", "accNo"),
        ("no digits", "accNo", seal("62162610000000000 18"), "10", "accNo"),
        ("no certificate", "encryptCertId", String::new(), "13", "encryptCertId"),
        ("an unknown certificate", "encryptCertId", "1".to_owned(), "10", "encryptCertId"),
        ("a serial in hex", "encryptCertId", serial_hex, "10", "encryptCertId"),
        (
            "the next one",
            "encryptCertId",
            super::wallet::Sealer::of(next).id,
            "10",
            "encryptCertId",
        ),
    ];
    refuses(&world, cases).await;
}

#[tokio::test]
async fn a_holder_who_cannot_be_read_is_refused_by_name() {
    let world = World::start().await;
    let seal = |text: &str| world.sealer().seal(text);
    let secret = |text: &str| packed(&format!("smsCode=111111&encryptedInfo={}", seal(text)));
    let plain = |text: &str| packed(&format!("smsCode=111111&{text}"));
    let cases = vec![
        ("no holder", "customerInfo", String::new(), "13", "smsCode"),
        ("no base64", "customerInfo", "{smsCode=111111}".to_owned(), "10", "customerInfo"),
        ("no group", "customerInfo", "c21zQ29kZT0xMTExMTE=".to_owned(), "10", "customerInfo"),
        ("no pairs", "customerInfo", packed("smsCode"), "10", "customerInfo"),
        ("nothing", "customerInfo", packed(""), "10", "customerInfo"),
        ("an empty value", "customerInfo", packed("smsCode="), "10", "smsCode"),
        ("twice", "customerInfo", plain("smsCode=111111"), "10", "smsCode"),
        ("braces", "customerInfo", plain("customerNm={}"), "10", "customerNm"),
        ("no code", "customerInfo", packed("customerNm=A"), "13", "smsCode"),
        ("an unknown name", "customerInfo", plain("mobile=1"), "10", "mobile"),
        ("a pin", "customerInfo", secret("pin=1"), "10", "pin"),
        ("a plain phone", "customerInfo", plain("phoneNo=13552535506"), "10", "phoneNo"),
        ("a plain cvn2", "customerInfo", plain("cvn2=123"), "10", "cvn2"),
        ("a plain month", "customerInfo", plain("expired=2311"), "10", "expired"),
        ("a hidden code", "customerInfo", secret("smsCode=111111"), "10", "smsCode"),
        ("not encrypted", "customerInfo", plain("encryptedInfo=AAAA"), "10", "encryptedInfo"),
        ("a short phone", "customerInfo", secret("phoneNo=1355253550"), "10", "phoneNo"),
        ("a long cvn2", "customerInfo", secret("cvn2=1234"), "10", "cvn2"),
        ("month and year", "customerInfo", secret("expired=1123"), "10", "expired"),
        ("no month", "customerInfo", secret("expired=2300"), "10", "expired"),
        (
            "a person of no kind",
            "customerInfo",
            plain("certifId=341126197709218366"),
            "13",
            "certifTp",
        ),
        ("an odd kind", "customerInfo", plain("certifTp=1"), "10", "certifTp"),
    ];
    refuses(&world, cases).await;
}

#[tokio::test]
async fn a_payment_that_is_not_whole_is_refused_by_field() {
    let world = World::start().await;
    let cases = vec![
        ("no channel", "channelType", String::new(), "13", "channelType"),
        ("another channel", "channelType", "09".to_owned(), "10", "channelType"),
        ("no amount", "txnAmt", String::new(), "13", "txnAmt"),
        ("an amount in yuan", "txnAmt", "8.88".to_owned(), "10", "txnAmt"),
        ("no currency", "currencyCode", String::new(), "13", "currencyCode"),
        ("a foreign currency", "currencyCode", "840".to_owned(), "10", "currencyCode"),
        ("no address", "backUrl", String::new(), "13", "backUrl"),
        ("an old time", "txnTime", "20261124100000".to_owned(), "10", "txnTime"),
        ("another business", "bizType", "000201".to_owned(), "14", "txnType"),
        ("tokens", "bizType", "000902".to_owned(), "32", "bizType"),
    ];
    refuses(&world, cases).await;
}

#[tokio::test]
async fn what_the_issuer_refuses_is_final_and_uses_the_number_up() {
    let world = World::start().await;
    let (right, phone) = ("111111", Some("13500000000"));
    // Card of the message, card that pays, amount, code, phone that is named.
    let cases = [
        ("no such card", None, UNKNOWN, "888", right, None, "61"),
        ("not opened", None, CREDIT, "888", right, None, "77"),
        ("no message", None, DEBIT, "888", right, None, "71"),
        ("a wrong code", Some(DEBIT), DEBIT, "888", "123456", None, "71"),
        ("another wrong code", Some(DEBIT), DEBIT, "888", "654321", None, "71"),
        ("no digits", Some(DEBIT), DEBIT, "888", "abc", None, "71"),
        ("another amount", Some(DEBIT), DEBIT, "887", right, None, "71"),
        ("another card", Some(POOR), DEBIT, "888", right, None, "71"),
        ("another phone", Some(DEBIT), DEBIT, "888", right, phone, "60"),
        ("no balance", Some(POOR), POOR, "888", right, None, "64"),
        ("declined", Some(DECLINED), DECLINED, "888", right, None, "60"),
    ];
    for (n, (name, texted, card, fen, code, phone, expected)) in cases.into_iter().enumerate() {
        let order = format!("202611240000{n:02}");
        if let Some(texted) = texted {
            world.back(&world.card_text(&order, &texted, "888")).await;
        }
        let mut payment = world.card_pay(&order, &card, fen);
        let secret = phone.map(|phone| ("phoneNo", phone));
        let holder = world.sealer().holder(&[("smsCode", code)], secret.as_slice());
        payment.insert("customerInfo".to_owned(), holder);
        let answer = world.back(&payment).await;
        assert_eq!(answer["respCode"], expected, "{name}: {answer:?}");
        assert!(!answer.contains_key("queryId"), "{name}: {answer:?}");

        // However right the second try is.
        let again = world.back(&world.card_pay(&order, &DEBIT, "888")).await;
        assert_eq!(again["respCode"], "12", "{name}: {again:?}");
        let text = world.back(&world.card_text(&order, &DEBIT, "888")).await;
        assert_eq!(text["respCode"], "12", "{name}: {text:?}");
        let told = world.told(&payment).await;
        assert_eq!((&*told["respCode"], &*told["origRespCode"]), ("00", expected), "{name}");
        assert_eq!((&*told["settleAmt"], &*told["bizType"]), ("0", "000301"), "{name}");
        assert!(told["accNo"].contains("****"), "{name}: {told:?}");

        world.sim.settled().await;
        let heard = world.shop.heard();
        let heard = notice(heard.last().unwrap());
        let what = (heard["orderId"].as_str(), heard["respCode"].as_str());
        assert_eq!(what, (order.as_str(), expected), "{name}: back transactions tell failures");
        assert!(is_genuine(&world, &heard), "{name}");
        let trade = world.sim.trade(&order).unwrap();
        assert_eq!(trade.state, "closed", "{name}");
        assert!(world.sim.approve(&order).is_err(), "{name}: nobody pays it any more");
    }
    assert_eq!(world.sums(), (0, 0));
}

#[tokio::test]
async fn a_text_message_is_refused_by_code_and_field() {
    let world = World::start().await;
    let sealer = world.sealer();
    let phone = |phone: &str| sealer.holder(&[], &[("phoneNo", phone)]);
    let cases = [
        ("no such card", UNKNOWN, "txnAmt", "888".to_owned(), "61", "accNo"),
        ("not opened", CREDIT, "txnAmt", "888".to_owned(), "77", "accNo"),
        ("another phone", DEBIT, "customerInfo", phone(DECLINED.phone), "60", "phoneNo"),
        ("no phone", DEBIT, "customerInfo", String::new(), "13", "phoneNo"),
        ("no amount", DEBIT, "txnAmt", String::new(), "13", "txnAmt"),
        ("no currency", DEBIT, "currencyCode", String::new(), "13", "currencyCode"),
        ("no channel", DEBIT, "channelType", String::new(), "13", "channelType"),
        ("an old time", DEBIT, "txnTime", "20261124100000".to_owned(), "10", "txnTime"),
        ("no such step", DEBIT, "txnSubType", "01".to_owned(), "14", "txnType"),
        ("tokens", DEBIT, "bizType", "000902".to_owned(), "32", "bizType"),
    ];
    for (name, card, field, value, code, named) in cases {
        let mut text = world.card_text("20261124000001", &card, "888");
        text.insert(field.to_owned(), value);
        let answer = world.back(&text).await;
        assert_eq!(answer["respCode"], code, "{name}: {answer:?}");
        assert!(answer["respMsg"].ends_with(&format!("[{named}]")), "{name}: {answer:?}");
    }
    let payment = world.card_pay("20261124000001", &DEBIT, "888");
    assert_eq!(world.back(&payment).await["respCode"], "71", "none of them was sent");
}

/// The text message before an opening, and the opening.
async fn opening(
    world: &World,
    order: &str,
    card: &TestCard,
    code: &str,
    secret: &[(&str, &str)],
) -> Fields {
    let mut text = world.card("77", "00", order, card);
    let holder = world.sealer().holder(&[], &[("phoneNo", card.phone)]);
    text.insert("customerInfo".to_owned(), holder);
    world.back(&text).await;
    let mut opening = world.card("79", "00", order, card);
    let plain = [("smsCode", code)];
    let plain = if code.is_empty() { &[] } else { plain.as_slice() };
    let holder = world.sealer().holder(plain, secret);
    opening.insert("customerInfo".to_owned(), holder);
    opening
}

#[tokio::test]
async fn an_opening_is_refused_by_code_and_field() {
    let world = World::start().await;
    let phone = ("phoneNo", CREDIT.phone);
    let right = [phone, ("cvn2", "123"), ("expired", "2311")];
    let code = "111111";
    // The second code is what the same numbers are answered with afterwards.
    let cases = [
        ("no phone", CREDIT, code, vec![right[1], right[2]], "13", "phoneNo", "34"),
        ("no cvn2", CREDIT, code, vec![phone, right[2]], "13", "cvn2", "34"),
        ("no month", CREDIT, code, vec![phone, right[1]], "13", "expired", "34"),
        ("no code", CREDIT, "", right.to_vec(), "13", "smsCode", "34"),
        ("cvn2 of a debit card", DEBIT, code, vec![phone, right[1]], "10", "cvn2", "34"),
        ("no such card", UNKNOWN, code, right.to_vec(), "61", "accNo", "61"),
        ("a wrong code", CREDIT, "123456", right.to_vec(), "71", "smsCode", "71"),
        ("a wrong cvn2", CREDIT, code, vec![phone, ("cvn2", "124"), right[2]], "65", "cvn2", "65"),
        (
            "a wrong month",
            CREDIT,
            code,
            vec![phone, right[1], ("expired", "2312")],
            "65",
            "expired",
            "65",
        ),
        (
            "another phone",
            CREDIT,
            code,
            vec![("phoneNo", DECLINED.phone), right[1], right[2]],
            "60",
            "phoneNo",
            "60",
        ),
    ];
    for (n, (name, card, code, secret, expected, named, afterwards)) in
        cases.into_iter().enumerate()
    {
        let order = format!("202611240000{n:02}");
        let request = opening(&world, &order, &card, code, &secret).await;
        let answer = world.back(&request).await;
        assert_eq!(answer["respCode"], expected, "{name}: {answer:?}");
        assert!(answer["respMsg"].ends_with(&format!("[{named}]")), "{name}: {answer:?}");
        let told = world.told(&request).await;
        let told = told.get("origRespCode").unwrap_or(&told["respCode"]);
        assert_eq!(told, afterwards, "{name}");
        let again = world.back(&opening(&world, &order, &CREDIT, "654321", &right).await).await;
        let again = again["respCode"].as_str();
        assert_eq!(again, if afterwards == "34" { "71" } else { "12" }, "{name}");
    }
    let mut unsent = opening(&world, "20261124000099", &CREDIT, code, &right).await;
    unsent.extend(fields([("orderId", "20261124000098")]));
    assert_eq!(world.back(&unsent).await["respCode"], "71", "sent for other numbers");
    let question = world.card("78", "00", "20261124000097", &CREDIT);
    assert_eq!(world.back(&question).await["respCode"], "77", "still not opened");
    let paying = opening(&world, "20261124000096", &CREDIT, code, &right).await;
    assert_eq!(world.back(&paying).await["respCode"], "00");
    let text = world.card_text("20261124000096", &CREDIT, "888");
    assert_eq!(world.back(&text).await["respCode"], "12", "an opening's number pays nothing");
}
