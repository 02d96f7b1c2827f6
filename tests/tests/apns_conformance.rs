//! What both transports to Apple promise, on the simulator.
//!
//! The direct one is pointed at it. The crate a2 knows Apple's two addresses only, so its run
//! takes place in a mount namespace of its own, where those names lead to this machine; where
//! that is not permitted the run says that it was left out.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::{
    env, fs,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use providers::apns::{
    Accepted, Apns, AppSettings, CredentialSource, Expiration, Limit, Lost, Message, MessageParts,
    Next, Priority, Push, PushError, Settings, Transport,
};
use schemas::{ApnsEnvironment, Timestamp};
use sim::apns::{Act, Refusal, Rule, answer::REASONS, authority};
use tests::{
    apns::{APP, Apple, account_for, alert, campaign, push_of, push_to},
    apns_inside::{Given, Namespace},
};

/// One transport with a simulator of its own for each promise.
struct Stage {
    transport: Transport,
    /// Where Apple's names lead to, in a namespace.
    given: Option<Given>,
}

impl Stage {
    async fn apple(&self) -> Apple {
        let mut settings = sim::apns::Settings {
            latency: Duration::from_millis(2),
            keep_payloads: true,
            ..sim::apns::Settings::default()
        };
        if let Some(given) = &self.given {
            given.apply(&mut settings);
        }
        Apple::start(settings).await
    }

    fn sender(&self, apple: &Apple) -> Apns {
        self.patient(apple, Duration::from_mins(1))
    }

    /// A sender that waits so long for an answer.
    fn patient(&self, apple: &Apple, answer_timeout: Duration) -> Apns {
        let settings = Settings { transport: self.transport, ..apple.settings() };
        Apns::open(Settings { answer_timeout, ..settings }).unwrap()
    }

    async fn conforms(&self) {
        self.what_is_sent_is_what_arrives().await;
        self.every_reason_means_what_the_table_says().await;
        self.a_gone_token_says_since_when().await;
        self.the_first_push_goes_alone().await;
        self.refused_streams_are_sent_again_at_once().await;
        self.a_lost_answer_is_unknown().await;
        self.a_goodbye_in_order_loses_nothing().await;
        self.a_cut_in_the_middle_loses_nothing().await;
        self.an_expired_provider_token_is_renewed().await;
        self.a_bad_credential_blocks_the_app().await;
        self.a_certificate_serves_its_app().await;
    }

    async fn what_is_sent_is_what_arrives(&self) {
        let apple = self.apple().await;
        let apns = self.sender(&apple);
        let tomorrow = Timestamp::now() + Duration::from_hours(24);
        let parts = MessageParts {
            priority: Some(Priority::PowerAware),
            expiration: Some(Expiration::At(tomorrow)),
            collapse_id: Some("score-é".parse().unwrap()),
            ..alert()
        };
        let mut push = push_of(parts, &"AB".repeat(80));
        let accepted = apns.send(&push).await.unwrap();
        assert_eq!(accepted, Accepted { id: push.id, unique_id: None });

        let delivered = apple.sim.deliveries().pop().unwrap();
        assert_eq!(delivered.id, push.id);
        assert_eq!(*delivered.device, "ab".repeat(80));
        assert_eq!(*delivered.topic, *APP);
        assert_eq!(delivered.environment, ApnsEnvironment::Production);
        assert_eq!(delivered.collapse_id.as_deref(), Some("score-é"));
        assert_eq!(delivered.priority, 5);
        assert_eq!(delivered.payload.as_ref(), Some(push.message.payload().as_bytes()));

        push.environment = ApnsEnvironment::Sandbox;
        let accepted = apns.send(&push).await.unwrap();
        assert!(accepted.unique_id.is_some(), "the sandbox gives a key for the delivery log");
        assert_eq!(apple.sim.deliveries().pop().unwrap().environment, ApnsEnvironment::Sandbox);
    }

    async fn every_reason_means_what_the_table_says(&self) {
        let apple = self.apple().await;
        for (number, (status, reason)) in REASONS.into_iter().enumerate() {
            // Its renewal has a test of its own.
            if reason == "ExpiredProviderToken" {
                continue;
            }
            let device = format!("{number:04x}");
            let refusal = Refusal::new(status, reason);
            apple.sim.add_rule(Rule::always(Act::Answer(refusal)).for_device(&device));
            let apns = self.sender(&apple);
            let error = apns.send(&push_to(&device)).await.unwrap_err();
            let expected = expected(status, reason);
            assert_eq!(error.label(), expected, "{status} {reason}: {error}");
        }
        assert_eq!(apple.sim.stats().delivered, 0);
    }

