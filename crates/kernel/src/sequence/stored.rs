//! The stored form of a model: a format byte, words, classes, weights. This room must never panic on any bytes, nor allocate more
//! than they could hold.

use super::{CLASSES_MAX, SEQUENCE_FORMAT, SequenceModel, Vocabulary};
use crate::codec::{Reader, Result, Writer};
use crate::plan::tag::SEQUENCE_WORDS_MAX;

impl SequenceModel {
    /// The stored form, the same bytes for the same model.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::with_format(SEQUENCE_FORMAT);
        for names in [&self.words, &self.classes] {
            w.uint(names.len() as u64);
            names.iter().for_each(|name| w.str(name));
        }
        for weight in &self.weights {
            w.raw(&weight.to_le_bytes());
        }
        w.into_bytes()
    }

    /// Reads a stored model.
    ///
    /// # Errors
    /// [`crate::codec::Error`]: a newer format, bytes that end early or are left over, or that say what no model may.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let mut r = Reader::new(bytes);
        r.format("model of sequences", SEQUENCE_FORMAT)?;
        let mut names = |most: usize| {
            let n = r.count(2)?;
            if n == 0 || n > most {
                return Err(r.malformed("words and classes of a model of sequences"));
            }
            (0..n)
                .map(|_| Ok(r.str()?.to_owned()))
                .collect::<Result<Vec<String>>>()
        };
        let words = names(SEQUENCE_WORDS_MAX)?;
        let classes = names(CLASSES_MAX)?;
        let n = Vocabulary::new(words.len()).features() * classes.len();
        let raw = r.raw(4 * n)?;
        let weights = (raw.chunks_exact(4))
            .map(|c| c.try_into().map_or(0.0, f32::from_le_bytes))
            .collect();
        let model = Self::new(words, classes, weights)
            .map_err(|_| r.malformed("plain names, each once, and finite weights"))?;
        r.done()?;
        Ok(model)
    }
}

#[cfg(test)]
mod tests {
    use super::super::*;
    use proptest::prelude::*;

    fn model(words: usize, classes: usize, seed: u64) -> SequenceModel {
        let mut random = crate::random::Random::new(seed);
        let n = Vocabulary::new(words).features() * classes;
        let names = |what: &str, n: usize| (0..n).map(|i| format!("{what}{i}")).collect();
        let weights = (0..n).map(|_| (random.normal() * 3.0) as f32).collect();
        SequenceModel::new(names("w", words), names("c", classes), weights).unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn probabilities_sum_to_one_and_come_of_the_latest_acts(
            words in 1usize..=32, classes in 1usize..20, seed: u64,
            history in proptest::collection::vec(0u8..40, 0..90),
        ) {
            let m = model(words, classes, seed);
            let p = m.predict(&history);
            prop_assert_eq!(p.len(), classes);
            prop_assert!((p.iter().sum::<f64>() - 1.0).abs() < 1e-9);
            prop_assert!(p.iter().all(|p| (0.0..=1.0).contains(p)));
            // Features stand in order, each once and within bounds.
            let vocabulary = Vocabulary::new(words);
            let mut features = Vec::new();
            let latest = vocabulary.latest(&history, 32);
            vocabulary.encode(latest, &mut features);
            prop_assert!(features.windows(2).all(|w| w[0].0 < w[1].0));
            prop_assert!(features.iter().all(|(i, v)| (*i as usize) < vocabulary.features() && *v > 0.0));
            // What is older than the acts that are kept changes nothing.
            let known: Vec<u8> = history.iter().copied().filter(|t| *t <= vocabulary.pause()).collect();
            let mut older = vec![0u8; 7];
            older.extend(vocabulary.latest(&known, 32));
            if known.iter().filter(|t| **t != vocabulary.pause()).count() >= 32 {
                prop_assert_eq!(m.predict(&older), m.predict(&known));
            }
            // The text of a sequence says the same.
            let text: Vec<String> = known.iter().map(|t| match *t == vocabulary.pause() {
                true => PAUSE.to_owned(),
                false => format!("w{t}"),
            }).collect();
            prop_assert_eq!(m.predict_text(&text.join(" ")), m.predict(&known));
        }

        #[test]
        fn stored_models_are_read_as_written_and_damage_is_refused_or_read(
            words in 1usize..9, classes in 1usize..5, seed: u64, place: prop::sample::Index, value: u8
        ) {
            let m = model(words, classes, seed);
            let bytes = m.encode();
            prop_assert_eq!(&SequenceModel::decode(&bytes).unwrap(), &m);
            prop_assert!(SequenceModel::decode(&bytes[..place.index(bytes.len())]).is_err());
            let mut damaged = bytes.clone();
            damaged[place.index(bytes.len())] = value;
            if let Ok(read) = SequenceModel::decode(&damaged) {
                prop_assert_eq!(read.encode(), damaged);
                let _ = read.predict(&[0, 1, 2]);
            }
        }
    }

    #[test]
    fn a_newer_format_is_refused_by_name() {
        let mut bytes = model(2, 2, 1).encode();
        bytes[0] = 2;
        let said = SequenceModel::decode(&bytes).unwrap_err().to_string();
        assert!(
            said.contains("format 2") && said.contains("up to 1"),
            "{said}"
        );
    }

    #[test]
    fn names_and_weights_that_make_no_model_are_refused() {
        let weights = |n: usize| vec![0.0; Vocabulary::new(n).features() * 2];
        let names = |all: &[&str]| all.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        let two = names(&["yes", "no"]);
        let refused = |words: &[&str], weights: Vec<f32>| {
            SequenceModel::new(names(words), two.clone(), weights).unwrap_err()
        };
        assert_eq!(refused(&["|"], weights(1)), Error::Name("|".into()));
        assert_eq!(refused(&["a", "a"], weights(2)), Error::Name("a".into()));
        assert!(matches!(refused(&[], weights(0)), Error::Number { .. }));
        assert!(matches!(
            refused(&["a"], vec![0.0; 3]),
            Error::Weights { .. }
        ));
        let mut bad = weights(1);
        bad[3] = f32::NAN;
        assert_eq!(refused(&["a"], bad), Error::NotFinite(3));
        SequenceModel::new(names(&["a"]), two.clone(), weights(1)).unwrap();
    }
}
