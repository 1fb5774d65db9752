//! The pure heart of Luopan.
//!
//! This room holds the vocabulary, the versioned encodings of plans, events and profiles, and the functions that are the whole
//! product: [`fold`](fold::fold), [`decide`](decide::decide), [`learn`](learn::learn), [`assign`](assign::assign). The same
//! compiled code runs in the server, in replay and audits, in the simulator and (as wasm) on the phone.
//!
//! It must never do IO, read a clock, start a thread, hold global state, draw random numbers of its own, or iterate over a
//! hash map: time and seed are arguments. Transcendental functions come from `libm`, so every target computes the same bits.

pub mod artifact;
pub mod assign;
pub mod book;
pub mod catalogue;
pub mod codec;
pub mod decide;
pub mod event;
pub mod factors;
pub mod features;
pub mod fold;
pub mod id;
pub mod learn;
pub mod market;
pub mod money;
pub mod network;
pub mod plan;
pub mod profile;
pub mod proof;
pub mod random;
pub mod record;
pub mod rule;
pub mod segment;
pub mod sequence;
pub mod slots;
pub mod time;
pub mod trading;
pub mod trees;
pub mod value;

/// The number of the kernel's meaning. It is recorded with every decision and raised whenever the same inputs would
/// give another fold, distribution, choice or model, so that an old decision is recomputed by its own meaning or said
/// to be older than what this program can recompute.
pub const SEMANTICS: u32 = 1;

/// Number of log partitions of a store. It is written into a new store and compared when one is opened.
pub const PARTITIONS: u16 = 256;

/// The partition that carries market and product events (catalogue changes): one past the customer partitions.
pub const ENVIRONMENT_PARTITION: u16 = PARTITIONS;
