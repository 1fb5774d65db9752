//! What `luopan-lake` promises, as one test binary.

mod ranking;
mod table;
