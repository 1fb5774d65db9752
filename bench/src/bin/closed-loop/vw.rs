//! Vowpal Wabbit as a process that is asked and answered line by line. It sees the features that the engine folded, what the scene permits,
//! and the price that the scene's policies pay; what it chooses is imposed on the engine. This room must never tell it a chance.

use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use luopan_bench::Fault;

use super::drive::Row;
use super::scene::{key, product_of};

pub(crate) const PACKAGES: [&str; 2] = ["vowpalwabbit==9.11.9", "numpy==2.4.6"];
pub(crate) const NAME: &str = "vowpalwabbit 9.11.9";

/// How it is run.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Arguments beside `--cb_adf --cb_type mtr`.
    pub(crate) how: String,
    pub(crate) explorer: String,
    /// Of the explorer.
    pub(crate) setting: String,
}

impl Settings {
    /// What was best of those that were tried on seed 2; `LUOPAN_CLOSED_LOOP_VW` names others, as `epsilon 0.01 -q ui -l 0.5`.
    pub(crate) fn chosen() -> Result<Self, Fault> {
        let usual = "squarecb 1000 -q ui --shifted -l 2".to_owned();
        let words = std::env::var("LUOPAN_CLOSED_LOOP_VW").unwrap_or(usual);
        let mut parts = words.splitn(3, ' ').map(str::to_owned);
        let mut part = || parts.next().ok_or("an explorer, a setting and arguments");
        Ok(Self {
            explorer: part()?,
            setting: part()?,
            how: part()?,
        })
    }
}

/// What it is told when it is asked about a customer.
pub(crate) struct Told {
    pub(crate) customer: u32,
    pub(crate) permitted: Vec<usize>,
    pub(crate) features: Vec<f64>,
    /// Of customer and product, by product.
    pub(crate) pairs: Vec<Vec<f64>>,
}

/// What it says then.
pub(crate) struct Choice {
    /// A product, with its probability; none for silence.
    pub(crate) chosen: Option<(usize, f64)>,
    /// What it predicts of the best product.
    pub(crate) best: f64,
}

pub(crate) struct Peer {
    child: Child,
    input: BufWriter<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Peer {
    pub(crate) fn start(python: &Path, settings: &Settings, seed: u64) -> Result<Self, Fault> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/peers/closed_loop.py");
        let mut child = Command::new(python)
            .arg(script)
            .args([&settings.how, &settings.explorer, &settings.setting])
            .arg(seed.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let input = child.stdin.take().ok_or("no standard input")?;
        let output = child.stdout.take().ok_or("no standard output")?;
        Ok(Self {
            child,
            input: BufWriter::new(input),
            output: BufReader::new(output),
        })
    }

    /// What to offer customers of whom the permitted products and features are told, and with which probability; none for silence. With it what the best is predicted to be worth.
    pub(crate) fn decide(
        &mut self,
        day: i64,
        price: f64,
        asked: &[Told],
    ) -> Result<Vec<Choice>, Fault> {
        for told in asked {
            write!(self.input, "d {}.{day} {price} ", told.customer)?;
            self.known(&told.permitted, &told.features, &told.pairs)?;
        }
        self.input.write_all(b"go\n")?;
        self.input.flush()?;
        let mut out = Vec::with_capacity(asked.len());
        for _ in asked {
            let mut line = String::new();
            if self.output.read_line(&mut line)? == 0 {
                return Err(format!("{NAME} ended: {:?}", self.child.try_wait()?).into());
            }
            let words: Vec<&str> = line.split_whitespace().collect();
            let [word, probability, best] = words[..] else {
                return Err("no answer of three words".into());
            };
            let probability: f64 = probability.parse()?;
            out.push(Choice {
                chosen: match word {
                    "-" => None,
                    word => Some((product_of(word).ok_or("an unknown product")?, probability)),
                },
                best: best.parse()?,
            });
        }
        Ok(out)
    }

    /// Tells it what came of an offer, its own or, with what was known then, one of the first days.
    pub(crate) fn learn(&mut self, row: &Row, is_answered: bool) -> Result<(), Fault> {
        let (customer, day) = (row.customer, row.day);
        if !row.features.is_empty() {
            let product = row.chosen.map(key).ok_or("silence has no answer")?;
            let probability = row.propensity;
            write!(self.input, "n {customer}.{day} {product} {probability} ")?;
            self.known(&row.permitted, &row.features, &row.known.pairs)?;
        }
        let reward = u8::from(is_answered);
        Ok(writeln!(self.input, "l {customer}.{day} {reward}")?)
    }

    fn known(
        &mut self,
        permitted: &[usize],
        features: &[f64],
        pairs: &[Vec<f64>],
    ) -> Result<(), Fault> {
        for (i, product) in permitted.iter().enumerate() {
            let comma = if i == 0 { "" } else { "," };
            write!(self.input, "{comma}{}", key(*product))?;
            for value in pairs.get(*product).into_iter().flatten() {
                write!(self.input, "/{value:.5}")?;
            }
        }
        // Named by words: under bare numbers features of different products share weights.
        for (place, value) in features.iter().enumerate().filter(|(_, v)| **v != 0.0) {
            write!(self.input, " f{place}:{value:.5}")?;
        }
        Ok(self.input.write_all(b"\n")?)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // Its work is done; that it had ended before is no fault.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
