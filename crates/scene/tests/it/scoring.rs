//! Declarations of scoring at size: what they compile to, and what is said of each mistake.

use crate::support::{compile, lines};
use luopan_kernel::artifact::Artifact;
use luopan_kernel::factors::{Factors, ItemFactors};
use luopan_kernel::plan::{
    ArtifactKind, Exploration, Horizon, ObjectiveValue, PricePlan, RankingInput, Scorer,
    SlotSource, Stage,
};
use luopan_kernel::trees::{Child, Ensemble, Parts, Split, Test, Transform, Tree};
use luopan_scene::{Checked, Fault, Loaded};

fn trees(features: &[&str], outputs: usize) -> Vec<u8> {
    let tree = Tree {
        splits: vec![Split {
            feature: 0,
            test: Test::AtMost {
                threshold: 0.5,
                missing: true,
                zero_is_missing: false,
            },
            left: Child::Leaf(0),
            right: Child::Leaf(1),
        }],
        leaves: vec![0.25, -0.5],
    };
    Ensemble::build(Parts {
        features: features.iter().map(|f| (*f).to_owned()).collect(),
        outputs,
        averaged: false,
        transform: Transform::Identity,
        trees: vec![tree; outputs],
    })
    .unwrap()
    .encode()
}

fn factors(customer: usize, item: usize) -> Vec<u8> {
    let own = ItemFactors {
        key: "a".into(),
        vector: vec![0.5, 1.0],
        bias: 0.0,
    };
    Factors::new(2, vec![1.0; 2 * customer], vec![0.5; 2 * item], [own])
        .unwrap()
        .encode()
}

const BASE: &str = r#"
scene: shop
customer: {age: integer, city: text}
events:
  order:
    fields: {amount: {type: money, currency: CNY}}
catalogues:
  funds:
    attributes: {risk_level: integer, fee: {type: money, currency: CNY}}
    items: {a: {risk_level: 1, fee: "0.50"}}
"#;

const DECLARED: &str = r#"
artifacts:
  taste: {file: artifacts/taste.bin, kind: factors}
  rank: {file: artifacts/rank.txt, kind: trees}
rewards:
  ordered: {event: order, join: customer, value: "true", window: 1d}
  closed: {event: order, join: customer, value: "false", window: 1d}
models:
  response: {kind: logistic, scope: shared, reward: ordered, catalogue: funds, features: [intercept, {standard: score.ranked, mean: 0, scale: 1}]}
  dismissal: {kind: logistic, scope: shared, reward: closed, catalogue: funds, features: [intercept]}
budgets:
  daily: {limit: 100, period: daily}
  total: {limit: 100, period: total}
policies:
  offer:
    catalogue: funds
    channel: app
    suitability: [{name: low, rule: item.risk_level <= 3}]
    retrieval: {factors: taste, customer: [intercept, {bins: age, edges: [30]}], item: [{bins: item.risk_level, edges: [2, 4], missing: false}], keep: 200, each: {by: item.risk_level, keep: 3}}
    ranking: {trees: rank, inputs: {risk: item.risk_level, taste: score.retrieved}, keep: 50}
    score:
      objectives:
        order: {model: response, weight: 1, floor: 0.01}
        dismissal: {model: dismissal, weight: -0.5}
        risk: {value: item.risk_level, weight: 0.1}
      groups:
        - {name: young, rule: age < 30, weights: {order: 2}, floors: {risk: 2}}
      explore: order
    exploration: {linucb: {alpha: 2}}
    slots: 3
    diversity: {by: item.risk_level, at_most: 2}
    budgets: [{budget: daily, cost: "1", price: {rate: 0.5}}]
    null_action: {name: silent}
    rewards: [ordered, closed]
"#;

fn compiled(text: &str, files: &[(&str, Vec<u8>)]) -> Result<Checked, Vec<Fault>> {
    luopan_scene::compile(Loaded {
        files: vec![("scene.yaml".into(), format!("{BASE}{text}"))],
        trained: files
            .iter()
            .map(|(n, b)| ((*n).to_owned(), b.clone()))
            .collect(),
        ..Loaded::default()
    })
}

