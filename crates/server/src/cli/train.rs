//! `luopan train`: artifacts of a pack, made from the history of a data folder.

use super::Common;
use super::output::{Said, table};
use super::train_intention::{self, Intention};
use crate::data::Opening;
use crate::problem::{Problem, Result};
use crate::train;
use crate::whole::{writable, write_whole};
use clap::{Args, Subcommand};
use luopan_engine::examples::ExampleSpec;
use luopan_kernel::plan::ScenePlan;
use luopan_kernel::time::Micros;
use luopan_learning::factors::Settings;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::sync::Arc;

#[derive(Debug, Subcommand)]
pub(super) enum Train {
    /// Train the factors that a policy retrieves by
    Factors(Factors),
    /// Write the examples that such factors are trained from, as lines of JSON, to train elsewhere
    Examples(Examples),
    /// Make the factors of a policy from vectors that were trained elsewhere, lines of JSON
    ImportFactors(ImportFactors),
    /// Train what predicts customers' next acts from a sequence
    Intention(Intention),
}

#[derive(Debug, Args)]
pub(super) struct Examples {
    /// Folder of the pack whose policy it is
    #[arg(long, value_name = "DIR")]
    pack: PathBuf,
    /// Policy with `retrieval` and its `learn_from`
    #[arg(long)]
    policy: String,
    /// The file to write
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
    /// Events at this time and later, RFC 3339 with a zone
    #[arg(long, value_parser = crate::time::parse, value_name = "TIME")]
    from: Option<Micros>,
    /// Events before this time, RFC 3339 with a zone
    #[arg(long, value_parser = crate::time::parse, value_name = "TIME")]
    until: Option<Micros>,
}

#[derive(Debug, Args)]
pub(super) struct ImportFactors {
    /// Folder of the pack whose policy it is
    #[arg(long, value_name = "DIR")]
    pack: PathBuf,
    /// Policy with `retrieval`
    #[arg(long)]
    policy: String,
    /// The file of vectors
    #[arg(long, value_name = "FILE")]
    input: PathBuf,
    /// The file to write: the artifact that the pack names
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
}

#[derive(Debug, Args)]
pub(super) struct Factors {
    /// Folder of the pack whose policy it is; the pack need not be applied as it stands, but its scene must be
    #[arg(long, value_name = "DIR")]
    pack: PathBuf,
    /// Policy with `retrieval` and its `learn_from`
    #[arg(long)]
    policy: String,
    /// The file to write: the artifact that the pack names
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
    /// Numbers of a vector, 1 to 256
    #[arg(long, default_value_t = Settings::default().dimension, value_name = "N")]
    dimension: usize,
    /// Most passes over the examples, 1 to 200; it stops before when later examples are told no better
    #[arg(long, default_value_t = Settings::default().epochs, value_name = "N")]
    epochs: usize,
    /// Items drawn for each step, 1 to 16384
    #[arg(long, default_value_t = Settings::default().negatives, value_name = "N")]
    negatives: usize,
    /// Length of a step
    #[arg(long, default_value_t = Settings::default().learning_rate, value_name = "NUMBER")]
    learning_rate: f64,
    /// Penalty on squares
    #[arg(long, default_value_t = Settings::default().l2, value_name = "NUMBER")]
    l2: f64,
    /// Seed: the same history, settings and seed give the same file
    #[arg(long, default_value_t = Settings::default().seed, value_name = "N")]
    seed: u64,
    /// Learn from events at this time and later, RFC 3339 with a zone
    #[arg(long, value_parser = crate::time::parse, value_name = "TIME")]
    from: Option<Micros>,
    /// Learn from events before this time, RFC 3339 with a zone
    #[arg(long, value_parser = crate::time::parse, value_name = "TIME")]
    until: Option<Micros>,
    /// Keep what was trained on the earlier examples, instead of learning once more from all
    #[arg(long)]
    no_refit: bool,
    /// Read no history: write factors to which every item is as good as any other, so that the pack can be applied
    #[arg(long, conflicts_with_all = ["from", "until", "no_refit"])]
    untrained: bool,
}

pub(super) async fn run(common: &Common, train: Train) -> Result<Said> {
    match train {
        Train::Factors(asked) => factors(common, asked).await,
        Train::Intention(asked) => train_intention::run(common, asked).await,
        Train::Examples(asked) => examples(common, asked).await,
        Train::ImportFactors(asked) => import_factors(&asked),
    }
}

async fn examples(common: &Common, asked: Examples) -> Result<Said> {
    let plan = to_train(&asked.pack)?;
    let spec = ExampleSpec {
        from: asked.from,
        until: asked.until,
    };
    let opened = common.open(Opening::Existing).await?;
    let outcome = match opened.settle().await {
        Ok(()) => {
            let (engine, output) = (&opened.engine, &asked.output);
            train::exchange::examples(engine, plan, &asked.policy, &spec, output).await
        }
        Err(e) => Err(e),
    };
    opened.close().await;
    let read = outcome?;
    let text = format!(
        "{} examples of {} customers in {}\n{}",
        read.examples,
        read.customers,
        asked.output.display(),
        skipped(&read)
    );
    Said::new(&json!({"output": asked.output, "read": read}), text)
}

