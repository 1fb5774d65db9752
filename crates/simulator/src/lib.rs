//! A seeded population whose hidden response is known to tests and never to the product.
//!
//! [`fund::World`] is a wealth platform: its customers log in, look at funds, pay money in, place orders that are confirmed
//! trading days later, go silent, and answer what they are offered. How they answer is made of hidden types, thresholds,
//! products of three and more causes, fatigue, and tastes that drift over weeks: a family that no learner of Luopan uses
//! (those are linear and logistic in one-hots, bins and pairwise crosses, factors and trees of them), so a learner that does
//! well here has learned from answers and not from its own shape.
//!
//! The same seed gives the same world, bit for bit, on every machine and however [`fund::World::step`] is cut into steps.
//! This room must never do IO, read a clock or know the engine; and its truth (feature `truth`) is for tests: the product
//! compares the learned policy with a random one by running both, as an operator would.

mod chance;
mod event;
pub mod fund;
mod hidden;

pub use event::{SimEvent, customer_name};
