//! `luopan learn slates`, by running the program: estimates by hand, a truth that is known, and what is refused.

use crate::command_line::{Run, luopan};
use luopan_kernel::random::Random;
use serde_json::Value;
use std::fmt::Write as _;
use tempfile::TempDir;

struct Place(TempDir);

impl Place {
    fn with(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).expect("a file");
        }
        Self(folder)
    }

    fn slates(&self, file: &str, more: &[&str]) -> Run {
        let file = self.0.path().join(file).display().to_string();
        let words = ["--format", "json", "learn", "slates", "--logs", &file];
        let columns = [
            "--slate",
            "list",
            "--place",
            "place",
            "--propensity",
            "p",
            "--reward",
            "clicks",
        ];
        luopan(self.0.path(), &[&words[..], &columns[..], more].concat())
    }
}

/// Two slates by hand, the second one's places in the other order in the file.
const BY_HAND: &str = "list,place,p,clicks,q\n\
     a,1,0.5,1,0.25\n\
     a,2,0.5,2,1\n\
     b,2,0.25,4,0.5\n\
     b,1,0.5,0,0.5\n";

fn estimate(of: &Value, estimator: &str) -> f64 {
    let all = of["estimates"].as_array().expect("a list");
    let own = all.iter().find(|e| e["estimator"] == estimator);
    own.expect("the estimator")["value"]
        .as_f64()
        .expect("a number")
}

#[test]
fn estimates_are_those_by_hand() {
    let place = Place::with(&[("two.csv", BY_HAND)]);
    let told = place.slates("two.csv", &["--policy", "q"]).json();
    assert_eq!(
        (&told["slates"], &told["rows"], &told["places"]),
        (&2.into(), &4.into(), &2.into())
    );
    assert_eq!(told["logged_value"], 3.5);
    // Weights down to the places: .5 and 1 of the first slate, 1 and 2 of the second.
    let own = &told["candidate"];
    let close = |found: f64, wanted: f64| assert!((found - wanted).abs() < 1e-12, "{found}");
    close(estimate(own, "rips"), f64::midpoint(0.5 + 2.0, 8.0));
    close(estimate(own, "sips"), f64::midpoint(3.0, 8.0));
    close(own["weight_mean"].as_f64().expect("a number"), 1.5);
    close(
        own["effective_slates"].as_f64().expect("a number"),
        9.0 / 5.0,
    );
    let by_place = own["effective_by_place"].as_array().expect("a list");
    close(by_place[0].as_f64().expect("a number"), 2.25 / 1.25);
    let logged = place.slates("two.csv", &["--policy", "logged"]).json();
    close(estimate(&logged["candidate"], "rips"), 3.5);
    close(estimate(&logged["candidate"], "sips"), 3.5);
}

/// Slates of two of three items, drawn one after the other; a policy that puts the third item first; what a place earns depends on its item
/// and on the one above. The file, and what the policy is worth.
fn drawn(slates: usize) -> (String, f64) {
    let earns = |above: Option<usize>, item: usize| {
        let own = [0.2, 0.4, 0.7][item];
        if above == Some(2) { own * 0.5 } else { own }
    };
    let first = [0.1, 0.2, 0.7];
    let then = |above: usize, item: usize| first[item] / (1.0 - first[above]);
    let mut truth = 0.0;
    for (a, p) in first.iter().enumerate() {
        truth += p * earns(None, a);
        for b in (0..3).filter(|b| *b != a) {
            truth += p * then(a, b) * earns(Some(a), b);
        }
    }
    let mut random = Random::new(5);
    let mut text = "list,place,p,clicks,next,worst\n".to_owned();
    for slate in 0..slates {
        let a = (random.uniform() * 3.0) as usize;
        let left: Vec<usize> = (0..3).filter(|i| *i != a).collect();
        let b = left[(random.uniform() * 2.0) as usize];
        for (place, p, chance, next, worst) in [
            (
                0,
                1.0 / 3.0,
                earns(None, a),
                first[a],
                f64::from(u8::from(a == 0)),
            ),
            (1, 0.5, earns(Some(a), b), then(a, b), 0.5),
        ] {
            let clicks = u8::from(random.uniform() < chance);
            writeln!(text, "s{slate},{place},{p},{clicks},{next},{worst}").expect("a line");
        }
    }
    (text, truth)
}

