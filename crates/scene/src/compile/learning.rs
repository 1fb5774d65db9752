//! Rewards and models: what a decision is judged by and what is learned from it.

use super::{Compiler, Want, duration};
use crate::cel::{Place, Scope, Ty};
use crate::fault::{Code, listed, nearest, shown};
use crate::node::{Key, Node};
use luopan_kernel::plan::model::{DIMENSION_MAX, REPLICATED_MAX};
use luopan_kernel::plan::{
    Combine, Feature, FeaturePlan, Join, ModelKind, ModelPlan, ModelScope, RewardPlan, SlotId,
    SlotSource,
};
use luopan_kernel::value::ValueType;
use std::collections::BTreeSet;

/// Most rewards of a scene.
pub const REWARDS_MAX: usize = 256;
/// Most models of a scene.
pub const MODELS_MAX: usize = 256;

impl Compiler<'_, '_> {
    pub(super) fn rewards(&mut self) {
        for (key, node) in self.section("rewards") {
            if self.plan.rewards.len() == REWARDS_MAX {
                self.report.at(
                    key.at,
                    Code::Limit,
                    "more rewards than are kept",
                    format!("write at most {REWARDS_MAX}"),
                );
                break;
            }
            if let Some(reward) = self.reward(key, node) {
                self.plan.rewards.push(reward);
            }
        }
    }

    fn reward(&mut self, key: &Key, node: &Node) -> Option<RewardPlan> {
        let event = node.get("event").and_then(|n| self.event_index(n));
        let scope = self.event_scope(event);
        let filter = node
            .get("where")
            .map(|n| self.expression(n, &scope, Want::Condition));
        let value = node
            .get("value")
            .and_then(|n| self.expression(n, &scope, Want::Figure));
        let join_node = node.get("join");
        let through = |key: &str| join_node.and_then(|n| n.get(key));
        let by_order = through("order");
        if let Some(n) = by_order
            && self.section("orders").is_empty()
            && !self.sections.is_vague("orders")
        {
            self.report.at(
                n.at,
                Code::Conflict,
                "the scene has no orders that would know their decisions",
                "declare them under `orders`, or write `{decision: FIELD}`",
            );
        }
        let join = match (join_node, through("decision").or(by_order)) {
            (None, _) => None,
            (Some(_), None) => Some(Join::Customer),
            (Some(_), Some(n)) => {
                let field = event.and_then(|e| self.field_index(e, n));
                if let (Some(event), Some(i)) = (event, field) {
                    let f = &self.plan.events[usize::from(event)].fields[usize::from(i)];
                    if f.kind != ValueType::Text {
                        let found = format!("`{}` is {}", f.name, f.kind.word());
                        let write = match by_order {
                            Some(_) => "an order's id is text",
                            None => "a decision's id is text",
                        };
                        self.report.at(n.at, Code::WrongType, found, write);
                    }
                }
                match by_order {
                    Some(_) => field.map(Join::Order),
                    None => field.map(Join::Decision),
                }
            }
        };
        let window_us = node.get("window").and_then(duration);
        Some(RewardPlan {
            name: key.text.clone(),
            version: node
                .get("version")
                .and_then(Node::integer)
                .and_then(|v| u32::try_from(v).ok())
                .unwrap_or(1),
            event: event?,
            filter: match filter {
                None => None,
                Some(found) => Some(found?.expr),
            },
            join: join?,
            value: value?.expr,
            window_us: window_us?,
            combine: match node.get("combine").and_then(Node::text) {
                Some("sum") => Combine::Sum,
                Some("max") => Combine::Max,
                _ => Combine::First,
            },
            default: node.get("default").and_then(Node::number).unwrap_or(0.0),
        })
    }

    /// Index of the reward that `node` names.
    pub(super) fn reward_index(&mut self, node: &Node) -> Option<u16> {
        let name = node.text()?;
        let names: Vec<&str> = self
            .section("rewards")
            .iter()
            .map(|(k, _)| k.text.as_str())
            .collect();
        match names.iter().position(|n| *n == name) {
            Some(i) => Some(i as u16),
            None => {
                self.unknown(node.at, "rewards", "reward", name);
                None
            }
        }
    }

