//! A rule asked about once: compiled against a scene, or refused with everything that is wrong with it.

use crate::problem::{Problem, Result};
use luopan_kernel::plan::{Expr, ScenePlan};
use luopan_scene::Place;

/// Compiles the rule.
///
/// # Errors
/// `rule_faults`, with every fault in the member `faults`.
pub fn compiled(plan: &ScenePlan, rule: &str) -> Result<Expr> {
    luopan_scene::rule(plan, Place::Segment, "rule", rule)
        .map(|named| named.expr)
        .map_err(|faults| {
            let words: Vec<String> = faults.iter().map(ToString::to_string).collect();
            Problem::new("rule_faults", words.join("; "))
                .with("faults", serde_json::to_value(&faults).unwrap_or_default())
        })
}
