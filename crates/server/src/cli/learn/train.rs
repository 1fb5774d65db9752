//! `luopan learn train`.

use super::super::output::{Said, table};
use crate::learn::model::{self, Trained};
use crate::learn::taste;
use crate::problem::{Problem, Result};
use clap::{Args, ValueEnum};
use luopan_learning::als;
use luopan_learning::tabular::{
    Calibration, GbdtSettings, GlmSettings, Kind, Settings, Task, TasteSettings,
};
use std::path::PathBuf;

/// Most rounds where rows are set aside to end training early.
const ROUNDS_MOST: usize = 1_000;
/// Features that are named in words.
const NAMED: usize = 10;

#[derive(Debug, Clone, Copy, ValueEnum)]
enum TaskName {
    Binary,
    Regression,
    Poisson,
    Gamma,
    Tweedie,
    Multiclass,
    Rank,
}

impl TaskName {
    fn task(self) -> Task {
        match self {
            Self::Binary => Task::Binary,
            Self::Regression => Task::Regression,
            Self::Poisson => Task::Poisson,
            Self::Gamma => Task::Gamma,
            Self::Tweedie => Task::Tweedie,
            Self::Multiclass => Task::Multiclass,
            Self::Rank => Task::Rank,
        }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ModelName {
    Gbdt,
    Glm,
    Scorecard,
    Als,
}

impl ModelName {
    /// The model of a table; none of factors.
    fn kind(self) -> Option<Kind> {
        match self {
            Self::Gbdt => Some(Kind::Gbdt),
            Self::Glm => Some(Kind::Glm),
            Self::Scorecard => Some(Kind::Scorecard),
            Self::Als => None,
        }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum CalibrationName {
    /// A rising function: for thousands of rows
    Isotonic,
    /// A logistic function of the log odds
    Platt,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Train {
    /// The table: CSV, Parquet, lines of JSON; gzipped too. An empty cell, NA, N/A, NaN or null is missing
    #[arg(long, value_name = "FILE")]
    input: PathBuf,
    /// Column of what is predicted, of als how much a user took of an item; rows without it are left out
    #[arg(long, value_name = "COLUMN")]
    target: String,
    /// What is predicted; of als the items that a user takes next
    #[arg(long)]
    task: Option<TaskName>,
    /// What learns
    #[arg(long, default_value = "gbdt")]
    model: ModelName,
    /// Folder to keep the model in
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Of two classes the one whose probability is predicted; else 1, true, yes: the later one in order
    #[arg(long, value_name = "CLASS")]
    positive: Option<String>,
    /// How probabilities are brought to what happened in rows that were not learned from
    #[arg(long, value_name = "HOW")]
    calibrate: Option<CalibrationName>,
    /// Column of row weights
    #[arg(long, value_name = "COLUMN")]
    weight: Option<String>,
    /// Column of exposures, for poisson, gamma and tweedie: counts and amounts are in proportion to it
    #[arg(long, value_name = "COLUMN")]
    exposure: Option<String>,
    /// Column that names a row's group, for rank
    #[arg(long, value_name = "COLUMN")]
    group: Option<String>,
    /// als: column of users
    #[arg(long, value_name = "COLUMN", requires = "item")]
    user: Option<String>,
    /// als: column of items
    #[arg(long, value_name = "COLUMN", requires = "user")]
    item: Option<String>,
    /// als: numbers of a vector, 64 without being said
    #[arg(long, value_name = "N")]
    factors: Option<usize>,
    /// als: penalty on vectors, 10 without being said
    #[arg(long, value_name = "L2")]
    regularization: Option<f64>,
    /// als: what a strength of 1 adds to the confidence, 1 without being said
    #[arg(long, value_name = "N")]
    confidence: Option<f64>,
    /// als: times that users and items are solved, 15 without being said
    #[arg(long, value_name = "N")]
    iterations: Option<usize>,
    /// Column of row ids: no feature, and refused where one stands twice
    #[arg(long, value_name = "COLUMN")]
    id: Option<String>,
    /// Columns of numbers that are names and not amounts; texts are names anyway
    #[arg(long, value_delimiter = ',', value_name = "COLUMNS")]
    categorical: Vec<String>,
    /// Numbers in which the prediction may only rise (+) or fall (-)
    #[arg(long, value_delimiter = ',', value_parser = monotone, value_name = "COLUMN:+,COLUMN:-")]
    monotone: Vec<(String, i8)>,
    /// Columns that are not learned from
    #[arg(long, value_delimiter = ',', value_name = "COLUMNS")]
    exclude: Vec<String>,
    /// Folds that the model is judged by
    #[arg(long, default_value_t = 5, value_name = "N")]
    folds: usize,
    /// Column of times: every row is then judged by a model of earlier rows alone
    #[arg(long, value_name = "COLUMN")]
    time_column: Option<String>,
    /// Trees: share of the rows that are learned from, set aside to end training early; with a time the latest
    #[arg(long, value_name = "SHARE")]
    valid_fraction: Option<f64>,
    /// Seed of all that is drawn
    #[arg(long, default_value_t = 1, value_name = "N")]
    seed: u64,
    /// Trees: rounds, 100 without being said; with --valid-fraction the most, 1,000
    #[arg(long, value_name = "N")]
    rounds: Option<usize>,
    /// Trees: share of each step, 0.1 without being said
    #[arg(long, value_name = "SHARE")]
    learning_rate: Option<f64>,
    /// Trees: leaves of each, 31 without being said
    #[arg(long, value_name = "N")]
    leaves: Option<usize>,
    /// Trees: fewest rows of a leaf, 20 without being said
    #[arg(long, value_name = "N")]
    min_leaf: Option<usize>,
    /// Trees: L2 penalty on leaves, 0 without being said
    #[arg(long, value_name = "L2")]
    lambda: Option<f64>,
    /// Trees: share of the columns that one may use, 1 without being said
    #[arg(long, value_name = "SHARE")]
    feature_fraction: Option<f64>,
    /// Trees: share of the rows that one is grown on, 1 without being said
    #[arg(long, value_name = "SHARE")]
    bagging_fraction: Option<f64>,
    /// Trees: rounds without getting better after which training ends, with --valid-fraction; 30 without being said
    #[arg(long, value_name = "N", requires = "valid_fraction")]
    early_stopping: Option<usize>,
    /// Linear models: weight of the penalty, 0.0001 without being said
    #[arg(long, value_name = "ALPHA")]
    alpha: Option<f64>,
    /// Linear models: share of the L1 penalty, 0 without being said
    #[arg(long, value_name = "SHARE")]
    l1_ratio: Option<f64>,
    /// tweedie: power of the variance, above 1 and below 2; 1.5 without being said
    #[arg(long, value_name = "POWER")]
    tweedie_power: Option<f64>,
}

/// `COLUMN:+` or `COLUMN:-`.
fn monotone(text: &str) -> std::result::Result<(String, i8), String> {
    let sign = match text.rsplit_once(':') {
        Some((name, "+" | "1")) if !name.is_empty() => (name, 1),
        Some((name, "-" | "-1")) if !name.is_empty() => (name, -1),
        _ => {
            return Err(format!(
                "`{text}` is not understood; write COLUMN:+ where the prediction may only rise, COLUMN:- where it may only fall"
            ));
        }
    };
    Ok((sign.0.to_owned(), sign.1))
}

impl Train {
    fn taste(&self) -> Result<TasteSettings> {
        let (Some(user), Some(item)) = (self.user.clone(), self.item.clone()) else {
            return Err(Problem::new(
                "command_line",
                "als needs the columns of users and items: --user COLUMN --item COLUMN, and how much was taken as --target",
            ));
        };
        Ok(TasteSettings {
            user,
            item,
            strength: self.target.clone(),
            time: self.time_column.clone(),
            folds: self.folds,
            als: als::Settings {
                factors: self.factors.unwrap_or(64),
                regularization: self.regularization.unwrap_or(10.0),
                alpha: self.confidence.unwrap_or(1.0),
                iterations: self.iterations.unwrap_or(15),
                seed: self.seed,
                ..als::Settings::default()
            },
        })
    }

    /// Refuses what was said of another model than the one that learns, or of another task.
    fn fits(&self) -> Result<()> {
        let trees = [
            ("--rounds", self.rounds.is_some()),
            ("--learning-rate", self.learning_rate.is_some()),
            ("--leaves", self.leaves.is_some()),
            ("--min-leaf", self.min_leaf.is_some()),
            ("--lambda", self.lambda.is_some()),
            ("--feature-fraction", self.feature_fraction.is_some()),
            ("--bagging-fraction", self.bagging_fraction.is_some()),
            ("--early-stopping", self.early_stopping.is_some()),
            ("--valid-fraction", self.valid_fraction.is_some()),
        ];
        let linear = [
            ("--alpha", self.alpha.is_some()),
            ("--l1-ratio", self.l1_ratio.is_some()),
        ];
        let factors = [
            ("--user", self.user.is_some()),
            ("--item", self.item.is_some()),
            ("--factors", self.factors.is_some()),
            ("--regularization", self.regularization.is_some()),
            ("--confidence", self.confidence.is_some()),
            ("--iterations", self.iterations.is_some()),
        ];
        let tables = [
            ("--positive", self.positive.is_some()),
            ("--calibrate", self.calibrate.is_some()),
            ("--weight", self.weight.is_some()),
            ("--exposure", self.exposure.is_some()),
            ("--group", self.group.is_some()),
            ("--id", self.id.is_some()),
            ("--categorical", !self.categorical.is_empty()),
            ("--monotone", !self.monotone.is_empty()),
            ("--exclude", !self.exclude.is_empty()),
            ("--tweedie-power", self.tweedie_power.is_some()),
        ];
        let refused = |flag: &str, of: &str, is: String| {
            Err(Problem::new(
                "command_line",
                format!("{flag} is for {of}, and {is}: leave it out"),
            ))
        };
        let model = self.model.to_possible_value();
        let model = model.as_ref().map_or("", |m| m.get_name());
        let said = |flags: &[(&'static str, bool)]| {
            let found = flags.iter().find(|(_, is_said)| *is_said);
            found.map(|(flag, _)| *flag)
        };
        let is = |wanted: &[&str]| wanted.contains(&model);
        for (flags, of, models) in [
            (&trees[..], "--model gbdt", &["gbdt"][..]),
            (&linear[..], "--model glm", &["glm"][..]),
            (&factors[..], "--model als", &["als"][..]),
            (
                &tables[..],
                "--model gbdt, glm and scorecard",
                &["gbdt", "glm", "scorecard"][..],
            ),
        ] {
            if let Some(flag) = said(flags).filter(|_| !is(models)) {
                return refused(flag, of, format!("this is --model {model}"));
            }
        }
        let Some(task) = self.task else {
            return Ok(());
        };
        let name = task.task().name();
        match task {
            TaskName::Tweedie => {}
            _ if self.tweedie_power.is_some() => {
                return refused(
                    "--tweedie-power",
                    "--task tweedie",
                    format!("this is --task {name}"),
                );
            }
            _ => {}
        }
        match task {
            TaskName::Binary => Ok(()),
            _ if self.positive.is_some() => refused(
                "--positive",
                "--task binary",
                format!("this is --task {name}"),
            ),
            _ => Ok(()),
        }
    }

    fn settings(&self, task: Task, model: Kind) -> Settings {
        let (trees, linear) = (GbdtSettings::default(), GlmSettings::default());
        let valid_fraction = self.valid_fraction.unwrap_or(0.0);
        Settings {
            positive: self.positive.clone(),
            weight: self.weight.clone(),
            exposure: self.exposure.clone(),
            group: self.group.clone(),
            id: self.id.clone(),
            time: self.time_column.clone(),
            categorical: self.categorical.clone(),
            monotone: self.monotone.clone(),
            exclude: self.exclude.clone(),
            folds: self.folds,
            valid_fraction,
            tweedie_power: self.tweedie_power.unwrap_or(1.5),
            gbdt: GbdtSettings {
                rounds: self.rounds.unwrap_or(match valid_fraction > 0.0 {
                    true => ROUNDS_MOST,
                    false => trees.rounds,
                }),
                learning_rate: self.learning_rate.unwrap_or(trees.learning_rate),
                leaves: self.leaves.unwrap_or(trees.leaves),
                min_data_in_leaf: self.min_leaf.unwrap_or(trees.min_data_in_leaf),
                lambda_l2: self.lambda.unwrap_or(trees.lambda_l2),
                feature_fraction: self.feature_fraction.unwrap_or(trees.feature_fraction),
                bagging_fraction: self.bagging_fraction.unwrap_or(trees.bagging_fraction),
                early_stopping: self.early_stopping.unwrap_or(trees.early_stopping),
            },
            glm: GlmSettings {
                alpha: self.alpha.unwrap_or(linear.alpha),
                l1_ratio: self.l1_ratio.unwrap_or(linear.l1_ratio),
            },
            calibration: self.calibrate.map(|of| match of {
                CalibrationName::Isotonic => Calibration::Isotonic,
                CalibrationName::Platt => Calibration::Platt,
            }),
            seed: self.seed,
            ..Settings::new(task, model, &self.target)
        }
    }
}

pub(super) fn run(asked: Train) -> Result<Said> {
    asked.fits()?;
    let bar = indicatif::ProgressBar::new(asked.folds as u64 + 1);
    let mut tell = |at: usize| bar.set_position(at as u64);
    let trained = match (asked.model.kind(), asked.task) {
        (Some(model), Some(task)) => {
            let settings = asked.settings(task.task(), model);
            model::from_file(&asked.input, settings, &asked.out, &mut tell)
        }
        (None, None | Some(TaskName::Rank)) => {
            let settings = asked.taste()?;
            taste::from_file(&asked.input, &settings, &asked.out, &mut tell)
        }
        (Some(_), None) => Err(Problem::new(
            "command_line",
            "--task is missing; write binary, regression, poisson, gamma, tweedie, multiclass or rank",
        )),
        (None, Some(_)) => Err(Problem::new(
            "command_line",
            "als ranks items for users; leave --task out, or write --task rank",
        )),
    };
    bar.finish_and_clear();
    let trained = trained?;
    Said::new(&trained, words(&trained))
}

fn words(of: &Trained) -> String {
    let evaluation = &of.evaluation;
    let size = match (of.users, of.items) {
        (Some(users), Some(items)) => {
            format!("{users} users, {items} items, {} factors", of.features)
        }
        _ => format!("{} features", of.features),
    };
    let predicted = match &of.target.classes[..] {
        [_, positive] => format!("`{}` = {positive}", of.target.column),
        _ => format!("`{}`", of.target.column),
    };
    let mut out = format!(
        "{}: {} for {} of {predicted}, {} rows, {size}, {:.2} s of processor time\n\n",
        of.out.display(),
        of.model,
        of.task,
        of.rows,
        of.cpu_seconds
    );
    let number = |v: f64| format!("{v:.5}");
    let rows: Vec<Vec<String>> = (evaluation.metrics.iter())
        .map(|(name, figure)| {
            let interval = match (figure.lower, figure.upper) {
                (Some(lower), Some(upper)) => format!("{} to {}", number(lower), number(upper)),
                _ => String::new(),
            };
            let folds: Vec<_> = (figure.folds.iter())
                .map(|f| f.map_or("-".to_owned(), number))
                .collect();
            vec![
                (*name).to_owned(),
                number(figure.mean),
                interval,
                folds.join(" "),
            ]
        })
        .collect();
    out.push_str(&table(&["figure", "mean", "95 % interval", "folds"], &rows));
    let named: Vec<_> = (evaluation.importance.iter().take(NAMED))
        .map(|i| i.feature.clone())
        .collect();
    if !named.is_empty() {
        out.push_str(&format!("\nmost important: {}\n", named.join(", ")));
    }
    for left in &evaluation.left_out {
        out.push_str(&format!("left out: `{}`: {}\n", left.column, left.why));
    }
    if evaluation.without_target > 0 {
        out.push_str(&format!(
            "{} rows have no target\n",
            evaluation.without_target
        ));
    }
    for flag in &evaluation.flags {
        out.push_str(&format!("look: {flag}\n"));
    }
    out.push_str(&format!("report: {}\n", of.out.join(model::PAGE).display()));
    out
}
