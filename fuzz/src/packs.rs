//! What people write: scene packs, expressions, import mappings. Whatever is refused says where.

use luopan_kernel::plan::ScenePlan;
use luopan_kernel::rule;
use luopan_kernel::value::Value;
use luopan_scene::{Fault, Language, Place};
use std::sync::OnceLock;

/// The plan over which expressions and mappings are read.
fn plan() -> &'static ScenePlan {
    static PLAN: OnceLock<ScenePlan> = OnceLock::new();
    PLAN.get_or_init(|| {
        let bytes = include_bytes!("../../crates/scene/tests/golden/fund.plan.json");
        // The golden file ends with a line break.
        ScenePlan::decode(bytes.trim_ascii_end()).expect("the golden plan is read")
    })
}

/// Every fault says where; false, since the text was refused.
fn places(faults: &[Fault], text: &str) -> bool {
    assert!(!faults.is_empty(), "refused without a fault");
    // A line of YAML ends at a carriage return too (YAML 1.2.2, 5.4).
    let breaks = text.replace("\r\n", "\n").matches(['\n', '\r']).count();
    let lines = breaks as u32 + 2;
    for fault in faults {
        assert!(
            fault.line >= 1 && fault.column >= 1 && fault.line <= lines,
            "{fault:?} of {lines} lines"
        );
        assert!(!fault.to_string().is_empty());
    }
    false
}

/// A pack of one file.
pub(crate) fn scene(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return false;
    };
    let files = vec![("scene.yaml".to_owned(), text.to_owned())];
    match luopan_scene::compile(files) {
        Ok(checked) => {
            let stored = checked.plan.encode();
            let read = ScenePlan::decode(&stored).expect("a plan that was just written");
            assert!(read.encode() == stored, "a plan changes when it is stored");
            true
        }
        Err(faults) => places(&faults, text),
    }
}

/// An expression, in every place in which it may stand.
pub(crate) fn cel(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return false;
    };
    let plan = plan();
    let nothing: [Value<'_>; 0] = [];
    let mut is_read = false;
    for place in [
        Place::Customer,
        Place::Segment,
        Place::Item(0),
        Place::Scored(0),
    ] {
        match luopan_scene::rule(plan, place, "expression", text) {
            Ok(named) => {
                is_read = true;
                let expr = &named.expr;
                let (whole, told) = (
                    rule::truth(expr, &nothing[..]),
                    rule::explain(expr, &nothing[..]),
                );
                assert!(
                    !(whole.is_true() && told.is_some()),
                    "true, and refused by a part"
                );
                for language in [Language::English, Language::Chinese] {
                    assert!(!luopan_scene::words(plan, expr, language).is_empty());
                }
            }
            Err(faults) => is_read |= places(&faults, text),
        }
    }
    is_read
}

/// An import mapping, and a row through one that is right.
pub(crate) fn mapping(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return false;
    };
    match luopan_scene::mapping::parse("mapping.yaml", text, plan()) {
        Ok(mapping) => {
            let header = ["code", "date", "nav", "id", "customer", "name"];
            let cells = header.map(|name| Value::Text(name.into()));
            let _ = mapping.row(1, &header, &cells);
            true
        }
        Err(faults) => places(&faults, text),
    }
}
