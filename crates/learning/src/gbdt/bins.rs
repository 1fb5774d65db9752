//! Bins of one column, found as LightGBM finds them: a bin a value while there are few values, else bins of equal counts with one
//! of its own for a value that fills it; zero has a bin of its own; missing values have the last. Categories have a bin each, by
//! count; bin 0 is for missing, unseen and rare ones. This room must never see a target.

use super::Error;

/// LightGBM's `kZeroThreshold`.
pub(super) const ZERO: f64 = 1e-35f32 as f64;

/// Bins of categories are two bytes at most.
const CATEGORIES_APART_MAX: usize = u16::MAX as usize;

/// How columns are cut into bins.
#[derive(Debug, Clone, PartialEq)]
pub struct BinSettings {
    /// Most bins of a column, 2 to 255; one of them is for missing values where there are any. Categories go past it until 99 %
    /// of the rows have a bin of their own.
    pub max_bin: usize,
    /// Least rows of a bin.
    pub min_data_in_bin: usize,
    /// Bins are found on at most this many rows, drawn by the seed.
    pub bin_construct_sample_cnt: usize,
    /// Seed of the draw.
    pub seed: u64,
}

impl Default for BinSettings {
    fn default() -> Self {
        Self {
            max_bin: 255,
            min_data_in_bin: 3,
            bin_construct_sample_cnt: 200_000,
            seed: 1,
        }
    }
}

impl BinSettings {
    pub(super) fn check(&self) -> Result<(), Error> {
        if !(2..=255).contains(&self.max_bin) {
            return Err(Error::Parameter {
                name: "max_bin",
                found: self.max_bin.to_string(),
                wanted: "wanted is 2 to 255",
            });
        }
        if self.bin_construct_sample_cnt == 0 {
            return Err(Error::Parameter {
                name: "bin_construct_sample_cnt",
                found: "0".to_owned(),
                wanted: "at least 1 is wanted",
            });
        }
        Ok(())
    }
}

/// The bins of a column.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Bins {
    /// Upper bounds, ascending, the last infinite; with `missing` one bin more, for NaN.
    Numbers { bounds: Vec<f64>, missing: bool },
    /// Category of each bin from 1 on; `whole` when every value seen had a bin of its own.
    Categories { categories: Vec<u32>, whole: bool },
}

impl Bins {
    /// Number of bins, that of missing values included.
    pub(super) fn count(&self) -> usize {
        match self {
            Self::Numbers { bounds, missing } => bounds.len() + usize::from(*missing),
            Self::Categories { categories, .. } => categories.len() + 1,
        }
    }

    /// Bins of numbers from a sample, which is sorted on the way; NaN is missing.
    pub(super) fn of_numbers(sample: &mut Vec<f64>, settings: &BinSettings) -> Self {
        let before = sample.len();
        sample.retain(|value| !value.is_nan());
        let missing = sample.len() < before;
        sample.sort_unstable_by(f64::total_cmp);
        let mut values: Vec<(f64, usize)> = Vec::new();
        for value in sample.iter().map(|value| value + 0.0) {
            match values.last_mut() {
                // LightGBM takes neighbours among the doubles for one value, the greater.
                Some((last, count)) if value <= last.next_up() => {
                    *last = value;
                    *count += 1;
                }
                _ => values.push((value, 1)),
            }
        }
        if values.len() + usize::from(missing) < 2 {
            return Self::Numbers {
                bounds: vec![f64::INFINITY],
                missing: false,
            };
        }
        let most = settings.max_bin - usize::from(missing);
        Self::Numbers {
            bounds: around_zero(&values, most, settings.min_data_in_bin),
            missing,
        }
    }

    /// True when nothing can be told apart.
    pub(super) fn is_constant(&self) -> bool {
        match self {
            Self::Numbers { .. } => self.count() < 2,
            Self::Categories { categories, whole } => {
                categories.is_empty() || *whole && categories.len() == 1
            }
        }
    }

