//! A model of what customers do next, trained from what they did: moments of two thirds of the customers, before two thirds of the
//! acts, teach what is evaluated on later moments of the others; then, unless it is not wanted, all of them teach once more.

use crate::problem::{Problem, Result};
use luopan_engine::acts::ActsRead;
use luopan_kernel::id::hash64;
use luopan_kernel::sequence::{SequenceModel, Token};
use luopan_learning::intention::{
    Blend, Points, Reading, Score, Training, evaluate, points, train,
};
use serde::Serialize;

/// Fewest moments on either side.
pub const MOMENTS_MIN: usize = 100;
/// Most times that every moment is seen.
pub const EPOCHS_MAX: usize = 100;
/// The class of a pause.
pub const LEAVE: &str = "leave";

/// How a model is trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Times that every moment is seen, 1 to [`EPOCHS_MAX`].
    pub epochs: usize,
    /// Seed of the order in which moments are seen.
    pub seed: u64,
    /// All moments teach the model that is written.
    pub refit: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            epochs: Training::default().epochs,
            seed: Training::default().seed,
            refit: true,
        }
    }
}

impl Settings {
    /// Looks whether the settings are within bounds.
    ///
    /// # Errors
    /// `out_of_range`.
    pub fn check(&self) -> Result<()> {
        if (1..=EPOCHS_MAX).contains(&self.epochs) {
            return Ok(());
        }
        let found = format!("--epochs is {}; write 1 to {EPOCHS_MAX}", self.epochs);
        Err(Problem::new("out_of_range", found))
    }
}

/// How well something predicts.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Shares {
    /// Share of moments whose next act had the largest probability.
    pub top_1: f64,
    /// Share of moments whose next act was among the largest three.
    pub top_3: f64,
    /// Mean of the negative natural logarithm of the next act's probability.
    pub log_loss: f64,
}

impl From<Score> for Shares {
    fn from(s: Score) -> Self {
        Self {
            top_1: s.top_1,
            top_3: s.top_3,
            log_loss: s.log_loss,
        }
    }
}

/// What training came to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// What is predicted.
    pub classes: Vec<String>,
    /// Customers of whom there are acts.
    pub customers: usize,
    /// Their acts.
    pub acts: usize,
    /// Entries of the log that were read.
    pub entries: u64,
    /// Moments that the evaluated model learned from.
    pub learned: usize,
    /// Later moments of other customers.
    pub kept: usize,
    /// The model on these.
    pub model: Shares,
    /// A first-order Markov chain on these.
    pub markov: Shares,
    /// Popularity on these.
    pub popularity: Shares,
    /// True when all moments taught the model that was written.
    pub refitted: bool,
}

/// Trains a model from what the log tells and says how well it predicts; the first is its stored form.
///
/// # Errors
/// `too_little_to_learn_from`; `not_one_of` when a word of the sequence has the name of the class of a pause.
pub fn intention(read: &ActsRead, settings: &Settings) -> Result<(Vec<u8>, Report)> {
    let mut classes = read.words.clone();
    let leave = read.pause_us.is_some().then_some(classes.len() as u8);
    if leave.is_some() {
        if classes.iter().any(|w| w == LEAVE) {
            let found = format!(
                "a word of the sequence is called `{LEAVE}`, which is what a pause is called; give the word another name"
            );
            return Err(Problem::new("not_one_of", found));
        }
        classes.push(LEAVE.to_owned());
    }
    let by_word: Vec<Option<u8>> = (0..read.words.len()).map(|i| Some(i as u8)).collect();
    let reading = Reading {
        pause_us: read.pause_us.unwrap_or(i64::MAX),
        classes: &by_word,
        leave,
        until_us: read.until.0,
    };
    let acts: Vec<Vec<(i64, Token)>> = (read.acts.iter())
        .map(|acts| acts.iter().map(|(at, word)| (at.0, *word)).collect())
        .collect();
    let mut times: Vec<i64> = acts.iter().flatten().map(|(at, _)| *at).collect();
    times.sort_unstable();
    let border = times.get(times.len() / 3 * 2).copied().unwrap_or(0);
    // By place: customers stand in the order of their ids, which are drawn.
    let is_kept = |customer: usize| hash64(&(customer as u64).to_le_bytes()).is_multiple_of(3);
    let learned = points(&acts, &reading, |c, _, known| !is_kept(c) && known < border);
    let kept = points(&acts, &reading, |c, at, _| is_kept(c) && at >= border);
    let few = learned.points.len().min(kept.points.len());
    if few < MOMENTS_MIN {
        let found = format!(
            "the log tells of {} acts of {} customers: {} moments to learn from and {} later ones of others, and {MOMENTS_MIN} of each are \
             needed; import more history, or name what is done in more words",
            times.len(),
            acts.len(),
            learned.points.len(),
            kept.points.len()
        );
        return Err(Problem::new("too_little_to_learn_from", found));
    }
    let trained = |points: &Points| -> Result<SequenceModel> {
        let training = Training {
            keep: usize::from(read.keep),
            epochs: settings.epochs,
            seed: settings.seed,
            ..Training::default()
        };
        train(points, read.words.clone(), classes.clone(), &training)
            .map_err(|e| Problem::internal(format!("training failed: {e}")))
    };
    let blend = |order: usize| -> Shares {
        let model = Blend::fit(&learned, classes.len(), order);
        evaluate(&kept, |h| model.predict(h)).into()
    };
    let mut model = trained(&learned)?;
    let report = Report {
        customers: acts.len(),
        acts: times.len(),
        entries: read.entries,
        learned: learned.points.len(),
        kept: kept.points.len(),
        model: evaluate(&kept, |h| model.predict(h)).into(),
        markov: blend(1),
        popularity: blend(0),
        refitted: settings.refit,
        classes: classes.clone(),
    };
    if settings.refit {
        model = trained(&points(&acts, &reading, |_, _, _| true))?;
    }
    Ok((model.encode(), report))
}
