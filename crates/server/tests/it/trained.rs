//! A scene with trained artifacts, through the program: retrieval by factors, ranking by LightGBM's trees, weighed objectives;
//! explained after a restart and after newer trees; and the proof of why each decision and order was allowed.

use crate::command_line::luopan;
use crate::pages::root;
use luopan_kernel::factors::{Factors, ItemFactors};
use serde_json::Value;
use std::path::Path;
use tempfile::TempDir;

const PACK: &str = r#"
scene: wealth
zone: Asia/Shanghai
customer: {appetite: integer, age: number}
events:
  order_submitted:
    fields: {order_id: {type: text, required: true}, item: {type: text, required: true}, amount: {type: money, currency: CNY}, decision_id: text}
  order_confirmed:
    fields: {order_id: {type: text, required: true}, item: text, amount: {type: money, currency: CNY}, shares: number}
  bought:
    fields: {decision_id: text}
artifacts:
  taste: {file: artifacts/taste.bin, kind: factors}
  rank: {file: artifacts/rank.txt, kind: trees}
catalogues:
  funds:
    attributes: {risk: integer, fee: number, kind: text}
    items:
      a: {risk: 1, fee: 0.1, kind: bond}
      b: {risk: 2, fee: 0.2, kind: bond}
      c: {risk: 3, fee: 0.3, kind: equity}
      d: {risk: 5, fee: 0.4, kind: equity}
orders:
  funds:
    utc_offset: "+08:00"
    submitted: {event: order_submitted, order: order_id, item: item, amount: amount, decision: decision_id}
    confirmed: {event: order_confirmed, order: order_id, item: item, amount: amount, shares: shares}
rewards:
  buys: {event: bought, join: {decision: decision_id}, value: "true", window: 1d}
models:
  response: {kind: logistic, scope: shared, reward: buys, catalogue: funds, features: [intercept, {standard: score.ranked, mean: 0, scale: 1}]}
policies:
  offer:
    catalogue: funds
    channel: app
    suitability:
      - {name: match, rule: item.risk <= appetite, version: "2026-01", authority: "rule 1", effective: "2026-01-01"}
    retrieval: {factors: taste, customer: [intercept, {bins: age, edges: [40], missing: false}], keep: 3}
    ranking: {trees: rank, inputs: {f0: age, f1: item.risk, f2: item.fee, f3: score.retrieved, f4: appetite, f5: item.risk}, keep: 2}
    score:
      objectives:
        response: {model: response}
        cheap: {value: item.fee, weight: -0.1}
    exploration: {linucb: {alpha: 1, floor: 0.1}}
    null_action: {name: silent}
    rewards: [buys]
"#;

/// A folder with the pack; `tree` names a model of LightGBM.
fn pack(tree: &str) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let artifacts = folder.path().join("artifacts");
    std::fs::create_dir(&artifacts).expect("a folder");
    let items = ["a", "b", "c", "d"]
        .iter()
        .enumerate()
        .map(|(i, key)| ItemFactors {
            key: (*key).to_owned(),
            vector: vec![i as f32, 1.0 - i as f32],
            bias: 0.25,
        });
    let factors =
        Factors::new(2, vec![1.0, 0.5, 0.25, 0.0, 0.0, 0.75], vec![], items).expect("factors");
    std::fs::write(folder.path().join("scene.yaml"), PACK).expect("a file");
    std::fs::write(artifacts.join("taste.bin"), factors.encode()).expect("a file");
    let model = root().join("crates/learning/tests/lightgbm").join(tree);
    std::fs::copy(model, artifacts.join("rank.txt")).expect("a file");
    folder
}

fn apply(data: &Path, folder: &TempDir) {
    luopan(
        data,
        &["scene", "apply", &folder.path().display().to_string()],
    )
    .ok();
}

fn decide(data: &Path, customer: &str, more: &[&str]) -> Value {
    let mut words = vec![
        "decide",
        "--scene",
        "wealth",
        "--policy",
        "offer",
        "--customer",
        customer,
    ];
    words.extend(["--format", "json"]);
    words.extend(more);
    luopan(data, &words).json()
}

fn explain(data: &Path, id: &str) -> Value {
    luopan(data, &["explain", id, "--format", "json"]).json()
}