    pub(super) fn models(&mut self) {
        for (key, node) in self.section("models") {
            if self.plan.models.len() == MODELS_MAX {
                self.report.at(
                    key.at,
                    Code::Limit,
                    "more models than are kept",
                    format!("write at most {MODELS_MAX}"),
                );
                break;
            }
            if let Some(model) = self.model(key, node) {
                self.plan.models.push(model);
            }
        }
    }

    fn model(&mut self, key: &Key, node: &Node) -> Option<ModelPlan> {
        let reward = node.get("reward").and_then(|n| self.reward_index(n));
        let catalogue = node.get("catalogue").and_then(|n| self.catalogue_index(n));
        let word = |name: &str| node.get(name).and_then(Node::text);
        let kind_known = matches!(word("kind"), Some("linear" | "logistic"));
        let kind = match word("kind") {
            Some("linear") => ModelKind::Linear,
            _ => ModelKind::Logistic,
        };
        // What the items' own features may be is known only with the scope.
        let scope = match word("scope") {
            Some("per_item") => ModelScope::PerItem,
            _ => ModelScope::Shared,
        };
        let number = |name: &str| node.get(name).and_then(Node::number);
        let prior_variance = number("prior_variance").unwrap_or(1.0);
        let names = match catalogue {
            Some(c) => self.scope(Place::Scored(c)),
            None => self.item_scope(None),
        };
        let mut features = Vec::new();
        let mut sound = true;
        let mut dimension = 0usize;
        for n in node.get("features").map_or(&[][..], Node::elements) {
            let Some(plan) = self.feature(n, &names, scope) else {
                sound = false;
                continue;
            };
            dimension = dimension.saturating_add(width(&plan));
            features.push(Feature {
                plan,
                prior_variance: n
                    .get("prior_variance")
                    .and_then(Node::number)
                    .unwrap_or(prior_variance),
            });
        }
        if dimension > DIMENSION_MAX {
            let at = node.get("features").map_or(key.at, |n| n.at);
            self.report.at(
                at,
                Code::Limit,
                format!("the features of `{}` give {dimension} numbers", key.text),
                format!("leave some out or take fewer bins; at most {DIMENSION_MAX} are kept"),
            );
        }
        let replicates = (node.get("replicates"))
            .and_then(Node::integer)
            .and_then(|n| u16::try_from(n).ok())
            .unwrap_or(0);
        let numbers = usize::from(replicates).saturating_mul(dimension.saturating_mul(dimension));
        if numbers > REPLICATED_MAX {
            let at = node.get("replicates").map_or(key.at, |n| n.at);
            self.report.at(
                at,
                Code::Limit,
                format!("{replicates} replicates of {dimension} numbers"),
                format!(
                    "at most {} of so many are kept; take fewer, or fewer features",
                    REPLICATED_MAX / (dimension * dimension)
                ),
            );
        }
        let bounds: Vec<f64> = node
            .get("reward_bounds")
            .map_or(&[][..], Node::elements)
            .iter()
            .filter_map(Node::number)
            .collect();
        let reward_bounds = match (bounds.as_slice(), kind) {
            ([low, high], _) if low < high => (*low, *high),
            ([], ModelKind::Logistic) => (0.0, 1.0),
            ([], ModelKind::Linear) => {
                self.report.at(
                    key.at,
                    Code::MissingKey,
                    "a linear model without `reward_bounds`",
                    "write `reward_bounds: [0, 100]`: one outlier must not move the model without bound",
                );
                (0.0, 1.0)
            }
            _ => {
                let at = node.get("reward_bounds").map_or(key.at, |n| n.at);
                self.report.at(
                    at,
                    Code::OutOfRange,
                    "bounds that are not two ascending numbers",
                    "write `reward_bounds: [low, high]`",
                );
                (0.0, 1.0)
            }
        };
        if kind_known
            && kind == ModelKind::Logistic
            && reward_bounds != (0.0, 1.0)
            && let Some(n) = node.get("reward_bounds")
        {
            self.report.at(
                n.at,
                Code::Conflict,
                "a logistic model with other bounds than 0 and 1",
                "leave `reward_bounds` out, or make it linear",
            );
        }
        sound.then_some(ModelPlan {
            name: key.text.clone(),
            kind,
            scope,
            reward: reward?,
            catalogue: catalogue?,
            features,
            prior_intercept: number("prior_intercept").unwrap_or(0.0),
            noise_variance: number("noise_variance").unwrap_or(1.0),
            drift_variance: number("drift_variance").unwrap_or(0.0),
            reward_bounds,
            replicates,
        })
    }

