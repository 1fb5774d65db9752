//! From scores to an explicit distribution. Every explorer gives numbers, which are recorded and then sampled; none of them
//! chooses (law 7).
//!
//! Candidates stand in a fixed order: items ascending by key, last the null action where it is an arm. Of equal scores the
//! earlier candidate is the best.

use super::candidates::Candidates;
use super::pick::{Slate, pick};
use super::score::{ModelScoring, Scoring};
use crate::learn::algebra::{dot8, factor_semidefinite, multiply};
use crate::learn::{Posterior, on_reward_scale};
use crate::plan::model::{ModelKind, ModelScope};
use crate::plan::policy::{Exploration, LISTED_MAX};
use crate::random::{Purpose, Random};

/// Probability of each candidate, and the one that the unremarkable ones share.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Probabilities {
    pub(super) each: Vec<f64>,
    pub(super) base: f64,
}

/// Index of the largest score, the first of equals.
pub(super) fn best(scores: &[f64]) -> usize {
    let mut best = 0;
    for (i, s) in scores.iter().enumerate() {
        if *s > scores[best] {
            best = i;
        }
    }
    best
}

/// The distribution over the candidates, at least one, that have these `scores`: the explorer's, made small enough to be
/// recorded.
pub(super) fn explore(
    exploration: &Exploration,
    candidates: &Candidates<'_>,
    scores: &[f64],
    scoring: &mut Scoring<'_>,
    seed: u64,
) -> Probabilities {
    let mut out = declared(exploration, candidates, scores, scoring, seed);
    even_tail(&mut out, candidates.rows.len());
    out
}

/// When more than [`LISTED_MAX`] of the first `items` candidates have probabilities of their own, keeps the largest and
/// spreads the rest evenly over all others. It is done before anything is drawn, so what is recorded is still exactly what
/// is sampled from.
fn even_tail(out: &mut Probabilities, items: usize) {
    let base = out.base.to_bits();
    let mut own: Vec<usize> = (0..items)
        .filter(|i| out.each[*i].to_bits() != base)
        .collect();
    if own.len() <= LISTED_MAX {
        return;
    }
    own.sort_unstable_by(|a, b| out.each[*b].total_cmp(&out.each[*a]).then(a.cmp(b)));
    let mut is_tail = vec![true; items];
    for i in &own[..LISTED_MAX] {
        is_tail[*i] = false;
    }
    let tail = || (0..items).filter(|i| is_tail[*i]);
    let mass: f64 = tail().map(|i| out.each[i]).sum();
    let even = mass / tail().count() as f64;
    for i in tail() {
        out.each[i] = even;
    }
    out.base = even;
}

/// The distribution that an explorer has in mind, whatever its size.
fn declared(
    exploration: &Exploration,
    candidates: &Candidates<'_>,
    scores: &[f64],
    scoring: &mut Scoring<'_>,
    seed: u64,
) -> Probabilities {
    let n = scores.len();
    match exploration {
        Exploration::Greedy
        | Exploration::EpsilonGreedy { .. }
        | Exploration::Uniform
        | Exploration::Softmax { .. }
        | Exploration::SquareCb { .. } => of_scores(exploration, scores),
        Exploration::Thompson {
            draws,
            floor,
            scale,
        } => {
            let draws = (*draws).max(1);
            let mut wins = match uncertain(scoring, candidates, scores) {
                Some((model, rest)) => {
                    winners(model, &rest, candidates, draws as usize, *scale, seed)
                }
                // Nothing is uncertain: every draw is won by the best.
                None => vec![best(scores); draws as usize],
            };
            let mut counts: Vec<(usize, f64)> = Vec::new();
            wins.sort_unstable();
            for same in wins.chunk_by(|a, b| a == b) {
                counts.push((same[0], same.len() as f64 / f64::from(draws)));
            }
            mixed(n, *floor, &counts)
        }
        Exploration::LinUcb { alpha, floor } => {
            let hopeful = match uncertain(scoring, candidates, scores) {
                Some((model, rest)) => upper_bounds(model, &rest, candidates, *alpha),
                None => scores.to_vec(),
            };
            mixed(n, *floor, &[(best(&hopeful), 1.0)])
        }
    }
}

