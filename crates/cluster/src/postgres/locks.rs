//! The numbers of the advisory locks. Nodes of different versions must agree on them, so they never change.
//!
//! A lock is two 32-bit numbers: the first is drawn from the installation's id, so that two installations in one database (in different
//! schemas) or another program's locks do not meet ours; the second is below 2,000. Advisory locks are of one database.

use luopan_kernel::id::PartitionId;
use sha2::{Digest, Sha256};

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
    fn the_numbers_are_those_that_every_version_uses() {
        assert_eq!(Locks::new("0198b2f4").space, -1_562_571_146);
        assert_eq!(Locks::partition(PartitionId(3)), 3);
        assert_eq!(Locks::partition(PartitionId(259)), 3);
        assert_eq!(Locks::budget("3/emails/2026-11-22"), 262);
        assert_eq!(Locks::control(), 1_000);
    }
}
