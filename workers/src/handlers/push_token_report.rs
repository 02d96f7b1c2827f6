//! Gathers device tokens that were put aside into events for the back ends of their apps.
//!
//! The deliveries are stored first, then the tokens are marked as reported. What is cut off in
//! between is reported once more, in another event: the receiver hears of a token at least once.

use schemas::{
    JobError, Timestamp,
    kinds::{
        PushTokenReport,
        push_token_report::{Reporting, ReportingDone},
    },
    push_token::{PushTokenReason, PushTokenRecord},
    webhook::{InvalidToken, InvalidTokens, MAX_TOKENS, WebhookEvent},
};
use store::StoreError;

use crate::{
    handler::{Context, Handler, Undo, store_again},
    webhooks::announce,
};

/// Most events of one run; the next run goes on.
const MAX_EVENTS: u64 = 200;

impl Handler for PushTokenReport {
    async fn run(ctx: &Context, _: &Reporting) -> Result<ReportingDone, JobError> {
        let mut done = ReportingDone::default();
        while done.events < MAX_EVENTS && !ctx.is_cancelled() {
            let found = ctx.store.push_tokens.unreported(Timestamp::now(), MAX_TOKENS).await;
            let found = found.map_err(store_again)?;
            if found.is_empty() {
                break;
            }
            let tokens = found.iter().map(invalid).collect();
            let event = WebhookEvent::TokensInvalid(InvalidTokens { tokens });
            announce(ctx, &key(&found), &event).await?;
            done.events += 1;
            done.tokens += found.len() as u64;
            mark(ctx, found).await.map_err(store_again)?;
        }
        Ok(done)
    }

    async fn undo(_: &Context, _: &Reporting) -> Result<Undo, JobError> {
        Ok(Undo::Undone)
    }
}

fn invalid(device: &PushTokenRecord) -> InvalidToken {
    InvalidToken {
        id: device.number,
        user: device.owner,
        app: device.app.clone(),
        environment: device.environment,
        device_token: device.token.clone(),
        device_id: device.device_id.clone(),
        reason: device.why().unwrap_or(PushTokenReason::Unknown),
        at: device.state_at,
    }
}

/// Stands for exactly these tokens in these versions: FNV-1a over all of them.
fn key(found: &[PushTokenRecord]) -> String {
    let words = found.iter().flat_map(|one| [one.number.get().cast_unsigned(), one.version]);
    let hash = words.flat_map(u64::to_le_bytes).fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let first = found.first().map_or(0, |device| device.number.get());
    format!("{first}:{}:{hash:016x}", found.len())
}

async fn mark(ctx: &Context, found: Vec<PushTokenRecord>) -> Result<(), StoreError> {
    let marks = found.into_iter().map(|device| {
        let seen = device.unreported_since;
        // One that was put aside anew meanwhile is news again.
        let step = move |device: PushTokenRecord| {
            if device.unreported_since == seen { device.reported() } else { None }
        };
        ctx.store.push_tokens.change(device, step)
    });
    futures::future::try_join_all(marks).await.map(drop)
}
