//! What was measured, beside its goal, as a table or JSON.

use std::time::Duration;

use comfy_table::{CellAlignment, Table, presets::ASCII_MARKDOWN};
use serde_json::{Value, json};

/// What a figure should be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Goal {
    /// This or more.
    AtLeast(f64),
    /// This or less.
    AtMost(f64),
}

impl Goal {
    fn is_met(self, value: f64) -> bool {
        match self {
            Self::AtLeast(least) => value >= least,
            Self::AtMost(most) => value <= most,
        }
    }
}

/// One measured value.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Figure {
    /// What it is, with the circumstances.
    pub(super) name: &'static str,
    /// In [`Self::unit`].
    pub(super) value: f64,
    /// Such as `ms`; empty for a count or a ratio.
    pub(super) unit: &'static str,
    /// Without one the figure only tells.
    pub(super) goal: Option<Goal>,
}

impl Figure {
    /// A figure that only tells.
    pub(super) const fn of(name: &'static str, value: f64, unit: &'static str) -> Self {
        Self { name, value, unit, goal: None }
    }

    /// The same with a goal.
    pub(super) const fn with(mut self, goal: Goal) -> Self {
        self.goal = Some(goal);
        self
    }

    fn is_met(&self) -> Option<bool> {
        self.goal.map(|goal| goal.is_met(self.value))
    }

    fn json(&self) -> Value {
        let goal = self.goal.map(|goal| match goal {
            Goal::AtLeast(least) => json!({ "at_least": least }),
            Goal::AtMost(most) => json!({ "at_most": most }),
        });
        let (figure, value, unit) = (self.name, self.value, self.unit);
        json!({ "figure": figure, "value": value, "unit": unit, "goal": goal, "met": self.is_met() })
    }
}

/// All figures for a person, and for the README.
pub(super) fn table(figures: &[Figure]) -> Table {
    let mut table = Table::new();
    table.load_style(ASCII_MARKDOWN).set_header(["figure", "measured", "goal", "met"]);
    for figure in figures {
        let goal = match figure.goal {
            Some(Goal::AtLeast(least)) => format!("≥ {}", shown(least, figure.unit)),
            Some(Goal::AtMost(most)) => format!("≤ {}", shown(most, figure.unit)),
            None => String::new(),
        };
        let met = match figure.is_met() {
            Some(true) => "yes",
            Some(false) => "NO",
            None => "",
        };
        let measured = shown(figure.value, figure.unit);
        table.add_row([figure.name, measured.as_str(), goal.as_str(), met]);
    }
    for column in table.column_iter_mut().skip(1).take(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// All figures for a program.
pub(super) fn json(figures: &[Figure]) -> Value {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    json!({ "cores": cores, "figures": figures.iter().map(Figure::json).collect::<Vec<_>>() })
}

/// Three digits or more are exact enough without a fraction.
fn shown(value: f64, unit: &str) -> String {
    let digits = if value.abs() >= 100.0 || value.fract() == 0.0 { 0 } else { 2 };
    format!("{value:.digits$} {unit}").trim_end().to_owned()
}

/// A count as a figure's value. Exact below 2^52.
#[expect(clippy::cast_precision_loss, reason = "nobody counts so far here")]
pub(super) const fn count(count: u64) -> f64 {
    count as f64
}

/// Milliseconds.
pub(super) fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// The time that `percent` of all stay within; zero when there are none.
pub(super) fn percentile(times: &mut [Duration], percent: usize) -> Duration {
    times.sort_unstable();
    let index = (times.len() * percent).div_ceil(100).saturating_sub(1);
    times.get(index).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_times_that_were_measured() {
        let all: Vec<_> = (1..=200).rev().map(Duration::from_millis).collect();
        let cases = [
            ("median", all.clone(), 50, 100),
            ("99 of 100", all, 99, 198),
            ("one time", vec![Duration::from_millis(7)], 99, 7),
            ("no time", Vec::new(), 50, 0),
        ];
        for (name, mut times, percent, expected) in cases {
            let found = percentile(&mut times, percent);
            assert_eq!(found, Duration::from_millis(expected), "{name}");
        }
    }

    #[test]
    fn a_goal_includes_its_bound() {
        let cases = [
            ("enough", Goal::AtLeast(0.5), 0.5, true),
            ("too little", Goal::AtLeast(0.5), 0.49, false),
            ("few enough", Goal::AtMost(8.0), 8.0, true),
            ("too many", Goal::AtMost(8.0), 8.1, false),
        ];
        for (name, goal, value, met) in cases {
            assert_eq!(Figure::of("", value, "").with(goal).is_met(), Some(met), "{name}");
        }
    }

    #[test]
    fn the_table_shows_what_was_missed() {
        let figures = [Figure::of("jobs", 1234.5, "/s").with(Goal::AtLeast(1500.0))];
        let text = table(&figures).to_string();
        for part in ["jobs", "1234 /s", "≥ 1500 /s", "NO"] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }
}
