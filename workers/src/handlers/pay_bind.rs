//! Binds a person's account at a provider to a user.

use providers::{
    payment::{BoundAccount, Call, ProviderError},
    seal::NotSealed,
};
use schemas::{
    JobError, Timestamp,
    binding::{BindingRecord, BoundProfile, SEALED_ACCOUNT, SEALED_CODE, SEALED_PROFILE},
    kinds::{
        PayBind,
        pay_bind::{BindOrder, Bound},
        pay_create::SealedPayer,
    },
};
use secrecy::ExposeSecret;
use store::{Insert, Save};

use crate::{
    handler::{Context, Handler, Undo, store_again},
    paying::{provider, question_failed},
};

/// Times that a record is read again because somebody else saved it first.
pub(super) const TRIES: usize = 8;

impl Handler for PayBind {
    async fn run(ctx: &Context, order: &BindOrder) -> Result<Bound, JobError> {
        let account = exchange(ctx, order).await?;
        let now = Timestamp::now();
        let binding = sealed(ctx, order, &account, now).map_err(JobError::again)?;
        keep(ctx, binding).await?;
        Ok(Bound { channel: order.channel, bound_at: now })
    }

    async fn undo(_: &Context, _: &BindOrder) -> Result<Undo, JobError> {
        Ok(Undo::Undone)
    }
}

/// Asks the provider whose the code is.
pub(super) async fn exchange(ctx: &Context, order: &BindOrder) -> Result<BoundAccount, JobError> {
    let code = ctx.till.sealer.open(SEALED_CODE, &order.code);
    let code = code.map_err(|_| JobError::Rejected("code_unreadable"))?;
    let at = provider(ctx, order.channel, &order.app)?;
    let mut call = Call::default();
    let account = at.gateway.exchange_code(code.expose_secret(), &mut call).await;
    at.note(call);
    account.map_err(|error| match error {
        ProviderError::Refused(_) => JobError::Rejected("code_refused"),
        other => question_failed(other),
    })
}

/// What is known of a person's `id` without a key that opens it.
pub(super) fn digest(ctx: &Context, order: &BindOrder, id: &str) -> String {
    ctx.till.sealer.digest(SEALED_ACCOUNT, &format!("{} {} {id}", order.channel, order.app))
}

/// The account as it is kept.
fn sealed(
    ctx: &Context,
    order: &BindOrder,
    account: &BoundAccount,
    now: Timestamp,
) -> Result<BindingRecord, NotSealed> {
    let sealer = &ctx.till.sealer;
    let id = account.id.expose();
    let union_account = account.union_id.as_ref();
    let union_account =
        union_account.map(|id| sealer.seal(SEALED_ACCOUNT, id.expose())).transpose()?;
    let shown =
        BoundProfile { nickname: account.nickname.clone(), picture: account.picture.clone() };
    let profile = serde_json::to_string(&shown).ok().filter(|_| shown != BoundProfile::default());
    Ok(BindingRecord {
        id: BindingRecord::id_of(ctx.owner, order.channel),
        version: 1,
        owner: ctx.owner,
        channel: order.channel,
        app: order.app.clone(),
        account: SealedPayer {
            digest: digest(ctx, order, id),
            sealed: sealer.seal(SEALED_ACCOUNT, id)?,
        },
        union_account,
        profile: profile.map(|text| sealer.seal(SEALED_PROFILE, &text)).transpose()?,
        bound_at: now,
    })
}

/// Puts the account in the place of the one before.
async fn keep(ctx: &Context, mut binding: BindingRecord) -> Result<(), JobError> {
    let bindings = &ctx.store.bindings;
    for _ in 0..TRIES {
        let known = bindings.get(binding.owner, binding.channel).await.map_err(store_again)?;
        let is_kept = match known {
            None => bindings.insert(&binding).await.map_err(store_again)? == Insert::Stored,
            Some(known) => {
                binding.version = known.version + 1;
                bindings.save(&binding).await.map_err(store_again)? == Save::Stored
            }
        };
        if is_kept {
            return Ok(());
        }
    }
    Err(JobError::again("the binding changes all the time"))
}
