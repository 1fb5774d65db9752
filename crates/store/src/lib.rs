//! What Luopan asks of its stores: five traits, a memory backend, and conformance suites that every backend passes.
//!
//! This room knows bytes, positions and rows; it never knows what a tag, a policy or an HTTP request is. Every method is
//! shaped for batches: no caller makes a call per key. Backends are used as `Arc<dyn Trait>`.

pub mod budget;
pub mod control;
pub mod copy;
pub mod error;
pub mod heads;
pub mod keys;
pub mod limits;
pub mod log;
pub mod memory;
pub mod nodes;
pub mod queue;
pub mod signal;
pub mod state;
#[cfg(feature = "suite")]
pub mod suite;

pub use control::{
    ApiKey, AppliedScene, AuditRecord, Control, NewRegistryEntry, NewScene, RegistryEntry,
};
pub use copy::Moment;
pub use error::{Error, Result};
pub use keys::{ForeignId, Keys, Resolved};
pub use log::{Append, Appended, EventLog, LogMessage, Wake};
pub use nodes::{Beat, Node, Nodes};
pub use queue::Queue;
pub use signal::Signal;
pub use state::{
    Advance, BudgetChange, BudgetCheck, Commit, Committed, Conflict, Durability, Expect, Row,
    RowKey, State, Table, Write,
};

use std::sync::Arc;

/// The stores of one installation.
#[derive(Clone)]
pub struct Stores {
    /// The event log.
    pub log: Arc<dyn EventLog>,
    /// State.
    pub state: Arc<dyn State>,
    /// The control plane.
    pub control: Arc<dyn Control>,
    /// The key store.
    pub keys: Arc<dyn Keys>,
    /// Who works on it.
    pub nodes: Arc<dyn Nodes>,
}

impl std::fmt::Debug for Stores {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stores").finish_non_exhaustive()
    }
}
