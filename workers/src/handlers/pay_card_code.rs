//! Has the holder of a card sent a code that shows that the card is theirs.

use providers::payment::{Call, CardAsk, CardState};
use schemas::{
    Channel, JobError, Timestamp,
    kinds::{PayCardCode, pay_card_code::CodeWay, pay_card_look::CardQuestion},
    wallet::{CodeAsked, WalletRecord},
};

use super::pay_card_look::{card_ask, card_question_failed, job_key};
use crate::{
    handler::{Context, Handler, Undo},
    paying::{Provider, change_wallet, provider, spend_code},
};

impl Handler for PayCardCode {
    async fn run(ctx: &Context, question: &CardQuestion) -> Result<CodeWay, JobError> {
        let at = provider(ctx, Channel::UnionPay, &question.app)?;
        let mut asked = card_ask(ctx, question)?;
        match look(&at, &asked).await? {
            CardState::NotOpen => return page(ctx, &at, question).await,
            open if !open.fits(&asked.card) => return Ok(CodeWay::OtherPhone),
            CardState::Open(_) => {}
        }
        let noted = note(ctx, &question.card.digest).await?;
        if noted.key != asked.key {
            return Ok(CodeWay::Sent);
        }
        asked.at = noted.at;
        let mut call = Call::default();
        let sent = at.gateway.send_proof(&asked, &mut call).await;
        at.note(call);
        sent.map(|()| CodeWay::Sent).map_err(card_question_failed)
    }

    async fn undo(_: &Context, _: &CardQuestion) -> Result<Undo, JobError> {
        Ok(Undo::Undone)
    }

    async fn give_up(ctx: &Context, _: &CardQuestion) -> Result<(), JobError> {
        spend_code(ctx, &job_key(ctx.job)?).await
    }
}

/// Asks how the card stands, under a number of its own: that of the job is the code's.
async fn look(at: &Provider<'_>, asked: &CardAsk) -> Result<CardState, JobError> {
    // The number of a job begins with the digits of a time, so no other one has this.
    let key = asked.key.as_str().get(1..).unwrap_or_default();
    let key = format!("q{key}").parse().map_err(JobError::again)?;
    let question = CardAsk { key, ..asked.clone() };
    let mut call = Call::default();
    let state = at.gateway.look_at_card(&question, &mut call).await;
    at.note(call);
    state.map_err(card_question_failed)
}

/// The way to where the holder opens the card.
async fn page(
    ctx: &Context,
    at: &Provider<'_>,
    question: &CardQuestion,
) -> Result<CodeWay, JobError> {
    let asked = card_ask(ctx, question)?;
    let notify = ctx.till.notify_url(Channel::UnionPay, &question.app);
    let mut call = Call::default();
    let page = at.gateway.card_page(&asked, &notify, &ctx.till.return_url(), &mut call).await;
    at.note(call);
    Ok(CodeWay::NotOpen { template: page.map_err(card_question_failed)? })
}

/// Notes in the owner's wallet that this job has a code sent for the card, unless another one did so a
/// moment ago: the code that counts.
async fn note(ctx: &Context, card: &str) -> Result<CodeAsked, JobError> {
    let (key, now) = (job_key(ctx.job)?, Timestamp::now());
    let counts = |wallet: &WalletRecord| {
        let own = wallet.asked.as_ref().filter(|code| code.key == key);
        own.or_else(|| wallet.recent(card, now)).cloned()
    };
    let wallet = change_wallet(ctx, |wallet| {
        let code = || CodeAsked { card: card.to_owned(), key: key.clone(), at: now, spent: false };
        Ok(if counts(wallet).is_some() { None } else { Some(wallet.ask(code())) })
    })
    .await?;
    counts(&wallet).ok_or_else(|| JobError::again("the code was not noted"))
}
