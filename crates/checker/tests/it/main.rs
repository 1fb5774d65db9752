//! Integration tests of the checker: the conformance cases, streams of lines, and the command.

mod cases;
mod gaps;
mod streams;
