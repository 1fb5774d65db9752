//! Stores that a test stands before: what it does with a read or a commit, what it knows of the log; all else is handed on.

use crate::support::{TestEnv, World, plan};
use async_trait::async_trait;
use bytes::Bytes;
use luopan_engine::{Engine, Limits};
use luopan_kernel::id::{PartitionId, Position};
use luopan_store::{
    Append, Appended, Commit, Committed, Conflict, EventLog, LogMessage, Moment, Result, Row,
    RowKey, State, Stores, Table, Wake, memory,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::Notify;

pub(crate) type Answers = Result<Vec<std::result::Result<Committed, Conflict>>>;

/// What a test does with calls.
#[async_trait]
pub(crate) trait Doing: Send + Sync + 'static {
    async fn get(&self, below: &dyn State, keys: &[RowKey]) -> Result<Vec<Option<Bytes>>> {
        below.get(keys).await
    }
    async fn commit(&self, below: &dyn State, commits: Vec<Commit>) -> Answers {
        below.commit(commits).await
    }
}

/// State with somebody before it.
pub(crate) struct Through<D> {
    pub(crate) below: Arc<dyn State>,
    pub(crate) doing: D,
}

#[async_trait]
impl<D: Doing> State for Through<D> {
    async fn get(&self, keys: &[RowKey]) -> Result<Vec<Option<Bytes>>> {
        self.doing.get(&*self.below, keys).await
    }
    async fn scan(
        &self,
        table: Table,
        partition: PartitionId,
        from: &[u8],
        to: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Row>> {
        self.below.scan(table, partition, from, to, limit).await
    }
    async fn positions(&self, partitions: &[PartitionId]) -> Result<Vec<Position>> {
        self.below.positions(partitions).await
    }
    async fn spent(&self, budgets: &[String]) -> Result<Vec<i64>> {
        self.below.spent(budgets).await
    }
    async fn budgets(&self) -> Result<Vec<(String, i64)>> {
        self.below.budgets().await
    }
    async fn moment(&self, log: &dyn EventLog) -> Result<Box<dyn Moment>> {
        self.below.moment(log).await
    }
    async fn commit(&self, commits: Vec<Commit>) -> Answers {
        self.doing.commit(&*self.below, commits).await
    }
}

/// Stops who comes next, once it is armed, until it is let go.
#[derive(Default)]
pub(crate) struct Stop {
    armed: AtomicBool,
    arrived: Notify,
    go: Notify,
}

impl Stop {
    pub(crate) fn arm(&self) {
        self.armed.store(true, Ordering::SeqCst);
    }

    /// True for the next one only.
    pub(crate) fn is_it(&self) -> bool {
        self.armed.swap(false, Ordering::SeqCst)
    }

    pub(crate) async fn pass(&self) {
        if self.is_it() {
            self.arrived.notify_one();
            self.go.notified().await;
        }
    }

    pub(crate) async fn arrived(&self) {
        self.arrived.notified().await;
    }

    pub(crate) fn go(&self) {
        self.go.notify_one();
    }
}

/// Stops a decision before it reads what is known of its customer, and before its commit.
#[derive(Default)]
pub(crate) struct Deciding {
    pub(crate) reads: Stop,
    pub(crate) commits: Stop,
}

#[async_trait]
impl Doing for Deciding {
    async fn get(&self, below: &dyn State, keys: &[RowKey]) -> Result<Vec<Option<Bytes>>> {
        if keys.iter().any(|k| k.table == Table::Contacts) {
            self.reads.pass().await;
        }
        below.get(keys).await
    }
    async fn commit(&self, below: &dyn State, commits: Vec<Commit>) -> Answers {
        if (commits.iter().flat_map(|c| &c.writes)).any(|w| w.key.table == Table::Decision) {
            self.commits.pass().await;
        }
        below.commit(commits).await
    }
}

/// A scene over such a State.
pub(crate) async fn stopped(yaml: &str) -> (World, Arc<Through<Deciding>>) {
    let env = TestEnv::new();
    let below = memory::stores();
    let state = Arc::new(Through {
        below: below.state.clone(),
        doing: Deciding::default(),
    });
    let stores = Stores {
        state: state.clone(),
        ..below
    };
    let engine = Engine::open(stores.clone(), env.clone(), Limits::default())
        .await
        .unwrap();
    engine.start().await.unwrap();
    engine.apply_scene(&plan(yaml), &[], "test").await.unwrap();
    (World::over(env, stores, engine), state)
}

/// A log that is followed: while it is held, nothing more of it is known here, until somebody asks for the latest.
pub(crate) struct Followed {
    below: Arc<dyn EventLog>,
    held: parking_lot::Mutex<Option<Vec<(PartitionId, Position)>>>,
}

impl Followed {
    pub(crate) fn new(below: Arc<dyn EventLog>) -> Arc<Self> {
        Arc::new(Self {
            below,
            held: parking_lot::Mutex::default(),
        })
    }

    pub(crate) async fn hold(&self) {
        let heads = self.below.latest().await.unwrap();
        *self.held.lock() = Some(heads);
    }

    pub(crate) fn let_go(&self) {
        *self.held.lock() = None;
    }

    fn known(&self, partition: PartitionId, head: Position) -> Position {
        match &*self.held.lock() {
            None => head,
            Some(held) => {
                let at = held.iter().find(|(p, _)| *p == partition);
                at.map_or(Position(0), |(_, at)| *at)
            }
        }
    }
}

#[async_trait]
impl EventLog for Followed {
    async fn append(&self, batch: Vec<Append>) -> Result<Vec<Appended>> {
        self.below.append(batch).await
    }
    async fn read(
        &self,
        partition: PartitionId,
        from: Position,
        bytes_max: usize,
    ) -> Result<Vec<LogMessage>> {
        let mut found = self.below.read(partition, from, bytes_max).await?;
        found.retain(|m| m.first < self.known(partition, m.end()));
        Ok(found)
    }
    async fn heads(&self, partitions: &[PartitionId]) -> Result<Vec<Position>> {
        let found = self.below.heads(partitions).await?;
        let heads = partitions.iter().zip(found);
        Ok(heads.map(|(p, head)| self.known(*p, head)).collect())
    }
    async fn latest(&self) -> Result<Vec<(PartitionId, Position)>> {
        let latest = self.below.latest().await?;
        if let Some(held) = &mut *self.held.lock() {
            held.clone_from(&latest);
        }
        Ok(latest)
    }
    async fn begins(&self, partitions: &[PartitionId]) -> Result<Vec<Position>> {
        self.below.begins(partitions).await
    }
    async fn truncate(&self, to: &[(PartitionId, Position)]) -> Result<Vec<Position>> {
        self.below.truncate(to).await
    }
    async fn start(&self, at: &[(PartitionId, Position)]) -> Result<()> {
        self.below.start(at).await
    }
    async fn partitions(&self) -> Result<Vec<PartitionId>> {
        self.below.partitions().await
    }
    async fn wait(&self, ticket: u64) -> Result<Wake> {
        self.below.wait(ticket).await
    }
}
