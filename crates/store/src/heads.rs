//! Heads of partitions in memory and the wake-ups that go with them: what a backend needs for `heads` and `wait`.
//!
//! It never knows whether anything is durable: a backend calls [`Heads::advance`] only after its sync.

use crate::Signal;
use crate::log::{Appended, Wake};
use luopan_kernel::id::{PartitionId, Position};
use parking_lot::Mutex;
use std::collections::BTreeMap;

/// Durable heads, and who changed since when.
#[derive(Debug)]
pub struct Heads {
    inner: Mutex<Inner>,
    changed: Signal,
}

#[derive(Debug)]
struct Inner {
    /// Ticket of the newest change; starts at 1, so that ticket 0 always returns at once.
    ticket: u64,
    partitions: BTreeMap<PartitionId, Head>,
}

#[derive(Debug, Clone, Copy)]
struct Head {
    position: Position,
    ticket: u64,
}

impl Heads {
    /// Heads as found when the store was opened.
    pub fn new(found: impl IntoIterator<Item = (PartitionId, Position)>) -> Self {
        let ticket = 1;
        let partitions = found
            .into_iter()
            .filter(|(_, position)| position.0 > 0)
            .map(|(partition, position)| (partition, Head { position, ticket }))
            .collect();
        Self {
            inner: Mutex::new(Inner { ticket, partitions }),
            changed: Signal::default(),
        }
    }

    /// Makes appended entries visible and wakes those who wait.
    pub fn advance(&self, appended: &[Appended]) {
        if appended.is_empty() {
            return;
        }
        {
            let mut inner = self.inner.lock();
            inner.ticket += 1;
            let ticket = inner.ticket;
            for a in appended {
                let head = inner.partitions.entry(a.partition).or_insert(Head {
                    position: Position(0),
                    ticket,
                });
                head.position = head.position.max(a.end);
                head.ticket = ticket;
            }
        }
        self.changed.notify();
    }

    /// Head of one partition.
    pub fn head(&self, partition: PartitionId) -> Position {
        self.inner
            .lock()
            .partitions
            .get(&partition)
            .map_or(Position(0), |h| h.position)
    }

    /// Heads in the order asked.
    pub fn heads(&self, partitions: &[PartitionId]) -> Vec<Position> {
        let inner = self.inner.lock();
        partitions
            .iter()
            .map(|p| inner.partitions.get(p).map_or(Position(0), |h| h.position))
            .collect()
    }

    /// Partitions that hold anything, ascending.
    pub fn partitions(&self) -> Vec<PartitionId> {
        self.inner.lock().partitions.keys().copied().collect()
    }

    /// As [`crate::EventLog::wait`]. Safe to drop at any await; a change between two waits is never missed.
    pub async fn wait(&self, ticket: u64) -> Wake {
        loop {
            // Taken before the look, so that a change after the look ends the wait.
            let seen = self.changed.ticket();
            {
                let inner = self.inner.lock();
                // A ticket from the future was given by another opening of the store: everything may be new to it.
                let since = if ticket > inner.ticket { 0 } else { ticket };
                if since < inner.ticket {
                    return Wake {
                        ticket: inner.ticket,
                        partitions: inner
                            .partitions
                            .iter()
                            .filter(|(_, h)| h.ticket > since)
                            .map(|(p, _)| *p)
                            .collect(),
                    };
                }
            }
            self.changed.wait(seen).await;
        }
    }
}
