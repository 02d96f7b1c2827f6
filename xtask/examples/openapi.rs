//! Writes the document of the HTTP API to the named file. `cargo xtask schemas` runs it; it is no
//! part of that command, because the command must not depend on all of Feat.

use std::{env, error::Error, fs};

fn main() -> Result<(), Box<dyn Error>> {
    let path = env::args_os().nth(1).ok_or("give the file to write")?;
    fs::write(path, api::openapi().to_string())?;
    Ok(())
}
