//! Cards without redirect: from the question whether one is opened to the refund.

use std::{collections::BTreeMap, io::Read, sync::Arc};

use base64::{Engine, prelude::BASE64_STANDARD};
use secrecy::ExposeSecret;

use super::{
    Fields, MINUTE, World, fields,
    unionpay::is_genuine,
    wallet::{BACK, CREDIT, DEBIT, Sealer, notice, packed},
};
use crate::{Provider, Quotas, crypto::PrivateKey};

/// Opens the credit card on the shop's own page.
async fn open(world: &World, order: &str) -> Fields {
    let mut text = world.card("77", "00", order, &CREDIT);
    let holder = world.sealer().holder(&[], &[("phoneNo", CREDIT.phone)]);
    text.insert("customerInfo".to_owned(), holder);
    assert_eq!(world.back(&text).await["respCode"], "00");
    let secret = [("phoneNo", CREDIT.phone), ("cvn2", "123"), ("expired", "2311")];
    let holder = world.sealer().holder(&[("smsCode", "111111")], &secret);
    let mut opening = world.card("79", "00", order, &CREDIT);
    opening.insert("customerInfo".to_owned(), holder);
    opening
}

fn give_back(world: &World, kind: &str, order: &str, original: &str, fen: &str) -> Fields {
    let mut request = world.unionpay_order(order, fen);
    request.extend(fields([
        ("txnType", kind),
        ("txnSubType", "00"),
        ("bizType", "000301"),
        ("origQryId", original),
    ]));
    request
}

/// What a question about the transaction is answered within another business.
async fn told_of_business(world: &World, of: &Fields, business: &str) -> Fields {
    let mut question = fields([("txnType", "00"), ("txnSubType", "00"), ("bizType", business)]);
    for name in ["orderId", "txnTime"] {
        question.insert(name.to_owned(), of[name].clone());
    }
    world.unionpay("/gateway/api/queryTrans.do", question).await
}

/// What an answer says of the holder, which the merchant's key alone opens.
fn told_holder(world: &World, info: &str) -> String {
    let holder = String::from_utf8(BASE64_STANDARD.decode(info).unwrap()).unwrap();
    let sealed = holder.strip_prefix("{encryptedInfo=").and_then(|rest| rest.strip_suffix('}'));
    let key = world.shop.merchant.unionpay.private_key.expose_secret();
    let opened = PrivateKey::from_pem(key).unwrap().decrypt_pkcs1(sealed.unwrap()).unwrap();
    String::from_utf8(opened).unwrap()
}

#[tokio::test]
async fn a_card_is_opened_and_pays_and_is_paid_back() {
    let world = World::start().await;
    let question = world.card("78", "00", "20261124000001", &CREDIT);
    let answer = world.back(&question).await;
    assert_eq!(answer["respCode"], "77", "{answer:?}");
    assert!(is_genuine(&world, &answer));

    let opening = open(&world, "20261124000002").await;
    let opened = world.back(&opening).await;
    assert_eq!((&*opened["respCode"], &*opened["activateStatus"]), ("00", "1"), "{opened:?}");
    assert_eq!(world.told(&opening).await["origRespCode"], "00");
    assert_eq!(world.back(&opening).await["respCode"], "12", "the same again");

    for path in [BACK, "/gateway/api/cardTransReq.do"] {
        let answer = world.unionpay(path, question.clone()).await;
        let told = |name: &str| answer[name].clone();
        assert_eq!((told("respCode"), told("activateStatus")), ("00".into(), "1".into()));
        assert_eq!((told("payCardType"), told("accNo")), ("02".into(), "6221********0000".into()));
        assert_eq!(told_holder(&world, &told("customerInfo")), "phoneNo=135****5506");
        assert!(is_genuine(&world, &answer));
    }

    let payment = world.card_pay("20261124000003", &CREDIT, "888");
    let paid = world.text_and_pay("20261124000003", &CREDIT, "888").await;
    assert_eq!(paid["respCode"], "00", "{paid:?}");
    assert!(is_genuine(&world, &paid));
    assert_eq!(world.back(&payment).await["respCode"], "12", "the same again");
    let text = world.card_text("20261124000003", &CREDIT, "888");
    assert_eq!(world.back(&text).await["respCode"], "12", "it is paid");
    world.sim.settled().await;
    let told = notice(&world.shop.heard()[0]);
    assert!(is_genuine(&world, &told));
    for told in [&told, &world.told(&payment).await] {
        let code = told.get("origRespCode").unwrap_or(&told["respCode"]);
        assert_eq!((code.as_str(), told["settleAmt"].as_str()), ("00", "888"), "{told:?}");
        let names = ["bizType", "queryId", "accNo", "payCardType"].map(|name| told[name].as_str());
        assert_eq!(names, ["000301", &paid["queryId"], "6221********0000", "02"]);
    }
    let elsewhere = told_of_business(&world, &payment, "000000").await;
    assert_eq!(elsewhere["respCode"], "34", "cards are asked for among cards");

    let refund = give_back(&world, "04", "20261124R001", &paid["queryId"], "300");
    let mut foreign = refund.clone();
    foreign.insert("bizType".to_owned(), "000201".to_owned());
    assert_eq!(world.back(&foreign).await["respCode"], "36", "not the original's type");
    assert_eq!(world.back(&refund).await["respCode"], "00");
    world.sim.advance(MINUTE).await.unwrap();
    let told = world.told(&with_time(refund, &payment)).await;
    assert_eq!((&*told["origRespCode"], &*told["accNo"]), ("00", "6221********0000"));
    assert_eq!(world.sums(), (888, 300));
    let trade = world.sim.trade(&paid["queryId"]).unwrap();
    assert_eq!((&*trade.product, &*trade.state, &*trade.code), ("card", "paid", ""));
}

