//! Names of languages and regions (BCP 47), as devices and segments of them say them.

/// Longest name, in bytes.
pub const MAX_LOCALE: usize = 35;

/// Reads a name such as `zh-Hans-CN` or `zh_hans_cn` and gives the one spelling that is stored:
/// hyphens, and upper and lower case as RFC 5646, 2.1.1, recommends. `None` when it is none: 2 to
/// [`MAX_LOCALE`] letters, digits, hyphens and underscores.
#[must_use]
pub fn spelled(text: &str) -> Option<String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if !(2..=MAX_LOCALE).contains(&text.len()) || !text.bytes().all(plain) {
        return None;
    }
    let mut all = String::with_capacity(text.len());
    let mut behind_singleton = false;
    for (place, part) in text.split(['-', '_']).enumerate() {
        if place > 0 {
            all.push('-');
        }
        let lower = part.to_ascii_lowercase();
        match part.len() {
            2 if place > 0 && !behind_singleton => all.push_str(&part.to_ascii_uppercase()),
            4 if place > 0 && !behind_singleton => {
                all.push_str(&part[..1].to_ascii_uppercase());
                all.push_str(&lower[1..]);
            }
            _ => all.push_str(&lower),
        }
        behind_singleton = part.len() == 1;
    }
    Some(all)
}

/// The names that `range` means, as a stretch of all names in alphabetical order: from the first,
/// included, to the last, excluded. Basic filtering of RFC 4647, 3.3.1: `zh` means `zh`, `zh-CN`
/// and `zh-Hans-CN`, and not `zhx`. Both have to be spelled by [`spelled`].
#[must_use]
pub fn stretch(range: &str) -> (String, String) {
    // Only a hyphen stands before the full stop among the characters of names.
    (range.to_owned(), format!("{range}."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_language_has_one_spelling() {
        let rows = [
            ("zh_Hans_CN", Some("zh-Hans-CN")),
            ("ZH-hANS-cn", Some("zh-Hans-CN")),
            ("en", Some("en")),
            ("EN-ca-X-CA", Some("en-CA-x-ca")),
            ("sgn-be-fr", Some("sgn-BE-FR")),
            ("az-LATN-x-LATN", Some("az-Latn-x-latn")),
            ("es-419", Some("es-419")),
            ("e", None),
            ("a/b", None),
            ("zh CN", None),
            ("*", None),
            ("ß-DE", None),
        ];
        for (text, expected) in rows {
            assert_eq!(spelled(text).as_deref(), expected, "{text}");
        }
        assert_eq!(spelled(&"a".repeat(MAX_LOCALE + 1)), None);
    }

    #[test]
    fn a_range_means_itself_and_what_follows_its_hyphen() {
        let rows = [
            ("zh", "zh", true),
            ("zh", "zh-CN", true),
            ("zh", "zh-Hans-CN", true),
            ("zh", "zhx", false),
            ("zh", "yue-Hans", false),
            ("zh", "en", false),
            ("zh-Hans", "zh-Hans-SG", true),
            ("zh-Hans", "zh-Hant", false),
            ("zh-Hans", "zh", false),
            ("de-DE", "de-Latn-DE", false),
            ("de-DE", "de-DE-1996", true),
        ];
        for (range, tag, expected) in rows {
            let (first, end) = stretch(range);
            let means = first.as_str() <= tag && tag < end.as_str();
            assert_eq!(means, expected, "{range} and {tag}");
        }
    }
}
