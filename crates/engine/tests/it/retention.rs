//! Log retention: what was let go is told by snapshots, and everything goes on as if the log were whole.

use crate::support::{SHOP, START, TestEnv, World, plan};
use async_trait::async_trait;
use luopan_engine::api::{ProductInput, Raw, Refusal};
use luopan_engine::{Engine, Limits};
use luopan_kernel::id::{PartitionId, Position};
use luopan_kernel::time::{DAY_US, HOUR_US, Micros};
use luopan_kernel::value::Value;
use luopan_kernel::{ENVIRONMENT_PARTITION, PARTITIONS};
use luopan_store::{
    Append, Appended, Commit, Durability, EventLog, LogMessage, RowKey, Stores, Table, Wake, Write,
    memory,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::task::JoinHandle;

const LONGEST: &str = "  longest: {event: visit, aggregate: max, of: seconds}\n  pages:";

/// Visits and purchases of seven customers, an hour after each other.
async fn a_while(w: &World, many: i64) {
    for i in 0..many {
        let customer = format!("c{}", i % 7);
        match i % 4 {
            0 => {
                let amount = [("amount", Raw::Int(i))];
                w.event(&customer, "buy", &amount).await;
            }
            _ => {
                let page = format!("p{}", i % 3);
                let visit = [("seconds", Raw::Int(i)), ("page", Raw::Text(page.into()))];
                w.event(&customer, "visit", &visit).await;
            }
        }
        w.env.pass(HOUR_US);
    }
}

fn ago(w: &World, us: i64) -> Micros {
    use luopan_engine::Env;
    Micros(w.env.now().0 - us)
}

fn all() -> Vec<PartitionId> {
    (0..=ENVIRONMENT_PARTITION).map(PartitionId).collect()
}

async fn begins_of(stores: &Stores) -> u64 {
    let begins = stores.log.begins(&all()).await.unwrap();
    begins.iter().map(|b| b.0).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_goes_on_over_a_truncated_log() {
    let mut w = World::new(SHOP).await;
    a_while(&w, 60).await;
    w.engine.link("c1", "c2", "test").await.unwrap();
    w.settle().await;
    for customer in ["c1", "c3"] {
        w.decide("capped", customer).await.unwrap();
    }
    w.env.pass(3 * DAY_US);
    a_while(&w, 20).await;
    let whole = w.verify().await;
    assert_eq!((whole.snapshots, whole.truncated), (0, 0));
    let spent = w.tag("c4", "spent").await;
    let pages = w.tag("c1", "pages").await;

    let report = w.engine.retain(ago(&w, 2 * DAY_US)).await.unwrap();
    assert!(report.entries > 60 && report.left > 0, "{report:?}");
    assert_eq!(report.entries, begins_of(&w.stores).await);
    let after = w.verify().await;
    assert!(after.snapshots > 0 && after.entries < whole.entries);
    assert_eq!(after.truncated + after.entries, whole.entries);
    assert_eq!(after.rows, whole.rows);

    w.restart().await;
    w.verify().await;
    assert_eq!(w.tag("c4", "spent").await, spent);
    assert_eq!(w.tag("c1", "pages").await, pages);
    a_while(&w, 20).await;
    w.engine.unlink("c2", "test").await.unwrap();
    w.decide("capped", "c1").await.unwrap();
    w.verify().await;

    // A tag that nobody had asked for knows what is still there, and keeps what follows.
    let changed = plan(&SHOP.replace("  pages:", LONGEST));
    w.engine.apply_scene(&changed, &[], "test").await.unwrap();
    w.settle().await;
    assert_eq!(w.tag("c4", "spent").await, w.tag("c4", "spent").await);
    w.verify().await;
    w.env.pass(4 * DAY_US);
    a_while(&w, 8).await;
    let again = w.engine.retain(ago(&w, 2 * DAY_US)).await.unwrap();
    assert!(again.entries > 0);
    w.restart().await;
    let last = w.verify().await;
    assert_eq!(last.truncated, report.entries + again.entries);
    let none = w.engine.retain(ago(&w, 2 * DAY_US)).await.unwrap();
    assert_eq!((none.entries, none.partitions, none.parts), (0, 0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tag_that_was_filled_from_history_keeps_it() {
    let mut w = World::new(SHOP).await;
    w.event("ann", "visit", &[("seconds", Raw::Int(70))]).await;
    w.env.pass(5 * DAY_US);
    // The scene changes behind what will be let go: its tag has read all of it.
    let changed = plan(&SHOP.replace("  pages:", LONGEST));
    w.engine.apply_scene(&changed, &[], "test").await.unwrap();
    w.settle().await;
    w.event("ann", "visit", &[("seconds", Raw::Int(7))]).await;
    assert_eq!(w.tag("ann", "longest").await, Value::Int(70));
    w.env.pass(HOUR_US);
    let report = w.engine.retain(ago(&w, 2 * DAY_US)).await.unwrap();
    assert!(report.entries > 0, "{report:?}");
    w.verify().await;
    w.restart().await;
    assert_eq!(w.tag("ann", "longest").await, Value::Int(70));
    // And so does one that is added then: tags of before go on, the new one begins with what is left.
    let more = SHOP.replace(
        "  pages:",
        &LONGEST.replace(
            "  pages:",
            "  shortest: {event: visit, aggregate: min, of: seconds}\n  pages:",
        ),
    );
    w.engine
        .apply_scene(&plan(&more), &[], "test")
        .await
        .unwrap();
    w.settle().await;
    assert_eq!(w.tag("ann", "longest").await, Value::Int(70));
    assert_eq!(w.tag("ann", "shortest").await, Value::Int(7));
    w.verify().await;
    w.env.pass(9 * DAY_US);
    w.event("ann", "visit", &[("seconds", Raw::Int(3))]).await;
    w.env.pass(HOUR_US);
    let again = w.engine.retain(ago(&w, 2 * DAY_US)).await.unwrap();
    assert!(again.entries > 0, "{again:?}");
    w.verify().await;
    assert_eq!(w.tag("ann", "longest").await, Value::Int(70));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_sent_again_after_its_first_was_let_go_is_still_a_repeat() {
    let w = World::new(SHOP).await;
    let event = w.incoming("ann", "visit", &[("seconds", Raw::Int(1))]);
    w.ingest(&[Ok(event.clone())]).await;
    w.env.pass(3 * DAY_US);
    w.event("ann", "visit", &[]).await;
    assert!(w.engine.retain(ago(&w, 2 * DAY_US)).await.unwrap().entries > 0);
    w.ingest(&[Ok(event)]).await;
    w.settle().await;
    assert_eq!(w.tag("ann", "visits_7d").await, Value::Int(2));
    w.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn models_keep_all_that_they_learned_from() {
    let env = TestEnv::new();
    let stores = memory::stores();
    let limits = Limits {
        checkpoint_samples: 4,
        ..Limits::default()
    };
    let open = || Engine::open(stores.clone(), env.clone(), limits);
    let engine = open().await.unwrap();
    engine.start().await.unwrap();
    engine.apply_scene(&plan(SHOP), &[], "test").await.unwrap();
    let mut w = World::over(env.clone(), stores.clone(), engine);
    let mut decided = Vec::new();
    for round in 0..120 {
        let customer = format!("c{}", round % 9);
        let answer = w.decide("learned", &customer).await.unwrap();
        decided.push(answer.record.request.decision);
        if round % 3 == 0 {
            let id = answer.record.request.decision.to_string();
            let bought = [
                ("amount", Raw::Int(9)),
                ("decision_id", Raw::Text(id.into())),
            ];
            w.event(&customer, "buy", &bought).await;
        }
        env.pass(HOUR_US);
        w.settle().await;
    }
    env.pass(2 * DAY_US);
    w.settle().await;
    let whole = w.verify().await;
    assert!(whole.samples > 60, "{whole:?}");
    w.engine.retain(ago(&w, DAY_US + HOUR_US)).await.unwrap();
    let streams = stores.control.streams().await.unwrap();
    let streams: Vec<_> = streams.into_iter().map(|(_, p)| p).collect();
    let begins = stores.log.begins(&streams).await.unwrap();
    assert!(!begins.is_empty() && begins.iter().all(|b| b.0 == 0));
    assert!(begins_of(&stores).await > 100);
    for decision in &decided {
        let explained = w.engine.explain(*decision).await.unwrap();
        assert_eq!(explained.not_recomputed, None);
        assert_eq!(explained.differences, Vec::<String>::new());
    }
    let after = w.verify().await.samples;
    assert!(after >= whole.samples, "{after} of {}", whole.samples);
    w.engine.stop().await;
    w = World::over(env.clone(), stores.clone(), open().await.unwrap());
    w.engine.start().await.unwrap();
    for n in 0..5 {
        w.decide("learned", &format!("c{n}")).await.unwrap();
    }
    env.pass(2 * DAY_US);
    w.settle().await;
    assert!(w.verify().await.samples >= after);
}

const FUNDS: &str = r#"
scene: shop
customer: {level: integer}
events: {visit: {}}
tags: {visits: {event: visit, aggregate: count}}
catalogues:
  funds:
    key_digits: 6
    attributes: {name: {type: text, required: true}, risk: integer}
    measures:
      attributes:
        return_all: {measure: return, window: inception}
policies:
  best:
    catalogue: funds
    channel: app
    score: "item.return_all.orElse(0.0)"
    exploration: greedy
    null_action: {name: nothing}
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_environment_is_told_by_a_snapshot_too() {
    let mut w = World::new(FUNDS).await;
    let set = |key: &str, risk| ProductInput::Set {
        key: key.into(),
        values: vec![
            ("name".into(), Raw::Text(format!("Fund {key}").into())),
            ("risk".into(), Raw::Int(risk)),
        ],
    };
    let nav = |key: &str, back: i64, unit: f64| ProductInput::Nav {
        key: key.into(),
        day: i32::try_from(START.0 / DAY_US - back).unwrap(),
        nav: Raw::Number(unit),
        accumulated: Raw::Null,
    };
    let change = |inputs: Vec<ProductInput>| {
        let engine = w.engine.clone();
        async move {
            engine
                .change_products("shop", "funds", &inputs)
                .await
                .unwrap()
        }
    };
    change(vec![
        set("000001", 2),
        set("000002", 3),
        nav("000001", 40, 1.0),
    ])
    .await;
    change(vec![
        set("000001", 1),
        nav("000001", 9, 1.5),
        nav("000002", 9, 2.0),
    ])
    .await;
    w.settle().await;
    w.env.pass(3 * DAY_US);
    change(vec![set("000002", 5), nav("000001", 1, 2.0)]).await;
    w.settle().await;
    w.verify().await;
    let before = w.decide("best", "ann").await.unwrap();
    let report = w.engine.retain(ago(&w, 2 * DAY_US)).await.unwrap();
    let environment = [PartitionId(ENVIRONMENT_PARTITION)];
    let begin = w.stores.log.begins(&environment).await.unwrap()[0];
    assert!(begin.0 >= 6, "{report:?}");
    w.verify().await;
    w.restart().await;
    w.verify().await;
    let explained = w
        .engine
        .explain(before.record.request.decision)
        .await
        .unwrap();
    assert_eq!(explained.differences, Vec::<String>::new());
    w.engine
        .change_products("shop", "funds", &[set("000001", 4), nav("000002", 9, 2.5)])
        .await
        .unwrap();
    w.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_just_happened_is_kept_and_readers_of_all_are_refused_by_name() {
    let w = World::new(SHOP).await;
    w.event("ann", "visit", &[]).await;
    let refused = w.engine.retain(ago(&w, HOUR_US)).await.unwrap_err();
    assert_eq!(refused.code, "retention_too_short");
    assert!(
        refused.message.contains("2025-12-31T23:00:00Z"),
        "{refused:?}"
    );
    assert_eq!(begins_of(&w.stores).await, 0);
    w.env.pass(3 * DAY_US);
    // A clock that runs ahead: by the log's own time all of it is of its last day.
    let ahead = w.engine.retain(ago(&w, DAY_US)).await.unwrap();
    assert_eq!((ahead.entries, begins_of(&w.stores).await), (0, 0));
    w.event("ann", "visit", &[]).await;
    w.engine.retain(ago(&w, DAY_US)).await.unwrap();
    let mut see = |_| Ok(());
    let early = w.engine.evidence("shop", START, ago(&w, 0), &mut see).await;
    assert_eq!(early.unwrap_err().code, "log_truncated");
    let late = ago(&w, DAY_US);
    w.engine
        .evidence("shop", late, ago(&w, 0), &mut see)
        .await
        .unwrap();
}

/// A log whose truncation fails, or whose replay from the beginning waits, as long as it is told to.
struct Stuck(Arc<dyn EventLog>, AtomicBool, AtomicBool);

impl Stuck {
    fn new(log: Arc<dyn EventLog>) -> Arc<Self> {
        Arc::new(Self(log, AtomicBool::new(false), AtomicBool::new(false)))
    }
}

#[async_trait]
impl EventLog for Stuck {
    async fn append(&self, batch: Vec<Append>) -> luopan_store::Result<Vec<Appended>> {
        self.0.append(batch).await
    }
    async fn read(
        &self,
        p: PartitionId,
        from: Position,
        most: usize,
    ) -> luopan_store::Result<Vec<LogMessage>> {
        let read = self.0.read(p, from, most).await;
        while from.0 == 0 && most > 1 && self.2.load(Ordering::SeqCst) {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
        read
    }
    async fn heads(&self, partitions: &[PartitionId]) -> luopan_store::Result<Vec<Position>> {
        self.0.heads(partitions).await
    }
    async fn begins(&self, partitions: &[PartitionId]) -> luopan_store::Result<Vec<Position>> {
        self.0.begins(partitions).await
    }
    async fn truncate(
        &self,
        to: &[(PartitionId, Position)],
    ) -> luopan_store::Result<Vec<Position>> {
        if self.1.load(Ordering::SeqCst) {
            return Err(luopan_store::Error::Unavailable {
                store: "event log",
                tried: "truncate".to_owned(),
                cause: "it is stuck".to_owned(),
            });
        }
        self.0.truncate(to).await
    }
    async fn start(&self, at: &[(PartitionId, Position)]) -> luopan_store::Result<()> {
        self.0.start(at).await
    }
    async fn partitions(&self) -> luopan_store::Result<Vec<PartitionId>> {
        self.0.partitions().await
    }
    async fn wait(&self, ticket: u64) -> luopan_store::Result<Wake> {
        self.0.wait(ticket).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_cut_off_is_finished_the_next_time() {
    let env = TestEnv::new();
    let fresh = memory::stores();
    let stuck = Stuck::new(fresh.log.clone());
    stuck.1.store(true, Ordering::SeqCst);
    let stores = Stores {
        log: stuck.clone(),
        ..fresh
    };
    let engine = Engine::open(stores.clone(), env.clone(), Limits::default());
    let engine = engine.await.unwrap();
    engine.start().await.unwrap();
    engine.apply_scene(&plan(SHOP), &[], "test").await.unwrap();
    let w = World::over(env, stores, engine);
    a_while(&w, 30).await;
    w.env.pass(3 * DAY_US);
    w.event("ann", "visit", &[]).await;
    let failed = w.engine.retain(ago(&w, 2 * DAY_US)).await.unwrap_err();
    assert_eq!(failed.code, "store_unavailable");
    // Snapshots stand, the log is whole: both tell the same.
    assert!(w.verify().await.snapshots > 0);
    a_while(&w, 10).await;
    w.env.pass(3 * DAY_US);
    w.event("ann", "visit", &[]).await;
    stuck.1.store(false, Ordering::SeqCst);
    let done = w.engine.retain(ago(&w, 2 * DAY_US)).await.unwrap();
    assert!(done.entries >= 40, "{done:?}");
    w.verify().await;
    // Of the older snapshots nothing is left.
    let mut rows = 0;
    for p in (0..PARTITIONS).map(PartitionId) {
        let found = w.stores.state.scan(Table::Snapshot, p, &[0], None, 9_999);
        let found = found.await.unwrap();
        let first = found.first().map(|r| r.key[..8].to_vec());
        assert!(found.iter().all(|r| Some(&r.key[..8]) == first.as_deref()));
        rows += found.len();
    }
    assert!(rows > 0);
}

/// A second engine over the same stores; its replays from the beginning of the log wait while the gate of the log is shut.
async fn beside(w: &World) -> (Arc<Engine>, Arc<Stuck>) {
    let gate = Stuck::new(w.stores.log.clone());
    let stores = Stores {
        log: gate.clone(),
        ..w.stores.clone()
    };
    let other = Engine::open(stores, w.env.clone(), Limits::default());
    let other = other.await.unwrap();
    gate.2.store(true, Ordering::SeqCst);
    (other, gate)
}

/// Forty hours of visits, three days ago; a second engine that stands in the middle of letting go of what was before.
async fn two(before: impl Fn(&World) -> Micros) -> (World, JoinHandle<Refusal>, Arc<Stuck>) {
    let w = World::new(SHOP).await;
    a_while(&w, 40).await;
    w.env.pass(3 * DAY_US);
    w.event("ann", "visit", &[]).await;
    let (other, gate) = beside(&w).await;
    let before = before(&w);
    let waiting = tokio::spawn(async move { other.retain(before).await.unwrap_err() });
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    (w, waiting, gate)
}

async fn is_refused(waiting: JoinHandle<Refusal>, gate: &Stuck, word: &str) {
    gate.2.store(false, Ordering::SeqCst);
    let refused = waiting.await.unwrap();
    assert_eq!(refused.code, "store_unavailable");
    assert!(refused.message.contains(word), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_who_truncate_at_once_one_stops() {
    // It would let go of less than the one that comes behind it and is quicker.
    let less = |_: &World| Micros(START.0 + 20 * HOUR_US);
    let (mut w, waiting, gate) = two(less).await;
    let done = w.engine.retain(ago(&w, 2 * DAY_US)).await.unwrap();
    assert!(done.entries > 40, "{done:?}");
    is_refused(waiting, &gate, "somebody else truncates").await;
    assert_eq!(begins_of(&w.stores).await, done.entries);
    w.verify().await;
    let changed = plan(&SHOP.replace("  pages:", LONGEST));
    w.engine.apply_scene(&changed, &[], "test").await.unwrap();
    w.verify().await;
    w.restart().await;
    w.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_lost_the_claim_writes_nothing_more() {
    // It would let go of more than the one that comes behind it, so that no header of its would fall back.
    let (mut w, waiting, gate) = two(|w| ago(w, 2 * DAY_US)).await;
    let less = Micros(START.0 + 20 * HOUR_US);
    let done = w.engine.retain(less).await.unwrap();
    assert!(done.entries > 10, "{done:?}");
    is_refused(waiting, &gate, "somebody else truncates").await;
    assert_eq!(begins_of(&w.stores).await, done.entries);
    w.verify().await;
    w.restart().await;
    w.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scene_that_is_applied_meanwhile_is_waited_for() {
    let (mut w, waiting, gate) = two(|w| ago(w, 2 * DAY_US)).await;
    let changed = plan(&SHOP.replace("  pages:", LONGEST));
    w.engine.apply_scene(&changed, &[], "test").await.unwrap();
    w.settle().await;
    is_refused(waiting, &gate, "a scene was applied").await;
    assert_eq!(begins_of(&w.stores).await, 0);
    w.verify().await;
    let done = w.engine.retain(ago(&w, 2 * DAY_US)).await.unwrap();
    assert!(done.entries > 40, "{done:?}");
    w.verify().await;
    w.restart().await;
    w.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_snapshot_and_a_lost_state_are_told() {
    let w = World::new(SHOP).await;
    a_while(&w, 30).await;
    w.env.pass(3 * DAY_US);
    w.event("ann", "visit", &[]).await;
    w.engine.retain(ago(&w, 2 * DAY_US)).await.unwrap();
    w.verify().await;
    w.engine.stop().await;
    let empty = Stores {
        state: memory::stores().state,
        ..w.stores.clone()
    };
    let refused = Engine::open(empty, w.env.clone(), Limits::default()).await;
    let words = refused.err().unwrap().message;
    assert!(words.contains("restore both from one backup"), "{words}");
    for p in (0..PARTITIONS).map(PartitionId) {
        let found = w.stores.state.scan(Table::Snapshot, p, &[0], None, 1);
        let Some(row) = found.await.unwrap().pop() else {
            continue;
        };
        let mut commit = Commit::new(Durability::Durable);
        commit.writes.push(Write {
            key: RowKey {
                table: Table::Snapshot,
                partition: p,
                key: row.key,
            },
            value: None,
        });
        w.stores.state.commit(vec![commit]).await.unwrap();
        let refused = w.engine.verify().await.unwrap_err().message;
        assert!(refused.contains("restore a backup"), "{refused}");
        return;
    }
    panic!("there is no snapshot");
}
