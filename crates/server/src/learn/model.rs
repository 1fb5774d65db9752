//! Models that are trained from a file, kept in a folder, and predict another file.

use super::dataset::{SHADOW, sha256, told_of_itself};
use super::report;
use super::table;
use super::written;
use crate::problem::{Problem, Result};
use crate::whole::{writable, write_whole};
use luopan_learning::tabular::{
    CardColumn, Error, Evaluation, Feature, Frame, Kept, LeftOut, Series, Settings, Target, Task,
    train,
};
use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The model in its folder.
pub const MODEL: &str = "model.json";
/// LightGBM's text of trees, for programs that read it.
pub const LIGHTGBM: &str = "model.txt";
/// The report for programs.
pub const REPORT: &str = "report.json";
/// The report for people.
pub const PAGE: &str = "report.html";

/// The factors of [`super::taste`] in their folder.
pub const FACTORS: &str = "model.bin";

/// What is said of a model that was trained.
#[derive(Debug, Clone, Serialize)]
pub struct Trained {
    /// `gbdt`, `glm`, `scorecard`.
    pub model: &'static str,
    /// Task.
    pub task: &'static str,
    /// What is predicted.
    pub target: Target,
    /// Rows that it learned from.
    pub rows: usize,
    /// Number of features; of factors, numbers of a vector.
    pub features: usize,
    /// Users, of factors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub users: Option<usize>,
    /// Items, of factors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub items: Option<usize>,
    /// Seconds of processor time of all folds and of the model that is kept; reading the file is not in it.
    pub cpu_seconds: f64,
    /// Of this, the folds.
    pub cpu_seconds_folds: f64,
    /// Seconds of processor time of reading the file.
    pub cpu_seconds_read: f64,
    /// Seed.
    pub seed: u64,
    /// Rounds of the trees that are kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rounds: Option<usize>,
    /// The file it learned from.
    pub input: PathBuf,
    /// The file's SHA-256, hexadecimal.
    pub sha256: String,
    /// The folder it is kept in.
    pub out: PathBuf,
    /// Its bins, weights of evidence and points, of scorecards.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub card: Option<Vec<CardColumn>>,
    /// What its like said of rows that they had not seen.
    #[serde(flatten)]
    pub evaluation: Evaluation,
}

/// Seconds of processor time that this process has used.
pub(super) fn cpu_seconds() -> f64 {
    let now = clock_gettime(ClockId::ProcessCPUTime);
    now.tv_sec as f64 + now.tv_nsec as f64 / 1e9
}

/// What the numerics refuse, with the nearest name where one is unknown, and flags where numerics have names of parameters.
pub(super) fn in_words(frame: Option<&Frame>, e: &Error) -> String {
    match (e, frame) {
        (Error::Unknown { name, .. }, Some(frame)) => written::unknown(frame, name),
        (Error::Model(words), _) => with_flags(words),
        _ => e.to_string(),
    }
}

/// LightGBM's names of parameters, and the flags that set them.
const FLAGS: [(&str, &str); 10] = [
    ("num_iterations", "--rounds"),
    ("learning_rate", "--learning-rate"),
    ("num_leaves", "--leaves"),
    ("min_data_in_leaf", "--min-leaf"),
    ("lambda_l2", "--lambda"),
    ("feature_fraction", "--feature-fraction"),
    ("bagging_fraction", "--bagging-fraction"),
    ("early_stopping_round", "--early-stopping"),
    ("tweedie_variance_power", "--tweedie-power"),
    ("l1_ratio", "--l1-ratio"),
];

fn with_flags(words: &str) -> String {
    let is_letter = |c: char| c.is_ascii_alphanumeric() || c == '_';
    FLAGS.iter().fold(words.to_owned(), |words, (name, flag)| {
        let mut out = String::new();
        let mut rest = words.as_str();
        while let Some(at) = rest.find(name) {
            let (before, after) = (&rest[..at], &rest[at + name.len()..]);
            let is_whole = !before.ends_with(is_letter) && !after.starts_with(is_letter);
            out.push_str(before);
            out.push_str(if is_whole { flag } else { name });
            rest = after;
        }
        out + rest
    })
}

