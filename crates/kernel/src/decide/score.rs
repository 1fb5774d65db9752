//! Scoring candidates, by a declared expression or by a model, and what scoring knows of how uncertain a model is.

use super::situation::Situation;
use crate::features;
use crate::learn::{ModelState, Posterior, on_reward_scale};
use crate::plan::ScenePlan;
use crate::plan::model::{ModelPlan, ModelScope};
use crate::plan::policy::{KEPT_MAX, Objective, ObjectiveValue, Objectives, PolicyPlan, Scorer};
use crate::plan::rule::{Expr, Truth};
use crate::rule::{Lookup, eval, truth};
use crate::slots::CustomerSlots;
use crate::value::Value;
use std::borrow::Cow;

/// How candidates are scored in one decision.
pub(super) enum Scoring<'a> {
    /// By an expression.
    Expression(&'a Expr),
    /// By a model.
    Model(Box<ModelScoring<'a>>),
    /// By several objectives.
    Objectives(Box<Weighed<'a>>),
    /// By a model that the scene does not have: every score is unknown.
    Nothing,
}

/// A candidate's score, or why it has none.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Scored {
    /// Score.
    At(f64),
    /// Something is not known.
    Unknown,
    /// The objective of this index says less than its floor.
    Below(usize),
}

/// Objectives with the weights and floors of one customer.
pub(super) struct Weighed<'a> {
    parts: Vec<Part<'a>>,
    /// Index of the part whose model's uncertainty is explored.
    pub(super) explored: Option<usize>,
}

struct Part<'a> {
    weight: f64,
    floor: Option<f64>,
    value: Measure<'a>,
}

/// What an objective's value is computed by.
enum Measure<'a> {
    Expression(&'a Expr),
    Model(Box<ModelScoring<'a>>),
    Nothing,
}

impl<'a> Weighed<'a> {
    fn new(scene: &'a ScenePlan, objectives: &'a Objectives, situation: &Situation<'a>) -> Self {
        let customer = situation.customer;
        let group =
            (objectives.groups.iter()).find(|g| truth(&g.rule.expr, customer) == Truth::True);
        let part = |(i, objective): (usize, &'a Objective)| Part {
            weight: group
                .and_then(|g| g.weights.get(i))
                .copied()
                .unwrap_or(objective.weight),
            floor: match group.and_then(|g| g.floors.get(i)) {
                Some(floor) => *floor,
                None => objective.floor,
            },
            value: match &objective.value {
                ObjectiveValue::Expression(expr) => Measure::Expression(expr),
                ObjectiveValue::Model(name) => {
                    let state = (situation.objective_models.iter())
                        .find(|(n, _)| n == name)
                        .map(|(_, state)| *state);
                    ModelScoring::new(scene, name, state, customer)
                        .map_or(Measure::Nothing, |m| Measure::Model(Box::new(m)))
                }
            },
        };
        Self {
            parts: objectives.objectives.iter().enumerate().map(part).collect(),
            explored: objectives.explored.map(usize::from),
        }
    }

    /// The sum, of an item of this key or of the null action, to which no floor applies.
    fn score<L: Lookup + ?Sized>(&mut self, item: Option<&str>, lookup: &L) -> Scored {
        let mut sum = 0.0;
        for (i, part) in self.parts.iter_mut().enumerate() {
            let value = match &mut part.value {
                Measure::Expression(expr) => number(&eval(expr, lookup)),
                Measure::Model(model) => model.score(item, lookup),
                Measure::Nothing => None,
            };
            let Some(value) = value.filter(|v| v.is_finite()) else {
                return Scored::Unknown;
            };
            if item.is_some() && part.floor.is_some_and(|floor| value < floor) {
                return Scored::Below(i);
            }
            sum += part.weight * value;
        }
        known(Some(sum))
    }

    /// The model that is explored, with its weight.
    pub(super) fn explored(&mut self) -> Option<(&mut ModelScoring<'a>, f64)> {
        let part = self.parts.get_mut(self.explored?)?;
        match &mut part.value {
            Measure::Model(model) => Some((model, part.weight)),
            Measure::Expression(_) | Measure::Nothing => None,
        }
    }
}

fn number(value: &Value<'_>) -> Option<f64> {
    match value {
        v @ (Value::Int(_) | Value::Number(_) | Value::Bool(_)) => v.as_number(),
        _ => None,
    }
}

fn known(score: Option<f64>) -> Scored {
    match score {
        Some(s) if s.is_finite() => Scored::At(s),
        _ => Scored::Unknown,
    }
}

/// A model with its beliefs, and room for features.
pub(super) struct ModelScoring<'a> {
    pub(super) plan: &'a ModelPlan,
    pub(super) state: Option<&'a ModelState>,
    /// The belief of arms never seen; of a shared model, the belief.
    shared: Cow<'a, Posterior>,
    /// Features of the customer (per-item models) or of the last item (shared ones).
    features: Vec<f64>,
    /// Features of the candidates so far, one after another, while a shared model has no more than [`KEPT_MAX`] of them.
    encoded: Option<Vec<f64>>,
}

