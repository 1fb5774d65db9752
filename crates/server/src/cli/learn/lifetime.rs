//! `luopan learn lifetime`.

use super::super::output::{Said, table};
use crate::learn::lifetime::{self, Asked, Estimated, Lived};
use crate::problem::Result;
use clap::{Args, ValueEnum};
use std::path::PathBuf;

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Model {
    /// Boosted trees
    Gbdt,
    /// A linear model
    Glm,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Lifetime {
    /// A row for each customer and step: CSV, Parquet, lines of JSON; gzipped too
    #[arg(long, value_name = "FILE")]
    input: PathBuf,
    /// Column of customers
    #[arg(long, default_value = "customer", value_name = "COLUMN")]
    customer: String,
    /// Column of steps: whole numbers of one clock, such as the week's, without gaps
    #[arg(long, default_value = "step", value_name = "COLUMN")]
    step: String,
    /// Column of what was done
    #[arg(long, default_value = "action", value_name = "COLUMN")]
    action: String,
    /// Column of the probability with which it was done
    #[arg(long, default_value = "propensity", value_name = "COLUMN")]
    propensity: String,
    /// Column of what came of it until the next step
    #[arg(long, default_value = "reward", value_name = "COLUMN")]
    reward: String,
    /// Column of what could be done at the step, as `rest|mail`; all actions where there is none
    #[arg(long, value_name = "COLUMN")]
    candidates: Option<String>,
    /// Column that is true, or 1, where nothing can come behind the row: she left
    #[arg(long, value_name = "COLUMN")]
    end: Option<String>,
    /// Columns of numbers that are names and not amounts; texts are names anyway
    #[arg(long, value_delimiter = ',', value_name = "COLUMNS")]
    categorical: Vec<String>,
    /// Columns that are not learned from: above all what came after the action
    #[arg(long, value_delimiter = ',', value_name = "COLUMNS")]
    exclude: Vec<String>,
    /// Steps that are looked ahead
    #[arg(long, value_name = "N")]
    horizon: usize,
    /// What a reward a step later is worth, as a share
    #[arg(long, default_value_t = 1.0, value_name = "SHARE")]
    discount: f64,
    /// What values are fitted by
    #[arg(long, default_value = "gbdt")]
    model: Model,
    /// Let values judge what they chose themselves, which takes luck for value
    #[arg(long)]
    single: bool,
    /// What was done with a smaller share of customers alike is not chosen
    #[arg(long, default_value_t = 0.02, value_name = "SHARE")]
    min_share: f64,
    /// Values that change on the mean by at most this share of their size count as settled; 0 goes on to the horizon
    #[arg(long, default_value_t = 0.0, value_name = "SHARE")]
    tolerance: f64,
    /// Actions that are judged beside the policy, each taken always
    #[arg(long, value_delimiter = ',', value_name = "ACTIONS")]
    beside: Vec<String>,
    /// Folds of customers that policies are judged by
    #[arg(long, default_value_t = 3, value_name = "N")]
    folds: usize,
    /// Resamples of the intervals
    #[arg(long, default_value_t = 1_000, value_name = "N")]
    resamples: usize,
    /// Times that fitted Q evaluation is fitted anew for its interval, such as 30; 0 for no interval
    #[arg(long, default_value_t = 0, value_name = "N")]
    refits: usize,
    /// Level of the intervals
    #[arg(long, default_value_t = 0.95, value_name = "SHARE")]
    level: f64,
    /// Effective customers of a step below which a warning is due
    #[arg(long, default_value_t = 50.0, value_name = "N")]
    effective_least: f64,
    /// Seed of all that is drawn
    #[arg(long, default_value_t = 1, value_name = "N")]
    seed: u64,
    /// The file to write the values of actions at each row to, and the best: Parquet, CSV or lines of JSON, as its name ends (.csv.gz and .jsonl.gz too)
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(super) fn run(asked: &Lifetime) -> Result<Said> {
    let wanted = Asked {
        customer: asked.customer.clone(),
        step: asked.step.clone(),
        action: asked.action.clone(),
        propensity: asked.propensity.clone(),
        reward: asked.reward.clone(),
        candidates: asked.candidates.clone(),
        end: asked.end.clone(),
        categorical: asked.categorical.clone(),
        exclude: asked.exclude.clone(),
        horizon: asked.horizon,
        discount: asked.discount,
        model: match asked.model {
            Model::Gbdt => lifetime::Model::Gbdt,
            Model::Glm => lifetime::Model::Glm,
        },
        double: !asked.single,
        min_share: asked.min_share,
        tolerance: asked.tolerance,
        beside: asked.beside.clone(),
        folds: asked.folds,
        resamples: asked.resamples,
        refits: asked.refits,
        level: asked.level,
        effective_least: asked.effective_least,
        seed: asked.seed,
    };
    let found = lifetime::from_file(&asked.input, &wanted, asked.output.as_deref())?;
    Said::new(&found, words(&found, asked.level))
}

fn between(of: Option<[f64; 2]>) -> String {
    of.map_or(String::new(), |[lower, upper]| {
        format!("{lower:.4} to {upper:.4}")
    })
}

fn words(of: &Lived, level: f64) -> String {
    let mut out = format!(
        "{} rows of {} customers; {} steps ahead, judged on {} customers\n\n",
        of.rows, of.customers, of.horizon, of.judged
    );
    let share = |n: usize| format!("{:.1} %", 100.0 * n as f64 / of.rows as f64);
    let rows: Vec<Vec<String>> = (of.actions.iter())
        .map(|a| vec![a.name.clone(), share(a.logged), share(a.chosen)])
        .collect();
    out.push_str(&table(&["action", "logged", "chosen"], &rows));
    if let Some(last) = of.iterations.last() {
        out.push_str(&format!(
            "\nwith {} steps to go values changed by {:.4} of {:.4}{}\n",
            last.steps_to_go,
            last.change,
            last.size,
            if of.settled.is_some() {
                " and count as settled"
            } else {
                ""
            }
        ));
    }
    out.push_str(&format!(
        "\nas it was logged {:.4} ({})\n\n",
        of.logged.value,
        between(of.logged.interval)
    ));
    let row = |policy: &str, name: &str, e: &Estimated| {
        vec![
            policy.to_owned(),
            name.to_owned(),
            format!("{:.4}", e.value),
            between(e.interval),
            between(e.gain),
        ]
    };
    let rows: Vec<Vec<String>> = (of.policies.iter())
        .flat_map(|p| p.estimates.iter().map(|(name, e)| row(&p.policy, name, e)))
        .collect();
    let interval = format!("{} % interval", 100.0 * level);
    out.push_str(&table(
        &["policy", "by", "value", &interval, "above logged"],
        &rows,
    ));
    for policy in &of.policies {
        for warning in &policy.warnings {
            out.push_str(&format!("look, {}: {warning}\n", policy.policy));
        }
    }
    for left in &of.left_out {
        out.push_str(&format!("left out: `{}`: {}\n", left.column, left.why));
    }
    if let Some(output) = &of.output {
        out.push_str(&format!("{}: {} rows\n", output.display(), of.rows));
    }
    out
}
