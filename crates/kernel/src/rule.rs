//! Evaluating rules: typed expressions over slots in Kleene's three-valued logic, and telling which clause of a rule failed.
//!
//! Missing values, integer overflow, non-finite numbers, division by zero and operands whose types do not fit are *unknown*.
//! This room must never guess a value for something unknown, and it never allocates while comparing.

use crate::plan::rule::{BinaryOp, Expr, Function, Truth, UnaryOp};
use crate::plan::slot::SlotId;
use crate::time::Micros;
use crate::value::Value;
use core::cmp::Ordering;
use core::fmt::Write as _;
use std::borrow::Cow;

/// What an absent slot holds.
pub static MISSING: Value<'static> = Value::Missing;

/// Where an expression finds its slots. A slot that does not exist is [`MISSING`].
pub trait Lookup {
    /// The value in slot `id`.
    fn slot(&self, id: SlotId) -> &Value<'_>;
}

impl Lookup for [Value<'_>] {
    fn slot(&self, id: SlotId) -> &Value<'_> {
        self.get(usize::from(id.0)).unwrap_or(&MISSING)
    }
}

impl Truth {
    /// Kleene and: false as soon as one side is.
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::False, _) | (_, Self::False) => Self::False,
            (Self::True, Self::True) => Self::True,
            _ => Self::Unknown,
        }
    }

    /// Kleene or: true as soon as one side is.
    pub fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::True, _) | (_, Self::True) => Self::True,
            (Self::False, Self::False) => Self::False,
            _ => Self::Unknown,
        }
    }

    /// Kleene not: unknown stays unknown.
    #[expect(
        clippy::should_implement_trait,
        reason = "named beside `and` and `or`, which have no operator"
    )]
    pub fn not(self) -> Self {
        match self {
            Self::True => Self::False,
            Self::False => Self::True,
            Self::Unknown => Self::Unknown,
        }
    }

    /// The truth of a value: anything but a boolean is unknown.
    pub fn of(value: &Value<'_>) -> Self {
        match value {
            Value::Bool(b) => Self::from(*b),
            _ => Self::Unknown,
        }
    }

    /// As a value: unknown is missing.
    pub fn value(self) -> Value<'static> {
        match self {
            Self::True => Value::Bool(true),
            Self::False => Value::Bool(false),
            Self::Unknown => Value::Missing,
        }
    }

    /// True only when certainly true.
    pub fn is_true(self) -> bool {
        self == Self::True
    }
}

impl From<bool> for Truth {
    fn from(b: bool) -> Self {
        if b { Self::True } else { Self::False }
    }
}

/// The same value borrowing its text.
pub fn borrow<'v>(value: &'v Value<'_>) -> Value<'v> {
    match value {
        Value::Missing => Value::Missing,
        Value::Bool(v) => Value::Bool(*v),
        Value::Int(v) => Value::Int(*v),
        Value::Number(v) => Value::Number(*v),
        Value::Text(v) => Value::Text(Cow::Borrowed(v)),
        Value::Time(v) => Value::Time(*v),
    }
}

/// The order of two values of one type; none when one is missing, the types differ or a number is not a number.
pub fn compare(a: &Value<'_>, b: &Value<'_>) -> Option<Ordering> {
    match (a, b) {
        (Value::Int(a), Value::Int(b)) => Some(a.cmp(b)),
        (Value::Number(a), Value::Number(b)) => a.partial_cmp(b),
        (Value::Text(a), Value::Text(b)) => Some(a.as_ref().cmp(b.as_ref())),
        (Value::Time(a), Value::Time(b)) => Some(a.cmp(b)),
        (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
        _ => None,
    }
}

/// A leaf is looked at where it stands; anything else is computed first.
enum Operand<'v> {
    Held(&'v Value<'v>),
    Made(Value<'v>),
}

impl<'v> Operand<'v> {
    fn of<L: Lookup + ?Sized>(expr: &'v Expr, lookup: &'v L) -> Self {
        match expr {
            Expr::Const(v) => Self::Held(v),
            Expr::Slot(id) => Self::Held(lookup.slot(*id)),
            _ => Self::Made(eval(expr, lookup)),
        }
    }

    fn get(&self) -> &Value<'v> {
        match self {
            Self::Held(v) => v,
            Self::Made(v) => v,
        }
    }
}

