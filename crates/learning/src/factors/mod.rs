//! Training of [`Factors`] from what customers chose: a vector for each feature of the customer, each feature of an item and
//! each item, and a bias for each item, so that the inner product says how likely the item is chosen next.
//!
//! The likelihood of an example is the softmax over all items given what was known of the customer. It is maximised by mini-batch
//! AdaGrad (Duchi, Hazan and Singer 2011) over a sample of items shared by a batch, each corrected for how likely it was drawn
//! (Bengio and Senecal 2008; Yi et al. 2019, "Sampling-bias-corrected neural modeling for large corpus item
//! recommendations"). Biases begin at the logarithm of popularity, which is what is then corrected. Vectors are sums over features as in Kula 2015, which is what the kernel retrieves by.
//!
//! Examples are divided by time: the model learns from the earlier ones, the next ones say when to stop, and the last
//! ones, which nothing has seen, are what is reported, beside popularity. Then it may learn once more from all of them, for as many
//! epochs. One thread; the same input and seed give the same bytes on machines of one kind (the matrix product uses the
//! widest instructions that there are).
//!
//! This room must never let an example of after the split change what is evaluated.

mod data;
mod evaluate;
mod model;

pub use data::{Examples, Items, Sparse};
pub use evaluate::Figures;

use luopan_kernel::factors::{FACTOR_DIMENSION_MAX, FACTOR_MAX, Factors, ItemFactors};
use luopan_kernel::random::Random;
use model::Model;

/// Fewest examples that are learned from.
pub const EXAMPLES_MIN: usize = 100;
/// Most examples.
pub const EXAMPLES_MAX: usize = 20_000_000;
/// Fewest customers whose examples are learned from.
pub const CUSTOMERS_MIN: usize = 10;
/// Most items.
pub const ITEMS_MAX: usize = 1_000_000;
/// Most positions of the customer's features, and of an item's.
pub const POSITIONS_MAX: usize = 65_536;
/// Most epochs.
pub const EPOCHS_MAX: usize = 200;
/// Most items that are drawn for a batch.
pub const NEGATIVES_MAX: usize = 16_384;
/// Items of a ranking that recall is taken of.
pub const RECALL_AT: usize = 50;
/// Items of a ranking that NDCG is taken of.
pub const NDCG_AT: usize = 10;
/// Most held-out examples that are ranked: evenly spread ones are.
pub const RANKED_MAX: usize = 4_000;

/// How factors are trained.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// Numbers of a vector, 1 to [`FACTOR_DIMENSION_MAX`].
    pub dimension: usize,
    /// Most passes over the examples, 1 to [`EPOCHS_MAX`].
    pub epochs: usize,
    /// Passes without a better loss after which it stops, from 1.
    pub patience: usize,
    /// Length of a step, above zero.
    pub learning_rate: f64,
    /// Penalty on squares, zero or more.
    pub l2: f64,
    /// Items drawn for a batch, 1 to [`NEGATIVES_MAX`]; where there are no more items than these, all are taken.
    pub negatives: usize,
    /// True to learn once more from all examples, the held-out ones too, for as many epochs as were best.
    pub refit: bool,
    /// Seed of everything that is drawn.
    pub seed: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            dimension: 32,
            epochs: 20,
            patience: 2,
            learning_rate: 0.03,
            l2: 1e-3,
            negatives: 512,
            refit: true,
            seed: 1,
        }
    }
}

/// Why nothing was trained.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// A number out of its range.
    #[error("{what} is {found}; write {least} to {most}")]
    Range {
        /// Which.
        what: &'static str,
        /// Found.
        found: String,
        /// Least.
        least: String,
        /// Most.
        most: String,
    },
    /// Too few examples or customers.
    #[error("{found} {what}: at least {least} are learned from")]
    Few {
        /// Of what.
        what: &'static str,
        /// Found.
        found: usize,
        /// Least.
        least: usize,
    },
    /// The examples cannot be divided by time.
    #[error(
        "of {examples} examples {before} come before the last tenth of time's order: examples must be of different times"
    )]
    OneMoment {
        /// Examples.
        examples: usize,
        /// Earlier ones.
        before: usize,
    },
    /// An example names what is not there, or holds a number that is none.
    #[error("example {example}: {why}")]
    Example {
        /// Its index.
        example: usize,
        /// What is wrong.
        why: &'static str,
    },
    /// Items are not ascending by key, or name positions that are not there.
    #[error("item {item}: {why}")]
    Item {
        /// Its index.
        item: usize,
        /// What is wrong.
        why: &'static str,
    },
}

/// What training came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// Examples given.
    pub examples: usize,
    /// Their customers.
    pub customers: usize,
    /// Items with an example, of all items given.
    pub items_chosen: usize,
    /// Items given.
    pub items: usize,
    /// Examples that were learned from before the evaluation.
    pub trained: usize,
    /// Later ones that said when to stop.
    pub watched: usize,
    /// The last ones, of the heaviest kind of event, that are reported on.
    pub held_out: usize,
    /// Of these, how many were ranked.
    pub ranked: usize,
    /// Times at which the watched and the held-out examples begin, microseconds since 1970.
    pub split_at: (i64, i64),
    /// Epochs run.
    pub epochs: usize,
    /// The best of them, from 1.
    pub best_epoch: usize,
    /// Mean negative log-likelihood of the examples learned from, by epoch (over drawn items).
    pub losses: Vec<f64>,
    /// Of the watched ones, over all items, by epoch.
    pub watched_losses: Vec<f64>,
    /// Of the trained factors, on the held-out examples.
    pub figures: Figures,
    /// Of popularity, on the same.
    pub popularity: Figures,
    /// True when the factors learned from all examples afterwards.
    pub refitted: bool,
}

