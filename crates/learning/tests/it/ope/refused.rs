//! Warnings, refusals and the promotion rule.

use luopan_learning::ope::{
    Columns, Error, Estimator, Limits, Logs, Method, Policy, Ragged, Range, Refusal, Rule, Table,
    Target, Verdict, Warning, diagnose, interval, promote, unsupported_mass,
};

use super::{MODEL, POLICY, World};

fn columns<'a>(rewards: &'a [f64], propensities: &'a [f64]) -> Columns<'a> {
    Columns {
        actions: &[0, 1, 1],
        action_count: 3,
        rewards,
        propensities,
        weights: None,
    }
}

#[test]
fn logs_that_cannot_be_evaluated_are_refused_with_the_row() {
    let good = [1.0, 0.5, 0.5];
    for (found, words) in [(0.0, "0"), (f64::NAN, "NaN"), (1.5, "1.5"), (-0.1, "-0.1")] {
        let error = Logs::new(columns(&[1.0; 3], &[0.5, found, 0.5])).expect_err("refused");
        let said = format!("row 1: the propensity is {words}: ");
        assert!(error.to_string().starts_with(&said), "{error}");
    }
    let refused = |columns| Logs::new(columns).expect_err("refused");
    assert_eq!(
        refused(columns(&[1.0, 0.0, f64::INFINITY], &good)),
        Error::Value {
            column: "reward",
            row: 2,
            found: f64::INFINITY
        }
    );
    assert_eq!(
        refused(columns(&[1.0], &good)),
        Error::Length {
            column: "rewards",
            found: 1,
            wanted: 3
        }
    );
    let mut wrong = columns(&[1.0; 3], &good);
    wrong.action_count = 1;
    assert_eq!(
        refused(wrong),
        Error::Index {
            column: "action",
            row: 1,
            found: 1,
            count: 1
        }
    );
    wrong.actions = &[];
    assert_eq!(refused(wrong), Error::Empty);
    let mut weighted = columns(&[1.0; 3], &good);
    weighted.weights = Some(&[1.0, -1.0, 1.0]);
    assert_eq!(
        refused(weighted),
        Error::Value {
            column: "weight",
            row: 1,
            found: -1.0
        }
    );
    weighted.weights = Some(&[0.0; 3]);
    assert!(matches!(refused(weighted), Error::Setting { .. }));
}

#[test]
fn policies_that_are_none_are_refused() {
    let logs = Logs::new(columns(&[1.0, 0.0, 1.0], &[1.0, 0.5, 0.5])).expect("logs");
    let refused = |values: &[f64]| {
        let distribution = Table::by_context(values, 3, &[0, 0, 0]);
        let predictions = None;
        let policy = Policy::Table {
            distribution,
            predictions,
        };
        Target::new(&logs, &policy).expect_err("refused")
    };
    assert_eq!(refused(&[0.5, 0.4, 0.0]), Error::Sum { row: 0, found: 0.9 });
    assert_eq!(
        refused(&[1.5, -0.5, 0.0]),
        Error::Probability {
            row: 0,
            action: 0,
            found: 1.5
        }
    );
    assert!(matches!(refused(&[0.5, 0.5]), Error::Length { .. }));
    let ragged = |actions: &[u32], predictions: Option<&[f64]>| {
        let ragged = Ragged {
            offsets: &[0, 2, 4, 6],
            actions,
            probabilities: &[0.5; 6],
            predictions,
        };
        Target::new(&logs, &Policy::Ragged(ragged))
    };
    assert_eq!(
        ragged(&[0, 1, 2, 1, 0, 1], None),
        Err(Error::Unsorted { row: 1 })
    );
    assert_eq!(
        ragged(&[0, 1, 0, 2, 0, 1], Some(&[0.0; 6])),
        Err(Error::Unpredicted { row: 1, action: 1 })
    );
    // Not listed is probability zero.
    let target = ragged(&[0, 1, 0, 2, 0, 1], None).expect("a target");
    assert_eq!(target.weights(), [0.5, 0.0, 1.0]);
    let error = Estimator::Direct
        .terms(&logs, &target)
        .expect_err("refused");
    assert_eq!(error, Error::NeedsPredictions { estimator: "dm" });
}

