//! What can be done with one user.

use schemas::{
    Event, SessionId, Timestamp, UserId,
    account::{SessionRecord, UserRecord},
    audit::Action,
    push_token::PushTokenRecord,
};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use store::{Save, Store};

use super::{find_user, keys, password, random_secret};
use crate::{
    args::{ChangePassword, OneUser, SignOut},
    audit::Operator,
    failure::Failure,
    output::{self, Form},
    place,
};

/// Times that a record is read again because somebody else saved it first.
const TRIES: usize = 5;

/// Sign-ins in memory at a time.
const PAGE: usize = 200;

/// Prints a user.
///
/// # Errors
///
/// There is none.
pub(super) async fn show(args: &OneUser) -> Result<(), Failure> {
    let opened = place::open(&args.place.inner).await?;
    let outcome = show_in(&opened.store, args).await;
    opened.close().await;
    outcome
}

async fn show_in(store: &Store, args: &OneUser) -> Result<(), Failure> {
    let user = find_user(store, &args.user).await?;
    let sessions = live_sessions(store, user.id).await?;
    let keys = keys::all(store, Some(user.id)).await?;
    if Form::chosen(args.place.json) == Form::Json {
        output::json(&json!({
            "id": user.id,
            "username": user.username,
            "profile": user.profile,
            "created_at": user.created_at,
            "disabled_at": user.disabled_at,
            "sessions": sessions.iter().map(session_json).collect::<Vec<_>>(),
            "keys": keys.iter().map(keys::json).collect::<Vec<_>>(),
        }))?;
        return Ok(());
    }
    output::line(fields(&user))?;
    if !sessions.is_empty() {
        let mut rows = output::table(["signed in", "client", "device", "renewed", "until"]);
        for session in &sessions {
            rows.add_row([
                output::seconds(session.created_at),
                session.client.to_string(),
                session.device_id.clone(),
                output::seconds(session.rotated_at),
                output::seconds(session.expires_at),
            ]);
        }
        output::line(rows)?;
    }
    if !keys.is_empty() {
        output::line(keys::rows(&keys))?;
    }
    Ok(())
}

fn fields(user: &UserRecord) -> comfy_table::Table {
    let profile = &user.profile;
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let mut fields = output::table(["field", "value"]);
    fields.add_row(["id", &user.id.to_string()]);
    fields.add_row(["username", &user.username]);
    fields.add_row(["firstname", &text(&profile.firstname)]);
    fields.add_row(["lastname", &text(&profile.lastname)]);
    fields.add_row(["locale", &text(&profile.locale)]);
    fields.add_row(["timezone", &text(&profile.timezone)]);
    fields.add_row(["added", &user.created_at.to_string()]);
    fields.add_row(["disabled", &user.disabled_at.map(|at| at.to_string()).unwrap_or_default()]);
    fields
}

fn session_json(session: &SessionRecord) -> Value {
    json!({
        "id": session.id,
        "client_id": session.client,
        "device_id": session.device_id,
        "created_at": session.created_at,
        "refreshed_at": session.rotated_at,
        "expires_at": session.expires_at,
    })
}

/// Lets a user sign in, or no more; the latter also ends their sign-ins.
///
/// # Errors
///
/// There is no such user, or the store does not answer.
pub(super) async fn set_open(args: &OneUser, open: bool) -> Result<(), Failure> {
    let opened = place::open(&args.place.inner).await?;
    let outcome = set_open_in(&opened, args, open).await;
    opened.close().await;
    outcome
}

async fn set_open_in(opened: &place::Opened, args: &OneUser, open: bool) -> Result<(), Failure> {
    let store = &opened.store;
    let operator = Operator::named(&args.operator);
    let now = Timestamp::now();
    let user = change(store, &args.user, |user| {
        let disabled_at = if open { None } else { Some(user.disabled_at.unwrap_or(now)) };
        (user.disabled_at != disabled_at).then(|| UserRecord { disabled_at, ..user.clone() })
    })
    .await?;
    let action = if open { Action::UserEnabled } else { Action::UserDisabled };
    operator.record(store, &operator.entry(action).about(user.id)).await?;
    let ended = if open { 0 } else { end_sessions(opened, user.id).await? };
    if !open {
        store.push_tokens.sign_out(user.id, |_| true, Timestamp::now()).await?;
    }
    match Form::chosen(args.place.json) {
        Form::Json => output::json(&json!({
            "id": user.id,
            "username": user.username,
            "disabled_at": user.disabled_at,
            "sessions_ended": ended,
        }))?,
        Form::Table if open => output::line(format!("{} may sign in", user.username))?,
        Form::Table => {
            let ended = output::counted(ended, "sign-in");
            output::line(format!("{} may not sign in any more; {ended} ended", user.username))?;
        }
    }
    Ok(())
}

/// Gives a user another password.
///
/// # Errors
///
/// The password is too short, there is no such user, or the store does not answer.
pub(super) async fn change_password(args: &ChangePassword) -> Result<(), Failure> {
    let given = password(args.password_stdin)?;
    let opened = place::open(&args.place.inner).await?;
    let outcome = change_password_in(&opened, args, given).await;
    opened.close().await;
    outcome
}

