//! `luopan model`: the registry of trained models.

use super::Common;
use super::challenge::{self, Challenge};
use super::output::{Said, table};
use crate::answer;
use crate::data::{Opened, Opening};
use crate::learn::model as kept;
use crate::problem::{Problem, Result};
use crate::trained;
use clap::{Args, Subcommand, ValueEnum};
use luopan_engine::registry::{Promoted, RegisteredModel};
use luopan_kernel::artifact::Artifact;
use luopan_kernel::plan::ArtifactKind;
use serde_json::{Map, Value as Json, json};
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub(super) enum Model {
    /// Register a version of a model, with what it was made from
    Register(Register),
    /// List the models, with the version of each that is in force
    List,
    /// Show the versions of a model, what each was made from, and what was in force when
    Show {
        /// Model
        name: String,
    },
    /// Put a version in force, in every scene that names the model
    Promote {
        /// Model
        name: String,
        /// Version
        #[arg(long, value_name = "N")]
        version: u32,
        /// Why, for those who ask later
        #[arg(long, default_value = "", value_name = "TEXT")]
        reason: String,
    },
    /// Judge a version on the decisions that were logged, beside what decided them, and put it in force where it is proved
    Challenge(Box<Challenge>),
    /// Put the version in force again that was so before the present one
    Rollback {
        /// Model
        name: String,
        /// Why, for those who ask later
        #[arg(long, default_value = "", value_name = "TEXT")]
        reason: String,
    },
}

#[derive(Debug, Args)]
pub(super) struct Register {
    /// Model: small letters, digits and _
    name: String,
    /// Folder that `luopan learn train --model gbdt` wrote
    #[arg(long, value_name = "FOLDER", conflicts_with = "file")]
    from: Option<PathBuf>,
    /// A trained file, such as LightGBM's text model or what `luopan train` wrote
    #[arg(
        long,
        value_name = "FILE",
        requires = "kind",
        required_unless_present = "from"
    )]
    file: Option<PathBuf>,
    /// What the file holds
    #[arg(long, value_enum, conflicts_with = "from")]
    kind: Option<Kind>,
    /// Said of the version, beside what is known of it
    #[arg(long, default_value = "", value_name = "TEXT")]
    note: String,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Kind {
    /// Gradient-boosted trees
    Trees,
    /// Vectors of customers' features and of items
    Factors,
    /// A model of sequences
    Sequence,
}

impl From<Kind> for ArtifactKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Trees => Self::Trees,
            Kind::Factors => Self::Factors,
            Kind::Sequence => Self::Sequence,
        }
    }
}

pub(super) async fn run(common: &Common, model: Model) -> Result<Said> {
    // What is registered is read before anything is opened.
    let made = match &model {
        Model::Register(asked) => Some(artifact(asked)?),
        _ => None,
    };
    // A pack that names a model is applied after the model is registered: whoever begins with it has no folder yet.
    let opening = match &model {
        Model::Register(_) => Opening::Create,
        _ => Opening::Existing,
    };
    let opened = common.open(opening).await?;
    let said = match (&model, &made) {
        (Model::Register(asked), Some((artifact, lineage))) => {
            register(&opened, &asked.name, artifact, lineage).await
        }
        (Model::Show { name }, _) => show(&opened, name).await,
        (
            Model::Promote {
                name,
                version,
                reason,
            },
            _,
        ) => match opened.engine.start().await {
            Ok(()) => promoted(
                name,
                opened
                    .engine
                    .promote_model(name, *version, reason, "cli")
                    .await,
            ),
            Err(e) => Err(e.into()),
        },
        (Model::Rollback { name, reason }, _) => match opened.engine.start().await {
            Ok(()) => promoted(
                name,
                opened.engine.roll_back_model(name, reason, "cli").await,
            ),
            Err(e) => Err(e.into()),
        },
        (Model::Challenge(asked), _) => challenge::run(&opened, asked).await,
        (Model::List | Model::Register(_), _) => list(&opened).await,
    };
    opened.close().await;
    said
}

