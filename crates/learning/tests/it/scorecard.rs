//! Scorecards: no value in a wrong bin, bins that follow their trend, points that are the model's log odds.

use luopan_kernel::random::Random;
use luopan_learning::scorecard::{
    Bin, Binning, Flag, Limits, Place, Settings, Trend, Variable, fit, psi,
};
use proptest::prelude::*;

const TRENDS: [Trend; 5] = [
    Trend::Auto,
    Trend::Ascending,
    Trend::Descending,
    Trend::Peak,
    Trend::Valley,
];

fn limits(trend: Trend) -> Limits {
    Limits {
        trend,
        pieces_max: 20,
        ..Limits::default()
    }
}

/// True when a bin says that it holds a value.
fn holds(bin: &Bin, value: f64, specials: &[f64]) -> bool {
    let special = specials.contains(&value);
    match &bin.place {
        Place::Numbers { from, below } => {
            !special
                && !value.is_nan()
                && from.is_none_or(|from| value >= from)
                && below.is_none_or(|below| value < below)
        }
        Place::Special(at) => *at == value,
        Place::Missing => value.is_nan(),
        Place::Categories(_) | Place::Other => false,
    }
}

/// Numbers with ties, neighbours in binary64, both zeros, missing and special ones.
fn number() -> impl Strategy<Value = f64> {
    prop_oneof![
        (-5i8..5).prop_map(f64::from),
        (0u64..4).prop_map(|k| f64::from_bits(1.0f64.to_bits() + k)),
        -1e9..1e9f64,
        Just(-0.0),
        Just(f64::NAN),
        Just(-999.0),
        any::<f64>().prop_filter("finite", |x| x.is_finite()),
    ]
}

fn outcomes_of(events: &[bool]) -> Vec<f64> {
    let mut outcomes: Vec<f64> = events
        .iter()
        .map(|event| f64::from(u8::from(*event)))
        .collect();
    (outcomes[0], outcomes[1]) = (0.0, 1.0);
    outcomes
}

