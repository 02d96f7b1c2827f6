//! The whole table, row by row.

use super::*;

const NOW: i64 = 1_800_000_000_000_000;

fn reason(text: &'static str) -> Reason {
    Reason::local(text)
}

fn blocked(text: &'static str, then: Then) -> Ruling {
    Ruling { outcome: Err(PushError::AppBlocked { reason: reason(text) }), then }
}

fn refused(text: &'static str) -> Ruling {
    Ruling { outcome: Err(PushError::Refused { reason: reason(text) }), then: Then::Keep }
}

fn unavailable(text: &'static str, secs: u64, then: Then) -> Ruling {
    let after = Duration::from_secs(secs);
    Ruling { outcome: Err(PushError::Unavailable { reason: reason(text), after }), then }
}

fn throttled(limit: Limit, secs: u64, then: Then) -> Ruling {
    let after = Duration::from_secs(secs);
    Ruling { outcome: Err(PushError::Throttled { limit, after }), then }
}

fn gone(text: &'static str, micros: i64) -> Ruling {
    let since = Timestamp::from_micros(micros);
    Ruling { outcome: Err(PushError::TokenGone { since, reason: reason(text) }), then: Then::Keep }
}

fn unknown() -> Ruling {
    Ruling { outcome: Err(PushError::Unknown(Lost::Unreadable)), then: Then::Replace }
}

fn ruled(status: u16, reason: &str, timestamp: Option<u64>) -> Ruling {
    let reason = (!reason.is_empty()).then(|| reason.to_owned());
    let answer = Answer { status, reason, timestamp, ..Answer::default() };
    rule(&answer, Timestamp::from_micros(NOW))
}

#[test]
fn every_reason_has_its_meaning() {
    let bad = PushError::BadToken { reason: reason("BadDeviceToken") };
    let wrong = PushError::WrongApp { reason: reason("DeviceTokenNotForTopic") };
    let keep = |error| Ruling { outcome: Err(error), then: Then::Keep };
    let rows = [
        (200, "", Ruling { outcome: Ok(()), then: Then::Keep }),
        (400, "BadDeviceToken", keep(bad)),
        (400, "DeviceTokenNotForTopic", keep(wrong)),
        (400, "BadTopic", blocked("BadTopic", Then::Keep)),
        (400, "MissingTopic", blocked("MissingTopic", Then::Keep)),
        (400, "TopicDisallowed", blocked("TopicDisallowed", Then::Keep)),
        (400, "MissingDeviceToken", refused("MissingDeviceToken")),
        (400, "BadCollapseId", refused("BadCollapseId")),
        (400, "BadExpirationDate", refused("BadExpirationDate")),
        (400, "BadMessageId", refused("BadMessageId")),
        (400, "BadPriority", refused("BadPriority")),
        (400, "InvalidPushType", refused("InvalidPushType")),
        (400, "DuplicateHeaders", refused("DuplicateHeaders")),
        (400, "PayloadEmpty", refused("PayloadEmpty")),
        (400, "IdleTimeout", unavailable("IdleTimeout", 5, Then::Replace)),
        (403, "ExpiredProviderToken", blocked("ExpiredProviderToken", Then::Renew)),
        (403, "InvalidProviderToken", blocked("InvalidProviderToken", Then::Keep)),
        (403, "MissingProviderToken", blocked("MissingProviderToken", Then::Keep)),
        (403, "UnrelatedKeyIdInToken", blocked("UnrelatedKeyIdInToken", Then::Replace)),
        (403, "BadEnvironmentKeyIdInToken", blocked("BadEnvironmentKeyIdInToken", Then::Keep)),
        (403, "BadEnvironmentKeyInToken", blocked("BadEnvironmentKeyInToken", Then::Keep)),
        (403, "BadCertificate", blocked("BadCertificate", Then::Keep)),
        (403, "BadCertificateEnvironment", blocked("BadCertificateEnvironment", Then::Keep)),
        (403, "Forbidden", blocked("Forbidden", Then::Keep)),
        (404, "BadPath", refused("BadPath")),
        (405, "MethodNotAllowed", refused("MethodNotAllowed")),
        (410, "Unregistered", gone("Unregistered", NOW)),
        (410, "ExpiredToken", gone("ExpiredToken", NOW)),
        (413, "PayloadTooLarge", refused("PayloadTooLarge")),
        (429, "TooManyRequests", throttled(Limit::Device, 60, Then::Keep)),
        (
            429,
            "TooManyProviderTokenUpdates",
            throttled(Limit::ProviderToken, 20 * 60, Then::HoldToken),
        ),
        (500, "InternalServerError", unavailable("InternalServerError", 15 * 60, Then::Keep)),
        (503, "ServiceUnavailable", unavailable("ServiceUnavailable", 30, Then::Keep)),
        (503, "Shutdown", unavailable("Shutdown", 30, Then::Replace)),
    ];
    for (status, word, expected) in rows {
        assert_eq!(ruled(status, word, None), expected, "{status} {word}");
    }
}

