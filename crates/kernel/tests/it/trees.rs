//! Laws of ensembles of trees: they predict what the plainest walk over their parts gives, alone and together, before and after
//! being stored; and what is no ensemble is refused, as parts and as bytes.

use luopan_kernel::codec;
use luopan_kernel::trees::{
    CATEGORIES_MAX, Child, Ensemble, Error, FEATURES_MAX, LEAVES_MAX, NODES_MAX, OUTPUTS_MAX,
    Parts, Split, TREES_MAX, Test, Transform, Tree, ZERO_MAX,
};
use proptest::prelude::*;

/// The plainest walk, straight from the documentation of [`Test`].
fn oracle(parts: &Parts, row: &[f64]) -> Vec<f64> {
    let mut out = vec![0.0; parts.outputs];
    for (at, tree) in parts.trees.iter().enumerate() {
        let mut child = match tree.splits.len() {
            0 => Child::Leaf(0),
            _ => Child::Split(0),
        };
        let leaf = loop {
            let split = match child {
                Child::Leaf(leaf) => break leaf,
                Child::Split(split) => &tree.splits[split],
            };
            let value = row[split.feature];
            let holds = match &split.test {
                Test::AtMost {
                    threshold,
                    missing,
                    zero_is_missing,
                } => {
                    if value.is_nan() || (*zero_is_missing && value.abs() <= ZERO_MAX) {
                        *missing
                    } else {
                        value <= *threshold
                    }
                }
                Test::In { members } => {
                    let category = value.trunc();
                    category >= 0.0
                        && (category / 32.0) < members.len() as f64
                        && members[category as usize / 32] >> (category as usize % 32) & 1 == 1
                }
            };
            child = if holds { split.left } else { split.right };
        };
        out[at % parts.outputs] += tree.leaves[leaf];
    }
    out
}

/// Numbers that meet each other and hard ones.
fn number() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => (-4i8..5).prop_map(f64::from),
        2 => -40.0f64..40.0,
        1 => prop::sample::select(vec![
            0.0, -0.0, 1e-36, -1e-36, ZERO_MAX, -ZERO_MAX, 1e300, -1e300, f64::INFINITY, f64::NEG_INFINITY, 31.0, 32.0,
            65_535.0, 65_536.0, -0.5, 4e9, 1e19
        ]),
    ]
}

fn value() -> impl Strategy<Value = f64> {
    prop_oneof![5 => number(), 1 => Just(f64::NAN)]
}

fn test() -> impl Strategy<Value = Test> {
    prop_oneof![
        4 => (number(), any::<bool>(), prop::bool::weighted(0.2)).prop_map(
            |(threshold, missing, zero_is_missing)| Test::AtMost { threshold, missing, zero_is_missing }
        ),
        1 => prop::collection::vec(any::<u32>(), 0..4).prop_map(|members| Test::In { members }),
    ]
}

/// A tree grown leaf by leaf: each split takes the place of a leaf drawn among those there are.
fn tree(features: usize, plain: bool) -> impl Strategy<Value = Tree> {
    let split = (any::<prop::sample::Index>(), 0..features, test());
    (
        prop::collection::vec(split, 0..40),
        prop::collection::vec(-1e3f64..1e3, 41),
    )
        .prop_map(move |(splits, values)| {
            let mut tree = Tree {
                splits: Vec::new(),
                leaves: vec![values[0]],
            };
            for (place, feature, mut test) in splits {
                if plain {
                    test = match test {
                        Test::AtMost {
                            threshold, missing, ..
                        } => Test::AtMost {
                            threshold,
                            missing,
                            zero_is_missing: false,
                        },
                        Test::In { members } => Test::AtMost {
                            threshold: members.len() as f64,
                            missing: true,
                            zero_is_missing: false,
                        },
                    };
                }
                let leaf = Child::Leaf(place.index(tree.leaves.len()));
                let at = Child::Split(tree.splits.len());
                for split in &mut tree.splits {
                    for child in [&mut split.left, &mut split.right] {
                        if *child == leaf {
                            *child = at;
                        }
                    }
                }
                tree.splits.push(Split {
                    feature,
                    test,
                    left: leaf,
                    right: Child::Leaf(tree.leaves.len()),
                });
                tree.leaves.push(values[tree.leaves.len()]);
            }
            tree
        })
}

fn parts() -> impl Strategy<Value = Parts> {
    let transform = prop_oneof![
        Just(Transform::Identity),
        (0.1f64..3.0).prop_map(|steepness| Transform::Sigmoid { steepness }),
        Just(Transform::Exp),
        Just(Transform::SignedSquare),
        Just(Transform::LogOnePlusExp),
        Just(Transform::Softmax),
    ];
    (
        1usize..9,
        1usize..4,
        1usize..12,
        any::<bool>(),
        any::<bool>(),
        transform,
    )
        .prop_flat_map(|(features, outputs, rounds, averaged, plain, transform)| {
            prop::collection::vec(tree(features, plain), rounds * outputs).prop_map(move |trees| {
                Parts {
                    features: (0..features).map(|at| format!("f{at}")).collect(),
                    outputs,
                    averaged,
                    transform,
                    trees,
                }
            })
        })
}

