//! What a repository asks of an engine: a small language that both engines speak.

/// Path of a field in a record, such as `idempotency.key`.
pub(crate) type Field = &'static str;

/// A value that fields are compared with.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Value {
    Text(String),
    Number(i64),
}

impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Number(number) => number.fmt(f),
        }
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

macro_rules! text_value {
    ($($type:ty),+) => {
        $(impl From<$type> for Value {
            fn from(value: $type) -> Self {
                Self::Text(value.to_string())
            }
        })+
    };
}

text_value!(
    schemas::Timestamp,
    schemas::JobId,
    schemas::SessionId,
    schemas::DeviceId,
    schemas::KeyId,
    schemas::AuditId,
    schemas::PushId,
    schemas::BookDay,
    &schemas::ClientId,
    &schemas::BillSn
);

macro_rules! number_value {
    ($($type:ty),+) => {
        $(impl From<$type> for Value {
            fn from(value: $type) -> Self {
                Self::Number(value.get())
            }
        })+
    };
}

number_value!(schemas::UserId, schemas::ImageId, schemas::PushTokenId);

/// One condition. A comparison never holds for a field that is absent.
#[derive(Debug, Clone)]
pub(crate) enum Condition {
    Eq(Field, Value),
    In(Field, Vec<Value>),
    Lt(Field, Value),
    Lte(Field, Value),
    Gt(Field, Value),
    Gte(Field, Value),
    /// The field is not there.
    Absent(Field),
    /// The list has every one of these.
    ContainsAll(Field, Vec<String>),
    /// The list has at least one of these.
    Overlaps(Field, Vec<String>),
}

/// Direction of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    Ascending,
    Descending,
}

/// Records for which every condition holds, in an order, cut to a page.
#[derive(Debug, Clone, Default)]
pub(crate) struct Query {
    pub(crate) all: Vec<Condition>,
    pub(crate) sort: Vec<(Field, Direction)>,
    pub(crate) offset: u64,
    /// At most this many; `None` for all, which only counting uses.
    pub(crate) limit: Option<u64>,
}

impl Query {
    pub(crate) fn all(all: Vec<Condition>) -> Self {
        Self { all, ..Self::default() }
    }

    pub(crate) fn sorted(mut self, field: Field, direction: Direction) -> Self {
        self.sort.push((field, direction));
        self
    }

    pub(crate) fn limited(mut self, limit: usize) -> Self {
        self.limit = Some(u64::try_from(limit).unwrap_or(u64::MAX));
        self
    }
}

