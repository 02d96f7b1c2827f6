//! Documented calls that this build does not do: they say so, instead of looking as if they did
//! not exist.

use poem::Response;
use schemas::ErrorCode;

use crate::error::ApiError;

/// Addresses, with a name in braces for one segment.
pub(crate) const UNBUILT: [&str; 12] = [
    "/api/pay/account/",
    "/api/pay/account/{id}/",
    "/api/pay/account/open_query/",
    "/api/pay/account/open_card_front/",
    "/api/pay/account/bind-unpay-account/send-vcode/",
    "/api/pay/account/bind-unpay-account/",
    "/api/pay/account/default_receipt/",
    "/api/pay/account/default_payment/",
    "/api/pay/payment/",
    "/api/pay/payment/change-password/",
    "/api/pay/order/{sn}/send_vcode/",
    "/api/pay/order/{sn}/unpay/",
];

/// The reply of a documented call that this build does not do.
pub(crate) fn unbuilt(path: &str) -> Option<Response> {
    let is = |pattern: &&&str| {
        let (mut left, mut right) = (pattern.split('/'), path.split('/'));
        loop {
            match (left.next(), right.next()) {
                (None, None) => return true,
                (Some(name), Some(found)) if name.starts_with('{') && !found.is_empty() => {}
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
            ("/api/pay/order/202402030405061234567890123/unpay/", true),
            ("/api/user/profile/wechat-unbinding/", false),
            ("/api/pay/order//unpay/", false),
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
