//! RabbitMQ.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use schemas::{Event, JobRecord, Queue};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::broadcast;

use crate::{BrokerError, Delivery, Depth, Finding, InvalidUri, Parked, PublishError, Status};

/// Where RabbitMQ is and how this process presents itself there.
#[derive(Debug, Clone)]
pub struct RabbitSettings {
    /// `amqp://` or `amqps://` address with user, password and vhost.
    pub uri: SecretString,
    /// Name of this process, which the server shows for its connections.
    pub name: String,
    /// Longest that a publication may take; 5 s is a good value.
    pub publish_timeout: Duration,
}

pub(crate) struct Rabbit;

impl Rabbit {
    pub(crate) fn start(settings: RabbitSettings) -> Result<Self, InvalidUri> {
        let _: lapin::uri::AMQPUri =
            settings.uri.expose_secret().parse().map_err(|_| InvalidUri)?;
        Ok(Self)
    }
    pub(crate) async fn ready(&self, _within: Duration) -> Result<(), BrokerError> {
        Err(BrokerError::Unavailable("not built yet".to_owned()))
    }
    pub(crate) async fn publish(&self, _job: &JobRecord, _body: &[u8]) -> Result<(), PublishError> {
        Err(PublishError::Down)
    }
    pub(crate) fn status(&self) -> Status {
        Status::Down
    }
    pub(crate) fn consume(_this: &Arc<Self>, _queue: Queue, _prefetch: u16) -> Consumer {
        Consumer
    }
    pub(crate) async fn depth(&self, _queue: Queue) -> Result<Depth, BrokerError> {
        Err(BrokerError::Unavailable("not built yet".to_owned()))
    }
    pub(crate) async fn parked(&self, _queue: Queue) -> Result<Vec<Parked>, BrokerError> {
        Err(BrokerError::Unavailable("not built yet".to_owned()))
    }
    pub(crate) fn send_event(&self, _event: Event) {}
    pub(crate) fn events(&self) -> broadcast::Receiver<Event> {
        broadcast::Sender::new(1).subscribe()
    }
    pub(crate) async fn check(&self) -> Vec<Finding> {
        Vec::new()
    }
    pub(crate) async fn close(&self) {}
}

pub(crate) struct Consumer;
impl Consumer {
    pub(crate) async fn next(&mut self) -> Delivery {
        std::future::pending().await
    }
    pub(crate) async fn stop(self) {}
}

pub(crate) struct Receipt;
impl Receipt {
    pub(crate) fn ack(self) {}
    pub(crate) async fn park(self, _body: &Bytes, _reason: &str) {}
}
