//! Deciding: from everything that was known to a distribution, a choice sampled from it, and the reasons. A pure function; the
//! same situation, request and seed give the same decision on every target and for ever (within one
//! [`crate::SEMANTICS`]).
//!
//! The order is: gates of the customer (eligibility, consent, quiet hours, quiet period, caps); for each item suitability,
//! exclusions, item caps, budgets and score; the distribution; the choice; the trace. Unknown never passes an inclusion and
//! always triggers an exclusion.
//!
//! This room must never choose other than by sampling the distribution that it records, and never let anything that was drawn
//! decide what the commit validates.

pub mod attribute;
pub mod batch;
mod beliefs;
mod candidates;
pub mod decision;
mod explore;
mod gates;
mod narrow;
mod pick;
mod prepared;
mod reads;
mod score;
pub mod situation;
mod survey;
mod trace;

pub use decision::{
    BudgetCheck, Candidate, Choice, Contribution, Debit, Decision, Distribution, Gate, HeldRead,
    Refusal, RowSet, RuleCount, Share,
};
pub use explore::Bandit;
pub use gates::considered;
pub(crate) use gates::{capped_rows, refusing};
pub use prepared::Prepared;
pub use situation::{Contact, Forced, Request, Situation};
pub use trace::{CONTRIBUTED_MAX, CONTRIBUTIONS_MAX};

use crate::plan::ScenePlan;
use crate::plan::policy::{PolicyPlan, SLATE_MAX, Scorer, TRACED_MAX};
use crate::rule::{Lookup, eval};
use crate::slots::ItemSlots;
use crate::value::Value;
use candidates::Candidates;
use explore::Probabilities;
use pick::Picked;
use reads::Reads;
use score::Scoring;

