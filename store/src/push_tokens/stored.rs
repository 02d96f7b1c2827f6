//! How the records of device tokens and their cohorts are kept.

use schemas::push_token::{CohortRecord, PushTokenRecord};

use crate::{
    aggregate::{Aggregate, Collection, IdKind, Index, Key},
    query::Direction::{Ascending, Descending},
};

pub(crate) static TOKENS: Collection = Collection {
    name: "push_tokens",
    id: IdKind::Text,
    indexes: &[
        Index::on("user_number", &[("user", Ascending), ("number", Descending)]),
        Index::on("number", &[("number", Ascending)]),
        Index::on("reach_number", &[("reach", Ascending), ("number", Ascending)]).present("reach"),
        Index::on(
            "reach_locale_number",
            &[("reach", Ascending), ("locale", Ascending), ("number", Ascending)],
        )
        .present("reach"),
        Index::on(
            "reach_app_version_number",
            &[("reach", Ascending), ("app_version", Ascending), ("number", Ascending)],
        )
        .present("reach"),
        Index::on("reach_registered_at", &[("reach", Ascending), ("registered_at", Ascending)])
            .present("reach"),
        Index::on("reach_signed_in_until", &[("reach", Ascending), ("signed_in.until", Ascending)])
            .present("signed_in.until"),
        Index::on(
            "app_environment_state_state_at",
            &[
                ("app", Ascending),
                ("environment", Ascending),
                ("state", Ascending),
                ("state_at", Ascending),
            ],
        ),
        Index::on("unreported_since", &[("unreported_since", Ascending)])
            .present("unreported_since"),
        Index::on("app_corrected_from", &[("app", Ascending), ("corrected_from", Ascending)])
            .present("corrected_from"),
    ],
};

pub(crate) static COHORTS: Collection =
    Collection { name: "push_cohorts", id: IdKind::Text, indexes: &[] };

impl Aggregate for PushTokenRecord {
    const COLLECTION: &'static Collection = &TOKENS;

    /// Without an owner: a token may change hands, and its record stays where it is.
    fn key(&self) -> Key {
        Key::of(self.id.as_str())
    }

    fn version(&self) -> u64 {
        self.version
    }
}

impl Aggregate for CohortRecord {
    const COLLECTION: &'static Collection = &COHORTS;

    fn key(&self) -> Key {
        Key::of(self.id.as_str())
    }

    fn version(&self) -> u64 {
        self.version
    }
}
