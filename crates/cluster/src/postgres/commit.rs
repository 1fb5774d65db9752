//! Commits of State: one group of calls is one transaction, as the room's description says.
//!
//! What is decided here follows the memory backend to the letter; the suites compare them.

use super::connection::{Fault, Pool, pause};
use super::count::add;
use super::gather::Handler;
use super::locks::Locks;
use super::statement::{Argument, Statement};
use super::text::{Part, Texts};
use super::unavailable;
use luopan_kernel::id::{PartitionId, Position};
use luopan_store::budget::{self, Rows};
use luopan_store::{Commit, Committed, Conflict, Result, RowKey, Table};
use sha2::{Digest, Sha256};
use sqlx::Row;
use sqlx::postgres::PgRow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio::sync::oneshot;

/// How often a transaction is tried of which it is certain that it did not take effect.
pub const COMMIT_ATTEMPTS_MAX: u32 = 4;
/// A statement that writes takes no further row when it holds this many bytes; the rest goes into another of the same transaction.
pub const STATEMENT_BYTES_MAX: usize = 64 << 20;

const STORE: &str = "state";
const TRIED: &str = "commit";

/// What became of a commit.
pub(crate) type Outcome = std::result::Result<Committed, Conflict>;

/// The first 16 bytes of a value's SHA-256.
type Short = [u8; 16];

/// One call.
pub(crate) struct Job {
    pub(crate) commits: Vec<Commit>,
    pub(crate) answer: oneshot::Sender<Result<Vec<Outcome>>>,
}

/// What the workers of a lane share.
pub(crate) struct Writer {
    pub(crate) pool: Pool,
    pub(crate) texts: Arc<Texts>,
    pub(crate) locks: Locks,
}

impl Handler for Writer {
    type Job = Job;

    fn bytes(job: &Job) -> usize {
        let bytes = |c: &Commit| {
            let writes = c
                .writes
                .iter()
                .map(|w| w.key.key.len() + w.value.as_ref().map_or(0, bytes::Bytes::len) + 64);
            writes.sum::<usize>() + 128 * (c.expect.len() + c.checks.len() + c.budgets.len() + 1)
        };
        job.commits.iter().map(bytes).sum()
    }

    async fn group(&self, jobs: Vec<Job>) {
        let (commits, answers): (Vec<Vec<Commit>>, Vec<_>) =
            jobs.into_iter().map(|j| (j.commits, j.answer)).unzip();
        match self.run(&commits).await {
            Ok(outcomes) => {
                let mut outcomes = outcomes.into_iter();
                for (commits, answer) in commits.iter().zip(answers) {
                    let mine = outcomes.by_ref().take(commits.len()).collect();
                    // A caller that has gone away needs no answer.
                    let _ = answer.send(Ok(mine));
                }
            }
            Err(fault) => {
                tracing::error!(store = STORE, cause = %fault.cause, "a group of commits failed");
                for answer in answers {
                    let _ = answer.send(Err(unavailable(STORE, TRIED, &fault.cause)));
                }
            }
        }
    }
}

/// A transaction that failed.
struct Failed {
    fault: Fault,
    /// True when `COMMIT` was sent: it may have taken effect.
    is_unknown: bool,
}

impl From<Fault> for Failed {
    fn from(fault: Fault) -> Self {
        Self {
            fault,
            is_unknown: false,
        }
    }
}

impl Writer {
    /// Runs the calls in order, as one transaction. Nothing is known of any when it fails.
    async fn run(&self, calls: &[Vec<Commit>]) -> std::result::Result<Vec<Outcome>, Fault> {
        let plan = Plan::of(calls);
        let mut attempt = 1;
        loop {
            let Failed {
                mut fault,
                is_unknown,
            } = match self.attempt(calls, &plan).await {
                Ok(outcomes) => {
                    let conflicts = outcomes.iter().filter(|o| o.is_err()).count();
                    add(&self.pool.counters.commits, outcomes.len() as u64);
                    add(&self.pool.counters.conflicts, conflicts as u64);
                    return Ok(outcomes);
                }
                Err(failed) => failed,
            };
            if is_unknown {
                fault
                    .cause
                    .push_str("; it was being committed and may have taken effect");
                return Err(fault);
            }
            if !fault.is_passing || attempt == COMMIT_ATTEMPTS_MAX {
                return Err(fault);
            }
            add(&self.pool.counters.retries, 1);
            tracing::warn!(store = STORE, cause = %fault.cause, "a transaction is tried again");
            tokio::time::sleep(pause(attempt)).await;
            attempt += 1;
        }
    }

