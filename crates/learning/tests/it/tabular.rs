//! Learning from tables: rows are judged by models that have not seen them, kept models predict the same, bad input is named.

use luopan_kernel::random::Random;
use luopan_learning::tabular::{
    Calibration, Error, Frame, Kept, Kind, MISSING, Outcome, Series, Settings, Task, Taste,
    TasteSettings, fit_all, taste, train,
};
use proptest::prelude::*;

/// A table with a number, a number with gaps, a text, noise, and targets of every kind.
fn table(rows: usize, seed: u64) -> Frame {
    let mut random = Random::new(seed);
    let mut x = Vec::new();
    let mut gaps = Vec::new();
    let mut city = Vec::new();
    let mut noise = Vec::new();
    let mut exposure = Vec::new();
    let (mut bought, mut amount, mut count, mut class, mut at) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for row in 0..rows {
        let (a, b) = (random.normal(), random.normal());
        let place = (random.uniform() * 4.0) as u32;
        let gone = random.uniform() < 0.2;
        let score = 1.2 * a + if gone { 0.8 } else { 0.5 * b } + f64::from(place) * 0.4 - 1.0;
        let happens = random.uniform() < 1.0 / (1.0 + (-score).exp());
        let time = 0.2 + random.uniform();
        let mean = (0.3 * score).exp() * time;
        let mut n = 0.0;
        let mut left = random.uniform().max(1e-12).ln();
        while left > -mean {
            n += 1.0;
            left += random.uniform().max(1e-12).ln();
        }
        x.push(a);
        gaps.push(if gone { f64::NAN } else { b });
        city.push(place);
        noise.push(random.normal());
        exposure.push(time);
        bought.push(u32::from(happens));
        amount.push((0.4 * score + 0.1 * random.normal()).exp());
        count.push(n);
        class.push(if score > 0.7 {
            2
        } else {
            u32::from(score > -0.3)
        });
        at.push(row as f64);
    }
    let texts = |codes: Vec<u32>, levels: &[&str]| Series::Texts {
        codes,
        levels: levels.iter().map(|l| (*l).to_owned()).collect(),
    };
    let columns = [
        ("x", Series::Numbers(x)),
        ("gaps", Series::Numbers(gaps)),
        ("city", texts(city, &["北京", "上海", "广州", "深圳"])),
        ("noise", Series::Numbers(noise)),
        ("exposure", Series::Numbers(exposure)),
        ("bought", texts(bought, &["no", "yes"])),
        ("amount", Series::Numbers(amount)),
        ("count", Series::Numbers(count)),
        ("class", texts(class, &["low", "middle", "high"])),
        ("at", Series::Numbers(at)),
    ];
    Frame::new(
        columns
            .into_iter()
            .map(|(n, s)| (n.to_owned(), s))
            .collect(),
    )
    .unwrap()
}

const TARGETS: [&str; 4] = ["bought", "amount", "count", "class"];

fn settings(task: Task, model: Kind) -> Settings {
    let target = match task {
        Task::Binary => "bought",
        Task::Poisson => "count",
        Task::Multiclass => "class",
        _ => "amount",
    };
    let mut out = Settings::new(task, model, target);
    out.exclude = TARGETS
        .iter()
        .filter(|t| **t != target)
        .map(|t| (*t).to_owned())
        .collect();
    out.exclude.push("at".to_owned());
    match task {
        Task::Poisson => out.exposure = Some("exposure".to_owned()),
        _ => out.exclude.push("exposure".to_owned()),
    }
    out.gbdt.rounds = 30;
    out
}

fn trained(frame: &Frame, settings: &Settings) -> Outcome {
    train(frame, settings, &mut |_| ()).unwrap()
}

fn every() -> Vec<Settings> {
    let mut out: Vec<_> = (Task::ALL.into_iter())
        .filter(|t| *t != Task::Rank)
        .map(|t| settings(t, Kind::Gbdt))
        .collect();
    out.extend(
        [
            Task::Binary,
            Task::Regression,
            Task::Poisson,
            Task::Gamma,
            Task::Tweedie,
        ]
        .map(|t| settings(t, Kind::Glm)),
    );
    out.push(settings(Task::Binary, Kind::Scorecard));
    out
}

