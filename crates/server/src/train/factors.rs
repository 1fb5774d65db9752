//! Factors for a policy that retrieves, trained from what customers chose. The plan need not be applied: it may be a newer
//! version of the scene, whose factors are what is to be made.

use crate::problem::{Problem, Result};
use luopan_engine::Engine;
use luopan_engine::examples::{ExampleSpec, ExamplesRead, Skipped};
use luopan_kernel::factors::Factors;
use luopan_kernel::features;
use luopan_kernel::id::hash64;
use luopan_kernel::plan::{Retrieval, ScenePlan};
use luopan_kernel::time::Micros;
use luopan_learning::factors::{self as learning, Examples, Figures, Items};
use serde::Serialize;
use std::sync::Arc;
use std::time::Instant;

/// How factors are trained.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Settings {
    /// Dimension, epochs, seed and the like.
    pub learning: learning::Settings,
    /// Which part of history.
    pub history: ExampleSpec,
}

/// What training came to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Scene.
    pub scene: String,
    /// Policy.
    pub policy: String,
    /// Numbers of a vector.
    pub dimension: usize,
    /// Seed.
    pub seed: u64,
    /// What was read of the log.
    pub read: Read,
    /// Items of the catalogue, those that were withdrawn among them.
    pub items: usize,
    /// Items that an example chose.
    pub items_chosen: usize,
    /// Earlier examples, which the evaluated factors learned from.
    pub trained: usize,
    /// The next ones, which said when to stop.
    pub watched: usize,
    /// The last ones, of the heaviest kind of event, which nothing had seen.
    pub held_out: usize,
    /// Of these, evenly spread ones that were ranked.
    pub ranked: usize,
    /// When the watched ones begin.
    #[serde(with = "crate::time::text")]
    pub watched_from: Micros,
    /// When the held-out ones begin.
    #[serde(with = "crate::time::text")]
    pub held_out_from: Micros,
    /// Passes over the examples.
    pub epochs: usize,
    /// The best of them.
    pub best_epoch: usize,
    /// Mean negative log-likelihood by epoch, over drawn items.
    pub losses: Vec<f64>,
    /// Of the watched examples, over all items, by epoch.
    pub watched_losses: Vec<f64>,
    /// On the held-out examples.
    pub factors: Shares,
    /// Of popularity, on the same.
    pub popularity: Shares,
    /// True when the factors then learned from all examples.
    pub refitted: bool,
    /// Seconds that reading history took.
    pub reading_seconds: f64,
    /// Seconds that training took.
    pub training_seconds: f64,
}

/// How good a ranking of all items is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Shares {
    /// Share of examples whose item is among the first 50.
    pub recall_at_50: f64,
    /// Normalised discounted cumulative gain of the first 10.
    pub ndcg_at_10: f64,
    /// Share of items that are among anyone's first 50.
    pub coverage_at_50: f64,
}

impl From<Figures> for Shares {
    fn from(f: Figures) -> Self {
        Self {
            recall_at_50: f.recall,
            ndcg_at_10: f.ndcg,
            coverage_at_50: f.coverage,
        }
    }
}

/// What was read of the log, and what of it gave no example.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Read {
    /// Log entries.
    pub entries: u64,
    /// Events of the declared types.
    pub events: u64,
    /// Examples.
    pub examples: u64,
    /// Customers of whom there are examples.
    pub customers: u64,
    /// Of these, customers whose identifiers were read as one.
    pub linked: u64,
    /// The declaration's condition was not true.
    pub filtered: u64,
    /// No item was named.
    pub without_item: u64,
    /// The catalogue has no such item.
    pub unknown_item: u64,
    /// The event was there before.
    pub duplicate: u64,
    /// Rehearsals.
    pub dry_run: u64,
    /// Corrections of other events.
    pub correction: u64,
    /// Outside the time asked for.
    pub outside: u64,
    /// Of customers who were erased.
    pub erased: u64,
}

impl From<&ExamplesRead> for Read {
    fn from(r: &ExamplesRead) -> Self {
        let Skipped {
            filtered,
            without_item,
            unknown_item,
            duplicate,
            dry_run,
            correction,
            outside,
            erased,
        } = r.skipped;
        Self {
            entries: r.entries,
            events: r.events,
            examples: r.examples,
            customers: r.customers,
            linked: r.linked,
            filtered,
            without_item,
            unknown_item,
            duplicate,
            dry_run,
            correction,
            outside,
            erased,
        }
    }
}

