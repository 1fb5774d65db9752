//! Whether the scene's cap, budget and rules were kept, from the log alone: every decision of a policy as a training set has it, read
//! anew from what was folded. This room must never ask a policy, or whoever drives it, what it did.

use std::collections::BTreeMap;

use luopan_bench::Fault;
use luopan_engine::Engine;
use luopan_engine::dataset::DatasetSpec;
use luopan_kernel::plan::ScenePlan;
use luopan_kernel::time::{DAY_US, Micros};
use luopan_kernel::value::Value;

use super::scene::{SCENE, limit, weekly};
use super::world::Platform;

const WEEK_US: i64 = 7 * DAY_US;

/// What the log says.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Judged {
    pub(crate) offers: usize,
    /// Most offers to one customer within a week.
    pub(crate) most_a_week: usize,
    /// Offers that a rule of the scene forbids, weeks above the cap, and offers above the budget.
    pub(crate) broken: usize,
    /// Recorded reads that differ from what was folded anew.
    pub(crate) differ: u64,
}

/// Judges the decisions of policies together.
pub(crate) async fn of_log(
    engine: &Engine,
    plan: &ScenePlan,
    policies: &[&str],
    platform: &Platform,
) -> Result<Judged, Fault> {
    let mut by: BTreeMap<String, Vec<Micros>> = BTreeMap::new();
    let mut out = Judged::default();
    for policy in policies {
        let dataset = engine.dataset(SCENE, policy)?;
        let place = |name: &str| {
            let found = dataset.features().iter().position(|f| f.name == name);
            found.ok_or_else(|| format!("the log does not tell of `{name}`"))
        };
        let (appetite, expires) = (place("risk_appetite")?, place("appetite_expires_at")?);
        let (consent, left) = (place("consent_marketing")?, place("unsubscribes")?);
        let level = place("item.risk_level")?;
        let read = dataset
            .read(&DatasetSpec::default(), &mut |row| {
                if row.is_null {
                    return Ok(());
                }
                out.offers += 1;
                by.entry(format!("{:?}", row.customer))
                    .or_default()
                    .push(row.at);
                let of = |i: usize| &row.features[i];
                let is_within = matches!(
                    (of(level), of(appetite)),
                    (Value::Int(risk), Value::Int(appetite)) if risk <= appetite
                );
                let is_valid = matches!(of(expires), Value::Time(until) if *until > row.at);
                let is_asked = *of(consent) == Value::Bool(true) && *of(left) == Value::Int(0);
                out.broken += usize::from(!(is_within && is_valid && is_asked));
                Ok(())
            })
            .await?;
        out.differ += read.differ;
    }
    for times in by.values_mut() {
        times.sort_unstable();
        let (most, above) = weeks_above(times, weekly(plan));
        out.most_a_week = out.most_a_week.max(most);
        out.broken += above;
    }
    let most = usize::try_from(limit(plan)).unwrap_or(0);
    out.broken += out.offers.saturating_sub(most);
    if out.offers != platform.offers.len() {
        let made = platform.offers.len();
        return Err(format!(
            "the log tells of {} offers, and {made} were made",
            out.offers
        )
        .into());
    }
    Ok(out)
}

/// Of times in order: the most within a week, and how many begin a week with more than `cap`.
pub(crate) fn weeks_above(times: &[Micros], cap: usize) -> (usize, usize) {
    let within = |i: usize| {
        times[i..]
            .iter()
            .filter(|t| t.since(times[i]) < WEEK_US)
            .count()
    };
    let counts = (0..times.len()).map(within);
    counts.fold((0, 0), |(most, above), n| {
        (most.max(n), above + usize::from(n > cap))
    })
}
