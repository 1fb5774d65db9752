//! What a model believes of the candidates, as explorers of uncertainty ask it: draws from its posterior, upper bounds.
//! This room must never see a rule, a slot or a record.

use crate::learn::algebra::{dot8, factor_semidefinite, multiply};
use crate::learn::bootstrap::{self, Replicates};
use crate::learn::{ModelState, Posterior, on_reward_scale};
use crate::plan::model::{ModelKind, ModelPlan, ModelScope};
use crate::random::{Purpose, Random};

/// Candidates in their fixed order, and a model's beliefs about them.
pub(super) trait Beliefs {
    /// The model.
    fn plan(&self) -> &ModelPlan;
    /// Number of candidates.
    fn len(&self) -> usize;
    /// The one belief of a shared model.
    fn shared(&self) -> &Posterior;
    /// Hands each candidate in order to `see`: its number, the model's belief about it, and its features.
    fn visit(&mut self, see: impl FnMut(usize, &Posterior, &[f64]));
    /// Hands each candidate in order to `see`: its number, and the linear score that each replicate of the belief gives it.
    fn visit_replicates(&mut self, see: impl FnMut(usize, &[f64]));
}

/// The replicates of one candidate's belief after another's; of a shared model they are looked up once.
pub(super) struct Replicated<'a> {
    plan: &'a ModelPlan,
    state: Option<&'a ModelState>,
    shared: Option<Replicates<'a>>,
    room: Vec<f64>,
}

impl<'a> Replicated<'a> {
    pub(super) fn new(plan: &'a ModelPlan, state: Option<&'a ModelState>) -> Self {
        let is_shared = plan.scope == ModelScope::Shared;
        Self {
            plan,
            state,
            shared: is_shared.then(|| Replicates::of(plan, state, None)),
            room: Vec::new(),
        }
    }

    /// The linear score that each replicate gives the candidate of this key with the features `x`.
    pub(super) fn linear_means(&mut self, item: Option<&str>, x: &[f64]) -> &[f64] {
        match &self.shared {
            Some(shared) => shared.linear_means(x, &mut self.room),
            None => {
                Replicates::of(self.plan, self.state, item).linear_means(x, &mut self.room);
            }
        }
        &self.room
    }
}

/// Candidates that are nothing but keys and features.
pub(super) struct Alone<'a> {
    plan: &'a ModelPlan,
    prior: &'a Posterior,
    state: &'a ModelState,
    arms: &'a [Option<&'a str>],
    x: &'a [f64],
}

impl<'a> Alone<'a> {
    /// None without candidates and where `x` is not of their size.
    pub(super) fn new(
        plan: &'a ModelPlan,
        prior: &'a Posterior,
        state: &'a ModelState,
        arms: &'a [Option<&'a str>],
        x: &'a [f64],
    ) -> Option<Self> {
        let wanted = match plan.scope {
            ModelScope::PerItem => prior.dimension(),
            ModelScope::Shared => prior.dimension() * arms.len(),
        };
        (!arms.is_empty() && x.len() == wanted).then_some(Self {
            plan,
            prior,
            state,
            arms,
            x,
        })
    }

    /// The belief about an arm.
    fn belief(&self, arm: Option<&str>) -> &'a Posterior {
        (self.state.posterior(self.plan, arm))
            .filter(|b| b.dimension() == self.prior.dimension())
            .unwrap_or(self.prior)
    }

    /// The features of candidate `i`.
    fn features(&self, i: usize) -> &'a [f64] {
        let d = self.prior.dimension();
        match self.plan.scope {
            ModelScope::Shared => &self.x[i * d..(i + 1) * d],
            ModelScope::PerItem => self.x,
        }
    }
}

