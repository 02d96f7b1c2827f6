//! Pictures, their files, bills and jobs over HTTP: a real server on a loopback port, a store and files in
//! a folder, queues in the process, and no workers. What workers do is done here by hand.
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod bills;
mod deletion;
mod events;
mod foreign;
mod images;
mod jobs;
mod media;
mod prefer;
mod pushes;
mod rig;
mod upload;
