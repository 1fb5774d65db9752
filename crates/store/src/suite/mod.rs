//! Conformance: what every backend must do, as plain async functions over the traits. They panic with what was wanted and found.
//!
//! A backend implements [`Subject`] and names it in [`crate::conformance!`], which makes one test of each function; so the
//! functions must never rely on anything but the traits and a tokio runtime.

pub mod agree;
pub mod budgets;
pub mod control;
pub mod copy;
pub mod keys;
pub mod log;
pub mod nodes;
pub mod reopen;
pub mod retention;
pub mod state;

use crate::Stores;
use crate::state::{Commit, Durability, RowKey, Table, Write};
use async_trait::async_trait;
use bytes::Bytes;
use luopan_kernel::id::{IdentifierId, PartitionId};

/// A backend under test.
#[async_trait]
pub trait Subject: Send + Sync {
    /// Opens the store. The first call finds it empty; a later one, made when everything of the earlier opening was dropped,
    /// finds what was acknowledged.
    async fn open(&self) -> Stores;

    /// True when the store outlives its opening.
    fn survives(&self) -> bool;

    /// True when several nodes may work on the store at once.
    fn is_shared(&self) -> bool {
        false
    }
}

/// The memory backend as a subject.
#[derive(Debug, Default)]
pub struct Memory;

#[async_trait]
impl Subject for Memory {
    async fn open(&self) -> Stores {
        crate::memory::stores()
    }

    fn survives(&self) -> bool {
        false
    }

    fn is_shared(&self) -> bool {
        true
    }
}

/// A row key for tests.
pub fn key(table: Table, partition: u16, key: impl AsRef<[u8]>) -> RowKey {
    RowKey {
        table,
        partition: PartitionId(partition),
        key: Bytes::copy_from_slice(key.as_ref()),
    }
}

/// A write for tests.
pub fn put(key: RowKey, value: impl AsRef<[u8]>) -> Write {
    Write {
        key,
        value: Some(Bytes::copy_from_slice(value.as_ref())),
    }
}

/// A durable commit of writes.
pub fn writes(writes: Vec<Write>) -> Commit {
    Commit {
        writes,
        ..Commit::new(Durability::Durable)
    }
}

/// The `n`th internal id of a test.
pub fn identifier(n: u64) -> IdentifierId {
    let mut id = [7; 16];
    id[8..].copy_from_slice(&n.to_be_bytes());
    IdentifierId(id)
}

/// Makes one tokio test of every conformance function: `conformance!(expression that gives a Subject)`.
#[macro_export]
macro_rules! conformance {
    ($subject:expr) => {
        $crate::conformance! { @ $subject;
            log: positions_and_order, nothing_of_a_refused_batch, read_from_the_middle, read_in_pieces, limits,
                concurrent_appends_keep_order, wait_starts_with_everything, wait_misses_nothing, a_dropped_wait_is_harmless;
            retention: truncated_is_refused_and_the_rest_stays, all_may_go, above_the_head_nothing_goes, starts_elsewhere,
                beginnings_last;
            state: rows_are_ordered_and_bounded, position_conflicts, expected_rows, later_write_wins, a_conflict_leaves_nothing,
                a_conflict_does_not_stop_the_others, commits_see_those_before_them, limits, tables_are_apart,
                partitions_are_scanned_together, rows_and_budgets_are_read_together,
                one_moment, concurrent_expectations_let_one_win;
            budgets: checks_both_ways, debits_spill_over_rows, credits, names_and_zeros, never_over_under_concurrency,
                the_last_unit, refused_changes;
            keys: resolve_and_reveal, duplicates_agree, concurrent_resolves_agree, erased_is_forgotten, limits;
            nodes: beats, limits;
            control: versions, files_and_announcements, artifacts, registry, streams, api_keys, audits, concurrent_versions;
            copy: everything_comes_over, a_moment_is_one_moment;
            reopen: the_log_lasts, state_lasts, keys_last, control_lasts, replayable_before_durable_lasts;
        }
    };
    (@ $subject:expr; $($module:ident: $($name:ident),*;)*) => {
        $(mod $module {
            use super::*;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $name() {
                let subject = $subject;
                $crate::suite::$module::$name(&subject).await;
            })*
        })*
    };
}
