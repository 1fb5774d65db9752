//! Distributions: what is recorded is what is sampled from, floors hold, and exploring finds the best arm.

use super::world::{Dice, World, key, model_plan, plain, world};
use luopan_kernel::features;
use luopan_kernel::id::DecisionId;
use luopan_kernel::learn::{ModelState, Sample, learn, predict};
use luopan_kernel::plan::policy::LISTED_MAX;
use luopan_kernel::plan::*;
use luopan_kernel::slots::CustomerSlots;
use luopan_kernel::time::Micros;
use luopan_kernel::value::Value;
use proptest::prelude::*;

/// Frequencies of first choices over many seeds agree with the recorded probabilities within five standard deviations.
/// The distribution may differ from seed to seed (posterior draws); the sum of its probabilities is what is expected.
fn check_frequencies(w: &World, seeds: u64) {
    let n = w.catalogue.len();
    let mut seen = vec![0.0; n + 1];
    let mut expected = vec![0.0; n + 1];
    let mut variance = vec![0.0; n + 1];
    for seed in 0..seeds {
        let d = w.decide(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let place = d
            .choices
            .first()
            .map_or(n, |c| w.catalogue.row(&c.item).unwrap());
        seen[place] += 1.0;
        for i in 0..=n {
            let p = d.distribution.probability((i < n).then_some(i as u32));
            expected[i] += p;
            variance[i] += p * (1.0 - p);
        }
    }
    for i in 0..=n {
        let gap: f64 = seen[i] - expected[i];
        assert!(
            gap.abs() <= 5.0 * f64::sqrt(variance[i]) + 1e-6,
            "candidate {i}: {} seen, {} expected",
            seen[i],
            expected[i]
        );
    }
}

#[test]
fn choices_are_as_frequent_as_recorded() {
    for exploration in [
        Exploration::Greedy,
        Exploration::EpsilonGreedy { epsilon: 0.25 },
        Exploration::Softmax { temperature: 1.5 },
        Exploration::Uniform,
        Exploration::Thompson {
            draws: 10,
            floor: 0.3,
            scale: 1.0,
        },
        Exploration::Bootstrap { floor: 0.3 },
    ] {
        check_frequencies(&plain(&[1, 3, 2, 0], exploration.clone(), 1, None), 20_000);
        check_frequencies(&plain(&[1, 3, 2, 0], exploration, 1, Some(2.5)), 20_000);
    }
    for seed in 0..40 {
        let mut w = world(seed);
        w.policy_mut().exploration = Exploration::Thompson {
            draws: 10,
            floor: 0.1,
            scale: 1.0,
        };
        check_frequencies(&w, 2_000);
    }
}

#[test]
fn distributions_are_what_they_are_declared_to_be() {
    let p = |e, row| {
        plain(&[1, 3, 2], e, 1, Some(0.0))
            .decide(3)
            .distribution
            .probability(row)
    };
    assert_eq!(p(Exploration::Greedy, Some(1)), 1.0);
    assert_eq!(
        p(Exploration::EpsilonGreedy { epsilon: 0.2 }, Some(1)),
        0.8 + 0.05
    );
    assert_eq!(p(Exploration::EpsilonGreedy { epsilon: 0.2 }, None), 0.05);
    assert_eq!(p(Exploration::Uniform, Some(2)), 0.25);
    let ratio = p(Exploration::Softmax { temperature: 2.0 }, Some(1))
        / p(Exploration::Softmax { temperature: 2.0 }, Some(0));
    assert!((ratio - core::f64::consts::E).abs() < 1e-12);
}

#[test]
fn the_tail_of_a_long_distribution_is_even_and_its_record_bounded() {
    let scores: Vec<i64> = (0..3000).map(|i| i % 1500).collect();
    let softmax = Exploration::Softmax { temperature: 400.0 };
    let w = plain(&scores, softmax, 3, Some(3.0));
    let d = w.decide(1);
    assert_eq!(d.distribution.listed.len(), LISTED_MAX + 1);
    assert!((d.distribution.total() - 1.0).abs() < 1e-12);
    let p = |i| {
        d.distribution
            .probability(w.catalogue.row(&key(i)).map(|r| r as u32))
    };
    // The best keep what softmax gives them, and the null action its own.
    let exact = |s: f64| libm::exp(s / 400.0);
    let sum = scores.iter().map(|s| exact(*s as f64)).sum::<f64>() + exact(3.0);
    assert!((p(1499) - exact(1499.0) / sum).abs() < 1e-12);
    assert!((d.distribution.probability(None) - exact(3.0) / sum).abs() < 1e-12);
    let tail: f64 = (scores.iter().filter(|s| **s < 1000))
        .map(|s| exact(*s as f64))
        .sum();
    assert!((d.distribution.base - tail / sum / 2000.0).abs() < 1e-12);
    assert_eq!(p(5), d.distribution.base);
}

proptest! {
    #[test]
    fn a_floor_is_kept(seed: u64, draw: u64, floor in 0.0f64..1.0) {
        let mut w = world(seed);
        w.policy_mut().exploration = Exploration::Thompson { draws: 7, floor, scale: 1.0 };
        let d = w.decide(draw);
        let arms = d.available + u32::from(w.policy().null_action.is_arm);
        for row in d.distribution.available.iter() {
            prop_assert!(d.distribution.probability(Some(row)) >= floor / f64::from(arms) - 1e-15);
        }
    }
}

/// The share of draws that each candidate wins agrees with the posterior: two independent normal scores win by
/// P(a > b) = Phi((m_a - m_b) / sqrt(v_a + v_b)), and the two ways of drawing a shared model's scores agree.
#[test]
fn thompson_draws_follow_the_posterior() {
    for scope in [ModelScope::PerItem, ModelScope::Shared] {
        for items in [2usize, 40] {
            let mut w = plain(
                &vec![0; items],
                Exploration::Thompson {
                    draws: 10_000,
                    floor: 0.0,
                    scale: 1.0,
                },
                1,
                None,
            );
            w.scene.models[0] = model_plan(ModelKind::Linear, scope);
            w.policy_mut().scorer = Scorer::Model("response".into());
            let plan = w.scene.models[0].clone();
            let mut dice = Dice::new(5);
            let mut state = ModelState::default();
            let samples: Vec<Sample> = (0..40)
                .map(|i| super::world::sample(&mut dice, &plan, i))
                .collect();
            learn(&plan, &mut state, &samples);
            w.customer = CustomerSlots {
                values: vec![
                    Value::Int(1),
                    Value::Number(0.3),
                    Value::Bool(true),
                    Value::text("b"),
                    Value::Missing,
                    Value::Int(3),
                    Value::Missing,
                    Value::Missing,
                    Value::Missing,
                    Value::Missing,
                ],
                ..CustomerSlots::default()
            };
            // Only items 0 and 1 stay: with 40 the others score so low that they never win.
            if items > 2 {
                w.policy_mut().suitability = vec![NamedRule {
                    name: "two".into(),
                    source: String::new(),
                    expr: Expr::In(
                        Box::new(Expr::Slot(SlotId(9))),
                        vec![Value::text(key(0)), Value::text(key(1))],
                    ),
                    version: None,
                    authority: None,
                    effective: None,
                }];
            }
            let x = |i: usize| {
                let slots = luopan_kernel::slots::ItemSlots::new(&w.scene, 0);
                let lookup = luopan_kernel::slots::ItemLookup::new(
                    &w.customer,
                    &slots,
                    w.catalogue.key_value(i),
                    w.catalogue.values(i),
                    luopan_kernel::slots::NO_STAGES,
                );
                let mut out = Vec::new();
                features::encode(&plan, &lookup, &mut out);
                out
            };
            let (k0, k1) = (key(0), key(1));
            let (a, b) = (
                predict(&plan, &state, Some(&k0), &x(0)).unwrap(),
                predict(&plan, &state, Some(&k1), &x(1)).unwrap(),
            );
            let variance = match scope {
                ModelScope::PerItem => a.variance + b.variance,
                ModelScope::Shared => {
                    let difference: Vec<f64> = x(0).iter().zip(x(1)).map(|(a, b)| a - b).collect();
                    predict(&plan, &state, None, &difference).unwrap().variance
                }
            };
            w.model = Some(state);
            let share = w.decide(11).distribution.probability(Some(0));
            let z = luopan_kernel::random::normal_quantile(share.clamp(1e-6, 1.0 - 1e-6));
            let expected = (a.linear - b.linear) / variance.sqrt();
            assert!(
                (z - expected).abs() < 0.1,
                "{scope:?} {items}: {z} is not {expected}"
            );
        }
    }
}

/// Runs a bandit of four arms, of which `best` pays most, and returns how often it was chosen in the last quarter.
fn bandit(kind: ModelKind, scope: ModelScope, rounds: u64, seed: u64) -> f64 {
    let mut w = plain(
        &[0; 4],
        Exploration::Thompson {
            draws: 50,
            floor: 0.02,
            scale: 1.0,
        },
        1,
        None,
    );
    let mut plan = model_plan(kind, scope);
    plan.drift_variance = 0.0;
    plan.noise_variance = 0.2;
    w.scene.models[0] = plan.clone();
    w.policy_mut().scorer = Scorer::Model("response".into());
    w.customer.values[1] = Value::Number(0.5);
    w.customer.values[3] = Value::text("a");
    let pays = [0.2, 0.35, 0.6, 0.3];
    let mut dice = Dice::new(seed);
    let mut state = ModelState::default();
    let mut late = 0.0;
    for i in 0..rounds {
        w.model = Some(state);
        let d = w.decide(seed ^ (i << 20));
        let choice = &d.choices[0];
        let row = w.catalogue.row(&choice.item).unwrap();
        if i >= rounds * 3 / 4 && row == 2 {
            late += 1.0;
        }
        let slots = luopan_kernel::slots::ItemSlots::new(&w.scene, 0);
        let lookup = luopan_kernel::slots::ItemLookup::new(
            &w.customer,
            &slots,
            w.catalogue.key_value(row),
            w.catalogue.values(row),
            luopan_kernel::slots::NO_STAGES,
        );
        let mut features = Vec::new();
        features::encode(&plan, &lookup, &mut features);
        let sample = Sample {
            id: (DecisionId([0; 16]), 0),
            arm: Some(choice.item.clone()),
            features,
            reward: f64::from(u8::from(dice.chance(pays[row]))),
            weight: 1.0,
            propensity: choice.propensity,
            at: Micros(i as i64),
        };
        state = w.model.take().unwrap();
        learn(&plan, &mut state, &[sample]);
    }
    late / (rounds / 4) as f64
}

#[test]
fn thompson_sampling_finds_the_best_arm() {
    for kind in [ModelKind::Linear, ModelKind::Logistic] {
        for scope in [ModelScope::PerItem, ModelScope::Shared] {
            for seed in [1, 2, 3] {
                let share = bandit(kind, scope, 2_000, seed);
                assert!(
                    share > 0.85,
                    "{kind:?} {scope:?} seed {seed}: the best arm had {share} of the last quarter"
                );
            }
        }
    }
}
