//! The small linear programme of column generation: which mixture of whole solutions is worth most within the limits. Revised
//! simplex with the inverse made anew at every pivot: there are few rows. This room must never see a customer.

/// A whole solution: what it is worth, and what it takes of each limit, both scaled.
#[derive(Debug, Clone)]
pub(super) struct Column {
    pub(super) value: f64,
    pub(super) usage: Vec<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Variable {
    Column(usize),
    Slack(usize),
    /// What a limit is exceeded by.
    Excess(usize),
}

/// What an excess costs once none is needed.
const FORBIDDEN: f64 = 1e7;
/// Reduced values at or below this are none.
const REDUCED_MIN: f64 = 1e-13;
const PIVOTS_MAX: usize = 10_000;
/// Pivots that bring nothing, after which the first column that seems to gain is taken (Bland 1977), and after which what stands is the
/// optimum but for rounding.
const STILL_FIRST: usize = 50;
const STILL_MOST: usize = 200;

/// The programme.
#[derive(Debug)]
pub(super) struct Master {
    limits: Vec<f64>,
    columns: Vec<Column>,
    basis: Vec<Variable>,
    /// Whether excesses are still to be driven out.
    pub(super) exceeds: bool,
}

/// An optimum.
#[derive(Debug, Clone)]
pub(super) struct Optimum {
    pub(super) value: f64,
    /// A price a limit, from zero on.
    pub(super) prices: Vec<f64>,
    /// Columns of the mixture, with their shares.
    pub(super) mixture: Vec<(usize, f64)>,
}

impl Master {
    /// The programme with the solution that gives nobody anything.
    pub(super) fn new(limits: Vec<f64>) -> Self {
        let count = limits.len();
        let mut basis: Vec<Variable> = (limits.iter().enumerate())
            .map(|(row, limit)| {
                if *limit < 0.0 {
                    Variable::Excess(row)
                } else {
                    Variable::Slack(row)
                }
            })
            .collect();
        basis.push(Variable::Column(0));
        Self {
            exceeds: limits.iter().any(|limit| *limit < 0.0),
            limits,
            columns: vec![Column {
                value: 0.0,
                usage: vec![0.0; count],
            }],
            basis,
        }
    }

    pub(super) fn push(&mut self, column: Column) -> usize {
        self.columns.push(column);
        self.columns.len() - 1
    }

    pub(super) fn usage(&self, column: usize) -> &[f64] {
        &self.columns[column].usage
    }

    fn entries(&self, variable: Variable) -> Vec<f64> {
        let rows = self.limits.len();
        let mut out = vec![0.0; rows + 1];
        match variable {
            Variable::Column(at) => {
                out[..rows].copy_from_slice(&self.columns[at].usage);
                out[rows] = 1.0;
            }
            Variable::Slack(row) => out[row] = 1.0,
            Variable::Excess(row) => out[row] = -1.0,
        }
        out
    }

    fn worth(&self, variable: Variable) -> f64 {
        match variable {
            Variable::Column(_) if self.exceeds => 0.0,
            Variable::Column(at) => self.columns[at].value,
            Variable::Slack(_) => 0.0,
            Variable::Excess(_) if self.exceeds => -1.0,
            Variable::Excess(_) => -FORBIDDEN,
        }
    }

    /// Goes on with what columns are worth; what is exceeded still, by rounding alone, is let be.
    pub(super) fn kept(&mut self) {
        let mut right = self.limits.clone();
        right.push(1.0);
        let basic: Vec<f64> = (self.inverse().iter())
            .map(|row| dot(row, &right))
            .collect();
        for (of, by) in self.basis.iter().zip(basic) {
            if let Variable::Excess(row) = of {
                self.limits[*row] += by.max(0.0);
            }
        }
        self.exceeds = false;
    }

