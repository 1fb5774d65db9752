//! How well a ranking puts those first whom the treatment moves, on rows that it has not learned from.
//!
//! | figure | definition |
//! |---|---|
//! | [`Measures::qini_coefficient`] | scikit-uplift's `qini_auc_score` (with `negative_effect`): area above the diagonal under the Qini curve through the points at which scores change, over that of the best ranking |
//! | [`Measures::uplift_coefficient`] | scikit-uplift's `uplift_auc_score`: the same of the uplift curve |
//! | [`Measures::qini_mean`] | causalml's `qini_score`: mean of the Qini curve behind every row, scaled to end at 1 or -1, less the diagonal's |
//! | [`Measures::uplift_mean`] | causalml's `auuc_score`: mean of the uplift curve behind every row, scaled so; about one half for a ranking that knows nothing |
//! | [`Measures::qini_area`], [`Measures::uplift_area`] | areas in outcomes: not divided by anything that chance can bring near zero |
//!
//! Rows of one score: scikit-uplift steps over them at once, as is done here; causalml takes them as they happen to lie, and here
//! as they lie on average. This room must never look at how scores were made.

use super::bootstrap::{Bootstrap, Interval};
use super::curve::{Areas, Curve, Means, Point, means};
use super::error::{countable, length, setting, values, weights};
use super::ordered::{Order, Sums, order, prefixes};
use super::table::{self, Bin, Strategy};
use super::{BINS_MAX, Error};

/// Rows that a ranking is judged by: those that were treated and those of the control.
#[derive(Debug, Clone, Copy)]
pub struct Rows<'a> {
    /// Higher is ranked first; finite.
    pub scores: &'a [f64],
    /// What happened, finite.
    pub outcomes: &'a [f64],
    /// Whether a row was treated; none for rows of another treatment, which do not count ([`super::Arms::against`]).
    pub treated: &'a [Option<bool>],
    /// How much a row counts; 1 each where there are none. Where arms were not drawn with the same probabilities for everybody:
    /// one over the propensity of the row's arm. Rows of weight 0 are no rows.
    pub weights: Option<&'a [f64]>,
}

/// Figures of a ranking. Those of the best ranking (`_coefficient`) are there for outcomes of 0 and 1 alone, and not where nothing
/// could be ranked better; those that are scaled by the end of the curve not where it ends at zero.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Measures {
    /// Mean outcome of the treated less that of the control.
    pub effect: f64,
    /// Area between the Qini curve and the diagonal; both axes as in [`Point`].
    pub qini_area: f64,
    /// Area between the uplift curve and the diagonal; both axes as in [`Point`].
    pub uplift_area: f64,
    /// Area between the Qini curve and the diagonal, over that of the ranking which scikit-uplift calls perfect.
    pub qini_coefficient: Option<f64>,
    /// The same of the uplift curve.
    pub uplift_coefficient: Option<f64>,
    /// Mean of the scaled Qini curve less one half of its end.
    pub qini_mean: Option<f64>,
    /// Mean of the scaled uplift curve.
    pub uplift_mean: Option<f64>,
}

/// Intervals of [`Measures`]; none where a resample has no such figure.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Intervals {
    /// Of [`Measures::effect`].
    pub effect: Option<Interval>,
    /// Of [`Measures::qini_area`].
    pub qini_area: Option<Interval>,
    /// Of [`Measures::uplift_area`].
    pub uplift_area: Option<Interval>,
    /// Of [`Measures::qini_coefficient`].
    pub qini_coefficient: Option<Interval>,
    /// Of [`Measures::uplift_coefficient`].
    pub uplift_coefficient: Option<Interval>,
    /// Of [`Measures::qini_mean`].
    pub qini_mean: Option<Interval>,
    /// Of [`Measures::uplift_mean`].
    pub uplift_mean: Option<Interval>,
}

/// A ranking of rows whose arms and outcomes are known.
#[derive(Debug, Clone)]
pub struct Ranking {
    order: Order,
    /// By row, in the order that was given: arm, weight, weighted outcome, weighted score.
    arms: Vec<u32>,
    weights: Vec<f64>,
    outcomes: Vec<f64>,
    scores: Vec<f64>,
    is_binary: bool,
    groups: Vec<Sums>,
    all: Sums,
}

