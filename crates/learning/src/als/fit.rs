//! Training: users are solved with items fixed, then items with users fixed, so many times. It must never hand out numbers that
//! are not finite.

use luopan_kernel::random::Random;

use super::solve::{self, Vectors};
use super::{Error, Interactions, Model, NUMBERS_MAX, Settings, Solver};

/// Vectors to begin with, row by row; settings say how many numbers each has.
#[derive(Debug, Clone, Copy)]
pub struct Start<'a> {
    /// Users x factors.
    pub users: &'a [f32],
    /// Items x factors.
    pub items: &'a [f32],
}

/// Trains factors from vectors that the seed draws: each number even between 0 and 0.01.
///
/// # Errors
/// A setting out of its range, more numbers than [`NUMBERS_MAX`], factors that grow beyond all numbers.
pub fn fit(interactions: &Interactions, settings: &Settings) -> Result<Model, Error> {
    settings.check()?;
    let mut random = Random::new(settings.seed);
    let mut drawn = |rows: usize| -> Result<Vec<f32>, Error> {
        let numbers = size(rows, settings.factors)?;
        Ok((0..numbers)
            .map(|_| (0.01 * random.uniform()) as f32)
            .collect())
    };
    let users = drawn(interactions.users())?;
    let items = drawn(interactions.items())?;
    let start = Start {
        users: &users,
        items: &items,
    };
    fit_from(interactions, settings, start)
}

/// Trains factors from given vectors: those of an earlier model, or of another program. With [`Solver::Cholesky`] those of users
/// do not matter.
///
/// # Errors
/// As [`fit`], and vectors of another size or that are not finite.
pub fn fit_from(
    interactions: &Interactions,
    settings: &Settings,
    start: Start<'_>,
) -> Result<Model, Error> {
    settings.check()?;
    let sides = [
        ("vectors of users", start.users, interactions.users()),
        ("vectors of items", start.items, interactions.items()),
    ];
    for (what, values, rows) in sides {
        vectors(what, values, rows, settings.factors)?;
    }
    let by_item = interactions.transposed();
    let mut users = Vectors::of(start.users, settings.factors);
    let mut items = Vectors::of(start.items, settings.factors);
    let weights = (settings.regularization, settings.alpha);
    let half = |of: &Interactions, moved: &mut Vectors, fixed: &Vectors| match settings.solver {
        Solver::ConjugateGradient { steps } => {
            solve::conjugate_gradients(of, moved, fixed, weights, steps);
        }
        Solver::Cholesky => solve::exact(of, moved, fixed, weights),
    };
    for iteration in 1..=settings.iterations {
        half(interactions, &mut users, &items);
        half(&by_item, &mut items, &users);
        if !(users.is_finite() && items.is_finite()) {
            return Err(Error::NotFinite { iteration });
        }
    }
    Ok(Model::trained(users, items, settings))
}

fn size(rows: usize, factors: usize) -> Result<usize, Error> {
    let numbers = rows.saturating_mul(factors);
    if numbers > NUMBERS_MAX {
        return Err(Error::Setting {
            what: "numbers of all vectors of a side",
            found: numbers as f64,
            wanted: "at most 16,000,000,000: take fewer factors",
        });
    }
    Ok(numbers)
}

/// Checks that values are vectors of so many rows, all finite.
pub(super) fn vectors(
    what: &'static str,
    values: &[f32],
    rows: usize,
    factors: usize,
) -> Result<(), Error> {
    let (found, wanted) = (values.len(), size(rows, factors)?);
    if found != wanted {
        return Err(Error::Length {
            what,
            found,
            wanted,
        });
    }
    match values.iter().position(|x| !x.is_finite()) {
        None => Ok(()),
        Some(at) => Err(Error::Value {
            what,
            at,
            found: f64::from(values[at]),
            wanted: "a finite number",
        }),
    }
}
