//! Import mappings: how a row of a file becomes a customer, an event, a product, or a line of a logged campaign. A mapping
//! is checked against the scene before the first row is read, and applying it to a row is a pure function.

mod compile;
mod convert;
mod row;

pub(crate) use compile::compile;
pub use row::{Bound, MappedOutcome, MappedRow, RowFault};

use crate::fault::Fault;
use crate::shape::{Reporter, check};
use luopan_kernel::plan::{Field, ScenePlan};
use luopan_kernel::value::Value;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a row becomes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// Attributes of a customer.
    Customers,
    /// An event of this type.
    Events {
        /// Type name.
        event: String,
    },
    /// An item of this catalogue.
    Products {
        /// Catalogue name.
        catalogue: String,
        /// Its attributes, in order.
        attributes: Vec<String>,
    },
    /// What happens to items of this catalogue.
    Environment {
        /// What happens.
        happens: Happening,
        /// Catalogue name.
        catalogue: String,
    },
    /// A customer with the logged action and what followed.
    Campaign {
        /// Policy whose actions were logged, when the mapping says so.
        policy: Option<String>,
    },
}

/// What a row says of an item that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Happening {
    /// Some attributes change: those that stand in the row.
    Change,
    /// It is offered no more.
    Withdrawal,
    /// Its net asset value of a day.
    Nav,
}

/// The format of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// By the file's name.
    Auto,
    /// Comma-separated values with a header.
    Csv,
    /// A JSON object a line.
    Jsonl,
    /// Apache Parquet.
    Parquet,
}

/// The encoding of a text file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    /// UTF-8 when it is, else GB18030.
    Auto,
    /// UTF-8.
    Utf8,
    /// GB18030, which holds GBK and GB2312.
    Gb18030,
}

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileFormat {
    /// Format.
    pub format: Format,
    /// Delimiter of CSV.
    pub delimiter: char,
    /// Quote of CSV.
    pub quote: char,
    /// Encoding.
    pub encoding: Encoding,
}

/// In what a number stands for money, a duration or a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Money as 12.50.
    Major,
    /// Money as 1250.
    Minor,
    /// A share as 1.5 or 1.5%, divided by 100.
    Percent,
    /// Thousandths of a second.
    Milliseconds,
    /// Seconds.
    Seconds,
    /// Minutes.
    Minutes,
    /// Hours.
    Hours,
    /// Days of 24 hours.
    Days,
}

/// A piece of a template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// Text as it is.
    Text(String),
    /// The text of a column.
    Column(String),
    /// The number of the row, from 1.
    Row,
    /// The file's name without folder and endings, or its first so many characters.
    File(Option<u8>),
}

/// A value read from a column.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Column {
    /// Name in the file.
    pub column: String,
    /// Texts of the file and what they become; others stay as they are.
    pub map: BTreeMap<String, String>,
    /// Texts that mean nothing is known; the empty text always does.
    pub missing: Vec<String>,
    /// Decimal separator.
    pub decimal: Option<char>,
    /// Thousands separator.
    pub thousands: Option<char>,
    /// Unit of money, duration or time.
    pub unit: Option<Unit>,
    /// Text that stands before the value and is taken away.
    #[serde(default)]
    pub prefix: Option<String>,
    /// Digits of a code: shorter ones are filled with zeros in front, others are a fault.
    #[serde(default)]
    pub pad: Option<u8>,
    /// `strptime` format of a time.
    pub format: Option<String>,
    /// IANA zone of a time without an offset.
    pub zone: Option<String>,
}

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// A column.
    Column(Column),
    /// The same for every row.
    Constant(Value<'static>),
    /// Text made from columns.
    Template(Vec<Part>),
}

/// A field and where its value comes from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FieldSource {
    /// Field as the scene declares it.
    pub field: Field,
    /// Source.
    pub source: Source,
}

/// A condition on the text of a column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct When {
    /// Name in the file.
    pub column: String,
    /// It holds when one of these stands there; empty allows any.
    pub one_of: Vec<String>,
    /// It does not hold when this stands there.
    pub not: Option<String>,
}

