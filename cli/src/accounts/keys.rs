//! `feat key` and `feat user key`: long-lived keys for programs.

use std::time::Duration;

use api::auth::NewKey;
use schemas::{
    KeyId, Timestamp, UserId, api_key::KeyRecord, audit::Action, push_token::PushTokenRecord,
};
use secrecy::ExposeSecret;
use serde_json::{Value, json as object};
use store::{Insert, Save, Store};

use super::{find_user, scopes};
use crate::{
    args::{AddKey, Key, ListKeys, OneUser, RevokeKeys, RevokeUserKeys, UserKey},
    audit::Operator,
    failure::Failure,
    output::{self, Form},
    place,
};

/// Longest name of a key, in characters.
const MAX_NAME: usize = 64;

/// Keys in memory at a time.
const PAGE: usize = 200;

/// Times that a record is read again because somebody else saved it first.
const TRIES: usize = 5;

/// Does what was asked of keys, whosever they are.
///
/// # Errors
///
/// [`Failure`]; what was revoked until then stays revoked and was told.
pub(crate) async fn run(command: Key) -> Result<(), Failure> {
    match command {
        Key::List(ListKeys { user, place }) => {
            let opened = place::open(&place.inner).await?;
            let outcome = list(&opened.store, user.as_deref(), Form::chosen(place.json)).await;
            opened.close().await;
            outcome
        }
        Key::Revoke(RevokeKeys { ids, user, dry_run, place, operator }) => {
            let opened = place::open(&place.inner).await?;
            let form = Form::chosen(place.json);
            let revocation = Revocation {
                store: &opened.store,
                operator: Operator::named(&operator),
                dry_run,
                form,
            };
            let outcome = revocation.run(user.as_deref(), &ids).await;
            opened.close().await;
            outcome
        }
    }
}

/// Does what was asked of one user's keys.
///
/// # Errors
///
/// As [`run`].
pub(super) async fn of_user(command: UserKey) -> Result<(), Failure> {
    match command {
        UserKey::Add(args) => {
            let opened = place::open(&args.place.inner).await?;
            let outcome = add(&opened.store, &args).await;
            opened.close().await;
            outcome
        }
        UserKey::List(OneUser { user, place, .. }) => {
            let opened = place::open(&place.inner).await?;
            let outcome = list(&opened.store, Some(&user), Form::chosen(place.json)).await;
            opened.close().await;
            outcome
        }
        UserKey::Revoke(RevokeUserKeys { user, ids, dry_run, place, operator, .. }) => {
            let opened = place::open(&place.inner).await?;
            let revocation = Revocation {
                store: &opened.store,
                operator: Operator::named(&operator),
                dry_run,
                form: Form::chosen(place.json),
            };
            let outcome = revocation.run(Some(&user), &ids).await;
            opened.close().await;
            outcome
        }
    }
}

async fn add(store: &Store, args: &AddKey) -> Result<(), Failure> {
    let name = args.name.trim();
    if name.is_empty() || name.chars().count() > MAX_NAME || name.chars().any(char::is_control) {
        return Err(Failure::Misuse(format!("a key's name has 1 to {MAX_NAME} characters")));
    }
    if args.expires.is_some_and(|span| span < Duration::from_secs(1)) {
        return Err(Failure::Misuse("--expires: a key counts for a second at least".to_owned()));
    }
    let scopes = scopes(&args.scopes)?;
    store.migrate().await?;
    let user = find_user(store, &args.user).await?;
    let (new, now) = (NewKey::generate(), Timestamp::now());
    let key = KeyRecord {
        id: new.id,
        version: 1,
        owner: user.id,
        name: name.to_owned(),
        digest: new.digest,
        scopes,
        created_at: now,
        last_used_at: None,
        expires_at: args.expires.map(|span| now + span),
        revoked_at: None,
    };
    if store.keys.insert(&key).await? == Insert::Taken {
        return Err(Failure::setup("the id of the new key was taken", "Try again"));
    }
    let operator = Operator::named(&args.operator);
    let entry = operator.entry(Action::KeyMade).about(user.id).subject(key.id);
    let entry = entry.detail(format_args!("{name}: {}", key.scopes));
    operator.record(store, &entry).await?;
    let text = new.text.expose_secret();
    match Form::chosen(args.place.json) {
        Form::Json => {
            let mut shown = json(&key);
            shown["key"] = Value::from(text);
            output::json(&shown)?;
        }
        Form::Table => {
            output::line(format!("id    {}", key.id))?;
            output::line(format!("user  {}", user.username))?;
            output::line(format!("key   {text}   (shown this once)"))?;
        }
    }
    Ok(())
}

