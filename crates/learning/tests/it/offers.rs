//! Who gets what, from a table.

use luopan_learning::tabular::{
    Cap, Error, Frame, MISSING, OfferSettings, Offered, Series, Spend, Wanted, offers, trades,
};
use proptest::prelude::*;

/// A row: customer, action, value, other value, cost.
type Row = (u32, u32, f64, f64, f64);

fn frame(rows: &[Row]) -> Frame {
    let texts = |of: &dyn Fn(&Row) -> u32, letter: &str| {
        let codes: Vec<u32> = rows.iter().map(of).collect();
        // Levels stand in the order in which a file names them.
        let mut levels: Vec<u32> = Vec::new();
        for code in &codes {
            if !levels.contains(code) {
                levels.push(*code);
            }
        }
        let place = |code: &u32| levels.iter().position(|l| l == code).unwrap() as u32;
        Series::Texts {
            codes: codes.iter().map(place).collect(),
            levels: levels.iter().map(|l| format!("{letter}{l}")).collect(),
        }
    };
    let numbers = |of: &dyn Fn(&Row) -> f64| Series::Numbers(rows.iter().map(of).collect());
    Frame::new(vec![
        ("customer".into(), texts(&|r| r.0, "c")),
        ("action".into(), texts(&|r| r.1, "a")),
        ("margin".into(), numbers(&|r| r.2)),
        ("visits".into(), numbers(&|r| r.3)),
        ("cost".into(), numbers(&|r| r.4)),
    ])
    .unwrap()
}

fn settings(limit: f64) -> OfferSettings {
    OfferSettings {
        customer: "customer".into(),
        action: "action".into(),
        objectives: vec![Wanted {
            column: "margin".into(),
            weight: 1.0,
            floor: None,
        }],
        budgets: vec![Spend {
            column: "cost".into(),
            limit,
        }],
        caps: Vec::new(),
    }
}

fn sum(rows: &[Row], found: &Offered, of: impl Fn(&Row) -> f64) -> f64 {
    found.rows.iter().map(|r| of(&rows[*r as usize])).sum()
}

/// The best of all allocations, one after another.
fn best(rows: &[Row], limit: f64) -> f64 {
    let mut customers: Vec<u32> = rows.iter().map(|r| r.0).collect();
    customers.sort_unstable();
    customers.dedup();
    let mut reached = vec![(0.0, 0.0)];
    for customer in customers {
        let mut next = reached.clone();
        for row in rows.iter().filter(|r| r.0 == customer) {
            let more = reached.iter().map(|(v, c)| (v + row.2, c + row.4));
            next.extend(more.filter(|(_, c)| *c <= limit + 1e-9));
        }
        reached = next;
    }
    reached.into_iter().map(|(v, _)| v).fold(0.0, f64::max)
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let row = (
        -20i32..60,
        0i32..10,
        0i32..12,
        proptest::bool::weighted(0.8),
    );
    proptest::collection::vec(proptest::collection::vec(row, 1..4), 1..7).prop_map(|customers| {
        let mut out: Vec<Row> = Vec::new();
        for (customer, actions) in (0u32..).zip(customers) {
            for (action, (v, w, c, is_there)) in (0u32..).zip(actions) {
                if is_there || action == 0 {
                    let (v, w, c) = (f64::from(v), f64::from(w), f64::from(c));
                    out.push((customer, action, v / 4.0, w, c / 2.0));
                }
            }
        }
        out
    })
}

proptest! {
    /// What is given keeps every limit, is what is told of it, and is as near to the best as is said.
    #[test]
    fn what_is_given_is_within_its_gap_of_the_best(rows in rows(), limit in 0u32..20, most in 0u64..4) {
        let limit = f64::from(limit);
        let mut wanted = settings(limit);
        let found = offers(&frame(&rows), &wanted).unwrap();
        let optimum = best(&rows, limit);
        prop_assert!(found.value <= optimum + 1e-9);
        prop_assert!(found.bound >= optimum - 1e-9);
        prop_assert!((sum(&rows, &found, |r| r.2) - found.value).abs() < 1e-9);
        prop_assert!((sum(&rows, &found, |r| r.4) - found.budgets[0].reached).abs() < 1e-9);
        prop_assert!(found.budgets[0].reached <= limit + 1e-9);
        let mut customers: Vec<u32> = found.rows.iter().map(|r| rows[*r as usize].0).collect();
        customers.sort_unstable();
        customers.dedup();
        prop_assert_eq!(customers.len(), found.given);
        wanted.caps.push(Cap { actions: vec!["a0".into()], most });
        let capped = offers(&frame(&rows), &wanted).unwrap();
        let of = |r: &&u32| rows[**r as usize].1 == 0;
        prop_assert!(capped.rows.iter().filter(of).count() as u64 <= most);
        prop_assert_eq!(capped.caps[0].reached, capped.actions[0].given as f64);
        prop_assert!(capped.value <= found.bound + 1e-9);
    }

    /// The order of rows says nothing.
    #[test]
    fn rows_in_another_order_have_the_same_bound(rows in rows(), limit in 1u32..20) {
        let wanted = settings(f64::from(limit));
        let one = offers(&frame(&rows), &wanted).unwrap();
        let mut turned = rows.clone();
        turned.reverse();
        let other = offers(&frame(&turned), &wanted).unwrap();
        prop_assert!((one.bound - other.bound).abs() <= 1e-9 * one.bound.abs().max(1.0));
    }
}

