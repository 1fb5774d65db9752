//! Trees over what decisions read, trained from the answers to them. This room must never learn from an offer whose answers may still come.

use std::collections::BTreeMap;

use luopan_bench::Fault;
use luopan_kernel::artifact::Artifact;
use luopan_kernel::value::Value;
use luopan_learning::gbdt::{
    BinSettings, Binned, Column, Kind, Objective, Parameters, Part, train,
};

use super::drive::Row;
use super::scene::PRODUCTS;

const BANDS: [&str; 5] = ["A", "B", "C", "D", "E"];

/// What is read: numbers by the places of their names, and not a number where nothing is known.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    /// Of the customer.
    pub(crate) customer: Vec<f64>,
    /// Of the customer and each product.
    pub(crate) pairs: Vec<Vec<f64>>,
}

impl Known {
    /// Appends what trees read of a product.
    fn write(&self, product: usize, out: &mut Vec<f64>) {
        out.push(product as f64);
        out.extend_from_slice(&self.customer);
        out.extend(self.pairs.get(product).into_iter().flatten());
    }
}

/// Its names.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Names {
    pub(crate) customer: Vec<String>,
    pub(crate) pairs: Vec<String>,
}

/// The names of what decisions read of a customer that trees can be trained on: what only rules read is the same for all that they let pass, or a time.
pub(crate) fn names(slots: &[(String, Value<'static>)]) -> Vec<String> {
    let of_rules = ["consent_marketing", "appetite_expires_at", "unsubscribes"];
    let is_told = |name: &&String| !of_rules.contains(&name.as_str()) && !name.contains('.');
    (slots.iter().map(|(name, _)| name))
        .filter(is_told)
        .cloned()
        .collect()
}

/// The numbers of what a decision read, for each of the names.
pub(crate) fn known(names: &[String], slots: &[(String, Value<'static>)]) -> Vec<f64> {
    let number = |value: &Value<'_>| match value {
        Value::Text(text) => BANDS.iter().position(|b| b == text).map(|i| i as f64),
        Value::Time(_) => None,
        other => other.as_number(),
    };
    let by_name: BTreeMap<&str, &Value<'_>> = slots.iter().map(|(n, v)| (n.as_str(), v)).collect();
    (names.iter())
        .map(|name| by_name.get(name.as_str()).and_then(|v| number(v)))
        .map(|found| found.unwrap_or(f64::NAN))
        .collect()
}

/// What trees predict of each product, for what is known of a customer.
pub(crate) fn predicted(
    trees: &Artifact,
    products: &[usize],
    known: &Known,
) -> Result<Vec<f64>, Fault> {
    let Artifact::Trees(ensemble) = trees else {
        return Err("an artifact that is no trees".into());
    };
    let mut row = Vec::new();
    let mut out = Vec::with_capacity(products.len() + 1);
    for product in products {
        row.clear();
        known.write(*product, &mut row);
        out.push(ensemble.predict(&row));
    }
    Ok(out)
}

/// Which way a chance can only move with what is known: who answered, looked or has more answers more, whom offers tire or annoy less.
fn direction(name: &str) -> i8 {
    match name {
        "rate" | "item.rate" | "item.liking" | "balance" | "logins_30d" => 1,
        "annoyed" | "offer_pace" | "dismissal_pace" => -1,
        _ => 0,
    }
}

/// Trees from the answers to the offers that were made up to a day of the quarter.
pub(crate) fn trained(
    rows: &[Row],
    names: &Names,
    until: i64,
    seed: u64,
) -> Result<Artifact, Fault> {
    let settled: Vec<&Row> = (rows.iter())
        .filter(|r| r.day <= until && r.chosen.is_some())
        .collect();
    let columns_of: Vec<&str> = std::iter::once("product")
        .chain(
            names
                .customer
                .iter()
                .chain(&names.pairs)
                .map(String::as_str),
        )
        .collect();
    let mut columns: Vec<Vec<f64>> = vec![Vec::with_capacity(settled.len()); columns_of.len()];
    let mut read = Vec::new();
    let mut answers = Vec::with_capacity(settled.len());
    for row in &settled {
        read.clear();
        row.known.write(row.chosen.unwrap_or(PRODUCTS), &mut read);
        for (column, value) in columns.iter_mut().zip(&read) {
            column.push(*value);
        }
        answers.push(f64::from(u8::from(row.is_answered)));
    }
    let all: Vec<Column<'_>> = (columns_of.iter().zip(&columns))
        .map(|(&name, values)| Column {
            name,
            values,
            kind: match name {
                "product" | "income_band" => Kind::Category,
                _ => Kind::Number,
            },
        })
        .collect();
    let binned = Binned::new(&all, &BinSettings::default())?;
    let parameters = Parameters {
        num_iterations: 150,
        learning_rate: 0.04,
        num_leaves: 15,
        // Thirty, and fewer where there are few answers at all.
        min_data_in_leaf: (settled.len() / 8).clamp(5, 30),
        feature_fraction: 0.3,
        bagging_fraction: 0.7,
        bagging_freq: 1,
        lambda_l2: 20.0,
        monotone_constraints: columns_of.iter().map(|name| direction(name)).collect(),
        seed,
        ..Parameters::new(Objective::Binary)
    };
    let part = Part {
        data: &binned,
        target: &answers,
        weights: None,
        exposure: None,
        offset: None,
        groups: None,
    };
    Ok(Artifact::Trees(
        train(&part, None, &parameters)?.model.ensemble()?,
    ))
}
