//! Uplift by score: among the first share of the rows, and bin by bin. This room must never count a row twice.

use super::bootstrap::Interval;
use super::ordered::{Sums, prefixes};

/// How rows are counted off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    /// Both arms together, in one order.
    Overall,
    /// Each arm by itself.
    ByGroup,
}

/// Rows of like scores.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Bin {
    /// Rows of the treated; a part of a row where the bin ends within rows of one score.
    pub treated: f64,
    /// Rows of the control.
    pub control: f64,
    /// Mean score.
    pub score: f64,
    /// Mean outcome of the treated; none without rows.
    pub treated_outcome: Option<f64>,
    /// Mean outcome of the control; none without rows.
    pub control_outcome: Option<f64>,
    /// The difference; none where an arm has no rows.
    pub uplift: Option<f64>,
    /// Where it lies; none where a resample had no rows of an arm, or none was asked for.
    pub interval: Option<Interval>,
}

impl Bin {
    pub(super) fn of(sums: &Sums) -> Self {
        Self {
            treated: sums.rows[1],
            control: sums.rows[0],
            score: (sums.scores[0] + sums.scores[1]) / sums.weight(),
            treated_outcome: sums.mean(1),
            control_outcome: sums.mean(0),
            uplift: uplift(sums),
            interval: None,
        }
    }
}

pub(super) fn uplift(sums: &Sums) -> Option<f64> {
    Some(sums.mean(1)? - sums.mean(0)?)
}

/// What the first `share` of the rows hold, whole rows, rounded down.
pub(super) fn top(groups: &[Sums], all: &Sums, share: f64, strategy: Strategy) -> Sums {
    cut(
        groups,
        strategy,
        |rows| vec![(rows as f64 * share) as usize],
        all,
    )[0]
}

/// Bins of as equal numbers of rows as can be, the larger ones first.
pub(super) fn bins(groups: &[Sums], all: &Sums, count: usize, strategy: Strategy) -> Vec<Sums> {
    let ends = |rows: usize| {
        let (size, more) = (rows / count, rows % count);
        (1..=count).map(|bin| bin * size + bin.min(more)).collect()
    };
    let found = cut(groups, strategy, ends, all);
    let mut last = Sums::default();
    (found.iter())
        .map(|sums| {
            let bin = sums.minus(&last);
            last = *sums;
            bin
        })
        .collect()
}

/// What the first rows hold, up to the ends for that many rows.
fn cut(
    groups: &[Sums],
    strategy: Strategy,
    ends: impl Fn(usize) -> Vec<usize>,
    all: &Sums,
) -> Vec<Sums> {
    let positions = |rows: f64| -> Vec<f64> {
        ends(rows as usize)
            .into_iter()
            .map(|end| end as f64)
            .collect()
    };
    match strategy {
        Strategy::Overall => prefixes(groups, &positions(all.count()), Sums::count),
        Strategy::ByGroup => {
            let of = |arm: usize| {
                prefixes(groups, &positions(all.rows[arm]), move |sums| {
                    sums.rows[arm]
                })
            };
            (of(0).into_iter().zip(of(1)))
                .map(|(control, treated)| Sums {
                    rows: [control.rows[0], treated.rows[1]],
                    weights: [control.weights[0], treated.weights[1]],
                    outcomes: [control.outcomes[0], treated.outcomes[1]],
                    scores: [control.scores[0], treated.scores[1]],
                })
                .collect()
        }
    }
}
