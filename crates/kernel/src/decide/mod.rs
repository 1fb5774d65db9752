//! Deciding.
pub mod decision;
pub mod situation;
pub use decision::*;
pub use situation::*;
