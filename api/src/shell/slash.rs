//! Every address below `/api` has one spelling, which ends in a slash.

use poem::{
    Request, Response,
    http::{Method, StatusCode, header},
};

use super::document::OPENAPI_PATH;
use crate::error::ApiError;

/// Whether the path belongs to the API.
pub(super) fn is_api(path: &str) -> bool {
    path.strip_prefix("/api").is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The reply to a request whose path lacks its slash: GET and HEAD are sent to the right address,
/// other methods find nothing, because a redirected POST would lose its body.
pub(super) fn redirect(request: &Request) -> Option<Response> {
    let path = request.uri().path();
    if path.ends_with('/') || !is_api(path) || path == OPENAPI_PATH {
        return None;
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Some(ApiError::not_found().to_response());
    }
    let target = match request.uri().query() {
        Some(query) => format!("{path}/?{query}"),
        None => format!("{path}/"),
    };
    let reply =
        Response::builder().status(StatusCode::MOVED_PERMANENTLY).header(header::LOCATION, target);
    Some(reply.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_without_its_slash_is_sent_to_the_one_with_it() {
        let cases = [
            (Method::GET, "/api/job?a=1&b", Some((301, "/api/job/?a=1&b"))),
            (Method::HEAD, "/api", Some((301, "/api/"))),
            (Method::POST, "/api/o/token", Some((404, ""))),
            (Method::GET, "/api/job/", None),
            (Method::GET, "/api/job/?x=/y", None),
            (Method::GET, "/api/openapi.json", None),
            (Method::GET, "/apix", None),
            (Method::GET, "/media/1/UserImage/a.png", None),
            (Method::GET, "/livez", None),
        ];
        for (method, uri, expected) in cases {
            let request = Request::builder().method(method).uri_str(uri).finish();
            let reply = redirect(&request);
            let found = reply.as_ref().map(|reply| {
                (reply.status().as_u16(), reply.header("location").unwrap_or_default())
            });
            assert_eq!(found, expected, "{uri}");
        }
    }
}