/// `request` with the time at which it was sent, which was that of `other`.
fn with_time(mut request: Fields, other: &Fields) -> Fields {
    request.insert("txnTime".to_owned(), other["txnTime"].clone());
    request
}

#[tokio::test]
async fn a_payment_is_cancelled_or_reversed_on_its_day() {
    let world = World::start().await;
    let paid = world.text_and_pay("20261124000001", &DEBIT, "500").await;
    let cancel = give_back(&world, "31", "20261124C001", &paid["queryId"], "500");
    assert_eq!(world.back(&cancel).await["respCode"], "00");
    assert_eq!(world.back(&cancel).await["respCode"], "12");

    let payment = world.card_pay("20261124000002", &DEBIT, "700");
    world.text_and_pay("20261124000002", &DEBIT, "700").await;
    let mut reversal = payment.clone();
    reversal.extend(fields([("txnType", "99"), ("accNo", ""), ("encryptCertId", "")]));
    reversal.insert("customerInfo".to_owned(), String::new());
    for _ in 0..2 {
        assert_eq!(world.back(&reversal).await["respCode"], "00");
    }
    assert_eq!(world.sums(), (1200, 1200));
}

#[tokio::test]
async fn a_code_is_good_for_its_numbers_once() {
    let world = World::start().await;
    // Asking again with the same numbers replaces what was asked for before.
    world.back(&world.card_text("20261124000001", &DEBIT, "888")).await;
    world.back(&world.card_text("20261124000001", &DEBIT, "999")).await;
    let old = world.card_pay("20261124000001", &DEBIT, "888");
    assert_eq!(world.back(&old).await["respCode"], "71", "for the amount before");
    let new = world.card_pay("20261124000001", &DEBIT, "999");
    assert_eq!(world.back(&new).await["respCode"], "12", "the number is used up");

    world.back(&world.card_text("20261124000002", &DEBIT, "888")).await;
    world.back(&world.card_text("20261124000002", &DEBIT, "999")).await;
    let paid = world.back(&world.card_pay("20261124000002", &DEBIT, "999")).await;
    assert_eq!(paid["respCode"], "00", "{paid:?}");

    // A minute short of ten it is good, then it is not.
    for (order, minutes, code) in [("20261124000003", 9, "00"), ("20261124000004", 10, "71")] {
        world.back(&world.card_text(order, &DEBIT, "1")).await;
        let payment = world.card_pay(order, &DEBIT, "1");
        world.sim.advance(MINUTE * minutes).await.unwrap();
        assert_eq!(world.back(&payment).await["respCode"], code, "after {minutes} minutes");
    }
    assert_eq!(world.sums(), (1000, 0));
}

#[tokio::test]
async fn a_card_gets_so_many_messages_a_minute() {
    let quotas = Quotas { unionpay_texts: 3, ..Quotas::default() };
    let world = World::with(|settings| settings.quotas = quotas).await;
    for n in 0..5 {
        let text = world.card_text(&format!("2026112400000{n}"), &DEBIT, "1");
        let code = if n < 3 { "00" } else { "37" };
        assert_eq!(world.back(&text).await["respCode"], code, "{n}");
    }
    let other = world.card_text("20261124000005", &super::wallet::POOR, "1");
    assert_eq!(world.back(&other).await["respCode"], "00", "another card");
    world.sim.advance(MINUTE).await.unwrap();
    let later = world.card_text("20261124000006", &DEBIT, "1");
    assert_eq!(world.back(&later).await["respCode"], "00");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_number_pays_once_however_often_it_is_sent() {
    let world = Arc::new(World::start().await);
    world.back(&world.card_text("20261124000001", &DEBIT, "888")).await;
    let payment = world.card_pay("20261124000001", &DEBIT, "888");
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let (world, payment) = (Arc::clone(&world), payment.clone());
        calls.spawn(async move { world.back(&payment).await["respCode"].clone() });
    }
    let mut codes = BTreeMap::new();
    while let Some(code) = calls.join_next().await {
        *codes.entry(code.unwrap()).or_insert(0) += 1;
    }
    assert_eq!(codes, [("00".to_owned(), 1), ("12".to_owned(), 19)].into());
    assert_eq!(world.sim.ledger().entries.len(), 1);
    assert_eq!(world.sums(), (888, 0));
}

