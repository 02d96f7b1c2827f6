//! PEM text, and keys that come without its lines.

use base64::{Engine, engine::general_purpose::STANDARD};

/// Most blocks of one text.
const MAX_BLOCKS: usize = 32;

/// The decoded blocks of a PEM text with the label `label`, in order.
///
/// # Errors
///
/// A text without such a block, with too many, or with one that is not base64.
pub(crate) fn pem_blocks(text: &str, label: &str) -> Result<Vec<Vec<u8>>, &'static str> {
    let (begin, end) = (format!("-----BEGIN {label}-----"), format!("-----END {label}-----"));
    let mut blocks = Vec::new();
    let mut rest = text;
    while let Some((_, after)) = rest.split_once(&begin) {
        let (body, after) = after.split_once(&end).ok_or("a PEM block has no end")?;
        blocks.push(decode(body)?);
        if blocks.len() > MAX_BLOCKS {
            return Err("too many PEM blocks");
        }
        rest = after;
    }
    if blocks.is_empty() { Err("no PEM block of the expected kind") } else { Ok(blocks) }
}

/// The bytes of a key: of the first PEM block with one of the labels, or of a text that is only
/// base64, as some merchants keep their keys.
pub(crate) fn key_der(text: &str, labels: &[&str]) -> Result<Vec<u8>, &'static str> {
    if !text.contains("-----BEGIN") {
        return decode(text);
    }
    let found = labels.iter().find_map(|label| pem_blocks(text, label).ok());
    found.and_then(|blocks| blocks.into_iter().next()).ok_or("no PEM block of the expected kind")
}

/// The bytes as one PEM block.
pub(crate) fn to_pem(label: &str, der: &[u8]) -> String {
    let body = STANDARD.encode(der);
    let lines = body.as_bytes().chunks(64).map(String::from_utf8_lossy);
    let body = lines.collect::<Vec<_>>().join("\n");
    format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n")
}

fn decode(text: &str) -> Result<Vec<u8>, &'static str> {
    let dense: String = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    STANDARD.decode(dense).map_err(|_| "not base64")
}
