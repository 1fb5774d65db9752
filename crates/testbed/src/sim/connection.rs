//! A node's way to its servers: every call takes time, may arrive late, may be lost on the way there or back, or may take effect
//! after whoever made it gave up or died. A node that holds its stores itself (the embedded backend) loses nothing on the
//! way; its disk may refuse to write.

use super::executor::{Owner, Sim};
use super::servers::{Planted, Servers};
use crate::dice::Dice;
use async_trait::async_trait;
use bytes::Bytes;
use futures::FutureExt;
use futures::channel::oneshot;
use futures::future::{Either, select};
use luopan_kernel::id::{IdentifierId, PartitionId, Position, SceneNo, TenantId, hash64};
use luopan_store::{
    ApiKey, Append, Appended, AppliedScene, AuditRecord, Beat, Commit, Committed, Conflict,
    Control, Error, EventLog, ForeignId, Keys, LogMessage, Moment, NewRegistryEntry, NewScene,
    Node, Nodes, RegistryEntry, Resolved, Result, Row, RowKey, State, Stores, Table, Wake,
};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// How long a caller waits for an answer, in microseconds.
const ANSWER_WITHIN_US: i64 = 1_500_000;

/// One of so many messages is of a format that an older program does not know.
const NEWER_ONE_OF: u64 = 4;

/// Which server a call goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Server {
    /// The log.
    Log,
    /// State, and with it control plane, keys and nodes.
    State,
}

/// How bad the way is.
#[derive(Debug, Clone, Copy, Default)]
pub struct Weather {
    /// Shortest way of a message, in microseconds.
    pub near_us: i64,
    /// What it may take longer.
    pub spread_us: u64,
    /// Messages of a hundred thousand that are late.
    pub late: u64,
    /// How late, at most, in microseconds.
    pub late_us: u64,
    /// Messages of a hundred thousand that are lost.
    pub lost: u64,
}

/// What the faults of a run are counted by.
#[derive(Debug, Default)]
pub struct Counted {
    /// Calls.
    pub calls: AtomicU64,
    /// Messages that were late.
    pub late: AtomicU64,
    /// Messages that were lost.
    pub lost: AtomicU64,
}

/// The way between one process and the servers.
pub struct Link {
    /// Usual weather.
    pub weather: Mutex<Weather>,
    /// Nothing goes through before this moment.
    pub cut_until: AtomicI64,
    /// The log's server is down until then.
    pub log_down_until: Arc<AtomicI64>,
    /// State's server is down until then.
    pub state_down_until: Arc<AtomicI64>,
    /// Heads of the partitions when the others were brought up to date: the process does not know what they write since.
    pub older_than: Mutex<Option<Vec<Position>>>,
    /// What the process has heard of the log.
    pub heard: Mutex<Heard>,
    /// Writes are refused until then (embedded): the disk is full.
    pub full_until: AtomicI64,
    /// Whoever carries the calls out: the servers, or the process's own disk.
    pub carrier: Owner,
    /// The stores are the process's own.
    pub embedded: bool,
    /// Counters.
    pub counted: Arc<Counted>,
    /// Chance.
    pub dice: Mutex<Dice>,
}

/// How far a process has heard of the log. It follows it, so that State may reflect what it has not heard of.
#[derive(Debug, Default)]
pub struct Heard {
    heads: Vec<(PartitionId, Position)>,
    /// It hears more from this moment on.
    next: i64,
}

/// Longest time that nothing is heard of the log, in microseconds.
const UNHEARD_US: u64 = 2_000_000;

/// One of so many tellings of the log is late by as much as that.
const UNHEARD_ONE_OF: u64 = 50;

/// What becomes of one call.
struct Fate {
    there_us: i64,
    back_us: i64,
    arrives: bool,
    answered: bool,
}

impl Link {
    fn message(&self) -> (i64, bool) {
        let w = *self.weather.lock();
        let mut dice = self.dice.lock();
        let mut us = w.near_us + dice.below(w.spread_us.max(1)) as i64;
        if dice.below(100_000) < w.late {
            // Mostly a little.
            let share = dice.below(1_000) as f64 / 1_000.0;
            us += (share.powi(6) * w.late_us as f64) as i64;
            self.counted.late.fetch_add(1, Ordering::Relaxed);
        }
        let lost = dice.below(100_000) < w.lost;
        if lost {
            self.counted.lost.fetch_add(1, Ordering::Relaxed);
        }
        (us, !lost)
    }

