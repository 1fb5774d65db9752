//! The shape of packs as tables: which keys there are, of which kind, and what they mean. The checker and the JSON Schema
//! for editors both read these tables ([`crate::tables`]), so they cannot drift apart.

use crate::fault::{Code, Fault, listed, nearest, shown};
use crate::node::{At, Data, Key, Node};
use crate::unit;

/// Longest name, in bytes.
pub const NAME_BYTES_MAX: usize = 64;
/// Longest CEL text, in bytes.
pub const EXPRESSION_BYTES_MAX: usize = 4096;
/// Most entries of one map or list.
pub const ENTRIES_MAX: usize = 10_000;

/// What a value must be.
pub(crate) enum Kind {
    /// Text of at most so many bytes.
    Text(usize),
    /// A name of CEL's form: letters, digits and `_`, not beginning with a digit.
    Name,
    /// `true` or `false`.
    Boolean,
    /// A whole number within bounds.
    Integer(i64, i64),
    /// A number within bounds.
    Number(f64, f64),
    /// A number above zero, up to a bound.
    Positive(f64),
    /// A length of time above zero.
    Duration,
    /// `"21:00"`.
    Clock,
    /// `2026-11-23`.
    Day,
    /// An ISO 4217 code.
    Currency,
    /// An IANA zone.
    Zone,
    /// CEL.
    Cel,
    /// Text, number or boolean.
    Scalar,
    /// A decimal amount, bare or quoted.
    Decimal,
    /// One of the words.
    Choice(&'static [(&'static str, &'static str)]),
    /// A sequence with at least so many entries.
    List(&'static Kind, usize),
    /// A mapping from names (of CEL's form) to values.
    Map(&'static Kind),
    /// A mapping from names in which `-` and `.` may stand too.
    LooseMap(&'static Kind),
    /// A mapping from any text (item keys, texts of a file).
    TextMap(&'static Kind),
    /// A mapping with the keys of a table.
    Object(&'static Shape),
    /// A mapping that is told by which of the tables' first keys it has.
    Tagged(&'static [&'static Shape]),
    /// Different forms (scalar, list, map) of the same thing.
    Any(&'static [&'static Kind]),
}

/// A key of an object.
pub(crate) struct KeyRule {
    pub(crate) name: &'static str,
    pub(crate) kind: &'static Kind,
    pub(crate) required: bool,
    pub(crate) doc: &'static str,
}

/// The keys of an object.
pub(crate) struct Shape {
    /// Name in the schema and in messages.
    pub(crate) name: &'static str,
    pub(crate) doc: &'static str,
    pub(crate) keys: &'static [KeyRule],
    /// With this key present nothing else is required.
    pub(crate) unless: Option<&'static str>,
}

/// Where faults are gathered, with the files they are in.
pub(crate) struct Reporter<'a> {
    pub(crate) files: &'a [(String, String)],
    pub(crate) faults: Vec<Fault>,
}

impl Reporter<'_> {
    pub(crate) fn at(
        &mut self,
        at: At,
        code: Code,
        found: impl Into<String>,
        write: impl Into<String>,
    ) {
        self.near(at, code, found, write, None);
    }

    pub(crate) fn near(
        &mut self,
        at: At,
        code: Code,
        found: impl Into<String>,
        write: impl Into<String>,
        nearest: Option<String>,
    ) {
        self.faults.push(Fault {
            file: self
                .files
                .get(usize::from(at.file))
                .map_or_else(String::new, |(path, _)| path.clone()),
            line: at.line,
            column: at.column,
            code,
            found: found.into(),
            write: write.into(),
            nearest,
        });
    }

    /// A name that nothing declares, with what is declared.
    pub(crate) fn unknown<'w>(
        &mut self,
        at: At,
        what: &str,
        name: &str,
        known: impl IntoIterator<Item = &'w str> + Clone,
    ) {
        let near = nearest(name, known.clone());
        let names = listed(known);
        let write = if names.is_empty() {
            format!("declare a {what} first")
        } else {
            format!("declared are {names}")
        };
        self.near(
            at,
            Code::UnknownName,
            format!("no {what} is called `{}`", shown(name)),
            write,
            near,
        );
    }
}

/// True when `name` may stand in CEL: `[A-Za-z_][A-Za-z0-9_]*`, at most [`NAME_BYTES_MAX`] bytes, not a word of CEL's own.
pub(crate) fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    name.len() <= NAME_BYTES_MAX
        && bytes
            .next()
            .is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && !RESERVED.contains(&name)
}

/// Words that CEL keeps for itself.
const RESERVED: [&str; 21] = [
    "true",
    "false",
    "null",
    "in",
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
    "var",
    "void",
    "while",
];