#[test]
fn every_model_learns_what_there_is_and_predicts_the_same_when_it_is_read_again() {
    let frame = table(3_000, 1);
    let other = table(500, 2);
    for asked in every() {
        let what = format!("{:?} {:?}", asked.task, asked.model);
        let outcome = trained(&frame, &asked);
        let told = &outcome.evaluation;
        assert_eq!((told.judged, told.without_target), (3_000, 0), "{what}");
        let figure = &told.metrics[told.foremost];
        assert_eq!(figure.folds.len(), 5, "{what}");
        let (lower, upper) = (figure.lower.unwrap(), figure.upper.unwrap());
        assert!(lower < figure.mean && figure.mean < upper, "{what}");
        match asked.task {
            Task::Binary => assert!(lower > 0.72, "{what}: {figure:?}"),
            Task::Multiclass => assert!(told.metrics["accuracy"].mean > 0.8, "{what}"),
            Task::Regression => assert!(told.metrics["r2"].mean > 0.7, "{what}"),
            _ => {}
        }
        assert_eq!(told.importance[0].feature, "x", "{what}");
        assert_eq!(told.importance.last().unwrap().feature, "noise", "{what}");
        // Lift falls from the highest predictions to the lowest, and all is captured at last.
        if let (Some(first), Some(last)) = (told.lift.first(), told.lift.last()) {
            assert!(
                first.lift > 1.2 && last.lift < 0.9,
                "{what}: {:?}",
                told.lift
            );
            assert!((last.captured - 1.0).abs() < 1e-9 && (last.share - 1.0).abs() < 1e-9);
        }
        let text = outcome.model.encode().unwrap();
        assert_eq!(
            text,
            trained(&frame, &asked).model.encode().unwrap(),
            "{what}"
        );
        let again = Kept::decode(&text).unwrap();
        let (now, then) = (outcome.model.predict(&other), again.predict(&other));
        assert_eq!(now, then, "{what}");
        let found = now.unwrap();
        assert_eq!(found.values.len(), 500 * found.outputs);
        if asked.task == Task::Multiclass {
            for line in found.values.chunks(3) {
                assert!((line.iter().sum::<f64>() - 1.0).abs() < 1e-12);
            }
        }
        // What features contribute adds up to the raw score.
        let parts = again.contributions(&other).unwrap();
        let width = again.features().len() + 1;
        if found.outputs == 1 {
            for (line, value) in parts.chunks(width).zip(&found.values) {
                let raw: f64 = line.iter().sum();
                let mean = match (asked.model, asked.task) {
                    (Kind::Scorecard, _) => {
                        let odds = (raw - 600.0) / 20.0 * std::f64::consts::LN_2 + 50f64.ln();
                        1.0 / (1.0 + odds.exp())
                    }
                    (_, Task::Binary) => 1.0 / (1.0 + (-raw).exp()),
                    (_, Task::Regression) => raw,
                    _ => raw.exp(),
                };
                assert!((mean - value).abs() < 1e-9 * value.abs().max(1.0), "{what}");
            }
        }
    }
}

#[test]
fn a_row_is_judged_by_models_of_earlier_rows_where_it_has_a_time() {
    // Up to the middle x tells one thing, from then on its opposite.
    let rows = 1_200;
    let mut random = Random::new(3);
    let x: Vec<f64> = (0..rows).map(|_| random.normal()).collect();
    let y: Vec<f64> = (x.iter().enumerate())
        .map(|(i, v)| f64::from(u8::from((*v > 0.0) == (i < rows / 2))))
        .collect();
    let at: Vec<f64> = (0..rows).map(|i| (i / 3) as f64).collect();
    let columns = [("x", x), ("y", y), ("at", at)].map(|(n, v)| (n.to_owned(), Series::Numbers(v)));
    let frame = Frame::new(columns.into()).unwrap();
    let mut asked = Settings::new(Task::Binary, Kind::Gbdt, "y");
    asked.time = Some("at".to_owned());
    asked.gbdt.rounds = 20;
    let told = trained(&frame, &asked).evaluation;
    let folds: Vec<f64> = told.metrics["auc"]
        .folds
        .iter()
        .map(|f| f.unwrap())
        .collect();
    // Six parts: the second and third are as those before them; the fourth is the opposite of all that was seen.
    assert!(folds[0] > 0.99 && folds[1] > 0.99, "{folds:?}");
    assert!(folds[2] < 0.01, "{folds:?}");
    // Rows of one moment stay together: the first part has 201.
    assert_eq!(told.judged, 999);
    assert_eq!(told.stability.len(), 10);
    assert!(
        told.stability[0].name.starts_with("67 to "),
        "{:?}",
        told.stability[0]
    );
    asked.time = None;
    let mixed = trained(&frame, &asked).evaluation;
    assert_eq!(mixed.judged, rows);
    // `at` itself is a feature then, and tells when the rule changed.
    assert!(mixed.metrics["auc"].mean > 0.9);
}

