//! `luopan train factors`: from a pack whose file is not there yet to decisions by what history says, and what is refused.

use crate::command_line::luopan;
use luopan_kernel::factors::Factors;
use luopan_kernel::random::Random;
use serde_json::{Value, json};
use std::path::Path;
use tempfile::TempDir;

const PACK: &str = r#"
scene: wealth
zone: Asia/Shanghai
customer: {band: {type: text, one_of: [low, high]}}
events:
  look: {fields: {item: text}}
  order: {fields: {item: text, side: {type: text, one_of: [buy, redeem]}}}
tags:
  looks_7d: {event: look, aggregate: count, window: 7d}
artifacts:
  taste: {file: artifacts/taste.bin, kind: factors}
catalogues:
  funds:
    attributes: {kind: text, risk: integer}
    items: {ITEMS}
policies:
  offer:
    catalogue: funds
    channel: app
    retrieval:
      factors: taste
      customer: [intercept, {one_hot: band, categories: [low, high]}, {bins: looks_7d, edges: [1, 5], missing: false}]
      item: [{one_hot: item.kind, categories: [bond, equity], other: false, missing: false}]
      keep: 5
      learn_from:
        - {event: order, where: 'side.orElse("buy") == "buy"'}
        - {event: look, weight: 0.1}
    score: score.retrieved
    exploration: greedy
    null_action: {name: silent}
  shelf:
    catalogue: funds
    channel: app
    score: "1.0"
    exploration: uniform
    null_action: {name: silent}
"#;

fn pack() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("artifacts")).expect("a folder");
    let items: Vec<String> = (0..40)
        .map(|i| {
            let kind = if i % 2 == 0 { "bond" } else { "equity" };
            format!("i{i:02}: {{kind: {kind}, risk: {}}}", 1 + i % 5)
        })
        .collect();
    let text = PACK.replace("{ITEMS}", &format!("{{{}}}", items.join(", ")));
    std::fs::write(folder.path().join("scene.yaml"), text).expect("a file");
    folder
}

fn of(path: &Path) -> String {
    path.to_str().expect("a path").to_owned()
}

/// A history of customers of whom the low band looks at and orders bonds and the high one equity.
fn history(data: &Path) {
    let mut random = Random::new(5);
    let mut lines = Vec::new();
    let mut number = 0;
    let mut line = |at: u64, customer: u64, kind: &str, properties: Value| {
        number += 1;
        let (day, minute) = (1 + at / 1440, at % 1440);
        let at = format!(
            "2026-{:02}-{:02}T{:02}:{:02}:00Z",
            1 + (day - 1) / 28,
            1 + (day - 1) % 28,
            minute / 60,
            minute % 60
        );
        lines.push(
            json!({"id": format!("h{number}"), "customer": format!("c{customer}"), "type": kind,
                "occurred_at": at, "properties": properties})
            .to_string(),
        );
    };
    for customer in 0..60 {
        let band = ["low", "high"][(customer % 2) as usize];
        line(0, customer, "luopan.customer", json!({"band": band}));
    }
    for step in 0..3_000u64 {
        let customer = random.bits() % 60;
        let own = random.uniform() < 0.9;
        let item = loop {
            let item = random.bits() % 40;
            if !own || item % 2 == customer % 2 {
                break item;
            }
        };
        let item = format!("i{item:02}");
        match random.bits() % 3 {
            0 => line(
                step * 20,
                customer,
                "order",
                json!({"item": item, "side": if random.bits().is_multiple_of(8) { "redeem" } else { "buy" }}),
            ),
            _ => line(step * 20, customer, "look", json!({ "item": item })),
        }
    }
    let file = data.join("history.jsonl");
    std::fs::write(&file, lines.join("\n")).expect("a file");
    luopan(
        data,
        &[
            "import",
            "--scene",
            "wealth",
            "--into",
            "events",
            "--as-sent",
            &of(&file),
        ],
    )
    .ok();
}

/// The code and the words of a refusal.
fn refusal(data: &Path, asked: &[&str]) -> (String, String) {
    let run = luopan(data, &[asked, &["--format", "json"]].concat());
    assert_eq!((run.code, run.out.as_str()), (1, ""), "{}", run.err);
    let said: Value = serde_json::from_str(&run.err).expect("a problem");
    let text = |name: &str| said[name].as_str().expect("a text").to_owned();
    (text("code"), text("detail"))
}