/// The value of `expr`. Text is borrowed from the expression or the slots.
pub fn eval<'v, L: Lookup + ?Sized>(expr: &'v Expr, lookup: &'v L) -> Value<'v> {
    match expr {
        Expr::Const(v) => borrow(v),
        Expr::Slot(id) => borrow(lookup.slot(*id)),
        Expr::Unary(UnaryOp::Negate, x) => match Operand::of(x, lookup).get() {
            Value::Int(v) => integer(v.checked_neg()),
            Value::Number(v) => number(-v),
            _ => Value::Missing,
        },
        Expr::Binary(op, a, b) => match op {
            BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul | BinaryOp::Div | BinaryOp::Rem => {
                let (a, b) = (Operand::of(a, lookup), Operand::of(b, lookup));
                arithmetic(*op, a.get(), b.get())
            }
            _ => truth(expr, lookup).value(),
        },
        Expr::If(condition, a, b) => match truth(condition, lookup) {
            Truth::True => eval(a, lookup),
            Truth::False => eval(b, lookup),
            Truth::Unknown => Value::Missing,
        },
        Expr::Select(x, entries) => match selected(Operand::of(x, lookup).get(), entries) {
            Some(entry) => eval(entry, lookup),
            None => Value::Missing,
        },
        Expr::Call(function, args) => call(*function, args, lookup),
        Expr::Unary(UnaryOp::Not, _) | Expr::In(..) => truth(expr, lookup).value(),
    }
}

/// The truth of `expr`; an expression that is not boolean is unknown.
pub fn truth<L: Lookup + ?Sized>(expr: &Expr, lookup: &L) -> Truth {
    match expr {
        Expr::Const(v) => Truth::of(v),
        Expr::Slot(id) => Truth::of(lookup.slot(*id)),
        Expr::Unary(UnaryOp::Not, x) => truth(x, lookup).not(),
        Expr::Binary(op, a, b) => match op {
            BinaryOp::And => match truth(a, lookup) {
                Truth::False => Truth::False,
                left => left.and(truth(b, lookup)),
            },
            BinaryOp::Or => match truth(a, lookup) {
                Truth::True => Truth::True,
                left => left.or(truth(b, lookup)),
            },
            _ => {
                let (a, b) = (Operand::of(a, lookup), Operand::of(b, lookup));
                comparison(*op, a.get(), b.get())
            }
        },
        Expr::If(condition, a, b) => match truth(condition, lookup) {
            Truth::True => truth(a, lookup),
            Truth::False => truth(b, lookup),
            Truth::Unknown => Truth::Unknown,
        },
        Expr::In(x, list) => contained(Operand::of(x, lookup).get(), list),
        Expr::Select(x, entries) => match selected(Operand::of(x, lookup).get(), entries) {
            Some(entry) => truth(entry, lookup),
            None => Truth::Unknown,
        },
        Expr::Call(..) => Truth::of(&eval(expr, lookup)),
        Expr::Unary(UnaryOp::Negate, _) => Truth::Unknown,
    }
}

fn comparison(op: BinaryOp, a: &Value<'_>, b: &Value<'_>) -> Truth {
    let Some(order) = compare(a, b) else {
        return Truth::Unknown;
    };
    Truth::from(match op {
        BinaryOp::Eq => order.is_eq(),
        BinaryOp::Ne => order.is_ne(),
        BinaryOp::Lt => order.is_lt(),
        BinaryOp::Le => order.is_le(),
        BinaryOp::Gt => order.is_gt(),
        BinaryOp::Ge => order.is_ge(),
        _ => return Truth::Unknown,
    })
}

