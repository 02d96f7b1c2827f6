//! Why the broker did not do as asked, sorted by what the caller may do next.

/// Why a publication was not confirmed. After each of them the sweep sends the job later, and
/// sending it again at any time is safe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// No connection: nothing was sent.
    #[error("the broker is not connected")]
    Down,
    /// The broker takes no messages at the moment because it is short of memory or disk.
    #[error("the broker is blocked")]
    Blocked,
    /// The queue was missing; it is being declared again.
    #[error("the queue is missing at the broker")]
    Unroutable,
    /// Sent, but no confirm came in time or the connection was lost before: it may have arrived.
    #[error("the broker did not confirm")]
    Unconfirmed,
    /// The queue holds as much as it may.
    #[error("the queue is full")]
    Full,
}

impl PublishError {
    /// Every error.
    pub const ALL: [Self; 5] =
        [Self::Down, Self::Blocked, Self::Unroutable, Self::Unconfirmed, Self::Full];

    /// Name in metrics.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Down => "down",
            Self::Blocked => "blocked",
            Self::Unroutable => "unroutable",
            Self::Unconfirmed => "unconfirmed",
            Self::Full => "full",
        }
    }
}

/// Why a question to the broker has no answer. Names no credentials.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BrokerError {
    /// Not connected, or no answer in time: ask again later.
    #[error("RabbitMQ is unavailable: {0}")]
    Unavailable(String),
    /// The server answered and refused (login, vhost, permission, a queue declared otherwise):
    /// asking again helps only after an operator has changed something.
    #[error("RabbitMQ refused: {0}")]
    Refused(String),
}

/// The setting is no AMQP address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an address of the form amqp://user:password@host:5672/vhost")]
pub struct InvalidUri;
