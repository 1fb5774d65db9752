//! Training of factors: planted structure is found, cold items are placed by what is known of them, nothing of after the
//! split is seen, and the same seed gives the same bytes.

use luopan_kernel::factors::Factors;
use luopan_kernel::random::Random;
use luopan_learning::factors::{
    CUSTOMERS_MIN, EXAMPLES_MIN, Error, Examples, Items, Report, Settings, train,
};
use proptest::prelude::*;

/// Kinds of customers and of items in the planted world.
const KINDS: usize = 6;

/// A world in which a customer of a kind mostly chooses items of that kind, and some items are liked more than others by all.
struct Planted {
    items: Items,
    examples: Examples,
}

fn planted(seed: u64, items: usize, examples: usize) -> Planted {
    let mut random = Random::new(seed);
    let mut world = Items {
        positions: KINDS,
        ..Items::default()
    };
    let mut weights = Vec::new();
    for i in 0..items {
        world.keys.push(format!("i{i:05}"));
        world.features.push([((i % KINDS) as u32, 1.0)]);
        weights.push(1.0 / (1.0 + random.uniform() * 20.0));
    }
    let mut out = Examples {
        positions: 1 + KINDS + 2,
        ..Examples::default()
    };
    for n in 0..examples {
        let customer = random.bits() % (examples as u64 / 10 + 20);
        let kind = (customer % KINDS as u64) as usize;
        let own = random.uniform() < 0.8;
        let item = loop {
            let i = (random.bits() % items as u64) as usize;
            if random.uniform() < weights[i] && (!own || i % KINDS == kind) {
                break i;
            }
        };
        let noise = (random.bits() % 2) as u32;
        out.features.push([
            (0, 1.0),
            (1 + kind as u32, 1.0),
            (1 + KINDS as u32 + noise, 1.0),
        ]);
        out.owners.push(customer);
        out.items.push(item as u32);
        out.weights.push(1.0);
        out.at.push(1_000 * n as i64);
        out.sources.push(0);
    }
    Planted {
        items: world,
        examples: out,
    }
}

fn fast() -> Settings {
    Settings {
        dimension: 8,
        epochs: 12,
        negatives: 128,
        ..Settings::default()
    }
}

fn trained(world: &Planted, settings: &Settings) -> (Factors, Report) {
    train(&world.items, &world.examples, settings).unwrap_or_else(|e| panic!("{e}"))
}

/// The customer of a kind.
fn of_kind(kind: usize) -> Vec<f64> {
    let mut features = vec![0.0; 1 + KINDS + 2];
    features[0] = 1.0;
    features[1 + kind] = 1.0;
    features
}

fn score(factors: &Factors, customer: &[f64], key: &str, item: &[f64]) -> f64 {
    let (vector, bias) = factors.item(key, item);
    let own = factors.customer(customer);
    let inner: f32 = own.iter().zip(&vector).map(|(a, b)| a * b).sum();
    f64::from(inner + bias)
}

#[test]
fn planted_structure_is_found() {
    let world = planted(7, 1_200, 30_000);
    // Items are drawn, and all are taken.
    for negatives in [256, 2_000] {
        let settings = Settings {
            negatives,
            ..fast()
        };
        let (_, report) = trained(&world, &settings);
        let (own, popular) = (report.figures, report.popularity);
        assert!(
            own.recall > 2.0 * popular.recall && own.ndcg > 1.5 * popular.ndcg,
            "{report:?}"
        );
        assert!(own.coverage > 2.0 * popular.coverage, "{report:?}");
        assert!(report.losses[0] > report.losses[report.best_epoch - 1]);
        assert_eq!(report.trained + report.watched + report.held_out, 30_000);
    }
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let world = planted(3, 300, 3_000);
    let (first, report) = trained(&world, &fast());
    let (again, reported_again) = trained(&world, &fast());
    assert_eq!(first.encode(), again.encode());
    assert_eq!(report, reported_again);
    let other = Settings { seed: 2, ..fast() };
    assert_ne!(trained(&world, &other).0.encode(), first.encode());
    assert_eq!(Factors::decode(&first.encode()).expect("readable"), first);
}

#[test]
fn cold_items_are_placed_by_what_is_known_of_them() {
    let world = planted(11, 600, 12_000);
    let (factors, _) = trained(&world, &fast());
    for kind in 0..KINDS {
        let mut item = vec![0.0; KINDS];
        item[kind] = 1.0;
        let cold = |customer: usize| score(&factors, &of_kind(customer), "new", &item);
        for other in (0..KINDS).filter(|k| *k != kind) {
            assert!(cold(kind) > cold(other) + 0.5, "{kind} {other}");
        }
    }
    // Without a feature nothing is known of it.
    let unknown = score(&factors, &of_kind(0), "new", &[0.0; KINDS]);
    assert_eq!(unknown, 0.0);
}

