//! The newest log messages in memory, so that the folds which follow intake read no disk and no index.
//!
//! It holds only durable messages, and for each partition an unbroken run up to its head.

use bytes::Bytes;
use luopan_kernel::id::{PartitionId, Position};
use luopan_store::LogMessage;
use parking_lot::Mutex;
use std::collections::{HashMap, VecDeque};

/// What a message costs beyond its bytes.
const OVERHEAD_BYTES: usize = 96;

/// A bounded run of the newest messages of all partitions.
#[derive(Debug)]
pub(crate) struct Tail {
    inner: Mutex<Inner>,
    bytes_max: usize,
}

#[derive(Debug, Default)]
struct Inner {
    partitions: HashMap<PartitionId, VecDeque<LogMessage>>,
    /// Partitions in order of append: whose oldest message goes next.
    order: VecDeque<PartitionId>,
    bytes: usize,
}

impl Tail {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self {
            inner: Mutex::default(),
            bytes_max,
        }
    }

    /// Adds messages in order of position for each partition, forgetting the oldest.
    pub(crate) fn extend(&self, messages: impl IntoIterator<Item = (PartitionId, LogMessage)>) {
        let mut inner = self.inner.lock();
        let inner = &mut *inner;
        for (partition, message) in messages {
            inner.bytes += message.message.len() + OVERHEAD_BYTES;
            inner.order.push_back(partition);
            inner
                .partitions
                .entry(partition)
                .or_default()
                .push_back(message);
        }
        while inner.bytes > self.bytes_max
            && let Some(partition) = inner.order.pop_front()
        {
            let oldest = inner
                .partitions
                .get_mut(&partition)
                .and_then(VecDeque::pop_front);
            inner.bytes -= oldest.map_or(0, |m| m.message.len() + OVERHEAD_BYTES);
        }
    }

    /// As [`luopan_store::EventLog::read`] when the message that holds `from` is here, else `None`.
    pub(crate) fn read(
        &self,
        partition: PartitionId,
        from: Position,
        bytes_max: usize,
    ) -> Option<Vec<LogMessage>> {
        let inner = self.inner.lock();
        let messages = inner.partitions.get(&partition)?;
        if messages.front()?.first > from {
            return None;
        }
        let start = messages.partition_point(|m| m.end() <= from);
        let mut bytes = 0usize;
        Some(
            messages
                .range(start..)
                .enumerate()
                .take_while(|(i, m)| {
                    bytes = bytes.saturating_add(m.message.len());
                    *i == 0 || bytes <= bytes_max
                })
                .map(|(_, m)| m.clone())
                .collect(),
        )
    }
}

/// A message that owns its bytes alone: a slice of a large request would hold all of it.
pub(crate) fn own(message: &Bytes) -> Bytes {
    Bytes::copy_from_slice(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_goes_first_and_what_is_left_is_unbroken() {
        let tail = Tail::new(10 * (100 + OVERHEAD_BYTES));
        for i in 0..40u64 {
            let message = LogMessage {
                first: Position(i / 2 * 3),
                count: 3,
                message: Bytes::from(vec![0; 100]),
            };
            tail.extend([(PartitionId((i % 2) as u16), message)]);
        }
        let p = PartitionId(1);
        assert!(tail.read(p, Position(44), 999).is_none());
        let read = |from, max| -> Vec<u64> {
            let found = tail.read(p, Position(from), max).unwrap();
            found.iter().map(|m| m.first.0).collect()
        };
        assert_eq!(read(45, usize::MAX), [45, 48, 51, 54, 57]);
        assert_eq!(read(50, 250), [48, 51]);
        assert_eq!(read(59, 0), [57]);
        assert_eq!(read(60, 999), [0u64; 0]);
    }
}
