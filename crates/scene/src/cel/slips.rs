//! Slips of those who write rules as other languages do: `=`, `&`, `and`, `<>`, `30d`, full-width signs. They are looked for
//! only in a text that the parser refused, and each is answered with what to write; nothing of the parser's own words is
//! passed on.

use super::{CelFault, fault};
use crate::fault::{Code, shown};
use crate::unit;

/// Most slips that are told of one expression.
const SLIPS_MAX: usize = 8;

/// The slips of a refused text, in order; empty when none is known.
pub(super) fn slips(source: &str) -> Vec<CelFault> {
    let mut reader = Reader {
        source,
        chars: source.char_indices().collect(),
        at: 0,
        open: Vec::new(),
        found: Vec::new(),
    };
    reader.read();
    let mut found = reader.found;
    if found.is_empty() {
        // Brackets are counted only where every sign was understood.
        if let Some((offset, sign)) = reader.open.pop() {
            found.push(slip(
                offset,
                format!("a `{sign}` that is not closed"),
                "close it, or take it away",
            ));
        }
    }
    found.truncate(SLIPS_MAX);
    found
}

fn slip(offset: usize, found: impl Into<String>, write: impl Into<String>) -> CelFault {
    fault(offset, Code::ExpressionSyntax, found, write)
}

struct Reader<'s> {
    source: &'s str,
    chars: Vec<(usize, char)>,
    at: usize,
    open: Vec<(usize, char)>,
    found: Vec<CelFault>,
}

