//! Nodes in memory: several engines of one process over the same stores. Time comes of a clock that may be given.

use crate::error::{Error, Result};
use crate::limits;
use crate::nodes::{Beat, NODES_MAX, Node, Nodes};
use async_trait::async_trait;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::time::Instant;

/// Microseconds since some moment, never running backwards.
type Clock = Box<dyn Fn() -> i64 + Send + Sync>;

/// [`Nodes`] in memory.
pub struct MemoryNodes {
    clock: Clock,
    living: Mutex<BTreeMap<[u8; 16], (Node, i64)>>,
}

impl MemoryNodes {
    /// Nodes whose lives are counted by this clock: microseconds since some moment, never running backwards.
    pub fn with_clock(clock: impl Fn() -> i64 + Send + Sync + 'static) -> Self {
        Self {
            clock: Box::new(clock),
            living: Mutex::default(),
        }
    }
}

impl Default for MemoryNodes {
    fn default() -> Self {
        let begun = Instant::now();
        Self::with_clock(move || i64::try_from(begun.elapsed().as_micros()).unwrap_or(i64::MAX))
    }
}

impl std::fmt::Debug for MemoryNodes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemoryNodes")
            .field("living", &self.living)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Nodes for MemoryNodes {
    async fn beat(&self, node: &Node, for_us: i64) -> Result<Beat> {
        limits::node(node)?;
        let now = (self.clock)();
        let until = now.saturating_add(for_us);
        let mut living = self.living.lock();
        living.retain(|_, (_, until)| *until > now);
        if !living.contains_key(&node.id) && living.len() >= NODES_MAX {
            return Err(Error::Limit {
                what: "nodes of one installation",
                limit: NODES_MAX as u64,
                found: living.len() as u64 + 1,
            });
        }
        let before = living.insert(node.id, (node.clone(), until));
        Ok(Beat {
            living: living.values().map(|(node, _)| node.clone()).collect(),
            lapsed: before.is_none_or(|(_, until)| until < now.saturating_add(for_us / 4)),
        })
    }

    async fn leave(&self, id: [u8; 16]) -> Result<()> {
        self.living.lock().remove(&id);
        Ok(())
    }
}
