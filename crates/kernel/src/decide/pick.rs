//! Sampling the choice from the distribution, one position after another without replacement.
//!
//! - Softmax, uniform and Thompson distributions fill a slate as Plackett and Luce have it (Plackett 1975): at each
//!   position the probabilities of the candidates that are left, over their sum. When nothing is left but candidates of
//!   probability zero, the best of them is taken with certainty.
//! - Greedy and epsilon-greedy distributions are made anew over the candidates that are left.
//!
//! The null action ends the slate at the position where it is drawn. The distribution of the first position is the one that
//! is recorded, and each choice carries the exact probability that it was drawn with. No budget is looked at here: the
//! number of positions was cut before so that whatever is drawn can be paid.

use crate::plan::policy::Exploration;
use crate::random::{Purpose, Random};

/// What was drawn.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Picked {
    /// Candidates with their conditional probabilities, in order of position.
    pub(super) picks: Vec<(usize, f64)>,
    /// Conditional probability of the null action that ended the slate.
    pub(super) null: Option<f64>,
}

/// Draws at most `positions` candidates from `first`, the recorded distribution over all of them. `null` is the number of
/// the null action's candidate, when it is an arm.
pub(super) fn pick(
    exploration: &Exploration,
    first: &[f64],
    scores: &[f64],
    null: Option<usize>,
    positions: u32,
    seed: u64,
) -> Picked {
    let mut random = Random::stream(seed, Purpose::Choice);
    let mut out = Picked::default();
    let mut taken = vec![false; first.len()];
    let mut made_anew: Vec<f64> = Vec::new();
    for position in 0..positions {
        let u = random.uniform();
        let left = |i: &usize| !taken[*i];
        let drawn = if position == 0 {
            sample(first.iter().copied().enumerate(), u, 1.0)
        } else {
            match exploration {
                Exploration::Greedy => make_anew(0.0, scores, &taken, &mut made_anew, u),
                Exploration::EpsilonGreedy { epsilon } => {
                    make_anew(*epsilon, scores, &taken, &mut made_anew, u)
                }
                Exploration::Thompson { .. }
                | Exploration::Softmax { .. }
                | Exploration::Uniform => {
                    let rest = || (0..first.len()).filter(left).map(|i| (i, first[i]));
                    let total: f64 = rest().map(|(_, p)| p).sum();
                    if total > 0.0 {
                        sample(rest(), u, total).map(|(i, p)| (i, p / total))
                    } else {
                        best_left(scores, &taken).map(|i| (i, 1.0))
                    }
                }
            }
        };
        let Some((i, propensity)) = drawn else { break };
        if Some(i) == null {
            out.null = Some(propensity);
            break;
        }
        taken[i] = true;
        out.picks.push((i, propensity));
    }
    out
}

/// The candidate whose stretch of the cumulated weights holds `u * total`; the last one of any weight when rounding left
/// the sum short of it.
fn sample(weights: impl Iterator<Item = (usize, f64)>, u: f64, total: f64) -> Option<(usize, f64)> {
    let goal = u * total;
    let mut sum = 0.0;
    let mut last = None;
    for (i, w) in weights {
        if w > 0.0 {
            sum += w;
            last = Some((i, w));
            if goal < sum {
                break;
            }
        }
    }
    last
}

fn best_left(scores: &[f64], taken: &[bool]) -> Option<usize> {
    let mut best: Option<usize> = None;
    for (i, s) in scores.iter().enumerate().filter(|(i, _)| !taken[*i]) {
        if best.is_none_or(|b| *s > scores[b]) {
            best = Some(i);
        }
    }
    best
}

/// Draws from the epsilon-greedy distribution over the candidates that are left.
fn make_anew(
    epsilon: f64,
    scores: &[f64],
    taken: &[bool],
    room: &mut Vec<f64>,
    u: f64,
) -> Option<(usize, f64)> {
    let best = best_left(scores, taken)?;
    let n = taken.iter().filter(|t| !**t).count();
    let even = epsilon.clamp(0.0, 1.0) / n as f64;
    room.clear();
    room.extend(taken.iter().map(|t| if *t { 0.0 } else { even }));
    room[best] += 1.0 - epsilon.clamp(0.0, 1.0);
    sample(room.iter().copied().enumerate(), u, 1.0)
}
