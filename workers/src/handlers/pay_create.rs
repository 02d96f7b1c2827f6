//! Makes one trade at a provider.

use std::time::Duration;

use providers::payment::{Call, Card, Created, Order, Payer, Presentation, ProviderError};
use schemas::{
    BillRecord, Channel, Job, JobError, Scene, Timestamp,
    bill::{Attempt, AttemptState, BillRefusal, Offer, Source},
    kinds::{
        PayCreate,
        pay_create::{PayOffer, PayOrder},
    },
};
use secrecy::ExposeSecret;
use store::Save;
use tokio::sync::Notify;

use crate::{
    fault,
    handler::{Context, Handler, Undo},
    paying::{
        Standing, Step, ask_again, ask_for_trade, change, close, load, look_at_trade, provider,
        question_failed, refused, trade_ref,
    },
};

/// What the seal of a payer's id is for.
const SEALED_PAYER: &str = "payer";

/// How long a client may begin to pay with what a provider gave it; a little less than the
/// provider says.
const OFFER_LIFE: Duration = Duration::from_mins(110);

/// The same for the address of a page for phones at WeChat Pay.
const H5_LIFE: Duration = Duration::from_mins(4);

/// How long a code that was sent by text message stands for the next call: after that the holder may
/// ask for another one. UnionPay's codes live longer.
const TEXT_CODE_LIFE: Duration = Duration::from_mins(1);

/// How long the first look at a trade waits for a moment of calm at most.
const UNFOLLOWED: Duration = Duration::from_millis(30);

impl Handler for PayCreate {
    /// The offer is in the bill.
    const ANSWER_STANDS: bool = true;

    const PREPARES: bool = true;

    /// Begins the attempt in the bill that came along, held by this worker: it is in the bill before
    /// the provider is called.
    async fn prepare(ctx: &Context, order: &PayOrder) {
        let Some(bill) = ctx.beside::<BillRecord>() else { return };
        if bill.id != order.sn || bill.owner != ctx.owner || ctx.is_cancelled() {
            return;
        }
        let Ok(Step::Save(begun, true)) = begin(order, bill) else { return };
        let Some(hold) = ctx.hold.clone() else { return };
        let begun = begun.held_by(hold);
        if matches!(ctx.store.bills.save(&begun).await, Ok(Save::Stored)) {
            fault::point("worker.prepared", Self::KIND).await;
            ctx.prepared(begun);
        }
    }

    async fn run(ctx: &Context, order: &PayOrder) -> Result<PayOffer, JobError> {
        let (bill, begun) = if let Some(bill) = ctx.take_prepared() {
            (bill, true)
        } else {
            let bill = load(ctx, &order.sn).await?;
            change(ctx, bill, |bill| begin(order, bill)).await?
        };
        let attempt = bill.attempt_by(&order.way(), order.ordinal).cloned();
        let attempt = attempt.ok_or(JobError::Rejected(BillRefusal::Unheard.code()))?;
        if begun {
            create(ctx, order, bill, &attempt).await
        } else {
            resume(ctx, order, bill, attempt).await
        }
    }

    async fn undo(ctx: &Context, order: &PayOrder) -> Result<Undo, JobError> {
        let bill = load(ctx, &order.sn).await?;
        let begun = bill.attempt_by(&order.way(), order.ordinal).is_some();
        let clean = !begun && ctx.unknown_since.is_none();
        Ok(if clean { Undo::Undone } else { Undo::TooLate })
    }

    /// An attempt that never reached its provider, because the account is not set up, makes way for
    /// the payer's next call. What may have reached it is `unknown`, and no attempts end that.
    async fn give_up(ctx: &Context, order: &PayOrder) -> Result<(), JobError> {
        if !ctx.died || ctx.unknown_since.is_some() {
            return Ok(());
        }
        let bill = load(ctx, &order.sn).await?;
        let attempt = bill.attempt_by(&order.way(), order.ordinal);
        let unsent = attempt.filter(|one| one.state == AttemptState::Sent && one.hold.is_none());
        match unsent.map(|attempt| attempt.number) {
            Some(number) => close(ctx, bill, number, Source::Answer).await.map(drop),
            None => Ok(()),
        }
    }
}