/// Trains the factors of a policy of `plan` from the scene's log, and gives the bytes of the artifact.
///
/// # Errors
/// Those of [`Engine::examples`]; `too_little_to_learn_from`; `command_line` for a setting out of its range.
pub async fn factors(
    engine: &Engine,
    plan: Arc<ScenePlan>,
    policy: &str,
    settings: &Settings,
) -> Result<(Vec<u8>, Report)> {
    let started = Instant::now();
    let scene = plan.name.clone();
    let (items, examples, read) = history(engine, plan, policy, &settings.history).await?;
    let reading_seconds = started.elapsed().as_secs_f64();
    let started = Instant::now();
    let learning = settings.learning;
    let working =
        tokio::task::spawn_blocking(move || learning::train(&items, &examples, &learning));
    let trained = working
        .await
        .map_err(|e| Problem::internal(format!("training failed: {e}")))?;
    let (factors, told) = trained.map_err(|e| refused(&e, policy, &read))?;
    let report = Report {
        scene,
        policy: policy.to_owned(),
        dimension: factors.dimension(),
        seed: learning.seed,
        read: Read::from(&read),
        items: told.items,
        items_chosen: told.items_chosen,
        trained: told.trained,
        watched: told.watched,
        held_out: told.held_out,
        ranked: told.ranked,
        watched_from: Micros(told.split_at.0),
        held_out_from: Micros(told.split_at.1),
        epochs: told.epochs,
        best_epoch: told.best_epoch,
        losses: told.losses,
        watched_losses: told.watched_losses,
        factors: told.figures.into(),
        popularity: told.popularity.into(),
        refitted: told.refitted,
        reading_seconds,
        training_seconds: started.elapsed().as_secs_f64(),
    };
    Ok((factors.encode(), report))
}

/// The items and the examples of a policy as the trainer takes them, and what was read.
///
/// # Errors
/// Those of [`Engine::examples`].
pub async fn history(
    engine: &Engine,
    plan: Arc<ScenePlan>,
    policy: &str,
    spec: &ExampleSpec,
) -> Result<(Items, Examples, ExamplesRead)> {
    let source = engine.examples(plan, policy).await?;
    let (positions, of_items) = source.positions();
    let mut items = Items {
        positions: of_items,
        ..Items::default()
    };
    for item in source.items() {
        items.keys.push(item.key.clone());
        items.features.push(item.features.iter().copied());
    }
    let mut examples = Examples {
        positions,
        ..Examples::default()
    };
    let read = source
        .read(spec, &mut |e| {
            examples.features.push(e.features.iter().copied());
            examples.owners.push(hash64(&e.customer.0));
            examples.items.push(e.item as u32);
            examples.weights.push(e.weight as f32);
            examples.at.push(e.at.0);
            examples.sources.push(e.source as u16);
            Ok(())
        })
        .await?;
    Ok((items, examples, read))
}

fn refused(error: &learning::Error, policy: &str, read: &ExamplesRead) -> Box<Problem> {
    use learning::Error;
    match error {
        Error::Range { .. } => Problem::new("command_line", error.to_string()),
        Error::Few { .. } | Error::OneMoment { .. } => Problem::new(
            "too_little_to_learn_from",
            format!(
                "policy `{policy}`: {error}; {} log entries hold {} events of the declared types, and {} examples came of them",
                read.entries, read.events, read.examples
            ),
        ),
        Error::Example { .. } | Error::Item { .. } => {
            Problem::internal(format!("training failed: {error}"))
        }
    }
}

/// What a policy retrieves by.
pub(super) fn planned<'p>(plan: &'p ScenePlan, policy: &str) -> Result<&'p Retrieval> {
    let Some(found) = plan.policy(policy) else {
        let names: Vec<&str> = plan.policies.iter().map(|p| p.name.as_str()).collect();
        return Err(Problem::new(
            "unknown_policy",
            format!(
                "scene `{}` has no policy `{policy}`; it has {}",
                plan.name,
                names.join(", ")
            ),
        ));
    };
    found.retrieval.as_ref().ok_or_else(|| {
        let words = format!(
            "policy `{policy}` has no `retrieval`; name a policy that retrieves by factors"
        );
        Problem::new("nothing_to_learn_from", words)
    })
}

/// Factors that have learned nothing: every item is as good as any other. With them a pack can be applied before there is
/// a history to learn from.
///
/// # Errors
/// `unknown_policy`, `nothing_to_learn_from` for a policy that does not retrieve.
pub fn untrained(plan: &ScenePlan, policy: &str) -> Result<Vec<u8>> {
    let retrieval = planned(plan, policy)?;
    let zeros = |of: &[_]| vec![0.0; of.iter().map(features::width).sum::<usize>()];
    let factors = Factors::new(
        1,
        zeros(&retrieval.customer),
        zeros(&retrieval.item),
        std::iter::empty(),
    )
    .map_err(|e| Problem::internal(format!("making factors failed: {e}")))?;
    Ok(factors.encode())
}
