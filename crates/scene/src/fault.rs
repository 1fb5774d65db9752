//! Faults: everything that is wrong with a pack, each with its place, what was found, what to write instead and the
//! nearest right word. A fault is a value; nothing here prints, and finding one never stops the search for the next.

use serde::Serialize;
use std::fmt;

/// The kind of a fault. The word is stable: programs and pages may depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// The file is not YAML that this program reads.
    Yaml,
    /// A file, text, list or number of things is larger than its named limit.
    Limit,
    /// A key that does not belong here.
    UnknownKey,
    /// A key that must be here is not.
    MissingKey,
    /// Text where a number belongs, a list where a map belongs, and the like.
    WrongType,
    /// The right type with a value outside what is allowed.
    OutOfRange,
    /// A name that nothing declares.
    UnknownName,
    /// A name declared twice.
    DuplicateName,
    /// A name that is not written as names are.
    BadName,
    /// A length of time, currency or zone that is not known.
    UnknownUnit,
    /// CEL that cannot be read.
    ExpressionSyntax,
    /// CEL whose types do not fit.
    ExpressionType,
    /// CEL outside the documented subset.
    ExpressionUnsupported,
    /// A name that exists but cannot be read in this place.
    NotHere,
    /// A feature on a field that is declared not to be one.
    NotAFeature,
    /// Derived tags or policies that need each other.
    Cycle,
    /// Two declarations that contradict each other.
    Conflict,
}

impl Code {
    /// The stable word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Yaml => "yaml",
            Self::Limit => "limit",
            Self::UnknownKey => "unknown_key",
            Self::MissingKey => "missing_key",
            Self::WrongType => "wrong_type",
            Self::OutOfRange => "out_of_range",
            Self::UnknownName => "unknown_name",
            Self::DuplicateName => "duplicate_name",
            Self::BadName => "bad_name",
            Self::UnknownUnit => "unknown_unit",
            Self::ExpressionSyntax => "expression_syntax",
            Self::ExpressionType => "expression_type",
            Self::ExpressionUnsupported => "expression_unsupported",
            Self::NotHere => "not_here",
            Self::NotAFeature => "not_a_feature",
            Self::Cycle => "cycle",
            Self::Conflict => "conflict",
        }
    }
}

/// One fault of a pack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// Path of the file within the pack.
    pub file: String,
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
    /// Kind.
    pub code: Code,
    /// What was found.
    pub found: String,
    /// What to write instead.
    pub write: String,
    /// The nearest right word, when one is near.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nearest: Option<String>,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}:{}:{}: {}: {}",
            self.file,
            self.line,
            self.column,
            self.code.word(),
            self.found
        )?;
        if let Some(near) = &self.nearest {
            write!(f, "; did you mean `{near}`?")?;
        }
        if !self.write.is_empty() {
            write!(f, "; {}", self.write)?;
        }
        Ok(())
    }
}

impl std::error::Error for Fault {}

/// The word of `known` nearest to `found`: at most a third of its letters wrong; letter case and the signs between letters
/// cost nothing.
pub fn nearest<'a>(found: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let wanted: String = found.chars().take(128).collect::<String>().to_lowercase();
    let bare = |text: &str| {
        text.chars()
            .filter(|c| c.is_alphanumeric())
            .collect::<String>()
    };
    let allowed = (wanted.chars().count() / 3).max(1);
    known
        .into_iter()
        .map(|k| {
            let word = k.to_lowercase();
            let plain = strsim::damerau_levenshtein(&wanted, &word);
            let (left, right) = (bare(&wanted), bare(&word));
            let letters = if left.is_empty() || right.is_empty() {
                plain
            } else {
                strsim::damerau_levenshtein(&left, &right)
            };
            (plain.min(letters), plain, k)
        })
        .filter(|(d, ..)| *d <= allowed)
        .min()
        .map(|(.., k)| k.to_owned())
}

/// A list of words for a message: the first few and how many more there are.
pub(crate) fn listed<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    const SHOWN: usize = 12;
    let all: Vec<&str> = words.into_iter().collect();
    let mut out = all
        .iter()
        .take(SHOWN)
        .map(|w| format!("`{w}`"))
        .collect::<Vec<_>>()
        .join(", ");
    if all.len() > SHOWN {
        out.push_str(&format!(" and {} more", all.len() - SHOWN));
    }
    out
}

/// Text as quoted in a message: short, on one line.
pub(crate) fn shown(text: &str) -> String {
    const SHOWN: usize = 60;
    let mut out: String = text
        .chars()
        .take(SHOWN)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if text.chars().count() > SHOWN {
        out.push('…');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_near() {
        let words = ["recency", "history", "channel"];
        assert_eq!(nearest("recncy", words).as_deref(), Some("recency"));
        assert_eq!(nearest("Chanel", words).as_deref(), Some("channel"));
        assert_eq!(nearest("balance", words), None);
        assert_eq!(nearest("", words), None);
        let encodings = ["auto", "utf-8", "gb18030"];
        assert_eq!(nearest("utf8x", encodings).as_deref(), Some("utf-8"));
        assert_eq!(nearest("zip", encodings), None);
    }
}