    /// Solves from where it stood before.
    pub(super) fn solve(&mut self) -> Optimum {
        let rows = self.limits.len();
        let mut right = self.limits.clone();
        right.push(1.0);
        let (mut still, mut most) = (0, f64::NEG_INFINITY);
        for _ in 0..PIVOTS_MAX {
            let inverse = self.inverse();
            let basic: Vec<f64> = inverse.iter().map(|row| dot(row, &right)).collect();
            let worths: Vec<f64> = self.basis.iter().map(|of| self.worth(*of)).collect();
            let value = dot(&basic, &worths);
            if value > most + 1e-13 * most.abs().max(1e-3) {
                (most, still) = (value, 0);
            } else {
                still += 1;
            }
            let prices: Vec<f64> = (0..=rows)
                .map(|column| {
                    (0..=rows)
                        .map(|row| worths[row] * inverse[row][column])
                        .sum()
                })
                .collect();
            let reduced = |of: Variable| match of {
                Variable::Column(at) => {
                    self.worth(of) - dot(&self.columns[at].usage, &prices[..rows]) - prices[rows]
                }
                Variable::Slack(row) => -prices[row],
                Variable::Excess(row) => self.worth(of) + prices[row],
            };
            let slacks = (0..rows).map(Variable::Slack);
            let mut entering: Option<(Variable, f64)> = None;
            for of in (0..self.columns.len()).map(Variable::Column).chain(slacks) {
                let gain = reduced(of);
                let better = entering.is_none_or(|(_, most)| gain > most && still < STILL_FIRST);
                if gain > REDUCED_MIN && better && !self.basis.contains(&of) {
                    entering = Some((of, gain));
                }
            }
            let leaving = entering
                .filter(|_| still < STILL_MOST)
                .and_then(|(entering, _)| {
                    let entries = self.entries(entering);
                    let mut least: Option<(usize, f64, f64)> = None;
                    for (row, inverse) in inverse.iter().enumerate() {
                        let by = dot(inverse, &entries);
                        if by > 1e-11 {
                            let ratio = basic[row].max(0.0) / by;
                            // Of equal ratios the largest pivot.
                            let first = least.is_none_or(|(_, found, pivot)| {
                                ratio < found || ratio == found && by > pivot
                            });
                            if first {
                                least = Some((row, ratio, by));
                            }
                        }
                    }
                    least.map(|(row, ..)| (entering, row))
                });
            let Some((entering, row)) = leaving else {
                return self.optimum(&basic, &prices[..rows], &worths);
            };
            self.basis[row] = entering;
        }
        // Not met: what stands is feasible all the same, and bounds are looked at elsewhere.
        let inverse = self.inverse();
        let basic: Vec<f64> = inverse.iter().map(|row| dot(row, &right)).collect();
        let worths: Vec<f64> = self.basis.iter().map(|of| self.worth(*of)).collect();
        self.optimum(&basic, &vec![0.0; rows], &worths)
    }

    fn optimum(&self, basic: &[f64], prices: &[f64], worths: &[f64]) -> Optimum {
        let mixture = self.basis.iter().zip(basic);
        Optimum {
            value: dot(basic, worths),
            prices: prices.iter().map(|price| price.max(0.0)).collect(),
            mixture: mixture
                .filter_map(|(of, share)| match of {
                    Variable::Column(at) if *share > 0.0 => Some((*at, *share)),
                    _ => None,
                })
                .collect(),
        }
    }

    /// The inverse of the basis, by Gauss and Jordan with the largest pivots.
    fn inverse(&self) -> Vec<Vec<f64>> {
        let size = self.basis.len();
        let columns: Vec<Vec<f64>> = self.basis.iter().map(|of| self.entries(*of)).collect();
        let mut work: Vec<Vec<f64>> = (0..size)
            .map(|row| {
                let mut line: Vec<f64> = columns.iter().map(|column| column[row]).collect();
                line.extend((0..size).map(|at| f64::from(u8::from(at == row))));
                line
            })
            .collect();
        for at in 0..size {
            let pivot = (at..size)
                .max_by(|a, b| work[*a][at].abs().total_cmp(&work[*b][at].abs()))
                .unwrap_or(at);
            work.swap(at, pivot);
            let by = work[at][at];
            if by == 0.0 {
                continue;
            }
            for value in &mut work[at] {
                *value /= by;
            }
            let line = work[at].clone();
            for (row, other) in work.iter_mut().enumerate() {
                let times = other[at];
                if row != at && times != 0.0 {
                    for (value, pivot) in other.iter_mut().zip(&line) {
                        *value -= times * pivot;
                    }
                }
            }
        }
        work.into_iter().map(|row| row[size..].to_vec()).collect()
    }
}

pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