#[test]
fn what_the_logs_do_not_tell_is_a_warning_with_numbers() {
    let world = World::new(2_000, 3);
    let logs = world.logs();
    let (found, warnings) =
        diagnose(&logs, &world.target(&POLICY, &MODEL), &Limits::default()).expect("a diagnosis");
    assert!(warnings.is_empty(), "{warnings:?}");
    assert!(found.effective_rows > 1_000.0 && found.effective_rows < 2_000.0);
    assert_eq!(found.weight_most, 2.0);
    assert_eq!(found.never_taken, 0.0);
    assert!((found.weight_mean - 1.0).abs() < 4.0 * found.weight_mean_error);

    // Half of a policy's mass on an action that was never logged.
    let columns = Columns {
        action_count: 4,
        ..world.columns()
    };
    let logs = Logs::new(columns).expect("logs");
    let distribution = Table::by_context(&[0.5, 0.0, 0.0, 0.5], 4, &world.contexts)
        .at_positions(&world.contexts, 1);
    assert!(
        Target::new(
            &logs,
            &Policy::Table {
                distribution,
                predictions: None
            }
        )
        .is_err()
    );
    let zeros = vec![0; 2_000];
    let distribution = Table::by_context(&[0.5, 0.0, 0.0, 0.5], 4, &zeros);
    let policy = Policy::Table {
        distribution,
        predictions: None,
    };
    let target = Target::new(&logs, &policy).expect("a target");
    let (found, warnings) = diagnose(&logs, &target, &Limits::default()).expect("a diagnosis");
    assert_eq!(found.unlogged_most, Some((3, 0.5)));
    assert!(warnings.contains(&Warning::Unlogged {
        mass: 0.5,
        action: 3,
        most: 0.01
    }));
    assert!(
        warnings
            .iter()
            .any(|found| matches!(found, Warning::MeanWeight { p, .. } if *p < 1e-9))
    );
    let shares = world.actions.iter().filter(|action| **action != 0).count() as f64 / 2_000.0;
    assert!((found.never_taken - shares).abs() < 1e-12);
    let logging = Table::by_context(&[0.4, 0.3, 0.3, 0.0], 4, &zeros);
    assert_eq!(unsupported_mass(&logs, &distribution, &logging), Ok(0.5));

    // Propensities that are too small by half.
    let wrong: Vec<f64> = world.propensities.iter().map(|p| p / 2.0).collect();
    let columns = Columns {
        propensities: &wrong,
        ..world.columns()
    };
    let logs = Logs::new(columns).expect("logs");
    let target = Target::new(&logs, &world.policy(&POLICY, &MODEL)).expect("a target");
    let (_, warnings) = diagnose(&logs, &target, &Limits::default()).expect("a diagnosis");
    assert!(matches!(warnings[..], [Warning::MeanWeight { mean, .. }] if (mean - 2.0).abs() < 0.1));

    // One row with nearly all of the weight.
    let mut rare = world.propensities.clone();
    rare[7] = 1e-6;
    let columns = Columns {
        propensities: &rare,
        ..world.columns()
    };
    let logs = Logs::new(columns).expect("logs");
    let target = Target::new(&logs, &world.policy(&POLICY, &MODEL)).expect("a target");
    let (found, warnings) = diagnose(&logs, &target, &Limits::default()).expect("a diagnosis");
    assert_eq!(found.weight_most_row, 7);
    assert!(found.effective_rows < 1.1);
    assert!(matches!(
        warnings[..],
        [
            Warning::FewEffectiveRows { .. },
            Warning::OneRow { row: 7, .. }
        ]
    ));
}

#[test]
fn intervals_that_would_not_hold_are_refused() {
    let world = World::new(100, 1);
    let (logs, target) = (world.logs(), world.target(&POLICY, &MODEL));
    let ips = Estimator::Ips { clip: None }
        .terms(&logs, &target)
        .expect("terms");
    let range = Range {
        least: 0.0,
        most: 1.0,
    };
    let error = interval(&ips, &Method::EmpiricalBernstein(range), 0.95).expect_err("refused");
    assert!(
        matches!(error, Error::OutOfRange { found, .. } if found > 1.0),
        "{error}"
    );
    let snips = Estimator::SelfNormalised
        .terms(&logs, &target)
        .expect("terms");
    let error = interval(&snips, &Method::EmpiricalBernstein(range), 0.95).expect_err("refused");
    assert!(
        error
            .to_string()
            .starts_with("snips with these logs is a ratio"),
        "{error}"
    );
    for level in [0.0, 1.0, f64::NAN] {
        assert!(interval(&ips, &Method::Normal, level).is_err());
    }
    // One resample tells nothing of a level.
    for resamples in [0, 1, 19] {
        let method = Method::Bootstrap { resamples, seed: 1 };
        let error = interval(&ips, &method, 0.95).expect_err("refused");
        let wanted = format!("number of resamples is {resamples}: write 20 to 1,000,000");
        assert_eq!(error.to_string(), wanted);
    }
    // A policy that takes nothing of what was logged has no self-normalised value.
    let first = Columns {
        actions: &[0; 100],
        ..world.columns()
    };
    let logs = Logs::new(first).expect("logs");
    let never = [0.0, 1.0, 0.0, 0.0, 1.0, 0.0];
    let target = Target::new(&logs, &world.policy(&never, &MODEL)).expect("a target");
    let error = Estimator::SelfNormalised
        .terms(&logs, &target)
        .expect_err("refused");
    assert_eq!(error, Error::NoOverlap { rows: 100 });
}

