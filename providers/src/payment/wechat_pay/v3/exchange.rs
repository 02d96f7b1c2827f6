//! One request and its answer in the JSON protocol: signed, sent, verified, and only then read.

use reqwest::{
    Method,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderName},
};
use schemas::Timestamp;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use super::{
    V3,
    outcome::{Seen, outcome},
    platform::{Lookup, read_list},
    sign::{Broken, Seal, Signable},
};
use crate::payment::{
    Call, ProviderError,
    call::flat,
    crypto::nonce,
    operation::{Operation, Outcome},
    transport::{Answer, MESSAGE_BYTES, Request},
};

const CERTIFICATES: &str = "/v3/certificates";

/// What is asked: for the table of outcomes, for trails, and on the wire.
pub(super) type Asked = (Operation, &'static str, Method);

#[derive(Deserialize)]
struct Failure {
    code: String,
}

impl V3<'_> {
    /// Asks for something that comes as JSON. Only a signed success comes back.
    pub(super) async fn ask<T: DeserializeOwned>(
        &self,
        asked: Asked,
        path: &str,
        body: Option<&Value>,
        call: &mut Call,
    ) -> Result<T, Outcome> {
        let operation = asked.0;
        let answer = self.proven(asked, path, body, call).await?;
        let unreadable = || outcome(operation, answer.status, Seen::Unreadable);
        if answer.status != 200 {
            return Err(unreadable());
        }
        serde_json::from_slice(&answer.body).map_err(|_| unreadable())
    }

    /// Asks for something that answers nothing but success.
    pub(super) async fn tell(
        &self,
        asked: Asked,
        path: &str,
        body: &Value,
        call: &mut Call,
    ) -> Result<(), Outcome> {
        let operation = asked.0;
        let answer = self.proven(asked, path, Some(body), call).await?;
        match answer.status {
            200 | 204 => Ok(()),
            status => Err(outcome(operation, status, Seen::Unreadable)),
        }
    }

    /// A success whose signature was verified.
    async fn proven(
        &self,
        asked: Asked,
        path: &str,
        body: Option<&Value>,
        call: &mut Call,
    ) -> Result<Answer, Outcome> {
        let operation = asked.0;
        self.prepare(call).await.map_err(Outcome::Failed)?;
        let answer = self.send(asked, path, body, MESSAGE_BYTES, call).await;
        let answer = answer.map_err(Outcome::Failed)?;
        let proof = self.judge(&answer, call).await;
        match answer.status {
            200..=299 => match proof {
                Ok(()) => Ok(answer),
                Err(broken) => {
                    Err(outcome(operation, answer.status, Seen::NotProven(broken.word())))
                }
            },
            // A failure may come unsigned; one with a wrong signature is nobody's.
            status => match proof {
                Err(Broken::Wrong | Broken::Probe | Broken::Stale) => {
                    Err(outcome(operation, status, Seen::NotProven("bad_signature")))
                }
                Ok(()) | Err(Broken::Unsigned) => Err(failed(operation, &answer)),
            },
        }
    }

    /// Signs and sends a request. Statuses and signatures are not judged.
    pub(super) async fn send(
        &self,
        asked: Asked,
        path: &str,
        body: Option<&Value>,
        max_bytes: usize,
        call: &mut Call,
    ) -> Result<Answer, ProviderError> {
        let (_, operation, method) = asked;
        let url = self.app.at(path)?;
        let text = body.map(Value::to_string);
        let seconds = Timestamp::now().as_secs();
        let nonce = nonce();
        let signable = Signable {
            method: method.as_str(),
            path_and_query: &url[url::Position::BeforePath..url::Position::AfterQuery],
            seconds,
            nonce: &nonce,
            body: text.as_deref().unwrap_or_default(),
        };
        let authorization = signable.authorization(&self.app.merchant_id, self.keys)?;
        let mut headers =
            vec![(AUTHORIZATION, authorization), (ACCEPT, "application/json".to_owned())];
        if text.is_some() {
            headers.push((CONTENT_TYPE, "application/json".to_owned()));
        }
        if let Some((id, _)) = &self.keys.public_key {
            headers.push((HeaderName::from_static("wechatpay-serial"), id.clone()));
        }
        let fields = body.map(flat).unwrap_or_default();
        let request = Request {
            operation,
            method,
            url,
            headers,
            body: text,
            fields: fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect(),
            max_bytes,
            client: None,
        };
        let answer = self.app.transport.send(request, call).await?;
        call.trail.received_json(&answer.body);
        Ok(answer)
    }

    /// Fetches certificates when they are due. Old ones do meanwhile; none at all is a reason not
    /// to send anything, because no answer could be believed.
    async fn prepare(&self, call: &mut Call) -> Result<(), ProviderError> {
        let platform = &self.app.platform;
        if platform.is_due(self.keys).await {
            let fetched = self.fetch_certificates(call).await;
            if let Err(error) = fetched
                && !platform.is_ready(self.keys).await
            {
                return Err(match error {
                    ProviderError::OutcomeUnknown(_) => not_ready(),
                    other => other,
                });
            }
        }
        if platform.is_ready(self.keys).await { Ok(()) } else { Err(not_ready()) }
    }

    /// Fetches the platform certificates and puts them in force.
    pub(super) async fn fetch_certificates(&self, call: &mut Call) -> Result<(), ProviderError> {
        self.app.platform.tries().await;
        let asked = (Operation::Fetch, "v3 certificates", Method::GET);
        let answer = self.send(asked, CERTIFICATES, None, MESSAGE_BYTES, call).await?;
        if answer.status != 200 {
            let failed = failed(Operation::Fetch, &answer);
            // A merchant with only a public key has no certificates.
            return Err(match failed.into_error() {
                ProviderError::Conflict(code) => ProviderError::Misconfigured(code),
                other => other,
            });
        }
        // The list vouches for itself: it decrypts with our key, and its signer is in it.
        let list = read_list(&answer.body, &self.keys.api_key)
            .ok_or_else(|| ProviderError::unknown("certificates"))?;
        let wrong = |_: Broken| ProviderError::unknown("bad_signature");
        let seal = Seal::of(&answer.headers).map_err(wrong)?;
        let public = self.keys.public_key.as_ref().filter(|(id, _)| id == seal.serial);
        let key = list.get(seal.serial).map(|known| &known.key);
        let key = key.or_else(|| public.map(|(_, key)| key));
        let key = key.ok_or_else(|| ProviderError::unknown("unknown_serial"))?;
        seal.verify(key, &answer.body, Timestamp::now()).map_err(wrong)?;
        self.app.platform.put(list).await;
        if let Some(not_after) = self.app.platform.not_after().await {
            self.app.account.show_expiry("platform", not_after);
        }
        Ok(())
    }

    /// Judges the signature of an answer; an unknown serial is looked up once.
    async fn judge(&self, answer: &Answer, call: &mut Call) -> Result<(), Broken> {
        let seal = Seal::of(&answer.headers)?;
        let key = match self.app.platform.find(self.keys, seal.serial).await {
            Lookup::Fetch => {
                // What went wrong is in the trail; without the key the answer is not believed.
                let _ = self.fetch_certificates(call).await;
                self.app.platform.find(self.keys, seal.serial).await
            }
            found => found,
        };
        let Lookup::Key(key) = key else { return Err(Broken::Wrong) };
        seal.verify(&key, &answer.body, Timestamp::now())
    }
}

impl Broken {
    /// One word for trails.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Unsigned => "unsigned",
            Self::Probe => "signature_probe",
            Self::Stale => "stale_signature",
            Self::Wrong => "bad_signature",
        }
    }
}

fn not_ready() -> ProviderError {
    let after = std::time::Duration::from_secs(10);
    ProviderError::NotSent { reason: "no_platform_certificate", after }
}

fn failed(operation: Operation, answer: &Answer) -> Outcome {
    if answer.body.is_empty() {
        return outcome(operation, answer.status, Seen::Empty);
    }
    match serde_json::from_slice::<Failure>(&answer.body) {
        Ok(failure) => outcome(operation, answer.status, Seen::Failed(&failure.code)),
        Err(_) => outcome(operation, answer.status, Seen::Unreadable),
    }
}
