//! `GET /v1/customers/{id}` and the links between identifiers.

use super::App;
use super::auth::Caller;
use super::body;
use super::query::{self, Asked, Part, SceneQuery};
use crate::answer::Customer;
use crate::problem::{Problem, Refused};
use axum::Json;
use axum::body::Body;
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, StatusCode};
use serde::Deserialize;
use std::sync::Arc;

/// What is known of a customer, as of now.
#[utoipa::path(
    get,
    path = "/v1/customers/{id}",
    tag = "customers",
    params(("id" = String, Path, description = "The customer, as the sender names them"), SceneQuery),
    responses(
        (status = 200, body = Customer),
        (status = "default", body = Problem, content_type = "application/problem+json", description = "Refused")
    )
)]
pub(super) async fn get(
    State(app): State<Arc<App>>,
    Part(id): Part,
    Asked(asked): Asked<SceneQuery>,
    headers: HeaderMap,
) -> Result<Json<Customer>, Refused> {
    let scene = app.scene(query::named(asked.scene.as_deref(), &headers)?)?;
    Ok(Json(app.engine.customer(&scene, &id).await?.into()))
}

/// Two identifiers of one customer.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LinkRequest {
    /// One identifier, as the sender names it.
    a: String,
    /// The other.
    b: String,
}

/// An identifier to take out of its customer.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct UnlinkRequest {
    /// The identifier, as the sender names it.
    identifier: String,
}

/// Says that two identifiers are one customer.
#[utoipa::path(
    post,
    path = "/v1/identities/link",
    tag = "customers",
    request_body = LinkRequest,
    responses(
        (status = 204, description = "Linked, durably"),
        (status = "default", body = Problem, content_type = "application/problem+json", description = "Refused")
    )
)]
pub(super) async fn link(
    State(app): State<Arc<App>>,
    Extension(Caller(by)): Extension<Caller>,
    headers: HeaderMap,
    request: Body,
) -> Result<StatusCode, Refused> {
    let held = body::read(&app, &headers, request).await?;
    let asked: LinkRequest = body::json(&headers, &held.bytes)?;
    app.engine.link(&asked.a, &asked.b, &by).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Takes an identifier out of its customer; its own history goes with it.
#[utoipa::path(
    post,
    path = "/v1/identities/unlink",
    tag = "customers",
    request_body = UnlinkRequest,
    responses(
        (status = 204, description = "Un-linked, durably"),
        (status = "default", body = Problem, content_type = "application/problem+json", description = "Refused")
    )
)]
pub(super) async fn unlink(
    State(app): State<Arc<App>>,
    Extension(Caller(by)): Extension<Caller>,
    headers: HeaderMap,
    request: Body,
) -> Result<StatusCode, Refused> {
    let held = body::read(&app, &headers, request).await?;
    let asked: UnlinkRequest = body::json(&headers, &held.bytes)?;
    app.engine.unlink(&asked.identifier, &by).await?;
    Ok(StatusCode::NO_CONTENT)
}
