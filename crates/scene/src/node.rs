//! YAML as a tree that remembers where every key and value stands. Anchors, aliases, tags and several documents in one file
//! are refused: a pack says things once, where they are read.

use crate::fault::{Code, Fault, shown};
use saphyr_parser::{Event, Parser, ScalarStyle, Span};

/// Deepest nesting of a file.
pub(crate) const DEPTH_MAX: usize = 32;
/// Most keys, values and list entries of a file.
pub(crate) const NODES_MAX: usize = 200_000;

/// A place in a file of the pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct At {
    /// Index of the file.
    pub(crate) file: u16,
    /// Line, from 1.
    pub(crate) line: u32,
    /// Column in characters, from 1.
    pub(crate) column: u32,
}

/// How a scalar was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// Bare: numbers, booleans and null are what they look like.
    Plain,
    /// In quotes: always text.
    Quoted,
    /// A `|` or `>` block: always text.
    Block,
}

/// What a node holds.
#[derive(Debug, Clone)]
pub(crate) enum Data {
    /// Text as written, with its style and where its characters stand in the file.
    Scalar {
        text: String,
        style: Style,
        raw: (usize, usize),
    },
    /// A sequence.
    List(Vec<Node>),
    /// A mapping; keys are scalars and differ from each other.
    Map(Vec<(Key, Node)>),
}

/// A key of a mapping.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    pub(crate) text: String,
    pub(crate) at: At,
}

/// A value and its place.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) at: At,
    pub(crate) data: Data,
}

