//! `/v1/scenes/{scene}/catalogues/{catalogue}`: the products as decisions see them, and what happens to them.

use super::App;
use super::body;
use super::events::EventsAnswer;
use super::query::{Asked, Parts};
use super::segments::page_limit;
use crate::answer::{Product, Products};
use crate::happening::{ProductEvent, input};
use crate::problem::{Problem, Refused, Result};
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use serde::Deserialize;
use std::sync::Arc;

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ItemsQuery {
    /// The `next` of the page before.
    after: Option<String>,
    /// Items of a page, at most 1,000.
    limit: Option<usize>,
}

/// The items of a catalogue, withdrawn ones among them, a page at a time.
#[utoipa::path(
    get,
    path = "/v1/scenes/{scene}/catalogues/{catalogue}/items",
    tag = "catalogues",
    params(
        ("scene" = String, Path, description = "Scene"),
        ("catalogue" = String, Path, description = "Catalogue"),
        ItemsQuery
    ),
    responses(
        (status = 200, body = Products),
        (status = "default", body = Problem, content_type = "application/problem+json", description = "Refused")
    )
)]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    Parts((scene, catalogue)): Parts<(String, String)>,
    Asked(asked): Asked<ItemsQuery>,
) -> std::result::Result<Json<Products>, Refused> {
    let limit = page_limit(asked.limit)?;
    let page = (app.engine).items(&scene, &catalogue, asked.after.as_deref(), limit)?;
    Ok(Json(Products::new(scene, catalogue, page)))
}

/// One item of a catalogue, candidate or withdrawn.
#[utoipa::path(
    get,
    path = "/v1/scenes/{scene}/catalogues/{catalogue}/items/{key}",
    tag = "catalogues",
    params(
        ("scene" = String, Path, description = "Scene"),
        ("catalogue" = String, Path, description = "Catalogue"),
        ("key" = String, Path, description = "Key of the item")
    ),
    responses(
        (status = 200, body = Product),
        (status = "default", body = Problem, content_type = "application/problem+json", description = "Refused")
    )
)]
pub(super) async fn get(
    State(app): State<Arc<App>>,
    Parts((scene, catalogue, key)): Parts<(String, String, String)>,
) -> std::result::Result<Json<Product>, Refused> {
    Ok(Json(app.engine.item(&scene, &catalogue, &key)?.into()))
}

/// What happens to items of a catalogue.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ProductEvents {
    /// In order, at most 10,000.
    events: Vec<ProductEvent>,
}

/// Takes what happens to products: durable when the answer comes. What does not fit goes to quarantine with the reason.
#[utoipa::path(
    post,
    path = "/v1/scenes/{scene}/catalogues/{catalogue}/events",
    tag = "catalogues",
    params(
        ("scene" = String, Path, description = "Scene"),
        ("catalogue" = String, Path, description = "Catalogue")
    ),
    request_body = ProductEvents,
    responses(
        (status = 200, body = EventsAnswer),
        (status = "default", body = Problem, content_type = "application/problem+json", description = "Refused")
    )
)]
pub(super) async fn send(
    State(app): State<Arc<App>>,
    Parts((scene, catalogue)): Parts<(String, String)>,
    headers: HeaderMap,
    request: Body,
) -> std::result::Result<Json<EventsAnswer>, Refused> {
    let held = body::read(&app, &headers, request).await?;
    let asked: ProductEvents = body::json(&headers, &held.bytes)?;
    let inputs = (asked.events.into_iter())
        .map(input)
        .collect::<Result<Vec<_>>>()?;
    let receipt = (app.engine)
        .change_products(&scene, &catalogue, &inputs)
        .await?;
    Ok(Json(EventsAnswer::of(receipt)))
}
