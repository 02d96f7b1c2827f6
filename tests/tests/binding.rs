//! Accounts at providers, bound by a consent in the browser or by a code, through the simulators.

#![expect(clippy::expect_used, reason = "a panic is how a test fails")]

use std::time::Duration;

use mongodb::bson::{Document, doc};
use reqwest::StatusCode;
use schemas::{
    Channel, JobState, Scopes, Timestamp,
    account::ClientRecord,
    binding::{BindStateRecord, BindingRecord, Purpose, SEALED_ACCOUNT, SEALED_CODE},
    kinds::{PayUnbind, pay_bind::BindOrder},
};
use secrecy::ExposeSecret;
use serde_json::json;
use sim::{Act, Fault};
use store::{Insert, Save};
use tests::{
    desk::{
        ALIPAY_INFO, BIND, Desk, Person, RETURN, WECHAT_INFO, WECHAT_UNBIND, location, refused,
    },
    rig::Engine,
};
use url::Url;

/// What identifies the simulators' person at each provider.
const IDS: [&str; 3] = [
    "2088102146225135",
    "068DR9tn0wg8Fv4F2Y5bqHgAkW0rXe7sD3mLwJcTQ1uYp4",
    "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o",
];

async fn alipay_is_bound_by_the_user_who_began(engine: Engine) {
    let desk = Desk::open(engine).await;
    let (ada, bob) = (desk.person("ada").await, desk.person("bob").await);
    let (status, body) = desk.get(ALIPAY_INFO, &ada).await;
    assert_eq!((status, &body["code"]), (StatusCode::BAD_REQUEST, &json!("ALIPAY_BIND_FIRST")));
    let page = body["data"]["auth_url"].as_str().expect("where to bind");
    let start = format!("{}/oauth2/publicAppAuthorize.htm?app_id=", desk.at.sim.url());
    assert!(page.starts_with(&start) && page.contains("&scope=auth_base&redirect_uri="), "{page}");

    let back = desk.consented(&ada).await;
    let reply = desk.come_back(&back, &ada).await;
    assert_eq!((reply.status(), location(&reply)), (StatusCode::FOUND, desk.at.url.clone()));
    assert!(desk.is_bound(&ada).await);
    assert!(!desk.is_bound(&bob).await, "another user stays as they were");

    refused(desk.come_back(&back, &ada).await, "the same state again").await;
    let store = &desk.at.rig.store;
    let bound = store.bindings.get(ada.id, Channel::Alipay).await.expect("store").expect("bound");
    let stored = serde_json::to_string(&bound).expect("JSON");
    let jobs = store.jobs.list(&store::JobFilter::default(), None, 100).await.expect("store");
    let jobs = serde_json::to_string(&jobs).expect("JSON");
    let url = Url::parse(&back).expect("address");
    let code = url.query_pairs().find(|(name, _)| name == "auth_code").expect("code").1;
    for secret in IDS.iter().copied().chain([&*code]) {
        assert!(!stored.contains(secret) && !jobs.contains(secret), "{secret} is readable");
    }
    let opened = desk.at.rig.till.sealer.open(SEALED_ACCOUNT, &bound.account.sealed);
    assert_eq!(opened.expect("ours").expose_secret(), IDS[1]);
    desk.worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn alipay_is_bound_by_the_user_who_began_on_sqlite() {
    alipay_is_bound_by_the_user_who_began(Engine::Embedded).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn alipay_is_bound_by_the_user_who_began_on_mongodb() {
    alipay_is_bound_by_the_user_who_began(Engine::Distributed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_state_counts_once_and_only_as_it_was_given() {
    let desk = Desk::open(Engine::Embedded).await;
    let (ada, eve) = (desk.person("ada").await, desk.person("eve").await);
    let (mine, hers) = (desk.consented(&ada).await, desk.consented(&eve).await);
    let field = |address: &str, name: &str| {
        let url = Url::parse(address).expect("address");
        let found = url.query_pairs().find(|(field, _)| field == name);
        found.expect("field").1.into_owned()
    };
    let base = format!("{}{RETURN}", desk.at.url);
    let (code, state) = (field(&mine, "auth_code"), field(&mine, "state"));
    let made_up = "A".repeat(43);
    let cases = [
        ("no state", format!("{base}?auth_code={code}")),
        ("another state", format!("{base}?auth_code={code}&state={made_up}")),
        ("a digest", format!("{base}?auth_code={code}&state={}", "0".repeat(64))),
        ("another app", format!("{base}?auth_code={code}&state={state}&app_id=2021999999999999")),
        (
            "another provider",
            format!("{}/api/pay/wechat_auth_return/?code={code}&state={state}", desk.at.url),
        ),
    ];
    for (name, address) in cases {
        refused(desk.come_back(&address, &ada).await, name).await;
    }
    // Eight times at once: one of them binds.
    let replies = (0..8).map(|_| desk.come_back(&mine, &ada));
    let replies = futures::future::join_all(replies).await;
    let found = replies.iter().filter(|reply| reply.status() == StatusCode::FOUND).count();
    assert_eq!(found, 1);
    assert!(desk.is_bound(&ada).await);

    // The code of one consent with the state of another: the provider refuses a used code.
    let mixed = format!("{base}?auth_code={code}&state={}", field(&hers, "state"));
    let reply = desk.come_back(&mixed, &eve).await;
    assert_eq!(location(&reply), format!("{}?binding_error=failed", desk.at.url));
    assert!(!desk.is_bound(&eve).await);

    let (_, body) = desk.post(BIND, &json!({}), &eve).await;
    let begun = Url::parse(body["auth_url"].as_str().expect("address")).expect("address");
    let state = begun.query_pairs().find(|(name, _)| name == "state").expect("state").1;
    let reply = desk.come_back(&format!("{base}?state={state}"), &eve).await;
    assert_eq!(location(&reply), format!("{}?binding_error=refused", desk.at.url), "she said no");
    desk.worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_is_sent_to_registered_origins_alone() {
    let desk = Desk::open(Engine::Embedded).await;
    let ada = desk.person("ada").await;
    let client = ClientRecord {
        id: "web".parse().expect("id"),
        version: 1,
        name: "web".to_owned(),
        secret_digest: None,
        grants: vec![],
        scopes: Scopes::all(),
        redirect_uris: vec!["https://app.example.com/oauth".parse().expect("address")],
        created_at: Timestamp::now(),
        disabled_at: None,
    };
    assert_eq!(desk.at.rig.store.clients.insert(&client).await, Ok(Insert::Stored));
    let own = desk.at.url.clone();
    let cases = [
        ("our own", format!("{own}/settings?tab=pay"), true),
        ("another port", "http://127.0.0.1:1/".to_owned(), false),
        ("another host", "https://evil.example/".to_owned(), false),
        (
            "a client that the caller did not come through",
            "https://app.example.com/x".to_owned(),
            false,
        ),
        ("user in the address", own.replace("http://", "http://x@"), false),
        ("a host that begins alike", format!("{own}.evil.example/"), false),
        ("a path only", "/settings".to_owned(), false),
        ("two slashes", "//evil.example/".to_owned(), false),
        ("backslashes", "http:\\\\evil.example".to_owned(), false),
        ("a script", "javascript:alert(1)".to_owned(), false),
        ("a line break", format!("{own}/\r\nx: y"), false),
    ];
    for (name, address, accepted) in cases {
        let (status, body) = desk.post(BIND, &json!({ "redirect_to": address }), &ada).await;
        assert_eq!(status == StatusCode::OK, accepted, "{name}: {body}");
        if !accepted {
            assert!(body["data"]["redirect_to"].is_array(), "{name}: {body}");
        }
    }
    let (_, body) = desk.post(BIND, &json!({ "redirect_to": format!("{own}/a?b=c") }), &ada).await;
    let page = body["auth_url"].as_str().expect("address").to_owned();
    let back = desk.allow(&page, "/_sim/consent").await;
    assert_eq!(location(&desk.come_back(&back, &ada).await), format!("{own}/a?b=c"));
    desk.worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wechat_is_bound_by_code_and_by_scanning() {
    let desk = Desk::open(Engine::Embedded).await;
    let (ada, bob) = (desk.person("ada").await, desk.person("bob").await);
    let phone = desk.person("telephone").await;
    let (status, body) = desk.get(WECHAT_INFO, &ada).await;
    assert_eq!((status, &body["code"]), (StatusCode::BAD_REQUEST, &json!("WX_BIND_FIRST")));
    let picture = body["data"]["code_url"].as_str().expect("a picture");
    assert!(picture.starts_with("data:image/svg+xml;base64,"), "{picture}");

    let gateway = desk.at.rig.till.gateway(Channel::WeChatPay, "official_account").expect("app");
    // What the code in the picture leads to.
    let back = format!("{}/api/pay/wechat_auth_return/", desk.at.url);
    let state = "B".repeat(43);
    let page = gateway.consent_url(&back, Some(&state)).expect("an app with a secret");
    let scanned = desk.allow(&page, "/_sim/wechat-consent").await;
    let code = Url::parse(&scanned).expect("address");
    let code = code.query_pairs().find(|(name, _)| name == "code").expect("code").1.into_owned();

    let path = "/api/user/profile/wechat-binding/";
    desk.at.sim.fault(Fault::once("wechat.sns.access_token", Act::DropBefore)).expect("script");
    let (status, body) = desk.post(path, &json!({ "code": code }), &ada).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    let shown = json!({ "data": {
        "nickname": "小明",
        "headimgurl": "https://thirdwx.qlogo.cn/mmopen/vi_32/feat/132",
    } });
    assert_eq!(body, shown);
    assert_eq!(desk.get(WECHAT_INFO, &ada).await, (StatusCode::OK, shown));
    assert_eq!(desk.get(WECHAT_INFO, &bob).await.0, StatusCode::BAD_REQUEST);

    let (status, body) = desk.post(path, &json!({ "code": code }), &bob).await;
    assert_eq!((status, &body["code"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("JOB_FAILED")));
    let (status, body) = desk.post(path, &json!({}), &bob).await;
    assert!(status == StatusCode::BAD_REQUEST && body["data"]["code"].is_array(), "{body}");

    // A state that nobody began is none, however right the code is.
    refused(desk.come_back(&scanned, &bob).await, "made-up state").await;
    let now = Timestamp::now();
    let begun = BindStateRecord {
        id: digest(&state),
        version: 1,
        owner: bob.id,
        channel: Channel::WeChatPay,
        app: "official_account".to_owned(),
        purpose: Purpose::Bind,
        redirect_to: desk.at.url.clone(),
        created_at: now,
        expires_at: now + Duration::from_mins(10),
        browser: None,
        asked_at: None,
        used_at: None,
    };
    assert_eq!(desk.at.rig.store.bindings.begin(&begun).await, Ok(Insert::Stored));
    let scanned = desk.allow(&page, "/_sim/wechat-consent").await;
    // The telephone that scanned it is another browser, so its person is asked.
    let page = desk.come_back(&scanned, &phone).await.text().await.expect("page");
    assert_eq!(location(&desk.answer(&page, "yes", &phone).await), desk.at.url);
    assert_eq!(desk.get(WECHAT_INFO, &bob).await.0, StatusCode::OK);
    desk.worker.stop().await;
}

/// Begins to unbind `person`, and answers with where the telephone that scans comes back to. The state
/// in the picture is known by its digest alone, so a copy of it is begun whose state is known.
async fn scanned_to_unbind(desk: &Desk, person: &Person) -> String {
    let (status, body) = desk.get(WECHAT_UNBIND, person).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    let picture = body["data"]["code_url"].as_str().expect("a picture");
    assert!(picture.starts_with("data:image/svg+xml;base64,"), "{picture}");

    let corner = desk.at.rig.corner.as_ref().expect("on MongoDB");
    let client = mongodb::Client::with_uri_str(&corner.mongodb_url).await.expect("address");
    let consents = client.database(&corner.database).collection::<Document>("bind_states");
    let wanted = doc! { "owner": person.id.get(), "used_at": null, "purpose": "unbind" };
    let begun = consents.find_one(wanted).await.expect("MongoDB").expect("a consent to unbind");
    let bindings = &desk.at.rig.store.bindings;
    let begun = bindings.state(begun.get_str("_id").expect("digest")).await.expect("store");
    let state = format!("{:043}", Timestamp::now().as_micros());
    let copy = BindStateRecord { id: digest(&state), ..begun.expect("known") };
    assert_eq!(bindings.begin(&copy).await, Ok(Insert::Stored));

    let gateway = desk.at.rig.till.gateway(Channel::WeChatPay, &copy.app).expect("app");
    let back = format!("{}/api/pay/wechat_auth_return/", desk.at.url);
    let page = gateway.consent_url(&back, Some(&state)).expect("an app with a secret");
    desk.allow(&page, "/_sim/wechat-consent").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wechat_is_unbound_by_the_person_whose_account_it_is() {
    let desk = Desk::open(Engine::Distributed).await;
    let (ada, bob) = (desk.person("ada").await, desk.person("bob").await);
    let phone = desk.person("telephone").await;
    let (status, body) = desk.get(WECHAT_UNBIND, &ada).await;
    assert_eq!((status, &body["code"]), (StatusCode::BAD_REQUEST, &json!("WX_BIND_FIRST")));
    assert_eq!(body["data"], json!(null), "nothing to scan that would bind");
    let bound = desk.bind_wechat(&ada, "official_account").await;
    desk.bind_wechat(&bob, "official_account").await;

    let page = desk.come_back(&scanned_to_unbind(&desk, &ada).await, &phone).await;
    let page = page.text().await.expect("page");
    assert!(page.contains("Disconnect your WeChat account from <strong>ada</strong>?"), "{page}");
    let no = desk.answer(&page, "no", &phone).await;
    assert_eq!(location(&no), format!("{}?binding_error=refused", desk.at.url));
    assert_eq!(desk.get(WECHAT_INFO, &ada).await.0, StatusCode::OK, "a no unbinds nothing");

    // Somebody else's account: neither the id nor the id that apps share is the consenting person's.
    let bindings = &desk.at.rig.store.bindings;
    let mut other = BindingRecord { version: bound.version + 1, ..bound.clone() };
    other.account.digest = "0".repeat(32);
    let sealer = &desk.at.rig.till.sealer;
    other.union_account = Some(sealer.seal(SEALED_ACCOUNT, "another").expect("sealed"));
    assert_eq!(bindings.save(&other).await, Ok(Save::Stored));
    let reply = unbound(&desk, &ada, &phone).await;
    assert_eq!(reply, format!("{}?binding_error=failed", desk.at.url));
    assert_eq!(desk.get(WECHAT_INFO, &ada).await.0, StatusCode::OK);

    let own = BindingRecord { version: other.version + 1, ..bound };
    assert_eq!(bindings.save(&own).await, Ok(Save::Stored));
    desk.at.sim.fault(Fault::once("wechat.sns.access_token", Act::DropBefore)).expect("script");
    assert_eq!(unbound(&desk, &ada, &phone).await, desk.at.url);
    assert_eq!(desk.get(WECHAT_INFO, &ada).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(desk.get(WECHAT_INFO, &bob).await.0, StatusCode::OK, "another user stays");

    // The id of an app for telephones is another one; the id that both share tells who it is.
    desk.bind_wechat(&ada, "feat_ios_app").await;
    assert_eq!(unbound(&desk, &ada, &phone).await, desk.at.url);
    assert_eq!(desk.get(WECHAT_INFO, &ada).await.0, StatusCode::BAD_REQUEST);

    // A run that forgot the account and died has spent the code: the next one asks nobody.
    let code = sealer.seal(SEALED_CODE, "spent").expect("sealed");
    let order = BindOrder { channel: Channel::WeChatPay, app: "official_account".into(), code };
    let job = desk.at.rig.submit::<PayUnbind>(&order).await;
    desk.at.rig.in_state(job.id, JobState::Succeeded).await;
    desk.worker.stop().await;
}

/// The person of the simulators scans and says yes; the address is where the telephone goes.
async fn unbound(desk: &Desk, person: &Person, phone: &Person) -> String {
    let scanned = scanned_to_unbind(desk, person).await;
    let page = desk.come_back(&scanned, phone).await.text().await.expect("page");
    location(&desk.answer(&page, "yes", phone).await)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_state_that_is_too_old_binds_nobody() {
    let desk = Desk::open(Engine::Embedded).await;
    let ada = desk.person("ada").await;
    let back = desk.consented(&ada).await;
    let url = Url::parse(&back).expect("address");
    let state = url.query_pairs().find(|(name, _)| name == "state").expect("state").1;
    let bindings = &desk.at.rig.store.bindings;
    let id = digest(&state);
    let begun = bindings.state(&id).await.expect("store").expect("a state, by its digest alone");
    let past = Timestamp::now() - Duration::from_secs(1);
    let old = BindStateRecord { version: begun.version + 1, expires_at: past, ..begun };
    assert_eq!(bindings.save_state(&old).await, Ok(store::Save::Stored));

    refused(desk.come_back(&back, &ada).await, "too old").await;
    assert!(!desk.is_bound(&ada).await);
    // The worker does the same every five minutes.
    let removed = bindings.remove_expired(Timestamp::now(), 9).await;
    assert!(matches!(removed, Ok(0 | 1)), "{removed:?}");
    assert_eq!(bindings.state(&id).await, Ok(None));
    desk.worker.stop().await;
}

fn digest(text: &str) -> String {
    use std::fmt::Write as _;
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
    digest.as_ref().iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}
