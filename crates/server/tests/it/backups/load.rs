//! A load that notes what was acknowledged: events, decisions under keys, links, quarantined input, outcomes. And the look at whether
//! all of it is there. It asks the engine alone.

use luopan_engine::Engine;
use luopan_engine::api::{DecideRequest, Incoming, Outcome, PositionToken, Raw};
use luopan_kernel::event::Origin;
use luopan_kernel::value::Value;
use luopan_server::data::Opened;
use parking_lot::Mutex;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Caps, holds, budgets, a model and its rewards.
const STORE: &str = r#"
scene: store
zone: UTC
customer: {age: integer}
events:
  visit: {fields: {page: text, seconds: integer}}
  buy: {fields: {amount: {type: money, currency: CNY, required: true}, decision_id: text}}
tags:
  visits: {event: visit, aggregate: count}
  visits_7d: {event: visit, aggregate: count, window: 7d}
  seconds: {event: visit, aggregate: sum, of: seconds}
segments:
  active: visits_7d >= 2
catalogues:
  offers:
    attributes: {cost: integer}
    items:
      coupon: {cost: 1}
      gift: {cost: 2}
rewards:
  bought: {event: buy, join: {decision: decision_id}, value: "1.0", window: 1d, default: 0}
models:
  buy_model:
    kind: logistic
    scope: per_item
    reward: bought
    catalogue: offers
    features: [intercept, {bins: visits_7d, edges: [1, 3]}]
budgets:
  points: {limit: 150, period: total, rows: 4}
  daily: {limit: 1000000, period: daily, rows: 16}
policies:
  learned:
    catalogue: offers
    channel: app
    score: {model: buy_model}
    exploration: {thompson: {draws: 20, floor: 0.1}}
    null_action: {name: nothing, arm: true}
    rewards: [bought]
  capped:
    catalogue: offers
    channel: sms
    score: "double(10 - item.cost)"
    exploration: uniform
    null_action: {name: nothing}
    caps: [{name: thrice, limit: 3, window: 1d}]
    budgets: [{budget: points, cost: item.cost}, {budget: daily, cost: "1"}]
    valid_for: 1h
"#;

/// What was acknowledged, and what was sent.
#[derive(Debug, Default, Clone)]
pub(crate) struct Acked {
    /// Visits and their seconds by customer.
    visits: BTreeMap<String, (i64, i64)>,
    /// The same, acknowledged or not.
    sent: BTreeMap<String, (i64, i64)>,
    /// Decisions by key: customer, policy, id.
    decisions: BTreeMap<String, (String, String, String)>,
    /// Pairs that are one customer.
    links: Vec<(String, String)>,
    quarantined: usize,
}

impl Acked {
    /// What was sent by either of two loads at once.
    pub(crate) fn both(one: &Self, other: &Self) -> Self {
        let mut sent = one.sent.clone();
        for (customer, (visits, seconds)) in &other.sent {
            let all = sent.entry(customer.clone()).or_default();
            *all = (all.0 + visits, all.1 + seconds);
        }
        Self {
            sent,
            ..Self::default()
        }
    }

    pub(crate) fn count(&self) -> usize {
        self.visits.len() + self.decisions.len() + self.links.len()
    }
}

/// Applies two scenes.
pub(crate) async fn apply(opened: &Opened) {
    let shop = luopan_scene::load_folder(&crate::server::shop()).expect("a pack");
    for files in [shop.files, vec![("scene.yaml".into(), STORE.into())]] {
        put(&opened.engine, files).await;
    }
}

/// Applies another version of the scene: one more tag, which every partition fills from its log.
pub(crate) async fn apply_with(engine: &Engine, tag: u32) {
    let more =
        format!("tags:\n  visits_of_{tag}d: {{event: visit, aggregate: count, window: {tag}d}}\n");
    put(
        engine,
        vec![("scene.yaml".into(), STORE.replace("tags:\n", &more))],
    )
    .await;
}

async fn put(engine: &Engine, files: Vec<(String, String)>) {
    let checked = luopan_scene::compile(files.clone()).expect("a pack without fault");
    let files: Vec<_> = (files.into_iter())
        .map(|(n, t)| (n, bytes::Bytes::from(t)))
        .collect();
    let applied = engine.apply_scene(&checked.plan, &files, "test");
    applied.await.expect("apply");
}

/// Runs until it is told to stop.
pub(crate) struct Load {
    pub(crate) acked: Arc<Mutex<Acked>>,
    stop: Arc<AtomicBool>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Load {
    /// Begins tasks over an engine; ids of different rounds differ. It goes on from what was acknowledged before.
    pub(crate) fn begin(engine: &Arc<Engine>, round: u32, tasks: u32, acked: Acked) -> Self {
        let acked = Arc::new(Mutex::new(acked));
        let stop = Arc::new(AtomicBool::new(false));
        let tasks = (0..tasks)
            .map(|t| {
                let (engine, acked, stop) =
                    (Arc::clone(engine), Arc::clone(&acked), Arc::clone(&stop));
                tokio::spawn(async move {
                    let mut n = 0;
                    while !stop.load(Ordering::Relaxed) {
                        step(&engine, &acked, &format!("{round}-{t}"), n).await;
                        n += 1;
                    }
                })
            })
            .collect();
        Self { acked, stop, tasks }
    }

    pub(crate) async fn end(self) -> Acked {
        self.stop.store(true, Ordering::Relaxed);
        for task in self.tasks {
            task.await.expect("a task of the load");
        }
        self.acked.lock().clone()
    }
}

fn event(
    id: String,
    customer: &str,
    kind: &'static str,
    properties: Vec<(Cow<'static, str>, Raw<'static>)>,
) -> Incoming<'static> {
    Incoming {
        id: Cow::Owned(id),
        customer: Cow::Owned(customer.to_owned()),
        kind: Cow::Borrowed(kind),
        occurred_at: None,
        properties,
        context: Vec::new(),
        corrects: None,
        raw: Cow::Borrowed("{}"),
    }
}

