//! Ranking a policy's items for all customers into one Parquet file: a part a partition, resumed where it was left, and at
//! the end one file. What decides is the engine and the kernel; what retrieves for many at once is `luopan-learning`. This
//! room must never rank by itself, and never mix parts of two matchings.

mod manifest;
mod parts;

pub(crate) use manifest::{Folder, Manifest};
pub(crate) use parts::{Progress, Why, work};

use luopan_learning::matching::{THREADS_MAX, TOP_MAX};

/// Most items of a customer.
pub(crate) const ITEMS_PER_CUSTOMER_MAX: usize = TOP_MAX;
/// Most threads.
pub(crate) const WORKERS_MAX: usize = THREADS_MAX;
