//! Rules in words, Chinese and English, for traces, pages and reports. Sentences come from the catalogue `words.json`; names
//! stay as they were declared. What is said must be what is evaluated: constants are written with their units.

use crate::cel::Ty;
use crate::unit;
use luopan_kernel::plan::{BinaryOp, EventSchema, Expr, Function, ScenePlan, SlotId, UnaryOp};
use luopan_kernel::time::{DAY_US, HOUR_US, MINUTE_US, SECOND_US};
use luopan_kernel::value::Value;
use std::collections::BTreeMap;
use std::sync::OnceLock;

/// A language of the catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// English.
    English,
    /// Chinese.
    Chinese,
}

impl Language {
    fn code(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Chinese => "zh",
        }
    }
}

type Catalogue = BTreeMap<String, BTreeMap<String, String>>;

fn catalogue() -> &'static Catalogue {
    static CATALOGUE: OnceLock<Catalogue> = OnceLock::new();
    // A test reads the catalogue and asks for every sentence, so an empty one cannot be shipped.
    CATALOGUE.get_or_init(|| serde_json::from_str(include_str!("words.json")).unwrap_or_default())
}

/// `expr`, over slots of `plan`, as a sentence.
pub fn words(plan: &ScenePlan, expr: &Expr, language: Language) -> String {
    let name = |id: SlotId| {
        plan.slots
            .get(usize::from(id.0))
            .map_or_else(|| format!("#{}", id.0), |s| s.name.clone())
    };
    let ty = |id: SlotId| crate::cel::scope::slot_ty(plan, id);
    Speaker {
        language,
        name: &name,
        ty: &ty,
    }
    .condition(expr)
}

/// `expr`, over the fields of an event (a filter or a reward's value), as a sentence.
pub fn words_of_event(schema: &EventSchema, expr: &Expr, language: Language) -> String {
    let name = |id: SlotId| {
        schema
            .fields
            .get(usize::from(id.0))
            .map_or_else(|| format!("#{}", id.0), |f| f.name.clone())
    };
    let ty = |id: SlotId| {
        schema
            .fields
            .get(usize::from(id.0))
            .map_or(Ty::Text, crate::cel::scope::field_ty)
    };
    Speaker {
        language,
        name: &name,
        ty: &ty,
    }
    .condition(expr)
}

struct Speaker<'a> {
    language: Language,
    name: &'a dyn Fn(SlotId) -> String,
    ty: &'a dyn Fn(SlotId) -> Ty,
}

