//! A small scene, an environment whose clock the test moves, and short words for what tests do.

use futures::future::BoxFuture;
use luopan_engine::api::{
    DecideRequest, DecisionAnswer, Incoming, IngestReceipt, Input, PositionToken, Raw,
};
use luopan_engine::{Engine, Env, Limits, Refusal};
use luopan_kernel::event::Origin;
use luopan_kernel::plan::ScenePlan;
use luopan_kernel::time::{DAY_US, Micros};
use luopan_store::{Stores, memory};
use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

/// A clock that stands until the test moves it; sleeping waits a real millisecond and looks again.
#[derive(Debug)]
pub(crate) struct TestEnv {
    now: AtomicI64,
    ids: AtomicU64,
}

pub(crate) const START: Micros = Micros(1_767_225_600_000_000); // 2026-01-01T00:00:00Z

impl TestEnv {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            now: AtomicI64::new(START.0),
            ids: AtomicU64::new(1),
        })
    }
    pub(crate) fn pass(&self, us: i64) {
        self.now.fetch_add(us, Ordering::SeqCst);
    }
}

impl Env for TestEnv {
    fn now(&self) -> Micros {
        Micros(self.now.load(Ordering::SeqCst))
    }
    fn fresh_id(&self) -> [u8; 16] {
        let n = self.ids.fetch_add(1, Ordering::SeqCst);
        uuid::Uuid::from_u64_pair(
            0x0190_0000_0000_7000 | (n & 0xfff),
            0x8000_0000_0000_0000 | n,
        )
        .into_bytes()
    }
    fn seed(&self) -> u64 {
        self.ids
            .fetch_add(1, Ordering::SeqCst)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }
    fn sleep(&self, us: i64) -> BoxFuture<'static, ()> {
        // Long sleeps are of the clock that the test moves: they are looked at again soon.
        Box::pin(tokio::time::sleep(Duration::from_micros(
            us.clamp(0, 2_000) as u64,
        )))
    }
    fn spawn(&self, _name: &'static str, task: BoxFuture<'static, ()>) {
        tokio::spawn(task);
    }
    fn utc_offset_s(&self, zone: &str, _at: Micros) -> Option<i32> {
        match zone {
            "UTC" => Some(0),
            "Asia/Shanghai" => Some(28_800),
            _ => None,
        }
    }
}

pub(crate) const SHOP: &str = r#"
scene: shop
zone: UTC
dedup_horizon: 7d
customer:
  age: integer
  consent: boolean
events:
  visit: {fields: {page: text, seconds: integer}}
  buy: {fields: {amount: {type: money, currency: CNY, required: true}, decision_id: text}}
  dismiss: {fields: {decision_id: text}}
tags:
  visits_7d: {event: visit, aggregate: count, window: 7d}
  seconds: {event: visit, aggregate: sum, of: seconds}
  spent: {event: buy, aggregate: sum, of: amount}
  last_visit: {event: visit, aggregate: recency}
  pages: {event: visit, aggregate: distinct, of: page}
segments:
  active: visits_7d >= 2
  silent: last_visit > duration("10d")
  buyers: spent > money("0", "CNY")
catalogues:
  offers:
    attributes: {cost: integer, level: integer}
    items:
      coupon: {cost: 1, level: 1}
      gift: {cost: 2, level: 3}
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
  points: {limit: 100, period: total, rows: 4}
  single: {limit: 1, period: total, rows: 4}
policies:
  learned:
    catalogue: offers
    channel: app
    score: {model: buy_model}
    exploration: {thompson: {draws: 50, floor: 0.1}}
    null_action: {name: nothing, arm: true}
    rewards: [bought]
  capped:
    catalogue: offers
    channel: sms
    consent: consent
    eligibility: [{name: adult, rule: "age >= 18"}]
    score: "double(10 - item.cost)"
    exploration: greedy
    null_action: {name: nothing}
    caps: [{name: once, limit: 1, window: 1d}]
    budgets: [{budget: points, cost: item.cost}]
    valid_for: 1h
  last_unit:
    catalogue: offers
    channel: sms
    suitability: [{name: low, rule: "item.level <= 1"}]
    score: "1.0"
    exploration: greedy
    null_action: {name: nothing}
    budgets: [{budget: single, cost: item.cost}]
    valid_for: 1h
"#;

