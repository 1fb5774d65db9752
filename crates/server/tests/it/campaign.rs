//! `luopan campaign replay`: on small files made up for these tests, and on the real ones where they are at hand.

use luopan_server::campaign::{BLOCK_DEFAULT, Document, Report, Settings, replay};
use luopan_server::problem::Problem;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

fn tests_file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/campaign")
        .join(name)
}

fn shipped(scene: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../scenes")
        .join(scene)
}

fn settings(scene: &str, file: &Path) -> Settings {
    Settings {
        scene: scene.to_owned(),
        file: file.to_owned(),
        policy: None,
        mapping: None,
        data: None,
        block: BLOCK_DEFAULT,
    }
}

async fn run(settings: &Settings) -> Result<Report, Box<Problem>> {
    replay(settings, Arc::default(), |_| ()).await
}

fn document(report: &Report) -> Value {
    serde_json::to_value(report.document()).unwrap()
}

fn luopan(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_luopan"))
        .args(args)
        .env_remove("LUOPAN_DATA")
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Visits and rows by segment, counted with nothing of the product.
fn counted(file: &str) -> BTreeMap<String, (u64, u64)> {
    let mut out = BTreeMap::new();
    let mut reader = csv::Reader::from_path(tests_file(file)).unwrap();
    for row in reader.records() {
        let row = row.unwrap();
        let (visits, rows) = out.entry(row[8].to_owned()).or_insert((0, 0));
        *visits += row[9].parse::<u64>().unwrap();
        *rows += 1;
    }
    out
}

#[test]
fn the_document_is_as_announced() {
    let file = tests_file("email.csv");
    let file = file.to_str().unwrap();
    let said = luopan(&[
        "campaign",
        "replay",
        "--scene",
        "email-campaign",
        "--file",
        file,
        "--policy",
        "learned",
        "--format",
        "json",
    ]);
    assert!(said.status.success(), "{}", text(&said.stderr));
    assert_eq!(
        text(&said.stderr),
        "",
        "the temporary folder is let go of in order"
    );
    let said: Value = serde_json::from_slice(&said.stdout).unwrap();
    assert_eq!(
        said.as_object().unwrap().keys().collect::<Vec<_>>(),
        ["policies"]
    );
    let policies = said["policies"].as_array().unwrap();
    let names: Vec<&str> = policies
        .iter()
        .map(|p| p["name"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "logged",
            "fixed:mens_email",
            "fixed:womens_email",
            "fixed:no_email",
            "learned"
        ]
    );
    for policy in policies {
        let keys: Vec<&String> = policy.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["matched", "name", "spend", "visit"]);
        for (reward, keys) in [
            ("visit", ["high", "low", "rate"]),
            ("spend", ["high", "low", "mean"]),
        ] {
            let figures = policy[reward].as_object().unwrap();
            assert_eq!(figures.keys().collect::<Vec<_>>(), keys);
            let middle = figures
                .get("rate")
                .or(figures.get("mean"))
                .unwrap()
                .as_f64()
                .unwrap();
            assert!(
                figures["low"].as_f64().unwrap() <= middle
                    && middle <= figures["high"].as_f64().unwrap()
            );
        }
    }
    // What every line counts can be counted by hand.
    let by_hand = counted("email.csv");
    for (name, segment) in [
        ("fixed:mens_email", "Mens E-Mail"),
        ("fixed:womens_email", "Womens E-Mail"),
        ("fixed:no_email", "No E-Mail"),
    ] {
        let (visits, rows) = by_hand[segment];
        let found = policies.iter().find(|p| p["name"] == name).unwrap();
        assert_eq!(found["matched"], rows);
        assert_eq!(found["visit"]["rate"], visits as f64 / rows as f64);
    }
    assert_eq!(policies[0]["matched"], 90);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_what_was_carried_out_is_learned_and_the_folder_verifies() {
    let folder = tempfile::tempdir().unwrap();
    let asked = Settings {
        data: Some(folder.path().to_owned()),
        block: 10,
        ..settings("email-campaign", &tests_file("email.csv"))
    };
    let first = run(&asked).await.unwrap();
    assert_eq!(
        (
            first.rows,
            first.decisions,
            first.quarantined,
            first.withheld
        ),
        (90, 90, 0, 0)
    );
    assert!(
        first.as_logged > 0 && first.as_logged < 90,
        "{} of 90",
        first.as_logged
    );
    assert_eq!(first.learned, Some(first.as_logged));
    // The same file over the same folder is the same decisions, outcomes and samples: a replay that was cut short goes on.
    let again = run(&asked).await.unwrap();
    assert_eq!(document(&again), document(&first));
    assert_eq!(again.learned, first.learned);
    let verified = luopan(&[
        "verify",
        "--data",
        folder.path().to_str().unwrap(),
        "--format",
        "json",
    ]);
    let report: Value = serde_json::from_slice(&verified.stdout).unwrap();
    assert!(verified.status.success(), "{report}");
    assert_eq!(report["differences_count"], 0);
    assert_eq!(report["samples"], first.as_logged);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fixed_policy_matches_exactly_its_action() {
    let fixed = |name: &str| Settings {
        policy: Some(name.to_owned()),
        ..settings("email-campaign", &tests_file("email.csv"))
    };
    for (policy, arm) in [
        ("fixed_mens_email", "fixed:mens_email"),
        ("fixed_no_email", "fixed:no_email"),
    ] {
        let report = run(&fixed(policy)).await.unwrap();
        assert_eq!(report.learned, None, "it has no model");
        let Document::Arms(found) = report.document() else {
            panic!("{report:?}")
        };
        let of = |name: &str| {
            found
                .policies
                .iter()
                .find(|p| p.name == name)
                .unwrap()
                .clone()
        };
        assert_eq!(of(policy).matched, of(arm).matched);
        assert_eq!(of(policy).rewards, of(arm).rewards);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_do_not_fit_stand_in_quarantine_and_the_rest_goes_through() {
    let folder = tempfile::tempdir().unwrap();
    let asked = Settings {
        data: Some(folder.path().to_owned()),
        ..settings("email-campaign", &tests_file("email-faults.csv"))
    };
    let report = run(&asked).await.unwrap();
    assert_eq!(
        (report.rows, report.decisions, report.quarantined),
        (12, 9, 3)
    );
    let listed = luopan(&[
        "quarantine",
        "list",
        "--scene",
        "email-campaign",
        "--data",
        folder.path().to_str().unwrap(),
        "--format",
        "json",
    ]);
    let listed = text(&listed.stdout);
    for words in [
        "\"ragged_row\"",
        "13 cells, the header has 12",
        "\"unknown_action\"",
        "no action is called `Womens E-Mial`",
        "`womens_email`",
        "\"malformed_row\"",
        "`maybe` is not boolean for `visited`",
    ] {
        assert!(listed.contains(words), "{words} is not in {listed}");
    }

    // Without a folder to list them from, the first is said at once.
    let file = tests_file("email-faults.csv").display().to_string();
    let alone = luopan(&[
        "campaign",
        "replay",
        "--scene",
        "email-campaign",
        "--file",
        &file,
    ]);
    let said = text(&alone.stdout);
    assert!(
        said.contains("3 rows do not fit; the first: ")
            && said.contains("email-faults.csv line ")
            && said.contains("name a folder with --data"),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_are_named_with_what_to_write_instead() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, change: &dyn Fn(String) -> String| {
        let whole = std::fs::read_to_string(tests_file("email.csv")).unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, change(whole)).unwrap();
        path
    };
    let refused = async |settings: Settings| {
        run(&settings)
            .await
            .err()
            .map(|p| (p.code, p.detail))
            .unwrap()
    };

    let file = write("column.csv", &|s| {
        s.replacen("recency", "recentness", 1)
            .replacen("history,", "histoy,", 1)
    });
    let (code, words) = refused(settings("email-campaign", &file)).await;
    assert_eq!(code, "file_unreadable");
    assert!(
        words.contains(
            "the header lacks columns of the mapping: `history` (did you mean `histoy`?), `recency`"
        ),
        "{words}"
    );
    assert_eq!(words.matches("`zip_code`").count(), 1, "{words}");

    let file = write("words.csv", &|s| s.replace("E-Mail", "E-Mial"));
    let (code, words) = refused(settings("email-campaign", &file)).await;
    assert_eq!(code, "unknown_action");
    assert!(
        words.contains("none of the first 90 rows fits")
            && words.contains("no action is called `Mens E-Mial`"),
        "{words}"
    );
    assert!(words.contains("did you mean `mens_email`?"), "{words}");

    let file = write("empty.csv", &|s| {
        s.lines().next().unwrap().to_owned() + "\n"
    });
    assert!(
        refused(settings("email-campaign", &file))
            .await
            .1
            .contains("there is no row in it")
    );

    let file = tests_file("email.csv");
    let (code, words) = refused(settings("emial-campaign", &file)).await;
    assert_eq!(code, "unknown_scene");
    assert!(words.contains("did you mean `email-campaign`?"), "{words}");

    let asked = settings("email-campaign", &file);
    let (code, words) = refused(Settings {
        policy: Some("lerned".to_owned()),
        ..asked.clone()
    })
    .await;
    assert_eq!(code, "unknown_policy");
    assert!(words.contains("did you mean `learned`?"), "{words}");

    let (code, words) = refused(Settings {
        mapping: Some("campain".to_owned()),
        ..asked.clone()
    })
    .await;
    assert_eq!(code, "unknown_mapping");
    assert!(words.contains("did you mean `campaign`?"), "{words}");

    let (code, words) = refused(Settings {
        mapping: Some("customers".to_owned()),
        ..asked.clone()
    })
    .await;
    assert_eq!(
        (code.as_str(), words.contains("not one into a campaign")),
        ("command_line", true),
        "{words}"
    );

    let (code, words) = refused(Settings {
        file: folder.path().join("gone.csv"),
        ..asked.clone()
    })
    .await;
    assert_eq!(
        (code.as_str(), words.contains("gone.csv")),
        ("file_unreadable", true),
        "{words}"
    );

    let (code, words) = refused(Settings { block: 0, ..asked }).await;
    assert_eq!(
        (code.as_str(), words.contains("write 1 to 1000")),
        ("command_line", true),
        "{words}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_action_logged_unevenly_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let whole = std::fs::read_to_string(tests_file("email.csv")).unwrap();
    let mut lines: Vec<&str> = whole.lines().collect();
    let mens: Vec<&str> = lines
        .iter()
        .copied()
        .filter(|l| l.contains("Mens E-Mail"))
        .collect();
    (0..3).for_each(|_| lines.extend(&mens));
    let file = folder.path().join("uneven.csv");
    std::fs::write(&file, lines.join("\n") + "\n").unwrap();
    let report = run(&settings("email-campaign", &file)).await.unwrap();
    assert_eq!(
        report.uneven().first().map(|(action, _)| *action),
        Some("mens_email")
    );
    assert!(
        run(&settings("email-campaign", &tests_file("email.csv")))
            .await
            .unwrap()
            .uneven()
            .is_empty()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_customers_next_row_finds_the_earlier_one_learned() {
    let folder = tempfile::tempdir().unwrap();
    let pack = folder.path().join("pack");
    copy(&shipped("email-campaign"), &pack);
    let mapping = pack.join("mappings/campaign.yaml");
    let text = std::fs::read_to_string(&mapping).unwrap();
    std::fs::write(
        &mapping,
        text.replace("template: \"hillstrom-{row}\"", "template: \"one\""),
    )
    .unwrap();
    let data = folder.path().join("data");
    let asked = Settings {
        scene: pack.to_str().unwrap().to_owned(),
        policy: Some("random".to_owned()),
        data: Some(data.clone()),
        ..settings("", &tests_file("email.csv"))
    };
    let report = run(&asked).await.unwrap();
    assert_eq!(report.decisions, 90);
    // The weekly cap of two e-mails counts what was decided a moment before, so later rows can only be silence.
    let shown = luopan(&[
        "profile",
        "one",
        "--scene",
        "email-campaign",
        "--data",
        data.to_str().unwrap(),
        "--format",
        "json",
    ]);
    let shown: Value = serde_json::from_slice(&shown.stdout).unwrap();
    assert_eq!(shown["tags"]["emails_30d"], 2, "{shown}");
    // The contacts of a replay stand on a ledger of their own.
    assert_eq!(shown["contacts"], Value::Array(Vec::new()), "{shown}");
}

#[test]
fn scores_of_calls_are_judged_as_announced() {
    let file = tests_file("calls.csv");
    let file = file.to_str().unwrap();
    let said = luopan(&[
        "campaign",
        "replay",
        "--scene",
        "bank-telemarketing",
        "--file",
        file,
        "--format",
        "json",
        "--block",
        "20",
    ]);
    assert!(said.status.success(), "{}", text(&said.stderr));
    let said: Value = serde_json::from_slice(&said.stdout).unwrap();
    for key in [
        "prequential_auc",
        "share_of_conversions_in_top_20_percent",
        "share_online_threshold",
        "base_rate",
    ] {
        let figure = said[key].as_f64().unwrap();
        assert!((0.0..=1.0).contains(&figure), "{key} {figure}");
    }
    assert_eq!(
        (&said["calls"], &said["learned"], &said["quarantined"]),
        (&400.into(), &400.into(), &0.into())
    );
    assert_eq!(said["block_auc"].as_array().unwrap().len(), 1);
    assert_eq!(said["block_auc"][0], said["prequential_auc"]);
    // Customers who had been won before are asked often enough to be told from the others.
    assert!(said["prequential_auc"].as_f64().unwrap() > 0.6, "{said}");
}

#[test]
fn words_for_people_say_how_to_read_them() {
    let file = tests_file("email.csv");
    let said = luopan(&[
        "campaign",
        "replay",
        "--scene",
        "email-campaign",
        "--file",
        file.to_str().unwrap(),
    ]);
    let words = text(&said.stdout);
    for part in [
        "90 rows of email.csv",
        "fixed:womens_email",
        "A line counts the rows on which its policy does what was logged",
    ] {
        assert!(words.contains(part), "{part} is not in {words}");
    }
}

#[test]
fn the_length_of_a_call_is_refused_as_a_feature() {
    let folder = tempfile::tempdir().unwrap();
    let pack = folder.path().join("pack");
    copy(&shipped("bank-telemarketing"), &pack);
    let sound = luopan(&["scene", "check", pack.to_str().unwrap()]);
    assert!(sound.status.success(), "{}", text(&sound.stderr));
    let policies = pack.join("policies.yaml");
    let declared = std::fs::read_to_string(&policies).unwrap();
    let asked = "      - {one_hot: poutcome,";
    let line = declared.lines().position(|l| l.starts_with(asked)).unwrap() + 1;
    let with = declared.replacen(
        asked,
        &format!("      - {{bins: talked_longest, edges: [60000000]}}\n{asked}"),
        1,
    );
    std::fs::write(&policies, with).unwrap();
    let refused = luopan(&["scene", "check", pack.to_str().unwrap()]);
    assert!(!refused.status.success());
    let words = text(&refused.stderr);
    assert!(words.contains("known only after the call"), "{words}");
    assert!(words.contains(&format!("policies.yaml:{line}:")), "{words}");
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// On the public files that the shipped packs are for. Seeds are fresh in every run: the bounds leave room for chance, which
/// the comments measure.
pub(crate) mod real_data {
    use super::*;

    /// The file, or none where it is not at hand and need not be.
    pub(crate) fn dataset(path: &str) -> Option<PathBuf> {
        let folder = std::env::var_os("LUOPAN_DATASETS").map_or_else(
            || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
            PathBuf::from,
        );
        let file = folder.join(path);
        if file.is_file() {
            return Some(file);
        }
        let missing = format!(
            "there is no {} (LUOPAN_DATASETS names the folder of data sets)",
            file.display()
        );
        assert!(
            std::env::var_os("LUOPAN_REQUIRE_ALL").is_none_or(|v| v != "1"),
            "{missing}"
        );
        eprintln!("SKIPPED: {missing}");
        None
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn the_loop_learns_whom_to_send_which_email() {
        let Some(file) = dataset("hillstrom_uplift/hillstrom.csv.gz") else {
            return;
        };
        let report = run(&settings("email-campaign", &file)).await.unwrap();
        assert_eq!(
            (
                report.rows,
                report.decisions,
                report.quarantined,
                report.withheld
            ),
            (64_000, 64_000, 0, 0)
        );
        assert_eq!(report.learned, Some(report.as_logged));
        assert!(report.uneven().is_empty());
        let said = document(&report);
        let of = |name: &str| {
            said["policies"]
                .as_array()
                .unwrap()
                .iter()
                .find(|p| p["name"] == name)
                .unwrap()
                .clone()
        };
        let rate = |name: &str, figure: &str| of(name)["visit"][figure].as_f64().unwrap();
        for (name, matched, visit) in [
            ("logged", 64_000, 0.1468),
            ("fixed:mens_email", 21_307, 0.1828),
            ("fixed:womens_email", 21_387, 0.1514),
            ("fixed:no_email", 21_306, 0.1062),
        ] {
            assert_eq!(of(name)["matched"], matched);
            assert!((rate(name, "rate") - visit).abs() < 5e-5, "{name} {said}");
        }
        assert!(
            (20_000..23_000).contains(&report.as_logged),
            "a third is as logged: {}",
            report.as_logged
        );
        assert!(rate("learned", "rate") > 0.175, "{said}");
        assert!(
            rate("learned", "low") > rate("fixed:womens_email", "rate"),
            "{said}"
        );
        assert!(
            of("learned")["spend"]["mean"].as_f64().unwrap()
                > of("logged")["spend"]["mean"].as_f64().unwrap(),
            "{said}"
        );
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn the_loop_follows_the_drift_of_the_calls() {
        let Some(file) = dataset("bank_marketing/bank-additional-full.csv.gz") else {
            return;
        };
        let report = run(&settings("bank-telemarketing", &file)).await.unwrap();
        assert_eq!(
            (
                report.rows,
                report.quarantined,
                report.withheld,
                report.learned
            ),
            (41_188, 0, 0, Some(41_188))
        );
        let said = document(&report);
        let figure = |name: &str| said[name].as_f64().unwrap();
        assert_eq!(said["calls"], 41_188);
        assert!((figure("base_rate") - 0.1127).abs() < 5e-5);
        assert!(figure("prequential_auc") >= 0.75, "{said}");
        assert!(
            figure("share_of_conversions_in_top_20_percent") >= 0.54,
            "{said}"
        );
        assert!(
            figure("share_online_threshold") >= 0.54 && figure("called_share") <= 0.2,
            "{said}"
        );
        assert_eq!(said["block_auc"].as_array().unwrap().len(), 42);
    }
}
