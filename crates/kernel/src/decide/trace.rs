//! The trace: what was best and why, and of what was refused the clause that failed. It is made after the choice and can
//! never change it.

use super::candidates::Candidates;
use super::decision::{Candidate, Contribution, Gate, Refusal};
use super::gates::{Refuser, capped_rows};
use super::score::{ModelScoring, Scoring};
use super::situation::{Request, Situation};
use super::survey::{Place, place_name};
use crate::plan::ScenePlan;
use crate::plan::policy::{CANDIDATES_MAX, PolicyPlan, TRACED_MAX};
use crate::plan::rule::{NamedRule, Truth};
use crate::plan::slot::SlotId;
use crate::rule::{self, Lookup};
use crate::slots::{ItemSlots, NO_STAGES};
use core::cmp::Ordering;
use std::borrow::Cow;

/// Most contributions kept of one candidate.
pub const CONTRIBUTIONS_MAX: usize = 16;
/// Most candidates whose contributions are kept, beside the chosen ones, of a policy that narrows its candidates down or
/// weighs objectives: such a policy decides over thousands of items, and its records are to stay small.
pub const CONTRIBUTED_MAX: usize = 5;

/// Lines for the gates of the customer that refused.
pub(super) fn of_customer<L: Lookup + ?Sized>(
    scene: &ScenePlan,
    refusing: &[Refuser<'_>],
    customer: &L,
) -> Vec<Candidate> {
    let line = |r: &Refuser<'_>| {
        let truth = if r.unknown {
            Truth::Unknown
        } else {
            Truth::False
        };
        let refusal = match r.rule {
            Some(rule) => of_rule(scene, r.gate, rule, customer),
            None => Refusal {
                gate: r.gate,
                rule: r.name.to_string(),
                clause: None,
                truth: (r.gate == Gate::Consent).then_some(truth),
                reads: Vec::new(),
            },
        };
        Candidate {
            item: None,
            score: None,
            probability: 0.0,
            contributions: Vec::new(),
            refusal: Some(refusal),
        }
    };
    refusing.iter().take(TRACED_MAX).map(line).collect()
}

/// The order of candidates: the best first, of equal ones the earlier.
fn better(scores: &[f64]) -> impl Fn(&usize, &usize) -> Ordering + Copy {
    |a, b| scores[*b].total_cmp(&scores[*a]).then(a.cmp(b))
}

/// The best `most` candidates, best first.
pub(super) fn best_first(scores: &[f64], most: usize) -> Vec<usize> {
    let better = better(scores);
    let mut order: Vec<usize> = (0..scores.len()).collect();
    if order.len() > most && most > 0 {
        order.select_nth_unstable_by(most - 1, better);
    }
    order.truncate(most);
    order.sort_unstable_by(better);
    order
}

/// Lines for the best candidates, those that were chosen always among them, best first.
pub(super) fn of_candidates(
    scene: &ScenePlan,
    candidates: &Candidates<'_>,
    scores: &[f64],
    probabilities: &[f64],
    chosen: &[usize],
    scoring: &mut Scoring<'_>,
    contributed: usize,
) -> Vec<Candidate> {
    let better = better(scores);
    let mut order = best_first(scores, TRACED_MAX);
    let left_out: Vec<usize> = chosen
        .iter()
        .copied()
        .filter(|i| !order.contains(i))
        .collect();
    // The least of the best make room, but never for one another.
    let mut kept = order.len();
    while order.len() + left_out.len() > TRACED_MAX && kept > 0 {
        kept -= 1;
        if !chosen.contains(&order[kept]) {
            order.remove(kept);
        }
    }
    order.extend(left_out);
    order.sort_unstable_by(better);
    let mut model = scoring.contributing();
    let names = match &model {
        Some(model) => crate::features::names(scene, model.plan),
        None => Vec::new(),
    };
    let mut line = |(rank, i): (usize, usize)| {
        let contributions = match &mut model {
            Some(model) if rank < contributed || chosen.contains(&i) => {
                contributions(model, candidates, i, &names)
            }
            _ => Vec::new(),
        };
        Candidate {
            item: candidates.key(i).map(str::to_owned),
            score: Some(scores[i]),
            probability: probabilities[i],
            contributions,
            refusal: None,
        }
    };
    order.into_iter().enumerate().map(&mut line).collect()
}

fn contributions(
    model: &mut ModelScoring<'_>,
    candidates: &Candidates<'_>,
    i: usize,
    names: &[String],
) -> Vec<Contribution> {
    let (belief, features) = model.seen(i, candidates.key(i), || candidates.lookup(i));
    let mut parts: Vec<(usize, f64)> = belief
        .mean
        .iter()
        .zip(features)
        .map(|(m, x)| m * x)
        .enumerate()
        .filter(|(_, v)| *v != 0.0)
        .collect();
    parts.sort_by(|(a, x), (b, y)| y.abs().total_cmp(&x.abs()).then(a.cmp(b)));
    parts.truncate(CONTRIBUTIONS_MAX);
    parts
        .into_iter()
        .map(|(k, value)| Contribution {
            feature: names[k].clone(),
            value,
        })
        .collect()
}

