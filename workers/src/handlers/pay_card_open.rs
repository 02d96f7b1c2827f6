//! Prepares the provider's page on which a card's holder opens it.

use providers::payment::Call;
use schemas::{
    Channel, JobError,
    kinds::{PayCardOpen, pay_card_look::CardQuestion, pay_card_open::CardPage},
};

use super::pay_card_look::{card_ask, card_question_failed};
use crate::{
    handler::{Context, Handler, Undo},
    paying::provider,
};

impl Handler for PayCardOpen {
    async fn run(ctx: &Context, question: &CardQuestion) -> Result<CardPage, JobError> {
        let asked = card_ask(ctx, question)?;
        let at = provider(ctx, Channel::UnionPay, &question.app)?;
        let (notify, back) =
            (ctx.till.notify_url(Channel::UnionPay, &question.app), ctx.till.return_url());
        let mut call = Call::default();
        let page = at.gateway.card_page(&asked, &notify, &back, &mut call).await;
        at.note(call);
        Ok(CardPage { template: page.map_err(card_question_failed)? })
    }

    async fn undo(_: &Context, _: &CardQuestion) -> Result<Undo, JobError> {
        Ok(Undo::Undone)
    }
}
