//! What holds of every problem: limits are kept, the bound is above all that is possible, more budget is worth no less.

use luopan_kernel::random::Random;
use luopan_learning::allocation::{Error, curve, solve};
use proptest::prelude::*;

use super::Owned;

/// A tiny problem of two objectives, with a floor, holes and all kinds of limits.
fn tiny(seed: u64) -> Owned {
    let mut random = Random::new(seed);
    let (customers, actions) = (
        1 + random.bits() as usize % 5,
        1 + random.bits() as usize % 3,
    );
    let mut problem = Owned::planted(seed, customers, actions, 0.2 + 3.0 * random.uniform());
    if random.uniform() < 0.5 {
        // Whole amounts tie.
        for table in problem.values.iter_mut().chain(&mut problem.costs) {
            table.iter_mut().for_each(|value| *value = value.round());
        }
        problem
            .limits
            .iter_mut()
            .for_each(|limit| *limit = limit.round());
    }
    let second = (0..customers * actions)
        .map(|_| random.uniform() * 4.0)
        .collect();
    problem.values.push(second);
    problem.weights.push(random.uniform().round());
    let floor = random.uniform() * customers as f64 * 2.0;
    problem
        .floors
        .push((random.uniform() < 0.6).then_some(floor));
    if random.uniform() < 0.3 {
        let may = (0..customers * actions).map(|_| random.uniform() < 0.7);
        problem.eligible = Some(may.collect());
    }
    problem
}

/// The best of all allocations, by looking at each.
fn best(problem: &Owned) -> Option<f64> {
    let ways = problem.actions + 1;
    let mut best: Option<f64> = None;
    for code in 0..ways.pow(problem.customers as u32) {
        let mut rest = code;
        let choices: Vec<Option<usize>> = (0..problem.customers)
            .map(|_| {
                let choice = rest % ways;
                rest /= ways;
                choice.checked_sub(1)
            })
            .collect();
        if let Some(value) = problem.judge(&choices) {
            best = Some(best.map_or(value, |best: f64| best.max(value)));
        }
    }
    best
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// No allocation that keeps the limits is worth more than the bound, and what is handed out keeps them.
    #[test]
    fn the_bound_is_above_every_allocation(seed in any::<u64>()) {
        let problem = tiny(seed);
        let best = best(&problem);
        match problem.with(|of| solve(of, None)) {
            Ok(found) => {
                problem.verify(&found);
                let best = best.expect("what was found is one");
                prop_assert!(found.bound >= best - 1e-9 * best.abs().max(1.0), "{} {best}", found.bound);
                prop_assert!(found.value <= best + 1e-9 * best.abs().max(1.0));
                prop_assert!(found.gap() >= best - found.value - 1e-9 * best.abs().max(1.0));
            }
            Err(Error::Infeasible(conflict)) => {
                prop_assert!(best.is_none(), "{conflict}: {best:?} is possible");
                prop_assert!(!conflict.floors.is_empty());
            }
            // Of so few customers all are ruled out or one is found.
            Err(Error::Indivisible { .. }) => prop_assert!(best.is_none(), "{best:?} is possible"),
            Err(error) => prop_assert!(false, "{error}"),
        }
    }

    /// A raised limit never lowers the bound.
    #[test]
    fn more_budget_is_worth_no_less(seed in any::<u64>(), which in 0usize..3) {
        let problem = Owned::planted(seed, 60, 4, 0.5);
        let mut more = problem.clone();
        match which {
            2 => more.groups[0].1 += 3,
            at => more.limits[at] *= 1.2,
        }
        let (first, second) = (problem.with(|of| solve(of, None)), more.with(|of| solve(of, None)));
        let (first, second) = (first.expect("solved"), second.expect("solved"));
        problem.verify(&first);
        more.verify(&second);
        prop_assert!(second.bound >= first.bound - 1e-8 * first.bound, "{} {}", first.bound, second.bound);
    }

    /// In another order customers get an allocation of the same bound, and a value within the gap.
    #[test]
    fn the_order_of_customers_does_not_count(seed in any::<u64>()) {
        turned_is_alike(seed);
    }
}

fn turned_is_alike(seed: u64) {
    let problem = Owned::planted(seed, 300, 5, 0.4);
    let mut turned = problem.clone();
    for table in turned.values.iter_mut().chain(&mut turned.costs) {
        if table.len() > 5 {
            let rows: Vec<Vec<f64>> = table.chunks(5).rev().map(<[f64]>::to_vec).collect();
            *table = rows.concat();
        }
    }
    let (first, second) = (
        problem.with(|of| solve(of, None)),
        turned.with(|of| solve(of, None)),
    );
    let (first, second) = (first.expect("solved"), second.expect("solved"));
    assert!((first.bound - second.bound).abs() <= 1e-8 * first.bound);
    assert!((first.value - second.value).abs() <= first.gap().max(second.gap()));
}

