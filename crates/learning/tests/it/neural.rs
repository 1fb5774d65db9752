//! The network under a neural-linear bandit: it finds what no line does, each arm's head sees its own rewards, and the same rows and
//! seed give the same bits.

use luopan_kernel::learn::{Posterior, on_reward_scale};
use luopan_kernel::network::Network;
use luopan_kernel::plan::{Feature, FeaturePlan, ModelKind, ModelPlan, ModelScope, SlotId};
use luopan_kernel::random::Random;
use luopan_learning::neural::{Error, Rows, Settings, train};

/// Two numbers within ±1 and two arms: the first pays where their signs agree, the second where they differ.
fn crossed(seed: u64, n: usize) -> (Vec<f64>, Vec<usize>, Vec<f64>) {
    let mut random = Random::new(seed);
    let (mut x, mut arms, mut rewards) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..n {
        let row = [2.0 * random.uniform() - 1.0, 2.0 * random.uniform() - 1.0];
        let arm = usize::from(random.uniform() < 0.5);
        let agree = (row[0] > 0.0) == (row[1] > 0.0);
        x.extend(row);
        arms.push(arm);
        rewards.push(f64::from(u8::from(agree == (arm == 0))));
    }
    (x, arms, rewards)
}

fn rows<'a>((x, arms, rewards): &'a (Vec<f64>, Vec<usize>, Vec<f64>)) -> Rows<'a> {
    Rows {
        inputs: 2,
        x,
        arms,
        rewards,
        weights: None,
    }
}

fn plan(dimension: usize) -> ModelPlan {
    let number = |i| FeaturePlan::Standard {
        slot: SlotId(i),
        mean: 0.0,
        scale: 1.0,
        clip: 1e6,
    };
    ModelPlan {
        name: "last layer".into(),
        kind: ModelKind::Logistic,
        scope: ModelScope::PerItem,
        reward: 0,
        catalogue: 0,
        features: (0..dimension as u16)
            .map(|i| Feature {
                plan: if i == 0 {
                    FeaturePlan::Intercept
                } else {
                    number(i)
                },
                prior_variance: 10.0,
            })
            .collect(),
        prior_intercept: 0.0,
        noise_variance: 1.0,
        drift_variance: 0.0,
        reward_bounds: (0.0, 1.0),
        replicates: 0,
    }
}

/// Share of right guesses of the first arm's reward by a belief learned over what `features` gives.
fn right(features: impl Fn(&[f64]) -> Vec<f64>) -> f64 {
    let (told, asked) = (crossed(2, 4_000), crossed(3, 2_000));
    let plan = plan(features(&[0.5, 0.5]).len());
    let mut belief = Posterior::prior(&plan);
    let mut room = Vec::new();
    for (i, x) in told.0.chunks(2).enumerate() {
        if told.1[i] == 0 {
            belief.update(&plan, &features(x), told.2[i], 1.0, &mut room);
        }
    }
    let is_right = |(i, x): (usize, &[f64])| {
        let p = on_reward_scale(plan.kind, belief.linear_mean(&features(x)));
        let pays = (asked.2[i] == 1.0) == (asked.1[i] == 0);
        (p > 0.5) == pays
    };
    let n = asked.1.len() as f64;
    asked
        .0
        .chunks(2)
        .enumerate()
        .filter(|v| is_right(*v))
        .count() as f64
        / n
}

fn through(network: &Network, x: &[f64]) -> Vec<f64> {
    let (mut out, mut room) = (Vec::new(), Vec::new());
    network.features(x, &mut out, &mut room);
    out
}

#[test]
fn beliefs_over_the_last_layer_find_what_no_line_does() {
    let data = crossed(1, 4_000);
    let settings = Settings {
        hidden: vec![16, 16],
        ..Settings::default()
    };
    let trained = train(&rows(&data), 2, &settings).unwrap();
    assert!(
        trained.losses[19] < trained.losses[0] / 3.0,
        "{:?}",
        trained.losses
    );
    let linear = right(|x| vec![1.0, x[0], x[1]]);
    let neural = right(|x| through(&trained.network, x));
    assert!(linear < 0.65, "{linear}");
    assert!(neural > 0.93, "{neural}");
}

#[test]
fn the_same_rows_and_seed_give_the_same_network() {
    let data = crossed(1, 300);
    let settings = Settings::default();
    let first = train(&rows(&data), 2, &settings).unwrap();
    assert_eq!(train(&rows(&data), 2, &settings).unwrap(), first);
    let other = Settings {
        seed: 1,
        ..settings
    };
    assert_ne!(
        train(&rows(&data), 2, &other).unwrap().network,
        first.network
    );
}

/// Rows of weight zero are not there; a row of weight two is there twice.
#[test]
fn rows_count_as_their_weights_say() {
    let mut data = crossed(1, 200);
    let settings = Settings {
        batch: 400,
        kind: ModelKind::Linear,
        ..Settings::default()
    };
    let weights = [vec![2.0; 200], vec![0.0; 200]].concat();
    let plain = train(&rows(&data), 2, &settings).unwrap();
    let wild = crossed(9, 200);
    data.0.extend(wild.0);
    data.1.extend(wild.1);
    data.2.extend(wild.2);
    let weighed = train(
        &Rows {
            weights: Some(&weights),
            ..rows(&data)
        },
        2,
        &settings,
    )
    .unwrap();
    for (a, b) in plain.losses.iter().zip(&weighed.losses) {
        assert!((a - b).abs() < 1e-9, "{a} {b}");
    }
}

#[test]
fn what_cannot_be_used_is_refused_with_what_was_found() {
    let data = crossed(1, 3);
    let said = |rows: &Rows<'_>, arms, settings: &Settings| {
        train(rows, arms, settings).unwrap_err().to_string()
    };
    let usual = Settings::default();
    assert!(matches!(
        train(
            &Rows {
                x: &[],
                arms: &[],
                rewards: &[],
                ..rows(&data)
            },
            2,
            &usual
        ),
        Err(Error::Empty)
    ));
    assert!(
        said(
            &Rows {
                inputs: 3,
                ..rows(&data)
            },
            2,
            &usual
        )
        .contains("has 6 values: wanted are 9")
    );
    let odd = Rows {
        rewards: &[0.0, 2.0, 1.0],
        ..rows(&data)
    };
    assert!(said(&odd, 2, &usual).contains("row 1: the reward is 2: write 0 to 1"));
    let odd = Rows {
        arms: &[0, 1, 2],
        ..rows(&data)
    };
    assert!(said(&odd, 2, &usual).contains("row 2: the arm is 2"));
    let odd = Rows {
        weights: Some(&[1.0, f64::NAN, 1.0]),
        ..rows(&data)
    };
    assert!(said(&odd, 2, &usual).contains("row 1: the weight is NaN"));
    let none = Settings {
        hidden: vec![],
        ..usual.clone()
    };
    assert!(said(&rows(&data), 2, &none).contains("hidden layers is 0"));
    let fast = Settings {
        rate: 1e9,
        epochs: 30,
        ..usual
    };
    assert!(said(&rows(&data), 2, &fast).contains("a smaller `rate`"));
}
