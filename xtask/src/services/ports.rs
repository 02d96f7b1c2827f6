//! Free ports of the loopback address.

use std::{net::TcpListener, ops::Range};

use rand::RngExt;

/// Below the range from which the system takes the ports of outgoing connections, so that a
/// server that is down for a moment finds its port again.
const RANGE: Range<u16> = 15_000..32_000;

/// A port that nobody listens on at this moment.
pub(super) fn free() -> u16 {
    loop {
        let port = rand::rng().random_range(RANGE);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
