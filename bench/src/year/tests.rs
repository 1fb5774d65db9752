//! The whole chain at small size, with the checker as the program that it is: nothing is found, and what is broken on purpose
//! is found.

use super::judge::{Judge, settings};
use super::scene::Scene;
use super::*;
use luopan_simulator::fund::TradingDays;

/// Everything is asked for often, so that few people give every rule something to look at.
const RATES: Rates = Rates {
    push_a_day: 0.05,
    text_a_day: 0.05,
    push_a_login: 0.3,
    shelf_a_visit: 0.5,
    with_model: 0.05,
};

/// The checker's program, built when this is the only package that is.
fn program() -> PathBuf {
    if let Ok(found) = checker() {
        return found;
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let built = std::process::Command::new(env!("CARGO"))
        .args(["build", "--release", "--offline", "-p", "luopan-checker"])
        .current_dir(root)
        .status();
    assert!(built.is_ok_and(|s| s.success()), "the checker is not built");
    checker().unwrap()
}

fn size(folder: &Path, seed: u64, customers: u32, days: i64, products: usize) -> Size {
    Size {
        customers,
        days,
        products,
        parts: 2,
        seed,
        rates: RATES,
        checker: program(),
        folder: folder.to_owned(),
    }
}

fn played(scene: &Scene, seed: u64) -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    run(
        &size(folder.path(), seed, 1_000, 60, 400),
        scene,
        &mut |_, _, _| {},
    )
    .unwrap()
}

#[test]
fn sixty_days_break_no_rule_and_every_rule_is_looked_at() {
    let outcome = played(&Scene::shipped().unwrap(), 5);
    let (tally, found) = (&outcome.tally, &outcome.found);
    assert_eq!(found.violated(), 0, "{}", judge::table(found));
    // 7 and 15: nobody signs for a private fund here, and advice is refused. All others have something to look at.
    for rule in [1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 12, 13, 14, 16] {
        assert!(
            found.rules[&rule].kept > 0,
            "rule {rule}: {}",
            judge::table(found)
        );
    }
    // Unknown is what a fast redemption leaves open, and nothing else.
    for (rule, looks) in &found.rules {
        let fast = |e: &serde_json::Value| {
            e["found"]
                .as_str()
                .is_some_and(|f| f.contains("fast redemption"))
        };
        assert!(looks.unknown == 0 || matches!(rule, 12 | 13), "rule {rule}");
        assert!(looks.unknowns.iter().all(fast));
    }
    // Every line reached the checkers: those of customers once, those of products once a checker.
    assert!(found.records > tally.lines && (found.records - tally.lines) % 2 == 0);
    assert!(
        tally.all_decisions() > 2_000 && tally.orders.0 > 100 && tally.answers > 5,
        "{tally:?}"
    );
    assert!(tally.sent.0 > 100 && tally.sent.1 > 0, "{tally:?}");
    assert!(tally.refused.values().sum::<u64>() > 3, "{tally:?}");
}

#[test]
fn a_rule_that_is_taken_out_of_the_pack_is_missed_by_the_checker() {
    for (name, rule) in [
        ("cn_assessment_valid", 4),
        ("cn_rated", 4),
        ("cn_no_push_above_class", 2),
        ("cn_shelf_within_class", 1),
        ("cn_own_purchase_within_class", 1),
        ("cn_notice_acknowledged", 5),
        ("cn_volatility_beside_return", 9),
        ("cn_personalisation_on", 10),
        ("cn_sms_consent", 11),
        ("unsubscribed", 11),
        ("cn_portfolio_advice", 15),
    ] {
        let scene = Scene::without(&[name]).unwrap();
        // Few people: what a rule forbids may not come up in a world, and then another is played.
        let is_seen = (5..9).any(|seed| {
            let looks = &played(&scene, seed).found.rules[&rule];
            looks.violated > 0 && !looks.violations.is_empty()
        });
        assert!(
            is_seen,
            "without `{name}`, rule {rule} is broken and nobody saw it"
        );
    }
    assert!(Scene::without(&["cn_no_such_rule"]).is_err());
}

#[test]
fn a_forged_line_is_found_and_a_broken_one_stops_the_check() {
    let folder = tempfile::tempdir().unwrap();
    settings(
        folder.path(),
        &TradingDays::made_up(20_000, 21_000).unwrap(),
    )
    .unwrap();
    let start = || Judge::start(&program(), folder.path()).unwrap();
    let facts = r#"{"type":"product","at":"2026-01-05T00:00:00Z","product":"p","risk_level":5}
{"type":"customer","at":"2026-01-05T00:00:00Z","customer":"c","risk_appetite":2,"appetite_expires_at":"2027-01-01T00:00:00Z"}
"#;
    let forged = r#"{"type":"decision","at":"2026-01-06T00:00:00Z","id":"d","customer":"c","purpose":"push","channel":"app","items":["p"],"reads":[]}
"#;
    let mut judge = start();
    judge.tell(facts.as_bytes()).unwrap();
    judge.tell(forged.as_bytes()).unwrap();
    let (found, peak) = judge.verdict().unwrap();
    assert_eq!((found.records, found.violated()), (3, 1));
    assert_eq!(found.rules[&2].violated, 1);
    assert!(peak > 0);
    let mut judge = start();
    judge.tell(facts.as_bytes()).unwrap();
    judge.tell(b"{\"type\":\"decision\"}\n").unwrap();
    let refused = judge.verdict().unwrap_err().to_string();
    assert!(refused.contains("missing field"), "{refused}");
}

#[test]
fn the_engine_on_stores_breaks_no_rule_either() {
    let folder = tempfile::tempdir().unwrap();
    let outcome = engine::run(&size(folder.path(), 5, 60, 25, 60)).unwrap();
    let (tally, found) = (&outcome.tally, &outcome.found);
    assert_eq!(found.violated(), 0, "{}", judge::table(found));
    assert_eq!(
        outcome.exported.decisions,
        tally.all_decisions(),
        "every decision is exported"
    );
    assert!(
        tally.all_decisions() > 50 && tally.orders.0 > 2,
        "{tally:?}"
    );
    assert!(
        found.rules[&4].kept > 50 && found.rules[&12].kept > 0,
        "{}",
        judge::table(found)
    );
    assert_eq!((outcome.explained.0, outcome.differences), (0, 0));
}
