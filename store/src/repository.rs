//! What every repository does alike: encode, hand over to a batch, decode, measure.

use std::{marker::PhantomData, time::Instant};

use crate::{
    Insert, Save, StoreError,
    aggregate::{Aggregate, Collection, Key},
    batch::{Batcher, Item},
    engine::{Document, Engine},
    query::Query,
};

/// Records of type `A` over an engine.
pub(crate) struct Repository<A> {
    engine: Engine,
    inserts: Batcher<Document, Insert>,
    saves: Batcher<Document, Save>,
    loads: Batcher<Key, Option<Vec<u8>>>,
    of: PhantomData<fn() -> A>,
}

impl<A> Clone for Repository<A> {
    fn clone(&self) -> Self {
        Self {
            engine: self.engine.clone(),
            inserts: self.inserts.clone(),
            saves: self.saves.clone(),
            loads: self.loads.clone(),
            of: PhantomData,
        }
    }
}

impl Item for Document {
    fn bytes(&self) -> usize {
        self.body.len()
    }
}

impl Item for Key {
    fn bytes(&self) -> usize {
        0
    }
}

impl<A: Aggregate> Repository<A> {
    pub(crate) fn over(engine: &Engine) -> Self {
        /// A batcher whose flush is one method of the engine, measured.
        macro_rules! batcher {
            ($op:literal, $method:ident, $pace:expr) => {{
                let engine = engine.clone();
                Batcher::start($pace, move |items| {
                    let engine = engine.clone();
                    async move {
                        let size = u32::try_from(items.len()).unwrap_or(u32::MAX);
                        batch_size(A::COLLECTION, $op, size);
                        timed($op, engine.$method(A::COLLECTION, items)).await
                    }
                })
            }};
        }
        let (writes, reads) = engine.pace();
        Self {
            engine: engine.clone(),
            inserts: batcher!("insert", insert, writes),
            saves: batcher!("save", replace, writes),
            loads: batcher!("get", load, reads),
            of: PhantomData,
        }
    }

    pub(crate) async fn insert(&self, record: &A) -> Result<Insert, StoreError> {
        self.inserts.call(self.engine.encode(record)?).await
    }

    pub(crate) async fn save(&self, record: &A) -> Result<Save, StoreError> {
        self.saves.call(self.engine.encode(record)?).await
    }

    pub(crate) async fn get(&self, key: Key) -> Result<Option<A>, StoreError> {
        let found = self.loads.call(key).await?;
        found.map(|body| self.engine.decode(&body)).transpose()
    }

    pub(crate) async fn find(&self, query: Query) -> Result<Vec<A>, StoreError> {
        let found = timed("find", self.engine.find(A::COLLECTION, query)).await?;
        found.iter().map(|body| self.engine.decode(body)).collect()
    }

    pub(crate) async fn first(&self, query: Query) -> Result<Option<A>, StoreError> {
        Ok(self.find(query.limited(1)).await?.pop())
    }

    pub(crate) async fn count(&self, query: Query) -> Result<u64, StoreError> {
        timed("count", self.engine.count(A::COLLECTION, query)).await
    }

    pub(crate) async fn remove(&self, query: Query) -> Result<u64, StoreError> {
        timed("remove", self.engine.remove(A::COLLECTION, query)).await
    }

    pub(crate) async fn close(&self) {
        self.inserts.close().await;
        self.saves.close().await;
        self.loads.close().await;
    }
}

/// Says what the metrics of the store mean.
pub(crate) fn describe_metrics() {
    metrics::describe_histogram!("feat_store_batch_size", "Calls that shared one batch.");
    metrics::describe_histogram!("feat_store_seconds", "Time that the store took for a batch.");
}

fn batch_size(collection: &Collection, op: &'static str, size: u32) {
    metrics::histogram!("feat_store_batch_size", "collection" => collection.name, "op" => op)
        .record(size);
}

async fn timed<T>(op: &'static str, work: impl Future<Output = T>) -> T {
    let start = Instant::now();
    let result = work.await;
    metrics::histogram!("feat_store_seconds", "op" => op).record(start.elapsed());
    result
}
