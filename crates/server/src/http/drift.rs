//! `/v1/monitors`: what monitors found when they last looked.

use super::App;
use crate::drift::Look;
use crate::problem::{Problem, Refused};
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use std::sync::Arc;

/// What monitors found.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct MonitorLooks {
    /// The last look of each since this server started, by scene and monitor. Of several nodes one has them: that which looks.
    monitors: Vec<Look>,
}

/// What each monitor found when it last looked.
#[utoipa::path(
    get,
    path = "/v1/monitors",
    tag = "models",
    responses(
        (status = 200, body = MonitorLooks),
        (status = "default", body = Problem, content_type = "application/problem+json", description = "Refused")
    )
)]
pub(super) async fn list(State(app): State<Arc<App>>) -> Result<Json<MonitorLooks>, Refused> {
    Ok(Json(MonitorLooks {
        monitors: app.looks.all(),
    }))
}
