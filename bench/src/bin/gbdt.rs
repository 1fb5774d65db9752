//! Gradient-boosted trees beside LightGBM: the same folds, parameters and machine, one thread both, in turns. Losses on the fold that
//! was held out, CPU seconds of binning and training, of predicting the fold, and of explaining rows of it; the last two by both
//! programs with the same model, which was trained here and which LightGBM reads as text.
//!
//! `LUOPAN_BENCH_DATA` names data sets, separated by commas: then only these are measured, told and not written down.

use std::path::Path;
use std::process::{Command, ExitCode};

use luopan_bench::data;
use luopan_bench::process::Others;
use luopan_bench::{Fault, Measurement, Reference, folder, peer, write};
use luopan_learning::gbdt::{
    Binned, Column, Kind, Metric, Objective, Parameters, Part, shap, train,
};
use luopan_learning::lightgbm;

const PACKAGES: [&str; 3] = ["lightgbm==4.7.0", "numpy==2.4.6", "scipy==1.17.1"];
const LIGHTGBM: &str = "LightGBM 4.7.0, one thread";
/// Rows of a fold that are explained.
const EXPLAINED: usize = 2_000;

/// A data set: its objective, the figure by which it is judged, and how many of its five folds are held out in turn.
struct Set {
    name: &'static str,
    objective: Objective,
    metric: Metric,
    unit: &'static str,
    folds: usize,
}

const SETS: [Set; 4] = [
    Set {
        name: "bank_marketing",
        objective: Objective::Binary,
        metric: Metric::Auc,
        unit: "AUC",
        folds: 5,
    },
    Set {
        name: "credit_taiwan",
        objective: Objective::Binary,
        metric: Metric::Auc,
        unit: "AUC",
        folds: 5,
    },
    Set {
        name: "freMTPL2",
        objective: Objective::Poisson,
        metric: Metric::PoissonDeviance,
        unit: "deviance",
        folds: 5,
    },
    // A fold of it takes both programs near a minute; the first two of the five are measured.
    Set {
        name: "synthetic",
        objective: Objective::Binary,
        metric: Metric::Auc,
        unit: "AUC",
        folds: 2,
    },
];

fn main() -> ExitCode {
    luopan_bench::ending(run())
}

fn run() -> Result<(), Fault> {
    let python = peer::python("gbdt", &PACKAGES)?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/peers/gbdt.py");
    let chosen = std::env::var("LUOPAN_BENCH_DATA").ok();
    let (mut measured, mut shares) = (Vec::new(), Vec::new());
    for set in &SETS {
        let picked = |names: &String| names.split(',').any(|name| name == set.name);
        if chosen.as_ref().is_none_or(picked) {
            let place = folder::root()?.join("gbdt").join(set.name);
            let shown = measured.len();
            if !place.join("columns.json").is_file() {
                let mut make = Command::new(&python);
                make.arg(&script).arg("make").arg(data::folder());
                peer::run(make.arg(&place).arg(set.name))?;
            }
            shares.extend(of_set(set, &place, &python, &script, &mut measured)?);
            for one in &measured[shown..] {
                let beside = one
                    .reference
                    .as_ref()
                    .map_or(f64::NAN, |found| found.figure);
                eprintln!("{}: {} {} beside {beside}", one.name, one.figure, one.unit);
            }
        }
    }
    measured.push(Measurement {
        name: "share of the machine that other processes took while trees were trained".to_owned(),
        figure: peer::median(&shares),
        unit: "share".to_owned(),
        reference: None,
    });
    if chosen.is_none() {
        let path = write("gbdt", &measured)?;
        eprintln!("written to {}", path.display());
    }
    Ok(())
}

/// A data set as the script laid it down.
struct Table {
    columns: Vec<(String, bool)>,
    values: Vec<f64>,
    target: Vec<f64>,
    exposure: Vec<f64>,
    folds: Vec<f64>,
}

