//! The API's settings about who may call it, from where, and how often.

use api::{CorsOrigins, Network, RateLimits};

use super::{reader::Reader, setting::Limit};

/// What the API is told about its callers.
#[derive(Debug, Clone, Default)]
pub(crate) struct Edge {
    /// Pages of which other origins may call it.
    pub(crate) cors: CorsOrigins,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub(crate) trusted_proxies: Vec<Network>,
    /// How much one caller may ask for.
    pub(crate) rates: RateLimits,
}

impl Edge {
    /// Reads the settings, and notes what is wrong with them.
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        Self { cors: cors(reader), trusted_proxies: trusted_proxies(reader), rates: rates(reader) }
    }
}

fn cors(reader: &mut Reader<'_>) -> CorsOrigins {
    let origins = reader.optional::<Vec<String>>("api.cors_origins").unwrap_or_default();
    let credentials = reader.or("api.cors_credentials", false);
    match CorsOrigins::new(origins, credentials) {
        Ok(policy) => policy,
        Err(error) => {
            reader.expect("api.cors_origins", false, || error.to_string());
            CorsOrigins::default()
        }
    }
}

fn trusted_proxies(reader: &mut Reader<'_>) -> Vec<Network> {
    let mut networks = Vec::new();
    for text in reader.optional::<Vec<String>>("api.trusted_proxies").unwrap_or_default() {
        match text.parse::<Network>() {
            Ok(network) => networks.push(network),
            Err(error) => reader.expect("api.trusted_proxies", false, || error.to_string()),
        }
    }
    networks
}

fn rates(reader: &mut Reader<'_>) -> RateLimits {
    let defaults = RateLimits::default();
    let mut limit = |key: &str, default| {
        let Limit(quota) = reader.or(key, Limit(default));
        quota
    };
    RateLimits {
        address: limit("api.rate_limits.address", defaults.address),
        user: limit("api.rate_limits.user", defaults.user),
        client: limit("api.rate_limits.client", defaults.client),
        remembered: defaults.remembered,
    }
}