#[test]
fn groups_are_ranked_and_never_divided() {
    let mut random = Random::new(5);
    let (mut group, mut x, mut grade) = (Vec::new(), Vec::new(), Vec::new());
    // Rows of a group do not follow each other.
    for i in 0..2_000u32 {
        let v = random.normal();
        group.push(i % 130);
        x.push(v);
        grade.push((v + 0.3 * random.normal()).clamp(0.0, 3.0).round());
    }
    let names: Vec<String> = (0..130).map(|i| format!("q{i}")).collect();
    let frame = Frame::new(vec![
        (
            "q".to_owned(),
            Series::Texts {
                codes: group,
                levels: names,
            },
        ),
        ("x".to_owned(), Series::Numbers(x)),
        ("grade".to_owned(), Series::Numbers(grade)),
    ])
    .unwrap();
    let mut asked = Settings::new(Task::Rank, Kind::Gbdt, "grade");
    assert!(matches!(
        train(&frame, &asked, &mut |_| ()),
        Err(Error::Setting { name: "group", .. })
    ));
    asked.group = Some("q".to_owned());
    asked.gbdt.rounds = 20;
    for aside in [0.0, 0.2] {
        asked.valid_fraction = aside;
        let told = trained(&frame, &asked).evaluation;
        assert!(told.metrics["ndcg_5"].mean > 0.85, "{:?}", told.metrics);
        assert_eq!(told.judged, 2_000);
    }
}

#[test]
fn training_ends_early_by_rows_that_are_set_aside() {
    let frame = table(2_000, 7);
    let mut asked = settings(Task::Binary, Kind::Gbdt);
    asked.gbdt.rounds = 400;
    asked.gbdt.early_stopping = 10;
    asked.valid_fraction = 0.2;
    let outcome = trained(&frame, &asked);
    let rounds = &outcome.evaluation.fold_rounds;
    assert!(
        rounds.len() == 5 && rounds.iter().all(|r| *r < 300),
        "{rounds:?}"
    );
    let mean = rounds.iter().sum::<usize>().div_ceil(5);
    assert_eq!(outcome.model.rounds(), Some(mean));
}

#[test]
fn texts_that_were_never_seen_and_gaps_are_predicted_and_counted() {
    let frame = table(1_500, 11);
    for asked in every() {
        let model = fit_all(&frame, &asked).unwrap();
        let mut columns: Vec<(String, Series)> = (model.features().iter())
            .map(|f| {
                let series = match f.name.as_str() {
                    "city" => Series::Texts {
                        codes: vec![0, MISSING, 1],
                        levels: vec!["Zürich".to_owned(), "上海".to_owned()],
                    },
                    _ => Series::Numbers(vec![0.5, f64::NAN, 0.5]),
                };
                (f.name.clone(), series)
            })
            .collect();
        columns.reverse();
        let found = model.predict(&Frame::new(columns).unwrap()).unwrap();
        assert_eq!(found.unseen, [("city".to_owned(), 1)]);
        assert!(
            found.values.iter().all(|v| v.is_finite()),
            "{:?} {found:?}",
            asked.model
        );
    }
    let model = fit_all(&frame, &settings(Task::Binary, Kind::Gbdt)).unwrap();
    let texts = frame
        .clone()
        .with("x", frame.get("city").unwrap().clone())
        .unwrap();
    let refused = model.predict(&texts).unwrap_err().to_string();
    assert!(
        refused.contains("`x`") && refused.contains("holds texts now"),
        "{refused}"
    );
    let other = Frame::new(vec![("x".to_owned(), Series::Numbers(vec![1.0]))]).unwrap();
    assert!(matches!(model.predict(&other), Err(Error::Unknown { .. })));
}