    async fn a_gone_token_says_since_when(&self) {
        let apple = self.apple().await;
        let apns = self.sender(&apple);
        let old = Timestamp::from_micros(1_700_000_000_123_000);
        let rows = [("old", "aa", old), ("new", "bb", Timestamp::now())];
        for (name, device, since) in rows {
            apple.sim.register(device, APP, ApnsEnvironment::Production);
            let millis = u64::try_from(since.as_micros() / 1000).unwrap();
            apple.sim.unregister(device, millis, "ExpiredToken");
            let error = apns.send(&push_to(device)).await.unwrap_err();
            let PushError::TokenGone { since: found, .. } = error else { panic!("{error}") };
            assert_eq!(found.as_micros() / 1000, since.as_micros() / 1000, "{name}");
        }

        apple.sim.register("bb", APP, ApnsEnvironment::Production);
        apns.send(&push_to("bb")).await.unwrap();
        apple.sim.register("cc", APP, ApnsEnvironment::Sandbox);
        let stranger = apns.send(&push_to("cc")).await.unwrap_err();
        assert_eq!(stranger.label(), "bad_token", "a token of the other environment");
        apple.sim.register("dd", "com.example.other", ApnsEnvironment::Production);
        let other = apns.send(&push_to("dd")).await.unwrap_err();
        assert_eq!(other.label(), "wrong_app");
    }

    async fn the_first_push_goes_alone(&self) {
        let apple = self.apple().await;
        let fates = campaign(&self.sender(&apple), 300, 300).await;

        assert_eq!(account_for(&apple.sim, &fates), 0);
        assert!(fates.values().all(|fate| fate.attempts == 1), "{:?}", apple.sim.stats());
        assert!(apple.sim.stats().most_streams > 10, "{:?}", apple.sim.stats());
    }

    async fn refused_streams_are_sent_again_at_once(&self) {
        let apple = self.apple().await;
        apple.sim.add_rule(Rule { every: 3, ..Rule::always(Act::RefuseStream) });
        let fates = campaign(&self.sender(&apple), 300, 50).await;

        assert_eq!(account_for(&apple.sim, &fates), 0);
        assert!(fates.values().all(|fate| fate.unknown == 0));
    }

    async fn a_lost_answer_is_unknown(&self) {
        let apple = self.apple().await;
        let rows = [
            ("10", Act::ResetStream { accepted: true }, Lost::Closed),
            ("11", Act::ResetStream { accepted: false }, Lost::Closed),
            ("12", Act::Silence { accepted: true }, Lost::TimedOut),
            ("13", Act::Cut { accepted: true }, Lost::Closed),
            ("14", Act::Cut { accepted: false }, Lost::Closed),
        ];
        for (device, act, lost) in rows {
            let patience = if lost == Lost::TimedOut { 3 } else { 60 };
            let apns = self.patient(&apple, Duration::from_secs(patience));
            apns.send(&push_to("ff")).await.unwrap();
            apple.sim.add_rule(Rule::always(act.clone()).for_device(device));
            let error = apns.send(&push_to(device)).await.unwrap_err();
            assert_eq!(error, PushError::Unknown(lost), "{act:?}");
            assert!(matches!(error.next(), Next::Again(_)), "{act:?}");
            apns.send(&push_to("ff")).await.unwrap();
        }
    }

    async fn a_goodbye_in_order_loses_nothing(&self) {
        let apple = self.apple().await;
        apple.sim.add_rule(Rule { every: 200, skip: 99, ..Rule::always(Act::GoAway) });
        let fates = campaign(&self.sender(&apple), 1_000, 100).await;

        assert_eq!(account_for(&apple.sim, &fates), 0);
        assert!(fates.values().all(|fate| fate.unknown == 0));
    }

    async fn a_cut_in_the_middle_loses_nothing(&self) {
        let apple = self.apple().await;
        for (skip, accepted) in [(100, true), (500, false)] {
            apple.sim.add_rule(Rule::once_after(skip, Act::Cut { accepted }));
        }
        let fates = campaign(&self.sender(&apple), 1_000, 100).await;

        let _twice = account_for(&apple.sim, &fates);
        assert!(fates.values().any(|fate| fate.unknown > 0));
    }

