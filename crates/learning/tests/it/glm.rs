//! Linear models are those of statsmodels and glum (`tests/glm/make.py` fitted them), lie where their aim is least, and name what
//! they cannot tell.

use std::collections::BTreeMap;
use std::path::Path;

use luopan_learning::glm::{
    Column, Design, Error, Family, Fit, Flag, Observations, Penalty, Settings, fit, inference,
};
use proptest::prelude::*;

const LEVELS: [&str; 4] = ["a", "b", "c", "d"];

fn fixture() -> BTreeMap<String, Vec<f64>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/glm/glm.txt");
    let text = std::fs::read_to_string(path).expect("the fixture");
    let line = |line: &str| {
        let mut words = line.split('\t');
        let name = words.next().expect("a name").to_owned();
        (
            name,
            words.map(|word| word.parse().expect("a number")).collect(),
        )
    };
    text.lines().map(line).collect()
}

fn families() -> [(&'static str, Family); 5] {
    [
        ("gaussian", Family::Gaussian),
        ("binomial", Family::Binomial),
        ("poisson", Family::Poisson),
        ("gamma", Family::Gamma),
        ("tweedie", Family::Tweedie { power: 1.5 }),
    ]
}

/// Differences are measured where predictions are made: the intercept and the slope of a number far from zero move together.
fn check(name: &str, found: &[f64], wanted: &[f64], within: f64) {
    assert_eq!(found.len(), wanted.len(), "{name}");
    for (found, wanted) in found.iter().zip(wanted) {
        assert!(
            (found - wanted).abs() <= within * (1.0 + wanted.abs()),
            "{name}: {found} here, {wanted} there"
        );
    }
}

fn coefficients(fit: &Fit) -> Vec<f64> {
    core::iter::once(fit.intercept)
        .chain(fit.coefficients.iter().copied())
        .collect()
}

#[test]
fn coefficients_and_errors_are_those_of_statsmodels_and_glum() {
    let given = fixture();
    let codes: Vec<u32> = given["code"].iter().map(|code| *code as u32).collect();
    let columns = [
        Column::Numeric {
            name: "x",
            values: &given["x"],
        },
        Column::Numeric {
            name: "z",
            values: &given["z"],
        },
        Column::Categorical {
            name: "code",
            codes: &codes,
            levels: &LEVELS,
            base: Some(0),
        },
    ];
    let design = Design::new(&columns, codes.len()).expect("a design");
    for (name, family) in families() {
        let of = |what: &str| given[&format!("{name} {what}")].as_slice();
        let observations = Observations {
            outcomes: of("outcomes"),
            weights: Some(&given["weights"]),
            offset: Some(&given["offset"]),
            exposure: None,
        };
        let mut settings = Settings::of(family);
        let plain = fit(&design, &observations, &settings).expect("a fit");
        assert!(
            plain.converged && plain.flags.is_empty(),
            "{name}: {plain:?}"
        );
        check(name, &coefficients(&plain), of("plain"), 1e-6);
        check(name, &[plain.deviance], of("deviance"), 1e-9);
        check(name, &[plain.null_deviance], of("null"), 1e-9);
        let sure = inference(&design, &observations, &plain).expect("errors");
        check(&format!("{name} errors"), &sure.errors, of("errors"), 1e-6);
        check(
            &format!("{name} robust"),
            &sure.robust_errors,
            of("robust"),
            1e-6,
        );
        check(
            &format!("{name} dispersion"),
            &[sure.dispersion],
            of("dispersion"),
            1e-6,
        );
        for (kind, l1_ratio) in [("net", 0.5), ("ridge", 0.0)] {
            settings.penalty = Penalty {
                alpha: 0.01,
                l1_ratio,
            };
            settings.tolerance = 1e-13;
            let found = fit(&design, &observations, &settings).expect("a fit");
            assert!(found.converged, "{name} {kind}");
            check(
                &format!("{name} {kind}"),
                &coefficients(&found)[1..],
                &of(kind)[1..],
                1e-5,
            );
            check(
                &format!("{name} {kind}"),
                &coefficients(&found)[..1],
                &of(kind)[..1],
                1e-3,
            );
        }
    }
}

/// Two numbers and a category with outcomes that any family takes.
#[derive(Debug, Clone)]
struct Rows {
    x: Vec<f64>,
    z: Vec<f64>,
    codes: Vec<u32>,
    weights: Vec<f64>,
    outcomes: Vec<f64>,
}

fn rows() -> impl Strategy<Value = Rows> {
    let row = (-2.0..2.0f64, -1.0..1.0f64, 0u32..4, 1u8..4, 0.05..0.95f64);
    proptest::collection::vec(row, 30..80).prop_map(|rows| Rows {
        x: rows.iter().map(|row| row.0).collect(),
        z: rows.iter().map(|row| 50.0 + row.1 + 0.5 * row.0).collect(),
        codes: rows.iter().map(|row| row.2).collect(),
        weights: rows.iter().map(|row| f64::from(row.3)).collect(),
        outcomes: rows.iter().map(|row| row.4).collect(),
    })
}

impl Rows {
    fn columns(&self) -> [Column<'_>; 3] {
        [
            Column::Numeric {
                name: "x",
                values: &self.x,
            },
            Column::Numeric {
                name: "z",
                values: &self.z,
            },
            Column::Categorical {
                name: "code",
                codes: &self.codes,
                levels: &LEVELS,
                base: Some(0),
            },
        ]
    }

    fn observations(&self) -> Observations<'_> {
        Observations {
            outcomes: &self.outcomes,
            weights: Some(&self.weights),
            offset: None,
            exposure: None,
        }
    }

    fn fit(&self, settings: &Settings) -> Fit {
        let design = Design::new(&self.columns(), self.x.len()).expect("a design");
        fit(&design, &self.observations(), settings).expect("a fit")
    }

    /// Half the mean deviance and the penalty at coefficients, from the definition.
    fn aim(&self, settings: &Settings, b: &[f64]) -> f64 {
        let (mut sum, mut total) = (0.0, 0.0);
        for row in 0..self.x.len() {
            let level = self.codes[row] as usize;
            let of_level = if level == 0 { 0.0 } else { b[2 + level] };
            let mean = settings
                .family
                .mean(b[0] + b[1] * self.x[row] + b[2] * self.z[row] + of_level);
            sum += self.weights[row] * settings.family.deviance(self.outcomes[row], mean);
            total += self.weights[row];
        }
        let Penalty { alpha, l1_ratio } = settings.penalty;
        let l1: f64 = b[1..].iter().map(|b| b.abs()).sum();
        let l2: f64 = b[1..].iter().map(|b| b * b).sum();
        sum / total / 2.0 + alpha * (l1_ratio * l1 + (1.0 - l1_ratio) * l2 / 2.0)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn no_step_aside_is_better(rows in rows(), alpha in 0.0..0.3f64, l1_ratio in 0.0..=1.0f64) {
        for (_, family) in families() {
            let mut settings = Settings::of(family);
            settings.penalty = Penalty { alpha, l1_ratio };
            settings.tolerance = 1e-13;
            let found = rows.fit(&settings);
            prop_assert!(found.converged, "{:?}", found);
            let b = coefficients(&found);
            let least = rows.aim(&settings, &b);
            for at in 0..b.len() {
                if at > 0 && found.left_out[at - 1] {
                    continue;
                }
                for by in [1e-3, -1e-3, 1e-5, -1e-5] {
                    let mut aside = b.clone();
                    aside[at] += by;
                    prop_assert!(rows.aim(&settings, &aside) >= least - 1e-11, "{:?} {} by {}", family, at, by);
                }
            }
        }
    }

    #[test]
    fn a_category_is_what_columns_of_zeros_and_ones_are(rows in rows(), l1_ratio in 0.0..=1.0f64) {
        let level = |k: u32| -> Vec<f64> { rows.codes.iter().map(|code| f64::from(u8::from(*code == k))).collect() };
        let levels = [level(1), level(2), level(3)];
        let numeric = |name, values| Column::Numeric { name, values };
        let columns = [
            numeric("x", &rows.x[..]), numeric("z", &rows.z), numeric("b", &levels[0]), numeric("c", &levels[1]), numeric("d", &levels[2]),
        ];
        let design = Design::new(&columns, rows.x.len()).expect("a design");
        let mut settings = Settings::of(Family::Poisson);
        settings.tolerance = 1e-14;
        for alpha in [0.0, 0.02] {
            settings.penalty = Penalty { alpha, l1_ratio };
            let spread = fit(&design, &rows.observations(), &settings).expect("a fit");
            let (a, b) = (coefficients(&rows.fit(&settings)), coefficients(&spread));
            for (a, b) in a.iter().zip(&b) {
                prop_assert!((a - b).abs() <= 1e-4 * (1.0 + b.abs()), "{} {}", a, b);
            }
        }
    }

    #[test]
    fn a_row_of_weight_two_is_two_rows_and_exposure_is_an_offset(rows in rows()) {
        let twice = Rows {
            x: rows.x.iter().flat_map(|x| [*x; 2]).collect(),
            z: rows.z.iter().flat_map(|x| [*x; 2]).collect(),
            codes: rows.codes.iter().flat_map(|x| [*x; 2]).collect(),
            weights: rows.weights.iter().flat_map(|x| [x / 2.0; 2]).collect(),
            outcomes: rows.outcomes.iter().flat_map(|x| [*x; 2]).collect(),
        };
        let design = Design::new(&rows.columns(), rows.x.len()).expect("a design");
        for (_, family) in families() {
            let settings = Settings::of(family);
            let (a, b) = (rows.fit(&settings), twice.fit(&settings));
            for (a, b) in coefficients(&a).iter().zip(coefficients(&b)) {
                prop_assert!((a - b).abs() <= 1e-6 * (1.0 + b.abs()));
            }
            if family.has_log_link() {
                let offset: Vec<f64> = rows.weights.iter().map(|x| x.ln()).collect();
                let observations = |offset, exposure| Observations { offset, exposure, ..rows.observations() };
                let a = fit(&design, &observations(Some(&offset), None), &settings).expect("a fit");
                let b = fit(&design, &observations(None, Some(&rows.weights)), &settings).expect("a fit");
                for (a, b) in coefficients(&a).iter().zip(coefficients(&b)) {
                    prop_assert!((a - b).abs() <= 1e-9 * (1.0 + b.abs()));
                }
                let means = b.predict(&design, None, Some(&rows.weights)).expect("means");
                // The intercept's equation: sums of outcomes and means agree, for the canonical link.
                if family == Family::Poisson {
                    let sum = |of: &[f64]| -> f64 { of.iter().zip(&rows.weights).map(|(x, w)| x * w).sum() };
                    prop_assert!((sum(&means) - sum(&rows.outcomes)).abs() < 1e-5);
                }
            }
        }
    }
}

fn numeric<'a>(name: &'a str, values: &'a [f64]) -> Column<'a> {
    Column::Numeric { name, values }
}

fn outcomes(outcomes: &[f64]) -> Observations<'_> {
    Observations {
        outcomes,
        weights: None,
        offset: None,
        exposure: None,
    }
}

