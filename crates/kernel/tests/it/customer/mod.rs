//! Folding, profiles, slots, rules and segments, against an oracle that keeps every event and recomputes from nothing.

mod book;
mod dedup;
mod fold;
mod oracle;
mod profile;
mod rule;
mod segment;
mod slots;
mod trading;
mod world;
