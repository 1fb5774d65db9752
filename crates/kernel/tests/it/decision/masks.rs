//! Rules over a whole catalogue say of each item just what they say of it alone, and a policy made ready for a catalogue
//! decides as one that was not.

use super::wide::wide;
use super::world::{Dice, condition, world};
use luopan_kernel::catalogue::{Catalogue, CatalogueRule, Rows};
use luopan_kernel::decide::{Prepared, Situation, decide};
use luopan_kernel::plan::rule::{BinaryOp, Expr, Function};
use luopan_kernel::plan::slot::SlotId;
use luopan_kernel::plan::{ItemPlan, ScenePlan};
use luopan_kernel::rule::truth;
use luopan_kernel::slots::{CustomerSlots, ItemLookup, ItemSlots, NO_STAGES};
use luopan_kernel::value::Value;
use proptest::prelude::*;
use std::collections::BTreeSet;

const COMPARISONS: [BinaryOp; 6] = [
    BinaryOp::Eq,
    BinaryOp::Ne,
    BinaryOp::Lt,
    BinaryOp::Le,
    BinaryOp::Gt,
    BinaryOp::Ge,
];

fn agrees(
    expr: &Expr,
    scene: &ScenePlan,
    customer: &CustomerSlots<'_>,
    catalogue: &Catalogue,
) -> bool {
    let slots = ItemSlots::new(scene, 0);
    let rule = CatalogueRule::new(expr, &slots, catalogue);
    let mask = rule.mask(customer, &slots, catalogue);
    for row in 0..catalogue.len() {
        let lookup = ItemLookup::new(
            customer,
            &slots,
            catalogue.key_value(row),
            catalogue.values(row),
            NO_STAGES,
        );
        assert_eq!(
            mask.truth(row),
            truth(expr, &lookup),
            "row {row} of {expr:?}"
        );
    }
    rule.is_mixed()
}

/// Many items: the fee has more different values than a column keeps bitmaps for, the risk has few.
fn many_items(scene: &ScenePlan, dice: &mut Dice, n: usize) -> Catalogue {
    let items = (0..n).map(|i| {
        let mut maybe = |v| if dice.chance(0.1) { Value::Missing } else { v };
        let risk = maybe(Value::Int((i % 5) as i64 + 1));
        let fee = maybe(Value::Int(i as i64 * 37 % 1_000));
        let kind = maybe(Value::text(format!("kind {}", i % 90)));
        ItemPlan {
            key: format!("many-{i:04}"),
            values: vec![risk, fee, kind],
        }
    });
    Catalogue::new(&scene.catalogues[0], 2, items).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_mask_is_the_truth_of_each_row(seed in any::<u64>(), n in 0usize..300) {
        let w = world(seed);
        let mut dice = Dice::new(seed ^ 1);
        let expr = condition(&mut dice, 3, true);
        agrees(&expr, &w.scene, &w.customer, &w.catalogue);
        let catalogue = many_items(&w.scene, &mut dice, n);
        agrees(&expr, &w.scene, &w.customer, &catalogue);
        // Each column against a value of the customer, both ways round.
        let slot = |id| Box::new(Expr::Slot(SlotId(id)));
        for (item, customer) in [(6, 0), (7, 0), (8, 3), (9, 3), (7, 1)] {
            for op in COMPARISONS {
                for expr in [
                    Expr::Binary(op, slot(item), slot(customer)),
                    Expr::Binary(op, slot(customer), slot(item)),
                ] {
                    prop_assert!(!agrees(&expr, &w.scene, &w.customer, &catalogue));
                }
            }
        }
        let doubled = Expr::Binary(BinaryOp::Mul, slot(7), Box::new(Expr::Const(Value::Int(2))));
        let dear = Expr::Binary(BinaryOp::Gt, Box::new(doubled), slot(0));
        prop_assert!(!agrees(&dear, &w.scene, &w.customer, &catalogue));
        let together = Expr::Call(Function::Max, vec![Expr::Slot(SlotId(7)), Expr::Slot(SlotId(0))]);
        let mixed = Expr::Binary(BinaryOp::Le, Box::new(together), Box::new(Expr::Const(Value::Int(500))));
        prop_assert!(agrees(&mixed, &w.scene, &w.customer, &catalogue));
    }

    #[test]
    fn being_prepared_changes_nothing(seed in any::<u64>(), is_wide: bool) {
        let w = if is_wide { wide(seed) } else { world(seed) };
        let models = w.objective_models();
        let prepared = Prepared::new(&w.scene, w.policy(), &w.catalogue, &w.artifacts);
        let situation = Situation { prepared: Some(&prepared), ..w.situation(&models) };
        let decision = decide(&w.scene, w.policy(), &situation, &w.request, seed);
        prop_assert_eq!(decision, w.decide(seed));
    }

    #[test]
    fn rows_are_a_set(len in 0usize..200, a in any::<u64>(), b in any::<u64>()) {
        let make = |seed| {
            let mut dice = Dice::new(seed);
            let kept: BTreeSet<usize> = (0..len).filter(|_| dice.chance(0.4)).collect();
            (Rows::from_fn(len, |row| kept.contains(&row)), kept)
        };
        let ((rows, set), (other, others)) = (make(a), make(b));
        prop_assert!(rows.iter().eq(set.iter().copied()));
        prop_assert_eq!(rows.count(), set.len());
        prop_assert_eq!(rows.count_common(&other), set.intersection(&others).count());
        prop_assert_eq!(rows.is_empty(), set.is_empty());
        let (mut kept, mut dropped, mut added) = (rows.clone(), rows.clone(), rows);
        kept.keep(&other);
        dropped.drop_all(&other);
        added.add(&other);
        prop_assert!(kept.iter().eq(set.intersection(&others).copied()));
        prop_assert!(dropped.iter().eq(set.difference(&others).copied()));
        prop_assert!(added.iter().eq(set.union(&others).copied()));
        prop_assert_eq!(Rows::all(len).count(), len);
    }
}
