//! Laws that hold for any parameters and histories.

use luopan_learning::value::{
    BgNbd, History, Interval, Period, Settings, calibrate, churn, fit_bg_nbd, fit_gamma_gamma,
    interval,
};
use proptest::prelude::*;

use super::{GammaGamma, simulate};

fn model() -> impl Strategy<Value = BgNbd> {
    let one = || (-4.0f64..4.0).prop_map(libm::exp);
    (one(), one(), one(), one())
        .prop_map(|(r, alpha, a, b)| BgNbd::new(r, alpha, a, b).expect("sound"))
}

fn history() -> impl Strategy<Value = History> {
    (0u32..60, 0.01f64..50.0, 0.0f64..50.0).prop_map(|(x, recency, since)| {
        let recency = if x == 0 { 0.0 } else { recency };
        History::new(x, recency, recency + since.max(0.01)).expect("sound")
    })
}

proptest! {
    #[test]
    fn she_is_alive_with_a_probability_that_falls_while_she_does_nothing(
        model in model(), of in history(), more in 0.01f64..30.0,
    ) {
        let now = model.probability_alive(&of);
        prop_assert!((0.0..=1.0).contains(&now));
        let later = History::new(of.frequency(), of.recency(), of.age() + more).expect("sound");
        let then = model.probability_alive(&later);
        if of.frequency() == 0 {
            prop_assert_eq!((now, then), (1.0, 1.0));
        } else {
            prop_assert!(then < now || now < 1e-300 || then == 1.0, "{} {}", now, then);
        }
    }

    #[test]
    fn expected_purchases_grow_with_the_horizon(model in model(), of in history(), t in 0.0f64..90.0, more in 0.1f64..90.0) {
        let at = |t: f64| model.expected_purchases(t, &of).expect("a mean");
        let (x, alive) = (f64::from(of.frequency()), model.probability_alive(&of));
        prop_assert_eq!(at(0.0), 0.0);
        prop_assert!(at(more) > 0.0 || alive < 1e-300);
        prop_assert!(at(t + more) >= at(t) * (1.0 - 1e-13));
        // No more than if she never left.
        let rate = (model.r + x) / (model.alpha + of.age());
        prop_assert!(at(t) <= alive * rate * t * (1.0 + 1e-12));
        let new = |t: f64| model.expected_purchases_of_new(t).expect("a mean");
        prop_assert!(new(t + more) >= new(t) * (1.0 - 1e-13));
        // Of more time each part brings less, since some have left.
        prop_assert!(new(2.0 * t) <= 2.0 * new(t) * (1.0 + 1e-12));
    }

    /// Equation 9 is the integral of the mean rate of who is still there; here by Simpson's rule over t.
    #[test]
    fn purchases_add_up_over_time(model in model(), of in history(), t in 0.1f64..9.0) {
        let at = |t: f64| model.expected_purchases(t, &of).expect("a mean");
        let rate = |s: f64| {
            // An instant's purchases, by a difference that is wide enough for rounding.
            let h = 1e-4 * (model.alpha + of.age());
            if s < h { (4.0 * at(s + h) - 3.0 * at(s) - at(s + 2.0 * h)) / (2.0 * h) } else { (at(s + h) - at(s - h)) / (2.0 * h) }
        };
        let steps = 400;
        let h = t / f64::from(steps);
        let mut sum = rate(0.0) + rate(t);
        for at in 1..steps {
            sum += rate(f64::from(at) * h) * if at % 2 == 1 { 4.0 } else { 2.0 };
        }
        let (found, wanted) = (at(t), sum * h / 3.0);
        prop_assert!((found - wanted).abs() <= 2e-3 * wanted.abs() + 1e-12, "{} {}", found, wanted);
    }

    /// Histories of the same times in another unit have the same probabilities.
    #[test]
    fn units_of_time_do_not_matter(model in model(), of in history(), t in 0.1f64..50.0, unit in 0.01f64..1_000.0) {
        let other = BgNbd { alpha: model.alpha * unit, ..model };
        let same = History::new(of.frequency(), of.recency() * unit, of.age() * unit).expect("sound");
        let (a, b) = (model.probability_alive(&of), other.probability_alive(&same));
        prop_assert!((a - b).abs() <= 1e-10 * a + 1e-300);
        let (a, b) = (model.expected_purchases(t, &of).expect("a mean"), other.expected_purchases(t * unit, &same).expect("a mean"));
        prop_assert!((a - b).abs() <= 1e-9 * a + 1e-300, "{} {}", a, b);
    }

    #[test]
    fn discounting_lowers_and_without_it_periods_add_up(model in model(), of in history(), length in 0.1f64..9.0, count in 1usize..9, rate in 0.001f64..0.5) {
        let worth = |discount_rate| model.discounted_purchases(&Period { length, count, discount_rate }, &of).expect("a value");
        let whole = model.expected_purchases(length * count as f64, &of).expect("a mean");
        prop_assert!((worth(0.0) - whole).abs() <= 1e-9 * whole + 1e-300);
        prop_assert!(worth(rate) <= worth(0.0) / (1.0 + rate) * (1.0 + 1e-9));
        prop_assert!(worth(rate) >= worth(0.0) / libm::pow(1.0 + rate, count as f64) * (1.0 - 1e-9));
    }

    #[test]
    fn mean_spend_lies_between_her_own_and_that_of_all(p in 0.1f64..20.0, q in 1.01f64..20.0, v in 0.1f64..50.0, x in 1u32..100, spend in 0.01f64..500.0) {
        let model = GammaGamma::new(p, q, v).expect("sound");
        let (all, found) = (model.expected_spend_of_new(), model.expected_spend(x, spend).expect("a mean"));
        prop_assert!(found >= all.min(spend) * (1.0 - 1e-12) && found <= all.max(spend) * (1.0 + 1e-12));
        let more = model.expected_spend(x + 1, spend).expect("a mean");
        prop_assert!((more - spend).abs() <= (found - spend).abs() * (1.0 + 1e-9) + 1e-9);
        prop_assert_eq!(model.expected_spend(0, 0.0).expect("a mean"), all);
    }

    #[test]
    fn groups_hold_every_customer_once(rows in proptest::collection::vec((0u8..20, 0u8..5), 1..90), groups in 1usize..12, by in 0u8..20) {
        let expected: Vec<f64> = rows.iter().map(|row| f64::from(row.0) / 4.0).collect();
        let observed: Vec<f64> = rows.iter().map(|row| f64::from(row.1)).collect();
        let found = calibrate(&expected, &observed, groups).expect("groups");
        prop_assert!(found.groups.len() <= groups);
        prop_assert_eq!(found.groups.iter().map(|g| g.customers).sum::<usize>(), rows.len());
        let sum: f64 = found.groups.iter().map(|g| g.observed * g.customers as f64).sum();
        prop_assert!((sum - observed.iter().sum::<f64>()).abs() < 1e-9);
        prop_assert!(found.groups.windows(2).all(|pair| pair[0].expected < pair[1].expected));
        let (mut turned, mut other) = (expected.clone(), observed.clone());
        turned.reverse();
        other.reverse();
        prop_assert_eq!(&calibrate(&turned, &other, groups).expect("groups"), &found);

        let alive: Vec<f64> = expected.iter().map(|x| x / 5.0).collect();
        let threshold = f64::from(by) / 20.0;
        let split = churn(&alive, &observed, threshold, 0.9).expect("a split");
        let below = |row: usize| alive[row] < threshold;
        let count = |of: &dyn Fn(usize) -> bool| (0..rows.len()).filter(|row| of(*row)).count() as u64;
        prop_assert!(split.gone.iter().all(|row| below(*row)));
        prop_assert_eq!(split.silent_of_gone.of, count(&|row| below(row)));
        prop_assert_eq!(split.silent_of_gone.count, count(&|row| below(row) && rows[row].1 == 0));
        prop_assert_eq!(split.silent_of_others.count, count(&|row| !below(row) && rows[row].1 == 0));
        prop_assert_eq!(split.gone_of_silent.of, count(&|row| rows[row].1 == 0));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn rows_in_any_order_give_the_same_bits(seed in 0u64..1_000, turn in 1usize..299) {
        let (truth, paid) = (BgNbd::new(0.8, 6.0, 0.9, 2.5).expect("sound"), GammaGamma::new(4.0, 3.5, 20.0).expect("sound"));
        let of = simulate(&truth, &paid, 300, 0.0, seed);
        let mut all: Vec<History> = of.iter().map(|of| of.history).collect();
        let mut spend: Vec<f64> = of.iter().map(|of| of.spend).collect();
        let settings = Settings { penalizer: 0.001 };
        let first = (fit_bg_nbd(&all, None, &settings).expect("fitted"), fit_gamma_gamma(&all, &spend, &settings).expect("fitted"));
        all.rotate_left(turn);
        spend.rotate_left(turn);
        let again = (fit_bg_nbd(&all, None, &settings).expect("fitted"), fit_gamma_gamma(&all, &spend, &settings).expect("fitted"));
        prop_assert_eq!(&first, &again);
        // A customer twice is one of weight two.
        let twice: Vec<History> = all.iter().chain(&all).copied().collect();
        let weights = vec![2.0; all.len()];
        let (a, b) = (fit_bg_nbd(&twice, None, &settings).expect("fitted"), fit_bg_nbd(&all, Some(&weights), &settings).expect("fitted"));
        prop_assert_eq!(a.model, b.model);
        // Where the search ends the slope is nothing: no parameter a little further is better.
        let plain = fit_bg_nbd(&all, None, &Settings::default());
        if let Ok(plain) = plain {
            let m = plain.model;
            for by in [0.999, 1.001] {
                for other in [BgNbd { r: m.r * by, ..m }, BgNbd { alpha: m.alpha * by, ..m }, BgNbd { a: m.a * by, ..m }, BgNbd { b: m.b * by, ..m }] {
                    let there: f64 = all.iter().map(|of| other.log_likelihood(of)).sum();
                    prop_assert!(there < plain.log_likelihood);
                }
            }
        }
        // The same seed, the same draws; and a wider level holds a narrower one.
        let draws = first.0.draws(200, seed).expect("draws");
        prop_assert_eq!(&draws, &first.0.draws(200, seed).expect("draws"));
        let at = |level: f64| -> Interval {
            let predict = |m: &BgNbd| m.expected_purchases(9.0, &all[0]).expect("a mean");
            interval(predict(&first.0.model), &draws, level, predict).expect("an interval")
        };
        let (wide, narrow) = (at(0.95), at(0.5));
        prop_assert!(wide.lower <= narrow.lower && narrow.lower <= narrow.upper && narrow.upper <= wide.upper);
    }
}
