//! Where partitions begin and end, in memory, and the wake-ups that go with it: what a backend needs for `heads`, `begins` and `wait`.
//!
//! It never knows whether anything is durable: a backend calls [`Heads::advance`] only after its sync.

use crate::Signal;
use crate::error::{Error, Result};
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
    /// The first position that can be read.
    begin: Position,
    position: Position,
    ticket: u64,
}

impl Heads {
    /// Heads as found when the store was opened, of partitions that begin at 0.
    pub fn new(found: impl IntoIterator<Item = (PartitionId, Position)>) -> Self {
        Self::between(found.into_iter().map(|(p, head)| (p, Position(0), head)))
    }

    /// Where partitions begin and end, as found when the store was opened.
    pub fn between(found: impl IntoIterator<Item = (PartitionId, Position, Position)>) -> Self {
        let ticket = 1;
        let partitions = found
            .into_iter()
            .filter(|(_, _, position)| position.0 > 0)
            .map(|(partition, begin, position)| {
                let head = Head {
                    begin,
                    position,
                    ticket,
                };
                (partition, head)
            })
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
                    begin: Position(0),
                    position: Position(0),
                    ticket,
                });
                head.position = head.position.max(a.end);
                head.ticket = ticket;
            }
        }
        self.changed.notify();
    }

    /// Partitions that held nothing begin here.
    pub fn start(&self, at: &[(PartitionId, Position)]) {
        let starts: Vec<_> = (at.iter())
            .map(|(partition, end)| Appended {
                partition: *partition,
                first: *end,
                end: *end,
            })
            .collect();
        self.advance(&starts);
        self.begin_at(at);
    }

    /// What lay below was let go.
    pub fn begin_at(&self, at: &[(PartitionId, Position)]) {
        let mut inner = self.inner.lock();
        for (partition, begin) in at {
            if let Some(head) = inner.partitions.get_mut(partition) {
                head.begin = head.begin.max(*begin);
            }
        }
    }

    /// Where one partition begins.
    pub fn begin(&self, partition: PartitionId) -> Position {
        let inner = self.inner.lock();
        let found = inner.partitions.get(&partition);
        found.map_or(Position(0), |h| h.begin)
    }

    /// As [`crate::EventLog::begins`].
    pub fn begins(&self, partitions: &[PartitionId]) -> Vec<Position> {
        partitions.iter().map(|p| self.begin(*p)).collect()
    }

    /// Refuses what lies below where the partition begins.
    ///
    /// # Errors
    /// [`Error::Truncated`].
    pub fn readable(&self, partition: PartitionId, from: Position) -> Result<()> {
        let begin = self.begin(partition);
        if from < begin {
            return Err(Error::Truncated {
                partition: partition.0,
                from: from.0,
                begin: begin.0,
            });
        }
        Ok(())
    }

    /// Refuses to let go of what was never there.
    ///
    /// # Errors
    /// [`Error::Invalid`].
    pub fn may_truncate(&self, to: &[(PartitionId, Position)]) -> Result<()> {
        for (partition, to) in to {
            let head = self.head(*partition);
            if *to > head {
                return Err(Error::Invalid(format!(
                    "partition {} of the log was to be truncated at {}, it ends at {}",
                    partition.0, to.0, head.0
                )));
            }
        }
        Ok(())
    }

    /// Refuses to start a partition that holds or held something.
    ///
    /// # Errors
    /// [`Error::Invalid`].
    pub fn may_start(&self, at: &[(PartitionId, Position)]) -> Result<()> {
        for (partition, _) in at {
            let head = self.head(*partition);
            if head.0 > 0 {
                return Err(Error::Invalid(format!(
                    "partition {} of the log ends at {}: only one that never held anything can start elsewhere",
                    partition.0, head.0
                )));
            }
        }
        Ok(())
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