const SHOP: [Row; 6] = [
    (0, 0, 2.0, 1.0, 1.0),
    (0, 1, 5.0, 0.0, 4.0),
    (1, 0, 3.0, 1.0, 1.0),
    (1, 1, 4.0, 0.0, 4.0),
    (2, 0, 1.0, 1.0, 1.0),
    (2, 1, 8.0, 0.0, 4.0),
];

#[test]
fn a_curve_goes_from_one_objective_to_the_other() {
    let mut wanted = settings(6.0);
    wanted.objectives.push(Wanted {
        column: "visits".into(),
        weight: 2.0,
        floor: None,
    });
    let curve = trades(&frame(&SHOP), &wanted, 3).unwrap();
    let weights: Vec<_> = curve.iter().map(|t| t.weights.clone()).collect();
    assert_eq!(weights, [[1.0, 0.0], [0.5, 1.0], [0.0, 2.0]]);
    assert_eq!(curve[0].objectives[0], 13.0);
    assert_eq!(curve[2].objectives[1], 3.0);
    assert!(curve.iter().all(|t| t.spent[0] <= 6.0));
    wanted.objectives.truncate(1);
    let refused = trades(&frame(&SHOP), &wanted, 3).unwrap_err().to_string();
    assert!(refused.contains("write two"), "{refused}");
}

#[test]
fn what_cannot_be_used_is_refused_with_its_row() {
    let refused = |f: &Frame, s: &OfferSettings| offers(f, s).unwrap_err().to_string();
    let mut rows = SHOP.to_vec();
    rows.push((1, 1, 4.0, 0.0, 4.0));
    let said = refused(&frame(&rows), &settings(1.0));
    assert!(
        said.contains("row 7") && said.contains("`a1` for `c1`, as in row 4"),
        "{said}"
    );
    for (value, cost, word) in [
        (f64::NAN, 1.0, "nothing"),
        (f64::INFINITY, 1.0, "inf"),
        (1e308, 1.0, "must add up"),
        (-1e300, 1.0, "must add up"),
        (1.0, 1e305, "must add up"),
        (1.0, -2.0, "from 0 on"),
        (1.0, f64::NAN, "nothing"),
    ] {
        let mut rows = SHOP.to_vec();
        (rows[3].2, rows[3].4) = (value, cost);
        let said = refused(&frame(&rows), &settings(1.0));
        assert!(said.contains("row 4") && said.contains(word), "{said}");
    }
    let mut wanted = settings(1.0);
    wanted.caps.push(Cap {
        actions: vec!["call".into()],
        most: 1,
    });
    assert!(
        refused(&frame(&SHOP), &wanted).contains("no row has the action `call`, which a cap names")
    );
    let mut wanted = settings(1.0);
    wanted.budgets[0].column = "costs".into();
    assert!(refused(&frame(&SHOP), &wanted).contains("there is no column `costs`"));
    wanted.budgets[0].column = "action".into();
    assert!(refused(&frame(&SHOP), &wanted).contains("holds texts"));
    let mut wanted = settings(3.0);
    wanted.objectives[0].floor = Some(10.0);
    let said = refused(&frame(&SHOP), &wanted);
    assert!(
        said.contains("limits conflict") && said.contains("cost"),
        "{said}"
    );
    let nobody = Series::Texts {
        codes: vec![0, MISSING, 0, 0, 0, 0],
        levels: vec!["c0".into()],
    };
    let frame = frame(&SHOP).with("customer", nobody).unwrap();
    assert!(matches!(
        offers(&frame, &settings(1.0)),
        Err(Error::Value { row: 2, .. })
    ));
}