impl Reader<'_> {
    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).map(|(_, c)| *c)
    }

    fn offset(&self, at: usize) -> usize {
        self.chars.get(at).map_or(self.source.len(), |(o, _)| *o)
    }

    /// The next sign that is no space, from `at` on.
    fn solid(&self, at: usize) -> Option<char> {
        self.chars[at.min(self.chars.len())..]
            .iter()
            .map(|(_, c)| *c)
            .find(|c| !c.is_whitespace())
    }

    fn tell(&mut self, offset: usize, found: impl Into<String>, write: impl Into<String>) {
        self.found.push(slip(offset, found, write));
    }

    fn read(&mut self) {
        while let Some(c) = self.peek(0) {
            let offset = self.offset(self.at);
            match c {
                '"' | '\'' => {
                    if !self.quoted(c) {
                        self.tell(
                            offset,
                            format!("a quote `{c}` that is not closed"),
                            "close it: `\"text\"`",
                        );
                        return;
                    }
                    continue;
                }
                '/' if self.peek(1) == Some('/') => {
                    while self.peek(0).is_some_and(|c| c != '\n') {
                        self.at += 1;
                    }
                    continue;
                }
                '=' | '<' | '>' | '!' | '&' | '|' | '~' | '^' | ':' => {
                    self.operator();
                    continue;
                }
                c if c.is_alphanumeric() || c == '_' => {
                    self.word();
                    continue;
                }
                '(' | '[' | '{' => self.open.push((offset, c)),
                ')' | ']' | '}' => {
                    let wanted = match c {
                        ')' => '(',
                        ']' => '[',
                        _ => '{',
                    };
                    match self.open.pop() {
                        Some((_, sign)) if sign == wanted => {}
                        Some((at, sign)) => self.tell(
                            at,
                            format!("a `{sign}` that is closed by `{c}`"),
                            "close each bracket with its own kind",
                        ),
                        None => self.tell(
                            offset,
                            format!("a `{c}` that nothing opens"),
                            "open it, or take it away",
                        ),
                    }
                }
                ';' => self.tell(offset, "a `;`", "write one expression, without `;`"),
                '#' => self.tell(
                    offset,
                    "a `#`",
                    "write a comment of the file outside the expression",
                ),
                '@' | '`' | '\\' => self.tell(
                    offset,
                    format!("`{c}` is not a sign of expressions"),
                    "write names as they are declared, and text in quotes",
                ),
                '$' | '¥' | '￥' | '€' | '£' => self.tell(
                    offset,
                    format!("`{c}` is not a sign of expressions"),
                    "write an amount as `money(\"12.50\", \"CNY\")`, and a name as it is declared",
                ),
                '%' if self.is_percent() => self.tell(
                    offset,
                    "`%` after a number",
                    "write a share as a number: `0.05`",
                ),
                '\u{a0}' | '\u{3000}' | '\u{200b}' | '\u{feff}' => self.tell(
                    offset,
                    "a space of another kind, which looks like a plain one or like none",
                    "write a plain space, or nothing",
                ),
                c => {
                    if let Some(plain) = plain_sign(c) {
                        self.tell(
                            offset,
                            format!("`{c}` is not a sign of expressions"),
                            format!("write `{plain}`"),
                        );
                    }
                }
            }
            self.at += 1;
        }
    }

    /// Passes over a text in quotes; false when it does not end.
    fn quoted(&mut self, quote: char) -> bool {
        self.at += 1;
        while let Some(c) = self.peek(0) {
            self.at += if c == '\\' { 2 } else { 1 };
            if c == quote {
                return true;
            }
        }
        false
    }

    /// `5%` with nothing behind it that could be divided by.
    fn is_percent(&self) -> bool {
        let before = self.at.checked_sub(1).and_then(|i| self.chars.get(i));
        before.is_some_and(|(_, c)| c.is_ascii_digit())
            && self.solid(self.at + 1).is_none_or(|c| {
                matches!(c, ')' | '&' | '|' | '<' | '>' | '=' | '!' | '?' | ':' | ',')
            })
    }

    fn operator(&mut self) {
        let offset = self.offset(self.at);
        let mut run = String::new();
        while let Some(c) = self
            .peek(0)
            .filter(|c| matches!(c, '=' | '<' | '>' | '!' | '&' | '|' | '~' | '^' | ':'))
        {
            run.push(c);
            self.at += 1;
        }
        let write = match run.as_str() {
            "=" | "===" | ":=" => "write `==` to compare",
            "=<" => "write `<=`",
            "=>" => "write `>=`",
            "<>" | "!==" | "=!" | "^=" | "~=" => "write `!=`",
            "&" | "&!" => "write `&&`",
            "|" | "|!" => "write `||`",
            "=~" | "!~" | "~" => {
                "there are no regular expressions; write `x.startsWith(\"a\")`, `x.contains(\"a\")` or `x in [\"a\", \"b\"]`"
            }
            "^" => {
                "there is no such operator; write `x * x` for a square, and `a != b` for either or"
            }
            _ => return,
        };
        let sign = match run.as_str() {
            "&!" => "&",
            "|!" => "|",
            other => other,
        };
        let found = match sign {
            "=" | "&" | "|" => format!("a single `{sign}`"),
            other => format!("`{other}` is not an operator here"),
        };
        self.tell(offset, found, write);
    }

    fn word(&mut self) {
        let from = self.at;
        while self
            .peek(0)
            .is_some_and(|c| c.is_alphanumeric() || c == '_')
        {
            self.at += 1;
        }
        let offset = self.offset(from);
        let word = &self.source[offset..self.offset(self.at)];
        let part = from > 0 && self.chars.get(from - 1).is_some_and(|(_, c)| *c == '.');
        if part {
            return;
        }
        let next = self.solid(self.at);
        let called = next == Some('(');
        if word.starts_with(|c: char| c.is_ascii_digit()) {
            if unit::duration(word).is_ok() {
                let write = format!("write a length of time as `duration(\"{word}\")`");
                self.tell(offset, format!("`{word}` stands without quotes"), write);
            }
            return;
        }
        let rest = self.source[self.offset(self.at)..].trim_start();
        let write = match word.to_lowercase().as_str() {
            "and" => "write `&&`",
            "or" => "write `||`",
            "not" if rest.to_lowercase().starts_with("in") => "write `!(x in [\"a\", \"b\"])`",
            "not" => "write `!`, as in `!(a && b)`",
            "is" => "write `==`; to ask whether it is known write `known(x)` or `!known(x)`",
            "like" if !called => {
                "write `x.startsWith(\"a\")`, `x.endsWith(\"a\")` or `x.contains(\"a\")`"
            }
            "between" => "write `x >= 1 && x <= 9`",
            "if" | "then" | "else" | "elif" | "elseif" => "write `condition ? value : other`",
            "contains" | "startswith" | "endswith" if !called => "write `x.contains(\"a\")`",
            "in" if called
                && rest
                    .split(')')
                    .next()
                    .is_some_and(|inner| inner.contains(',')) =>
            {
                "write the list in square brackets: `x in [\"a\", \"b\"]`"
            }
            _ => return,
        };
        let found = if word == "in" {
            "`in` before round brackets".to_owned()
        } else {
            format!("`{}` is not a word of expressions", shown(word))
        };
        self.tell(offset, found, write);
    }
}

/// What is meant by a sign of another keyboard.
fn plain_sign(c: char) -> Option<&'static str> {
    Some(match c {
        '（' => "(",
        '）' => ")",
        '［' | '【' => "[",
        '］' | '】' => "]",
        '，' | '、' => ",",
        '．' | '。' => ".",
        '：' => ":",
        '？' => "?",
        '＝' => "==",
        '＞' => ">",
        '＜' => "<",
        '！' => "!",
        '＆' => "&&",
        '｜' => "||",
        '≥' | '⩾' => ">=",
        '≤' | '⩽' => "<=",
        '≠' => "!=",
        '×' | '＊' => "*",
        '÷' | '／' => "/",
        '＋' => "+",
        '–' | '—' | '−' | '－' => "-",
        '∧' => "&&",
        '∨' => "||",
        '¬' => "!",
        '“' | '”' | '„' | '‘' | '’' | '«' | '»' | '「' | '」' | '＂' | '＇' => "\"",
        _ => return None,
    })
}

