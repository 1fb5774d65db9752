//! What goes wrong with `luopan learn`, by running the program: it is said with what to write instead, and leaves nothing behind.

use crate::command_line::{Run, luopan};
use serde_json::Value;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A folder to run the program in.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn at(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// Runs `luopan learn` with words, of which those that begin with `@` are files of the folder.
    fn learn(&self, words: &str) -> Run {
        let words: Vec<String> = (words.split_whitespace())
            .map(|word| match word.strip_prefix('@') {
                Some(name) => self.at(name),
                None => word.to_owned(),
            })
            .collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        luopan(self.0.path(), &[&["learn"], &words[..]].concat())
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).expect("a file");
    }

    fn refused(&self, words: &str, said: &[&str]) {
        let ran = self.learn(words);
        assert_ne!(ran.code, 0, "{words}: {}", ran.out);
        for said in said {
            assert!(ran.err.contains(said), "{words}: {said}: {}", ran.err);
        }
    }

    /// Files and folders, by name.
    fn names(&self) -> Vec<String> {
        let files = std::fs::read_dir(self.0.path()).expect("the folder");
        let mut names: Vec<String> = files
            .map(|file| file.expect("a file").file_name().display().to_string())
            .filter(|name| name != "data")
            .collect();
        names.sort();
        names
    }
}

struct Draw(u64);

