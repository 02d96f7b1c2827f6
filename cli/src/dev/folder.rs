//! The data folder: the database, the files, and the key that signs access tokens.

use std::{
    fs::{self, DirBuilder, OpenOptions},
    io::{ErrorKind, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use api::auth::TokenKey;
use secrecy::{ExposeSecret, SecretString};

use crate::failure::Failure;

const TOKEN_KEY: &str = "token-key.pem";
const SEALING_KEY: &str = "sealing-key";
const FILES: &str = "files";

/// A folder that exists and can be written.
pub(super) struct DataFolder(PathBuf);

impl DataFolder {
    /// Makes the folder, for this user alone, unless it is there.
    ///
    /// # Errors
    ///
    /// It cannot be made or written.
    pub(super) fn prepare(path: &Path) -> Result<Self, Failure> {
        let refused = |error: std::io::Error| {
            Failure::setup(
                format!("cannot use the data folder {}: {error}", path.display()),
                "Make it a folder that this user can write, or choose another one with --data",
            )
        };
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(refused)?;
        let probe = path.join(format!(".probe-{:08x}", rand::random::<u32>()));
        fs::write(&probe, b"").and_then(|()| fs::remove_file(&probe)).map_err(refused)?;
        Ok(Self(path.to_owned()))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Where the files of pictures are.
    pub(super) fn files(&self) -> PathBuf {
        self.0.join(FILES)
    }

    /// The key that signs access tokens, made on the first start.
    ///
    /// # Errors
    ///
    /// It cannot be read, is damaged, or cannot be written.
    pub(super) fn token_key(&self) -> Result<TokenKey, Failure> {
        let path = self.0.join(TOKEN_KEY);
        if path.exists() {
            return stored_token_key(&self.0);
        }
        let key = TokenKey::generate();
        write_private(&path, key.to_pem().expose_secret()).map_err(|error| {
            Failure::setup(
                format!("cannot write {}: {error}", path.display()),
                "Make the data folder writable",
            )
        })?;
        Ok(key)
    }
}

impl DataFolder {
    /// The key that seals the ids of payers, made on the first start.
    ///
    /// # Errors
    ///
    /// It cannot be read or written.
    pub(super) fn sealing_key(&self) -> Result<SecretString, Failure> {
        let path = self.0.join(SEALING_KEY);
        let refused = |error: std::io::Error| {
            Failure::setup(
                format!("the sealing key {}: {error}", path.display()),
                "Make the data folder writable, or restore the key from a copy",
            )
        };
        if path.exists() {
            let text = fs::read_to_string(&path).map_err(refused)?;
            return Ok(text.trim().into());
        }
        let words: Vec<_> = (0..4).map(|_| format!("{:016x}", rand::random::<u64>())).collect();
        let key = words.concat();
        write_private(&path, &key).map_err(refused)?;
        Ok(key.into())
    }
}

/// The key that an earlier start has left in `folder`.
///
/// # Errors
///
/// It is not there, cannot be read, or is damaged.
pub(crate) fn stored_token_key(folder: &Path) -> Result<TokenKey, Failure> {
    let path = folder.join(TOKEN_KEY);
    let advice = "Restore it from a copy, or remove it: then a new one is made and everybody has \
                  to sign in again";
    let refused = |error: &dyn std::fmt::Display| {
        Failure::setup(format!("the token key {}: {error}", path.display()), advice)
    };
    let pem = fs::read_to_string(&path).map_err(|error| refused(&error))?;
    TokenKey::from_pem(pem.into()).map_err(|error| refused(&error))
}

/// Writes a new file that only this user can read; a crash leaves the whole file or none.
fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    let beside = path.with_extension("new");
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&beside, path)
}
