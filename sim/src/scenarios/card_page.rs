//! UnionPay's page on which a person opens a card.

use super::{
    Fields, MINUTE, World, fields,
    shop::{Answer, FORM},
    unionpay::is_genuine,
    wallet::{CREDIT, FRONT, notice},
};
use crate::{TestCard, http::write_form};

/// A request for the page.
fn asking(world: &World, order: &str) -> Fields {
    let mut request = world.card("79", "00", order, &CREDIT);
    request.extend(fields([
        ("frontUrl", "http://127.0.0.1:1/back?a=1&b=2"),
        ("backUrl", &world.shop.url("unionpay")),
        ("payTimeout", "20261124103030"),
    ]));
    request
}

async fn page(world: &World, request: Fields) -> Answer {
    let request = world.unionpay_request(request);
    let form = write_form(request.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    world.post(FRONT, FORM, form).await.unwrap()
}

/// Where the page's form leads to.
fn action(page: &Answer) -> String {
    let text = page.text();
    let (_, rest) = text.split_once("action=\"").unwrap_or_else(|| panic!("no form: {text}"));
    rest.split('"').next().unwrap().to_owned()
}

async fn choose(world: &World, page: &Answer, answer: &str) -> Answer {
    world.post(&action(page), FORM, answer.to_owned()).await.unwrap()
}

async fn is_opened(world: &World, order: &str) -> bool {
    let question = world.card("78", "00", order, &CREDIT);
    world.back(&question).await["respCode"] == "00"
}

#[tokio::test]
async fn a_person_opens_a_card_and_the_shop_is_told() {
    let world = World::start().await;
    let request = asking(&world, "20261124000001");
    let cashier = page(&world, request.clone()).await;
    assert!(cashier.text().contains("6221********0000"), "{}", cashier.text());
    assert!(!cashier.text().contains(CREDIT.number), "{}", cashier.text());
    assert_eq!(world.told(&request).await["origRespCode"], "05");
    let again = page(&world, request.clone()).await;
    assert!(again.header("x-sim-reason").starts_with("12:"), "{again:?}");

    world.shop.refuse(1);
    let answer = choose(&world, &cashier, "answer=open").await;
    assert_eq!(answer.status, 303);
    assert!(is_opened(&world, "20261124000002").await);
    assert_eq!(world.told(&request).await["origRespCode"], "00");
    assert_eq!(choose(&world, &cashier, "answer=open").await.status, 409, "once");
    assert_eq!(choose(&world, &cashier, "answer=decline").await.status, 409, "once");

    world.sim.advance(MINUTE).await.unwrap();
    let heard = world.shop.heard();
    assert_eq!(heard.len(), 2, "refused once, then repeated");
    for heard in &heard {
        let told = notice(heard);
        assert!(is_genuine(&world, &told));
        let names = ["txnType", "respCode", "activateStatus", "accNo", "orderId"];
        let told = names.map(|name| told[name].as_str());
        assert_eq!(told, ["79", "00", "1", "6221********0000", "20261124000001"]);
    }
    let back = world.get(&format!("{}{}", world.sim.url(), action(&cashier))).await;
    let form = "<form method=\"post\" action=\"http://127.0.0.1:1/back?a=1&amp;b=2\">";
    assert!(back.text().contains(form), "{}", back.text());
    assert!(back.text().contains("name=\"activateStatus\" value=\"1\""), "{}", back.text());
}

#[tokio::test]
async fn who_declines_or_waits_too_long_returns_without_data() {
    let world = World::start().await;
    let declined = asking(&world, "20261124000001");
    let cashier = page(&world, declined.clone()).await;
    assert_eq!(choose(&world, &cashier, "answer=perhaps").await.status, 400);
    let answer = choose(&world, &cashier, "answer=decline").await;
    assert_eq!(
        (answer.status, answer.header("location")),
        (303, "http://127.0.0.1:1/back?a=1&b=2")
    );
    assert_eq!(choose(&world, &cashier, "answer=open").await.status, 409);
    assert_eq!(world.told(&declined).await["origRespCode"], "60");

    let late = asking(&world, "20261124000002");
    let cashier = page(&world, late.clone()).await;
    world.sim.advance(MINUTE * 15).await.unwrap();
    assert_eq!(choose(&world, &cashier, "answer=open").await.status, 409);
    assert_eq!(world.told(&late).await["origRespCode"], "69");
    let over = world.get(&format!("{}{}", world.sim.url(), action(&cashier))).await.text();
    assert!(over.contains("href=\"http://127.0.0.1:1/back?a=1&amp;b=2\""), "{over}");
    assert!(!is_opened(&world, "20261124000003").await);
    assert!(world.shop.heard().is_empty(), "front transactions tell success alone");
    let nowhere = world.post("/_sim/open/nowhere", FORM, "answer=open".to_owned()).await.unwrap();
    assert_eq!(nowhere.status, 404);
}

#[tokio::test]
async fn a_page_without_a_number_lets_the_person_choose() {
    let world = World::start().await;
    let mut request = asking(&world, "20261124000001");
    request.extend(fields([
        ("accNo", ""),
        ("encryptCertId", ""),
        ("reserved", "{customPage=true}"),
    ]));
    let cashier = page(&world, request).await;
    for card in ["", "&card=6228480402564890018"] {
        assert_eq!(choose(&world, &cashier, &format!("answer=open{card}")).await.status, 400);
    }
    let answer = format!("answer=open&card={}", CREDIT.number);
    assert_eq!(choose(&world, &cashier, &answer).await.status, 303);
    assert!(is_opened(&world, "20261124000002").await);
    world.sim.settled().await;
    assert_eq!(notice(&world.shop.heard()[0])["accNo"], "6221********0000");
}

#[tokio::test]
async fn what_a_shop_says_does_not_become_markup() {
    let world = World::start().await;
    let mut request = asking(&world, "20261124000001");
    request.extend(fields([
        ("orderDesc", "<script>alert(1)</script>"),
        ("reqReserved", "<b>bold</b>"),
    ]));
    let cashier = page(&world, request).await;
    choose(&world, &cashier, "answer=open").await;
    let opened = world.get(&format!("{}{}", world.sim.url(), action(&cashier))).await;
    for text in [cashier.text(), opened.text()] {
        assert!(text.contains("&lt;script&gt;"), "{text}");
        assert!(!text.contains("<script") && !text.contains("<b>"), "{text}");
    }
    assert!(opened.text().contains("&lt;b&gt;bold"), "{}", opened.text());
}

#[tokio::test]
async fn a_wrong_request_gets_a_page_that_says_so() {
    let world = World::start().await;
    let wrong = world.sealer().holder(&[], &[("phoneNo", "18100000000")]);
    let cases = [
        ("no way back", "frontUrl", String::new(), "13", "frontUrl"),
        ("nobody to tell", "backUrl", String::new(), "13", "backUrl"),
        ("a plain number", "accNo", CREDIT.number.to_owned(), "10", "accNo"),
        ("an unknown certificate", "encryptCertId", "1".to_owned(), "10", "encryptCertId"),
        ("over already", "payTimeout", "20261124101530".to_owned(), "10", "payTimeout"),
        ("an odd page", "reserved", "{customPage=yes}".to_owned(), "10", "reserved"),
        ("another phone", "customerInfo", wrong, "60", "phoneNo"),
        ("no channel", "channelType", String::new(), "13", "channelType"),
        ("tokens", "bizType", "000902".to_owned(), "32", "bizType"),
        ("opening and paying", "txnType", "01".to_owned(), "32", "txnType"),
    ];
    for (name, field, value, code, named) in cases {
        let mut request = asking(&world, "20261124000001");
        request.extend(fields([("txnSubType", if field == "txnType" { "01" } else { "00" })]));
        request.insert(field.to_owned(), value);
        let answer = page(&world, request).await;
        let reason = answer.header("x-sim-reason");
        assert!(
            reason.starts_with(code) && reason.ends_with(&format!("[{named}]")),
            "{name}: {reason}"
        );
        assert!(!answer.text().contains("<form"), "{name}");
    }
}

#[tokio::test]
async fn the_list_shows_the_test_cards() {
    let world = World::start().await;
    let url = format!("{}/_sim/pay/unionpay", world.sim.url());
    let list = world.get(&url).await.text();
    for card in &crate::TEST_CARDS {
        assert!(list.contains(card.number) && list.contains(card.phone), "{list}");
    }
    assert!(list.contains("<code>111111</code>"), "{list}");
    let opened = |list: &str, card: &TestCard| {
        let (_, rest) = list.split_once(card.number).unwrap();
        rest.split("</tr>").next().unwrap().contains("<td>yes</td>")
    };
    for card in &crate::TEST_CARDS {
        assert_eq!(opened(&list, card), card.opened, "{card:?}");
    }
    let cashier = page(&world, asking(&world, "20261124000001")).await;
    choose(&world, &cashier, "answer=open").await;
    assert!(opened(&world.get(&url).await.text(), &CREDIT));
}
