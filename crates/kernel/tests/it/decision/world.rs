//! Random scenes, situations and requests to decide in, with everything that can be unknown being unknown now and then.

use luopan_kernel::artifact::Artifacts;
use luopan_kernel::catalogue::Catalogue;
use luopan_kernel::decide::{Contact, Decision, Request, Situation, decide};
use luopan_kernel::event::Origin;
use luopan_kernel::id::{DecisionId, IdentifierId};
use luopan_kernel::learn::{ModelState, Sample, learn};
use luopan_kernel::plan::*;
use luopan_kernel::random::Random;
use luopan_kernel::slots::CustomerSlots;
use luopan_kernel::time::{DAY_US, HOUR_US, Micros, Moment};
use luopan_kernel::value::{Value, ValueType};

pub(crate) const NOW: i64 = 1_000 * DAY_US + 13 * HOUR_US;
pub(crate) const CONSENT: u16 = 2;

/// Everything a decision is made from.
#[derive(Debug, Clone)]
pub(crate) struct World {
    pub(crate) scene: ScenePlan,
    pub(crate) catalogue: Catalogue,
    pub(crate) customer: CustomerSlots<'static>,
    pub(crate) contacts: Vec<Contact>,
    pub(crate) spent: Vec<i64>,
    pub(crate) model: Option<ModelState>,
    pub(crate) artifacts: Artifacts,
    pub(crate) elapsed: Vec<f64>,
    pub(crate) request: Request,
}

impl World {
    pub(crate) fn policy(&self) -> &PolicyPlan {
        &self.scene.policies[0]
    }
    pub(crate) fn policy_mut(&mut self) -> &mut PolicyPlan {
        &mut self.scene.policies[0]
    }
    /// The model, under its name, for a policy of objectives.
    pub(crate) fn objective_models(&self) -> Vec<(&str, &ModelState)> {
        let name = |o: &Objective| matches!(&o.value, ObjectiveValue::Model(_));
        match (&self.policy().scorer, &self.model) {
            (Scorer::Objectives(o), Some(model)) if o.objectives.iter().any(name) => {
                vec![("response", model)]
            }
            _ => Vec::new(),
        }
    }
    pub(crate) fn situation<'a>(
        &'a self,
        models: &'a [(&'a str, &'a ModelState)],
    ) -> Situation<'a> {
        Situation {
            customer: &self.customer,
            catalogue: &self.catalogue,
            prepared: None,
            contacts: &self.contacts,
            spent: &self.spent,
            elapsed: &self.elapsed,
            model: self.model.as_ref(),
            objective_models: models,
            artifacts: &self.artifacts,
        }
    }
    pub(crate) fn decide(&self, seed: u64) -> Decision {
        decide(
            &self.scene,
            self.policy(),
            &self.situation(&self.objective_models()),
            &self.request,
            seed,
        )
    }
}

/// Draws for building worlds.
pub(crate) struct Dice(pub(crate) Random);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Random::new(seed))
    }
    pub(crate) fn below(&mut self, n: usize) -> usize {
        (self.0.uniform() * n as f64) as usize
    }
    pub(crate) fn chance(&mut self, p: f64) -> bool {
        self.0.uniform() < p
    }
    pub(crate) fn maybe<T>(&mut self, p: f64, f: impl FnOnce(&mut Self) -> T) -> Option<T> {
        if self.chance(p) { Some(f(self)) } else { None }
    }
}

fn slot(name: &str, kind: ValueType, source: SlotSource) -> SlotPlan {
    SlotPlan {
        name: name.into(),
        kind,
        source,
    }
}

pub(crate) fn slots() -> Vec<SlotPlan> {
    vec![
        slot("tier", ValueType::Integer, SlotSource::Tag(0)),
        slot("balance", ValueType::Number, SlotSource::Tag(1)),
        slot("consent", ValueType::Boolean, SlotSource::Tag(2)),
        slot("city", ValueType::Text, SlotSource::Tag(3)),
        slot("request.page", ValueType::Text, SlotSource::Request),
        slot(
            "env.hour",
            ValueType::Integer,
            SlotSource::Environment(EnvironmentTag::Hour),
        ),
        slot("item.risk", ValueType::Integer, SlotSource::Item(0, 0)),
        slot("item.fee", ValueType::Money, SlotSource::Item(0, 1)),
        slot("item.kind", ValueType::Text, SlotSource::Item(0, 2)),
        slot("item.key", ValueType::Text, SlotSource::ItemKey(0)),
    ]
}

