//! The log messages that were followed last, at hand for those who fold them: every node follows the whole stream anyway.
//!
//! It must hold of a partition an unbroken run up to what was counted, or nothing; what it does not hold is asked of the servers.

use luopan_kernel::id::{PartitionId, Position};
use luopan_store::LogMessage;
use parking_lot::Mutex;
use std::collections::{HashMap, VecDeque};

use super::frame::Messages;

/// Most bytes of log messages held, and of what is held besides for each.
pub(crate) const RECENT_BYTES_MAX: usize = 64 << 20;
/// What is counted for a message besides its bytes.
const MESSAGE_BYTES: usize = 128;

#[derive(Debug, Default)]
struct Inner {
    bytes: usize,
    /// Whose message is the oldest, and its bytes.
    order: VecDeque<(PartitionId, usize)>,
    partitions: HashMap<PartitionId, VecDeque<LogMessage>>,
}

/// The newest log messages of all partitions together.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    inner: Mutex<Inner>,
}

impl Recent {
    /// Takes in what was counted next of a partition.
    pub(crate) fn push(&self, partition: PartitionId, first: Position, messages: Messages) {
        let mut inner = self.inner.lock();
        let inner = &mut *inner;
        let held = inner.partitions.entry(partition).or_default();
        if held.back().is_some_and(|last| last.end() != first) {
            *inner = Inner::default();
        }
        let held = inner.partitions.entry(partition).or_default();
        let mut next = first;
        for (count, message) in messages {
            let message = LogMessage {
                first: next,
                count,
                message,
            };
            next = message.end();
            let bytes = message.message.len() + MESSAGE_BYTES;
            inner.bytes += bytes;
            inner.order.push_back((partition, bytes));
            held.push_back(message);
        }
        while inner.bytes > RECENT_BYTES_MAX
            && let Some((oldest, bytes)) = inner.order.pop_front()
        {
            inner.bytes -= bytes;
            if let Some(held) = inner.partitions.get_mut(&oldest) {
                held.pop_front();
            }
        }
    }

    /// Forgets everything.
    pub(crate) fn clear(&self) {
        *self.inner.lock() = Inner::default();
    }

    /// As [`luopan_store::EventLog::read`] of what lies below `head`; none when `from` is older than what is held.
    pub(crate) fn read(
        &self,
        partition: PartitionId,
        from: u64,
        head: u64,
        bytes_max: usize,
    ) -> Option<Vec<LogMessage>> {
        let inner = self.inner.lock();
        let held = inner.partitions.get(&partition)?;
        held.front().filter(|oldest| oldest.first.0 <= from)?;
        let begin = held.partition_point(|m| m.end().0 <= from);
        let mut bytes = 0usize;
        let mut out = Vec::new();
        for message in held.range(begin..) {
            bytes = bytes.saturating_add(message.message.len());
            if message.end().0 > head || (!out.is_empty() && bytes > bytes_max) {
                break;
            }
            out.push(message.clone());
        }
        (!out.is_empty()).then_some(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    const P: PartitionId = PartitionId(3);

    fn push(recent: &Recent, partition: PartitionId, first: u64, messages: &[(u32, usize)]) {
        let messages = messages
            .iter()
            .map(|(count, bytes)| (*count, Bytes::from(vec![7; *bytes])));
        recent.push(partition, Position(first), messages.collect());
    }

    fn firsts(found: Option<Vec<LogMessage>>) -> Option<Vec<u64>> {
        found.map(|f| f.iter().map(|m| m.first.0).collect())
    }

    #[test]
    fn what_was_followed_is_read_from_the_message_that_holds_the_position() {
        let recent = Recent::default();
        assert_eq!(recent.read(P, 0, 9, 9), None);
        push(&recent, P, 5, &[(2, 10), (3, 10)]);
        push(&recent, P, 10, &[(1, 10)]);
        let read = |from, head, bytes| firsts(recent.read(P, from, head, bytes));
        assert_eq!(read(4, 11, 99), None);
        assert_eq!(read(5, 11, 99), Some(vec![5, 7, 10]));
        assert_eq!(read(6, 11, 99), Some(vec![5, 7, 10]));
        assert_eq!(read(9, 11, 1), Some(vec![7]));
        assert_eq!(read(5, 11, 20), Some(vec![5, 7]));
        // What is not told of as durable yet is not read.
        assert_eq!(read(5, 10, 99), Some(vec![5, 7]));
        assert_eq!(read(10, 10, 99), None);
    }

    #[test]
    fn it_is_bounded_and_never_has_a_hole() {
        let recent = Recent::default();
        for n in 0..200u64 {
            push(&recent, PartitionId((n % 2) as u16), n / 2, &[(1, 1 << 20)]);
        }
        let held = firsts(recent.read(PartitionId(1), 99, 100, 1));
        assert_eq!(held, Some(vec![99]));
        assert_eq!(recent.read(PartitionId(1), 10, 100, 1), None);
        let all = recent.read(PartitionId(1), 80, 100, usize::MAX).unwrap();
        assert_eq!(all.len(), 20);
        assert!(recent.inner.lock().bytes <= RECENT_BYTES_MAX);
        // Something was missed: what is held does not go on there.
        push(&recent, PartitionId(1), 150, &[(1, 1)]);
        assert_eq!(recent.read(PartitionId(1), 99, 151, 1), None);
        let held = recent.read(PartitionId(1), 150, 151, 1);
        assert_eq!(firsts(held), Some(vec![150]));
    }
}
