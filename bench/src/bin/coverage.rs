//! How often intervals of off-policy estimates hold the truth, over 1,000 logs of simulated worlds: which of ten products is offered to whom, by
//! a logging policy that is known, answered by the chances that are the simulator's truth. So is the value of the policies that are
//! evaluated: the mean of their chances over all customers. Customers are drawn with replacement, rewards are 0 or 1 (she looks or
//! orders; she orders), and the doubly robust estimate has cross-fitted means of what the log holds as its model.
//!
//! The evaluated policies are made once from a log of their own: the candidate mostly offers what was best for the customer's stated
//! appetite, the champion what was best for all.

use std::collections::BTreeMap;
use std::process::ExitCode;

use luopan_bench::{Fault, Measurement, Reference, write};
use luopan_kernel::random::Random;
use luopan_kernel::time::DAY_US;
use luopan_learning::ope::{
    Columns, Estimator, Interval, Logs, Method, Policy, Range, Table, Target, Terms, difference,
    folds, interval, intervals,
};
use luopan_simulator::fund::days::day_of;
use luopan_simulator::fund::truth::truth;
use luopan_simulator::fund::{Happening, Settings, World};

const CUSTOMERS: u32 = 4_000;
const ACTIONS: usize = 10;
const WATCHED: i64 = 60;
/// Stated appetites, 0 where none was.
const APPETITES: usize = 6;
const WORLD: u64 = 9_001;
const RUNS: u64 = 1_000;
const ROWS: [usize; 2] = [1_000, 5_000];
const RESAMPLES: usize = 1_000;
const LEVEL: f64 = 0.95;
/// Least probability of an action in the logs.
const FLOOR: f64 = 0.03;
/// Share of the decisions that the evaluated policies leave to uniform choice.
const UNSURE: f64 = 0.1;

fn main() -> ExitCode {
    luopan_bench::ending(run())
}

/// A customer: what she said her appetite is, and the chance of each answer to each offer.
struct Customer {
    appetite: usize,
    answers: [[f64; ACTIONS]; 2],
}

const ANSWERS: [&str; 2] = ["she looks or orders", "she orders"];

/// Customers on the day of the offers, and the ratings of the products.
fn customers() -> Result<(Vec<Customer>, Vec<f64>), Fault> {
    let mut world = World::new(Settings::new(WORLD, CUSTOMERS, day_of(2025, 9, 1)))?;
    // The first rated products of each rating in turn.
    let mut rated: Vec<(u8, usize, String)> = Vec::new();
    let mut seen = [0; 8];
    for product in world.products() {
        if let Some(rating) = product.rating {
            let at = usize::from(rating).min(7);
            rated.push((rating, seen[at], product.code.clone()));
            seen[at] += 1;
        }
    }
    rated.sort_by_key(|(rating, nth, _)| (*nth, *rating));
    rated.truncate(ACTIONS);
    if rated.len() < ACTIONS {
        return Err(format!("{} rated products", rated.len()).into());
    }
    let mut appetites: BTreeMap<u32, usize> = BTreeMap::new();
    let at = world.start().plus(WATCHED * DAY_US);
    world.advance(at, &mut |event| {
        if let Happening::Attributes(a) = &event.what {
            appetites.insert(event.customer, usize::from(a.appetite.unwrap_or(0)));
        }
    });
    let mut out = Vec::with_capacity(appetites.len());
    for (customer, appetite) in appetites {
        let mut answers = [[0.0; ACTIONS]; 2];
        for (action, (_, _, code)) in rated.iter().enumerate() {
            let t = truth(&world, customer, code, at).ok_or("an unknown customer or product")?;
            answers[0][action] = (t.order_submitted + t.view).clamp(0.0, 1.0);
            answers[1][action] = t.order_submitted;
        }
        out.push(Customer {
            appetite: appetite.min(APPETITES - 1),
            answers,
        });
    }
    Ok((out, rated.iter().map(|r| f64::from(r.0)).collect()))
}

/// A distribution over actions for each appetite, side by side.
type ByAppetite = Vec<f64>;

/// Offers near the stated appetite more often, none too seldom.
fn logging(ratings: &[f64]) -> ByAppetite {
    let mut out = Vec::with_capacity(APPETITES * ACTIONS);
    for appetite in 0..APPETITES {
        let near = |rating: &f64| match appetite {
            0 => 1.0,
            _ => (-0.7 * (rating - appetite as f64).abs()).exp(),
        };
        let all: f64 = ratings.iter().map(near).sum();
        let left = 1.0 - FLOOR * ACTIONS as f64;
        out.extend(ratings.iter().map(|r| FLOOR + left * near(r) / all));
    }
    out
}

