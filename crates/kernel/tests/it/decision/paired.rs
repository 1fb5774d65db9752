//! What is computed of a customer and an item counts as an attribute of the item would that has the value for this customer.

use super::wide::wide;
use super::world::{Dice, World, model_plan, sample, world};
use luopan_kernel::catalogue::{Catalogue, CatalogueRule};
use luopan_kernel::decide::{Decision, Prepared, Situation, decide};
use luopan_kernel::features;
use luopan_kernel::learn::{ModelState, Sample, learn};
use luopan_kernel::plan::model::{Feature, FeaturePlan, ModelKind, ModelScope};
use luopan_kernel::plan::policy::{RankingInput, Scorer};
use luopan_kernel::plan::rule::{BinaryOp, Expr, Function, NamedRule};
use luopan_kernel::plan::slot::{SlotId, SlotPlan, SlotSource};
use luopan_kernel::plan::{Field, ItemPlan};
use luopan_kernel::rule::{Lookup, eval, truth};
use luopan_kernel::slots::{ItemLookup, ItemSlots, NO_STAGES, SlotSet};
use luopan_kernel::value::{Value, ValueType};
use proptest::prelude::*;

/// A number that needs a kind that is known, and a truth that reads it; the balance is slot 1, the kind slot 8, the key slot 9.
const NAMES: [(&str, ValueType); 2] =
    [("liking", ValueType::Number), ("liked", ValueType::Boolean)];

/// A random world whose policy reads what is computed of customer and item wherever it may, with the two slots.
fn paired(seed: u64, is_wide: bool) -> (World, [SlotId; 2]) {
    let mut w = if is_wide { wide(seed) } else { world(seed) };
    let mut dice = Dice::new(seed ^ 0x9a17);
    let ids = NAMES.map(|(name, kind)| {
        let id = SlotId(w.scene.slots.len() as u16);
        let index = u16::from(name == "liked");
        w.scene.slots.push(SlotPlan {
            name: format!("item.{name}"),
            kind,
            source: SlotSource::Paired(0, index),
        });
        w.customer.values.push(Value::Missing);
        id
    });
    let s = |id: SlotId| Box::new(Expr::Slot(id));
    let c = |v: f64| Box::new(Expr::Const(Value::Number(v)));
    let (balance, kind, [liking, liked]) = (SlotId(1), SlotId(8), ids);
    w.scene.paired = vec![
        Expr::Select(
            s(kind),
            vec![
                (Value::text("a"), *s(balance)),
                (
                    Value::text("b"),
                    Expr::Binary(BinaryOp::Sub, c(0.3), s(balance)),
                ),
            ],
        ),
        Expr::Binary(BinaryOp::Gt, s(liking), c(0.1)),
    ];
    let rule = |expr| NamedRule {
        name: "of both".into(),
        source: String::new(),
        expr,
        version: None,
        authority: None,
        effective: None,
    };
    let likely = Expr::Binary(BinaryOp::Lt, s(balance), c(0.8));
    if dice.chance(0.4) {
        let either = Expr::Binary(BinaryOp::Or, s(liked), Box::new(likely));
        w.policy_mut().suitability.push(rule(either));
    }
    if dice.chance(0.2) {
        w.policy_mut().exclusions.push(rule(*s(liked)));
    }
    if dice.chance(0.3) {
        let known = Expr::Call(Function::OrElse, vec![*s(liking), *c(0.2)]);
        w.policy_mut().scorer = Scorer::Expression(known);
    }
    if let Some(ranking) = &mut w.policy_mut().ranking
        && dice.chance(0.7)
    {
        ranking.inputs[0] = RankingInput::Number(liking);
    }
    let plan = &mut w.scene.models[0];
    if plan.scope == ModelScope::Shared {
        plan.features.push(Feature {
            plan: FeaturePlan::Standard {
                slot: liking,
                mean: 0.0,
                scale: 1.0,
                clip: 2.0,
            },
            prior_variance: 0.5,
        });
        if w.model.is_some() {
            let mut state = ModelState::default();
            let samples: Vec<Sample> = (0..30).map(|i| sample(&mut dice, plan, i)).collect();
            learn(plan, &mut state, &samples);
            w.model = Some(state);
        }
    }
    (w, ids)
}

