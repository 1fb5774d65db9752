//! White-box audiences: laws, planted rules found again, what a scene is given, and what is refused.

mod laws;
mod planted;
mod refused;

use luopan_kernel::random::Random;
use luopan_learning::audience::{Condition, Rule, Rules};
use luopan_learning::tabular::{Frame, MISSING, Series};

/// Customers with three numbers, of which one is missing at times, a flag, and two texts.
fn customers(rows: usize, seed: u64) -> Frame {
    let mut random = Random::new(seed);
    let mut draw = |most: f64| (random.uniform() * most).floor();
    let (mut age, mut balance, mut visits, mut flag) = (vec![], vec![], vec![], vec![]);
    let (mut city, mut level) = (vec![], vec![]);
    for _ in 0..rows {
        age.push(18.0 + draw(60.0));
        let amount = draw(2_000.0) * 10.0;
        balance.push(if draw(8.0) == 0.0 { f64::NAN } else { amount });
        visits.push(draw(20.0) / 4.0);
        flag.push(draw(2.0));
        city.push(draw(6.0) as u32);
        let own = draw(4.0) as u32;
        level.push(if own == 3 { MISSING } else { own });
    }
    let texts = |codes, words: &[&str]| Series::Texts {
        codes,
        levels: words.iter().map(|word| (*word).to_owned()).collect(),
    };
    Frame::new(vec![
        ("age".to_owned(), Series::Numbers(age)),
        ("balance".to_owned(), Series::Numbers(balance)),
        ("visits".to_owned(), Series::Numbers(visits)),
        ("flag".to_owned(), Series::Numbers(flag)),
        (
            "city".to_owned(),
            texts(
                city,
                &["Ürümqi", "Xi'an", "Wuhan", "Suzhou", "Beijing", "Aksu"],
            ),
        ),
        (
            "level".to_owned(),
            texts(level, &["gold", "silver", "basic"]),
        ),
    ])
    .expect("a table")
}

fn below(column: &str, cut: f64) -> Condition {
    let column = column.to_owned();
    Condition::Below { column, cut }
}

fn at_least(column: &str, cut: f64) -> Condition {
    let column = column.to_owned();
    Condition::AtLeast { column, cut }
}

fn one_of(column: &str, words: &[&str]) -> Condition {
    Condition::OneOf {
        column: column.to_owned(),
        words: words.iter().map(|word| (*word).to_owned()).collect(),
    }
}

fn rules(of: Vec<Vec<Condition>>) -> Rules {
    Rules {
        rules: of
            .into_iter()
            .map(|conditions| Rule { conditions })
            .collect(),
    }
}
