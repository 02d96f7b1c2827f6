//! The demo user and the demo client, whose secrets everybody knows.

use std::net::SocketAddr;

use schemas::{ClientId, Scopes, account::Grant, profile::Profile};
use secrecy::SecretString;
use store::Store;

use crate::{
    accounts::{self, NewClient},
    args::Dev,
    failure::Failure,
};

pub(super) const USERNAME: &str = "+86-13800000001";
pub(super) const PASSWORD: &str = "demo-password";
pub(super) const CLIENT: &str = "demo";
pub(super) const SECRET: &str = "demo-secret";

/// Makes the demo accounts unless they are there or not wanted; says whether they are there.
///
/// # Errors
///
/// They are there and `address` is open to other machines, which `args` does not allow.
pub(super) async fn prepare(
    store: &Store,
    args: &Dev,
    address: SocketAddr,
) -> Result<bool, Failure> {
    let id: ClientId = CLIENT.parse().map_err(|error| Failure::setup(error, "Report this"))?;
    let user = store.users.by_username(USERNAME).await?.is_some();
    let client = store.clients.get(&id).await?.is_some();
    let wanted = user || client || !args.no_demo;
    if wanted && !address.ip().is_loopback() && !args.allow_demo_on_network {
        return Err(refusal(address, user || client));
    }
    if args.no_demo {
        return Ok(user && client);
    }
    if !user {
        // Taken means that it was made meanwhile: as good.
        let _ = accounts::insert_user(store, USERNAME, PASSWORD.into(), Profile::default()).await?;
    }
    if !client {
        let secret = SecretString::from(SECRET);
        let new = NewClient {
            id,
            name: "Demo".to_owned(),
            grants: vec![Grant::Password, Grant::RefreshToken],
            scopes: Scopes::all(),
            redirect_uris: vec![],
        };
        let _ = accounts::insert_client(store, new, Some(&secret)).await?;
    }
    Ok(true)
}

fn refusal(address: SocketAddr, there: bool) -> Failure {
    let problem = format!(
        "{address} can be reached from other machines, and everybody knows the demo password"
    );
    let advice = if there {
        "Listen on 127.0.0.1, use a folder that --no-demo has made, or say \
         --allow-demo-on-network"
    } else {
        "Listen on 127.0.0.1, say --no-demo, or say --allow-demo-on-network"
    };
    Failure::setup(problem, advice)
}
