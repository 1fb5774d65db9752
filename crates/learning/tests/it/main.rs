//! What `luopan-learning` promises, as one test binary.

mod allocation;
mod als;
mod audience;
mod calibration;
mod contest;
mod delayed;
mod drift;
mod effects;
mod factors;
mod gbdt;
mod glm;
mod intention;
mod lifetime;
mod lightgbm;
mod matching;
mod neural;
mod offers;
mod ope;
mod retrieval;
mod scorecard;
mod tabular;
mod uplift;
mod value;
