//! `/v3/pay/transactions/native`, `/app`, `/jsapi`, `/h5`.

use std::net::IpAddr;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

use super::{Call, Done, Problem, body::Body};
use crate::{
    book::Dialect,
    http::is_address,
    wechat::{
        is_number,
        order::{NotPlaced, Order, place},
    },
};

pub(super) fn create(call: &Call<'_>) -> Result<Done, Problem> {
    let product = match call.segments.last().map(String::as_str) {
        Some("native") => "NATIVE",
        Some("app") => "APP",
        Some("jsapi") => "JSAPI",
        _ => "MWEB",
    };
    let quota = call.sim.settings.quotas.wechat_jsapi;
    if product == "JSAPI"
        && !call.sim.within(format!("wechat.jsapi/{}", call.account.mchid()), quota)
    {
        return Err(Problem::new(429, "RATELIMIT_EXCEEDED", "JSAPI orders come too fast"));
    }
    let order = order(call, product)?;
    let placed = place(call.sim, call.account, order).map_err(|refused| match refused {
        NotPlaced::Paid => Problem::new(400, "INVALID_REQUEST", "该订单已支付"),
        NotPlaced::Closed => Problem::new(400, "ORDER_CLOSED", "该订单已关闭"),
        NotPlaced::OtherData => Problem::new(403, "OUT_TRADE_NO_USED", "商户订单号重复：数据不同"),
        NotPlaced::Full => Problem::new(500, "SYSTEM_ERROR", "the simulator is full"),
    })?;
    let prepay_id = &placed.prepay_id;
    let answer = match product {
        "NATIVE" => json!({ "code_url": format!("weixin://wxpay/bizpayurl?pr={}", placed.code) }),
        "MWEB" => {
            let page = "/cgi-bin/mmpayweb-bin/checkmweb?prepay_id=";
            json!({ "h5_url": format!("{}{page}{prepay_id}", call.sim.base()) })
        }
        _ => json!({ "prepay_id": prepay_id }),
    };
    Ok(Done::json(answer).about(placed.trade))
}

fn order(call: &Call<'_>, product: &'static str) -> Result<Order, Problem> {
    let body = Body::read(call)?;
    let app = body.text("/appid", 32)?;
    body.merchant(call)?;
    if !call.account.has_app(&app) {
        let message = "appid 与 mchid 不匹配";
        return Err(Problem::new(400, "APPID_MCHID_NOT_MATCH", message));
    }
    let subject = body.text("/description", 127)?;
    let key = body.text("/out_trade_no", 32)?;
    if !is_number(&key, 6, 32, false) {
        return Err(body.bad("/out_trade_no", "is not 6 to 32 of 0-9 A-Z a-z _ - | *"));
    }
    let notify_url = body.text("/notify_url", 255)?;
    if !is_address(&notify_url, 255, true) || notify_url.contains('?') {
        return Err(body.bad("/notify_url", "is not an https address without a query"));
    }
    let currency = body.optional("/amount/currency", 16)?;
    if currency.is_some_and(|currency| currency != "CNY") {
        return Err(body.bad("/amount/currency", "is not CNY"));
    }
    if body.get("/detail").is_some_and(|detail| detail.to_string().len() > 6144) {
        return Err(body.bad("/detail", "is longer than 6144 bytes"));
    }
    body.optional("/goods_tag", 32)?;
    for flag in ["/support_fapiao", "/settle_info/profit_sharing"] {
        if body.get(flag).is_some_and(|value| !value.is_boolean()) {
            return Err(body.bad(flag, "is not a boolean"));
        }
    }
    scene(&body, product)?;
    let payer = body.optional("/payer/openid", 128)?;
    if product == "JSAPI" && payer.is_none() {
        return Err(body.bad("/payer/openid", "is missing"));
    }
    Ok(Order {
        app,
        key,
        product,
        amount: body.amount("/amount/total")?,
        subject,
        attach: body.optional("/attach", 128)?,
        notify_url,
        payer,
        expires: expiry(call, &body, product)?,
        dialect: Dialect::WechatV3,
        rest: body.get("/detail").map(ToString::to_string).unwrap_or_default(),
    })
}

fn scene(body: &Body, product: &str) -> Result<(), Problem> {
    let ip = body.optional("/scene_info/payer_client_ip", 45)?;
    let is_ip = ip.as_deref().map(|ip| ip.parse::<IpAddr>().is_ok());
    if is_ip == Some(false) {
        return Err(body.bad("/scene_info/payer_client_ip", "is not an IP address"));
    }
    if product != "MWEB" {
        return Ok(());
    }
    if is_ip.is_none() {
        return Err(body.bad("/scene_info/payer_client_ip", "is missing"));
    }
    let kind = body.text("/scene_info/h5_info/type", 32)?;
    if ["Wap", "iOS", "Android"].contains(&kind.as_str()) {
        Ok(())
    } else {
        Err(body.bad("/scene_info/h5_info/type", "is none of Wap, iOS, Android"))
    }
}

fn expiry(call: &Call<'_>, body: &Body, product: &str) -> Result<Option<DateTime<Utc>>, Problem> {
    let Some(text) = body.optional("/time_expire", 64)? else { return Ok(None) };
    let issue = |issue: &str| body.bad("/time_expire", issue);
    let moment = DateTime::parse_from_rfc3339(&text)
        .map_err(|_| issue("is not a time in RFC 3339"))?
        .to_utc();
    let ahead = moment - call.sim.now();
    let most = TimeDelta::days(if product == "NATIVE" { 7 } else { 15 });
    if ahead < TimeDelta::seconds(59) {
        return Err(issue("is less than a minute ahead"));
    }
    if ahead > most {
        return Err(issue("is too far ahead"));
    }
    Ok(Some(moment))
}
