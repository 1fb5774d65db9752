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

    /// What to offer customers of whom the permitted products and features are told, and with which probability; none for silence.
    pub(crate) fn decide(
        &mut self,
        day: i64,
        price: f64,
        asked: &[(u32, Vec<usize>, Vec<f64>)],
    ) -> Result<Vec<Option<(usize, f64)>>, Fault> {
        for (customer, permitted, features) in asked {
            write!(self.input, "d {customer}.{day} {price} ")?;
            self.known(permitted, features)?;
        }
        self.input.write_all(b"go\n")?;
        self.input.flush()?;
        let mut out = Vec::with_capacity(asked.len());
        for _ in asked {
            let mut line = String::new();
            if self.output.read_line(&mut line)? == 0 {
                return Err(format!("{NAME} ended: {:?}", self.child.try_wait()?).into());
            }
            let (word, probability) = line
                .trim()
                .split_once(' ')
                .ok_or("no answer of two words")?;
            let probability: f64 = probability.parse()?;
            out.push(match word {
                "-" => None,
                word => Some((product_of(word).ok_or("an unknown product")?, probability)),
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
            self.known(&row.permitted, &row.features)?;
        }
        let reward = u8::from(is_answered);
        Ok(writeln!(self.input, "l {customer}.{day} {reward}")?)
    }

    fn known(&mut self, permitted: &[usize], features: &[f64]) -> Result<(), Fault> {
        let products: Vec<String> = permitted.iter().map(|p| key(*p)).collect();
        write!(self.input, "{}", products.join(","))?;
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
