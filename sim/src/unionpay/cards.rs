//! What is not simulated is refused by name; the encryption certificate is handed out.

use super::{Call, Done, message::Fail};

/// Cards without redirect and tokens: the answer says that the merchant may not do that.
pub(super) fn refusal(call: &Call<'_>) -> Fail {
    let business = call.field("bizType");
    if ["000301", "000902"].contains(&business) || ["77", "78", "79", "74"].contains(&call.field("txnType"))
    {
        return Fail::new("32", "card transactions are not simulated: no permission[bizType]");
    }
    Fail::new("14", "Invalid transaction type[txnType]")
}

/// The certificate that sensitive fields are encrypted with.
pub(super) fn encryption_certificate(call: &Call<'_>) -> Result<Done, Fail> {
    if !call.is("95", "00", &["000000"]) {
        return Err(Fail::new("14", "Invalid transaction type[txnType]"));
    }
    if call.required("certType")? != "01" {
        return Err(Fail::field("certType"));
    }
    let fields = [
        ("certType", "01".to_owned()),
        ("encryptCertId", call.account.encrypt_cert_id.clone()),
        ("encryptPubKeyCert", call.account.merchant.encrypt_certificate.trim_end().to_owned()),
    ];
    let fields = fields.map(|(name, value)| (name.to_owned(), value)).into();
    Ok(Done { fields, trade: None })
}
