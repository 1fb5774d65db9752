//! State: rows that change together. One [`Commit`] is one transaction; it either takes effect whole or answers with the
//! [`Conflict`] that stood against it.

use crate::copy::Moment;
use crate::error::Result;
use crate::log::EventLog;
use crate::queue::Queue;
use async_trait::async_trait;
use bytes::Bytes;
use luopan_kernel::id::{PartitionId, Position};

/// The tables of State. A backend may lay each out as it likes; rows of one table and partition are ordered by key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Table {
    /// Profiles: key scene number and identifier.
    Profile = 1,
    /// Event ids that no longer fit their profile: key scene, identifier and hash, value the log time from which it may be forgotten.
    Dedup = 2,
    /// Timers: key due time (big-endian microseconds), scene, identifier; value empty.
    Timer = 3,
    /// Segment members: key scene, segment name hash, customer.
    Member = 4,
    /// Segment counts of a partition: key scene, segment.
    MemberCount = 5,
    /// Identity: key identifier, value its link (customer and revision).
    Identity = 6,
    /// Customers of more than one identifier: key canonical identifier, value the linked identifiers.
    Customer = 7,
    /// Customers to be looked at again: key scene, customer.
    Dirty = 8,
    /// Contact ledger: key scene and identifier, value recent contacts.
    Contacts = 9,
    /// Decisions: key decision id, value the record.
    Decision = 10,
    /// Decision keys: key scene and idempotency key, value body hash and decision id.
    DecisionKey = 11,
    // 12 and 13 were never written and are free.
    /// Rows to be appended to the log: key target partition and stable id.
    Outbox = 14,
    /// Quarantined input: key quarantine id.
    Quarantine = 15,
    /// Learner checkpoints: key model stream and position.
    Checkpoint = 16,
    /// Scene versions a partition has switched to: key scene.
    SceneVersion = 17,
    /// What a partition's fold stopped at: the alarm of a halted partition.
    Halt = 18,
    /// Catalogue items: key scene, catalogue, item key.
    Item = 19,
    /// What catalogue items were before: key scene, catalogue, length and bytes of the item key, log position.
    ItemPast = 20,
    /// Net asset values of catalogue items: key scene, catalogue, length and bytes of the item key, year.
    Nav = 21,
    /// Who folds a partition: key empty, value the node and a mark that is new with every claim.
    Claim = 22,
    /// What a partition's log told up to a position, so that what lies before it may be let go: key empty, value what stands
    /// there; key position and more, value a part of it.
    Snapshot = 23,
}

impl Table {
    /// Every table, in order of number.
    pub const ALL: [Self; 21] = [
        Self::Profile,
        Self::Dedup,
        Self::Timer,
        Self::Member,
        Self::MemberCount,
        Self::Identity,
        Self::Customer,
        Self::Dirty,
        Self::Contacts,
        Self::Decision,
        Self::DecisionKey,
        Self::Outbox,
        Self::Quarantine,
        Self::Checkpoint,
        Self::SceneVersion,
        Self::Halt,
        Self::Item,
        Self::ItemPast,
        Self::Nav,
        Self::Claim,
        Self::Snapshot,
    ];
}

/// Longest row key in bytes.
pub const KEY_BYTES_MAX: usize = 512;
/// Largest row value in bytes.
pub const VALUE_BYTES_MAX: usize = 4 << 20;
/// Longest name of a budget and period in bytes.
pub const BUDGET_NAME_BYTES_MAX: usize = 256;
/// Most rows a budget may be spread over.
pub const BUDGET_ROWS_MAX: u16 = 256;

/// The name of a row.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowKey {
    /// Table.
    pub table: Table,
    /// Partition the row belongs to.
    pub partition: PartitionId,
    /// Key within both.
    pub key: Bytes,
}

/// A row as read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Key within the table and partition.
    pub key: Bytes,
    /// Value.
    pub value: Bytes,
}