/// The distribution of an explorer that looks at the scores alone; of another, all probability on the best.
fn of_scores(exploration: &Exploration, scores: &[f64]) -> Probabilities {
    let n = scores.len();
    match exploration {
        Exploration::Greedy => mixed(n, 0.0, &[(best(scores), 1.0)]),
        Exploration::EpsilonGreedy { epsilon } => mixed(n, *epsilon, &[(best(scores), 1.0)]),
        Exploration::Uniform => mixed(n, 1.0, &[]),
        Exploration::Softmax { temperature } => {
            let top = scores[best(scores)];
            let mut each: Vec<f64> = scores
                .iter()
                .map(|s| libm::exp((s - top) / temperature))
                .collect();
            let sum: f64 = each.iter().sum();
            for p in &mut each {
                *p /= sum;
            }
            Probabilities { each, base: 0.0 }
        }
        Exploration::SquareCb { gamma } => {
            let top = best(scores);
            let mut each: Vec<f64> = (scores.iter())
                .map(|s| 1.0 / (n as f64 + gamma * (scores[top] - s)))
                .collect();
            let others: f64 = each
                .iter()
                .enumerate()
                .filter(|(i, _)| *i != top)
                .map(|(_, p)| p)
                .sum();
            each[top] = 1.0 - others;
            Probabilities { each, base: 0.0 }
        }
        Exploration::Thompson { .. } | Exploration::LinUcb { .. } => {
            mixed(n, 0.0, &[(best(scores), 1.0)])
        }
    }
}

/// The linear score `alpha` posterior standard deviations above its mean.
fn upper_bound(belief: &Posterior, x: &[f64], alpha: f64, scratch: &mut Vec<f64>) -> f64 {
    belief.linear_mean(x) + alpha * libm::sqrt(belief.linear_variance(x, scratch))
}

/// The bandit alone, as [`super::decide`] runs it for a shared model without anything else: from the features of the
/// candidates, one after another in `x`, each of the belief's dimension, to the probability of each and the one that `seed`
/// draws. [`Exploration::Thompson`] is treated as greedy. None without candidates.
pub fn bandit(
    exploration: &Exploration,
    kind: ModelKind,
    belief: &Posterior,
    x: &[f64],
    seed: u64,
) -> Option<(Vec<f64>, usize)> {
    let rows = || x.chunks_exact(belief.dimension().max(1));
    let scores: Vec<f64> = rows()
        .map(|x| on_reward_scale(kind, belief.linear_mean(x)))
        .collect();
    let probabilities = match exploration {
        _ if scores.is_empty() => return None,
        Exploration::LinUcb { alpha, floor } => {
            let mut scratch = Vec::new();
            let bounds: Vec<f64> = rows()
                .map(|x| upper_bound(belief, x, *alpha, &mut scratch))
                .collect();
            mixed(scores.len(), *floor, &[(best(&bounds), 1.0)])
        }
        _ => of_scores(exploration, &scores),
    };
    let picked = pick(exploration, &probabilities.each, &scores, &Slate::ONE, seed);
    let chosen = picked.picks.first()?.0;
    Some((probabilities.each, chosen))
}

/// What of the candidates' scores does not depend on the uncertain model.
enum Rest {
    /// Nothing: the model's linear score orders the candidates.
    None,
    /// A score is this of the candidate, plus `weight` times the model's expected reward.
    Fixed { of: Vec<f64>, weight: f64 },
}

impl Rest {
    /// What orders candidate `i` when the model's linear score of it is `linear`.
    fn score(&self, i: usize, kind: ModelKind, linear: f64) -> f64 {
        match self {
            Self::None => linear,
            Self::Fixed { of, weight } => of[i] + weight * on_reward_scale(kind, linear),
        }
    }
}

/// The model whose uncertainty is explored, and what else the scores are made of.
fn uncertain<'s, 'a>(
    scoring: &'s mut Scoring<'a>,
    candidates: &Candidates<'_>,
    scores: &[f64],
) -> Option<(&'s mut ModelScoring<'a>, Rest)> {
    let is_alone = matches!(scoring, Scoring::Model(_)) && !candidates.is_priced;
    let (model, weight) = scoring.explored()?;
    if is_alone {
        return Some((model, Rest::None));
    }
    let kind = model.plan.kind;
    let mut of = Vec::with_capacity(scores.len());
    candidates.visit(model, |i, belief, x| {
        of.push(scores[i] - weight * on_reward_scale(kind, belief.linear_mean(x)));
    });
    Some((model, Rest::Fixed { of, weight }))
}

