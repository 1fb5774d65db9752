//! What [`Nodes`](crate::Nodes) must do.

use super::Subject;
use crate::error::Error;
use crate::nodes::{NODE_NAME_BYTES_MAX, NODES_MAX, Node};
use std::time::Duration;

/// Long enough that a test ends before.
const LONG_US: i64 = 600_000_000;

fn node(n: u8) -> Node {
    Node {
        id: [n; 16],
        name: format!("node {n}"),
        address: format!("127.0.0.1:{n}"),
    }
}

/// Those that told are there, ascending, as they told last; who leaves is gone at once, who falls silent in time.
pub async fn beats(s: &dyn Subject) {
    let stores = s.open().await;
    let nodes = stores.nodes;
    if !s.is_shared() {
        assert_eq!(nodes.beat(&node(1), LONG_US).await.unwrap(), [node(1)]);
        return;
    }
    nodes.beat(&node(2), LONG_US).await.unwrap();
    let both = nodes.beat(&node(1), LONG_US).await.unwrap();
    assert_eq!(both, [node(1), node(2)]);
    let moved = Node {
        address: "elsewhere".into(),
        ..node(2)
    };
    let both = nodes.beat(&moved, LONG_US).await.unwrap();
    assert_eq!(both, [node(1), moved.clone()]);
    nodes.leave(node(1).id).await.unwrap();
    nodes.leave(node(9).id).await.unwrap();
    nodes.beat(&node(3), 1_000).await.unwrap();
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(nodes.beat(&moved, LONG_US).await.unwrap(), [moved]);
}

/// A name that is too long and one node too many are refused.
pub async fn limits(s: &dyn Subject) {
    let nodes = s.open().await.nodes;
    let long = Node {
        name: "n".repeat(NODE_NAME_BYTES_MAX + 1),
        ..node(1)
    };
    let refused = nodes.beat(&long, LONG_US).await;
    assert!(matches!(refused, Err(Error::Limit { .. })), "{refused:?}");
    if !s.is_shared() {
        return;
    }
    for n in 0..NODES_MAX {
        nodes.beat(&node(n as u8), LONG_US).await.unwrap();
    }
    let refused = nodes.beat(&node(200), LONG_US).await;
    assert!(matches!(refused, Err(Error::Limit { .. })), "{refused:?}");
    assert_eq!(
        nodes.beat(&node(0), LONG_US).await.unwrap().len(),
        NODES_MAX
    );
}
