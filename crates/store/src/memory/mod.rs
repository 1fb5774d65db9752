//! The memory backend: correct and simple. It is the oracle of the suites and what `verify` replays into.
//!
//! It keeps nothing over the end of the process, whatever a commit asks for.

mod control;
mod keys;
mod log;
mod nodes;
mod state;

pub use control::MemoryControl;
pub use keys::MemoryKeys;
pub use log::MemoryLog;
pub use nodes::MemoryNodes;
pub use state::MemoryState;

use crate::Stores;
use std::sync::Arc;

/// Empty stores.
pub fn stores() -> Stores {
    Stores {
        log: Arc::new(MemoryLog::default()),
        state: Arc::new(MemoryState::default()),
        control: Arc::new(MemoryControl::default()),
        keys: Arc::new(MemoryKeys::default()),
        nodes: Arc::new(MemoryNodes::default()),
    }
}
