//! Rewards that have not come yet: estimates are those of closed forms on small logs, and come to the simulated truth on large ones.

use luopan_kernel::id::DecisionId;
use luopan_kernel::learn::{ModelState, Sample, learn, predict};
use luopan_kernel::plan::{Feature, FeaturePlan, ModelKind, ModelPlan, ModelScope};
use luopan_kernel::random::Random;
use luopan_kernel::time::Micros;
use luopan_learning::delayed::{Arrival, Conversion, Error, Logged, Part, Settings, Wait, weigh};
use proptest::prelude::*;

/// A log that ends now: decisions of ages even over `0..oldest`, answers with `chance` of the features after an exponential time of
/// `rate`.
fn log(
    seed: u64,
    n: usize,
    oldest: f64,
    answer: impl Fn(&[f64]) -> (f64, f64),
) -> (Vec<Wait>, Vec<f64>, Vec<f64>) {
    let mut random = Random::new(seed);
    let (mut waits, mut x, mut ages) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..n {
        let row = [1.0, random.normal()];
        let (chance, rate) = answer(&row);
        let age = oldest * random.uniform();
        let delay = -(1.0 - random.uniform()).ln() / rate;
        let comes = random.uniform() < chance;
        waits.push(if comes && delay <= age {
            Wait::Came(delay)
        } else {
            Wait::Open(age)
        });
        x.extend(row);
        ages.push(age);
    }
    (waits, x, ages)
}

#[test]
fn arrival_is_kaplan_and_meier_s() {
    use Wait::{Came, Open};
    // Of five: one comes at 1; at 2 one comes and one is censored after it; at 3 one of the last two comes.
    let waits = [Open(2.0), Came(1.0), Came(2.0), Open(9.0), Came(3.0)];
    let found = Arrival::fit(&waits, 5.0).unwrap();
    let open = [4.0 / 5.0, 3.0 / 4.0, 1.0 / 2.0];
    let by = [
        1.0 - open[0],
        1.0 - open[0] * open[1],
        1.0 - open[0] * open[1] * open[2],
    ];
    for (age, expected) in [
        (0.5, 0.0),
        (1.0, by[0]),
        (2.9, by[1]),
        (3.0, by[2]),
        (99.0, by[2]),
    ] {
        assert!((found.by(age) - expected).abs() < 1e-12, "{age}");
    }
    assert!((found.share(2.0) - by[1] / by[2]).abs() < 1e-12);
    assert!((found.still(2.0) - (by[2] - by[1]) / (1.0 - by[1])).abs() < 1e-12);
    assert_eq!(found.still(5.0), 0.0);
    assert_eq!(found.corrected(1.0, 0.5, 0.1), None);
    assert_eq!(found.corrected(2.0, 3.0, 0.1), Some(2.0));
    // What comes after the window has not come.
    let late = Arrival::fit(&[Came(1.0), Came(7.0)], 5.0).unwrap();
    assert_eq!(late.by(9.0), 0.5);
}

#[test]
fn corrected_rewards_are_right_on_average() {
    let (chance, rate, window) = (0.3, 0.5, 10.0);
    let (waits, _, ages) = log(5, 40_000, 12.0, |_| (chance, rate));
    let truth = chance * (1.0 - (-rate * window).exp());
    let arrival = Arrival::fit(&waits, window).unwrap();
    for age in [0.5, 1.0, 2.0, 5.0, 9.0] {
        let expected = (1.0 - (-rate * age).exp()) / (1.0 - (-rate * window).exp());
        assert!((arrival.share(age) - expected).abs() < 0.02, "{age}");
        let come = chance * (1.0 - (-rate * age).exp());
        let expected = (truth - come) / (1.0 - come);
        assert!((arrival.still(age) - expected).abs() < 0.02, "{age}");
    }
    let came = |w: &Wait| f64::from(u8::from(matches!(w, Wait::Came(t) if *t <= window)));
    let n = waits.len() as f64;
    let naive = waits.iter().map(came).sum::<f64>() / n;
    assert!(naive < truth - 0.03, "{naive} of {truth}");
    let corrected: Vec<f64> = (waits.iter().zip(&ages))
        .filter_map(|(w, age)| arrival.corrected(came(w), *age, 0.2))
        .collect();
    let mean = corrected.iter().sum::<f64>() / corrected.len() as f64;
    assert!((mean - truth).abs() < 0.012, "{mean} is not {truth}");
}

