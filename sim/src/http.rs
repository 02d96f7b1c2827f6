//! Requests and replies as the simulators see them, and forms.

use std::collections::BTreeMap;

use bytes::Bytes;
use hyper::{HeaderMap, Method};

/// A request, read to its end.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: Method,
    /// Path as it was sent.
    pub(crate) path: String,
    /// Query as it was sent, without `?`.
    pub(crate) query: Option<String>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Request {
    /// A header as text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Path and query exactly as they were sent.
    pub(crate) fn target(&self) -> String {
        match &self.query {
            Some(query) => format!("{}?{query}", self.path),
            None => self.path.clone(),
        }
    }

    /// The parameters of the query; the last of a name wins.
    pub(crate) fn query_pairs(&self) -> BTreeMap<String, String> {
        form_urlencoded::parse(self.query.as_deref().unwrap_or("").as_bytes())
            .into_owned()
            .collect()
    }

    /// The fields of a posted form; the last of a name wins.
    pub(crate) fn form(&self) -> BTreeMap<String, String> {
        form_urlencoded::parse(&self.body).into_owned().collect()
    }
}

/// What is answered.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
    /// What exactly is wrong with the request, for the person who wrote it.
    pub(crate) reason: Option<String>,
    /// The trade that the call was about.
    pub(crate) trade: Option<u64>,
}

impl Reply {
    pub(crate) fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let headers = vec![("content-type", content_type.to_owned())];
        Self { status, headers, body: body.into(), ..Self::default() }
    }

    pub(crate) fn empty(status: u16) -> Self {
        Self { status, ..Self::default() }
    }

    pub(crate) fn json(status: u16, value: &serde_json::Value) -> Self {
        Self::new(status, "application/json", value.to_string())
    }

    pub(crate) fn html(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self::new(status, "text/html;charset=utf-8", body)
    }

    pub(crate) fn redirect(location: String) -> Self {
        Self { status: 303, headers: vec![("location", location)], ..Self::default() }
    }

    pub(crate) fn because(mut self, reason: impl Into<String>) -> Self {
        self.reason = Some(reason.into());
        self
    }

    pub(crate) fn about(mut self, trade: u64) -> Self {
        self.trade = Some(trade);
        self
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

/// Decodes a form in UTF-8; a repeated name, a broken escape or broken text is refused.
pub(crate) fn strict_form(text: &[u8], into: &mut BTreeMap<String, String>) -> Result<(), String> {
    let text = std::str::from_utf8(text).map_err(|_| "the form is not text".to_owned())?;
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').ok_or_else(|| format!("no = in {pair}"))?;
        let (name, value) = (decode(name)?, decode(value)?);
        if into.contains_key(&name) {
            return Err(format!("{name} occurs twice"));
        }
        into.insert(name, value);
    }
    Ok(())
}

fn decode(text: &str) -> Result<String, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let plain = match byte {
            b'+' => b' ',
            b'%' => {
                let digits = [rest.next(), rest.next()].map(|digit| digit.unwrap_or(b'?'));
                std::str::from_utf8(&digits)
                    .ok()
                    .and_then(|digits| u8::from_str_radix(digits, 16).ok())
                    .ok_or_else(|| format!("a broken escape in {text}"))?
            }
            other => other,
        };
        bytes.push(plain);
    }
    String::from_utf8(bytes).map_err(|_| format!("{text} is not UTF-8"))
}

/// Writes a form.
pub(crate) fn write_form<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

/// Whether `url` is an absolute http(s) address without a fragment, at most `most` bytes long. Plain
/// http is taken for loopback alone when `secure` is asked for.
pub(crate) fn is_address(url: &str, most: usize, secure: bool) -> bool {
    let Ok(uri) = url.parse::<hyper::Uri>() else { return false };
    let Some(host) = uri.host().filter(|host| !host.is_empty()) else { return false };
    let scheme = match uri.scheme_str() {
        Some("https") => true,
        Some("http") => !secure || is_loopback(host),
        _ => false,
    };
    scheme && url.len() <= most && !url.contains('#')
}

/// Whether `host` means this machine.
pub(crate) fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// `text` for the inside of HTML and of quoted attributes.
pub(crate) fn escape(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
        out
    })
}

/// `fen` as yuan with two decimals.
pub(crate) fn yuan(fen: i64) -> String {
    let sign = if fen < 0 { "-" } else { "" };
    let fen = fen.unsigned_abs();
    format!("{sign}{}.{:02}", fen / 100, fen % 100)
}

/// Reads yuan with at most two decimals as fen.
pub(crate) fn fen(yuan: &str) -> Option<i64> {
    let (whole, cents) = yuan.split_once('.').unwrap_or((yuan, "00"));
    let plain = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !plain(whole) || !plain(cents) || cents.len() > 2 || whole.len() > 9 {
        return None;
    }
    let cents: i64 = format!("{cents:0<2}").parse().ok()?;
    whole.parse::<i64>().ok()?.checked_mul(100)?.checked_add(cents)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yuan_and_fen_agree() {
        let cases = [
            ("1", Some(100)),
            ("0.01", Some(1)),
            ("88.88", Some(8888)),
            ("12.5", Some(1250)),
            ("100000000.00", Some(10_000_000_000)),
            ("", None),
            ("-1", None),
            ("1.", None),
            (".5", None),
            ("1.234", None),
            ("1e3", None),
            ("１", None),
        ];
        for (text, expected) in cases {
            assert_eq!(fen(text), expected, "{text}");
        }
        assert_eq!([yuan(0), yuan(1), yuan(8888), yuan(-105)], ["0.00", "0.01", "88.88", "-1.05"]);
    }

    #[test]
    fn a_strict_form_is_strict() {
        let cases: [(&str, &[u8], bool); 5] = [
            ("plain", b"a=1&b=x+y%26", true),
            ("twice", b"a=1&a=1", false),
            ("no value", b"a", false),
            ("broken escape", b"a=%2", false),
            ("broken text", b"a=%ff", false),
        ];
        for (name, text, accepted) in cases {
            assert_eq!(strict_form(text, &mut BTreeMap::new()).is_ok(), accepted, "{name}");
        }
    }
}
