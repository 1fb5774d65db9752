//! Scorecards of the German and the Taiwanese credit tables, beside optbinning and a logistic regression on the same five folds: the AUC of
//! held-out rows, and the seconds that fitting and scoring took. Both use every column, as they come.

use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Instant;

use luopan_bench::data::DataFile;
use luopan_bench::process::Others;
use luopan_bench::{Fault, Measurement, Reference, folder, peer, write};
use luopan_learning::ope::folds;
use luopan_learning::scorecard::{Limits, Settings, Variable, fit};

const PACKAGES: [&str; 5] = [
    "optbinning==1.0.0",
    "ortools==9.15.6755",
    "numpy==2.4.6",
    "pandas==3.1.1",
    "scikit-learn==1.9.1",
];
const FOLDS: usize = 5;
/// Name, file, the outcome's column, and the columns that are no features.
const TABLES: [(&str, &str, &str, &[&str]); 2] = [
    (
        "German credit",
        "credit_german/german_credit.csv.gz",
        "credit_risk",
        &[],
    ),
    (
        "Taiwanese credit",
        "credit_taiwan/UCI_Credit_Card.csv.gz",
        "default.payment.next.month",
        &["ID"],
    ),
];

fn main() -> ExitCode {
    luopan_bench::ending(run())
}

fn run() -> Result<(), Fault> {
    let python = peer::python("optbinning", &PACKAGES)?;
    let place = folder::root()?.join("scorecard");
    std::fs::create_dir_all(&place)?;
    let (mut list, mut shares) = (Vec::new(), Vec::new());
    for (at, (words, file, outcome, left_out)) in TABLES.into_iter().enumerate() {
        let table = Table::read(file, outcome, left_out)?;
        let name = format!("table-{at}");
        table.store(&place.join(format!("{name}.csv")))?;
        let said = peer::run(
            Command::new(&python)
                .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/peers/scorecard.py"))
                .arg(&place)
                .arg(&name)
                .env("OMP_NUM_THREADS", "1")
                .env("OPENBLAS_NUM_THREADS", "1"),
        )?;
        let others = Others::watch(&[std::process::id()])?;
        let (mut own, mut theirs, mut seconds) = (0.0, 0.0, 0.0);
        for fold in 0..FOLDS as u32 {
            let (found, took) = table.auc(fold)?;
            let told = peer::figure(&said, &format!("auc.{fold}"))?;
            eprintln!("{words}, fold {fold}: AUC {found:.4}, optbinning {told:.4}");
            own += found / FOLDS as f64;
            theirs += told / FOLDS as f64;
            seconds += took;
        }
        shares.push(others.share()?);
        let optbinning = |figure| {
            Some(Reference {
                name: "optbinning 1.0.0 and logistic regression, one thread".to_owned(),
                figure,
            })
        };
        list.push(Measurement {
            name: format!("scorecard, {words}, mean AUC of five folds"),
            figure: own,
            unit: "AUC".to_owned(),
            reference: optbinning(theirs),
        });
        list.push(Measurement {
            name: format!("scorecard, {words}, fitting and scoring five folds"),
            figure: seconds,
            unit: "s".to_owned(),
            reference: optbinning(peer::figure(&said, "seconds")?),
        });
    }
    list.push(Measurement {
        name: "share of the machine that other processes took while cards were made".to_owned(),
        figure: peer::median(&shares),
        unit: "share".to_owned(),
        reference: None,
    });
    let path = write("scorecard", &list)?;
    eprintln!("written to {}", path.display());
    Ok(())
}

enum Values {
    Numbers(Vec<f64>),
    /// Codes and the words behind them.
    Words(Vec<u32>, Vec<String>),
}

struct Table {
    columns: Vec<(String, Values)>,
    outcomes: Vec<f64>,
    folds: Vec<u32>,
}

