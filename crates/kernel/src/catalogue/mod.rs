//! An immutable snapshot of one catalogue: what the scene pack declares, with what was imported since. Decisions read it;
//! the environment partition's position is its version.
//!
//! Rows are shared between snapshots: a new one copies pointers, and lays out only what changed ([`Catalogue::revised`]).
//!
//! This room must never hold an item whose values do not fit the declared attributes, and never more than [`ITEMS_MAX`].

mod masks;
pub mod measures;

pub use masks::{CatalogueRule, Mask, Rows};

use crate::plan::{CataloguePlan, ITEMS_MAX, ItemPlan};
use crate::time::Micros;
use crate::value::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A text attribute of this name, where a catalogue declares it, says which attributes of an item were generated: their names,
/// ascending, joined by `, `. An attribute that is changed later is generated no more.
pub const GENERATED_ATTRIBUTE: &str = "generated";

/// An item laid out: its key, then its attributes in declared order. Snapshots share rows.
pub type Row = Arc<[Value<'static>]>;

/// An item that is offered no more: merged into another, wound up, taken from sale for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Withdrawal {
    /// When.
    pub at: Micros,
    /// Key of the item that takes its place, when one does.
    pub successor: Option<String>,
}

/// An item laid out for [`Catalogue::revised`].
#[derive(Debug, Clone, PartialEq)]
pub struct Laid {
    /// Key and attributes.
    pub row: Row,
    /// Set for an item that is no candidate.
    pub withdrawal: Option<Withdrawal>,
}

/// An item found by its key, candidate or not.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Found<'c> {
    /// Attributes in declared order.
    pub values: &'c [Value<'static>],
    /// Its row; none for one that was withdrawn.
    pub row: Option<usize>,
    /// Why it is no candidate.
    pub withdrawal: Option<&'c Withdrawal>,
}

/// Longest key of an item, in bytes.
pub const KEY_BYTES_MAX: usize = 128;

/// Why a catalogue was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Too many items.
    #[error(
        "catalogue `{catalogue}` has more than {ITEMS_MAX} items; split it, or leave out what is no longer offered"
    )]
    TooMany {
        /// Catalogue.
        catalogue: String,
    },
    /// A key is empty or too long.
    #[error(
        "an item of catalogue `{catalogue}` has a key of {bytes} bytes; write 1 to {KEY_BYTES_MAX}"
    )]
    Key {
        /// Catalogue.
        catalogue: String,
        /// Length found.
        bytes: usize,
    },
    /// The number of values is not the number of attributes.
    #[error(
        "item `{key}` of catalogue `{catalogue}` has {found} values; write one for each of its {wanted} attributes"
    )]
    Width {
        /// Catalogue.
        catalogue: String,
        /// Item.
        key: String,
        /// Values found.
        found: usize,
        /// Attributes declared.
        wanted: usize,
    },
    /// A value does not fit its attribute.
    #[error(
        "item `{key}` of catalogue `{catalogue}`: `{attribute}` does not hold a value of type {wanted}"
    )]
    Type {
        /// Catalogue.
        catalogue: String,
        /// Item.
        key: String,
        /// Attribute.
        attribute: String,
        /// Declared type.
        wanted: &'static str,
    },
}

/// A snapshot. Candidates stand in rows, ascending by key; a row holds the attributes in declared order. Items that were
/// withdrawn have no row and are found by key alone ([`Catalogue::find`]).
#[derive(Debug, Clone, PartialEq)]
pub struct Catalogue {
    /// Position of the environment partition that it reflects.
    pub version: u64,
    width: usize,
    rows: Vec<Row>,
    /// Ascending by key.
    withdrawn: Vec<(Row, Withdrawal)>,
}

fn key_of(row: &Row) -> &str {
    match row.first() {
        Some(Value::Text(key)) => key,
        _ => "",
    }
}

/// Key and values as one row.
pub fn row(key: &str, values: impl IntoIterator<Item = Value<'static>>) -> Row {
    let key = core::iter::once(Value::text(key.to_owned()));
    key.chain(values).collect()
}

impl Catalogue {
    /// The catalogue of `plan` at `version`: the pack's items, then `upserts` in order, each adding an item or replacing the
    /// one of its key.
    ///
    /// # Errors
    /// [`Error`], for the first item that does not fit.
    pub fn new(
        plan: &CataloguePlan,
        version: u64,
        upserts: impl IntoIterator<Item = ItemPlan>,
    ) -> Result<Self, Error> {
        let mut items: BTreeMap<String, Vec<Value<'static>>> = BTreeMap::new();
        for item in plan.items.iter().cloned().chain(upserts) {
            check(plan, &item)?;
            items.insert(item.key, item.values);
            if items.len() > ITEMS_MAX {
                return Err(Error::TooMany {
                    catalogue: plan.name.clone(),
                });
            }
        }
        Ok(Self {
            version,
            width: plan.attributes.len(),
            rows: items.into_iter().map(|(k, v)| row(&k, v)).collect(),
            withdrawn: Vec::new(),
        })
    }