    async fn an_expired_provider_token_is_renewed(&self) {
        let apple = self.apple().await;
        let apns = self.sender(&apple);
        apns.send(&push_to("aa")).await.unwrap();
        let expired = || Act::Answer(Refusal::new(403, "ExpiredProviderToken"));

        apple.sim.add_rule(Rule::once_after(0, expired()));
        let error = apns.send(&push_to("aa")).await.unwrap_err();
        assert_eq!(error.label(), "app_blocked", "too young to be replaced: a clock is wrong");

        apple.minutes.store(30, Ordering::SeqCst);
        apple.sim.set_clock_ahead(Duration::from_mins(30));
        apple.sim.add_rule(Rule::once_after(0, expired()));
        apns.send(&push_to("aa")).await.unwrap();
        assert_eq!(apple.sim.stats().provider_tokens, 2);
    }

    async fn a_bad_credential_blocks_the_app(&self) {
        let apple = self.apple().await;
        let apns = self.sender(&apple);
        apns.send(&push_to("aa")).await.unwrap();
        let mut parts = alert();
        parts.app = "com.example.unknown".parse().unwrap();
        let unknown = apns.send(&push_of(parts, "aa")).await.unwrap_err();
        assert_eq!((unknown.label(), unknown.next()), ("app_blocked", Next::Park));

        apple.sim.revoke_key(tests::apns::KEY);
        let revoked = apns.send(&push_to("aa")).await.unwrap_err();
        assert_eq!((revoked.label(), revoked.next()), ("app_blocked", Next::Park));
        assert!(!format!("{revoked:?} {apns:?}").contains("eyJ"), "a provider token was printed");

        // A key in place of the one that was taken back is read without a restart.
        apple.write_key(tests::apns::KEY, &[ApnsEnvironment::Production]);
        apns.reload().await;
        apns.send(&push_to("aa")).await.unwrap();
        let mut push = push_to("aa");
        push.environment = ApnsEnvironment::Sandbox;
        let elsewhere = apns.send(&push).await.unwrap_err();
        assert_eq!(elsewhere.label(), "app_blocked", "a key of the other environment");
    }

    async fn a_certificate_serves_its_app(&self) {
        let apple = self.apple().await;
        let year = Duration::from_hours(365 * 24);
        let production = ApnsEnvironment::Production;
        let made = apple.sim.make_certificate(APP, production, year).unwrap();
        let file = apple.write_certificate(&made, "pass");
        let credential = CredentialSource::Certificate { file, password: "pass".into() };
        let only = vec![AppSettings { app: APP.parse().unwrap(), credential }];
        let apns = self.sender_for(&apple, only);
        apns.send(&push_to("aa")).await.unwrap();
        assert_eq!(apple.sim.stats().provider_tokens, 0);

        let mut push = push_to("aa");
        push.environment = ApnsEnvironment::Sandbox;
        assert_eq!(apns.send(&push).await.unwrap_err().label(), "app_blocked");
    }

    fn sender_for(&self, apple: &Apple, apps: Vec<AppSettings>) -> Apns {
        Apns::open(Settings { transport: self.transport, apps, ..apple.settings() }).unwrap()
    }
}

/// The table of the provider, once more and by hand.
fn expected(status: u16, reason: &str) -> &'static str {
    match (status, reason) {
        (400, "BadDeviceToken") => "bad_token",
        (400, "DeviceTokenNotForTopic") => "wrong_app",
        (400, "BadTopic" | "MissingTopic" | "TopicDisallowed") | (403, _) => "app_blocked",
        (400, "IdleTimeout") | (500 | 503, _) => "unavailable",
        (410, _) => "token_gone",
        (429, _) => "throttled",
        _ => "refused",
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_direct_transport_conforms() {
    Stage { transport: Transport::Direct, given: None }.conforms().await;
}

#[test]
fn the_transport_through_a2_conforms() {
    let Some(namespace) = Namespace::prepare() else {
        println!("left out: a2, because this user may have neither a mount namespace nor port 443");
        return;
    };
    let own = env::current_exe().unwrap();
    let mut inside =
        namespace.command(&[own.to_str().unwrap(), "--exact", "inside", "--nocapture"]);
    let output = inside.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("a2 conforms"), "{text}\n{errors}");
}