impl Table {
    fn read(file: &str, outcome: &str, left_out: &[&str]) -> Result<Self, Fault> {
        let data = DataFile::at(file);
        let failed = |e: &dyn std::fmt::Display| data.fault(e);
        let text = data.text()?;
        let mut lines = text.lines().map(|line| {
            line.split(',')
                .map(|word| word.trim().trim_matches('"'))
                .collect::<Vec<_>>()
        });
        let header = lines.next().unwrap_or_default();
        let rows: Vec<Vec<&str>> = lines.collect();
        if rows.iter().any(|row| row.len() != header.len()) {
            return Err(failed(
                &"a line with another number of columns than the header",
            ));
        }
        let (mut columns, mut outcomes) = (Vec::new(), Vec::new());
        for (at, name) in header
            .iter()
            .enumerate()
            .filter(|(_, name)| !left_out.contains(name))
        {
            let words: Vec<&str> = rows.iter().map(|row| row[at]).collect();
            let numbers: Result<Vec<f64>, _> =
                words.iter().map(|word| word.parse::<f64>()).collect();
            match numbers {
                Ok(numbers) if *name == outcome => outcomes = numbers,
                Ok(numbers) => columns.push(((*name).to_owned(), Values::Numbers(numbers))),
                Err(_) => {
                    let levels: std::collections::BTreeSet<&str> = words.iter().copied().collect();
                    let levels: Vec<&str> = levels.into_iter().collect();
                    let code = |word: &&str| levels.binary_search(word).unwrap_or_default() as u32;
                    let codes = words.iter().map(code).collect();
                    let levels = levels.iter().map(|level| (*level).to_owned()).collect();
                    columns.push(((*name).to_owned(), Values::Words(codes, levels)));
                }
            }
        }
        // Some copies write 1 and 2.
        let least = outcomes.iter().copied().fold(f64::INFINITY, f64::min);
        outcomes.iter_mut().for_each(|outcome| *outcome -= least);
        let folds = folds::shuffled(outcomes.len(), FOLDS, 1)?;
        Ok(Self {
            columns,
            outcomes,
            folds,
        })
    }

    fn store(&self, path: &Path) -> Result<(), Fault> {
        let names = self.columns.iter().map(|(name, _)| name.as_str());
        let mut text = names
            .chain(["outcome", "fold"])
            .collect::<Vec<_>>()
            .join(",")
            + "\n";
        for row in 0..self.outcomes.len() {
            for (_, values) in &self.columns {
                match values {
                    Values::Numbers(numbers) => text += &format!("{},", numbers[row]),
                    Values::Words(codes, words) => {
                        text += &format!("{},", words[codes[row] as usize])
                    }
                }
            }
            text += &format!("{},{}\n", self.outcomes[row], self.folds[row]);
        }
        Ok(std::fs::write(path, text)?)
    }

    /// AUC of the rows of a fold by a card of all others, and the seconds of it.
    fn auc(&self, fold: u32) -> Result<(f64, f64), Fault> {
        let of = |held: bool| -> Vec<usize> {
            (0..self.outcomes.len())
                .filter(|row| (self.folds[*row] == fold) == held)
                .collect()
        };
        let (learned, held) = (of(false), of(true));
        let take = |rows: &[usize]| -> Vec<(&str, Values)> {
            self.columns
                .iter()
                .map(|(name, values)| {
                    let taken = match values {
                        Values::Numbers(x) => {
                            Values::Numbers(rows.iter().map(|row| x[*row]).collect())
                        }
                        Values::Words(x, words) => {
                            Values::Words(rows.iter().map(|row| x[*row]).collect(), words.clone())
                        }
                    };
                    (name.as_str(), taken)
                })
                .collect()
        };
        let (train, test) = (take(&learned), take(&held));
        let outcomes =
            |rows: &[usize]| -> Vec<f64> { rows.iter().map(|row| self.outcomes[*row]).collect() };
        let (known, asked) = (outcomes(&learned), outcomes(&held));
        let started = Instant::now();
        let settings = Settings {
            information_least: 0.0,
            ..Settings::default()
        };
        let card = fit(&variables(&train), &known, None, &settings)?;
        let scores = card.scores(&variables(&test))?;
        let seconds = started.elapsed().as_secs_f64();
        Ok((auc(&scores, &asked), seconds))
    }
}

fn variables<'a>(columns: &'a [(&'a str, Values)]) -> Vec<Variable<'a>> {
    let limits = Limits::default();
    let variable = |(name, values): &'a (&'a str, Values)| match values {
        Values::Numbers(values) => Variable::Numeric {
            name,
            values,
            specials: &[],
            limits,
        },
        Values::Words(codes, words) => Variable::Categorical {
            name,
            codes,
            levels: words.len(),
            limits,
        },
    };
    columns.iter().map(variable).collect()
}

/// Probability that an event has fewer points than another row, ties counted half.
fn auc(scores: &[f64], outcomes: &[f64]) -> f64 {
    let mut rows: Vec<(f64, f64)> = scores
        .iter()
        .copied()
        .zip(outcomes.iter().copied())
        .collect();
    rows.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut wins, mut above, mut start) = (0.0, 0.0, 0);
    while start < rows.len() {
        let tied = rows[start..]
            .iter()
            .take_while(|row| row.0 == rows[start].0)
            .count();
        let events: f64 = rows[start..start + tied].iter().map(|row| row.1).sum();
        let others = tied as f64 - events;
        wins += others * (above + events / 2.0);
        above += events;
        start += tied;
    }
    wins / (above * (rows.len() as f64 - above))
}
