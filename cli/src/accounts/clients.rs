//! What can be done with one client.

use schemas::{ClientId, Scopes, Timestamp, account::ClientRecord, audit::Action};
use secrecy::ExposeSecret;
use serde_json::json;
use store::{Save, Store};

use super::{fits, random_secret, scopes};
use crate::{
    args::{ChangeClient, OneClient},
    audit::Operator,
    failure::Failure,
    output::{self, Form},
    place,
};

/// Times that a record is read again because somebody else saved it first.
const TRIES: usize = 5;

/// Prints a client.
///
/// # Errors
///
/// There is none.
pub(super) async fn show(args: &OneClient) -> Result<(), Failure> {
    let opened = place::open(&args.place.inner).await?;
    let outcome = find(&opened.store, &args.id).await;
    opened.close().await;
    let client = outcome?;
    match Form::chosen(args.place.json) {
        Form::Json => output::json(&json(&client))?,
        Form::Table => output::line(fields(&client))?,
    }
    Ok(())
}

/// What may be seen of a client.
pub(super) fn json(client: &ClientRecord) -> serde_json::Value {
    json!({
        "client_id": client.id,
        "name": client.name,
        "kind": kind(client),
        "grants": client.grants.iter().map(|grant| grant.name()).collect::<Vec<_>>(),
        "scopes": client.scopes,
        "redirect_uris": client.redirect_uris,
        "created_at": client.created_at,
        "disabled_at": client.disabled_at,
    })
}

fn fields(client: &ClientRecord) -> comfy_table::Table {
    let mut fields = output::table(["field", "value"]);
    fields.add_row(["client_id", client.id.as_str()]);
    fields.add_row(["name", &client.name]);
    fields.add_row(["kind", kind(client)]);
    fields.add_row(["grants", &grants(client)]);
    fields.add_row(["scopes", &client.scopes.to_string()]);
    fields.add_row(["redirect_uris", &addresses(client)]);
    fields.add_row(["added", &client.created_at.to_string()]);
    fields.add_row(["disabled", &client.disabled_at.map(|at| at.to_string()).unwrap_or_default()]);
    fields
}

/// Whether it keeps a secret.
pub(super) const fn kind(client: &ClientRecord) -> &'static str {
    if client.secret_digest.is_some() { "confidential" } else { "public" }
}

/// The names of its grants.
pub(super) fn grants(client: &ClientRecord) -> String {
    client.grants.iter().map(|grant| grant.name()).collect::<Vec<_>>().join(" ")
}

