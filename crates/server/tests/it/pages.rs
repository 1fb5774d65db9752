//! Every code has a page and every page a code; every code that the sources write is in the list.

use luopan_server::codes;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn sources(folder: &Path, out: &mut Vec<(PathBuf, String)>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, out);
        } else if path.extension().is_some_and(|e| e == "rs") && !path.ends_with("codes.rs") {
            out.push((
                path.clone(),
                std::fs::read_to_string(&path).expect("a source"),
            ));
        }
    }
}

/// The quoted words of lower case that follow one of `marks`, with only white space between.
fn words_after(text: &str, marks: &[&str]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for mark in marks {
        for rest in text.split(mark).skip(1) {
            let Some(rest) = rest.trim_start().strip_prefix('"') else {
                continue;
            };
            let word = rest.split('"').next().unwrap_or_default();
            if !word.is_empty()
                && word
                    .chars()
                    .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
            {
                found.insert(word.to_owned());
            }
        }
    }
    found
}

#[test]
fn every_code_has_a_page_and_every_page_a_code() {
    let pages: BTreeSet<String> = std::fs::read_dir(root().join("docs/errors"))
        .expect("docs/errors")
        .map(|e| {
            e.expect("an entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .filter_map(|name| {
            name.strip_suffix(".md")
                .filter(|n| *n != "README")
                .map(str::to_owned)
        })
        .collect();
    let known: BTreeSet<String> = codes::ALL.iter().map(|c| c.word.to_owned()).collect();
    assert_eq!(pages, known);
    // These stand beside an input of a batch, and these beside a row of a file, where there is no HTTP at all.
    let inputs = [
        "bad_identifier",
        "duplicate_property",
        "event_too_large",
        "in_the_future",
        "malformed_event",
        "malformed_json",
        "missing_property",
        "not_one_of",
        "not_utf8",
        "out_of_range",
        "text_too_long",
        "too_many_properties",
        "too_old",
        "unknown_event_type",
        "unknown_property",
        "wrong_type",
    ];
    let both = [
        "bad_identifier",
        "event_too_large",
        "malformed_json",
        "not_utf8",
        "wrong_type",
    ];
    let rows = [
        "malformed_row",
        "ragged_row",
        "too_many_items",
        "unknown_action",
    ];
    for code in codes::ALL {
        let text = std::fs::read_to_string(root().join(format!("docs/errors/{}.md", code.word)))
            .expect("a page");
        for part in [
            &format!("# `{}`", code.word),
            "## What happened",
            "## What was kept",
            "## What to do",
        ] {
            assert!(
                text.contains(part),
                "the page of {} lacks `{part}`",
                code.word
            );
        }
        let has = |part: &str| text.contains(part);
        let is_input = inputs.contains(&code.word);
        assert_eq!(
            has(&format!("HTTP status {}", code.status)),
            (!is_input || both.contains(&code.word)) && !rows.contains(&code.word),
            "the page of {} says with which status it is refused, when it is",
            code.word
        );
        assert_eq!(
            has("HTTP status 200 with `\"quarantined\": 1`"),
            is_input,
            "the page of {} says what is answered to an input, when it is one",
            code.word
        );
    }
}

#[test]
fn every_code_that_is_written_is_listed_and_the_other_way_round() {
    let mut files = Vec::new();
    sources(&root().join("crates/server/src"), &mut files);
    sources(&root().join("crates/engine/src"), &mut files);
    let marks = [
        "code: ",
        "Problem::new(",
        "Problem::limit(",
        "fault(",
        "refusal(",
        "refused(",
        "refuse(",
    ];
    let mut written = BTreeSet::new();
    for (path, text) in &files {
        // Tests inside the sources may say anything.
        let text = text.split("#[cfg(test)]").next().unwrap_or_default();
        for word in words_after(text, &marks) {
            assert!(
                codes::find(&word).is_some(),
                "{} writes the code `{word}`, which codes.rs does not list",
                path.display()
            );
            written.insert(word);
        }
    }
    assert!(
        written.len() > 30,
        "only {} codes were found in the sources",
        written.len()
    );
    let all: String = files.iter().map(|(_, text)| text.as_str()).collect();
    for code in codes::ALL {
        assert!(
            all.contains(&format!("\"{}\"", code.word)),
            "nothing writes the code `{}`",
            code.word
        );
    }
}
