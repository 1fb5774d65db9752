//! The conditions that are looked at: cuts between values, sets of texts, known and missing.

use super::bits::Bits;
use super::{Condition, Kind, Settings};
use crate::tabular::{Frame, MISSING, Series};

/// Texts of a column that are looked at one by one: the most frequent.
const WORDS_ALONE_MAX: usize = 200;

/// What a condition asks of its column: two of one side never stand in one rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Below,
    Above,
    Words,
    Presence,
}

/// A condition with the rows that meet it.
pub(super) struct Literal {
    pub(super) condition: Condition,
    /// Place of the column in the table.
    pub(super) column: usize,
    pub(super) side: Side,
    pub(super) rows: Bits,
}

/// Conditions of all columns that may be used, in the table's order. `rows` are those learned from, `audience` is by their places there.
pub(super) fn literals(
    frame: &Frame,
    rows: &[usize],
    audience: &Bits,
    settings: &Settings,
) -> Vec<Literal> {
    let mut out = Vec::new();
    let used = frame.columns().enumerate();
    for (column, (name, series)) in used.filter(|(_, (name, _))| !settings.exclude.contains(*name))
    {
        let mut add = |condition, side, of: &dyn Fn(usize) -> bool| {
            let own = Bits::of(rows.len(), of);
            let count = own.count();
            if count > 0 && count < rows.len() as u64 {
                out.push(Literal {
                    condition,
                    column,
                    side,
                    rows: own,
                });
            }
        };
        let owned = || name.to_owned();
        match series {
            Series::Numbers(values) => {
                for cut in cuts(values, rows, settings.kind(name), settings.cuts_max) {
                    let column = owned();
                    let below = Condition::Below { column, cut };
                    add(below, Side::Below, &|at| values[rows[at]] < cut);
                    let column = owned();
                    let above = Condition::AtLeast { column, cut };
                    add(above, Side::Above, &|at| values[rows[at]] >= cut);
                }
            }
            Series::Texts { codes, levels } => {
                for (wanted, set) in word_sets(codes, levels, rows, audience, settings.words_max) {
                    let mut words: Vec<String> =
                        set.iter().map(|code| levels[*code].clone()).collect();
                    words.sort();
                    let column = owned();
                    let condition = if wanted {
                        Condition::OneOf { column, words }
                    } else {
                        Condition::NoneOf { column, words }
                    };
                    let mut of = vec![!wanted; levels.len()];
                    set.iter().for_each(|code| of[*code] = wanted);
                    add(condition, Side::Words, &|at| {
                        of.get(codes[rows[at]] as usize).copied().unwrap_or(false)
                    });
                }
            }
        }
        let missing = |at: usize| series.is_missing(rows[at]);
        add(
            Condition::Known { column: owned() },
            Side::Presence,
            &|at| !missing(at),
        );
        add(
            Condition::Missing { column: owned() },
            Side::Presence,
            &missing,
        );
    }
    out
}

/// Sets of texts, and whether they are asked for or ruled out: each alone, and the best and the worst together.
fn word_sets(
    codes: &[u32],
    levels: &[String],
    rows: &[usize],
    audience: &Bits,
    words_max: usize,
) -> Vec<(bool, Vec<usize>)> {
    let mut counts = vec![(0u64, 0u64); levels.len()];
    for (at, row) in rows.iter().enumerate() {
        if codes[*row] != MISSING {
            let own = &mut counts[codes[*row] as usize];
            *own = (own.0 + 1, own.1 + u64::from(audience.has(at)));
        }
    }
    let mut seen: Vec<usize> = (0..levels.len())
        .filter(|code| counts[*code].0 > 0)
        .collect();
    // Codes are in whatever order the table was read: texts decide where counts do not.
    seen.sort_by(|a, b| (counts[*b].0.cmp(&counts[*a].0)).then(levels[*a].cmp(&levels[*b])));
    seen.truncate(WORDS_ALONE_MAX);
    let mut out: Vec<(bool, Vec<usize>)> = seen
        .iter()
        .flat_map(|code| [(true, vec![*code]), (false, vec![*code])])
        .collect();
    let all: (u64, u64) = counts
        .iter()
        .fold((0, 0), |sum, own| (sum.0 + own.0, sum.1 + own.1));
    let base = all.1 as f64 / all.0.max(1) as f64;
    // Rare texts are drawn towards the whole.
    let rate = |code: usize| (counts[code].1 as f64 + 5.0 * base) / (counts[code].0 as f64 + 5.0);
    seen.sort_by(|a, b| (rate(*b).total_cmp(&rate(*a))).then(levels[*a].cmp(&levels[*b])));
    for size in 2..=words_max.min(seen.len().saturating_sub(1)) {
        out.push((true, seen[..size].to_vec()));
        out.push((false, seen[seen.len() - size..].to_vec()));
    }
    out
}

