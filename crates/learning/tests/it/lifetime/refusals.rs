//! What cannot be learned from is refused by name.

use luopan_learning::gbdt::Kind;
use luopan_learning::lifetime::{Error, evaluate, learn};

use super::world::{ByState, Logged, World};
use super::{all, judged, settings};

fn refused(spoil: impl FnOnce(&mut Logged)) -> String {
    let mut logged = World::tiring().log(20, 6, 1);
    spoil(&mut logged);
    let features = logged.column(Kind::Number);
    let t = logged.trajectories(&features);
    t.expect_err("refused").to_string()
}

#[test]
fn columns() {
    let no = |x: f64| move |l: &mut Logged| l.propensities[4] = x;
    for (found, word) in [(f64::NAN, "NaN"), (0.0, "0"), (1.5, "1.5")] {
        let words = refused(no(found));
        assert!(
            words.starts_with(&format!("row 5: the propensity is {word}: write")),
            "{words}"
        );
    }
    assert_eq!(
        refused(|l| l.rewards[2] = f64::INFINITY),
        "row 3, the reward: inf where a finite number is wanted"
    );
    assert_eq!(
        refused(|l| l.states[2] = f64::INFINITY),
        "row 3, state: inf where a finite number is wanted, NaN where one is missing"
    );
    assert_eq!(
        refused(|l| l.steps[1] = l.steps[0]),
        "customer \"c0\" has step 0 twice: a customer does one thing at a step"
    );
    let words = refused(|l| {
        let last = l.customers.iter().rposition(|c| *c == "c0").expect("rows");
        l.ends[last] = false;
        l.steps[last] += 3;
    });
    assert!(
        words.starts_with("customer \"c0\" has no row between steps "),
        "{words}"
    );
    assert_eq!(
        refused(|l| l.ends[0] = true),
        "customer \"c0\" has a row behind step 0, which is marked as her end"
    );
    assert_eq!(
        refused(|l| l.actions.fill(1)),
        "every row has the action \"action 1\": there is nothing to choose between"
    );
    assert_eq!(
        refused(|l| l.actions[3] = 9),
        "row 4: action 9: there are 2, counted from 0"
    );
    assert_eq!(refused(|l| *l = Logged::default()), "there are no rows");
    assert_eq!(
        refused(|l| {
            l.rewards.pop();
        }),
        {
            let rows = World::tiring().log(20, 6, 1).rewards.len();
            format!("the rewards: {} values: wanted are {rows}", rows - 1)
        }
    );
}

#[test]
fn settings_and_customers() {
    let logged = World::tiring().log(20, 6, 1);
    let features = logged.column(Kind::Number);
    let t = logged.trajectories(&features).expect("trajectories");
    let policy = ByState {
        states: &logged.states,
        shares: vec![0.5; 4],
    };
    let folds = [0, 1].repeat(10);
    let found = evaluate(&t, &all(20), &folds, |_| &policy, &judged(7, 1.0));
    let words = found.expect_err("cut").to_string();
    assert!(
        words.contains("end after 6 of 7 steps: look at most 6 steps ahead"),
        "{words}"
    );
    let found = evaluate(&t, &all(20), &[0; 20], |_| &policy, &judged(5, 1.0));
    assert!(matches!(found, Err(Error::Few { .. })), "{found:?}");
    for (horizon, discount) in [(0, 1.0), (5, 0.0), (5, 1.1), (2_000, 1.0)] {
        let found = learn(&t, &all(20), &settings(horizon, discount));
        assert!(matches!(found, Err(Error::Setting { .. })), "{found:?}");
    }
    let found = learn(&t, &[], &settings(5, 1.0));
    assert!(matches!(found, Err(Error::Few { .. })), "{found:?}");

    let mut short = World::tiring().log(20, 1, 1);
    short.ends.fill(false);
    let features = short.column(Kind::Number);
    let t = short.trajectories(&features).expect("trajectories");
    let found = learn(&t, &all(20), &settings(2, 1.0));
    assert!(
        matches!(
            found,
            Err(Error::Cut {
                found: 1,
                wanted: 2,
                ..
            })
        ),
        "{found:?}"
    );
}
