//! How usual each action is where a customer stands, as far as the logs tell: what was hardly tried there is not taken
//! (batch-constrained, Fujimoto, Conti, Ghavamzadeh and Pineau 2019). This room must never say that what nobody tried is usual.

use luopan_kernel::trees::Ensemble;

use super::fitted::{binned, ensemble};
use super::{Error, Trajectories};
use crate::gbdt::{Objective, Parameters, Part};

/// Shares of actions by what is known of a customer.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Behaviour {
    /// Actions that were tried, ascending.
    tried: Vec<usize>,
    shares: Shares,
    min_share: f64,
    actions: usize,
}

#[derive(Debug, Clone, PartialEq)]
enum Shares {
    /// The same everywhere, by tried action.
    Even(Vec<f64>),
    /// Told by trees, whose classes are the tried actions.
    Trees(Box<Ensemble>),
}

impl Behaviour {
    /// Learns from `rows`, ascending. Actions that none of `counted` has are taken for untried.
    pub(super) fn learn(
        t: &Trajectories<'_>,
        rows: &[u32],
        counted: &dyn Fn(usize) -> bool,
        min_share: f64,
        seed: u64,
    ) -> Result<Self, Error> {
        let actions = t.columns().actions;
        let of = |row: u32| actions[row as usize] as usize;
        let mut counts = vec![0usize; t.actions()];
        for row in rows.iter().filter(|row| counted(**row as usize)) {
            counts[of(*row)] += 1;
        }
        let tried: Vec<usize> = (0..t.actions())
            .filter(|action| counts[*action] > 0)
            .collect();
        let known: Vec<u32> = (rows.iter().copied())
            .filter(|row| counts[of(*row)] > 0)
            .collect();
        let total = counts.iter().sum::<usize>() as f64;
        let even = || Shares::Even(tried.iter().map(|a| counts[*a] as f64 / total).collect());
        let mut parameters = Parameters::new(Objective::Binary);
        parameters.num_iterations = 30;
        parameters.num_leaves = 15;
        parameters.min_data_in_leaf = 50;
        parameters.seed = seed;
        let is_small = known.len() < 4 * parameters.min_data_in_leaf;
        let shares = if min_share == 0.0 || tried.len() < 2 || is_small {
            even()
        } else {
            if tried.len() > 2 {
                parameters.objective = Objective::Multiclass {
                    classes: tried.len(),
                };
            }
            let place = |row: &u32| tried.partition_point(|action| *action < of(*row)) as f64;
            let target: Vec<f64> = known.iter().map(place).collect();
            let data = binned(t.columns().features)?.take(&known);
            let part = Part {
                data: &data,
                target: &target,
                weights: None,
                exposure: None,
                offset: None,
                groups: None,
            };
            let name = || "how usual actions are".to_owned();
            Shares::Trees(Box::new(ensemble(&part, &parameters, &name)?))
        };
        Ok(Self {
            tried,
            shares,
            min_share,
            actions: t.actions(),
        })
    }

    /// Which actions may be taken at rows of features, rows x actions: allowed ones that are usual enough, and the most usual of
    /// those that are allowed in any case.
    ///
    /// # Errors
    /// A row of which no allowed action was tried: its place.
    pub(super) fn permitted(
        &self,
        matrix: &[f64],
        rows: usize,
        allows: &dyn Fn(usize, usize) -> bool,
    ) -> Result<Vec<bool>, usize> {
        let classes = self.tried.len();
        let mut told = Vec::new();
        let is_binary = classes == 2;
        if let Shares::Trees(trees) = &self.shares {
            told = vec![0.0; rows * trees.outputs()];
            trees.predict_many(matrix, &mut told);
        }
        let share = |row: usize, class: usize| match &self.shares {
            Shares::Even(shares) => shares[class],
            Shares::Trees(_) if is_binary && class == 0 => 1.0 - told[row],
            Shares::Trees(_) if is_binary => told[row],
            Shares::Trees(_) => told[row * classes + class],
        };
        let mut out = vec![false; rows * self.actions];
        for row in 0..rows {
            let mut most: Option<(usize, f64)> = None;
            for (class, action) in self.tried.iter().enumerate() {
                if !allows(row, *action) {
                    continue;
                }
                let share = share(row, class);
                out[row * self.actions + action] = share >= self.min_share;
                if most.is_none_or(|(_, most)| share > most) {
                    most = Some((*action, share));
                }
            }
            let (action, _) = most.ok_or(row)?;
            out[row * self.actions + action] = true;
        }
        Ok(out)
    }
}