/// What is registered, and what it was made from.
fn artifact(asked: &Register) -> Result<(Artifact, Json)> {
    let mut lineage = Map::new();
    let (path, kind) = match (&asked.from, &asked.file, asked.kind) {
        (Some(folder), _, _) => {
            let of = kept::open(folder)?;
            if of.lightgbm().is_none() {
                return Err(Problem::new(
                    "bad_model",
                    format!(
                        "{}: a scene ranks by trees, and this is a model of another kind ({}): train it with --model gbdt",
                        folder.display(),
                        of.kind().name()
                    ),
                ));
            }
            lineage.extend(reported(folder)?);
            lineage.insert("trained_on".to_owned(), json!(of.notes));
            (folder.join(kept::LIGHTGBM), ArtifactKind::Trees)
        }
        (None, Some(file), Some(kind)) => (file.clone(), kind.into()),
        _ => {
            return Err(Problem::new(
                "command_line",
                "say what is registered: --from FOLDER, or --file FILE with --kind",
            ));
        }
    };
    let failed =
        |e: std::io::Error| Problem::new("file_unreadable", format!("{}: {e}", path.display()));
    let bytes = std::fs::read(&path).map_err(failed)?;
    let artifact = trained::decode(kind, &bytes)
        .map_err(|e| Problem::new("bad_model", format!("{}: {e}", path.display())))?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    lineage.insert("file".to_owned(), json!(name));
    lineage.insert("file_sha256".to_owned(), json!(Artifact::hash(&bytes)));
    lineage.insert(
        "registered_by_program".to_owned(),
        json!(concat!("luopan ", env!("CARGO_PKG_VERSION"))),
    );
    lineage.insert("semantics".to_owned(), json!(luopan_kernel::SEMANTICS));
    if let Artifact::Trees(trees) = &artifact {
        lineage.insert("inputs".to_owned(), json!(trees.feature_names()));
    }
    if !asked.note.is_empty() {
        lineage.insert("note".to_owned(), json!(asked.note));
    }
    Ok((artifact, Json::Object(lineage)))
}

/// What a training reported that says what a model is: data, settings, figures; no tables.
fn reported(folder: &std::path::Path) -> Result<Map<String, Json>> {
    let path = folder.join(kept::REPORT);
    let failed =
        |e: &dyn std::fmt::Display| Problem::new("bad_model", format!("{}: {e}", path.display()));
    let text = std::fs::read_to_string(&path).map_err(|e| failed(&e))?;
    let report: Json = serde_json::from_str(&text).map_err(|e| failed(&e))?;
    let mut out = Map::new();
    for (name, value) in report.as_object().into_iter().flatten() {
        let is_plain = !value.is_array() && !value.is_object();
        if is_plain && !name.starts_with("cpu_seconds") && name != "out" {
            out.insert(name.clone(), value.clone());
        }
    }
    for name in ["target", "settings", "data"] {
        if let Some(found) = report.get(name) {
            out.insert(name.to_owned(), found.clone());
        }
    }
    let metrics: Map<String, Json> = (report["metrics"].as_object().into_iter().flatten())
        .map(|(name, of)| (name.clone(), of["mean"].clone()))
        .collect();
    out.insert("metrics".to_owned(), Json::Object(metrics));
    Ok(out)
}

async fn register(
    opened: &Opened,
    name: &str,
    artifact: &Artifact,
    lineage: &Json,
) -> Result<Said> {
    let (version, is_new) = (opened.engine)
        .register_model(name, artifact, lineage, "cli")
        .await?;
    let number = version.version;
    let all = opened.engine.models().await?;
    let in_force = (all.iter().find(|m| m.name == name)).and_then(RegisteredModel::in_force);
    let mut text = match is_new {
        true => format!("version {number} of model {name} is registered"),
        false => format!("model {name} has it already, as version {number}"),
    };
    match in_force {
        Some(v) if v == number => text.push_str("; it is in force"),
        Some(v) => text.push_str(&format!("; in force is version {v}")),
        None => text.push_str(&format!(
            "; none is in force: `luopan model promote {name} --version {number}`"
        )),
    }
    let mut json = json!(answer::ModelVersion::from(version));
    json["model"] = json!(name);
    json["new"] = json!(is_new);
    Said::new(&json, text)
}

