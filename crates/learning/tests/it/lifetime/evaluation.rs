//! What is said of policies: the truth within its intervals, and with one step what `ope` says.

use luopan_learning::gbdt::{Column, Kind};
use luopan_learning::lifetime::{
    Columns, Error, Estimator, Evaluation, Judged, Policy, Shares, Trajectories, Warning,
    difference, evaluate,
};
use luopan_learning::ope;

use super::world::{ByState, Logged, World, normalised};
use super::{all, judged};

fn folds(customers: usize) -> Vec<u32> {
    ope::folds::shuffled(customers, 2, 9).expect("folds")
}

fn said(t: &Trajectories<'_>, policy: &dyn Policy, settings: &Judged) -> Result<Evaluation, Error> {
    evaluate(
        t,
        &all(t.customers()),
        &folds(t.customers()),
        |_| policy,
        settings,
    )
}

/// A policy a little apart from the logged one.
fn shares(world: &World) -> Vec<f64> {
    let line = |line: &[f64]| {
        let apart = |(a, p): (usize, &f64)| p * if a == 0 { 1.8 } else { 0.8 };
        normalised(line.iter().enumerate().map(apart).collect())
    };
    world.logging.chunks(world.actions).flat_map(line).collect()
}

#[test]
fn intervals_hold_as_often_as_they_say() {
    let (horizon, discount, runs) = (4, 0.95, 300);
    let mut covered = [0; 5];
    let mut logged_covered = 0;
    let mut errors = [0.0; 5];
    for run in 0..runs {
        let world = World::any(100 + run % 5);
        let shares = shares(&world);
        let by = |shares: &[f64], state: usize| {
            shares[state * world.actions..(state + 1) * world.actions].to_vec()
        };
        let truth = world.value(horizon, discount, |state, _, _| by(&shares, state));
        let as_logged = world.value(horizon, discount, |state, _, _| by(&world.logging, state));
        let logged = world.log(250, horizon, 7_000 + run);
        let features = logged.column(Kind::Category);
        let t = logged.trajectories(&features).expect("trajectories");
        let policy = ByState {
            states: &logged.states,
            shares,
        };
        let settings = Judged {
            refits: 30,
            resamples: 400,
            seed: run,
            ..judged(horizon, discount)
        };
        let found = said(&t, &policy, &settings).expect("evaluated");
        let holds = |e: &luopan_learning::lifetime::Estimate, truth: f64| {
            let i = e.interval.expect("an interval");
            u32::from(i.lower <= truth && truth <= i.upper)
        };
        for (at, estimate) in found.estimates.iter().enumerate() {
            covered[at] += holds(estimate, truth);
            errors[at] += (estimate.value - truth).powi(2) / runs as f64;
        }
        logged_covered += holds(&found.logged, as_logged);
    }
    // 95 % of 300 are 285; four standard deviations are 15.
    for (estimator, covered) in Estimator::ALL
        .iter()
        .zip(covered)
        .chain([(&Estimator::FittedQ, logged_covered)])
    {
        assert!(
            (266..=300).contains(&covered),
            "{}: {covered} of {runs}",
            estimator.name()
        );
    }
    // Values of the right shape make weights tell less by chance.
    assert!(
        errors[Estimator::DoublyRobust as usize] < 0.8 * errors[Estimator::PerDecision as usize],
        "{errors:?}"
    );
}

