//! Rules in the language of scenes: a segment's condition, true for exactly the rows that the rules hold.

use luopan_kernel::money::{decimal, minor_digits};

use super::{Condition, Error, Kind, Rules, Settings, TEXT_BYTES_MAX};

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

impl Rules {
    /// The rules as a segment of a scene, whose tags have the names of the columns and the kinds of the settings that they were found by.
    ///
    /// # Errors
    /// A name that is none in CEL, a currency that is not known, a rule of more than [`TEXT_BYTES_MAX`] bytes.
    pub fn to_rule(&self, settings: &Settings) -> Result<String, Error> {
        let mut rules = Vec::new();
        for rule in &self.rules {
            let conditions = (rule.conditions.iter())
                .map(|condition| written(condition, settings.kind(condition.column())))
                .collect::<Result<Vec<_>, _>>()?;
            let joined = conditions.join(" && ");
            rules.push(if self.rules.len() > 1 && conditions.len() > 1 {
                format!("({joined})")
            } else {
                joined
            });
        }
        let text = rules.join(" || ");
        if text.len() > TEXT_BYTES_MAX {
            return Err(Error::Unwritable {
                what: format!("a rule of {} bytes", text.len()),
                wanted: "a scene takes 4,096: seek fewer rules, conditions or words",
            });
        }
        Ok(text)
    }
}

fn written(condition: &Condition, kind: &Kind) -> Result<String, Error> {
    let name = condition.column();
    let is_name = |part: &str| {
        let mut bytes = part.bytes();
        bytes
            .next()
            .is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
            && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
            && !RESERVED.contains(&part)
    };
    if !name.split('.').all(is_name) {
        return Err(Error::Unwritable {
            what: format!("the column {name:?}"),
            wanted: "call it as the tag is called, by letters, digits and _, or exclude it",
        });
    }
    Ok(match condition {
        Condition::Below { .. } if *kind == Kind::Boolean => format!("!{name}"),
        Condition::AtLeast { .. } if *kind == Kind::Boolean => name.to_owned(),
        Condition::Below { cut, .. } => format!("{name} < {}", constant(*cut, kind)?),
        Condition::AtLeast { cut, .. } => format!("{name} >= {}", constant(*cut, kind)?),
        Condition::OneOf { words, .. } => match &words[..] {
            [word] => format!("{name} == {}", quoted(word)),
            words => format!("{name} in {}", list(words)),
        },
        Condition::NoneOf { words, .. } => match &words[..] {
            [word] => format!("{name} != {}", quoted(word)),
            words => format!("!({name} in {})", list(words)),
        },
        Condition::Known { .. } => format!("known({name})"),
        Condition::Missing { .. } => format!("!known({name})"),
    })
}

fn constant(cut: f64, kind: &Kind) -> Result<String, Error> {
    Ok(match kind {
        Kind::Number | Kind::Boolean if cut.abs() < 1e15 => cut.to_string(),
        Kind::Number | Kind::Boolean => format!("{cut:?}"),
        Kind::Duration => format!("duration(\"{}\")", length(cut as i64)),
        Kind::Money(currency) => {
            let digits = minor_digits(currency).ok_or_else(|| Error::Unwritable {
                what: format!("an amount of {currency:?}"),
                wanted: "write an ISO 4217 code, such as CNY",
            })?;
            format!("money(\"{}\", \"{currency}\")", decimal(cut as i64, digits))
        }
    })
}

/// A length of time, largest unit first.
fn length(us: i64) -> String {
    let mut rest = us.unsigned_abs() / 1_000_000;
    let mut out = String::new();
    for (unit, seconds) in [("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)] {
        if rest >= seconds {
            out += &format!("{}{unit}", rest / seconds);
            rest %= seconds;
        }
    }
    if out.is_empty() {
        out += "0s";
    }
    if us < 0 { format!("-{out}") } else { out }
}

fn list(words: &[String]) -> String {
    let all: Vec<String> = words.iter().map(|word| quoted(word)).collect();
    format!("[{}]", all.join(", "))
}

/// A text in CEL's double quotes.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out += "\\\"",
            '\\' => out += "\\\\",
            '\n' => out += "\\n",
            '\r' => out += "\\r",
            '\t' => out += "\\t",
            c if c.is_control() => out += &format!("\\u{:04x}", c as u32),
            c => out.push(c),
        }
    }
    out + "\""
}
