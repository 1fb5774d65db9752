//! Crash tests: what was acknowledged survives `kill -9` and power loss, nothing is done twice, and the tests themselves
//! notice a program that lies. `LUOPAN_CRASH_ROUNDS` sets the kills of each run (50 by default), `LUOPAN_CRASH_SEED` the seed.

use luopan_testbed::power::{Loss, Power, SHIM};
use luopan_testbed::rounds::{Report, Rounds};
use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};
use tempfile::TempDir;

fn setting(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    Some(
        value
            .parse()
            .unwrap_or_else(|e| panic!("{name}={value}: {e}")),
    )
}

fn rounds(folder: &Path) -> Rounds {
    let seed = setting("LUOPAN_CRASH_SEED").unwrap_or_else(|| {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        since.map_or(1, |s| s.as_micros() as u64 % 1_000_000)
    });
    eprintln!("seed: LUOPAN_CRASH_SEED={seed}");
    Rounds {
        victim: env!("CARGO_BIN_EXE_loop_under_load").into(),
        folder: folder.to_owned(),
        rounds: setting("LUOPAN_CRASH_ROUNDS").unwrap_or(50),
        seed,
        power: None,
        losses: Vec::new(),
        acknowledge_early: false,
        syncs_lie: false,
        early_percent: 15,
    }
}

fn power(folder: &Path) -> Option<Power> {
    Some(Power::build(folder).unwrap_or_else(|e| panic!("the power-loss shim: {e}")))
}

fn run(rounds: &Rounds) -> Report {
    let report = rounds
        .run()
        .unwrap_or_else(|e| panic!("the run does not go on: {e}"));
    eprintln!("{report}");
    report
}

/// The laws stand, and they were put to the test.
fn whole(folder: TempDir, rounds: &Rounds, report: &Report) {
    if !report.said.broken.is_empty() {
        eprintln!("kept for a look: {}", folder.keep().display());
    }
    assert_eq!(
        report.said.broken,
        Vec::<String>::new(),
        "seed {}",
        rounds.seed
    );
    assert_eq!(report.kills + report.kills_while_starting, rounds.rounds);
    let said = &report.said;
    assert!(
        said.events_taken.len() as u64 > 20 * rounds.rounds
            && said.decided.len() as u64 > rounds.rounds,
        "{} events and {} decisions were acknowledged: nothing was put to the test",
        said.events_taken.len(),
        said.decided.len()
    );
}

#[test]
fn what_was_acknowledged_survives_kills() {
    let folder = tempfile::tempdir().unwrap();
    let rounds = rounds(folder.path());
    whole(folder, &rounds, &run(&rounds));
}

#[test]
fn what_was_acknowledged_survives_power_losses() {
    let folder = tempfile::tempdir().unwrap();
    let rounds = Rounds {
        power: power(folder.path()),
        losses: Loss::ALL.to_vec(),
        ..rounds(folder.path())
    };
    let report = run(&rounds);
    whole(folder, &rounds, &report);
    assert!(
        report.losses > rounds.rounds / 2 && report.writes_dropped > 0,
        "{} losses took {} writes: the power was never really gone",
        report.losses,
        report.writes_dropped
    );
}

#[test]
fn a_program_that_acknowledges_before_the_append_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let rounds = Rounds {
        rounds: 10,
        power: power(folder.path()),
        losses: vec![Loss::DropAll],
        acknowledge_early: true,
        early_percent: 0,
        ..rounds(folder.path())
    };
    let report = run(&rounds);
    let missing = "no acknowledged event is missing";
    assert!(
        report.said.broken.iter().any(|b| b.starts_with(missing)),
        "seed {}: the lie was not noticed: {:?}",
        rounds.seed,
        report.said.broken
    );
}

/// The store answers well and does not sync: the folder is opened honestly, then every acknowledgement is a lie.
fn with_lying_syncs(folder: &Path, losses: Vec<Loss>) -> (Rounds, Report) {
    let rounds = Rounds {
        rounds: 3,
        power: power(folder),
        losses,
        syncs_lie: true,
        early_percent: 0,
        ..rounds(folder)
    };
    let report = run(&rounds);
    (rounds, report)
}

#[test]
fn a_store_that_does_not_sync_is_noticed_when_the_power_goes() {
    let folder = tempfile::tempdir().unwrap();
    let (rounds, report) = with_lying_syncs(folder.path(), vec![Loss::DropAll]);
    let missing = "no acknowledged event is missing";
    assert!(
        report.said.broken.iter().any(|b| b.starts_with(missing)),
        "seed {}: the lie was not noticed: {:?}",
        rounds.seed,
        report.said.broken
    );
}

#[test]
fn a_kill_alone_proves_nothing_of_syncs() {
    let folder = tempfile::tempdir().unwrap();
    let (rounds, report) = with_lying_syncs(folder.path(), Vec::new());
    assert_eq!(
        report.said.broken,
        Vec::<String>::new(),
        "seed {}: the page cache has everything, so nothing may be missing after kills",
        rounds.seed
    );
}

#[test]
fn the_shim_proves_itself() {
    let out = Command::new("bash")
        .arg(Path::new(SHIM).join("test.sh"))
        .env("LUOPAN_POWERLOSS_KILLS", "3")
        .output()
        .unwrap_or_else(|e| panic!("bash: {e}"));
    let words = String::from_utf8_lossy(&out.stdout);
    eprintln!("{words}");
    assert!(
        out.status.success() && words.contains("passed"),
        "{words}{}",
        String::from_utf8_lossy(&out.stderr)
    );
}
