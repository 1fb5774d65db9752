//! From a problem to its allocation: prices of a sample, a box around them, the customers that no price in the box can change set
//! aside, prices of the others, and again in a wider box when they are not in it; then rounding, and what is used and bounded counted
//! anew over all customers. This room must never hand out a figure that it did not count.

use super::dual::{Misfit, Restricted, Scales, Solved};
use super::fill::Moves;
use super::lines::{Line, Lines};
use super::rows::{NOTHING, Rows, Sums};
use super::search::{Search, Searched};
use super::{Allocation, Conflict, Error, Prices, Problem, check, round};

/// Customers up to so many are not sampled.
const DIRECT_MAX: usize = 8_192;
/// Customers of a sample: one in so many, within bounds.
const SAMPLED: usize = 25;
const SAMPLE: std::ops::RangeInclusive<usize> = 4_096..=40_000;
/// Half width of the first box, as a share of a price, and of the price at which a limit is worth everything.
const HALF: f64 = 0.03;
const HALF_AT_ZERO: f64 = 0.002;
/// Shares of the value by which the bounds of a sample and of all may differ from their optima.
const ROUGH: f64 = 1e-6;
const FINE: f64 = 1e-9;
const BOXES_MAX: usize = 6;
/// Times that limits are drawn in when sums in another order exceed them by rounding.
const MARGINS_MAX: usize = 8;

/// Solves a problem. `start` are prices that may be near, as those of a problem before: the search begins there.
///
/// # Errors
/// [`Error`]: tables of the wrong length, amounts that are no finite numbers, costs and limits below zero, actions that are not there,
/// floors that cannot be reached within the limits, with those that conflict; floors that are reached only where customers are split, or of
/// which that could not be decided.
pub fn solve(problem: &Problem<'_>, start: Option<&Prices>) -> Result<Allocation, Error> {
    check::check(problem)?;
    let start = start
        .map(|prices| check::start(problem, prices))
        .transpose()?;
    let lines = Lines::of(problem);
    let rows = Rows::all(&lines, problem.customers, problem.eligible);
    let (scales, free) = scales(&lines, &rows);
    let (found, mut choices, changing) = relaxed(problem, &lines, &rows, &scales, free, start)?;
    let (prices, settled) = (&found.solved.prices, choices.clone());
    // The certificate, over all customers.
    let at = lines.coefficients(true, prices);
    let sums = rows.choose(&lines, &at, |_, _| {});
    let limits = lines.limits.iter().zip(prices);
    let bound = sums.best + limits.map(|(line, price)| price * line.limit).sum::<f64>();
    let mut inner: Vec<u16> = round::round(&lines, &found.rows, &scales, &found.solved.mixture);
    let mut limits: Vec<f64> = lines.limits.iter().map(|line| line.limit).collect();
    let mut margin = 1e-13;
    for _ in 0..MARGINS_MAX {
        let put = |choices: &mut [u16], inner: &[u16]| {
            for (row, chosen) in changing.iter().zip(inner) {
                choices[*row as usize] = *chosen;
            }
        };
        put(&mut choices, &inner);
        let few = Moves {
            lines: &lines,
            rows: &found.rows,
            scales: &scales,
            prices,
            limits: &limits,
        };
        let counted = |choices: &[u16]| lines.usage(&rows.summed(&lines, choices));
        let mut used = counted(&choices);
        // Counted anew where something is left: it may be what taking and giving back rounded.
        let mut left = few.repair(&mut inner, &mut used);
        put(&mut choices, &inner);
        if left > 0.0 {
            used = counted(&choices);
            // Those that were settled must move after all.
            let all = Moves { rows: &rows, ..few };
            left = all.repair(&mut choices, &mut used);
            if left > 0.0 {
                used = counted(&choices);
                left = all.repair(&mut choices, &mut used);
            }
            inner = (changing.iter())
                .map(|row| choices[*row as usize])
                .collect();
        }
        if left > 0.0 {
            break;
        }
        few.fill(&mut inner, &mut used);
        put(&mut choices, &inner);
        let counted = plain(&rows, &lines, &choices);
        let over = |(line, used): (&Line, &f64)| *used > line.limit;
        if !lines.limits.iter().zip(&counted.used).any(over) {
            return Ok(allocation(problem, &lines, choices, counted, bound, &found));
        }
        for ((limit, line), scale) in limits.iter_mut().zip(&lines.limits).zip(&scales.limits) {
            let drawn = line.limit - margin * scale;
            // Nothing at all is below no limit from zero on.
            *limit = if line.sign > 0.0 {
                drawn.max(0.0)
            } else {
                drawn
            };
        }
        margin *= 16.0;
    }
    let missed = plain(&rows, &lines, &choices).used;
    // Rounding found none: what is left is to look for one.
    let used = lines.usage(&rows.summed(&lines, &settled));
    let limits = lines.limits.iter().zip(&used);
    let search = Search {
        lines: &lines,
        rows: &found.rows,
        scales: &scales,
        limits: limits.map(|(line, used)| line.limit - used).collect(),
    };
    let whole = |inner: &[u16]| {
        let mut choices = settled.clone();
        for (row, chosen) in changing.iter().zip(inner) {
            choices[*row as usize] = *chosen;
        }
        choices
    };
    let keeps = |inner: &[u16]| {
        let counted = plain(&rows, &lines, &whole(inner));
        let mut limits = lines.limits.iter().zip(&counted.used);
        limits.all(|(line, used)| *used <= line.limit)
    };
    match search.run(prices, keeps) {
        Searched::Found(inner) => {
            let choices = whole(&inner);
            let counted = plain(&rows, &lines, &choices);
            Ok(allocation(problem, &lines, choices, counted, bound, &found))
        }
        // Of customers that were set aside nothing was ruled out.
        Searched::Nothing if found.rows.count == rows.count => {
            Err(unrounded(problem, &lines, &missed, true))
        }
        Searched::Nothing | Searched::Undecided => Err(unrounded(problem, &lines, &missed, false)),
    }
}

