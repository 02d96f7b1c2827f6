//! MongoDB: majority writes in batches, one command for each batch.
//!
//! Each write stamps a `revision` that no other write has. So a write that was repeated because
//! its answer was lost, or that stood in a batch with losers, is told apart by reading which
//! revision is stored. Works from MongoDB 6 on; needs no transactions.

mod connect;
mod document;
mod filter;
mod write;

use std::{collections::HashMap, time::Duration};

use bson::{Document as Filter, RawBsonRef, RawDocument, RawDocumentBuf, doc};
use futures::TryStreamExt;
use mongodb::{Collection as Records, Database, IndexModel, options::IndexOptions};

use super::{Answers, Document, all};
use crate::{
    Finding, Insert, OpenError, Save, StoreError,
    aggregate::{Collection, Index, Key},
    query::{Condition, Query, Value},
};
use connect::unavailable;
pub(super) use document::{decode, encode};
use write::{Statement, Written};

/// The longest that the server works on one question.
const MAX_TIME: Duration = Duration::from_secs(10);

/// The engine over one database.
#[derive(Clone)]
pub(crate) struct Mongo {
    database: Database,
}

impl Mongo {
    pub(crate) async fn open(
        uri: &secrecy::SecretString,
        database: &str,
    ) -> Result<Self, OpenError> {
        Ok(Self { database: connect::connect(uri, database).await? })
    }

    pub(super) async fn insert(
        &self,
        to: &'static Collection,
        new: Vec<Document>,
    ) -> Answers<Insert> {
        let statements = new.into_iter().filter_map(Statement::insertion).collect();
        let answer = |written| match written {
            Written::Stored => Insert::Stored,
            Written::Lost => Insert::Taken,
        };
        let written = write::all(&self.database, to.name, statements).await;
        written.into_iter().map(|result| result.map(answer)).collect()
    }

    pub(super) async fn replace(
        &self,
        to: &'static Collection,
        next: Vec<Document>,
    ) -> Answers<Save> {
        let statements = next.into_iter().filter_map(Statement::replacement).collect();
        let answer = |written| match written {
            Written::Stored => Save::Stored,
            Written::Lost => Save::Stale,
        };
        let written = write::all(&self.database, to.name, statements).await;
        written.into_iter().map(|result| result.map(answer)).collect()
    }

    pub(super) async fn load(
        &self,
        from: &'static Collection,
        keys: Vec<Key>,
    ) -> Answers<Option<Vec<u8>>> {
        let ids: Vec<_> = keys.iter().map(|key| key.id.clone()).collect();
        match self.find(from, Query::all(vec![Condition::In("id", ids)])).await {
            Ok(found) => {
                let by_id: HashMap<_, _> =
                    found.into_iter().filter_map(|body| Some((id(&body)?, body))).collect();
                let theirs = |key: &Key, body: &Vec<u8>| {
                    key.owner.is_none_or(|owned_by| owner(body) == Some(owned_by))
                };
                let read = |key: &Key| by_id.get(&key.id).filter(|body| theirs(key, body)).cloned();
                keys.iter().map(|key| Ok(read(key))).collect()
            }
            Err(error) => all(&error, keys.len()),
        }
    }

    pub(super) async fn find(
        &self,
        from: &'static Collection,
        query: Query,
    ) -> Result<Vec<Vec<u8>>, StoreError> {
        let limit = query.limit.map_or(0, |limit| i64::try_from(limit).unwrap_or(i64::MAX));
        let records = self.records(from);
        let mut find = records
            .find(filter::filter(&query.all))
            .skip(query.offset)
            .limit(limit)
            .max_time(MAX_TIME);
        if !query.sort.is_empty() {
            find = find.sort(filter::sort(&query.sort));
        }
        let cursor = find.await.map_err(|error| unavailable(&error))?;
        let found: Vec<RawDocumentBuf> =
            cursor.try_collect().await.map_err(|error| unavailable(&error))?;
        Ok(found.into_iter().map(RawDocumentBuf::into_bytes).collect())
    }

