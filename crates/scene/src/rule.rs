//! Conditions that come from outside a pack: a segment asked for by hand, a rule tried in an editor. They are compiled over
//! the slots of a scene exactly as the pack's own are.

use crate::cel::{Scope, compile};
use crate::fault::Fault;
use crate::shape::Reporter;
use luopan_kernel::plan::{NamedRule, ScenePlan, SegmentPlan};
use luopan_kernel::segment::SegmentSet;

pub use crate::cel::Place;

/// Compiles the condition `source`; positions in faults are within it.
///
/// # Errors
/// Every fault.
pub fn rule(
    plan: &ScenePlan,
    place: Place,
    name: &str,
    source: &str,
) -> Result<NamedRule, Vec<Fault>> {
    let files = vec![(name.to_owned(), source.to_owned())];
    let mut report = Reporter {
        files: &files,
        faults: Vec::new(),
    };
    let at = |offset: usize| {
        let before = &source[..floor_boundary(source, offset)];
        let line = before.matches('\n').count();
        let column = before.chars().rev().take_while(|c| *c != '\n').count();
        crate::node::At {
            file: 0,
            line: line as u32 + 1,
            column: column as u32 + 1,
        }
    };
    match compile(source, &Scope::of_plan(plan, place, &Default::default())) {
        Ok(typed) if typed.ty == crate::cel::Ty::Boolean => {
            let rule = NamedRule {
                name: name.to_owned(),
                source: source.trim().to_owned(),
                expr: typed.expr,
                version: None,
                authority: None,
                effective: None,
            };
            if place == Place::Segment {
                for error in foreseen(plan, &rule) {
                    report.at(at(0), crate::fault::Code::NotHere, error, "");
                }
            }
            if report.faults.is_empty() {
                return Ok(rule);
            }
        }
        Ok(typed) => report.at(
            at(0),
            crate::fault::Code::ExpressionType,
            format!(
                "this gives {}, and a condition is needed here",
                typed.ty.word()
            ),
            "compare it with something, so that it is true or false",
        ),
        Err(faults) => {
            for f in faults {
                report.near(at(f.offset), f.code, f.found, f.write, f.nearest);
            }
        }
    }
    Err(report.faults)
}

/// The kernel's own faults of a segment's rule: changes with time that it could not foresee.
pub(crate) fn foreseen(plan: &ScenePlan, rule: &NamedRule) -> Vec<String> {
    let alone = ScenePlan {
        segments: vec![SegmentPlan {
            name: rule.name.clone(),
            rule: rule.clone(),
        }],
        ..plan.clone()
    };
    SegmentSet::faults(&alone)
        .iter()
        .map(ToString::to_string)
        .collect()
}

fn floor_boundary(text: &str, offset: usize) -> usize {
    let mut at = offset.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}