fn import_factors(asked: &ImportFactors) -> Result<Said> {
    let plan = to_train(&asked.pack)?;
    let (bytes, imported) = train::exchange::import(&plan, &asked.policy, &asked.input)?;
    write_whole(&asked.output, &bytes)?;
    let mut text = format!(
        "{}: {} numbers a vector, {} features of the customer, {} of the item, {} items\n",
        asked.output.display(),
        imported.dimension,
        imported.customer,
        imported.item_features,
        imported.items
    );
    for (what, names) in [
        ("customer", &imported.customer_without),
        ("item", &imported.item_features_without),
    ] {
        if !names.is_empty() {
            text.push_str(&format!(
                "features of the {what} without a vector, which add nothing: {}\n",
                names.join(", ")
            ));
        }
    }
    Said::new(&imported, text)
}

/// The plan of a pack whose artifacts are still to be made.
fn to_train(path: &Path) -> Result<Arc<ScenePlan>> {
    let pack = luopan_scene::load_folder(path)
        .map_err(|e| Problem::new("file_unreadable", e.to_string()))?;
    match luopan_scene::compile_to_train(pack) {
        Ok(plan) => Ok(Arc::new(plan)),
        Err(faults) => Err(super::scene::faulty(path, &faults)),
    }
}

async fn factors(common: &Common, asked: Factors) -> Result<Said> {
    let plan = to_train(&asked.pack)?;
    if asked.untrained {
        let bytes = train::factors::untrained(&plan, &asked.policy)?;
        write_whole(&asked.output, &bytes)?;
        let text = format!(
            "{}: factors that have learned nothing yet",
            asked.output.display()
        );
        return Said::new(&json!({"output": asked.output, "untrained": true}), text);
    }
    let settings = train::factors::Settings {
        learning: Settings {
            dimension: asked.dimension,
            epochs: asked.epochs,
            negatives: asked.negatives,
            learning_rate: asked.learning_rate,
            l2: asked.l2,
            seed: asked.seed,
            refit: !asked.no_refit,
            ..Settings::default()
        },
        history: ExampleSpec {
            from: asked.from,
            until: asked.until,
        },
    };
    writable(&asked.output)?;
    let opened = common.open(Opening::Existing).await?;
    let outcome = match opened.settle().await {
        Ok(()) => train::factors(&opened.engine, plan, &asked.policy, &settings).await,
        Err(e) => Err(e),
    };
    opened.close().await;
    let (bytes, report) = outcome?;
    write_whole(&asked.output, &bytes)?;
    let text = words(&report, &asked.output, bytes.len());
    let mut json = serde_json::to_value(&report)
        .map_err(|e| Problem::internal(format!("writing the answer failed: {e}")))?;
    json["output"] = json!(asked.output);
    json["bytes"] = json!(bytes.len());
    Said::new(&json, text)
}

/// A line that tells what gave no example, where there is something.
fn skipped(read: &train::factors::Read) -> String {
    let skipped: Vec<String> = [
        ("not under the condition", read.filtered),
        ("without an item", read.without_item),
        ("of an unknown item", read.unknown_item),
        ("repeated", read.duplicate),
        ("rehearsed", read.dry_run),
        ("corrections", read.correction),
        ("outside the time", read.outside),
        ("erased", read.erased),
    ]
    .into_iter()
    .filter(|(_, n)| *n > 0)
    .map(|(why, n)| format!("{n} {why}"))
    .collect();
    if skipped.is_empty() {
        String::new()
    } else {
        format!("skipped: {}\n", skipped.join(", "))
    }
}

fn words(report: &train::factors::Report, output: &Path, bytes: usize) -> String {
    let read = &report.read;
    let mut out = format!(
        "{} examples of {} customers ({} of several identifiers) from {} events in {} log entries, read in {:.1} s\n",
        read.examples,
        read.customers,
        read.linked,
        read.events,
        read.entries,
        report.reading_seconds
    );
    out.push_str(&skipped(read));
    let last = |losses: &[f64]| {
        let of = |i: usize| losses.get(i).copied().unwrap_or(f64::NAN);
        (of(0), of(report.best_epoch - 1))
    };
    let (first, best) = last(&report.watched_losses);
    out.push_str(&format!(
        "{} numbers a vector; {} of {} items were chosen; trained on {}, stopped by {}, in {:.1} s\n",
        report.dimension,
        report.items_chosen,
        report.items,
        report.trained,
        report.watched,
        report.training_seconds
    ));
    out.push_str(&format!(
        "{} epochs, the best {}: loss of later examples {first:.3} after the first, {best:.3} after the best\n",
        report.epochs, report.best_epoch
    ));
    out.push_str(&format!(
        "on {} of {} held-out examples from {} on:\n",
        report.ranked,
        report.held_out,
        crate::time::write(report.held_out_from)
    ));
    let row = |name: &str, s: &train::factors::Shares| {
        vec![
            name.to_owned(),
            format!("{:.4}", s.recall_at_50),
            format!("{:.4}", s.ndcg_at_10),
            format!("{:.4}", s.coverage_at_50),
        ]
    };
    out.push_str(&table(
        &["", "recall@50", "NDCG@10", "coverage@50"],
        &[
            row("factors", &report.factors),
            row("popularity", &report.popularity),
        ],
    ));
    let then = if report.refitted {
        ", learned once more from all examples"
    } else {
        ""
    };
    out.push_str(&format!("{} ({bytes} bytes){then}", output.display()));
    out
}
