//! Uplift from a table: rows are ranked by models that have not seen them, and what cannot be is named by column and row.

use std::collections::BTreeMap;

use luopan_learning::tabular::{
    Drawn, Error, Frame, MISSING, Series, Task, UpliftSettings, Uplifted, uplift,
};
use luopan_learning::uplift::{Bootstrap, Economics, Learner};

use super::World;

const ARMS: [&str; 3] = ["none", "letter", "mail"];

fn frame(world: &World) -> Frame {
    let own = world.propensities.chunks_exact(world.arms.names().len());
    let own = (own.zip(world.arms.codes())).map(|(line, code)| line[*code as usize]);
    let numbers = |values: &Vec<f64>| Series::Numbers(values.clone());
    let texts = |codes: Vec<u32>, levels: &[&str]| Series::Texts {
        codes,
        levels: levels.iter().map(|level| (*level).to_owned()).collect(),
    };
    // three places of the last feature, which moves nothing but the outcome
    let place = |x: &f64| if *x > 0.0 { 2 } else { u32::from(*x > -1.0) };
    let columns = [
        ("a", numbers(&world.features[0])),
        ("b", numbers(&world.features[1])),
        (
            "place",
            texts(
                world.features[2].iter().map(place).collect(),
                &["x", "y", "z"],
            ),
        ),
        ("segment", texts(world.arms.codes().to_vec(), &ARMS)),
        ("p", Series::Numbers(own.collect())),
        ("visit", numbers(&world.outcomes)),
        (
            "at",
            Series::Numbers((0..world.outcomes.len()).map(|at| at as f64).collect()),
        ),
    ];
    let columns = columns
        .into_iter()
        .map(|(name, column)| (name.to_owned(), column));
    Frame::new(columns.collect()).expect("a table")
}

fn settings(drawn: Drawn) -> UpliftSettings {
    let mut settings = UpliftSettings::new(Task::Binary, "visit", "segment");
    settings.control = Some("none".to_owned());
    settings.table.exclude = ["p", "at"].map(str::to_owned).to_vec();
    settings.drawn = drawn;
    settings.bootstrap = Bootstrap {
        resamples: 200,
        ..Bootstrap::default()
    };
    settings
}

fn learned(frame: &Frame, settings: &UpliftSettings) -> Uplifted {
    uplift(frame, settings, &mut |_| ()).expect("effects")
}

fn refused(frame: &Frame, settings: &UpliftSettings) -> String {
    uplift(frame, settings, &mut |_| ())
        .expect_err("refused")
        .to_string()
}

#[test]
fn a_report_tells_of_each_treatment_and_of_costs() {
    let world = World::new(9_000, 2, true, false, 31);
    let frame = frame(&world);
    let mut asked = settings(Drawn::Lot);
    let each = |cost| Economics {
        value: 1.0,
        cost,
        cost_per_outcome: 0.01,
    };
    asked.economics = [("mail", each(0.02)), ("letter", each(0.01))]
        .map(|(name, each)| (name.to_owned(), each))
        .into();
    asked.learner = Learner::T;
    let found = learned(&frame, &asked);
    let report = &found.report;
    assert_eq!(report.features, ["a", "b", "place"]);
    let names: Vec<&str> = report.arms.iter().map(|arm| arm.name.as_str()).collect();
    assert_eq!(names, ARMS);
    assert_eq!(report.arms.iter().map(|arm| arm.rows).sum::<usize>(), 9_000);
    assert_eq!(report.treatments.len(), 2);
    for treatment in &report.treatments {
        let area = treatment.intervals.qini_area.expect("an interval");
        assert!(area.lower > 0.0, "{}: {area:?}", treatment.name);
        assert_eq!(
            (
                treatment.bins.len(),
                treatment.curve.points.len(),
                treatment.at.len()
            ),
            (10, 21, 3)
        );
        let top = treatment.at[2].uplift.expect("both arms");
        assert!(top > treatment.measures.effect, "{}: {top}", treatment.name);
    }
    let targeting = report.targeting.as_ref().expect("values and costs");
    let best = &targeting.curve[targeting.best];
    assert!(
        best.interval.lower > 0.0 && best.gain >= targeting.curve[20].gain,
        "{best:?}"
    );
    // every row is ranked once, and new rows get effects of the same shape
    let mut rows = found.ranked.0.clone();
    rows.sort_unstable();
    assert!(rows.into_iter().eq(0..9_000));
    assert_eq!(found.effects(&frame).expect("effects").values.len(), 18_000);
    let json = serde_json::to_value(report).expect("JSON");
    assert_eq!(json["treatments"][1]["name"], "mail");
    assert!(json["targeting"]["curve"][3]["gain"].is_f64());
    asked.table.time = Some("at".to_owned());
    asked.table.exclude = vec!["p".to_owned()];
    // by time the first part is ranked by nobody
    assert_eq!(learned(&frame, &asked).report.rows, 7_500);
}

