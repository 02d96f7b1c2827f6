//! Alipay: one app at the gateway, RSA2, with public keys or certificates.
//!
//! Pages and apps get signed parameters and begin the trade themselves; only QR codes and trades
//! inside Alipay call the gateway. So "no such trade" means "not paid yet" until a trade expires.

mod answer;
mod bill;
mod keys;
mod notify;
mod outcome;
mod sign;
mod sign_in;
mod trade;
#[cfg(test)]
mod vectors;

use reqwest::{Method, header::CONTENT_TYPE};
use schemas::{Channel, Scene};
use serde_json::{Value, json};

use self::{
    answer::{code_of, sub_code_of, text_of},
    keys::Keys,
    outcome::{Seen, outcome},
    sign::{Asked, Content, request},
};
use super::{
    AlipaySettings, Call, Created, NoticeAnswer, Order, Presentation, ProviderError, RawReply,
    beijing,
    call::flat,
    fields::{Fields, cut, form_page},
    kept::{Account, Kept},
    operation::{Operation, Outcome},
    transport::{MESSAGE_BYTES, Reachable, Request, Transport, client_builder, endpoint},
};
use crate::Finding;

const GATEWAY: &str = "https://openapi.alipay.com/gateway.do";
const CONSENT: &str = "https://openauth.alipay.com/oauth2/publicAppAuthorize.htm";

/// Characters that Alipay does not take in a subject.
const UNWANTED: &str = "/=&";

/// One app at Alipay.
pub(super) struct Alipay {
    account: Account,
    app_id: String,
    seller_id: String,
    gateway: Reachable,
    consent: Reachable,
    bill_hosts: Vec<String>,
    fee_basis_points: Option<u32>,
    transport: Transport,
    keys: Kept<Keys>,
}

impl Alipay {
    /// Reads the keys. Nothing is sent.
    pub(super) fn open(settings: &AlipaySettings) -> Result<Self, String> {
        let account = Account { channel: Channel::Alipay, name: settings.name.clone() };
        let place = |given: &Option<String>, own: &str| {
            endpoint(given.as_deref().unwrap_or(own), settings.mode)
        };
        let client = client_builder(&settings.reach)?.build();
        let client = client.map_err(|_| "no client can be made: trust_roots?".to_owned())?;
        Ok(Self {
            app_id: settings.app_id.clone(),
            seller_id: settings.seller_id.clone(),
            gateway: place(&settings.reach.endpoint, GATEWAY)?,
            consent: place(&settings.consent_url, CONSENT)?,
            bill_hosts: settings.bill_hosts.clone(),
            fee_basis_points: settings.fee_basis_points,
            transport: Transport::new(client, &settings.reach, Channel::Alipay, &settings.name),
            keys: keys::open(&account, settings)?,
            account,
        })
    }

    pub(super) fn name(&self) -> &str {
        &self.account.name
    }

    pub(super) fn merchant_id(&self) -> &str {
        &self.seller_id
    }

    pub(super) const fn fee_basis_points(&self) -> Option<u32> {
        self.fee_basis_points
    }

    pub(super) fn app_id(&self) -> &str {
        &self.app_id
    }

    pub(super) async fn create(
        &self,
        order: &Order,
        call: &mut Call,
    ) -> Result<Created, ProviderError> {
        match (order.scene, order.presentation) {
            (Scene::Native, Presentation::Code) => self.code(order, call).await,
            (Scene::Native, Presentation::Page) => {
                self.page(order, "alipay.trade.page.pay", "FAST_INSTANT_TRADE_PAY")
            }
            (Scene::H5, _) => self.page(order, "alipay.trade.wap.pay", "QUICK_WAP_WAY"),
            (Scene::App, _) => {
                let content = content(order, "QUICK_MSECURITY_PAY");
                let fields = self.signed("alipay.trade.app.pay", content, order)?;
                Ok(Created::wrapped(json!({ "order_string": fields.to_query() })))
            }
            (Scene::Jsapi, _) => self.inside(order, call).await,
        }
    }

    /// A QR code that the gateway makes.
    async fn code(&self, order: &Order, call: &mut Call) -> Result<Created, ProviderError> {
        let asked = Asked {
            method: "alipay.trade.precreate",
            content: Content::Biz(content(order, "QR_CODE_OFFLINE")),
            notify_url: Some(&order.notify_url),
            return_url: None,
        };
        let node = self.ask(Operation::Create, &asked, call).await;
        let node = node.map_err(Outcome::into_error)?;
        trade::same_trade(&node, &order.trade.key)?;
        let code = text_of(&node, "qr_code");
        let code = code.ok_or_else(|| ProviderError::unknown("without_qr_code"))?.to_owned();
        let client = json!({ "qr_code": code });
        Ok(Created { code: Some(code), ..Created::wrapped(client) })
    }

