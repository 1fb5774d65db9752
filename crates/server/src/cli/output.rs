//! Answers of commands on standard output and refusals on standard error. Nothing else in the program prints.

use super::Format;
use crate::problem::{Problem, Result};
use luopan_scene::unit;
use serde::Serialize;
use std::fmt::Write as _;
use std::io::{ErrorKind, Write as _};

/// What a command says.
#[derive(Debug)]
pub(super) struct Said {
    json: serde_json::Value,
    text: String,
    agrees: bool,
}

impl Said {
    /// An answer for programs and for people.
    pub(super) fn new(json: &impl Serialize, text: impl Into<String>) -> Result<Self> {
        let json = serde_json::to_value(json)
            .map_err(|e| Problem::internal(format!("writing the answer failed: {e}")))?;
        Ok(Self {
            json,
            text: text.into(),
            agrees: true,
        })
    }

    /// Nothing more to say.
    pub(super) fn nothing() -> Self {
        Self {
            json: serde_json::Value::Null,
            text: String::new(),
            agrees: true,
        }
    }

    /// JSON text as it is.
    pub(super) fn raw(text: String) -> Self {
        Self {
            json: serde_json::Value::Null,
            text,
            agrees: true,
        }
    }

    /// The answer is a no when `agrees` is false: it is printed, and the exit code says so.
    pub(super) fn unless(mut self, agrees: bool) -> Self {
        self.agrees = agrees;
        self
    }

    pub(super) fn agrees(&self) -> bool {
        self.agrees
    }

    pub(super) fn print(&self, format: Format) -> Result<()> {
        match format {
            Format::Json if !self.json.is_null() => line(&self.json.to_string()),
            _ if self.text.is_empty() => Ok(()),
            _ => line(self.text.trim_end_matches('\n')),
        }
    }
}

/// Writes a line to standard output. A reader that went away is no fault.
pub(super) fn line(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Err(e) if e.kind() != ErrorKind::BrokenPipe => Err(Problem::new(
            "file_unreadable",
            format!("standard output cannot be written: {e}"),
        )),
        _ => Ok(()),
    }
}

/// An amount for people, with its currency where it is known.
pub(super) fn amount(currency: Option<&str>, value: &serde_json::Value) -> String {
    match (value.as_i64(), currency) {
        (Some(minor), Some(currency)) => unit::minor_digits(currency).map_or_else(
            || format!("{minor} minor units of {currency}"),
            |digits| format!("{} {currency}", unit::decimal(minor, digits)),
        ),
        // A mean need not be whole minor units.
        (_, Some(currency)) => format!("{value} minor units of {currency}"),
        (_, None) => format!("{value} minor units"),
    }
}

/// Writes a refusal to standard error.
pub(super) fn error(format: Format, problem: &Problem) {
    let text = match format {
        Format::Json => serde_json::to_string(problem).unwrap_or_else(|_| problem.detail.clone()),
        Format::Text => format!("luopan: {}", problem.detail),
    };
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Columns under their heads, each as wide as its widest cell; numbers are not told from words.
pub(super) fn table(heads: &[&str], rows: &[Vec<String>]) -> String {
    let width = |text: &str| {
        text.chars()
            .map(|c| if c.is_ascii() { 1 } else { 2 })
            .sum::<usize>()
    };
    let mut widths: Vec<usize> = heads.iter().map(|h| width(h)).collect();
    for row in rows {
        for (i, cell) in row.iter().enumerate().take(widths.len()) {
            widths[i] = widths[i].max(width(cell));
        }
    }
    let mut out = String::new();
    let heads: Vec<String> = heads.iter().map(|h| (*h).to_owned()).collect();
    for row in std::iter::once(&heads).chain(rows) {
        let mut written = String::new();
        for (cell, wide) in row.iter().zip(&widths) {
            let gap = " ".repeat(wide - width(cell) + 2);
            let _ = write!(written, "{cell}{gap}");
        }
        let _ = writeln!(out, "{}", written.trim_end());
    }
    out
}
