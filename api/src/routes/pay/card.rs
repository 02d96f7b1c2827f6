//! UnionPay's cards without its page: whether a card is open, the page that opens it, the code by text
//! message, and the payment.
//!
//! A card's number is sealed before anything is recorded; no log, record or reply has it in clear.

use poem::{Request, web::Data};
use poem_openapi::{
    OpenApi,
    param::{Header, Path},
};
use schemas::{
    BillRecord, Channel, ErrorCode, Queue, Scene, Timestamp,
    bill::Attempt,
    card::SealedCard,
    job::NewJob,
    kinds::{
        PayCardLook, PayCardOpen, PayCharge, PayCreate,
        pay_card_look::{CardQuestion, CardStanding},
        pay_card_open::CardPage,
        pay_charge::CardCharge,
        pay_create::{PayOffer, PayOrder},
    },
};
use serde_json::json;

use super::{
    card_fields::{charger, code, kept, named, no_code, phone, private_call},
    card_shapes::{CardNamed, CardOpening, CardOwner, CardPayment, CodeSent, CodeWish},
    order, own,
};
use crate::{
    auth::Bearer,
    error::ApiError,
    intake::ResultReply,
    routes::{json_body::JsonBody, path_id::BillPathId},
    state::{AppState, RequestContext},
    view::{Area, Bill, Resource},
};

/// The calls about cards.
pub(crate) struct CardApi(pub(crate) AppState);

#[OpenApi(prefix_path = "/api/pay", tag = "Area::Payments")]
impl CardApi {
    /// Ask whether a UnionPay card is open for payments
    ///
    /// 400 `SERVICE_NOT_OPEN` when its holder has to open it first.
    #[oai(path = "/account/open_query", method = "post", operation_id = "query_card")]
    async fn open_query(
        &self,
        Bearer(caller): Bearer,
        body: JsonBody<CardNamed>,
        /// `wait=N` holds the request for up to N seconds until the work is done (RFC 7240).
        #[oai(name = "Prefer")]
        _prefer: Header<Option<String>>,
        Data(context): Data<&RequestContext>,
        request: &Request,
    ) -> Result<ResultReply<Resource<CardOwner>>, ApiError> {
        let question = question(&self.0, &body)?;
        let call = private_call(&self.0, &caller, context, request, &body)?;
        let mut job =
            NewJob::of::<PayCardLook>(caller.user, &question).map_err(ApiError::internal)?;
        job.queue = Some(Queue::of_channel(Channel::UnionPay));
        call.run(&self.0, job, async |output| {
            let standing: CardStanding =
                serde_json::from_value(output).map_err(ApiError::internal)?;
            if !standing.open {
                let text = "The card's holder has to open it first.";
                return Err(ApiError::of(ErrorCode::ServiceNotOpen, text));
            }
            Ok(json!({ "data": { "consumer_info": { "phone_no": standing.phone_no } } }))
        })
        .await
    }

    /// Get the page on which a card's holder opens it
    ///
    /// Show `template` in a browser: it goes on to UnionPay by itself. Afterwards ask again whether
    /// the card is open.
    #[oai(path = "/account/open_card_front", method = "post", operation_id = "open_card")]
    async fn open_card(
        &self,
        Bearer(caller): Bearer,
        body: JsonBody<CardNamed>,
        /// `wait=N` holds the request for up to N seconds until the work is done (RFC 7240).
        #[oai(name = "Prefer")]
        _prefer: Header<Option<String>>,
        Data(context): Data<&RequestContext>,
        request: &Request,
    ) -> Result<ResultReply<Resource<CardOpening>>, ApiError> {
        let question = question(&self.0, &body)?;
        let call = private_call(&self.0, &caller, context, request, &body)?;
        let mut job =
            NewJob::of::<PayCardOpen>(caller.user, &question).map_err(ApiError::internal)?;
        job.queue = Some(Queue::of_channel(Channel::UnionPay));
        call.run(&self.0, job, async |output| {
            let page: CardPage = serde_json::from_value(output).map_err(ApiError::internal)?;
            Ok(json!({ "data": { "template": page.template } }))
        })
        .await
    }

