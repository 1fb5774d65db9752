//! Several engines over the same stores: each may be asked anything, a partition is folded by one of them at a time, and who
//! dies is replaced.

use crate::support::{SHOP, TestEnv, World, plan};
use crate::through::Followed;
use futures::future::BoxFuture;
use luopan_engine::api::{DecideRequest, ProductInput, Raw};
use luopan_engine::{Engine, Env, Limits};
use luopan_kernel::time::{DAY_US, Micros};
use luopan_kernel::value::Value;
use luopan_store::{Stores, memory};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// An environment whose tasks can be killed: those of a node that dies.
struct Mortal {
    shared: Arc<TestEnv>,
    runtime: Mutex<Option<tokio::runtime::Runtime>>,
}

impl Mortal {
    fn new(shared: Arc<TestEnv>) -> Arc<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        Arc::new(Self {
            shared,
            runtime: Mutex::new(Some(runtime)),
        })
    }

    /// Nothing of the node runs any more.
    fn kill(&self) {
        if let Some(runtime) = self.runtime.lock().take() {
            runtime.shutdown_background();
        }
    }
}

impl Drop for Mortal {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Env for Mortal {
    fn now(&self) -> Micros {
        self.shared.now()
    }
    fn fresh_id(&self) -> [u8; 16] {
        self.shared.fresh_id()
    }
    fn seed(&self) -> u64 {
        self.shared.seed()
    }
    fn sleep(&self, us: i64) -> BoxFuture<'static, ()> {
        self.shared.sleep(us)
    }
    fn spawn(&self, _name: &'static str, task: BoxFuture<'static, ()>) {
        if let Some(runtime) = &*self.runtime.lock() {
            runtime.spawn(task);
        }
    }
    fn utc_offset_s(&self, zone: &str, at: Micros) -> Option<i32> {
        self.shared.utc_offset_s(zone, at)
    }
}

/// Nodes over the same stores, the first of which applied the scene.
async fn nodes(yaml: &str, n: usize) -> Vec<World> {
    let (env, stores) = (TestEnv::new(), memory::stores());
    let mut out = Vec::new();
    for i in 0..n {
        out.push(node(&env, &stores, i).await);
    }
    out[0]
        .engine
        .apply_scene(&plan(yaml), &[], "test")
        .await
        .unwrap();
    for w in &out {
        knows(w, 1).await;
    }
    out
}

async fn node(env: &Arc<TestEnv>, stores: &Stores, i: usize) -> World {
    let name = format!("n{i}");
    let engine = Engine::open_node(stores.clone(), env.clone(), Limits::default(), &name, "")
        .await
        .unwrap();
    engine.start().await.unwrap();
    World::over(env.clone(), stores.clone(), engine)
}

