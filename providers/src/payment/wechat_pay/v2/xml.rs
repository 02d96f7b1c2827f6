//! The XML of WeChat Pay: one root, one level of text elements, and nothing else.
//!
//! DOCTYPE, entities of one's own, attributes, nesting, and an element that comes twice are
//! refused; size and number of elements are bounded. No external thing is ever fetched.

use quick_xml::{
    Reader,
    events::{BytesRef, Event},
};

use crate::payment::{MAX_NOTICE_BYTES, fields::Fields};

/// Writes the fields as a message.
pub(in crate::payment::wechat_pay) fn write(fields: &Fields) -> String {
    let mut xml = String::from("<xml>");
    for (name, value) in fields.iter() {
        let value = value.replace("]]>", "]]]]><![CDATA[>");
        xml.extend(["<", name, "><![CDATA[", &value, "]]></", name, ">"]);
    }
    xml.push_str("</xml>");
    xml
}

/// Reads a message whose root is one of `roots`.
///
/// # Errors
///
/// What is wrong with its form.
pub(in crate::payment::wechat_pay) fn read(
    body: &[u8],
    roots: &[&str],
) -> Result<Fields, &'static str> {
    if body.len() > MAX_NOTICE_BYTES {
        return Err("too large");
    }
    let text = std::str::from_utf8(body).map_err(|_| "text is not UTF-8")?;
    let mut reader = Reader::from_str(text.trim_start_matches('\u{feff}'));
    let mut message = Message::default();
    loop {
        let event = reader.read_event().map_err(|_| "not well-formed XML")?;
        if matches!(event, Event::Eof) {
            return message.finish();
        }
        message.take(event, roots)?;
    }
}

/// What was read so far.
#[derive(Default)]
struct Message {
    root: Option<String>,
    is_over: bool,
    open: Option<(String, String)>,
    fields: Fields,
}

impl Message {
    fn take(&mut self, event: Event<'_>, roots: &[&str]) -> Result<(), &'static str> {
        match event {
            Event::Start(tag) => {
                if !tag.attributes_raw().trim().is_empty() {
                    return Err("an attribute");
                }
                self.begin(tag.name().as_ref(), roots)
            }
            Event::Empty(tag) => {
                let name = tag.name();
                self.begin(name.as_ref(), roots)?;
                self.end()
            }
            Event::End(_) => self.end(),
            Event::Text(text) => self.text(&text.xml10_content()),
            Event::CData(text) => self.text(&text.xml10_content()),
            Event::GeneralRef(reference) => {
                let c = resolved(&reference)?;
                self.text(c.encode_utf8(&mut [0; 4]))
            }
            Event::DocType(_) => Err("a DOCTYPE"),
            Event::PI(_) => Err("a processing instruction"),
            Event::Decl(_) | Event::Comment(_) | Event::Eof => Ok(()),
        }
    }

    fn begin(&mut self, name: &str, roots: &[&str]) -> Result<(), &'static str> {
        if self.root.is_none() {
            if !roots.contains(&name) {
                return Err("another root");
            }
            self.root = Some(name.to_owned());
            return Ok(());
        }
        if self.is_over || self.open.is_some() {
            return Err("nested elements");
        }
        self.open = Some((name.to_owned(), String::new()));
        Ok(())
    }

    fn end(&mut self) -> Result<(), &'static str> {
        match self.open.take() {
            Some((name, value)) => self.fields.add(name, value),
            None if self.root.is_some() && !self.is_over => {
                self.is_over = true;
                Ok(())
            }
            None => Err("not well-formed XML"),
        }
    }

    fn text(&mut self, text: &str) -> Result<(), &'static str> {
        match &mut self.open {
            Some((_, value)) => {
                value.push_str(text);
                Ok(())
            }
            None if text.trim().is_empty() => Ok(()),
            None => Err("text between elements"),
        }
    }

    fn finish(self) -> Result<Fields, &'static str> {
        if self.is_over && self.open.is_none() { Ok(self.fields) } else { Err("cut off") }
    }
}

/// A character reference, or one of the five that XML itself defines.
fn resolved(reference: &BytesRef<'_>) -> Result<char, &'static str> {
    if let Ok(Some(c)) = reference.resolve_char_ref() {
        return Ok(c);
    }
    match &*reference.xml10_content() {
        "amp" => Ok('&'),
        "lt" => Ok('<'),
        "gt" => Ok('>'),
        "quot" => Ok('"'),
        "apos" => Ok('\''),
        _ => Err("an entity"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_that_are_not_the_providers_are_refused() {
        let many = (0..1_000).map(|n| format!("<f{n}>1</f{n}>")).collect::<Vec<_>>().concat();
        let cases = [
            ("doctype", "<!DOCTYPE xml><xml><a>1</a></xml>".to_owned(), "a DOCTYPE"),
            ("own entity", "<xml><a>&file;</a></xml>".to_owned(), "an entity"),
            ("nesting", "<xml><a><b>1</b></a></xml>".to_owned(), "nested elements"),
            ("twice", "<xml><a>1</a><a>1</a></xml>".to_owned(), "a field twice"),
            ("attribute", "<xml><a b=\"1\">1</a></xml>".to_owned(), "an attribute"),
            ("other root", "<html></html>".to_owned(), "another root"),
            ("two roots", "<xml></xml><xml></xml>".to_owned(), "nested elements"),
            ("cut off", "<xml><a>1</a>".to_owned(), "cut off"),
            ("empty", String::new(), "cut off"),
            ("stray text", "<xml>x<a>1</a></xml>".to_owned(), "text between elements"),
            ("instruction", "<xml><?php x?></xml>".to_owned(), "a processing instruction"),
            ("many", format!("<xml>{many}</xml>"), "too many fields"),
            ("large", format!("<xml><a>{}</a></xml>", "x".repeat(70_000)), "too large"),
        ];
        for (name, text, wrong) in cases {
            assert_eq!(read(text.as_bytes(), &["xml"]).err(), Some(wrong), "{name}");
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let fields = Fields::of([("a", "x]]>y"), ("b", "<&\"'>"), ("c", "会员")]);

        assert!(read(write(&fields).as_bytes(), &["xml"]).is_ok_and(|read| read == fields));
        let plain = read(b"<xml><a>&lt;&#65;&amp;</a><b/></xml>", &["xml"]);
        assert!(plain.is_ok_and(|read| read.is("a", "<A&") && read.get("b").is_none()));
    }
}
