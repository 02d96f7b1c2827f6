//! UnionPay, all-channel platform 5.1.0: one merchant.
//!
//! A trade is named by its number and its `txnTime` together; both are the caller's. Payments are
//! confirmed by a query, because the notice itself asks for that.

mod bill;
mod card;
mod encryption;
mod keys;
mod notify;
mod outcome;
mod sign;
mod text;
mod trade;
mod trust;
#[cfg(test)]
mod vectors;

use reqwest::{Method, header::CONTENT_TYPE};
use schemas::{Channel, ProviderKey, Scene, Timestamp};
use serde_json::json;
use url::Url;

use self::{
    encryption::Encryption,
    keys::Keys,
    outcome::{Seen, outcome},
    sign::{VERSION, sign, verify},
};
use super::{
    Call, Created, NoticeAnswer, Order, Presentation, ProviderError, RawReply, UnionPaySettings,
    beijing,
    fields::{Fields, cut, form_page},
    kept::{Account, Kept},
    operation::{Operation, Outcome},
    transport::{MESSAGE_BYTES, Reachable, Request, Transport, client_builder, endpoint},
};
use crate::Finding;

const ENDPOINT: &str = "https://gateway.95516.com";
const FILES: &str = "https://filedownload.95516.com";

const FRONT: &str = "/gateway/api/frontTransReq.do";
const BACK: &str = "/gateway/api/backTransReq.do";
const APP: &str = "/gateway/api/appTransReq.do";
const QUERY: &str = "/gateway/api/queryTrans.do";

/// Payments on UnionPay's page or in its app.
const GATEWAY_BUSINESS: &str = "000201";

/// Characters that structure messages.
const UNWANTED: &str = "&={}[]\"'";

/// One merchant at UnionPay.
pub(super) struct UnionPay {
    account: Account,
    merchant_id: String,
    endpoint: Reachable,
    files: Reachable,
    front_url: Option<String>,
    fee_basis_points: Option<u32>,
    cards: bool,
    transport: Transport,
    keys: Kept<Keys>,
    encryption: Encryption,
}

impl UnionPay {
    /// Reads the keys. Nothing is sent.
    pub(super) fn open(settings: &UnionPaySettings) -> Result<Self, String> {
        let account = Account { channel: Channel::UnionPay, name: settings.name.clone() };
        let place = |given: &Option<String>, own: &str| {
            endpoint(given.as_deref().unwrap_or(own), settings.mode)
        };
        let client = client_builder(&settings.reach)?.build();
        let client = client.map_err(|_| "no client can be made: trust_roots?".to_owned())?;
        Ok(Self {
            merchant_id: settings.merchant_id.clone(),
            endpoint: place(&settings.reach.endpoint, ENDPOINT)?,
            files: place(&settings.file_endpoint, FILES)?,
            front_url: settings.front_url.clone(),
            fee_basis_points: settings.fee_basis_points,
            cards: settings.cards,
            transport: Transport::new(client, &settings.reach, Channel::UnionPay, &settings.name),
            keys: keys::open(&account, settings)?,
            encryption: Encryption::default(),
            account,
        })
    }

    pub(super) fn name(&self) -> &str {
        &self.account.name
    }

    pub(super) fn merchant_id(&self) -> &str {
        &self.merchant_id
    }

    pub(super) const fn fee_basis_points(&self) -> Option<u32> {
        self.fee_basis_points
    }

    pub(super) async fn create(
        &self,
        order: &Order,
        call: &mut Call,
    ) -> Result<Created, ProviderError> {
        if let Some(card) = &order.card {
            return self.text_code(order, card, call).await;
        }
        match (order.scene, order.presentation) {
            (Scene::Native, Presentation::Code) => self.code(order, call).await,
            (Scene::Native, Presentation::Page) => self.page(order, "07"),
            (Scene::H5, _) => self.page(order, "08"),
            (Scene::App, _) => self.app(order, call).await,
            (Scene::Jsapi, _) => Err(ProviderError::Refused("scene_not_offered".to_owned())),
        }
    }

    /// The form with which a browser comes to UnionPay's page. Nothing is sent.
    fn page(&self, order: &Order, channel: &str) -> Result<Created, ProviderError> {
        let mut fields = self.payment_fields(order, "01", GATEWAY_BUSINESS, channel);
        let back = order.return_url.as_ref().or(self.front_url.as_ref());
        let missing = || ProviderError::Misconfigured("front_url is not set".to_owned());
        fields.set("frontUrl", back.ok_or_else(missing)?);
        sign(&mut fields, &self.keys.get())?;
        let action = at(&self.endpoint, FRONT)?;
        let html = form_page(action.as_str(), fields.iter());
        Ok(Created::wrapped(json!({ "html": html })))
    }

    /// A number for UnionPay's library in an app.
    async fn app(&self, order: &Order, call: &mut Call) -> Result<Created, ProviderError> {
        let fields = self.payment_fields(order, "01", GATEWAY_BUSINESS, "08");
        let asked = (Operation::Create, APP, &order.trade.key);
        let answer = self.ask(asked, fields, call).await.map_err(Outcome::into_error)?;
        let number = answer.need("tn")?.to_owned();
        let client = json!({ "tn": number });
        Ok(Created { reference: Some(number), ..Created::wrapped(client) })
    }

