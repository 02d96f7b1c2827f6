//! `feat user`, `feat client` and `feat key`: the people who can sign in, the applications they
//! use, and the keys of their programs.

mod clients;
mod keys;
mod users;

use std::io::Read;

use schemas::{
    ClientId, RedirectUri, Scope, Scopes, Timestamp, UserId,
    account::{ClientRecord, Grant, UserRecord},
    audit::Action,
    profile::Profile,
};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use store::{Insert, Store};

use crate::{
    args::{AddClient, AddUser, Client, Names, User},
    audit::Operator,
    failure::Failure,
    output::{self, Form},
    place::{self, Opened},
};

/// Longest name of a user.
const MAX_USERNAME: usize = 128;

/// Accounts in memory at a time.
const PAGE: usize = 500;

/// Does what was asked of users.
///
/// # Errors
///
/// [`Failure`]; nothing was added then.
pub(crate) async fn user(command: User) -> Result<(), Failure> {
    match command {
        User::Add(args) => {
            check_username(&args.username)?;
            let password = password(args.password_stdin)?;
            let profile = profile(&args.names)?;
            let opened = place::open(&args.place.inner).await?;
            let outcome = add_user(&opened, &args, password, profile).await;
            opened.close().await;
            outcome
        }
        User::List(place) => {
            let opened = place::open(&place.inner).await?;
            let outcome = list_users(&opened.store, Form::chosen(place.json)).await;
            opened.close().await;
            outcome
        }
        User::Show(args) => users::show(&args).await,
        User::Disable(args) => users::set_open(&args, false).await,
        User::Enable(args) => users::set_open(&args, true).await,
        User::Password(args) => users::change_password(&args).await,
        User::SignOut(args) => users::sign_out(&args).await,
        User::Key(command) => Box::pin(keys::of_user(command)).await,
    }
}

/// Does what was asked of clients.
///
/// # Errors
///
/// [`Failure`]; nothing was added then.
pub(crate) async fn client(command: Client) -> Result<(), Failure> {
    match command {
        Client::Add(args) => {
            let scopes = scopes(&args.scopes)?;
            fits(&args.grants, &args.redirect_uris, args.public)?;
            let opened = place::open(&args.place.inner).await?;
            let outcome = add_client(&opened.store, args, scopes).await;
            opened.close().await;
            outcome
        }
        Client::List(place) => {
            let opened = place::open(&place.inner).await?;
            let outcome = list_clients(&opened.store, Form::chosen(place.json)).await;
            opened.close().await;
            outcome
        }
        Client::Show(args) => clients::show(&args).await,
        Client::Change(args) => clients::alter(&args).await,
        Client::RotateSecret(args) => clients::rotate_secret(&args).await,
        Client::Disable(args) => clients::set_open(&args, false).await,
        Client::Enable(args) => clients::set_open(&args, true).await,
    }
}

pub(crate) use keys::run as key;

/// The user with this username or id. A number is an id and anything else a username; so is a
/// number that is nobody's id.
///
/// # Errors
///
/// There is none.
pub(crate) async fn find_user(store: &Store, user: &str) -> Result<UserRecord, Failure> {
    if let Ok(id) = user.parse::<UserId>()
        && let Some(found) = store.users.get(id).await?
    {
        return Ok(found);
    }
    let found = store.users.by_username(user).await?;
    found.ok_or_else(|| {
        Failure::setup(format!("there is no user {user}"), "`feat user list` shows all of them")
    })
}

/// The id of the user that a filter names, by username or id. An id is taken as it is, because what
/// people have left behind outlives their account.
///
/// # Errors
///
/// There is no user of this name.
pub(crate) async fn owner(store: &Store, user: &str) -> Result<UserId, Failure> {
    match user.parse::<UserId>() {
        Ok(id) => Ok(id),
        Err(_) => Ok(find_user(store, user).await?.id),
    }
}

