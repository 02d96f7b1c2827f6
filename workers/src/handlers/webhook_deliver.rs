//! Gives one event to one endpoint.

use providers::webhook::DeliveryError;
use schemas::{
    JobError, Timestamp,
    kinds::{
        WebhookDeliver,
        webhook_deliver::{WebhookMessage, WebhookReceipt},
    },
};
use serde_json::json;

use crate::handler::{Context, Handler, Undo};

impl Handler for WebhookDeliver {
    async fn run(ctx: &Context, message: &WebhookMessage) -> Result<WebhookReceipt, JobError> {
        let mut body = serde_json::to_value(&message.event).map_err(JobError::again)?;
        body["timestamp"] = json!(message.occurred_at);
        let sent = ctx.webhooks.deliver(&message.endpoint, &message.id, body.to_string()).await;
        sent.map_err(|error| match error {
            DeliveryError::NoEndpoint => JobError::Rejected("no_such_endpoint"),
            DeliveryError::Gone => JobError::Rejected("endpoint_gone"),
            DeliveryError::Later(pause) => JobError::Throttled { until: Timestamp::now() + pause },
            DeliveryError::Failed(reason) => JobError::again(reason),
        })?;
        Ok(WebhookReceipt { taken_at: Timestamp::now() })
    }

    /// What was sent before is known to its receiver under its id; nothing else remains.
    async fn undo(_: &Context, _: &WebhookMessage) -> Result<Undo, JobError> {
        Ok(Undo::Undone)
    }
}
