//! Everything that stands in the stores of one installation, record by record, and putting it into empty stores again: what backups,
//! restoring and moving to other backends have in common. It works over the traits alone, in bounded memory.
//!
//! The order is what makes a copy consistent while others write (docs/decisions/0015-one-moment.md): first which scene versions are
//! announced, then one [`Moment`] of State with the heads of the log, then the log up to these heads; the rest of the control
//! plane and the key store only grow and come after, so that they have whatever log and State name. This room must never put
//! anything into stores that hold something, and never leave out what it cannot read.

use crate::Stores;
use crate::control::{
    ApiKey, AppliedScene, AuditRecord, NewRegistryEntry, NewScene, RegistryEntry,
};
use crate::error::{Error, Result};
use crate::keys::{ForeignId, following};
use crate::log::{Append, LogMessage};
use crate::nodes::Node;
use crate::state::{Advance, BudgetChange, Commit, Conflict, Durability, RowKey, Table, Write};
use async_trait::async_trait;
use bytes::Bytes;
use luopan_kernel::id::{IdentifierId, PartitionId, Position, TenantId};
use std::collections::{BTreeMap, BTreeSet};

/// About how many bytes are read from a store, and handed on, at once.
pub const BATCH_BYTES: usize = 4 << 20;
/// Most ids of the key store that are handed on at once.
pub const BATCH_KEYS: usize = 10_000;
/// Most rows that are written at once.
const BATCH_ROWS: usize = 10_000;

/// What is spent of one row of a budget.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spent {
    /// Budget and period.
    pub budget: String,
    /// Row.
    pub row: u16,
    /// Amount in minor units, not below 0.
    pub spent: i64,
}

/// A row of State with its whole name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whole {
    /// Name.
    pub key: RowKey,
    /// Value.
    pub value: Bytes,
}

/// State as it stood at one moment, for as long as this is held.
#[async_trait]
pub trait Moment: Send + Sync {
    /// Heads of the log at that moment, of all partitions that held anything, ascending.
    fn heads(&self) -> &[(PartitionId, Position)];

    /// Positions that State reflected, of every partition ever folded, ascending.
    async fn positions(&self) -> Result<Vec<(PartitionId, Position)>>;

    /// Rows of all budgets ever debited, ascending.
    async fn budgets(&self) -> Result<Vec<Spent>>;

    /// Rows of a table in order of partition and key, from `from` on: about `bytes_max` bytes of them, at least one where there is
    /// one; none when there is no more.
    async fn rows(
        &self,
        table: Table,
        from: &(PartitionId, Bytes),
        bytes_max: usize,
    ) -> Result<Vec<Whole>>;
}

/// The parts of a copy, in the order in which they are read, and in which they can be put back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// The event log.
    Log,
    /// State.
    State,
    /// The control plane.
    Control,
    /// The key store.
    Keys,
    /// Which ids were erased from the key store.
    Erased,
}

impl Part {
    /// Every part, in order.
    pub const ALL: [Self; 5] = [
        Self::Log,
        Self::State,
        Self::Control,
        Self::Keys,
        Self::Erased,
    ];
}

/// One thing that stands in the stores.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// Where a partition of the log begins, when that is not 0: before all messages.
    Begin(PartitionId, Position),
    /// A message of the log.
    Message(PartitionId, LogMessage),
    /// A row of State.
    Row(Whole),
    /// How far State reflects a partition.
    Position(PartitionId, Position),
    /// A row of a budget.
    Spent(Spent),
    /// A scene version with its files.
    Scene(AppliedScene, Vec<(String, Bytes)>),
    /// An artifact under its SHA-256.
    Artifact([u8; 32], Bytes),
    /// A line of the registry of models.
    Registry(RegistryEntry),
    /// A named stream.
    Stream(String, PartitionId),
    /// An API key.
    ApiKey(ApiKey),
    /// A line of the audit.
    Audit(AuditRecord),
    /// An id of the key store.
    Key(ForeignId, IdentifierId),
    /// An id that was erased.
    Erased(TenantId, IdentifierId),
}