/// A log of one run.
struct Log {
    contexts: Vec<u32>,
    actions: Vec<u32>,
    rewards: Vec<f64>,
    propensities: Vec<f64>,
}

impl Log {
    fn draw(
        customers: &[Customer],
        answer: usize,
        by: &ByAppetite,
        rows: usize,
        seed: u64,
    ) -> Self {
        let mut random = Random::new(seed);
        let mut out = Self {
            contexts: Vec::with_capacity(rows),
            actions: Vec::with_capacity(rows),
            rewards: Vec::with_capacity(rows),
            propensities: Vec::with_capacity(rows),
        };
        for _ in 0..rows {
            let at = ((u128::from(random.bits()) * customers.len() as u128) >> 64) as usize;
            let customer = &customers[at];
            let shares = &by[customer.appetite * ACTIONS..][..ACTIONS];
            let (mut left, mut action) = (random.uniform(), 0);
            while action + 1 < ACTIONS && left >= shares[action] {
                left -= shares[action];
                action += 1;
            }
            let is_answered = random.uniform() < customer.answers[answer][action];
            out.contexts.push(customer.appetite as u32);
            out.actions.push(action as u32);
            out.rewards.push(f64::from(u8::from(is_answered)));
            out.propensities.push(shares[action]);
        }
        out
    }

    fn logs(&self) -> Result<Logs<'_>, Fault> {
        Ok(Logs::new(Columns {
            actions: &self.actions,
            action_count: ACTIONS,
            rewards: &self.rewards,
            propensities: &self.propensities,
            weights: None,
        })?)
    }
}

/// The candidate and the champion, from a log that is used for nothing else.
fn policies(log: &Log) -> [ByAppetite; 2] {
    let mut sums = vec![[0.0; ACTIONS]; APPETITES + 1];
    let mut counts = vec![[1.0; ACTIONS]; APPETITES + 1];
    for row in 0..log.actions.len() {
        let action = log.actions[row] as usize;
        for line in [log.contexts[row] as usize, APPETITES] {
            // Each appetite and action weighs the same, however often it was offered.
            sums[line][action] += log.rewards[row] / log.propensities[row];
            counts[line][action] += 1.0 / log.propensities[row];
        }
    }
    let best = |line: usize| {
        let mean = |a: usize| sums[line][a] / counts[line][a];
        (0..ACTIONS).fold(0, |best, a| if mean(a) > mean(best) { a } else { best })
    };
    let mostly = |of: &dyn Fn(usize) -> usize| -> ByAppetite {
        let mut out = vec![UNSURE / ACTIONS as f64; APPETITES * ACTIONS];
        for appetite in 0..APPETITES {
            out[appetite * ACTIONS + of(appetite)] += 1.0 - UNSURE;
        }
        out
    };
    [mostly(&best), mostly(&|_| best(APPETITES))]
}

fn value(customers: &[Customer], answer: usize, policy: &ByAppetite) -> f64 {
    let of = |c: &Customer| -> f64 {
        let own = &policy[c.appetite * ACTIONS..][..ACTIONS];
        own.iter()
            .zip(c.answers[answer])
            .map(|(p, chance)| p * chance)
            .sum()
    };
    customers.iter().map(of).sum::<f64>() / customers.len() as f64
}

fn estimators() -> [Estimator; 4] {
    [
        Estimator::Ips { clip: None },
        Estimator::SelfNormalised,
        Estimator::DoublyRobust { clip: None },
        Estimator::SelfNormalisedDoublyRobust,
    ]
}

/// How often an interval held the truth, how wide it was on average, and whether it is to hold at least as often as it says.
#[derive(Default)]
struct Held {
    held: u64,
    above: u64,
    width: f64,
    least: bool,
}

