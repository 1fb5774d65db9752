//! What happens to items of a catalogue, as JSON: the body of `POST /v1/scenes/SCENE/catalogues/CATALOGUE/events`, and lines of
//! files. It must never know what a catalogue declares.

use crate::incoming::{Fields, Moment, owned};
use crate::problem::{Problem, Result};
use luopan_engine::api::{ProductInput, Raw};
use serde::{Deserialize, Deserializer};

/// Attributes by name.
#[derive(Debug)]
pub(crate) struct Values(Vec<(String, Raw<'static>)>);

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
pub(crate) enum ProductEvent {
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
        #[schema(value_type = Option<String>)]
        at: Option<Moment>,
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
        #[schema(value_type = Option<String>)]
        at: Option<Moment>,
    },
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

/// The event as the engine takes it.
pub(crate) fn input(event: ProductEvent) -> Result<ProductInput> {
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
            at: when.map(|m| m.0),
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
            at: when.map(|m| m.0),
        },
    })
}

/// One line of a file as the engine takes it; else what is wrong with it.
pub(crate) fn line(text: &[u8]) -> std::result::Result<ProductInput, String> {
    let event: ProductEvent = serde_json::from_slice(text).map_err(|e| e.to_string())?;
    input(event).map_err(|problem| problem.detail)
}