impl Record {
    /// The part that it belongs to.
    #[must_use]
    pub fn part(&self) -> Part {
        match self {
            Self::Begin(..) | Self::Message(..) => Part::Log,
            Self::Row(_) | Self::Position(..) | Self::Spent(_) => Part::State,
            Self::Scene(..)
            | Self::Artifact(..)
            | Self::Registry(_)
            | Self::Stream(..)
            | Self::ApiKey(_)
            | Self::Audit(_) => Part::Control,
            Self::Key(..) => Part::Keys,
            Self::Erased(..) => Part::Erased,
        }
    }
}

/// Where records go.
#[async_trait]
pub trait Sink: Send {
    /// Takes records, all of one part; parts come in the order of [`Part::ALL`].
    async fn put(&mut self, records: Vec<Record>) -> Result<()>;
}

/// What was copied.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Copied {
    /// Head of each partition of the log that held anything, and how far State reflected it.
    pub partitions: BTreeMap<PartitionId, (Position, Position)>,
}

/// Reads everything that stands in `stores` as of one moment into `sink`. The stores may be at work meanwhile.
///
/// # Errors
/// Those of the stores and of the sink; [`Error::Corrupt`] where the log lacks what it should hold.
pub async fn copy(stores: &Stores, sink: &mut dyn Sink) -> Result<Copied> {
    // Before the moment: a truncation from here on is noticed, since what is read is gone.
    let begins: BTreeMap<_, _> = {
        let partitions = stores.log.partitions().await?;
        let begins = stores.log.begins(&partitions).await?;
        partitions.into_iter().zip(begins).collect()
    };
    // A version that is announced after this look may stand in the log only in part: it is announced again, as after a crash.
    let announced: BTreeSet<_> = (stores.control.scenes().await?.into_iter())
        .filter(|s| s.announced)
        .map(|s| (s.scene, s.version))
        .collect();
    let moment = stores.state.moment(stores.log.as_ref()).await?;
    let mut copied = Copied::default();
    let truncated = begins.iter().filter(|(_, begin)| begin.0 > 0);
    let truncated: Vec<_> = truncated.map(|(p, b)| Record::Begin(*p, *b)).collect();
    if !truncated.is_empty() {
        sink.put(truncated).await?;
    }
    for (partition, head) in moment.heads() {
        let folded = Position::default();
        copied.partitions.insert(*partition, (*head, folded));
        let begin = begins.get(partition).copied().unwrap_or_default();
        log(stores, *partition, begin, *head, sink).await?;
    }
    state(moment.as_ref(), &mut copied, sink).await?;
    drop(moment);
    control(stores, &announced, sink).await?;
    keys(stores, sink).await?;
    Ok(copied)
}

async fn log(
    stores: &Stores,
    partition: PartitionId,
    begin: Position,
    head: Position,
    sink: &mut dyn Sink,
) -> Result<()> {
    let mut next = begin;
    while next < head {
        let found = stores.log.read(partition, next, BATCH_BYTES).await?;
        let mut records = Vec::with_capacity(found.len());
        for message in found {
            if message.first != next || message.end() > head {
                return Err(Error::Corrupt {
                    store: "event log",
                    at: format!("partition {} position {}", partition.0, next.0),
                    cause: format!(
                        "the next message holds entries {} to {}, the log ends at {}",
                        message.first.0,
                        message.end().0,
                        head.0
                    ),
                });
            }
            next = message.end();
            records.push(Record::Message(partition, message));
            if next == head {
                break;
            }
        }
        if records.is_empty() {
            return Err(Error::Corrupt {
                store: "event log",
                at: format!("partition {} position {}", partition.0, next.0),
                cause: format!("nothing stands there, although the log ends at {}", head.0),
            });
        }
        sink.put(records).await?;
    }
    Ok(())
}

