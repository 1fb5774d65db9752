//! What treating a share brings after costs.

use luopan_learning::uplift::{
    Bootstrap, Economics, Effects, Offers, Ranking, Rows, Targeting, best, net_scores, targeting,
};

use super::World;

const FREE: Economics = Economics {
    value: 1.0,
    cost: 0.0,
    cost_per_outcome: 0.0,
};

fn quick(seed: u64) -> Bootstrap {
    Bootstrap {
        resamples: 200,
        seed,
        level: 0.95,
    }
}

fn found(world: &World, scores: &Effects, economics: &[Economics], steps: usize) -> Targeting {
    let offers = Offers {
        scores,
        outcomes: &world.outcomes,
        arms: &world.arms,
        weights: None,
        economics,
    };
    targeting(&offers, steps, &quick(1)).expect("a curve")
}

/// The first feature, which the effect of the first treatment rises with.
fn by_feature(world: &World) -> Effects {
    Effects {
        values: world.features[0].clone(),
        treatments: 1,
    }
}

fn truth(world: &World) -> Effects {
    Effects {
        values: world.effects.clone(),
        treatments: world.arms.treatments(),
    }
}

#[test]
fn without_costs_the_gain_is_the_uplift_curve() {
    let world = World::new(500, 1, true, false, 1);
    let scores = by_feature(&world);
    let curve = found(&world, &scores, &[FREE], 20);
    let ranking = Ranking::new(&Rows {
        scores: &scores.values,
        outcomes: &world.outcomes,
        treated: &world.arms.against(1),
        weights: None,
    })
    .expect("a ranking");
    let points = ranking
        .curve_at(20, Some(&quick(1)))
        .expect("a curve")
        .points;
    for (share, point) in curve.curve.iter().zip(&points) {
        assert!((share.share - point.share).abs() < 1e-12);
        // where an arm has no rows its mean is zero there, and no effect is counted here
        if share.share >= 0.05 {
            assert!(
                (share.gain - point.uplift).abs() < 1e-12,
                "{share:?} {point:?}"
            );
            let interval = point.uplift_interval.expect("an interval");
            assert!((share.interval.lower - interval.lower).abs() < 1e-12);
        }
    }
    assert!((curve.curve[20].gain - ranking.measures().effect).abs() < 1e-12);
    assert_eq!(
        (curve.curve[0].gain, curve.curve[0].treated_by[0]),
        (0.0, 0.0)
    );
}

#[test]
fn costs_fall_on_those_treated_and_on_outcomes_under_treatment() {
    let world = World::new(2_000, 1, true, false, 2);
    let scores = by_feature(&world);
    let free = found(&world, &scores, &[FREE], 10);
    let dear = found(&world, &scores, &[Economics { cost: 0.07, ..FREE }], 10);
    for (free, dear) in free.curve.iter().zip(&dear.curve) {
        assert!((free.gain - 0.07 * free.share - dear.gain).abs() < 1e-12);
    }
    assert!(dear.best < free.best, "{} {}", dear.best, free.best);
    let redeemed = Economics {
        value: 3.0,
        cost: 0.0,
        cost_per_outcome: 0.5,
    };
    let redeemed = found(&world, &scores, &[redeemed], 10);
    let (mut treated, mut count) = (0.0, 0.0);
    for (arm, outcome) in world.arms.codes().iter().zip(&world.outcomes) {
        if *arm == 1 {
            treated += outcome;
            count += 1.0;
        }
    }
    let wanted = 3.0 * free.curve[10].gain - 0.5 * treated / count;
    assert!((redeemed.curve[10].gain - wanted).abs() < 1e-12);
}

#[test]
fn the_interval_holds_the_truth() {
    let (runs, mut held) = (200, 0);
    for run in 0..runs {
        let world = World::new(800, 1, true, false, 10_000 + run);
        let offers = Offers {
            scores: &by_feature(&world),
            outcomes: &world.outcomes,
            arms: &world.arms,
            weights: None,
            economics: &[Economics { cost: 0.02, ..FREE }],
        };
        let half = &targeting(&offers, 2, &quick(run)).expect("a curve").curve[1];
        // the upper half of the feature gains .15 each, less .02
        held += u64::from(half.interval.lower <= 0.065 && 0.065 <= half.interval.upper);
    }
    assert!((180..=199).contains(&held), "{held} of {runs}");
}

#[test]
fn each_gets_the_treatment_that_is_best_for_it() {
    let world = World::new(20_000, 2, true, false, 8);
    let economics = [
        Economics { cost: 0.05, ..FREE },
        Economics { cost: 0.06, ..FREE },
    ];
    let net = net_scores(&truth(&world), None, &economics).expect("scores");
    let chosen = best(&net);
    for (line, chosen) in net.values.chunks_exact(2).zip(&chosen) {
        match chosen {
            None => assert!(line.iter().all(|score| *score <= 0.0)),
            Some(at) => assert!(
                line[*at as usize - 1] > 0.0 && line.iter().all(|x| *x <= line[*at as usize - 1])
            ),
        }
    }
    let curve = found(&world, &net, &economics, 20);
    let above = chosen.iter().flatten().count() as f64 / 20_000.0;
    assert!((curve.share_above_zero - above).abs() < 1e-12);
    // above zero are the upper half of the first feature (.10 by the first), and of the others .3085 (.09 by the second)
    let share = 0.5 + 0.5 * 0.3085;
    let wanted = 0.5 * 0.1 + 0.5 * 0.3085 * 0.09;
    assert!((above - share).abs() < 0.02, "{above}");
    let at = &curve.curve[13];
    assert!((at.share - 0.65).abs() < 1e-12);
    assert!(
        (at.gain - wanted).abs() < 0.02,
        "{at:?} where {wanted} is wanted"
    );
    assert!(
        at.interval.lower < wanted && wanted < at.interval.upper,
        "{at:?}"
    );
    assert!(
        (curve.curve[curve.best].share - share).abs() <= 0.2,
        "{}",
        curve.best
    );
    let by: f64 = at.treated_by.iter().sum();
    assert!((by - 0.65).abs() < 1e-9, "{at:?}");
    assert!(curve.best_interval.lower <= curve.curve[curve.best].share);
    assert!(curve.best_interval.upper >= curve.curve[curve.best].share);
}

#[test]
fn weights_of_one_over_the_propensity_undo_a_choice_of_arms() {
    let world = World::new(40_000, 1, false, true, 4);
    let weights: Vec<f64> = (world.propensities.chunks_exact(2).zip(world.arms.codes()))
        .map(|(line, code)| 1.0 / line[*code as usize])
        .collect();
    let scores = by_feature(&world);
    let all = |weights| {
        let offers = Offers {
            scores: &scores,
            outcomes: &world.outcomes,
            arms: &world.arms,
            weights,
            economics: &[FREE],
        };
        targeting(&offers, 2, &quick(1)).expect("a curve").curve[2].gain
    };
    let truth = world.effects.iter().sum::<f64>() / world.effects.len() as f64;
    assert!(
        (all(Some(&weights)) - truth).abs() < 0.015,
        "{}",
        all(Some(&weights))
    );
    assert!((all(None) - truth).abs() > 0.05, "{}", all(None));
}
