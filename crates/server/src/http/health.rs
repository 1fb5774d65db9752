//! Whether the program is up (`/healthz`), its figures (`/metrics`) and its own description (`/openapi.json`). Whether it can do
//! its work is asked in [`super::ready`].

use super::{App, auth, body};
use crate::limits::{BODIES_BYTES_MAX, QUARANTINE_COUNTED_MAX, READY_TIME_MAX};
use crate::metrics::Now;
use crate::problem::Refused;
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use std::sync::Arc;
use std::time::{Duration, Instant};

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

/// How long a count of the quarantine is good for.
const QUARANTINE_COUNTED: Duration = Duration::from_secs(30);

/// Inputs in quarantine, as last counted.
async fn quarantine(app: &App) -> Option<usize> {
    let known = *app.quarantine.lock();
    if let Some((at, rows)) = known
        && at.elapsed() < QUARANTINE_COUNTED
    {
        return Some(rows);
    }
    let counting = app.engine.quarantine_rows(QUARANTINE_COUNTED_MAX);
    let rows = tokio::time::timeout(READY_TIME_MAX, counting).await.ok()?;
    let rows = rows.ok()?;
    *app.quarantine.lock() = Some((Instant::now(), rows));
    Some(rows)
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
    // A store that does not answer must not take the figures away that tell of it.
    let asked = tokio::time::timeout(READY_TIME_MAX, app.engine.stats());
    let stats = match asked.await {
        Ok(Ok(stats)) => stats,
        _ => app.engine.stats_here().await,
    };
    let stores = &app.stores;
    let held = BODIES_BYTES_MAX / body::SHARE_BYTES - app.bodies.available_permits();
    let now = Now {
        requests: app.in_flight.load(std::sync::atomic::Ordering::Relaxed),
        bodies_bytes: held * body::SHARE_BYTES,
        queues: [
            stores.log.queues(),
            stores.state.queues(),
            stores.keys.queues(),
        ]
        .concat(),
        quarantine: quarantine(&app).await,
    };
    let page = app.metrics.page(&stats, &now);
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
