//! Training from the history of a data folder: what policies use as artifacts, made from the log. What is learned from is
//! asked of the engine, point in time; how is in `luopan-learning`. This room must never apply what it trained.

pub mod exchange;
pub mod factors;
pub mod intention;

pub use factors::factors;
