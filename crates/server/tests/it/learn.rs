//! `luopan learn`, by running the program.

use crate::command_line::{applied, luopan};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use std::collections::BTreeMap;
use std::path::Path;

type Rows = Vec<BTreeMap<String, Field>>;

fn read(path: &Path) -> (Rows, BTreeMap<String, String>) {
    let file = std::fs::File::open(path).expect("the file");
    let reader = SerializedFileReader::new(file).expect("Parquet");
    let rows = (reader.get_row_iter(None).expect("rows"))
        .map(|row| row.expect("a row").into_columns().into_iter().collect())
        .collect();
    let notes = reader.metadata().file_metadata().key_value_metadata();
    let notes = (notes.into_iter().flatten())
        .map(|pair| (pair.key.clone(), pair.value.clone().unwrap_or_default()))
        .collect();
    (rows, notes)
}

#[test]
fn decisions_are_written_as_a_training_set() {
    let data = applied();
    let at = |name: &str| data.path().join(name).display().to_string();
    let rows = "c0,Shanghai,true,12.50\nc1,Shanghai,true,12.50\nc2,Shanghai,true,12.50\nc3,Shanghai,true,12.50\n";
    std::fs::write(at("customers.csv"), format!("id,city,vip,spent\n{rows}")).expect("customers");
    let import = [
        "import",
        "--scene",
        "shop",
        "--into",
        "customers",
        "--mapping",
        "customers",
        &at("customers.csv"),
    ];
    luopan(data.path(), &import).ok();
    for customer in ["c0", "c1", "c2", "c3", "nobody"] {
        let decide = [
            "decide",
            "--scene",
            "shop",
            "--policy",
            "drawn",
            "--customer",
            customer,
        ];
        luopan(data.path(), &decide).ok();
    }
    let (one, two) = (at("one.parquet"), at("two.parquet"));
    let learn = |output: &str, more: &[&str]| {
        let words = [
            "--format", "json", "learn", "dataset", "--scene", "shop", "--output", output,
        ];
        luopan(data.path(), &[&words[..], more].concat())
    };
    let refused = learn(&at("one.csv"), &["--policy", "drawn"]);
    assert!(
        refused.err.contains("write a name that ends in .parquet"),
        "{}",
        refused.err
    );
    assert!(!Path::new(&at("one.csv")).exists());
    let said = learn(&one, &["--policy", "drawn"]).json();
    let (rows, notes) = read(Path::new(&one));
    assert_eq!(said["rows"], rows.len());
    assert_eq!((rows.len(), &said["decisions"]), (5, &5.into()));
    assert!(said["compared"].as_u64() > Some(0), "{said}");
    assert_eq!(notes["luopan.policy"], "drawn");
    let mut known = 0;
    for row in &rows {
        let (Field::Double(p), Field::Double(w)) =
            (&row["decision.propensity"], &row["decision.weight"])
        else {
            panic!("{row:?}")
        };
        let price = match &row["decision.arm"] {
            Field::Str(arm) if arm == "tea" => 10,
            Field::Str(arm) if arm == "silk" => 200,
            Field::Str(arm) if arm == "jade" => 5_000,
            other => panic!("{other:?}"),
        };
        assert_eq!(row["item.price"], Field::Long(price));
        let city = match &row["spent_before"] {
            Field::Long(1_250) => Field::Str("Shanghai".to_owned()),
            Field::Null => Field::Null,
            other => panic!("{other:?}"),
        };
        assert_eq!(row["city"], city);
        known += u32::from(city != Field::Null);
        assert!(*p > 0.0 && (p * w - 1.0).abs() < 1e-12);
        assert!(matches!(&row["decision.customer"], Field::Str(id) if id.len() == 36));
    }
    assert_eq!(known, 4);
    // The same log gives the same file.
    let again = learn(&two, &["--policy", "drawn"]).json();
    assert_eq!(said["sha256"], again["sha256"]);
    assert_eq!(
        std::fs::read(&one).expect("one"),
        std::fs::read(&two).expect("two")
    );
    let later = ["--policy", "drawn", "--from", "2100-01-01T00:00:00Z"];
    let none = learn(&at("none.parquet"), &later).json();
    assert_eq!(
        (&none["rows"], &none["skipped"]["outside_the_time"]),
        (&0.into(), &5.into())
    );
    let refused = learn(&at("three.parquet"), &["--policy", "drawns"]);
    assert!(refused.err.contains("`drawn`"), "{}", refused.err);
    assert!(!Path::new(&at("three.parquet")).exists());
}

