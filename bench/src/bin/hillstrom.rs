//! What a learned policy is worth on Hillstrom's e-mail trial (64,000 customers by lot: men's mail, women's mail, none): the share who visit.
//! Rows are cut into two folds by a seed; each fold's policy, the mail with the highest effect or none where no mail has one above zero, is
//! learned from the other fold, so that no row is judged by what it taught. Its value is by inverse propensity (a third each) and doubly
//! robust, whose predictions are the other fold's too, with bootstrap intervals. Beside it stands the best fixed action, and the paired
//! difference from that action on the same rows. One cut says little: the mean over twenty is told as well.

use std::collections::BTreeMap;
use std::process::ExitCode;

use luopan_bench::hillstrom::{NONE, Trial};
use luopan_bench::{Fault, Measurement, Reference, write};
use luopan_kernel::random::Random;
use luopan_learning::gbdt::{Column, Kind, Objective, Parameters};
use luopan_learning::ope::{
    Columns, Estimator, Interval, Logs, Method, Policy, Table, Target, Terms, difference, interval,
};
use luopan_learning::uplift::{self, Arms, Learner, Model, Propensities, Settings, best, fit};

const ARMS: usize = 3;
const SEEDS: u64 = 20;
const METHOD: Method = Method::Bootstrap {
    resamples: 1_000,
    seed: 1,
};
const LEVEL: f64 = 0.95;
/// What the issue names: a plain policy of gradient-boosted trees over two folds, and how sure that is.
const PLAIN: (f64, f64) = (0.1849, 0.0056);

fn main() -> ExitCode {
    luopan_bench::ending(run())
}

fn run() -> Result<(), Fault> {
    let trial = Customers::read()?;
    let logs = trial.logs()?;
    let mut list = Vec::new();
    // The best fixed action, by its own rows, in which it was given.
    let (fixed, mail) = trial.best_fixed();
    let always = trial.always(fixed);
    eprintln!("{mail}: {:.4}", trial.mean_of(fixed));
    let reference = || Reference {
        name: format!("always {mail}, the best fixed action, mean of its own rows"),
        figure: trial.mean_of(fixed),
    };
    let entrants = entrants();
    let mut first: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
    let mut values: BTreeMap<(&str, &str), Vec<f64>> = BTreeMap::new();
    let mut predicted = Vec::new();
    for seed in 1..=SEEDS {
        let cut = Cut::new(&trial, seed);
        let predictions = cut.predictions()?;
        for entrant in &entrants {
            let chosen = cut.policy(&entrant.settings)?;
            let found = terms(&logs, &chosen, &predictions)?;
            for terms in &found {
                let name = (entrant.name, terms.estimator());
                values.entry(name).or_default().push(terms.value());
            }
            if seed == 1 {
                first.insert(entrant.name, chosen);
            }
        }
        if seed == 1 {
            predicted = predictions;
        }
    }
    let fixed_terms = terms(&logs, &always, &predicted)?;
    for terms in &fixed_terms {
        let found = interval(terms, &METHOD, LEVEL)?;
        list.push(measured(
            &format!("always {mail}, {} {}", terms.estimator(), within(&found)),
            terms.value(),
            Some(reference()),
        ));
    }
    for name in entrants.iter().map(|e| e.name) {
        let found = terms(&logs, &first[name], &predicted)?;
        for (terms, fixed) in found.iter().zip(&fixed_terms) {
            let by = terms.estimator();
            let own = interval(terms, &METHOD, LEVEL)?;
            let minus = difference(terms, fixed, &METHOD, LEVEL)?;
            list.push(measured(
                &format!("policy of {name}, {by} {}", within(&own)),
                terms.value(),
                Some(reference()),
            ));
            list.push(measured(
                &format!(
                    "policy of {name} less always {mail}, {by} {}",
                    within(&minus)
                ),
                terms.value() - fixed.value(),
                None,
            ));
            let all = &values[&(name, by)];
            let mean = all.iter().sum::<f64>() / all.len() as f64;
            let squares: f64 = all.iter().map(|v| (v - mean) * (v - mean)).sum();
            let spread = (squares / (all.len() - 1) as f64).sqrt();
            list.push(measured(
                &format!("policy of {name}, {by}, mean of {SEEDS} cuts into two folds, which differ by {spread:.4}"),
                mean,
                Some(Reference {
                    name: format!("a plain two-fold policy of trees, named beforehand, +- {}", PLAIN.1),
                    figure: PLAIN.0,
                }),
            ));
        }
    }
    for of in &list {
        eprintln!("{}: {:.5}", of.name, of.figure);
    }
    let path = write("hillstrom", &list)?;
    eprintln!("written to {}", path.display());
    Ok(())
}

