//! The type check: from the parser's tree to the kernel's typed expression. A part that is wrong is reported and the other
//! parts are still looked at, so one reading tells all.

use super::fit::{alike, arithmetic, made, sign, to_number};
use super::literal;
use super::scope::Scope;
use super::slips::meant_by;
use super::ty::Ty;
use super::{CelFault, Typed, dotted};
use crate::fault::{Code, listed, nearest, shown};
use cel::IdedExpr;
use cel::common::ast::{CallExpr, EntryExpr, Expr as Ast, LiteralValue, SourceInfo, operators};
use luopan_kernel::plan::{BinaryOp, Expr, Function, UnaryOp};
use luopan_kernel::value::Value;

/// Functions of the subset, as they are called.
const FUNCTIONS: [&str; 12] = [
    "known",
    "orElse",
    "startsWith",
    "endsWith",
    "contains",
    "size",
    "min",
    "max",
    "abs",
    "double",
    "duration",
    "timestamp",
];

pub(super) struct Checker<'a> {
    pub(super) scope: &'a Scope<'a>,
    pub(super) info: &'a SourceInfo,
    pub(super) source: &'a str,
    pub(super) faults: Vec<CelFault>,
}

impl Checker<'_> {
    fn report(
        &mut self,
        at: &IdedExpr,
        code: Code,
        found: impl Into<String>,
        write: impl Into<String>,
    ) {
        let offset = self.start(at);
        self.push(offset, code, found.into(), write.into(), None);
    }

    fn push(
        &mut self,
        offset: usize,
        code: Code,
        found: String,
        write: String,
        nearest: Option<String>,
    ) {
        self.faults.push(CelFault {
            offset,
            code,
            found,
            write,
            nearest,
        });
    }

    /// Where the leftmost part of `ast` begins, in bytes of the source.
    fn start(&self, ast: &IdedExpr) -> usize {
        let own = self
            .info
            .offset_for(ast.id)
            .map(|(s, _)| self.word_before(s as usize));
        let left = match &ast.expr {
            Ast::Select(select) => Some(&*select.operand),
            Ast::Call(call) => match (&call.target, call.args.first()) {
                (Some(target), _) => Some(&**target),
                (None, Some(first))
                    if call.func_name.starts_with('_') || call.func_name == operators::IN =>
                {
                    Some(first)
                }
                _ => None,
            },
            _ => None,
        };
        let left = left.map(|l| self.start(l));
        own.into_iter()
            .chain(left)
            .min()
            .unwrap_or(0)
            .min(self.source.len())
    }

    /// The parser tells of a call where its bracket opens: the name before it is what the eye looks for.
    fn word_before(&self, offset: usize) -> usize {
        let (Some(before), Some(after)) = (self.source.get(..offset), self.source.get(offset..))
        else {
            return offset;
        };
        if !after.starts_with('(') {
            return offset;
        }
        let name = before
            .bytes()
            .rev()
            .take_while(|b| b.is_ascii_alphanumeric() || *b == b'_')
            .count();
        offset - name
    }

    /// What was written at `ast`, for a message: a name, or the type alone.
    fn shown(&self, ast: &IdedExpr, ty: &Ty) -> String {
        match dotted(ast) {
            Some(name) => format!("`{}` is {}", shown(&name), ty.word()),
            None => match &ast.expr {
                Ast::Literal(_) => format!("the constant is {}", ty.word()),
                _ => format!("this part is {}", ty.word()),
            },
        }
    }

    pub(super) fn check(&mut self, ast: &IdedExpr) -> Option<Typed> {
        match &ast.expr {
            // Decisions tell of silence in a field that is called `null`; there is no null value it could be confused with.
            Ast::Literal(LiteralValue::Null) if self.scope.get("null").is_some() => {
                let (slot, ty) = self.scope.get("null")?.clone();
                Some(Typed {
                    expr: Expr::Slot(slot),
                    ty,
                })
            }
            Ast::Literal(value) => match literal::literal(value) {
                Ok((value, ty)) => Some(Typed {
                    expr: Expr::Const(value),
                    ty,
                }),
                Err(write) => {
                    self.report(
                        ast,
                        Code::ExpressionUnsupported,
                        "a value that rules do not have",
                        write,
                    );
                    None
                }
            },
            Ast::Ident(_) => self.name(ast),
            Ast::Select(select) if select.test => {
                let inner = dotted(&select.operand).unwrap_or_default();
                self.report(
                    ast,
                    Code::ExpressionUnsupported,
                    "the macro `has` is not part of the subset",
                    format!("write `known({inner}.{})`", select.field),
                );
                None
            }
            Ast::Select(select) => {
                if dotted(ast).is_some() {
                    return self.name(ast);
                }
                self.report(
                    ast,
                    Code::ExpressionUnsupported,
                    format!("a value has no parts such as `.{}`", shown(&select.field)),
                    "names are `tag`, `env.hour`, `request.field`, `item.attribute`",
                );
                None
            }
            Ast::Call(call) => self.call(ast, call),
            Ast::List(_) => {
                self.report(
                    ast,
                    Code::ExpressionUnsupported,
                    "a list stands here by itself",
                    "write lists after `in` only: `x in [\"a\", \"b\"]`",
                );
                None
            }
            Ast::Comprehension(_) => {
                self.report(
                    ast,
                    Code::ExpressionUnsupported,
                    "macros (all, exists, map, filter) are not part of the subset",
                    "count or sum with a tag instead",
                );
                None
            }
            Ast::Map(_) | Ast::Struct(_) => {
                self.report(
                    ast,
                    Code::ExpressionUnsupported,
                    "a map or message stands here by itself",
                    "choose from a map at once: `{\"a\": x, \"b\": y}[item.kind]`",
                );
                None
            }
            Ast::Unspecified => {
                self.report(
                    ast,
                    Code::ExpressionSyntax,
                    "something is missing here",
                    "write an expression",
                );
                None
            }
        }
    }

    fn name(&mut self, ast: &IdedExpr) -> Option<Typed> {
        let name = dotted(ast)?;
        if let Some((slot, ty)) = self.scope.get(&name) {
            return Some(Typed {
                expr: Expr::Slot(*slot),
                ty: ty.clone(),
            });
        }
        if let Some((value, ty)) = self.scope.constant(&name) {
            return Some(Typed {
                expr: Expr::Const(value.clone()),
                ty: ty.clone(),
            });
        }
        if self.scope.is_broken(&name) {
            return None;
        }
        let offset = self.start(ast);
        if let Some(why) = self.scope.why_hidden(&name) {
            let found = format!("`{}` cannot be read here", shown(&name));
            self.push(offset, Code::NotHere, found, why.to_owned(), None);
            return None;
        }
        let wanted = match name.to_lowercase().as_str() {
            "true" | "yes" => Some("write `true`"),
            "false" | "no" => Some("write `false`"),
            "null" | "none" | "nil" | "undefined" => {
                Some("there is no null; ask `known(x)`, or write `x.orElse(value)`")
            }
            _ => None,
        };
        if let Some(write) = wanted {
            let found = format!("`{}` is not a value of rules", shown(&name));
            self.push(
                offset,
                Code::ExpressionUnsupported,
                found,
                write.to_owned(),
                None,
            );
            return None;
        }
        let known = self.scope.names();
        let near = ["request", "item", "env", "settings"]
            .into_iter()
            .map(|space| format!("{space}.{name}"))
            .find(|full| known.contains(full.as_str()))
            .or_else(|| nearest(&name, known.iter().copied()));
        let names = listed(known.iter().copied());
        let write = if names.is_empty() {
            "nothing can be read here; declare it first".to_owned()
        } else {
            format!("there are {names}")
        };
        let found = format!("no {} is called `{}`", self.scope.what, shown(&name));
        self.push(offset, Code::UnknownName, found, write, near);
        None
    }

    fn call(&mut self, ast: &IdedExpr, call: &CallExpr) -> Option<Typed> {
        let binary = |op| Some(op);
        let op = match call.func_name.as_str() {
            operators::LOGICAL_AND => binary(BinaryOp::And),
            operators::LOGICAL_OR => binary(BinaryOp::Or),
            operators::EQUALS => binary(BinaryOp::Eq),
            operators::NOT_EQUALS => binary(BinaryOp::Ne),
            operators::LESS => binary(BinaryOp::Lt),
            operators::LESS_EQUALS => binary(BinaryOp::Le),
            operators::GREATER => binary(BinaryOp::Gt),
            operators::GREATER_EQUALS => binary(BinaryOp::Ge),
            operators::ADD => binary(BinaryOp::Add),
            operators::SUBSTRACT => binary(BinaryOp::Sub),
            operators::MULTIPLY => binary(BinaryOp::Mul),
            operators::DIVIDE => binary(BinaryOp::Div),
            operators::MODULO => binary(BinaryOp::Rem),
            _ => None,
        };
        if let (Some(op), [a, b]) = (op, call.args.as_slice()) {
            return self.binary(ast, op, a, b);
        }
        match (call.func_name.as_str(), call.args.as_slice()) {
            (operators::LOGICAL_NOT, [x]) => {
                let inner = self.check(x)?;
                self.boolean(x, &inner)?;
                Some(Typed {
                    expr: Expr::Unary(UnaryOp::Not, Box::new(inner.expr)),
                    ty: Ty::Boolean,
                })
            }
            (operators::NEGATE, [x]) => self.negate(x),
            (operators::CONDITIONAL, [c, a, b]) => self.conditional(ast, c, a, b),
            (operators::IN, [x, list]) => self.contained(x, list),
            (operators::INDEX, [map, x]) if matches!(map.expr, Ast::Map(_)) => {
                self.selected(map, x)
            }
            (operators::INDEX | operators::OPT_INDEX | operators::OPT_SELECT, _) => {
                self.report(
                    ast,
                    Code::ExpressionUnsupported,
                    "`[ ]` behind something that is no map",
                    "write a map before it, `{\"a\": x, \"b\": y}[item.kind]`; names are `tag`, `env.hour`, `request.field`, `item.attribute`",
                );
                None
            }
            (name, args) => self.function(ast, name, call.target.as_deref(), args),
        }
    }

    fn boolean(&mut self, ast: &IdedExpr, typed: &Typed) -> Option<()> {
        if typed.ty == Ty::Boolean {
            return Some(());
        }
        let found = self.shown(ast, &typed.ty);
        self.report(
            ast,
            Code::ExpressionType,
            found,
            "a condition is needed here: compare it with something",
        );
        None
    }

    fn negate(&mut self, x: &IdedExpr) -> Option<Typed> {
        let inner = self.check(x)?;
        match (&inner.ty, inner.expr) {
            (
                Ty::Integer | Ty::Money { exact: true, .. } | Ty::Duration,
                Expr::Const(Value::Int(v)),
            ) if v != i64::MIN => Some(Typed {
                expr: Expr::Const(Value::Int(-v)),
                ty: inner.ty,
            }),
            (Ty::Number, Expr::Const(Value::Number(v))) => Some(Typed {
                expr: Expr::Const(Value::Number(-v)),
                ty: Ty::Number,
            }),
            (Ty::Integer | Ty::Number | Ty::Money { .. } | Ty::Duration, expr) => Some(Typed {
                expr: Expr::Unary(UnaryOp::Negate, Box::new(expr)),
                ty: inner.ty,
            }),
            (ty, _) => {
                let found = self.shown(x, ty);
                self.report(
                    x,
                    Code::ExpressionType,
                    found,
                    "`-` needs a number, money or a duration",
                );
                None
            }
        }
    }

    fn binary(
        &mut self,
        ast: &IdedExpr,
        op: BinaryOp,
        a: &IdedExpr,
        b: &IdedExpr,
    ) -> Option<Typed> {
        let left = self.check(a);
        let before = self.faults.len();
        let right = self.check(b);
        if let (Some(left), None) = (&left, &right) {
            self.unquoted(op, left, b, before);
        }
        let (left, right) = (left?, right?);
        match op {
            BinaryOp::And | BinaryOp::Or => {
                let (one, two) = (self.boolean(a, &left), self.boolean(b, &right));
                one.and(two)?;
                Some(made(op, left.expr, right.expr, Ty::Boolean))
            }
            BinaryOp::Eq
            | BinaryOp::Ne
            | BinaryOp::Lt
            | BinaryOp::Le
            | BinaryOp::Gt
            | BinaryOp::Ge => {
                let ordered = !matches!(op, BinaryOp::Eq | BinaryOp::Ne);
                if ordered && left.ty == Ty::Boolean && right.ty == Ty::Boolean {
                    self.report(
                        ast,
                        Code::ExpressionType,
                        "booleans have no order",
                        "use `==`, `!=`, or the condition itself",
                    );
                    return None;
                }
                self.recency(ast, &left, &right)?;
                let (words, fix) = self.unlike(a, &left, b, &right);
                let Some((l, r, _)) = alike(left, right) else {
                    self.report(
                        ast,
                        Code::ExpressionType,
                        format!("unlike things are compared: {words}"),
                        fix,
                    );
                    return None;
                };
                if !ordered {
                    self.within(a, &l, b, &r)?;
                    self.within(b, &r, a, &l)?;
                }
                Some(made(op, l, r, Ty::Boolean))
            }
            _ => {
                let (words, _) = self.unlike(a, &left, b, &right);
                match arithmetic(op, left, right) {
                    Ok(typed) => Some(typed),
                    Err(write) => {
                        self.report(
                            ast,
                            Code::ExpressionType,
                            format!("`{}` does not fit: {words}", sign(op)),
                            write,
                        );
                        None
                    }
                }
            }
        }
    }

    /// A bare word beside a text was likely meant as a text.
    fn unquoted(&mut self, op: BinaryOp, left: &Typed, b: &IdedExpr, before: usize) {
        let compared = matches!(op, BinaryOp::Eq | BinaryOp::Ne) && left.ty == Ty::Text;
        let (true, Ast::Ident(name), Some(fault)) =
            (compared, &b.expr, self.faults.get_mut(before))
        else {
            return;
        };
        if fault.code == Code::UnknownName {
            fault.write = format!(
                "write text in quotes: `\"{}\"`; {}",
                shown(name),
                fault.write
            );
            let texts = self.scope.texts(&left.expr).unwrap_or_default();
            if let Some(text) = nearest(name, texts.iter().map(String::as_str)) {
                fault.nearest = Some(format!("\"{text}\""));
            }
        }
    }

    /// A constant that the other side, of whose texts all are known, never holds.
    fn within(&mut self, x: &IdedExpr, other: &Expr, at: &IdedExpr, constant: &Expr) -> Option<()> {
        let (Expr::Const(Value::Text(text)), Some(texts)) = (constant, self.scope.texts(other))
        else {
            return Some(());
        };
        if matches!(other, Expr::Const(_)) || texts.contains(text.as_ref()) {
            return Some(());
        }
        let found = match dotted(x) {
            Some(name) => format!("`{}` is never `{}`", shown(&name), shown(text)),
            None => format!("this part is never `{}`", shown(text)),
        };
        let near = nearest(text, texts.iter().map(String::as_str));
        let write = format!("it is one of {}", listed(texts.iter().map(String::as_str)));
        let offset = self.start(at);
        self.push(offset, Code::OutOfRange, found, write, near);
        None
    }

    /// In a segment the time since something flips at a moment that can be known beforehand only against a constant.
    fn recency(&mut self, ast: &IdedExpr, left: &Typed, right: &Typed) -> Option<()> {
        let moves = |e: &Expr| {
            let mut found = false;
            luopan_kernel::rule::visit_slots(e, &mut |s| found |= self.scope.is_recency(s));
            found
        };
        let bare = |e: &Expr| matches!(e, Expr::Slot(_));
        let constant = |e: &Expr| matches!(e, Expr::Const(_));
        let fits = |e: &Expr, other: &Expr| !moves(e) || bare(e) && constant(other);
        if fits(&left.expr, &right.expr) && fits(&right.expr, &left.expr) {
            return Some(());
        }
        self.report(
            ast,
            Code::NotHere,
            "a segment compares the time since something with more than a constant",
            "write `recency_tag > duration(\"30d\")`",
        );
        None
    }

    fn unlike(&self, a: &IdedExpr, left: &Typed, b: &IdedExpr, right: &Typed) -> (String, String) {
        let words = format!(
            "{} and {}",
            self.shown(a, &left.ty),
            self.shown(b, &right.ty)
        );
        let fix = match (&left.ty, &right.ty) {
            (Ty::Boolean, _) | (_, Ty::Boolean) => {
                "a boolean is a condition by itself: write it, or `!` before it"
            }
            (Ty::Money { currency: a, .. }, Ty::Money { currency: b, .. }) if a != b => {
                "amounts of different currencies are not comparable; bring them to one"
            }
            (Ty::Money { .. }, _) | (_, Ty::Money { .. }) => {
                "write an amount as `money(\"12.50\", \"CNY\")`"
            }
            (Ty::Duration, _) | (_, Ty::Duration) => {
                "write a length of time as `duration(\"30d\")`"
            }
            (Ty::Time, _) | (_, Ty::Time) => {
                "write a time as `timestamp(\"2026-11-23T09:30:00+08:00\")`"
            }
            (Ty::Text, _) | (_, Ty::Text) => "write text in quotes, and numbers without",
            _ => "compare like with like",
        };
        (words, fix.to_owned())
    }

    fn conditional(
        &mut self,
        ast: &IdedExpr,
        c: &IdedExpr,
        a: &IdedExpr,
        b: &IdedExpr,
    ) -> Option<Typed> {
        let condition = self.check(c);
        let (left, right) = (self.check(a), self.check(b));
        let condition = condition?;
        self.boolean(c, &condition)?;
        let (left, right) = (left?, right?);
        let (words, fix) = self.unlike(a, &left, b, &right);
        let Some((l, r, ty)) = alike(left, right) else {
            self.report(
                ast,
                Code::ExpressionType,
                format!("`? :` gives unlike things: {words}"),
                fix,
            );
            return None;
        };
        Some(Typed {
            expr: Expr::If(Box::new(condition.expr), Box::new(l), Box::new(r)),
            ty,
        })
    }

    /// `{constant: a, constant: b}[x]`.
    fn selected(&mut self, map: &IdedExpr, x: &IdedExpr) -> Option<Typed> {
        let Ast::Map(of) = &map.expr else {
            return None;
        };
        let mut entries = Vec::with_capacity(of.entries.len());
        for entry in &of.entries {
            match &entry.expr {
                EntryExpr::MapEntry(entry) if !entry.optional => entries.push(entry),
                _ => {
                    self.report(
                        map,
                        Code::ExpressionUnsupported,
                        "an optional entry of a map",
                        "leave the `?` out: what no entry tells is unknown",
                    );
                    return None;
                }
            }
        }
        // Everything is looked at, so that one reading tells all.
        let by = self.check(x);
        let checked: Vec<_> = (entries.iter())
            .map(|e| (self.check(&e.key), self.check(&e.value)))
            .collect();
        if entries.is_empty() {
            self.report(
                map,
                Code::ExpressionUnsupported,
                "a map without entries",
                "write `{\"a\": x, \"b\": y}[item.kind]`",
            );
            return None;
        }
        let by = by?;
        if !matches!(by.ty, Ty::Text | Ty::Integer | Ty::Boolean) {
            let found = self.shown(x, &by.ty);
            self.report(
                x,
                Code::ExpressionType,
                found,
                "a map is asked for a text, an integer or a boolean",
            );
            return None;
        }
        let mut keys: Vec<Value<'static>> = Vec::with_capacity(entries.len());
        let mut values: Vec<Typed> = Vec::with_capacity(entries.len());
        let mut sound = true;
        for (entry, (key, value)) in entries.iter().zip(checked) {
            let (Some(key), Some(value)) = (key, value) else {
                sound = false;
                continue;
            };
            let Expr::Const(constant) = &key.expr else {
                self.report(
                    &entry.key,
                    Code::ExpressionUnsupported,
                    "a key of a map that is no constant",
                    "write a text in quotes, an integer, `true` or `false`",
                );
                sound = false;
                continue;
            };
            if key.ty != by.ty {
                let (words, fix) = self.unlike(x, &by, &entry.key, &key);
                self.report(
                    &entry.key,
                    Code::ExpressionType,
                    format!("unlike things are compared: {words}"),
                    fix,
                );
                sound = false;
                continue;
            }
            sound &= self.within(x, &by.expr, &entry.key, &key.expr).is_some();
            if keys.contains(constant) {
                self.report(
                    &entry.key,
                    Code::DuplicateName,
                    "a key that the map has already",
                    "leave one of the two out",
                );
                sound = false;
                continue;
            }
            keys.push(constant.clone());
            values.push(value);
        }
        if !sound {
            return None;
        }
        // The type that all have in common is found pair by pair, then every entry is brought to it.
        let mut common = values.first()?.clone();
        for (entry, value) in entries.iter().zip(&values).skip(1) {
            let (words, fix) = self.unlike(&entries[0].value, &common, &entry.value, value);
            let Some((expr, _, ty)) = alike(common.clone(), value.clone()) else {
                self.report(
                    &entry.value,
                    Code::ExpressionType,
                    format!("a map gives unlike things: {words}"),
                    fix,
                );
                return None;
            };
            common = Typed { expr, ty };
        }
        let entries = keys.into_iter().zip(values).filter_map(|(key, value)| {
            alike(common.clone(), value).map(|(_, expr, _)| (key, expr))
        });
        Some(Typed {
            expr: Expr::Select(Box::new(by.expr), entries.collect()),
            ty: common.ty,
        })
    }

    fn contained(&mut self, x: &IdedExpr, list: &IdedExpr) -> Option<Typed> {
        let inner = self.check(x);
        let Ast::List(elements) = &list.expr else {
            self.report(
                list,
                Code::ExpressionUnsupported,
                "`in` needs a list written out",
                "write `x in [\"a\", \"b\"]`",
            );
            return None;
        };
        if inner
            .as_ref()
            .is_some_and(|t| matches!(&t.expr, Expr::Slot(s) if self.scope.is_recency(*s)))
        {
            self.report(
                x,
                Code::NotHere,
                "a segment compares the time since something with `in`",
                "write `recency_tag > duration(\"30d\")`",
            );
            return None;
        }
        let checked: Vec<Option<Typed>> = elements.elements.iter().map(|e| self.check(e)).collect();
        let mut inner = inner?;
        let mut constants: Vec<(Value<'static>, Ty)> = Vec::new();
        let mut sound = true;
        for (element, typed) in elements.elements.iter().zip(checked) {
            let typed = typed?;
            let Expr::Const(value) = typed.expr else {
                self.report(
                    element,
                    Code::ExpressionUnsupported,
                    "a list holds constants only",
                    "write `x == a || x == b`",
                );
                sound = false;
                continue;
            };
            constants.push((value, typed.ty));
        }
        if !sound {
            return None;
        }
        let numbers = matches!(inner.ty, Ty::Number | Ty::Money { exact: false, .. })
            || inner.ty == Ty::Integer && constants.iter().any(|(_, t)| *t == Ty::Number);
        if numbers && matches!(inner.ty, Ty::Integer) {
            inner = to_number(inner, Ty::Number);
        }
        let mut values = Vec::with_capacity(constants.len());
        for (element, (value, ty)) in elements.elements.iter().zip(constants) {
            let constant = Typed {
                expr: Expr::Const(value),
                ty,
            };
            let (words, fix) = self.unlike(x, &inner, element, &constant);
            match alike(inner.clone(), constant) {
                Some((_, Expr::Const(value), _)) => {
                    let constant = Expr::Const(value.clone());
                    sound &= self.within(x, &inner.expr, element, &constant).is_some();
                    values.push(value);
                }
                _ => {
                    self.report(
                        element,
                        Code::ExpressionType,
                        format!("unlike things are compared: {words}"),
                        fix,
                    );
                    sound = false;
                }
            }
        }
        sound.then(|| Typed {
            expr: Expr::In(Box::new(inner.expr), values),
            ty: Ty::Boolean,
        })
    }

    fn function(
        &mut self,
        ast: &IdedExpr,
        name: &str,
        target: Option<&IdedExpr>,
        args: &[IdedExpr],
    ) -> Option<Typed> {
        if literal::MAKERS.contains(&name) && target.is_none() {
            return match literal::made(name, args) {
                Ok((value, ty)) => Some(Typed {
                    expr: Expr::Const(value),
                    ty,
                }),
                Err(write) => {
                    self.report(
                        ast,
                        Code::ExpressionType,
                        format!("`{name}` is not written like this"),
                        write,
                    );
                    None
                }
            };
        }
        // `x.f(a)` and `f(x, a)` are the same.
        let all: Vec<&IdedExpr> = target.into_iter().chain(args).collect();
        let function = match (name, all.len()) {
            ("known", 1) => Function::Known,
            ("orElse", 2) => Function::OrElse,
            ("startsWith", 2) => Function::StartsWith,
            ("endsWith", 2) => Function::EndsWith,
            ("contains", 2) => Function::Contains,
            ("size", 1) => Function::Size,
            ("min", 2) => Function::Min,
            ("max", 2) => Function::Max,
            ("abs", 1) => Function::Abs,
            ("double", 1) => Function::ToNumber,
            _ => {
                self.no_function(ast, name, all.len());
                return None;
            }
        };
        let checked: Vec<Option<Typed>> = all.iter().map(|a| self.check(a)).collect();
        let typed: Vec<Typed> = checked.into_iter().collect::<Option<_>>()?;
        if function != Function::Known {
            for (a, t) in all.iter().zip(&typed) {
                if matches!(&t.expr, Expr::Slot(s) if self.scope.is_recency(*s)) {
                    self.report(
                        a,
                        Code::NotHere,
                        "a segment computes with the time since something",
                        "write `recency_tag > duration(\"30d\")`",
                    );
                    return None;
                }
            }
        }
        let words = |this: &Self| {
            all.iter()
                .zip(&typed)
                .map(|(a, t)| this.shown(a, &t.ty))
                .collect::<Vec<_>>()
                .join(" and ")
        };
        let ty = match function {
            Function::Known => Some(Ty::Boolean),
            Function::StartsWith | Function::EndsWith | Function::Contains => typed
                .iter()
                .all(|t| t.ty == Ty::Text)
                .then_some(Ty::Boolean),
            Function::Size => (typed[0].ty == Ty::Text).then_some(Ty::Integer),
            Function::ToNumber => matches!(
                typed[0].ty,
                Ty::Integer | Ty::Number | Ty::Money { .. } | Ty::Duration
            )
            .then_some(Ty::Number),
            Function::Abs => matches!(
                typed[0].ty,
                Ty::Integer | Ty::Number | Ty::Money { .. } | Ty::Duration
            )
            .then(|| typed[0].ty.clone()),
            Function::Min | Function::Max | Function::OrElse => {
                let both = alike(typed[0].clone(), typed[1].clone()).filter(|(_, _, ty)| {
                    function == Function::OrElse || !matches!(ty, Ty::Boolean | Ty::Text)
                });
                if let Some((a, b, ty)) = both {
                    return Some(Typed {
                        expr: Expr::Call(function, vec![a, b]),
                        ty,
                    });
                }
                None
            }
        };
        let Some(ty) = ty else {
            let found = format!("`{name}` does not fit: {}", words(self));
            let write = match function {
                Function::Size => "`size` counts the characters of a text",
                Function::ToNumber => {
                    "`double` takes an integer, money (its minor units) or a duration (its microseconds)"
                }
                Function::Abs => "`abs` takes a number, money or a duration",
                Function::Min | Function::Max => {
                    "write two of one type: numbers, money of one currency, durations or times"
                }
                Function::OrElse => "both must be of one type",
                _ => "both must be text",
            };
            self.report(ast, Code::ExpressionType, found, write);
            return None;
        };
        // Exact money becomes a number; a number stays what it is.
        Some(Typed {
            expr: Expr::Call(function, typed.into_iter().map(|t| t.expr).collect()),
            ty,
        })
    }

    fn no_function(&mut self, ast: &IdedExpr, name: &str, args: usize) {
        let offset = self.start(ast);
        let (found, write) = if FUNCTIONS.contains(&name) {
            (
                format!("`{name}` does not take {args} values"),
                match name {
                    "min" | "max" => "write two values".to_owned(),
                    "orElse" => "write `x.orElse(value)`".to_owned(),
                    "startsWith" | "endsWith" | "contains" => format!("write `x.{name}(\"text\")`"),
                    _ => format!("write `{name}(x)`"),
                },
            )
        } else if matches!(
            name,
            "matches" | "all" | "exists" | "exists_one" | "map" | "filter" | "has"
        ) {
            (
                format!("`{name}` is not part of the subset: no regular expressions and no macros"),
                "use `startsWith`, `endsWith`, `contains` or `in`; for `has` write `known(x)`"
                    .to_owned(),
            )
        } else {
            (
                format!("there is no function `{}`", shown(name)),
                meant_by(name).map_or_else(
                    || format!("there are {} and `money`", listed(FUNCTIONS)),
                    str::to_owned,
                ),
            )
        };
        let near = if FUNCTIONS.contains(&name) || meant_by(name).is_some() {
            None
        } else {
            nearest(name, FUNCTIONS.into_iter().chain(["money"]))
        };
        self.push(offset, Code::ExpressionUnsupported, found, write, near);
    }
}