/// `x in list`: true when one is equal, false when all are comparable and none is equal. Missing is in no list for certain
/// and outside none, the empty one included.
fn contained(x: &Value<'_>, list: &[Value<'static>]) -> Truth {
    if x.is_missing() {
        return Truth::Unknown;
    }
    let mut answer = Truth::False;
    for constant in list {
        match compare(x, constant) {
            Some(Ordering::Equal) => return Truth::True,
            Some(_) => {}
            None => answer = Truth::Unknown,
        }
    }
    answer
}

/// The entry whose constant equals `x`.
fn selected<'e>(x: &Value<'_>, entries: &'e [(Value<'static>, Expr)]) -> Option<&'e Expr> {
    (entries.iter())
        .find(|(constant, _)| compare(x, constant) == Some(Ordering::Equal))
        .map(|(_, entry)| entry)
}

fn integer(v: Option<i64>) -> Value<'static> {
    v.map_or(Value::Missing, Value::Int)
}

fn time(v: Option<i64>) -> Value<'static> {
    v.map_or(Value::Missing, |t| Value::Time(Micros(t)))
}

fn number(v: f64) -> Value<'static> {
    if v.is_finite() {
        Value::Number(v)
    } else {
        Value::Missing
    }
}

/// Integers (money, durations), numbers, and times: time ± duration is a time, time - time a duration.
fn arithmetic(op: BinaryOp, a: &Value<'_>, b: &Value<'_>) -> Value<'static> {
    match (a, b) {
        (Value::Int(a), Value::Int(b)) => integer(match op {
            BinaryOp::Add => a.checked_add(*b),
            BinaryOp::Sub => a.checked_sub(*b),
            BinaryOp::Mul => a.checked_mul(*b),
            BinaryOp::Div => a.checked_div(*b),
            BinaryOp::Rem => a.checked_rem(*b),
            _ => None,
        }),
        (Value::Number(a), Value::Number(b)) => match op {
            BinaryOp::Add => number(a + b),
            BinaryOp::Sub => number(a - b),
            BinaryOp::Mul => number(a * b),
            BinaryOp::Div if *b != 0.0 => number(a / b),
            _ => Value::Missing,
        },
        (Value::Time(a), Value::Int(b)) => time(match op {
            BinaryOp::Add => a.0.checked_add(*b),
            BinaryOp::Sub => a.0.checked_sub(*b),
            _ => None,
        }),
        (Value::Int(a), Value::Time(b)) if op == BinaryOp::Add => time(a.checked_add(b.0)),
        (Value::Time(a), Value::Time(b)) if op == BinaryOp::Sub => integer(a.0.checked_sub(b.0)),
        _ => Value::Missing,
    }
}

fn call<'v, L: Lookup + ?Sized>(function: Function, args: &'v [Expr], lookup: &'v L) -> Value<'v> {
    match (function, args) {
        (Function::Known, [x]) => Value::Bool(!Operand::of(x, lookup).get().is_missing()),
        (Function::OrElse, [x, otherwise]) => match eval(x, lookup) {
            Value::Missing => eval(otherwise, lookup),
            known => known,
        },
        (Function::StartsWith | Function::EndsWith | Function::Contains, [x, part]) => {
            let (x, part) = (Operand::of(x, lookup), Operand::of(part, lookup));
            match (x.get(), part.get()) {
                (Value::Text(x), Value::Text(part)) => Value::Bool(match function {
                    Function::StartsWith => x.starts_with(part.as_ref()),
                    Function::EndsWith => x.ends_with(part.as_ref()),
                    _ => x.contains(part.as_ref()),
                }),
                _ => Value::Missing,
            }
        }
        (Function::Size, [x]) => match Operand::of(x, lookup).get() {
            Value::Text(x) => integer(i64::try_from(x.chars().count()).ok()),
            _ => Value::Missing,
        },
        (Function::ToNumber, [x]) => match Operand::of(x, lookup).get() {
            Value::Int(v) => number(*v as f64),
            Value::Number(v) => number(*v),
            _ => Value::Missing,
        },
        (Function::Abs, [x]) => match Operand::of(x, lookup).get() {
            Value::Int(v) => integer(v.checked_abs()),
            Value::Number(v) => number(v.abs()),
            _ => Value::Missing,
        },
        (Function::Min | Function::Max, [a, b]) => {
            let (a, b) = (eval(a, lookup), eval(b, lookup));
            if matches!(a, Value::Bool(_) | Value::Text(_)) {
                return Value::Missing;
            }
            match (compare(&a, &b), function) {
                (None, _) => Value::Missing,
                (Some(Ordering::Greater), Function::Min)
                | (Some(Ordering::Less), Function::Max) => b,
                _ => a,
            }
        }
        _ => Value::Missing,
    }
}

