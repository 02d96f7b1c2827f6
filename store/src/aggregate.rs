//! What is kept, described once for both engines: collections, their indexes, and how a record
//! names itself.

use schemas::{
    BillRecord, JobRecord,
    account::{ClientRecord, SessionRecord, UserRecord},
    api_key::KeyRecord,
    audit::AuditRecord,
    binding::{BindStateRecord, BindingRecord},
    code::CodeRecord,
    device::DeviceRecord,
    guess::GuessRecord,
    image::ImageRecord,
    matching::{MatchPage, MatchReport},
    wallet::WalletRecord,
};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    push_tokens,
    pushes::collections::{PUSH_CAMPAIGNS, PUSH_SHARDS, PUSH_TARGETS},
    query::{
        Direction::{self, Ascending, Descending},
        Field, Value,
    },
};

/// One kind of record and where it lies.
#[derive(Debug)]
pub(crate) struct Collection {
    /// Name of the collection or table; never renamed.
    pub(crate) name: &'static str,
    /// What its ids are.
    pub(crate) id: IdKind,
    pub(crate) indexes: &'static [Index],
}

/// How ids are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IdKind {
    Text,
    Number,
}

/// One index. Its name says its form, so a changed index gets a new name.
#[derive(Debug)]
pub(crate) struct Index {
    pub(crate) name: &'static str,
    pub(crate) fields: &'static [(Field, Direction)],
    pub(crate) unique: bool,
    /// Only records that have this field are in the index.
    pub(crate) present: Option<Field>,
    /// It is over the items of a list, which only MongoDB can do.
    pub(crate) list: bool,
}

impl Index {
    pub(crate) const fn on(name: &'static str, fields: &'static [(Field, Direction)]) -> Self {
        Self { name, fields, unique: false, present: None, list: false }
    }

    pub(crate) const fn unique(mut self) -> Self {
        self.unique = true;
        self
    }

    pub(crate) const fn present(mut self, field: Field) -> Self {
        self.present = Some(field);
        self
    }

    const fn list(mut self) -> Self {
        self.list = true;
        self
    }
}

/// The name of one record: its id, and its owner where it has one. The owner is the shard key of
/// a sharded collection.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) id: Value,
    pub(crate) owner: Option<i64>,
}

impl Key {
    pub(crate) fn of(id: impl Into<Value>) -> Self {
        Self { id: id.into(), owner: None }
    }

    pub(crate) fn owned(id: impl Into<Value>, owner: schemas::UserId) -> Self {
        Self { id: id.into(), owner: Some(owner.get()) }
    }
}

/// A record that is stored and changed as one piece. Its serialised form has the fields `id`,
/// `version` and, where the key has one, `owner`.
pub(crate) trait Aggregate: Serialize + DeserializeOwned + Send + Sync + 'static {
    const COLLECTION: &'static Collection;

    fn key(&self) -> Key;

    /// Counts the saved changes, from 1.
    fn version(&self) -> u64;
}

/// Every collection.
pub(crate) const COLLECTIONS: &[&Collection] = &[
    &JOBS,
    &IMAGES,
    &BILLS,
    &BINDINGS,
    &BIND_STATES,
    &WALLETS,
    &MATCH_REPORTS,
    &MATCH_PAGES,
    &USERS,
    &CLIENTS,
    &SESSIONS,
    &DEVICES,
    &CODES,
    &KEYS,
    &GUESSES,
    &AUDIT,
    &push_tokens::TOKENS,
    &push_tokens::COHORTS,
    &PUSH_CAMPAIGNS,
    &PUSH_SHARDS,
    &PUSH_TARGETS,
];

static JOBS: Collection = Collection {
    name: "jobs",
    id: IdKind::Text,
    indexes: &[
        Index::on("owner_idempotency_key", &[("owner", Ascending), ("idempotency.key", Ascending)])
            .unique()
            .present("idempotency.key"),
        Index::on("owner_unique_key", &[("owner", Ascending), ("unique_key", Ascending)])
            .unique()
            .present("unique_key"),
        Index::on(
            "state_queue_wake_at",
            &[("state", Ascending), ("queue", Ascending), ("wake_at", Ascending)],
        ),
        Index::on("owner_id", &[("owner", Ascending), ("id", Descending)]),
        Index::on("settled_at", &[("settled_at", Ascending)]).present("settled_at"),
    ],
};

static IMAGES: Collection = Collection {
    name: "images",
    id: IdKind::Number,
    indexes: &[
        Index::on("owner_file_name", &[("owner", Ascending), ("file_name", Ascending)]).unique(),
        Index::on("owner_id", &[("owner", Ascending), ("id", Descending)]),
        Index::on("owner_tags", &[("owner", Ascending), ("tags", Ascending)]).list(),
    ],
};

