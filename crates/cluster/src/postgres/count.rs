//! Counts what is asked of the servers. It never decides by what it counted.

use std::sync::atomic::{AtomicU64, Ordering};

/// What was asked of the servers by one opening since it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counted {
    /// SQL statements sent, `BEGIN` and `COMMIT` included; what tells the server of a statement for the first time is not.
    pub statements: u64,
    /// Transactions that commits of State were gathered into, those tried again included.
    pub transactions: u64,
    /// Commits of State that were decided, conflicts included.
    pub commits: u64,
    /// Of these, conflicts.
    pub conflicts: u64,
    /// What was tried again because a connection was lost or the server broke it off.
    pub retries: u64,
    /// Connections made.
    pub connections: u64,
}

/// The counters behind [`Counted`].
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) statements: AtomicU64,
    pub(crate) transactions: AtomicU64,
    pub(crate) commits: AtomicU64,
    pub(crate) conflicts: AtomicU64,
    pub(crate) retries: AtomicU64,
    pub(crate) connections: AtomicU64,
}

/// Adds to a counter.
pub(crate) fn add(counter: &AtomicU64, n: u64) {
    counter.fetch_add(n, Ordering::Relaxed);
}

impl Counters {
    pub(crate) fn counted(&self) -> Counted {
        let read = |c: &AtomicU64| c.load(Ordering::Relaxed);
        Counted {
            statements: read(&self.statements),
            transactions: read(&self.transactions),
            commits: read(&self.commits),
            conflicts: read(&self.conflicts),
            retries: read(&self.retries),
            connections: read(&self.connections),
        }
    }
}
