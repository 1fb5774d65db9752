//! State on fjall: reads. Commits go to the one committer in [`crate::main_store`].
//!
//! A few rows are read on the caller's thread, since a row in memory costs less than a change of thread; larger reads go to the
//! runtime's blocking threads.

use crate::folder::from_fjall;
use crate::main_store::{Job, Main, Seen};
use async_trait::async_trait;
use bytes::Bytes;
use fjall::Readable;
use luopan_kernel::id::{PartitionId, Position};
use luopan_store::copy::{Moment, Spent, Whole};
use luopan_store::{
    Commit, Committed, Conflict, Error, EventLog, Queue, Result, Row, RowKey, State, Table, budget,
    limits,
};
use std::ops::Bound;
use std::sync::Arc;

const STORE: &str = "state";
/// Most rows read on the caller's thread: about 50 microseconds when they are cached by the system.
const DIRECT_ROWS_MAX: usize = 8;

/// A [`State`] on fjall.
pub(crate) struct EmbeddedState {
    main: Arc<Main>,
}

impl EmbeddedState {
    pub(crate) fn new(main: Arc<Main>) -> Self {
        Self { main }
    }
}

/// Runs what may wait for the disk where it holds up no other task.
pub(crate) async fn blocking<T: Send + 'static>(
    read: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    match tokio::task::spawn_blocking(read).await {
        Ok(out) => out,
        Err(e) => Err(crate::folder::unavailable(STORE, "read", e)),
    }
}

fn get(main: &Main, keys: &[RowKey]) -> Result<Vec<Option<Bytes>>> {
    let snapshot = main.db.snapshot();
    keys.iter()
        .map(|k| {
            snapshot
                .get(main.table(k.table), encode(k))
                .map(|v| v.map(|v| Bytes::copy_from_slice(&v)))
                .map_err(|e| from_fjall(STORE, "read a row", e))
        })
        .collect()
}

fn scan(
    main: &Main,
    table: Table,
    from: &[u8],
    to: Bound<&[u8]>,
    limit: usize,
) -> Result<Vec<Row>> {
    let prefix_bytes = prefix(table, PartitionId(0)).len();
    main.db
        .snapshot()
        .range::<&[u8], _>(main.table(table), (Bound::Included(from), to))
        .take(limit)
        .map(|guard| {
            let (key, value) = guard
                .into_inner()
                .map_err(|e| from_fjall(STORE, "read rows", e))?;
            Ok(Row {
                key: Bytes::copy_from_slice(key.get(prefix_bytes..).unwrap_or_default()),
                value: Bytes::copy_from_slice(&value),
            })
        })
        .collect()
}

/// What stands before a row's own key: table and partition (big-endian), without the table for profiles, which have a keyspace
/// of their own: with scene and identifier a key of 20 bytes, the longest that fjall keeps without an allocation.
fn prefix(table: Table, partition: PartitionId) -> Vec<u8> {
    let mut out = Vec::with_capacity(32);
    if table != Table::Profile {
        out.push(table as u8);
    }
    out.extend_from_slice(&partition.0.to_be_bytes());
    out
}

/// The key in the table's keyspace.
pub(crate) fn encode(key: &RowKey) -> Vec<u8> {
    prefixed(key.table, key.partition, &key.key)
}

fn prefixed(table: Table, partition: PartitionId, key: &[u8]) -> Vec<u8> {
    let mut out = prefix(table, partition);
    out.extend_from_slice(key);
    out
}

/// The bound after all rows of the table and partition.
fn after(table: Table, partition: PartitionId) -> Bound<Vec<u8>> {
    match (partition.0.checked_add(1), table) {
        (Some(next), _) => Bound::Excluded(prefix(table, PartitionId(next))),
        (None, Table::Profile) => Bound::Unbounded,
        (None, _) => Bound::Excluded(vec![table as u8 + 1]),
    }
}

fn borrowed(bound: &Bound<Vec<u8>>) -> Bound<&[u8]> {
    bound.as_ref().map(Vec::as_slice)
}

#[async_trait]
impl State for EmbeddedState {
    async fn get(&self, keys: &[RowKey]) -> Result<Vec<Option<Bytes>>> {
        if keys.len() <= DIRECT_ROWS_MAX {
            return get(&self.main, keys);
        }
        let (main, keys) = (Arc::clone(&self.main), keys.to_vec());
        blocking(move || get(&main, &keys)).await
    }

