//! What an answer of the XML protocol means: one pure table.

use std::time::Duration;

use crate::payment::{
    ProviderError,
    operation::{Operation, Outcome},
};

/// How far an answer could be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen<'a> {
    /// It is not the documented form.
    Unreadable,
    /// It reports a failure of transport or signature and is itself not signed.
    Unsigned,
    /// Its signature is wrong.
    BadSignature,
    /// It is signed, and for another app or merchant.
    Foreign,
    /// It is signed and reports this `err_code`.
    Failed(&'a str),
}

/// What an answer without success means for `operation`.
pub(super) fn outcome(operation: Operation, status: u16, seen: Seen<'_>) -> Outcome {
    match seen {
        _ if status >= 500 => unknown("http_5xx"),
        _ if status != 200 => unknown("http_status"),
        Seen::Unreadable => unknown("unreadable"),
        Seen::Unsigned => unknown("return_code_fail"),
        Seen::BadSignature => unknown("bad_signature"),
        Seen::Foreign => unknown("foreign_answer"),
        Seen::Failed(code) => of_code(operation, code),
    }
}

fn of_code(operation: Operation, code: &str) -> Outcome {
    use Operation as Op;
    match (code, operation) {
        ("ORDERNOTEXIST", Op::Query) | ("REFUNDNOTEXIST", Op::QueryRefund) => Outcome::NotFound,
        ("ORDERCLOSED", Op::Close) => Outcome::AlreadySo,
        ("SYSTEMERROR" | "BIZERR_NEED_RETRY", _) => unknown(code),
        ("FREQUENCY_LIMITED" | "INVALID_REQ_TOO_MUCH", _) => {
            Outcome::Failed(ProviderError::Throttled(Duration::from_mins(1)))
        }
        (
            "ORDERPAID" | "ORDERCLOSED" | "OUT_TRADE_NO_USED" | "ORDERNOTEXIST"
            | "TRADE_STATE_ERROR",
            _,
        ) => Outcome::Failed(ProviderError::Conflict(code.to_owned())),
        ("ORDER_NOT_READY", Op::Refund) => not_now(code, Duration::from_mins(1)),
        ("NOTENOUGH", Op::Refund) => not_now(code, Duration::from_mins(10)),
        (
            "TRADE_OVERDUE"
            | "USER_ACCOUNT_ABNORMAL"
            | "INVALID_TRANSACTIONID"
            | "REFUND_FEE_MISMATCH"
            | "ERROR"
            | "PARAM_ERROR"
            | "LACK_PARAMS",
            _,
        ) => Outcome::Failed(ProviderError::Refused(code.to_owned())),
        (
            "NOAUTH"
            | "APPID_NOT_EXIST"
            | "MCHID_NOT_EXIST"
            | "APPID_MCHID_NOT_MATCH"
            | "SIGNERROR"
            | "XML_FORMAT_ERROR"
            | "REQUIRE_POST_METHOD"
            | "POST_DATA_EMPTY"
            | "NOT_UTF8"
            | "CERT_ERROR",
            _,
        ) => Outcome::Failed(ProviderError::Misconfigured(code.to_owned())),
        _ => unknown(code),
    }
}

fn unknown(why: &str) -> Outcome {
    Outcome::Failed(ProviderError::unknown(why))
}