    /// Send a card's holder the code that pays a bill
    ///
    /// Within a minute the same call sends no other code. A new code takes the place of the one
    /// before.
    #[oai(path = "/order/:sn/send_vcode", method = "post", operation_id = "send_card_code")]
    #[expect(clippy::too_many_arguments, reason = "one for each part of the request")]
    async fn send_code(
        &self,
        Bearer(caller): Bearer,
        sn: Path<BillPathId>,
        body: JsonBody<CodeWish>,
        /// `wait=N` holds the request for up to N seconds until the work is done (RFC 7240).
        #[oai(name = "Prefer")]
        _prefer: Header<Option<String>>,
        /// The caller's own name for this request: 1 to 255 visible ASCII characters.
        #[oai(name = "Idempotency-Key")]
        _key: Header<Option<String>>,
        Data(context): Data<&RequestContext>,
        request: &Request,
    ) -> Result<ResultReply<Resource<CodeSent>>, ApiError> {
        let call = private_call(&self.0, &caller, context, request, &body)?;
        let bill = own(&self.0, caller.user, &sn.0.get()?).await?;
        let card = match body.get("account_no") {
            None => kept(&self.0, caller.user, &body).await?,
            Some(_) => named(&self.0, &body, Some(phone(&body)?))?,
        };
        let order = code_order(&self.0, &bill, card)?;
        let now = Timestamp::now();
        let begun = bill.attempt_by(&order.way(), order.ordinal).is_some();
        let payable = if begun { bill.may_pay(now) } else { bill.may_begin(now) };
        if let Err(refusal) = payable.and_then(|()| bill.may_charge())
            && call.earlier(&self.0).await?.is_none()
        {
            return Err(order::conflict(refusal));
        }
        let mut job = NewJob::of::<PayCreate>(caller.user, &order).map_err(ApiError::internal)?;
        job.unique_key = Some(order.unique_key());
        job.queue = Some(Queue::of_channel(Channel::UnionPay));
        call.carrying(&bill)
            .run(&self.0, job, async |output| {
                let offer: PayOffer = serde_json::from_value(output).map_err(ApiError::internal)?;
                Ok(json!({ "data": offer.reply }))
            })
            .await
    }

    /// Pay a bill by card, with the code that its holder got
    ///
    /// 400 `INVALID_VCODE` when the code is wrong: have another one sent. A payment that the bank
    /// has not decided yet leaves the bill as it was: refresh it until it is paid.
    #[oai(path = "/order/:sn/unpay", method = "post", operation_id = "pay_order_by_card")]
    #[expect(clippy::too_many_arguments, reason = "one for each part of the request")]
    async fn pay(
        &self,
        Bearer(caller): Bearer,
        sn: Path<BillPathId>,
        body: JsonBody<CardPayment>,
        /// `wait=N` holds the request for up to N seconds until the work is done (RFC 7240).
        #[oai(name = "Prefer")]
        _prefer: Header<Option<String>>,
        /// The caller's own name for this request: 1 to 255 visible ASCII characters.
        #[oai(name = "Idempotency-Key")]
        _key: Header<Option<String>>,
        Data(context): Data<&RequestContext>,
        request: &Request,
    ) -> Result<ResultReply<Resource<Bill>>, ApiError> {
        let call = private_call(&self.0, &caller, context, request, &body)?;
        let bill = own(&self.0, caller.user, &sn.0.get()?).await?;
        let code = read_payment(&self.0, &body)?;
        let card = match body.get("account_no") {
            None => kept(&self.0, caller.user, &body).await?,
            Some(_) => named(&self.0, &body, None)?,
        };
        let replayed = call.earlier(&self.0).await?.is_some();
        let attempt = chargeable(&bill, &card.digest, replayed)?.number;
        let charge = CardCharge { sn: bill.id.clone(), attempt, card, code };
        let mut job = NewJob::of::<PayCharge>(caller.user, &charge).map_err(ApiError::internal)?;
        job.unique_key = Some(charge.unique_key());
        job.queue = Some(Queue::of_channel(Channel::UnionPay));
        call.run_for_bill(&self.0, job, &bill.id).await
    }
}

fn question(state: &AppState, body: &JsonBody<CardNamed>) -> Result<CardQuestion, ApiError> {
    let card = named(state, body, None)?;
    Ok(CardQuestion { app: charger(state)?.name().to_owned(), card })
}

/// The order that has a code sent for `card`.
fn code_order(state: &AppState, bill: &BillRecord, card: SealedCard) -> Result<PayOrder, ApiError> {
    let mut order = PayOrder {
        sn: bill.id.clone(),
        channel: Channel::UnionPay,
        scene: Scene::Native,
        code: false,
        app: charger(state)?.name().to_owned(),
        ordinal: 0,
        payer: None,
        payer_ip: None,
        card: Some(card),
    };
    order.ordinal = bill.ordinal_for(&order.way(), Timestamp::now());
    Ok(order)
}

/// The code that came to the card's holder, sealed.
fn read_payment(state: &AppState, body: &JsonBody<CardPayment>) -> Result<String, ApiError> {
    for (name, wanted) in [("pay_method", Channel::UnionPay.number()), ("end_type", 0)] {
        if body.required(name)?.as_i64() != Some(wanted) {
            return Err(ApiError::invalid(name, format!("Send {wanted}.")));
        }
    }
    code(state, body)
}

/// The attempt of the card with `digest` that a code was sent for, or that is being charged already.
/// A repeated request may mean one that has ended.
fn chargeable<'a>(
    bill: &'a BillRecord,
    digest: &str,
    replayed: bool,
) -> Result<&'a Attempt, ApiError> {
    let latest = bill
        .attempts
        .iter()
        .rfind(|attempt| attempt.card.is_some() && attempt.payer.as_deref() == Some(digest));
    if let Some(attempt) = latest
        && (replayed || attempt.is_charging())
    {
        return Ok(attempt);
    }
    bill.may_pay(Timestamp::now()).and_then(|()| bill.may_charge()).map_err(order::conflict)?;
    bill.chargeable(digest).ok_or_else(no_code)
}