/// A row to write; `None` deletes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// Row.
    pub key: RowKey,
    /// New value.
    pub value: Option<Bytes>,
}

/// A row that must still be as it was read, by content; `None`: must be absent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expect {
    /// Row.
    pub key: RowKey,
    /// Content.
    pub value: Option<Bytes>,
}

/// A fold commit: State reflects the partition's log up to `from` and will reflect it up to `to`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Advance {
    /// Partition.
    pub partition: PartitionId,
    /// Position that State must be at (0 for a partition never folded).
    pub from: Position,
    /// Position after this commit, at least `from` and at most the log's head (where the backend knows it).
    pub to: Position,
}

/// A budget, in one period, must still be as it was when the availability mask was computed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BudgetCheck {
    /// Budget and period, for instance `3/emails/2026-11-22`, at most [`BUDGET_NAME_BYTES_MAX`] bytes.
    pub budget: String,
    /// Limit over all rows.
    pub limit: i64,
    /// Amount asked.
    pub amount: i64,
    /// True: at least `amount` must be left; false: less than `amount` must be left.
    pub available: bool,
}

/// A change of what is spent. Debits (positive) take from the home row first and then from the others in ascending
/// order, whole or not at all; the sum over rows never exceeds `limit`. Credits (negative) go to the home row, then others,
/// and no row falls below zero: what is given back beyond what was spent is dropped. Changes of one commit are applied in
/// order, after its checks. [`crate::budget::apply`] is the rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BudgetChange {
    /// Budget and period.
    pub budget: String,
    /// Limit over all rows; row k of K may hold `limit / K`, the first `limit % K` rows one more. For a credit, the
    /// limit is not looked at.
    pub limit: i64,
    /// Number of rows K, `1..=`[`BUDGET_ROWS_MAX`].
    pub rows: u16,
    /// Home row, below K.
    pub home: u16,
    /// Amount in minor units; positive spends, negative gives back.
    pub amount: i64,
}

/// How durable a commit must be when the call returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// It may be lost by a crash of the process that committed it, together with everything after it, because the log can redo
    /// it (fold commits). As long as that process lives, it stands: a store that runs apart from its callers syncs it.
    Replayable,
    /// Fsynced or replicated, together with everything before it (decisions, links).
    Durable,
}

/// One transaction.
#[derive(Debug, Clone)]
pub struct Commit {
    /// Position moved, for fold commits.
    pub advance: Option<Advance>,
    /// Rows that must be unchanged.
    pub expect: Vec<Expect>,
    /// Budgets that must answer as they did.
    pub checks: Vec<BudgetCheck>,
    /// Budget changes.
    pub budgets: Vec<BudgetChange>,
    /// Rows to write; a later write of the same row wins.
    pub writes: Vec<Write>,
    /// Durability.
    pub durability: Durability,
}

impl Commit {
    /// An empty commit of this durability.
    pub fn new(durability: Durability) -> Self {
        Self {
            advance: None,
            expect: Vec::new(),
            checks: Vec::new(),
            budgets: Vec::new(),
            writes: Vec::new(),
            durability,
        }
    }
}

/// The transaction took effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Committed;

/// What stood against a transaction; nothing of it took effect.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Conflict {
    /// Another worker moved the partition.
    #[error("partition {} is at position {}, not at {}", .partition.0, .found.0, .expected.0)]
    Position {
        /// Partition.
        partition: PartitionId,
        /// Expected.
        expected: Position,
        /// Found.
        found: Position,
    },
    /// A row changed since it was read.
    #[error("a row of {:?} changed since it was read", .key.table)]
    Changed {
        /// Which.
        key: RowKey,
    },
    /// A budget no longer answers as it did.
    #[error("budget {budget} no longer answers as it did")]
    Budget {
        /// Which.
        budget: String,
    },
}

