//! `POST /api/pay/notify/{provider}/{app}/`: what providers tell by themselves.
//!
//! Only the signature opens this door. A message that is believed is recorded as a job and
//! answered at once, in the provider's exact form; one that is not changes nothing.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use poem::{
    Request, Response,
    http::{HeaderMap, Method},
};
use providers::payment::{
    Gateway, Gateways, MAX_NOTICE_BYTES, News, Notice, NoticeAnswer, NotifyError, RawNotify,
    RawReply, RefundState as Heard, TradeState,
};
use schemas::{
    Channel, UserId,
    bill::RefundState,
    job::NewJob,
    kinds::{
        PayNotify,
        pay_notify::{Told, ToldNews},
    },
};
use tokio::time::timeout;
use tracing::Instrument;

use crate::{
    error::{ApiError, OwnForm},
    intake::{self, Accepted},
    state::{AppState, RequestContext},
};

/// Begin of the addresses.
pub(crate) const NOTIFY_PATH: &str = "/api/pay/notify/";

/// Longest time for judging and recording a message: providers want their answer within a second, and
/// a busy process needs some of it to hear of the message and to send the answer.
const RECORD_TIME: Duration = Duration::from_millis(600);

/// Pause between two lines of the log about refused messages.
const LOG_PAUSE: Duration = Duration::from_secs(1);

/// The door for providers.
pub(crate) struct Notify {
    state: AppState,
}

impl Notify {
    /// Its addresses, for metrics.
    pub(crate) const PATTERN: &str = "/api/pay/notify/{provider}/{app}/";

    /// Begins the counter of every account and outcome at zero, so that an alert sees its first
    /// increment.
    pub(crate) fn begin_counters(gateways: &Gateways) {
        metrics::describe_counter!(COUNTER, "Notices of providers, by what became of them.");
        for gateway in gateways.iter() {
            for outcome in OUTCOMES {
                counter(gateway, outcome).increment(0);
            }
        }
    }

    /// The door, on top of `state`.
    pub(crate) const fn new(state: AppState) -> Self {
        Self { state }
    }

    /// The answer to a message; `None` when the address is none of these.
    pub(crate) async fn answer(&self, request: &mut Request) -> Option<Response> {
        let path = request.uri().path().to_owned();
        let (channel, app) = path.strip_prefix(NOTIFY_PATH)?.strip_suffix('/')?.split_once('/')?;
        let channel: Option<Channel> = channel.parse().ok();
        let gateway = channel.and_then(|channel| self.state.till.gateway(channel, app));
        let Some(gateway) = gateway else {
            return Some(ApiError::not_found().to_response());
        };
        if request.method() != Method::POST {
            let mut reply = ApiError::of(
                schemas::ErrorCode::MethodNotAllowed,
                "This address does not take that method.",
            )
            .to_response();
            let post = poem::http::HeaderValue::from_static("POST");
            reply.headers_mut().insert(poem::http::header::ALLOW, post);
            return Some(reply);
        }
        let body = request.take_body().into_bytes_limit(MAX_NOTICE_BYTES).await;
        let Ok(body) = body else {
            count(gateway, Outcome::Refused("malformed"));
            return Some(ApiError::too_large(MAX_NOTICE_BYTES as u64).to_response());
        };
        let message = Message {
            channel: gateway.channel(),
            app: gateway.name().to_owned(),
            headers: request.headers().clone(),
            body,
            context: request.data::<RequestContext>().cloned(),
        };
        let raw = RawNotify { headers: request.headers(), body: &message.body.clone() };
        // It goes on when the provider hangs up or the time is over: a message is recorded whole, and
        // a key that is being fetched is there for the next one.
        let taking = tokio::spawn(take(self.state.clone(), message).in_current_span());
        let outcome = match timeout(RECORD_TIME, taking).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Outcome::Unavailable,
            Err(_) => Outcome::Late,
        };
        count(gateway, outcome);
        Some(response(&gateway.acknowledge(raw, outcome.answer())))
    }
}

/// A message as it came.
struct Message {
    channel: Channel,
    app: String,
    headers: HeaderMap,
    body: Bytes,
    context: Option<RequestContext>,
}

/// Judges a message and records what it tells.
async fn take(state: AppState, message: Message) -> Outcome {
    let Some(gateway) = state.till.gateway(message.channel, &message.app) else {
        return Outcome::Unavailable;
    };
    let raw = RawNotify { headers: &message.headers, body: &message.body };
    let notice = match gateway.read_notify(raw).await {
        Ok(notice) => notice,
        Err(error) => return refused(gateway, &error),
    };
    let Some(told) = told(gateway, notice) else { return Outcome::Nothing };
    let Ok(mut job) = NewJob::of::<PayNotify>(UserId::FEAT, &told) else {
        return Outcome::Unavailable;
    };
    job.unique_key = Some(told.unique_key());
    job.request_id = message.context.as_ref().map(|context| context.request_id.clone());
    job.trace_parent = message.context.and_then(|context| context.trace_parent);
    match intake::record(&state, job).await {
        Ok(Accepted::New(job)) => {
            // The record is enough for an answer; a broker that hangs must not hold it up.
            let announce = async move { intake::announce(&state, &job).await };
            tokio::spawn(announce.in_current_span());
            Outcome::Taken
        }
        Ok(Accepted::Same(_) | Accepted::Replayed(_)) => Outcome::Replayed,
        Err(_) => Outcome::Unavailable,
    }
}

