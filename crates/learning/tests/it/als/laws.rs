//! Laws of alternating least squares and of what is ranked.

use luopan_learning::als::{Interactions, Model, Solver, Start, evaluate, figures, fit, fit_from};
use proptest::prelude::*;

use super::{gathered, small, taken};

const GRADIENTS: Solver = Solver::ConjugateGradient { steps: 3 };

fn start(rows: usize, shift: f32) -> Vec<f32> {
    (0..rows * 3)
        .map(|at| ((at * 7919 % 101) as f32 / 101.0 - shift) * 0.5)
        .collect()
}

proptest! {
    #[test]
    fn the_loss_never_rises_with_exact_solutions(of in taken()) {
        let interactions = gathered(&of);
        let mut settings = small(Solver::Cholesky);
        let mut last = f64::INFINITY;
        for iterations in 1..8 {
            settings.iterations = iterations;
            let loss = fit(&interactions, &settings).expect("fitted").loss(&interactions).expect("a loss");
            prop_assert!(loss <= last * (1.0 + 1e-5) + 1e-6, "{} after {}", loss, last);
            last = loss;
        }
    }

    /// Equation 3 of the paper, pair by pair.
    #[test]
    fn the_loss_is_the_sum_over_all_pairs(of in taken()) {
        let interactions = gathered(&of);
        let settings = small(GRADIENTS);
        let model = fit(&interactions, &settings).expect("fitted");
        let mut sum = 0.0;
        for (user, x) in model.users().chunks(3).enumerate() {
            let (items, strengths) = interactions.of(user);
            for (item, y) in model.items().chunks(3).enumerate() {
                let score: f64 = x.iter().zip(y).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum();
                let at = items.iter().position(|i| *i as usize == item);
                let (preference, strength) = at.map_or((0.0, 0.0), |at| (1.0, f64::from(strengths[at])));
                sum += (1.0 + settings.alpha * strength) * (preference - score) * (preference - score);
            }
        }
        let squares: f64 = model.users().iter().chain(model.items()).map(|x| f64::from(*x) * f64::from(*x)).sum();
        sum += settings.regularization * squares;
        prop_assert!((model.loss(&interactions).expect("a loss") - sum).abs() < 1e-6 * (1.0 + sum));
    }

    /// An iteration solves users, then items; so one more half-step of users is what folding them in gives.
    #[test]
    fn a_user_folded_in_is_where_the_next_half_step_puts_her(of in taken()) {
        let interactions = gathered(&of);
        let settings = small(Solver::Cholesky);
        let model = fit(&interactions, &settings).expect("fitted");
        let mut once = settings;
        once.iterations = 1;
        let from = Start { users: model.users(), items: model.items() };
        let next = fit_from(&interactions, &once, from).expect("fitted");
        for (user, vector) in next.users().chunks(3).enumerate() {
            let (items, strengths) = interactions.of(user);
            let found = model.recalculate(items, strengths).expect("a vector");
            for (a, b) in found.iter().zip(vector) {
                prop_assert!((a - b).abs() <= 1e-5 * (1.0 + b.abs()), "{:?} {:?}", found, vector);
            }
            // In any order.
            let turned: (Vec<u32>, Vec<f32>) = items.iter().zip(strengths).rev().unzip();
            prop_assert_eq!(&model.recalculate(&turned.0, &turned.1).expect("a vector"), &found);
        }
    }

    /// Enough steps of conjugate gradients are the exact solution.
    #[test]
    fn both_solvers_lead_to_the_same(of in taken()) {
        let interactions = gathered(&of);
        let fitted = |solver| fit(&interactions, &small(solver)).expect("fitted");
        let (a, b) = (fitted(Solver::ConjugateGradient { steps: 20 }), fitted(Solver::Cholesky));
        let (a, b) = (a.loss(&interactions).expect("a loss"), b.loss(&interactions).expect("a loss"));
        prop_assert!((a - b).abs() <= 1e-2 * b.abs() + 1e-3, "{} {}", a, b);
    }

    #[test]
    fn another_order_of_users_is_another_order_of_results(of in taken(), turn in 1usize..8) {
        let interactions = gathered(&of);
        let place = |user: u32| ((user as usize + turn) % of.0) as u32;
        let moved: Vec<_> = of.2.iter().map(|(user, item, r)| (place(*user), *item, *r)).collect();
        let moved = Interactions::gathered(of.0, of.1, &moved).expect("sound");
        // Few steps in binary32 carry the rounding of sums further than an exact solution does.
        for (solver, within) in [(GRADIENTS, 2e-2), (Solver::Cholesky, 1e-4)] {
            let (users, items) = (start(of.0, 0.3), start(of.1, 0.4));
            let mut others = users.clone();
            for (user, vector) in users.chunks(3).enumerate() {
                let to = place(user as u32) as usize;
                others[to * 3..][..3].copy_from_slice(vector);
            }
            let mut settings = small(solver);
            settings.regularization = 1.0;
            for iterations in 1..4 {
                settings.iterations = iterations;
                let fitted = |of: &Interactions, users: &[f32]| {
                    fit_from(of, &settings, Start { users, items: &items }).expect("fitted")
                };
                let (a, b) = (fitted(&interactions, &users), fitted(&moved, &others));
                for user in 0..of.0 as u32 {
                    let there = place(user);
                    if iterations == 1 {
                        // Nothing but the same items has come to her yet.
                        let own = |model: &Model, user: u32| model.users()[user as usize * 3..][..3].to_vec();
                        prop_assert_eq!(own(&a, user), own(&b, there));
                    }
                    // Afterwards sums over users are of another order.
                    let mut scores = [(&a, user), (&b, there)].map(|(model, user)| model.recommend(user, of.1, None).expect("a ranking"));
                    scores.iter_mut().for_each(|of| of.sort_by_key(|s| s.item));
                    for (a, b) in scores[0].iter().zip(&scores[1]) {
                        prop_assert!((a.score - b.score).abs() <= within, "{:?} {:?}", a, b);
                    }
                }
            }
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_bits(of in taken(), seed in 0u64..9) {
        let interactions = gathered(&of);
        let bits = |model: &Model| -> Vec<u32> {
            model.users().iter().chain(model.items()).map(|x| x.to_bits()).collect()
        };
        for solver in [GRADIENTS, Solver::Cholesky] {
            let mut settings = small(solver);
            settings.seed = seed;
            let first = fit(&interactions, &settings).expect("fitted");
            // However the interactions were given.
            let mut turned = of.clone();
            turned.2.reverse();
            let again = fit(&gathered(&turned), &settings).expect("fitted");
            prop_assert_eq!(bits(&first), bits(&again));
        }
    }

    #[test]
    fn rankings_are_whole_in_order_and_without_what_was_seen(of in taken(), k in 0usize..10) {
        let interactions = gathered(&of);
        let model = fit(&interactions, &small(GRADIENTS)).expect("fitted");
        for user in 0..of.0 as u32 {
            let seen = interactions.of(user as usize).0;
            let best = model.recommend(user, k, Some(&interactions)).expect("a ranking");
            prop_assert_eq!(best.len(), k.min(of.1 - seen.len()));
            prop_assert!(best.iter().all(|s| !seen.contains(&s.item)));
            let after = |a: &(f32, u32), b: &(f32, u32)| a.0 > b.0 || (a.0 == b.0 && a.1 < b.1);
            let pairs: Vec<(f32, u32)> = best.iter().map(|s| (s.score, s.item)).collect();
            prop_assert!(pairs.windows(2).all(|pair| after(&pair[0], &pair[1])));
            // No item that is left out is better than one that is shown.
            let all = model.recommend(user, of.1, None).expect("a ranking");
            let mut wanted = all.iter().filter(|s| !seen.contains(&s.item));
            prop_assert!(best.iter().all(|s| wanted.next() == Some(s)));
            let vector = &model.users()[user as usize * 3..][..3];
            let left_out: Vec<u32> = seen.iter().rev().copied().collect();
            prop_assert_eq!(model.recommend_for(vector, k, &left_out).expect("a ranking"), best);
        }
        for item in 0..of.1 as u32 {
            let similar = model.similar_items(item, k).expect("a ranking");
            prop_assert!(similar.iter().all(|s| s.item != item && s.score.abs() <= 1.000_001));
        }
    }

    #[test]
    fn users_and_items_without_interactions_are_nowhere(of in taken(), solver in 0usize..2) {
        let interactions = gathered(&of);
        let solver = [GRADIENTS, Solver::Cholesky][solver];
        let model = fit(&interactions, &small(solver)).expect("fitted");
        for (user, vector) in model.users().chunks(3).enumerate() {
            if interactions.of(user).0.is_empty() {
                prop_assert!(vector.iter().all(|x| *x == 0.0));
            }
        }
        for (item, vector) in model.items().chunks(3).enumerate() {
            if (0..of.0).all(|user| !interactions.of(user).0.contains(&(item as u32))) {
                prop_assert!(vector.iter().all(|x| *x == 0.0));
            }
        }
    }
}

#[test]
fn figures_of_rankings_that_are_known() {
    let of = |rows: &[(u32, u32)]| {
        let rows: Vec<_> = rows.iter().map(|(u, i)| (*u, *i, 1.0)).collect();
        Interactions::gathered(3, 6, &rows).expect("sound")
    };
    let learned = of(&[(0, 0), (1, 1), (2, 2)]);
    // The first user takes 2 and 4, and again 0, which does not count; the second 5; the third nothing new.
    let held_out = of(&[(0, 0), (0, 2), (0, 4), (1, 5), (2, 2)]);
    let ranked = |user: u32| {
        Ok(if user == 0 {
            vec![0, 2, 2, 1, 4]
        } else {
            vec![1, 2, 3]
        })
    };
    let found = figures(&learned, &held_out, 3, ranked).expect("figures");
    assert_eq!(found.users, 2);
    // Of the first user's places 2, 1, 4 the first and the third are right.
    let gain = |place: f64| 1.0 / libm::log2(place + 1.0);
    assert!((found.recall - 0.5).abs() < 1e-12);
    let wanted = (1.0 + gain(3.0)) / (1.0 + gain(2.0)) / 2.0;
    assert!((found.ndcg - wanted).abs() < 1e-12);
    assert!((found.map - (1.0 + 2.0 / 3.0) / 2.0 / 2.0).abs() < 1e-12);
}

#[test]
fn groups_of_users_are_found() {
    // Two groups with items of their own; each user lacks one item of her group, which is held out.
    let (mut rows, mut held_out) = (Vec::new(), Vec::new());
    for user in 0..20u32 {
        for item in 0..10u32 {
            let own = user % 2 * 10 + item;
            if item == user / 2 {
                held_out.push((user, own, 1.0));
            } else {
                rows.push((user, own, 1.0));
            }
        }
    }
    let learned = Interactions::gathered(20, 20, &rows).expect("sound");
    let held_out = Interactions::gathered(20, 20, &held_out).expect("sound");
    for solver in [GRADIENTS, Solver::Cholesky] {
        let mut settings = small(solver);
        settings.iterations = 15;
        let model = fit(&learned, &settings).expect("fitted");
        let found = evaluate(&model, &learned, &held_out, 1).expect("figures");
        assert_eq!((found.users, found.recall, found.ndcg), (20, 1.0, 1.0));
    }
}