/// The certificate that is handed out, and what a payment says that is encrypted with `sealer`.
async fn encrypts(world: &World, order: &str, sealer: &Sealer) -> Fields {
    let mut question = world.card("78", "00", order, &DEBIT);
    question.insert("encryptCertId".to_owned(), sealer.id.clone());
    question.insert("accNo".to_owned(), sealer.seal(DEBIT.number));
    world.back(&question).await
}

#[tokio::test]
async fn the_encryption_certificate_changes_and_the_old_one_is_good_for_a_month() {
    let world = World::start().await;
    let ours = &world.shop.merchant.unionpay;
    let (old, new) =
        (Sealer::of(&ours.encrypt_certificate), Sealer::of(&ours.next_encrypt_certificate));
    let handed_out = || async {
        let mut question = fields([("txnType", "95"), ("txnSubType", "00"), ("certType", "01")]);
        question.extend(fields([("bizType", "000000"), ("orderId", "20261124000099")]));
        let answer = world.back(&question).await;
        let sealer = Sealer::of(&answer["encryptPubKeyCert"]);
        assert_eq!(sealer.id, answer["encryptCertId"]);
        sealer.id
    };
    assert_eq!(handed_out().await, old.id);
    let early = encrypts(&world, "20261124000001", &new).await;
    assert_eq!(early["respCode"], "10", "{early:?}");
    assert!(early["respMsg"].contains("[encryptCertId]"), "{early:?}");

    world.sim.rotate_keys(Provider::UnionPay);
    assert_eq!(handed_out().await, new.id);
    for sealer in [&old, &new] {
        assert_eq!(encrypts(&world, "20261124000002", sealer).await["respCode"], "00");
    }
    // The right serial with the other key opens nothing.
    let mixed = Sealer { id: new.id.clone(), ..Sealer::of(&ours.encrypt_certificate) };
    assert_eq!(encrypts(&world, "20261124000003", &mixed).await["respCode"], "10");
    world.sim.advance(MINUTE * 60 * 24 * 31).await.unwrap();
    assert_eq!(encrypts(&world, "20261124000004", &old).await["respCode"], "10");
    assert_eq!(encrypts(&world, "20261124000005", &new).await["respCode"], "00");
}

#[tokio::test]
async fn the_settlement_file_has_the_card_that_paid() {
    let world = World::start().await;
    assert_eq!(world.back(&open(&world, "20261124000001").await).await["respCode"], "00");
    world.text_and_pay("20261124000002", &CREDIT, "888").await;
    world.sim.advance(MINUTE * 60 * 24).await.unwrap();
    let mut question = fields([("txnType", "76"), ("txnSubType", "01"), ("bizType", "000000")]);
    question.extend(fields([("fileType", "00"), ("settleDate", "1124")]));
    let answer = world.unionpay("/", question).await;
    let file = BASE64_STANDARD.decode(&answer["fileContent"]).unwrap();
    let mut archive = Vec::new();
    flate2::read::ZlibDecoder::new(file.as_slice()).read_to_end(&mut archive).unwrap();
    let text = String::from_utf8_lossy(&archive).into_owned();
    let line = text.lines().find(|line| line.contains("20261124000002")).unwrap();
    assert!(line.contains(" 000301 ") && line.contains(" 6221********0000 "), "{line}");
}

#[tokio::test]
async fn no_number_of_a_card_is_kept_or_told() {
    let world = World::start().await;
    let opening = open(&world, "20261124000001").await;
    let mut said = vec![world.back(&opening).await];
    said.push(world.text_and_pay("20261124000002", &CREDIT, "888").await);
    said.push(world.back(&world.card_pay("20261124000003", &CREDIT, "888")).await);
    let mut wrong = world.card("78", "00", "20261124000004", &CREDIT);
    wrong.insert("customerInfo".to_owned(), {
        // A number where a name belongs, inside and outside of what is encrypted.
        let hidden = world.sealer().seal(&format!("{}=1", CREDIT.number));
        packed(&format!("encryptedInfo={hidden}"))
    });
    said.push(world.back(&wrong).await);
    wrong.insert("customerInfo".to_owned(), packed(&format!("{}=1", CREDIT.number)));
    said.push(world.back(&wrong).await);
    wrong.insert("accNo".to_owned(), CREDIT.number.to_owned());
    said.push(world.back(&wrong).await);
    said.push(world.told(&opening).await);
    world.sim.settled().await;
    let mut texts: Vec<String> = said.iter().map(|answer| format!("{answer:?}")).collect();
    texts.extend(world.shop.heard().into_iter().map(|heard| heard.body));
    let url = world.sim.url();
    for path in ["trades", "ledger", "notifies", "pay/unionpay/1", "pay/unionpay/2"] {
        let page = world.get(&format!("{url}/_sim/{path}")).await;
        assert_eq!(page.status, 200, "{path}");
        texts.push(page.text());
    }
    for text in texts {
        assert!(!text.contains(CREDIT.number) && !text.contains(CREDIT.phone), "{text}");
    }
}
