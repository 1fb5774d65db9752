//! `luopan learn effects`.

use super::super::output::{Said, table};
use crate::learn::effects::{self, Asked, Looked};
use crate::learn::report::effects::words as value;
use crate::problem::Result;
use clap::{Args, ValueEnum};
use luopan_learning::effects::{FeatureEffect, Point, Settings};
use luopan_learning::tabular::Scale;
use std::path::PathBuf;

/// Features that are told in words.
const NAMED: usize = 30;

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ScaleName {
    /// Where the model adds up: log odds, logarithms of means, points
    Link,
    /// What is predicted: probabilities, means
    Response,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Ask {
    /// Folder of the model, as `luopan learn train` wrote it
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// Rows that the model is asked about; for --target ones that it has not learned from: CSV, Parquet, lines of JSON; gzipped too
    #[arg(long, value_name = "FILE")]
    input: PathBuf,
    /// Column of what happened: importance is how much worse predictions are with a feature shuffled
    #[arg(long, value_name = "COLUMN")]
    target: Option<String>,
    /// Features to tell, instead of all
    #[arg(long, value_delimiter = ',', value_name = "COLUMNS")]
    features: Vec<String>,
    /// Pairs to tell: what both add beyond what each adds
    #[arg(long, value_delimiter = ',', value_name = "COLUMN:COLUMN")]
    pairs: Vec<String>,
    /// The scale that effects are told on
    #[arg(long, default_value = "response")]
    scale: ScaleName,
    /// Of several classes, the one that is told
    #[arg(long, value_name = "CLASS")]
    class: Option<String>,
    /// Most bins of a number, and categories that are told
    #[arg(long, default_value_t = Settings::default().bins, value_name = "N")]
    bins: usize,
    /// Of pairs, most bins of a number, and categories that are told
    #[arg(long, default_value_t = Settings::default().pair_bins, value_name = "N")]
    pair_bins: usize,
    /// Most rows that are looked at, drawn by what they hold
    #[arg(long, default_value_t = Settings::default().rows, value_name = "N")]
    rows: usize,
    /// Of these, most rows for partial dependence and contributions
    #[arg(long, default_value_t = Settings::default().curve_rows, value_name = "N")]
    curve_rows: usize,
    /// Of these, most rows for the H statistic of pairs: the model is asked about the square of it
    #[arg(long, default_value_t = Settings::default().pair_rows, value_name = "N")]
    pair_rows: usize,
    /// Figure that shuffling spoils, instead of the one that the task is judged by first
    #[arg(long, value_name = "NAME", requires = "target")]
    metric: Option<String>,
    /// Shuffles of each feature
    #[arg(long, default_value_t = Settings::default().repeats, value_name = "N")]
    repeats: usize,
    /// Seed of the rows that are drawn and of the shuffles
    #[arg(long, default_value_t = Settings::default().seed, value_name = "N")]
    seed: u64,
    /// Folder to write effects.json and effects.html in, or a file of one of these kinds
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
}

pub(super) fn run(asked: Ask) -> Result<Said> {
    let looked = effects::from_file(&Asked {
        model: asked.model,
        input: asked.input,
        pairs: asked.pairs,
        settings: Settings {
            scale: match asked.scale {
                ScaleName::Link => Scale::Link,
                ScaleName::Response => Scale::Response,
            },
            class: asked.class,
            features: asked.features,
            pairs: Vec::new(),
            bins: asked.bins,
            pair_bins: asked.pair_bins,
            rows: asked.rows,
            curve_rows: asked.curve_rows,
            pair_rows: asked.pair_rows,
            target: asked.target,
            metric: asked.metric,
            repeats: asked.repeats,
            seed: asked.seed,
        },
        output: asked.output,
    })?;
    Said::new(&looked, words(&looked))
}

fn number(v: f64) -> String {
    format!("{v:.5}")
}

/// The value at which a feature adds least or most.
fn at(of: &FeatureEffect, pick: fn(&Point, &Point) -> bool) -> String {
    let best = of
        .points
        .iter()
        .reduce(|a, b| if pick(b, a) { b } else { a });
    best.map_or_else(String::new, |p| {
        format!("{} at {}", number(p.effect), value(&p.value))
    })
}

fn words(of: &Looked) -> String {
    let found = &of.effects;
    let class = (found.class.as_ref()).map_or(String::new(), |c| format!(" of class `{c}`"));
    let mut out = format!(
        "{} for {} of `{}`: effects on the scale of the {} ({}{class}) by {} of {} rows, whose mean is {}\n\n",
        of.model,
        of.task,
        of.predicts,
        found.scale.name(),
        found.unit,
        found.looked_at,
        found.rows,
        number(found.mean)
    );
    let worse = |name: &str| -> [String; 2] {
        let shuffled = found.importance.iter().flat_map(|i| &i.features);
        let own = shuffled.into_iter().find(|s| s.feature == name);
        own.map_or_else(Default::default, |s| {
            [number(s.worse), number(s.standard_error)]
        })
    };
    let moved = |name: &str| {
        let own = found.contributions.iter().find(|c| c.feature == name);
        own.map_or_else(String::new, |c| number(c.mean_absolute))
    };
    let rows: Vec<Vec<String>> = (found.features.iter().take(NAMED))
        .map(|f| {
            let mut line = vec![
                f.feature.clone(),
                number(f.deviation),
                at(f, |a, b| a.effect < b.effect),
                at(f, |a, b| a.effect > b.effect),
            ];
            if !found.contributions.is_empty() {
                line.push(moved(&f.feature));
            }
            if found.importance.is_some() {
                line.extend(worse(&f.feature));
            }
            line
        })
        .collect();
    let mut header = vec!["feature", "deviation", "least", "most"];
    if !found.contributions.is_empty() {
        header.push("shapley");
    }
    if found.importance.is_some() {
        header.extend(["worse", "+-"]);
    }
    out.push_str(&table(&header, &rows));
    if found.features.len() > NAMED {
        out.push_str(&format!(
            "and {} more in the answer for programs\n",
            found.features.len() - NAMED
        ));
    }
    if let Some(i) = &found.importance {
        out.push_str(&format!(
            "\nworse: of {} ({} as it is, {} rows) with the feature shuffled {} times\n",
            i.metric,
            number(i.figure),
            i.rows,
            i.repeats
        ));
    }
    for pair in &found.pairs {
        let both = pair.features.join("` and `");
        out.push_str(&match pair.h {
            Some(h) => format!(
                "`{both}` together: H {h:.3}, beyond what each does {}\n",
                number(pair.beyond)
            ),
            None => format!("`{both}` do nothing together\n"),
        });
    }
    for left in &found.left_out {
        out.push_str(&format!("left out: `{}`: {}\n", left.column, left.why));
    }
    for flag in &found.flags {
        out.push_str(&format!("look: {flag}\n"));
    }
    for file in &of.output {
        out.push_str(&format!("{}\n", file.display()));
    }
    out
}
