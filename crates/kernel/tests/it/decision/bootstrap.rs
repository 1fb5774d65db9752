//! Replicates of beliefs: they learn what the bootstrap says, disagree as much as they should, and are explored by their shares.

use super::world::{Dice, key, model_plan, plain, sample};
use luopan_kernel::codec::Error;
use luopan_kernel::decide::Bandit;
use luopan_kernel::features;
use luopan_kernel::learn::bootstrap::{Replicates, count};
use luopan_kernel::learn::{ModelState, Sample, learn};
use luopan_kernel::plan::*;
use luopan_kernel::slots::{ItemLookup, ItemSlots, NO_STAGES};
use luopan_kernel::value::Value;
use proptest::prelude::*;

fn replicated(kind: ModelKind, scope: ModelScope, replicates: u16) -> ModelPlan {
    ModelPlan {
        replicates,
        ..model_plan(kind, scope)
    }
}

fn learned(plan: &ModelPlan, seed: u64, n: u64) -> ModelState {
    let mut dice = Dice::new(seed);
    let data: Vec<Sample> = (0..n).map(|i| sample(&mut dice, plan, i)).collect();
    learned_from(plan, &data)
}

fn learned_from(plan: &ModelPlan, data: &[Sample]) -> ModelState {
    let mut state = ModelState::default();
    learn(plan, &mut state, data);
    state
}

/// Samples of a model that is an intercept alone.
fn of_intercept(plan: &ModelPlan, seed: u64, n: u64) -> Vec<Sample> {
    let mut dice = Dice::new(seed);
    (0..n)
        .map(|i| Sample {
            features: vec![1.0],
            ..sample(&mut dice, plan, i)
        })
        .collect()
}

/// An intercept alone.
fn mean_alone(replicates: u16) -> ModelPlan {
    let mut plan = replicated(ModelKind::Linear, ModelScope::Shared, replicates);
    plan.features.truncate(1);
    plan.drift_variance = 0.0;
    plan.prior_intercept = 0.0;
    plan.features[0].prior_variance = 4.0;
    plan
}

fn mean_and_variance(of: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
    let n = of.clone().count() as f64;
    let mean = of.clone().sum::<f64>() / n;
    (mean, of.map(|x| (x - mean) * (x - mean)).sum::<f64>() / n)
}

/// Before anything is learned replicates are spread as the prior is; afterwards as the bootstrap of a mean is (Efron 1979).
#[test]
fn replicates_disagree_as_much_as_is_unknown() {
    let plan = mean_alone(256);
    let mut means = Vec::new();
    Replicates::of(&plan, None, None).linear_means(&[1.0], &mut means);
    let (mean, variance) = mean_and_variance(means.iter().copied());
    assert!(mean.abs() < 0.5, "{mean}");
    assert!((variance / 4.0 - 1.0).abs() < 0.35, "{variance}");

    let n = 500;
    let state = learned_from(&plan, &of_intercept(&plan, 7, n));
    let replicates = state.replicates(&plan, None).unwrap();
    let (mean, variance) = mean_and_variance(replicates.iter().map(|r| r.mean[0]));
    let share = state.posterior(&plan, None).unwrap().mean[0];
    let expected = share * (1.0 - share) / n as f64;
    assert!((mean - share).abs() < 0.01, "{mean} is not {share}");
    assert!(
        (variance / expected - 1.0).abs() < 0.35,
        "{variance} is not {expected}"
    );
}

