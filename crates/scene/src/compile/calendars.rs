//! Calendars: the days on which a market trades, written out, in a file of the pack, or by weekday; and the exchange's clock.

use super::Compiler;
use crate::fault::{Code, listed, nearest, shown};
use crate::load::is_days_file;
use crate::node::{At, Key, Node};
use crate::unit;
use luopan_kernel::plan::{Calendar, Exchange};
use std::collections::BTreeSet;

/// Most calendars of a scene.
pub const CALENDARS_MAX: usize = 64;
/// Longest span of a calendar, in days.
pub const CALENDAR_DAYS_MAX: i64 = 366 * 100;

/// Where a calendar's trading days may be written.
const SOURCES: [&str; 3] = ["days", "days_file", "weekdays"];

impl Compiler<'_, '_> {
    pub(super) fn calendar(&mut self, key: &Key, node: &Node) -> Option<Calendar> {
        let day = |n: &Node| unit::day(n.scalar()?).ok();
        let list = |name: &str| -> Vec<(i64, String, At)> {
            node.get(name)
                .map_or(&[][..], Node::elements)
                .iter()
                .filter_map(|n| Some((day(n)?, n.scalar()?.to_owned(), n.at)))
                .collect()
        };
        let (from_day, to_day) = (day(node.get("from")?)?, day(node.get("to")?)?);
        if to_day < from_day || to_day - from_day > CALENDAR_DAYS_MAX {
            self.report.at(
                key.at,
                Code::OutOfRange,
                format!("a calendar of {} days", to_day - from_day + 1),
                format!("`to` comes after `from`, at most {CALENDAR_DAYS_MAX} days later"),
            );
            return None;
        }
        let in_file = match node.get("days_file") {
            Some(file) => self.days_of_file(file),
            None => Vec::new(),
        };
        let written = list("days");
        for (d, text, at) in (in_file.iter().chain(&written))
            .chain(&list("closed"))
            .chain(&list("open"))
        {
            if *d < from_day || *d > to_day {
                self.report.at(
                    *at,
                    Code::OutOfRange,
                    format!("{text} lies outside the calendar"),
                    "move it within `from` and `to`, or widen them",
                );
            }
        }
        let weekdays: Vec<i64> = node
            .get("weekdays")
            .map_or(&[][..], Node::elements)
            .iter()
            .filter_map(Node::integer)
            .collect();
        let sources: Vec<&str> = (SOURCES.into_iter())
            .filter(|name| node.get(name).is_some())
            .collect();
        if sources.len() != 1 {
            let found = match sources.as_slice() {
                [] => "none of `days`, `days_file` and `weekdays`".to_owned(),
                several => format!(
                    "more than one of its days: {}",
                    listed(several.iter().copied())
                ),
            };
            self.report.at(
                key.at,
                Code::Conflict,
                format!("the calendar `{}` has {found}", key.text),
                "write `days: [...]`, `days_file: calendars/NAME.txt`, or `weekdays: [1, 2, 3, 4, 5]` with `closed` and `open`",
            );
            return None;
        }
        let exchange = self.exchange(key, node);
        let mut days: BTreeSet<i64> = written.into_iter().map(|(d, _, _)| d).collect();
        days.extend(in_file.into_iter().map(|(d, _, _)| d));
        days.extend(
            (from_day..=to_day).filter(|d| weekdays.contains(&luopan_kernel::trading::weekday(*d))),
        );
        for (d, _, _) in list("closed") {
            days.remove(&d);
        }
        days.extend(list("open").into_iter().map(|(d, _, _)| d));
        Some(Calendar {
            name: key.text.clone(),
            from_day,
            to_day,
            days: days.into_iter().collect(),
            exchange,
        })
    }

