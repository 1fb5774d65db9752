//! Replaying a partition of customers in memory, from its snapshot or from nothing: the fold core of the live workers without
//! their batching, caching and committing. `verify` compares what comes out with State; log retention makes snapshots of it.

use crate::Inner;
use crate::fold::core::{Effects, Rows, Running, Step, step};
use crate::fold::rebuild::fold_log;
use crate::rows::IdentityRow;
use crate::scenes::SceneRuntime;
use crate::snapshot;
use luopan_kernel::event::{Entry, decode_message};
use luopan_kernel::id::{IdentifierId, PartitionId, Position, SceneNo};
use luopan_kernel::time::Micros;
use luopan_store::{LogMessage, Result};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Bytes of log read at once.
const READ_BYTES: usize = 4 << 20;

/// A partition as its log tells it up to a position.
#[derive(Debug)]
pub(crate) struct Replay {
    pub(crate) partition: PartitionId,
    /// Entries below it are folded.
    pub(crate) at: Position,
    /// Where it began: the position of the snapshot.
    pub(crate) from: Position,
    pub(crate) running: Running,
    pub(crate) rows: Rows,
    pub(crate) links: BTreeMap<IdentifierId, IdentityRow>,
    /// What was given back to budgets.
    pub(crate) voided: BTreeMap<String, i64>,
    /// Spent above the limit, for sends confirmed after their money was given back.
    pub(crate) late: BTreeMap<String, i64>,
    /// Entries read.
    pub(crate) entries: u64,
    /// Time spent decoding and folding.
    pub(crate) spent: Duration,
    /// What the log tells and cannot be: in words.
    pub(crate) wrong: Vec<String>,
}

impl Replay {
    /// A partition as its snapshot has it, or before its first entry.
    pub(crate) async fn begin(inner: &Inner, partition: PartitionId) -> Result<Self> {
        let mut out = Self {
            partition,
            at: Position(0),
            from: Position(0),
            running: Running::default(),
            rows: Rows::default(),
            links: BTreeMap::new(),
            voided: BTreeMap::new(),
            late: BTreeMap::new(),
            entries: 0,
            spent: Duration::ZERO,
            wrong: Vec::new(),
        };
        if let Some(found) = snapshot::start_of(inner, partition).await? {
            (out.running, out.rows) = found.running(inner)?;
            out.at = found.header.at;
            out.from = found.header.at;
            out.links.clone_from(&found.links);
            out.voided.clone_from(&found.header.voided);
            out.late.clone_from(&found.header.late);
        }
        Ok(out)
    }

