//! What cannot be is said so, with what to write instead.

use luopan_learning::value::{
    BgNbd, Columns, Error, GammaGamma, History, Period, Settings, Span, Transaction, calibrate,
    churn, correlation, fit_bg_nbd, fit_gamma_gamma, histories, interval, spends, summarise,
};
use proptest::prelude::*;

fn says<T: std::fmt::Debug>(found: Result<T, Error>, wanted: &str) {
    let told = found.expect_err(wanted).to_string();
    assert!(told.contains(wanted), "{told:?} lacks {wanted:?}");
}

fn rows(frequency: &[f64], recency: &[f64], age: &[f64]) -> Result<Vec<History>, Error> {
    histories(&Columns {
        frequency,
        recency,
        age,
        customers: None,
    })
}

fn many(of: &[(u32, f64, f64)], times: usize) -> Vec<History> {
    (0..times)
        .flat_map(|_| of)
        .map(|(x, recency, age)| History::new(*x, *recency, *age).expect("sound"))
        .collect()
}

#[test]
fn histories_that_cannot_be() {
    let nan = f64::NAN;
    for (frequency, recency, age, wanted) in [
        (-1.0, 1.0, 9.0, "row 1: \"frequency\" is -1"),
        (1.5, 1.0, 9.0, "row 1: \"frequency\" is 1.5"),
        (nan, 1.0, 9.0, "row 1: \"frequency\" is NaN"),
        (2e6, 1.0, 9.0, "a whole number from 0 to 1,000,000"),
        (2.0, -1.0, 9.0, "row 1: \"recency\" is -1"),
        (2.0, nan, 9.0, "row 1: \"recency\" is NaN"),
        (2.0, 1.0, 0.0, "row 1: \"age\" is 0"),
        (2.0, 1.0, f64::INFINITY, "row 1: \"age\" is inf"),
        (2.0, 9.5, 9.0, "row 1: recency 9.5 is above age 9"),
        (0.0, 3.0, 9.0, "row 1: frequency is 0 and recency 3"),
        (3.0, 0.0, 9.0, "row 1: frequency is 3 and recency 0"),
    ] {
        says(
            rows(&[1.0, frequency], &[2.0, recency], &[9.0, age]),
            wanted,
        );
    }
    says(
        rows(&[1.0], &[2.0, 3.0], &[9.0]),
        "\"recency\" has 2 values: wanted are 1",
    );
    let customers = ["a", "b", "a"].map(str::to_owned);
    let twice = Columns {
        frequency: &[0.0; 3],
        recency: &[0.0; 3],
        age: &[5.0; 3],
        customers: Some(&customers),
    };
    says(histories(&twice), "rows 0 and 2 are both of customer \"a\"");
}

#[test]
fn fits_that_cannot_be() {
    let settings = Settings::default();
    let some = [
        (0, 0.0, 30.0),
        (2, 9.0, 30.0),
        (5, 29.0, 35.0),
        (1, 3.0, 20.0),
    ];
    let all = many(&some, 20);
    says(
        fit_bg_nbd(&all[..7], None, &settings),
        "there are 7 customers: a fit needs at least 20",
    );
    says(
        fit_bg_nbd(&many(&[(0, 0.0, 30.0)], 50), None, &settings),
        "no customer has a repeat purchase",
    );
    says(
        fit_bg_nbd(&all, Some(&[1.0]), &settings),
        "\"weight\" has 1 values: wanted are 80",
    );
    let mut weights = vec![1.0; 80];
    weights[3] = -2.0;
    says(
        fit_bg_nbd(&all, Some(&weights), &settings),
        "row 3: \"weight\" is -2",
    );
    for penalizer in [-1.0, f64::NAN, f64::INFINITY] {
        says(
            fit_bg_nbd(&all, None, &Settings { penalizer }),
            "penalizer is",
        );
    }
    // Nobody leaves, whatever holds the rest.
    let stay = many(&[(3, 28.0, 30.0)], 50);
    says(
        fit_bg_nbd(&stay, None, &settings),
        "the likelihood has no maximum: it rises as",
    );
    let held = fit_bg_nbd(&stay, None, &Settings { penalizer: 0.01 });
    says(held, "as a goes towards zero, since nobody seems to leave");

    let spend: Vec<f64> = (0..80)
        .map(|row| {
            if row % 4 == 0 {
                0.0
            } else {
                10.0 * libm::exp(f64::from(row * 37 % 11) / 6.0)
            }
        })
        .collect();
    let mut wrong = spend.clone();
    for (value, wanted) in [
        (0.0, "row 5: \"spend\" is 0"),
        (-3.0, "is -3"),
        (f64::INFINITY, "is inf"),
        (f64::NAN, "is NaN"),
    ] {
        wrong[5] = value;
        says(fit_gamma_gamma(&all, &wrong, &settings), wanted);
        says(
            spends(&all, &wrong),
            "the mean amount of her repeat purchases",
        );
    }
    // Of who never came again nothing is asked.
    wrong[5] = 20.0;
    wrong[0] = f64::NAN;
    fit_gamma_gamma(&all, &wrong, &settings).expect("fitted");
    says(
        fit_gamma_gamma(&all, &spend[1..], &settings),
        "\"spend\" has 79 values: wanted are 80",
    );
    says(
        fit_gamma_gamma(&all[..24], &spend[..24], &settings),
        "there are 18 customers with repeat purchases: a fit needs at least 20",
    );
    says(
        fit_gamma_gamma(&all, &[20.0; 80], &settings),
        "the likelihood has no maximum: it rises as p goes towards infinity",
    );
}

