//! The fold of the environment partition, free of IO: rows and entries in, rows out. The live worker, `verify` and the
//! bringing up to date of older rows run this code.

use super::rows::{Announced, ItemRow, NavYear, Withdrawn, name_of_prefix, year_of};
use super::{ItemName, number};
use crate::{Inner, rows, snapshot};
use luopan_kernel::catalogue::GENERATED_ATTRIBUTE;
use luopan_kernel::catalogue::measures::Nav;
use luopan_kernel::event::{
    ANNOUNCEMENT_TYPE, Entry, Event, NAV_TYPE, PRODUCT_CHANGED_TYPE, PRODUCT_TYPE,
    PRODUCT_WITHDRAWN_TYPE,
};
use luopan_kernel::id::{PartitionId, Position, hash64};
use luopan_kernel::value::Value;
use luopan_store::{Row, RowKey, Table, Write};
use std::collections::{BTreeMap, BTreeSet};

/// The partition.
pub(crate) const ENVIRONMENT: PartitionId = PartitionId(luopan_kernel::ENVIRONMENT_PARTITION);
/// Bytes of log read at once.
const READ_BYTES: usize = 4 << 20;

/// Names of the properties that say what an event of the environment is about. No attribute has a dot.
pub(crate) mod property {
    pub(crate) const CATALOGUE: &str = "luopan.catalogue";
    pub(crate) const KEY: &str = "luopan.key";
    pub(crate) const DAY: &str = "luopan.day";
    pub(crate) const NAV: &str = "luopan.nav";
    pub(crate) const ACCUMULATED: &str = "luopan.accumulated";
    pub(crate) const SUCCESSOR: &str = "luopan.successor";
    pub(crate) const RESTORED: &str = "luopan.restored";
    pub(crate) const KIND: &str = "luopan.kind";
    pub(crate) const TEXT: &str = "luopan.text";
}

/// Rows of the environment in memory.
#[derive(Debug, Default)]
pub(crate) struct Environment {
    /// Items as they stand; none for one without a row.
    items: BTreeMap<ItemName, Option<ItemRow>>,
    years: BTreeMap<(ItemName, i32), NavYear>,
    past: Vec<(ItemName, ItemRow)>,
    pub(crate) items_touched: BTreeSet<ItemName>,
    years_touched: BTreeSet<(ItemName, i32)>,
}

fn name_of(event: &Event<'_>) -> Option<ItemName> {
    let text = |name| match event.property(name) {
        Value::Text(t) => Some(t.as_ref()),
        _ => None,
    };
    let catalogue = number(text(property::CATALOGUE)?);
    Some((event.scene, catalogue, text(property::KEY)?.to_owned()))
}

fn nav_of(event: &Event<'_>) -> Option<Nav> {
    let (Value::Int(day), Value::Number(unit)) =
        (event.property(property::DAY), event.property(property::NAV))
    else {
        return None;
    };
    Some(Nav {
        day: i32::try_from(*day).ok()?,
        unit: *unit,
        accumulated: match event.property(property::ACCUMULATED) {
            Value::Number(v) => Some(*v),
            _ => None,
        },
    })
}

fn text_of(event: &Event<'_>, name: &str) -> Option<String> {
    match event.property(name) {
        Value::Text(t) => Some(t.clone().into_owned()),
        _ => None,
    }
}

