//! What one request was counted against, for the headers of its reply.

use std::{
    fmt::Write as _,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use poem::http::{HeaderMap, HeaderName, HeaderValue};

use super::bucket::Standing;

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// Gathers where a caller stands while its request is worked on. Clones share one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Meter(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    standings: Mutex<Vec<Standing>>,
    vouched: AtomicBool,
}

impl Meter {
    fn standings(&self) -> MutexGuard<'_, Vec<Standing>> {
        self.0.standings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that the caller has proved something within the request and is counted by that: if it
    /// succeeds, it does not count against its address.
    pub(crate) fn vouch(&self) {
        self.0.vouched.store(true, Ordering::Relaxed);
    }

    /// Whether [`Self::vouch`] was called.
    pub(crate) fn is_vouched(&self) -> bool {
        self.0.vouched.load(Ordering::Relaxed)
    }

    /// The latest standing of each limit counts.
    pub(super) fn note(&self, standing: Standing) {
        let mut standings = self.standings();
        standings.retain(|before| before.policy != standing.policy);
        standings.push(standing);
    }

    pub(super) fn forget(&self, policy: &str) {
        self.standings().retain(|standing| standing.policy != policy);
    }

    /// Writes the headers, if the request was counted at all.
    pub(crate) fn write(&self, headers: &mut HeaderMap) {
        let standings = self.standings();
        if standings.is_empty() {
            return;
        }
        let (mut policies, mut limits) = (String::new(), String::new());
        for (index, standing) in standings.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            let Standing { policy, quota, remaining, reset } = standing;
            let (window, reset) = (quota.window.as_secs(), reset.as_secs_f64().ceil());
            // Writing to a String cannot fail.
            let _ = write!(policies, "{comma}\"{policy}\";q={};w={window}", quota.requests);
            let _ = write!(limits, "{comma}\"{policy}\";r={remaining};t={reset:.0}");
        }
        for (name, value) in [(RATE_LIMIT_POLICY, policies), (RATE_LIMIT, limits)] {
            if let Ok(value) = HeaderValue::try_from(value) {
                headers.insert(name, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::settings::Quota;

    #[test]
    fn headers_are_lists_of_structured_fields() {
        let meter = Meter::default();
        let mut headers = HeaderMap::new();
        meter.write(&mut headers);
        assert!(headers.is_empty());

        let standing = |policy, remaining| Standing {
            policy,
            quota: Quota::per_minute(600),
            remaining,
            reset: Duration::from_millis(1_100),
        };
        meter.note(standing("client", 3));
        meter.note(standing("user", 10));
        meter.note(standing("user", 9));
        meter.write(&mut headers);

        assert_eq!(headers["ratelimit-policy"], "\"client\";q=600;w=60, \"user\";q=600;w=60");
        assert_eq!(headers["ratelimit"], "\"client\";r=3;t=2, \"user\";r=9;t=2");
    }
}