/// The parser's own message, said anew.
pub(super) fn said(source: &str, message: &str, offset: usize) -> CelFault {
    let quoted = || {
        let (_, after) = message.split_once('\'')?;
        let inner = after.rsplit_once('\'').map_or(after, |(inner, _)| inner);
        let inner = inner.split("' expecting").next().unwrap_or(inner).trim();
        (!inner.is_empty()).then(|| shown(inner))
    };
    let mend = "mend the expression here";
    if message.contains("has() macro") {
        return has(source, offset);
    }
    if message.contains("simple name") || message.contains("macro") {
        return fault(
            offset,
            Code::ExpressionUnsupported,
            "macros (all, exists, map, filter) are not part of the subset",
            "count or sum with a tag instead",
        );
    }
    if message.contains("'<EOF>'") {
        return slip(offset, "this is not an expression: it ends too soon", mend);
    }
    if let Some((_, word)) = message.split_once("reserved identifier: ") {
        return slip(
            offset,
            format!(
                "`{}` is a word that expressions keep for themselves",
                shown(word)
            ),
            "give it another name where it is declared",
        );
    }
    if message.contains("int literal") || message.contains("double literal") {
        return slip(
            offset,
            "a number that cannot be kept",
            "write an integer of at most 64 bits, or a number such as `1.5`",
        );
    }
    let text_refused = quoted().is_some_and(|t| t.starts_with(['"', '\'']))
        && message.contains("token recognition");
    if text_refused || message.contains("string literal") || message.contains("bytes literal") {
        return slip(
            offset,
            "a text with an escape that is not known",
            "write `\\\\` for a backslash and `\\\"` for a quote",
        );
    }
    let found = match quoted() {
        Some(text) if message.contains("token recognition") => {
            format!("`{text}` is not a sign of expressions")
        }
        Some(text) => format!("this is not an expression: `{text}` does not belong here"),
        None => "this is not an expression: it cannot be read from here on".to_owned(),
    };
    slip(offset, found, mend)
}

/// `has(x)` of a bare name, which the parser takes for a slip of its own macro.
fn has(source: &str, offset: usize) -> CelFault {
    let at = source[..offset.min(source.len())]
        .rfind("has")
        .or_else(|| source.find("has"))
        .unwrap_or(0);
    let inner = source[at..]
        .split_once('(')
        .and_then(|(_, after)| after.split_once(')'))
        .map_or("x", |(inner, _)| inner.trim());
    fault(
        at,
        Code::ExpressionUnsupported,
        "the macro `has` is not part of the subset",
        format!("write `known({})`", shown(inner)),
    )
}

/// What to write for a function of another language.
pub(super) fn meant_by(name: &str) -> Option<&'static str> {
    Some(match name.to_lowercase().as_str() {
        "len" | "length" | "strlen" | "char_length" => {
            "write `size(x)` for the characters of a text"
        }
        "isnull" | "is_null" | "isnone" | "isempty" | "is_empty" | "missing" | "ismissing" => {
            "write `!known(x)`"
        }
        "isnotnull" | "is_not_null" | "exists" | "defined" | "isset" | "is_known" | "isknown"
        | "present" => "write `known(x)`",
        "coalesce" | "ifnull" | "nvl" | "default" | "or_else" | "getordefault" => {
            "write `x.orElse(value)`"
        }
        "now" | "today" | "current_timestamp" | "current_date" | "getdate" => "write `env.now`",
        "not" => "write `!` before the condition",
        "and" => "write `a && b`",
        "or" => "write `a || b`",
        "if" | "iff" | "iif" | "when" | "case" => "write `condition ? value : other`",
        "like" | "ilike" | "regex" | "regexp" | "match" => {
            "there are no patterns; write `x.startsWith(\"a\")`, `x.endsWith(\"a\")` or `x.contains(\"a\")`"
        }
        "between" => "write `x >= 1 && x <= 9`",
        "days" | "hours" | "minutes" | "seconds" | "interval" => {
            "write a length of time as `duration(\"30d\")`"
        }
        "date" | "datetime" | "time" | "todate" | "to_date" => {
            "write a time as `timestamp(\"2026-11-23T09:30:00+08:00\")`"
        }
        "count" | "sum" | "avg" | "average" | "mean" | "distinct" | "first" | "last" => {
            "declare a tag with this aggregate and name the tag"
        }
        "lower" | "upper" | "tolower" | "toupper" | "lowercase" | "uppercase" | "lowerascii"
        | "trim" => {
            "texts are compared as they are; bring them to one form in the mapping, under `map`"
        }
        "int" | "integer" | "float" | "number" | "decimal" | "round" | "floor" | "ceil" => {
            "integers and numbers compare as they are; write `double(x)` for the number of an integer, money or duration"
        }
        "string" | "str" | "concat" => {
            "there is no text to be made here; compare the values themselves"
        }
        _ => return None,
    })
}
