//! Answers on standard output: tables for people, JSON lines for programs.

use std::io::{self, IsTerminal, Write};

use comfy_table::{ContentArrangement, Table};
use serde::Serialize;

/// Columns of a terminal that does not know how wide it is.
const USUAL_COLUMNS: u16 = 80;

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

/// An empty table with `header`, as wide as the terminal at most.
pub(crate) fn table<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(header);
    if let Some(width) = instead_of(table.width()) {
        table.set_width(width);
    }
    table
}

/// Columns to write in when the terminal reports so many; `None` when its word counts. One without
/// a window, as in a container or behind a serial line, says 0.
fn instead_of(reported: Option<u16>) -> Option<u16> {
    reported.filter(|columns| *columns == 0).map(|_| USUAL_COLUMNS)
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
}
