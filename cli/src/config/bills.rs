//! The settings about bills, whoever pays them.

use std::time::Duration;

use super::{groups::span, reader::Reader};

const MINUTE: u64 = 60;
const DAY: u64 = 86_400;

/// What is told about bills.
#[derive(Debug, Clone)]
pub(crate) struct Bills {
    /// How long a bill can be paid.
    pub(crate) life: Duration,
    /// Whether only the browser that began a binding may finish it.
    pub(crate) bind_in_same_browser: bool,
    /// How long reports about providers' bills are kept.
    pub(crate) reports_kept: Duration,
}

impl Bills {
    /// Reads the settings, and notes what is wrong with them.
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        Self {
            // WeChat Pay wants no order closed within 5 minutes, and takes an end of 7 days for a code.
            life: span(reader, "payments.bill_life", 120 * MINUTE, 5 * MINUTE..=7 * DAY),
            bind_in_same_browser: reader.or("payments.bind_in_same_browser", false),
            // Shorter than the timetable looks back, days would be matched again and again.
            reports_kept: span(reader, "payments.reports_kept", 400 * DAY, 31 * DAY..=3_650 * DAY),
        }
    }
}
