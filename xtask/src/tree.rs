//! The checkout as the chores see it: its root, its files, and the workspace that cargo reports. Reads only.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

use crate::{Error, file_error};

/// The root of the checkout this program was built from.
#[must_use]
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap_or(Path::new("."))
}

/// Every file under `folder` whose name ends in `.extension`, as absolute paths in name order. Hidden folders, build output
/// and installed packages are left out.
pub fn files(folder: &Path, extension: &str) -> Result<Vec<PathBuf>, Error> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(&next).map_err(file_error("listing", &next))? {
            let entry = entry.map_err(file_error("listing", &next))?;
            let path = entry.path();
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let kind = entry.file_type().map_err(file_error("looking at", &path))?;
            if kind.is_dir() {
                if !name.starts_with('.') && name != "target" && name != "node_modules" {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|found| found == extension) {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// What `cargo metadata` says of the workspace, as far as the chores need it.
#[derive(Debug, Deserialize)]
pub struct Workspace {
    /// The workspace's own packages.
    pub packages: Vec<Package>,
    /// Where cargo puts what it builds.
    pub target_directory: PathBuf,
}

/// One package of the workspace.
#[derive(Debug, Deserialize)]
pub struct Package {
    /// Its name as written in its manifest.
    pub name: String,
    /// Absolute path of its manifest.
    pub manifest_path: PathBuf,
    /// Every dependency it names, of all three kinds.
    pub dependencies: Vec<Dependency>,
    /// What it builds.
    pub targets: Vec<Target>,
}

/// One line of a `[dependencies]`, `[dev-dependencies]` or `[build-dependencies]` table.
#[derive(Debug, Deserialize)]
pub struct Dependency {
    /// Name of the package depended on.
    pub name: String,
    /// `None` for an ordinary dependency, else `"dev"` or `"build"`.
    pub kind: Option<String>,
    /// Set when it is a folder on this disk: a package of the workspace.
    pub path: Option<PathBuf>,
}

/// A library, binary, test or example of a package.
#[derive(Debug, Deserialize)]
pub struct Target {
    /// Its name.
    pub name: String,
    /// `"lib"`, `"bin"`, `"test"` and so on.
    pub kind: Vec<String>,
}

/// The cargo that runs this program, or the one on the path.
#[must_use]
pub fn cargo() -> String {
    std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned())
}

/// Asks cargo for the workspace (its own packages only; nothing is fetched).
pub fn workspace() -> Result<Workspace, Error> {
    let cargo = cargo();
    let output = Command::new(&cargo)
        .args([
            "metadata",
            "--no-deps",
            "--offline",
            "--format-version",
            "1",
        ])
        .current_dir(root())
        .output()
        .map_err(|source| Error::Start {
            program: cargo,
            source,
        })?;
    if !output.status.success() {
        return Err(Error::Failed {
            command: "cargo metadata".to_owned(),
            status: format!(
                "{}: {}",
                output.status,
                String::from_utf8_lossy(&output.stderr)
            ),
        });
    }
    serde_json::from_slice(&output.stdout).map_err(|error| Error::Content {
        path: "cargo metadata".to_owned(),
        found: error.to_string(),
    })
}
