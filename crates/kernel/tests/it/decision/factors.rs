//! Searching by factors says what scoring every item says, and stored factors are read for ever.

use super::golden;
use super::world::Dice;
use luopan_kernel::catalogue::Rows;
use luopan_kernel::factors::{Error, Factors, Index, ItemFactors};
use proptest::prelude::*;

fn numbers(dice: &mut Dice, n: usize, kind: usize) -> Vec<f32> {
    (0..n)
        .map(|i| match kind {
            // As trained ones are.
            0 => dice.0.normal() as f32,
            // Many ties, exactly.
            1 => [-1.0, 0.0, 0.5, 1.0][dice.below(4)],
            // One place much larger than the others: hardly anything of these is left in 16 bits.
            2 if i % 5 == 0 => 1e4 * dice.0.normal() as f32,
            2 => dice.0.normal() as f32,
            // Tiny.
            _ => 1e-30 * dice.0.normal() as f32,
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn the_search_finds_the_best_exactly(
        seed: u64,
        n in 0usize..700,
        d in prop_oneof![1usize..20, Just(32), Just(64), Just(128), Just(256)],
        keep in 0usize..80,
        kinds in (0usize..4, 0usize..4),
    ) {
        let mut dice = Dice::new(seed);
        let vectors = numbers(&mut dice, n * d, kinds.0);
        let biases = numbers(&mut dice, n, kinds.1);
        let customer = numbers(&mut dice, d, kinds.1);
        let share = [0.1, 1.0][dice.below(2)];
        let among = Rows::from_fn(n, |_| dice.chance(share));
        let index = Index::new(d, vectors.clone(), biases.clone());
        let mut all: Vec<(u32, f64)> = among
            .iter()
            .map(|row| (row as u32, index.score(&customer, row)))
            .collect();
        for (row, score) in &all {
            let row = *row as usize;
            let exact: f64 = (vectors[row * d..][..d].iter().zip(&customer))
                .map(|(a, b)| f64::from(*a) * f64::from(*b))
                .sum::<f64>() + f64::from(biases[row]);
            prop_assert!((score - exact).abs() <= 1e-9 * (1.0 + exact.abs() + 1e8));
        }
        all.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        all.truncate(keep);
        prop_assert_eq!(index.best(&customer, &among, keep), all);
    }

    #[test]
    fn stored_factors_are_read_as_written(seed: u64, d in 1usize..9, n in 0usize..6, cut in any::<prop::sample::Index>()) {
        let mut dice = Dice::new(seed);
        let items: Vec<ItemFactors> = (0..n)
            .map(|i| ItemFactors { key: format!("{i:06}"), vector: numbers(&mut dice, d, 0), bias: 0.25 })
            .collect();
        let factors = Factors::new(d, numbers(&mut dice, 2 * d, 0), numbers(&mut dice, 3 * d, 1), items).unwrap();
        let bytes = factors.encode();
        prop_assert_eq!(&Factors::decode(&bytes).unwrap(), &factors);
        prop_assert!(Factors::decode(&bytes[..cut.index(bytes.len())]).is_err());
        prop_assert_eq!(factors.customer_positions(), 2);
        prop_assert_eq!(factors.attribute_positions(), 3);
        prop_assert_eq!(factors.len(), n);
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(mut bytes: Vec<u8>) {
        let _ = Factors::decode(&bytes);
        bytes.splice(0..0, [1, 3]);
        let _ = Factors::decode(&bytes);
    }
}

#[test]
fn an_item_is_the_sum_of_its_own_vector_and_those_of_what_it_is() {
    let item = |key: &str, vector: [f32; 2]| ItemFactors {
        key: key.into(),
        vector: vector.to_vec(),
        bias: 0.5,
    };
    let f = Factors::new(
        2,
        vec![1.0, 0.0, 0.0, 2.0],
        vec![0.25, 0.25],
        [item("a", [1.0, 2.0])],
    )
    .unwrap();
    assert_eq!(f.customer(&[1.0, 0.5]), [1.0, 1.0]);
    assert_eq!(f.item("a", &[2.0]), (vec![1.5, 2.5], 0.5));
    assert_eq!(
        f.item("new", &[2.0]),
        (vec![0.5, 0.5], 0.0),
        "a new item has what it is"
    );
    let refused = |d, c: &[f32], items: Vec<ItemFactors>| {
        Factors::new(d, c.to_vec(), vec![], items).unwrap_err()
    };
    assert!(matches!(
        refused(0, &[], vec![]),
        Error::Dimension { found: 0 }
    ));
    assert!(matches!(refused(2, &[1.0], vec![]), Error::Ragged { .. }));
    assert!(matches!(
        refused(1, &[f32::NAN], vec![]),
        Error::Number { .. }
    ));
    let twice = vec![item("a", [0.0; 2]), item("a", [0.0; 2])];
    assert!(matches!(refused(2, &[], twice), Error::Order { .. }));
}

#[test]
fn golden_factors_of_format_1_are_read() {
    let items = ["000001", "161725"].map(|key| ItemFactors {
        key: key.into(),
        vector: vec![0.5, -1.25, 3.0],
        bias: -0.125,
    });
    let factors = Factors::new(3, vec![1.0; 6], vec![-2.5; 3], items).unwrap();
    golden("factors-1.bin", &factors.encode());
    let back = Factors::decode(include_bytes!("../../golden/factors-1.bin")).unwrap();
    assert_eq!(back, factors);
    assert_eq!(
        Factors::decode(&[9]).unwrap_err().to_string(),
        "factors has format 9, this program reads up to 1; use the program that wrote it or a newer one"
    );
}

#[test]
fn the_golden_model_of_sequences_of_format_1_is_read() {
    use luopan_kernel::sequence::{SequenceModel, Vocabulary};
    let names = |all: [&str; 2]| all.map(str::to_owned).to_vec();
    let n = Vocabulary::new(2).features() * 2;
    let weights = (0..n).map(|i| (i as f32 * 0.37).fract() - 0.5).collect();
    let model = SequenceModel::new(names(["look", "buy"]), names(["buy", "leave"]), weights);
    let model = model.unwrap();
    golden("sequence-1.bin", &model.encode());
    let back = SequenceModel::decode(include_bytes!("../../golden/sequence-1.bin")).unwrap();
    assert_eq!(back, model);
    // The same bits on every target.
    let bits: Vec<u64> = (back.predict_text("look look | buy look").iter())
        .map(|p| p.to_bits())
        .collect();
    assert_eq!(bits, EXPECTED_BITS);
}

/// What the golden model predicts after `look look | buy look`.
const EXPECTED_BITS: [u64; 2] = [4_604_543_391_647_004_360, 4_598_949_674_223_932_015];