#[test]
fn who_buys_often_and_pays_more_is_flagged() {
    let all = many(
        &[
            (1, 9.0, 30.0),
            (2, 9.0, 30.0),
            (3, 9.0, 30.0),
            (4, 9.0, 30.0),
        ],
        30,
    );
    let with = |per: f64| -> Vec<f64> {
        (0..120)
            .map(|row| {
                (25.0 + per * f64::from(all[row].frequency()))
                    * libm::exp(((row * 37) % 11) as f64 / 9.0)
            })
            .collect()
    };
    let found = correlation(&all, &with(25.0)).expect("a correlation");
    assert!(found.estimate > 0.2 && found.matters(), "{found:?}");
    assert!(
        correlation(&all, &with(-5.0))
            .expect("a correlation")
            .matters()
    );
    let found = correlation(&all, &with(0.0)).expect("a correlation");
    assert!(found.estimate.abs() < 0.2 && !found.matters(), "{found:?}");
    let fit = fit_gamma_gamma(&all, &with(25.0), &Settings::default()).expect("fitted");
    assert!(fit.correlation.matters());
}

#[test]
fn predictions_that_cannot_be() {
    says(BgNbd::new(0.0, 1.0, 1.0, 1.0), "r is 0");
    says(BgNbd::new(1.0, f64::NAN, 1.0, 1.0), "alpha is NaN");
    says(GammaGamma::new(1.0, f64::INFINITY, 1.0), "q is inf");
    let model = BgNbd::new(0.2, 4.0, 0.8, 2.4).expect("sound");
    let of = History::new(1, 2.0, 3.0).expect("sound");
    says(model.expected_purchases(-1.0, &of), "time is -1");
    says(model.expected_purchases_of_new(f64::NAN), "time is NaN");
    let periods = |length, count, discount_rate| Period {
        length,
        count,
        discount_rate,
    };
    says(
        model.discounted_purchases(&periods(1.0, 0, 0.0), &of),
        "number of periods is 0",
    );
    says(
        model.discounted_purchases(&periods(1.0, 20_000, 0.0), &of),
        "number of periods is 20000",
    );
    says(
        model.discounted_purchases(&periods(1.0, 9, -1.0), &of),
        "discount rate is -1",
    );
    says(
        model.discounted_purchases(&periods(f64::INFINITY, 9, 0.0), &of),
        "time is inf",
    );
    let heavy = GammaGamma::new(2.0, 0.9, 20.0).expect("sound");
    says(
        heavy.expected_spend(2, 30.0),
        "q is 0.9: a mean spend exists for q above 1 alone",
    );
    let light = GammaGamma::new(2.0, 3.0, 20.0).expect("sound");
    says(light.expected_spend(2, 0.0), "spend is 0");
    says(interval(1.0, &[model], 1.0, |_| 1.0), "level is 1");
    says(
        interval(1.0, &[] as &[BgNbd], 0.9, |_| 1.0),
        "number of draws is 0",
    );
    says(interval(1.0, &[model], 0.9, |_| f64::NAN), "is NaN");
    says(
        calibrate(&[1.0], &[1.0, 2.0], 3),
        "\"observed purchases\" has 2 values",
    );
    says(calibrate(&[], &[], 3), "has 0 values");
    says(
        calibrate(&[1.0, -1.0], &[1.0, 2.0], 3),
        "row 1: \"expected purchases\" is -1",
    );
    says(calibrate(&[1.0], &[1.0], 0), "number of groups is 0");
    says(
        churn(&[1.5], &[1.0], 0.5, 0.9),
        "\"probability alive\" is 1.5",
    );
    says(churn(&[0.5], &[1.0], 1.5, 0.9), "threshold is 1.5");
}

