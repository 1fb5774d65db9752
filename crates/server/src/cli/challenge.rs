//! `luopan model challenge`: a version of a model beside the one in force, on the decisions that were logged.

use super::learn::evaluate::words;
use super::output::Said;
use crate::answer;
use crate::data::Opened;
use crate::learn::dataset;
use crate::learn::evaluate::logs::Which;
use crate::learn::evaluate::policy::Named;
use crate::learn::evaluate::{self, Asked, Evaluated, Predictions, Sureness};
use crate::problem::{Problem, Result};
use clap::Args;
use luopan_engine::dataset::DatasetSpec;
use luopan_engine::dataset::shadow::Candidate;
use luopan_kernel::time::Micros;
use serde_json::json;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(super) struct Challenge {
    /// Model
    pub(super) name: String,
    /// Version that challenges the one in force
    #[arg(long, value_name = "N")]
    version: u32,
    /// Scene
    #[arg(long)]
    scene: String,
    /// Policy that uses the model: its logged decisions are decided again
    #[arg(long)]
    policy: String,
    /// Reward that is compared; a policy with one has no need to name it
    #[arg(long, default_value = "", hide_default_value = true)]
    reward: String,
    /// Decisions made at this time and later, RFC 3339 with a zone
    #[arg(long, value_parser = crate::time::parse, value_name = "TIME")]
    from: Option<Micros>,
    /// Decisions made before this time, RFC 3339 with a zone
    #[arg(long, value_parser = crate::time::parse, value_name = "TIME")]
    until: Option<Micros>,
    /// How far the lower bound of version minus logged may lie below zero
    #[arg(long, default_value_t = 0.0, value_name = "REWARD")]
    margin: f64,
    /// Level of the interval
    #[arg(long, default_value_t = 0.95, value_name = "SHARE")]
    level: f64,
    /// Put the version in force where it is proved
    #[arg(long)]
    promote: bool,
    /// Keep the training set with the version in shadow here, a Parquet file
    #[arg(long, value_name = "FILE")]
    logs: Option<PathBuf>,
}

pub(super) async fn run(opened: &Opened, asked: &Challenge) -> Result<Said> {
    super::learn::in_order(asked.from, asked.until)?;
    opened.settle().await?;
    let candidate = Candidate {
        policy: asked.policy.clone(),
        model: Some((asked.name.clone(), asked.version)),
    };
    let spec = DatasetSpec {
        from: asked.from,
        until: asked.until,
        ..DatasetSpec::default()
    };
    let folder = tempfile::tempdir().map_err(|e| {
        Problem::new(
            "file_unreadable",
            format!("no folder for temporary files: {e}"),
        )
    })?;
    let logs = match &asked.logs {
        Some(path) => {
            crate::whole::writable(path)?;
            path.clone()
        }
        None => folder.path().join("logs.parquet"),
    };
    let shadow = Named::Shadow(candidate.to_string());
    let written = dataset::write(
        &opened.engine,
        &asked.scene,
        &asked.policy,
        &spec,
        &[candidate],
        &logs,
    )
    .await?;
    let wanted = Asked {
        which: Which {
            action: "decision.arm".to_owned(),
            propensity: "decision.propensity".to_owned(),
            reward: match asked.reward.is_empty() {
                true => String::new(),
                false => format!("reward.{}", asked.reward),
            },
            exclude: Vec::new(),
        },
        policy: shadow,
        champion: Some(Named::Logged),
        predictions: Predictions::Means,
        sureness: Sureness::Bootstrap { resamples: 1_000 },
        level: asked.level,
        clip: None,
        margin: asked.margin,
        folds: 5,
        seed: 1,
    };
    let found = evaluate::evaluate(&logs, &wanted)?;
    let mut text = words(&found);
    if written.unshadowed > 0 {
        text.push_str(&format!(
            "{} decisions were left out: they recorded too little, or were made before version {} was registered, which may have learned from them\n",
            written.unshadowed, asked.version
        ));
    }
    if written.is_thinned {
        text.push_str(
            "some decisions were given a somewhat earlier state of a model that learns online\n",
        );
    }
    let mut json = json!({"evaluation": found, "decisions": written.decisions, "unshadowed": written.unshadowed, "is_thinned": written.is_thinned, "sha256": written.sha256, "promotion": null});
    let proved = found.comparison.as_ref().is_some_and(|c| c.promoted);
    match (proved, asked.promote) {
        (true, true) => {
            let reason = reason(asked, &found);
            let done = (opened.engine)
                .promote_model(&asked.name, asked.version, &reason, "cli")
                .await?;
            let done = answer::Promoted::new(&asked.name, done);
            json["promotion"] = json!(done);
            text.push_str(&format!(
                "version {} of model {} is in force\n",
                asked.version, asked.name
            ));
        }
        (true, false) => text.push_str(&format!(
            "put it in force with `luopan model promote {} --version {}`\n",
            asked.name, asked.version
        )),
        (false, _) => text.push_str("what was in force stays so\n"),
    }
    Ok(Said::new(&json, text)?.unless(proved))
}

/// Why it was put in force, for those who ask later.
fn reason(asked: &Challenge, found: &Evaluated) -> String {
    let Some(c) = &found.comparison else {
        return String::new();
    };
    format!(
        "proved on {} decisions of policy {}: {} of `{}` by {} ({} to {} at {} %), margin {}",
        found.rows,
        asked.policy,
        c.difference,
        found.reward,
        c.estimator,
        c.lower,
        c.upper,
        100.0 * found.level,
        c.margin
    )
}