/// Calls `seen` with every slot that `expr` names, in order of writing, repeats included.
pub fn visit_slots(expr: &Expr, seen: &mut dyn FnMut(SlotId)) {
    match expr {
        Expr::Const(_) => {}
        Expr::Slot(id) => seen(*id),
        Expr::Unary(_, x) | Expr::In(x, _) => visit_slots(x, seen),
        Expr::Binary(_, a, b) => {
            visit_slots(a, seen);
            visit_slots(b, seen);
        }
        Expr::If(a, b, c) => {
            visit_slots(a, seen);
            visit_slots(b, seen);
            visit_slots(c, seen);
        }
        Expr::Select(x, entries) => {
            visit_slots(x, seen);
            entries.iter().for_each(|(_, e)| visit_slots(e, seen));
        }
        Expr::Call(_, args) => args.iter().for_each(|x| visit_slots(x, seen)),
    }
}

/// The clause that decided a rule's failure.
#[derive(Debug, Clone, PartialEq)]
pub struct Clause<'e> {
    /// Which of the rule's clauses, from 0.
    pub index: usize,
    /// How many clauses the rule has.
    pub of: usize,
    /// The clause.
    pub expr: &'e Expr,
    /// What it was.
    pub truth: Truth,
    /// The slots it reads, each once, with their values.
    pub reads: Vec<(SlotId, Value<'static>)>,
}

/// Why an inclusion did not pass: of the conjuncts of `expr` the first that is false, else the first that is unknown.
/// None when the rule is true.
pub fn explain<'e, L: Lookup + ?Sized>(expr: &'e Expr, lookup: &L) -> Option<Clause<'e>> {
    decisive(expr, lookup, BinaryOp::And, Truth::False)
}

/// Why an exclusion struck: of the disjuncts of `expr` the first that is true, else the first that is unknown. None when
/// the rule is false.
pub fn explain_exclusion<'e, L: Lookup + ?Sized>(expr: &'e Expr, lookup: &L) -> Option<Clause<'e>> {
    decisive(expr, lookup, BinaryOp::Or, Truth::True)
}

fn decisive<'e, L: Lookup + ?Sized>(
    expr: &'e Expr,
    lookup: &L,
    joint: BinaryOp,
    decides: Truth,
) -> Option<Clause<'e>> {
    fn flatten<'e>(expr: &'e Expr, joint: BinaryOp, out: &mut Vec<&'e Expr>) {
        match expr {
            Expr::Binary(op, a, b) if *op == joint => {
                flatten(a, joint, out);
                flatten(b, joint, out);
            }
            _ => out.push(expr),
        }
    }
    let mut clauses = Vec::new();
    flatten(expr, joint, &mut clauses);
    let truths: Vec<Truth> = clauses.iter().map(|c| truth(c, lookup)).collect();
    let index = (truths.iter().position(|t| *t == decides))
        .or_else(|| truths.iter().position(|t| *t == Truth::Unknown))?;
    let mut reads: Vec<(SlotId, Value<'static>)> = Vec::new();
    visit_slots(clauses[index], &mut |id| {
        if reads.iter().all(|(seen, _)| *seen != id) {
            reads.push((id, lookup.slot(id).clone().into_owned()));
        }
    });
    Some(Clause {
        index,
        of: clauses.len(),
        expr: clauses[index],
        truth: truths[index],
        reads,
    })
}

