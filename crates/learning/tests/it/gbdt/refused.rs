//! What nothing can be learned from is refused, with what was found and what is wanted.

use luopan_learning::gbdt::{
    BinSettings, Binned, Column, Kind, Objective, Parameters, Part, train,
};

use super::Table;

fn table() -> Table {
    let column = |step: usize| (0..100).map(|row| (row * step % 37) as f64).collect();
    Table::new(vec![column(1), column(5)], &[])
}

fn said(objective: Objective, change: impl Fn(&mut Vec<f64>)) -> String {
    let data = table().binned();
    let mut target: Vec<f64> = (0..100).map(|row| f64::from(row % 2)).collect();
    change(&mut target);
    let part = Part {
        data: &data,
        target: &target,
        weights: None,
        exposure: None,
        offset: None,
        groups: None,
    };
    told(&part, &Parameters::new(objective))
}

fn told(part: &Part<'_>, parameters: &Parameters) -> String {
    match train(part, None, parameters) {
        Ok(_) => "trained".to_owned(),
        Err(error) => error.to_string(),
    }
}

/// An objective, what is done to the target, and what is said then.
type Case = (Objective, fn(&mut Vec<f64>), &'static str);

#[test]
fn targets_that_the_objective_does_not_take() {
    let cases: [Case; 12] = [
        (
            Objective::Binary,
            |t| t.fill(1.0),
            "the target is 1 in every row of any weight: both 0 and 1 must occur",
        ),
        (
            Objective::Binary,
            |t| t[7] = 2.0,
            "the target, row 7: 2 where binary targets are 0 or 1",
        ),
        (
            Objective::Regression,
            |t| t[3] = f64::NAN,
            "the target, row 3: NaN where targets are finite numbers",
        ),
        (
            Objective::Poisson,
            |t| t[5] = -1.0,
            "the target, row 5: -1 where Poisson targets are finite numbers from 0 on",
        ),
        (
            Objective::Poisson,
            |t| t.fill(0.0),
            "the target is 0 in every row of any weight: some must be above 0",
        ),
        (
            Objective::Gamma,
            |_| {},
            "the target, row 0: 0 where gamma targets are finite numbers above 0",
        ),
        (
            Objective::Tweedie { power: 1.5 },
            |t| t[2] = -0.1,
            "the target, row 2: -0.1 where Tweedie targets are finite numbers from 0 on",
        ),
        (
            Objective::Tweedie { power: 2.0 },
            |_| {},
            "tweedie_variance_power is 2: wanted is a number above 1 and below 2",
        ),
        (
            Objective::Multiclass { classes: 3 },
            |_| {},
            "the target is class 2 in no row of any weight: every class must occur",
        ),
        (
            Objective::Multiclass { classes: 2 },
            |t| t[9] = 2.0,
            "the target, row 9: 2 where classes are whole numbers from 0 below num_class",
        ),
        (
            Objective::Lambdarank,
            |_| {},
            "objective is lambdarank without groups: the group of each row is wanted",
        ),
        (
            Objective::Regression,
            |t| t.truncate(99),
            "the target has 99 values for 100 rows",
        ),
    ];
    for (objective, change, wanted) in cases {
        assert_eq!(said(objective, change), wanted);
    }
    assert_eq!(said(Objective::Regression, |t| t.fill(1.0)), "trained");
}

#[test]
fn weights_exposures_and_groups_that_are_none() {
    let data = table().binned();
    let target: Vec<f64> = (0..100).map(|row| f64::from(row % 2)).collect();
    let part = Part {
        data: &data,
        target: &target,
        weights: None,
        exposure: None,
        offset: None,
        groups: None,
    };
    let poisson = Parameters::new(Objective::Poisson);
    let with = |value: f64| {
        let mut values = vec![1.0; 100];
        values[4] = value;
        values
    };
    let weights = |values: &[f64]| {
        told(
            &Part {
                weights: Some(values),
                ..part
            },
            &poisson,
        )
    };
    assert_eq!(
        weights(&with(-1.0)),
        "the weight, row 4: -1 where weights are finite numbers from 0 on"
    );
    assert_eq!(
        weights(&[0.0; 100]),
        "the target has the weight 0 in every row: some weights must be above 0"
    );
    let exposed = |values: &[f64], parameters: &Parameters| {
        told(
            &Part {
                exposure: Some(values),
                ..part
            },
            parameters,
        )
    };
    assert_eq!(
        exposed(&with(0.0), &poisson),
        "the exposure, row 4: 0 where exposures are finite numbers above 0"
    );
    assert!(
        exposed(&with(1.0), &Parameters::new(Objective::Binary))
            .starts_with("objective is binary with an exposure")
    );
    let offset = with(f64::INFINITY);
    let offset = Part {
        offset: Some(&offset),
        ..part
    };
    assert!(told(&offset, &poisson).starts_with("the offset, row 4: inf where"));
    let groups: Vec<u64> = (0..100).map(|row| row / 10 % 9).collect();
    let grouped = Part {
        groups: Some(&groups),
        ..part
    };
    assert_eq!(
        told(&grouped, &Parameters::new(Objective::Lambdarank)),
        "the group, row 90: 0 where rows of a group follow each other, and this one stood before"
    );
}

#[test]
fn parameters_out_of_range_and_too_few_rows() {
    let data = table().binned();
    let target: Vec<f64> = (0..100).map(f64::from).collect();
    let part = Part {
        data: &data,
        target: &target,
        weights: None,
        exposure: None,
        offset: None,
        groups: None,
    };
    let changed = |change: fn(&mut Parameters)| {
        let mut parameters = Parameters::new(Objective::Regression);
        change(&mut parameters);
        told(&part, &parameters)
    };
    for (change, wanted) in [
        (
            (|p| p.min_data_in_leaf = 51) as fn(&mut Parameters),
            "100 rows: 102 are needed",
        ),
        (
            |p| p.num_leaves = 1,
            "num_leaves is 1: wanted is 2 to 65536",
        ),
        (|p| p.num_iterations = 0, "num_iterations is 0"),
        (|p| p.learning_rate = 0.0, "learning_rate is 0"),
        (|p| p.lambda_l2 = -1.0, "lambda_l2 is -1"),
        (|p| p.cat_smooth = f64::NAN, "cat_smooth is NaN"),
        (|p| p.feature_fraction = 1.1, "feature_fraction is 1.1"),
        (|p| p.bagging_fraction = 0.0, "bagging_fraction is 0"),
        (
            |p| p.monotone_constraints = vec![1],
            "monotone_constraints is 1 for 2 columns",
        ),
        (
            |p| p.monotone_constraints = vec![1, 2],
            "monotone_constraints is 2",
        ),
        (
            |p| p.early_stopping_round = 3,
            "early_stopping_round is 3: a validation part is wanted, or 0",
        ),
        (
            |p| p.metric = Some(luopan_learning::gbdt::Metric::Auc),
            "metric is Auc: it does not fit the objective",
        ),
    ] {
        let said = changed(change);
        assert!(said.starts_with(wanted), "{said:?}, wanted {wanted:?}");
    }
    let other = table().binned();
    let valid = Part {
        data: &other,
        ..part
    };
    let said = train(&part, Some(&valid), &Parameters::new(Objective::Regression));
    assert!(
        said.unwrap_err()
            .to_string()
            .starts_with("valid is a table in bins of its own")
    );
}

#[test]
fn columns_that_cannot_be_binned() {
    let values: Vec<f64> = (0..50).map(f64::from).collect();
    let said = |name: &str, values: &[f64], kind| {
        let first = Column {
            name: "first",
            values: &[1.0; 50],
            kind: Kind::Number,
        };
        let second = Column { name, values, kind };
        match Binned::new(&[first, second], &BinSettings::default()) {
            Ok(_) => "binned".to_owned(),
            Err(error) => error.to_string(),
        }
    };
    let with = |value: f64| {
        let mut changed = values.clone();
        changed[8] = value;
        changed
    };
    assert_eq!(said("a", &values, Kind::Number), "binned");
    assert_eq!(said("a", &with(f64::NAN), Kind::Category), "binned");
    assert_eq!(
        said("a", &with(f64::INFINITY), Kind::Number),
        "column \"a\", row 8: inf where finite numbers are wanted, NaN where one is missing"
    );
    for value in [-1.0, 0.5, 65_536.0, f64::INFINITY] {
        let found = said("a", &with(value), Kind::Category);
        assert!(found.starts_with(&format!("column \"a\", row 8: {value} where categories")));
    }
    assert_eq!(
        said("first", &values, Kind::Number),
        "column 0 is called \"first\": another column has that name"
    );
    assert!(said("", &values, Kind::Number).contains("a name is not empty"));
    assert!(said("a", &values[1..], Kind::Number).contains("has 49 values for 50 rows"));
    let none = Binned::new(&[], &BinSettings::default()).unwrap_err();
    assert!(none.to_string().starts_with("0 columns"));
    let wide = BinSettings {
        max_bin: 256,
        ..BinSettings::default()
    };
    let column = Column {
        name: "a",
        values: &values,
        kind: Kind::Number,
    };
    let wide = Binned::new(&[column], &wide).unwrap_err();
    assert_eq!(wide.to_string(), "max_bin is 256: wanted is 2 to 255");
}

#[test]
fn names_that_would_be_one_in_lightgbm_s_text() {
    let mut table = table();
    table.names = vec!["annual income".to_owned(), "annual_income".to_owned()];
    let target: Vec<f64> = (0..100).map(f64::from).collect();
    let data = table.binned();
    let part = Part {
        data: &data,
        target: &target,
        weights: None,
        exposure: None,
        offset: None,
        groups: None,
    };
    let model = train(&part, None, &Parameters::new(Objective::Regression))
        .expect("trained")
        .model;
    let said = luopan_learning::lightgbm::write(&model)
        .unwrap_err()
        .to_string();
    assert!(said.contains("both be called \"annual_income\""), "{said}");
}
