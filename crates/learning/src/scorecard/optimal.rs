//! The best cut of ordered pieces into bins: exact, by dynamic programming over the last bin, for the most information value
//! among all cuts whose event rates follow the trend, whose bins are large enough and hold both outcomes.

/// How the event rate of bins changes from the least values to the greatest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trend {
    /// Rising or falling, whichever has more information value.
    Auto,
    /// Rising.
    Ascending,
    /// Falling.
    Descending,
    /// Rising, then falling; one of both may be missing.
    Peak,
    /// Falling, then rising; one of both may be missing.
    Valley,
}

/// Rows of a piece: non-events and events.
pub(super) type Counts = [f64; 2];

/// What bins must hold.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    /// Least rows of a bin.
    pub(super) rows_least: f64,
    /// Most bins.
    pub(super) bins_max: usize,
    /// All non-events and events of the column, missing and special ones included.
    pub(super) totals: Counts,
}

/// Ends of the bins, the last one at the number of pieces, and their information value; one bin where nothing else is allowed.
pub(super) fn cut(pieces: &[Counts], trend: Trend, wanted: &Wanted) -> (Vec<usize>, f64) {
    let mut best = (vec![pieces.len()], f64::NEG_INFINITY);
    let trends: &[[bool; 2]] = match trend {
        // Of each: does it rise first, and does it turn.
        Trend::Auto => &[[true, false], [false, false]],
        Trend::Ascending => &[[true, false]],
        Trend::Descending => &[[false, false]],
        Trend::Peak => &[[true, true]],
        Trend::Valley => &[[false, true]],
    };
    for [rises, turns] in trends {
        if let Some(found) = along(pieces, *rises, *turns, wanted)
            && found.1 > best.1 + 1e-12
        {
            best = found;
        }
    }
    if best.1 == f64::NEG_INFINITY {
        best.1 = 0.0;
    }
    best
}

/// Information value of a bin.
pub(super) fn value([nonevents, events]: Counts, totals: Counts) -> f64 {
    let (good, bad) = (nonevents / totals[0], events / totals[1]);
    (good - bad) * libm::log(good / bad)
}

const NOWHERE: u32 = u32::MAX;

