//! The scene that the victim runs: small, with everything that a crash could tear: tags of every kind, segments that flip by
//! time, a cap, budgets in total and per day, holds that expire, a reward with a window, a model.

use luopan_kernel::id::hash64;
use luopan_kernel::plan::ScenePlan;

/// Name of the scene.
pub const SCENE: &str = "load";
/// Most contacts of one customer by each of the policies `short` and `long` (see the scene).
pub const CAP: usize = 3;
/// Policies in the order in which load picks them.
pub const POLICIES: [&str; 3] = ["short", "long", "learned"];

/// The scene as written.
pub const YAML: &str = r#"
scene: load
zone: Asia/Shanghai
dedup_horizon: 7d
events:
  visit: {fields: {weight: {type: integer, required: true}, page: text}}
  buy: {fields: {decision_id: text}}
tags:
  visits: {event: visit, aggregate: count}
  visits_1d: {event: visit, aggregate: count, window: 1d}
  weight: {event: visit, aggregate: sum, of: weight}
  pages: {event: visit, aggregate: distinct, of: page}
  last_visit: {event: visit, aggregate: recency}
  buys: {event: buy, aggregate: count}
segments:
  frequent: visits >= 10
  silent: last_visit > duration("3s")
  buyers: buys > 0
catalogues:
  offers:
    attributes: {cost: integer}
    items:
      coupon: {cost: 1}
      gift: {cost: 2}
rewards:
  bought: {event: buy, join: {decision: decision_id}, value: "1.0", window: 2s, default: 0}
models:
  buy_model:
    kind: logistic
    scope: per_item
    reward: bought
    catalogue: offers
    features: [intercept, {bins: visits, edges: [1, 10]}]
budgets:
  points: {limit: 60, period: total, rows: 4}
  whole: {limit: 1200, period: total, rows: 4}
  daily: {limit: 800, period: daily, rows: 4}
policies:
  short:
    catalogue: offers
    channel: app
    eligibility: [{name: seen, rule: "visits >= 1"}]
    score: "double(10 - item.cost)"
    exploration: {epsilon_greedy: 0.5}
    null_action: {name: nothing}
    caps: [{name: few, limit: 3, window: 1d, scope: policy}]
    budgets: [{budget: points, cost: item.cost}]
    valid_for: 2s
    receipts_within: 1s
  long:
    catalogue: offers
    channel: sms
    score: "double(10 - item.cost)"
    exploration: {epsilon_greedy: 0.5}
    null_action: {name: nothing}
    caps: [{name: few, limit: 3, window: 1d, scope: policy}]
    budgets: [{budget: whole, cost: item.cost}, {budget: daily, cost: item.cost}]
    valid_for: 1d
    receipts_within: 1s
  learned:
    catalogue: offers
    channel: web
    score: {model: buy_model}
    exploration: {thompson: {draws: 20, floor: 0.1}}
    null_action: {name: nothing, arm: true}
    rewards: [bought]
"#;

/// The scene, compiled.
///
/// # Errors
/// Its faults in words; there are none unless the scene language changed.
pub fn plan() -> Result<ScenePlan, String> {
    compiled(YAML)
}

/// A scene of one file, compiled.
///
/// # Errors
/// Its faults in words.
pub fn compiled(yaml: &str) -> Result<ScenePlan, String> {
    luopan_scene::compile(vec![("scene.yaml".into(), yaml.to_owned())])
        .map(|checked| checked.plan)
        .map_err(|faults| format!("the load scene does not compile: {faults:?}"))
}

/// Budgets of a ledger that are over their limits, or below nothing.
pub fn over(plan: &ScenePlan, ledger: &[(String, i64)]) -> Vec<(String, i64)> {
    (ledger.iter())
        .filter(|(name, spent)| {
            let named = name.split('/').nth(1).unwrap_or_default();
            let limit = plan.budgets.iter().find(|b| b.name == named);
            *spent < 0 || limit.is_none_or(|l| *spent > l.limit)
        })
        .cloned()
        .collect()
}

/// Weight of a visit: a function of its id, so that a sum of weights tells which visits are in it.
pub fn weight(event: &str) -> i64 {
    (hash64(event.as_bytes()) & 0xf_ffff_ffff) as i64
}
