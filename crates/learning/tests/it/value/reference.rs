//! Parameters, errors and predictions are those of Lifetimes; means of customers who are not everyday ones those of mpmath
//! (`tests/value/make.py` made them).

use std::collections::BTreeMap;

use luopan_learning::value::{
    BgNbd, Columns, GammaGamma, History, Period, Settings, Span, Transaction, fit_bg_nbd,
    fit_gamma_gamma, histories, summarise,
};

struct Fixture(BTreeMap<&'static str, Vec<f64>>);

impl Fixture {
    fn read() -> Self {
        let lines = include_str!("../../value/value.txt").lines().map(|line| {
            let mut words = line.split('\t');
            let name = words.next().expect("a name");
            let numbers = words.map(|word| word.parse().expect("a number"));
            (name, numbers.collect())
        });
        Self(lines.collect())
    }

    fn of(&self, name: &str) -> &[f64] {
        &self.0[name]
    }

    fn histories(&self) -> Vec<History> {
        histories(&Columns {
            frequency: self.of("frequency"),
            recency: self.of("recency"),
            age: self.of("age"),
            customers: None,
        })
        .expect("sound")
    }

    fn model(&self) -> BgNbd {
        let [r, alpha, a, b] = *self.of("plain parameters") else {
            panic!("four parameters");
        };
        BgNbd::new(r, alpha, a, b).expect("sound")
    }

    fn spends(&self) -> GammaGamma {
        let [p, q, v] = *self.of("spend plain parameters") else {
            panic!("three parameters");
        };
        GammaGamma::new(p, q, v).expect("sound")
    }
}

fn check(name: &str, found: &[f64], wanted: &[f64], within: f64) {
    assert_eq!(found.len(), wanted.len(), "{name}");
    for (at, (found, wanted)) in found.iter().zip(wanted).enumerate() {
        assert!(
            (found - wanted).abs() <= within * (wanted.abs() + 1e-300),
            "{name} {at}: {found}, wanted {wanted}"
        );
    }
}

#[test]
fn parameters_and_their_errors_are_lifetimes() {
    let fixture = Fixture::read();
    let all = fixture.histories();
    for (name, penalizer, weights) in [
        ("plain", 0.0, None),
        ("penalty", 0.01, None),
        ("weighted", 0.0, Some(fixture.of("weights"))),
    ] {
        let fit = fit_bg_nbd(&all, weights, &Settings { penalizer }).expect("fitted");
        let m = fit.model;
        let parameters = [m.r, m.alpha, m.a, m.b];
        check(
            name,
            &parameters,
            fixture.of(&format!("{name} parameters")),
            1e-8,
        );
        let errors = fixture.of(&format!("{name} errors"));
        check(name, &fit.standard_errors, errors, 1e-7);
        if name == "plain" {
            let wanted = fixture.of("plain log likelihood");
            check(name, &[fit.log_likelihood], wanted, 1e-12);
            let summed: f64 = all.iter().map(|of| m.log_likelihood(of)).sum();
            check(name, &[summed], wanted, 1e-12);
        }
    }
    for (name, penalizer) in [("spend plain", 0.0), ("spend penalty", 0.0001)] {
        let fit =
            fit_gamma_gamma(&all, fixture.of("spend"), &Settings { penalizer }).expect("fitted");
        let m = fit.model;
        check(
            name,
            &[m.p, m.q, m.v],
            fixture.of(&format!("{name} parameters")),
            1e-8,
        );
        check(
            name,
            &fit.standard_errors,
            fixture.of(&format!("{name} errors")),
            1e-7,
        );
        if penalizer == 0.0 {
            check(
                name,
                &[fit.log_likelihood],
                fixture.of("spend log likelihood"),
                1e-12,
            );
        }
    }
}

#[test]
fn predictions_are_lifetimes() {
    let fixture = Fixture::read();
    let (all, model, spends) = (fixture.histories(), fixture.model(), fixture.spends());
    let alive: Vec<f64> = all.iter().map(|of| model.probability_alive(of)).collect();
    check("alive", &alive, fixture.of("alive"), 1e-12);
    let times = [(1.0, "1.0"), (10.0, "10.0"), (39.0, "39.0")];
    for (t, name) in times {
        let found: Vec<f64> = all
            .iter()
            .map(|of| model.expected_purchases(t, of).expect("a mean"))
            .collect();
        // Lifetimes subtracts numbers that are nearly equal.
        check(
            name,
            &found,
            fixture.of(&format!("expected in {name}")),
            1e-9,
        );
    }
    let new = times.map(|(t, _)| model.expected_purchases_of_new(t).expect("a mean"));
    check("new", &new, fixture.of("expected of new"), 1e-10);
    let spend = fixture.of("spend");
    let each: Vec<f64> = all
        .iter()
        .zip(spend)
        .map(|(of, spend)| {
            spends
                .expected_spend(of.frequency(), *spend)
                .expect("a mean")
        })
        .collect();
    check("spend", &each, fixture.of("spend expected"), 1e-12);
    let months = Period {
        length: 30.0,
        count: 12,
        discount_rate: 0.01,
    };
    let worth: Vec<f64> = all
        .iter()
        .zip(spend)
        .map(|(of, spend)| {
            spends
                .lifetime_value(&model, &months, of, *spend)
                .expect("a value")
        })
        .collect();
    check("lifetime", &worth, fixture.of("lifetime"), 1e-9);
}

#[test]
fn means_of_any_parameters_are_mpmaths() {
    let fixture = Fixture::read();
    let rows = fixture.of("means");
    assert_eq!(rows.len(), 240 * 6);
    for row in rows.chunks(6) {
        let [t, r, alpha, a, b, wanted] = *row else {
            panic!("six numbers");
        };
        let model = BgNbd::new(r, alpha, a, b).expect("sound");
        let found = model.expected_purchases_of_new(t).expect("a mean");
        assert!((found / wanted - 1.0).abs() < 2e-12, "{row:?}: {found}");
    }
}

#[test]
fn transactions_are_counted_as_by_lifetimes() {
    let fixture = Fixture::read();
    let rows: Vec<Transaction<u32>> = (fixture.of("transactions").chunks(3))
        .map(|row| Transaction {
            customer: row[0] as u32,
            at_us: row[1] as i64,
            amount: row[2],
        })
        .collect();
    let [until, end] = *fixture.of("split") else {
        panic!("two times");
    };
    const DAY: i64 = 86_400_000_000;
    let span = Span {
        moment_us: DAY,
        unit_us: 7 * DAY,
        until_us: until as i64,
        holdout_until_us: Some(end as i64),
    };
    let (found, length) = summarise(&rows, &span).expect("counted");
    let wanted = fixture.of("counted");
    assert_eq!(found.len(), wanted.len() / 7);
    for (customer, wanted) in found.iter().zip(wanted.chunks(7)) {
        let of = &customer.history;
        let found = [
            f64::from(customer.customer),
            f64::from(of.frequency()),
            of.recency(),
            of.age(),
            customer.spend,
            f64::from(customer.holdout_purchases),
            length.expect("a holdout"),
        ];
        check("counted", &found, wanted, 1e-13);
    }
    let mut turned = rows;
    turned.reverse();
    assert_eq!(summarise(&turned, &span).expect("counted").0, found);
}
