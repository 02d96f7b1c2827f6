//! MongoDB: majority writes in batches, one command for each batch.
//!
//! Each write stamps a `revision` that no other write has. So a write that was repeated because
//! its answer was lost, or that stood in a batch with losers, is told apart by reading which
//! revision is stored. Works from MongoDB 6 on; needs no transactions.

mod connect;
mod document;
mod filter;
mod patience;
mod read;
#[cfg(test)]
mod tests;
mod write;

use std::time::Duration;

use bson::{Document as Filter, RawDocumentBuf, doc};
use mongodb::{Collection as Records, Database, IndexModel, options::IndexOptions};

use super::{Answers, Document};
use crate::{
    Finding, Insert, OpenError, Save, StoreError,
    aggregate::{Collection, Index},
    batch::Pace,
};
use connect::unavailable;
pub(super) use document::{decode, encode};
use patience::patiently;
use write::{Kind, Written};

const PING: Duration = Duration::from_secs(2);

/// How long a close waits for the driver.
const CLOSE: Duration = Duration::from_secs(5);

/// How long calls may wait for each other under load.
///
/// A majority write costs the server about 0.7 ms of a core for the command, its journal and its
/// confirmation, and 0.09 ms for each document (measured on the machine of README's table), so a
/// few fuller commands leave it far more time than many small ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tempo {
    /// A person waits for each answer.
    Prompt,
    /// A queue stands behind the calls: what counts is how many are done in the end.
    Bulk,
}

/// The engine over one database.
#[derive(Clone)]
pub(crate) struct Mongo {
    database: Database,
    tempo: Tempo,
}

impl Mongo {
    pub(crate) async fn open(
        uri: &secrecy::SecretString,
        database: &str,
        tempo: Tempo,
    ) -> Result<Self, OpenError> {
        Ok(Self { database: connect::connect(uri, database).await?, tempo })
    }

    /// How batches of writes, and of reads, follow each other.
    pub(super) const fn pace(&self) -> (Pace, Pace) {
        let (write, read) = match self.tempo {
            Tempo::Prompt => (Duration::from_millis(2), Duration::ZERO),
            Tempo::Bulk => (Duration::from_millis(15), Duration::from_millis(10)),
        };
        (Pace::of(1, write), Pace::of(2, read))
    }

    pub(super) async fn insert(
        &self,
        to: &'static Collection,
        new: Vec<Document>,
    ) -> Answers<Insert> {
        let written = write::all(&self.database, to.name, Kind::Insert, new).await;
        let answer = |written| match written {
            Written::Stored => Insert::Stored,
            Written::Lost => Insert::Taken,
        };
        written.into_iter().map(|result| result.map(answer)).collect()
    }

    pub(super) async fn replace(
        &self,
        to: &'static Collection,
        next: Vec<Document>,
    ) -> Answers<Save> {
        let written = write::all(&self.database, to.name, Kind::Replace, next).await;
        let answer = |written| match written {
            Written::Stored => Save::Stored,
            Written::Lost => Save::Stale,
        };
        written.into_iter().map(|result| result.map(answer)).collect()
    }

    pub(super) async fn migrate(
        &self,
        collections: &'static [&'static Collection],
    ) -> Result<(), StoreError> {
        for collection in collections.iter().filter(|collection| !collection.indexes.is_empty()) {
            let models: Vec<_> = collection.indexes.iter().map(model).collect();
            patiently(|_| {
                let (records, models) = (self.records(collection), models.clone());
                async move { Ok(records.create_indexes(models).await.map(drop)?) }
            })
            .await?;
        }
        Ok(())
    }

    pub(super) async fn ping(&self) -> Result<(), StoreError> {
        let database = self.database.clone();
        // A task of its own: the driver's calls should not be dropped half-way.
        let ping = tokio::spawn(async move { database.run_command(doc! { "ping": 1 }).await });
        match tokio::time::timeout(PING, ping).await {
            Ok(Ok(Ok(_))) => Ok(()),
            Ok(Ok(Err(error))) => Err(unavailable(&error)),
            Ok(Err(_)) | Err(_) => Err(StoreError::Unavailable("no answer within 2 s".to_owned())),
        }
    }

    pub(super) async fn check(&self, collections: &'static [&'static Collection]) -> Vec<Finding> {
        let mut findings = vec![Finding {
            what: "MongoDB answers and has a primary".to_owned(),
            problem: self.ping().await.err().map(|error| error.to_string()),
        }];
        findings.push(Finding {
            what: "MongoDB is a replica set or a sharded cluster".to_owned(),
            problem: self.topology_problem().await,
        });
        findings.push(Finding {
            what: "MongoDB confirms writes by a majority".to_owned(),
            problem: write::confirm(&self.database).await.err().map(|error| error.to_string()),
        });
        for collection in collections {
            findings.push(Finding {
                what: format!("collection {} has its indexes", collection.name),
                problem: self.index_problem(collection).await,
            });
        }
        findings
    }

    async fn topology_problem(&self) -> Option<String> {
        match connect::ask(&self.database, doc! { "hello": 1 }).await {
            Ok(hello) if hello.contains_key("setName") => None,
            Ok(hello) if hello.get_str("msg").is_ok_and(|msg| msg == "isdbgrid") => None,
            Ok(_) => Some(
                "a single server cannot promise majority writes; start it with --replSet"
                    .to_owned(),
            ),
            Err(error) => Some(error.to_string()),
        }
    }

    async fn index_problem(&self, collection: &Collection) -> Option<String> {
        if collection.indexes.is_empty() {
            return None;
        }
        let names = patiently(|_| {
            let records = self.records(collection);
            async move {
                match records.list_index_names().await {
                    Err(error) if connect::is_missing(&error) => Ok(Vec::new()),
                    names => Ok(names?),
                }
            }
        });
        let names = match names.await {
            Ok(names) => names,
            Err(error) => return Some(error.to_string()),
        };
        let missing = |index: &&Index| !names.iter().any(|name| name == index.name);
        let missing: Vec<_> =
            collection.indexes.iter().filter(missing).map(|index| index.name).collect();
        let advice = "start `feat api` or `feat worker` once, which makes them";
        (!missing.is_empty()).then(|| format!("{} missing; {advice}", missing.join(", ")))
    }

    pub(super) async fn close(&self) {
        let shutdown = self.database.client().clone().shutdown().immediate(true);
        let shutdown = tokio::spawn(async move { shutdown.await });
        let _ = tokio::time::timeout(CLOSE, shutdown).await;
    }

    fn records(&self, collection: &Collection) -> Records<RawDocumentBuf> {
        self.database.collection(collection.name)
    }
}

fn model(index: &Index) -> IndexModel {
    let only_with: Option<Filter> = index.present.map(|path| doc! { path: { "$exists": true } });
    let options = IndexOptions::builder()
        .name(index.name.to_owned())
        .unique(index.unique)
        .partial_filter_expression(only_with)
        .build();
    IndexModel::builder().keys(filter::sort(index.fields)).options(options).build()
}
