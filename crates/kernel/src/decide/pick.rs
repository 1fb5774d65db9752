//! Sampling the choice from the distribution, one position after another without replacement.
//!
//! - Softmax, uniform, Thompson, bootstrapped, LinUCB and SquareCB distributions fill a slate as Plackett and Luce have it (Plackett 1975): at each
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

/// What is to be filled.
pub(super) struct Slate {
    /// The number of the null action's candidate, when it is an arm.
    pub(super) null: Option<usize>,
    /// Most positions.
    pub(super) positions: u32,
    /// Which candidates are alike, where the slate wants variety.
    pub(super) alike: Option<Alike>,
}

impl Slate {
    /// One position, without a null action.
    pub(super) const ONE: Self = Self {
        null: None,
        positions: 1,
        alike: None,
    };
}

/// Which candidates are alike.
pub(super) struct Alike {
    /// Group of each candidate; none of one that is like no other.
    pub(super) groups: Vec<Option<usize>>,
    /// Most of one group.
    pub(super) at_most: u32,
}

impl Alike {
    /// After `picked` was picked, with `picks` all so far: takes those out whose group is full.
    fn close(&self, picked: usize, picks: &[(usize, f64)], taken: &mut [bool]) {
        let Some(group) = self.groups.get(picked).copied().flatten() else {
            return;
        };
        let is_of = |i: usize| self.groups.get(i).copied().flatten() == Some(group);
        if picks.iter().filter(|(i, _)| is_of(*i)).count() >= self.at_most as usize {
            (taken.iter_mut().enumerate())
                .filter(|(i, _)| is_of(*i))
                .for_each(|(_, t)| *t = true);
        }
    }
}

/// Draws at most as many candidates as the slate has positions from `first`, the recorded distribution over all of them.
/// Where the slate wants variety, a group that is full is out of the positions that follow: their probabilities are those
/// of what is left.
pub(super) fn pick(
    exploration: &Exploration,
    first: &[f64],
    scores: &[f64],
    slate: &Slate,
    seed: u64,
) -> Picked {
    let mut random = Random::stream(seed, Purpose::Choice);
    let mut out = Picked::default();
    let mut taken = vec![false; first.len()];
    let mut made_anew: Vec<f64> = Vec::new();
    for position in 0..slate.positions {
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
                | Exploration::LinUcb { .. }
                | Exploration::Bootstrap { .. }
                | Exploration::SquareCb { .. }
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
        if Some(i) == slate.null {
            out.null = Some(propensity);
            break;
        }
        taken[i] = true;
        out.picks.push((i, propensity));
        if let Some(alike) = &slate.alike {
            alike.close(i, &out.picks, &mut taken);
        }
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
