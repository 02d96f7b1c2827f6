//! Who may call what: one row for each operation of the API.
//!
//! The table is what [`super::Bearer`] enforces and what the OpenAPI document shows. An operation
//! without a row is closed to everybody, and a test names it.

use std::{collections::HashMap, sync::LazyLock};

use poem::http::Method;
use schemas::Scope;
use serde_json::{Map, Value, json};

/// What an operation asks of its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Nothing.
    Anyone,
    /// A client that proves who it is, by its credentials.
    Client,
    /// A user's access token, whatever it allows.
    User,
    /// A user's access token with this scope.
    Scope(Scope),
}

/// Method, documented address, and who may call it.
pub(crate) type Row = (&'static str, &'static str, Access);

/// Every operation.
pub(crate) const TABLE: &[Row] = &[
    ("POST", "/api/o/token/", Access::Client),
    ("POST", "/api/o/revoke_token/", Access::Client),
    ("POST", "/api/o/introspect/", Access::Client),
    ("GET", "/api/o/authorize/", Access::User),
    ("POST", "/api/o/authorize/", Access::User),
    ("GET", "/api/o/scope/", Access::Anyone),
    ("GET", "/api/o/jwks/", Access::Anyone),
    ("GET", "/api/user/basic-info/", Access::Scope(Scope::UserProfile)),
    ("GET", "/api/user/session/", Access::Scope(Scope::UserProfile)),
    ("POST", "/api/user/sign-out/", Access::User),
    ("POST", "/api/auth/logout/", Access::User),
    ("GET", "/api/user/user-image/", Access::Scope(Scope::UserImage)),
    ("POST", "/api/user/user-image/", Access::Scope(Scope::UserImage)),
    ("GET", "/api/user/user-image/{id}/", Access::Scope(Scope::UserImage)),
    ("PATCH", "/api/user/user-image/{id}/", Access::Scope(Scope::UserImage)),
    ("DELETE", "/api/user/user-image/{id}/", Access::Scope(Scope::UserImage)),
    ("GET", "/api/user/user-apns-device-token/", Access::Scope(Scope::PushDevice)),
    ("POST", "/api/user/user-apns-device-token/", Access::Scope(Scope::PushDevice)),
    ("DELETE", "/api/user/user-apns-device-token/", Access::Scope(Scope::PushDevice)),
    (
        "DELETE",
        "/api/user/user-apns-device-token/{device_token}/",
        Access::Scope(Scope::PushDevice),
    ),
    ("GET", "/api/pay/order/", Access::Scope(Scope::PayTradeOrder)),
    ("POST", "/api/pay/order/", Access::Scope(Scope::PayTradeManage)),
    ("POST", "/api/pay/order/pay/", Access::Scope(Scope::PayTradeOrder)),
    ("GET", "/api/pay/order/{sn}/", Access::Scope(Scope::PayTradeOrder)),
    ("POST", "/api/pay/order/{sn}/pay/", Access::Scope(Scope::PayTradeOrder)),
    ("POST", "/api/pay/account/open_query/", Access::Scope(Scope::PayTradeOrder)),
    ("POST", "/api/pay/account/open_card_front/", Access::Scope(Scope::PayTradeOrder)),
    ("GET", "/api/pay/account/", Access::Scope(Scope::PayTradeOrder)),
    ("POST", "/api/pay/account/", Access::Scope(Scope::PayTradeOrder)),
    ("DELETE", "/api/pay/account/{id}/", Access::Scope(Scope::PayTradeOrder)),
    ("POST", "/api/pay/account/default_receipt/", Access::Scope(Scope::PayTradeOrder)),
    ("POST", "/api/pay/account/default_payment/", Access::Scope(Scope::PayTradeOrder)),
    (
        "POST",
        "/api/pay/account/bind-unpay-account/send-vcode/",
        Access::Scope(Scope::PayTradeOrder),
    ),
    ("POST", "/api/pay/account/bind-unpay-account/", Access::Scope(Scope::PayTradeOrder)),
    ("GET", "/api/pay/payment/", Access::Scope(Scope::PayTradeOrder)),
    ("PATCH", "/api/pay/payment/", Access::Scope(Scope::PayTradeOrder)),
    ("POST", "/api/pay/order/{sn}/send_vcode/", Access::Scope(Scope::PayTradeOrder)),
    ("POST", "/api/pay/order/{sn}/unpay/", Access::Scope(Scope::PayTradeOrder)),
    ("POST", "/api/pay/order/{sn}/refresh_order_status/", Access::Scope(Scope::PayTradeOrder)),
    ("POST", "/api/pay/order/{sn}/close/", Access::Scope(Scope::PayTradeManage)),
    ("GET", "/api/pay/order/{sn}/qr/", Access::Scope(Scope::PayTradeOrder)),
    ("GET", "/api/pay/order/{sn}/refund/", Access::Scope(Scope::PayTradeOrder)),
    ("POST", "/api/pay/order/{sn}/refund/", Access::Scope(Scope::PayTradeManage)),
    ("GET", "/api/pay/order/{sn}/refund/{refund}/", Access::Scope(Scope::PayTradeOrder)),
    ("GET", "/api/pay/weixin/check-app-id/", Access::Scope(Scope::PayTradeOrder)),
    ("GET", "/api/push/", Access::Scope(Scope::PushSend)),
    ("POST", "/api/push/", Access::Scope(Scope::PushSend)),
    ("GET", "/api/push/{id}/", Access::Scope(Scope::PushSend)),
    ("POST", "/api/push/{id}/pause/", Access::Scope(Scope::PushSend)),
    ("POST", "/api/push/{id}/resume/", Access::Scope(Scope::PushSend)),
    ("POST", "/api/push/{id}/cancel/", Access::Scope(Scope::PushSend)),
    ("POST", "/api/user/profile/alipay-binding/", Access::Scope(Scope::UserProfile)),
    ("GET", "/api/user/profile/alipay-info/", Access::Scope(Scope::UserProfile)),
    ("POST", "/api/user/profile/wechat-binding/", Access::Scope(Scope::UserProfile)),
    ("GET", "/api/user/profile/wechat-info/", Access::Scope(Scope::UserProfile)),
    ("GET", "/api/user/profile/wechat-unbinding/", Access::Scope(Scope::UserProfile)),
    ("GET", "/api/pay/alipay_auth_return/", Access::Anyone),
    ("GET", "/api/pay/wechat_auth_return/", Access::Anyone),
    ("POST", "/api/pay/auth_return/", Access::Anyone),
    ("GET", "/api/job/", Access::User),
    ("GET", "/api/job/{id}/", Access::User),
    ("GET", "/api/job/{id}/events/", Access::User),
    ("POST", "/api/job/{id}/cancel/", Access::User),
];