fn rule(margin: f64) -> Rule {
    Rule {
        estimator: Estimator::DoublyRobust { clip: None },
        method: Method::Bootstrap {
            resamples: 500,
            seed: 9,
        },
        level: 0.95,
        margin,
        effective_rows_least: 200.0,
        unlogged_most: 0.01,
    }
}

fn reasons(verdict: Verdict) -> Vec<Refusal> {
    match verdict {
        Verdict::Refused { reasons, .. } => reasons,
        Verdict::Promoted(comparison) => panic!("promoted: {comparison:?}"),
    }
}

#[test]
fn a_candidate_is_promoted_only_where_it_is_not_worse_by_more_than_the_margin() {
    let world = World::new(5_000, 17);
    // The best action of each context is worth .55, the worst .15, the logged mix less than the best.
    let (best, worst) = (
        [0.0, 1.0, 0.0, 1.0, 0.0, 0.0],
        [1.0, 0.0, 0.0, 0.0, 1.0, 0.0],
    );
    let best = world.policy(&best, &MODEL);
    let worst = world.policy(&worst, &MODEL);
    let verdict = promote(&world.columns(), &best, &Policy::AsLogged, &rule(0.0));
    let Verdict::Promoted(found) = verdict else {
        panic!("{verdict:?}");
    };
    assert!(
        found.difference.lower > 0.1 && (found.candidate - 0.55).abs() < 0.05,
        "{found:?}"
    );
    let found = reasons(promote(&world.columns(), &worst, &best, &rule(0.1)));
    assert!(
        matches!(found[..], [Refusal::MayBeWorse { lower, margin }] if lower < -0.3 && margin == 0.1)
    );
    // The same policy differs by nothing, and no margin is needed.
    assert!(promote(&world.columns(), &best, &best, &rule(0.0)).promoted());
    // A difference within the margin is let through, the same one is refused without it.
    let near = [0.15, 0.55, 0.3, 0.5, 0.2, 0.3];
    let (near, policy) = (world.policy(&near, &MODEL), world.policy(&POLICY, &MODEL));
    assert!(promote(&world.columns(), &near, &policy, &rule(0.05)).promoted());
    assert!(!promote(&world.columns(), &near, &policy, &rule(0.0)).promoted());
}

#[test]
fn a_refusal_says_why_with_the_numbers() {
    let world = World::new(300, 18);
    let policy = world.policy(&POLICY, &MODEL);
    let mut strict = rule(0.5);
    strict.effective_rows_least = 290.0;
    let found = reasons(promote(
        &world.columns(),
        &policy,
        &Policy::AsLogged,
        &strict,
    ));
    assert!(
        matches!(found[..], [Refusal::FewEffectiveRows { policy: "candidate", found, .. }] if found < 290.0)
    );
    let mut broken = world.propensities.clone();
    broken[42] = 0.0;
    let columns = Columns {
        propensities: &broken,
        ..world.columns()
    };
    let found = reasons(promote(&columns, &policy, &Policy::AsLogged, &rule(0.5)));
    let zero = Error::Propensity {
        row: 42,
        found: 0.0,
    };
    assert_eq!(found, [Refusal::Unusable(zero)]);
    let columns = Columns {
        actions: &[0; 300],
        ..world.columns()
    };
    let found = reasons(promote(&columns, &policy, &Policy::AsLogged, &rule(0.5)));
    assert!(
        found
            .iter()
            .any(|reason| matches!(reason, Refusal::Unlogged { found, .. } if *found > 0.4))
    );
    let mut wrong = rule(-0.1);
    let found = reasons(promote(
        &world.columns(),
        &policy,
        &Policy::AsLogged,
        &wrong,
    ));
    assert!(
        found[0].to_string().starts_with("margin is -0.1: "),
        "{found:?}"
    );
    wrong = rule(0.1);
    wrong.level = 2.0;
    assert!(!promote(&world.columns(), &policy, &Policy::AsLogged, &wrong).promoted());
}
