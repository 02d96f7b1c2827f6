//! Asks a provider whether a card can be charged without its page.

use providers::payment::{Call, Card, CardAsk, CardState, ProviderError};
use schemas::{
    Channel, JobError, JobId, ProviderKey, Timestamp,
    card::SealedCard,
    kinds::{
        PayCardLook,
        pay_card_look::{CardQuestion, CardStanding},
    },
};

use crate::{
    handler::{Context, Handler, Undo},
    paying::{provider, question_failed},
};

impl Handler for PayCardLook {
    async fn run(ctx: &Context, question: &CardQuestion) -> Result<CardStanding, JobError> {
        let asked = card_ask(ctx, question)?;
        let at = provider(ctx, Channel::UnionPay, &question.app)?;
        let mut call = Call::default();
        let state = at.gateway.look_at_card(&asked, &mut call).await;
        at.note(call);
        match state.map_err(card_question_failed)? {
            CardState::Open(phone_no) => Ok(CardStanding { open: true, phone_no }),
            CardState::NotOpen => Ok(CardStanding { open: false, phone_no: None }),
        }
    }

    async fn undo(_: &Context, _: &CardQuestion) -> Result<Undo, JobError> {
        Ok(Undo::Undone)
    }
}

/// The question under the job's own number.
pub(super) fn card_ask(ctx: &Context, question: &CardQuestion) -> Result<CardAsk, JobError> {
    let card = card(ctx, &question.card)?;
    Ok(CardAsk { key: job_key(ctx.job)?, at: Timestamp::now(), card })
}

/// The card that was sealed in a payload.
pub(super) fn card(ctx: &Context, sealed: &SealedCard) -> Result<Card, JobError> {
    let card = Card::open(&ctx.till.sealer, sealed);
    card.map_err(|_| JobError::Rejected("card_unreadable"))
}

/// A number that is `job`'s alone, for a provider.
pub(super) fn job_key(job: JobId) -> Result<ProviderKey, JobError> {
    ProviderKey::try_from(job.to_string().replace('-', "")).map_err(JobError::again)
}

/// A refusal is the provider's last word about a card.
pub(super) fn card_question_failed(error: ProviderError) -> JobError {
    match error {
        ProviderError::Refused(_) => JobError::Rejected("card_refused"),
        other => question_failed(other),
    }
}
