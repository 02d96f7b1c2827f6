//! A browser for the tests of pages. Each test starts its own; here is only where it comes from.

use std::{env, path::PathBuf};

use super::{Progress, ServiceError, install};

/// Names the program `chromedriver`.
pub const CHROMEDRIVER: &str = "FEAT_TEST_CHROMEDRIVER";

/// The program `chromedriver`: the one that the environment names, else the one on the path, on
/// Debian and Ubuntu installed with its browser when it is missing.
///
/// # Errors
///
/// [`ServiceError::NoWay`] when this machine has none and may not install it.
pub fn chromedriver(progress: &Progress) -> Result<PathBuf, ServiceError> {
    match env::var_os(CHROMEDRIVER).filter(|program| !program.is_empty()) {
        Some(program) => Ok(program.into()),
        None => install::chromedriver(progress),
    }
}
