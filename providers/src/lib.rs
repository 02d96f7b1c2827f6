//! Services outside of Feat, one module each.
//!
//! The store of files, the keys of a trusted issuer, the payment providers, Apple's push service
//! and the back ends of apps. Only this crate knows how such a service is spoken to; what it answers is sorted by what
//! the caller may do next.

pub mod apns;
pub mod blobs;
mod described;
pub mod jwks;
pub mod payment;
pub mod seal;
pub mod till;
pub mod webhook;

/// Says what the metrics of this crate mean, to the recorder that is installed already.
pub fn describe_metrics() {
    described::all();
}

/// One thing that was looked at by a check of the installation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at, in a few words.
    pub what: String,
    /// What is wrong and how to mend it; `None` when all is well.
    pub problem: Option<String>,
}
