//! The fjall database of log and state, and the one committer that writes it.
//!
//! A group of appends and commits becomes one atomic batch, synced once when any of it must be durable; nothing of it is seen by
//! a reader before that. The journal keeps the order of groups, so a durable group makes all before it durable.

use crate::committer::{Committer, Handler};
use crate::folder::{Folder, bear_mark, from_fjall, unavailable};
use crate::journal::SYNC_KEY;
use crate::state::encode;
use crate::{Options, journal, layout, log, tail};
use fjall::{Database, Keyspace, PersistMode, UserKey, UserValue};
use luopan_kernel::id::{PartitionId, Position};
use luopan_store::budget::{self, Rows};
use luopan_store::heads::Heads;
use luopan_store::{
    Append, Appended, Commit, Committed, Conflict, Durability, Error, LogMessage, Result, Table,
};
use parking_lot::RwLock;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, OnceLock};
use tokio::sync::oneshot;

const STORE: &str = "log and state";
/// First byte of the rows that hold positions, in the keyspace of rows; tables start at 1.
const POSITION: u8 = 0;
/// First byte of the rows that hold where partitions of the log begin, where that is not 0.
const BEGIN: u8 = 252;
/// Most messages removed from the log at once.
const FORGOTTEN_AT_ONCE: usize = 4_096;
/// First byte of the rows that hold what is spent of a budget.
const BUDGET: u8 = 255;

/// What one caller wants.
pub(crate) enum Job {
    /// Append all to the log.
    Append {
        batch: Vec<Append>,
        answer: oneshot::Sender<Result<Vec<Appended>>>,
    },
    /// Run each.
    Commit {
        commits: Vec<Commit>,
        answer: oneshot::Sender<Result<Vec<Outcome>>>,
    },
    /// Partitions of the log begin here from now on: those that held something, or with `is_start` those that never did.
    Begin {
        at: Vec<(PartitionId, Position)>,
        is_start: bool,
        answer: oneshot::Sender<Result<()>>,
    },
    /// Remove some of the messages below where the partition begins; the answer says whether there may be more.
    Forget {
        partition: PartitionId,
        answer: oneshot::Sender<Result<bool>>,
    },
    /// Look at everything between two groups.
    Moment {
        answer: oneshot::Sender<Result<Look>>,
    },
}

/// What stood there between two groups: rows, heads of the log, positions and budgets.
pub(crate) type Look = (fjall::Snapshot, Vec<(PartitionId, Position)>, Seen);

type Outcome = std::result::Result<Committed, Conflict>;

/// Positions and budgets as of the last group written.
#[derive(Debug, Default, Clone)]
pub(crate) struct Seen {
    pub(crate) positions: BTreeMap<PartitionId, Position>,
    pub(crate) budgets: BTreeMap<String, Rows>,
}

/// The database as readers see it, and the way to the committer.
pub(crate) struct Main {
    // Dropped first, so that the thread has ended before the database closes.
    pub(crate) committer: Committer<Job>,
    /// Why nothing is written any more, when that is so.
    pub(crate) broken: Arc<OnceLock<String>>,
    pub(crate) heads: Arc<Heads>,
    pub(crate) tail: Arc<tail::Tail>,
    pub(crate) seen: Arc<RwLock<Seen>>,
    pub(crate) log: Keyspace,
    tables: Tables,
    pub(crate) db: Database,
    _folder: Arc<Folder>,
}

impl Main {
    pub(crate) fn open(folder: &Arc<Folder>, options: &Options) -> Result<Arc<Self>> {
        let path = folder.join("main");
        journal::mend(STORE, &path)?;
        let failed = |e| from_fjall(STORE, "open", e);
        let db = layout::database(&path, options.cache_bytes, options.workers).map_err(failed)?;
        let log = layout::log(&db).map_err(failed)?;
        let tables = Tables::open(&db).map_err(failed)?;
        layout::sync_names(&path).map_err(|e| unavailable(STORE, "sync its folders", e))?;
        bear_mark(folder, STORE, &db, &tables.rows)?;
        let mut heads = log::heads(&log)?;
        let begins = tables.load_begins()?;
        for (partition, begin) in &begins {
            let head = heads.entry(*partition).or_default();
            *head = (*head).max(*begin);
            remove_below(&db, &log, *partition, *begin)?;
        }
        let seen = tables.load()?;
        for (partition, at) in &seen.positions {
            let head = heads.get(partition).copied().unwrap_or_default();
            if *at > head {
                return Err(Error::Corrupt {
                    store: STORE,
                    at: format!("partition {}", partition.0),
                    cause: format!(
                        "state reflects the log up to {}, the log ends at {}; restore both from one backup",
                        at.0, head.0
                    ),
                });
            }
        }
        let sync = tables.load_sync()?;
        let begin = |p| begins.get(p).copied().unwrap_or_default();
        let shown = heads.iter().map(|(p, head)| (*p, begin(p), *head));
        let shown = Arc::new(Heads::between(shown));
        let tail = Arc::new(tail::Tail::new(options.tail_bytes));
        let broken = Arc::new(OnceLock::new());
        let writer = Writer {
            db: db.clone(),
            log: log.clone(),
            tables: tables.clone(),
            heads,
            seen: seen.clone(),
            shown_heads: Arc::clone(&shown),
            shown: Arc::new(RwLock::new(seen)),
            tail: Arc::clone(&tail),
            sync,
            broken: Arc::clone(&broken),
        };
        let seen = Arc::clone(&writer.shown);
        Ok(Arc::new(Self {
            broken,
            committer: Committer::start(STORE, writer)?,
            heads: shown,
            tail,
            seen,
            log,
            tables,
            db,
            _folder: Arc::clone(folder),
        }))
    }

