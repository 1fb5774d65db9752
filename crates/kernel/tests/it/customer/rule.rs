//! Rules: three-valued logic, arithmetic that never guesses, and the clause that failed.

use super::world::{binary, constant, slot};
use luopan_kernel::plan::{BinaryOp, Expr, Function, SlotId, Truth, UnaryOp};
use luopan_kernel::rule::{eval, explain, explain_exclusion, truth, written};
use luopan_kernel::time::Micros;
use luopan_kernel::value::Value;
use proptest::prelude::*;
use std::borrow::Cow;

fn int(v: i64) -> Expr {
    constant(Value::Int(v))
}

fn number(v: f64) -> Expr {
    constant(Value::Number(v))
}

fn text(v: &str) -> Expr {
    constant(Value::text(v.to_owned()))
}

fn time(v: i64) -> Expr {
    constant(Value::Time(Micros(v)))
}

fn missing() -> Expr {
    constant(Value::Missing)
}

fn call(f: Function, args: Vec<Expr>) -> Expr {
    Expr::Call(f, args)
}

fn check(expr: Expr, expected: Value<'static>) {
    let none: &[Value<'_>] = &[];
    assert_eq!(eval(&expr, none), expected, "{expr:?}");
    let as_truth = match expected {
        Value::Bool(true) => Truth::True,
        Value::Bool(false) => Truth::False,
        _ => Truth::Unknown,
    };
    assert_eq!(truth(&expr, none), as_truth, "{expr:?}");
}

#[test]
fn arithmetic_gives_a_value_or_missing() {
    use BinaryOp::{Add, Div, Mul, Rem, Sub};
    let yes = |v| Value::Int(v);
    check(binary(Add, int(2), int(3)), yes(5));
    check(binary(Div, int(-7), int(2)), yes(-3));
    check(binary(Rem, int(-7), int(2)), yes(-1));
    check(binary(Add, int(i64::MAX), int(1)), Value::Missing);
    check(binary(Sub, int(i64::MIN), int(1)), Value::Missing);
    check(binary(Mul, int(i64::MAX), int(2)), Value::Missing);
    check(binary(Div, int(1), int(0)), Value::Missing);
    check(binary(Div, int(i64::MIN), int(-1)), Value::Missing);
    check(binary(Rem, int(1), int(0)), Value::Missing);
    check(binary(Div, number(1.0), number(0.0)), Value::Missing);
    check(binary(Mul, number(1e300), number(1e300)), Value::Missing);
    check(binary(Div, number(1.0), number(4.0)), Value::Number(0.25));
    check(binary(Add, int(1), number(1.0)), Value::Missing);
    check(binary(Add, missing(), int(1)), Value::Missing);
    check(binary(Add, time(5), int(7)), Value::Time(Micros(12)));
    check(binary(Add, int(7), time(5)), Value::Time(Micros(12)));
    check(binary(Sub, time(5), int(7)), Value::Time(Micros(-2)));
    check(binary(Sub, time(5), time(7)), yes(-2));
    check(binary(Sub, int(5), time(7)), Value::Missing);
    check(binary(Sub, time(i64::MIN), time(1)), Value::Missing);
    check(
        Expr::Unary(UnaryOp::Negate, Box::new(int(i64::MIN))),
        Value::Missing,
    );
    check(
        Expr::Unary(UnaryOp::Negate, Box::new(number(2.0))),
        Value::Number(-2.0),
    );
    check(call(Function::Abs, vec![int(i64::MIN)]), Value::Missing);
    check(call(Function::Abs, vec![number(-2.5)]), Value::Number(2.5));
}

#[test]
fn comparisons_know_their_types() {
    use BinaryOp::{Eq, Ge, Gt, Le, Lt, Ne};
    check(binary(Lt, int(1), int(2)), Value::Bool(true));
    check(binary(Ge, number(1.0), number(1.0)), Value::Bool(true));
    check(binary(Eq, number(0.0), number(-0.0)), Value::Bool(true));
    check(binary(Gt, text("b"), text("a")), Value::Bool(true));
    check(binary(Le, time(2), time(1)), Value::Bool(false));
    check(binary(Ne, text("é"), text("e")), Value::Bool(true));
    check(binary(Eq, number(f64::NAN), number(1.0)), Value::Missing);
    check(binary(Eq, int(1), number(1.0)), Value::Missing);
    check(binary(Eq, missing(), missing()), Value::Missing);
    check(binary(Ne, text("a"), int(1)), Value::Missing);
    let list = vec![Value::Int(1), Value::Int(2)];
    check(Expr::In(Box::new(int(2)), list.clone()), Value::Bool(true));
    check(Expr::In(Box::new(int(3)), list.clone()), Value::Bool(false));
    check(Expr::In(Box::new(missing()), list.clone()), Value::Missing);
    check(Expr::In(Box::new(text("1")), list), Value::Missing);
    check(Expr::In(Box::new(missing()), vec![]), Value::Missing);
}

#[test]
fn functions() {
    let yes = Value::Bool(true);
    check(call(Function::Known, vec![int(1)]), yes.clone());
    check(call(Function::Known, vec![missing()]), Value::Bool(false));
    check(
        call(Function::Known, vec![binary(BinaryOp::Div, int(1), int(0))]),
        Value::Bool(false),
    );
    check(
        call(Function::StartsWith, vec![text("南京西路"), text("南京")]),
        yes.clone(),
    );
    check(
        call(Function::EndsWith, vec![text("abc"), text("bc")]),
        yes.clone(),
    );
    check(call(Function::Contains, vec![text("abc"), text("b")]), yes);
    check(
        call(Function::Contains, vec![missing(), text("b")]),
        Value::Missing,
    );
    check(call(Function::Size, vec![text("南京ab")]), Value::Int(4));
    check(call(Function::Size, vec![int(4)]), Value::Missing);
    check(call(Function::ToNumber, vec![int(4)]), Value::Number(4.0));
    check(call(Function::ToNumber, vec![text("4")]), Value::Missing);
    check(call(Function::Min, vec![int(4), int(2)]), Value::Int(2));
    check(
        call(Function::Max, vec![number(4.0), number(2.0)]),
        Value::Number(4.0),
    );
    check(
        call(Function::Max, vec![int(4), number(2.0)]),
        Value::Missing,
    );
    check(
        call(Function::Min, vec![text("a"), text("b")]),
        Value::Missing,
    );
    check(
        call(Function::OrElse, vec![missing(), int(2)]),
        Value::Int(2),
    );
    check(call(Function::OrElse, vec![int(1), int(2)]), Value::Int(1));
    check(call(Function::Min, vec![int(1)]), Value::Missing);
    let choose = |c| Expr::If(Box::new(c), Box::new(int(1)), Box::new(int(2)));
    check(choose(constant(Value::Bool(true))), Value::Int(1));
    check(choose(constant(Value::Bool(false))), Value::Int(2));
    check(choose(missing()), Value::Missing);
}

fn truths() -> impl Strategy<Value = Truth> {
    prop_oneof![Just(Truth::True), Just(Truth::False), Just(Truth::Unknown)]
}

fn as_expr(t: Truth) -> Expr {
    constant(t.value())
}

proptest! {
    #[test]
    fn kleene_logic_keeps_its_laws(a in truths(), b in truths(), c in truths()) {
        let none: &[Value<'_>] = &[];
        let both = |op, a, b| truth(&binary(op, as_expr(a), as_expr(b)), none);
        let not = |a| truth(&Expr::Unary(UnaryOp::Not, Box::new(as_expr(a))), none);
        // Of False < Unknown < True, and is the least, or the greatest, not the mirror.
        let rank = |t: Truth| t as u8;
        prop_assert_eq!(rank(both(BinaryOp::And, a, b)), rank(a).min(rank(b)));
        prop_assert_eq!(rank(both(BinaryOp::Or, a, b)), rank(a).max(rank(b)));
        prop_assert_eq!(rank(not(a)), 2 - rank(a));
        prop_assert_eq!(a.and(b.or(c)), a.and(b).or(a.and(c)));
        prop_assert_eq!(a.and(b).not(), a.not().or(b.not()));
    }

    #[test]
    fn the_explained_clause_is_the_one_that_decides(values in proptest::collection::vec(truths(), 1..8), left: bool) {
        let values: Vec<Value<'static>> = values.iter().map(|t| t.value()).collect();
        for (op, decides) in [(BinaryOp::And, false), (BinaryOp::Or, true)] {
            let slots: Vec<Expr> = (0..values.len() as u16).map(slot).collect();
            let rule = if left {
                slots.into_iter().reduce(|a, b| binary(op, a, b)).unwrap()
            } else {
                slots.into_iter().rev().reduce(|a, b| binary(op, b, a)).unwrap()
            };
            let found = if decides {
                explain_exclusion(&rule, values.as_slice())
            } else {
                explain(&rule, values.as_slice())
            };
            let expected = (values.iter().position(|v| *v == Value::Bool(decides)))
                .or_else(|| values.iter().position(Value::is_missing));
            prop_assert_eq!(found.as_ref().map(|c| c.index), expected);
            if let Some(clause) = found {
                prop_assert_eq!(clause.of, values.len());
                prop_assert_eq!(clause.reads, vec![(SlotId(clause.index as u16), values[clause.index].clone())]);
            }
        }
    }
}

#[test]
fn a_failed_clause_names_what_it_read() {
    let names = ["age", "item.risk_level", "risk_tolerance"];
    let rule = binary(
        BinaryOp::And,
        binary(BinaryOp::Ge, slot(0), int(18)),
        binary(
            BinaryOp::Or,
            binary(BinaryOp::Le, slot(1), slot(2)),
            call(Function::StartsWith, vec![text("x"), text("y")]),
        ),
    );
    let values = [Value::Int(30), Value::Int(4), Value::Missing];
    let clause = explain(&rule, values.as_slice()).unwrap();
    assert_eq!(
        (clause.index, clause.of, clause.truth),
        (1, 2, Truth::Unknown)
    );
    assert_eq!(
        clause.reads,
        vec![(SlotId(1), Value::Int(4)), (SlotId(2), Value::Missing)]
    );
    let name = |id: SlotId| Cow::Borrowed(names[usize::from(id.0)]);
    assert_eq!(
        written(clause.expr, &name),
        "(item.risk_level <= risk_tolerance) || \"x\".startsWith(\"y\")"
    );
    assert_eq!(
        explain(
            &rule,
            [Value::Int(30), Value::Int(1), Value::Int(2)].as_slice()
        ),
        None
    );
}
