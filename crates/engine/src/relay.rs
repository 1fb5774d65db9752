//! The relay: rows that a transaction left in the outbox are appended to the log under their stable ids, then deleted.
//! A crash in between appends a row again; whoever folds that partition drops ids it knows.

use crate::Inner;
use crate::pace::Pace;
use crate::pages::Pages;
use bytes::Bytes;
use luopan_kernel::codec::{Reader, Writer};
use luopan_kernel::event::{Entry, encode_message};
use luopan_kernel::id::PartitionId;
use luopan_store::{Append, Commit, Durability, Row, RowKey, Table, Write};
use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

/// Most rows relayed in one append.
const RELAY_ROWS_MAX: usize = 2_000;
/// Most rows looked at when the outbox is swept.
const SWEPT_ROWS: usize = 1_000;

/// A row of the outbox with its content.
#[derive(Debug, Clone)]
pub(crate) struct OutboxRow {
    pub(crate) key: RowKey,
    pub(crate) value: Bytes,
}

/// An outbox row holding a message of `count` entries.
pub(crate) fn row(key: RowKey, count: u32, message: &[u8]) -> OutboxRow {
    let mut w = Writer::with_format(1);
    w.uint(u64::from(count));
    w.bytes(message);
    OutboxRow {
        key,
        value: w.into_bytes().into(),
    }
}

/// An outbox row holding one log entry.
pub(crate) fn entry_row(key: RowKey, entry: &Entry<'_>) -> OutboxRow {
    row(key, 1, &encode_message(std::slice::from_ref(entry)))
}

impl OutboxRow {
    /// The write that puts the row into State.
    pub(crate) fn write(&self) -> Write {
        Write {
            key: self.key.clone(),
            value: Some(self.value.clone()),
        }
    }

    fn append(&self) -> Option<Append> {
        let mut r = Reader::new(&self.value);
        r.format("outbox row", 1).ok()?;
        let count = u32::try_from(r.uint().ok()?).ok()?;
        let message = Bytes::copy_from_slice(r.bytes().ok()?);
        Some(Append {
            partition: self.key.partition,
            count,
            message,
        })
    }
}

/// Relays what a crash left behind, then what transactions hand over, until the engine stops.
pub(crate) async fn run(inner: Arc<Inner>) {
    let mut pace = Pace::default();
    loop {
        if !inner.outbox.wait().await {
            return;
        }
        // What comes meanwhile is appended with it.
        pace.keep(&inner).await;
        let rows = inner.outbox.take(RELAY_ROWS_MAX);
        let mut failures = 0u32;
        while let Err(e) = relay(&inner, &rows).await {
            failures += 1;
            tracing::warn!(error = %e, failures, "the relay could not append; trying again");
            if inner.stopping() {
                return;
            }
            inner.env.sleep(100_000 * i64::from(failures.min(50))).await;
        }
        inner.outbox.done(&rows);
    }
}

async fn relay(inner: &Inner, rows: &[OutboxRow]) -> luopan_store::Result<()> {
    let mut appends = Vec::with_capacity(rows.len());
    for row in rows {
        match row.append() {
            Some(a) => appends.push(a),
            None => {
                return Err(luopan_store::Error::Corrupt {
                    store: "state",
                    at: format!("outbox row of partition {}", row.key.partition.0),
                    cause: "not an outbox row".into(),
                });
            }
        }
    }
    inner.log.append(appends).await?;
    let mut commit = Commit::new(Durability::Replayable);
    commit.writes = rows
        .iter()
        .map(|r| Write {
            key: r.key.clone(),
            value: None,
        })
        .collect();
    inner.state.commit(vec![commit]).await?;
    Ok(())
}

/// Everything that the outbox of these partitions holds.
pub(crate) async fn recover(inner: &Inner, partitions: &[PartitionId]) -> luopan_store::Result<()> {
    let mut pages = Pages::new(&*inner.state, Table::Outbox, partitions);
    loop {
        let found = pages.next().await?;
        if found.is_empty() {
            return Ok(());
        }
        let rows = found.into_iter().map(outbox_row);
        inner.outbox.put(rows.collect());
    }
}

fn outbox_row((partition, row): (PartitionId, Row)) -> OutboxRow {
    OutboxRow {
        key: RowKey {
            table: Table::Outbox,
            partition,
            key: row.key,
        },
        value: row.value,
    }
}

/// Relays rows that nobody has on the way: those of a transaction that took effect though whoever made it was told that
/// nothing is known of it. `seen` are those that the look before found; what is there for the second time is relayed.
pub(crate) async fn sweep(
    inner: &Inner,
    partitions: &[PartitionId],
    seen: &mut HashSet<RowKey>,
) -> luopan_store::Result<()> {
    let found = (inner.state)
        .scan_partitions(Table::Outbox, partitions, SWEPT_ROWS)
        .await?;
    let rows: Vec<OutboxRow> = (found.into_iter().map(outbox_row))
        .filter(|r| !inner.outbox.knows(&r.key))
        .collect();
    let (again, new): (Vec<_>, Vec<_>) = rows.into_iter().partition(|r| seen.contains(&r.key));
    if !again.is_empty() {
        tracing::warn!(rows = again.len(), "rows of the outbox that nobody relayed");
    }
    *seen = new.iter().map(|r| r.key.clone()).collect();
    inner.outbox.put(again);
    Ok(())
}

/// Rows on their way from transactions to the log.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    inner: parking_lot::Mutex<Rows>,
    wake: luopan_store::Signal,
}

#[derive(Debug, Default)]
struct Rows {
    queue: VecDeque<OutboxRow>,
    /// Those in the queue and those that are being appended.
    known: HashSet<RowKey>,
}

impl Outbox {
    /// Hands over rows that are committed; those that are on their way already are passed over.
    pub(crate) fn put(&self, rows: Vec<OutboxRow>) {
        if rows.is_empty() {
            return;
        }
        {
            let mut inner = self.inner.lock();
            for row in rows {
                if inner.known.insert(row.key.clone()) {
                    inner.queue.push_back(row);
                }
            }
        }
        self.wake.notify();
    }

    /// True for a row that is on its way.
    fn knows(&self, key: &RowKey) -> bool {
        self.inner.lock().known.contains(key)
    }

    /// Waits for a row; false when none will come.
    async fn wait(&self) -> bool {
        loop {
            let seen = self.wake.ticket();
            if !self.inner.lock().queue.is_empty() {
                return true;
            }
            if self.wake.is_closed() {
                return false;
            }
            self.wake.wait(seen).await;
        }
    }

    fn take(&self, most: usize) -> Vec<OutboxRow> {
        let mut inner = self.inner.lock();
        let n = inner.queue.len().min(most);
        inner.queue.drain(..n).collect()
    }

    fn done(&self, rows: &[OutboxRow]) {
        let mut inner = self.inner.lock();
        for row in rows {
            inner.known.remove(&row.key);
        }
    }

    /// Rows not yet appended.
    pub(crate) fn len(&self) -> u64 {
        self.inner.lock().known.len() as u64
    }

    /// Lets [`run`] end once the queue is empty.
    pub(crate) fn close(&self) {
        self.wake.close();
    }
}
