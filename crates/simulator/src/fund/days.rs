//! Days of the exchange: which of them trade, the order line of 15:00, T+n, and the seasons of the year. Days are numbers
//! since 1970-01-01 by a clock eight hours east of UTC. It must never guess past the end of the calendar it was given, and
//! it shares no code with the kernel's calendar, so that either can be checked by the other.

use luopan_kernel::time::{DAY_US, HOUR_US, Micros, Moment};

/// The exchange's clock, seconds east of UTC.
pub const EXCHANGE_OFFSET_S: i32 = 8 * 3600;
/// Hour at which orders stop counting for the day.
pub const LINE_HOUR: i64 = 15;
/// Most days that a calendar may span: 200 years.
pub const CALENDAR_SPAN_MAX: i64 = 73_200;

/// First days of the lunar year, 2000 to 2040.
const NEW_YEARS: [(u8, u8); 41] = [
    (2, 5),
    (1, 24),
    (2, 12),
    (2, 1),
    (1, 22),
    (2, 9),
    (1, 29),
    (2, 18),
    (2, 7),
    (1, 26),
    (2, 14),
    (2, 3),
    (1, 23),
    (2, 10),
    (1, 31),
    (2, 19),
    (2, 8),
    (1, 28),
    (2, 16),
    (2, 5),
    (1, 25),
    (2, 12),
    (2, 1),
    (1, 22),
    (2, 10),
    (1, 29),
    (2, 17),
    (2, 6),
    (1, 26),
    (2, 13),
    (2, 3),
    (1, 23),
    (2, 11),
    (1, 31),
    (2, 19),
    (2, 8),
    (1, 28),
    (2, 15),
    (2, 4),
    (1, 24),
    (2, 12),
];

/// The day number of a date (proleptic Gregorian; Hinnant 2013, `days_from_civil`).
pub fn day_of(year: i64, month: i64, day: i64) -> i64 {
    let y = year - i64::from(month <= 2);
    let era = y.div_euclid(400);
    let yoe = y.rem_euclid(400);
    let doy = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    era * 146_097 + doe - 719_468
}

/// Year, month and day of a day number.
pub fn date_of(day: i64) -> (i64, i64, i64) {
    Moment {
        now: Micros(day.saturating_mul(DAY_US)),
        utc_offset_s: 0,
    }
    .civil()
}

/// The exchange's day in which `at` lies.
pub fn day_at(at: Micros) -> i64 {
    Moment {
        now: at,
        utc_offset_s: EXCHANGE_OFFSET_S,
    }
    .day()
}

/// The moment at which the exchange's `day` begins.
pub fn start_of(day: i64) -> Micros {
    Micros(day.saturating_mul(DAY_US) - i64::from(EXCHANGE_OFFSET_S) * 1_000_000)
}

/// ISO weekday, Monday 1 to Sunday 7.
pub fn weekday(day: i64) -> i64 {
    (day + 3).rem_euclid(7) + 1
}

/// The first day of the lunar year that begins in `year`, for 2000 to 2040.
pub fn lunar_new_year(year: i64) -> Option<i64> {
    let (month, day) = *NEW_YEARS.get(usize::try_from(year - 2000).ok()?)?;
    Some(day_of(year, i64::from(month), i64::from(day)))
}

/// A calendar that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadCalendar {
    /// Too few days.
    #[error("a calendar of {0} trading days says nothing; give at least two")]
    Short(usize),
    /// Not ascending.
    #[error("trading day number {0} is not after the one before it; give each once, in order")]
    Order(usize),
    /// Too long.
    #[error("a calendar of {0} days is longer than {CALENDAR_SPAN_MAX}")]
    Long(i64),
}

/// The days on which the exchange trades.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TradingDays {
    days: Vec<i64>,
    /// For each day of the span, the place of the first trading day at or after it.
    place: Vec<u32>,
}

impl TradingDays {
    /// The calendar of these days, strictly ascending.
    ///
    /// # Errors
    /// [`BadCalendar`].
    pub fn new(days: Vec<i64>) -> Result<Self, BadCalendar> {
        let (Some(first), Some(last)) = (days.first().copied(), days.last().copied()) else {
            return Err(BadCalendar::Short(0));
        };
        if days.len() < 2 {
            return Err(BadCalendar::Short(days.len()));
        }
        if let Some(i) = days.windows(2).position(|w| w[0] >= w[1]) {
            return Err(BadCalendar::Order(i + 1));
        }
        if last - first > CALENDAR_SPAN_MAX {
            return Err(BadCalendar::Long(last - first));
        }
        let mut place = Vec::with_capacity((last - first + 1) as usize);
        let mut at = 0;
        for day in first..=last {
            place.push(at as u32);
            if days[at] == day {
                at += 1;
            }
        }
        Ok(Self { days, place })
    }

    /// The calendar of `from..=to` when none is given: no weekends, no new year's day, no 1 to 5 May, no 1 to 7 October, and
    /// no Spring Festival from its eve to its seventh day. A stand-in: the true one moves working days about.
    ///
    /// # Errors
    /// [`BadCalendar`] when the span is too short or too long.
    pub fn made_up(from: i64, to: i64) -> Result<Self, BadCalendar> {
        if to - from > CALENDAR_SPAN_MAX {
            return Err(BadCalendar::Long(to - from));
        }
        let is_open = |day: &i64| {
            let (year, month, of_month) = date_of(*day);
            let fixed = matches!((month, of_month), (1, 1) | (5, 1..=5) | (10, 1..=7));
            let spring = lunar_new_year(year).is_some_and(|n| (n - 1..=n + 6).contains(day));
            weekday(*day) <= 5 && !fixed && !spring
        };
        Self::new((from..=to).filter(is_open).collect())
    }

