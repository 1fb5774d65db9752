//! Every case of `conformance/rules`, and that the folder holds what it promises.

use luopan_checker::case::{CaseFile, Expect};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn files() -> Vec<(PathBuf, CaseFile)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../conformance/rules");
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    paths.sort();
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).unwrap();
        let file =
            serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        (path, file)
    };
    paths.into_iter().map(read).collect()
}

#[test]
fn every_case_comes_out_as_written() {
    let (mut run, mut wrong) = (0, Vec::new());
    for (path, file) in files() {
        for case in &file.cases {
            run += 1;
            if let Err(found) = case.run(&file) {
                wrong.push(format!("{}: {found}", path.display()));
            }
        }
    }
    assert!(
        run > 0 && wrong.is_empty(),
        "{} of {run}:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

/// A case that would pass without its rule is none: each refused case is found, and each rule has a neighbour that is allowed.
#[test]
fn every_rule_has_cases_of_both_kinds_and_names_are_unique() {
    let mut names = BTreeSet::new();
    let (mut refused, mut allowed) = (BTreeSet::new(), BTreeSet::new());
    for (_, file) in files() {
        for case in &file.cases {
            assert!(
                names.insert((case.rule, case.case.clone())),
                "{} stands twice",
                case.case
            );
            match case.expect {
                Expect::Refused => refused.insert(case.rule),
                Expect::Allowed => allowed.insert(case.rule),
                Expect::Unknown => true,
            };
        }
    }
    let all: BTreeSet<u8> = (1..=16).collect();
    assert_eq!((refused, allowed), (all.clone(), all));
}

#[test]
fn classes_and_risks_are_tried_five_by_five_by_three() {
    let files = files();
    let table = files
        .iter()
        .flat_map(|(_, f)| &f.cases)
        .filter(|c| c.rule == 1 && c.case.starts_with('C') && c.case[2..].starts_with(" R"));
    let mut refused = 0;
    let count = table
        .inspect(|c| refused += usize::from(c.expect == Expect::Refused))
        .count();
    // Ten pairs of a class and a risk above it, for each of the three.
    assert_eq!((count, refused), (75, 30));
}

#[test]
fn a_case_that_expects_the_wrong_thing_is_found() {
    for (_, file) in files() {
        for case in &file.cases {
            let mut wrong = case.clone();
            wrong.expect = match case.expect {
                Expect::Allowed => Expect::Refused,
                _ => Expect::Allowed,
            };
            assert!(wrong.run(&file).is_err(), "{} passes either way", case.case);
        }
    }
}
