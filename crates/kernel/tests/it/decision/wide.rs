//! Worlds with retrieval, ranking, several objectives, priced budgets and variety, and what must hold of decisions in them:
//! each is compared with a slow oracle that scores everything one by one.

use super::laws::{customer_refused, item_costs};
use super::world::{Dice, NOW, World, key, plain, world};
use luopan_kernel::artifact::{Artifact, Artifacts, Error as ArtifactError};
use luopan_kernel::decide::{Decision, Gate};
use luopan_kernel::factors::{Factors, ItemFactors};
use luopan_kernel::features;
use luopan_kernel::learn::predict;
use luopan_kernel::plan::*;
use luopan_kernel::rule::{eval, truth};
use luopan_kernel::slots::{ItemLookup, ItemSlots, NO_STAGES, Stages};
use luopan_kernel::trees::{Child, Ensemble, Parts, Split, Test, Transform, Tree};
use luopan_kernel::value::{Value, ValueType};
use proptest::prelude::*;
use std::collections::BTreeSet;

const RETRIEVED: u16 = 10;
const RANKED: u16 = 11;

fn factors(dice: &mut Dice) -> Factors {
    let mut numbers = |n: usize| -> Vec<f32> { (0..n).map(|_| dice.0.normal() as f32).collect() };
    let (customer, attributes) = (numbers(2 * 3), numbers(4 * 3));
    let items: Vec<ItemFactors> = (0..9)
        .map(|i| ItemFactors {
            key: key(i),
            vector: numbers(3),
            bias: numbers(1)[0],
        })
        .collect();
    Factors::new(3, customer, attributes, items).unwrap()
}

fn trees(dice: &mut Dice) -> Ensemble {
    let tree = |dice: &mut Dice| Tree {
        splits: vec![
            Split {
                feature: dice.below(4),
                test: Test::AtMost {
                    threshold: dice.0.normal(),
                    missing: dice.chance(0.5),
                    zero_is_missing: false,
                },
                left: Child::Split(1),
                right: Child::Leaf(2),
            },
            Split {
                feature: 2,
                test: Test::In {
                    members: vec![dice.below(8) as u32],
                },
                left: Child::Leaf(0),
                right: Child::Leaf(1),
            },
        ],
        leaves: (0..3).map(|_| dice.0.normal()).collect(),
    };
    Ensemble::build(Parts {
        features: ["balance", "risk", "kind", "retrieved"]
            .map(str::to_owned)
            .to_vec(),
        outputs: 1,
        averaged: false,
        transform: Transform::Sigmoid { steepness: 1.0 },
        trees: (0..5).map(|_| tree(dice)).collect(),
    })
    .unwrap()
}

fn objectives(dice: &mut Dice, has_ranked: bool) -> Objectives {
    let expression = if has_ranked && dice.chance(0.5) {
        Expr::Slot(SlotId(RANKED))
    } else {
        Expr::Slot(SlotId(6))
    };
    let objective = |name: &str, value, weight, floor| Objective {
        name: name.into(),
        value,
        weight,
        floor,
    };
    Objectives {
        objectives: vec![
            objective(
                "response",
                ObjectiveValue::Model("response".into()),
                [1.0, -0.5][dice.below(2)],
                dice.maybe(0.3, |_| 0.2),
            ),
            objective(
                "priority",
                ObjectiveValue::Expression(expression),
                dice.0.normal(),
                dice.maybe(0.3, |_| 0.4),
            ),
        ],
        groups: vec![ObjectiveGroup {
            rule: NamedRule {
                name: "high tier".into(),
                source: String::new(),
                expr: Expr::Binary(
                    BinaryOp::Ge,
                    Box::new(Expr::Slot(SlotId(0))),
                    Box::new(Expr::Const(Value::Int(2))),
                ),
                version: None,
                authority: None,
                effective: None,
            },
            weights: vec![2.0, 0.25],
            floors: vec![None, dice.maybe(0.3, |_| 0.1)],
        }],
        explored: dice.maybe(0.7, |_| 0),
    }
}

