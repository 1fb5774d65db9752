//! Contests: intervals over customers cover as they say, also where a customer's decisions are alike.

use luopan_kernel::random::{Purpose, Random};
use luopan_learning::contest::{CUSTOMERS_LEAST, Earned, difference};

/// Customers who each have a taste of their own and come as often as they like.
fn side(random: &mut Random, customers: usize, first: u128, mean: f64) -> Earned {
    let mut out = Earned::default();
    for customer in 0..customers {
        let taste = (mean + 0.15 * random.normal()).clamp(0.0, 1.0);
        let times = 1 + (random.uniform() * 12.0) as usize;
        for _ in 0..times {
            let reward = f64::from(u8::from(random.uniform() < taste));
            assert!(out.push(first + customer as u128, reward));
        }
    }
    out
}

#[test]
fn an_interval_covers_as_it_says() {
    // Tastes are held within 0 and 1, alike on both sides but for the shift in the middle of the range: the truth is the shift.
    let (mut covered, mut trials) = (0, 0);
    for seed in 0..1_000 {
        let mut random = Random::stream(seed, Purpose::Choice);
        let champion = side(&mut random, 300, 0, 0.5);
        let challenger = side(&mut random, 60, 1_000, 0.5);
        let found = difference(&challenger, &champion, 0.95).unwrap();
        covered += usize::from(found.lower <= 0.0 && found.upper >= 0.0);
        trials += 1;
    }
    let share = covered as f64 / f64::from(trials);
    // Three standard deviations of 1,000 trials, and one in a hundred for sixty customers.
    assert!((0.92..=0.975).contains(&share), "{share}");
}

#[test]
fn means_are_of_decisions_and_errors_of_customers() {
    let mut of = Earned::default();
    assert_eq!(of.mean(), None);
    for (customer, reward) in [(1, 1.0), (1, 1.0), (1, 1.0), (2, 0.0)] {
        of.push(customer, reward);
    }
    assert!(!of.push(3, f64::NAN));
    let (mut one, mut two) = (of.clone(), of.clone());
    two.push(9, 1.0);
    assert_eq!(one.part_from(&mut two), 2);
    assert_eq!((one.mean(), two.mean().unwrap().customers), (None, 1));
    let mean = of.mean().unwrap();
    assert_eq!((mean.customers, mean.decisions, mean.value), (2, 4, 0.75));
    // Off by 3 - 3 * .75 and 0 - .75: sqrt(2 * (.5625 + .5625)) / 4.
    assert!((mean.standard_error.unwrap() - 0.375).abs() < 1e-15);
    let mut other = Earned::default();
    (0..CUSTOMERS_LEAST as u128).for_each(|c| {
        other.push(c, 1.0);
    });
    assert_eq!(difference(&other, &of, 0.95), None, "two customers");
    let same = difference(&other, &other.clone(), 0.95).unwrap();
    assert_eq!((same.value, same.lower, same.upper), (0.0, 0.0, 0.0));
}
