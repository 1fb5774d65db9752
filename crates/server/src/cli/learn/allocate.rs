//! `luopan learn allocate`.

use super::super::output::{Said, table};
use crate::learn::allocate::{self, Allocated};
use crate::problem::Result;
use clap::Args;
use luopan_learning::tabular::{Cap, KeptLimit, OfferSettings, Spend, Wanted};
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(in crate::cli) struct Allocate {
    /// A row for each customer and action that may be given: CSV, Parquet, lines of JSON; gzipped too
    #[arg(long, value_name = "FILE")]
    input: PathBuf,
    /// Column of customers
    #[arg(long, default_value = "customer", value_name = "COLUMN")]
    customer: String,
    /// Column of actions
    #[arg(long, default_value = "action", value_name = "COLUMN")]
    action: String,
    /// Column of values, and what they count beside others (1 where nothing is said); several with several flags
    #[arg(long, required = true, value_name = "COLUMN[=WEIGHT]", value_parser = value)]
    value: Vec<(String, f64)>,
    /// Column of costs, and what they may add up to at most; several with several flags
    #[arg(long, value_name = "COLUMN=LIMIT", value_parser = amount)]
    budget: Vec<(String, f64)>,
    /// A value column, and what is given of it must add up to at least
    #[arg(long, value_name = "COLUMN=LEAST", value_parser = amount)]
    floor: Vec<(String, f64)>,
    /// Actions, and how many customers may get one of them
    #[arg(long, value_name = "ACTION[,ACTION]=MOST", value_parser = cap)]
    cap: Vec<(Vec<String>, u64)>,
    /// Of two value columns: what one costs the other, at so many points between their weights
    #[arg(long, value_name = "POINTS")]
    curve: Option<usize>,
    /// The file to write the rows that are given to: Parquet, CSV or lines of JSON, as its name ends (.csv.gz and .jsonl.gz too)
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// What stands before and behind the last `=`.
fn parts<'a>(text: &'a str, wanted: &str) -> std::result::Result<(&'a str, &'a str), String> {
    match text.rsplit_once('=') {
        Some((name, number)) if !name.is_empty() => Ok((name, number.trim())),
        _ => Err(format!("write {wanted}")),
    }
}

pub(super) fn number(text: &str, wanted: &str) -> std::result::Result<f64, String> {
    match text.parse::<f64>() {
        Ok(v) if v.is_finite() => Ok(v),
        _ => Err(format!("`{text}` is not a finite number: write {wanted}")),
    }
}

fn amount(text: &str) -> std::result::Result<(String, f64), String> {
    let wanted = "a column and a number, as cost=50000";
    let (name, limit) = parts(text, wanted)?;
    Ok((name.to_owned(), number(limit, wanted)?))
}

fn value(text: &str) -> std::result::Result<(String, f64), String> {
    match text.contains('=') {
        true => amount(text),
        false => Ok((text.to_owned(), 1.0)),
    }
}

fn cap(text: &str) -> std::result::Result<(Vec<String>, u64), String> {
    let wanted = "actions and a whole number, as call,visit=2000";
    let (names, most) = parts(text, wanted)?;
    let most = (most.parse())
        .map_err(|_| format!("`{most}` is not a whole number from 0 on: write {wanted}"))?;
    Ok((
        names.split(',').map(|n| n.trim().to_owned()).collect(),
        most,
    ))
}