/// An event that followed the logged action of a row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Event type.
    pub event: String,
    /// Only for rows where this holds.
    pub when: Option<When>,
    /// Time after the action, in microseconds.
    pub after_us: i64,
    /// Properties.
    pub fields: Vec<FieldSource>,
}

/// A checked mapping.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Mapping {
    /// What a row becomes.
    pub target: Target,
    /// How the file is written.
    pub file: FileFormat,
    /// The customer's foreign id, or an item's key.
    pub id: Option<Source>,
    /// Id of an event.
    pub event_id: Option<Source>,
    /// When it happened.
    pub occurred_at: Option<Source>,
    /// Rows for which this does not hold give nothing.
    pub when: Option<When>,
    /// Properties or attributes, ascending by name.
    pub fields: Vec<FieldSource>,
    /// Fields of the decision request, ascending by name (campaign).
    pub request: Vec<FieldSource>,
    /// The logged action (campaign).
    pub action: Option<Source>,
    /// Events that followed (campaign).
    pub outcomes: Vec<Outcome>,
    /// Attributes whose values the mapping makes up (products), ascending.
    #[serde(default)]
    pub generated: Vec<String>,
    /// Zone of times without an offset.
    pub zone: String,
}

/// Reads and checks one mapping file against a scene.
///
/// # Errors
/// Every fault, by place.
pub fn parse(path: &str, text: &str, plan: &ScenePlan) -> Result<Mapping, Vec<Fault>> {
    let files = vec![(path.to_owned(), text.to_owned())];
    let mut report = Reporter {
        files: &files,
        faults: Vec::new(),
    };
    if text.len() > crate::draft::FILE_BYTES_MAX {
        let at = crate::node::At {
            file: 0,
            line: 1,
            column: 1,
        };
        report.at(
            at,
            crate::fault::Code::Limit,
            format!("the file has {} bytes", text.len()),
            format!("at most {} are read", crate::draft::FILE_BYTES_MAX),
        );
        return Err(report.faults);
    }
    let mut faults = Vec::new();
    let root = crate::node::parse(0, path, text, &mut faults);
    report.faults = faults;
    let mapping = root.as_ref().and_then(|root| {
        check(root, &crate::tables::MAPPING, &mut report);
        compile(
            root,
            plan,
            &crate::compile::Declared::default(),
            &mut report,
        )
    });
    if root.is_none() && report.faults.is_empty() {
        let at = crate::node::At {
            file: 0,
            line: 1,
            column: 1,
        };
        report.at(
            at,
            crate::fault::Code::MissingKey,
            "an empty file",
            "write `into: customers` and so on",
        );
    }
    match mapping {
        Some(mapping) if report.faults.is_empty() => Ok(mapping),
        _ => Err(crate::draft::finished(report.faults)),
    }
}

impl Mapping {
    /// Names of all columns that the mapping reads, ascending, each once.
    pub fn columns(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for source in self.sources() {
            match source {
                Source::Column(c) => names.push(&c.column),
                Source::Constant(_) => {}
                Source::Template(parts) => names.extend(parts.iter().filter_map(|p| match p {
                    Part::Column(c) => Some(c.as_str()),
                    _ => None,
                })),
            }
        }
        names.extend(self.conditions().map(|w| w.column.as_str()));
        names.sort_unstable();
        names.dedup();
        names
    }

    fn sources(&self) -> impl Iterator<Item = &Source> {
        [&self.id, &self.event_id, &self.occurred_at, &self.action]
            .into_iter()
            .flatten()
            .chain(self.fields.iter().map(|f| &f.source))
            .chain(self.request.iter().map(|f| &f.source))
            .chain(
                self.outcomes
                    .iter()
                    .flat_map(|o| &o.fields)
                    .map(|f| &f.source),
            )
    }

    fn conditions(&self) -> impl Iterator<Item = &When> {
        self.when
            .iter()
            .chain(self.outcomes.iter().filter_map(|o| o.when.as_ref()))
    }
}