#[test]
fn what_cannot_be_told_is_left_out_and_named() {
    let x = [1.0, 2.0, 3.0, 4.0, 5.0, 7.0];
    let y = [1.5, 0.5, 2.5, 0.75, 3.0, 1.0];
    let (same, sum): (Vec<f64>, Vec<f64>) = (
        vec![7.0; 6],
        x.iter().zip(y).map(|(x, y)| 2.0 * x - y + 1.0).collect(),
    );
    let codes = [0, 1, 0, 1, 0, 1];
    let columns = [
        numeric("x", &x),
        numeric("same", &same),
        numeric("y", &y),
        numeric("sum", &sum),
        Column::Categorical {
            name: "code",
            codes: &codes,
            levels: &LEVELS[..3],
            base: None,
        },
    ];
    let design = Design::new(&columns, 6).expect("a design");
    let found = fit(
        &design,
        &outcomes(&[0.3, 1.0, 2.0, 0.5, 4.0, 2.0]),
        &Settings::of(Family::Gaussian),
    )
    .expect("a fit");
    let said: Vec<String> = found
        .flags
        .iter()
        .map(|flag| match flag {
            Flag::Constant { column } => format!("{column} is constant"),
            Flag::NoRows { term } => format!("{term} has no rows"),
            Flag::Aliased { term, by } => format!("{term} is {}", by.join(" and ")),
            other => format!("{other:?}"),
        })
        .collect();
    assert_eq!(
        said,
        [
            "same is constant",
            "code[c] has no rows",
            "sum is x and y",
            "code[b] is intercept and code[a]"
        ]
    );
    assert_eq!(
        found.left_out,
        [false, true, false, true, false, true, true]
    );
    assert_eq!(found.coefficients[3], 0.0);
    // With a ridge everything has its share.
    let mut settings = Settings::of(Family::Gaussian);
    settings.penalty.alpha = 0.1;
    let ridge = fit(
        &design,
        &outcomes(&[0.3, 1.0, 2.0, 0.5, 4.0, 2.0]),
        &settings,
    )
    .expect("a fit");
    assert!(ridge.converged && ridge.coefficients[3] != 0.0);
    assert!((ridge.coefficients[4] + ridge.coefficients[5]).abs() < 1e-9);
}