/// Adds a user who does not exist yet.
///
/// # Errors
///
/// The password cannot be hashed, or the store does not answer.
pub(crate) async fn insert_user(
    store: &Store,
    username: &str,
    password: SecretString,
    profile: Profile,
) -> Result<Insert, Failure> {
    let hash = api::auth::hash_password(password).await;
    let password_hash = hash.map_err(|error| Failure::setup(error, "Try again"))?;
    let user = UserRecord {
        id: UserId::generate(),
        version: 1,
        username: username.to_owned(),
        password_hash,
        created_at: Timestamp::now(),
        disabled_at: None,
        profile,
    };
    Ok(store.users.insert(&user).await?)
}

/// What a new client may do.
pub(crate) struct NewClient {
    pub(crate) id: ClientId,
    pub(crate) name: String,
    pub(crate) grants: Vec<Grant>,
    pub(crate) scopes: Scopes,
    pub(crate) redirect_uris: Vec<RedirectUri>,
}

/// Adds a client that does not exist yet; without a `secret` it is a public one.
///
/// # Errors
///
/// The store does not answer.
pub(crate) async fn insert_client(
    store: &Store,
    new: NewClient,
    secret: Option<&SecretString>,
) -> Result<Insert, Failure> {
    let client = ClientRecord {
        id: new.id,
        version: 1,
        name: new.name,
        secret_digest: secret.map(api::auth::digest_secret),
        grants: new.grants,
        scopes: new.scopes,
        redirect_uris: new.redirect_uris,
        created_at: Timestamp::now(),
        disabled_at: None,
    };
    Ok(store.clients.insert(&client).await?)
}

fn check_username(name: &str) -> Result<(), Failure> {
    if (1..=MAX_USERNAME).contains(&name.len()) && name.trim() == name {
        return Ok(());
    }
    let text = format!("a username has 1 to {MAX_USERNAME} bytes and no blanks around it");
    Err(Failure::Misuse(text))
}

fn profile(names: &Names) -> Result<Profile, Failure> {
    let Names { firstname, lastname, locale, timezone } = names.clone();
    let profile = Profile { firstname, lastname, locale, timezone };
    profile.checked().map_err(|error| Failure::Misuse(format!("--{error}")))
}

/// The password on standard input, or none to have one made.
fn password(on_stdin: bool) -> Result<Option<SecretString>, Failure> {
    if !on_stdin {
        return Ok(None);
    }
    let mut text = String::new();
    std::io::stdin().lock().take(4_096).read_to_string(&mut text)?;
    let text = text.trim_end_matches(['\r', '\n']);
    if text.chars().count() < 8 {
        return Err(Failure::Misuse("a password needs 8 characters or more".to_owned()));
    }
    Ok(Some(SecretString::from(text)))
}

async fn add_user(
    opened: &Opened,
    args: &AddUser,
    password: Option<SecretString>,
    profile: Profile,
) -> Result<(), Failure> {
    opened.store.migrate().await?;
    let made = password.is_none().then(random_secret);
    let given = password.or_else(|| made.clone()).unwrap_or_default();
    if insert_user(&opened.store, &args.username, given, profile).await? == Insert::Taken {
        let text = format!("there is a user {} already", args.username);
        return Err(Failure::setup(text, "Choose another username"));
    }
    let user = opened.store.users.by_username(&args.username).await?;
    let id = user.map(|user| user.id);
    let operator = Operator::named(&args.operator);
    let entry = operator.entry(Action::UserAdded).about(id.unwrap_or(UserId::FEAT));
    operator.record(&opened.store, &entry).await?;
    let made = made.as_ref().map(ExposeSecret::expose_secret);
    match Form::chosen(args.place.json) {
        Form::Json => {
            output::json(&json!({ "id": id, "username": args.username, "password": made }))?;
        }
        Form::Table => {
            output::line(format!("user      {}", args.username))?;
            if let Some(id) = id {
                output::line(format!("id        {id}"))?;
            }
            if let Some(made) = made {
                output::line(format!("password  {made}   (shown this once)"))?;
            }
        }
    }
    Ok(())
}

