//! `/v1/quarantine`: what did not fit and why, and another try after the scene was mended.

use super::App;
use super::body;
use super::query::Asked;
use super::segments::page_limit;
use crate::answer::{QuarantinePage, QuarantinedInput, Retried};
use crate::incoming;
use crate::limits::PAGE_MAX;
use crate::problem::{Problem, Refused};
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use serde::Deserialize;
use std::sync::Arc;

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct QuarantineQuery {
    /// Only inputs of this scene.
    scene: Option<String>,
    /// The `next` of the page before.
    after: Option<String>,
    /// Inputs of a page, at most 1,000.
    limit: Option<usize>,
}

/// Quarantined inputs, a page at a time, oldest first.
#[utoipa::path(
    get,
    path = "/v1/quarantine",
    tag = "quarantine",
    params(QuarantineQuery),
    responses(
        (status = 200, body = QuarantinePage),
        (status = "default", body = Problem, content_type = "application/problem+json", description = "Refused")
    )
)]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    Asked(asked): Asked<QuarantineQuery>,
) -> Result<Json<QuarantinePage>, Refused> {
    let limit = page_limit(asked.limit)?;
    if let Some(scene) = &asked.scene {
        // A name that is written wrong must not look like an empty quarantine.
        app.engine.plan(scene)?;
    }
    let found = app
        .engine
        .quarantine(asked.scene.as_deref(), asked.after.as_deref(), limit)
        .await?;
    let next = (found.len() == limit)
        .then(|| found.last().map(|q| q.id.clone()))
        .flatten();
    Ok(Json(QuarantinePage {
        inputs: found.into_iter().map(QuarantinedInput::from).collect(),
        next,
    }))
}

/// Quarantined inputs to try again.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RetryRequest {
    /// Their ids, at most 1,000.
    #[schema(min_items = 1, max_items = 1000)]
    ids: Vec<String>,
}

/// Tries quarantined inputs again: what fits now goes into the log, what does not stays with its reason.
#[utoipa::path(
    post,
    path = "/v1/quarantine/retry",
    tag = "quarantine",
    request_body = RetryRequest,
    responses(
        (status = 200, body = Retried),
        (status = "default", body = Problem, content_type = "application/problem+json", description = "Refused")
    )
)]
pub(super) async fn retry(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    request: Body,
) -> Result<Json<Retried>, Refused> {
    let held = body::read(&app, &headers, request).await?;
    let asked: RetryRequest = body::json(&headers, &held.bytes)?;
    if asked.ids.is_empty() || asked.ids.len() > PAGE_MAX {
        return Err(Problem::new(
            "malformed_request",
            format!(
                "`ids` names {} inputs; name 1 to {PAGE_MAX}",
                asked.ids.len()
            ),
        )
        .with("limit", PAGE_MAX)
        .into());
    }
    let receipt = app
        .engine
        .retry_quarantine(&asked.ids, &incoming::event)
        .await?;
    Ok(Json(receipt.into()))
}
