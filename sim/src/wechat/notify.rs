//! What WeChat Pay sends by itself.

use std::{collections::BTreeMap, sync::atomic::Ordering};

use serde_json::{Value, json};

use super::{refund_state, refund_state_v2, trade_state, v2, v3, xml};
use crate::{
    book::{Dialect, End, Refund, Trade},
    clock::{rfc3339, spaced},
    crypto::{Unusable, aes_ecb_seal, md5, nonce, seal as gcm_seal},
    fault::Act,
    ledger::Provider,
    merchant::WechatKeys,
    outbox::{Content, Parcel, Sealed},
    sim::Sim,
};

/// The notification of a payment.
pub(crate) fn payment_parcel(trade: &Trade) -> Option<Parcel> {
    let url = trade.notify_url.clone()?;
    let paid = trade.paid_at()?;
    let event = format!("EV-{}-pay", trade.number);
    let (call, content) = match trade.dialect {
        Dialect::WechatV3 => {
            let plain = v3_trade(trade);
            let summary = "支付成功";
            let envelope = envelope(&event, &rfc3339(paid), "TRANSACTION.SUCCESS", summary);
            let merchant = trade.merchant.clone();
            ("wechat.v3.notify.pay", Content::WechatV3 { merchant, envelope, plain })
        }
        dialect => {
            let mut fields = v2::paid_fields(trade);
            for (name, value) in [
                ("return_code", "SUCCESS"),
                ("result_code", "SUCCESS"),
                ("appid", &trade.app),
                ("mch_id", &trade.merchant),
            ] {
                fields.insert(name.to_owned(), value.to_owned());
            }
            let hmac = dialect == Dialect::WechatHmac;
            let merchant = trade.merchant.clone();
            ("wechat.v2.notify.pay", Content::WechatV2 { merchant, hmac, fields })
        }
    };
    let trade = trade.key.clone();
    Some(Parcel { provider: Provider::Wechat, call, event, trade, url, content })
}

/// The paid trade as it was at the moment of payment: refunds come later.
fn v3_trade(trade: &Trade) -> Value {
    let paid = Trade { refunds: Vec::new(), ..trade.clone() };
    let state = trade_state(&paid, trade.paid_at().unwrap_or(trade.created));
    v3::describe(&paid, state)
}

/// The notification of a refund's end.
pub(crate) fn refund_parcel(trade: &Trade, refund: &Refund) -> Option<Parcel> {
    let url = refund.notify_url.clone()?;
    let event = format!("EV-{}-refund", refund.id);
    let merchant = trade.merchant.clone();
    let (call, content) = if refund.dialect == Dialect::WechatV3 {
        let (envelope, plain) = v3_refund(trade, refund, &event);
        ("wechat.v3.notify.refund", Content::WechatV3 { merchant, envelope, plain })
    } else {
        let (app, fields) = (trade.app.clone(), v2_refund(trade, refund));
        ("wechat.v2.notify.refund", Content::WechatV2Refund { merchant, app, fields })
    };
    let trade = trade.key.clone();
    Some(Parcel { provider: Provider::Wechat, call, event, trade, url, content })
}

fn v3_refund(trade: &Trade, refund: &Refund, event: &str) -> (Value, Value) {
    let (kind, summary) = match refund.end {
        End::Success => ("REFUND.SUCCESS", "退款成功"),
        End::Closed => ("REFUND.CLOSED", "退款关闭"),
        End::Abnormal => ("REFUND.ABNORMAL", "退款异常"),
    };
    let mut plain = json!({
        "mchid": trade.merchant,
        "out_trade_no": trade.key,
        "transaction_id": trade.number,
        "out_refund_no": refund.number,
        "refund_id": refund.id,
        "refund_status": refund_state(refund),
        "user_received_account": "支付用户零钱",
        "amount": {
            "total": trade.amount,
            "refund": refund.amount,
            "payer_total": trade.amount,
            "payer_refund": refund.amount,
        },
    });
    let ended = refund.ended.unwrap_or(refund.at);
    if refund.end == End::Success {
        plain["success_time"] = json!(rfc3339(ended));
    }
    (envelope(event, &rfc3339(ended), kind, summary), plain)
}

fn v2_refund(trade: &Trade, refund: &Refund) -> BTreeMap<String, String> {
    let done = refund.ended.filter(|_| refund.end == End::Success);
    v2::fields([
        ("transaction_id", trade.number.clone()),
        ("out_trade_no", trade.key.clone()),
        ("refund_id", refund.id.clone()),
        ("out_refund_no", refund.number.clone()),
        ("total_fee", trade.amount.to_string()),
        ("settlement_total_fee", trade.amount.to_string()),
        ("refund_fee", refund.amount.to_string()),
        ("settlement_refund_fee", refund.amount.to_string()),
        ("refund_status", refund_state_v2(refund).to_owned()),
        ("success_time", done.map(spaced).unwrap_or_default()),
        ("refund_recv_accout", "支付用户零钱".to_owned()),
        ("refund_account", "REFUND_SOURCE_UNSETTLED_FUNDS".to_owned()),
        ("refund_request_source", "API".to_owned()),
    ])
}

fn envelope(event: &str, at: &str, kind: &str, summary: &str) -> Value {
    json!({
        "id": event,
        "create_time": at,
        "resource_type": "encrypt-resource",
        "event_type": kind,
        "summary": summary,
    })
}

