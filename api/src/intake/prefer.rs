//! The `Prefer` header (RFC 7240): whether a caller waits for the work it starts.

use std::time::Duration;

use poem::http::HeaderMap;

/// What a caller prefers about waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Patience {
    /// How long the request is held at most; zero for an answer at once.
    pub(crate) wait: Duration,
    /// Whether the caller asked for it, so that the reply says that it was honoured.
    asked: bool,
}

impl Patience {
    /// Reads the header of a request; several lines of it are one list. See [`Self::of`].
    pub(crate) fn read(headers: &HeaderMap, default: Duration, most: Duration) -> Self {
        let lines = headers.get_all("prefer").iter().filter_map(|line| line.to_str().ok());
        let list = lines.collect::<Vec<_>>().join(",");
        Self::of(Some(&list), default, most)
    }

    /// Reads the header's text. A wait longer than `most` is cut. Without a wait, `default` counts,
    /// unless the caller prefers `respond-async`. What is malformed or unknown is passed over, as
    /// the RFC wants it.
    pub(crate) fn of(header: Option<&str>, default: Duration, most: Duration) -> Self {
        let preferences = || header.unwrap_or_default().split(',').filter_map(preference);
        let named = |name: &str| {
            preferences().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
        };
        if let Some(seconds) = named("wait").and_then(|value| value.parse::<u32>().ok()) {
            let wait = Duration::from_secs(seconds.into()).min(most);
            return Self { wait, asked: true };
        }
        let default = if named("respond-async").is_some() { Duration::ZERO } else { default };
        Self { wait: default.min(most), asked: false }
    }

    /// The same after the wait: unless the request was held (`held`), or was to be answered at
    /// once anyway, the reply does not say that the preference was honoured.
    pub(crate) fn honoured(self, held: bool) -> Self {
        Self { asked: self.asked && (held || self.wait.is_zero()), ..self }
    }

    /// Value of `Preference-Applied`, if the caller asked to wait.
    pub(crate) fn applied(self) -> Option<String> {
        self.asked.then(|| format!("wait={}", self.wait.as_secs()))
    }
}

/// Name and value of one preference, without its parameters.
fn preference(text: &str) -> Option<(&str, &str)> {
    let text = text.split(';').next()?.trim();
    let (name, value) = text.split_once('=').unwrap_or((text, ""));
    Some((name.trim_end(), value.trim_start().trim_matches('"')))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;

    #[test]
    fn several_lines_are_one_list() {
        let mut headers = HeaderMap::new();
        for line in ["handling=strict", "return=minimal, wait=7", "wait=9"] {
            headers.append("prefer", line.parse().unwrap());
        }
        let most = Duration::from_mins(1);

        let patience = Patience::read(&headers, Duration::ZERO, most);
        assert_eq!(patience.applied().as_deref(), Some("wait=7"));
        let none = Patience::read(&HeaderMap::new(), Duration::from_secs(3), most);
        assert_eq!((none.wait, none.applied()), (Duration::from_secs(3), None));
    }

    #[test]
    fn only_a_wait_that_took_place_was_honoured() {
        let read = |text| Patience::of(Some(text), Duration::ZERO, Duration::from_mins(1));

        assert_eq!(read("wait=5").honoured(true).applied().as_deref(), Some("wait=5"));
        assert_eq!(read("wait=5").honoured(false).applied(), None);
        assert_eq!(read("wait=0").honoured(false).applied().as_deref(), Some("wait=0"));
        assert_eq!(read("").honoured(true).applied(), None);
    }

    #[test]
    fn preferences_are_read_as_the_rfc_writes_them() {
        let cases = [
            ("no header", None, 5, None),
            ("plain", Some("wait=10"), 10, Some("wait=10")),
            ("capped", Some("wait=100"), 60, Some("wait=60")),
            ("zero", Some("wait=0"), 0, Some("wait=0")),
            ("quoted, spaced, upper case", Some("Wait = \"7\""), 7, Some("wait=7")),
            ("among others", Some("return=minimal; x=1, wait=3;y"), 3, Some("wait=3")),
            ("the first counts", Some("wait=3, wait=9"), 3, Some("wait=3")),
            ("asynchronous", Some("respond-async"), 0, None),
            ("asynchronous, after a while", Some("respond-async, wait=2"), 2, Some("wait=2")),
            ("no number", Some("wait=soon"), 5, None),
            ("negative", Some("wait=-1"), 5, None),
            ("too large", Some("wait=99999999999"), 5, None),
            ("nothing", Some(" ,;, = "), 5, None),
        ];
        for (name, header, seconds, applied) in cases {
            let patience = Patience::of(header, Duration::from_secs(5), Duration::from_mins(1));
            assert_eq!(patience.wait, Duration::from_secs(seconds), "{name}");
            assert_eq!(patience.applied().as_deref(), applied, "{name}");
        }
    }
}
