//! Encoding slots into the vector of numbers that models learn from and predict with. The same code runs when deciding and
//! when a training row is made, so there is nothing to skew.
//!
//! This room must never produce a number that is not finite, and never read a slot that the plan does not name.

use crate::plan::ScenePlan;
use crate::plan::model::{FeaturePlan, ModelPlan};
use crate::plan::slot::SlotId;
use crate::rule::Lookup;
use crate::value::Value;
use core::fmt::Write as _;

/// Number of positions of one feature.
pub fn width(plan: &FeaturePlan) -> usize {
    match plan {
        FeaturePlan::Intercept | FeaturePlan::Standard { .. } => 1,
        FeaturePlan::OneHot {
            categories,
            other,
            missing,
            ..
        } => categories.len() + usize::from(*other) + usize::from(*missing),
        FeaturePlan::Bins { edges, missing, .. } => edges.len() + 1 + usize::from(*missing),
        FeaturePlan::Cross { left, right } => width(left) * width(right),
    }
}

/// Length of a model's encoded vector.
pub fn dimension(plan: &ModelPlan) -> usize {
    plan.features.iter().map(|f| width(&f.plan)).sum()
}

/// Encodes the model's features over `lookup` into `out`, which is emptied first and then holds [`dimension`] numbers.
pub fn encode<L: Lookup + ?Sized>(plan: &ModelPlan, lookup: &L, out: &mut Vec<f64>) {
    out.clear();
    for feature in &plan.features {
        encode_feature(&feature.plan, lookup, out);
    }
}

/// Encodes `features` over `lookup` into `out`, which is emptied first.
pub fn encode_all<L: Lookup + ?Sized>(features: &[FeaturePlan], lookup: &L, out: &mut Vec<f64>) {
    out.clear();
    for feature in features {
        encode_feature(feature, lookup, out);
    }
}

fn encode_feature<L: Lookup + ?Sized>(plan: &FeaturePlan, lookup: &L, out: &mut Vec<f64>) {
    match plan {
        FeaturePlan::Intercept => out.push(1.0),
        FeaturePlan::Standard {
            slot,
            mean,
            scale,
            clip,
        } => {
            let z = lookup
                .slot(*slot)
                .as_number()
                .map_or(0.0, |x| (x - mean) / scale);
            // Not `clamp`, which panics on a clip below zero; a z that is not a number becomes zero.
            out.push(if z.is_nan() {
                0.0
            } else {
                z.min(*clip).max(-*clip)
            });
        }
        FeaturePlan::OneHot {
            slot,
            categories,
            other,
            missing,
        } => {
            let value = lookup.slot(*slot);
            let hit = if value.is_missing() {
                missing.then(|| categories.len() + usize::from(*other))
            } else {
                position(value, categories).or(other.then_some(categories.len()))
            };
            one_hot(out, width(plan), hit);
        }
        FeaturePlan::Bins {
            slot,
            edges,
            missing,
        } => {
            let hit = match lookup.slot(*slot).as_number() {
                Some(x) => Some(edges.partition_point(|e| *e <= x)),
                None => missing.then_some(edges.len() + 1),
            };
            one_hot(out, width(plan), hit);
        }
        FeaturePlan::Cross { left, right } => {
            let start = out.len();
            encode_feature(left, lookup, out);
            let middle = out.len();
            encode_feature(right, lookup, out);
            let end = out.len();
            for l in start..middle {
                for r in middle..end {
                    let product = out[l] * out[r];
                    out.push(product);
                }
            }
            out.drain(start..end);
        }
    }
}

fn one_hot(out: &mut Vec<f64>, width: usize, hit: Option<usize>) {
    let start = out.len();
    out.resize(start + width, 0.0);
    if let Some(i) = hit {
        out[start + i] = 1.0;
    }
}

/// Position of the category that equals the value's text; integers and booleans are compared as they are written.
pub(crate) fn position(value: &Value<'_>, categories: &[String]) -> Option<usize> {
    let mut digits = Digits::default();
    let text = match value {
        Value::Text(t) => t.as_ref(),
        Value::Bool(true) => "true",
        Value::Bool(false) => "false",
        Value::Int(v) => {
            write!(digits, "{v}").ok()?;
            core::str::from_utf8(&digits.bytes[..digits.length]).ok()?
        }
        Value::Missing | Value::Number(_) | Value::Time(_) => return None,
    };
    categories.iter().position(|c| c == text)
}

/// Room for the digits of an integer, so that encoding an item allocates nothing.
#[derive(Default)]
struct Digits {
    bytes: [u8; 20],
    length: usize,
}

impl core::fmt::Write for Digits {
    fn write_str(&mut self, s: &str) -> core::fmt::Result {
        let end = self.length + s.len();
        self.bytes
            .get_mut(self.length..end)
            .ok_or(core::fmt::Error)?
            .copy_from_slice(s.as_bytes());
        self.length = end;
        Ok(())
    }
}