/// A random world with some of everything that narrows and weighs.
pub(crate) fn wide(seed: u64) -> World {
    let mut w = world(seed);
    let mut dice = Dice::new(seed ^ 0x5eed_0f1d_e000_0001);
    for (name, stage) in [
        ("score.retrieved", Stage::Retrieved),
        ("score.ranked", Stage::Ranked),
    ] {
        w.scene.slots.push(SlotPlan {
            name: name.into(),
            kind: ValueType::Number,
            source: SlotSource::Stage(stage),
        });
        w.customer.values.push(Value::Missing);
    }
    let made = [
        Artifact::Factors(std::sync::Arc::new(factors(&mut dice))),
        Artifact::Trees(trees(&mut dice)),
    ];
    let named = ["taste", "order"]
        .iter()
        .zip(&made)
        .map(|(name, a)| ArtifactPlan {
            name: (*name).into(),
            kind: a.kind(),
            sha256: Artifact::hash(&a.encode()),
            model: None,
        });
    w.scene.artifacts = named.collect();
    // Now and then a scene comes without them: then the stages give nothing, and nothing breaks.
    if dice.chance(0.95) {
        w.artifacts = Artifacts::of(made);
    }
    w.elapsed = dice
        .maybe(0.8, |d| vec![d.0.uniform(), d.0.uniform()])
        .unwrap_or_default();
    let retrieval = dice.maybe(0.7, |d| Retrieval {
        artifact: 0,
        customer: vec![
            FeaturePlan::Intercept,
            FeaturePlan::Standard {
                slot: SlotId(1),
                mean: 0.0,
                scale: 1.0,
                clip: 2.0,
            },
        ],
        item: vec![FeaturePlan::OneHot {
            slot: SlotId(8),
            categories: vec!["a".into(), "b".into()],
            other: true,
            missing: true,
        }],
        keep: 1 + d.below(8) as u32,
        each: d.maybe(0.5, |d| KeepEach {
            by: SlotId(8),
            keep: 1 + d.below(2) as u32,
        }),
        learn_from: vec![],
    });
    let ranking = dice.maybe(0.6, |d| Ranking {
        artifact: 1,
        inputs: vec![
            RankingInput::Number(SlotId(1)),
            RankingInput::Number(SlotId(6)),
            RankingInput::Category {
                slot: SlotId(8),
                categories: vec!["a".into(), "b".into(), "c".into()],
            },
            RankingInput::Number(SlotId(RETRIEVED)),
        ],
        keep: 1 + d.below(6) as u32,
    });
    let scorer = if dice.chance(0.5) {
        Some(Scorer::Objectives(objectives(&mut dice, ranking.is_some())))
    } else {
        (ranking.is_some() && dice.chance(0.3))
            .then_some(Scorer::Expression(Expr::Slot(SlotId(RANKED))))
    };
    let exploration = match dice.below(4) {
        0 => Some(Exploration::LinUcb {
            alpha: 1.0,
            floor: [0.0, 0.1][dice.below(2)],
        }),
        1 => Some(Exploration::SquareCb { gamma: 10.0 }),
        2 => Some(Exploration::Bootstrap { floor: 0.1 }),
        _ => None,
    };
    let diversity = dice.maybe(0.6, |d| Diversity {
        by: SlotId(8),
        at_most: 1 + d.below(2) as u32,
    });
    let price = dice.maybe(0.5, |d| PricePlan {
        base: [0.0, 0.05][d.below(2)],
        rate: 1.0,
        horizon: [Horizon::Fixed, Horizon::Receding][d.below(2)],
    });
    let p = w.policy_mut();
    p.retrieval = retrieval;
    p.ranking = ranking;
    p.scorer = scorer.unwrap_or(p.scorer.clone());
    p.exploration = exploration.unwrap_or(p.exploration.clone());
    p.diversity = diversity;
    p.budgets.iter_mut().take(1).for_each(|b| b.price = price);
    w
}