/// What runs in the namespace; by itself it has nothing to do.
#[tokio::test(flavor = "multi_thread")]
async fn inside() {
    let Some(given) = Given::read() else { return };
    Stage { transport: Transport::A2, given: Some(given) }.conforms().await;
    println!("a2 conforms");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_direct_transport_has_words_for_every_push() {
    let apple = Apple::start(sim::apns::Settings::default()).await;
    let parts = MessageParts { priority: Some(Priority::PowerFirst), ..alert() };
    let push = push_of(parts, "aa");
    let through_a2 = Settings { transport: Transport::A2, ..apple.settings() };
    let refused = Apns::open(through_a2).unwrap().send(&push).await.unwrap_err();

    assert_eq!(refused.label(), "refused");
    apple.sender(apple.settings()).send(&push).await.unwrap();
    assert_eq!(apple.sim.deliveries().pop().unwrap().priority, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn waits_that_apple_names_are_passed_on() {
    let apple = Apple::start(sim::apns::Settings::default()).await;
    let refusal = Refusal { retry_after: Some(7), ..Refusal::new(429, "TooManyRequests") };
    apple.sim.add_rule(Rule::always(Act::Answer(refusal)));
    let error = apple.sender(apple.settings()).send(&push_to("aa")).await.unwrap_err();

    let after = Duration::from_secs(7);
    assert_eq!(error, PushError::Throttled { limit: Limit::Device, after });
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_service_the_push_is_not_sent() {
    let apple = Apple::start(sim::apns::Settings::default()).await;
    let mut settings = apple.settings();
    settings.room_timeout = Duration::from_millis(300);
    // A port that was given back: nobody listens.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    settings.production = format!("https://{}", listener.local_addr().unwrap()).parse().unwrap();
    drop(listener);
    let apns = apple.sender(settings);
    let message = Arc::new(Message::new(alert()).unwrap());
    let push = Push { message, ..push_to("aa") };

    assert_eq!(apns.send(&push).await.unwrap_err().label(), "not_sent");
    let findings = apns.check().await;
    let wrong: Vec<_> = findings.iter().filter(|found| found.problem.is_some()).collect();
    assert_eq!((findings.len(), wrong.len()), (3, 1), "{findings:?}");
    assert!(wrong[0].what.contains("production"), "{wrong:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_in_apples_place_is_not_believed() {
    let apple = Apple::start(sim::apns::Settings::default()).await;
    let (_, other) = authority::make().unwrap();
    let mut settings = apple.settings();
    settings.roots = providers::apns::Roots::Only(other.into_bytes());
    settings.room_timeout = Duration::from_millis(300);

    let error = apple.sender(settings).send(&push_to("aa")).await.unwrap_err();
    assert_eq!(error.label(), "not_sent");
    assert_eq!(apple.sim.stats().delivered, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_cannot_be_used_leaves_the_one_in_force() {
    let apple = Apple::start(sim::apns::Settings::default()).await;
    let apns = apple.sender(apple.settings());
    apns.send(&push_to("aa")).await.unwrap();
    fs::write(apple.key_file(), "no key").unwrap();
    apns.reload().await;

    apns.send(&push_to("aa")).await.unwrap();
    let findings = apns.check().await;
    let problem = findings[0].problem.as_deref().unwrap_or_default();
    assert!(problem.contains("no private key"), "{findings:?}");
    assert_eq!(apple.sim.stats().provider_tokens, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_ends_soon_is_told_of() {
    let apple = Apple::start(sim::apns::Settings::default()).await;
    let day = Duration::from_hours(24);
    let made = apple.sim.make_certificate(APP, ApnsEnvironment::Production, day).unwrap();
    let file = apple.write_certificate(&made, "pass");
    let of = |password: &str| {
        let credential =
            CredentialSource::Certificate { file: file.clone(), password: password.into() };
        let apps = vec![AppSettings { app: APP.parse().unwrap(), credential }];
        Apns::open(Settings { apps, ..apple.settings() })
    };
    let findings = of("pass").unwrap().check().await;
    let problem = findings[0].problem.as_deref().unwrap_or_default();
    assert!(problem.contains("the certificate ends at"), "{findings:?}");

    let wrong = of("guess").unwrap_err().to_string();
    assert!(wrong.contains("password") && !wrong.contains("guess"), "{wrong}");
}