impl Ranking {
    /// Puts the rows in order.
    ///
    /// # Errors
    /// Columns of unequal length, values that are not finite, no row of the treated or of the control.
    pub fn new(rows: &Rows<'_>) -> Result<Self, Error> {
        let count = rows.scores.len();
        countable(count)?;
        length("the outcome", rows.outcomes.len(), count)?;
        length("the treatment", rows.treated.len(), count)?;
        weights(rows.weights, count)?;
        values("the score", rows.scores, "a finite number", f64::is_finite)?;
        values(
            "the outcome",
            rows.outcomes,
            "a finite number",
            f64::is_finite,
        )?;
        let weight = |row: usize| rows.weights.map_or(1.0, |weights| weights[row]);
        let kept: Vec<usize> = (0..count)
            .filter(|row| rows.treated[*row].is_some() && weight(*row) > 0.0)
            .collect();
        let arms: Vec<u32> = (kept.iter())
            .map(|row| u32::from(rows.treated[*row] == Some(true)))
            .collect();
        for (arm, name) in [(0, "control"), (1, "treated")] {
            if !arms.contains(&arm) {
                return Err(Error::Few {
                    arm: name.to_owned(),
                    rows: 0,
                    least: 1,
                    why: "a ranking is judged by what both arms did",
                });
            }
        }
        let weights: Vec<f64> = kept.iter().map(|row| weight(*row)).collect();
        let weighted = |values: &[f64]| -> Vec<f64> {
            (kept.iter().zip(&weights))
                .map(|(row, weight)| weight * values[*row])
                .collect()
        };
        let scores: Vec<f64> = kept.iter().map(|row| rows.scores[*row]).collect();
        let mut out = Self {
            order: order(&scores, (0..kept.len() as u32).collect()),
            is_binary: kept
                .iter()
                .all(|row| rows.outcomes[*row] == 0.0 || rows.outcomes[*row] == 1.0),
            outcomes: weighted(rows.outcomes),
            scores: weighted(rows.scores),
            arms,
            weights,
            groups: Vec::new(),
            all: Sums::default(),
        };
        out.groups = out.grouped(None);
        out.all = Areas::of(&out.groups).all;
        Ok(out)
    }

    /// Sums of the groups, of each row so many.
    fn grouped(&self, counts: Option<&[u32]>) -> Vec<Sums> {
        let of = |group: core::ops::Range<usize>| {
            let mut sums = Sums::default();
            for row in &self.order.places[group] {
                let row = *row as usize;
                let (arm, count) = (
                    self.arms[row] as usize,
                    counts.map_or(1.0, |counts| f64::from(counts[row])),
                );
                sums.rows[arm] += count;
                sums.weights[arm] += count * self.weights[row];
                sums.outcomes[arm] += count * self.outcomes[row];
                sums.scores[arm] += count * self.scores[row];
            }
            sums
        };
        let groups = self.order.groups().map(of);
        match counts {
            None => groups.collect(),
            Some(_) => groups.filter(|sums| sums.count() > 0.0).collect(),
        }
    }

    fn resampled(
        &self,
        bootstrap: &Bootstrap,
        mut of: impl FnMut(&[Sums]) -> Vec<f64>,
    ) -> Result<Vec<Option<Interval>>, Error> {
        bootstrap.check()?;
        let mut lines = Vec::with_capacity(bootstrap.resamples);
        bootstrap.resample(&self.arms, |counts| {
            lines.push(of(&self.grouped(Some(counts))))
        });
        Ok(bootstrap.intervals(&lines))
    }

    /// The figures.
    pub fn measures(&self) -> Measures {
        let [effect, qini_area, uplift_area, rest @ ..] = self.figures(&self.groups);
        let [qini_coefficient, uplift_coefficient, qini_mean, uplift_mean] =
            rest.map(|x| x.is_finite().then_some(x));
        Measures {
            effect,
            qini_area,
            uplift_area,
            qini_coefficient,
            uplift_coefficient,
            qini_mean,
            uplift_mean,
        }
    }

    /// How sure the figures are.
    ///
    /// # Errors
    /// A number of resamples or a level out of range.
    pub fn intervals(&self, bootstrap: &Bootstrap) -> Result<Intervals, Error> {
        let found = self.resampled(bootstrap, |groups| self.figures(groups).to_vec())?;
        Ok(Intervals {
            effect: found[0],
            qini_area: found[1],
            uplift_area: found[2],
            qini_coefficient: found[3],
            uplift_coefficient: found[4],
            qini_mean: found[5],
            uplift_mean: found[6],
        })
    }

    /// In the order of [`Measures`]; what there is none of is not a number.
    fn figures(&self, groups: &[Sums]) -> [f64; 7] {
        let areas = Areas::of(groups);
        let above = areas.above();
        let [qini, uplift] = match self.is_binary {
            true => areas.perfect(),
            false => [f64::NAN; 2],
        };
        let over = |above: f64, below: f64| {
            if below == 0.0 {
                f64::NAN
            } else {
                above / below
            }
        };
        let weight = areas.all.weight();
        let Means {
            qini: mean,
            uplift: gain,
        } = means(groups);
        [
            areas.all.lift(),
            above[0] / (weight * areas.all.weights[1]),
            above[1] / (weight * weight),
            over(above[0], qini),
            over(above[1], uplift),
            over(mean[0] - mean[1] / 2.0, mean[1].abs()),
            over(gain[0], gain[1].abs()),
        ]
    }

