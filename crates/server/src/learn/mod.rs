//! Learning from logged decisions and from any table: training sets, models, predictions, reports.

pub mod allocate;
pub mod dataset;
pub mod evaluate;
pub mod model;
pub mod report;
pub mod table;
pub mod taste;
