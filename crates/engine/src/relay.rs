//! The relay: rows that a transaction left in the outbox are appended to the log under their stable ids, then deleted.
//! A crash in between appends a row again; whoever folds that partition drops ids it knows.

use crate::Inner;
use bytes::Bytes;
use luopan_kernel::codec::{Reader, Writer};
use luopan_kernel::event::{Entry, encode_message};
use luopan_kernel::id::PartitionId;
use luopan_store::{Append, Commit, Durability, RowKey, Table, Write};
use std::sync::Arc;

/// Most rows relayed in one append.
const RELAY_ROWS_MAX: usize = 2_000;

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
    loop {
        let rows = inner.outbox.take(RELAY_ROWS_MAX).await;
        let Some(rows) = rows else { return };
        let mut failures = 0u32;
        while let Err(e) = relay(&inner, &rows).await {
            failures += 1;
            tracing::warn!(error = %e, failures, "the relay could not append; trying again");
            if inner.stopping() {
                return;
            }
            inner.env.sleep(100_000 * i64::from(failures.min(50))).await;
        }
        inner.outbox.done(rows.len());
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

/// Everything the outbox holds, at start.
pub(crate) async fn recover(inner: &Inner, partitions: &[PartitionId]) -> luopan_store::Result<()> {
    for p in partitions {
        let mut from = Vec::new();
        loop {
            let found = inner
                .state
                .scan(Table::Outbox, *p, &from, None, 1_000)
                .await?;
            let Some(last) = found.last() else { break };
            from = [&last.key[..], &[0]].concat();
            let rows = found
                .into_iter()
                .map(|r| OutboxRow {
                    key: RowKey {
                        table: Table::Outbox,
                        partition: *p,
                        key: r.key,
                    },
                    value: r.value,
                })
                .collect();
            inner.outbox.put(rows);
        }
    }
    Ok(())
}

/// Rows on their way from transactions to the log.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    queue: parking_lot::Mutex<std::collections::VecDeque<OutboxRow>>,
    in_flight: std::sync::atomic::AtomicU64,
    wake: crate::signal::Signal,
}

impl Outbox {
    /// Hands over rows that are committed.
    pub(crate) fn put(&self, rows: Vec<OutboxRow>) {
        if rows.is_empty() {
            return;
        }
        self.in_flight
            .fetch_add(rows.len() as u64, std::sync::atomic::Ordering::SeqCst);
        self.queue.lock().extend(rows);
        self.wake.notify();
    }

    async fn take(&self, most: usize) -> Option<Vec<OutboxRow>> {
        loop {
            let seen = self.wake.ticket();
            {
                let mut queue = self.queue.lock();
                if !queue.is_empty() {
                    let n = queue.len().min(most);
                    return Some(queue.drain(..n).collect());
                }
            }
            if self.wake.is_closed() {
                return None;
            }
            self.wake.wait(seen).await;
        }
    }

    fn done(&self, rows: usize) {
        self.in_flight
            .fetch_sub(rows as u64, std::sync::atomic::Ordering::SeqCst);
    }

    /// Rows not yet appended.
    pub(crate) fn len(&self) -> u64 {
        self.in_flight.load(std::sync::atomic::Ordering::SeqCst)
    }

    /// Lets [`run`] end once the queue is empty.
    pub(crate) fn close(&self) {
        self.wake.close();
    }
}
