//! Applying a mapping: columns are found once, then each row becomes what the mapping says or a fault that names the column.

use super::convert::{convert, text};
use super::{FieldSource, Happening, Mapping, Part, Source, Target, When};
use crate::fault::{listed, nearest, shown};
use luopan_kernel::catalogue::GENERATED_ATTRIBUTE;
use luopan_kernel::event::PROPERTIES_MAX;
use luopan_kernel::id::{FOREIGN_ID_BYTES_MAX, hash128};
use luopan_kernel::plan::{Field, ItemPlan};
use luopan_kernel::time::Micros;
use luopan_kernel::value::{Value, ValueType};
use std::collections::BTreeMap;

/// What a row became.
#[derive(Debug, Clone, PartialEq)]
pub enum MappedRow {
    /// The mapping's `when` does not hold: nothing.
    Skipped,
    /// Attributes of a customer.
    Customer {
        /// Foreign id.
        id: String,
        /// Attributes that are known, ascending by name.
        attributes: Vec<(String, Value<'static>)>,
    },
    /// An event.
    Event {
        /// Foreign id of the customer.
        id: String,
        /// Id of the event, unique within the customer.
        event_id: String,
        /// Type.
        event: String,
        /// When it happened, when the row says.
        occurred_at: Option<Micros>,
        /// Properties that are known, ascending by name.
        properties: Vec<(String, Value<'static>)>,
    },
    /// An item.
    Product {
        /// Catalogue.
        catalogue: String,
        /// Key and values in the order of the catalogue's attributes.
        item: ItemPlan,
    },
    /// What happened to an item that is there.
    Happened {
        /// What.
        happens: Happening,
        /// The item's key.
        key: String,
        /// When, when the row says.
        at: Option<Micros>,
        /// What is known, ascending by name.
        values: Vec<(String, Value<'static>)>,
    },
    /// A line of a logged campaign.
    Campaign {
        /// Foreign id, or the row's number.
        id: String,
        /// Attributes that are known, ascending by name.
        attributes: Vec<(String, Value<'static>)>,
        /// Context of the decision request, ascending by name.
        request: Vec<(String, Value<'static>)>,
        /// The logged action.
        action: Option<String>,
        /// When it was taken, when the row says.
        occurred_at: Option<Micros>,
        /// What followed.
        outcomes: Vec<MappedOutcome>,
    },
}

/// An event that followed a logged action.
#[derive(Debug, Clone, PartialEq)]
pub struct MappedOutcome {
    /// Event type.
    pub event: String,
    /// Time after the action, microseconds.
    pub after_us: i64,
    /// Properties that are known, ascending by name. A field that holds the decision's id is set by whoever replays.
    pub properties: Vec<(String, Value<'static>)>,
}

/// Why a row or a header was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowFault {
    /// Column (or field, where no column is at fault); empty when the row as a whole is.
    pub column: String,
    /// What was found.
    pub found: String,
    /// What to write instead.
    pub write: String,
}

impl std::fmt::Display for RowFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if !self.column.is_empty() {
            write!(f, "column `{}`: ", self.column)?;
        }
        write!(f, "{}; {}", self.found, self.write)
    }
}

impl std::error::Error for RowFault {}

/// A mapping with its columns found in a file's header.
#[derive(Debug, Clone)]
pub struct Bound<'m> {
    mapping: &'m Mapping,
    places: BTreeMap<&'m str, usize>,
    width: usize,
    file: String,
}

impl Mapping {
    /// Finds the mapping's columns in a header.
    ///
    /// # Errors
    /// A fault for each column that is not there, with the nearest one that is.
    pub fn bind<S: AsRef<str>>(&self, header: &[S]) -> Result<Bound<'_>, Vec<RowFault>> {
        let names = || header.iter().map(AsRef::as_ref);
        let mut faults = Vec::new();
        let mut places = BTreeMap::new();
        for wanted in self.columns() {
            match names().position(|h| h.trim_start_matches('\u{feff}').trim() == wanted) {
                Some(i) => {
                    places.insert(wanted, i);
                }
                None => faults.push(RowFault {
                    column: wanted.to_owned(),
                    found: "the file has no such column".into(),
                    write: match nearest(wanted, names()) {
                        Some(near) => {
                            format!("did you mean `{near}`? there are {}", listed(names()))
                        }
                        None => format!("there are {}", listed(names())),
                    },
                }),
            }
        }
        if faults.is_empty() {
            Ok(Bound {
                mapping: self,
                places,
                width: header.len(),
                file: String::new(),
            })
        } else {
            Err(faults)
        }
    }

    /// Applies the mapping to one row; to many rows, [`Mapping::bind`] once.
    ///
    /// # Errors
    /// The first fault of the header or the row.
    pub fn row<S: AsRef<str>>(
        &self,
        number: u64,
        header: &[S],
        cells: &[Value<'_>],
    ) -> Result<MappedRow, RowFault> {
        self.bind(header)
            .map_err(|mut faults| faults.swap_remove(0))?
            .row(number, cells)
    }
}

impl Bound<'_> {
    /// The same for a file of this name (without folder and endings), for templates that read it.
    #[must_use]
    pub fn of_file(mut self, name: &str) -> Self {
        name.clone_into(&mut self.file);
        self
    }

    /// What row `number` (from 1) becomes. Cells of a text file are [`Value::Text`]; those of typed files may be what they
    /// are.
    ///
    /// # Errors
    /// A row of another width than the header, a cell that does not fit its field, a required field that is missing.
    pub fn row(&self, number: u64, cells: &[Value<'_>]) -> Result<MappedRow, RowFault> {
        if cells.len() != self.width {
            return Err(RowFault {
                column: String::new(),
                found: format!("the row has {} cells", cells.len()),
                write: format!(
                    "the header has {}: look for a stray delimiter or quote",
                    self.width
                ),
            });
        }
        let m = self.mapping;
        if !self.holds(m.when.as_ref(), cells) {
            return Ok(MappedRow::Skipped);
        }
        let occurred_at = || -> Result<Option<Micros>, RowFault> {
            let Some(source) = &m.occurred_at else {
                return Ok(None);
            };
            let field = plain_field("occurred_at", ValueType::Time);
            Ok(match self.value(source, &field, number, cells)? {
                Value::Time(t) => Some(t),
                _ => None,
            })
        };
        match &m.target {
            Target::Customers => Ok(MappedRow::Customer {
                id: self.id(m.id.as_ref(), "id", number, cells)?,
                attributes: self.fields(&m.fields, number, cells)?,
            }),
            Target::Events { event } => Ok(MappedRow::Event {
                id: self.id(m.id.as_ref(), "id", number, cells)?,
                event_id: match &m.event_id {
                    Some(source) => self.id(Some(source), "event_id", number, cells)?,
                    None => content_id(event, cells),
                },
                event: event.clone(),
                occurred_at: occurred_at()?,
                properties: self.fields(&m.fields, number, cells)?,
            }),
            Target::Products {
                catalogue,
                attributes,
            } => {
                let key = self.id(m.id.as_ref(), "id", number, cells)?;
                let mut values = vec![Value::Missing; attributes.len()];
                let mut fields = self.fields(&m.fields, number, cells)?;
                let made_up: Vec<&str> = (m.generated.iter())
                    .filter(|g| fields.iter().any(|(n, _)| n == *g))
                    .map(String::as_str)
                    .collect();
                if !made_up.is_empty() {
                    let marks = Value::text(made_up.join(", "));
                    fields.push((GENERATED_ATTRIBUTE.to_owned(), marks));
                }
                for (name, value) in fields {
                    if let Some(i) = attributes.iter().position(|a| *a == name) {
                        values[i] = value;
                    }
                }
                Ok(MappedRow::Product {
                    catalogue: catalogue.clone(),
                    item: ItemPlan { key, values },
                })
            }
            Target::Environment { happens, .. } => Ok(MappedRow::Happened {
                happens: *happens,
                key: self.id(m.id.as_ref(), "id", number, cells)?,
                at: occurred_at()?,
                values: self.fields(&m.fields, number, cells)?,
            }),
            Target::Campaign { .. } => {
                let mut outcomes = Vec::new();
                for outcome in &m.outcomes {
                    if self.holds(outcome.when.as_ref(), cells) {
                        outcomes.push(MappedOutcome {
                            event: outcome.event.clone(),
                            after_us: outcome.after_us,
                            properties: self.fields(&outcome.fields, number, cells)?,
                        });
                    }
                }
                Ok(MappedRow::Campaign {
                    id: match &m.id {
                        Some(source) => self.id(Some(source), "id", number, cells)?,
                        None => number.to_string(),
                    },
                    attributes: self.fields(&m.fields, number, cells)?,
                    request: self.fields(&m.request, number, cells)?,
                    action: match &m.action {
                        None => None,
                        Some(source) => Some(self.id(Some(source), "action", number, cells)?),
                    },
                    occurred_at: occurred_at()?,
                    outcomes,
                })
            }
        }
    }

    fn cell<'c>(&self, name: &str, cells: &'c [Value<'c>]) -> &'c Value<'c> {
        static MISSING: Value<'static> = Value::Missing;
        self.places
            .get(name)
            .and_then(|i| cells.get(*i))
            .unwrap_or(&MISSING)
    }

    fn holds(&self, when: Option<&When>, cells: &[Value<'_>]) -> bool {
        let Some(when) = when else { return true };
        let cell = text(self.cell(&when.column, cells)).unwrap_or_default();
        let cell = cell.trim();
        (when.one_of.is_empty() || when.one_of.iter().any(|t| t == cell))
            && when.not.as_deref() != Some(cell)
    }

    fn value(
        &self,
        source: &Source,
        field: &Field,
        number: u64,
        cells: &[Value<'_>],
    ) -> Result<Value<'static>, RowFault> {
        match source {
            Source::Constant(value) => Ok(value.clone()),
            Source::Template(parts) => {
                let mut out = String::new();
                for part in parts {
                    match part {
                        Part::Text(t) => out.push_str(t),
                        Part::Row => out.push_str(&number.to_string()),
                        Part::File(first) => {
                            let n = first.map_or(usize::MAX, usize::from);
                            out.extend(self.file.chars().take(n));
                        }
                        Part::Column(c) => {
                            out.push_str(text(self.cell(c, cells)).unwrap_or_default().trim())
                        }
                    }
                }
                Ok(Value::text(out))
            }
            Source::Column(column) => {
                let cell = self.cell(&column.column, cells);
                convert(cell, column, field, &self.mapping.zone).map_err(|write| RowFault {
                    column: column.column.clone(),
                    found: format!(
                        "`{}` is {} `{}`",
                        shown(text(cell).unwrap_or_default().trim()),
                        match field.kind {
                            _ if column.pad.is_some() => "no code for".to_owned(),
                            ValueType::Text if !field.one_of.is_empty() =>
                                "none of the texts of".to_owned(),
                            kind => format!("not {} for", kind.word()),
                        },
                        field.name
                    ),
                    write,
                })
            }
        }
    }

    fn fields(
        &self,
        fields: &[FieldSource],
        number: u64,
        cells: &[Value<'_>],
    ) -> Result<Vec<(String, Value<'static>)>, RowFault> {
        let mut out = Vec::with_capacity(fields.len().min(PROPERTIES_MAX));
        for f in fields {
            let value = self.value(&f.source, &f.field, number, cells)?;
            if !value.is_missing() {
                out.push((f.field.name.clone(), value));
            } else if f.field.required {
                return Err(RowFault {
                    column: column_of(&f.source, &f.field.name),
                    found: "nothing stands there".into(),
                    write: format!("`{}` is required", f.field.name),
                });
            }
        }
        Ok(out)
    }

    /// A text of 1 to [`FOREIGN_ID_BYTES_MAX`] bytes.
    fn id(
        &self,
        source: Option<&Source>,
        what: &str,
        number: u64,
        cells: &[Value<'_>],
    ) -> Result<String, RowFault> {
        let field = plain_field(what, ValueType::Text);
        let value = match source {
            Some(source) => self.value(source, &field, number, cells)?,
            None => Value::Missing,
        };
        let id = match value {
            Value::Text(t) => t.into_owned(),
            _ => String::new(),
        };
        if id.is_empty() || id.len() > FOREIGN_ID_BYTES_MAX {
            return Err(RowFault {
                column: source.map_or_else(|| what.to_owned(), |s| column_of(s, what)),
                found: format!("an {what} of {} bytes", id.len()),
                write: format!("write 1 to {FOREIGN_ID_BYTES_MAX}"),
            });
        }
        Ok(id)
    }
}

fn column_of(source: &Source, otherwise: &str) -> String {
    match source {
        Source::Column(c) => c.column.clone(),
        _ => otherwise.to_owned(),
    }
}

fn plain_field(name: &str, kind: ValueType) -> Field {
    Field {
        name: name.to_owned(),
        kind,
        required: false,
        personal: false,
        currency: None,
        one_of: Vec::new(),
        not_a_feature: None,
    }
}

/// An id made from the row's content: the same row again is the same event.
fn content_id(event: &str, cells: &[Value<'_>]) -> String {
    let mut content = String::from(event);
    for cell in cells {
        content.push('\u{1f}');
        content.push_str(&text(cell).unwrap_or_default());
    }
    format!("row-{:032x}", hash128(content.as_bytes()))
}
