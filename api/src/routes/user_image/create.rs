//! Taking a picture in: judged, its file kept, then its record, in this order, so that no record
//! ever names a file that is not there.

use std::time::Duration;

use bytes::Bytes;
use schemas::{ImageId, Timestamp, UserId, image::ImageRecord};
use store::{Insert, StoreError};
use tracing::{Instrument, info, warn};

use super::{
    file_name,
    upload::{Upload, too_large},
};
use crate::{
    error::ApiError,
    pictures::{Picture, PictureError},
    state::AppState,
};

/// Ids that are tried before the store counts as out of order.
const TRIES: usize = 4;

/// Stores the picture of `upload` for `owner`.
///
/// # Errors
///
/// 400 or 413 that names `img`; 429 or 503 when the same upload may come again later. Nothing is
/// kept then.
pub(super) async fn create(
    state: &AppState,
    owner: UserId,
    upload: Upload,
) -> Result<ImageRecord, ApiError> {
    let Upload { img, client_name, tags, memory } = upload;
    let picture = state.pictures.admit(img).await.map_err(refusal)?;
    let state = state.clone();
    let keep = async move {
        let kept = keep(&state, owner, client_name.as_deref(), tags, picture).await;
        drop(memory);
        kept
    };
    // A client that hangs up now must not leave a file without a record.
    tokio::spawn(keep.in_current_span()).await.map_err(ApiError::internal)?
}

fn refusal(error: PictureError) -> ApiError {
    match error {
        PictureError::Busy => ApiError::rate_limited(Duration::from_secs(1)),
        PictureError::TooLarge { limit } => too_large(limit),
        PictureError::NotAPicture
        | PictureError::Unsupported(_)
        | PictureError::SideTooLong { .. }
        | PictureError::TooManyPixels { .. }
        | PictureError::TooManyFrames { .. }
        | PictureError::TurnedAnimation
        | PictureError::Damaged => ApiError::invalid("img", error.to_string()),
    }
}

async fn keep(
    state: &AppState,
    owner: UserId,
    client_name: Option<&str>,
    tags: Vec<String>,
    picture: Picture,
) -> Result<ImageRecord, ApiError> {
    for _ in 0..TRIES {
        let image = ImageRecord {
            id: ImageId::generate(),
            owner,
            version: 1,
            file_name: file_name::make(client_name, picture.format),
            format: picture.format,
            bytes: picture.bytes.len() as u64,
            digest: picture.digest.clone(),
            width: picture.width,
            height: picture.height,
            tags: tags.clone(),
            created_at: Timestamp::now(),
            deletion: None,
        };
        if keep_as(state, &image, picture.bytes.clone()).await? {
            state.seen.note(&image);
            info!(image.id = %image.id, image.bytes = image.bytes, "picture stored");
            return Ok(image);
        }
    }
    Err(ApiError::internal("no free picture id"))
}

/// Stores file and record under the names in `image`; `false` when a name is taken.
async fn keep_as(state: &AppState, image: &ImageRecord, file: Bytes) -> Result<bool, ApiError> {
    state.blobs.put(&image.original(), file).await?;
    match state.store.images.insert(image).await {
        Ok(Insert::Stored) => Ok(true),
        Ok(Insert::Taken) => {
            let holder = state.store.images.get(image.id).await?;
            // With the id taken by the same owner, the files are that picture's.
            if holder.is_none_or(|holder| holder.owner != image.owner) {
                forget(state, image).await;
            }
            Ok(false)
        }
        Err(error) => after_doubt(state, image, error).await,
    }
}

/// Finds out whether the record was written although the store did not say so.
async fn after_doubt(
    state: &AppState,
    image: &ImageRecord,
    error: StoreError,
) -> Result<bool, ApiError> {
    if matches!(error, StoreError::Unavailable(_)) {
        match state.store.images.get(image.id).await {
            Ok(Some(found)) if found == *image => return Ok(true),
            Ok(_) => {}
            // A file that nobody can reach does less harm than a picture without its file.
            Err(_) => return Err(error.into()),
        }
    }
    forget(state, image).await;
    Err(error.into())
}

async fn forget(state: &AppState, image: &ImageRecord) {
    if let Err(error) = state.blobs.remove(&image.original(), &image.variants()).await {
        warn!(image.id = %image.id, %error, "file of a refused upload stays behind");
    }
}