impl Draw {
    fn next(&mut self) -> f64 {
        self.0 = (self.0)
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// 600 customers of whom those of a high `x` answer.
fn answers() -> String {
    let mut draw = Draw(3);
    let mut text = "id,code,x,seen,city,y\n".to_owned();
    for row in 0..600 {
        let x = draw.next();
        let y = if draw.next() < 0.1 + 0.7 * x {
            "yes"
        } else {
            "no"
        };
        let city = ["north", "south"][row % 2];
        let day = row % 28 + 1;
        writeln!(
            text,
            "{},{:03},{x:.4},2026-01-{day:02} 08:30:00,{city},{y}",
            row + 1,
            row % 7
        )
        .expect("text");
    }
    text
}

#[test]
fn a_training_that_fails_leaves_nothing_and_flags_of_another_model_are_refused() {
    let place = Place::new();
    place.write("t.csv", &answers());
    place.write("torn.csv", &format!("{}1,2\n", answers()));
    let before = place.names();
    let train = "train --input @t.csv --target y --task binary --out @deep/er/model --exclude id";
    for (words, said) in [
        (train.replace("t.csv", "torn.csv"), &["has 2 cells"][..]),
        (train.replace("--target y", "--target yy"), &["no column `yy`"]),
        (format!("{train} --leaves 1"), &["--leaves is 1"]),
        (format!("{train} --model glm --rounds 5"), &["--rounds is for --model gbdt", "this is --model glm"]),
        (format!("{train} --model scorecard --alpha 1"), &["--alpha is for --model glm"]),
        (format!("{train} --alpha 1"), &["--alpha is for --model glm"]),
        (format!("{train} --model glm --valid-fraction 0.2"), &["--valid-fraction is for --model gbdt"]),
        (format!("{train} --factors 8"), &["--factors is for --model als"]),
        (format!("{train} --tweedie-power 1.2"), &["--tweedie-power is for --task tweedie"]),
        (
            "train --input @t.csv --target x --task regression --positive yes --out @deep/er/model".to_owned(),
            &["--positive is for --task binary"],
        ),
        (
            "train --input @t.csv --model als --user id --item city --target x --exclude code --out @deep/er/model".to_owned(),
            &["--exclude is for --model gbdt, glm and scorecard"],
        ),
        (
            "train --input @t.csv --model als --user id --item city --target x --confidence 0 --out @deep/er/model".to_owned(),
            &["--confidence is 0"],
        ),
    ] {
        place.refused(&words, said);
        assert_eq!(place.names(), before, "{words}");
    }
    for words in [
        "allocate --input @t.csv --customer id --action city --value x=1 --floor x=1000000 --output @new/o.parquet",
        "value --input @t.csv --customer id --time seen --amount city --holdout 1w --output @new/o.parquet",
        "lifetime --input @t.csv --customer id --step x --action city --propensity x --reward x --horizon 2 --output @new/o.csv",
    ] {
        assert_ne!(place.learn(words).code, 0, "{words}");
        assert_eq!(place.names(), before, "{words}");
    }
}

#[test]
fn what_is_trained_says_its_class_and_what_it_left_out_and_is_opened_as_it_was_written() {
    let place = Place::new();
    place.write("t.csv", &answers());
    let trained = place.learn(
        "train --input @t.csv --target y --task binary --out @card --exclude id --model scorecard",
    );
    let said = trained.ok();
    assert!(
        said.contains("scorecard for binary of `y` = yes, 600 rows"),
        "{said}"
    );
    assert!(
        said.contains("left out: `seen`: times, which are no names"),
        "{said}"
    );
    let report = std::fs::read_to_string(place.path("card/report.json")).expect("the report");
    let report: Value = serde_json::from_str(&report).expect("the report");
    let bins = report["card"][0]["bins"].as_array().expect("bins");
    assert!(
        report["card"][0]["feature"] == "x" && bins.len() > 2,
        "{report}"
    );
    let page = std::fs::read_to_string(place.path("card/report.html")).expect("the page");
    assert!(
        page.contains("<h2>Scorecard</h2>") && page.contains(bins[0]["values"].as_str().unwrap())
    );
    // Named, its texts are learned from.
    let named = place.learn("train --input @t.csv --target y --task binary --out @named --exclude id --categorical seen");
    assert!(!named.ok().contains("left out: `seen`"), "{}", named.out);

    let model = std::fs::read_to_string(place.path("card/model.json")).expect("the model");
    let (_, rest) = model.split_once("\",\n").expect("the line of the SHA-256");
    let predict = "predict --model @card --input @t.csv --output @p.csv";
    for (text, is_read) in [
        (model.clone(), true),
        // Of before models had one.
        (format!("{{\n{rest}"), true),
        (model.replacen("\"rows\": 600", "\"rows\": 601", 1), false),
        (
            model.replacen("\"sha256\": \"", "\"sha256\": \"0", 1),
            false,
        ),
        (
            serde_json::from_str::<Value>(&model)
                .expect("JSON")
                .to_string(),
            false,
        ),
    ] {
        place.write("card/model.json", &text);
        let ran = place.learn(predict);
        assert_eq!(ran.code == 0, is_read, "{}", ran.err);
        assert!(
            is_read
                || ran
                    .err
                    .contains("its SHA-256 is another. Copy it again, or train it anew"),
            "{}",
            ran.err
        );
    }
    place.write("card/model.json", &model);

    // What is carried over is of numbers where every cell is one; the end of the name says what is written.
    place
        .learn("predict --model @card --input @t.csv --output @p.jsonl --keep id,code,x")
        .ok();
    let lines = std::fs::read_to_string(place.path("p.jsonl")).expect("lines");
    let first: Value = serde_json::from_str(lines.lines().next().expect("a line")).expect("JSON");
    assert!(first["id"].is_number() && first["x"].is_number(), "{first}");
    assert_eq!(first["code"], "000");
    place
        .learn("predict --model @card --input @t.csv --output @p.csv.gz")
        .ok();
    let packed = std::fs::read(place.path("p.csv.gz")).expect("a file");
    assert_eq!(&packed[..2], &[0x1f, 0x8b]);
    place.refused(
        "predict --model @card --input @t.csv --output @p.txt",
        &["write .parquet, .csv or .jsonl"],
    );
    place.refused(
        "predict --model @card --input @t.csv --output @q.csv --keep cod",
        &["did you mean `code`?"],
    );
    assert!(!place.path("p.txt").exists() && !place.path("q.csv").exists());
}

#[test]
fn a_linear_model_refuses_sizes_that_it_cannot_weigh() {
    let place = Place::new();
    let text = answers();
    let far: String = (text.lines().enumerate())
        .map(|(at, line)| {
            let mut cells: Vec<String> = line.split(',').map(str::to_owned).collect();
            if at > 0 {
                cells[2] = format!("{}e300", cells[2]);
            }
            cells.join(",") + "\n"
        })
        .collect();
    place.write("far.csv", &far);
    let train =
        "train --input @far.csv --target y --task binary --exclude id,seen --out @m --model";
    place.refused(
        &format!("{train} glm"),
        &["column `x`", "write it in another unit"],
    );
    place.learn(&format!("{train} gbdt")).ok();
}

#[test]
fn misspelt_columns_and_texts_among_numbers_are_told_with_flags_that_there_are() {
    let place = Place::new();
    let mut text = "customer,action,margin,cost\n".to_owned();
    for row in 0..40 {
        writeln!(text, "c{},call,{},1", row, row % 9).expect("text");
    }
    place.write("o.csv", &text);
    place.write("slip.csv", &format!("{text}c40,call,ten,1\n"));
    place.write("far.csv", &format!("{text}c40,call,1e308,1\n"));
    place.refused(
        "allocate --input @o.csv --value margn",
        &["no column `margn`; did you mean `margin`?"],
    );
    place.refused(
        "allocate --input @o.csv --value margin --budget cots=3",
        &["did you mean `cost`?"],
    );
    place.refused(
        "allocate --input @o.csv --value margin --cap cal=3",
        &["no row has the action `cal`"],
    );
    place.refused(
        "allocate --input @far.csv --value margin",
        &["row 41, column `margin`", "must add up"],
    );
    let slip = place.learn("allocate --input @slip.csv --value margin");
    assert!(
        slip.err.contains("mend the cell") && !slip.err.contains("--categorical"),
        "{}",
        slip.err
    );
    place.refused(
        "value --input @o.csv --time actoin --holdout 1w",
        &["did you mean `action`?"],
    );
    place.refused(
        "audience --input @o.csv --score margine --top 0.2",
        &["did you mean `margin`?"],
    );
    place.refused(
        "audience --input @o.csv --score margin --top 0.2 --exclude costs",
        &["did you mean `cost`?"],
    );
    place.refused(
        "audience --input @o.csv --score margin --top 0.2 --id custmer",
        &["did you mean `customer`?"],
    );
}

#[test]
fn a_floor_that_only_a_search_reaches_is_kept() {
    let place = Place::new();
    // 25.25 visits are the most that 20 buys, by a, d and e; split they would be 26.
    let mut text = "customer,action,margin,visits,cost\n".to_owned();
    for (customer, visits, cost) in [
        ("a", 9.5, 8.0),
        ("b", 9.5, 8.0),
        ("c", 5.5, 4.0),
        ("d", 8.75, 6.5),
        ("e", 7.0, 5.5),
    ] {
        writeln!(text, "{customer},call,{},{visits},{cost}", visits / 2.0).expect("text");
    }
    place.write("o.csv", &text);
    let allocate = "allocate --input @o.csv --value margin --value visits=0 --budget cost=20 --format json --floor";
    let found = place.learn(&format!("{allocate} visits=25.25")).json();
    assert!(
        found["objectives"][1]["reached"]
            .as_f64()
            .expect("a number")
            >= 25.25,
        "{found}"
    );
    // Splitting one would reach more.
    place.refused(
        &format!("{allocate} visits=25.5"),
        &["no whole allocation keeps all limits"],
    );
    place.refused(&format!("{allocate} visits=40"), &["cannot be 40 or more"]);
}

#[test]
fn a_date_far_from_all_others_is_named() {
    let place = Place::new();
    let mut draw = Draw(9);
    let mut text = "customer,at,paid\n".to_owned();
    let mut rows = 0;
    for who in 0..200 {
        // Customers who buy at different paces and leave with different chances.
        let (pace, leaves) = (0.02 + 0.1 * draw.next(), 0.6 * draw.next() * draw.next());
        let mut day = 100.0 * draw.next();
        while day < 360.0 {
            let (month, of) = (day as u32 / 30 + 1, day as u32 % 28 + 1);
            let paid = 5.0 + 10.0 * draw.next();
            writeln!(text, "c{who},2025-{month:02}-{of:02},{paid:.2}").expect("text");
            rows += 1;
            if draw.next() < leaves {
                break;
            }
            day += -(1.0 - draw.next()).ln() / pace;
        }
    }
    place.write("p.csv", &text);
    place.write("late.csv", &format!("{text}c3,2099-05-01,7\n"));
    place.write(
        "early.csv",
        &text.replacen("paid\n", "paid\nc3,1970-01-01,7\n", 1),
    );
    let value = |name: &str| {
        format!("value --input @{name} --holdout 8w --amount paid --draws 0 --penalizer 0.01")
    };
    place.learn(&value("p.csv")).ok();
    place.refused(
        &value("late.csv"),
        &[
            &format!("row {}, column `at`: found 2099-05-01", rows + 1),
            "nearest of which is of 2025-12-",
            "mend the date",
        ],
    );
    place.refused(
        &value("early.csv"),
        &["row 1, column `at`: found 1970-01-01"],
    );
}

#[test]
fn an_audience_worth_nothing_and_scores_that_are_none_are_told() {
    let place = Place::new();
    let mut draw = Draw(5);
    let mut text = "who,x,z,seen,score\n".to_owned();
    for who in 0..800 {
        let score = draw.next();
        writeln!(
            text,
            "{who},{:.3},{:.3},2026-02-{:02},{score:.4}",
            draw.next(),
            draw.next(),
            who % 28 + 1
        )
        .expect("text");
    }
    place.write("s.csv", &text);
    place.write(
        "inf.csv",
        &text.replacen(
            "who,x,z,seen,score\n",
            "who,x,z,seen,score\nw,1,1,,inf\n",
            1,
        ),
    );
    let audience = |name: &str| {
        format!(
            "audience --input @{name} --score score --top 0.2 --id who --purity 0.1 --support 0.01"
        )
    };
    let told = place.learn(&audience("s.csv"));
    let told = told.ok();
    assert!(
        told.contains("look: the rules are no better than nothing")
            || told.contains("look: no row that was not used meets a rule"),
        "{told}"
    );
    assert!(
        told.contains("`seen` holds times") && !told.contains("NaN"),
        "{told}"
    );
    place.refused(
        &audience("inf.csv"),
        &["row 1, column `score`: found inf; a score is a finite number"],
    );
}

#[test]
fn a_trial_that_is_none_is_told() {
    let place = Place::new();
    let mut draw = Draw(21);
    let mut text = "arm,visit,x,after,bought\n".to_owned();
    for _ in 0..4_000 {
        let x = draw.next();
        // Whoever has a high `x` is mailed nearly always.
        let is_mailed = draw.next() < if x > 0.5 { 0.9 } else { 0.1 };
        let visit = draw.next() < 0.2 + 0.1 * x;
        let bought = visit && draw.next() < 0.3;
        let after = if is_mailed {
            1.0 + draw.next()
        } else {
            draw.next()
        };
        writeln!(
            text,
            "{},{},{x:.4},{after:.3},{}",
            if is_mailed { "mail" } else { "none" },
            u8::from(visit),
            u8::from(bought)
        )
        .expect("text");
    }
    place.write("t.csv", &text);
    let uplift =
        "uplift --input @t.csv --target visit --treatment arm --resamples 50 --control none";
    let told = place.learn(uplift);
    let told = told.ok();
    for words in [
        "look: `mail` and `none` differ in `after` by",
        "`after` is likely a leak of the treatment",
        "the features tell `mail` from `none` (AUC",
        "hardly any alike got the other",
        "`bought` is likely a leak: of all",
    ] {
        assert!(told.contains(words), "{words}: {told}");
    }
    let json = place
        .learn(&format!("{uplift} --exclude after,bought --format json"))
        .json();
    let balance = &json["balance"][0];
    assert!(
        balance["auc"].as_f64().expect("a number") > 0.8,
        "{balance}"
    );
    assert_eq!(balance["differences"][0]["feature"], "x");
}

#[test]
fn a_parquet_file_packed_with_brotli_is_called_that() {
    let place = Place::new();
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/brotli.parquet");
    std::fs::copy(from, place.path("b.parquet")).expect("a file");
    let train = "train --input @b.parquet --target y --task binary --out @m";
    place.refused(
        train,
        &[
            "packed with BROTLI, which is not read",
            "compression=\"zstd\"",
        ],
    );
}
