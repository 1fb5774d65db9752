//! HiGHS's optima of the same relaxations (`tests/allocation/make.py` made them).

use std::path::Path;

use luopan_learning::allocation::{Error, solve};

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

/// At floors that are the most that can be reached HiGHS's branch and bound finds whole allocations (`tests/allocation/whole.py`).
#[test]
fn floors_at_the_most_that_can_be_reached_are_reached() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/allocation/whole.txt");
    let told = std::fs::read_to_string(path).expect("the optima");
    assert_eq!(told.lines().count(), 160);
    for line in told.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let number = |at: usize| words[at].parse::<f64>().expect("a number");
        let (customers, actions) = (number(1) as usize, number(2) as usize);
        let all = draws(number(0) as u64, 3 * customers * actions);
        let table = |at: usize, steps: f64, least: f64| -> Vec<f64> {
            let of = &all[at * customers * actions..(at + 1) * customers * actions];
            of.iter()
                .map(|u| least + (u * steps).floor() / 4.0)
                .collect()
        };
        let problem = Owned {
            customers,
            actions,
            values: vec![table(0, 400.0, 0.0), table(1, 8.0, 0.0)],
            weights: vec![1.0, 0.0],
            floors: vec![None, Some(number(3))],
            costs: vec![table(2, 8.0, 0.25)],
            limits: vec![(0.6 * customers as f64).floor()],
            groups: vec![(vec![0], customers as u64 / 3)],
            eligible: None,
        };
        match (problem.with(|of| solve(of, None)), words[4]) {
            (Ok(found), "-") => panic!("{line}: {found:?} is none"),
            (Ok(found), _) => {
                problem.verify(&found);
                let best = number(4);
                assert!(found.bound >= best - 1e-6, "{line}: {}", found.bound);
            }
            (Err(Error::Infeasible(_) | Error::Indivisible { .. }), "-") => {}
            (Err(error), _) => panic!("{line}: {error}"),
        }
    }
}
