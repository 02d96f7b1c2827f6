//! Whether a card is opened.

use base64::{Engine, prelude::BASE64_STANDARD};

use super::{customer::Customer, encryption, shown, starts};
use crate::unionpay::{Call, Done, message::Fail};

pub(in crate::unionpay) fn status(call: &Call<'_>) -> Result<Done, Fail> {
    starts(call, "78", &["00"])?;
    let number = encryption::number(call)?;
    let customer = Customer::of(call)?;
    let card = number.card()?;
    customer.fits(card)?;
    if !call.sim.cards.is_opened(call.account.mer_id(), card) {
        return Err(Fail::new("77", "the card is not opened[accNo]"));
    }
    let mut fields = shown(card);
    let phone = format!("phoneNo={}", card.masked_phone());
    // What is sensitive in an answer is encrypted with the merchant's certificate, where it has one.
    let holder = match call.account.method() {
        ("01", _) => {
            let sealed = call.account.key.encrypt_pkcs1(phone.as_bytes());
            let sealed = sealed.map_err(|_| Fail::new("03", "the state is not known"))?;
            format!("{{encryptedInfo={sealed}}}")
        }
        _ => format!("{{{phone}}}"),
    };
    fields.insert("customerInfo".to_owned(), BASE64_STANDARD.encode(holder));
    Ok(Done { fields, trade: None })
}
