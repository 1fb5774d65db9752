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
        let alone = nodes.beat(&node(1), LONG_US).await.unwrap();
        assert_eq!(alone.living, [node(1)]);
        return;
    }
    nodes.beat(&node(2), LONG_US).await.unwrap();
    let both = nodes.beat(&node(1), LONG_US).await.unwrap();
    assert_eq!(both.living, [node(1), node(2)]);
    assert!(both.lapsed, "its first beat");
    let moved = Node {
        address: "elsewhere".into(),
        ..node(2)
    };
    let both = nodes.beat(&moved, LONG_US).await.unwrap();
    assert_eq!(both.living, [node(1), moved.clone()]);
    assert!(!both.lapsed);
    nodes.leave(node(1).id).await.unwrap();
    nodes.leave(node(9).id).await.unwrap();
    nodes.beat(&node(3), 1_000).await.unwrap();
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(nodes.beat(&moved, LONG_US).await.unwrap().living, [moved]);
    // Who was gone, or nearly, is told so, whether or not anybody looked meanwhile.
    let back = nodes.beat(&node(3), LONG_US / 8).await.unwrap();
    assert!(back.lapsed);
    let late = nodes.beat(&node(3), LONG_US).await.unwrap();
    assert!(late.lapsed, "an eighth of a life was left");
    let there = nodes.beat(&node(3), LONG_US).await.unwrap();
    assert!(!there.lapsed && there.living.len() == 2);
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
        nodes.beat(&node(0), LONG_US).await.unwrap().living.len(),
        NODES_MAX
    );
}