#[test]
fn monotone_predictions_are() {
    let frame = table(2_000, 13);
    let mut asked = settings(Task::Binary, Kind::Gbdt);
    asked.monotone = vec![("noise".to_owned(), -1)];
    let model = fit_all(&frame, &asked).unwrap();
    let mut last = f64::INFINITY;
    for step in -20..=20 {
        let noise = Series::Numbers(vec![f64::from(step) / 5.0; 2_000]);
        let own = frame.clone().with("noise", noise).unwrap();
        let mean = model.predict(&own).unwrap().values.iter().sum::<f64>();
        assert!(mean <= last + 1e-9, "{step}");
        last = mean;
    }
}

/// The words of what is refused.
fn refused(frame: &Frame, change: impl FnOnce(&mut Settings)) -> String {
    let mut asked = settings(Task::Binary, Kind::Gbdt);
    change(&mut asked);
    train(frame, &asked, &mut |_| ()).unwrap_err().to_string()
}

#[test]
fn what_cannot_be_learned_from_is_said() {
    let frame = table(300, 17);
    let numbers = |v: Vec<f64>| Series::Numbers(v);
    let with = |name: &str, series: Series| frame.clone().with(name, series).unwrap();
    let says = |words: String, wanted: &[&str]| {
        for w in wanted {
            assert!(words.contains(w), "{words:?} does not say {w:?}");
        }
    };
    says(
        refused(&frame, |s| s.target = "bougt".into()),
        &["no column `bougt`"],
    );
    says(
        refused(&frame, |s| s.weight = Some("w".into())),
        &["no column `w`"],
    );
    says(
        refused(&frame, |s| s.exclude.push("nope".into())),
        &["no column `nope`"],
    );
    says(
        refused(&with("bought", numbers(vec![1.0; 300])), |_| ()),
        &["`bought`", "every target is `1`"],
    );
    says(
        refused(&frame, |s| {
            s.target = "class".into();
            s.exclude = vec!["bought".into()];
        }),
        &["3", "multiclass"],
    );
    says(
        refused(&frame, |s| s.target = "class".into()),
        &["`class`", "excluded and named as the target"],
    );
    says(
        refused(&frame, |s| s.positive = Some("maybe".into())),
        &["`no` and `yes`"],
    );
    let mut x = vec![0.5; 300];
    x[41] = f64::INFINITY;
    x[3] = 1.0;
    says(
        refused(&with("x", numbers(x)), |_| ()),
        &["row 42", "`x`", "inf"],
    );
    let mut w = vec![1.0; 300];
    w[9] = f64::NAN;
    let weighted = with("w", numbers(w.clone()));
    says(
        refused(&weighted, |s| s.weight = Some("w".into())),
        &["row 10", "nothing"],
    );
    w[9] = -1.0;
    let weighted = with("w", numbers(w));
    says(
        refused(&weighted, |s| s.weight = Some("w".into())),
        &["row 10", "-1"],
    );
    let ids = with(
        "id",
        numbers((0..300).map(|i| f64::from(i % 299)).collect()),
    );
    says(
        refused(&ids, |s| s.id = Some("id".into())),
        &["rows 1 and 300", "same id"],
    );
    says(refused(&frame, |s| s.folds = 1), &["folds is 1"]);
    says(refused(&frame.take(&[0, 1, 2]), |_| ()), &["3 rows"]);
    says(
        refused(&frame, |s| s.monotone = vec![("city".into(), 1)]),
        &["`city`", "monotone"],
    );
    says(
        refused(&frame, |s| s.exposure = Some("exposure".into())),
        &["poisson"],
    );
    says(
        refused(&frame, |s| {
            s.exclude
                .extend(["x", "gaps", "city", "noise"].map(String::from));
        }),
        &["no column is left"],
    );
    says(
        refused(&frame, |s| {
            s.task = Task::Multiclass;
            s.model = Kind::Glm;
        }),
        &["multiclass with glm"],
    );
    says(
        refused(&frame, |s| s.task = Task::Regression),
        &["holds texts"],
    );
    let mut amounts: Vec<f64> = (0..300).map(f64::from).collect();
    amounts[7] = -1.0;
    let negative = with("bought", numbers(amounts));
    says(refused(&negative, |s| s.task = Task::Gamma), &["gamma"]);
}

