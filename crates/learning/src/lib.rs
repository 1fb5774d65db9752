//! Pure numerics around the kernel: models that were trained elsewhere, and what is computed for all customers at once.
//!
//! This room may use threads and faster arithmetic than the kernel's, as long as what it hands back is what the kernel's own
//! arithmetic gives. It must never do IO, read a clock, draw numbers that are not seeded by its caller, or know a store, a scene
//! or a request: it stands on the kernel alone.

pub mod allocation;
pub mod als;
pub mod audience;
pub mod calibration;
pub mod columns;
pub mod contest;
pub mod delayed;
pub mod drift;
pub mod effects;
pub mod factors;
pub mod gbdt;
pub mod glm;
pub mod intention;
pub mod lifetime;
pub mod lightgbm;
pub mod matching;
pub mod neural;
pub mod ope;
pub mod proportion;
pub mod retrieval;
pub mod scorecard;
pub mod tabular;
pub mod uplift;
pub mod value;
