//! What the victim says on its stdout, a line each: what it is about to send, and what was acknowledged. A `sent` line leaves
//! the process before the call is made, an `acknowledged` one only after the engine answered, so that whatever moment the
//! process is killed at, acknowledged ⊆ done ⊆ sent must hold.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

/// One line. Texts hold no spaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// The laws were checked at the start; what was looked at, in words.
    Checked(String),
    /// The load begins.
    Ready,
    /// A law was found broken.
    Broken(String),
    /// An event is about to be sent: id, customer, type.
    EventSent(String, String, String),
    /// The event with this id was acknowledged.
    EventTaken(String),
    /// Quarantine of a bad input was acknowledged under this id.
    Quarantined(String),
    /// A decision is about to be asked for: key, customer, policy.
    DecisionSent(String, String, String),
    /// A decision was answered: key, decision, item chosen or `-`.
    Decided(String, String, String),
    /// Identifier `.1` is about to be linked to `.0`.
    LinkSent(String, String),
    /// It was acknowledged.
    Linked(String, String),
    /// Identifier `.1` is about to be un-linked from `.0`.
    UnlinkSent(String, String),
    /// It was acknowledged.
    Unlinked(String, String),
}

impl Line {
    /// The line as written, with its end.
    pub fn text(&self) -> String {
        match self {
            Self::Checked(t) => format!("checked {t}\n"),
            Self::Ready => "ready\n".into(),
            Self::Broken(t) => format!("broken {}\n", t.replace('\n', " ")),
            Self::EventSent(a, b, c) => format!("event-sent {a} {b} {c}\n"),
            Self::EventTaken(a) => format!("event-taken {a}\n"),
            Self::Quarantined(a) => format!("quarantined {a}\n"),
            Self::DecisionSent(a, b, c) => format!("decision-sent {a} {b} {c}\n"),
            Self::Decided(a, b, c) => format!("decided {a} {b} {c}\n"),
            Self::LinkSent(a, b) => format!("link-sent {a} {b}\n"),
            Self::Linked(a, b) => format!("linked {a} {b}\n"),
            Self::UnlinkSent(a, b) => format!("unlink-sent {a} {b}\n"),
            Self::Unlinked(a, b) => format!("unlinked {a} {b}\n"),
        }
    }

    /// Reads what [`Line::text`] wrote, without its end.
    pub fn parse(line: &str) -> Option<Self> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let mut parts = rest.split(' ').map(str::to_owned);
        let mut next = || parts.next().filter(|p| !p.is_empty());
        Some(match word {
            "checked" => Self::Checked(rest.to_owned()),
            "ready" => Self::Ready,
            "broken" => Self::Broken(rest.to_owned()),
            "event-sent" => Self::EventSent(next()?, next()?, next()?),
            "event-taken" => Self::EventTaken(next()?),
            "quarantined" => Self::Quarantined(next()?),
            "decision-sent" => Self::DecisionSent(next()?, next()?, next()?),
            "decided" => Self::Decided(next()?, next()?, next()?),
            "link-sent" => Self::LinkSent(next()?, next()?),
            "linked" => Self::Linked(next()?, next()?),
            "unlink-sent" => Self::UnlinkSent(next()?, next()?),
            "unlinked" => Self::Unlinked(next()?, next()?),
            _ => return None,
        })
    }
}

/// Says lines, whole ones only: a line is one write of less than a pipe takes at once.
pub fn say(lines: &[Line]) {
    let mut out = std::io::stdout().lock();
    for line in lines {
        let said = out
            .write_all(line.text().as_bytes())
            .and_then(|()| out.flush());
        if said.is_err() {
            // Whoever listened is gone: there is nobody left to keep a promise to.
            std::process::exit(0);
        }
    }
}

/// What is known of whether two identifiers are linked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tie {
    /// Acknowledged as linked, and nothing was sent since.
    Linked,
    /// Acknowledged as apart, and nothing was sent since.
    Apart,
    /// Something was sent and not acknowledged: either.
    Either,
}

/// Everything that was said so far.
#[derive(Debug, Clone, Default)]
pub struct Said {
    /// Events sent: id to customer and type.
    pub events_sent: BTreeMap<String, (String, String)>,
    /// Events acknowledged.
    pub events_taken: BTreeSet<String>,
    /// Quarantined inputs acknowledged.
    pub quarantined: BTreeSet<String>,
    /// Decisions asked for: key to customer and policy.
    pub decisions_sent: BTreeMap<String, (String, String)>,
    /// Decisions answered: key to every different answer (decision and choice).
    pub decided: BTreeMap<String, BTreeSet<(String, String)>>,
    /// Ties of pairs.
    pub ties: BTreeMap<(String, String), Tie>,
    /// Laws found broken.
    pub broken: Vec<String>,
    /// What checks looked at.
    pub checked: Vec<String>,
    /// Number of times that the load began.
    pub ready: u64,
}

impl Said {
    /// Takes in one line.
    pub fn take(&mut self, line: Line) {
        match line {
            Line::Checked(t) => self.checked.push(t),
            Line::Ready => self.ready += 1,
            Line::Broken(t) => self.broken.push(t),
            Line::EventSent(id, customer, kind) => {
                self.events_sent.insert(id, (customer, kind));
            }
            Line::EventTaken(id) => {
                self.events_taken.insert(id);
            }
            Line::Quarantined(id) => {
                self.quarantined.insert(id);
            }
            Line::DecisionSent(key, customer, policy) => {
                self.decisions_sent.insert(key, (customer, policy));
            }
            Line::Decided(key, decision, choice) => {
                self.decided
                    .entry(key)
                    .or_default()
                    .insert((decision, choice));
            }
            Line::LinkSent(a, b) | Line::UnlinkSent(a, b) => {
                self.ties.insert((a, b), Tie::Either);
            }
            Line::Linked(a, b) => {
                self.ties.insert((a, b), Tie::Linked);
            }
            Line::Unlinked(a, b) => {
                self.ties.insert((a, b), Tie::Apart);
            }
        }
    }

    /// Reads many lines; what is no line of ours is broken speech and is kept as such.
    pub fn read(text: &str) -> Self {
        let mut said = Self::default();
        for line in text.lines() {
            match Line::parse(line) {
                Some(line) => said.take(line),
                None => said.broken.push(format!("the victim said `{line}`")),
            }
        }
        said
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_they_were_written() {
        let all = [
            Line::Checked("10 events".into()),
            Line::Ready,
            Line::Broken("a law".into()),
            Line::EventSent("e1".into(), "ann".into(), "visit".into()),
            Line::EventTaken("e1".into()),
            Line::Quarantined("q".into()),
            Line::DecisionSent("k".into(), "ann".into(), "short".into()),
            Line::Decided("k".into(), "d".into(), "-".into()),
            Line::LinkSent("a".into(), "b".into()),
            Line::Linked("a".into(), "b".into()),
            Line::UnlinkSent("a".into(), "b".into()),
            Line::Unlinked("a".into(), "b".into()),
        ];
        for line in all {
            let text = line.text();
            assert_eq!(Line::parse(text.trim_end()), Some(line));
        }
        assert_eq!(Line::parse("event-sent e1 ann"), None);
        let said = Said::read("link-sent a b\nlinked a b\nunlink-sent a b\nwhat\n");
        assert_eq!(said.ties[&("a".to_owned(), "b".to_owned())], Tie::Either);
        assert_eq!(said.broken.len(), 1);
    }
}