fn import(data: &Path, name: &str, lines: &str) {
    let file = data.join(name);
    std::fs::write(&file, lines).expect("a file");
    let words = [
        "import",
        "--scene",
        "wealth",
        "--into",
        "events",
        "--as-sent",
        &file.display().to_string(),
    ]
    .map(str::to_owned);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    luopan(data, &words).ok();
}

#[test]
fn trained_scenes_decide_are_explained_and_proved() {
    let data = tempfile::tempdir().expect("a folder");
    let at = data.path();
    apply(at, &pack("regression.txt"));
    import(
        at,
        "customers.jsonl",
        "{\"id\":\"k1\",\"customer\":\"c1\",\"type\":\"luopan.customer\",\"properties\":{\"appetite\":3,\"age\":30}}\n",
    );
    let first = decide(at, "c1", &[]);
    let id = first["id"].as_str().expect("an id").to_owned();
    assert_eq!(first["available"], 2, "{first}");
    let explained = explain(at, &id);
    assert_eq!(explained["agrees"], true, "{explained}");
    assert_eq!(
        explained["record"]["decision"]["eligible"], 3,
        "{explained}"
    );

    // Another file of trees is another version of the scene; the old decision is explained by the old trees.
    let other = pack("regression_l1.txt");
    let words = ["scene", "apply", &other.path().display().to_string()].map(str::to_owned);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    assert!(luopan(at, &words).ok().contains("artifact `rank` changed"));
    assert_eq!(explain(at, &id)["agrees"], true);
    let second = decide(at, "c1", &[]);
    assert_ne!(first["scene_version"], second["scene_version"]);
    assert_eq!(
        explain(at, second["id"].as_str().expect("an id"))["agrees"],
        true
    );

    // One item asked for: given when it is suitable, refused by name and version when not.
    let own = decide(at, "c1", &["--item", "a"]);
    assert_eq!(own["choices"][0]["item"], "a", "{own}");
    let refused = decide(at, "c1", &["--item", "d"]);
    assert_eq!(refused["null_action"], "silent");
    assert!(
        refused.to_string().contains("\"match\"") && refused.to_string().contains("2026-01"),
        "{refused}"
    );

    // A customer of whom nothing is known is offered nothing.
    assert_eq!(decide(at, "nobody", &[])["null_action"], "silent");

    // Orders: one that a decision allowed, one of an item that it did not, one without any.
    let own = own["id"].as_str().expect("an id");
    let order = |n: u32, item: &str, decision: &str| {
        format!(
            "{{\"id\":\"o{n}\",\"customer\":\"c1\",\"type\":\"order_submitted\",\"properties\":{{\"order_id\":\"n{n}\",\"item\":\"{item}\"{decision}}}}}\n"
        )
    };
    let names = format!(",\"decision_id\":\"{own}\"");
    // And one placed before its decision was made, and one that names a rehearsal.
    let rehearsal = decide(at, "c1", &["--item", "a", "--origin", "dry_run"]);
    let rehearsal = format!(
        ",\"decision_id\":{}",
        serde_json::to_string(&rehearsal["id"]).expect("an id")
    );
    let early = order(4, "a", &names).replacen(
        "\"customer\"",
        "\"occurred_at\":\"2026-01-02T03:04:05Z\",\"customer\"",
        1,
    );
    let orders = [
        order(1, "a", &names),
        order(2, "d", &names),
        order(3, "a", ""),
        early,
        order(5, "a", &rehearsal),
    ];
    import(at, "orders.jsonl", &orders.concat());
    let proof = at.join("proof.jsonl");
    let proof = proof.to_str().expect("a path");
    let made = luopan(
        at,
        &[
            "proof",
            "--period",
            "2020-01-01..2100-01-01",
            "--output",
            proof,
            "--format",
            "json",
        ],
    )
    .json();
    assert_eq!(made["tally"]["decisions"], 4, "{made}");
    assert_eq!(made["tally"]["silent"], 2);
    assert_eq!(made["tally"]["failed"], 0);
    assert_eq!(
        (&made["tally"]["orders"], &made["tally"]["unproved"]),
        (&5.into(), &4.into())
    );

    the_same_is_told_to_the_checker(at);

    // It is verified without the data folder.
    let nowhere = tempfile::tempdir().expect("a folder");
    let none = nowhere.path().join("none");
    let verified = luopan(&none, &["proof", "verify", proof, "--format", "json"]).json();
    assert_eq!(verified["faults_count"], 0, "{verified}");
    assert_eq!(verified["head"], made["hash"]);
    let text = std::fs::read_to_string(proof).expect("the proof");
    assert!(
        text.contains("rule 1") && !text.contains("\"c1\""),
        "it cites the authority and names no foreign id"
    );

    for why in [
        "did not allow this item",
        "it names no decision",
        "was made after it",
        "was of another origin",
    ] {
        assert!(text.contains(why), "{why}");
    }

    // A changed word, a lost line, a cut end: each is told.
    let tampered = |change: &dyn Fn(&str) -> String| {
        let file = nowhere.path().join("changed.jsonl");
        std::fs::write(&file, change(&text)).expect("a file");
        luopan(&none, &["proof", "verify", file.to_str().expect("a path")])
    };
    let changed = tampered(&|t| {
        t.replacen(
            "[\"appetite\",{\"int\":3}]",
            "[\"appetite\",{\"int\":5}]",
            1,
        )
    });
    assert_eq!(changed.code, 1, "{}", changed.out);
    let lost = tampered(&|t| {
        t.lines()
            .enumerate()
            .filter(|(i, _)| *i != 2)
            .map(|(_, l)| format!("{l}\n"))
            .collect()
    });
    assert!(
        lost.code == 1 && lost.out.contains("was changed"),
        "{}",
        lost.out
    );
    let cut = tampered(&|t| t.lines().take(4).map(|l| format!("{l}\n")).collect());
    assert!(cut.code == 1 && cut.out.contains("cut off"), "{}", cut.out);
    // Who changes a line and makes all hashes anew is found by the rule itself.
    let forged = tampered(&|t| {
        let mut last = String::new();
        let mut out = String::new();
        for line in t.lines() {
            let body = line.split_once("\"body\":").expect("a body").1;
            let body = &body[..body.len() - 1];
            let body = body.replace("[\"appetite\",{\"int\":3}]", "[\"appetite\",{\"int\":0}]");
            last = hex::encode(<sha2::Sha256 as sha2::Digest>::digest(format!(
                "{last}{body}"
            )));
            out.push_str(&format!("{{\"hash\":\"{last}\",\"body\":{body}}}\n"));
        }
        out
    });
    assert!(
        forged.code == 1 && forged.out.contains("was not allowed"),
        "{}",
        forged.out
    );
    let verify = luopan(at, &["verify"]);
    assert_eq!(verify.code, 0, "{}", verify.out);
}

