//! Keeps the device tokens in order, cohort by cohort, behind the brake.

use schemas::{
    ApnsEnvironment, BundleId, JobError, Timestamp,
    kinds::{
        PushTokenPrune,
        push_token_prune::{Pruning, PruningDone},
    },
    push_token::{CohortRecord, PushTokenRecord, PushTokenState, UNDO_WINDOW, Weighed},
};
use store::{Insert, Judged, Save, StoreError};

use crate::handler::{Context, Handler, Undo, store_again};

/// Records read and changed in one go.
const BATCH: usize = 500;

/// Saves that are tried when an operator changes the cohort at the same time.
const TRIES: usize = 8;

/// A cohort is counted up to here: of a larger one even less may go at once.
const COUNTED: usize = 1_000_000;

impl Handler for PushTokenPrune {
    async fn run(ctx: &Context, _: &Pruning) -> Result<PruningDone, JobError> {
        let mut done = PruningDone::default();
        for app in ctx.store.push_tokens.apps().await.map_err(store_again)? {
            for environment in ApnsEnvironment::ALL {
                if ctx.is_cancelled() {
                    return Ok(done);
                }
                let cohort = Cohort { ctx, app: &app, environment, now: Timestamp::now() };
                cohort.prune(&mut done).await.map_err(store_again)?;
            }
        }
        Ok(done)
    }

    async fn undo(_: &Context, _: &Pruning) -> Result<Undo, JobError> {
        Ok(Undo::Undone)
    }
}

/// One cohort during one run.
struct Cohort<'a> {
    ctx: &'a Context,
    app: &'a BundleId,
    environment: ApnsEnvironment,
    now: Timestamp,
}

impl Cohort<'_> {
    async fn prune(&self, done: &mut PruningDone) -> Result<(), StoreError> {
        let (tokens, life) = (&self.ctx.store.push_tokens, &self.ctx.tokens);
        let (app, environment, now) = (self.app, self.environment, self.now);
        let signed_out = || tokens.signed_out_by_itself(app, environment, now, BATCH);
        let end = |device: PushTokenRecord| device.signed_out_by_itself(now);
        done.signed_out += self.each(signed_out, end).await?;

        let (quiet, lapsing) = (now - life.stale_after, now - UNDO_WINDOW);
        let aside = PushTokenState::Quarantined;
        let stale = tokens.count_quiet(app, environment, quiet, COUNTED).await?;
        let lapsed = tokens.count_since(app, environment, aside, None, lapsing, COUNTED).await?;
        if self.may_lose(stale + lapsed).await? {
            let due = || tokens.in_state(app, environment, aside, None, lapsing, BATCH);
            done.lapsed += self.each(due, |device| device.lapsed(now)).await?;
            let due = || tokens.quiet_since(app, environment, quiet, BATCH);
            done.stale += self.each(due, |device| device.stale(quiet, now)).await?;
        } else {
            done.held += stale + lapsed;
        }
        let before = now - life.removed_kept;
        loop {
            let forgotten = tokens.forget_removed(app, environment, before, BATCH).await?;
            done.forgotten += forgotten;
            if forgotten == 0 {
                return Ok(());
            }
        }
    }

    /// Makes `step` of everything that `due` finds, batch after batch; says how many changed.
    async fn each<F>(
        &self,
        due: impl Fn() -> F,
        step: impl Fn(PushTokenRecord) -> Option<PushTokenRecord>,
    ) -> Result<u64, StoreError>
    where
        F: Future<Output = Result<Vec<PushTokenRecord>, StoreError>>,
    {
        let mut all = 0;
        while !self.ctx.is_cancelled() {
            let found = due().await?;
            let is_last = found.len() < BATCH;
            let tokens = &self.ctx.store.push_tokens;
            let steps = found.into_iter().map(|device| tokens.change(device, &step));
            let judged = futures::future::try_join_all(steps).await?;
            let changed = judged.iter().filter(|one| **one != Judged::Kept).count();
            all += changed as u64;
            // What others changed at the same time is due no more; a batch of nothing else ends it.
            if is_last || changed == 0 {
                break;
            }
        }
        Ok(all)
    }

    /// Whether `due` devices may go. The record counts them before they do.
    async fn may_lose(&self, due: u64) -> Result<bool, StoreError> {
        let cohorts = &self.ctx.store.push_cohorts;
        for _ in 0..TRIES {
            let known = cohorts.get(self.app, self.environment).await?;
            let is_held = known.as_ref().is_some_and(|known| known.held_since.is_some());
            if due == 0 && !is_held {
                return Ok(true);
            }
            let is_new = known.is_none();
            let was =
                known.unwrap_or_else(|| CohortRecord::new(self.app.clone(), self.environment));
            let weighed = was.weigh(due, self.size().await?, &self.ctx.tokens.brake, self.now);
            let (goes, mut next) = match weighed {
                Weighed::Go(next) => (true, next),
                Weighed::Held(next) => (false, next),
            };
            let saved = if is_new {
                next.version = 1;
                cohorts.insert(&next).await? == Insert::Stored
            } else {
                cohorts.save(&next).await? == Save::Stored
            };
            if saved {
                if !goes {
                    self.alert(due);
                }
                return Ok(goes);
            }
        }
        Err(StoreError::Busy)
    }

    /// How many devices the cohort has, those that were put aside too.
    async fn size(&self) -> Result<u64, StoreError> {
        let mut size = 0;
        for state in [PushTokenState::Active, PushTokenState::Suspect, PushTokenState::Quarantined]
        {
            let tokens = &self.ctx.store.push_tokens;
            size += tokens.count(self.app, self.environment, state, COUNTED).await?;
        }
        Ok(size)
    }

    fn alert(&self, due: u64) {
        let (app, environment) = (self.app.to_string(), self.environment.name());
        tracing::error!(
            app,
            environment,
            due,
            "too many device tokens would go at once; see `feat apns doctor`"
        );
        metrics::counter!("feat_push_brakes_total", "app" => app, "environment" => environment)
            .increment(1);
    }
}
