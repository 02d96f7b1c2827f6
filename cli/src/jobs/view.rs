//! Jobs as people read them.

use comfy_table::Table;
use schemas::JobRecord;

use crate::output::{add_line, seconds, table};

/// One row for each job.
pub(super) fn rows(jobs: &[JobRecord]) -> Table {
    let mut rows =
        table(["id", "kind", "state", "owner", "attempts", "accepted", "wakes", "error"]);
    for job in jobs {
        let cells = [
            job.id.to_string(),
            job.kind.clone(),
            job.state.to_string(),
            job.owner.to_string(),
            job.attempts.to_string(),
            seconds(job.created_at),
            job.wake_at.map(seconds).unwrap_or_default(),
            job.error.as_ref().map(|error| error.code.clone()).unwrap_or_default(),
        ];
        add_line(&mut rows, cells.into());
    }
    rows
}

/// The whole record: its fields, then its history.
pub(super) fn record(job: &JobRecord) -> String {
    let mut fields = table(["field", "value"]);
    if let Ok(serde_json::Value::Object(members)) = serde_json::to_value(job) {
        for (name, value) in members.into_iter().filter(|(name, _)| name != "history") {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            fields.add_row([name, text]);
        }
    }
    let mut history = table(["at", "version", "from", "to", "why", "by"]);
    for change in &job.history {
        history.add_row([
            seconds(change.at),
            change.version.to_string(),
            change.from.map(|state| state.to_string()).unwrap_or_default(),
            change.to.to_string(),
            change.why.clone(),
            change.by.clone(),
        ]);
    }
    format!("{fields}\n{history}")
}
