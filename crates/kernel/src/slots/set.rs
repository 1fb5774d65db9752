//! Which slots of a scene are read: sets that are closed over what derived tags and attributes are made of.

use crate::plan::ScenePlan;
use crate::plan::model::FeaturePlan;
use crate::plan::policy::{ObjectiveValue, PolicyPlan, RankingInput, Scorer};
use crate::plan::rule::Expr;
use crate::plan::slot::{SlotId, SlotPlan, SlotSource};
use crate::rule::visit_slots;

/// A set of a scene's slots, closed over what its derived tags read, so that a policy or segment computes those and no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotSet {
    bits: Vec<u64>,
    /// In order of computation: plain slots, then derived tags in their order.
    order: Vec<SlotId>,
}

impl SlotSet {
    /// The slots `wanted` and all that they are derived from.
    pub fn new(scene: &ScenePlan, wanted: impl IntoIterator<Item = SlotId>) -> Self {
        let mut set = Self {
            bits: vec![0; scene.slots.len().div_ceil(64)],
            order: Vec::new(),
        };
        let mut open: Vec<SlotId> = wanted.into_iter().collect();
        while let Some(id) = open.pop() {
            let Some(slot) = scene.slots.get(usize::from(id.0)) else {
                continue;
            };
            if set.contains(id) {
                continue;
            }
            set.bits[usize::from(id.0) / 64] |= 1 << (id.0 % 64);
            set.order.push(id);
            if let SlotSource::Derived(k) = slot.source
                && let Some(expr) = scene.derived.get(usize::from(k))
            {
                visit_slots(expr, &mut |read| open.push(read));
            }
            if let SlotSource::Paired(_, k) = slot.source
                && let Some(expr) = scene.paired.get(usize::from(k))
            {
                visit_slots(expr, &mut |read| open.push(read));
            }
            // What an intention is predicted from is read beside it, so that it can be predicted again.
            if let SlotSource::Intention(k, _) = slot.source
                && let Some(intention) = scene.intentions.get(usize::from(k))
            {
                let is_read = |s: &SlotPlan| s.source == SlotSource::Tag(intention.sequence);
                let place = scene.slots.iter().position(is_read);
                open.extend(place.map(|i| SlotId(i as u16)));
            }
        }
        set.order
            .sort_by_key(|id| match scene.slots[usize::from(id.0)].source {
                SlotSource::Derived(k) => (1, k, id.0),
                _ => (0, 0, id.0),
            });
        set
    }

    /// Every slot of the scene.
    pub fn all(scene: &ScenePlan) -> Self {
        Self::new(scene, (0..scene.slots.len() as u16).map(SlotId))
    }

    /// The slots that `exprs` read.
    pub fn reading<'e>(scene: &ScenePlan, exprs: impl IntoIterator<Item = &'e Expr>) -> Self {
        let mut wanted = Vec::new();
        for expr in exprs {
            visit_slots(expr, &mut |id| wanted.push(id));
        }
        Self::new(scene, wanted)
    }

    /// The slots that the gates of the customer read: all that is looked at of a customer whom one of them refuses. With
    /// `rules_of_items` also those of suitability and exclusions, by which an item that was asked for is judged even then.
    pub fn of_gates(scene: &ScenePlan, policy: &PolicyPlan, rules_of_items: bool) -> Self {
        Self::new(scene, gate_slots(policy, rules_of_items))
    }

    /// The slots that a policy reads: its rules, consent, costs, and its scorer with the model's features.
    pub fn of_policy(scene: &ScenePlan, policy: &PolicyPlan) -> Self {
        let mut wanted = gate_slots(policy, true);
        let mut read = |expr: &Expr| visit_slots(expr, &mut |id| wanted.push(id));
        policy.budgets.iter().for_each(|b| read(&b.cost));
        let model = |name: &str, wanted: &mut Vec<SlotId>| {
            (scene.models.iter())
                .filter(|m| m.name == *name)
                .flat_map(|m| &m.features)
                .for_each(|f| feature_slots(&f.plan, wanted));
        };
        match &policy.scorer {
            Scorer::Expression(expr) => read(expr),
            Scorer::Model(name) => model(name, &mut wanted),
            Scorer::Objectives(o) => {
                o.groups.iter().for_each(|g| read(&g.rule.expr));
                for objective in &o.objectives {
                    match &objective.value {
                        ObjectiveValue::Expression(expr) => {
                            visit_slots(expr, &mut |id| wanted.push(id));
                        }
                        ObjectiveValue::Model(name) => model(name, &mut wanted),
                    }
                }
            }
        }
        if let Some(retrieval) = &policy.retrieval {
            (retrieval.customer.iter().chain(&retrieval.item))
                .for_each(|f| feature_slots(f, &mut wanted));
            wanted.extend(retrieval.each.map(|e| e.by));
        }
        for input in policy.ranking.iter().flat_map(|r| &r.inputs) {
            match input {
                RankingInput::Number(slot) | RankingInput::Category { slot, .. } => {
                    wanted.push(*slot);
                }
            }
        }
        wanted.extend(policy.diversity.as_ref().map(|d| d.by));
        Self::new(scene, wanted)
    }

    /// The slots that these features read.
    pub fn of_features(scene: &ScenePlan, features: &[FeaturePlan]) -> Self {
        let mut wanted = Vec::new();
        features.iter().for_each(|f| feature_slots(f, &mut wanted));
        Self::new(scene, wanted)
    }

    /// True when `id` is in the set.
    pub fn contains(&self, id: SlotId) -> bool {
        (self.bits.get(usize::from(id.0) / 64)).is_some_and(|w| w >> (id.0 % 64) & 1 == 1)
    }

    /// The slots, in the order in which they are computed.
    pub fn iter(&self) -> impl Iterator<Item = SlotId> {
        self.order.iter().copied()
    }
}

fn gate_slots(policy: &PolicyPlan, rules_of_items: bool) -> Vec<SlotId> {
    let mut out: Vec<SlotId> = policy.consent.into_iter().collect();
    let of_items = (policy.suitability.iter().chain(&policy.exclusions)).filter(|_| rules_of_items);
    for rule in policy.eligibility.iter().chain(of_items) {
        visit_slots(&rule.expr, &mut |id| out.push(id));
    }
    out
}

fn feature_slots(feature: &FeaturePlan, out: &mut Vec<SlotId>) {
    match feature {
        FeaturePlan::Intercept => {}
        FeaturePlan::Standard { slot, .. }
        | FeaturePlan::OneHot { slot, .. }
        | FeaturePlan::Bins { slot, .. } => out.push(*slot),
        FeaturePlan::Cross { left, right } => {
            feature_slots(left, out);
            feature_slots(right, out);
        }
    }
}