proptest! {
    #[test]
    fn no_value_is_in_a_wrong_bin(
        rows in proptest::collection::vec((number(), any::<bool>()), 2..300),
        asked in proptest::collection::vec(number(), 0..50),
    ) {
        let values: Vec<f64> = rows.iter().map(|row| row.0).collect();
        let outcomes = outcomes_of(&rows.iter().map(|row| row.1).collect::<Vec<_>>());
        let specials = [-999.0, 3.0];
        for trend in TRENDS {
            let binning = Binning::numbers("x", &values, &specials, &outcomes, None, &limits(trend)).expect("bins");
            let bins = binning.bins();
            for value in values.iter().chain(&asked) {
                let holding: Vec<usize> = (0..bins.len()).filter(|at| holds(&bins[*at], *value, &specials)).collect();
                prop_assert_eq!(holding, vec![binning.of_number(*value)]);
            }
            // The bins count the rows that they are given.
            let mut counts = vec![[0.0; 2]; bins.len()];
            for (value, outcome) in values.iter().zip(&outcomes) {
                counts[binning.of_number(*value)][*outcome as usize] += 1.0;
            }
            let mut information = 0.0;
            for (bin, [nonevents, events]) in bins.iter().zip(counts) {
                prop_assert_eq!((bin.nonevents, bin.events), (nonevents, events));
                information += bin.information;
            }
            prop_assert!((information - binning.information()).abs() < 1e-9 && information >= -1e-12);
            let ordered = &bins[..binning.ordered()];
            if ordered.len() > 1 {
                let least = Limits::default().share_least * values.len() as f64;
                prop_assert!(ordered.iter().all(|bin| bin.nonevents + bin.events >= least && bin.nonevents * bin.events > 0.0));
            }
            let ups: Vec<bool> = ordered.windows(2).map(|pair| pair[1].weight_of_evidence < pair[0].weight_of_evidence).collect();
            let falls: Vec<bool> = ordered.windows(2).map(|pair| pair[1].weight_of_evidence > pair[0].weight_of_evidence).collect();
            prop_assert!(ups.iter().zip(&falls).all(|(up, fall)| up != fall));
            let follows = match trend {
                Trend::Auto => ups.iter().all(|up| *up) || falls.iter().all(|fall| *fall),
                Trend::Ascending => ups.iter().all(|up| *up),
                Trend::Descending => falls.iter().all(|fall| *fall),
                Trend::Peak => ups.windows(2).all(|pair| pair[0] || !pair[1]),
                Trend::Valley => ups.windows(2).all(|pair| !pair[0] || pair[1]),
            };
            prop_assert!(follows, "{:?} {:?}", trend, ordered);
        }
    }

    #[test]
    fn a_row_of_weight_two_counts_as_two(
        rows in proptest::collection::vec((number(), any::<bool>(), 0usize..4), 2..120),
        turn in 0usize..120,
    ) {
        let values: Vec<f64> = rows.iter().map(|row| row.0).collect();
        let outcomes = outcomes_of(&rows.iter().map(|row| row.1).collect::<Vec<_>>());
        let mut times: Vec<usize> = rows.iter().map(|row| row.2).collect();
        (times[0], times[1]) = (times[0].max(1), times[1].max(1));
        let weights: Vec<f64> = times.iter().map(|n| *n as f64).collect();
        let repeated = |of: &[f64]| -> Vec<f64> {
            of.iter().zip(&times).flat_map(|(x, n)| core::iter::repeat_n(*x, *n)).collect()
        };
        let code = |x: &f64| x.to_bits() as u32 % 7;
        for trend in TRENDS {
            let limits = limits(trend);
            let weighted = Binning::numbers("x", &values, &[3.0], &outcomes, Some(&weights), &limits).expect("bins");
            let written_out = Binning::numbers("x", &repeated(&values), &[3.0], &repeated(&outcomes), None, &limits).expect("bins");
            prop_assert_eq!(&weighted, &written_out);
            let codes: Vec<u32> = values.iter().map(code).collect();
            let weighted = Binning::categories("c", &codes, 7, &outcomes, Some(&weights), &limits).expect("bins");
            let codes: Vec<u32> = repeated(&values).iter().map(code).collect();
            let written_out = Binning::categories("c", &codes, 7, &repeated(&outcomes), None, &limits).expect("bins");
            prop_assert_eq!(&weighted, &written_out);
            // Weights that are no whole numbers: what bins hold is what they count, in any order of rows.
            let uneven: Vec<f64> = weights.iter().zip(0..).map(|(w, at)| w * (0.1 + f64::from(at % 3))).collect();
            let binning = Binning::numbers("x", &values, &[3.0], &outcomes, Some(&uneven), &limits).expect("bins");
            let mut counts = vec![[0.0; 2]; binning.bins().len()];
            for ((value, outcome), weight) in values.iter().zip(&outcomes).zip(&uneven) {
                let bin = binning.of_number(*value);
                prop_assert!(holds(&binning.bins()[bin], *value, &[3.0]));
                counts[bin][*outcome as usize] += weight;
            }
            for (bin, [nonevents, events]) in binning.bins().iter().zip(counts) {
                prop_assert!((bin.nonevents - nonevents).abs() < 1e-9 && (bin.events - events).abs() < 1e-9);
                prop_assert!(bin.information.is_finite() && bin.weight_of_evidence.is_finite());
            }
            let turned = |of: &[f64]| -> Vec<f64> {
                let at = turn % of.len();
                of[at..].iter().chain(&of[..at]).copied().collect()
            };
            let again = Binning::numbers("x", &turned(&values), &[3.0], &turned(&outcomes), Some(&turned(&uneven)), &limits).expect("bins");
            let places = |of: &Binning| of.bins().iter().map(|bin| format!("{:?}", bin.place)).collect::<Vec<_>>();
            prop_assert_eq!(places(&again), places(&binning));
        }
    }

    #[test]
    fn no_category_is_in_a_wrong_bin(rows in proptest::collection::vec((0u32..12, any::<bool>()), 2..400)) {
        let codes: Vec<u32> = rows.iter().map(|row| row.0).collect();
        let outcomes = outcomes_of(&rows.iter().map(|row| row.1).collect::<Vec<_>>());
        let binning = Binning::categories("c", &codes, 12, &outcomes, None, &Limits::default()).expect("bins");
        let bins = binning.bins();
        for code in 0..14 {
            let found = &bins[binning.of_category(code)];
            let named = bins.iter().position(|bin| matches!(&bin.place, Place::Categories(within) if within.contains(&code)));
            match named {
                Some(at) => prop_assert_eq!(at, binning.of_category(code)),
                None => prop_assert_eq!(&found.place, &Place::Other),
            }
        }
        let mut counts = vec![[0.0; 2]; bins.len()];
        for (code, outcome) in codes.iter().zip(&outcomes) {
            counts[binning.of_category(*code)][*outcome as usize] += 1.0;
        }
        for (bin, [nonevents, events]) in bins.iter().zip(counts) {
            prop_assert_eq!((bin.nonevents, bin.events), (nonevents, events));
        }
        let ordered = &bins[..binning.ordered()];
        prop_assert!(ordered.windows(2).all(|pair| pair[0].weight_of_evidence < pair[1].weight_of_evidence));
    }

    #[test]
    fn the_stability_index_is_zero_for_equal_shares_and_above_it_otherwise(counts in proptest::collection::vec(1.0..100.0f64, 2..20), by in 0.1..10.0f64) {
        let scaled: Vec<f64> = counts.iter().map(|count| count * by).collect();
        prop_assert!(psi(&counts, &scaled).expect("an index").abs() < 1e-9);
        let mut moved = counts.clone();
        moved.rotate_left(1);
        let (there, back) = (psi(&counts, &moved).expect("an index"), psi(&moved, &counts).expect("an index"));
        prop_assert!(there >= 0.0 && (there - back).abs() < 1e-9);
    }
}