    fn fate(&self) -> Fate {
        self.counted.calls.fetch_add(1, Ordering::Relaxed);
        let (there_us, arrives) = self.message();
        let (back_us, answered) = self.message();
        Fate {
            there_us,
            back_us,
            arrives,
            answered,
        }
    }

    /// Messages as an older program sees them, of which some are of a format that it does not know.
    fn as_it_reads(&self, partition: PartitionId, messages: &mut [LogMessage]) {
        let older_than = self.older_than.lock();
        let Some(heads) = &*older_than else { return };
        let head = heads.get(usize::from(partition.0));
        for m in messages {
            let is_new = head.is_some_and(|head| m.first >= *head);
            if is_new && hash64(&m.message).is_multiple_of(NEWER_ONE_OF) {
                let mut bytes = m.message.to_vec();
                bytes[0] = u8::MAX;
                m.message = bytes.into();
            }
        }
    }

    /// Heads of the log as the process knows them, of those that the servers have `now`. `anew`: whatever the servers have.
    fn hears(
        &self,
        now: i64,
        anew: bool,
        heads: Result<Vec<(PartitionId, Position)>>,
    ) -> Result<Vec<(PartitionId, Position)>> {
        let mut heard = self.heard.lock();
        if anew || now >= heard.next {
            heard.heads = heads?;
            heard.next = now + self.dice.lock().below(UNHEARD_US) as i64;
        }
        Ok(heard.heads.clone())
    }

    fn is_cut(&self, now: i64) -> bool {
        self.cut_until.load(Ordering::SeqCst) > now
    }

    fn is_down(&self, server: Server, now: i64) -> bool {
        let until = match server {
            Server::Log => &self.log_down_until,
            Server::State => &self.state_down_until,
        };
        until.load(Ordering::SeqCst) > now
    }
}

/// The stores as a process sees them.
#[derive(Clone)]
pub struct Connection {
    sim: Sim,
    servers: Arc<Servers>,
    /// None for whoever looks at the servers themselves.
    link: Option<Arc<Link>>,
}

fn gone(store: &'static str, tried: &str, cause: &str) -> Error {
    Error::Unavailable {
        store,
        tried: tried.to_owned(),
        cause: cause.to_owned(),
    }
}

impl Connection {
    /// A way.
    pub fn new(sim: &Sim, servers: &Arc<Servers>, link: Option<Arc<Link>>) -> Self {
        Self {
            sim: sim.clone(),
            servers: servers.clone(),
            link,
        }
    }

    /// All five stores over this way.
    pub fn stores(&self) -> Stores {
        let me = Arc::new(self.clone());
        Stores {
            log: me.clone(),
            state: me.clone(),
            control: me.clone(),
            keys: me.clone(),
            nodes: me,
        }
    }

