//! Rows in the order of their scores, and sums over them. Rows of one score are one group: whatever their order, a part of the
//! group holds the same share of each of its sums, which is what it holds on average over all orders. This room must never let
//! the order of given rows matter but to the last bits of a sum.

/// Sums over some rows.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Sums {
    /// Rows by arm: control, treated.
    pub(super) rows: [f64; 2],
    /// Their weights.
    pub(super) weights: [f64; 2],
    /// Their weighted outcomes.
    pub(super) outcomes: [f64; 2],
    /// Their weighted scores.
    pub(super) scores: [f64; 2],
}

/// Fewer rows are what rounding leaves of none.
const ROWS_LEAST: f64 = 1e-9;

impl Sums {
    pub(super) fn add(&mut self, other: &Self, share: f64) {
        for arm in 0..2 {
            self.rows[arm] += share * other.rows[arm];
            self.weights[arm] += share * other.weights[arm];
            self.outcomes[arm] += share * other.outcomes[arm];
            self.scores[arm] += share * other.scores[arm];
        }
    }

    pub(super) fn minus(&self, other: &Self) -> Self {
        let mut out = *self;
        out.add(other, -1.0);
        out
    }

    pub(super) fn count(&self) -> f64 {
        self.rows[0] + self.rows[1]
    }

    pub(super) fn weight(&self) -> f64 {
        self.weights[0] + self.weights[1]
    }

    /// The mean outcome of an arm; none without rows.
    pub(super) fn mean(&self, arm: usize) -> Option<f64> {
        (self.rows[arm] > ROWS_LEAST).then(|| self.outcomes[arm] / self.weights[arm])
    }

    /// The difference of both means, an empty arm's taken for zero.
    pub(super) fn lift(&self) -> f64 {
        self.mean(1).unwrap_or(0.0) - self.mean(0).unwrap_or(0.0)
    }

    /// Outcomes that the treated have more than as many of the control (Radcliffe 2007); none of the control are no outcomes.
    pub(super) fn gained(&self) -> f64 {
        self.outcomes[1] - self.mean(0).unwrap_or(0.0) * self.weights[1]
    }
}

/// Places of rows by falling score, and where groups of one score end in them.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Order {
    pub(super) places: Vec<u32>,
    pub(super) ends: Vec<u32>,
}

/// `rows` are places in `scores`, which are finite.
pub(super) fn order(scores: &[f64], mut rows: Vec<u32>) -> Order {
    let score = |row: &u32| scores[*row as usize];
    rows.sort_by(|a, b| score(b).total_cmp(&score(a)).then(a.cmp(b)));
    let mut ends: Vec<u32> = (1..rows.len())
        .filter(|at| score(&rows[*at]) != score(&rows[at - 1]))
        .map(|at| at as u32)
        .collect();
    ends.push(rows.len() as u32);
    Order { places: rows, ends }
}

impl Order {
    /// The groups, as ranges of places.
    pub(super) fn groups(&self) -> impl Iterator<Item = core::ops::Range<usize>> {
        let mut start = 0;
        self.ends.iter().map(move |end| {
            let group = start..*end as usize;
            start = group.end;
            group
        })
    }
}

/// What the first so many rows hold, of both arms or of one: `positions` are numbers of rows, ascending.
pub(super) fn prefixes(groups: &[Sums], positions: &[f64], of: impl Fn(&Sums) -> f64) -> Vec<Sums> {
    let mut out = Vec::with_capacity(positions.len());
    let (mut before, mut at) = (Sums::default(), 0);
    for position in positions {
        while at < groups.len() && of(&before) + of(&groups[at]) <= *position {
            before.add(&groups[at], 1.0);
            at += 1;
        }
        let mut found = before;
        if let Some(group) = groups.get(at) {
            let inside = position - of(&before);
            if inside > 0.0 {
                found.add(group, inside / of(group));
            }
        }
        out.push(found);
    }
    out
}
