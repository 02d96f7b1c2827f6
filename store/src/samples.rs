//! The questions that are asked often, by collection: every one of them must be answered by an
//! index.

use schemas::{
    ApnsEnvironment, AuditId, BillSn, BillStatus, BookDay, BundleId, ImageId, JobId, JobState,
    KeyId, PushId, PushTokenId, Queue, SessionId, Timestamp, UserId, push_token::PushTokenState,
};

use crate::{
    AuditFilter, BillFilter, BillSearch, ImageFilter, JobFilter, PushTokenFilter, audit, bills,
    bindings, codes, devices, guesses, images, jobs, keys, matches,
    push_tokens::queries as pushed,
    pushes,
    query::{Condition, Query},
    sessions, users,
};

/// What is asked of which collection.
pub(crate) type Sample = (&'static str, &'static str, Query);

const USER: UserId = UserId::FEAT;
const SITE: ApnsEnvironment = ApnsEnvironment::Production;

/// All of them.
pub(crate) fn samples() -> Vec<Sample> {
    [of_jobs(), of_images(), of_push_tokens(), of_pushes(), of_money(), of_people()].concat()
}

fn of(collection: &'static str, questions: Vec<(&'static str, Query)>) -> Vec<Sample> {
    questions.into_iter().map(|(name, query)| (name, collection, query)).collect()
}

fn by_id(id: impl Into<crate::query::Value>) -> Query {
    Query::all(vec![Condition::In("id", vec![id.into()])])
}

fn of_jobs() -> Vec<Sample> {
    let own = JobFilter { owner: Some(USER), ..JobFilter::default() };
    let due = [JobState::Scheduled, JobState::Waiting, JobState::Unknown];
    let lte = || Condition::Lte("wake_at", Timestamp::now().into());
    of(
        "jobs",
        vec![
            ("job by id", by_id(JobId::generate())),
            ("by idempotency key", jobs::by_key(USER, "idempotency.key", "k")),
            ("by unique key", jobs::by_key(USER, "unique_key", "k")),
            ("own jobs", jobs::listed(&own, Some(JobId::generate()), 20)),
            ("due", jobs::awake(&due, &Queue::ALL, lte(), 500)),
            ("lapsed", jobs::awake(&[JobState::Running], &Queue::ALL, lte(), 500)),
            ("lingering", jobs::awake(&[JobState::Queued], &[Queue::Images], lte(), 500)),
            ("settled", jobs::settled(Timestamp::now(), 500)),
        ],
    )
}

fn of_images() -> Vec<Sample> {
    let tagged = ImageFilter {
        owner: USER,
        include_deleted: false,
        tags_all: vec!["a".to_owned()],
        tags_any: vec!["b".to_owned(), "c".to_owned()],
    };
    of(
        "images",
        vec![
            ("image by id", by_id(ImageId::generate())),
            ("by file name", images::by_file_name(USER, "a.png")),
            ("own images by tag", images::listed(&tagged, &[], 0, 20)),
        ],
    )
}

fn of_push_tokens() -> Vec<Sample> {
    let (now, device) = (Timestamp::now(), PushTokenId::generate());
    let app: BundleId = "com.example.notes".parse().unwrap_or_else(|_| unreachable!("a bundle id"));
    let segment = PushTokenFilter::of(app.clone(), SITE);
    let local = PushTokenFilter { locale: Some("fr-FR".to_owned()), ..segment.clone() };
    let versioned = PushTokenFilter { app_version: Some("1.2".to_owned()), ..segment.clone() };
    let since =
        pushed::standing_since(&app, SITE, PushTokenState::Quarantined, Some(now), now, 500);
    of(
        "push_tokens",
        vec![
            ("own devices", pushed::owned(USER, Some(device), 20)),
            ("devices by number", pushed::numbered(&[device])),
            ("devices of users", pushed::reached(&[USER])),
            ("devices of an app", pushed::listed(&segment, Some(device), 500)),
            ("devices by locale", pushed::listed(&local, Some(device), 500)),
            ("languages of devices", pushed::next_locale(&app, SITE, "zh", Some("zh-CN"))),
            ("devices by version", pushed::listed(&versioned, Some(device), 500)),
            ("devices that nobody registers", pushed::quiet(&app, SITE, now, 500)),
            ("devices signed out by themselves", pushed::signed_out(&app, SITE, now, 500)),
            ("devices in a state", pushed::standing(&app, SITE, PushTokenState::Active)),
            ("devices in a state since", since),
            ("apps with devices", pushed::next_app(Some(&app))),
            ("corrected devices", pushed::corrected(&app, SITE)),
            ("unreported devices", pushed::unreported(now, 500)),
        ],
    )
}

fn of_pushes() -> Vec<Sample> {
    let push = PushId::generate();
    let last = pushes::of(USER, push).sorted("seq", crate::query::Direction::Descending).limited(1);
    vec![
        ("own campaigns", "push_campaigns", pushes::listed(Some(USER), Some(push), 20)),
        ("ended campaigns", "push_campaigns", pushes::settled(Timestamp::now(), 500)),
        ("shards", "push_shards", pushes::numbered(USER, push, Some(3), 500)),
        ("open shards", "push_shards", pushes::open(USER, push, Some(3), 500)),
        ("devices of the last shard", "push_targets", last),
    ]
}

fn of_money() -> Vec<Sample> {
    let now = Timestamp::now();
    let own = BillFilter { owner: USER, statuses: vec![BillStatus::Paid] };
    let timed = BillSearch { owner: Some(USER), made_from: Some(now), ..BillSearch::default() };
    vec![
        ("by client reference", "bills", bills::by_client_ref(USER, "a")),
        ("own bills", "bills", bills::listed(&own, 0, 20)),
        ("bills of a time", "bills", bills::searched(&timed, Some(&BillSn::generate(now)), 20)),
        ("held refunds", "bills", bills::held(None, 20)),
        ("moved money", "bills", bills::moved("2026-11-23T00:00:00", 500)),
        ("old reports", "match_reports", matches::earlier(BookDay::published(now), 100)),
        ("pages of a report", "match_pages", matches::pages_of("alipay:1:2026-11-22", 100)),
        ("reports of a day", "match_reports", matches::of_day(BookDay::published(now), 100)),
        ("old pages", "match_pages", matches::older("a", JobId::generate(), 100)),
        ("expired consents", "bind_states", bindings::expired(now, 500)),
    ]
}

fn of_people() -> Vec<Sample> {
    let now = Timestamp::now();
    let acts = AuditFilter { owner: Some(USER), ..AuditFilter::default() };
    vec![
        ("by username", "users", users::by_username("a")),
        ("device of a user", "devices", devices::by_device(USER, "web:1")),
        ("devices of a user", "devices", devices::listed(USER, 20)),
        ("expired devices", "devices", devices::expired(now, 500)),
        ("expired sign-ins", "sessions", sessions::expired(now, 500)),
        ("own sign-ins", "sessions", sessions::live(USER, now, Some(SessionId::generate()), 20)),
        ("expired codes", "codes", codes::expired(now, 500)),
        ("own keys", "api_keys", keys::listed(Some(USER), Some(KeyId::generate()), 20)),
        ("old guesses", "guesses", guesses::expired(now, 500)),
        ("audit of a user", "audit", audit::listed(&acts, Some(AuditId::generate()), 20)),
    ]
}
