//! Expressions: the documented subset of CEL, read by the `cel` crate's parser and compiled to the kernel's typed plan. No
//! macros, no regular expressions, no maps, no dynamic types: every expression has one type before anything runs.
//!
//! It must never let through an expression whose operands do not fit, nor one larger than its named limits.

mod check;
mod fit;
mod literal;
pub(crate) mod scope;
mod slips;
mod ty;

pub use scope::Place;
pub(crate) use scope::{RequestTexts, Scope};
pub(crate) use ty::Ty;

use crate::fault::Code;
use cel::IdedExpr;
use cel::common::ast::{EntryExpr, Expr as Ast, SourceInfo};
use luopan_kernel::plan::Expr;

/// Deepest nesting of an expression, as written and as compiled.
pub const EXPRESSION_DEPTH_MAX: usize = 64;
/// Deepest nesting of an expression as a stored plan writes it: readers of JSON go 128 levels deep, of which the plan around an expression takes
/// up to twenty.
const STORED_DEPTH_MAX: usize = 108;
/// Most names, literals and operators of one expression.
pub const EXPRESSION_NODES_MAX: usize = 512;

/// A fault within an expression.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct CelFault {
    /// Byte offset within the expression.
    pub(crate) offset: usize,
    pub(crate) code: Code,
    pub(crate) found: String,
    pub(crate) write: String,
    pub(crate) nearest: Option<String>,
}

/// A compiled expression and its type.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Typed {
    pub(crate) expr: Expr,
    pub(crate) ty: Ty,
}

/// Compiles `source` in `scope`.
///
/// # Errors
/// Every fault found.
pub(crate) fn compile(source: &str, scope: &Scope<'_>) -> Result<Typed, Vec<CelFault>> {
    let (ast, info) = parse(source)?;
    let mut checker = check::Checker {
        scope,
        info: &info,
        source,
        faults: Vec::new(),
    };
    let typed = checker.check(&ast);
    if !checker.faults.is_empty() {
        let mut faults = checker.faults;
        faults.sort_by_key(|f| f.offset);
        return Err(faults);
    }
    // Without a fault of its own it reads a name whose declaration is at fault: that was reported where it stands.
    let typed = typed.ok_or_else(Vec::new)?;
    if depth(&typed.expr) > EXPRESSION_DEPTH_MAX {
        return Err(vec![too_deep()]);
    }
    if stored_depth(&typed.expr) > STORED_DEPTH_MAX {
        return Err(vec![fault(
            0,
            Code::Limit,
            "the expression is nested too deeply to be stored: maps count fourfold, functions threefold, all else twofold, and more than 108 are not read back",
            "give a part of it a name under `derived`",
        )]);
    }
    let nodes = nodes(&typed.expr);
    if nodes > EXPRESSION_NODES_MAX {
        return Err(vec![too_large(nodes)]);
    }
    Ok(typed)
}

fn fault(
    offset: usize,
    code: Code,
    found: impl Into<String>,
    write: impl Into<String>,
) -> CelFault {
    CelFault {
        offset,
        code,
        found: found.into(),
        write: write.into(),
        nearest: None,
    }
}

fn too_deep() -> CelFault {
    fault(
        0,
        Code::Limit,
        format!("the expression is nested deeper than {EXPRESSION_DEPTH_MAX}"),
        "give a part of it a name under `derived`",
    )
}

fn too_large(found: usize) -> CelFault {
    fault(
        0,
        Code::Limit,
        format!("an expression of {found} names, values and signs"),
        format!(
            "write at most {EXPRESSION_NODES_MAX}; give parts names under `derived`, or make a list an attribute"
        ),
    )
}

/// Names, constants and operations of a compiled expression; a list counts as one.
fn nodes(expr: &Expr) -> usize {
    1 + match expr {
        Expr::Const(_) | Expr::Slot(_) => 0,
        Expr::Unary(_, x) => nodes(x),
        Expr::In(x, _) => nodes(x) + 1,
        Expr::Binary(_, a, b) => nodes(a) + nodes(b),
        Expr::If(a, b, c) => nodes(a) + nodes(b) + nodes(c),
        Expr::Select(x, entries) => {
            nodes(x) + entries.iter().map(|(_, e)| 1 + nodes(e)).sum::<usize>()
        }
        Expr::Call(_, args) => args.iter().map(nodes).sum(),
    }
}

/// Reads CEL. The parser recurses, so brackets, operators and the text as a whole are bounded first.
fn parse(source: &str) -> Result<(IdedExpr, SourceInfo), Vec<CelFault>> {
    if source.len() > crate::shape::EXPRESSION_BYTES_MAX {
        return Err(vec![fault(
            0,
            Code::Limit,
            format!("an expression of {} bytes", source.len()),
            format!("write at most {}", crate::shape::EXPRESSION_BYTES_MAX),
        )]);
    }
    bounded(source)?;
    let parsed = cel::parser::Parser::new()
        .max_recursion_depth(EXPRESSION_DEPTH_MAX as u16 + 1)
        .error_recovery_limit(4)
        .parse_with_source_info(source);
    parsed.map_err(|errors| {
        let known = slips::slips(source);
        if !known.is_empty() {
            return known;
        }
        // The first tells where the expression broke; the rest follow from it.
        let first = errors.errors.first();
        let message = first.and_then(|e| e.msg.lines().next());
        let offset = first.map_or(0, |e| offset_of(source, e.pos));
        vec![slips::said(source, message.unwrap_or_default(), offset)]
    })
}

