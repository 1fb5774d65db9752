//! Vowpal Wabbit as a process that is asked and answered line by line. It sees the features that the engine folded, what the scene permits,
//! and the price that the scene's policies pay; what it chooses is imposed on the engine. This room must never tell it a chance.

use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use luopan_bench::Fault;

use super::scene::{key, product_of};

pub(crate) const PACKAGES: [&str; 2] = ["vowpalwabbit==9.11.9", "numpy==2.4.6"];
pub(crate) const NAME: &str = "vowpalwabbit 9.11.9";

/// How it is run.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Arguments beside `--cb_adf --cb_type mtr`.
    pub(crate) how: String,
    pub(crate) explorer: &'static str,
    /// Of the explorer.
    pub(crate) setting: f64,
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
            .args([&settings.how, settings.explorer])
            .args([settings.setting.to_string(), seed.to_string()])
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
            let products: Vec<String> = permitted.iter().map(|p| key(*p)).collect();
            write!(
                self.input,
                "d {customer}.{day} {price} {}",
                products.join(",")
            )?;
            // Named by words: under bare numbers features of different products share weights.
            for (place, value) in features.iter().enumerate().filter(|(_, v)| **v != 0.0) {
                write!(self.input, " f{place}:{value:.5}")?;
            }
            self.input.write_all(b"\n")?;
        }
        self.input.write_all(b"go\n")?;
        self.input.flush()?;
        let mut out = Vec::with_capacity(asked.len());
        for _ in asked {
            let mut line = String::new();
            if self.output.read_line(&mut line)? == 0 {
                return Err(format!("{NAME} ended: {:?}", self.child.try_wait()?).into());
            }
            let (word, probability) = line.trim().split_once(' ').ok_or("no answer of two words")?;
            let probability: f64 = probability.parse()?;
            out.push(match word {
                "-" => None,
                word => Some((product_of(word).ok_or("an unknown product")?, probability)),
            });
        }
        Ok(out)
    }

    /// Tells it what came of an offer.
    pub(crate) fn learn(
        &mut self,
        customer: u32,
        day: i64,
        is_answered: bool,
    ) -> Result<(), Fault> {
        let reward = u8::from(is_answered);
        Ok(writeln!(self.input, "l {customer}.{day} {reward}")?)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // Its work is done; that it had ended before is no fault.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