    /// Folds what follows up to `until`, or up to the first message that holds an entry of `before` or later.
    pub(crate) async fn run(
        &mut self,
        inner: &Inner,
        until: Position,
        before: Option<Micros>,
    ) -> Result<()> {
        while self.at < until {
            let messages = inner.log.read(self.partition, self.at, READ_BYTES).await?;
            if messages.is_empty() {
                self.wrong.push(format!(
                    "partition {}: state is at {}, the log ends at {}",
                    self.partition.0, until.0, self.at.0
                ));
                return Ok(());
            }
            for message in &messages {
                unbroken(self.partition, self.at, message)?;
                if message.first >= until || !self.take(inner, message, until, before).await? {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Folds a message; false, and nothing is folded, when it is of `before` or later.
    async fn take(
        &mut self,
        inner: &Inner,
        message: &LogMessage,
        until: Position,
        before: Option<Micros>,
    ) -> Result<bool> {
        let start = Instant::now();
        let entries = decode(self.partition, message)?;
        if before.is_some_and(|b| message.end() > until || entries.iter().any(|e| e.at() >= b)) {
            return Ok(false);
        }
        let mut effects = Effects::default();
        let mut switched = None;
        for (i, entry) in entries.iter().enumerate() {
            let position = Position(message.first.0 + i as u64 + 1);
            if position <= self.at {
                continue;
            }
            if position > until {
                break;
            }
            self.entries += 1;
            if let Entry::Linked(l) = entry {
                let row = IdentityRow {
                    customer: l.customer,
                    revision: l.revision,
                };
                let known = self.links.get(&l.identifier);
                if known.is_none_or(|r| r.revision < l.revision) {
                    self.links.insert(l.identifier, row);
                }
            }
            if let Step::Switch(scene, version) =
                step(&self.running, &mut self.rows, &mut effects, entry, position)
            {
                // A scene change stands alone in its message.
                switched = Some((scene, version, Position(position.0 - 1)));
            }
        }
        self.spent += start.elapsed();
        for (sums, debits) in [
            (&mut self.voided, &effects.voided),
            (&mut self.late, &effects.late),
        ] {
            for (_, debit) in debits {
                *sums.entry(debit.budget.clone()).or_default() += debit.amount;
            }
        }
        if let Some((scene, version, at)) = switched {
            self.switch(inner, scene, version, at).await?;
        }
        self.at = self.at.max(message.end());
        Ok(true)
    }

    /// The same swap that the live worker made at this entry.
    async fn switch(
        &mut self,
        inner: &Inner,
        scene: SceneNo,
        version: u32,
        at: Position,
    ) -> Result<()> {
        let old = self.running.scenes.get(&scene).cloned();
        if old.as_ref().is_some_and(|o| o.version >= version) {
            return Ok(());
        }
        let Some(new) = inner.scenes.version(scene, version) else {
            self.wrong.push(format!(
                "partition {}: scene {} version {version} is applied but not recorded",
                self.partition.0, scene.0
            ));
            return Ok(());
        };
        self.running.scenes.insert(scene, new.clone());
        let Some(old) = old else { return Ok(()) };
        let mut folded = Rows::default();
        if !old.fold.layout().holds_the_same(new.fold.layout()) {
            let mut alone = Running::default();
            alone.scenes.insert(scene, new.clone());
            folded = fold_log(inner, self.partition, at, &alone).await?;
        }
        for (name, slot) in self.rows.slots.iter_mut().filter(|(n, _)| n.0 == scene) {
            match folded.slots.remove(name) {
                Some(f) => slot.row.profile = f.row.profile,
                None => {
                    slot.row.profile.adapt(new.fold.layout());
                }
            }
        }
        Ok(())
    }

    /// Greatest log time of each scene's rows.
    pub(crate) fn last_times(&self) -> BTreeMap<SceneNo, Micros> {
        let mut out: BTreeMap<SceneNo, Micros> = BTreeMap::new();
        for ((scene, _), slot) in &self.rows.slots {
            let last = out.entry(*scene).or_default();
            *last = (*last).max(slot.row.profile.last_log_time);
        }
        out
    }
}

/// The scene versions that a partition's log switches to in `from..until` and that lay profiles out anew, `running` being what
/// runs at `from`.
pub(crate) async fn laid_out_anew(
    inner: &Inner,
    partition: PartitionId,
    mut from: Position,
    until: Position,
    running: &Running,
) -> Result<Vec<std::sync::Arc<SceneRuntime>>> {
    let mut running = running.clone();
    let mut out = Vec::new();
    while from < until {
        let messages = inner.log.read(partition, from, READ_BYTES).await?;
        let Some(last) = messages.last() else {
            return Err(ends(partition, from, until));
        };
        let mut at = from;
        from = last.end();
        for message in &messages {
            unbroken(partition, at, message)?;
            at = message.end();
            if message.first >= until {
                break;
            }
            for entry in decode(partition, message)? {
                let Entry::SceneApplied { scene, version, .. } = entry else {
                    continue;
                };
                let old = running.scenes.get(&scene);
                if old.is_some_and(|o| o.version >= version) {
                    continue;
                }
                let new = inner.scenes.version(scene, version);
                let new = new.ok_or_else(|| luopan_store::Error::no_scene(scene, version))?;
                let is_anew =
                    old.is_some_and(|o| !o.fold.layout().holds_the_same(new.fold.layout()));
                if is_anew {
                    out.push(new.clone());
                }
                running.scenes.insert(scene, new);
            }
        }
    }
    Ok(out)
}

/// Refuses a message that does not go on where the one before it ended.
pub(crate) fn unbroken(partition: PartitionId, at: Position, message: &LogMessage) -> Result<()> {
    if message.first <= at && at < message.end() {
        return Ok(());
    }
    Err(luopan_store::Error::Corrupt {
        store: "log",
        at: format!("partition {} position {}", partition.0, at.0),
        cause: format!(
            "the message that was read there holds entries {} to {}",
            message.first.0,
            message.end().0
        ),
    })
}

impl Inner {
    /// How far State reflects these partitions, in their order; the log can be read up to there afterwards. Another node may
    /// have folded what this one's log had not heard of yet.
    pub(crate) async fn reflected(&self, partitions: &[PartitionId]) -> Result<Vec<Position>> {
        let reflected = self.state.positions(partitions).await?;
        self.reach(partitions, &reflected).await?;
        Ok(reflected)
    }

    /// Waits until the log can be read up to positions that State reflects.
    pub(crate) async fn reach(
        &self,
        partitions: &[PartitionId],
        reflected: &[Position],
    ) -> Result<()> {
        let heads = self.log.heads(partitions).await?;
        if reflected.iter().zip(&heads).any(|(at, head)| at > head) {
            self.log.latest().await?;
        }
        Ok(())
    }
}

/// The log ends before what State says that it reflects.
pub(crate) fn ends(partition: PartitionId, at: Position, until: Position) -> luopan_store::Error {
    luopan_store::Error::Corrupt {
        store: "log",
        at: format!("partition {} position {}", partition.0, at.0),
        cause: format!("nothing is there, and State reflects it up to {}", until.0),
    }
}

/// The entries of a message.
pub(crate) fn decode(partition: PartitionId, message: &LogMessage) -> Result<Vec<Entry<'_>>> {
    decode_message(&message.message).map_err(|e| luopan_store::Error::Corrupt {
        store: "log",
        at: format!("partition {} position {}", partition.0, message.first.0),
        cause: e.to_string(),
    })
}