    /// An empty one of `plan`, for [`Catalogue::revised`].
    pub fn empty(plan: &CataloguePlan, version: u64) -> Self {
        Self {
            version,
            width: plan.attributes.len(),
            rows: Vec::new(),
            withdrawn: Vec::new(),
        }
    }

    /// The snapshot after `changed`, by key, was set; what is not named stays, and is shared. Ranks are computed anew. The second
    /// number is how many rows were laid out or copied, those of `changed` included.
    ///
    /// Each row of `changed` must have been checked ([`check`]) and hold its key and one value an attribute.
    pub fn revised(
        &self,
        plan: &CataloguePlan,
        version: u64,
        changed: BTreeMap<String, Laid>,
    ) -> (Self, usize) {
        let mut laid = changed.len();
        let mut rows = Vec::with_capacity(self.rows.len() + changed.len());
        let mut withdrawn: Vec<(Row, Withdrawal)> = (self.withdrawn.iter())
            .filter(|(row, _)| !changed.contains_key(key_of(row)))
            .cloned()
            .collect();
        let mut old = self.rows.iter().peekable();
        for (key, new) in changed {
            while let Some(row) = old.next_if(|row| key_of(row) < key.as_str()) {
                rows.push(row.clone());
            }
            old.next_if(|row| key_of(row) == key);
            debug_assert!(new.row.len() == self.width + 1);
            match new.withdrawal {
                None => rows.push(new.row),
                Some(why) => withdrawn.push((new.row, why)),
            }
        }
        rows.extend(old.cloned());
        withdrawn.sort_by(|a, b| key_of(&a.0).cmp(key_of(&b.0)));
        if let Some(measures) = &plan.measures {
            laid += measures::rank(measures, &mut rows);
        }
        let out = Self {
            version,
            width: self.width,
            rows,
            withdrawn,
        };
        (out, laid)
    }

    /// The same version with these candidates alone, as they stand among all: ranks are not computed anew.
    pub fn only(&self, keys: &BTreeSet<String>) -> Self {
        let is_kept = |row: &&Row| keys.contains(key_of(row));
        Self {
            version: self.version,
            width: self.width,
            rows: self.rows.iter().filter(is_kept).cloned().collect(),
            withdrawn: Vec::new(),
        }
    }

    /// Number of candidates.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// True without candidates.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Key of the item in `row`; empty past the last row.
    pub fn key(&self, row: usize) -> &str {
        self.rows.get(row).map_or("", key_of)
    }

    /// Key of the item in `row` as a value.
    pub fn key_value(&self, row: usize) -> &Value<'static> {
        (self.rows.get(row))
            .and_then(|r| r.first())
            .unwrap_or(&crate::rule::MISSING)
    }

    /// Row of the item `key`.
    pub fn row(&self, key: &str) -> Option<usize> {
        self.rows.binary_search_by(|r| key_of(r).cmp(key)).ok()
    }

    /// The first row whose key is behind `key`.
    pub fn first_behind(&self, key: &str) -> usize {
        self.rows.partition_point(|r| key_of(r) <= key)
    }

    /// The item `key`, candidate or withdrawn.
    pub fn find(&self, key: &str) -> Option<Found<'_>> {
        if let Some(row) = self.row(key) {
            return Some(Found {
                values: self.values(row),
                row: Some(row),
                withdrawal: None,
            });
        }
        let at = (self.withdrawn)
            .binary_search_by(|(r, _)| key_of(r).cmp(key))
            .ok()?;
        let (row, why) = &self.withdrawn[at];
        Some(Found {
            values: row.get(1..).unwrap_or(&[]),
            row: None,
            withdrawal: Some(why),
        })
    }

    /// Items that were withdrawn, ascending by key: key, attributes, why.
    pub fn withdrawn(&self) -> impl Iterator<Item = (&str, &[Value<'static>], &Withdrawal)> {
        (self.withdrawn.iter()).map(|(r, w)| (key_of(r), r.get(1..).unwrap_or(&[]), w))
    }

    /// Attributes of the item in `row`, in declared order; empty past the last row.
    pub fn values(&self, row: usize) -> &[Value<'static>] {
        self.rows.get(row).and_then(|r| r.get(1..)).unwrap_or(&[])
    }

    /// One attribute (by its index in the plan) of all items, in row order; nothing for one that is not declared.
    pub fn column(&self, attribute: usize) -> impl Iterator<Item = &Value<'static>> {
        let declared = attribute < self.width;
        (self.rows.iter())
            .filter(move |_| declared)
            .map(move |row| &row[attribute + 1])
    }
}

