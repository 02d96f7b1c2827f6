//! What requests and replies about kept accounts look like.

use poem_openapi::{ApiResponse, Object};

/// An account that a user pays with or is paid to.
#[derive(Debug, Clone, Object)]
#[expect(clippy::struct_field_names, reason = "the names of the public API")]
pub(super) struct Account {
    /// Its id. The account that is bound at Alipay has 100, the one at WeChat 200.
    pub(super) id: i64,
    /// 0 a card of UnionPay's, 100 Alipay, 200 WeChat.
    pub(super) pay_method: i64,
    /// A card's number, masked; of other accounts the name that its holder shows, or nothing.
    pub(super) account_no: String,
    /// Whether the user prefers to pay with it.
    pub(super) default_payment: bool,
    /// Whether the user prefers to be paid to it.
    pub(super) default_receipt: bool,
}

/// The accounts of a user.
#[derive(Debug, Clone, Object)]
#[expect(clippy::struct_field_names, reason = "the names of the public API")]
pub(super) struct Accounts {
    /// Kept cards, the oldest first, then what is bound.
    pub(super) accounts: Vec<Account>,
    /// Id of the account that the user prefers to pay with.
    pub(super) default_payment: Option<i64>,
    /// Id of the account that the user prefers to be paid to.
    pub(super) default_receipt: Option<i64>,
}

/// An account that becomes the preferred one.
#[derive(Object)]
pub(super) struct AccountChoice {
    /// Its id.
    pub(super) account_id: i64,
}

/// A card whose holder gets a code.
#[derive(Object)]
pub(super) struct CardClaim {
    /// Its number, 13 to 19 digits.
    pub(super) account_no: String,
    /// Its holder's telephone number, 6 to 20 digits; the one that the bank knows.
    pub(super) phone: String,
}

/// A card, and the code that its holder got.
#[derive(Object)]
pub(super) struct NewAccount {
    /// 0, a card of UnionPay's, unless it is left out.
    pub(super) pay_method: Option<i64>,
    /// Its number, 13 to 19 digits.
    pub(super) account_no: String,
    /// Its holder's telephone number, as when the code was asked for.
    pub(super) phone: String,
    /// The code, six digits.
    pub(super) vcode: String,
}

/// That a code is on its way.
#[derive(Object)]
pub(super) struct CodeOnItsWay {
    /// `SEND_VCODE`.
    code: String,
    /// What to tell the user.
    message: String,
}

/// How a user pays.
#[derive(Debug, Clone, Object)]
pub(super) struct PaymentSettings {
    /// Currency of the user's bills (ISO 4217); `CNY` is the only one.
    pub(super) currency: String,
}

/// What became of a wish to forget an account.
#[derive(ApiResponse)]
pub(super) enum Forgotten {
    /// It is forgotten.
    #[oai(status = 204)]
    Done,
}
