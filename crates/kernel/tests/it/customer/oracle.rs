//! The slow truth: every event is kept, and a tag's value is worked out from all of them by its definition.

use super::world::{Act, Filter, Measured, SAID, Spec};
use luopan_kernel::event::CUSTOMER_TYPE;
use luopan_kernel::plan::{Aggregate, Window};
use luopan_kernel::time::Micros;
use luopan_kernel::value::{NUMBER_MAX, Value, ValueType, from_quanta, to_quanta};
use std::collections::BTreeSet;

/// The value of a field as folding may see it: fitting its type and within bounds.
fn usable(act: &Act, name: &str) -> Option<Value<'static>> {
    let value = act.get(name);
    let fits = match (&value, name) {
        (Value::Number(v), "x") => v.abs() <= NUMBER_MAX,
        (Value::Int(_), "amount" | "count") => true,
        (Value::Bool(_), "flag") => true,
        (Value::Text(_), "name") => true,
        (Value::Time(_), "when") => true,
        _ => false,
    };
    fits.then_some(value)
}

fn passes(act: &Act, filter: Filter) -> bool {
    match filter {
        Filter::None => true,
        Filter::AmountOver50 => matches!(usable(act, "amount"), Some(Value::Int(v)) if v > 50),
        Filter::NegativeOrFlagged => {
            matches!(usable(act, "x"), Some(Value::Number(v)) if v < 0.0)
                || usable(act, "flag") == Some(Value::Bool(true))
        }
    }
}

fn measured(act: &Act, m: Measured) -> Option<Value<'static>> {
    if act.kind != "act" || !passes(act, m.filter) {
        return None;
    }
    m.of.map_or(Some(Value::Int(1)), |name| usable(act, name))
}

fn happened_at(act: &Act) -> i64 {
    act.occurred_at.min(act.received_at)
}

/// In which order acts happened: by time, those of fast clocks behind the others of their moment and among themselves by what
/// their sender says, and else by the hash of the event.
fn place(act: &Act) -> (i64, i64, u64) {
    (
        happened_at(act),
        act.occurred_at - happened_at(act),
        (luopan_kernel::id::hash128(act.id.as_bytes()) >> 64) as u64,
    )
}

fn within(act: &Act, window: Window, as_of: i64) -> bool {
    match window {
        Window::Lifetime => true,
        Window::Sliding { tile_us, tiles } => {
            let (tile, now) = (
                happened_at(act).div_euclid(tile_us),
                as_of.div_euclid(tile_us),
            );
            now - i64::from(tiles) < tile && tile <= now
        }
    }
}

fn units(v: &Value<'_>) -> i128 {
    match v {
        Value::Int(v) => i128::from(*v),
        Value::Bool(v) => i128::from(*v),
        Value::Number(v) => to_quanta(*v).unwrap(),
        other => panic!("no units in {other:?}"),
    }
}

fn in_units(units: i128, numbers: bool) -> f64 {
    if numbers {
        from_quanta(units)
    } else {
        units as f64
    }
}

fn integer(v: i128) -> Value<'static> {
    i64::try_from(v).map_or(Value::Missing, Value::Int)
}