impl Allocate {
    fn settings(&self) -> Result<OfferSettings> {
        let mut objectives: Vec<Wanted> = (self.value.iter())
            .map(|(column, weight)| Wanted {
                column: column.clone(),
                weight: *weight,
                floor: None,
            })
            .collect();
        let named = |flag: &str, of: &[(String, f64)]| {
            let twice = of
                .iter()
                .enumerate()
                .find(|(i, (c, _))| of[..*i].iter().any(|(b, _)| b == c));
            match twice {
                None => Ok(()),
                Some((_, (column, _))) => Err(crate::problem::Problem::new(
                    "command_line",
                    format!("--{flag} names `{column}` twice: write it once"),
                )),
            }
        };
        named("value", &self.value)?;
        named("budget", &self.budget)?;
        named("floor", &self.floor)?;
        for (column, least) in &self.floor {
            match objectives.iter_mut().find(|o| o.column == *column) {
                Some(of) => of.floor = Some(*least),
                None => {
                    return Err(crate::problem::Problem::new(
                        "command_line",
                        format!(
                            "--floor names `{column}`, which no --value does: write --value {column}=0 beside it if only its floor matters"
                        ),
                    ));
                }
            }
        }
        Ok(OfferSettings {
            customer: self.customer.clone(),
            action: self.action.clone(),
            objectives,
            budgets: (self.budget.iter())
                .map(|(column, limit)| Spend {
                    column: column.clone(),
                    limit: *limit,
                })
                .collect(),
            caps: (self.cap.iter())
                .map(|(actions, most)| Cap {
                    actions: actions.clone(),
                    most: *most,
                })
                .collect(),
        })
    }
}

pub(super) fn run(asked: &Allocate) -> Result<Said> {
    let settings = asked.settings()?;
    let found = allocate::allocate(
        &asked.input,
        &settings,
        asked.curve,
        asked.output.as_deref(),
    )?;
    Said::new(&found, words(&found))
}

fn words(of: &Allocated) -> String {
    let found = &of.found;
    let mut out = format!(
        "{} of {} customers get something; it is worth {}, and nothing that keeps the limits is worth more than {} ({:.4} % more)\n\n",
        found.given,
        found.customers,
        plain(found.value),
        plain(found.bound),
        100.0 * found.relative_gap
    );
    let line = |kind: &str, kept: &KeptLimit, sign: &str| {
        let limit = kept
            .limit
            .map_or(String::new(), |l| format!("{sign} {}", plain(l)));
        let price = match kept.limit {
            Some(_) => plain(kept.price),
            None => String::new(),
        };
        vec![
            kind.to_owned(),
            kept.name.clone(),
            plain(kept.reached),
            limit,
            price,
        ]
    };
    let mut rows: Vec<Vec<String>> = Vec::new();
    rows.extend(
        found
            .objectives
            .iter()
            .map(|k| line("value", k, "at least")),
    );
    rows.extend(found.budgets.iter().map(|k| line("budget", k, "at most")));
    rows.extend(found.caps.iter().map(|k| line("cap", k, "at most")));
    let heads = ["", "of", "given", "limit", "price of a unit"];
    out.push_str(&table(&heads, &rows));
    let rows: Vec<Vec<String>> = (found.actions.iter())
        .map(|a| {
            vec![
                a.action.clone(),
                a.given.to_string(),
                a.eligible.to_string(),
            ]
        })
        .collect();
    out.push('\n');
    out.push_str(&table(
        &["action", "given to", "of customers who may get it"],
        &rows,
    ));
    if !of.curve.is_empty() {
        let names = found.objectives.iter().map(|o| o.name.as_str());
        let weights = found
            .objectives
            .iter()
            .map(|o| format!("weight of {}", o.name));
        let heads: Vec<String> = weights.chain(names.map(str::to_owned)).collect();
        let heads: Vec<&str> = heads.iter().map(String::as_str).collect();
        let rows: Vec<Vec<String>> = (of.curve.iter())
            .map(|t| {
                t.weights
                    .iter()
                    .chain(&t.objectives)
                    .map(|v| plain(*v))
                    .collect()
            })
            .collect();
        out.push('\n');
        out.push_str(&table(&heads, &rows));
    }
    if let Some(output) = &of.output {
        out.push_str(&format!("\n{}: {} rows\n", output.display(), found.given));
    }
    out
}

/// A number for people: as many places as it needs, at most six.
fn plain(v: f64) -> String {
    let text = format!("{v:.6}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