    /// Heads of the log as this process knows them; none where whatever the servers have is known.
    fn heard(&self, anew: bool) -> Result<Option<Vec<(PartitionId, Position)>>> {
        match &self.link {
            Some(link) if !link.embedded => {
                let heads = self.servers.latest();
                link.hears(self.sim.now(), anew, heads).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// One call. `work` runs at the server, at once and whole.
    async fn call<T: Send + 'static>(
        &self,
        server: Server,
        tried: &'static str,
        writes: bool,
        work: impl FnOnce(&Servers) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let Some(link) = &self.link else {
            return work(&self.servers);
        };
        let store = match server {
            Server::Log => "log",
            Server::State => "state",
        };
        if link.embedded && !writes {
            link.counted.calls.fetch_add(1, Ordering::Relaxed);
            return work(&self.servers);
        }
        let now = self.sim.now();
        if link.embedded && link.full_until.load(Ordering::SeqCst) > now {
            return Err(gone(store, tried, "no space left on device"));
        }
        let fate = link.fate();
        let (answer, answered) = oneshot::channel();
        let (sim, servers, way) = (self.sim.clone(), self.servers.clone(), link.clone());
        let carried = async move {
            sim.sleep(fate.there_us).await;
            let now = sim.now();
            if !fate.arrives || way.is_cut(now) || way.is_down(server, now) {
                return;
            }
            let done = work(&servers);
            sim.sleep(fate.back_us).await;
            if fate.answered && !way.is_cut(sim.now()) {
                // Nobody may be left to hear it.
                let _ = answer.send(done);
            }
        };
        self.sim.spawn(link.carrier, carried.boxed());
        let end = self.sim.sleep(ANSWER_WITHIN_US);
        match select(answered, end).await {
            Either::Left((Ok(done), _)) => done,
            // Whether a silent server is slow or gone, the caller cannot tell.
            Either::Left((Err(_), end)) => {
                end.await;
                Err(gone(store, tried, "no answer"))
            }
            Either::Right(_) => Err(gone(store, tried, "no answer in time")),
        }
    }
}

#[async_trait]
impl EventLog for Connection {
    async fn append(&self, batch: Vec<Append>) -> Result<Vec<Appended>> {
        luopan_store::limits::appends(&batch)?;
        let done = self.call(Server::Log, "append", true, |s| s.append(batch));
        let done = done.await?;
        self.heard(true)?;
        Ok(done)
    }

    async fn read(
        &self,
        partition: PartitionId,
        from: Position,
        bytes_max: usize,
    ) -> Result<Vec<LogMessage>> {
        let read = self.call(Server::Log, "read", false, move |s| {
            s.read(partition, from, bytes_max)
        });
        let mut messages = read.await?;
        if let Some(heads) = self.heard(false)? {
            let head = heads.iter().find(|(p, _)| *p == partition);
            messages.retain(|m| head.is_some_and(|(_, head)| m.first < *head));
        }
        if let Some(link) = &self.link {
            link.as_it_reads(partition, &mut messages);
        }
        Ok(messages)
    }

    async fn heads(&self, partitions: &[PartitionId]) -> Result<Vec<Position>> {
        let (asked, partitions) = (partitions.to_vec(), partitions.to_vec());
        let found = self.call(Server::Log, "read the heads", false, move |s| {
            s.heads(&partitions)
        });
        let mut found = found.await?;
        if let Some(heads) = self.heard(false)? {
            for (at, p) in found.iter_mut().zip(asked) {
                let head = heads.iter().find(|(known, _)| *known == p);
                *at = head.map_or(Position(0), |(_, head)| *head);
            }
        }
        Ok(found)
    }

    async fn latest(&self) -> Result<Vec<(PartitionId, Position)>> {
        let latest = self.call(Server::Log, "read the heads", false, Servers::latest);
        let found = latest.await?;
        self.heard(true)?;
        Ok(found)
    }

    async fn partitions(&self) -> Result<Vec<PartitionId>> {
        self.call(Server::Log, "list partitions", false, Servers::partitions)
            .await
    }

    async fn begins(&self, partitions: &[PartitionId]) -> Result<Vec<Position>> {
        let partitions = partitions.to_vec();
        self.call(Server::Log, "read where it begins", false, move |s| {
            s.begins(&partitions)
        })
        .await
    }

    async fn truncate(&self, to: &[(PartitionId, Position)]) -> Result<Vec<Position>> {
        let to = to.to_vec();
        self.call(Server::Log, "truncate", true, move |s| s.truncate(&to))
            .await
    }

    async fn start(&self, at: &[(PartitionId, Position)]) -> Result<()> {
        let at = at.to_vec();
        self.call(Server::Log, "start", true, move |s| s.start(&at))
            .await
    }

    async fn wait(&self, ticket: u64) -> Result<Wake> {
        let wake = self.servers.log.wait(ticket).await?;
        if let Some(link) = &self.link {
            // What is told of the log comes late, but it comes.
            let (mut us, _) = link.message();
            if !link.embedded {
                let mut dice = link.dice.lock();
                if dice.below(UNHEARD_ONE_OF) == 0 {
                    us += dice.below(UNHEARD_US) as i64;
                }
            }
            let cut = link.cut_until.load(Ordering::SeqCst);
            let down = link.log_down_until.load(Ordering::SeqCst);
            let blocked = cut.max(down) - self.sim.now();
            self.sim.sleep(us.max(blocked)).await;
            self.heard(true)?;
        }
        Ok(wake)
    }
}

#[async_trait]
impl State for Connection {
    // Backups of whole installations are tested on real stores.
    async fn moment(&self, _log: &dyn EventLog) -> Result<Box<dyn Moment>> {
        Err(Error::Invalid("the simulation takes no copies".into()))
    }

    async fn get(&self, keys: &[RowKey]) -> Result<Vec<Option<Bytes>>> {
        let keys = keys.to_vec();
        self.call(Server::State, "read rows", false, move |s| {
            s.state(async |state| state.get(&keys).await)
        })
        .await
    }

    async fn scan(
        &self,
        table: Table,
        partition: PartitionId,
        from: &[u8],
        to: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Row>> {
        let (from, to) = (from.to_vec(), to.map(<[u8]>::to_vec));
        self.call(Server::State, "scan", false, move |s| {
            s.state(async |state| {
                state
                    .scan(table, partition, &from, to.as_deref(), limit)
                    .await
            })
        })
        .await
    }

    async fn scan_partitions(
        &self,
        table: Table,
        partitions: &[PartitionId],
        limit: usize,
    ) -> Result<Vec<(PartitionId, Row)>> {
        let partitions = partitions.to_vec();
        self.call(Server::State, "scan many partitions", false, move |s| {
            s.state(async |state| state.scan_partitions(table, &partitions, limit).await)
        })
        .await
    }

    async fn scan_each(
        &self,
        table: Table,
        partitions: &[PartitionId],
        each: usize,
    ) -> Result<Vec<(PartitionId, Row)>> {
        let partitions = partitions.to_vec();
        self.call(Server::State, "scan each partition", false, move |s| {
            s.state(async |state| state.scan_each(table, &partitions, each).await)
        })
        .await
    }

    async fn positions(&self, partitions: &[PartitionId]) -> Result<Vec<Position>> {
        let partitions = partitions.to_vec();
        self.call(Server::State, "read positions", false, move |s| {
            s.state(async |state| state.positions(&partitions).await)
        })
        .await
    }

    async fn spent(&self, budgets: &[String]) -> Result<Vec<i64>> {
        let budgets = budgets.to_vec();
        self.call(Server::State, "read budgets", false, move |s| {
            s.spent(&budgets)
        })
        .await
    }

    async fn budgets(&self) -> Result<Vec<(String, i64)>> {
        self.call(Server::State, "read ledgers", false, |s| {
            s.state(async |state| state.budgets().await)
        })
        .await
    }

    async fn commit(
        &self,
        commits: Vec<Commit>,
    ) -> Result<Vec<std::result::Result<Committed, Conflict>>> {
        luopan_store::limits::commits(&commits)?;
        self.call(Server::State, "commit", true, |s| s.commit(commits))
            .await
    }
}

/// Asks a memory store that lives at State's server.
macro_rules! ask {
    ($me:ident, $writes:expr, $tried:expr, $store:ident, |$s:ident| $ask:expr) => {
        $me.call(Server::State, $tried, $writes, move |servers| {
            let $s = &servers.$store;
            super::servers::now($ask)
        })
        .await
    };
}

#[async_trait]
impl Control for Connection {
    async fn record_scene(&self, scene: NewScene) -> Result<AppliedScene> {
        ask!(self, true, "record a scene", control, |c| c
            .record_scene(scene))
    }

    async fn mark_announced(&self, scene: SceneNo, version: u32) -> Result<()> {
        ask!(self, true, "mark a scene", control, |c| c
            .mark_announced(scene, version))
    }

    async fn scenes(&self) -> Result<Vec<AppliedScene>> {
        ask!(self, false, "read scenes", control, |c| c.scenes())
    }

    async fn newest_scenes(&self) -> Result<Vec<(SceneNo, u32, bool)>> {
        let mut found = ask!(self, false, "read scenes", control, |c| c.newest_scenes())?;
        if self.servers.planted() == Some(Planted::AnnouncementsForgotten) {
            found
                .iter_mut()
                .for_each(|(.., announced)| *announced = true);
        }
        Ok(found)
    }

    async fn scene_files(&self, scene: SceneNo, version: u32) -> Result<Vec<(String, Bytes)>> {
        ask!(self, false, "read a scene", control, |c| c
            .scene_files(scene, version))
    }

    async fn put_artifacts(&self, artifacts: Vec<([u8; 32], Bytes)>) -> Result<()> {
        ask!(self, true, "keep artifacts", control, |c| c
            .put_artifacts(artifacts))
    }

    async fn artifact(&self, sha256: [u8; 32]) -> Result<Option<Bytes>> {
        ask!(self, false, "read an artifact", control, |c| c
            .artifact(sha256))
    }

    async fn artifacts(&self) -> Result<Vec<[u8; 32]>> {
        ask!(self, false, "list artifacts", control, |c| c.artifacts())
    }

    async fn register(&self, entry: NewRegistryEntry) -> Result<RegistryEntry> {
        ask!(self, true, "add to the registry", control, |c| c
            .register(entry))
    }

    async fn registry(&self) -> Result<Vec<RegistryEntry>> {
        ask!(self, false, "read the registry", control, |c| c.registry())
    }

    async fn stream(&self, name: &str) -> Result<PartitionId> {
        let name = name.to_owned();
        ask!(self, true, "name a stream", control, |c| c.stream(&name))
    }

    async fn streams(&self) -> Result<Vec<(String, PartitionId)>> {
        ask!(self, false, "read streams", control, |c| c.streams())
    }

    async fn put_api_key(&self, key: ApiKey) -> Result<()> {
        ask!(self, true, "keep a key", control, |c| c.put_api_key(key))
    }

    async fn remove_api_key(&self, name: &str) -> Result<bool> {
        let name = name.to_owned();
        ask!(self, true, "forget a key", control, |c| c
            .remove_api_key(&name))
    }

    async fn api_keys(&self) -> Result<Vec<ApiKey>> {
        ask!(self, false, "read keys", control, |c| c.api_keys())
    }

    async fn audit(&self, record: AuditRecord) -> Result<()> {
        ask!(self, true, "audit", control, |c| c.audit(record))
    }

    async fn audits(&self, limit: usize) -> Result<Vec<AuditRecord>> {
        ask!(self, false, "read the audit", control, |c| c.audits(limit))
    }
}

#[async_trait]
impl Keys for Connection {
    async fn resolve_or_create(
        &self,
        foreign: &[ForeignId],
        fresh: &[IdentifierId],
    ) -> Result<Vec<Resolved>> {
        let (foreign, fresh) = (foreign.to_vec(), fresh.to_vec());
        self.call(Server::State, "resolve ids", true, move |s| {
            s.ids(&foreign, &fresh)
        })
        .await
    }

    async fn resolve(&self, foreign: &[ForeignId]) -> Result<Vec<Option<IdentifierId>>> {
        let foreign = foreign.to_vec();
        ask!(self, false, "resolve ids", keys, |k| k.resolve(&foreign))
    }

    async fn reveal(&self, tenant: TenantId, ids: &[IdentifierId]) -> Result<Vec<Option<String>>> {
        let ids = ids.to_vec();
        ask!(self, false, "reveal ids", keys, |k| k.reveal(tenant, &ids))
    }

    async fn erase(&self, tenant: TenantId, ids: &[IdentifierId]) -> Result<()> {
        let ids = ids.to_vec();
        ask!(self, true, "erase", keys, |k| k.erase(tenant, &ids))
    }

    async fn list(
        &self,
        from: (TenantId, IdentifierId),
        limit: usize,
    ) -> Result<Vec<(ForeignId, IdentifierId)>> {
        ask!(self, false, "list ids", keys, |k| k.list(from, limit))
    }

    async fn erased(
        &self,
        from: (TenantId, IdentifierId),
        limit: usize,
    ) -> Result<Vec<(TenantId, IdentifierId)>> {
        ask!(self, false, "list erased ids", keys, |k| k
            .erased(from, limit))
    }
}

#[async_trait]
impl Nodes for Connection {
    async fn beat(&self, node: &Node, for_us: i64) -> Result<Beat> {
        let node = node.clone();
        ask!(self, true, "tell that it lives", nodes, |n| n
            .beat(&node, for_us))
    }

    async fn leave(&self, id: [u8; 16]) -> Result<()> {
        ask!(self, true, "leave", nodes, |n| n.leave(id))
    }
}