    async fn attempt(
        &self,
        calls: &[Vec<Commit>],
        plan: &Plan<'_>,
    ) -> std::result::Result<Vec<Outcome>, Failed> {
        let mut lease = self.pool.lease().await?;
        add(&self.pool.counters.transactions, 1);
        let begin = self.locks.begin(plan.locks.iter().copied());
        let seen = match plan.look(&self.texts) {
            None => {
                lease.simple(begin, 2).await?;
                Seen::default()
            }
            Some(look) if look.is_small() => {
                let name = lease.named(&look.text).await?;
                let rows = lease.said(format!("{begin}; {}", look.said(&name)), 3);
                plan.seen(&rows.await?)?
            }
            Some(look) => {
                lease.simple(begin, 2).await?;
                plan.seen(&lease.rows(look.query()).await?)?
            }
        };
        let mut run = Run::new(plan, &seen);
        let outcomes: Vec<Outcome> = calls.iter().flatten().map(|c| run.commit(c)).collect();
        let mut end = (String::from("COMMIT"), 1);
        for write in run.writes() {
            let write = write.statement(&self.texts);
            if end.1 == 1 && write.is_small() {
                let name = lease.named(&write.text).await?;
                end = (format!("{}; COMMIT", write.said(&name)), 2);
            } else {
                lease.execute(write.query()).await?;
            }
        }
        lease
            .last(end.0, end.1)
            .await
            .map_err(|(fault, is_unknown)| Failed { fault, is_unknown })?;
        lease.done();
        Ok(outcomes)
    }
}

/// What a transaction locks and reads, known before it begins.
struct Plan<'a> {
    locks: BTreeSet<i32>,
    /// Partitions whose positions are compared.
    partitions: BTreeSet<PartitionId>,
    /// Expected rows, ascending.
    expected: Vec<&'a RowKey>,
    /// Budgets checked or changed, ascending.
    budgets: Vec<&'a str>,
}

impl<'a> Plan<'a> {
    fn of(calls: &'a [Vec<Commit>]) -> Self {
        let mut plan = Self {
            locks: BTreeSet::new(),
            partitions: BTreeSet::new(),
            expected: Vec::new(),
            budgets: Vec::new(),
        };
        for c in calls.iter().flatten() {
            if let Some(a) = c.advance {
                plan.partitions.insert(a.partition);
                plan.locks.insert(Locks::partition(a.partition));
            }
            for e in &c.expect {
                plan.expected.push(&e.key);
                plan.locks.insert(Locks::partition(e.key.partition));
            }
            for w in &c.writes {
                plan.locks.insert(Locks::partition(w.key.partition));
            }
            plan.budgets
                .extend(c.checks.iter().map(|b| b.budget.as_str()));
            plan.budgets
                .extend(c.budgets.iter().map(|b| b.budget.as_str()));
        }
        plan.expected.sort_unstable();
        plan.expected.dedup();
        plan.budgets.sort_unstable();
        plan.budgets.dedup();
        plan.locks
            .extend(plan.budgets.iter().map(|b| Locks::budget(b)));
        plan
    }

    /// The statement that reads positions, budgets and digests; none when nothing is to be read.
    fn look(&self, texts: &Texts) -> Option<Statement<'a>> {
        if self.partitions.is_empty() && self.expected.is_empty() && self.budgets.is_empty() {
            return None;
        }
        let chunks = || self.expected.chunk_by(|a, b| a.table == b.table);
        let tables: Vec<Table> = chunks().map(|keys| keys[0].table).collect();
        let budgets: Vec<&[u8]> = self.budgets.iter().map(|b| b.as_bytes()).collect();
        let mut arguments = vec![
            Argument::Ints(self.partitions.iter().map(|p| i32::from(p.0)).collect()),
            Argument::Ints(numbered(0, budgets.len())),
            Argument::Bytes(budgets),
        ];
        let mut first = 0;
        for keys in chunks() {
            arguments.push(Argument::Ints(numbered(first, keys.len())));
            arguments.push(partitions_of(keys));
            arguments.push(keys_of(keys));
            first += keys.len();
        }
        let text = texts.look(&tables);
        Some(Statement { text, arguments })
    }

    /// What that statement found.
    fn seen(&self, rows: &[PgRow]) -> std::result::Result<Seen, Fault> {
        let mut seen = Seen {
            positions: BTreeMap::new(),
            digests: vec![None; self.expected.len()],
            budgets: vec![Rows::new(); self.budgets.len()],
        };
        for row in rows {
            self.take(row, &mut seen).map_err(|cause| Fault {
                cause,
                is_passing: false,
            })?;
        }
        Ok(seen)
    }

    fn take(&self, row: &PgRow, seen: &mut Seen) -> std::result::Result<(), String> {
        let wrong = |e: sqlx::Error| e.to_string();
        let kind: i32 = row.try_get(0).map_err(wrong)?;
        // What took the locks.
        if kind < 0 {
            return Ok(());
        }
        let which: i32 = row.try_get(1).map_err(wrong)?;
        let at = usize::try_from(which).map_err(|e| e.to_string())?;
        let missing = || format!("a row of kind {kind} was not asked for: {which}");
        match kind {
            0 => {
                let entries: i64 = row.try_get(3).map_err(wrong)?;
                let partition = u16::try_from(which).map_err(|e| e.to_string())?;
                let entries = u64::try_from(entries).map_err(|e| e.to_string())?;
                seen.positions
                    .insert(PartitionId(partition), Position(entries));
            }
            1 => {
                let share: i32 = row.try_get(2).map_err(wrong)?;
                let share = u16::try_from(share).map_err(|e| e.to_string())?;
                let spent: i64 = row.try_get(3).map_err(wrong)?;
                let rows = seen.budgets.get_mut(at).ok_or_else(missing)?;
                rows.insert(share, spent);
            }
            _ => {
                let digest: Vec<u8> = row.try_get(4).map_err(wrong)?;
                let digest = Short::try_from(&digest[..]).map_err(|_| {
                    format!("a digest of 16 bytes is wanted, found {}", digest.len())
                })?;
                *seen.digests.get_mut(at).ok_or_else(missing)? = Some(digest);
            }
        }
        Ok(())
    }
}

