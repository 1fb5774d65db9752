//! Trees: prediction with 100 trees of 31 leaves over 64 features, row by row, for 50 rows and for 10,000, beside LightGBM's C
//! API: one thread both, the same model and rows, with and without missing values. Both take turns; each figure is the middle
//! one of its rounds.

use std::hint::black_box;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use luopan_bench::process::Others;
use luopan_bench::{Fault, Measurement, Reference, folder, peer, write};
use luopan_kernel::trees::Ensemble;
use luopan_learning::lightgbm;

const PACKAGES: [&str; 3] = ["lightgbm==4.7.0", "numpy==2.4.6", "scipy==1.17.1"];
const FEATURES: usize = 64;
/// Rows of a batch, as many as a decision ranks.
const TOGETHER: usize = 50;
const ROUNDS: usize = 7;
const TIME: Duration = Duration::from_millis(400);
/// The ways to predict, as the other program calls them, and how they are called here.
const WAYS: [(&str, &str); 3] = [
    ("single", "one row"),
    ("batch", "50 rows"),
    ("all", "10,000 rows"),
];

fn main() -> ExitCode {
    luopan_bench::ending(run())
}

fn run() -> Result<(), Fault> {
    let python = peer::python("lightgbm", &PACKAGES)?;
    let folder = folder::root()?.join("trees");
    std::fs::create_dir_all(&folder)?;
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/peers");
    let library = peer::run(
        Command::new(python)
            .arg(sources.join("trees.py"))
            .arg(&folder),
    )?;
    let library = Path::new(library.trim());
    let there = library
        .parent()
        .ok_or("LightGBM's library lies in no folder")?;
    let program = folder.join("peer");
    peer::run(
        Command::new("cc")
            .args(["-O2", "-o"])
            .arg(&program)
            .arg(sources.join("trees.c"))
            .arg(library)
            .arg(format!("-Wl,-rpath,{}", there.display())),
    )?;
    let mut measured = Vec::new();
    let mut shares = Vec::new();
    for (name, words) in [("whole", ""), ("holes", ", a tenth of the values missing")] {
        let beside = beside(&folder, &program, name)?;
        shares.extend(beside.others);
        for (at, (_, way)) in WAYS.iter().enumerate() {
            measured.push(Measurement {
                name: format!("trees, 100 x 31 leaves, 64 features, {way} at a time{words}"),
                figure: 1.0 / peer::median(&beside.own[at]),
                unit: "rows/s".to_owned(),
                reference: Some(Reference {
                    name: "LightGBM 4.7.0, C API, one thread".to_owned(),
                    figure: 1.0 / peer::median(&beside.peer[at]),
                }),
            });
        }
        measured.push(Measurement {
            name: format!(
                "trees, greatest difference of 10,000 predictions from LightGBM's{words}"
            ),
            figure: beside.difference,
            unit: "probability".to_owned(),
            reference: Some(Reference {
                name: "allowed (set before it was built)".to_owned(),
                figure: 1e-12,
            }),
        });
    }
    measured.push(Measurement {
        name: "share of the machine that other processes took while trees were measured".to_owned(),
        figure: peer::median(&shares),
        unit: "share".to_owned(),
        reference: None,
    });
    let path = write("trees", &measured)?;
    eprintln!("written to {}", path.display());
    Ok(())
}

/// Seconds a row, by way and round, and what else was seen.
struct Beside {
    own: [Vec<f64>; 3],
    peer: [Vec<f64>; 3],
    difference: f64,
    others: Vec<f64>,
}

fn beside(folder: &Path, program: &Path, name: &str) -> Result<Beside, Fault> {
    let (model, rows) = (
        folder.join(format!("{name}.txt")),
        folder.join(format!("{name}.rows")),
    );
    let ensemble = lightgbm::parse(&std::fs::read_to_string(&model)?)?;
    let values = numbers(&rows)?;
    let mut found = Beside {
        own: Default::default(),
        peer: Default::default(),
        difference: 0.0,
        others: Vec::new(),
    };
    let outputs = folder.join(format!("{name}.outputs"));
    for round in 0..ROUNDS {
        let said = peer::run(
            Command::new(program)
                .arg(&model)
                .arg(&rows)
                .arg(FEATURES.to_string())
                .arg(&outputs),
        )?;
        let others = Others::watch(&[std::process::id()])?;
        let own = own(&ensemble, &values);
        found.others.push(others.share()?);
        for (at, (way, words)) in WAYS.iter().enumerate() {
            let theirs = peer::figure(&said, way)?;
            eprintln!(
                "{name} {round}: {words}: {:.3} us a row, LightGBM {:.3} us",
                own[at] * 1e6,
                theirs * 1e6
            );
            found.own[at].push(own[at]);
            found.peer[at].push(theirs);
        }
    }
    let mut predicted = vec![0.0; values.len() / FEATURES];
    ensemble.predict_many(&values, &mut predicted);
    let theirs = numbers(&outputs)?;
    if theirs.len() != predicted.len() {
        return Err(format!(
            "{} predictions there, {} here",
            theirs.len(),
            predicted.len()
        )
        .into());
    }
    found.difference = predicted
        .iter()
        .zip(&theirs)
        .map(|(here, there)| (here - there).abs())
        .fold(0.0, f64::max);
    if found.difference > 1e-12 {
        return Err(format!("predictions differ by {}", found.difference).into());
    }
    Ok(found)
}

fn own(ensemble: &Ensemble, rows: &[f64]) -> [f64; 3] {
    let mut out = vec![0.0; rows.len() / FEATURES];
    let batch = &rows[..TOGETHER * FEATURES];
    let single = timed(TOGETHER, || {
        for (row, out) in batch.chunks_exact(FEATURES).zip(&mut out) {
            *out = ensemble.predict(black_box(row));
        }
    });
    let together = timed(TOGETHER, || {
        ensemble.predict_many(black_box(batch), &mut out[..TOGETHER]);
    });
    let all = timed(rows.len() / FEATURES, || {
        ensemble.predict_many(black_box(rows), &mut out);
    });
    black_box(&out);
    [single, together, all]
}

/// Seconds a row; done twice, of which the first warms up.
fn timed(rows: usize, mut predict: impl FnMut()) -> f64 {
    let mut seconds = 0.0;
    for _ in 0..2 {
        let (started, mut done) = (Instant::now(), 0);
        while started.elapsed() < TIME {
            predict();
            done += rows;
        }
        seconds = started.elapsed().as_secs_f64() / done as f64;
    }
    seconds
}

fn numbers(path: &Path) -> Result<Vec<f64>, Fault> {
    let bytes = std::fs::read(path)?;
    let (words, _) = bytes.as_chunks::<8>();
    Ok(words.iter().map(|word| f64::from_le_bytes(*word)).collect())
}
