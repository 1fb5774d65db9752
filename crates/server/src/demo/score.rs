//! The score: what each policy's decisions were worth, beside each other. Customers are split once and for all by a hash
//! of their name, so that the two groups differ by nothing but the policy; what they answered is valued by the scene's own
//! reward. It must never look at the simulator's truth.

use super::pack;
use luopan_kernel::id::{DecisionId, hash64};
use luopan_kernel::time::{HOUR_US, Micros};
use serde::Serialize;
use std::collections::HashMap;

/// The two policies that run beside each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arm {
    /// Four customers of five.
    Learned,
    /// One of five.
    Random,
}

impl Arm {
    /// Whose policy this customer is under, for good.
    pub(crate) fn of(customer: &str) -> Self {
        if hash64(customer.as_bytes()).is_multiple_of(5) {
            Self::Random
        } else {
            Self::Learned
        }
    }

    /// Name of the policy in the scene.
    pub(crate) fn policy(self) -> &'static str {
        match self {
            Self::Learned => pack::POLICY,
            Self::Random => "random",
        }
    }
}

/// Sums over the decisions of one customer.
#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    decisions: f64,
    reward: f64,
}

/// What is known of a decision that may still be answered.
#[derive(Debug, Clone, Copy)]
struct Open {
    customer: u32,
    bucket: usize,
    at: Micros,
}

/// Figures of one policy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub(crate) struct Figures {
    /// Decisions, silent ones too.
    pub(crate) decisions: u64,
    /// Decisions that reached the customer.
    pub(crate) contacts: u64,
    /// Sum of rewards.
    pub(crate) reward: f64,
    /// Reward of a decision.
    pub(crate) mean: f64,
    /// Lower end of its 95 % interval.
    pub(crate) low: f64,
    /// Upper end.
    pub(crate) high: f64,
    /// Dismissals of its contacts.
    pub(crate) dismissed: u64,
    /// Customers of its group who unsubscribed.
    pub(crate) unsubscribed: u64,
}

/// Sums of both policies in one span of simulated time, by the time of the decision.
type Bucket = [Tally; 2];

/// The score so far.
#[derive(Debug)]
pub(crate) struct Score {
    start: Micros,
    bucket_us: i64,
    /// How long a decision may be answered, microseconds.
    window_us: i64,
    customers: Vec<(Arm, Tally)>,
    counts: [[u64; 3]; 2],
    buckets: Vec<Bucket>,
    open: HashMap<DecisionId, Open>,
}

const CONTACTS: usize = 0;
const DISMISSED: usize = 1;
const UNSUBSCRIBED: usize = 2;

