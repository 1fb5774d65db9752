//! The rounds of boosting: slopes at the present scores, a tree an output, scores moved by it; rows and columns drawn; an early end
//! when a validation part gets no better. This room must never look at the validation part but to judge.

use std::ops::Range;

use luopan_kernel::random::Random;

use super::bins::Bins;
use super::data::Binned;
use super::draw::{choose, draw};
use super::grow::{Grower, Grown};
use super::objective::Slope;
use super::tree::{Leaf, Model, Tree};
use super::{EPSILON, Error, Metric, Objective, Parameters, Part, ranking};

/// What came of training.
#[derive(Debug, Clone, PartialEq)]
pub struct Trained {
    /// The ensemble, cut behind the best round where training ended early.
    pub model: Model,
    /// What the validation part was judged by, with the figure after each round.
    pub watched: Option<(Metric, Vec<f64>)>,
    /// Rounds that are in the model.
    pub rounds: usize,
}

/// Trains an ensemble on `part`. With `valid` every round is judged by it, and training ends when `early_stopping_round` says so.
///
/// # Errors
/// [`Error`]: parameters out of range, targets that the objective does not take or that are all alike, weights that are negative
/// or all zero, fewer rows than two leaves need, a validation part in other bins.
pub fn train(
    part: &Part<'_>,
    valid: Option<&Part<'_>>,
    parameters: &Parameters,
) -> Result<Trained, Error> {
    parameters.check()?;
    let objective = parameters.objective;
    let metric = parameters.metric.unwrap_or(Metric::of(objective));
    metric.check(objective)?;
    constraints(part.data, parameters)?;
    let checked = part.check(objective)?;
    let rows = part.data.rows();
    let least = 2 * parameters.min_data_in_leaf;
    if rows < least {
        return Err(Error::Rows {
            rows,
            least,
            why: "two leaves of min_data_in_leaf",
        });
    }
    let watched = match valid {
        None if parameters.early_stopping_round > 0 => {
            return Err(Error::Parameter {
                name: "early_stopping_round",
                found: parameters.early_stopping_round.to_string(),
                wanted: "a validation part is wanted, or 0",
            });
        }
        None => None,
        Some(valid) => {
            if !std::sync::Arc::ptr_eq(&valid.data.shape, &part.data.shape) {
                return Err(Error::Parameter {
                    name: "valid",
                    found: "a table in bins of its own".to_owned(),
                    wanted: "make it of the table that is trained on, by `like` or `take`",
                });
            }
            metric.check_target(valid.target)?;
            Some((valid, valid.check(objective)?))
        }
    };
    let boosting = Boosting {
        part,
        target: checked.target(part),
        weights: checked.weights(part),
        groups: &checked.groups,
        parameters,
    };
    let valid = watched.as_ref().map(|(part, checked)| Valid {
        part,
        target: checked.target(part),
        weights: checked.weights(part),
        groups: &checked.groups,
        metric,
    });
    boosting.run(valid)
}

fn constraints(data: &Binned, parameters: &Parameters) -> Result<(), Error> {
    let signs = &parameters.monotone_constraints;
    let refused = |found: String, wanted| {
        Err(Error::Parameter {
            name: "monotone_constraints",
            found,
            wanted,
        })
    };
    if !signs.is_empty() && signs.len() != data.names().len() {
        let found = format!("{} for {} columns", signs.len(), data.names().len());
        return refused(found, "one a column is wanted, or none");
    }
    for (column, sign) in signs.iter().enumerate() {
        if *sign != 0 && matches!(data.shape.bins[column], Bins::Categories { .. }) {
            let found = format!("{sign} for the categories of {:?}", data.names()[column]);
            return refused(found, "categories have no order: 0 is wanted");
        }
    }
    Ok(())
}

struct Boosting<'a> {
    part: &'a Part<'a>,
    target: &'a [f64],
    weights: Option<&'a [f64]>,
    groups: &'a [Range<usize>],
    parameters: &'a Parameters,
}

struct Valid<'a> {
    part: &'a Part<'a>,
    target: &'a [f64],
    weights: Option<&'a [f64]>,
    groups: &'a [Range<usize>],
    metric: Metric,
}

impl Valid<'_> {
    fn value(&self, objective: Objective, scores: &[f64]) -> f64 {
        self.metric
            .value(objective, scores, self.target, self.weights, self.groups)
    }
}

/// One run of rows an output: the start score and the rows' offsets.
fn scores(part: &Part<'_>, start: &[f64]) -> Vec<f64> {
    let rows = part.data.rows();
    let mut scores = Vec::with_capacity(rows * start.len());
    for start in start {
        match part.offset {
            None => scores.resize(scores.len() + rows, *start),
            Some(offset) => scores.extend(offset.iter().map(|offset| start + offset)),
        }
    }
    scores
}