/// The numbers from `first` on.
pub(crate) fn numbered(first: usize, count: usize) -> Vec<i32> {
    let first = i32::try_from(first).unwrap_or(i32::MAX);
    (first..).take(count).collect()
}

/// What was read, beside the plan.
#[derive(Debug, Default)]
struct Seen {
    positions: BTreeMap<PartitionId, Position>,
    digests: Vec<Option<Short>>,
    budgets: Vec<Rows>,
}

/// Decides commits one after another, each on what those before it left.
struct Run<'a> {
    plan: &'a Plan<'a>,
    seen: &'a Seen,
    positions: BTreeMap<PartitionId, Position>,
    rows: BTreeMap<&'a RowKey, Option<&'a bytes::Bytes>>,
    /// Budgets that a commit changed, by their index in the plan.
    budgets: BTreeMap<usize, Rows>,
}

impl<'a> Run<'a> {
    fn new(plan: &'a Plan<'a>, seen: &'a Seen) -> Self {
        Self {
            plan,
            seen,
            positions: BTreeMap::new(),
            rows: BTreeMap::new(),
            budgets: BTreeMap::new(),
        }
    }

    fn position(&self, partition: PartitionId) -> Position {
        let changed = self.positions.get(&partition);
        let found = changed.or_else(|| self.seen.positions.get(&partition));
        found.copied().unwrap_or_default()
    }

    fn is_as_expected(&self, key: &RowKey, wanted: Option<&bytes::Bytes>) -> bool {
        if let Some(found) = self.rows.get(key) {
            return *found == wanted;
        }
        let at = self.plan.expected.binary_search(&key);
        let found = at
            .ok()
            .and_then(|i| self.seen.digests.get(i).copied())
            .flatten();
        found == wanted.map(|v| short(v))
    }

    /// The budget's index in the plan.
    fn budget(&self, name: &str) -> usize {
        let at = self.plan.budgets.binary_search(&name);
        at.unwrap_or(usize::MAX)
    }

    fn shares(&self, at: usize) -> Option<&Rows> {
        self.budgets.get(&at).or_else(|| self.seen.budgets.get(at))
    }

    fn commit(&mut self, commit: &'a Commit) -> Outcome {
        if let Some(a) = commit.advance {
            let found = self.position(a.partition);
            if found != a.from {
                return Err(Conflict::Position {
                    partition: a.partition,
                    expected: a.from,
                    found,
                });
            }
        }
        for e in &commit.expect {
            if !self.is_as_expected(&e.key, e.value.as_ref()) {
                return Err(Conflict::Changed { key: e.key.clone() });
            }
        }
        for c in &commit.checks {
            let spent = self.shares(self.budget(&c.budget)).map_or(0, budget::total);
            if !budget::holds(c, spent) {
                return Err(Conflict::Budget {
                    budget: c.budget.clone(),
                });
            }
        }
        let mut changed: BTreeMap<usize, Rows> = BTreeMap::new();
        for change in &commit.budgets {
            let at = self.budget(&change.budget);
            let rows = changed
                .entry(at)
                .or_insert_with(|| self.shares(at).cloned().unwrap_or_default());
            if !budget::apply(rows, change) {
                return Err(Conflict::Budget {
                    budget: change.budget.clone(),
                });
            }
        }
        self.budgets.append(&mut changed);
        if let Some(a) = commit.advance {
            self.positions.insert(a.partition, a.to);
        }
        for w in &commit.writes {
            self.rows.insert(&w.key, w.value.as_ref());
        }
        Ok(Committed)
    }

