//! The crates keep to the boundaries that `deny.toml` draws.

#[test]
fn no_crate_crosses_a_boundary() {
    let crossed = xtask::boundaries::crossed();

    assert_eq!(crossed.map_err(|error| error.to_string()), Ok([].into()));
}
