//! How many to treat, and with what, when outcomes have a value and treatments cost: the expected net gain over treating nobody,
//! as a function of the share treated.
//!
//! Rows are ranked by the best of their scores and would get the treatment that it belongs to. Among the first rows, those of one
//! such treatment are a trial of it: the gain is the difference of what those of them who happened to get it brought and what
//! those of the control brought, less costs, for as many as they are. Where an arm has no rows there, the effect counts as none
//! and the costs count. Scores must come from other rows than these. The best share is chosen by the same rows: its gain is
//! somewhat too high for that, and the interval does not know.
//!
//! This room must never spend: it says what would come of it.

use super::bootstrap::{Bootstrap, Interval};
use super::error::{countable, length, setting, values, weights};
use super::measures::counted;
use super::ordered::{Order, order};
use super::{Arms, Effects, Error};

/// What a treatment is worth and costs, in one currency.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Economics {
    /// Of one unit of the outcome.
    pub value: f64,
    /// Of treating one, whatever comes of it.
    pub cost: f64,
    /// Of each unit of the outcome under the treatment, such as a coupon that is redeemed.
    pub cost_per_outcome: f64,
}

impl Economics {
    fn check(&self, treatment: usize) -> Result<(), Error> {
        for (what, found, fits) in [
            (
                "the value of an outcome",
                self.value,
                self.value.is_finite(),
            ),
            (
                "the cost of a treatment",
                self.cost,
                self.cost >= 0.0 && self.cost.is_finite(),
            ),
            (
                "the cost per outcome",
                self.cost_per_outcome,
                self.cost_per_outcome >= 0.0 && self.cost_per_outcome.is_finite(),
            ),
        ] {
            if !fits {
                let found = format!("{found} for treatment {}", treatment + 1);
                return Err(setting(
                    what,
                    found,
                    "a finite number, for costs not below 0",
                ));
            }
        }
        Ok(())
    }

    /// Net gain for one row, by mean outcomes of the treated and of the control.
    fn gain(&self, treated: f64, control: f64) -> f64 {
        (self.value - self.cost_per_outcome) * treated - self.value * control - self.cost
    }
}

fn priced(economics: &[Economics], treatments: usize) -> Result<(), Error> {
    length("the economics of treatments", economics.len(), treatments)?;
    (economics.iter().enumerate()).try_for_each(|(at, each)| each.check(at))
}

/// Expected net gains by row and treatment, from predicted effects and, where outcomes cost, predicted outcomes under treatment
/// ([`super::Model::treated_outcomes`]): scores for [`targeting`] and [`best`].
///
/// # Errors
/// Economics for another number of treatments or not finite; a cost per outcome without outcomes, or outcomes of another shape.
pub fn net_scores(
    effects: &Effects,
    treated_outcomes: Option<&Effects>,
    economics: &[Economics],
) -> Result<Effects, Error> {
    let treatments = effects.treatments;
    if treatments == 0 {
        return Err(setting(
            "the number of treatments",
            treatments,
            "at least 1",
        ));
    }
    priced(economics, treatments)?;
    let outcomes = match treated_outcomes {
        Some(outcomes) => {
            length(
                "the outcomes under treatment",
                outcomes.values.len(),
                effects.values.len(),
            )?;
            Some(&outcomes.values)
        }
        None => {
            if let Some(each) = economics.iter().find(|each| each.cost_per_outcome > 0.0) {
                return Err(setting(
                    "the cost per outcome",
                    each.cost_per_outcome,
                    "0, or give predicted outcomes under treatment, as s, t and x tell them",
                ));
            }
            None
        }
    };
    let net = |(at, effect): (usize, &f64)| {
        let each = &economics[at % treatments];
        each.value * effect
            - each.cost
            - outcomes.map_or(0.0, |outcomes| each.cost_per_outcome * outcomes[at])
    };
    Ok(Effects {
        values: effects.values.iter().enumerate().map(net).collect(),
        treatments,
    })
}

/// The best treatment of each row by its scores, counted from 1 as arms are; none where no score is above zero.
pub fn best(scores: &Effects) -> Vec<Option<u32>> {
    let of = |line: &[f64]| {
        let (at, score) = highest(line);
        (score > 0.0).then_some(at as u32 + 1)
    };
    scores
        .values
        .chunks_exact(scores.treatments.max(1))
        .map(of)
        .collect()
}