async fn list(store: &Store, user: Option<&str>, form: Form) -> Result<(), Failure> {
    let owner = match user {
        Some(user) => Some(find_user(store, user).await?.id),
        None => None,
    };
    let keys = all(store, owner).await?;
    match form {
        Form::Json => keys.iter().try_for_each(|key| output::json(&json(key)))?,
        Form::Table => output::line(rows(&keys))?,
    }
    Ok(())
}

/// The keys of a user, or of everybody.
///
/// # Errors
///
/// The store does not answer.
pub(super) async fn all(store: &Store, owner: Option<UserId>) -> Result<Vec<KeyRecord>, Failure> {
    let (mut keys, mut after) = (Vec::new(), None);
    loop {
        let page = store.keys.list(owner, after, PAGE).await?;
        after = page.last().map(|key| key.id);
        let is_last = page.len() < PAGE;
        keys.extend(page);
        if is_last {
            return Ok(keys);
        }
    }
}

/// What may be seen of a key.
pub(super) fn json(key: &KeyRecord) -> Value {
    object!({
        "id": key.id,
        "owner": key.owner,
        "name": key.name,
        "scopes": key.scopes,
        "created_at": key.created_at,
        "last_used_at": key.last_used_at,
        "expires_at": key.expires_at,
        "revoked_at": key.revoked_at,
    })
}

/// The same for people.
pub(super) fn rows(keys: &[KeyRecord]) -> comfy_table::Table {
    let mut rows =
        output::table(["key", "owner", "name", "scopes", "made", "last used", "until", "revoked"]);
    let time = |at: Option<Timestamp>| at.map(output::seconds).unwrap_or_default();
    for key in keys {
        rows.add_row([
            key.id.to_string(),
            key.owner.to_string(),
            key.name.clone(),
            key.scopes.to_string(),
            output::seconds(key.created_at),
            time(key.last_used_at),
            time(key.expires_at),
            time(key.revoked_at),
        ]);
    }
    rows
}

/// Revoking keys, one guarded save each.
struct Revocation<'a> {
    store: &'a Store,
    operator: Operator,
    dry_run: bool,
    form: Form,
}

impl Revocation<'_> {
    /// The keys `ids`, which must be `user`'s when one is named; all of the user's without ids.
    async fn run(&self, user: Option<&str>, ids: &[KeyId]) -> Result<(), Failure> {
        let owner = match user {
            Some(user) => Some(find_user(self.store, user).await?.id),
            None => None,
        };
        let mut keys = Vec::new();
        if ids.is_empty() {
            keys = all(self.store, owner).await?;
            keys.retain(|key| key.revoked_at.is_none());
        }
        for id in ids {
            let key = self.store.keys.get(*id).await?;
            let key = key.filter(|key| owner.is_none_or(|owner| key.owner == owner));
            keys.push(key.ok_or_else(|| {
                Failure::setup(format!("there is no key {id}"), "`feat key list` shows all of them")
            })?);
        }
        let mut revoked = 0;
        for key in keys {
            revoked += u64::from(self.one(key).await?);
        }
        if self.form == Form::Table {
            let what = if self.dry_run { "would be revoked" } else { "revoked" };
            output::line(format!("{} {what}", output::counted(revoked, "key")))?;
        }
        Ok(())
    }

    /// Ends the pushes to the devices that were registered with `key`.
    async fn silence(&self, key: &KeyRecord) -> Result<(), Failure> {
        if self.dry_run {
            return Ok(());
        }
        let with_it = |device: &PushTokenRecord| device.signed_in.key == Some(key.id);
        self.store.push_tokens.sign_out(key.owner, with_it, Timestamp::now()).await?;
        Ok(())
    }

    async fn one(&self, mut key: KeyRecord) -> Result<bool, Failure> {
        for _ in 0..TRIES {
            if key.revoked_at.is_some() {
                self.silence(&key).await?;
                self.tell(&key, "revoked before")?;
                return Ok(false);
            }
            if self.dry_run {
                self.tell(&key, "would be revoked")?;
                return Ok(true);
            }
            let revoked = key.clone().revoke(Timestamp::now());
            if self.store.keys.save(&revoked).await? == Save::Stored {
                self.silence(&key).await?;
                let entry = self.operator.entry(Action::KeyRevoked).about(key.owner);
                let entry = entry.subject(key.id).detail(&key.name);
                self.operator.record(self.store, &entry).await?;
                self.tell(&revoked, "revoked")?;
                return Ok(true);
            }
            match self.store.keys.get(key.id).await? {
                Some(latest) => key = latest,
                None => return Ok(false),
            }
        }
        Err(Failure::setup("others change this key all the time", "Try again"))
    }

    fn tell(&self, key: &KeyRecord, outcome: &str) -> Result<(), Failure> {
        if self.form == Form::Json {
            let (id, owner, name) = (key.id, key.owner, &key.name);
            let line = object!({ "id": id, "owner": owner, "name": name, "outcome": outcome });
            output::json(&line)?;
        }
        Ok(())
    }
}
