//! Opens what operators' commands work on: an embedded data folder, or the configured services.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use broker::{Broker, RabbitSettings};
use providers::{
    apns::{Apns, Settings},
    payment::{Gateways, PaymentSettings},
    seal::Sealer,
    till::Till,
    webhook::Webhooks,
};
use rustix::{fs::Mode, process::umask};
use schemas::Channel;
use store::{OpenError, Store};
use tokio::time::{Instant, timeout};

use crate::{
    args::Place,
    config::{ApnsPart, Config, Devices, MongoDb, Parts, PayPart},
    failure::Failure,
};

/// Folder of `feat dev` when none is named.
const DEFAULT_FOLDER: &str = "./data";

const CORRECT_PAYMENTS: &str = "Correct the settings under payments";

/// How long a command waits for a broker that it can do without.
const BROKER_WAIT: Duration = Duration::from_secs(3);

/// Longest that a person is left without a word.
const SILENCE: Duration = Duration::from_secs(2);

/// An open store, and the broker if one is configured.
pub(crate) struct Opened {
    pub(crate) store: Store,
    pub(crate) broker: Option<Broker>,
    /// Whether there may be workers: behind the configured services, or in a `feat dev` that runs.
    pub(crate) worked_on: bool,
    /// Whose bills there are: the configured merchants, or each provider of `feat dev`, whose
    /// merchant its simulators choose.
    pub(crate) accounts: Vec<(Channel, Option<String>)>,
}

impl Opened {
    /// Waits for the broker for a moment; without it the workers find changes by themselves.
    pub(crate) async fn broker_ready(&self) {
        if let Some(broker) = &self.broker
            && let Err(error) = broker.ready(BROKER_WAIT).await
        {
            tracing::warn!(%error, "going on without the broker: workers look at the store by themselves");
        }
    }

    /// Sends what is gathered and closes everything.
    pub(crate) async fn close(self) {
        if let Some(broker) = &self.broker {
            broker.close().await;
        }
        self.store.close().await;
    }
}

/// The embedded folder that `place` is about: `--data`, or `./data` when no database is
/// configured. None when it is about the configured services.
///
/// # Errors
///
/// The configuration cannot be read, or there is neither a database nor a folder.
pub(crate) fn folder(place: &Place) -> Result<Option<PathBuf>, Failure> {
    if let Some(folder) = &place.data {
        return Ok(Some(folder.clone()));
    }
    let config = place.configured.config.as_deref();
    if config.is_some() || Config::load(config)?.has_database() {
        return Ok(None);
    }
    let folder = PathBuf::from(DEFAULT_FOLDER);
    if folder.is_dir() {
        return Ok(Some(folder));
    }
    Err(Failure::setup(
        "there is no ./data folder and no configured database",
        "Name the folder of `feat dev` with --data, or the configuration with --config",
    ))
}

/// Opens the store, and the broker if one is configured.
///
/// # Errors
///
/// [`Failure`] says what to do.
pub(crate) async fn open(place: &Place) -> Result<Opened, Failure> {
    if let Some(folder) = folder(place)? {
        let accounts = Channel::ALL.iter().map(|channel| (*channel, None)).collect();
        let worked_on = Store::sqlite_has_owner(&folder);
        return Ok(Opened { store: existing(&folder).await?, broker: None, worked_on, accounts });
    }
    let operator = Config::load(place.configured.config.as_deref())?.operator()?;
    let store = database(&operator.mongodb).await?;
    let broker = operator.rabbitmq.map(|uri| {
        let name = "feat-operator".to_owned();
        rabbit(RabbitSettings { uri, name, publish_timeout: BROKER_WAIT, news: false })
    });
    let merchants = operator.merchants.into_iter();
    let accounts = merchants.map(|(channel, merchant)| (channel, Some(merchant))).collect();
    Ok(Opened { store, broker: broker.transpose()?, worked_on: true, accounts })
}

/// Opens the SQLite file that `feat dev` has made in `folder`, also while it runs there.
///
/// # Errors
///
/// There is none, or as [`embedded`].
pub(crate) async fn existing(folder: &Path) -> Result<Store, Failure> {
    if folder.join("feat.db").is_file() {
        umask(Mode::RWXG | Mode::RWXO);
        return Store::sqlite_as_guest(folder).await.map_err(|error| refused(&error));
    }
    Err(Failure::setup(
        format!("there is no Feat data in {}", folder.display()),
        "Name the folder of `feat dev` with --data",
    ))
}

/// Opens the SQLite file in `folder`. What this process makes from now on is for this user alone:
/// the database holds password hashes, and the folder may be open to others.
///
/// # Errors
///
/// [`Failure`] says what to do with the folder.
pub(crate) async fn embedded(folder: &Path) -> Result<Store, Failure> {
    umask(Mode::RWXG | Mode::RWXO);
    Store::sqlite(folder).await.map_err(|error| refused(&error))
}

/// Awaits `work` and says from time to time, by `tell`, how long that has taken.
pub(crate) async fn telling<T>(work: impl Future<Output = T>, tell: impl Fn(Duration)) -> T {
    telling_each(SILENCE, work, tell).await
}

