//! The event log in memory: a map from first position to message for each partition.

use crate::error::Result;
use crate::heads::Heads;
use crate::limits;
use crate::log::{Append, Appended, EventLog, LogMessage, Wake};
use async_trait::async_trait;
use bytes::Bytes;
use luopan_kernel::id::{PartitionId, Position};
use parking_lot::RwLock;
use std::collections::BTreeMap;

type Messages = BTreeMap<u64, (u32, Bytes)>;

/// An [`EventLog`] in memory.
#[derive(Debug)]
pub struct MemoryLog {
    messages: RwLock<BTreeMap<PartitionId, Messages>>,
    heads: Heads,
}

impl Default for MemoryLog {
    fn default() -> Self {
        Self {
            messages: RwLock::new(BTreeMap::new()),
            heads: Heads::new([]),
        }
    }
}

#[async_trait]
impl EventLog for MemoryLog {
    async fn append(&self, batch: Vec<Append>) -> Result<Vec<Appended>> {
        limits::appends(&batch)?;
        let mut out = Vec::with_capacity(batch.len());
        let mut messages = self.messages.write();
        for a in batch {
            let partition = messages.entry(a.partition).or_default();
            let first = partition
                .last_key_value()
                .map_or(self.heads.head(a.partition).0, |(first, (count, _))| {
                    first + u64::from(*count)
                });
            out.push(Appended {
                partition: a.partition,
                first: Position(first),
                end: Position(first + u64::from(a.count)),
            });
            partition.insert(first, (a.count, a.message));
        }
        // Under the lock, so that heads move in the order of positions.
        self.heads.advance(&out);
        Ok(out)
    }

    async fn read(
        &self,
        partition: PartitionId,
        from: Position,
        bytes_max: usize,
    ) -> Result<Vec<LogMessage>> {
        let messages = self.messages.read();
        self.heads.readable(partition, from)?;
        let Some(messages) = messages.get(&partition) else {
            return Ok(Vec::new());
        };
        let start = messages
            .range(..=from.0)
            .next_back()
            .map_or(0, |(first, _)| *first);
        let mut out = Vec::new();
        let mut bytes = 0usize;
        for (first, (count, message)) in messages.range(start..) {
            let found = LogMessage {
                first: Position(*first),
                count: *count,
                message: message.clone(),
            };
            if found.end() <= from {
                continue;
            }
            bytes = bytes.saturating_add(message.len());
            if !out.is_empty() && bytes > bytes_max {
                break;
            }
            out.push(found);
        }
        Ok(out)
    }

    async fn heads(&self, partitions: &[PartitionId]) -> Result<Vec<Position>> {
        Ok(self.heads.heads(partitions))
    }

    async fn begins(&self, partitions: &[PartitionId]) -> Result<Vec<Position>> {
        Ok(self.heads.begins(partitions))
    }

    async fn truncate(&self, to: &[(PartitionId, Position)]) -> Result<Vec<Position>> {
        let mut messages = self.messages.write();
        self.heads.may_truncate(to)?;
        for (partition, to) in to {
            let Some(held) = messages.get_mut(partition) else {
                continue;
            };
            held.retain(|first, (count, _)| first + u64::from(*count) > to.0);
            let begin = held
                .first_key_value()
                .map_or(self.heads.head(*partition), |(first, _)| Position(*first));
            self.heads.begin_at(&[(*partition, begin)]);
        }
        let asked: Vec<_> = to.iter().map(|(p, _)| *p).collect();
        Ok(self.heads.begins(&asked))
    }

    async fn start(&self, at: &[(PartitionId, Position)]) -> Result<()> {
        let _messages = self.messages.write();
        self.heads.may_start(at)?;
        self.heads.start(at);
        Ok(())
    }

    async fn partitions(&self) -> Result<Vec<PartitionId>> {
        Ok(self.heads.partitions())
    }

    async fn wait(&self, ticket: u64) -> Result<Wake> {
        Ok(self.heads.wait(ticket).await)
    }
}
