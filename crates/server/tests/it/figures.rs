//! `/metrics` held to its word by a parser: what is served is what the list says, the list is what docs/metrics.md says, alerts
//! name what exists, and each has its page.

use crate::command_line::applied;
use crate::pages::root;
use crate::process::Process;
use luopan_server::metrics::list::{self, Kind};
use prometheus_parse::{Scrape, Value as Sample};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::process::{Command, Stdio};

/// Labels of every figure on a page, by name, and how it was parsed.
fn parsed(page: &str) -> BTreeMap<String, (&'static str, BTreeSet<String>)> {
    let scrape = Scrape::parse(page.lines().map(|l| Ok(l.to_owned()))).expect("a page");
    let mut out: BTreeMap<String, (&'static str, BTreeSet<String>)> = BTreeMap::new();
    for sample in scrape.samples {
        let kind = match sample.value {
            Sample::Counter(_) => "counter",
            Sample::Gauge(_) => "gauge",
            Sample::Histogram(_) => "histogram",
            // A histogram's sum and number.
            Sample::Untyped(_) => continue,
            Sample::Summary(_) => "summary",
        };
        assert!(
            scrape.docs.contains_key(&sample.metric),
            "{} has no words",
            sample.metric
        );
        let found = out.entry(sample.metric).or_insert((kind, BTreeSet::new()));
        found.1.extend(sample.labels.keys().cloned());
    }
    out
}

/// A page after something of every kind was done.
fn page() -> String {
    let data = applied();
    let server = Process::start(data.path(), &[], &[]);
    let events = json!([
        {"id": "1", "customer": "a", "type": "visit"},
        {"id": "2", "customer": "a", "type": "none"},
    ]);
    let said = server.post("/v1/events?wait_ms=5000", &events);
    assert_eq!(said.status, 200, "{said:?}");
    let asked = json!({"policy": "one_unit", "customer": "a"});
    assert_eq!(server.post("/v1/decisions", &asked).status, 200);
    let many = json!({"requests": [asked, {"policy": "none", "customer": "a"}]});
    assert_eq!(server.post("/v1/decisions", &many).status, 200);
    assert_eq!(server.get("/v1/nothing").status, 404);
    server.get("/metrics").text
}

#[test]
fn what_is_served_is_listed_and_the_other_way_round() {
    let page = page();
    let found = parsed(&page);
    for metric in list::ALL {
        let labels: BTreeSet<String> = metric.labels.iter().map(|l| (*l).to_owned()).collect();
        match found.get(metric.name) {
            Some(found) => assert_eq!(*found, (metric.kind.word(), labels), "{}", metric.name),
            // The shop has no model, and no monitor.
            None => assert!(
                ["luopan_model_samples", "luopan_monitor_drifts"].contains(&metric.name),
                "{} is not served\n{page}",
                metric.name
            ),
        }
    }
    let listed: BTreeSet<&str> = list::ALL.iter().map(|m| m.name).collect();
    for name in found.keys() {
        assert!(listed.contains(name.as_str()), "`{name}` is not listed");
    }
    for line in [
        "luopan_refusals_total{code=\"unknown_policy\"} 1",
        "luopan_refusals_total{code=\"unknown_route\"} 1",
        "luopan_refusals_total{code=\"internal\"} 0",
        "luopan_inputs_quarantined_total{code=\"unknown_event_type\"} 1",
        "luopan_quarantine_rows 1",
        "luopan_nodes 1",
        "luopan_partitions_owned 257",
        "luopan_tasks_failing 0",
        "luopan_stores_unwritable 0",
        "luopan_fold_lag_entries_max 2000000",
        "luopan_store_queue_calls_max{queue=\"commit\"} 4096",
        "luopan_store_queue_calls_max{queue=\"keys\"} 4096",
        "luopan_intake_duration_seconds_count 1",
        "luopan_decide_duration_seconds_count 2",
        "luopan_store_errors_total{store=\"log\",call=\"append\"} 0",
    ] {
        assert!(page.contains(line), "`{line}` is not in\n{page}");
    }
    for call in ["append", "commit", "fold_commit", "resolve_or_create"] {
        let none = format!("call=\"{call}\"}} 0");
        let count = (page.lines())
            .find(|l| l.contains("seconds_count") && l.contains(&format!("call=\"{call}\"")))
            .expect("a count");
        assert!(!count.ends_with(&none), "no {call} was timed");
    }
    // Prometheus' own program reads it too, and finds its names right.
    if let Some(promtool) = std::env::var_os("LUOPAN_PROMTOOL") {
        let mut child = Command::new(promtool)
            .args(["check", "metrics"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("promtool runs");
        let mut stdin = child.stdin.take().expect("its input");
        stdin.write_all(page.as_bytes()).expect("sent");
        drop(stdin);
        let said = child.wait_with_output().expect("it ends");
        let words = String::from_utf8_lossy(&said.stderr).into_owned();
        let words = words + &String::from_utf8_lossy(&said.stdout);
        assert!(said.status.success(), "{words}");
    }
}

#[test]
fn the_page_of_figures_is_the_list() {
    let page = std::fs::read_to_string(root().join("docs/metrics.md")).expect("docs/metrics.md");
    let told: Vec<&str> = (page.lines())
        .filter(|l| l.starts_with("| `luopan_") || l.starts_with("| `process_"))
        .collect();
    let listed: Vec<String> = (list::ALL.iter())
        .map(|m| {
            let labels: Vec<String> = m.labels.iter().map(|l| format!("`{l}`")).collect();
            let labels = labels.join(", ");
            format!(
                "| `{}` | {} | {labels} | {} |",
                m.name,
                m.kind.word(),
                m.words
            )
        })
        .collect();
    assert_eq!(told, listed);
}

/// Names of figures in an expression.
fn names(expression: &str) -> BTreeSet<&str> {
    expression
        .split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .filter(|w| w.starts_with("luopan_") || w.starts_with("process_"))
        .collect()
}

#[test]
fn alerts_name_figures_that_exist_and_have_their_pages() {
    let text = std::fs::read_to_string(root().join("deploy/prometheus/alerts.yml"));
    let rules = crate::deploy::yaml(&text.expect("alerts"));
    let rules = rules.at("groups").items()[0].at("rules").items();
    assert!(rules.len() >= 15);
    let mut alerts = BTreeSet::new();
    for rule in rules {
        let alert = rule.at("alert").text();
        assert!(alerts.insert(format!("{alert}.md")), "{alert} stands twice");
        let found = names(rule.at("expr").text());
        // Whether a target answers is Prometheus' own figure.
        assert!(
            !found.is_empty() || rule.at("expr").text().starts_with("up{"),
            "{alert}"
        );
        for name in found {
            let is_known = list::ALL.iter().any(|m| {
                m.name == name
                    || (m.kind == Kind::Histogram
                        && ["_bucket", "_sum", "_count"]
                            .iter()
                            .any(|end| name.strip_suffix(end) == Some(m.name)))
            });
            assert!(is_known, "{alert} names `{name}`, which is not served");
        }
        let runbook = rule.at("annotations").at("runbook").text();
        assert!(
            runbook.ends_with(&format!("/docs/runbook/{alert}.md")),
            "{runbook}"
        );
        let page = std::fs::read_to_string(root().join(format!("docs/runbook/{alert}.md")));
        let page = page.unwrap_or_else(|e| panic!("{alert} has no page: {e}"));
        for part in [
            &format!("# {alert}\n"),
            "## What it means",
            "## What customers and senders notice",
            "## What to do",
            rule.at("labels").at("severity").text(),
        ] {
            assert!(page.contains(part), "the page of {alert} lacks `{part}`");
        }
    }
    alerts.insert("jetstream.md".to_owned());
    let pages: BTreeSet<String> = std::fs::read_dir(root().join("docs/runbook"))
        .expect("docs/runbook")
        .map(|e| {
            e.expect("an entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    assert_eq!(pages, alerts);
}

#[test]
fn every_call_of_a_store_is_handed_on() {
    let watched = std::fs::read_to_string(root().join("crates/server/src/watched.rs"));
    let watched = watched.expect("watched.rs");
    let mut calls = 0;
    for (file, mark) in [
        ("log", "pub trait EventLog"),
        ("state", "pub trait State"),
        ("control", "pub trait Control"),
        ("keys", "pub trait Keys"),
        ("nodes", "pub trait Nodes"),
    ] {
        let text = std::fs::read_to_string(root().join(format!("crates/store/src/{file}.rs")));
        let text = text.expect("a source");
        let (_, of) = text.split_once(mark).expect("the trait");
        let of = of.split("\n}\n").next().unwrap_or_default();
        let word = mark.trim_start_matches("pub trait ");
        let mine = watched.split(&format!("impl {word} for")).nth(1);
        let mine = mine
            .and_then(|t| t.split("\n}\n").next())
            .expect("an implementation");
        for line in of.lines() {
            let Some((_, name)) = line.split_once("fn ").filter(|_| line.starts_with("    "))
            else {
                continue;
            };
            let name: String = name.chars().take_while(|c| *c != '(').collect();
            assert!(
                mine.contains(&format!("fn {name}(")),
                "`{word}::{name}` is not handed on: a default would answer instead of the store"
            );
            calls += 1;
        }
    }
    assert!(calls > 25, "{calls} calls were found");
}