fn field(name: &str, kind: ValueType) -> Field {
    Field {
        name: name.into(),
        kind,
        required: false,
        personal: false,
        currency: None,
        one_of: vec![],
        not_a_feature: None,
    }
}

/// A value for slot `id`, missing now and then.
fn value(dice: &mut Dice, id: u16) -> Value<'static> {
    if dice.chance(0.15) {
        return Value::Missing;
    }
    match id {
        0 | 6 => Value::Int(dice.below(5) as i64),
        1 => Value::Number(dice.0.normal()),
        2 => Value::Bool(dice.chance(0.9)),
        5 => Value::Int(13),
        7 => Value::Int(dice.below(12) as i64 - 1),
        _ => Value::text(["a", "b", "c"][dice.below(3)]),
    }
}

pub(crate) fn condition(dice: &mut Dice, depth: u32, with_item: bool) -> Expr {
    let s = |id: u16| Box::new(Expr::Slot(SlotId(id)));
    let c = |v: Value<'static>| Box::new(Expr::Const(v));
    if depth == 0 || dice.chance(0.4) {
        let compare = [
            BinaryOp::Lt,
            BinaryOp::Le,
            BinaryOp::Ge,
            BinaryOp::Ne,
            BinaryOp::Eq,
        ][dice.below(5)];
        return match (dice.below(5), with_item) {
            (0, true) => Expr::Binary(compare, s(6), s(0)),
            (1, true) => Expr::Binary(compare, s(7), c(Value::Int(5))),
            (2, true) => Expr::In(s(8), vec![Value::text("a"), Value::text("b")]),
            (0 | 3, _) => Expr::Binary(compare, s(0), c(Value::Int(dice.below(5) as i64))),
            (1, false) => Expr::Binary(BinaryOp::Ge, s(5), c(Value::Int(9))),
            (2, false) => Expr::Call(Function::Known, vec![Expr::Slot(SlotId(3))]),
            _ => Expr::Binary(compare, s(3), s(4)),
        };
    }
    let left = Box::new(condition(dice, depth - 1, with_item));
    match dice.below(3) {
        0 => Expr::Unary(UnaryOp::Not, left),
        1 => Expr::Binary(
            BinaryOp::And,
            left,
            Box::new(condition(dice, depth - 1, with_item)),
        ),
        _ => Expr::Binary(
            BinaryOp::Or,
            left,
            Box::new(condition(dice, depth - 1, with_item)),
        ),
    }
}

fn rules(
    dice: &mut Dice,
    word: &str,
    most: usize,
    with_item: bool,
    negate: bool,
) -> Vec<NamedRule> {
    (0..dice.below(most + 1))
        .map(|i| {
            // Mostly an `or` with something likely, so that worlds in which nothing passes stay the minority.
            let raw = condition(dice, 2, with_item);
            let likely = Expr::Binary(
                BinaryOp::Lt,
                Box::new(Expr::Slot(SlotId(1))),
                Box::new(Expr::Const(Value::Number(0.8))),
            );
            let expr = Expr::Binary(BinaryOp::Or, Box::new(raw), Box::new(likely));
            let expr = if negate {
                Expr::Unary(UnaryOp::Not, Box::new(expr))
            } else {
                expr
            };
            NamedRule {
                name: format!("{word} {i}"),
                source: String::new(),
                expr,
                version: Some("2026-01".into()),
                authority: None,
                effective: None,
            }
        })
        .collect()
}

pub(crate) fn exploration(dice: &mut Dice) -> Exploration {
    match dice.below(5) {
        0 => Exploration::Greedy,
        1 => Exploration::EpsilonGreedy { epsilon: 0.3 },
        2 => Exploration::Thompson {
            draws: 20,
            floor: if dice.chance(0.5) { 0.2 } else { 0.0 },
            scale: 1.0,
        },
        3 => Exploration::Softmax { temperature: 0.7 },
        _ => Exploration::Uniform,
    }
}

