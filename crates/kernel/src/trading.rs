//! The trading calendar: which days a market trades, for which day an order counts, when it is confirmed, and how long the
//! market is about to be closed. Days are numbers since 1970-01-01 in the exchange's own time.
//!
//! It must never guess: outside the calendar's span, and where an answer would need a day past its end, there is none.
//!
//! Definitions, for a market whose ordinary week is Monday to Friday:
//! - *closure ahead* of a day: the number of days strictly between it and the next trading day after it (Friday 2, Monday 0).
//! - *eve of a holiday*: a trading day with at least one day from Monday to Friday within its closure ahead. An ordinary
//!   weekend is none, however the days around it lie; one closed Wednesday makes Tuesday an eve.

use crate::plan::slot::{Calendar, Exchange};
use crate::time::{DAY_US, MINUTE_US, Micros, Moment, SECOND_US};

/// Where within a day of the exchange a moment lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Not a trading day.
    Closed,
    /// Before the first session.
    BeforeOpen,
    /// Within a session: from its first minute up to, not including, its last.
    InSession,
    /// Between two sessions.
    Lunch,
    /// At or after the end of the last session.
    AfterClose,
}

impl Phase {
    /// Every phase, in the order of a day.
    pub const ALL: [Self; 5] = [
        Self::Closed,
        Self::BeforeOpen,
        Self::InSession,
        Self::Lunch,
        Self::AfterClose,
    ];

    /// The word that rules compare with.
    pub fn word(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::BeforeOpen => "before_open",
            Self::InSession => "in_session",
            Self::Lunch => "lunch",
            Self::AfterClose => "after_close",
        }
    }
}

/// ISO weekday of a day number, Monday 1 to Sunday 7.
pub fn weekday(day: i64) -> i64 {
    (day + 3).rem_euclid(7) + 1
}

/// The day, by a clock `utc_offset_s` east of UTC, in which `at` lies.
pub fn day_at(at: Micros, utc_offset_s: i32) -> i64 {
    let moment = Moment {
        now: at,
        utc_offset_s,
    };
    moment.day()
}

impl Exchange {
    /// The exchange's day and the microseconds gone of it.
    pub fn local(&self, at: Micros) -> (i64, i64) {
        let local =
            at.0.saturating_add(i64::from(self.utc_offset_s) * SECOND_US);
        (local.div_euclid(DAY_US), local.rem_euclid(DAY_US))
    }

    /// The moment at which the exchange's `day` begins.
    pub fn start_of(&self, day: i64) -> Micros {
        Micros(
            day.saturating_mul(DAY_US)
                .saturating_sub(i64::from(self.utc_offset_s) * SECOND_US),
        )
    }
}

impl Calendar {
    /// True when the calendar tells of `day`.
    pub fn knows(&self, day: i64) -> bool {
        (self.from_day..=self.to_day).contains(&day)
    }

    /// Whether `day` is a trading day; none outside the span.
    pub fn is_trading_day(&self, day: i64) -> Option<bool> {
        self.knows(day)
            .then(|| self.days.binary_search(&day).is_ok())
    }

    /// The first trading day after `day`; none when either is outside the span.
    pub fn next_trading_day(&self, day: i64) -> Option<i64> {
        self.nth_trading_day_after(day, 1)
    }

    /// The `n`-th trading day after `day`. For `n` of zero, `day` itself when it trades. None when either is outside the span.
    pub fn nth_trading_day_after(&self, day: i64, n: u32) -> Option<i64> {
        if n == 0 {
            return (self.is_trading_day(day)?).then_some(day);
        }
        if !self.knows(day) {
            return None;
        }
        let first = self.days.partition_point(|d| *d <= day);
        let at = first.checked_add(n as usize - 1)?;
        self.days.get(at).copied().filter(|d| self.knows(*d))
    }

    /// The trading day T for which an order of this moment counts: before the order line on a trading day that day, at or
    /// after it, and on any other day, the next one. None without an order line, outside the span, and where the next
    /// trading day is past its end.
    pub fn order_day(&self, at: Micros) -> Option<i64> {
        let exchange = self.exchange.as_ref()?;
        let cutoff = i64::from(exchange.cutoff_minute?) * MINUTE_US;
        let (day, gone) = exchange.local(at);
        if self.is_trading_day(day)? && gone < cutoff {
            return Some(day);
        }
        self.next_trading_day(day)
    }

    /// The day T + `lag` on which an order of day T is confirmed (1 for most funds, 2 for many that invest abroad).
    pub fn confirmation_day(&self, order_day: i64, lag: u32) -> Option<i64> {
        if !self.is_trading_day(order_day)? {
            return None;
        }
        self.nth_trading_day_after(order_day, lag)
    }

    /// The first day on which a money-market fund earns for what was confirmed bought on `confirmed`, and the first on
    /// which it no longer earns for what was confirmed redeemed then: `lag` trading days later (1 for most products).
    pub fn earning_change(&self, confirmed: i64, lag: u32) -> Option<i64> {
        if !self.is_trading_day(confirmed)? {
            return None;
        }
        self.nth_trading_day_after(confirmed, lag)
    }

    /// The closure ahead of the `lag`-th trading day behind the order day of `at`: for how many days without trading an order of
    /// this moment earns at once, when it earns from that trading day on.
    pub fn closed_after(&self, at: Micros, lag: u32) -> Option<i64> {
        self.closed_ahead(self.nth_trading_day_after(self.order_day(at)?, lag)?)
    }

    /// The closure ahead of `day`, in days; none where the next trading day is not known.
    pub fn closed_ahead(&self, day: i64) -> Option<i64> {
        Some(self.next_trading_day(day)? - day - 1)
    }

    /// Whether `day` is the eve of a holiday; none where the next trading day is not known.
    pub fn is_eve_of_holiday(&self, day: i64) -> Option<bool> {
        if !self.is_trading_day(day)? {
            return Some(false);
        }
        let next = self.next_trading_day(day)?;
        Some((day + 1..next).any(|d| weekday(d) <= 5))
    }

    /// Where within the exchange's day a moment lies; none without sessions and outside the span.
    pub fn phase(&self, at: Micros) -> Option<Phase> {
        let exchange = self.exchange.as_ref()?;
        let (first, last) = (exchange.sessions.first()?, exchange.sessions.last()?);
        let (day, gone) = exchange.local(at);
        if !self.is_trading_day(day)? {
            return Some(Phase::Closed);
        }
        let minute = gone / MINUTE_US;
        let is_in = |(from, to): &(u16, u16)| (i64::from(*from)..i64::from(*to)).contains(&minute);
        Some(if minute < i64::from(first.0) {
            Phase::BeforeOpen
        } else if minute >= i64::from(last.1) {
            Phase::AfterClose
        } else if exchange.sessions.iter().any(is_in) {
            Phase::InSession
        } else {
            Phase::Lunch
        })
    }
}
