//! Trains the network under a neural-linear bandit (Riquelme, Tucker and Snoek 2018) from logged decisions: hidden layers that all
//! arms share, and a linear head of each arm, which sees the rewards of that arm alone. The heads are thrown away; what the last hidden
//! layer gives is what [`luopan_kernel::network::Network`] hands to an online model as features.
//!
//! Gradients in small batches with Adam (Kingma and Ba 2015), from He's start (2015), in one thread and a fixed order: the same rows
//! and seed give the same network, bit for bit.

use luopan_kernel::learn::algebra::dot8;
use luopan_kernel::learn::sigmoid;
use luopan_kernel::network::{
    self, Layer, NETWORK_INPUTS_MAX, NETWORK_LAYERS_MAX, NETWORK_WIDTH_MAX, Network,
};
use luopan_kernel::plan::ModelKind;
use luopan_kernel::random::Random;

/// Most arms.
pub const ARMS_MAX: usize = 10_000;

/// Why nothing was trained. Rows are counted from 0.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// No rows.
    #[error("there are no rows")]
    Empty,
    /// Columns of different length.
    #[error("{what} has {found} values: wanted are {wanted}")]
    Length {
        /// Which.
        what: &'static str,
        /// Found.
        found: usize,
        /// Wanted.
        wanted: usize,
    },
    /// A value that cannot be used.
    #[error("row {row}: {what} is {found}: write {wanted}")]
    Value {
        /// Which.
        what: &'static str,
        /// Row.
        row: usize,
        /// Found.
        found: f64,
        /// What is taken.
        wanted: &'static str,
    },
    /// A setting that cannot be used.
    #[error("{what} is {found}: write {wanted}")]
    Setting {
        /// Which.
        what: &'static str,
        /// Found.
        found: f64,
        /// What is taken.
        wanted: &'static str,
    },
    /// The weights ran away.
    #[error(
        "the network cannot be kept: {0}; take a smaller `rate`, or rewards and features of a smaller scale"
    )]
    RanAway(#[from] network::Error),
}

/// Logged decisions.
#[derive(Debug, Clone, Copy)]
pub struct Rows<'a> {
    /// Numbers of one row's features.
    pub inputs: usize,
    /// Features, row by row, of a scale near one.
    pub x: &'a [f64],
    /// The arm that was taken, from 0.
    pub arms: &'a [usize],
    /// Its reward; 0 to 1 for a logistic model.
    pub rewards: &'a [f64],
    /// How much a row counts, zero or more; 1 each where there are none.
    pub weights: Option<&'a [f64]>,
}

/// How a network is trained.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Width of each hidden layer, the last one's is that of the features less one.
    pub hidden: Vec<usize>,
    /// Likelihood of rewards.
    pub kind: ModelKind,
    /// Passes over the rows, 1 to 10,000.
    pub epochs: usize,
    /// Rows of one step, above zero.
    pub batch: usize,
    /// Step size, above zero.
    pub rate: f64,
    /// Decay of weights a step of size one (Loshchilov and Hutter 2019), zero or more.
    pub decay: f64,
    /// Of the start and of the order of rows.
    pub seed: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            hidden: vec![32],
            kind: ModelKind::Logistic,
            epochs: 20,
            batch: 32,
            rate: 0.003,
            decay: 0.001,
            seed: 0,
        }
    }
}

/// What was trained.
#[derive(Debug, Clone, PartialEq)]
pub struct Trained {
    /// The hidden layers.
    pub network: Network,
    /// Mean loss of a row in each epoch, as it was met: half the square, or the log loss.
    pub losses: Vec<f64>,
}

