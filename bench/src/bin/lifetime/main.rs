//! What to do over weeks, in the simulator: a year of weekly contacts drawn at random is logged for some customers, a policy is learned
//! from half of them by fitted Q, judged off-policy on the other half, and then used for a quarter on customers who were never contacted, in
//! 20 worlds of seeds that nothing was tried on. Beside it stand what looks one week ahead (the same regression) and each action always.

mod world;

use std::process::ExitCode;
use std::time::Instant;

use luopan_bench::{Fault, Measurement, Reference, ending, write};
use luopan_learning::lifetime::{
    Choices, Columns, Estimator, Fixed, Judged, Learned, Policy, Regressor, Settings, Trajectories,
    evaluate, learn,
};
use luopan_learning::ope::folds;

use world::{ACTIONS, Begun, WEEKS, Year, anything, named};

/// Worlds, and the number before the first one's seed.
const SEEDS: u64 = 20;
const FIRST_SEED: u64 = 91_000;
/// Customers of a world; those who have joined are put in three parts.
const CUSTOMERS: u32 = 16_000;
/// Who is learned from, who is judged on; the others are who the policies are used on.
const LEARNED: usize = 1_500;
const JUDGED: usize = 3_000;
/// Weeks that are looked ahead, and weeks of which the value is told off-policy: weights alone can tell few.
const HORIZON: usize = 13;
const JUDGED_WEEKS: [usize; 3] = [2, 4, HORIZON];
/// Of the first of these, fitted Q evaluation is fitted anew so often; of the others it would take minutes a world.
const REFITS: usize = 12;
const DISCOUNT: f64 = 0.98;
fn main() -> ExitCode {
    ending(run())
}

/// One world.
struct Found {
    /// By policy, the value of the horizon: fitted Q, one week ahead, each action always, all drawn.
    values: Vec<f64>,
    taken: Vec<[usize; ACTIONS.len()]>,
    told: Vec<Told>,
}

/// What was said of a policy before it was used.
struct Told {
    policy: &'static str,
    weeks: usize,
    truth: f64,
    /// By estimator: estimate, width, whether the truth is within.
    estimates: Vec<(f64, f64, bool)>,
    effective: f64,
}

fn regressor(seed: u64) -> Regressor {
    let mut found = Regressor::trees(seed);
    if let Regressor::Trees(parameters) = &mut found {
        parameters.num_iterations = 30;
    }
    found
}

fn settings(horizon: usize, seed: u64) -> Settings {
    Settings {
        horizon,
        discount: DISCOUNT,
        regressor: regressor(seed),
        double: true,
        min_share: 0.02,
        tolerance: 0.0,
        seed,
    }
}

/// The first of many weeks: with two to go of two there are 13 to go.
struct Beginning<'a>(&'a dyn Policy, usize);

impl Policy for Beginning<'_> {
    fn probabilities(&self, row: usize, to_go: usize, out: &mut [f64]) {
        self.0.probabilities(row, to_go + self.1, out);
    }
}

