//! Meaning: a compiled expression evaluated by the kernel gives what CEL's own interpreter gives on the same text, wherever
//! every value is known. Where CEL is an error (overflow, division by zero) ours is unknown.

use crate::support::compile;
use cel::{Context, Program, Value as Cel};
use luopan_kernel::rule::eval;
use luopan_kernel::value::Value;
use luopan_scene::Place;
use proptest::prelude::*;

const SCENE: &str = "scene: a\ncustomer: {b: boolean, c: boolean, i: integer, j: integer, n: number, o: number, s: text, u: text}";

/// Small values, so that sums, products and comparisons meet every case.
#[derive(Debug, Clone)]
struct Known {
    b: bool,
    c: bool,
    i: i64,
    j: i64,
    n: f64,
    o: f64,
    s: String,
    u: String,
}

fn known() -> impl Strategy<Value = Known> {
    let int = || prop_oneof![-3i64..4, Just(i64::MAX), Just(i64::MIN)];
    let number = || {
        prop_oneof![
            (-6i32..7).prop_map(|v| f64::from(v) / 2.0),
            Just(1e18),
            Just(-1e18)
        ]
    };
    let text = || prop::sample::select(vec!["", "a", "ab", "ba", "中文"]).prop_map(str::to_owned);
    (
        any::<bool>(),
        any::<bool>(),
        int(),
        int(),
        number(),
        number(),
        text(),
        text(),
    )
        .prop_map(|(b, c, i, j, n, o, s, u)| Known {
            b,
            c,
            i,
            j,
            n,
            o,
            s,
            u,
        })
}

fn integer() -> BoxedStrategy<String> {
    let leaf = prop_oneof![
        Just("i".to_owned()),
        Just("j".to_owned()),
        (-4i64..5).prop_map(|v| format!("({v})"))
    ];
    leaf.prop_recursive(3, 12, 2, |inner| {
        prop_oneof![
            (
                inner.clone(),
                prop::sample::select(vec!["+", "-", "*", "/", "%"]),
                inner.clone()
            )
                .prop_map(|(a, op, b)| format!("({a} {op} {b})")),
            inner.clone().prop_map(|a| format!("(-{a})")),
            text().prop_map(|t| format!("size({t})")),
        ]
    })
    .boxed()
}

fn number() -> BoxedStrategy<String> {
    let leaf = prop_oneof![
        Just("n".to_owned()),
        Just("o".to_owned()),
        (-6i32..7).prop_map(|v| format!("({:?})", f64::from(v) / 2.0)),
        integer().prop_map(|i| format!("double({i})")),
    ];
    leaf.prop_recursive(3, 12, 2, |inner| {
        (
            inner.clone(),
            prop::sample::select(vec!["+", "-", "*", "/"]),
            inner,
        )
            .prop_map(|(a, op, b)| format!("({a} {op} {b})"))
    })
    .boxed()
}

fn text() -> BoxedStrategy<String> {
    prop::sample::select(vec!["s", "u", "\"a\"", "\"ab\"", "'中'"])
        .prop_map(str::to_owned)
        .boxed()
}

fn condition() -> BoxedStrategy<String> {
    let compare = || prop::sample::select(vec!["==", "!=", "<", "<=", ">", ">="]);
    let leaf = prop_oneof![
        Just("b".to_owned()),
        Just("c".to_owned()),
        (integer(), compare(), integer()).prop_map(|(a, op, b)| format!("{a} {op} {b}")),
        (number(), compare(), number()).prop_map(|(a, op, b)| format!("{a} {op} {b}")),
        (
            text(),
            prop::sample::select(vec!["==", "!=", "<", ">="]),
            text()
        )
            .prop_map(|(a, op, b)| format!("{a} {op} {b}")),
        (
            text(),
            prop::sample::select(vec!["startsWith", "endsWith", "contains"]),
            text()
        )
            .prop_map(|(a, f, b)| format!("{a}.{f}({b})")),
        integer().prop_map(|i| format!("{i} in [0, 1, -2]")),
        text().prop_map(|t| format!("{t} in [\"a\", \"中文\"]")),
    ];
    leaf.prop_recursive(4, 24, 3, |inner| {
        prop_oneof![
            (
                inner.clone(),
                prop::sample::select(vec!["&&", "||"]),
                inner.clone()
            )
                .prop_map(|(a, op, b)| format!("({a} {op} {b})")),
            inner.clone().prop_map(|a| format!("!({a})")),
            (inner.clone(), inner.clone(), inner)
                .prop_map(|(c, a, b)| format!("(({c}) ? ({a}) : ({b}))")),
        ]
    })
    .boxed()
}

fn interpreted(source: &str, k: &Known) -> Option<bool> {
    let program = Program::compile(source).ok()?;
    let mut context = Context::default();
    context.add_variable_from_value("b", k.b);
    context.add_variable_from_value("c", k.c);
    context.add_variable_from_value("i", k.i);
    context.add_variable_from_value("j", k.j);
    context.add_variable_from_value("n", k.n);
    context.add_variable_from_value("o", k.o);
    context.add_variable_from_value("s", k.s.clone());
    context.add_variable_from_value("u", k.u.clone());
    match program.execute(&context) {
        Ok(Cel::Bool(b)) => Some(b),
        _ => None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::default())]

    #[test]
    fn compiled_expressions_mean_what_cel_means(source in condition(), k in known()) {
        let plan = compile(SCENE).unwrap().plan;
        let rule = luopan_scene::rule(&plan, Place::Customer, "rule", &source)
            .map_err(|f| TestCaseError::fail(format!("{source}: {}", f[0])))?;
        let slots: Vec<Value<'static>> = plan
            .slots
            .iter()
            .map(|s| match s.name.as_str() {
                "b" => Value::Bool(k.b),
                "c" => Value::Bool(k.c),
                "i" => Value::Int(k.i),
                "j" => Value::Int(k.j),
                "n" => Value::Number(k.n),
                "o" => Value::Number(k.o),
                "s" => Value::text(k.s.clone()),
                "u" => Value::text(k.u.clone()),
                _ => Value::Missing,
            })
            .collect();
        let ours = eval(&rule.expr, slots.as_slice());
        match (interpreted(&source, &k), &ours) {
            (Some(theirs), Value::Bool(ours)) => prop_assert_eq!(theirs, *ours, "{}", source),
            // Division of numbers by zero is infinite in CEL and unknown here; errors are unknown here too.
            (_, Value::Missing) => prop_assert!(
                source.contains(['/', '%', '+', '-', '*']),
                "{} is unknown without arithmetic", source
            ),
            // CEL's `&&` and `||` pass over an error as Kleene's pass over the unknown; its conditional does not.
            (None, Value::Bool(_)) => {}
            (theirs, ours) => prop_assert!(false, "{source}: {theirs:?} and {ours:?}"),
        }
    }
}

/// The comparison above would say nothing if the interpreter answered nothing.
#[test]
fn most_expressions_are_really_compared() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let compared = (0..200)
        .filter(|_| {
            let source = condition().new_tree(&mut runner).unwrap().current();
            let values = known().new_tree(&mut runner).unwrap().current();
            interpreted(&source, &values).is_some()
        })
        .count();
    assert!(compared > 120, "{compared} of 200");
}
