//! What a matching was begun from, and the folder of its finished parts beside the output.

use crate::problem::{Problem, Result};
use luopan_engine::matching::Matched;
use luopan_kernel::id::PartitionId;
use luopan_kernel::time::Micros;
use luopan_lake::Notes;
use serde::{Deserialize, Serialize};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Format of the manifest.
const MANIFEST_FORMAT: u32 = 1;
const NAME: &str = "manifest.json";

/// What parts are made from. Parts of equal manifests may stand in one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    format: u32,
    pub(crate) scene: String,
    pub(crate) version: u32,
    plan_hash: String,
    pub(crate) policy: String,
    catalogue_version: u64,
    /// Models by name, with the samples they have learned from.
    pub(crate) models: Vec<(String, u64)>,
    #[serde(with = "crate::time::text")]
    pub(crate) at: Micros,
    pub(crate) top: usize,
    /// Hash of how far State is.
    state: String,
}

impl Manifest {
    pub(crate) fn new(about: &Matched, top: usize) -> Self {
        Self {
            format: MANIFEST_FORMAT,
            scene: about.scene.clone(),
            version: about.version,
            plan_hash: about.plan_hash.clone(),
            policy: about.policy.clone(),
            catalogue_version: about.catalogue_version,
            models: about.models.clone(),
            at: about.at,
            top,
            state: about.state.clone(),
        }
    }

    /// What differs from what was `begun`, in words.
    fn differences(&self, begun: &Self) -> Vec<String> {
        let mut out = Vec::new();
        let mut differ = |what: &str, begun: String, asked: String| {
            if begun != asked {
                out.push(format!("{what} was {begun} and is {asked}"));
            }
        };
        differ("the scene", begun.scene.clone(), self.scene.clone());
        differ("the policy", begun.policy.clone(), self.policy.clone());
        differ("--top", begun.top.to_string(), self.top.to_string());
        differ(
            "the moment",
            crate::time::write(begun.at),
            crate::time::write(self.at),
        );
        differ(
            "the scene's version",
            begun.version.to_string(),
            self.version.to_string(),
        );
        differ("the plan", begun.plan_hash.clone(), self.plan_hash.clone());
        differ(
            "the catalogue's version",
            begun.catalogue_version.to_string(),
            self.catalogue_version.to_string(),
        );
        let models = |m: &[(String, u64)]| {
            let words: Vec<String> = m.iter().map(|(n, v)| format!("{n} {v}")).collect();
            words.join(", ")
        };
        differ("the models", models(&begun.models), models(&self.models));
        if out.is_empty() && begun.state != self.state {
            out.push(
                "the data folder has taken events, decisions or links since it was begun"
                    .to_owned(),
            );
        }
        out
    }

    /// The notes of the output.
    pub(crate) fn notes(&self) -> Notes {
        let models: Vec<serde_json::Value> = (self.models.iter())
            .map(|(name, version)| serde_json::json!({ "name": name, "version": version }))
            .collect();
        [
            ("luopan.scene", self.scene.clone()),
            ("luopan.scene_version", self.version.to_string()),
            ("luopan.plan_hash", self.plan_hash.clone()),
            ("luopan.policy", self.policy.clone()),
            (
                "luopan.catalogue_version",
                self.catalogue_version.to_string(),
            ),
            (
                "luopan.models",
                serde_json::Value::Array(models).to_string(),
            ),
            ("luopan.at", crate::time::write(self.at)),
            ("luopan.top", self.top.to_string()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec()
    }
}

/// The folder beside the output.
#[derive(Debug, Clone)]
pub(crate) struct Folder {
    path: PathBuf,
}

pub(crate) fn unusable(path: &Path, e: impl std::fmt::Display) -> Box<Problem> {
    Problem::new("file_unreadable", format!("{}: {e}", path.display()))
}

impl Folder {
    /// Of this output.
    pub(crate) fn of(output: &Path) -> Result<Self> {
        let Some(name) = output.file_name() else {
            return Err(Problem::new(
                "command_line",
                format!(
                    "`{}` names no file; write for instance --output match.parquet",
                    output.display()
                ),
            ));
        };
        if output.is_dir() {
            return Err(Problem::new(
                "command_line",
                format!("{} is a folder; name the file to write", output.display()),
            ));
        }
        let mut name = name.to_owned();
        name.push(".partial");
        Ok(Self {
            path: output.with_file_name(name),
        })
    }

    /// The part of a partition.
    pub(crate) fn part(&self, partition: PartitionId) -> PathBuf {
        self.path.join(format!("part-{:05}.parquet", partition.0))
    }

    /// What was begun here, if anything was.
    pub(crate) fn begun(&self) -> Result<Option<Manifest>> {
        let path = self.path.join(NAME);
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(unusable(&path, e)),
        };
        let format = serde_json::from_slice::<serde_json::Value>(&text)
            .ok()
            .and_then(|v| v.get("format")?.as_u64());
        match format {
            Some(found) if found > u64::from(MANIFEST_FORMAT) => Err(unusable(
                &path,
                format!(
                    "it has format {found}, this program reads up to {MANIFEST_FORMAT}; use a newer program, or begin anew with --restart"
                ),
            )),
            _ => serde_json::from_slice(&text)
                .map(Some)
                .map_err(|e| unusable(&path, format!("{e}; begin anew with --restart"))),
        }
    }

    /// Goes on with what was begun, or begins.
    pub(crate) fn enter(&self, asked: &Manifest, begun: Option<&Manifest>) -> Result<()> {
        if let Some(begun) = begun {
            let differences = asked.differences(begun);
            if !differences.is_empty() {
                return Err(Problem::new(
                    "match_differs",
                    format!(
                        "{} holds another matching that is not finished: {}; ask for what was begun, or begin anew with --restart",
                        self.path.display(),
                        differences.join(", ")
                    ),
                ));
            }
            return Ok(());
        }
        // Parts without a manifest are of nobody knows what.
        self.clear()?;
        std::fs::create_dir_all(&self.path).map_err(|e| unusable(&self.path, e))?;
        let text = serde_json::to_vec_pretty(asked)
            .map_err(|e| Problem::internal(format!("writing the manifest failed: {e}")))?;
        luopan_lake::write_whole(&self.path.join(NAME), &text)
            .map_err(|e| Problem::new("file_unreadable", e.to_string()))
    }

    /// Takes the folder away with all that this program writes there, and nothing else.
    pub(crate) fn clear(&self) -> Result<()> {
        let entries = match std::fs::read_dir(&self.path) {
            Ok(entries) => entries,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(unusable(&self.path, e)),
        };
        // The manifest goes first: parts without one are of no use.
        let mut names = vec![NAME.to_owned()];
        for entry in entries {
            let entry = entry.map_err(|e| unusable(&self.path, e))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let whole = name.strip_suffix(".tmp").unwrap_or(&name);
            let is_part = whole.starts_with("part-") && whole.ends_with(".parquet");
            if name != NAME && (is_part || whole == NAME) {
                names.push(name);
            }
        }
        for name in names {
            let path = self.path.join(name);
            match std::fs::remove_file(&path) {
                Err(e) if e.kind() != ErrorKind::NotFound => return Err(unusable(&path, e)),
                _ => {}
            }
        }
        std::fs::remove_dir(&self.path).map_err(|e| unusable(&self.path, e))
    }
}
