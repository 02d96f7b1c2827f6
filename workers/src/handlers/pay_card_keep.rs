//! Keeps a card in its holder's wallet.

use super::pay_card_look::{card, card_question_failed};
use crate::{
    handler::{Context, Handler, Undo, store_again},
    paying::{change_wallet, provider, spend_code},
};
use providers::payment::{Call, CardAsk, CardProof, ProofState, ProviderError};
use schemas::{
    AccountId, Channel, JobError, Timestamp,
    card::SEALED_TEXT_CODE,
    kinds::{
        PayCardKeep,
        pay_card_keep::{CardKept, CardProof as Wish},
    },
    wallet::KeptCard,
};

impl Handler for PayCardKeep {
    async fn run(ctx: &Context, wish: &Wish) -> Result<CardKept, JobError> {
        let wallet = ctx.store.wallets.get(ctx.owner).await.map_err(store_again)?;
        // An earlier run may have kept it, and a code works once.
        if let Some(kept) = wallet.proven_by(&wish.key) {
            return Ok(CardKept { id: kept.id });
        }
        match prove(ctx, wish).await? {
            ProofState::Proven => keep(ctx, wish).await,
            ProofState::WrongCode => Err(JobError::Rejected("invalid_vcode")),
            ProofState::Refused => Err(JobError::Rejected("card_refused")),
            ProofState::Untried => Err(JobError::again("the code was not tried")),
        }
    }

    async fn undo(_: &Context, _: &Wish) -> Result<Undo, JobError> {
        Ok(Undo::Undone)
    }

    async fn give_up(ctx: &Context, wish: &Wish) -> Result<(), JobError> {
        spend_code(ctx, &wish.key).await
    }
}

/// Tries the code; when it is not clear what came of it, asks.
async fn prove(ctx: &Context, wish: &Wish) -> Result<ProofState, JobError> {
    let at = provider(ctx, Channel::UnionPay, &wish.app)?;
    let asked = CardAsk { key: wish.key.clone(), at: wish.at, card: card(ctx, &wish.card)? };
    let code = ctx.till.sealer.open(SEALED_TEXT_CODE, &wish.code);
    let code = code.map_err(|_| JobError::Rejected("code_unreadable"))?;
    let proof = CardProof { asked: asked.clone(), code };
    let mut call = Call::default();
    let state = at.gateway.prove_card(&proof, &mut call).await;
    at.note(call);
    let Err(ProviderError::Conflict(_) | ProviderError::OutcomeUnknown(_)) = state else {
        return state.map_err(card_question_failed);
    };
    let mut call = Call::default();
    let state = at.gateway.query_proof(&asked, &mut call).await;
    at.note(call);
    state.map_err(card_question_failed)
}

async fn keep(ctx: &Context, wish: &Wish) -> Result<CardKept, JobError> {
    let new = KeptCard {
        id: AccountId::generate(),
        card: wish.card.clone(),
        proof: wish.key.clone(),
        kept_at: Timestamp::now(),
    };
    let full = |_| JobError::Rejected("wallet_full");
    let wallet =
        change_wallet(ctx, |wallet| wallet.keep(new.clone()).map(Some).map_err(full)).await?;
    let kept = wallet.proven_by(&wish.key);
    let kept = kept.ok_or_else(|| JobError::again("the card was not kept"))?;
    Ok(CardKept { id: kept.id })
}