impl Node {
    /// The value under `key` of a mapping.
    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        self.entries()
            .iter()
            .find(|(k, _)| k.text == key)
            .map(|(_, v)| v)
            .filter(|v| !v.is_null())
    }

    /// Entries of a mapping; none of anything else.
    pub(crate) fn entries(&self) -> &[(Key, Node)] {
        match &self.data {
            Data::Map(entries) => entries,
            _ => &[],
        }
    }

    /// Elements of a sequence; none of anything else.
    pub(crate) fn elements(&self) -> &[Node] {
        match &self.data {
            Data::List(nodes) => nodes,
            _ => &[],
        }
    }

    /// The characters of any scalar.
    pub(crate) fn scalar(&self) -> Option<&str> {
        match &self.data {
            Data::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    fn plain(&self) -> Option<&str> {
        match &self.data {
            Data::Scalar {
                text,
                style: Style::Plain,
                ..
            } => Some(text),
            _ => None,
        }
    }

    /// Nothing written, `null` or `~`.
    pub(crate) fn is_null(&self) -> bool {
        matches!(self.plain(), Some("" | "~" | "null" | "Null" | "NULL"))
    }

    /// A boolean of YAML 1.2: `true` or `false`.
    pub(crate) fn boolean(&self) -> Option<bool> {
        match self.plain()? {
            "true" | "True" | "TRUE" => Some(true),
            "false" | "False" | "FALSE" => Some(false),
            _ => None,
        }
    }

    /// A bare whole number.
    pub(crate) fn integer(&self) -> Option<i64> {
        self.plain()?.parse().ok()
    }

    /// A bare finite number.
    pub(crate) fn number(&self) -> Option<f64> {
        let text = self.plain()?;
        if !text
            .bytes()
            .all(|b| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.' | b'e' | b'E'))
        {
            return None;
        }
        text.parse::<f64>().ok().filter(|v| v.is_finite())
    }

    /// Text: quoted, block, or bare and not looking like anything else.
    pub(crate) fn text(&self) -> Option<&str> {
        let text = self.scalar()?;
        if self.is_null() || self.boolean().is_some() || self.number().is_some() {
            return None;
        }
        Some(text)
    }

    /// What this is, for a message.
    pub(crate) fn described(&self) -> String {
        match &self.data {
            Data::List(nodes) => format!("a list of {}", nodes.len()),
            Data::Map(entries) => match entries.first() {
                Some((key, _)) => format!("a map with the key `{}`", shown(&key.text)),
                None => "an empty map".into(),
            },
            Data::Scalar { text, .. } => {
                if self.is_null() {
                    "nothing".into()
                } else if self.boolean().is_some() {
                    format!("the boolean {text}")
                } else if self.number().is_some() {
                    format!("the number {text}")
                } else {
                    format!("the text `{}`", shown(text))
                }
            }
        }
    }
}

/// The place of character `offset` (in bytes of the scalar's value) within a scalar of `source`: value and source are
/// walked together, so quotes, escapes, indentation and folded lines do not matter.
pub(crate) fn place_within(source: &str, node: &Node, offset: usize) -> At {
    let Data::Scalar { text, style, raw } = &node.data else {
        return node.at;
    };
    let mut line = node.at.line;
    let mut column = node.at.column;
    let mut chars = source.chars().skip(raw.0).take(raw.1 - raw.0).peekable();
    let mut step = |chars: &mut std::iter::Peekable<_>| -> Option<(char, u32, u32)> {
        let c: char = Iterator::next(chars)?;
        let here = (c, line, column);
        if c == '\n' {
            line += 1;
            column = 1;
        } else {
            column += 1;
        }
        Some(here)
    };
    match style {
        // A block is told of from its header or from its first line.
        Style::Block if matches!(chars.peek(), Some('|' | '>')) => {
            while step(&mut chars).is_some_and(|(c, ..)| c != '\n') {}
        }
        Style::Block => {}
        Style::Quoted => {
            step(&mut chars);
        }
        Style::Plain => {}
    }
    let mut best = node.at;
    for (i, wanted) in text.char_indices() {
        if wanted.is_whitespace() {
            continue;
        }
        let mut found = None;
        while let Some((c, l, k)) = step(&mut chars) {
            if c == wanted {
                found = Some((l, k));
                break;
            }
        }
        let Some((l, k)) = found else { return best };
        best = At {
            file: node.at.file,
            line: l,
            column: k,
        };
        if i >= offset {
            return best;
        }
    }
    // Past the end: one after the last character.
    At {
        column: best.column + 1,
        ..best
    }
}

fn at(file: u16, span: Span) -> At {
    At {
        file,
        line: u32::try_from(span.start.line().max(1)).unwrap_or(u32::MAX),
        column: u32::try_from(span.start.col() + 1).unwrap_or(u32::MAX),
    }
}

enum Open {
    List(At, Vec<Node>),
    Map(At, Vec<(Key, Node)>, Option<Key>),
}

/// Reads one file. What can be read is returned even when there are faults.
pub(crate) fn parse(file: u16, path: &str, source: &str, faults: &mut Vec<Fault>) -> Option<Node> {
    let fault = |at: At, code: Code, found: String, write: &str| Fault {
        file: path.to_owned(),
        line: at.line,
        column: at.column,
        code,
        found,
        write: write.to_owned(),
        nearest: None,
    };
    let mut stack: Vec<Open> = Vec::new();
    let mut root: Option<Node> = None;
    let mut nodes = 0usize;
    let mut documents = 0usize;
    let mut parser = Parser::new_from_str(source);
    loop {
        let (event, span) = match parser.next_event() {
            None => break,
            Some(Ok(next)) => next,
            Some(Err(error)) => {
                let m = error.marker();
                let place = At {
                    file,
                    line: u32::try_from(m.line().max(1)).unwrap_or(u32::MAX),
                    column: u32::try_from(m.col() + 1).unwrap_or(u32::MAX),
                };
                faults.push(fault(
                    place,
                    Code::Yaml,
                    format!("this is not yaml: {}", error.info()),
                    "mend the file here; what follows was not looked at",
                ));
                return None;
            }
        };
        let place = at(file, span);
        nodes += 1;
        if nodes > NODES_MAX {
            faults.push(fault(
                place,
                Code::Limit,
                format!("the file holds more than {NODES_MAX} keys and values"),
                "divide it into several files",
            ));
            return None;
        }
        let (anchor, tagged) = match &event {
            Event::Scalar(_, _, a, t) => (*a, t.is_some()),
            Event::SequenceStart(a, t) | Event::MappingStart(a, t) => (*a, t.is_some()),
            Event::Alias(_) => (1, false),
            _ => (0, false),
        };
        if anchor != 0 || tagged {
            faults.push(fault(
                place,
                Code::Yaml,
                if tagged {
                    "a yaml tag (`!…`)".into()
                } else {
                    "a yaml anchor or alias (`&…`, `*…`)".into()
                },
                "write the value itself",
            ));
        }
        let done = match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => continue,
            Event::DocumentStart(_) => {
                documents += 1;
                if documents > 1 {
                    faults.push(fault(
                        place,
                        Code::Yaml,
                        "a second document (`---`)".into(),
                        "keep one document a file",
                    ));
                    return root;
                }
                continue;
            }
            Event::Alias(_) => Node {
                at: place,
                data: Data::Scalar {
                    text: String::new(),
                    style: Style::Plain,
                    raw: (0, 0),
                },
            },
            Event::Scalar(text, style, _, _) => Node {
                at: place,
                data: Data::Scalar {
                    text: text.into_owned(),
                    style: match style {
                        ScalarStyle::Plain => Style::Plain,
                        ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => Style::Quoted,
                        ScalarStyle::Literal | ScalarStyle::Folded => Style::Block,
                    },
                    raw: (span.start.index(), span.end.index()),
                },
            },
            Event::SequenceStart(..) | Event::MappingStart(..) => {
                if stack.len() >= DEPTH_MAX {
                    faults.push(fault(
                        place,
                        Code::Limit,
                        format!("nested deeper than {DEPTH_MAX}"),
                        "nothing in a pack is that deep",
                    ));
                    return None;
                }
                stack.push(match event {
                    Event::SequenceStart(..) => Open::List(place, Vec::new()),
                    _ => Open::Map(place, Vec::new(), None),
                });
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => match stack.pop() {
                Some(Open::List(at, list)) => Node {
                    at,
                    data: Data::List(list),
                },
                Some(Open::Map(at, entries, _)) => Node {
                    at,
                    data: Data::Map(entries),
                },
                None => continue,
            },
        };
        match stack.last_mut() {
            None => root = Some(done),
            Some(Open::List(_, list)) => list.push(done),
            Some(Open::Map(_, entries, pending)) => match pending.take() {
                Some(key) => {
                    if entries.iter().any(|(k, _)| k.text == key.text) {
                        faults.push(fault(
                            key.at,
                            Code::DuplicateName,
                            format!("the key `{}` stands here twice", shown(&key.text)),
                            "keep one of them",
                        ));
                    } else {
                        entries.push((key, done));
                    }
                }
                None => {
                    if let Data::Scalar { text, .. } = done.data {
                        *pending = Some(Key { text, at: done.at });
                    } else {
                        faults.push(fault(
                            done.at,
                            Code::Yaml,
                            "a list or map as a key".into(),
                            "keys are words",
                        ));
                        *pending = Some(Key {
                            text: String::new(),
                            at: done.at,
                        });
                    }
                }
            },
        }
    }
    root
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(source: &str, key: &str, within: &str, line: u32, column: u32) {
        let mut faults = Vec::new();
        let root = parse(0, "t.yaml", source, &mut faults).unwrap();
        assert_eq!(faults, vec![]);
        let node = root.get(key).unwrap();
        let offset = node.scalar().unwrap().find(within).unwrap();
        let place = place_within(source, node, offset);
        assert_eq!((place.line, place.column), (line, column), "{source}");
    }

    #[test]
    fn places_inside_scalars_are_found_whatever_the_style() {
        check("a: 1\nrule: x > bad", "rule", "bad", 2, 11);
        check("rule: \"x == \\\"q\\\" && bad\"", "rule", "bad", 1, 22);
        check("rule: 'x == ''q'' && bad'", "rule", "bad", 1, 22);
        check("rule: |-\n  x > 1 &&\n  bad\n", "rule", "bad", 3, 3);
        check("rule: >\n  x > 1 &&\n  bad\n", "rule", "bad", 3, 3);
        check("规则: 1\nrule: \"'中文' == bad\"", "rule", "bad", 2, 16);
    }

    #[test]
    fn duplicate_keys_anchors_and_broken_files_are_faults() {
        for (source, code) in [
            ("a: 1\na: 2", Code::DuplicateName),
            ("a: &x 1\nb: *x", Code::Yaml),
            ("a: [1, 2", Code::Yaml),
            ("a: 1\n---\nb: 2", Code::Yaml),
            ("? [a]\n: 1", Code::Yaml),
        ] {
            let mut faults = Vec::new();
            parse(0, "t.yaml", source, &mut faults);
            assert_eq!(faults.first().map(|f| f.code), Some(code), "{source}");
        }
        let mut faults = Vec::new();
        parse(0, "t.yaml", &"[".repeat(5000), &mut faults);
        assert!(!faults.is_empty());
    }
}