    pub(super) fn feature(
        &mut self,
        node: &Node,
        names: &Scope<'_>,
        scope: ModelScope,
    ) -> Option<FeaturePlan> {
        if node.text() == Some("intercept") || node.get("intercept").is_some() {
            return Some(FeaturePlan::Intercept);
        }
        let flag = |name: &str| node.get(name).and_then(Node::boolean).unwrap_or(true);
        if let Some(n) = node.get("standard") {
            let (slot, ty) = self.feature_slot(n, names, scope)?;
            if ty == Ty::Text {
                self.report.at(
                    n.at,
                    Code::WrongType,
                    format!("`{}` is text", shown(n.scalar()?)),
                    "use `one_hot` for text",
                );
                return None;
            }
            return Some(FeaturePlan::Standard {
                slot,
                mean: node.get("mean")?.number()?,
                scale: node.get("scale")?.number()?,
                clip: node.get("clip").map_or(Some(4.0), Node::number)?,
            });
        }
        if let Some(n) = node.get("one_hot") {
            let (slot, ty) = self.feature_slot(n, names, scope)?;
            if !matches!(ty, Ty::Text | Ty::Boolean | Ty::Integer) {
                self.report.at(
                    n.at,
                    Code::WrongType,
                    format!("`{}` is {}", shown(n.scalar()?), ty.word()),
                    "one-hot takes text, boolean or integer; use `bins` or `standard`",
                );
                return None;
            }
            let mut categories: Vec<String> = node
                .get("categories")
                .map_or(&[][..], Node::elements)
                .iter()
                .filter_map(Node::scalar)
                .map(str::to_owned)
                .collect();
            if categories.is_empty() {
                categories = match ty {
                    Ty::Boolean => vec!["false".into(), "true".into()],
                    _ => self.one_of(slot),
                };
            }
            if categories.is_empty() {
                self.report.at(
                    node.at,
                    Code::MissingKey,
                    format!("no categories for `{}`", shown(n.scalar()?)),
                    "write `categories: [...]`, or declare `one_of` where the field is declared",
                );
                return None;
            }
            self.within(node, n, names.texts(&luopan_kernel::plan::Expr::Slot(slot)));
            let mut seen = BTreeSet::new();
            if let Some(twice) = categories.iter().find(|c| !seen.insert(c.as_str())) {
                self.report.at(
                    node.at,
                    Code::DuplicateName,
                    format!("the category `{}` stands twice", shown(twice)),
                    "keep one of them",
                );
                return None;
            }
            return Some(FeaturePlan::OneHot {
                slot,
                categories,
                other: flag("other"),
                missing: flag("missing"),
            });
        }
        if let Some(n) = node.get("bins") {
            let (slot, ty) = self.feature_slot(n, names, scope)?;
            if matches!(ty, Ty::Text | Ty::Boolean) {
                self.report.at(
                    n.at,
                    Code::WrongType,
                    format!("`{}` is {}", shown(n.scalar()?), ty.word()),
                    "use `one_hot`",
                );
                return None;
            }
            let edges_node = node.get("edges")?;
            let edges: Vec<f64> = edges_node
                .elements()
                .iter()
                .filter_map(Node::number)
                .collect();
            if edges.windows(2).any(|w| w[0] >= w[1]) {
                self.report.at(
                    edges_node.at,
                    Code::OutOfRange,
                    "edges that do not ascend",
                    "write them from small to large, each once",
                );
                return None;
            }
            return Some(FeaturePlan::Bins {
                slot,
                edges,
                missing: flag("missing"),
            });
        }
        let pair = node.get("cross")?;
        let [left, right] = pair.elements() else {
            // Fewer than two were reported with the shape.
            if pair.elements().len() > 2 {
                self.report.at(
                    pair.at,
                    Code::OutOfRange,
                    format!("a cross of {}", pair.elements().len()),
                    "cross two features; cross the cross with a third",
                );
            }
            return None;
        };
        for n in [left, right] {
            if let Some(p) = n.get("prior_variance") {
                self.report.at(
                    p.at,
                    Code::Conflict,
                    "a prior within a cross",
                    "write `prior_variance` beside `cross`",
                );
            }
        }
        let left = self.feature(left, names, scope);
        let right = self.feature(right, names, scope);
        Some(FeaturePlan::Cross {
            left: Box::new(left?),
            right: Box::new(right?),
        })
    }