impl Table {
    fn read(place: &Path) -> Result<Self, Fault> {
        let text = std::fs::read_to_string(place.join("columns.json"))?;
        Ok(Self {
            columns: serde_json::from_str(&text)?,
            values: numbers(&place.join("x"))?,
            target: numbers(&place.join("y"))?,
            exposure: numbers(&place.join("exposure"))?,
            folds: numbers(&place.join("folds"))?,
        })
    }

    /// The rows for which `keep` holds of their fold.
    fn rows(&self, keep: impl Fn(f64) -> bool) -> Self {
        let rows: Vec<usize> = (0..self.folds.len())
            .filter(|row| keep(self.folds[*row]))
            .collect();
        let take = |values: &[f64]| rows.iter().map(|row| values[*row]).collect::<Vec<f64>>();
        Self {
            columns: self.columns.clone(),
            values: (self.values.chunks_exact(self.folds.len()))
                .flat_map(take)
                .collect(),
            target: take(&self.target),
            exposure: take(&self.exposure),
            folds: take(&self.folds),
        }
    }

    fn columns(&self) -> Vec<Column<'_>> {
        let values = self.values.chunks_exact(self.target.len());
        (self.columns.iter().zip(values))
            .map(|((name, category), values)| Column {
                name,
                values,
                kind: if *category {
                    Kind::Category
                } else {
                    Kind::Number
                },
            })
            .collect()
    }

    fn part<'a>(&'a self, data: &'a Binned, objective: Objective) -> Part<'a> {
        Part {
            data,
            target: &self.target,
            weights: None,
            exposure: (objective == Objective::Poisson).then_some(&self.exposure),
            offset: None,
            groups: None,
        }
    }

    /// Row by row.
    fn flat(&self) -> Vec<f64> {
        let rows = self.target.len();
        (0..rows)
            .flat_map(|row| (0..self.columns.len()).map(move |at| self.values[at * rows + row]))
            .collect()
    }
}

/// What one fold told, here and there.
#[derive(Default)]
struct Told {
    metric: f64,
    bins: f64,
    training: f64,
    predicting: f64,
    explaining: f64,
}

