//! What `luopan-learning` promises, as one test binary.

mod lightgbm;
mod matching;
mod retrieval;