impl Beliefs for Alone<'_> {
    fn plan(&self) -> &ModelPlan {
        self.plan
    }

    fn len(&self) -> usize {
        self.arms.len()
    }

    fn shared(&self) -> &Posterior {
        self.belief(None)
    }

    fn visit(&mut self, mut see: impl FnMut(usize, &Posterior, &[f64])) {
        for (i, arm) in self.arms.iter().enumerate() {
            see(i, self.belief(*arm), self.features(i));
        }
    }

    fn visit_replicates(&mut self, mut see: impl FnMut(usize, &[f64])) {
        let mut replicated = Replicated::new(self.plan, Some(self.state));
        for (i, arm) in self.arms.iter().enumerate() {
            see(i, replicated.linear_means(*arm, self.features(i)));
        }
    }
}

/// The winner in each replicate; none of a model without replicates.
pub(super) fn replicated_winners(beliefs: &mut impl Beliefs, rest: &Rest) -> Vec<usize> {
    let kind = beliefs.plan().kind;
    let mut best = vec![(f64::NEG_INFINITY, 0usize); bootstrap::count(beliefs.plan())];
    beliefs.visit_replicates(|i, linear| {
        for (b, linear) in best.iter_mut().zip(linear) {
            offer(b, i, rest.score(i, kind, *linear));
        }
    });
    best.into_iter().map(|(_, i)| i).collect()
}

/// What of the candidates' scores does not depend on the uncertain model.
pub(super) enum Rest {
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

/// Each candidate's score at `alpha` posterior standard deviations above the mean of the model's linear score.
pub(super) fn upper_bounds(beliefs: &mut impl Beliefs, rest: &Rest, alpha: f64) -> Vec<f64> {
    let mut out = Vec::with_capacity(beliefs.len());
    let mut scratch = Vec::new();
    // A reward to be avoided is hoped to be small.
    let alpha = match rest {
        Rest::Fixed { weight, .. } if *weight < 0.0 => -alpha,
        Rest::None | Rest::Fixed { .. } => alpha,
    };
    let kind = beliefs.plan().kind;
    beliefs.visit(|i, belief, x| {
        let linear =
            belief.linear_mean(x) + alpha * libm::sqrt(belief.linear_variance(x, &mut scratch));
        out.push(rest.score(i, kind, linear));
    });
    out
}

/// The winner of each of `draws` draws from the posterior of all candidates' linear scores.
///
/// Per-item models have independent beliefs: each candidate's score is drawn by itself. A shared model's scores are jointly
/// normal; they are drawn through whichever covariance is smaller, that of the scores (no more candidates than weights) or
/// that of the weights. The logistic function grows with its argument, so where nothing else counts the winner is found on
/// the linear scale.
pub(super) fn winners(
    beliefs: &mut impl Beliefs,
    rest: &Rest,
    draws: usize,
    scale: f64,
    seed: u64,
) -> Vec<usize> {
    let n = beliefs.len();
    let mut random = Random::stream(seed, Purpose::Draws);
    let mut best = vec![(f64::NEG_INFINITY, 0usize); draws];
    let d = beliefs.shared().dimension();
    let kind = beliefs.plan().kind;
    match beliefs.plan().scope {
        ModelScope::PerItem => {
            let mut scratch = Vec::with_capacity(d);
            beliefs.visit(|i, belief, x| {
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
            beliefs.visit(|_, _, features| x.extend_from_slice(features));
            let belief = beliefs.shared();
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
            let belief = beliefs.shared();
            let l = factor_semidefinite(&belief.covariance, d, tolerance(&belief.covariance, d));
            let mut weights = Vec::with_capacity(draws * d);
            let mut z = vec![0.0; d];
            for _ in 0..draws {
                z.fill_with(|| random.normal());
                weights.extend(
                    (0..d).map(|i| belief.mean[i] + scale * dot8(&l[i * d..=i * d + i], &z[..=i])),
                );
            }
            beliefs.visit(|i, _, x| {
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

fn offer(best: &mut (f64, usize), candidate: usize, score: f64) {
    if score > best.0 {
        *best = (score, candidate);
    }
}
