//! Contests: a challenger decides in a champion's place for a share of the customers. Who is whose is a hash of the contest and the customer
//! ([`crate::assign`]); a decision records the contest that it was made in.

use crate::assign::{Assignment, BUCKETS, Experiment, Variant, assign};
use crate::id::CustomerId;
use serde::{Deserialize, Serialize};

/// Most contests of one scene.
pub const CONTESTS_MAX: usize = 64;

/// A contest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContestPlan {
    /// Name, unique in the scene. Another name deals the customers anew.
    pub name: String,
    /// Index into [`super::ScenePlan::policies`]: the policy that is asked for.
    pub champion: u16,
    /// Index of the one that decides in its place.
    pub challenger: u16,
    /// Customers for whom it does, in ten thousands: above 0, at most [`BUCKETS`].
    pub share: u32,
}

impl ContestPlan {
    /// The policy that decides for a customer. A larger share takes customers from the champion alone.
    pub fn policy(&self, customer: CustomerId) -> u16 {
        let variant = |name: &str, weight| Variant {
            name: name.to_owned(),
            weight,
        };
        let share = self.share.min(BUCKETS);
        let dealt = Experiment {
            name: self.name.clone(),
            salt: format!("contest {}", self.name),
            holdout: 0,
            variants: vec![
                variant("challenger", share),
                variant("champion", BUCKETS - share),
            ],
        };
        match assign(&dealt, &customer.0) {
            Ok(Assignment::Variant(0)) => self.challenger,
            _ => self.champion,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::IdentifierId;

    #[test]
    fn a_share_of_the_customers_is_the_challenger_s_and_stays_so() {
        let contest = |name: &str, share| ContestPlan {
            name: name.to_owned(),
            champion: 3,
            challenger: 7,
            share,
        };
        let customers = (0..20_000u128).map(|i| {
            IdentifierId((i.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)).to_be_bytes())
        });
        let of =
            |c: &ContestPlan| -> Vec<u16> { customers.clone().map(|id| c.policy(id)).collect() };
        let small = of(&contest("a", 1_000));
        let taken = small.iter().filter(|p| **p == 7).count();
        // Five standard deviations of 20,000 at a tenth.
        assert!(taken.abs_diff(2_000) < 212, "{taken}");
        let large = of(&contest("a", 3_000));
        assert!((small.iter().zip(&large)).all(|(s, l)| *s == 3 || *l == 7));
        let other = of(&contest("b", 1_000));
        let both = (small.iter().zip(&other))
            .filter(|(a, b)| **a == 7 && **b == 7)
            .count();
        assert!(both.abs_diff(200) < 71, "{both}");
        assert!(of(&contest("a", BUCKETS)).iter().all(|p| *p == 7));
    }
}
