//! Bins of a column: cuts of numbers, groups of categories, and bins of their own for what is missing or special.

use super::Error;
use super::optimal::{Counts, Trend, Wanted, cut, value};
use crate::columns;

/// What bins are made of a column.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Change of the event rate along the bins; categories are put in order of their rates instead.
    pub trend: Trend,
    /// Least share of all rows, by their weights, in a bin, above 0 and at most 0.5; not asked of missing and special ones.
    pub share_least: f64,
    /// Most bins, missing and special ones not counted, from 2.
    pub bins_max: usize,
    /// Most pieces that a column is cut into before the best cut is looked for, 2 to 200; of about equally many rows.
    pub pieces_max: usize,
    /// Categories with a smaller share of the rows are one, called other. By default as large as a bin must be: rates of fewer
    /// rows put categories into an order that the next rows do not keep.
    pub category_share_least: f64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            trend: Trend::Auto,
            share_least: 0.05,
            bins_max: 10,
            pieces_max: 60,
            category_share_least: 0.05,
        }
    }
}

/// What a bin holds.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub enum Place {
    /// Numbers from `from` (all below, if there is none) to below `below` (all above).
    Numbers {
        /// Least number.
        from: Option<f64>,
        /// Least number that is above it.
        below: Option<f64>,
    },
    /// These categories.
    Categories(Vec<u32>),
    /// Categories that are rare, and those that no row had.
    Other,
    /// This number, whatever its neighbours.
    Special(f64),
    /// No number.
    Missing,
}

/// A bin and the rows that it was made of, by their weights.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Bin {
    /// What it holds.
    pub place: Place,
    /// Rows without the event.
    pub nonevents: f64,
    /// Rows with it.
    pub events: f64,
    /// `ln(share of non-events / share of events)`, half a row added to both where one is missing; 0 where no row was.
    pub weight_of_evidence: f64,
    /// Its part of the column's information value.
    pub information: f64,
}

/// Bins of a column: first those of numbers, ascending, or of categories, by falling event rate; then what is other, special,
/// missing.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Binning {
    bins: Vec<Bin>,
    /// For numbers: least numbers of all bins but the first.
    cuts: Vec<f64>,
    specials: Vec<f64>,
    /// For categories: bin of each level.
    levels: Vec<u32>,
    ordered: usize,
    tells_all: bool,
}

impl Binning {
    /// Bins of numbers; what is not a number is missing. A row of weight 2 counts as two, one of weight 0 as none.
    ///
    /// # Errors
    /// Other lengths, infinite numbers, outcomes that are neither 0 nor 1 or all the same, weights that are negative or no
    /// numbers, limits out of range.
    pub fn numbers(
        name: &str,
        values: &[f64],
        specials: &[f64],
        outcomes: &[f64],
        weights: Option<&[f64]>,
        limits: &Limits,
    ) -> Result<Self, Error> {
        let weight = |row: usize| weights.map_or(1.0, |of| of[row]);
        let totals = checked(name, values.len(), outcomes, weights, limits)?;
        if let Some(row) = values.iter().position(|value| value.is_infinite()) {
            return Err(Error::Columns(columns::Error::Value {
                column: name.to_owned(),
                row,
                found: values[row],
                wanted: "a finite number, or none where it is missing",
            }));
        }
        let mut special = vec![[0.0; 2]; specials.len()];
        let mut missing = [0.0; 2];
        let mut rows = Vec::with_capacity(values.len());
        for (row, (value, outcome)) in values.iter().zip(outcomes).enumerate() {
            let (event, weight) = (*outcome as usize, weight(row));
            if value.is_nan() {
                missing[event] += weight;
            } else if let Some(at) = specials.iter().position(|special| special == value) {
                special[at][event] += weight;
            } else if weight > 0.0 {
                rows.push((*value, event, weight));
            }
        }
        // By weight, too, so that sums have one order whatever the order of rows.
        rows.sort_unstable_by(|a, b| {
            (a.0.total_cmp(&b.0).then(a.1.cmp(&b.1))).then(a.2.total_cmp(&b.2))
        });
        let tells_all = apart(&rows);
        let (pieces, starts) = pieces(&rows, limits.pieces_max);
        let ends = best(&pieces, limits.trend, limits, totals);
        let cuts: Vec<f64> = ends[..ends.len() - 1]
            .iter()
            .map(|end| starts[*end])
            .collect();
        let mut bins = Vec::new();
        for (at, counts) in merged(&pieces, &ends).into_iter().enumerate() {
            let place = Place::Numbers {
                from: at.checked_sub(1).map(|at| cuts[at]),
                below: cuts.get(at).copied(),
            };
            bins.push(bin(place, counts, totals));
        }
        let ordered = bins.len();
        let of_special = specials.iter().zip(special);
        bins.extend(of_special.map(|(at, counts)| bin(Place::Special(*at), counts, totals)));
        bins.push(bin(Place::Missing, missing, totals));
        Ok(Self {
            bins,
            cuts,
            specials: specials.to_vec(),
            levels: Vec::new(),
            ordered,
            tells_all,
        })
    }

