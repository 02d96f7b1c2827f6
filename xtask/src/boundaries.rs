//! Which crate may use which: what `deny.toml` says, held against what Cargo would build.
//!
//! `cargo deny check bans` reads the same list and knows more, but it has to be installed. This
//! needs Cargo alone, so the boundaries hold on every machine. It asks `cargo tree`, because the
//! answer of `cargo metadata` has optional crates in it that no feature switches on.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
};

use figment::{
    Figment,
    providers::{Format, Toml},
};
use serde::Deserialize;

use crate::workspace;

/// Why the boundaries could not be looked at.
#[derive(Debug, thiserror::Error)]
pub enum BoundariesError {
    /// `deny.toml` is missing or not of the expected form.
    #[error("deny.toml: {0}")]
    Rules(#[from] Box<figment::Error>),
    /// Cargo could not be run.
    #[error("cargo tree: {0}")]
    Cargo(#[from] std::io::Error),
    /// Cargo refused; its words.
    #[error("cargo tree: {0}")]
    Refused(String),
}

/// The parts of `deny.toml` that are about boundaries.
#[derive(Debug, Deserialize)]
struct Rules {
    graph: Graph,
    bans: Bans,
}

#[derive(Debug, Deserialize)]
struct Graph {
    targets: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Bans {
    deny: Vec<Ban>,
}

/// A crate that nobody may use, or only some.
#[derive(Debug, Deserialize)]
struct Ban {
    name: String,
    #[serde(default)]
    wrappers: Vec<String>,
    #[serde(default)]
    reason: String,
}

/// Every use of a crate that `deny.toml` does not allow, in words; none when all is well.
///
/// Dependencies of tests beside the code do not count. Asks no server when everything that the
/// lock file names has been fetched.
///
/// # Errors
///
/// [`BoundariesError`]: nothing is known about the boundaries.
pub fn crossed() -> Result<BTreeSet<String>, BoundariesError> {
    let file = Toml::file_exact(workspace::root().join("deny.toml"));
    let rules: Rules = Figment::from(file).extract().map_err(Box::new)?;
    let mut crossed = BTreeSet::new();
    for target in &rules.graph.targets {
        crossed.extend(crossings(&tree(target)?, &rules.bans.deny));
    }
    Ok(crossed)
}

/// The crates that are built for `target`, each on a line after its depth below a member of the
/// workspace. What is below a crate is shown where the crate comes first.
fn tree(target: &str) -> Result<String, BoundariesError> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["tree", "--workspace", "--all-features", "--locked", "--target", target])
        .args(["--edges", "normal,build", "--prefix", "depth", "--format", " {p}"])
        .current_dir(workspace::root())
        .output()?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(BoundariesError::Refused(words));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn crossings(tree: &str, bans: &[Ban]) -> BTreeSet<String> {
    let bans: BTreeMap<_, _> = bans.iter().map(|ban| (&*ban.name, ban)).collect();
    let mut above: Vec<&str> = Vec::new();
    let mut crossed = BTreeSet::new();
    for line in tree.lines() {
        let mut words = line.split_whitespace();
        let depth = words.next().and_then(|depth| depth.parse::<usize>().ok());
        let (Some(depth), Some(used)) = (depth, words.next()) else { continue };
        above.truncate(depth);
        if let (Some(user), Some(ban)) = (above.last(), bans.get(used))
            && !ban.wrappers.iter().any(|wrapper| wrapper == user)
        {
            crossed.insert(format!("{user} uses {used}: {}", ban.reason));
        }
        above.push(used);
    }
    crossed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_use_that_is_not_on_the_list_crosses_a_boundary() {
        let ban = Ban {
            name: "driver".to_owned(),
            wrappers: vec!["ours".to_owned()],
            reason: "ours alone".to_owned(),
        };
        let cases: [(&str, &str, &[&str]); 5] = [
            ("nobody uses it", "0 ours v1 (/a)\n1 other v2\n", &[]),
            ("allowed", "0 ours v1 (/a)\n1 driver v2\n", &[]),
            (
                "not allowed, though elsewhere it is",
                "0 ours v1\n1 driver v2\n2 deep v1\n\n0 theirs v1\n1 driver v2 (*)\n",
                &["theirs uses driver: ours alone"],
            ),
            (
                "through another crate",
                "0 ours v1\n1 between v1\n2 driver v2\n1 driver v2\n",
                &["between uses driver: ours alone"],
            ),
            ("it is in the workspace itself", "0 driver v1\n1 ours v1\n", &[]),
        ];
        for (name, tree, expected) in cases {
            let crossed = crossings(tree, std::slice::from_ref(&ban));
            assert!(crossed.iter().eq(expected), "{name}: {crossed:?}");
        }
    }
}