#[test]
fn what_says_nothing_is_left_out_and_what_says_all_is_flagged() {
    let frame = table(400, 19);
    let names: Vec<String> = (0..400).map(|i| format!("customer {i}")).collect();
    let yes = match frame.get("bought") {
        Some(Series::Texts { codes, .. }) => codes.clone(),
        _ => unreachable!(),
    };
    let leak = yes.iter().map(|y| f64::from(*y) * 3.0 + 1.0).collect();
    let mut frame = frame.with("same", Series::Numbers(vec![4.0; 400])).unwrap();
    for (name, series) in [
        ("empty", Series::Numbers(vec![f64::NAN; 400])),
        (
            "name",
            Series::Texts {
                codes: (0..400).collect(),
                levels: names,
            },
        ),
        ("leak", Series::Numbers(leak)),
        (
            "seen",
            Series::Texts {
                codes: (0..400).map(|row| row % 7).collect(),
                levels: (1..8)
                    .map(|day| format!("2026-03-0{day} 08:00:00"))
                    .collect(),
            },
        ),
    ] {
        frame = frame.with(name, series).unwrap();
    }
    let told = trained(&frame, &settings(Task::Binary, Kind::Gbdt)).evaluation;
    let why = |name: &str| {
        let found = told.left_out.iter().find(|l| l.column == name);
        found.map_or("", |l| l.why.as_str()).to_owned()
    };
    assert_eq!(why("same"), "every value is 4");
    assert_eq!(why("empty"), "every value is missing");
    assert!(why("seen").starts_with("times, which are no names: name it as --time-column"));
    let mut asked = settings(Task::Binary, Kind::Gbdt);
    asked.categorical.push("seen".to_owned());
    let named = trained(&frame, &asked);
    assert!(named.model.features().iter().any(|f| f.name == "seen"));
    assert!(
        why("name").contains("400 different texts"),
        "{}",
        why("name")
    );
    assert!(
        told.flags[0].contains("`leak` alone tells the classes apart"),
        "{:?}",
        told.flags
    );
    // Nor can sizes be weighed whose squares are no numbers.
    let Some(Series::Numbers(x)) = frame.get("x") else {
        unreachable!()
    };
    let far = Series::Numbers(x.iter().map(|x| x * 1e300).collect());
    let far = frame.clone().with("x", far).unwrap();
    let words = train(&far, &settings(Task::Binary, Kind::Glm), &mut |_| ());
    let words = words.unwrap_err().to_string();
    assert!(
        words.starts_with("column `x`: its numbers go up to"),
        "{words}"
    );
    // A linear model cannot be fitted with it, and says so.
    let mut asked = settings(Task::Binary, Kind::Glm);
    asked.glm.alpha = 0.0;
    let words = train(&frame, &asked, &mut |_| ()).unwrap_err().to_string();
    assert!(words.contains("leak"), "{words}");
}

#[test]
fn calibrated_probabilities_mean_what_they_say_and_are_kept() {
    let frame = table(4_000, 31);
    let later = table(4_000, 32);
    // Far more trees than there is to learn: probabilities near 0 and 1.
    let mut wild = settings(Task::Binary, Kind::Gbdt);
    wild.gbdt.rounds = 400;
    wild.gbdt.learning_rate = 0.3;
    let plain = trained(&frame, &wild);
    let error = |of: &Outcome| of.evaluation.calibration_error.unwrap();
    let loss = |of: &Outcome| of.evaluation.metrics["log_loss"].mean;
    for calibration in [Calibration::Isotonic, Calibration::Platt] {
        let wanted = Settings {
            calibration: Some(calibration),
            ..wild.clone()
        };
        let found = trained(&frame, &wanted);
        assert!(error(&found) < 0.4 * error(&plain), "{calibration:?}");
        assert!(loss(&found) < loss(&plain), "{calibration:?}");
        // What is kept is calibrated too: on rows of the same kind it is as good as was said.
        let text = found.model.encode().unwrap();
        assert!(text.contains("\"format\": 2"), "{}", &text[..60]);
        let kept = Kept::decode(&text).unwrap();
        let said = kept.predict(&later).unwrap().values;
        assert_eq!(said, found.model.predict(&later).unwrap().values);
        let raw = plain.model.predict(&later).unwrap().values;
        let Some(Series::Texts { codes, .. }) = later.get("bought") else {
            panic!("a target")
        };
        let squares = |p: &[f64]| -> f64 {
            let off = p.iter().zip(codes).map(|(p, c)| p - f64::from(*c));
            off.map(|d| d * d).sum::<f64>() / p.len() as f64
        };
        assert!(squares(&said) < squares(&raw), "{calibration:?}");
        // It changes no order but for ties.
        for (a, b) in raw.windows(2).zip(said.windows(2)) {
            assert!((a[0] - a[1]) * (b[0] - b[1]) >= 0.0);
        }
        let damaged = match calibration {
            Calibration::Isotonic => {
                text.replace("\"probabilities\": [", "\"probabilities\": [ 2.0,")
            }
            Calibration::Platt => text.replace("\"slope\": ", "\"slope\": 1e999, \"was\": "),
        };
        assert!(Kept::decode(&damaged).is_err());
    }
    assert!(plain.model.encode().unwrap().contains("\"format\": 1"));
    let with_time = Settings {
        calibration: Some(Calibration::Isotonic),
        time: Some("at".to_owned()),
        exclude: wild
            .exclude
            .iter()
            .filter(|e| *e != "at")
            .cloned()
            .collect(),
        ..wild
    };
    trained(&frame, &with_time);
    let said = refused(&frame, |s| {
        s.task = Task::Poisson;
        s.target = "count".to_owned();
        s.calibration = Some(Calibration::Platt);
    });
    assert!(said.contains("--task binary"), "{said}");
}