/// The expression written out, slots by the names that `name` gives, for a trace: `item.risk_level <= risk_tolerance`.
/// Operands that are operations themselves stand in parentheses; a time is written as `time(microseconds)`.
pub fn written<'n>(expr: &Expr, name: &dyn Fn(SlotId) -> Cow<'n, str>) -> String {
    let mut out = String::new();
    write_expr(expr, name, &mut out);
    out
}

fn write_expr<'n>(expr: &Expr, name: &dyn Fn(SlotId) -> Cow<'n, str>, out: &mut String) {
    let nested = |x: &Expr, out: &mut String| {
        let wrap = matches!(x, Expr::Binary(..) | Expr::If(..) | Expr::In(..));
        out.push_str(if wrap { "(" } else { "" });
        write_expr(x, name, out);
        out.push_str(if wrap { ")" } else { "" });
    };
    match expr {
        Expr::Const(v) => write_value(v, out),
        Expr::Slot(id) => out.push_str(&name(*id)),
        Expr::Unary(op, x) => {
            out.push(match op {
                UnaryOp::Not => '!',
                UnaryOp::Negate => '-',
            });
            nested(x, out);
        }
        Expr::Binary(op, a, b) => {
            nested(a, out);
            out.push_str(match op {
                BinaryOp::And => " && ",
                BinaryOp::Or => " || ",
                BinaryOp::Eq => " == ",
                BinaryOp::Ne => " != ",
                BinaryOp::Lt => " < ",
                BinaryOp::Le => " <= ",
                BinaryOp::Gt => " > ",
                BinaryOp::Ge => " >= ",
                BinaryOp::Add => " + ",
                BinaryOp::Sub => " - ",
                BinaryOp::Mul => " * ",
                BinaryOp::Div => " / ",
                BinaryOp::Rem => " % ",
            });
            nested(b, out);
        }
        Expr::If(condition, a, b) => {
            nested(condition, out);
            out.push_str(" ? ");
            nested(a, out);
            out.push_str(" : ");
            nested(b, out);
        }
        Expr::In(x, list) => {
            nested(x, out);
            out.push_str(" in [");
            for (i, v) in list.iter().enumerate() {
                out.push_str(if i == 0 { "" } else { ", " });
                write_value(v, out);
            }
            out.push(']');
        }
        Expr::Select(x, entries) => {
            out.push('{');
            for (i, (constant, entry)) in entries.iter().enumerate() {
                out.push_str(if i == 0 { "" } else { ", " });
                write_value(constant, out);
                out.push_str(": ");
                write_expr(entry, name, out);
            }
            out.push_str("}[");
            write_expr(x, name, out);
            out.push(']');
        }
        Expr::Call(function, args) => {
            let (word, method) = match function {
                Function::Known => ("known", false),
                Function::StartsWith => ("startsWith", true),
                Function::EndsWith => ("endsWith", true),
                Function::Contains => ("contains", true),
                Function::Size => ("size", false),
                Function::ToNumber => ("double", false),
                Function::Min => ("min", false),
                Function::Max => ("max", false),
                Function::Abs => ("abs", false),
                Function::OrElse => ("orElse", true),
            };
            let mut rest = args.iter();
            if method && let Some(receiver) = rest.next() {
                nested(receiver, out);
                out.push('.');
            }
            out.push_str(word);
            out.push('(');
            for (i, x) in rest.enumerate() {
                out.push_str(if i == 0 { "" } else { ", " });
                write_expr(x, name, out);
            }
            out.push(')');
        }
    }
}

fn write_value(value: &Value<'_>, out: &mut String) {
    // Writing to a string cannot fail.
    let _ = match value {
        Value::Missing => out.write_str("missing"),
        Value::Bool(v) => write!(out, "{v}"),
        Value::Int(v) => write!(out, "{v}"),
        Value::Number(v) => write!(out, "{v:?}"),
        Value::Text(v) => write!(out, "{v:?}"),
        Value::Time(t) => write!(out, "time({})", t.0),
    };
}