    /// Bins of categories, `0..levels`; a missing value is a level of its own. Weights are as in [`Binning::numbers`].
    ///
    /// # Errors
    /// Other lengths, a category without a level, outcomes that are neither 0 nor 1 or all the same, weights that are negative or
    /// no numbers, limits out of range.
    pub fn categories(
        name: &str,
        codes: &[u32],
        levels: usize,
        outcomes: &[f64],
        weights: Option<&[f64]>,
        limits: &Limits,
    ) -> Result<Self, Error> {
        let weight = |row: usize| weights.map_or(1.0, |of| of[row]);
        let totals = checked(name, codes.len(), outcomes, weights, limits)?;
        let mut counts = vec![[0.0; 2]; levels];
        for (row, (code, outcome)) in codes.iter().zip(outcomes).enumerate() {
            let Some(counts) = counts.get_mut(*code as usize) else {
                return Err(Error::Columns(columns::Error::Level {
                    column: name.to_owned(),
                    row,
                    found: *code,
                    levels,
                }));
            };
            counts[*outcome as usize] += weight(row);
        }
        let tells_all = counts.iter().all(|counts| counts.contains(&0.0));
        let rows_least = limits.category_share_least * (totals[0] + totals[1]);
        let size = |level: u32| counts[level as usize][0] + counts[level as usize][1];
        let rare = |level: &u32| size(*level) == 0.0 || size(*level) < rows_least;
        let (other, mut kept): (Vec<u32>, Vec<u32>) = (0..levels as u32).partition(rare);
        let rate = |level: u32| counts[level as usize][1] / size(level);
        kept.sort_by(|a, b| rate(*b).total_cmp(&rate(*a)).then(a.cmp(b)));
        let pieces: Vec<Counts> = kept.iter().map(|level| counts[*level as usize]).collect();
        let ends = best(&pieces, Trend::Descending, limits, totals);
        let mut bin_of = vec![0; levels];
        let mut bins = Vec::new();
        let mut start = 0;
        for (end, counts) in ends.iter().zip(merged(&pieces, &ends)) {
            let mut within = kept[start..*end].to_vec();
            within.sort_unstable();
            within
                .iter()
                .for_each(|level| bin_of[*level as usize] = bins.len() as u32);
            start = *end;
            bins.push(bin(Place::Categories(within), counts, totals));
        }
        let ordered = bins.len();
        let mut rest = [0.0; 2];
        for level in other {
            bin_of[level as usize] = ordered as u32;
            rest[0] += counts[level as usize][0];
            rest[1] += counts[level as usize][1];
        }
        bins.push(bin(Place::Other, rest, totals));
        Ok(Self {
            bins,
            cuts: Vec::new(),
            specials: Vec::new(),
            levels: bin_of,
            ordered,
            tells_all,
        })
    }

