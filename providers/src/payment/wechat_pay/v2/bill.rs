//! Bills of the XML protocol: text on success, XML on failure.

use chrono::NaiveDate;
use reqwest::Method;

use super::{V2, xml};
use crate::payment::{
    Call, DayBill, ProviderError,
    archive::aside,
    fields::Fields,
    transport::{FILE_BYTES, Request},
    wechat_pay::bill,
};

const PATH: &str = "/pay/downloadbill";

impl V2<'_> {
    pub(in crate::payment::wechat_pay) async fn bill(
        &self,
        day: NaiveDate,
        call: &mut Call,
    ) -> Result<DayBill, ProviderError> {
        let day = day.format("%Y%m%d").to_string();
        let fields = [("bill_date", day.as_str()), ("bill_type", "ALL"), ("tar_type", "GZIP")];
        let fields = self.signed(Fields::of(fields));
        let request = Request {
            operation: PATH,
            method: Method::POST,
            url: self.app.at(PATH)?,
            headers: vec![(reqwest::header::CONTENT_TYPE, "text/xml; charset=utf-8".to_owned())],
            body: Some(xml::write(&fields)),
            fields: fields.iter().collect(),
            max_bytes: FILE_BYTES,
            client: None,
        };
        let answer = self.app.transport.send(request, call).await?;
        if answer.status != 200 {
            return Err(ProviderError::unknown("http_status"));
        }
        // Any XML means that there is no file; why is told in words only.
        if answer.body.trim_ascii_start().starts_with(b"<xml") {
            return failure(&answer.body, call);
        }
        aside(move || bill::read(&bill::unpacked(answer.body)?)).await
    }
}

fn failure(body: &[u8], call: &mut Call) -> Result<DayBill, ProviderError> {
    let fields = xml::read(body, &["xml"]).map_err(|_| ProviderError::unknown("unreadable"))?;
    call.trail.received(fields.iter());
    let code = fields.get("error_code").unwrap_or_default();
    let said = fields.get("return_msg").unwrap_or_default().to_ascii_lowercase();
    let says = |words: &str| said.contains(words);
    if says("no bill exist") {
        return Ok(DayBill::Empty);
    }
    if says("bill creating") {
        return Ok(DayBill::NotReady);
    }
    Err(ProviderError::unknown(if code.is_empty() { "no_file" } else { code }))
}
