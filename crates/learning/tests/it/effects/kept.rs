//! Models of every kind that is kept.

use super::{model, table};
use luopan_learning::effects::{Effects, Settings, Value, effects, shuffles};
use luopan_learning::tabular::{Frame, Kept, Kind, Scale, Series, Task};

const KINDS: [(Kind, Task); 5] = [
    (Kind::Gbdt, Task::Binary),
    (Kind::Glm, Task::Binary),
    (Kind::Scorecard, Task::Binary),
    (Kind::Gbdt, Task::Poisson),
    (Kind::Glm, Task::Regression),
];

fn asked(scale: Scale, target: Option<&str>) -> Settings {
    Settings {
        scale,
        pairs: vec![
            ("age".into(), "balance".into()),
            ("city".into(), "age".into()),
        ],
        bins: 10,
        target: target.map(str::to_owned),
        rows: 800,
        curve_rows: 200,
        pair_rows: 60,
        repeats: 4,
        ..Settings::default()
    }
}

#[test]
fn every_kind_is_told_on_both_scales_whatever_the_order_of_rows() {
    let frame = table(1_200, 1);
    let fresh = table(1_000, 2);
    let moved = fresh.take(&shuffles(1_000, 1, 9)[0]);
    for (kind, task) in KINDS {
        let model = model(&frame, task, kind, &[]);
        let target = model.target().column.clone();
        for scale in [Scale::Link, Scale::Response] {
            let told = effects(&model, &fresh, &asked(scale, Some(&target))).expect("effects");
            assert_eq!(told.looked_at, 800);
            assert_eq!(told.pairs.len(), 2);
            assert_eq!(told.contributions.is_empty(), kind != Kind::Gbdt);
            let importance = told.importance.as_ref().expect("outcomes are there");
            assert!(importance.features[0].worse > 0.0, "{importance:?}");
            assert_eq!(importance.learned_from, Some(0.0));
            let again = effects(&model, &moved, &asked(scale, Some(&target))).expect("effects");
            assert_eq!(told, again, "{kind:?} {task:?}");
            // A kept model that was read again is the same.
            let read = Kept::decode(&model.encode().unwrap()).unwrap();
            assert_eq!(
                effects(&read, &fresh, &asked(scale, Some(&target))),
                Ok(again)
            );
        }
    }
}

fn of<'a>(told: &'a Effects, name: &str) -> &'a luopan_learning::effects::FeatureEffect {
    (told.features.iter())
        .find(|f| f.feature == name)
        .expect("the feature")
}

#[test]
fn a_linear_model_is_its_terms_on_the_link_scale() {
    let frame = table(1_500, 3);
    let model = model(&frame, Task::Binary, Kind::Glm, &[]);
    let told = effects(&model, &frame, &asked(Scale::Link, None)).expect("effects");
    let contributions = model.contributions(&frame).unwrap();
    let width = model.features().len() + 1;
    let terms: Vec<&[f64]> = contributions.chunks(width).collect();
    let Some(Series::Numbers(ages)) = frame.get("age") else {
        panic!("ages are numbers")
    };
    let at = model
        .features()
        .iter()
        .position(|f| f.name == "age")
        .unwrap();
    let term = |v: &Value| {
        let row = match v {
            Value::Number(v) => ages.iter().position(|a| a == v),
            _ => ages.iter().position(|a| a.is_nan()),
        };
        terms[row.expect("a row with it")][at]
    };
    let age = of(&told, "age");
    assert_eq!(age.points.last().unwrap().value, Value::Missing);
    assert!(age.points.last().unwrap().rows > 20);
    for point in &age.points {
        let first = &age.points[0];
        let wanted = term(&point.value) - term(&first.value);
        assert!(
            (point.effect - first.effect - wanted).abs() < 1e-9,
            "{point:?}"
        );
        assert!(
            (point.expected - first.expected - wanted).abs() < 1e-9,
            "{point:?}"
        );
    }
    for pair in &told.pairs {
        assert!(pair.effects.iter().flatten().all(|v| v.abs() < 1e-9));
        assert!(pair.beyond < 1e-9);
    }
    // On the scale of probabilities the same model does more than add up.
    let told = effects(&model, &frame, &asked(Scale::Response, None)).expect("effects");
    assert!(
        told.pairs.iter().all(|p| p.beyond > 1e-4),
        "{:?}",
        told.pairs
    );
}

