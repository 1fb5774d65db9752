//! `/v1/segments`: sizes, members, and counting a rule before anybody makes a segment of it.

use super::App;
use super::body;
use super::query::{self, Asked, Part, SceneQuery};
use crate::answer::{Member, Members, RuleCounted, Segment, Segments};
use crate::limits::{PAGE_DEFAULT, PAGE_MAX};
use crate::problem::{Problem, Refused};
use crate::question::compiled;
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use luopan_kernel::id::IdentifierId;
use serde::Deserialize;
use std::sync::Arc;

/// The segments of a scene with their sizes.
#[utoipa::path(
    get,
    path = "/v1/segments",
    tag = "segments",
    params(SceneQuery),
    responses(
        (status = 200, body = Segments),
        (status = "default", body = Problem, content_type = "application/problem+json", description = "Refused")
    )
)]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    Asked(asked): Asked<SceneQuery>,
    headers: HeaderMap,
) -> Result<Json<Segments>, Refused> {
    let scene = app.scene(query::named(asked.scene.as_deref(), &headers)?)?;
    let segments = app
        .engine
        .segments(&scene)
        .await?
        .into_iter()
        .map(Segment::from)
        .collect();
    Ok(Json(Segments { scene, segments }))
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct MembersQuery {
    /// Scene; may be left out when only one is applied.
    scene: Option<String>,
    /// The `next` of the page before.
    after: Option<String>,
    /// Members of a page, at most 1,000.
    limit: Option<usize>,
}

/// The members of a segment, a page at a time.
#[utoipa::path(
    get,
    path = "/v1/segments/{name}/members",
    tag = "segments",
    params(("name" = String, Path, description = "Segment"), MembersQuery),
    responses(
        (status = 200, body = Members),
        (status = "default", body = Problem, content_type = "application/problem+json", description = "Refused")
    )
)]
pub(super) async fn members(
    State(app): State<Arc<App>>,
    Part(name): Part,
    Asked(asked): Asked<MembersQuery>,
    headers: HeaderMap,
) -> Result<Json<Members>, Refused> {
    let scene = app.scene(query::named(asked.scene.as_deref(), &headers)?)?;
    let limit = page_limit(asked.limit)?;
    let after = asked
        .after
        .as_deref()
        .map(str::parse::<IdentifierId>)
        .transpose()
        .map_err(|e| Problem::new("malformed_request", format!("`after`: {e}")))?;
    let found = app
        .engine
        .segment_members(&scene, &name, after, limit)
        .await?;
    let next = (found.len() == limit)
        .then(|| found.last().map(|(id, _)| id.to_string()))
        .flatten();
    let members = found
        .into_iter()
        .map(|(id, foreign)| Member {
            customer: id.to_string(),
            identifier: foreign,
        })
        .collect();
    Ok(Json(Members { members, next }))
}

/// The size of a page as asked for.
pub(super) fn page_limit(asked: Option<usize>) -> crate::problem::Result<usize> {
    match asked {
        None => Ok(PAGE_DEFAULT),
        Some(n) if (1..=PAGE_MAX).contains(&n) => Ok(n),
        Some(n) => Err(Problem::new(
            "malformed_request",
            format!("`limit` is {n}; write 1 to {PAGE_MAX}"),
        )
        .with("limit", PAGE_MAX)),
    }
}

/// A rule to count.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CountRequest {
    /// Scene; may be left out when only one is applied, or when the query (`?scene=`) or the header `X-Luopan-Scene` names it.
    scene: Option<String>,
    /// The rule, in CEL over the scene's tags.
    #[schema(example = "visits_30d >= 2")]
    rule: String,
}

/// Counts for how many customers a rule is true.
#[utoipa::path(
    post,
    path = "/v1/segments/count",
    tag = "segments",
    params(SceneQuery),
    request_body = CountRequest,
    responses(
        (status = 200, body = RuleCounted),
        (status = "default", body = Problem, content_type = "application/problem+json", description = "Refused")
    )
)]
pub(super) async fn count(
    State(app): State<Arc<App>>,
    Asked(query): Asked<SceneQuery>,
    headers: HeaderMap,
    request: Body,
) -> Result<Json<RuleCounted>, Refused> {
    let held = body::read(&app, &headers, request).await?;
    let asked: CountRequest = body::json(&headers, &held.bytes)?;
    let beside = query::named(query.scene.as_deref(), &headers)?;
    let scene = app.scene(query::agreed(asked.scene.as_deref(), beside)?)?;
    let rule = compiled(&*app.engine.plan(&scene)?, &asked.rule)?;
    Ok(Json(app.engine.count_rule(&scene, &rule).await?.into()))
}