#[test]
fn one_step_is_a_bandit() {
    let world = World::any(3);
    let logged = world.log(400, 1, 4);
    let features = logged.column(Kind::Category);
    let t = logged.trajectories(&features).expect("trajectories");
    let shares = shares(&world);
    let policy = ByState {
        states: &logged.states,
        shares: shares.clone(),
    };
    let settings = Judged {
        resamples: 300,
        seed: 5,
        ..judged(1, 1.0)
    };
    let found = said(&t, &policy, &settings).expect("evaluated");
    assert!(found.warnings.contains(&Warning::Bandit));

    let columns = ope::Columns {
        actions: &logged.actions,
        action_count: world.actions,
        rewards: &logged.rewards,
        propensities: &logged.propensities,
        weights: None,
    };
    let logs = ope::Logs::new(columns).expect("logs");
    let contexts: Vec<u32> = logged.states.iter().map(|s| *s as u32).collect();
    // Means of the other fold's cells are what the linear model of levels fits.
    let folds = folds(t.customers());
    let means = ope::folds::means(&logs, &contexts, world.states, &folds, 1e-12).expect("means");
    let distribution = ope::Table::by_context(&shares, world.actions, &contexts);
    let predictions = Some(ope::Table::by_context(
        &means.values,
        world.actions,
        &means.lines,
    ));
    let policy = ope::Policy::Table {
        distribution,
        predictions,
    };
    let target = ope::Target::new(&logs, &policy).expect("target");
    let pairs = [
        (Estimator::PerDecision, ope::Estimator::Ips { clip: None }),
        (
            Estimator::WeightedPerDecision,
            ope::Estimator::SelfNormalised,
        ),
        (Estimator::FittedQ, ope::Estimator::Direct),
        (
            Estimator::DoublyRobust,
            ope::Estimator::DoublyRobust { clip: None },
        ),
        (
            Estimator::WeightedDoublyRobust,
            ope::Estimator::SelfNormalisedDoublyRobust,
        ),
    ];
    let method = ope::Method::Percentiles {
        resamples: 300,
        seed: 5,
    };
    for (ours, theirs) in pairs {
        let terms = theirs.terms(&logs, &target).expect("terms");
        let estimate = found.of(ours);
        // Fitted cells go through Cholesky, means do not.
        assert!(
            (estimate.value - terms.value()).abs() < 1e-12,
            "{}",
            ours.name()
        );
        if let Some(interval) = estimate.interval {
            let wanted = ope::interval(&terms, &method, 0.95).expect("interval");
            assert!(
                (interval.lower - wanted.lower).abs() < 1e-12,
                "{}",
                ours.name()
            );
            assert!(
                (interval.upper - wanted.upper).abs() < 1e-12,
                "{}",
                ours.name()
            );
        }
    }
    let mean = logged.rewards.iter().sum::<f64>() / 400.0;
    assert!((found.logged.value - mean).abs() < 1e-12);
}

#[test]
fn the_logged_policy_is_worth_what_was_earned() {
    let world = World::any(8);
    let logged = world.log(500, 5, 4);
    let features = logged.column(Kind::Category);
    let t = logged.trajectories(&features).expect("trajectories");
    let policy = ByState {
        states: &logged.states,
        shares: world.logging.clone(),
    };
    let found = said(&t, &policy, &judged(5, 0.9)).expect("evaluated");
    for estimator in [Estimator::PerDecision, Estimator::WeightedPerDecision] {
        assert!((found.of(estimator).value - found.logged.value).abs() < 1e-12);
    }
    assert!(
        found
            .steps
            .iter()
            .all(|s| (s.effective - 500.0).abs() < 1e-9)
    );
    let same = difference(&found, &found, Estimator::DoublyRobust, 0.95).expect("difference");
    assert_eq!((same.lower, same.upper), (0.0, 0.0));
    assert_eq!(found.warnings, [Warning::NoRefits]);
}

#[test]
fn few_effective_customers_are_told() {
    let world = World {
        logging: vec![0.25; 4],
        actions: 4,
        states: 1,
        moves: [1.0, 0.0].repeat(4),
        rewards: vec![0.1, 0.2, 0.3, 0.4],
        noise: 0.1,
        first: vec![1.0],
    };
    let logged = world.log(300, 8, 4);
    let features = logged.column(Kind::Category);
    let t = logged.trajectories(&features).expect("trajectories");
    let always = ByState {
        states: &logged.states,
        shares: vec![0.0, 0.0, 0.0, 1.0],
    };
    let found = said(&t, &always, &judged(8, 1.0)).expect("evaluated");
    let few = found.warnings.iter().find_map(|w| match w {
        Warning::FewEffective { step, .. } => Some(*step),
        _ => None,
    });
    assert_eq!(few, Some(2), "{:?}", found.steps);
    assert!(
        found
            .warnings
            .iter()
            .any(|w| matches!(w, Warning::NoWeight { .. }))
    );
    // The values go on where weights end.
    assert!((found.of(Estimator::WeightedDoublyRobust).value - 3.2).abs() < 0.2);
    assert!(found.of(Estimator::WeightedPerDecision).value < 2.9);
}