#[test]
fn a_feature_that_trees_never_use_is_exactly_zero() {
    let frame = table(600, 4);
    let Some(Series::Numbers(noise)) = frame.get("noise") else {
        panic!("numbers")
    };
    // Known in one row: no leaf is so small.
    let rare = (0..noise.len())
        .map(|r| f64::from(u8::from(r == 0)))
        .collect();
    let frame = frame.clone().with("noise", Series::Numbers(rare)).unwrap();
    let model = model(&frame, Task::Binary, Kind::Gbdt, &[]);
    let mut settings = asked(Scale::Response, Some("bought"));
    settings.pairs = vec![("noise".into(), "balance".into())];
    let told = effects(&model, &frame, &settings).expect("effects");
    let noise = of(&told, "noise");
    assert!(noise.deviation == 0.0 && noise.points.iter().all(|p| p.effect == 0.0));
    assert!(
        noise
            .points
            .iter()
            .all(|p| p.expected == noise.points[0].expected)
    );
    let importance = told.importance.unwrap();
    let own = importance
        .features
        .iter()
        .find(|f| f.feature == "noise")
        .unwrap();
    assert_eq!((own.worse, own.standard_error), (0.0, 0.0));
    let own = told
        .contributions
        .iter()
        .find(|f| f.feature == "noise")
        .unwrap();
    assert_eq!(own.mean_absolute, 0.0);
    assert!(told.pairs[0].beyond == 0.0 && told.pairs[0].deviation == 0.0);
    // And what it has learned from is said.
    assert!(
        told.flags.iter().any(|f| f.contains("learned from 100 %")),
        "{:?}",
        told.flags
    );
}

#[test]
fn several_classes_are_told_one_at_a_time() {
    let frame = table(1_500, 5);
    let model = model(&frame, Task::Multiclass, Kind::Gbdt, &["noise"]);
    let classes = model.target().classes.clone();
    assert!(classes.len() > 2, "{classes:?}");
    let mut sums = 0.0;
    for class in &classes {
        let settings = Settings {
            class: Some(class.clone()),
            features: vec!["balance".into()],
            target: Some("paid".into()),
            rows: 500,
            repeats: 2,
            ..Settings::default()
        };
        let told = effects(&model, &frame, &settings).expect("effects");
        sums += told.mean;
        assert_eq!(told.importance.unwrap().metric, "log_loss");
        assert_eq!(told.features.len(), 1);
    }
    // They are probabilities.
    assert!((sums - 1.0).abs() < 1e-9, "{sums}");
}

/// The table with a column replaced.
pub(super) fn with(frame: &Frame, name: &str, series: Series) -> Frame {
    frame.clone().with(name, series).expect("a column")
}

#[test]
fn what_is_constant_unseen_or_missing_is_said() {
    let frame = table(1_200, 6);
    let model = model(&frame, Task::Binary, Kind::Gbdt, &[]);
    let rows = frame.rows();
    let same = with(&frame, "age", Series::Numbers(vec![33.0; rows]));
    let told = effects(&model, &same, &asked(Scale::Link, None)).expect("effects");
    assert!(told.features.iter().all(|f| f.feature != "age"));
    let said: Vec<&str> = told.left_out.iter().map(|l| l.column.as_str()).collect();
    assert_eq!(said, ["age", "age:balance", "city:age"]);
    assert!(told.left_out[0].why.contains("every value is 33"));
    let gone = with(&frame, "age", Series::Numbers(vec![f64::NAN; rows]));
    let told = effects(&model, &gone, &asked(Scale::Link, None)).expect("effects");
    assert!(told.left_out[0].why.contains("missing"));
    let Some(Series::Texts { codes, .. }) = frame.get("city") else {
        panic!("texts")
    };
    let strange = Series::Texts {
        codes: codes.clone(),
        levels: ["Beijing", "Lhasa", "Harbin", "Xiamen"]
            .map(str::to_owned)
            .to_vec(),
    };
    let told = effects(
        &model,
        &with(&frame, "city", strange),
        &asked(Scale::Link, None),
    )
    .unwrap();
    assert!(told.flags[0].contains("`city`") && told.flags[0].contains("never seen"));
    let city = of(&told, "city");
    let unseen = Value::Text("(never seen in training)".into());
    let own = city
        .points
        .iter()
        .find(|p| p.value == unseen)
        .expect("told");
    assert!(own.rows > 50);
    // Of more categories than are told, the rest is counted.
    let few = Settings {
        bins: 2,
        ..asked(Scale::Link, None)
    };
    let told = effects(&model, &frame, &few).unwrap();
    let city = of(&told, "city");
    assert_eq!(city.points.len(), 2);
    assert_eq!(
        city.others + city.points.iter().map(|p| p.rows).sum::<usize>(),
        800
    );
}
