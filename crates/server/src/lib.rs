//! The server: the outermost room. It knows HTTP, files, the command line, the clock and which backends are used; every
//! document that leaves or enters the program is shaped here. It must never decide anything about customers: it asks the
//! engine.

pub mod answer;
pub mod asked;
pub mod backup;
pub mod campaign;
pub mod challenged;
pub mod checked;
pub mod cli;
pub mod cluster;
pub mod codes;
pub mod contested;
pub mod data;
mod demo;
pub mod drift;
pub mod env;
mod happening;
pub mod http;
pub mod import;
pub mod incoming;
pub mod keys;
pub mod learn;
pub mod limits;
mod matching;
pub mod metrics;
pub mod problem;
pub mod proof;
pub mod question;
pub mod retention;
mod simulate;
pub mod telemetry;
pub mod time;
pub mod train;
mod trained;
pub mod watched;
mod whole;