impl Boosting<'_> {
    fn run(self, valid: Option<Valid<'_>>) -> Result<Trained, Error> {
        let Parameters { objective, .. } = *self.parameters;
        let (data, outputs) = (self.part.data, objective.outputs());
        let rows = data.rows();
        let mut start = objective.start(self.target, self.weights)?;
        if self.part.offset.is_some() {
            start.fill(0.0);
        }
        let mut own = scores(self.part, &start);
        let mut watched = valid.map(|valid| {
            let scores = scores(valid.part, &start);
            (valid, scores, Vec::new())
        });
        let mut slopes: Vec<Slope> = vec![[0.0; 2]; rows];
        let mut grower = Grower::new(data, self.parameters);
        let mut random = Random::new(self.parameters.seed);
        let all: Vec<u32> = (0..rows as u32).collect();
        let (mut bag, mut rest) = (all.clone(), Vec::new());
        let mut trees: Vec<Tree> = Vec::new();
        let mut best: Option<(usize, f64)> = None;
        for round in 0..self.parameters.num_iterations {
            if self.parameters.bagging_freq > 0
                && self.parameters.bagging_fraction < 1.0
                && round % self.parameters.bagging_freq == 0
            {
                (bag, rest) = draw(&all, self.parameters.bagging_fraction, &mut random);
            }
            let before = if outputs > 1 { own.clone() } else { Vec::new() };
            let mut grew = false;
            for output in 0..outputs {
                let place = output * rows..(output + 1) * rows;
                let at = if outputs > 1 { &before } else { &own };
                self.slopes(output, at, &mut slopes);
                let open = self.columns(&mut random);
                grower.partition.reset(&bag);
                let mut grown = grower.grow(&slopes, &open);
                let split = !grown.tree.splits.is_empty();
                grew |= split;
                if split {
                    shrink(&mut grown.tree, self.parameters.learning_rate);
                    let scores = &mut own[place];
                    for (leaf, found) in grown.tree.leaves.iter().enumerate() {
                        for row in grower.partition.rows(leaf) {
                            scores[*row as usize] += found.value;
                        }
                    }
                    for row in &rest {
                        let leaf = grown.leaf(data, *row as usize);
                        scores[*row as usize] += grown.tree.leaves[leaf].value;
                    }
                    if let Some((valid, scores, _)) = &mut watched {
                        let many = valid.part.data.rows();
                        let scores = &mut scores[output * many..(output + 1) * many];
                        for (row, score) in scores.iter_mut().enumerate() {
                            *score += grown.tree.leaves[grown.leaf(valid.part.data, row)].value;
                        }
                    }
                } else {
                    grown.tree.leaves = vec![Leaf {
                        value: 0.0,
                        ..grown.tree.leaves[0]
                    }];
                }
                if round == 0 && start[output].abs() > EPSILON {
                    lift(&mut grown, start[output]);
                }
                trees.push(grown.tree);
            }
            if !grew {
                // Nothing more is to be gained; the first trees stay for the start score.
                if round > 0 {
                    trees.truncate(round * outputs);
                }
                break;
            }
            if let Some((valid, scores, figures)) = &mut watched {
                let figure = valid.value(objective, scores);
                figures.push(figure);
                let better = |best: f64| {
                    if valid.metric.rises() {
                        figure > best
                    } else {
                        figure < best
                    }
                };
                if best.is_none_or(|(_, before)| better(before)) {
                    best = Some((round + 1, figure));
                }
                let patience = self.parameters.early_stopping_round;
                if patience > 0 && best.is_some_and(|(at, _)| round + 1 - at >= patience) {
                    break;
                }
            }
        }
        if self.parameters.early_stopping_round > 0
            && let Some((rounds, _)) = best
        {
            trees.truncate(rounds * outputs);
        }
        Ok(Trained {
            rounds: trees.len() / outputs,
            watched: watched.map(|(valid, _, figures)| (valid.metric, figures)),
            model: self.model(trees),
        })
    }

    fn slopes(&self, output: usize, scores: &[f64], out: &mut [Slope]) {
        let objective = self.parameters.objective;
        if objective != Objective::Lambdarank {
            objective.slopes(output, scores, self.target, self.weights, out);
            return;
        }
        for group in self.groups {
            ranking::slopes(
                &scores[group.clone()],
                &self.target[group.clone()],
                self.weights.map(|weights| &weights[group.clone()]),
                self.parameters.lambdarank_truncation_level,
                &mut out[group.clone()],
            );
        }
    }

    /// The used columns that a tree may look at, by position.
    fn columns(&self, random: &mut Random) -> Vec<bool> {
        let used = self.part.data.shape.used.len();
        let wanted = (used as f64 * self.parameters.feature_fraction + 0.5) as usize;
        if wanted >= used || used == 0 {
            return vec![true; used];
        }
        let places: Vec<u32> = (0..used as u32).collect();
        let (chosen, _) = choose(&places, wanted.max(1), random);
        let mut open = vec![false; used];
        for place in chosen {
            open[place as usize] = true;
        }
        open
    }

    fn model(&self, trees: Vec<Tree>) -> Model {
        let shape = &self.part.data.shape;
        let infos = shape
            .bins
            .iter()
            .zip(&shape.ranges)
            .map(|(bins, range)| match bins {
                bins if bins.is_constant() => "none".to_owned(),
                Bins::Numbers { .. } => format!("[{:?}:{:?}]", range.0, range.1),
                Bins::Categories { categories, .. } => {
                    let mut sorted = categories.clone();
                    sorted.sort_unstable();
                    let words: Vec<String> = sorted.iter().map(u32::to_string).collect();
                    words.join(":")
                }
            });
        Model {
            features: shape.names.clone(),
            infos: infos.collect(),
            objective: self.parameters.objective,
            monotone_constraints: self.parameters.monotone_constraints.clone(),
            trees,
        }
    }
}

fn shrink(tree: &mut Tree, rate: f64) {
    for leaf in &mut tree.leaves {
        leaf.value *= rate;
    }
    for split in &mut tree.splits {
        split.node.value *= rate;
    }
    tree.shrinkage *= rate;
}

/// Puts the start score into a tree.
fn lift(grown: &mut Grown, by: f64) {
    for leaf in &mut grown.tree.leaves {
        leaf.value += by;
    }
    for split in &mut grown.tree.splits {
        split.node.value += by;
    }
    // As in LightGBM: what was lifted cannot be scaled any more.
    grown.tree.shrinkage = 1.0;
}