impl Score {
    /// A score over customers by name, in the order of their numbers; `window_us` is how long a reward waits for answers.
    pub(crate) fn new<'n>(
        start: Micros,
        window_us: i64,
        names: impl Iterator<Item = &'n str>,
    ) -> Self {
        Self {
            start,
            bucket_us: 6 * HOUR_US,
            window_us,
            customers: names.map(|n| (Arm::of(n), Tally::default())).collect(),
            counts: [[0; 3]; 2],
            buckets: Vec::new(),
            open: HashMap::new(),
        }
    }

    /// Under which policy a customer is.
    pub(crate) fn arm(&self, customer: u32) -> Arm {
        self.customers
            .get(customer as usize)
            .map_or(Arm::Random, |c| c.0)
    }

    /// A decision was made; `contact` when it reached the customer.
    pub(crate) fn decided(
        &mut self,
        customer: u32,
        decision: DecisionId,
        contact: bool,
        at: Micros,
    ) {
        let Some((arm, tally)) = self.customers.get_mut(customer as usize) else {
            return;
        };
        tally.decisions += 1.0;
        let arm = *arm as usize;
        let bucket = usize::try_from(at.since(self.start).max(0) / self.bucket_us).unwrap_or(0);
        if self.buckets.len() <= bucket {
            self.buckets.resize(bucket + 1, Bucket::default());
        }
        self.buckets[bucket][arm].decisions += 1.0;
        if contact {
            self.counts[arm][CONTACTS] += 1;
            self.open.insert(
                decision,
                Open {
                    customer,
                    bucket,
                    at,
                },
            );
        }
    }

    /// An answer worth `reward` came to a decision at `at`. One after the window is worth nothing.
    pub(crate) fn rewarded(&mut self, decision: DecisionId, reward: f64, at: Micros) {
        let Some(open) = self.open.get(&decision).copied() else {
            return;
        };
        if at.since(open.at) > self.window_us {
            return;
        }
        let Some((arm, tally)) = self.customers.get_mut(open.customer as usize) else {
            return;
        };
        tally.reward += reward;
        self.buckets[open.bucket][*arm as usize].reward += reward;
    }

    /// A contact was dismissed.
    pub(crate) fn dismissed(&mut self, customer: u32) {
        let arm = self.arm(customer);
        self.counts[arm as usize][DISMISSED] += 1;
    }

    /// A customer unsubscribed.
    pub(crate) fn unsubscribed(&mut self, customer: u32) {
        let arm = self.arm(customer);
        self.counts[arm as usize][UNSUBSCRIBED] += 1;
    }

    /// Forgets decisions that can no longer be answered.
    pub(crate) fn prune(&mut self, now: Micros) {
        let window = self.window_us;
        self.open.retain(|_, o| now.since(o.at) <= window);
    }

    /// Figures of one policy. The interval is for a ratio of sums over customers, whose decisions are not independent of
    /// each other (Cochran 1977, 6.4: linearised variance, large samples).
    pub(crate) fn figures(&self, arm: Arm) -> Figures {
        let mine = || self.customers.iter().filter(|c| c.0 == arm).map(|c| c.1);
        let decisions: f64 = mine().map(|t| t.decisions).sum();
        let reward: f64 = mine().map(|t| t.reward).sum();
        let [contacts, dismissed, unsubscribed] = self.counts[arm as usize];
        if decisions == 0.0 {
            return Figures {
                contacts,
                dismissed,
                unsubscribed,
                ..Figures::default()
            };
        }
        let mean = reward / decisions;
        let squares: f64 = mine()
            .map(|t| (t.reward - mean * t.decisions).powi(2))
            .sum();
        let half = 1.959_963_984_540_054 * squares.sqrt() / decisions;
        Figures {
            decisions: decisions as u64,
            contacts,
            reward,
            mean,
            low: mean - half,
            high: mean + half,
            dismissed,
            unsubscribed,
        }
    }

    /// Reward of a decision by the day on which it was made, for each policy: simulated days since the start and the mean
    /// over the day that ends there. Days with few decisions of an arm are left out for it.
    pub(crate) fn series(&self, arm: Arm) -> Vec<(f64, f64)> {
        let a_day = 4;
        let few = 30.0;
        (0..self.buckets.len())
            .filter_map(|end| {
                let span = &self.buckets[(end + 1).saturating_sub(a_day)..=end];
                let decisions: f64 = span.iter().map(|b| b[arm as usize].decisions).sum();
                let reward: f64 = span.iter().map(|b| b[arm as usize].reward).sum();
                (decisions >= few).then(|| ((end + 1) as f64 / a_day as f64, reward / decisions))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u8) -> DecisionId {
        DecisionId([n; 16])
    }

    #[test]
    fn one_customer_in_five_is_under_the_random_policy() {
        let random = (0..10_000)
            .filter(|n| Arm::of(&format!("c{n:07}")) == Arm::Random)
            .count();
        assert!((1_850..2_150).contains(&random), "{random}");
    }

    #[test]
    fn answers_count_for_their_decision_while_the_window_is_open() {
        let names = ["a", "b", "c", "d", "e", "f", "g", "h"];
        let mut score = Score::new(Micros(0), HOUR_US, names.into_iter());
        for customer in 0..8 {
            score.decided(customer, id(customer as u8), true, Micros(0));
        }
        let arm = score.arm(3);
        let others = if arm == Arm::Learned {
            Arm::Random
        } else {
            Arm::Learned
        };
        score.rewarded(id(3), 1.0, Micros(HOUR_US));
        score.rewarded(id(3), 1.0, Micros(HOUR_US + 1));
        score.rewarded(id(99), 1.0, Micros(1));
        let figures = score.figures(arm);
        assert_eq!(figures.reward, 1.0);
        assert_eq!(figures.mean, 1.0 / figures.decisions as f64);
        assert!(figures.low < figures.mean && figures.mean < figures.high);
        assert_eq!(score.figures(others).reward, 0.0);
        score.prune(Micros(2 * HOUR_US));
        score.rewarded(id(4), 1.0, Micros(1));
        assert_eq!(
            score.figures(score.arm(4)).reward,
            if score.arm(4) == arm { 1.0 } else { 0.0 }
        );
    }

    #[test]
    fn the_interval_of_independent_decisions_is_the_ordinary_one() {
        let names: Vec<String> = (0..20_000).map(|n| format!("c{n:07}")).collect();
        let mut score = Score::new(Micros(0), HOUR_US, names.iter().map(String::as_str));
        for customer in 0..20_000u32 {
            let id = DecisionId(u128::from(customer).to_be_bytes());
            score.decided(customer, id, true, Micros(0));
            if customer % 10 == 0 {
                score.rewarded(id, 1.0, Micros(1));
            }
        }
        let f = score.figures(Arm::Learned);
        let n = f.decisions as f64;
        let half = 1.96 * (f.mean * (1.0 - f.mean) / n).sqrt();
        assert!((f.high - f.mean - half).abs() < 0.01 * half);
        assert!(f.low < 0.1 && 0.1 < f.high);
    }
}
