//! The corpus is replayed, and seeded mutations of it: `LUOPAN_FUZZ_RUNS` a target, from `LUOPAN_FUZZ_SEED`. What fails is written
//! beside the corpus and named, so that it can be run again alone.

use luopan_fuzz::mutate::{Dice, mutate};
use luopan_fuzz::{TARGETS, Target, check};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Mutations a target when nobody says how many.
const RUNS: u64 = 2_000;
/// Longest input that is made.
const BYTES_MAX: usize = 64 << 10;

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|v| v.parse().ok())
        .unwrap_or(otherwise)
}

fn corpus(target: &Target) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(target.name);
    let mut found: Vec<_> = std::fs::read_dir(&folder)
        .unwrap_or_else(|e| panic!("{}: {e}", folder.display()))
        .map(|entry| entry.expect("an entry").path())
        .map(|path| (path.clone(), std::fs::read(&path).expect("a file")))
        .collect();
    found.sort();
    assert!(!found.is_empty(), "{} has no corpus", target.name);
    found
}

/// Runs an input; answers whether it was read, or how it failed.
fn run(target: &Target, input: &[u8]) -> Result<bool, String> {
    catch_unwind(AssertUnwindSafe(|| check(target, input))).map_err(|panic| {
        let words = panic.downcast_ref::<String>().cloned();
        words
            .or_else(|| panic.downcast_ref::<&str>().map(|w| (*w).to_owned()))
            .unwrap_or_default()
    })
}

/// Memory is counted for the whole process: tests do not run beside each other.
static ALONE: Mutex<()> = Mutex::new(());

#[test]
fn the_corpus_and_its_mutations_hold() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let (runs, seed) = (
        number("LUOPAN_FUZZ_RUNS", RUNS),
        number("LUOPAN_FUZZ_SEED", 1),
    );
    let only = std::env::var("LUOPAN_FUZZ_TARGET").ok();
    let mut failed = Vec::new();
    for target in TARGETS {
        if only.as_deref().is_some_and(|name| name != target.name) {
            continue;
        }
        let corpus = corpus(target);
        let begun = std::time::Instant::now();
        let mut is_any_read = false;
        for (path, input) in &corpus {
            match run(target, input) {
                Ok(is_read) => is_any_read |= is_read,
                Err(why) => failed.push(format!("{}: {}: {why}", target.name, path.display())),
            }
        }
        if !is_any_read {
            // Such a corpus is of an older form: its mutations never come past the first look.
            failed.push(format!("{}: nothing of the corpus is read", target.name));
        }
        let mut kinds = std::collections::BTreeSet::new();
        for i in 0..runs {
            let mut dice = Dice::new(seed.wrapping_mul(1_000_003).wrapping_add(i));
            let (_, input) = &corpus[dice.below(corpus.len())];
            let (_, other) = &corpus[dice.below(corpus.len())];
            let input = mutate(input, other, &mut dice, BYTES_MAX);
            let Err(why) = run(target, &input) else {
                continue;
            };
            // One of a kind is enough to look at.
            let kind: String = why
                .chars()
                .filter(|c| !c.is_ascii_digit())
                .take(60)
                .collect();
            if kinds.insert(kind) {
                let path =
                    std::env::temp_dir().join(format!("luopan-fuzz-{}-{seed}-{i}", target.name));
                std::fs::write(&path, &input).expect("a file");
                failed.push(format!(
                    "{}: seed {seed}, run {i}, kept in {}: {why}",
                    target.name,
                    path.display()
                ));
            }
        }
        println!(
            "{}: {} inputs of the corpus and {runs} mutations in {:.1} s",
            target.name,
            corpus.len(),
            begun.elapsed().as_secs_f64()
        );
    }
    assert!(failed.is_empty(), "\n{}", failed.join("\n"));
}

#[test]
fn mutations_repeat_and_a_fault_on_purpose_is_found() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let of = |seed| mutate(b"some input", b"another", &mut Dice::new(seed), 100);
    assert_eq!(of(7), of(7));
    assert!((0..50).any(|seed| of(seed) != of(seed + 1)));
    let greedy = Target {
        name: "greedy",
        run: |bytes| {
            drop(std::hint::black_box(vec![
                1_u8;
                (64 << 20) + bytes.len() * 3_000
            ]));
            true
        },
    };
    let odd = Target {
        name: "odd",
        run: |bytes| {
            assert!(!bytes.contains(&b'!'), "a mark");
            true
        },
    };
    assert!(run(&greedy, b"x").is_err_and(|why| why.contains("bytes were held")));
    assert!((0..10_000).any(|seed| run(&odd, &of(seed)).is_err()));
}