/// Rows whose odds fall with age, rise with debt, and differ by home; income says nothing.
struct Applicants {
    age: Vec<f64>,
    debt: Vec<f64>,
    income: Vec<f64>,
    home: Vec<u32>,
    outcomes: Vec<f64>,
}

impl Applicants {
    fn new(rows: usize) -> Self {
        let mut random = Random::new(11);
        let mut all = Self {
            age: Vec::new(),
            debt: Vec::new(),
            income: Vec::new(),
            home: Vec::new(),
            outcomes: Vec::new(),
        };
        for _ in 0..rows {
            let (age, debt) = (18.0 + (60.0 * random.uniform()).floor(), random.uniform());
            let home = (random.bits() >> 62) as u32;
            let log_odds = -1.0 - 0.04 * (age - 48.0)
                + 1.5 * (debt - 0.5)
                + [0.5, 0.0, -0.5, 0.0][home as usize];
            all.age.push(if random.uniform() < 0.05 {
                f64::NAN
            } else {
                age
            });
            all.debt.push(if random.uniform() < 0.05 {
                -999.0
            } else {
                debt
            });
            all.income.push(random.normal());
            all.home.push(home);
            all.outcomes.push(f64::from(u8::from(
                random.uniform() < 1.0 / (1.0 + (-log_odds).exp()),
            )));
        }
        all
    }

    fn variables(&self) -> [Variable<'_>; 4] {
        let numeric = |name, values, specials| Variable::Numeric {
            name,
            values,
            specials,
            limits: Limits::default(),
        };
        [
            numeric("age", &self.age, &[]),
            numeric("debt", &self.debt, &[-999.0]),
            numeric("income", &self.income, &[]),
            Variable::Categorical {
                name: "home",
                codes: &self.home,
                levels: 4,
                limits: Limits::default(),
            },
        ]
    }
}

