//! Bill files, and the addresses under which v3 hands them out.

use std::{
    collections::HashMap,
    fmt::Write as _,
    io::Write,
    sync::{Mutex, PoisonError},
};

use chrono::{DateTime, NaiveDate, TimeDelta, Timelike, Utc};
use flate2::{Compression, write::GzEncoder};

use super::{order::NotPlaced, refund_state};
use crate::{
    clock::{beijing, spaced},
    crypto::nonce,
    fault::Act,
    http::yuan,
    ledger::Provider,
    sim::Sim,
    statement::{self, Line},
};

/// How long a download address works.
const DOWNLOAD: TimeDelta = TimeDelta::minutes(5);
/// Most addresses that are kept.
const MOST_FILES: usize = 1000;
/// Bills are made from nine in the morning of the next day on, and kept three months.
const READY_HOUR: u32 = 9;
const KEPT: TimeDelta = TimeDelta::days(92);
/// The rate of the merchant's fee, in hundredths of a percent.
const RATE: i64 = 60;

const COLUMNS: [&str; 27] = [
    "交易时间",
    "公众账号ID",
    "商户号",
    "特约商户号",
    "设备号",
    "微信订单号",
    "商户订单号",
    "用户标识",
    "交易类型",
    "交易状态",
    "付款银行",
    "货币种类",
    "应结订单金额",
    "代金券金额",
    "微信退款单号",
    "商户退款单号",
    "退款金额",
    "充值券退款金额",
    "退款类型",
    "退款状态",
    "商品名称",
    "商户数据包",
    "手续费",
    "费率",
    "订单金额",
    "申请退款金额",
    "费率备注",
];
/// The columns of refunds, which `SUCCESS` leaves out.
const REFUND_COLUMNS: [usize; 7] = [14, 15, 16, 17, 18, 19, 25];
const TOTALS: &str = "总交易单数,应结订单总金额,退款总金额,充值券退款总金额,手续费总金额,\
                      订单总金额,申请退款总金额";

/// Which rows a bill has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BillKind {
    All,
    Success,
    Refund,
}

/// Why there is no bill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoBill {
    /// It is not made yet.
    Creating,
    /// Nothing happened on that day.
    Empty,
    /// That day has no bill: it is not over, or too long ago.
    Date,
}

/// The day's trades as CSV; `date` is any moment of the day.
pub(super) fn trades(
    sim: &Sim,
    mchid: &str,
    date: DateTime<Utc>,
    kind: BillKind,
    act: Option<&Act>,
) -> Result<String, NoBill> {
    let day = ready(sim, date)?;
    if act == Some(&Act::BillNotReady) {
        return Err(NoBill::Creating);
    }
    let on_day = |at: DateTime<Utc>| beijing(at).date_naive() == day;
    let lines = statement::lines(sim, Provider::Wechat, mchid, on_day, act);
    let wanted = |line: &&Line| match kind {
        BillKind::All => true,
        BillKind::Success => line.refund.is_none(),
        BillKind::Refund => line.refund.is_some(),
    };
    let rows: Vec<_> = lines.iter().filter(wanted).map(|line| (line.at, row(line))).collect();
    if rows.is_empty() { Err(NoBill::Empty) } else { Ok(render(kind, &rows)) }
}

fn render(kind: BillKind, rows: &[(DateTime<Utc>, Vec<String>)]) -> String {
    let shown = |column: &usize| kind != BillKind::Success || !REFUND_COLUMNS.contains(column);
    let mut header: Vec<&str> = (0..COLUMNS.len()).filter(shown).map(|n| COLUMNS[n]).collect();
    if kind == BillKind::Refund {
        header.splice(14..14, ["退款申请时间", "退款成功时间"]);
    }
    let mut text = format!("{}\r\n", header.join(","));
    let mut sums = [0i64; 5];
    for (at, row) in rows {
        let mut cells: Vec<String> =
            (0..COLUMNS.len()).filter(shown).map(|n| format!("`{}", row[n])).collect();
        if kind == BillKind::Refund {
            let at = format!("`{}", spaced(*at));
            cells.splice(14..14, [at.clone(), at]);
        }
        text.push_str(&cells.join(","));
        text.push_str("\r\n");
        for (sum, column) in sums.iter_mut().zip([12, 16, 22, 24, 25]) {
            *sum += hundred_thousandths(&row[column]);
        }
    }
    let money = |sum: i64| yuan(sum / 1000);
    let fee = format!("{}{:03}", yuan(sums[2] / 1000), sums[2].abs() % 1000);
    let totals = [
        rows.len().to_string(),
        money(sums[0]),
        money(sums[1]),
        "0.00".to_owned(),
        fee,
        money(sums[3]),
        money(sums[4]),
    ];
    let totals: Vec<_> = totals.iter().map(|sum| format!("`{sum}")).collect();
    let _ = write!(text, "{TOTALS}\r\n{}\r\n", totals.join(","));
    text
}