/// A table of logged decisions as a file: an action drawn with known probabilities, and a reward that depends on both.
fn logs(path: &Path, rows: usize) -> f64 {
    let mut text = "action,propensity,reward,x,at\n".to_owned();
    let mut state = 7u64;
    let mut draw = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1u64 << 53) as f64
    };
    let mut sum = 0.0;
    for row in 0..rows {
        let x = draw();
        let (action, propensity) = if draw() < 0.75 {
            ("a", 0.75)
        } else {
            ("b", 0.25)
        };
        // `b` is better for those above a half.
        let rate = if action == "b" { 0.1 + 0.6 * x } else { 0.4 };
        let reward = u32::from(draw() < rate);
        sum += 0.1 + 0.6 * x;
        text.push_str(&format!("{action},{propensity},{reward},{x:.6},{row}\n"));
    }
    std::fs::write(path, text).expect("logs");
    sum / rows as f64
}

#[test]
fn a_model_is_trained_predicts_and_is_worth_what_logs_say() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name).display().to_string();
    let truth = logs(Path::new(&at("logs.csv")), 6_000);
    let learn = |words: &[&str]| {
        luopan(
            folder.path(),
            &[&["--format", "json", "learn"], words].concat(),
        )
    };
    let columns = [
        "--action",
        "action",
        "--propensity",
        "propensity",
        "--reward",
        "reward",
    ];
    let evaluate = |words: &[&str]| {
        learn(
            &[
                &["evaluate", "--logs", &at("logs.csv")],
                &columns[..],
                words,
            ]
            .concat(),
        )
    };
    // What always doing `b` is worth is known, and lies in the interval of each estimator that is not biased.
    let said = evaluate(&["--policy", "always:b"]).json();
    assert_eq!(
        (&said["rows"], &said["actions"][1]),
        (&6_000.into(), &"b".into())
    );
    for estimate in said["candidate"]["estimates"]
        .as_array()
        .expect("estimates")
    {
        if ["dm", "switch-dr"].contains(&estimate["estimator"].as_str().expect("a name")) {
            assert_eq!(estimate["lower"], serde_json::Value::Null);
            continue;
        }
        let number = |name: &str| estimate[name].as_f64().expect("a number");
        assert!(
            number("lower") <= truth && truth <= number("upper"),
            "{truth}: {estimate}"
        );
    }
    // A model of the reward, from earlier rows.
    let text = std::fs::read_to_string(at("logs.csv")).expect("logs");
    let (earlier, later) =
        text.split_at(text.len() / 2 + text[text.len() / 2..].find('\n').expect("a line") + 1);
    std::fs::write(at("earlier.csv"), earlier).expect("earlier");
    let header = earlier.lines().next().expect("a header");
    std::fs::write(at("later.csv"), format!("{header}\n{later}")).expect("later");
    let train = |out: &str, more: &[&str]| {
        let words = [
            "train",
            "--input",
            &at("earlier.csv"),
            "--target",
            "reward",
            "--task",
            "binary",
            "--out",
            out,
        ];
        learn(&[&words[..], more].concat())
    };
    let said = train(
        &at("model"),
        &["--exclude", "propensity,at", "--rounds", "40"],
    )
    .json();
    assert_eq!(
        (&said["model"], &said["features"]),
        (&"gbdt".into(), &2.into())
    );
    assert_eq!(said["rows"], earlier.lines().count() - 1);
    let auc = &said["metrics"]["auc"];
    assert!(auc["mean"].as_f64() > Some(0.55), "{auc}");
    assert_eq!(auc["folds"].as_array().map(Vec::len), Some(5));
    assert!(said["cpu_seconds"].as_f64() > Some(0.0));
    for name in ["model.json", "model.txt", "report.json", "report.html"] {
        assert!(folder.path().join("model").join(name).exists(), "{name}");
    }
    let output = at("scored.parquet");
    let predict = [
        "predict",
        "--model",
        &at("model"),
        "--input",
        &at("logs.csv"),
        "--output",
        &output,
        "--keep",
        "at",
    ];
    assert_eq!(learn(&predict).json()["rows"], 6_000);
    let (rows, _) = read(Path::new(&output));
    assert_eq!(rows[17]["at"], Field::Double(17.0));
    assert!(matches!(rows[17]["prediction"], Field::Double(p) if p > 0.0 && p < 1.0));
    // What acting by it is worth is told by rows that it has not seen, and by no others.
    let policy = format!("{}@greedy", at("model"));
    let promoted = |logs: &str, policy: &str, champion: &str| {
        let words = [
            "evaluate",
            "--logs",
            logs,
            "--policy",
            policy,
            "--champion",
            champion,
        ];
        let more = ["--predictions", "gbdt", "--exclude", "at"];
        learn(&[&words[..], &columns[..], &more[..]].concat())
    };
    let said = promoted(&at("later.csv"), &policy, "logged").json();
    assert_eq!(said["comparison"]["promoted"], true, "{said}");
    assert_eq!(said["candidate"]["warnings"], serde_json::json!([]));
    let seen = promoted(&at("earlier.csv"), &policy, "logged");
    assert_eq!(seen.code, 1, "{}", seen.err);
    assert!(
        seen.out.contains("learned from 100 % of these rows"),
        "{}",
        seen.out
    );
    // What is worse is refused, with an exit code that says so and the numbers.
    let worse = promoted(&at("later.csv"), "always:a", &policy);
    assert_eq!(worse.code, 1, "{}", worse.err);
    assert!(
        worse
            .out
            .contains("lower bound of candidate minus champion"),
        "{}",
        worse.out
    );
}

