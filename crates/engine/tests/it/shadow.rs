//! Policies in shadow: what another policy would have done is decided from what the decision saw, by the code that would have decided.

use crate::support::{SHOP, World, plan};
use luopan_engine::api::Raw;
use luopan_engine::dataset::shadow::{Candidate, Decided};
use luopan_engine::dataset::{Dataset, DatasetRead, DatasetSpec};
use luopan_kernel::event::Origin;
use luopan_kernel::id::DecisionId;
use luopan_kernel::record::DecisionRecord;
use luopan_kernel::time::{DAY_US, HOUR_US};
use luopan_kernel::trees::{Child, Ensemble, Parts, Split, Test, Transform, Tree};
use luopan_kernel::value::Value;
use luopan_scene::Loaded;
use std::collections::BTreeMap;

/// Candidates beside the shop's policies.
const NEXT: &str = r#"
  greedy_model:
    like: learned
    exploration: greedy
  by_visits:
    like: learned
    score: "double(visits_7d * item.level) - 1.5 * double(item.level)"
    exploration: {epsilon_greedy: 0.2}
    null_action: {name: hush, arm: true, score: 0.1}
    suitability: [{name: grown, rule: "age >= 20"}]
  wide_cap:
    like: capped
    caps: [{name: once, limit: 1, window: 7d}]
  high_cap:
    like: capped
    caps: [{name: thrice, limit: 3, window: 1d}]
  strict:
    like: capped
    eligibility: [{name: adult, rule: "age >= 30"}]
    caps: [{name: half, limit: 1, window: 12h}]
"#;

fn candidate(policy: &str) -> Candidate {
    Candidate {
        policy: policy.into(),
        model: None,
    }
}

type Found = BTreeMap<DecisionId, Vec<Option<Decided>>>;

async fn shadowed(w: &World, policy: &str, candidates: &[&str]) -> (Found, DatasetRead) {
    w.settle().await;
    let mut dataset = w.engine.dataset("shop", policy).unwrap();
    for name in candidates {
        dataset = dataset.shadowed_by(candidate(name)).await.unwrap();
    }
    let (out, told) = read(&dataset).await;
    assert_eq!(told.differences, Vec::<String>::new());
    assert_eq!(told.differ, 0);
    (out, told)
}

async fn read(dataset: &Dataset) -> (Found, DatasetRead) {
    let mut out = Found::new();
    let told = dataset
        .read(&DatasetSpec::default(), &mut |row| {
            out.insert(row.decision, row.shadows.to_vec());
            Ok(())
        })
        .await
        .unwrap();
    (out, told)
}

/// A policy's distribution as it was recorded, by arm.
fn arms(record: &DecisionRecord, silence: &str) -> BTreeMap<String, f64> {
    let distribution = &record.decision.distribution;
    // Rows are in the order of keys.
    let items = [(Some(0), "coupon"), (Some(1), "gift"), (None, silence)];
    (items.into_iter())
        .map(|(row, name)| (name.to_owned(), distribution.probability(row)))
        .filter(|(_, p)| *p > 0.0)
        .collect()
}

fn listed(of: &Decided) -> BTreeMap<String, f64> {
    (of.arms.iter().map(|(n, p)| (n.to_string(), *p))).collect()
}