#[test]
fn what_apple_has_not_written_down_is_never_taken_for_more_than_it_says() {
    let rows = [
        ("400 of a new reason", 400, "NewReason", refused("NewReason")),
        ("400 without a reason", 400, "", refused("NoReasonGiven")),
        ("403 of a new reason", 403, "NewReason", blocked("NewReason", Then::Keep)),
        ("410 of a new reason", 410, "NewReason", gone("NewReason", NOW)),
        ("429 of a new reason", 429, "NewReason", throttled(Limit::Device, 60, Then::Keep)),
        ("418", 418, "Teapot", refused("Teapot")),
        ("500 without a reason", 500, "", unavailable("NoReasonGiven", 15 * 60, Then::Keep)),
        (
            "a reason of another status",
            500,
            "BadDeviceToken",
            unavailable("BadDeviceToken", 15 * 60, Then::Keep),
        ),
        ("502 of a gateway", 502, "", unknown()),
        ("504 of a gateway", 504, "", unknown()),
        ("202", 202, "", unknown()),
        ("302", 302, "", unknown()),
        ("no status at all", 0, "", unknown()),
        ("a reason with a line break", 400, "Bad\r\nThing: x", refused("BadThingx")),
    ];
    for (name, status, word, expected) in rows {
        assert_eq!(ruled(status, word, None), expected, "{name}");
    }
}

#[test]
fn a_token_never_ends_in_the_future() {
    let now = u64::try_from(NOW / 1000).unwrap_or_default();
    let rows = [
        ("old", Some(1_700_000_000_123), 1_700_000_000_123_000),
        ("now", Some(now), NOW),
        ("ahead of our clock", Some(now + 60_000), NOW),
        ("absurd", Some(u64::MAX), NOW),
        ("beyond 64 bits of microseconds", Some(i64::MAX as u64), NOW),
        ("1970", Some(0), 0),
        ("not named", None, NOW),
    ];
    for (name, timestamp, expected) in rows {
        assert_eq!(ruled(410, "Unregistered", timestamp), gone("Unregistered", expected), "{name}");
    }
}

#[test]
fn a_wait_that_the_peer_names_is_honoured_within_an_hour() {
    let rows = [("named", 7, 7), ("absurd", 86_400 * 365, 3600), ("none at all", 0, 0)];
    for (name, seconds, expected) in rows {
        let retry_after = Some(Duration::from_secs(seconds));
        let answer = Answer { status: 429, retry_after, ..Answer::default() };
        let found = rule(&answer, Timestamp::from_micros(NOW));
        assert_eq!(found, throttled(Limit::Device, expected, Then::Keep), "{name}");
    }
}

#[test]
fn only_what_was_certainly_not_refused_is_sent_again() {
    let word = || reason("Any");
    let after = Duration::from_secs(9);
    let rows = [
        (PushError::TokenGone { since: Timestamp::from_micros(0), reason: word() }, Next::Drop),
        (PushError::BadToken { reason: word() }, Next::Drop),
        (PushError::WrongApp { reason: word() }, Next::Drop),
        (PushError::Refused { reason: word() }, Next::Drop),
        (PushError::AppBlocked { reason: word() }, Next::Park),
        (PushError::AppBlocked { reason: reason("Forbidden") }, Next::Drop),
        (PushError::Throttled { limit: Limit::Device, after }, Next::Again(after)),
        (PushError::Unavailable { reason: word(), after }, Next::Again(after)),
        (PushError::NotSent { why: "test".into(), after }, Next::Again(after)),
        (PushError::Unknown(Lost::TimedOut), Next::Again(AFTER_LOST)),
    ];
    for (error, expected) in rows {
        assert_eq!(error.next(), expected, "{error:?}");
    }
}