/// Looks whether `item` fits the catalogue's declaration.
///
/// # Errors
/// [`Error`].
pub fn check(plan: &CataloguePlan, item: &ItemPlan) -> Result<(), Error> {
    if item.key.is_empty() || item.key.len() > KEY_BYTES_MAX {
        return Err(Error::Key {
            catalogue: plan.name.clone(),
            bytes: item.key.len(),
        });
    }
    if item.values.len() != plan.attributes.len() {
        return Err(Error::Width {
            catalogue: plan.name.clone(),
            key: item.key.clone(),
            found: item.values.len(),
            wanted: plan.attributes.len(),
        });
    }
    for (value, field) in item.values.iter().zip(&plan.attributes) {
        if !value.fits(field.kind) {
            return Err(Error::Type {
                catalogue: plan.name.clone(),
                key: item.key.clone(),
                attribute: field.name.clone(),
                wanted: field.kind.word(),
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Field;
    use crate::value::ValueType;

    fn plan() -> CataloguePlan {
        CataloguePlan {
            name: "funds".into(),
            attributes: vec![Field {
                name: "risk".into(),
                kind: ValueType::Integer,
                required: false,
                personal: false,
                currency: None,
                one_of: vec![],
                not_a_feature: None,
            }],
            items: vec![ItemPlan {
                key: "b".into(),
                values: vec![Value::Int(2)],
            }],
            measures: None,
            key_digits: None,
        }
    }
    fn item(key: &str, value: Value<'static>) -> ItemPlan {
        ItemPlan {
            key: key.into(),
            values: vec![value],
        }
    }

    #[test]
    fn imports_add_and_replace_and_rows_are_in_order_of_key() {
        let c = Catalogue::new(
            &plan(),
            7,
            [
                item("c", Value::Int(3)),
                item("b", Value::Int(9)),
                item("a", Value::Missing),
            ],
        )
        .unwrap();
        assert_eq!(
            (0..c.len()).map(|r| c.key(r)).collect::<Vec<_>>(),
            ["a", "b", "c"]
        );
        assert_eq!(c.row("b"), Some(1));
        assert_eq!(c.row("bb"), None);
        assert_eq!(c.values(1), [Value::Int(9)]);
        assert!(
            c.column(0)
                .eq(&[Value::Missing, Value::Int(9), Value::Int(3)])
        );
        assert_eq!(c.column(1).count(), 0);
        assert!(c.values(3).is_empty());
        assert_eq!(c.version, 7);
    }

    fn laid(key: &str, v: i64, withdrawn: bool) -> (String, Laid) {
        let withdrawal = withdrawn.then(|| Withdrawal {
            at: Micros(5),
            successor: Some("a".into()),
        });
        let row = row(key, [Value::Int(v)]);
        (key.into(), Laid { row, withdrawal })
    }

    #[test]
    fn a_revision_shares_what_did_not_change() {
        let plan = plan();
        let first = Catalogue::new(
            &plan,
            1,
            [item("a", Value::Int(1)), item("c", Value::Int(3))],
        )
        .unwrap();
        let changes = [
            laid("b", 7, true),
            laid("bb", 8, false),
            laid("c", 9, false),
        ];
        let (second, n) = first.revised(&plan, 2, changes.into());
        assert_eq!((n, second.version), (3, 2));
        let keys: Vec<_> = (0..second.len()).map(|r| second.key(r)).collect();
        assert_eq!(keys, ["a", "bb", "c"]);
        assert!(Arc::ptr_eq(&first.rows[0], &second.rows[0]));
        assert_eq!(second.values(2), [Value::Int(9)]);
        // Withdrawn: no row, and still read.
        assert_eq!(second.row("b"), None);
        let found = second.find("b").unwrap();
        assert_eq!(found.values, [Value::Int(7)]);
        assert_eq!(found.withdrawal.unwrap().successor.as_deref(), Some("a"));
        // The older one is as it was.
        assert_eq!(first.find("b").unwrap().row, Some(1));
        // Back again.
        let (third, _) = second.revised(&plan, 3, [laid("b", 7, false)].into());
        assert_eq!(third.row("b"), Some(1));
        assert_eq!(third.withdrawn().count(), 0);
    }

    proptest::proptest! {
        /// Whatever the changes and however they are cut, the snapshot is the one made of all of them at once.
        #[test]
        fn revisions_are_the_whole(changes in proptest::collection::vec((0u8..20, 0i64..9, proptest::bool::ANY), 0..60), cut in 1usize..10) {
            let plan = plan();
            let base = Catalogue::new(&plan, 0, []).unwrap();
            let made = |c: &(u8, i64, bool)| laid(&format!("k{}", c.0), c.1, c.2);
            let whole = base.revised(&plan, 1, changes.iter().map(made).collect()).0;
            let mut parts = base;
            for part in changes.chunks(cut) {
                parts = parts.revised(&plan, 1, part.iter().map(made).collect()).0;
            }
            parts.version = 1;
            let mut whole = whole;
            whole.version = 1;
            proptest::prop_assert_eq!(parts, whole);
        }
    }

    #[test]
    fn items_that_do_not_fit_are_refused() {
        let refuse = |i: ItemPlan| Catalogue::new(&plan(), 0, [i]).unwrap_err().to_string();
        assert_eq!(
            refuse(item("x", Value::text("high"))),
            "item `x` of catalogue `funds`: `risk` does not hold a value of type integer"
        );
        assert!(refuse(item("", Value::Missing)).contains("key of 0 bytes"));
        assert!(
            refuse(ItemPlan {
                key: "x".into(),
                values: vec![]
            })
            .contains("0 values")
        );
    }
}
