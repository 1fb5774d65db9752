//! Which nodes are at work on one installation. A node tells that it lives for a while; when it has not told again by then, it
//! is gone. Only the store's clock counts, so that nodes need not agree on time.
//!
//! Who does what follows from who lives, but nothing may rest on it: two nodes may see different sets for a moment, and
//! every commit that must have one writer says so itself.

use crate::error::Result;
use async_trait::async_trait;

/// Longest name or address of a node in bytes.
pub const NODE_NAME_BYTES_MAX: usize = 256;
/// Most nodes of one installation.
pub const NODES_MAX: usize = 64;

/// A node, new with every start of the program.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Node {
    /// Drawn at start.
    pub id: [u8; 16],
    /// What people call it, at most [`NODE_NAME_BYTES_MAX`] bytes.
    pub name: String,
    /// Where its API is reached, for people; at most [`NODE_NAME_BYTES_MAX`] bytes.
    pub address: String,
}

/// What a node is told when it tells that it lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beat {
    /// Every node that lives, this one among them, ascending by id.
    pub living: Vec<Node>,
    /// True when less than a quarter of the life that is asked for was left, or none: others may have taken it for dead, and
    /// done its work, though they say so no more. A node's first beat is one.
    pub lapsed: bool,
}

/// The nodes of one installation.
#[async_trait]
pub trait Nodes: Send + Sync + 'static {
    /// Tells that `node` lives for `for_us` microseconds from now on, by the store's clock, and gives every node that lives.
    /// One node more than [`NODES_MAX`] is refused.
    async fn beat(&self, node: &Node, for_us: i64) -> Result<Beat>;

    /// Forgets a node that ends its work. One that is not known is passed over.
    async fn leave(&self, id: [u8; 16]) -> Result<()>;
}

/// The only node there can be: a backend that one process holds.
#[derive(Debug, Default)]
pub struct Alone;

#[async_trait]
impl Nodes for Alone {
    async fn beat(&self, node: &Node, _for_us: i64) -> Result<Beat> {
        crate::limits::node(node)?;
        Ok(Beat {
            living: vec![node.clone()],
            lapsed: false,
        })
    }

    async fn leave(&self, _id: [u8; 16]) -> Result<()> {
        Ok(())
    }
}
