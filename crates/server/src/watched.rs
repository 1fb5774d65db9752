//! Stores that note how long their calls take, and which fail. It changes nothing of what they answer and knows no more of them than
//! their traits.

use crate::metrics::Metrics;
use async_trait::async_trait;
use bytes::Bytes;
use luopan_kernel::id::{IdentifierId, PartitionId, Position, SceneNo, TenantId};
use luopan_store::{
    ApiKey, Append, Appended, AppliedScene, AuditRecord, Beat, Commit, Committed, Conflict,
    Control, EventLog, ForeignId, Keys, LogMessage, Moment, NewRegistryEntry, NewScene, Node,
    Nodes, Queue, RegistryEntry, Resolved, Result, Row, RowKey, State, Stores, Table, Wake,
};
use metrics::{Counter, Histogram};
use std::future::Future;
use std::sync::Arc;
use std::time::Instant;

/// The same stores, watched.
#[must_use]
pub fn stores(stores: Stores, metrics: &Metrics) -> Stores {
    let call = |store, name| Call::new(metrics.store_call(store, name));
    Stores {
        log: Arc::new(Log {
            append: call("log", "append"),
            read: call("log", "read"),
            inner: stores.log,
        }),
        state: Arc::new(Rows {
            get: call("state", "get"),
            scan: call("state", "scan"),
            positions: call("state", "positions"),
            budgets: call("state", "budgets"),
            commit: call("state", "commit"),
            fold_commit: call("state", "fold_commit"),
            inner: stores.state,
        }),
        control: Arc::new(Plane {
            read: call("control", "read"),
            write: call("control", "write"),
            inner: stores.control,
        }),
        keys: Arc::new(Ids {
            create: call("keys", "resolve_or_create"),
            resolve: call("keys", "resolve"),
            reveal: call("keys", "reveal"),
            erase: call("keys", "erase"),
            inner: stores.keys,
        }),
        nodes: Arc::new(Fleet {
            beat: call("nodes", "beat"),
            inner: stores.nodes,
        }),
    }
}

/// Where calls of one kind are noted.
struct Call {
    seconds: Histogram,
    errors: Counter,
}

impl Call {
    fn new((seconds, errors): (Histogram, Counter)) -> Self {
        Self { seconds, errors }
    }

    async fn of<T>(&self, call: impl Future<Output = Result<T>>) -> Result<T> {
        let begun = Instant::now();
        let answer = call.await;
        self.seconds.record(begun.elapsed().as_secs_f64());
        if answer.is_err() {
            self.errors.increment(1);
        }
        answer
    }
}

struct Log {
    inner: Arc<dyn EventLog>,
    append: Call,
    read: Call,
}

#[async_trait]
impl EventLog for Log {
    async fn append(&self, batch: Vec<Append>) -> Result<Vec<Appended>> {
        self.append.of(self.inner.append(batch)).await
    }

    async fn read(
        &self,
        partition: PartitionId,
        from: Position,
        bytes_max: usize,
    ) -> Result<Vec<LogMessage>> {
        (self.read)
            .of(self.inner.read(partition, from, bytes_max))
            .await
    }

    async fn heads(&self, partitions: &[PartitionId]) -> Result<Vec<Position>> {
        self.inner.heads(partitions).await
    }

    async fn latest(&self) -> Result<Vec<(PartitionId, Position)>> {
        self.inner.latest().await
    }

    async fn writable(&self) -> Result<()> {
        self.inner.writable().await
    }

    fn queues(&self) -> Vec<Queue> {
        self.inner.queues()
    }

    async fn partitions(&self) -> Result<Vec<PartitionId>> {
        self.inner.partitions().await
    }

    async fn begins(&self, partitions: &[PartitionId]) -> Result<Vec<Position>> {
        self.inner.begins(partitions).await
    }

    async fn truncate(&self, to: &[(PartitionId, Position)]) -> Result<Vec<Position>> {
        self.inner.truncate(to).await
    }

