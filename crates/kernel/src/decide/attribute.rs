//! What each thing that is known of a customer adds to an item's score: Shapley values against other customers, of whatever scores
//! (an expression, a model, several objectives, stages of factors and trees). A feature's value is what it adds on average over all
//! orders in which the customer's values take the place of another customer's (Shapley 1953; of scores Štrumbelj and Kononenko 2014; the
//! interventional game of Janzing, Minorics and Blöbaum 2020), over drawn orders, each with its reverse (Mitchell, Cooper, Frank and Holmes 2022).
//!
//! The score is that of a greedy decision over the one item under the same policy without its gates, so that nothing is scored here a second
//! way. What the customer's budgets would take off a score is the same for all customers and left out.
//!
//! This room must never change a decision: what is computed here is for people who read one.

use super::prepared::Prepared;
use super::situation::{Request, Situation};
use super::{Decision, decide};
use crate::artifact::Artifacts;
use crate::catalogue::Catalogue;
use crate::learn::ModelState;
use crate::plan::ScenePlan;
use crate::plan::policy::{Exploration, PolicyPlan, Scorer};
use crate::plan::slot::SlotId;
use crate::random::Random;
use crate::slots::{CustomerSlots, SlotSet};
use crate::value::Value;
use std::collections::BTreeSet;

/// Most orders that are drawn, each followed by its reverse.
pub const ORDERS_MAX: u32 = 10_000;

/// What scores an item.
#[derive(Debug, Clone, Copy)]
pub struct Scores<'a> {
    /// Scene.
    pub scene: &'a ScenePlan,
    /// Its policy.
    pub policy: &'a PolicyPlan,
    /// The policy's catalogue.
    pub catalogue: &'a Catalogue,
    /// State of the policy's model.
    pub model: Option<&'a ModelState>,
    /// States of the models of its objectives, by name.
    pub objective_models: &'a [(&'a str, &'a ModelState)],
    /// The scene's artifacts.
    pub artifacts: &'a Artifacts,
}

/// What one thing that is known adds to a score.
#[derive(Debug, Clone, PartialEq)]
pub struct Added {
    /// Name, as rules write it.
    pub slot: String,
    /// What the customer has.
    pub value: Value<'static>,
    /// What it adds, in units of the score.
    pub adds: f64,
    /// Standard error of that, from orders and other customers that were drawn; 0 where every one gave the same.
    pub standard_error: f64,
}

/// A score, taken apart.
#[derive(Debug, Clone, PartialEq)]
pub struct Attribution {
    /// The item's score for the customer, before any budget's price.
    pub score: f64,
    /// Its mean score for the other customers; with all that is added it is the score.
    pub base: f64,
    /// What adds anything, the largest first, of equal ones the earlier name.
    pub added: Vec<Added>,
    /// Other customers that it was compared with.
    pub others: usize,
    /// Pairs of orders that count.
    pub orders: u32,
    /// Pairs that do not: on the way something was not known that the score needs.
    pub unknown: u32,
}

/// Why a score cannot be taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The catalogue has no such item.
    #[error("the item is not in the catalogue that the decision saw")]
    NoItem,
    /// No score.
    #[error("the item has no score for this customer: something that the score needs is not known")]
    NoScore,
    /// Nobody to compare with.
    #[error("there is no other customer for whom the item has a score")]
    NoOthers,
    /// Every order met something unknown.
    #[error(
        "whatever is taken from other customers leaves the item without a score: something that the score needs is known of them only together"
    )]
    Unknown,
}

