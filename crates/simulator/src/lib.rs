//! A seeded population whose hidden response is known to tests and never to the product.
//!
//! [`Population`] plays the customers of the shipped `fund` scene: they log in, look at funds, pay money in, place orders
//! that are confirmed a trading day later, go silent, and answer what they are shown. How they answer is made of hidden
//! types, thresholds, products of three and more causes, fatigue, and tastes that drift over weeks: a family that no
//! learner of Luopan uses (those are linear and logistic in one-hots, bins and pairwise crosses), so a learner that does
//! well here has learned from answers and not from its own shape.
//!
//! The same seed gives the same world, bit for bit, on every machine and however [`Population::step`] is cut into steps.
//! This room must never do IO, read a clock or know the engine; and its truth (feature `truth`) is for tests: the product
//! compares the learned policy with a random one by running both, as an operator would.

pub mod catalogue;
mod chance;
mod customer;
mod event;
pub mod fund;
mod habit;
mod hidden;
mod population;
mod response;
#[cfg(feature = "truth")]
pub mod truth;

pub use event::{SimEvent, customer_name};
pub use population::{CUSTOMERS_MAX, Population, UnknownAction};
pub use response::{
    CONFIRMED_SHARE, FATIGUE_HALF_LIFE_US, ORDER_DELAY_MEDIAN_US, ORDER_DELAY_SIGMA,
};
