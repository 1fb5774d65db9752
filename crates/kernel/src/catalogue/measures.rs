//! Measures of an item, computed from the history of its net asset value (NAV): return, volatility, drawdown, Sharpe ratio, rank
//! among peers. Pure, and the same bits on every target. `docs/measures.md` says the formulas and their sources to people.
//!
//! It must never annualise less than a year, never guess over a gap, and never say anything of a history that it cannot read:
//! what is not known is missing, and rules see it as unknown.
//!
//! # Daily returns
//! A day's return is that of someone who reinvests what is paid out at the NAV of the day it is paid (time-weighted, as GIPS asks
//! for): `(u1 + p) / u0 - 1`, where `u` is the unit NAV and `p` what was paid between the two. Chinese funds publish beside it an
//! *accumulated* NAV `a`, the unit NAV with all payments added back, not reinvested; so `p = (a1 - u1) - (a0 - u0)`, and the day's
//! return is `(a1 - a0) / u0`. After a split or a merger of shares many houses publish an accumulated NAV that is the unit NAV
//! times a factor; there `p` is not zero on any day, but `a1 / a0` is near `u1 / u0`. So a payment is seen only where the day is
//! neither additive nor proportional, within what rounding explains ([`ROUNDING`], [`ROUNDING_SHARE`]); payments below about 0.2 %
//! of the NAV are not told from rounding. On a day of a split the accumulated NAV goes on and the same formula holds. A move that
//! is larger than the plan allows is taken for a fault of the data: windows with it are unknown.

use super::Row;
use crate::time::{DAY_US, Micros, Moment};
use crate::value::Value;
use core::cmp::Ordering;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What rounding of published NAVs (to 0.001) may add up to in a difference of four of them.
pub const ROUNDING: f64 = 0.0011;
/// Part of the NAV within which a day is taken to be one without a payment, beside [`ROUNDING`].
pub const ROUNDING_SHARE: f64 = 0.001;
/// Days of a year in annualised returns.
const YEAR_DAYS: f64 = 365.0;
/// Months of the shortest window that is annualised.
pub const ANNUALISED_MONTHS_MIN: u16 = 12;
/// Part of a year's trading days that must have a NAV before a volatility is told.
const DENSITY_MIN: f64 = 0.75;

/// One NAV.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Nav {
    /// Day of valuation, days since 1970-01-01.
    pub day: i32,
    /// NAV of a unit, above zero.
    pub unit: f64,
    /// Unit NAV with everything paid out so far added back, where it is published.
    pub accumulated: Option<f64>,
}

/// How far back a measure looks from the newest NAV.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Span {
    /// Calendar days.
    Days(u16),
    /// Calendar months; the day is cut to the month's length.
    Months(u16),
    /// To the first NAV.
    Inception,
}

/// What is measured. Shares are plain numbers: 0.05 is 5 %.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Newest unit NAV (number).
    Nav,
    /// Day of the newest NAV, midnight UTC (time).
    NavAt,
    /// Day of the first NAV, midnight UTC (time).
    FirstNavAt,
    /// Days from the first NAV to the newest (integer).
    AgeDays,
    /// Newest days in a row on which the NAV fell, payments added back (integer).
    DaysDown,
    /// Total return over the span (number).
    Return(Span),
    /// Total return a year, `(1 + R) ^ (365 / days) - 1`; unknown under a year (number).
    AnnualisedReturn(Span),
    /// Standard deviation (n - 1) of daily returns times the root of the trading days of a year; unknown under a year (number).
    Volatility(Span),
    /// Largest fall from a peak to a later trough within the span, 0 to 1 (number).
    Drawdown(Span),
    /// Mean of daily returns above the risk-free rate over their standard deviation, times the root of the trading days of a
    /// year (Sharpe 1994, ex post); unknown under a year (number).
    Sharpe(Span),
    /// Place among the peers by the attribute of this index, 1 the best; equals share the better place (integer).
    Rank {
        /// Attribute that is compared.
        of: u16,
        /// Lower is better.
        low: bool,
    },
    /// Share of the peers that are worse, equals counted half, 0 to 1 (number).
    Quantile {
        /// Attribute that is compared.
        of: u16,
        /// Lower is better.
        low: bool,
    },
}

