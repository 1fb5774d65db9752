//! An immutable snapshot of one catalogue: what the scene pack declares, with what was imported since. Decisions read it;
//! the environment partition's position is its version.
//!
//! This room must never hold an item whose values do not fit the declared attributes, and never more than [`ITEMS_MAX`].

mod masks;

pub use masks::{CatalogueRule, Mask, Rows};

use crate::plan::{CataloguePlan, ITEMS_MAX, ItemPlan};
use crate::value::Value;
use std::collections::BTreeMap;

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

/// A snapshot. Items stand in rows, ascending by key; a row holds the attributes in declared order.
#[derive(Debug, Clone, PartialEq)]
pub struct Catalogue {
    /// Position of the environment partition that it reflects.
    pub version: u64,
    keys: Vec<Value<'static>>,
    width: usize,
    values: Vec<Value<'static>>,
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
        let mut keys = Vec::with_capacity(items.len());
        let width = plan.attributes.len();
        let mut values = Vec::with_capacity(items.len() * width);
        for (key, row) in items {
            keys.push(Value::text(key));
            values.extend(row);
        }
        Ok(Self {
            version,
            keys,
            width,
            values,
        })
    }

    /// Number of items.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// True without items.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Key of the item in `row`; empty past the last row.
    pub fn key(&self, row: usize) -> &str {
        match self.keys.get(row) {
            Some(Value::Text(key)) => key,
            _ => "",
        }
    }

    /// Key of the item in `row` as a value.
    pub fn key_value(&self, row: usize) -> &Value<'static> {
        self.keys.get(row).unwrap_or(&crate::rule::MISSING)
    }

    /// Row of the item `key`.
    pub fn row(&self, key: &str) -> Option<usize> {
        let (mut low, mut high) = (0, self.keys.len());
        while low < high {
            let middle = low + (high - low) / 2;
            match self.key(middle).cmp(key) {
                core::cmp::Ordering::Less => low = middle + 1,
                core::cmp::Ordering::Equal => return Some(middle),
                core::cmp::Ordering::Greater => high = middle,
            }
        }
        None
    }

    /// Attributes of the item in `row`, in declared order; empty past the last row.
    pub fn values(&self, row: usize) -> &[Value<'static>] {
        self.values
            .get(row * self.width..(row + 1) * self.width)
            .unwrap_or(&[])
    }

    /// One attribute (by its index in the plan) of all items, in row order; nothing for one that is not declared.
    pub fn column(&self, attribute: usize) -> impl Iterator<Item = &Value<'static>> {
        let declared = attribute < self.width;
        self.values
            .chunks_exact(self.width.max(1))
            .filter(move |_| declared)
            .map(move |row| &row[attribute])
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
