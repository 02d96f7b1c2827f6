//! The form of an upload, read piece by piece so that nothing large is held before it is refused.

use std::{future::poll_fn, pin::pin, task::Poll, time::Duration};

use bytes::{Bytes, BytesMut};
use poem::{
    Body, FromRequest, Request, RequestBody,
    web::{Field, Multipart},
};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions, Multipart as MultipartForm,
    registry::{MetaRequest, Registry},
    types,
};
use schemas::{ErrorCode, image::MAX_TAGS};
use tokio::io::{AsyncRead, AsyncReadExt};

use super::{
    loan::{Loan, UploadMemory},
    tags,
};
use crate::error::ApiError;

/// Longest text of one `tags` part, in bytes: enough for every tag in escaped JSON.
const MAX_TAGS_BYTES: u64 = 64 << 10;

/// Parts that a form may have.
const MAX_PARTS: usize = MAX_TAGS + 16;

/// Bytes after which a header of a part that is not complete is given up.
const MAX_PART_HEADER: usize = 8 << 10;

/// Room for a picture before it grows.
const FIRST_BYTES: usize = 16 << 10;

/// When to come back after the memory was used up.
const FULL_PAUSE: Duration = Duration::from_secs(1);

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
    pub(super) memory: Loan,
}

/// The form of an upload, not yet read.
pub(super) struct UploadForm {
    content_type: String,
    body: Body,
}

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
        let content_type = request.content_type().unwrap_or_default();
        let media_type = content_type.split(';').next().unwrap_or_default().trim();
        if !media_type.eq_ignore_ascii_case("multipart/form-data") {
            let text = "The content type must be multipart/form-data.";
            return Err(ApiError::of(ErrorCode::UnsupportedMediaType, text).into());
        }
        Ok(Self { content_type: content_type.to_owned(), body: body.take()? })
    }
}

impl UploadForm {
    /// Reads the form. `most` bounds the bytes of the picture.
    ///
    /// # Errors
    ///
    /// 400 that names the part, 413 for a picture that is too large, 429 when `memory` is used up.
    pub(super) async fn read(self, most: u64, memory: &UploadMemory) -> Result<Upload, ApiError> {
        let loan = memory.open();
        let upload = self.parts(most, &loan).await;
        // A parser only says that its stream broke off.
        if loan.is_refused() { Err(ApiError::rate_limited(FULL_PAUSE)) } else { upload }
    }

    async fn parts(self, most: u64, loan: &Loan) -> Result<Upload, ApiError> {
        let mut form = self.open(loan).await?;
        let (mut file, mut texts) = (None, Vec::new());
        for _ in 0..MAX_PARTS {
            let Some(part) = next_part(&mut form, loan).await? else {
                let ((client_name, img), tags) = finish(file, &texts)?;
                return Ok(Upload { img, client_name, tags, memory: loan.clone() });
            };
            match part.name() {
                Some("img") if file.is_none() => {
                    let name = part.file_name().map(str::to_owned);
                    file = Some((name, read_file(part, most).await?));
                }
                Some("img") => return Err(ApiError::invalid("img", "Send one file only.")),
                Some(tags::FIELD) => texts.push(read_text(part).await?),
                _ => pass_over(part).await?,
            }
        }
        if texts.len() > MAX_TAGS { Err(tags::too_many()) } else { Err(unreadable()) }
    }

    /// The form as parts, over a body that is counted as it comes.
    async fn open(self, loan: &Loan) -> Result<Multipart, ApiError> {
        let counted = Body::from_bytes_stream(loan.count(self.body));
        let request = Request::builder().content_type(&self.content_type).body(counted);
        let (request, mut body) = request.split();
        <Multipart as FromRequest>::from_request(&request, &mut body)
            .await
            .map_err(|_| unreadable())
    }
}

type File = (Option<String>, Bytes);

fn finish(file: Option<File>, texts: &[String]) -> Result<(File, Vec<String>), ApiError> {
    match (file, tags::of_parts(texts)) {
        (Some(file), Ok(tags)) => Ok((file, tags)),
        (Some(_), Err(error)) => Err(error),
        (None, Ok(_)) => Err(ApiError::invalid("img", "This field is required.")),
        (None, Err(error)) => Err(error.and("img", "This field is required.")),
    }
}

/// The next part, once the one before was read to its end. The parser keeps a header until it is
/// complete, so one that is not is given up in time. It may not have looked at the last piece yet.
async fn next_part(form: &mut Multipart, loan: &Loan) -> Result<Option<Field>, ApiError> {
    let start = loan.received();
    let mut looked_at = start;
    let mut next = pin!(form.next_field());
    poll_fn(|cx| match next.as_mut().poll(cx) {
        Poll::Ready(part) => Poll::Ready(part.map_err(|_| unreadable())),
        Poll::Pending if looked_at - start > MAX_PART_HEADER => Poll::Ready(Err(unreadable())),
        Poll::Pending => {
            looked_at = loan.received();
            Poll::Pending
        }
    })
    .await
}

async fn read_file(part: Field, most: u64) -> Result<Bytes, ApiError> {
    let mut reader = pin!(part.into_async_read());
    let mut img = BytesMut::with_capacity(FIRST_BYTES);
    // It grows by copying, without a pause: at most one copy for each thread at a time.
    while reader.read_buf(&mut img).await.map_err(|_| unreadable())? > 0 {
        if img.len() as u64 > most {
            return Err(too_large(most));
        }
    }
    Ok(img.freeze())
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
    let mut reader = pin!(reader);
    reader.read_to_end(text).await.map_err(|_| unreadable())?;
    Ok(())
}

async fn pass_over(part: Field) -> Result<(), ApiError> {
    let mut reader = pin!(part.into_async_read());
    tokio::io::copy(&mut reader, &mut tokio::io::sink()).await.map_err(|_| unreadable())?;
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
