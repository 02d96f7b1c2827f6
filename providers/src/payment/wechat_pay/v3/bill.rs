//! Bills of the JSON protocol: an address with a digest, then an unsigned file.

use chrono::NaiveDate;
use reqwest::Method;
use serde::Deserialize;
use url::Url;

use super::V3;
use crate::payment::{
    Call, DayBill, ProviderError,
    archive::aside,
    crypto::{same, sha1_hex},
    operation::{Operation, Outcome},
    transport::FILE_BYTES,
    wechat_pay::bill,
};

#[derive(Deserialize)]
struct Place {
    hash_type: String,
    hash_value: String,
    download_url: String,
}

impl V3<'_> {
    pub(in crate::payment::wechat_pay) async fn bill(
        &self,
        day: NaiveDate,
        call: &mut Call,
    ) -> Result<DayBill, ProviderError> {
        let path = format!("/v3/bill/tradebill?bill_date={day}&bill_type=ALL&tar_type=GZIP");
        let asked = (Operation::Fetch, "v3 trade bill", Method::GET);
        let download: Place = match self.ask(asked, &path, None, call).await {
            Ok(download) => download,
            Err(Outcome::NoBill) => return Ok(DayBill::Empty),
            Err(Outcome::BillNotReady) => return Ok(DayBill::NotReady),
            Err(other) => return Err(other.into_error()),
        };
        let asked = (Operation::Fetch, "v3 bill download", Method::GET);
        let path = self.own_path(&download.download_url)?;
        let answer = self.send(asked, &path, None, FILE_BYTES, call).await?;
        if answer.status != 200 {
            return Err(ProviderError::unknown("http_status"));
        }
        aside(move || {
            let file = bill::unpacked(answer.body)?;
            // The file is not signed; its digest is. It is over the unpacked file.
            let digest = download.hash_value.to_ascii_lowercase();
            if download.hash_type != "SHA1" || !same(&digest, &sha1_hex(&file)) {
                return Err(ProviderError::unknown("digest"));
            }
            bill::read(&file)
        })
        .await
    }

    /// Path and query of an address in a message; another host than ours is not called.
    fn own_path(&self, address: &str) -> Result<String, ProviderError> {
        let foreign = || ProviderError::unknown("foreign_address");
        let url = Url::parse(address).map_err(|_| foreign())?;
        let base = self.app.endpoint.url();
        let path = &url[url::Position::BeforePath..url::Position::AfterQuery];
        let path = path.strip_prefix(base.path().trim_end_matches('/')).unwrap_or(path);
        if base.origin() == url.origin() { Ok(path.to_owned()) } else { Err(foreign()) }
    }
}