/// The value and the largest error that rounding may make of it.
pub(crate) fn value(spec: &Spec, acts: &[&Act], as_of: i64) -> (Value<'static>, f64) {
    let window = spec.plan.window;
    if let Aggregate::Sequence { keep, pause_us, .. } = &spec.plan.aggregate {
        return (sequence(acts, usize::from(*keep), *pause_us, as_of), 0.0);
    }
    let seen: Vec<(&Act, Value<'static>)> = (acts.iter())
        .filter(|a| within(a, window, as_of))
        .filter_map(|a| measured(a, spec.measure).map(|v| (*a, v)))
        .collect();
    let numbers = spec.measure.of == Some("x");
    let below: Vec<Value<'static>> = (spec.denominator.iter())
        .flat_map(|d| {
            (acts.iter())
                .filter(|a| within(a, window, as_of))
                .filter_map(|a| measured(a, *d))
        })
        .collect();
    if seen.is_empty() && below.is_empty() {
        return (spec.plan.default.clone(), 0.0);
    }
    let sum: i128 = seen
        .iter()
        .map(|(_, v)| match v {
            Value::Text(_) | Value::Time(_) => 0,
            v => units(v),
        })
        .sum();
    // Of `first` and `last` the value settles what is left.
    let order = |(a, v): &&(&Act, Value<'static>)| (place(a), sortable(v));
    let n = seen.len() as i128;
    let exact = match &spec.plan.aggregate {
        Aggregate::Count => integer(n),
        Aggregate::Sum if numbers => Value::Number(from_quanta(sum)),
        Aggregate::Sum => integer(sum),
        Aggregate::Mean if spec.plan.kind == ValueType::Number => {
            Value::Number(in_units(sum, numbers) / n as f64)
        }
        Aggregate::Mean => {
            // Half to even, by the distances to the neighbours.
            let floor = sum.div_euclid(n);
            let (down, up) = (sum - floor * n, (floor + 1) * n - sum);
            integer(if down < up || (down == up && floor % 2 == 0) {
                floor
            } else {
                floor + 1
            })
        }
        Aggregate::Min => seen
            .iter()
            .min_by_key(|(_, v)| sortable(v))
            .unwrap()
            .1
            .clone(),
        Aggregate::Max => seen
            .iter()
            .max_by_key(|(_, v)| sortable(v))
            .unwrap()
            .1
            .clone(),
        Aggregate::First => seen.iter().min_by_key(order).unwrap().1.clone(),
        Aggregate::Last => seen.iter().max_by_key(order).unwrap().1.clone(),
        Aggregate::Distinct => integer(
            seen.iter()
                .map(|(_, v)| sortable(v))
                .collect::<BTreeSet<_>>()
                .len() as i128,
        ),
        Aggregate::Recency => {
            let latest = seen.iter().map(|(a, _)| happened_at(a)).max().unwrap();
            Value::Int((as_of - latest).max(0))
        }
        Aggregate::Ewma { half_life_us } => {
            let latest = seen.iter().map(|(a, _)| happened_at(a)).max().unwrap();
            let (mut top, mut bottom, mut scale) = (0.0, 0.0, 0.0);
            for (a, v) in &seen {
                let age = (latest - happened_at(a)) as f64;
                let w = libm::exp2(-age / *half_life_us as f64);
                let x = v.as_number().unwrap();
                top += w * x;
                bottom += w;
                scale += w * x.abs();
            }
            return (Value::Number(top / bottom), 1e-9 * scale / bottom);
        }
        Aggregate::Quantile {
            millionths,
            without_latest,
        } => {
            let mut left = seen.clone();
            if *without_latest {
                let newest = (0..left.len()).max_by_key(|i| order(&&left[*i])).unwrap();
                left.remove(newest);
            }
            left.sort_by_key(|(_, v)| sortable(v));
            let rank = (u128::from(*millionths) * left.len() as u128).div_ceil(1_000_000);
            let place = (rank as usize).max(1) - 1;
            return match left.get(place) {
                None => (spec.plan.default.clone(), 0.0),
                Some((_, v)) => (v.clone(), v.as_number().unwrap().abs() / 64.0 + 1e-8),
            };
        }
        Aggregate::Sequence { .. } => unreachable!("told above"),
        Aggregate::Ratio { .. } => {
            let d: i128 = below.iter().map(units).sum();
            if d == 0 {
                Value::Missing
            } else {
                let d = in_units(d, spec.denominator.unwrap().of == Some("x"));
                Value::Number(in_units(sum, numbers) / d)
            }
        }
    };
    (exact, 0.0)
}

/// The words of the latest acts.
fn sequence(acts: &[&Act], keep: usize, pause_us: Option<i64>, as_of: i64) -> Value<'static> {
    let says = |act: &Act| {
        let event = match act.kind {
            "act" => 0,
            CUSTOMER_TYPE => 1,
            _ => return None,
        };
        SAID.iter()
            .position(|(_, of, filter)| *of == event && passes(act, *filter))
    };
    let mut said: Vec<((i64, i64, u64), usize)> = (acts.iter())
        .filter_map(|a| Some((place(a), says(a)?)))
        .collect();
    said.sort_unstable();
    if said.is_empty() {
        return Value::Missing;
    }
    let kept = &said[said.len().saturating_sub(keep)..];
    let mut words = Vec::new();
    for (i, ((at, ..), word)) in kept.iter().enumerate() {
        words.push(SAID[*word].0);
        let next = kept.get(i + 1).map_or(as_of, |n| n.0.0);
        if pause_us.is_some_and(|us| next - at >= us) {
            words.push("|");
        }
    }
    Value::text(words.join(" "))
}

/// A key with the total order of values of one type.
fn sortable(v: &Value<'_>) -> (i64, String) {
    match v {
        Value::Missing => (i64::MIN, String::new()),
        Value::Bool(v) => (i64::from(*v), String::new()),
        Value::Int(v) => (*v, String::new()),
        Value::Number(v) => {
            let bits = v.to_bits() as i64;
            (bits ^ (((bits >> 63) as u64) >> 1) as i64, String::new())
        }
        Value::Text(v) => (0, v.to_string()),
        Value::Time(Micros(v)) => (*v, String::new()),
    }
}

/// Whether `found` is what the oracle expects.
pub(crate) fn agrees(found: &Value<'_>, (expected, error): &(Value<'static>, f64)) -> bool {
    match (found, expected) {
        (Value::Number(a), Value::Number(b)) if *error > 0.0 => (a - b).abs() <= *error,
        (Value::Int(a), Value::Int(b)) if *error > 0.0 => {
            a >= b && (i128::from(*a) - i128::from(*b)) as f64 <= *error
        }
        _ => found == expected,
    }
}