fn one(seed: u64) -> Result<Found, Fault> {
    let begun = Begun::new(seed, CUSTOMERS)?;
    let (logged, used) = begun.there.split_at(LEARNED + JUDGED);
    let year = begun.year(logged, WEEKS, &mut anything(seed))?;
    let columns = Year::columns(&year.features);
    let features = named(&columns);
    let names: Vec<String> = year.customers.iter().map(u32::to_string).collect();
    let actions: Vec<String> = ACTIONS.iter().map(|&a| a.to_owned()).collect();
    let propensities = vec![1.0 / ACTIONS.len() as f64; names.len()];
    let t = Trajectories::new(Columns {
        customers: &names,
        steps: &year.weeks,
        features: &features,
        actions: &year.actions,
        action_names: &actions,
        propensities: &propensities,
        rewards: &year.rewards,
        allowed: None,
        ends: Some(&year.ends),
    })?;
    let learned_from: Vec<u32> = (0..LEARNED as u32).collect();
    let far = learn(&t, &learned_from, &settings(HORIZON, seed))?;
    let near = learn(&t, &learned_from, &settings(1, seed))?;
    let runs = |learned: &Learned| {
        begun.year(used, HORIZON, &mut |week, rows| {
            let columns = Year::columns(rows);
            let to_go = HORIZON.saturating_sub(week).max(1);
            Ok(learned.choose(&named(&columns), None, to_go)?)
        })
    };
    let mut years = vec![runs(&far)?, runs(&near)?];
    for action in 0..ACTIONS.len() {
        let always = |_: usize, rows: &[f64]| -> Result<Vec<u8>, Fault> {
            Ok(vec![action as u8; rows.len() / world::FEATURES.len()])
        };
        years.push(begun.year(used, HORIZON, &mut { always })?);
    }
    years.push(begun.year(used, HORIZON, &mut anything(seed + 1))?);
    let value = |year: &Year, weeks| year.value(weeks, DISCOUNT, used.len());
    let values: Vec<f64> = years.iter().map(|y| value(y, HORIZON)).collect();
    let fixed = (2..2 + ACTIONS.len())
        .max_by(|a, b| values[*a].total_cmp(&values[*b]))
        .ok_or("no action")?;
    let judged: Vec<u32> = (LEARNED as u32..(LEARNED + JUDGED) as u32).collect();
    let always = Fixed::new(&t, fixed - 2)?;
    let mut told = Vec::new();
    let choices: (&Choices, &Choices) = (&far.choices, &near.choices);
    for (policy, of, year) in [
        ("fitted Q", choices.0 as &dyn Policy, 0),
        ("one week ahead", choices.1, 1),
        ("the best action always", &always, fixed),
    ] {
        for weeks in JUDGED_WEEKS {
            let truth = value(&years[year], weeks);
            told.push(tell(&t, &judged, (policy, of), (weeks, truth), seed)?);
        }
    }
    Ok(Found {
        values,
        taken: years.iter().map(|y| y.taken).collect(),
        told,
    })
}

