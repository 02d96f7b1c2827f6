//! What the developers' commands are made of, for the tests that need a server of their own.
//!
//! The commands themselves are in the binary; here is only what a test may want to use: servers
//! that it may stop, kill, wipe and start again without disturbing anybody else, and the boundaries
//! between the crates.

pub mod boundaries;
pub mod services;
pub mod workspace;
