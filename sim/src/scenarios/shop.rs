//! The shop's side: a client per provider, and a server that hears notifications.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{HeaderMap, Request, Response, Uri, client, server, service::service_fn};
use hyper_util::rt::TokioIo;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};

use super::{Fields, World, fields};
use crate::{
    Merchant,
    clock::{digits, spaced},
    crypto::{PrivateKey, sha256},
    http::write_form,
    unionpay::signed_text,
    wechat::{read_xml, sign_v2, write_xml},
};

/// What a notification brought.
#[derive(Debug, Clone)]
pub(super) struct Heard {
    pub(super) headers: HeaderMap,
    pub(super) body: String,
}

/// An answer of the simulators.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

impl Answer {
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

#[derive(Debug, Default)]
struct Desk {
    heard: Vec<Heard>,
    refusals: usize,
}

pub(super) struct Shop {
    pub(super) address: SocketAddr,
    pub(super) merchant: Merchant,
    desk: Arc<Mutex<Desk>>,
}

impl Shop {
    pub(super) async fn start(merchant: Merchant) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let desk = Arc::new(Mutex::new(Desk::default()));
        let inside = Arc::clone(&desk);
        tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else { return };
                let desk = Arc::clone(&inside);
                tokio::spawn(async move {
                    let service = service_fn(move |request| hear(Arc::clone(&desk), request));
                    let _ = server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        Self { address, merchant, desk }
    }

    /// Address of a notification; the path says in which form it is acknowledged.
    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.address)
    }

    /// What was heard so far.
    pub(super) fn heard(&self) -> Vec<Heard> {
        self.desk.lock().unwrap().heard.clone()
    }

    /// The next `count` notifications are answered with a failure.
    pub(super) fn refuse(&self, count: usize) {
        self.desk.lock().unwrap().refusals = count;
    }
}

async fn hear(
    desk: Arc<Mutex<Desk>>,
    request: Request<hyper::body::Incoming>,
) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let path = head.uri.path().to_owned();
    let mut desk = desk.lock().unwrap();
    let body = String::from_utf8_lossy(&body).into_owned();
    desk.heard.push(Heard { headers: head.headers, body });
    let refused = desk.refusals > 0;
    desk.refusals = desk.refusals.saturating_sub(1);
    let text = match (refused, path.as_str()) {
        (true, _) => "no",
        (_, "/v2") => "<xml><return_code><![CDATA[SUCCESS]]></return_code></xml>",
        (_, "/alipay") => "success",
        _ => "",
    };
    let answer = Response::builder().status(if refused { 500 } else { 200 });
    Ok(answer.body(Full::new(Bytes::from(text))).unwrap())
}

impl World {
    /// One call over a connection of its own; an error when the connection is cut.
    pub(super) async fn send(&self, request: Request<Full<Bytes>>) -> Result<Answer, hyper::Error> {
        let stream = TcpStream::connect(self.sim.addresses()[0]).await.unwrap();
        let (mut sender, connection) = client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let answer = sender.send_request(request).await?;
        let (head, body) = answer.into_parts();
        let body = body.collect().await?.to_bytes().to_vec();
        Ok(Answer { status: head.status.as_u16(), headers: head.headers, body })
    }

    pub(super) async fn post(
        &self,
        path: &str,
        kind: &str,
        body: String,
    ) -> Result<Answer, hyper::Error> {
        let request = Request::post(path).header("host", "sim").header("content-type", kind);
        self.send(request.body(Full::new(Bytes::from(body))).unwrap()).await
    }

    pub(super) async fn get(&self, url: &str) -> Answer {
        let uri: Uri = url.parse().unwrap();
        let target = uri.path_and_query().unwrap().as_str();
        let request = Request::get(target).header("host", "sim");
        self.send(request.body(Full::default()).unwrap()).await.unwrap()
    }

    // WeChat Pay v2.

    /// A signed request; `change` comes before the signature.
    pub(super) fn v2_request(&self, more: Fields) -> Fields {
        let wechat = &self.shop.merchant.wechat;
        let mut request = fields([
            ("appid", &wechat.apps[0]),
            ("mch_id", &wechat.mchid),
            ("nonce_str", "5K8264ILTKCH16CQ2502SI8ZNMTM67VS"),
        ]);
        request.extend(more);
        let hmac = request.get("sign_type").is_some_and(|kind| kind == "HMAC-SHA256");
        let sign = sign_v2(&request, wechat.api_key.expose_secret(), hmac);
        request.insert("sign".to_owned(), sign);
        request
    }

    pub(super) async fn v2(&self, path: &str, more: Fields) -> Fields {
        let body = write_xml("xml", &self.v2_request(more));
        let answer = self.post(path, "text/xml", body).await.unwrap();
        read_xml(&answer.body).unwrap()
    }

    pub(super) fn v2_order(&self, number: &str, total: &str) -> Fields {
        fields([
            ("body", "membership"),
            ("out_trade_no", number),
            ("total_fee", total),
            ("spbill_create_ip", "123.12.12.123"),
            ("notify_url", &self.shop.url("v2")),
            ("trade_type", "NATIVE"),
            ("product_id", "P1"),
        ])
    }

    // WeChat Pay v3.

    pub(super) fn v3_authorization(
        &self,
        method: &str,
        target: &str,
        body: &str,
        at: i64,
    ) -> String {
        let wechat = &self.shop.merchant.wechat;
        let key = PrivateKey::from_pem(wechat.private_key.expose_secret()).unwrap();
        let nonce = "593BEC0C930BF1AFEB40B4A08C8FB242";
        let text = format!("{method}\n{target}\n{at}\n{nonce}\n{body}\n");
        let signature = key.sign(text.as_bytes()).unwrap();
        format!(
            "WECHATPAY2-SHA256-RSA2048 mchid=\"{}\",nonce_str=\"{nonce}\",signature=\"{signature}\",\
             timestamp=\"{at}\",serial_no=\"{}\"",
            wechat.mchid, wechat.serial_no
        )
    }

