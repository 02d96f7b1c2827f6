//! Services outside of Feat, one module each.
//!
//! The store of files, the keys of a trusted issuer, the payment providers and Apple's push
//! service. Only this crate knows how such a service is spoken to; what it answers is sorted by what
//! the caller may do next.

pub mod apns;
pub mod blobs;
pub mod jwks;
pub mod payment;
pub mod seal;
pub mod till;

/// One thing that was looked at by a check of the installation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at, in a few words.
    pub what: String,
    /// What is wrong and how to mend it; `None` when all is well.
    pub problem: Option<String>,
}
