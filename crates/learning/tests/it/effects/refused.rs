//! What cannot be told is said, with what to write instead.

use super::kept::with;
use super::{model, table};
use luopan_learning::effects::{Settings, effects};
use luopan_learning::tabular::{Frame, Kept, Kind, Scale, Series, Task};

fn check(model: &Kept, frame: &Frame, settings: &Settings, words: &[&str]) {
    let told = effects(model, frame, settings)
        .expect_err("refused")
        .to_string();
    for words in words {
        assert!(told.contains(words), "`{words}` is not in `{told}`");
    }
}

#[test]
fn what_cannot_be_asked_is_refused() {
    let frame = table(300, 1);
    let model = model(&frame, Task::Binary, Kind::Gbdt, &[]);
    let plain = Settings::default;
    let named = |name: &str| Settings {
        features: vec![name.into()],
        ..plain()
    };
    check(
        &model,
        &frame,
        &named("agee"),
        &["no column `agee`", "`age`"],
    );
    let pair = |a: &str, b: &str| Settings {
        pairs: vec![(a.into(), b.into())],
        ..plain()
    };
    check(&model, &frame, &pair("age", "cty"), &["no column `cty`"]);
    check(&model, &frame, &pair("age", "age"), &["`age` with itself"]);
    check(
        &model,
        &frame,
        &Settings { bins: 1, ..plain() },
        &["bins is 1", "2 to 200"],
    );
    check(
        &model,
        &frame,
        &Settings { rows: 3, ..plain() },
        &["rows is 3", "20 or more"],
    );
    check(
        &model,
        &frame,
        &Settings {
            repeats: 1,
            ..plain()
        },
        &["repeats is 1"],
    );
    check(
        &model,
        &frame,
        &Settings {
            class: Some("1".into()),
            ..plain()
        },
        &["leave it out"],
    );
    let few: Vec<u32> = (0..19).collect();
    check(
        &model,
        &frame.take(&few),
        &plain(),
        &["19 rows", "20 at least"],
    );
    let Some(Series::Numbers(ages)) = frame.get("age") else {
        panic!("numbers")
    };
    let mut endless = ages.clone();
    endless[4] = f64::INFINITY;
    let endless = with(&frame, "age", Series::Numbers(endless));
    check(
        &model,
        &endless,
        &plain(),
        &["row 5", "`age`", "inf", "finite"],
    );
    let codes = vec![0; frame.rows()];
    let texts = Series::Texts {
        codes,
        levels: vec!["old".into()],
    };
    check(
        &model,
        &with(&frame, "age", texts),
        &plain(),
        &["`age`", "held numbers"],
    );
    let without = Frame::new(vec![("age".into(), Series::Numbers(ages.clone()))]).unwrap();
    check(&model, &without, &plain(), &["no column `balance`"]);
}

#[test]
fn outcomes_that_are_none_are_refused() {
    let frame = table(300, 1);
    let model_of = |task| model(&frame, task, Kind::Gbdt, &[]);
    let binary = model_of(Task::Binary);
    let by = |target: &str, metric: Option<&str>| Settings {
        target: Some(target.into()),
        metric: metric.map(str::to_owned),
        ..Settings::default()
    };
    check(
        &binary,
        &frame,
        &by("bougth", None),
        &["no column `bougth`"],
    );
    check(
        &binary,
        &frame,
        &by("age", None),
        &["`age`", "learned from it"],
    );
    check(&binary, &frame, &by("paid", None), &["knows no such class"]);
    check(
        &binary,
        &frame,
        &by("bought", Some("rmse")),
        &["`rmse`", "auc, log_loss"],
    );
    let ones = with(&frame, "bought", Series::Numbers(vec![1.0; frame.rows()]));
    check(&binary, &ones, &by("bought", None), &["one class alone"]);
    let none = with(
        &frame,
        "bought",
        Series::Numbers(vec![f64::NAN; frame.rows()]),
    );
    check(&binary, &none, &by("bought", None), &["0 rows"]);
    let counts = model_of(Task::Poisson);
    let mut paid = vec![1.0; frame.rows()];
    paid[7] = f64::INFINITY;
    let endless = with(&frame, "paid", Series::Numbers(paid));
    check(&counts, &endless, &by("paid", None), &["row 8", "finite"]);
    let classes = model_of(Task::Multiclass);
    check(
        &classes,
        &frame,
        &Settings::default(),
        &["class is missing", "name one"],
    );
    let other = Settings {
        class: Some("99".into()),
        ..Settings::default()
    };
    check(&classes, &frame, &other, &["`99`", "`0`"]);
    // Where rows have no outcome, effects are told by all of them and importance by the others.
    let mut bought: Vec<f64> = vec![f64::NAN; frame.rows()];
    for (row, v) in bought.iter_mut().enumerate().take(100) {
        *v = f64::from(u8::from(row % 2 == 0));
    }
    let half = with(&frame, "bought", Series::Numbers(bought));
    let told = effects(
        &binary,
        &half,
        &Settings {
            scale: Scale::Link,
            ..by("bought", None)
        },
    );
    let told = told.expect("effects");
    assert_eq!((told.looked_at, told.importance.unwrap().rows), (300, 100));
}
