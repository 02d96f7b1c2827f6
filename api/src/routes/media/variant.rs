//! Smaller pictures in preset widths: made when first asked for, and kept beside the original.

use std::{sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use futures::TryStreamExt;
use schemas::image::ImageRecord;
use tokio::{sync::Mutex, time::timeout};
use tracing::{Instrument, info};

use super::File;
use crate::{
    error::ApiError,
    pictures::{Picture, PictureError},
    state::AppState,
};

/// Widths that are made, in pixels. A closed list, so that nobody can have endless ones made.
const WIDTHS: [u32; 5] = [64, 128, 320, 640, 1280];

/// Originals that are held in memory at a time; pictures with the same remainder take turns.
const LANES: usize = 8;

/// Longest wait for a lane.
const TURN: Duration = Duration::from_secs(10);

/// The width that a query asks for.
///
/// # Errors
///
/// 400 for one that is not preset.
pub(super) fn width(query: &str) -> Result<Option<u32>, ApiError> {
    let Some(text) = query.split('&').find_map(|pair| pair.strip_prefix("w=")) else {
        return Ok(None);
    };
    let known = WIDTHS.into_iter().find(|width| width.to_string() == text);
    known.map(Some).ok_or_else(|| {
        ApiError::invalid(
            "w",
            format!("Choose one of {}.", WIDTHS.map(|w| w.to_string()).join(", ")),
        )
    })
}

/// Makes variants. Cheap to clone.
#[derive(Clone)]
pub(super) struct Variants {
    state: AppState,
    lanes: Arc<[Mutex<()>; LANES]>,
}

impl Variants {
    pub(super) fn new(state: AppState) -> Self {
        Self { state, lanes: Arc::default() }
    }

    /// Makes `file`, a variant of `image`. When others do so already, waits for them instead.
    ///
    /// # Errors
    ///
    /// 404 when the picture was deleted meanwhile; 429 when too much is being made.
    pub(super) async fn make(
        &self,
        image: &ImageRecord,
        file: &File,
        width: u32,
    ) -> Result<(), ApiError> {
        let (this, image, file) = (self.clone(), image.clone(), file.clone());
        let make = async move {
            let lane = &this.lanes[lane_of(&image)];
            let turn = timeout(TURN, lane.lock()).await;
            let _turn = turn.map_err(|_| ApiError::rate_limited(Duration::from_secs(2)))?;
            if this.state.blobs.get(&file.key, None).await?.is_some() {
                return Ok(());
            }
            this.make_now(&image, &file, width).await
        };
        // A client that hangs up now must not keep us from looking at the record again.
        tokio::spawn(make.in_current_span()).await.map_err(ApiError::internal)?
    }

    async fn make_now(&self, image: &ImageRecord, file: &File, width: u32) -> Result<(), ApiError> {
        let original = self.original(image).await?;
        let made = self.state.pictures.thumbnail(original, image.format, width).await;
        let Picture { bytes, format, .. } = made.map_err(refusal)?;
        if format != file.format {
            return Err(ApiError::internal("a thumbnail has another format than announced"));
        }
        self.state.blobs.put(&file.key, bytes).await?;
        info!(image.id = %image.id, width, "thumbnail made");
        self.still_wanted(image).await
    }

    async fn original(&self, image: &ImageRecord) -> Result<Bytes, ApiError> {
        let read = self.state.blobs.get(&image.original(), None).await?;
        let mut pieces = read.ok_or_else(ApiError::not_found)?.bytes;
        let mut original = BytesMut::new();
        while let Some(piece) = pieces.try_next().await? {
            original.extend_from_slice(&piece);
        }
        Ok(original.freeze())
    }

    /// Looks at the record once more, because a deletion that ran meanwhile has not seen the
    /// variant. Only once the files are being removed is there nothing left to give back.
    async fn still_wanted(&self, image: &ImageRecord) -> Result<(), ApiError> {
        match self.state.store.images.get(image.id).await? {
            Some(latest) if latest.is_live() => Ok(()),
            Some(latest) if !latest.is_purging() => Err(ApiError::not_found()),
            _ => {
                self.state.blobs.remove(&image.original(), &image.variants()).await?;
                Err(ApiError::not_found())
            }
        }
    }
}

fn lane_of(image: &ImageRecord) -> usize {
    usize::try_from(image.id.get()).unwrap_or_default() % LANES
}

fn refusal(error: PictureError) -> ApiError {
    match error {
        PictureError::Busy => ApiError::rate_limited(Duration::from_secs(2)),
        PictureError::NotAPicture
        | PictureError::Unsupported(_)
        | PictureError::TooLarge { .. }
        | PictureError::SideTooLong { .. }
        | PictureError::TooManyPixels { .. }
        | PictureError::TooManyFrames { .. }
        | PictureError::TurnedAnimation
        | PictureError::Damaged => ApiError::internal(error),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use metrics_exporter_prometheus::PrometheusBuilder;
    use schemas::{
        ErrorCode, ImageId, JobId, Timestamp, UserId,
        image::{Deletion, ImageFormat},
    };
    use store::Insert;
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::{Api, Settings, auth::TokenKey};

    #[test]
    fn only_preset_widths_are_made() {
        let cases = [
            ("none", "", Some(None)),
            ("other parameters", "v=2&x=w=64", Some(None)),
            ("preset", "v=2&w=320", Some(Some(320))),
            ("not preset", "w=321", None),
            ("zero in front", "w=064", None),
            ("huge", "w=99999999999999999999", None),
            ("negative", "w=-64", None),
            ("empty", "w=", None),
        ];
        for (name, query, expected) in cases {
            assert_eq!(width(query).ok(), expected, "{name}");
        }
    }

    /// Makes a thumbnail of a picture whose record got this deletion since it was read. Answers
    /// what came of it and which files are left.
    async fn made_too_late(deletion: Option<Deletion>) -> (Result<(), ErrorCode>, Vec<String>) {
        let folder = tempfile::tempdir().unwrap();
        let state = AppState::new(
            Api {
                store: store::Store::sqlite(folder.path()).await.unwrap(),
                broker: broker::Broker::local(1),
                blobs: providers::blobs::Blobs::folder(&folder.path().join("media")).unwrap(),
                till: providers::till::Till::closed(),
                settings: Settings::new("https://feat.test", TokenKey::generate()),
                metrics: PrometheusBuilder::new().build_recorder().handle(),
            },
            CancellationToken::new(),
        );
        let mut file = std::io::Cursor::new(vec![]);
        image::RgbImage::new(100, 50).write_to(&mut file, image::ImageFormat::Png).unwrap();
        let read = ImageRecord {
            id: ImageId::new(41).unwrap(),
            owner: UserId::new(7).unwrap(),
            version: 1,
            file_name: "a.png".to_owned(),
            format: ImageFormat::Png,
            bytes: file.get_ref().len() as u64,
            digest: "d".to_owned(),
            width: 100,
            height: 50,
            tags: vec![],
            created_at: Timestamp::now(),
            deletion: None,
        };
        state.blobs.put(&read.original(), file.into_inner().into()).await.unwrap();
        let now = ImageRecord { deletion, ..read.clone() };
        assert_eq!(state.store.images.insert(&now).await.unwrap(), Insert::Stored);
        let made = Variants::new(state.clone()).make(&read, &File::variant(&read, 64), 64).await;
        let left = state.blobs.list("images/7").await.unwrap();
        (made.map_err(|error| error.code()), left)
    }

    #[tokio::test]
    async fn a_thumbnail_that_comes_after_the_removal_goes_too() {
        let now = Timestamp::now();
        let hidden = Deletion { at: now, job: JobId::generate(), purge_started_at: None };
        let purging = Deletion { purge_started_at: Some(now), ..hidden.clone() };
        let both = vec!["images/7/41.png".to_owned(), "images/7/41/w64.png".to_owned()];

        assert_eq!(made_too_late(None).await, (Ok(()), both.clone()));
        let gone = Err(ErrorCode::NotFound);
        // A hidden picture may be given back, so nothing of it goes.
        assert_eq!(made_too_late(Some(hidden)).await, (gone, both));
        assert_eq!(made_too_late(Some(purging)).await, (gone, vec![]));
    }
}
