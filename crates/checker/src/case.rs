//! Conformance cases: a customer, a product, a moment and what must come of it, run through the same checker as everything
//! else. The format is told in `conformance/README.md`. A case must never be run by other rules than those of
//! [`crate::check`].

use crate::calendar::Calendar;
use crate::check::Checker;
use crate::config::Config;
use crate::record::Record;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// One file of `conformance/rules`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaseFile {
    /// What it is about.
    pub about: String,
    /// Settings that differ from the defaults.
    #[serde(default)]
    pub config: Map<String, Value>,
    /// The calendar.
    #[serde(default)]
    pub calendar: Option<Value>,
    /// Facts of the customer of every case; a case writes its own over them.
    #[serde(default)]
    pub customer: Map<String, Value>,
    /// Facts of the product of every case.
    #[serde(default)]
    pub product: Map<String, Value>,
    /// The cases.
    pub cases: Vec<Case>,
}

/// What must come of a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Expect {
    /// No rule is broken or unknown.
    Allowed,
    /// The rule `by` is broken, and no other but those of `also`.
    Refused,
    /// The rule `by` cannot be known, and none is broken.
    Unknown,
}

/// One case.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// Number of the rule that it is a case of.
    pub rule: u8,
    /// Its name, unique in the folder.
    pub case: String,
    /// Facts of customer `c`, known a year before anything else.
    #[serde(default)]
    pub customer: Map<String, Value>,
    /// Facts of product `p`.
    #[serde(default)]
    pub product: Map<String, Value>,
    /// Settings of this case alone.
    #[serde(default)]
    pub config: Map<String, Value>,
    /// Records before the decision; `customer` and `product` are `c` and `p` unless written.
    #[serde(default)]
    pub before: Vec<Map<String, Value>>,
    /// When the decision is made.
    #[serde(default)]
    pub at: Option<Timestamp>,
    /// What it is for. Without it there is no decision, and the records are the case.
    #[serde(default)]
    pub purpose: Option<String>,
    /// Channel, `app` unless written.
    #[serde(default)]
    pub channel: Option<String>,
    /// More fields of the decision.
    #[serde(default)]
    pub with: Map<String, Value>,
    /// Records after the decision, for instance its send.
    #[serde(default)]
    pub then: Vec<Map<String, Value>>,
    /// What must come of it.
    pub expect: Expect,
    /// Number of the rule that refuses or is unknown; `rule` unless written.
    #[serde(default)]
    pub by: Option<u8>,
    /// Numbers of rules that are broken with it.
    #[serde(default)]
    pub also: Vec<u8>,
    /// What the shipped packs say: the rule that refuses, by name and version. Absent when allowed, and where a pack cannot
    /// say it.
    #[serde(default)]
    pub pack: Option<PackRule>,
}

/// A rule of a scene pack.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackRule {
    /// Name.
    pub rule: String,
    /// Version.
    pub version: String,
}

/// Fields of records that speak of a product.
const OF_PRODUCTS: [&str; 5] = ["product", "acknowledgement", "warning", "order", "price"];
/// And those that speak of no customer.
const OF_NO_CUSTOMER: [&str; 2] = ["product", "journey"];

fn over(below: &Map<String, Value>, above: &Map<String, Value>) -> Map<String, Value> {
    let mut out = below.clone();
    out.extend(above.iter().map(|(k, v)| (k.clone(), v.clone())));
    out
}

fn record(fields: &Map<String, Value>) -> Result<Record, String> {
    let mut fields = fields.clone();
    let kind = fields.get("type").and_then(Value::as_str).unwrap_or("");
    let (of_product, of_customer) = (OF_PRODUCTS.contains(&kind), !OF_NO_CUSTOMER.contains(&kind));
    if of_product && !fields.contains_key("product") {
        fields.insert("product".into(), json!("p"));
    }
    if of_customer && !fields.contains_key("customer") {
        fields.insert("customer".into(), json!("c"));
    }
    let text = Value::Object(fields);
    serde_json::from_value(text.clone()).map_err(|e| format!("{e}: {text}"))
}

impl Case {
    /// The records of the case, in order of time.
    ///
    /// # Errors
    /// A sentence, when a record cannot be read.
    pub fn records(&self, file: &CaseFile) -> Result<Vec<Record>, String> {
        let mut facts = Vec::new();
        let begin = "2025-01-01T00:00:00+08:00";
        for (kind, below, above) in [
            ("customer", &file.customer, &self.customer),
            ("product", &file.product, &self.product),
        ] {
            let mut fields = over(below, above);
            fields.insert("type".into(), json!(kind));
            fields.insert("at".into(), json!(begin));
            facts.push(record(&fields)?);
        }
        for fields in &self.before {
            facts.push(record(fields)?);
        }
        if let Some(purpose) = &self.purpose {
            let at = self.at.ok_or("a decision has a time: write `at`")?;
            let mut fields = self.with.clone();
            fields.insert("type".into(), json!("decision"));
            fields.insert("at".into(), json!(at.to_string()));
            fields.insert("purpose".into(), json!(purpose));
            let channel = self.channel.as_deref().unwrap_or("app");
            fields.insert("channel".into(), json!(channel));
            fields.entry("id").or_insert_with(|| json!("d"));
            fields.entry("items").or_insert_with(|| json!(["p"]));
            facts.push(record(&fields)?);
        }
        for fields in &self.then {
            facts.push(record(fields)?);
        }
        Ok(facts)
    }

    /// Runs the case. Nothing when it comes out as it must.
    ///
    /// # Errors
    /// A sentence that says what came instead.
    pub fn run(&self, file: &CaseFile) -> Result<(), String> {
        let config = Value::Object(over(&file.config, &self.config));
        let config: Config = serde_json::from_value(config).map_err(|e| e.to_string())?;
        let calendar: Option<Calendar> = (file.calendar.clone())
            .map(serde_json::from_value)
            .transpose()
            .map_err(|e| e.to_string())?;
        let calendar = calendar.map(Calendar::checked).transpose()?;
        let mut checker = Checker::new(config.checked()?, calendar);
        for record in self.records(file)? {
            checker.take(record)?;
        }
        let report = checker.finish();
        let by = self.by.unwrap_or(self.rule);
        let count = report.rules.get(&by).cloned().unwrap_or_default();
        let broken = |rule: &u8| report.rules.get(rule).map_or(0, |c| c.violated);
        let with_it: u64 = self.also.iter().map(broken).sum();
        let others = report.violated() - count.violated - with_it;
        let all_with_it = self.also.iter().all(|rule| broken(rule) > 0);
        let good = match self.expect {
            Expect::Allowed => report.violated() == 0 && report.unknown() == 0 && count.kept > 0,
            Expect::Refused => count.violated > 0 && others == 0 && all_with_it,
            Expect::Unknown => count.unknown > 0 && report.violated() == 0,
        };
        if good {
            Ok(())
        } else {
            Err(format!(
                "rule {}, {}: {:?} by {by} was expected\n{report}",
                self.rule, self.case, self.expect
            ))
        }
    }
}
