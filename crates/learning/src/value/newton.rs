//! Newton's method in a few dimensions (Levenberg 1944; Marquardt 1963) and the small matrices that it needs. It knows no model.

use super::Error;

/// Most steps.
const STEPS_MAX: usize = 500;
/// Most of a step in one direction.
const STEP_MOST: f64 = 2.0;
/// Where a parameter, as a logarithm, counts as gone to zero or infinity.
const FAR: f64 = 25.0;
/// The same where the value no longer changes.
const FAR_FLAT: f64 = 9.0;

/// A value with its slope and curvature.
pub(super) struct At<const N: usize> {
    pub(super) value: f64,
    pub(super) slope: [f64; N],
    pub(super) curvature: [[f64; N]; N],
}

impl<const N: usize> At<N> {
    fn finite(&self) -> bool {
        self.value.is_finite()
            && self.slope.iter().all(|x| x.is_finite())
            && self.curvature.iter().flatten().all(|x| x.is_finite())
    }
}

/// Where a search ended.
enum End<const N: usize> {
    /// At a minimum.
    Minimum { at: [f64; N], steps: usize },
    /// One coordinate goes on without end.
    Away { coordinate: usize, up: bool },
    /// Nowhere.
    Nowhere,
}

/// Minimises a smooth function from `start`, by a damped Newton method that ends when a whole step would move no coordinate by 1e-9.
fn minimise<const N: usize>(start: [f64; N], of: impl Fn(&[f64; N]) -> At<N>) -> End<N> {
    let (mut x, mut damping) = (start, 1e-3);
    let mut now = of(&x);
    if !now.finite() {
        return End::Nowhere;
    }
    for steps in 0..STEPS_MAX {
        if let Some(coordinate) = (0..N).find(|at| x[*at].abs() > FAR) {
            let up = x[coordinate] > 0.0;
            return End::Away { coordinate, up };
        }
        let whole = cholesky(&now.curvature).map(|lower| solve(&lower, &now.slope));
        if let Some(step) = &whole
            && step.iter().all(|d| d.abs() < 1e-3)
        {
            // So near that the value no longer tells: whole steps, as long as they shrink.
            let (mut near, mut last) = (x, step.map(f64::abs).iter().copied().fold(0.0, f64::max));
            let mut step = *step;
            for _ in 0..20 {
                let next: [f64; N] = std::array::from_fn(|at| near[at] - step[at]);
                let then = of(&next);
                let Some(lower) = cholesky(&then.curvature).filter(|_| then.finite()) else {
                    break;
                };
                step = solve(&lower, &then.slope);
                let size = step.map(f64::abs).iter().copied().fold(0.0, f64::max);
                if size < last || size < 1e-9 {
                    (near, last) = (next, size);
                }
                if size < 1e-12 || size >= last && last < 1e-9 {
                    break;
                }
                if size > last {
                    break;
                }
            }
            if last < 1e-9 {
                return End::Minimum { at: near, steps };
            }
        }
        let mut moved = false;
        for _ in 0..60 {
            let mut damped = now.curvature;
            let most = (0..N).map(|at| damped[at][at].abs()).fold(1e-12, f64::max);
            (0..N).for_each(|at| damped[at][at] += damping * most);
            let Some(lower) = cholesky(&damped) else {
                damping *= 10.0;
                continue;
            };
            let mut step = solve(&lower, &now.slope);
            let size = step.map(f64::abs).iter().copied().fold(0.0, f64::max);
            if size > STEP_MOST {
                step = step.map(|d| d * (STEP_MOST / size));
            }
            let next: [f64; N] = std::array::from_fn(|at| x[at] - step[at]);
            let then = of(&next);
            let mut promised = 0.0;
            for at in 0..N {
                let bent: f64 = (0..N).map(|to| now.curvature[at][to] * step[to]).sum();
                promised += step[at] * (now.slope[at] - bent / 2.0);
            }
            if then.finite() && then.value < now.value {
                let kept = now.value - then.value;
                damping = if kept > 0.5 * promised {
                    (damping / 5.0).max(1e-12)
                } else {
                    damping * 2.0
                };
                (x, now, moved) = (next, then, true);
                break;
            }
            damping *= 10.0;
            if damping > 1e12 {
                break;
            }
        }
        if !moved {
            break;
        }
    }
    let furthest = (0..N).max_by(|a, b| x[*a].abs().total_cmp(&x[*b].abs()));
    match furthest.filter(|at| x[*at].abs() > FAR_FLAT) {
        Some(coordinate) => {
            let up = x[coordinate] > 0.0;
            End::Away { coordinate, up }
        }
        None => End::Nowhere,
    }
}