fn measured(name: &str, figure: f64, reference: Option<Reference>) -> Measurement {
    Measurement {
        name: format!("Hillstrom, visits: {name}"),
        figure,
        unit: "share of customers".to_owned(),
        reference,
    }
}

fn within(of: &Interval) -> String {
    format!("({:.4} to {:.4})", of.lower, of.upper)
}

/// A way to learn a policy.
struct Entrant {
    name: &'static str,
    settings: Settings,
}

fn entrants() -> Vec<Entrant> {
    let of = |learner| Settings::new(learner, Objective::Binary);
    let entrant = |name, settings| Entrant { name, settings };
    let plain = Settings {
        outcome: Parameters::new(Objective::Binary),
        ..of(Learner::T)
    };
    vec![
        entrant("the s learner", of(Learner::S)),
        entrant("the t learner", of(Learner::T)),
        entrant("the x learner", of(Learner::X)),
        entrant("the r learner", of(Learner::R)),
        entrant("the dr learner", of(Learner::DoublyRobust)),
        entrant("trees for each mail with LightGBM's defaults", plain),
    ]
}

/// Terms of a policy that gives each customer one arm.
fn terms(logs: &Logs<'_>, chosen: &[u32], predictions: &[f64]) -> Result<Vec<Terms>, Fault> {
    let mut distribution = vec![0.0; chosen.len() * ARMS];
    for (row, arm) in chosen.iter().enumerate() {
        distribution[row * ARMS + *arm as usize] = 1.0;
    }
    let policy = Policy::Table {
        distribution: Table::each(&distribution, ARMS),
        predictions: Some(Table::each(predictions, ARMS)),
    };
    let target = Target::new(logs, &policy)?;
    let estimators = [
        Estimator::Ips { clip: None },
        Estimator::DoublyRobust { clip: None },
    ];
    let all = estimators.iter().map(|e| e.terms(logs, &target));
    Ok(all.collect::<Result<_, _>>()?)
}

/// The trial in columns.
struct Customers {
    names: Vec<String>,
    columns: Vec<Vec<f64>>,
    segments: Vec<String>,
    /// Names of the arms, none first.
    arms: Vec<String>,
    given: Vec<u32>,
    visits: Vec<f64>,
    propensities: Vec<f64>,
}

impl Customers {
    fn read() -> Result<Self, Fault> {
        let read = Trial::read()?;
        let segments = read.segments;
        let mut arms = segments.clone();
        arms.sort_unstable();
        arms.dedup();
        arms.sort_by_key(|arm| arm != NONE);
        if arms.len() != ARMS || arms[0] != NONE {
            return Err(format!("the arms are {arms:?}").into());
        }
        let place = |s: &String| {
            arms.iter()
                .position(|arm| arm == s)
                .map_or(0, |at| at as u32)
        };
        Ok(Self {
            given: segments.iter().map(place).collect(),
            propensities: vec![1.0 / ARMS as f64; segments.len()],
            visits: read.visits,
            names: read.names,
            columns: read.columns,
            segments,
            arms,
        })
    }

    fn logs(&self) -> Result<Logs<'_>, Fault> {
        Ok(Logs::new(Columns {
            actions: &self.given,
            action_count: ARMS,
            rewards: &self.visits,
            propensities: &self.propensities,
            weights: None,
        })?)
    }

    fn mean_of(&self, arm: u32) -> f64 {
        let own = self
            .given
            .iter()
            .zip(&self.visits)
            .filter(|(g, _)| **g == arm);
        own.clone().map(|(_, v)| v).sum::<f64>() / own.count() as f64
    }

    fn best_fixed(&self) -> (u32, String) {
        let better = |best: u32, arm: u32| match self.mean_of(arm) > self.mean_of(best) {
            true => arm,
            false => best,
        };
        let arm = (0..ARMS as u32).fold(0, better);
        (arm, self.arms[arm as usize].clone())
    }

    fn always(&self, arm: u32) -> Vec<u32> {
        vec![arm; self.given.len()]
    }
}

