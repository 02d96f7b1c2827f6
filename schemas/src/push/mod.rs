//! Pushes to many devices.
//!
//! A **campaign** is one request: one message for everybody, or a message for each addressee. Its
//! devices are its **targets**; they are worked on in **shards** of some hundreds. What becomes of
//! a target is one letter in its shard, so a campaign's counters are sums of letters and always
//! add up. Of a finished campaign the sums stay and the devices are forgotten.

mod campaign;
mod counts;
mod fates;
mod order;
mod pace;
mod shard;
mod targets;
mod wish;

pub use campaign::{MAX_PUSH_HISTORY, PushBlock, PushCampaign, PushChange, PushOver, PushState};
pub use counts::{PushCounts, Tally};
pub use fates::{Fate, Fates};
pub use order::{
    Addressee, Audience, Cursor, MAX_ADDRESSEES, MAX_LIFE, MAX_MESSAGES, PushAddress, PushMessage,
    PushOrder, Segment, TokenAddress, USUAL_LIFE,
};
pub use shard::{Again, MAX_REASONS, PushShard};
pub use targets::{PushTarget, PushTargets, SHARD_TARGETS, shard_size};
pub use wish::PushWish;
