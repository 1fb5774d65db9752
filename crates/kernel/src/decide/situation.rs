//! What a decision is made from: everything that was known, as values. Nothing else may influence a decision.

use super::prepared::Prepared;
use crate::artifact::Artifacts;
use crate::catalogue::Catalogue;
use crate::event::Origin;
use crate::id::{CustomerId, DecisionId};
use crate::learn::ModelState;
use crate::slots::CustomerSlots;
use crate::time::{Micros, Moment};
use serde::{Deserialize, Serialize};

/// A contact of the customer: an item that a decision chose. A slate gives several contacts with one decision id, which
/// count once for the customer, policy and channel, and once each for its items.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    /// When it was decided.
    pub at: Micros,
    /// By which decision.
    pub decision: DecisionId,
    /// Policy.
    pub policy: String,
    /// Channel.
    pub channel: String,
    /// Item key.
    pub item: String,
}

/// What is known when a decision is made.
#[derive(Debug, Clone, Copy)]
pub struct Situation<'a> {
    /// The customer's slots at the moment of the request, at least those of [`crate::slots::SlotSet::of_policy`].
    pub customer: &'a CustomerSlots<'a>,
    /// The policy's catalogue.
    pub catalogue: &'a Catalogue,
    /// The policy made ready for that catalogue; when none is at hand, it is made for this decision alone. It changes how
    /// long a decision takes and nothing else.
    pub prepared: Option<&'a Prepared>,
    /// Recent contacts of all linked identifiers in the scene, ascending by time.
    pub contacts: &'a [Contact],
    /// Spent and held in the present period, one a budget of the scene in its order; a budget past the end has nothing
    /// spent.
    pub spent: &'a [i64],
    /// Share of the present period that is over, 0..=1, one a budget of the scene in its order; past the end it is not known.
    pub elapsed: &'a [f64],
    /// State of the policy's model; none is a model that has learned nothing.
    pub model: Option<&'a ModelState>,
    /// States of the models of the policy's objectives, by name; one that is absent has learned nothing.
    pub objective_models: &'a [(&'a str, &'a ModelState)],
    /// The scene's artifacts, where nothing is prepared.
    pub artifacts: &'a Artifacts,
}

/// A choice that is imposed: by replaying a logged campaign, or by the holdout of an experiment. Availability is kept: an
/// item that is not available becomes the null action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forced {
    /// Item key; none for the null action.
    pub item: Option<String>,
    /// Why, for the record (`logged`, `holdout of EXPERIMENT`).
    pub reason: String,
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Id of the decision.
    pub decision: DecisionId,
    /// Customer.
    pub customer: CustomerId,
    /// When, with the customer's offset from UTC.
    pub moment: Moment,
    /// Positions of the slate, when fewer than the policy's.
    pub slots: Option<u32>,
    /// Origin.
    pub origin: Origin,
    /// An imposed choice.
    #[serde(default)]
    pub forced: Option<Forced>,
}
