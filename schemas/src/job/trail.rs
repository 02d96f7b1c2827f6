//! What was said to the other side while a job ran, for operators.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::JobRecord;
use crate::time::Timestamp;

/// Calls that a job's record keeps: the first ones and the latest.
pub const MAX_CALLS: usize = 12;

/// One call to an outside service and its answer, masked by whoever made it: it holds no secret
/// and nothing about a person. Not part of the public view.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CallNote {
    /// When the call was begun.
    pub at: Timestamp,
    /// Whom it went to.
    pub to: String,
    /// What was asked, answered, and how it ended.
    pub exchange: Value,
}

impl JobRecord {
    /// Adds what a run has said and heard. It belongs to the change that is saved with it and
    /// makes no version of its own.
    #[must_use]
    pub fn with_calls(mut self, calls: Vec<CallNote>) -> Self {
        for call in calls {
            if self.calls.len() >= MAX_CALLS {
                self.calls.remove(MAX_CALLS / 2);
            }
            self.calls.push(call);
        }
        self
    }
}
