//! What each thing that is known adds to a score.

use super::wide::wide;
use super::world::{World, key, plain, world};
use luopan_kernel::decide::attribute::{Attribution, Error, Scores};
use luopan_kernel::plan::*;
use luopan_kernel::slots::CustomerSlots;
use luopan_kernel::value::Value;

fn attribute(
    w: &World,
    customer: &CustomerSlots<'_>,
    others: &[CustomerSlots<'_>],
    key: &str,
    orders: u32,
) -> Result<Attribution, Error> {
    let models = w.objective_models();
    Scores {
        scene: &w.scene,
        policy: w.policy(),
        catalogue: &w.catalogue,
        model: w.model.as_ref(),
        objective_models: &models,
        artifacts: &w.artifacts,
    }
    .attribute(customer, others, &w.request, key, orders, 3)
}

/// Other customers of the same scene.
fn others(of: fn(u64) -> World, n: u64) -> Vec<CustomerSlots<'static>> {
    (0..n).map(|i| of(7_000 + i).customer).collect()
}

#[test]
fn what_is_added_makes_the_score_that_was_decided_by() {
    let mut compared = 0;
    for (of, seeds) in [(wide as fn(u64) -> World, 0..150), (world, 0..150)] {
        for seed in seeds {
            let w = of(seed);
            let others = others(of, 8);
            let is_priced = w.policy().budgets.iter().any(|b| b.price.is_some());
            for line in &w.decide(seed).trace {
                let (Some(item), Some(score)) = (&line.item, line.score) else {
                    continue;
                };
                if w.catalogue.find(item).is_none() {
                    continue;
                }
                let Ok(found) = attribute(&w, &w.customer, &others, item, 8) else {
                    continue;
                };
                if !is_priced {
                    assert_eq!(found.score.to_bits(), score.to_bits(), "{seed} {item}");
                }
                let sum: f64 = found.added.iter().map(|a| a.adds).sum();
                let off = (found.base + sum - found.score).abs();
                assert!(off < 1e-9 * (1.0 + score.abs()), "{seed} {item} {off}");
                assert_eq!(
                    attribute(&w, &w.customer, &others, item, 8).as_ref(),
                    Ok(&found)
                );
                compared += usize::from(!found.added.is_empty());
            }
        }
    }
    assert!(compared > 200, "{compared}");
}

/// The customer's slots that a score may read.
const PLAYERS: [usize; 6] = [0, 1, 2, 3, 4, 5];

/// Shapley values by their definition: over all sets of slots, against the mean of the others.
fn exact(w: &World, others: &[CustomerSlots<'static>], item: &str) -> Option<Vec<f64>> {
    let n = PLAYERS.len();
    let worth = |set: usize| {
        let mut sum = 0.0;
        for other in others {
            let mut mixed = other.clone();
            mixed.held = w.customer.held.clone();
            for (i, slot) in PLAYERS.iter().enumerate() {
                if set >> i & 1 == 1 {
                    mixed.values[*slot] = w.customer.values[*slot].clone();
                }
            }
            sum += attribute(w, &mixed, std::slice::from_ref(&mixed), item, 1)
                .ok()?
                .score;
        }
        Some(sum / others.len() as f64)
    };
    let worths: Vec<f64> = (0..1 << n).map(worth).collect::<Option<_>>()?;
    let factorial = |k: usize| (1..=k).map(|v| v as f64).product::<f64>();
    let of = |i: usize| {
        (0..1usize << n)
            .filter(|set| set >> i & 1 == 0)
            .map(|set| {
                let size = set.count_ones() as usize;
                let weight = factorial(size) * factorial(n - size - 1) / factorial(n);
                weight * (worths[set | 1 << i] - worths[set])
            })
            .sum()
    };
    Some((0..n).map(of).collect())
}

#[test]
fn what_is_drawn_comes_to_shapley_s_values() {
    let others = others(wide, 4);
    let mut compared = 0;
    for seed in 0..40 {
        let w = wide(seed);
        let Some(item) = (w.decide(seed).trace.iter())
            .find(|t| t.score.is_some() && t.item.is_some())
            .and_then(|t| t.item.clone())
        else {
            continue;
        };
        let Some(exact) = exact(&w, &others, &item) else {
            continue;
        };
        let found = attribute(&w, &w.customer, &others, &item, 2_000).unwrap();
        assert_eq!(found.unknown, 0);
        for (slot, wanted) in PLAYERS.iter().zip(exact) {
            let name = &w.scene.slots[*slot].name;
            let line = found.added.iter().find(|a| a.slot == *name);
            let (adds, error) = line.map_or((0.0, 0.0), |a| (a.adds, a.standard_error));
            assert!(
                (adds - wanted).abs() <= 6.0 * error + 1e-9,
                "seed {seed}, {name}: {adds} +- {error}, {wanted}"
            );
            compared += usize::from(wanted.abs() > 1e-6);
        }
    }
    assert!(compared > 20, "{compared}");
}

#[test]
fn one_who_differs_in_one_thing_is_told_that_thing() {
    let tier = Expr::Call(Function::ToNumber, vec![Expr::Slot(SlotId(0))]);
    let balance = Expr::Slot(SlotId(1));
    let mut w = plain(&[1], Exploration::Uniform, 1, None);
    w.policy_mut().scorer = Scorer::Expression(Expr::Binary(
        BinaryOp::Mul,
        Box::new(tier),
        Box::new(balance),
    ));
    w.customer.values[0] = Value::Int(3);
    w.customer.values[1] = Value::Number(2.0);
    let mut other = w.customer.clone();
    other.values[0] = Value::Int(1);
    let one = std::slice::from_ref(&other);
    let found = attribute(&w, &w.customer, one, &key(0), 1).unwrap();
    assert_eq!((found.score, found.base, found.orders), (6.0, 2.0, 1));
    let told: Vec<_> = (found.added.iter())
        .map(|a| (a.slot.as_str(), a.value.clone(), a.adds))
        .collect();
    assert_eq!(told, [("tier", Value::Int(3), 4.0)]);

    // Two that only work together share what they add.
    other.values[1] = Value::Number(0.0);
    other.values[0] = Value::Int(0);
    let one = std::slice::from_ref(&other);
    let found = attribute(&w, &w.customer, one, &key(0), 1).unwrap();
    let told: Vec<_> = (found.added.iter())
        .map(|a| (a.slot.as_str(), a.adds))
        .collect();
    assert_eq!(told, [("balance", 3.0), ("tier", 3.0)]);

    assert_eq!(
        attribute(&w, &w.customer, one, "no such", 1),
        Err(Error::NoItem)
    );
    assert_eq!(
        attribute(&w, &w.customer, &[], &key(0), 1),
        Err(Error::NoOthers)
    );
    let mut unknown = w.customer.clone();
    unknown.values[1] = Value::Missing;
    assert_eq!(
        attribute(&w, &unknown, one, &key(0), 1),
        Err(Error::NoScore)
    );
    // Others for whom there is no score are nobody to compare with.
    let others = [unknown, other];
    assert_eq!(
        attribute(&w, &w.customer, &others, &key(0), 1)
            .unwrap()
            .others,
        1
    );
}
