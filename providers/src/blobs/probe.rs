//! Looks whether a file store does what Feat needs of it.

use bytes::Bytes;
use futures::TryStreamExt;
use uuid::Uuid;

use super::{BlobError, Blobs};
use crate::Finding;

const CONTENT: &[u8] = b"This file was written by a check of the installation.\n";

/// Writes, reads and removes a file of its own, and stops at the first trouble.
pub(super) async fn run(blobs: &Blobs) -> Vec<Finding> {
    let folder = format!("checks/{}", Uuid::now_v7());
    let key = format!("{folder}/probe.txt");

    let mut findings =
        vec![finding("write a file", blobs.put(&key, Bytes::from_static(CONTENT)).await)];
    if findings.iter().all(|finding| finding.problem.is_none()) {
        findings.push(finding("read it back", read_back(blobs, &key).await));
        findings.push(finding("remove it", remove(blobs, &folder).await));
    }
    findings
}

fn finding(what: &str, outcome: Result<(), BlobError>) -> Finding {
    let problem = outcome.err().map(|error| error.to_string());
    Finding { what: format!("file store: {what}"), problem }
}

async fn read_back(blobs: &Blobs, key: &str) -> Result<(), BlobError> {
    let found = match blobs.get(key, None).await? {
        Some(found) => found.bytes.try_collect::<Vec<_>>().await?.concat(),
        None => Vec::new(),
    };
    if found == CONTENT {
        return Ok(());
    }
    Err(BlobError::Misconfigured("what was read is not what was written".into()))
}

async fn remove(blobs: &Blobs, folder: &str) -> Result<(), BlobError> {
    match blobs.remove_folder(folder).await? {
        1 => Ok(()),
        _ => Err(BlobError::Misconfigured("the file was not there to be removed".into())),
    }
}
