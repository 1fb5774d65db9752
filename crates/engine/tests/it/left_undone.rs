//! What somebody began and did not end: commits that took effect though nobody heard so, partitions that another claimed for a
//! moment, a node that was silent for too long, scenes that were told to half of the log. Whoever lives ends it, without a restart.
//!
//! The tests play the one that died: they write to the stores what it had written by then.

use crate::support::{SHOP, TestEnv, World, plan};
use crate::through::{Answers, Doing, Stop, Through};
use async_trait::async_trait;
use bytes::Bytes;
use luopan_engine::api::{DecideRequest, Raw};
use luopan_engine::{Engine, Limits, RefusalKind};
use luopan_kernel::ENVIRONMENT_PARTITION;
use luopan_kernel::event::{Entry, encode_message};
use luopan_kernel::id::{DEFAULT_TENANT, PartitionId};
use luopan_kernel::value::Value;
use luopan_store::{
    Append, Beat, Commit, Durability, ForeignId, NewScene, Node, Nodes, Row, RowKey, State, Stores,
    Table, Write, memory,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// One commit takes effect and is answered as if nothing were known of it: the next that writes to this table.
struct Deaf {
    table: Table,
    /// Whether it is a fold's.
    folds: bool,
    next: Stop,
}

#[async_trait]
impl Doing for Deaf {
    async fn commit(&self, below: &dyn State, commits: Vec<Commit>) -> Answers {
        let is_it = |c: &Commit| {
            let writes = |w: &Write| w.key.table == self.table && w.value.is_some();
            c.advance.is_some() == self.folds && c.writes.iter().any(writes)
        };
        let unheard = commits.iter().any(is_it) && self.next.is_it();
        let answers = below.commit(commits).await?;
        if unheard {
            return Err(luopan_store::Error::Unavailable {
                store: "state",
                tried: "commit".into(),
                cause: "no answer".into(),
            });
        }
        Ok(answers)
    }
}

/// A node over such a State, which hears everything until it is armed.
async fn deaf(table: Table, folds: bool) -> (World, Arc<Through<Deaf>>) {
    let (env, below) = (TestEnv::new(), memory::stores());
    let state = Arc::new(Through {
        below: below.state.clone(),
        doing: Deaf {
            table,
            folds,
            next: Stop::default(),
        },
    });
    let stores = Stores {
        state: state.clone(),
        ..below
    };
    let w = node(&env, &stores).await;
    w.engine
        .apply_scene(&plan(SHOP), &[], "test")
        .await
        .unwrap();
    w.settle().await;
    (w, state)
}

async fn node(env: &Arc<TestEnv>, stores: &Stores) -> World {
    let engine = Engine::open(stores.clone(), env.clone(), Limits::default())
        .await
        .unwrap();
    engine.start().await.unwrap();
    World::over(env.clone(), stores.clone(), engine)
}

fn partitions() -> Vec<PartitionId> {
    (0..=ENVIRONMENT_PARTITION).map(PartitionId).collect()
}

async fn rows(w: &World, table: Table) -> Vec<(PartitionId, Row)> {
    let all = partitions();
    let found = w.stores.state.scan_partitions(table, &all, 10_000);
    found.await.unwrap()
}

/// Waits until it holds, or fails.
async fn comes(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !holds().await {
        assert!(begun.elapsed() < Duration::from_secs(20), "never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_is_told_of_a_decision_whose_commit_nobody_heard_of() {
    let (w, state) = deaf(Table::Outbox, false).await;
    let request = DecideRequest {
        idempotency_key: Some("k".into()),
        ..w.request("learned", "ann")
    };
    state.doing.next.arm();
    let refused = w.engine.decide(request.clone()).await.unwrap_err();
    assert_eq!(refused.kind, RefusalKind::Unavailable, "{refused}");
    comes("its row of the outbox is relayed", async || {
        rows(&w, Table::Outbox).await.is_empty()
    })
    .await;
    assert_eq!(w.verify().await.decisions, 1);
    assert_eq!(w.engine.stats().await.unwrap().events_folded, 1);
    assert!(w.engine.decide(request).await.unwrap().repeated);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whom_a_commit_that_nobody_heard_of_marked_is_looked_at_again() {
    let (w, state) = deaf(Table::Dirty, true).await;
    let visit = [("seconds", Raw::Int(1))];
    for name in ["ann", "bob"] {
        w.event(name, "visit", &visit).await;
    }
    let of = |foreign: &str| ForeignId {
        tenant: DEFAULT_TENANT,
        text: foreign.to_owned(),
    };
    let ids = (w.stores.keys).resolve(&[of("ann"), of("bob")]).await;
    let ids = ids.unwrap();
    let [ann, bob] = [ids[0].unwrap(), ids[1].unwrap()];
    // The mark stands where the customer is at home, so whoever folds the event finds nothing in its own partition.
    assert_ne!(ann.partition(), bob.partition());
    w.engine.link("ann", "bob", "test").await.unwrap();
    w.settle().await;
    let silent = |n: u64| ("silent".to_owned(), n);
    w.env.pass(11 * luopan_kernel::time::DAY_US);
    comes("she is silent", async || {
        w.segments().await.contains(&silent(1))
    })
    .await;
    w.settle().await;
    state.doing.next.arm();
    w.ingest(&[Ok(w.incoming("bob", "visit", &visit))]).await;
    comes("she is silent no more", async || {
        w.segments().await.contains(&silent(0))
    })
    .await;
    assert!(!state.doing.next.is_it(), "nothing went unheard");
    assert_eq!(w.tag("ann", "seconds").await, Value::Int(3));
    w.verify().await;
}

/// A claim is a byte, the node, and a mark that no other claim has.
fn claimed_by(row: &Row) -> &[u8] {
    &row.value[1..17]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_that_finds_the_claim_of_another_begins_the_partition_anew() {
    let w = World::new(SHOP).await;
    w.settle().await;
    let before = rows(&w, Table::Claim).await;
    assert_eq!(before.len(), partitions().len());
    let own = claimed_by(&before[0].1).to_vec();
    // Another saw other nodes for a moment, claimed every second partition, and is gone.
    let mut commit = Commit::new(Durability::Durable);
    for (partition, row) in before.iter().step_by(2) {
        let mut value = row.value.to_vec();
        value[1..17].fill(7);
        commit.writes.push(Write {
            key: RowKey {
                table: Table::Claim,
                partition: *partition,
                key: row.key.clone(),
            },
            value: Some(value.into()),
        });
    }
    let taken = w.stores.state.commit(vec![commit]).await.unwrap();
    assert!(taken[0].is_ok());
    comes("every partition is claimed by its owner", async || {
        let now = rows(&w, Table::Claim).await;
        now.iter().all(|(_, row)| claimed_by(row) == own)
    })
    .await;
    // Those that nobody took were left alone.
    let now = rows(&w, Table::Claim).await;
    for (i, (before, now)) in before.iter().zip(&now).enumerate() {
        assert_eq!(before == now, i % 2 == 1, "{before:?} {now:?}");
    }
    w.event("ann", "visit", &[("seconds", Raw::Int(1))]).await;
    w.verify().await;
}

/// Says once that the node was silent for too long.
struct Lapsing {
    inner: Arc<dyn Nodes>,
    lapsed: AtomicBool,
}

#[async_trait]
impl Nodes for Lapsing {
    async fn beat(&self, node: &Node, for_us: i64) -> luopan_store::Result<Beat> {
        let beat = self.inner.beat(node, for_us).await?;
        Ok(Beat {
            lapsed: self.lapsed.swap(false, Ordering::SeqCst),
            ..beat
        })
    }
    async fn leave(&self, id: [u8; 16]) -> luopan_store::Result<()> {
        self.inner.leave(id).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_was_silent_for_too_long_begins_its_partitions_anew() {
    let (env, below) = (TestEnv::new(), memory::stores());
    let nodes = Arc::new(Lapsing {
        inner: below.nodes.clone(),
        lapsed: AtomicBool::new(false),
    });
    let stores = Stores {
        nodes: nodes.clone(),
        ..below
    };
    let w = node(&env, &stores).await;
    w.engine
        .apply_scene(&plan(SHOP), &[], "test")
        .await
        .unwrap();
    w.event("ann", "visit", &[("seconds", Raw::Int(1))]).await;
    let before = rows(&w, Table::Claim).await;
    assert_eq!(before.len(), partitions().len());
    // While it lives, it claims nothing twice.
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(rows(&w, Table::Claim).await, before);
    nodes.lapsed.store(true, Ordering::SeqCst);
    comes("every partition is claimed again", async || {
        let now = rows(&w, Table::Claim).await;
        now.iter().zip(&before).all(|(now, before)| now != before)
    })
    .await;
    w.event("ann", "visit", &[("seconds", Raw::Int(1))]).await;
    assert_eq!(w.tag("ann", "seconds").await, Value::Int(2));
    w.verify().await;
}

/// Records a scene as one does who applies it, tells so many partitions of it, and dies.
async fn half_applied(w: &World, yaml: &str, told: u16) {
    let plan = plan(yaml);
    let applied = (w.stores.control)
        .record_scene(NewScene {
            name: plan.name.clone(),
            hash: plan.hash(),
            plan: Bytes::from(plan.encode()),
            files: Vec::new(),
            at: luopan_engine::Env::now(&*w.env),
            by: "one who died".into(),
        })
        .await
        .unwrap();
    let entry = Entry::SceneApplied {
        scene: applied.scene,
        version: applied.version,
        hash: applied.hash,
        at: luopan_engine::Env::now(&*w.env),
    };
    let message = Bytes::from(encode_message(&[entry]));
    let appends = (0..told).map(|p| Append {
        partition: PartitionId(p),
        count: 1,
        message: message.clone(),
    });
    w.stores.log.append(appends.collect()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scene_that_was_told_to_half_of_the_log_is_told_to_the_whole() {
    let more = SHOP.replace("segments:\n", "segments:\n  heavy: seconds > 100\n");
    let other = SHOP.replace("segments:\n", "segments:\n  light: seconds < 100\n");
    // Alone, and with another node.
    for n in [1, 2] {
        let (env, stores) = (TestEnv::new(), memory::stores());
        let mut all = Vec::new();
        for _ in 0..n {
            all.push(node(&env, &stores).await);
        }
        let first = &all[0];
        (first.engine.apply_scene(&plan(SHOP), &[], "test").await).unwrap();
        for i in 0..20 {
            let fields = [("seconds", Raw::Int(i * 10))];
            first.event(&format!("c{i}"), "visit", &fields).await;
        }
        for (version, yaml, segment, members, told) in
            [(2, &more, "heavy", 9, 100), (3, &other, "light", 10, 0)]
        {
            half_applied(first, yaml, told).await;
            for w in &all {
                comes("the scene is there", async || {
                    w.engine.scenes().first().map(|s| s.version) == Some(version)
                })
                .await;
                let whole = (segment.to_owned(), members);
                comes("its segment counts everybody", async || {
                    w.segments().await.contains(&whole)
                })
                .await;
            }
            let recorded = stores.control.scenes().await.unwrap();
            assert!(recorded.iter().all(|s| s.announced));
            let audits = stores.control.audits(100).await.unwrap();
            assert!(audits.iter().any(|a| a.by == "one who died"));
        }
        for w in &all {
            w.verify().await;
        }
    }
}
