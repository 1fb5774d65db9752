//! Retrieval for many customers at once gives what the kernel's search gives for each, bit for bit: with biases, with many
//! items alike, and however few may be given.

use luopan_kernel::catalogue::Rows;
use luopan_kernel::factors::Index;
use luopan_learning::retrieval::{Retrieval, Vectors, Wanted};
use proptest::prelude::*;

/// Numbers of which some come again and again, so that scores tie and differ in their last bits alone.
fn number() -> impl Strategy<Value = f32> {
    prop_oneof![
        3 => (-3i8..=3).prop_map(|v| f32::from(v) / 3.0),
        2 => -1.0f32..1.0,
        1 => Just(0.1f32),
        1 => Just(1e6f32),
    ]
}

fn same(index: &Index, customers: &[Vec<f32>], masks: &[Rows], keep: usize) {
    let vectors = Vectors::new(index);
    let retrieval = Retrieval::new(index, &vectors).expect("finite");
    let wanted: Vec<Wanted<'_>> = (customers.iter().enumerate())
        .map(|(i, vector)| Wanted {
            vector,
            eligible: &masks[i % masks.len()],
            keep: keep + i % 3,
        })
        .collect();
    let bits = |best: Vec<(u32, f64)>| -> Vec<(u32, u64)> {
        best.into_iter().map(|(r, s)| (r, s.to_bits())).collect()
    };
    for threads in [1, 2] {
        let found = retrieval.best(&wanted, threads).expect("finite");
        assert_eq!(found.len(), wanted.len());
        for (found, w) in found.into_iter().zip(&wanted) {
            assert_eq!(
                bits(found),
                bits(index.best(w.vector, w.eligible, w.keep)),
                "{w:?}"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn many_at_once_are_what_each_is_alone(
        (dimension, items, customers) in (1usize..20, 0usize..150, 0usize..80),
        numbers in proptest::collection::vec(number(), 200 * 21),
        masks in proptest::collection::vec((any::<u64>(), 1u64..5), 1..6),
        keep in 1usize..20,
    ) {
        let mut next = numbers.into_iter().cycle();
        let vectors: Vec<f32> = (0..items * dimension).filter_map(|_| next.next()).collect();
        let biases: Vec<f32> = (0..items).filter_map(|_| next.next()).collect();
        let index = Index::new(dimension, vectors, biases);
        let customers: Vec<Vec<f32>> = (0..customers)
            .map(|_| (0..dimension).filter_map(|_| next.next()).collect())
            .collect();
        let masks: Vec<Rows> = (masks.iter())
            .map(|(seed, one_in)| Rows::from_fn(items, |row| {
                luopan_kernel::id::hash64(&[&seed.to_le_bytes()[..], &row.to_le_bytes()].concat()).is_multiple_of(*one_in)
            }))
            .collect();
        same(&index, &customers, &masks, keep);
    }
}

#[test]
fn items_alike_are_given_by_the_lower_row() {
    // Every score is the same or differs in its last bits: nothing that is matched settles it.
    let (dimension, items) = (9, 500);
    let index = Index::new(
        dimension,
        (0..items * dimension).map(|i| [0.1, 0.7][i % 2]).collect(),
        (0..items).map(|i| [0.3, 0.3][i % 2]).collect(),
    );
    let customers = vec![vec![0.3f32; dimension]; 40];
    same(&index, &customers, &[Rows::all(items)], 20);
}
