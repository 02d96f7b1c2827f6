//! A user as the public API shows one to themselves. What Feat does not keep is shown empty.

use poem_openapi::Object;
use schemas::{account::UserRecord, profile::Profile};

/// What is assumed of a person who has not said.
const LOCALE: &str = "en-US";
const TIMEZONE: &str = "UTC";

/// Names of the languages that clients of the API offer.
const LANGUAGES: [(&str, &str); 10] = [
    ("de", "Deutsch"),
    ("en", "English"),
    ("es", "Español"),
    ("fr", "Français"),
    ("it", "Italiano"),
    ("ja", "日本語"),
    ("ko", "한국어"),
    ("pt", "Português"),
    ("ru", "Русский"),
    ("zh", "中文"),
];

/// Names of regions, as the public API writes them.
const REGIONS: [(&str, &str); 14] = [
    ("BR", "Brazil"),
    ("CN", "China"),
    ("DE", "Germany"),
    ("ES", "Spain"),
    ("FR", "France"),
    ("GB", "United Kingdom"),
    ("HK", "Hong Kong"),
    ("IT", "Italy"),
    ("JP", "Japan"),
    ("KR", "Korea"),
    ("PT", "Portugal"),
    ("RU", "Russia"),
    ("TW", "Taiwan"),
    ("US", "United States"),
];

/// The user behind the call.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
pub(crate) struct BasicInfo {
    /// The user's id.
    uid: i64,
    /// What the user types to sign in.
    username: String,
    /// First name; empty when nobody has said.
    firstname: String,
    /// Last name; empty when nobody has said.
    lastname: String,
    /// Address of the user's picture; Feat keeps none, so it is empty.
    avatar: String,
    /// Not kept.
    expertise: Option<String>,
    /// Time zone; `UTC` when nobody has said.
    timezone: String,
    /// Offset of a zone that has one all the year, such as `+08:00`; null for others, because
    /// Feat keeps no table of zones.
    timezone_utc_offset: Option<String>,
    /// Always true: the user is calling.
    is_online: bool,
    /// Not kept, so it is empty.
    location: String,
}

/// What belongs to the user's pages rather than to the user.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
pub(crate) struct UserMeta {
    /// Language and region; `en-US` when nobody has said.
    locale: String,
    /// Name of the language, in that language.
    locale_label: String,
    /// Name of the region; empty when the locale has none.
    locale_region: String,
    /// Always false: Feat asks no security questions.
    security_question_initialized: bool,
}

impl BasicInfo {
    /// The view of `user`.
    pub(crate) fn of(user: &UserRecord) -> Self {
        let Profile { firstname, lastname, timezone, .. } = &user.profile;
        let timezone = timezone.as_deref().unwrap_or(TIMEZONE);
        Self {
            uid: user.id.get(),
            username: user.username.clone(),
            firstname: firstname.clone().unwrap_or_default(),
            lastname: lastname.clone().unwrap_or_default(),
            avatar: String::new(),
            expertise: None,
            timezone: timezone.to_owned(),
            timezone_utc_offset: fixed_offset(timezone).map(str::to_owned),
            is_online: true,
            location: String::new(),
        }
    }
}

impl UserMeta {
    /// The view of `user`.
    pub(crate) fn of(user: &UserRecord) -> Self {
        let locale = user.profile.locale.as_deref().unwrap_or(LOCALE);
        let language = locale.split('-').next().unwrap_or(locale);
        let region = locale.split('-').skip(1).find(|part| part.len() == 2).unwrap_or_default();
        Self {
            locale: locale.to_owned(),
            locale_label: find(&LANGUAGES, language).unwrap_or(locale).to_owned(),
            locale_region: find(&REGIONS, region).unwrap_or(region).to_owned(),
            security_question_initialized: false,
        }
    }
}

fn find(names: &[(&str, &'static str)], code: &str) -> Option<&'static str> {
    names.iter().find(|(known, _)| *known == code).map(|(_, name)| *name)
}

/// The offset of a zone that has had the same one for decades.
fn fixed_offset(timezone: &str) -> Option<&'static str> {
    match timezone {
        "UTC" | "GMT" | "Etc/UTC" | "Etc/GMT" => Some("+00:00"),
        "Asia/Shanghai" | "Asia/Chongqing" | "Asia/Hong_Kong" | "Asia/Macau" | "Asia/Taipei"
        | "Asia/Singapore" => Some("+08:00"),
        "Asia/Tokyo" | "Asia/Seoul" => Some("+09:00"),
        "Asia/Kolkata" => Some("+05:30"),
        "Asia/Dubai" => Some("+04:00"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use schemas::{Timestamp, UserId};

    use super::*;

    fn user(profile: Profile) -> UserRecord {
        UserRecord {
            id: UserId::new(5_500_000_000_001).unwrap(),
            version: 1,
            username: "ada".to_owned(),
            password_hash: "x".into(),
            created_at: Timestamp::now(),
            disabled_at: None,
            profile,
        }
    }

    #[test]
    fn what_nobody_has_said_has_honest_defaults() {
        let user = user(Profile::default());
        let (info, meta) = (BasicInfo::of(&user), UserMeta::of(&user));

        assert_eq!((info.uid, info.firstname.as_str()), (5_500_000_000_001, ""));
        assert_eq!(info.timezone_utc_offset.as_deref(), Some("+00:00"));
        assert_eq!(meta.locale_label, "English");
        assert_eq!(meta.locale_region, "United States");
    }

    #[test]
    fn languages_and_regions_have_names() {
        let cases = [
            ("zh-CN", "中文", "China"),
            ("zh-Hant-TW", "中文", "Taiwan"),
            ("en", "English", ""),
            ("tlh-XX", "tlh-XX", "XX"),
        ];
        for (locale, label, region) in cases {
            let profile = Profile { locale: Some(locale.to_owned()), ..Profile::default() };
            let meta = UserMeta::of(&user(profile));
            assert_eq!((meta.locale_label.as_str(), meta.locale_region.as_str()), (label, region));
        }
    }
}