fn refused(gateway: &Gateway, error: &NotifyError) -> Outcome {
    let (channel, account) = (gateway.channel(), gateway.name());
    // Anybody can send what is refused: the counters tell of each, the log now and then.
    if !matches!(error, NotifyError::Probe) && is_due() {
        tracing::warn!(%channel, account, %error, "a notice was refused");
    }
    match error {
        NotifyError::Unready => Outcome::Unready,
        error => Outcome::Refused(name(error)),
    }
}

/// Whether the log has heard of no refused notice for a while.
fn is_due() -> bool {
    static LAST: Mutex<Option<Instant>> = Mutex::new(None);
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    let due = last.is_none_or(|last| last.elapsed() >= LOG_PAUSE);
    if due {
        *last = Some(Instant::now());
    }
    due
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// It is recorded now.
    Taken,
    /// It was recorded before.
    Replayed,
    /// It is genuine and says nothing that is of use here.
    Nothing,
    /// It is not believed, for this reason.
    Refused(&'static str),
    /// The keys to judge it are not at hand.
    Unready,
    /// It could not be recorded in time.
    Late,
    /// It could not be recorded.
    Unavailable,
}

impl Outcome {
    const fn answer(self) -> NoticeAnswer {
        match self {
            Self::Taken | Self::Replayed | Self::Nothing => NoticeAnswer::Taken,
            Self::Refused(_) => NoticeAnswer::Refused,
            Self::Unready | Self::Late | Self::Unavailable => NoticeAnswer::Later,
        }
    }
}

const COUNTER: &str = "feat_notices_total";

/// Every name of an outcome.
const OUTCOMES: [&str; 11] = [
    "taken",
    "replayed",
    "nothing",
    "late",
    "unavailable",
    "forged",
    "probe",
    "foreign",
    "stale",
    "malformed",
    "unready",
];

fn counter(gateway: &Gateway, outcome: &'static str) -> metrics::Counter {
    let (channel, app) = (gateway.channel().name(), gateway.name().to_owned());
    metrics::counter!(COUNTER, "channel" => channel, "app" => app, "outcome" => outcome)
}

fn count(gateway: &Gateway, outcome: Outcome) {
    let outcome = match outcome {
        Outcome::Taken => "taken",
        Outcome::Replayed => "replayed",
        Outcome::Nothing => "nothing",
        Outcome::Refused(why) => why,
        Outcome::Unready => "unready",
        Outcome::Late => "late",
        Outcome::Unavailable => "unavailable",
    };
    counter(gateway, outcome).increment(1);
}

const fn name(error: &NotifyError) -> &'static str {
    match error {
        NotifyError::Forged => "forged",
        NotifyError::Probe => "probe",
        NotifyError::Foreign => "foreign",
        NotifyError::Stale => "stale",
        NotifyError::Malformed(_) => "malformed",
        NotifyError::Unready => "unready",
    }
}

/// The message as a job carries it; `None` when there is nothing to do.
fn told(gateway: &Gateway, notice: Notice) -> Option<Told> {
    let confirm = notice.confirm_by_query;
    let news = match notice.news {
        News::Nothing => return None,
        News::Trade { key, state } => match state {
            TradeState::Paid(payment) if !confirm => ToldNews::Paid {
                key,
                transaction_id: payment.transaction_id,
                amount: payment.amount,
                paid_at: payment.paid_at,
            },
            TradeState::Paid(_)
            | TradeState::Refunded(_)
            | TradeState::NotFound
            | TradeState::NotPaid
            | TradeState::Paying
            | TradeState::Closed => ToldNews::Trade { key },
        },
        News::Refund { key, refund, .. } => {
            let state = match refund.state {
                _ if confirm => None,
                Heard::NotFound => None,
                Heard::Processing => Some(RefundState::Processing),
                Heard::Done { .. } => Some(RefundState::Succeeded),
                Heard::Closed => Some(RefundState::Refused),
                Heard::Abnormal => Some(RefundState::Abnormal),
            };
            let amount = match refund.state {
                Heard::Done { amount, .. } => amount,
                _ => None,
            };
            let provider_id = refund.refund_id;
            match state {
                None => ToldNews::AskRefund { key },
                Some(state) => ToldNews::Refund { key, state, provider_id, amount },
            }
        }
    };
    let app = gateway.name().to_owned();
    Some(Told { channel: gateway.channel(), app, event: notice.id, news })
}

fn response(reply: &RawReply) -> Response {
    let mut response = Response::builder()
        .status(poem::http::StatusCode::from_u16(reply.status).unwrap_or_default());
    if let Some(content_type) = reply.content_type {
        response = response.content_type(content_type);
    }
    let mut response = response.body(reply.body);
    response.set_data(OwnForm);
    response
}
