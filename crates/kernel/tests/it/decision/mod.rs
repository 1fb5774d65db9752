//! Laws of deciding, learning, recording and assigning.

mod assign;
mod attribute;
mod batch;
mod bootstrap;
mod explore;
mod factors;
mod gates;
mod laws;
mod learn;
mod masks;
mod paired;
mod pairs;
pub(crate) mod record;
mod slate;
mod wide;
mod world;

pub(crate) use record::golden;