#[test]
fn rankings_learned_from_chance_are_judged_as_chance() {
    // Outcomes by lot: whatever is learned is what the models remember, and rows that they have seen would look well ranked.
    let mut world = World::new(4_000, 1, true, false, 5);
    world.outcomes = (0..4_000)
        .map(|row| f64::from(u8::from(row * 7919 % 10 < 3)))
        .collect();
    let mut asked = settings(Drawn::Lot);
    asked.learner = Learner::T;
    (asked.table.gbdt.leaves, asked.table.gbdt.min_data_in_leaf) = (31, 5);
    (asked.table.gbdt.rounds, asked.table.gbdt.learning_rate) = (100, 0.2);
    let report = learned(&frame(&world), &asked).report;
    let interval = report.treatments[0]
        .intervals
        .qini_area
        .expect("an interval");
    assert!(
        interval.lower <= 0.0 && 0.0 <= interval.upper,
        "{interval:?}"
    );
}

#[test]
fn propensities_of_a_table_weigh_what_is_judged() {
    let world = World::new(12_000, 1, true, true, 13);
    let frame = frame(&world);
    let truth = world.effects.iter().sum::<f64>() / world.effects.len() as f64;
    let effect = |drawn| {
        learned(&frame, &settings(drawn)).report.treatments[0]
            .measures
            .effect
    };
    assert!((effect(Drawn::Logged("p".to_owned())) - truth).abs() < 0.03);
    assert!(effect(Drawn::Lot) - truth > 0.05);
    let mut rest = (world.propensities.chunks_exact(2))
        .map(|line| (line[0], line[1]))
        .unzip::<f64, f64, Vec<_>, Vec<_>>();
    rest.0.truncate(12_000);
    let frame = frame
        .with("p none", Series::Numbers(rest.0))
        .expect("a column");
    let frame = frame
        .with("p letter", Series::Numbers(rest.1))
        .expect("a column");
    let names = [("none", "p none"), ("letter", "p letter")]
        .map(|(arm, name)| (arm.to_owned(), name.to_owned()));
    let report = learned(&frame, &settings(Drawn::Columns(names.into()))).report;
    assert_eq!(
        report.features,
        ["a", "b", "place"],
        "propensities are no features"
    );
    assert!((report.treatments[0].measures.effect - truth).abs() < 0.03);
    let report = learned(&frame, &settings(Drawn::Estimated)).report;
    assert!(
        report
            .flags
            .iter()
            .any(|flag| flag.starts_with("propensities were estimated")),
        "{:?}",
        report.flags
    );
}

