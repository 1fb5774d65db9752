//! From scores to an explicit distribution. Every explorer gives numbers, which are recorded and then sampled; none of them
//! chooses (law 7).
//!
//! Candidates stand in a fixed order: items ascending by key, last the null action where it is an arm. Of equal scores the
//! earlier candidate is the best.

use super::beliefs::{Alone, Beliefs, Rest, replicated_winners, upper_bounds, winners};
use super::candidates::{Asked, Candidates};
use super::pick::{Slate, pick};
use super::score::Scoring;
use crate::learn::{ModelState, Posterior, on_reward_scale};
use crate::plan::model::ModelPlan;
use crate::plan::policy::{Exploration, LISTED_MAX};

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
    match exploration {
        Exploration::Greedy
        | Exploration::EpsilonGreedy { .. }
        | Exploration::Uniform
        | Exploration::Softmax { .. }
        | Exploration::SquareCb { .. } => of_scores(exploration, scores),
        Exploration::Thompson { .. }
        | Exploration::LinUcb { .. }
        | Exploration::Bootstrap { .. } => match uncertain(scoring, candidates, scores) {
            Some((mut asked, rest)) => of_beliefs(exploration, &mut asked, &rest, scores, seed),
            None => certain(exploration, scores),
        },
    }
}

/// The distribution of an explorer of uncertainty over candidates of which a model believes something.
fn of_beliefs(
    exploration: &Exploration,
    beliefs: &mut impl Beliefs,
    rest: &Rest,
    scores: &[f64],
    seed: u64,
) -> Probabilities {
    match exploration {
        Exploration::Thompson {
            draws,
            floor,
            scale,
        } => {
            let draws = (*draws).max(1) as usize;
            let wins = winners(beliefs, rest, draws, *scale, seed);
            mixed(scores.len(), *floor, &shares(wins))
        }
        Exploration::LinUcb { alpha, floor } => {
            let hopeful = upper_bounds(beliefs, rest, *alpha);
            mixed(scores.len(), *floor, &[(best(&hopeful), 1.0)])
        }
        Exploration::Bootstrap { floor } => {
            let wins = replicated_winners(beliefs, rest);
            if wins.is_empty() {
                return certain(exploration, scores);
            }
            mixed(scores.len(), *floor, &shares(wins))
        }
        Exploration::Greedy
        | Exploration::EpsilonGreedy { .. }
        | Exploration::Uniform
        | Exploration::Softmax { .. }
        | Exploration::SquareCb { .. } => of_scores(exploration, scores),
    }
}

/// The distribution of an explorer of uncertainty where nothing is uncertain: the best, and the floor.
fn certain(exploration: &Exploration, scores: &[f64]) -> Probabilities {
    let floor = match exploration {
        Exploration::Thompson { floor, .. }
        | Exploration::LinUcb { floor, .. }
        | Exploration::Bootstrap { floor } => *floor,
        _ => 0.0,
    };
    mixed(scores.len(), floor, &[(best(scores), 1.0)])
}

/// Each winner, ascending, with its share of the wins.
fn shares(mut wins: Vec<usize>) -> Vec<(usize, f64)> {
    wins.sort_unstable();
    (wins.chunk_by(|a, b| a == b))
        .map(|same| (same[0], same.len() as f64 / wins.len() as f64))
        .collect()
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
        Exploration::Thompson { .. }
        | Exploration::LinUcb { .. }
        | Exploration::Bootstrap { .. } => certain(exploration, scores),
    }
}

/// The bandit alone, as [`super::decide`] runs it for a model and nothing else.
#[derive(Debug)]
pub struct Bandit<'a> {
    plan: &'a ModelPlan,
    prior: Posterior,
}

impl<'a> Bandit<'a> {
    /// The bandit of a model.
    pub fn new(plan: &'a ModelPlan) -> Self {
        Self {
            plan,
            prior: Posterior::prior(plan),
        }
    }

    /// From the features of the candidates to the probability of each and the one that `seed` draws. `arms` are the candidates'
    /// keys (none for the null action) in their order; `x` holds the customer's features once where items have weights of their
    /// own, else each candidate's, one after another. None without candidates and where `x` is not of that size.
    pub fn decide(
        &self,
        exploration: &Exploration,
        state: &ModelState,
        arms: &[Option<&str>],
        x: &[f64],
        seed: u64,
    ) -> Option<(Vec<f64>, usize)> {
        let plan = self.plan;
        let mut alone = Alone::new(plan, &self.prior, state, arms, x)?;
        let mut scores = Vec::with_capacity(arms.len());
        alone.visit(|_, belief, x| scores.push(on_reward_scale(plan.kind, belief.linear_mean(x))));
        let mut probabilities = of_beliefs(exploration, &mut alone, &Rest::None, &scores, seed);
        even_tail(&mut probabilities, arms.len());
        let picked = pick(exploration, &probabilities.each, &scores, &Slate::ONE, seed);
        let chosen = picked.picks.first()?.0;
        Some((probabilities.each, chosen))
    }
}

/// The model whose uncertainty is explored, and what else the scores are made of.
fn uncertain<'s, 'a>(
    scoring: &'s mut Scoring<'a>,
    candidates: &'s Candidates<'_>,
    scores: &[f64],
) -> Option<(Asked<'s, 's, 'a>, Rest)> {
    let is_alone = matches!(scoring, Scoring::Model(_)) && !candidates.is_priced;
    let (model, weight) = scoring.explored()?;
    let mut asked = Asked { candidates, model };
    if is_alone {
        return Some((asked, Rest::None));
    }
    let kind = asked.plan().kind;
    let mut of = Vec::with_capacity(scores.len());
    asked.visit(|i, belief, x| {
        of.push(scores[i] - weight * on_reward_scale(kind, belief.linear_mean(x)));
    });
    Some((asked, Rest::Fixed { of, weight }))
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
