//! Where things are: the workspace's root and its folder of built and downloaded things.

use std::{
    env,
    path::{Path, PathBuf},
};

/// The root of the workspace.
#[must_use]
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

/// The folder for everything that can be made again: `target`, or what `CARGO_TARGET_DIR` says.
#[must_use]
pub fn target() -> PathBuf {
    match env::var_os("CARGO_TARGET_DIR") {
        Some(folder) => root().join(folder),
        None => root().join("target"),
    }
}