impl<'a> Scoring<'a> {
    /// The scoring of `policy`.
    pub(super) fn new(
        scene: &'a ScenePlan,
        policy: &'a PolicyPlan,
        situation: &Situation<'a>,
    ) -> Self {
        match &policy.scorer {
            Scorer::Expression(expr) => Self::Expression(expr),
            Scorer::Model(name) => {
                ModelScoring::new(scene, name, situation.model, situation.customer)
                    .map_or(Self::Nothing, |m| Self::Model(Box::new(m)))
            }
            Scorer::Objectives(objectives) => {
                Self::Objectives(Box::new(Weighed::new(scene, objectives, situation)))
            }
        }
    }

    /// Score of an item.
    pub(super) fn item<L: Lookup + ?Sized>(&mut self, key: &str, lookup: &L) -> Scored {
        match self {
            Self::Expression(expr) => known(number(&eval(expr, lookup))),
            Self::Model(model) => known(model.score(Some(key), lookup)),
            Self::Objectives(weighed) => weighed.score(Some(key), lookup),
            Self::Nothing => Scored::Unknown,
        }
    }

    /// Score of the null action. `lookup` is the customer with an item whose attributes are missing. Under objectives that
    /// a missing attribute leaves unknown it is the declared one.
    pub(super) fn null<L: Lookup + ?Sized>(
        &mut self,
        policy: &PolicyPlan,
        lookup: &L,
    ) -> Option<f64> {
        let declared = policy.null_action.score;
        match self {
            Self::Expression(_) => Some(declared),
            Self::Model(model) => model.score(None, lookup),
            Self::Objectives(weighed) => match weighed.score(None, lookup) {
                Scored::At(score) => Some(score),
                Scored::Unknown | Scored::Below(_) => Some(declared),
            },
            Self::Nothing => None,
        }
        .filter(|s| s.is_finite())
    }

    /// The model whose uncertainty is explored, with its weight in the score.
    pub(super) fn explored(&mut self) -> Option<(&mut ModelScoring<'a>, f64)> {
        match self {
            Self::Model(model) => Some((model, 1.0)),
            Self::Objectives(weighed) => weighed.explored(),
            Self::Expression(_) | Self::Nothing => None,
        }
    }

    /// The item that was scored last is a candidate.
    pub(super) fn keep(&mut self) {
        if let Some((model, _)) = self.explored() {
            model.keep();
        }
    }

    /// The model that says what its features add to a score, where one alone does.
    pub(super) fn contributing(&mut self) -> Option<&mut ModelScoring<'a>> {
        self.explored().map(|(model, _)| model)
    }
}

impl<'a> ModelScoring<'a> {
    /// The model `name` in `state`; none that the scene does not have.
    fn new(
        scene: &'a ScenePlan,
        name: &str,
        state: Option<&'a ModelState>,
        customer: &CustomerSlots<'_>,
    ) -> Option<Self> {
        let plan = scene.models.iter().find(|m| m.name == name)?;
        let mut features = Vec::with_capacity(features::dimension(plan));
        let mut shared: Cow<'a, Posterior> = Cow::Owned(Posterior::prior(plan));
        match plan.scope {
            ModelScope::PerItem => features::encode(plan, customer, &mut features),
            ModelScope::Shared => {
                if let Some(belief) = state
                    .and_then(|s| s.posterior(plan, None))
                    .filter(|b| b.dimension() == shared.dimension())
                {
                    shared = Cow::Borrowed(belief);
                }
            }
        }
        Some(Self {
            plan,
            state,
            shared,
            features,
            encoded: (plan.scope == ModelScope::Shared).then(Vec::new),
        })
    }

    /// Puts the candidate's features in place. A per-item model has the customer's, which are there already.
    fn encode<L: Lookup + ?Sized>(&mut self, lookup: &L) {
        if self.plan.scope == ModelScope::Shared {
            features::encode(self.plan, lookup, &mut self.features);
        }
    }

    /// Keeps the features of what was scored last: it is the next candidate.
    fn keep(&mut self) {
        let Some(encoded) = &mut self.encoded else {
            return;
        };
        encoded.extend_from_slice(&self.features);
        if encoded.len() > (KEPT_MAX as usize + 1) * self.features.len() {
            self.encoded = None;
        }
    }

    /// The belief about candidate `i`, an item of this key or the null action, and its features; its slots are asked for
    /// where the features were not kept.
    pub(super) fn seen<L: Lookup>(
        &mut self,
        i: usize,
        item: Option<&str>,
        lookup: impl FnOnce() -> L,
    ) -> (&Posterior, &[f64]) {
        let d = self.features.len();
        let is_kept = (self.encoded.as_ref()).is_some_and(|e| e.len() >= (i + 1) * d && d > 0);
        if !is_kept {
            self.encode(&lookup());
        }
        let features = match &self.encoded {
            Some(encoded) if is_kept => &encoded[i * d..(i + 1) * d],
            _ => &self.features[..],
        };
        (self.belief(item), features)
    }

    /// The belief about a candidate.
    pub(super) fn belief(&self, item: Option<&str>) -> &Posterior {
        match self.plan.scope {
            ModelScope::Shared => &self.shared,
            ModelScope::PerItem => (self.state.and_then(|s| s.posterior(self.plan, item)))
                .filter(|b| b.dimension() == self.shared.dimension())
                .unwrap_or(&self.shared),
        }
    }

    fn score<L: Lookup + ?Sized>(&mut self, item: Option<&str>, lookup: &L) -> Option<f64> {
        self.encode(lookup);
        Some(on_reward_scale(
            self.plan.kind,
            self.belief(item).linear_mean(&self.features),
        ))
    }
}