    /// The keyspace that holds a table.
    pub(crate) fn table(&self, table: Table) -> &Keyspace {
        self.tables.of(table)
    }
}

/// Keyspaces of State.
#[derive(Clone)]
struct Tables {
    profiles: Keyspace,
    records: Keyspace,
    rows: Keyspace,
}

impl Tables {
    fn open(db: &Database) -> fjall::Result<Self> {
        Ok(Self {
            profiles: layout::profiles(db)?,
            records: layout::records(db)?,
            rows: layout::rows(db)?,
        })
    }

    fn of(&self, table: Table) -> &Keyspace {
        match table {
            Table::Profile => &self.profiles,
            Table::Decision | Table::Quarantine | Table::Checkpoint | Table::Outbox => {
                &self.records
            }
            _ => &self.rows,
        }
    }

    /// Positions and budgets as stored.
    fn load(&self) -> Result<Seen> {
        let mut seen = Seen::default();
        for first in [POSITION, BUDGET] {
            for guard in self.rows.prefix([first]) {
                let (key, value) = guard
                    .into_inner()
                    .map_err(|e| from_fjall(STORE, "read positions and budgets", e))?;
                let corrupt = || Error::Corrupt {
                    store: STORE,
                    at: format!("row {:02x?}", &key[..]),
                    cause: "a position or budget row has another shape".to_owned(),
                };
                let number = <[u8; 8]>::try_from(&value[..]).map_err(|_| corrupt())?;
                let name = &key[1..];
                if first == POSITION {
                    let partition = <[u8; 2]>::try_from(name).map_err(|_| corrupt())?;
                    seen.positions.insert(
                        PartitionId(u16::from_be_bytes(partition)),
                        Position(u64::from_be_bytes(number)),
                    );
                } else {
                    let (name, row) = name.split_last_chunk::<2>().ok_or_else(corrupt)?;
                    let name = String::from_utf8(name.to_vec()).map_err(|_| corrupt())?;
                    seen.budgets
                        .entry(name)
                        .or_default()
                        .insert(u16::from_be_bytes(*row), i64::from_be_bytes(number));
                }
            }
        }
        Ok(seen)
    }

    /// Where partitions of the log begin, where that is not 0.
    fn load_begins(&self) -> Result<BTreeMap<PartitionId, Position>> {
        let mut out = BTreeMap::new();
        for guard in self.rows.prefix([BEGIN]) {
            let (key, value) = guard
                .into_inner()
                .map_err(|e| from_fjall(STORE, "read where the log begins", e))?;
            let partition = key.get(1..).and_then(|p| <[u8; 2]>::try_from(p).ok());
            let begin = <[u8; 8]>::try_from(&value[..]).ok();
            let (Some(partition), Some(begin)) = (partition, begin) else {
                return Err(Error::Corrupt {
                    store: STORE,
                    at: format!("row {:02x?}", &key[..]),
                    cause: "a row of where the log begins has another shape".to_owned(),
                });
            };
            let begin = Position(u64::from_be_bytes(begin));
            out.insert(PartitionId(u16::from_be_bytes(partition)), begin);
        }
        Ok(out)
    }

    /// Number of the last durable group.
    fn load_sync(&self) -> Result<u64> {
        let found = self
            .rows
            .get(SYNC_KEY)
            .map_err(|e| from_fjall(STORE, "read the group number", e))?;
        Ok(found
            .and_then(|v| <[u8; 8]>::try_from(&v[..]).ok())
            .map_or(0, u64::from_be_bytes))
    }
}

