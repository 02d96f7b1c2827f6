//! What clients see: the public form of records, and the envelopes around them.
//!
//! A view is made from a record and holds only what its owner may know: no payload, no name of a
//! worker, no text meant for operators.

mod account;
mod area;
mod bill;
mod device_token;
mod image;
mod job;
mod moment;
mod session;
mod shaped;

use poem_openapi::{
    Object,
    types::{ParseFromJSON, ToJSON},
};

pub(crate) use account::{BasicInfo, UserMeta};
pub(crate) use area::Area;
pub(crate) use bill::{Bill, BillRefund, RefundStatus};
pub(crate) use device_token::PushDevice;
pub(crate) use image::UserImage;
pub(crate) use job::Job;
pub(crate) use moment::Moment;
pub(crate) use session::Session;
pub(crate) use shaped::Shaped;

/// One resource.
#[derive(Debug, Clone, Object)]
pub(crate) struct Resource<T: ParseFromJSON + ToJSON> {
    /// The resource.
    pub(crate) data: T,
}

/// How an operation went that has no resource to show.
#[derive(Debug, Clone, Object)]
pub(crate) struct Done<T: ParseFromJSON + ToJSON> {
    /// Always true: what failed is an error.
    pub(crate) success: bool,
    /// What there is to say about it.
    pub(crate) data: Option<T>,
}

/// A list; with `pagination` when the caller asked for pages.
#[derive(Debug, Clone, Object)]
pub(crate) struct List<T: ParseFromJSON + ToJSON> {
    /// The resources of this page.
    pub(crate) data: Vec<T>,
    /// Where this page lies.
    #[oai(skip_serializing_if_is_none)]
    pub(crate) pagination: Option<Pagination>,
}

/// Where a page lies among all pages.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
pub(crate) struct Pagination {
    /// Number of this page, from 1.
    pub(crate) current_page: u64,
    /// Most items of a page: what was asked for, but at most 100.
    pub(crate) page_size: u64,
    /// Items in all pages.
    pub(crate) total_count: u64,
    /// Number of pages, at least 1.
    pub(crate) total_pages: u64,
    /// Number of the next page.
    pub(crate) next: Option<u64>,
    /// Number of the page before.
    pub(crate) previous: Option<u64>,
}

impl Pagination {
    /// The place of page `current_page`, or `None` when there is no such page. An empty list has
    /// one page.
    pub(crate) fn of(current_page: u64, page_size: u64, total_count: u64) -> Option<Self> {
        let total_pages = total_count.div_ceil(page_size.max(1)).max(1);
        if !(1..=total_pages).contains(&current_page) {
            return None;
        }
        let next = (current_page < total_pages).then_some(current_page + 1);
        let previous = (current_page > 1).then_some(current_page - 1);
        Some(Self { current_page, page_size, total_count, total_pages, next, previous })
    }
}

/// A part of a list that grows at its beginning, so that it is read by cursor and not by number.
#[derive(Debug, Clone, Object)]
pub(crate) struct Stretch<T: ParseFromJSON + ToJSON> {
    /// The resources, newest first.
    pub(crate) data: Vec<T>,
    /// How to read on.
    pub(crate) cursor: Cursor,
}

/// How to read on.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
pub(crate) struct Cursor {
    /// Value of `cursor` for the next call; null at the end.
    pub(crate) next: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_know_their_neighbours() {
        let cases = [
            ("in the middle", (2, 2, 5), Some((3, Some(3), Some(1)))),
            ("the last, which is not full", (3, 2, 5), Some((3, None, Some(2)))),
            ("the only one", (1, 10, 5), Some((1, None, None))),
            ("nothing at all", (1, 10, 0), Some((1, None, None))),
            ("behind the last", (4, 2, 5), None),
            ("before the first", (0, 2, 5), None),
            ("full to the brim", (2, 2, 4), Some((2, None, Some(1)))),
        ];
        for (name, (page, size, total), expected) in cases {
            let actual = Pagination::of(page, size, total);
            assert_eq!(actual.map(|p| (p.total_pages, p.next, p.previous)), expected, "{name}");
        }
    }
}
