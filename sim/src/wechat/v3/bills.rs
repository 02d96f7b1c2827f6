//! Certificates, bills and their download.

use std::fmt::Write;

use chrono::{DateTime, NaiveDate, Utc};
use serde_json::{Value, json};

use super::{
    Call, Done, Problem,
    body::{query, query_optional},
};
use crate::{
    clock::{parse_digits, rfc3339, spaced},
    crypto::{Certificate, nonce, seal, sha1},
    http::yuan,
    ledger::{Effect, Provider},
    merchant::{PLATFORM_A, PLATFORM_B, WechatKeys},
    wechat::bill::{self, BillKind, NoBill, gzip},
};

pub(super) fn certificates(call: &Call<'_>) -> Result<Done, Problem> {
    if call.account.merchant.keys == WechatKeys::PublicKey {
        let message = "无可用的平台证书，请使用微信支付公钥";
        return Err(Problem::new(404, "RESOURCE_NOT_EXISTS", message));
    }
    let both = call.sim.has_rotated(Provider::Wechat);
    let held = if both { vec![PLATFORM_A, PLATFORM_B] } else { vec![PLATFORM_A] };
    let mut data = Vec::new();
    for pem in held {
        let unusable = |_| Problem::new(500, "SYSTEM_ERROR", "a certificate is damaged");
        let read = Certificate::from_pem(pem).map_err(unusable)?;
        let nonce = nonce(12);
        let key = call.account.apiv3_key().as_bytes();
        let ciphertext = seal(key, &nonce, "certificate", pem).map_err(unusable)?;
        data.push(json!({
            "serial_no": read.serial_hex,
            "effective_time": rfc3339(read.not_before),
            "expire_time": rfc3339(read.not_after),
            "encrypt_certificate": {
                "algorithm": "AEAD_AES_256_GCM",
                "nonce": nonce,
                "associated_data": "certificate",
                "ciphertext": ciphertext,
            },
        }));
    }
    Ok(Done::json(json!({ "data": data })))
}

pub(super) fn trade_bill(call: &Call<'_>) -> Result<Done, Problem> {
    let date = date(call)?;
    let kind = match query_optional(call, "bill_type").as_deref() {
        None | Some("ALL") => BillKind::All,
        Some("SUCCESS") => BillKind::Success,
        Some("REFUND") => BillKind::Refund,
        Some(other) => return Err(unknown("bill_type", other)),
    };
    let text = bill::trades(call.sim, call.account.mchid(), date, kind, call.act);
    let text = text.map_err(refusal)?;
    offer(call, &text)
}

pub(super) fn fund_bill(call: &Call<'_>) -> Result<Done, Problem> {
    let quota = call.sim.settings.quotas.wechat_fund_bills;
    if !call.sim.within(format!("wechat.fundbill/{}", call.account.mchid()), quota) {
        return Err(Problem::new(429, "RATELIMIT_EXCEEDED", "资金账单请求过快"));
    }
    let date = date(call)?;
    match query_optional(call, "account_type").as_deref() {
        None | Some("BASIC" | "OPERATION" | "FEES") => {}
        Some(other) => return Err(unknown("account_type", other)),
    }
    let day = bill::ready(call.sim, date).map_err(refusal)?;
    let mut text = "记账时间,微信支付业务单号,业务名称,收支类型,收支金额（元）\r\n".to_owned();
    let mut rows = 0;
    for entry in &call.sim.book().ledger.entries {
        let mine = entry.provider == Provider::Wechat && entry.merchant == call.account.mchid();
        if !mine || crate::clock::beijing(entry.at).date_naive() != day {
            continue;
        }
        rows += 1;
        let (name, way) = match entry.effect {
            Effect::Paid => ("交易", "收入"),
            Effect::Refunded => ("退款", "支出"),
            Effect::Returned => ("退款退回", "收入"),
            Effect::Withdrawn => ("提现", "支出"),
        };
        let (at, amount) = (spaced(entry.at), yuan(entry.amount));
        let _ = write!(text, "`{at},`{},`{name},`{way},`{amount}\r\n", entry.key);
    }
    if rows == 0 {
        return Err(refusal(NoBill::Empty));
    }
    offer(call, &text)
}

fn offer(call: &Call<'_>, text: &str) -> Result<Done, Problem> {
    let hash = sha1(text.as_bytes());
    let file = match query_optional(call, "tar_type").as_deref() {
        None => text.as_bytes().to_vec(),
        Some("GZIP") => gzip(text.as_bytes()),
        Some(other) => return Err(unknown("tar_type", other)),
    };
    let token = call
        .sim
        .files
        .keep(call.account.mchid(), file, call.sim.now())
        .map_err(|_| Problem::new(500, "SYSTEM_ERROR", "the simulator keeps too many files"))?;
    let url = format!("{}/v3/billdownload/file?token={token}", call.sim.base());
    let answer = json!({ "hash_type": "SHA1", "hash_value": hash, "download_url": url });
    Ok(Done::json(answer))
}

pub(super) fn download(call: &Call<'_>) -> Result<Done, Problem> {
    let token = query(call, "token")?;
    let file = call.sim.files.get(call.account.mchid(), &token, call.sim.now());
    file.map(Done::file).ok_or_else(|| Problem::new(400, "INVALID_REQUEST", "下载地址已失效"))
}

fn date(call: &Call<'_>) -> Result<DateTime<Utc>, Problem> {
    let text = query(call, "bill_date")?;
    let whole = text.len() == 10 && NaiveDate::parse_from_str(&text, "%Y-%m-%d").is_ok();
    let moment = parse_digits(&format!("{}120000", text.replace('-', "")));
    moment.filter(|_| whole).ok_or_else(|| {
        Problem::field("bill_date", &Value::from(text), "is not yyyy-MM-dd", "query")
    })
}

fn unknown(name: &str, value: &str) -> Problem {
    Problem::field(name, &Value::from(value), "is unknown", "query")
}

fn refusal(none: NoBill) -> Problem {
    match none {
        NoBill::Creating => Problem::new(400, "STATEMENT_CREATING", "账单文件正在生成"),
        NoBill::Empty => Problem::new(400, "NO_STATEMENT_EXIST", "账单文件不存在"),
        NoBill::Date => Problem::new(400, "INVALID_REQUEST", "该日期没有账单"),
    }
}
