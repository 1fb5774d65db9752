//! Sums of gradients and hessians by bin. Eight columns are summed side by side into arrays that a byte cannot leave, 32 KiB that
//! stay near the core, and then laid down tightly. This room must never decide on a split.

use std::ops::Range;

use super::data::{Binned, LANES};
use super::objective::Slope;

/// Sum of gradients and sum of hessians of a bin.
pub(super) type Sums = [f64; 2];
type Bench = [[Sums; 256]; LANES];
/// Rows whose bins are fetched before any is summed, so that loads do not wait for each other.
const AHEAD: usize = 32;

/// Where the bins of each used column lie in a histogram.
#[derive(Debug)]
pub(super) struct Layout {
    places: Vec<Range<usize>>,
    total: usize,
}

impl Layout {
    pub(super) fn of(data: &Binned) -> Self {
        let mut total = 0;
        let places = (data.shape.used.iter())
            .map(|column| {
                let start = total;
                total += data.shape.bins[*column].count();
                start..total
            })
            .collect();
        Self { places, total }
    }

    /// Number of bins of all columns.
    pub(super) fn total(&self) -> usize {
        self.total
    }

    pub(super) fn place(&self, position: usize) -> Range<usize> {
        self.places[position].clone()
    }
}

/// What histograms are made on.
#[derive(Debug)]
pub(super) struct Maker {
    bench: Box<Bench>,
    /// Slopes of a leaf's rows, in the rows' order.
    ordered: Vec<Slope>,
}

impl Maker {
    pub(super) fn new() -> Self {
        Self {
            bench: Box::new([[[0.0; 2]; 256]; LANES]),
            ordered: Vec::new(),
        }
    }

    /// Sums the slopes of `rows` (of all rows where there are as many) for the columns that `wanted` tells by position.
    pub(super) fn make(
        &mut self,
        data: &Binned,
        layout: &Layout,
        rows: &[u32],
        slopes: &[Slope],
        wanted: &[bool],
        out: &mut [Sums],
    ) {
        let all = rows.len() == data.rows();
        if !all {
            self.ordered.clear();
            self.ordered
                .extend(rows.iter().map(|row| slopes[*row as usize]));
        }
        for (at, block) in data.blocks.iter().enumerate() {
            let lanes = data.shape.lanes(at);
            let first = at * LANES;
            if !wanted[first..first + lanes].contains(&true) {
                continue;
            }
            let bench = &mut *self.bench;
            for (lane, sums) in bench.iter_mut().enumerate().take(lanes) {
                let bins = layout.places[first + lane].len();
                sums[..bins].fill([0.0; 2]);
            }
            match (all, lanes) {
                (true, 8) => add_all::<8>(bench, block, slopes),
                (true, 7) => add_all::<7>(bench, block, slopes),
                (true, 6) => add_all::<6>(bench, block, slopes),
                (true, 5) => add_all::<5>(bench, block, slopes),
                (true, 4) => add_all::<4>(bench, block, slopes),
                (true, 3) => add_all::<3>(bench, block, slopes),
                (true, 2) => add_all::<2>(bench, block, slopes),
                (true, _) => add_all::<1>(bench, block, slopes),
                (false, 8) => add_some::<8>(bench, block, rows, &self.ordered),
                (false, 7) => add_some::<7>(bench, block, rows, &self.ordered),
                (false, 6) => add_some::<6>(bench, block, rows, &self.ordered),
                (false, 5) => add_some::<5>(bench, block, rows, &self.ordered),
                (false, 4) => add_some::<4>(bench, block, rows, &self.ordered),
                (false, 3) => add_some::<3>(bench, block, rows, &self.ordered),
                (false, 2) => add_some::<2>(bench, block, rows, &self.ordered),
                (false, _) => add_some::<1>(bench, block, rows, &self.ordered),
            }
            for (lane, sums) in bench.iter().enumerate().take(lanes) {
                let place = layout.place(first + lane);
                let bins = place.len();
                out[place].copy_from_slice(&sums[..bins]);
            }
        }
        for (at, column) in data.wide.iter().enumerate() {
            let position = data.shape.narrow + at;
            if !wanted[position] {
                continue;
            }
            let sums = &mut out[layout.place(position)];
            sums.fill([0.0; 2]);
            if all {
                add_wide(sums, column.iter().zip(slopes));
            } else {
                let bins = rows.iter().map(|row| &column[*row as usize]);
                add_wide(sums, bins.zip(&self.ordered));
            }
        }
    }
}

fn add_wide<'a>(sums: &mut [Sums], rows: impl Iterator<Item = (&'a u16, &'a Slope)>) {
    for (bin, slope) in rows {
        let [gradient, hessian] = slope.map(f64::from);
        let sums = &mut sums[usize::from(*bin)];
        *sums = [sums[0] + gradient, sums[1] + hessian];
    }
}

fn add_all<const K: usize>(bench: &mut Bench, block: &[[u8; LANES]], slopes: &[Slope]) {
    for (bins, slope) in block.iter().zip(slopes) {
        add::<K>(bench, bins, slope);
    }
}

fn add_some<const K: usize>(
    bench: &mut Bench,
    block: &[[u8; LANES]],
    rows: &[u32],
    slopes: &[Slope],
) {
    let (groups, rest) = rows.as_chunks::<AHEAD>();
    let (slope_groups, slope_rest) = slopes.as_chunks::<AHEAD>();
    for (rows, slopes) in groups.iter().zip(slope_groups) {
        let fetched = rows.map(|row| block[row as usize]);
        for (bins, slope) in fetched.iter().zip(slopes) {
            add::<K>(bench, bins, slope);
        }
    }
    for (row, slope) in rest.iter().zip(slope_rest) {
        add::<K>(bench, &block[*row as usize], slope);
    }
}

#[inline(always)]
fn add<const K: usize>(bench: &mut Bench, bins: &[u8; LANES], slope: &Slope) {
    let slope = slope.map(f64::from);
    for lane in 0..K {
        let sums = &mut bench[lane][usize::from(bins[lane])];
        *sums = [sums[0] + slope[0], sums[1] + slope[1]];
    }
}

/// Takes the smaller child's sums from their parent's, which leaves the larger child's.
pub(super) fn subtract(parent: &mut [Sums], child: &[Sums]) {
    for (parent, child) in parent.iter_mut().zip(child) {
        *parent = [parent[0] - child[0], parent[1] - child[1]];
    }
}