async fn telling_each<T>(
    silence: Duration,
    work: impl Future<Output = T>,
    tell: impl Fn(Duration),
) -> T {
    let mut work = std::pin::pin!(work);
    let start = Instant::now();
    loop {
        match timeout(silence, &mut work).await {
            Ok(done) => return done,
            Err(_elapsed) => tell(start.elapsed()),
        }
    }
}

/// Opens the configured database. Says in the log that it takes long.
///
/// # Errors
///
/// [`Failure`]: it does not answer.
pub(crate) async fn database(mongodb: &MongoDb) -> Result<Store, Failure> {
    let opened = telling(Store::mongo(&mongodb.url, &mongodb.database), slow);
    opened.await.map_err(|error| refused(&error))
}

/// [`database`] for a worker, which works off a queue.
///
/// # Errors
///
/// [`Failure`]: it does not answer.
pub(crate) async fn database_of_worker(mongodb: &MongoDb) -> Result<Store, Failure> {
    let opened = telling(Store::mongo_in_bulk(&mongodb.url, &mongodb.database), slow);
    opened.await.map_err(|error| refused(&error))
}

/// The store's own words say what to do.
fn refused(error: &OpenError) -> Failure {
    Failure::Setup(error.to_string())
}

/// Opens the accounts that bills are paid through.
///
/// # Errors
///
/// A key cannot be read or does not fit; [`Failure`] names every problem.
pub(crate) fn till(part: Option<&PayPart>) -> Result<Till, Failure> {
    let Some(part) = part else { return Ok(Till::closed()) };
    let gateways = gateways(&part.accounts)?;
    let sealer = Sealer::new(&part.sealing_key).map_err(|error| {
        Failure::setup(format!("payments.sealing_key: {error}"), CORRECT_PAYMENTS)
    })?;
    Ok(Till { gateways, sealer, public_url: part.public_url.clone() })
}

fn gateways(accounts: &PaymentSettings) -> Result<Gateways, Failure> {
    Gateways::open(accounts).map_err(|findings| {
        let problems = findings
            .into_iter()
            .filter_map(|finding| Some(format!("{}: {}", finding.what, finding.problem?)));
        Failure::setup(problems.collect::<Vec<_>>().join("; "), CORRECT_PAYMENTS)
    })
}

/// What the start of a process would say of keys, accounts and back ends, a line for each part.
pub(crate) fn unusable(parts: &Parts) -> Vec<String> {
    let opened = [
        gateways(&parts.accounts).err(),
        apns(parts.apns.as_ref()).err(),
        webhooks(&parts.devices).err(),
    ];
    opened.into_iter().flatten().map(|failure| failure.to_string()).collect()
}

/// Opens the way to Apple, if this process has one.
///
/// # Errors
///
/// A credential cannot be used; [`Failure`] names every problem.
pub(crate) fn apns(part: Option<&ApnsPart>) -> Result<Option<Apns>, Failure> {
    let Some(settings) = part.and_then(|part| part.settings.clone()) else { return Ok(None) };
    let mut problems = std::collections::BTreeSet::new();
    for app in &settings.apps {
        let alone = Settings { apps: vec![app.clone()], ..settings.clone() };
        problems.extend(Apns::open(alone).err().map(|problem| problem.to_string()));
    }
    let refused = |text: String| Failure::setup(text, "Correct the settings under apns");
    if !problems.is_empty() {
        return Err(refused(Vec::from_iter(problems).join("; ")));
    }
    Apns::open(settings).map(Some).map_err(|problem| refused(problem.to_string()))
}

/// Opens the back ends that want to hear of events.
///
/// # Errors
///
/// A secret cannot be read or an address does not fit; [`Failure`] names every problem.
pub(crate) fn webhooks(devices: &Devices) -> Result<Webhooks, Failure> {
    Webhooks::open(devices.webhooks.clone()).map_err(|findings| {
        let problems = findings
            .into_iter()
            .filter_map(|finding| Some(format!("{}: {}", finding.what, finding.problem?)));
        let problems = problems.collect::<Vec<_>>().join("; ");
        Failure::setup(problems, "Correct the settings under webhooks")
    })
}

fn slow(waited: Duration) {
    tracing::warn!(waited_s = waited.as_secs(), "MongoDB does not answer yet");
}

/// A broker that connects by itself from now on.
///
/// # Errors
///
/// The address cannot be right.
pub(crate) fn rabbit(settings: RabbitSettings) -> Result<Broker, Failure> {
    Broker::rabbit(settings)
        .map_err(|error| Failure::setup(format!("rabbitmq.url: {error}"), "Correct it"))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test]
    async fn who_waits_long_hears_of_it_again_and_again() {
        let told = Cell::new(0);
        let until_told_thrice = async {
            while told.get() < 3 {
                tokio::task::yield_now().await;
            }
        };

        let tell = |_| told.set(told.get() + 1);
        telling_each(Duration::from_millis(1), until_told_thrice, tell).await;
        assert_eq!(told.get(), 3);
        telling(async {}, |_| panic!("what takes no time needs no word")).await;
    }
}
