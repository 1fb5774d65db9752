//! Folding: the pure core, what a batch of folded entries writes, the workers that drive it, and the rebuilding of a
//! partition when a scene's tags change.

pub(crate) mod core;
pub(crate) mod finish;
pub(crate) mod inbox;
mod look_again;
mod partition;
pub(crate) mod rebuild;
pub(crate) mod worker;