/// A measure and the attribute that it fills.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeasurePlan {
    /// Index of the attribute.
    pub attribute: u16,
    /// What is measured.
    pub measure: Measure,
}

/// The measures of a catalogue.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MeasuresPlan {
    /// Index of the text attribute whose equals are peers; without it all items are.
    pub peer_group: Option<u16>,
    /// Trading days of a year.
    pub trading_days: u16,
    /// Risk-free rate a year, a share.
    pub risk_free_rate: f64,
    /// Most calendar days between two NAVs; a window with a longer gap is unknown.
    pub longest_gap_days: u16,
    /// Largest return of a day that is believed, a share.
    pub largest_move: f64,
    /// The measures, ascending by attribute.
    pub list: Vec<MeasurePlan>,
}

impl MeasuresPlan {
    /// True when the attribute of this index is computed.
    pub fn fills(&self, attribute: usize) -> bool {
        self.list
            .iter()
            .any(|m| usize::from(m.attribute) == attribute)
    }

    fn attribute_of(&self, measure: Measure) -> Option<usize> {
        let found = self.list.iter().find(|m| m.measure == measure)?;
        Some(usize::from(found.attribute))
    }
}

/// Year, month (1..=12) and day of a day number.
pub fn civil(day: i32) -> (i32, u32, u32) {
    let moment = Moment {
        now: Micros(i64::from(day) * DAY_US),
        utc_offset_s: 0,
    };
    let (year, month, day) = moment.civil();
    (year as i32, month as u32, day as u32)
}

/// Day number of a civil date (proleptic Gregorian; Hinnant 2013, `days_from_civil`).
pub fn day_number(year: i32, month: u32, day: u32) -> i32 {
    let (m, d) = (i64::from(month), i64::from(day));
    let y = i64::from(year) - i64::from(m <= 2);
    let era = y.div_euclid(400);
    let year_of_era = y.rem_euclid(400);
    let of_year = (153 * (if m > 2 { m - 3 } else { m + 9 }) + 2) / 5 + d - 1;
    let of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year;
    (era * 146_097 + of_era - 719_468) as i32
}

/// The day `months` before `day`, cut to the month's length.
pub fn months_before(day: i32, months: u16) -> i32 {
    let (y, m, d) = civil(day);
    let index = y * 12 + m as i32 - 1 - i32::from(months);
    let (y, m) = (index.div_euclid(12), index.rem_euclid(12) as u32 + 1);
    let (after_y, after_m) = if m == 12 { (y + 1, 1) } else { (y, m + 1) };
    let length = day_number(after_y, after_m, 1) - day_number(y, m, 1);
    day_number(y, m, d.min(length as u32))
}

/// Return of one step of the series; none where it cannot be told.
fn step(from: &Nav, to: &Nav, largest: f64) -> Option<f64> {
    let good = |v: f64| v.is_finite() && v > 0.0;
    if !good(from.unit) || !good(to.unit) {
        return None;
    }
    let plain = to.unit / from.unit - 1.0;
    let r = match (from.accumulated, to.accumulated) {
        (Some(a0), Some(a1)) if good(a0) && good(a1) => {
            let paid = (a1 - to.unit) - (a0 - from.unit);
            let additive = paid.abs() <= ROUNDING + ROUNDING_SHARE * from.unit;
            let proportional =
                (a1 / a0 - to.unit / from.unit).abs() <= ROUNDING_SHARE + ROUNDING / from.unit;
            if additive || proportional {
                plain
            } else {
                (a1 - a0) / from.unit
            }
        }
        _ => plain,
    };
    (r.abs() <= largest).then_some(r)
}

