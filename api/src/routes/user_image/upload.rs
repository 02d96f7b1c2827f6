//! The form of an upload, read piece by piece so that nothing large is held before it is refused.

use std::{sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use poem::{
    FromRequest, Request, RequestBody,
    web::{Field, Multipart},
};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions, Multipart as MultipartForm,
    registry::{MetaRequest, Registry},
    types,
};
use schemas::{ErrorCode, image::MAX_TAGS};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    sync::{OwnedSemaphorePermit, Semaphore},
};

use super::tags;
use crate::error::ApiError;

/// Longest text of one `tags` part, in bytes: enough for every tag in escaped JSON.
const MAX_TAGS_BYTES: u64 = 64 << 10;

/// Parts that a form may have.
const MAX_PARTS: usize = MAX_TAGS + 16;

/// Unit in which memory for uploads is lent.
const LOAN: usize = 64 << 10;

/// Most bytes that are read and thrown away after a refusal, so that the client, which still
/// sends, gets to read the reply.
const LINGER_BYTES: u64 = 32 << 20;
const LINGER_TIME: Duration = Duration::from_secs(5);

/// Memory that uploads under way share. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct UploadMemory(Arc<Semaphore>);

impl UploadMemory {
    /// `bytes` in all.
    pub(super) fn new(bytes: u64) -> Self {
        let loans = usize::try_from(bytes).unwrap_or(usize::MAX) / LOAN;
        Self(Arc::new(Semaphore::new(loans.clamp(1, Semaphore::MAX_PERMITS))))
    }

    fn lend(&self) -> Result<OwnedSemaphorePermit, ApiError> {
        let loan = self.0.clone().try_acquire_owned();
        loan.map_err(|_| ApiError::rate_limited(Duration::from_secs(1)))
    }
}

/// What a form holds.
#[derive(Debug)]
pub(super) struct Upload {
    /// Content of `img`.
    pub(super) img: Bytes,
    /// What the client calls the file.
    pub(super) client_name: Option<String>,
    /// Checked tags.
    pub(super) tags: Vec<String>,
    /// To be dropped when the picture is stored.
    pub(super) memory: Vec<OwnedSemaphorePermit>,
}

/// The form of an upload, not yet read.
pub(super) struct UploadForm(Multipart);

/// The parts of the form, for the OpenAPI document.
#[derive(MultipartForm)]
#[expect(dead_code, reason = "describes the form; the parts are read one by one")]
struct UploadParts {
    /// The picture: JPEG, PNG, WebP or GIF.
    img: types::multipart::Upload,
    /// At most 64 tags of at most 64 characters, without commas: the part repeated for each tag,
    /// or one part with tags parted by commas, or one part with a JSON array.
    tags: Option<Vec<String>>,
}

impl<'a> ApiExtractor<'a> for UploadForm {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];

    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        <UploadParts as ApiExtractor>::register(registry);
    }

    fn request_meta() -> Option<MetaRequest> {
        <UploadParts as ApiExtractor>::request_meta()
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _options: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        let is_form = request.content_type().is_some_and(|found| {
            found
                .split(';')
                .next()
                .unwrap_or_default()
                .trim()
                .eq_ignore_ascii_case("multipart/form-data")
        });
        if !is_form {
            let text = "The content type must be multipart/form-data.";
            return Err(ApiError::of(ErrorCode::UnsupportedMediaType, text).into());
        }
        let form = <Multipart as FromRequest>::from_request(request, body).await;
        Ok(Self(form.map_err(|_| unreadable())?))
    }
}

impl UploadForm {
    /// Reads the form. `most` bounds the bytes of the picture.
    ///
    /// # Errors
    ///
    /// 400 that names the part, 413 for a picture that is too large, 429 when `memory` is used up.
    pub(super) async fn read(
        mut self,
        most: u64,
        memory: &UploadMemory,
    ) -> Result<Upload, ApiError> {
        let upload = self.parts(most, memory).await;
        if upload.is_err() {
            // Who still sends does not read; whether this works out changes nothing.
            let _ = tokio::time::timeout(LINGER_TIME, self.linger()).await;
        }
        upload
    }

    async fn parts(&mut self, most: u64, memory: &UploadMemory) -> Result<Upload, ApiError> {
        let (mut file, mut texts) = (None, Vec::new());
        for _ in 0..MAX_PARTS {
            let Some(part) = self.0.next_field().await.map_err(|_| unreadable())? else {
                return finish(file, &texts);
            };
            match part.name() {
                Some("img") if file.is_none() => {
                    let name = part.file_name().map(str::to_owned);
                    file = Some((name, read_file(part, most, memory).await?));
                }
                Some("img") => return Err(ApiError::invalid("img", "Send one file only.")),
                Some(tags::FIELD) => texts.push(read_text(part).await?),
                _ => drop(part),
            }
        }
        if texts.len() > MAX_TAGS { Err(tags::too_many()) } else { Err(unreadable()) }
    }

    async fn linger(&mut self) {
        let mut left = LINGER_BYTES;
        while let Ok(Some(part)) = self.0.next_field().await {
            let mut rest = std::pin::pin!(part.into_async_read().take(left));
            match tokio::io::copy(&mut rest, &mut tokio::io::sink()).await {
                Ok(read) if read < left => left -= read,
                _ => return,
            }
        }
    }
}

type File = (Bytes, Vec<OwnedSemaphorePermit>);

fn finish(file: Option<(Option<String>, File)>, texts: &[String]) -> Result<Upload, ApiError> {
    let tags = tags::of_parts(texts);
    match (file, tags) {
        (Some((client_name, (img, memory))), Ok(tags)) => {
            Ok(Upload { img, client_name, tags, memory })
        }
        (Some(_), Err(error)) => Err(error),
        (None, Ok(_)) => Err(ApiError::invalid("img", "This field is required.")),
        (None, Err(error)) => Err(error.and("img", "This field is required.")),
    }
}

async fn read_file(part: Field, most: u64, memory: &UploadMemory) -> Result<File, ApiError> {
    let mut reader = std::pin::pin!(part.into_async_read());
    let (mut img, mut loans) = (BytesMut::new(), Vec::new());
    loop {
        if img.len() >= loans.len() * LOAN {
            loans.push(memory.lend()?);
            img.reserve(LOAN);
        }
        if reader.read_buf(&mut img).await.map_err(|_| unreadable())? == 0 {
            return Ok((img.freeze(), loans));
        }
        if img.len() as u64 > most {
            return Err(too_large(most));
        }
    }
}

async fn read_text(part: Field) -> Result<String, ApiError> {
    let mut text = Vec::new();
    let reader = part.into_async_read().take(MAX_TAGS_BYTES + 1);
    read_all(reader, &mut text).await?;
    if text.len() as u64 > MAX_TAGS_BYTES {
        return Err(tags::too_long());
    }
    String::from_utf8(text).map_err(|_| ApiError::invalid(tags::FIELD, "Send UTF-8."))
}

async fn read_all(reader: impl AsyncRead, text: &mut Vec<u8>) -> Result<(), ApiError> {
    let mut reader = std::pin::pin!(reader);
    reader.read_to_end(text).await.map_err(|_| unreadable())?;
    Ok(())
}

fn unreadable() -> ApiError {
    ApiError::invalid("non_field_errors", "The form is damaged or incomplete.")
}

/// The refusal of a picture with more than `most` bytes.
pub(super) fn too_large(most: u64) -> ApiError {
    let text = format!("The file is larger than {most} bytes.");
    ApiError::of(ErrorCode::TooLarge, text.clone()).and("img", text)
}
