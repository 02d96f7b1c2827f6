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
        // There is nothing to close, or the request is not right.
        ("ORDERNOTEXIST", Op::Close)
        | (
            "TRADE_OVERDUE"
            | "USER_ACCOUNT_ABNORMAL"
            | "INVALID_TRANSACTIONID"
            | "REFUND_FEE_MISMATCH"
            | "ERROR"
            | "PARAM_ERROR"
            | "LACK_PARAMS",
            _,
        ) => Outcome::Failed(ProviderError::Refused(code.to_owned())),
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
        // SYSTEMERROR, BIZERR_NEED_RETRY, and codes that are not listed.
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

    /// What the codes of a row mean.
    type Sorted<'t> = &'t dyn Fn(&str) -> Outcome;

    #[test]
    fn what_cannot_be_believed_is_unknown() {
        let cases = [
            ("their side broke", 500, Seen::Unreadable, "http_5xx"),
            ("code in a 5xx", 502, Seen::Failed("ERROR"), "http_5xx"),
            ("unheard-of status", 404, Seen::Unreadable, "http_status"),
            ("garbage", 200, Seen::Unreadable, "unreadable"),
            ("transport failure", 200, Seen::Unsigned, "return_code_fail"),
            ("wrong signature", 200, Seen::BadSignature, "bad_signature"),
            ("for another app", 200, Seen::Foreign, "foreign_answer"),
        ];
        for (name, status, seen, why) in cases {
            assert_eq!(outcome(Operation::Refund, status, seen), unknown(why), "{name}");
        }
    }

    #[test]
    fn codes_are_sorted_by_what_the_caller_may_do() {
        use Operation as Op;
        let conflict = |code: &str| Outcome::Failed(ProviderError::Conflict(code.to_owned()));
        let refused = |code: &str| Outcome::Failed(ProviderError::Refused(code.to_owned()));
        let setup = |code: &str| Outcome::Failed(ProviderError::Misconfigured(code.to_owned()));
        let throttled = |_: &str| Outcome::Failed(ProviderError::Throttled(Duration::from_mins(1)));
        let soon = |code: &str| not_now(code, Duration::from_mins(1));
        let after_topping_up = |code: &str| not_now(code, Duration::from_mins(10));
        let rows: [(Op, &[&str], Sorted<'_>); 18] = [
            (Op::Create, &["SYSTEMERROR", "NEW_CODE", ""], &unknown),
            (Op::Refund, &["SYSTEMERROR", "BIZERR_NEED_RETRY"], &unknown),
            (Op::Refund, &["FREQUENCY_LIMITED", "INVALID_REQ_TOO_MUCH"], &throttled),
            (Op::Create, &["ORDERPAID", "ORDERCLOSED", "OUT_TRADE_NO_USED"], &conflict),
            (Op::Close, &["ORDERPAID", "TRADE_STATE_ERROR"], &conflict),
            (Op::Close, &["ORDERNOTEXIST"], &refused),
            (Op::Close, &["ORDERCLOSED"], &|_| Outcome::AlreadySo),
            (Op::Query, &["ORDERNOTEXIST"], &|_| Outcome::NotFound),
            (Op::Refund, &["ORDERNOTEXIST"], &conflict),
            (Op::QueryRefund, &["REFUNDNOTEXIST"], &|_| Outcome::NotFound),
            (Op::Refund, &["ORDER_NOT_READY"], &soon),
            (Op::Refund, &["NOTENOUGH"], &after_topping_up),
            (Op::Refund, &["TRADE_OVERDUE", "USER_ACCOUNT_ABNORMAL", "ERROR"], &refused),
            (Op::Refund, &["INVALID_TRANSACTIONID", "REFUND_FEE_MISMATCH"], &refused),
            (Op::Create, &["PARAM_ERROR", "LACK_PARAMS"], &refused),
            (Op::Create, &["NOAUTH", "APPID_NOT_EXIST", "MCHID_NOT_EXIST"], &setup),
            (Op::Create, &["APPID_MCHID_NOT_MATCH", "SIGNERROR", "XML_FORMAT_ERROR"], &setup),
            (Op::Refund, &["CERT_ERROR", "NOT_UTF8", "POST_DATA_EMPTY"], &setup),
        ];
        for (operation, codes, sorted) in rows {
            for code in codes {
                let seen = outcome(operation, 200, Seen::Failed(code));
                assert_eq!(seen, sorted(code), "{code} to {operation:?}");
            }
        }
    }
}