    async fn start(&self, at: &[(PartitionId, Position)]) -> Result<()> {
        self.inner.start(at).await
    }

    // A wait lasts as long as nothing comes: it is no latency.
    async fn wait(&self, ticket: u64) -> Result<Wake> {
        self.inner.wait(ticket).await
    }
}

struct Rows {
    inner: Arc<dyn State>,
    get: Call,
    scan: Call,
    positions: Call,
    budgets: Call,
    commit: Call,
    fold_commit: Call,
}

#[async_trait]
impl State for Rows {
    async fn get(&self, keys: &[RowKey]) -> Result<Vec<Option<Bytes>>> {
        self.get.of(self.inner.get(keys)).await
    }

    async fn scan(
        &self,
        table: Table,
        partition: PartitionId,
        from: &[u8],
        to: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Row>> {
        (self.scan)
            .of(self.inner.scan(table, partition, from, to, limit))
            .await
    }

    async fn scan_partitions(
        &self,
        table: Table,
        partitions: &[PartitionId],
        limit: usize,
    ) -> Result<Vec<(PartitionId, Row)>> {
        (self.scan)
            .of(self.inner.scan_partitions(table, partitions, limit))
            .await
    }

    async fn scan_each(
        &self,
        table: Table,
        partitions: &[PartitionId],
        each: usize,
    ) -> Result<Vec<(PartitionId, Row)>> {
        (self.scan)
            .of(self.inner.scan_each(table, partitions, each))
            .await
    }

    async fn get_and_spent(
        &self,
        keys: &[RowKey],
        budgets: &[String],
    ) -> Result<(Vec<Option<Bytes>>, Vec<i64>)> {
        (self.get).of(self.inner.get_and_spent(keys, budgets)).await
    }

    async fn count(&self, table: Table, partition: PartitionId, most: usize) -> Result<usize> {
        (self.scan)
            .of(self.inner.count(table, partition, most))
            .await
    }

    fn queues(&self) -> Vec<Queue> {
        self.inner.queues()
    }

    async fn positions(&self, partitions: &[PartitionId]) -> Result<Vec<Position>> {
        self.positions.of(self.inner.positions(partitions)).await
    }

    async fn spent(&self, budgets: &[String]) -> Result<Vec<i64>> {
        self.budgets.of(self.inner.spent(budgets)).await
    }

    async fn budgets(&self) -> Result<Vec<(String, i64)>> {
        self.budgets.of(self.inner.budgets()).await
    }

    async fn commit(
        &self,
        commits: Vec<Commit>,
    ) -> Result<Vec<std::result::Result<Committed, Conflict>>> {
        let is_fold = commits.iter().any(|c| c.advance.is_some());
        let call = if is_fold {
            &self.fold_commit
        } else {
            &self.commit
        };
        call.of(self.inner.commit(commits)).await
    }

    async fn moment(&self, log: &dyn EventLog) -> Result<Box<dyn Moment>> {
        self.inner.moment(log).await
    }
}

struct Plane {
    inner: Arc<dyn Control>,
    read: Call,
    write: Call,
}

#[async_trait]
impl Control for Plane {
    async fn record_scene(&self, scene: NewScene) -> Result<AppliedScene> {
        self.write.of(self.inner.record_scene(scene)).await
    }

    async fn mark_announced(&self, scene: SceneNo, version: u32) -> Result<()> {
        (self.write)
            .of(self.inner.mark_announced(scene, version))
            .await
    }

    async fn scenes(&self) -> Result<Vec<AppliedScene>> {
        self.read.of(self.inner.scenes()).await
    }

    async fn newest_scenes(&self) -> Result<Vec<(SceneNo, u32, bool)>> {
        self.read.of(self.inner.newest_scenes()).await
    }

    async fn scene_files(&self, scene: SceneNo, version: u32) -> Result<Vec<(String, Bytes)>> {
        self.read.of(self.inner.scene_files(scene, version)).await
    }

