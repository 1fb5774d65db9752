//! The registry of models, through the program: versions with what they were made from, in force where a scene names the model,
//! and back again.

use crate::command_line::{Run, luopan};
use luopan_kernel::artifact::Artifact;
use luopan_kernel::time::Micros;
use luopan_kernel::trees::{Child, Ensemble, Parts, Split, Test, Transform, Tree};
use luopan_store::NewRegistryEntry;
use serde_json::{Value, json};
use std::path::Path;
use tempfile::TempDir;

const PACK: &str = r#"
scene: shop
zone: UTC
customer: {vip: boolean, age: number}
events:
  visit: {}
artifacts:
  order: {model: taste, kind: trees}
catalogues:
  offers:
    attributes: {price: {type: number, required: true}}
    items:
      tea: {price: 10}
      jade: {price: 5000}
policies:
  best:
    catalogue: offers
    channel: page
    ranking: {trees: order, inputs: {price: item.price}, keep: 2}
    score: score.ranked
    exploration: greedy
    null_action: {name: silence}
"#;

pub(crate) struct At {
    folder: TempDir,
    data: String,
}

impl At {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("pack")).expect("a folder");
        std::fs::write(folder.path().join("pack/scene.yaml"), PACK).expect("the pack");
        let data = folder.path().join("data").display().to_string();
        Self { folder, data }
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    pub(crate) fn run(&self, words: &[&str]) -> Run {
        luopan(Path::new(&self.data), words)
    }

    pub(crate) fn json(&self, words: &[&str]) -> Value {
        self.run(&[&["--format", "json"], words].concat()).json()
    }

    /// Trains trees that like what is dear, or what is cheap; of the columns named.
    pub(crate) fn train(&self, name: &str, columns: [&str; 2], likes_dear: bool) -> String {
        let mut text = format!("{},{},y\n", columns[0], columns[1]);
        for i in 0..200 {
            let (price, age) = (i * 30, 20 + i % 50);
            let y = if likes_dear { price } else { 6_000 - price };
            text.push_str(&format!("{price},{age},{y}\n"));
        }
        let (table, out) = (self.path(&format!("{name}.csv")), self.path(name));
        std::fs::write(&table, text).expect("a table");
        let words = "learn train --target y --task regression --model gbdt --folds 2 --input";
        let mut words: Vec<&str> = words.split(' ').collect();
        words.extend([&table, "--out", &out]);
        self.run(&words).ok();
        out
    }

    pub(crate) fn decide(&self) -> (String, String) {
        let made = self.json(&[
            "decide",
            "--scene",
            "shop",
            "--policy",
            "best",
            "--customer",
            "a",
        ]);
        let text = |v: &Value| v.as_str().expect("a text").to_owned();
        (text(&made["id"]), text(&made["choices"][0]["item"]))
    }
}

