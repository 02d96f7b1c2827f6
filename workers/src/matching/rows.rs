//! Collects the differences of a run, page by page, so that their number is no matter of memory.

use std::collections::HashSet;

use schemas::{
    JobError, JobId,
    matching::{Difference, DifferenceCounts, MAX_ROWS, MatchPage, PAGE_ROWS},
};

use super::judge::Name;
use crate::handler::{Context, store_again};

/// The differences of one run.
pub(crate) struct Rows<'a> {
    ctx: &'a Context,
    report: String,
    run: JobId,
    page: Vec<Difference>,
    pages: u32,
    kept: usize,
    /// What is missing there and was told of; a bill that moves meanwhile is seen twice.
    told: HashSet<Name>,
    /// How many of each class, also of those that are not kept.
    pub(crate) counts: DifferenceCounts,
}

impl<'a> Rows<'a> {
    /// The rows of run `run` of the report with this name.
    pub(crate) fn new(ctx: &'a Context, report: String, run: JobId) -> Self {
        let counts = DifferenceCounts::default();
        Self { ctx, report, run, page: vec![], pages: 0, kept: 0, told: HashSet::new(), counts }
    }

    /// Takes one difference.
    ///
    /// # Errors
    ///
    /// [`JobError::Again`] when the store does not answer.
    pub(crate) async fn add(&mut self, difference: Difference) -> Result<(), JobError> {
        self.counts.add(difference.class);
        if self.kept == MAX_ROWS {
            return Ok(());
        }
        self.kept += 1;
        self.page.push(difference);
        if self.page.len() == PAGE_ROWS { self.flush().await } else { Ok(()) }
    }

    /// The same of something of ours that is missing in the file, once for each name.
    ///
    /// # Errors
    ///
    /// As [`Self::add`].
    pub(super) async fn add_once(
        &mut self,
        name: Name,
        difference: Difference,
    ) -> Result<(), JobError> {
        if self.told.insert(name) { self.add(difference).await } else { Ok(()) }
    }

    /// Stores what is left; says how many pages there are.
    ///
    /// # Errors
    ///
    /// As [`Self::add`].
    pub(crate) async fn finish(mut self) -> Result<(DifferenceCounts, u32), JobError> {
        if !self.page.is_empty() {
            self.flush().await?;
        }
        Ok((self.counts, self.pages))
    }

    async fn flush(&mut self) -> Result<(), JobError> {
        let rows = std::mem::take(&mut self.page);
        let page = MatchPage::new(&self.report, self.run, self.pages, rows);
        // Taken when an answer got lost and the store has it already: a run has its own name.
        let _ = self.ctx.store.matches.insert_page(&page).await.map_err(store_again)?;
        self.pages += 1;
        Ok(())
    }
}