fn of_set(
    set: &Set,
    place: &Path,
    python: &Path,
    script: &Path,
    measured: &mut Vec<Measurement>,
) -> Result<Vec<f64>, Fault> {
    let mut shares = Vec::new();
    let table = Table::read(place)?;
    let (mut own, mut theirs) = (Vec::new(), Vec::new());
    let (mut apart, mut apart_explained) = (0.0f64, 0.0f64);
    let (mut held_rows, mut explained_rows) = (0, 0);
    for fold in 0..set.folds {
        let given = table.rows(|found| found != fold as f64);
        let held = table.rows(|found| found == fold as f64);
        let explained = EXPLAINED.min(held.target.len());
        let flat = held.flat();
        let mut told = Told::default();
        let others = Others::watch(&[std::process::id()])?;
        let columns = given.columns();
        let bins = timed(&mut told.bins, || {
            Binned::new(&columns, &Default::default())
        })?;
        let part = given.part(&bins, set.objective);
        let parameters = Parameters::new(set.objective);
        let trained = timed(&mut told.training, || train(&part, None, &parameters))?;
        let ensemble = trained.model.ensemble()?;
        let mut raw = vec![0.0; held.target.len()];
        ensemble.predict_raw_many(&flat[..100 * held.columns.len()], &mut raw[..100]);
        timed(&mut told.predicting, || {
            ensemble.predict_raw_many(&flat, &mut raw);
        });
        let rows = &flat[..explained * held.columns.len()];
        let mut values = Vec::new();
        timed(&mut told.explaining, || -> Result<(), Fault> {
            let explainer = shap::Explainer::new(&trained.model)?;
            values.resize(explained * explainer.width(), 0.0);
            explainer.explain(rows, &mut values);
            Ok(())
        })?;
        shares.push(others.share()?);
        let held_bins = bins.like(&held.columns())?;
        let judged = held.part(&held_bins, set.objective);
        told.metric = set.metric.of_scores(set.objective, &judged, &raw)?;
        std::fs::write(place.join("own.txt"), lightgbm::write(&trained.model)?)?;
        drop((bins, trained, ensemble));
        let said = peer::run(
            Command::new(python)
                .arg(script)
                .arg("run")
                .arg(place)
                .arg(fold.to_string())
                .arg(explained.to_string()),
        )?;
        let scores = numbers(&place.join("theirs.raw"))?;
        theirs.push(Told {
            metric: set.metric.of_scores(set.objective, &judged, &scores)?,
            bins: peer::figure(&said, "bins")?,
            training: peer::figure(&said, "training")?,
            predicting: peer::figure(&said, "predicting")?,
            explaining: peer::figure(&said, "explaining")?,
        });
        own.push(told);
        apart = apart.max(difference(&raw, &numbers(&place.join("again.raw"))?)?);
        let again = numbers(&place.join("again.shap"))?;
        apart_explained = apart_explained.max(difference(&values, &again)?);
        held_rows += held.target.len();
        explained_rows += explained;
    }
    let name = |what: &str| format!("gbdt, {}: {what}", set.name);
    let mut beside = |what: &str, unit: &str, of: &dyn Fn(&[Told]) -> f64| {
        measured.push(Measurement {
            name: name(what),
            figure: of(&own),
            unit: unit.to_owned(),
            reference: Some(Reference {
                name: LIGHTGBM.to_owned(),
                figure: of(&theirs),
            }),
        });
    };
    let folds = set.folds as f64;
    let sum = |told: &[Told], of: fn(&Told) -> f64| told.iter().map(of).sum::<f64>();
    beside(
        &format!("mean of {} folds held out", set.folds),
        set.unit,
        &|told| sum(told, |one| one.metric) / folds,
    );
    beside(
        "CPU time of binning and training, 100 trees",
        "s",
        &|told| sum(told, |one| one.bins + one.training) / folds,
    );
    beside("of which training", "s", &|told| {
        sum(told, |one| one.training) / folds
    });
    beside("prediction, the same model", "rows/s", &|told| {
        held_rows as f64 / sum(told, |one| one.predicting)
    });
    beside("Shapley values, the same model", "rows/s", &|told| {
        explained_rows as f64 / sum(told, |one| one.explaining)
    });
    for (what, figure, allowed) in [
        (
            "greatest difference of raw scores from LightGBM's with the same model",
            apart,
            1e-9,
        ),
        (
            "greatest difference of Shapley values from LightGBM's",
            apart_explained,
            1e-6,
        ),
    ] {
        measured.push(Measurement {
            name: name(what),
            figure,
            unit: "raw score".to_owned(),
            reference: Some(Reference {
                name: "allowed (set before it was built)".to_owned(),
                figure: allowed,
            }),
        });
    }
    Ok(shares)
}

/// CPU seconds of this thread, which does everything.
fn cpu() -> f64 {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds = told.split_ascii_whitespace().next();
    nanoseconds
        .and_then(|text| text.parse::<f64>().ok())
        .unwrap_or(f64::NAN)
        * 1e-9
}

fn timed<T>(seconds: &mut f64, work: impl FnOnce() -> T) -> T {
    let start = cpu();
    let done = work();
    *seconds = cpu() - start;
    done
}

fn difference(own: &[f64], theirs: &[f64]) -> Result<f64, Fault> {
    if own.len() != theirs.len() {
        return Err(format!("{} values here, {} there", own.len(), theirs.len()).into());
    }
    let pairs = own.iter().zip(theirs);
    Ok(pairs
        .map(|(own, theirs)| (own - theirs).abs())
        .fold(0.0, f64::max))
}

fn numbers(path: &Path) -> Result<Vec<f64>, Fault> {
    let bytes = std::fs::read(path)?;
    let (words, _) = bytes.as_chunks::<8>();
    Ok(words.iter().map(|word| f64::from_le_bytes(*word)).collect())
}
