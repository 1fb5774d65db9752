//! Off-policy evaluation on the Open Bandit Dataset's small sample (six logs of 10,000 impressions), beside obp: the same logs,
//! policies, predictions and number of resamples, one thread both, in turns. Thompson sampling is evaluated on the logs of uniform
//! choice, as the share of each item at each position in its own log, and uniform choice on the logs of Thompson sampling. The
//! reward model is the mean of each item at each position, cross-fitted. Then how often intervals hold the truth of a known
//! world, over 1,000 simulated logs.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Instant;

use luopan_bench::data::DataFile;
use luopan_bench::process::Others;
use luopan_bench::{Fault, Measurement, Reference, folder, peer, write};
use luopan_kernel::random::Random;
use luopan_learning::ope::{
    Columns, Estimator, Interval, Logs, Method, Policy, Range, Table, Target, Terms, folds,
    interval, intervals,
};

/// What obp's estimators need; obp itself asks for older ones, and for a Python below 3.10.
const PACKAGES: [&str; 14] = [
    "--no-deps",
    "--ignore-requires-python",
    "obp==0.5.7",
    "numpy==2.4.6",
    "pandas==3.1.1",
    "scipy==1.17.1",
    "scikit-learn==1.9.1",
    "joblib==1.6.0",
    "cloudpickle==3.1.2",
    "threadpoolctl==3.8.0",
    "tqdm==4.70.1",
    "pyyaml==6.0.3",
    "python-dateutil==4.0.0",
    "narwhals==2.29.0",
];
const CAMPAIGNS: [&str; 3] = ["all", "men", "women"];
const POSITIONS: usize = 3;
const RESAMPLES: usize = 1_000;
const ROUNDS: usize = 5;
const LEVEL: f64 = 0.95;

fn main() -> ExitCode {
    luopan_bench::ending(run())
}