#[test]
fn factors_are_trained_and_rank_what_users_have_not_taken() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name).display().to_string();
    let mut text = "who,what,times\n".to_owned();
    for row in 0..900u32 {
        let (user, draw) = (row * 7 % 60, row * row * 31 % 97);
        text.push_str(&format!(
            "u{user},i{},{}\n",
            draw % 15 * 2 + user % 2,
            1 + row % 3
        ));
    }
    std::fs::write(at("taken.csv"), text).expect("taken");
    std::fs::write(at("asked.csv"), "who\nu3\nstranger\nu3\nu8\n").expect("asked");
    let learn = |words: &[&str]| {
        luopan(
            folder.path(),
            &[&["--format", "json", "learn"], words].concat(),
        )
    };
    let train = |more: &[&str]| {
        let words = [
            "train",
            "--input",
            &at("taken.csv"),
            "--model",
            "als",
            "--target",
            "times",
            "--out",
            &at("model"),
        ];
        learn(&[&words[..], more].concat())
    };
    let said = train(&[
        "--user",
        "who",
        "--item",
        "what",
        "--factors",
        "4",
        "--folds",
        "3",
    ])
    .json();
    assert_eq!(
        (&said["model"], &said["users"], &said["rows"]),
        (&"als".into(), &60.into(), &900.into())
    );
    let mean = |name: &str| said["metrics"][name]["mean"].as_f64().expect("a figure");
    assert!(mean("ndcg_10") > mean("popular_ndcg_10"), "{said}");
    let page = std::fs::read_to_string(at("model/report.html")).expect("a page");
    assert!(page.contains("popular_ndcg_10") && page.contains("60 users"));
    let output = at("best.parquet");
    let predict = [
        "predict",
        "--model",
        &at("model"),
        "--input",
        &at("asked.csv"),
        "--output",
        &output,
        "--top",
        "4",
    ];
    let told = learn(&predict).json();
    assert_eq!(
        (&told["users"], &told["unseen"], &told["rows"]),
        (&2.into(), &1.into(), &8.into())
    );
    let (rows, _) = read(Path::new(&output));
    assert_eq!(rows[0]["who"], Field::Str("u3".into()));
    assert_eq!(rows[3]["rank"], Field::Double(4.0));
    assert!(train(&[]).err.contains("--user COLUMN --item COLUMN"));
    // A table's model in the same folder takes their place.
    let words = [
        "train",
        "--input",
        &at("taken.csv"),
        "--task",
        "regression",
        "--target",
        "times",
        "--out",
        &at("model"),
        "--rounds",
        "5",
    ];
    learn(&words).json();
    assert!(!Path::new(&at("model/model.bin")).exists());
}

