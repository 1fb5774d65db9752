//! `luopan learn value`.

use super::super::output::{Said, table};
use crate::learn::value::{self, Asked, Valued};
use crate::problem::Result;
use clap::Args;
use luopan_learning::proportion::Share;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(in crate::cli) struct Value {
    /// A row for each purchase: CSV, Parquet, lines of JSON; gzipped too
    #[arg(long, value_name = "FILE")]
    input: PathBuf,
    /// Column of customers
    #[arg(long, default_value = "customer", value_name = "COLUMN")]
    customer: String,
    /// Column of times: dates, times of one kind, or microseconds since 1970
    #[arg(long, default_value = "at", value_name = "COLUMN")]
    time: String,
    /// Column of amounts; without it only how often customers buy is told
    #[arg(long, value_name = "COLUMN")]
    amount: Option<String>,
    /// Purchases of one customer within it are one
    #[arg(long, default_value = "1d", value_parser = length, value_name = "DURATION")]
    moment: i64,
    /// The unit in which time is told
    #[arg(long, default_value = "1w", value_parser = length, value_name = "DURATION")]
    unit: i64,
    /// The last part of the time, which a model of what came before is judged by
    #[arg(long, value_parser = length, value_name = "DURATION")]
    holdout: i64,
    /// Units ahead that are predicted
    #[arg(long, default_value_t = 52, value_name = "N")]
    horizon: usize,
    /// What a purchase a unit later is worth less, as a share
    #[arg(long, default_value_t = 0.0, value_name = "SHARE")]
    discount: f64,
    /// Customers who are alive with a smaller probability count as gone
    #[arg(long, default_value_t = 0.5, value_name = "PROBABILITY")]
    threshold: f64,
    /// Weight of the squares of the parameters, for customers who are too few or too much alike
    #[arg(long, default_value_t = 0.0, value_name = "WEIGHT")]
    penalizer: f64,
    /// Draws of the intervals in the file; 0 for none
    #[arg(long, default_value_t = 200, value_name = "N")]
    draws: usize,
    /// Level of the intervals
    #[arg(long, default_value_t = 0.95, value_name = "SHARE")]
    level: f64,
    /// Seed of the draws
    #[arg(long, default_value_t = 1, value_name = "N")]
    seed: u64,
    /// The file to write a row for each customer to: Parquet, CSV or lines of JSON, as its name ends (.csv.gz and .jsonl.gz too)
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

fn length(text: &str) -> std::result::Result<i64, String> {
    match luopan_scene::unit::duration(text)? {
        us if us > 0 => Ok(us),
        _ => Err("write a length above zero, as 1d or 39w".to_owned()),
    }
}

pub(super) fn run(asked: &Value) -> Result<Said> {
    let wanted = Asked {
        customer: asked.customer.clone(),
        time: asked.time.clone(),
        amount: asked.amount.clone(),
        moment_us: asked.moment,
        unit_us: asked.unit,
        holdout_us: asked.holdout,
        horizon: asked.horizon,
        discount: asked.discount,
        threshold: asked.threshold,
        penalizer: asked.penalizer,
        // Nobody reads them otherwise.
        draws: if asked.output.is_some() {
            asked.draws
        } else {
            0
        },
        level: asked.level,
        seed: asked.seed,
    };
    let found = value::from_file(&asked.input, &wanted, asked.output.as_deref())?;
    Said::new(&found, words(&found, asked))
}

fn share(of: &Share) -> String {
    if of.of == 0 {
        return "-".to_owned();
    }
    format!(
        "{:.1} % ({:.1} to {:.1})",
        100.0 * of.share,
        100.0 * of.lower,
        100.0 * of.upper
    )
}

fn words(of: &Valued, asked: &Value) -> String {
    let unit = luopan_scene::unit::duration_text(asked.unit);
    let mut out = format!(
        "{} customers, {} purchases; time in units of {unit}\n\n",
        of.customers, of.transactions
    );
    let gamma = of.gamma_gamma.iter().flatten().map(|p| ("Gamma-Gamma", p));
    let rows: Vec<Vec<String>> = (of.bg_nbd.iter().map(|p| ("BG/NBD", p)).chain(gamma))
        .map(|(model, (name, p))| {
            vec![
                model.to_owned(),
                (*name).to_owned(),
                format!("{:.4}", p.estimate),
                format!("{:.4}", p.standard_error),
            ]
        })
        .collect();
    out.push_str(&table(
        &["model", "parameter", "estimate", "standard error"],
        &rows,
    ));
    out.push_str(&format!(
        "\n{:.0} customers are expected to be alive, and {:.0} purchases in the next {} x {unit}",
        of.alive, of.expected_purchases, asked.horizon
    ));
    match of.lifetime_value {
        Some(v) => out.push_str(&format!(", worth {v:.2}\n")),
        None => out.push('\n'),
    }
    let judged = &of.judged;
    out.push_str(&format!(
        "\njudged by the last {:.1} units, by a model of those before, {} customers:\n",
        judged.units, judged.customers
    ));
    let rows: Vec<Vec<String>> = (judged.purchases.groups.iter())
        .map(|g| {
            vec![
                g.customers.to_string(),
                format!("{:.3}", g.expected),
                format!("{:.3} +- {:.3}", g.observed, g.standard_error),
            ]
        })
        .collect();
    out.push_str(&table(&["customers", "expected purchases", "came"], &rows));
    let churn = &judged.churn;
    out.push_str(&format!(
        "{} count as gone (alive with less than {}): {} of them bought nothing, and {} of the others\n",
        churn.gone,
        churn.threshold,
        share(&churn.silent_of_gone),
        share(&churn.silent_of_others)
    ));
    for flag in &of.flags {
        out.push_str(&format!("look: {flag}\n"));
    }
    if let Some(output) = &of.output {
        out.push_str(&format!("{}: {} rows\n", output.display(), of.customers));
    }
    out
}