/// Removes all messages below a position: what a truncation that was cut off left.
fn remove_below(
    db: &Database,
    log: &Keyspace,
    partition: PartitionId,
    begin: Position,
) -> Result<()> {
    while remove_some_below(db, log, partition, begin)? {}
    Ok(())
}

/// Removes some messages below a position; whether there may be more. Nothing waits for it to be synced: nobody reads there.
fn remove_some_below(
    db: &Database,
    log: &Keyspace,
    partition: PartitionId,
    begin: Position,
) -> Result<bool> {
    let keys = log::below(log, partition, begin, FORGOTTEN_AT_ONCE)?;
    if keys.is_empty() {
        return Ok(false);
    }
    let mut batch = db.batch().durability(Some(PersistMode::Buffer));
    let more = keys.len() == FORGOTTEN_AT_ONCE;
    for key in keys {
        batch.remove(log, key);
    }
    batch
        .commit()
        .map_err(|e| from_fjall(STORE, "remove messages that were let go", e))?;
    Ok(more)
}

/// What the committer's thread owns.
struct Writer {
    db: Database,
    log: Keyspace,
    tables: Tables,
    /// Heads with the group that is being put together.
    heads: BTreeMap<PartitionId, Position>,
    /// Positions and budgets with the group that is being put together.
    seen: Seen,
    shown_heads: Arc<Heads>,
    shown: Arc<RwLock<Seen>>,
    tail: Arc<tail::Tail>,
    sync: u64,
    /// Why nothing more can be written: after a failed write the memory here may say more than the disk.
    broken: Arc<OnceLock<String>>,
}

/// What a group has gathered.
#[derive(Default)]
struct Group {
    messages: Vec<(PartitionId, LogMessage)>,
    appended: Vec<Appended>,
    /// Rows as the group leaves them, so that a later commit sees an earlier one's and each is written once.
    rows: HashMap<(Table, UserKey), Option<UserValue>>,
    positions: BTreeSet<PartitionId>,
    budgets: BTreeMap<String, BTreeSet<u16>>,
    begins: BTreeMap<PartitionId, Position>,
    durable: bool,
    is_changed: bool,
}

/// An answer held back until the group is written.
enum Held {
    Append(oneshot::Sender<Result<Vec<Appended>>>, Vec<Appended>),
    Commit(oneshot::Sender<Result<Vec<Outcome>>>, Result<Vec<Outcome>>),
    Begin(oneshot::Sender<Result<()>>, Result<()>),
    Forget(oneshot::Sender<Result<bool>>, PartitionId),
    Moment(oneshot::Sender<Result<Look>>),
}

impl Handler for Writer {
    type Job = Job;

    fn bytes(job: &Job) -> usize {
        match job {
            Job::Append { batch, .. } => batch.iter().map(|a| a.message.len() + 32).sum(),
            Job::Commit { commits, .. } => commits
                .iter()
                .flat_map(|c| &c.writes)
                .map(|w| w.key.key.len() + w.value.as_ref().map_or(0, bytes::Bytes::len) + 32)
                .sum(),
            Job::Begin { .. } | Job::Forget { .. } | Job::Moment { .. } => 0,
        }
    }

    fn group(&mut self, jobs: &mut Vec<Job>) {
        let mut group = Group::default();
        let mut held = Vec::with_capacity(jobs.len());
        for job in jobs.drain(..) {
            held.push(match job {
                Job::Append { batch, answer } => {
                    let appended = self.append(batch, &mut group);
                    Held::Append(answer, appended)
                }
                Job::Commit { commits, answer } => {
                    let out = self.ahead_of_log(&commits).and_then(|()| {
                        let run = commits.into_iter().map(|c| self.commit(c, &mut group));
                        run.collect()
                    });
                    Held::Commit(answer, out)
                }
                Job::Begin {
                    at,
                    is_start,
                    answer,
                } => {
                    let out = self.begin(at, is_start, &mut group);
                    Held::Begin(answer, out)
                }
                Job::Forget { partition, answer } => Held::Forget(answer, partition),
                Job::Moment { answer } => Held::Moment(answer),
            });
        }
        let written = self.write(group);
        for held in held {
            // A caller that has gone away needs no answer.
            match (held, &written) {
                (Held::Append(answer, out), Ok(())) => drop(answer.send(Ok(out))),
                (Held::Commit(answer, out), Ok(())) => drop(answer.send(out)),
                (Held::Begin(answer, out), Ok(())) => drop(answer.send(out)),
                (Held::Forget(answer, partition), Ok(())) => {
                    drop(answer.send(self.forget(partition)));
                }
                (Held::Begin(answer, _), Err(why)) => {
                    drop(answer.send(Err(unavailable(STORE, "truncate", why))));
                }
                (Held::Forget(answer, _), Err(why)) => {
                    drop(answer.send(Err(unavailable(STORE, "truncate", why))));
                }
                (Held::Moment(answer), Ok(())) => drop(answer.send(Ok(self.look()))),
                (Held::Moment(answer), Err(why)) => {
                    drop(answer.send(Err(unavailable(STORE, "look at everything", why))));
                }
                (Held::Append(answer, _), Err(why)) => {
                    drop(answer.send(Err(unavailable(STORE, "append", why))));
                }
                (Held::Commit(answer, _), Err(why)) => {
                    drop(answer.send(Err(unavailable(STORE, "commit", why))));
                }
            }
        }
    }
}

