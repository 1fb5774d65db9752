//! What State holds of the environment: a row an item, what it was before, and its net asset values, a row a year. Each row
//! says by which entry of the log it was written, so that any earlier moment can be read without the log.

use super::{CatalogueNo, ItemName};
use bytes::Bytes;
use luopan_kernel::catalogue::measures::{Nav, civil};
use luopan_kernel::codec::{self, Reader, Writer};
use luopan_kernel::id::SceneNo;
use luopan_kernel::time::Micros;
use luopan_kernel::value::Value;
use luopan_store::Row;
use serde::{Deserialize, Serialize};

/// Format of an item's row. Format 1 knew whole imports only, and not since when they hold.
pub(crate) const ITEM_FORMAT: u8 = 2;
/// Format of a year of NAVs.
const NAV_FORMAT: u8 = 1;
/// Most NAVs kept of one day of an item, the newest of all restatements; what is older cannot be read back.
pub(crate) const RESTATED_MAX: usize = 8;

/// Since when an item is offered no more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Withdrawn {
    pub(crate) at: Micros,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) successor: Option<String>,
}

/// The newest announcement about an item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Announced {
    pub(crate) at: Micros,
    pub(crate) kind: String,
    pub(crate) text: String,
}

/// An item as the log tells of it: values by attribute name, so that a later plan may have other attributes.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct ItemRow {
    /// Position of the entry that wrote it.
    #[serde(default)]
    pub(crate) since: u64,
    /// The item was set whole; else the values stand over those that the pack declares.
    #[serde(default = "yes")]
    pub(crate) whole: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) withdrawn: Option<Withdrawn>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) announced: Option<Announced>,
    /// Ascending by name; missing where a change took a value away.
    pub(crate) values: Vec<(String, Value<'static>)>,
}

fn yes() -> bool {
    true
}

fn corrupt(what: &str, key: &[u8], cause: String) -> luopan_store::Error {
    luopan_store::Error::Corrupt {
        store: "state",
        at: format!("{what} {}", String::from_utf8_lossy(key)),
        cause,
    }
}

impl ItemRow {
    /// The value of its row.
    pub(crate) fn encode(&self) -> Bytes {
        let mut out = vec![ITEM_FORMAT];
        // Values are finite and names are text: this cannot fail.
        out.extend(serde_json::to_vec(self).unwrap_or_default());
        Bytes::from(out)
    }

    pub(crate) fn decode(key: &[u8], value: &[u8]) -> luopan_store::Result<Self> {
        let Some((format, json)) = value.split_first() else {
            return Err(corrupt("catalogue item", key, "a value is wanted".into()));
        };
        if *format > ITEM_FORMAT {
            let cause = format!(
                "it has format {format}, this program reads up to {ITEM_FORMAT}; use a newer program"
            );
            return Err(corrupt("catalogue item", key, cause));
        }
        serde_json::from_slice(json).map_err(|e| corrupt("catalogue item", key, e.to_string()))
    }

    /// True for a value that an older program wrote.
    pub(crate) fn is_older(value: &[u8]) -> bool {
        value.first().is_some_and(|f| *f < ITEM_FORMAT)
    }

    /// Name and item of a row.
    pub(crate) fn read(row: &Row) -> luopan_store::Result<(ItemName, Self)> {
        let name = item_name(&row.key)?;
        Ok((name, Self::decode(&row.key, &row.value)?))
    }

    /// A value by name.
    pub(crate) fn value(&self, name: &str) -> Option<&Value<'static>> {
        let at = self
            .values
            .binary_search_by(|(n, _)| n.as_str().cmp(name))
            .ok()?;
        Some(&self.values[at].1)
    }

    /// Sets a value by name.
    pub(crate) fn set(&mut self, name: &str, value: Value<'static>) {
        match self.values.binary_search_by(|(n, _)| n.as_str().cmp(name)) {
            Ok(at) => self.values[at].1 = value,
            Err(at) => self.values.insert(at, (name.to_owned(), value)),
        }
    }
}

/// Scene, catalogue and key of an item's row.
fn item_name(key: &[u8]) -> luopan_store::Result<ItemName> {
    let wrong = || {
        corrupt(
            "catalogue item",
            key,
            "a key with a catalogue is wanted".into(),
        )
    };
    let (scene, rest) = key.split_first_chunk::<2>().ok_or_else(wrong)?;
    let (catalogue, name) = rest.split_first_chunk::<8>().ok_or_else(wrong)?;
    let name =
        std::str::from_utf8(name).map_err(|e| corrupt("catalogue item", key, e.to_string()))?;
    Ok((
        SceneNo(u16::from_be_bytes(*scene)),
        CatalogueNo::from_be_bytes(*catalogue),
        name.to_owned(),
    ))
}

/// Name of an item that a row of its past or of its NAVs is of.
pub(crate) fn name_of_prefix(row: &Row) -> luopan_store::Result<ItemName> {
    let found = crate::rows::parse_item_prefix(&row.key);
    found
        .map(|(scene, catalogue, key, _)| (scene, catalogue, key.to_owned()))
        .ok_or_else(|| {
            corrupt(
                "row of an item",
                &row.key,
                "a key with an item is wanted".into(),
            )
        })
}

