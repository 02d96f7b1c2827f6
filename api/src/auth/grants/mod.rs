//! One file for each grant: from a checked client and its parameters to what is granted.

mod authorization_code;
mod client_credentials;
mod password;
mod refresh_token;

pub(super) use self::{
    authorization_code::authorization_code,
    client_credentials::client_credentials,
    password::{Attempt, password, user},
    refresh_token::refresh_token,
};