    /// A QR code that UnionPay makes.
    async fn code(&self, order: &Order, call: &mut Call) -> Result<Created, ProviderError> {
        let fields = self.payment_fields(order, "07", "000000", "08");
        let asked = (Operation::Create, BACK, &order.trade.key);
        let answer = self.ask(asked, fields, call).await.map_err(Outcome::into_error)?;
        let code = answer.need("qrCode")?.to_owned();
        let client = json!({ "qr_code": code });
        Ok(Created { code: Some(code), ..Created::wrapped(client) })
    }

    fn payment_fields(&self, order: &Order, kind: &str, business: &str, channel: &str) -> Fields {
        let mut fields =
            self.common(&order.trade.key, order.trade.begun_at, ("01", kind, business));
        let subject = cut(&order.subject, 60, UNWANTED);
        fields.set("channelType", channel);
        fields.set("txnAmt", &order.amount.to_string());
        fields.set("currencyCode", "156");
        fields.set("backUrl", &order.notify_url);
        fields.set("payTimeout", &beijing::write(order.expires_at, beijing::COMPACT));
        if !subject.is_empty() {
            fields.set("riskRateInfo", &format!("{{commodityName={subject}}}"));
        }
        fields
    }

    /// What every message has: `kinds` are type, subtype and business.
    fn common(&self, key: &ProviderKey, begun_at: Timestamp, kinds: (&str, &str, &str)) -> Fields {
        Fields::of([
            ("version", VERSION),
            ("encoding", "UTF-8"),
            ("accessType", "0"),
            ("merId", self.merchant_id.as_str()),
            ("orderId", key.as_str()),
            ("txnTime", &beijing::write(begun_at, beijing::COMPACT)),
            ("txnType", kinds.0),
            ("txnSubType", kinds.1),
            ("bizType", kinds.2),
        ])
    }

    /// Signs and sends one message, and verifies the answer. Only a signed success about this
    /// very message comes back.
    async fn ask(
        &self,
        asked: (Operation, &'static str, &ProviderKey),
        mut fields: Fields,
        call: &mut Call,
    ) -> Result<Fields, Outcome> {
        let (operation, path, key) = asked;
        let keys = self.keys.get();
        sign(&mut fields, &keys).map_err(Outcome::Failed)?;
        let url = at(&self.endpoint, path).map_err(Outcome::Failed)?;
        let asked = (operation, path, url, MESSAGE_BYTES);
        let answer = self.exchange(asked, &fields, &keys, call).await?;
        let same = |name: &str| answer.get(name) == fields.get(name);
        if !same("merId") || !same("txnTime") || !answer.is("orderId", key.as_str()) {
            return Err(outcome(operation, 200, Seen::NotProven("other_trade")));
        }
        Ok(answer)
    }

    /// Sends a signed message and verifies the answer.
    async fn exchange(
        &self,
        asked: (Operation, &'static str, Url, usize),
        fields: &Fields,
        keys: &Keys,
        call: &mut Call,
    ) -> Result<Fields, Outcome> {
        let (operation, name, url, max_bytes) = asked;
        let request = Request {
            operation: name,
            method: Method::POST,
            url,
            headers: vec![(
                CONTENT_TYPE,
                "application/x-www-form-urlencoded;charset=UTF-8".to_owned(),
            )],
            body: Some(fields.to_form()),
            fields: fields.iter().collect(),
            max_bytes,
            client: None,
        };
        let answer = self.transport.send(request, call).await;
        let answer = answer.map_err(|error| Outcome::Failed(error.into()))?;
        let status = answer.status;
        let read = text::read(&answer.body);
        let read = read.map_err(|_| outcome(operation, status, Seen::Unreadable))?;
        call.trail.received(read.iter());
        if let Err(why) = verify(&read, keys, Timestamp::now()) {
            return Err(outcome(operation, status, Seen::NotProven(why)));
        }
        match read.get("respCode") {
            Some("00" | "A6") if status == 200 => Ok(read),
            code => Err(outcome(operation, status, Seen::Failed(code.unwrap_or_default()))),
        }
    }

    pub(super) const fn acknowledge(answer: NoticeAnswer) -> RawReply {
        match answer {
            NoticeAnswer::Taken => {
                RawReply { status: 200, content_type: Some("text/plain"), body: "ok" }
            }
            NoticeAnswer::Refused => {
                RawReply { status: 400, content_type: Some("text/plain"), body: "fail" }
            }
            NoticeAnswer::Later => {
                RawReply { status: 503, content_type: Some("text/plain"), body: "fail" }
            }
        }
    }

    pub(super) fn check(&self) -> Vec<Finding> {
        let what = self.account.problem("keys");
        vec![Finding { what, problem: self.keys.problem() }]
    }

    pub(super) fn reload(&self) {
        self.keys.reload();
    }
}

impl std::fmt::Debug for UnionPay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UnionPay").field("account", &self.account).finish_non_exhaustive()
    }
}

/// The address of `path` at `place`.
fn at(place: &Reachable, path: &str) -> Result<Url, ProviderError> {
    place.at(path).ok_or_else(|| ProviderError::Misconfigured("endpoint".to_owned()))
}
