//! Registers a device token, under the sign-in that asked for it.
//!
//! A sign-out may come at the same time: it ends the sign-in first and then looks for its tokens.
//! So the sign-in is looked at again after the token is stored: whichever comes first, a token of
//! an ended sign-in does not stay.

use schemas::{
    JobError, Timestamp,
    kinds::{
        PushTokenRegister,
        push_token_register::{RegistrationReceipt, TokenRegistration},
    },
    push_token::{MAX_DEVICES, PushTokenReason, PushTokenRecord, Registration, SignedIn},
};
use store::{Registered, StoreError};

use crate::handler::{Context, Handler, Undo, store_again};

/// Devices of one owner that are looked at; more than there can be at a time.
const MANY: usize = MAX_DEVICES * 4;

impl Handler for PushTokenRegister {
    async fn run(ctx: &Context, wish: &TokenRegistration) -> Result<RegistrationReceipt, JobError> {
        let Some((signed_in, device_id)) = sign_in(ctx, wish).await? else {
            return sign_out(ctx, wish).await;
        };
        let registration = Registration {
            owner: ctx.owner,
            app: wish.app.clone(),
            environment: wish.environment,
            token: wish.token.clone(),
            device_id,
            signed_in,
            locale: wish.locale.clone(),
            app_version: wish.app_version.clone(),
        };
        let registered = ctx.store.push_tokens.register(registration, wish.received_at).await;
        let (device, in_place) = match registered.map_err(store_again)? {
            Registered::New(device) => (device, false),
            Registered::Again { device, in_place } => (device, in_place),
            // An earlier run may have come no further than here.
            Registered::Earlier(device) if device.owner == ctx.owner => (device, false),
            Registered::Earlier(_) => return Err(JobError::Rejected("registered_by_another")),
        };
        if sign_in(ctx, wish).await?.is_none() {
            return sign_out(ctx, wish).await;
        }
        // At most launches of an app nothing is new, and its owner may have many devices.
        if !in_place {
            tidy(ctx, &device).await.map_err(store_again)?;
        }
        let created = device.created_at == wish.received_at;
        Ok(RegistrationReceipt { id: device.number, created })
    }

    /// What is registered is taken back by a removal, not by cancelling.
    async fn undo(ctx: &Context, wish: &TokenRegistration) -> Result<Undo, JobError> {
        let device = ctx.store.push_tokens.get(&wish.app, &wish.token).await;
        let device = device.map_err(store_again)?;
        let done = device.is_some_and(|device| device.registered_at >= wish.received_at);
        Ok(if done { Undo::TooLate } else { Undo::Undone })
    }
}

/// What let the app ask, and the name of the device; `None` when it has ended.
async fn sign_in(
    ctx: &Context,
    wish: &TokenRegistration,
) -> Result<Option<(SignedIn, String)>, JobError> {
    let now = Timestamp::now();
    let mut device_id = wish.device_id.clone();
    let mut until = None;
    if let Some(id) = wish.session {
        let session = ctx.store.sessions.get_owned(ctx.owner, id).await.map_err(store_again)?;
        let Some(session) = session.filter(|session| session.is_live(now)) else { return Ok(None) };
        until = Some(session.expires_at);
        // Without a record of its own the device's name is shared by all of that client.
        device_id = device_id.or_else(|| session.device.map(|_| session.device_id));
    }
    if let Some(id) = wish.key {
        let key = ctx.store.keys.get(id).await.map_err(store_again)?;
        let Some(key) = key.filter(|key| key.counts(now)) else { return Ok(None) };
        until = key.expires_at;
    }
    let signed_in = SignedIn { session: wish.session, key: wish.key, until };
    Ok(Some((signed_in, device_id.unwrap_or_default())))
}

/// Takes back what this or an earlier run has stored under the ended sign-in.
async fn sign_out(
    ctx: &Context,
    wish: &TokenRegistration,
) -> Result<RegistrationReceipt, JobError> {
    let devices = &ctx.store.push_tokens;
    let step = |device: PushTokenRecord| {
        let same = device.owner == ctx.owner
            && device.signed_in.session == wish.session
            && device.signed_in.key == wish.key;
        if same { device.removed(PushTokenReason::SignedOut, Timestamp::now()) } else { None }
    };
    if let Some(device) = devices.get(&wish.app, &wish.token).await.map_err(store_again)? {
        devices.change(device, step).await.map_err(store_again)?;
    }
    Err(JobError::Rejected("signed_out"))
}

/// A device has one token for an app in an environment, the latest; a user has a bounded number of
/// devices.
async fn tidy(ctx: &Context, registered: &PushTokenRecord) -> Result<(), StoreError> {
    let mut devices = ctx.store.push_tokens.list(ctx.owner, None, MANY).await?;
    devices.sort_by_key(|device| std::cmp::Reverse((device.registered_at, device.number)));
    let (mut kept, mut is_first) = (0, true);
    for device in devices {
        if is_same_place(&device, registered) && !std::mem::take(&mut is_first) {
            end(ctx, device, PushTokenReason::Superseded).await?;
        } else if device.state.gets_pushes() {
            kept += 1;
            if kept > MAX_DEVICES {
                end(ctx, device, PushTokenReason::Crowded).await?;
            }
        }
    }
    Ok(())
}

fn is_same_place(device: &PushTokenRecord, other: &PushTokenRecord) -> bool {
    !device.device_id.is_empty()
        && device.device_id == other.device_id
        && device.app == other.app
        && device.environment == other.environment
}

/// Ends the pushes to `device`, unless it was registered again meanwhile.
async fn end(
    ctx: &Context,
    device: PushTokenRecord,
    why: PushTokenReason,
) -> Result<(), StoreError> {
    let seen = device.registered_at;
    let step = |device: PushTokenRecord| {
        let same = device.owner == ctx.owner && device.registered_at == seen;
        if same { device.removed(why, Timestamp::now()) } else { None }
    };
    ctx.store.push_tokens.change(device, step).await.map(drop)
}
