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
