//! The servers of a simulated installation: the memory backend, of which State may lose what was not synced, and which may be
//! made to lie in ways that the checkers must notice ([`Planted`]).

use super::executor::Sim;
use crate::dice::Dice;
use bytes::Bytes;
use futures::FutureExt;
use luopan_kernel::id::{PartitionId, Position};
use luopan_kernel::record::DecisionRecord;
use luopan_store::memory::{MemoryControl, MemoryKeys, MemoryLog, MemoryNodes, MemoryState};
use luopan_store::{
    Append, Appended, Commit, Committed, Conflict, Durability, EventLog, ForeignId, Keys,
    LogMessage, Resolved, Result, State, Table,
};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;

/// A fault in the program or its stores, planted so that the checkers are seen to find it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Planted {
    /// The log acknowledges some messages and keeps nothing of them.
    AppendsLost,
    /// The log turns two events of one message round.
    EventsSwapped,
    /// The log keeps some samples with another reward.
    RewardsChanged,
    /// The log keeps some samples with features of another moment.
    FeaturesChanged,
    /// Nobody is told that a scene is recorded and not announced.
    AnnouncementsForgotten,
    /// Durable commits are acknowledged before they are synced.
    SyncsLie,
    /// State does not compare the position, nor who claims the partition.
    PositionsIgnored,
    /// State does not compare rows.
    RowsIgnored,
    /// State forgets what was spent, compares no budget and has no limit.
    BudgetsIgnored,
    /// State keeps no rows for the relay.
    OutboxLost,
    /// Debits of rehearsals are taken from the live ledger.
    OriginsMixed,
    /// Two nodes get different ids for one customer.
    IdsDisagree,
    /// Records are kept with another choice.
    RecordsChanged,
    /// Records are kept with positions before those that were seen.
    RecordsTooEarly,
    /// Every decision is drawn with the same seed.
    SeedsRepeat,
    /// The log answers with positions before what it appended.
    PositionsBehind,
    /// The log lets go of more than it was asked to, and of more than State reflects.
    TruncatedFurther,
}

impl Planted {
    /// Every one.
    pub const ALL: [Self; 17] = [
        Self::AppendsLost,
        Self::EventsSwapped,
        Self::RewardsChanged,
        Self::FeaturesChanged,
        Self::AnnouncementsForgotten,
        Self::SyncsLie,
        Self::PositionsIgnored,
        Self::RowsIgnored,
        Self::BudgetsIgnored,
        Self::OutboxLost,
        Self::OriginsMixed,
        Self::IdsDisagree,
        Self::RecordsChanged,
        Self::RecordsTooEarly,
        Self::SeedsRepeat,
        Self::PositionsBehind,
        Self::TruncatedFurther,
    ];
}

/// The decisions that a commit records.
fn records(commit: &mut Commit) -> impl Iterator<Item = &mut Bytes> {
    (commit.writes.iter_mut())
        .filter(|w| w.key.table == Table::Decision)
        .filter_map(|w| w.value.as_mut())
}

/// Takes the answer of a call to the memory backend, which never waits.
pub(super) fn now<T>(call: impl Future<Output = Result<T>>) -> Result<T> {
    call.now_or_never().unwrap_or_else(|| {
        Err(luopan_store::Error::Invalid(
            "the memory backend waited".into(),
        ))
    })
}

/// State as it is seen, and as it would be after a loss of power.
struct StateServer {
    seen: MemoryState,
    synced: MemoryState,
    unsynced: Vec<Commit>,
}

/// The servers.
pub struct Servers {
    /// The log.
    pub log: MemoryLog,
    /// All that the log ever held, for the checkers: log retention takes nothing from it.
    pub archive: Arc<MemoryLog>,
    /// The control plane.
    pub control: MemoryControl,
    /// The key store.
    pub keys: MemoryKeys,
    /// Who lives.
    pub nodes: MemoryNodes,
    state: Mutex<StateServer>,
    /// Limits of budgets by name.
    limits: BTreeMap<String, i64>,
    planted: Option<Planted>,
    dice: Mutex<Dice>,
    faults: Mutex<Vec<String>>,
    lost: Mutex<u64>,
}

impl Servers {
    /// Empty servers in a room. `limits` are those of the budgets, which no ledger may pass at any moment.
    pub fn new(
        sim: &Sim,
        seed: u64,
        limits: BTreeMap<String, i64>,
        planted: Option<Planted>,
    ) -> Self {
        let room = sim.clock();
        Self {
            log: MemoryLog::default(),
            archive: Arc::default(),
            control: MemoryControl::default(),
            keys: MemoryKeys::default(),
            nodes: MemoryNodes::with_clock(room),
            state: Mutex::new(StateServer {
                seen: MemoryState::default(),
                synced: MemoryState::default(),
                unsynced: Vec::new(),
            }),
            limits,
            planted,
            dice: Mutex::new(Dice::new(seed, 2)),
            faults: Mutex::default(),
            lost: Mutex::new(0),
        }
    }

