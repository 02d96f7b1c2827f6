//! What each call of a stranger has to come to.

use std::fmt::Display;

use reqwest::{RequestBuilder, multipart};
use schemas::image::ImageRecord;
use serde_json::{Value, json};
use tests::{apns::APP, picture};

use crate::victim::Victim;

/// What a call of a stranger has to come to.
pub(crate) enum Row {
    /// The call names somebody else's things: 404, and nothing changes.
    NotFound(fn(&Victim) -> Vec<Call>),
    /// The call is about the caller alone, whatever it is sent: it succeeds, and nothing of the
    /// other user is in its reply.
    OwnOnly(fn(&Victim) -> Vec<Call>),
    /// The call is about nobody's things, for this reason.
    Nobodys(&'static str),
}

/// Every operation.
pub(crate) const ROWS: &[(&str, Row)] = &[
    (
        "POST /api/o/token/",
        Row::Nobodys("a client calls, and whoever signs in proves who they are"),
    ),
    ("POST /api/o/revoke_token/", Row::Nobodys("a client calls, about a token that it holds")),
    ("POST /api/o/introspect/", Row::Nobodys("a client calls, about a token that it holds")),
    ("GET /api/o/authorize/", Row::Nobodys("about a client; a key is refused")),
    ("POST /api/o/authorize/", Row::Nobodys("gives what the caller has; a key is refused")),
    ("GET /api/o/scope/", Row::Nobodys("the same for everybody")),
    ("GET /api/o/jwks/", Row::Nobodys("the same for everybody")),
    ("GET /api/user/basic-info/", Row::OwnOnly(|ada| vec![call("", ada.query())])),
    ("GET /api/user/session/", Row::OwnOnly(|ada| vec![call("", ada.query())])),
    (
        "POST /api/user/sign-out/",
        Row::NotFound(|ada| vec![call("", "").json(json!({ "session": ada.session.id }))]),
    ),
    ("POST /api/auth/logout/", Row::OwnOnly(|ada| vec![call("", "").json(ada.everything())])),
    (
        "GET /api/user/user-image/",
        // Pictures are for everybody to see; a hidden one is its owner's alone.
        Row::OwnOnly(|ada| vec![call("", format!("?uid={}&tags__contains=hidden", ada.user.id))]),
    ),
    ("POST /api/user/user-image/", Row::OwnOnly(|_| vec![call("", "").upload()])),
    ("GET /api/user/user-image/{id}/", Row::NotFound(|ada| vec![call(ada.hidden.id, "")])),
    (
        "PATCH /api/user/user-image/{id}/",
        Row::NotFound(|ada| {
            let tags = json!({ "tags": ["stolen"], "user": ada.user.id });
            let change = |image: &ImageRecord| call(image.id, "").json(tags.clone());
            vec![change(&ada.image), change(&ada.hidden)]
        }),
    ),
    (
        "DELETE /api/user/user-image/{id}/",
        Row::NotFound(|ada| vec![call(ada.image.id, ""), call(ada.hidden.id, "")]),
    ),
    (
        "GET /api/user/user-apns-device-token/",
        Row::OwnOnly(|ada| vec![call("", ada.query()), call("", "?page=1&page_size=100")]),
    ),
    (
        "POST /api/user/user-apns-device-token/",
        // Whoever holds a token of Apple has the device in hand: it moves to them. Ada's device id
        // and sign-in, though, are only words here.
        Row::OwnOnly(|ada| {
            let device = json!({
                "device_token": "b0b0", "bundle_id": ada.device.app, "user": ada.user.id,
                "device_id": "of-bob", "session": ada.session.id,
            });
            vec![call("", "").json(device)]
        }),
    ),
    (
        "DELETE /api/user/user-apns-device-token/",
        Row::NotFound(|ada| {
            let token = json!({ "device_token": ada.device.token, "user": ada.user.id });
            vec![call("", "").json(token)]
        }),
    ),
    (
        "DELETE /api/user/user-apns-device-token/{device_token}/",
        Row::NotFound(|ada| vec![call(ada.device.token.as_str(), ada.query())]),
    ),
    ("GET /api/pay/order/", Row::OwnOnly(|ada| vec![call("", ada.query())])),
    (
        "POST /api/pay/order/",
        Row::OwnOnly(|ada| {
            let order = json!({ "amount": 1, "subject": "tea", "user": ada.user.id });
            vec![call("", "").json(order)]
        }),
    ),
    (
        "POST /api/pay/order/pay/",
        Row::NotFound(|ada| {
            let way = json!({ "sn": ada.bill.id, "pay_method": 200, "end_type": 0 });
            vec![call("", "").json(way)]
        }),
    ),
    ("GET /api/pay/order/{sn}/", Row::NotFound(|ada| vec![call(&ada.bill.id, "")])),
    (
        "POST /api/pay/order/{sn}/pay/",
        Row::NotFound(|ada| {
            let way = json!({ "pay_method": 200, "end_type": 0 });
            vec![call(&ada.bill.id, "").json(way)]
        }),
    ),
    (
        "POST /api/pay/account/open_query/",
        Row::Nobodys("about a card; whoever holds it opens it with its bank, not here"),
    ),
    (
        "POST /api/pay/account/open_card_front/",
        Row::Nobodys("about a card; whoever holds it opens it with its bank, not here"),
    ),
    ("GET /api/pay/account/", Row::OwnOnly(|ada| vec![call("", ada.query())])),
    (
        "POST /api/pay/account/",
        Row::Nobodys("about a card; its holder shows a code, and the caller keeps it"),
    ),
    ("DELETE /api/pay/account/{id}/", Row::NotFound(|ada| vec![call(ada.account(), "")])),
    ("POST /api/pay/account/default_receipt/", Row::NotFound(preference)),
    ("POST /api/pay/account/default_payment/", Row::NotFound(preference)),
    (
        "POST /api/pay/account/bind-unpay-account/send-vcode/",
        Row::Nobodys("about a card; whoever holds it gets the code"),
    ),
    (
        "POST /api/pay/account/bind-unpay-account/",
        Row::Nobodys("about a card; its holder shows a code, and the caller keeps it"),
    ),
    ("GET /api/pay/payment/", Row::OwnOnly(|ada| vec![call("", ada.query())])),
    (
        "PATCH /api/pay/payment/",
        Row::OwnOnly(|ada| vec![call("", ada.query()).json(json!({ "currency": "CNY" }))]),
    ),
    (
        "POST /api/pay/order/{sn}/send_vcode/",
        Row::NotFound(|ada| {
            let card = json!({ "account_no": "6216261000000000018", "phone": "13552535506" });
            vec![call(&ada.bill.id, "").json(card)]
        }),
    ),
    (
        "POST /api/pay/order/{sn}/unpay/",
        Row::NotFound(|ada| {
            let payment = json!({
                "pay_method": 0, "end_type": 0, "vcode": "111111",
                "account_no": "6216261000000000018",
            });
            vec![call(&ada.bill.id, "").json(payment)]
        }),
    ),
    (
        "POST /api/pay/order/{sn}/refresh_order_status/",
        Row::NotFound(|ada| vec![call(&ada.bill.id, "")]),
    ),
    ("POST /api/pay/order/{sn}/close/", Row::NotFound(|ada| vec![call(&ada.bill.id, "")])),
    ("GET /api/pay/order/{sn}/qr/", Row::NotFound(|ada| vec![call(&ada.bill.id, "")])),
    ("GET /api/pay/order/{sn}/refund/", Row::NotFound(|ada| vec![call(&ada.bill.id, "")])),
    (
        "POST /api/pay/order/{sn}/refund/",
        Row::NotFound(|ada| vec![call(&ada.bill.id, "").json(json!({ "amount": 1 }))]),
    ),
    ("GET /api/pay/order/{sn}/refund/{refund}/", Row::NotFound(|ada| vec![call(&ada.bill.id, "")])),
    ("GET /api/pay/weixin/check-app-id/", Row::Nobodys("about an app id, the same for everybody")),
    ("GET /api/push/", Row::OwnOnly(|ada| vec![call("", ada.query())])),
    (
        "POST /api/push/",
        // Whoever may send may send to everybody; the campaign is the caller's own.
        Row::OwnOnly(|ada| {
            let message = json!({ "aps": { "alert": "Hello" } });
            let to = json!({ "users": [ada.user.id] });
            vec![call("", "").json(json!({ "app": APP, "to": to, "message": message }))]
        }),
    ),
    ("GET /api/push/{id}/", Row::NotFound(|ada| vec![call(ada.push.id, "")])),
    ("POST /api/push/{id}/pause/", Row::NotFound(|ada| vec![call(ada.push.id, "")])),
    ("POST /api/push/{id}/resume/", Row::NotFound(|ada| vec![call(ada.push.id, "")])),
    ("POST /api/push/{id}/cancel/", Row::NotFound(|ada| vec![call(ada.push.id, "")])),
    (
        "POST /api/user/profile/alipay-binding/",
        Row::Nobodys("begins a consent of the caller; its state belongs to nobody else"),
    ),
    ("GET /api/user/profile/alipay-info/", Row::OwnOnly(|ada| vec![call("", ada.query())])),
    (
        "POST /api/user/profile/wechat-binding/",
        Row::Nobodys("exchanges a code that the caller brings, for the caller"),
    ),
    ("GET /api/user/profile/wechat-info/", Row::OwnOnly(|ada| vec![call("", ada.query())])),
    (
        "GET /api/user/profile/wechat-unbinding/",
        Row::Nobodys("begins a consent of the caller; its state belongs to nobody else"),
    ),
    (
        "GET /api/pay/alipay_auth_return/",
        Row::Nobodys("a browser comes back without a token; the state says whose consent it is"),
    ),
    (
        "GET /api/pay/wechat_auth_return/",
        Row::Nobodys("a browser comes back without a token; the state says whose consent it is"),
    ),
    (
        "POST /api/pay/auth_return/",
        Row::Nobodys("the browser that was asked about a consent answers, without a token"),
    ),
    ("GET /api/job/", Row::OwnOnly(|ada| vec![call("", ada.query())])),
    ("GET /api/job/{id}/", Row::NotFound(|ada| vec![call(ada.job.id, "")])),
    ("GET /api/job/{id}/events/", Row::NotFound(|ada| vec![call(ada.job.id, "")])),
    ("POST /api/job/{id}/cancel/", Row::NotFound(|ada| vec![call(ada.job.id, "")])),
];
/// One call: what stands for `{id}`, the query, and the body.
#[derive(Clone)]
pub(crate) struct Call {
    pub(crate) id: String,
    pub(crate) query: String,
    pub(crate) body: Body,
}

#[derive(Clone)]
pub(crate) enum Body {
    None,
    Json(Value),
    Upload,
}

fn preference(ada: &Victim) -> Vec<Call> {
    vec![call("", "").json(json!({ "account_id": ada.account() }))]
}

pub(crate) fn call(id: impl Display, query: impl Into<String>) -> Call {
    Call { id: format!("{id}"), query: query.into(), body: Body::None }
}

impl Call {
    pub(crate) fn json(self, body: Value) -> Self {
        Self { body: Body::Json(body), ..self }
    }

    pub(crate) fn upload(self) -> Self {
        Self { body: Body::Upload, ..self }
    }

    pub(crate) fn on(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.body {
            Body::None => request,
            Body::Json(body) => request.json(body),
            Body::Upload => {
                let part = multipart::Part::bytes(picture::png(8, 8, 3)).file_name("b.png");
                request.multipart(multipart::Form::new().part("img", part).text("user", "1"))
            }
        }
    }
}
