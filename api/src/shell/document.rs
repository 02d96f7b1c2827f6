//! The operations of poem-openapi with their addresses in Feat's spelling, and the documents
//! about them.
//!
//! poem-openapi drops slashes at the end of paths, from its routes and from its document. So both
//! pass through [`Slashed`], which puts them back; nothing is rewritten while requests come in.

use std::{
    collections::{BTreeMap, HashMap},
    marker::PhantomData,
    sync::Arc,
};

use poem::{
    endpoint::BoxEndpoint,
    http::{HeaderValue, Method},
};
use poem_openapi::{
    LicenseObject, OpenApi, OpenApiService,
    registry::{MetaApi, Registry},
};
use serde_json::Value;

use super::described::complete;
use crate::{
    auth::{
        AuthorizeApi, DiscoveryApi, IntrospectApi, RevokeApi, TokenApi,
        access::{self, routed},
    },
    routes::{
        AccountApi, ApnsTokenApi, BindingApi, CardApi, JobApi, PayApi, PushApi, UNBUILT,
        UserImageApi, WalletApi,
    },
};

/// Where the OpenAPI document is, the one address of the API without a slash at its end.
pub(super) const OPENAPI_PATH: &str = "/api/openapi.json";

/// Where the page about it is.
pub(super) const DOCS_PATH: &str = "/api/docs/";

/// Every operation.
pub(super) type Operations = (
    OAuthApi,
    AccountApi,
    UserImageApi,
    (ApnsTokenApi, PushApi),
    (PayApi, CardApi, WalletApi, BindingApi),
    JobApi,
);

/// Those of the OAuth2 server.
pub(super) type OAuthApi = (TokenApi, AuthorizeApi, RevokeApi, IntrospectApi, DiscoveryApi);

type Routes = HashMap<String, HashMap<Method, BoxEndpoint<'static>>>;

/// The OpenAPI 3 document of the API, with relative server address.
#[must_use]
pub fn openapi() -> Value {
    // The library made the text from a value a moment ago.
    let mut document =
        serde_json::from_str(&service(Described::<Slashed<Operations>>(PhantomData)).spec())
            .unwrap_or_default();
    access::describe(&mut document);
    complete(&mut document);
    document
}

/// A page to browse the document with, complete in itself.
pub(super) fn docs_page() -> String {
    let service = service(Described::<Slashed<Operations>>(PhantomData));
    // The library's page holds the library's document.
    service.swagger_ui_html().replacen(&service.spec(), &openapi().to_string(), 1)
}

/// The operations as one endpoint.
pub(super) fn endpoint(operations: Operations) -> BoxEndpoint<'static> {
    use poem::IntoEndpoint as _;

    service(Slashed(operations)).into_endpoint()
}

/// The text of the license; OpenAPI 3.0 knows no identifier of one.
const LICENSE: &str = "https://www.apache.org/licenses/LICENSE-2.0";

fn service<T: OpenApi>(operations: T) -> OpenApiService<T, ()> {
    OpenApiService::new(operations, "Feat", env!("CARGO_PKG_VERSION"))
        .description(format!(
            "Pictures, bills, pushes, and the jobs that work on them. Every address ends in a slash. \
             Not described here: the files at `/media/`, the page for people at `/authorize`, what \
             providers send to `/api/pay/notify/`, `/livez`, `/readyz` and `/metrics`. Not built, and answered 501 `NOT_IMPLEMENTED`: {}.",
            UNBUILT.map(|address| format!("`{address}`")).join(", ")
        ))
        .license(LicenseObject::new("Apache-2.0").url(LICENSE))
        .server("/")
}

/// Operations whose addresses end in a slash.
struct Slashed<T>(T);

impl<T: OpenApi> OpenApi for Slashed<T> {
    fn meta() -> Vec<MetaApi> {
        let mut apis = T::meta();
        for path in apis.iter_mut().flat_map(|api| &mut api.paths) {
            path.path.push('/');
        }
        apis
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }

    fn add_routes(self, routes: &mut Routes) {
        let mut plain = Routes::new();
        self.0.add_routes(&mut plain);
        for (path, methods) in plain {
            routes.entry(format!("{path}/")).or_default().extend(methods);
        }
    }
}

/// Operations that are only described, so that no state is needed.
struct Described<T>(PhantomData<fn() -> T>);

impl<T: OpenApi> OpenApi for Described<T> {
    fn meta() -> Vec<MetaApi> {
        T::meta()
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }

    fn add_routes(self, _routes: &mut Routes) {}
}

/// What the operations' addresses are called and which methods they take: poem leaves `Allow` out,
/// and poem-openapi routes by names such as `:param0` instead of the documented ones.
pub(super) struct Addresses {
    rows: Vec<Address>,
    /// Documented spelling by the one that is routed, where they differ.
    names: HashMap<String, Arc<str>>,
}

