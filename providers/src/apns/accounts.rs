//! Credentials as they are configured.

use schemas::BundleId;
use serde::Deserialize;

use super::{AppSettings, CredentialSource};
use crate::payment::Source;

/// One credential and the apps that are pushed to with it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApnsAccount {
    /// Bundle ids of the apps.
    pub apps: Vec<BundleId>,
    /// The `.p8` key, with [`Self::key_id`] and [`Self::team_id`].
    #[serde(default)]
    pub key: Option<Source>,
    /// Ten letters and digits.
    #[serde(default)]
    pub key_id: Option<String>,
    /// Ten letters and digits.
    #[serde(default)]
    pub team_id: Option<String>,
    /// In place of the key: the `.p12` file with certificate and key.
    #[serde(default)]
    pub certificate: Option<Source>,
    /// What opens the certificate's file; none unless it is given.
    #[serde(default)]
    pub password: Option<Source>,
}

impl ApnsAccount {
    /// The apps, each with this credential.
    ///
    /// # Errors
    ///
    /// What is missing or does not go together, without any secret.
    pub fn settings(&self) -> Result<Vec<AppSettings>, String> {
        if self.apps.is_empty() {
            return Err("apps names no bundle id".to_owned());
        }
        let credential = self.credential()?;
        let of = |app: &BundleId| AppSettings { app: app.clone(), credential: credential.clone() };
        Ok(self.apps.iter().map(of).collect())
    }

    fn credential(&self) -> Result<CredentialSource, String> {
        match (&self.key, &self.certificate) {
            (Some(key), None) => self.token(key),
            (None, Some(Source::File(file))) => {
                let password = self.password.as_ref().map(Source::text).transpose()?;
                let password = password.unwrap_or_default();
                Ok(CredentialSource::Certificate { file: file.clone(), password })
            }
            (None, Some(_)) => Err("certificate: expected { file = \"…\" }".to_owned()),
            _ => Err("set either key or certificate".to_owned()),
        }
    }

    fn token(&self, key: &Source) -> Result<CredentialSource, String> {
        let needed = |part: &Option<String>, name: &str| {
            part.clone().ok_or_else(|| format!("{name} is missing"))
        };
        let key_id = needed(&self.key_id, "key_id")?;
        let team_id = needed(&self.team_id, "team_id")?;
        Ok(match key {
            Source::File(file) => {
                CredentialSource::Token { key_file: file.clone(), key_id, team_id }
            }
            other => CredentialSource::TokenText { key: other.text()?, key_id, team_id },
        })
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use serde_json::json;

    use super::*;

    #[test]
    fn a_credential_is_a_key_or_a_certificate() {
        let key = json!({ "file": "/k.p8" });
        let cases = [
            ("key", json!({ "key": key, "key_id": "K", "team_id": "T" }), None),
            ("text", json!({ "key": { "value": "pem" }, "key_id": "K", "team_id": "T" }), None),
            ("certificate", json!({ "certificate": { "file": "/c.p12" } }), None),
            ("no team", json!({ "key": key, "key_id": "K" }), Some("team_id is missing")),
            ("nothing", json!({}), Some("set either key or certificate")),
            ("both", json!({ "key": key, "certificate": key }), Some("set either")),
            (
                "no variable",
                json!({ "key": { "env": "NO_SUCH" }, "key_id": "K", "team_id": "T" }),
                Some("NO_SUCH is not set"),
            ),
        ];
        for (name, mut value, problem) in cases {
            value["apps"] = json!(["com.example.notes", "com.example.mail"]);
            let account: ApnsAccount = serde_json::from_value(value).unwrap();
            match (account.settings(), problem) {
                (Ok(apps), None) => assert_eq!(apps.len(), 2, "{name}"),
                (Err(told), Some(problem)) => assert!(told.contains(problem), "{name}: {told}"),
                (other, _) => panic!("{name}: {other:?}"),
            }
        }
    }
}