/// Begins the attempt, unless an earlier run has.
fn begin(order: &PayOrder, bill: BillRecord) -> Result<Step<bool>, JobError> {
    let way = order.way();
    if bill.attempt_by(&way, order.ordinal).is_some() {
        return Ok(Step::Keep(false));
    }
    let begun = bill.begin_attempt(&way, order.ordinal, Timestamp::now());
    Ok(Step::Save(begun.map_err(refused)?, true))
}

/// An earlier run has begun the attempt: asks before anything is done again.
async fn resume(
    ctx: &Context,
    order: &PayOrder,
    bill: BillRecord,
    attempt: Attempt,
) -> Result<PayOffer, JobError> {
    match (attempt.state, &attempt.offer) {
        (AttemptState::Open, Some(offer)) => {
            bill.may_pay(Timestamp::now()).map_err(refused)?;
            if !attempt.is_uncharged() {
                look_at_trade(ctx, &bill.id, &attempt, Some(0)).await?;
            }
            return Ok(answer(order, &attempt, offer));
        }
        (AttemptState::Paid, _) => return Err(refused(BillRefusal::Paid)),
        (AttemptState::Closed, _) => return Err(JobError::Rejected("attempt_closed")),
        (AttemptState::Refused, _) => return Err(JobError::Rejected("provider_refused")),
        (AttemptState::Sent | AttemptState::Open, _) => {}
    }
    wait_for_holder(ctx, &attempt)?;
    if attempt.is_uncharged() {
        // There is no trade to ask for: another code takes the place of the first one.
        bill.may_pay(Timestamp::now()).map_err(refused)?;
        return create(ctx, order, bill, &attempt).await;
    }
    let (bill, standing) = ask_for_trade(ctx, bill, &attempt).await?;
    match standing {
        Standing::Paid => Err(refused(BillRefusal::Paid)),
        Standing::Closed => Err(JobError::Rejected("attempt_closed")),
        // What happened meanwhile counts: a bill that is paid or closed gets no further trade.
        Standing::Open | Standing::Paying | Standing::NotFound => {
            match bill.may_pay(Timestamp::now()) {
                Ok(()) => create(ctx, order, bill, &attempt).await,
                Err(refusal) => Err(refused(refusal)),
            }
        }
    }
}

/// A run that held the attempt has not said how it ended: it may have reached the provider, which is
/// noted before anything else is done, and it may go on until its hold ends.
fn wait_for_holder(ctx: &Context, attempt: &Attempt) -> Result<(), JobError> {
    let Some(until) = attempt.held_until() else { return Ok(()) };
    let left = until.since(Timestamp::now());
    if ctx.unknown_since.is_some() && left.is_zero() {
        return Ok(());
    }
    Err(JobError::Unknown { ask: format!("trade {}", attempt.key), again: Some(left) })
}

/// Makes the trade, and sees to it that somebody looks at it again. The payer waits for the sum of
/// all that is done, so the first look is scheduled while the provider works, in a moment of calm.
async fn create(
    ctx: &Context,
    order: &PayOrder,
    bill: BillRecord,
    attempt: &Attempt,
) -> Result<PayOffer, JobError> {
    let answered = Notify::new();
    let follow = async {
        if attempt.is_uncharged() {
            return Ok(());
        }
        tokio::select! {
            () = ctx.calm.wait(UNFOLLOWED) => {}
            () = answered.notified() => {}
        }
        look_at_trade(ctx, &order.sn, attempt, Some(0)).await
    };
    let (offer, followed) =
        tokio::join!(create_trade(ctx, order, bill, attempt, &answered), follow);
    let offer = offer?;
    followed.map(|()| offer)
}

