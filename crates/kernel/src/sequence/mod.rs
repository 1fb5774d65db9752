//! What a customer will do next, predicted from her latest acts: a multinomial logistic model over features of the history (the
//! last two words and their pair, how far into the visit she is, discounted shares of each word, what was done in this visit). The
//! features are made here for training and for serving alike, so there is no skew between the two.
//!
//! A model is immutable and pure: it reads words and nothing else. The room must never give a distribution that does not sum to
//! one, nor read an input of other words than the model was trained with.

mod stored;

use crate::plan::tag::{PAUSE, SEQUENCE_MAX, SEQUENCE_WORDS_MAX};

/// Format of stored models.
pub const SEQUENCE_FORMAT: u8 = 1;
/// Most classes of a model.
pub const CLASSES_MAX: usize = 64;
/// By how much an act counts less than the one after it, in each of the discounted shares.
pub const DISCOUNTS: [f64; 3] = [1.0, 0.9, 0.7];
/// Added to what a share is of, so that few acts say little.
const FEW: f64 = 1.0;
/// Bounds between numbers of acts since the last pause.
const DEPTHS: [usize; 7] = [1, 2, 3, 4, 6, 9, 14];
/// Bounds between numbers of acts in all.
const LENGTHS: [usize; 5] = [1, 4, 8, 16, 32];

/// One token of a history: the number of a word, [`Vocabulary::pause`].
pub type Token = u8;

/// How many words a model knows; what else there is follows from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vocabulary {
    words: usize,
}

impl Vocabulary {
    /// Of so many words, at most [`SEQUENCE_WORDS_MAX`].
    pub fn new(words: usize) -> Self {
        Self {
            words: words.min(SEQUENCE_WORDS_MAX),
        }
    }

    /// Number of words.
    pub fn words(self) -> usize {
        self.words
    }

    /// The token of a pause.
    pub fn pause(self) -> Token {
        self.words as Token
    }

    /// Words, the pause, and the beginning of all.
    fn tokens(self) -> usize {
        self.words + 2
    }

    /// Number of features.
    pub fn features(self) -> usize {
        let tokens = self.tokens();
        1 + tokens
            + tokens * tokens
            + DEPTHS.len()
            + 1
            + LENGTHS.len()
            + 1
            + (DISCOUNTS.len() + 1) * self.words
    }

    /// The latest tokens that a prediction reads: at most `keep` acts, with the pauses between and behind them.
    pub fn latest(self, tokens: &[Token], keep: usize) -> &[Token] {
        let mut acts = 0;
        let mut from = tokens.len();
        for (i, token) in tokens.iter().enumerate().rev() {
            if *token != self.pause() {
                if acts == keep {
                    break;
                }
                acts += 1;
                from = i;
            }
        }
        tokens.get(from..).unwrap_or(&[])
    }

    /// Encodes a history, oldest first, into `out`: places and values of the features that are not zero, ascending. The history
    /// begins with an act and holds at most [`SEQUENCE_MAX`] of them; tokens that are none are passed over.
    pub fn encode(self, history: &[Token], out: &mut Vec<(u32, f64)>) {
        out.clear();
        let words = self.words;
        let (pause, beginning) = (words, words + 1);
        let known = history.iter().map(|t| usize::from(*t));
        let known: Vec<usize> = known.filter(|t| *t <= pause).collect();
        let mut at = 0;
        let mut place = |width: usize, i: usize, value: f64| {
            if i < width {
                out.push(((at + i) as u32, value));
            }
            at += width;
        };
        let last = known.last().copied().unwrap_or(beginning);
        let before = known.len().checked_sub(2).map_or(beginning, |i| known[i]);
        place(1, 0, 1.0);
        place(self.tokens(), last, 1.0);
        place(
            self.tokens() * self.tokens(),
            before * self.tokens() + last,
            1.0,
        );
        let visit = known.iter().rev().take_while(|t| **t != pause).count();
        place(
            DEPTHS.len() + 1,
            DEPTHS.partition_point(|d| *d <= visit),
            1.0,
        );
        let acts = known.iter().filter(|t| **t != pause).count();
        place(
            LENGTHS.len() + 1,
            LENGTHS.partition_point(|d| *d <= acts),
            1.0,
        );
        for discount in DISCOUNTS {
            let mut counts = [0.0; SEQUENCE_WORDS_MAX];
            let (mut weight, mut all) = (1.0, 0.0);
            for token in known.iter().rev().filter(|t| **t != pause) {
                counts[*token] += weight;
                all += weight;
                weight *= discount;
            }
            for (word, count) in counts.iter().enumerate().take(words) {
                if *count > 0.0 {
                    out.push(((at + word) as u32, count / (all + FEW)));
                }
            }
            at += words;
        }
        let mut done = [false; SEQUENCE_WORDS_MAX];
        for token in known.iter().rev().take_while(|t| **t != pause) {
            done[*token] = true;
        }
        for (word, _) in done.iter().enumerate().take(words).filter(|(_, d)| **d) {
            out.push(((at + word) as u32, 1.0));
        }
    }
}

