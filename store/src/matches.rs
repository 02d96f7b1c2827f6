//! What came of matching the providers' bills with ours.

use schemas::{
    BookDay, JobId,
    matching::{MatchPage, MatchReport},
};

use crate::{
    Insert, Save, StoreError,
    aggregate::Key,
    engine::Engine,
    query::{
        Condition,
        Direction::{Ascending, Descending},
        Query,
    },
    repository::Repository,
};

/// Pages that are removed by one statement.
const PAGES: usize = 100;

/// The reports, and the pages of their differences.
///
/// A run stores its pages first and its report last, so a reader sees one run or the other as a
/// whole. Every method answers [`StoreError::Unavailable`] when the store does not, after about ten
/// seconds at most, and may be called again then.
#[derive(Clone)]
pub struct Matches {
    reports: Repository<MatchReport>,
    pages: Repository<MatchPage>,
}

impl Matches {
    pub(crate) fn over(engine: &Engine) -> Self {
        Self { reports: Repository::over(engine), pages: Repository::over(engine) }
    }

    /// Stores a page of a run. [`Insert::Taken`] when the run has stored it before.
    ///
    /// # Errors
    ///
    /// After [`StoreError::Unavailable`] it may be stored; after [`StoreError::Busy`] it is not.
    pub async fn insert_page(&self, page: &MatchPage) -> Result<Insert, StoreError> {
        self.pages.insert(page).await
    }

    /// Stores the first report of its provider, merchant and day.
    ///
    /// # Errors
    ///
    /// As [`Self::insert_page`].
    pub async fn insert(&self, report: &MatchReport) -> Result<Insert, StoreError> {
        self.reports.insert(report).await
    }

    /// Replaces version `report.version - 1` of the report by that of a later run.
    ///
    /// # Errors
    ///
    /// As [`Self::insert_page`].
    pub async fn save(&self, report: &MatchReport) -> Result<Save, StoreError> {
        self.reports.save(report).await
    }

    /// The report with this name; see [`MatchReport::id_of`].
    ///
    /// # Errors
    ///
    /// See [`Matches`].
    pub async fn get(&self, id: &str) -> Result<Option<MatchReport>, StoreError> {
        self.reports.get(Key::of(id)).await
    }

    /// Up to `limit` reports of `day`, by name.
    ///
    /// # Errors
    ///
    /// See [`Matches`].
    pub async fn of_day(&self, day: BookDay, limit: usize) -> Result<Vec<MatchReport>, StoreError> {
        self.reports.find(of_day(day, limit)).await
    }

    /// Page `number`, counted from 0, of the report's run; `None` when a later run has replaced it.
    ///
    /// # Errors
    ///
    /// See [`Matches`].
    pub async fn page(
        &self,
        report: &MatchReport,
        number: u32,
    ) -> Result<Option<MatchPage>, StoreError> {
        let id = MatchPage::id_of(report.run, number);
        self.pages.get(Key::of(id.as_str())).await
    }

    /// Forgets up to `limit` pages of runs before `run`, and says how many it were.
    ///
    /// # Errors
    ///
    /// See [`Matches`]; some may have gone then.
    pub async fn remove_older(
        &self,
        report: &str,
        run: JobId,
        limit: usize,
    ) -> Result<u64, StoreError> {
        self.pages.remove(older(report, run, limit)).await
    }

    /// Forgets up to `limit` reports about days before `before`, earliest first, each after the pages of
    /// its differences; says how many reports it were. Calling again goes on.
    ///
    /// # Errors
    ///
    /// See [`Matches`]; some may have gone then.
    pub async fn remove_before(&self, before: BookDay, limit: usize) -> Result<u64, StoreError> {
        for report in self.reports.find(earlier(before, limit)).await? {
            while self.pages.remove(pages_of(&report.id, PAGES)).await? > 0 {}
        }
        self.reports.remove(earlier(before, limit)).await
    }

    pub(crate) async fn close(&self) {
        self.pages.close().await;
        self.reports.close().await;
    }
}

pub(crate) fn earlier(before: BookDay, limit: usize) -> Query {
    Query::all(vec![Condition::Lt("day", before.into())])
        .sorted("day", Ascending)
        .sorted("id", Descending)
        .limited(limit)
}

pub(crate) fn pages_of(report: &str, limit: usize) -> Query {
    let all = vec![Condition::Eq("report", report.into())];
    Query::all(all).sorted("run", Ascending).limited(limit)
}

pub(crate) fn of_day(day: BookDay, limit: usize) -> Query {
    let all = vec![Condition::Eq("day", day.into())];
    Query::all(all).sorted("id", Ascending).limited(limit)
}

pub(crate) fn older(report: &str, run: JobId, limit: usize) -> Query {
    let all = vec![Condition::Eq("report", report.into()), Condition::Lt("run", run.into())];
    Query::all(all).sorted("run", Ascending).limited(limit)
}