/// A replicate is the belief that learned, with twice their weight, the samples that its coin fell for: here each is weighed
/// anew by the closed form of ridge regression with one weight.
#[test]
fn a_replicate_learns_doubled_samples_or_none() {
    let plan = mean_alone(64);
    let n = 40;
    let data = of_intercept(&plan, 3, n);
    let mut starts = Vec::new();
    Replicates::of(&plan, None, None).linear_means(&[1.0], &mut starts);
    let mut state = ModelState::default();
    let mut samples = vec![0; 64];
    let mut sums = vec![0.0; 64];
    for s in &data {
        learn(&plan, &mut state, std::slice::from_ref(s));
        let replicates = state.replicates(&plan, None).unwrap();
        for (i, r) in replicates.iter().enumerate() {
            if r.samples > samples[i] {
                samples[i] += 1;
                sums[i] += s.reward;
            }
            // The posterior mean of prior precision 1/4 about the start, each sample of precision 2 / noise.
            let precision = 2.0 / plan.noise_variance;
            let expected =
                (starts[i] / 4.0 + precision * sums[i]) / (0.25 + precision * samples[i] as f64);
            assert!((r.mean[0] - expected).abs() < 1e-9);
        }
    }
    let all: u64 = samples.iter().sum();
    let half = 64.0 * n as f64 / 2.0;
    assert!((all as f64 - half).abs() < 5.0 * f64::sqrt(half / 2.0));
    assert!(samples.iter().any(|s| *s != samples[0]));
}

/// A candidate's probability is its share of replicates in which it is the best, plus its share of the floor; the product
/// decides by the same numbers as the bandit alone.
fn shares_are_exact(seed: u64, scope: ModelScope, samples: u64) {
    let floor = 0.1;
    let exploration = Exploration::Bootstrap { floor };
    let mut w = plain(&[0; 4], exploration.clone(), 1, None);
    let plan = replicated(ModelKind::Logistic, scope, 20);
    w.scene.models[0] = plan.clone();
    w.policy_mut().scorer = Scorer::Model("response".into());
    w.customer.values[1] = Value::Number(0.5);
    w.customer.values[3] = Value::text("a");
    let state = learned(&plan, seed, samples);
    w.model = Some(state.clone());
    let d = w.decide(seed);

    let keys: Vec<String> = (0..4).map(key).collect();
    let arms: Vec<Option<&str>> = keys.iter().map(|k| Some(k.as_str())).collect();
    let slots = ItemSlots::new(&w.scene, 0);
    let of_row = |row: usize| {
        let lookup = ItemLookup::new(
            &w.customer,
            &slots,
            w.catalogue.key_value(row),
            w.catalogue.values(row),
            NO_STAGES,
        );
        let mut x = Vec::new();
        features::encode(&plan, &lookup, &mut x);
        x
    };
    let each: Vec<Vec<f64>> = (0..4).map(of_row).collect();
    let mut votes = [0.0; 4];
    for replicate in 0..20 {
        let score = |i: usize| {
            let mut means = Vec::new();
            Replicates::of(&plan, Some(&state), arms[i]).linear_means(&each[i], &mut means);
            means[replicate]
        };
        let best = (0..4).fold(0, |best, i| if score(i) > score(best) { i } else { best });
        votes[best] += 1.0;
    }
    let x: Vec<f64> = match scope {
        ModelScope::PerItem => each[0].clone(),
        ModelScope::Shared => each.concat(),
    };
    let (alone, chosen) = Bandit::new(&plan)
        .decide(&exploration, &state, &arms, &x, seed)
        .unwrap();
    assert_eq!(d.choices[0].item, keys[chosen]);
    for i in 0..4 {
        let p = d.distribution.probability(Some(i as u32));
        assert_eq!(p.to_bits(), alone[i].to_bits());
        let expected = (1.0 - floor) * votes[i] / 20.0 + floor / 4.0;
        assert!((p - expected).abs() < 1e-12, "{p} is not {expected}");
    }
}

proptest! {
    #[test]
    fn probabilities_are_shares_of_replicates(seed: u64, shared: bool, samples in 0u64..60) {
        let scope = if shared { ModelScope::Shared } else { ModelScope::PerItem };
        shares_are_exact(seed, scope, samples);
    }

    /// The belief itself is what it is without replicates.
    #[test]
    fn replicates_leave_the_belief_as_it_is(seed: u64, n in 0u64..40) {
        let without = learned(&model_plan(ModelKind::Logistic, ModelScope::PerItem), seed, n);
        let with = learned(&replicated(ModelKind::Logistic, ModelScope::PerItem, 5), seed, n);
        prop_assert_eq!(without.arms(), with.arms());
    }
}

