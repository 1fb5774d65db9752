//! That the oracle knows more than lots do, and that whoever chooses, the log shows neither cap nor budget nor rule broken.

use super::drive::play;
use super::judge::weeks_above;
use super::who::Who;
use super::world::Platform;
use super::{oracle, scene};
use luopan_kernel::time::{DAY_US, Micros};

const CUSTOMERS: u32 = 150;
const LIMIT: i64 = 500;

#[test]
fn a_third_offer_within_a_week_is_seen() {
    let days = |of: &[i64]| -> Vec<Micros> { of.iter().map(|d| Micros(d * DAY_US)).collect() };
    assert_eq!(weeks_above(&days(&[0, 2, 7, 9]), 2), (2, 0));
    assert_eq!(weeks_above(&days(&[0, 2, 6, 20]), 2), (3, 1));
}

#[test]
fn the_oracle_earns_more_than_lots_and_nobody_breaks_cap_or_budget() {
    let mut plan = scene::compiled().unwrap();
    plan.budgets[0].limit = LIMIT;
    let platform = Platform::new(4, CUSTOMERS, scene::weekly(&plan)).unwrap();
    let price = oracle::price(&platform, LIMIT as usize).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut worth = Vec::new();
    for who in [Who::Random, Who::Oracle(price), Who::Blended, Who::Learned] {
        let played = play(&plan, platform.clone(), who, 4, &folder.path().join("data")).unwrap();
        let judged = played.judged;
        assert_eq!(judged.broken, 0, "{judged:?}");
        assert_eq!(judged.differ, 0, "{judged:?}");
        assert!(
            judged.most_a_week <= 2 && judged.offers > LIMIT as usize / 2,
            "{judged:?}"
        );
        assert!(judged.offers <= LIMIT as usize, "{judged:?}");
        worth.push(
            played
                .rows
                .iter()
                .map(super::drive::Row::chance)
                .sum::<f64>(),
        );
    }
    assert!(worth[1] > 1.5 * worth[0], "{worth:?}");
    assert!(worth[1] > worth[2] && worth[2] > worth[0], "{worth:?}");
}