fn words<'a>(pack: &'a str, output: &'a str) -> Vec<&'a str> {
    vec![
        "train", "factors", "--pack", pack, "--policy", "offer", "--output", output,
    ]
}

#[test]
fn factors_are_trained_from_history_and_applied() {
    let data = tempfile::tempdir().expect("a folder");
    let folder = pack();
    let (at, pack) = (data.path(), of(folder.path()));
    let file = of(&folder.path().join("artifacts/taste.bin"));

    // Nothing is there: the pack is applied with factors that have learned nothing.
    let mut first = words(&pack, &file);
    first.push("--untrained");
    luopan(at, &first).ok();
    luopan(at, &["scene", "apply", &pack]).ok();
    history(at);

    let mut json = words(&pack, &file);
    json.extend(["--format", "json", "--dimension", "8", "--seed", "7"]);
    let report = luopan(at, &json).json();
    let number = |pointer: &str| {
        let found = report.pointer(pointer).and_then(Value::as_f64);
        found.unwrap_or_else(|| panic!("{pointer} of {report}"))
    };
    assert_eq!(number("/read/customers"), 60.0);
    assert!(number("/read/filtered") > 50.0);
    assert_eq!(number("/items"), 40.0);
    // All forty items are among the first fifty, so only the order tells.
    assert!(number("/factors/ndcg_at_10") > 1.3 * number("/popularity/ndcg_at_10"));
    let trained = std::fs::read(&file).expect("the file");
    let factors = Factors::decode(&trained).expect("factors");
    assert_eq!((factors.dimension(), factors.len()), (8, 40));

    // The same again is the same; another seed and less of history are not.
    let mut again = words(&pack, &file);
    again.extend(["--dimension", "8", "--seed", "7"]);
    let text = luopan(at, &again).ok().to_owned();
    assert!(
        text.contains("recall@50") && text.contains("learned once more from all examples"),
        "{text}"
    );
    assert_eq!(std::fs::read(&file).expect("the file"), trained);
    let other = of(&at.join("other.bin"));
    let mut less = words(&pack, &other);
    less.extend([
        "--dimension",
        "8",
        "--seed",
        "7",
        "--until",
        "2026-01-20T00:00:00Z",
    ]);
    assert!(luopan(at, &less).ok().contains("outside the time"));
    assert_ne!(std::fs::read(&other).expect("the file"), trained);

    // What was trained decides: bonds for the low band, equity for the high one.
    assert!(
        luopan(at, &["scene", "apply", &pack])
            .ok()
            .contains("artifact `taste` changed")
    );
    assert_eq!((offered(at, "c0") % 2, offered(at, "c1") % 2), (0, 1));
}

#[test]
fn what_cannot_be_trained_is_refused_and_writes_nothing() {
    let data = tempfile::tempdir().expect("a folder");
    let folder = pack();
    let (at, pack) = (data.path(), of(folder.path()));
    let file = of(&at.join("taste.bin"));
    let refused = |more: &[&str], wanted: &str| {
        let (code, detail) = refusal(at, &[&words(&pack, &file)[..], more].concat());
        assert_eq!(code, wanted, "{detail}");
        assert!(!Path::new(&file).exists());
        detail
    };
    // Nothing but the scene is there, then no history.
    let mut first = words(&pack, &file);
    first.push("--untrained");
    luopan(at, &first).ok();
    std::fs::rename(&file, folder.path().join("artifacts/taste.bin")).expect("moved");
    luopan(at, &["scene", "apply", &pack]).ok();
    let said = refused(&[], "too_little_to_learn_from");
    assert!(said.contains("0 examples"), "{said}");
    history(at);
    refused(&["--dimension", "300"], "command_line");
    refused(
        &["--until", "2026-01-01T00:00:00Z"],
        "too_little_to_learn_from",
    );
    for (policy, wanted) in [
        ("shelf", "nothing_to_learn_from"),
        ("ofer", "unknown_policy"),
    ] {
        let mut asked = words(&pack, &file);
        asked[5] = policy;
        assert_eq!(refusal(at, &asked).0, wanted);
        asked.push("--untrained");
        assert_eq!(refusal(at, &asked).0, wanted);
    }
    // A folder that is not there is made; one that is a file cannot be.
    std::fs::write(at.join("nowhere"), "a file").expect("a file");
    let nowhere = of(&at.join("nowhere/taste.bin"));
    let mut elsewhere = words(&pack, &nowhere);
    elsewhere.push("--untrained");
    let (code, detail) = refusal(at, &elsewhere);
    assert_eq!(code, "file_unreadable");
    assert!(detail.contains("cannot be written"), "{detail}");
}

