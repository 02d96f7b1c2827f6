//! What an answer of Alipay means: one pure table.

use std::time::Duration;

use crate::payment::{
    ProviderError,
    operation::{Operation, Outcome},
};

/// How far an answer could be believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Seen {
    /// It is not the documented form.
    Unreadable,
    /// Its signature is wrong or cannot be judged.
    NotProven(&'static str),
    /// It is not signed: the gateway could not tell who asks.
    Unsigned {
        /// `code`.
        code: String,
        /// The part of `sub_code` that matters.
        sub_code: String,
    },
    /// It is signed and has this `code`, which is not the success.
    Failed {
        /// `code`.
        code: String,
        /// The part of `sub_code` that matters.
        sub_code: String,
    },
}

/// What an answer without success means for `operation`.
pub(super) fn outcome(operation: Operation, status: u16, seen: &Seen) -> Outcome {
    if status != 200 {
        return unknown(if status >= 500 { "http_5xx" } else { "http_status" });
    }
    match seen {
        Seen::Unreadable => unknown("unreadable"),
        Seen::NotProven(why) => unknown(why),
        // An error of the gateway claims only that nothing happened; a business result must be
        // signed.
        Seen::Unsigned { code, sub_code } => match code.as_str() {
            "20001" | "40001" | "40002" | "40003" | "40005" | "40006" => of_gateway(code, sub_code),
            _ => unknown("unsigned"),
        },
        Seen::Failed { code, sub_code } if code == "40004" => of_business(operation, sub_code),
        Seen::Failed { code, sub_code } => of_gateway(code, sub_code),
    }
}

fn of_gateway(code: &str, sub_code: &str) -> Outcome {
    match (code, sub_code) {
        (
            "40002",
            "isv.invalid-parameter"
            | "isv.suspected-attack"
            | "isv.illegal-json"
            | "isv.code-invalid"
            | "isv.grant-type-invalid"
            | "isv.refresh-token-invalid"
            | "isv.refresh-token-time-out"
            | "isv.refreshed-token-invalid",
        ) => Outcome::Failed(ProviderError::Refused(ProviderError::code(sub_code))),
        ("40005", _) => throttled(),
        ("20001" | "40001" | "40002" | "40003" | "40006", _) => setup(sub_code),
        _ => unknown(if sub_code.is_empty() { code } else { sub_code }),
    }
}

fn of_business(operation: Operation, code: &str) -> Outcome {
    use Operation as Op;
    let failed = Outcome::Failed;
    match (code, operation) {
        ("TRADE_NOT_EXIST", Op::Query | Op::QueryRefund) => Outcome::NotFound,
        ("TRADE_HAS_CLOSE", Op::Close) => Outcome::AlreadySo,
        // Nobody has opened it so far; until its expiry somebody may.
        ("TRADE_NOT_EXIST", Op::Close) => failed(ProviderError::Refused(code.to_owned())),
        ("BILL_NOT_EXIST" | "NO_BILL_DATA", Op::Fetch) => Outcome::NoBill,
        ("SYSTEM_RATE_LIMIT" | "USER_RATE_LIMIT", Op::Fetch) => throttled(),
        (
            "CONTEXT_INCONSISTENT"
            | "APPLY_PC_MERCHANT_CODE_ERROR"
            | "TRADE_HAS_SUCCESS"
            | "TRADE_HAS_CLOSE"
            | "TRADE_NOT_EXIST"
            | "TRADE_STATUS_ERROR"
            | "REASON_TRADE_STATUS_INVALID"
            | "REASON_ILLEGAL_STATUS",
            _,
        )
        | ("TRADE_HAS_FINISHED", Op::Close) => failed(ProviderError::Conflict(code.to_owned())),
        ("SELLER_BALANCE_NOT_ENOUGH", _) => {
            failed(ProviderError::NotNow { code: code.to_owned(), after: Duration::from_mins(10) })
        }
        (
            "INVALID_PARAMETER"
            | "EXIST_FORBIDDEN_WORD"
            | "TOTAL_FEE_EXCEED"
            | "BUYER_SELLER_EQUAL"
            | "BEYOND_PAY_RESTRICTION"
            | "NOW_TIME_AFTER_EXPIRE_TIME_ERROR"
            | "TRADE_HAS_FINISHED"
            | "REFUND_AMT_NOT_EQUAL_TOTAL"
            | "REASON_TRADE_REFUND_FEE_ERR"
            | "NOT_ALLOW_PARTIAL_REFUND"
            | "TRADE_NOT_ALLOW_REFUND"
            | "DISCORDANT_REPEAT_REQUEST"
            | "BILL_DATE_BEFORE_REGISTRATION"
            | "TYPE_NOT_SUPPORTED"
            | "INVAILID_ARGUMENTS",
            _,
        ) => failed(ProviderError::Refused(code.to_owned())),
        ("ACCESS_FORBIDDEN" | "PARTNER_ERROR" | "MERCHANT_STATUS_NOT_NORMAL", _) => setup(code),
        // SYSTEM_ERROR, and codes that are not listed: final for the request, and nothing is known
        // about the trade.
        _ => unknown(code),
    }
}