    /// What is planted.
    pub fn planted(&self) -> Option<Planted> {
        self.planted
    }

    /// What was seen to be wrong at some moment.
    pub fn faults(&self) -> Vec<String> {
        self.faults.lock().clone()
    }

    /// Commits that losses of power took.
    pub fn lost(&self) -> u64 {
        *self.lost.lock()
    }

    /// True `percent` times in a hundred, for what is planted.
    fn chance(&self, percent: u64) -> bool {
        self.dice.lock().percent(percent)
    }

    /// Asks State as it is seen.
    pub fn state<T>(&self, ask: impl AsyncFnOnce(&MemoryState) -> Result<T>) -> Result<T> {
        now(ask(&self.state.lock().seen))
    }

    /// State loses power: of what was not synced, a part from the front is kept.
    pub fn lose_power(&self) {
        let mut s = self.state.lock();
        let commits = std::mem::take(&mut s.unsynced);
        let kept = self.dice.lock().below(commits.len() as u64 + 1) as usize;
        *self.lost.lock() += (commits.len() - kept) as u64;
        let kept: Vec<Commit> = commits.into_iter().take(kept).collect();
        if let Err(e) = now(s.synced.commit(kept)) {
            self.faults.lock().push(format!("the testbed failed: {e}"));
        }
        s.seen = s.synced.fork();
    }

    /// As [`State::spent`].
    pub fn spent(&self, budgets: &[String]) -> Result<Vec<i64>> {
        match self.planted {
            Some(Planted::BudgetsIgnored) => Ok(vec![0; budgets.len()]),
            _ => self.state(async |s| s.spent(budgets).await),
        }
    }

    /// As [`State::commit`].
    pub fn commit(
        &self,
        commits: Vec<Commit>,
    ) -> Result<Vec<std::result::Result<Committed, Conflict>>> {
        let mut s = self.state.lock();
        let mut out = Vec::with_capacity(commits.len());
        for commit in commits {
            let commit = self.spoil(&s.seen, commit)?;
            let answer = now(s.seen.commit(vec![commit.clone()]))?;
            let took = matches!(answer.first(), Some(Ok(_)));
            out.extend(answer);
            if !took {
                continue;
            }
            let durable = commit.durability == Durability::Durable;
            // A fold gives back what was not sent, and takes it again when a receipt comes later still.
            let spends = commit.advance.is_none() && commit.budgets.iter().any(|b| b.amount > 0);
            let spent_on: Vec<String> = (commit.budgets.iter()).map(|b| b.budget.clone()).collect();
            // What took effect is done again on the synced side, where it cannot conflict.
            s.unsynced.push(commit);
            if durable && self.planted != Some(Planted::SyncsLie) {
                let unsynced = std::mem::take(&mut s.unsynced);
                for again in now(s.synced.commit(unsynced))? {
                    if let Err(e) = again {
                        self.faults.lock().push(format!("the testbed failed: {e}"));
                    }
                }
            }
            if spends {
                let spent = now(s.seen.spent(&spent_on))?;
                self.within_limits(spent_on.into_iter().zip(spent));
            }
        }
        Ok(out)
    }

    /// No decision takes a ledger over its limit, at any moment.
    fn within_limits(&self, ledgers: impl Iterator<Item = (String, i64)>) {
        for (name, spent) in ledgers {
            let budget = name.split('/').nth(1).unwrap_or_default();
            let limit = self.limits.get(budget).copied().unwrap_or_default();
            if spent < 0 || spent > limit {
                let fault = format!("no budget is exceeded: {name}: {spent} of {limit} is spent");
                let mut faults = self.faults.lock();
                if !faults.contains(&fault) {
                    faults.push(fault);
                }
            }
        }
    }

