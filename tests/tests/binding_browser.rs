//! A consent belongs to the browser in which it was begun: whoever is sent to one of somebody else is
//! asked first.

#![expect(clippy::expect_used, reason = "a panic is how a test fails")]

use reqwest::{Response, StatusCode};
use sim::{Quotas, Settings};
use tests::{
    desk::{Desk, Person, location, refused},
    rig::{Engine, Rig},
    simulated::Simulated,
};

/// The attack: `stranger` begins a binding and sends the provider's address to `victim`, who consents.
async fn forwarded(desk: &Desk, stranger: &Person, victim: &Person) -> (String, Response) {
    let back = desk.consented(stranger).await;
    let reply = desk.come_back(&back, victim).await;
    (back, reply)
}

/// The page, if it asks whether the account is to be Eve's.
async fn asked(reply: Response) -> String {
    assert_eq!(reply.status(), StatusCode::OK);
    let header = |name: &str| reply.headers()[name].to_str().expect("text").to_owned();
    let policy = header("content-security-policy");
    assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
    assert!(policy.contains("default-src 'none'"), "{policy}");
    assert_eq!(header("cache-control"), "no-store");
    assert_eq!(header("referrer-policy"), "no-referrer");
    assert!(header("content-type").starts_with("text/html"));
    let page = reply.text().await.expect("page");
    assert!(page.contains("account to <strong>eve</strong>?"), "{page}");
    page
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consent_that_somebody_else_began_binds_nothing_by_itself() {
    let desk = Desk::open(Engine::Embedded).await;
    let (eve, ada) = (desk.person("eve").await, desk.person("ada").await);
    let bob = desk.person("bob").await;
    let (back, reply) = forwarded(&desk, &eve, &ada).await;
    let page = asked(reply).await;
    assert!(!desk.is_bound(&eve).await, "nobody has agreed to that");

    // Only the browser that was asked has a say, however well others know the addresses.
    refused(desk.come_back(&back, &eve).await, "the one who began").await;
    refused(desk.come_back(&back, &bob).await, "a third browser").await;
    refused(desk.answer(&page, "yes", &eve).await, "an answer of the one who began").await;
    refused(desk.answer(&page, "yes", &bob).await, "an answer of a third browser").await;
    let again = asked(desk.come_back(&back, &ada).await).await;
    assert_eq!(again, page, "a reload asks again");
    assert!(!desk.is_bound(&eve).await);

    let reply = desk.answer(&page, "no", &ada).await;
    assert_eq!(location(&reply), format!("{}?binding_error=refused", desk.at.url));
    refused(desk.answer(&page, "yes", &ada).await, "after a no").await;
    refused(desk.come_back(&back, &ada).await, "the address after a no").await;
    assert!(!desk.is_bound(&eve).await && !desk.is_bound(&ada).await);
    desk.worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_may_go_on_in_another_browser_of_theirs() {
    let desk = Desk::open(Engine::Embedded).await;
    let (eve, phone) = (desk.person("eve").await, desk.person("her telephone").await);
    let (_, reply) = forwarded(&desk, &eve, &phone).await;
    let page = asked(reply).await;

    let answers = (0..8).map(|_| desk.answer(&page, "yes", &phone));
    let answers = futures::future::join_all(answers).await;
    let done: Vec<_> = answers.iter().filter(|one| one.status() == StatusCode::FOUND).collect();
    assert_eq!(done.len(), 1, "the answer counts once");
    assert_eq!(location(done[0]), desk.at.url);
    assert!(desk.is_bound(&eve).await && !desk.is_bound(&phone).await);
    desk.worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_strict_setting_refuses_every_other_browser() {
    let mut settings = Settings::fixture().expect("fixtures");
    settings.quotas = Quotas::unlimited();
    let rig = Rig::new(Engine::Embedded).await;
    let at = Simulated::tuned(rig, settings, |api| api.bind_in_same_browser = true).await;
    let desk = Desk::over(at);
    let (eve, ada) = (desk.person("eve").await, desk.person("ada").await);

    let (back, reply) = forwarded(&desk, &eve, &ada).await;
    refused(reply, "another browser").await;
    assert!(!desk.is_bound(&eve).await);
    let reply = desk.come_back(&back, &eve).await;
    assert_eq!(location(&reply), desk.at.url, "the one in which it was begun");
    assert!(desk.is_bound(&eve).await);
    desk.worker.stop().await;
}
