//! Limits of requests: for each user, for each client, and for each address without credentials.
//!
//! What a caller has left stands in `RateLimit` and `RateLimit-Policy` of the reply
//! (draft-ietf-httpapi-ratelimit-headers); beyond it there is 429 with `Retry-After`. Wrong
//! passwords have bounds of their own, in `auth::guesses`.

mod bucket;
mod meter;

use std::{
    hash::Hash,
    net::IpAddr,
    time::{Duration, Instant},
};

use schemas::{ClientId, UserId};

use self::bucket::Buckets;
pub(crate) use self::{bucket::Exhausted, meter::Meter};
use crate::settings::{Quota, RateLimits, caller_network};

/// Refusals of one client that go to the audit record.
const REFUSALS: Quota = Quota { requests: 20, window: Duration::from_hours(1) };

/// How much more than of the API an address may have of the files of pictures: a page of a gallery
/// shows a hundred.
const FILES_FACTOR: u32 = 10;

/// The counts of this process.
#[derive(Debug)]
pub(crate) struct Rates {
    start: Instant,
    address: Option<Buckets<IpAddr>>,
    files: Option<Buckets<IpAddr>>,
    user: Option<Buckets<UserId>>,
    client: Option<Buckets<u64>>,
    refusals: Buckets<u64>,
}

impl Rates {
    pub(crate) fn new(limits: &RateLimits) -> Self {
        fn buckets<K: Hash + Eq + Copy>(
            name: &'static str,
            quota: Option<Quota>,
            remembered: usize,
        ) -> Option<Buckets<K>> {
            Some(Buckets::new(name, quota?, remembered))
        }
        let files = limits
            .address
            .map(|quota| Quota { requests: quota.requests.saturating_mul(FILES_FACTOR), ..quota });
        Self {
            start: Instant::now(),
            address: buckets("address", limits.address, limits.remembered),
            files: buckets("files", files, limits.remembered),
            user: buckets("user", limits.user, limits.remembered),
            client: buckets("client", limits.client, limits.remembered),
            refusals: Buckets::new("refusal", REFUSALS, limits.remembered),
        }
    }

    /// Counts a request of `user`.
    ///
    /// # Errors
    ///
    /// [`Exhausted`]: answer 429.
    pub(crate) fn user(&self, user: UserId, meter: &Meter) -> Result<(), Exhausted> {
        self.count(self.user.as_ref(), user, meter)
    }

    /// Counts a request that a client makes for itself.
    ///
    /// # Errors
    ///
    /// [`Exhausted`]: answer 429.
    pub(crate) fn client(&self, client: &ClientId, meter: &Meter) -> Result<(), Exhausted> {
        self.count(self.client.as_ref(), name(client), meter)
    }

    /// Counts a request that a user proved within it in place of its address, if the user has any
    /// left; otherwise it stays with the address.
    pub(crate) fn proved(&self, user: UserId, meter: &Meter) {
        if let Some(buckets) = &self.user {
            let Ok(standing) = buckets.take(user, self.now()) else { return };
            meter.note(standing);
        }
        meter.vouch();
    }

    /// Whether the refusal of a request in the name of `client` may go to the audit record: twenty an
    /// hour in this process.
    pub(crate) fn refusal(&self, client: &ClientId) -> bool {
        self.refusals.take(name(client), self.now()).is_ok()
    }

    /// Counts a request from `address` that came without good credentials.
    ///
    /// # Errors
    ///
    /// [`Exhausted`]: answer 429.
    pub(crate) fn address(&self, address: IpAddr, meter: &Meter) -> Result<(), Exhausted> {
        self.count(self.address.as_ref(), caller_network(address), meter)
    }

    /// Takes back a count of [`Self::address`]: the request proved good after all.
    pub(crate) fn excuse(&self, address: IpAddr, meter: &Meter) {
        if let Some(buckets) = &self.address {
            buckets.give_back(caller_network(address));
            meter.forget("address");
        }
    }

    /// Counts a request from `address` for a file.
    ///
    /// # Errors
    ///
    /// [`Exhausted`]: answer 429.
    pub(crate) fn file(&self, address: IpAddr, meter: &Meter) -> Result<(), Exhausted> {
        self.count(self.files.as_ref(), caller_network(address), meter)
    }

    fn count<K: Hash + Eq + Copy>(
        &self,
        buckets: Option<&Buckets<K>>,
        key: K,
        meter: &Meter,
    ) -> Result<(), Exhausted> {
        let Some(buckets) = buckets else { return Ok(()) };
        match buckets.take(key, self.now()) {
            Ok(standing) => {
                meter.note(standing);
                Ok(())
            }
            Err(exhausted) => {
                let policy = exhausted.standing.policy;
                metrics::counter!("feat_rate_limited_total", "policy" => policy).increment(1);
                meter.note(exhausted.standing);
                Err(exhausted)
            }
        }
    }

    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    /// Shows in the metrics how many callers are remembered.
    pub(crate) fn record(&self) {
        let gauge = |policy: &'static str, keys: Option<usize>| {
            let keys = u32::try_from(keys.unwrap_or_default()).unwrap_or(u32::MAX);
            metrics::gauge!("feat_rate_limit_keys", "policy" => policy).set(keys);
        };
        gauge("address", self.address.as_ref().map(Buckets::len));
        gauge("files", self.files.as_ref().map(Buckets::len));
        gauge("user", self.user.as_ref().map(Buckets::len));
        gauge("client", self.client.as_ref().map(Buckets::len));
    }
}

/// Says what the metrics mean, and begins the one that somebody watches for its first increment.
pub(crate) fn describe_metrics() {
    metrics::describe_counter!(
        "feat_rate_limited_total",
        "Requests that were answered 429, by the limit."
    );
    metrics::describe_gauge!("feat_rate_limit_keys", "Callers that a limit remembers.");
    for policy in ["address", "files", "user", "client"] {
        metrics::counter!("feat_rate_limited_total", "policy" => policy).increment(0);
    }
}

/// A client as a short key. Two that met in one would share a limit.
fn name(client: &ClientId) -> u64 {
    use aws_lc_rs::digest;

    let digest = digest::digest(&digest::SHA256, client.as_str().as_bytes());
    let first = digest.as_ref().first_chunk().copied().unwrap_or_default();
    u64::from_be_bytes(first)
}