fn right() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        // Intercept, two bins and missing of the age; three bins of the risk.
        ("artifacts/taste.bin", factors(4, 3)),
        ("artifacts/rank.txt", trees(&["risk", "age", "taste"], 1)),
    ]
}

#[test]
fn everything_of_scoring_compiles_to_its_plan() {
    let checked = compiled(DECLARED, &right()).unwrap_or_else(|f| panic!("{}", lines(&f)));
    let plan = &checked.plan;
    assert_eq!(plan.artifacts.len(), 2);
    assert_eq!(plan.artifacts[0].kind, ArtifactKind::Factors);
    assert_eq!(checked.artifacts.len(), 2);
    for (named, artifact) in plan.artifacts.iter().zip(&checked.artifacts) {
        assert_eq!(named.sha256, Artifact::hash(&artifact.encode()));
    }
    let policy = plan.policy("offer").unwrap();
    let name = |id: luopan_kernel::plan::SlotId| plan.slots[usize::from(id.0)].name.as_str();
    let retrieval = policy.retrieval.as_ref().unwrap();
    assert_eq!((retrieval.artifact, retrieval.keep), (0, 200));
    assert_eq!((retrieval.customer.len(), retrieval.item.len()), (2, 1));
    let each = retrieval.each.unwrap();
    assert_eq!((name(each.by), each.keep), ("item.risk_level", 3));
    let ranking = policy.ranking.as_ref().unwrap();
    let inputs: Vec<&str> = (ranking.inputs.iter())
        .map(|i| match i {
            RankingInput::Number(slot) | RankingInput::Category { slot, .. } => name(*slot),
        })
        .collect();
    assert_eq!(inputs, ["item.risk_level", "age", "score.retrieved"]);
    let retrieved = plan.slot("score.retrieved").unwrap();
    assert_eq!(
        plan.slots[usize::from(retrieved.0)].source,
        SlotSource::Stage(Stage::Retrieved)
    );
    let Scorer::Objectives(o) = &policy.scorer else {
        panic!("objectives are wanted")
    };
    let named: Vec<(&str, f64, Option<f64>)> = o
        .objectives
        .iter()
        .map(|o| (o.name.as_str(), o.weight, o.floor))
        .collect();
    assert_eq!(
        named,
        [
            ("order", 1.0, Some(0.01)),
            ("dismissal", -0.5, None),
            ("risk", 0.1, None)
        ]
    );
    assert!(matches!(
        &o.objectives[2].value,
        ObjectiveValue::Expression(_)
    ));
    assert_eq!(o.groups[0].weights, [2.0, -0.5, 0.1]);
    assert_eq!(o.groups[0].floors, [Some(0.01), None, Some(2.0)]);
    assert_eq!(o.explored, Some(0));
    assert_eq!(
        policy.exploration,
        Exploration::LinUcb {
            alpha: 2.0,
            floor: 0.01
        }
    );
    let diversity = policy.diversity.as_ref().unwrap();
    assert_eq!(
        (name(diversity.by), diversity.at_most),
        ("item.risk_level", 2)
    );
    let price = PricePlan {
        base: 0.0,
        rate: 0.5,
        horizon: Horizon::Fixed,
    };
    assert_eq!(policy.budgets[0].price, Some(price));
    let receding = DECLARED.replacen("{rate: 0.5}", "{rate: 0.5, horizon: receding}", 1);
    let receding = compiled(&receding, &right()).unwrap().plan;
    let found = receding.policies[0].budgets[0].price.unwrap();
    assert_eq!(found.horizon, Horizon::Receding);
    // A plan that says nothing of it is what it was before there was a choice.
    let bytes = String::from_utf8(plan.encode()).unwrap();
    assert!(!bytes.contains("\"horizon\""));
    mistake("{rate: 0.5}", "{rate: 0.5, horizon: moving}", &["`moving`"]);
}

/// Replaces one thing and looks for what is said of it.
fn mistake(from: &str, to: &str, said: &[&str]) {
    assert!(DECLARED.contains(from), "{from}");
    let faults = compiled(&DECLARED.replacen(from, to, 1), &right()).unwrap_err();
    let all = lines(&faults);
    for said in said {
        assert!(all.contains(said), "`{said}` is not said of `{to}`:\n{all}");
    }
}

