//! Questions: records by their names, by a query, counted; and the removal of what a query finds.

use std::{collections::HashMap, time::Duration};

use bson::{RawBsonRef, RawDocument, RawDocumentBuf, doc};
use futures::TryStreamExt;
use mongodb::options::{CountOptions, FindOptions, Hint};

use super::{Mongo, filter, patience::patiently};
use crate::{
    StoreError,
    aggregate::{Collection, Key},
    engine::{Answers, all},
    query::{Condition, Query, Value},
};

/// The longest that the server works on one question.
const MAX_TIME: Duration = Duration::from_secs(8);

impl Mongo {
    pub(in crate::engine) async fn load(
        &self,
        from: &'static Collection,
        keys: Vec<Key>,
    ) -> Answers<Option<Vec<u8>>> {
        match self.find(from, named(&keys)).await {
            Ok(found) => {
                let named = |body: Vec<u8>| Some((id(&body)?, (owner(&body), body)));
                let by_id: HashMap<_, _> = found.into_iter().filter_map(named).collect();
                let answer = |key: &Key| {
                    let (owner, body) = by_id.get(&key.id)?;
                    (key.owner.is_none() || key.owner == *owner).then(|| body.clone())
                };
                keys.iter().map(|key| Ok(answer(key))).collect()
            }
            Err(error) => all(&error, keys.len()),
        }
    }

    pub(in crate::engine) async fn find(
        &self,
        from: &'static Collection,
        query: Query,
    ) -> Result<Vec<Vec<u8>>, StoreError> {
        self.select(from, &query, None).await
    }

    /// What `query` finds, whole or only the fields of `projection`.
    async fn select(
        &self,
        from: &'static Collection,
        query: &Query,
        projection: Option<bson::Document>,
    ) -> Result<Vec<Vec<u8>>, StoreError> {
        let options = FindOptions::builder()
            .sort((!query.sort.is_empty()).then(|| filter::sort(&query.sort)))
            .skip(query.offset)
            .limit(query.limit.map(|limit| i64::try_from(limit).unwrap_or(i64::MAX)))
            // All in one answer, as far as the server's own limit of bytes allows.
            .batch_size(query.limit.map(|limit| u32::try_from(limit).unwrap_or(u32::MAX >> 1)))
            .projection(projection)
            .hint(names_ids(query).then(|| Hint::Keys(doc! { "_id": 1 })))
            .max_time(MAX_TIME)
            .build();
        let wanted = filter::filter(&query.all);
        patiently(|_| {
            let (records, wanted, options) = (self.records(from), wanted.clone(), options.clone());
            async move {
                let cursor = records.find(wanted).with_options(options).await?;
                let found: Vec<RawDocumentBuf> = cursor.try_collect().await?;
                Ok(found.into_iter().map(RawDocumentBuf::into_bytes).collect())
            }
        })
        .await
    }

    pub(in crate::engine) async fn count(
        &self,
        from: &'static Collection,
        query: Query,
    ) -> Result<u64, StoreError> {
        let wanted = filter::filter(&query.all);
        let options = CountOptions::builder().limit(query.limit).max_time(MAX_TIME).build();
        patiently(|_| {
            let (records, wanted, options) = (self.records(from), wanted.clone(), options.clone());
            async move { Ok(records.count_documents(wanted).with_options(options).await?) }
        })
        .await
    }

    /// The removal asks the query's conditions again, so a record that changed meanwhile stays.
    pub(in crate::engine) async fn remove(
        &self,
        from: &'static Collection,
        mut query: Query,
    ) -> Result<u64, StoreError> {
        let found = self.select(from, &query, Some(doc! { "_id": 1, "owner": 1 })).await?;
        let ids: Vec<_> = found.iter().filter_map(|body| id(body)).collect();
        let owners: Option<Vec<_>> = found.iter().map(|body| owner(body)).collect();
        if ids.is_empty() {
            return Ok(0);
        }
        query.all.push(Condition::In("id", ids));
        query.all.extend(owners.map(any_owner));
        let wanted = filter::filter(&query.all);
        patiently(|_| {
            let (records, wanted) = (self.records(from), wanted.clone());
            async move { Ok(records.delete_many(wanted).await?.deleted_count) }
        })
        .await
    }
}

/// The query for these names; with the owners where every name has one, so that a sharded cluster
/// asks only their shards.
fn named(keys: &[Key]) -> Query {
    let ids = keys.iter().map(|key| key.id.clone()).collect();
    let owners: Option<Vec<_>> = keys.iter().map(|key| key.owner).collect();
    let mut query = Query::all(vec![Condition::In("id", ids)]).limited(keys.len());
    query.all.extend(owners.map(any_owner));
    query
}

/// Whether the ids alone find the records. The server has to be told: it would weigh every index of
/// the owners otherwise, for each question anew.
fn names_ids(query: &Query) -> bool {
    query.all.iter().any(|condition| matches!(condition, Condition::In("id", _)))
}

/// Records of these owners.
pub(super) fn any_owner(mut owners: Vec<i64>) -> Condition {
    owners.sort_unstable();
    owners.dedup();
    Condition::In("owner", owners.into_iter().map(Value::Number).collect())
}

/// The id in a stored document.
pub(super) fn id(body: &[u8]) -> Option<Value> {
    match RawDocument::from_bytes(body).ok()?.get("_id").ok()?? {
        RawBsonRef::Int64(number) => Some(Value::Number(number)),
        RawBsonRef::String(text) => Some(Value::Text(text.to_owned())),
        _ => None,
    }
}

fn owner(body: &[u8]) -> Option<i64> {
    RawDocument::from_bytes(body).ok()?.get_i64("owner").ok()
}
