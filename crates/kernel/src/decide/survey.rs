//! Looking at every item: suitability and exclusions a rule at a time over the whole catalogue, then caps, budgets and score
//! of each item that is left. The result is the availability mask with its scores, the counts of refusals, and what the
//! commit has to validate. Nothing is allocated per item.

use super::candidates::Candidates;
use super::decision::{BudgetCheck, Gate, RuleCount};
use super::gates::{CappedRows, capped_rows};
use super::prepared::{Costs, Prepared};
use super::score::Scoring;
use super::situation::{Request, Situation};
use crate::catalogue::Rows;
use crate::plan::ScenePlan;
use crate::plan::policy::{CANDIDATES_MAX, PolicyPlan, TRACED_MAX};
use crate::plan::rule::NamedRule;
use crate::rule::eval;
use crate::value::Value;

/// What refused an item: a gate and the index within the policy's list for that gate.
pub(super) type Place = (Gate, usize);

/// What is known of a policy's budget at one decision.
struct BudgetSeen {
    budget: u16,
    /// None for a budget that the scene does not have: it covers nothing.
    remaining: Option<i64>,
    covered_max: Option<i64>,
    uncovered_min: Option<i64>,
    /// The largest costs of available items, descending, at most one a position.
    largest: Vec<i64>,
}

impl BudgetSeen {
    fn covers(&mut self, amount: i64) -> bool {
        let covered = self.remaining.is_some_and(|r| r >= amount);
        if covered {
            self.covered_max = self.covered_max.max(Some(amount));
        } else {
            self.uncovered_min = Some(self.uncovered_min.map_or(amount, |m| m.min(amount)));
        }
        covered
    }

    fn keep_largest(&mut self, cost: i64, positions: usize) {
        if self.largest.len() < positions || self.largest.last().is_some_and(|least| cost > *least)
        {
            let at = self.largest.partition_point(|c| *c >= cost);
            self.largest.insert(at, cost);
            self.largest.truncate(positions);
        }
    }

    /// The most positions that can be filled whatever is drawn: the sum of that many largest costs is covered. Both that
    /// sum and the next are asked of the budget, so both are validated by the commit, before anything is drawn.
    fn payable(&mut self, positions: usize) -> usize {
        let mut sum = 0i64;
        let largest = core::mem::take(&mut self.largest);
        for (n, cost) in largest.iter().take(positions).enumerate() {
            sum = sum.saturating_add(*cost);
            if !self.covers(sum) {
                return n;
            }
        }
        positions
    }
}

/// What looking at all items gave.
pub(super) struct Survey {
    /// Rows of available items, ascending.
    pub(super) rows: Vec<u32>,
    /// Their scores.
    pub(super) scores: Vec<f64>,
    /// Positions that can be filled whatever is drawn.
    pub(super) positions: u32,
    /// Counts, in order of gates and rules.
    pub(super) refusals: Vec<RuleCount>,
    /// What the commit validates.
    pub(super) checks: Vec<BudgetCheck>,
    /// The first refused rows with what refused them, for the trace.
    pub(super) refused: Vec<(u32, Place)>,
}

struct Tally {
    gate: Gate,
    /// Count and unknown count per rule of the gate.
    counts: Vec<(u32, u32)>,
}

impl Tally {
    fn new(gate: Gate, rules: usize) -> Self {
        Self {
            gate,
            counts: vec![(0, 0); rules],
        }
    }

    fn add_all(&mut self, index: usize, refused: &Rows, unknown: &Rows) -> Place {
        let count = &mut self.counts[index];
        count.0 += refused.count() as u32;
        count.1 += refused.count_common(unknown) as u32;
        (self.gate, index)
    }

    fn add(&mut self, index: usize, unknown: bool) -> Place {
        let count = &mut self.counts[index];
        count.0 += 1;
        count.1 += u32::from(unknown);
        (self.gate, index)
    }
}

