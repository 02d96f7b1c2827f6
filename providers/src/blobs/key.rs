//! Which keys a file may have.

use super::BlobError;

/// Longest key in bytes; S3 takes 1,024.
const MAX_KEY: usize = 900;

/// Longest segment in bytes; a file name has 255 at most.
const MAX_SEGMENT: usize = 200;

/// Checks that `key` names one place below the root, the same on every engine.
///
/// No segment is empty or begins with a dot, so a key is never absolute, never climbs and never
/// meets the engine's own temporary files. Backslashes and control characters are refused.
pub(super) fn check(key: &str) -> Result<(), BlobError> {
    let valid = key.len() <= MAX_KEY && key.split('/').all(is_plain_segment);
    if valid { Ok(()) } else { Err(BlobError::InvalidKey) }
}

fn is_plain_segment(segment: &str) -> bool {
    !segment.is_empty()
        && segment.len() <= MAX_SEGMENT
        && !segment.starts_with('.')
        && !segment.contains(|character: char| character.is_control() || character == '\\')
}

#[cfg(test)]
mod tests {
    use std::path::{Component, Path};

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_plain_paths_are_keys() {
        let long_segment = "a".repeat(MAX_SEGMENT + 1);
        let long_key = vec!["abc"; 300].join("/");
        let cases = [
            ("a picture", "images/1/2/original.jpg", true),
            ("one segment", "probe", true),
            ("not only ASCII", "images/1/日落 1.jpg", true),
            ("dots inside", "a..b/c...d", true),
            ("nothing", "", false),
            ("absolute", "/etc/passwd", false),
            ("trailing slash", "images/", false),
            ("empty segment", "images//1", false),
            ("climbing", "images/../../etc", false),
            ("staying", "./images", false),
            ("hidden", "images/.feat-1.part", false),
            ("backslash", "images\\..\\1", false),
            ("zero byte", "images/a\0b", false),
            ("line break", "images/a\nb", false),
            ("control of Latin-1", "images/a\u{85}b", false),
            ("long segment", &long_segment, false),
            ("long key", &long_key, false),
        ];
        for (name, key, valid) in cases {
            assert_eq!(check(key).is_ok(), valid, "{name}");
        }
    }

    proptest! {
        /// Whatever passes stays below the root, and comes out of a path as it went in.
        #[test]
        fn a_valid_key_stays_below_the_root(key in "[a-z./\\\\\u{0}\n ]{0,24}|\\PC{0,24}") {
            if check(&key).is_ok() {
                let path = Path::new(&key);
                prop_assert!(path.components().all(|part| matches!(part, Component::Normal(_))));
                prop_assert_eq!(path.components().count(), key.split('/').count());
                prop_assert!(object_store::path::Path::parse(&key).is_ok_and(|path| path.as_ref() == key));
            }
        }
    }
}
