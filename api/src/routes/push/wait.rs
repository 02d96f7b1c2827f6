//! Waiting for the end of a campaign.

use std::time::Duration;

use poem::Request;
use schemas::{PushId, UserId, push::PushCampaign};
use tokio::time::Instant;

use crate::{
    error::ApiError,
    intake::Patience,
    state::AppState,
    watch::{Watcher, Woken},
};

/// A caller that waits as long as it said, if it did.
pub(super) struct Waiting {
    patience: Patience,
    watcher: Option<Watcher>,
}

impl Waiting {
    /// Nobody waits unless asked to: a campaign may last for days.
    pub(super) fn patience(state: &AppState, request: &Request) -> Patience {
        Patience::read(request.headers(), Duration::ZERO, state.settings.max_wait)
    }

    /// Watches campaign `id` for `user` from now on. Begin before it is changed, so that its end is
    /// not missed.
    pub(super) fn begin(state: &AppState, user: UserId, id: PushId, patience: Patience) -> Self {
        let wait = !patience.wait.is_zero();
        let watcher = if wait { state.watch.of(user, id.job()) } else { None };
        Self { patience, watcher }
    }

    /// The campaign when it has ended, or as it is when the caller's patience is over; and what
    /// the reply says about having waited.
    ///
    /// # Errors
    ///
    /// 503 when the store does not answer.
    pub(super) async fn end_of(
        self,
        state: &AppState,
        mut campaign: PushCampaign,
    ) -> Result<(PushCampaign, Option<String>), ApiError> {
        let has_ended = campaign.settled_at.is_some();
        let applied = self.patience.honoured(self.watcher.is_some() || has_ended).applied();
        let Some(mut watcher) = self.watcher else { return Ok((campaign, applied)) };
        let deadline = Instant::now() + self.patience.wait;
        while campaign.settled_at.is_none() && watcher.next(deadline).await == Woken::Look {
            match state.store.pushes.get_owned(campaign.owner, campaign.id).await? {
                Some(latest) => campaign = latest,
                None => break,
            }
        }
        Ok((campaign, applied))
    }
}
