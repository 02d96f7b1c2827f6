//! The list of a user's bills.

use schemas::{BillStatus, UserId};
use store::BillFilter;

use crate::{
    error::ApiError,
    state::AppState,
    view::{Bill, List, Pagination},
};

/// Bills of a page, unless the caller names another number.
const PAGE_SIZE: u64 = 20;

/// Most bills of one reply.
const MAX_PAGE_SIZE: u64 = 100;

/// What a caller asks for, as it came.
#[derive(Debug, Default)]
pub(super) struct Query {
    pub(super) status: Option<String>,
    pub(super) page: Option<i64>,
    pub(super) page_size: Option<i64>,
}

/// The bills that `query` asks for. Without a page, the first ones, without `pagination`.
///
/// # Errors
///
/// 400 that names the parameter; 404 for a page that is not there.
pub(super) async fn list(
    state: &AppState,
    owner: UserId,
    query: Query,
) -> Result<List<Bill>, ApiError> {
    let filter = BillFilter { owner, statuses: statuses(query.status.as_deref())? };
    let (pagination, offset, limit) = match page(&query)? {
        None => (None, 0, MAX_PAGE_SIZE),
        Some((page, size)) => {
            let total = state.store.bills.count(&filter).await?;
            let pagination = Pagination::of(page, size, total).ok_or_else(ApiError::not_found)?;
            (Some(pagination), (page - 1) * size, size)
        }
    };
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let bills = state.store.bills.list(&filter, offset, limit).await?;
    Ok(List { data: bills.iter().map(Bill::of).collect(), pagination })
}

fn statuses(text: Option<&str>) -> Result<Vec<BillStatus>, ApiError> {
    let names = text.unwrap_or_default().split(',').map(str::trim).filter(|name| !name.is_empty());
    let read = |name: &str| name.parse().ok().and_then(BillStatus::of_number);
    let all = names.take(BillStatus::ALL.len() + 1).map(read).collect::<Option<Vec<_>>>();
    all.ok_or_else(|| ApiError::invalid("status", "Send 0, 100, 200, 300, 400 or 500."))
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
    if page == 0 { Err(ApiError::not_found()) } else { Ok(Some((page, size))) }
}