async fn change_password_in(
    opened: &place::Opened,
    args: &ChangePassword,
    given: Option<SecretString>,
) -> Result<(), Failure> {
    let store = &opened.store;
    let made = given.is_none().then(random_secret);
    let password = given.or_else(|| made.clone()).unwrap_or_default();
    let hash = api::auth::hash_password(password).await;
    let hash = hash.map_err(|error| Failure::setup(error, "Try again"))?;
    let user = change(store, &args.user, |user| {
        Some(UserRecord { password_hash: hash.clone(), ..user.clone() })
    })
    .await?;
    let operator = Operator::named(&args.operator);
    operator.record(store, &operator.entry(Action::PasswordChanged).about(user.id)).await?;
    let ended = if args.keep_sessions { 0 } else { end_sessions(opened, user.id).await? };
    let made = made.as_ref().map(ExposeSecret::expose_secret);
    match Form::chosen(args.place.json) {
        Form::Json => output::json(&json!({
            "id": user.id,
            "username": user.username,
            "password": made,
            "sessions_ended": ended,
        }))?,
        Form::Table => {
            output::line(format!("user      {}", user.username))?;
            if let Some(made) = made {
                output::line(format!("password  {made}   (shown this once)"))?;
            }
            output::line(format!("{} ended", output::counted(ended, "sign-in")))?;
        }
    }
    Ok(())
}

/// Ends every sign-in of a user.
///
/// # Errors
///
/// There is no such user, or the store does not answer.
pub(super) async fn sign_out(args: &SignOut) -> Result<(), Failure> {
    let opened = place::open(&args.place.inner).await?;
    let outcome = sign_out_in(&opened, args).await;
    opened.close().await;
    outcome
}

async fn sign_out_in(opened: &place::Opened, args: &SignOut) -> Result<(), Failure> {
    let store = &opened.store;
    let user = find_user(store, &args.user).await?;
    let ended = if args.dry_run {
        live_sessions(store, user.id).await?.len() as u64
    } else {
        let ended = end_sessions(opened, user.id).await?;
        let operator = Operator::named(&args.operator);
        let detail = output::counted(ended, "sign-in");
        let entry = operator.entry(Action::SessionsEnded).about(user.id).detail(detail);
        operator.record(store, &entry).await?;
        ended
    };
    match Form::chosen(args.place.json) {
        Form::Json => output::json(&json!({
            "id": user.id,
            "username": user.username,
            "sessions_ended": ended,
            "dry_run": args.dry_run,
        }))?,
        Form::Table => {
            let what = if args.dry_run { "would be ended" } else { "ended" };
            output::line(format!("{} {what}", output::counted(ended, "sign-in")))?;
        }
    }
    Ok(())
}

/// Saves what `next` makes of the user; nothing when it makes nothing.
async fn change(
    store: &Store,
    user: &str,
    next: impl Fn(&UserRecord) -> Option<UserRecord>,
) -> Result<UserRecord, Failure> {
    for _ in 0..TRIES {
        let user = find_user(store, user).await?;
        let Some(changed) = next(&user) else { return Ok(user) };
        let changed = UserRecord { version: user.version + 1, ..changed };
        if store.users.save(&changed).await? == Save::Stored {
            return Ok(changed);
        }
    }
    Err(Failure::setup("others change this user all the time", "Try again"))
}

async fn live_sessions(store: &Store, user: UserId) -> Result<Vec<SessionRecord>, Failure> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = store.sessions.live(user, Timestamp::now(), after, PAGE).await?;
        after = page.last().map(|session| session.id);
        let is_last = page.len() < PAGE;
        all.extend(page);
        if is_last {
            return Ok(all);
        }
    }
}

/// Spares the API processes the wait for their next look at the store. Best effort: they look.
fn tell(opened: &place::Opened, id: SessionId) {
    if let Some(broker) = &opened.broker {
        broker.send_event(Event::SessionEnded { id });
    }
}

/// Ends the sign-ins of a user, and the pushes to their devices; says how many. One that moves on
/// meanwhile is read again.
async fn end_sessions(opened: &place::Opened, user: UserId) -> Result<u64, Failure> {
    let store = &opened.store;
    opened.broker_ready().await;
    let mut ended = 0;
    for _ in 0..TRIES {
        let sessions = live_sessions(store, user).await?;
        if sessions.is_empty() {
            let signed_in = |device: &PushTokenRecord| device.signed_in.key.is_none();
            store.push_tokens.sign_out(user, signed_in, Timestamp::now()).await?;
            return Ok(ended);
        }
        for session in sessions {
            let revoked = session.revoke(Timestamp::now());
            if store.sessions.save(&revoked).await? == Save::Stored {
                ended += 1;
                tell(opened, revoked.id);
            }
        }
    }
    Err(Failure::setup("the user signs in all the time", "Disable the user first"))
}