/// Here pivots went round by rounding alone, and the search did not end.
#[test]
fn a_search_that_only_rounding_moves_ends() {
    turned_is_alike(4_597_651_749_055_323_577);
}

#[test]
fn many_customers_get_nearly_the_bound_and_the_same_bits_twice() {
    // Beyond what is solved without a sample, with whole amounts too, which tie everywhere.
    for (seed, whole) in [(1, false), (2, true)] {
        let mut problem = Owned::planted(seed, 30_000, 6, 0.4);
        if whole {
            for table in problem.values.iter_mut().chain(&mut problem.costs) {
                table.iter_mut().for_each(|value| *value = value.round());
            }
        }
        let found = problem.with(|of| solve(of, None)).expect("solved");
        problem.verify(&found);
        assert!(found.relative_gap() < 1e-4, "{}", found.relative_gap());
        let apart = (found.bound - found.relaxed).abs() / found.bound;
        assert!(apart < 1e-7, "{apart}");
        assert_eq!(problem.with(|of| solve(of, None)), Ok(found.clone()));
        // From prices that are near, and from ones that are not, the same bound.
        for times in [1.0, 1.2, 40.0] {
            let mut prices = found.prices.clone();
            prices.budgets.iter_mut().for_each(|price| *price *= times);
            let again = problem.with(|of| solve(of, Some(&prices))).expect("solved");
            problem.verify(&again);
            assert!((again.bound - found.bound).abs() < 1e-7 * found.bound);
        }
    }
}

#[test]
fn without_limits_everybody_gets_the_best() {
    let mut problem = Owned::planted(3, 20_000, 4, 100.0);
    problem.groups.clear();
    let found = problem.with(|of| solve(of, None)).expect("solved");
    problem.verify(&found);
    assert!(found.relative_gap() < 1e-12, "{}", found.gap());
    assert_eq!(found.prices.budgets, [0.0, 0.0]);
    // And with nothing to spend, nobody what costs.
    problem.limits = vec![0.0, 100_000.0];
    let found = problem.with(|of| solve(of, None)).expect("solved");
    problem.verify(&found);
    assert_eq!(found.choices.iter().flatten().count(), 0);
    assert!(found.bound.abs() < 1e-6, "{}", found.bound);
}

#[test]
fn a_floor_is_kept_and_costs_what_its_price_says() {
    let mut problem = Owned::planted(4, 20_000, 5, 0.4);
    let mut random = Random::new(5);
    problem
        .values
        .push((0..100_000).map(|_| random.uniform()).collect());
    problem.weights.push(0.0);
    problem.floors.push(None);
    let free = problem.with(|of| solve(of, None)).expect("solved");
    assert_eq!(free.prices.floors, [0.0, 0.0]);
    let floor = free.objectives[1] * 1.2;
    problem.floors[1] = Some(floor);
    let kept = problem.with(|of| solve(of, None)).expect("solved");
    problem.verify(&kept);
    assert!(kept.objectives[1] >= floor && kept.relative_gap() < 1e-4);
    assert!(kept.bound < free.bound && kept.prices.floors[1] > 0.0);
    problem.floors[1] = Some(floor * 1.001);
    let more = problem.with(|of| solve(of, None)).expect("solved");
    let rate = (kept.bound - more.bound) / (0.001 * floor);
    assert!(
        (rate / kept.prices.floors[1] - 1.0).abs() < 0.05,
        "{rate} {:?}",
        kept.prices
    );
}

#[test]
fn a_curve_trades_one_objective_for_another() {
    let mut problem = Owned::planted(6, 20_000, 5, 0.4);
    let mut random = Random::new(7);
    problem
        .values
        .push((0..100_000).map(|_| random.uniform()).collect());
    problem.weights.push(0.0);
    problem.floors.push(None);
    let weights: Vec<Vec<f64>> = (0..6)
        .map(|step| vec![1.0, 2.0 * f64::from(step)])
        .collect();
    let points = problem.with(|of| curve(of, &weights)).expect("a curve");
    for (point, weights) in points.iter().zip(&weights) {
        assert_eq!(point.weights, *weights);
        problem.weights = weights.clone();
        problem.verify(&point.allocation);
        assert!(point.allocation.relative_gap() < 1e-4);
        let alone = problem.with(|of| solve(of, None)).expect("solved");
        let apart = (alone.bound - point.allocation.bound).abs() / alone.bound;
        assert!(apart < 1e-7, "{apart}");
    }
    for pair in points.windows(2) {
        let (first, second) = (&pair[0].allocation, &pair[1].allocation);
        let slack = 1e-4 * first.objectives[0];
        assert!(second.objectives[0] <= first.objectives[0] + slack);
        assert!(second.objectives[1] >= first.objectives[1] - slack);
    }
    let (first, last) = (&points[0].allocation, &points[5].allocation);
    assert!(last.objectives[1] > 1.1 * first.objectives[1]);
}