async fn state(moment: &dyn Moment, copied: &mut Copied, sink: &mut dyn Sink) -> Result<()> {
    let positions = moment.positions().await?;
    for (partition, at) in &positions {
        copied.partitions.entry(*partition).or_default().1 = *at;
    }
    let positions = positions.into_iter();
    sink.put(positions.map(|(p, at)| Record::Position(p, at)).collect())
        .await?;
    let budgets = moment.budgets().await?.into_iter();
    sink.put(budgets.map(Record::Spent).collect()).await?;
    for table in Table::ALL {
        let mut from = (PartitionId(0), Bytes::new());
        loop {
            let rows = moment.rows(table, &from, BATCH_BYTES).await?;
            let Some(last) = rows.last() else { break };
            let after = [&last.key.key[..], &[0]].concat();
            from = (last.key.partition, after.into());
            sink.put(rows.into_iter().map(Record::Row).collect())
                .await?;
        }
    }
    Ok(())
}

async fn control(
    stores: &Stores,
    announced: &BTreeSet<(luopan_kernel::id::SceneNo, u32)>,
    sink: &mut dyn Sink,
) -> Result<()> {
    let control = &stores.control;
    for mut scene in control.scenes().await? {
        scene.announced = announced.contains(&(scene.scene, scene.version));
        let files = control.scene_files(scene.scene, scene.version).await?;
        sink.put(vec![Record::Scene(scene, files)]).await?;
    }
    for hash in control.artifacts().await? {
        if let Some(content) = control.artifact(hash).await? {
            sink.put(vec![Record::Artifact(hash, content)]).await?;
        }
    }
    let streams = control.streams().await?.into_iter();
    let mut records: Vec<Record> = streams.map(|(n, p)| Record::Stream(n, p)).collect();
    records.extend((control.registry().await?.into_iter()).map(Record::Registry));
    records.extend((control.api_keys().await?.into_iter()).map(Record::ApiKey));
    let audits = control.audits(usize::MAX).await?;
    records.extend(audits.into_iter().rev().map(Record::Audit));
    sink.put(records).await
}

async fn keys(stores: &Stores, sink: &mut dyn Sink) -> Result<()> {
    let first = (TenantId(0), IdentifierId([0; 16]));
    let mut from = Some(first);
    while let Some(at) = from {
        let found = stores.keys.list(at, BATCH_KEYS).await?;
        from = (found.last()).and_then(|(foreign, id)| following((foreign.tenant, *id)));
        let found = found.into_iter();
        sink.put(found.map(|(f, id)| Record::Key(f, id)).collect())
            .await?;
    }
    let mut from = Some(first);
    while let Some(at) = from {
        let found = stores.keys.erased(at, BATCH_KEYS).await?;
        from = found.last().and_then(|last| following(*last));
        let found = found.into_iter();
        sink.put(found.map(|(t, id)| Record::Erased(t, id)).collect())
            .await?;
    }
    Ok(())
}

/// Says what stands in stores that are to be empty; none when they are. Nodes at work on them count.
///
/// # Errors
/// Those of the stores.
pub async fn held(stores: &Stores) -> Result<Option<String>> {
    if let Some(partition) = stores.log.latest().await?.first() {
        return Ok(Some(format!(
            "its log holds {} entries in partition {}",
            partition.1.0, partition.0.0
        )));
    }
    let moment = stores.state.moment(stores.log.as_ref()).await?;
    let from = (PartitionId(0), Bytes::new());
    for table in Table::ALL {
        if !moment.rows(table, &from, 1).await?.is_empty() {
            return Ok(Some(format!("its State holds rows of {table:?}")));
        }
    }
    if !moment.positions().await?.is_empty() || !moment.budgets().await?.is_empty() {
        return Ok(Some("its State reflects a log".to_owned()));
    }
    drop(moment);
    let control = &stores.control;
    if let Some((scene, ..)) = control.newest_scenes().await?.first() {
        return Ok(Some(format!("its control plane knows scene {}", scene.0)));
    }
    for (is_held, what) in [
        (!control.artifacts().await?.is_empty(), "artifacts"),
        (!control.registry().await?.is_empty(), "models"),
        (!control.streams().await?.is_empty(), "streams"),
        (!control.api_keys().await?.is_empty(), "API keys"),
        (!control.audits(1).await?.is_empty(), "an audit"),
    ] {
        if is_held {
            return Ok(Some(format!("its control plane knows {what}")));
        }
    }
    let from = (TenantId(0), IdentifierId([0; 16]));
    if !stores.keys.list(from, 1).await?.is_empty()
        || !stores.keys.erased(from, 1).await?.is_empty()
    {
        return Ok(Some("its key store knows ids".to_owned()));
    }
    let me = Node {
        id: *b"whether anyone i",
        name: "a look".to_owned(),
        address: String::new(),
    };
    let nodes = stores.nodes.beat(&me, 1_000_000).await?;
    stores.nodes.leave(me.id).await?;
    if let Some(node) = nodes.living.iter().find(|n| n.id != me.id) {
        return Ok(Some(format!(
            "node {} is at work on it; stop it first",
            node.name
        )));
    }
    Ok(None)
}

