//! What `luopan-learning` promises, as one test binary.

mod intention;
mod lightgbm;
mod matching;
mod retrieval;
