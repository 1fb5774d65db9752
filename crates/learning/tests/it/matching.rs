//! Matching gives what scoring every pair in the kernel's arithmetic and sorting gives, whatever the factors, the eligibility
//! and the number of threads.

use luopan_kernel::learn::algebra::dot8;
use luopan_learning::matching::{Eligible, Error, Items, TOP_MAX, WIDTH_MAX};
use proptest::prelude::*;

/// Every pair, one by one.
fn oracle(
    customers: &[f32],
    items: &[f32],
    width: usize,
    top: usize,
    may: impl Fn(usize, usize) -> bool,
) -> Vec<Vec<(u32, u64)>> {
    let wide = |row: &[f32]| {
        row.iter()
            .map(|value| f64::from(*value))
            .collect::<Vec<f64>>()
    };
    let items: Vec<Vec<f64>> = items.chunks(width).map(wide).collect();
    customers
        .chunks(width)
        .map(wide)
        .enumerate()
        .map(|(customer, x)| {
            let mut scored: Vec<(f64, u32)> = items
                .iter()
                .enumerate()
                .filter(|(item, _)| may(customer, *item))
                .map(|(item, y)| (dot8(&x, y), item as u32))
                .collect();
            // Stable: of equal scores the lower row stays first.
            scored.sort_by(|a, b| b.0.partial_cmp(&a.0).expect("finite scores"));
            scored.truncate(top);
            scored
                .into_iter()
                .map(|(score, item)| (item, score.to_bits()))
                .collect()
        })
        .collect()
}

fn found(
    customers: &[f32],
    items: &[f32],
    width: usize,
    top: usize,
    eligible: Eligible<'_>,
    threads: usize,
) -> Vec<Vec<(u32, u64)>> {
    let items = Items::new(items, width).expect("items");
    let matches = items
        .best(customers, eligible, top, threads)
        .expect("matched");
    (0..matches.len())
        .map(|customer| {
            let (items, scores) = matches.of(customer);
            items
                .iter()
                .zip(scores)
                .map(|(item, score)| (*item, score.to_bits()))
                .collect()
        })
        .collect()
}

fn bit(bitmaps: &[u64], words: usize, row: usize, item: usize) -> bool {
    bitmaps[row * words + item / 64] >> (item % 64) & 1 == 1
}

/// How the factors are made: what is easy to get wrong in binary32.
#[derive(Debug, Clone, Copy)]
enum Kind {
    /// Anything moderate.
    Any,
    /// Few small whole numbers: ties everywhere.
    Ties,
    /// Pairs that all but cancel: binary32 gets sign and order wrong.
    Cancelling,
    /// Products below what binary32 can tell from zero.
    Tiny,
    /// Products above what binary32 can hold, beside moderate ones.
    Huge,
    /// Norms of items that differ by many orders of magnitude.
    Uneven,
}

fn factors(kind: Kind, is_item: bool, rows: usize, width: usize, draws: &[u32]) -> Vec<f32> {
    let mut at = 0;
    let mut draw = || {
        // Another number each time round, so that rows repeat only where they are meant to.
        let value = draws[at % draws.len()]
            .wrapping_mul(2_654_435_761u32.wrapping_add((at / draws.len()) as u32 * 40_503));
        at += 1;
        value
    };
    let unit = |value: u32| (value >> 8) as f32 / 8_388_608.0 - 1.0;
    let mut out = Vec::with_capacity(rows * width);
    for row in 0..rows {
        for column in 0..width {
            let u = draw();
            out.push(match kind {
                Kind::Any => unit(u),
                Kind::Ties => (u % 3) as f32 - 1.0,
                Kind::Cancelling => match (column % 2, is_item) {
                    (0, true) => 1e4 * (1.0 + unit(u) * 1e-6),
                    (1, true) => -1e4 * (1.0 + unit(u) * 1e-6),
                    _ => 1e4,
                },
                Kind::Tiny => unit(u) * 1e-23,
                Kind::Huge if row % 5 == 0 => unit(u) * 3e38,
                Kind::Huge => unit(u),
                Kind::Uneven => unit(u) * [1e-9, 1e-3, 1.0, 1e6, 1e12][row % 5],
            });
        }
    }
    out
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn matching_equals_scoring_every_pair(
        kind in prop::sample::select(vec![Kind::Any, Kind::Ties, Kind::Cancelling, Kind::Tiny, Kind::Huge, Kind::Uneven]),
        width in 1usize..70,
        items in 0usize..1_400,
        customers in 0usize..300,
        top in 1usize..40,
        threads in 1usize..4,
        eligibility in 0u8..3,
        thin in any::<bool>(),
        draws in prop::collection::vec(any::<u32>(), 997),
        words in prop::collection::vec(any::<u64>(), 311),
    ) {
        let x = factors(kind, false, customers, width, &draws);
        let y = factors(kind, true, items, width, &draws[13..]);
        let each = items.div_ceil(64);
        // Three groups: a large one, a small one and one that may have nothing.
        let of: Vec<u32> = (0..customers).map(|at| match at % 10 { 0 => 1, 1 if customers > 250 => 2, _ => 0 }).collect();
        let rows = match eligibility { 1 => customers, _ => 3 };
        let bitmaps: Vec<u64> = (0..rows * each)
            .map(|at| {
                let word = words[at % words.len()];
                let nothing = eligibility == 2 && at / each.max(1) == 2;
                match (nothing, thin) { (true, _) => 0, (_, true) => word & words[(at + 7) % 311] & words[(at + 3) % 311], _ => word }
            })
            .collect();
        let eligible = match eligibility {
            0 => Eligible::All,
            1 => Eligible::Each(&bitmaps),
            _ => Eligible::Groups { of: &of, bitmaps: &bitmaps },
        };
        let expected = oracle(&x, &y, width, top, |customer, item| match eligibility {
            0 => true,
            1 => bit(&bitmaps, each, customer, item),
            _ => bit(&bitmaps, each, of[customer] as usize, item),
        });
        prop_assert_eq!(found(&x, &y, width, top, eligible, threads), expected);
    }
}

