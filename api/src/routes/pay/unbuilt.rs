//! Documented calls that this build does not do: they say so, instead of looking as if they did
//! not exist.

use poem::Response;
use schemas::ErrorCode;

use crate::error::ApiError;

/// Their addresses.
pub(crate) const UNBUILT: [&str; 1] = ["/api/pay/payment/change-password/"];

/// The reply of a documented call that this build does not do.
pub(crate) fn unbuilt(path: &str) -> Option<Response> {
    UNBUILT.iter().find(|address| **address == path)?;
    let text = "This call is not built yet.";
    Some(ApiError::of(ErrorCode::NotImplemented, text).to_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_documented_calls_say_that_they_are_not_built() {
        let cases = [
            ("/api/pay/payment/change-password/", true),
            ("/api/pay/payment/", false),
            ("/api/pay/account/7/", false),
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
