//! One file for each grant: from a checked client and its parameters to a stored session.

mod password;
mod refresh_token;

pub(super) use self::{password::password, refresh_token::refresh_token};