/// Decides what to reach the customer with, by one policy of a scene. `seed` is split into a stream for posterior draws and
/// one for the choice.
pub fn decide(
    scene: &ScenePlan,
    policy: &PolicyPlan,
    situation: &Situation<'_>,
    request: &Request,
    seed: u64,
) -> Decision {
    let made;
    let prepared = match situation.prepared {
        Some(prepared) => prepared,
        None => {
            made = Prepared::new(scene, policy, situation.catalogue, situation.artifacts);
            &made
        }
    };
    let item_slots = &prepared.item_slots;
    let refusing = refusing(scene, policy, situation, request.moment, true);
    let positions = request
        .slots
        .unwrap_or(policy.slots)
        .min(policy.slots)
        .clamp(1, SLATE_MAX);
    let asked = request.forced.as_ref().and_then(|f| f.item.as_deref());
    let reads = match refusing.is_empty() {
        true => Reads::new(scene, policy, item_slots),
        false => Reads::of_gates(scene, policy, item_slots, asked.is_some()),
    };
    let mut out = Decision {
        null: true,
        choices: Vec::new(),
        propensity: 1.0,
        null_propensity: None,
        slots: positions,
        distribution: Distribution::null(),
        candidates: situation.catalogue.len() as u32,
        available: 0,
        eligible: None,
        refusals: Vec::new(),
        checks: Vec::new(),
        debits: Vec::new(),
        trace: Vec::new(),
        slots_read: reads.customer(situation.customer),
        held_read: reads.held(&situation.customer.held),
    };
    if !refusing.is_empty() {
        out.refusals = refusing.iter().map(gates::Refuser::count).collect();
        out.trace = trace::of_customer(scene, &refusing, situation.customer);
        if let Some(item) = asked {
            let room = TRACED_MAX.saturating_sub(out.trace.len());
            let lines = trace::of_asked(
                scene, policy, situation, item_slots, request, item, None, room,
            );
            out.trace.extend(lines);
        }
        return out;
    }

    let mut scoring = Scoring::new(scene, policy, situation);
    let survey = survey::survey(
        scene,
        policy,
        situation,
        request,
        prepared,
        &mut scoring,
        positions,
    );
    let null_name = Value::text(policy.null_action.name.as_str());
    let null_score = null_score(policy, situation, item_slots, &null_name, &mut scoring);
    if null_score.is_some() {
        scoring.keep();
    }
    let candidates = Candidates {
        situation,
        item_slots,
        rows: &survey.rows,
        stages: &survey.stages,
        null: null_score.map(|_| &null_name),
        is_priced: policy.budgets.iter().any(|b| b.price.is_some()),
    };
    let mut scores = survey.scores;
    scores.extend(null_score);
    out.available = survey.rows.len() as u32;
    out.eligible = narrows(policy).then_some(survey.eligible);
    out.slots = survey.positions;
    out.refusals = survey.refusals;
    out.checks = survey.checks;

    let null = null_score.map(|_| survey.rows.len());
    let (probabilities, picked) = match &request.forced {
        _ if candidates.len() == 0 => (
            Probabilities {
                each: Vec::new(),
                base: 0.0,
            },
            Picked::default(),
        ),
        None => {
            let probabilities = explore::explore(
                &policy.exploration,
                &candidates,
                &scores,
                &mut scoring,
                seed,
            );
            let picked = pick::pick(
                &policy.exploration,
                &probabilities.each,
                &scores,
                &pick::Slate {
                    null,
                    positions: survey.positions,
                    alike: alike(policy, &candidates, survey.positions),
                },
                seed,
            );
            (probabilities, picked)
        }
        Some(forced) => impose(forced, &candidates, null),
    };
    // What refused the one item that was asked for comes before all others, and never gives way to them.
    let mut of_asked = Vec::new();
    if let Some(key) = asked
        && picked.picks.is_empty()
    {
        out.refusals.push(RuleCount {
            gate: Gate::Forced,
            rule: key.to_owned(),
            version: None,
            count: 1,
            unknown: 0,
        });
        of_asked = trace::of_asked(
            scene,
            policy,
            situation,
            item_slots,
            request,
            key,
            survey.asked,
            TRACED_MAX,
        );
        if of_asked.is_empty() {
            of_asked.push(trace::not_to_be_had(key, Gate::Forced, key));
        }
    }
    out.distribution = recorded(&candidates, &probabilities);
    fill(&mut out, policy, &candidates, &scores, &picked, &reads);

    let chosen: Vec<usize> = picked.picks.iter().map(|(i, _)| *i).collect();
    out.trace = trace::of_candidates(
        scene,
        &candidates,
        &scores,
        &probabilities.each,
        &chosen,
        &mut scoring,
        if is_at_size(policy) {
            CONTRIBUTED_MAX
        } else {
            TRACED_MAX
        },
    );
    out.trace.truncate(TRACED_MAX - of_asked.len());
    let mut refused = survey.refused;
    if !of_asked.is_empty() {
        let row = asked.and_then(|key| situation.catalogue.row(key));
        refused.retain(|(r, _)| Some(*r as usize) != row);
    }
    out.trace.extend(of_asked);
    let room = TRACED_MAX.saturating_sub(out.trace.len());
    out.trace.extend(trace::of_refused(
        scene,
        policy,
        &candidates,
        &refused[..refused.len().min(room)],
    ));
    out
}

/// The score of the null action, where it is an arm that can be scored.
fn null_score(
    policy: &PolicyPlan,
    situation: &Situation<'_>,
    item_slots: &ItemSlots,
    name: &Value<'_>,
    scoring: &mut Scoring<'_>,
) -> Option<f64> {
    (policy.null_action.is_arm)
        .then(|| scoring.null(policy, &Candidates::of_null(situation, item_slots, name)))
        .flatten()
}

/// True of a policy whose candidates are not all that passed the gates.
fn narrows(policy: &PolicyPlan) -> bool {
    policy.retrieval.is_some() || policy.ranking.is_some()
}

/// True of a policy made for catalogues of thousands.
fn is_at_size(policy: &PolicyPlan) -> bool {
    narrows(policy) || matches!(policy.scorer, Scorer::Objectives(_))
}

