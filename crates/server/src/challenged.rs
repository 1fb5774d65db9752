//! A version of a model beside the one in force, on the decisions that were logged: asked by `luopan model challenge` and over HTTP. This room
//! must never put a version in force that was not proved.

use crate::answer;
use crate::learn::dataset;
use crate::learn::evaluate::logs::Which;
use crate::learn::evaluate::policy::Named;
use crate::learn::evaluate::{self, Asked, Evaluated, Predictions, Sureness};
use crate::problem::{Problem, Result};
use luopan_engine::Engine;
use luopan_engine::dataset::DatasetSpec;
use luopan_engine::dataset::shadow::Candidate;
use luopan_kernel::time::Micros;
use serde::Serialize;
use std::path::PathBuf;
use std::sync::Arc;
use utoipa::ToSchema;

/// What is asked.
#[derive(Debug, Clone)]
pub struct Question {
    /// Model.
    pub model: String,
    /// Version that challenges the one in force.
    pub version: u32,
    /// Scene.
    pub scene: String,
    /// Policy whose logged decisions are decided again.
    pub policy: String,
    /// Reward that is compared; empty for the policy's only one.
    pub reward: String,
    /// Decisions made at this time and later.
    pub from: Option<Micros>,
    /// Decisions made before this time.
    pub until: Option<Micros>,
    /// How far the lower bound of version minus logged may lie below zero.
    pub margin: f64,
    /// Level of the interval.
    pub level: f64,
    /// Puts the version in force where it is proved.
    pub promote: bool,
    /// Keeps the training set with the version in shadow here.
    pub logs: Option<PathBuf>,
    /// In whose name.
    pub by: String,
}

/// What was found.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ChallengeFound)]
pub struct Found {
    /// What `luopan learn evaluate` says of the version in shadow beside what was logged.
    #[schema(value_type = Object)]
    pub evaluation: Evaluated,
    /// True where the version was proved.
    pub proved: bool,
    /// Decisions of the policy in the log.
    pub decisions: u64,
    /// Of them, those that could not be decided again.
    pub unshadowed: u64,
    /// True where some decisions were given a somewhat earlier state of a model that learns online.
    pub is_thinned: bool,
    /// SHA-256 of the training set.
    pub sha256: String,
    /// What putting the version in force did, where it was proved and asked for.
    pub promotion: Option<answer::Promoted>,
}

/// Decides the logged decisions again with the version, judges it by the promotion rule, and puts it in force where that is asked for.
///
/// # Errors
/// As those of training sets and evaluations.
pub async fn look(engine: &Arc<Engine>, asked: &Question) -> Result<Found> {
    let candidate = Candidate {
        policy: asked.policy.clone(),
        model: Some((asked.model.clone(), asked.version)),
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
        policy: Named::Shadow(candidate.to_string()),
        champion: Some(Named::Logged),
        predictions: Predictions::Means,
        sureness: Sureness::Bootstrap { resamples: 1_000 },
        level: asked.level,
        clip: None,
        margin: asked.margin,
        folds: 5,
        seed: 1,
    };
    let (scene, policy) = (&asked.scene, &asked.policy);
    let written = dataset::write(engine, scene, policy, &spec, &[candidate], &logs).await?;
    if !asked.reward.is_empty() && !written.rewards.contains(&asked.reward) {
        return Err(Problem::new(
            "cannot_evaluate",
            format!(
                "policy `{policy}` waits for no reward `{}`; it does for: {}",
                asked.reward,
                written.rewards.join(", ")
            ),
        ));
    }
    if written.settled == 0 || written.decisions <= written.unshadowed {
        return Err(Problem::new(
            "cannot_evaluate",
            format!(
                "nothing tells yet what version {} of model `{}` is worth: of {} decisions of policy `{policy}` in this time {} were made before it was registered, or recorded too little, and of {} rows {} have their rewards settled; ask again when there are some of both",
                asked.version,
                asked.model,
                written.decisions,
                written.unshadowed,
                written.rows,
                written.settled
            ),
        ));
    }
    let shown = logs.display().to_string();
    // Resamples of many rows are a long piece of work: whatever else is asked meanwhile goes on.
    let evaluation = tokio::task::spawn_blocking(move || evaluate::evaluate(&logs, &wanted))
        .await
        .map_err(|e| Problem::internal(format!("evaluating stopped: {e}")))?
        .map_err(|mut e| {
            // The file is nobody's but this program's.
            e.detail = e.detail.replace(&shown, "the logged decisions");
            e
        })?;
    drop(folder);
    let proved = evaluation.comparison.as_ref().is_some_and(|c| c.promoted);
    let promotion = match proved && asked.promote {
        true => {
            let reason = reason(asked, &evaluation);
            let done = engine
                .promote_model(&asked.model, asked.version, &reason, &asked.by)
                .await?;
            Some(answer::Promoted::new(&asked.model, done))
        }
        false => None,
    };
    Ok(Found {
        evaluation,
        proved,
        decisions: written.decisions,
        unshadowed: written.unshadowed,
        is_thinned: written.is_thinned,
        sha256: written.sha256,
        promotion,
    })
}

/// Why it was put in force, for those who ask later.
fn reason(asked: &Question, found: &Evaluated) -> String {
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