/// The penalised log-likelihood as the paper writes it.
fn log_likelihood(waits: &[Wait], x: &[f64], w: &[f64], v: &[f64], penalty: f64) -> f64 {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let rows = waits.iter().zip(x.chunks(w.len())).map(|(wait, x)| {
        let p = 1.0 / (1.0 + (-dot(w, x)).exp());
        let rate = dot(v, x).exp();
        match wait {
            Wait::Came(t) => p.ln() + rate.ln() - rate * t,
            Wait::Open(age) => (1.0 - p + p * (-rate * age).exp()).ln(),
        }
    });
    rows.sum::<f64>() - penalty / 2.0 * (dot(w, w) + dot(v, v))
}

#[test]
fn a_conversion_model_finds_who_answers_and_when() {
    let truth = ([-0.8, 0.7], [-1.0, 0.4]);
    let answer = |x: &[f64]| {
        let p = 1.0 / (1.0 + f64::exp(-(truth.0[0] + truth.0[1] * x[1])));
        (p, f64::exp(truth.1[0] + truth.1[1] * x[1]))
    };
    let (waits, x, _) = log(3, 20_000, 15.0, answer);
    let settings = Settings::default();
    let found = Conversion::fit(&waits, &x, &settings).unwrap();
    for (found, truth) in [(&found.answers, truth.0), (&found.rates, truth.1)] {
        for (f, t) in found.iter().zip(truth) {
            assert!((f - t).abs() < 0.1, "{f} is not {t}");
        }
    }
    // What has come by now alone tells of far fewer answers.
    let came = waits.iter().filter(|w| matches!(w, Wait::Came(_))).count() as f64;
    let n = waits.len() as f64;
    let truly = x.chunks(2).map(|x| answer(x).0).sum::<f64>() / n;
    let fitted = x.chunks(2).map(|x| found.chance(x)).sum::<f64>() / n;
    assert!((fitted - truly).abs() < 0.02, "{fitted} is not {truly}");
    assert!(came / n < truly - 0.05, "{came} of {n}, {truly}");
    // It is the top of the likelihood.
    let at = |w: &[f64], v: &[f64]| log_likelihood(&waits, &x, w, v, settings.penalty);
    let top = at(&found.answers, &found.rates);
    assert!((top - found.log_likelihood).abs() < 1e-6 * top.abs());
    for i in 0..2 {
        for by in [-0.01, 0.01] {
            let (mut w, mut v) = (found.answers.clone(), found.rates.clone());
            w[i] += by;
            assert!(at(&w, &found.rates) < top);
            v[i] += by;
            assert!(at(&found.answers, &v) < top);
        }
    }
}

/// A model that learns from parts knows the truth that one that learns from what has come does not.
#[test]
fn a_model_of_open_rewards_learns_what_will_come() {
    let (waits, _, ages) = log(9, 20_000, 8.0, |_| (0.4, 0.3));
    let window = 30.0;
    // Older decisions tell how long answers take.
    let (old, _, _) = log(10, 20_000, 60.0, |_| (0.4, 0.3));
    let arrival = Arrival::fit(&old, window).unwrap();
    let rows: Vec<Logged> = (waits.iter().zip(&ages))
        .map(|(wait, age)| Logged {
            wait: *wait,
            propensity: 0.5,
            still: arrival.still(*age),
        })
        .collect();
    let plan = ModelPlan {
        name: "answers".into(),
        kind: ModelKind::Logistic,
        scope: ModelScope::Shared,
        reward: 0,
        catalogue: 0,
        features: vec![Feature {
            plan: FeaturePlan::Intercept,
            prior_variance: 10.0,
        }],
        prior_intercept: 0.0,
        noise_variance: 1.0,
        drift_variance: 0.0,
        reward_bounds: (0.0, 1.0),
        replicates: 0,
    };
    let learned = |parts: &[Part]| {
        let mut state = ModelState::default();
        for part in parts {
            let sample = Sample {
                id: (DecisionId([0; 16]), 0),
                arm: None,
                features: vec![1.0],
                reward: part.reward,
                weight: part.weight,
                propensity: rows[part.row].propensity,
                at: Micros(0),
            };
            learn(&plan, &mut state, &[sample]);
        }
        predict(&plan, &state, None, &[1.0]).unwrap().mean
    };
    let naive: Vec<Logged> = rows.iter().map(|r| Logged { still: 0.0, ..*r }).collect();
    let naive = learned(&weigh(&naive, None).unwrap());
    let corrected = learned(&weigh(&rows, None).unwrap());
    assert!(naive < 0.3, "{naive}");
    assert!((corrected - 0.4).abs() < 0.02, "{corrected}");
}