/// The candidates by what makes them alike, where a slate wants variety.
fn alike(policy: &PolicyPlan, candidates: &Candidates<'_>, positions: u32) -> Option<pick::Alike> {
    let diversity = policy.diversity.as_ref().filter(|_| positions > 1)?;
    let mut seen: Vec<Value<'_>> = Vec::new();
    let groups = (0..candidates.rows.len()).map(|i| {
        let lookup = candidates.lookup(i);
        let value = lookup.slot(diversity.by).clone().into_owned();
        if value.is_missing() {
            return None;
        }
        let found = seen.iter().position(|v| *v == value);
        Some(found.unwrap_or_else(|| {
            seen.push(value);
            seen.len() - 1
        }))
    });
    Some(pick::Alike {
        groups: groups.collect(),
        at_most: diversity.at_most,
    })
}

/// All probability on the imposed candidate; where it is not available, or silence is imposed, on the null action.
fn impose(
    forced: &Forced,
    candidates: &Candidates<'_>,
    null: Option<usize>,
) -> (Probabilities, Picked) {
    let n = candidates.len();
    let imposed = match &forced.item {
        Some(key) => (candidates.rows.iter())
            .position(|row| candidates.situation.catalogue.key(*row as usize) == key),
        None => None,
    };
    let mut each = vec![0.0; n];
    if let Some(i) = imposed.or(null) {
        each[i] = 1.0;
    }
    let picks = imposed.map(|i| (i, 1.0)).into_iter().collect();
    (
        Probabilities { each, base: 0.0 },
        Picked { picks, null: None },
    )
}

/// The distribution as it is recorded: items whose probability is the base are not listed.
fn recorded(candidates: &Candidates<'_>, probabilities: &Probabilities) -> Distribution {
    let mut listed = Vec::new();
    for (i, p) in probabilities.each.iter().enumerate() {
        let row = candidates.row(i);
        if row.is_none() || p.to_bits() != probabilities.base.to_bits() {
            listed.push(Share {
                item: candidates.key(i).map(str::to_owned),
                row,
                probability: *p,
            });
        }
    }
    // Silence that is no arm has all the probability where nothing else has any: nothing was available, or it was imposed.
    if candidates.null.is_none() && probabilities.each.iter().all(|p| *p == 0.0) {
        listed.push(Share {
            item: None,
            row: None,
            probability: 1.0,
        });
    }
    Distribution {
        available: RowSet::new(candidates.rows.iter().copied()),
        base: probabilities.base,
        listed,
    }
}

/// Writes what was picked into the decision.
fn fill(
    out: &mut Decision,
    policy: &PolicyPlan,
    candidates: &Candidates<'_>,
    scores: &[f64],
    picked: &Picked,
    reads: &Reads<'_>,
) {
    out.null = picked.picks.is_empty();
    out.null_propensity = picked.null;
    out.propensity = picked.null.unwrap_or(1.0);
    for (position, (i, propensity)) in picked.picks.iter().enumerate() {
        let Some(item) = candidates.key(*i) else {
            continue;
        };
        let lookup = candidates.lookup(*i);
        let cost = |b: &crate::plan::BudgetUse| {
            survey::cost(&eval(&b.cost, &lookup)).map(|amount| Debit {
                budget: b.budget,
                amount,
            })
        };
        let costs: Vec<Debit> = policy.budgets.iter().filter_map(cost).collect();
        for cost in costs.iter().filter(|c| c.amount > 0) {
            match out.debits.iter_mut().find(|d| d.budget == cost.budget) {
                Some(debit) => debit.amount = debit.amount.saturating_add(cost.amount),
                None => out.debits.push(*cost),
            }
        }
        out.propensity *= propensity;
        out.choices.push(Choice {
            position: position as u32,
            item: item.to_owned(),
            propensity: *propensity,
            score: scores[*i],
            costs,
            reads: reads.item(&lookup),
        });
    }
    out.debits.sort_unstable();
}