#[test]
fn separation_is_flagged_by_name() {
    let leak = [0.1, 0.2, 0.3, 0.8, 0.9, 1.1];
    let noise = [1.0, -1.0, 0.5, 0.7, -0.2, 0.1];
    let y = [0.0, 0.0, 0.0, 1.0, 1.0, 1.0];
    let columns = [numeric("noise", &noise), numeric("leak", &leak)];
    let design = Design::new(&columns, 6).expect("a design");
    let mut settings = Settings::of(Family::Binomial);
    let error = fit(&design, &outcomes(&y), &settings).expect_err("refused");
    assert_eq!(
        error,
        Error::Separated {
            column: "leak".to_owned()
        }
    );
    settings.penalty.alpha = 0.1;
    let found = fit(&design, &outcomes(&y), &settings).expect("a fit");
    assert!(found.converged);
    assert!(matches!(&found.flags[..], [Flag::Separated { term }] if term.column == "leak"));
    // A level without any event, in a model that goes on.
    let codes = [0, 0, 1, 1, 2, 2, 0, 1];
    let column = Column::Categorical {
        name: "code",
        codes: &codes,
        levels: &LEVELS[..3],
        base: Some(0),
    };
    let design = Design::new(&[column], 8).expect("a design");
    for family in [Family::Binomial, Family::Poisson] {
        let y = [0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0];
        let found = fit(&design, &outcomes(&y), &Settings::of(family)).expect("a fit");
        assert!(
            matches!(&found.flags[..], [Flag::Separated { term }] if term.to_string() == "code[c]"),
            "{found:?}"
        );
        assert!(found.converged && found.coefficients[1] < -5.0);
    }
    // Two columns that tell all outcomes only together.
    let (a, b) = (
        [1.0, 2.0, 3.0, 1.5, 2.5, 3.5],
        [1.2, 2.2, 3.2, 1.2, 2.2, 3.2],
    );
    let columns = [numeric("noise", &noise), numeric("a", &a), numeric("b", &b)];
    for columns in [&columns[1..], &columns] {
        let design = Design::new(columns, 6).expect("a design");
        let found = fit(&design, &outcomes(&y), &Settings::of(Family::Binomial)).expect("a fit");
        let said = Flag::PerfectFit {
            columns: vec!["a".to_owned(), "b".to_owned()],
        };
        assert!(found.flags.contains(&said), "{found:?}");
    }
}