#[test]
fn transactions_that_cannot_be() {
    let span = Span {
        moment_us: 10,
        unit_us: 20,
        until_us: 100,
        holdout_until_us: Some(200),
    };
    let one = |at_us, amount| Transaction {
        customer: 7u8,
        at_us,
        amount,
    };
    says(
        summarise(&[one(1, 2.0), one(5, -2.0)], &span),
        "row 1: \"amount\" is -2",
    );
    says(
        summarise(&[one(1, f64::NAN)], &span),
        "row 0: \"amount\" is NaN",
    );
    says(
        summarise(&[one(150, 2.0)], &span),
        "none of 1 transactions is before",
    );
    says(summarise::<u8>(&[], &span), "none of 0 transactions");
    says(
        summarise(
            &[one(1, 2.0)],
            &Span {
                moment_us: 0,
                ..span
            },
        ),
        "moment is 0",
    );
    says(
        summarise(
            &[one(1, 2.0)],
            &Span {
                unit_us: -1,
                ..span
            },
        ),
        "unit of time is -1",
    );
    let early = Span {
        holdout_until_us: Some(90),
        ..span
    };
    says(
        summarise(&[one(1, 2.0)], &early),
        "the holdout ends at 90 us",
    );
    // Within one moment purchases are one; before the epoch they count down.
    let (found, length) = summarise(
        &[
            one(-5, 2.0),
            one(-9, 1.0),
            one(31, 4.0),
            one(109, 1.0),
            one(140, 8.0),
        ],
        &span,
    )
    .expect("counted");
    assert_eq!(length, Some(5.0));
    assert_eq!(found[0].history, History::new(2, 5.5, 5.5).expect("sound"));
    assert_eq!(
        (
            found[0].spend,
            found[0].holdout_purchases,
            found[0].holdout_spend
        ),
        (2.5, 1, 8.0)
    );
}

proptest! {
    /// Whatever the numbers are: an error that says so, or what is finite.
    #[test]
    fn nothing_panics(
        of in proptest::collection::vec((0u8..4, prop_oneof![Just(0.0), Just(1e-9), Just(1e9), 0f64..50.0], prop_oneof![Just(1e-9), Just(1e12), 0f64..80.0], prop_oneof![Just(1e-9), Just(1e12), -1f64..90.0]), 0..60),
        penalizer in prop_oneof![Just(0.0), Just(0.01), -1f64..2.0],
    ) {
        let column = |of: fn(&(u8, f64, f64, f64)) -> f64, rows: &[(u8, f64, f64, f64)]| rows.iter().map(of).collect::<Vec<f64>>();
        let kept: Vec<_> = of.into_iter().filter(|row| History::new(u32::from(row.0), row.1, row.2).is_ok()).collect();
        let all = rows(&column(|r| f64::from(r.0), &kept), &column(|r| r.1, &kept), &column(|r| r.2, &kept)).expect("sound");
        let settings = Settings { penalizer };
        if let Ok(fit) = fit_bg_nbd(&all, None, &settings) {
            let m = fit.model;
            prop_assert!([m.r, m.alpha, m.a, m.b].iter().chain(&fit.standard_errors).all(|x| x.is_finite() && *x > 0.0));
            for of in &all {
                for t in [1e-12, 1.0, 1e15] {
                    prop_assert!(m.expected_purchases(t, of).expect("a mean").is_finite());
                }
                prop_assert!((0.0..=1.0).contains(&m.probability_alive(of)));
            }
        }
        if let Ok(fit) = fit_gamma_gamma(&all, &column(|r| r.3, &kept), &settings) {
            let m = fit.model;
            prop_assert!([m.p, m.q, m.v].iter().chain(&fit.standard_errors).all(|x| x.is_finite() && *x > 0.0));
        }
    }
}
