//! Looking at every item, a gate at a time over the whole catalogue: suitability, exclusions, caps, budgets. What is left is
//! eligible; retrieval and ranking narrow it down, and what they leave is scored. The result is the candidates with their
//! scores, the counts of refusals, and what the commit has to validate. Nothing is allocated per item.

use super::candidates::Candidates;
use super::decision::{BudgetCheck, Gate, RuleCount};
use super::gates::capped_rows;
use super::narrow::{Kept, narrow};
use super::prepared::{Costs, Prepared};
use super::score::{Scored, Scoring};
use super::situation::{Request, Situation};
use crate::catalogue::Rows;
use crate::plan::ScenePlan;
use crate::plan::policy::{BudgetUse, CANDIDATES_MAX, PolicyPlan, Scorer, TRACED_MAX};
use crate::plan::rule::NamedRule;
use crate::rule::eval;
use crate::slots::{NO_STAGES, Stages};
use crate::time::Micros;
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
    /// What the stages of scoring gave them; empty in a policy without stages.
    pub(super) stages: Vec<Stages>,
    /// Items that passed every gate, before they were narrowed down.
    pub(super) eligible: u32,
    /// Positions that can be filled whatever is drawn.
    pub(super) positions: u32,
    /// Counts, in order of gates and rules.
    pub(super) refusals: Vec<RuleCount>,
    /// What the commit validates.
    pub(super) checks: Vec<BudgetCheck>,
    /// The first refused rows with what refused them, for the trace.
    pub(super) refused: Vec<(u32, Place)>,
    /// What refused the item that was asked for.
    pub(super) asked: Option<Place>,
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

    fn add(&mut self, index: usize, unknown: bool) -> Place {
        let count = &mut self.counts[index];
        count.0 += 1;
        count.1 += u32::from(unknown);
        (self.gate, index)
    }

    fn add_all(&mut self, index: usize, refused: &Rows, unknown: &Rows) -> Place {
        let count = &mut self.counts[index];
        count.0 += refused.count() as u32;
        count.1 += refused.count_common(unknown) as u32;
        (self.gate, index)
    }
}

/// The rows that no gate refused so far, and the first that were.
struct Gates {
    left: Rows,
    refused: Vec<(u32, Place)>,
    /// Row of the item that was asked for, and what refused it.
    asked: (Option<usize>, Option<Place>),
}

impl Gates {
    /// Takes `refused`, some of what is left, away; of these `unknown` are refused because something was not known.
    fn refuse(&mut self, tally: &mut Tally, index: usize, refused: &Rows, unknown: &Rows) {
        self.left.drop_all(refused);
        let place = tally.add_all(index, refused, unknown);
        if self.asked.0.is_some_and(|row| refused.contains(row)) {
            self.asked.1 = Some(place);
        }
        (self.refused).extend((refused.iter().take(TRACED_MAX)).map(|row| (row as u32, place)));
    }
}

/// What the candidates cost the policy's budgets, and what the budgets have.
struct Spending<'a> {
    policy: &'a PolicyPlan,
    situation: &'a Situation<'a>,
    prepared: &'a Prepared,
    /// One entry a budget, also where a policy names it twice: then its costs add up.
    seen: Vec<BudgetSeen>,
    /// Entry of each use.
    entry_of: Vec<usize>,
    /// Cost by entry.
    total: Vec<Total<'a>>,
    /// Price of a unit by entry.
    prices: Vec<f64>,
}

/// What an item costs an entry.
enum Total<'a> {
    /// The same for all.
    Same(i64),
    /// By row.
    Products(&'a [Option<i64>]),
    /// By row, asked for or added up in this decision.
    Made(Vec<i64>),
}

impl Total<'_> {
    fn of(&self, row: usize) -> i64 {
        match self {
            Self::Same(amount) => *amount,
            Self::Products(by_row) => by_row.get(row).copied().flatten().unwrap_or(0),
            Self::Made(by_row) => by_row.get(row).copied().unwrap_or(0),
        }
    }
}

impl<'a> Spending<'a> {
    fn new(
        scene: &ScenePlan,
        policy: &'a PolicyPlan,
        situation: &'a Situation<'a>,
        prepared: &'a Prepared,
    ) -> Self {
        let mut seen: Vec<BudgetSeen> = Vec::with_capacity(policy.budgets.len());
        let mut entry_of = Vec::with_capacity(policy.budgets.len());
        let mut prices = Vec::with_capacity(policy.budgets.len());
        for spend in &policy.budgets {
            let entry = (seen.iter().position(|s| s.budget == spend.budget)).unwrap_or(seen.len());
            if entry == seen.len() {
                seen.push(budget_seen(scene, situation, spend.budget));
                prices.push(0.0);
            }
            entry_of.push(entry);
            prices[entry] += price(scene, situation, spend);
        }
        Self {
            policy,
            situation,
            prepared,
            total: seen.iter().map(|_| Total::Same(0)).collect(),
            seen,
            entry_of,
            prices,
        }
    }

