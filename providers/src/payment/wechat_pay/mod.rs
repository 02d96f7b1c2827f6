//! WeChat Pay: one app with its merchant, in either protocol.
//!
//! The XML protocol (v2) is what the documented replies show; the JSON protocol (v3) is its
//! successor. Both know the same trades, so notices of either are understood whichever one makes
//! the trades.

mod bill;
mod keys;
mod sign_in;
mod v2;
mod v3;

use chrono::NaiveDate;
use schemas::{Channel, Scene};
use url::Url;

use self::{
    keys::Keys,
    v2::V2,
    v3::{Platform, V3},
};
use super::{
    BoundAccount, Call, Created, DayBill, Generation, H5Site, Notice, NoticeAnswer, NotifyError,
    Order, ProviderError, RawNotify, RawReply, Refund, RefundOrder, RefundRef, TradeRef,
    TradeState, WeChatPaySettings,
    kept::{Account, Kept},
    transport::{Reachable, Transport, client_builder, endpoint},
};
use crate::Finding;

const ENDPOINT: &str = "https://api.mch.weixin.qq.com";
const SIGN_IN: &str = "https://api.weixin.qq.com";
const CONSENT: &str = "https://open.weixin.qq.com";

/// One app at WeChat Pay.
pub(super) struct WeChatPay {
    account: Account,
    app_id: String,
    merchant_id: String,
    generation: Generation,
    endpoint: Reachable,
    sign_in: Reachable,
    consent: Reachable,
    h5_site: Option<H5Site>,
    fee_basis_points: Option<u32>,
    transport: Transport,
    /// Of its own, so that trouble with signing people in does not stop payments.
    sign_in_transport: Transport,
    keys: Kept<Keys>,
    platform: Platform,
}