/// The parser gives errors as line and column.
fn offset_of(source: &str, (line, column): (isize, isize)) -> usize {
    let line = usize::try_from(line - 1).unwrap_or(0);
    let column = usize::try_from(column - 1).unwrap_or(0);
    let start: usize = source.split_inclusive('\n').take(line).map(str::len).sum();
    source[start.min(source.len())..]
        .char_indices()
        .nth(column)
        .map_or(source.len(), |(i, _)| start + i)
}

/// Refuses what would make the parser recurse too deep: nested brackets, chains of operators.
fn bounded(source: &str) -> Result<(), Vec<CelFault>> {
    let mut deep = 0usize;
    let mut parts = 0usize;
    let mut quote: Option<char> = None;
    let mut escaped = false;
    let mut in_word = false;
    for c in source.chars() {
        if let Some(q) = quote {
            if escaped {
                escaped = false;
            } else if c == '\\' {
                escaped = true;
            } else if c == q {
                quote = None;
            }
            continue;
        }
        let word = c.is_alphanumeric() || c == '_' || c == '.';
        if !word && !c.is_whitespace() || word && !in_word {
            parts += 1;
        }
        in_word = word;
        match c {
            '"' | '\'' => quote = Some(c),
            '(' | '[' | '{' => {
                deep += 1;
                if deep > EXPRESSION_DEPTH_MAX {
                    return Err(vec![too_deep()]);
                }
            }
            ')' | ']' | '}' => deep = deep.saturating_sub(1),
            _ => {}
        }
    }
    // Brackets, commas, dots and the constants of lists are not counted in the end; this bounds the reading.
    if parts > 4 * EXPRESSION_NODES_MAX {
        return Err(vec![too_large(parts)]);
    }
    Ok(())
}

/// Nesting of a compiled expression. It recurses, so it is asked of expressions whose text was bounded.
fn depth(expr: &Expr) -> usize {
    1 + match expr {
        Expr::Const(_) | Expr::Slot(_) => 0,
        Expr::Unary(_, x) | Expr::In(x, _) => depth(x),
        Expr::Binary(_, a, b) => depth(a).max(depth(b)),
        Expr::If(a, b, c) => depth(a).max(depth(b)).max(depth(c)),
        Expr::Select(x, entries) => {
            (entries.iter().map(|(_, e)| depth(e))).fold(depth(x), usize::max)
        }
        Expr::Call(_, args) => args.iter().map(depth).max().unwrap_or(0),
    }
}

/// Levels of JSON that a compiled expression takes.
fn stored_depth(expr: &Expr) -> usize {
    match expr {
        Expr::Const(_) | Expr::Slot(_) => 1,
        Expr::Unary(_, x) => 2 + stored_depth(x),
        Expr::In(x, _) => 2 + stored_depth(x).max(2),
        Expr::Binary(_, a, b) => 2 + stored_depth(a).max(stored_depth(b)),
        Expr::If(a, b, c) => 2 + stored_depth(a).max(stored_depth(b)).max(stored_depth(c)),
        Expr::Select(x, entries) => {
            let deepest = entries.iter().map(|(_, e)| 2 + stored_depth(e));
            2 + deepest.fold(stored_depth(x), usize::max)
        }
        Expr::Call(_, args) => 3 + args.iter().map(stored_depth).max().unwrap_or(0),
    }
}

/// `a.b.c` as one name; none when it is anything else.
fn dotted(ast: &IdedExpr) -> Option<String> {
    match &ast.expr {
        Ast::Ident(name) => Some(name.clone()),
        Ast::Select(select) if !select.test => {
            dotted(&select.operand).map(|left| format!("{left}.{}", select.field))
        }
        _ => None,
    }
}

/// All names that an expression reads, without checking it; none when it cannot be read.
pub(crate) fn names_in(source: &str) -> Vec<String> {
    fn walk(ast: &IdedExpr, out: &mut Vec<String>) {
        if let Some(name) = dotted(ast) {
            out.push(name);
            return;
        }
        match &ast.expr {
            Ast::Select(select) => walk(&select.operand, out),
            Ast::Call(call) => {
                call.target.iter().for_each(|t| walk(t, out));
                call.args.iter().for_each(|a| walk(a, out));
            }
            Ast::List(list) => list.elements.iter().for_each(|e| walk(e, out)),
            Ast::Map(map) => {
                for entry in &map.entries {
                    if let EntryExpr::MapEntry(entry) = &entry.expr {
                        walk(&entry.value, out);
                    }
                }
            }
            _ => {}
        }
    }
    let mut out = Vec::new();
    if let Ok((ast, _)) = parse(source) {
        walk(&ast, &mut out);
    }
    out
}