    /// Bins of categories from how often each occurs; `missing` rows have none.
    pub(super) fn of_categories(
        counts: &[(u32, usize)],
        missing: usize,
        settings: &BinSettings,
    ) -> Self {
        let mut counts = counts.to_vec();
        counts.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
        let rows: usize = counts.iter().map(|(_, count)| count).sum();
        // LightGBM's product is of single precision.
        let enough = (rows as f64 * f64::from(0.99f32) + 0.5) as usize;
        let distinct = counts.len() + usize::from(missing > 0);
        let most = settings.max_bin.min(distinct);
        let (mut categories, mut used) = (Vec::new(), 0);
        for (at, (category, count)) in counts.iter().enumerate() {
            let full = used >= enough && categories.len() + 1 >= most;
            let rare = *count < settings.min_data_in_bin && at > 1;
            // As LightGBM, past max_bin until 99 % of the rows have a bin.
            if full || rare || categories.len() == CATEGORIES_APART_MAX {
                break;
            }
            categories.push(*category);
            used += count;
        }
        Self::Categories {
            whole: categories.len() == counts.len() && missing == 0,
            categories,
        }
    }
}

/// Upper bounds that keep zero apart from what is below and above it.
fn around_zero(values: &[(f64, usize)], most: usize, least: usize) -> Vec<f64> {
    let below = values.partition_point(|(value, _)| *value <= -ZERO);
    let above = values.partition_point(|(value, _)| *value <= ZERO);
    let total = |values: &[(f64, usize)]| values.iter().map(|(_, count)| count).sum::<usize>();
    let (left, right) = (total(&values[..below]), total(&values[above..]));
    let mut bounds = Vec::new();
    if below > 0 && most > 1 {
        let share = left as f64 / (left + right) as f64 * (most - 1) as f64;
        bounds = greedy(&values[..below], (share as usize).max(1), left, least);
        if let Some(last) = bounds.last_mut() {
            *last = -ZERO;
        }
    }
    let rest = (most - 1).saturating_sub(bounds.len());
    if above < values.len() && rest > 0 {
        bounds.push(ZERO);
        bounds.extend(greedy(&values[above..], rest, right, least));
    } else {
        bounds.push(f64::INFINITY);
    }
    bounds
}

/// Bounds of at most `most` bins of about equal counts; the last is infinite.
fn greedy(values: &[(f64, usize)], most: usize, total: usize, least: usize) -> Vec<f64> {
    let mut bounds: Vec<f64> = Vec::new();
    let mut push = |low: f64, high: f64| {
        let bound = ((low + high) / 2.0).next_up();
        let fresh = bounds.last().is_none_or(|last| bound > last.next_up());
        if fresh {
            bounds.push(bound);
        }
        fresh
    };
    if values.len() <= most {
        let mut count = 0;
        for pair in values.windows(2) {
            count += pair[0].1;
            if count >= least && push(pair[0].0, pair[1].0) {
                count = 0;
            }
        }
    } else {
        let most = match total.checked_div(least) {
            Some(fit) => most.min(fit).max(1),
            None => most,
        };
        let mean = total as f64 / most as f64;
        let (mut bins_left, mut rows_left) = (most as i64, total as i64);
        let big: Vec<bool> = values.iter().map(|(_, n)| *n as f64 >= mean).collect();
        for ((_, count), _) in values.iter().zip(&big).filter(|(_, big)| **big) {
            bins_left -= 1;
            rows_left -= *count as i64;
        }
        let mut mean = rows_left as f64 / bins_left as f64;
        let (mut cuts, mut count) = (Vec::new(), 0usize);
        for at in 0..values.len() - 1 {
            // As in LightGBM, one bin is left for what follows the last cut.
            if cuts.len() + 1 >= most {
                break;
            }
            if !big[at] {
                rows_left -= values[at].1 as i64;
            }
            count += values[at].1;
            let filled = count as f64 >= mean;
            if big[at] || filled || big[at + 1] && count as f64 >= (mean * 0.5).max(1.0) {
                cuts.push((values[at].0, values[at + 1].0));
                count = 0;
                if !big[at] {
                    bins_left -= 1;
                    mean = rows_left as f64 / bins_left as f64;
                }
            }
        }
        for (low, high) in cuts {
            push(low, high);
        }
    }
    bounds.push(f64::INFINITY);
    bounds
}