fn run() -> Result<(), Fault> {
    let python = peer::python("obp", &PACKAGES)?;
    let place = folder::root()?.join("ope");
    std::fs::create_dir_all(&place)?;
    let mut logs = Vec::new();
    for campaign in CAMPAIGNS {
        let [random, sampled] = ["random", "bts"].map(|by| Raw::read(by, campaign));
        let (random, sampled) = (random?, sampled?);
        let actions = random.actions_max().max(sampled.actions_max()) + 1;
        let shares = sampled.shares(actions);
        let uniform = vec![1.0 / actions as f64; POSITIONS * actions];
        logs.push(Log::new(format!("random-{campaign}"), random, shares)?);
        logs.push(Log::new(format!("bts-{campaign}"), sampled, uniform)?);
    }
    for log in &logs {
        log.store(&place)?;
    }
    let mut figures: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    let (mut difference, mut widths, mut shares) = (0.0f64, Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let said = peer::run(
            Command::new(&python)
                .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/peers/ope.py"))
                .arg(&place)
                .arg(RESAMPLES.to_string())
                .args(logs.iter().map(|log| &log.name))
                .env("OPENBLAS_NUM_THREADS", "1")
                .env("OMP_NUM_THREADS", "1"),
        )?;
        let others = Others::watch(&[std::process::id()])?;
        let mut sums: BTreeMap<&str, f64> = BTreeMap::new();
        for log in &logs {
            let told = |name: &str| peer::figure(&said, &format!("{}.{name}", log.name));
            let found = log.evaluate()?;
            for (value, name) in found.values.iter().zip(["ipw", "snipw", "dr"]) {
                difference = difference.max((value - told(name)?).abs());
            }
            let width = |interval: &Interval| interval.upper - interval.lower;
            widths.push(width(&found.intervals[2]) / (told("upper")? - told("lower")?));
            for (name, seconds) in [
                ("estimates", found.estimates),
                ("intervals", found.estimates + found.together),
                ("apart", found.estimates + found.apart),
                ("their estimates", told("estimates")?),
                ("their intervals", told("estimates")? + told("intervals")?),
            ] {
                *sums.entry(name).or_default() += seconds;
            }
        }
        shares.push(others.share()?);
        eprintln!("{round}: {sums:?}, greatest difference {difference:e}");
        for (name, sum) in sums {
            figures
                .entry(name)
                .or_default()
                .push(sum / logs.len() as f64);
        }
    }
    if difference > 1e-9 {
        return Err(format!("estimates differ from obp's by {difference:e}").into());
    }
    let per_second = |name: &str| 1.0 / peer::median(&figures[name]);
    let beside = |name: &str| Reference {
        name: "obp 0.5.7, one thread".to_owned(),
        figure: per_second(name),
    };
    let measured = |name: &str, figure: f64, unit: &str, reference| Measurement {
        name: format!("off-policy evaluation, {name}"),
        figure,
        unit: unit.to_owned(),
        reference,
    };
    let logs_of = "10,000 rows, 3 estimates";
    let resampled = format!("{logs_of} and their intervals of {RESAMPLES} resamples");
    let mut list = vec![
        measured(
            &format!("{logs_of}: ips, snips, dr"),
            per_second("estimates"),
            "logs/s",
            Some(beside("their estimates")),
        ),
        measured(
            &format!("{resampled}, by the same draws"),
            per_second("intervals"),
            "logs/s",
            Some(beside("their intervals")),
        ),
        measured(
            &format!("{resampled}, one after the other"),
            per_second("apart"),
            "logs/s",
            Some(beside("their intervals")),
        ),
        measured(
            "greatest difference of ips, snips and dr from obp's on six logs",
            difference,
            "clicks an impression",
            Some(Reference {
                name: "allowed (set before it was built)".to_owned(),
                figure: 1e-9,
            }),
        ),
        measured(
            "width of dr's bootstrap intervals over obp's",
            peer::median(&widths),
            "ratio",
            None,
        ),
    ];
    for (name, share, least) in coverage()? {
        list.push(measured(
            &format!("1,000 simulated logs of {SIMULATED} rows, truth within {name}, level 0.95"),
            share,
            "share of logs",
            Some(Reference {
                name: if least {
                    "wanted at least"
                } else {
                    "wanted, within 0.02"
                }
                .to_owned(),
                figure: LEVEL,
            }),
        ));
    }
    list.push(measured(
        "share of the machine that other processes took",
        peer::median(&shares),
        "share",
        None,
    ));
    let path = write("ope", &list)?;
    eprintln!("written to {}", path.display());
    Ok(())
}

/// Columns of a log as they lie in its file.
#[derive(Default)]
struct Raw {
    actions: Vec<u32>,
    positions: Vec<u32>,
    clicks: Vec<f64>,
    propensities: Vec<f64>,
}

impl Raw {
    fn read(by: &str, campaign: &str) -> Result<Self, Fault> {
        let data = DataFile::at(format!("open_bandit/obd/{by}/{campaign}/{campaign}.csv.gz"));
        let failed = |e: &dyn std::fmt::Display| data.fault(e);
        let text = data.text()?;
        let mut lines = text.lines();
        let header: Vec<&str> = lines.next().unwrap_or_default().split(',').collect();
        let mut places = [0; 4];
        let names = ["item_id", "position", "click", "propensity_score"];
        for (place, name) in places.iter_mut().zip(names) {
            *place = (header.iter().position(|found| *found == name))
                .ok_or_else(|| failed(&format!("no column {name}")))?;
        }
        let mut raw = Self::default();
        for line in lines {
            let words: Vec<&str> = line.split(',').collect();
            let number = |at: usize| -> Result<f64, Fault> {
                let word = words.get(places[at]).ok_or_else(|| failed(&line))?;
                word.parse().map_err(|e| failed(&e))
            };
            raw.actions.push(number(0)? as u32);
            // Positions are counted from 1 there.
            raw.positions.push(number(1)? as u32 - 1);
            raw.clicks.push(number(2)?);
            raw.propensities.push(number(3)?);
        }
        Ok(raw)
    }