pub(crate) fn model_plan(kind: ModelKind, scope: ModelScope) -> ModelPlan {
    let mut features = vec![
        FeaturePlan::Intercept,
        FeaturePlan::Standard {
            slot: SlotId(1),
            mean: 0.0,
            scale: 1.0,
            clip: 2.0,
        },
        FeaturePlan::OneHot {
            slot: SlotId(3),
            categories: vec!["a".into(), "b".into()],
            other: false,
            missing: true,
        },
    ];
    if scope == ModelScope::Shared {
        let arm = FeaturePlan::OneHot {
            slot: SlotId(9),
            categories: (0..4).map(key).collect(),
            other: true,
            missing: false,
        };
        features.push(FeaturePlan::Cross {
            left: Box::new(arm.clone()),
            right: Box::new(FeaturePlan::Bins {
                slot: SlotId(1),
                edges: vec![0.0],
                missing: true,
            }),
        });
        features.push(arm);
    }
    ModelPlan {
        name: "response".into(),
        kind,
        scope,
        reward: 0,
        catalogue: 0,
        features: features
            .into_iter()
            .map(|plan| Feature {
                plan,
                prior_variance: 0.5,
            })
            .collect(),
        prior_intercept: 0.1,
        noise_variance: 0.5,
        drift_variance: 1e-4,
        reward_bounds: (0.0, 1.0),
        replicates: 0,
    }
}

pub(crate) fn key(i: usize) -> String {
    format!("item-{i:02}")
}

pub(crate) fn world(seed: u64) -> World {
    let mut dice = Dice::new(seed);
    let kind = if dice.chance(0.5) {
        ModelKind::Linear
    } else {
        ModelKind::Logistic
    };
    let scope = if dice.chance(0.5) {
        ModelScope::PerItem
    } else {
        ModelScope::Shared
    };
    let model_plan = model_plan(kind, scope);
    let scorer = if dice.chance(0.6) {
        Scorer::Model("response".into())
    } else {
        // Unknown wherever the risk is.
        Scorer::Expression(Expr::Binary(
            BinaryOp::Div,
            Box::new(Expr::Call(Function::ToNumber, vec![Expr::Slot(SlotId(6))])),
            Box::new(Expr::Const(Value::Number(3.0))),
        ))
    };
    let scopes = [
        CapScope::Customer,
        CapScope::Policy,
        CapScope::Channel("email".into()),
        CapScope::Item,
        CapScope::Item,
    ];
    let caps = (0..dice.below(3))
        .map(|i| CapPlan {
            name: format!("cap {i}"),
            limit: if dice.chance(0.03) {
                0
            } else {
                1 + dice.below(3) as u32
            },
            window_us: dice.maybe(0.7, |d| (1 + d.below(5) as i64) * DAY_US),
            scope: scopes[dice.below(5)].clone(),
        })
        .collect();
    let budgets = (0..2)
        .map(|i| BudgetPlan {
            name: format!("budget {i}"),
            limit: [5, 20, 1000][dice.below(3)],
            currency: None,
            period: BudgetPeriod::Total,
            rows: 1,
            lasts: None,
        })
        .collect();
    let uses = [
        BudgetUse {
            budget: 0,
            cost: Expr::Slot(SlotId(7)),
            price: None,
        },
        BudgetUse {
            budget: 1,
            cost: Expr::Const(Value::Int(4)),
            price: None,
        },
    ];
    let policy = PolicyPlan {
        name: "reach".into(),
        catalogue: 0,
        channel: "email".into(),
        eligibility: rules(&mut dice, "eligibility", 1, false, false),
        suitability: rules(&mut dice, "suitability", 2, true, false),
        exclusions: rules(&mut dice, "exclusion", 1, true, true),
        consent: dice.maybe(0.3, |_| SlotId(CONSENT)),
        retrieval: None,
        ranking: None,
        scorer,
        exploration: exploration(&mut dice),
        slots: if dice.chance(0.5) {
            1
        } else {
            1 + dice.below(4) as u32
        },
        diversity: None,
        null_action: NullAction {
            name: "silence".into(),
            is_arm: dice.chance(0.5),
            score: 0.5,
        },
        caps,
        quiet_period_us: dice.maybe(0.2, |_| 3 * HOUR_US),
        quiet_hours: dice.maybe(0.3, |d| {
            if d.chance(0.8) {
                QuietHours {
                    from_minute: 1320,
                    to_minute: 480,
                }
            } else {
                QuietHours {
                    from_minute: 720,
                    to_minute: 840,
                }
            }
        }),
        budgets: uses[..dice.below(3)].to_vec(),
        valid_for_us: HOUR_US,
        receipts_within_us: 0,
        permits: None,
        rewards: vec![0],
    };
    let attributes = vec![
        field("risk", ValueType::Integer),
        field("fee", ValueType::Money),
        field("kind", ValueType::Text),
    ];
    let items = (0..dice.below(13))
        .map(|i| ItemPlan {
            key: key(i),
            values: (6..9).map(|id| value(&mut dice, id)).collect(),
        })
        .collect();
    let scene = ScenePlan {
        format: PLAN_FORMAT,
        name: "world".into(),
        description: String::new(),
        default_zone: "UTC".into(),
        zone_attribute: None,
        events: vec![],
        tags: vec![],
        derived: vec![],
        paired: vec![],
        calendars: vec![],
        slots: slots(),
        catalogues: vec![CataloguePlan {
            name: "items".into(),
            attributes,
            items,
            measures: None,
            key_digits: None,
        }],
        segments: vec![],
        policies: vec![policy],
        models: vec![model_plan],
        rewards: vec![],
        budgets,
        artifacts: vec![],
        dedup_horizon_us: DAY_US,
        orders: vec![],
        market: vec![],
        intentions: vec![],
        monitors: vec![],
        contests: vec![],
    };
    let catalogue = Catalogue::new(&scene.catalogues[0], 5, []).unwrap();
    let contacts = (0..dice.below(5))
        .map(|_| contact(&mut dice))
        .collect::<Vec<_>>();
    let mut contacts = contacts;
    contacts.sort_by_key(|c| (c.at, c.decision));
    let customer = CustomerSlots {
        values: (0..6)
            .map(|id| value(&mut dice, id))
            .chain((6..10).map(|_| Value::Missing))
            .collect(),
        ..CustomerSlots::default()
    };
    let mut out = World {
        catalogue,
        customer,
        contacts,
        spent: vec![dice.below(8) as i64, dice.below(8) as i64],
        model: None,
        artifacts: Artifacts::default(),
        elapsed: vec![],
        request: Request {
            decision: DecisionId([7; 16]),
            customer: IdentifierId([9; 16]),
            moment: Moment {
                now: Micros(NOW),
                utc_offset_s: 0,
            },
            slots: dice.maybe(0.2, |_| 2),
            origin: Origin::Live,
            forced: None,
        },
        scene,
    };
    if dice.chance(0.8) {
        let plan = &out.scene.models[0];
        let mut state = ModelState::default();
        let samples: Vec<Sample> = (0..30).map(|i| sample(&mut dice, plan, i)).collect();
        learn(plan, &mut state, &samples);
        out.model = Some(state);
    }
    out
}

