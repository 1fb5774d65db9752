//! Slates: sequential choice without replacement, with exact propensities and money that suffices for whatever is drawn.

use super::world::{World, key, plain};
use luopan_kernel::decide::BudgetCheck;
use luopan_kernel::plan::*;
use luopan_kernel::value::Value;
use std::collections::BTreeMap;

fn outcome(w: &World, seed: u64) -> (Vec<String>, f64) {
    let d = w.decide(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let mut items: Vec<String> = d.choices.iter().map(|c| c.item.clone()).collect();
    if d.null_propensity.is_some() {
        items.push("silence".into());
    }
    (items, d.propensity)
}

/// Every outcome is seen as often as its recorded propensity says, and the propensities of all outcomes sum to one.
fn check(w: &World) {
    let seeds = 40_000;
    let mut seen: BTreeMap<Vec<String>, (f64, f64)> = BTreeMap::new();
    for seed in 0..seeds {
        let (items, propensity) = outcome(w, seed);
        let entry = seen.entry(items).or_insert((0.0, propensity));
        entry.0 += 1.0;
        assert!(
            (entry.1 - propensity).abs() < 1e-15,
            "the same outcome has the same propensity"
        );
    }
    let n = seeds as f64;
    let total: f64 = seen.values().map(|(_, p)| p).sum();
    assert!((total - 1.0).abs() < 0.01, "{total}");
    for (items, (count, p)) in &seen {
        assert!(
            (count - n * p).abs() <= 5.0 * (n * p * (1.0 - p)).sqrt() + 1e-6,
            "{items:?}: {count} seen, {} expected",
            n * p
        );
    }
}

#[test]
fn outcomes_are_as_frequent_as_their_propensities() {
    for exploration in [
        Exploration::Greedy,
        Exploration::EpsilonGreedy { epsilon: 0.4 },
        Exploration::Softmax { temperature: 1.0 },
        Exploration::Uniform,
        Exploration::Thompson {
            draws: 5,
            floor: 0.5,
            scale: 1.0,
        },
        Exploration::Thompson {
            draws: 5,
            floor: 0.0,
            scale: 1.0,
        },
    ] {
        for null in [None, Some(1.5)] {
            check(&plain(&[1, 2, 2, 0], exploration.clone(), 3, null));
        }
    }
}

#[test]
fn a_softmax_slate_is_plackett_luce() {
    let w = plain(
        &[1, 2, 0],
        Exploration::Softmax { temperature: 1.0 },
        2,
        None,
    );
    let e = libm::exp;
    for seed in 0..200 {
        let d = w.decide(seed);
        let score = |i: usize| d.choices[i].score;
        let all = e(0.0) + e(1.0) + e(2.0);
        assert!((d.choices[0].propensity - e(score(0)) / all).abs() < 1e-12);
        assert!((d.choices[1].propensity - e(score(1)) / (all - e(score(0)))).abs() < 1e-12);
    }
}

#[test]
fn a_greedy_slate_is_the_best_in_order() {
    let d = plain(&[1, 9, 4, 7], Exploration::Greedy, 3, None).decide(1);
    assert_eq!(
        d.choices.iter().map(|c| c.item.clone()).collect::<Vec<_>>(),
        [key(1), key(3), key(2)]
    );
    assert_eq!(d.propensity, 1.0);
}

#[test]
fn a_slate_is_as_long_as_whatever_is_drawn_can_be_paid() {
    let mut w = plain(&[1, 2, 3, 4], Exploration::Uniform, 4, None);
    // The score is also the cost: 1 to 4.
    w.policy_mut().budgets = vec![BudgetUse {
        budget: 0,
        cost: Expr::Slot(SlotId(6)),
        price: None,
    }];
    w.spent = vec![0, 0];
    let check = |amount, available| BudgetCheck {
        budget: 0,
        amount,
        available,
    };
    for (limit, positions, checks) in [
        (10, 4, vec![check(10, true)]),
        (9, 3, vec![check(9, true), check(10, false)]),
        (7, 2, vec![check(7, true), check(9, false)]),
        (4, 1, vec![check(4, true), check(7, false)]),
        // The dearest item is not available at all: the others cost 3 + 2 + 1.
        (3, 1, vec![check(3, true), check(4, false)]),
    ] {
        w.scene.budgets[0].limit = limit;
        for seed in 0..100 {
            let d = w.decide(seed);
            assert_eq!(d.slots, positions);
            assert_eq!(d.checks, checks, "limit {limit}");
            assert_eq!(d.choices.len(), positions as usize);
            assert!(d.debits.iter().all(|x| x.amount <= limit));
        }
    }
    w.policy_mut().budgets[0].cost = Expr::Const(Value::Int(-1));
    assert_eq!(w.decide(0).available, 0);
    w.policy_mut().budgets[0].cost = Expr::Const(Value::Int(i64::MAX));
    assert_eq!(w.decide(0).available, 0);
}
