//! Problems that cannot be solved say why.

use luopan_learning::allocation::{Error, Prices, curve, solve};

use super::Owned;

fn said(change: impl Fn(&mut Owned)) -> String {
    let mut problem = Owned::planted(1, 40, 3, 0.5);
    change(&mut problem);
    match problem.with(|of| solve(of, None)) {
        Ok(_) => "solved".to_owned(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn what_cannot_be_used_is_refused() {
    type Change = fn(&mut Owned);
    let cases: [(Change, &str); 16] = [
        (|_| {}, "solved"),
        (
            |p| p.customers = 0,
            "0 customers: wanted are 1 to 4294967295",
        ),
        (|p| p.actions = 0, "0 actions: wanted are 1 to 4096"),
        (|p| p.values.clear(), "0 objectives: wanted are 1 to 64"),
        (
            |p| p.values[0].truncate(100),
            "the values of \"a\" has 100 values: wanted are 120",
        ),
        (
            |p| p.values[0][7] = f64::NAN,
            "the values of \"a\", customer 2, action 1: NaN where values are finite numbers",
        ),
        (
            |p| p.costs[0][119] = -0.5,
            "the costs of \"a\", customer 39, action 2: -0.5 where costs are finite numbers from 0 on",
        ),
        (
            |p| p.costs[0][4] = f64::INFINITY,
            "the costs of \"a\", customer 1, action 1: inf where costs are finite numbers from 0 on",
        ),
        (
            |p| p.limits[1] = -1.0,
            "the limit of \"b\" is -1: wanted is a finite number from 0 on",
        ),
        (
            |p| p.limits[0] = f64::INFINITY,
            "the limit of \"a\" is inf: wanted is a finite number from 0 on",
        ),
        (
            |p| p.weights[0] = -1.0,
            "the weight of \"a\" is -1: wanted is a finite number from 0 on",
        ),
        (
            |p| p.weights[0] = 0.0,
            "the weight of every objective is 0: some must be above 0",
        ),
        (
            |p| p.floors[0] = Some(f64::NAN),
            "the floor of \"a\" is NaN: wanted is a finite number, or none",
        ),
        (
            |p| p.groups[0].0.push(3),
            "the group \"a\" tells of action 3: write each of 0 to 2 once",
        ),
        (
            |p| p.groups[0].0.push(1),
            "the group \"a\" tells of action 1: write each of 0 to 2 once",
        ),
        (
            |p| p.eligible = Some(vec![true; 3]),
            "eligible has 3 values: wanted are 120",
        ),
    ];
    for (change, wanted) in cases {
        assert_eq!(said(change), wanted);
    }
    // Finite each, and not together.
    let told = said(|p| p.values[0][7] = -1e308);
    assert!(
        told.starts_with("the values of \"a\", customer 2, action 1: -1000")
            && told.ends_with("write them in a larger unit"),
        "{told}"
    );
    let problem = Owned::planted(1, 40, 3, 0.5);
    let wrong = Prices {
        budgets: vec![1.0, f64::NAN],
        groups: vec![0.0],
        floors: vec![0.0],
    };
    let refused = problem.with(|of| solve(of, Some(&wrong))).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "a price to start from is NaN: wanted is a finite number from 0 on"
    );
    let refused = problem.with(|of| curve(of, &[vec![1.0, 2.0]])).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "a set of weights has 2 values: wanted are 1"
    );
}

/// Every customer is worth 1 by action 0, which costs 1, and 2 by action 1, which costs 3.
fn priced(customers: usize, budget: f64, floor: f64) -> Owned {
    Owned {
        customers,
        actions: 2,
        values: vec![vec![1.0, 2.0]],
        weights: vec![1.0],
        floors: vec![Some(floor)],
        costs: vec![vec![1.0, 3.0], vec![0.0, 0.0]],
        limits: vec![budget, 5.0],
        groups: vec![],
        eligible: None,
    }
}

#[test]
fn floors_out_of_reach_say_with_what_they_conflict() {
    // 10 customers and 16 to spend: 10 at 1, of whom 3 take 2 more each, are worth 13.
    let said = |problem: &Owned| problem.with(|of| solve(of, None)).unwrap_err();
    assert_eq!(
        priced(10, 16.0, 13.0)
            .with(|of| solve(of, None))
            .expect("solved")
            .value,
        13.0
    );
    let Error::Infeasible(conflict) = said(&priced(10, 16.0, 14.0)) else {
        panic!("a conflict");
    };
    assert_eq!(conflict.limits, ["the budget \"a\" of 16"]);
    let (name, floor, reached) = &conflict.floors[0];
    assert_eq!((name.as_str(), *floor), ("a", 14.0));
    assert!((reached - 13.0).abs() < 1e-6, "{reached}");
    let told = conflict.to_string();
    assert!(
        told.contains("cannot be 14 or more") && told.ends_with("raise one of these"),
        "{told}"
    );
    // Whatever is spent, ten customers are worth 20.
    let Error::Infeasible(conflict) = said(&priced(10, 1_000.0, 21.0)) else {
        panic!("a conflict");
    };
    assert!(conflict.limits.is_empty());
    assert!((conflict.floors[0].2 - 20.0).abs() < 1e-6);
    assert!(
        conflict
            .to_string()
            .ends_with(", whatever is spent: lower the floor")
    );
    // A cap, and a budget that has nothing to do with it; many customers.
    let mut capped = priced(30_000, 1e6, 30_000.0);
    capped.groups = vec![(vec![0, 1], 10_000)];
    let Error::Infeasible(conflict) = said(&capped) else {
        panic!("a conflict");
    };
    assert_eq!(conflict.limits, ["the cap of 10000 on \"a\""]);
    assert!((conflict.floors[0].2 - 20_000.0).abs() < 1e-3);
    // Half of a customer would keep it: 3 customers and 5.5 to spend are worth 4.25.
    let split = said(&priced(3, 5.5, 4.2));
    assert!(
        matches!(&split, Error::Indivisible { limit, .. } if limit.contains("the floor of 4.2"))
    );
}