fn contact(dice: &mut Dice) -> Contact {
    Contact {
        at: Micros(NOW - dice.below(8 * 24) as i64 * HOUR_US),
        decision: DecisionId([dice.below(3) as u8; 16]),
        policy: ["reach", "other"][dice.below(2)].into(),
        channel: ["email", "push"][dice.below(2)].into(),
        item: key(dice.below(6)),
    }
}

pub(crate) fn sample(dice: &mut Dice, plan: &ModelPlan, i: u64) -> Sample {
    let mut id = [0u8; 16];
    id[..8].copy_from_slice(&i.to_be_bytes());
    Sample {
        id: (DecisionId(id), 0),
        arm: if dice.chance(0.2) {
            None
        } else {
            Some(key(dice.below(4)))
        },
        features: (0..luopan_kernel::features::dimension(plan))
            .map(|_| dice.0.normal())
            .collect(),
        reward: if dice.chance(0.4) { 1.0 } else { 0.0 },
        weight: 1.0,
        propensity: 0.25,
        at: Micros(NOW + i as i64),
    }
}

/// A world in which every item is available and nothing else happens: `scores` by an expression over the item's risk.
pub(crate) fn plain(
    scores: &[i64],
    exploration: Exploration,
    slots: u32,
    null: Option<f64>,
) -> World {
    let mut w = world(1);
    w.contacts.clear();
    w.model = None;
    let items = scores.iter().enumerate().map(|(i, s)| ItemPlan {
        key: key(i),
        values: vec![Value::Int(*s), Value::Int(1), Value::text("a")],
    });
    w.scene.catalogues[0].items = items.collect();
    w.catalogue = Catalogue::new(&w.scene.catalogues[0], 5, []).unwrap();
    w.request.slots = None;
    let p = w.policy_mut();
    p.eligibility.clear();
    p.suitability.clear();
    p.exclusions.clear();
    p.consent = None;
    p.scorer = Scorer::Expression(Expr::Slot(SlotId(6)));
    p.exploration = exploration;
    p.slots = slots;
    p.null_action = NullAction {
        name: "silence".into(),
        is_arm: null.is_some(),
        score: null.unwrap_or(0.0),
    };
    p.caps.clear();
    p.quiet_period_us = None;
    p.quiet_hours = None;
    p.budgets.clear();
    w
}
