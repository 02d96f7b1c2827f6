//! Settlement files of UnionPay: base64 of zlib of a zip, lines of fixed width in GBK.

use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::{Datelike, NaiveDate};
use encoding_rs::GBK;
use schemas::Timestamp;

use super::{
    UnionPay, at,
    sign::{VERSION, sign},
};
use crate::payment::{
    BillLine, BillLineKind, Call, DayBill, ProviderError,
    archive::{Entry, aside, inflate, unzip},
    beijing,
    fields::Fields,
    operation::{Operation, Outcome},
    transport::FILE_BYTES,
};

/// Widths of the columns in bytes; one blank stands between two.
const WIDTHS: [usize; 41] = [
    3, 11, 11, 6, 10, 19, 12, 4, 2, 21, 2, 32, 2, 6, 10, 13, 13, 4, 15, 2, 2, 6, 2, 4, 32, 1, 21,
    15, 1, 15, 32, 13, 13, 8, 32, 13, 13, 12, 2, 1, 131,
];

// Columns, counted from 1 as UnionPay counts them.
const TIME: usize = 5;
const AMOUNT: usize = 7;
const QUERY_ID: usize = 10;
const ORDER_ID: usize = 12;
const FEE: usize = 16;
const KIND: usize = 20;
const ORIGINAL_QUERY_ID: usize = 27;

impl UnionPay {
    pub(in crate::payment) async fn bill(
        &self,
        day: NaiveDate,
        call: &mut Call,
    ) -> Result<DayBill, ProviderError> {
        let now = beijing::write(Timestamp::now(), beijing::COMPACT);
        let mut fields = Fields::of([
            ("version", VERSION),
            ("encoding", "UTF-8"),
            ("accessType", "0"),
            ("merId", self.merchant_id()),
            ("txnType", "76"),
            ("txnSubType", "01"),
            ("bizType", "000000"),
            ("fileType", "00"),
            ("settleDate", &day.format("%m%d").to_string()),
            ("txnTime", &now),
        ]);
        let keys = self.keys.get();
        sign(&mut fields, &keys)?;
        let asked = (Operation::Fetch, "file transfer", at(&self.files, "/")?, FILE_BYTES);
        let answer = match self.exchange(asked, &fields, &keys, call).await {
            Ok(answer) => answer,
            Err(Outcome::NoBill) => return Ok(DayBill::Absent),
            Err(other) => return Err(other.into_error()),
        };
        if !answer.is("merId", self.merchant_id()) {
            return Err(ProviderError::unknown("other_merchant"));
        }
        let content = answer.need("fileContent")?.to_owned();
        aside(move || {
            let entries = unpacked(&content).ok_or_else(|| ProviderError::unknown("file"))?;
            read(&entries, day)
        })
        .await
    }
}

/// The files inside `fileContent`.
pub(super) fn unpacked(content: &str) -> Option<Vec<Entry>> {
    let packed = STANDARD.decode(content.replace(['\r', '\n'], "")).ok()?;
    unzip(&inflate(&packed, FILE_BYTES)?, FILE_BYTES)
}

/// Reads the lines of the file of trades; the file of error handling and the sums are left out.
pub(super) fn read(entries: &[Entry], day: NaiveDate) -> Result<DayBill, ProviderError> {
    let is_trades = |entry: &&Entry| {
        let name = String::from_utf8_lossy(&entry.name).into_owned();
        name.starts_with("INN") && name.contains("ZM_")
    };
    let trades = entries.iter().find(is_trades);
    let Some(trades) = trades else { return Ok(DayBill::Empty) };
    let rows = trades.content.split(|byte| *byte == b'\n');
    let rows = rows.map(|row| row.strip_suffix(b"\r").unwrap_or(row)).filter(|row| !row.is_empty());
    let lines: Option<Vec<_>> = rows.map(|row| line(row, day)).collect();
    let lines = lines.ok_or_else(|| ProviderError::unknown("bill"))?;
    Ok(if lines.is_empty() { DayBill::Empty } else { DayBill::Lines(lines) })
}

/// Bytes are cut first and decoded afterwards.
fn line(row: &[u8], day: NaiveDate) -> Option<BillLine> {
    let mut columns = Vec::with_capacity(WIDTHS.len());
    let mut begin = 0;
    for width in WIDTHS {
        let column = row.get(begin..begin + width)?;
        columns.push(GBK.decode(column).0.trim().to_owned());
        begin += width + 1;
    }
    let column = |number: usize| columns[number - 1].as_str();
    let kind = match column(KIND) {
        "01" => BillLineKind::Payment,
        "04" | "31" => BillLineKind::Refund,
        _ => BillLineKind::Other,
    };
    let is_refund = kind == BillLineKind::Refund;
    let own = column(QUERY_ID).to_owned();
    let original = column(ORIGINAL_QUERY_ID).to_owned();
    Some(BillLine {
        kind,
        key: column(ORDER_ID).to_owned(),
        refund_key: is_refund.then(|| column(ORDER_ID).to_owned()),
        transaction_id: if is_refund { original } else { own.clone() },
        refund_id: is_refund.then_some(own),
        amount_fen: column(AMOUNT).parse().ok().filter(|amount| *amount >= 0)?,
        fee_thousandths: fee(column(FEE)),
        state: column(1).to_owned(),
        at: time(column(TIME), day),
    })
}

/// `D` is money from the merchant, `C` money to it.
fn fee(text: &str) -> Option<i64> {
    let (sign, digits) = match text.split_at_checked(1)? {
        ("D", digits) => (1, digits),
        ("C", digits) => (-1, digits),
        _ => return None,
    };
    digits.parse::<i64>().ok()?.checked_mul(1_000 * sign)
}

/// The file gives month and day only; a settlement day begins in the evening before.
fn time(text: &str, day: NaiveDate) -> Option<Timestamp> {
    let last_year = day.month() == 1 && text.starts_with("12");
    let year = if last_year { day.year() - 1 } else { day.year() };
    beijing::read(&format!("{year:04}{text}"), beijing::COMPACT)
}
