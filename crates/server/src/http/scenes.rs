//! `GET /v1/scenes`: what is applied.

use super::App;
use crate::answer::{Scene, Scenes};
use crate::problem::{Problem, Refused};
use axum::Json;
use axum::extract::State;
use std::sync::Arc;

/// The scenes that are applied, with their newest version.
#[utoipa::path(
    get,
    path = "/v1/scenes",
    tag = "scenes",
    responses(
        (status = 200, body = Scenes),
        (status = "default", body = Problem, content_type = "application/problem+json", description = "Refused")
    )
)]
pub(super) async fn list(State(app): State<Arc<App>>) -> Result<Json<Scenes>, Refused> {
    Ok(Json(Scenes {
        scenes: app.engine.scenes().into_iter().map(Scene::from).collect(),
    }))
}