fn lookup<'a>(
    w: &'a World,
    slots: &'a ItemSlots,
    row: usize,
    stages: &'a Stages,
) -> ItemLookup<'a> {
    ItemLookup::new(
        &w.customer,
        slots,
        w.catalogue.key_value(row),
        w.catalogue.values(row),
        stages,
    )
}

/// The rows and stages that are kept of `eligible`, every item scored.
fn kept(w: &World, eligible: &[usize]) -> Vec<(usize, Stages)> {
    let p = w.policy();
    let slots = ItemSlots::new(&w.scene, 0);
    let mut rows: Vec<(usize, Stages)> = eligible
        .iter()
        .map(|r| (*r, [Value::Missing, Value::Missing]))
        .collect();
    let number = |v: &Value<'_>| v.as_number().unwrap_or(f64::NAN);
    if let (Some(r), Some(factors)) = (&p.retrieval, w.artifacts.factors(0)) {
        let mut x = Vec::new();
        features::encode_all(&r.customer, &w.customer, &mut x);
        let customer = factors.customer(&x);
        for (row, stages) in &mut rows {
            features::encode_all(&r.item, &lookup(w, &slots, *row, NO_STAGES), &mut x);
            let (vector, bias) = factors.item(w.catalogue.key(*row), &x);
            let dot: f64 = (customer.iter().zip(&vector))
                .map(|(a, b)| f64::from(*a) * f64::from(*b))
                .sum();
            stages[0] = Value::Number(dot + f64::from(bias));
        }
        rows.sort_by(|a, b| {
            number(&b.1[0])
                .total_cmp(&number(&a.1[0]))
                .then(a.0.cmp(&b.0))
        });
    }
    if let Some(r) = &p.retrieval {
        let mut alike: Vec<(Value<'static>, u32)> = Vec::new();
        let mut place = 0;
        let is_scored = w.artifacts.factors(0).is_some();
        rows.retain(|(row, _)| {
            place += 1;
            let mut is_of_its_kind = false;
            if let Some(each) = r.each.filter(|_| is_scored) {
                let l = lookup(w, &slots, *row, NO_STAGES);
                let kind = eval(&Expr::Slot(each.by), &l).into_owned();
                let seen = match alike.iter().position(|(v, _)| *v == kind) {
                    Some(i) => &mut alike[i].1,
                    None => {
                        alike.push((kind.clone(), 0));
                        &mut alike.last_mut().expect("just put there").1
                    }
                };
                *seen += 1;
                is_of_its_kind = !kind.is_missing() && *seen <= each.keep;
            }
            place <= r.keep || is_of_its_kind
        });
        rows.sort_by_key(|(row, _)| *row);
    }
    if let (Some(r), Some(artifact)) = (&p.ranking, w.artifacts.trees(1)) {
        let Artifact::Trees(trees) = artifact.as_ref() else {
            panic!("trees are wanted")
        };
        for (row, stages) in &mut rows {
            let seen = stages.clone();
            let l = lookup(w, &slots, *row, &seen);
            let kind = ["a", "b", "c"]
                .iter()
                .position(|k| eval(&Expr::Slot(SlotId(8)), &l) == Value::text(*k));
            let x = [
                number(&eval(&Expr::Slot(SlotId(1)), &l)),
                number(&eval(&Expr::Slot(SlotId(6)), &l)),
                kind.map_or(f64::NAN, |k| k as f64),
                number(&seen[0]),
            ];
            stages[1] = Value::Number(trees.predict(&x));
        }
        rows.sort_by(|a, b| {
            number(&b.1[1])
                .total_cmp(&number(&a.1[1]))
                .then(a.0.cmp(&b.0))
        });
        rows.truncate(r.keep as usize);
        rows.sort_by_key(|(row, _)| *row);
    }
    rows
}

/// Score of a kept item: none when unknown or below a floor.
fn score(w: &World, row: usize, stages: &Stages) -> Option<f64> {
    let p = w.policy();
    let slots = ItemSlots::new(&w.scene, 0);
    let l = lookup(w, &slots, row, stages);
    let model = || {
        let plan = &w.scene.models[0];
        let state = w.model.clone().unwrap_or_default();
        let mut x = Vec::new();
        features::encode(plan, &l, &mut x);
        predict(plan, &state, Some(w.catalogue.key(row)), &x).map(|p| p.mean)
    };
    let raw = match &p.scorer {
        Scorer::Expression(e) => eval(e, &l).as_number()?,
        Scorer::Model(_) => model()?,
        Scorer::Objectives(o) => {
            let group = o
                .groups
                .iter()
                .find(|g| truth(&g.rule.expr, &w.customer) == Truth::True);
            let mut sum = 0.0;
            for (i, objective) in o.objectives.iter().enumerate() {
                let value = match &objective.value {
                    ObjectiveValue::Expression(e) => eval(e, &l).as_number()?,
                    ObjectiveValue::Model(_) => model()?,
                };
                let floor = group.map_or(objective.floor, |g| g.floors[i]);
                if floor.is_some_and(|f| value < f) {
                    return None;
                }
                sum += group.map_or(objective.weight, |g| g.weights[i]) * value;
            }
            sum
        }
    };
    let mut prices = 0.0;
    for b in &p.budgets {
        if let (Some(price), Value::Int(cost)) = (b.price, eval(&b.cost, &l)) {
            let i = usize::from(b.budget);
            let ahead = (w.elapsed.get(i)).map_or(0.0, |e| {
                let lead = w.spent[i] as f64 / w.scene.budgets[i].limit as f64 - e;
                match price.horizon {
                    Horizon::Fixed => lead,
                    Horizon::Receding => lead / (1.0 - e).max(0.01),
                }
            });
            prices += (price.base + price.rate * ahead).max(0.0) * cost as f64;
        }
    }
    Some(raw - prices)
}

fn check(w: &World, d: &Decision) {
    // Eligible by rules, caps and budgets alone: the oracle of availability with scores that are always known.
    let mut gates = w.clone();
    gates.policy_mut().scorer = Scorer::Expression(Expr::Const(Value::Int(0)));
    let eligible: Vec<usize> = (0..w.catalogue.len())
        .filter(|r| !customer_refused(w) && item_costs(&gates, *r).is_some())
        .collect();
    let p = w.policy();
    let kept = kept(w, &eligible);
    let scored: Vec<(usize, f64)> = kept
        .iter()
        .filter_map(|(row, s)| Some((*row, score(w, *row, s)?)))
        .collect();
    let rows: Vec<u32> = scored.iter().map(|(row, _)| *row as u32).collect();
    assert_eq!(
        d.distribution.available.iter().collect::<Vec<_>>(),
        rows,
        "what can be chosen"
    );
    assert_eq!(d.available as usize, rows.len());
    if p.retrieval.is_some() || p.ranking.is_some() {
        let refused = d.refusals.iter().any(|r| r.gate <= Gate::Cap);
        assert_eq!(d.eligible, (!refused).then_some(eligible.len() as u32));
    } else {
        assert_eq!(d.eligible, None);
    }
    for c in &d.choices {
        let row = w.catalogue.row(&c.item).unwrap();
        let (_, expected) = scored.iter().find(|(r, _)| *r == row).unwrap();
        assert!(
            (c.score - expected).abs() < 1e-9,
            "{} is not {expected}",
            c.score
        );
        assert!(c.propensity > 0.0 && c.propensity <= 1.0 + 1e-12);
    }
    assert!((d.distribution.total() - 1.0).abs() < 1e-12);
    assert!(d.distribution.listed.iter().all(|s| s.probability >= 0.0));
    if let Some(diversity) = &p.diversity {
        for kind in ["a", "b", "c"] {
            let alike = (d.choices.iter()).filter(|c| {
                w.catalogue.values(w.catalogue.row(&c.item).unwrap())[2] == Value::text(kind)
            });
            assert!(d.slots == 1 || alike.count() <= diversity.at_most as usize);
        }
    }
    let product =
        (d.choices.iter()).fold(d.null_propensity.unwrap_or(1.0), |p, c| p * c.propensity);
    assert_eq!(product.to_bits(), d.propensity.to_bits());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn what_is_narrowed_down_is_what_scoring_everything_gives(seed: u64, draw: u64) {
        let w = wide(seed);
        check(&w, &w.decide(draw));
    }

    #[test]
    fn nothing_validated_depends_on_the_draw(seed: u64, a: u64, b: u64) {
        let w = wide(seed);
        let (a, b) = (w.decide(a), w.decide(b));
        prop_assert_eq!(a.checks, b.checks);
        prop_assert_eq!(a.refusals, b.refusals);
        prop_assert_eq!(a.slots, b.slots);
        prop_assert_eq!(a.distribution.available, b.distribution.available);
    }
}

/// An item that is asked for by name is chosen exactly when it passes every gate, whatever narrowing would keep.
#[test]
fn an_item_that_is_asked_for_is_chosen_when_it_is_eligible() {
    let (mut given, mut refused) = (0, 0);
    for seed in 0..600 {
        let mut w = wide(seed);
        if !matches!(w.policy().scorer, Scorer::Model(_)) || w.catalogue.is_empty() {
            continue;
        }
        let mut gates = w.clone();
        gates.policy_mut().scorer = Scorer::Expression(Expr::Const(Value::Int(0)));
        for row in 0..w.catalogue.len() {
            let item = w.catalogue.key(row).to_owned();
            let is_eligible = !customer_refused(&w) && item_costs(&gates, row).is_some();
            w.request.forced = Some(luopan_kernel::decide::Forced {
                item: Some(item.clone()),
                reason: "asked for".into(),
            });
            let d = w.decide(1);
            let chosen: Vec<&String> = d.choices.iter().map(|c| &c.item).collect();
            // A slate of no position can pay for nothing.
            if is_eligible && d.slots > 0 {
                assert_eq!(chosen, [&item]);
                given += 1;
            } else {
                assert!(d.null && !d.refusals.is_empty());
                refused += 1;
            }
        }
    }
    assert!(given > 300 && refused > 300, "{given} {refused}");
}

#[test]
fn the_wide_worlds_cover_what_matters() {
    let mut gates = BTreeSet::new();
    let (mut cut, mut long, mut narrowed) = (0, 0, 0);
    for seed in 0..2000 {
        let w = wide(seed);
        let d = w.decide(seed);
        gates.extend(d.refusals.iter().map(|r| r.gate));
        long += u32::from(d.choices.len() > 1);
        narrowed += u32::from(d.eligible.is_some_and(|e| e > d.available));
        cut +=
            u32::from(d.choices.len() > 1 && (d.choices.len() as u32) < d.slots.min(d.available));
    }
    assert!(gates.contains(&Gate::Floor) && gates.contains(&Gate::Score));
    assert!(
        long > 100 && narrowed > 300 && cut > 10,
        "{long} {narrowed} {cut}"
    );
}

/// Positions are drawn in turn: over many seeds each slate comes as often as its recorded probability says.
#[test]
fn varied_slates_are_as_frequent_as_recorded() {
    let mut w = plain(
        &[1, 2, 3, 4],
        Exploration::Softmax { temperature: 2.0 },
        3,
        None,
    );
    let items = ["a", "a", "b", "c"]
        .iter()
        .enumerate()
        .map(|(i, kind)| ItemPlan {
            key: key(i),
            values: vec![Value::Int(i as i64), Value::Int(1), Value::text(*kind)],
        });
    w.scene.catalogues[0].items = items.collect();
    w.catalogue = luopan_kernel::catalogue::Catalogue::new(&w.scene.catalogues[0], 5, []).unwrap();
    w.policy_mut().diversity = Some(Diversity {
        by: SlotId(8),
        at_most: 1,
    });
    let mut found: std::collections::BTreeMap<Vec<String>, (u32, f64)> = Default::default();
    let n = 40_000;
    for seed in 0..n {
        let d = w.decide(seed);
        assert_eq!(d.choices.len(), 3, "one of each kind");
        let slate = d.choices.iter().map(|c| c.item.clone()).collect();
        let entry = found.entry(slate).or_insert((0, d.propensity));
        entry.0 += 1;
        assert_eq!(entry.1.to_bits(), d.propensity.to_bits());
    }
    let total: f64 = found.values().map(|(_, p)| p).sum();
    assert!((total - 1.0).abs() < 1e-9, "every slate was seen: {total}");
    for (slate, (count, p)) in found {
        let expected = p * n as f64;
        let far = (f64::from(count) - expected).abs() / (expected * (1.0 - p)).sqrt();
        assert!(far < 4.5, "{slate:?}: {count}, expected {expected}");
    }
}

/// SquareCB's probabilities are those of its paper, LinUCB takes the one whose upper bound is highest.
#[test]
fn named_explorers_follow_their_papers() {
    let p = |e: Exploration, row| {
        plain(&[1, 3, 2], e, 1, None)
            .decide(1)
            .distribution
            .probability(row)
    };
    let square = Exploration::SquareCb { gamma: 4.0 };
    assert_eq!(p(square.clone(), Some(0)), 1.0 / (3.0 + 4.0 * 2.0));
    assert_eq!(p(square.clone(), Some(2)), 1.0 / (3.0 + 4.0));
    assert_eq!(p(square, Some(1)), 1.0 - (1.0 / 11.0 + 1.0 / 7.0));
    // Scores of an expression are certain: the best is the best.
    let ucb = Exploration::LinUcb {
        alpha: 9.0,
        floor: 0.3,
    };
    assert!((p(ucb.clone(), Some(1)) - 0.8).abs() < 1e-12);
    assert!((p(ucb, Some(0)) - 0.1).abs() < 1e-12);
    // Of a model: with alpha the choice moves from the best mean to the most uncertain.
    let mut w = (0..)
        .map(world)
        .find(|w| {
            matches!(w.policy().scorer, Scorer::Model(_))
                && w.model.is_some()
                && !w.decide(1).null
                && w.decide(1).available > 4
        })
        .unwrap();
    w.request.moment.now = luopan_kernel::time::Micros(NOW);
    let mut best_at = |alpha: f64| {
        w.policy_mut().exploration = Exploration::LinUcb { alpha, floor: 0.0 };
        let d = w.decide(1);
        let scores: Vec<(Option<String>, f64)> = d
            .trace
            .iter()
            .filter_map(|t| Some((t.item.clone(), t.score?)))
            .collect();
        (
            d.trace
                .iter()
                .find(|t| t.probability == 1.0)
                .unwrap()
                .item
                .clone(),
            scores,
        )
    };
    let (greedy, scores) = best_at(0.0);
    assert_eq!(
        Some(&greedy),
        scores.first().map(|(i, _)| i),
        "without alpha the best mean"
    );
    let (hopeful, _) = best_at(1e9);
    let plan = &w.scene.models[0];
    let state = w.model.as_ref().unwrap();
    let slots = ItemSlots::new(&w.scene, 0);
    let variance = |item: &Option<String>| {
        let mut x = Vec::new();
        match item {
            Some(key) => {
                let row = w.catalogue.row(key).unwrap();
                features::encode(plan, &lookup(&w, &slots, row, NO_STAGES), &mut x);
            }
            None => {
                let name = Value::text("silence");
                let none = ItemLookup::new(&w.customer, &slots, &name, &[], NO_STAGES);
                features::encode(plan, &none, &mut x);
            }
        }
        predict(plan, state, item.as_deref(), &x).unwrap().variance
    };
    let most = scores.iter().map(|(i, _)| variance(i)).fold(0.0, f64::max);
    assert!(
        (variance(&hopeful) - most).abs() < 1e-12,
        "with a huge alpha the most uncertain"
    );
}

/// Spending ahead of time makes cost count; spending behind it does not.
#[test]
fn a_priced_budget_moves_the_choice_from_the_dear_to_the_cheap() {
    let mut w = plain(&[4, 5], Exploration::Greedy, 1, None);
    w.scene.budgets[0].limit = 100;
    w.policy_mut().budgets = vec![BudgetUse {
        budget: 0,
        // Risk 4 costs 16, risk 5 costs 25.
        cost: Expr::Binary(
            BinaryOp::Mul,
            Box::new(Expr::Slot(SlotId(6))),
            Box::new(Expr::Slot(SlotId(6))),
        ),
        price: Some(PricePlan {
            base: 0.0,
            rate: 1.0,
            horizon: Horizon::Fixed,
        }),
    }];
    let chosen = |w: &World| w.decide(1).choices[0].item.clone();
    w.elapsed = vec![0.5];
    w.spent = vec![50, 0];
    assert_eq!(chosen(&w), key(1), "in step with time nothing is priced");
    w.spent = vec![70, 0];
    assert_eq!(
        chosen(&w),
        key(0),
        "ahead of time nine units more cost more than one of score"
    );
    assert!((w.decide(1).choices[0].score - (4.0 - 0.2 * 16.0)).abs() < 1e-12);
    // The same lead with less time to make up for it.
    w.scene.budgets[0].limit = 100_000;
    let price = |w: &mut World, horizon, elapsed, spent| {
        w.policy_mut().budgets[0].price.as_mut().unwrap().horizon = horizon;
        (w.elapsed, w.spent) = (vec![elapsed], vec![spent, 0]);
        (4.0 - w.decide(1).choices[0].score) / 16.0
    };
    for (horizon, elapsed, spent, wanted) in [
        (Horizon::Fixed, 0.8, 92_000, 0.12),
        (Horizon::Receding, 0.8, 90_000, 0.5),
        (Horizon::Receding, 0.0, 20_000, 0.2),
        (Horizon::Receding, 0.995, 99_900, 0.4),
    ] {
        let found = price(&mut w, horizon, elapsed, spent);
        assert!(
            (found - wanted).abs() < 1e-9,
            "{horizon:?} {elapsed}: {found}"
        );
    }
    w.elapsed = vec![];
    assert_eq!(
        chosen(&w),
        key(1),
        "where the time is not known, the base price"
    );
}

#[test]
fn artifacts_are_those_that_the_plan_names() {
    let w = (0..)
        .map(wide)
        .find(|w| w.artifacts.factors(0).is_some())
        .unwrap();
    let bytes: Vec<Vec<u8>> = [
        Artifact::Factors(w.artifacts.factors(0).unwrap().clone()).encode(),
        w.artifacts.trees(1).unwrap().encode(),
    ]
    .to_vec();
    assert_eq!(Artifacts::read(&w.scene, &bytes).unwrap(), w.artifacts);
    assert!(matches!(
        Artifacts::read(&w.scene, &bytes[..1]),
        Err(ArtifactError::Number {
            wanted: 2,
            found: 1
        })
    ));
    let mut other = bytes.clone();
    *other[0].last_mut().unwrap() ^= 1;
    assert!(matches!(
        Artifacts::read(&w.scene, &other),
        Err(ArtifactError::Hash { .. })
    ));
    let mut swapped = w.scene.clone();
    swapped.artifacts[0].kind = ArtifactKind::Trees;
    assert!(matches!(
        Artifacts::read(&swapped, &bytes),
        Err(ArtifactError::Unreadable { .. })
    ));
}