    /// The curves, with a point wherever the score changes.
    pub fn curve(&self) -> Curve {
        let mut sums = Sums::default();
        let mut points = vec![Point::of(&sums, &self.all)];
        for group in &self.groups {
            sums.add(group, 1.0);
            points.push(Point::of(&sums, &self.all));
        }
        Curve { points }
    }

    /// The curves at `steps` shares of the rows beside none, each as far from the next, with intervals where asked for.
    ///
    /// # Errors
    /// No steps, more than [`BINS_MAX`], a bootstrap out of range.
    pub fn curve_at(&self, steps: usize, bootstrap: Option<&Bootstrap>) -> Result<Curve, Error> {
        let points = |groups: &[Sums], all: &Sums| -> Vec<Point> {
            let rows = all.count();
            let positions: Vec<f64> = (0..=steps)
                .map(|step| rows * step as f64 / steps as f64)
                .collect();
            let sums = prefixes(groups, &positions, Sums::count);
            sums.iter().map(|sums| Point::of(sums, all)).collect()
        };
        counted("the number of steps", steps)?;
        let mut found = points(&self.groups, &self.all);
        if let Some(bootstrap) = bootstrap {
            let intervals = self.resampled(bootstrap, |groups| {
                let all = Areas::of(groups).all;
                points(groups, &all)
                    .iter()
                    .flat_map(|point| [point.qini, point.uplift])
                    .collect()
            })?;
            for (point, of) in found.iter_mut().zip(intervals.chunks_exact(2)) {
                (point.qini_interval, point.uplift_interval) = (of[0], of[1]);
            }
        }
        Ok(Curve { points: found })
    }

    /// The difference of both arms' mean outcomes among the first `share` of the rows, rounded down to whole rows (scikit-uplift's
    /// `uplift_at_k`); none where an arm has no rows there.
    ///
    /// # Errors
    /// A share that is not above 0 and at most 1.
    pub fn uplift_at(&self, share: f64, strategy: Strategy) -> Result<Option<f64>, Error> {
        shared(share)?;
        Ok(table::uplift(&table::top(
            &self.groups,
            &self.all,
            share,
            strategy,
        )))
    }

    /// How sure [`Ranking::uplift_at`] is; none where a resample has no such figure.
    ///
    /// # Errors
    /// As [`Ranking::uplift_at`], and a bootstrap out of range.
    pub fn uplift_at_interval(
        &self,
        share: f64,
        strategy: Strategy,
        bootstrap: &Bootstrap,
    ) -> Result<Option<Interval>, Error> {
        shared(share)?;
        let found = self.resampled(bootstrap, |groups| {
            let sums = table::top(groups, &self.all, share, strategy);
            vec![table::uplift(&sums).unwrap_or(f64::NAN)]
        })?;
        Ok(found[0])
    }

    /// Bins of as equal numbers of rows as can be, the highest scores first (scikit-uplift's `uplift_by_percentile`); deciles with
    /// ten. With intervals where asked for.
    ///
    /// # Errors
    /// No bins, more than [`BINS_MAX`] or than rows, a bootstrap out of range.
    pub fn bins(
        &self,
        count: usize,
        strategy: Strategy,
        bootstrap: Option<&Bootstrap>,
    ) -> Result<Vec<Bin>, Error> {
        counted("the number of bins", count)?;
        let rows = self.arms.len();
        if count > rows {
            return Err(setting(
                "the number of bins",
                count,
                "at most as many as there are rows",
            ));
        }
        let sums = |groups: &[Sums]| table::bins(groups, &self.all, count, strategy);
        let mut found: Vec<Bin> = sums(&self.groups).iter().map(Bin::of).collect();
        if let Some(bootstrap) = bootstrap {
            let intervals = self.resampled(bootstrap, |groups| {
                sums(groups)
                    .iter()
                    .map(|sums| table::uplift(sums).unwrap_or(f64::NAN))
                    .collect()
            })?;
            for (bin, interval) in found.iter_mut().zip(intervals) {
                bin.interval = interval;
            }
        }
        Ok(found)
    }
}

pub(super) fn counted(what: &'static str, found: usize) -> Result<(), Error> {
    if (1..=BINS_MAX).contains(&found) {
        return Ok(());
    }
    Err(setting(what, found, "1 to 10,000"))
}

fn shared(share: f64) -> Result<(), Error> {
    if share > 0.0 && share <= 1.0 {
        return Ok(());
    }
    Err(setting(
        "the share of rows",
        share,
        "above 0 and at most 1, such as 0.3",
    ))
}