fn addresses(client: &ClientRecord) -> String {
    client.redirect_uris.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

/// Changes what a client is called and may do.
///
/// # Errors
///
/// There is no such client, or it could not use what it is given; nothing was changed then.
pub(super) async fn alter(args: &ChangeClient) -> Result<(), Failure> {
    let scopes = args.scopes.as_deref().map(scopes).transpose()?;
    let opened = place::open(&args.place.inner).await?;
    let outcome = alter_in(&opened.store, args, scopes.as_ref()).await;
    opened.close().await;
    outcome
}

async fn alter_in(
    store: &Store,
    args: &ChangeClient,
    scopes: Option<&Scopes>,
) -> Result<(), Failure> {
    let client = change(store, &args.id, |client| {
        let client = client.clone();
        let next = ClientRecord {
            name: args.name.clone().unwrap_or(client.name),
            scopes: scopes.cloned().unwrap_or(client.scopes),
            grants: args.grants.clone().unwrap_or(client.grants),
            redirect_uris: args.redirect_uris.clone().unwrap_or(client.redirect_uris),
            ..client
        };
        fits(&next.grants, &next.redirect_uris, next.secret_digest.is_none())?;
        Ok(Some(next))
    })
    .await?;
    let operator = Operator::named(&args.operator);
    let what = format!(
        "name: {}; scopes: {}; grants: {}; addresses: {}",
        client.name,
        client.scopes,
        grants(&client),
        addresses(&client)
    );
    let entry = operator.entry(Action::ClientChanged).client(&client.id).detail(&what);
    operator.record(store, &entry).await?;
    match Form::chosen(args.place.json) {
        Form::Json => output::json(&json(&client))?,
        Form::Table => output::line(fields(&client))?,
    }
    Ok(())
}

/// Gives a client another secret; the old one counts no more.
///
/// # Errors
///
/// There is no such client, it is a public one, or the store does not answer.
pub(super) async fn rotate_secret(args: &OneClient) -> Result<(), Failure> {
    let opened = place::open(&args.place.inner).await?;
    let outcome = rotate_in(&opened.store, args).await;
    opened.close().await;
    outcome
}

async fn rotate_in(store: &Store, args: &OneClient) -> Result<(), Failure> {
    if find(store, &args.id).await?.secret_digest.is_none() {
        let text = format!("{} is a public client and has no secret", args.id);
        return Err(Failure::setup(text, "Add a client without --public"));
    }
    let secret = random_secret();
    let digest = api::auth::digest_secret(&secret);
    let client = change(store, &args.id, |client| {
        Ok(Some(ClientRecord { secret_digest: Some(digest.clone()), ..client.clone() }))
    })
    .await?;
    let operator = Operator::named(&args.operator);
    let entry = operator.entry(Action::ClientSecretRotated).client(&client.id);
    operator.record(store, &entry).await?;
    let secret = secret.expose_secret();
    match Form::chosen(args.place.json) {
        Form::Json => output::json(&json!({ "client_id": client.id, "client_secret": secret }))?,
        Form::Table => {
            output::line(format!("client_id      {}", client.id))?;
            output::line(format!("client_secret  {secret}   (shown this once)"))?;
        }
    }
    Ok(())
}

/// Lets a client be used, or no more.
///
/// # Errors
///
/// There is no such client, or the store does not answer.
pub(super) async fn set_open(args: &OneClient, open: bool) -> Result<(), Failure> {
    let opened = place::open(&args.place.inner).await?;
    let outcome = set_open_in(&opened.store, args, open).await;
    opened.close().await;
    outcome
}

async fn set_open_in(store: &Store, args: &OneClient, open: bool) -> Result<(), Failure> {
    let now = Timestamp::now();
    let client = change(store, &args.id, |client| {
        let disabled_at = if open { None } else { Some(client.disabled_at.unwrap_or(now)) };
        let changes = client.disabled_at != disabled_at;
        Ok(changes.then(|| ClientRecord { disabled_at, ..client.clone() }))
    })
    .await?;
    let operator = Operator::named(&args.operator);
    let action = if open { Action::ClientEnabled } else { Action::ClientDisabled };
    operator.record(store, &operator.entry(action).client(&client.id)).await?;
    match Form::chosen(args.place.json) {
        Form::Json => output::json(&json(&client))?,
        Form::Table => {
            let what = if open { "may be used" } else { "may not be used any more" };
            output::line(format!("{} {what}", client.id))?;
        }
    }
    Ok(())
}

async fn find(store: &Store, id: &ClientId) -> Result<ClientRecord, Failure> {
    store.clients.get(id).await?.ok_or_else(|| {
        Failure::setup(format!("there is no client {id}"), "`feat client list` shows all of them")
    })
}

/// Saves what `next` makes of the client; nothing when it makes nothing or refuses.
async fn change(
    store: &Store,
    id: &ClientId,
    next: impl Fn(&ClientRecord) -> Result<Option<ClientRecord>, Failure>,
) -> Result<ClientRecord, Failure> {
    for _ in 0..TRIES {
        let client = find(store, id).await?;
        let Some(changed) = next(&client)? else { return Ok(client) };
        let changed = ClientRecord { version: client.version + 1, ..changed };
        if store.clients.save(&changed).await? == Save::Stored {
            return Ok(changed);
        }
    }
    Err(Failure::setup("others change this client all the time", "Try again"))
}
