//! Runs the measurements: every binary of the package `luopan-bench`, one at a time so that none disturbs another, and then
//! draws the table. A measurement that writes no result is a failure.

use std::process::Command;

use crate::tree::{self, Workspace};
use crate::{Error, file_error, results, succeed};

/// Package that holds the measurements, one binary each.
const PACKAGE: &str = "luopan-bench";

/// Builds and runs the measurements called `names` (all when empty), then rewrites the table in `bench/README.md`.
pub fn run(names: &[String]) -> Result<(), Error> {
    let root = tree::root();
    let workspace = tree::workspace()?;
    let known = measurements(&workspace);
    if let Some(unknown) = names.iter().find(|name| !known.contains(name)) {
        return Err(Error::Refused(format!(
            "no measurement is called {unknown:?}: there are {}",
            known.join(", ")
        )));
    }
    if known.is_empty() {
        return Err(Error::Refused(format!(
            "{PACKAGE} has no binaries: nothing to measure"
        )));
    }
    let chosen = if names.is_empty() { &known } else { names };
    // The product's own binary is measured over HTTP, and the checker judges a year: they are built first, with the same
    // profile.
    cargo(&[
        "build",
        "--release",
        "--locked",
        "-p",
        "luopan-server",
        "-p",
        "luopan-checker",
        "-p",
        PACKAGE,
    ])?;
    for name in chosen {
        eprintln!("== {name}");
        let result = root.join("bench/results").join(format!("{name}.json"));
        let before = std::fs::metadata(&result)
            .and_then(|found| found.modified())
            .ok();
        // What was just built, not `cargo run`: nothing is compiled between two measurements.
        let mut measurement = Command::new(workspace.target_directory.join("release").join(name));
        measurement.current_dir(root);
        succeed(measurement)?;
        let after = std::fs::metadata(&result)
            .and_then(|found| found.modified())
            .ok();
        if after.is_none() || after == before {
            return Err(Error::Refused(format!(
                "{name} ended well but did not write {}",
                result.display()
            )));
        }
        results::read_file(&result)?;
    }
    write_table()
}

/// Writes the table anew from the results that lie there.
pub fn write_table() -> Result<(), Error> {
    let root = tree::root();
    let path = results::readme(root);
    std::fs::write(&path, results::page(root)?).map_err(file_error("writing", &path))
}

/// Names of the measurements, in name order.
fn measurements(workspace: &Workspace) -> Vec<String> {
    let mut names: Vec<String> = workspace
        .packages
        .iter()
        .filter(|package| package.name == PACKAGE)
        .flat_map(|package| &package.targets)
        .filter(|target| target.kind.iter().any(|kind| kind == "bin"))
        .map(|target| target.name.clone())
        .collect();
    names.sort();
    names
}

fn cargo(arguments: &[&str]) -> Result<(), Error> {
    let mut command = Command::new(tree::cargo());
    command.args(arguments).current_dir(tree::root());
    succeed(command)
}