async fn step(engine: &Engine, acked: &Mutex<Acked>, who: &str, n: u32) {
    // Some customers are everybody's.
    let customers: Vec<String> = (0..6)
        .map(|i| match i {
            0 => format!("hot-{}", n % 5),
            _ => format!("c-{who}-{}", (n + i) % 40),
        })
        .collect();
    let mut inputs: Vec<_> = (customers.iter().enumerate())
        .map(|(i, customer)| {
            let seconds = Raw::Int(i64::from(n % 7));
            Ok(event(
                format!("e-{who}-{n}-{i}"),
                customer,
                "visit",
                vec![("seconds".into(), seconds)],
            ))
        })
        .collect();
    if n % 10 == 3 {
        inputs.push(Ok(event(
            format!("q-{who}-{n}"),
            "x",
            "unheard",
            Vec::new(),
        )));
    }
    let seconds = i64::from(n % 7);
    for customer in &customers {
        let mut acked = acked.lock();
        let sent = acked.sent.entry(customer.clone()).or_default();
        *sent = (sent.0 + 1, sent.1 + seconds);
    }
    match engine.ingest("store", Origin::Live, &inputs).await {
        Ok(receipt) => {
            let mut acked = acked.lock();
            for (outcome, customer) in receipt.outcomes.iter().zip(&customers) {
                assert!(matches!(outcome, Outcome::Accepted { .. }), "{outcome:?}");
                let visits = acked.visits.entry(customer.clone()).or_default();
                *visits = (visits.0 + 1, visits.1 + seconds);
            }
            acked.quarantined += inputs.len() - customers.len();
        }
        Err(refusal) => panic!("{refusal:?}"),
    }
    let policy = if n.is_multiple_of(2) {
        "capped"
    } else {
        "learned"
    };
    let (customer, key) = (&customers[1], format!("k-{who}-{n}"));
    let answer = engine.decide(request(policy, customer, &key)).await;
    let answer = answer.expect("a decision");
    let id = answer.record.request.decision.to_string();
    acked
        .lock()
        .decisions
        .insert(key, (customer.clone(), policy.to_owned(), id.clone()));
    if n % 2 == 1 && !n.is_multiple_of(3) {
        let properties = vec![
            ("amount".into(), Raw::Number(12.0)),
            ("decision_id".into(), Raw::Text(id.into())),
        ];
        let buy = Ok(event(format!("b-{who}-{n}"), customer, "buy", properties));
        engine
            .ingest("store", Origin::Live, &[buy])
            .await
            .expect("an outcome");
    }
    if n % 15 == 7 {
        let (a, b) = (format!("l-{who}-{n}-a"), format!("l-{who}-{n}-b"));
        engine.link(&a, &b, "test").await.expect("a link");
        acked.lock().links.push((a, b));
    }
}

fn request(policy: &str, customer: &str, key: &str) -> DecideRequest {
    DecideRequest {
        scene: "store".into(),
        policy: policy.into(),
        customer: customer.into(),
        idempotency_key: Some(key.into()),
        body_hash: [1; 32],
        context: Vec::new(),
        at_least: PositionToken::default(),
        wait_us: 20_000_000,
        origin: Origin::Live,
        slots: None,
        item: None,
    }
}

/// Everything that was acknowledged is there, nothing is there twice; what `verify` says besides is the caller's to look at. `all` is
/// everything that was ever sent.
pub(crate) async fn holds(opened: &Opened, acked: &Acked, all: &Acked) {
    let engine = &opened.engine;
    for (customer, (visits, seconds)) in &acked.visits {
        let view = engine
            .customer("store", customer)
            .await
            .expect("a customer");
        let tag = |name: &str| {
            view.tags
                .iter()
                .find(|(n, _)| n == name)
                .map(|t| t.1.clone())
        };
        let (Some(Value::Int(v)), Some(Value::Int(s))) = (tag("visits"), tag("seconds")) else {
            panic!("{customer}: {:?}", view.tags);
        };
        let most = all.sent[customer];
        assert!(
            (*visits..=most.0).contains(&v) && (*seconds..=most.1).contains(&s),
            "{customer}: {v} visits of {s} seconds, acknowledged {visits} of {seconds}, sent {most:?}"
        );
    }
    for (key, (customer, policy, id)) in &acked.decisions {
        let answer = engine.decide(request(policy, customer, key)).await;
        let answer = answer.expect("a decision again");
        assert!(answer.repeated, "{key} was decided anew");
        assert_eq!(&answer.record.request.decision.to_string(), id, "{key}");
    }
    for (a, b) in &acked.links {
        let one = engine.customer("store", a).await.expect("a customer");
        let other = engine.customer("store", b).await.expect("a customer");
        assert_eq!(one.customer, other.customer, "{a} and {b} are linked");
    }
    let mut found = 0;
    let mut after: Option<String> = None;
    loop {
        let page = engine.quarantine(None, after.as_deref(), 500).await;
        let page = page.expect("the quarantine");
        found += page.len();
        match page.last() {
            Some(last) => after = Some(last.id.clone()),
            None => break,
        }
    }
    assert!(found >= acked.quarantined, "{found} in quarantine");
}