#[test]
fn coefficients_are_told_with_how_sure_they_are() {
    let frame = table(2_000, 41);
    let mut asked = settings(Task::Binary, Kind::Glm);
    asked.glm.alpha = 0.0;
    let told = trained(&frame, &asked).evaluation.coefficients;
    let of = |term: &str| told.iter().find(|c| c.term == term).unwrap();
    assert_eq!(told[0].term, "(intercept)");
    // What made the table: 1.2 of `x`, nothing of `noise`, and of gaps .8 where there is nothing of `gaps`.
    for (term, truth) in [("x", 1.2), ("gaps", 0.5), ("noise", 0.0)] {
        let c = of(term);
        let error = c.standard_error.unwrap();
        assert!((c.coefficient - truth).abs() < 3.5 * error, "{c:?}");
        assert!(error > 0.03 && error < 0.15, "{c:?}");
        let ratio = c.robust_standard_error.unwrap() / error;
        assert!((0.8..1.25).contains(&ratio), "{c:?}");
    }
    assert!(of("gaps (missing)").coefficient > 0.0);
    assert_eq!(
        told.iter().filter(|c| c.term.starts_with("city[")).count(),
        5
    );
    assert!(of("city[(other)]").standard_error.is_none());
    let trees = trained(&frame, &settings(Task::Binary, Kind::Gbdt));
    assert!(trees.evaluation.coefficients.is_empty());
}

#[test]
fn a_model_knows_which_rows_it_has_learned_from() {
    let frame = table(4_000, 29);
    let asked = settings(Task::Binary, Kind::Glm);
    let first: Vec<u32> = (0..3_000).collect();
    let model = fit_all(&frame.take(&first), &asked).unwrap();
    let model = Kept::decode(&model.encode().unwrap()).unwrap();
    assert_eq!(model.has_seen(&frame.take(&first), "y"), Some(1.0));
    let later: Vec<u32> = (3_000..4_000).collect();
    assert_eq!(model.has_seen(&frame.take(&later), "y"), Some(0.0));
    let half: Vec<u32> = (2_500..3_500).collect();
    let share = model.has_seen(&frame.take(&half), "y").unwrap();
    assert!((share - 0.5).abs() < 0.1, "{share}");
    // Columns in another order are the same rows; rows that are all alike tell nothing.
    let taken = frame.take(&first);
    let mut columns: Vec<_> = (taken.columns().map(|(n, s)| (n.to_owned(), s.clone()))).collect();
    columns.reverse();
    assert_eq!(
        model.has_seen(&Frame::new(columns).unwrap(), "y"),
        Some(1.0)
    );
    assert_eq!(model.has_seen(&frame.take(&[1; 50]), "y"), None);
    // So are rows with a column more, without one that says nothing of them, and with the target under another name.
    let mut columns: Vec<_> = (taken.columns())
        .filter(|(n, _)| *n != "at")
        .map(|(n, s)| match n {
            "bought" => ("reward".to_owned(), s.clone()),
            n => (n.to_owned(), s.clone()),
        })
        .collect();
    let more = (0..3_000).map(f64::from).collect();
    columns.push(("written_at".to_owned(), Series::Numbers(more)));
    let other = Frame::new(columns).unwrap();
    assert_eq!(model.has_seen(&other, "reward"), Some(1.0));
    let names: Vec<&str> = other.names().iter().map(String::as_str).collect();
    assert!(!names.contains(&"at") && !names.contains(&"bought"));
}

