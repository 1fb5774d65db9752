//! `luopan learn lifetime`, by running the program: what to do over weeks is learned from logged ones, judged, written, and refused
//! where the logs do not tell.

use crate::command_line::luopan;
use std::path::Path;

/// Customers who are fresh or tired: a contact pays 1 or 0.4 and tires; who is tired and contacted may leave for good; rest mends.
fn weeks(customers: usize, steps: usize) -> String {
    let mut state = 7u64;
    let mut draw = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1u64 << 53) as f64
    };
    let mut text = "id,week,tired,segment,contact,p,answered,gone,can\n".to_owned();
    for customer in 0..customers {
        let mut is_tired = draw() < 0.3;
        let segment = if draw() < 0.5 { "a" } else { "b" };
        for week in 0..steps {
            let is_contacted = draw() < 0.5;
            let mean = match (is_contacted, is_tired) {
                (false, _) => 0.0,
                (true, false) => 1.0,
                (true, true) => 0.4,
            };
            let answered = mean + 0.2 * (draw() - 0.5);
            let is_gone = is_contacted && is_tired && draw() < 0.3;
            text.push_str(&format!(
                "c{customer},{week},{},{segment},{},0.5,{answered:.4},{is_gone},mail|rest\n",
                u8::from(is_tired),
                if is_contacted { "mail" } else { "rest" },
            ));
            if is_gone {
                break;
            }
            is_tired = is_contacted || (is_tired && draw() < 0.1);
        }
    }
    text
}

const ROLES: [&str; 14] = [
    "--customer",
    "id",
    "--step",
    "week",
    "--action",
    "contact",
    "--propensity",
    "p",
    "--reward",
    "answered",
    "--end",
    "gone",
    "--candidates",
    "can",
];

#[test]
fn what_to_do_over_weeks_is_learned_judged_and_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name).display().to_string();
    let (input, output) = (at("weeks.csv"), at("policy.csv"));
    std::fs::write(&input, weeks(1_500, 10)).expect("the weeks");
    let run = |more: &[&str]| {
        let words = ["--format", "json", "learn", "lifetime", "--input", &input];
        luopan(folder.path(), &[&words[..], &ROLES, more].concat())
    };
    for model in ["gbdt", "glm"] {
        let more = [
            "--horizon",
            "8",
            "--discount",
            "0.95",
            "--model",
            model,
            "--folds",
            "2",
            "--beside",
            "mail",
            "--resamples",
            "200",
            "--output",
            &output,
        ];
        let said = run(&more).json();
        assert_eq!(said["customers"], 1_500);
        assert_eq!(said["judged"], 1_500);
        assert_eq!(said["features"], serde_json::json!(["tired", "segment"]));
        assert_eq!(said["iterations"].as_array().map(Vec::len), Some(8));
        let policies = said["policies"].as_array().expect("policies");
        let names: Vec<&str> = policies
            .iter()
            .filter_map(|p| p["policy"].as_str())
            .collect();
        assert_eq!(names, ["learned", "one step ahead", "always mail"]);
        let value = |place: usize, by: &str| {
            policies[place]["estimates"][by]["value"]
                .as_f64()
                .expect("a value")
        };
        for by in ["fqe", "dr", "wdr"] {
            assert!(value(0, by) > 1.2 * value(1, by), "{model}, {by}: {said}");
        }
        // Looking one step ahead is always mail.
        assert!((value(1, "wdr") - value(2, "wdr")).abs() < 1e-9, "{said}");
        let gain = &policies[0]["estimates"]["wdr"]["gain"];
        assert!(gain[0].as_f64() > Some(0.0), "{said}");
        assert!(
            policies[0]["steps"][0]["effective"].as_f64() > Some(600.0),
            "{said}"
        );
        let warnings = policies[0]["warnings"].to_string();
        assert!(warnings.contains("are worth fewer than 50"), "{warnings}");
        assert!(warnings.contains("(refits)"), "{warnings}");

        let text = std::fs::read_to_string(&output).expect("the policy");
        let mut lines = text.lines();
        assert_eq!(lines.next(), Some("id,week,value.mail,value.rest,best"));
        let logged = std::fs::read_to_string(&input).expect("the weeks");
        for (line, logged) in lines.zip(logged.lines().skip(1)) {
            let is_tired = logged.split(',').nth(2) == Some("1");
            let best = line.rsplit(',').next();
            assert_eq!(
                best,
                Some(if is_tired { "rest" } else { "mail" }),
                "{line}; {logged}"
            );
        }
        assert_eq!(said, {
            let mut again = run(&more).json();
            again["cpu_seconds"] = said["cpu_seconds"].clone();
            again
        });
    }
}

#[test]
fn weeks_that_do_not_tell_are_refused_by_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name).display().to_string();
    let text = weeks(40, 4);
    let refused = |text: String, more: &[&str]| {
        std::fs::write(at("weeks.csv"), text).expect("the weeks");
        let input = at("weeks.csv");
        let output = at("policy.csv");
        let words = ["learn", "lifetime", "--input", &input, "--output", &output];
        // A flag is given once.
        let roles: Vec<&str> = (ROLES.chunks(2))
            .filter(|pair| !more.contains(&pair[0]))
            .flatten()
            .copied()
            .collect();
        let mut all = [&words[..], &roles, more].concat();
        if !more.contains(&"--horizon") {
            all.extend(["--horizon", "3"]);
        }
        let said = luopan(folder.path(), &all).refused().to_owned();
        assert!(!Path::new(&output).exists());
        said
    };
    let first = text.lines().nth(1).expect("a row").to_owned();
    let spoilt = |from: &str, to: &str| text.replacen(&first, &first.replacen(from, to, 1), 1);
    for (found, words) in [
        (
            spoilt(",0.5,", ",0,"),
            "row 1: the propensity is 0: write the probability",
        ),
        (
            spoilt(",0.5,", ",,"),
            "row 1: the propensity is NaN: write the probability",
        ),
        (spoilt("c0,0,", "c0,1,"), "customer \"c0\" has step 1 twice"),
        (
            spoilt("c0,0,", "c0,-1,"),
            "customer \"c0\" has no row between steps -1 and 1",
        ),
        (
            spoilt("c0,0,", "c0,0.5,"),
            "row 1, column `week`: found 0.5; steps are whole numbers",
        ),
        (
            spoilt("mail|rest", "sms"),
            "was taken, but is not among the actions that could be",
        ),
        (
            text.replace(",mail,", ",rest,"),
            "every row has the action \"rest\"",
        ),
    ] {
        let said = refused(found, &[]);
        assert!(said.contains(words), "{words}: {said}");
    }
    for (more, words) in [
        (
            &["--horizon", "9"][..],
            "0 customers: judging on this number of folds",
        ),
        (
            &["--folds", "90"],
            "40 customers: judging on this number of folds",
        ),
        (
            &["--discount", "1.5"],
            "the discount is 1.5: write above 0 to 1",
        ),
        (
            &["--min-share", "1"],
            "the least share is 1: write 0 to below 1",
        ),
        (
            &["--beside", "sms"],
            "no row has the action `sms`; there are ",
        ),
        (
            &["--exclude", "tired,segment"],
            "the number of features is 0: write at least one",
        ),
        (
            &["--reward", "answred"],
            "there is no column `answred`; did you mean `answered`?",
        ),
        (&["--end", "segment"], "row 1, column `segment`: found "),
    ] {
        let said = refused(text.clone(), more);
        assert!(said.contains(words), "{words}: {said}");
    }
}
