//! RabbitMQ, MongoDB and an S3-compatible server, for tests and for trying things out.
//!
//! Where a server comes from, in this order: an address in the environment, a Docker engine that
//! answers, a native program (on Debian and Ubuntu installed when it is missing). Every server
//! listens on the loopback address only, on ports that were free, and keeps its data in a folder
//! of its own, so any number of them may run side by side.
//!
//! A server that a program starts ends with it: by [`Drop`], or, when the program is killed, by a
//! watchdog. Only [`shared::Services::leave_running`] lets servers outlive their starter.

pub mod browser;
mod docker;
mod error;
mod install;
mod launch;
mod mongodb;
mod ports;
pub mod process;
mod progress;
mod rabbitmq;
mod s3;
mod server;
pub mod shared;

pub use self::{
    error::ServiceError,
    launch::Launch,
    mongodb::MongoDb,
    progress::Progress,
    rabbitmq::{RabbitMq, RabbitMqVersion},
    s3::S3,
};
