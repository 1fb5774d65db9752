//! What `luopan-learning` promises, as one test binary.

mod factors;
mod gbdt;
mod intention;
mod lightgbm;
mod matching;
mod retrieval;
