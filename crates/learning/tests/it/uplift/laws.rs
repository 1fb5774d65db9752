//! What holds of any ranking.

use luopan_kernel::random::Random;
use luopan_learning::gbdt::{Column, Kind, Objective};
use luopan_learning::uplift::{
    Arms, Bootstrap, Learner, Measures, Propensities, Ranking, Rows, Settings, Strategy, Trial, fit,
};
use proptest::prelude::{any, prop_assert, prop_assert_eq, prop_assume, proptest};

use super::World;

/// Rows as they are drawn: score, outcome, arm, weight.
#[derive(Debug, Clone)]
struct Drawn {
    scores: Vec<f64>,
    outcomes: Vec<f64>,
    treated: Vec<Option<bool>>,
    weights: Vec<f64>,
}

impl Drawn {
    fn ranking(&self) -> Ranking {
        let weights = Some(&self.weights[..]);
        let (scores, outcomes, treated) = (&self.scores, &self.outcomes, &self.treated);
        Ranking::new(&Rows {
            scores,
            outcomes,
            treated,
            weights,
        })
        .expect("a ranking")
    }

    fn taken(&self, rows: &[usize]) -> Self {
        Self {
            scores: rows.iter().map(|row| self.scores[*row]).collect(),
            outcomes: rows.iter().map(|row| self.outcomes[*row]).collect(),
            treated: rows.iter().map(|row| self.treated[*row]).collect(),
            weights: rows.iter().map(|row| self.weights[*row]).collect(),
        }
    }
}

/// Both arms have rows; few scores, so that many are tied; whole weights, some of them 0.
fn drawn(weight_most: u32) -> impl proptest::strategy::Strategy<Value = Drawn> {
    let row = (-6i32..6, 0u32..2, any::<bool>(), 0..=weight_most);
    let rows = proptest::collection::vec(row, 6..60);
    proptest::strategy::Strategy::prop_map(rows, move |rows| {
        let mut drawn = Drawn {
            scores: rows.iter().map(|row| f64::from(row.0) / 4.0).collect(),
            outcomes: rows.iter().map(|row| f64::from(row.1)).collect(),
            treated: rows.iter().map(|row| Some(row.2)).collect(),
            weights: rows.iter().map(|row| f64::from(row.3)).collect(),
        };
        if weight_most == 1 {
            drawn.weights.fill(1.0);
        }
        // whatever was drawn, both arms have a row that counts
        for arm in 0..2 {
            drawn.treated[arm] = Some(arm == 1);
            drawn.weights[arm] = 1.0;
        }
        drawn
    })
}

fn figures(of: &Measures) -> [f64; 7] {
    let or = |x: Option<f64>| x.unwrap_or(f64::NAN);
    [
        of.effect,
        of.qini_area,
        of.uplift_area,
        or(of.qini_coefficient),
        or(of.uplift_coefficient),
        or(of.qini_mean),
        or(of.uplift_mean),
    ]
}

fn near(a: &[f64], b: &[f64]) -> bool {
    let like = |(a, b): (&f64, &f64)| {
        (a.is_nan() && b.is_nan()) || (a - b).abs() <= 1e-9 * a.abs().max(1.0)
    };
    a.len() == b.len() && a.iter().zip(b).all(like)
}

/// Figures that a curve which ends within rounding of zero is not divided by.
fn ends_apart_from_zero(of: &Measures) -> bool {
    of.effect.abs() > 1e-6
}