/// All models with the scenes that name them.
async fn known(opened: &Opened) -> Result<Vec<answer::RegisteredModel>> {
    let all = opened.engine.models().await?.into_iter();
    Ok(all
        .map(|m| answer::RegisteredModel::new(&opened.engine, m))
        .collect())
}

async fn list(opened: &Opened) -> Result<Said> {
    let models = known(opened).await?;
    let rows: Vec<Vec<String>> = (models.iter())
        .filter_map(|m| {
            let newest = m.versions.last()?;
            Some(vec![
                m.model.clone(),
                newest.kind.clone(),
                newest.version.to_string(),
                (m.in_force).map_or_else(|| "none".to_owned(), |v| v.to_string()),
                newest.at.clone(),
                m.scenes.join(", "),
            ])
        })
        .collect();
    let text = match rows.is_empty() {
        true => "no model is registered; register one with `luopan model register`".to_owned(),
        false => table(
            &[
                "model",
                "kind",
                "newest",
                "in force",
                "newest since",
                "scenes",
            ],
            &rows,
        ),
    };
    Said::new(&answer::RegisteredModels { models }, text)
}

async fn show(opened: &Opened, name: &str) -> Result<Said> {
    let all = known(opened).await?;
    let Some(model) = all.iter().find(|m| m.model == name) else {
        let known = all.iter().map(|m| m.model.as_str());
        let near = luopan_scene::nearest(name, known)
            .map(|n| format!("; did you mean `{n}`?"))
            .unwrap_or_default();
        return Err(Problem::new(
            "unknown_model",
            format!("model `{name}` is not registered{near}"),
        ));
    };
    let versions: Vec<Vec<String>> = (model.versions.iter())
        .map(|v| {
            let metrics = v.lineage["metrics"].as_object();
            let metrics: Vec<String> = (metrics.into_iter().flatten())
                .filter_map(|(n, m)| Some(format!("{n} {:.4}", m.as_f64()?)))
                .collect();
            let is_in_force = model.in_force == Some(v.version);
            vec![
                v.version.to_string(),
                if is_in_force { "in force" } else { "" }.to_owned(),
                v.at.clone(),
                v.sha256[..12].to_owned(),
                metrics.join(", "),
                v.lineage["note"].as_str().unwrap_or_default().to_owned(),
            ]
        })
        .collect();
    let mut text = table(
        &["version", "", "registered", "sha256", "figures", "note"],
        &versions,
    );
    let promotions: Vec<Vec<String>> = (model.promotions.iter())
        .map(|p| {
            vec![
                p.at.clone(),
                p.version.to_string(),
                p.from.map_or_else(String::new, |v| v.to_string()),
                p.by.clone(),
                p.reason.clone(),
            ]
        })
        .collect();
    if !promotions.is_empty() {
        text.push('\n');
        text.push_str(&table(
            &["in force since", "version", "before", "by", "reason"],
            &promotions,
        ));
    }
    text.push_str(&match model.scenes.is_empty() {
        true => "\nno scene names it\n".to_owned(),
        false => format!("\nnamed by the scenes {}\n", model.scenes.join(", ")),
    });
    Said::new(model, text)
}

fn promoted(name: &str, outcome: luopan_engine::api::Result<Promoted>) -> Result<Said> {
    let done = answer::Promoted::new(name, outcome?);
    let promotion = &done.promotion;
    let mut text = format!("version {} of model {name} is in force", promotion.version);
    if !done.new {
        text.push_str(&format!(
            " already, since {} ({}); nothing was changed, and no new reason is kept",
            promotion.at,
            match promotion.reason.as_str() {
                "" => "without a reason",
                reason => reason,
            }
        ));
    } else if let Some(from) = promotion.from.filter(|f| *f != promotion.version) {
        text.push_str(&format!(", in place of version {from}"));
    }
    for scene in &done.scenes {
        text.push_str(&format!(
            "\nscene {} is version {}",
            scene.name, scene.version
        ));
    }
    if done.scenes.is_empty() {
        text.push_str("; no scene names it");
    }
    Said::new(&done, text)
}
