//! The event log: an append-only sequence of entries a partition. What it acknowledged is durable.

use crate::error::Result;
use crate::queue::Queue;
use async_trait::async_trait;
use bytes::Bytes;
use luopan_kernel::id::{PartitionId, Position};

/// Largest log message in bytes.
pub const MESSAGE_BYTES_MAX: usize = 4 << 20;

/// A message to append: `count` entries, encoded.
#[derive(Debug, Clone)]
pub struct Append {
    /// Partition.
    pub partition: PartitionId,
    /// Number of entries in the message, at least 1.
    pub count: u32,
    /// The encoded message, at most [`MESSAGE_BYTES_MAX`].
    pub message: Bytes,
}

/// Where a message landed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// Partition.
    pub partition: PartitionId,
    /// Position of its first entry.
    pub first: Position,
    /// Position after its last entry: a fold that reached this has seen the message.
    pub end: Position,
}

/// A message read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogMessage {
    /// Position of its first entry.
    pub first: Position,
    /// Number of entries.
    pub count: u32,
    /// The encoded message.
    pub message: Bytes,
}

impl LogMessage {
    /// Position after the last entry.
    pub fn end(&self) -> Position {
        Position(self.first.0 + u64::from(self.count))
    }
}

/// What [`EventLog::wait`] saw.
#[derive(Debug, Clone, Default)]
pub struct Wake {
    /// Hand this to the next wait.
    pub ticket: u64,
    /// Partitions appended to since the ticket that was given; may name more than changed, never fewer.
    pub partitions: Vec<PartitionId>,
}

/// An append-only log a partition.
#[async_trait]
pub trait EventLog: Send + Sync + 'static {
    /// Appends all messages, or none, and returns when they are durable (fsynced or replicated). Messages for one
    /// partition keep their order; concurrent calls are grouped into one sync where the backend can. Answers come in the
    /// order of `batch`.
    async fn append(&self, batch: Vec<Append>) -> Result<Vec<Appended>>;

    /// Durable messages of a partition in order, starting with the one that holds position `from`; stops after
    /// `bytes_max` bytes but returns at least one message when there is one. `from` at the head or above gives none.
    ///
    /// # Errors
    /// [`crate::Error::Truncated`] when `from` lies below where the partition begins, also when it began there only while it was read: what is
    /// given begins with the message that holds `from`, or nothing is.
    async fn read(
        &self,
        partition: PartitionId,
        from: Position,
        bytes_max: usize,
    ) -> Result<Vec<LogMessage>>;

    /// Durable heads (number of entries) of the given partitions, in their order.
    async fn heads(&self, partitions: &[PartitionId]) -> Result<Vec<Position>>;

    /// Heads of all partitions that hold anything, ascending, no older than the call: whatever any node acknowledged before it is
    /// below them, and can be read here.
    async fn latest(&self) -> Result<Vec<(PartitionId, Position)>> {
        let partitions = self.partitions().await?;
        let heads = self.heads(&partitions).await?;
        Ok(partitions.into_iter().zip(heads).collect())
    }

    /// Whether appends and commits can succeed at all, as far as is known without trying.
    ///
    /// # Errors
    /// Why not.
    async fn writable(&self) -> Result<()> {
        Ok(())
    }

    /// Its queues, as they are now; none where nothing waits.
    fn queues(&self) -> Vec<Queue> {
        Vec::new()
    }

    /// Where each partition begins, in the order asked: the first position that can be read; 0 where nothing was let go.
    async fn begins(&self, partitions: &[PartitionId]) -> Result<Vec<Position>>;

    /// Lets go, for each partition named, of the messages that end at or below its position, for ever. Gives where each
    /// begins then, in their order: the first position of a message or the head, at most what was asked (a backend that keeps several partitions in
    /// one message may keep more), never below where it began. Durable when it returns; cut off, part of it may be done,
    /// and doing it again finishes it. Positions of what is left do not move.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] for a position above the head; nothing is let go then.
    async fn truncate(&self, to: &[(PartitionId, Position)]) -> Result<Vec<Position>>;

    /// Makes partitions that never held anything begin at these positions, to fill a store with a log that was truncated
    /// elsewhere. Durable when it returns. Nobody else may be at work on the log.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] for a partition that holds or held something; nothing is changed then.
    async fn start(&self, at: &[(PartitionId, Position)]) -> Result<()>;

    /// All partitions that hold anything, or held it, ascending.
    async fn partitions(&self) -> Result<Vec<PartitionId>>;

    /// Waits until something is appended after `ticket` (start with 0, which returns at once with every partition that
    /// holds anything, possibly none). A ticket is good for the store as it is open now, not for one opened again. Dropping
    /// the wait loses nothing.
    async fn wait(&self, ticket: u64) -> Result<Wake>;
}