fn run() -> Result<(), Fault> {
    let (customers, ratings) = customers()?;
    let by = logging(&ratings);
    let mut list = Vec::new();
    for (answer, words) in ANSWERS.iter().enumerate() {
        let own = Log::draw(&customers, answer, &by, 20_000, 4_000_000 + answer as u64);
        let evaluated = policies(&own);
        let truths = evaluated.each_ref().map(|p| value(&customers, answer, p));
        let most = |policy: &ByAppetite| {
            policy
                .iter()
                .zip(&by)
                .map(|(p, q)| p / q)
                .fold(0.0, f64::max)
        };
        let weight_most = evaluated.iter().map(most).fold(0.0, f64::max);
        eprintln!(
            "{words}: {} customers, candidate {:.4}, champion {:.4}, logged {:.4}, no weight above {weight_most:.1}",
            customers.len(),
            truths[0],
            truths[1],
            value(&customers, answer, &by)
        );
        for rows in ROWS {
            let mut found: BTreeMap<String, Held> = BTreeMap::new();
            for run in 0..RUNS {
                let seed = 1_000_000 * (1 + answer as u64) + 10_000 * rows as u64 + run;
                let log = Log::draw(&customers, answer, &by, rows, seed);
                one(&log, &evaluated, truths, weight_most, run, &mut found)?;
            }
            for (name, of) in found {
                let share = of.held as f64 / RUNS as f64;
                eprintln!(
                    "{words}, {rows} rows, {name}: {share:.3}, above it {:.3}, mean width {:.4}",
                    of.above as f64 / RUNS as f64,
                    of.width / RUNS as f64
                );
                let reference = if of.least {
                    "wanted at least"
                } else {
                    "wanted, within 0.02"
                };
                list.push(Measurement {
                    name: format!(
                        "1,000 logs of {rows} offers in the simulator ({words}), truth within {name}, level 0.95"
                    ),
                    figure: share,
                    unit: "share of logs".to_owned(),
                    reference: Some(Reference {
                        name: reference.to_owned(),
                        figure: LEVEL,
                    }),
                });
            }
        }
    }
    let path = write("coverage", &list)?;
    eprintln!("written to {}", path.display());
    Ok(())
}

/// Every interval of one log.
fn one(
    log: &Log,
    evaluated: &[ByAppetite; 2],
    truths: [f64; 2],
    weight_most: f64,
    seed: u64,
    found: &mut BTreeMap<String, Held>,
) -> Result<(), Fault> {
    let logs = log.logs()?;
    let parts = folds::shuffled(logs.rows(), 5, seed)?;
    let means = folds::means(&logs, &log.contexts, APPETITES, &parts, 20.0)?;
    let targets = evaluated.each_ref().map(|policy| {
        let policy = Policy::Table {
            distribution: Table::by_context(policy, ACTIONS, &log.contexts),
            predictions: Some(Table::by_context(&means.values, ACTIONS, &means.lines)),
        };
        Target::new(&logs, &policy)
    });
    let [candidate, champion] = targets;
    let (candidate, champion) = (candidate?, champion?);
    let bootstrap = Method::Bootstrap {
        resamples: RESAMPLES,
        seed,
    };
    let rewards = Range {
        least: 0.0,
        most: 1.0,
    };
    let mut note = |name: String, least: bool, found_in: Interval, truth: f64| {
        let of = found.entry(name).or_default();
        of.least = least;
        of.held += u64::from(found_in.lower <= truth && truth <= found_in.upper);
        of.above += u64::from(truth > found_in.upper);
        of.width += found_in.upper - found_in.lower;
    };
    let all = estimators();
    let mut terms: Vec<[Terms; 2]> = Vec::with_capacity(all.len());
    for estimator in &all {
        terms.push([
            estimator.terms(&logs, &candidate)?,
            estimator.terms(&logs, &champion)?,
        ]);
    }
    let own: Vec<&Terms> = terms.iter().map(|t| &t[0]).collect();
    for (estimator, found) in all.iter().zip(intervals(&own, &bootstrap, LEVEL)?) {
        note(
            format!("bootstrap of {}", estimator.name()),
            false,
            found,
            truths[0],
        );
    }
    let minus = truths[0] - truths[1];
    for (estimator, [a, b]) in all.iter().zip(&terms) {
        let name = estimator.name();
        let found = difference(a, b, &bootstrap, LEVEL)?;
        note(
            format!("bootstrap of the paired difference of {name}"),
            false,
            found,
            minus,
        );
        if let Some(range) = estimator.range(rewards, weight_most) {
            let method = Method::EmpiricalBernstein(range);
            let found = interval(a, &method, LEVEL)?;
            note(
                format!("empirical bernstein of {name}"),
                true,
                found,
                truths[0],
            );
            let method = Method::EmpiricalBernstein(range.minus(range));
            let found = difference(a, b, &method, LEVEL)?;
            let words = format!("empirical bernstein of the paired difference of {name}");
            note(words, true, found, minus);
        }
    }
    Ok(())
}
