//! `luopan learn slates`.

use super::super::output::{Said, table};
use crate::learn::slates::{self, Asked, Evaluated, Found};
use crate::problem::Result;
use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(in crate::cli) struct Slates {
    /// A table with a row for each place of each slate
    #[arg(long, value_name = "FILE")]
    logs: PathBuf,
    /// Column of the probability with which the policy puts there what stands there, given what stands above; `logged` for the policy that wrote the logs
    #[arg(long, value_name = "COLUMN")]
    policy: String,
    /// The same of the policy that it is to replace: then it is said whether it may
    #[arg(long, value_name = "COLUMN")]
    champion: Option<String>,
    /// How far the lower bound of candidate minus champion may lie below zero
    #[arg(
        long,
        default_value_t = 0.0,
        value_name = "REWARD",
        requires = "champion"
    )]
    margin: f64,
    /// Column that says which rows are one slate
    #[arg(long, default_value = "decision.id", value_name = "COLUMN")]
    slate: String,
    /// Column of places, from 0 or 1 on
    #[arg(long, default_value = "decision.position", value_name = "COLUMN")]
    place: String,
    /// Column of the probabilities with which what stands there was drawn, given what stands above
    #[arg(long, default_value = "decision.propensity", value_name = "COLUMN")]
    propensity: String,
    /// Column of the reward of each place; a table with one `reward.` column has no need to name it
    #[arg(
        long,
        default_value = "",
        value_name = "COLUMN",
        hide_default_value = true
    )]
    reward: String,
    /// Level of the intervals
    #[arg(long, default_value_t = 0.95, value_name = "SHARE")]
    level: f64,
    /// Resamples of the bootstrap, of whole slates
    #[arg(long, default_value_t = 1_000, value_name = "N")]
    resamples: usize,
    /// Seed of all that is drawn
    #[arg(long, default_value_t = 1, value_name = "N")]
    seed: u64,
}

pub(super) fn run(asked: &Slates) -> Result<Said> {
    let wanted = Asked {
        slate: asked.slate.clone(),
        place: asked.place.clone(),
        propensity: asked.propensity.clone(),
        reward: asked.reward.clone(),
        policy: asked.policy.clone(),
        champion: asked.champion.clone(),
        margin: asked.margin,
        level: asked.level,
        resamples: asked.resamples,
        seed: asked.seed,
    };
    let found = slates::evaluate(&asked.logs, &wanted)?;
    let promoted = found.comparison.as_ref().is_none_or(|c| c.promoted);
    Ok(Said::new(&found, words(&found))?.unless(promoted))
}

fn words(of: &Evaluated) -> String {
    let mut out = format!(
        "{} slates of up to {} places; the policy that wrote them was worth {:.6} of `{}` a slate\n",
        of.slates, of.places, of.logged_value, of.reward
    );
    for (why, n) in &of.left_out {
        out.push_str(&format!("{n} slates left out: {}\n", why.replace('_', " ")));
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
            "\ncandidate minus champion by {}: {:.6} ({:.6} to {:.6})\n",
            c.estimator, c.difference, c.lower, c.upper
        ));
        match c.promoted {
            true => out.push_str("it may take the champion's place\n"),
            false => {
                out.push_str("it may not take the champion's place:\n");
                (c.reasons.iter()).for_each(|r| out.push_str(&format!("  {r}\n")));
            }
        }
    }
    out
}

fn policy(what: &str, found: &Found, level: f64) -> String {
    let rows: Vec<Vec<String>> = (found.estimates.iter())
        .map(|e| {
            vec![
                e.estimator.to_owned(),
                format!("{:.6}", e.value),
                format!("{:.6} to {:.6}", e.lower, e.upper),
            ]
        })
        .collect();
    let interval = format!("{} % interval", 100.0 * level);
    let places: Vec<String> = (found.effective_by_place.iter())
        .map(|n| format!("{n:.0}"))
        .collect();
    format!(
        "\n{what}: {}\n{}weights of whole slates are worth {:.1} of them, by place {}; their mean is {:.4}; {:.1} % of the slates it would never fill so\n",
        found.policy,
        table(&["estimator", "value", &interval], &rows),
        found.effective_slates,
        places.join(", "),
        found.weight_mean,
        100.0 * found.never_taken
    )
}