#[test]
fn versions_are_registered_put_in_force_and_rolled_back() {
    let at = At::new();
    let dear = at.train("dear", ["price", "age"], true);
    let cheap = at.train("cheap", ["price", "age"], false);
    let pack = at.path("pack");

    // Nothing is in force yet, and the pack says so.
    let refused = at.run(&["scene", "check", &pack]);
    assert!(
        refused
            .err
            .contains("no version of a model `taste` is in force"),
        "{}",
        refused.err
    );

    let first = at.json(&[
        "model",
        "register",
        "taste",
        "--from",
        &dear,
        "--note",
        "the first",
    ]);
    assert_eq!(
        (first["version"].as_u64(), first["new"].as_bool()),
        (Some(1), Some(true))
    );
    let lineage = &first["lineage"];
    assert_eq!(lineage["inputs"], json!(["price", "age"]));
    assert_eq!(
        (&lineage["note"], &lineage["rows"]),
        (&json!("the first"), &json!(200))
    );
    assert!(
        lineage["metrics"]["rmse"].as_f64().is_some_and(|v| v > 0.0),
        "{lineage}"
    );
    assert_eq!(
        lineage["sha256"].as_str().map(str::len),
        Some(64),
        "{lineage}"
    );
    // Once more is the same version.
    let again = at.json(&["model", "register", "taste", "--from", &dear]);
    assert_eq!(
        (again["version"].as_u64(), again["new"].as_bool()),
        (Some(1), Some(false))
    );
    let refused = at.run(&["scene", "apply", &pack]);
    assert!(refused.err.contains("in force"), "{}", refused.err);
    let words = at.run(&["model", "promote", "taste", "--version", "1"]);
    assert!(words.ok().contains("no scene names it"), "{}", words.ok());

    at.run(&["scene", "apply", &pack]).ok();
    let (old, item) = at.decide();
    assert_eq!(item, "jade");
    let file = format!("{cheap}/model.txt");
    let second = at.json(&[
        "model", "register", "taste", "--file", &file, "--kind", "trees",
    ]);
    assert_eq!(second["version"], 2);
    assert_eq!(at.decide().1, "jade");
    let told = at.json(&[
        "model",
        "promote",
        "taste",
        "--version",
        "2",
        "--reason",
        "a trial",
    ]);
    assert_eq!(
        (&told["from"], &told["scenes"][0]["name"]),
        (&json!(1), &json!("shop"))
    );
    let version = told["scenes"][0]["version"].as_u64().expect("a version");
    assert_eq!(at.decide().1, "tea");
    assert_eq!(told["new"], true);
    let words = at.run(&[
        "model",
        "promote",
        "taste",
        "--version",
        "2",
        "--reason",
        "once more",
    ]);
    assert!(
        words
            .ok()
            .contains("version 2 of model taste is in force already, since ")
            && words.ok().contains("(a trial); nothing was changed"),
        "{}",
        words.ok()
    );
    // In force again changes nothing; applying the pack from its folder neither.
    let again = at.json(&["model", "promote", "taste", "--version", "2"]);
    assert_eq!(again["scenes"][0]["version"], version);
    let applied = at.json(&["scene", "apply", &pack]);
    assert_eq!(applied["version"], version);
    // What was decided under the first version is explained by it.
    assert!(
        at.run(&["explain", &old])
            .ok()
            .contains("the same to the bit")
    );

    let back = at.json(&["model", "rollback", "taste", "--reason", "it sold tea"]);
    assert_eq!((&back["version"], &back["from"]), (&json!(1), &json!(2)));
    assert_eq!(at.decide().1, "jade");
    assert!(
        at.run(&["model", "rollback", "taste"])
            .err
            .contains("in force before")
    );
    let shown = at.json(&["model", "show", "taste"]);
    let reasons: Vec<_> = (shown["promotions"].as_array().expect("a list").iter())
        .map(|p| p["reason"].as_str().expect("a text"))
        .collect();
    assert_eq!(reasons, ["", "a trial", "it sold tea"]);
    assert_eq!(
        (&shown["in_force"], &shown["scenes"]),
        (&json!(1), &json!(["shop"]))
    );
    let words = at.run(&["model", "show", "taste"]);
    assert!(
        words.ok().contains("rmse") && words.ok().contains("it sold tea"),
        "{}",
        words.ok()
    );
    assert!(at.run(&["model", "list"]).ok().contains("taste"));
    at.run(&["verify"]).ok();
}

#[test]
fn what_cannot_be_registered_or_put_in_force_changes_nothing() {
    let at = At::new();
    let dear = at.train("dear", ["price", "age"], true);
    let other = at.train("other", ["price", "tenure"], true);
    at.run(&["model", "register", "taste", "--from", &dear])
        .ok();
    at.run(&["model", "promote", "taste", "--version", "1"])
        .ok();
    at.run(&["scene", "apply", &at.path("pack")]).ok();
    at.run(&["model", "register", "taste", "--from", &other])
        .ok();
    let before = at.json(&["model", "show", "taste"]);
    let glm = at.path("glm");
    let table = at.path("dear.csv");
    let words = "learn train --target y --task regression --model glm --folds 2 --input";
    let mut words: Vec<&str> = words.split(' ').collect();
    words.extend([&table, "--out", &glm]);
    at.run(&words).ok();
    let nothing = at.path("nothing");
    for (words, word) in [
        (
            &["promote", "taste", "--version", "2"][..],
            "its features are price, tenure",
        ),
        (&["promote", "taste", "--version", "3"], "it has 1 to 2"),
        (
            &["promote", "tast", "--version", "1"],
            "registered are `taste`",
        ),
        (&["show", "tast"], "did you mean `taste`"),
        (&["register", "Taste", "--from", &dear], "small letters"),
        (
            &["register", "linear", "--from", &glm],
            "train it with --model gbdt",
        ),
        (&["register", "taste", "--from", &nothing], "nothing"),
        (
            &["register", "taste", "--file", &table, "--kind", "factors"],
            "dear.csv",
        ),
    ] {
        let refused = at.run(&[&["model"], words].concat());
        assert!(
            refused.code != 0 && refused.err.contains(word),
            "{words:?}: {}",
            refused.err
        );
    }
    assert_eq!(
        at.run(&["model", "register", "taste", "--file", &table])
            .code,
        2
    );
    assert_eq!(at.json(&["model", "show", "taste"]), before);
    assert_eq!(at.json(&["scene", "list"])["scenes"][0]["version"], 1);
}

