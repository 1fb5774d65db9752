//! `luopan learn uplift`.

use super::super::output::{Said, table};
use super::allocate::number;
use crate::learn::uplift::{self, Treated, Wanted};
use crate::problem::{Problem, Result};
use clap::{Args, ValueEnum};
use luopan_learning::tabular::{Task, UpliftSettings};
use luopan_learning::uplift::{Bootstrap, Economics, Interval, Learner};
use std::path::PathBuf;

#[derive(Debug, Clone, Copy, ValueEnum)]
enum TaskName {
    /// The outcome is one of two
    Binary,
    /// The outcome is an amount
    Regression,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum LearnerName {
    /// One model, the treatment a column of it
    S,
    /// A model an arm
    T,
    /// Effects imputed in each arm by the other's model
    X,
    /// Residuals on residuals
    R,
    /// Doubly robust
    Dr,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Uplift {
    /// A trial, a row for each who was in it: CSV, Parquet, lines of JSON; gzipped too
    #[arg(long, value_name = "FILE")]
    input: PathBuf,
    /// Column of the outcome
    #[arg(long, value_name = "COLUMN")]
    target: String,
    /// What the outcome is
    #[arg(long, default_value = "binary")]
    task: TaskName,
    /// Column of the treatment that each row got
    #[arg(long, value_name = "COLUMN")]
    treatment: String,
    /// What those were given who got no treatment; else `control`, `0` or `false`
    #[arg(long, value_name = "NAME")]
    control: Option<String>,
    /// How treatments were drawn: `lot`, a column of the probability of what each row got, or `estimated` from the features
    #[arg(long, default_value = "lot", value_name = "lot|estimated|COLUMN")]
    propensity: String,
    /// How effects are learned
    #[arg(long, default_value = "dr")]
    learner: LearnerName,
    /// What a unit of the outcome is worth: with it the curve of targeting is told
    #[arg(long, value_name = "AMOUNT", requires = "cost")]
    value: Option<f64>,
    /// What a treatment costs, whatever comes of it; one flag a treatment
    #[arg(long, value_name = "TREATMENT=AMOUNT", value_parser = cost, requires = "value")]
    cost: Vec<(String, f64)>,
    /// What a treatment costs for each unit of the outcome, such as a coupon that is redeemed
    #[arg(long, value_name = "TREATMENT=AMOUNT", value_parser = cost, requires = "value")]
    cost_per_outcome: Vec<(String, f64)>,
    /// Columns of numbers that are names and not amounts; texts are names anyway
    #[arg(long, value_delimiter = ',', value_name = "COLUMNS")]
    categorical: Vec<String>,
    /// Columns that are not learned from: above all what came after the treatment
    #[arg(long, value_delimiter = ',', value_name = "COLUMNS")]
    exclude: Vec<String>,
    /// Column of row weights
    #[arg(long, value_name = "COLUMN")]
    weight: Option<String>,
    /// Column of times: every row is then ranked by a model of earlier rows alone
    #[arg(long, value_name = "COLUMN")]
    time_column: Option<String>,
    /// Folds that the ranking is judged by
    #[arg(long, default_value_t = 5, value_name = "N")]
    folds: usize,
    /// Resamples of the intervals
    #[arg(long, default_value_t = 1_000, value_name = "N")]
    resamples: usize,
    /// Level of the intervals
    #[arg(long, default_value_t = 0.95, value_name = "SHARE")]
    level: f64,
    /// Seed of all that is drawn
    #[arg(long, default_value_t = 1, value_name = "N")]
    seed: u64,
    /// A file with the same features, whose effects are predicted
    #[arg(long, value_name = "FILE", requires = "output")]
    predict: Option<PathBuf>,
    /// The file to write them to: Parquet, CSV or lines of JSON, as its name ends (.csv.gz and .jsonl.gz too)
    #[arg(long, value_name = "FILE", requires = "predict")]
    output: Option<PathBuf>,
    /// Columns of that file that are carried over
    #[arg(long, value_delimiter = ',', value_name = "COLUMNS")]
    keep: Vec<String>,
}

fn cost(text: &str) -> std::result::Result<(String, f64), String> {
    let wanted = "a treatment and an amount, as mail=0.5";
    match text.rsplit_once('=') {
        Some((name, amount)) if !name.is_empty() => {
            Ok((name.to_owned(), number(amount.trim(), wanted)?))
        }
        _ => Err(format!("write {wanted}")),
    }
}

impl Uplift {
    fn settings(&self) -> Result<UpliftSettings> {
        let task = match self.task {
            TaskName::Binary => Task::Binary,
            TaskName::Regression => Task::Regression,
        };
        let mut settings = UpliftSettings::new(task, &self.target, &self.treatment);
        settings.control.clone_from(&self.control);
        settings.drawn = uplift::drawn(&self.propensity);
        settings.learner = match self.learner {
            LearnerName::S => Learner::S,
            LearnerName::T => Learner::T,
            LearnerName::X => Learner::X,
            LearnerName::R => Learner::R,
            LearnerName::Dr => Learner::DoublyRobust,
        };
        let table = &mut settings.table;
        table.categorical.clone_from(&self.categorical);
        table.exclude.clone_from(&self.exclude);
        table.weight.clone_from(&self.weight);
        table.time.clone_from(&self.time_column);
        (table.folds, table.seed) = (self.folds, self.seed);
        settings.bootstrap = Bootstrap {
            resamples: self.resamples,
            seed: self.seed,
            level: self.level,
        };
        if let Some(value) = self.value {
            for (name, cost) in &self.cost {
                let each = Economics {
                    value,
                    cost: *cost,
                    cost_per_outcome: 0.0,
                };
                settings.economics.insert(name.clone(), each);
            }
            for (name, cost) in &self.cost_per_outcome {
                match settings.economics.get_mut(name) {
                    Some(each) => each.cost_per_outcome = *cost,
                    None => {
                        return Err(Problem::new(
                            "command_line",
                            format!(
                                "--cost-per-outcome names `{name}`, which no --cost does: write --cost {name}=0 beside it"
                            ),
                        ));
                    }
                }
            }
        }
        Ok(settings)
    }
}

pub(super) fn run(asked: &Uplift) -> Result<Said> {
    let settings = asked.settings()?;
    let wanted = match (&asked.predict, &asked.output) {
        (Some(input), Some(output)) => Some(Wanted {
            input: input.clone(),
            output: output.clone(),
            keep: asked.keep.clone(),
        }),
        _ => None,
    };
    let bar = indicatif::ProgressBar::new(asked.folds as u64 + 1);
    let mut tell = |at: usize| bar.set_position(at as u64);
    let found = uplift::from_file(&asked.input, &settings, wanted.as_ref(), &mut tell);
    bar.finish_and_clear();
    let found = found?;
    Said::new(&found, words(&found))
}

fn words(of: &Treated) -> String {
    let report = &of.report;
    let number = |v: f64| format!("{v:.5}");
    let some = |v: Option<f64>| v.map_or(String::new(), number);
    let between = |found: Option<Interval>| {
        found.map_or(String::new(), |i| {
            format!("{} to {}", number(i.lower), number(i.upper))
        })
    };
    let mut out = format!(
        "{} rows, effects learned by `{}`\n\n",
        report.rows, report.learner
    );
    let rows: Vec<Vec<String>> = (report.arms.iter())
        .map(|a| vec![a.name.clone(), a.rows.to_string(), number(a.mean)])
        .collect();
    out.push_str(&table(&["arm", "rows", "mean outcome"], &rows));
    let interval = format!("{} % interval", 100.0 * report.level);
    for treatment in &report.treatments {
        let (m, i) = (&treatment.measures, &treatment.intervals);
        let mut rows = vec![
            vec!["effect".to_owned(), number(m.effect), between(i.effect)],
            vec![
                "Qini coefficient".to_owned(),
                some(m.qini_coefficient),
                between(i.qini_coefficient),
            ],
            vec![
                "Qini area".to_owned(),
                number(m.qini_area),
                between(i.qini_area),
            ],
            vec![
                "AUUC".to_owned(),
                some(m.uplift_mean),
                between(i.uplift_mean),
            ],
        ];
        rows.extend(treatment.at.iter().map(|a| {
            vec![
                format!("of the first {} %", 100.0 * a.share),
                some(a.uplift),
                between(a.interval),
            ]
        }));
        out.push('\n');
        out.push_str(&table(&[&treatment.name, "", &interval], &rows));
    }
    if let Some(t) = &report.targeting
        && let Some(best) = t.curve.get(t.best)
    {
        out.push_str(&format!(
            "\nmost is gained where {} % are treated ({} to {} %): {} for each of all ({} to {})\n",
            100.0 * best.share,
            100.0 * t.best_interval.lower,
            100.0 * t.best_interval.upper,
            number(best.gain),
            number(best.interval.lower),
            number(best.interval.upper)
        ));
    }
    for left in &report.left_out {
        out.push_str(&format!("left out: `{}`: {}\n", left.column, left.why));
    }
    for flag in &report.flags {
        out.push_str(&format!("look: {flag}\n"));
    }
    if let (Some(rows), Some(output)) = (of.predicted, &of.output) {
        out.push_str(&format!("{}: {rows} rows\n", output.display()));
    }
    out
}