impl Speaker<'_> {
    /// The sentence `key` with its parts put in. A part that itself holds braces stays as it is.
    fn say(&self, key: &str, parts: &[&str]) -> String {
        let template = catalogue()
            .get(key)
            .and_then(|s| s.get(self.language.code()))
            .map_or("", String::as_str);
        let mut out = String::new();
        let mut rest = template;
        while let Some((before, after)) = rest.split_once('{') {
            out.push_str(before);
            let Some((place, next)) = after.split_once('}') else {
                break;
            };
            let index = match place {
                "a" => 0,
                "b" => 1,
                _ => 2,
            };
            out.push_str(parts.get(index).copied().unwrap_or_default());
            rest = next;
        }
        out.push_str(rest);
        out
    }

    /// An expression where a condition stands.
    fn condition(&self, expr: &Expr) -> String {
        match expr {
            Expr::Const(Value::Bool(true)) => self.say("always", &[]),
            Expr::Const(Value::Bool(false)) => self.say("never", &[]),
            Expr::Slot(id) if (self.ty)(*id) == Ty::Boolean => {
                self.say("holds", &[&(self.name)(*id)])
            }
            Expr::Unary(UnaryOp::Not, inner) => match &**inner {
                Expr::Slot(id) => self.say("fails", &[&(self.name)(*id)]),
                Expr::Call(Function::Known, args) => {
                    let a = args
                        .first()
                        .map(|a| self.value(a, None))
                        .unwrap_or_default();
                    self.say("unknown", &[&a])
                }
                Expr::In(x, list) => self.contained("not_in", x, list),
                other => self.say("not", &[&self.grouped(other)]),
            },
            Expr::Binary(op @ (BinaryOp::And | BinaryOp::Or), a, b) => {
                let part = |x: &Expr| match x {
                    Expr::Binary(inner @ (BinaryOp::And | BinaryOp::Or), ..) if inner != op => {
                        self.grouped(x)
                    }
                    _ => self.condition(x),
                };
                let key = if *op == BinaryOp::And { "and" } else { "or" };
                self.say(key, &[&part(a), &part(b)])
            }
            other => self.value(other, None),
        }
    }

    fn grouped(&self, expr: &Expr) -> String {
        let inner = self.condition(expr);
        match expr {
            Expr::Binary(..) | Expr::If(..) | Expr::Select(..) => self.say("group", &[&inner]),
            _ => inner,
        }
    }

    fn contained(&self, key: &str, x: &Expr, list: &[Value<'static>]) -> String {
        let ty = self.kind(x);
        let mut said = String::new();
        for value in list {
            let one = self.constant(value, ty.as_ref());
            said = if said.is_empty() {
                one
            } else {
                self.say("list", &[&said, &one])
            };
        }
        self.say(key, &[&self.value(x, None), &said])
    }

    /// An expression where a value stands; `like` is the type of what it is held against.
    fn value(&self, expr: &Expr, like: Option<&Ty>) -> String {
        match expr {
            Expr::Const(value) => self.constant(value, like),
            Expr::Slot(id) => (self.name)(*id),
            Expr::Unary(UnaryOp::Not, _) => self.condition(expr),
            Expr::Unary(UnaryOp::Negate, x) => self.say("negate", &[&self.operand(x, like)]),
            Expr::Binary(BinaryOp::And | BinaryOp::Or, ..) => self.condition(expr),
            Expr::Binary(op, a, b) => {
                let (left, right) = (self.kind(a), self.kind(b));
                let time = left == Some(Ty::Time) || right == Some(Ty::Time);
                let key = match (op, time) {
                    (BinaryOp::Eq, _) => "eq",
                    (BinaryOp::Ne, _) => "ne",
                    (BinaryOp::Lt, false) => "lt",
                    (BinaryOp::Le, false) => "le",
                    (BinaryOp::Gt, false) => "gt",
                    (BinaryOp::Ge, false) => "ge",
                    (BinaryOp::Lt, true) => "before",
                    (BinaryOp::Le, true) => "not_after",
                    (BinaryOp::Gt, true) => "after",
                    (BinaryOp::Ge, true) => "not_before",
                    (BinaryOp::Add, _) => "add",
                    (BinaryOp::Sub, _) => "sub",
                    (BinaryOp::Mul, _) => "mul",
                    (BinaryOp::Div, _) => "div",
                    (BinaryOp::Rem | BinaryOp::And | BinaryOp::Or, _) => "rem",
                };
                self.say(
                    key,
                    &[
                        &self.operand(a, right.as_ref()),
                        &self.operand(b, left.as_ref()),
                    ],
                )
            }
            Expr::If(c, a, b) => {
                let (left, right) = (self.kind(a), self.kind(b));
                self.say(
                    "if",
                    &[
                        &self.condition(c),
                        &self.operand(a, like.or(right.as_ref())),
                        &self.operand(b, like.or(left.as_ref())),
                    ],
                )
            }
            Expr::In(x, list) => self.contained("in", x, list),
            Expr::Select(x, entries) => self.selected(x, entries, like),
            Expr::Call(function, args) => self.call(*function, args, like),
        }
    }

    /// As conditions one behind the other.
    fn selected(&self, x: &Expr, entries: &[(Value<'static>, Expr)], like: Option<&Ty>) -> String {
        let (ty, other) = (self.kind(x), entries.iter().find_map(|(_, e)| self.kind(e)));
        let mut said = self.say("missing", &[]);
        for (key, entry) in entries.iter().rev() {
            let is_it = [self.value(x, None), self.constant(key, ty.as_ref())];
            let condition = self.say("eq", &[&is_it[0], &is_it[1]]);
            let value = self.operand(entry, like.or(other.as_ref()));
            said = self.say("if", &[&condition, &value, &said]);
        }
        said
    }

    fn operand(&self, expr: &Expr, like: Option<&Ty>) -> String {
        let inner = self.value(expr, like);
        match expr {
            Expr::Binary(..) | Expr::If(..) | Expr::Select(..) => self.say("group", &[&inner]),
            _ => inner,
        }
    }

    fn call(&self, function: Function, args: &[Expr], like: Option<&Ty>) -> String {
        let kind = args.first().and_then(|a| self.kind(a));
        let part = |i: usize| {
            args.get(i)
                .map(|a| self.operand(a, like.or(kind.as_ref())))
                .unwrap_or_default()
        };
        let key = match function {
            // A number is said as what it was before.
            Function::ToNumber => return part(0),
            Function::Known => "known",
            Function::StartsWith => "starts_with",
            Function::EndsWith => "ends_with",
            Function::Contains => "contains",
            Function::Size => "size",
            Function::Min => "min",
            Function::Max => "max",
            Function::Abs => "abs",
            Function::OrElse => "or_else",
        };
        self.say(key, &[&part(0), &part(1)])
    }

    /// The type of an expression, where it is not a constant.
    fn kind(&self, expr: &Expr) -> Option<Ty> {
        match expr {
            Expr::Const(_) => None,
            Expr::Slot(id) => Some((self.ty)(*id)),
            Expr::Unary(UnaryOp::Negate, x) => self.kind(x),
            Expr::Unary(UnaryOp::Not, _) | Expr::In(..) => Some(Ty::Boolean),
            Expr::Binary(op, a, b) => match op {
                BinaryOp::Add | BinaryOp::Sub | BinaryOp::Rem => {
                    self.kind(a).or_else(|| self.kind(b))
                }
                BinaryOp::Mul | BinaryOp::Div => None,
                _ => Some(Ty::Boolean),
            },
            Expr::If(_, a, b) => self.kind(a).or_else(|| self.kind(b)),
            Expr::Select(_, entries) => entries.iter().find_map(|(_, e)| self.kind(e)),
            // `double(x)` makes minor units and microseconds of money and time: the other side is such a number too.
            Expr::Call(Function::ToNumber, _) => None,
            Expr::Call(Function::Abs | Function::Min | Function::Max | Function::OrElse, args) => {
                args.iter().find_map(|a| self.kind(a))
            }
            Expr::Call(Function::Size, _) => Some(Ty::Integer),
            Expr::Call(..) => Some(Ty::Boolean),
        }
    }

    fn constant(&self, value: &Value<'_>, like: Option<&Ty>) -> String {
        match (value, like) {
            (Value::Missing, _) => self.say("missing", &[]),
            (Value::Bool(true), _) => self.say("true", &[]),
            (Value::Bool(false), _) => self.say("false", &[]),
            (Value::Int(v), Some(Ty::Money { currency, .. })) => {
                let currency = currency.as_deref().unwrap_or("");
                let digits = unit::minor_digits(currency).unwrap_or(2);
                let amount = unit::decimal(*v, digits);
                self.say("money", &[&amount, currency]).trim().to_owned()
            }
            (Value::Int(v), Some(Ty::Duration)) => self.duration(*v),
            (Value::Int(v), _) => v.to_string(),
            (Value::Number(v), _) => v.to_string(),
            (Value::Text(t), _) => self.say("text", &[t]),
            (Value::Time(t), _) => jiff::Timestamp::from_microsecond(t.0)
                .map_or_else(|_| t.0.to_string(), |t| t.to_string()),
        }
    }

    fn duration(&self, us: i64) -> String {
        for (key, size) in [
            ("days", DAY_US),
            ("hours", HOUR_US),
            ("minutes", MINUTE_US),
            ("seconds", SECOND_US),
            ("milliseconds", 1_000),
        ] {
            if us != 0 && us % size == 0 {
                return self.say(key, &[&(us / size).to_string()]);
            }
        }
        self.say("seconds", &[&(us as f64 / SECOND_US as f64).to_string()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sentence_exists_in_both_languages() {
        assert!(catalogue().len() > 40);
        for (key, sentences) in catalogue() {
            assert_eq!(sentences.keys().collect::<Vec<_>>(), ["en", "zh"], "{key}");
            assert!(sentences.values().all(|s| !s.is_empty()), "{key}");
            let places = |s: &str| ["{a}", "{b}", "{c}"].map(|p| s.matches(p).count());
            assert_eq!(places(&sentences["en"]), places(&sentences["zh"]), "{key}");
        }
    }
}
