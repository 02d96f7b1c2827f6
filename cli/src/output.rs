//! Answers on standard output: tables for people, JSON lines for programs.

use std::io::{self, IsTerminal, Write};

use comfy_table::{ColumnConstraint, ContentArrangement, Row, Table, Width, presets::NOTHING};
use schemas::Timestamp;
use serde::Serialize;

/// Columns of a terminal that does not know how wide it is.
const USUAL_COLUMNS: u16 = 80;

/// Columns of texts, which may be broken into lines. Everything else is looked up, compared or
/// copied, and stays whole.
const TEXTS: [&str; 9] =
    ["value", "scopes", "grants", "what", "problem", "why", "detail", "error", "what for"];

/// Blanks behind a cell.
const GAP: u16 = 2;

/// A text keeps as many characters in a line, however narrow the terminal is.
const LEAST_TEXT: u16 = 20;

/// Who reads the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// A person at a terminal.
    Table,
    /// A program: one JSON object a line.
    Json,
}

impl Form {
    /// JSON when it is asked for, or when standard output is no terminal.
    pub(crate) fn chosen(json: bool) -> Self {
        if json || !io::stdout().is_terminal() { Self::Json } else { Self::Table }
    }
}

/// Writes one line.
///
/// # Errors
///
/// Nobody reads any more, or the disk behind it is full.
pub(crate) fn line(text: impl std::fmt::Display) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{text}")
}

/// Writes one object as one line.
///
/// # Errors
///
/// As [`line()`].
pub(crate) fn json(value: &impl Serialize) -> io::Result<()> {
    let mut out = io::stdout().lock();
    serde_json::to_writer(&mut out, value)?;
    out.write_all(b"\n")
}

/// An empty table with `header`. Texts are broken to fit the terminal; when the rest is wider than
/// that, the terminal breaks the lines, and what a person copies from them is still whole.
pub(crate) fn table<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table.set_truncation_indicator("…");
    table.load_style(NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(header);
    for (column, name) in table.column_iter_mut().zip(header) {
        column.set_padding((0, GAP));
        column.set_constraint(if TEXTS.contains(&name) {
            ColumnConstraint::LowerBoundary(Width::Fixed(LEAST_TEXT + GAP))
        } else {
            ColumnConstraint::ContentWidth
        });
    }
    if let Some(width) = instead_of(table.width()) {
        table.set_width(width);
    }
    table
}

/// Adds a row that is one line high: a text is cut where it would not fit, because it would make the
/// row many lines high and says more in the record itself.
pub(crate) fn add_line(table: &mut Table, cells: Vec<String>) {
    let mut row = Row::from(cells);
    row.max_height(1);
    table.add_row(row);
}

/// Columns to write in when the terminal reports so many; `None` when its word counts. One without
/// a window, as in a container or behind a serial line, says 0.
fn instead_of(reported: Option<u16>) -> Option<u16> {
    reported.filter(|columns| *columns == 0).map(|_| USUAL_COLUMNS)
}

/// A time to the second: nobody reads the rest in a table.
pub(crate) fn seconds(time: Timestamp) -> String {
    time.to_chrono().format("%Y-%m-%d %H:%M:%SZ").to_string()
}

/// `count` with the right form of a noun: `1 job`, `2 jobs`.
pub(crate) fn counted(count: u64, noun: &str) -> String {
    let end = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{end}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_that_reports_no_columns_has_the_usual_ones() {
        assert_eq!(instead_of(Some(0)), Some(USUAL_COLUMNS));
        assert_eq!(instead_of(Some(120)), None);
        assert_eq!(instead_of(None), None, "no terminal, no limit");
    }

    #[test]
    fn what_is_copied_stays_whole_and_the_last_cell_is_cut_on_a_narrow_terminal() {
        let id = "01a2266f-7c1a-7b5e-8e07-b8c4fe740d46";
        let others = [id, "image.delete", "dead", "2026-11-29 09:22:00Z"].map(str::to_owned);
        let error = "attempt_failed_for_a_reason_that_has_many_words";
        for columns in [40, 80, 110, 140] {
            let mut rows = table(["id", "kind", "state", "accepted", "error"]);
            rows.set_width(columns);
            let cells = others.iter().cloned().chain([error.to_owned()]);
            add_line(&mut rows, cells.collect());
            let text = rows.to_string();

            assert_eq!(text.lines().count(), 2, "{columns}: a row is one line\n{text}");
            for cell in &others {
                assert!(text.contains(cell), "{columns}: {cell}\n{text}");
            }
            assert!(text.contains("attempt_failed_for"), "{columns}:\n{text}");
            assert_eq!(text.contains('…'), columns < 140, "{columns}:\n{text}");
            let widest = text.lines().map(|line| line.trim_end().chars().count()).max();
            let fits = widest.is_some_and(|widest| widest <= columns.into());
            assert_eq!(fits, columns >= 110, "{columns}:\n{text}");
        }
    }

    #[test]
    fn a_text_is_broken_to_fit_beside_what_is_whole() {
        let mut rows = table(["field", "value"]);
        rows.set_width(40);
        rows.add_row(["scopes", "user_profile user_image push_device pay_trade_order"]);
        let text = rows.to_string();

        assert!(text.lines().count() > 2, "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= 40), "{text}");
    }
}