#[test]
fn kept_models_that_were_damaged_or_are_newer_are_refused() {
    let frame = table(300, 23);
    let text = fit_all(&frame, &settings(Task::Binary, Kind::Glm))
        .unwrap()
        .encode()
        .unwrap();
    let newer = text.replacen("\"format\": 1", "\"format\": 3", 1);
    assert!(
        Kept::decode(&newer)
            .unwrap_err()
            .to_string()
            .contains("newer program")
    );
    assert!(Kept::decode("{}").is_err() && Kept::decode("").is_err());
    let mut value: serde_json::Value = serde_json::from_str(&text).unwrap();
    value["body"]["glm"]["terms"].as_array_mut().unwrap().pop();
    let words = Kept::decode(&value.to_string()).unwrap_err().to_string();
    assert!(words.contains("terms"), "{words}");
}

/// Users of two kinds, each of whom takes mostly items of its own kind.
fn taken(rows: usize, seed: u64) -> Frame {
    let mut random = Random::new(seed);
    let mut below = |n: u32| (random.uniform() * f64::from(n)) as u32;
    let (mut users, mut items, mut strengths, mut at) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for row in 0..rows {
        let user = below(120);
        let own = below(10) > 0;
        items.push(below(20) * 2 + u32::from((user % 2 == 0) == own));
        users.push(user);
        strengths.push(if row == 5 {
            f64::NAN
        } else {
            f64::from(1 + below(3))
        });
        at.push(row as f64);
    }
    let named = |codes: Vec<u32>, what: &str, n: u32| Series::Texts {
        codes,
        levels: (0..n).map(|i| format!("{what}{i}")).collect(),
    };
    Frame::new(vec![
        ("who".to_owned(), named(users, "u", 120)),
        ("what".to_owned(), named(items, "i", 40)),
        ("times".to_owned(), Series::Numbers(strengths)),
        ("at".to_owned(), Series::Numbers(at)),
    ])
    .unwrap()
}

fn tasting() -> TasteSettings {
    TasteSettings {
        user: "who".into(),
        item: "what".into(),
        strength: "times".into(),
        time: None,
        folds: 4,
        als: luopan_learning::als::Settings {
            factors: 4,
            regularization: 1.0,
            ..Default::default()
        },
    }
}

#[test]
fn what_users_take_is_learned_and_ranked_without_what_they_have() {
    let frame = taken(1_500, 1);
    for time in [None, Some("at".to_owned())] {
        let asked = TasteSettings { time, ..tasting() };
        let found = taste(&frame, &asked, &mut |_| ()).unwrap();
        let told = &found.evaluation;
        assert_eq!((found.rows, told.without_target), (1_499, 1));
        let mean = |name: &str| told.metrics[name].mean;
        // What everybody takes tells nothing here.
        assert!(
            mean("ndcg_10") > 1.3 * mean("popular_ndcg_10"),
            "{:?}",
            told.metrics
        );
        assert_eq!(told.flags, Vec::<String>::new());
    }
    let found = taste(&frame, &tasting(), &mut |_| ()).unwrap().taste;
    let bytes = found.encode();
    let again = Taste::decode(&bytes).unwrap();
    assert_eq!((again.size(), again.user_column()), ((120, 40), "who"));
    assert_eq!(again.encode(), bytes);
    let users: Vec<String> = ["u4", "stranger", "u7"].map(String::from).to_vec();
    let best = again.recommend(&users, 5).unwrap();
    assert_eq!(best, found.recommend(&users, 5).unwrap());
    assert_eq!(best[1], None);
    let has = |user: &str, item: &str| {
        (0..frame.rows()).any(|r| {
            let text = |name: &str| frame.get(name).unwrap().text(r);
            text("who").as_deref() == Some(user)
                && text("what").as_deref() == Some(item)
                && text("times").is_some()
        })
    };
    for (user, best) in users.iter().zip(&best) {
        for (item, _) in best.iter().flatten() {
            assert!(!has(user, item), "{user} has {item}");
        }
    }
    for end in [0, 1, bytes.len() / 2, bytes.len() - 1] {
        assert!(Taste::decode(&bytes[..end]).is_err(), "{end}");
    }
    let words = |change: &dyn Fn(&mut TasteSettings)| {
        let mut asked = tasting();
        change(&mut asked);
        taste(&frame, &asked, &mut |_| ()).unwrap_err().to_string()
    };
    assert!(words(&|s| s.user = "whom".into()).contains("no column `whom`"));
    assert!(words(&|s| s.strength = "what".into()).contains("holds texts"));
    assert!(words(&|s| s.folds = 0).contains("folds is 0"));
    assert!(words(&|s| s.als.factors = 0).contains("factors"));
}

