//! `luopan simulate` and `luopan import --as-sent`: what is written is what is read, and what is given is used or refused.

use crate::command_line::{Run, luopan};
use crate::pages::root;
use flate2::read::GzDecoder;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

fn platform() -> TempDir {
    let data = tempfile::tempdir().expect("a folder");
    let pack = root().join("scenes/fund").display().to_string();
    luopan(data.path(), &["scene", "apply", &pack]).ok();
    data
}

fn simulated(folder: &Path, output: &str, more: &[&str]) -> Run {
    let output = folder.join(output).display().to_string();
    let mut words = vec!["simulate", "--format", "json", "--output", &output];
    words.extend(more);
    luopan(folder, &words)
}

fn lines(file: &Path) -> Vec<Value> {
    let mut text = String::new();
    GzDecoder::new(std::fs::File::open(file).expect("a file"))
        .read_to_string(&mut text)
        .expect("gzip");
    text.lines()
        .map(|l| serde_json::from_str(l).expect("a line of JSON"))
        .collect()
}

fn files(folder: &Path, name: &str) -> Vec<PathBuf> {
    let mut out: Vec<PathBuf> = std::fs::read_dir(folder)
        .expect("a folder")
        .map(|e| e.expect("an entry").path())
        .filter(|p| {
            p.file_name()
                .is_some_and(|n| n.to_string_lossy().starts_with(name))
        })
        .collect();
    out.sort();
    out
}

#[test]
fn what_is_simulated_is_imported_whole_and_once() {
    let data = platform();
    let small = [
        "--customers",
        "150",
        "--days",
        "70",
        "--seed",
        "3",
        "--threads",
        "2",
    ];
    let written = simulated(data.path(), "a", &small).json();
    let folder = data.path().join("a");
    let events = files(&folder, "events-");
    let names: Vec<&str> = events
        .iter()
        .filter_map(|p| p.file_name()?.to_str())
        .collect();
    assert_eq!(
        names,
        [
            "events-2025-09.jsonl.gz",
            "events-2025-10.jsonl.gz",
            "events-2025-11.jsonl.gz"
        ]
    );
    let count = written["events"].as_u64().expect("a number");
    assert!(count > 2_000, "{written}");
    let all: Vec<Value> = events.iter().flat_map(|f| lines(f)).collect();
    assert_eq!(all.len() as u64, count);
    let times: Vec<i64> = all
        .iter()
        .map(|e| e["occurred_at"].as_i64().expect("a time"))
        .collect();
    assert!(times.is_sorted());
    let mut words = vec![
        "import",
        "--scene",
        "fund",
        "--into",
        "events",
        "--as-sent",
        "--format",
        "json",
    ];
    let paths: Vec<String> = events.iter().map(|p| p.display().to_string()).collect();
    words.extend(paths.iter().map(String::as_str));
    let counted = json!({"scene": "fund", "rows": count, "accepted": count, "duplicate": 0, "quarantined": 0, "skipped": 0});
    let import = |words: &[&str]| {
        let mut answer = luopan(data.path(), words).json();
        answer.as_object_mut().expect("an object").remove("files");
        answer
    };
    assert_eq!(import(&words), counted);
    let mut deposits: BTreeMap<&str, i64> = BTreeMap::new();
    for e in all.iter().filter(|e| e["type"] == "deposit") {
        let customer = e["customer"].as_str().expect("a customer");
        *deposits.entry(customer).or_default() +=
            e["properties"]["amount"].as_i64().expect("an amount");
    }
    let (customer, fen) = deposits.iter().next().expect("a deposit");
    let profile = luopan(
        data.path(),
        &["profile", customer, "--scene", "fund", "--format", "json"],
    )
    .json();
    assert_eq!(profile["tags"]["deposited"], json!(fen), "{profile}");

    // The same settings write the same bytes, whatever the threads.
    simulated(
        data.path(),
        "b",
        &[
            "--customers",
            "150",
            "--days",
            "70",
            "--seed",
            "3",
            "--threads",
            "1",
        ],
    )
    .ok();
    for name in ["events-", "product", "links"] {
        let (a, b) = (files(&folder, name), files(&data.path().join("b"), name));
        assert!(!a.is_empty() && a.len() == b.len(), "{name}");
        for (a, b) in a.iter().zip(&b) {
            assert_eq!(
                std::fs::read(a).ok(),
                std::fs::read(b).ok(),
                "{}",
                a.display()
            );
        }
    }
    let products = lines(&files(&folder, "products")[0]);
    assert_eq!(products.len(), 9_000);
    assert!(products.iter().all(|p| {
        p["values"]["generated"]
            .as_str()
            .is_some_and(|g| g.contains("term_days"))
    }));
    assert!(products.iter().any(|p| p["values"]["risk_level"].is_null()));
    let prices = lines(&files(&folder, "product-events")[0]);
    assert!(
        prices
            .iter()
            .any(|p| p["type"] == "luopan.nav" && p["nav"].as_f64().is_some_and(|n| n > 0.0))
    );
}