/// Looks at every item of the catalogue.
pub(super) fn survey(
    scene: &ScenePlan,
    policy: &PolicyPlan,
    situation: &Situation<'_>,
    request: &Request,
    prepared: &Prepared,
    scoring: &mut Scoring<'_>,
    positions: u32,
) -> Survey {
    let catalogue = situation.catalogue;
    let capped = capped_rows(policy, situation, request.moment.now);
    let mut next_capped = 0;
    let mut suitability = Tally::new(Gate::Suitability, policy.suitability.len());
    let mut exclusion = Tally::new(Gate::Exclusion, policy.exclusions.len());
    let mut item_cap = Tally::new(Gate::ItemCap, policy.caps.len());
    let mut budget = Tally::new(Gate::Budget, policy.budgets.len());
    let mut score = Tally::new(Gate::Score, 1);
    // One entry a budget, also where a policy names it twice: then its costs add up.
    let mut seen: Vec<BudgetSeen> = Vec::with_capacity(policy.budgets.len());
    let mut entry_of = Vec::with_capacity(policy.budgets.len());
    for spend in &policy.budgets {
        entry_of.push(
            seen.iter()
                .position(|s| s.budget == spend.budget)
                .unwrap_or(seen.len()),
        );
        if entry_of.last() == Some(&seen.len()) {
            seen.push(budget_seen(scene, situation, spend.budget));
        }
    }
    let mut costs = vec![0i64; seen.len()];
    let looked_at = catalogue.len().min(CANDIDATES_MAX);
    let mut out = Survey {
        rows: Vec::with_capacity(looked_at),
        scores: Vec::with_capacity(looked_at),
        positions,
        refusals: Vec::new(),
        checks: Vec::new(),
        refused: Vec::new(),
    };
    let item_slots = &prepared.item_slots;
    // Rules first, each over all items that are left.
    let mut left = Rows::from_fn(catalogue.len(), |row| row < looked_at);
    let rules = (prepared.suitability.iter())
        .map(|rule| (rule, true))
        .enumerate()
        .chain(prepared.exclusions.iter().map(|r| (r, false)).enumerate());
    for (i, (rule, is_wanted)) in rules {
        if left.is_empty() {
            break;
        }
        let mask = rule.mask(situation.customer, item_slots, catalogue);
        let mut refused = left.clone();
        if is_wanted {
            refused.drop_all(&mask.yes);
        } else {
            let mut passes = mask.yes.clone();
            passes.add(&mask.unknown);
            refused.keep(&passes);
        }
        left.drop_all(&refused);
        let tally = if is_wanted {
            &mut suitability
        } else {
            &mut exclusion
        };
        let place = tally.add_all(i, &refused, &mask.unknown);
        (out.refused).extend((refused.iter().take(TRACED_MAX)).map(|row| (row as u32, place)));
    }
    let of_customer: Vec<Option<i64>> = (policy.budgets.iter().zip(&prepared.costs))
        .map(|(spend, costs)| match costs {
            Costs::Customer => cost(&eval(&spend.cost, situation.customer)),
            Costs::Products(_) | Costs::Mixed => None,
        })
        .collect();
    // At most this many of the rows that follow are among the first of all that are refused.
    let mut by_row = 0;
    for row in left.iter().map(|row| row as u32) {
        let lookup = Candidates::of_row(situation, item_slots, row);
        let refused = 'gates: {
            if let Some(i) = cap_of(&capped, &mut next_capped, row) {
                break 'gates Some(item_cap.add(i, false));
            }
            costs.fill(0);
            for (i, spend) in policy.budgets.iter().enumerate() {
                let costs_of = &prepared.costs[i];
                let amount = costs_of.of(row as usize, of_customer[i], &spend.cost, &lookup);
                let Some(amount) = amount else {
                    break 'gates Some(budget.add(i, true));
                };
                let sum = &mut costs[entry_of[i]];
                *sum = sum.saturating_add(amount);
                if !seen[entry_of[i]].covers(*sum) {
                    break 'gates Some(budget.add(i, false));
                }
            }
            match scoring.item(catalogue.key(row as usize), &lookup) {
                None => break 'gates Some(score.add(0, true)),
                Some(s) => {
                    out.rows.push(row);
                    out.scores.push(s);
                }
            }
            None
        };
        match refused {
            Some(place) => {
                if by_row < TRACED_MAX {
                    out.refused.push((row, place));
                }
                by_row += 1;
            }
            None => {
                for (b, c) in seen.iter_mut().zip(&costs) {
                    b.keep_largest(*c, positions as usize);
                }
            }
        }
    }
    out.refused.sort_unstable_by_key(|(row, _)| *row);
    out.refused.truncate(TRACED_MAX);
    for b in &mut seen {
        let fillable = (positions as usize).min(out.rows.len());
        out.positions = out.positions.min(match b.payable(fillable) {
            n if n == fillable => positions,
            n => n as u32,
        });
    }
    for b in &seen {
        let check = |amount, available| BudgetCheck {
            budget: b.budget,
            amount,
            available,
        };
        out.checks
            .extend(b.covered_max.map(|amount| check(amount, true)));
        out.checks
            .extend(b.uncovered_min.map(|amount| check(amount, false)));
    }
    out.checks.sort_unstable();
    out.checks.dedup();
    let past = catalogue.len().saturating_sub(looked_at);
    if past > 0 {
        out.refusals.push(RuleCount {
            gate: Gate::CandidatesMax,
            rule: "candidates_max".to_owned(),
            version: None,
            count: past as u32,
            unknown: 0,
        });
    }
    let rule_name =
        |rules: &[NamedRule], i: usize| (rules[i].name.clone(), rules[i].version.clone());
    for tally in [&suitability, &exclusion, &item_cap, &budget, &score] {
        for (i, (count, unknown)) in tally
            .counts
            .iter()
            .copied()
            .enumerate()
            .filter(|(_, c)| c.0 > 0)
        {
            let (rule, version) = match tally.gate {
                Gate::Suitability => rule_name(&policy.suitability, i),
                Gate::Exclusion => rule_name(&policy.exclusions, i),
                gate => (place_name(scene, policy, (gate, i)), None),
            };
            out.refusals.push(RuleCount {
                gate: tally.gate,
                rule,
                version,
                count,
                unknown,
            });
        }
    }
    out
}

