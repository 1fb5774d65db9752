//! Monitors, over an engine whose clock the test moves: what stays the same raises nothing, what changed is told to the log once a look.

use crate::clock::Clock;
use luopan_engine::api::{DecideRequest, Incoming, Outcome, PositionToken, Raw};
use luopan_engine::{Engine, Env as _, Limits};
use luopan_kernel::event::Origin;
use luopan_kernel::plan::MonitorPlan;
use luopan_kernel::random::{Purpose, Random};
use luopan_kernel::time::{DAY_US, HOUR_US, Micros};
use luopan_server::drift::{Look, Looks, look, round};
use luopan_server::metrics::Metrics;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

const PACK: &str = r#"
scene: shop
zone: UTC
customer: {city: text, age: integer}
events:
  buy: {fields: {decision_id: text}}
catalogues:
  offers:
    attributes: {price: {type: integer, required: true}}
    items: {tea: {price: 10}, silk: {price: 200}}
rewards:
  bought: {event: buy, join: {decision: decision_id}, value: "1.0", window: 6h, default: 0}
policies:
  offers:
    catalogue: offers
    channel: page
    score: "item.price > 100 ? 0.25 : 0.3"
    exploration: {epsilon_greedy: 0.5}
    null_action: {name: silence}
    rewards: [bought]
monitors:
  all: {policy: offers, recent: 1d, reference: 3d, limits: {psi: 0.2, calibration: 0.05, reward: 0.3}}
  arms: {policy: offers, every: 12h, recent: 1d, reference: 3d, limits: {psi: 50}}
"#;

struct World {
    clock: Arc<Clock>,
    engine: Arc<Engine>,
    random: Random,
    sent: u64,
}

impl World {
    async fn new() -> Self {
        let clock = Clock::new();
        let stores = luopan_store::memory::stores();
        let engine = (Engine::open(stores, clock.clone(), Limits::default()).await).expect("open");
        engine.start().await.expect("start");
        let checked = luopan_scene::compile(vec![("scene.yaml".to_owned(), PACK.to_owned())]);
        let plan = checked.expect("a pack").plan;
        (engine.apply_scene(&plan, &[], "test").await).expect("applied");
        Self {
            clock,
            engine,
            random: Random::stream(5, Purpose::Choice),
            sent: 0,
        }
    }

    fn monitor(&self, name: &str) -> (Arc<luopan_kernel::plan::ScenePlan>, MonitorPlan) {
        let plan = self.engine.plan("shop").expect("the scene");
        let found = plan.monitors.iter().find(|m| m.name == name).cloned();
        (plan, found.expect("the monitor"))
    }

    async fn look(&self, name: &str) -> Look {
        let (plan, monitor) = self.monitor(name);
        (look(&self.engine, &plan, &monitor, self.clock.now()).await).expect("a look")
    }