#[test]
fn what_cannot_be_learned_or_evaluated_is_said_and_nothing_is_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name).display().to_string();
    logs(Path::new(&at("logs.csv")), 200);
    let text = std::fs::read_to_string(at("logs.csv")).expect("logs");
    std::fs::write(at("zero.csv"), text.replacen("0.75", "0", 1)).expect("logs");
    std::fs::write(at("torn.csv"), format!("{text}a,0.5\n")).expect("logs");
    let learn = |words: &[&str]| luopan(folder.path(), &[&["learn"], words].concat());
    let train = |input: &str, more: &[&str]| {
        let words = [
            "train",
            "--input",
            &at(input),
            "--task",
            "binary",
            "--out",
            &at("model"),
        ];
        learn(&[&words[..], more].concat())
    };
    let evaluate = |input: &str, more: &[&str]| {
        let words = [
            "evaluate",
            "--logs",
            &at(input),
            "--action",
            "action",
            "--reward",
            "reward",
        ];
        learn(&[&words[..], more].concat())
    };
    let propensity = ["--propensity", "propensity", "--policy", "uniform"];
    let cases = [
        (
            train("logs.csv", &["--target", "rewrd"]),
            "did you mean `reward`?",
        ),
        (
            train("logs.csv", &["--target", "action", "--task", "regression"]),
            "cannot be used multiple times",
        ),
        (train("none.csv", &["--target", "reward"]), "none.csv"),
        (train("torn.csv", &["--target", "reward"]), "has 2 cells"),
        (
            train("logs.csv", &["--target", "reward", "--monotone", "x"]),
            "COLUMN:+",
        ),
        (
            evaluate("logs.csv", &["--policy", "uniform"]),
            "--propensity",
        ),
        (evaluate("zero.csv", &propensity), "the propensity is 0"),
        (
            evaluate(
                "logs.csv",
                &["--propensity", "propensity", "--policy", "always:c"],
            ),
            "was never logged",
        ),
        (
            evaluate(
                "logs.csv",
                &["--propensity", "propensity", "--policy", "unform"],
            ),
            "did you mean `uniform`?",
        ),
        (
            evaluate(
                "logs.csv",
                &[&propensity[..], &["--interval", "bernstein"]].concat(),
            ),
            "--reward-range",
        ),
        (
            train("logs.csv", &["--target", "reward", "--exclude", "reward"]),
            "excluded and named as the target",
        ),
        (
            train(
                "logs.csv",
                &["--target", "reward", "--time-column", "action"],
            ),
            "is no time like the others",
        ),
    ];
    for (ran, words) in cases {
        assert!(
            ran.code != 0 && ran.err.contains(words),
            "{words}: {} {}",
            ran.code,
            ran.err
        );
    }
    let empty = std::fs::read_dir(folder.path().join("model")).map_or(0, Iterator::count);
    assert_eq!(empty, 0, "a folder without a file");
}