    /// Refuses what a budget does not cover or whose cost is not known, a use of a budget at a time.
    fn look(&mut self, gates: &mut Gates, tally: &mut Tally) {
        let rows = self.situation.catalogue.len();
        for (i, spend) in self.policy.budgets.iter().enumerate() {
            if gates.left.is_empty() {
                return;
            }
            let entry = self.entry_of[i];
            let is_shared = self.entry_of.iter().filter(|e| **e == entry).count() > 1;
            let seen = &mut self.seen[entry];
            let costs = &self.prepared.costs[i];
            let of_customer = match costs {
                Costs::Customer => cost(&eval(&spend.cost, self.situation.customer)),
                Costs::Products(_) | Costs::Mixed => None,
            };
            if let (Costs::Customer, false) = (costs, is_shared) {
                let everything = gates.left.clone();
                match of_customer {
                    None => gates.refuse(tally, i, &everything, &everything),
                    Some(amount) if !seen.covers(amount) => {
                        gates.refuse(tally, i, &everything, &Rows::none(0));
                    }
                    Some(amount) => self.total[entry] = Total::Same(amount),
                }
                continue;
            }
            let mut made = match (costs, is_shared) {
                (Costs::Products(by_row), false) => {
                    self.total[entry] = Total::Products(by_row);
                    None
                }
                _ => match core::mem::replace(&mut self.total[entry], Total::Same(0)) {
                    Total::Made(by_row) => Some(by_row),
                    Total::Same(_) | Total::Products(_) => Some(vec![0; rows]),
                },
            };
            let mut refused = Rows::none(rows);
            let mut unknown = Rows::none(rows);
            for row in gates.left.iter() {
                let amount = match costs {
                    Costs::Customer => of_customer,
                    Costs::Products(by_row) => by_row.get(row).copied().flatten(),
                    Costs::Mixed => cost(&eval(
                        &spend.cost,
                        &Candidates::of_row(
                            self.situation,
                            &self.prepared.item_slots,
                            row as u32,
                            NO_STAGES,
                        ),
                    )),
                };
                let Some(mut amount) = amount else {
                    refused.insert(row);
                    unknown.insert(row);
                    continue;
                };
                if let Some(by_row) = &mut made {
                    amount = by_row[row].saturating_add(amount);
                    by_row[row] = amount;
                }
                if !seen.covers(amount) {
                    refused.insert(row);
                }
            }
            if let Some(by_row) = made {
                self.total[entry] = Total::Made(by_row);
            }
            gates.refuse(tally, i, &refused, &unknown);
        }
    }

    /// What an item's costs take from its score.
    fn priced(&self, row: usize) -> f64 {
        (self.prices.iter().zip(&self.total))
            .filter(|(price, _)| **price > 0.0)
            .map(|(price, total)| price * total.of(row) as f64)
            .sum()
    }

    /// Remembers the costs of an available item, if they are among the largest.
    fn keep_largest(&mut self, row: usize, positions: usize) {
        for (seen, total) in self.seen.iter_mut().zip(&self.total) {
            seen.keep_largest(total.of(row), positions);
        }
    }
}

/// The price of a unit of a budget: [`crate::plan::PricePlan`]. Without a limit, or when it is not known how much of the
/// period is over, what is declared for spending that keeps pace.
fn price(scene: &ScenePlan, situation: &Situation<'_>, spend: &BudgetUse) -> f64 {
    let Some(plan) = spend.price else { return 0.0 };
    let budget = usize::from(spend.budget);
    let limit = scene.budgets.get(budget).map_or(0, |b| b.limit);
    let spent = situation.spent.get(budget).copied().unwrap_or(0);
    plan.at(spent, limit, situation.elapsed.get(budget).copied())
}

/// What the gates of items left, before it is narrowed down.
pub(super) struct Screened<'a> {
    gates: Gates,
    spending: Spending<'a>,
    /// Of suitability, exclusions, item caps and budgets.
    tallies: [Tally; 4],
}

impl Screened<'_> {
    /// The rows that no gate refused.
    pub(super) fn left(&self) -> &Rows {
        &self.gates.left
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
    let item = request.forced.as_ref().and_then(|f| f.item.as_ref());
    let row = item.and_then(|item| situation.catalogue.row(item));
    let now = request.moment.now;
    let mut screened = screen(scene, policy, situation, prepared, now, row);
    let eligible = screened.left().count() as u32;
    // An item that is asked for by name is looked at whatever is better than it.
    if item.is_some() && (policy.retrieval.is_some() || policy.ranking.is_some()) {
        let catalogue = situation.catalogue;
        (screened.gates.left).keep(&Rows::from_fn(catalogue.len(), |r| Some(r) == row));
    }
    let kept = narrow(policy, situation, prepared, screened.left(), None);
    let mut out = appraise(
        scene, policy, situation, prepared, scoring, screened, kept, positions,
    );
    out.eligible = eligible;
    out
}

