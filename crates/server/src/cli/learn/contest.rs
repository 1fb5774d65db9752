//! `luopan learn contest`.

use super::super::Common;
use super::super::output::{Said, table};
use crate::contested::{self, Found, Question};
use crate::data::Opening;
use crate::problem::{Problem, Result};
use clap::Args;
use luopan_engine::Env as _;
use luopan_kernel::time::Micros;

#[derive(Debug, Args)]
pub(in crate::cli) struct Contest {
    /// Scene
    #[arg(long)]
    scene: String,
    /// Contest
    #[arg(long)]
    contest: String,
    /// Reward; policies with one have no need to name it
    #[arg(long)]
    reward: Option<String>,
    /// Decisions made at this time and later, RFC 3339 with a zone
    #[arg(long, value_parser = crate::time::parse, value_name = "TIME")]
    from: Option<Micros>,
    /// Decisions made before this time, RFC 3339 with a zone
    #[arg(long, value_parser = crate::time::parse, value_name = "TIME")]
    until: Option<Micros>,
    /// Level of the interval
    #[arg(long, default_value_t = 0.95, value_name = "SHARE")]
    level: f64,
}

pub(super) async fn run(common: &Common, asked: Contest) -> Result<Said> {
    if !(asked.level > 0.0 && asked.level < 1.0) {
        return Err(Problem::new(
            "command_line",
            format!("--level {}: write a number between 0 and 1", asked.level),
        ));
    }
    super::in_order(asked.from, asked.until)?;
    let opened = common.open(Opening::Existing).await?;
    let outcome = match opened.settle().await {
        Ok(()) => {
            let question = Question {
                scene: asked.scene,
                contest: asked.contest,
                reward: asked.reward,
                from: asked.from,
                until: asked.until,
                level: asked.level,
            };
            contested::look(&opened.engine, opened.env.now(), &question).await
        }
        Err(e) => Err(e),
    };
    opened.close().await;
    let found = outcome?;
    Said::new(&found, words(&found))
}

/// What was found, for people.
fn words(of: &Found) -> String {
    let number = |v: Option<f64>| v.map_or_else(String::new, |v| format!("{v:.6}"));
    let rows: Vec<Vec<String>> = (of.sides.iter())
        .map(|side| {
            vec![
                side.side.to_owned(),
                side.policy.clone(),
                side.customers.to_string(),
                side.decisions.to_string(),
                side.silent.to_string(),
                side.not_settled.to_string(),
                number(side.mean),
                number(side.standard_error),
            ]
        })
        .collect();
    let mut text = table(
        &[
            "",
            "policy",
            "customers",
            "decisions",
            "silent",
            "not settled",
            &format!("{} a decision", of.reward),
            "standard error",
        ],
        &rows,
    );
    text.push_str(&match (of.difference, of.better) {
        (Some(d), Some(better)) => format!(
            "challenger minus champion: {:.6} ({:.6} to {:.6}); {}\n",
            d.value,
            d.lower,
            d.upper,
            match better {
                "neither" => "neither is proved to be better",
                "champion" => "the champion is better",
                _ => "the challenger is better",
            }
        ),
        _ => format!(
            "too early: at least {} customers of each are wanted\n",
            of.customers_least
        ),
    });
    let earlier: u64 = of.sides.iter().map(|s| s.earlier).sum();
    if earlier > 0 {
        text.push_str(&format!(
            "{earlier} decisions left out: they were made before champion, challenger or share were what they are now\n"
        ));
    }
    if of.on_both_sides > 0 {
        text.push_str(&format!(
            "{} customers left out: they were on both sides, as when two are linked\n",
            of.on_both_sides
        ));
    }
    text
}
