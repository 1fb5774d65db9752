//! Drift: what chance makes of a measure is what it says, and what changed is found.

use luopan_kernel::random::{Purpose, Random};
use luopan_learning::drift::{self, ROWS_LEAST};
use proptest::prelude::*;

const SURELY: f64 = 0.99;
/// Every row is of another customer.
const ALL: [f64; 2] = [f64::INFINITY; 2];

fn random(seed: u64) -> Random {
    Random::stream(seed, Purpose::Choice)
}

/// How often of so many trials nothing changed and an index is beyond chance.
fn false_alarms(trials: u64, of: impl Fn(&mut Random) -> drift::Shift) -> f64 {
    let beyond = (0..trials)
        .map(|seed| of(&mut random(seed)))
        .filter(|s| s.psi > s.chance)
        .count();
    beyond as f64 / trials as f64
}

#[test]
fn an_index_is_beyond_chance_as_often_as_it_says() {
    // One in a hundred is asked for; 1,000 trials tell it within a factor of two. The chi-square is approached from few rows a bin on.
    for (n, m) in [(200, 150), (2_000, 500), (5_000, 5_000)] {
        let draw = |r: &mut Random, n: usize| -> Vec<f64> {
            (0..n)
                .map(|_| r.normal() + if r.uniform() < 0.1 { 3.0 } else { 0.0 })
                .collect()
        };
        let share = false_alarms(1_000, |r| {
            let (before, now) = (draw(r, n), draw(r, m));
            drift::numbers(&before, &now, ALL, SURELY).unwrap()
        });
        assert!((0.001..=0.03).contains(&share), "numbers {n} {m}: {share}");
        let word = |r: &mut Random| match r.uniform() {
            u if u < 0.5 => Some("a"),
            u if u < 0.8 => Some("b"),
            u if u < 0.95 => Some("c"),
            _ => None,
        };
        let share = false_alarms(1_000, |r| {
            let before: Vec<_> = (0..n).map(|_| word(r)).collect();
            let now: Vec<_> = (0..m).map(|_| word(r)).collect();
            drift::texts(&before, &now, ALL, SURELY).unwrap()
        });
        assert!((0.001..=0.03).contains(&share), "texts {n} {m}: {share}");
    }
}

#[test]
fn what_changed_is_found_and_named() {
    let mut r = random(7);
    let before: Vec<f64> = (0..5_000).map(|_| r.normal()).collect();
    let moved: Vec<f64> = (0..1_000).map(|_| r.normal() + 0.8).collect();
    let found = drift::numbers(&before, &moved, ALL, 0.999).unwrap();
    assert!(found.psi > 0.4 && found.psi > found.chance, "{found:?}");
    let mut gone = before[..1_000].to_vec();
    gone.iter_mut().step_by(3).for_each(|v| *v = f64::NAN);
    let found = drift::numbers(&before, &gone, ALL, 0.999).unwrap();
    assert!(found.psi > 0.5, "{found:?}");
    assert_eq!(found.most, "missing");
    assert_eq!(found.shares.0, 0.0);
    // A value that was always the same and is another now.
    let found = drift::numbers(&[5.0; 300], &[6.0; 300], ALL, 0.999).unwrap();
    assert_eq!((found.most.as_str(), found.shares), ("above 5", (0.0, 1.0)));
    let found = drift::texts(&[Some("web"); 400], &[Some("app"); 400], ALL, 0.999).unwrap();
    assert!(found.psi > 5.0, "{found:?}");
    assert_eq!(found.most, "others");
}

#[test]
fn a_foretelling_that_came_true_is_calibrated() {
    let mut r = random(3);
    for n in [150, 1_000, 20_000] {
        let scores: Vec<f64> = (0..n).map(|_| 0.02 + 0.3 * r.uniform()).collect();
        let mut come = |off: f64| -> Vec<f64> {
            (scores.iter())
                .map(|s| f64::from(u8::from(r.uniform() < s + off)))
                .collect()
        };
        let (right, wrong) = (come(0.0), come(0.4));
        let found = drift::calibration(&scores, &right, ALL[0]).unwrap();
        assert!(found.error < 0.03, "{n}: {found:?}");
        let found = drift::calibration(&scores, &wrong, ALL[0]).unwrap();
        assert!(found.error > 0.1, "{n}: {found:?}");
        assert!((found.observed - found.foretold - 0.4).abs() < 0.12);
    }
    // The mean is right and the order is not.
    let scores: Vec<f64> = (0..2_000).map(|i| f64::from(i % 2)).collect();
    let turned: Vec<f64> = scores.iter().map(|s| 1.0 - s).collect();
    assert_eq!(
        drift::calibration(&scores, &turned, ALL[0]).unwrap().error,
        1.0
    );
}

