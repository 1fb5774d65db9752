//! What champion and challenger of a contest have earned, and whether one is better: asked by `luopan learn contest` and over HTTP.

use crate::problem::{Problem, Result};
use luopan_engine::Engine;
use luopan_engine::dataset::{DatasetRow, DatasetSpec};
use luopan_kernel::plan::{ContestPlan, ScenePlan};
use luopan_kernel::time::Micros;
use luopan_learning::contest::{self, Earned};
use serde::Serialize;
use utoipa::ToSchema;

/// What is asked.
#[derive(Debug, Clone)]
pub struct Question {
    /// Scene.
    pub scene: String,
    /// Contest.
    pub contest: String,
    /// Reward; none for the only one that both wait for.
    pub reward: Option<String>,
    /// Decisions made at this time and later.
    pub from: Option<Micros>,
    /// Decisions made before this time.
    pub until: Option<Micros>,
    /// Level of the interval.
    pub level: f64,
}

/// One side of a contest.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ContestSide {
    /// `champion` or `challenger`.
    pub side: &'static str,
    /// Policy.
    pub policy: String,
    /// Customers whose decisions count.
    pub customers: u64,
    /// Decisions that count.
    pub decisions: u64,
    /// Of them, those of which nothing came; they count with what silence earns.
    pub silent: u64,
    /// Decisions whose reward is not known yet.
    pub not_settled: u64,
    /// Decisions made before the contest was what it is now.
    pub earlier: u64,
    /// Mean reward a decision.
    pub mean: Option<f64>,
    /// Its standard error, over customers.
    pub standard_error: Option<f64>,
}

/// A difference with its interval.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub struct ContestDifference {
    /// Challenger minus champion, reward a decision.
    pub value: f64,
    /// Bounds of the interval.
    pub lower: f64,
    /// See `lower`.
    pub upper: f64,
}

/// What was found.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = ContestFound)]
pub struct Found {
    /// Contest.
    pub contest: String,
    /// Reward that is compared.
    pub reward: String,
    /// Share of the customers who are the challenger's.
    pub share: f64,
    /// Champion, challenger.
    pub sides: Vec<ContestSide>,
    /// Customers who are on both sides, as when two are linked: they are left out.
    pub on_both_sides: u64,
    /// None where it is too early: at least `customers_least` customers of each side are wanted.
    pub difference: Option<ContestDifference>,
    /// `challenger`, `champion` or `neither`; none where it is too early.
    pub better: Option<&'static str>,
    /// Level of the interval.
    pub level: f64,
    /// See `difference`.
    pub customers_least: u64,
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

/// What one side has, before it is told.
struct Side {
    what: &'static str,
    policy: String,
    earned: Earned,
    open: u64,
    silent: u64,
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

/// Looks at a contest as it stands at `now`.
///
/// # Errors
/// `unknown_scene`, `unknown_contest`, `cannot_evaluate`, and what reading the log refuses.
pub async fn look(engine: &Engine, now: Micros, asked: &Question) -> Result<Found> {
    if !(asked.level > 0.0 && asked.level < 1.0) {
        return Err(Problem::new(
            "cannot_evaluate",
            format!(
                "the level is {}; write a number between 0 and 1",
                asked.level
            ),
        ));
    }
    if let (Some(from), Some(until)) = (asked.from, asked.until)
        && from >= until
    {
        return Err(Problem::new(
            "cannot_evaluate",
            format!(
                "`from` {} is not before `until` {}: nothing lies between them",
                crate::time::write(from),
                crate::time::write(until)
            ),
        ));
    }
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
    let better = difference.map(|d| match (d.lower > 0.0, d.upper < 0.0) {
        (true, _) => "challenger",
        (_, true) => "champion",
        _ => "neither",
    });
    let told = |side: Side| {
        let mean = side.earned.mean();
        ContestSide {
            side: side.what,
            policy: side.policy,
            customers: mean.map_or(0, |m| m.customers as u64),
            decisions: mean.map_or(0, |m| m.decisions),
            silent: side.silent,
            not_settled: side.open,
            earlier: side.earlier,
            mean: mean.map(|m| m.value),
            standard_error: mean.and_then(|m| m.standard_error),
        }
    };
    Ok(Found {
        contest: of.name.clone(),
        reward,
        share: f64::from(of.share) / f64::from(luopan_kernel::assign::BUCKETS),
        sides: [champion, challenger].map(told).into(),
        on_both_sides: both as u64,
        difference: difference.map(|d| ContestDifference {
            value: d.value,
            lower: d.lower,
            upper: d.upper,
        }),
        better,
        level: asked.level,
        customers_least: contest::CUSTOMERS_LEAST as u64,
    })
}