/// Lines for refused items.
pub(super) fn of_refused(
    scene: &ScenePlan,
    policy: &PolicyPlan,
    candidates: &Candidates<'_>,
    refused: &[(u32, Place)],
) -> Vec<Candidate> {
    let line = |(row, place): &(u32, Place)| {
        let lookup =
            Candidates::of_row(candidates.situation, candidates.item_slots, *row, NO_STAGES);
        let rule = match place {
            (Gate::Suitability, i) => policy.suitability.get(*i),
            (Gate::Exclusion, i) => policy.exclusions.get(*i),
            _ => None,
        };
        let refusal = match rule {
            Some(rule) => of_rule(scene, place.0, rule, &lookup),
            None => Refusal {
                gate: place.0,
                rule: place_name(scene, policy, *place),
                clause: None,
                truth: None,
                reads: Vec::new(),
            },
        };
        let item = Some(candidates.situation.catalogue.key(*row as usize).to_owned());
        Candidate {
            item,
            score: None,
            probability: 0.0,
            contributions: Vec::new(),
            refusal: Some(refusal),
        }
    };
    refused.iter().map(line).collect()
}

/// Lines for the item `key` that was asked for, one for each rule and cap that refuses it, at most `most`; `place` is what
/// refused it where that is neither. No line when nothing of the item's own does.
#[allow(clippy::too_many_arguments)]
pub(super) fn of_asked(
    scene: &ScenePlan,
    policy: &PolicyPlan,
    situation: &Situation<'_>,
    item_slots: &ItemSlots,
    request: &Request,
    key: &str,
    place: Option<Place>,
    most: usize,
) -> Vec<Candidate> {
    let Some(row) = situation.catalogue.row(key) else {
        return vec![not_to_be_had(key, Gate::Forced, key)];
    };
    let lookup = Candidates::of_row(situation, item_slots, row as u32, NO_STAGES);
    let mut out = Vec::new();
    if row >= CANDIDATES_MAX {
        out.push(not_to_be_had(key, Gate::CandidatesMax, "candidates_max"));
    }
    let rules = (policy.suitability.iter().map(|r| (Gate::Suitability, r)))
        .chain(policy.exclusions.iter().map(|r| (Gate::Exclusion, r)));
    for (gate, rule) in rules {
        let wanted = match gate {
            Gate::Exclusion => Truth::False,
            _ => Truth::True,
        };
        if rule::truth(&rule.expr, &lookup) != wanted {
            out.push(Candidate {
                refusal: Some(of_rule(scene, gate, rule, &lookup)),
                ..not_to_be_had(key, gate, &rule.name)
            });
        }
    }
    for (cap, rows) in capped_rows(policy, situation, request.moment.now) {
        if rows.is_none_or(|rows| rows.contains(row)) {
            let name = place_name(scene, policy, (Gate::ItemCap, cap));
            out.push(not_to_be_had(key, Gate::ItemCap, &name));
        }
    }
    if let Some(place) = place
        && matches!(place.0, Gate::Budget | Gate::Floor | Gate::Score)
    {
        let name = place_name(scene, policy, place);
        out.push(not_to_be_had(key, place.0, &name));
    }
    out.truncate(most);
    out
}

/// A line for an item that a gate which is no rule refused.
pub(super) fn not_to_be_had(key: &str, gate: Gate, name: &str) -> Candidate {
    Candidate {
        item: Some(key.to_owned()),
        score: None,
        probability: 0.0,
        contributions: Vec::new(),
        refusal: Some(Refusal {
            gate,
            rule: name.to_owned(),
            clause: None,
            truth: None,
            reads: Vec::new(),
        }),
    }
}

fn of_rule<L: Lookup + ?Sized>(
    scene: &ScenePlan,
    gate: Gate,
    rule: &NamedRule,
    lookup: &L,
) -> Refusal {
    let name = |id: SlotId| {
        scene.slots.get(usize::from(id.0)).map_or_else(
            || Cow::Owned(format!("slot {}", id.0)),
            |s| Cow::Borrowed(s.name.as_str()),
        )
    };
    let clause = match gate {
        Gate::Exclusion => rule::explain_exclusion(&rule.expr, lookup),
        _ => rule::explain(&rule.expr, lookup),
    };
    Refusal {
        gate,
        rule: rule.name.clone(),
        truth: clause.as_ref().map(|c| c.truth),
        reads: clause
            .iter()
            .flat_map(|c| &c.reads)
            .map(|(id, v)| (name(*id).into_owned(), v.clone()))
            .collect(),
        clause: clause.map(|c| rule::written(c.expr, &name)),
    }
}
