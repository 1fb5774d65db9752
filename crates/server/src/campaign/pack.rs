//! Where the scene of a replay comes from: the data folder, a folder of the caller's, or the packs that are carried inside
//! the program. It must never apply over a scene that stands in the data folder unless a folder was named.

use crate::data::Opened;
use crate::import::source::unreadable;
use crate::problem::{Problem, Result};
use crate::trained;
use bytes::Bytes;
use include_dir::{Dir, include_dir};
use luopan_kernel::id::SceneNo;
use luopan_kernel::plan::ScenePlan;
use luopan_scene::mapping::{self, Target};
use luopan_scene::{Loaded, Mapping};
use std::path::Path;

static SHIPPED: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/../../scenes");

/// A scene as it stands applied.
#[derive(Debug)]
pub(super) struct Files {
    /// Name.
    pub(super) scene: String,
    /// Path within the pack and text.
    files: Vec<(String, String)>,
}

/// Makes sure that the scene is applied.
pub(super) async fn ready(opened: &Opened, scene: &str) -> Result<Files> {
    if Path::new(scene).is_dir() {
        let pack = luopan_scene::load_folder(Path::new(scene))
            .map_err(|e| Problem::new("file_unreadable", format!("{scene}: {e}")))?;
        return apply(opened, scene, pack).await;
    }
    if let Some(info) = opened.engine.scenes().into_iter().find(|s| s.name == scene) {
        let files = opened
            .stores
            .control
            .scene_files(SceneNo(info.number), info.version)
            .await?;
        let files = files
            .into_iter()
            .map(|(path, text)| (path, String::from_utf8_lossy(&text).into_owned()))
            .collect();
        return Ok(Files {
            scene: info.name,
            files,
        });
    }
    let shipped = || {
        SHIPPED
            .dirs()
            .filter_map(|d| d.path().file_name()?.to_str())
    };
    let Some(folder) = SHIPPED.get_dir(scene) else {
        let near = luopan_scene::nearest(scene, shipped())
            .map(|n| format!("did you mean `{n}`? "))
            .unwrap_or_default();
        let known: Vec<String> = shipped().map(|n| format!("`{n}`")).collect();
        let words = format!(
            "there is no scene `{scene}`; {near}shipped with the program are {}, or name the folder of a pack",
            known.join(", ")
        );
        return Err(Problem::new("unknown_scene", words));
    };
    let mut files = Vec::new();
    gather(folder, scene, &mut files);
    apply(opened, scene, files).await
}

fn gather(folder: &'static Dir<'static>, root: &str, files: &mut Vec<(String, String)>) {
    for file in folder.files() {
        let path = file
            .path()
            .strip_prefix(root)
            .unwrap_or(file.path())
            .to_string_lossy()
            .replace('\\', "/");
        if let (true, Some(text)) = (luopan_scene::is_pack_file(&path), file.contents_utf8()) {
            files.push((path, text.to_owned()));
        }
    }
    for inner in folder.dirs() {
        gather(inner, root, files);
    }
    files.sort();
}

async fn apply(opened: &Opened, shown: &str, pack: impl Into<Loaded>) -> Result<Files> {
    let pack = pack.into();
    let checked = luopan_scene::compile_with(pack.clone(), &trained::decode).map_err(|faults| {
        let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
        Problem::new("scene_faults", format!("{shown}\n{}", lines.join("\n")))
            .with("faults", serde_json::to_value(&faults).unwrap_or_default())
    })?;
    let files = pack.files;
    let bytes: Vec<(String, Bytes)> = files
        .iter()
        .map(|(path, text)| (path.clone(), Bytes::from(text.clone())))
        .collect();
    let info = opened
        .engine
        .apply_trained_scene(&checked.plan, &checked.artifacts, &bytes, "campaign replay")
        .await?;
    opened.settle().await?;
    Ok(Files {
        scene: info.name,
        files,
    })
}

/// The name of a mapping that stands in a pack under this path.
fn mapping_name(path: &str) -> Option<&str> {
    let (folder, file) = path.rsplit_once('/')?;
    let (name, ending) = file.rsplit_once('.')?;
    (folder.rsplit('/').next() == Some("mappings") && matches!(ending, "yaml" | "yml"))
        .then_some(name)
}

fn parsed(path: &str, text: &str, plan: &ScenePlan) -> Result<Mapping> {
    mapping::parse(path, text, plan).map_err(|faults| {
        let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
        Problem::new("scene_faults", lines.join("\n"))
            .with("faults", serde_json::to_value(&faults).unwrap_or_default())
    })
}

/// The mapping that is named, or the only one into a campaign.
pub(super) fn mapping(files: &Files, name: Option<&str>, plan: &ScenePlan) -> Result<Mapping> {
    let mut own = Vec::new();
    for (path, text) in &files.files {
        let Some(found) = mapping_name(path) else {
            continue;
        };
        if name.is_none_or(|n| n == found) {
            let mapping = parsed(path, text, plan)?;
            let campaign = matches!(mapping.target, Target::Campaign { .. });
            if let (Some(name), false) = (name, campaign) {
                let words = format!(
                    "mapping `{name}` is not one into a campaign; name another with --mapping"
                );
                return Err(Problem::new("command_line", words));
            }
            if campaign {
                own.push((found, mapping));
            }
        }
    }
    if own.len() == 1
        && let Some((_, mapping)) = own.pop()
    {
        return Ok(mapping);
    }
    let Some(name) = name else {
        let names: Vec<String> = own.iter().map(|(n, _)| format!("`{n}`")).collect();
        let words = if names.is_empty() {
            format!(
                "scene `{}` has no mapping into a campaign; name a file with --mapping",
                plan.name
            )
        } else {
            format!(
                "scene `{}` has several mappings into a campaign; name one of {} with --mapping",
                plan.name,
                names.join(", ")
            )
        };
        return Err(Problem::new("unknown_mapping", words));
    };
    let path = Path::new(name);
    if !path.is_file() {
        let known: Vec<&str> = files
            .files
            .iter()
            .filter_map(|(path, _)| mapping_name(path))
            .collect();
        let near = luopan_scene::nearest(name, known.iter().copied())
            .map(|n| format!("did you mean `{n}`? "))
            .unwrap_or_default();
        let words = format!(
            "scene `{}` has no mapping `{name}` and there is no such file; {near}it has {}",
            plan.name,
            known.join(", ")
        );
        return Err(Problem::new("unknown_mapping", words));
    }
    let text = std::fs::read_to_string(path).map_err(|e| unreadable(path, &e))?;
    let mapping = parsed(name, &text, plan)?;
    if matches!(mapping.target, Target::Campaign { .. }) {
        Ok(mapping)
    } else {
        Err(Problem::new(
            "command_line",
            format!("the mapping {name} is not one into a campaign; write `into: campaign`"),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_packs_are_inside_the_program() {
        for scene in ["bank-telemarketing", "email-campaign", "fund"] {
            let mut files = Vec::new();
            gather(SHIPPED.get_dir(scene).unwrap(), scene, &mut files);
            assert!(
                files.iter().any(|(path, _)| path == "scene.yaml"),
                "{files:?}"
            );
            assert_eq!(luopan_scene::compile(files).unwrap().plan.name, scene);
        }
    }

    #[test]
    fn mappings_are_told_by_their_folder() {
        assert_eq!(mapping_name("mappings/campaign.yaml"), Some("campaign"));
        assert_eq!(mapping_name("a/mappings/b.c.yml"), Some("b.c"));
        assert_eq!(mapping_name("tags/campaign.yaml"), None);
        assert_eq!(mapping_name("mappings/readme.md"), None);
    }
}
