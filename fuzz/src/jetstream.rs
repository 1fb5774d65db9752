//! The cluster's frames by their source, and what that asks of the module around it. Nothing of its own.

pub(crate) const STORE: &str = "log";
#[path = "../../crates/cluster/src/jetstream/frame.rs"]
pub(crate) mod frame;
