//! A statement over arrays, and the two ways in which it reaches the server: alone, with its parameters as bytes; or, when it is small,
//! under the name that a connection keeps it by, with its parameters written out, so that it shares one message and one answer
//! with the statements before and behind it.
//!
//! What is written out are numbers and hexadecimal digits alone; no text of a caller ever becomes part of a statement.

use sqlx::AssertSqlSafe;
use sqlx::postgres::PgArguments;
use sqlx::query::Query;
use std::fmt::Write;
use std::sync::Arc;

/// Most bytes of a statement's parameters that are written out: digits take twice as many.
pub const SAID_BYTES_MAX: usize = 256 << 10;

/// A parameter: one array.
#[derive(Debug)]
pub(crate) enum Argument<'a> {
    Ints(Vec<i32>),
    Longs(Vec<i64>),
    Bytes(Vec<&'a [u8]>),
    Shorts(Vec<[u8; 16]>),
}

/// A statement with its parameters.
#[derive(Debug)]
pub(crate) struct Statement<'a> {
    /// It names its parameters `$1`, `$2`, each cast to the type of its array.
    pub(crate) text: Arc<str>,
    pub(crate) arguments: Vec<Argument<'a>>,
}

impl Argument<'_> {
    fn bytes(&self) -> usize {
        match self {
            Self::Ints(all) => 4 * all.len(),
            Self::Longs(all) => 8 * all.len(),
            Self::Bytes(all) => all.iter().map(|b| b.len() + 4).sum(),
            Self::Shorts(all) => 20 * all.len(),
        }
    }

    fn say(&self, out: &mut String) {
        out.push_str("'{");
        match self {
            Self::Ints(all) => numbers(out, all.iter().map(|n| i64::from(*n))),
            Self::Longs(all) => numbers(out, all.iter().copied()),
            Self::Bytes(all) => digits(out, all.iter().copied()),
            Self::Shorts(all) => digits(out, all.iter().map(|short| &short[..])),
        }
        out.push_str("}'");
    }
}

fn numbers(out: &mut String, all: impl Iterator<Item = i64>) {
    for (i, n) in all.enumerate() {
        let _ = write!(out, "{}{n}", if i == 0 { "" } else { "," });
    }
}

/// Elements of `bytea` as they stand within an array, whose own backslashes are doubled.
fn digits<'b>(out: &mut String, all: impl Iterator<Item = &'b [u8]>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for (i, bytes) in all.enumerate() {
        out.push_str(if i == 0 { r#""\\x"# } else { r#","\\x"# });
        out.reserve(2 * bytes.len() + 1);
        for byte in bytes {
            out.push(char::from(DIGITS[usize::from(byte >> 4)]));
            out.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
        out.push('"');
    }
}

impl Statement<'_> {
    /// True when it may be written out.
    pub(crate) fn is_small(&self) -> bool {
        self.arguments.iter().map(Argument::bytes).sum::<usize>() <= SAID_BYTES_MAX
    }

    /// What has it run that the connection keeps under this name.
    pub(crate) fn said(&self, name: &str) -> String {
        let mut out = format!("EXECUTE {name}(");
        for (i, argument) in self.arguments.iter().enumerate() {
            if i > 0 {
                out.push_str(", ");
            }
            argument.say(&mut out);
        }
        out.push(')');
        out
    }

    /// It alone, with its parameters as bytes.
    pub(crate) fn query(self) -> Query<'static, sqlx::Postgres, PgArguments> {
        // The text holds names and numbers of this room alone.
        let mut query = sqlx::query(AssertSqlSafe(self.text));
        for argument in self.arguments {
            query = match argument {
                Argument::Ints(all) => query.bind(all),
                Argument::Longs(all) => query.bind(all),
                Argument::Bytes(all) => query.bind(all),
                Argument::Shorts(all) => query.bind(all),
            };
        }
        query
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_written_as_numbers_and_digits() {
        let statement = Statement {
            text: "SELECT 1".into(),
            arguments: vec![
                Argument::Ints(vec![1, -2]),
                Argument::Longs(vec![i64::MIN]),
                Argument::Bytes(vec![b"", b"'\\\"", &[0, 255]]),
                Argument::Shorts(vec![[0xab; 16]]),
                Argument::Bytes(Vec::new()),
            ],
        };
        let ab = "ab".repeat(16);
        assert_eq!(
            statement.said("s7"),
            format!(
                "EXECUTE s7('{{1,-2}}', '{{-9223372036854775808}}', '{{\"\\\\x\",\"\\\\x275c22\",\"\\\\x00ff\"}}', '{{\"\\\\x{ab}\"}}', '{{}}')"
            )
        );
        assert!(statement.is_small());
        let large = vec![7; SAID_BYTES_MAX];
        let large = Statement {
            text: "SELECT 1".into(),
            arguments: vec![Argument::Bytes(vec![&large])],
        };
        assert!(!large.is_small());
    }
}
