//! What can go wrong in a store, apart from a lost race (that is [`crate::Conflict`], an ordinary answer).

/// Result of a store call.
pub type Result<T> = std::result::Result<T, Error>;

/// A store failed. Nothing of the refused call took effect unless the variant says otherwise.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The disk or server refused or went away; whether the call took effect is not known, the caller re-reads.
    #[error("the {store} failed to {tried}: {cause}")]
    Unavailable {
        /// Which store.
        store: &'static str,
        /// What was tried.
        tried: String,
        /// What it said.
        cause: String,
    },
    /// Bytes that this program cannot read.
    #[error("the {store} holds something unreadable at {at}: {cause}")]
    Corrupt {
        /// Which store.
        store: &'static str,
        /// Where.
        at: String,
        /// What was wrong.
        cause: String,
    },
    /// The store was written by a newer program.
    #[error(
        "the {store} has format {found}, this program reads up to {known}; use the newer program that wrote it"
    )]
    Newer {
        /// Which store.
        store: &'static str,
        /// Format found.
        found: u32,
        /// Newest known.
        known: u32,
    },
    /// What was asked for was let go by log retention.
    #[error(
        "the event log of partition {partition} begins at entry {begin}: what lay before was let go by log retention, entry {from} was asked for"
    )]
    Truncated {
        /// Partition.
        partition: u16,
        /// What was asked for.
        from: u64,
        /// The first entry that is still there.
        begin: u64,
    },
    /// A named limit was reached.
    #[error("{what} is limited to {limit}, found {found}")]
    Limit {
        /// What is limited.
        what: &'static str,
        /// The limit.
        limit: u64,
        /// What was found.
        found: u64,
    },
    /// The call itself makes no sense (a budget whose home row does not exist, a scene version never recorded).
    #[error("the store was asked for something it cannot do: {0}")]
    Invalid(String),
    /// Another process holds the store.
    #[error("the data folder is in use by another process: {0}")]
    InUse(String),
    /// The store was made with other fixed settings (partition count).
    #[error("the {store} was made with {what} {found}, this program wants {wanted}")]
    Mismatch {
        /// Which store.
        store: &'static str,
        /// Which setting.
        what: &'static str,
        /// Found.
        found: u64,
        /// Wanted.
        wanted: u64,
    },
}

impl Error {
    /// A scene version that was never recorded.
    pub fn no_scene(scene: luopan_kernel::id::SceneNo, version: u32) -> Self {
        Self::Invalid(format!(
            "scene {} has no version {version}; record it first",
            scene.0
        ))
    }
}
