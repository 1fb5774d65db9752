//! What simulated customers do is what the models say of them.

use luopan_learning::value::{
    BgNbd, GammaGamma, History, Settings, calibrate, churn, fit_bg_nbd, fit_gamma_gamma, interval,
};

use super::{Simulated, simulate};

fn truth() -> (BgNbd, GammaGamma) {
    (
        BgNbd::new(0.8, 6.0, 0.9, 2.5).expect("sound"),
        GammaGamma::new(4.0, 3.5, 20.0).expect("sound"),
    )
}

fn parts(of: &[Simulated]) -> (Vec<History>, Vec<f64>) {
    of.iter().map(|of| (of.history, of.spend)).unzip()
}

#[test]
fn parameters_are_found_again_within_their_errors() {
    let (truth, paid) = truth();
    let (all, spend) = parts(&simulate(&truth, &paid, 40_000, 0.0, 11));
    let fit = fit_bg_nbd(&all, None, &Settings::default()).expect("fitted");
    let spent = fit_gamma_gamma(&all, &spend, &Settings::default()).expect("fitted");
    let (m, s) = (fit.model, spent.model);
    let errors = fit.standard_errors.iter().chain(&spent.standard_errors);
    let pairs = [
        (m.r, truth.r),
        (m.alpha, truth.alpha),
        (m.a, truth.a),
        (m.b, truth.b),
        (s.p, paid.p),
        (s.q, paid.q),
        (s.v, paid.v),
    ];
    for ((found, wanted), error) in pairs.into_iter().zip(errors) {
        assert!(
            (found - wanted).abs() < 3.5 * error,
            "{found}, wanted {wanted}, error {error}"
        );
        // And the errors are of use.
        assert!(*error < 0.15 * wanted, "{wanted}: {error}");
    }
}

#[test]
fn predictions_fit_what_comes() {
    let (truth, paid) = truth();
    let of = simulate(&truth, &paid, 40_000, 20.0, 12);
    let (all, _) = parts(&of);
    let fit = fit_bg_nbd(&all, None, &Settings::default()).expect("fitted");
    let expected: Vec<f64> = all
        .iter()
        .map(|of| fit.model.expected_purchases(20.0, of).expect("a mean"))
        .collect();
    let observed: Vec<f64> = of.iter().map(|of| of.next).collect();
    let found = calibrate(&expected, &observed, 10).expect("groups");
    assert!(found.groups.len() >= 8);
    for group in &found.groups {
        let apart = (group.expected - group.observed).abs();
        assert!(apart < 4.0 * group.standard_error + 0.01, "{group:?}");
    }
    assert!((found.expected / found.observed - 1.0).abs() < 0.03);
    // Those who are alive with a probability of about p are so as often.
    let alive: Vec<f64> = all
        .iter()
        .map(|of| fit.model.probability_alive(of))
        .collect();
    let truly: Vec<f64> = of.iter().map(|of| f64::from(u8::from(of.alive))).collect();
    let found = calibrate(&alive, &truly, 10).expect("groups");
    assert!(found.error < 0.01, "{found:?}");
    let split = churn(&alive, &observed, 0.3, 0.95).expect("a split");
    assert!(
        split.silent_of_gone.lower > split.silent_of_others.upper + 0.1,
        "{split:?}"
    );
}

/// Over 200 populations: intervals at 90 % hold the truth in 90 % of them, give or take what 200 tell.
#[test]
fn intervals_hold_the_truth_as_often_as_they_say() {
    let (truth, paid) = truth();
    let customer = History::new(4, 11.0, 25.0).expect("sound");
    let (mut tried, mut held) = (0u32, [0u32; 4]);
    for seed in 0..200 {
        let (all, spend) = parts(&simulate(&truth, &paid, 1_500, 0.0, 1_000 + seed));
        let fit = fit_bg_nbd(&all, None, &Settings::default()).expect("fitted");
        let spent = fit_gamma_gamma(&all, &spend, &Settings::default()).expect("fitted");
        let draws = fit.draws(400, seed).expect("draws");
        let amounts = spent.draws(400, seed ^ 0x5e).expect("draws");
        tried += 1;
        let alive = |m: &BgNbd| m.probability_alive(&customer);
        let next = |m: &BgNbd| m.expected_purchases(13.0, &customer).expect("a mean");
        let new = |m: &BgNbd| m.expected_purchases_of_new(52.0).expect("a mean");
        let worth = |(m, s): (&BgNbd, &GammaGamma)| {
            next(m) * s.expected_spend(4, 9.0).unwrap_or(f64::INFINITY)
        };
        let found = [
            (
                interval(alive(&fit.model), &draws, 0.9, alive),
                alive(&truth),
            ),
            (interval(next(&fit.model), &draws, 0.9, next), next(&truth)),
            (interval(new(&fit.model), &draws, 0.9, new), new(&truth)),
            (
                interval(
                    worth((&fit.model, &spent.model)),
                    draws.iter().zip(&amounts),
                    0.9,
                    worth,
                ),
                worth((&truth, &paid)),
            ),
        ];
        for (held, (interval, wanted)) in held.iter_mut().zip(found) {
            let of = interval.expect("an interval");
            assert!(of.lower <= of.estimate && of.estimate <= of.upper, "{of:?}");
            *held += u32::from(of.lower <= wanted && wanted <= of.upper);
        }
    }
    for held in held {
        let share = f64::from(held) / f64::from(tried);
        assert!((0.84..=0.96).contains(&share), "{held} of {tried}");
    }
}