fn is_loose_name(name: &str) -> bool {
    name.len() <= NAME_BYTES_MAX
        && name
            .bytes()
            .next()
            .is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
}

/// Compares `node` with `kind` and reports everything that does not fit. What comes after may read the node as if it
/// fitted and stay silent where it does not.
pub(crate) fn check(node: &Node, kind: &'static Kind, report: &mut Reporter<'_>) {
    let wrong = |report: &mut Reporter<'_>, write: String| {
        report.at(
            node.at,
            Code::WrongType,
            format!("here stands {}", node.described()),
            write,
        );
    };
    let unit_of = |report: &mut Reporter<'_>, result: Result<i64, String>, code: Code| match result
    {
        Ok(value) => Some(value),
        Err(write) => {
            report.at(
                node.at,
                code,
                format!("here stands {}", node.described()),
                write,
            );
            None
        }
    };
    match kind {
        Kind::Text(bytes) => match node.text() {
            None if node.scalar().is_some_and(|t| !t.is_empty()) => {
                wrong(report, "write text; put it in quotes".into());
            }
            None => wrong(report, "write text".into()),
            Some(text) if text.len() > *bytes => report.at(
                node.at,
                Code::Limit,
                format!("a text of {} bytes", text.len()),
                format!("write at most {bytes}"),
            ),
            Some(_) => {}
        },
        Kind::Name => match node.text() {
            None => wrong(report, "write a name".into()),
            Some(text) if !is_loose_name(text) => bad_name(node.at, text, report),
            Some(_) => {}
        },
        Kind::Boolean => {
            if node.boolean().is_none() {
                wrong(report, "write `true` or `false`".into());
            }
        }
        Kind::Integer(low, high) => match node.integer() {
            None => wrong(report, "write a whole number".into()),
            Some(v) if v < *low || v > *high => report.at(
                node.at,
                Code::OutOfRange,
                format!("here stands {v}"),
                format!("write a whole number from {low} to {high}"),
            ),
            Some(_) => {}
        },
        Kind::Number(low, high) => match node.number() {
            None => wrong(report, "write a number".into()),
            Some(v) if v < *low || v > *high => report.at(
                node.at,
                Code::OutOfRange,
                format!("here stands {v}"),
                format!("write a number from {low} to {high}"),
            ),
            Some(_) => {}
        },
        Kind::Positive(high) => match node.number() {
            None => wrong(report, "write a number above zero".into()),
            Some(v) if v <= 0.0 || v > *high => report.at(
                node.at,
                Code::OutOfRange,
                format!("here stands {v}"),
                format!("write a number above zero, at most {high}"),
            ),
            Some(_) => {}
        },
        Kind::Duration => {
            let text = node.scalar().unwrap_or_default();
            if let Some(0) = unit_of(report, unit::duration(text), Code::UnknownUnit) {
                report.at(
                    node.at,
                    Code::OutOfRange,
                    "a length of time of zero",
                    "write one above zero",
                );
            }
        }
        Kind::Clock => {
            unit_of(
                report,
                unit::clock(node.scalar().unwrap_or_default()).map(i64::from),
                Code::WrongType,
            );
        }
        Kind::Day => {
            unit_of(
                report,
                unit::day(node.scalar().unwrap_or_default()),
                Code::WrongType,
            );
        }
        Kind::Currency => match node.text() {
            None => wrong(report, "write an iso 4217 code such as `CNY`".into()),
            Some(text) if unit::minor_digits(text).is_none() => {
                // What people write for the yuan.
                let near = match text {
                    "RMB" | "CNH" | "元" | "¥" | "￥" => Some("CNY".to_owned()),
                    _ => nearest(text, unit::currencies()),
                };
                report.near(
                    node.at,
                    Code::UnknownUnit,
                    format!("`{}` is not a currency", shown(text)),
                    "write an iso 4217 code such as `CNY`",
                    near,
                );
            }
            Some(_) => {}
        },
        Kind::Zone => match node.text() {
            None => wrong(report, "write an iana zone such as `Asia/Shanghai`".into()),
            Some(text) if unit::zone(text).is_none() => {
                let names = unit::zone_names();
                let near = nearest(text, names.iter().map(String::as_str));
                report.near(
                    node.at,
                    Code::UnknownUnit,
                    format!("`{}` is not a time zone", shown(text)),
                    "write an iana zone such as `Asia/Shanghai`",
                    near,
                );
            }
            Some(_) => {}
        },
        Kind::Cel => match node.scalar() {
            None => wrong(report, "write a cel expression as text".into()),
            Some(text) if text.len() > EXPRESSION_BYTES_MAX => report.at(
                node.at,
                Code::Limit,
                format!("an expression of {} bytes", text.len()),
                format!("write at most {EXPRESSION_BYTES_MAX}; divide it into derived tags"),
            ),
            Some(_) if node.is_null() => wrong(report, "write a cel expression".into()),
            Some(_) => {}
        },
        Kind::Scalar => {
            if node.scalar().is_none() {
                wrong(report, "write one value".into());
            }
        }
        Kind::Decimal => match node.scalar() {
            None => wrong(report, "write a decimal amount such as \"12.50\"".into()),
            Some(text) => {
                unit_of(report, unit::minor_units(text, 9), Code::WrongType);
            }
        },
        Kind::Choice(words) => match node.scalar() {
            None => wrong(
                report,
                format!("write one of {}", listed(words.iter().map(|w| w.0))),
            ),
            Some(text) if !words.iter().any(|w| w.0 == text) => {
                let other = other_word(text).filter(|o| words.iter().any(|w| w.0 == *o));
                let near = other
                    .map(str::to_owned)
                    .or_else(|| nearest(text, words.iter().map(|w| w.0)));
                report.near(
                    node.at,
                    Code::OutOfRange,
                    format!("here stands `{}`", shown(text)),
                    format!("write one of {}", listed(words.iter().map(|w| w.0))),
                    near,
                );
            }
            Some(_) => {}
        },
        Kind::List(inner, least) => {
            let Data::List(nodes) = &node.data else {
                wrong(report, "write a list".into());
                return;
            };
            too_many(node, nodes.len(), report);
            if nodes.len() < *least {
                report.at(
                    node.at,
                    Code::OutOfRange,
                    format!("a list of {}", nodes.len()),
                    format!("write at least {least}"),
                );
            }
            for n in nodes.iter().take(ENTRIES_MAX) {
                check(n, inner, report);
            }
        }
        Kind::Map(inner) | Kind::LooseMap(inner) | Kind::TextMap(inner) => {
            let Data::Map(entries) = &node.data else {
                wrong(report, "write a map: names, each with its value".into());
                return;
            };
            too_many(node, entries.len(), report);
            for (key, value) in entries.iter().take(ENTRIES_MAX) {
                match kind {
                    Kind::Map(_) if !is_name(&key.text) => bad_name(key.at, &key.text, report),
                    Kind::LooseMap(_) if !is_loose_name(&key.text) => {
                        bad_name(key.at, &key.text, report);
                    }
                    Kind::TextMap(_)
                        if key.text.is_empty()
                            || key.text.len() > luopan_kernel::id::FOREIGN_ID_BYTES_MAX =>
                    {
                        report.at(
                            key.at,
                            Code::BadName,
                            format!("a key of {} bytes", key.text.len()),
                            format!(
                                "write 1 to {} bytes",
                                luopan_kernel::id::FOREIGN_ID_BYTES_MAX
                            ),
                        );
                    }
                    _ => {}
                }
                check(value, inner, report);
            }
        }
        Kind::Object(shape) => check_object(node, shape, report),
        Kind::Tagged(shapes) => {
            let tags = || shapes.iter().filter_map(|s| s.keys.first()).map(|k| k.name);
            let Data::Map(entries) = &node.data else {
                wrong(
                    report,
                    format!("write a map with one of the keys {}", listed(tags())),
                );
                return;
            };
            let found = shapes.iter().find(|s| {
                s.keys
                    .first()
                    .is_some_and(|k| entries.iter().any(|(key, _)| key.text == k.name))
            });
            match (found, entries.first()) {
                (Some(shape), _) => check_object(node, shape, report),
                (None, first) => {
                    let (at, near) =
                        first.map_or((node.at, None), |(k, _)| (k.at, nearest(&k.text, tags())));
                    report.near(
                        at,
                        Code::MissingKey,
                        format!("here stands {}", node.described()),
                        format!("begin with one of the keys {}", listed(tags())),
                        near,
                    );
                }
            }
        }
        Kind::Any(kinds) => {
            let of_form: Vec<&&Kind> = kinds.iter().filter(|k| same_form(node, k)).collect();
            match of_form.as_slice() {
                [one] => check(node, one, report),
                [first, second, ..] => {
                    // Two scalars, such as a word or a length of time: the first that has no fault stands.
                    let before = report.faults.len();
                    check(node, first, report);
                    if report.faults.len() > before {
                        let kept = report.faults.split_off(before);
                        check(node, second, report);
                        if report.faults.len() > before {
                            // The fault with a near word says more.
                            if kept.iter().any(|f| f.nearest.is_some()) {
                                report.faults.truncate(before);
                                report.faults.extend(kept);
                            }
                        }
                    }
                }
                [] => wrong(
                    report,
                    format!(
                        "write {}",
                        kinds
                            .iter()
                            .map(|k| described(k))
                            .collect::<Vec<_>>()
                            .join(" or ")
                    ),
                ),
            }
        }
    }
}