/// Yuan with up to five decimals as whole hundred-thousandths.
fn hundred_thousandths(text: &str) -> i64 {
    let (sign, text) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    let (whole, cents) = text.split_once('.').unwrap_or((text, "0"));
    let parts = (whole.parse::<i64>(), format!("{cents:0<5}").parse::<i64>());
    if let (Ok(whole), Ok(cents)) = parts { sign * (whole * 100_000 + cents) } else { 0 }
}

fn row(line: &Line) -> Vec<String> {
    let (trade, refund) = (&line.trade, line.refund.as_ref());
    let none = || "0.00".to_owned();
    let fee = |fen: i64| {
        // In hundred-thousandths of a yuan: fen * 1000, times the rate.
        let fee = fen * 1000 * RATE / 10_000 + line.fee_error;
        let (sign, fee) = if fee < 0 { ("-", -fee) } else { ("", fee) };
        format!("{sign}{}.{:05}", fee / 100_000, fee % 100_000)
    };
    let amount = |fen: i64| if refund.is_some() { none() } else { yuan(fen) };
    let refunded = refund.map_or_else(none, |refund| yuan(refund.amount));
    let state = if refund.is_some() { "REFUND" } else { "SUCCESS" };
    let text = |value: &str| value.replace([',', '\r', '\n'], " ");
    vec![
        spaced(line.at),
        trade.app.clone(),
        trade.merchant.clone(),
        "0".to_owned(),
        String::new(),
        trade.number.clone(),
        trade.key.clone(),
        trade.payer.clone().unwrap_or_default(),
        trade.product.clone(),
        state.to_owned(),
        "OTHERS".to_owned(),
        "CNY".to_owned(),
        amount(trade.amount),
        none(),
        refund.map_or_else(|| "0".to_owned(), |refund| refund.id.clone()),
        refund.map_or_else(|| "0".to_owned(), |refund| refund.number.clone()),
        refunded.clone(),
        none(),
        refund.map_or("", |_| "ORIGINAL").to_owned(),
        refund.map_or("", refund_state).to_owned(),
        text(&trade.subject),
        text(trade.attach.as_deref().unwrap_or_default()),
        fee(refund.map_or(trade.amount, |refund| -refund.amount)),
        "0.60%".to_owned(),
        amount(trade.amount),
        refunded,
        String::new(),
    ]
}

/// The day in Beijing, when its bill can be there.
pub(super) fn ready(sim: &Sim, date: DateTime<Utc>) -> Result<NaiveDate, NoBill> {
    let now = beijing(sim.now());
    let (day, today) = (beijing(date).date_naive(), now.date_naive());
    if day >= today || today - day > KEPT {
        return Err(NoBill::Date);
    }
    let yesterday = today - TimeDelta::days(1);
    if day == yesterday && now.hour() < READY_HOUR {
        return Err(NoBill::Creating);
    }
    Ok(day)
}

/// `data`, packed.
pub(super) fn gzip(data: &[u8]) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::default());
    // Writing to memory does not fail.
    packer.write_all(data).and_then(|()| packer.finish()).unwrap_or_default()
}

/// The files that v3's download addresses lead to.
#[derive(Debug, Default)]
pub(crate) struct Files(Mutex<HashMap<String, File>>);

#[derive(Debug)]
struct File {
    until: DateTime<Utc>,
    owner: String,
    data: Vec<u8>,
}

impl Files {
    /// Keeps `data` for `mchid`; answers with the token of its address.
    pub(super) fn keep(
        &self,
        mchid: &str,
        data: Vec<u8>,
        now: DateTime<Utc>,
    ) -> Result<String, NotPlaced> {
        let mut files = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        files.retain(|_, file| file.until > now);
        if files.len() >= MOST_FILES {
            return Err(NotPlaced::Full);
        }
        let token = nonce(32);
        let file = File { until: now + DOWNLOAD, owner: mchid.to_owned(), data };
        files.insert(token.clone(), file);
        Ok(token)
    }

    /// The file of `token`, while its address works.
    pub(super) fn get(&self, mchid: &str, token: &str, now: DateTime<Utc>) -> Option<Vec<u8>> {
        let files = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let file = files.get(token)?;
        (file.until > now && file.owner == mchid).then(|| file.data.clone())
    }
}
