//! Rows through a scene's mapping: each becomes an event for the engine, a catalogue item, or a bad row with its reason. The
//! same row again gives the same event id, also in a file in which other rows were mended, so that importing a file twice
//! gives duplicates for what was taken.

use super::rows::{BadRow, Row};
use crate::incoming::cut;
use luopan_engine::api::{EVENT_BYTES_MAX, Incoming, ProductInput, Raw};
use luopan_kernel::catalogue::GENERATED_ATTRIBUTE;
use luopan_kernel::event::CUSTOMER_TYPE;
use luopan_kernel::id::hash128;
use luopan_kernel::time::{DAY_US, Micros};
use luopan_kernel::value::Value;
use luopan_scene::mapping::{Bound, Happening, Target};
use luopan_scene::{MappedRow, Mapping, RowFault};
use serde_json::json;
use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

/// What a row became.
#[derive(Debug, Clone, PartialEq)]
pub enum Mapped {
    /// An event, or attributes of a customer as an event.
    Event(Box<Incoming<'static>>),
    /// Something of an item of a catalogue.
    Product(ProductInput),
    /// The mapping passes over the row.
    Skipped,
}

/// A mapping over the rows of one file.
#[derive(Debug)]
pub struct Mapper<'m> {
    mapping: &'m Mapping,
    /// Name of the file's content, for rows that have no id of their own and may truly repeat in another file.
    file: u128,
    /// Name of the file without its endings, for templates.
    name: String,
    bound: Option<(Arc<[String]>, Bound<'m>)>,
    columns: Arc<[String]>,
    loose: bool,
    /// How often a content came before in this file: two such rows are two events. Eight bytes of a hash and a count a row.
    repeats: HashMap<u64, u32>,
}

impl<'m> Mapper<'m> {
    /// A mapper. `file`: a hash of the file's content. `loose`: rows name their own columns (lines of JSON), and a column
    /// that is not there is missing.
    #[must_use]
    pub fn new(mapping: &'m Mapping, file: u128, loose: bool) -> Self {
        let columns = mapping.columns().into_iter().map(str::to_owned).collect();
        Self {
            mapping,
            file,
            name: String::new(),
            bound: None,
            columns,
            loose,
            repeats: HashMap::new(),
        }
    }

    /// The same for a file of this name.
    #[must_use]
    pub fn of_file(mut self, path: &Path) -> Self {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        self.name = name.split('.').next().unwrap_or_default().to_owned();
        self
    }

    /// Finds the mapping's columns among `names`, when they are not found yet.
    ///
    /// # Errors
    /// Each column that is not there, with the nearest one that is.
    fn bind(&mut self, names: &Arc<[String]>) -> Result<&Bound<'m>, Vec<RowFault>> {
        let known = self
            .bound
            .as_ref()
            .is_some_and(|(n, _)| Arc::ptr_eq(n, names));
        if !known {
            let bound = self.mapping.bind(names)?.of_file(&self.name);
            self.bound = Some((names.clone(), bound));
        }
        match &self.bound {
            Some((_, bound)) => Ok(bound),
            None => Err(Vec::new()),
        }
    }

    /// Applies the mapping to a row.
    ///
    /// # Errors
    /// The row with the reason why it does not fit. A file whose header lacks a column is told by its first row.
    pub fn row(&mut self, row: &Row) -> Result<Mapped, Box<BadRow>> {
        let mapped = self.mapped(row)?;
        self.shaped(mapped, row).map_err(|reason| bad(row, &reason))
    }

    /// What the mapping makes of a row, not yet shaped for intake.
    ///
    /// # Errors
    /// As [`Mapper::row`].
    pub fn mapped(&mut self, row: &Row) -> Result<MappedRow, Box<BadRow>> {
        let bad = |reason: String| bad(row, &reason);
        let mut cells = Vec::with_capacity(row.values.len());
        let names = if self.loose {
            for name in self.columns.iter() {
                cells.push(cell(name, row.get(name)).map_err(&bad)?);
            }
            self.columns.clone()
        } else {
            for (name, value) in row.names.iter().zip(&row.values) {
                cells.push(match cell(name, Some(value)) {
                    Err(reason) if self.columns.contains(name) => return Err(bad(reason)),
                    Err(_) => Value::Missing,
                    Ok(value) => value,
                });
            }
            row.names.clone()
        };
        let bound = match self.bind(&names) {
            Ok(bound) => bound,
            Err(faults) => {
                return Err(bad(faults
                    .iter()
                    .map(ToString::to_string)
                    .collect::<Vec<_>>()
                    .join("; ")));
            }
        };
        bound
            .row(row.number, &cells)
            .map_err(|fault| bad(fault.to_string()))
    }

    /// The id of an event that has none of its own: its content, and a number when that came before in the file. Where the
    /// row stands is no part of it, so a row keeps its id when those above it are mended.
    fn named(&mut self, customer: &str, content: String) -> String {
        let whole = hash128(format!("{customer}/{content}").as_bytes());
        let before = self.repeats.entry(whole as u64).or_default();
        *before += 1;
        match *before {
            1 => content,
            n => format!("{content}-{n}"),
        }
    }