    /// A commit as a State with the planted fault takes it.
    fn spoil(&self, seen: &MemoryState, mut commit: Commit) -> Result<Commit> {
        match self.planted {
            Some(Planted::PositionsIgnored) => {
                if let Some(a) = &mut commit.advance {
                    a.from = now(seen.positions(&[a.partition]))?[0];
                    a.to = a.to.max(a.from);
                    commit.expect.clear();
                }
            }
            Some(Planted::RowsIgnored) if commit.advance.is_none() => commit.expect.clear(),
            Some(Planted::BudgetsIgnored) => {
                commit.checks.clear();
                for change in &mut commit.budgets {
                    change.limit = i64::MAX / 2;
                }
            }
            Some(Planted::OutboxLost) => {
                (commit.writes).retain(|w| w.key.table != Table::Outbox || w.value.is_none());
            }
            Some(Planted::OriginsMixed) => {
                for change in &mut commit.budgets {
                    if let Some((_, live)) = change.budget.split_once(':') {
                        change.budget = live.to_owned();
                    }
                }
            }
            Some(Planted::RecordsChanged) => {
                for value in records(&mut commit) {
                    let text = String::from_utf8_lossy(value);
                    let other = text.replace("\"item\":\"gift\"", "\"item\":\"coupon\"");
                    *value = other.into();
                }
            }
            Some(Planted::RecordsTooEarly) => {
                for value in records(&mut commit) {
                    let mut record = DecisionRecord::decode(value)
                        .map_err(|e| luopan_store::Error::Invalid(e.to_string()))?;
                    for (_, at) in &mut record.positions {
                        at.0 = at.0.saturating_sub(2);
                    }
                    *value = record.encode().into();
                }
            }
            _ => {}
        }
        Ok(commit)
    }

    /// As [`EventLog::append`].
    pub fn append(&self, mut batch: Vec<Append>) -> Result<Vec<Appended>> {
        match self.planted {
            Some(Planted::AppendsLost) if batch.iter().any(told) && self.chance(5) => {
                let partitions: Vec<_> = batch.iter().map(|a| a.partition).collect();
                let heads = now(self.log.heads(&partitions))?;
                return Ok((batch.iter().zip(heads))
                    .map(|(a, head)| Appended {
                        partition: a.partition,
                        first: Position(head.0.saturating_sub(u64::from(a.count))),
                        end: head,
                    })
                    .collect());
            }
            Some(Planted::EventsSwapped) => {
                for a in &mut batch {
                    super::spoil::swap(a);
                }
            }
            Some(Planted::RewardsChanged) => {
                for a in &mut batch {
                    if self.chance(10) {
                        super::spoil::reward(a);
                    }
                }
            }
            Some(Planted::FeaturesChanged) => {
                for a in &mut batch {
                    if self.chance(10) {
                        super::spoil::features(a);
                    }
                }
            }
            _ => {}
        }
        now(self.archive.append(batch.clone()))?;
        let mut landed = now(self.log.append(batch))?;
        if self.planted == Some(Planted::PositionsBehind) {
            for a in &mut landed {
                a.end = a.first;
            }
        }
        Ok(landed)
    }

    /// As [`EventLog::read`].
    pub fn read(
        &self,
        partition: PartitionId,
        from: Position,
        bytes_max: usize,
    ) -> Result<Vec<LogMessage>> {
        now(self.log.read(partition, from, bytes_max))
    }

    /// As [`EventLog::heads`].
    pub fn heads(&self, partitions: &[PartitionId]) -> Result<Vec<Position>> {
        now(self.log.heads(partitions))
    }

    /// As [`EventLog::latest`].
    pub fn latest(&self) -> Result<Vec<(PartitionId, Position)>> {
        now(self.log.latest())
    }

    /// As [`EventLog::begins`].
    pub fn begins(&self, partitions: &[PartitionId]) -> Result<Vec<Position>> {
        now(self.log.begins(partitions))
    }

    /// As [`EventLog::truncate`].
    pub fn truncate(&self, to: &[(PartitionId, Position)]) -> Result<Vec<Position>> {
        if self.planted == Some(Planted::TruncatedFurther) {
            let partitions: Vec<_> = to.iter().map(|(p, _)| *p).collect();
            let heads = now(self.log.heads(&partitions))?;
            let further: Vec<_> = partitions.into_iter().zip(heads).collect();
            return now(self.log.truncate(&further));
        }
        now(self.log.truncate(to))
    }

    /// As [`EventLog::start`].
    pub fn start(&self, at: &[(PartitionId, Position)]) -> Result<()> {
        now(self.log.start(at))
    }

    /// As [`EventLog::partitions`].
    pub fn partitions(&self) -> Result<Vec<PartitionId>> {
        now(self.log.partitions())
    }

    /// As [`Keys::resolve_or_create`].
    pub fn ids(
        &self,
        foreign: &[ForeignId],
        fresh: &[luopan_kernel::id::IdentifierId],
    ) -> Result<Vec<Resolved>> {
        if self.planted == Some(Planted::IdsDisagree) && self.chance(10) {
            return Ok((fresh.iter())
                .map(|id| Resolved {
                    id: *id,
                    created: true,
                })
                .collect());
        }
        now(self.keys.resolve_or_create(foreign, fresh))
    }
}

/// True for messages of customers, not of the environment or a learner.
fn told(a: &Append) -> bool {
    a.partition.0 < luopan_kernel::PARTITIONS
}