/// Puts records into empty stores.
#[derive(Debug)]
pub struct Filler {
    stores: Stores,
    /// Versions to be marked as announced.
    announced: Vec<(luopan_kernel::id::SceneNo, u32)>,
}

fn differs(at: impl Into<String>, cause: impl Into<String>) -> Error {
    Error::Corrupt {
        store: "copy",
        at: at.into(),
        cause: cause.into(),
    }
}

impl Filler {
    /// A filler of stores that [`held`] found empty.
    #[must_use]
    pub fn new(stores: Stores) -> Self {
        Self {
            stores,
            announced: Vec::new(),
        }
    }

    /// Makes all that was put durable. Only then are the stores what was copied.
    ///
    /// # Errors
    /// Those of the stores.
    pub async fn finish(self) -> Result<()> {
        for (scene, version) in &self.announced {
            let (scene, version) = (*scene, *version);
            self.stores.control.mark_announced(scene, version).await?;
        }
        // A durable commit makes all before it durable.
        self.commit(vec![Commit::new(Durability::Durable)]).await
    }

    async fn commit(&self, commits: Vec<Commit>) -> Result<()> {
        for outcome in self.stores.state.commit(commits).await? {
            outcome.map_err(|conflict: Conflict| {
                differs("State", format!("it was not empty: {conflict}"))
            })?;
        }
        Ok(())
    }

    async fn messages(&self, messages: Vec<(PartitionId, LogMessage)>) -> Result<()> {
        let wanted: Vec<_> = messages.iter().map(|(p, m)| (*p, m.first)).collect();
        let batch = messages.into_iter().map(|(partition, m)| Append {
            partition,
            count: m.count,
            message: m.message,
        });
        let appended = self.stores.log.append(batch.collect()).await?;
        for ((partition, first), found) in wanted.into_iter().zip(appended) {
            if found.first != first {
                return Err(differs(
                    format!("partition {} of the log", partition.0),
                    format!(
                        "an entry that stood at {} came to stand at {}; somebody else writes there",
                        first.0, found.first.0
                    ),
                ));
            }
        }
        Ok(())
    }

    async fn scene(&mut self, scene: AppliedScene, files: Vec<(String, Bytes)>) -> Result<()> {
        let made = self.stores.control.record_scene(NewScene {
            name: scene.name.clone(),
            hash: scene.hash,
            plan: scene.plan,
            files,
            at: scene.at,
            by: scene.by,
        });
        let made = made.await?;
        if (made.scene, made.version) != (scene.scene, scene.version) {
            return Err(differs(
                format!("scene {}", scene.name),
                format!(
                    "version {} of scene {} became version {} of scene {}",
                    scene.version, scene.scene.0, made.version, made.scene.0
                ),
            ));
        }
        if scene.announced {
            self.announced.push((scene.scene, scene.version));
        }
        Ok(())
    }

    async fn keys(&self, foreign: Vec<ForeignId>, ids: Vec<IdentifierId>) -> Result<()> {
        let made = self.stores.keys.resolve_or_create(&foreign, &ids).await?;
        for (wanted, made) in ids.iter().zip(made) {
            if made.id != *wanted {
                return Err(differs(
                    "the key store",
                    format!("id {wanted} stands for the same customer as {}", made.id),
                ));
            }
        }
        Ok(())
    }

