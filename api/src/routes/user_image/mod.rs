//! `/api/user/user-image/`: the pictures of users.

mod create;
mod delete;
mod file_name;
mod list;
mod loan;
mod tags;
mod upload;

use std::time::Duration;

use poem::{Body, Request, error::ReadBodyError, web::Data};
use poem_openapi::{
    ApiResponse, Object, OpenApi,
    param::{Header, Path, Query},
    payload::Json,
};
use schemas::{ImageId, UserId, image::ImageRecord, job::Idempotency};
use store::Save;

use self::{delete::Deletion, loan::UploadMemory, upload::UploadForm};
use super::{json_body::JsonBody, path_id::ImagePathId};
use crate::{
    auth::Bearer,
    error::ApiError,
    intake::{self, IdempotencyKey, Patience, WorkReply},
    state::{AppState, RequestContext},
    view::{Area, List, Resource, UserImage},
};

/// Most bytes of a body that is read only to tell two requests apart.
const MAX_IDLE_BODY: usize = 64 << 10;

/// Saves that are tried when others change the picture at the same time.
const TRIES: usize = 8;

/// The calls about pictures.
pub(crate) struct UserImageApi {
    state: AppState,
    uploads: UploadMemory,
}

impl UserImageApi {
    /// The calls, on top of `state`.
    pub(crate) fn new(state: AppState) -> Self {
        let uploads = UploadMemory::new(state.settings.pictures.waiting_bytes);
        Self { state, uploads }
    }
}

/// What an owner may change.
#[derive(Object)]
#[oai(rename = "UserImageChange")]
struct Change {
    /// Replaces the tags: at most 64, each of at most 64 characters, without commas.
    tags: Vec<String>,
}

#[derive(ApiResponse)]
enum Created {
    /// The picture is stored.
    #[oai(status = 201)]
    Image(
        Json<Resource<UserImage>>,
        /// The picture.
        #[oai(header = "Location")]
        String,
    ),
}

#[OpenApi(prefix_path = "/api/user/user-image", tag = "Area::Pictures")]
impl UserImageApi {
    /// List a user's pictures
    ///
    /// Newest first, at most 100. With `page` or `page_size` the reply has `pagination`.
    /// Deleted pictures are left out.
    #[oai(path = "/", method = "get", operation_id = "list_user_images")]
    #[expect(clippy::too_many_arguments, reason = "one for each query parameter")]
    async fn list(
        &self,
        _caller: Bearer,
        /// Whose pictures.
        uid: Query<i64>,
        /// Keywords parted by commas; a picture must have all of them.
        #[oai(name = "tags__contains")]
        tags_contains: Query<Option<String>>,
        /// Keywords parted by commas; a picture must have at least one of them.
        #[oai(name = "tags__overlap")]
        tags_overlap: Query<Option<String>>,
        /// `id`, `create_time`, `img_width`, `img_height`, parted by commas, with `-` in front
        /// for descending.
        ordering: Query<Option<String>>,
        /// Number of the page, from 1.
        page: Query<Option<i64>>,
        /// Pictures of a page, at most 100.
        page_size: Query<Option<i64>>,
    ) -> Result<Json<List<UserImage>>, ApiError> {
        let query = list::Query {
            uid: uid.0,
            tags_contains: tags_contains.0,
            tags_overlap: tags_overlap.0,
            ordering: ordering.0,
            page: page.0,
            page_size: page_size.0,
        };
        Ok(Json(list::list(&self.state, query).await?))
    }

    /// Upload a picture
    ///
    /// Metadata such as the place is removed and the orientation applied; an animation that its
    /// metadata wants turned is refused. What the file is comes from its content; its name and
    /// declared type do not matter.
    #[oai(path = "/", method = "post", operation_id = "create_user_image")]
    async fn create(&self, Bearer(caller): Bearer, form: UploadForm) -> Result<Created, ApiError> {
        let upload = form.read(self.state.settings.pictures.max_bytes, &self.uploads).await?;
        let image = create::create(&self.state, caller.user, upload).await?;
        let location = path(image.id);
        Ok(Created::Image(self.resource(image), location))
    }