/// Each candidate's score at `alpha` posterior standard deviations above the mean of the model's linear score.
fn upper_bounds(
    model: &mut ModelScoring<'_>,
    rest: &Rest,
    candidates: &Candidates<'_>,
    alpha: f64,
) -> Vec<f64> {
    let mut out = Vec::with_capacity(candidates.len());
    let mut scratch = Vec::new();
    // A reward to be avoided is hoped to be small.
    let alpha = match rest {
        Rest::Fixed { weight, .. } if *weight < 0.0 => -alpha,
        Rest::None | Rest::Fixed { .. } => alpha,
    };
    let kind = model.plan.kind;
    candidates.visit(model, |i, belief, x| {
        out.push(rest.score(i, kind, upper_bound(belief, x, alpha, &mut scratch)));
    });
    out
}

/// `even` spread over all `n`, and the rest by `shares`, which sum to one.
fn mixed(n: usize, even: f64, shares: &[(usize, f64)]) -> Probabilities {
    let even = if even > 0.0 { even.min(1.0) } else { 0.0 };
    let base = even / n as f64;
    let mut each = vec![base; n];
    for (i, share) in shares {
        each[*i] += (1.0 - even) * share;
    }
    Probabilities { each, base }
}

/// The winner of each of `draws` draws from the posterior of all candidates' linear scores.
///
/// Per-item models have independent beliefs: each candidate's score is drawn by itself. A shared model's scores are jointly
/// normal; they are drawn through whichever covariance is smaller, that of the scores (no more candidates than weights) or
/// that of the weights. The logistic function grows with its argument, so where nothing else counts the winner is found on
/// the linear scale.
fn winners(
    model: &mut ModelScoring<'_>,
    rest: &Rest,
    candidates: &Candidates<'_>,
    draws: usize,
    scale: f64,
    seed: u64,
) -> Vec<usize> {
    let n = candidates.len();
    let mut random = Random::stream(seed, Purpose::Draws);
    let mut best = vec![(f64::NEG_INFINITY, 0usize); draws];
    fn offer(best: &mut (f64, usize), candidate: usize, score: f64) {
        if score > best.0 {
            *best = (score, candidate);
        }
    }
    let d = model.belief(None).dimension();
    let kind = model.plan.kind;
    match model.plan.scope {
        ModelScope::PerItem => {
            let mut scratch = Vec::with_capacity(d);
            candidates.visit(model, |i, belief, x| {
                let mean = belief.linear_mean(x);
                let deviation = scale * libm::sqrt(belief.linear_variance(x, &mut scratch));
                for b in &mut best {
                    let linear = mean + deviation * random.normal();
                    offer(b, i, rest.score(i, kind, linear));
                }
            });
        }
        ModelScope::Shared if n <= d => {
            let mut x = Vec::with_capacity(n * d);
            candidates.visit(model, |_, _, features| x.extend_from_slice(features));
            let belief = model.belief(None);
            let mut covariance = vec![0.0; n * n];
            let mut row = Vec::with_capacity(d);
            for i in 0..n {
                multiply(&belief.covariance, &x[i * d..(i + 1) * d], &mut row);
                for j in 0..=i {
                    let c = dot8(&row, &x[j * d..(j + 1) * d]);
                    covariance[i * n + j] = c;
                    covariance[j * n + i] = c;
                }
            }
            let l = factor_semidefinite(&covariance, n, tolerance(&covariance, n));
            let means: Vec<f64> = (0..n)
                .map(|i| belief.linear_mean(&x[i * d..(i + 1) * d]))
                .collect();
            let mut z = vec![0.0; n];
            for b in &mut best {
                z.fill_with(|| random.normal());
                for i in 0..n {
                    let linear = means[i] + scale * dot8(&l[i * n..=i * n + i], &z[..=i]);
                    offer(b, i, rest.score(i, kind, linear));
                }
            }
        }
        ModelScope::Shared => {
            let belief = model.belief(None);
            let l = factor_semidefinite(&belief.covariance, d, tolerance(&belief.covariance, d));
            let mut weights = Vec::with_capacity(draws * d);
            let mut z = vec![0.0; d];
            for _ in 0..draws {
                z.fill_with(|| random.normal());
                weights.extend(
                    (0..d).map(|i| belief.mean[i] + scale * dot8(&l[i * d..=i * d + i], &z[..=i])),
                );
            }
            candidates.visit(model, |i, _, x| {
                for (b, w) in best.iter_mut().zip(weights.chunks_exact(d.max(1))) {
                    offer(b, i, rest.score(i, kind, dot8(w, x)));
                }
            });
        }
    }
    best.into_iter().map(|(_, i)| i).collect()
}

/// A pivot this small beside the largest variance is rounding.
fn tolerance(covariance: &[f64], n: usize) -> f64 {
    (0..n).map(|i| covariance[i * n + i]).fold(0.0, f64::max) * 1e-13
}