impl Writer {
    /// Everything as it stands when the group is written: nothing else writes.
    fn look(&self) -> Look {
        let heads = self.heads.iter().filter(|(_, head)| head.0 > 0);
        let heads = heads.map(|(p, head)| (*p, *head)).collect();
        (self.db.snapshot(), heads, self.seen.clone())
    }

    fn append(&mut self, batch: Vec<Append>, group: &mut Group) -> Vec<Appended> {
        group.durable = true;
        group.is_changed = true;
        let mut out = Vec::with_capacity(batch.len());
        for a in batch {
            let head = self.heads.entry(a.partition).or_default();
            let first = *head;
            *head = Position(first.0 + u64::from(a.count));
            out.push(Appended {
                partition: a.partition,
                first,
                end: *head,
            });
            let message = LogMessage {
                first,
                count: a.count,
                message: tail::own(&a.message),
            };
            group.messages.push((a.partition, message));
        }
        group.appended.extend_from_slice(&out);
        out
    }

    fn begin(
        &mut self,
        at: Vec<(PartitionId, Position)>,
        is_start: bool,
        group: &mut Group,
    ) -> Result<()> {
        let head = |p: &PartitionId| self.heads.get(p).copied().unwrap_or_default();
        for (partition, begin) in &at {
            let head = head(partition);
            if is_start && head.0 > 0 {
                return Err(Error::Invalid(format!(
                    "partition {} of the log ends at {}: only one that never held anything can start elsewhere",
                    partition.0, head.0
                )));
            }
            if !is_start && *begin > head {
                return Err(Error::Invalid(format!(
                    "partition {} of the log was to begin at {}, it ends at {}",
                    partition.0, begin.0, head.0
                )));
            }
        }
        group.durable = true;
        group.is_changed = true;
        for (partition, begin) in at {
            if is_start {
                self.heads.insert(partition, begin);
                group.appended.push(Appended {
                    partition,
                    first: begin,
                    end: begin,
                });
            }
            group.begins.insert(partition, begin);
        }
        Ok(())
    }

    /// Removes messages below where the partition begins; whether there may be more.
    fn forget(&self, partition: PartitionId) -> Result<bool> {
        let begin = self.shown_heads.begin(partition);
        remove_some_below(&self.db, &self.log, partition, begin)
    }

    /// Refuses a fold that says to have seen more than the log holds: State ahead of the log could not be opened again.
    fn ahead_of_log(&self, commits: &[Commit]) -> Result<()> {
        for a in commits.iter().filter_map(|c| c.advance) {
            let head = self.heads.get(&a.partition).copied().unwrap_or_default();
            if a.to > head {
                return Err(Error::Invalid(format!(
                    "a fold commit moves partition {} to {}, its log ends at {}",
                    a.partition.0, a.to.0, head.0
                )));
            }
        }
        Ok(())
    }

