//! What an answer of the JSON protocol means: one pure table.

use std::time::Duration;

use crate::payment::{
    ProviderError,
    operation::{Operation, Outcome},
};

/// How far an answer could be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen<'a> {
    /// A success that is not signed, is signed wrongly, or cannot be judged.
    NotProven(&'static str),
    /// A body that is not the documented form.
    Unreadable,
    /// A failure with this code. Failures need no signature: TLS vouches for the server, and they
    /// claim nothing but that nothing happened.
    Failed(&'a str),
    /// No body at all.
    Empty,
}

/// What an answer without a usable success means for `operation`.
pub(super) fn outcome(operation: Operation, status: u16, seen: Seen<'_>) -> Outcome {
    match (status, seen) {
        (_, Seen::NotProven(why)) => unknown(why),
        (202, _) => unknown("accepted_only"),
        (200..=299, _) => unknown("unreadable"),
        (429, Seen::Failed(_) | Seen::Empty | Seen::Unreadable) => {
            if operation == Operation::Refund {
                // The limit may have struck after the refund was taken.
                return unknown("rate_limited");
            }
            Outcome::Failed(ProviderError::Throttled(Duration::from_mins(1)))
        }
        (500.., Seen::Failed(code)) => unknown(code),
        (500.., Seen::Empty | Seen::Unreadable) => unknown("http_5xx"),
        (404 | 405, Seen::Empty) => setup("wrong_address"),
        (401, Seen::Failed(code)) => setup(code),
        (401, Seen::Empty | Seen::Unreadable) => setup("unauthorized"),
        (400..=499, Seen::Failed(code)) => of_code(operation, code),
        (_, Seen::Failed(_) | Seen::Empty | Seen::Unreadable) => unknown("http_status"),
    }
}

fn of_code(operation: Operation, code: &str) -> Outcome {
    use Operation as Op;
    match (code, operation) {
        ("ORDER_NOT_EXIST", Op::Query) | ("RESOURCE_NOT_EXISTS", Op::QueryRefund) => {
            Outcome::NotFound
        }
        ("ORDER_CLOSED" | "ORDERCLOSED", Op::Close) => Outcome::AlreadySo,
        // There is nothing to close, or the request is not right.
        ("ORDER_NOT_EXIST" | "RESOURCE_NOT_EXISTS", Op::Close)
        | (
            "PARAM_ERROR"
            | "INVALID_REQUEST"
            | "RULE_LIMIT"
            | "TRADE_ERROR"
            | "USER_ACCOUNT_ABNORMAL"
            | "TRADE_OVERDUE"
            | "REFUND_FEE_MISMATCH",
            _,
        ) => Outcome::Failed(ProviderError::Refused(code.to_owned())),
        ("NO_STATEMENT_EXIST", _) => Outcome::NoBill,
        ("STATEMENT_CREATING", _) => Outcome::BillNotReady,
        (
            "ORDER_CLOSED"
            | "ORDERCLOSED"
            | "ORDERPAID"
            | "ORDER_PAID"
            | "OUT_TRADE_NO_USED"
            | "ORDER_NOT_EXIST"
            | "RESOURCE_NOT_EXISTS"
            | "TRADE_STATE_ERROR",
            _,
        ) => Outcome::Failed(ProviderError::Conflict(code.to_owned())),
        ("NOT_ENOUGH", _) => Outcome::Failed(ProviderError::NotNow {
            code: code.to_owned(),
            after: Duration::from_mins(10),
        }),
        ("APPID_MCHID_NOT_MATCH" | "MCH_NOT_EXISTS" | "NO_AUTH" | "SIGN_ERROR", _) => setup(code),
        // Limits and trouble under a status that is not theirs, and codes that are not listed.
        _ => unknown(code),
    }
}

fn unknown(why: &str) -> Outcome {
    Outcome::Failed(ProviderError::unknown(why))
}

fn setup(code: &str) -> Outcome {
    Outcome::Failed(ProviderError::Misconfigured(ProviderError::code(code)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_sorted_by_what_the_caller_may_do() {
        use Operation as Op;
        use ProviderError as E;
        let failed = Outcome::Failed;
        let known = |code: &str| failed(E::unknown(code));
        let conflict = |code: &str| failed(E::Conflict(code.to_owned()));
        let refused = |code: &str| failed(E::Refused(code.to_owned()));
        let setup = |code: &str| failed(E::Misconfigured(code.to_owned()));
        let throttled = failed(E::Throttled(Duration::from_mins(1)));
        let topping_up =
            failed(E::NotNow { code: "NOT_ENOUGH".to_owned(), after: Duration::from_mins(10) });
        let code = Seen::Failed;
        let cases = [
            ("unsigned success", Op::Create, 200, Seen::NotProven("unsigned"), known("unsigned")),
            ("garbage", Op::Create, 200, Seen::Unreadable, known("unreadable")),
            ("accepted", Op::Refund, 202, Seen::Empty, known("accepted_only")),
            ("parameter", Op::Create, 400, code("PARAM_ERROR"), refused("PARAM_ERROR")),
            ("request", Op::Refund, 400, code("INVALID_REQUEST"), refused("INVALID_REQUEST")),
            (
                "app of another merchant",
                Op::Create,
                400,
                code("APPID_MCHID_NOT_MATCH"),
                setup("APPID_MCHID_NOT_MATCH"),
            ),
            ("no merchant", Op::Create, 400, code("MCH_NOT_EXISTS"), setup("MCH_NOT_EXISTS")),
            (
                "no merchant to refund",
                Op::Refund,
                404,
                code("MCH_NOT_EXISTS"),
                setup("MCH_NOT_EXISTS"),
            ),
            ("closed", Op::Create, 400, code("ORDER_CLOSED"), conflict("ORDER_CLOSED")),
            ("closed before", Op::Close, 400, code("ORDER_CLOSED"), Outcome::AlreadySo),
            ("not there", Op::Close, 404, code("ORDER_NOT_EXIST"), refused("ORDER_NOT_EXIST")),
            ("no trades", Op::Fetch, 400, code("NO_STATEMENT_EXIST"), Outcome::NoBill),
            ("not yet", Op::Fetch, 400, code("STATEMENT_CREATING"), Outcome::BillNotReady),
            ("signature", Op::Create, 401, code("SIGN_ERROR"), setup("SIGN_ERROR")),
            ("plain 401", Op::Create, 401, Seen::Empty, setup("unauthorized")),
            (
                "number used",
                Op::Create,
                403,
                code("OUT_TRADE_NO_USED"),
                conflict("OUT_TRADE_NO_USED"),
            ),
            ("paid", Op::Close, 403, code("ORDERPAID"), conflict("ORDERPAID")),
            ("no right", Op::Create, 403, code("NO_AUTH"), setup("NO_AUTH")),
            ("rule", Op::Create, 403, code("RULE_LIMIT"), refused("RULE_LIMIT")),
            ("trade", Op::Create, 403, code("TRADE_ERROR"), refused("TRADE_ERROR")),
            (
                "payer's account",
                Op::Refund,
                403,
                code("USER_ACCOUNT_ABNORMAL"),
                refused("USER_ACCOUNT_ABNORMAL"),
            ),
            ("balance too low", Op::Refund, 403, code("NOT_ENOUGH"), topping_up),
            ("no trade", Op::Query, 404, code("ORDER_NOT_EXIST"), Outcome::NotFound),
            ("no refund", Op::QueryRefund, 404, code("RESOURCE_NOT_EXISTS"), Outcome::NotFound),
            (
                "nothing to refund",
                Op::Refund,
                404,
                code("RESOURCE_NOT_EXISTS"),
                conflict("RESOURCE_NOT_EXISTS"),
            ),
            ("wrong path", Op::Query, 404, Seen::Empty, setup("wrong_address")),
            ("wrong method", Op::Query, 405, Seen::Empty, setup("wrong_address")),
            ("page in the way", Op::Query, 404, Seen::Unreadable, known("http_status")),
            ("too many calls", Op::Create, 429, code("FREQUENCY_LIMITED"), throttled.clone()),
            ("too many calls", Op::Query, 429, code("RATELIMIT_EXCEEDED"), throttled),
            ("too many refunds", Op::Refund, 429, code("FREQUENCY_LIMITED"), known("rate_limited")),
            ("their side broke", Op::Refund, 500, code("SYSTEM_ERROR"), known("SYSTEM_ERROR")),
            ("bad gateway", Op::Refund, 502, Seen::Unreadable, known("http_5xx")),
            (
                "unavailable",
                Op::Create,
                503,
                code("SERVICE_UNAVAILABLE"),
                known("SERVICE_UNAVAILABLE"),
            ),
            ("refusal in a 5xx", Op::Refund, 500, code("PARAM_ERROR"), known("PARAM_ERROR")),
            ("overdue", Op::Refund, 403, code("TRADE_OVERDUE"), refused("TRADE_OVERDUE")),
            (
                "other amount",
                Op::Refund,
                400,
                code("REFUND_FEE_MISMATCH"),
                refused("REFUND_FEE_MISMATCH"),
            ),
            ("unheard-of code", Op::Refund, 400, code("NEW_CODE"), known("NEW_CODE")),
            ("unheard-of status", Op::Create, 302, Seen::Empty, known("http_status")),
        ];
        for (name, operation, status, seen, expected) in cases {
            assert_eq!(outcome(operation, status, seen), expected, "{name}: {status}");
        }
    }
}