/// A trained model.
#[derive(Debug, Clone, PartialEq)]
pub struct SequenceModel {
    words: Vec<String>,
    classes: Vec<String>,
    /// Feature by feature, one weight a class.
    weights: Vec<f32>,
}

/// Why no model can be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Words or classes.
    #[error("{found} {what}; give 1 to {most}")]
    Number {
        /// Of what.
        what: &'static str,
        /// Given.
        found: usize,
        /// Most.
        most: usize,
    },
    /// A name is empty, too long, given twice, or the mark of a pause.
    #[error("`{0}` is no name of a word or class: 1 to 32 letters, digits and `_`, each name once")]
    Name(String),
    /// Another number of weights than there are features and classes.
    #[error("{found} weights, and {wanted} are needed")]
    Weights {
        /// Needed.
        wanted: usize,
        /// Given.
        found: usize,
    },
    /// A weight is not finite.
    #[error("weight {0} is not finite")]
    NotFinite(usize),
}

fn check(what: &'static str, names: &[String], most: usize) -> Result<(), Error> {
    if names.is_empty() || names.len() > most {
        return Err(Error::Number {
            what,
            found: names.len(),
            most,
        });
    }
    for (i, name) in names.iter().enumerate() {
        let is_plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        let fits = (1..=crate::plan::tag::SEQUENCE_WORD_BYTES_MAX).contains(&name.len());
        if !fits || !name.bytes().all(is_plain) || names[..i].contains(name) {
            return Err(Error::Name(name.clone()));
        }
    }
    Ok(())
}

impl SequenceModel {
    /// A model of these words and classes. `weights` are by feature ([`Vocabulary::encode`]), one a class.
    ///
    /// # Errors
    /// [`Error`].
    pub fn new(words: Vec<String>, classes: Vec<String>, weights: Vec<f32>) -> Result<Self, Error> {
        check("words", &words, SEQUENCE_WORDS_MAX)?;
        check("classes", &classes, CLASSES_MAX)?;
        let wanted = Vocabulary::new(words.len()).features() * classes.len();
        if weights.len() != wanted {
            return Err(Error::Weights {
                wanted,
                found: weights.len(),
            });
        }
        if let Some(i) = weights.iter().position(|w| !w.is_finite()) {
            return Err(Error::NotFinite(i));
        }
        Ok(Self {
            words,
            classes,
            weights,
        })
    }

    /// The words of histories, by token.
    pub fn words(&self) -> &[String] {
        &self.words
    }

    /// What is predicted.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// The probability of each class after a history of tokens.
    pub fn predict(&self, history: &[Token]) -> Vec<f64> {
        let vocabulary = Vocabulary::new(self.words.len());
        let mut features = Vec::new();
        vocabulary.encode(vocabulary.latest(history, SEQUENCE_MAX), &mut features);
        let classes = self.classes.len();
        let mut scores = vec![0.0; classes];
        for (place, value) in features {
            let row = &self.weights[place as usize * classes..][..classes];
            for (score, weight) in scores.iter_mut().zip(row) {
                *score += value * f64::from(*weight);
            }
        }
        softmax(&mut scores);
        scores
    }

    /// The same, after a history as the text of a sequence tells it ([`crate::plan::Aggregate::Sequence`]). Words that the model
    /// does not know are passed over.
    pub fn predict_text(&self, text: &str) -> Vec<f64> {
        let pause = Vocabulary::new(self.words.len()).pause();
        let token = |word: &str| match word {
            PAUSE => Some(pause),
            word => (self.words.iter().position(|w| w == word)).map(|i| i as Token),
        };
        let history: Vec<Token> = text.split(' ').filter_map(token).collect();
        self.predict(&history)
    }
}

/// Scores made probabilities, in place. What is not finite counts as very large or very small.
pub fn softmax(scores: &mut [f64]) {
    let most = scores.iter().copied().fold(f64::MIN, f64::max);
    let mut sum = 0.0;
    for score in scores.iter_mut() {
        *score = libm::exp((*score - most).max(-745.0));
        sum += *score;
    }
    scores.iter_mut().for_each(|s| *s /= sum);
}
