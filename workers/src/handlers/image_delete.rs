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
        let image = load(ctx, deletion).await?;
        // A visible picture means that the request was cut off before it hid it, or that the
        // deletion was cancelled since. Only a run under a lease can tell: come back with one.
        if image.is_live() && !ctx.claimed {
            return Err(JobError::again("the picture is visible"));
        }
        if ctx.is_cancelled() && !image.is_purging() {
            return Err(JobError::Cancelled);
        }
        let folder = image.folder();
        mark_purging(ctx, image).await?;

        fault::point("worker.in_effect", Self::KIND).await;
        let files_removed = ctx.blobs.remove_folder(&folder).await.map_err(JobError::again)?;
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

/// From here on the picture cannot be given back. An attempt that was cut off has done it before.
async fn mark_purging(ctx: &Context, image: ImageRecord) -> Result<(), JobError> {
    if image.is_purging() {
        return Ok(());
    }
    save(ctx, &image.purge(ctx.job, Timestamp::now())).await
}

async fn save(ctx: &Context, image: &ImageRecord) -> Result<(), JobError> {
    match ctx.store.images.save(image).await.map_err(store_again)? {
        Save::Stored => Ok(()),
        Save::Stale => Err(JobError::again("the picture changed meanwhile")),
    }
}