#[test]
fn who_gets_what_is_said_with_how_far_from_the_best_it_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name).display().to_string();
    let mut text = "customer,action,margin,visits,cost,note\n".to_owned();
    for i in 0..200 {
        let (a, b) = (f64::from(i * 7 % 50) / 10.0, f64::from(i * 11 % 40) / 2.0);
        text.push_str(&format!("0{i},text,{a},1,1,x\n0{i},call,{b},2,5,y\n"));
    }
    std::fs::write(at("offers.csv"), text).expect("offers");
    let learn = |more: &[&str]| {
        let input = at("offers.csv");
        let words = ["learn", "allocate", "--input", &input];
        luopan(folder.path(), &[&words[..], more].concat())
    };
    let (out, csv) = (at("given.parquet"), at("given.csv"));
    let said = learn(&[
        "--format",
        "json",
        "--value",
        "margin",
        "--value",
        "visits=0.5",
        "--budget",
        "cost=300",
        "--cap",
        "call=40",
        "--floor",
        "visits=100",
        "--curve",
        "5",
        "--output",
        &out,
    ])
    .json();
    let spent = said["budgets"][0]["reached"].as_f64().expect("spent");
    assert!(spent <= 300.0 && spent > 290.0, "{said}");
    assert!(said["caps"][0]["reached"].as_f64() <= Some(40.0), "{said}");
    assert!(
        said["objectives"][1]["reached"].as_f64() >= Some(100.0),
        "{said}"
    );
    let (value, bound) = (&said["value"], &said["bound"]);
    assert!(value.as_f64() <= bound.as_f64(), "{said}");
    assert!(said["relative_gap"].as_f64() < Some(0.02), "{said}");
    assert_eq!(said["curve"].as_array().map(Vec::len), Some(5));
    let (rows, _) = read(Path::new(&out));
    assert_eq!(said["given"], rows.len());
    let mut total = 0.0;
    for row in &rows {
        let (Field::Double(margin), Field::Double(visits), Field::Str(who)) =
            (&row["margin"], &row["visits"], &row["customer"])
        else {
            panic!("{row:?}")
        };
        total += margin + 0.5 * visits;
        assert!(who.starts_with('0') && row.contains_key("note"), "{row:?}");
    }
    assert!((total - value.as_f64().expect("a value")).abs() < 1e-6);
    let plain = [
        "--value", "margin", "--budget", "cost=300", "--output", &csv,
    ];
    let told = learn(&plain);
    let told = told.ok();
    assert!(
        told.contains("price of a unit") && told.contains("200 customers"),
        "{told}"
    );
    for (more, word) in [
        (&["--value", "margin", "--budget", "cost"][..], "cost=50000"),
        (&["--value", "margins"], "there is no column `margins`"),
        (
            &["--value", "margin", "--floor", "visits=1"],
            "--value visits=0",
        ),
        (
            &["--value", "margin", "--cap", "visit=3"],
            "no row has the action `visit`, which a cap names",
        ),
        (
            &[
                "--value",
                "margin",
                "--value",
                "visits=0",
                "--floor",
                "visits=390",
                "--budget",
                "cost=300",
            ],
            "limits conflict",
        ),
    ] {
        let output = at("none.parquet");
        let refused = learn(&[more, &["--output", &output]].concat());
        assert!(
            refused.code != 0 && refused.err.contains(word),
            "{}",
            refused.err
        );
        assert!(!Path::new(&output).exists());
    }
}

