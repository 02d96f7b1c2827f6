//! Messages that a provider sends by itself, and the answers it expects.

use reqwest::header::HeaderMap;

use super::News;

/// Largest notice that is read, in bytes.
pub const MAX_NOTICE_BYTES: usize = 64 * 1024;

/// A notice as it arrived: nothing decoded, nothing trusted.
#[derive(Debug, Clone, Copy)]
pub struct RawNotify<'a> {
    /// The headers of the request.
    pub headers: &'a HeaderMap,
    /// The bytes of the body.
    pub body: &'a [u8],
}

/// A notice whose signature, app and merchant were checked. Its amount is for the caller to
/// compare with the bill.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Names the event; repeats of it have the same one. At most 64 characters.
    pub id: String,
    /// What it says.
    pub news: News,
    /// Whether the provider wants the news confirmed by a query before anything is delivered.
    pub confirm_by_query: bool,
}

/// Why a notice is not believed, sorted by how loud that must be. Nothing may change for any of
/// them; [`Gateway::acknowledge`](super::Gateway::acknowledge) with
/// [`NoticeAnswer::Refused`] makes the answer.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum NotifyError {
    /// The signature is absent or wrong, or names a key that the provider does not have.
    #[error("signature is not the provider's")]
    Forged,
    /// The provider tests whether wrong signatures are refused. Refuse it, without an alarm.
    #[error("signature is a probe")]
    Probe,
    /// The signature is the provider's, and the message is for another app or merchant.
    #[error("message is for somebody else")]
    Foreign,
    /// The message was signed too long ago or in the future.
    #[error("message is too old")]
    Stale,
    /// It cannot be read: too large, not the documented form, or it tries what is forbidden (such
    /// as a DOCTYPE). The text names the trouble, not the content.
    #[error("message cannot be read: {0}")]
    Malformed(&'static str),
    /// The keys to judge it are not at hand; the provider sends it again. The operator must act
    /// when that lasts.
    #[error("keys to judge the message are not at hand")]
    Unready,
}

/// What Feat made of a notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoticeAnswer {
    /// Recorded, now or earlier: the provider need not send it again.
    Taken,
    /// Not believed. A provider that meant it sends it again on its schedule.
    Refused,
    /// It could not be judged or recorded now: the provider sends it again on its schedule.
    Later,
}

/// An answer in the provider's exact form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawReply {
    /// Status of HTTP.
    pub status: u16,
    /// Content type; `None` when there is no body.
    pub content_type: Option<&'static str>,
    /// The body, byte for byte.
    pub body: &'static str,
}