/// A refusal of the numerics, as [`in_words`] says it.
pub(crate) fn refused(path: &Path, frame: Option<&Frame>, e: &Error) -> Box<Problem> {
    Problem::new(
        "cannot_learn",
        format!("{}: {}", path.display(), in_words(frame, e)),
    )
}

/// Columns of a training set of decisions that are no features: what `luopan learn dataset` writes beside them.
fn of_decisions(frame: &Frame, settings: &mut Settings) -> Vec<LeftOut> {
    if frame.get("decision.id").is_none() || frame.get("decision.propensity").is_none() {
        return Vec::new();
    }
    let mut out = Vec::new();
    for name in frame.names() {
        let is_own = name.starts_with("decision.") && name != "decision.arm";
        if (is_own || name.starts_with("reward.") || name.starts_with(SHADOW))
            && *name != settings.target
            && !settings.exclude.contains(name)
            && ![
                &settings.weight,
                &settings.id,
                &settings.time,
                &settings.group,
            ]
            .into_iter()
            .any(|role| role.as_ref() == Some(name))
        {
            settings.exclude.push(name.clone());
            out.push(LeftOut {
                column: name.clone(),
                why: "of the decision or what came of it, not known before it".to_owned(),
            });
        }
    }
    out
}

/// Trains a model from a file and keeps it in a folder; `tell` hears what is begun.
///
/// # Errors
/// `file_unreadable`, `bad_table`, `cannot_learn`. Then the folder holds no new model.
pub fn from_file(
    input: &Path,
    mut settings: Settings,
    out: &Path,
    tell: &mut dyn FnMut(usize),
) -> Result<Trained> {
    for name in [MODEL, REPORT, PAGE] {
        writable(&out.join(name))?;
    }
    let begun = cpu_seconds();
    let wanted = table::Wanted {
        texts: settings
            .categorical
            .iter()
            .chain(&settings.id)
            .cloned()
            .collect(),
        ignored: settings.exclude.clone(),
        only: None,
    };
    let mut frame = table::read_for(input, &wanted, table::FOR_TRAINING)?;
    let mut has_times = false;
    if let Some(name) = &settings.time {
        (frame, has_times) = table::with_times(input, frame, name)?;
    }
    let own = of_decisions(&frame, &mut settings);
    let read = cpu_seconds();
    let mut folds = read;
    let mut hear = |at: usize| {
        if at == settings.folds {
            folds = cpu_seconds();
        }
        tell(at);
    };
    let outcome = train(&frame, &settings, &mut hear);
    let mut outcome = outcome.map_err(|e| refused(input, Some(&frame), &e))?;
    let done = cpu_seconds();
    for left in &mut outcome.evaluation.left_out {
        if let Some(own) = own.iter().find(|o| o.column == left.column) {
            left.why.clone_from(&own.why);
        }
    }
    if has_times {
        for period in &mut outcome.evaluation.stability {
            let write = |part: &str| {
                let at = part.parse::<f64>().map_or(0, |v| v as i64);
                crate::time::write(luopan_kernel::time::Micros(at))
            };
            let parts: Vec<String> = period.name.split(" to ").map(write).collect();
            period.name = parts.join(" to ");
        }
    }
    let sha256 = sha256(input)?;
    let model = &mut outcome.model;
    model.notes = BTreeMap::from([
        ("data_sha256".to_owned(), sha256.clone()),
        ("data".to_owned(), input.display().to_string()),
        (
            "program".to_owned(),
            concat!("luopan ", env!("CARGO_PKG_VERSION")).to_owned(),
        ),
    ]);
    // Which scene, policy and semantics wrote the training set, where one did.
    let of_data = told_of_itself(input).into_iter();
    model
        .notes
        .extend(of_data.map(|(name, said)| (format!("data_{name}"), said)));
    let trained = Trained {
        model: model.kind().name(),
        task: model.task().name(),
        target: model.target().clone(),
        rows: model.rows(),
        features: model.features().len(),
        users: None,
        items: None,
        cpu_seconds: done - read,
        cpu_seconds_folds: folds - read,
        cpu_seconds_read: read - begun,
        seed: settings.seed,
        rounds: model.rounds(),
        input: input.to_owned(),
        sha256,
        out: out.to_owned(),
        card: model.card(),
        evaluation: outcome.evaluation,
    };
    let text = model.encode().map_err(|e| refused(input, None, &e))?;
    told(&trained)?;
    gone(&out.join(FACTORS))?;
    match model.lightgbm() {
        Some(text) => write_whole(&out.join(LIGHTGBM), text.as_bytes())?,
        None => gone(&out.join(LIGHTGBM))?,
    }
    write_whole(&out.join(MODEL), signed(&text).as_bytes())?;
    Ok(trained)
}