#[test]
fn who_came_late_is_learned_from_and_not_judged_by() {
    let world = World::tiring();
    let mut logged = world.log(60, 6, 4);
    // The last twenty came when three steps were left.
    let is_late = |customer: &str| customer[1..].parse::<u32>().is_ok_and(|c| c >= 40);
    let keep: Vec<usize> = (0..logged.steps.len())
        .filter(|row| logged.steps[*row] >= 3 || !is_late(&logged.customers[*row]))
        .collect();
    fn take<T: Clone>(of: &mut Vec<T>, keep: &[usize]) {
        *of = keep.iter().map(|row| of[*row].clone()).collect();
    }
    take(&mut logged.customers, &keep);
    take(&mut logged.steps, &keep);
    take(&mut logged.states, &keep);
    take(&mut logged.actions, &keep);
    take(&mut logged.propensities, &keep);
    take(&mut logged.rewards, &keep);
    take(&mut logged.ends, &keep);
    let features = logged.column(Kind::Category);
    let t = logged.trajectories(&features).expect("trajectories");
    assert!(t.customers() > 40);
    assert_eq!(t.seen_for(3).len(), t.customers());
    assert_eq!(t.seen_for(4), all(40));
    assert_eq!(t.seen_for(7), all(0));
    let policy = ByState {
        states: &logged.states,
        shares: world.logging.clone(),
    };
    let everybody = all(t.customers());
    let parts = folds(t.customers());
    let found = evaluate(&t, &everybody, &parts, |_| &policy, &judged(4, 1.0));
    assert!(
        matches!(
            found,
            Err(Error::Cut {
                found: 3,
                wanted: 4,
                ..
            })
        ),
        "{found:?}"
    );
    let seen = t.seen_for(4);
    let found = evaluate(&t, &seen, &folds(40), |_| &policy, &judged(4, 1.0));
    assert_eq!(found.expect("evaluated").customers, 40);
}

#[test]
fn wrong_propensities_are_told() {
    let world = World::any(8);
    let mut logged = world.log(2_000, 3, 4);
    logged.propensities.iter_mut().for_each(|p| *p *= 0.7);
    let features = logged.column(Kind::Category);
    let t = logged.trajectories(&features).expect("trajectories");
    let policy = ByState {
        states: &logged.states,
        shares: shares(&world),
    };
    let found = said(&t, &policy, &judged(3, 1.0)).expect("evaluated");
    assert!(
        found
            .warnings
            .iter()
            .any(|w| matches!(w, Warning::MeanWeight { .. }))
    );
}

#[test]
fn a_policy_that_does_nothing_that_was_logged_is_refused() {
    let logged = Logged {
        customers: (0..4)
            .flat_map(|c| [format!("c{c}"), format!("c{c}")])
            .collect(),
        steps: [0, 1].repeat(4),
        states: vec![0.0; 8],
        actions: [0, 1].repeat(4),
        action_names: vec!["a".to_owned(), "b".to_owned()],
        propensities: vec![0.5; 8],
        rewards: vec![1.0; 8],
        ends: [false, true].repeat(4),
    };
    let features = logged.column(Kind::Number);
    let t = logged.trajectories(&features).expect("trajectories");
    let never = [0.0, 1.0].repeat(8);
    let found = said(&t, &Shares(&never), &judged(2, 1.0));
    assert_eq!(found, Err(Error::NoOverlap { customers: 4 }));
    let half = [0.5, 0.4].repeat(8);
    let found = said(&t, &Shares(&half), &judged(2, 1.0));
    assert!(
        matches!(found, Err(Error::Value { row: 0, .. })),
        "{found:?}"
    );
}

#[test]
fn what_is_not_allowed_may_not_be_likely() {
    let world = World::any(8);
    let logged = world.log(50, 2, 4);
    let features: [Column<'_>; 1] = logged.column(Kind::Category);
    let mut allowed = vec![true; logged.actions.len() * world.actions];
    let other = (logged.actions[6] as usize + 1) % world.actions;
    allowed[6 * world.actions + other] = false;
    let t = Trajectories::new(Columns {
        customers: &logged.customers,
        steps: &logged.steps,
        features: &features,
        actions: &logged.actions,
        action_names: &logged.action_names,
        propensities: &logged.propensities,
        rewards: &logged.rewards,
        allowed: Some(&allowed),
        ends: Some(&logged.ends),
    })
    .expect("trajectories");
    let policy = ByState {
        states: &logged.states,
        shares: world.logging.clone(),
    };
    let found = said(&t, &policy, &judged(2, 1.0));
    assert!(
        matches!(found, Err(Error::Value { row: 6, .. })),
        "{found:?}"
    );
}