    fn shaped(&mut self, mapped: MappedRow, row: &Row) -> Result<Mapped, String> {
        Ok(match mapped {
            MappedRow::Skipped => Mapped::Skipped,
            MappedRow::Customer { id, attributes } => {
                // The same attributes may truly come back after others did, so the file and the row are part of the id.
                let content = format!("{:032x}/{}/{id}/{attributes:?}", self.file, row.number);
                let event_id = format!("row-{:032x}", hash128(content.as_bytes()));
                Mapped::Event(Box::new(event(
                    id,
                    event_id,
                    CUSTOMER_TYPE.to_owned(),
                    None,
                    attributes,
                )))
            }
            MappedRow::Event {
                id,
                event_id,
                event: kind,
                occurred_at,
                properties,
            } => {
                let event_id = match self.mapping.event_id {
                    Some(_) => event_id,
                    None => self.named(&id, event_id),
                };
                Mapped::Event(Box::new(event(id, event_id, kind, occurred_at, properties)))
            }
            MappedRow::Product { item, .. } => {
                let Target::Products { attributes, .. } = &self.mapping.target else {
                    return Err("the mapping is not one of products".to_owned());
                };
                // Of what the mapping does not name the item keeps what it has.
                let is_named = |name: &str| {
                    name == GENERATED_ATTRIBUTE
                        || self.mapping.fields.iter().any(|f| f.field.name == name)
                };
                let values = (attributes.iter().cloned())
                    .zip(item.values.into_iter().map(Raw::from))
                    .filter(|(name, value)| is_named(name) && *value != Raw::Null)
                    .collect();
                Mapped::Product(ProductInput::Set {
                    key: item.key,
                    values,
                })
            }
            MappedRow::Happened {
                happens,
                key,
                at,
                values,
            } => Mapped::Product(happened(happens, key, at, values)?),
            MappedRow::Campaign { .. } => {
                return Err("a campaign is replayed with `luopan campaign replay`".to_owned());
            }
        })
    }
}

/// What a row says of an item that is there.
fn happened(
    happens: Happening,
    key: String,
    at: Option<Micros>,
    values: Vec<(String, Value<'static>)>,
) -> Result<ProductInput, String> {
    Ok(match happens {
        Happening::Change => ProductInput::Change {
            key,
            values: values.into_iter().map(|(n, v)| (n, v.into())).collect(),
        },
        Happening::Withdrawal => ProductInput::Withdraw {
            key,
            at,
            successor: (values.into_iter()).find_map(|(_, v)| match v {
                Value::Text(t) => Some(t.into_owned()),
                _ => None,
            }),
            restored: false,
        },
        Happening::Nav => {
            let (mut day, mut nav, mut accumulated) = (None, Raw::Null, Raw::Null);
            for (name, value) in values {
                match (name.as_str(), value) {
                    ("day", Value::Time(t)) => day = Some(t.0.div_euclid(DAY_US)),
                    ("nav", v) => nav = v.into(),
                    ("accumulated", v) => accumulated = v.into(),
                    _ => {}
                }
            }
            let day = day.and_then(|d| i32::try_from(d).ok());
            ProductInput::Nav {
                key,
                day: day.ok_or("the day is out of range; check how the date is read")?,
                nav,
                accumulated,
            }
        }
    })
}

/// A row that does not fit, with its reason.
pub(crate) fn bad(row: &Row, reason: &str) -> Box<BadRow> {
    Box::new(BadRow {
        raw: text(row),
        code: "malformed_row",
        reason: format!("{}: {reason}", row.place),
    })
}

fn cell(name: &str, value: Option<&Raw<'static>>) -> Result<Value<'static>, String> {
    Ok(match value {
        None | Some(Raw::Null) => Value::Missing,
        Some(Raw::Bool(v)) => Value::Bool(*v),
        Some(Raw::Int(v)) => Value::Int(*v),
        Some(Raw::Number(v)) => Value::Number(*v),
        Some(Raw::Text(v)) => Value::Text(v.clone()),
        Some(Raw::Compound(what)) => {
            return Err(format!(
                "column `{name}` holds an {what}; write a boolean, a number or text"
            ));
        }
    })
}

/// The event, with itself as JSON for quarantine, so that it can be tried again from there.
pub(crate) fn event(
    customer: String,
    id: String,
    kind: String,
    occurred_at: Option<Micros>,
    properties: Vec<(String, Value<'static>)>,
) -> Incoming<'static> {
    let properties: Vec<(Cow<'static, str>, Raw<'static>)> = properties
        .into_iter()
        .map(|(name, value)| (Cow::Owned(name), value.into()))
        .collect();
    let shown: serde_json::Map<String, serde_json::Value> = properties
        .iter()
        .map(|(name, value)| (name.to_string(), crate::asked::raw_json(value)))
        .collect();
    let mut whole = json!({ "id": id, "customer": customer, "type": kind, "properties": shown });
    if let Some(at) = occurred_at {
        whole["occurred_at"] = at.0.into();
    }
    Incoming {
        id: Cow::Owned(id),
        customer: Cow::Owned(customer),
        kind: Cow::Owned(kind),
        occurred_at,
        properties,
        context: Vec::new(),
        corrects: None,
        raw: Cow::Owned(whole.to_string()),
    }
}

/// A row as JSON, for people to look at in quarantine.
fn text(row: &Row) -> String {
    let map: serde_json::Map<String, serde_json::Value> = row
        .names
        .iter()
        .zip(&row.values)
        .map(|(n, v)| (n.clone(), crate::asked::raw_json(v)))
        .collect();
    cut(&serde_json::Value::Object(map).to_string(), EVENT_BYTES_MAX).to_owned()
}
