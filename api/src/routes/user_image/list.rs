//! The list of a user's pictures: filters, order, pages.

use schemas::{UserId, image::MAX_TAGS};
use store::{ImageField, ImageFilter, ImageOrder};

use crate::{
    error::ApiError,
    state::AppState,
    view::{List, Pagination, UserImage},
};

/// Pictures of a page, unless the caller names another number.
const PAGE_SIZE: u64 = 20;

/// Most pictures of one reply.
const MAX_PAGE_SIZE: u64 = 100;

/// Fields of an ordering.
const MAX_FIELDS: usize = 8;

/// What a caller asks for, as it came.
#[derive(Debug, Default)]
pub(super) struct Query {
    pub(super) uid: i64,
    pub(super) tags_contains: Option<String>,
    pub(super) tags_overlap: Option<String>,
    pub(super) ordering: Option<String>,
    pub(super) page: Option<i64>,
    pub(super) page_size: Option<i64>,
}

/// The live pictures that `query` asks for. Without a page, the first ones, without `pagination`.
///
/// # Errors
///
/// 400 that names the parameter; 404 for a page that is not there.
pub(super) async fn list(state: &AppState, query: Query) -> Result<List<UserImage>, ApiError> {
    let filter = filter(&query)?;
    let order = order(query.ordering.as_deref())?;
    let (pagination, offset, limit) = match page(&query)? {
        None => (None, 0, MAX_PAGE_SIZE),
        Some((page, size)) => {
            let total = state.store.images.count(&filter).await?;
            let pagination = Pagination::of(page, size, total).ok_or_else(ApiError::not_found)?;
            (Some(pagination), (page - 1) * size, size)
        }
    };
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let images = state.store.images.list(&filter, &order, offset, limit).await?;
    for image in &images {
        state.seen.note(image);
    }
    let public_url = &state.settings.public_url;
    let data = images.into_iter().map(|image| UserImage::of(image, public_url)).collect();
    Ok(List { data, pagination })
}

fn filter(query: &Query) -> Result<ImageFilter, ApiError> {
    let owner = UserId::new(query.uid)
        .ok_or_else(|| ApiError::invalid("uid", "Send the positive number of a user."))?;
    Ok(ImageFilter {
        owner,
        include_deleted: false,
        tags_all: keywords("tags__contains", query.tags_contains.as_deref())?,
        tags_any: keywords("tags__overlap", query.tags_overlap.as_deref())?,
    })
}

fn keywords(field: &'static str, text: Option<&str>) -> Result<Vec<String>, ApiError> {
    let keywords = text.unwrap_or_default().split(',').map(str::trim).filter(|k| !k.is_empty());
    let keywords: Vec<_> = keywords.map(str::to_owned).take(MAX_TAGS + 1).collect();
    if keywords.len() > MAX_TAGS {
        return Err(ApiError::invalid(field, format!("Send at most {MAX_TAGS} keywords.")));
    }
    Ok(keywords)
}

/// The order to list in; unless the caller says otherwise by id, newest first. The id comes last, so
/// that pictures alike in everything else keep their places from page to page.
fn order(text: Option<&str>) -> Result<Vec<ImageOrder>, ApiError> {
    let text = text.filter(|text| !text.trim().is_empty()).unwrap_or("-id");
    let mut order: Vec<ImageOrder> = Vec::new();
    for name in text.split(',').take(MAX_FIELDS) {
        let name = name.trim();
        let (name, descending) = match name.strip_prefix('-') {
            Some(name) => (name, true),
            None => (name, false),
        };
        let field = match name {
            "id" => ImageField::Id,
            "create_time" => ImageField::CreateTime,
            "img_width" => ImageField::Width,
            "img_height" => ImageField::Height,
            _ => {
                let text = "Order by id, create_time, img_width or img_height; `-` turns it round.";
                return Err(ApiError::invalid("ordering", text));
            }
        };
        if !order.iter().any(|known| known.field == field) {
            order.push(ImageOrder { field, descending });
        }
    }
    if !order.iter().any(|known| known.field == ImageField::Id) {
        order.push(ImageOrder { field: ImageField::Id, descending: true });
    }
    Ok(order)
}

/// Number and size of the page that is asked for, if any is.
fn page(query: &Query) -> Result<Option<(u64, u64)>, ApiError> {
    if query.page.is_none() && query.page_size.is_none() {
        return Ok(None);
    }
    let page = u64::try_from(query.page.unwrap_or(1)).map_err(|_| ApiError::not_found())?;
    let size = match query.page_size.map(u64::try_from) {
        None => PAGE_SIZE,
        Some(Ok(size @ 1..)) => size.min(MAX_PAGE_SIZE),
        Some(_) => return Err(ApiError::invalid("page_size", "Send a positive number.")),
    };
    Ok(Some((page, size)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_read_and_always_total() {
        let cases = [
            ("none", None, "-i"),
            ("empty", Some(" "), "-i"),
            ("one", Some("img_width"), "w -i"),
            ("several", Some("-img_height, create_time"), "-h t -i"),
            ("id in front", Some("id,img_width"), "i w"),
            ("one field twice", Some("id,-id"), "i"),
        ];
        for (name, text, expected) in cases {
            let order = order(text).map(|order| {
                let fields = order.iter().map(|one| {
                    let sign = if one.descending { "-" } else { "" };
                    let field = match one.field {
                        ImageField::Id => "i",
                        ImageField::CreateTime => "t",
                        ImageField::Width => "w",
                        ImageField::Height => "h",
                    };
                    format!("{sign}{field}")
                });
                fields.collect::<Vec<_>>().join(" ")
            });
            assert_eq!(order.ok().as_deref(), Some(expected), "{name}");
        }
        for (name, text) in [
            ("unknown", "name"),
            ("two signs", "--id"),
            ("empty part", "id,"),
            ("injection", "$where"),
        ] {
            assert!(order(Some(text)).is_err(), "{name}");
        }
    }

    #[test]
    fn pages_are_bounded() {
        let cases = [
            ("none", None, None, Some(None)),
            ("page alone", Some(3), None, Some(Some((3, PAGE_SIZE)))),
            ("size alone", None, Some(7), Some(Some((1, 7)))),
            ("too many at once", Some(1), Some(1_000_000), Some(Some((1, MAX_PAGE_SIZE)))),
            ("no size", Some(1), Some(0), None),
            ("negative size", Some(1), Some(-1), None),
            ("negative page", Some(-1), None, None),
        ];
        for (name, number, page_size, expected) in cases {
            let query = Query { page: number, page_size, ..Query::default() };
            assert_eq!(page(&query).ok(), expected, "{name}");
        }
    }
}
