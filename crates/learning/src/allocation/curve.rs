//! What one objective costs the others: the same problem under several weights, each solved from the prices of the one before. This
//! room must never judge which trade is right.

use super::{Allocation, Error, Problem, solve};

/// One trade.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// The weight of each objective.
    pub weights: Vec<f64>,
    /// What is given under them.
    pub allocation: Allocation,
}

/// Solves `problem` under each set of weights, one an objective; those that the problem has are not looked at.
///
/// # Errors
/// As [`solve`], and when weights are not one an objective.
pub fn curve(problem: &Problem<'_>, weights: &[Vec<f64>]) -> Result<Vec<Point>, Error> {
    let mut points: Vec<Point> = Vec::with_capacity(weights.len());
    for weights in weights {
        if weights.len() != problem.objectives.len() {
            return Err(Error::Length {
                what: "a set of weights".to_owned(),
                found: weights.len(),
                wanted: problem.objectives.len(),
            });
        }
        let mut objectives = problem.objectives.to_vec();
        for (objective, weight) in objectives.iter_mut().zip(weights) {
            objective.weight = *weight;
        }
        let weighed = Problem {
            objectives: &objectives,
            ..*problem
        };
        let before = points.last().map(|point| &point.allocation.prices);
        points.push(Point {
            weights: weights.clone(),
            allocation: solve(&weighed, before)?,
        });
    }
    Ok(points)
}
