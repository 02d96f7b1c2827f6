//! Bills: their addresses, which live for half a minute, and the files behind them.

use std::fmt::Write;

use chrono::{DateTime, TimeDelta, Timelike, Utc};
use serde_json::json;

use super::gateway::{Call, Done, Fail};
use crate::{
    clock::{beijing, spaced},
    crypto::hmac_sha256,
    fault::Act,
    http::{Reply, Request, yuan},
    ledger::Provider,
    sim::Sim,
    statement::{self, Line},
    zip,
};

/// How long an address works.
const LIFETIME: TimeDelta = TimeDelta::seconds(30);
const READY_HOUR: u32 = 9;
const COLUMNS: &str = "支付宝交易号,商户订单号,业务类型,商品名称,创建时间,完成时间,门店编号,\
    门店名称,操作员,终端号,对方账户,订单金额（元）,商家实收（元）,支付宝红包（元）,集分宝（元）,\
    支付宝优惠（元）,商家优惠（元）,券核销金额（元）,券名称,商家红包消费金额（元）,\
    卡消费金额（元）,退款批次号/请求号,服务费（元）,分润（元）,备注";

pub(super) fn address(call: &Call<'_>) -> Result<Done, Fail> {
    let kind = call.required("bill_type", 20)?;
    if !["trade", "signcustomer", "merchant_act"].contains(&kind.as_str()) {
        return Err(Fail::business("TYPE_NOT_SUPPORTED", format!("bill_type is {kind}")));
    }
    let date = call.required("bill_date", 15)?;
    let wrong = || Fail::business("INVAILID_ARGUMENTS", format!("bill_date is {date}"));
    let digits = date.replace('-', "");
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    if !plain || !matches!((date.len(), digits.len()), (10, 8) | (7, 6)) {
        return Err(wrong());
    }
    let now = call.sim.now();
    if !is_ready(&date, now) || call.act == Some(&Act::BillNotReady) {
        return Err(Fail::business("BILL_NOT_EXIST", "the bill is not ready"));
    }
    let url = url(call.sim, call.account.app_id(), &date, now);
    let mut node = json!({ "bill_download_url": url });
    if rows(call.sim, call.account.app_id(), &date, None).is_empty() {
        node["bill_file_code"] = json!("EMPTY_DATA_WITH_BILL_FILE");
    }
    Ok(Done::node(node))
}

fn is_ready(date: &str, now: DateTime<Utc>) -> bool {
    let now = beijing(now);
    // Before nine, the newest bill is the one of the day before yesterday.
    let back = if now.hour() < READY_HOUR { 2 } else { 1 };
    let newest = (now.date_naive() - TimeDelta::days(back)).format("%Y-%m-%d").to_string();
    let newest_month = now.date_naive().format("%Y-%m").to_string();
    if date.len() == 10 { date <= newest.as_str() } else { date < newest_month.as_str() }
}

fn url(sim: &Sim, app: &str, date: &str, now: DateTime<Utc>) -> String {
    let until = (now + LIFETIME).timestamp();
    let seal = seal(app, date, until);
    format!("{}/alipay-bill/{app}/{date}/{until}/{seal}", sim.base())
}

fn seal(app: &str, date: &str, until: i64) -> String {
    hmac_sha256(b"the simulator's own", format!("{app} {date} {until}").as_bytes())
}

/// The file behind an address: a zip with CSV in GBK.
pub(super) fn file(sim: &Sim, request: &Request, act: Option<&Act>) -> Reply {
    let parts: Vec<_> = request.path.trim_start_matches("/alipay-bill/").split('/').collect();
    let [app, date, until, given] = parts.as_slice() else {
        return Reply::html(404, "no such bill").because("not a bill's address");
    };
    let until: i64 = until.parse().unwrap_or(0);
    if !crate::crypto::same(&seal(app, date, until), given) {
        return Reply::html(403, "no such bill").because("not a bill's address");
    }
    if sim.now().timestamp() >= until {
        return Reply::html(403, "the address is too old").because("the address lived 30 seconds");
    }
    let rows = rows(sim, app, date, act);
    let detail = detail(app, date, &rows);
    let summary = format!("#支付宝业务汇总查询\r\n#总笔数：{}\r\n", rows.len());
    let (detail, summary) = (gbk(&detail), gbk(&summary));
    let name = format!("{app}_{}_业务明细.csv", date.replace('-', ""));
    let sums = format!("{app}_{}_业务明细(汇总).csv", date.replace('-', ""));
    let archive = zip::pack(&[(&name, &detail), (&sums, &summary)]);
    Reply::new(200, "application/zip", archive)
}

fn detail(app: &str, date: &str, rows: &[String]) -> String {
    let mut text = format!("#支付宝业务明细查询\r\n#账号：[{app}]\r\n#日期：[{date}]\r\n");
    let _ = write!(text, "#-----业务明细列表-----\r\n{COLUMNS}\r\n");
    for row in rows {
        text.push_str(row);
        text.push_str("\r\n");
    }
    let _ = write!(text, "#-----业务明细列表结束-----\r\n#总笔数：{}\r\n", rows.len());
    text
}

fn gbk(text: &str) -> Vec<u8> {
    encoding_rs::GBK.encode(text).0.into_owned()
}

fn rows(sim: &Sim, app: &str, date: &str, act: Option<&Act>) -> Vec<String> {
    let in_time = |at: DateTime<Utc>| spaced(at).starts_with(date);
    statement::lines(sim, Provider::Alipay, app, in_time, act).iter().map(row).collect()
}

fn row(line: &Line) -> String {
    let (trade, refund) = (&line.trade, line.refund.as_ref());
    let amount = yuan(refund.map_or(trade.amount, |refund| -refund.amount));
    let fee_fen = refund.map_or(-trade.amount, |refund| refund.amount) * 6 / 1000;
    let fee_fen = fee_fen - line.fee_error / 1_000;
    let subject = trade.subject.replace([',', '\r', '\n'], " ");
    let zero = || "0.00".to_owned();
    let cells = [
        trade.number.clone(),
        trade.key.clone(),
        if refund.is_some() { "退款" } else { "交易" }.to_owned(),
        subject,
        spaced(trade.created),
        spaced(line.at),
        String::new(),
        String::new(),
        String::new(),
        String::new(),
        "*测试(159****5620)".to_owned(),
        amount.clone(),
        amount,
        zero(),
        zero(),
        zero(),
        zero(),
        zero(),
        String::new(),
        zero(),
        zero(),
        refund.map(|refund| refund.number.clone()).unwrap_or_default(),
        yuan(fee_fen),
        zero(),
        String::new(),
    ];
    // Cells are padded with tabs.
    cells.map(|cell| format!("{cell}\t")).join(",")
}
