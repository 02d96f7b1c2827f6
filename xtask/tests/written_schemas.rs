//! The written document of the HTTP API is the one that the code makes.

use std::fs;

use schemas::export;

#[test]
fn written_openapi_is_current() {
    let path = xtask::workspace::root().join("schemas/openapi.json");
    let written = fs::read_to_string(&path).unwrap_or_default();
    let current = export::text(api::openapi());
    assert!(written == current, "{} is behind the code: run `cargo xtask schemas`", path.display());
}