fn attributes<'e>(
    event: &'e Event<'_>,
) -> impl Iterator<Item = (String, Value<'static>)> + use<'e> {
    (event.properties.iter())
        .filter(|(n, _)| !n.starts_with("luopan."))
        .map(|(n, v)| (n.clone().into_owned(), v.clone().into_owned()))
}

/// Rows that an entry may change.
fn rows_of(entry: &Entry<'_>) -> Option<(ItemName, Option<i32>)> {
    let Entry::Event(event) = entry else {
        return None;
    };
    let name = name_of(event)?;
    match event.kind.as_ref() {
        NAV_TYPE => Some((name, Some(year_of(nav_of(event)?.day)))),
        PRODUCT_TYPE | PRODUCT_CHANGED_TYPE | PRODUCT_WITHDRAWN_TYPE | ANNOUNCEMENT_TYPE => {
            Some((name, None))
        }
        _ => None,
    }
}

impl Environment {
    /// The rows that these entries may change, read from State.
    pub(crate) async fn load(inner: &Inner, entries: &[Entry<'_>]) -> luopan_store::Result<Self> {
        let wanted: BTreeSet<(ItemName, Option<i32>)> =
            entries.iter().filter_map(rows_of).collect();
        let keys: Vec<RowKey> = (wanted.iter())
            .map(|((scene, catalogue, key), year)| match year {
                None => rows::item(*scene, *catalogue, key),
                Some(year) => rows::nav(*scene, *catalogue, key, *year),
            })
            .collect();
        let found = inner.state.get(&keys).await?;
        let mut out = Self::default();
        for (((name, year), key), value) in wanted.into_iter().zip(keys).zip(found) {
            match year {
                None => {
                    let item = value.map(|v| ItemRow::decode(&key.key, &v)).transpose()?;
                    out.items.insert(name, item);
                }
                Some(year) => {
                    if let Some(value) = value {
                        let navs = NavYear::decode(&key.key, &value)?;
                        out.years.insert((name, year), navs);
                    }
                }
            }
        }
        Ok(out)
    }

    /// Folds one entry, at its position in the log.
    pub(crate) fn step(&mut self, entry: &Entry<'_>, position: u64) {
        let Entry::Event(event) = entry else {
            return;
        };
        let Some(name) = name_of(event) else {
            return;
        };
        match event.kind.as_ref() {
            NAV_TYPE => {
                let Some(nav) = nav_of(event) else { return };
                let year = (name, year_of(nav.day));
                if self
                    .years
                    .entry(year.clone())
                    .or_default()
                    .set(nav, position)
                {
                    self.years_touched.insert(year);
                }
            }
            PRODUCT_TYPE => self.change(name, position, |item| {
                item.whole = true;
                item.values = attributes(event).collect();
                item.values.sort_by(|a, b| a.0.cmp(&b.0));
            }),
            PRODUCT_CHANGED_TYPE => self.change(name, position, |item| {
                let named: Vec<(String, Value<'static>)> = attributes(event).collect();
                real_again(item, &named);
                for (name, value) in named {
                    item.set(&name, value);
                }
            }),
            PRODUCT_WITHDRAWN_TYPE => self.change(name, position, |item| {
                let restored = matches!(event.property(property::RESTORED), Value::Bool(true));
                item.withdrawn = (!restored).then(|| Withdrawn {
                    at: event.occurred_at,
                    successor: text_of(event, property::SUCCESSOR),
                });
            }),
            ANNOUNCEMENT_TYPE => self.change(name, position, |item| {
                if item
                    .announced
                    .as_ref()
                    .is_none_or(|a| a.at <= event.occurred_at)
                {
                    item.announced = Some(Announced {
                        at: event.occurred_at,
                        kind: text_of(event, property::KIND).unwrap_or_default(),
                        text: text_of(event, property::TEXT).unwrap_or_default(),
                    });
                }
            }),
            _ => {}
        }
    }

    /// Changes an item; what says the same again leaves it as it is.
    fn change(&mut self, name: ItemName, position: u64, change: impl FnOnce(&mut ItemRow)) {
        let slot = self.items.entry(name.clone()).or_default();
        let mut new = slot.clone().unwrap_or_default();
        change(&mut new);
        if slot.as_ref() == Some(&new) {
            return;
        }
        new.since = position;
        if let Some(before) = slot.replace(new) {
            self.past.push((name.clone(), before));
        }
        self.items_touched.insert(name);
    }

    /// Items whose NAVs changed.
    pub(crate) fn navs_touched(&self) -> BTreeSet<ItemName> {
        self.years_touched.iter().map(|(n, _)| n.clone()).collect()
    }

    /// The rows that changed.
    pub(crate) fn writes(&self) -> Vec<Write> {
        let items = (self.items_touched.iter()).filter_map(|name| {
            let item = self.items.get(name)?.as_ref()?;
            Some(Write {
                key: rows::item(name.0, name.1, &name.2),
                value: Some(item.encode()),
            })
        });
        let past = self.past.iter().map(|(name, item)| Write {
            key: rows::item_past(name.0, name.1, &name.2, item.since),
            value: Some(item.encode()),
        });
        let years = (self.years_touched.iter()).filter_map(|(name, year)| {
            let navs = self.years.get(&(name.clone(), *year))?;
            Some(Write {
                key: rows::nav(name.0, name.1, &name.2, *year),
                value: Some(navs.encode()),
            })
        });
        items.chain(past).chain(years).collect()
    }
}

/// Attributes that are set by name are generated no more.
fn real_again(item: &mut ItemRow, named: &[(String, Value<'static>)]) {
    if named.iter().any(|(n, _)| n == GENERATED_ATTRIBUTE) {
        return;
    }
    let Some(Value::Text(generated)) = item.value(GENERATED_ATTRIBUTE) else {
        return;
    };
    let left: Vec<&str> = (generated.split(", "))
        .filter(|g| !named.iter().any(|(n, _)| n == g))
        .collect();
    let left = if left.is_empty() {
        Value::Missing
    } else {
        Value::text(left.join(", "))
    };
    item.set(GENERATED_ATTRIBUTE, left);
}

/// The item whose row this is.
fn name_of_row(table: Table, row: &Row) -> luopan_store::Result<ItemName> {
    match table {
        Table::Item => Ok(ItemRow::read(row)?.0),
        _ => name_of_prefix(row),
    }
}

impl Environment {
    /// Takes in a row of a snapshot; it counts as changed.
    fn take(&mut self, table: Table, row: &Row) -> luopan_store::Result<()> {
        let name = name_of_row(table, row)?;
        match table {
            Table::Item => {
                let item = ItemRow::decode(&row.key, &row.value)?;
                self.items.insert(name.clone(), Some(item));
                self.items_touched.insert(name);
            }
            Table::Nav => {
                let year = rows::year_of_nav(&row.key);
                let navs = NavYear::decode(&row.key, &row.value)?;
                self.years.insert((name.clone(), year), navs);
                self.years_touched.insert((name, year));
            }
            _ => self
                .past
                .push((name, ItemRow::decode(&row.key, &row.value)?)),
        }
        Ok(())
    }
}

/// Folds the log from its snapshot or its beginning up to `until`, for the items of one of `passes` shares of all.
///
/// Returns the entries read beside it.
pub(crate) async fn replay(
    inner: &Inner,
    until: Position,
    pass: u64,
    passes: u64,
) -> luopan_store::Result<(Environment, u64, Position)> {
    let mut out = Environment::default();
    let mut read = 0;
    let mut next = Position(0);
    if let Some((at, rows)) = snapshot::read_environment(inner, ENVIRONMENT).await? {
        next = at;
        for (table, row) in rows {
            let (_, _, key) = name_of_row(table, &row)?;
            if hash64(key.as_bytes()) % passes == pass {
                out.take(table, &row)?;
            }
        }
    }
    while next < until {
        let messages = inner.log.read(ENVIRONMENT, next, READ_BYTES).await?;
        let Some(last) = messages.last() else { break };
        next = last.end();
        for message in &messages {
            let entries = crate::replay::decode(ENVIRONMENT, message)?;
            for (i, entry) in entries.iter().enumerate() {
                let position = message.first.0 + i as u64;
                if position >= until.0 {
                    break;
                }
                read += 1;
                let share = rows_of(entry).map_or(0, |((_, _, key), _)| hash64(key.as_bytes()));
                if share % passes == pass {
                    out.step(entry, position);
                }
            }
        }
    }
    Ok((out, read, next))
}

impl Inner {
    /// Notes for the catalogues what the environment's entries of `from..to` change, which another node folded.
    pub(crate) async fn note_environment(
        &self,
        from: Position,
        to: Position,
    ) -> luopan_store::Result<()> {
        let (mut items, mut navs) = (BTreeSet::new(), BTreeSet::new());
        let mut next = from;
        while next < to {
            let messages = self.log.read(ENVIRONMENT, next, READ_BYTES).await?;
            let Some(last) = messages.last() else {
                return Err(crate::replay::ends(ENVIRONMENT, next, to));
            };
            next = last.end();
            for message in &messages {
                let entries = crate::replay::decode(ENVIRONMENT, message)?;
                for (name, year) in entries.iter().filter_map(rows_of) {
                    match year {
                        None => items.insert(name),
                        Some(_) => navs.insert(name),
                    };
                }
            }
        }
        self.catalogues.note_names(items, navs, to.0 - from.0);
        Ok(())
    }
}

/// Writes the rows of an older program anew, from the log.
pub(crate) async fn bring_up_to_date(inner: &Inner) -> luopan_store::Result<()> {
    let first = inner
        .state
        .scan(Table::Item, ENVIRONMENT, &[], None, 1)
        .await?;
    if !first.first().is_some_and(|r| ItemRow::is_older(&r.value)) {
        return Ok(());
    }
    let until = inner.reflected(&[ENVIRONMENT]).await?[0];
    let (environment, _, _) = replay(inner, until, 0, 1).await?;
    let mut commit = luopan_store::Commit::new(luopan_store::Durability::Durable);
    commit.writes = environment.writes();
    inner.state.commit(vec![commit]).await?;
    Ok(())
}