#[test]
fn lines_that_are_no_events_stand_aside() {
    let data = platform();
    let file = data.path().join("sent.jsonl");
    let at = "\"occurred_at\":\"2025-09-01T08:00:00+08:00\"";
    let mut text = format!("{{\"id\":\"1\",\"customer\":\"a\",\"type\":\"login\",{at}}}\n\n");
    text.push_str("nothing\n");
    text.push_str(&format!(
        "{{\"id\":\"2\",\"customer\":\"a\",\"type\":\"logon\",{at}}}\n"
    ));
    text.push_str(&format!(
        "{{\"id\":\"3\",\"customer\":\"{}\",\"type\":\"login\",{at}}}\n",
        "x".repeat(3 << 20)
    ));
    text.push_str(&format!(
        "{{\"id\":\"4\",\"customer\":\"a\",\"type\":\"login\",{at}}}"
    ));
    std::fs::write(&file, text).expect("a file");
    let path = file.display().to_string();
    let words = [
        "import",
        "--scene",
        "fund",
        "--into",
        "events",
        "--as-sent",
        "--format",
        "json",
        &path,
    ];
    let answer = luopan(data.path(), &words).json();
    assert_eq!(
        (&answer["rows"], &answer["accepted"], &answer["quarantined"]),
        (&json!(5), &json!(2), &json!(3)),
        "{answer}"
    );
    let listed = luopan(data.path(), &["quarantine", "list", "--format", "json"]).json();
    let reasons: Vec<&str> = listed["inputs"]
        .as_array()
        .expect("inputs")
        .iter()
        .filter_map(|q| q["reason"].as_str())
        .collect();
    assert!(
        reasons.iter().any(|r| r.contains("sent.jsonl line 3")),
        "{reasons:?}"
    );
    assert!(reasons.iter().any(|r| r.contains("`login`")), "{reasons:?}");
    let refused = |words: &[&str]| luopan(data.path(), words).refused().to_owned();
    let products = [
        "import",
        "--scene",
        "fund",
        "--into",
        "products",
        "--as-sent",
        &path,
    ];
    assert!(refused(&products).contains("--into events"));
    let both = [
        "import",
        "--scene",
        "fund",
        "--into",
        "events",
        "--as-sent",
        "--mapping",
        "m",
        &path,
    ];
    assert_eq!(luopan(data.path(), &both).code, 2);
}