#[test]
fn nothing_of_after_the_split_is_seen() {
    let world = planted(5, 300, 4_000);
    let once = Settings {
        refit: false,
        ..fast()
    };
    let (before, report) = trained(&world, &once);
    let mut changed = Planted {
        items: world.items.clone(),
        examples: world.examples.clone(),
    };
    let mut others = 0;
    for e in 0..changed.examples.len() {
        if changed.examples.at[e] >= report.split_at.1 {
            changed.examples.items[e] = 299 - changed.examples.items[e];
            changed.examples.owners[e] += 1_000_000;
            others += 1;
        }
    }
    assert_eq!(others, report.held_out);
    let (after, other_report) = trained(&changed, &once);
    assert_eq!(before.encode(), after.encode());
    assert_eq!(report.losses, other_report.losses);
    assert_eq!(report.watched_losses, other_report.watched_losses);
    assert_ne!(report.figures, other_report.figures);
    // What is watched says when to stop and nothing more.
    let mut watched = Planted {
        items: world.items.clone(),
        examples: world.examples.clone(),
    };
    for e in 0..watched.examples.len() {
        let at = watched.examples.at[e];
        if at >= report.split_at.0 && at < report.split_at.1 {
            watched.examples.items[e] = 299 - watched.examples.items[e];
        }
    }
    let (_, other_report) = trained(&watched, &once);
    let both = report.losses.len().min(other_report.losses.len());
    assert_eq!(report.losses[..both], other_report.losses[..both]);
    assert_ne!(report.watched_losses, other_report.watched_losses);
}

#[test]
fn the_heaviest_kind_of_event_is_reported_on() {
    let mut world = planted(9, 300, 4_000);
    for e in 0..world.examples.len() {
        if e % 4 != 0 {
            world.examples.sources[e] = 1;
            world.examples.weights[e] = 0.1;
        }
    }
    let (_, report) = trained(&world, &fast());
    assert_eq!((report.held_out, report.ranked), (100, 100));
}

#[test]
fn what_cannot_be_learned_from_is_refused() {
    let world = || planted(1, 50, 400);
    let refused = |world: &Planted, settings: &Settings| {
        train(&world.items, &world.examples, settings).expect_err("refused")
    };
    for (settings, what) in [
        (
            Settings {
                dimension: 257,
                ..fast()
            },
            "dimension",
        ),
        (
            Settings {
                dimension: 0,
                ..fast()
            },
            "dimension",
        ),
        (
            Settings {
                epochs: 0,
                ..fast()
            },
            "epochs",
        ),
        (
            Settings {
                learning_rate: f64::NAN,
                ..fast()
            },
            "learning rate",
        ),
        (Settings { l2: -1.0, ..fast() }, "l2"),
        (
            Settings {
                negatives: 0,
                ..fast()
            },
            "negatives",
        ),
    ] {
        let found = refused(&world(), &settings);
        assert!(
            matches!(&found, Error::Range { what: w, .. } if *w == what),
            "{found}"
        );
    }
    let few = planted(1, 50, EXAMPLES_MIN - 1);
    assert!(matches!(refused(&few, &fast()), Error::Few { .. }));
    let mut one = world();
    one.examples.owners.fill(7);
    assert_eq!(
        refused(&one, &fast()),
        Error::Few {
            what: "customers",
            found: 1,
            least: CUSTOMERS_MIN
        }
    );
    let mut at_once = world();
    at_once.examples.at.fill(5);
    assert!(matches!(
        refused(&at_once, &fast()),
        Error::OneMoment { .. }
    ));
    let mut wrong = world();
    wrong.examples.items[3] = 50;
    assert!(refused(&wrong, &fast()).to_string().contains("example 3"));
    let mut wrong = world();
    wrong.examples.weights[4] = 0.0;
    assert!(refused(&wrong, &fast()).to_string().contains("example 4"));
    let mut wrong = world();
    wrong.items.keys.swap(0, 1);
    assert!(refused(&wrong, &fast()).to_string().contains("item 1"));
    let mut wrong = world();
    wrong.examples.positions = 1;
    assert!(refused(&wrong, &fast()).to_string().contains("example 0"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever the examples are, what is trained is stored and read, and its figures are shares.
    #[test]
    fn whatever_is_learned_from_gives_sound_factors(
        seed in any::<u64>(),
        items in 1usize..80,
        rate in 0.001f64..10.0,
        l2 in 0.0f64..10.0,
        weights in prop::collection::vec(1e-6f32..1e6, 1..5),
        scale in -1e5f64..1e5,
    ) {
        let mut world = planted(seed, items.max(KINDS), 200);
        for (e, w) in world.examples.weights.iter_mut().enumerate() {
            *w = weights[e % weights.len()];
        }
        let mut features = luopan_learning::factors::Sparse::default();
        for e in 0..200 {
            let row: Vec<_> = world.examples.features.row(e).collect();
            features.push(row.into_iter().map(|(p, v)| {
                (p as u32, if p == 0 { scale } else { f64::from(v) })
            }));
        }
        world.examples.features = features;
        let settings = Settings { learning_rate: rate, l2, epochs: 3, seed, negatives: 20, ..fast() };
        let (factors, report) = trained(&world, &settings);
        prop_assert_eq!(Factors::decode(&factors.encode()).expect("readable"), factors);
        for share in [report.figures.recall, report.figures.ndcg, report.figures.coverage] {
            prop_assert!((0.0..=1.0).contains(&share), "{:?}", report);
        }
    }
}
