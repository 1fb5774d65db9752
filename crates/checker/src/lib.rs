//! An independent checker of the market rules. It reads what was known, what was decided and what was ordered, as lines of
//! JSON in order of time, and counts for each numbered rule what kept it, what broke it and what cannot be known.
//!
//! It is written from the text of the rules alone and depends on no crate of the engine, so that an error in the engine is
//! not made again here. It must never share code with it, and never call kept what it cannot know. The format it reads is in
//! `crates/checker/README.md`.

pub mod calendar;
pub mod case;
pub mod check;
pub mod config;
pub mod input;
pub mod record;
pub mod report;
mod state;
mod text;

pub use calendar::Calendar;
pub use check::Checker;
pub use config::Config;
pub use input::{Error, check_paths};
pub use record::Record;
pub use report::{Count, Example, Report, Verdict};