/// The same world, whose items have what is computed as attributes.
fn as_attributes(w: &World, ids: [SlotId; 2]) -> World {
    let slots = ItemSlots::new(&w.scene, 0);
    let mut out = w.clone();
    let plan = &mut out.scene.catalogues[0];
    let width = plan.attributes.len() as u16;
    for (i, (name, kind)) in NAMES.into_iter().enumerate() {
        plan.attributes.push(Field {
            name: name.into(),
            kind,
            required: false,
            personal: false,
            currency: None,
            one_of: vec![],
            not_a_feature: None,
        });
        out.scene.slots[usize::from(ids[i].0)].source = SlotSource::Item(0, width + i as u16);
    }
    out.scene.paired.clear();
    let items: Vec<ItemPlan> = (0..w.catalogue.len())
        .map(|row| {
            let (key, values) = (w.catalogue.key_value(row), w.catalogue.values(row));
            let lookup = ItemLookup::new(&w.customer, &slots, key, values, NO_STAGES);
            let mut values: Vec<Value<'static>> =
                values.iter().map(|v| v.clone().into_owned()).collect();
            values.resize(usize::from(width), Value::Missing);
            values.extend(ids.map(|id| lookup.slot(id).clone().into_owned()));
            ItemPlan {
                key: w.catalogue.key(row).to_owned(),
                values,
            }
        })
        .collect();
    let plan = &mut out.scene.catalogues[0];
    plan.items.clear();
    out.catalogue = Catalogue::new(plan, 5, items).unwrap();
    out
}

/// The decision without what was read: what a slot is computed from is read beside it.
fn without_reads(mut decision: Decision) -> Decision {
    decision.slots_read.clear();
    decision.choices.iter_mut().for_each(|c| c.reads.clear());
    decision
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn it_counts_as_an_attribute_of_this_value_would(seed in any::<u64>(), is_wide: bool) {
        let (w, ids) = paired(seed, is_wide);
        let other = as_attributes(&w, ids);
        prop_assert_eq!(without_reads(w.decide(seed)), without_reads(other.decide(seed)));
    }

    #[test]
    fn being_prepared_changes_nothing(seed in any::<u64>(), is_wide: bool) {
        let (w, _) = paired(seed, is_wide);
        let models = w.objective_models();
        let prepared = Prepared::new(&w.scene, w.policy(), &w.catalogue, &w.artifacts);
        let situation = Situation { prepared: Some(&prepared), ..w.situation(&models) };
        let decision = decide(&w.scene, w.policy(), &situation, &w.request, seed);
        prop_assert_eq!(decision, w.decide(seed));
    }

    #[test]
    fn a_mask_is_the_truth_of_each_row(seed in any::<u64>()) {
        let (w, [liking, liked]) = paired(seed, false);
        let slots = ItemSlots::new(&w.scene, 0);
        let s = |id| Box::new(Expr::Slot(id));
        for expr in [
            *s(liked),
            Expr::Unary(luopan_kernel::plan::rule::UnaryOp::Not, s(liked)),
            Expr::Binary(BinaryOp::And, s(liked), Box::new(Expr::Binary(BinaryOp::Lt, s(SlotId(6)), s(SlotId(0))))),
            Expr::Binary(BinaryOp::Gt, s(liking), s(SlotId(1))),
        ] {
            let rule = CatalogueRule::new(&expr, &slots, &w.catalogue);
            let mask = rule.mask(&w.customer, &slots, &w.catalogue);
            prop_assert!(rule.is_mixed());
            for row in 0..w.catalogue.len() {
                let (key, item) = (w.catalogue.key_value(row), w.catalogue.values(row));
                let lookup = ItemLookup::new(&w.customer, &slots, key, item, NO_STAGES);
                prop_assert_eq!(mask.truth(row), truth(&expr, &lookup), "row {} of {:?}", row, expr);
            }
        }
    }

    #[test]
    fn what_nobody_reads_is_not_computed(seed in any::<u64>()) {
        let (w, ids) = paired(seed, false);
        let mut dice = Dice::new(seed);
        let read = SlotSet::new(&w.scene, dice.chance(0.5).then_some(ids[1]));
        let slots = ItemSlots::new(&w.scene, 0).reading(&read);
        let all = ItemSlots::new(&w.scene, 0);
        for row in 0..w.catalogue.len() {
            let (key, item) = (w.catalogue.key_value(row), w.catalogue.values(row));
            let some = ItemLookup::new(&w.customer, &slots, key, item, NO_STAGES);
            let every = ItemLookup::new(&w.customer, &all, key, item, NO_STAGES);
            for id in ids {
                let wanted = if read.contains(id) { every.slot(id) } else { &Value::Missing };
                prop_assert_eq!(some.slot(id), wanted);
                prop_assert!(slots.is_paired(id) && slots.contains(id) && !slots.is_pair(id));
            }
        }
    }
}