/// Removes what an earlier model of another kind left in the folder.
pub(super) fn gone(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            let words = format!("{} cannot be removed: {e}", path.display());
            Err(Problem::new("file_unreadable", words))
        }
        _ => Ok(()),
    }
}

/// Writes both reports.
///
/// # Errors
/// `file_unreadable`.
pub(super) fn told(trained: &Trained) -> Result<()> {
    let json = serde_json::to_vec_pretty(trained)
        .map_err(|e| Problem::internal(format!("writing the report failed: {e}")))?;
    write_whole(&trained.out.join(REPORT), &json)?;
    write_whole(&trained.out.join(PAGE), report::page(trained)?.as_bytes())
}

/// Reads a model from its folder, or from its file.
///
/// # Errors
/// `file_unreadable`, `bad_model`.
pub fn open(path: &Path) -> Result<Kept> {
    let path = match path.is_dir() {
        true => path.join(MODEL),
        false => path.to_owned(),
    };
    let text = std::fs::read_to_string(&path).map_err(|e| {
        let words = format!(
            "{}: {e}; name a folder that `luopan learn train` wrote",
            path.display()
        );
        Problem::new("file_unreadable", words)
    })?;
    let bad = |words: &str| Problem::new("bad_model", format!("{}: {words}", path.display()));
    let text = unsigned(&text).map_err(bad)?;
    Kept::decode(&text).map_err(|e| bad(&e.to_string()))
}

/// What stands before a model's SHA-256 in its text.
const SIGNED: &str = "{\n  \"sha256\": \"";

fn digest(text: &str) -> String {
    use sha2::{Digest, Sha256};
    let digest = Sha256::digest(text.as_bytes());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A model's text with the SHA-256 of all else that stands in it, as its first member.
fn signed(text: &str) -> String {
    match text.strip_prefix("{\n") {
        Some(rest) => format!("{SIGNED}{}\",\n{rest}", digest(text)),
        None => text.to_owned(),
    }
}

/// The text without it, where it is what it says; a text of before there were such is left as it is.
fn unsigned(text: &str) -> std::result::Result<std::borrow::Cow<'_, str>, &'static str> {
    const CHANGED: &str = "it is not what was written: its SHA-256 is another. Copy it again, or train it anew; if it was changed on purpose, remove the line of its `sha256`";
    if let Some(rest) = text.strip_prefix(SIGNED) {
        let (said, rest) = rest.split_once("\",\n").ok_or(CHANGED)?;
        let text = format!("{{\n{rest}");
        return match digest(&text) == said {
            true => Ok(text.into()),
            false => Err(CHANGED),
        };
    }
    let parsed: std::result::Result<serde_json::Value, _> = serde_json::from_str(text);
    match parsed.is_ok_and(|of| of.get("sha256").is_some()) {
        true => Err(CHANGED),
        false => Ok(text.into()),
    }
}

/// What is said of a file that was predicted.
#[derive(Debug, Clone, Serialize)]
pub struct Predicted {
    /// Rows.
    pub rows: usize,
    /// Columns that were written.
    pub columns: Vec<String>,
    /// Features with texts that were never seen in training, and how many rows have one.
    pub unseen: BTreeMap<String, usize>,
    /// Seconds of processor time of the predictions alone.
    pub cpu_seconds: f64,
    /// The file that was written.
    pub output: PathBuf,
}

/// Refuses to write a file over the one that is read.
pub(super) fn not_over(input: &Path, output: &Path) -> Result<()> {
    let same = match (input.canonicalize(), output.canonicalize()) {
        (Ok(input), Ok(output)) => input == output,
        _ => false,
    };
    match same {
        true => Err(Problem::new(
            "command_line",
            format!(
                "{} is the table itself; name another file with --output",
                output.display()
            ),
        )),
        false => Ok(()),
    }
}

/// What a file of predictions is to hold.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Columns of the input that are carried over.
    pub keep: Vec<String>,
    /// What each feature adds to the raw score, too.
    pub contributions: bool,
}

