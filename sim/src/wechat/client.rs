//! The payer's side: what WeChat's client library does with the parameters that an app or a page
//! hands to it.

use serde_json::Value;

use super::{WechatAccount, v2};
use crate::{
    book::{Dialect, State, Trade},
    crypto::{Hash, same},
    sim::Sim,
};

/// Checks the parameters as the client would, and finds the trade that they pay.
///
/// Both forms are told apart by their names: `appid` for an app, `appId` for a page.
pub(crate) fn pay_in_app(sim: &Sim, parameters: &Value) -> Result<Trade, String> {
    let text = |name: &str| match &parameters[name] {
        Value::String(text) if !text.is_empty() => Ok(text.clone()),
        Value::Number(number) if name.to_lowercase() == "timestamp" => Ok(number.to_string()),
        Value::Null => Err(format!("{name} is missing")),
        other => Err(format!("{name} is {other}")),
    };
    let page = parameters.get("appId").is_some();
    let (app, time, nonce, sign) = if page {
        (text("appId")?, text("timeStamp")?, text("nonceStr")?, text("paySign")?)
    } else {
        (text("appid")?, text("timestamp")?, text("noncestr")?, text("sign")?)
    };
    let package = text("package")?;
    let prepay_id = if page {
        let prepay_id = package.strip_prefix("prepay_id=");
        prepay_id.ok_or_else(|| format!("package is {package}"))?.to_owned()
    } else if package == "Sign=WXPay" {
        text("prepayid")?
    } else {
        return Err(format!("package is {package}"));
    };
    let trade = sim.book().by_code(&prepay_id).cloned();
    let trade = trade.ok_or_else(|| format!("no order has the prepay id {prepay_id}"))?;
    fits(sim, &trade, &app, page, parameters)?;

    let account = sim.wechat.get(&trade.merchant).ok_or("no such merchant")?;
    let checked = if trade.dialect == Dialect::WechatV3 {
        let fourth = if page { package.clone() } else { prepay_id.clone() };
        v3_sign(account, [&app, &time, &nonce, &fourth], &sign)
    } else {
        v2_sign(account, &trade, page, [app, time, nonce, package, prepay_id], &sign)
    };
    if !checked {
        return Err(format!("the signature {sign} does not fit"));
    }
    if page && trade.dialect == Dialect::WechatV3 && text("signType")? != "RSA" {
        return Err("signType is not RSA".to_owned());
    }
    Ok(trade)
}

fn fits(
    sim: &Sim,
    trade: &Trade,
    app: &str,
    page: bool,
    parameters: &Value,
) -> Result<(), String> {
    let product = if page { "JSAPI" } else { "APP" };
    if trade.product != product {
        return Err(format!("the order is for {}, not for {product}", trade.product));
    }
    if trade.app != app {
        return Err(format!("the order is of application {}", trade.app));
    }
    if !page && parameters["partnerid"] != trade.merchant.as_str() {
        return Err("partnerid is not the merchant number".to_owned());
    }
    match trade.state(sim.now()) {
        State::Open => Ok(()),
        state => Err(format!("the order cannot be paid: {state:?}")),
    }
}

fn v3_sign(account: &WechatAccount, lines: [&str; 4], sign: &str) -> bool {
    let text = format!("{}\n", lines.join("\n"));
    account.key.verifies(Hash::Sha256, text.as_bytes(), sign)
}

fn v2_sign(
    account: &WechatAccount,
    trade: &Trade,
    page: bool,
    [app, time, nonce, package, prepay_id]: [String; 5],
    sign: &str,
) -> bool {
    let hmac = trade.dialect == Dialect::WechatHmac;
    let fields = if page {
        let sign_type = if hmac { "HMAC-SHA256" } else { "MD5" };
        v2::fields([
            ("appId", app),
            ("timeStamp", time),
            ("nonceStr", nonce),
            ("package", package),
            ("signType", sign_type.to_owned()),
        ])
    } else {
        v2::fields([
            ("appid", app),
            ("partnerid", trade.merchant.clone()),
            ("prepayid", prepay_id),
            ("package", package),
            ("noncestr", nonce),
            ("timestamp", time),
        ])
    };
    same(&v2::sign(&fields, account.api_key(), hmac), sign)
}
