//! The vocabulary of Feat: everything that travels between its parts or is stored by them.
//!
//! Job kinds and the life of a job, the stored aggregates, ids, time, scopes, error codes and
//! queue names. Nothing here does I/O; every transition is a pure function, so each rule can be
//! tested by itself and read in one place.

pub mod account;
pub mod api_key;
pub mod apns;
pub mod audit;
pub mod bill;
pub mod binding;
pub mod book_day;
pub mod card;
pub mod code;
pub mod device;
pub mod error_code;
pub mod event;
pub mod export;
pub mod guess;
pub mod id;
pub mod image;
pub mod job;
pub mod kinds;
pub mod locale;
pub mod matching;
pub mod message;
pub mod money;
pub mod payment;
pub mod profile;
pub mod push;
pub mod push_token;
pub mod queue;
pub mod redirect;
pub mod schedule;
pub mod scope;
pub mod time;
pub mod wallet;
pub mod webhook;

pub use apns::{ApnsEnvironment, BundleId, DeviceToken};
pub use bill::{BillRecord, BillSn, BillStatus};
pub use book_day::BookDay;
pub use error_code::ErrorCode;
pub use event::Event;
pub use id::{
    AccountId, AuditId, ClientId, DeviceId, ImageId, JobId, KeyId, PushId, PushTokenId, SessionId,
    UserId,
};
pub use job::{Job, JobError, JobRecord, JobSpec, JobState, RetryPolicy, Verdict};
pub use money::{Currency, Fen};
pub use payment::{Channel, ProviderKey, Scene};
pub use queue::Queue;
pub use redirect::RedirectUri;
pub use scope::{Scope, Scopes};
pub use time::Timestamp;