/// Of a model without replicates, and of an expression, the best is taken and the floor spread.
#[test]
fn without_replicates_the_best_is_taken() {
    let w = plain(&[1, 3, 2], Exploration::Bootstrap { floor: 0.3 }, 1, None);
    let p = |row| w.decide(1).distribution.probability(Some(row));
    assert!((p(1) - 0.8).abs() < 1e-12 && (p(0) - 0.1).abs() < 1e-12);
}

/// Plays four arms of which the third pays most; the bandit finds it.
#[test]
fn bootstrapped_exploration_finds_the_best_arm() {
    for kind in [ModelKind::Linear, ModelKind::Logistic] {
        let mut plan = replicated(kind, ModelScope::PerItem, 20);
        plan.drift_variance = 0.0;
        let x = vec![1.0, 0.5, 1.0, 0.0, 0.0];
        let keys: Vec<String> = (0..4).map(key).collect();
        let arms: Vec<Option<&str>> = keys.iter().map(|k| Some(k.as_str())).collect();
        for seed in [1, 2, 3] {
            let mut dice = Dice::new(seed);
            let mut state = ModelState::default();
            let mut late = 0;
            for i in 0..2_000u64 {
                let explore = Exploration::Bootstrap { floor: 0.02 };
                let (p, arm) = Bandit::new(&plan)
                    .decide(&explore, &state, &arms, &x, seed ^ (i << 20))
                    .unwrap();
                late += u32::from(i >= 1_500 && arm == 2);
                let pays = [0.2, 0.35, 0.6, 0.3][arm];
                let told = Sample {
                    arm: arms[arm].map(str::to_owned),
                    features: x.clone(),
                    reward: f64::from(u8::from(dice.chance(pays))),
                    propensity: p[arm],
                    ..sample(&mut dice, &plan, i)
                };
                learn(&plan, &mut state, &[told]);
            }
            assert!(late > 425, "{kind:?}, seed {seed}: {late} of the last 500");
        }
    }
}

#[test]
fn an_arm_has_as_many_replicates_as_its_limit_allows() {
    let mut plan = replicated(ModelKind::Linear, ModelScope::Shared, 256);
    let one = plan.features[0].clone();
    plan.features = vec![one; 64];
    assert_eq!(count(&plan), 64);
    plan.replicates = 20;
    assert_eq!(count(&plan), 20);
    plan.features = vec![plan.features[0].clone(); 512];
    assert_eq!(count(&plan), 1);
}

#[test]
fn golden_file_of_format_2_is_read_and_what_is_too_large_refused() {
    let plan = replicated(ModelKind::Logistic, ModelScope::PerItem, 3);
    let state = learned(&plan, 1, 10);
    super::record::golden("model-2.bin", &state.encode());
    let back = ModelState::decode(include_bytes!("../../golden/model-2.bin")).unwrap();
    assert_eq!(back, state);
    let seen = (0..4)
        .map(key)
        .find(|k| back.posterior(&plan, Some(k)).is_some());
    let seen = seen.as_deref();
    assert_eq!(back.replicates(&plan, seen).unwrap().len(), 3);
    // Of a plan with another number of replicates they are made anew.
    let other = replicated(ModelKind::Logistic, ModelScope::PerItem, 4);
    assert_eq!(back.replicates(&other, seen), None);

    // An empty state of format 2 whose one arm says that it has so many replicates of so many weights.
    let claims = |replicates: u64, d: usize| {
        let mut w = luopan_kernel::codec::Writer::with_format(2);
        for n in [0, 0, 0, 1] {
            w.uint(n);
        }
        w.u8(0);
        w.uint(replicates);
        for _ in 0..replicates {
            w.uint(0);
            w.uint(d as u64);
            for _ in 0..d + d * (d + 1) / 2 {
                w.f64(0.0);
            }
        }
        ModelState::decode(&w.into_bytes())
    };
    assert!(claims(2, 3).is_ok());
    for (replicates, d) in [(257, 1), (0, 1), (5, 250)] {
        assert!(
            matches!(claims(replicates, d), Err(Error::Malformed { .. })),
            "{replicates} of {d}"
        );
    }
}