/// Rows that change together.
#[async_trait]
pub trait State: Send + Sync + 'static {
    /// Values of the given rows, in their order, all as of one moment (a commit is seen whole or not at all).
    async fn get(&self, keys: &[RowKey]) -> Result<Vec<Option<Bytes>>>;

    /// Rows of a table and partition with `from <= key`, and below `to` where given, in order of key, at most `limit`,
    /// all as of one moment.
    async fn scan(
        &self,
        table: Table,
        partition: PartitionId,
        from: &[u8],
        to: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Row>>;

    /// The first rows of a table over several partitions, ascending by partition and key, at most `limit` in all: for tables
    /// that are mostly empty.
    async fn scan_partitions(
        &self,
        table: Table,
        partitions: &[PartitionId],
        limit: usize,
    ) -> Result<Vec<(PartitionId, Row)>> {
        let mut asked = partitions.to_vec();
        asked.sort_unstable();
        asked.dedup();
        let mut out = Vec::new();
        for partition in asked {
            if out.len() >= limit {
                break;
            }
            let found = (self.scan(table, partition, &[], None, limit - out.len())).await?;
            out.extend(found.into_iter().map(|row| (partition, row)));
        }
        Ok(out)
    }

    /// The first rows of a table in each of several partitions, ascending by partition and key, at most `each` of a partition.
    async fn scan_each(
        &self,
        table: Table,
        partitions: &[PartitionId],
        each: usize,
    ) -> Result<Vec<(PartitionId, Row)>> {
        let mut asked = partitions.to_vec();
        asked.sort_unstable();
        asked.dedup();
        let mut out = Vec::new();
        for partition in asked {
            let found = self.scan(table, partition, &[], None, each).await?;
            out.extend(found.into_iter().map(|row| (partition, row)));
        }
        Ok(out)
    }

    /// As [`State::get`], and what is spent of the given budgets as [`State::spent`] tells it: then or a moment later.
    async fn get_and_spent(
        &self,
        keys: &[RowKey],
        budgets: &[String],
    ) -> Result<(Vec<Option<Bytes>>, Vec<i64>)> {
        let rows = self.get(keys).await?;
        let spent = match budgets {
            [] => Vec::new(),
            budgets => self.spent(budgets).await?,
        };
        Ok((rows, spent))
    }

    /// Number of rows of a table and partition, counted up to `most`: the answer is at most that. It is for figures, and
    /// reads no more than it must.
    async fn count(&self, table: Table, partition: PartitionId, most: usize) -> Result<usize> {
        Ok(self.scan(table, partition, &[], None, most).await?.len())
    }

    /// Its queues, as they are now; none where nothing waits.
    fn queues(&self) -> Vec<Queue> {
        Vec::new()
    }

    /// Positions that State reflects, in the order asked; 0 for a partition never folded.
    async fn positions(&self, partitions: &[PartitionId]) -> Result<Vec<Position>>;

    /// What is spent of the given budgets (sum over their rows), in the order asked; 0 for one never used.
    async fn spent(&self, budgets: &[String]) -> Result<Vec<i64>>;

    /// All budgets ever debited with what is spent (0 when all was given back), ascending by name.
    async fn budgets(&self) -> Result<Vec<(String, i64)>>;

    /// Runs each transaction, in order; one that conflicts does not stop the others, and each sees what those before it
    /// wrote. Within one, `advance`, `expect` and `checks` look at State as it was before the commit. Durable ones are synced
    /// together before the call returns. [`crate::Error::Limit`] and [`crate::Error::Invalid`] are found before anything runs;
    /// another `Err` means that nothing is known of any of them.
    async fn commit(
        &self,
        commits: Vec<Commit>,
    ) -> Result<Vec<std::result::Result<Committed, Conflict>>>;

    /// State at one moment at which no commit is half done, and the heads that `log` had then: what was appended because of a commit
    /// that the moment does not have lies above them, and what a commit of the moment took from the log, or was done for having
    /// appended, lies below. What was acknowledged before the call is below them too. Commits wait meanwhile, for milliseconds.
    async fn moment(&self, log: &dyn EventLog) -> Result<Box<dyn Moment>>;
}