    fn actions_max(&self) -> usize {
        self.actions.iter().max().map_or(0, |most| *most as usize)
    }

    /// Share of each action at each position, one row added to each.
    fn shares(&self, actions: usize) -> Vec<f64> {
        let mut counts = vec![1.0; POSITIONS * actions];
        for (action, position) in self.actions.iter().zip(&self.positions) {
            counts[*position as usize * actions + *action as usize] += 1.0;
        }
        for line in counts.chunks_exact_mut(actions) {
            let sum: f64 = line.iter().sum();
            line.iter_mut().for_each(|count| *count /= sum);
        }
        counts
    }
}

/// A log, a policy and a model, with a line of each for every row, as obp has them.
struct Log {
    name: String,
    raw: Raw,
    actions: usize,
    policy: Vec<f64>,
    folds: Vec<u32>,
    means: Vec<f64>,
    distribution: Vec<f64>,
    predictions: Vec<f64>,
}

/// What was found, and the seconds it took.
struct Evaluated {
    values: Vec<f64>,
    intervals: Vec<Interval>,
    estimates: f64,
    together: f64,
    apart: f64,
}

impl Log {
    fn new(name: String, raw: Raw, policy: Vec<f64>) -> Result<Self, Fault> {
        let actions = policy.len() / POSITIONS;
        let rows = raw.actions.len();
        let folds = folds::shuffled(rows, 3, 1)?;
        let columns = columns(&raw, actions);
        let means = folds::means(
            &Logs::new(columns)?,
            &raw.positions,
            POSITIONS,
            &folds,
            20.0,
        )?;
        let spread = |from: &[f64], lines: &[u32]| -> Vec<f64> {
            let line = |line: &u32| from[*line as usize * actions..][..actions].to_vec();
            lines.iter().flat_map(line).collect()
        };
        Ok(Self {
            name,
            actions,
            distribution: spread(&policy, &raw.positions),
            predictions: spread(&means.values, &means.lines),
            means: means.values,
            policy,
            folds,
            raw,
        })
    }

    fn store(&self, place: &Path) -> Result<(), Fault> {
        let raw = &self.raw;
        let bytes =
            |values: &[f64]| -> Vec<u8> { values.iter().flat_map(|x| x.to_le_bytes()).collect() };
        let rows: Vec<u8> = (0..raw.actions.len())
            .flat_map(|row| {
                [
                    u64::from(raw.actions[row]),
                    u64::from(raw.positions[row]),
                    raw.clicks[row].to_bits(),
                    raw.propensities[row].to_bits(),
                    u64::from(self.folds[row]),
                ]
            })
            .flat_map(u64::to_le_bytes)
            .collect();
        std::fs::write(place.join(format!("{}.rows", self.name)), rows)?;
        std::fs::write(
            place.join(format!("{}.policy", self.name)),
            bytes(&self.policy),
        )?;
        std::fs::write(
            place.join(format!("{}.model", self.name)),
            bytes(&self.means),
        )?;
        Ok(())
    }

    fn evaluate(&self) -> Result<Evaluated, Fault> {
        let method = Method::Bootstrap {
            resamples: RESAMPLES,
            seed: 1,
        };
        let started = Instant::now();
        let logs = Logs::new(columns(&self.raw, self.actions))?;
        let policy = Policy::Table {
            distribution: Table::each(&self.distribution, self.actions),
            predictions: Some(Table::each(&self.predictions, self.actions)),
        };
        let target = Target::new(&logs, black_box(&policy))?;
        let terms = estimators()
            .iter()
            .map(|estimator| estimator.terms(&logs, &target))
            .collect::<Result<Vec<Terms>, _>>()?;
        let values: Vec<f64> = terms.iter().map(Terms::value).collect();
        let estimates = black_box(started).elapsed().as_secs_f64();
        let started = Instant::now();
        let intervals = intervals(&terms.iter().collect::<Vec<_>>(), &method, LEVEL)?;
        let together = started.elapsed().as_secs_f64();
        let started = Instant::now();
        for terms in &terms {
            black_box(interval(terms, &method, LEVEL)?);
        }
        Ok(Evaluated {
            values,
            intervals,
            estimates,
            together,
            apart: started.elapsed().as_secs_f64(),
        })
    }
}