/// An outcome that two of several columns tell together: the ones that are named tell it, and one alone
/// never does.
#[test]
fn columns_that_separate_together_are_named() {
    for (seed, category) in (0..1_000).flat_map(|seed| [(seed, false), (seed, true)]) {
        let mut random = luopan_kernel::random::Random::new(seed);
        let mut drawn = || (0..120).map(|_| random.normal()).collect::<Vec<f64>>();
        let (a, b, c, d) = (drawn(), drawn(), drawn(), drawn());
        let codes: Vec<u32> = d.iter().map(|x| u32::from(*x > 0.0)).collect();
        let aim = |row: usize| {
            a[row]
                - if category {
                    2.0 * f64::from(codes[row])
                } else {
                    b[row]
                }
        };
        let y: Vec<f64> = (0..120)
            .map(|row| f64::from(u8::from(aim(row) > 0.0)))
            .collect();
        let code = Column::Categorical {
            name: "code",
            codes: &codes,
            levels: &LEVELS[..2],
            base: Some(0),
        };
        let columns = [numeric("c", &c), numeric("b", &b), code, numeric("a", &a)];
        let design = Design::new(&columns, 120).expect("a design");
        let found = fit(&design, &outcomes(&y), &Settings::of(Family::Binomial)).expect("a fit");
        let named = found.flags.iter().find_map(|flag| match flag {
            Flag::PerfectFit { columns } => Some(columns.clone()),
            _ => None,
        });
        let named = named.expect("named");
        assert!(
            named.contains(&"a".to_owned()),
            "{seed} {category}: {named:?}"
        );
        // By chance the columns that have nothing to do with it tell these rows as well.
        assert!(named.len() >= 2, "{seed} {category}: {named:?}");
        let only: Vec<Column<'_>> = columns
            .iter()
            .copied()
            .filter(|c| named.iter().any(|n| n == c.name()))
            .collect();
        let design = Design::new(&only, 120).expect("a design");
        let again = fit(&design, &outcomes(&y), &Settings::of(Family::Binomial)).expect("a fit");
        assert!(
            again
                .flags
                .iter()
                .any(|flag| matches!(flag, Flag::PerfectFit { .. })),
            "{seed} {category}: {:?}",
            again.flags
        );
    }
}

