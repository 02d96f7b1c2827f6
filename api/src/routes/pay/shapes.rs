//! What requests and replies about bills look like.

use std::borrow::Cow;

use poem_openapi::{
    ApiResponse, Object,
    payload::{Binary, Json},
    registry::{MetaSchema, MetaSchemaRef, Registry},
    types::{Any, Type},
};
use serde_json::Value;

use crate::view::{Bill, RefundStatus, Resource};

/// A bill to be made.
#[derive(Object)]
pub(super) struct NewOrder {
    /// What is owed, in hundredths: 1250 is 12.50 CNY. At least 1.
    pub(super) amount: i64,
    /// Code of ISO 4217; `CNY`, which is also the default.
    pub(super) currency: Option<String>,
    /// What it is for, at most 127 bytes; the payer reads it.
    pub(super) subject: String,
    /// The caller's own name for it, at most 64 characters. A second bill of the same name is not
    /// made: the reply shows the first one.
    pub(super) client_ref: Option<String>,
}

/// How a bill is to be paid.
#[derive(Object)]
pub(super) struct Payment {
    /// The bill; only where the address does not name it.
    pub(super) sn: Option<String>,
    /// 0 UnionPay, 100 Alipay, 200 WeChat.
    pub(super) pay_method: i64,
    /// 0 QR code or page, 100 app, 200 JSAPI, 300 H5.
    pub(super) end_type: i64,
    /// What the provider needs besides.
    pub(super) extra_params: Option<ExtraParams>,
}

/// What a provider needs to know of the payer.
#[derive(Object)]
pub(super) struct ExtraParams {
    /// Name of the configured app; with WeChat `official_account` unless it is given.
    pub(super) wx_app_type: Option<String>,
    /// The payer's id under that app; required for JSAPI.
    pub(super) open_id: Option<String>,
    /// `code` for a text to be drawn as a QR code in place of the provider's page, with Alipay and
    /// UnionPay.
    pub(super) presentation: Option<String>,
}

/// What a client pays with: described here, made by whoever speaks to the provider.
pub(super) struct Offer;

impl Type for Offer {
    const IS_REQUIRED: bool = true;

    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        "Offer".into()
    }

    fn schema_ref() -> MetaSchemaRef {
        MetaSchemaRef::Reference(Self::name().into_owned())
    }

    fn register(registry: &mut Registry) {
        registry.create_schema::<Self, _>(Self::name().into_owned(), |_| MetaSchema {
            description: Some(
                "What the client pays with. With WeChat's JSAPI the fields stand at the top, \
                 otherwise in `data`. WeChat: `code_url` (QR code), the parameters of the SDK (app) \
                 or of the page (JSAPI), `mweb_url` (H5). Alipay: `redirect_url` and `html` (page, \
                 phone page), `qr_code` (code), `order_string` (app), `trade_no` (JSAPI). UnionPay: \
                 `html` (page, phone page), `qr_code` (code), `tn` (app).",
            ),
            additional_properties: Some(Box::new(MetaSchemaRef::Inline(Box::new(MetaSchema::ANY)))),
            ..MetaSchema::new("object")
        });
    }

    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
        Box::new(std::iter::once(self))
    }
}

/// A refund that was sent to the provider.
#[derive(Object)]
pub(super) struct RefundBegun {
    /// The bill.
    sn: String,
    /// Number of the refund in its bill, from 1.
    refund: u32,
    /// Number under which the provider knows the refund.
    refund_sn: String,
    /// What is paid back, in hundredths.
    amount: i64,
    /// Where it stands.
    state: RefundStatus,
}

/// What is to be paid back.
#[derive(Object)]
pub(super) struct RefundOrder {
    /// How much, in hundredths. All that is left unless it is given.
    pub(super) amount: Option<i64>,
    /// What the payer is told, at most 80 bytes.
    pub(super) reason: Option<String>,
}

/// The reply of calls that have nothing to show.
#[derive(Object)]
pub(super) struct Standing {
    /// Whether it is so.
    pub(super) success: bool,
    /// Always null.
    pub(super) data: Option<Any<Value>>,
}

#[derive(ApiResponse)]
pub(super) enum Made {
    /// The bill is made.
    #[oai(status = 201)]
    New(
        Json<Resource<Bill>>,
        /// The bill.
        #[oai(header = "Location")]
        String,
    ),
    /// The caller made the same bill before.
    #[oai(status = 200)]
    Known(
        Json<Resource<Bill>>,
        /// The bill.
        #[oai(header = "Location")]
        String,
    ),
}

#[derive(ApiResponse)]
pub(super) enum Picture {
    /// The code as a picture.
    #[oai(status = 200, content_type = "image/svg+xml")]
    Svg(Binary<Vec<u8>>),
    /// The code as a picture.
    #[oai(status = 200, content_type = "image/png")]
    Png(Binary<Vec<u8>>),
}