    /// The statements that write what the commits left, in general one.
    fn writes(&self) -> Vec<WriteStatement<'a>> {
        let mut out = vec![WriteStatement::default()];
        let positions = (self.positions.iter())
            .filter(|(p, to)| self.seen.positions.get(p) != Some(to))
            .map(|(p, to)| (i32::from(p.0), i64::try_from(to.0).unwrap_or(i64::MAX)));
        let budgets = self.budgets.iter().flat_map(|(at, rows)| {
            let name = self.plan.budgets.get(*at).map_or(&[][..], |b| b.as_bytes());
            let before = self.seen.budgets.get(*at);
            let differs = move |(share, spent): &(&u16, &i64)| {
                before.and_then(|b| b.get(share)) != Some(*spent)
            };
            let rows = rows.iter().filter(differs);
            rows.map(move |(share, spent)| (name, i32::from(*share), *spent))
        });
        let first = &mut out[0];
        first.positions.extend(positions);
        first.budgets.extend(budgets);
        for (key, value) in &self.rows {
            let bytes = key.key.len() + value.map_or(0, bytes::Bytes::len) + 64;
            if out
                .last()
                .is_some_and(|s| s.bytes > 0 && s.bytes + bytes > STATEMENT_BYTES_MAX)
            {
                out.push(WriteStatement::default());
            }
            if let Some(statement) = out.last_mut() {
                statement.bytes += bytes;
                statement.rows.push((key, *value));
            }
        }
        out.retain(|s| !s.is_empty());
        out
    }
}

/// One statement that writes: rows ascend by table, partition and key.
#[derive(Debug, Default)]
struct WriteStatement<'a> {
    positions: Vec<(i32, i64)>,
    budgets: Vec<(&'a [u8], i32, i64)>,
    rows: Vec<(&'a RowKey, Option<&'a bytes::Bytes>)>,
    bytes: usize,
}

impl<'a> WriteStatement<'a> {
    fn is_empty(&self) -> bool {
        self.positions.is_empty() && self.budgets.is_empty() && self.rows.is_empty()
    }

    fn statement(&self, texts: &Texts) -> Statement<'a> {
        let mut puts: Vec<(&RowKey, &bytes::Bytes)> = Vec::new();
        let mut deletes: Vec<&RowKey> = Vec::new();
        for (key, value) in &self.rows {
            match value {
                Some(value) => puts.push((key, value)),
                None => deletes.push(key),
            }
        }
        let (mut parts, mut arguments) = (Vec::new(), Vec::new());
        if !self.positions.is_empty() {
            let (partitions, entries) = self.positions.iter().copied().unzip();
            parts.push(Part::Positions);
            arguments.extend([Argument::Ints(partitions), Argument::Longs(entries)]);
        }
        if !self.budgets.is_empty() {
            parts.push(Part::Budgets);
            arguments.extend([
                Argument::Bytes(self.budgets.iter().map(|b| b.0).collect()),
                Argument::Ints(self.budgets.iter().map(|b| b.1).collect()),
                Argument::Longs(self.budgets.iter().map(|b| b.2).collect()),
            ]);
        }
        for rows in puts.chunk_by(|a, b| a.0.table == b.0.table) {
            let keys: Vec<&RowKey> = rows.iter().map(|r| r.0).collect();
            parts.push(Part::Put(keys[0].table));
            arguments.extend([
                partitions_of(&keys),
                keys_of(&keys),
                Argument::Bytes(rows.iter().map(|r| &r.1[..]).collect()),
                Argument::Shorts(rows.iter().map(|r| short(r.1)).collect()),
            ]);
        }
        for keys in deletes.chunk_by(|a, b| a.table == b.table) {
            parts.push(Part::Delete(keys[0].table));
            arguments.extend([partitions_of(keys), keys_of(keys)]);
        }
        let text = texts.write(&parts);
        Statement { text, arguments }
    }
}

fn partitions_of(keys: &[&RowKey]) -> Argument<'static> {
    Argument::Ints(keys.iter().map(|k| i32::from(k.partition.0)).collect())
}

fn keys_of<'a>(keys: &[&'a RowKey]) -> Argument<'a> {
    Argument::Bytes(keys.iter().map(|k| &k.key[..]).collect())
}

/// The digest of a value.
fn short(value: &[u8]) -> Short {
    let whole = Sha256::digest(value);
    let mut out = Short::default();
    out.copy_from_slice(&whole[..16]);
    out
}
