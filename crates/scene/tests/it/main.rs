//! Integration tests of the scene room: changes, faults, the type check, shipped packs, mappings, meaning against the `cel`
//! interpreter, words, and any text at all.

mod anything;
mod calendars;
mod catalogue;
mod changes;
mod faults;
mod mappings;
mod market;
mod meaning;
mod moment;
mod orders;
mod packs;
mod pairs;
mod scoring;
mod sets;
mod settings;
mod support;
mod types;
mod watched;
mod words;
