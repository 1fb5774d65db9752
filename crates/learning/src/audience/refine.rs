//! A rule made better one condition at a time: cuts among all values, and conditions left out.

use super::bits::Bits;
use super::literals::cut_between;
use super::search::{Found, Space};
use super::{Condition, Rule};
use crate::tabular::Series;

/// Most times that all conditions are gone through.
const PASSES_MAX: usize = 10;

/// The rule with the best of all cuts for each of its conditions on numbers, and without conditions that are not worth their price.
pub(super) fn refine(space: &Space<'_>, of: &Found, covered: &Bits) -> Found {
    let mut now = of.clone();
    let value = |of: &Found| {
        let gain = space.gain(&of.rows, covered, of.rule.conditions.len());
        gain.unwrap_or(f64::NEG_INFINITY)
    };
    let mut best = value(&now);
    for _ in 0..PASSES_MAX {
        let mut better = false;
        let mut at = 0;
        while at < now.rule.conditions.len() {
            let mut conditions = now.rule.conditions.clone();
            let condition = conditions.remove(at);
            let rest = held(space, &conditions);
            let mut options = Vec::new();
            if !conditions.is_empty() {
                options.push(conditions.clone());
            }
            if let Some(moved) = moved(space, &condition, &rest, covered) {
                conditions.insert(at, moved);
                options.push(conditions);
            }
            for conditions in options {
                let rows = held(space, &conditions);
                let option = Found {
                    rule: Rule { conditions },
                    rows,
                };
                let own = value(&option);
                if own > best + 1e-9 {
                    (now, best, better) = (option, own, true);
                }
            }
            at += 1;
        }
        if !better {
            break;
        }
    }
    now
}

/// Rows that meet all conditions.
fn held(space: &Space<'_>, conditions: &[Condition]) -> Bits {
    let mut rows = Bits::of(space.rows.len(), |_| true);
    for condition in conditions {
        if let Ok(all) = condition.holds(space.frame) {
            rows = rows.and(&Bits::of(space.rows.len(), |at| all[space.rows[at]]));
        }
    }
    rows
}

/// A condition on numbers with its best cut among all values of the rows that meet the rest of its rule.
fn moved(
    space: &Space<'_>,
    condition: &Condition,
    rest: &Bits,
    covered: &Bits,
) -> Option<Condition> {
    let below = match condition {
        Condition::Below { .. } => true,
        Condition::AtLeast { .. } => false,
        _ => return None,
    };
    let name = condition.column();
    let Series::Numbers(values) = space.frame.get(name)? else {
        return None;
    };
    let mut rows: Vec<(f64, bool, bool)> = (0..space.rows.len())
        .filter(|at| rest.has(*at))
        .map(|at| {
            (
                values[space.rows[at]],
                space.inside.has(at),
                !covered.has(at),
            )
        })
        .filter(|(x, ..)| !x.is_nan())
        .collect();
    rows.sort_by(|a, b| a.0.total_cmp(&b.0));
    if !below {
        rows.reverse();
    }
    let (mut all, mut fresh) = ([0u64; 2], [0u64; 2]);
    let mut best: Option<(f64, f64, f64)> = None;
    for at in 0..rows.len() {
        let (x, inside, new) = rows[at];
        all[usize::from(!inside)] += 1;
        fresh[usize::from(!inside)] += u64::from(new);
        let Some((next, ..)) = rows.get(at + 1).filter(|next| next.0 != x) else {
            continue;
        };
        let worth = space.worth(fresh[0], fresh[1], 0);
        if space.keeps(all[0], all[1]) && best.is_none_or(|best| worth > best.0) {
            best = Some((worth, x.min(*next), x.max(*next)));
        }
    }
    let (_, low, high) = best?;
    let cut = cut_between(space.settings.kind(name), low, high)?;
    let column = name.to_owned();
    Some(if below {
        Condition::Below { column, cut }
    } else {
        Condition::AtLeast { column, cut }
    })
}

/// The conditions in the table's order, the lower bound of a column before the upper.
pub(super) fn cleaned(space: &Space<'_>, mut rule: Rule) -> Rule {
    let place = |of: &Condition| {
        let column = space
            .frame
            .names()
            .iter()
            .position(|name| name == of.column());
        (column, matches!(of, Condition::Below { .. }))
    };
    rule.conditions.sort_by_key(place);
    rule
}
