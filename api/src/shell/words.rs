//! What the parsers of poem-openapi complain about, in words for whoever sent the request: theirs
//! name types of this program.

use std::borrow::Cow;

/// `reason` in words for people. What is none of the library's phrases stays as it is.
pub(super) fn plain(reason: &str) -> Cow<'_, str> {
    let reason = match reason.split_once(" (occurred while parsing ") {
        Some((reason, _)) => reason,
        None => reason,
    };
    if reason.starts_with("Type \"") && reason.ends_with("\" expects an input value.") {
        return "This field is required.".into();
    }
    if let Some(rest) = reason.strip_prefix("Expected input type \"") {
        let name = rest.split('"').next().unwrap_or_default();
        return expected(name).unwrap_or("This is not of the right type.").into();
    }
    let own = reason.strip_prefix("failed to parse \"").and_then(|rest| rest.split_once("\": "));
    match own {
        Some((name, own)) => expected(name).unwrap_or(own).into(),
        None => reason.into(),
    }
}

/// What to send for the type of this name, if the name alone says it.
fn expected(name: &str) -> Option<&'static str> {
    let name = name.trim_start_matches("optional").trim_start_matches(['_', '<']);
    let known = [
        ("integer", "Send a whole number."),
        ("number", "Send a number."),
        ("boolean", "Send true or false."),
        ("array", "Send an array."),
        ("object", "Send an object."),
    ];
    known.iter().find(|(start, _)| name.starts_with(start)).map(|(_, text)| *text)
}

#[cfg(test)]
mod tests {
    use poem_openapi::types::{ParseError, Type};
    use serde_json::json;

    use super::*;

    fn said<T: Type>(error: ParseError<T>) -> String {
        plain(&error.into_message()).into_owned()
    }

    #[test]
    fn the_library_s_phrases_are_put_in_plain_words() {
        let nested = ParseError::<i64>::custom("invalid digit").propagate::<Vec<i64>>();
        let cases = [
            ("missing", said(ParseError::<i64>::expected_input()), "This field is required."),
            ("no number", said(ParseError::<i64>::custom("bad digit")), "Send a whole number."),
            ("optional", said(ParseError::<Option<u32>>::custom("x")), "Send a whole number."),
            ("fraction", said(ParseError::<f64>::custom("x")), "Send a number."),
            ("switch", said(ParseError::<bool>::custom("x")), "Send true or false."),
            ("inside", said(nested), "Send a whole number."),
            ("type", said(ParseError::<i64>::expected_type(json!("a"))), "Send a whole number."),
            (
                "text",
                said(ParseError::<String>::expected_type(json!(1))),
                "This is not of the right type.",
            ),
            ("our own", said(ParseError::<String>::custom("Not a moment.")), "Not a moment."),
            ("others", plain("EOF at line 1").into_owned(), "EOF at line 1"),
        ];
        for (name, said, expected) in cases {
            assert_eq!(said, expected, "{name}");
        }
    }
}
