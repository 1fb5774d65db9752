//! How far each partition is appended and folded, for those who wait, and which partitions are halted.

use luopan_kernel::id::{PartitionId, Position};
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Most positions of duplicates remembered for callers that ask after waiting.
const DUPLICATES_KEPT: usize = 100_000;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    inner: Mutex<Inner>,
    pub(crate) moved: luopan_store::Signal,
}

#[derive(Debug, Default)]
struct Inner {
    folded: BTreeMap<PartitionId, Position>,
    heads: BTreeMap<PartitionId, Position>,
    halted: BTreeMap<PartitionId, String>,
    duplicates: VecDeque<(PartitionId, Position)>,
    /// What fails again and again, by task.
    failing: BTreeMap<&'static str, String>,
    /// Tasks that died. There may be others of the same name, which work: they take nothing back.
    died: BTreeSet<&'static str>,
}

impl Progress {
    /// A partition is folded up to `to`.
    pub(crate) fn folded(&self, partition: PartitionId, to: Position, duplicates: &[Position]) {
        {
            let mut inner = self.inner.lock();
            let at = inner.folded.entry(partition).or_default();
            *at = (*at).max(to);
            let head = inner.heads.entry(partition).or_default();
            *head = (*head).max(to);
            inner
                .duplicates
                .extend(duplicates.iter().map(|p| (partition, *p)));
            let over = inner.duplicates.len().saturating_sub(DUPLICATES_KEPT);
            inner.duplicates.drain(..over);
        }
        self.moved.notify();
    }

    /// A partition's log is durable up to `head`.
    pub(crate) fn appended(&self, partition: PartitionId, head: Position) {
        let mut inner = self.inner.lock();
        let at = inner.heads.entry(partition).or_default();
        *at = (*at).max(head);
    }

    /// A partition halted.
    pub(crate) fn halted(&self, partition: PartitionId, reason: &str) {
        self.inner
            .lock()
            .halted
            .insert(partition, reason.to_owned());
        self.moved.notify();
    }

    /// A task cannot do its work at present; it tries on.
    pub(crate) fn failing(&self, task: &'static str, why: String) {
        self.inner.lock().failing.insert(task, why);
    }

    /// A task does its work again.
    pub(crate) fn works(&self, task: &'static str) {
        let mut inner = self.inner.lock();
        if !inner.failing.is_empty() {
            inner.failing.remove(task);
        }
    }

    /// A task died of a panic.
    pub(crate) fn died(&self, task: &'static str) {
        self.inner.lock().died.insert(task);
    }

    /// What fails, in words.
    pub(crate) fn failures(&self) -> Vec<String> {
        let inner = self.inner.lock();
        let failing = inner.failing.iter();
        let died = inner.died.iter();
        (failing.map(|(task, why)| format!("{task}: {why}")))
            .chain(died.map(|task| format!("{task}: it died of a panic; restart the program")))
            .collect()
    }

    /// Folded position.
    pub(crate) fn position(&self, partition: PartitionId) -> Position {
        self.inner
            .lock()
            .folded
            .get(&partition)
            .copied()
            .unwrap_or_default()
    }

    /// End of a partition's log, as far as this node knows.
    pub(crate) fn head(&self, partition: PartitionId) -> Position {
        let inner = self.inner.lock();
        inner.heads.get(&partition).copied().unwrap_or_default()
    }

    /// Entries of a partition that are durable and not yet folded.
    pub(crate) fn waiting(&self, partition: PartitionId) -> u64 {
        let inner = self.inner.lock();
        let at = |map: &BTreeMap<PartitionId, Position>| map.get(&partition).map_or(0, |p| p.0);
        at(&inner.heads).saturating_sub(at(&inner.folded))
    }

    /// Why a partition is halted.
    pub(crate) fn halt_of(&self, partition: PartitionId) -> Option<String> {
        self.inner.lock().halted.get(&partition).cloned()
    }

    /// Every halted partition.
    pub(crate) fn halts(&self) -> Vec<(u16, String)> {
        self.inner
            .lock()
            .halted
            .iter()
            .map(|(p, r)| (p.0, r.clone()))
            .collect()
    }

    /// Entries durable and not yet folded, over customer and environment partitions.
    pub(crate) fn lag(&self) -> u64 {
        let inner = self.inner.lock();
        (inner
            .heads
            .iter()
            .filter(|(p, _)| p.0 <= luopan_kernel::ENVIRONMENT_PARTITION))
        .map(|(p, head)| {
            head.0
                .saturating_sub(inner.folded.get(p).map_or(0, |f| f.0))
        })
        .sum()
    }

    /// How many of these positions were dropped as duplicates, as far as remembered.
    pub(crate) fn duplicates_among(
        &self,
        mut has: impl FnMut(PartitionId, Position) -> bool,
    ) -> u64 {
        self.inner
            .lock()
            .duplicates
            .iter()
            .filter(|(p, at)| has(*p, *at))
            .count() as u64
    }
}
