//! Resampling of rows with replacement (Efron 1979): each resample draws as many rows as there are, every row equally likely.
//! Several estimates are resampled by the same draws, which makes their differences paired.
//!
//! Draws are exact: several bounded integers come of one 64-bit word by multiplication, and a word is thrown away where it would
//! favour some (Lemire 2019; Brackett-Rozinsky and Lemire 2024, "Batched ranged random integer generation").

use luopan_kernel::random::Random;

use super::{Error, RESAMPLES_MAX, RESAMPLES_MIN, Terms};

/// Draws that are made at once.
const BATCH: usize = 2_048;
/// Columns that are summed together.
const TOGETHER: usize = 4;
/// Sums of a column that run beside each other.
const LANES: usize = 4;

/// The value of each of `all` in each of `resamples` resamples, by estimate. A ratio whose denominator is zero in a resample
/// counts as zero there.
pub(super) fn replicates(
    all: &[&Terms],
    resamples: usize,
    seed: u64,
) -> Result<Vec<Vec<f64>>, Error> {
    if !(RESAMPLES_MIN..=RESAMPLES_MAX).contains(&resamples) {
        return Err(Error::Setting {
            what: "number of resamples",
            found: resamples as f64,
            wanted: "20 to 1,000,000",
        });
    }
    let Some(first) = all.first() else {
        return Ok(Vec::new());
    };
    let rows = first.rows;
    let mut columns = Columns::default();
    let mut places = Vec::with_capacity(all.len());
    for terms in all {
        if terms.rows != rows {
            return Err(Error::Unpaired {
                found: terms.rows,
                wanted: rows,
            });
        }
        places.push(columns.take(terms));
    }
    let blocks: Vec<Vec<[f64; TOGETHER]>> = columns
        .found
        .chunks(TOGETHER)
        .map(|chunk| {
            (0..rows)
                .map(|row| core::array::from_fn(|k| chunk.get(k).map_or(0.0, |column| column[row])))
                .collect()
        })
        .collect();
    let mut random = Random::new(seed);
    let mut drawn = vec![0u32; BATCH.min(rows)];
    let mut out = vec![Vec::with_capacity(resamples); all.len()];
    let mut sums = vec![[0.0; TOGETHER]; blocks.len()];
    for _ in 0..resamples {
        sums.fill([0.0; TOGETHER]);
        let mut left = rows;
        while left > 0 {
            let now = left.min(BATCH);
            draw(&mut random, rows, &mut drawn[..now]);
            for (block, sums) in blocks.iter().zip(&mut sums) {
                gather(block, &drawn[..now], sums);
            }
            left -= now;
        }
        let sum = |at: usize| sums[at / TOGETHER][at % TOGETHER];
        for (place, out) in places.iter().zip(&mut out) {
            out.push(place.value(rows, &sum));
        }
    }
    Ok(out)
}

/// Columns that are summed, equal ones once.
#[derive(Default)]
struct Columns {
    found: Vec<Vec<f64>>,
}

/// Where the columns of an estimate are.
struct Place {
    plain: Option<usize>,
    ratio: Option<[usize; 2]>,
    weights: Option<usize>,
}

impl Columns {
    fn take(&mut self, terms: &Terms) -> Place {
        let mut add = |column: &[f64]| {
            let column: Vec<f64> = match &terms.weights {
                None => column.to_vec(),
                Some(weights) => column
                    .iter()
                    .zip(weights)
                    .map(|(x, weight)| x * weight)
                    .collect(),
            };
            match self.found.iter().position(|found| *found == column) {
                Some(at) => at,
                None => {
                    self.found.push(column);
                    self.found.len() - 1
                }
            }
        };
        Place {
            plain: terms.plain.as_deref().map(&mut add),
            ratio: terms
                .ratio
                .as_ref()
                .map(|[above, below]| [add(above), add(below)]),
            weights: terms.weights.is_some().then(|| add(&vec![1.0; terms.rows])),
        }
    }
}

impl Place {
    fn value(&self, rows: usize, sum: &impl Fn(usize) -> f64) -> f64 {
        let over = |above: f64, below: f64| if below == 0.0 { 0.0 } else { above / below };
        let total = self.weights.map_or(rows as f64, sum);
        let plain = self.plain.map_or(0.0, |at| over(sum(at), total));
        plain
            + self
                .ratio
                .map_or(0.0, |[above, below]| over(sum(above), sum(below)))
    }
}