impl Scores<'_> {
    /// The policy as it scores, without anything that keeps an item from being scored or chosen.
    fn bare(&self) -> PolicyPlan {
        let mut policy = self.policy.clone();
        policy.eligibility.clear();
        policy.suitability.clear();
        policy.exclusions.clear();
        policy.consent = None;
        policy.caps.clear();
        policy.quiet_period_us = None;
        policy.quiet_hours = None;
        policy.budgets.clear();
        policy.diversity = None;
        policy.slots = 1;
        policy.null_action.is_arm = false;
        policy.exploration = Exploration::Greedy;
        if let Scorer::Objectives(objectives) = &mut policy.scorer {
            for objective in &mut objectives.objectives {
                objective.floor = None;
            }
            for group in &mut objectives.groups {
                group.floors.iter_mut().for_each(|floor| *floor = None);
            }
        }
        policy
    }

    /// Takes the score of an item for a customer apart, against `others`, in that order. `orders` pairs of orders are drawn by `seed`, at
    /// least one for each other customer and at most [`ORDERS_MAX`]. The request says when it is scored.
    ///
    /// # Errors
    /// [`Error`].
    pub fn attribute(
        &self,
        customer: &CustomerSlots<'_>,
        others: &[CustomerSlots<'_>],
        request: &Request,
        key: &str,
        orders: u32,
        seed: u64,
    ) -> Result<Attribution, Error> {
        let policy = self.bare();
        let catalogue = self.catalogue.only(&BTreeSet::from([key.to_owned()]));
        if catalogue.is_empty() {
            return Err(Error::NoItem);
        }
        let prepared = Prepared::new(self.scene, &policy, &catalogue, self.artifacts);
        let request = Request {
            slots: None,
            forced: None,
            ..request.clone()
        };
        let score = |customer: &CustomerSlots<'_>| {
            let situation = Situation {
                customer,
                catalogue: &catalogue,
                prepared: Some(&prepared),
                contacts: &[],
                spent: &[],
                elapsed: &[],
                model: self.model,
                objective_models: self.objective_models,
                artifacts: self.artifacts,
            };
            score_of(&decide(self.scene, &policy, &situation, &request, 0))
        };
        let whole = score(customer).ok_or(Error::NoScore)?;
        let of_others: Vec<(&CustomerSlots<'_>, f64)> = (others.iter())
            .filter_map(|other| Some((other, score(&with_own_holdings(customer, other))?)))
            .collect();
        if of_others.is_empty() {
            return Err(Error::NoOthers);
        }
        let mut players: Vec<SlotId> = (SlotSet::of_policy(self.scene, &policy).iter())
            .filter(|id| !prepared.item_slots.contains(*id))
            .collect();
        players.sort_unstable();
        // What is the same for everybody adds nothing.
        players.retain(|id| {
            let own = value(customer, *id);
            of_others.iter().any(|(o, _)| value(o, *id) != own)
        });

        let mut random = Random::new(seed);
        let rounds = (of_others.len() as u32).max(orders).min(ORDERS_MAX);
        let mut sums = Sums::new(players.len());
        let mut order: Vec<usize> = (0..players.len()).collect();
        let mut unknown = 0;
        let mut pair = vec![0.0; players.len()];
        'rounds: for round in 0..rounds as usize {
            let (other, base) = of_others[round % of_others.len()];
            shuffle(&mut order, &mut random);
            pair.iter_mut().for_each(|v| *v = 0.0);
            for _ in 0..2 {
                let mut mixed = with_own_holdings(customer, other);
                let mut before = base;
                for (step, i) in order.iter().enumerate() {
                    let at = usize::from(players[*i].0);
                    mixed.values[at] = customer.values[at].clone();
                    // The last step is the customer, whose score is known.
                    let now = match step + 1 == order.len() {
                        true => Some(whole),
                        false => score(&mixed),
                    };
                    let Some(now) = now else {
                        unknown += 1;
                        continue 'rounds;
                    };
                    pair[*i] += 0.5 * (now - before);
                    before = now;
                }
                order.reverse();
            }
            sums.add(base, &pair);
        }
        if sums.count == 0 {
            return Err(Error::Unknown);
        }
        let mut added: Vec<Added> = (players.iter().enumerate())
            .map(|(i, id)| Added {
                slot: self.scene.slots[usize::from(id.0)].name.clone(),
                value: value(customer, *id).clone().into_owned(),
                adds: sums.mean(i),
                standard_error: sums.standard_error(i),
            })
            .filter(|a| a.adds != 0.0 || a.standard_error != 0.0)
            .collect();
        added.sort_by(|a, b| {
            (b.adds.abs().total_cmp(&a.adds.abs())).then_with(|| a.slot.cmp(&b.slot))
        });
        Ok(Attribution {
            score: whole,
            base: sums.base / f64::from(sums.count),
            added,
            others: of_others.len(),
            orders: sums.count,
            unknown,
        })
    }
}

/// The score of the only item; none that was not scored.
fn score_of(decision: &Decision) -> Option<f64> {
    let line = decision.trace.iter().find(|c| c.item.is_some())?;
    line.score.filter(|s| s.is_finite())
}

/// Another customer, who holds what this one does: holdings belong to the item and are not taken apart.
fn with_own_holdings<'v>(
    customer: &CustomerSlots<'_>,
    other: &CustomerSlots<'v>,
) -> CustomerSlots<'v> {
    CustomerSlots {
        values: other.values.clone(),
        held: customer.held.clone(),
    }
}

fn value<'a, 'v>(customer: &'a CustomerSlots<'v>, id: SlotId) -> &'a Value<'v> {
    &customer.values[usize::from(id.0)]
}

/// Fisher and Yates's shuffle.
fn shuffle(order: &mut [usize], random: &mut Random) {
    for last in (1..order.len()).rev() {
        let at = (random.uniform() * (last + 1) as f64) as usize;
        order.swap(last, at.min(last));
    }
}

/// Sums over pairs of orders.
struct Sums {
    count: u32,
    base: f64,
    /// Mean and sum of squared deviations by player (Welford 1962).
    of: Vec<(f64, f64)>,
}

impl Sums {
    fn new(players: usize) -> Self {
        Self {
            count: 0,
            base: 0.0,
            of: vec![(0.0, 0.0); players],
        }
    }

    fn add(&mut self, base: f64, pair: &[f64]) {
        self.count += 1;
        self.base += base;
        for ((mean, squares), v) in self.of.iter_mut().zip(pair) {
            let off = v - *mean;
            *mean += off / f64::from(self.count);
            *squares += off * (v - *mean);
        }
    }

    fn mean(&self, i: usize) -> f64 {
        self.of[i].0
    }

    fn standard_error(&self, i: usize) -> f64 {
        let n = f64::from(self.count);
        match self.count {
            0 | 1 => 0.0,
            _ => libm::sqrt(self.of[i].1 / (n - 1.0) / n),
        }
    }
}
