//! `luopan learn contest`.

use super::super::Common;
use super::super::output::{Said, table};
use crate::data::Opening;
use crate::problem::{Problem, Result};
use clap::Args;
use luopan_engine::dataset::{DatasetRow, DatasetSpec};
use luopan_engine::{Engine, Env as _};
use luopan_kernel::plan::{ContestPlan, ScenePlan};
use luopan_kernel::time::Micros;
use luopan_learning::contest::{self, Earned};
use serde_json::{Value as Json, json};

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
        Ok(()) => work(&opened.engine, opened.env.now(), &asked).await,
        Err(e) => Err(e),
    };
    opened.close().await;
    outcome
}

fn found<'p>(plan: &'p ScenePlan, name: &str) -> Result<&'p ContestPlan> {
    if let Some(found) = plan.contests.iter().find(|c| c.name == name) {
        return Ok(found);
    }
    let known = plan.contests.iter().map(|c| c.name.as_str());
    let near = luopan_scene::nearest(name, known);
    let near = near.map_or(String::new(), |n| format!("; did you mean `{n}`?"));
    Err(Problem::new(
        "unknown_contest",
        format!("scene `{}` has no contest `{name}`{near}", plan.name),
    ))
}

/// The reward that both policies wait for: the one that is named, or their only one.
fn reward(plan: &ScenePlan, of: &ContestPlan, named: Option<&str>) -> Result<String> {
    let rewards = |policy: u16| -> Vec<&str> {
        (plan.policies[usize::from(policy)].rewards.iter())
            .filter_map(|r| Some(plan.rewards.get(usize::from(*r))?.name.as_str()))
            .collect()
    };
    let its = rewards(of.challenger);
    let both: Vec<&str> = (rewards(of.champion).into_iter())
        .filter(|r| its.contains(r))
        .collect();
    let wrong = |why: String| Err(Problem::new("cannot_evaluate", why));
    match (named, both.as_slice()) {
        (Some(name), known) if known.contains(&name) => Ok(name.to_owned()),
        (Some(name), known) => wrong(format!(
            "champion and challenger do not both wait for reward `{name}`; they do for: {}",
            known.join(", ")
        )),
        (None, [one]) => Ok((*one).to_owned()),
        (None, []) => wrong("champion and challenger wait for no reward in common".to_owned()),
        (None, several) => wrong(format!(
            "champion and challenger wait for several rewards: {}; name one with --reward",
            several.join(", ")
        )),
    }
}

/// One side of the contest.
struct Side {
    what: &'static str,
    policy: String,
    earned: Earned,
    /// Decisions whose reward is not known yet.
    open: u64,
    /// Of the others, those of which nothing came; they count with what silence earns.
    silent: u64,
    /// Decisions made before the contest was what it is now.
    earlier: u64,
}

/// What a policy's decisions in the contest earned. Also those of which nothing came: who is dealt to a side counts for it, whatever its rules
/// withheld.
async fn side(
    engine: &Engine,
    plan: &ScenePlan,
    of: &ContestPlan,
    (what, policy): (&'static str, u16),
    reward: &str,
    (spec, now): (&DatasetSpec, Micros),
) -> Result<Side> {
    let name = &plan.policies[usize::from(policy)].name;
    let since = engine.contest_since(&plan.name, &of.name)?.unwrap_or(0);
    let dataset = engine.dataset(&plan.name, name)?;
    let place = dataset.rewards().iter().position(|r| r.name == reward);
    let declared = place.and_then(|p| dataset.rewards().get(p).cloned());
    let mut out = Side {
        what,
        policy: name.clone(),
        earned: Earned::default(),
        open: 0,
        silent: 0,
        earlier: 0,
    };
    let mut see = |row: DatasetRow<'_>| {
        if row.contest != Some(of.name.as_str()) || row.position > 0 {
            return Ok(());
        }
        if row.scene_version < since {
            out.earlier += 1;
            return Ok(());
        }
        let settled = match (row.is_silent, &declared) {
            (true, Some(reward)) => {
                // Whoever decides to say nothing knows what it earns as late as whoever says something.
                let known = row.at.plus(reward.window_us) <= now;
                out.silent += u64::from(known);
                known.then_some(reward.default)
            }
            _ => (place.and_then(|p| row.rewards.get(p).copied().flatten())).map(|o| o.value),
        };
        match settled {
            Some(value) => {
                (out.earned).push(u128::from_be_bytes(row.customer.0), value);
            }
            None => out.open += 1,
        }
        Ok(())
    };
    dataset.read(spec, &mut see).await?;
    Ok(out)
}

