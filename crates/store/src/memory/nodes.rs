//! Nodes in memory: several engines of one process over the same stores.

use crate::error::{Error, Result};
use crate::limits;
use crate::nodes::{NODES_MAX, Node, Nodes};
use async_trait::async_trait;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// [`Nodes`] in memory.
#[derive(Debug, Default)]
pub struct MemoryNodes {
    living: Mutex<BTreeMap<[u8; 16], (Node, Instant)>>,
}

#[async_trait]
impl Nodes for MemoryNodes {
    async fn beat(&self, node: &Node, for_us: i64) -> Result<Vec<Node>> {
        limits::node(node)?;
        let now = Instant::now();
        let until = now + Duration::from_micros(for_us.unsigned_abs());
        let mut living = self.living.lock();
        living.retain(|_, (_, until)| *until > now);
        if !living.contains_key(&node.id) && living.len() >= NODES_MAX {
            return Err(Error::Limit {
                what: "nodes of one installation",
                limit: NODES_MAX as u64,
                found: living.len() as u64 + 1,
            });
        }
        living.insert(node.id, (node.clone(), until));
        Ok(living.values().map(|(node, _)| node.clone()).collect())
    }

    async fn leave(&self, id: [u8; 16]) -> Result<()> {
        self.living.lock().remove(&id);
        Ok(())
    }
}