/// Up to `most` cuts between the values of `rows`, ascending, with about as many rows between them.
fn cuts(values: &[f64], rows: &[usize], kind: &Kind, most: usize) -> Vec<f64> {
    let mut sorted: Vec<f64> = rows
        .iter()
        .map(|row| values[*row])
        .filter(|x| !x.is_nan())
        .collect();
    sorted.sort_by(f64::total_cmp);
    let mut places: Vec<usize> = (1..sorted.len())
        .filter(|at| sorted[at - 1] < sorted[*at])
        .collect();
    if places.len() > most {
        let all = places;
        let nearest = |k: usize| {
            let aim = k * sorted.len() / (most + 1);
            let above = all.partition_point(|at| *at < aim).min(all.len() - 1);
            let below = above.saturating_sub(1);
            if aim.abs_diff(all[below]) <= aim.abs_diff(all[above]) {
                all[below]
            } else {
                all[above]
            }
        };
        places = (1..=most).map(nearest).collect();
        places.dedup();
    }
    let mut found: Vec<f64> = places
        .into_iter()
        .filter_map(|at| cut_between(kind, sorted[at - 1], sorted[at]))
        .collect();
    found.dedup();
    found
}

/// The plainest cut above `low` and not above `high`; none where none can be written.
pub(super) fn cut_between(kind: &Kind, low: f64, high: f64) -> Option<f64> {
    let middle = low / 2.0 + high / 2.0;
    let at = |step: f64| {
        let k = libm::floor(middle / step);
        [k * step, (k + 1.0) * step]
            .into_iter()
            .find(|cut| low < *cut && *cut <= high)
    };
    match kind {
        Kind::Boolean => Some(1.0),
        Kind::Duration => {
            const SECOND: f64 = 1e6;
            [86_400.0, 3_600.0, 60.0, 1.0]
                .into_iter()
                .find_map(|of| at(of * SECOND))
        }
        Kind::Money(_) => (0..=15)
            .rev()
            .find_map(|digits| at(libm::exp10(f64::from(digits)))),
        Kind::Number => {
            let largest = low.abs().max(high.abs());
            let top = libm::floor(libm::log10(largest)) as i32 + 1;
            // As decimals, so that what is written is what is meant.
            (top - 17..=top)
                .rev()
                .find_map(|digits| {
                    let step: f64 = format!("1e{digits}").parse().ok()?;
                    let decimal = |k: f64| format!("{k}e{digits}").parse::<f64>().ok();
                    // A value that is there, where it is as plain.
                    if decimal(libm::round(high / step)) == Some(high) {
                        return Some(high + 0.0);
                    }
                    let k = libm::floor(middle / step);
                    let cuts = [decimal(k)?, decimal(k + 1.0)?];
                    let between = |cut: &f64| low < *cut && *cut <= high;
                    cuts.into_iter().find(between).map(|cut| cut + 0.0)
                })
                .or(Some(high))
        }
    }
}