    /// True where every value has a bin: not so of one that was read from a damaged file.
    pub(crate) fn is_whole(&self) -> bool {
        let bins = self.bins.len();
        let there = |place: usize| place < bins;
        self.ordered <= bins
            && bins > 0
            && self.cuts.len() < bins
            && self.levels.iter().all(|bin| there(*bin as usize))
            && (self.specials.is_empty() || there(self.ordered + self.specials.len() - 1))
            && (self.levels.is_empty() || there(self.ordered))
    }

    /// The bins.
    pub fn bins(&self) -> &[Bin] {
        &self.bins
    }

    /// How many of them, the first ones, follow the trend: without other, special and missing ones.
    pub fn ordered(&self) -> usize {
        self.ordered
    }

    /// Information value of the column. Below 0.02 it is commonly read as useless, above 0.5 as too good to be true.
    pub fn information(&self) -> f64 {
        self.bins.iter().map(|bin| bin.information).sum()
    }

    /// True where the column alone tells all outcomes apart (of numbers, by one cut), which is likely a leak. No bin holds both
    /// outcomes then, so that it has no information value.
    pub fn tells_all(&self) -> bool {
        self.tells_all
    }

    /// Bin of a number; of no number the missing one. Infinite ones are in the first or the last.
    pub fn of_number(&self, value: f64) -> usize {
        if value.is_nan() {
            return self.bins.len() - 1;
        }
        match self.specials.iter().position(|special| *special == value) {
            Some(at) => self.ordered + at,
            None => self.cuts.partition_point(|cut| *cut <= value),
        }
    }

    /// Bin of a category; of one that there was no level for, other.
    pub fn of_category(&self, code: u32) -> usize {
        self.levels
            .get(code as usize)
            .map_or(self.ordered, |bin| *bin as usize)
    }
}

fn checked(
    name: &str,
    rows: usize,
    outcomes: &[f64],
    weights: Option<&[f64]>,
    limits: &Limits,
) -> Result<Counts, Error> {
    if rows != outcomes.len() {
        return Err(Error::Columns(columns::Error::Length {
            column: name.to_owned(),
            found: rows,
            wanted: outcomes.len(),
        }));
    }
    if let Some(row) = outcomes
        .iter()
        .position(|outcome| *outcome != 0.0 && *outcome != 1.0)
    {
        return Err(Error::Columns(columns::Error::Value {
            column: "outcome".to_owned(),
            row,
            found: outcomes[row],
            wanted: "0, or 1 for the event",
        }));
    }
    if let Some(weights) = weights {
        weighed(weights, rows)?;
    }
    let mut all = [Vec::new(), Vec::new()];
    for (row, outcome) in outcomes.iter().enumerate() {
        all[*outcome as usize].push(weights.map_or(1.0, |of| of[row]));
    }
    // Sums have one order whatever the order of rows: of equally good cuts the last bit decides.
    let totals = all.map(|mut of: Vec<f64>| {
        if weights.is_some() {
            of.sort_unstable_by(f64::total_cmp);
        }
        of.iter().sum::<f64>()
    });
    if totals.contains(&0.0) {
        let found = f64::from(u8::from(totals[0] == 0.0));
        return Err(Error::Columns(columns::Error::OneOutcome { found }));
    }
    let wrong = |what, found, wanted| {
        Err(Error::Columns(columns::Error::Setting {
            what,
            found,
            wanted,
        }))
    };
    if !(limits.share_least > 0.0 && limits.share_least <= 0.5) {
        return wrong(
            "least share of a bin",
            limits.share_least,
            "above 0 and at most 0.5",
        );
    }
    if !(2..=100).contains(&limits.bins_max) {
        return wrong("most bins", limits.bins_max as f64, "2 to 100");
    }
    if !(2..=200).contains(&limits.pieces_max) {
        return wrong("most pieces", limits.pieces_max as f64, "2 to 200");
    }
    if !(0.0..=0.5).contains(&limits.category_share_least) {
        return wrong(
            "least share of a category",
            limits.category_share_least,
            "0 to 0.5",
        );
    }
    Ok(totals)
}