    /// Trading days, ascending.
    pub fn days(&self) -> &[i64] {
        &self.days
    }

    /// First and last day of the span.
    pub fn span(&self) -> (i64, i64) {
        (self.days[0], self.days[self.days.len() - 1])
    }

    /// The place of the first trading day at or after `day`; none outside the span.
    pub fn place_from(&self, day: i64) -> Option<usize> {
        let i = usize::try_from(day.checked_sub(self.days[0])?).ok()?;
        self.place.get(i).map(|p| *p as usize)
    }

    /// Whether `day` trades; false outside the span.
    pub fn is_trading(&self, day: i64) -> bool {
        self.place_from(day).is_some_and(|p| self.days[p] == day)
    }

    /// The `n`-th trading day after `day`, `n >= 1`; none outside the span.
    pub fn nth_after(&self, day: i64, n: usize) -> Option<i64> {
        let p = self.place_from(day)?;
        let p = p + n - usize::from(self.days[p] != day);
        self.days.get(p).copied()
    }

    /// The day T for which an order of this moment counts: before 15:00 of a trading day that day, else the next.
    pub fn order_day(&self, at: Micros) -> Option<i64> {
        let day = day_at(at);
        let gone = at.since(start_of(day));
        if self.is_trading(day) && gone < LINE_HOUR * HOUR_US {
            return Some(day);
        }
        self.nth_after(day, 1)
    }

    /// Days without trading strictly between `day` and the next trading day.
    pub fn closure_ahead(&self, day: i64) -> i64 {
        self.nth_after(day, 1).map_or(0, |next| next - day - 1)
    }
}

/// What the time of year does; factors of one on an ordinary day.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Season {
    /// On sessions.
    pub(crate) sessions: f64,
    /// On the chance of a deposit.
    pub(crate) deposits: f64,
    /// On redemptions.
    pub(crate) redemptions: f64,
    /// On taking money out of money-market funds to spend it.
    pub(crate) spending: f64,
    /// Bonuses are paid.
    pub(crate) bonus: bool,
}

/// The season of an exchange's day.
pub(crate) fn season(day: i64) -> Season {
    let (year, month, of_month) = date_of(day);
    let mut s = Season {
        sessions: 1.0,
        deposits: 1.0,
        redemptions: 1.0,
        spending: 1.0,
        bonus: false,
    };
    if let Some(new_year) = lunar_new_year(year) {
        match day - new_year {
            -1..=5 => {
                s.sessions = 0.4;
                s.deposits = 0.3;
                s.redemptions = 0.5;
            }
            -10..=-2 => {
                s.spending = 2.0;
                s.bonus = true;
            }
            -30..=-11 => s.bonus = true,
            _ => {}
        }
    }
    if month == 11 && (9..=11).contains(&of_month) {
        s.deposits = 0.6;
        s.spending = 3.0;
    }
    let (_, next_month, _) = date_of(day + 2);
    if next_month != month {
        s.redemptions *= 1.4;
        s.spending *= 1.3;
    }
    s
}

#[cfg(test)]
mod tests {
    use super::*;
    use luopan_kernel::time::MINUTE_US;

    #[test]
    fn dates_and_days_are_inverse() {
        for day in (-800_000..800_000).step_by(97) {
            let (y, m, d) = date_of(day);
            assert_eq!(day_of(y, m, d), day);
        }
        assert_eq!(day_of(1970, 1, 1), 0);
        assert_eq!(weekday(day_of(2026, 11, 22)), 7);
    }

    #[test]
    fn the_line_and_closures() {
        let calendar = TradingDays::made_up(day_of(2025, 9, 1), day_of(2026, 3, 31)).unwrap();
        let friday = day_of(2025, 9, 26);
        let at = |day: i64, hour: i64, minute: i64| {
            start_of(day).plus(hour * HOUR_US + minute * MINUTE_US)
        };
        assert_eq!(calendar.order_day(at(friday, 14, 59)), Some(friday));
        assert_eq!(calendar.order_day(at(friday, 15, 0)), Some(friday + 3));
        assert_eq!(calendar.closure_ahead(friday), 2);
        let eve = day_of(2025, 9, 30);
        assert_eq!(
            calendar.order_day(at(eve, 15, 0)),
            Some(day_of(2025, 10, 8))
        );
        assert_eq!(calendar.nth_after(eve, 2), Some(day_of(2025, 10, 9)));
        assert_eq!(
            calendar.nth_after(day_of(2025, 10, 3), 1),
            Some(day_of(2025, 10, 8))
        );
        // Past the end nothing is said.
        assert_eq!(calendar.nth_after(day_of(2026, 3, 31), 1), None);
        assert_eq!(calendar.order_day(at(day_of(2026, 3, 31), 15, 0)), None);
        assert!(!calendar.is_trading(day_of(2026, 2, 17)));
        assert_eq!(TradingDays::new(vec![3]), Err(BadCalendar::Short(1)));
        assert_eq!(TradingDays::new(vec![3, 3]), Err(BadCalendar::Order(1)));
    }
}