/// A shop with a past: linked customers, a model that learns on the way, caps that are reached.
async fn shop() -> (World, Vec<String>) {
    let w = World::new(&format!("{SHOP}{NEXT}")).await;
    let names: Vec<String> = (0..12).map(|i| format!("c{i}")).collect();
    for (i, name) in names.iter().enumerate() {
        w.ingest(&[Ok(w.incoming(
            name,
            "luopan.customer",
            &[
                ("age", Raw::Int(15 + 2 * i as i64)),
                ("consent", Raw::Bool(true)),
            ],
        ))])
        .await;
    }
    w.settle().await;
    w.engine.link("c1", "c7", "test").await.unwrap();
    w.engine.link("c2", "c9", "test").await.unwrap();
    w.settle().await;
    (w, names)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_candidate_would_have_done_is_what_it_said_when_it_was_asked() {
    let (w, names) = shop().await;
    let candidates = ["learned", "greedy_model", "by_visits"];
    let mut wanted: BTreeMap<DecisionId, [BTreeMap<String, f64>; 2]> = BTreeMap::new();
    for round in 0..4 {
        for (i, name) in names.iter().enumerate() {
            // Asked at the same moment, without consequences.
            let mut said = Vec::new();
            for (policy, silence) in [("greedy_model", "nothing"), ("by_visits", "hush")] {
                let mut request = w.request(policy, name);
                request.origin = Origin::DryRun;
                let record = w.engine.decide(request).await.unwrap().record;
                let mut found = arms(&record, silence);
                // Silence has the name that it has in the logs.
                if let Some(p) = found.remove("hush") {
                    found.insert("nothing".into(), p);
                }
                said.push(found);
            }
            let made = w.decide("learned", name).await.unwrap().record;
            let id = made.request.decision;
            wanted.insert(id, said.try_into().unwrap());
            if (i + round) % 3 == 0 {
                let named = Raw::Text(id.to_string().into());
                w.event(
                    name,
                    "buy",
                    &[("amount", Raw::Int(5)), ("decision_id", named)],
                )
                .await;
            }
            if i % 2 == 0 {
                w.event(name, "visit", &[]).await;
            }
        }
        // Silence settles, and the model learns.
        pass(&w, 25 * HOUR_US).await;
    }
    let (found, told) = shadowed(&w, "learned", &candidates).await;
    assert_eq!(found.len(), wanted.len());
    assert!(!told.is_thinned);
    let mut kinds = std::collections::BTreeSet::new();
    for (id, [greedy, by_visits]) in &wanted {
        let of = |i: usize| listed(found[id][i].as_ref().unwrap());
        assert_eq!(of(1), *greedy, "{id}");
        assert_eq!(of(2), *by_visits, "{id}");
        kinds.insert(format!("{greedy:?}"));
        kinds.insert(format!("{by_visits:?}"));
    }
    assert!(
        kinds.len() > 4,
        "the candidates do not always do the same: {kinds:?}"
    );
    // The policy itself was compared with what it had recorded.
    assert!(told.compared >= wanted.len() as u64, "{told:?}");
    // What came later changes nothing of it.
    for name in &names {
        w.event(name, "visit", &[]).await;
        w.decide("learned", name).await.unwrap();
    }
    let (later, _) = shadowed(&w, "learned", &candidates).await;
    for id in wanted.keys() {
        assert_eq!(later[id], found[id]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_candidate_stands_in_the_place_of_who_decided() {
    let (w, names) = shop().await;
    let mut told_before = Vec::new();
    for name in &names {
        let made = w.decide("capped", name).await.unwrap().record;
        told_before.push(made);
        w.env.pass(6 * HOUR_US);
        // Refused by the cap of a day: no row.
        w.decide("capped", name).await.unwrap();
        w.env.pass(DAY_US);
        let made = w.decide("capped", name).await.unwrap().record;
        told_before.push(made);
    }
    let (found, _) = shadowed(&w, "capped", &["capped", "strict"]).await;
    let (mut kept, mut refused) = (0, 0);
    for record in told_before
        .iter()
        .filter(|r| !r.decision.choices.is_empty())
    {
        let arm = &record.decision.choices[0].item;
        let decided = &found[&record.request.decision];
        assert_eq!(decided[0].as_ref().unwrap().probability(arm), 1.0);
        let strict = decided[1].as_ref().unwrap();
        let age = record
            .decision
            .slots_read
            .iter()
            .find(|(n, _)| n == "age")
            .unwrap();
        if matches!(age.1, Value::Int(age) if age >= 30) {
            assert_eq!(strict.probability(arm), 1.0, "{record:?}");
            kept += 1;
        } else {
            assert_eq!(strict.probability("nothing"), 1.0, "{record:?}");
            refused += 1;
        }
    }
    assert!(kept > 3 && refused > 3, "{kept} {refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_decisions_did_not_record_is_refused() {
    let (w, _) = shop().await;
    let refused = async |policy: &str, candidate: Candidate| {
        let dataset = w.engine.dataset("shop", policy).unwrap();
        let e = dataset.shadowed_by(candidate).await.unwrap_err();
        (e.code, e.message)
    };
    for (policy, of, code, words) in [
        (
            "learned",
            "capped",
            "cannot_shadow",
            "cap `once` of policy `capped`",
        ),
        (
            "capped",
            "wide_cap",
            "cannot_shadow",
            "cap `once` of policy `wide_cap`",
        ),
        // Records hold no more contacts than some cap counts to.
        (
            "capped",
            "high_cap",
            "cannot_shadow",
            "cap `thrice` of policy `high_cap`",
        ),
        (
            "learned",
            "last_unit",
            "cannot_shadow",
            "what budgets have left",
        ),
        ("learned", "nobody", "unknown_policy", "nobody"),
    ] {
        let (found, message) = refused(policy, candidate(of)).await;
        assert_eq!(found, code, "{message}");
        assert!(message.contains(words), "{message}");
    }
    let with = |model: &str| Candidate {
        policy: "learned".into(),
        model: Some((model.into(), 2)),
    };
    let (code, message) = refused("learned", with("buy")).await;
    assert_eq!(code, "unknown_model", "{message}");
}

/// Lets time go by until what it settles is learned.
async fn pass(w: &World, us: i64) {
    w.env.pass(us);
    while !w.engine.timers_idle() {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    w.settle().await;
}

/// Decides for everybody, has some buy, and waits until all of it is learned.
async fn live_a_day(w: &World, names: &[String]) -> Vec<DecisionId> {
    let mut out = Vec::new();
    for (i, name) in names.iter().enumerate() {
        let id = w
            .decide("learned", name)
            .await
            .unwrap()
            .record
            .request
            .decision;
        out.push(id);
        if i % 2 == 0 {
            let named = Raw::Text(id.to_string().into());
            w.event(
                name,
                "buy",
                &[("amount", Raw::Int(5)), ("decision_id", named)],
            )
            .await;
        }
    }
    pass(w, 25 * HOUR_US).await;
    out
}

/// Applies the shop with a policy that ranks by trees of a file: cheap items score the first number, dear ones the second.
async fn apply_trees(w: &World, leaves: [f64; 2]) {
    let tree = Tree {
        splits: vec![Split {
            feature: 0,
            test: Test::AtMost {
                threshold: 1.5,
                missing: true,
                zero_is_missing: false,
            },
            left: Child::Leaf(0),
            right: Child::Leaf(1),
        }],
        leaves: leaves.to_vec(),
    };
    let trees = Ensemble::build(Parts {
        features: vec!["item.cost".into()],
        outputs: 1,
        averaged: false,
        transform: Transform::Identity,
        trees: vec![tree],
    });
    let yaml = format!(
        "{SHOP}{NEXT}  ranked:\n    like: learned\n    ranking: {{trees: order, keep: 2}}\n    score: score.ranked\n    exploration: greedy\nartifacts:\n  order: {{file: artifacts/order.trees, kind: trees}}\n"
    );
    let mut pack = Loaded::from(vec![("scene.yaml".to_owned(), yaml)]);
    pack.trained
        .insert("artifacts/order.trees".into(), trees.unwrap().encode());
    let checked = luopan_scene::compile(pack).unwrap_or_else(|f| panic!("{f:?}"));
    let applied = w
        .engine
        .apply_trained_scene(&checked.plan, &checked.artifacts, &[], "test");
    applied.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trained_file_decides_nothing_from_before_it_was_applied() {
    let (w, names) = shop().await;
    let mut made = Vec::new();
    for leaves in [[0.9, 0.1], [0.1, 0.9]] {
        apply_trees(&w, leaves).await;
        made.push(live_a_day(&w, &names).await);
    }
    let of = |found: &Found, ids: &[DecisionId]| -> Vec<Option<f64>> {
        (ids.iter())
            .map(|id| found[id][0].as_ref().map(|d| d.probability("gift")))
            .collect()
    };
    // The file of today may have learned from the first day; of the second it knew nothing.
    let (found, told) = shadowed(&w, "learned", &["ranked"]).await;
    assert_eq!(of(&found, &made[0]), vec![None; names.len()]);
    assert_eq!(of(&found, &made[1]), vec![Some(1.0); names.len()]);
    assert_eq!(told.unshadowed, names.len() as u64);
    // The first one again: it was there on the first day already.
    apply_trees(&w, [0.9, 0.1]).await;
    let (found, told) = shadowed(&w, "learned", &["ranked"]).await;
    for ids in &made {
        assert_eq!(of(&found, ids), vec![Some(0.0); names.len()]);
    }
    assert_eq!(told.unshadowed, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_model_that_was_defined_anew_lends_the_past_nothing() {
    let (w, names) = shop().await;
    let mut early = Vec::new();
    for _ in 0..3 {
        early.extend(live_a_day(&w, &names).await);
    }
    let anew = format!("{SHOP}{NEXT}").replace("edges: [1, 3]", "edges: [2, 5]");
    w.engine
        .apply_scene(&plan(&anew), &[], "test")
        .await
        .unwrap();
    live_a_day(&w, &names).await;
    let (before, _) = shadowed(&w, "learned", &["learned"]).await;
    for _ in 0..2 {
        live_a_day(&w, &names).await;
    }
    let (after, _) = shadowed(&w, "learned", &["learned"]).await;
    for id in &early {
        let found = before[id][0].as_ref().unwrap();
        // The model of today had learned nothing then: no arm is better than another.
        assert_eq!(after[id][0].as_ref(), Some(found), "{id}");
        assert!(
            (found.probability("coupon") - found.probability("gift")).abs() < 0.25,
            "{found:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_earlier_version_did_not_record_is_not_decided_again() {
    let (w, names) = shop().await;
    let mut made = [Vec::new(), Vec::new()];
    let wide =
        r#"caps: [{name: once, limit: 1, window: 1d}, {name: all, limit: 1000, window: 7d}]"#;
    let next =
        format!("{SHOP}{NEXT}").replacen("caps: [{name: once, limit: 1, window: 1d}]", wide, 1);
    for (version, ids) in made.iter_mut().enumerate() {
        if version == 1 {
            w.engine
                .apply_scene(&plan(&next), &[], "test")
                .await
                .unwrap();
        }
        for name in &names {
            ids.push(w.decide("capped", name).await.unwrap().record);
        }
        w.env.pass(2 * DAY_US);
    }
    let dataset = w.engine.dataset("shop", "capped").unwrap();
    let dataset = dataset.shadowed_by(candidate("wide_cap")).await.unwrap();
    w.settle().await;
    let (found, told) = read(&dataset).await;
    let [early, late] = made.map(|records| {
        let rows = (records.iter()).filter_map(|r| found.get(&r.request.decision));
        rows.map(|r| r[0].clone()).collect::<Vec<_>>()
    });
    assert!(early.len() > 5 && late.len() > 5, "{early:?} {late:?}");
    assert!(early.iter().all(Option::is_none), "{early:?}");
    assert_eq!(told.unshadowed, early.len() as u64);
    // Who was told two days ago is not told again by a cap of seven days.
    assert!(
        (late.iter()).all(|d| d.as_ref().is_some_and(|d| d.probability("nothing") == 1.0)),
        "{late:?}"
    );
}
