//! Integration tests of the scene room: faults, type check, shipped packs, mappings, schema, words.

mod support;
mod packs;