fn too_many(node: &Node, found: usize, report: &mut Reporter<'_>) {
    if found > ENTRIES_MAX {
        report.at(
            node.at,
            Code::Limit,
            format!("{found} entries"),
            format!("write at most {ENTRIES_MAX} here; bring more in by an import"),
        );
    }
}

fn bad_name(at: At, name: &str, report: &mut Reporter<'_>) {
    let found = if RESERVED.contains(&name) {
        format!("`{name}` is a word that expressions keep for themselves")
    } else {
        format!("`{}` is not a name", shown(name))
    };
    report.at(
        at,
        Code::BadName,
        found,
        format!("write letters a to z, digits and `_`, not beginning with a digit, at most {NAME_BYTES_MAX}"),
    );
}

fn same_form(node: &Node, kind: &Kind) -> bool {
    match kind {
        Kind::List(..) => matches!(node.data, Data::List(_)),
        Kind::Map(_) | Kind::LooseMap(_) | Kind::TextMap(_) | Kind::Object(_) | Kind::Tagged(_) => {
            matches!(node.data, Data::Map(_))
        }
        Kind::Any(kinds) => kinds.iter().any(|k| same_form(node, k)),
        _ => matches!(node.data, Data::Scalar { .. }),
    }
}

fn described(kind: &Kind) -> String {
    match kind {
        Kind::List(..) => "a list".into(),
        Kind::Map(_) | Kind::LooseMap(_) | Kind::TextMap(_) | Kind::Tagged(_) => "a map".into(),
        Kind::Object(s) => format!(
            "a map with the keys {}",
            listed(s.keys.iter().map(|k| k.name))
        ),
        Kind::Cel => "a cel expression".into(),
        Kind::Choice(words) => format!("one of {}", listed(words.iter().map(|w| w.0))),
        _ => "one value".into(),
    }
}

