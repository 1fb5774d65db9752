//! What customers do next, learned from what they did: the training of the kernel's model of sequences
//! ([`luopan_kernel::sequence`]), the simpler models that it must be better than, and the measures by which they are compared.
//!
//! This room must never let a point that is predicted be among those that were learned from: it is given both apart, and never
//! divides them itself.

use luopan_kernel::plan::tag::SEQUENCE_MAX;
use luopan_kernel::random::Random;
use luopan_kernel::sequence::{Error, SequenceModel, Token, Vocabulary, softmax};
use std::collections::HashMap;

/// Longest context of a [`Blend`], in tokens.
pub const ORDER_MAX: usize = 8;
/// Bits of a token within a context.
const TOKEN_BITS: u32 = 7;

/// One moment at which what came next is known.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// Which history.
    pub history: u32,
    /// Tokens of it that had been.
    pub end: u32,
    /// What came next.
    pub class: u8,
    /// How often it was seen, above zero.
    pub weight: f64,
}

/// Histories and moments in them.
#[derive(Debug, Clone, Default)]
pub struct Points {
    /// Tokens, oldest first.
    pub histories: Vec<Vec<Token>>,
    /// Moments.
    pub points: Vec<Point>,
}

impl Points {
    /// What had been at a moment.
    pub fn history(&self, point: &Point) -> &[Token] {
        let history = self.histories.get(point.history as usize);
        history.map_or(&[], |h| &h[..h.len().min(point.end as usize)])
    }

    fn classes(&self) -> usize {
        let most = self.points.iter().map(|p| usize::from(p.class)).max();
        most.map_or(0, |m| m + 1)
    }
}

/// How acts become moments.
#[derive(Debug, Clone, Copy)]
pub struct Reading<'a> {
    /// A pause, microseconds: this long without an act.
    pub pause_us: i64,
    /// The class of each word as the next act; none are words that are read and not predicted.
    pub classes: &'a [Option<u8>],
    /// The class of a pause; without one, pauses are read and not predicted.
    pub leave: Option<u8>,
    /// Until when acts are known: what would come after it is not taken for a pause.
    pub until_us: i64,
}

/// The moments of customers: after every act, what came next. `acts` are each customer's, by time in microseconds and word, in
/// order; `is_wanted` says of a customer (by place), the time of the act and the time at which what came next was known whether
/// that moment is among them.
pub fn points(
    acts: &[Vec<(i64, Token)>],
    reading: &Reading<'_>,
    mut is_wanted: impl FnMut(usize, i64, i64) -> bool,
) -> Points {
    let pause = Vocabulary::new(reading.classes.len()).pause();
    let mut out = Points::default();
    for (customer, acts) in acts.iter().enumerate() {
        let history = out.histories.len() as u32;
        let mut tokens: Vec<Token> = Vec::with_capacity(acts.len());
        let before = out.points.len();
        for (i, (at, word)) in acts.iter().enumerate() {
            tokens.push(*word);
            let next = acts.get(i + 1);
            let over = at.saturating_add(reading.pause_us);
            let paused = next.is_none_or(|n| n.0 >= over);
            let (class, known_at) = match next {
                Some((next_at, word)) if !paused => {
                    let class = reading.classes.get(usize::from(*word));
                    (class.copied().flatten(), *next_at)
                }
                _ => (reading.leave, over),
            };
            if let Some(class) = class
                && known_at <= reading.until_us
                && is_wanted(customer, *at, known_at)
            {
                out.points.push(Point {
                    history,
                    end: tokens.len() as u32,
                    class,
                    weight: 1.0,
                });
            }
            if paused {
                tokens.push(pause);
            }
        }
        if out.points.len() > before {
            out.histories.push(tokens);
        }
    }
    out
}

/// How well a model predicts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Score {
    /// Share of the moments whose class had the largest probability (of equal ones the first).
    pub top_1: f64,
    /// Share of those whose class was among the largest three.
    pub top_3: f64,
    /// Mean of the negative natural logarithm of the class's probability.
    pub log_loss: f64,
    /// Sum of weights.
    pub weight: f64,
}

/// Scores `predict`, which gives the probability of each class after a history, at every point.
pub fn evaluate(points: &Points, mut predict: impl FnMut(&[Token]) -> Vec<f64>) -> Score {
    let (mut top_1, mut top_3, mut loss, mut weight) = (0.0, 0.0, 0.0, 0.0);
    for point in &points.points {
        let p = predict(points.history(point));
        let class = usize::from(point.class);
        let own = p.get(class).copied().unwrap_or(0.0);
        let better = (p.iter().enumerate())
            .filter(|(i, v)| **v > own || (**v == own && *i < class))
            .count();
        top_1 += if better < 1 { point.weight } else { 0.0 };
        top_3 += if better < 3 { point.weight } else { 0.0 };
        loss -= point.weight * own.max(f64::MIN_POSITIVE).ln();
        weight += point.weight;
    }
    Score {
        top_1: top_1 / weight,
        top_3: top_3 / weight,
        log_loss: loss / weight,
        weight,
    }
}