static BILLS: Collection = Collection {
    name: "bills",
    id: IdKind::Text,
    indexes: &[
        Index::on("owner_client_ref", &[("owner", Ascending), ("client_ref", Ascending)])
            .unique()
            .present("client_ref"),
        Index::on("owner_id", &[("owner", Ascending), ("id", Descending)]),
        Index::on("held_since", &[("held_since", Ascending)]).present("held_since"),
        Index::on("moved", &[("moved", Ascending)]).present("moved"),
    ],
};

static BINDINGS: Collection = Collection { name: "bindings", id: IdKind::Text, indexes: &[] };

static BIND_STATES: Collection = Collection {
    name: "bind_states",
    id: IdKind::Text,
    indexes: &[Index::on("expires_at", &[("expires_at", Ascending)])],
};

static WALLETS: Collection = Collection { name: "wallets", id: IdKind::Number, indexes: &[] };

static MATCH_REPORTS: Collection = Collection {
    name: "match_reports",
    id: IdKind::Text,
    indexes: &[Index::on("day_id", &[("day", Descending), ("id", Ascending)])],
};

static MATCH_PAGES: Collection = Collection {
    name: "match_pages",
    id: IdKind::Text,
    indexes: &[Index::on("report_run", &[("report", Ascending), ("run", Ascending)])],
};

static USERS: Collection = Collection {
    name: "users",
    id: IdKind::Number,
    indexes: &[Index::on("username", &[("username", Ascending)]).unique()],
};

static CLIENTS: Collection = Collection { name: "clients", id: IdKind::Text, indexes: &[] };

static SESSIONS: Collection = Collection {
    name: "sessions",
    id: IdKind::Text,
    indexes: &[
        Index::on("expires_at", &[("expires_at", Ascending)]),
        Index::on("owner_id", &[("owner", Ascending), ("id", Descending)]),
    ],
};

static DEVICES: Collection = Collection {
    name: "devices",
    id: IdKind::Text,
    indexes: &[
        Index::on("owner_device_id", &[("owner", Ascending), ("device_id", Ascending)]).unique(),
        Index::on("expires_at", &[("expires_at", Ascending)]),
    ],
};

static CODES: Collection = Collection {
    name: "codes",
    id: IdKind::Text,
    indexes: &[Index::on("expires_at", &[("expires_at", Ascending)])],
};

static KEYS: Collection = Collection {
    name: "api_keys",
    id: IdKind::Text,
    indexes: &[Index::on("owner_id", &[("owner", Ascending), ("id", Descending)])],
};

static GUESSES: Collection = Collection {
    name: "guesses",
    id: IdKind::Text,
    indexes: &[Index::on("expires_at", &[("expires_at", Ascending)])],
};

static AUDIT: Collection = Collection {
    name: "audit",
    id: IdKind::Text,
    indexes: &[
        Index::on("owner_id", &[("owner", Ascending), ("id", Descending)]),
        Index::on("at", &[("at", Descending)]),
    ],
};

/// Says for each kind of record where it lies and what it is called.
macro_rules! aggregates {
    ($($record:ident in $collection:ident as |$one:ident| $key:expr;)+) => {
        $(impl Aggregate for $record {
            const COLLECTION: &'static Collection = &$collection;

            fn key(&self) -> Key {
                let $one = self;
                $key
            }

            fn version(&self) -> u64 {
                self.version
            }
        })+
    };
}

aggregates! {
    JobRecord in JOBS as |one| Key::owned(one.id, one.owner);
    ImageRecord in IMAGES as |one| Key::owned(one.id, one.owner);
    BillRecord in BILLS as |one| Key::owned(&one.id, one.owner);
    BindingRecord in BINDINGS as |one| Key::owned(one.id.as_str(), one.owner);
    BindStateRecord in BIND_STATES as |one| Key::owned(one.id.as_str(), one.owner);
    WalletRecord in WALLETS as |one| Key::of(one.id);
    MatchReport in MATCH_REPORTS as |one| Key::of(one.id.as_str());
    MatchPage in MATCH_PAGES as |one| Key::of(one.id.as_str());
    UserRecord in USERS as |one| Key::of(one.id);
    ClientRecord in CLIENTS as |one| Key::of(&one.id);
    SessionRecord in SESSIONS as |one| Key::owned(one.id, one.owner);
    DeviceRecord in DEVICES as |one| Key::owned(one.id, one.owner);
    CodeRecord in CODES as |one| Key::owned(one.id.as_str(), one.owner);
    KeyRecord in KEYS as |one| Key::owned(one.id, one.owner);
    GuessRecord in GUESSES as |one| Key::of(one.id.as_str());
    AuditRecord in AUDIT as |one| Key::owned(one.id, one.owner);
}
