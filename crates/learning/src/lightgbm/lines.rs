//! The lines of a text model: a header and one section a tree, each of lines `key=value`. This room must never know what a key
//! means.

use super::Error;

/// A fault at a line.
pub(super) fn fault(line: usize, why: impl Into<String>) -> Error {
    Error::Line {
        line,
        why: why.into(),
    }
}

/// The lines of the header, or of one tree.
pub(super) struct Section<'a> {
    /// Line of its head.
    pub(super) line: usize,
    /// What the head says: nothing for the header, else the tree's number.
    pub(super) head: &'a str,
    pairs: Vec<(usize, &'a str, &'a str)>,
}

/// Cuts a text into its header and its trees. What stands behind `end of trees` is not read.
pub(super) fn sections(text: &str) -> Result<Vec<Section<'_>>, Error> {
    let mut sections: Vec<Section<'_>> = Vec::new();
    let mut last = 0;
    for (at, line) in text.lines().enumerate() {
        let number = at + 1;
        last = number;
        let line = line.trim_end();
        if line.is_empty() {
            continue;
        }
        if sections.is_empty() {
            if line != "tree" {
                return Err(fault(
                    number,
                    format!("{:?} where a model begins with a line `tree`", cut(line)),
                ));
            }
            sections.push(Section::at(number, ""));
            continue;
        }
        if line == "end of trees" {
            return Ok(sections);
        }
        let (key, value) = match line.split_once('=') {
            Some(pair) => pair,
            // The one key that is told without a value.
            None if line == "average_output" => (line, ""),
            None => {
                return Err(fault(
                    number,
                    format!("{:?} where `key=value` is wanted", cut(line)),
                ));
            }
        };
        if key == "Tree" {
            sections.push(Section::at(number, value));
        } else if let Some(section) = sections.last_mut() {
            if let Some((before, _)) = section.get(key) {
                return Err(fault(
                    number,
                    format!("`{}` again: it stands in line {before} already", cut(key)),
                ));
            }
            section.pairs.push((number, key, value));
        }
    }
    Err(fault(
        last,
        "the text ends without `end of trees`: it was cut off",
    ))
}

impl<'a> Section<'a> {
    fn at(line: usize, head: &'a str) -> Self {
        Self {
            line,
            head,
            pairs: Vec::new(),
        }
    }

    /// Line and value of `key`, where it stands here.
    pub(super) fn get(&self, key: &str) -> Option<(usize, &'a str)> {
        self.pairs
            .iter()
            .find(|(_, found, _)| *found == key)
            .map(|(line, _, value)| (*line, *value))
    }

    /// Refuses keys that are not among `known`: each might change what is predicted.
    pub(super) fn only(&self, known: &[&str]) -> Result<(), Error> {
        match self.pairs.iter().find(|(_, key, _)| !known.contains(key)) {
            None => Ok(()),
            Some((line, key, _)) => Err(fault(
                *line,
                format!(
                    "`{}` is not known here: there are {}",
                    cut(key),
                    known.join(", ")
                ),
            )),
        }
    }

    /// Line and value of `key`.
    pub(super) fn text(&self, key: &str) -> Result<(usize, &'a str), Error> {
        self.get(key).ok_or_else(|| {
            fault(
                self.line,
                format!("`{key}=` is missing in what begins here"),
            )
        })
    }

    /// Line and value of `key`, a whole number from zero on.
    pub(super) fn whole(&self, key: &str) -> Result<(usize, usize), Error> {
        let (line, value) = self.text(key)?;
        match value.parse() {
            Ok(number) => Ok((line, number)),
            Err(_) => Err(fault(
                line,
                format!("{key}={:?} where a whole number is wanted", cut(value)),
            )),
        }
    }

    /// Line and values of `key`, exactly `wanted` of them; `unit` says of what.
    pub(super) fn list<T: std::str::FromStr>(
        &self,
        key: &str,
        wanted: usize,
        unit: &str,
    ) -> Result<(usize, Vec<T>), Error> {
        let (line, text) = self.text(key)?;
        let found = text.split_ascii_whitespace().count();
        if found != wanted {
            return Err(fault(
                line,
                format!("{key} has {found} values, wanted are {wanted}: {unit}"),
            ));
        }
        let values = text
            .split_ascii_whitespace()
            .enumerate()
            .map(|(at, value)| {
                value.parse().map_err(|_| {
                    fault(
                        line,
                        format!(
                            "value {} of {key} is {:?}: no number of its kind",
                            at + 1,
                            cut(value)
                        ),
                    )
                })
            })
            .collect::<Result<_, _>>()?;
        Ok((line, values))
    }
}

/// The first letters of what was found, for a message.
pub(super) fn cut(found: &str) -> String {
    const LETTERS: usize = 60;
    match found.char_indices().nth(LETTERS) {
        None => found.to_owned(),
        Some((end, _)) => format!("{}...", &found[..end]),
    }
}