/// Counts after the latest tokens, of every length up to an order, each blended with the shorter one by Witten and Bell (1991,
/// method C). Order 0 is popularity, order 1 a Markov chain.
#[derive(Debug, Clone)]
pub struct Blend {
    order: usize,
    classes: usize,
    /// By length of the context and its tokens: weight a class, its sum, and how many different classes were seen.
    counts: HashMap<(u8, u64), (Vec<f64>, f64, f64)>,
}

/// The latest `length` tokens as a number; none when there are fewer.
fn context(history: &[Token], length: usize) -> Option<(u8, u64)> {
    let from = history.len().checked_sub(length)?;
    let packed = (history[from..].iter()).fold(0, |all: u64, t| all << TOKEN_BITS | u64::from(*t));
    Some((length as u8, packed))
}

impl Blend {
    /// Counts up to `order` ([`ORDER_MAX`] at most) over `classes` classes.
    pub fn fit(points: &Points, classes: usize, order: usize) -> Self {
        let order = order.min(ORDER_MAX);
        let mut counts: HashMap<(u8, u64), (Vec<f64>, f64, f64)> = HashMap::new();
        for point in &points.points {
            let history = points.history(point);
            for length in 0..=order {
                let Some(context) = context(history, length) else {
                    break;
                };
                let new = || (vec![0.0; classes], 0.0, 0.0);
                let (of, all, different) = counts.entry(context).or_insert_with(new);
                if let Some(n) = of.get_mut(usize::from(point.class)) {
                    *different += if *n == 0.0 { 1.0 } else { 0.0 };
                    *n += point.weight;
                    *all += point.weight;
                }
            }
        }
        Self {
            order,
            classes,
            counts,
        }
    }

    /// The probability of each class after a history.
    pub fn predict(&self, history: &[Token]) -> Vec<f64> {
        let mut p = vec![1.0 / self.classes.max(1) as f64; self.classes];
        for length in 0..=self.order {
            let found = context(history, length).and_then(|c| self.counts.get(&c));
            let Some((of, all, different)) = found else {
                break;
            };
            for (p, n) in p.iter_mut().zip(of) {
                *p = (n + different * *p) / (all + different);
            }
        }
        p
    }

    /// Contexts that were counted.
    pub fn contexts(&self) -> usize {
        self.counts.len()
    }
}

/// How a model of sequences is trained.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Training {
    /// Acts of a history that are read, at most [`SEQUENCE_MAX`].
    pub keep: usize,
    /// Times that every point is seen.
    pub epochs: usize,
    /// Step of AdaGrad (Duchi, Hazan and Singer 2011).
    pub step: f64,
    /// Weight of the sum of squares, a point.
    pub decay: f64,
    /// Seed of the order in which points are seen.
    pub seed: u64,
}

impl Default for Training {
    fn default() -> Self {
        Self {
            keep: SEQUENCE_MAX,
            epochs: 4,
            step: 0.1,
            decay: 1e-6,
            seed: 1,
        }
    }
}

/// Trains the kernel's model. The same points, names and settings give the same model.
///
/// # Errors
/// Those of [`SequenceModel::new`].
pub fn train(
    points: &Points,
    words: Vec<String>,
    classes: Vec<String>,
    training: &Training,
) -> Result<SequenceModel, Error> {
    let vocabulary = Vocabulary::new(words.len());
    let n = classes.len().max(points.classes());
    let mut weights = vec![0.0f64; vocabulary.features() * n];
    let mut squares = vec![1e-8f64; weights.len()];
    let mut order: Vec<u32> = (0..points.points.len() as u32).collect();
    let mut random = Random::new(training.seed);
    let mut features = Vec::new();
    let mut p = vec![0.0; n];
    for _ in 0..training.epochs {
        // Fisher and Yates, by a generator of the caller's seed.
        for i in (1..order.len()).rev() {
            order.swap(i, (random.bits() % (i as u64 + 1)) as usize);
        }
        for at in &order {
            let point = &points.points[*at as usize];
            let history = vocabulary.latest(points.history(point), training.keep);
            vocabulary.encode(history, &mut features);
            p.fill(0.0);
            for (place, value) in &features {
                let row = &weights[*place as usize * n..][..n];
                p.iter_mut().zip(row).for_each(|(s, w)| *s += value * w);
            }
            softmax(&mut p);
            if let Some(own) = p.get_mut(usize::from(point.class)) {
                *own -= 1.0;
            }
            for (place, value) in &features {
                let from = *place as usize * n;
                let rows = (weights[from..from + n].iter_mut()).zip(&mut squares[from..from + n]);
                for ((w, square), error) in rows.zip(&p) {
                    let slope = point.weight * (error * value + training.decay * *w);
                    *square += slope * slope;
                    *w -= training.step * slope / square.sqrt();
                }
            }
        }
    }
    let weights = weights.iter().map(|w| *w as f32).collect();
    SequenceModel::new(words, classes, weights)
}
