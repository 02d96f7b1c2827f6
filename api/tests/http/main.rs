//! The API over HTTP: a real server on a loopback port, a store in a folder, queues in the process.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

mod authorize;
mod codes;
mod discovery;
mod endings;
mod errors;
mod oauth;
mod pace;
mod page;
mod rig;
mod shell;
mod shutdown;
mod sign_in;
mod tokens;
