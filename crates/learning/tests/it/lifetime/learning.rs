//! Fitted Q iteration finds what dynamic programming does.

use luopan_learning::gbdt::Kind;
use luopan_learning::lifetime::{Learned, Regressor, Settings, Trajectories, learn};
use proptest::prelude::*;

use super::world::{Logged, World};
use super::{CELLS, all, settings};

/// What a learned policy is worth in the world that it was learned from.
fn worth(world: &World, logged: &Logged, learned: &Learned, horizon: usize, discount: f64) -> f64 {
    let row_of = |state: usize| logged.states.iter().position(|s| *s == state as f64);
    world.value(horizon, discount, |state, to_go, line| {
        let row = row_of(state).expect("a row of each state");
        let chosen = learned.choices.at(row, to_go);
        (0..line.len())
            .map(|a| f64::from(u8::from(a == chosen)))
            .collect()
    })
}

fn learned(t: &Trajectories<'_>, settings: &Settings) -> Learned {
    learn(t, &all(t.customers()), settings).expect("learned")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn ample_data_give_the_best_policy(seed in 0u64..1_000_000, double: bool) {
        let (horizon, discount) = (5, 0.9);
        let world = World::any(seed);
        let logged = world.log(4_000, 8, seed + 1);
        let features = logged.column(Kind::Category);
        let t = logged.trajectories(&features).expect("trajectories");
        let found = learned(&t, &Settings { double, ..settings(horizon, discount) });
        let (best, worth) = (world.best(horizon, discount), worth(&world, &logged, &found, horizon, discount));
        prop_assert!(worth >= 0.99 * best, "{worth} of {best}");
        // Values are those of dynamic programming, state by state.
        let truth = world.values(horizon, discount, |_, _, line| super::world::greedy(line));
        let last = &truth[horizon - 1];
        for (row, state) in logged.states.iter().enumerate().take(200) {
            for action in 0..world.actions {
                let told = found.values[row * world.actions + action];
                let truth = last[*state as usize * world.actions + action];
                prop_assert!((told - truth).abs() < 0.12, "state {state}, action {action}: {told}, {truth}");
            }
        }
        prop_assert_eq!(&found, &learned(&t, &Settings { double, ..settings(horizon, discount) }));
    }
}

#[test]
fn resting_who_is_tired_beats_what_pays_most_now() {
    let (horizon, discount) = (12, 0.95);
    let world = World::tiring();
    let logged = world.log(3_000, 14, 5);
    let mut few = Regressor::trees(1);
    if let Regressor::Trees(parameters) = &mut few {
        parameters.min_data_in_leaf = 20;
    }
    for regressor in [CELLS, few] {
        let features = logged.column(Kind::Number);
        let t = logged.trajectories(&features).expect("trajectories");
        let far = learned(
            &t,
            &Settings {
                regressor: regressor.clone(),
                ..settings(horizon, discount)
            },
        );
        let near = learned(
            &t,
            &Settings {
                regressor,
                ..settings(1, discount)
            },
        );
        let (far, near) = (
            worth(&world, &logged, &far, horizon, discount),
            worth(&world, &logged, &near, horizon, discount),
        );
        let best = world.best(horizon, discount);
        assert!(far > 0.995 * best, "{far} of {best}");
        assert!(near < 0.7 * best, "{near} of {best}");
    }
}

#[test]
fn nobody_judges_what_he_chose_himself() {
    // Rewards are noise: every action is worth nothing, and the best of ten looks like something.
    let world = World {
        states: 1,
        actions: 10,
        moves: [1.0, 0.0].repeat(10),
        rewards: vec![0.0; 10],
        noise: 1.0,
        logging: vec![0.1; 10],
        first: vec![1.0],
    };
    let mut sums = [0.0, 0.0];
    for seed in 0..20 {
        let logged = world.log(100, 9, seed);
        let features = logged.column(Kind::Category);
        let t = logged.trajectories(&features).expect("trajectories");
        for (sum, double) in sums.iter_mut().zip([false, true]) {
            let found = learned(
                &t,
                &Settings {
                    double,
                    ..settings(8, 1.0)
                },
            );
            *sum += found.values[..10].iter().sum::<f64>() / 10.0 / 20.0;
        }
    }
    assert!(sums[0] > 0.8, "{sums:?}");
    assert!(sums[1].abs() < 0.3, "{sums:?}");
}

#[test]
fn what_was_hardly_tried_is_not_taken() {
    // The third action was logged once in five hundred steps, and pays by far the most.
    let world = World {
        states: 1,
        actions: 3,
        moves: [1.0, 0.0].repeat(3),
        rewards: vec![0.0, 0.5, 5.0],
        noise: 0.1,
        logging: vec![0.499, 0.499, 0.002],
        first: vec![1.0],
    };
    let logged = world.log(2_000, 4, 3);
    let features = logged.column(Kind::Category);
    let t = logged.trajectories(&features).expect("trajectories");
    for (min_share, wanted) in [(0.05, 1), (0.0, 2)] {
        let found = learned(
            &t,
            &Settings {
                min_share,
                ..settings(3, 1.0)
            },
        );
        assert!((0..t.rows()).all(|row| found.choices.at(row, 3) == wanted));
        assert_eq!(found.permitted[2], min_share == 0.0);
    }
}

#[test]
fn values_settle_and_more_steps_are_taken_for_the_same() {
    let world = World::any(11);
    let logged = world.log(2_000, 30, 3);
    let features = logged.column(Kind::Category);
    let t = logged.trajectories(&features).expect("trajectories");
    let found = learned(
        &t,
        &Settings {
            tolerance: 0.01,
            ..settings(500, 0.8)
        },
    );
    let settled = found.settled.expect("settled");
    assert!((10..40).contains(&settled), "{settled}");
    assert_eq!(found.changes.len(), settled);
    assert!(
        found
            .changes
            .windows(2)
            .all(|pair| pair[1].change < 1.2 * pair[0].change)
    );
    assert!((0..t.rows()).all(|row| found.choices.at(row, 400) == found.choices.at(row, settled)));
}

#[test]
fn rows_that_were_not_learned_from_are_chosen_for_alike() {
    let world = World::tiring();
    let mut logged = world.log(1_000, 14, 5);
    logged
        .states
        .iter_mut()
        .step_by(7)
        .for_each(|s| *s = f64::NAN);
    for (kind, regressor) in [
        (Kind::Category, CELLS),
        (Kind::Number, CELLS),
        (Kind::Number, Regressor::trees(1)),
    ] {
        let features = logged.column(kind);
        let t = logged.trajectories(&features).expect("trajectories");
        let half: Vec<u32> = (0..500).collect();
        let wanted = Settings {
            regressor,
            ..settings(6, 0.9)
        };
        let found = learn(&t, &half, &wanted).expect("learned");
        for to_go in 1..=6 {
            let told = found.choose(&features, None, to_go).expect("chosen");
            for (row, told) in told.into_iter().enumerate() {
                assert_eq!(usize::from(told), found.choices.at(row, to_go));
            }
        }
        // Who is known to be tired rests, and who is fresh does not, whatever is known of others.
        for (row, state) in logged
            .states
            .iter()
            .enumerate()
            .filter(|(_, s)| !s.is_nan())
        {
            assert_eq!(found.choices.at(row, 6), usize::from(*state == 0.0));
        }
        let only: Vec<bool> = [true, false].repeat(t.rows());
        let told = found.choose(&features, Some(&only), 6).expect("chosen");
        assert!(told.iter().all(|action| *action == 0));
    }
}
