//! What every measurement shares: the record it leaves in `bench/results/NAME.json`. A measurement is a binary of this package
//! named after its file. This room must never round, smooth or pick among figures: what a binary measured is what is written.

pub mod asking;
pub mod bare;
pub mod data;
pub mod folder;
pub mod hillstrom;
pub mod moved;
pub mod peer;
pub mod platform;
pub mod process;
pub mod stored;
pub mod traffic;
pub mod year;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde::Serialize;

/// What stopped a measurement, in words: it is read by the person at the terminal and by nothing else.
pub type Fault = Box<dyn std::error::Error + Send + Sync>;

/// Says what stopped a measurement, if anything did, and with which code the program ends.
#[must_use]
pub fn ending(outcome: Result<(), Fault>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("{fault}");
            ExitCode::FAILURE
        }
    }
}

/// One measured figure.
#[derive(Clone, Debug)]
pub struct Measurement {
    /// What was measured, in a few words.
    pub name: String,
    /// The figure, in `unit`.
    pub figure: f64,
    /// Its unit, such as `events/s` or `us`.
    pub unit: String,
    /// What it stands beside, if anything: measured in the same run on the same machine, or a published figure that says so.
    pub reference: Option<Reference>,
}

/// What a figure is compared with.
#[derive(Clone, Debug)]
pub struct Reference {
    /// What it is, in a few words.
    pub name: String,
    /// Its figure, in the unit of the measurement.
    pub figure: f64,
}

/// Why a result could not be written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A figure or a reference is not a number that can be compared.
    #[error(
        "{name}: the figure is {figure} and its reference {reference:?}: both must be finite, the reference not zero"
    )]
    NotComparable {
        /// Name of the measurement.
        name: String,
        /// Its figure.
        figure: f64,
        /// The reference's figure.
        reference: Option<f64>,
    },
    /// There was nothing to write.
    #[error("{bench} measured nothing")]
    Empty {
        /// Name of the binary.
        bench: String,
    },
    /// The results file could not be written.
    #[error("writing {path}: {source}")]
    Write {
        /// The file.
        path: String,
        /// What the system answered.
        source: std::io::Error,
    },
}

#[derive(Serialize)]
struct Record<'a> {
    name: &'a str,
    figure: f64,
    unit: &'a str,
    reference: Option<&'a str>,
    reference_figure: Option<f64>,
    ratio: Option<f64>,
    command: &'a str,
    machine: &'a str,
    date: &'a str,
}

/// Writes `measurements` as `bench/results/{bench}.json`, with the command that repeats them, this machine and today's date
/// (UTC), and returns the file's path. `bench` is the binary's name.
pub fn write(bench: &str, measurements: &[Measurement]) -> Result<PathBuf, Error> {
    write_into(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("results"),
        bench,
        measurements,
    )
}

fn write_into(folder: &Path, bench: &str, measurements: &[Measurement]) -> Result<PathBuf, Error> {
    if measurements.is_empty() {
        return Err(Error::Empty {
            bench: bench.to_owned(),
        });
    }
    let command = format!("make bench BENCH={bench}");
    let machine = machine();
    let date = jiff::Timestamp::now().strftime("%Y-%m-%d").to_string();
    let mut records = Vec::with_capacity(measurements.len());
    for measurement in measurements {
        let reference = measurement
            .reference
            .as_ref()
            .map(|reference| reference.figure);
        let comparable = reference.is_none_or(|figure| figure.is_finite() && figure != 0.0);
        if !measurement.figure.is_finite() || !comparable {
            return Err(Error::NotComparable {
                name: measurement.name.clone(),
                figure: measurement.figure,
                reference,
            });
        }
        records.push(Record {
            name: &measurement.name,
            figure: measurement.figure,
            unit: &measurement.unit,
            reference: measurement
                .reference
                .as_ref()
                .map(|reference| reference.name.as_str()),
            reference_figure: reference,
            ratio: reference.map(|figure| measurement.figure / figure),
            command: &command,
            machine: &machine,
            date: &date,
        });
    }
    let path = folder.join(format!("{bench}.json"));
    let failed = |source| Error::Write {
        path: path.display().to_string(),
        source,
    };
    let text = serde_json::to_string_pretty(&records).map_err(|error| failed(error.into()))?;
    std::fs::create_dir_all(folder).map_err(failed)?;
    std::fs::write(&path, text + "\n").map_err(failed)?;
    Ok(path)
}

/// This machine in words: processor, cores available to the program, memory. What the system does not tell is left out.
#[must_use]
pub fn machine() -> String {
    let field = |file: &str, name: &str| -> Option<String> {
        let text = std::fs::read_to_string(file).ok()?;
        let line = text.lines().find(|line| line.starts_with(name))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let processor = field("/proc/cpuinfo", "model name")
        .unwrap_or_else(|| format!("{} {}", std::env::consts::OS, std::env::consts::ARCH));
    let mut words = vec![processor];
    if let Ok(cores) = std::thread::available_parallelism() {
        words.push(format!("{cores} cores"));
    }
    let kibibytes = field("/proc/meminfo", "MemTotal")
        .and_then(|found| found.split_whitespace().next()?.parse::<f64>().ok());
    if let Some(kibibytes) = kibibytes {
        words.push(format!("{:.0} GiB", kibibytes / (1024.0 * 1024.0)));
    }
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measurement(figure: f64, reference: Option<f64>) -> Measurement {
        Measurement {
            name: "intake".to_owned(),
            figure,
            unit: "events/s".to_owned(),
            reference: reference.map(|figure| Reference {
                name: "bare loop".to_owned(),
                figure,
            }),
        }
    }

    #[test]
    fn a_result_holds_the_ratio_of_its_two_figures() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let measured = [
            measurement(60_000.0, Some(80_000.0)),
            measurement(12.5, None),
        ];
        let path = write_into(folder.path(), "intake", &measured).expect("written");
        let text = std::fs::read_to_string(path).expect("results file");
        let records: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(records[0]["ratio"], 0.75);
        assert_eq!(records[0]["command"], "make bench BENCH=intake");
        assert_eq!(records[1]["ratio"], serde_json::Value::Null);
    }

    #[test]
    fn figures_that_cannot_be_compared_are_refused() {
        let folder = tempfile::tempdir().expect("temporary folder");
        for wrong in [measurement(f64::NAN, None), measurement(1.0, Some(0.0))] {
            let refused = write_into(folder.path(), "intake", &[wrong]);
            assert!(matches!(refused, Err(Error::NotComparable { .. })));
        }
        assert!(matches!(
            write_into(folder.path(), "intake", &[]),
            Err(Error::Empty { .. })
        ));
    }
}