/// A history made ready: returns and the index that they make.
#[derive(Debug)]
struct History<'h> {
    plan: &'h MeasuresPlan,
    navs: &'h [Nav],
    /// Return from the day before; the first is 0. None over a gap or a fault.
    returns: Vec<Option<f64>>,
    /// Worth of 1 invested at the first NAV; goes on unchanged over what is not known.
    index: Vec<f64>,
    /// Steps that are not known, up to and with each day.
    unknown: Vec<u32>,
}

impl<'h> History<'h> {
    fn new(plan: &'h MeasuresPlan, navs: &'h [Nav]) -> Self {
        let mut out = Self {
            plan,
            navs,
            returns: Vec::with_capacity(navs.len()),
            index: Vec::with_capacity(navs.len()),
            unknown: Vec::with_capacity(navs.len()),
        };
        let (mut index, mut unknown) = (1.0, 0);
        for (i, nav) in navs.iter().enumerate() {
            let r = match i.checked_sub(1).map(|b| &navs[b]) {
                None => Some(0.0),
                Some(before) if nav.day - before.day > i32::from(plan.longest_gap_days) => None,
                Some(before) => step(before, nav, plan.largest_move),
            };
            match r {
                Some(r) => index *= 1.0 + r,
                None => unknown += 1,
            }
            out.returns.push(r);
            out.index.push(index);
            out.unknown.push(unknown);
        }
        out
    }

    /// First row of the span; none when the history is too short or not whole.
    fn base(&self, span: Span) -> Option<usize> {
        let last = self.navs.len().checked_sub(1)?;
        let base = match span {
            Span::Inception => 0,
            Span::Days(_) | Span::Months(_) => {
                let newest = self.navs[last].day;
                let wanted = match span {
                    Span::Days(days) => newest.saturating_sub(i32::from(days)),
                    Span::Months(months) => months_before(newest, months),
                    Span::Inception => newest,
                };
                let base = self
                    .navs
                    .partition_point(|n| n.day <= wanted)
                    .checked_sub(1)?;
                if wanted - self.navs[base].day > i32::from(self.plan.longest_gap_days) {
                    return None;
                }
                base
            }
        };
        (base < last && self.unknown[base] == self.unknown[last]).then_some(base)
    }

    /// The same, for what is annualised: a year at least.
    fn base_of_years(&self, span: Span) -> Option<(usize, f64)> {
        let base = self.base(span)?;
        let last = self.navs.len() - 1;
        let days = f64::from(self.navs[last].day - self.navs[base].day);
        (days >= YEAR_DAYS).then_some((base, days))
    }

    fn total(&self, base: usize) -> f64 {
        self.index[self.index.len() - 1] / self.index[base]
    }

    /// Mean and standard deviation of the daily returns behind `base`, when there are enough of them.
    fn moments(&self, base: usize, days: f64) -> Option<(f64, f64)> {
        let returns = || self.returns[base + 1..].iter().flatten();
        let n = returns().count() as f64;
        if n < 2.0 || n < DENSITY_MIN * f64::from(self.plan.trading_days) * days / YEAR_DAYS {
            return None;
        }
        let mean = returns().sum::<f64>() / n;
        let squares: f64 = returns().map(|r| (r - mean) * (r - mean)).sum();
        Some((mean, libm::sqrt(squares / (n - 1.0))))
    }

