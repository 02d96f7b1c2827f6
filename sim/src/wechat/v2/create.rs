//! `/pay/unifiedorder`.

use std::net::IpAddr;

use chrono::{DateTime, TimeDelta, Utc};

use super::{Call, Fail, Outcome, bad, fields};
use crate::{
    clock::parse_digits,
    http::is_address,
    wechat::{
        is_number,
        order::{NotPlaced, Order, Placed, place},
    },
};

pub(super) fn unified_order(call: &Call<'_>) -> Result<Outcome, Fail> {
    let product = product(call)?;
    let key = call.required("out_trade_no")?;
    if !is_number(key, 1, 32, false) {
        return Err(bad("out_trade_no", "is not 1 to 32 of 0-9 A-Z a-z _ - | *"));
    }
    let notify_url = call.required("notify_url")?;
    if !is_address(notify_url, 256, false) || notify_url.contains('?') {
        return Err(bad("notify_url", "is not an absolute address without a query"));
    }
    if call.required("spbill_create_ip")?.parse::<IpAddr>().is_err() {
        return Err(bad("spbill_create_ip", "is not an IP address"));
    }
    if call.field("fee_type").is_some_and(|currency| currency != "CNY") {
        return Err(bad("fee_type", "is not CNY"));
    }
    let rest = [call.field("product_id"), call.field("detail"), call.field("limit_pay")];
    let order = Order {
        app: call.required("appid")?.to_owned(),
        key: key.to_owned(),
        product,
        amount: call.amount("total_fee")?,
        subject: call.required("body")?.to_owned(),
        attach: call.field("attach").map(str::to_owned),
        notify_url: notify_url.to_owned(),
        payer: call.field("openid").map(str::to_owned),
        expires: expiry(call)?,
        dialect: call.dialect(),
        rest: format!("{rest:?}"),
    };
    let placed = place(call.sim, call.account, order).map_err(|refused| match refused {
        NotPlaced::Paid => Fail::business("ORDERPAID", "the order is paid"),
        NotPlaced::Closed => Fail::business("ORDERCLOSED", "the order is closed"),
        NotPlaced::OtherData => {
            Fail::business("OUT_TRADE_NO_USED", "the number belongs to an order with other data")
        }
        NotPlaced::Full => Fail::business("SYSTEMERROR", "the simulator is full"),
    })?;
    Ok(result(call, product, placed))
}

fn result(call: &Call<'_>, product: &'static str, placed: Placed) -> Outcome {
    let mut answer =
        fields([("trade_type", product.to_owned()), ("prepay_id", placed.prepay_id.clone())]);
    match product {
        "NATIVE" => {
            let code_url = format!("weixin://wxpay/bizpayurl?pr={}", placed.code);
            answer.insert("code_url".to_owned(), code_url);
        }
        "MWEB" => {
            let page = "/cgi-bin/mmpayweb-bin/checkmweb?prepay_id=";
            let url = format!("{}{page}{}", call.sim.base(), placed.prepay_id);
            answer.insert("mweb_url".to_owned(), url);
        }
        _ => {}
    }
    Outcome::Fields { fields: answer, trade: Some(placed.trade) }
}

/// The kind of payment, with the fields that it alone needs.
fn product(call: &Call<'_>) -> Result<&'static str, Fail> {
    Ok(match call.required("trade_type")? {
        "NATIVE" => {
            call.required("product_id")?;
            "NATIVE"
        }
        "JSAPI" => {
            call.required("openid")?;
            "JSAPI"
        }
        "APP" => "APP",
        "MWEB" => {
            let scene = call.required("scene_info")?;
            let scene: serde_json::Value = serde_json::from_str(scene).unwrap_or_default();
            if !scene["h5_info"]["type"].is_string() {
                return Err(bad("scene_info", "has no h5_info with a type"));
            }
            "MWEB"
        }
        _ => return Err(bad("trade_type", "is none of NATIVE, APP, JSAPI, MWEB")),
    })
}

fn expiry(call: &Call<'_>) -> Result<Option<DateTime<Utc>>, Fail> {
    let now = call.sim.now();
    let moment = |name| match call.field(name) {
        None => Ok(None),
        Some(text) => parse_digits(text).map(Some).ok_or_else(|| bad(name, "is not a time")),
    };
    let start = moment("time_start")?.unwrap_or(now);
    let expires = moment("time_expire")?;
    if expires.is_some_and(|expires| expires < start.max(now) + TimeDelta::seconds(59)) {
        return Err(bad("time_expire", "is less than a minute ahead"));
    }
    Ok(expires)
}
