//! Learning: closed forms, batch splits, encodings, bad samples.
#![expect(
    clippy::needless_range_loop,
    reason = "the oracles' algebra reads as it stands in the books: by index"
)]

use super::world::{Dice, model_plan, sample};
use luopan_kernel::learn::{Arm, Learned, ModelState, Sample, learn, predict, sigmoid};
use luopan_kernel::plan::{Feature, FeaturePlan, ModelKind, ModelPlan, ModelScope, SlotId};
use proptest::prelude::*;

/// A shared model of an intercept and `d - 1` numbers, without drift.
fn plain_plan(kind: ModelKind, d: u16, prior_variance: f64) -> ModelPlan {
    let mut plan = model_plan(kind, ModelScope::Shared);
    let standard = |i| FeaturePlan::Standard {
        slot: SlotId(i),
        mean: 0.0,
        scale: 1.0,
        clip: 1e6,
    };
    plan.features = (0..d)
        .map(|i| Feature {
            plan: if i == 0 {
                FeaturePlan::Intercept
            } else {
                standard(i)
            },
            prior_variance,
        })
        .collect();
    plan.drift_variance = 0.0;
    plan.noise_variance = 0.7;
    plan.reward_bounds = (-100.0, 100.0);
    plan
}

/// Solves `a * x = b` by Gaussian elimination with pivoting, for the oracle.
fn solve(mut a: Vec<Vec<f64>>, mut b: Vec<f64>) -> Vec<f64> {
    let n = b.len();
    for c in 0..n {
        let p = (c..n)
            .max_by(|i, j| a[*i][c].abs().total_cmp(&a[*j][c].abs()))
            .unwrap();
        a.swap(c, p);
        b.swap(c, p);
        for r in c + 1..n {
            let f = a[r][c] / a[c][c];
            for k in c..n {
                let v = a[c][k];
                a[r][k] -= f * v;
            }
            b[r] -= f * b[c];
        }
    }
    for c in (0..n).rev() {
        for k in c + 1..n {
            b[c] -= a[c][k] * b[k];
        }
        b[c] /= a[c][c];
    }
    b
}

fn samples(
    plan: &ModelPlan,
    n: u64,
    seed: u64,
    reward: impl Fn(&mut Dice, &[f64]) -> f64,
) -> Vec<Sample> {
    let mut dice = Dice::new(seed);
    (0..n)
        .map(|i| {
            let mut s = sample(&mut dice, plan, i);
            s.features[0] = 1.0;
            s.reward = reward(&mut dice, &s.features);
            s.weight = 0.5 + dice.0.uniform();
            s
        })
        .collect()
}

#[test]
fn a_linear_posterior_is_the_closed_form() {
    let d = 12;
    let plan = plain_plan(ModelKind::Linear, d as u16, 2.0);
    let data = samples(&plan, 500, 3, |dice, x| {
        0.4 + x[1] - 2.0 * x[2] + dice.0.normal()
    });
    let mut state = ModelState::default();
    learn(&plan, &mut state, &data);
    // Precision: prior + sum of w x x' / noise; its product with the mean: prior * prior mean + sum of w x y / noise.
    let mut precision = vec![vec![0.0; d]; d];
    let mut right = vec![0.0; d];
    for i in 0..d {
        precision[i][i] = 1.0 / 2.0;
    }
    right[0] = plan.prior_intercept / 2.0;
    for s in &data {
        let w = s.weight / plan.noise_variance;
        for i in 0..d {
            right[i] += w * s.features[i] * s.reward;
            for j in 0..d {
                precision[i][j] += w * s.features[i] * s.features[j];
            }
        }
    }
    let mean = solve(precision.clone(), right);
    let belief = state.posterior(&plan, None).unwrap();
    for i in 0..d {
        assert!((belief.mean[i] - mean[i]).abs() < 1e-9);
        let unit = (0..d).map(|j| f64::from(u8::from(i == j))).collect();
        let column = solve(precision.clone(), unit);
        for j in 0..d {
            assert!((belief.covariance[i * d + j] - column[j]).abs() < 1e-9);
        }
    }
}