fn not_now(code: &str, after: Duration) -> Outcome {
    Outcome::Failed(ProviderError::NotNow { code: code.to_owned(), after })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_sorted_by_what_the_caller_may_do() {
        use Operation as Op;
        use ProviderError as E;
        let failed = Outcome::Failed;
        let minute = Duration::from_mins(1);
        let known = |code: &str| failed(E::unknown(code));
        let conflict = |code: &str| failed(E::Conflict(code.to_owned()));
        let refused = |code: &str| failed(E::Refused(code.to_owned()));
        let setup = |code: &str| failed(E::Misconfigured(code.to_owned()));
        let later = |code: &str, after| failed(E::NotNow { code: code.to_owned(), after });
        let cases = [
            ("their side broke", Op::Create, 500, Seen::Unreadable, known("http_5xx")),
            ("code in a 5xx", Op::Refund, 502, Seen::Failed("ERROR"), known("http_5xx")),
            ("unheard-of status", Op::Create, 404, Seen::Unreadable, known("http_status")),
            ("garbage", Op::Refund, 200, Seen::Unreadable, known("unreadable")),
            ("transport failure", Op::Create, 200, Seen::Unsigned, known("return_code_fail")),
            ("wrong signature", Op::Query, 200, Seen::BadSignature, known("bad_signature")),
            ("for another app", Op::Query, 200, Seen::Foreign, known("foreign_answer")),
            ("system", Op::Create, 200, Seen::Failed("SYSTEMERROR"), known("SYSTEMERROR")),
            (
                "needs a retry",
                Op::Refund,
                200,
                Seen::Failed("BIZERR_NEED_RETRY"),
                known("BIZERR_NEED_RETRY"),
            ),
            (
                "too many refunds",
                Op::Refund,
                200,
                Seen::Failed("FREQUENCY_LIMITED"),
                failed(E::Throttled(minute)),
            ),
            (
                "too many bad refunds",
                Op::Refund,
                200,
                Seen::Failed("INVALID_REQ_TOO_MUCH"),
                failed(E::Throttled(minute)),
            ),
            ("paid", Op::Create, 200, Seen::Failed("ORDERPAID"), conflict("ORDERPAID")),
            ("paid at close", Op::Close, 200, Seen::Failed("ORDERPAID"), conflict("ORDERPAID")),
            ("closed", Op::Create, 200, Seen::Failed("ORDERCLOSED"), conflict("ORDERCLOSED")),
            ("closed before", Op::Close, 200, Seen::Failed("ORDERCLOSED"), Outcome::AlreadySo),
            (
                "number used",
                Op::Create,
                200,
                Seen::Failed("OUT_TRADE_NO_USED"),
                conflict("OUT_TRADE_NO_USED"),
            ),
            ("no trade", Op::Query, 200, Seen::Failed("ORDERNOTEXIST"), Outcome::NotFound),
            (
                "no trade to close",
                Op::Close,
                200,
                Seen::Failed("ORDERNOTEXIST"),
                conflict("ORDERNOTEXIST"),
            ),
            (
                "state",
                Op::Close,
                200,
                Seen::Failed("TRADE_STATE_ERROR"),
                conflict("TRADE_STATE_ERROR"),
            ),
            ("no refund", Op::QueryRefund, 200, Seen::Failed("REFUNDNOTEXIST"), Outcome::NotFound),
            (
                "not ready",
                Op::Refund,
                200,
                Seen::Failed("ORDER_NOT_READY"),
                later("ORDER_NOT_READY", minute),
            ),
            (
                "balance too low",
                Op::Refund,
                200,
                Seen::Failed("NOTENOUGH"),
                later("NOTENOUGH", minute * 10),
            ),
            ("overdue", Op::Refund, 200, Seen::Failed("TRADE_OVERDUE"), refused("TRADE_OVERDUE")),
            (
                "payer's account",
                Op::Refund,
                200,
                Seen::Failed("USER_ACCOUNT_ABNORMAL"),
                refused("USER_ACCOUNT_ABNORMAL"),
            ),
            (
                "no such number",
                Op::Refund,
                200,
                Seen::Failed("INVALID_TRANSACTIONID"),
                refused("INVALID_TRANSACTIONID"),
            ),
            (
                "other amount",
                Op::Refund,
                200,
                Seen::Failed("REFUND_FEE_MISMATCH"),
                refused("REFUND_FEE_MISMATCH"),
            ),
            ("business error", Op::Refund, 200, Seen::Failed("ERROR"), refused("ERROR")),
            ("parameter", Op::Create, 200, Seen::Failed("PARAM_ERROR"), refused("PARAM_ERROR")),
            ("no right", Op::Create, 200, Seen::Failed("NOAUTH"), setup("NOAUTH")),
            ("signature", Op::Create, 200, Seen::Failed("SIGNERROR"), setup("SIGNERROR")),
            ("certificate", Op::Refund, 200, Seen::Failed("CERT_ERROR"), setup("CERT_ERROR")),
            (
                "app of another merchant",
                Op::Create,
                200,
                Seen::Failed("APPID_MCHID_NOT_MATCH"),
                setup("APPID_MCHID_NOT_MATCH"),
            ),
            ("unheard-of code", Op::Refund, 200, Seen::Failed("NEW_CODE"), known("NEW_CODE")),
            ("no code", Op::Refund, 200, Seen::Failed(""), known("")),
        ];
        for (name, operation, status, seen, expected) in cases {
            assert_eq!(outcome(operation, status, seen), expected, "{name}");
        }
    }
}