/// Waits until a node knows a version of the shop.
async fn knows(w: &World, version: u32) {
    let begun = Instant::now();
    while w.engine.scenes().first().map(|s| s.version) != Some(version) {
        assert!(begun.elapsed() < Duration::from_secs(20));
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Decides once the node has seen what the request asks for: the clock of these tests ends every wait at once.
async fn decided(w: &World, request: DecideRequest) -> luopan_engine::api::DecisionAnswer {
    let begun = Instant::now();
    loop {
        match w.engine.decide(request.clone()).await {
            Err(e) if e.code == "not_yet" && begun.elapsed() < Duration::from_secs(20) => {}
            other => return other.unwrap(),
        }
    }
}

/// Waits until a node knows what another did.
async fn comes(what: &str, mut is_there: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !is_there().await {
        assert!(begun.elapsed() < Duration::from_secs(20), "{what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

fn asked(w: &World, policy: &str, customer: &str) -> DecideRequest {
    w.request(policy, customer)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn three_nodes_fold_everything_once_and_any_may_be_asked() {
    let all = nodes(SHOP, 3).await;
    let mut sent = 0;
    for i in 0..300 {
        let w = &all[i % 3];
        let customer = format!("c{}", i % 40);
        let visit = w.incoming(&customer, "visit", &[("seconds", Raw::Int(i as i64))]);
        // Ids of different nodes' senders do not meet.
        let visit = luopan_engine::api::Incoming {
            id: format!("{}-{}", i % 3, visit.id).into(),
            ..visit
        };
        let receipt = w.ingest(&[Ok(visit)]).await;
        sent += receipt.accepted;
        // Another node decides over what this one took.
        let other = &all[(i + 1) % 3];
        let request = DecideRequest {
            at_least: receipt.token.clone(),
            ..asked(other, "learned", &customer)
        };
        decided(other, request).await;
    }
    assert_eq!(sent, 300);
    let mut folded = Vec::new();
    // Twice: what one has still to relay, another folds.
    for w in all.iter().chain(&all) {
        w.settle().await;
    }
    for w in &all {
        let stats = w.engine.stats().await.unwrap();
        folded.push(stats.events_folded);
    }
    // Visits, and an event of each decision.
    assert_eq!(folded.iter().sum::<u64>(), 600, "{folded:?}");
    assert!(folded.iter().all(|n| *n > 50), "{folded:?}");
    for w in &all {
        assert_eq!(w.tag("c7", "visits_7d").await, Value::Int(8));
        assert_eq!(w.segments().await, all[0].segments().await);
        w.verify().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_others_have_folded_does_not_count_as_behind() {
    let all = nodes(SHOP, 2).await;
    for i in 0..100 {
        // Every customer's events come in by the first node alone, whoever folds them.
        let (customer, at) = (format!("c{i}"), &all[0]);
        at.event(&customer, "visit", &[("seconds", Raw::Int(1))])
            .await;
    }
    for w in &all {
        comes("nothing is behind", async || {
            w.engine.stats().await.unwrap().fold_lag == 0
        })
        .await;
    }
    let (a, b) = (
        all[0].engine.stats().await.unwrap(),
        all[1].engine.stats().await.unwrap(),
    );
    let partitions = u64::from(luopan_kernel::ENVIRONMENT_PARTITION) + 1;
    assert_eq!(a.partitions_owned + b.partitions_owned, partitions);
    assert!(a.events_folded < 100, "the second node folds its share");
    assert!(a.takeovers == 0 && a.beat_age_us.is_some() && a.nodes == 2);
    let owned = b.partitions_owned;
    all[1].engine.stop().await;
    let begun = Instant::now();
    loop {
        let now = all[0].engine.stats().await.unwrap();
        if now.takeovers == owned {
            break;
        }
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "of {owned} partitions {} were taken over; {} are its own",
            now.takeovers,
            now.partitions_owned
        );
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_one_node_links_sells_and_learns_the_others_know() {
    let all = nodes(SHOP, 3).await;
    for i in 0..30 {
        let (a, b) = (format!("a{i}"), format!("b{i}"));
        for (who, w) in [(&a, &all[0]), (&b, &all[1])] {
            w.event(who, "visit", &[("seconds", Raw::Int(1))]).await;
        }
        all[i % 3].engine.link(&a, &b, "test").await.unwrap();
    }
    for w in &all {
        w.settle().await;
        for i in 0..30 {
            for who in ["a", "b"] {
                let who = format!("{who}{i}");
                comes(&who, async || {
                    w.tag(&who, "visits_7d").await == Value::Int(2)
                })
                .await;
            }
        }
        let active = ("active".to_owned(), 30);
        comes("those who are active", async || {
            w.segments().await.contains(&active)
        })
        .await;
    }
    for i in 0..15 {
        all[(i + 1) % 3]
            .engine
            .unlink(&format!("b{i}"), "test")
            .await
            .unwrap();
    }
    for w in &all {
        w.settle().await;
        let active = ("active".to_owned(), 15);
        comes("those who are active", async || {
            w.segments().await.contains(&active)
        })
        .await;
    }
    // Whoever is asked next knows what was acknowledged a moment ago.
    for i in 0..30 {
        let (a, b) = (format!("a{i}"), format!("b{i}"));
        let at = |n: usize| &all[(i + n) % 3].engine;
        at(0).link(&a, &b, "test").await.unwrap();
        at(1).unlink(&b, "test").await.unwrap();
        at(2).link(&a, &b, "test").await.unwrap();
        at(1).link(&a, &b, "test").await.unwrap();
        at(0).unlink(&b, "test").await.unwrap();
        let again = at(2).unlink(&b, "test").await.unwrap_err();
        assert_eq!(again.code, "not_linked");
        at(1).link(&a, &b, "test").await.unwrap();
        at(0).unlink(&b, "test").await.unwrap();
        at(0).link(&a, &b, "test").await.unwrap();
    }
    for w in &all {
        comes(
            "nothing is left to fold, as far as any node knows",
            async || w.engine.stats().await.unwrap().fold_lag == 0,
        )
        .await;
        comes("all pairs linked", async || {
            w.segments().await.contains(&("active".to_owned(), 30))
        })
        .await;
    }
    // A model learns on every node, to the same bits.
    for i in 0..20 {
        let w = &all[i % 3];
        let made = w.decide("learned", &format!("a{i}")).await.unwrap();
        let id = made.record.request.decision.to_string();
        let field = ("decision_id", Raw::Text(id.into()));
        w.event(&format!("a{i}"), "buy", &[("amount", Raw::Int(5)), field])
            .await;
    }
    all[0].env.pass(2 * DAY_US);
    for w in &all {
        w.settle().await;
    }
    for w in &all {
        let stats = w.engine.stats().await.unwrap();
        assert_eq!(stats.models[0].1, 20, "{:?}", stats.models);
        w.verify().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_cap_and_a_budget_hold_over_nodes() {
    let all = nodes(SHOP, 3).await;
    let fields = [("age", Raw::Int(30)), ("consent", Raw::Bool(true))];
    for i in 0..10 {
        all[0]
            .event(&format!("c{i}"), "luopan.customer", &fields)
            .await;
    }
    let mut tasks = Vec::new();
    for n in 0..90 {
        let engine = all[n % 3].engine.clone();
        let request = asked(&all[n % 3], "capped", &format!("c{}", n % 10));
        let last = asked(&all[n % 3], "last_unit", &format!("c{}", n % 10));
        tasks.push(tokio::spawn(async move {
            let capped = engine.decide(request).await;
            let last = engine.decide(last).await;
            let sent = |d: &luopan_engine::api::DecisionAnswer| !d.record.decision.null;
            (
                capped.as_ref().is_ok_and(sent),
                last.as_ref().is_ok_and(sent),
            )
        }));
    }
    let (mut capped, mut last) = (0, 0);
    for task in tasks {
        let (c, l) = task.await.unwrap();
        capped += u32::from(c);
        last += u32::from(l);
    }
    assert_eq!((capped, last), (10, 1));
    all[1].verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_share_of_a_node_that_dies_is_taken_over() {
    let (env, stores) = (TestEnv::new(), memory::stores());
    let first = node(&env, &stores, 0).await;
    first
        .engine
        .apply_scene(&plan(SHOP), &[], "test")
        .await
        .unwrap();
    let mortal = Mortal::new(env.clone());
    let engine = Engine::open_node(stores.clone(), mortal.clone(), Limits::default(), "n1", "")
        .await
        .unwrap();
    engine.start().await.unwrap();
    let second = World::over(env.clone(), stores.clone(), engine);
    knows(&second, 1).await;
    let visit = async |w: &World, i: usize| {
        let event = w.incoming(&format!("c{i}"), "visit", &[("seconds", Raw::Int(1))]);
        let event = luopan_engine::api::Incoming {
            id: format!("{i}").into(),
            ..event
        };
        w.ingest(&[Ok(event)]).await
    };
    for i in 0..100 {
        visit(&second, i).await;
    }
    second.settle().await;
    assert!(second.engine.stats().await.unwrap().events_folded > 10);
    // Decisions whose rows still stand in its outbox, and events that it was to fold, when it dies.
    for i in 0..100 {
        second
            .engine
            .decide(second.request("learned", &format!("c{i}")))
            .await
            .unwrap();
        visit(&first, 100 + i).await;
    }
    mortal.kill();
    let begun = Instant::now();
    first.settle().await;
    let waited = begun.elapsed();
    assert!(waited < Duration::from_secs(20), "{waited:?}");
    for i in 0..200 {
        assert_eq!(
            first.tag(&format!("c{i}"), "visits_7d").await,
            Value::Int(1)
        );
    }
    let report = first.verify().await;
    assert_eq!(report.decisions, 100);
}

/// Each believes to be alone, and so folds everything: the worst that two pictures of who lives can come to.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_nodes_that_know_nothing_of_each_other_do_no_harm() {
    let (env, stores) = (TestEnv::new(), memory::stores());
    let apart = Stores {
        nodes: memory::stores().nodes,
        ..stores.clone()
    };
    let first = node(&env, &stores, 0).await;
    first
        .engine
        .apply_scene(&plan(SHOP), &[], "test")
        .await
        .unwrap();
    let second = node(&env, &apart, 1).await;
    for i in 0..200 {
        let w = [&first, &second][i % 2];
        let event = w.incoming(
            &format!("c{}", i % 20),
            "visit",
            &[("seconds", Raw::Int(1))],
        );
        let event = luopan_engine::api::Incoming {
            id: format!("{i}").into(),
            ..event
        };
        w.ingest(&[Ok(event)]).await;
        if i % 5 == 0 {
            let who = format!("c{}", i % 20);
            let _ = w.decide("learned", &who).await;
        }
        if i % 20 == 19 {
            env.pass(DAY_US / 8);
        }
    }
    env.pass(11 * DAY_US);
    first.settle().await;
    second.settle().await;
    second.engine.stop().await;
    first.settle().await;
    assert_eq!(first.tag("c3", "visits_7d").await, Value::Int(0));
    assert_eq!(first.tag("c3", "seconds").await, Value::Int(10));
    first.verify().await;
}

/// State reflects what one node folded before another has heard of it in the log.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_a_node_has_not_heard_of_is_read_before_it_goes_by_it() {
    let (env, stores) = (TestEnv::new(), memory::stores());
    let one = node(&env, &stores, 0).await;
    (one.engine.apply_scene(&plan(SHOP), &[], "test").await).unwrap();
    let (late, follows) = followed(&stores);
    let limits = Limits {
        retained_us_min: 0,
        ..Limits::default()
    };
    let engine = Engine::open(follows, env.clone(), limits).await.unwrap();
    let visits = async || {
        late.hold().await;
        for i in 0..20 {
            let who = format!("c{i}");
            one.event(&who, "visit", &[("seconds", Raw::Int(i))]).await;
            env.pass(1_000_000);
        }
        one.settle().await;
    };
    visits().await;
    let found = engine.verify().await.unwrap();
    assert_eq!(found.differences, Vec::<String>::new());
    visits().await;
    env.pass(DAY_US);
    let done = engine.retain(env.now()).await.unwrap();
    assert!(done.entries > 40, "{done:?}");
    one.verify().await;
}

fn followed(stores: &Stores) -> (Arc<Followed>, Stores) {
    let log = Followed::new(stores.log.clone());
    let follows = Stores {
        log: log.clone(),
        ..stores.clone()
    };
    (log, follows)
}

/// The same of the catalogues, which each node makes for itself of what the environment's log tells.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn catalogues_have_what_their_version_says() {
    let (env, stores) = (TestEnv::new(), memory::stores());
    let ((log, follows), (beside_log, beside)) = (followed(&stores), followed(&stores));
    let one = node(&env, &follows, 0).await;
    (one.engine.apply_scene(&plan(SHOP), &[], "test").await).unwrap();
    let two = node(&env, &beside, 1).await;
    knows(&two, 1).await;
    let mut followed = 0;
    for (key, tells, hears, log) in [
        ("lamp", &one, &two, &beside_log),
        ("vase", &two, &one, &log),
    ] {
        log.hold().await;
        let item = [ProductInput::Set {
            key: key.into(),
            values: vec![("cost".into(), Raw::Int(1)), ("level".into(), Raw::Int(1))],
        }];
        let told = tells.engine.change_products("shop", "offers", &item);
        let told = told.await.unwrap();
        let begun = Instant::now();
        let mut is_there = false;
        while !is_there && begun.elapsed() < Duration::from_secs(3) {
            is_there = hears.engine.wait_for(&told.token, DAY_US).await.is_ok();
        }
        // Whoever folds the environment waits for its log; the other goes by State.
        if is_there {
            hears.engine.item("shop", "offers", key).unwrap();
            followed += 1;
        }
        log.let_go();
        // Whoever waits for the log is woken by what comes next.
        (tells.engine.change_products("shop", "offers", &item).await).unwrap();
        one.settle().await;
    }
    assert!(followed > 0);
    one.verify().await;
}