/// Refuses weights of another number, negative ones and those that are no numbers.
fn weighed(weights: &[f64], rows: usize) -> Result<(), Error> {
    if weights.len() != rows {
        return Err(Error::Columns(columns::Error::Length {
            column: "weight".to_owned(),
            found: weights.len(),
            wanted: rows,
        }));
    }
    let wrong = |weight: &f64| !(*weight >= 0.0 && *weight <= 1e12);
    if let Some(row) = weights.iter().position(wrong) {
        return Err(Error::Columns(columns::Error::Value {
            column: "weight".to_owned(),
            row,
            found: weights[row],
            wanted: "0 to 1e12",
        }));
    }
    if weights.iter().all(|weight| *weight == 0.0) {
        return Err(Error::Columns(columns::Error::Setting {
            what: "sum of weights",
            found: 0.0,
            wanted: "a weight above zero for some row",
        }));
    }
    Ok(())
}

/// True when one cut through sorted rows has all events on one side and everything else on the other.
fn apart(rows: &[(f64, usize, f64)]) -> bool {
    let changes: Vec<usize> = (1..rows.len())
        .filter(|at| rows[*at].1 != rows[at - 1].1)
        .collect();
    matches!(changes[..], [at] if rows[at].0 != rows[at - 1].0)
}

/// Pieces of sorted rows of about equal weight, never between equal values, and the least value of each.
fn pieces(rows: &[(f64, usize, f64)], most: usize) -> (Vec<Counts>, Vec<f64>) {
    let (mut pieces, mut starts): (Vec<Counts>, Vec<f64>) = (Vec::new(), Vec::new());
    let size = rows.iter().map(|row| row.2).sum::<f64>() / most as f64;
    let (mut last, mut before) = (f64::NAN, 0.0);
    for (value, event, weight) in rows {
        // The next piece begins where the rows before it fill what pieces so far should hold.
        let full = before >= size * pieces.len() as f64;
        if pieces.is_empty() || (full && *value != last) {
            pieces.push([0.0; 2]);
            starts.push(*value);
        }
        let piece = pieces.len() - 1;
        pieces[piece][*event] += weight;
        before += weight;
        last = *value;
    }
    (pieces, starts)
}

fn best(pieces: &[Counts], trend: Trend, limits: &Limits, totals: Counts) -> Vec<usize> {
    let wanted = Wanted {
        rows_least: limits.share_least * (totals[0] + totals[1]),
        bins_max: limits.bins_max,
        totals,
    };
    cut(pieces, trend, &wanted).0
}

fn merged(pieces: &[Counts], ends: &[usize]) -> Vec<Counts> {
    let mut start = 0;
    ends.iter()
        .map(|end| {
            let within = &pieces[start..*end];
            start = *end;
            within.iter().fold([0.0; 2], |sum, piece| {
                [sum[0] + piece[0], sum[1] + piece[1]]
            })
        })
        .collect()
}

fn bin(place: Place, counts: Counts, totals: Counts) -> Bin {
    let [nonevents, events] = counts;
    let half = if nonevents == 0.0 || events == 0.0 {
        0.5
    } else {
        0.0
    };
    let (weight_of_evidence, information) = if nonevents + events == 0.0 {
        (0.0, 0.0)
    } else {
        let held = [nonevents + half, events + half];
        let weight = libm::log(held[0] / totals[0] * totals[1] / held[1]);
        (weight, value(held, totals))
    };
    Bin {
        place,
        nonevents,
        events,
        weight_of_evidence,
        information,
    }
}
