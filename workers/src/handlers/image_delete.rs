//! Removes the files of one deleted picture.

use schemas::{
    Job, JobError, Timestamp,
    image::ImageRecord,
    kinds::{
        ImageDelete,
        image_delete::{DeletionReceipt, ImageDeletion},
    },
};
use store::Save;

use crate::{
    fault,
    handler::{Context, Handler, Undo, store_again},
};

impl Handler for ImageDelete {
    async fn run(ctx: &Context, deletion: &ImageDeletion) -> Result<DeletionReceipt, JobError> {
        let image = match marked_as_sent(ctx, deletion).await? {
            Some(image) => image,
            None => mark_purging(ctx, load(ctx, deletion).await?).await?,
        };
        let (original, variants) = (image.original(), image.variants());

        fault::point("worker.in_effect", Self::KIND).await;
        let files_removed = ctx.blobs.remove(&original, &variants).await;
        let files_removed = files_removed.map_err(JobError::again)?;
        Ok(DeletionReceipt { image: deletion.image, files_removed })
    }

    async fn undo(ctx: &Context, deletion: &ImageDeletion) -> Result<Undo, JobError> {
        let image = load(ctx, deletion).await?;
        let shown = if image.is_live() {
            // The request that hides it may still be under way: its save has to become stale.
            image.fence()
        } else if let Some(restored) = image.restore(ctx.job) {
            restored
        } else {
            return Ok(Undo::TooLate);
        };
        save(ctx, &shown).await?;
        Ok(Undo::Undone)
    }
}

async fn load(ctx: &Context, deletion: &ImageDeletion) -> Result<ImageRecord, JobError> {
    let image = ctx.store.images.get_owned(ctx.owner, deletion.image).await.map_err(store_again)?;
    image.ok_or(JobError::Rejected("image_not_found"))
}

/// Marks the picture that came along with the job, if it came and nothing was saved since.
async fn marked_as_sent(
    ctx: &Context,
    deletion: &ImageDeletion,
) -> Result<Option<ImageRecord>, JobError> {
    let Some(image) = ctx.beside::<ImageRecord>() else { return Ok(None) };
    if image.id != deletion.image || image.owner != ctx.owner || ctx.is_cancelled() {
        return Ok(None);
    }
    let purging = image.purge(ctx.job, Timestamp::now());
    let saved = ctx.store.images.save(&purging).await.map_err(store_again)?;
    Ok((saved == Save::Stored).then_some(purging))
}

/// From here on the picture cannot be given back. An attempt that was cut off has done it before.
async fn mark_purging(ctx: &Context, image: ImageRecord) -> Result<ImageRecord, JobError> {
    // A visible picture means that the request was cut off before it hid it, or that the
    // deletion was cancelled since. Only a run under a lease can tell: come back with one.
    if image.is_live() && !ctx.claimed {
        return Err(JobError::again("the picture is visible"));
    }
    if image.is_purging() {
        return Ok(image);
    }
    if ctx.is_cancelled() {
        return Err(JobError::Cancelled);
    }
    let purging = image.purge(ctx.job, Timestamp::now());
    save(ctx, &purging).await?;
    Ok(purging)
}

async fn save(ctx: &Context, image: &ImageRecord) -> Result<(), JobError> {
    match ctx.store.images.save(image).await.map_err(store_again)? {
        Save::Stored => Ok(()),
        Save::Stale => Err(JobError::again("the picture changed meanwhile")),
    }
}
