//! Questions to the server: how much waits, what was set aside, whether all is well.

use std::time::Duration;

use lapin::{
    BasicProperties, Channel, Confirmation,
    options::{
        BasicGetOptions, BasicNackOptions, BasicPublishOptions, ConfirmSelectOptions,
        QueueDeclareOptions,
    },
    types::{FieldTable, ShortString},
};
use schemas::Queue;
use tokio::time::timeout;

use super::{
    letter,
    link::{Link, Lost},
    topology,
};
use crate::{BrokerError, Depth, Finding, PARKED_SHOWN, Parked};

/// The longest that a question takes.
const ANSWER: Duration = Duration::from_secs(5);

/// Asks `question` on a channel of its own, because a refusal closes the channel.
async fn ask<T, Q, F>(link: &Link, question: Q) -> Result<T, BrokerError>
where
    Q: FnOnce(Channel) -> F,
    F: Future<Output = Result<T, Lost>>,
{
    let asked = async {
        let channel = link.connected().await.create_channel().await?;
        question(channel).await
    };
    match timeout(ANSWER, asked).await {
        Ok(answer) => answer.map_err(|lost| lost.to_error()),
        Err(_) => Err(link.problem().unwrap_or_else(silent)),
    }
}

/// When nothing more is known.
pub(super) fn silent() -> BrokerError {
    BrokerError::Unavailable("no answer in time".to_owned())
}

/// How much waits in `queue`.
pub(super) async fn depth(link: &Link, queue: Queue) -> Result<Depth, BrokerError> {
    ask(link, |channel| async move {
        let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let name = queue.broker_name().into();
        let found = channel.queue_declare(name, options, FieldTable::default()).await?;
        Ok(Depth { ready: found.message_count().into(), consumers: found.consumer_count() })
    })
    .await
}

/// The oldest parked messages of `queue`; they go back as they were.
pub(super) async fn parked(link: &Link, queue: Queue) -> Result<Vec<Parked>, BrokerError> {
    ask(link, |channel| async move {
        let mut found = Vec::new();
        let mut last = None;
        while found.len() < PARKED_SHOWN {
            let name = queue.parked_name().into();
            let Some(message) = channel.basic_get(name, BasicGetOptions::default()).await? else {
                break;
            };
            let delivery = message.delivery;
            let reason = letter::reason(&delivery.properties);
            last = Some(delivery.delivery_tag);
            found.push(Parked { body: delivery.data.into(), reason });
        }
        if let Some(last) = last {
            let all = BasicNackOptions { multiple: true, requeue: true };
            channel.basic_nack(last, all).await?;
        }
        Ok(found)
    })
    .await
}

/// Everything that Feat needs of the server.
pub(super) async fn check(publishing: &Link, consuming: &Link) -> Vec<Finding> {
    let (to_publish, to_consume) = tokio::join!(reach(publishing), reach(consuming));
    let mut findings = vec![
        finding("RabbitMQ: connection to publish", to_publish),
        finding("RabbitMQ: connection to consume", to_consume),
    ];
    if findings.iter().any(|finding| finding.problem.is_some()) {
        return findings;
    }
    for queue in Queue::ALL {
        let declared =
            ask(
                consuming,
                |channel| async move { Ok(topology::declare_queue(&channel, queue).await?) },
            );
        let what = format!("RabbitMQ: queue {}", queue.broker_name());
        findings.push(finding(&what, declared.await));
    }
    for exchange in [topology::EVENTS, topology::NEWS] {
        let declared = ask(consuming, |channel| async move {
            Ok(topology::declare_exchange(&channel, exchange).await?)
        });
        findings.push(finding(&format!("RabbitMQ: exchange {exchange}"), declared.await));
    }
    findings.push(finding("RabbitMQ: a message is confirmed", ask(publishing, probe).await));
    findings
}

fn finding(what: &str, outcome: Result<(), BrokerError>) -> Finding {
    Finding { what: what.to_owned(), problem: outcome.err().map(|error| error.to_string()) }
}

async fn reach(link: &Link) -> Result<(), BrokerError> {
    let reached = timeout(ANSWER, link.connected()).await;
    reached.map(drop).map_err(|_| link.problem().unwrap_or_else(silent))
}

/// Sends a message to a queue that exists for this probe alone.
async fn probe(channel: Channel) -> Result<(), Lost> {
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    let options = QueueDeclareOptions {
        exclusive: true,
        auto_delete: true,
        ..QueueDeclareOptions::default()
    };
    let queue =
        channel.queue_declare(ShortString::default(), options, FieldTable::default()).await?;
    let confirm = channel
        .basic_publish(
            ShortString::default(),
            queue.name().clone(),
            BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() },
            b"probe",
            BasicProperties::default(),
        )
        .await?;
    if confirm.await? == Confirmation::Ack(None) { Ok(()) } else { Err(Lost::Closed) }
}