    async fn scan(
        &self,
        table: Table,
        partition: PartitionId,
        from: &[u8],
        to: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Row>> {
        if limit == 0 || to.is_some_and(|to| to <= from) {
            return Ok(Vec::new());
        }
        let from = prefixed(table, partition, from);
        let to = match to {
            Some(to) => Bound::Excluded(prefixed(table, partition, to)),
            None => after(table, partition),
        };
        if limit <= DIRECT_ROWS_MAX {
            return scan(&self.main, table, &from, borrowed(&to), limit);
        }
        let main = Arc::clone(&self.main);
        blocking(move || scan(&main, table, &from, borrowed(&to), limit)).await
    }

    async fn count(&self, table: Table, partition: PartitionId, most: usize) -> Result<usize> {
        let from = prefix(table, partition);
        let to = after(table, partition);
        let main = Arc::clone(&self.main);
        blocking(move || {
            let rows = main
                .db
                .snapshot()
                .range::<&[u8], _>(
                    main.table(table),
                    (Bound::Included(&from[..]), borrowed(&to)),
                )
                .take(most);
            rows.map(|guard| guard.key().map_err(|e| from_fjall(STORE, "count rows", e)))
                .try_fold(0, |n, key| key.map(|_| n + 1))
        })
        .await
    }

    fn queues(&self) -> Vec<Queue> {
        // Log and State share one database and one committer.
        vec![self.main.committer.queue("commit")]
    }

    async fn positions(&self, partitions: &[PartitionId]) -> Result<Vec<Position>> {
        let seen = self.main.seen.read();
        Ok(partitions
            .iter()
            .map(|p| seen.positions.get(p).copied().unwrap_or_default())
            .collect())
    }

    async fn spent(&self, budgets: &[String]) -> Result<Vec<i64>> {
        let seen = self.main.seen.read();
        Ok(budgets
            .iter()
            .map(|b| seen.budgets.get(b).map_or(0, budget::total))
            .collect())
    }

    async fn budgets(&self) -> Result<Vec<(String, i64)>> {
        let seen = self.main.seen.read();
        Ok(seen
            .budgets
            .iter()
            .map(|(name, rows)| (name.clone(), budget::total(rows)))
            .collect())
    }

    async fn commit(
        &self,
        commits: Vec<Commit>,
    ) -> Result<Vec<std::result::Result<Committed, Conflict>>> {
        limits::commits(&commits)?;
        if commits.is_empty() {
            return Ok(Vec::new());
        }
        self.main
            .committer
            .ask(|answer| Job::Commit { commits, answer })
            .await
    }

    async fn moment(&self, _log: &dyn EventLog) -> Result<Box<dyn Moment>> {
        let taken = self.main.committer.ask(|answer| Job::Moment { answer });
        let (snapshot, heads, seen) = taken.await?;
        Ok(Box::new(Taken {
            main: Arc::clone(&self.main),
            snapshot,
            heads,
            seen,
        }))
    }
}

/// State between two groups of the committer.
struct Taken {
    main: Arc<Main>,
    snapshot: fjall::Snapshot,
    heads: Vec<(PartitionId, Position)>,
    seen: Seen,
}

/// Rows of a table from a key of its keyspace on.
fn pages(
    main: &Main,
    snapshot: &fjall::Snapshot,
    table: Table,
    from: &[u8],
    bytes_max: usize,
) -> Result<Vec<Whole>> {
    let end = after(table, PartitionId(u16::MAX));
    let skipped = prefix(table, PartitionId(0)).len() - 2;
    let range = (Bound::Included(from), borrowed(&end));
    let mut bytes = 0;
    let mut out = Vec::new();
    for guard in snapshot.range::<&[u8], _>(main.table(table), range) {
        let (key, value) = guard
            .into_inner()
            .map_err(|e| from_fjall(STORE, "read rows", e))?;
        bytes += key.len() + value.len();
        if !out.is_empty() && bytes > bytes_max {
            break;
        }
        let named = key.get(skipped..).and_then(|k| k.split_first_chunk::<2>());
        let (partition, key) = named.ok_or_else(|| Error::Corrupt {
            store: STORE,
            at: format!("a row of {table:?}"),
            cause: "its key names no partition".to_owned(),
        })?;
        out.push(Whole {
            key: RowKey {
                table,
                partition: PartitionId(u16::from_be_bytes(*partition)),
                key: Bytes::copy_from_slice(key),
            },
            value: Bytes::copy_from_slice(&value),
        });
    }
    Ok(out)
}

#[async_trait]
impl Moment for Taken {
    fn heads(&self) -> &[(PartitionId, Position)] {
        &self.heads
    }

    async fn positions(&self) -> Result<Vec<(PartitionId, Position)>> {
        let all = self.seen.positions.iter();
        Ok(all.map(|(p, at)| (*p, *at)).collect())
    }

    async fn budgets(&self) -> Result<Vec<Spent>> {
        let all = self.seen.budgets.iter();
        Ok(all
            .flat_map(|(budget, rows)| {
                rows.iter().map(|(row, spent)| Spent {
                    budget: budget.clone(),
                    row: *row,
                    spent: *spent,
                })
            })
            .collect())
    }

    async fn rows(
        &self,
        table: Table,
        from: &(PartitionId, Bytes),
        bytes_max: usize,
    ) -> Result<Vec<Whole>> {
        let (main, snapshot) = (Arc::clone(&self.main), self.snapshot.clone());
        let from = prefixed(table, from.0, &from.1);
        blocking(move || pages(&main, &snapshot, table, &from, bytes_max)).await
    }
}