/// Calls the provider, says when that has `answered`, and keeps the answer. The attempt is in the
/// bill; the same call again makes no second trade.
async fn create_trade(
    ctx: &Context,
    order: &PayOrder,
    bill: BillRecord,
    attempt: &Attempt,
    answered: &Notify,
) -> Result<PayOffer, JobError> {
    let ready = provider(ctx, attempt.channel, &attempt.app)
        .and_then(|at| Ok((at, trade_order(ctx, order, &bill, attempt)?)));
    let (at, trade) = match ready {
        Ok(ready) => ready,
        Err(error) => return Err(unsent(ctx, bill, attempt, error).await),
    };
    let mut call = Call::default();
    fault::point("worker.before_call", PayCreate::KIND).await;
    let made = at.gateway.create(&trade, &mut call).await;
    fault::point("worker.in_effect", PayCreate::KIND).await;
    answered.notify_one();
    at.note(call);
    match made {
        Ok(created) => offer(ctx, order, bill, attempt, created).await,
        Err(ProviderError::Refused(code)) => {
            refuse(ctx, bill, attempt, &code).await?;
            Err(JobError::Rejected("provider_refused"))
        }
        Err(ProviderError::Conflict(_)) => settle_conflict(ctx, bill, attempt).await,
        Err(ProviderError::OutcomeUnknown(_)) => {
            let number = attempt.number;
            let doubt = |bill: BillRecord| bill.doubt_attempt(number, Timestamp::now());
            let_go(ctx, bill, doubt).await;
            Err(ask_again(ctx, format!("trade {}", attempt.key)))
        }
        Err(
            other @ (ProviderError::NotNow { .. }
            | ProviderError::Throttled(_)
            | ProviderError::NotSent { .. }
            | ProviderError::Misconfigured(_)),
        ) => Err(unsent(ctx, bill, attempt, question_failed(other)).await),
    }
}

/// The provider was surely not reached: the next run may begin at once.
async fn unsent(ctx: &Context, bill: BillRecord, attempt: &Attempt, error: JobError) -> JobError {
    let number = attempt.number;
    let_go(ctx, bill, |bill: BillRecord| bill.release_attempt(number, Timestamp::now())).await;
    error
}

/// Ends this run's hold of an attempt. Should that not be saved, the next run waits until it ends by
/// itself, and asks.
async fn let_go(
    ctx: &Context,
    bill: BillRecord,
    end: impl Fn(BillRecord) -> Result<BillRecord, BillRefusal>,
) {
    if ctx.hold.is_none() {
        return;
    }
    let step = |bill| Ok(end(bill).map_or(Step::Keep(()), |next| Step::Save(next, ())));
    if let Err(error) = change(ctx, bill, step).await {
        tracing::warn!(%error, "an attempt is still held");
    }
}

fn trade_order(
    ctx: &Context,
    order: &PayOrder,
    bill: &BillRecord,
    attempt: &Attempt,
) -> Result<Order, JobError> {
    let payer = match &order.payer {
        None => None,
        Some(payer) => {
            let opened = ctx.till.sealer.open(SEALED_PAYER, &payer.sealed);
            let opened =
                opened.map_err(|_| JobError::again("the payer's seal cannot be opened"))?;
            Payer::new(opened.expose_secret())
        }
    };
    let card = order.card.as_ref().map(|card| Card::open(&ctx.till.sealer, card)).transpose();
    let card = card.map_err(|_| JobError::again("the card's seal cannot be opened"))?;
    Ok(Order {
        trade: trade_ref(bill, attempt),
        scene: attempt.scene,
        presentation: if attempt.code { Presentation::Code } else { Presentation::Page },
        amount: bill.amount,
        subject: bill.subject.clone(),
        expires_at: bill.expires_at,
        notify_url: ctx.till.notify_url(attempt.channel, &attempt.app),
        return_url: Some(ctx.till.return_url()),
        payer_ip: order.payer_ip,
        payer,
        card,
    })
}

