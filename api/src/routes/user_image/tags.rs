//! Tags of a picture: how they come in, and what they may be.

use schemas::image::{MAX_TAG_CHARS, MAX_TAGS};
use serde_json::Value;

use crate::error::ApiError;

/// Name of the field, in requests and in errors.
pub(super) const FIELD: &str = "tags";

/// Reads the `tags` parts of a form: one part for each tag, or a single part that holds a JSON
/// array of texts or texts parted by commas.
pub(super) fn of_parts(parts: &[String]) -> Result<Vec<String>, ApiError> {
    let [only] = parts else { return checked(parts.iter().map(String::as_str)) };
    let only = only.trim();
    if only.starts_with('[') && only.ends_with(']') {
        let array = serde_json::from_str(only).map_err(|_| not_texts())?;
        return of_json(&array);
    }
    checked(only.split(','))
}

/// Reads a JSON array of texts.
pub(super) fn of_json(array: &Value) -> Result<Vec<String>, ApiError> {
    let texts = array.as_array().ok_or_else(not_texts)?.iter().map(Value::as_str);
    let texts: Option<Vec<_>> = texts.collect();
    checked(texts.ok_or_else(not_texts)?.into_iter())
}

fn not_texts() -> ApiError {
    ApiError::invalid(FIELD, "Send an array of texts.")
}

/// Trims tags, drops empty ones and doubles, keeps their order, and refuses what may not be.
fn checked<'a>(raw: impl Iterator<Item = &'a str>) -> Result<Vec<String>, ApiError> {
    let mut tags: Vec<String> = Vec::new();
    for tag in raw.map(str::trim) {
        if tag.chars().any(char::is_control) {
            return Err(ApiError::invalid(FIELD, "A tag holds no control characters."));
        }
        if tag.contains(',') {
            // Commas part the keywords of a search, so nothing would ever find it.
            return Err(ApiError::invalid(FIELD, "A tag holds no commas."));
        }
        if tag.chars().count() > MAX_TAG_CHARS {
            let text = format!("A tag has at most {MAX_TAG_CHARS} characters.");
            return Err(ApiError::invalid(FIELD, text));
        }
        if tag.is_empty() || tags.iter().any(|known| known == tag) {
            continue;
        }
        if tags.len() == MAX_TAGS {
            return Err(too_many());
        }
        tags.push(tag.to_owned());
    }
    Ok(tags)
}

/// The refusal of more tags than a picture may have.
pub(super) fn too_many() -> ApiError {
    ApiError::invalid(FIELD, format!("A picture has at most {MAX_TAGS} tags."))
}

/// The refusal of a part that is longer than all permitted tags together.
pub(super) fn too_long() -> ApiError {
    let text = format!(
        "The tags are too long: a picture has at most {MAX_TAGS}, each of at most \
         {MAX_TAG_CHARS} characters."
    );
    ApiError::invalid(FIELD, text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parts(parts: &[&str]) -> Option<Vec<String>> {
        let parts: Vec<_> = parts.iter().map(|&part| part.to_owned()).collect();
        of_parts(&parts).ok()
    }

    #[test]
    fn the_three_encodings_mean_the_same() {
        let expected = Some(vec!["holiday".to_owned(), "am Meer".to_owned(), "2024".to_owned()]);
        let cases: [(&str, &[&str]); 4] = [
            ("repeated", &["holiday", " am Meer ", "2024", "holiday"]),
            ("commas", &["holiday, am Meer,,2024,holiday"]),
            ("JSON", &[r#" ["holiday", "am Meer", "", "2024"] "#]),
            ("repeated, with empty ones", &["", "holiday", "am Meer", "2024"]),
        ];
        for (name, given) in cases {
            assert_eq!(parts(given), expected, "{name}");
        }
        assert_eq!(parts(&[]), Some(vec![]));
        assert_eq!(parts(&[""]), Some(vec![]));
        assert_eq!(parts(&["[]"]), Some(vec![]));
    }

    #[test]
    fn what_may_not_be_a_tag_is_refused() {
        let longest = "ä".repeat(MAX_TAG_CHARS);
        let too_long = "ä".repeat(MAX_TAG_CHARS + 1);
        let many: Vec<_> = (0..MAX_TAGS).map(|n| n.to_string()).collect();
        let too_many: Vec<_> = (0..=MAX_TAGS).map(|n| n.to_string()).collect();
        let cases = [
            ("longest", json!([longest]), true),
            ("too long", json!([too_long]), false),
            ("many", json!(many), true),
            ("many, some of them twice", json!([many.clone(), many.clone()].concat()), true),
            ("too many", json!(too_many), false),
            ("control character", json!(["a\u{0}b"]), false),
            ("line break inside", json!(["a\nb"]), false),
            ("comma", json!(["a,b"]), false),
            ("numbers", json!([1]), false),
            ("nested", json!([["a"]]), false),
            ("object", json!({ "a": 1 }), false),
            ("text", json!("a"), false),
            ("null", json!(null), false),
        ];
        for (name, array, good) in cases {
            assert_eq!(of_json(&array).is_ok(), good, "{name}");
        }
        assert_eq!(parts(&["[1, 2]"]), None);
        assert_eq!(parts(&["[draft"]), Some(vec!["[draft".to_owned()]));
    }
}