fn gather(block: &[[f64; TOGETHER]], drawn: &[u32], sums: &mut [f64; TOGETHER]) {
    let mut lanes = [[0.0; TOGETHER]; LANES];
    let (heads, tail) = drawn.as_chunks::<LANES>();
    for rows in heads {
        for (lane, row) in lanes.iter_mut().zip(rows) {
            for (sum, x) in lane.iter_mut().zip(&block[*row as usize]) {
                *sum += x;
            }
        }
    }
    for (lane, row) in lanes.iter_mut().zip(tail) {
        for (sum, x) in lane.iter_mut().zip(&block[*row as usize]) {
            *sum += x;
        }
    }
    for (at, sum) in sums.iter_mut().enumerate() {
        *sum += (lanes[0][at] + lanes[1][at]) + (lanes[2][at] + lanes[3][at]);
    }
}

/// How often each row is in the next resample, by the draws that [`replicates`] makes with the same seed.
pub(crate) fn draw_counts(random: &mut Random, counts: &mut [u32]) {
    let rows = counts.len();
    counts.fill(0);
    let mut drawn = vec![0u32; BATCH.min(rows)];
    let mut left = rows;
    while left > 0 {
        let now = left.min(BATCH);
        draw(random, rows, &mut drawn[..now]);
        drawn[..now]
            .iter()
            .for_each(|row| counts[*row as usize] += 1);
        left -= now;
    }
}

/// Fills `out` with numbers below `rows`, each equally likely and apart from each other.
fn draw(random: &mut Random, rows: usize, out: &mut [u32]) {
    let bound = rows as u64;
    if rows < 1 << 16 {
        batched::<4>(random, bound, out);
    } else if rows < 1 << 21 {
        batched::<3>(random, bound, out);
    } else {
        batched::<2>(random, bound, out);
    }
}

/// `K` numbers of a word. `bound` to the power `K` must be below 2^64.
fn batched<const K: usize>(random: &mut Random, bound: u64, out: &mut [u32]) {
    let power = bound.pow(K as u32);
    // 2^64 mod power: words whose remainder is below it would favour some outcomes.
    let least = power.wrapping_neg() % power;
    let mut word = || loop {
        let mut rest = random.bits();
        let mut found = [0u32; K];
        for found in &mut found {
            let product = u128::from(rest) * u128::from(bound);
            *found = (product >> 64) as u32;
            rest = product as u64;
        }
        if rest >= least {
            return found;
        }
    };
    let (heads, tail) = out.as_chunks_mut::<K>();
    for head in heads {
        *head = word();
    }
    if !tail.is_empty() {
        let last = word();
        tail.copy_from_slice(&last[..tail.len()]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(rows: usize, draws: usize) -> Vec<f64> {
        let mut random = Random::new(5);
        let mut out = vec![0; draws];
        draw(&mut random, rows, &mut out);
        let mut counts = vec![0.0; rows];
        for row in out {
            counts[row as usize] += 1.0;
        }
        counts
    }

    #[test]
    fn every_row_is_equally_likely() {
        for (rows, draws) in [
            (1, 10),
            (3, 30_001),
            (1_000, 1_000_000),
            (70_000, 7_000_000),
        ] {
            let expected = draws as f64 / rows as f64;
            let chi: f64 = counts(rows, draws)
                .iter()
                .map(|found| (found - expected) * (found - expected) / expected)
                .sum();
            let freedom = rows as f64 - 1.0;
            assert!(
                (chi - freedom).abs() <= 5.0 * (2.0 * freedom).sqrt(),
                "{rows}: {chi}"
            );
        }
    }

    #[test]
    fn draws_of_one_word_are_apart() {
        // Pairs of neighbours, of which four come of one word.
        let (rows, draws) = (7usize, 490_000);
        let mut random = Random::new(6);
        let mut out = vec![0; draws];
        draw(&mut random, rows, &mut out);
        let mut pairs = [0.0; 49];
        for pair in out.windows(2) {
            pairs[pair[0] as usize * rows + pair[1] as usize] += 1.0;
        }
        let expected = (draws - 1) as f64 / 49.0;
        let chi: f64 = pairs
            .iter()
            .map(|found| (found - expected) * (found - expected) / expected)
            .sum();
        assert!(chi < 90.0, "{chi}");
    }
}
