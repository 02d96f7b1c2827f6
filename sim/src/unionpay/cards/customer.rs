//! `customerInfo`: what a merchant says about the holder of a card.

use base64::{Engine, prelude::BASE64_STANDARD};

use super::{card::TestCard, encryption};
use crate::unionpay::{Call, Fields, message::Fail};

/// What stands in the group itself, and what stands in its encrypted part alone.
const PLAIN: [&str; 5] = ["certifTp", "certifId", "customerNm", "smsCode", "encryptedInfo"];
const SENSITIVE: [&str; 3] = ["phoneNo", "cvn2", "expired"];

/// Longest `customerInfo`.
const MOST_BYTES: usize = 4096;

/// What is said about the holder. It cannot be printed.
pub(super) struct Customer(Fields);

impl Customer {
    /// Reads the field; nothing is said when it is not there.
    pub(super) fn of(call: &Call<'_>) -> Result<Self, Fail> {
        let packed = call.field("customerInfo");
        if packed.is_empty() {
            return Ok(Self(Fields::new()));
        }
        let bad = || Fail::field("customerInfo");
        if packed.len() > MOST_BYTES {
            return Err(bad());
        }
        let text = BASE64_STANDARD.decode(packed).map_err(|_| bad())?;
        let text = String::from_utf8(text).map_err(|_| bad())?;
        let group = text.strip_prefix('{').and_then(|text| text.strip_suffix('}'));
        let mut fields = Fields::new();
        read(group.ok_or_else(bad)?, "customerInfo", &PLAIN, &mut fields)?;
        if let Some(sealed) = fields.remove("encryptedInfo") {
            let inner = encryption::open(call, "encryptedInfo", &sealed)?;
            read(&inner, "encryptedInfo", &SENSITIVE, &mut fields)?;
        }
        let customer = Self(fields);
        customer.check()?;
        Ok(customer)
    }

    /// One of the values, empty when it was not said.
    fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    /// One of the values, which has to be said.
    pub(super) fn required(&self, name: &str) -> Result<&str, Fail> {
        let value = self.get(name);
        if value.is_empty() { Err(Fail::missing(name)) } else { Ok(value) }
    }

    /// Whether the values have the right form.
    fn check(&self) -> Result<(), Fail> {
        let digits = |text: &str, most: usize| {
            text.len() == most && text.bytes().all(|byte| byte.is_ascii_digit())
        };
        // Cards print month and year, this field has year and month.
        let month = |text: &str| digits(text, 4) && ("01"..="12").contains(&&text[2..]);
        for (name, value) in &self.0 {
            let right = match name.as_str() {
                "phoneNo" => digits(value, 11),
                "cvn2" => digits(value, 3),
                "expired" => month(value),
                "certifTp" => digits(value, 2),
                "certifId" => {
                    value.len() <= 20 && value.bytes().all(|byte| byte.is_ascii_alphanumeric())
                }
                _ => value.len() <= 64,
            };
            if !right {
                return Err(Fail::field(name));
            }
        }
        if !self.get("certifId").is_empty() {
            self.required("certifTp")?;
        }
        Ok(())
    }

    /// Whether what is said is true of `card`.
    pub(super) fn fits(&self, card: &TestCard) -> Result<(), Fail> {
        let told = |name: &str, truth: &str| [truth, ""].contains(&self.get(name));
        if !told("phoneNo", card.phone) {
            return Err(Fail::new("60", "not the phone of this card[phoneNo]"));
        }
        for (name, truth) in [("cvn2", card.cvn2), ("expired", card.expired)] {
            if !told(name, truth.unwrap_or_default()) {
                return Err(Fail::new("65", format!("not what is on this card[{name}]")));
            }
        }
        Ok(())
    }

    /// Whether everything is said that a card of this kind is opened with, and no more.
    pub(super) fn opens(&self, card: &TestCard) -> Result<(), Fail> {
        self.required("phoneNo")?;
        for name in ["cvn2", "expired"] {
            match (card.is_credit(), self.get(name)) {
                (true, _) => drop(self.required(name)?),
                (false, "") => {}
                (false, _) => {
                    let reason = format!("Invalid field: of credit cards alone[{name}]");
                    return Err(Fail::new("10", reason));
                }
            }
        }
        Ok(())
    }
}

/// Reads `name=value` pairs; names other than `allowed`, and names that occur twice, are refused.
fn read(text: &str, field: &str, allowed: &[&str], into: &mut Fields) -> Result<(), Fail> {
    for pair in text.split('&') {
        let (name, value) = pair.split_once('=').ok_or_else(|| Fail::field(field))?;
        if !allowed.contains(&name) {
            return Err(unknown(field, name));
        }
        let plain = !value.is_empty() && !value.contains(['{', '}', '[', ']']);
        if !plain || into.insert(name.to_owned(), value.to_owned()).is_some() {
            return Err(Fail::field(name));
        }
    }
    Ok(())
}

/// A name that does not belong here is said again only when it can be nothing but a name: it may
/// come out of the encrypted part.
fn unknown(field: &str, name: &str) -> Fail {
    if SENSITIVE.contains(&name) {
        return Fail::new("10", format!("Invalid field: not encrypted[{name}]"));
    }
    let harmless = name.len() <= 32 && name.bytes().all(|byte| byte.is_ascii_alphabetic());
    Fail::field(if harmless && !name.is_empty() { name } else { field })
}
