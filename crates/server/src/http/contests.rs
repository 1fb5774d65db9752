//! `/v1/contests`: what champion and challenger have earned.

use super::App;
use super::query::{self, Asked, Part};
use crate::contested::{self, Found, Question};
use crate::problem::{Problem, Refused};
use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use luopan_kernel::time::Micros;
use serde::Deserialize;
use std::sync::Arc;

/// Level of the interval where none is asked for.
const LEVEL: f64 = 0.95;

/// What of a contest is asked.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ContestQuery {
    /// Scene; may be left out when only one is applied. The header `X-Luopan-Scene` says the same.
    scene: Option<String>,
    /// Reward; policies with one have no need to name it.
    reward: Option<String>,
    /// Decisions made at this time and later, RFC 3339 with a zone.
    from: Option<String>,
    /// Decisions made before this time, RFC 3339 with a zone.
    until: Option<String>,
    /// Level of the interval, between 0 and 1; 0.95.
    level: Option<f64>,
}

/// A time of a query or body.
pub(super) fn time(name: &str, text: Option<&str>) -> Result<Option<Micros>, Box<Problem>> {
    text.map(|text| {
        crate::time::parse(text)
            .map_err(|e| Problem::new("malformed_request", format!("`{name}`: {e}")))
    })
    .transpose()
}

/// What champion and challenger of a contest have earned a decision, with the interval of the difference over customers.
#[utoipa::path(
    get,
    path = "/v1/contests/{name}",
    tag = "contests",
    params(("name" = String, Path, description = "Contest"), ContestQuery),
    responses(
        (status = 200, body = Found),
        (status = "default", body = Problem, content_type = "application/problem+json", description = "Refused")
    )
)]
pub(super) async fn get(
    State(app): State<Arc<App>>,
    Part(name): Part,
    Asked(asked): Asked<ContestQuery>,
    headers: HeaderMap,
) -> Result<Json<Found>, Refused> {
    let question = Question {
        scene: app.scene(query::named(asked.scene.as_deref(), &headers)?)?,
        contest: name,
        reward: asked.reward,
        from: time("from", asked.from.as_deref())?,
        until: time("until", asked.until.as_deref())?,
        level: asked.level.unwrap_or(LEVEL),
    };
    let _alone = app.judging()?;
    Ok(Json(
        contested::look(&app.engine, app.engine.now(), &question).await?,
    ))
}
