//! Every case of `conformance/` against the natively compiled kernel, compared as JSON text. With `LUOPAN_BLESS=1` the answers
//! are written into the files instead; read the difference before you commit it. `conformance/rules` holds market rules in a
//! form of its own, which other tests run.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct File {
    about: String,
    cases: Vec<Case>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    request: Box<RawValue>,
    response: Option<Box<RawValue>>,
}

/// `text` without the white space between its tokens; numbers and strings stay as they are written.
fn compact(text: &str) -> String {
    let mut compact = String::with_capacity(text.len());
    let (mut in_string, mut escaped) = (false, false);
    for character in text.chars() {
        if in_string {
            in_string = escaped || character != '"';
            escaped = !escaped && character == '\\';
        } else if character.is_ascii_whitespace() {
            continue;
        } else {
            in_string = character == '"';
        }
        compact.push(character);
    }
    compact
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("conformance folder") {
        let path = entry.expect("conformance folder entry").path();
        if path.ends_with("conformance/rules") {
            continue;
        }
        if path.is_dir() {
            found.extend(files(&path));
        } else if path
            .extension()
            .is_some_and(|extension| extension == "json")
        {
            found.push(path);
        }
    }
    found.sort();
    found
}

#[test]
fn the_native_kernel_answers_every_case_as_written() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../conformance");
    let bless = std::env::var_os("LUOPAN_BLESS").is_some_and(|value| value == "1");
    let (mut run, mut wrong) = (0, Vec::new());
    for path in files(&folder) {
        let text = std::fs::read_to_string(&path).expect("conformance file");
        let mut file: File = serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        for case in &mut file.cases {
            run += 1;
            let got = luopan_edge::call(compact(case.request.get()).as_bytes());
            let got = String::from_utf8(got).expect("an answer is UTF-8");
            let expected = case
                .response
                .as_ref()
                .map(|response| compact(response.get()));
            if expected.as_deref() == Some(got.as_str()) {
                continue;
            }
            wrong.push(format!(
                "{}: {}\n  expected {}\n  got      {got}",
                path.display(),
                case.name,
                expected
                    .as_deref()
                    .unwrap_or("nothing: no response is written")
            ));
            case.response = Some(RawValue::from_string(got).expect("an answer is JSON"));
        }
        if bless {
            let blessed = serde_json::to_string_pretty(&file).expect("a conformance file is JSON");
            std::fs::write(&path, blessed + "\n").expect("write the conformance file");
        }
    }
    assert!(run > 0, "no case was found under {}", folder.display());
    assert!(
        bless || wrong.is_empty(),
        "{} of {run} cases:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn compact_leaves_strings_and_numbers_alone() {
    assert_eq!(
        compact("{ \"a b\\\" \" : [1.0, 2e5 ,\n\"\\\\\" ] }"),
        "{\"a b\\\" \":[1.0,2e5,\"\\\\\"]}"
    );
}