    /// Reports categories that the slot, of whose texts all are known, never holds.
    fn within(&mut self, node: &Node, slot: &Node, texts: Option<BTreeSet<String>>) {
        let Some(texts) = texts else { return };
        let known = || texts.iter().map(String::as_str);
        for n in node.get("categories").map_or(&[][..], Node::elements) {
            let Some(text) = n.scalar().filter(|t| !texts.contains(*t)) else {
                continue;
            };
            self.report.near(
                n.at,
                Code::OutOfRange,
                format!(
                    "`{}` is never `{}`",
                    shown(slot.scalar().unwrap_or_default()),
                    shown(text)
                ),
                format!("it is one of {}", listed(known())),
                nearest(text, known()),
            );
        }
    }

    /// The slot of a feature, refused where it may not be one.
    fn feature_slot(
        &mut self,
        node: &Node,
        names: &Scope<'_>,
        scope: ModelScope,
    ) -> Option<(SlotId, Ty)> {
        let typed = self.expression(node, names, Want::Anything)?;
        let luopan_kernel::plan::Expr::Slot(slot) = typed.expr else {
            self.report.at(
                node.at,
                Code::WrongType,
                format!(
                    "`{}` is an expression",
                    shown(node.scalar().unwrap_or_default())
                ),
                "name a tag; give the expression a name under `derived`",
            );
            return None;
        };
        if let Some(why) = self.not_a_feature.get(&slot) {
            let why = why.clone();
            self.report.at(
                node.at,
                Code::NotAFeature,
                format!(
                    "`{}` may not be a feature: {why}",
                    shown(node.scalar().unwrap_or_default())
                ),
                "leave this feature out",
            );
            return None;
        }
        let of_item = matches!(
            self.plan.slots.get(usize::from(slot.0)).map(|s| &s.source),
            Some(
                SlotSource::Item(..)
                    | SlotSource::ItemKey(_)
                    | SlotSource::Stage(_)
                    | SlotSource::Held(..)
                    | SlotSource::Paired(..)
            )
        );
        if of_item && scope == ModelScope::PerItem {
            self.report.at(
                node.at,
                Code::Conflict,
                format!(
                    "`{}` is the item's, and the model has weights for each item",
                    shown(node.scalar().unwrap_or_default())
                ),
                "leave it out, or write `scope: shared`",
            );
            return None;
        }
        Some((slot, typed.ty))
    }

    /// The texts declared for what a slot holds.
    fn one_of(&self, slot: SlotId) -> Vec<String> {
        let Some(plan) = self.plan.slots.get(usize::from(slot.0)) else {
            return Vec::new();
        };
        match plan.source {
            SlotSource::Tag(t) => self
                .plan
                .tags
                .get(usize::from(t))
                .and_then(|t| {
                    let event = self.plan.events.get(usize::from(t.event))?;
                    event.fields.get(usize::from(t.measure.of?))
                })
                .map(|f| f.one_of.clone()),
            SlotSource::Request => self
                .request
                .iter()
                .find(|f| plan.name.strip_prefix("request.") == Some(f.name.as_str()))
                .map(|f| f.one_of.clone()),
            SlotSource::Item(c, a) => self
                .plan
                .catalogues
                .get(usize::from(c))
                .and_then(|c| c.attributes.get(usize::from(a)))
                .map(|f| f.one_of.clone()),
            SlotSource::ItemKey(c) => self
                .plan
                .catalogues
                .get(usize::from(c))
                .map(|c| c.items.iter().map(|i| i.key.clone()).collect()),
            SlotSource::Derived(_)
            | SlotSource::Environment(_)
            | SlotSource::Market(_)
            | SlotSource::Intention(..)
            | SlotSource::Stage(_)
            | SlotSource::Book(..)
            | SlotSource::Held(..)
            | SlotSource::Paired(..) => None,
        }
        .unwrap_or_default()
    }
}

/// Positions of the vector that a feature takes, held at the end of the range.
fn width(plan: &FeaturePlan) -> usize {
    match plan {
        FeaturePlan::Cross { left, right } => width(left).saturating_mul(width(right)),
        other => luopan_kernel::features::width(other),
    }
}
