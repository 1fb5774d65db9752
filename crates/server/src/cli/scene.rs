//! `luopan scene check|apply|list`.

use super::Common;
use super::output::{Said, table};
use crate::answer;
use crate::data::{Opening, open};
use crate::problem::{Problem, Result};
use bytes::Bytes;
use clap::Subcommand;
use luopan_scene::{Checked, Fault};
use serde_json::json;
use std::path::{Path, PathBuf};

#[derive(Debug, Subcommand)]
pub(super) enum Scene {
    /// Check a pack and say everything that is wrong with it
    Check {
        /// Folder of the pack
        path: PathBuf,
    },
    /// Apply a pack: from here on its scene is this version
    Apply {
        /// Folder of the pack
        path: PathBuf,
    },
    /// List the scenes that are applied
    List,
}

pub(super) async fn run(common: &Common, scene: Scene) -> Result<Said> {
    match scene {
        Scene::Check { path } => check(&path),
        Scene::Apply { path } => apply(common, &path).await,
        Scene::List => list(common).await,
    }
}

/// Reads and compiles a pack, or says everything that is wrong with it.
pub(super) fn checked(path: &Path) -> Result<(Checked, Vec<(String, String)>)> {
    let files = luopan_scene::load_folder(path)
        .map_err(|e| Problem::new("file_unreadable", e.to_string()))?;
    match luopan_scene::compile(files.clone()) {
        Ok(checked) => Ok((checked, files)),
        Err(faults) => Err(faulty(path, &faults)),
    }
}

fn faulty(path: &Path, faults: &[Fault]) -> Box<Problem> {
    let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
    let many = if faults.len() == 1 {
        "1 fault".to_owned()
    } else {
        format!("{} faults", faults.len())
    };
    Problem::new(
        "scene_faults",
        format!("{} has {many}\n{}", path.display(), lines.join("\n")),
    )
    .with("faults", serde_json::to_value(faults).unwrap_or_default())
}

fn check(path: &Path) -> Result<Said> {
    let (checked, _) = checked(path)?;
    let plan = &checked.plan;
    let mappings: Vec<&String> = checked.mappings.keys().collect();
    let json = json!({
        "scene": plan.name,
        "hash": hex::encode(plan.hash()),
        "events": plan.events.len(),
        "tags": plan.tags.len(),
        "derived_tags": plan.derived.len(),
        "segments": plan.segments.len(),
        "policies": plan.policies.len(),
        "models": plan.models.len(),
        "rewards": plan.rewards.len(),
        "mappings": mappings,
    });
    let text = format!(
        "scene {} is right: {} event types, {} tags, {} derived tags, {} segments, {} policies, {} models, {} rewards, {} mappings",
        plan.name,
        plan.events.len(),
        plan.tags.len(),
        plan.derived.len(),
        plan.segments.len(),
        plan.policies.len(),
        plan.models.len(),
        plan.rewards.len(),
        mappings.len()
    );
    Said::new(&json, text)
}

async fn apply(common: &Common, path: &Path) -> Result<Said> {
    let (checked, files) = checked(path)?;
    let files: Vec<(String, Bytes)> = files
        .into_iter()
        .map(|(name, text)| (name, Bytes::from(text)))
        .collect();
    let opened = open(&common.data, Opening::Create).await?;
    opened.engine.start().await?;
    let applied = opened
        .engine
        .apply_scene(&checked.plan, &files, "cli")
        .await;
    opened.close().await;
    let scene = answer::Scene::from(applied?);
    let text = format!(
        "scene {} is applied as version {}",
        scene.name, scene.version
    );
    Said::new(&scene, text)
}

async fn list(common: &Common) -> Result<Said> {
    let opened = open(&common.data, Opening::Existing).await?;
    let scenes: Vec<answer::Scene> = opened.engine.scenes().into_iter().map(Into::into).collect();
    opened.close().await;
    let rows: Vec<Vec<String>> = scenes
        .iter()
        .map(|s| {
            vec![
                s.name.clone(),
                s.version.to_string(),
                s.at.clone(),
                s.by.clone(),
                s.policies.join(", "),
            ]
        })
        .collect();
    let text = if rows.is_empty() {
        "no scene is applied; apply one with `luopan scene apply PATH`".to_owned()
    } else {
        table(&["scene", "version", "applied", "by", "policies"], &rows)
    };
    Said::new(&answer::Scenes { scenes }, text)
}
