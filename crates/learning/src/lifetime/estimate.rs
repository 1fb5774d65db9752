//! What estimates by importance weights are made of. With `w_t` the product of the policy's probabilities of what was logged over
//! their propensities through step `t`, `r_t` the reward, `q_t` and `v_t` the fitted values of the logged action and of the policy, and
//! `g` the discount, the estimates are, summed over steps:
//!
//! | name | estimate | by |
//! |---|---|---|
//! | `pdis` | mean of `g^t w_t r_t` | Precup, Sutton and Singh 2000 |
//! | `wpdis` | `g^t w_t r_t` over the mean of `w_t` | the same, weighted |
//! | `fqe` | mean of `v_0` | Le, Voloshin and Yue 2019 |
//! | `dr` | mean of `v_0`, and of `g^t w_t (r_t + g v_(t+1) - q_t)` | Jiang and Li 2016, summed by parts |
//! | `wdr` | the same, `w_t` over its mean | Thomas and Brunskill 2016 |
//!
//! Behind a customer's end the weight stays what it was, and everything else is nothing. With one step they are `ips`, `snips`, `dm`,
//! `dr` and `sndr` of [`crate::ope`].

/// How the value of a policy of many steps is estimated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Estimator {
    /// Per-decision importance sampling.
    PerDecision,
    /// The same with weights that add up at every step.
    WeightedPerDecision,
    /// Fitted Q evaluation.
    FittedQ,
    /// Doubly robust.
    DoublyRobust,
    /// Doubly robust with weights that add up at every step.
    WeightedDoublyRobust,
}

impl Estimator {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::PerDecision,
        Self::WeightedPerDecision,
        Self::FittedQ,
        Self::DoublyRobust,
        Self::WeightedDoublyRobust,
    ];

    /// Its name, as in the table of this module.
    pub fn name(self) -> &'static str {
        match self {
            Self::PerDecision => "pdis",
            Self::WeightedPerDecision => "wpdis",
            Self::FittedQ => "fqe",
            Self::DoublyRobust => "dr",
            Self::WeightedDoublyRobust => "wdr",
        }
    }
}

/// Weights and discounted terms, customers x steps.
pub(super) struct Paths {
    pub(super) horizon: usize,
    /// `w_t`.
    pub(super) weights: Vec<f64>,
    /// `g^t r_t`.
    pub(super) rewards: Vec<f64>,
    /// `g^t (r_t + g v_(t+1) - q_t)`.
    pub(super) corrections: Vec<f64>,
    /// `v_0`, by customer.
    pub(super) first: Vec<f64>,
}

/// Sums over customers, each counted as often as was drawn.
pub(super) struct Sums {
    customers: f64,
    logged: f64,
    first: f64,
    /// Of each step: weights, weighted rewards, weighted corrections.
    steps: Vec<[f64; 3]>,
}

impl Paths {
    pub(super) fn customers(&self) -> usize {
        self.first.len()
    }

    pub(super) fn sums(&self, counts: impl Fn(usize) -> f64) -> Sums {
        let mut out = Sums {
            customers: 0.0,
            logged: 0.0,
            first: 0.0,
            steps: vec![[0.0; 3]; self.horizon],
        };
        for customer in 0..self.customers() {
            let count = counts(customer);
            if count == 0.0 {
                continue;
            }
            out.customers += count;
            out.first += count * self.first[customer];
            let line = customer * self.horizon..(customer + 1) * self.horizon;
            let terms = self.rewards[line.clone()]
                .iter()
                .zip(&self.corrections[line.clone()]);
            for ((sums, weight), (reward, correction)) in
                out.steps.iter_mut().zip(&self.weights[line]).zip(terms)
            {
                out.logged += count * reward;
                let weight = count * weight;
                sums[0] += weight;
                sums[1] += weight * reward;
                sums[2] += weight * correction;
            }
        }
        out
    }
}

impl Sums {
    /// What was earned as it was logged.
    pub(super) fn logged(&self) -> f64 {
        self.logged / self.customers
    }

    pub(super) fn value(&self, estimator: Estimator) -> f64 {
        let over = |term: usize| -> f64 {
            self.steps.iter().map(|s| s[term]).sum::<f64>() / self.customers
        };
        // Where nobody has a weight, nothing is known.
        let ratios = |term: usize| -> f64 {
            let known = self.steps.iter().filter(|s| s[0] > 0.0);
            known.map(|s| s[term] / s[0]).sum()
        };
        let first = self.first / self.customers;
        match estimator {
            Estimator::PerDecision => over(1),
            Estimator::WeightedPerDecision => ratios(1),
            Estimator::FittedQ => first,
            Estimator::DoublyRobust => first + over(2),
            Estimator::WeightedDoublyRobust => first + ratios(2),
        }
    }
}
