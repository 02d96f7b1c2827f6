//! Paying a bill, and asking how it stands.

use poem_openapi::payload::Json;
use providers::payment::Gateway;
use schemas::{
    BillRecord, BillSn, Channel, ErrorCode, Queue, Scene, Timestamp,
    bill::{AttemptState, BillRefusal},
    job::NewJob,
    kinds::{
        PayCreate, PayQuery,
        pay_create::{PayOffer, PayOrder, SealedPayer},
        pay_query::PayLook,
    },
};
use serde_json::{Value, json};

use super::{Call, Offer, Payment, body_of, own};
use crate::{
    error::ApiError,
    intake::{Begun, ResultReply},
    routes::json_body::JsonBody,
    state::AppState,
    view::{Bill, Resource, Shaped},
};

/// What the seal of a payer's id is for.
const SEALED_PAYER: &str = "payer";

/// Longest id of a payer, in bytes.
const MAX_OPEN_ID: usize = 128;

/// The app that WeChat payments go through unless the caller names another.
const WECHAT_APP: &str = "official_account";

/// Looks at one bill that are asked for within this many seconds are one look.
const LOOK_SECONDS: i64 = 2;

/// Begins to pay `sn` as `body` says, or finds the attempt that is under way.
///
/// # Errors
///
/// 400 that names the field; 404 for what is not the caller's; 409 when the bill cannot be paid.
pub(super) async fn pay(
    state: &AppState,
    call: Call,
    sn: BillSn,
    body: &JsonBody<Payment>,
) -> Result<ResultReply<Offer>, ApiError> {
    let begun = if let Some(begun) = begin_new(state, &call, &sn, body).await? {
        begun
    } else {
        let bill = own(state, call.user, &sn).await?;
        begin(state, call, &bill, body).await?.map_err(conflict)?
    };
    begun
        .reply(state, async |output| {
            let offer: PayOffer = serde_json::from_value(output).map_err(ApiError::internal)?;
            Ok(if offer.wrapped { json!({ "data": offer.reply }) } else { offer.reply })
        })
        .await
}

/// Begins to pay a bill that was made here a moment ago, without reading it; `None` for any other.
///
/// Should it have been changed elsewhere meanwhile, a job stands for this call already, or the worker
/// finds out: its save is guarded. A key would be bound to the job that is found, whatever
/// has become of the bill, so a call with one reads first.
async fn begin_new(
    state: &AppState,
    call: &Call,
    sn: &BillSn,
    body: &JsonBody<Payment>,
) -> Result<Option<Begun>, ApiError> {
    if call.idempotency.is_some() {
        return Ok(None);
    }
    let Some(bill) = state.made.take(call.user, sn.clone()) else { return Ok(None) };
    let begun = begin(state, call.clone(), &bill, body).await?;
    Ok(begun.ok().filter(Begun::is_new))
}

/// Records the work on `bill`, or what the bill has against it.
async fn begin(
    state: &AppState,
    call: Call,
    bill: &BillRecord,
    body: &JsonBody<Payment>,
) -> Result<Result<Begun, BillRefusal>, ApiError> {
    let mut order = read(state, bill.id.clone(), body)?;
    let now = Timestamp::now();
    order.ordinal = bill.ordinal_for(&order.way(), now);
    if order.scene == Scene::H5 {
        order.payer_ip = call.payer_ip;
    }
    let begun = bill.attempt_by(&order.way(), order.ordinal).is_some();
    let payable = if begun { bill.may_pay(now) } else { bill.may_begin(now) };
    if let Err(refusal) = payable
        && call.earlier(state).await?.is_none()
    {
        return Ok(Err(refusal));
    }
    let mut job = NewJob::of::<PayCreate>(call.user, &order).map_err(ApiError::internal)?;
    job.unique_key = Some(order.unique_key());
    job.queue = Some(Queue::of_channel(order.channel));
    call.carrying(bill).begin(state, job).await.map(Ok)
}

/// Asks the providers of the open attempts of `sn`; without any, the bill is as it is.
///
/// # Errors
///
/// 404 for what is not the caller's.
pub(super) async fn refresh(
    state: &AppState,
    call: Call,
    sn: BillSn,
) -> Result<ResultReply<Resource<Bill>>, ApiError> {
    let bill = own(state, call.user, &sn).await?;
    if bill.payable().next().is_none() {
        let body = Shaped::new(body_of(&bill));
        return Ok(ResultReply::Done(Json(body), call.patience.applied(), None));
    }
    let payload = PayLook { sn, attempt: None, look: None };
    let mut job = NewJob::of::<PayQuery>(call.user, &payload).map_err(ApiError::internal)?;
    // Clients ask every few seconds, and from several places; the provider is asked once.
    let moment = Timestamp::now().as_secs() / LOOK_SECONDS;
    job.unique_key = Some(format!("pay.query:{}:asked:{moment}", payload.sn));
    job.queue = queue_of(&bill);
    call.run_for_bill(state, job, &payload.sn).await
}

/// The queue of the provider whose attempt is open; of several the latest one's.
pub(super) fn queue_of(bill: &BillRecord) -> Option<Queue> {
    let latest = bill.attempts.iter().rev().find(|attempt| {
        matches!(attempt.state, AttemptState::Sent | AttemptState::Open | AttemptState::Paid)
    });
    latest.map(|attempt| Queue::of_channel(attempt.channel))
}

