//! Any text at all is answered: no pack, expression or mapping makes this room panic.

use crate::support::{EVERY_TYPE, compile, root};
use luopan_scene::{Place, mapping};
use proptest::prelude::*;

/// Text made of the pieces that packs and expressions are made of.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "scene",
        "events",
        "tags",
        "derived",
        "policies",
        "a",
        "b",
        ":",
        ": ",
        "\n",
        "\n  ",
        "- ",
        "{",
        "}",
        "[",
        "]",
        ",",
        "\"",
        "'",
        "|",
        ">",
        "#",
        "&",
        "*",
        "!",
        "?",
        "%",
        "@",
        "`",
        "\t",
        "\\",
        "0",
        "1.5",
        "30d",
        "true",
        "null",
        "~",
        "中",
        "é",
        "\u{feff}",
        "(",
        ")",
        "&&",
        "||",
        "==",
        "<=",
        "-",
        "+",
        "/",
        ".",
        "in",
        "known(",
        "duration(\"1d\")",
        "money(",
        "x.orElse(",
        "==b",
    ]);
    prop::collection::vec(piece, 0..60).prop_map(|v| v.concat())
}

/// A shipped file with a stretch of it cut out, doubled or replaced.
fn mutated() -> impl Strategy<Value = (String, String)> {
    let files: Vec<(String, String)> = ["email-campaign", "bank-telemarketing", "fund"]
        .iter()
        .flat_map(|n| {
            let pack = luopan_scene::load_folder(&root().join("scenes").join(n)).unwrap();
            pack.files
        })
        .collect();
    (
        prop::sample::select(files),
        any::<prop::sample::Index>(),
        0usize..40,
        pieces(),
    )
        .prop_map(|((path, text), at, cut, new)| {
            let chars: Vec<char> = text.chars().collect();
            let start = at.index(chars.len());
            let end = (start + cut).min(chars.len());
            let out: String = chars[..start].iter().collect::<String>()
                + &new
                + &chars[end..].iter().collect::<String>();
            (path, out)
        })
}

proptest! {
    #![proptest_config(ProptestConfig::default())]

    #[test]
    fn any_pack_is_answered(text in pieces(), other: String) {
        let _ = luopan_scene::compile(vec![("scene.yaml".into(), text.clone()), ("mappings/m.yaml".into(), text)]);
        let _ = luopan_scene::compile(vec![("scene.yaml".into(), other)]);
    }

    #[test]
    fn any_change_to_a_pack_is_answered_with_places((path, text) in mutated()) {
        let lines: Vec<usize> = text.split('\n').map(|l| l.chars().count()).collect();
        if let Err(faults) = luopan_scene::compile(vec![(path, text)]) {
            for fault in faults {
                // A carriage return or another line end of YAML's own may add lines; no place lies far outside.
                prop_assert!(fault.line >= 1 && fault.column >= 1);
                prop_assert!((fault.line as usize) <= lines.len() + 1, "{fault}");
            }
        }
    }

    #[test]
    fn any_expression_is_answered(text in pieces(), other: String) {
        let plan = compile(EVERY_TYPE).unwrap().plan;
        for source in [text, other] {
            for place in [Place::Customer, Place::Segment, Place::Item(0)] {
                if let Err(faults) = luopan_scene::rule(&plan, place, "rule", &source) {
                    prop_assert!(!faults.is_empty(), "refused without a fault: {source:?}");
                }
            }
            let _ = mapping::parse("m.yaml", &source, &plan);
        }
    }
}