/// What stands at each position of the vector, for explanations: `age`, `contact=cellular`, `18<=age<30`, `age missing`,
/// and both joined by ` x ` for a cross.
pub fn names(scene: &ScenePlan, plan: &ModelPlan) -> Vec<String> {
    plan.features
        .iter()
        .flat_map(|f| feature_names(scene, &f.plan))
        .collect()
}

fn feature_names(scene: &ScenePlan, plan: &FeaturePlan) -> Vec<String> {
    let slot_name = |id: &SlotId| {
        scene
            .slots
            .get(usize::from(id.0))
            .map_or_else(|| format!("slot {}", id.0), |s| s.name.clone())
    };
    match plan {
        FeaturePlan::Intercept => vec!["intercept".to_owned()],
        FeaturePlan::Standard { slot, .. } => vec![slot_name(slot)],
        FeaturePlan::OneHot {
            slot,
            categories,
            other,
            missing,
        } => {
            let name = slot_name(slot);
            let mut out: Vec<String> = categories.iter().map(|c| format!("{name}={c}")).collect();
            if *other {
                out.push(format!("{name} other"));
            }
            if *missing {
                out.push(format!("{name} missing"));
            }
            out
        }
        FeaturePlan::Bins {
            slot,
            edges,
            missing,
        } => {
            let name = slot_name(slot);
            let mut out = Vec::with_capacity(edges.len() + 2);
            match (edges.first(), edges.last()) {
                (Some(first), Some(last)) => {
                    out.push(format!("{name}<{first}"));
                    out.extend(
                        edges
                            .windows(2)
                            .map(|e| format!("{}<={name}<{}", e[0], e[1])),
                    );
                    out.push(format!("{last}<={name}"));
                }
                _ => out.push(format!("{name} known")),
            }
            if *missing {
                out.push(format!("{name} missing"));
            }
            out
        }
        FeaturePlan::Cross { left, right } => {
            let right = feature_names(scene, right);
            feature_names(scene, left)
                .iter()
                .flat_map(|l| right.iter().map(move |r| format!("{l} x {r}")))
                .collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::model::{Feature, ModelKind, ModelScope};

    fn check(features: Vec<FeaturePlan>, slots: &[Value<'_>], expected: &[f64]) {
        let plan = ModelPlan {
            name: "m".into(),
            kind: ModelKind::Linear,
            scope: ModelScope::Shared,
            reward: 0,
            catalogue: 0,
            features: features
                .into_iter()
                .map(|plan| Feature {
                    plan,
                    prior_variance: 1.0,
                })
                .collect(),
            prior_intercept: 0.0,
            noise_variance: 1.0,
            drift_variance: 0.0,
            reward_bounds: (0.0, 1.0),
            replicates: 0,
        };
        let mut out = vec![9.0];
        encode(&plan, slots, &mut out);
        assert_eq!(out, expected);
        assert_eq!(out.len(), dimension(&plan));
    }

    #[test]
    fn each_encoding() {
        let one_hot = |slot, other, missing| FeaturePlan::OneHot {
            slot: SlotId(slot),
            categories: vec!["a".into(), "-7".into(), "true".into()],
            other,
            missing,
        };
        let bins = |slot, missing| FeaturePlan::Bins {
            slot: SlotId(slot),
            edges: vec![1.0, 5.0],
            missing,
        };
        let standard = |slot| FeaturePlan::Standard {
            slot: SlotId(slot),
            mean: 10.0,
            scale: 2.0,
            clip: 3.0,
        };
        let slots = [
            Value::text("a"),
            Value::Int(-7),
            Value::Missing,
            Value::Number(1.0),
            Value::text("z"),
            Value::Bool(true),
            Value::Number(1e9),
        ];
        check(
            vec![
                FeaturePlan::Intercept,
                standard(3),
                standard(6),
                standard(2),
                standard(0),
            ],
            &slots,
            &[1.0, -3.0, 3.0, 0.0, 0.0],
        );
        check(
            vec![one_hot(0, true, true)],
            &slots,
            &[1.0, 0.0, 0.0, 0.0, 0.0],
        );
        check(
            vec![one_hot(1, true, true)],
            &slots,
            &[0.0, 1.0, 0.0, 0.0, 0.0],
        );
        check(vec![one_hot(5, false, true)], &slots, &[0.0, 0.0, 1.0, 0.0]);
        check(
            vec![one_hot(4, true, true)],
            &slots,
            &[0.0, 0.0, 0.0, 1.0, 0.0],
        );
        check(
            vec![one_hot(2, true, true)],
            &slots,
            &[0.0, 0.0, 0.0, 0.0, 1.0],
        );
        check(
            vec![one_hot(2, true, false), one_hot(4, false, true)],
            &slots,
            &[0.0; 8],
        );
        check(
            vec![bins(3, true), bins(6, false), bins(2, true), bins(2, false)],
            &slots,
            &[
                0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0,
            ],
        );
        let cross = FeaturePlan::Cross {
            left: Box::new(standard(3)),
            right: Box::new(bins(3, false)),
        };
        check(
            vec![FeaturePlan::Intercept, cross],
            &slots,
            &[1.0, 0.0, -3.0, 0.0],
        );
    }
}