/// What a gate of items is called in records.
pub(super) fn place_name(scene: &ScenePlan, policy: &PolicyPlan, place: Place) -> String {
    let name = match place {
        (Gate::Suitability, i) => policy.suitability.get(i).map(|r| &r.name),
        (Gate::Exclusion, i) => policy.exclusions.get(i).map(|r| &r.name),
        (Gate::ItemCap, i) => policy.caps.get(i).map(|c| &c.name),
        (Gate::Budget, i) => policy
            .budgets
            .get(i)
            .and_then(|b| scene.budgets.get(usize::from(b.budget)))
            .map(|b| &b.name),
        _ => None,
    };
    name.cloned().unwrap_or_else(|| {
        if place.0 == Gate::Score {
            "score".to_owned()
        } else {
            format!("{:?} {}", place.0, place.1)
        }
    })
}

fn budget_seen(scene: &ScenePlan, situation: &Situation<'_>, budget: u16) -> BudgetSeen {
    let spent = situation
        .spent
        .get(usize::from(budget))
        .copied()
        .unwrap_or(0);
    let remaining = scene
        .budgets
        .get(usize::from(budget))
        .map(|b| b.limit.saturating_sub(spent));
    BudgetSeen {
        budget,
        remaining,
        covered_max: None,
        uncovered_min: None,
        largest: Vec::new(),
    }
}

/// A cost: an integer of at least zero; anything else is unknown.
pub(super) fn cost(value: &Value<'_>) -> Option<i64> {
    match value {
        Value::Int(amount) if *amount >= 0 => Some(*amount),
        _ => None,
    }
}

/// The cap that `row` is at. Rows are asked in ascending order.
fn cap_of(capped: &CappedRows, next: &mut usize, row: u32) -> Option<usize> {
    while capped.rows.get(*next).is_some_and(|(r, _)| *r < row) {
        *next += 1;
    }
    let own = capped
        .rows
        .get(*next)
        .filter(|(r, _)| *r == row)
        .map(|(_, cap)| *cap);
    match (own, capped.all) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
