//! Rules: typed expressions compiled from CEL, evaluated over slots in three-valued logic (Kleene). Missing values,
//! overflow and division by zero are *unknown*; unknown never passes an inclusion and always triggers an exclusion.
//!
//! Evaluation lives in [`crate::rule`].

use super::slot::SlotId;
use crate::value::Value;
use serde::{Deserialize, Serialize};

/// Three-valued truth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Truth {
    /// Certainly false.
    False,
    /// Not known.
    Unknown,
    /// Certainly true.
    True,
}

/// Operators of one operand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnaryOp {
    /// Logical not.
    Not,
    /// Arithmetic negation.
    Negate,
}

/// Operators of two operands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BinaryOp {
    /// Kleene and.
    And,
    /// Kleene or.
    Or,
    /// Equal.
    Eq,
    /// Not equal.
    Ne,
    /// Less.
    Lt,
    /// Less or equal.
    Le,
    /// Greater.
    Gt,
    /// Greater or equal.
    Ge,
    /// Sum.
    Add,
    /// Difference.
    Sub,
    /// Product.
    Mul,
    /// Quotient; by zero unknown.
    Div,
    /// Remainder; by zero unknown.
    Rem,
}

/// Functions of the subset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Function {
    /// `known(x)`: true when x is not missing; never unknown itself.
    Known,
    /// `x.startsWith(s)`.
    StartsWith,
    /// `x.endsWith(s)`.
    EndsWith,
    /// `x.contains(s)`.
    Contains,
    /// `size(text)`: characters (Unicode scalar values).
    Size,
    /// `double(x)`: integer, money or duration to number.
    ToNumber,
    /// `min(a, b)` and `max(a, b)` of two numbers or two integers.
    Min,
    /// See [`Function::Min`].
    Max,
    /// `abs(x)`.
    Abs,
    /// `x.orElse(d)`: x, or d when x is missing.
    OrElse,
}

/// A typed expression. The scene room guarantees that types fit; evaluation treats a misfit as unknown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Expr {
    /// A constant.
    Const(Value<'static>),
    /// A slot; in an event filter, the index of a field of the event's schema.
    Slot(SlotId),
    /// One operand.
    Unary(UnaryOp, Box<Expr>),
    /// Two operands. Integer operands beside number operands were wrapped in [`Function::ToNumber`] by the compiler.
    Binary(BinaryOp, Box<Expr>, Box<Expr>),
    /// `condition ? a : b`; an unknown condition gives missing.
    If(Box<Expr>, Box<Expr>, Box<Expr>),
    /// `x in [constants]`.
    In(Box<Expr>, Vec<Value<'static>>),
    /// `{constant: a, constant: b}[x]`: what stands beside the constant that equals x; missing when none does, or x is not known.
    Select(Box<Expr>, Vec<(Value<'static>, Expr)>),
    /// A function call.
    Call(Function, Vec<Expr>),
}

/// A rule with what is needed to name it in a trace or refusal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NamedRule {
    /// Name (`suitability`, a market rule's id), unique in its policy.
    pub name: String,
    /// The CEL text as written, for traces.
    pub source: String,
    /// Compiled boolean expression.
    pub expr: Expr,
    /// Version or effective date cited with a refusal, when the pack gives one.
    #[serde(default)]
    pub version: Option<String>,
    /// Law, regulation or house rule that it follows, when the pack names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authority: Option<String>,
    /// First day of its validity, `2026-11-23` in the scene's zone, when the pack gives one. The expression itself says from
    /// when it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effective: Option<String>,
}
