//! The numbers of the advisory locks. Nodes of different versions must agree on them, so they never change.
//!
//! A lock is two 32-bit numbers: the first is drawn from the installation's id, so that two installations in one database (in different
//! schemas) or another program's locks do not meet ours; the second is below 2,000. Advisory locks are of one database.

use luopan_kernel::id::PartitionId;
use sha2::{Digest, Sha256};
use std::fmt::Write;

/// Locks that partitions share: partition modulo this. The server's lock table holds
/// `max_locks_per_transaction` x `max_connections` locks (6,400 by default) of all transactions together, so their number is bounded.
pub const PARTITION_LOCKS: u16 = 256;
/// Locks that budgets share, by hash of their name.
pub const BUDGET_LOCKS: u8 = 64;
/// The lock of the control plane.
const CONTROL: i32 = 1_000;

/// The locks of one installation.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Locks {
    /// The first number of all.
    pub(crate) space: i32,
}

impl Locks {
    pub(crate) fn new(installation: &str) -> Self {
        let hash = Sha256::digest(installation.as_bytes());
        Self {
            space: i32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]]),
        }
    }

    /// Two statements: they begin a transaction and take its locks, which the caller gives in ascending order. The second reads
    /// nothing and names no table, so that planning it anew each time costs less than a way of its own to the server would. It
    /// answers one row, whose first column is -1.
    pub(crate) fn begin(&self, locks: impl Iterator<Item = i32>) -> String {
        let mut text = format!(
            "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; \
             SELECT -1, count(pg_advisory_xact_lock({}, k)) FROM unnest('{{",
            self.space
        );
        for (i, lock) in locks.enumerate() {
            let _ = write!(text, "{}{lock}", if i == 0 { "" } else { "," });
        }
        text.push_str("}'::int4[]) AS u (k)");
        text
    }

    /// The lock of a partition: its position and every row in it.
    pub(crate) fn partition(partition: PartitionId) -> i32 {
        i32::from(partition.0 % PARTITION_LOCKS)
    }

    /// The lock of a budget with all of its shares.
    pub(crate) fn budget(name: &str) -> i32 {
        let hash = Sha256::digest(name.as_bytes());
        i32::from(PARTITION_LOCKS) + i32::from(hash[0] % BUDGET_LOCKS)
    }

    /// The lock of the control plane.
    pub(crate) const fn control() -> i32 {
        CONTROL
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locks_are_taken_as_they_are_given() {
        let text = Locks { space: -7 }.begin([3, 17, 256].into_iter());
        assert!(text.contains("READ COMMITTED READ WRITE; SELECT"), "{text}");
        assert!(
            text.contains("(-7, k)) FROM unnest('{3,17,256}'::int4[])"),
            "{text}"
        );
    }

    #[test]
    fn the_numbers_are_those_that_every_version_uses() {
        assert_eq!(Locks::new("0198b2f4").space, -1_562_571_146);
        assert_eq!(Locks::partition(PartitionId(3)), 3);
        assert_eq!(Locks::partition(PartitionId(259)), 3);
        assert_eq!(Locks::budget("3/emails/2026-11-22"), 262);
        assert_eq!(Locks::control(), 1_000);
    }
}