#[test]
fn a_logistic_posterior_is_near_the_batch_optimum() {
    let d = 6;
    let plan = plain_plan(ModelKind::Logistic, d as u16, 1.0);
    let truth = [-1.0, 0.8, -0.5, 0.3, 0.0, 0.6];
    let data = samples(&plan, 20_000, 4, |dice, x| {
        let z: f64 = x.iter().zip(truth).map(|(x, t)| x * t).sum();
        f64::from(u8::from(dice.chance(sigmoid(z))))
    });
    let mut state = ModelState::default();
    learn(&plan, &mut state, &data);
    // Newton's method on the penalised likelihood.
    let mut map = vec![0.0; d];
    let mut hessian = Vec::new();
    for _ in 0..30 {
        let mut gradient: Vec<f64> = map
            .iter()
            .enumerate()
            .map(|(i, m)| (if i == 0 { plan.prior_intercept } else { 0.0 }) - m)
            .collect();
        hessian = (0..d)
            .map(|i| {
                (0..d)
                    .map(|j| f64::from(u8::from(i == j)))
                    .collect::<Vec<f64>>()
            })
            .collect();
        for s in &data {
            let p = sigmoid(s.features.iter().zip(&map).map(|(x, m)| x * m).sum());
            for i in 0..d {
                gradient[i] += s.weight * s.features[i] * (s.reward - p);
                for j in 0..d {
                    hessian[i][j] += s.weight * p * (1.0 - p) * s.features[i] * s.features[j];
                }
            }
        }
        let step = solve(hessian.clone(), gradient);
        map.iter_mut().zip(step).for_each(|(m, s)| *m += s);
    }
    let belief = state.posterior(&plan, None).unwrap();
    for i in 0..d {
        let unit = (0..d).map(|j| f64::from(u8::from(i == j))).collect();
        let variance = solve(hessian.clone(), unit)[i];
        let gap = (belief.mean[i] - map[i]) / variance.sqrt();
        assert!(
            gap.abs() < 1.0,
            "weight {i}: {} and {}, {gap} standard deviations apart",
            belief.mean[i],
            map[i]
        );
        let ratio = belief.covariance[i * d + i] / variance;
        assert!(
            (0.8..1.25).contains(&ratio),
            "variance of weight {i}: ratio {ratio}"
        );
    }
}

#[test]
fn drift_follows_a_change() {
    let mut plan = plain_plan(ModelKind::Linear, 1, 1.0);
    let before = samples(&plan, 2000, 1, |_, _| 0.0);
    let after = samples(&plan, 200, 2, |_, _| 1.0);
    let mut after_change = |q| {
        plan.drift_variance = q;
        let mut state = ModelState::default();
        learn(&plan, &mut state, &before);
        learn(&plan, &mut state, &after);
        predict(&plan, &state, None, &[1.0]).unwrap().mean
    };
    assert!(after_change(0.0) < 0.15);
    assert!(after_change(1e-3) > 0.9);
}

fn random_plan(seed: u64) -> ModelPlan {
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
    ModelPlan {
        replicates: [0, 3][dice.below(2)],
        ..model_plan(kind, scope)
    }
}

fn random_samples(plan: &ModelPlan, seed: u64, n: u64) -> Vec<Sample> {
    let mut dice = Dice::new(seed);
    let spoil = |dice: &mut Dice, mut s: Sample| {
        match dice.below(12) {
            0 => s.reward = f64::NAN,
            1 => s.weight = 0.0,
            2 => s.features[0] = f64::INFINITY,
            3 => s.features.push(1.0),
            4 => s.reward = 1e300,
            5 => s.features.iter_mut().for_each(|x| *x *= 1e200),
            _ => {}
        }
        s
    };
    (0..n)
        .map(|i| {
            let s = sample(&mut dice, plan, i);
            spoil(&mut dice, s)
        })
        .collect()
}

