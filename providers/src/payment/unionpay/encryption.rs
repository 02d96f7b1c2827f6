//! What sensitive fields are encrypted with: UnionPay's encryption certificate, which it hands out
//! itself and changes from time to time. The old one is taken for about a month more.

use std::time::{Duration, Instant};

use schemas::{ProviderKey, Timestamp};
use tokio::sync::Mutex;

use super::{BACK, UnionPay};
use crate::payment::{
    Call, ProviderError, beijing,
    crypto::{Certificate, EncryptingKey},
    fields::Fields,
    operation::{Operation, Outcome},
};

/// The certificate is asked for again after this long.
const FRESH: Duration = Duration::from_hours(24);

/// Pause after a failed question, while the certificate before is still good, or until a call that
/// needs one is tried again.
const PAUSE: Duration = Duration::from_secs(10);

/// The certificate in force, once it was asked for.
#[derive(Default)]
pub(super) struct Encryption {
    /// Held while UnionPay is asked, so that it is asked once.
    kept: Mutex<Option<Kept>>,
}

struct Kept {
    sealing: Sealing,
    not_after: i64,
    /// When to ask again.
    due: Instant,
}

/// Encrypts for UnionPay. Cheap to clone.
#[derive(Clone)]
pub(super) struct Sealing {
    /// `encryptCertId`.
    pub(super) certificate_id: String,
    key: EncryptingKey,
}

impl Sealing {
    /// `text` encrypted, in base64.
    pub(super) fn seal(&self, text: &str) -> Result<String, ProviderError> {
        let sealed = self.key.encrypt(text);
        sealed.map_err(|why| ProviderError::Misconfigured(why.to_owned()))
    }
}

impl UnionPay {
    /// What to encrypt with now. Asks UnionPay once a day.
    ///
    /// # Errors
    ///
    /// Nothing was attempted but this question.
    pub(super) async fn sealing(&self, call: &mut Call) -> Result<Sealing, ProviderError> {
        let mut kept = self.encryption.kept.lock().await;
        let now = Timestamp::now().as_secs();
        let valid = kept.as_ref().filter(|kept| now <= kept.not_after);
        if let Some(kept) = valid
            && Instant::now() < kept.due
        {
            return Ok(kept.sealing.clone());
        }
        match self.fetch_sealing(call).await {
            Ok((sealing, not_after)) => {
                self.account.show_expiry("encryption", not_after);
                let due = Instant::now() + FRESH;
                *kept = Some(Kept { sealing: sealing.clone(), not_after, due });
                Ok(sealing)
            }
            Err(error) => match kept.as_mut().filter(|kept| now <= kept.not_after) {
                Some(kept) => {
                    tracing::warn!(%error, account = self.name(), "no new encryption certificate");
                    kept.due = Instant::now() + PAUSE;
                    Ok(kept.sealing.clone())
                }
                None => Err(nothing_attempted(error)),
            },
        }
    }

    async fn fetch_sealing(&self, call: &mut Call) -> Result<(Sealing, i64), ProviderError> {
        let now = Timestamp::now();
        // The question has no effect, so its number need not last.
        let number = format!("ENC{}", beijing::write(now, beijing::COMPACT));
        let number: ProviderKey = number.parse().map_err(|_| ProviderError::unknown("number"))?;
        let mut fields = self.common(&number, now, ("95", "00", "000000"));
        fields.set("channelType", "07");
        fields.set("certType", "01");
        let asked = (Operation::Fetch, BACK, &number);
        let answer = self.ask(asked, fields, call).await.map_err(Outcome::into_error)?;
        read(&answer, now)
    }
}

fn read(answer: &Fields, now: Timestamp) -> Result<(Sealing, i64), ProviderError> {
    let bad = || ProviderError::unknown("encryption_certificate");
    let certificate = Certificate::read(answer.need("encryptPubKeyCert")?).map_err(|_| bad())?;
    let id = answer.need("encryptCertId")?;
    if certificate.serial_decimal() != id || certificate.check_time(now).is_err() {
        return Err(bad());
    }
    let key = certificate.encrypting_key().map_err(|_| bad())?;
    Ok((Sealing { certificate_id: id.to_owned(), key }, certificate.not_after()))
}

/// The call that needed the certificate was not made.
fn nothing_attempted(error: ProviderError) -> ProviderError {
    match error {
        ProviderError::OutcomeUnknown(_) | ProviderError::Conflict(_) => {
            ProviderError::NotSent { reason: "encryption_certificate", after: PAUSE }
        }
        ProviderError::Refused(code) => ProviderError::Misconfigured(code),
        other @ (ProviderError::NotNow { .. }
        | ProviderError::Throttled(_)
        | ProviderError::NotSent { .. }
        | ProviderError::Misconfigured(_)) => other,
    }
}