/// Trains a network for `arms` arms.
///
/// # Errors
/// Rows or settings that cannot be used, weights that ran away; for the first thing found.
pub fn train(rows: &Rows<'_>, arms: usize, settings: &Settings) -> Result<Trained, Error> {
    check(rows, arms, settings)?;
    let mut random = Random::new(settings.seed);
    let mut widths = vec![rows.inputs];
    widths.extend(&settings.hidden);
    widths.push(arms);
    let mut layers: Vec<Weights> = (widths.windows(2))
        .map(|w| Weights::new(w[0], w[1], &mut random))
        .collect();
    let mut order: Vec<usize> = (0..rows.arms.len()).collect();
    let mut losses = Vec::with_capacity(settings.epochs);
    let mut pass = Pass::new(&widths);
    let mut step = 0;
    for _ in 0..settings.epochs {
        for at in (1..order.len()).rev() {
            order.swap(at, (random.bits() % (at as u64 + 1)) as usize);
        }
        let (mut loss, mut total) = (0.0, 0.0);
        for batch in order.chunks(settings.batch) {
            for row in batch {
                let weight = rows.weights.map_or(1.0, |w| w[*row]);
                if weight > 0.0 {
                    loss += weight * pass.learn(&mut layers, rows, *row, weight, settings.kind);
                    total += weight;
                }
            }
            step += 1;
            for layer in &mut layers {
                layer.descend(settings, batch.len() as f64, step);
            }
        }
        losses.push(if total > 0.0 { loss / total } else { 0.0 });
    }
    let narrow = |of: &[f64]| of.iter().map(|v| *v as f32).collect();
    let hidden: Vec<Layer> = (layers[..settings.hidden.len()].iter())
        .map(|layer| Layer {
            weights: narrow(&layer.weights),
            biases: narrow(&layer.biases),
        })
        .collect();
    Ok(Trained {
        network: Network::new(rows.inputs, &hidden)?,
        losses,
    })
}

fn check(rows: &Rows<'_>, arms: usize, settings: &Settings) -> Result<(), Error> {
    let n = rows.arms.len();
    if n == 0 {
        return Err(Error::Empty);
    }
    let setting = |what, found: f64, is_right: bool, wanted| {
        if is_right {
            Ok(())
        } else {
            Err(Error::Setting {
                what,
                found,
                wanted,
            })
        }
    };
    let size = |what, found: usize, most, wanted| {
        setting(what, found as f64, (1..=most).contains(&found), wanted)
    };
    size(
        "the number of inputs",
        rows.inputs,
        NETWORK_INPUTS_MAX,
        "1 to 4096",
    )?;
    size("the number of arms", arms, ARMS_MAX, "1 to 10000")?;
    let depth = settings.hidden.len();
    size(
        "the number of hidden layers",
        depth,
        NETWORK_LAYERS_MAX,
        "1 to 8",
    )?;
    for width in &settings.hidden {
        size(
            "the width of a layer",
            *width,
            NETWORK_WIDTH_MAX,
            "1 to 511",
        )?;
    }
    size(
        "the number of epochs",
        settings.epochs,
        10_000,
        "1 to 10000",
    )?;
    size(
        "the number of rows of a step",
        settings.batch,
        usize::MAX,
        "1 or more",
    )?;
    let is_right = settings.rate > 0.0 && settings.rate.is_finite();
    setting("the rate", settings.rate, is_right, "a number above zero")?;
    let is_right = settings.decay >= 0.0 && settings.decay.is_finite();
    setting("the decay", settings.decay, is_right, "zero or more")?;
    let lengths = [
        ("the features of all rows", rows.x.len(), n * rows.inputs),
        ("the rewards", rows.rewards.len(), n),
        ("the weights", rows.weights.map_or(n, <[f64]>::len), n),
    ];
    for (what, found, wanted) in lengths {
        if found != wanted {
            return Err(Error::Length {
                what,
                found,
                wanted,
            });
        }
    }
    for row in 0..n {
        let refused = |what, found, wanted| {
            Err(Error::Value {
                what,
                row,
                found,
                wanted,
            })
        };
        let x = &rows.x[row * rows.inputs..(row + 1) * rows.inputs];
        if let Some(found) = x.iter().find(|v| !v.is_finite()) {
            return refused("a feature", *found, "a finite number");
        }
        if rows.arms[row] >= arms {
            return refused(
                "the arm",
                rows.arms[row] as f64,
                "one below the number of arms",
            );
        }
        let reward = rows.rewards[row];
        match settings.kind {
            ModelKind::Logistic if !(0.0..=1.0).contains(&reward) => {
                return refused("the reward", reward, "0 to 1");
            }
            ModelKind::Linear if !reward.is_finite() => {
                return refused("the reward", reward, "a finite number");
            }
            ModelKind::Linear | ModelKind::Logistic => {}
        }
        let weight = rows.weights.map_or(1.0, |w| w[row]);
        if !(weight >= 0.0 && weight.is_finite()) {
            return refused("the weight", weight, "zero or more");
        }
    }
    Ok(())
}

/// A layer with the gradient of a batch and Adam's moments, weights first, then biases.
struct Weights {
    inputs: usize,
    weights: Vec<f64>,
    biases: Vec<f64>,
    gradient: Vec<f64>,
    first: Vec<f64>,
    second: Vec<f64>,
}

const FIRST: f64 = 0.9;
const SECOND: f64 = 0.999;

