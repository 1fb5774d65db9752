//! The lines that the independent checker of the market rules reads (`crates/checker/README.md`), made from what the engine
//! was told, what it decided and what its orders did: facts of customers and products, decisions as they are recorded, steps
//! of orders.
//!
//! Each line is made of one value, without a clock or a file; [`export`] alone reads stores and writes files. It must never leave out a
//! decision, an order or a fact so that the checker does not see it, never work out by itself whether a rule was kept, and
//! never depend on the checker.

mod export;
mod facts;
mod line;
mod names;
mod orders;
mod products;

pub use export::{Exported, export};
pub use facts::{Terms, customer, is_fact_of_customer, product};
pub use line::{
    Decided, Ordered, Purpose, SendStatus, Side, Step, acknowledgement, conversion, decision,
    order, send, warning,
};
pub use names::Names;

use luopan_kernel::time::Micros;
use serde::{Serialize, Serializer};

/// A time as RFC 3339.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct At(pub(crate) Micros);

impl Serialize for At {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match jiff::Timestamp::from_microsecond(self.0.0) {
            Ok(at) => s.collect_str(&at),
            Err(e) => Err(serde::ser::Error::custom(e)),
        }
    }
}

/// A day since 1970-01-01 as `2026-11-20`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Day(pub(crate) i64);

impl Serialize for Day {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let moment = luopan_kernel::time::Moment {
            now: Micros(self.0.saturating_mul(luopan_kernel::time::DAY_US)),
            utc_offset_s: 0,
        };
        let (year, month, day) = moment.civil();
        s.collect_str(&format_args!("{year:04}-{month:02}-{day:02}"))
    }
}

/// Appends one line. What cannot be written (a time beyond the year 9999, a number that is not finite) is a fault of who asks.
///
/// # Errors
/// As above.
fn write(out: &mut Vec<u8>, line: &impl Serialize) -> Result<(), serde_json::Error> {
    let before = out.len();
    if let Err(e) = serde_json::to_writer(&mut *out, line) {
        out.truncate(before);
        return Err(e);
    }
    out.push(b'\n');
    Ok(())
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod world_tests;
