//! What every engine must do, and what RabbitMQ must survive.
//!
//! Needs `FEAT_TEST_AMQP_URL` and `FEAT_TEST_RABBITMQ_MANAGEMENT_URL`, which `cargo xtask test`
//! sets.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

mod conformance;
mod faults;
mod local;
mod stage;
mod wire;
