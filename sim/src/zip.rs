//! Archives of a few small files, stored as they are.

use flate2::Crc;

/// An archive with `files`, by name.
pub(crate) fn pack(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = Vec::new();
    let mut directory = Vec::new();
    for (name, data) in files {
        let start = small(archive.len());
        let mut crc = Crc::new();
        crc.update(data);
        let (length, name_length) = (small(data.len()), name.len().to_le_bytes());
        // Version 2.0, names in UTF-8, stored, 1 January 1980.
        let mut head = vec![20, 0, 0, 8, 0, 0, 0, 0, 0x21, 0];
        head.extend_from_slice(&crc.sum().to_le_bytes());
        head.extend_from_slice(&length);
        head.extend_from_slice(&length);
        head.extend_from_slice(&name_length[..2]);
        head.extend_from_slice(&[0, 0]);

        archive.extend_from_slice(b"PK\x03\x04");
        archive.extend_from_slice(&head);
        archive.extend_from_slice(name.as_bytes());
        archive.extend_from_slice(data);

        directory.extend_from_slice(b"PK\x01\x02\x14\x00");
        directory.extend_from_slice(&head);
        directory.extend_from_slice(&[0; 10]);
        directory.extend_from_slice(&start);
        directory.extend_from_slice(name.as_bytes());
    }
    let (offset, size) = (small(archive.len()), small(directory.len()));
    let count = files.len().to_le_bytes();
    archive.extend_from_slice(&directory);
    archive.extend_from_slice(b"PK\x05\x06\0\0\0\0");
    archive.extend_from_slice(&count[..2]);
    archive.extend_from_slice(&count[..2]);
    archive.extend_from_slice(&size);
    archive.extend_from_slice(&offset);
    archive.extend_from_slice(&[0, 0]);
    archive
}

fn small(length: usize) -> [u8; 4] {
    u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes()
}
