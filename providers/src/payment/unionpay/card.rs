//! Cards that are charged without UnionPay's page.
//!
//! Their numbers, telephone numbers and codes leave this process encrypted or not at all.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use secrecy::ExposeSecret;
use serde_json::json;

use super::{
    BACK, FRONT, QUERY, UnionPay, at, encryption::Sealing, sign::sign, text, trade::is_refusal,
};
use crate::payment::{
    Call, Card, CardAsk, CardProof, CardState, Charge, Created, Order, ProofState, ProviderError,
    beijing,
    crypto::OpeningKey,
    fields::{Fields, form_page},
    operation::{Operation, Outcome},
};

/// Payments by card without the page.
pub(super) const CARD_BUSINESS: &str = "000301";

/// The card was not opened by its holder.
const NOT_OPEN: &str = "77";

/// The code from the text message is wrong.
const WRONG_CODE: &str = "71";

/// How long the page that opens a card can be used.
const PAGE_LIFE: Duration = Duration::from_mins(15);

/// Longest text of a telephone number that is shown.
const MAX_PHONE: usize = 20;

impl UnionPay {
    /// Whether the account takes cards without the page.
    pub(in crate::payment) const fn takes_cards(&self) -> bool {
        self.cards
    }

    /// Has UnionPay send the card's holder a code for this very trade: its number, time and sum are
    /// those of the charge.
    pub(super) async fn text_code(
        &self,
        order: &Order,
        card: &Card,
        call: &mut Call,
    ) -> Result<Created, ProviderError> {
        let sealing = self.sealing(call).await?;
        let key = &order.trade.key;
        let mut fields = self.common(key, order.trade.begun_at, ("77", "02", CARD_BUSINESS));
        set_card(&mut fields, card, &sealing)?;
        set_customer(&mut fields, card, None, &sealing)?;
        fields.set("txnAmt", &order.amount.to_string());
        fields.set("currencyCode", "156");
        self.ask((Operation::Create, BACK, key), fields, call)
            .await
            .map_err(Outcome::into_error)?;
        Ok(Created::wrapped(json!({ "payment": { "id": key.as_str() } })))
    }

    pub(in crate::payment) async fn charge(
        &self,
        charge: &Charge,
        call: &mut Call,
    ) -> Result<(), ProviderError> {
        let sealing = self.sealing(call).await?;
        let key = &charge.trade.key;
        let mut fields = self.common(key, charge.trade.begun_at, ("01", "01", CARD_BUSINESS));
        set_card(&mut fields, &charge.card, &sealing)?;
        let code = charge.code.expose_secret();
        fields.set("customerInfo", &customer(&format!("smsCode={code}")));
        fields.set("txnAmt", &charge.amount.to_string());
        fields.set("currencyCode", "156");
        fields.set("backUrl", &charge.notify_url);
        let asked = (Operation::Create, BACK, key);
        self.ask(asked, fields, call).await.map(drop).map_err(Outcome::into_error)
    }

    pub(in crate::payment) async fn look_at_card(
        &self,
        asked: &CardAsk,
        call: &mut Call,
    ) -> Result<CardState, ProviderError> {
        let sealing = self.sealing(call).await?;
        let mut fields = self.common(&asked.key, asked.at, ("78", "00", CARD_BUSINESS));
        set_card(&mut fields, &asked.card, &sealing)?;
        let answer = self.ask((Operation::Query, BACK, &asked.key), fields, call).await;
        match answer.map_err(Outcome::into_error) {
            Ok(answer) if answer.is("activateStatus", "1") => {
                Ok(CardState::Open(phone(&answer, self.keys.get().opening())))
            }
            Ok(_) => Ok(CardState::NotOpen),
            Err(ProviderError::Refused(code)) if code == NOT_OPEN => Ok(CardState::NotOpen),
            Err(error) => Err(error),
        }
    }

    /// Has UnionPay send the code of an opening: its number and time are those of [`Self::prove_card`].
    pub(in crate::payment) async fn send_proof(
        &self,
        asked: &CardAsk,
        call: &mut Call,
    ) -> Result<(), ProviderError> {
        let sealing = self.sealing(call).await?;
        let mut fields = self.common(&asked.key, asked.at, ("77", "00", CARD_BUSINESS));
        set_card(&mut fields, &asked.card, &sealing)?;
        set_customer(&mut fields, &asked.card, None, &sealing)?;
        let asked = (Operation::Create, BACK, &asked.key);
        self.ask(asked, fields, call).await.map(drop).map_err(Outcome::into_error)
    }

    /// An opening by the merchant checks the code, and its answer is final.
    pub(in crate::payment) async fn prove_card(
        &self,
        proof: &CardProof,
        call: &mut Call,
    ) -> Result<ProofState, ProviderError> {
        let asked = &proof.asked;
        let sealing = self.sealing(call).await?;
        let mut fields = self.common(&asked.key, asked.at, ("79", "00", CARD_BUSINESS));
        set_card(&mut fields, &asked.card, &sealing)?;
        set_customer(&mut fields, &asked.card, Some(proof.code.expose_secret()), &sealing)?;
        let answer = self.ask((Operation::Create, BACK, &asked.key), fields, call).await;
        match answer.map_err(Outcome::into_error) {
            Ok(_) => Ok(ProofState::Proven),
            Err(ProviderError::Refused(code)) => Ok(refused_proof(&code)),
            Err(error) => Err(error),
        }
    }

