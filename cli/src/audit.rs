//! `feat audit`: who did what; and how the commands themselves write down what operators do.

use std::fmt;

use schemas::{
    UserId,
    audit::{Action, Actor, AuditRecord},
};
use store::{AuditFilter, Store};

use crate::{
    accounts::find_user,
    args::{self, ListAudit},
    failure::Failure,
    output::{self, Form},
    place,
};

/// Entries in memory at a time.
const PAGE: usize = 200;

/// The person at the command line.
#[derive(Debug, Clone)]
pub(crate) struct Operator(Actor);

impl Operator {
    /// The name that was given with `--as`, or `$USER`.
    pub(crate) fn named(args: &args::Operator) -> Self {
        Self::of(args.operator_name.as_deref())
    }

    /// The same, of a name that came in another way.
    pub(crate) fn of(name: Option<&str>) -> Self {
        let named = name.map(str::to_owned).or_else(|| std::env::var("USER").ok());
        let name = named.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty());
        Self(Actor::Operator(name.unwrap_or_else(|| "unnamed".to_owned())))
    }

    /// An entry about what this person does.
    pub(crate) fn entry(&self, action: Action) -> AuditRecord {
        AuditRecord::of(action, &self.0)
    }

    /// Writes down what was done.
    ///
    /// # Errors
    ///
    /// It was done and is not written down.
    pub(crate) async fn record(&self, store: &Store, entry: &AuditRecord) -> Result<(), Failure> {
        match store.audit.insert(entry).await {
            Ok(_) => Ok(()),
            Err(error) => {
                let text =
                    format!("{} was done but is not in the audit record: {error}", entry.action);
                Err(Failure::setup(text, "Write it down elsewhere"))
            }
        }
    }
}

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Does what was asked of the audit record.
///
/// # Errors
///
/// [`Failure`].
pub(crate) async fn run(command: args::Audit) -> Result<(), Failure> {
    let args::Audit::List(args) = command;
    let opened = place::open(&args.place.inner).await?;
    let outcome = list(&opened.store, &args).await;
    opened.close().await;
    outcome
}

async fn list(store: &Store, args: &ListAudit) -> Result<(), Failure> {
    let filter = filter(store, args).await?;
    let form = Form::chosen(args.place.json);
    let (mut left, mut after, mut listed) =
        (if args.all { u64::MAX } else { args.limit }, args.after, 0);
    while left > 0 {
        let limit = usize::try_from(left).unwrap_or(PAGE).min(PAGE);
        let page = store.audit.list(&filter, after, limit).await?;
        after = page.last().map(|entry| entry.id);
        listed += page.len() as u64;
        left = if page.len() < limit { 0 } else { left - page.len() as u64 };
        match form {
            Form::Json => page.iter().try_for_each(output::json)?,
            Form::Table if page.is_empty() => {}
            Form::Table => output::line(rows(&page))?,
        }
    }
    if form == Form::Table {
        let count = if listed == 1 { "1 entry".to_owned() } else { format!("{listed} entries") };
        output::line(count)?;
    }
    Ok(())
}

async fn filter(store: &Store, args: &ListAudit) -> Result<AuditFilter, Failure> {
    let owner = match args.user.as_deref().map(|user| (user, user.parse::<UserId>())) {
        None => None,
        Some((_, Ok(id))) => Some(id),
        Some((name, Err(_))) => Some(find_user(store, name).await?.id),
    };
    Ok(AuditFilter {
        owner,
        actions: args.action.clone(),
        actor: args.actor.clone(),
        address: args.address.clone(),
        from: args.since.map(|when| when.0),
        before: args.until.map(|when| when.0),
    })
}

fn rows(entries: &[AuditRecord]) -> comfy_table::Table {
    let mut rows = output::table([
        "at", "action", "actor", "about", "client", "address", "device", "subject", "detail",
    ]);
    for entry in entries {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let about = (entry.owner != UserId::FEAT).then(|| entry.owner.to_string());
        let cells = [
            output::seconds(entry.at),
            entry.action.to_string(),
            entry.actor.clone(),
            about.unwrap_or_default(),
            entry.client.as_ref().map(ToString::to_string).unwrap_or_default(),
            text(&entry.address),
            text(&entry.device),
            text(&entry.subject),
            text(&entry.detail),
        ];
        output::add_line(&mut rows, cells.into());
    }
    rows
}
