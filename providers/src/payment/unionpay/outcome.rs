//! What an answer of UnionPay means: one pure table.

use std::time::Duration;

use crate::payment::{
    ProviderError,
    operation::{Operation, Outcome},
};

/// How far an answer could be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen<'a> {
    /// It is not the documented form: a sentence, a page.
    Unreadable,
    /// UnionPay did not sign it, or it is about something else.
    NotProven(&'static str),
    /// It is signed and has this `respCode`, which is not the success.
    Failed(&'a str),
}

/// What an answer without success means for `operation`.
pub(super) fn outcome(operation: Operation, status: u16, seen: Seen<'_>) -> Outcome {
    match seen {
        _ if status >= 500 => unknown("http_5xx"),
        _ if status != 200 => unknown("http_status"),
        Seen::Unreadable => unknown("unreadable"),
        Seen::NotProven(why) => unknown(why),
        Seen::Failed(code) => of_code(operation, code),
    }
}

/// What `respCode`, or of a query `origRespCode`, means.
pub(super) fn of_code(operation: Operation, code: &str) -> Outcome {
    use Operation as Op;
    let failed = Outcome::Failed;
    match (code, operation) {
        ("34", Op::Query | Op::QueryRefund) => Outcome::NotFound,
        ("98", Op::Fetch) => Outcome::NoBill,
        ("02" | "06", _) => {
            failed(ProviderError::NotNow { code: code.to_owned(), after: Duration::from_mins(1) })
        }
        ("37", _) => failed(ProviderError::Throttled(Duration::from_mins(1))),
        ("11" | "31" | "32", _) => failed(ProviderError::Misconfigured(code.to_owned())),
        // Something is there already, or is not as the call supposes.
        ("12" | "35" | "42" | "45" | "46", _) => failed(ProviderError::Conflict(code.to_owned())),
        ("83", _) => unknown(code),
        ("10" | "13" | "14", _) => failed(ProviderError::Refused(code.to_owned())),
        _ if is_between(code, 30, 46) || is_between(code, 60, 89) => {
            failed(ProviderError::Refused(code.to_owned()))
        }
        _ => unknown(code),
    }
}

fn is_between(code: &str, least: u8, most: u8) -> bool {
    let number = (code.len() == 2).then(|| code.parse::<u8>().ok()).flatten();
    number.is_some_and(|number| (least..=most).contains(&number))
}

fn unknown(why: &str) -> Outcome {
    Outcome::Failed(ProviderError::unknown(why))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_sorted_by_what_the_caller_may_do() {
        use Operation as Op;
        let failed = Outcome::Failed;
        let conflict = |code: &str| failed(ProviderError::Conflict(code.to_owned()));
        let refused = |code: &str| failed(ProviderError::Refused(code.to_owned()));
        let setup = |code: &str| failed(ProviderError::Misconfigured(code.to_owned()));
        let minute = Duration::from_mins(1);
        let later =
            |code: &str| failed(ProviderError::NotNow { code: code.to_owned(), after: minute });
        let code = Seen::Failed;
        let cases = [
            ("their side broke", Op::Refund, 502, Seen::Unreadable, unknown("http_5xx")),
            ("page with status", Op::Create, 400, Seen::Unreadable, unknown("http_status")),
            ("code with status", Op::Create, 400, code("10"), unknown("http_status")),
            ("sentence", Op::Create, 200, Seen::Unreadable, unknown("unreadable")),
            ("forged", Op::Query, 200, Seen::NotProven("bad_signature"), unknown("bad_signature")),
            ("failed", Op::Create, 200, code("01"), unknown("01")),
            ("closed for today", Op::Create, 200, code("02"), later("02")),
            ("no answer of the bank", Op::Refund, 200, code("03"), unknown("03")),
            ("state not known", Op::Refund, 200, code("04"), unknown("04")),
            ("accepted", Op::Refund, 200, code("05"), unknown("05")),
            ("busy", Op::Refund, 200, code("06"), later("06")),
            ("format", Op::Create, 200, code("10"), refused("10")),
            ("signature", Op::Create, 200, code("11"), setup("11")),
            ("twice", Op::Create, 200, code("12"), conflict("12")),
            ("field missing", Op::Create, 200, code("13"), refused("13")),
            ("wrong message", Op::Create, 200, code("14"), refused("14")),
            ("merchant", Op::Create, 200, code("31"), setup("31")),
            ("permission", Op::Create, 200, code("32"), setup("32")),
            ("limit", Op::Create, 200, code("33"), refused("33")),
            ("no trade", Op::Query, 200, code("34"), Outcome::NotFound),
            ("no refund", Op::QueryRefund, 200, code("34"), Outcome::NotFound),
            ("nothing to refund", Op::Refund, 200, code("34"), refused("34")),
            ("state of the original", Op::Refund, 200, code("35"), conflict("35")),
            ("does not match", Op::Refund, 200, code("36"), refused("36")),
            ("too often", Op::Refund, 200, code("37"), failed(ProviderError::Throttled(minute))),
            ("risk", Op::Create, 200, code("38"), refused("38")),
            ("window", Op::Refund, 200, code("39"), refused("39")),
            ("binding", Op::Create, 200, code("40"), refused("40")),
            ("charged late", Op::Create, 200, code("42"), conflict("42")),
            ("refunded before", Op::Refund, 200, code("45"), conflict("45")),
            ("reversed", Op::Refund, 200, code("46"), conflict("46")),
            ("issuer", Op::Create, 200, code("60"), refused("60")),
            ("balance", Op::Create, 200, code("64"), refused("64")),
            ("card not opened", Op::Create, 200, code("77"), refused("77")),
            ("in progress", Op::Create, 200, code("83"), unknown("83")),
            ("QR code", Op::Create, 200, code("88"), refused("88")),
            ("limits", Op::Create, 200, code("90"), unknown("90")),
            ("no file", Op::Fetch, 200, code("98"), Outcome::NoBill),
            ("98 elsewhere", Op::Create, 200, code("98"), unknown("98")),
            ("other", Op::Create, 200, code("99"), unknown("99")),
            ("unheard-of", Op::Create, 200, code("55"), unknown("55")),
            ("no number", Op::Create, 200, code("A1"), unknown("A1")),
            ("sign before it", Op::Create, 200, code("+60"), unknown("+60")),
        ];
        for (name, operation, status, seen, expected) in cases {
            assert_eq!(outcome(operation, status, seen), expected, "{name}");
        }
    }
}
