//! `POST /api/pay/notify/{provider}/{app}/`: what providers tell by themselves.
//!
//! Only the signature opens this door. A message that is believed is recorded as a job and
//! answered at once, in the provider's exact form; one that is not changes nothing.

use std::time::Duration;

use poem::{Request, Response, http::Method};
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
use tokio::{sync::oneshot, time::timeout};
use tracing::Instrument;

use crate::{
    error::ApiError,
    intake::{self, Accepted},
    state::{AppState, RequestContext},
};

/// Begin of the addresses.
const PREFIX: &str = "/api/pay/notify/";

/// Longest time for judging and recording a message: providers want their answer within a second, and
/// a busy process needs some of it to hear of the message and to send the answer.
const RECORD_TIME: Duration = Duration::from_millis(600);

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
        let (channel, app) = path.strip_prefix(PREFIX)?.strip_suffix('/')?.split_once('/')?;
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
        let raw = RawNotify { headers: request.headers(), body: &body };
        let context = request.data::<RequestContext>();
        let work = self.take(gateway, raw, context);
        let outcome = timeout(RECORD_TIME, work).await.unwrap_or(Outcome::Late);
        count(gateway, outcome);
        let answer = match outcome {
            Outcome::Taken | Outcome::Replayed | Outcome::Nothing => NoticeAnswer::Taken,
            Outcome::Refused(_) | Outcome::Late | Outcome::Unavailable => NoticeAnswer::Refused,
        };
        Some(response(&gateway.acknowledge(raw, answer)))
    }

    async fn take(
        &self,
        gateway: &Gateway,
        raw: RawNotify<'_>,
        context: Option<&RequestContext>,
    ) -> Outcome {
        let notice = match gateway.read_notify(raw).await {
            Ok(notice) => notice,
            Err(NotifyError::Probe) => return Outcome::Refused("probe"),
            Err(error) => {
                let why = name(&error);
                let channel = gateway.channel();
                tracing::warn!(%channel, account = gateway.name(), %error, "a notice was refused");
                return Outcome::Refused(why);
            }
        };
        let Some(told) = told(gateway, notice) else { return Outcome::Nothing };
        let Ok(mut job) = NewJob::of::<PayNotify>(UserId::FEAT, &told) else {
            return Outcome::Unavailable;
        };
        job.unique_key = Some(told.unique_key());
        job.request_id = context.map(|context| context.request_id.clone());
        job.trace_parent = context.and_then(|context| context.trace_parent.clone());
        let state = self.state.clone();
        let (tell, answer) = oneshot::channel();
        let record = async move {
            let accepted = intake::record(&state, job).await;
            // The record is enough for an answer; a broker that hangs must not hold it up.
            let _ = tell.send(match &accepted {
                Ok(Accepted::New(_)) => Outcome::Taken,
                Ok(Accepted::Same(_) | Accepted::Replayed(_)) => Outcome::Replayed,
                Err(_) => Outcome::Unavailable,
            });
            if let Ok(Accepted::New(job)) = &accepted {
                intake::announce(&state, job).await;
            }
        };
        // A provider that hangs up must not leave the message half recorded.
        tokio::spawn(record.in_current_span());
        answer.await.unwrap_or(Outcome::Unavailable)
    }
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
    /// It could not be recorded in time.
    Late,
    /// It could not be recorded.
    Unavailable,
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
            match state {
                None => ToldNews::AskRefund { key },
                Some(state) => ToldNews::Refund { key, state, provider_id: refund.refund_id },
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
    response.body(reply.body)
}
