//! The simulation: real engines on stores that fail, over a network, a clock and a processor of ours, all drawn from one seed
//! (as FoundationDB and TigerBeetle are tested). A seed that breaks a law breaks it again.
//!
//! It must not know more of the engine than its public API, its stores and its environment.

pub mod clients;
pub mod connection;
pub mod executor;
pub mod nemesis;
pub mod node;
pub mod run;
pub mod servers;
pub mod spoil;

pub use nemesis::Fault;
pub use run::{Draws, Report, Seed, run};
pub use servers::Planted;