struct Address {
    segments: Vec<String>,
    methods: HeaderValue,
}

impl Addresses {
    /// Of every operation.
    pub(super) fn of_operations() -> Self {
        let mut methods = BTreeMap::<String, Vec<Method>>::new();
        for path in Slashed::<Operations>::meta().into_iter().flat_map(|api| api.paths) {
            let found = path.operations.into_iter().map(|operation| operation.method);
            methods.entry(path.path).or_default().extend(found);
        }
        let names = methods.keys().map(|path| (routed(path), path.as_str().into()));
        let names = names.filter(|(routed, path): &(_, Arc<str>)| *routed != **path).collect();
        let rows = methods.into_iter().filter_map(|(path, mut methods)| {
            if methods.contains(&Method::GET) {
                methods.push(Method::HEAD);
            }
            let names: Vec<_> = methods.iter().map(Method::as_str).collect();
            let segments = path.split('/').map(str::to_owned).collect();
            Some(Address { segments, methods: HeaderValue::try_from(names.join(", ")).ok()? })
        });
        Self { rows: rows.collect(), names }
    }

    /// The methods of `path`.
    pub(super) fn methods(&self, path: &str) -> Option<&HeaderValue> {
        let fits = |address: &&Address| {
            let mut found = path.split('/');
            let same = |segment: &String| {
                found.next().is_some_and(|found| segment.starts_with('{') || segment == found)
            };
            address.segments.iter().all(same) && found.next().is_none()
        };
        self.rows.iter().find(fits).map(|address| &address.methods)
    }

    /// The documented spelling of an address that was routed, if that is another one.
    pub(super) fn documented(&self, pattern: &str) -> Option<Arc<str>> {
        self.names.get(pattern).cloned()
    }
}

#[cfg(test)]
mod tests {
    use schemas::ErrorCode;

    use super::*;

    #[test]
    fn every_documented_address_ends_in_a_slash_and_is_relative() {
        let document = openapi();
        let paths = document["paths"].as_object().into_iter().flatten();
        let paths: Vec<_> = paths.map(|(path, _)| path.as_str()).collect();

        assert!(paths.contains(&"/api/o/token/"), "{paths:?}");
        assert!(paths.iter().all(|path| path.ends_with('/')), "{paths:?}");
        assert_eq!(document["servers"][0]["url"], "/");
        let text = document["info"]["description"].as_str().unwrap_or_default();
        assert!(UNBUILT.iter().all(|address| text.contains(address)), "{text}");
    }

    #[test]
    fn every_operation_has_a_part_and_every_reply_a_form() {
        let document = openapi();
        let known: Vec<_> = document["tags"].as_array().into_iter().flatten().collect();
        let known: Vec<_> = known.iter().filter_map(|tag| tag["name"].as_str()).collect();
        let methods = document["paths"].as_object().into_iter().flatten();
        let methods = methods.flat_map(|(path, methods)| {
            methods.as_object().into_iter().flatten().map(move |(name, one)| (path, name, one))
        });
        for (path, method, operation) in methods {
            let tag = operation["tags"][0].as_str();
            assert!(tag.is_some_and(|tag| known.contains(&tag)), "{method} {path}: {tag:?}");
            for (status, reply) in operation["responses"].as_object().into_iter().flatten() {
                for (kind, body) in reply["content"].as_object().into_iter().flatten() {
                    let empty = body["schema"].as_object().is_none_or(serde_json::Map::is_empty);
                    assert!(!empty, "{method} {path}, {status}, {kind}: any value at all");
                    assert_ne!(kind, "application/json; charset=utf-8", "{method} {path}");
                }
            }
        }
        let codes = &document["components"]["schemas"]["Error"]["properties"]["code"]["enum"];
        let codes = codes.as_array().into_iter().flatten().filter_map(Value::as_str);
        assert!(codes.eq(ErrorCode::ALL.iter().map(|code| code.name())));
    }

    #[test]
    fn the_page_needs_nothing_from_elsewhere() {
        let page = docs_page();

        assert!(page.contains(&openapi().to_string()), "the page shows another document");
        for outside in ["<script src", "<link", "@import"] {
            assert!(!page.contains(outside), "{outside}");
        }
    }

    #[test]
    fn methods_of_an_address_are_known() {
        let addresses = Addresses::of_operations();
        let methods = |path| addresses.methods(path).and_then(|value| value.to_str().ok());

        assert_eq!(methods("/api/o/token/"), Some("POST"));
        assert_eq!(methods("/api/o/token"), None);
        assert_eq!(methods("/api/nothing/"), None);
        assert_eq!(methods("/api/job/1/"), Some("GET, HEAD"));
        assert_eq!(addresses.documented("/api/job/:param0/").as_deref(), Some("/api/job/{id}/"));
    }
}
