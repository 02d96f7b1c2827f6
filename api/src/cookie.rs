//! Cookies, where a browser has no token to bring.

use poem::{Request, http::header};

/// The value of the cookie `name` as the browser sent it; anybody may have written it.
pub(crate) fn named<'r>(request: &'r Request, name: &str) -> Option<&'r str> {
    let headers = request.headers().get_all(header::COOKIE).iter();
    let pairs = headers.filter_map(|value| value.to_str().ok()).flat_map(|text| text.split(';'));
    let mut pairs = pairs.filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(one, _)| *one == name).map(|(_, value)| value)
}