#[test]
fn a_mean_that_fell_is_found() {
    let mut r = random(11);
    let mut of = |n: usize, p: f64| -> Vec<f64> {
        (0..n)
            .map(|_| f64::from(u8::from(r.uniform() < p)))
            .collect()
    };
    let found = drift::rewards(&of(5_000, 0.10), &of(5_000, 0.05), ALL, 0.999).unwrap();
    assert!((-0.07..-0.03).contains(&found.change), "{found:?}");
    assert!(found.change.abs() > found.chance);
    let found = drift::rewards(&of(5_000, 0.10), &of(5_000, 0.10), ALL, 0.999).unwrap();
    assert!(found.change.abs() < found.chance, "{found:?}");
    let found = drift::rewards(&[0.0; 200], &[1.0; 200], ALL, 0.999).unwrap();
    assert_eq!((found.change, found.chance), (1.0, 0.0));
    let found = drift::rewards(&[0.0; 200], &[0.0; 200], ALL, 0.999).unwrap();
    assert_eq!((found.change, found.chance), (0.0, 0.0));
}

#[test]
fn a_few_who_come_often_are_no_change() {
    assert_eq!(drift::worth([]), 0.0);
    assert_eq!(drift::worth([1; 40]), 40.0);
    assert_eq!(drift::worth([8; 40]), 40.0);
    assert!((drift::worth([1, 1, 1, 97]) - 1.0627).abs() < 1e-3);
    // 150 customers of eight decisions on either side, whose age and taste are their own.
    let side = |r: &mut Random| -> (Vec<f64>, Vec<f64>) {
        let (mut ages, mut rewards) = (Vec::new(), Vec::new());
        for _ in 0..150 {
            let (age, taste) = (20.0 + 40.0 * r.uniform(), r.uniform());
            for _ in 0..8 {
                ages.push(age);
                rewards.push(f64::from(u8::from(r.uniform() < taste)));
            }
        }
        (ages, rewards)
    };
    let alarms = |worth: [f64; 2]| -> (f64, f64) {
        let (mut psi, mut reward) = (0.0, 0.0);
        for seed in 0..500 {
            let mut r = random(seed);
            let (before, now) = (side(&mut r), side(&mut r));
            let found = drift::numbers(&before.0, &now.0, worth, SURELY).unwrap();
            psi += f64::from(u8::from(found.psi > found.chance)) / 500.0;
            let found = drift::rewards(&before.1, &now.1, worth, SURELY).unwrap();
            reward += f64::from(u8::from(found.change.abs() > found.chance)) / 500.0;
        }
        (psi, reward)
    };
    let (psi, reward) = alarms([150.0; 2]);
    assert!(psi <= 0.026 && reward <= 0.026, "{psi} {reward}");
    // As if they were all of different customers, most looks would be alarms.
    assert!(alarms(ALL).0 > 0.9);
}

proptest! {
    #[test]
    fn anything_is_measured_or_said_to_be_too_little(
        before in prop::collection::vec(prop::num::f64::ANY, 0..300),
        now in prop::collection::vec(prop::num::f64::ANY, 0..300),
    ) {
        let is_enough = before.len() >= ROWS_LEAST && now.len() >= ROWS_LEAST;
        let found = drift::numbers(&before, &now, ALL, 0.999);
        prop_assert_eq!(found.is_some(), is_enough);
        if let Some(found) = found {
            prop_assert!(found.psi >= 0.0 && found.psi.is_finite() && found.chance > 0.0);
        }
        // The same on both sides is no change, in whatever order.
        if before.len() >= ROWS_LEAST {
            let mut turned = before.clone();
            turned.reverse();
            prop_assert_eq!(drift::numbers(&before, &turned, ALL, 0.999).unwrap().psi, 0.0);
        }
        let _ = drift::calibration(&before, &now, ALL[0]);
        if let Some(found) = drift::rewards(&before, &now, ALL, 0.999) {
            prop_assert!(found.chance >= 0.0 || found.chance.is_nan());
        }
    }
}