async fn work(engine: &Engine, now: Micros, asked: &Contest) -> Result<Said> {
    let plan = engine.plan(&asked.scene)?;
    let of = found(&plan, &asked.contest)?;
    let reward = reward(&plan, of, asked.reward.as_deref())?;
    let spec = DatasetSpec {
        from: asked.from,
        until: asked.until,
        silent: true,
        ..DatasetSpec::default()
    };
    let at = (&spec, now);
    let mut champion = side(engine, &plan, of, ("champion", of.champion), &reward, at).await?;
    let own = ("challenger", of.challenger);
    let mut challenger = side(engine, &plan, of, own, &reward, at).await?;
    // Linked since, they were dealt to both.
    let both = champion.earned.part_from(&mut challenger.earned);
    let difference = contest::difference(&challenger.earned, &champion.earned, asked.level);
    let sides = [champion, challenger];
    let better = difference.map(|d| match (d.lower > 0.0, d.upper < 0.0) {
        (true, _) => "challenger",
        (_, true) => "champion",
        _ => "neither",
    });
    let shown: Vec<Json> = (sides.iter())
        .map(|side| {
            let mean = side.earned.mean();
            json!({
                "side": side.what,
                "policy": side.policy,
                "customers": mean.map_or(0, |m| m.customers),
                "decisions": mean.map_or(0, |m| m.decisions),
                "silent": side.silent,
                "not_settled": side.open,
                "earlier": side.earlier,
                "mean": mean.map(|m| m.value),
                "standard_error": mean.and_then(|m| m.standard_error),
            })
        })
        .collect();
    let rows: Vec<Vec<String>> = (sides.iter())
        .map(|side| {
            let mean = side.earned.mean();
            let number = |v: Option<f64>| v.map_or_else(String::new, |v| format!("{v:.6}"));
            vec![
                side.what.to_owned(),
                side.policy.clone(),
                mean.map_or(0, |m| m.customers).to_string(),
                mean.map_or(0, |m| m.decisions).to_string(),
                side.silent.to_string(),
                side.open.to_string(),
                number(mean.map(|m| m.value)),
                number(mean.and_then(|m| m.standard_error)),
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
            &format!("{reward} a decision"),
            "standard error",
        ],
        &rows,
    );
    text.push_str(&match (difference, better) {
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
            contest::CUSTOMERS_LEAST
        ),
    });
    let earlier: u64 = sides.iter().map(|s| s.earlier).sum();
    if earlier > 0 {
        text.push_str(&format!(
            "{earlier} decisions left out: they were made before champion, challenger or share were what they are now\n"
        ));
    }
    if both > 0 {
        text.push_str(&format!(
            "{both} customers left out: they were on both sides, as when two are linked\n"
        ));
    }
    Said::new(
        &json!({
            "contest": of.name,
            "on_both_sides": both,
            "reward": reward,
            "share": f64::from(of.share) / f64::from(luopan_kernel::assign::BUCKETS),
            "sides": shown,
            "difference": difference.map(|d| json!({"value": d.value, "lower": d.lower, "upper": d.upper})),
            "level": asked.level,
            "better": better,
        }),
        text,
    )
}