#[test]
fn a_model_with_replicates_is_explored_by_them() {
    let text = DECLARED
        .replacen(
            "mean: 0, scale: 1}]",
            "mean: 0, scale: 1}], replicates: 30",
            1,
        )
        .replacen("{linucb: {alpha: 2}}", "{bootstrap: {}}", 1);
    let checked = compiled(&text, &right()).unwrap_or_else(|f| panic!("{}", lines(&f)));
    let replicates: Vec<u16> = checked.plan.models.iter().map(|m| m.replicates).collect();
    assert_eq!(replicates, [30, 0]);
    assert_eq!(
        checked.plan.policy("offer").unwrap().exploration,
        Exploration::Bootstrap { floor: 0.01 }
    );
    // A model without replicates is written as before there were any.
    let written: Vec<bool> = (checked.plan.models.iter())
        .map(|m| serde_json::to_string(m).unwrap().contains("replicates"))
        .collect();
    assert_eq!(written, [true, false]);
}

#[test]
fn each_mistake_is_told_with_what_to_write() {
    mistake(
        "artifacts/taste.bin",
        "artifacts/tase.bin",
        &["no file `artifacts/tase.bin`", "artifacts/taste.bin"],
    );
    mistake(
        "kind: factors",
        "kind: trees",
        &["`artifacts/taste.bin` cannot be read"],
    );
    mistake(
        "factors: taste",
        "factors: rank",
        &["`rank` is trees", "kind `factors`"],
    );
    mistake("trees: rank", "trees: rnak", &["`rnak`", "`rank`"]);
    mistake(
        "customer: [intercept, ",
        "customer: [",
        &["3 positions", "vectors for 4"],
    );
    mistake(
        "{bins: age, edges: [30]}]",
        "{bins: item.risk_level, edges: [30]}]",
        &["item.risk_level"],
    );
    mistake(
        "edges: [2, 4], missing: false",
        "edges: [2, 4]",
        &["4 positions", "vectors for 3"],
    );
    mistake(
        "risk: item.risk_level, taste",
        "rsk: item.risk_level, taste",
        &["no feature `rsk`", "`risk`"],
    );
    mistake(
        "taste: score.retrieved}",
        "taste: score.ranked}",
        &["it is what the trees give"],
    );
    mistake(
        "item.risk_level <= 3",
        "score.ranked > 0.0",
        &["read in scores, features and inputs of trees only"],
    );
    mistake(
        "weights: {order: 2}",
        "weights: {oder: 2}",
        &["no objective `oder`", "`order`"],
    );
    mistake(
        "explore: order",
        "explore: risk",
        &["no objective of a model"],
    );
    mistake("      explore: order\n", "", &["it is not said of which"]);
    mistake(
        "exploration: {linucb: {alpha: 2}}",
        "exploration: {bootstrap: {floor: 0.02}}",
        &["the model `response` has no replicates", "`replicates: 20`"],
    );
    let edges: Vec<String> = (1..=60).map(|e| e.to_string()).collect();
    let wide = format!(
        "features: [intercept, {{bins: age, edges: [{}]}}], replicates: 100}}",
        edges.join(", ")
    );
    mistake(
        "features: [intercept]}",
        &wide,
        &["100 replicates of 63 numbers", "at most 66"],
    );
    mistake(
        "features: [intercept]}",
        "features: [intercept], replicates: 1}",
        &["here stands 1", "from 2 to 256"],
    );
    mistake(
        "rewards: [ordered, closed]",
        "rewards: [ordered]",
        &["scored by `dismissal`", "rewards: [closed]"],
    );
    mistake(
        "by: item.risk_level",
        "by: age",
        &["no attribute of the item"],
    );
    mistake(
        "budget: daily",
        "budget: total",
        &["not said how long it is to last", "period: daily", "lasts"],
    );
    mistake("keep: 200", "keep: 2000", &["1000"]);
    mistake(
        "model: response, weight",
        "model: respose, weight",
        &["`respose`", "`response`"],
    );
}