proptest! {
    #[test]
    fn weights_sum_to_the_decisions_and_follow_propensities(
        rows in proptest::collection::vec((0.01f64..=1.0, 0.0f64..=1.0, any::<bool>()), 1..40),
        most in proptest::option::of(1.0f64..50.0),
    ) {
        let rows: Vec<Logged> = rows.into_iter()
            .map(|(propensity, still, came)| Logged {
                wait: if came { Wait::Came(1.0) } else { Wait::Open(1.0) },
                propensity,
                still,
            })
            .collect();
        let parts = weigh(&rows, most).unwrap();
        let total: f64 = parts.iter().map(|p| p.weight).sum();
        prop_assert!((total - rows.len() as f64).abs() < 1e-9 * rows.len() as f64);
        let of = |row: usize| parts.iter().filter(|p| p.row == row).map(|p| p.weight).sum::<f64>();
        let declared = |row: usize| most.map_or(1.0, |m| (1.0 / rows[row].propensity).min(m));
        for row in 0..rows.len() {
            prop_assert!((of(row) * declared(0) - of(0) * declared(row)).abs() < 1e-9 * of(0).max(1.0) * 100.0);
        }
        for part in &parts {
            prop_assert!(part.weight > 0.0 && (part.reward == 0.0 || part.reward == 1.0));
            if let Wait::Came(_) = rows[part.row].wait {
                prop_assert_eq!(part.reward, 1.0);
            }
        }
    }

    #[test]
    fn shares_rise_from_zero_to_one(
        waits in proptest::collection::vec((0.0f64..20.0, any::<bool>()), 0..60),
        window in 1.0f64..25.0,
    ) {
        let waits: Vec<Wait> = waits.into_iter()
            .map(|(t, came)| if came { Wait::Came(t) } else { Wait::Open(t) })
            .collect();
        let Ok(arrival) = Arrival::fit(&waits, window) else {
            prop_assert!(!waits.iter().any(|w| matches!(w, Wait::Came(t) if *t <= window)));
            return Ok(());
        };
        let mut before = 0.0;
        for k in 0..=50 {
            let age = window * f64::from(k) / 50.0;
            let share = arrival.share(age);
            prop_assert!(share >= before && (0.0..=1.0).contains(&share));
            prop_assert!((0.0..=1.0).contains(&arrival.still(age)));
            before = share;
        }
        prop_assert_eq!(before, 1.0);
    }
}

#[test]
fn what_cannot_be_used_is_refused_with_what_was_found() {
    use Wait::{Came, Open};
    let said = |e: Error| e.to_string();
    assert!(
        said(Arrival::fit(&[Open(1.0)], 2.0).unwrap_err()).contains("no reward has come in 1 rows")
    );
    assert!(said(Arrival::fit(&[Came(-1.0)], 2.0).unwrap_err()).contains("row 0: a wait is -1"));
    assert!(said(Arrival::fit(&[Came(1.0)], 0.0).unwrap_err()).contains("the window is 0"));
    let fit = |waits: &[Wait], x: &[f64]| Conversion::fit(waits, x, &Settings::default());
    assert!(
        said(fit(&[Came(1.0), Open(2.0)], &[1.0, 2.0, 3.0]).unwrap_err()).contains("has 3 values")
    );
    assert!(said(fit(&[Came(1.0)], &[f64::NAN]).unwrap_err()).contains("row 0: a feature is NaN"));
    let hasty = Settings {
        iterations: 1,
        ..Settings::default()
    };
    let unfinished = Conversion::fit(&[Came(1.0), Open(2.0)], &[1.0, 1.0], &hasty);
    assert!(said(unfinished.unwrap_err()).contains("last of 1 iterations"));
    let row = |propensity, still| Logged {
        wait: Open(1.0),
        propensity,
        still,
    };
    assert!(
        said(weigh(&[row(0.0, 0.5)], None).unwrap_err()).contains("row 0: the propensity is 0")
    );
    assert!(said(weigh(&[row(0.5, 1.5)], None).unwrap_err()).contains("still comes is 1.5"));
    assert!(
        said(weigh(&[row(0.5, 0.5)], Some(0.5)).unwrap_err()).contains("largest weight is 0.5")
    );
}