    async fn rest(&mut self, record: Record) -> Result<()> {
        let control = &self.stores.control;
        match record {
            Record::Scene(scene, files) => self.scene(scene, files).await,
            Record::Artifact(hash, content) => control.put_artifacts(vec![(hash, content)]).await,
            Record::Stream(name, partition) => {
                let made = control.stream(&name).await?;
                if made != partition {
                    let words = format!("it had number {}, it got {}", partition.0, made.0);
                    return Err(differs(format!("stream {name}"), words));
                }
                Ok(())
            }
            Record::Registry(line) => {
                let given = NewRegistryEntry {
                    model: line.model.clone(),
                    version: line.artifact.is_none().then_some(line.version),
                    act: line.act.clone(),
                    artifact: line.artifact,
                    detail: line.detail.clone(),
                    at: line.at,
                    by: line.by.clone(),
                };
                let made = control.register(given).await?;
                if made != line {
                    let words = format!(
                        "line {} became line {}, version {} became {}",
                        line.number, made.number, line.version, made.version
                    );
                    return Err(differs(format!("model {}", line.model), words));
                }
                Ok(())
            }
            Record::ApiKey(key) => control.put_api_key(key).await,
            Record::Audit(line) => control.audit(line).await,
            _ => Ok(()),
        }
    }
}

/// The changes that give an empty row of a budget what was spent of it. A budget of which all was given back stays known.
fn spend(spent: Spent) -> Vec<BudgetChange> {
    let change = |amount| BudgetChange {
        budget: spent.budget.clone(),
        limit: i64::MAX,
        rows: spent.row.saturating_add(1),
        home: spent.row,
        amount,
    };
    match spent.spent {
        0 => vec![change(1), change(-1)],
        amount => vec![change(amount)],
    }
}

#[async_trait]
impl Sink for Filler {
    async fn put(&mut self, records: Vec<Record>) -> Result<()> {
        let (mut begins, mut messages) = (Vec::new(), Vec::new());
        let mut writes = Vec::new();
        let mut commit = Commit::new(Durability::Replayable);
        let mut advances = Vec::new();
        let (mut foreign, mut ids) = (Vec::new(), Vec::new());
        let mut erased: BTreeMap<TenantId, Vec<IdentifierId>> = BTreeMap::new();
        for record in records {
            match record {
                Record::Begin(partition, at) => begins.push((partition, at)),
                Record::Message(partition, message) => messages.push((partition, message)),
                Record::Row(row) => writes.push(Write {
                    key: row.key,
                    value: Some(row.value),
                }),
                Record::Position(partition, to) => advances.push(Commit {
                    advance: Some(Advance {
                        partition,
                        from: Position::default(),
                        to,
                    }),
                    ..Commit::new(Durability::Replayable)
                }),
                Record::Spent(spent) => commit.budgets.extend(spend(spent)),
                Record::Key(f, id) => {
                    foreign.push(f);
                    ids.push(id);
                }
                Record::Erased(tenant, id) => erased.entry(tenant).or_default().push(id),
                rest => self.rest(rest).await?,
            }
        }
        if !begins.is_empty() {
            self.stores.log.start(&begins).await?;
        }
        if !messages.is_empty() {
            self.messages(messages).await?;
        }
        while !writes.is_empty() {
            let rest = writes.split_off(writes.len().min(BATCH_ROWS));
            let writes = std::mem::replace(&mut writes, rest);
            self.commit(vec![Commit {
                writes,
                ..Commit::new(Durability::Replayable)
            }])
            .await?;
        }
        if !commit.budgets.is_empty() {
            advances.push(commit);
        }
        if !advances.is_empty() {
            self.commit(advances).await?;
        }
        if !ids.is_empty() {
            self.keys(foreign, ids).await?;
        }
        for (tenant, ids) in erased {
            self.stores.keys.erase(tenant, &ids).await?;
        }
        Ok(())
    }
}
