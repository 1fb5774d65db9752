//! The dependency edges between the crates are the ones drawn in ARCHITECTURE.md, and the libraries that belong to one room
//! are named by that room alone. An edge that is missing here is drawn first, in both places, with a reason.

use std::collections::{BTreeMap, BTreeSet};

use xtask::tree::{self, Workspace};

/// A crate and what it may depend on: in the product, and in its own tests besides.
struct Row {
    package: &'static str,
    product: &'static [&'static str],
    tests: &'static [&'static str],
}

const fn row(
    package: &'static str,
    product: &'static [&'static str],
    tests: &'static [&'static str],
) -> Row {
    Row {
        package,
        product,
        tests,
    }
}

const EDGES: [Row; 15] = [
    row("luopan-kernel", &[], &[]),
    row("luopan-scene", &["luopan-kernel"], &[]),
    row("luopan-learning", &["luopan-kernel"], &[]),
    row("luopan-store", &["luopan-kernel"], &[]),
    row("luopan-lake", &["luopan-kernel"], &[]),
    row("luopan-embedded", &["luopan-kernel", "luopan-store"], &[]),
    row(
        "luopan-cluster",
        &["luopan-kernel", "luopan-store"],
        &["luopan-testbed"],
    ),
    row(
        "luopan-engine",
        &["luopan-kernel", "luopan-scene", "luopan-store"],
        &["luopan-embedded"],
    ),
    row("luopan-simulator", &["luopan-kernel"], &[]),
    // Development only: no crate of the product stands on it.
    row(
        "luopan-testbed",
        &[
            "luopan-embedded",
            "luopan-engine",
            "luopan-kernel",
            "luopan-scene",
            "luopan-store",
        ],
        &[],
    ),
    row(
        "luopan-server",
        &[
            "luopan-cluster",
            "luopan-embedded",
            "luopan-engine",
            "luopan-kernel",
            "luopan-lake",
            "luopan-learning",
            "luopan-scene",
            "luopan-simulator",
            "luopan-store",
        ],
        &["luopan-testbed"],
    ),
    row("luopan-edge", &["luopan-kernel"], &[]),
    // Measurements: nothing stands on them, and they may look at any room.
    row(
        "luopan-bench",
        &[
            "luopan-embedded",
            "luopan-engine",
            "luopan-kernel",
            "luopan-learning",
            "luopan-scene",
            "luopan-server",
            "luopan-simulator",
            "luopan-store",
            "luopan-testbed",
        ],
        &[],
    ),
    row("xtask", &[], &[]),
    // Judges what the others did, so it stands on none of them.
    row("luopan-checker", &[], &[]),
];

/// Libraries that one room keeps to itself: HTTP belongs to the server, a storage engine to its backend.
const KEPT: [(&str, &[&str]); 6] = [
    ("async-nats", &["luopan-cluster"]),
    ("axum", &["luopan-server"]),
    ("clap", &["luopan-server", "luopan-bench", "xtask"]),
    ("fjall", &["luopan-embedded", "luopan-bench"]),
    ("sqlx", &["luopan-cluster", "luopan-embedded"]),
    ("utoipa", &["luopan-server"]),
];

fn faults(workspace: &Workspace) -> Vec<String> {
    let mut faults = Vec::new();
    let rows: BTreeMap<&str, &Row> = EDGES.iter().map(|row| (row.package, row)).collect();
    let members: BTreeSet<&str> = workspace
        .packages
        .iter()
        .map(|package| package.name.as_str())
        .collect();
    for gone in rows.keys().filter(|name| !members.contains(*name)) {
        faults.push(format!(
            "{gone} is drawn but is no package of the workspace"
        ));
    }
    for package in &workspace.packages {
        let name = package.name.as_str();
        let Some(row) = rows.get(name) else {
            faults.push(format!(
                "{name} is a package of the workspace but is not drawn"
            ));
            continue;
        };
        for dependency in &package.dependencies {
            let on = dependency.name.as_str();
            let for_tests = dependency.kind.as_deref() == Some("dev");
            let drawn =
                row.product.contains(&on) || (for_tests && row.tests.contains(&on)) || on == name;
            if dependency.path.is_some() && !drawn {
                let kind = if for_tests {
                    "its tests"
                } else {
                    "the product"
                };
                faults.push(format!("{name} -> {on} (in {kind}) is not drawn"));
            }
            let keeper = KEPT.iter().find(|(library, _)| *library == on);
            if let Some((library, keepers)) = keeper
                && !for_tests
                && !keepers.contains(&name)
            {
                faults.push(format!(
                    "{name} names {library}, which {} keeps",
                    keepers.join(" or ")
                ));
            }
        }
    }
    faults
}

#[test]
fn the_edges_between_crates_are_the_ones_drawn() {
    let faults = faults(&tree::workspace().expect("read the workspace"));
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn an_edge_that_is_not_drawn_is_found() {
    let text = r#"{"target_directory":"t","packages":[
        {"name":"luopan-kernel","manifest_path":"k","targets":[],"dependencies":[
            {"name":"luopan-store","kind":null,"path":"s"},
            {"name":"serde","kind":null,"path":null},
            {"name":"axum","kind":null,"path":null}]},
        {"name":"luopan-engine","manifest_path":"e","targets":[],"dependencies":[
            {"name":"luopan-embedded","kind":"dev","path":"m"},
            {"name":"luopan-testbed","kind":"dev","path":"b"}]}]}"#;
    let workspace: Workspace = serde_json::from_str(text).expect("a workspace");
    let faults = faults(&workspace).join("\n");
    assert!(faults.contains("luopan-kernel -> luopan-store (in the product) is not drawn"));
    assert!(faults.contains("luopan-kernel names axum, which luopan-server keeps"));
    assert!(faults.contains("luopan-engine -> luopan-testbed (in its tests) is not drawn"));
    assert!(faults.contains("luopan-scene is drawn but is no package"));
    assert!(!faults.contains("luopan-engine -> luopan-embedded"));
    assert!(!faults.contains("serde"));
}