/// The lower factor of a symmetric matrix; nothing where it is not positive definite beyond rounding.
pub(super) fn cholesky<const N: usize>(of: &[[f64; N]; N]) -> Option<[[f64; N]; N]> {
    let mut lower = [[0.0; N]; N];
    for row in 0..N {
        for column in 0..=row {
            let done: f64 = (0..column)
                .map(|at| lower[row][at] * lower[column][at])
                .sum();
            let rest = of[row][column] - done;
            if column < row {
                lower[row][column] = rest / lower[column][column];
            } else if rest > 1e-13 * of[row][row].abs() && rest.is_finite() {
                lower[row][row] = libm::sqrt(rest);
            } else {
                return None;
            }
        }
    }
    Some(lower)
}

/// Solves for a right hand side by the lower factor.
fn solve<const N: usize>(lower: &[[f64; N]; N], right: &[f64; N]) -> [f64; N] {
    let mut x = [0.0; N];
    for row in 0..N {
        let done: f64 = (0..row).map(|at| lower[row][at] * x[at]).sum();
        x[row] = (right[row] - done) / lower[row][row];
    }
    for row in (0..N).rev() {
        let done: f64 = (row + 1..N).map(|at| lower[at][row] * x[at]).sum();
        x[row] = (x[row] - done) / lower[row][row];
    }
    x
}

/// The inverse of a symmetric matrix by its lower factor.
pub(super) fn inverse<const N: usize>(lower: &[[f64; N]; N]) -> [[f64; N]; N] {
    std::array::from_fn(|column| {
        solve(
            lower,
            &std::array::from_fn(|at| f64::from(u8::from(at == column))),
        )
    })
}

/// A sum over rows as a mean over `total`, by logarithms of the parameters, with the penalty of squared parameters in other `units`. Of the
/// curvature the part on and below the diagonal is read.
pub(super) fn by_logarithms<const N: usize>(
    parameters: &[f64; N],
    sum: &At<N>,
    total: f64,
    penalizer: f64,
    units: &[f64; N],
) -> At<N> {
    let penalty: [f64; N] = std::array::from_fn(|at| penalizer * units[at] * units[at]);
    let squared: f64 = (0..N)
        .map(|at| penalty[at] * parameters[at] * parameters[at])
        .sum();
    let slope: [f64; N] = std::array::from_fn(|at| {
        parameters[at] * (sum.slope[at] / total + 2.0 * penalty[at] * parameters[at])
    });
    let curvature = std::array::from_fn(|row| {
        std::array::from_fn(|column| {
            let mut own = sum.curvature[row.max(column)][row.min(column)] / total;
            if row == column {
                own += 2.0 * penalty[row];
            }
            let rest = if row == column { slope[row] } else { 0.0 };
            parameters[row] * parameters[column] * own + rest
        })
    });
    At {
        value: sum.value / total + squared,
        slope,
        curvature,
    }
}

/// The best end that was found.
pub(super) struct Best<const N: usize> {
    pub(super) at: [f64; N],
    pub(super) steps: usize,
    /// Inverse of the information.
    pub(super) covariance: [[f64; N]; N],
}

/// The better end of searches from several starts, of which the curvature is that of one of `total` rows; parameters are
/// called `names`.
///
/// # Errors
/// No start led to a minimum.
pub(super) fn best<const N: usize>(
    starts: &[[f64; N]],
    names: &[&'static str; N],
    total: f64,
    of: impl Fn(&[f64; N]) -> At<N>,
) -> Result<Best<N>, Error> {
    let mut found: Option<([f64; N], usize, At<N>)> = None;
    let mut failed = Error::NotConverged {
        iterations: STEPS_MAX,
    };
    for start in starts {
        match minimise(*start, &of) {
            End::Minimum { at, steps } => {
                let then = of(&at);
                if found
                    .as_ref()
                    .is_none_or(|found| then.value < found.2.value - 1e-12)
                {
                    found = Some((at, steps, then));
                }
            }
            End::Away { coordinate, up } => {
                failed = Error::NoMaximum {
                    parameter: names[coordinate],
                    towards: if up { "infinity" } else { "zero" },
                };
            }
            End::Nowhere => {}
        }
    }
    let Some((at, steps, then)) = found else {
        return Err(failed);
    };
    let information = then.curvature.map(|row| row.map(|x| x * total));
    match cholesky(&information) {
        Some(lower) => Ok(Best {
            at,
            steps,
            covariance: inverse(&lower),
        }),
        None => Err(failed),
    }
}