    /// The days of a file of the pack: one a line; empty lines and what follows a `#` are passed over.
    fn days_of_file(&mut self, node: &Node) -> Vec<(i64, String, At)> {
        let Some(name) = node.text() else {
            return Vec::new();
        };
        let names: Vec<String> = (self.report.files.iter())
            .map(|(path, _)| path.clone())
            .filter(|path| is_days_file(path))
            .collect();
        let Some(file) = (self.report.files.iter())
            .position(|(path, _)| path == name)
            .filter(|_| is_days_file(name))
        else {
            // A file that is there and could not be read was told of.
            if self.report.faults.iter().any(|f| f.file == name) {
                return Vec::new();
            }
            let near = nearest(name, names.iter().map(String::as_str));
            let found = format!("the pack holds no file of days `{}`", shown(name));
            let write = "put a file with one day a line into a folder `calendars`, such as `calendars/sse.txt`, and name it so";
            self.report
                .near(node.at, Code::UnknownName, found, write, near);
            return Vec::new();
        };
        let text = self.report.files[file].1.clone();
        let mut out = Vec::new();
        for (line, written) in (1u32..).zip(text.lines()) {
            let content = written.split('#').next().unwrap_or_default();
            let word = content.trim().trim_start_matches('\u{feff}');
            if word.is_empty() {
                continue;
            }
            let before = content.len() - content.trim_start().len();
            let at = At {
                file: file as u16,
                line,
                column: content[..before].chars().count() as u32 + 1,
            };
            match unit::day(word) {
                Ok(day) => out.push((day, word.to_owned(), at)),
                Err(write) => self.report.at(
                    at,
                    Code::WrongType,
                    format!("here stands `{}`", shown(word)),
                    format!("{write}, one a line"),
                ),
            }
        }
        out
    }

    /// A clock's fixed offset from UTC, in seconds.
    pub(super) fn fixed_offset(&mut self, node: &Node) -> Option<i32> {
        let text = node.scalar().unwrap_or_default();
        let found = match utc_offset(text) {
            Some(seconds) => return Some(seconds),
            None if unit::zone(text).is_some() => {
                format!("`{text}` is a time zone, which may move its clocks")
            }
            None => format!("`{}` is not an offset from utc", shown(text)),
        };
        self.report.at(
            node.at,
            Code::UnknownUnit,
            found,
            "write the fixed offset of the exchange, such as \"+08:00\"; a market with daylight saving time cannot be told of yet",
        );
        None
    }

    /// The exchange's clock, if the calendar tells of one.
    fn exchange(&mut self, key: &Key, node: &Node) -> Option<Exchange> {
        let cutoff = node.get("cutoff");
        let sessions = node.get("sessions");
        let Some(offset) = node.get("utc_offset") else {
            for (name, part) in [("cutoff", cutoff), ("sessions", sessions)] {
                if let Some(part) = part {
                    self.report.at(
                        part.at,
                        Code::MissingKey,
                        format!(
                            "the calendar `{}` has `{name}` and not the clock that it is read from",
                            key.text
                        ),
                        "write `utc_offset: \"+08:00\"` beside it",
                    );
                }
            }
            return None;
        };
        let utc_offset_s = self.fixed_offset(offset)?;
        let mut spans: Vec<(u16, u16)> = Vec::new();
        for part in sessions.map_or(&[][..], Node::elements) {
            let text = part.scalar().unwrap_or_default();
            let span = text.split_once('-').and_then(|(from, to)| {
                Some((unit::clock(from.trim()).ok()?, unit::clock(to.trim()).ok()?))
            });
            match span {
                Some((from, to))
                    if from < to && spans.last().is_none_or(|(_, before)| *before <= from) =>
                {
                    spans.push((from, to));
                }
                Some(_) => self.report.at(
                    part.at,
                    Code::OutOfRange,
                    format!("the session `{}`", shown(text)),
                    "sessions end after they begin, within one day, and stand in order",
                ),
                None => self.report.at(
                    part.at,
                    Code::WrongType,
                    format!("here stands `{}`", shown(text)),
                    "write a session as \"09:30-11:30\"",
                ),
            }
        }
        Some(Exchange {
            utc_offset_s,
            cutoff_minute: cutoff.and_then(|n| unit::clock(n.scalar()?).ok()),
            sessions: spans,
        })
    }
}

/// `+08:00` in seconds; within 14 hours of UTC, as all clocks are.
fn utc_offset(text: &str) -> Option<i32> {
    let (sign, rest) = match text.as_bytes().first()? {
        b'+' => (1, &text[1..]),
        b'-' => (-1, &text[1..]),
        _ => return (text == "Z").then_some(0),
    };
    let minutes = i32::from(unit::clock(rest).ok()?);
    (minutes <= 14 * 60).then_some(sign * minutes * 60)
}