#[test]
fn a_trial_an_audience_and_purchases_are_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name).display().to_string();
    let run = |words: &[&str]| luopan(folder.path(), words);
    let mut state = 11u64;
    let mut draw = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1u64 << 53) as f64
    };
    // Mail moves those whose `x` is above a half, by three tenths.
    let mut text = "who,segment,visit,x,y\n".to_owned();
    for who in 0..6_000 {
        let (x, y) = (draw(), draw());
        let is_mailed = draw() < 0.5;
        let moved = if is_mailed && x > 0.5 { 0.3 } else { 0.0 };
        let visit = u32::from(draw() < 0.2 + moved);
        let arm = if is_mailed { "mail" } else { "none" };
        text.push_str(&format!("{who},{arm},{visit},{x:.4},{y:.4}\n"));
    }
    let (trial, effects) = (at("trial.csv"), at("effects.parquet"));
    std::fs::write(&trial, text).expect("the trial");
    let uplift = |control: &str, more: &[&str]| {
        let words = [
            "--format",
            "json",
            "learn",
            "uplift",
            "--input",
            &trial,
            "--target",
            "visit",
            "--treatment",
            "segment",
            "--control",
            control,
            "--exclude",
            "who",
            "--resamples",
            "200",
        ];
        run(&[&words[..], more].concat())
    };
    let others = at("others.csv");
    std::fs::write(&others, "who,x,y\n1,0.9,0.5\n2,0.1,0.5\n").expect("others");
    let said = uplift(
        "none",
        &[
            "--value",
            "1",
            "--cost",
            "mail=0.1",
            "--predict",
            &others,
            "--keep",
            "who",
            "--output",
            &effects,
        ],
    )
    .json();
    let effect = |v: &serde_json::Value| v.as_f64().expect("a number");
    let found = &said["treatments"][0];
    assert!(
        (effect(&found["measures"]["effect"]) - 0.15).abs() < 0.04,
        "{said}"
    );
    assert!(
        effect(&found["intervals"]["qini_area"]["lower"]) > 0.0,
        "{said}"
    );
    let best = said["targeting"]["best"].as_u64().expect("a place") as usize;
    let share = effect(&said["targeting"]["curve"][best]["share"]);
    assert!((share - 0.5).abs() < 0.2, "{share}");
    let (rows, _) = read(Path::new(&effects));
    let of = |i: usize| match &rows[i]["effect.mail"] {
        Field::Double(v) => *v,
        other => panic!("{other:?}"),
    };
    assert!(of(0) > 0.15 && of(1) < 0.15, "{rows:?}");
    assert_eq!(rows[0]["best"], Field::Str("mail".to_owned()));
    let refused = uplift("nobody", &[]);
    assert!(refused.err.contains("nobody"), "{}", refused.err);

    // The score picks those of `x` above .7 who have a `y` below .4.
    let mut text = "who,x,y,z,score\n".to_owned();
    for who in 0..4_000 {
        let (x, y, z) = (draw(), draw(), draw());
        let score = if x >= 0.7 && y < 0.4 { 0.8 } else { 0.1 } + 0.1 * z;
        text.push_str(&format!("{who},{x:.3},{y:.3},{z:.3},{score:.4}\n"));
    }
    let scored = at("scored.csv");
    std::fs::write(&scored, text).expect("scores");
    let audience = |more: &[&str]| {
        let words = [
            "learn", "audience", "--input", &scored, "--score", "score", "--id", "who",
        ];
        run(&[&words[..], more].concat())
    };
    let told = audience(&["--above", "0.5", "--format", "json"]).json();
    let rule = told["segment"].as_str().expect("a segment");
    assert!(
        rule.contains("x >= 0.7") && rule.contains("y < 0.4"),
        "{rule}"
    );
    assert!(
        effect(&told["held_out"]["fidelity"]["share"]) > 0.99,
        "{told}"
    );
    let words = audience(&["--top", "0.1"]);
    assert!(words.ok().contains("as a segment of a scene"));
    assert!(audience(&[]).err.contains("--above SCORE"));

    // Saved as a segment of a pack, and in force at once.
    let pack = folder.path().join("pack");
    std::fs::create_dir(&pack).expect("a folder");
    let scene = "scene: small\nzone: UTC\ncustomer:\n  x: {type: number}\n  y: {type: number}\n  z: {type: number}\nevents:\n  visit: {}\nsegments:\n  by_hand: x > 0.5\n";
    std::fs::write(pack.join("scene.yaml"), scene).expect("the pack");
    let pack_of = pack.display().to_string();
    let save = |name: &str, more: &[&str]| {
        let words = ["--above", "0.5", "--pack", &pack_of, "--segment", name];
        audience(&[&words[..], more].concat())
    };
    let file = pack.join("segments/likely.yaml");
    // A pack that is not applied, or differs by more, is applied by its own command first.
    let early = save("likely", &[]);
    assert!(early.code != 0 && !file.exists(), "{}", early.err);
    run(&["scene", "apply", &pack_of]).ok();
    std::fs::write(
        pack.join("scene.yaml"),
        format!("{scene}  by_hand_too: x > 0.6\n"),
    )
    .expect("the pack");
    let early = save("likely", &[]);
    assert!(
        early.code != 0 && early.err.contains("by_hand_too"),
        "{}",
        early.err
    );
    assert!(!file.exists());
    std::fs::write(pack.join("scene.yaml"), scene).expect("the pack");
    let told = save("likely", &["--format", "json"]).json();
    assert_eq!(told["saved"]["version"], 2, "{told}");
    let text = std::fs::read_to_string(&file).expect("the segment's file");
    assert!(text.contains(rule) && text.contains("purity"), "{text}");
    let listed = run(&["--format", "json", "scene", "list"]).json();
    assert_eq!(
        listed["scenes"][0]["segments"],
        serde_json::json!(["by_hand", "likely"])
    );
    for (name, more, word) in [
        ("likely", &[][..], "--replace"),
        ("by_hand", &["--replace"], "another file"),
        ("unlikely", &["--replace"], "leave --replace out"),
        ("../likely", &[], "small letters"),
    ] {
        let refused = save(name, more);
        assert!(
            refused.code != 0 && refused.err.contains(word),
            "{}",
            refused.err
        );
        assert_eq!(std::fs::read_to_string(&file).expect("the file"), text);
    }
    let words = save(
        "likely",
        &[
            "--replace",
            "--rules",
            "1",
            "--conditions",
            "1",
            "--purity",
            "0.1",
            "--mistake-cost",
            "0.1",
        ],
    );
    assert!(
        words.ok().contains("applied as version 3"),
        "{}",
        words.ok()
    );
    assert_ne!(std::fs::read_to_string(&file).expect("the file"), text);
    // The pack has no tag of that name: nothing of the segment is left behind.
    std::fs::write(
        pack.join("scene.yaml"),
        scene.replace("  y: {type: number}\n", ""),
    )
    .expect("the pack");
    std::fs::remove_file(&file).expect("the file");
    let refused = save("likely", &[]);
    assert!(
        refused.code != 0 && refused.err.contains("`y`"),
        "{}",
        refused.err
    );
    assert!(!file.exists());

    // Half of the customers buy until the end, half stopped in the first weeks; some come every few days and some
    // every few months.
    let mut text = "customer,at,paid\n".to_owned();
    for who in 0..300u32 {
        let until = if who % 2 == 0 {
            300.0
        } else {
            40.0 + 60.0 * draw()
        };
        let mut day = 20.0 * draw();
        let mean = 5.0 + 40.0 * draw();
        let gap = 4.0 + 80.0 * draw() * draw();
        while day < until {
            let on = 1 + day as u32;
            let (month, on) = ((on - 1) / 28, (on - 1) % 28 + 1);
            let paid = mean * (0.5 + draw());
            text.push_str(&format!("{who},2025-{:02}-{on:02},{paid:.2}\n", month + 1));
            day += 1.0 - gap * (1.0 - draw()).ln();
        }
    }
    let purchases = at("purchases.csv");
    std::fs::write(&purchases, text).expect("purchases");
    let (out, csv) = (at("value.parquet"), at("value.csv"));
    let value = |more: &[&str]| {
        let words = [
            "learn",
            "value",
            "--input",
            &purchases,
            "--holdout",
            "8w",
            "--horizon",
            "8",
        ];
        run(&[&words[..], more].concat())
    };
    let said = value(&[
        "--amount", "paid", "--format", "json", "--output", &out, "--draws", "50",
    ])
    .json();
    assert_eq!(said["customers"], 300);
    assert!(
        effect(&said["bg_nbd"]["alpha"]["standard_error"]) > 0.0,
        "{said}"
    );
    let gone = &said["judged"]["churn"];
    assert!(effect(&gone["silent_of_gone"]["share"]) > 0.95, "{said}");
    assert!(effect(&gone["silent_of_others"]["share"]) < 0.3, "{said}");
    let (rows, _) = read(Path::new(&out));
    assert_eq!(rows.len(), 300);
    for row in &rows {
        let number = |name: &str| match &row[name] {
            Field::Double(v) => *v,
            other => panic!("{name}: {other:?}"),
        };
        assert!((0.0..=1.0).contains(&number("alive")));
        let (low, high) = (
            number("lifetime_value.lower"),
            number("lifetime_value.upper"),
        );
        assert!(
            low <= number("lifetime_value") && number("lifetime_value") <= high * 1.001,
            "{row:?}"
        );
    }
    let told = value(&["--output", &csv, "--draws", "0"]);
    assert!(told.ok().contains("count as gone"));
    assert!(
        value(&["--amount", "payed"])
            .err
            .contains("there is no column `payed`")
    );
    assert!(value(&["--holdout", "0d"]).code == 2);
}