/// What the bill does not allow, as its owner is told.
pub(super) fn conflict(refusal: BillRefusal) -> ApiError {
    let text = match refusal {
        BillRefusal::Paid => "The bill is paid.",
        BillRefusal::Closed => "The bill is closed.",
        BillRefusal::Overdue => "The bill is overdue.",
        BillRefusal::TooManyAttempts => "The bill has seen too many attempts.",
        BillRefusal::NotPaid => "The bill is not paid.",
        BillRefusal::ExceedsPaid => "The refunds would exceed what was paid.",
        BillRefusal::TooManyRefunds => "The bill has seen too many refunds.",
        BillRefusal::Charging => "A card is being charged.",
        BillRefusal::Unheard | BillRefusal::StillOpen | BillRefusal::Ended => {
            "The bill does not allow it."
        }
    };
    let error = ApiError::of(ErrorCode::Conflict, text);
    error.with_data(json!({ "reason": refusal.code() }))
}

/// Whether WeChat's `app_id` is that of a configured app.
pub(super) fn is_wechat_app(state: &AppState, app_id: &str) -> bool {
    let mut apps = state.till.gateways.iter();
    apps.any(|one| one.channel() == Channel::WeChatPay && one.app_id() == Some(app_id))
}

/// The order that `body` describes, without its ordinal. All that is wrong is said at once.
fn read(state: &AppState, sn: BillSn, body: &JsonBody<Payment>) -> Result<PayOrder, ApiError> {
    let channel = number(body, "pay_method", Channel::of_number, "Send 0, 100 or 200.");
    let scene = number(body, "end_type", Scene::of_number, "Send 0, 100, 200 or 300.");
    let (channel, scene) = match (channel, scene) {
        (Ok(channel), Ok(scene)) => (channel, scene),
        (Err(one), Err(two)) => {
            return Err(ApiError::invalid("pay_method", one).and("end_type", two));
        }
        (Err(text), _) => return Err(ApiError::invalid("pay_method", text)),
        (_, Err(text)) => return Err(ApiError::invalid("end_type", text)),
    };
    let extra = extra(body)?;
    let gateway = gateway(state, channel, text(extra, "wx_app_type")?)?;
    if !gateway.supports(scene) {
        let text = format!("This end type is not offered with {channel}.");
        return Err(ApiError::invalid("end_type", text));
    }
    Ok(PayOrder {
        sn,
        channel,
        scene,
        code: presentation(channel, scene, extra)?,
        app: gateway.name().to_owned(),
        ordinal: 0,
        payer: payer(state, gateway, scene, extra)?,
        payer_ip: None,
        card: None,
    })
}

fn number<T>(
    body: &JsonBody<Payment>,
    name: &str,
    read: fn(i64) -> Option<T>,
    wrong: &'static str,
) -> Result<T, &'static str> {
    let value = body.get(name).ok_or("This field is required.")?;
    value.as_i64().and_then(read).ok_or(wrong)
}

type Extra<'a> = Option<&'a serde_json::Map<String, Value>>;

fn extra(body: &JsonBody<Payment>) -> Result<Extra<'_>, ApiError> {
    match body.get("extra_params") {
        None => Ok(None),
        Some(Value::Object(extra)) => Ok(Some(extra)),
        Some(_) => Err(ApiError::invalid("extra_params", "Send an object.")),
    }
}

fn text<'a>(extra: Extra<'a>, name: &str) -> Result<Option<&'a str>, ApiError> {
    match extra.and_then(|extra| extra.get(name)) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.is_empty() => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(ApiError::invalid(name, "Send a text.")),
    }
}

fn gateway<'a>(
    state: &'a AppState,
    channel: Channel,
    app: Option<&str>,
) -> Result<&'a Gateway, ApiError> {
    let gateways = &state.till.gateways;
    let found = match (channel, app) {
        (Channel::WeChatPay, app) => gateways.get(channel, app.unwrap_or(WECHAT_APP)),
        (Channel::Alipay | Channel::UnionPay, Some(app)) => gateways.get(channel, app),
        (Channel::Alipay | Channel::UnionPay, None) => gateways.first(channel),
    };
    found.ok_or_else(|| {
        if app.is_some() && gateways.first(channel).is_some() {
            return ApiError::invalid("wx_app_type", "There is no such app.");
        }
        ApiError::invalid("pay_method", format!("Payment with {channel} is not set up here."))
    })
}

fn presentation(channel: Channel, scene: Scene, extra: Extra<'_>) -> Result<bool, ApiError> {
    match text(extra, "presentation")? {
        None => Ok(channel == Channel::WeChatPay && scene == Scene::Native),
        Some("page") if channel != Channel::WeChatPay => Ok(false),
        Some("code") if scene == Scene::Native => Ok(true),
        Some(_) => {
            Err(ApiError::invalid("presentation", "Send page or code, as the provider offers it."))
        }
    }
}

fn payer(
    state: &AppState,
    gateway: &Gateway,
    scene: Scene,
    extra: Extra<'_>,
) -> Result<Option<SealedPayer>, ApiError> {
    if scene != Scene::Jsapi {
        return Ok(None);
    }
    let Some(id) = text(extra, "open_id")? else {
        return Err(ApiError::invalid("open_id", "This field is required."));
    };
    if id.len() > MAX_OPEN_ID || !id.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(ApiError::invalid("open_id", "Send at most 128 visible ASCII characters."));
    }
    let seals = &state.till.sealer;
    let whose = format!("{} {} {id}", gateway.channel(), gateway.name());
    let sealed = seals.seal(SEALED_PAYER, id).map_err(ApiError::internal)?;
    Ok(Some(SealedPayer { digest: seals.digest(SEALED_PAYER, &whose), sealed }))
}