/// The first of the highest.
fn highest(line: &[f64]) -> (usize, f64) {
    let mut best = (0, line[0]);
    for (at, score) in line.iter().enumerate().skip(1) {
        if *score > best.1 {
            best = (at, *score);
        }
    }
    best
}

/// Rows of a trial that scores are judged by.
#[derive(Debug, Clone, Copy)]
pub struct Offers<'a> {
    /// What each treatment is expected to bring for each row: [`net_scores`], or effects. Rows are ranked by the highest of a row.
    pub scores: &'a Effects,
    /// What happened, finite.
    pub outcomes: &'a [f64],
    /// The arm of each row.
    pub arms: &'a Arms,
    /// How much a row counts; where arms were not drawn with the same probabilities for everybody: one over the propensity of the
    /// row's arm.
    pub weights: Option<&'a [f64]>,
    /// One a treatment.
    pub economics: &'a [Economics],
}

/// What treating a share brings.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Share {
    /// Share of the rows that is treated, 0 to 1.
    pub share: f64,
    /// Of all rows (by weight), the share that gets each treatment.
    pub treated_by: Vec<f64>,
    /// Expected net gain over treating nobody, for each of all rows.
    pub gain: f64,
    /// Where it lies.
    pub interval: Interval,
}

/// What treating each share brings.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Targeting {
    /// From nobody to everybody.
    pub curve: Vec<Share>,
    /// Place in `curve` of the highest gain, the smallest share of several.
    pub best: usize,
    /// Where the best share lies.
    pub best_interval: Interval,
    /// Share of the rows (by weight) of which some score is above zero: where the scores themselves would stop.
    pub share_above_zero: f64,
}

/// The curve at `steps` shares beside nobody, each as far from the next.
///
/// # Errors
/// Columns of unequal length, values that are not finite, an arm without rows, economics that are not finite, steps or a
/// bootstrap out of range.
pub fn targeting(
    offers: &Offers<'_>,
    steps: usize,
    bootstrap: &Bootstrap,
) -> Result<Targeting, Error> {
    counted("the number of steps", steps)?;
    bootstrap.check()?;
    let ranked = Ranked::new(offers)?;
    let gains = |counts: Option<&[u32]>| -> Vec<f64> {
        let all = ranked.prefixes(steps, counts);
        let total: f64 = all[steps].iter().map(|cell| cell.people).sum();
        all.iter().map(|cells| ranked.gain(cells, total)).collect()
    };
    let top = |gains: &[f64]| {
        let best = (1..gains.len()).fold(
            0,
            |best, at| if gains[at] > gains[best] { at } else { best },
        );
        best as f64 / steps as f64
    };
    let mut lines = Vec::with_capacity(bootstrap.resamples);
    bootstrap.resample(offers_arms(offers), |counts| {
        let mut line = gains(Some(counts));
        line.push(top(&line));
        lines.push(line);
    });
    let none = Interval {
        lower: f64::NAN,
        upper: f64::NAN,
    };
    let intervals: Vec<Interval> = (bootstrap.intervals(&lines).into_iter())
        .map(|found| found.unwrap_or(none))
        .collect();
    let found = gains(None);
    let all = ranked.prefixes(steps, None);
    let total: f64 = all[steps].iter().map(|cell| cell.people).sum();
    let above: f64 = (0..offers.outcomes.len())
        .filter(|row| ranked.scores[*row] > 0.0)
        .map(|row| ranked.weight(row))
        .sum();
    let curve: Vec<Share> = (found.iter().zip(&all).zip(&intervals).enumerate())
        .map(|(step, ((gain, cells), interval))| Share {
            share: step as f64 / steps as f64,
            treated_by: cells.iter().map(|cell| cell.people / total).collect(),
            gain: *gain,
            interval: *interval,
        })
        .collect();
    Ok(Targeting {
        best: (top(&found) * steps as f64 + 0.5) as usize,
        best_interval: intervals[steps + 1],
        share_above_zero: above / total,
        curve,
    })
}

fn offers_arms<'a>(offers: &Offers<'a>) -> &'a [u32] {
    offers.arms.codes()
}

/// Sums over rows that would get one treatment.
#[derive(Debug, Clone, Copy, Default)]
struct Cell {
    /// Weight of all of them.
    people: f64,
    /// Weight of those of the control and of those who got it.
    weights: [f64; 2],
    /// Their weighted outcomes.
    outcomes: [f64; 2],
}

