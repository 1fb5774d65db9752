//! Networks: what they give is what the formula says, to the bit; what is stored is read back or refused.

use luopan_kernel::codec::Error as Unreadable;
use luopan_kernel::learn::algebra::dot8;
use luopan_kernel::network::{Error, Layer, NETWORK_WIDTH_MAX, Network};
use luopan_kernel::random::Random;
use proptest::prelude::*;

fn layers(seed: u64, widths: &[usize]) -> Vec<Layer> {
    let mut random = Random::new(seed);
    let mut numbers = |n: usize| (0..n).map(|_| random.normal() as f32).collect();
    (widths.windows(2))
        .map(|w| Layer {
            weights: numbers(w[0] * w[1]),
            biases: numbers(w[1]),
        })
        .collect()
}

proptest! {
    #[test]
    fn features_are_what_the_formula_gives(
        seed: u64,
        widths in proptest::collection::vec(1usize..12, 2..5),
        x in proptest::collection::vec(-3f64..3.0, 12),
    ) {
        let parts = layers(seed, &widths);
        let network = Network::new(widths[0], &parts).unwrap();
        let mut expected = x[..widths[0]].to_vec();
        for layer in &parts {
            let row = |o: usize| -> Vec<f64> {
                layer.weights[o * expected.len()..(o + 1) * expected.len()].iter().map(|w| f64::from(*w)).collect()
            };
            expected = (0..layer.biases.len())
                .map(|o| (dot8(&row(o), &expected) + f64::from(layer.biases[o])).max(0.0))
                .collect();
        }
        expected.insert(0, 1.0);
        let (mut found, mut scratch) = (vec![7.0; 3], vec![9.0; 40]);
        network.features(&x[..widths[0]], &mut found, &mut scratch);
        prop_assert_eq!(found.len(), network.width());
        for (f, e) in found.iter().zip(&expected) {
            prop_assert_eq!(f.to_bits(), e.to_bits());
        }
        network.features(&x, &mut found, &mut scratch);
        prop_assert_eq!(found.is_empty(), widths[0] != x.len());
        prop_assert_eq!(Network::decode(&network.encode()).unwrap(), network);
    }

    #[test]
    fn changed_bytes_are_refused_or_are_a_network(seed: u64, at: usize, with: u8) {
        let network = Network::new(3, &layers(seed, &[3, 4, 2])).unwrap();
        let mut bytes = network.encode();
        let at = at % bytes.len();
        bytes[at] = with;
        if let Ok(read) = Network::decode(&bytes) {
            prop_assert_eq!(read.encode(), bytes.clone());
        }
        bytes.truncate(at);
        prop_assert!(Network::decode(&bytes).is_err());
    }

    #[test]
    fn any_bytes_are_read_without_panic(mut bytes: Vec<u8>) {
        if let Some(first) = bytes.first_mut() {
            *first = 1;
        }
        let _ = Network::decode(&bytes);
    }
}

#[test]
fn what_makes_no_network_is_refused_with_what_was_found() {
    let said = |inputs, layers: &[Layer]| Network::new(inputs, layers).unwrap_err().to_string();
    assert!(said(0, &layers(1, &[1, 1])).contains("0 inputs; write 1 to 4096"));
    assert!(said(1, &[]).contains("0 layers; write 1 to 8"));
    assert!(
        said(3, &layers(1, &[2, 5]))
            .contains("layer 0 has 10 weights; 5 outputs of 3 inputs have 15")
    );
    assert!(said(1, &layers(1, &[1, NETWORK_WIDTH_MAX + 1])).contains("512 outputs"));
    let mut wild = layers(1, &[2, 2]);
    wild[0].biases[1] = f32::NAN;
    assert!(matches!(
        Network::new(2, &wild),
        Err(Error::Number { layer: 0, .. })
    ));
}

#[test]
fn the_golden_network_of_format_1_is_read() {
    let network = Network::new(3, &layers(5, &[3, 4, 2])).unwrap();
    crate::decision::golden("network-1.bin", &network.encode());
    let read = Network::decode(include_bytes!("../golden/network-1.bin")).unwrap();
    assert_eq!(read, network);
    assert!(matches!(
        Network::decode(&[2]),
        Err(Unreadable::Newer {
            found: 2,
            known: 1,
            ..
        })
    ));
}
