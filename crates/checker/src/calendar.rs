//! Trading days as a plain list. Outside the first and last day of the list, every answer is unknown: this room must never
//! guess that a day trades.

use jiff::civil::{Date, Time};
use jiff::tz::Offset;
use jiff::{Timestamp, ToSpan};
use serde::Deserialize;
use std::collections::BTreeSet;

/// The days on which a market trades, and its order line.
///
/// In JSON: `{"from": "2026-01-01", "to": "2026-12-31", "days": ["2026-01-05", ...]}`, or instead of `days`
/// `"closed": [...]`, which means every Monday to Friday but these. `utc_offset` (`+08:00`) and `cutoff` (`15:00`) have these
/// values unless given.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calendar {
    /// First day of which anything is known.
    pub from: Date,
    /// Last day of which anything is known.
    pub to: Date,
    /// Trading days; with `closed`, none.
    #[serde(default)]
    days: BTreeSet<Date>,
    /// Closed days among Mondays to Fridays. Saturdays and Sundays never trade, whether offices work or not.
    #[serde(default)]
    closed: Option<BTreeSet<Date>>,
    /// The exchange's clock.
    #[serde(default = "china")]
    utc_offset: String,
    /// The order line.
    #[serde(default = "cutoff")]
    cutoff: Time,
}

fn china() -> String {
    "+08:00".to_owned()
}

fn cutoff() -> Time {
    Time::constant(15, 0, 0, 0)
}

/// Reads `+08:00`, `-03:30` or `Z`.
pub(crate) fn offset(text: &str) -> Option<Offset> {
    if text == "Z" {
        return Some(Offset::UTC);
    }
    let (sign, rest) = match text.as_bytes().first()? {
        b'+' => (1, &text[1..]),
        b'-' => (-1, &text[1..]),
        _ => return None,
    };
    let (hours, minutes) = rest.split_once(':')?;
    let two = |part: &str| {
        (part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit()))
            .then(|| part.parse::<i32>().ok())
            .flatten()
    };
    let (hours, minutes) = (two(hours)?, two(minutes)?);
    if hours > 18 || minutes > 59 {
        return None;
    }
    Offset::from_seconds(sign * (hours * 3_600 + minutes * 60)).ok()
}

impl Calendar {
    /// Looks whether the calendar can be used.
    ///
    /// # Errors
    /// A sentence that says what is wrong.
    pub fn checked(self) -> Result<Self, String> {
        if offset(&self.utc_offset).is_none() {
            return Err(format!(
                "`{}` is no offset; write `utc_offset` as `+08:00`",
                self.utc_offset
            ));
        }
        if self.from > self.to {
            return Err(format!("from {} is after to {}", self.from, self.to));
        }
        if self.closed.is_some() && !self.days.is_empty() {
            return Err("a calendar has `days` or `closed`, not both".to_owned());
        }
        if let Some(day) = (self.days.iter()).find(|d| **d < self.from || **d > self.to) {
            return Err(format!("{day} lies outside {} to {}", self.from, self.to));
        }
        Ok(self)
    }

    fn local(&self, at: Timestamp) -> jiff::civil::DateTime {
        offset(&self.utc_offset)
            .unwrap_or(Offset::UTC)
            .to_datetime(at)
    }

    /// The day of the exchange at `at`.
    pub fn day(&self, at: Timestamp) -> Date {
        self.local(at).date()
    }

    /// Whether `day` trades; none outside the calendar.
    pub fn trades(&self, day: Date) -> Option<bool> {
        if day < self.from || day > self.to {
            return None;
        }
        Some(match &self.closed {
            None => self.days.contains(&day),
            Some(closed) => day.weekday().to_monday_zero_offset() < 5 && !closed.contains(&day),
        })
    }

    /// The `n`th trading day after `day` (0: `day` itself); none where the calendar does not reach.
    pub fn after(&self, day: Date, n: u32) -> Option<Date> {
        let mut day = day;
        self.trades(day)?;
        for _ in 0..n {
            loop {
                day = day.checked_add(1.day()).ok()?;
                if self.trades(day)? {
                    break;
                }
            }
        }
        Some(day)
    }

    /// The trading day for which an order of `at` counts: the same day before the order line, else the next one.
    pub fn order_day(&self, at: Timestamp) -> Option<Date> {
        let local = self.local(at);
        if self.trades(local.date())? && local.time() < self.cutoff {
            return Some(local.date());
        }
        self.after(local.date(), 1)
    }
}