#[test]
fn what_a_model_makes_of_its_features_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name).display().to_string();
    let run = |words: &[&str]| luopan(folder.path(), &[&["learn"], words].concat());
    let write = |name: &str, rows: std::ops::Range<u32>| {
        let mut text = "age,limit,city,paid,bought\n".to_owned();
        for i in rows {
            let (age, limit) = (20 + i * 7 % 50, i * 13 % 97);
            let city = ["Beijing", "Chengdu", ""][(i * 5 % 3) as usize];
            let bought = u32::from(age + limit > 60 + i * 11 % 40);
            text.push_str(&format!("{age},{limit},{city},{},{bought}\n", i % 9));
        }
        std::fs::write(at(name), text).expect("a table");
    };
    write("seen.csv", 0..1_500);
    write("fresh.csv", 1_500..2_500);
    let (seen, fresh) = (at("seen.csv"), at("fresh.csv"));
    for kind in ["gbdt", "glm", "scorecard"] {
        let model = at(kind);
        let train = [
            "train",
            "--input",
            &seen,
            "--target",
            "bought",
            "--task",
            "binary",
            "--model",
            kind,
            "--exclude",
            "paid",
            "--out",
            &model,
        ];
        run(&train).ok();
        let effects = |more: &[&str]| {
            let words = ["effects", "--model", &model, "--input", &fresh];
            run(&[&words[..], more].concat())
        };
        let out = at(&format!("{kind}-effects"));
        let told = effects(&[
            "--target",
            "bought",
            "--pairs",
            "age:limit",
            "--scale",
            "link",
            "--output",
            &out,
            "--format",
            "json",
        ])
        .json();
        assert_eq!(told["model"], kind);
        let unit = if kind == "scorecard" {
            "points"
        } else {
            "log odds"
        };
        assert_eq!(
            (&told["unit"], &told["scale"]),
            (&unit.into(), &"link".into())
        );
        let named = |of: &str| -> Vec<String> {
            let features = told[of].as_array().expect("features").iter();
            features
                .map(|f| f["feature"].as_str().expect("a name").to_owned())
                .collect()
        };
        assert!(
            named("features")[..2].contains(&"limit".to_owned()),
            "{told}"
        );
        assert_eq!(told["importance"]["features"][0]["feature"], "limit");
        assert!(
            told["importance"]["features"][0]["worse"].as_f64() > Some(0.1),
            "{told}"
        );
        assert_eq!(told["importance"]["learned_from"], 0.0);
        assert!(told["pairs"][0]["h"].is_number());
        let written = std::fs::read_to_string(Path::new(&out).join("effects.json"));
        let written: serde_json::Value = serde_json::from_str(&written.expect("a file")).unwrap();
        assert_eq!(written["features"], told["features"]);
        let page = std::fs::read_to_string(Path::new(&out).join("effects.html"));
        assert!(page.expect("a page").contains("Accumulated local effect"));
        let words = effects(&["--features", "age"]);
        assert!(words.ok().contains("by 1000 of 1000 rows"), "{}", words.out);
        let refused = effects(&["--features", "limt"]);
        assert!(
            refused.err.contains("did you mean `limit`?"),
            "{}",
            refused.err
        );
        let refused = effects(&["--pairs", "age:limitt"]);
        assert!(
            refused.err.contains("did you mean `limit`?"),
            "{}",
            refused.err
        );
        let refused = effects(&["--target", "bougth"]);
        assert!(
            refused.err.contains("did you mean `bought`?"),
            "{}",
            refused.err
        );
        let refused = effects(&["--metric", "auc"]);
        assert!(refused.err.contains("--target"), "{}", refused.err);
    }
    // Factors have no features; a newer model is refused by its format.
    std::fs::create_dir(at("taste")).expect("a folder");
    std::fs::write(at("taste/model.bin"), b"factors").expect("a file");
    let taste = at("taste");
    let refused = run(&["effects", "--model", &taste, "--input", &fresh]);
    assert!(
        refused.err.contains("als") && refused.err.contains("gbdt"),
        "{}",
        refused.err
    );
    std::fs::create_dir(at("newer")).expect("a folder");
    std::fs::write(at("newer/model.json"), r#"{"format":99}"#).expect("a file");
    let newer = at("newer");
    let refused = run(&["effects", "--model", &newer, "--input", &fresh]);
    assert!(refused.err.contains("format is 99"), "{}", refused.err);
}