#[test]
fn what_cannot_be_used_is_refused_with_the_row() {
    let x = [1.0, f64::NAN, 3.0];
    let error = Design::new(&[numeric("x", &x)], 3)
        .map(|_| ())
        .expect_err("refused");
    assert!(
        error.to_string().starts_with("row 1: \"x\" is NaN: "),
        "{error}"
    );
    for far in [1e300, -1e150, 1e-200] {
        let x = [0.0, 0.5 * far, far];
        let error = (Design::new(&[numeric("x", &x)], 3).map(|_| ())).expect_err("refused");
        let words = error.to_string();
        assert!(words.starts_with("row 2: \"x\" is "), "{words}");
        assert!(
            words.ends_with("in size: write it in another unit"),
            "{words}"
        );
    }
    let code = Column::Categorical {
        name: "code",
        codes: &[0, 1, 4],
        levels: &LEVELS,
        base: None,
    };
    let error = Design::new(&[code], 3).map(|_| ()).expect_err("refused");
    assert_eq!(
        error.to_string(),
        "row 2: \"code\" is category 4: there are 4, counted from 0"
    );
    let x = [1.0, 2.0, 3.0];
    let design = Design::new(&[numeric("x", &x)], 3).expect("a design");
    let refused = |y: &[f64], family| {
        fit(&design, &outcomes(y), &Settings::of(family))
            .expect_err("refused")
            .to_string()
    };
    assert_eq!(
        refused(&[1.0, -1.0, 0.0], Family::Poisson),
        "row 1: \"outcome\" is -1: write zero or a finite number above it"
    );
    assert_eq!(
        refused(&[1.0, 1.0, 0.0], Family::Gamma),
        "row 2: \"outcome\" is 0: write a finite number above zero"
    );
    assert_eq!(
        refused(&[1.0, 1.0, 1.0], Family::Binomial),
        "every outcome is 1: there is nothing to learn"
    );
    assert_eq!(
        refused(&[0.0; 3], Family::Poisson),
        "every outcome is 0: there is nothing to learn"
    );
    assert!(
        refused(&[1.0; 3], Family::Tweedie { power: 2.5 })
            .starts_with("the power of tweedie is 2.5")
    );
    let mut given = outcomes(&x);
    given.exposure = Some(&[1.0, 0.0, 1.0]);
    let error = fit(&design, &given, &Settings::of(Family::Poisson)).expect_err("refused");
    assert_eq!(
        error.to_string(),
        "row 1: \"exposure\" is 0: write a finite number above zero"
    );
    let found = fit(&design, &outcomes(&x), &Settings::of(Family::Poisson)).expect("a fit");
    let other = Design::new(&[numeric("y", &x)], 3).expect("a design");
    assert!(found.predict(&other, None, None).is_err());
}
