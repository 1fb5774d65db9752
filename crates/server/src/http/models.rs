//! `/v1/models`: the registry of trained models, and putting a version in force. Versions are registered by `luopan model register`.

use super::App;
use super::auth::Caller;
use super::body;
use super::query::Part;
use crate::answer::{Promoted, RegisteredModel, RegisteredModels};
use crate::problem::{Problem, Refused};
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::{Extension, Json};
use luopan_engine::registry;
use serde::Deserialize;
use std::sync::Arc;

/// Longest reason, in bytes.
const REASON_BYTES_MAX: usize = 4_000;

/// What is put in force.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PromoteBody {
    /// Version, from 1.
    #[schema(minimum = 1)]
    version: u32,
    /// Why, for those who ask later; at most 4,000 bytes.
    #[serde(default)]
    reason: String,
}

/// Why it is taken back.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RollbackBody {
    /// Why, for those who ask later; at most 4,000 bytes.
    #[serde(default)]
    reason: String,
}

/// The registered models, with their versions and what was in force when.
#[utoipa::path(
    get,
    path = "/v1/models",
    tag = "models",
    responses(
        (status = 200, body = RegisteredModels),
        (status = "default", body = Problem, content_type = "application/problem+json", description = "Refused")
    )
)]
pub(super) async fn list(State(app): State<Arc<App>>) -> Result<Json<RegisteredModels>, Refused> {
    let all = app.engine.models().await?.into_iter();
    Ok(Json(RegisteredModels {
        models: all.map(|m| RegisteredModel::new(&app.engine, m)).collect(),
    }))
}

/// Puts a version in force, in every scene that names the model.
#[utoipa::path(
    post,
    path = "/v1/models/{name}/promote",
    tag = "models",
    params(("name" = String, Path, description = "Model")),
    request_body = PromoteBody,
    responses(
        (status = 200, body = Promoted),
        (status = "default", body = Problem, content_type = "application/problem+json", description = "Refused")
    )
)]
pub(super) async fn promote(
    State(app): State<Arc<App>>,
    Part(name): Part,
    headers: HeaderMap,
    Extension(Caller(by)): Extension<Caller>,
    request: Body,
) -> Result<Json<Promoted>, Refused> {
    let held = body::read(&app, &headers, request).await?;
    let asked: PromoteBody = body::json(&headers, &held.bytes)?;
    drop(held);
    is_short(&asked.reason)?;
    let (engine, model) = (app.engine.clone(), name.clone());
    carried_to_its_end(&name, async move {
        (engine.promote_model(&model, asked.version, &asked.reason, &by)).await
    })
    .await
}

/// Puts the version in force again that was so before the present one.
#[utoipa::path(
    post,
    path = "/v1/models/{name}/rollback",
    tag = "models",
    params(("name" = String, Path, description = "Model")),
    request_body = RollbackBody,
    responses(
        (status = 200, body = Promoted),
        (status = "default", body = Problem, content_type = "application/problem+json", description = "Refused")
    )
)]
pub(super) async fn rollback(
    State(app): State<Arc<App>>,
    Part(name): Part,
    headers: HeaderMap,
    Extension(Caller(by)): Extension<Caller>,
    request: Body,
) -> Result<Json<Promoted>, Refused> {
    let held = body::read(&app, &headers, request).await?;
    let asked: RollbackBody = body::json(&headers, &held.bytes)?;
    drop(held);
    is_short(&asked.reason)?;
    let (engine, model) = (app.engine.clone(), name.clone());
    carried_to_its_end(&name, async move {
        engine.roll_back_model(&model, &asked.reason, &by).await
    })
    .await
}

/// A caller that hangs up leaves no scene behind the others.
async fn carried_to_its_end(
    name: &str,
    change: impl Future<Output = luopan_engine::api::Result<registry::Promoted>> + Send + 'static,
) -> Result<Json<Promoted>, Refused> {
    let done = tokio::spawn(change)
        .await
        .map_err(|e| Problem::internal(format!("putting a version in force stopped: {e}")))??;
    Ok(Json(Promoted::new(name, done)))
}

fn is_short(reason: &str) -> Result<(), Box<Problem>> {
    match reason.len() {
        0..=REASON_BYTES_MAX => Ok(()),
        n => Err(Problem::new(
            "malformed_request",
            format!("`reason` has {n} bytes; write at most {REASON_BYTES_MAX}"),
        )),
    }
}
