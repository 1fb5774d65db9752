//! Learning from logged decisions: training sets.

pub mod dataset;
