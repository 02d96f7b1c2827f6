//! Bill files of Alipay: a zip of CSV files in GBK. Columns are found by name.

use chrono::NaiveDate;
use encoding_rs::GBK;
use reqwest::Method;
use schemas::money::{fee_of_yuan, fen_of_yuan};
use serde_json::json;
use url::Url;

use super::{Alipay, answer::text_of, sign::Asked};
use crate::payment::{
    BillLine, BillLineKind, Call, DayBill, ProviderError,
    archive::{aside, unzip},
    beijing,
    operation::{Operation, Outcome},
    transport::{FILE_BYTES, Request},
};

const METHOD: &str = "alipay.data.dataservice.bill.downloadurl.query";

impl Alipay {
    pub(in crate::payment) async fn bill(
        &self,
        day: NaiveDate,
        call: &mut Call,
    ) -> Result<DayBill, ProviderError> {
        let content = json!({ "bill_type": "trade", "bill_date": day.to_string() });
        let node = match self.ask(Operation::Fetch, &Asked::plain(METHOD, content), call).await {
            Ok(node) => node,
            Err(Outcome::NoBill) => return Ok(DayBill::Absent),
            Err(other) => return Err(other.into_error()),
        };
        if text_of(&node, "bill_file_code") == Some("EMPTY_DATA_WITH_BILL_FILE") {
            return Ok(DayBill::Empty);
        }
        let address = text_of(&node, "bill_download_url");
        let address = address.ok_or_else(|| ProviderError::unknown("without_address"))?;
        let request = Request {
            operation: "bill download",
            method: Method::GET,
            url: self.bill_address(address)?,
            headers: Vec::new(),
            body: None,
            fields: Vec::new(),
            max_bytes: FILE_BYTES,
            client: None,
        };
        let answer = self.transport.send(request, call).await?;
        if answer.status != 200 {
            return Err(ProviderError::unknown("http_status"));
        }
        aside(move || unpack(&answer.body)).await
    }

    /// Bill files come from the gateway's own host, or from one of those that are known.
    fn bill_address(&self, address: &str) -> Result<Url, ProviderError> {
        let foreign = || ProviderError::unknown("foreign_address");
        let url = Url::parse(address).map_err(|_| foreign())?;
        let host = url.host_str().ok_or_else(foreign)?;
        let known = [".alipay.com", ".alipaydev.com"].iter().any(|end| host.ends_with(end));
        let named = self.bill_hosts.iter().any(|name| name == host);
        let own = url.origin() == self.gateway.url().origin();
        let trusted = own || ((known || named) && url.scheme() == "https");
        if trusted { Ok(url) } else { Err(foreign()) }
    }
}

/// Finds the file of details in the zip and reads it.
fn unpack(file: &[u8]) -> Result<DayBill, ProviderError> {
    let broken = || ProviderError::unknown("file");
    let entries = unzip(file, FILE_BYTES).ok_or_else(broken)?;
    let mut texts = entries.iter().map(|entry| GBK.decode(&entry.content).0);
    read(&texts.find(|text| text.contains("业务类型")).ok_or_else(broken)?)
}

/// Reads the file of details. Lines that begin with `#` are titles and totals.
fn read(text: &str) -> Result<DayBill, ProviderError> {
    let broken = || ProviderError::unknown("bill");
    let mut rows = text.lines().filter(|row| !row.starts_with('#') && !row.trim().is_empty());
    let header: Vec<_> = rows.next().ok_or_else(broken)?.split(',').map(str::trim).collect();
    let mut lines = Vec::new();
    for row in rows {
        let values: Vec<_> = row.split(',').map(str::trim).collect();
        let value = |name: &str| {
            let place = header.iter().position(|column| *column == name)?;
            values.get(place).copied()
        };
        lines.push(line(value).ok_or_else(broken)?);
    }
    Ok(if lines.is_empty() { DayBill::Empty } else { DayBill::Lines(lines) })
}

fn line<'v>(value: impl Fn(&str) -> Option<&'v str>) -> Option<BillLine> {
    let filled = |name: &str| value(name).filter(|text| !text.is_empty()).map(str::to_owned);
    let kind = match value("业务类型")? {
        "交易" => BillLineKind::Payment,
        "退款" => BillLineKind::Refund,
        _ => BillLineKind::Other,
    };
    Some(BillLine {
        kind,
        key: value("商户订单号")?.to_owned(),
        refund_key: filled("退款批次号/请求号").filter(|_| kind == BillLineKind::Refund),
        transaction_id: value("支付宝交易号")?.to_owned(),
        refund_id: None,
        amount_fen: fen_of_yuan(value("订单金额（元）")?)?.abs(),
        // Alipay writes what it takes with a minus.
        fee_thousandths: value("服务费（元）").and_then(fee_of_yuan).map(|fee| -fee),
        state: value("业务类型")?.to_owned(),
        at: value("完成时间").and_then(|at| beijing::read(at, beijing::SPACED)),
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::panic, reason = "a panic is how a test fails")]

    use super::*;

    #[test]
    fn lines_are_read_by_the_names_of_columns() {
        let text = "#支付宝业务明细查询\r\n#账号：[2088]\r\n\
            支付宝交易号,商户订单号,业务类型,商品名称,创建时间,完成时间,订单金额（元）,退款批次号/请求号,服务费（元）,备注\r\n\
            2026112322001\t,20261122000000000001\t,交易\t,会员\t,2026-11-22 10:15:00,2026-11-22 10:15:30,88.88,\t,-0.53,\t\r\n\
            2026112322001\t,20261122000000000001\t,退款\t,会员\t,2026-11-22 10:15:00,2026-11-22 11:00:00,-8.88,R0000001\t,0.05,\t\r\n\
            #共2笔\r\n";
        let Ok(DayBill::Lines(lines)) = read(text) else { panic!("no lines") };

        let seen: Vec<_> = lines
            .iter()
            .map(|line| (line.kind, line.amount_fen, line.refund_key.as_deref()))
            .collect();
        assert_eq!(
            seen,
            [(BillLineKind::Payment, 8_888, None), (BillLineKind::Refund, 888, Some("R0000001"))]
        );
        assert_eq!(lines[0].fee_thousandths, Some(53_000));
        assert!(read("").is_err());
    }
}
