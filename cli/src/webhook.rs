//! `feat webhook`: what the back ends of apps were told, and telling it again.

use schemas::{
    Job, JobRecord, Timestamp, UserId, audit::Action, job::NewJob, kinds::WebhookDeliver,
    kinds::webhook_deliver::WebhookMessage, webhook::WebhookEvent,
};
use serde_json::json;
use store::{Insert, JobFilter};

use crate::{
    args::{self, ListWebhooks, Resend},
    audit::Operator,
    failure::Failure,
    output::{self, Form},
    place::{self, Opened},
};

/// Records in memory at a time.
const PAGE: usize = 50;

/// Does what was asked of deliveries.
///
/// # Errors
///
/// [`Failure`]; what was sent again until then stays so.
pub(crate) async fn run(command: args::Webhook) -> Result<(), Failure> {
    let at = match &command {
        args::Webhook::List(args) => &args.place.inner,
        args::Webhook::Resend(args) => &args.place.inner,
    };
    let opened = place::open(at).await?;
    let outcome = match &command {
        args::Webhook::List(args) => list(&opened, args).await,
        args::Webhook::Resend(args) => resend(&opened, args).await,
    };
    opened.close().await;
    outcome
}

async fn list(opened: &Opened, args: &ListWebhooks) -> Result<(), Failure> {
    let filter = JobFilter {
        owner: Some(UserId::FEAT),
        kinds: vec![WebhookDeliver::KIND.to_owned()],
        states: args.state.clone(),
        created_from: args.since.map(|when| when.0),
        ..JobFilter::default()
    };
    let form = Form::chosen(args.place.json);
    let mut rows =
        output::table(["job", "endpoint", "event", "about", "state", "attempts", "accepted"]);
    let (mut left, mut after) = (args.limit, None);
    while left > 0 {
        let limit = usize::try_from(left).unwrap_or(PAGE).min(PAGE);
        let page = opened.store.jobs.list(&filter, after, limit).await?;
        after = page.last().map(|job| job.id);
        left = if page.len() < limit { 0 } else { left - page.len() as u64 };
        for job in &page {
            let Some(message) = message(job) else { continue };
            match form {
                Form::Json => output::json(&view(job, &message))?,
                Form::Table => {
                    rows.add_row([
                        job.id.to_string(),
                        message.endpoint.clone(),
                        message.event.name().to_owned(),
                        about(&message.event),
                        job.state.to_string(),
                        job.attempts.to_string(),
                        output::seconds(job.created_at),
                    ]);
                }
            }
        }
    }
    if form == Form::Table {
        output::line(rows)?;
    }
    Ok(())
}

async fn resend(opened: &Opened, args: &Resend) -> Result<(), Failure> {
    let mut messages = Vec::new();
    for id in &args.ids {
        let job = opened.store.jobs.get(*id).await?;
        let delivery = job.as_ref().and_then(|job| Some((job, message(job)?)));
        let Some((job, message)) = delivery else {
            let text = format!("there is no delivery {id}");
            return Err(Failure::setup(text, "`feat webhook list` shows those that are kept"));
        };
        if !job.state.is_settled() {
            let text = format!("{id} is {} and will be sent by itself", job.state);
            return Err(Failure::setup(text, "Wait for its end, or `feat jobs cancel` it"));
        }
        messages.push(message);
    }
    opened.broker_ready().await;
    let operator = Operator::named(&args.operator);
    for message in messages {
        let job = NewJob::of::<WebhookDeliver>(UserId::FEAT, &message)
            .map_err(|error| Failure::setup(error, "Report this"))?;
        let job = JobRecord::accept(job, &operator.to_string(), Timestamp::now());
        if opened.store.jobs.insert(&job).await? == Insert::Taken {
            return Err(Failure::setup("the delivery could not be stored", "Try again"));
        }
        if let Some(broker) = &opened.broker
            && let Err(error) = broker.publish(&job).await
        {
            tracing::debug!(job_id = %job.id, %error, "the workers will find it by themselves");
        }
        let entry = operator.entry(Action::WebhookResent).about(UserId::FEAT).subject(job.id);
        operator.record(&opened.store, &entry.detail(&message.endpoint)).await?;
        match Form::chosen(args.place.json) {
            Form::Json => output::json(&view(&job, &message))?,
            Form::Table => {
                output::line(format!("{} is sent again by job {}", message.id, job.id))?;
            }
        }
    }
    Ok(())
}

fn message(job: &JobRecord) -> Option<WebhookMessage> {
    let is_delivery = job.kind == WebhookDeliver::KIND;
    is_delivery.then(|| serde_json::from_value(job.payload.clone()).ok()).flatten()
}

/// What may be shown of a delivery: no token of a device.
fn view(job: &JobRecord, message: &WebhookMessage) -> serde_json::Value {
    json!({
        "id": job.id,
        "message": message.id,
        "endpoint": message.endpoint,
        "event": message.event.name(),
        "about": about(&message.event),
        "state": job.state,
        "attempts": job.attempts,
        "error": job.error,
        "occurred_at": message.occurred_at,
        "accepted_at": job.created_at,
        "ended_at": job.settled_at,
    })
}

fn about(event: &WebhookEvent) -> String {
    match event {
        WebhookEvent::TokensInvalid(invalid) => {
            output::counted(invalid.tokens.len() as u64, "token")
        }
        WebhookEvent::CampaignFinished(campaign) => format!("campaign {}", campaign.id),
    }
}
