//! Time is UTC microseconds and an argument. The customer's local time is UTC plus an offset that the rim looked up in
//! the time-zone database and that is recorded with what it decided.

use serde::{Deserialize, Serialize};

/// Microseconds since 1970-01-01T00:00:00Z.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Micros(pub i64);

/// One second in microseconds.
pub const SECOND_US: i64 = 1_000_000;
/// One minute in microseconds.
pub const MINUTE_US: i64 = 60 * SECOND_US;
/// One hour in microseconds.
pub const HOUR_US: i64 = 60 * MINUTE_US;
/// One day of 24 hours in microseconds.
pub const DAY_US: i64 = 24 * HOUR_US;

impl Micros {
    /// This time moved by `us` microseconds, held at the ends of the representable range.
    pub fn plus(self, us: i64) -> Self {
        Self(self.0.saturating_add(us))
    }

    /// Microseconds from `earlier` to this time, held at the ends of the range.
    pub fn since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// The moment of a decision: when, and how far the customer's clock is from UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moment {
    /// UTC.
    pub now: Micros,
    /// Offset of the customer's zone from UTC at `now`, in seconds, east positive (`Asia/Shanghai` is 28800).
    pub utc_offset_s: i32,
}

impl Moment {
    /// Local wall-clock microseconds since the local 1970-01-01 00:00.
    fn local(&self) -> i64 {
        self.now
            .0
            .saturating_add(i64::from(self.utc_offset_s) * SECOND_US)
    }

    /// Local day number since 1970-01-01.
    pub fn day(&self) -> i64 {
        self.local().div_euclid(DAY_US)
    }

    /// Minute of the local day, `0..1440`.
    pub fn minute_of_day(&self) -> i64 {
        self.local().rem_euclid(DAY_US) / MINUTE_US
    }

    /// ISO weekday of the local day, Monday 1 to Sunday 7.
    pub fn weekday(&self) -> i64 {
        (self.day() + 3).rem_euclid(7) + 1
    }

    /// Day of the local month, 1 to 31, month 1 to 12, and year (proleptic Gregorian; Hinnant 2013, `civil_from_days`).
    pub fn civil(&self) -> (i64, i64, i64) {
        let z = self.day() + 719_468;
        let era = z.div_euclid(146_097);
        let doe = z.rem_euclid(146_097);
        let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
        let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
        let mp = (5 * doy + 2) / 153;
        let day = doy - (153 * mp + 2) / 5 + 1;
        let month = if mp < 10 { mp + 3 } else { mp - 9 };
        (yoe + era * 400 + i64::from(month <= 2), month, day)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_calendar() {
        // 2026-11-22T16:30:00Z is Monday 2026-11-23 00:30 in Shanghai.
        let m = Moment {
            now: Micros(1_795_365_000 * SECOND_US),
            utc_offset_s: 28_800,
        };
        assert_eq!(m.civil(), (2026, 11, 23));
        assert_eq!(m.weekday(), 1);
        assert_eq!(m.minute_of_day(), 30);
        let before = Moment {
            now: Micros(-1),
            utc_offset_s: 0,
        };
        assert_eq!(before.civil(), (1969, 12, 31));
        assert_eq!(before.weekday(), 3);
    }
}