async fn list_users(store: &Store, form: Form) -> Result<(), Failure> {
    let mut rows = output::table(["id", "username", "added", "disabled"]);
    let mut after = None;
    loop {
        let page = store.users.list(after, PAGE).await?;
        for user in &page {
            let disabled = user.disabled_at.map(output::seconds).unwrap_or_default();
            match form {
                Form::Json => output::json(&json!({
                    "id": user.id,
                    "username": user.username,
                    "created_at": user.created_at,
                    "disabled_at": user.disabled_at,
                }))?,
                Form::Table => {
                    let (id, added) = (user.id.to_string(), output::seconds(user.created_at));
                    rows.add_row([id, user.username.clone(), added, disabled]);
                }
            }
        }
        after = page.last().map(|user| user.id);
        if page.len() < PAGE {
            break;
        }
    }
    if form == Form::Table {
        output::line(rows)?;
    }
    Ok(())
}

async fn add_client(store: &Store, args: AddClient, scopes: Scopes) -> Result<(), Failure> {
    store.migrate().await?;
    let secret = (!args.public).then(random_secret);
    let name = args.name.unwrap_or_else(|| args.id.to_string());
    let id = args.id;
    let (grants, redirect_uris) = (args.grants, args.redirect_uris);
    let new = NewClient { id: id.clone(), name, grants, scopes, redirect_uris };
    if insert_client(store, new, secret.as_ref()).await? == Insert::Taken {
        return Err(Failure::setup(format!("there is a client {id} already"), "Choose another id"));
    }
    let operator = Operator::named(&args.operator);
    operator.record(store, &operator.entry(Action::ClientAdded).client(&id)).await?;
    let secret = secret.as_ref().map(ExposeSecret::expose_secret);
    match Form::chosen(args.place.json) {
        Form::Json => output::json(&json!({ "client_id": id, "client_secret": secret }))?,
        Form::Table => {
            output::line(format!("client_id      {id}"))?;
            if let Some(secret) = secret {
                output::line(format!("client_secret  {secret}   (shown this once)"))?;
            }
        }
    }
    Ok(())
}

async fn list_clients(store: &Store, form: Form) -> Result<(), Failure> {
    let mut rows =
        output::table(["client_id", "name", "kind", "grants", "scopes", "added", "disabled"]);
    for client in store.clients.list().await? {
        match form {
            Form::Json => output::json(&clients::json(&client))?,
            Form::Table => {
                rows.add_row([
                    client.id.to_string(),
                    client.name.clone(),
                    clients::kind(&client).to_owned(),
                    clients::grants(&client),
                    client.scopes.to_string(),
                    output::seconds(client.created_at),
                    client.disabled_at.map(output::seconds).unwrap_or_default(),
                ]);
            }
        }
    }
    if form == Form::Table {
        output::line(rows)?;
    }
    Ok(())
}

/// Refuses a client that could never use what it is given.
fn fits(grants: &[Grant], redirect_uris: &[RedirectUri], public: bool) -> Result<(), Failure> {
    let has = |grant| grants.contains(&grant);
    let sent_back = has(Grant::AuthorizationCode) || has(Grant::Implicit);
    if sent_back && redirect_uris.is_empty() {
        let text = "the grants authorization_code and implicit need a --redirect-uri";
        return Err(Failure::Misuse(text.to_owned()));
    }
    if has(Grant::ClientCredentials) && public {
        let text = "the grant client_credentials is for clients with a secret";
        return Err(Failure::Misuse(text.to_owned()));
    }
    Ok(())
}

fn scopes(names: &[String]) -> Result<Scopes, Failure> {
    let (all, others): (Vec<_>, Vec<_>) = names.iter().partition(|name| *name == "all");
    let others: Vec<_> = others.into_iter().map(String::as_str).collect();
    let read: Result<Scopes, _> = others.join(" ").parse();
    // What reaches others, or makes bills and pays them back, is never given by the way.
    let usual = Scope::ALL.into_iter().filter(|scope| !all.is_empty() && scope.is_personal());
    read.map(|read| read.iter().chain(usual).collect()).map_err(|_| {
        let known: Vec<_> = Scope::ALL.into_iter().map(Scope::name).collect();
        Failure::Misuse(format!(
            "unknown scope; there are {} and all, which is those about a user's own things: \
             pay_trade_manage and push_send are given by name",
            known.join(", ")
        ))
    })
}

/// 256 random bits in hex.
fn random_secret() -> SecretString {
    let halves: [u128; 2] = rand::random();
    format!("{:032x}{:032x}", halves[0], halves[1]).into()
}
