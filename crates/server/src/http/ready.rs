//! Whether the program can do its work (`/readyz`): every condition that stands against it, each under a stable code. It asks the
//! stores and never waits longer than it says; it never says ready for what it could not ask.

use super::App;
use crate::limits::{FOLD_LAG_READY_MAX, READY_TIME_MAX};
use crate::problem::{Problem, Refused};
use axum::Json;
use axum::extract::State;
use luopan_engine::fleet::LIFE_US;
use luopan_kernel::id::PartitionId;
use serde::Serialize;
use std::sync::Arc;

/// The program can do its work.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Ready {
    /// `ready`.
    #[schema(example = "ready")]
    status: &'static str,
    /// Log entries not yet folded.
    fold_lag: u64,
}

/// Why the program cannot do its work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Condition {
    /// Stable code, with a page of its own.
    pub(super) code: &'static str,
    /// What was found.
    pub(super) detail: String,
}

impl Condition {
    pub(super) fn new(code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
        }
    }
}

/// The refusal that tells of them.
pub(super) fn not_ready(conditions: Vec<Condition>) -> Box<Problem> {
    let reasons: Vec<String> = conditions.iter().map(|c| c.detail.clone()).collect();
    let conditions = serde_json::to_value(conditions).unwrap_or_default();
    Problem::new("not_ready", reasons.join("; "))
        .with("reasons", reasons)
        .with("conditions", conditions)
}

/// The stores answer and can write, no task fails, no partition is halted, this node counts as alive, and the fold is not far
/// behind; else 503 with the reasons.
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "health",
    security(()),
    responses(
        (status = 200, body = Ready),
        (status = 503, body = Problem, content_type = "application/problem+json", description = "Not ready; `conditions` says why, each with a code and a detail, and `reasons` in words alone")
    )
)]
pub(super) async fn readyz(State(app): State<Arc<App>>) -> Result<Json<Ready>, Refused> {
    let (lag, conditions) = readiness(&app).await;
    if conditions.is_empty() {
        return Ok(Json(Ready {
            status: "ready",
            fold_lag: lag,
        }));
    }
    Err(not_ready(conditions).into())
}

async fn readiness(app: &App) -> (u64, Vec<Condition>) {
    let mut out = Vec::new();
    let stats = app.engine.stats_here().await;
    if !app.engine.is_started() {
        out.push(Condition::new("starting", "the engine is not started yet"));
    }
    let (stores, partition) = (&app.stores, [PartitionId(0)]);
    // Each on its own: one that hangs must not hide another that fails.
    let (log, state, control, keys) = futures::join!(
        answer("log", stores.log.heads(&partition)),
        answer("state", stores.state.positions(&partition)),
        answer("control plane", stores.control.newest_scenes()),
        answer("key store", stores.keys.resolve(&[])),
    );
    out.extend([log, state, control, keys].into_iter().flatten());
    let words = |code, said: &[String]| -> Vec<Condition> {
        said.iter()
            .map(|why| Condition::new(code, why.clone()))
            .collect()
    };
    out.extend(words("store_unwritable", &stats.unwritable));
    out.extend(words("task_failing", &stats.failing));
    out.extend(stats.halted.iter().map(|(partition, reason)| {
        let what = format!("partition {partition} is halted: {reason}");
        Condition::new("partition_halted", what)
    }));
    if stats.fold_lag > FOLD_LAG_READY_MAX {
        out.push(Condition::new(
            "fold_lag",
            format!(
                "{} log entries are not yet folded, the limit is {FOLD_LAG_READY_MAX}",
                stats.fold_lag
            ),
        ));
    }
    if let Some(age) = stats.beat_age_us.filter(|age| *age > LIFE_US) {
        out.push(Condition::new(
            "node_silent",
            format!(
                "this node last told {} seconds ago that it lives, the others take it for dead after {}",
                age / 1_000_000,
                LIFE_US / 1_000_000
            ),
        ));
    }
    (stats.fold_lag, out)
}

/// What stands against a store that was asked.
async fn answer<T>(
    store: &str,
    asked: impl Future<Output = luopan_store::Result<T>>,
) -> Option<Condition> {
    let fault = match tokio::time::timeout(READY_TIME_MAX, asked).await {
        Ok(Ok(_)) => return None,
        Ok(Err(e)) => format!("the {store} does not answer: {e}"),
        Err(_) => format!(
            "the {store} did not answer within {} seconds",
            READY_TIME_MAX.as_secs()
        ),
    };
    Some(Condition::new("store_unavailable", fault))
}