#[test]
fn a_card_gives_the_log_odds_of_its_model() {
    let rows = Applicants::new(6_000);
    let variables = rows.variables();
    let settings = Settings {
        alpha: 0.0,
        ..Settings::default()
    };
    let card = fit(&variables, &rows.outcomes, None, &settings).expect("a card");
    let names: Vec<&str> = card
        .attributes
        .iter()
        .map(|found| found.column.as_str())
        .collect();
    assert_eq!(names, ["age", "debt", "home"]);
    assert!(
        matches!(&card.flags[..], [Flag::Weak { column, .. }] if column == "income"),
        "{:?}",
        card.flags
    );
    let scores = card.scores(&variables).expect("scores");
    for (row, score) in scores.iter().enumerate() {
        let mut log_odds = card.intercept;
        for attribute in &card.attributes {
            let bin = match attribute.column.as_str() {
                "age" => attribute.binning.of_number(rows.age[row]),
                "debt" => attribute.binning.of_number(rows.debt[row]),
                _ => attribute.binning.of_category(rows.home[row]),
            };
            log_odds += attribute.coefficient * attribute.binning.bins()[bin].weight_of_evidence;
        }
        let event = 1.0 / (1.0 + (-log_odds).exp());
        assert!((card.probability(*score) - event).abs() < 1e-12);
        // 600 points are odds of 50, 20 more double them.
        let points = 600.0 + 20.0 * ((1.0 - event) / event / 50.0).log2();
        assert!((score - points).abs() < 1e-9);
    }
    // The logistic model has an intercept: it gets the number of events right.
    let events: f64 = scores.iter().map(|score| card.probability(*score)).sum();
    assert!((events - rows.outcomes.iter().sum::<f64>()).abs() < 1e-3);
    // Points rise with age and fall with debt.
    let ordered = |at: usize| &card.attributes[at].points[..card.attributes[at].binning.ordered()];
    assert!(ordered(0).windows(2).all(|pair| pair[0] < pair[1]));
    assert!(ordered(1).windows(2).all(|pair| pair[0] > pair[1]));
    let whole = card.clone().rounded().scores(&variables).expect("scores");
    for (whole, exact) in whole.iter().zip(&scores) {
        assert!(whole.fract() == 0.0 && (whole - exact).abs() <= 1.5);
    }
}

#[test]
fn leaks_and_reversed_columns_are_flagged() {
    let rows = Applicants::new(3_000);
    let mut random = Random::new(3);
    let leak: Vec<f64> = rows
        .outcomes
        .iter()
        .map(|y| y + 0.8 * random.normal())
        .collect();
    let copy: Vec<f64> = rows
        .age
        .iter()
        .map(|age| age + 4.0 * random.normal())
        .collect();
    let numeric = |name, values| Variable::Numeric {
        name,
        values,
        specials: &[],
        limits: Limits::default(),
    };
    let variables = [
        numeric("age", &rows.age),
        numeric("leak", &leak),
        numeric("copy", &copy),
    ];
    let card = fit(&variables, &rows.outcomes, None, &Settings::default()).expect("a card");
    assert!(card.flags.iter().any(|flag| matches!(flag, Flag::Suspicious { column, information } if column == "leak" && *information > 0.5)));
    let reversed = card
        .attributes
        .iter()
        .filter(|found| found.coefficient > 0.0)
        .count();
    let flagged = card
        .flags
        .iter()
        .filter(|flag| matches!(flag, Flag::Reversed { .. }))
        .count();
    assert_eq!(reversed, flagged);
    // A column that tells all outcomes apart is left out by name; alone it is refused.
    let perfect = numeric("perfect", &rows.outcomes);
    let card = fit(
        &[perfect, variables[0]],
        &rows.outcomes,
        None,
        &Settings::default(),
    )
    .expect("a card");
    assert_eq!(card.attributes.len(), 1);
    let said = Flag::Separated {
        column: "perfect".to_owned(),
    };
    assert_eq!(card.flags, [said]);
    let error = fit(&[perfect], &rows.outcomes, None, &Settings::default()).expect_err("refused");
    assert!(
        error
            .to_string()
            .starts_with("\"perfect\" alone tells all outcomes apart"),
        "{error}"
    );
}

