//! What can be called: one's account, devices, pictures, their files, bills, pushes, and jobs.
//!
//! A route checks who calls and what is sent, asks the store with the caller as part of the query,
//! and answers with a view. What is not the caller's looks as if it did not exist.

mod account;
mod apns_token;
mod conditional;
mod job;
mod json_body;
mod media;
mod path_id;
mod pay;
mod push;
mod user_image;

pub(crate) use account::AccountApi;
pub(crate) use apns_token::ApnsTokenApi;
pub(crate) use job::JobApi;
pub(crate) use media::Media;
pub(crate) use pay::{
    BindingApi, CardApi, NOTIFY_PATH, Notify, PayApi, UNBUILT, WalletApi, unbuilt,
};
pub(crate) use push::{MAX_PUSH_BODY, PUSH_PATH, PushApi};
pub use push::{read_order, resolve};
pub(crate) use user_image::UserImageApi;
