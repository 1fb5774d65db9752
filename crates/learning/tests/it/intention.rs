//! What came next is learned where there is something to learn, and no better than chance where there is nothing.

use luopan_kernel::random::Random;
use luopan_kernel::sequence::Token;
use luopan_learning::intention::{
    Blend, Point, Points, Reading, Score, Training, evaluate, points, train,
};

/// Histories of three words in which the next one is a function of the last two, but for some noise; or, `habit`, of a word that
/// each customer prefers and shows only over many acts.
fn made(seed: u64, customers: usize, habit: bool) -> Points {
    let mut random = Random::new(seed);
    let mut out = Points::default();
    for history in 0..customers {
        let own = (random.bits() % 3) as u8;
        let mut tokens: Vec<Token> = Vec::new();
        for end in 0..40 {
            let by_rule = match (habit, tokens.as_slice()) {
                (true, _) => own,
                (false, [.., a, b]) => (a + 2 * b) % 3,
                (false, _) => 0,
            };
            let class = match random.uniform() < 0.4 {
                true => (random.bits() % 3) as u8,
                false => by_rule,
            };
            out.points.push(Point {
                history: history as u32,
                end,
                class,
                weight: 1.0,
            });
            tokens.push(class);
        }
        out.histories.push(tokens);
    }
    out
}

fn names(what: &str, n: usize) -> Vec<String> {
    (0..n).map(|i| format!("{what}{i}")).collect()
}

fn scores(habit: bool) -> [Score; 4] {
    let (learned, kept) = (made(1, 400, habit), made(2, 200, habit));
    let blend = |order| {
        let model = Blend::fit(&learned, 3, order);
        evaluate(&kept, |h| model.predict(h))
    };
    let model = train(&learned, names("w", 3), names("c", 3), &Training::default()).unwrap();
    let own = evaluate(&kept, |h| model.predict(h));
    [blend(0), blend(1), blend(4), own]
}

#[test]
fn a_rule_of_two_words_is_learned_and_a_chain_of_one_is_not_enough() {
    let [popular, chain, blend, own] = scores(false);
    assert!(popular.top_1 < 0.5, "{popular:?}");
    // 0.6 by the rule and a third of the rest by chance.
    for (better, than) in [(own, chain), (own, popular), (blend, chain)] {
        assert!(
            better.log_loss < than.log_loss - 0.05,
            "{better:?} {than:?}"
        );
        assert!(better.top_1 > 0.70, "{better:?}");
    }
}

#[test]
fn a_habit_is_learned_from_the_whole_history() {
    let [popular, chain, blend, own] = scores(true);
    assert!(own.log_loss < chain.log_loss - 0.05, "{own:?} {chain:?}");
    assert!(own.log_loss < blend.log_loss, "{own:?} {blend:?}");
    assert!(
        own.top_1 > 0.69 && popular.top_1 < 0.5,
        "{own:?} {popular:?}"
    );
}

#[test]
fn the_same_points_give_the_same_model() {
    let points = made(3, 50, false);
    let one = || train(&points, names("w", 3), names("c", 3), &Training::default()).unwrap();
    assert_eq!(one().encode(), one().encode());
    let other = Training {
        seed: 2,
        ..Training::default()
    };
    let other = train(&points, names("w", 3), names("c", 3), &other).unwrap();
    assert_ne!(one().encode(), other.encode());
}

#[test]
fn measures_are_as_they_say() {
    let points = Points {
        histories: vec![vec![0, 0]],
        points: vec![
            Point {
                history: 0,
                end: 1,
                class: 0,
                weight: 1.0,
            },
            Point {
                history: 0,
                end: 2,
                class: 3,
                weight: 3.0,
            },
        ],
    };
    let found = evaluate(&points, |_| vec![0.5, 0.25, 0.15, 0.1]);
    assert_eq!((found.top_1, found.top_3, found.weight), (0.25, 0.25, 4.0));
    let loss = -(0.5f64.ln() + 3.0 * 0.1f64.ln()) / 4.0;
    assert!((found.log_loss - loss).abs() < 1e-12);
}

#[test]
fn moments_are_what_followed_each_act_and_a_pause_is_known_only_after_it() {
    let reading = Reading {
        pause_us: 10,
        // The word 2 is read and not predicted.
        classes: &[Some(0), Some(1), None],
        leave: Some(2),
        until_us: 100,
    };
    let acts = vec![
        vec![(0, 0), (5, 1), (7, 2), (20, 0)],
        vec![],
        // Whether she leaves is not known yet.
        vec![(90, 1), (95, 0)],
    ];
    let found = points(&acts, &reading, |_, _, _| true);
    assert_eq!(found.histories, [vec![0, 1, 2, 3, 0, 3], vec![1, 0, 3]]);
    let told: Vec<(Vec<u8>, u8)> = (found.points.iter())
        .map(|p| (found.history(p).to_vec(), p.class))
        .collect();
    assert_eq!(
        told,
        [
            (vec![0], 1),
            // After the word 1 comes the word 2, which is no class; then a pause, then an end that is known.
            (vec![0, 1, 2], 2),
            (vec![0, 1, 2, 3, 0], 2),
            (vec![1], 0),
        ]
    );
    let early = points(&acts, &reading, |_, _, known| known < 17);
    assert_eq!(early.points.len(), 1);
    let late = points(&acts, &reading, |customer, at, _| customer == 2 && at >= 90);
    assert_eq!((late.histories.len(), late.points.len()), (1, 1));
}