/// Asks the gates of items; what refuses the row `asked` is kept.
pub(super) fn screen<'a>(
    scene: &ScenePlan,
    policy: &'a PolicyPlan,
    situation: &'a Situation<'a>,
    prepared: &'a Prepared,
    now: Micros,
    asked: Option<usize>,
) -> Screened<'a> {
    let catalogue = situation.catalogue;
    let mut suitability = Tally::new(Gate::Suitability, policy.suitability.len());
    let mut exclusion = Tally::new(Gate::Exclusion, policy.exclusions.len());
    let mut item_cap = Tally::new(Gate::ItemCap, policy.caps.len());
    let mut budget = Tally::new(Gate::Budget, policy.budgets.len());
    let looked_at = catalogue.len().min(CANDIDATES_MAX);
    let mut gates = Gates {
        left: Rows::from_fn(catalogue.len(), |row| row < looked_at),
        refused: Vec::new(),
        asked: (asked, None),
    };
    // Rules first, each over all items that are left.
    let rules = (prepared.suitability.iter())
        .map(|rule| (rule, true))
        .enumerate()
        .chain(prepared.exclusions.iter().map(|r| (r, false)).enumerate());
    for (i, (rule, is_wanted)) in rules {
        if gates.left.is_empty() {
            break;
        }
        let mask = rule.mask(situation.customer, &prepared.item_slots, catalogue);
        let mut refused = gates.left.clone();
        if is_wanted {
            refused.drop_all(&mask.yes);
        } else {
            let mut passes = mask.yes.clone();
            passes.add(&mask.unknown);
            refused.keep(&passes);
        }
        let tally = if is_wanted {
            &mut suitability
        } else {
            &mut exclusion
        };
        gates.refuse(tally, i, &refused, &mask.unknown);
    }
    let capped = capped_rows(policy, situation, now);
    for (i, rows) in capped {
        let mut refused = match rows {
            Some(rows) => rows,
            None => gates.left.clone(),
        };
        refused.keep(&gates.left);
        gates.refuse(&mut item_cap, i, &refused, &Rows::none(0));
    }
    let mut spending = Spending::new(scene, policy, situation, prepared);
    spending.look(&mut gates, &mut budget);
    Screened {
        gates,
        spending,
        tallies: [suitability, exclusion, item_cap, budget],
    }
}

/// Scores what was kept of what the gates left.
#[allow(clippy::too_many_arguments)]
pub(super) fn appraise(
    scene: &ScenePlan,
    policy: &PolicyPlan,
    situation: &Situation<'_>,
    prepared: &Prepared,
    scoring: &mut Scoring<'_>,
    screened: Screened<'_>,
    kept: Kept,
    positions: u32,
) -> Survey {
    let catalogue = situation.catalogue;
    let objectives = match &policy.scorer {
        Scorer::Objectives(o) => o.objectives.len(),
        Scorer::Expression(_) | Scorer::Model(_) => 0,
    };
    let mut floor = Tally::new(Gate::Floor, objectives);
    let mut score = Tally::new(Gate::Score, 1);
    let Kept { rows, stages } = kept;
    let Screened {
        gates,
        mut spending,
        tallies,
    } = screened;
    let mut out = Survey {
        rows: Vec::with_capacity(rows.len()),
        scores: Vec::with_capacity(rows.len()),
        stages: Vec::with_capacity(stages.len()),
        eligible: gates.left.count() as u32,
        positions,
        refusals: Vec::new(),
        checks: Vec::new(),
        refused: gates.refused,
        asked: gates.asked.1,
    };
    let mut traced = 0;
    for (i, row) in rows.iter().copied().enumerate() {
        let given = stages.get(i).unwrap_or(NO_STAGES);
        let lookup = Candidates::of_row(situation, &prepared.item_slots, row, given);
        let refused = match scoring.item(catalogue.key(row as usize), &lookup) {
            Scored::At(score) => {
                scoring.keep();
                out.rows.push(row);
                out.scores.push(score - spending.priced(row as usize));
                out.stages.extend(stages.get(i).cloned());
                spending.keep_largest(row as usize, positions as usize);
                continue;
            }
            Scored::Unknown => score.add(0, true),
            Scored::Below(objective) => floor.add(objective, false),
        };
        if gates.asked.0 == Some(row as usize) {
            out.asked = Some(refused);
        }
        if traced < TRACED_MAX {
            out.refused.push((row, refused));
            traced += 1;
        }
    }
    let seen = &mut spending.seen;
    out.refused.sort_unstable_by_key(|(row, _)| *row);
    out.refused.truncate(TRACED_MAX);
    for b in seen.iter_mut() {
        let fillable = (positions as usize).min(out.rows.len());
        out.positions = out.positions.min(match b.payable(fillable) {
            n if n == fillable => positions,
            n => n as u32,
        });
    }
    for b in seen.iter() {
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
    let past = catalogue.len().saturating_sub(CANDIDATES_MAX);
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
    for tally in tallies.iter().chain([&floor, &score]) {
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
        (Gate::Floor, i) => match &policy.scorer {
            Scorer::Objectives(o) => o.objectives.get(i).map(|o| &o.name),
            Scorer::Expression(_) | Scorer::Model(_) => None,
        },
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