/// A lot leaves arms alike; arms by a feature, and features that are told afterwards, are named.
#[test]
fn arms_that_are_not_alike_and_leaks_are_told() {
    let lot = frame(&World::new(4_000, 2, true, false, 8));
    let report = learned(&lot, &settings(Drawn::Lot)).report;
    assert_eq!(report.flags, Vec::<String>::new());
    assert_eq!(report.balance.len(), 2);
    for balance in &report.balance {
        let auc = balance.auc.expect("rows of both arms");
        assert!(
            (auc - 0.5).abs() < 0.05 && balance.without_overlap == 0.0,
            "{balance:?}"
        );
        assert!(
            balance
                .differences
                .iter()
                .all(|d| d.standardised.abs() < 0.15),
            "{balance:?}"
        );
    }
    // By the first feature.
    let world = World::new(4_000, 1, true, true, 9);
    let confounded = frame(&world);
    let report = learned(&confounded, &settings(Drawn::Lot)).report;
    assert_eq!(report.balance[0].differences[0].feature, "a");
    let told = report.flags.join("; ");
    assert!(
        told.contains("differ in `a` by") && told.contains("(AUC 0."),
        "{told}"
    );
    // The difference by its definition.
    let of = |arm: u32| -> Vec<f64> {
        let rows = world.features[0].iter().zip(world.arms.codes());
        rows.filter(|(_, code)| **code == arm)
            .map(|(x, _)| *x)
            .collect()
    };
    let moments = |x: &[f64]| {
        let n = x.len() as f64;
        let mean = x.iter().sum::<f64>() / n;
        (mean, x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n)
    };
    let ((m0, v0), (m1, v1)) = (moments(&of(0)), moments(&of(1)));
    let wanted = (m1 - m0) / f64::midpoint(v0, v1).sqrt();
    assert!((report.balance[0].differences[0].standardised - wanted).abs() < 1e-9);
    // With propensities that tell it, it is said what they must make up for.
    let report = learned(&confounded, &settings(Drawn::Logged("p".to_owned()))).report;
    let told = report.flags.join("; ");
    assert!(
        told.contains("right only where the propensities tell all of it") && !told.contains("AUC"),
        "{told}"
    );
    // Who bought has visited: a column of what came after the outcome.
    let bought = world
        .outcomes
        .iter()
        .enumerate()
        .map(|(row, y)| y * f64::from(u8::from(row % 3 == 0)));
    let leaking = confounded
        .with("bought", Series::Numbers(bought.collect()))
        .expect("a column");
    let report = learned(&leaking, &settings(Drawn::Lot)).report;
    assert!(
        report
            .flags
            .iter()
            .any(|flag| flag.starts_with("`bought` is likely a leak: of all")),
        "{:?}",
        report.flags
    );
}

#[test]
fn what_is_wrong_is_named_by_column_and_row() {
    let world = World::new(600, 1, true, false, 3);
    let frame = frame(&world);
    let good = settings(Drawn::Lot);
    let mut asked = good.clone();
    asked.control = None;
    let said = refused(&frame, &asked);
    assert!(
        said.starts_with("column `segment`: no control is named")
            && said.contains("\"letter\", \"none\""),
        "{said}"
    );
    asked.control = Some("nobody".to_owned());
    assert!(refused(&frame, &asked).contains("no arm is called \"nobody\""));
    let mut asked = good.clone();
    asked.treatment = "arm".to_owned();
    assert!(
        matches!(uplift(&frame, &asked, &mut |_| ()), Err(Error::Unknown { name, .. }) if name == "arm")
    );
    asked.treatment = "visit".to_owned();
    assert!(refused(&frame, &asked).contains("named as the target and for the treatment"));
    let mut codes = world.arms.codes().to_vec();
    codes[4] = MISSING;
    let gaps = Series::Texts {
        codes,
        levels: ARMS.map(str::to_owned).to_vec(),
    };
    let gaps = frame.clone().with("segment", gaps).expect("a column");
    assert!(refused(&gaps, &good).starts_with("row 5, column `segment`: found nothing"));
    for (wrong, words) in [
        (0.0, "0"),
        (1.0, "1"),
        (f64::NAN, "nothing"),
        (f64::INFINITY, "inf"),
    ] {
        let mut values = vec![0.5; 600];
        values[8] = wrong;
        let frame = frame
            .clone()
            .with("p", Series::Numbers(values))
            .expect("a column");
        let said = refused(&frame, &settings(Drawn::Logged("p".to_owned())));
        assert!(
            said.starts_with(&format!(
                "row 9, column `p`: found {words}; a propensity is above 0"
            )),
            "{said}"
        );
    }
    let names = BTreeMap::from([("none".to_owned(), "p".to_owned())]);
    assert!(
        refused(&frame, &settings(Drawn::Columns(names)))
            .contains("without a column for arm `letter`")
    );
    let mut asked = good.clone();
    let free = Economics {
        value: 1.0,
        cost: 0.0,
        cost_per_outcome: 0.0,
    };
    asked.economics = BTreeMap::from([("none".to_owned(), free)]);
    assert!(refused(&frame, &asked).contains("for `none`, which is no treatment"));
    let mut asked = good.clone();
    asked.table.task = Task::Poisson;
    assert!(refused(&frame, &asked).contains("write binary or regression"));
    let alike = frame
        .clone()
        .with("visit", Series::Numbers(vec![1.0; 600]))
        .expect("a column");
    assert!(refused(&alike, &good).contains("every target is `1`"));
    let mut asked = good;
    asked.table.gbdt.min_data_in_leaf = 500;
    let said = refused(&frame, &asked);
    assert!(
        said.starts_with("fold 1: arm \"none\" has") && said.contains("leave the arm out"),
        "{said}"
    );
}
