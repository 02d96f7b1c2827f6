//! The way to Apple's push service: apps, credentials, addresses.

use std::{collections::BTreeSet, path::PathBuf};

use providers::apns::{ApnsAccount, AppSettings, Endpoint, Roots, Settings, Transport};
use schemas::BundleId;

use super::{
    reader::{Need, Reader},
    setting::Accounts,
};

const ACCOUNTS: &str = "apns.accounts";

/// What a process knows of Apple.
#[derive(Clone)]
pub(crate) struct ApnsPart {
    /// The apps that can be pushed to.
    pub(crate) apps: Vec<BundleId>,
    /// How; only for a process that sends.
    pub(crate) settings: Option<Settings>,
}

/// Reads the settings, and the credentials themselves when this process needs them.
pub(super) fn read(reader: &mut Reader<'_>, need: Need) -> Option<ApnsPart> {
    let accounts: Option<Accounts<ApnsAccount>> = reader.optional(ACCOUNTS);
    let way = way(reader);
    let accounts = accounts.map(|list| list.0).unwrap_or_default();
    let mut apps = BTreeSet::new();
    for app in accounts.iter().flat_map(|account| &account.apps) {
        let new = apps.insert(app.clone());
        reader.expect(ACCOUNTS, new, || format!("the app {app} stands there twice"));
    }
    if accounts.is_empty() {
        return None;
    }
    let wanted = need == Need::Must;
    let settings = wanted.then(|| Settings { apps: with_keys(reader, &accounts), ..way });
    Some(ApnsPart { apps: apps.into_iter().collect(), settings })
}

/// Every app with its credential; what is wrong with one is noted.
fn with_keys(reader: &mut Reader<'_>, accounts: &[ApnsAccount]) -> Vec<AppSettings> {
    let mut all = Vec::new();
    for (place, account) in accounts.iter().enumerate() {
        match account.settings() {
            Ok(apps) => all.extend(apps),
            Err(text) => reader.expect(ACCOUNTS, false, || format!("{place}: {text}")),
        }
    }
    all
}

/// The settings without any app.
fn way(reader: &mut Reader<'_>) -> Settings {
    let mut settings = Settings::for_apps(Vec::new());
    let transport = reader.or("apns.transport", "direct".to_owned());
    settings.transport = match transport.as_str() {
        "a2" => Transport::A2,
        other => {
            reader.expect("apns.transport", other == "direct", || {
                "expected \"direct\" or \"a2\"".to_owned()
            });
            Transport::Direct
        }
    };
    if let Some(endpoint) = endpoint(reader, "apns.production") {
        settings.production = endpoint;
    }
    if let Some(endpoint) = endpoint(reader, "apns.sandbox") {
        settings.sandbox = endpoint;
    }
    if let Some(file) = reader.optional::<PathBuf>("apns.roots_file") {
        match std::fs::read(&file) {
            Ok(pem) => settings.roots = Roots::Only(pem),
            Err(error) => reader.expect("apns.roots_file", false, || {
                format!("cannot read {}: {error}", file.display())
            }),
        }
    }
    let number = |number| usize::try_from(number).unwrap_or(usize::MAX);
    settings.connections = number(reader.number("apns.connections", 2, 1..=16));
    settings.in_flight = number(reader.number("apns.in_flight", 500, 1..=1_500));
    settings
}

fn endpoint(reader: &mut Reader<'_>, key: &str) -> Option<Endpoint> {
    let text = reader.optional::<String>(key)?;
    match text.parse::<Endpoint>() {
        Ok(endpoint) => Some(endpoint),
        Err(error) => {
            reader.expect(key, false, || error.to_string());
            None
        }
    }
}
