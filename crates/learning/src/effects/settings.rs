//! What is asked of a model.

use crate::tabular::{Error, Kept, Metric, Scale, Task};

/// Fewest rows that effects are told by.
pub const ROWS_LEAST: usize = 20;
/// Most pairs of features at once.
pub const PAIRS_MAX: usize = 100;
/// Most bins of a number.
const BINS_MAX: usize = 200;
/// Most shuffles of a feature.
const REPEATS_MAX: usize = 1_000;

/// What is asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The scale that effects are told on.
    pub scale: Scale,
    /// Of several classes, the one whose score or probability is told.
    pub class: Option<String>,
    /// Features by name; without any, all.
    pub features: Vec<String>,
    /// Pairs of features.
    pub pairs: Vec<(String, String)>,
    /// Bins of a number, and categories that are told, at most.
    pub bins: usize,
    /// Of pairs, bins of a number, and categories that are told, at most.
    pub pair_bins: usize,
    /// Rows that are looked at, at most: drawn by what they hold.
    pub rows: usize,
    /// Of these, for partial dependence and contributions, at most.
    pub curve_rows: usize,
    /// Of these, for the H statistic, at most: the model is asked about the square of it.
    pub pair_rows: usize,
    /// Column of what happened, by which importance is told.
    pub target: Option<String>,
    /// The figure that shuffling spoils; without it the one that the task is judged by first.
    pub metric: Option<String>,
    /// Shuffles of each feature.
    pub repeats: usize,
    /// Seed of the rows that are drawn and of the shuffles.
    pub seed: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            scale: Scale::Response,
            class: None,
            features: Vec::new(),
            pairs: Vec::new(),
            bins: 40,
            pair_bins: 12,
            rows: 10_000,
            curve_rows: 1_000,
            pair_rows: 300,
            target: None,
            metric: None,
            repeats: 10,
            seed: 1,
        }
    }
}

fn within(name: &'static str, found: usize, least: usize, most: usize) -> Result<(), Error> {
    match (least..=most).contains(&found) {
        true => Ok(()),
        false => Err(Error::Setting {
            name,
            found: found.to_string(),
            wanted: match most {
                usize::MAX => format!("write {least} or more"),
                _ => format!("write {least} to {most}"),
            },
        }),
    }
}

impl Settings {
    pub(super) fn check(&self) -> Result<(), Error> {
        within("bins", self.bins, 2, BINS_MAX)?;
        within("bins of pairs", self.pair_bins, 2, BINS_MAX)?;
        within("rows", self.rows, ROWS_LEAST, usize::MAX)?;
        within("rows of curves", self.curve_rows, 2, usize::MAX)?;
        within("rows of pairs", self.pair_rows, 2, 10_000)?;
        within("repeats", self.repeats, 2, REPEATS_MAX)?;
        within("number of pairs", self.pairs.len(), 0, PAIRS_MAX)
    }

    /// Of several classes, the place of the one that is told; 0 where there is a single number a row.
    pub(super) fn output(&self, model: &Kept) -> Result<usize, Error> {
        let classes = &model.target().classes;
        let refused = |found: String, wanted: String| Error::Setting {
            name: "class",
            found,
            wanted,
        };
        match (&self.class, model.task() == Task::Multiclass) {
            (None, false) => Ok(0),
            (Some(name), false) => Err(refused(
                format!("`{name}`"),
                "the model says one number a row; leave it out".to_owned(),
            )),
            (None, true) => Err(refused(
                "missing".to_owned(),
                format!("the model knows `{}`; name one", classes.join("`, `")),
            )),
            (Some(name), true) => classes.iter().position(|c| c == name).ok_or_else(|| {
                refused(
                    format!("`{name}`"),
                    format!("the model knows `{}`", classes.join("`, `")),
                )
            }),
        }
    }

    /// The figure that shuffling spoils.
    pub(super) fn figure(&self, model: &Kept) -> Result<Metric, Error> {
        let refused = |name, found: String, wanted: String| Error::Setting {
            name,
            found,
            wanted,
        };
        if model.task() == Task::Rank {
            return Err(refused(
                "target",
                "with a ranking".to_owned(),
                "rankings are judged in groups, which a kept model does not name; leave it out"
                    .to_owned(),
            ));
        }
        let figures = model.figures();
        let Some(name) = &self.metric else {
            return Ok(figures[0]);
        };
        let found = figures.iter().find(|m| m.name == name);
        found.copied().ok_or_else(|| {
            let names: Vec<&str> = figures.iter().map(|m| m.name).collect();
            refused(
                "metric",
                format!("`{name}`"),
                format!("{} is judged by {}", model.task().name(), names.join(", ")),
            )
        })
    }
}
