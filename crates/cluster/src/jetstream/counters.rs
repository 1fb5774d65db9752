//! What the log did, counted since it was opened. It never decides anything.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Counts since the log was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Groups of appends that were acknowledged.
    pub rounds: u64,
    /// Messages of the stream in them.
    pub frames: u64,
    /// Log messages in them.
    pub messages: u64,
    /// Groups published as one atomic batch.
    pub batches: u64,
    /// Attempts to publish beyond the first of a group.
    pub retries: u64,
    /// Attempts that the server knew already: an earlier attempt had landed although its answer was lost.
    pub duplicates: u64,
    /// Groups given up: whether they took effect is not known.
    pub unknown: u64,
    /// Groups seen twice in the stream. Anything but 0 is a fault of the server.
    pub doubled: u64,
    /// Requests for stored messages.
    pub gets: u64,
    /// Stored messages that came.
    pub got: u64,
    /// Log messages read that were at hand, without a request.
    pub at_hand: u64,
    /// Requests that the stream's leader answered because another replica was behind.
    pub leader_gets: u64,
    /// Messages of the stream followed.
    pub followed: u64,
    /// Times that following began anew.
    pub follow_restarts: u64,
    /// Checkpoints written.
    pub checkpoints: u64,
}

macro_rules! counters {
    ($($name:ident),*) => {
        /// The counters behind [`Counts`].
        #[derive(Debug, Default)]
        pub(crate) struct Counters {
            $(pub(crate) $name: Counter,)*
        }

        impl Counters {
            /// The counts as of now.
            pub(crate) fn counts(&self) -> Counts {
                Counts { $($name: self.$name.0.load(Relaxed),)* }
            }
        }
    };
}

counters!(
    rounds,
    frames,
    messages,
    batches,
    retries,
    duplicates,
    unknown,
    doubled,
    gets,
    got,
    at_hand,
    leader_gets,
    followed,
    follow_restarts,
    checkpoints
);

/// One counter.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    /// Counts `n` more.
    pub(crate) fn add(&self, n: usize) {
        self.0.fetch_add(n as u64, Relaxed);
    }
}