/// The trial in two folds.
struct Cut<'a> {
    trial: &'a Customers,
    folds: [Vec<usize>; 2],
    seed: u64,
}

impl<'a> Cut<'a> {
    fn new(trial: &'a Customers, seed: u64) -> Self {
        let mut order: Vec<usize> = (0..trial.given.len()).collect();
        let mut random = Random::new(seed);
        for at in (1..order.len()).rev() {
            order.swap(at, (random.bits() % (at as u64 + 1)) as usize);
        }
        let second = order.split_off(order.len() / 2);
        Self {
            trial,
            folds: [order, second],
            seed,
        }
    }

    fn take(&self, rows: &[usize]) -> Vec<Vec<f64>> {
        let of = |column: &Vec<f64>| rows.iter().map(|row| column[*row]).collect();
        self.trial.columns.iter().map(of).collect()
    }

    fn columns<'c>(&'c self, values: &'c [Vec<f64>]) -> Vec<Column<'c>> {
        (self.trial.names.iter().zip(values))
            .map(|(name, values)| Column {
                name,
                values,
                kind: Kind::Number,
            })
            .collect()
    }

    fn learn(&self, settings: &Settings, rows: &[usize]) -> Result<Model, Fault> {
        let values = self.take(rows);
        let visits: Vec<f64> = rows.iter().map(|row| self.trial.visits[*row]).collect();
        let segments: Vec<&str> = rows
            .iter()
            .map(|row| self.trial.segments[*row].as_str())
            .collect();
        let settings = Settings {
            seed: self.seed,
            ..settings.clone()
        };
        let trial = uplift::Trial {
            columns: &self.columns(&values),
            outcomes: &visits,
            arms: &Arms::of_texts(&segments, Some(NONE))?,
            weights: None,
            propensities: Propensities::Shares,
        };
        let model = fit(&trial, &settings)?;
        match model.arms() == self.trial.arms {
            true => Ok(model),
            false => Err(format!("a fold has the arms {:?}", model.arms()).into()),
        }
    }

    /// The arm of each customer, by the policy of the fold that she is not in.
    fn policy(&self, settings: &Settings) -> Result<Vec<u32>, Fault> {
        let mut chosen = vec![0; self.trial.given.len()];
        for (own, other) in [(0, 1), (1, 0)] {
            let model = self.learn(settings, &self.folds[other])?;
            let values = self.take(&self.folds[own]);
            let effects = model.effects(&self.columns(&values))?;
            for (row, arm) in self.folds[own].iter().zip(best(&effects)) {
                chosen[*row] = arm.unwrap_or(0);
            }
        }
        Ok(chosen)
    }

    /// The chance of a visit with each arm, by a model for each arm of the fold that the customer is not in; arms side by side.
    fn predictions(&self) -> Result<Vec<f64>, Fault> {
        let mut out = vec![0.0; self.trial.given.len() * ARMS];
        let settings = Settings::new(Learner::T, Objective::Binary);
        for (own, other) in [(0, 1), (1, 0)] {
            let model = self.learn(&settings, &self.folds[other])?;
            let values = self.take(&self.folds[own]);
            let columns = self.columns(&values);
            let effects = model.effects(&columns)?;
            let treated =
                (model.treated_outcomes(&columns)?).ok_or("a model for each arm has outcomes")?;
            for arm in 1..ARMS as u32 {
                let (with, more) = (treated.of(arm), effects.of(arm));
                for (at, row) in self.folds[own].iter().enumerate() {
                    out[row * ARMS + arm as usize] = with[at];
                    out[row * ARMS] = with[at] - more[at];
                }
            }
        }
        Ok(out)
    }
}
