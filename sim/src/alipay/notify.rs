//! What Alipay sends by itself: the payment's notification, and the browser's return.
//!
//! Closings and refunds are not notified, as is the provider's default.

use std::collections::BTreeMap;

use serde_json::json;

use super::trade::status;
use crate::{
    book::Trade,
    clock::spaced,
    crypto::{PrivateKey, Unusable},
    fault::Act,
    http::{write_form, yuan},
    ledger::Provider,
    outbox::{Content, Parcel, Sealed},
    sim::Sim,
};

type Fields = BTreeMap<String, String>;

fn fields<const N: usize>(pairs: [(&str, String); N]) -> Fields {
    let full = pairs.into_iter().filter(|(_, value)| !value.is_empty());
    full.map(|(name, value)| (name.to_owned(), value)).collect()
}

/// The notification of a payment.
pub(crate) fn payment_parcel(sim: &Sim, trade: &Trade) -> Option<Parcel> {
    let url = trade.notify_url.clone()?;
    let paid = trade.paid_at()?;
    let account = sim.alipay.get(&trade.merchant)?;
    let amount = yuan(trade.amount);
    let event = format!("{}{}", trade.number, "00222");
    let bill = json!([{ "amount": amount, "fundChannel": "ALIPAYACCOUNT" }]).to_string();
    let mut content = fields([
        ("notify_id", event.clone()),
        ("notify_type", "trade_status_sync".to_owned()),
        ("gmt_create", spaced(trade.created)),
        ("gmt_payment", spaced(paid)),
        ("app_id", trade.app.clone()),
        ("auth_app_id", trade.app.clone()),
        ("seller_id", account.merchant.seller_id.clone()),
        ("buyer_id", trade.payer.clone().unwrap_or_default()),
        ("buyer_logon_id", "159****5620".to_owned()),
        ("trade_no", trade.number.clone()),
        ("out_trade_no", trade.key.clone()),
        ("trade_status", status(trade, paid).to_owned()),
        ("total_amount", amount.clone()),
        ("receipt_amount", amount.clone()),
        ("buyer_pay_amount", amount.clone()),
        ("invoice_amount", amount),
        ("point_amount", "0.00".to_owned()),
        ("subject", trade.subject.clone()),
        ("body", trade.fact("body").to_owned()),
        ("passback_params", trade.attach.clone().unwrap_or_default()),
        ("fund_bill_list", bill),
        ("version", "1.0".to_owned()),
    ]);
    content.insert("charset".to_owned(), "utf-8".to_owned());
    Some(Parcel {
        provider: Provider::Alipay,
        call: "alipay.notify.pay",
        event,
        trade: trade.key.clone(),
        url,
        content: Content::Alipay { app: trade.merchant.clone(), fields: content },
    })
}

/// Signs a notification, anew for every attempt.
pub(crate) fn seal_notify(
    sim: &Sim,
    app: &str,
    mut fields: Fields,
    act: Option<&Act>,
) -> Result<Sealed, Unusable> {
    let account = sim.alipay.get(app).ok_or(Unusable("application"))?;
    if act == Some(&Act::RotateKeys) {
        sim.rotate_keys(Provider::Alipay);
    }
    fields.insert("notify_time".to_owned(), spaced(sim.now()));
    if act == Some(&Act::Foreign) {
        fields.insert("seller_id".to_owned(), "2088101999999999".to_owned());
    }
    if act == Some(&Act::ExtraField) {
        fields.insert("new_field".to_owned(), "1".to_owned());
    }
    let strange = matches!(act, Some(Act::BadSignature | Act::Stranger | Act::Probe | Act::Stale));
    let key = if strange { &sim.keys.unionpay } else { account.signs_with(sim).0 };
    sign(key, &mut fields)?;
    if act == Some(&Act::Tamper) {
        fields.insert("total_amount".to_owned(), "999999.99".to_owned());
    }
    let body = if act == Some(&Act::Garbage) {
        "%%%".to_owned()
    } else {
        write_form(fields.iter().map(|(name, value)| (name.as_str(), value.as_str())))
    };
    let content_type = "application/x-www-form-urlencoded; charset=utf-8";
    Ok(Sealed { content_type, headers: Vec::new(), body })
}

/// Neither `sign` nor `sign_type` is part of what is signed here.
fn sign(key: &PrivateKey, fields: &mut Fields) -> Result<(), Unusable> {
    let pairs: Vec<_> = fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let sign = key.sign(pairs.join("&").as_bytes())?;
    fields.insert("sign".to_owned(), sign);
    fields.insert("sign_type".to_owned(), "RSA2".to_owned());
    Ok(())
}

/// The parameters with which the browser returns.
pub(super) fn sign_return(sim: &Sim, trade: &Trade) -> Fields {
    let account = sim.alipay.get(&trade.merchant);
    let seller = account.map(|account| account.merchant.seller_id.clone());
    let wap = trade.product == "QUICK_WAP_WAY";
    let method = if wap { "alipay.trade.wap.pay.return" } else { "alipay.trade.page.pay.return" };
    let mut answer = fields([
        ("app_id", trade.app.clone()),
        ("auth_app_id", trade.app.clone()),
        ("charset", "utf-8".to_owned()),
        ("method", method.to_owned()),
        ("out_trade_no", trade.key.clone()),
        ("trade_no", trade.number.clone()),
        ("total_amount", yuan(trade.amount)),
        ("seller_id", seller.unwrap_or_default()),
        ("timestamp", spaced(sim.now())),
        ("version", "1.0".to_owned()),
    ]);
    // Without a signature the merchant refuses the return, as it must.
    let key = account.map_or(&sim.keys.alipay, |account| account.signs_with(sim).0);
    let _ = sign(key, &mut answer);
    answer
}