impl Cell {
    fn add(&mut self, other: &Self, share: f64) {
        self.people += share * other.people;
        for arm in 0..2 {
            self.weights[arm] += share * other.weights[arm];
            self.outcomes[arm] += share * other.outcomes[arm];
        }
    }
}

struct Ranked<'a> {
    offers: &'a Offers<'a>,
    order: Order,
    /// The highest score of each row, and whose it is.
    scores: Vec<f64>,
    chosen: Vec<usize>,
}

impl<'a> Ranked<'a> {
    fn new(offers: &'a Offers<'a>) -> Result<Self, Error> {
        let (treatments, rows) = (offers.arms.treatments(), offers.outcomes.len());
        countable(rows)?;
        length("a line of scores", offers.scores.treatments, treatments)?;
        length("the scores", offers.scores.values.len(), rows * treatments)?;
        length("the treatment", offers.arms.codes().len(), rows)?;
        weights(offers.weights, rows)?;
        values(
            "the outcome",
            offers.outcomes,
            "a finite number",
            f64::is_finite,
        )?;
        values(
            "the score",
            &offers.scores.values,
            "a finite number",
            f64::is_finite,
        )?;
        priced(offers.economics, treatments)?;
        let weight = |row: usize| offers.weights.map_or(1.0, |weights| weights[row]);
        for (arm, name) in offers.arms.names().iter().enumerate() {
            let is_of = |row: usize| offers.arms.codes()[row] as usize == arm && weight(row) > 0.0;
            if !(0..rows).any(is_of) {
                return Err(Error::Few {
                    arm: name.clone(),
                    rows: 0,
                    least: 1,
                    why: "a gain is a comparison with the control",
                });
            }
        }
        let highest: Vec<(usize, f64)> = (offers.scores.values.chunks_exact(treatments))
            .map(highest)
            .collect();
        let (chosen, scores): (Vec<usize>, Vec<f64>) = highest.into_iter().unzip();
        Ok(Self {
            offers,
            order: order(&scores, (0..rows as u32).collect()),
            scores,
            chosen,
        })
    }

    fn weight(&self, row: usize) -> f64 {
        self.offers.weights.map_or(1.0, |weights| weights[row])
    }

    /// By step what its rows hold, a cell a treatment.
    fn prefixes(&self, steps: usize, counts: Option<&[u32]>) -> Vec<Vec<Cell>> {
        let treatments = self.offers.scores.treatments;
        let rows = self.scores.len() as f64;
        let mut out = Vec::with_capacity(steps + 1);
        let mut before = vec![Cell::default(); treatments];
        let (mut passed, mut step) = (0.0, 0);
        for group in self.order.groups() {
            let mut cells = vec![Cell::default(); treatments];
            let mut count = 0.0;
            for row in &self.order.places[group] {
                let row = *row as usize;
                let many = counts.map_or(1.0, |counts| f64::from(counts[row]));
                let (weight, chosen) = (many * self.weight(row), self.chosen[row]);
                let cell = &mut cells[chosen];
                cell.people += weight;
                let code = self.offers.arms.codes()[row] as usize;
                if code == 0 || code == chosen + 1 {
                    let arm = usize::from(code != 0);
                    cell.weights[arm] += weight;
                    cell.outcomes[arm] += weight * self.offers.outcomes[row];
                }
                count += many;
            }
            let position = |step: usize| rows * step as f64 / steps as f64;
            while step < steps && position(step) < passed + count {
                let mut found = before.clone();
                let inside = (position(step) - passed) / count;
                found
                    .iter_mut()
                    .zip(&cells)
                    .for_each(|(found, cell)| found.add(cell, inside));
                out.push(found);
                step += 1;
            }
            before
                .iter_mut()
                .zip(&cells)
                .for_each(|(before, cell)| before.add(cell, 1.0));
            passed += count;
        }
        out.push(before);
        out
    }

    fn gain(&self, cells: &[Cell], total: f64) -> f64 {
        (cells.iter().zip(self.offers.economics))
            .map(|(cell, economics)| {
                if cell.people <= 0.0 {
                    return 0.0;
                }
                let mean = |arm: usize| cell.outcomes[arm] / cell.weights[arm];
                let each = match cell.weights.iter().all(|weight| *weight > 0.0) {
                    true => economics.gain(mean(1), mean(0)),
                    false => economics.gain(0.0, 0.0),
                };
                cell.people / total * each
            })
            .sum()
    }
}