/// One NAV as it stands in a year.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct NavEntry {
    pub(crate) nav: Nav,
    /// Position of the entry that told it.
    pub(crate) at: u64,
}

/// The NAVs of one item in one year, ascending by day and then by position: the last of a day is in force.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct NavYear {
    pub(crate) entries: Vec<NavEntry>,
}

/// The year that a day's NAV is kept in.
pub(crate) fn year_of(day: i32) -> i32 {
    civil(day).0
}

impl NavYear {
    /// Takes a NAV; false when the one in force says the same.
    pub(crate) fn set(&mut self, nav: Nav, at: u64) -> bool {
        let end = self.entries.partition_point(|e| e.nav.day <= nav.day);
        let start = self.entries.partition_point(|e| e.nav.day < nav.day);
        if end > start && self.entries[end - 1].nav == nav {
            return false;
        }
        self.entries.insert(end, NavEntry { nav, at });
        if end - start >= RESTATED_MAX {
            self.entries.remove(start);
        }
        true
    }

    /// The NAVs that were in force when entries below `until` were folded.
    pub(crate) fn in_force(&self, until: u64, out: &mut Vec<Nav>) {
        for e in self.entries.iter().filter(|e| e.at < until) {
            match out.last_mut() {
                Some(last) if last.day == e.nav.day => *last = e.nav,
                _ => out.push(e.nav),
            }
        }
    }

    pub(crate) fn encode(&self) -> Bytes {
        let mut w = Writer::with_format(NAV_FORMAT);
        w.uint(self.entries.len() as u64);
        let (mut day, mut at) = (0, 0i64);
        for e in &self.entries {
            w.int(i64::from(e.nav.day) - day);
            day = i64::from(e.nav.day);
            w.int(e.at as i64 - at);
            at = e.at as i64;
            w.f64(e.nav.unit);
            match e.nav.accumulated {
                None => w.u8(0),
                Some(v) => {
                    w.u8(1);
                    w.f64(v);
                }
            }
        }
        w.into_bytes().into()
    }

    fn read(bytes: &[u8]) -> codec::Result<Self> {
        let mut r = Reader::new(bytes);
        r.format("year of net asset values", NAV_FORMAT)?;
        let n = r.count(11)?;
        let mut entries = Vec::with_capacity(n);
        let (mut day, mut at) = (0i64, 0i64);
        for _ in 0..n {
            day = day.wrapping_add(r.int()?);
            at = at.wrapping_add(r.int()?);
            let unit = r.f64()?;
            let accumulated = match r.u8()? {
                0 => None,
                _ => Some(r.f64()?),
            };
            let day = i32::try_from(day).map_err(|_| r.malformed("a day"))?;
            entries.push(NavEntry {
                nav: Nav {
                    day,
                    unit,
                    accumulated,
                },
                at: at as u64,
            });
        }
        r.done()?;
        Ok(Self { entries })
    }

    pub(crate) fn decode(key: &[u8], value: &[u8]) -> luopan_store::Result<Self> {
        Self::read(value).map_err(|e| corrupt("net asset values", key, e.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nav(day: i32, unit: f64) -> Nav {
        Nav {
            day,
            unit,
            accumulated: None,
        }
    }

    #[test]
    fn the_latest_for_a_day_is_in_force_and_what_was_before_is_read_back() {
        let mut year = NavYear::default();
        assert!(year.set(nav(17_000, 1.0), 10));
        assert!(year.set(nav(17_001, 1.1), 11));
        assert!(!year.set(nav(17_001, 1.1), 12));
        assert!(year.set(nav(17_000, 0.9), 13));
        let at = |until| {
            let mut out = Vec::new();
            year.in_force(until, &mut out);
            out
        };
        assert_eq!(at(11), [nav(17_000, 1.0)]);
        assert_eq!(at(13), [nav(17_000, 1.0), nav(17_001, 1.1)]);
        assert_eq!(at(14), [nav(17_000, 0.9), nav(17_001, 1.1)]);
        assert_eq!(NavYear::read(&year.encode()).unwrap(), year);
    }

    #[test]
    fn restatements_are_bounded() {
        let mut year = NavYear::default();
        for i in 0..100 {
            year.set(nav(17_000, 1.0 + f64::from(i)), i as u64);
        }
        assert_eq!(year.entries.len(), RESTATED_MAX);
        assert_eq!(year.entries.last().unwrap().nav.unit, 100.0);
    }

    #[test]
    fn a_newer_format_is_refused_with_both_numbers() {
        let item = ItemRow::decode(b"k", b"\x09{}").unwrap_err().to_string();
        assert!(
            item.contains("format 9") && item.contains("up to 2"),
            "{item}"
        );
        let navs = NavYear::decode(b"k", b"\x09").unwrap_err().to_string();
        assert!(navs.contains('9') && navs.contains('1'), "{navs}");
    }
}
