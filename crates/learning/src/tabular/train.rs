//! The whole of it: roles, folds, a model a fold that is judged on rows it has not seen, then the model that is kept.

use super::calibrate::calibrate;
use super::encode::Matrix;
use super::evaluate::{Evaluation, Told, evaluate};
use super::folds::folds;
use super::kept::Kept;
use super::learn::{Fitted, Rows, fit};
use super::roles::Roles;
use super::{Error, Frame, Settings, Task};

/// What came of training.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The model that has learned from all rows.
    pub model: Kept,
    /// What its like said of rows that they had not seen.
    pub evaluation: Evaluation,
}

/// The rows of some places, encoded.
fn rows_of(roles: &Roles, matrix: &Matrix, places: &[u32]) -> Rows {
    let take = |v: &Vec<f64>| places.iter().map(|r| v[*r as usize]).collect();
    Rows {
        columns: matrix.take(places),
        targets: take(&roles.targets),
        weights: roles.weights.as_ref().map(take),
        exposures: roles.exposures.as_ref().map(take),
        groups: (roles.groups.as_ref()).map(|g| places.iter().map(|r| g[*r as usize]).collect()),
    }
}

/// Learns from a table. `tell` hears what is begun: the folds from 0 on, then, with the number of folds, the model that is kept.
///
/// # Errors
/// [`Error`]: columns that are not there or cannot be what they are named for, too few rows, settings out of range, what the model
/// refuses.
pub fn train(
    frame: &Frame,
    settings: &Settings,
    tell: &mut dyn FnMut(usize),
) -> Result<Outcome, Error> {
    let roles = Roles::find(frame, settings)?;
    let matrix = Matrix::of(&roles.features, frame, &roles.rows)?;
    let classes = roles.target.classes.len();
    let outputs = match settings.task {
        Task::Multiclass => classes,
        _ => 1,
    };
    let mut told = Told {
        predictions: vec![f64::NAN; roles.rows.len() * outputs],
        folds: Vec::new(),
        rounds: Vec::new(),
        flags: roles.flags.clone(),
    };
    for (at, fold) in folds(&roles, settings)?.into_iter().enumerate() {
        tell(at);
        let train = rows_of(&roles, &matrix, &fold.train);
        let valid = (!fold.valid.is_empty()).then(|| rows_of(&roles, &matrix, &fold.valid));
        let learned = fit(
            settings,
            &roles.features,
            classes,
            &train,
            valid.as_ref(),
            false,
        )
        .map_err(|e| in_fold(e, at))?;
        if let Fitted::Gbdt { rounds, .. } = &learned.fitted {
            told.rounds.push(*rounds);
        }
        let test = matrix.take(&fold.test);
        let found = (learned.fitted).predict(
            settings.task,
            settings.tweedie_power,
            &roles.features,
            &test,
        )?;
        for (row, found) in fold.test.iter().zip(found.chunks_exact(outputs)) {
            let place = *row as usize * outputs;
            told.predictions[place..place + outputs].copy_from_slice(found);
        }
        told.folds.push(fold.test);
    }
    let calibrator = calibrate(settings, &roles, &told.folds, &mut told.predictions)?;
    tell(settings.folds);
    let all: Vec<u32> = (0..roles.rows.len() as u32).collect();
    let rows = rows_of(&roles, &matrix, &all);
    let mut last = settings.clone();
    if settings.valid_fraction > 0.0 && !told.rounds.is_empty() {
        // As many rounds as were best, on average, for those who could be asked.
        last.gbdt.rounds = told
            .rounds
            .iter()
            .sum::<usize>()
            .div_ceil(told.rounds.len());
    }
    let learned = fit(&last, &roles.features, classes, &rows, None, true)?;
    told.flags.extend(learned.flags);
    told.flags.dedup();
    let model = Kept::new(&last, frame, &roles, learned.fitted, calibrator)?;
    let mut evaluation = evaluate(settings, frame, &roles, &matrix, told, &model)?;
    evaluation.coefficients = learned.coefficients;
    Ok(Outcome { model, evaluation })
}

/// Learns from all rows and judges nothing: for whoever divides rows by themselves. Nothing is calibrated, since every row was learned from.
///
/// # Errors
/// As [`train`].
pub fn fit_all(frame: &Frame, settings: &Settings) -> Result<Kept, Error> {
    let roles = Roles::find(frame, settings)?;
    let matrix = Matrix::of(&roles.features, frame, &roles.rows)?;
    let all: Vec<u32> = (0..roles.rows.len() as u32).collect();
    let rows = rows_of(&roles, &matrix, &all);
    let classes = roles.target.classes.len();
    let learned = fit(settings, &roles.features, classes, &rows, None, false)?;
    Kept::new(settings, frame, &roles, learned.fitted, None)
}

/// A refusal of one fold says so: the whole table may be fit.
fn in_fold(e: Error, at: usize) -> Error {
    match e {
        Error::Model(words) => Error::Model(format!("fold {}: {words}", at + 1)),
        other => other,
    }
}