    fn value(&self, measure: Measure) -> Option<Value<'static>> {
        let (first, last) = (self.navs.first()?, self.navs.last()?);
        let number = |v: f64| v.is_finite().then_some(Value::Number(v));
        let year = libm::sqrt(f64::from(self.plan.trading_days));
        match measure {
            Measure::Nav => number(last.unit),
            Measure::NavAt => Some(Value::Time(Micros(i64::from(last.day) * DAY_US))),
            Measure::FirstNavAt => Some(Value::Time(Micros(i64::from(first.day) * DAY_US))),
            Measure::AgeDays => Some(Value::Int(i64::from(last.day - first.day))),
            Measure::DaysDown => {
                let fell = |r: &&Option<f64>| r.is_some_and(|r| r < 0.0);
                Some(Value::Int(
                    self.returns.iter().rev().take_while(fell).count() as i64,
                ))
            }
            Measure::Return(span) => number(self.total(self.base(span)?) - 1.0),
            Measure::AnnualisedReturn(span) => {
                let (base, days) = self.base_of_years(span)?;
                number(libm::pow(self.total(base), YEAR_DAYS / days) - 1.0)
            }
            Measure::Volatility(span) => {
                let (base, days) = self.base_of_years(span)?;
                number(self.moments(base, days)?.1 * year)
            }
            Measure::Sharpe(span) => {
                let (base, days) = self.base_of_years(span)?;
                let (mean, deviation) = self.moments(base, days)?;
                let free = self.plan.risk_free_rate / f64::from(self.plan.trading_days);
                number((mean - free) / deviation * year)
            }
            Measure::Drawdown(span) => {
                let base = self.base(span)?;
                let mut peak = self.index[base];
                let mut deepest = 0.0;
                for v in &self.index[base..] {
                    peak = f64::max(peak, *v);
                    deepest = f64::max(deepest, 1.0 - v / peak);
                }
                number(deepest)
            }
            Measure::Rank { .. } | Measure::Quantile { .. } => None,
        }
    }
}

/// The measures of one history (ascending by day, each day once), in the order of [`MeasuresPlan::list`]; ranks are missing,
/// they are [`rank`]'s.
pub fn of_history(plan: &MeasuresPlan, navs: &[Nav]) -> Vec<Value<'static>> {
    let history = History::new(plan, navs);
    (plan.list.iter())
        .map(|m| history.value(m.measure).unwrap_or_default())
        .collect()
}

