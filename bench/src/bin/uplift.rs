//! Uplift on Hillstrom's e-mail trial (64,000 customers by lot: men's mail, women's mail, none) beside causalml and scikit-uplift
//! with LightGBM of the same settings, one thread: who visits, and who buys, for each mail against none. Twenty times half of the
//! rows are learned from, drawn by a seed, and the others are ranked; the rankings of all are judged by the same function. Seconds
//! are CPU time of learning and scoring.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Instant;

use luopan_bench::hillstrom::{self, NONE};
use luopan_bench::process::{Others, cpu};
use luopan_bench::{Fault, Measurement, Reference, folder, peer, write};
use luopan_kernel::random::Random;
use luopan_learning::gbdt::{Column, Kind, Objective};
use luopan_learning::uplift::{Arms, Learner, Propensities, Ranking, Rows, Settings, Trial, fit};

const PACKAGES: [&str; 5] = [
    "causalml==0.18.0",
    "scikit-uplift==0.5.1",
    "lightgbm==4.7.0",
    "numpy==2.4.6",
    "pandas==3.1.1",
];
const SEEDS: u64 = 20;
const MAILS: [(&str, &str); 2] = [
    ("women's mail", "Womens E-Mail"),
    ("men's mail", "Mens E-Mail"),
];
const OUTCOMES: [&str; 2] = ["visit", "conversion"];
/// Which of theirs each learner stands beside.
const PEERS: [(Learner, &[&str]); 5] = [
    (Learner::S, &["causalml.s", "sklift.s"]),
    (Learner::T, &["causalml.t", "sklift.t"]),
    (Learner::X, &["causalml.x"]),
    (Learner::R, &["causalml.r"]),
    (
        Learner::DoublyRobust,
        &["causalml.dr", "sklift.transformation"],
    ),
];

fn main() -> ExitCode {
    luopan_bench::ending(run())
}

fn run() -> Result<(), Fault> {
    let python = peer::python("uplift", &PACKAGES)?;
    let place = folder::root()?.join("uplift");
    std::fs::create_dir_all(&place)?;
    let customers = hillstrom::Trial::read()?;
    let (mut list, mut shares) = (Vec::new(), Vec::new());
    let mut seconds: BTreeMap<(&str, &str), [f64; 2]> = BTreeMap::new();
    for (mail, segment) in MAILS {
        for outcome in OUTCOMES {
            let name = format!("{outcome}.{}", &segment[..1]);
            let table = table_of(&customers, segment, outcome)?;
            table.store(&place, &name)?;
            let settings = Settings::new(Learner::T, Objective::Binary);
            let said = peer::run(
                Command::new(&python)
                    .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/peers/uplift.py"))
                    .arg(&place)
                    .arg(&name)
                    .args([
                        SEEDS.to_string(),
                        table.names.len().to_string(),
                        settings.outcome.num_iterations.to_string(),
                        settings.outcome.learning_rate.to_string(),
                        settings.outcome.num_leaves.to_string(),
                        settings.outcome.min_data_in_leaf.to_string(),
                        settings.folds.to_string(),
                    ])
                    .env("OMP_NUM_THREADS", "1")
                    .env("OPENBLAS_NUM_THREADS", "1"),
            )?;
            let others = Others::watch(&[std::process::id()])?;
            for (learner, peers) in PEERS {
                let (started, before) = (Instant::now(), cpu(std::process::id())?);
                let scores = (1..=SEEDS)
                    .map(|seed| table.scores(learner, seed))
                    .collect::<Result<Vec<_>, Fault>>()?;
                let took = cpu(std::process::id())? - before;
                eprintln!(
                    "{mail}, {outcome}, {}: {took:?} of {:?}",
                    learner.name(),
                    started.elapsed()
                );
                let own = table.judged(&scores)?;
                for theirs in peers {
                    let scores = (1..=SEEDS)
                        .map(|seed| numbers(&place.join(format!("{name}.{seed}.{theirs}"))))
                        .collect::<Result<Vec<_>, Fault>>()?;
                    let found = table.judged(&scores)?;
                    let words = format!("{}, {mail} on {outcome}", learner.name());
                    list.push(beside(&words, theirs, &own, &found));
                    let sums = seconds.entry((learner.name(), theirs)).or_default();
                    sums[0] += took.as_secs_f64();
                    sums[1] += peer::figure(&said, theirs)?;
                }
            }
            shares.push(others.share()?);
        }
    }
    for ((learner, theirs), [own, took]) in seconds {
        list.push(Measurement {
            name: format!(
                "uplift by {learner}, 20 halves of some 40,000 rows for each of two mails and two outcomes, learned and scored, CPU"
            ),
            figure: own,
            unit: "s".to_owned(),
            reference: Some(reference(theirs, took)),
        });
    }
    list.push(Measurement {
        name: "share of the machine that other processes took".to_owned(),
        figure: peer::median(&shares),
        unit: "share".to_owned(),
        reference: None,
    });
    let path = write("uplift", &list)?;
    eprintln!("written to {}", path.display());
    Ok(())
}

fn reference(theirs: &str, figure: f64) -> Reference {
    Reference {
        name: format!("{theirs}, LightGBM 4.7.0, one thread"),
        figure,
    }
}