#[test]
fn a_better_policy_is_worth_what_it_is_and_may_take_the_place_of_the_one_that_wrote_the_logs() {
    let (text, truth) = drawn(4_000);
    let few: String = text.lines().take(101).map(|l| format!("{l}\n")).collect();
    let place = Place::with(&[("many.csv", &text), ("few.csv", &few)]);
    let against = ["--policy", "next", "--champion", "logged"];
    let told = place.slates("many.csv", &against).json();
    for estimate in told["candidate"]["estimates"].as_array().expect("a list") {
        let bound = |name: &str| estimate[name].as_f64().expect("a number");
        assert!(
            bound("lower") < truth && truth < bound("upper"),
            "{estimate}: {truth}"
        );
    }
    assert!((told["candidate"]["weight_mean"].as_f64().expect("a number") - 1.0).abs() < 0.1);
    assert_eq!(told["comparison"]["promoted"], true);
    let worse = place.slates("many.csv", &["--policy", "worst", "--champion", "logged"]);
    assert_eq!(worse.code, 1, "{}", worse.err);
    let few = place.slates("few.csv", &against);
    assert_eq!(few.code, 1, "{}", few.err);
    assert!(few.out.contains("at least 100 are wanted"), "{}", few.out);
    // Propensities that are not those by which it was drawn do not prove anything.
    let wrong = text.replace(",0.3333333333333333,", ",0.2,");
    let wrong = Place::with(&[("wrong.csv", &wrong)]).slates("wrong.csv", &against);
    assert_eq!(wrong.code, 1, "{}", wrong.err);
    assert!(wrong.out.contains("and must be 1"), "{}", wrong.out);
}

#[test]
fn what_is_no_slate_is_told() {
    let with = |from: &str, to: &str| BY_HAND.replacen(from, to, 1);
    let files = [
        (
            "twice.csv",
            with("a,2,0.5", "a,1,0.5"),
            "slate `a`: row 2 has place 1 where 2 is wanted",
        ),
        (
            "gap.csv",
            with("b,2,0.25", "b,3,0.25"),
            "slate `b`: row 3 has place 3 where 2 is wanted",
        ),
        (
            "zero.csv",
            with("b,1,0.5", "b,1,0"),
            "row 4: the propensity is 0",
        ),
        (
            "great.csv",
            with("2,1\n", "2,1.5\n"),
            "row 2: `q` is 1.5; write the probability",
        ),
        (
            "open.csv",
            BY_HAND
                .replace(",1,0.25\n", ",,0.25\n")
                .replace("0.25,4,", "0.25,,"),
            "no slate has a reward at every place",
        ),
    ];
    for (name, text, said) in &files {
        let ran = Place::with(&[(name, text)]).slates(name, &["--policy", "q"]);
        assert_ne!(ran.code, 0, "{name}: {}", ran.out);
        assert!(ran.err.contains(said), "{name}: {}", ran.err);
    }
    let place = Place::with(&[("two.csv", BY_HAND)]);
    let against = ["--policy", "q", "--champion", "logged", "--margin"];
    for margin in ["nan", "-1", "inf"] {
        let margin = format!("--margin={margin}");
        let ran = place.slates("two.csv", &[&against[..4], &[&margin]].concat());
        assert!(
            ran.err.contains("write a finite number, zero or more"),
            "{}",
            ran.err
        );
    }
    let ran = place.slates("two.csv", &["--policy", "pp"]);
    assert!(
        ran.err
            .contains("there is no column `pp` for the policy; did you mean `p`?"),
        "{}",
        ran.err
    );
    // One slate is still open: it is counted, and of the one that is left nothing can be said.
    let open = BY_HAND.replace(",1,0.25\n", ",,0.25\n");
    let ran = Place::with(&[("open.csv", &open)]).slates("open.csv", &["--policy", "q"]);
    assert!(ran.err.contains("there is one slate"), "{}", ran.err);
    let open = format!("{open}c,1,0.5,1,0.5\n");
    let told = Place::with(&[("open.csv", &open)]).slates("open.csv", &["--policy", "q"]);
    let told = told.json();
    assert_eq!(
        (&told["slates"], &told["left_out"][0][1]),
        (&2.into(), &1.into())
    );
}