    async fn settle(&self) {
        loop {
            if self.engine.timers_idle() && self.engine.settle(0).await.is_ok() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn tell(
        &mut self,
        customer: &str,
        kind: &str,
        fields: Vec<(&'static str, Raw<'static>)>,
    ) -> PositionToken {
        self.sent += 1;
        let event = Incoming {
            id: Cow::Owned(format!("e{}", self.sent)),
            customer: Cow::Owned(customer.to_owned()),
            kind: Cow::Owned(kind.to_owned()),
            occurred_at: Some(self.clock.now()),
            properties: fields
                .into_iter()
                .map(|(n, v)| (Cow::Borrowed(n), v))
                .collect(),
            context: Vec::new(),
            corrects: None,
            raw: Cow::Borrowed(""),
        };
        let receipt =
            (self.engine.ingest("shop", Origin::Live, &[Ok(event)]).await).expect("taken");
        assert!(
            matches!(receipt.outcomes[0], Outcome::Accepted { .. }),
            "{receipt:?}"
        );
        receipt.token
    }

    /// A day on which so many customers of these cities come; a share of them buys.
    async fn day(&mut self, customers: usize, cities: &[&'static str], buys: f64) {
        for _ in 0..customers {
            let name = format!("c{}", self.sent);
            let city = cities[(self.random.uniform() * cities.len() as f64) as usize];
            let age = 20 + (self.random.uniform() * 40.0) as i64;
            let fields = vec![("age", Raw::Int(age)), ("city", Raw::Text(city.into()))];
            let told = self.tell(&name, "luopan.customer", fields).await;
            let request = DecideRequest {
                scene: "shop".into(),
                policy: "offers".into(),
                customer: name.clone(),
                idempotency_key: None,
                body_hash: [0; 32],
                context: Vec::new(),
                at_least: told,
                wait_us: DAY_US,
                origin: Origin::Live,
                slots: None,
                item: None,
            };
            // The engine waits by a clock that stands, and so hardly at all.
            let made = loop {
                match self.engine.decide(request.clone()).await {
                    Ok(made) => break made,
                    Err(e) if e.code == "not_yet" => {
                        tokio::time::sleep(Duration::from_millis(2)).await;
                    }
                    Err(e) => panic!("{e:?}"),
                }
            };
            if self.random.uniform() < buys {
                let id = made.record.request.decision.to_string();
                let fields = vec![("decision_id", Raw::Text(id.into()))];
                self.tell(&name, "buy", fields).await;
            }
        }
        self.clock.pass(DAY_US);
        self.settle().await;
    }
}

fn drifts(look: &Look) -> Vec<(&str, &str)> {
    (look.measures.iter())
        .filter(|m| m.is_drift)
        .map(|m| (m.measure, m.of.as_str()))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_changed_is_found_and_told_and_what_stays_is_not() {
    let mut w = World::new().await;
    let nothing = w.look("all").await;
    assert_eq!((nothing.reference, nothing.recent), (0, 0));
    assert_eq!(nothing.not_measured.len(), 3, "{nothing:?}");
    assert!(!nothing.is_drift);
    for _ in 0..4 {
        w.day(160, &["Shanghai", "Beijing", "Chengdu"], 0.28).await;
    }
    let same = w.look("all").await;
    assert_eq!(drifts(&same), [], "{same:?}");
    assert!(same.recent >= 120 && same.reference >= 400, "{same:?}");
    let measured: Vec<_> = same
        .measures
        .iter()
        .map(|m| (m.measure, m.of.as_str()))
        .collect();
    for wanted in [
        ("psi", "city"),
        ("psi", "age"),
        ("psi", "item.price"),
        ("psi", "score"),
        ("psi", "arm"),
        ("calibration", "bought"),
        ("reward", "bought"),
    ] {
        assert!(measured.contains(&wanted), "{wanted:?} {measured:?}");
    }

    // Other customers, who buy nothing.
    w.day(200, &["Shanghai", "Harbin"], 0.0).await;
    let other = w.look("all").await;
    let found = drifts(&other);
    assert_eq!(found.len(), 3, "{other:?}");
    for wanted in [
        ("psi", "city"),
        ("calibration", "bought"),
        ("reward", "bought"),
    ] {
        assert!(found.contains(&wanted), "{other:?}");
    }
    let reward = other.measures.iter().find(|m| m.measure == "reward");
    assert_eq!(reward.expect("it").value, -1.0);

    // A server tells the log of it when a monitor is due, and no more often.
    let metrics = Metrics::new(None).expect("figures");
    let (looks, mut next) = (Looks::default(), BTreeMap::new());
    let start = w.clock.now();
    for (hours, told) in [(0, 3), (1, 3), (23, 3)] {
        let now = start.plus(hours * HOUR_US);
        round(&w.engine, now, &metrics, &looks, &mut next).await;
        w.settle().await;
        let events = w.engine.drifts("shop", Micros(0)).await.expect("events");
        assert_eq!(events.len(), told, "{hours}: {events:?}");
        assert!(
            events
                .iter()
                .all(|e| e.monitor == "all" && e.policy == "offers" && e.at == start)
        );
    }
    assert_eq!(next[&("shop".into(), "all".into())], start.plus(DAY_US));
    assert_eq!(
        next[&("shop".into(), "arms".into())],
        start.plus(35 * HOUR_US)
    );
    let all = looks.all();
    let named: Vec<_> = all
        .iter()
        .map(|l| (l.monitor.as_str(), l.is_drift))
        .collect();
    assert_eq!(named, [("all", true), ("arms", false)]);
    let later = w
        .engine
        .drifts("shop", start.plus(1))
        .await
        .expect("events");
    assert_eq!(later, []);
    w.engine.stop().await;
}
