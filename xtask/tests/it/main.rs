//! The tidy test: what must be true of the tree and cannot be said in a type. It checks no taste.

mod edges;
mod map;
mod sources;
mod tables;
