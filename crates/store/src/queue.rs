//! How full a store's queues are: what waits beside the named limit at which callers have to wait for room. It holds numbers
//! alone.

/// A queue of a store, as it is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Queue {
    /// Which one: `store_lane`, a word for figures, the same for as long as the program runs.
    pub name: &'static str,
    /// Calls in it.
    pub waiting: u64,
    /// Calls that it takes; whoever comes beyond waits for room.
    pub limit: u64,
}