#[test]
fn trees_that_do_not_fit_are_told() {
    let with = |bytes: Vec<u8>| {
        let mut files = right();
        files[1].1 = bytes;
        lines(&compiled(DECLARED, &files).unwrap_err())
    };
    assert!(with(trees(&["risk", "age", "taste"], 2)).contains("trees of 2 outputs"));
    let said = with(trees(&["risk", "age", "taste", "page_views"], 1));
    assert!(said.contains("the trees read `page_views`"), "{said}");
    let said = with(trees(&["risk", "age", "taste", "city"], 1));
    assert!(said.contains("`city`"), "{said}");
    let said = with(b"nonsense".to_vec());
    assert!(
        said.contains("`artifacts/rank.txt` cannot be read"),
        "{said}"
    );
}

#[test]
fn a_pack_without_stages_has_no_stage_slots_and_no_artifacts() {
    let checked = compile(BASE).unwrap_or_else(|f| panic!("{}", lines(&f)));
    assert!(checked.plan.artifacts.is_empty());
    assert!(checked.plan.slot("score.retrieved").is_none());
    let json = String::from_utf8(checked.plan.encode()).unwrap();
    assert!(!json.contains("artifacts"), "older plans keep their hash");
}

const LEARNT: &str = r#"
artifacts:
  taste: {file: artifacts/taste.bin, kind: factors}
policies:
  offer:
    catalogue: funds
    channel: app
    retrieval:
      factors: taste
      customer: [intercept]
      keep: 10
      learn_from: [{event: order, item: fund, where: 'amount > money("1", "CNY")', weight: 2.5}, {event: order, item: city}]
    ranking: {trees: rank, keep: 5}
    score: score.retrieved + score.ranked
    exploration: greedy
    null_action: {name: silent}
"#;

#[test]
fn a_pack_without_its_factors_says_what_to_train_them_from() {
    let learnt = LEARNT
        .replace("\n    ranking: {trees: rank, keep: 5}", "")
        .replace(" + score.ranked", "");
    let pack = |text: &str| Loaded {
        files: vec![(
            "scene.yaml".into(),
            format!("{BASE}{text}").replace(
                "fields: {amount:",
                "fields: {fund: text, city: text, count: integer, amount:",
            ),
        )],
        ..Loaded::default()
    };
    // Trees that are not there yet are left out.
    let both = LEARNT.replace(
        "kind: factors}",
        "kind: factors}\n  rank: {file: artifacts/rank.txt, kind: trees}",
    );
    for text in [learnt.as_str(), both.as_str()] {
        let plan =
            luopan_scene::compile_to_train(pack(text)).unwrap_or_else(|f| panic!("{}", lines(&f)));
        let retrieval = plan.policies[0].retrieval.as_ref().unwrap();
        let event = plan.event("order").unwrap();
        let learnt: Vec<_> = (retrieval.learn_from.iter())
            .map(|l| {
                let field = &event.fields[usize::from(l.item)].name;
                (field.as_str(), l.filter.is_some(), l.weight)
            })
            .collect();
        assert_eq!(learnt, [("fund", true, 2.5), ("city", false, 1.0)]);
        assert!(plan.artifacts.iter().all(|a| a.sha256.is_empty()));
        assert!(plan.policies[0].ranking.is_none());
        // To apply it, the file must be there.
        let faults = luopan_scene::compile(pack(text)).unwrap_err();
        assert!(lines(&faults).contains("the pack has no file `artifacts/taste.bin`"));
    }
    // With it, the plan is the same but for the hash.
    let mut whole = pack(&learnt);
    whole
        .trained
        .insert("artifacts/taste.bin".into(), factors(1, 0));
    let mut plan = luopan_scene::compile(whole).unwrap().plan;
    assert_eq!(plan.artifacts[0].sha256.len(), 64);
    plan.artifacts[0].sha256.clear();
    assert_eq!(plan, luopan_scene::compile_to_train(pack(&learnt)).unwrap());

    for (wrong, right, said) in [
        ("event: order, item: city", "event: oder", "`oder`"),
        ("item: city", "item: town", "`town`"),
        ("item: city", "item: count", "the key of an item is text"),
        (", item: city", "", "no field `item`"),
        ("weight: 2.5", "weight: 0", "a number above zero"),
        ("amount > money(\"1\", \"CNY\")", "amount", "condition"),
    ] {
        let faults =
            luopan_scene::compile_to_train(pack(&learnt.replace(wrong, right))).unwrap_err();
        assert!(lines(&faults).contains(said), "{right}: {}", lines(&faults));
    }
}