    /// Read a picture's record
    ///
    /// A deleted picture is there for its owner only.
    #[oai(path = "/:id", method = "get", operation_id = "get_user_image")]
    async fn get(
        &self,
        Bearer(caller): Bearer,
        id: Path<ImagePathId>,
    ) -> Result<Json<Resource<UserImage>>, ApiError> {
        let image = self.state.store.images.get(id.0.get()?).await?;
        let visible = |image: &ImageRecord| image.is_live() || image.owner == caller.user;
        let image = image.filter(visible).ok_or_else(ApiError::not_found)?;
        self.state.seen.note(&image);
        Ok(self.resource(image))
    }

    /// Change a picture's tags
    #[oai(path = "/:id", method = "patch", operation_id = "update_user_image")]
    async fn update(
        &self,
        Bearer(caller): Bearer,
        id: Path<ImagePathId>,
        change: JsonBody<Change>,
    ) -> Result<Json<Resource<UserImage>>, ApiError> {
        let tags = tags::of_json(change.required(tags::FIELD)?)?;
        let image = retag(&self.state, caller.user, id.0.get()?, tags).await?;
        Ok(self.resource(image))
    }

    /// Delete a picture
    ///
    /// From the moment of the reply nobody but the owner sees it; the files are removed by the
    /// job. A picture has one deletion: calling again gives the same job.
    #[oai(path = "/:id", method = "delete", operation_id = "delete_user_image")]
    #[expect(clippy::too_many_arguments, reason = "one for each part of the request")]
    async fn delete(
        &self,
        Bearer(caller): Bearer,
        id: Path<ImagePathId>,
        /// `wait=N` holds the request for up to N seconds until the work is done (RFC 7240).
        #[oai(name = "Prefer")]
        _prefer: Header<Option<String>>,
        /// The caller's own name for this request: 1 to 255 visible ASCII characters.
        #[oai(name = "Idempotency-Key")]
        _idempotency_key: Header<Option<String>>,
        Data(request): Data<&RequestContext>,
        whole: &Request,
        body: Body,
    ) -> Result<WorkReply, ApiError> {
        let settings = &self.state.settings;
        let image = id.0.get()?;
        let deletion = Deletion {
            caller: caller.user,
            image,
            idempotency: idempotency(whole, &path(image), body).await?,
            request: request.clone(),
            patience: Patience::read(whole.headers(), settings.default_wait, settings.max_wait),
        };
        deletion.run(&self.state).await
    }
}

impl UserImageApi {
    fn resource(&self, image: ImageRecord) -> Json<Resource<UserImage>> {
        Json(Resource { data: UserImage::of(image, &self.state.settings.public_url) })
    }
}

fn path(id: ImageId) -> String {
    format!("/api/user/user-image/{id}/")
}

/// The caller's idempotency key, if it sent one, with the fingerprint of a request whose body says
/// nothing.
pub(super) async fn idempotency(
    request: &Request,
    path: &str,
    body: Body,
) -> Result<Option<Idempotency>, ApiError> {
    let Some(key) = IdempotencyKey::read(request.headers())? else { return Ok(None) };
    let body = body.into_bytes_limit(MAX_IDLE_BODY).await.map_err(|error| match error {
        ReadBodyError::PayloadTooLarge => ApiError::too_large(MAX_IDLE_BODY as u64),
        _ => ApiError::invalid("non_field_errors", "The body could not be read."),
    })?;
    let what = intake::Request { method: request.method(), path, body: &body };
    Ok(Some(key.used_for(what)))
}

/// Picture `id`, live or deleted, if it is `caller`'s.
async fn own(state: &AppState, caller: UserId, id: ImageId) -> Result<ImageRecord, ApiError> {
    state.store.images.get_owned(caller, id).await?.ok_or_else(ApiError::not_found)
}

async fn retag(
    state: &AppState,
    caller: UserId,
    id: ImageId,
    tags: Vec<String>,
) -> Result<ImageRecord, ApiError> {
    for _ in 0..TRIES {
        let image = own(state, caller, id).await?;
        if !image.is_live() {
            return Err(ApiError::not_found());
        }
        if image.tags == tags {
            return Ok(image);
        }
        let changed = image.tag(tags.clone());
        if state.store.images.save(&changed).await? == Save::Stored {
            return Ok(changed);
        }
    }
    Err(ApiError::unavailable(Duration::from_secs(1)))
}
