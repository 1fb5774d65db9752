//! Streams of lines: several files in one order of time, what is refused, what is kept in memory, and the command's answers.

use luopan_checker::{Checker, Config, Record, check_paths};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(dir.path().join(name), text).unwrap();
    }
    dir
}

pub(super) fn check(files: &[(&str, &str)]) -> Result<luopan_checker::Report, String> {
    let dir = folder(files);
    check_paths(&[dir.path().to_owned()]).map_err(|e| {
        e.to_string()
            .replace(&dir.path().display().to_string(), ".")
    })
}

const CUSTOMER: &str = r#"{"type":"customer","at":"2026-11-01T00:00:00Z","customer":"c","risk_appetite":3,"appetite_expires_at":"2027-01-01T00:00:00Z"}
"#;
const PRODUCTS: &str = r#"{"type":"product","at":"2026-11-01T00:00:00Z","product":"p","risk_level":2}
{"type":"product","at":"2026-11-03T00:00:00Z","product":"p","risk_level":4}
"#;
const DECISIONS: &str = r#"{"type":"decision","at":"2026-11-02T00:00:00Z","id":"d1","customer":"c","purpose":"show","channel":"app","items":["p"]}

{"type":"decision","at":"2026-11-03T00:00:00Z","id":"d2","customer":"c","purpose":"show","channel":"app","items":["p"]}
"#;

#[test]
fn files_are_read_as_one_stream_in_order_of_time() {
    let report = check(&[
        ("a-decisions.jsonl", DECISIONS),
        ("customers.jsonl", CUSTOMER),
        ("products.jsonl", PRODUCTS),
    ])
    .unwrap();
    assert_eq!(
        (report.records, report.customers, report.products),
        (5, 1, 1)
    );
    // The re-rating stands before the decision of the same moment, in whatever files they are.
    let one = &report.rules[&1];
    assert_eq!(one.violated, 1);
    assert_eq!(one.violations[0].record, "decision d2");
    assert_eq!(report.violated(), 1);
}

#[test]
fn what_cannot_be_read_is_told_with_file_and_line() {
    let bad = [
        ("{\"type\":\"customer\"", "./x.jsonl:1: EOF"),
        (
            "{\"type\":\"customer\",\"at\":\"2026-11-01T00:00:00Z\",\"customer\":\"c\",\"risk_apetite\":3}",
            "./x.jsonl:1: unknown field `risk_apetite`",
        ),
        (
            "{\"type\":\"order\",\"at\":\"2026-11-01T00:00:00Z\",\"id\":\"o\",\"customer\":\"c\",\"product\":\"p\",\"step\":\"paid\",\"side\":\"redeem\",\"amount\":-1}",
            "./x.jsonl:1: shares, nav and amount are numbers of zero or more",
        ),
        (
            "{\"type\":\"erased\",\"at\":\"2026-11-02T00:00:00Z\",\"customer\":\"c\"}\n{\"type\":\"erased\",\"at\":\"2026-11-01T00:00:00Z\",\"customer\":\"c\"}",
            "./x.jsonl:2: 2026-11-01T00:00:00Z comes after",
        ),
        (
            "{\"type\":\"nothing\"}",
            "./x.jsonl:1: unknown variant `nothing`",
        ),
    ];
    for (text, wanted) in bad {
        let found = check(&[("x.jsonl", text)]).unwrap_err();
        assert!(found.starts_with(wanted), "{found}");
    }
    assert!(
        check(&[])
            .unwrap_err()
            .contains("no file that ends in .jsonl")
    );
    let with = |name: &str, text: &str| check(&[("x.jsonl", CUSTOMER), (name, text)]).unwrap_err();
    assert!(with("config.json", "{\"lowest\": 1}").contains("unknown field `lowest`"));
    assert!(
        with(
            "config.json",
            "{\"fee_ladder\": [{\"under_days\": 7, \"rate\": 1.5}]}"
        )
        .contains("ladder")
    );
    assert!(
        with(
            "calendar.json",
            "{\"from\":\"2026-02-01\",\"to\":\"2026-01-01\",\"days\":[]}"
        )
        .contains("is after")
    );
}

