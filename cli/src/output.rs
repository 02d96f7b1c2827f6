//! Answers on standard output: tables for people, JSON lines for programs.

use std::io::{self, IsTerminal, Write};

use comfy_table::{ColumnConstraint, ContentArrangement, Table};
use schemas::Timestamp;
use serde::Serialize;

/// Columns of a terminal that does not know how wide it is.
const USUAL_COLUMNS: u16 = 80;

/// Columns of ids and numbers.
const WHOLE: [&str; 9] =
    ["id", "job", "bill", "number", "campaign", "key", "client_id", "owner", "subject"];

/// Characters that stand around a cell: two blanks and a line.
const AROUND: usize = 3;

/// The last column keeps as many, however narrow the terminal is.
const LEAST_LAST: usize = 12;

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

/// An empty table with `header`, as wide as the terminal at most. What a person copies from it is
/// never broken: then the table is rather wider.
pub(crate) fn table<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(header);
    for (place, name) in header.iter().enumerate() {
        if WHOLE.contains(name)
            && let Some(column) = table.column_mut(place)
        {
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
    }
    if let Some(width) = instead_of(table.width()) {
        table.set_width(width);
    }
    table
}

/// The cell in the last column of a row whose other cells are `others`: cut where it would not fit,
/// because it says least and would make the row many lines high.
pub(crate) fn last_cell<const N: usize>(table: &Table, others: &[String; N], text: &str) -> String {
    let Some(columns) = table.width() else { return text.to_owned() };
    let taken: usize = others.iter().map(|cell| cell.chars().count() + AROUND).sum();
    let most = usize::from(columns).saturating_sub(taken + AROUND + 1).max(LEAST_LAST);
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most - 1).chain(['…']).collect()
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
    fn an_id_stays_whole_and_the_last_cell_is_cut_on_a_narrow_terminal() {
        let id = "01a2266f-7c1a-7b5e-8e07-b8c4fe740d46";
        let others = [id, "image.delete", "dead", "2026-11-29 09:22:00Z"].map(str::to_owned);
        let error = "attempt_failed_for_a_reason_that_has_many_words";
        for columns in [80, 100, 140] {
            let mut rows = table(["id", "kind", "state", "accepted", "error"]);
            rows.set_width(columns);
            let last = last_cell(&rows, &others, error);
            let cells: Vec<_> = others.iter().cloned().chain([last.clone()]).collect();
            rows.add_row(cells);
            let text = rows.to_string();

            assert!(text.contains(id), "{columns}:\n{text}");
            assert_eq!(last.ends_with('…'), columns < 140, "{columns}: {last}");
            let widest = text.lines().map(|line| line.chars().count()).max();
            assert!(widest.is_some_and(|widest| widest <= columns.into()), "{columns}:\n{text}");
        }
    }
}