    pub(in crate::payment) async fn query_proof(
        &self,
        asked: &CardAsk,
        call: &mut Call,
    ) -> Result<ProofState, ProviderError> {
        let fields = self.common(&asked.key, asked.at, ("00", "00", CARD_BUSINESS));
        let answer = match self.ask((Operation::Query, QUERY, &asked.key), fields, call).await {
            Err(Outcome::NotFound) => return Ok(ProofState::Untried),
            answer => answer.map_err(Outcome::into_error)?,
        };
        match answer.need("origRespCode")? {
            // The number is that of the text message, too, of which this does not speak.
            "00" if answer.is("activateStatus", "1") => Ok(ProofState::Proven),
            code if is_refusal(code) => Ok(refused_proof(code)),
            code => Err(ProviderError::unknown(code)),
        }
    }

    /// The form with which a browser comes to UnionPay's page for opening a card. Nothing about the
    /// card is sent from here.
    pub(in crate::payment) async fn card_page(
        &self,
        asked: &CardAsk,
        notify_url: &str,
        return_url: &str,
        call: &mut Call,
    ) -> Result<String, ProviderError> {
        let sealing = self.sealing(call).await?;
        let mut fields = self.common(&asked.key, asked.at, ("79", "00", CARD_BUSINESS));
        set_card(&mut fields, &asked.card, &sealing)?;
        fields.set("frontUrl", return_url);
        fields.set("backUrl", notify_url);
        fields.set("payTimeout", &beijing::write(asked.at + PAGE_LIFE, beijing::COMPACT));
        sign(&mut fields, &self.keys.get())?;
        let action = at(&self.endpoint, FRONT)?;
        Ok(form_page(action.as_str(), fields.iter()))
    }
}

/// Says the telephone number of the holder, encrypted, and the code that they got.
fn set_customer(
    fields: &mut Fields,
    card: &Card,
    code: Option<&str>,
    sealing: &Sealing,
) -> Result<(), ProviderError> {
    let mut members: Vec<String> = code.map(|code| format!("smsCode={code}")).into_iter().collect();
    if let Some(phone) = &card.phone {
        let sealed = sealing.seal(&format!("phoneNo={}", phone.expose_secret()))?;
        members.push(format!("encryptedInfo={sealed}"));
    }
    if !members.is_empty() {
        fields.set("customerInfo", &customer(&members.join("&")));
    }
    Ok(())
}

fn refused_proof(code: &str) -> ProofState {
    if code == WRONG_CODE { ProofState::WrongCode } else { ProofState::Refused }
}

fn set_card(fields: &mut Fields, card: &Card, sealing: &Sealing) -> Result<(), ProviderError> {
    fields.set("channelType", "07");
    fields.set("accNo", &sealing.seal(card.number.expose())?);
    fields.set("encryptCertId", &sealing.certificate_id);
    Ok(())
}

/// `customerInfo` with these members, each `name=value`, joined by `&`.
pub(super) fn customer(members: &str) -> String {
    STANDARD.encode(format!("{{{members}}}"))
}

/// What `customerInfo` says, of what was encrypted as much as `opening` opens.
pub(super) fn read_customer(text: &str, opening: Option<&OpeningKey>) -> Option<Fields> {
    let text = String::from_utf8(STANDARD.decode(text).ok()?).ok()?;
    let members = text.strip_prefix('{')?.strip_suffix('}')?;
    let mut fields = text::read(members.as_bytes()).ok()?;
    let opened = opening.and_then(|opening| opening.open(fields.get("encryptedInfo")?));
    fields.set("encryptedInfo", "");
    if let Some(opened) = opened {
        let opened = text::read(opened.as_bytes()).ok()?;
        opened.iter().for_each(|(name, value)| fields.set(name, value));
    }
    Some(fields)
}

/// The holder's telephone number in an answer, masked, whatever the answer masks.
fn phone(answer: &Fields, opening: Option<&OpeningKey>) -> Option<String> {
    let customer = read_customer(answer.get("customerInfo")?, opening)?;
    let phone = customer.get("phoneNo")?;
    let plain = (8..=MAX_PHONE).contains(&phone.len())
        && phone.bytes().all(|byte| byte.is_ascii_digit() || byte == b'*');
    let (first, last) = (phone.get(..3)?, phone.get(phone.len().checked_sub(4)?..)?);
    let masked = || format!("{first}{}{last}", "*".repeat(phone.len().saturating_sub(7)));
    plain.then(masked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phone_is_shown_masked_or_not_at_all() {
        let cases = [
            ("masked", "{phoneNo=135****5506}", Some("135****5506")),
            ("among others", "{customerNm=x&phoneNo=135****5506}", Some("135****5506")),
            ("in clear", "{phoneNo=13552535506}", Some("135****5506")),
            ("no number", "{phoneNo=<b>}", None),
            ("too long", "{phoneNo=000000000000000000001}", None),
            ("masked elsewhere", "{phoneNo=135525355**}", Some("135****55**")),
            ("too short", "{phoneNo=1}", None),
            ("no middle", "{phoneNo=1234567}", None),
            ("without braces", "phoneNo=135****5506", None),
            ("without it", "{customerNm=x}", None),
        ];
        for (name, text, expected) in cases {
            let answer = Fields::of([("customerInfo", STANDARD.encode(text).as_str())]);
            assert_eq!(phone(&answer, None).as_deref(), expected, "{name}");
        }
        assert_eq!(phone(&Fields::of([("customerInfo", "%%%")]), None), None, "not base64");
    }
}