/// Keeps what the client pays with.
async fn offer(
    ctx: &Context,
    order: &PayOrder,
    bill: BillRecord,
    attempt: &Attempt,
    created: Created,
) -> Result<PayOffer, JobError> {
    let now = Timestamp::now();
    let life = match (attempt.channel, attempt.scene) {
        _ if attempt.card.is_some() => TEXT_CODE_LIFE,
        (Channel::WeChatPay, Scene::H5) => H5_LIFE,
        _ => OFFER_LIFE,
    };
    let offer = Offer {
        reply: created.client,
        wrapped: created.wrapped,
        code: created.code,
        at: now,
        until: (now + life).min(bill.expires_at),
    };
    let number = attempt.number;
    let (bill, kept) =
        change(ctx, bill, |bill| match bill.offer(number, offer.clone(), Timestamp::now()) {
            Ok(next) => Ok(Step::Save(next, Ok(()))),
            Err(BillRefusal::Unheard) => Err(refused(BillRefusal::Unheard)),
            Err(late) => Ok(Step::Keep(Err(late))),
        })
        .await?;
    let Err(late) = kept else { return Ok(answer(order, attempt, &offer)) };
    if bill.attempt(number).is_some_and(|attempt| attempt.state == AttemptState::Paid) {
        return Err(refused(BillRefusal::Paid));
    }
    // The bill was paid or closed while the provider made it: no client has it, and it must not stay
    // open there.
    close_at_provider(ctx, &bill, attempt).await?;
    close(ctx, bill, number, Source::Answer).await?;
    Err(match late {
        BillRefusal::Ended => JobError::Rejected("attempt_closed"),
        late => refused(late),
    })
}

async fn refuse(
    ctx: &Context,
    bill: BillRecord,
    attempt: &Attempt,
    code: &str,
) -> Result<(), JobError> {
    let by = format!("job {}", ctx.job);
    let refusal = change(ctx, bill, |bill| {
        match bill.refuse_attempt(attempt.number, code, &by, Timestamp::now()) {
            Ok(next) => Ok(Step::Save(next, ())),
            Err(BillRefusal::Ended) => Ok(Step::Keep(())),
            Err(other) => Err(refused(other)),
        }
    });
    refusal.await.map(drop)
}

/// The provider knows the number already and gives nothing to pay with: what it says of the trade
/// decides. An attempt whose offer is lost is given up, so that the next one can take its place.
async fn settle_conflict(
    ctx: &Context,
    bill: BillRecord,
    attempt: &Attempt,
) -> Result<PayOffer, JobError> {
    let (bill, standing) = ask_for_trade(ctx, bill, attempt).await?;
    match standing {
        Standing::Paid => Err(refused(BillRefusal::Paid)),
        Standing::Closed => Err(JobError::Rejected("attempt_closed")),
        Standing::Open | Standing::Paying | Standing::NotFound => {
            close_at_provider(ctx, &bill, attempt).await?;
            close(ctx, bill, attempt.number, Source::Answer).await?;
            Err(JobError::Rejected("attempt_closed"))
        }
    }
}

/// Closes a trade whose offer no client has. One that its provider cannot close ends there at its
/// expiry, and nobody can pay it until then.
async fn close_at_provider(
    ctx: &Context,
    bill: &BillRecord,
    attempt: &Attempt,
) -> Result<(), JobError> {
    let at = provider(ctx, attempt.channel, &attempt.app)?;
    let mut call = Call::default();
    let closed = at.gateway.close(&trade_ref(bill, attempt), &mut call).await;
    at.note(call);
    match closed {
        Ok(()) | Err(ProviderError::Refused(_)) => Ok(()),
        Err(ProviderError::Conflict(_) | ProviderError::OutcomeUnknown(_)) => {
            Err(ask_again(ctx, format!("trade {}", attempt.key)))
        }
        Err(other) => Err(question_failed(other)),
    }
}

fn answer(order: &PayOrder, attempt: &Attempt, offer: &Offer) -> PayOffer {
    PayOffer {
        sn: order.sn.clone(),
        attempt: attempt.number,
        reply: offer.reply.clone(),
        wrapped: offer.wrapped,
    }
}