/// What everything is measured by, and what is taken where nothing has a price.
fn scales(lines: &Lines<'_>, rows: &Rows<'_>) -> (Scales, Sums) {
    let zero = vec![0.0; lines.limits.len()];
    let free = rows.choose(lines, &lines.coefficients(true, &zero), |_, _| {});
    let one = |found: f64| if found > 0.0 { found } else { 1.0 };
    let most = |share: f64| -> Vec<f64> {
        let limits = lines.limits.iter().zip(lines.usage(&free));
        limits
            .map(|(line, usage)| one(line.limit.abs().max(share * usage.abs())))
            .collect()
    };
    let scales = Scales {
        value: one(free.best),
        limits: most(1e-3),
        reach: most(1.0),
    };
    (scales, free)
}

/// The relaxed problem's solution.
struct Found<'a> {
    solved: Solved,
    /// What the customers that were set aside are worth.
    settled: f64,
    /// The customers that were not.
    rows: Rows<'a>,
}

/// With the choices of those set aside, and the places of the others.
type Relaxed<'a> = (Found<'a>, Vec<u16>, Vec<u32>);

fn relaxed<'a>(
    problem: &Problem<'a>,
    lines: &Lines<'a>,
    rows: &Rows<'a>,
    scales: &Scales,
    free: Sums,
    start: Option<Vec<f64>>,
) -> Result<Relaxed<'a>, Error> {
    let zero = vec![0.0; lines.limits.len()];
    let kept = lines.limits.iter().zip(lines.usage(&free));
    let starts: Vec<Vec<f64>> = std::iter::once(zero.clone()).chain(start).collect();
    let mut middle = if kept.into_iter().all(|(line, usage)| usage <= line.limit) {
        // Nothing need have a price.
        Some(zero)
    } else if rows.count <= DIRECT_MAX {
        None
    } else {
        sampled(lines, rows, scales, &starts)
    };
    let (mut wide, mut boxes) = (1.0, 0);
    while let Some(prices) = middle.take().filter(|_| boxes < BOXES_MAX) {
        let (low, high): (Vec<f64>, Vec<f64>) = (prices.iter().zip(&scales.reach))
            .map(|(price, reach)| {
                let half = wide * (HALF * price + HALF_AT_ZERO * scales.value / reach);
                ((price - half).max(0.0), price + half)
            })
            .unzip();
        let (middles, halves): (Vec<f64>, Vec<f64>) = (low.iter().zip(&high))
            .map(|(low, high)| ((low + high) / 2.0, (high - low) / 2.0))
            .unzip();
        let told = rows.settled(lines, &middles, &halves);
        let changing: Vec<u32> = (0u32..)
            .zip(&told)
            .filter(|(_, choice)| choice.is_none())
            .map(|(row, _)| row)
            .collect();
        let choices: Vec<u16> = told
            .into_iter()
            .map(|choice| choice.unwrap_or(NOTHING))
            .collect();
        let sums = rows.summed(lines, &choices);
        let (settled, used) = (lines.value(&sums), lines.usage(&sums));
        let inner = rows.take(&changing);
        let limits = lines.limits.iter().zip(&used);
        let restricted = Restricted {
            lines,
            rows: &inner,
            limits: limits.map(|(line, used)| line.limit - used).collect(),
            scales,
            settled,
            tolerance: FINE,
        };
        let Ok(solved) = restricted.solve(&[prices]) else {
            break;
        };
        let mut within = solved.prices.iter().zip(low.iter().zip(&high));
        if within.all(|(price, (low, high))| low <= price && price <= high) {
            let found = Found {
                solved,
                settled,
                rows: inner,
            };
            return Ok((found, choices, changing));
        }
        middle = Some(solved.prices);
        wide *= 2.0;
        boxes += 1;
    }
    let all = Rows::all(lines, problem.customers, problem.eligible);
    let restricted = Restricted {
        lines,
        rows: &all,
        limits: lines.limits.iter().map(|line| line.limit).collect(),
        scales,
        settled: 0.0,
        tolerance: FINE,
    };
    let solved = restricted
        .solve(&starts)
        .map_err(|misfit| Error::Infeasible(conflict(problem, scales, &misfit)))?;
    let found = Found {
        solved,
        settled: 0.0,
        rows: all,
    };
    let everyone = (0..rows.count as u32).collect();
    Ok((found, vec![NOTHING; rows.count], everyone))
}

