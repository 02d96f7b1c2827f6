//! The parts that the API's description is ordered by.

use poem_openapi::Tags;

/// What an operation is about.
#[derive(Tags)]
pub(crate) enum Area {
    /// OAuth 2.0: tokens, consent, keys.
    #[oai(rename = "OAuth")]
    OAuth,
    /// The caller's account and sign-ins.
    Account,
    /// The user's pictures.
    Pictures,
    /// Bills and the ways to pay them, refunds, accounts at payment providers.
    Payments,
    /// Devices of the user, and messages to devices.
    Push,
    /// How accepted work stands.
    Jobs,
}