/// Fills in ranks and quantiles over the rows of a catalogue; a row that changes is copied, the others stay shared. Returns how
/// many were copied.
///
/// Peers are items with the same text in the peer group's attribute whose newest NAV is not older than the longest gap before
/// the newest of the catalogue; the others have no rank.
pub fn rank(plan: &MeasuresPlan, rows: &mut [Row]) -> usize {
    let nav_at = plan.attribute_of(Measure::NavAt);
    let day = |row: &Row| match nav_at.and_then(|a| row.get(a + 1)) {
        Some(Value::Time(t)) => Some(t.0),
        _ => None,
    };
    let newest = rows.iter().filter_map(day).max();
    let oldest = newest.map(|n| n - i64::from(plan.longest_gap_days) * DAY_US);
    let group = |row: &Row| match plan.peer_group.map(usize::from) {
        None => Some(String::new()),
        Some(a) => match row.get(a + 1) {
            Some(Value::Text(t)) => Some(t.as_ref().to_owned()),
            _ => None,
        },
    };
    let groups: Vec<Option<String>> = (rows.iter())
        .map(|row| group(row).filter(|_| day(row) >= oldest && oldest.is_some()))
        .collect();
    let mut found: Vec<(usize, usize, Value<'static>)> = Vec::new();
    for m in &plan.list {
        let (Measure::Rank { of, low } | Measure::Quantile { of, low }) = m.measure else {
            continue;
        };
        let mut peers: Vec<(&str, f64, usize)> = (rows.iter().zip(&groups).enumerate())
            .filter_map(|(i, (row, group))| {
                let v = row.get(usize::from(of) + 1)?.as_number()?;
                Some((group.as_deref()?, if low { v } else { -v }, i))
            })
            .collect();
        peers.sort_by(|a, b| {
            (a.0.cmp(b.0))
                .then(a.1.partial_cmp(&b.1).unwrap_or(Ordering::Equal))
                .then(a.2.cmp(&b.2))
        });
        for peers in peers.chunk_by(|a, b| a.0 == b.0) {
            let n = peers.len() as f64;
            let mut better = 0;
            for equals in peers.chunk_by(|a, b| a.1 == b.1) {
                let worse = peers.len() - better - equals.len();
                let value = match m.measure {
                    Measure::Rank { .. } => Value::Int(better as i64 + 1),
                    _ => Value::Number((worse as f64 + equals.len() as f64 / 2.0) / n),
                };
                found.extend(
                    (equals.iter()).map(|e| (e.2, usize::from(m.attribute), value.clone())),
                );
                better += equals.len();
            }
        }
    }
    let ranked: Vec<usize> = (plan.list.iter())
        .filter(|m| matches!(m.measure, Measure::Rank { .. } | Measure::Quantile { .. }))
        .map(|m| usize::from(m.attribute))
        .collect();
    if ranked.is_empty() {
        return 0;
    }
    found.sort_by_key(|(row, attribute, _)| (*row, *attribute));
    let mut found = found.into_iter().peekable();
    let mut copied = 0;
    for (i, row) in rows.iter_mut().enumerate() {
        let mut wanted: Vec<(usize, Value<'static>)> =
            ranked.iter().map(|a| (*a, Value::Missing)).collect();
        while let Some((_, attribute, value)) = found.next_if(|(r, _, _)| *r == i) {
            if let Some(w) = wanted.iter_mut().find(|(a, _)| *a == attribute) {
                w.1 = value;
            }
        }
        if wanted.iter().any(|(a, v)| row.get(a + 1) != Some(v)) {
            let mut values = row.to_vec();
            for (a, v) in wanted {
                if let Some(place) = values.get_mut(a + 1) {
                    *place = v;
                }
            }
            *row = Arc::from(values);
            copied += 1;
        }
    }
    copied
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn plan(list: &[Measure]) -> MeasuresPlan {
        MeasuresPlan {
            peer_group: None,
            trading_days: 250,
            risk_free_rate: 0.02,
            longest_gap_days: 15,
            largest_move: 0.3,
            list: (list.iter().enumerate())
                .map(|(i, m)| MeasurePlan {
                    attribute: i as u16,
                    measure: *m,
                })
                .collect(),
        }
    }
    fn nav(day: i32, unit: f64, accumulated: f64) -> Nav {
        Nav {
            day,
            unit,
            accumulated: Some(accumulated),
        }
    }
    fn one(measure: Measure, navs: &[Nav]) -> Value<'static> {
        of_history(&plan(&[measure]), navs).remove(0)
    }
    fn number(v: &Value<'_>) -> f64 {
        match v {
            Value::Number(n) => *n,
            other => panic!("{other:?}"),
        }
    }
    /// A NAV on each day for so many days.
    fn daily(days: i32, f: impl Fn(i32) -> f64) -> Vec<Nav> {
        (0..days).map(|d| nav(16_000 + d, f(d), f(d))).collect()
    }

    #[test]
    fn civil_dates_go_there_and_back_and_months_are_cut() {
        for day in [-800_000, -1, 0, 59, 11_016, 16_495, 20_000] {
            let (y, m, d) = civil(day);
            assert_eq!(day_number(y, m, d), day);
        }
        assert_eq!(civil(0), (1970, 1, 1));
        let march_31 = day_number(2024, 3, 31);
        assert_eq!(civil(months_before(march_31, 1)), (2024, 2, 29));
        assert_eq!(civil(months_before(march_31, 13)), (2023, 2, 28));
        assert_eq!(civil(months_before(march_31, 3)), (2023, 12, 31));
    }

    #[test]
    fn what_is_paid_out_is_reinvested() {
        // 1.00, then 0.10 paid and 0.95 left: 5 % up; then 0.95 to 1.045: 10 % up.
        let navs = [
            nav(100, 1.0, 1.0),
            nav(101, 0.95, 1.05),
            nav(102, 1.045, 1.145),
        ];
        let r = number(&one(Measure::Return(Span::Inception), &navs));
        assert!((r - (1.05 * 1.1 - 1.0)).abs() < 1e-12, "{r}");
        // A series that is the unit NAV times a factor (after a split) pays nothing.
        let split = [
            nav(100, 1.0, 1.456),
            nav(101, 1.027, 1.495),
            nav(102, 1.037, 1.510),
        ];
        let r = number(&one(Measure::Return(Span::Inception), &split));
        assert!((r - 0.037).abs() < 1e-12, "{r}");
    }

    #[test]
    fn nothing_is_annualised_under_a_year() {
        let all = [
            Measure::AnnualisedReturn(Span::Inception),
            Measure::Volatility(Span::Inception),
            Measure::Sharpe(Span::Inception),
            Measure::AnnualisedReturn(Span::Months(12)),
        ];
        let wave = |d: i32| 1.0 + 0.001 * f64::from(d % 7) + 0.0005 * f64::from(d);
        let short = of_history(&plan(&all), &daily(365, wave));
        assert!(short.iter().all(Value::is_missing), "{short:?}");
        let long = of_history(&plan(&all), &daily(366, wave));
        assert!(long[..3].iter().all(|v| !v.is_missing()), "{long:?}");
    }

    #[test]
    fn gaps_faults_and_short_histories_are_unknown() {
        let year = Measure::Return(Span::Months(12));
        let flat = |_| 1.0;
        assert!(one(year, &daily(300, flat)).is_missing());
        assert!(one(year, &[]).is_missing());
        assert!(one(Measure::Return(Span::Inception), &daily(1, flat)).is_missing());
        let mut gap = daily(500, flat);
        gap.drain(200..216);
        assert!(one(year, &gap).is_missing());
        assert_eq!(number(&one(Measure::Return(Span::Months(6)), &gap)), 0.0);
        let mut zero = daily(500, flat);
        zero[450].unit = 0.0;
        assert!(one(year, &zero).is_missing());
        let mut jump = daily(500, flat);
        jump.iter_mut().skip(450).for_each(|n| n.unit = 0.5);
        // A split: the accumulated NAV goes on.
        assert_eq!(number(&one(year, &jump)), 0.0);
        jump.iter_mut().for_each(|n| n.accumulated = None);
        assert!(one(year, &jump).is_missing());
        // A weekly NAV is not a daily one.
        let weekly: Vec<Nav> = daily(800, |d| 1.0 + 0.001 * f64::from(d % 5))
            .into_iter()
            .step_by(7)
            .collect();
        assert!(one(Measure::Volatility(Span::Months(12)), &weekly).is_missing());
        assert!(!one(year, &weekly).is_missing());
    }

    #[test]
    fn days_down_are_counted_from_the_newest() {
        let navs = daily(10, |d| {
            [1.0, 1.1, 1.2, 1.1, 1.0, 1.05, 1.06, 1.05, 1.04, 1.03][d as usize]
        });
        assert_eq!(one(Measure::DaysDown, &navs), Value::Int(3));
        assert_eq!(one(Measure::AgeDays, &navs), Value::Int(9));
        let fall = number(&one(Measure::Drawdown(Span::Inception), &navs));
        assert!((fall - (1.0 - 1.0 / 1.2)).abs() < 1e-12);
    }

    #[test]
    fn a_return_of_days_begins_with_the_nav_before_them() {
        // Friday, Monday, Tuesday, then a holiday of a week, and the day after it.
        let navs = [(0, 1.0), (3, 1.1), (4, 0.99), (12, 1.089)];
        let navs: Vec<Nav> = navs.iter().map(|(d, u)| nav(20_000 + d, *u, *u)).collect();
        let day = Measure::Return(Span::Days(1));
        let returned = |navs: &[Nav]| number(&one(day, navs));
        assert!((returned(&navs[..2]) - 0.1).abs() < 1e-12);
        assert!((returned(&navs[..3]) + 0.1).abs() < 1e-12);
        assert!((returned(&navs) - 0.1).abs() < 1e-12);
        let week = number(&one(Measure::Return(Span::Days(9)), &navs));
        assert!((week - (1.089 / 1.1 - 1.0)).abs() < 1e-12);
        assert!(one(Measure::Return(Span::Days(13)), &navs).is_missing());
    }

    fn row(key: &str, group: &str, day: i64, v: Value<'static>) -> Row {
        Arc::from(vec![
            Value::text(key.to_owned()),
            Value::text(group.to_owned()),
            Value::Time(Micros(day * DAY_US)),
            v,
            Value::Missing,
            Value::Missing,
        ])
    }

    #[test]
    fn peers_are_ranked_and_stale_ones_are_not() {
        let plan = MeasuresPlan {
            peer_group: Some(0),
            list: vec![
                MeasurePlan {
                    attribute: 1,
                    measure: Measure::NavAt,
                },
                MeasurePlan {
                    attribute: 3,
                    measure: Measure::Rank { of: 2, low: false },
                },
                MeasurePlan {
                    attribute: 4,
                    measure: Measure::Quantile { of: 2, low: false },
                },
            ],
            ..plan(&[])
        };
        let mut rows = vec![
            row("a", "bond", 1_000, Value::Number(0.1)),
            row("b", "bond", 1_000, Value::Number(0.3)),
            row("c", "bond", 999, Value::Number(0.1)),
            row("d", "bond", 900, Value::Number(0.9)),
            row("e", "equity", 1_000, Value::Number(0.0)),
            row("f", "equity", 1_000, Value::Missing),
        ];
        assert_eq!(rank(&plan, &mut rows), 4);
        let ranks: Vec<_> = rows.iter().map(|r| r[4].clone()).collect();
        assert_eq!(
            ranks,
            [
                Value::Int(2),
                Value::Int(1),
                Value::Int(2),
                Value::Missing,
                Value::Int(1),
                Value::Missing
            ]
        );
        assert_eq!(rows[1][5], Value::Number(2.5 / 3.0));
        assert_eq!(rows[0][5], Value::Number(1.0 / 3.0));
        // Nothing changed: every row stays shared.
        assert_eq!(rank(&plan, &mut rows), 0);
    }

    proptest! {
        /// A scale of the NAV changes no measure that is a share, beyond rounding.
        #[test]
        fn shares_do_not_depend_on_the_scale(moves in proptest::collection::vec(-0.02f64..0.02, 400..600)) {
            let mut unit = 1.0;
            let navs: Vec<Nav> = moves.iter().enumerate().map(|(i, m)| {
                unit *= 1.0 + m;
                Nav { day: 10_000 + i as i32, unit, accumulated: None }
            }).collect();
            let scaled: Vec<Nav> = navs.iter().map(|n| Nav { unit: n.unit * 8.0, ..*n }).collect();
            let plan = plan(&[
                Measure::Return(Span::Months(12)), Measure::Volatility(Span::Months(12)),
                Measure::Sharpe(Span::Inception), Measure::Drawdown(Span::Inception),
                Measure::AnnualisedReturn(Span::Inception),
            ]);
            // Times a power of two every operation is exact, so the bits are the same.
            prop_assert_eq!(of_history(&plan, &navs), of_history(&plan, &scaled));
            let fall = number(&of_history(&plan, &navs)[3]);
            prop_assert!((0.0..=1.0).contains(&fall));
        }

        /// The return over the whole is the product of the days'.
        #[test]
        fn returns_chain(moves in proptest::collection::vec(-0.05f64..0.05, 2..100)) {
            let mut unit = 1.0;
            let mut product = 1.0;
            let mut navs = vec![Nav { day: 0, unit, accumulated: None }];
            for (i, m) in moves.iter().enumerate() {
                unit *= 1.0 + m;
                product *= 1.0 + m;
                navs.push(Nav { day: i as i32 + 1, unit, accumulated: None });
            }
            let r = number(&one(Measure::Return(Span::Inception), &navs));
            prop_assert!((r - (product - 1.0)).abs() < 1e-9);
        }
    }
}
