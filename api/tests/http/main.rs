//! The API over HTTP: a real server on a loopback port, a store in a folder, queues in the process.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

mod accounts;
mod authorize;
mod codes;
mod cors;
mod discovery;
mod endings;
mod errors;
mod guesses;
mod keys;
mod limits;
mod oauth;
mod pace;
mod page;
mod rig;
mod shell;
mod shutdown;
mod sign_in;
mod tokens;