proptest! {
    #[test]
    fn a_rising_transform_of_scores_changes_nothing(drawn in drawn(3)) {
        let mut moved = drawn.clone();
        moved.scores.iter_mut().for_each(|score| *score = 7.0 * score.powi(3) - 2.0);
        let (a, b) = (drawn.ranking(), moved.ranking());
        prop_assert_eq!(a.measures(), b.measures());
        prop_assert_eq!(a.curve(), b.curve());
        let at = |ranking: &Ranking| ranking.uplift_at(0.3, Strategy::Overall);
        prop_assert_eq!(at(&a), at(&b));
    }

    #[test]
    fn the_order_of_rows_changes_nothing(drawn in drawn(3), seed in any::<u64>()) {
        let mut rows: Vec<usize> = (0..drawn.scores.len()).collect();
        let mut random = Random::new(seed);
        for at in (1..rows.len()).rev() {
            rows.swap(at, (random.bits() % (at as u64 + 1)) as usize);
        }
        let (a, b) = (drawn.ranking(), drawn.taken(&rows).ranking());
        prop_assume!(ends_apart_from_zero(&a.measures()));
        prop_assert!(near(&figures(&a.measures()), &figures(&b.measures())));
        for strategy in [Strategy::Overall, Strategy::ByGroup] {
            let bins = |of: &Ranking| -> Vec<f64> {
                let bins = of.bins(2, strategy, None).expect("bins");
                let of = |x: Option<f64>| x.unwrap_or(f64::NAN);
                bins.iter().flat_map(|bin| [bin.treated, bin.control, bin.score, of(bin.uplift)]).collect()
            };
            prop_assert!(near(&bins(&a), &bins(&b)));
        }
    }

    #[test]
    fn a_weight_of_two_is_two_rows_and_of_none_no_row(drawn in drawn(3)) {
        let mut rows = Vec::new();
        for (row, weight) in drawn.weights.iter().enumerate() {
            rows.extend(core::iter::repeat_n(row, *weight as usize));
        }
        let mut twice = drawn.taken(&rows);
        twice.weights.fill(1.0);
        let (a, b) = (drawn.ranking().measures(), twice.ranking().measures());
        // the means behind every row know rows, not weights
        prop_assert!(near(&figures(&a)[..5], &figures(&b)[..5]), "{:?} {:?}", a, b);
    }

    #[test]
    fn the_best_ranking_has_a_coefficient_of_one(drawn in drawn(1)) {
        let mut best = drawn.clone();
        for row in 0..best.scores.len() {
            let sign = if best.treated[row] == Some(true) { 1.0 } else { -1.0 };
            best.scores[row] = sign * best.outcomes[row];
        }
        let found = best.ranking().measures().qini_coefficient;
        prop_assert!(found.is_none_or(|found| (found - 1.0).abs() < 1e-9), "{:?}", found);
    }

    #[test]
    fn areas_are_in_the_unit_of_the_outcome(drawn in drawn(1), factor in 0.5f64..20.0) {
        let mut scaled = drawn.clone();
        scaled.outcomes.iter_mut().for_each(|outcome| *outcome *= factor);
        let (a, b) = (drawn.ranking().measures(), scaled.ranking().measures());
        let times = [a.effect, a.qini_area, a.uplift_area].map(|x| x * factor);
        prop_assert!(near(&times, &[b.effect, b.qini_area, b.uplift_area]));
        if ends_apart_from_zero(&a) {
            prop_assert!(near(&figures(&a)[5..], &figures(&b)[5..]));
        }
    }

    #[test]
    fn a_trial_gives_a_model_or_a_refusal(
        rows in proptest::collection::vec((-3.0f64..3.0, 0u32..3, -1i32..2, 0u32..3), 1..50),
        learner in 0usize..5,
        folds in 2usize..5,
        drawn in 0u32..3,
    ) {
        let of = |at: fn(&(f64, u32, i32, u32)) -> f64| rows.iter().map(at).collect::<Vec<f64>>();
        let (column, outcomes, weights) = (of(|row| row.0), of(|row| f64::from(row.2)), of(|row| f64::from(row.3)));
        let codes: Vec<u32> = rows.iter().map(|row| row.1).collect();
        let Ok(arms) = Arms::of_codes(&codes) else { return Ok(()) };
        let own = vec![0.3; rows.len()];
        let columns = [Column { name: "a", values: &column, kind: Kind::Number }];
        let trial = Trial {
            columns: &columns,
            outcomes: &outcomes,
            arms: &arms,
            weights: Some(&weights),
            propensities: match drawn {
                0 => Propensities::Shares,
                1 => Propensities::Logged(&own),
                _ => Propensities::Estimated,
            },
        };
        let mut settings = Settings::new(Learner::ALL[learner], Objective::Regression);
        settings.folds = folds;
        for trees in [&mut settings.outcome, &mut settings.effect, &mut settings.propensity] {
            (trees.min_data_in_leaf, trees.num_iterations) = (1, 3);
        }
        if let Ok(model) = fit(&trial, &settings) {
            let effects = model.effects(&columns).expect("effects");
            prop_assert_eq!(effects.values.len(), rows.len() * arms.treatments());
            prop_assert!(effects.values.iter().all(|effect| effect.is_finite()), "{:?}", effects);
        }
    }

    #[test]
    fn bins_hold_all_rows(drawn in drawn(1), count in 1usize..6) {
        let bins = drawn.ranking().bins(count, Strategy::Overall, None).expect("bins");
        let rows: f64 = bins.iter().map(|bin| bin.treated + bin.control).sum();
        prop_assert!((rows - drawn.scores.len() as f64).abs() < 1e-9);
        prop_assert!(bins.windows(2).all(|pair| pair[0].score >= pair[1].score - 1e-12));
    }
}

