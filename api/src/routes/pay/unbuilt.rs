//! Documented calls that this build does not do: they say so, instead of looking as if they did
//! not exist.

use poem::Response;
use schemas::ErrorCode;

use crate::error::ApiError;

/// Addresses, with a name in braces for a number.
pub(crate) const UNBUILT: [&str; 8] = [
    "/api/pay/account/",
    "/api/pay/account/{id}/",
    "/api/pay/account/bind-unpay-account/send-vcode/",
    "/api/pay/account/bind-unpay-account/",
    "/api/pay/account/default_receipt/",
    "/api/pay/account/default_payment/",
    "/api/pay/payment/",
    "/api/pay/payment/change-password/",
];

fn is_number(segment: &str) -> bool {
    !segment.is_empty() && segment.bytes().all(|byte| byte.is_ascii_digit())
}

/// The reply of a documented call that this build does not do.
pub(crate) fn unbuilt(path: &str) -> Option<Response> {
    let is = |pattern: &&&str| {
        let (mut left, mut right) = (pattern.split('/'), path.split('/'));
        loop {
            match (left.next(), right.next()) {
                (None, None) => return true,
                (Some(name), Some(found)) if name.starts_with('{') && is_number(found) => {}
                (Some(wanted), Some(found)) if wanted == found => {}
                _ => return false,
            }
        }
    };
    UNBUILT.iter().find(is)?;
    let text = "This call is not built yet.";
    Some(ApiError::of(ErrorCode::NotImplemented, text).to_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_documented_calls_say_that_they_are_not_built() {
        let cases = [
            ("/api/pay/account/", true),
            ("/api/pay/account/7/", true),
            ("/api/pay/account/bind-unpay-account/", true),
            ("/api/pay/order/202402030405061234567890123/unpay/", false),
            ("/api/user/profile/wechat-unbinding/", false),
            ("/api/pay/account//", false),
            ("/api/pay/account/open_query/", false),
            ("/api/pay/order/1/pay/", false),
            ("/api/pay/accounts/", false),
        ];
        for (path, expected) in cases {
            assert_eq!(
                unbuilt(path).is_some_and(|reply| reply.status() == 501),
                expected,
                "{path}"
            );
        }
    }
}
