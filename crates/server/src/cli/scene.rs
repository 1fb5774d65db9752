//! `luopan scene check|apply|list`.

use super::Common;
use super::output::{Said, table};
use crate::answer;
use crate::data::Opening;
use crate::problem::{Problem, Result};
use crate::trained;
use bytes::Bytes;
use clap::Subcommand;
use luopan_kernel::id::SceneNo;
use luopan_scene::{Change, Checked, Draft, Fault, Loaded};
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
        Scene::Check { path } => check(common, &path).await,
        Scene::Apply { path } => apply(common, &path).await,
        Scene::List => list(common).await,
    }
}

/// Reads a pack, with the versions in force of the registered models that it names. Without a data folder no version is.
///
/// # Errors
/// `file_unreadable`, or a data folder that cannot be opened.
pub(super) async fn loaded(common: &Common, path: &Path) -> Result<Loaded> {
    let mut pack = luopan_scene::load_folder(path)
        .map_err(|e| Problem::new("file_unreadable", e.to_string()))?;
    let named = Draft::parse(pack.clone()).0.models_named();
    if !named.is_empty() && (common.config.is_some() || common.data.exists()) {
        let opened = common.open(Opening::Existing).await?;
        let found = opened.engine.models_in_force().await;
        opened.close().await;
        let named = found?.into_iter().filter(|(name, _)| named.contains(name));
        pack.models = named.map(|(name, bytes)| (name, bytes.to_vec())).collect();
    }
    Ok(pack)
}

/// Reads and compiles a pack, or says everything that is wrong with it.
pub(super) async fn checked(
    common: &Common,
    path: &Path,
) -> Result<(Checked, Vec<(String, String)>)> {
    let pack = loaded(common, path).await?;
    match luopan_scene::compile_with(pack.clone(), &trained::decode) {
        Ok(checked) => Ok((checked, pack.files)),
        Err(faults) => Err(faulty(path, &faults)),
    }
}

pub(super) fn faulty(path: &Path, faults: &[Fault]) -> Box<Problem> {
    let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
    let many = counted(faults.len(), "fault", "faults");
    Problem::new(
        "scene_faults",
        format!("{} has {many}\n{}", path.display(), lines.join("\n")),
    )
    .with("faults", serde_json::to_value(faults).unwrap_or_default())
}

/// A number of things, one of them in the singular.
fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

async fn check(common: &Common, path: &Path) -> Result<Said> {
    let (checked, _) = checked(common, path).await?;
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
    let counts = [
        (plan.events.len(), "event type", "event types"),
        (plan.tags.len(), "tag", "tags"),
        (plan.derived.len(), "derived tag", "derived tags"),
        (plan.segments.len(), "segment", "segments"),
        (plan.policies.len(), "policy", "policies"),
        (plan.models.len(), "model", "models"),
        (plan.rewards.len(), "reward", "rewards"),
        (mappings.len(), "mapping", "mappings"),
    ]
    .map(|(count, one, many)| counted(count, one, many));
    let text = format!("scene {} is right: {}", plan.name, counts.join(", "));
    Said::new(&json, text)
}

async fn apply(common: &Common, path: &Path) -> Result<Said> {
    let (checked, files) = checked(common, path).await?;
    let (json, text) = apply_checked(common, &checked, files).await?;
    Said::new(&json, text)
}

/// Refuses a pack that differs from the scene in force by more than the segment of this name: who saves a segment applies nothing else.
///
/// # Errors
/// `bad_segment`, with what else is different; a data folder that cannot be opened.
pub(super) async fn differs_by_one_segment(
    common: &Common,
    checked: &Checked,
    segment: &str,
) -> Result<()> {
    let opened = common.open(Opening::Existing).await?;
    let in_force = opened.engine.plan(&checked.plan.name);
    opened.close().await;
    let apply_first = "apply the pack first with `luopan scene apply`, and look at what it changes";
    let Ok(in_force) = in_force else {
        return Err(Problem::new(
            "bad_segment",
            format!(
                "scene `{}` is not applied, and a segment is saved to one that is: {apply_first}",
                checked.plan.name
            ),
        ));
    };
    let mut plan = checked.plan.clone();
    plan.segments.retain(|s| s.name != segment);
    let mut without = (*in_force).clone();
    without.segments.retain(|s| s.name != segment);
    let others = luopan_scene::changes(&without, &plan);
    if others.is_empty() {
        return Ok(());
    }
    let lines: Vec<String> = others.iter().map(|c| format!("\n  {c}")).collect();
    Err(Problem::new(
        "bad_segment",
        format!(
            "the pack differs from scene `{}` in force by more than the segment, and nothing was saved: {apply_first}:{}",
            checked.plan.name,
            lines.concat()
        ),
    ))
}

/// Applies what was checked; what changed, as JSON and in words.
///
/// # Errors
/// Whatever the data folder or the engine refuses. Then nothing is applied.
pub(super) async fn apply_checked(
    common: &Common,
    checked: &Checked,
    files: Vec<(String, String)>,
) -> Result<(serde_json::Value, String)> {
    let files: Vec<(String, Bytes)> = files
        .into_iter()
        .map(|(name, text)| (name, Bytes::from(text)))
        .collect();
    let opened = common.open(Opening::Create).await?;
    opened.engine.start().await?;
    let name = checked.plan.name.clone();
    let before = opened.engine.scenes().into_iter().find(|s| s.name == name);
    let in_force = opened.engine.plan(&name).ok();
    let kept = match &before {
        Some(b) => (opened.stores.control)
            .scene_files(SceneNo(b.number), b.version)
            .await
            .ok(),
        None => None,
    };
    let other_files = kept.is_some_and(|kept| kept != files);
    let applied = opened
        .engine
        .apply_trained_scene(&checked.plan, &checked.artifacts, &files, "cli")
        .await;
    opened.close().await;
    let scene = answer::Scene::from(applied?);
    let before = before.filter(|b| b.version != scene.version);
    let changes = match (&before, &in_force) {
        (Some(_), Some(plan)) => luopan_scene::changes(plan, &checked.plan),
        _ => Vec::new(),
    };
    let mut text = format!(
        "scene {} is applied as version {}",
        scene.name, scene.version
    );
    if let Some(before) = &before {
        text.push_str(&against(before.version, &changes));
    } else if other_files {
        text.push_str(
            "; it was so before: its files (mappings, comments) are those given now, and all else is as it was",
        );
    }
    let mut json = serde_json::to_value(&scene)
        .map_err(|e| Problem::internal(format!("writing the answer failed: {e}")))?;
    json["before"] = json!(before.map(|b| b.version));
    json["changes"] = json!(changes);
    Ok((json, text))
}

/// What a version changes against the one before, a line each.
fn against(version: u32, changes: &[Change]) -> String {
    if changes.is_empty() {
        return format!("; what is known, learned and decided is as under version {version}");
    }
    let lines: Vec<String> = changes.iter().map(|c| format!("\n  {c}")).collect();
    format!("; against version {version}:{}", lines.concat())
}

async fn list(common: &Common) -> Result<Said> {
    let opened = common.open(Opening::Existing).await?;
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