proptest! {
    #[test]
    fn any_cut_into_batches_gives_the_same_bits(seed: u64, cuts in proptest::collection::vec(0usize..60, 0..5)) {
        let plan = random_plan(seed);
        let data = random_samples(&plan, seed, 60);
        let mut whole = ModelState::default();
        let learned = learn(&plan, &mut whole, &data);
        let mut parts = ModelState::default();
        let mut cuts = cuts;
        cuts.extend([0, data.len()]);
        cuts.sort_unstable();
        let mut sum = Learned::default();
        for w in cuts.windows(2) {
            let part = learn(&plan, &mut parts, &data[w[0]..w[1]]);
            sum = Learned { learned: sum.learned + part.learned, skipped: sum.skipped + part.skipped };
            // A checkpoint in between changes nothing.
            parts = ModelState::decode(&parts.encode()).unwrap();
        }
        prop_assert_eq!(sum, learned);
        prop_assert_eq!(parts.encode(), whole.encode());
        prop_assert_eq!(whole.samples, 60);
        prop_assert_eq!(whole.skipped, learned.skipped);
    }

    #[test]
    fn beliefs_stay_finite_symmetric_and_sorted(seed: u64) {
        let plan = random_plan(seed);
        let mut state = ModelState::default();
        learn(&plan, &mut state, &random_samples(&plan, seed, 200));
        prop_assert!(state.arms().is_sorted_by(|a, b| a.0 < b.0));
        for (arm, p) in state.arms() {
            prop_assert!(plan.scope == ModelScope::PerItem || *arm == Arm::Shared);
            let d = p.dimension();
            for i in 0..d {
                prop_assert!(p.mean[i].is_finite() && p.covariance[i * d + i] > 0.0);
                for j in 0..d {
                    prop_assert_eq!(p.covariance[i * d + j].to_bits(), p.covariance[j * d + i].to_bits());
                }
            }
        }
    }

    #[test]
    fn samples_are_written_and_read_back(seed: u64) {
        let plan = random_plan(seed);
        for s in random_samples(&plan, seed, 5) {
            let bytes = s.encode();
            let back = Sample::decode(&bytes).unwrap();
            prop_assert_eq!(back.encode(), bytes);
        }
    }

    #[test]
    fn any_bytes_are_read_without_panic(mut bytes: Vec<u8>, sound: bool) {
        if sound && !bytes.is_empty() {
            bytes[0] = 1 + bytes[0] % 2;
        }
        let _ = Sample::decode(&bytes);
        let _ = ModelState::decode(&bytes);
    }

    #[test]
    fn a_damaged_state_is_read_without_panic(seed: u64, at: usize, with: u8) {
        let plan = random_plan(seed);
        let mut state = ModelState::default();
        learn(&plan, &mut state, &random_samples(&plan, seed, 20));
        let mut bytes = state.encode();
        let at = at % bytes.len();
        bytes[at] = with;
        let _ = ModelState::decode(&bytes);
        bytes.truncate(at);
        prop_assert!(ModelState::decode(&bytes).is_err());
    }
}

#[test]
fn a_million_updates_leave_a_sound_belief() {
    // Nearly collinear features and no drift: the covariance loses a direction of hardly any variance to rounding.
    let mut plan = plain_plan(ModelKind::Linear, 4, 1e6);
    plan.noise_variance = 1e-6;
    let mut dice = Dice::new(8);
    let mut state = ModelState::default();
    for i in 0..200_000 {
        let mut s = sample(&mut dice, &plan, i);
        s.features = vec![
            1.0,
            s.features[1],
            s.features[1] + 1e-9 * s.features[2],
            1.0 + 1e-9 * s.features[3],
        ];
        s.reward = 1.0;
        learn(&plan, &mut state, &[s]);
    }
    let p = predict(&plan, &state, None, &[1.0, 0.0, 0.0, 0.0]).unwrap();
    assert!(p.mean.is_finite() && p.variance >= 0.0);
    let belief = state.posterior(&plan, None).unwrap();
    assert!((0..4).all(|i| belief.covariance[i * 5] > 0.0));
    assert!(
        (predict(&plan, &state, None, &[1.0, 0.5, 0.5, 1.0])
            .unwrap()
            .mean
            - 1.0)
            .abs()
            < 1e-3
    );
}

#[test]
fn an_arm_never_seen_has_the_prior() {
    let plan = model_plan(ModelKind::Logistic, ModelScope::PerItem);
    let p = predict(
        &plan,
        &ModelState::default(),
        Some("new"),
        &[1.0, 0.0, 0.0, 0.0, 0.0],
    )
    .unwrap();
    assert_eq!((p.linear, p.variance), (0.1, 0.5));
    assert_eq!(p.mean, sigmoid(0.1));
    assert_eq!(predict(&plan, &ModelState::default(), None, &[1.0]), None);
}

#[test]
fn golden_files_of_format_1_are_read() {
    let plan = model_plan(ModelKind::Logistic, ModelScope::PerItem);
    let mut dice = Dice::new(1);
    let data: Vec<Sample> = (0..10).map(|i| sample(&mut dice, &plan, i)).collect();
    let mut state = ModelState::default();
    learn(&plan, &mut state, &data);
    super::record::golden("model-1.bin", &state.encode());
    super::record::golden("sample-1.bin", &data[0].encode());
    assert_eq!(
        ModelState::decode(include_bytes!("../../golden/model-1.bin")).unwrap(),
        state
    );
    assert_eq!(
        Sample::decode(include_bytes!("../../golden/sample-1.bin")).unwrap(),
        data[0]
    );
    let newer = ModelState::decode(&[3]).unwrap_err().to_string();
    assert!(
        newer.contains("format 3") && newer.contains("up to 2"),
        "{newer}"
    );
}