    pub(super) async fn v3(&self, method: &str, target: &str, body: Value) -> Answer {
        self.v3_sent(method, target, body).await.unwrap()
    }

    pub(super) async fn v3_sent(
        &self,
        method: &str,
        target: &str,
        body: Value,
    ) -> Result<Answer, hyper::Error> {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let at = self.sim.now().timestamp();
        let request = Request::builder()
            .method(method)
            .uri(target)
            .header("host", "sim")
            .header("user-agent", "shop")
            .header("accept", "application/json")
            .header("content-type", "application/json")
            .header("authorization", self.v3_authorization(method, target, &body, at));
        self.send(request.body(Full::new(Bytes::from(body))).unwrap()).await
    }

    pub(super) fn v3_order(&self, number: &str, total: i64) -> Value {
        let wechat = &self.shop.merchant.wechat;
        json!({
            "appid": wechat.apps[0],
            "mchid": wechat.mchid,
            "description": "membership",
            "out_trade_no": number,
            "notify_url": self.shop.url("v3"),
            "amount": { "total": total, "currency": "CNY" },
        })
    }

    pub(super) async fn v3_query(&self, number: &str) -> Answer {
        let mchid = &self.shop.merchant.wechat.mchid;
        let target = format!("/v3/pay/transactions/out-trade-no/{number}?mchid={mchid}");
        self.v3("GET", &target, Value::Null).await
    }

    pub(super) async fn v3_refund(
        &self,
        order: &str,
        number: &str,
        fen: i64,
        total: i64,
    ) -> Answer {
        let body = self.v3_refund_body(order, number, fen, total);
        self.v3("POST", "/v3/refund/domestic/refunds", body).await
    }

    pub(super) fn v3_refund_body(&self, order: &str, number: &str, fen: i64, total: i64) -> Value {
        json!({
            "out_trade_no": order,
            "out_refund_no": number,
            "notify_url": self.shop.url("v3"),
            "amount": { "refund": fen, "total": total, "currency": "CNY" },
        })
    }

    // Alipay.

    /// A signed request.
    pub(super) fn alipay_request(&self, method: &str, biz: &Value, more: Fields) -> String {
        let alipay = &self.shop.merchant.alipay;
        let mut request = fields([
            ("app_id", &alipay.app_id),
            ("method", method),
            ("charset", "utf-8"),
            ("sign_type", "RSA2"),
            ("timestamp", &spaced(self.sim.now())),
            ("version", "1.0"),
        ]);
        if !biz.is_null() {
            request.insert("biz_content".to_owned(), biz.to_string());
        }
        request.extend(more);
        request.retain(|_, value| !value.is_empty());
        let pairs: Vec<_> = request.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let key = PrivateKey::from_pem(alipay.private_key.expose_secret()).unwrap();
        request.insert("sign".to_owned(), key.sign(pairs.join("&").as_bytes()).unwrap());
        write_form(request.iter().map(|(name, value)| (name.as_str(), value.as_str())))
    }

    /// The node of the answer.
    pub(super) async fn alipay(&self, method: &str, biz: Value) -> Value {
        let more = fields([("notify_url", self.shop.url("alipay").as_str())]);
        let body = self.alipay_request(method, &biz, more);
        let answer = self.post("/gateway.do", FORM, body).await.unwrap();
        let node = format!("{}_response", method.replace('.', "_"));
        answer.json()[node.as_str()].clone()
    }

    pub(super) fn alipay_order(number: &str, yuan: &str) -> Value {
        json!({
            "out_trade_no": number,
            "total_amount": yuan,
            "subject": "membership",
            "product_code": "QR_CODE_OFFLINE",
        })
    }

    // UnionPay.

    /// A signed request.
    pub(super) fn unionpay_request(&self, more: Fields) -> Fields {
        let unionpay = &self.shop.merchant.unionpay;
        let mut request = fields([
            ("version", "5.1.0"),
            ("encoding", "UTF-8"),
            ("signMethod", "01"),
            ("certId", &unionpay.cert_id),
            ("merId", &unionpay.mer_id),
            ("accessType", "0"),
            ("txnTime", &digits(self.sim.now())),
        ]);
        request.extend(more);
        request.retain(|_, value| !value.is_empty());
        let digest = sha256(signed_text(&request).as_bytes());
        let key = PrivateKey::from_pem(unionpay.private_key.expose_secret()).unwrap();
        request.insert("signature".to_owned(), key.sign(digest.as_bytes()).unwrap());
        request
    }

    pub(super) async fn unionpay(&self, path: &str, more: Fields) -> Fields {
        let request = self.unionpay_request(more);
        let body = write_form(request.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let answer = self.post(path, FORM, body).await.unwrap();
        read_unionpay(&answer.text())
    }

    pub(super) fn unionpay_order(&self, number: &str, fen: &str) -> Fields {
        fields([
            ("txnType", "01"),
            ("txnSubType", "01"),
            ("bizType", "000201"),
            ("channelType", "08"),
            ("orderId", number),
            ("txnAmt", fen),
            ("currencyCode", "156"),
            ("backUrl", &self.shop.url("unionpay")),
        ])
    }
}

pub(super) const FORM: &str = "application/x-www-form-urlencoded;charset=utf-8";

/// Plain pairs; no value of these tests has an `&`.
pub(super) fn read_unionpay(text: &str) -> Fields {
    let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}