#[test]
fn what_it_is_computed_from_is_read_and_recorded_beside_it() {
    let mut seen = 0;
    for seed in 0..300 {
        let (w, [liking, liked]) = paired(seed, false);
        let read = SlotSet::new(&w.scene, [liked]);
        assert!(
            [SlotId(1), SlotId(8), liking, liked]
                .into_iter()
                .all(|id| read.contains(id))
        );
        let decision = w.decide(seed);
        let is_read = SlotSet::of_policy(&w.scene, w.policy()).contains(liking);
        for choice in &decision.choices {
            let told = choice.reads.iter().find(|(n, _)| n == "item.liking");
            assert_eq!(told.is_some(), is_read);
            let Some((_, told)) = told else { continue };
            let kind = choice.reads.iter().find(|(n, _)| n == "item.kind").unwrap();
            let balance = decision.slots_read.iter().find(|(n, _)| n == "balance");
            let wanted = match (&kind.1, &balance.unwrap().1) {
                (Value::Text(k), Value::Number(b)) if k == "a" => Value::Number(*b),
                (Value::Text(k), Value::Number(b)) if k == "b" => Value::Number(0.3 - b),
                _ => Value::Missing,
            };
            assert_eq!(*told, wanted);
            seen += 1;
        }
    }
    assert!(seen > 20, "{seen}");
}

#[test]
fn a_table_gives_what_stands_beside_the_value() {
    let (w, _) = paired(3, false);
    let Expr::Select(_, entries) = &w.scene.paired[0] else {
        panic!("a table");
    };
    let ask = |x: Value<'static>| {
        let expr = Expr::Select(Box::new(Expr::Const(x)), entries.clone());
        eval(&expr, &w.customer).into_owned()
    };
    assert_eq!(ask(Value::text("a")), w.customer.values[1]);
    assert_eq!(ask(Value::text("z")), Value::Missing);
    assert_eq!(ask(Value::Missing), Value::Missing);
    assert_eq!(ask(Value::Int(1)), Value::Missing);
}

#[test]
fn silence_has_what_its_name_has_and_a_record_counts_before_what_is_computed() {
    let (mut w, [liking, liked]) = paired(5, false);
    w.scene.paired[0] = Expr::Select(
        Box::new(Expr::Slot(SlotId(9))),
        vec![(Value::text("silence"), Expr::Const(Value::Number(4.0)))],
    );
    let slots = ItemSlots::new(&w.scene, 0);
    let name = Value::text("silence");
    let null = ItemLookup::new(&w.customer, &slots, &name, &[], NO_STAGES);
    assert_eq!(*null.slot(liking), Value::Number(4.0));
    let recorded = null.as_recorded(|id| Value::Int(i64::from(id.0)));
    assert_eq!(*recorded.slot(liked), Value::Int(i64::from(liked.0)));
    let mut plan = model_plan(ModelKind::Linear, ModelScope::Shared);
    plan.features[1].plan = FeaturePlan::Standard {
        slot: liking,
        mean: 0.0,
        scale: 2.0,
        clip: 100.0,
    };
    let mut encoded = Vec::new();
    features::encode(&plan, &recorded, &mut encoded);
    assert_eq!(encoded[1], f64::from(liking.0) / 2.0);
}