/// Models of this format are read by every later program. `LUOPAN_BLESS=1` writes them anew, before the first release alone.
#[test]
fn golden_files_of_format_1_are_read() {
    let frame = table(200, 31);
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tabular");
    let models = [
        ("gbdt", settings(Task::Multiclass, Kind::Gbdt)),
        ("glm", settings(Task::Poisson, Kind::Glm)),
        ("scorecard", settings(Task::Binary, Kind::Scorecard)),
    ];
    let factors = format!("{folder}/factors-1.bin");
    if std::env::var_os("LUOPAN_BLESS").is_some() {
        for (name, mut asked) in models.clone() {
            asked.gbdt.rounds = 3;
            let text = fit_all(&frame, &asked).unwrap().encode().unwrap();
            std::fs::write(format!("{folder}/{name}-1.json"), text).unwrap();
        }
        let found = taste(&taken(300, 3), &tasting(), &mut |_| ())
            .unwrap()
            .taste;
        std::fs::write(&factors, found.encode()).unwrap();
    }
    for (name, asked) in models {
        let text = std::fs::read_to_string(format!("{folder}/{name}-1.json")).unwrap();
        let model = Kept::decode(&text).unwrap();
        assert_eq!(model.encode().unwrap(), text, "{name}");
        assert_eq!((model.task(), model.kind()), (asked.task, asked.model));
        let found = model.predict(&frame).unwrap();
        assert!(found.values.iter().all(|v| v.is_finite()), "{name}");
        assert_eq!(model.has_seen(&frame, "y"), Some(1.0), "{name}");
    }
    let bytes = std::fs::read(factors).unwrap();
    let kept = Taste::decode(&bytes).unwrap();
    assert_eq!(kept.encode(), bytes);
    assert_eq!(
        kept.recommend(&["u1".to_owned()], 3).unwrap()[0]
            .as_ref()
            .unwrap()
            .len(),
        3
    );
}

/// Format 2 is of models with a calibration.
#[test]
fn golden_files_of_format_2_are_read() {
    let frame = table(200, 31);
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tabular");
    for (name, calibration) in [
        ("isotonic", Calibration::Isotonic),
        ("platt", Calibration::Platt),
    ] {
        let path = format!("{folder}/{name}-2.json");
        if std::env::var_os("LUOPAN_BLESS").is_some() {
            let asked = Settings {
                calibration: Some(calibration),
                ..settings(Task::Binary, Kind::Glm)
            };
            let text = trained(&frame, &asked).model.encode().unwrap();
            std::fs::write(&path, text).unwrap();
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let model = Kept::decode(&text).unwrap();
        assert_eq!(model.encode().unwrap(), text, "{name}");
        let found = model.predict(&frame).unwrap().values;
        assert!(found.iter().all(|v| (0.0..=1.0).contains(v)), "{name}");
    }
}

proptest! {
    /// Whatever the folds and the seed: every row is judged once, and a model kept is the same for the same seed.
    #[test]
    fn rows_are_judged_once(rows in 40usize..120, folds in 2usize..7, seed in 0u64..1_000) {
        let frame = table(rows, seed);
        let mut asked = settings(Task::Regression, Kind::Glm);
        asked.folds = folds;
        asked.seed = seed;
        let told = trained(&frame, &asked).evaluation;
        prop_assert_eq!(told.judged, rows);
        prop_assert_eq!(told.stability.iter().map(|p| p.rows).sum::<usize>(), rows);
        let sizes: Vec<_> = told.stability.iter().map(|p| p.rows).collect();
        prop_assert!(sizes.iter().max().unwrap() - sizes.iter().min().unwrap() <= 1);
    }
}