fn check_object(node: &Node, shape: &'static Shape, report: &mut Reporter<'_>) {
    let Data::Map(entries) = &node.data else {
        report.at(
            node.at,
            Code::WrongType,
            format!("here stands {}", node.described()),
            format!(
                "write a map with the keys {}",
                listed(shape.keys.iter().map(|k| k.name))
            ),
        );
        return;
    };
    let mut meant: Vec<String> = Vec::new();
    for (key, value) in entries {
        match shape.keys.iter().find(|k| k.name == key.text) {
            Some(rule) => {
                if !value.is_null() {
                    check(value, rule.kind, report);
                }
            }
            None => meant.extend(unknown_key(key, shape, report)),
        }
    }
    if shape.unless.is_some_and(|k| node.get(k).is_some()) {
        return;
    }
    for rule in shape.keys.iter().filter(|k| k.required) {
        // A mistyped key was reported as such: it is there, by another name.
        if node.get(rule.name).is_none() && !meant.iter().any(|m| m == rule.name) {
            report.at(
                node.at,
                Code::MissingKey,
                format!("this {} has no `{}`", shape.name, rule.name),
                format!("write `{}`: {}", rule.name, rule.doc),
            );
        }
    }
}

fn article(name: &str) -> String {
    let vowel = name.starts_with(['a', 'e', 'i', 'o', 'u']) && !name.starts_with("use");
    format!("{} {name}", if vowel { "an" } else { "a" })
}

/// Reports a key that does not belong here and gives the one that was likely meant.
fn unknown_key(key: &Key, shape: &Shape, report: &mut Reporter<'_>) -> Option<String> {
    let near = nearest(&key.text, shape.keys.iter().map(|k| k.name));
    report.near(
        key.at,
        Code::UnknownKey,
        format!("{} has no key `{}`", article(shape.name), shown(&key.text)),
        format!("its keys are {}", listed(shape.keys.iter().map(|k| k.name))),
        near.clone(),
    );
    near
}

/// Words of other systems for what is meant here.
fn other_word(text: &str) -> Option<&'static str> {
    Some(match text.to_lowercase().as_str() {
        "bool" => "boolean",
        "int" | "bigint" | "long" | "int64" => "integer",
        "float" | "double" | "decimal" | "real" | "numeric" => "number",
        "string" | "str" | "varchar" | "char" => "text",
        "date" | "datetime" | "timestamp" => "time",
        "gbk" | "gb2312" | "cp936" => "gb18030",
        "ascii" | "us-ascii" | "utf-8-sig" | "utf8mb4" => "utf-8",
        "json" | "ndjson" => "jsonl",
        "average" | "avg" => "mean",
        _ => return None,
    })
}
