//! Work that Feat starts by itself, at the ticks of a cron expression.

use crate::{
    id::UserId,
    job::NewJob,
    kinds::{
        JobExpiry, PayBillRound, PushTokenPrune, PushTokenReport, job_expiry::Expiry,
        pay_bill_round::BillRound, push_token_prune::Pruning, push_token_report::Reporting,
    },
    time::Timestamp,
};

/// One entry of the timetable.
pub struct Schedule {
    /// Name, unique in the timetable; part of the key that makes each tick happen once.
    pub name: &'static str,
    /// When, as five cron fields in UTC.
    pub cron: &'static str,
    /// The job of one tick, before its key and time are set.
    make: fn() -> Result<NewJob, serde_json::Error>,
}

/// The timetable.
pub const SCHEDULES: &[Schedule] = &[
    Schedule {
        name: "job-expiry",
        cron: "*/5 * * * *",
        make: || NewJob::of::<JobExpiry>(UserId::FEAT, &Expiry {}),
    },
    Schedule {
        name: "bill-round",
        // 10:20 in Beijing: providers publish the bills of a day until 10:00 of the next one.
        cron: "20 2 * * *",
        make: || NewJob::of::<PayBillRound>(UserId::FEAT, &BillRound::default()),
    },
    Schedule {
        name: "push-token-report",
        cron: "* * * * *",
        make: || NewJob::of::<PushTokenReport>(UserId::FEAT, &Reporting {}),
    },
    Schedule {
        name: "push-token-prune",
        cron: "*/10 * * * *",
        make: || NewJob::of::<PushTokenPrune>(UserId::FEAT, &Pruning {}),
    },
];

impl Schedule {
    /// The job for the tick at `tick`. Every process makes the same key for the same tick, so the
    /// store accepts one of them.
    ///
    /// # Errors
    ///
    /// When the payload has no JSON form, which is a mistake in its type.
    pub fn job(&self, tick: Timestamp) -> Result<NewJob, serde_json::Error> {
        let mut job = (self.make)()?;
        job.unique_key = Some(format!("schedule:{}:{tick}", self.name));
        job.run_at = Some(tick);
        Ok(job)
    }
}
