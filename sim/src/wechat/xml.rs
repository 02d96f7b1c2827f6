//! The flat XML of WeChat Pay v2: one root, text elements, CDATA. Nothing else is read.

use std::{collections::BTreeMap, fmt::Write};

/// Most elements of a message.
const MOST_ELEMENTS: usize = 200;

/// Reads a message; says what is wrong with it.
pub(crate) fn read(body: &[u8]) -> Result<BTreeMap<String, String>, String> {
    let text = std::str::from_utf8(body).map_err(|_| "not UTF-8".to_owned())?;
    let mut rest = text.trim_start_matches('\u{feff}').trim();
    if let Some(tail) = rest.strip_prefix("<?xml") {
        rest = tail.split_once("?>").ok_or("the declaration has no end")?.1.trim_start();
    }
    if rest.contains("<!DOCTYPE") || rest.contains("<!ENTITY") {
        return Err("DOCTYPE and entities are refused".to_owned());
    }
    let (root, inner) = open(rest)?;
    let end = format!("</{root}>");
    let mut rest = inner.trim_start();
    let mut fields = BTreeMap::new();
    loop {
        if let Some(tail) = rest.strip_prefix(end.as_str()) {
            let clean = tail.trim().is_empty();
            return if clean { Ok(fields) } else { Err("text after the end".to_owned()) };
        }
        if fields.len() >= MOST_ELEMENTS {
            return Err("too many elements".to_owned());
        }
        let (name, tail) = open(rest)?;
        let (value, tail) = value(name, tail)?;
        if fields.insert(name.to_owned(), value).is_some() {
            return Err(format!("{name} occurs twice"));
        }
        rest = tail.trim_start();
    }
}

/// An opening tag without attributes: its name, and what follows.
fn open(text: &str) -> Result<(&str, &str), String> {
    let shown = || text.chars().take(20).collect::<String>();
    let inner = text.strip_prefix('<').ok_or_else(|| format!("expected an element at {}", shown()))?;
    let (name, rest) = inner.split_once('>').ok_or("a tag has no end")?;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if name.is_empty() || !name.chars().all(plain) {
        return Err(format!("not a plain element: {}", shown()));
    }
    Ok((name, rest))
}

/// The text of element `name` up to its closing tag, and what follows.
fn value<'a>(name: &str, mut rest: &'a str) -> Result<(String, &'a str), String> {
    let end = format!("</{name}>");
    let mut value = String::new();
    loop {
        if let Some(tail) = rest.strip_prefix(end.as_str()) {
            return Ok((value, tail));
        }
        if let Some(tail) = rest.strip_prefix("<![CDATA[") {
            let (data, tail) = tail.split_once("]]>").ok_or("CDATA has no end")?;
            value.push_str(data);
            rest = tail;
            continue;
        }
        if rest.starts_with('<') || rest.is_empty() {
            return Err(format!("{name} holds more than text, or has no end"));
        }
        let stop = rest.find('<').ok_or_else(|| format!("{name} has no end"))?;
        unescape(&rest[..stop], &mut value)?;
        rest = &rest[stop..];
    }
}

fn unescape(text: &str, into: &mut String) -> Result<(), String> {
    let mut rest = text;
    while let Some((plain, tail)) = rest.split_once('&') {
        into.push_str(plain);
        let (name, tail) = tail.split_once(';').ok_or("a bare &")?;
        let number = || {
            let digits = name.strip_prefix('#')?;
            let code = match digits.strip_prefix('x') {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => digits.parse().ok()?,
            };
            char::from_u32(code)
        };
        into.push(match name {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            "apos" => '\'',
            _ => number().ok_or_else(|| format!("entity {name} is refused"))?,
        });
        rest = tail;
    }
    into.push_str(rest);
    Ok(())
}

/// Writes a message; numbers bare, everything else in CDATA.
pub(crate) fn write(root: &str, fields: &BTreeMap<String, String>) -> String {
    let mut text = format!("<{root}>");
    for (name, value) in fields {
        let number = !value.is_empty()
            && value.len() < 10
            && value.bytes().all(|byte| byte.is_ascii_digit());
        let _ = if number {
            write!(text, "<{name}>{value}</{name}>")
        } else {
            let data = value.replace("]]>", "]]]]><![CDATA[>");
            write!(text, "<{name}><![CDATA[{data}]]></{name}>")
        };
    }
    let _ = write!(text, "</{root}>");
    text
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;

    #[test]
    fn what_was_written_is_read_again() {
        let fields: BTreeMap<_, _> = [("a", "1"), ("b", "x]]>y & <z>"), ("c", "会员"), ("d", "")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
        assert_eq!(read(write("xml", &fields).as_bytes()).unwrap(), fields);
    }

    #[test]
    fn what_is_not_flat_xml_is_refused() {
        let cases = [
            ("nothing", ""),
            ("text", "hello"),
            ("no end", "<xml><a>1</a>"),
            ("nested", "<xml><a><b>1</b></a></xml>"),
            ("twice", "<xml><a>1</a><a>2</a></xml>"),
            ("attribute", "<xml><a b=\"c\">1</a></xml>"),
            ("doctype", "<!DOCTYPE xml><xml><a>1</a></xml>"),
            ("entity", "<xml><a>&e;</a></xml>"),
            ("tail", "<xml><a>1</a></xml><xml></xml>"),
            ("comment", "<xml><!-- x --><a>1</a></xml>"),
        ];
        for (name, text) in cases {
            assert!(read(text.as_bytes()).is_err(), "{name}");
        }
    }
}
