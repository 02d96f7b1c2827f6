//! Which crate may use which: what `deny.toml` says, held against what Cargo would build.
//!
//! `cargo deny check bans` reads the same list and knows more, but it has to be installed. This
//! needs Cargo alone, so the boundaries hold on every machine.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
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
    #[error("cargo metadata: {0}")]
    Cargo(#[from] std::io::Error),
    /// Cargo refused; its words.
    #[error("cargo metadata: {0}")]
    Refused(String),
    /// Cargo's answer is not of the documented form.
    #[error("cargo metadata: {0}")]
    Metadata(#[from] serde_json::Error),
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

/// What `cargo metadata` tells of the crates and their dependencies.
#[derive(Debug, Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    workspace_members: Vec<String>,
    resolve: Resolve,
}

#[derive(Debug, Deserialize)]
struct Package {
    id: String,
    name: String,
}

#[derive(Debug, Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Debug, Deserialize)]
struct Node {
    id: String,
    deps: Vec<Dependency>,
}

#[derive(Debug, Deserialize)]
struct Dependency {
    pkg: String,
    dep_kinds: Vec<DependencyKind>,
}

#[derive(Debug, Deserialize)]
struct DependencyKind {
    kind: Option<String>,
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
        crossed.extend(crossings(&metadata(target)?, &rules.bans.deny));
    }
    Ok(crossed)
}

fn metadata(target: &str) -> Result<Metadata, BoundariesError> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--all-features", "--locked"])
        .args(["--filter-platform", target])
        .current_dir(workspace::root())
        .output()?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(BoundariesError::Refused(words));
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn crossings(metadata: &Metadata, bans: &[Ban]) -> Vec<String> {
    let names: HashMap<_, _> =
        metadata.packages.iter().map(|package| (&*package.id, &*package.name)).collect();
    let edges = built(metadata);
    let bans: BTreeMap<_, _> = bans.iter().map(|ban| (&*ban.name, ban)).collect();
    let mut crossed = Vec::new();
    for (user, dependency) in edges {
        let (Some(user), Some(dependency)) = (names.get(user), names.get(dependency)) else {
            continue;
        };
        if let Some(ban) = bans.get(dependency)
            && !ban.wrappers.iter().any(|wrapper| wrapper == user)
        {
            crossed.push(format!("{user} uses {dependency}: {}", ban.reason));
        }
    }
    crossed
}

/// Each use of a crate by another among those that are built for the program.
fn built(metadata: &Metadata) -> Vec<(&str, &str)> {
    let nodes: HashMap<_, _> =
        metadata.resolve.nodes.iter().map(|node| (&*node.id, node)).collect();
    let mut seen = BTreeSet::new();
    let mut next: Vec<_> = metadata.workspace_members.iter().map(String::as_str).collect();
    let mut uses = Vec::new();
    while let Some(id) = next.pop() {
        if !seen.insert(id) {
            continue;
        }
        for dependency in nodes.get(id).into_iter().flat_map(|node| &node.deps) {
            let only_tests =
                dependency.dep_kinds.iter().all(|kind| kind.kind.as_deref() == Some("dev"));
            if !only_tests {
                uses.push((id, &*dependency.pkg));
                next.push(&dependency.pkg);
            }
        }
    }
    uses
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use serde_json::{Value, json};

    use super::*;

    /// Crates `ours` and `theirs`, and uses among them and `driver`: user, used, kind.
    fn metadata(uses: &[(&str, &str, Option<&str>)]) -> Metadata {
        let names = ["ours", "theirs", "between", "driver"];
        let node = |id: &&str| -> Value {
            let deps = uses
                .iter()
                .filter(|(user, ..)| user == id)
                .map(|(_, used, kind)| json!({ "pkg": used, "dep_kinds": [{ "kind": kind }] }));
            json!({ "id": id, "deps": deps.collect::<Vec<_>>() })
        };
        serde_json::from_value(json!({
            "packages": names.map(|name| json!({ "id": name, "name": name })),
            "workspace_members": ["ours", "theirs"],
            "resolve": { "nodes": names.iter().map(node).collect::<Vec<_>>() },
        }))
        .unwrap()
    }

    /// Name, uses (by whom, of what, of which kind), and what is reported.
    type Case<'a> = (&'a str, &'a [(&'a str, &'a str, Option<&'a str>)], &'a [&'a str]);

    #[test]
    fn a_use_that_is_not_on_the_list_crosses_a_boundary() {
        let ban = Ban {
            name: "driver".to_owned(),
            wrappers: vec!["ours".to_owned()],
            reason: "ours alone".to_owned(),
        };
        let cases: [Case<'_>; 5] = [
            ("allowed", &[("ours", "driver", None)], &[]),
            ("not allowed", &[("theirs", "driver", None)], &["theirs uses driver: ours alone"]),
            ("by a test alone", &[("theirs", "driver", Some("dev"))], &[]),
            (
                "through another crate",
                &[("theirs", "between", Some("build")), ("between", "driver", None)],
                &["between uses driver: ours alone"],
            ),
            (
                "through a test's crate",
                &[("theirs", "between", Some("dev")), ("between", "driver", None)],
                &[],
            ),
        ];
        for (name, uses, expected) in cases {
            assert_eq!(crossings(&metadata(uses), std::slice::from_ref(&ban)), expected, "{name}");
        }
    }
}
