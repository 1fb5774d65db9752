//! Ranking for many customers says of each what a decision would: the same items with the same scores in the same order, and
//! the same refusals, over random worlds.

use super::wide::wide;
use super::world::{World, world};
use luopan_kernel::decide::batch::{Ranking, Screening};
use luopan_kernel::decide::{Prepared, decide};
use luopan_kernel::plan::Exploration;
use proptest::prelude::*;

fn rank(w: &World, top: usize, is_retrieved_outside: bool) -> Ranking {
    let models = w.objective_models();
    let situation = w.situation(&models);
    let prepared = Prepared::new(&w.scene, w.policy(), &w.catalogue, &w.artifacts);
    let screening = Screening::new(
        &w.scene,
        w.policy(),
        &situation,
        &prepared,
        w.request.moment,
    );
    let retrieved = match (screening.wanted(), prepared.index()) {
        (Some(wanted), Some(index)) if is_retrieved_outside => {
            Some(index.best(&wanted.vector, wanted.eligible, wanted.keep))
        }
        _ => None,
    };
    screening.rank(top, retrieved)
}

/// Holds the ranking to be the trace of a greedy decision; answers how many items it has.
fn agrees(mut w: World, top: usize, draw: u64) -> usize {
    w.request.forced = None;
    w.policy_mut().exploration = Exploration::Greedy;
    // The one gate that ranking does not ask.
    let ranking = rank(&w, top, false);
    assert_eq!(rank(&w, top, true), ranking, "retrieved elsewhere");
    w.policy_mut().quiet_hours = None;
    w.policy_mut().diversity = None;
    assert_eq!(rank(&w, top, false), ranking, "quiet hours and variety");
    let models = w.objective_models();
    let situation = w.situation(&models);
    let decided = decide(&w.scene, w.policy(), &situation, &w.request, draw);
    let scored: Vec<_> = (decided.trace.iter())
        .filter_map(|line| Some((line.item.clone(), line.score?.to_bits())))
        .collect();
    let wanted: Vec<_> = (scored.iter())
        .map_while(|(item, score)| Some((item.clone()?, *score)))
        .take(top)
        .collect();
    let found: Vec<_> = (ranking.items.iter())
        .map(|r| {
            let key = w.catalogue.key(r.row as usize).to_owned();
            (key, r.score.to_bits())
        })
        .collect();
    assert_eq!(found, wanted);
    assert_eq!(ranking.refusals, decided.refusals);
    let is_silent = scored.first().is_some_and(|(item, _)| item.is_none());
    assert_eq!(ranking.is_silent, is_silent);
    if !decided.null {
        assert_eq!(
            decided.choices[0].item, found[0].0,
            "the choice is the best"
        );
    }
    found.len()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn a_ranking_is_the_trace_of_a_greedy_decision(seed: u64, draw: u64, top in 1usize..12) {
        agrees(world(seed), top, draw);
    }

    #[test]
    fn a_ranking_with_stages_and_objectives_is_the_trace_of_a_greedy_decision(seed: u64, draw: u64, top in 1usize..12) {
        agrees(wide(seed), top, draw);
    }
}

#[test]
fn the_worlds_have_something_to_rank() {
    let ranked = |make: &dyn Fn(u64) -> World| {
        (0..400)
            .filter(|seed| agrees(make(*seed), 5, *seed) > 1)
            .count()
    };
    assert!(ranked(&world) > 40 && ranked(&wide) > 40);
}