/// Signs or encrypts a notification, anew for every attempt.
pub(crate) fn seal(sim: &Sim, content: &Content, act: Option<&Act>) -> Result<Sealed, Unusable> {
    match content {
        Content::WechatV3 { merchant, envelope, plain } => {
            seal_v3(sim, merchant, envelope.clone(), plain, act)
        }
        Content::WechatV2 { merchant, hmac, fields } => {
            seal_v2(sim, merchant, *hmac, fields.clone(), act)
        }
        Content::WechatV2Refund { merchant, app, fields } => {
            seal_v2_refund(sim, merchant, app, fields, act)
        }
        Content::Alipay { .. } | Content::UnionPay { .. } => Err(Unusable("notification")),
    }
}

fn seal_v2(
    sim: &Sim,
    merchant: &str,
    hmac: bool,
    mut fields: BTreeMap<String, String>,
    act: Option<&Act>,
) -> Result<Sealed, Unusable> {
    let account = sim.wechat.get(merchant).ok_or(Unusable("merchant"))?;
    fields.insert("nonce_str".to_owned(), nonce(32));
    if hmac {
        fields.insert("sign_type".to_owned(), "HMAC-SHA256".to_owned());
    }
    if act == Some(&Act::Foreign) {
        fields.insert("mch_id".to_owned(), "1900000999".to_owned());
    }
    if act == Some(&Act::ExtraField) {
        fields.insert("new_field".to_owned(), "1".to_owned());
    }
    let strange = matches!(act, Some(Act::BadSignature | Act::Probe | Act::Stranger | Act::Stale));
    let key = if strange { "nobody's key" } else { account.api_key() };
    let sign = v2::sign(&fields, key, hmac);
    fields.insert("sign".to_owned(), sign);
    if act == Some(&Act::Tamper) {
        fields.insert("total_fee".to_owned(), "99999999".to_owned());
    }
    let body = xml::write("xml", &fields);
    Ok(Sealed { content_type: "text/xml", headers: Vec::new(), body: spoil(body, act) })
}

fn seal_v2_refund(
    sim: &Sim,
    merchant: &str,
    app: &str,
    fields: &BTreeMap<String, String>,
    act: Option<&Act>,
) -> Result<Sealed, Unusable> {
    let account = sim.wechat.get(merchant).ok_or(Unusable("merchant"))?;
    let strange = matches!(act, Some(Act::BadSignature | Act::Probe | Act::Stranger | Act::Stale));
    let key = if strange { "nobody's key" } else { account.api_key() };
    let plain = xml::write("root", fields);
    let mut req_info = aes_ecb_seal(md5(key.as_bytes()).as_bytes(), &plain)?;
    if act == Some(&Act::Tamper) {
        // Nothing is signed: what was tampered with cannot be opened.
        let cut = req_info.len() - 24;
        req_info.replace_range(cut..cut + 4, "AAAA");
    }
    let foreign = act == Some(&Act::Foreign);
    let mch_id = if foreign { "1900000999" } else { merchant };
    let message = v2::fields([
        ("return_code", "SUCCESS".to_owned()),
        ("appid", app.to_owned()),
        ("mch_id", mch_id.to_owned()),
        ("nonce_str", nonce(32)),
        ("req_info", req_info),
    ]);
    let body = xml::write("xml", &message);
    Ok(Sealed { content_type: "text/xml", headers: Vec::new(), body: spoil(body, act) })
}

fn seal_v3(
    sim: &Sim,
    merchant: &str,
    mut envelope: Value,
    plain: &Value,
    act: Option<&Act>,
) -> Result<Sealed, Unusable> {
    let account = sim.wechat.get(merchant).ok_or(Unusable("merchant"))?;
    let refund = plain.get("refund_status").is_some();
    let kind = if refund { "refund" } else { "transaction" };
    let mut plain = plain.clone();
    if act == Some(&Act::Foreign) {
        plain["mchid"] = json!("1900000999");
    }
    if act == Some(&Act::ExtraField) {
        plain["new_field"] = json!("1");
    }
    if act == Some(&Act::RotateKeys) {
        sim.rotate_keys(Provider::Wechat);
    }
    let nonce = nonce(12);
    let ciphertext = gcm_seal(account.apiv3_key().as_bytes(), &nonce, kind, &plain.to_string())?;
    envelope["resource"] = json!({
        "algorithm": "AEAD_AES_256_GCM",
        "original_type": kind,
        "associated_data": kind,
        "nonce": nonce,
        "ciphertext": ciphertext,
    });
    let mut body = envelope.to_string();
    let by_public_key = match account.merchant.keys {
        WechatKeys::Certificate => false,
        WechatKeys::PublicKey => true,
        WechatKeys::Both => account.by_public_key.fetch_xor(true, Ordering::Relaxed),
    };
    let headers = v3::sign(sim, account, by_public_key, body.as_bytes(), act);
    if act == Some(&Act::Tamper) {
        // The ciphertext hides the amount: the part that can be changed is around it.
        body = body.replace("\"create_time\":\"2", "\"create_time\":\"3");
    }
    Ok(Sealed { content_type: "application/json", headers, body: spoil(body, act) })
}

fn spoil(body: String, act: Option<&Act>) -> String {
    if act == Some(&Act::Garbage) { "<<< not a message".to_owned() } else { body }
}

/// Whether the answer to a v2 notification is the one that ends its repeats.
pub(crate) fn is_acknowledged(body: &[u8]) -> bool {
    xml::read(body)
        .is_ok_and(|fields| fields.get("return_code").is_some_and(|code| code == "SUCCESS"))
}