/// The rows by routed address.
static ROUTED: LazyLock<HashMap<(String, &'static str), Access>> = LazyLock::new(|| {
    TABLE.iter().map(|(method, path, access)| ((routed(path), *method), *access)).collect()
});

/// What the operation asks that answers `method` at the routed address `pattern`; `None` when the
/// table does not know it.
pub(crate) fn of(method: &Method, pattern: &str) -> Option<Access> {
    // HEAD is a GET whose body is not sent.
    let method = if *method == Method::HEAD { "GET" } else { method.as_str() };
    let method = TABLE.iter().map(|(known, ..)| *known).find(|known| *known == method)?;
    ROUTED.get(&(pattern.to_owned(), method)).copied()
}

/// The spelling in which poem-openapi routes a documented address.
pub(crate) fn routed(path: &str) -> String {
    let mut parameters = 0;
    let segments = path.split('/').map(|segment| {
        if !segment.starts_with('{') {
            return segment.to_owned();
        }
        parameters += 1;
        format!(":param{}", parameters - 1)
    });
    segments.collect::<Vec<_>>().join("/")
}

/// Writes the table into the OpenAPI document: each operation shows the scope that it needs.
pub(crate) fn describe(document: &mut Value) {
    for (method, path, access) in TABLE {
        let scopes: Vec<_> = match access {
            Access::Anyone | Access::Client => continue,
            Access::User => vec![],
            Access::Scope(scope) => vec![scope.name()],
        };
        let operation = &mut document["paths"][path][method.to_lowercase()];
        if let Value::Array(alternatives) = &mut operation["security"] {
            alternatives.insert(0, json!({ "oauth2": scopes }));
        }
    }
    let scopes: Map<_, _> =
        Scope::ALL.iter().map(|scope| (scope.name().to_owned(), scope.label().into())).collect();
    document["components"]["securitySchemes"]["oauth2"] = json!({
        "type": "oauth2",
        "description": "An access token with the scopes that an operation names.",
        "flows": {
            "authorizationCode": {
                "authorizationUrl": "/authorize",
                "tokenUrl": "/api/o/token/",
                "refreshUrl": "/api/o/token/",
                "scopes": scopes,
            },
            "password": {
                "tokenUrl": "/api/o/token/",
                "refreshUrl": "/api/o/token/",
                "scopes": scopes,
            },
        },
    });
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn every_operation_has_its_row_and_asks_for_a_token_if_the_row_says_so() {
        let document = crate::openapi();
        let mut rows: BTreeMap<_, _> = TABLE
            .iter()
            .map(|(method, path, access)| (format!("{method} {path}"), *access))
            .collect();

        for (path, operations) in document["paths"].as_object().into_iter().flatten() {
            for (method, operation) in operations.as_object().into_iter().flatten() {
                let name = format!("{} {path}", method.to_uppercase());
                let Some(access) = rows.remove(&name) else {
                    panic!("{name} has no row in the table: it is closed to everybody");
                };
                let shown = &operation["security"][0]["oauth2"];
                let expected = match access {
                    Access::Anyone | Access::Client => Value::Null,
                    Access::User => json!([]),
                    Access::Scope(scope) => json!([scope.name()]),
                };
                assert_eq!(*shown, expected, "{name}");
            }
        }
        assert_eq!(rows, BTreeMap::new(), "rows without an operation");
    }

    #[test]
    fn rows_are_found_by_the_address_that_is_routed() {
        let image = "/api/user/user-image/:param0/";
        let cases = [
            (Method::GET, image, Some(Access::Scope(Scope::UserImage))),
            (Method::HEAD, image, Some(Access::Scope(Scope::UserImage))),
            (Method::POST, image, None),
            (Method::GET, "/api/job/", Some(Access::User)),
            (Method::GET, "/api/nothing/", None),
            (Method::TRACE, "/api/job/", None),
        ];
        for (method, pattern, expected) in cases {
            assert_eq!(of(&method, pattern), expected, "{method} {pattern}");
        }
    }
}