#[test]
fn a_card_of_weights_is_the_card_of_rows_written_out() {
    let rows = Applicants::new(1_500);
    let times: Vec<usize> = (0..rows.outcomes.len()).map(|row| row * 7 % 4).collect();
    let weights: Vec<f64> = times.iter().map(|n| *n as f64).collect();
    let places: Vec<usize> = (times.iter().enumerate())
        .flat_map(|(row, n)| core::iter::repeat_n(row, *n))
        .collect();
    let outcomes: Vec<f64> = places.iter().map(|row| rows.outcomes[*row]).collect();
    let variables = rows.variables();
    let Variable::Numeric {
        name,
        values,
        specials,
        limits,
    } = variables[0]
    else {
        panic!("a number");
    };
    let values: Vec<f64> = places.iter().map(|row| values[*row]).collect();
    let written_out = Variable::Numeric {
        name,
        values: &values,
        specials,
        limits,
    };
    let settings = Settings {
        information_least: 0.0,
        ..Settings::default()
    };
    let a = fit(&variables[..1], &rows.outcomes, Some(&weights), &settings).expect("a card");
    let b = fit(&[written_out], &outcomes, None, &settings).expect("a card");
    assert_eq!(a.attributes[0].binning, b.attributes[0].binning);
    for (a, b) in a.attributes[0].points.iter().zip(&b.attributes[0].points) {
        assert!((a - b).abs() < 1e-6, "{a} {b}");
    }
    for (wrong, words) in [
        (vec![1.0], "\"weight\" has 1 values"),
        (vec![0.0; outcomes.len()], "sum of weights is 0"),
        (vec![-1.0; outcomes.len()], "row 0: \"weight\" is -1"),
        (vec![f64::NAN; outcomes.len()], "row 0: \"weight\" is NaN"),
    ] {
        let error = fit(&[written_out], &outcomes, Some(&wrong), &settings).expect_err("refused");
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[test]
fn what_cannot_be_cut_is_refused_with_what_was_found() {
    let (values, outcomes) = ([1.0, f64::INFINITY, 3.0], [0.0, 1.0, 0.0]);
    let cut = |values: &[f64], outcomes: &[f64], limits| {
        Binning::numbers("x", values, &[], outcomes, None, &limits)
            .expect_err("refused")
            .to_string()
    };
    assert_eq!(
        cut(&values, &outcomes, Limits::default()),
        "row 1: \"x\" is inf: write a finite number, or none where it is missing"
    );
    assert_eq!(
        cut(&[1.0; 3], &[0.0, 2.0, 1.0], Limits::default()),
        "row 1: \"outcome\" is 2: write 0, or 1 for the event"
    );
    assert_eq!(
        cut(&[1.0; 3], &[1.0; 3], Limits::default()),
        "every outcome is 1: there is nothing to learn"
    );
    let wrong = Limits {
        bins_max: 1,
        ..Limits::default()
    };
    assert_eq!(
        cut(&[1.0; 3], &outcomes, wrong),
        "most bins is 1: write 2 to 100"
    );
    // All missing, and constant: one bin that says nothing.
    let missing = Binning::numbers(
        "x",
        &[f64::NAN; 3],
        &[],
        &outcomes,
        None,
        &Limits::default(),
    )
    .expect("bins");
    assert_eq!((missing.ordered(), missing.information()), (1, 0.0));
    let constant =
        Binning::numbers("x", &[7.0; 3], &[], &outcomes, None, &Limits::default()).expect("bins");
    assert!(constant.information().abs() < 1e-12 && constant.ordered() == 1);
    assert!(psi(&[1.0, 2.0], &[1.0]).is_err() && psi(&[0.0, 0.0], &[1.0, 1.0]).is_err());
    // Ten per cent to a half: (.5 - .1) ln 5 + (.5 - .9) ln (.5 / .9).
    let found = psi(&[10.0, 90.0], &[1.0, 1.0]).expect("an index");
    assert!((found - (0.4 * 5.0f64.ln() - 0.4 * (0.5f64 / 0.9).ln())).abs() < 1e-12);
}
