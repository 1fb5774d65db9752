//! Narrowing the eligible items down: retrieval keeps the best of the whole catalogue by factors, and of each of its kinds where
//! the policy says so; ranking orders what is left by trees. Both are exact: the same items would be kept if every one were scored.

use super::prepared::{Prepared, Ranker};
use super::situation::Situation;
use crate::catalogue::Rows;
use crate::factors::Factors;
use crate::features;
use crate::plan::policy::{PolicyPlan, RankingInput, Retrieval};
use crate::rule::Lookup;
use crate::slots::Stages;
use crate::value::Value;

/// What was kept.
pub(super) struct Kept {
    /// Rows, ascending.
    pub(super) rows: Vec<u32>,
    /// What the stages gave them; empty in a policy without stages.
    pub(super) stages: Vec<Stages>,
}

/// Narrows `eligible` down as the policy says; `retrieved` is what [`crate::factors::Index::best`] gives, where it was found already. Where the scene came without what a stage needs, nothing is left of the stage's
/// results: its slots are missing, and what reads them is unknown.
pub(super) fn narrow(
    policy: &PolicyPlan,
    situation: &Situation<'_>,
    prepared: &Prepared,
    eligible: &Rows,
    retrieved: Option<Vec<(u32, f64)>>,
) -> Kept {
    let mut kept = match (&policy.retrieval, &prepared.retriever) {
        (Some(retrieval), Some(retriever)) => match &retriever.ready {
            Some((factors, index)) => {
                let customer = match (&retrieved, &retrieval.each) {
                    (Some(_), None) => Vec::new(),
                    _ => vector(retrieval, factors, situation),
                };
                let mut best =
                    retrieved.unwrap_or_else(|| index.best(&customer, eligible, keep(retrieval)));
                if let Some(each) = &retrieval.each {
                    for group in &retriever.groups {
                        let mut alike = eligible.clone();
                        alike.keep(group);
                        best.extend(index.best(&customer, &alike, each.keep as usize));
                    }
                }
                best.sort_unstable_by_key(|(row, _)| *row);
                best.dedup_by_key(|(row, _)| *row);
                Kept {
                    stages: (best.iter())
                        .map(|(_, score)| [Value::Number(*score), Value::Missing])
                        .collect(),
                    rows: best.into_iter().map(|(row, _)| row).collect(),
                }
            }
            None => unscored(eligible.iter().take(keep(retrieval))),
        },
        _ if policy.ranking.is_some() => unscored(eligible.iter()),
        _ => {
            return Kept {
                rows: eligible.iter().map(|row| row as u32).collect(),
                stages: Vec::new(),
            };
        }
    };
    if let (Some(ranking), Some(ranker)) = (&policy.ranking, &prepared.ranker) {
        rank(
            ranking.keep as usize,
            ranker,
            situation,
            prepared,
            &mut kept,
        );
    }
    kept
}

/// The customer's vector.
pub(super) fn vector(
    retrieval: &Retrieval,
    factors: &Factors,
    situation: &Situation<'_>,
) -> Vec<f32> {
    let mut encoded = Vec::with_capacity(factors.customer_positions());
    features::encode_all(&retrieval.customer, situation.customer, &mut encoded);
    factors.customer(&encoded)
}

/// How many retrieval keeps.
pub(super) fn keep(retrieval: &Retrieval) -> usize {
    retrieval.keep as usize
}

fn unscored(rows: impl Iterator<Item = usize>) -> Kept {
    let rows: Vec<u32> = rows.map(|row| row as u32).collect();
    Kept {
        stages: vec![[Value::Missing, Value::Missing]; rows.len()],
        rows,
    }
}

fn rank(
    keep: usize,
    ranker: &Ranker,
    situation: &Situation<'_>,
    prepared: &Prepared,
    kept: &mut Kept,
) {
    let Some(ensemble) = ranker.ensemble() else {
        return;
    };
    let inputs = ranker.rows(situation, &prepared.item_slots, &kept.rows, &kept.stages);
    let mut ranked = vec![0.0; kept.rows.len()];
    ensemble.predict_many(&inputs, &mut ranked);
    for (stages, score) in kept.stages.iter_mut().zip(&ranked) {
        stages[1] = Value::Number(*score);
    }
    if keep >= ranked.len() {
        return;
    }
    let mut order: Vec<usize> = (0..ranked.len()).collect();
    let better = |a: &usize, b: &usize| ranked[*b].total_cmp(&ranked[*a]).then(a.cmp(b));
    if keep > 0 {
        order.select_nth_unstable_by(keep - 1, better);
    }
    order.truncate(keep);
    order.sort_unstable();
    *kept = Kept {
        rows: order.iter().map(|i| kept.rows[*i]).collect(),
        stages: order.iter().map(|i| kept.stages[*i].clone()).collect(),
    };
}

/// What an input is of these slots; not a number where it is missing.
pub(super) fn input<L: Lookup + ?Sized>(input: &RankingInput, lookup: &L) -> f64 {
    match input {
        RankingInput::Number(slot) => lookup.slot(*slot).as_number().unwrap_or(f64::NAN),
        RankingInput::Category { slot, categories } => {
            features::position(lookup.slot(*slot), categories).map_or(f64::NAN, |i| i as f64)
        }
    }
}
