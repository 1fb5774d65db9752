//! What is handed to a fold worker: partitions that have grown and customers to be looked at again, each once however often it
//! is named, so that it is bounded by what there is.

use super::core::RowName;
use luopan_kernel::id::PartitionId;
use std::collections::BTreeSet;

/// Work handed to a worker.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    pending: parking_lot::Mutex<Pending>,
    signal: luopan_store::Signal,
}

#[derive(Debug, Default)]
pub(super) struct Pending {
    pub(super) partitions: BTreeSet<PartitionId>,
    /// Of these, nothing that the worker remembers is worth anything.
    pub(super) anew: BTreeSet<PartitionId>,
    pub(super) dirty: BTreeSet<RowName>,
}

impl Pending {
    /// Takes in what has come besides.
    pub(super) fn add(&mut self, more: Self) {
        self.partitions.extend(more.partitions);
        self.anew.extend(more.anew);
        self.dirty.extend(more.dirty);
    }
}

impl Inbox {
    pub(crate) fn appended(&self, partition: PartitionId) {
        self.pending.lock().partitions.insert(partition);
        self.signal.notify();
    }

    /// The partition is to be claimed and read anew.
    pub(crate) fn anew(&self, partition: PartitionId) {
        let mut pending = self.pending.lock();
        pending.partitions.insert(partition);
        pending.anew.insert(partition);
        drop(pending);
        self.signal.notify();
    }

    pub(crate) fn dirty(&self, name: RowName) {
        self.pending.lock().dirty.insert(name);
        self.signal.notify();
    }

    pub(crate) fn close(&self) {
        self.signal.close();
    }

    /// What has come meanwhile, without waiting.
    pub(super) fn take_now(&self) -> Pending {
        std::mem::take(&mut self.pending.lock())
    }

    pub(super) async fn take(&self) -> Option<Pending> {
        loop {
            let seen = self.signal.ticket();
            {
                let mut pending = self.pending.lock();
                if !pending.partitions.is_empty() || !pending.dirty.is_empty() {
                    return Some(std::mem::take(&mut pending));
                }
            }
            if self.signal.is_closed() {
                return None;
            }
            self.signal.wait(seen).await;
        }
    }
}