impl WeChatPay {
    /// Reads the keys. Nothing is sent.
    pub(super) fn open(settings: &WeChatPaySettings) -> Result<Self, String> {
        let account = Account { channel: Channel::WeChatPay, name: settings.name.clone() };
        let place = |given: &Option<String>, own: &str| {
            endpoint(given.as_deref().unwrap_or(own), settings.mode)
        };
        let generation = match (&settings.create_with, &settings.v2, &settings.v3) {
            (Some(Generation::V2) | None, Some(_), _) => Generation::V2,
            (Some(Generation::V3) | None, _, Some(_)) => Generation::V3,
            _ => return Err("expected keys in v2 or v3, of the protocol of create_with".to_owned()),
        };
        let client = client_builder(&settings.reach)?.build();
        let client = client.map_err(|_| "no client can be made: trust_roots?".to_owned())?;
        let transport =
            |client, name: &str| Transport::new(client, &settings.reach, Channel::WeChatPay, name);
        Ok(Self {
            app_id: settings.app_id.clone(),
            merchant_id: settings.merchant_id.clone(),
            generation,
            endpoint: place(&settings.reach.endpoint, ENDPOINT)?,
            sign_in: place(&settings.sign_in_endpoint, SIGN_IN)?,
            consent: place(&settings.consent_endpoint, CONSENT)?,
            h5_site: settings.h5_site.clone(),
            fee_basis_points: settings.fee_basis_points,
            sign_in_transport: transport(client.clone(), &format!("{}_sign_in", settings.name)),
            transport: transport(client, &settings.name),
            keys: keys::open(&account, settings)?,
            platform: Platform::default(),
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

    pub(super) fn app_id(&self) -> &str {
        &self.app_id
    }

    pub(super) const fn supports(&self, scene: Scene) -> bool {
        match scene {
            Scene::Native | Scene::App | Scene::Jsapi => true,
            Scene::H5 => self.h5_site.is_some(),
        }
    }

    pub(super) async fn create(
        &self,
        order: &Order,
        call: &mut Call,
    ) -> Result<Created, ProviderError> {
        let keys = self.keys.get();
        match self.generation {
            Generation::V2 => self.v2(&keys)?.create(order, call).await,
            Generation::V3 => self.v3(&keys)?.create(order, call).await,
        }
    }

    pub(super) async fn query(
        &self,
        trade: &TradeRef,
        call: &mut Call,
    ) -> Result<TradeState, ProviderError> {
        let keys = self.keys.get();
        match self.generation {
            Generation::V2 => self.v2(&keys)?.query(trade, call).await,
            Generation::V3 => self.v3(&keys)?.query(trade, call).await,
        }
    }

    pub(super) async fn close(
        &self,
        trade: &TradeRef,
        call: &mut Call,
    ) -> Result<(), ProviderError> {
        let keys = self.keys.get();
        match self.generation {
            Generation::V2 => self.v2(&keys)?.close(trade, call).await,
            Generation::V3 => self.v3(&keys)?.close(trade, call).await,
        }
    }

    pub(super) async fn refund(
        &self,
        order: &RefundOrder,
        call: &mut Call,
    ) -> Result<Refund, ProviderError> {
        let keys = self.keys.get();
        match self.generation {
            Generation::V2 => self.v2(&keys)?.refund(order, call).await,
            Generation::V3 => self.v3(&keys)?.refund(order, call).await,
        }
    }

    pub(super) async fn query_refund(
        &self,
        refund: &RefundRef,
        call: &mut Call,
    ) -> Result<Refund, ProviderError> {
        let keys = self.keys.get();
        match self.generation {
            Generation::V2 => self.v2(&keys)?.query_refund(refund, call).await,
            Generation::V3 => self.v3(&keys)?.query_refund(refund, call).await,
        }
    }

    pub(super) async fn bill(
        &self,
        day: NaiveDate,
        call: &mut Call,
    ) -> Result<DayBill, ProviderError> {
        let keys = self.keys.get();
        match self.generation {
            Generation::V2 => self.v2(&keys)?.bill(day, call).await,
            Generation::V3 => self.v3(&keys)?.bill(day, call).await,
        }
    }

    pub(super) async fn read_notify(&self, raw: RawNotify<'_>) -> Result<Notice, NotifyError> {
        let keys = self.keys.get();
        if speaks_v3(raw) {
            let v3 = self.v3(&keys).map_err(|_| NotifyError::Unready)?;
            return v3.read_notify(raw.headers, raw.body).await;
        }
        let v2 = self.v2(&keys).map_err(|_| NotifyError::Unready)?;
        v2.read_notify(raw.body)
    }

    /// The answer that a notice of this protocol expects.
    pub(super) fn acknowledge(raw: RawNotify<'_>, answer: NoticeAnswer) -> RawReply {
        const TAKEN: &str = "<xml><return_code><![CDATA[SUCCESS]]></return_code>\
                             <return_msg><![CDATA[OK]]></return_msg></xml>";
        const REFUSED: &str = "<xml><return_code><![CDATA[FAIL]]></return_code>\
                               <return_msg><![CDATA[REFUSED]]></return_msg></xml>";
        let failed =
            |status, body| RawReply { status, content_type: Some("application/json"), body };
        match (speaks_v3(raw), answer) {
            (true, NoticeAnswer::Taken) => RawReply { status: 204, content_type: None, body: "" },
            (true, NoticeAnswer::Refused) => {
                failed(400, "{\"code\":\"FAIL\",\"message\":\"refused\"}")
            }
            (true, NoticeAnswer::Later) => {
                failed(503, "{\"code\":\"FAIL\",\"message\":\"not now\"}")
            }
            (false, NoticeAnswer::Taken) => {
                RawReply { status: 200, content_type: Some("text/xml"), body: TAKEN }
            }
            (false, NoticeAnswer::Refused | NoticeAnswer::Later) => {
                RawReply { status: 200, content_type: Some("text/xml"), body: REFUSED }
            }
        }
    }

    pub(super) fn consent_url(&self, return_url: &str, state: Option<&str>) -> Option<String> {
        sign_in::consent_url(self, return_url, state)
    }

    pub(super) async fn exchange_code(
        &self,
        code: &str,
        call: &mut Call,
    ) -> Result<BoundAccount, ProviderError> {
        sign_in::exchange_code(self, code, call).await
    }

    pub(super) fn check(&self) -> Vec<Finding> {
        let what = self.account.problem("keys");
        vec![Finding { what, problem: self.keys.problem() }]
    }

    pub(super) fn reload(&self) {
        self.keys.reload();
    }

    fn v2<'a>(&'a self, keys: &'a Keys) -> Result<V2<'a>, ProviderError> {
        let keys = keys.v2.as_ref().ok_or_else(|| no_keys("v2"))?;
        Ok(V2 { app: self, keys })
    }

    fn v3<'a>(&'a self, keys: &'a Keys) -> Result<V3<'a>, ProviderError> {
        let keys = keys.v3.as_ref().ok_or_else(|| no_keys("v3"))?;
        Ok(V3 { app: self, keys })
    }

    /// The address of `path`.
    fn at(&self, path: &str) -> Result<Url, ProviderError> {
        let wrong = || ProviderError::Misconfigured("endpoint".to_owned());
        self.endpoint.at(path).ok_or_else(wrong)
    }

    /// Without TLS, which only simulators on this machine do, nobody can show a certificate.
    fn needs_mutual_tls(&self) -> bool {
        self.endpoint.url().scheme() == "https"
    }

    fn h5_site(&self) -> Result<&H5Site, ProviderError> {
        let missing = || ProviderError::Misconfigured("h5_site is not set".to_owned());
        self.h5_site.as_ref().ok_or_else(missing)
    }
}

impl std::fmt::Debug for WeChatPay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WeChatPay").field("account", &self.account).finish_non_exhaustive()
    }
}

fn no_keys(generation: &str) -> ProviderError {
    ProviderError::Misconfigured(format!("no keys of {generation}"))
}

fn speaks_v3(raw: RawNotify<'_>) -> bool {
    raw.headers.contains_key("wechatpay-signature")
}

/// The payer of an order inside WeChat.
fn payer_of(order: &Order) -> Result<&str, ProviderError> {
    let missing = || ProviderError::Refused("open_id_required".to_owned());
    order.payer.as_ref().map(super::Payer::expose).ok_or_else(missing)
}

/// WeChat Pay's number of a trade: up to 32 letters and digits.
fn transaction_id(text: &str) -> Result<String, ProviderError> {
    let fits = (1..=32).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric());
    if fits { Ok(text.to_owned()) } else { Err(ProviderError::unknown("transaction_id")) }
}
