//! Learning from logged decisions and from any table: training sets, models, predictions, reports.

pub mod allocate;
pub mod audience;
pub mod dataset;
pub mod effects;
pub mod evaluate;
pub mod lifetime;
pub mod model;
pub mod report;
pub mod slates;
pub mod table;
pub mod taste;
pub mod uplift;
pub mod value;
pub mod written;
