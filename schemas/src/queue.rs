//! The queues, one for each area of risk, so that a slow provider cannot hold back other work.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where jobs of one area wait for a worker.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Queue {
    /// Work on pictures: their files and variants.
    Images,
    /// Feat's own housekeeping.
    Maintenance,
}

impl Queue {
    /// Every queue, in the order in which they are declared and listed.
    pub const ALL: [Self; 2] = [Self::Images, Self::Maintenance];

    /// Name in configuration, metrics and the stored job.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Images => "images",
            Self::Maintenance => "maintenance",
        }
    }

    /// Name at the broker. It carries a version, because a queue cannot be declared again with
    /// other arguments: changed arguments need a new name.
    #[must_use]
    pub const fn broker_name(self) -> &'static str {
        match self {
            Self::Images => "feat.images.v1",
            Self::Maintenance => "feat.maintenance.v1",
        }
    }

    /// Name at the broker of the queue that keeps what no worker could read, with the reason.
    #[must_use]
    pub const fn parked_name(self) -> &'static str {
        match self {
            Self::Images => "feat.images.v1.parked",
            Self::Maintenance => "feat.maintenance.v1.parked",
        }
    }
}

impl std::fmt::Display for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_built_the_same_way() {
        for queue in Queue::ALL {
            assert_eq!(serde_json::json!(queue), queue.name());
            assert_eq!(queue.broker_name(), format!("feat.{queue}.v1"));
            assert_eq!(queue.parked_name(), format!("{}.parked", queue.broker_name()));
        }
    }
}