/// Prices of every so manyth customer with its share of the limits; none where these cannot be kept.
fn sampled(
    lines: &Lines<'_>,
    rows: &Rows<'_>,
    scales: &Scales,
    starts: &[Vec<f64>],
) -> Option<Vec<f64>> {
    let wanted = (rows.count / SAMPLED).clamp(*SAMPLE.start(), *SAMPLE.end());
    let places: Vec<u32> = (0..wanted)
        .map(|at| (at as u64 * rows.count as u64 / wanted as u64) as u32)
        .collect();
    let share = wanted as f64 / rows.count as f64;
    let some = rows.take(&places);
    let scales = Scales {
        value: scales.value * share,
        limits: scales.limits.iter().map(|scale| scale * share).collect(),
        reach: Vec::new(),
    };
    let restricted = Restricted {
        lines,
        rows: &some,
        limits: lines.limits.iter().map(|line| line.limit * share).collect(),
        scales: &scales,
        settled: 0.0,
        tolerance: ROUGH,
    };
    restricted.solve(starts).ok().map(|solved| solved.prices)
}

/// What choices amount to, summed customer by customer as anybody would who looks it over.
struct Counted {
    sums: Sums,
    used: Vec<f64>,
}

fn plain(rows: &Rows<'_>, lines: &Lines<'_>, choices: &[u16]) -> Counted {
    let sums = rows.summed(lines, choices);
    let used = lines.limits.iter().map(|line| {
        let each = choices.iter().enumerate();
        let sum: f64 = each
            .map(|(row, choice)| rows.amount(&line.source, row, *choice))
            .sum();
        line.sign * sum
    });
    Counted {
        used: used.collect(),
        sums,
    }
}

fn allocation(
    problem: &Problem<'_>,
    lines: &Lines<'_>,
    choices: Vec<u16>,
    counted: Counted,
    bound: f64,
    found: &Found<'_>,
) -> Allocation {
    let budgets = problem.budgets.len();
    let groups = budgets + problem.groups.len();
    let prices = &found.solved.prices;
    let mut floors = prices[groups..].iter();
    Allocation {
        choices: choices
            .into_iter()
            .map(|at| (at != NOTHING).then_some(at))
            .collect(),
        value: lines.value(&counted.sums),
        bound,
        relaxed: found.settled + found.solved.relaxed,
        objectives: (lines.objectives.iter())
            .map(|(source, _)| counted.sums.of(source))
            .collect(),
        spent: counted.used[..budgets].to_vec(),
        counts: counted.used[budgets..groups]
            .iter()
            .map(|count| *count as u64)
            .collect(),
        prices: Prices {
            budgets: prices[..budgets].to_vec(),
            groups: prices[budgets..groups].to_vec(),
            floors: (problem.objectives.iter())
                .map(|of| of.floor.and_then(|_| floors.next().copied()).unwrap_or(0.0))
                .collect(),
        },
    }
}

/// What limits are called in messages, in the order of the lines.
fn names(problem: &Problem<'_>) -> Vec<String> {
    let budgets = problem
        .budgets
        .iter()
        .map(|of| format!("the budget {:?} of {}", of.name, of.limit));
    let groups = problem
        .groups
        .iter()
        .map(|of| format!("the cap of {} on {:?}", of.cap, of.name));
    let floors = (problem.objectives.iter()).filter_map(|of| {
        of.floor
            .map(|floor| format!("the floor of {floor} of {:?}", of.name))
    });
    budgets.chain(groups).chain(floors).collect()
}

fn conflict(problem: &Problem<'_>, scales: &Scales, misfit: &Misfit) -> Conflict {
    let names = names(problem);
    let first_floor = problem.budgets.len() + problem.groups.len();
    let floored = problem.objectives.iter().filter(|of| of.floor.is_some());
    let floors: Vec<_> = floored.collect();
    // A price that moves nothing is rounding.
    let counts = |at: &usize| misfit.prices[*at] * scales.limits[*at] > 1e-9;
    Conflict {
        floors: (first_floor..names.len())
            .filter(counts)
            .map(|at| {
                let of = floors[at - first_floor];
                (
                    of.name.to_owned(),
                    of.floor.unwrap_or(0.0),
                    0.0 - misfit.usage[at],
                )
            })
            .collect(),
        limits: (0..first_floor)
            .filter(counts)
            .map(|at| names[at].clone())
            .collect(),
    }
}

fn unrounded(problem: &Problem<'_>, lines: &Lines<'_>, used: &[f64], is_proven: bool) -> Error {
    let names = names(problem);
    let over = |at: usize| used[at] - lines.limits[at].limit;
    let worst = (0..names.len()).max_by(|a, b| over(*a).total_cmp(&over(*b)));
    let limit = worst.map(|at| names[at].clone()).unwrap_or_default();
    let short = worst.map_or(0.0, over);
    match is_proven {
        true => Error::Indivisible { limit, short },
        false => Error::Unrounded { limit, short },
    }
}
