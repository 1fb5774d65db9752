//! What policies earn that share the traffic between them: mean rewards a decision, with intervals over customers, whose decisions are alike. A
//! mean over decisions of a ratio of sums over customers has its variance by the delta method (Deng, Knoblich and Lu 2018).

use libm::sqrt;
use luopan_kernel::random::normal_quantile;
use std::collections::BTreeMap;

/// Least customers of a side; with fewer no interval holds.
pub const CUSTOMERS_LEAST: usize = 30;

/// What one side earned: rewards and decisions of each customer.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Earned {
    of: BTreeMap<u128, (f64, u64)>,
}

/// A mean with its interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mean {
    /// Customers.
    pub customers: usize,
    /// Decisions.
    pub decisions: u64,
    /// Reward a decision.
    pub value: f64,
    /// Standard error; none with fewer than two customers.
    pub standard_error: Option<f64>,
}

/// The difference of two sides.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Difference {
    /// Challenger minus champion, a decision.
    pub value: f64,
    /// Bounds of its interval.
    pub lower: f64,
    /// See `lower`.
    pub upper: f64,
}

impl Earned {
    /// A decision for a customer and what came of it; a reward that is not finite counts for nothing and is false.
    pub fn push(&mut self, customer: u128, reward: f64) -> bool {
        if reward.is_finite() {
            let (sum, n) = self.of.entry(customer).or_default();
            *sum += reward;
            *n += 1;
        }
        reward.is_finite()
    }

    /// The mean; none without a decision.
    pub fn mean(&self) -> Option<Mean> {
        let decisions: u64 = self.of.values().map(|(_, n)| n).sum();
        if decisions == 0 {
            return None;
        }
        let (all, m) = (decisions as f64, self.of.len() as f64);
        let value = self.of.values().map(|(sum, _)| sum).sum::<f64>() / all;
        let spread: f64 = (self.of.values())
            .map(|(sum, n)| sum - value * *n as f64)
            .map(|off| off * off)
            .sum();
        Some(Mean {
            customers: self.of.len(),
            decisions,
            value,
            standard_error: (self.of.len() > 1).then(|| sqrt(spread * m / (m - 1.0)) / all),
        })
    }

    /// Leaves out on both sides who is on both; how many customers that were.
    pub fn part_from(&mut self, other: &mut Self) -> usize {
        let both: Vec<u128> = (self.of.keys().copied())
            .filter(|customer| other.of.contains_key(customer))
            .collect();
        for customer in &both {
            self.of.remove(customer);
            other.of.remove(customer);
        }
        both.len()
    }
}

/// Challenger minus champion with an interval of this level (0.95). None where either has fewer than [`CUSTOMERS_LEAST`] customers.
pub fn difference(challenger: &Earned, champion: &Earned, level: f64) -> Option<Difference> {
    let (a, b) = (challenger.mean()?, champion.mean()?);
    if a.customers.min(b.customers) < CUSTOMERS_LEAST {
        return None;
    }
    let around =
        normal_quantile(0.5 + level / 2.0) * libm::hypot(a.standard_error?, b.standard_error?);
    let value = a.value - b.value;
    Some(Difference {
        value,
        lower: value - around,
        upper: value + around,
    })
}
