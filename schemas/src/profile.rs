//! What a person is called and where, as far as they or an operator have said.

use serde::{Deserialize, Serialize};

/// Longest text of any part, in characters.
const MAX_CHARS: usize = 64;

/// The optional part of an account. A part that nobody has said is absent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Profile {
    /// First name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub firstname: Option<String>,
    /// Last name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lastname: Option<String>,
    /// Language and region, such as `zh-CN`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locale: Option<String>,
    /// Name of the time zone, such as `Asia/Shanghai`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
}

/// The part of a profile that is not acceptable, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{part} {reason}")]
pub struct InvalidProfile {
    /// Name of the part.
    pub part: &'static str,
    /// What it has to be.
    pub reason: &'static str,
}

impl Profile {
    /// The profile itself, if every part that is there has an acceptable form.
    ///
    /// # Errors
    ///
    /// [`InvalidProfile`] names the first part that has not.
    pub fn checked(self) -> Result<Self, InvalidProfile> {
        let name = "must be a name of at most 64 characters";
        check("firstname", self.firstname.as_deref(), is_name, name)?;
        check("lastname", self.lastname.as_deref(), is_name, name)?;
        let locale = "must be a language and region such as zh-CN";
        check("locale", self.locale.as_deref(), is_locale, locale)?;
        let timezone = "must be a zone such as Asia/Shanghai";
        check("timezone", self.timezone.as_deref(), is_timezone, timezone)?;
        Ok(self)
    }
}

fn check(
    part: &'static str,
    text: Option<&str>,
    fits: fn(&str) -> bool,
    reason: &'static str,
) -> Result<(), InvalidProfile> {
    match text {
        Some(text) if text.chars().count() > MAX_CHARS || !fits(text) => {
            Err(InvalidProfile { part, reason })
        }
        _ => Ok(()),
    }
}

fn is_name(text: &str) -> bool {
    !text.trim().is_empty() && !text.chars().any(char::is_control)
}

/// `en`, `en-US`, `zh-Hans-CN`: letters and digits parted by hyphens.
fn is_locale(text: &str) -> bool {
    let mut parts = text.split('-');
    let language = parts.next().is_some_and(|part| {
        (2..=3).contains(&part.len()) && part.bytes().all(|c| c.is_ascii_lowercase())
    });
    language
        && parts.all(|part| {
            (2..=8).contains(&part.len()) && part.bytes().all(|c| c.is_ascii_alphanumeric())
        })
}

/// `UTC`, `Europe/Paris`, `Etc/GMT+8`.
fn is_timezone(text: &str) -> bool {
    let allowed = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'+' | b'-');
    text.split('/').all(|part| !part.is_empty() && part.bytes().all(allowed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_have_their_forms() {
        type Put = fn(&mut Profile) -> &mut Option<String>;
        let first: Put = |profile| &mut profile.firstname;
        let locale: Put = |profile| &mut profile.locale;
        let zone: Put = |profile| &mut profile.timezone;
        let long = "x".repeat(65);
        let cases = [
            ("a name", first, "阿达", true),
            ("blank name", first, "  ", false),
            ("control character", first, "a\u{7}", false),
            ("long name", first, &long, false),
            ("language", locale, "en", true),
            ("language and region", locale, "zh-CN", true),
            ("script too", locale, "zh-Hans-CN", true),
            ("underscore", locale, "en_US", false),
            ("markup", locale, "<b>", false),
            ("zone", zone, "Europe/Paris", true),
            ("zone with offset", zone, "Etc/GMT+8", true),
            ("path tricks", zone, "../etc", false),
            ("empty part", zone, "Europe/", false),
        ];
        for (name, part, text, accepted) in cases {
            let mut profile = Profile::default();
            *part(&mut profile) = Some(text.to_owned());
            assert_eq!(profile.checked().is_ok(), accepted, "{name}");
        }
    }
}
