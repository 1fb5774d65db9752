//! A small trained network whose last hidden layer gives a model's features (neural-linear: Riquelme, Tucker and Snoek 2018): layers of
//! `max(0, W x + b)`. It is trained elsewhere and never changes here; beliefs about the weights of what it gives are learned online.
//!
//! Weights are stored in binary32 and computed in binary64, each sum in the fixed order of [`dot8`]: the same bits everywhere.

use crate::codec::{Reader, Result, Writer};
use crate::learn::algebra::dot8;
use crate::plan::model::DIMENSION_MAX;

/// Newest format of a stored network.
pub const NETWORK_FORMAT: u8 = 1;
/// Most inputs.
pub const NETWORK_INPUTS_MAX: usize = 4096;
/// Most layers.
pub const NETWORK_LAYERS_MAX: usize = 8;
/// Most outputs of a layer; with the constant one the last one's are a model's features.
pub const NETWORK_WIDTH_MAX: usize = DIMENSION_MAX - 1;
/// Largest absolute value of a weight and of a bias.
pub const NETWORK_WEIGHT_MAX: f32 = 1e6;

/// One layer, to build a [`Network`] from.
#[derive(Debug, Clone, PartialEq)]
pub struct Layer {
    /// Outputs x inputs, row by row.
    pub weights: Vec<f32>,
    /// One an output.
    pub biases: Vec<f32>,
}

/// Why a network was refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// A size out of its range.
    #[error("{found} {what}; write 1 to {most}")]
    Size {
        /// Of what.
        what: &'static str,
        /// Found.
        found: usize,
        /// Largest.
        most: usize,
    },
    /// A layer that does not fit the one before it.
    #[error("layer {layer} has {found} weights; {outputs} outputs of {inputs} inputs have {}", outputs * inputs)]
    Ragged {
        /// Layer, from 0.
        layer: usize,
        /// Weights found.
        found: usize,
        /// Its outputs.
        outputs: usize,
        /// Outputs of the layer before it, or inputs.
        inputs: usize,
    },
    /// A number is not finite or too large.
    #[error("layer {layer} holds {found}; write numbers within ±{NETWORK_WEIGHT_MAX}")]
    Number {
        /// Layer, from 0.
        layer: usize,
        /// Found.
        found: f32,
    },
}

/// A trained network.
#[derive(Debug, Clone, PartialEq)]
pub struct Network {
    inputs: usize,
    /// Weights and biases, each of which is a binary32.
    layers: Vec<(Vec<f64>, Vec<f64>)>,
}

impl Network {
    /// The network of `layers` over so many inputs.
    ///
    /// # Errors
    /// [`Error`], for the first thing that does not fit.
    pub fn new(inputs: usize, layers: &[Layer]) -> core::result::Result<Self, Error> {
        let within = |what, found, most| {
            if (1..=most).contains(&found) {
                Ok(())
            } else {
                Err(Error::Size { what, found, most })
            }
        };
        within("inputs", inputs, NETWORK_INPUTS_MAX)?;
        within("layers", layers.len(), NETWORK_LAYERS_MAX)?;
        let mut before = inputs;
        let mut out = Vec::with_capacity(layers.len());
        for (number, layer) in layers.iter().enumerate() {
            let outputs = layer.biases.len();
            within("outputs of a layer", outputs, NETWORK_WIDTH_MAX)?;
            if layer.weights.len() != outputs * before {
                return Err(Error::Ragged {
                    layer: number,
                    found: layer.weights.len(),
                    outputs,
                    inputs: before,
                });
            }
            let all = layer.weights.iter().chain(&layer.biases);
            if let Some(found) = all.copied().find(|v| !is_bounded(*v)) {
                return Err(Error::Number {
                    layer: number,
                    found,
                });
            }
            let wide = |of: &[f32]| of.iter().map(|v| f64::from(*v)).collect();
            out.push((wide(&layer.weights), wide(&layer.biases)));
            before = outputs;
        }
        Ok(Self {
            inputs,
            layers: out,
        })
    }

    /// Numbers that it takes.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// Numbers that it gives: a constant one and the outputs of the last layer.
    pub fn width(&self) -> usize {
        1 + self.layers.last().map_or(0, |(_, biases)| biases.len())
    }

    /// The features of `x` into `out`, which is emptied first: a constant one, then the outputs of the last layer. Nothing where
    /// `x` is not of the network's inputs. `scratch` is room.
    pub fn features(&self, x: &[f64], out: &mut Vec<f64>, scratch: &mut Vec<f64>) {
        out.clear();
        if x.len() != self.inputs {
            return;
        }
        scratch.clear();
        scratch.extend_from_slice(x);
        for (weights, biases) in &self.layers {
            out.clear();
            out.extend(
                weights
                    .chunks_exact(scratch.len().max(1))
                    .zip(biases)
                    .map(|(row, bias)| (dot8(row, scratch) + bias).max(0.0)),
            );
            core::mem::swap(out, scratch);
        }
        out.clear();
        out.push(1.0);
        out.extend_from_slice(scratch);
    }

    /// Encodes the network: format byte, inputs, layers, of each its outputs, weights row by row and biases in binary32.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::with_format(NETWORK_FORMAT);
        w.uint(self.inputs as u64);
        w.uint(self.layers.len() as u64);
        for (weights, biases) in &self.layers {
            w.uint(biases.len() as u64);
            for v in weights.iter().chain(biases) {
                w.raw(&(*v as f32).to_le_bytes());
            }
        }
        w.into_bytes()
    }

    /// Decodes what [`Network::encode`] wrote.
    ///
    /// # Errors
    /// As [`Reader`]'s; a newer format is refused.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let mut r = Reader::new(bytes);
        r.format("network", NETWORK_FORMAT)?;
        let inputs = r.count(0)?;
        if inputs == 0 || inputs > NETWORK_INPUTS_MAX {
            return Err(r.malformed("1 to 4096 inputs"));
        }
        let n = r.count(1)?;
        if n == 0 || n > NETWORK_LAYERS_MAX {
            return Err(r.malformed("1 to 8 layers"));
        }
        let mut before = inputs;
        let mut layers = Vec::with_capacity(n);
        for _ in 0..n {
            let outputs = r.count(4)?;
            if outputs == 0 || outputs > NETWORK_WIDTH_MAX {
                return Err(r.malformed("1 to 511 outputs of a layer"));
            }
            let weights = numbers(&mut r, outputs * before)?;
            let biases = numbers(&mut r, outputs)?;
            layers.push((weights, biases));
            before = outputs;
        }
        r.done()?;
        Ok(Self { inputs, layers })
    }
}

fn is_bounded(v: f32) -> bool {
    v.abs() <= NETWORK_WEIGHT_MAX
}

/// So many numbers; they must be there before room for them is taken.
fn numbers(r: &mut Reader<'_>, n: usize) -> Result<Vec<f64>> {
    let (words, _) = r.raw(n * 4)?.as_chunks::<4>();
    let all: Vec<f32> = words.iter().map(|word| f32::from_le_bytes(*word)).collect();
    if all.iter().any(|v| !is_bounded(*v)) {
        return Err(r.malformed("weights within ±1e6"));
    }
    Ok(all.into_iter().map(f64::from).collect())
}
