//! ARCHITECTURE.md is true of the tree: every path it names exists, and every crate stands in it.
//!
//! A path is a code span with a slash in it and none at its start (`crates/kernel`, `.ci/run`; `/v1/events` is none), or the
//! target of a link that has no scheme. A path is written from the root of the checkout.

use std::collections::BTreeSet;
use std::path::Path;

use xtask::tree;

fn paths(text: &str) -> BTreeSet<String> {
    let mut found = code_paths(text);
    for link in text.split("](").skip(1) {
        let target = link.split([')', '#']).next().unwrap_or_default();
        if !target.is_empty() && !target.contains(':') {
            found.insert(target.trim_end_matches('/').to_owned());
        }
    }
    found
}

fn code_paths(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (index, span) in text.split('`').enumerate() {
        // Odd pieces lie between two back quotes; a fenced block has line breaks and is prose to this test.
        if index % 2 == 1 && is_path(span) {
            found.insert(span.trim_end_matches('/').to_owned());
        }
    }
    found
}

fn is_path(span: &str) -> bool {
    span.contains('/')
        && !span.starts_with('/')
        && span
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '/' | '.' | '_' | '-'))
}

#[test]
fn every_path_on_the_map_exists_and_every_crate_stands_on_it() {
    let root = tree::root();
    let text = std::fs::read_to_string(root.join("ARCHITECTURE.md")).expect("read ARCHITECTURE.md");
    let paths = paths(&text);
    let gone: Vec<&String> = paths
        .iter()
        .filter(|path| !root.join(path).exists())
        .collect();
    assert!(
        gone.is_empty(),
        "ARCHITECTURE.md names what does not exist: {gone:?}"
    );

    let workspace = tree::workspace().expect("read the workspace");
    let unmapped: Vec<String> = workspace
        .packages
        .iter()
        .filter_map(|package| package.manifest_path.parent()?.strip_prefix(root).ok())
        .map(|folder: &Path| folder.display().to_string())
        .filter(|folder| !paths.contains(folder) && !text.contains(&format!("`{folder}`")))
        .collect();
    assert!(
        unmapped.is_empty(),
        "these crates do not stand in ARCHITECTURE.md (write each as `folder/name`): {unmapped:?}"
    );
}

#[test]
fn every_file_of_a_walk_exists() {
    let root = tree::root();
    for walk in tree::files(&root.join("docs/paths"), "md").expect("list the walks") {
        let text = std::fs::read_to_string(&walk).expect("read a walk");
        let mut gone = code_paths(&text);
        gone.retain(|path| !root.join(path).exists());
        assert!(
            gone.is_empty(),
            "{} names what does not exist: {gone:?}",
            walk.display()
        );
    }
}

#[test]
fn paths_are_told_from_other_code() {
    let text = "`crates/kernel/` and `State::commit`, `/v1/events`, `a / b`, `.ci/run`, [x](docs/paths/README.md#top), \
                [y](https://example.org/z), [z](#here)";
    let expected = [".ci/run", "crates/kernel", "docs/paths/README.md"];
    assert_eq!(paths(text).into_iter().collect::<Vec<_>>(), expected);
}

/// Names of tests in the text: code spans of lower-case letters, digits and at least three underscores.
fn tests(text: &str) -> BTreeSet<String> {
    let is_test = |span: &str| {
        span.matches('_').count() >= 3
            && (span.chars()).all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    };
    let spans = text.split('`').enumerate().filter(|(i, _)| i % 2 == 1);
    spans
        .map(|(_, span)| span)
        .filter(|span| is_test(span))
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_test_on_the_map_is_in_the_tree() {
    let root = tree::root();
    let text = std::fs::read_to_string(root.join("ARCHITECTURE.md")).expect("read ARCHITECTURE.md");
    let mut named = tests(&text);
    assert!(named.len() > 10, "only {} tests are named", named.len());
    for path in tree::files(root, "rs").expect("list the Rust files") {
        let source = std::fs::read_to_string(path).expect("read a Rust file");
        named.retain(|name| !source.contains(&format!("fn {name}(")));
    }
    assert!(
        named.is_empty(),
        "ARCHITECTURE.md names tests that are not in the tree: {named:?}"
    );
}

#[test]
fn tests_are_told_from_other_code() {
    let text = "`a_cap_of_zero` and `the_end`, `State::commit`, `once_at_a_time`, once_upon_a_time, `A_B_C_D`";
    let expected = ["a_cap_of_zero", "once_at_a_time"];
    assert_eq!(tests(text).into_iter().collect::<Vec<_>>(), expected);
}