fn tell(
    t: &Trajectories<'_>,
    judged: &[u32],
    (policy, of): (&'static str, &dyn Policy),
    (weeks, truth): (usize, f64),
    seed: u64,
) -> Result<Told, Fault> {
    let beginning = Beginning(of, HORIZON - weeks);
    let settings = Judged {
        horizon: weeks,
        discount: DISCOUNT,
        regressor: regressor(seed),
        tolerance: 0.0,
        resamples: 1_000,
        refits: if weeks == JUDGED_WEEKS[0] { REFITS } else { 0 },
        level: 0.95,
        effective_least: 50.0,
        seed,
    };
    let folds = folds::shuffled(judged.len(), 2, seed)?;
    let found = evaluate(t, judged, &folds, |_| &beginning as &dyn Policy, &settings)?;
    let estimates = found.estimates.iter().map(|e| match e.interval {
        Some(i) => (
            e.value,
            i.upper - i.lower,
            i.lower <= truth && truth <= i.upper,
        ),
        None => (e.value, 0.0, false),
    });
    Ok(Told {
        policy,
        weeks,
        truth,
        estimates: estimates.collect(),
        effective: found.steps[weeks - 1].effective,
    })
}

fn mean(of: &[f64]) -> f64 {
    of.iter().sum::<f64>() / of.len() as f64
}

fn error(of: &[f64]) -> f64 {
    let centre = mean(of);
    let n = of.len() as f64;
    let squares: f64 = of.iter().map(|x| (x - centre) * (x - centre)).sum();
    (squares / (n - 1.0).max(1.0) / n).sqrt()
}

fn run() -> Result<(), Fault> {
    let only: Option<u64> = std::env::args().nth(1).map(|n| n.parse()).transpose()?;
    let seeds = only.unwrap_or(SEEDS);
    // Other seeds to try things on.
    let first = if only.is_some() { 1_000 } else { FIRST_SEED };
    let mut all = Vec::new();
    for seed in 1..=seeds {
        let begun = Instant::now();
        let found = one(first + seed)?;
        eprintln!(
            "world {seed}: values {:.4?}, taken {:?}, {:.1} s",
            found.values,
            &found.taken[..2],
            begun.elapsed().as_secs_f64()
        );
        for told in &found.told {
            eprintln!(
                "  {} over {} weeks: truth {:.4}, effective {:.1}, {:.3?}",
                told.policy, told.weeks, told.truth, told.effective, told.estimates
            );
        }
        all.push(found);
    }
    let list = measured(&all);
    for m in &list {
        eprintln!("{}: {:.4} ({:?})", m.name, m.figure, m.reference);
    }
    if only.is_none() {
        let path = write("lifetime", &list)?;
        eprintln!("written to {}", path.display());
    }
    Ok(())
}

fn measured(all: &[Found]) -> Vec<Measurement> {
    let of = |policy: usize| -> Vec<f64> { all.iter().map(|f| f.values[policy]).collect() };
    let fixed: Vec<f64> = (all.iter())
        .map(|f| {
            f.values[2..2 + ACTIONS.len()]
                .iter()
                .copied()
                .fold(f64::MIN, f64::max)
        })
        .collect();
    let drawn = of(2 + ACTIONS.len());
    let far = of(0);
    let mut list = Vec::new();
    let beside = [
        ("each world's best action always, in hindsight", &fixed),
        ("the same regression, one week ahead", &of(1)),
        ("every action alike", &drawn),
    ];
    for (name, other) in beside {
        let each: Vec<f64> = far.iter().zip(other).map(|(a, b)| a - b).collect();
        let wins = each.iter().filter(|d| **d > 0.0).count();
        list.push(Measurement {
            name: format!(
                "simulator, weekly contacts, answered contacts a customer in {HORIZON} weeks by fitted Q, mean of {} worlds; difference {:+.4}, its standard error {:.4}, more in {wins} worlds",
                all.len(), mean(&each), error(&each)
            ),
            figure: mean(&far),
            unit: "answers".to_owned(),
            reference: Some(Reference {
                name: name.to_owned(),
                figure: mean(other),
            }),
        });
    }
    for weeks in JUDGED_WEEKS {
        let told: Vec<&Told> = (all.iter().flat_map(|f| &f.told))
            .filter(|t| t.weeks == weeks)
            .collect();
        let effective = mean(&told.iter().map(|t| t.effective).collect::<Vec<f64>>());
        let truth = mean(&told.iter().map(|t| t.truth).collect::<Vec<f64>>());
        for estimator in Estimator::ALL {
            let what = format!("simulator, off-policy, {weeks} weeks, {}", estimator.name());
            let of: Vec<(f64, f64, bool)> = (told.iter())
                .map(|t| {
                    let (value, width, within) = t.estimates[estimator as usize];
                    (value - t.truth, width, within)
                })
                .collect();
            let n = of.len() as f64;
            let squares = of.iter().map(|e| e.0 * e.0).sum::<f64>() / n;
            let bias = of.iter().map(|e| e.0).sum::<f64>() / n;
            list.push(Measurement {
                name: format!(
                    "{what}: root mean square error of {n} estimates on {JUDGED} customers each (at the last week worth {effective:.0}), mean error {bias:+.3}"
                ),
                figure: squares.sqrt(),
                unit: "answers".to_owned(),
                reference: Some(Reference {
                    name: "mean of the truth".to_owned(),
                    figure: truth,
                }),
            });
            if of.iter().all(|e| e.1 > 0.0) {
                let within = of.iter().filter(|e| e.2).count() as f64;
                let width = of.iter().map(|e| e.1).sum::<f64>() / n;
                list.push(Measurement {
                    name: format!(
                        "{what}: share of intervals that hold the truth, mean width {width:.3}"
                    ),
                    figure: within / n,
                    unit: "share".to_owned(),
                    reference: Some(Reference {
                        name: "stated".to_owned(),
                        figure: 0.95,
                    }),
                });
            }
        }
    }
    list
}