/// Trains factors from examples.
///
/// # Errors
/// [`Error`], for what cannot be learned from.
pub fn train(
    items: &Items,
    examples: &Examples,
    settings: &Settings,
) -> Result<(Factors, Report), Error> {
    check(items, examples, settings)?;
    let split = data::Split::new(examples)?;
    let mut random = Random::new(settings.seed);
    let target = split.heaviest(examples);
    let watched = evaluate::spread(&split.watched, RANKED_MAX / 2);
    let mut model = Model::new(items, examples, settings, &split.trained, &mut random);
    let mut best: Option<(f64, usize, Model)> = None;
    let (mut losses, mut watched_losses) = (Vec::new(), Vec::new());
    for epoch in 1..=settings.epochs {
        losses.push(model.epoch(items, examples, &split.trained, &mut random));
        let loss = evaluate::loss(&model, items, examples, &watched);
        watched_losses.push(loss);
        match &best {
            Some((least, at, _)) if loss >= *least => {
                if epoch - at >= settings.patience {
                    break;
                }
            }
            _ => best = Some((loss, epoch, model.clone())),
        }
    }
    let (best_epoch, mut model) = match best {
        Some((_, epoch, model)) => (epoch, model),
        None => (settings.epochs, model),
    };
    let held_out: Vec<u32> = (split.held_out.iter().copied())
        .filter(|e| target.contains(&examples.sources[*e as usize]))
        .collect();
    let ranked = evaluate::spread(&held_out, RANKED_MAX);
    let figures = evaluate::figures(&model, items, examples, &ranked);
    let popularity = evaluate::popularity(items, examples, &split.trained, &target, &ranked);
    if settings.refit {
        let all: Vec<u32> = split.all().collect();
        let mut random = Random::new(settings.seed);
        model = Model::new(items, examples, settings, &all, &mut random);
        for _ in 0..best_epoch {
            model.epoch(items, examples, &all, &mut random);
        }
    }
    let mut chosen = vec![false; items.len()];
    (examples.items.iter()).for_each(|i| chosen[*i as usize] = true);
    let report = Report {
        examples: examples.len(),
        customers: examples.customers(),
        items_chosen: chosen.iter().filter(|c| **c).count(),
        items: items.len(),
        trained: split.trained.len(),
        watched: split.watched.len(),
        held_out: held_out.len(),
        ranked: ranked.len(),
        split_at: split.at,
        epochs: losses.len(),
        best_epoch,
        losses,
        watched_losses,
        figures,
        popularity,
        refitted: settings.refit,
    };
    Ok((finished(&model, items), report))
}

/// The factors as they are stored. Scores of all items may be raised alike, so biases are written as what they are above the
/// median: an item that comes later, without a bias of its own, is taken for one like most.
fn finished(model: &Model, items: &Items) -> Factors {
    let mut sorted = model.bias.values.clone();
    sorted.sort_by(f32::total_cmp);
    let median = sorted.get(sorted.len() / 2).copied().unwrap_or(0.0);
    let held = |v: f32| {
        if v.is_finite() {
            v.clamp(-FACTOR_MAX, FACTOR_MAX)
        } else {
            0.0
        }
    };
    let all = |values: &[f32]| values.iter().map(|v| held(*v)).collect::<Vec<f32>>();
    let of = (items.keys.iter().enumerate()).map(|(i, key)| ItemFactors {
        key: key.clone(),
        vector: all(model.own.row(i)),
        bias: held(model.bias.values[i] - median),
    });
    let built = Factors::new(
        model.dimension,
        all(&model.customer.values),
        all(&model.attributes.values),
        of,
    );
    match built {
        Ok(factors) => factors,
        Err(e) => unreachable!("checked sizes, bounded numbers, ascending keys: {e}"),
    }
}

fn check(items: &Items, examples: &Examples, settings: &Settings) -> Result<(), Error> {
    let within = |what, found: usize, least: usize, most: usize| {
        if (least..=most).contains(&found) {
            Ok(())
        } else {
            Err(Error::Range {
                what,
                found: found.to_string(),
                least: least.to_string(),
                most: most.to_string(),
            })
        }
    };
    within("dimension", settings.dimension, 1, FACTOR_DIMENSION_MAX)?;
    within("epochs", settings.epochs, 1, EPOCHS_MAX)?;
    within("patience", settings.patience, 1, EPOCHS_MAX)?;
    within("negatives", settings.negatives, 1, NEGATIVES_MAX)?;
    for (what, found, least) in [
        ("learning rate", settings.learning_rate, 1e-6),
        ("l2", settings.l2, 0.0),
    ] {
        if !(least..=10.0).contains(&found) {
            return Err(Error::Range {
                what,
                found: found.to_string(),
                least: least.to_string(),
                most: "10".to_owned(),
            });
        }
    }
    within("number of items", items.len(), 1, ITEMS_MAX)?;
    let least = usize::from(examples.positions > 0);
    within(
        "number of positions of the customer",
        examples.positions,
        1.max(least),
        POSITIONS_MAX,
    )?;
    within(
        "number of positions of the item",
        items.positions,
        0,
        POSITIONS_MAX,
    )?;
    for (what, found, least) in [
        ("examples", examples.len(), EXAMPLES_MIN),
        ("customers", examples.customers(), CUSTOMERS_MIN),
    ] {
        if found < least {
            return Err(Error::Few { what, found, least });
        }
    }
    within(
        "number of examples",
        examples.len(),
        EXAMPLES_MIN,
        EXAMPLES_MAX,
    )?;
    items.check()?;
    examples.check(items.len())
}
