//! Every Rust file says at its top what the room is for.

use xtask::tree;

#[test]
fn every_source_file_opens_with_its_purpose() {
    let root = tree::root();
    let files = tree::files(root, "rs").expect("list the Rust files");
    assert!(
        files.len() > 10,
        "only {} Rust files were found under {}",
        files.len(),
        root.display()
    );
    let silent: Vec<String> = files
        .iter()
        .filter(|path| {
            let text = std::fs::read_to_string(path).expect("read a Rust file");
            !opens_with_its_purpose(&text)
        })
        .map(|path| {
            path.strip_prefix(root)
                .unwrap_or(path)
                .display()
                .to_string()
        })
        .collect();
    assert!(
        silent.is_empty(),
        "these files do not open with `//!` and words: write what the room is for and what it must never do\n{}",
        silent.join("\n")
    );
}

fn opens_with_its_purpose(text: &str) -> bool {
    text.strip_prefix("//!").is_some_and(|rest| {
        rest.lines()
            .next()
            .is_some_and(|line| line.split_whitespace().count() > 1)
    })
}

#[test]
fn an_opening_needs_words() {
    assert!(opens_with_its_purpose("//! What is known of a customer.\n"));
    assert!(!opens_with_its_purpose(
        "//!\n//! What is known of a customer.\n"
    ));
    assert!(!opens_with_its_purpose("use std::fmt;\n//! late\n"));
    assert!(!opens_with_its_purpose(""));
}
