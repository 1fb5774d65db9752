//! Named limits of the engine. Each is met with a clear refusal, never with silent loss.

use luopan_kernel::time::MINUTE_US;

/// Most bytes that all tags of a scene may take in one customer's profile; a scene that could need more is not applied.
pub const PROFILE_BYTES_MAX: usize = 3 << 20;
/// Most bytes of the state of one model, all arms that its scene declares together; a scene that needs more is not applied.
pub const MODEL_BYTES_MAX: usize = 64 << 20;
/// Most entries of an event's context.
pub const CONTEXT_MAX: usize = 32;
/// Most pending rewards of one identifier in one scene; the earliest due settles when one more comes.
pub const PENDING_MAX: usize = 128;
/// Most open holds of one identifier in one scene; whoever has so many gets no more decisions that spend (they are withheld)
/// until some were confirmed or have expired. What was decided before the fold came to see it is held beyond this.
pub const HOLDS_MAX: usize = 128;
/// Most holds remembered after they expired, for receipts that come later still.
pub const LAPSED_MAX: usize = 32;
/// How long they are remembered, in log time.
pub const LAPSED_US: i64 = 7 * luopan_kernel::time::DAY_US;
/// Most outcomes remembered for decisions that reach the log after them.
pub const RECENT_MAX: usize = 32;
/// How long such outcomes are remembered, in log time.
pub const RECENT_US: i64 = 10 * MINUTE_US;

/// What was received within so many microseconds is never let go by log retention, unless [`Limits::retained_us_min`] says otherwise: senders
/// repeat, receipts come late, and what just happened is what one looks at when something is wrong.
pub const RETAINED_US_MIN: i64 = luopan_kernel::time::DAY_US;
/// How long behind its expiry the id of an event stays in a snapshot: longer than clocks differ.
pub const SPILLED_KEPT_US: i64 = luopan_kernel::time::DAY_US;

/// Most snapshots of earlier catalogue versions kept for explaining.
pub const PAST_SNAPSHOTS_MAX: usize = 8;
/// Most rows of such snapshots together (the newest one is kept whatever its size); rows that did not change are shared.
pub const PAST_ROWS_MAX: usize = 2_000_000;
/// Most entries of the environment folded before catalogue snapshots are made anew while more are waiting.
pub const REFRESH_ENTRIES_MAX: u64 = 100_000;

/// What may be set when an engine is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Log entries that may wait to be folded before intake answers `fold_lag`.
    pub fold_lag_max: u64,
    /// Entries folded in one commit of one partition.
    pub fold_entries_max: usize,
    /// Entries folded in one round of commits over several partitions of a worker; their rows are in memory together.
    pub fold_round_entries_max: u64,
    /// Bytes of log read at once for one partition.
    pub fold_bytes_max: usize,
    /// Fold workers: each owns a share of the partitions.
    pub workers: usize,
    /// Least time between the beginnings of two rounds of a fold worker, and of two appends of the relay, while they have little to
    /// do, in microseconds; 0: none. Over stores that are reached by a network, rounds that wait for each other are fewer and
    /// larger; nothing that is acknowledged waits for them, but what asks for `at_least` may wait so long more.
    pub pace_us: i64,
    /// Foreign ids remembered by intake.
    pub id_cache_entries: usize,
    /// Decisions under way at once.
    pub decisions_in_flight_max: usize,
    /// Samples between two checkpoints of a model.
    pub checkpoint_samples: u64,
    /// What was received within so many microseconds is never let go by log retention.
    pub retained_us_min: i64,
    /// Items of a catalogue, at most the kernel's `ITEMS_MAX`.
    pub items_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            fold_lag_max: 2_000_000,
            fold_entries_max: 1_000,
            fold_round_entries_max: 4_000,
            fold_bytes_max: 256 << 10,
            workers: 2,
            pace_us: 0,
            id_cache_entries: 2_000_000,
            decisions_in_flight_max: 4_096,
            checkpoint_samples: 1_000,
            retained_us_min: RETAINED_US_MIN,
            items_max: luopan_kernel::plan::ITEMS_MAX,
        }
    }
}