    /// A trade that a page inside Alipay, or a mini program, pays by its number.
    async fn inside(&self, order: &Order, call: &mut Call) -> Result<Created, ProviderError> {
        let missing = || ProviderError::Refused("open_id_required".to_owned());
        let payer = order.payer.as_ref().ok_or_else(missing)?.expose();
        let is_number = payer.len() == 16 && payer.starts_with("2088");
        let mut content = content(order, "JSAPI_PAY");
        content["op_app_id"] = json!(self.app_id);
        content[if is_number { "buyer_id" } else { "buyer_open_id" }] = json!(payer);
        let asked = Asked {
            method: "alipay.trade.create",
            content: Content::Biz(content),
            notify_url: Some(&order.notify_url),
            return_url: None,
        };
        let node = self.ask(Operation::Create, &asked, call).await;
        let node = node.map_err(Outcome::into_error)?;
        trade::same_trade(&node, &order.trade.key)?;
        let number = text_of(&node, "trade_no");
        let number = number.ok_or_else(|| ProviderError::unknown("without_trade_no"))?.to_owned();
        let client = json!({ "trade_no": number });
        Ok(Created { reference: Some(number), ..Created::wrapped(client) })
    }

    /// A page of Alipay: as a form for a frame, and as an address. Nothing is sent.
    fn page(
        &self,
        order: &Order,
        method: &'static str,
        product: &str,
    ) -> Result<Created, ProviderError> {
        let mut content = content(order, product);
        if let (Scene::H5, Some(back)) = (order.scene, &order.return_url) {
            content["quit_url"] = json!(back);
        }
        let fields = self.signed(method, content, order)?;
        let gateway = self.gateway.url().as_str();
        let address = format!("{gateway}?{}", fields.to_query());
        let html = form_page(&form_action(gateway, &fields), form_fields(&fields));
        Ok(Created::wrapped(json!({ "redirect_url": address, "html": html })))
    }

    fn signed(
        &self,
        method: &'static str,
        content: Value,
        order: &Order,
    ) -> Result<Fields, ProviderError> {
        let asked = Asked {
            method,
            content: Content::Biz(content),
            notify_url: Some(&order.notify_url),
            return_url: order.return_url.as_deref(),
        };
        request(self, &self.keys.get(), &asked)
    }

    /// Signs and sends one request, and verifies the answer. Only a signed success comes back;
    /// that says nothing about money by itself.
    async fn ask(
        &self,
        operation: Operation,
        asked: &Asked<'_>,
        call: &mut Call,
    ) -> Result<Value, Outcome> {
        let keys = self.keys.get();
        let fields = request(self, &keys, asked).map_err(Outcome::Failed)?;
        let mut shown = match &asked.content {
            Content::Biz(content) => flat(content),
            Content::Top(_) => Vec::new(),
        };
        let plain = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        shown.extend(fields.iter().filter(|(name, _)| *name != "biz_content").map(plain));
        let request = Request {
            operation: asked.method,
            method: Method::POST,
            url: self.gateway.url().clone(),
            headers: vec![(
                CONTENT_TYPE,
                "application/x-www-form-urlencoded;charset=utf-8".to_owned(),
            )],
            body: Some(fields.to_form()),
            fields: shown.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect(),
            max_bytes: MESSAGE_BYTES,
            client: None,
        };
        let answer = self.transport.send(request, call).await;
        let answer = answer.map_err(|error| Outcome::Failed(error.into()))?;
        let read = answer::read(&answer.body, asked.method, &keys);
        let proven = read.map_err(|seen| {
            if let Seen::Unsigned { code, sub_code } = &seen {
                call.trail.received([("code", code.as_str()), ("sub_code", sub_code)]);
            }
            outcome(operation, answer.status, &seen)
        })?;
        let received = flat(&proven.node);
        let received = received.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        call.trail.received(received);
        let code = code_of(&proven.node);
        // The exchange of a person's code has no code on success.
        let succeeded = code == "10000" || (code.is_empty() && operation == Operation::Fetch);
        if answer.status == 200 && succeeded {
            return Ok(proven.node);
        }
        let seen = Seen::Failed { code, sub_code: sub_code_of(&proven.node) };
        Err(outcome(operation, answer.status, &seen))
    }

    pub(super) const fn acknowledge(answer: NoticeAnswer) -> RawReply {
        let body = match answer {
            NoticeAnswer::Taken => "success",
            NoticeAnswer::Refused | NoticeAnswer::Later => "fail",
        };
        RawReply { status: 200, content_type: Some("text/plain"), body }
    }

    pub(super) fn check(&self) -> Vec<Finding> {
        let what = self.account.problem("keys");
        vec![Finding { what, problem: self.keys.problem() }]
    }

    pub(super) fn reload(&self) {
        self.keys.reload();
    }
}

impl std::fmt::Debug for Alipay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Alipay").field("account", &self.account).finish_non_exhaustive()
    }
}

/// The parameters that every product takes.
fn content(order: &Order, product: &str) -> Value {
    json!({
        "out_trade_no": order.trade.key,
        "total_amount": order.amount.to_yuan(),
        "subject": cut(&order.subject, 256, UNWANTED),
        "product_code": product,
        "time_expire": beijing::write(order.expires_at, beijing::SPACED),
    })
}

/// Where a form goes: everything but the content stands in the address.
fn form_action(gateway: &str, fields: &Fields) -> String {
    let mut action = fields.clone();
    action.set("biz_content", "");
    format!("{gateway}?{}", action.to_query())
}

/// What a form holds.
fn form_fields(fields: &Fields) -> impl Iterator<Item = (&str, &str)> {
    fields.iter().filter(|(name, _)| *name == "biz_content")
}
