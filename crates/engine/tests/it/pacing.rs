//! A budget that is to last: its price keeps it for those who are worth most, whenever they come.

use crate::support::World;
use luopan_engine::api::Raw;
use luopan_kernel::time::MINUTE_US;

const ARRIVALS: usize = 600;
const LIMIT: usize = 100;

/// Three policies of one budget each: without a price, at the price that the whole stream would have had, and at one that is a third
/// of it, which only its pace can mend.
const PACED: &str = r#"
scene: shop
events:
  visit: {}
request:
  worth: number
catalogues:
  offers:
    attributes: {cost: integer}
    items:
      coupon: {cost: 1}
budgets:
  first_come: {limit: 100, period: total, rows: 1}
  priced: {limit: 100, period: total, rows: 1, lasts: {from: "2026-01-01T00:00:00Z", until: "2026-01-11T00:00:00Z"}}
  learning: {limit: 100, period: total, rows: 1, lasts: {from: "2026-01-01T00:00:00Z", until: "2026-01-11T00:00:00Z"}}
policies:
  first_come:
    catalogue: offers
    channel: app
    score: "request.worth.orElse(0.0)"
    exploration: greedy
    null_action: {name: nothing, arm: true}
    budgets: [{budget: first_come, cost: item.cost}]
    valid_for: 30d
  priced:
    like: first_come
    budgets: [{budget: priced, cost: item.cost, price: {base: 0.83, rate: 1}}]
  learning:
    like: first_come
    budgets: [{budget: learning, cost: item.cost, price: {base: 0.28, rate: 8}}]
"#;

/// How much a customer is worth who comes as the `i`-th: even over 0 to 1, in no order.
fn worth(i: usize) -> f64 {
    ((i * 7919 + 13) % 10_007) as f64 / 10_007.0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_priced_budget_lasts_and_goes_to_who_is_worth_most() {
    let w = World::new(PACED).await;
    let policies = ["first_come", "priced", "learning"];
    let mut won = [0.0; 3];
    let mut given: [Vec<usize>; 3] = Default::default();
    for i in 0..ARRIVALS {
        for (at, policy) in policies.iter().enumerate() {
            let mut request = w.request(policy, &format!("c{i}"));
            request.context = vec![("worth".into(), Raw::Number(worth(i)))];
            let made = w.engine.decide(request).await.unwrap();
            let explained = w.engine.explain(made.record.request.decision);
            if i % 50 == 0 {
                let explained = explained.await.unwrap();
                assert_eq!(explained.differences, Vec::<String>::new());
            }
            if !made.record.decision.choices.is_empty() {
                won[at] += worth(i);
                given[at].push(i);
            }
        }
        w.env.pass(10 * 24 * 60 * MINUTE_US / ARRIVALS as i64);
    }
    let mut all: Vec<f64> = (0..ARRIVALS).map(worth).collect();
    all.sort_by(|a, b| b.total_cmp(a));
    let best: f64 = all[..LIMIT].iter().sum();
    let share = won.map(|v| v / best);
    assert!(given.iter().all(|g| g.len() <= LIMIT), "{given:?}");
    // Whoever comes first has it all.
    assert!(given[0].last() < Some(&(ARRIVALS / 4)), "{given:?}");
    assert!(share[0] < 0.7, "{share:?}");
    // It is there until the end, and nearly as good as with all known beforehand.
    assert!(given[1].last() > Some(&(ARRIVALS * 95 / 100)), "{given:?}");
    assert!(share[1] > 0.95, "{share:?}");
    // Where the base is too low it is spent ahead of time, by what the base is short of, over the rate: here by 7 % of the time.
    assert!(given[2].last() > Some(&(ARRIVALS * 90 / 100)), "{given:?}");
    assert!(share[2] > 0.9, "{share:?}");
    w.verify().await;
}
