//! `/v1/scenes/{scene}/catalogues/{catalogue}`: the products as decisions see them, and what happens to them.

use super::App;
use super::body;
use super::events::EventsAnswer;
use super::query::{Asked, Parts};
use super::segments::page_limit;
use crate::answer::{Product, Products};
use crate::incoming::{Fields, owned};
use crate::problem::{Problem, Refused, Result};
use crate::time;
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use luopan_engine::api::{ProductInput, Raw};
use luopan_kernel::time::Micros;
use serde::{Deserialize, Deserializer};
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

/// Attributes by name.
#[derive(Debug)]
struct Values(Vec<(String, Raw<'static>)>);

impl<'de> Deserialize<'de> for Values {
    fn deserialize<D: Deserializer<'de>>(d: D) -> std::result::Result<Self, D::Error> {
        let fields = Fields::deserialize(d)?.0;
        Ok(Self(
            (fields.into_iter())
                .map(|(name, value)| (name.into_owned(), owned(value)))
                .collect(),
        ))
    }
}

/// Something that happens to an item. Times are RFC 3339 text with a zone, and now when left out.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(tag = "type", deny_unknown_fields)]
enum ProductEvent {
    /// The item as a whole: attributes that are not named are not known.
    #[serde(rename = "luopan.product")]
    Set {
        key: String,
        #[schema(value_type = Object)]
        values: Values,
    },
    /// The attributes that are named change, the others stay; null takes a value away.
    #[serde(rename = "luopan.product_changed")]
    Change {
        key: String,
        #[schema(value_type = Object)]
        values: Values,
    },
    /// The item is offered no more, or, with `restored`, again.
    #[serde(rename = "luopan.product_withdrawn")]
    Withdraw {
        key: String,
        at: Option<String>,
        successor: Option<String>,
        #[serde(default)]
        restored: bool,
    },
    /// Net asset value of a day (`2026-01-31`); told again for the day it is restated.
    #[serde(rename = "luopan.nav")]
    Nav {
        key: String,
        day: String,
        nav: f64,
        accumulated: Option<f64>,
    },
    /// An announcement about the item.
    #[serde(rename = "luopan.announcement")]
    Announce {
        key: String,
        kind: String,
        text: String,
        at: Option<String>,
    },
}

/// What happens to items of a catalogue.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ProductEvents {
    /// In order, at most 10,000.
    events: Vec<ProductEvent>,
}

fn at(text: Option<String>) -> Result<Option<Micros>> {
    text.map(|t| time::parse(&t))
        .transpose()
        .map_err(|e| Problem::new("malformed_request", format!("`at`: {e}")))
}

fn day(text: &str) -> Result<i32> {
    let wrong = || {
        let found: String = text.chars().take(32).collect();
        Problem::new(
            "malformed_request",
            format!("`day`: `{found}` is not a day; write 2026-01-31"),
        )
    };
    let date: jiff::civil::Date = text.parse().map_err(|_| wrong())?;
    if text.len() != 10 {
        return Err(wrong());
    }
    let (month, day) = (date.month().unsigned_abs(), date.day().unsigned_abs());
    Ok(luopan_kernel::catalogue::measures::day_number(
        i32::from(date.year()),
        u32::from(month),
        u32::from(day),
    ))
}

fn input(event: ProductEvent) -> Result<ProductInput> {
    Ok(match event {
        ProductEvent::Set { key, values } => ProductInput::Set {
            key,
            values: values.0,
        },
        ProductEvent::Change { key, values } => ProductInput::Change {
            key,
            values: values.0,
        },
        ProductEvent::Withdraw {
            key,
            at: when,
            successor,
            restored,
        } => ProductInput::Withdraw {
            key,
            at: at(when)?,
            successor,
            restored,
        },
        ProductEvent::Nav {
            key,
            day: on,
            nav,
            accumulated,
        } => ProductInput::Nav {
            key,
            day: day(&on)?,
            nav: Raw::Number(nav),
            accumulated: accumulated.map_or(Raw::Null, Raw::Number),
        },
        ProductEvent::Announce {
            key,
            kind,
            text,
            at: when,
        } => ProductInput::Announce {
            key,
            kind,
            title: text,
            at: at(when)?,
        },
    })
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
