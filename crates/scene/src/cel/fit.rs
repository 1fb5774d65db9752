//! Which types go together: bringing two values to one type, and what sums, products and quotients give. It must never make
//! exact money of an amount that need not be whole minor units.

use super::Typed;
use super::ty::Ty;
use luopan_kernel::plan::{BinaryOp, Expr, Function};
use luopan_kernel::value::Value;

pub(super) fn made(op: BinaryOp, a: Expr, b: Expr, ty: Ty) -> Typed {
    Typed {
        expr: Expr::Binary(op, Box::new(a), Box::new(b)),
        ty,
    }
}

pub(super) fn sign(op: BinaryOp) -> &'static str {
    match op {
        BinaryOp::And => "&&",
        BinaryOp::Or => "||",
        BinaryOp::Eq => "==",
        BinaryOp::Ne => "!=",
        BinaryOp::Lt => "<",
        BinaryOp::Le => "<=",
        BinaryOp::Gt => ">",
        BinaryOp::Ge => ">=",
        BinaryOp::Add => "+",
        BinaryOp::Sub => "-",
        BinaryOp::Mul => "*",
        BinaryOp::Div => "/",
        BinaryOp::Rem => "%",
    }
}

/// The same value as a number: a constant at once, anything else by [`Function::ToNumber`].
pub(super) fn to_number(typed: Typed, ty: Ty) -> Typed {
    let expr = match typed.expr {
        Expr::Const(Value::Int(v)) => Expr::Const(Value::Number(v as f64)),
        other if typed.ty.value_type() == luopan_kernel::value::ValueType::Number => other,
        other => Expr::Call(Function::ToNumber, vec![other]),
    };
    Typed { expr, ty }
}

fn rough(currency: Option<String>) -> Ty {
    Ty::Money {
        currency,
        exact: false,
    }
}

/// Money of one currency: the currency of both, or of the one that has any.
fn one_currency(a: &Option<String>, b: &Option<String>) -> Option<Option<String>> {
    match (a, b) {
        (Some(x), Some(y)) if x != y => None,
        (Some(x), _) | (None, Some(x)) => Some(Some(x.clone())),
        (None, None) => Some(None),
    }
}

/// Two values brought to one type, as for a comparison; none when they are unlike.
pub(super) fn alike(a: Typed, b: Typed) -> Option<(Expr, Expr, Ty)> {
    match (&a.ty, &b.ty) {
        (x, y) if x == y => {
            let ty = x.clone();
            Some((a.expr, b.expr, ty))
        }
        (Ty::Integer, Ty::Number) => Some((to_number(a, Ty::Number).expr, b.expr, Ty::Number)),
        (Ty::Number, Ty::Integer) => Some((a.expr, to_number(b, Ty::Number).expr, Ty::Number)),
        (
            Ty::Money {
                currency: x,
                exact: p,
            },
            Ty::Money {
                currency: y,
                exact: q,
            },
        ) => {
            let currency = one_currency(x, y)?;
            if *p && *q {
                let ty = Ty::Money {
                    currency,
                    exact: true,
                };
                return Some((a.expr, b.expr, ty));
            }
            let ty = rough(currency);
            Some((
                to_number(a, ty.clone()).expr,
                to_number(b, ty.clone()).expr,
                ty,
            ))
        }
        _ => None,
    }
}

/// Sums, differences, products, quotients and remainders: which types go together and what they give.
pub(super) fn arithmetic(op: BinaryOp, a: Typed, b: Typed) -> Result<Typed, String> {
    use BinaryOp::{Add, Div, Mul, Rem, Sub};
    let no = |write: &str| Err(write.to_owned());
    match (op, a.ty.clone(), b.ty.clone()) {
        (_, Ty::Integer, Ty::Integer) => Ok(made(op, a.expr, b.expr, Ty::Integer)),
        (Add | Sub | Mul | Div, Ty::Integer | Ty::Number, Ty::Integer | Ty::Number) => {
            let (a, b) = (to_number(a, Ty::Number), to_number(b, Ty::Number));
            Ok(made(op, a.expr, b.expr, Ty::Number))
        }
        (Add | Sub, Ty::Money { .. }, Ty::Money { .. }) => match alike(a, b) {
            Some((a, b, ty)) => Ok(made(op, a, b, ty)),
            None => no("amounts of different currencies are not added; bring them to one"),
        },
        // The ratio of two amounts, or of two lengths of time, is a number.
        (Div, Ty::Money { .. }, Ty::Money { .. }) => match alike(a, b) {
            Some((a, b, ty)) => {
                let (a, b) = (
                    to_number(
                        Typed {
                            expr: a,
                            ty: ty.clone(),
                        },
                        Ty::Number,
                    ),
                    to_number(Typed { expr: b, ty }, Ty::Number),
                );
                Ok(made(op, a.expr, b.expr, Ty::Number))
            }
            None => no("amounts of different currencies are not divided; bring them to one"),
        },
        (Div, Ty::Duration, Ty::Duration) => {
            let (a, b) = (to_number(a, Ty::Number), to_number(b, Ty::Number));
            Ok(made(op, a.expr, b.expr, Ty::Number))
        }
        (Mul, money @ Ty::Money { exact: true, .. }, Ty::Integer) => {
            Ok(made(op, a.expr, b.expr, money))
        }
        (Mul, Ty::Integer, money @ Ty::Money { exact: true, .. }) => {
            Ok(made(op, a.expr, b.expr, money))
        }
        (Mul | Div, Ty::Money { currency, .. }, Ty::Integer | Ty::Number)
        | (Mul, Ty::Integer | Ty::Number, Ty::Money { currency, .. }) => {
            let (a, b) = (to_number(a, Ty::Number), to_number(b, Ty::Number));
            Ok(made(op, a.expr, b.expr, rough(currency)))
        }
        (Add | Sub, Ty::Duration, Ty::Duration) => Ok(made(op, a.expr, b.expr, Ty::Duration)),
        (Mul, Ty::Duration, Ty::Integer)
        | (Mul, Ty::Integer, Ty::Duration)
        | (Div, Ty::Duration, Ty::Integer) => Ok(made(op, a.expr, b.expr, Ty::Duration)),
        (Sub, Ty::Time, Ty::Time) => Ok(made(op, a.expr, b.expr, Ty::Duration)),
        (Add | Sub, Ty::Time, Ty::Duration) | (Add, Ty::Duration, Ty::Time) => {
            Ok(made(op, a.expr, b.expr, Ty::Time))
        }
        (Rem, ..) => no("`%` takes two integers"),
        (_, Ty::Money { .. }, _) | (_, _, Ty::Money { .. }) => no(
            "money goes with money of the same currency, or is multiplied or divided by a number",
        ),
        (_, Ty::Duration, _) | (_, _, Ty::Duration) | (_, Ty::Time, _) | (_, _, Ty::Time) => no(
            "times and lengths of time go together: `t2 - t1`, `t + duration(\"1d\")`, `d * 2`, `d1 / d2`",
        ),
        _ => no("numbers are needed here"),
    }
}
