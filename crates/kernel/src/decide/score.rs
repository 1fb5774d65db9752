//! Scoring candidates, by a declared expression or by a model, and what scoring knows of how uncertain a model is.

use crate::features;
use crate::learn::{ModelState, Posterior, on_reward_scale};
use crate::plan::ScenePlan;
use crate::plan::model::{ModelPlan, ModelScope};
use crate::plan::policy::{PolicyPlan, Scorer};
use crate::plan::rule::Expr;
use crate::rule::{Lookup, eval};
use crate::slots::CustomerSlots;
use crate::value::Value;
use std::borrow::Cow;

/// How candidates are scored in one decision.
pub(super) enum Scoring<'a> {
    /// By an expression.
    Expression(&'a Expr),
    /// By a model.
    Model(Box<ModelScoring<'a>>),
    /// By a model that the scene does not have: every score is unknown.
    Nothing,
}

/// A model with its beliefs, and room for features.
pub(super) struct ModelScoring<'a> {
    pub(super) plan: &'a ModelPlan,
    state: Option<&'a ModelState>,
    /// The belief of arms never seen; of a shared model, the belief.
    shared: Cow<'a, Posterior>,
    /// Features of the customer (per-item models) or of the last item (shared ones).
    pub(super) features: Vec<f64>,
}

impl<'a> Scoring<'a> {
    /// The scoring of `policy`.
    pub(super) fn new(
        scene: &'a ScenePlan,
        policy: &'a PolicyPlan,
        model: Option<&'a ModelState>,
        customer: &CustomerSlots<'_>,
    ) -> Self {
        match &policy.scorer {
            Scorer::Expression(expr) => Self::Expression(expr),
            Scorer::Model(name) => match scene.models.iter().find(|m| m.name == *name) {
                None => Self::Nothing,
                Some(plan) => {
                    let mut features = Vec::with_capacity(features::dimension(plan));
                    let mut shared: Cow<'a, Posterior> = Cow::Owned(Posterior::prior(plan));
                    match plan.scope {
                        ModelScope::PerItem => features::encode(plan, customer, &mut features),
                        ModelScope::Shared => {
                            if let Some(belief) = model
                                .and_then(|s| s.posterior(plan, None))
                                .filter(|b| b.dimension() == shared.dimension())
                            {
                                shared = Cow::Borrowed(belief);
                            }
                        }
                    }
                    Self::Model(Box::new(ModelScoring {
                        plan,
                        state: model,
                        shared,
                        features,
                    }))
                }
            },
        }
    }

    /// Score of an item, or none when it is unknown.
    pub(super) fn item<L: Lookup + ?Sized>(&mut self, key: &str, lookup: &L) -> Option<f64> {
        match self {
            Self::Expression(expr) => match eval(expr, lookup) {
                v @ (Value::Int(_) | Value::Number(_) | Value::Bool(_)) => v.as_number(),
                _ => None,
            },
            Self::Model(model) => model.score(Some(key), lookup),
            Self::Nothing => None,
        }
        .filter(|s| s.is_finite())
    }

    /// Score of the null action. `lookup` is the customer with an item whose attributes are missing.
    pub(super) fn null<L: Lookup + ?Sized>(
        &mut self,
        policy: &PolicyPlan,
        lookup: &L,
    ) -> Option<f64> {
        match self {
            Self::Expression(_) => Some(policy.null_action.score),
            Self::Model(model) => model.score(None, lookup),
            Self::Nothing => None,
        }
        .filter(|s| s.is_finite())
    }
}

impl ModelScoring<'_> {
    /// Puts the candidate's features in place. A per-item model has the customer's, which are there already.
    pub(super) fn encode<L: Lookup + ?Sized>(&mut self, lookup: &L) {
        if self.plan.scope == ModelScope::Shared {
            features::encode(self.plan, lookup, &mut self.features);
        }
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
