//! `/media/{uid}/UserImage/{file}`: the files of live pictures, for everybody who has the address.
//!
//! The record is read for every reply, so a deleted picture is gone at once, whatever the file
//! store still holds. Originals are passed on piece by piece.

mod variant;

use std::ops::Range;

use futures::TryStreamExt;
use poem::{
    Body, Endpoint, Request, Response,
    http::{HeaderValue, Method, StatusCode, header},
};
use providers::blobs::BlobRead;
use schemas::{
    ErrorCode, UserId,
    image::{ImageFormat, ImageRecord},
};
use tracing::warn;

use self::variant::Variants;
use super::conditional::{Etag, Part};
use crate::{error::ApiError, pictures::thumbnail_format, state::AppState};

/// The files of pictures; serves GET and HEAD.
pub(crate) struct Media {
    state: AppState,
    variants: Variants,
}

/// A file that can be served.
#[derive(Debug, Clone, PartialEq, Eq)]
struct File {
    key: String,
    format: ImageFormat,
    etag: Etag,
    /// Of a variant, its preset.
    width: Option<u32>,
}

impl File {
    fn original(image: &ImageRecord) -> Self {
        Self {
            key: image.original(),
            format: image.format,
            etag: Etag::new(&image.digest),
            width: None,
        }
    }

    fn variant(image: &ImageRecord, width: u32) -> Self {
        let format = thumbnail_format(image.format);
        Self {
            key: format!("{}/w{width}.{}", image.variants(), format.extension()),
            format,
            etag: Etag::new(format_args!("{}-w{width}", image.digest)),
            width: Some(width),
        }
    }
}

impl Media {
    /// The files, on top of `state`.
    pub(crate) fn new(state: AppState) -> Self {
        let variants = Variants::new(state.clone());
        Self { state, variants }
    }

    async fn serve(&self, request: &Request) -> Result<Response, ApiError> {
        let image = self.image(request).await?;
        let file = match variant::width(request.uri().query().unwrap_or_default())? {
            Some(width) if width < image.width => File::variant(&image, width),
            _ => File::original(&image),
        };
        if file.etag.is_known(request.headers()) {
            return Ok(head(StatusCode::NOT_MODIFIED, &file).finish());
        }
        self.reply(request, &image, &file).await
    }

    /// The live picture that the path names.
    async fn image(&self, request: &Request) -> Result<ImageRecord, ApiError> {
        let (owner, name) =
            request.path_params::<(String, String)>().map_err(|_| ApiError::not_found())?;
        let owner: UserId = owner.parse().map_err(|_| ApiError::not_found())?;
        let image = self.state.store.images.by_file_name(owner, &name).await?;
        image.filter(ImageRecord::is_live).ok_or_else(ApiError::not_found)
    }

    async fn reply(
        &self,
        request: &Request,
        image: &ImageRecord,
        file: &File,
    ) -> Result<Response, ApiError> {
        let (size, whole) = match file.width {
            None => (image.bytes, None),
            Some(width) => {
                let read = self.variant(image, file, width).await?;
                (read.size, Some(read))
            }
        };
        let (status, bytes) = match Part::of(request.headers(), &file.etag, size) {
            Part::Whole => (StatusCode::OK, 0..size),
            Part::Bytes(bytes) => (StatusCode::PARTIAL_CONTENT, bytes),
            Part::Unsatisfiable => return Err(unsatisfiable(size)),
        };
        let reply = part_head(status, file, &bytes, size);
        if request.method() == Method::HEAD {
            return Ok(reply.finish());
        }
        let read = match whole {
            Some(read) if status == StatusCode::OK => read,
            _ => self.read(file, (status == StatusCode::PARTIAL_CONTENT).then_some(bytes)).await?,
        };
        if read.size != size {
            return Err(ApiError::internal("a file has another size than its record says"));
        }
        Ok(reply.body(Body::from_bytes_stream(read.bytes.map_err(std::io::Error::other))))
    }

    /// The variant `file`, made now if nobody asked for it before.
    async fn variant(
        &self,
        image: &ImageRecord,
        file: &File,
        width: u32,
    ) -> Result<BlobRead, ApiError> {
        if let Some(read) = self.state.blobs.get(&file.key, None).await? {
            return Ok(read);
        }
        self.variants.make(image, file, width).await?;
        self.read(file, None).await
    }

    async fn read(&self, file: &File, range: Option<Range<u64>>) -> Result<BlobRead, ApiError> {
        let read = self.state.blobs.get(&file.key, range).await?;
        // Since we looked at its record the picture may have been deleted.
        read.ok_or_else(|| {
            warn!(file.key, "the file of a picture is not there");
            ApiError::not_found()
        })
    }
}

impl Endpoint for Media {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return Err(poem::error::MethodNotAllowedError.into());
        }
        Ok(self.serve(&request).await?)
    }
}

/// Status and the headers that every reply with or about a file has.
fn head(status: StatusCode, file: &File) -> poem::ResponseBuilder {
    Response::builder()
        .status(status)
        .header(header::ETAG, file.etag.as_str())
        .header(header::CACHE_CONTROL, "public, no-cache")
        .header(header::ACCEPT_RANGES, "bytes")
        .header(header::X_CONTENT_TYPE_OPTIONS, "nosniff")
        .header(header::CONTENT_DISPOSITION, "inline")
        .header(header::CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox")
}

fn part_head(
    status: StatusCode,
    file: &File,
    bytes: &Range<u64>,
    size: u64,
) -> poem::ResponseBuilder {
    let reply = head(status, file)
        .header(header::CONTENT_TYPE, file.format.media_type())
        .header(header::CONTENT_LENGTH, bytes.end - bytes.start);
    if status != StatusCode::PARTIAL_CONTENT {
        return reply;
    }
    // A part is never empty.
    let last = bytes.end - 1;
    reply.header(header::CONTENT_RANGE, format!("bytes {}-{last}/{size}", bytes.start))
}

fn unsatisfiable(size: u64) -> ApiError {
    let error = ApiError::of(
        ErrorCode::RangeNotSatisfiable,
        format!("The file has {size} bytes; the range lies outside."),
    );
    match HeaderValue::try_from(format!("bytes */{size}")) {
        Ok(range) => error.with_header(header::CONTENT_RANGE, range),
        Err(_) => error,
    }
}