    /// Checks a commit against State with what the group holds so far, and adds it to the group.
    fn commit(&mut self, commit: Commit, group: &mut Group) -> Result<Outcome> {
        if let Some(a) = commit.advance {
            let found = self.position(a.partition);
            if found != a.from {
                return Ok(Err(Conflict::Position {
                    partition: a.partition,
                    expected: a.from,
                    found,
                }));
            }
        }
        for e in commit.expect {
            let key = encode(&e.key);
            let key = (e.key.table, UserKey::from(key));
            let found = match group.rows.get(&key) {
                Some(value) => value.clone(),
                None => self
                    .tables
                    .of(e.key.table)
                    .get(&key.1)
                    .map_err(|e| from_fjall(STORE, "read an expected row", e))?,
            };
            if found.as_deref() != e.value.as_deref() {
                return Ok(Err(Conflict::Changed { key: e.key }));
            }
        }
        for c in commit.checks {
            let spent = self.seen.budgets.get(&c.budget).map_or(0, budget::total);
            if !budget::holds(&c, spent) {
                return Ok(Err(Conflict::Budget { budget: c.budget }));
            }
        }
        let mut budgets: BTreeMap<String, Rows> = BTreeMap::new();
        for change in commit.budgets {
            let rows = budgets.entry(change.budget.clone()).or_insert_with(|| {
                let rows = self.seen.budgets.get(&change.budget);
                rows.cloned().unwrap_or_default()
            });
            if !budget::apply(rows, &change) {
                return Ok(Err(Conflict::Budget {
                    budget: change.budget,
                }));
            }
        }
        // Nothing stands against it.
        group.is_changed = true;
        group.durable |= commit.durability == Durability::Durable;
        if let Some(a) = commit.advance {
            self.seen.positions.insert(a.partition, a.to);
            group.positions.insert(a.partition);
        }
        for (name, rows) in budgets {
            if rows.is_empty() {
                continue;
            }
            let changed = group.budgets.entry(name.clone()).or_default();
            let before = self.seen.budgets.entry(name).or_default();
            changed.extend(
                rows.iter()
                    .filter(|(k, v)| before.get(k) != Some(v))
                    .map(|(k, _)| *k),
            );
            *before = rows;
        }
        for w in commit.writes {
            let key = UserKey::from(encode(&w.key));
            let value = w.value.map(|v| UserValue::from(&v[..]));
            group.rows.insert((w.key.table, key), value);
        }
        Ok(Ok(Committed))
    }

    fn position(&self, partition: PartitionId) -> Position {
        let at = self.seen.positions.get(&partition);
        at.copied().unwrap_or_default()
    }

    /// Writes the group, syncs it where wanted, then shows it.
    fn write(&mut self, group: Group) -> std::result::Result<(), String> {
        if let Some(why) = self.broken.get() {
            return Err(why.clone());
        }
        if !group.is_changed {
            return Ok(());
        }
        let rows = &self.tables.rows;
        let mut batch = self.db.batch();
        for (partition, m) in &group.messages {
            let value = log::value(m.count, &m.message);
            batch.insert(&self.log, log::key(*partition, m.first.0), value);
        }
        for ((table, key), value) in group.rows {
            match value {
                Some(value) => batch.insert(self.tables.of(table), key, value),
                None => batch.remove(self.tables.of(table), key),
            }
        }
        for partition in &group.positions {
            let [a, b] = partition.0.to_be_bytes();
            let at = self.position(*partition).0.to_be_bytes();
            batch.insert(rows, [POSITION, a, b], at);
        }
        for (name, changed) in &group.budgets {
            let spent = self.seen.budgets.get(name);
            for row in changed {
                let spent = spent.and_then(|s| s.get(row)).copied().unwrap_or(0);
                let key = [&[BUDGET][..], name.as_bytes(), &row.to_be_bytes()].concat();
                batch.insert(rows, key, spent.to_be_bytes());
            }
        }
        for (partition, begin) in &group.begins {
            let [a, b] = partition.0.to_be_bytes();
            batch.insert(rows, [BEGIN, a, b], begin.0.to_be_bytes());
        }
        let mode = if group.durable {
            self.sync += 1;
            batch.insert(rows, SYNC_KEY, self.sync.to_be_bytes());
            PersistMode::SyncData
        } else {
            PersistMode::Buffer
        };
        if let Err(e) = batch.durability(Some(mode)).commit() {
            let why = format!("{e}; nothing more is written until the store is opened again");
            tracing::error!(store = STORE, cause = %e, "a group could not be written");
            // The first cause stays.
            let _ = self.broken.set(why.clone());
            return Err(why);
        }
        self.show(&group.positions, &group.budgets);
        self.tail.extend(group.messages);
        self.shown_heads.advance(&group.appended);
        let begins: Vec<_> = group.begins.into_iter().collect();
        self.shown_heads.begin_at(&begins);
        Ok(())
    }

    fn show(&self, positions: &BTreeSet<PartitionId>, budgets: &BTreeMap<String, BTreeSet<u16>>) {
        if positions.is_empty() && budgets.is_empty() {
            return;
        }
        let mut shown = self.shown.write();
        for p in positions {
            shown.positions.insert(*p, self.position(*p));
        }
        for name in budgets.keys() {
            if let Some(rows) = self.seen.budgets.get(name) {
                shown.budgets.insert(name.clone(), rows.clone());
            }
        }
    }
}
