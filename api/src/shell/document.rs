//! The operations of poem-openapi with their addresses in Feat's spelling, and the documents
//! about them.
//!
//! poem-openapi drops slashes at the end of paths, from its routes and from its document. So both
//! pass through [`Slashed`], which puts them back; nothing is rewritten while requests come in.

use std::{collections::HashMap, marker::PhantomData};

use poem::{
    Endpoint, EndpointExt as _, Request, Response,
    endpoint::BoxEndpoint,
    http::{HeaderValue, Method},
};
use poem_openapi::{
    LicenseObject, OpenApi, OpenApiService,
    registry::{MetaApi, Registry},
};
use serde_json::Value;

use super::envelope;
use crate::{
    auth::TokenApi,
    routes::{JobApi, UserImageApi},
};

/// Where the OpenAPI document is, the one address of the API without a slash at its end.
pub(super) const OPENAPI_PATH: &str = "/api/openapi.json";

/// Where the page about it is.
pub(super) const DOCS_PATH: &str = "/api/docs/";

/// Every operation.
pub(super) type Operations = (TokenApi, UserImageApi, JobApi);

type Routes = HashMap<String, HashMap<Method, BoxEndpoint<'static>>>;

/// The OpenAPI 3 document of the API, with relative server address.
#[must_use]
pub fn openapi() -> Value {
    // The library made the text from a value a moment ago.
    serde_json::from_str(&service(Described::<Slashed<Operations>>(PhantomData)).spec())
        .unwrap_or_default()
}

/// A page to browse the document with, complete in itself.
pub(super) fn docs_page() -> String {
    service(Described::<Slashed<Operations>>(PhantomData)).swagger_ui_html()
}

/// The operations as one endpoint.
pub(super) fn endpoint(operations: Operations) -> BoxEndpoint<'static> {
    use poem::IntoEndpoint as _;

    service(Slashed(operations)).into_endpoint()
}

fn service<T: OpenApi>(operations: T) -> OpenApiService<T, ()> {
    OpenApiService::new(operations, "Feat", env!("CARGO_PKG_VERSION"))
        .description("Pictures, and the jobs that work on them. Every address ends in a slash.")
        .license(LicenseObject::new("Apache-2.0").identifier("Apache-2.0"))
        .server("/")
}

/// Operations whose addresses end in a slash, and whose errors have the one shape while they are
/// still typed.
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
            let methods = methods.into_iter().map(|(method, endpoint)| {
                (method, Enveloped(endpoint).boxed())
            });
            routes.entry(format!("{path}/")).or_default().extend(methods);
        }
    }
}

/// Turns an operation's errors into replies, where their types are still known.
struct Enveloped(BoxEndpoint<'static>);

impl Endpoint for Enveloped {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        Ok(self.0.call(request).await.unwrap_or_else(envelope::of_error))
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

/// Which methods an address takes, for the `Allow` header that poem leaves out.
pub(super) struct Allowed(Vec<(Vec<String>, HeaderValue)>);

impl Allowed {
    /// Of every operation.
    pub(super) fn of_operations() -> Self {
        let mut methods = HashMap::<String, Vec<Method>>::new();
        for path in Slashed::<Operations>::meta().into_iter().flat_map(|api| api.paths) {
            let found = path.operations.into_iter().map(|operation| operation.method);
            methods.entry(path.path).or_default().extend(found);
        }
        let rows = methods.into_iter().filter_map(|(path, mut methods)| {
            if methods.contains(&Method::GET) {
                methods.push(Method::HEAD);
            }
            let names: Vec<_> = methods.iter().map(Method::as_str).collect();
            let segments = path.split('/').map(str::to_owned).collect();
            Some((segments, HeaderValue::try_from(names.join(", ")).ok()?))
        });
        Self(rows.collect())
    }

    /// The methods of `path`.
    pub(super) fn methods(&self, path: &str) -> Option<&HeaderValue> {
        let fits = |segments: &&(Vec<String>, HeaderValue)| {
            let mut found = path.split('/');
            let same = |segment: &String| {
                found.next().is_some_and(|found| segment.starts_with(['{', ':']) || segment == found)
            };
            segments.0.iter().all(same) && found.next().is_none()
        };
        self.0.iter().find(fits).map(|(_, methods)| methods)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_documented_address_ends_in_a_slash_and_is_relative() {
        let document = openapi();
        let paths = document["paths"].as_object().into_iter().flatten();
        let paths: Vec<_> = paths.map(|(path, _)| path.as_str()).collect();

        assert!(paths.contains(&"/api/o/token/"), "{paths:?}");
        assert!(paths.iter().all(|path| path.ends_with('/')), "{paths:?}");
        assert_eq!(document["servers"][0]["url"], "/");
    }

    #[test]
    fn the_page_needs_nothing_from_elsewhere() {
        let page = docs_page();

        assert!(page.contains("/api/o/token/"));
        for outside in ["<script src", "<link", "@import"] {
            assert!(!page.contains(outside), "{outside}");
        }
    }

    #[test]
    fn methods_of_an_address_are_known() {
        let allowed = Allowed::of_operations();
        let methods = |path| allowed.methods(path).and_then(|value| value.to_str().ok());

        assert_eq!(methods("/api/o/token/"), Some("POST"));
        assert_eq!(methods("/api/o/token"), None);
        assert_eq!(methods("/api/nothing/"), None);
    }
}
