//! Bill files of WeChat Pay: CSV in UTF-8 whose values have a backtick before them. Columns are
//! found by name.

use schemas::money::{fee_of_yuan, fen_of_yuan};

use crate::payment::{
    BillLine, BillLineKind, DayBill, ProviderError, archive::gunzip, beijing, transport::FILE_BYTES,
};

/// How gzip begins.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// The text of a bill, which may be packed.
pub(super) fn unpacked(file: Vec<u8>) -> Result<Vec<u8>, ProviderError> {
    if !file.starts_with(&GZIP) {
        return Ok(file);
    }
    gunzip(&file, FILE_BYTES).ok_or_else(|| ProviderError::unknown("file"))
}

/// Reads a bill of all trades and refunds.
pub(super) fn read(file: &[u8]) -> Result<DayBill, ProviderError> {
    let broken = || ProviderError::unknown("bill");
    let text = std::str::from_utf8(file).map_err(|_| broken())?;
    let mut rows = text.trim_start_matches('\u{feff}').lines();
    let header: Vec<_> = rows.next().ok_or_else(broken)?.split(',').map(str::trim).collect();
    let columns = Columns { header };
    let mut lines = Vec::new();
    // Values begin with a backtick; the headline of the totals is the first row without one.
    for row in rows.take_while(|row| row.starts_with('`')) {
        let values: Vec<_> = row.split(",`").map(|value| value.trim_start_matches('`')).collect();
        if values.len() != columns.header.len() {
            return Err(broken());
        }
        lines.push(columns.line(&values).ok_or_else(broken)?);
    }
    Ok(if lines.is_empty() { DayBill::Empty } else { DayBill::Lines(lines) })
}

struct Columns<'t> {
    header: Vec<&'t str>,
}

impl Columns<'_> {
    fn value<'v>(&self, values: &[&'v str], name: &str) -> Option<&'v str> {
        let place = self.header.iter().position(|column| *column == name)?;
        values.get(place).copied().map(str::trim)
    }

    fn line(&self, values: &[&str]) -> Option<BillLine> {
        let value = |name: &str| self.value(values, name);
        let filled = |name: &str| {
            value(name).filter(|text| !text.is_empty() && *text != "0").map(str::to_owned)
        };
        let state = value("交易状态")?;
        let kind = match state {
            "SUCCESS" => BillLineKind::Payment,
            "REFUND" | "REVOKED" => BillLineKind::Refund,
            _ => BillLineKind::Other,
        };
        let amount = match kind {
            BillLineKind::Refund => value("申请退款金额").or_else(|| value("退款金额")),
            BillLineKind::Payment | BillLineKind::Other => {
                value("订单金额").or_else(|| value("应结订单金额"))
            }
        };
        let refund_state = filled("退款状态").filter(|_| kind == BillLineKind::Refund);
        Some(BillLine {
            kind,
            key: value("商户订单号")?.to_owned(),
            refund_key: filled("商户退款单号"),
            transaction_id: value("微信订单号")?.to_owned(),
            refund_id: filled("微信退款单号"),
            amount_fen: fen_of_yuan(amount?)?.abs(),
            fee_thousandths: value("手续费").and_then(fee_of_yuan),
            state: refund_state.unwrap_or_else(|| state.to_owned()),
            at: value("交易时间").and_then(|time| beijing::read(time, beijing::SPACED)),
        })
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::panic, reason = "a panic is how a test fails")]

    use super::*;

    const BILL: &str = "\u{feff}交易时间,公众账号ID,商户号,微信订单号,商户订单号,交易状态,微信退款单号,商户退款单号,退款金额,退款状态,商品名称,手续费,订单金额,申请退款金额\r\n\
        `2026-11-22 10:15:30,`wx1,`1900000109,`42000001,`20261122000000000001,`SUCCESS,`0,`0,`0.00,`,`a, b,`0.05000,`8.88,`0.00\r\n\
        `2026-11-22 11:00:00,`wx1,`1900000109,`42000001,`20261122000000000001,`REFUND,`50000001,`R0000001,`1.00,`SUCCESS,`a, b,`-0.01000,`0.00,`1.00\r\n\
        总交易单数,应结订单总金额\r\n`2,`8.88\r\n";

    #[test]
    fn lines_are_read_by_the_names_of_columns() {
        let Ok(DayBill::Lines(lines)) = read(BILL.as_bytes()) else { panic!("no lines") };

        assert_eq!(lines.len(), 2);
        let [paid, refund] = [&lines[0], &lines[1]];
        assert_eq!((paid.kind, paid.amount_fen), (BillLineKind::Payment, 888));
        assert_eq!((paid.fee_thousandths, paid.refund_key.as_deref()), (Some(5_000), None));
        assert_eq!((refund.kind, refund.amount_fen), (BillLineKind::Refund, 100));
        assert_eq!(refund.refund_key.as_deref(), Some("R0000001"));
        assert_eq!(refund.fee_thousandths, Some(-1_000));
    }

    #[test]
    fn a_bill_with_a_row_that_does_not_fit_is_not_half_read() {
        assert!(read("交易时间,商户订单号\r\n`1,`2,`3\r\n".as_bytes()).is_err());
        assert!(read(b"\xff\xfe").is_err());
        assert_eq!(read("交易时间,商户订单号\r\n".as_bytes()), Ok(DayBill::Empty));
    }
}