/// The item that a policy gives a customer, by its number.
fn offered(data: &Path, customer: &str) -> u32 {
    let decided = luopan(
        data,
        &[
            "decide",
            "--scene",
            "wealth",
            "--policy",
            "offer",
            "--customer",
            customer,
            "--format",
            "json",
        ],
    )
    .json();
    let item = decided["choices"][0]["item"].as_str().expect("an item");
    item[1..].parse().expect("a number")
}

#[test]
fn vectors_from_python_are_imported() {
    let python = std::process::Command::new("python3")
        .arg("--version")
        .output();
    if !python.is_ok_and(|p| p.status.success()) {
        eprintln!("skipped: there is no python3");
        return;
    }
    let data = tempfile::tempdir().expect("a folder");
    let folder = pack();
    let (at, pack) = (data.path(), of(folder.path()));
    let file = of(&folder.path().join("artifacts/taste.bin"));
    let mut first = words(&pack, &file);
    first.push("--untrained");
    luopan(at, &first).ok();
    luopan(at, &["scene", "apply", &pack]).ok();
    history(at);
    let (examples, vectors) = (at.join("examples.jsonl"), at.join("vectors.jsonl"));
    let with = |command: &'static str| {
        let mut asked = words(&pack, &file);
        asked[1] = command;
        asked
    };
    let (examples, vectors) = (of(&examples), of(&vectors));
    let mut out = with("examples");
    out[7] = &examples;
    assert!(luopan(at, &out).ok().contains("not under the condition"));
    let lines = std::fs::read_to_string(&examples).expect("the file");
    let lines: Vec<Value> = (lines.lines())
        .map(|l| serde_json::from_str(l).expect("a line"))
        .collect();
    assert_eq!(
        lines[1],
        json!({"item": "i01", "features": {"item.kind=equity": 1.0}})
    );
    assert_eq!(lines[40]["features"]["intercept"], 1.0);

    let page = std::fs::read_to_string(crate::pages::root().join("docs/factors-in-python.md"));
    let page = page.expect("the page");
    let code = page.split("```python\n").nth(1).expect("code");
    let code = code.split("```").next().expect("code");
    std::fs::write(at.join("train.py"), code).expect("a file");
    let ran = std::process::Command::new("python3")
        .arg("train.py")
        .current_dir(at)
        .output()
        .expect("it runs");
    assert!(ran.status.success(), "{ran:?}");
    let mut import = with("import-factors");
    import.extend(["--input", &vectors]);
    let said = luopan(at, &import).ok().to_owned();
    assert!(said.contains("8 numbers a vector"), "{said}");
    luopan(at, &["scene", "apply", &pack]).ok();
    assert_eq!((offered(at, "c0") % 2, offered(at, "c1") % 2), (0, 1));

    // What does not fit is refused with its line, and the file stays.
    let before = std::fs::read(&file).expect("the file");
    for (line, said) in [
        (
            json!({"customer": "band=lo", "vector": [1.0]}),
            "`band=low`",
        ),
        (json!({"item": "i01", "vector": []}), "1 to 256"),
        (
            json!({"item": "i01", "customer": "band=low", "vector": [1.0]}),
            "write one of",
        ),
        (json!({"vector": [1.0]}), "write one of"),
        (json!({"item": "i01", "vector": [1e30]}), "1000000"),
        (json!({"thing": "i01", "vector": [1.0]}), "line 1"),
    ] {
        std::fs::write(&vectors, line.to_string()).expect("a file");
        let (code, detail) = refusal(at, &import);
        assert_eq!(code, "file_unreadable");
        assert!(detail.contains(said), "{line}: {detail}");
    }
    let twice = json!({"item": "i01", "vector": [1.0]}).to_string();
    std::fs::write(&vectors, format!("{twice}\n{twice}\n")).expect("a file");
    assert!(
        refusal(at, &import)
            .1
            .contains("line 2: the item stands twice")
    );
    std::fs::write(&vectors, "").expect("a file");
    assert!(refusal(at, &import).1.contains("there are no vectors"));
    assert_eq!(std::fs::read(&file).expect("the file"), before);
}