#[test]
fn a_fact_holds_until_it_is_set_anew_or_taken_away() {
    let mut checker = Checker::new(Config::default().checked().unwrap(), None);
    let mut take = |text: &str| {
        checker
            .take(serde_json::from_str::<Record>(text).unwrap())
            .unwrap()
    };
    take(CUSTOMER);
    take(r#"{"type":"product","at":"2026-11-01T00:00:00Z","product":"p","risk_level":2}"#);
    // Naming another fact leaves the class; null takes it away.
    take(r#"{"type":"customer","at":"2026-11-02T00:00:00Z","customer":"c","age":30}"#);
    take(
        r#"{"type":"decision","at":"2026-11-02T00:00:00Z","id":"d1","customer":"c","purpose":"show","channel":"app","items":["p"]}"#,
    );
    take(r#"{"type":"customer","at":"2026-11-03T00:00:00Z","customer":"c","risk_appetite":null}"#);
    take(
        r#"{"type":"decision","at":"2026-11-03T00:00:00Z","id":"d2","customer":"c","purpose":"show","channel":"app","items":["p"]}"#,
    );
    let report = checker.finish();
    assert_eq!(
        (report.rules[&1].kept > 0, report.rules[&1].violated),
        (true, 0)
    );
    assert_eq!(report.rules[&4].violated, 1);
    assert_eq!(report.rules[&4].violations[0].record, "decision d2");
}

#[test]
fn nobody_who_was_never_told_of_is_offered_anything() {
    let text = r#"{"type":"decision","at":"2026-11-02T00:00:00Z","id":"d1","customer":"nobody","purpose":"push","channel":"app","items":["nothing"]}"#;
    let report = check(&[("x.jsonl", text)]).unwrap();
    assert_eq!(report.rules[&4].violated, 1);
    // Silence is no offer.
    let silent = text.replace("[\"nothing\"]", "[]");
    assert_eq!(check(&[("x.jsonl", &silent)]).unwrap().violated(), 0);
}

#[test]
fn without_a_calendar_days_are_unknown_and_neither_kept_nor_violated() {
    let text = r#"{"type":"order","at":"2026-11-20T06:00:00Z","id":"o","customer":"c","product":"p","step":"submitted","side":"redeem","trade_day":"2026-11-20"}"#;
    let with = |calendar: &str| {
        let mut files = vec![("x.jsonl", text)];
        if !calendar.is_empty() {
            files.push(("calendar.json", calendar));
        }
        let report = check(&files).unwrap();
        let c = report.rules[&12].clone();
        (c.kept, c.violated, c.unknown)
    };
    assert_eq!(with(""), (0, 0, 1));
    assert_eq!(
        with(r#"{"from":"2026-01-01","to":"2026-12-31","closed":[]}"#),
        (1, 0, 0)
    );
    assert_eq!(
        with(r#"{"from":"2026-01-01","to":"2026-12-31","days":["2026-11-23"]}"#),
        (0, 1, 0)
    );
    assert_eq!(
        with(r#"{"from":"2026-01-01","to":"2026-11-19","closed":[]}"#),
        (0, 0, 1)
    );
}

#[test]
fn only_the_first_examples_are_kept_and_all_are_counted() {
    let mut text = String::new();
    for i in 0..40 {
        text += &format!(
            "{{\"type\":\"read\",\"at\":\"2026-11-20T06:00:00Z\",\"customer\":\"c{i}\",\"path\":\"marketing\"}}\n"
        );
    }
    let report = check(&[("x.jsonl", &text)]).unwrap();
    let six = &report.rules[&6];
    assert_eq!(
        (six.violated, six.violations.len()),
        (40, luopan_checker::report::EXAMPLES_MAX)
    );
    assert_eq!(six.violations[0].customer, "c0");
}

#[test]
fn an_order_is_told_once_however_often_it_comes() {
    let step = |at: &str, step: &str, more: &str| {
        format!(
            "{{\"type\":\"order\",\"at\":\"{at}\",\"id\":\"o\",\"customer\":\"c\",\"product\":\"p\",\"step\":\"{step}\",\"side\":\"redeem\"{more}}}\n"
        )
    };
    let fast = ",\"fast\":true,\"amount\":600";
    let text = [
        "{\"type\":\"product\",\"at\":\"2026-11-01T00:00:00Z\",\"product\":\"p\",\"fast_redemption_limit\":1000}\n".to_owned(),
        step("2026-11-20T06:00:00Z", "submitted", fast),
        step("2026-11-20T06:00:01Z", "submitted", fast),
    ]
    .concat();
    let thirteen = &check(&[("x.jsonl", &text)]).unwrap().rules[&13];
    assert_eq!((thirteen.kept, thirteen.violated), (1, 0));
}

#[test]
fn the_command_ends_with_what_it_found() {
    let run = |paths: &[PathBuf], flag: &[&str]| {
        let out = Command::new(env!("CARGO_BIN_EXE_luopan-checker"))
            .args(paths)
            .args(flag)
            .output()
            .unwrap();
        (
            out.status.code(),
            String::from_utf8(out.stdout).unwrap() + &String::from_utf8(out.stderr).unwrap(),
        )
    };
    let good = folder(&[("customers.jsonl", CUSTOMER)]);
    let bad = folder(&[
        ("a.jsonl", CUSTOMER),
        ("b.jsonl", PRODUCTS),
        ("c.jsonl", DECISIONS),
    ]);
    assert_eq!(run(&[good.path().into()], &[]).0, Some(0));
    let (code, text) = run(&[bad.path().into()], &[]);
    assert_eq!(code, Some(1));
    assert!(text.contains("rule 1 violated at 2026-11-03T00:00:00Z, decision d2, customer c, product p: risk 4, class 3: shown"), "{text}");
    let (code, text) = run(&[bad.path().into()], &["--json"]);
    let report: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        (code, &report["rules"]["1"]["violated"]),
        (Some(1), &serde_json::json!(1))
    );
    assert_eq!(run(&[good.path().join("nowhere.jsonl")], &[]).0, Some(2));
    assert_eq!(run(&[], &[]).0, Some(2));
    assert_eq!(run(&[good.path().into()], &["--quick"]).0, Some(2));
}

/// What was asked for at once and refused took nothing of the day's limit; what was taken did, and its days are not the text's.
#[test]
fn a_fast_redemption_counts_when_it_is_taken() {
    let step = |at: &str, id: &str, step: &str, amount: u32| {
        format!(
            "{{\"type\":\"order\",\"at\":\"2026-11-20T{at}Z\",\"id\":\"{id}\",\"customer\":\"c\",\"product\":\"p\",\"step\":\"{step}\",\"side\":\"redeem\",\"fast\":true,\"amount\":{amount}}}\n"
        )
    };
    let product = "{\"type\":\"product\",\"at\":\"2026-11-01T00:00:00Z\",\"product\":\"p\",\"fast_redemption_limit\":1000,\"money_market\":true,\"fee_exempt\":true}\n";
    let looks = |steps: &[String]| {
        let text = product.to_owned() + &steps.concat();
        let calendar = r#"{"from":"2026-01-01","to":"2026-12-31","closed":[]}"#;
        let report = check(&[("x.jsonl", &text), ("calendar.json", calendar)]).unwrap();
        [12, 13].map(|rule| {
            let c = &report.rules[&rule];
            (c.kept, c.violated, c.unknown)
        })
    };
    let refused = [
        step("06:00:00", "a", "submitted", 5_000),
        step("06:00:02", "a", "failed", 5_000),
        step("07:00:00", "b", "submitted", 1_000),
        step("07:00:01", "b", "accepted", 1_000),
    ];
    assert_eq!(looks(&refused), [(0, 0, 2), (1, 0, 0)]);
    // Taken over the limit, whether it is told when it was taken or only that it was confirmed, or nothing more at all.
    for last in ["accepted", "confirmed"] {
        let taken = [
            step("06:00:00", "a", "submitted", 5_000),
            step("06:00:02", "a", last, 5_000),
        ];
        assert_eq!(looks(&taken)[1].1, 1, "{last}");
    }
    assert_eq!(looks(&[step("06:00:00", "a", "submitted", 5_000)])[1].1, 1);
    // The days of T and T+1 are those of ordinary orders: the submission told no day, and of the confirmation none is due.
    let confirmed = [
        step("06:00:00", "a", "submitted", 500),
        step("06:00:01", "a", "accepted", 500),
        step("06:00:02", "a", "confirmed", 500),
    ];
    assert_eq!(looks(&confirmed), [(0, 0, 2), (1, 0, 1)]);
}

/// Fees are compared exactly: a ten-thousandth of a fen below a whole one asks for no fen more.
#[test]
fn a_fee_is_rounded_down_once_and_exactly() {
    let order = |at: &str, id: &str, side: &str, step: &str, more: &str| {
        format!(
            "{{\"type\":\"order\",\"at\":\"2026-11-{at}T02:00:00Z\",\"id\":\"{id}\",\"customer\":\"c\",\"product\":\"p\",\"step\":\"{step}\",\"side\":\"{side}\"{more}}}\n"
        )
    };
    // Two lots of 0.7 fen each owe 1.4 fen together.
    let lots = |fee: u32, nav: &str| {
        [
            "{\"type\":\"product\",\"at\":\"2026-11-01T00:00:00Z\",\"product\":\"p\",\"fee_ladder\":[{\"under_days\":30,\"rate\":0.01}]}\n".to_owned(),
            order("02", "a", "buy", "confirmed", ",\"shares\":0.7"),
            order("03", "b", "buy", "confirmed", ",\"shares\":0.7"),
            order("09", "r", "redeem", "submitted", ""),
            order("10", "r", "redeem", "confirmed", &format!(",\"shares\":1.4,\"nav\":{nav},\"fee\":{fee}")),
        ]
        .concat()
    };
    let violated = |fee, nav| check(&[("x.jsonl", &lots(fee, nav))]).unwrap().rules[&14].violated;
    assert_eq!((violated(1, "1.0"), violated(0, "1.0")), (0, 1));
    // 1.4 x 1.428571 x 1 % is 1.9999994 fen: one fen is enough.
    assert_eq!((violated(1, "1.428571"), violated(1, "1.428572")), (0, 1));
}

#[test]
fn standard_input_is_read_beside_settings_of_a_folder() {
    use std::io::Write as _;
    let dir = folder(&[("config.json", "{\"shelf_is_an_offer\": false}")]);
    let mut child = Command::new(env!("CARGO_BIN_EXE_luopan-checker"))
        .args(["--json".as_ref(), dir.path().as_os_str(), "-".as_ref()])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    for text in [CUSTOMER, PRODUCTS.lines().next().unwrap(), "\n", DECISIONS] {
        input.write_all(text.as_bytes()).unwrap();
    }
    drop(input);
    let out = child.wait_with_output().unwrap();
    let report: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(
        (out.status.code(), &report["records"]),
        (Some(0), &serde_json::json!(4))
    );
}
