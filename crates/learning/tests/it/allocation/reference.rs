//! HiGHS's optima of the same relaxations (`tests/allocation/make.py` made them).

use std::path::Path;

use luopan_learning::allocation::solve;

use super::Owned;

/// The numbers of splitmix64 (Steele, Lea and Flood 2014) in [0, 1).
fn draws(seed: u64, count: usize) -> Vec<f64> {
    let mut state = seed;
    (0..count)
        .map(|_| {
            state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let z = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            ((z ^ (z >> 31)) >> 11) as f64 * 2f64.powi(-53)
        })
        .collect()
}

#[test]
fn the_bound_is_the_optimum_of_the_relaxation() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/allocation/highs.txt");
    let told = std::fs::read_to_string(path).expect("the optima");
    assert_eq!(told.lines().count(), 4);
    for line in told.lines() {
        let given: Vec<f64> = (line.split(' '))
            .map(|word| word.parse().expect("a number"))
            .collect();
        let (customers, actions) = (given[1] as usize, given[2] as usize);
        let all = draws(given[0] as u64, 4 * customers * actions);
        let mut tables = all.chunks(customers * actions).map(<[f64]>::to_vec);
        let mut next = || tables.next().expect("four tables");
        let (values, first, second, other) = (next(), next(), next(), next());
        let count = customers as f64;
        let problem = Owned {
            customers,
            actions,
            values: vec![values, other],
            weights: vec![1.0, 0.0],
            floors: vec![None, Some(given[3] * count)],
            costs: vec![first, second],
            limits: vec![0.1 * count, 0.2 * count],
            groups: vec![(vec![0], customers as u64 / 10)],
            eligible: None,
        };
        let found = problem.with(|of| solve(of, None)).expect("solved");
        problem.verify(&found);
        let apart = |value: f64| (value / given[4] - 1.0).abs();
        assert!(apart(found.bound) < 1e-6, "{line}: {}", found.bound);
        assert!(apart(found.relaxed) < 1e-6, "{line}: {}", found.relaxed);
        assert!(
            found.relative_gap() < 20.0 / count,
            "{line}: {}",
            found.gap()
        );
    }
}
