//! Declared event types and their fields.

use crate::value::ValueType;
use serde::{Deserialize, Serialize};

/// A declared property or attribute.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Field {
    /// Name.
    pub name: String,
    /// Type.
    #[serde(rename = "type")]
    pub kind: ValueType,
    /// An event without it goes to quarantine.
    #[serde(default)]
    pub required: bool,
    /// Personal: sealed with the customer's key before it reaches the log; no tag or rule can read it.
    #[serde(default)]
    pub personal: bool,
    /// ISO 4217 currency of a `money` field.
    #[serde(default)]
    pub currency: Option<String>,
    /// Allowed texts, when the field is an enumeration.
    #[serde(default)]
    pub one_of: Vec<String>,
    /// Never usable as a model feature, with the reason (for instance: known only after the call).
    #[serde(default)]
    pub not_a_feature: Option<String>,
}

/// Why this release refuses fields marked personal, and what to do instead; none once it can seal them. Whoever checks a
/// pack and whoever takes a plan in ask here, so that they agree.
pub fn why_not_personal() -> Option<&'static str> {
    Some("this release cannot seal personal fields, so leave the field out")
}

/// A declared event type.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EventSchema {
    /// Type name.
    pub name: String,
    /// Properties, ascending by name.
    pub fields: Vec<Field>,
}

impl EventSchema {
    /// Index of the field `name`.
    pub fn field(&self, name: &str) -> Option<usize> {
        self.fields
            .binary_search_by(|f| f.name.as_str().cmp(name))
            .ok()
    }
}
