//! How a user allows a client something (RFC 6749 3.1): `GET` and `POST /api/o/authorize/` for a
//! consent page elsewhere, and a page of our own at `/authorize`.
//!
//! When several things are wrong, the first of this order is told:
//!
//! 1. the request's form: encoding, size, a parameter that counts and comes twice →
//!    `invalid_request`; unknown parameters are ignored;
//! 2. `client_id` is missing → `invalid_request`, or unknown or disabled → `invalid_client`;
//! 3. `redirect_uri` is missing or not one of the client's → `invalid_request`;
//! 4. `response_type` is missing → `invalid_request`, or unknown → `unsupported_response_type`;
//! 5. the client may not use that response type → `unauthorized_client`;
//! 6. the proof key: a public client sends none, or it is not S256 → `invalid_request`;
//! 7. the scope → `invalid_scope`; also an answer that allows and names no scope.
//!
//! What is wrong before the address is known to be the client's own is told to the person and never
//! to the address. Only somebody who signed in with the password may allow a client something, and
//! no more than the own token allows: otherwise one client's token could open the door to another.

mod api;
mod consent;
mod error;
mod page;
mod parts;
mod request;
mod visit;

pub(crate) use self::{
    api::{AuthorizeApi, labelled},
    page::{AuthorizePage, PATH},
    visit::Visits,
};