/// The questions that are asked often, with the collection that each is about: every one of them
/// must be answered by an index.
#[cfg(test)]
pub(crate) fn samples() -> Vec<(&'static str, &'static str, Query)> {
    use schemas::{
        ApnsEnvironment, AuditId, BillStatus, BookDay, BundleId, ImageId, JobId, JobState, KeyId,
        PushId, PushTokenId, Queue, SessionId, Timestamp, UserId, push_token::PushTokenState,
    };

    use crate::{AuditFilter, BillFilter, ImageFilter, JobFilter, PushTokenFilter};
    use crate::{
        audit, bills, bindings, codes, devices, guesses, images, jobs, keys, matches,
        push_tokens::queries as pushed, pushes, sessions, users,
    };

    let (now, user) = (Timestamp::now(), UserId::FEAT);
    let own = JobFilter { owner: Some(user), ..JobFilter::default() };
    let tagged = ImageFilter {
        owner: user,
        include_deleted: false,
        tags_all: vec!["a".to_owned()],
        tags_any: vec!["b".to_owned(), "c".to_owned()],
    };
    let push = PushId::generate();
    let device = PushTokenId::generate();
    let app: BundleId = "com.example.notes".parse().unwrap_or_else(|_| unreachable!("a bundle id"));
    let segment = PushTokenFilter::of(app.clone(), ApnsEnvironment::Production);
    let local = PushTokenFilter { locale: Some("fr-FR".to_owned()), ..segment.clone() };
    let versioned = PushTokenFilter { app_version: Some("1.2".to_owned()), ..segment.clone() };
    let languages = pushed::next_locale(&app, ApnsEnvironment::Production, "zh", Some("zh-CN"));
    let own_bills = BillFilter { owner: user, statuses: vec![BillStatus::Paid] };
    let ids = vec![JobId::generate().into()];
    let due = [JobState::Scheduled, JobState::Waiting, JobState::Unknown];
    let lte = || Condition::Lte("wake_at", now.into());
    vec![
        ("job by id", "jobs", Query::all(vec![Condition::In("id", ids)])),
        ("by idempotency key", "jobs", jobs::by_key(user, "idempotency.key", "k")),
        ("by unique key", "jobs", jobs::by_key(user, "unique_key", "k")),
        ("own jobs", "jobs", jobs::listed(&own, Some(JobId::generate()), 20)),
        ("due", "jobs", jobs::awake(&due, &Queue::ALL, lte(), 500)),
        ("lapsed", "jobs", jobs::awake(&[JobState::Running], &Queue::ALL, lte(), 500)),
        ("lingering", "jobs", jobs::awake(&[JobState::Queued], &[Queue::Images], lte(), 500)),
        ("settled", "jobs", jobs::settled(now, 500)),
        (
            "image by id",
            "images",
            Query::all(vec![Condition::In("id", vec![ImageId::generate().into()])]),
        ),
        ("by file name", "images", images::by_file_name(user, "a.png")),
        ("own images by tag", "images", images::listed(&tagged, &[], 0, 20)),
        ("own devices", "push_tokens", pushed::owned(user, Some(device), 20)),
        ("devices by number", "push_tokens", pushed::numbered(&[device])),
        ("devices of users", "push_tokens", pushed::reached(&[user])),
        ("devices of an app", "push_tokens", pushed::listed(&segment, Some(device), 500)),
        ("devices by locale", "push_tokens", pushed::listed(&local, Some(device), 500)),
        ("languages of devices", "push_tokens", languages),
        ("devices by version", "push_tokens", pushed::listed(&versioned, Some(device), 500)),
        (
            "devices that nobody registers",
            "push_tokens",
            pushed::quiet(&app, ApnsEnvironment::Production, now, 500),
        ),
        (
            "devices signed out by themselves",
            "push_tokens",
            pushed::signed_out(&app, ApnsEnvironment::Production, now, 500),
        ),
        (
            "devices in a state",
            "push_tokens",
            pushed::standing(&app, ApnsEnvironment::Production, PushTokenState::Active),
        ),
        ("devices in a state since", "push_tokens", {
            let (environment, state) = (ApnsEnvironment::Production, PushTokenState::Quarantined);
            pushed::standing_since(&app, environment, state, Some(now), now, 500)
        }),
        ("apps with devices", "push_tokens", pushed::next_app(Some(&app))),
        ("corrected devices", "push_tokens", pushed::corrected(&app, ApnsEnvironment::Production)),
        ("unreported devices", "push_tokens", pushed::unreported(now, 500)),
        ("own campaigns", "push_campaigns", pushes::listed(Some(user), Some(push), 20)),
        ("ended campaigns", "push_campaigns", pushes::settled(now, 500)),
        ("shards", "push_shards", pushes::numbered(user, push, Some(3), 500)),
        ("open shards", "push_shards", pushes::open(user, push, Some(3), 500)),
        ("devices of the last shard", "push_targets", {
            pushes::of(user, push).sorted("seq", Direction::Descending).limited(1)
        }),
        ("by client reference", "bills", bills::by_client_ref(user, "a")),
        ("own bills", "bills", bills::listed(&own_bills, 0, 20)),
        ("held refunds", "bills", bills::held(None, 20)),
        ("moved money", "bills", bills::moved("2026-11-23T00:00:00", 500)),
        ("reports of a day", "match_reports", matches::of_day(BookDay::published(now), 100)),
        ("old pages", "match_pages", matches::older("a", JobId::generate(), 100)),
        ("by username", "users", users::by_username("a")),
        ("device of a user", "devices", devices::by_device(user, "web:1")),
        ("devices of a user", "devices", devices::listed(user, 20)),
        ("expired sign-ins", "sessions", sessions::expired(now, 500)),
        ("expired codes", "codes", codes::expired(now, 500)),
        ("expired consents", "bind_states", bindings::expired(now, 500)),
        ("own sign-ins", "sessions", sessions::live(user, now, Some(SessionId::generate()), 20)),
        ("own keys", "api_keys", keys::listed(Some(user), Some(KeyId::generate()), 20)),
        ("old guesses", "guesses", guesses::expired(now, 500)),
        ("audit of a user", "audit", {
            let filter = AuditFilter { owner: Some(user), ..AuditFilter::default() };
            audit::listed(&filter, Some(AuditId::generate()), 20)
        }),
    ]
}
