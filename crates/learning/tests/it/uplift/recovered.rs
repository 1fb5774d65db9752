//! Learners find the effects of a world whose truth is known.

use luopan_learning::gbdt::Objective;
use luopan_learning::uplift::{Learner, Propensities, Settings, Trial, fit};

use super::World;

/// Root mean squared error of what was learned, and of the mean effect for everybody; the mean of what was learned, less the truth's.
fn errors(found: &[f64], truth: &[f64]) -> [f64; 3] {
    let n = truth.len() as f64;
    let mean = |of: &[f64]| of.iter().sum::<f64>() / n;
    let average = mean(truth);
    let root = |of: &dyn Fn(usize) -> f64| {
        ((0..truth.len()).map(|at| of(at) * of(at)).sum::<f64>() / n).sqrt()
    };
    [
        root(&|at| found[at] - truth[at]),
        root(&|at| average - truth[at]),
        mean(found) - average,
    ]
}

fn settings(learner: Learner, is_binary: bool) -> Settings {
    Settings::new(
        learner,
        if is_binary {
            Objective::Binary
        } else {
            Objective::Regression
        },
    )
}

/// Of each treatment the errors on rows that were not learned from.
fn learned(world: &World, trial: &Trial<'_>, settings: &Settings) -> Vec<[f64; 3]> {
    let treatments = world.arms.treatments();
    let held = World::new(
        4_000,
        treatments,
        settings.outcome.objective == Objective::Binary,
        false,
        77,
    );
    let model = fit(trial, settings).expect("a model");
    let found = model.effects(&held.columns()).expect("effects");
    assert_eq!(found.treatments, treatments);
    (1..=treatments)
        .map(|treatment| {
            let truth: Vec<f64> = (held.effects.chunks_exact(treatments))
                .map(|line| line[treatment - 1])
                .collect();
            errors(&found.of(treatment as u32), &truth)
        })
        .collect()
}

#[test]
fn effects_of_a_trial_by_lot_are_found() {
    for (is_binary, treatments) in [(true, 1), (false, 1), (false, 2)] {
        let world = World::new(12_000, treatments, is_binary, false, 5);
        let columns = world.columns();
        for learner in Learner::ALL {
            // S shrinks effects
            let most = if learner == Learner::S { 0.85 } else { 0.75 };
            for propensities in [
                Propensities::Shares,
                Propensities::PerRow(&world.propensities),
            ] {
                let trial = world.trial(&columns, propensities);
                for [error, flat, moved] in learned(&world, &trial, &settings(learner, is_binary)) {
                    let said = format!("{learner:?}, binary {is_binary}, {treatments} treatments");
                    assert!(
                        error < most * flat,
                        "{said}: {error} where the mean has {flat}"
                    );
                    assert!(moved.abs() < 0.03, "{said}: the mean is off by {moved}");
                }
            }
        }
    }
}

#[test]
fn treatments_that_went_to_those_who_needed_none_are_seen_through() {
    let world = World::new(12_000, 1, false, true, 9);
    let columns = world.columns();
    let mean = |treated: bool| {
        let of = (world.arms.against(1).into_iter().zip(&world.outcomes))
            .filter(|(arm, _)| *arm == Some(treated))
            .map(|(_, outcome)| *outcome)
            .collect::<Vec<f64>>();
        of.iter().sum::<f64>() / of.len() as f64
    };
    let truth = world.effects.iter().sum::<f64>() / world.effects.len() as f64;
    let naive = mean(true) - mean(false) - truth;
    assert!(naive > 0.06, "the comparison of arms is wrong by {naive}");
    let own: Vec<f64> = (world.propensities.chunks_exact(2).zip(world.arms.codes()))
        .map(|(line, code)| line[*code as usize])
        .collect();
    for learner in [Learner::X, Learner::R, Learner::DoublyRobust] {
        for propensities in [
            Propensities::PerRow(&world.propensities),
            Propensities::Logged(&own),
            Propensities::Estimated,
        ] {
            let trial = world.trial(&columns, propensities);
            let [[error, flat, moved]] = learned(&world, &trial, &settings(learner, false))[..]
            else {
                panic!("one treatment");
            };
            assert!(
                error < 0.8 * flat,
                "{learner:?}: {error} where the mean has {flat}"
            );
            assert!(
                moved.abs() < 0.03,
                "{learner:?}: the mean is off by {moved}"
            );
        }
    }
}

#[test]
fn several_treatments_have_propensities_of_their_own() {
    let world = World::new(12_000, 2, false, true, 21);
    let columns = world.columns();
    let own: Vec<f64> = (world.propensities.chunks_exact(3).zip(world.arms.codes()))
        .map(|(line, code)| line[*code as usize])
        .collect();
    for (learner, propensities) in [
        (Learner::DoublyRobust, Propensities::Logged(&own)),
        (Learner::DoublyRobust, Propensities::Estimated),
        (Learner::R, Propensities::Estimated),
        (Learner::X, Propensities::Estimated),
    ] {
        let trial = world.trial(&columns, propensities);
        for [error, flat, moved] in learned(&world, &trial, &settings(learner, false)) {
            assert!(
                error < 0.9 * flat,
                "{learner:?}: {error} where the mean has {flat}"
            );
            assert!(
                moved.abs() < 0.035,
                "{learner:?}: the mean is off by {moved}"
            );
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_model() {
    let world = World::new(2_000, 1, true, false, 3);
    let columns = world.columns();
    let held = World::new(300, 1, true, false, 4);
    let told = |learner, seed| {
        let settings = Settings {
            seed,
            ..settings(learner, true)
        };
        let model = fit(&world.trial(&columns, Propensities::Shares), &settings).expect("a model");
        model.effects(&held.columns()).expect("effects").values
    };
    for learner in Learner::ALL {
        assert_eq!(told(learner, 1), told(learner, 1), "{learner:?}");
    }
    assert_ne!(
        told(Learner::DoublyRobust, 1),
        told(Learner::DoublyRobust, 2),
        "folds of their own"
    );
    assert_eq!(told(Learner::T, 1), told(Learner::T, 2), "no folds");
}

#[test]
fn rows_of_no_weight_are_as_if_they_were_not_there() {
    let world = World::new(4_000, 1, false, false, 11);
    let columns = world.columns();
    // Half of the rows have outcomes that are far off, and no weight.
    let weights: Vec<f64> = (0..4_000)
        .map(|row| f64::from(u8::from(row % 2 == 0)))
        .collect();
    let outcomes: Vec<f64> = (world.outcomes.iter().zip(&weights))
        .map(|(outcome, weight)| {
            if *weight == 0.0 {
                outcome + 50.0 * world.features[1][0]
            } else {
                *outcome
            }
        })
        .collect();
    for learner in Learner::ALL {
        let trial = Trial {
            outcomes: &outcomes,
            weights: Some(&weights),
            ..world.trial(&columns, Propensities::Shares)
        };
        for [error, _, moved] in learned(&world, &trial, &settings(learner, false)) {
            assert!(
                error < 0.12 && moved.abs() < 0.04,
                "{learner:?}: {error}, {moved}"
            );
        }
    }
}
