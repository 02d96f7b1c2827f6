//! What was counted: by provider, point and trouble.

use std::{collections::BTreeMap, fmt};

use crate::{
    books::Verdict,
    plan::{Plan, Point, troubles},
};

#[derive(Debug, Default, Clone, Copy)]
struct Cell {
    runs: usize,
    killed: usize,
    applied: u32,
    verdict: Verdict,
}

/// The counts of all runs.
#[derive(Debug, Default)]
pub(crate) struct Tally(BTreeMap<(&'static str, &'static str, Point), Cell>);

impl Tally {
    pub(crate) fn add(&mut self, plan: &Plan, killed: bool, applied: u32, verdict: Verdict) {
        let cell = self.0.entry((plan.road.name, plan.trouble.0, plan.point)).or_default();
        cell.runs += 1;
        cell.killed += usize::from(killed);
        cell.applied += applied;
        cell.verdict += verdict;
    }

    pub(crate) fn runs(&self) -> usize {
        self.0.values().map(|cell| cell.runs).sum()
    }

    pub(crate) fn sum(&self) -> Verdict {
        let mut sum = Verdict::default();
        self.0.values().for_each(|cell| sum += cell.verdict);
        sum
    }

    /// Checks that workers died at every point of every provider, and that every trouble came.
    pub(crate) fn assert_every_point_was_met(&self) {
        for road in crate::plan::ROADS {
            for point in Point::ALL.into_iter().filter(|point| road.has(*point)) {
                let cells = self.0.iter().filter(|(key, _)| key.0 == road.name && key.2 == point);
                let killed: usize = cells.map(|(_, cell)| cell.killed).sum();
                assert!(killed > 0, "{}: nobody died at {point:?}", road.name);
            }
        }
        for road in crate::plan::ROADS.iter().filter(|road| road.has_keys()) {
            let cells =
                self.0.iter().filter(|(key, _)| (key.0, key.1) == (road.name, "keys rotate"));
            let applied: u32 = cells.map(|(_, cell)| cell.applied).sum();
            assert!(applied > 0, "the keys of {} never changed", road.name);
        }
        for (name, _) in
            troubles().iter().filter(|(name, _)| !matches!(*name, "none" | "paid twice"))
        {
            let cells = self.0.iter().filter(|(key, _)| key.1 == *name);
            let applied: u32 = cells.map(|(_, cell)| cell.applied).sum();
            assert!(applied > 0, "{name} never happened");
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "runs (of which the worker died) by provider, trouble and point {:?}",
            Point::ALL
        )?;
        for road in crate::plan::ROADS {
            for (trouble, _) in troubles() {
                let cell = |point| self.0.get(&(road.name, trouble, point)).copied();
                let cells = Point::ALL.map(|point| cell(point).unwrap_or_default());
                if cells.iter().all(|cell| cell.runs == 0) {
                    continue;
                }
                write!(f, "{:<14} {trouble:<18}", road.name)?;
                for cell in cells {
                    write!(f, " {:>3} ({:>2})", cell.runs, cell.killed)?;
                }
                writeln!(f)?;
            }
        }
        let killed: usize = self.0.values().map(|cell| cell.killed).sum();
        let applied: u32 = self.0.values().map(|cell| cell.applied).sum();
        let Verdict { lost, doubled, different } = self.sum();
        write!(
            f,
            "runs {}, workers killed {killed}, faults applied {applied}; \
             lost {lost}, moved twice {doubled}, other than the ledger {different}",
            self.runs()
        )
    }
}
