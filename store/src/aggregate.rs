//! What is kept, described once for both engines: collections, their indexes, and how a record
//! names itself.

use schemas::{
    BillRecord, JobRecord,
    account::{ClientRecord, SessionRecord, UserRecord},
    api_key::KeyRecord,
    audit::AuditRecord,
    code::CodeRecord,
    device::DeviceRecord,
    guess::GuessRecord,
    image::ImageRecord,
};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    push_tokens,
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
    ],
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
        Index::on("owner_device_id", &[("owner", Ascending), ("device_id", Ascending)]).unique()
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

impl Aggregate for JobRecord {
    const COLLECTION: &'static Collection = &JOBS;

    fn key(&self) -> Key {
        Key::owned(self.id, self.owner)
    }

    fn version(&self) -> u64 {
        self.version
    }
}

impl Aggregate for ImageRecord {
    const COLLECTION: &'static Collection = &IMAGES;

    fn key(&self) -> Key {
        Key::owned(self.id, self.owner)
    }

    fn version(&self) -> u64 {
        self.version
    }
}

impl Aggregate for BillRecord {
    const COLLECTION: &'static Collection = &BILLS;

    fn key(&self) -> Key {
        Key::owned(&self.id, self.owner)
    }

    fn version(&self) -> u64 {
        self.version
    }
}

impl Aggregate for UserRecord {
    const COLLECTION: &'static Collection = &USERS;

    fn key(&self) -> Key {
        Key::of(self.id)
    }

    fn version(&self) -> u64 {
        self.version
    }
}

impl Aggregate for ClientRecord {
    const COLLECTION: &'static Collection = &CLIENTS;

    fn key(&self) -> Key {
        Key::of(&self.id)
    }

    fn version(&self) -> u64 {
        self.version
    }
}

impl Aggregate for SessionRecord {
    const COLLECTION: &'static Collection = &SESSIONS;

    fn key(&self) -> Key {
        Key::owned(self.id, self.owner)
    }

    fn version(&self) -> u64 {
        self.version
    }
}

impl Aggregate for DeviceRecord {
    const COLLECTION: &'static Collection = &DEVICES;

    fn key(&self) -> Key {
        Key::owned(self.id, self.owner)
    }

    fn version(&self) -> u64 {
        self.version
    }
}

impl Aggregate for CodeRecord {
    const COLLECTION: &'static Collection = &CODES;

    fn key(&self) -> Key {
        Key::owned(self.id.as_str(), self.owner)
    }

    fn version(&self) -> u64 {
        self.version
    }
}

impl Aggregate for KeyRecord {
    const COLLECTION: &'static Collection = &KEYS;

    fn key(&self) -> Key {
        Key::owned(self.id, self.owner)
    }

    fn version(&self) -> u64 {
        self.version
    }
}

impl Aggregate for GuessRecord {
    const COLLECTION: &'static Collection = &GUESSES;

    fn key(&self) -> Key {
        Key::of(self.id.as_str())
    }

    fn version(&self) -> u64 {
        self.version
    }
}

impl Aggregate for AuditRecord {
    const COLLECTION: &'static Collection = &AUDIT;

    fn key(&self) -> Key {
        Key::owned(self.id, self.owner)
    }

    fn version(&self) -> u64 {
        self.version
    }
}