/// Predicts the rows of a file and writes them in the form that the name of the output says.
///
/// # Errors
/// `file_unreadable`, `bad_table`, `cannot_learn`. Then no file is written.
pub fn predict(model: &Kept, input: &Path, output: &Path, wanted: &Wanted) -> Result<Predicted> {
    written::ready(&[input], output)?;
    let names = |of: fn(&Feature) -> bool| -> Vec<String> {
        let found = model.features().iter().filter(|f| of(f));
        found.map(|f| f.name.clone()).collect()
    };
    let mut only = names(|_| true);
    only.extend(model.exposure().map(str::to_owned));
    let features = table::Wanted {
        texts: names(Feature::is_category),
        only: Some(only),
        ..table::Wanted::default()
    };
    let frame = table::read(input, &features)?;
    let carried = written::carried(input, &wanted.keep, output)?;
    let bad = |e: Error| refused(input, Some(&frame), &e);
    let begun = cpu_seconds();
    let found = model.predict(&frame).map_err(bad)?;
    let cpu_seconds = cpu_seconds() - begun;
    let mut columns: Vec<(String, Series)> = Vec::new();
    for (name, series) in carried {
        if columns.iter().any(|(n, _)| *n == name) || name.starts_with("prediction") {
            return Err(Problem::new(
                "command_line",
                format!(
                    "`{name}` would stand twice in the file; name each column once, and none like a prediction"
                ),
            ));
        }
        columns.push((name, series));
    }
    if model.task() == Task::Multiclass {
        for (at, class) in model.target().classes.iter().enumerate() {
            let own = found.values.iter().skip(at).step_by(found.outputs);
            let series = Series::Numbers(own.copied().collect());
            columns.push((format!("prediction.{class}"), series));
        }
    } else {
        if let Some(means) = expected(model, &frame, &found.values).map_err(bad)? {
            columns.push(("expected".to_owned(), Series::Numbers(means)));
        }
        columns.push(("prediction".to_owned(), Series::Numbers(found.values)));
    }
    if wanted.contributions {
        let values = model.contributions(&frame).map_err(bad)?;
        let names: Vec<String> = (model.features().iter())
            .map(|f| f.name.clone())
            .chain(["base".to_owned()])
            .collect();
        let width = values.len() / frame.rows();
        for at in 0..width {
            let (output, name) = (at / names.len(), &names[at % names.len()]);
            let name = match model.task() {
                Task::Multiclass => {
                    format!("contribution.{}.{name}", model.target().classes[output])
                }
                _ => format!("contribution.{name}"),
            };
            let own = values.iter().skip(at).step_by(width).copied().collect();
            columns.push((name, Series::Numbers(own)));
        }
    }
    written::write(output, &columns, frame.rows())?;
    Ok(Predicted {
        rows: frame.rows(),
        columns: columns.into_iter().map(|(n, _)| n).collect(),
        unseen: found.unseen.into_iter().collect(),
        cpu_seconds,
        output: output.to_owned(),
    })
}

/// Of rates, what is expected of each row's exposure, where the file has it.
fn expected(
    model: &Kept,
    frame: &Frame,
    rates: &[f64],
) -> std::result::Result<Option<Vec<f64>>, Error> {
    match model.exposure() {
        Some(name) if frame.get(name).is_some() => model.exposed(frame, rates),
        _ => Ok(None),
    }
}
