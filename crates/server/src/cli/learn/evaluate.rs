//! `luopan learn evaluate`.

use super::super::output::{Said, table};
use crate::learn::evaluate::logs::Which;
use crate::learn::evaluate::policy::Named;
use crate::learn::evaluate::{self, Asked, Evaluated, Found, Predictions, Sureness};
use crate::problem::{Problem, Result};
use clap::{Args, ValueEnum};
use std::path::PathBuf;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum By {
    /// Mean rewards by action
    Means,
    /// Trees over the features of the logs and the action
    Gbdt,
    /// Nothing: `ips` and `snips` alone
    None,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Interval {
    /// Percentiles of resampled rows
    Bootstrap,
    /// Holds for any number of rows; needs the range of rewards and the least propensity
    Bernstein,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Evaluate {
    /// Logged decisions: what `luopan learn dataset` wrote, or any table with actions, propensities and rewards
    #[arg(long, value_name = "FILE")]
    logs: PathBuf,
    /// The policy: `uniform`, `logged`, `always:ACTION`, `shadow:NAME` (as `luopan learn dataset --shadow` wrote it), folder of a model of the reward (`DIR@greedy`, `DIR@epsilon:0.1`,
    /// `DIR@softmax:0.05`), or a file with a column of probabilities for each action
    #[arg(long, value_name = "POLICY")]
    policy: Named,
    /// The policy that it is to replace, named alike: then it is said whether it may
    #[arg(long, value_name = "POLICY")]
    champion: Option<Named>,
    /// How far the lower bound of candidate minus champion may lie below zero
    #[arg(
        long,
        default_value_t = 0.0,
        value_name = "REWARD",
        requires = "champion"
    )]
    margin: f64,
    /// Column of actions
    #[arg(long, default_value = "decision.arm", value_name = "COLUMN")]
    action: String,
    /// Column of the probabilities with which they were taken
    #[arg(long, default_value = "decision.propensity", value_name = "COLUMN")]
    propensity: String,
    /// Column of rewards; a training set with one reward has no need to name it
    #[arg(
        long,
        default_value = "",
        value_name = "COLUMN",
        hide_default_value = true
    )]
    reward: String,
    /// What predicts rewards, for `dm`, `dr` and `sndr`: always from rows of other folds
    #[arg(long, default_value = "means")]
    predictions: By,
    /// Columns that predictions by trees may not use
    #[arg(long, value_delimiter = ',', value_name = "COLUMNS")]
    exclude: Vec<String>,
    /// Weights above it count as it, for `ips` and `dr`
    #[arg(long, value_name = "WEIGHT")]
    clip: Option<f64>,
    /// How intervals are made
    #[arg(long, default_value = "bootstrap")]
    interval: Interval,
    /// Level of the intervals
    #[arg(long, default_value_t = 0.95, value_name = "SHARE")]
    level: f64,
    /// Resamples of the bootstrap
    #[arg(long, default_value_t = 1_000, value_name = "N")]
    resamples: usize,
    /// For bernstein: least and most reward that there can be
    #[arg(long, num_args = 2, value_names = ["LEAST", "MOST"], allow_negative_numbers = true)]
    reward_range: Option<Vec<f64>>,
    /// For bernstein: least propensity that there can be
    #[arg(long, value_name = "PROBABILITY")]
    propensity_least: Option<f64>,
    /// Folds of the predictions
    #[arg(long, default_value_t = 5, value_name = "N")]
    folds: usize,
    /// Seed of all that is drawn
    #[arg(long, default_value_t = 1, value_name = "N")]
    seed: u64,
}

impl Evaluate {
    fn sureness(&self) -> Result<Sureness> {
        if self.interval == Interval::Bootstrap {
            return Ok(Sureness::Bootstrap {
                resamples: self.resamples,
            });
        }
        let wanted = "empirical Bernstein holds only for what can be, not for what was seen: write --reward-range LEAST MOST and --propensity-least P";
        let refused = || Problem::new("command_line", wanted);
        match (self.reward_range.as_deref(), self.propensity_least) {
            (Some([least, most]), Some(propensity))
                if least < most && propensity > 0.0 && propensity <= 1.0 =>
            {
                Ok(Sureness::Bernstein {
                    rewards: (*least, *most),
                    propensity,
                })
            }
            _ => Err(refused()),
        }
    }
}

pub(super) fn run(asked: &Evaluate) -> Result<Said> {
    let wanted = Asked {
        which: Which {
            action: asked.action.clone(),
            propensity: asked.propensity.clone(),
            reward: asked.reward.clone(),
            exclude: asked.exclude.clone(),
        },
        policy: asked.policy.clone(),
        champion: asked.champion.clone(),
        predictions: match asked.predictions {
            By::Means => Predictions::Means,
            By::Gbdt => Predictions::Gbdt,
            By::None => Predictions::Nothing,
        },
        sureness: asked.sureness()?,
        level: asked.level,
        clip: asked.clip,
        margin: asked.margin,
        folds: asked.folds,
        seed: asked.seed,
    };
    let found = evaluate::evaluate(&asked.logs, &wanted)?;
    let promoted = found.comparison.as_ref().is_none_or(|c| c.promoted);
    Ok(Said::new(&found, words(&found))?.unless(promoted))
}

fn number(v: f64) -> String {
    format!("{v:.6}")
}

/// What was found, for people.
pub(in crate::cli) fn words(of: &Evaluated) -> String {
    let mut out = format!(
        "{} rows, {} actions; the policy that wrote them was worth {} of `{}` a decision\n",
        of.rows,
        of.actions.len(),
        number(of.logged_value),
        of.reward
    );
    for (why, n) in &of.left_out {
        out.push_str(&format!("{n} rows left out: {}\n", why.replace('_', " ")));
    }
    for (what, found) in [
        ("candidate", Some(&of.candidate)),
        ("champion", of.champion.as_ref()),
    ] {
        if let Some(found) = found {
            out.push_str(&policy(what, found, of.level));
        }
    }
    if let Some(c) = &of.comparison {
        out.push_str(&format!(
            "\n{} minus champion by {}: {} ({} to {})\n",
            of.candidate.policy,
            c.estimator,
            number(c.difference),
            number(c.lower),
            number(c.upper)
        ));
        match c.promoted {
            true => out.push_str("it may take the champion's place\n"),
            false => {
                out.push_str("it may not take the champion's place:\n");
                c.reasons
                    .iter()
                    .for_each(|r| out.push_str(&format!("  {r}\n")));
            }
        }
    }
    out
}

fn policy(what: &str, found: &Found, level: f64) -> String {
    let mut out = format!("\n{what}: {}\n", found.policy);
    let rows: Vec<Vec<String>> = (found.estimates.iter())
        .map(|e| {
            let bounds = match (e.lower, e.upper) {
                (Some(lower), Some(upper)) => format!("{} to {}", number(lower), number(upper)),
                _ => String::new(),
            };
            vec![e.estimator.to_owned(), number(e.value), bounds]
        })
        .collect();
    let interval = format!("{} % interval", 100.0 * level);
    out.push_str(&table(&["estimator", "value", &interval], &rows));
    out.push_str(&format!(
        "weights are worth {:.1} rows; the largest is {:.2}; their mean is {:.4}\n",
        found.effective_rows, found.weight_most, found.weight_mean
    ));
    for warning in &found.warnings {
        out.push_str(&format!("look: {warning}\n"));
    }
    out
}
