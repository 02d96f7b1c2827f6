//! What requests and replies about cards look like.

use poem_openapi::Object;

/// A card.
#[derive(Object)]
pub(super) struct CardNamed {
    /// Its number, 13 to 19 digits.
    pub(super) account_no: String,
}

/// What is known of a card that is open for payments.
#[derive(Object)]
pub(super) struct CardOwner {
    /// Its holder.
    consumer_info: ConsumerInfo,
}

/// A card's holder, as the provider shows them.
#[derive(Object)]
struct ConsumerInfo {
    /// Telephone number, masked; null when the provider does not show it.
    phone_no: Option<String>,
}

/// The way to the page that opens a card.
#[derive(Object)]
pub(super) struct CardOpening {
    /// A page of HTML that goes on to UnionPay by itself.
    template: String,
}

/// Who gets a code.
#[derive(Object)]
pub(super) struct CodeWish {
    /// The card's number, 13 to 19 digits.
    pub(super) account_no: Option<String>,
    /// Its holder's telephone number, 6 to 20 digits; the one that the bank knows. A kept card has its
    /// own.
    pub(super) phone: Option<String>,
    /// A kept card, instead of the number.
    pub(super) account_id: Option<i64>,
}

/// That a code was sent.
#[derive(Object)]
pub(super) struct CodeSent {
    /// The payment that it is for.
    payment: PaymentBegun,
}

/// A payment that waits for its code.
#[derive(Object)]
struct PaymentBegun {
    /// Number under which the provider knows it.
    id: String,
}

/// A card's holder consents to a payment.
#[derive(Object)]
pub(super) struct CardPayment {
    /// 0, UnionPay.
    pub(super) pay_method: i64,
    /// 0.
    pub(super) end_type: i64,
    /// The code that the holder got, six digits.
    pub(super) vcode: String,
    /// The card's number, the same that the code was sent for.
    pub(super) account_no: Option<String>,
    /// A kept card, instead of the number.
    pub(super) account_id: Option<i64>,
}
