//! Keeps the timetable: the next tick of every schedule is always in the store as a scheduled job.
//!
//! Every worker puts it there; the tick's key makes the store accept one of them. If all workers
//! are away at the time of the tick, the job runs once when one is back.

use std::{str::FromStr, sync::Arc, time::Duration};

use croner::Cron;
use schemas::{
    JobRecord, Timestamp,
    schedule::{SCHEDULES, Schedule},
};
use store::Insert;
use tokio_util::sync::CancellationToken;

use crate::{Shared, scheduler::pause};

/// How often the timetable is looked at. Ticks lie at least a minute apart.
const LOOK: Duration = Duration::from_secs(10);

/// Schedules the coming ticks until `shutdown`.
pub(crate) async fn keep(shared: Arc<Shared>, shutdown: CancellationToken) {
    let mut scheduled: Vec<Option<Timestamp>> = vec![None; SCHEDULES.len()];
    loop {
        for (schedule, last) in SCHEDULES.iter().zip(&mut scheduled) {
            let Some(tick) = next_tick(schedule, Timestamp::now()) else {
                tracing::error!(schedule = schedule.name, "a schedule has no next tick");
                continue;
            };
            if *last != Some(tick) && insert(&shared, schedule, tick).await {
                *last = Some(tick);
            }
        }
        if !pause(LOOK, &shutdown).await {
            return;
        }
    }
}

fn next_tick(schedule: &Schedule, now: Timestamp) -> Option<Timestamp> {
    let cron = Cron::from_str(schedule.cron).ok()?;
    cron.find_next_occurrence(&now.to_chrono(), false).ok().map(Timestamp::from)
}

/// Whether the tick's job is in the store, by whichever process.
async fn insert(shared: &Shared, schedule: &Schedule, tick: Timestamp) -> bool {
    let job = match schedule.job(tick) {
        Ok(new) => JobRecord::accept(new, &shared.workers.settings.name, Timestamp::now()),
        Err(error) => {
            tracing::error!(schedule = schedule.name, %error, "a schedule makes no job");
            return false;
        }
    };
    match shared.workers.store.jobs.insert(&job).await {
        Ok(Insert::Stored | Insert::Taken) => true,
        Err(error) => {
            tracing::warn!(schedule = schedule.name, ?error, "a tick could not be stored");
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_schedule_has_a_next_tick_at_least_a_minute_apart() {
        for schedule in SCHEDULES {
            let first = next_tick(schedule, Timestamp::now());
            let second = first.and_then(|first| next_tick(schedule, first));

            assert!(first < second, "{}", schedule.name);
            assert!(
                second.zip(first).is_some_and(|(b, a)| b.since(a) >= Duration::from_mins(1)),
                "{}",
                schedule.name
            );
        }
    }
}
