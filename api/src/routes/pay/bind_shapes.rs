//! What the calls about bound accounts take and answer.

use poem_openapi::{ApiResponse, Object, payload::Html};
use serde::Deserialize;

use super::{bind_return::Onward, browser::Browser};

/// Where to go after the consent.
#[derive(Object)]
pub(super) struct NewBinding {
    /// Where the browser goes after a successful binding; an address of a registered origin. Feat's
    /// own address unless it is given.
    pub(super) redirect_to: Option<String>,
}

/// Where to consent.
#[derive(Object)]
pub(super) struct AuthUrl {
    /// Alipay's page for that.
    pub(super) auth_url: String,
}

/// The code that WeChat gave for a person.
#[derive(Object)]
pub(super) struct WechatCode {
    /// The code; it works once, for five minutes.
    pub(super) code: String,
    /// Name of the configured app; `official_account` unless it is given.
    pub(super) wx_app_type: Option<String>,
}

/// A bound account.
#[derive(Object)]
pub(super) struct AlipayAccount {
    /// When it was bound.
    pub(super) bound_at: String,
}

/// A bound account, as far as the person shows it.
#[derive(Object)]
pub(super) struct WechatAccount {
    /// The person's name at WeChat; empty when the consent did not cover it.
    pub(super) nickname: String,
    /// Address of the person's picture; empty when the consent did not cover it.
    pub(super) headimgurl: String,
}

/// What to scan with WeChat.
#[derive(Object)]
pub(super) struct ToScan {
    /// A QR code as a picture: a `data:` address.
    pub(super) code_url: String,
}

/// What a person says who was asked.
#[derive(Object, Deserialize)]
pub(super) struct BindingAnswer {
    /// Which consent it is.
    pub(super) state: String,
    /// What the consent is exchanged for.
    pub(super) code: String,
    /// `yes`, or anything else for no.
    pub(super) answer: String,
}

#[derive(ApiResponse)]
pub(super) enum Sent {
    /// Back to where the consent was asked for. With `binding_error` when nothing was bound or unbound.
    #[oai(status = 302)]
    Back(
        /// The address.
        #[oai(header = "Location")]
        String,
    ),
    /// A page that asks whether the account is to be bound to the user whom it names, or unbound, in a
    /// browser that did not begin the consent.
    #[oai(status = 200)]
    Question(
        Html<String>,
        /// What the page may do.
        #[oai(header = "Content-Security-Policy")]
        String,
        /// Always `no-store`.
        #[oai(header = "Cache-Control")]
        String,
        /// Always `no-referrer`: the page's address has the code.
        #[oai(header = "Referrer-Policy")]
        String,
        /// The browser's name, without which its answer does not count.
        #[oai(header = "Set-Cookie")]
        String,
    ),
}

impl Sent {
    pub(super) fn of(onward: Onward, browser: &Browser) -> Self {
        match onward {
            Onward::Go(address) => Self::Back(address),
            Onward::Ask(page) => Self::Question(
                Html(page.text),
                page.policy,
                "no-store".to_owned(),
                "no-referrer".to_owned(),
                browser.set_cookie(),
            ),
        }
    }
}
