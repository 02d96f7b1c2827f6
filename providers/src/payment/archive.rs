//! Packed files of the providers, unpacked within a bound.

use std::io::Read;

use flate2::read::{DeflateDecoder, GzDecoder, ZlibDecoder};

use super::ProviderError;

/// Most entries of a zip file.
const MAX_ENTRIES: usize = 64;

const LOCAL_HEADER: &[u8] = b"PK\x03\x04";
const CENTRAL_HEADER: &[u8] = b"PK\x01\x02";
const END_HEADER: &[u8] = b"PK\x05\x06";

/// One file of a zip file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// Its name as raw bytes.
    pub(super) name: Vec<u8>,
    /// Its content.
    pub(super) content: Vec<u8>,
}

/// Does work on a whole file beside the runtime's own threads, which it would hold up.
pub(super) async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ProviderError> + Send + 'static,
) -> Result<T, ProviderError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|_| Err(ProviderError::unknown("file")))
}

/// Unpacks gzip; nothing when it is broken or larger than `most` bytes.
pub(super) fn gunzip(packed: &[u8], most: usize) -> Option<Vec<u8>> {
    bounded(GzDecoder::new(packed), most)
}

/// Unpacks zlib; nothing when it is broken or larger than `most` bytes.
pub(super) fn inflate(packed: &[u8], most: usize) -> Option<Vec<u8>> {
    bounded(ZlibDecoder::new(packed), most)
}

/// Unpacks a zip file (stored and deflated entries, no encryption, no zip64); nothing when it is
/// broken, has too many entries, or its contents are together larger than `most` bytes.
pub(super) fn unzip(file: &[u8], most: usize) -> Option<Vec<Entry>> {
    let end = file.windows(4).rposition(|window| window == END_HEADER)?;
    let count = usize::from(short(file, end + 10)?);
    let mut at = long(file, end + 16)?;
    if count > MAX_ENTRIES {
        return None;
    }
    let mut left = most;
    let mut entries = Vec::new();
    for _ in 0..count {
        if file.get(at..at + 4)? != CENTRAL_HEADER {
            return None;
        }
        let name_length = usize::from(short(file, at + 28)?);
        let behind = usize::from(short(file, at + 30)?) + usize::from(short(file, at + 32)?);
        let name = file.get(at + 46..at + 46 + name_length)?.to_vec();
        let content = entry(file, at, left)?;
        left -= content.len();
        entries.push(Entry { name, content });
        at = at + 46 + name_length + behind;
    }
    Some(entries)
}

/// The content of the entry whose central header is at `at`.
fn entry(file: &[u8], at: usize, most: usize) -> Option<Vec<u8>> {
    let encrypted = short(file, at + 8)? & 1 == 1;
    let method = short(file, at + 10)?;
    let packed_length = long(file, at + 20)?;
    let local = long(file, at + 42)?;
    if encrypted || file.get(local..local + 4)? != LOCAL_HEADER {
        return None;
    }
    let names = usize::from(short(file, local + 26)?) + usize::from(short(file, local + 28)?);
    let begin = local + 30 + names;
    let packed = file.get(begin..begin.checked_add(packed_length)?)?;
    match method {
        0 if packed.len() <= most => Some(packed.to_vec()),
        8 => bounded(DeflateDecoder::new(packed), most),
        _ => None,
    }
}

fn bounded(reader: impl Read, most: usize) -> Option<Vec<u8>> {
    let mut content = Vec::new();
    let limit = u64::try_from(most).ok()?.checked_add(1)?;
    reader.take(limit).read_to_end(&mut content).ok()?;
    (content.len() <= most).then_some(content)
}

fn short(file: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(file.get(at..at + 2)?.try_into().ok()?))
}

fn long(file: &[u8], at: usize) -> Option<usize> {
    let number = u32::from_le_bytes(file.get(at..at + 4)?.try_into().ok()?);
    usize::try_from(number).ok()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    #[test]
    fn a_bomb_is_refused() {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(&vec![0; 1_000_000]).unwrap();
        let packed = encoder.finish().unwrap();

        assert_eq!(gunzip(&packed, 1_000_000).map(|file| file.len()), Some(1_000_000));
        assert_eq!(gunzip(&packed, 999_999), None);
    }

    #[test]
    fn broken_zip_files_are_nothing() {
        let cases: [(&str, &[u8]); 4] = [
            ("empty", b""),
            ("no end", b"PK\x01\x02"),
            ("cut off", b"PK\x05\x06\0\0\0\0\x01\0\x01\0"),
            ("points outside", b"PK\x05\x06\0\0\0\0\x01\0\x01\0\0\0\0\0\xff\xff\xff\xff\0\0"),
        ];
        for (name, file) in cases {
            assert_eq!(unzip(file, 1_000), None, "{name}");
        }
    }
}