impl Weights {
    fn new(inputs: usize, outputs: usize, random: &mut Random) -> Self {
        let deviation = libm::sqrt(2.0 / inputs as f64);
        let all = (inputs + 1) * outputs;
        Self {
            inputs,
            weights: (0..inputs * outputs)
                .map(|_| deviation * random.normal())
                .collect(),
            biases: vec![0.0; outputs],
            gradient: vec![0.0; all],
            first: vec![0.0; all],
            second: vec![0.0; all],
        }
    }

    /// One step of Adam by the mean gradient of `n` rows, which is emptied.
    fn descend(&mut self, settings: &Settings, n: f64, step: i32) {
        let correct = |moment: f64| 1.0 - libm::pow(moment, f64::from(step));
        let (of_first, of_second) = (correct(FIRST), correct(SECOND));
        let held = settings.rate * settings.decay;
        let decays = self.weights.len();
        let all = self.weights.iter_mut().chain(&mut self.biases);
        for (i, value) in all.enumerate() {
            let g = self.gradient[i] / n;
            self.gradient[i] = 0.0;
            self.first[i] = FIRST * self.first[i] + (1.0 - FIRST) * g;
            self.second[i] = SECOND * self.second[i] + (1.0 - SECOND) * g * g;
            if i < decays {
                *value -= held * *value;
            }
            let size = libm::sqrt(self.second[i] / of_second) + 1e-8;
            *value -= settings.rate * (self.first[i] / of_first) / size;
        }
    }
}

/// Room for one row's way forth and back.
struct Pass {
    /// Input and output of each hidden layer.
    values: Vec<Vec<f64>>,
    /// What the loss changes by with each output of a hidden layer.
    slopes: Vec<Vec<f64>>,
}

impl Pass {
    fn new(widths: &[usize]) -> Self {
        let room = |w: &[usize]| w.iter().map(|n| vec![0.0; *n]).collect();
        let hidden = &widths[..widths.len() - 1];
        Self {
            values: room(hidden),
            slopes: room(hidden),
        }
    }

    /// Adds a row's gradient to the layers'; its loss.
    fn learn(
        &mut self,
        layers: &mut [Weights],
        rows: &Rows<'_>,
        row: usize,
        weight: f64,
        kind: ModelKind,
    ) -> f64 {
        let x = &rows.x[row * rows.inputs..(row + 1) * rows.inputs];
        self.values[0].copy_from_slice(x);
        let last = layers.len() - 1;
        for (l, layer) in layers[..last].iter().enumerate() {
            let (before, after) = self.values.split_at_mut(l + 1);
            let each = layer.weights.chunks_exact(layer.inputs).zip(&layer.biases);
            for (out, (row, bias)) in after[0].iter_mut().zip(each) {
                *out = (dot8(row, &before[l]) + bias).max(0.0);
            }
        }
        let (arm, reward) = (rows.arms[row], rows.rewards[row]);
        let head = &mut layers[last];
        let at = arm * head.inputs..(arm + 1) * head.inputs;
        let score = dot8(&head.weights[at.clone()], &self.values[last]) + head.biases[arm];
        let (slope, loss) = match kind {
            ModelKind::Linear => {
                let gap = score - reward;
                (gap, gap * gap / 2.0)
            }
            ModelKind::Logistic => {
                let open = libm::log1p(libm::exp(-score.abs())) + score.max(0.0);
                (sigmoid(score) - reward, open - reward * score)
            }
        };
        let slope = weight * slope;
        for (i, v) in self.values[last].iter().enumerate() {
            self.slopes[last][i] = slope * head.weights[at.start + i];
            head.gradient[at.start + i] += slope * v;
        }
        let biases = head.weights.len();
        head.gradient[biases + arm] += slope;
        for l in (0..last).rev() {
            let layer = &mut layers[l];
            let (before, after) = self.slopes.split_at_mut(l + 1);
            before[l].fill(0.0);
            let biases = layer.weights.len();
            for (o, slope) in after[0].iter().enumerate() {
                // Where the output is cut off nothing flows back.
                if self.values[l + 1][o] <= 0.0 || *slope == 0.0 {
                    continue;
                }
                layer.gradient[biases + o] += slope;
                let at = o * layer.inputs;
                let gradient = &mut layer.gradient[at..at + layer.inputs];
                for (gradient, value) in gradient.iter_mut().zip(&self.values[l]) {
                    *gradient += slope * value;
                }
                let weights = &layer.weights[at..at + layer.inputs];
                for (before, weight) in before[l].iter_mut().zip(weights) {
                    *before += slope * weight;
                }
            }
        }
        loss
    }
}
