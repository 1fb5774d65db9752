//! Whether the program is up (`/healthz`), whether it can do its work (`/readyz`, with the reasons when it cannot), its
//! figures (`/metrics`) and its own description (`/openapi.json`).

use super::{App, auth};
use crate::limits::{FOLD_LAG_READY_MAX, READY_TIME_MAX};
use crate::problem::{Problem, Refused};
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use luopan_kernel::id::PartitionId;
use serde::Serialize;
use std::sync::Arc;

/// The program answers.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Health {
    /// `up`.
    #[schema(example = "up")]
    status: &'static str,
    /// Version of the program.
    version: &'static str,
}

/// The process is up. It says nothing of the stores; ask `/readyz`.
#[utoipa::path(get, path = "/healthz", tag = "health", security(()), responses((status = 200, body = Health)))]
pub(super) async fn healthz() -> Json<Health> {
    Json(Health {
        status: "up",
        version: env!("CARGO_PKG_VERSION"),
    })
}

/// The program can do its work.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Ready {
    /// `ready`.
    #[schema(example = "ready")]
    status: &'static str,
    /// Log entries not yet folded.
    fold_lag: u64,
}

/// The stores answer and can write, no task fails, no partition is halted, and the fold is not far behind; else 503 with the
/// reasons.
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "health",
    security(()),
    responses(
        (status = 200, body = Ready),
        (status = 503, body = Problem, content_type = "application/problem+json", description = "Not ready; `reasons` says why")
    )
)]
pub(super) async fn readyz(State(app): State<Arc<App>>) -> Result<Json<Ready>, Refused> {
    let (lag, reasons) = readiness(&app).await;
    if reasons.is_empty() {
        return Ok(Json(Ready {
            status: "ready",
            fold_lag: lag,
        }));
    }
    Err(Problem::new("not_ready", reasons.join("; "))
        .with("reasons", reasons)
        .into())
}

async fn readiness(app: &App) -> (u64, Vec<String>) {
    let mut reasons = Vec::new();
    let stores = &app.stores;
    let partition = [PartitionId(0)];
    let asked = async {
        let (log, state, control, keys) = futures::join!(
            stores.log.heads(&partition),
            stores.state.positions(&partition),
            stores.control.streams(),
            stores.keys.resolve(&[]),
        );
        [
            ("log", log.err()),
            ("state", state.err()),
            ("control plane", control.err()),
            ("key store", keys.err()),
        ]
    };
    match tokio::time::timeout(READY_TIME_MAX, asked).await {
        Ok(answers) => {
            for (store, error) in answers {
                reasons.extend(error.map(|e| format!("the {store} does not answer: {e}")));
            }
        }
        Err(_) => reasons.push(format!(
            "the stores did not answer within {} seconds",
            READY_TIME_MAX.as_secs()
        )),
    }
    let stats = match app.engine.stats().await {
        Ok(stats) => stats,
        Err(refusal) => {
            reasons.push(refusal.message);
            return (0, reasons);
        }
    };
    reasons.extend(stats.failing.iter().cloned());
    for (partition, reason) in &stats.halted {
        reasons.push(format!("partition {partition} is halted: {reason}"));
    }
    if stats.fold_lag > FOLD_LAG_READY_MAX {
        reasons.push(format!(
            "{} log entries are not yet folded, the limit is {FOLD_LAG_READY_MAX}",
            stats.fold_lag
        ));
    }
    (stats.fold_lag, reasons)
}

/// Figures for Prometheus.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "health",
    security(()),
    responses((status = 200, body = String, content_type = "text/plain"))
)]
pub(super) async fn metrics(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    if app.metrics_keyed {
        auth::caller(&app, &headers)?;
    }
    let stats = app.engine.stats().await?;
    let in_flight = app.in_flight.load(std::sync::atomic::Ordering::Relaxed);
    let page = app.metrics.page(&stats, in_flight);
    Ok((
        [(
            header::CONTENT_TYPE,
            "text/plain; version=0.0.4; charset=utf-8",
        )],
        page,
    )
        .into_response())
}

/// This description.
#[utoipa::path(
    get,
    path = "/openapi.json",
    tag = "health",
    security(()),
    responses((status = 200, body = Object, content_type = "application/json"))
)]
pub(super) async fn openapi() -> Response {
    (
        [(header::CONTENT_TYPE, "application/json")],
        super::openapi_json(),
    )
        .into_response()
}
