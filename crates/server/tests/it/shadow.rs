//! Policies in shadow, through the program.

use crate::command_line::{applied, luopan};
use crate::models::At;
use crate::process::Process;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use serde_json::json;
use std::collections::BTreeMap;
use std::path::Path;

fn rows(path: &str) -> Vec<BTreeMap<String, Field>> {
    let file = std::fs::File::open(path).expect("the file");
    let reader = SerializedFileReader::new(file).expect("Parquet");
    (reader.get_row_iter(None).expect("rows"))
        .map(|row| row.expect("a row").into_columns().into_iter().collect())
        .collect()
}

#[test]
fn a_version_is_looked_at_in_shadow_before_it_is_in_force() {
    let at = At::new();
    let dear = at.train("dear", ["price", "age"], true);
    let cheap = at.train("cheap", ["price", "age"], false);
    at.run(&["model", "register", "taste", "--from", &dear])
        .ok();
    at.run(&["model", "promote", "taste", "--version", "1"])
        .ok();
    at.run(&["scene", "apply", &at.path("pack")]).ok();
    for _ in 0..3 {
        assert_eq!(at.decide().1, "jade");
    }
    at.run(&["model", "register", "taste", "--from", &cheap])
        .ok();
    // What the second version may have learned from it does not decide again.
    for _ in 0..2 {
        assert_eq!(at.decide().1, "jade");
    }
    let out = at.path("shadow.parquet");
    let dataset = |more: &[&str]| {
        let words = [
            "learn", "dataset", "--scene", "shop", "--policy", "best", "--output", &out,
        ];
        at.run(&[&["--format", "json"], &words[..], more].concat())
    };
    let said = dataset(&["--shadow", "best", "--shadow", "best@taste:2"]).json();
    assert_eq!(said["shadows"], json!(["best", "best@taste:2"]));
    assert_eq!((&said["rows"], &said["unshadowed"]), (&json!(5), &json!(3)));
    let (mut early, mut late) = (0, 0);
    for row in rows(&out) {
        let text = |name: &str| match &row[name] {
            Field::Str(text) => text.clone(),
            other => panic!("{other:?}"),
        };
        // Tea was never chosen, and has no name in these logs.
        assert_eq!(text("shadow.best"), r#"{"jade":1.0}"#);
        assert_eq!(row["shadow.best.propensity"], Field::Double(1.0));
        if row["shadow.best@taste:2"] == Field::Null {
            early += 1;
            continue;
        }
        assert_eq!(text("shadow.best@taste:2"), r#"{"":1.0}"#);
        assert_eq!(row["shadow.best@taste:2.propensity"], Field::Double(0.0));
        late += 1;
    }
    assert_eq!((early, late), (3, 2));
    for (shadow, word) in [
        ("best@taste:3", "it has 1 to 2"),
        ("best@tast:1", "registered are `taste`"),
        ("worst", "no policy `worst`"),
        ("best@taste", "as `next@buy:3`"),
        ("best@taste:0", "as `next@buy:3`"),
        ("@taste:1", "as `next@buy:3`"),
    ] {
        let refused = dataset(&["--shadow", shadow]);
        assert!(refused.code != 0, "{shadow}");
        assert!(refused.err.contains(word), "{shadow}: {}", refused.err);
    }
    let turned = dataset(&[
        "--from",
        "2026-02-01T00:00:00Z",
        "--until",
        "2026-01-01T00:00:00Z",
    ]);
    assert!(
        turned.err.contains("nothing lies between"),
        "{}",
        turned.err
    );
    let twice = dataset(&["--shadow", "best", "--shadow", "best"]);
    assert!(twice.err.contains("written twice"), "{}", twice.err);
}

/// Logs with a policy in shadow as lines of JSON, and the value of that policy by inverse propensity.
fn logs(path: &Path) -> f64 {
    let mut text = String::new();
    let mut value = 0.0;
    for i in 0..400 {
        let arm = ["call", "mail"][usize::from(i % 4 == 0)];
        let p = [0.75, 0.25][usize::from(i % 4 == 0)];
        let reward = f64::from(u8::from((i / 4) % 3 == i % 3));
        let likes_mail = i % 2 == 0;
        let shadow = match likes_mail {
            true => json!({"mail": 0.9, "call": 0.1}),
            false => json!({"call": 0.9, "mail": 0.08, "hush": 0.015, "": 0.005}),
        };
        value += reward / p * shadow[arm].as_f64().expect("a share") / 400.0;
        let line = json!({
            "decision.arm": arm, "decision.propensity": p, "reward.sale": reward, "age": i,
            "shadow.next": shadow.to_string(), "shadow.next.propensity": shadow[arm],
        });
        text.push_str(&format!("{line}\n"));
    }
    std::fs::write(path, text).expect("logs");
    value
}

#[test]
fn what_a_policy_in_shadow_is_worth_is_told() {
    let data = applied();
    let path = data.path().join("logs.jsonl");
    let wanted = logs(&path);
    let evaluate = |more: &[&str]| {
        let words = [
            "--format",
            "json",
            "learn",
            "evaluate",
            "--logs",
            path.to_str().expect("a path"),
        ];
        luopan(data.path(), &[&words[..], more].concat())
    };
    let shadow = ["--policy", "shadow:next", "--resamples", "100"];
    let found = evaluate(&shadow).json();
    let of = |name: &str| {
        let all = found["candidate"]["estimates"]
            .as_array()
            .expect("estimates");
        let found = all.iter().find(|e| e["estimator"] == name).expect("it");
        found["value"].as_f64().expect("a value")
    };
    assert!((of("ips") - wanted).abs() < 1e-12, "{found} {wanted}");
    let mut actions: Vec<_> = (found["actions"].as_array().expect("a list").iter())
        .filter_map(|a| a.as_str())
        .collect();
    actions.sort_unstable();
    assert_eq!(actions, ["(other items)", "call", "hush", "mail"]);
    let unlogged = found["candidate"]["unlogged"].as_f64().expect("a share");
    assert!((unlogged - 0.01).abs() < 1e-12, "{unlogged}");
    // Trees predict what was logged, and never from what stands in shadow.
    let by_trees = evaluate(
        &[
            &shadow[..],
            &["--predictions", "gbdt", "--champion", "logged"],
        ]
        .concat(),
    );
    assert!(
        by_trees.out.contains("\"dr\""),
        "{} {}",
        by_trees.out,
        by_trees.err
    );
    // Uniform is over what was logged.
    let both = [&shadow[..2], &["--champion", "uniform"]].concat();
    let text = evaluate(&both).out;
    let json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(json["champion"]["unlogged"], json!(0.0), "{text}");
    let refused = evaluate(&["--policy", "shadow:nxt"]);
    assert!(refused.err.contains("`shadow:next`"), "{}", refused.err);
    let bad = data.path().join("bad.jsonl");
    let text =
        std::fs::read_to_string(&path)
            .expect("logs")
            .replacen("{\\\"call\\\"", "[\\\"call\\\"", 1);
    std::fs::write(&bad, text).expect("bad logs");
    let refused = luopan(
        data.path(),
        &[
            "learn",
            "evaluate",
            "--policy",
            "shadow:next",
            "--logs",
            bad.to_str().expect("a path"),
        ],
    );
    assert!(
        refused.err.contains("row 1") && refused.err.contains("JSON object"),
        "{}",
        refused.err
    );
}

/// A shop that explores, whose buyers take tea.
const EXPLORING: &str = r#"
scene: shop
zone: UTC
customer: {age: number}
events:
  buy: {fields: {decision_id: text}}
artifacts:
  order: {model: taste, kind: trees}
catalogues:
  offers:
    attributes: {price: {type: number, required: true}}
    items: {tea: {price: 10}, jade: {price: 5000}}
rewards:
  bought: {event: buy, join: {decision: decision_id}, value: "1.0", window: 10s, default: 0}
policies:
  best:
    catalogue: offers
    channel: page
    ranking: {trees: order, inputs: {price: item.price}, keep: 2}
    score: score.ranked
    exploration: {epsilon_greedy: 0.5}
    null_action: {name: silence}
    rewards: [bought]
  plain: {like: best, exploration: uniform}
  by_price: {catalogue: offers, channel: page, score: item.price, exploration: greedy, null_action: {name: silence}, rewards: [bought]}
contests:
  plainly: {champion: best, challenger: plain, share: 0.5}
"#;

#[test]
fn a_version_is_put_in_force_where_it_is_proved_and_not_otherwise() {
    let at = At::new();
    let dear = at.train("dear", ["price", "age"], true);
    let cheap = at.train("cheap", ["price", "age"], false);
    std::fs::write(at.path("pack/scene.yaml"), EXPLORING).expect("the pack");
    at.run(&["model", "register", "taste", "--from", &dear])
        .ok();
    at.run(&["model", "promote", "taste", "--version", "1"])
        .ok();
    at.run(&["model", "register", "taste", "--from", &cheap])
        .ok();
    at.run(&["scene", "apply", &at.path("pack")]).ok();
    let server = Process::start(Path::new(&at.path("data")), &[], &[]);
    for round in 0..8 {
        let requests: Vec<_> = (0..100)
            .map(|i| json!({"policy": "best", "customer": format!("c{round}-{i}")}))
            .collect();
        let said = server.post("/v1/decisions", &json!({"requests": requests}));
        let said: serde_json::Value = serde_json::from_str(&said.text).expect("JSON");
        let answers = said["answers"]
            .as_array()
            .unwrap_or_else(|| panic!("{said}"));
        let bought: Vec<_> = (answers.iter().zip(&requests))
            .filter(|(answer, _)| answer["decision"]["choices"][0]["item"] == "tea")
            .map(|(answer, request)| {
                json!({"id": format!("b{}", answer["decision"]["id"]), "customer": request["customer"], "type": "buy", "properties": {"decision_id": answer["decision"]["id"]}})
            })
            .collect();
        assert!(bought.len() > 10, "{said}");
        assert_eq!(
            server
                .post("/v1/events?wait_ms=5000", &json!(bought))
                .status,
            200
        );
    }
    std::thread::sleep(std::time::Duration::from_secs(11));
    drop(server);
    // Silence is settled by what runs, and whoever opens the folder runs.
    let out = at.path("settled.parquet");
    let is_settled = |policy: &str| {
        let words = [
            "learn", "dataset", "--scene", "shop", "--output", &out, "--policy", policy,
        ];
        let said = at.json(&words);
        said["rows"] == said["settled"]
    };
    assert!(
        (0..60).any(|_| is_settled("best") && is_settled("plain")),
        "silence is not settled"
    );

    let challenge_of = |version: &str, policy: &str| {
        let words = [
            "--format",
            "json",
            "model",
            "challenge",
            "taste",
            "--version",
            version,
            "--scene",
            "shop",
            "--policy",
            policy,
            "--promote",
        ];
        at.run(&words)
    };
    let challenge = |version: &str| challenge_of(version, "best");
    let unread = challenge_of("2", "by_price");
    assert!(
        unread.code != 0 && unread.err.contains("those that do are `best`, `plain`"),
        "{}",
        unread.err
    );
    // A server that runs judges too, alone, and says the same of the same log.
    let judged = judged_by_a_server(&at);
    // The version in force is no better than itself was, but for what exploring costs: with a margin of nothing it is not proved.
    let same = challenge("1");
    assert_eq!(same.code, 1, "{}{}", same.out, same.err);
    let told: serde_json::Value = serde_json::from_str(&same.out).expect("JSON");
    assert_eq!(told["evaluation"]["comparison"]["promoted"], json!(false));
    assert_eq!(told["promotion"], json!(null));
    assert_eq!(told, judged);
    assert_eq!(at.json(&["model", "show", "taste"])["in_force"], 1);
    // The other one, whose tea is bought, is.
    let proved = challenge("2").json();
    assert_eq!(proved["promotion"]["version"], 2, "{proved}");
    let shown = at.json(&["model", "show", "taste"]);
    assert_eq!(shown["in_force"], 2);
    let reason = shown["promotions"][1]["reason"].as_str().expect("a text");
    assert!(
        reason.starts_with("proved on ") && reason.contains("`reward.bought` by dr"),
        "{reason}"
    );
    at.run(&["verify"]).ok();

    // Half of the customers were the challenger's, who draws evenly.
    let contest = at.json(&[
        "learn",
        "contest",
        "--scene",
        "shop",
        "--contest",
        "plainly",
    ]);
    assert_eq!(
        (&contest["better"], &contest["reward"]),
        (&json!("challenger"), &json!("bought")),
        "{contest}"
    );
    let customers: u64 = (0..2)
        .filter_map(|i| contest["sides"][i]["customers"].as_u64())
        .sum();
    assert_eq!(customers, 800, "{contest}");
    let words = at.run(&[
        "learn",
        "contest",
        "--scene",
        "shop",
        "--contest",
        "plainly",
    ]);
    assert!(
        words.ok().contains("the challenger is better"),
        "{}",
        words.ok()
    );
    let refused = at.run(&["learn", "contest", "--scene", "shop", "--contest", "plainy"]);
    assert!(
        refused.err.contains("did you mean `plainly`"),
        "{}",
        refused.err
    );
    let refused = at.run(&[
        "learn",
        "contest",
        "--scene",
        "shop",
        "--contest",
        "plainly",
        "--reward",
        "sold",
    ]);
    assert!(
        refused.err.contains("both wait for reward `sold`"),
        "{}",
        refused.err
    );
}

/// What a server says of version 1, which is in force.
fn judged_by_a_server(at: &At) -> serde_json::Value {
    let server = Process::start(Path::new(&at.path("data")), &[], &[]);
    let ask = |body: serde_json::Value| {
        let said = server.post("/v1/models/taste/challenge", &body);
        let text: serde_json::Value = serde_json::from_str(&said.text).expect("JSON");
        (said.status, text)
    };
    for (body, status, code) in [
        (
            json!({"version": 9, "policy": "best"}),
            404,
            "unknown_model",
        ),
        (
            json!({"version": 1, "policy": "bets"}),
            404,
            "unknown_policy",
        ),
        (
            json!({"version": 1, "policy": "best", "level": 2}),
            422,
            "malformed_request",
        ),
        (
            json!({"version": 1, "policy": "best", "margin": -1}),
            422,
            "malformed_request",
        ),
        (
            json!({"version": 1, "policy": "best", "from": "today"}),
            422,
            "malformed_request",
        ),
    ] {
        let (found, said) = ask(body.clone());
        assert_eq!(
            (found, &said["code"]),
            (status, &json!(code)),
            "{body}: {said}"
        );
    }
    let body = json!({"version": 1, "policy": "best", "promote": true});
    std::thread::scope(|scope| {
        // Of two at once one is told to wait, unless the other had ended before it came.
        let both = [
            scope.spawn(|| ask(body.clone())),
            scope.spawn(|| ask(body.clone())),
        ];
        let both = both.map(|one| one.join().expect("an answer"));
        for (status, said) in &both {
            assert!(
                *status == 200 || (*status, &said["code"]) == (409, &json!("judging")),
                "{status} {said}"
            );
        }
        assert!(both.iter().any(|(status, _)| *status == 200));
    });
    let (status, said) = ask(body);
    assert_eq!(status, 200, "{said}");
    said
}

/// Whoever is sixty and is offered tea buys it.
const SHY: &str = r#"
scene: shop
zone: UTC
customer: {age: number}
events:
  buy: {fields: {decision_id: text}}
catalogues:
  offers: {attributes: {price: number}, items: {tea: {price: 10}}}
rewards:
  bought: {event: buy, join: {decision: decision_id}, value: "1.0", window: 10s, default: 0}
policies:
  all:
    catalogue: offers
    channel: page
    score: "1.0"
    exploration: greedy
    null_action: {name: silence}
    rewards: [bought]
  shy: {like: all, eligibility: [{name: old, rule: age >= 60}]}
contests:
  c: {champion: all, challenger: shy, share: 0.5}
"#;

#[test]
fn who_says_less_is_not_better_for_it() {
    let at = At::new();
    std::fs::write(at.path("pack/scene.yaml"), SHY).expect("the pack");
    at.run(&["scene", "apply", &at.path("pack")]).ok();
    let server = Process::start(Path::new(&at.path("data")), &[], &[]);
    let told: Vec<_> = (0..400)
        .map(|i| {
            json!({"id": format!("k{i}"), "customer": format!("c{i}"), "type": "luopan.customer", "properties": {"age": i % 100}})
        })
        .collect();
    let path = "/v1/events?wait_ms=5000";
    assert_eq!(server.post(path, &json!(told)).status, 200);
    let requests: Vec<_> = (0..400)
        .map(|i| json!({"policy": "all", "customer": format!("c{i}")}))
        .collect();
    let said = server.post("/v1/decisions", &json!({"requests": requests}));
    let said: serde_json::Value = serde_json::from_str(&said.text).expect("JSON");
    let answers = said["answers"].as_array().expect("answers");
    let bought: Vec<_> = (answers.iter().enumerate())
        .filter(|(i, a)| i % 100 >= 60 && a["decision"]["choices"][0]["item"] == "tea")
        .map(|(i, a)| {
            json!({"id": format!("b{i}"), "customer": format!("c{i}"), "type": "buy", "properties": {"decision_id": a["decision"]["id"]}})
        })
        .collect();
    assert_eq!(bought.len(), 160);
    assert_eq!(server.post(path, &json!(bought)).status, 200);
    std::thread::sleep(std::time::Duration::from_secs(11));
    let served = |path: &str| {
        let said = server.get(path);
        let text: serde_json::Value = serde_json::from_str(&said.text).expect("JSON");
        (said.status, text)
    };
    let open =
        |found: &serde_json::Value| (0..2).any(|i| found["sides"][i]["not_settled"] != json!(0));
    let mut served_last = served("/v1/contests/c");
    for _ in 0..300 {
        if served_last.0 == 200 && !open(&served_last.1) {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
        served_last = served("/v1/contests/c");
    }
    for (path, status, code) in [
        ("/v1/contests/d?scene=shop", 404, "unknown_contest"),
        ("/v1/contests/c?level=1.5", 422, "cannot_evaluate"),
        ("/v1/contests/c?from=monday", 422, "malformed_request"),
        (
            "/v1/contests/c?from=2026-02-01T00:00:00Z&until=2026-01-01T00:00:00Z",
            422,
            "cannot_evaluate",
        ),
        ("/v1/contests/c?reward=sold", 422, "cannot_evaluate"),
    ] {
        let (found, said) = served(path);
        assert_eq!(
            (found, &said["code"]),
            (status, &json!(code)),
            "{path}: {said}"
        );
    }
    drop(server);
    let contest = || {
        let found = at.json(&["learn", "contest", "--scene", "shop", "--contest", "c"]);
        let of = |i: usize, name: &str| found["sides"][i][name].as_u64().expect("a number");
        let counts = [0, 1].map(|i| [of(i, "decisions"), of(i, "silent"), of(i, "not_settled")]);
        (counts, found)
    };
    let settled = (0..60)
        .map(|_| contest())
        .find(|(c, _)| c[0][2] + c[1][2] == 0);
    let ([champion, challenger], found) = settled.expect("silence is settled");
    assert_eq!(champion[0] + challenger[0], 400, "{found}");
    assert_eq!((200, found.clone()), served_last);
    assert_eq!(champion[1], 0, "{found}");
    assert!(challenger[1] > 80 && challenger[1] < 160, "{found}");
    // Both sell to everybody who is sixty; that the challenger asks nobody else makes it no better.
    assert_eq!(found["better"], json!("neither"), "{found}");

    // Another challenger of the same name begins anew.
    let other = SHY
        .replace("age >= 60", "age >= 90")
        .replace("share: 0.5", "share: 0.4");
    std::fs::write(at.path("pack/scene.yaml"), other).expect("the pack");
    at.run(&["scene", "apply", &at.path("pack")]).ok();
    let (counts, found) = contest();
    assert_eq!((counts[0][0], counts[1][0]), (0, 0), "{found}");
    assert_eq!(
        found["sides"][0]["earlier"]
            .as_u64()
            .zip(found["sides"][1]["earlier"].as_u64())
            .map(|(a, b)| a + b),
        Some(400)
    );
}