#[test]
fn scores_by_chance_have_a_qini_about_zero() {
    let mut held = [0, 0];
    let (runs, rows) = (200, 600);
    for run in 0..runs {
        let world = World::new(rows, 1, true, false, run);
        let mut random = Random::new(1_000 + run);
        let scores: Vec<f64> = (0..rows).map(|_| random.uniform()).collect();
        let treated = world.arms.against(1);
        let ranking = Ranking::new(&Rows {
            scores: &scores,
            outcomes: &world.outcomes,
            treated: &treated,
            weights: None,
        })
        .expect("a ranking");
        let bootstrap = Bootstrap {
            resamples: 200,
            seed: run,
            level: 0.95,
        };
        let found = ranking.intervals(&bootstrap).expect("intervals");
        for (held, interval) in held.iter_mut().zip([found.qini_area, found.uplift_area]) {
            let interval = interval.expect("an interval");
            *held += u64::from(interval.lower <= 0.0 && 0.0 <= interval.upper);
        }
        assert_eq!(ranking.intervals(&bootstrap), Ok(found), "the same seed");
    }
    // 95 % of 200 are 190, give or take 3
    assert!(
        held.iter().all(|held| (178..=200).contains(held)),
        "{held:?}"
    );
}

#[test]
fn a_learned_ranking_is_better_than_chance_on_rows_not_seen() {
    let (given, held) = (
        World::new(6_000, 1, true, false, 1),
        World::new(6_000, 1, true, false, 2),
    );
    for learner in Learner::ALL {
        let columns = given.columns();
        let settings = Settings::new(learner, Objective::Binary);
        let model = fit(&given.trial(&columns, Propensities::Shares), &settings).expect("a model");
        let scores = model.effects(&held.columns()).expect("effects").of(1);
        let ranking = Ranking::new(&Rows {
            scores: &scores,
            outcomes: &held.outcomes,
            treated: &held.arms.against(1),
            weights: None,
        })
        .expect("a ranking");
        let found = ranking.intervals(&Bootstrap::default()).expect("intervals");
        let lower = found.qini_area.expect("an interval").lower;
        assert!(lower > 0.0, "{learner:?}: {lower}");
        let top = ranking
            .uplift_at(0.5, Strategy::Overall)
            .expect("a share")
            .expect("both arms");
        // of everybody .05, of the best half .15
        assert!(top > 0.08 && top < 0.2, "{learner:?}: {top}");
    }
}
