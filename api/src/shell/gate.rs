//! Who calls, asked once for each request, and whether that caller has asked for too much.
//!
//! A caller with good credentials is counted by itself: one user's flood takes nothing from
//! another behind the same address. Without good credentials the address is counted. Clients
//! prove themselves within the OAuth2 operations, and users of public clients do: a request that
//! succeeds after that is taken out of the address's count again, and the operation counts whoever
//! it was. To name a public client proves nothing.

use std::net::IpAddr;

use poem::{Request, Response};

use crate::{
    auth::{self, Identity, Principal},
    error::ApiError,
    rates::{Exhausted, Meter},
    state::{AppState, RequestContext},
};

/// Where errors have OAuth2's shape.
const OAUTH: &str = "/api/o/";

/// A request's leave to be worked on, or its refusal.
pub(super) struct Pass<'a> {
    state: &'a AppState,
    meter: Meter,
    refusal: Option<Exhausted>,
    is_oauth: bool,
    /// Whose count is corrected when the request proves something and succeeds.
    excusable: Option<IpAddr>,
}

/// Finds out who calls, leaves that with the request as [`Identity`], and counts.
pub(super) async fn admit<'a>(state: &'a AppState, request: &mut Request) -> Pass<'a> {
    let context = request.data::<RequestContext>();
    let address = context.and_then(|context| context.address);
    let meter = context.map(|context| context.meter.clone()).unwrap_or_default();
    let is_oauth = request.uri().path().starts_with(OAUTH);
    let identity = auth::identify(state, request).await;
    let mut excusable = None;
    let counted = match (&identity, address) {
        (Identity::Known(Principal::User(caller)), _) => state.rates.user(caller.user, &meter),
        (Identity::Known(Principal::Client { client, .. }), _) => {
            state.rates.client(client, &meter)
        }
        (Identity::Nobody | Identity::Wrong | Identity::Unsure(_), Some(address)) => {
            excusable = Some(address);
            state.rates.address(address, &meter)
        }
        (Identity::Nobody | Identity::Wrong | Identity::Unsure(_), None) => Ok(()),
    };
    request.set_data(identity);
    Pass { state, meter, refusal: counted.err(), is_oauth, excusable }
}

/// The refusal of a request for a document, or a page where people sign in, if its address has asked
/// too often.
pub(super) fn admit_to_page(state: &AppState, request: &Request) -> Option<Response> {
    let context = request.data::<RequestContext>()?;
    let refused = state.rates.address(context.address?, &context.meter).err()?;
    let mut reply = ApiError::limited(refused.retry_after, false);
    context.meter.write(reply.headers_mut());
    Some(reply)
}

/// The refusal of a request for a file, if its address has asked for too many.
pub(super) fn admit_to_file(state: &AppState, request: &Request) -> Option<Response> {
    let context = request.data::<RequestContext>()?;
    let refused = state.rates.file(context.address?, &context.meter).err()?;
    let mut reply = ApiError::limited(refused.retry_after, false);
    context.meter.write(reply.headers_mut());
    Some(reply)
}

impl Pass<'_> {
    /// The reply when the caller is beyond a limit.
    pub(super) fn refusal(&self) -> Option<Response> {
        let refused = self.refusal.as_ref()?;
        Some(ApiError::limited(refused.retry_after, self.is_oauth))
    }

    /// Corrects the count and writes the headers.
    pub(super) fn settle(self, mut reply: Response) -> Response {
        let status = reply.status();
        if let Some(address) = self.excusable
            && self.refusal.is_none()
            && self.meter.is_vouched()
            && (status.is_success() || status.is_redirection())
        {
            self.state.rates.excuse(address, &self.meter);
        }
        self.meter.write(reply.headers_mut());
        reply
    }
}
