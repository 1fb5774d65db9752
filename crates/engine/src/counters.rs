//! Counters since start.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// See the module; read through [`crate::Engine::stats`].
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) accepted: AtomicU64,
    pub(crate) quarantined: AtomicU64,
    pub(crate) folded: AtomicU64,
    pub(crate) duplicate: AtomicU64,
    pub(crate) decisions: AtomicU64,
    pub(crate) decisions_null: AtomicU64,
    pub(crate) retries: AtomicU64,
    pub(crate) rewards: AtomicU64,
    pub(crate) samples: AtomicU64,
    pub(crate) timers: AtomicU64,
    pub(crate) catalogue_snapshots: AtomicU64,
    pub(crate) catalogue_rows: AtomicU64,
    pub(crate) takeovers: AtomicU64,
}

impl Counters {
    pub(crate) fn accepted(&self, n: u64) {
        self.accepted.fetch_add(n, Relaxed);
    }
    pub(crate) fn quarantined(&self, n: u64) {
        self.quarantined.fetch_add(n, Relaxed);
    }
    pub(crate) fn add(counter: &AtomicU64, n: u64) {
        counter.fetch_add(n, Relaxed);
    }
}
