//! The public name of an uploaded file: what its owner called it, made harmless and unguessable.

use rand::{RngExt, distr::Alphanumeric};
use schemas::image::ImageFormat;

/// Longest part that comes from the client, in characters.
const MAX_STEM: usize = 80;

/// Random characters; 62^7 names for each stem.
const RANDOM: usize = 7;

/// Name of a file that came without a usable one.
const NAMELESS: &str = "image";

/// A new name for a file that the client called `client_name`: `{stem}_{7 random}.{extension}`.
/// The extension is that of the format found in the content. Each call gives another name.
pub(super) fn make(client_name: Option<&str>, format: ImageFormat) -> String {
    let stem = stem(client_name.unwrap_or_default());
    let random: String =
        rand::rng().sample_iter(Alphanumeric).take(RANDOM).map(char::from).collect();
    format!("{stem}_{random}.{}", format.extension())
}

/// What is left of a client's name: no folders, no extension, nothing that a URL, a file system
/// or a reader takes for something else.
fn stem(client_name: &str) -> String {
    let file = client_name.rsplit(['/', '\\']).next().unwrap_or_default();
    let stem = match file.rsplit_once('.') {
        Some((stem, extension)) if is_extension(extension) => stem,
        _ => file,
    };
    let harmless: String = stem
        .chars()
        .filter(|&c| !is_hidden(c) && !is_reserved(c))
        .map(|c| if c.is_whitespace() { '_' } else { c })
        .collect();
    let harmless: String = harmless.trim_matches(['.', '_', '-']).chars().take(MAX_STEM).collect();
    if harmless.is_empty() { NAMELESS.to_owned() } else { harmless }
}

fn is_extension(text: &str) -> bool {
    text.len() <= 5 && text.chars().all(|c| c.is_ascii_alphanumeric())
}

fn is_reserved(c: char) -> bool {
    c.is_ascii_punctuation() && !matches!(c, '-' | '_' | '.' | '(' | ')' | '+' | ',' | '!')
}

/// Control characters, and those that change how their neighbours are shown.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffd}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_dangerous_is_left_of_a_clients_name() {
        let cases = [
            ("plain", "dune.jpeg", "dune"),
            ("not ASCII", "沙丘 2024.png", "沙丘_2024"),
            ("path", "../../etc/passwd", "passwd"),
            ("Windows path", r"C:\secret\..\x.gif", "x"),
            ("only a path", "../..", "image"),
            ("hidden file", ".htaccess", "htaccess"),
            ("two extensions", "shell.php.jpg", "shell.php"),
            ("not an extension", "v1.final-cut", "v1.final-cut"),
            ("NUL and line breaks", "a\0b\r\nc.png", "abc"),
            ("markup", "<svg onload=alert(1)>.png", "svg_onloadalert(1)"),
            ("percent escapes", "%2e%2e%2fx.png", "2e2e2fx"),
            ("right-to-left override", "a\u{202e}gpj.exe", "agpj"),
            ("zero width", "\u{200b}\u{feff}.png", "image"),
            ("empty", "", "image"),
            ("dots", "....", "image"),
        ];
        for (name, given, expected) in cases {
            assert_eq!(stem(given), expected, "{name}");
        }
        assert_eq!(stem(&"ä".repeat(10_000)).chars().count(), MAX_STEM);
    }

    #[test]
    fn a_name_ends_in_seven_random_characters_and_the_real_extension() {
        let name = make(Some("dune.exe"), ImageFormat::WebP);
        let random = name.strip_prefix("dune_").and_then(|rest| rest.strip_suffix(".webp"));

        assert!(
            random.is_some_and(
                |text| text.len() == 7 && text.bytes().all(|b| b.is_ascii_alphanumeric())
            ),
            "{name}"
        );
        assert_ne!(make(None, ImageFormat::Png), make(None, ImageFormat::Png));
    }
}
