//! `feat check`: says of everything that Feat needs whether it is there and set up.

use std::{path::Path, time::Duration};

use broker::RabbitSettings;
use providers::blobs::Blobs;
use secrecy::SecretString;
use serde::Serialize;

use crate::{
    args::{Check, Place, Role},
    config::{Config, FileStore, Process},
    dev,
    failure::Failure,
    output::{self, Form},
    place,
};

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Finding {
    area: &'static str,
    what: String,
    problem: Option<String>,
}

/// Looks at everything and says what it found.
///
/// # Errors
///
/// [`Failure::Told`] when something is wrong: the answer says what.
pub(crate) async fn run(args: &Check) -> Result<(), Failure> {
    let place = &args.place.inner;
    let mut findings = Vec::new();
    match place::folder(place)? {
        Some(folder) => embedded(&folder, &mut findings).await,
        None => services(place, args.role, &mut findings).await,
    }
    tell(&findings, Form::chosen(args.place.json))?;
    let wrong = findings.iter().any(|finding| finding.problem.is_some());
    if wrong { Err(Failure::Told) } else { Ok(()) }
}

async fn embedded(folder: &Path, findings: &mut Vec<Finding>) {
    match place::existing(folder).await {
        Ok(store) => {
            let found = store.check().await.into_iter();
            findings.extend(found.map(|f| Finding::new("store", f.what, f.problem)));
            store.close().await;
        }
        Err(error) => findings.push(Finding::new("store", "opens", Some(error.to_string()))),
    }
    let key = dev::stored_token_key(folder);
    findings.push(Finding::new(
        "token key",
        "is readable and valid",
        key.err().map(|e| e.to_string()),
    ));
    let files = FileStore::Folder(folder.join("files"));
    blobs(&files, findings).await;
}

async fn services(place: &Place, role: Role, findings: &mut Vec<Finding>) {
    let config = match Config::load(place.configured.config.as_deref()) {
        Ok(config) => config,
        Err(problems) => return findings.extend(problems.0.iter().map(Finding::of_configuration)),
    };
    let process = match role {
        Role::Worker => config.worker().map(|(process, _)| process),
        Role::Api | Role::All => config.api().map(|(process, _)| process),
    };
    let process = match process {
        Ok(process) => process,
        Err(problems) => return findings.extend(problems.0.iter().map(Finding::of_configuration)),
    };
    findings.push(Finding::new("configuration", "is complete and valid", None));
    reachable(&process, findings).await;
    if role != Role::Api {
        pushes(&config, findings).await;
    }
}

async fn reachable(process: &Process, findings: &mut Vec<Finding>) {
    match telling("MongoDB", Box::pin(place::database(&process.mongodb))).await {
        Ok(store) => {
            let found = telling("MongoDB", store.check()).await.into_iter();
            findings.extend(found.map(|f| Finding::new("MongoDB", f.what, f.problem)));
            store.close().await;
        }
        Err(error) => findings.push(Finding::new("MongoDB", "answers", Some(error.to_string()))),
    }
    rabbit(process.rabbitmq.clone(), findings).await;
    blobs(&process.files, findings).await;
    payments(process, findings);
    webhooks(process, findings);
}

fn webhooks(process: &Process, findings: &mut Vec<Finding>) {
    match place::webhooks(&process.devices) {
        Ok(webhooks) => {
            let found = webhooks.check().into_iter();
            findings.extend(found.map(|f| Finding::new("webhooks", f.what, f.problem)));
        }
        Err(error) => findings.push(Finding::new("webhooks", "settings", Some(error.to_string()))),
    }
}

fn payments(process: &Process, findings: &mut Vec<Finding>) {
    if process.payments.is_none() {
        return;
    }
    match place::till(process.payments.as_ref()) {
        Ok(till) => {
            let found = till.gateways.check().into_iter();
            findings.extend(found.map(|f| Finding::new("payments", f.what, f.problem)));
        }
        Err(error) => findings.push(Finding::new("payments", "keys", Some(error.to_string()))),
    }
}

/// Only workers have the keys for pushes.
async fn pushes(config: &Config, findings: &mut Vec<Finding>) {
    let process = match config.worker() {
        Ok((process, _)) => process,
        Err(problems) => return findings.extend(problems.0.iter().map(Finding::of_configuration)),
    };
    match place::apns(process.apns.as_ref()) {
        Ok(Some(apns)) => {
            let found = telling("Apple's push service", apns.check()).await.into_iter();
            findings.extend(found.map(|f| Finding::new("apns", f.what, f.problem)));
        }
        Ok(None) => {}
        Err(error) => findings.push(Finding::new("apns", "keys", Some(error.to_string()))),
    }
}

/// Says on standard error that an answer takes long, so that nobody takes the silence for a hang.
async fn telling<T>(what: &str, work: impl Future<Output = T>) -> T {
    let tell = |waited: Duration| eprintln!("waiting for {what} ({} s)", waited.as_secs());
    place::telling(work, tell).await
}

async fn rabbit(url: SecretString, findings: &mut Vec<Finding>) {
    let (name, publish_timeout) = ("feat-check".to_owned(), Duration::from_secs(5));
    match place::rabbit(RabbitSettings { uri: url, name, publish_timeout, news: false }) {
        Ok(broker) => {
            let found = telling("RabbitMQ", broker.check()).await.into_iter();
            findings.extend(found.map(|f| Finding::new("RabbitMQ", f.what, f.problem)));
            broker.close().await;
        }
        Err(error) => findings.push(Finding::new("RabbitMQ", "address", Some(error.to_string()))),
    }
}

async fn blobs(files: &FileStore, findings: &mut Vec<Finding>) {
    match open_files(files) {
        Ok(blobs) => {
            let found = telling("the file store", blobs.check()).await.into_iter();
            findings.extend(found.map(|f| Finding::new("files", f.what, f.problem)));
        }
        Err(error) => findings.push(Finding::new("files", "open", Some(error.to_string()))),
    }
}

/// Opens the store of files.
///
/// # Errors
///
/// The folder cannot be written or the settings cannot be right.
pub(crate) fn open_files(files: &FileStore) -> Result<Blobs, Failure> {
    let opened = match files {
        FileStore::Folder(folder) => Blobs::folder(folder),
        FileStore::S3(settings) => Blobs::s3(settings.clone()),
    };
    opened.map_err(|error| {
        Failure::setup(format!("the file store: {error}"), "Correct the settings under files")
    })
}

fn tell(findings: &[Finding], form: Form) -> Result<(), Failure> {
    if form == Form::Json {
        return Ok(findings.iter().try_for_each(output::json)?);
    }
    let mut rows = output::table(["", "area", "what", "problem"]);
    for finding in findings {
        let mark = if finding.problem.is_none() { "ok" } else { "WRONG" };
        let problem = finding.problem.as_deref().unwrap_or_default();
        rows.add_row([mark, finding.area, &finding.what, problem]);
    }
    Ok(output::line(rows)?)
}

impl Finding {
    fn new(area: &'static str, what: impl Into<String>, problem: Option<String>) -> Self {
        Self { area, what: what.into(), problem }
    }

    fn of_configuration(problem: &crate::config::Problem) -> Self {
        Self::new("configuration", "is complete and valid", Some(problem.to_string()))
    }
}
