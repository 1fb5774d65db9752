//! `/v1/models`: the registry of trained models, and putting a version in force. Versions are registered by `luopan model register`.

use super::App;
use super::auth::Caller;
use super::body;
use super::contests;
use super::query::{self, Part};
use crate::answer::{Promoted, RegisteredModel, RegisteredModels};
use crate::challenged::{self, Found, Question};
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

/// What a version is judged by.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ChallengeBody {
    /// Version that challenges the one in force, from 1.
    #[schema(minimum = 1)]
    version: u32,
    /// Scene; may be left out when only one is applied. The header `X-Luopan-Scene` says the same.
    scene: Option<String>,
    /// Policy that uses the model: its logged decisions are decided again.
    policy: String,
    /// Reward that is compared; a policy with one has no need to name it.
    #[serde(default)]
    reward: String,
    /// Decisions made at this time and later, RFC 3339 with a zone.
    from: Option<String>,
    /// Decisions made before this time, RFC 3339 with a zone.
    until: Option<String>,
    /// How far the lower bound of version minus logged may lie below zero, in units of the reward; 0.
    #[serde(default)]
    margin: f64,
    /// Level of the interval, between 0 and 1; 0.95.
    level: Option<f64>,
    /// Puts the version in force where it is proved.
    #[serde(default)]
    promote: bool,
}

/// Judges a version beside the one in force, on the decisions that were logged since it was registered, and puts it in force where that is
/// asked for and it is proved.
#[utoipa::path(
    post,
    path = "/v1/models/{name}/challenge",
    tag = "models",
    params(("name" = String, Path, description = "Model")),
    request_body = ChallengeBody,
    responses(
        (status = 200, body = Found),
        (status = "default", body = Problem, content_type = "application/problem+json", description = "Refused")
    )
)]
pub(super) async fn challenge(
    State(app): State<Arc<App>>,
    Part(name): Part,
    headers: HeaderMap,
    Extension(Caller(by)): Extension<Caller>,
    request: Body,
) -> Result<Json<Found>, Refused> {
    let held = body::read(&app, &headers, request).await?;
    let asked: ChallengeBody = body::json(&headers, &held.bytes)?;
    drop(held);
    let level = asked.level.unwrap_or(0.95);
    for (what, is_right) in [
        ("level", level > 0.0 && level < 1.0),
        ("margin", asked.margin.is_finite() && asked.margin >= 0.0),
    ] {
        if !is_right {
            return Err(Problem::new(
                "malformed_request",
                format!(
                    "`{what}` is out of range; a level lies between 0 and 1, a margin is 0 or more"
                ),
            )
            .into());
        }
    }
    let question = Question {
        model: name,
        version: asked.version,
        scene: app.scene(query::named(asked.scene.as_deref(), &headers)?)?,
        policy: asked.policy,
        reward: asked.reward,
        from: contests::time("from", asked.from.as_deref())?,
        until: contests::time("until", asked.until.as_deref())?,
        margin: asked.margin,
        level,
        promote: asked.promote,
        logs: None,
        by,
    };
    let alone = app.judging()?;
    let engine = app.engine.clone();
    // A caller that hangs up leaves no scene behind the others.
    let found = tokio::spawn(async move {
        let _alone = alone;
        challenged::look(&engine, &question).await
    });
    let found = found
        .await
        .map_err(|e| Problem::internal(format!("judging a version stopped: {e}")))??;
    Ok(Json(found))
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