/// Means, with the mean of paired differences and how far they spread.
fn beside(words: &str, theirs: &str, own: &[f64], found: &[f64]) -> Measurement {
    let mean = |of: &[f64]| of.iter().sum::<f64>() / of.len() as f64;
    let deviation = |of: &[f64]| {
        let (mean, n) = (mean(of), of.len() as f64);
        (of.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / (n - 1.0)).sqrt()
    };
    let differences: Vec<f64> = own.iter().zip(found).map(|(a, b)| a - b).collect();
    let said = format!(
        "difference {:.4}, its deviation over halves {:.4}, that of the other's Qini {:.4}",
        mean(&differences),
        deviation(&differences),
        deviation(found)
    );
    eprintln!(
        "{words} beside {theirs}: {:.4} and {:.4}, {said}",
        mean(own),
        mean(found)
    );
    Measurement {
        name: format!("uplift by {words}, Qini coefficient, mean of 20 halves ({said})"),
        figure: mean(own),
        unit: "Qini".to_owned(),
        reference: Some(reference(theirs, mean(found))),
    }
}

fn numbers(path: &Path) -> Result<Vec<f64>, Fault> {
    let bytes = std::fs::read(path)?;
    let (words, _) = bytes.as_chunks::<8>();
    Ok(words.iter().map(|word| f64::from_le_bytes(*word)).collect())
}

/// Rows of one mail and of none.
fn table_of(all: &hillstrom::Trial, segment: &str, outcome: &str) -> Result<Table, Fault> {
    let outcomes = match outcome {
        "visit" => &all.visits,
        "conversion" => &all.conversions,
        _ => return Err(format!("no outcome {outcome}").into()),
    };
    let is_of = |name: &String| name == segment || name == NONE;
    let rows: Vec<usize> = (0..all.segments.len())
        .filter(|row| is_of(&all.segments[*row]))
        .collect();
    let take = |column: &Vec<f64>| rows.iter().map(|row| column[*row]).collect();
    Ok(Table {
        names: all.names.clone(),
        columns: all.columns.iter().map(take).collect(),
        outcomes: take(outcomes),
        mails: rows.iter().map(|row| all.segments[*row].clone()).collect(),
    })
}

struct Table {
    names: Vec<String>,
    columns: Vec<Vec<f64>>,
    outcomes: Vec<f64>,
    mails: Vec<String>,
}

impl Table {
    fn rows(&self) -> usize {
        self.outcomes.len()
    }

    /// Whether a row is judged, half of them.
    fn held(&self, seed: u64) -> Vec<bool> {
        let mut held: Vec<bool> = (0..self.rows()).map(|row| row % 2 == 0).collect();
        let mut random = Random::new(seed);
        for at in (1..held.len()).rev() {
            held.swap(at, (random.bits() % (at as u64 + 1)) as usize);
        }
        held
    }

    fn store(&self, place: &Path, name: &str) -> Result<(), Fault> {
        let mut bytes = Vec::new();
        for row in 0..self.rows() {
            let treated = f64::from(u8::from(self.mails[row] != NONE));
            bytes.extend(self.outcomes[row].to_le_bytes());
            bytes.extend(treated.to_le_bytes());
            bytes.extend(
                self.columns
                    .iter()
                    .flat_map(|column| column[row].to_le_bytes()),
            );
        }
        std::fs::write(place.join(name), bytes)?;
        for seed in 1..=SEEDS {
            let held: Vec<u8> = self.held(seed).into_iter().map(u8::from).collect();
            std::fs::write(place.join(format!("{name}.{seed}")), held)?;
        }
        Ok(())
    }

    fn places(&self, seed: u64, held: bool) -> Vec<usize> {
        let of = self.held(seed);
        (0..self.rows()).filter(|row| of[*row] == held).collect()
    }

    fn arms(&self, rows: &[usize]) -> Result<Arms, Fault> {
        let mails: Vec<&str> = rows.iter().map(|row| self.mails[*row].as_str()).collect();
        Ok(Arms::of_texts(&mails, Some(NONE))?)
    }

    /// Learns from one half and scores the other.
    fn scores(&self, learner: Learner, seed: u64) -> Result<Vec<f64>, Fault> {
        let take = |rows: &[usize]| -> Vec<Vec<f64>> {
            let of = |column: &Vec<f64>| rows.iter().map(|row| column[*row]).collect();
            self.columns.iter().map(of).collect()
        };
        let (given, held) = (self.places(seed, false), self.places(seed, true));
        let (learned, scored) = (take(&given), take(&held));
        let outcomes: Vec<f64> = given.iter().map(|row| self.outcomes[*row]).collect();
        let columns = columns(&self.names, &learned);
        let trial = Trial {
            columns: &columns,
            outcomes: &outcomes,
            arms: &self.arms(&given)?,
            weights: None,
            propensities: Propensities::Shares,
        };
        let settings = Settings {
            seed,
            ..Settings::new(learner, Objective::Binary)
        };
        let model = fit(&trial, &settings)?;
        Ok(model.effects(&self::columns(&self.names, &scored))?.of(1))
    }

    /// The Qini coefficient of each seed's scores.
    fn judged(&self, scores: &[Vec<f64>]) -> Result<Vec<f64>, Fault> {
        (1..)
            .zip(scores)
            .map(|(seed, scores)| {
                let held = self.places(seed, true);
                let outcomes: Vec<f64> = held.iter().map(|row| self.outcomes[*row]).collect();
                let ranking = Ranking::new(&Rows {
                    scores,
                    outcomes: &outcomes,
                    treated: &self.arms(&held)?.against(1),
                    weights: None,
                })?;
                (ranking.measures().qini_coefficient).ok_or_else(|| "no Qini coefficient".into())
            })
            .collect()
    }
}

fn columns<'a>(names: &'a [String], values: &'a [Vec<f64>]) -> Vec<Column<'a>> {
    let of = |(name, values): (&'a String, &'a Vec<f64>)| Column {
        name,
        values,
        kind: Kind::Number,
    };
    names.iter().zip(values).map(of).collect()
}