#[test]
fn of_equal_items_the_lowest_rows_are_given() {
    let items = vec![0.5f32; 3_000 * 8];
    let customers = vec![1.0f32; 200 * 8];
    for best in found(&customers, &items, 8, 20, Eligible::All, 2) {
        let rows: Vec<u32> = best.iter().map(|(item, _)| *item).collect();
        assert_eq!(rows, (0..20).collect::<Vec<u32>>());
    }
}

#[test]
fn without_items_or_customers_nothing_is_found() {
    let groups = Eligible::Groups {
        of: &[u32::MAX, 0],
        bitmaps: &[],
    };
    for eligible in [Eligible::All, Eligible::Each(&[]), groups] {
        let best = found(&[1.0; 6], &[], 3, 5, eligible, 2);
        assert_eq!(best, [Vec::new(), Vec::new()]);
    }
    assert!(found(&[], &[1.0; 6], 3, 5, Eligible::All, 2).is_empty());
}

#[test]
fn what_cannot_be_matched_is_refused_with_what_was_found() {
    let values = [1.0f32; 12];
    let told = |result: Result<(), Error>| result.expect_err("refused").to_string();
    let made = |values: &[f32], width| told(Items::new(values, width).map(drop));
    assert_eq!(made(&values, 0), "0 factors: wanted are 1 to 1024");
    assert_eq!(
        made(&values, WIDTH_MAX + 1),
        "1025 factors: wanted are 1 to 1024"
    );
    assert_eq!(made(&values, 5), "12 factors: wanted are a multiple of 5");
    assert_eq!(
        made(&[1.0, 2.0, 3.0, f32::NAN], 2),
        "factor 1 of item 1 is NaN: factors are finite"
    );
    let items = Items::new(&values, 4).expect("items");
    let best = |customers: &[f32], eligible, top, threads| {
        told(items.best(customers, eligible, top, threads).map(drop))
    };
    let x = [0.5f32; 8];
    assert_eq!(
        best(&x, Eligible::All, 0, 1),
        "0 items for a customer: wanted are 1 to 1000"
    );
    assert_eq!(
        best(&x, Eligible::All, TOP_MAX + 1, 1),
        "1001 items for a customer: wanted are 1 to 1000"
    );
    assert_eq!(
        best(&x, Eligible::All, 1, 0),
        "0 threads: wanted are 1 to 256"
    );
    assert_eq!(
        best(&x[..7], Eligible::All, 1, 1),
        "7 factors: wanted are a multiple of 4"
    );
    assert_eq!(
        best(&[f32::INFINITY; 4], Eligible::All, 1, 1),
        "factor 0 of customer 0 is inf: factors are finite"
    );
    assert_eq!(
        best(&x, Eligible::Each(&[1]), 1, 1),
        "1 words of bitmaps: wanted are 2"
    );
    let groups = |of, bitmaps| Eligible::Groups { of, bitmaps };
    assert_eq!(
        best(&x, groups(&[0], &[7]), 1, 1),
        "1 groups of customers: wanted are 2"
    );
    assert_eq!(
        best(&x, groups(&[0, 3], &[7]), 1, 1),
        "customer 1 is of group 3: there are bitmaps for 1 groups"
    );
}