    pub(super) async fn count(
        &self,
        from: &'static Collection,
        query: Query,
    ) -> Result<u64, StoreError> {
        let records = self.records(from);
        let mut count = records.count_documents(filter::filter(&query.all)).max_time(MAX_TIME);
        if let Some(limit) = query.limit {
            count = count.limit(limit);
        }
        count.await.map_err(|error| unavailable(&error))
    }

    pub(super) async fn remove(
        &self,
        from: &'static Collection,
        query: Query,
    ) -> Result<u64, StoreError> {
        let found = self.find(from, query).await?;
        let ids: Vec<_> = found.iter().filter_map(|body| id(body)).collect();
        if ids.is_empty() {
            return Ok(0);
        }
        let removed =
            self.records(from).delete_many(filter::filter(&[Condition::In("id", ids)])).await;
        Ok(removed.map_err(|error| unavailable(&error))?.deleted_count)
    }

    pub(super) async fn migrate(
        &self,
        collections: &'static [&'static Collection],
    ) -> Result<(), StoreError> {
        for collection in collections.iter().filter(|collection| !collection.indexes.is_empty()) {
            let models: Vec<_> = collection.indexes.iter().map(model).collect();
            let made = self.records(collection).create_indexes(models).await;
            made.map_err(|error| unavailable(&error))?;
        }
        Ok(())
    }

    pub(super) async fn ping(&self) -> Result<(), StoreError> {
        let database = self.database.clone();
        // A task of its own: the driver's calls should not be dropped half-way.
        let ping = tokio::spawn(async move { database.run_command(doc! { "ping": 1 }).await });
        match tokio::time::timeout(Duration::from_secs(2), ping).await {
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
        for collection in collections {
            findings.push(Finding {
                what: format!("collection {} has its indexes", collection.name),
                problem: self.index_problem(collection).await,
            });
        }
        findings
    }

    async fn topology_problem(&self) -> Option<String> {
        match self.database.run_command(doc! { "hello": 1 }).await {
            Ok(hello) if hello.contains_key("setName") => None,
            Ok(hello) if hello.get_str("msg").is_ok_and(|msg| msg == "isdbgrid") => None,
            Ok(_) => Some(
                "a single server cannot promise majority writes; start it with --replSet"
                    .to_owned(),
            ),
            Err(error) => Some(unavailable(&error).to_string()),
        }
    }

    async fn index_problem(&self, collection: &Collection) -> Option<String> {
        if collection.indexes.is_empty() {
            return None;
        }
        let names = match self.records(collection).list_index_names().await {
            Ok(names) => names,
            Err(error) => return Some(unavailable(&error).to_string()),
        };
        let missing = |index: &&Index| !names.iter().any(|name| name == index.name);
        let missing: Vec<_> =
            collection.indexes.iter().filter(missing).map(|index| index.name).collect();
        let advice = "start `feat api` or `feat worker` once, which makes them";
        (!missing.is_empty()).then(|| format!("{} missing; {advice}", missing.join(", ")))
    }

    pub(super) async fn close(&self) {
        self.database.client().clone().shutdown().await;
    }

    fn records(&self, collection: &Collection) -> Records<RawDocumentBuf> {
        self.database.collection(collection.name)
    }
}

/// The id in a stored document.
fn id(body: &[u8]) -> Option<Value> {
    match RawDocument::from_bytes(body).ok()?.get("_id").ok()?? {
        RawBsonRef::Int64(number) => Some(Value::Number(number)),
        RawBsonRef::String(text) => Some(Value::Text(text.to_owned())),
        _ => None,
    }
}

/// The owner in a stored document.
fn owner(body: &[u8]) -> Option<i64> {
    RawDocument::from_bytes(body).ok()?.get_i64("owner").ok()
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