fn unknown(why: &str) -> Outcome {
    Outcome::Failed(ProviderError::unknown(why))
}

fn setup(code: &str) -> Outcome {
    Outcome::Failed(ProviderError::Misconfigured(ProviderError::code(code)))
}

const fn throttled() -> Outcome {
    Outcome::Failed(ProviderError::Throttled(Duration::from_mins(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(code: &str, sub_code: &str) -> Seen {
        Seen::Failed { code: code.to_owned(), sub_code: sub_code.to_owned() }
    }

    fn unsigned(code: &str, sub_code: &str) -> Seen {
        Seen::Unsigned { code: code.to_owned(), sub_code: sub_code.to_owned() }
    }

    #[test]
    fn what_cannot_be_believed_is_unknown() {
        let cases = [
            ("their side broke", 500, Seen::Unreadable, unknown("http_5xx")),
            ("redirect", 302, failed("40004", "TRADE_NOT_EXIST"), unknown("http_status")),
            ("garbage", 200, Seen::Unreadable, unknown("unreadable")),
            ("wrong signature", 200, Seen::NotProven("bad_signature"), unknown("bad_signature")),
            ("unsigned success", 200, unsigned("10000", ""), unknown("unsigned")),
            ("unsigned result", 200, unsigned("40004", "TRADE_NOT_EXIST"), unknown("unsigned")),
            (
                "unsigned error",
                200,
                unsigned("40002", "isv.invalid-app-id"),
                setup("isv.invalid-app-id"),
            ),
            ("unsigned limit", 200, unsigned("40005", "isv.app-call-limited"), throttled()),
            ("wait", 200, failed("10003", ""), unknown("10003")),
            ("unknown", 200, failed("20000", "isp.unknow-error"), unknown("isp.unknow-error")),
            ("token", 200, failed("20001", "invalid-auth-token"), setup("invalid-auth-token")),
            ("missing", 200, failed("40001", "isv.missing-method"), setup("isv.missing-method")),
            (
                "condition",
                200,
                failed("40003", "isv.missing-signature-config"),
                setup("isv.missing-signature-config"),
            ),
            ("limit", 200, failed("40005", "isv.method-call-limited"), throttled()),
            (
                "right",
                200,
                failed("40006", "isv.insufficient-isv-permissions"),
                setup("isv.insufficient-isv-permissions"),
            ),
            ("unheard-of", 200, failed("50000", ""), unknown("50000")),
        ];
        for (name, status, seen, expected) in cases {
            assert_eq!(outcome(Operation::Query, status, &seen), expected, "{name}");
        }
    }

    #[test]
    fn business_failures_are_sorted_by_what_the_caller_may_do() {
        use Operation as Op;
        let error = Outcome::Failed;
        let conflict = |code: &str| error(ProviderError::Conflict(code.to_owned()));
        let refused = |code: &str| error(ProviderError::Refused(code.to_owned()));
        let later = error(ProviderError::NotNow {
            code: "SELLER_BALANCE_NOT_ENOUGH".to_owned(),
            after: Duration::from_mins(10),
        });
        let cases = [
            ("no trade", Op::Query, "TRADE_NOT_EXIST", Outcome::NotFound),
            ("no refund", Op::QueryRefund, "TRADE_NOT_EXIST", Outcome::NotFound),
            ("nothing to close", Op::Close, "TRADE_NOT_EXIST", refused("TRADE_NOT_EXIST")),
            ("nothing to refund", Op::Refund, "TRADE_NOT_EXIST", conflict("TRADE_NOT_EXIST")),
            ("closed before", Op::Close, "TRADE_HAS_CLOSE", Outcome::AlreadySo),
            ("closed", Op::Create, "TRADE_HAS_CLOSE", conflict("TRADE_HAS_CLOSE")),
            ("paid", Op::Create, "TRADE_HAS_SUCCESS", conflict("TRADE_HAS_SUCCESS")),
            ("paid at close", Op::Close, "TRADE_HAS_SUCCESS", conflict("TRADE_HAS_SUCCESS")),
            ("other data", Op::Create, "CONTEXT_INCONSISTENT", conflict("CONTEXT_INCONSISTENT")),
            (
                "a code was made before",
                Op::Create,
                "APPLY_PC_MERCHANT_CODE_ERROR",
                conflict("APPLY_PC_MERCHANT_CODE_ERROR"),
            ),
            ("state", Op::Close, "TRADE_STATUS_ERROR", conflict("TRADE_STATUS_ERROR")),
            (
                "state, other word",
                Op::Close,
                "REASON_TRADE_STATUS_INVALID",
                conflict("REASON_TRADE_STATUS_INVALID"),
            ),
            (
                "state, third word",
                Op::Refund,
                "REASON_ILLEGAL_STATUS",
                conflict("REASON_ILLEGAL_STATUS"),
            ),
            ("over", Op::Close, "TRADE_HAS_FINISHED", conflict("TRADE_HAS_FINISHED")),
            ("too late", Op::Refund, "TRADE_HAS_FINISHED", refused("TRADE_HAS_FINISHED")),
            ("balance too low", Op::Refund, "SELLER_BALANCE_NOT_ENOUGH", later),
            (
                "other amount",
                Op::Refund,
                "DISCORDANT_REPEAT_REQUEST",
                refused("DISCORDANT_REPEAT_REQUEST"),
            ),
            (
                "too much",
                Op::Refund,
                "REFUND_AMT_NOT_EQUAL_TOTAL",
                refused("REFUND_AMT_NOT_EQUAL_TOTAL"),
            ),
            (
                "wrong amount",
                Op::Refund,
                "REASON_TRADE_REFUND_FEE_ERR",
                refused("REASON_TRADE_REFUND_FEE_ERR"),
            ),
            (
                "whole only",
                Op::Refund,
                "NOT_ALLOW_PARTIAL_REFUND",
                refused("NOT_ALLOW_PARTIAL_REFUND"),
            ),
            (
                "not refundable",
                Op::Refund,
                "TRADE_NOT_ALLOW_REFUND",
                refused("TRADE_NOT_ALLOW_REFUND"),
            ),
            ("words", Op::Create, "EXIST_FORBIDDEN_WORD", refused("EXIST_FORBIDDEN_WORD")),
            ("sum", Op::Create, "TOTAL_FEE_EXCEED", refused("TOTAL_FEE_EXCEED")),
            ("oneself", Op::Create, "BUYER_SELLER_EQUAL", refused("BUYER_SELLER_EQUAL")),
            ("limits", Op::Create, "BEYOND_PAY_RESTRICTION", refused("BEYOND_PAY_RESTRICTION")),
            (
                "expired",
                Op::Create,
                "NOW_TIME_AFTER_EXPIRE_TIME_ERROR",
                refused("NOW_TIME_AFTER_EXPIRE_TIME_ERROR"),
            ),
            ("parameter", Op::Create, "INVALID_PARAMETER", refused("INVALID_PARAMETER")),
            ("forbidden", Op::Create, "ACCESS_FORBIDDEN", setup("ACCESS_FORBIDDEN")),
            ("partner", Op::Create, "PARTNER_ERROR", setup("PARTNER_ERROR")),
            (
                "seller",
                Op::Create,
                "MERCHANT_STATUS_NOT_NORMAL",
                setup("MERCHANT_STATUS_NOT_NORMAL"),
            ),
            ("system", Op::Refund, "SYSTEM_ERROR", unknown("SYSTEM_ERROR")),
            ("no bill", Op::Fetch, "BILL_NOT_EXIST", Outcome::NoBill),
            ("no data", Op::Fetch, "NO_BILL_DATA", Outcome::NoBill),
            ("bill limit", Op::Fetch, "USER_RATE_LIMIT", throttled()),
            ("bill type", Op::Fetch, "TYPE_NOT_SUPPORTED", refused("TYPE_NOT_SUPPORTED")),
            ("unheard-of", Op::Refund, "NEW_CODE", unknown("NEW_CODE")),
        ];
        for (name, operation, code, expected) in cases {
            assert_eq!(outcome(operation, 200, &failed("40004", code)), expected, "{name}");
        }
    }

    #[test]
    fn a_spent_code_of_a_person_is_refused() {
        let seen = failed("40002", "isv.code-invalid");
        let refused = ProviderError::Refused("isv.code-invalid".to_owned());

        assert_eq!(outcome(Operation::Fetch, 200, &seen), Outcome::Failed(refused));
    }
}
