//! api

pub mod pictures;