#[tokio::test]
async fn the_registry_is_asked_over_http() {
    let server = crate::server::Server::start().await;
    let found = server.get("/v1/models").await.ok();
    assert_eq!(found, json!({"models": []}));
    let body = json!({"version": 1, "reason": "a trial"});
    let refused = server.post("/v1/models/taste/promote", &body).await;
    let detail = refused.refused(404, "unknown_model");
    assert!(detail.contains("no model is"), "{detail}");
    let refused = server.post("/v1/models/taste/rollback", &json!({})).await;
    refused.refused(404, "unknown_model");
    let long = json!({"version": 1, "reason": "x".repeat(4_001)});
    let refused = server.post("/v1/models/taste/promote", &long).await;
    refused.refused(422, "malformed_request");
}

/// A tree that likes what is dear, or what is cheap.
fn trees(likes_dear: bool) -> Artifact {
    let tree = Tree {
        splits: vec![Split {
            feature: 0,
            test: Test::AtMost {
                threshold: 100.0,
                missing: false,
                zero_is_missing: false,
            },
            left: Child::Leaf(usize::from(likes_dear)),
            right: Child::Leaf(usize::from(!likes_dear)),
        }],
        leaves: vec![1.0, 0.0],
    };
    let made = Ensemble::build(Parts {
        features: vec!["price".to_owned()],
        outputs: 1,
        averaged: false,
        transform: Transform::Identity,
        trees: vec![tree],
    });
    Artifact::Trees(made.expect("trees"))
}

#[tokio::test]
async fn what_a_crash_left_undone_is_completed_by_the_same_request() {
    let server = crate::server::Server::empty().await;
    let (engine, control) = (&server.opened.engine, &server.opened.stores.control);
    for (version, likes_dear) in [(1, true), (2, false)] {
        let (trees, nothing) = (trees(likes_dear), json!({}));
        let made = engine
            .register_model("taste", &trees, &nothing, "test")
            .await;
        assert_eq!(made.expect("a version").0.version, version);
    }
    engine
        .promote_model("taste", 1, "", "test")
        .await
        .expect("in force");
    let mut pack = luopan_scene::Loaded::from(vec![("scene.yaml".to_owned(), PACK.to_owned())]);
    let in_force = engine.models_in_force().await.expect("models");
    pack.models = in_force.into_iter().map(|(n, b)| (n, b.to_vec())).collect();
    let checked = luopan_scene::compile(pack).expect("a pack without fault");
    let applied = engine.apply_trained_scene(&checked.plan, &checked.artifacts, &[], "test");
    applied.await.expect("applied");
    let decide = async || {
        let body = json!({"policy": "best", "customer": "a"});
        let made = server.post("/v1/decisions", &body).await.ok();
        made["choices"][0]["item"].clone()
    };
    assert_eq!(decide().await, "jade");

    // Whoever put version 2 in force wrote its line, and died before any scene had it.
    let line = NewRegistryEntry {
        model: "taste".into(),
        version: Some(2),
        act: "promoted".into(),
        artifact: None,
        detail: json!({"reason": "a trial"}).to_string(),
        at: Micros(1),
        by: "ops".into(),
    };
    control.register(line).await.expect("a line");
    assert_eq!(decide().await, "jade");
    let body = json!({"version": 2, "reason": "once more"});
    let told = server.post("/v1/models/taste/promote", &body).await.ok();
    assert_eq!(
        (&told["version"], &told["reason"]),
        (&json!(2), &json!("a trial"))
    );
    assert_eq!(told["scenes"][0]["version"], 2, "{told}");
    assert_eq!(decide().await, "tea");
    let back = server
        .post("/v1/models/taste/rollback", &json!({}))
        .await
        .ok();
    assert_eq!((&back["version"], &back["from"]), (&json!(1), &json!(2)));
    assert_eq!(decide().await, "jade");
    let listed = server.get("/v1/models").await.ok();
    assert_eq!(
        listed["models"][0]["promotions"].as_array().map(Vec::len),
        Some(3)
    );
    assert_eq!(listed["models"][0]["scenes"], json!(["shop"]));
}