/// Every decision and every step of an order becomes a line for the checker of the market rules, in order of time.
fn the_same_is_told_to_the_checker(at: &Path) {
    let folder = at.join("checks");
    let words = [
        "export",
        "checks",
        "--scene",
        "wealth",
        "--output",
        folder.to_str().expect("a path"),
        "--format",
        "json",
    ];
    let told = luopan(at, &words).json();
    assert_eq!(told["written"]["decisions"], 6, "{told}");
    assert_eq!(told["written"]["orders"], 5, "{told}");
    let (mut decisions, mut orders) = (0, 0);
    for file in std::fs::read_dir(&folder).expect("the folder") {
        let text = std::fs::read_to_string(file.expect("a file").path()).expect("text");
        let mut last = String::new();
        for line in text.lines() {
            let line: Value = serde_json::from_str(line).expect("JSON");
            let when = line["at"].as_str().expect("a time").to_owned();
            let at: Vec<&str> = when.split(['.', 'Z']).collect();
            assert!(last.as_str() <= at[0], "in order of time");
            last = at[0].to_owned();
            match line["type"].as_str() {
                Some("decision") => {
                    decisions += 1;
                    assert!(line["reads"].is_array() && line["policy"] == "offer");
                }
                Some("order") => orders += 1,
                _ => {}
            }
            assert!(!line.to_string().contains("\"c1\""), "no foreign id");
        }
    }
    assert_eq!((decisions, orders), (6, 5));
    // A folder that is used is not written over.
    assert_eq!(luopan(at, &words).code, 1);
}