pub(crate) fn plan(yaml: &str) -> ScenePlan {
    match luopan_scene::compile(vec![("scene.yaml".into(), yaml.to_owned())]) {
        Ok(checked) => checked.plan,
        Err(faults) => panic!(
            "{}",
            faults
                .iter()
                .map(|f| format!("{f:?}\n"))
                .collect::<String>()
        ),
    }
}

/// A running engine over stores that outlive it.
pub(crate) struct World {
    pub(crate) env: Arc<TestEnv>,
    pub(crate) stores: Stores,
    pub(crate) engine: Arc<Engine>,
    next: AtomicU64,
}

impl World {
    pub(crate) async fn new(yaml: &str) -> Self {
        let env = TestEnv::new();
        let stores = memory::stores();
        let engine = Engine::open(stores.clone(), env.clone(), Limits::default())
            .await
            .unwrap();
        engine.start().await.unwrap();
        engine.apply_scene(&plan(yaml), &[], "test").await.unwrap();
        Self {
            env,
            stores,
            engine,
            next: AtomicU64::new(0),
        }
    }

    /// An engine that the test opened itself, over stores of its own.
    pub(crate) fn over(env: Arc<TestEnv>, stores: Stores, engine: Arc<Engine>) -> Self {
        Self {
            env,
            stores,
            engine,
            next: AtomicU64::new(0),
        }
    }

    /// Another engine over the same stores, as after a restart.
    pub(crate) async fn restart(&mut self) {
        self.engine.stop().await;
        self.engine = Engine::open(self.stores.clone(), self.env.clone(), Limits::default())
            .await
            .unwrap();
        self.engine.start().await.unwrap();
    }

    pub(crate) async fn settle(&self) {
        for _ in 0..2_000 {
            if self.engine.settle(0).await.is_ok() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!(
            "the engine does not come to rest: {:?}",
            self.engine.settle(0).await
        );
    }

    pub(crate) async fn ingest(&self, inputs: &[Input<'_>]) -> IngestReceipt {
        self.engine
            .ingest("shop", Origin::Live, inputs)
            .await
            .unwrap()
    }

    /// Sends one event now and waits until it is folded.
    pub(crate) async fn event(
        &self,
        customer: &str,
        kind: &str,
        properties: &[(&'static str, Raw<'static>)],
    ) -> IngestReceipt {
        let receipt = self
            .ingest(&[Ok(self.incoming(customer, kind, properties))])
            .await;
        self.settle().await;
        receipt
    }

    pub(crate) fn incoming(
        &self,
        customer: &str,
        kind: &str,
        properties: &[(&'static str, Raw<'static>)],
    ) -> Incoming<'static> {
        let n = self.next.fetch_add(1, Ordering::SeqCst);
        Incoming {
            id: Cow::Owned(format!("e{n}")),
            customer: Cow::Owned(customer.to_owned()),
            kind: Cow::Owned(kind.to_owned()),
            occurred_at: Some(self.env.now()),
            properties: properties
                .iter()
                .map(|(n, v)| (Cow::Borrowed(*n), v.clone()))
                .collect(),
            context: Vec::new(),
            corrects: None,
            raw: Cow::Borrowed(""),
        }
    }

    pub(crate) fn request(&self, policy: &str, customer: &str) -> DecideRequest {
        DecideRequest {
            scene: "shop".into(),
            policy: policy.into(),
            customer: customer.into(),
            idempotency_key: None,
            body_hash: [0; 32],
            context: Vec::new(),
            at_least: PositionToken::default(),
            wait_us: DAY_US,
            origin: Origin::Live,
            slots: None,
            item: None,
        }
    }

    pub(crate) async fn decide(
        &self,
        policy: &str,
        customer: &str,
    ) -> Result<DecisionAnswer, Refusal> {
        self.engine.decide(self.request(policy, customer)).await
    }

    pub(crate) async fn segments(&self) -> Vec<(String, u64)> {
        self.engine
            .segments("shop")
            .await
            .unwrap()
            .into_iter()
            .map(|s| (s.name, s.members))
            .collect()
    }

    pub(crate) async fn tag(
        &self,
        customer: &str,
        tag: &str,
    ) -> luopan_kernel::value::Value<'static> {
        let view = self.engine.customer("shop", customer).await.unwrap();
        view.tags.into_iter().find(|(n, _)| n == tag).unwrap().1
    }

    /// Replays everything and asserts that nothing differs.
    pub(crate) async fn verify(&self) -> luopan_engine::api::VerifyReport {
        self.settle().await;
        let report = self.engine.verify().await.unwrap();
        assert_eq!(report.differences, Vec::<String>::new());
        report
    }
}