fn columns(raw: &Raw, action_count: usize) -> Columns<'_> {
    Columns {
        actions: &raw.actions,
        action_count,
        rewards: &raw.clicks,
        propensities: &raw.propensities,
        weights: None,
    }
}

fn estimators() -> [Estimator; 3] {
    [
        Estimator::Ips { clip: None },
        Estimator::SelfNormalised,
        Estimator::DoublyRobust { clip: None },
    ]
}

const SIMULATED: usize = 1_000;
const RUNS: u64 = 1_000;

/// How often intervals hold the truth: their names, shares, and whether at least the level is wanted or near it. The world has two
/// contexts and three actions, whose rewards are 0 or 1; the model is wrong.
fn coverage() -> Result<Vec<(String, f64, bool)>, Fault> {
    const MEANS: [[f64; 3]; 2] = [[0.2, 0.5, 0.3], [0.6, 0.1, 0.4]];
    const LOGGING: [[f64; 3]; 2] = [[0.5, 0.3, 0.2], [0.25, 0.25, 0.5]];
    const POLICY: [f64; 6] = [0.1, 0.6, 0.3, 0.5, 0.2, 0.3];
    const MODEL: [f64; 6] = [0.3, 0.4, 0.3, 0.4, 0.2, 0.5];
    // The largest of the policy's probabilities over the logged ones.
    const WEIGHT_MOST: f64 = 2.0;
    let pairs = POLICY.iter().zip(MEANS.as_flattened());
    let truth = pairs.map(|(p, mean)| p * mean).sum::<f64>() / 2.0;
    let rewards = Range {
        least: 0.0,
        most: 1.0,
    };
    let mut held: BTreeMap<String, (u64, bool)> = BTreeMap::new();
    for run in 0..RUNS {
        let mut random = Random::new(1_000_000 + run);
        let (mut raw, mut contexts) = (Raw::default(), Vec::new());
        for _ in 0..SIMULATED {
            let context = (random.bits() >> 63) as usize;
            let drawn = random.uniform();
            let [first, second, _] = LOGGING[context];
            let action = usize::from(drawn >= first) + usize::from(drawn >= first + second);
            contexts.push(context as u32);
            raw.actions.push(action as u32);
            raw.propensities.push(LOGGING[context][action]);
            raw.clicks.push(f64::from(u8::from(
                random.uniform() < MEANS[context][action],
            )));
        }
        let logs = Logs::new(columns(&raw, 3))?;
        let policy = Policy::Table {
            distribution: Table::by_context(&POLICY, 3, &contexts),
            predictions: Some(Table::by_context(&MODEL, 3, &contexts)),
        };
        let target = Target::new(&logs, &policy)?;
        let bootstrap = Method::Bootstrap {
            resamples: RESAMPLES,
            seed: run,
        };
        for estimator in estimators() {
            let terms = estimator.terms(&logs, &target)?;
            let bernstein = estimator
                .range(rewards, WEIGHT_MOST)
                .map(Method::EmpiricalBernstein);
            for method in [Some(bootstrap), bernstein].into_iter().flatten() {
                let found = interval(&terms, &method, LEVEL)?;
                let name = format!("{} of {}", found.method, estimator.name());
                let least = method != bootstrap;
                held.entry(name).or_insert((0, least)).0 +=
                    u64::from(found.lower <= truth && truth <= found.upper);
            }
        }
    }
    let shares = held.into_iter();
    Ok(shares
        .map(|(name, (held, least))| (name, held as f64 / RUNS as f64, least))
        .collect())
}