    async fn put_artifacts(&self, artifacts: Vec<([u8; 32], Bytes)>) -> Result<()> {
        self.write.of(self.inner.put_artifacts(artifacts)).await
    }

    async fn artifact(&self, sha256: [u8; 32]) -> Result<Option<Bytes>> {
        self.read.of(self.inner.artifact(sha256)).await
    }

    async fn artifacts(&self) -> Result<Vec<[u8; 32]>> {
        self.read.of(self.inner.artifacts()).await
    }

    async fn register(&self, entry: NewRegistryEntry) -> Result<RegistryEntry> {
        self.write.of(self.inner.register(entry)).await
    }

    async fn registry(&self) -> Result<Vec<RegistryEntry>> {
        self.read.of(self.inner.registry()).await
    }

    async fn stream(&self, name: &str) -> Result<PartitionId> {
        self.write.of(self.inner.stream(name)).await
    }

    async fn streams(&self) -> Result<Vec<(String, PartitionId)>> {
        self.read.of(self.inner.streams()).await
    }

    async fn put_api_key(&self, key: ApiKey) -> Result<()> {
        self.write.of(self.inner.put_api_key(key)).await
    }

    async fn remove_api_key(&self, name: &str) -> Result<bool> {
        self.write.of(self.inner.remove_api_key(name)).await
    }

    async fn api_keys(&self) -> Result<Vec<ApiKey>> {
        self.read.of(self.inner.api_keys()).await
    }

    async fn audit(&self, record: AuditRecord) -> Result<()> {
        self.write.of(self.inner.audit(record)).await
    }

    async fn audits(&self, limit: usize) -> Result<Vec<AuditRecord>> {
        self.read.of(self.inner.audits(limit)).await
    }
}

struct Ids {
    inner: Arc<dyn Keys>,
    create: Call,
    resolve: Call,
    reveal: Call,
    erase: Call,
}

#[async_trait]
impl Keys for Ids {
    async fn resolve_or_create(
        &self,
        foreign: &[ForeignId],
        fresh: &[IdentifierId],
    ) -> Result<Vec<Resolved>> {
        (self.create)
            .of(self.inner.resolve_or_create(foreign, fresh))
            .await
    }

    async fn writable(&self) -> Result<()> {
        self.inner.writable().await
    }

    fn queues(&self) -> Vec<Queue> {
        self.inner.queues()
    }

    async fn resolve(&self, foreign: &[ForeignId]) -> Result<Vec<Option<IdentifierId>>> {
        self.resolve.of(self.inner.resolve(foreign)).await
    }

    async fn reveal(&self, tenant: TenantId, ids: &[IdentifierId]) -> Result<Vec<Option<String>>> {
        self.reveal.of(self.inner.reveal(tenant, ids)).await
    }

    async fn erase(&self, tenant: TenantId, ids: &[IdentifierId]) -> Result<()> {
        self.erase.of(self.inner.erase(tenant, ids)).await
    }

    async fn list(
        &self,
        from: (TenantId, IdentifierId),
        limit: usize,
    ) -> Result<Vec<(ForeignId, IdentifierId)>> {
        self.reveal.of(self.inner.list(from, limit)).await
    }

    async fn erased(
        &self,
        from: (TenantId, IdentifierId),
        limit: usize,
    ) -> Result<Vec<(TenantId, IdentifierId)>> {
        self.reveal.of(self.inner.erased(from, limit)).await
    }
}

struct Fleet {
    inner: Arc<dyn Nodes>,
    beat: Call,
}

#[async_trait]
impl Nodes for Fleet {
    async fn beat(&self, node: &Node, for_us: i64) -> Result<Beat> {
        self.beat.of(self.inner.beat(node, for_us)).await
    }

    async fn leave(&self, id: [u8; 16]) -> Result<()> {
        self.inner.leave(id).await
    }
}