fn along(
    pieces: &[Counts],
    rises: bool,
    turns: bool,
    wanted: &Wanted,
) -> Option<(Vec<usize>, f64)> {
    let n = pieces.len();
    let mut sums = vec![[0.0; 2]; n + 1];
    for (at, piece) in pieces.iter().enumerate() {
        sums[at + 1] = [sums[at][0] + piece[0], sums[at][1] + piece[1]];
    }
    let counts =
        |from: usize, to: usize| [sums[to][0] - sums[from][0], sums[to][1] - sums[from][1]];
    let cell = |from: usize, to: usize| from * (n + 1) + to;
    // Rate and information value of every bin that is allowed.
    let (mut rates, mut values) = (
        vec![f64::NAN; (n + 1) * (n + 1)],
        vec![0.0; (n + 1) * (n + 1)],
    );
    // Of weights, a difference of sums may leave a rounding of nothing.
    let nothing = wanted.totals.map(|total| 1e-12 * total);
    for from in 0..n {
        for to in from + 1..=n {
            let [nonevents, events] = counts(from, to);
            let both = nonevents > nothing[0] && events > nothing[1];
            if nonevents + events >= wanted.rows_least && both {
                rates[cell(from, to)] = events / (nonevents + events);
                values[cell(from, to)] = value([nonevents, events], wanted.totals);
            }
        }
    }
    // Best value of everything up to a bin's end with that bin last, by number of bins and by leg: before the turn, after it.
    let legs = if turns { 2 } else { 1 };
    let states = (n + 1) * (n + 1) * legs;
    let mut layers: Vec<Vec<(f64, u32)>> = Vec::new();
    let mut best: Option<(f64, usize, usize)> = None;
    for bins in 1..=wanted.bins_max.min(n) {
        let mut layer = vec![(f64::NEG_INFINITY, NOWHERE); states];
        for from in 0..n {
            if (bins == 1) != (from == 0) {
                continue;
            }
            for to in from + 1..=n {
                let (here, rate) = (cell(from, to), rates[cell(from, to)]);
                if rate.is_nan() {
                    continue;
                }
                if bins == 1 {
                    layer[here * legs] = (values[here], NOWHERE);
                    continue;
                }
                let above = &layers[bins - 2];
                for before in 0..from {
                    let last = cell(before, from);
                    if rates[last].is_nan() || rates[last] == rate {
                        continue;
                    }
                    let first = (rates[last] < rate) == rises;
                    let into = if first { 0 } else { 1 };
                    if into >= legs {
                        continue;
                    }
                    // After the turn there is no way back.
                    for leg in 0..=into {
                        let from_state = last * legs + leg;
                        let total = above[from_state].0 + values[here];
                        let state = &mut layer[here * legs + into];
                        if total > state.0 {
                            *state = (total, from_state as u32);
                        }
                    }
                }
            }
        }
        for from in 0..n {
            for leg in 0..legs {
                let state = cell(from, n) * legs + leg;
                let found = layer[state].0;
                if found.is_finite() && best.is_none_or(|(value, ..)| found > value + 1e-12) {
                    best = Some((found, bins, state));
                }
            }
        }
        layers.push(layer);
    }
    let (value, bins, mut state) = best?;
    let mut ends = Vec::with_capacity(bins);
    for layer in layers[..bins].iter().rev() {
        ends.push(state / legs % (n + 1));
        state = layer[state].1 as usize;
    }
    ends.reverse();
    Some((ends, value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Every cut, looked at one by one.
    fn slow(pieces: &[Counts], trend: Trend, wanted: &Wanted) -> f64 {
        let n = pieces.len();
        let mut best: f64 = 0.0;
        for mask in 0u32..1 << (n - 1) {
            let mut bins = vec![[0.0; 2]];
            for (at, piece) in pieces.iter().enumerate() {
                if at > 0 && mask >> (at - 1) & 1 == 1 {
                    bins.push([0.0; 2]);
                }
                let last = bins.len() - 1;
                bins[last] = [bins[last][0] + piece[0], bins[last][1] + piece[1]];
            }
            let fine =
                |bin: &Counts| bin[0] > 0.0 && bin[1] > 0.0 && bin[0] + bin[1] >= wanted.rows_least;
            if bins.len() > wanted.bins_max || !bins.iter().all(fine) {
                continue;
            }
            let rates: Vec<f64> = bins.iter().map(|bin| bin[1] / (bin[0] + bin[1])).collect();
            let ups: Vec<bool> = rates.windows(2).map(|pair| pair[1] > pair[0]).collect();
            if rates.windows(2).any(|pair| pair[0] == pair[1]) {
                continue;
            }
            let rising = ups.iter().all(|up| *up);
            let falling = ups.iter().all(|up| !*up);
            let follows = match trend {
                Trend::Auto => rising || falling,
                Trend::Ascending => rising,
                Trend::Descending => falling,
                Trend::Peak => ups.windows(2).all(|pair| pair[0] || !pair[1]),
                Trend::Valley => ups.windows(2).all(|pair| !pair[0] || pair[1]),
            };
            if follows {
                let sum = bins.iter().map(|bin| value(*bin, wanted.totals)).sum();
                best = best.max(sum);
            }
        }
        best
    }

    proptest! {
        #[test]
        fn the_cut_is_the_best_of_all(
            pieces in proptest::collection::vec((0u8..9, 0u8..9), 1..9),
            rows_least in 1u8..12,
            bins_max in 1usize..6,
        ) {
            let pieces: Vec<Counts> = pieces.iter().map(|(a, b)| [f64::from(*a), f64::from(*b)]).collect();
            let totals = pieces.iter().fold([1.0, 1.0], |sum, piece| [sum[0] + piece[0], sum[1] + piece[1]]);
            let wanted = Wanted { rows_least: f64::from(rows_least), bins_max, totals };
            for trend in [Trend::Auto, Trend::Ascending, Trend::Descending, Trend::Peak, Trend::Valley] {
                let (ends, found) = cut(&pieces, trend, &wanted);
                prop_assert!((found - slow(&pieces, trend, &wanted)).abs() < 1e-9, "{:?}", trend);
                prop_assert_eq!(*ends.last().expect("an end"), pieces.len());
                prop_assert!(ends.windows(2).all(|pair| pair[0] < pair[1]) && ends.len() <= bins_max);
            }
        }
    }
}
