//! The uploaded pictures.

use schemas::{ImageId, UserId, image::ImageRecord};

use crate::{
    Insert, Save, StoreError,
    aggregate::Key,
    engine::Engine,
    query::{
        Condition,
        Direction::{Ascending, Descending},
        Field, Query,
    },
    repository::Repository,
};

/// The records of pictures; their bytes lie elsewhere.
///
/// Every method answers [`StoreError::Unavailable`] when the store does not, after about ten
/// seconds at most, and may be called again then.
#[derive(Clone)]
pub struct Images(Repository<ImageRecord>);

/// Which pictures to list.
#[derive(Debug, Clone)]
pub struct ImageFilter {
    /// Whose pictures.
    pub owner: UserId,
    /// Also those that are being deleted.
    pub include_deleted: bool,
    /// Only pictures with every one of these tags.
    pub tags_all: Vec<String>,
    /// Only pictures with at least one of these tags; an empty list asks for nothing.
    pub tags_any: Vec<String>,
}

/// One part of an order of pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageOrder {
    /// By what.
    pub field: ImageField,
    /// Whether the largest comes first.
    pub descending: bool,
}

/// What pictures can be ordered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageField {
    /// The id, which rises with the time of the upload.
    Id,
    /// The time of the upload.
    CreateTime,
    /// Width in pixels.
    Width,
    /// Height in pixels.
    Height,
}

impl ImageField {
    const fn path(self) -> Field {
        match self {
            Self::Id => "id",
            Self::CreateTime => "created_at",
            Self::Width => "width",
            Self::Height => "height",
        }
    }
}

impl Images {
    pub(crate) fn over(engine: &Engine) -> Self {
        Self(Repository::over(engine))
    }

    /// Stores a new picture. Its id, and its file name for each owner, are unique.
    ///
    /// # Errors
    ///
    /// After [`StoreError::Unavailable`] it may be stored; after [`StoreError::Busy`] it is not.
    pub async fn insert(&self, image: &ImageRecord) -> Result<Insert, StoreError> {
        self.0.insert(image).await
    }

    /// Replaces version `image.version - 1` of the picture by `image`. [`Save::Stale`] also when
    /// there is no such picture.
    ///
    /// # Errors
    ///
    /// After [`StoreError::Unavailable`] it may be stored; after [`StoreError::Busy`] it is not.
    pub async fn save(&self, image: &ImageRecord) -> Result<Save, StoreError> {
        self.0.save(image).await
    }

    /// The picture `id`, whoever owns it. Concurrent calls are one read.
    ///
    /// # Errors
    ///
    /// See [`Images`].
    pub async fn get(&self, id: ImageId) -> Result<Option<ImageRecord>, StoreError> {
        self.0.get(Key::of(id)).await
    }

    /// The picture `id` if `owner` owns it. Concurrent calls are one read.
    ///
    /// # Errors
    ///
    /// See [`Images`].
    pub async fn get_owned(
        &self,
        owner: UserId,
        id: ImageId,
    ) -> Result<Option<ImageRecord>, StoreError> {
        self.0.get(Key::owned(id, owner)).await
    }

    /// The picture of `owner` with this file name.
    ///
    /// # Errors
    ///
    /// See [`Images`].
    pub async fn by_file_name(
        &self,
        owner: UserId,
        name: &str,
    ) -> Result<Option<ImageRecord>, StoreError> {
        self.0.first(by_file_name(owner, name)).await
    }

    /// Up to `limit` pictures after the first `offset`, in the given order, the first part of it
    /// counting most. Without an order, or where it leaves a tie, newest first.
    ///
    /// # Errors
    ///
    /// See [`Images`].
    pub async fn list(
        &self,
        filter: &ImageFilter,
        order: &[ImageOrder],
        offset: u64,
        limit: usize,
    ) -> Result<Vec<ImageRecord>, StoreError> {
        self.0.find(listed(filter, order, offset, limit)).await
    }

    /// How many pictures there are.
    ///
    /// # Errors
    ///
    /// See [`Images`].
    pub async fn count(&self, filter: &ImageFilter) -> Result<u64, StoreError> {
        self.0.count(Query::all(conditions(filter))).await
    }

    pub(crate) async fn close(&self) {
        self.0.close().await;
    }
}

pub(crate) fn by_file_name(owner: UserId, name: &str) -> Query {
    Query::all(vec![Condition::Eq("owner", owner.into()), Condition::Eq("file_name", name.into())])
}

pub(crate) fn listed(
    filter: &ImageFilter,
    order: &[ImageOrder],
    offset: u64,
    limit: usize,
) -> Query {
    let mut query = Query { offset, ..Query::all(conditions(filter)) }.limited(limit);
    for part in order {
        let direction = if part.descending { Descending } else { Ascending };
        query = query.sorted(part.field.path(), direction);
    }
    if !order.iter().any(|part| part.field == ImageField::Id) {
        query = query.sorted("id", Descending);
    }
    query
}

fn conditions(filter: &ImageFilter) -> Vec<Condition> {
    let mut all = vec![Condition::Eq("owner", filter.owner.into())];
    if !filter.include_deleted {
        all.push(Condition::Absent("deletion"));
    }
    if !filter.tags_all.is_empty() {
        all.push(Condition::ContainsAll("tags", filter.tags_all.clone()));
    }
    if !filter.tags_any.is_empty() {
        all.push(Condition::Overlaps("tags", filter.tags_any.clone()));
    }
    all
}