fn bits(values: &[f64]) -> Vec<u64> {
    values.iter().map(|value| value.to_bits()).collect()
}

proptest! {
    #[test]
    fn an_ensemble_predicts_what_the_plainest_walk_gives(
        parts in parts(),
        values in prop::collection::vec(value(), 9 * 24),
        rows in 0usize..24,
        whole in any::<bool>(),
    ) {
        let ensemble = Ensemble::build(parts.clone()).unwrap();
        let width = parts.features.len();
        let mut rows: Vec<f64> = values[..rows * width].to_vec();
        if whole {
            rows.iter_mut().filter(|value| value.is_nan()).for_each(|value| *value = 7.0);
        }
        let mut raw = vec![0.0; rows.len() / width * parts.outputs];
        let mut done = raw.clone();
        ensemble.predict_raw_many(&rows, &mut raw);
        ensemble.predict_many(&rows, &mut done);
        let mut one = vec![0.0; parts.outputs];
        for (at, row) in rows.chunks(width).enumerate() {
            let places = at * parts.outputs..(at + 1) * parts.outputs;
            prop_assert_eq!(bits(&oracle(&parts, row)), bits(&raw[places.clone()]));
            ensemble.predict_raw_into(row, &mut one);
            prop_assert_eq!(bits(&one), bits(&raw[places.clone()]));
            ensemble.predict_into(row, &mut one);
            prop_assert_eq!(bits(&one), bits(&done[places.clone()]));
            if parts.outputs == 1 {
                prop_assert_eq!(ensemble.predict_raw(row).to_bits(), raw[at].to_bits());
                prop_assert_eq!(ensemble.predict(row).to_bits(), done[at].to_bits());
            }
        }
    }

    #[test]
    fn an_ensemble_is_stored_and_read_back(parts in parts()) {
        let ensemble = Ensemble::build(parts).unwrap();
        let bytes = ensemble.encode();
        let read = Ensemble::decode(&bytes).unwrap();
        prop_assert_eq!(&read, &ensemble);
        prop_assert_eq!(read.encode(), bytes);
    }

    #[test]
    fn changed_bytes_are_refused_or_are_an_ensemble(
        parts in parts(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let bytes = Ensemble::build(parts).unwrap().encode();
        prop_assert!(Ensemble::decode(&bytes[..cut.index(bytes.len())]).is_err());
        let mut longer = bytes.clone();
        longer.push(0);
        prop_assert!(Ensemble::decode(&longer).is_err());
        let mut changed = bytes;
        for (place, byte) in changes {
            let at = place.index(changed.len());
            changed[at] = byte;
        }
        if let Ok(read) = Ensemble::decode(&changed) {
            prop_assert_eq!(Ensemble::decode(&read.encode()).unwrap(), read);
        }
    }
}

fn at_most(threshold: f64) -> Test {
    Test::AtMost {
        threshold,
        missing: false,
        zero_is_missing: false,
    }
}

fn split(left: Child, right: Child) -> Split {
    Split {
        feature: 0,
        test: at_most(1.0),
        left,
        right,
    }
}

fn stump() -> Tree {
    Tree {
        splits: vec![split(Child::Leaf(0), Child::Leaf(1))],
        leaves: vec![1.0, 2.0],
    }
}

fn of(trees: Vec<Tree>) -> Parts {
    Parts {
        features: vec!["age".to_owned(), "balance".to_owned()],
        outputs: 1,
        averaged: false,
        transform: Transform::Identity,
        trees,
    }
}

fn refused(parts: Parts) -> String {
    Ensemble::build(parts).expect_err("no ensemble").to_string()
}

#[test]
fn parts_that_make_no_ensemble_are_refused_with_what_was_found() {
    let changed = |change: &dyn Fn(&mut Parts)| {
        let mut parts = of(vec![stump()]);
        change(&mut parts);
        refused(parts)
    };
    let told = [
        changed(&|parts| parts.features.clear()),
        changed(&|parts| parts.features = vec!["f".to_owned(); FEATURES_MAX + 1]),
        changed(&|parts| parts.features[1].clear()),
        changed(&|parts| parts.features[1] = "age".to_owned()),
        changed(&|parts| parts.outputs = 0),
        changed(&|parts| parts.outputs = OUTPUTS_MAX + 1),
        changed(&|parts| parts.outputs = 2),
        changed(&|parts| parts.trees.clear()),
        changed(&|parts| parts.trees = vec![stump(); TREES_MAX + 1]),
        changed(&|parts| {
            parts.transform = Transform::Sigmoid {
                steepness: f64::NAN,
            }
        }),
        changed(&|parts| parts.trees[0].leaves.clear()),
        changed(&|parts| parts.trees[0].leaves = vec![0.0; LEAVES_MAX + 1]),
        changed(&|parts| parts.trees[0].leaves.push(3.0)),
        changed(&|parts| parts.trees[0].leaves[1] = f64::INFINITY),
        changed(&|parts| parts.trees[0].splits[0].feature = 2),
        changed(&|parts| parts.trees[0].splits[0].test = at_most(f64::NAN)),
        changed(&|parts| {
            let mut members = vec![0; CATEGORIES_MAX / 32 + 1];
            members[CATEGORIES_MAX / 32] = 1;
            parts.trees[0].splits[0].test = Test::In { members };
        }),
        changed(&|parts| parts.trees[0].splits[0].left = Child::Split(0)),
        changed(&|parts| parts.trees[0].splits[0].left = Child::Split(1)),
        changed(&|parts| parts.trees[0].splits[0].left = Child::Leaf(1)),
        changed(&|parts| parts.trees[0].splits[0].left = Child::Leaf(2)),
        // Two splits that point at each other, away from the root.
        changed(&|parts| {
            parts.trees[0] = Tree {
                splits: vec![
                    split(Child::Leaf(0), Child::Leaf(1)),
                    split(Child::Split(2), Child::Leaf(2)),
                    split(Child::Split(1), Child::Leaf(3)),
                ],
                leaves: vec![0.0; 4],
            };
        }),
    ];
    assert_eq!(
        told.join("\n"),
        include_str!("trees_refused.txt").trim_end()
    );
}

#[test]
fn more_nodes_than_may_be_are_refused() {
    let chain = |leaves: usize| Tree {
        splits: (1..leaves)
            .map(|at| {
                let on = if at + 1 < leaves {
                    Child::Split(at)
                } else {
                    Child::Leaf(at)
                };
                split(Child::Leaf(at - 1), on)
            })
            .collect(),
        leaves: vec![0.5; leaves],
    };
    let one = chain(LEAVES_MAX);
    let deep = Ensemble::build(of(vec![one.clone()])).expect("a chain as long as may be");
    assert_eq!(deep.predict_raw(&[2.0, 0.0]), 0.5);
    assert_eq!(Ensemble::decode(&deep.encode()).expect("read"), deep);
    let many = NODES_MAX / (2 * LEAVES_MAX - 1) + 1;
    let error = Ensemble::build(of(vec![one; many])).expect_err("too many nodes");
    assert!(
        matches!(
            error,
            Error::Count {
                most: NODES_MAX,
                ..
            }
        ),
        "{error}"
    );
}

/// An ensemble that has one of each thing that is stored.
fn sample() -> Ensemble {
    let inner = Tree {
        splits: vec![
            Split {
                feature: 1,
                test: Test::AtMost {
                    threshold: 1e-3,
                    missing: true,
                    zero_is_missing: true,
                },
                left: Child::Split(1),
                right: Child::Leaf(0),
            },
            Split {
                feature: 0,
                test: Test::In {
                    members: vec![5, 1 << 31],
                },
                left: Child::Leaf(2),
                right: Child::Leaf(1),
            },
        ],
        leaves: vec![-0.25, 0.125, 1e-9],
    };
    let leaf = Tree {
        splits: Vec::new(),
        leaves: vec![0.75],
    };
    let mut parts = of(vec![inner, stump(), leaf]);
    parts.averaged = true;
    parts.transform = Transform::Sigmoid { steepness: 1.5 };
    Ensemble::build(parts).expect("the sample")
}

#[test]
fn the_golden_ensemble_of_format_1_is_read() {
    let ensemble = sample();
    crate::decision::golden("trees-1.bin", &ensemble.encode());
    let golden = include_bytes!("../golden/trees-1.bin");
    let read = Ensemble::decode(golden).expect("the golden ensemble");
    assert_eq!(read, ensemble);
    assert_eq!(read.encode(), golden);
    // Member 63 of the set; not missing; (1e-9 + 2 + 0.75) / 3 through a sigmoid.
    let row = [63.0, 5e-4];
    assert_eq!(read.predict_raw(&row), 1e-9 + 2.0 + 0.75);
    let mean = (1e-9 + 2.0 + 0.75) / 3.0;
    assert_eq!(read.predict(&row), 1.0 / (1.0 + libm::exp(-1.5 * mean)));
}

#[test]
fn a_newer_format_of_an_ensemble_is_refused_with_both_numbers() {
    let mut bytes = sample().encode();
    bytes[0] = 2;
    let error = Ensemble::decode(&bytes).expect_err("a newer format");
    assert_eq!(
        error,
        codec::Error::Newer {
            what: "ensemble of trees",
            found: 2,
            known: 1
        }
    );
}

#[test]
#[should_panic(expected = "values of a row")]
fn a_row_of_another_length_is_the_callers_error() {
    sample().predict(&[1.0]);
}
