//! The HTTP API: check, store, publish, answer.
//!
//! A call that starts work leaves a durable job record and answers; workers do the slow and risky
//! part. What must hold here: an accepted job is in the store before its 202; every refusal has
//! the one error shape; memory stays bounded whatever comes in; nobody sees what another owns.
//!
//! - `shell`: the server around the routes: connections, limits, error shape, health, documents.
//! - `auth`: who calls. `routes`: what can be called. `intake`: how a job is accepted.
//! - `page`, `cookie`: what people's browsers get and bring.
//! - `rates`: how much one caller may ask for. `places`: of how much at a time. `audit`: who did what.
//! - `door`: how calls begin that wait for their work. `watch`: who waits for a job.
//! - `pictures`: what a picture must be. `view`: what is shown.

mod audit;
pub mod auth;
mod cookie;
mod door;
pub mod error;
pub mod fault;
mod intake;
mod page;
pub mod pictures;
mod places;
mod rates;
mod routes;
mod seen;
mod settings;
mod shell;
mod state;
mod view;
mod watch;

/// Reads what asks for pushes, for those who do not come over HTTP.
pub use crate::routes::{read_order as read_push_order, resolve as resolve_push_order};
pub use crate::{
    pictures::PictureLimits,
    settings::{
        CorsOrigins, GuessPolicies, InvalidOrigins, Limits, Network, NoNetwork, Origin, Quota,
        RateLimits, Settings, TraceLink, TrustedIssuer, pass_on,
    },
    shell::{openapi, serve},
    state::{Api, AppState, RequestContext},
};
