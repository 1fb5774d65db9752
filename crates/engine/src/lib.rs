//! The loop: intake, fold workers, identity, decisions, outcomes, learners, segments, timers.
//!
//! Everything that happens is an entry of the log; everything known is a fold over it; everything decided is a pure function
//! of what was known, committed together with the ledgers it draws on. This room knows stores only through their traits and
//! the world only through [`Env`]; it must never touch a clock, an executor, HTTP, configuration files or a concrete backend.

pub mod acts;
pub mod api;
mod catalogues;
mod contacts;
pub mod contributions;
mod counters;
mod customers;
pub mod dataset;
mod decisions;
pub mod drift;
mod engine;
mod env;
mod environment;
pub mod examples;
mod explain;
pub mod fleet;
mod fold;
#[cfg(test)]
mod formats;
mod identity;
mod ids;
mod intake;
mod learner;
pub mod limits;
pub mod matching;
mod pace;
mod pages;
mod progress;
pub mod proof;
mod quarantine;
pub mod registry;
mod relay;
mod replay;
mod retention;
mod row;
mod rows;
mod scenes;
mod snapshot;
mod timers;
mod training;
mod verify;

pub use api::{Refusal, RefusalKind, Result};
pub use engine::Engine;
pub use env::Env;
pub use limits::Limits;
pub use luopan_store::Stores;

pub(crate) use engine::Inner;