#[test]
fn what_is_given_is_used_or_refused() {
    let data = tempfile::tempdir().expect("a folder");
    let file = |name: &str, text: &str| {
        let path = data.path().join(name);
        std::fs::write(&path, text).expect("a file");
        path.display().to_string()
    };
    let list = file(
        "list.csv",
        "基金代码|基金名称|基金类别\n000001|甲混合|混合型-偏股\nJ2|乙货币|货币型\n",
    );
    let run = |output: &str, more: &[&str]| {
        let mut words = vec!["--customers", "20", "--days", "20"];
        words.extend(more);
        simulated(data.path(), output, &words)
    };
    assert_eq!(run("good", &["--products", &list]).json()["products"], 2);
    let written = lines(&files(&data.path().join("good"), "products")[0]);
    assert_eq!(
        (&written[0]["key"], &written[0]["values"]["name"]),
        (&json!("000001"), &json!("甲混合"))
    );
    assert_eq!(
        (&written[1]["key"], &written[1]["values"]["kind"]),
        (&json!("000002"), &json!("money_market"))
    );
    // All that was said of the products fits the shipped pack; the money-market fund has no prices.
    let shop = platform();
    let good = data.path().join("good");
    let said = [files(&good, "products"), files(&good, "product-events")].concat();
    let said: Vec<String> = said.iter().map(|f| f.display().to_string()).collect();
    let into =
        "import --scene fund --into product_events --as-sent --catalogue funds --format json";
    let mut words: Vec<&str> = into.split(' ').collect();
    words.extend(said.iter().map(String::as_str));
    let taken = luopan(shop.path(), &words).json();
    assert!(taken["rows"].as_u64() > Some(10), "{taken}");
    assert_eq!(taken["accepted"], taken["rows"], "{taken}");
    let show = "product show --scene fund --catalogue funds --format json 000001";
    let shown = luopan(shop.path(), &show.split(' ').collect::<Vec<_>>()).json();
    assert!(shown["attributes"]["nav"].as_f64().is_some(), "{shown}");
    let listless: Vec<&str> = words
        .iter()
        .copied()
        .filter(|w| !["--catalogue", "funds"].contains(w))
        .collect();
    let lost = luopan(shop.path(), &listless);
    assert!(
        lost.code != 0 && lost.err.contains("whose products are they?"),
        "{}",
        lost.err
    );

    let refused = |output: &str, more: &[&str]| {
        let run = run(output, more);
        assert_eq!(run.code, 1, "{}", run.err);
        run.err
    };
    assert!(refused("good", &[]).contains("is not empty"));
    let wrong = file("wrong.csv", "code,title\n1,x\n");
    assert!(refused("b", &["--products", &wrong]).contains("no column `name`"));
    let twice = file("twice.csv", "code,name,type\n1,x,y\n1,x,y\n");
    assert!(refused("c", &["--products", &twice]).contains("twice"));
    let short = file("short.json", "[\"20250801\",\"2025-09-02\"]");
    assert!(refused("d", &["--calendar", &short]).contains("2025-08-01 to 2025-09-02"));
    let bad = file("bad.txt", "2025-08-01\n2025-02-30\n");
    assert!(refused("e", &["--calendar", &bad]).contains("`2025-02-30`"));
    let index = file("index.csv", "date,close\n2025-01-02,3000\n");
    assert!(refused("f", &["--index", &index]).contains("1 days is too short"));
    assert!(
        refused("g", &["--index", &index, "--index-column", "last"]).contains("no column `last`")
    );
    assert!(refused("h", &["--start", "yesterday"]).contains("`yesterday`"));
    assert!(refused("i", &["--products", "nowhere.csv"]).contains("nowhere.csv"));
    for kept in ["b", "c", "d", "e", "f", "g", "h", "i"] {
        assert!(!data.path().join(kept).exists(), "{kept}");
    }
}

/// On the public lists of products, trading days and an index.
mod real_data {
    use super::*;
    use crate::campaign::real_data::dataset;

    #[test]
    fn the_whole_list_the_calendar_and_an_index_make_a_world() {
        let found = [
            "fund_products_cn/fund-list.csv.gz",
            "calendars_and_index/akshare_calendar.json.gz",
            "calendars_and_index/sw-801180.csv.gz",
        ]
        .map(dataset);
        let [Some(list), Some(calendar), Some(index)] = found else {
            return;
        };
        let [list, calendar, index] = [list, calendar, index].map(|p| p.display().to_string());
        let data = tempfile::tempdir().expect("a folder");
        let words = [
            "--customers",
            "300",
            "--days",
            "60",
            "--start",
            "2026-01-15",
            "--products",
            &list,
            "--calendar",
            &calendar,
            "--index",
            &index,
            "--index-column",
            "average_price",
        ];
        let written = simulated(data.path(), "real", &words).json();
        assert_eq!(written["products"], 18_270, "{written}");
        assert!(
            written["events"].as_u64().is_some_and(|n| n > 3_000),
            "{written}"
        );
        // No price on a day of the Spring Festival, which the exchange's own calendar closes from the 16th to the 23rd.
        let february = data.path().join("real/product-events-2026-02.jsonl.gz");
        let days: std::collections::BTreeSet<String> = lines(&february)
            .iter()
            .filter(|e| e["type"] == "luopan.nav")
            .filter_map(|e| Some(e["day"].as_str()?.to_owned()))
            .collect();
        assert!(
            days.contains("2026-02-13") && days.contains("2026-02-24"),
            "{days:?}"
        );
        assert!(
            !days
                .iter()
                .any(|d| ("2026-02-14".."2026-02-24").contains(&d.as_str())),
            "{days:?}"
        );
    }
}
