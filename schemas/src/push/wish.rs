//! What its owner or an operator wants of a campaign.

use super::{PushCampaign, PushOver};
use crate::{audit::Action, time::Timestamp};

/// How a campaign is steered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PushWish {
    /// Nothing more is sent for now.
    Pause,
    /// It goes on.
    Resume,
    /// What has not been sent is not sent any more.
    Cancel,
}

impl PushWish {
    /// Does it with `campaign`; `None` when the campaign is as wanted already.
    ///
    /// # Errors
    ///
    /// [`PushOver`] when the campaign has come to its end.
    pub fn of(
        self,
        campaign: PushCampaign,
        by: &str,
        now: Timestamp,
    ) -> Result<Option<PushCampaign>, PushOver> {
        match self {
            Self::Pause => campaign.pause(by, now),
            Self::Resume => campaign.resume(by, now),
            Self::Cancel => campaign.cancel(by, now),
        }
    }

    /// What the audit record calls it.
    #[must_use]
    pub const fn action(self) -> Action {
        match self {
            Self::Pause => Action::CampaignPaused,
            Self::Resume => Action::CampaignResumed,
            Self::Cancel => Action::CampaignCancelled,
        }
    }
}
