//! Which identifiers belong to one customer. Identity is primary in State: a link or un-link is one transaction that
//! also marks what has to be looked at again and tells the log through the outbox. This map is its image in memory;
//! it holds linked identifiers only, so a store whose customers have one identifier each keeps it empty.

use crate::pages::Pages;
use crate::rows::{self, IdentityRow};
use luopan_kernel::id::{CustomerId, IdentifierId, PartitionId};
use luopan_store::{Expect, Result, State, Table};
use parking_lot::RwLock;
use std::collections::{BTreeMap, BTreeSet};

/// Identifiers and customers as linked now.
#[derive(Debug, Default)]
pub(crate) struct IdentityMap {
    inner: RwLock<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    rows: BTreeMap<IdentifierId, IdentityRow>,
    customers: BTreeMap<CustomerId, Vec<IdentifierId>>,
    /// How often identity changed in each partition.
    epochs: BTreeMap<PartitionId, u64>,
}

impl IdentityMap {
    /// Reads all identity rows.
    pub(crate) async fn load(state: &dyn State) -> Result<Self> {
        let map = Self::default();
        map.refresh(state).await?;
        Ok(map)
    }

    /// Takes over what State holds, where that is newer: somebody else linked.
    pub(crate) async fn refresh(&self, state: &dyn State) -> Result<()> {
        let partitions: Vec<_> = (0..luopan_kernel::PARTITIONS).map(PartitionId).collect();
        let corrupt = |at: &[u8]| luopan_store::Error::Corrupt {
            store: "state",
            at: format!("identity row {at:02x?}"),
            cause: "not an identity row".into(),
        };
        // Epochs first: a link that commits while rows are read leaves an old epoch here, and whoever expects it loses.
        let keys: Vec<_> = partitions
            .iter()
            .map(|p| rows::identity_epoch(*p))
            .collect();
        let epochs = state.get(&keys).await?;
        let mut pages = Pages::new(state, Table::Identity, &partitions);
        loop {
            let found = pages.next().await?;
            if found.is_empty() {
                break;
            }
            // The row without a key is the epoch.
            for (_, row) in found.iter().filter(|(_, row)| !row.key.is_empty()) {
                let (Ok(key), Ok(value)) = (
                    <[u8; 16]>::try_from(&row.key[..]),
                    IdentityRow::decode(&row.value),
                ) else {
                    return Err(corrupt(&row.key));
                };
                self.set(IdentifierId(key), value);
            }
        }
        for (partition, epoch) in partitions.iter().zip(epochs) {
            if let Some(value) = epoch {
                let epoch = rows::decode_number(&value).map_err(|_| corrupt(&[]))?;
                self.set_epoch(*partition, epoch);
            }
        }
        Ok(())
    }

    /// As [`IdentityMap::refresh`], of one partition alone: its customers, all that is linked to them, and its identifiers.
    pub(crate) async fn refresh_at(&self, state: &dyn State, partition: PartitionId) -> Result<()> {
        let corrupt = |at: &[u8]| luopan_store::Error::Corrupt {
            store: "state",
            at: format!("identity row {at:02x?}"),
            cause: "not an identity row".into(),
        };
        // The epoch first, as there.
        let epoch = state.get(&[rows::identity_epoch(partition)]).await?;
        // Who is linked to customers of this partition now, and who was as far as this map knows.
        let mut asked: BTreeSet<IdentifierId> = (self.inner.read().customers.iter())
            .filter(|(customer, _)| customer.partition() == partition)
            .flat_map(|(_, ids)| ids.iter().copied())
            .collect();
        for table in [Table::Customer, Table::Identity] {
            let mut from = Vec::new();
            loop {
                let found = state.scan(table, partition, &from, None, 1000).await?;
                let Some(last) = found.last() else { break };
                from = [&last.key[..], &[0]].concat();
                for row in found.iter().filter(|r| !r.key.is_empty()) {
                    if table == Table::Customer {
                        let ids = rows::decode_identifiers(&row.value);
                        asked.extend(ids.map_err(|_| corrupt(&row.key))?);
                    }
                    let key = <[u8; 16]>::try_from(&row.key[..]).map_err(|_| corrupt(&row.key))?;
                    asked.insert(IdentifierId(key));
                }
            }
        }
        let asked: Vec<_> = asked.into_iter().collect();
        let keys: Vec<_> = asked.iter().map(|id| rows::identity(*id)).collect();
        for ((id, key), value) in asked.iter().zip(&keys).zip(state.get(&keys).await?) {
            if let Some(value) = value {
                let row = IdentityRow::decode(&value).map_err(|_| corrupt(&key.key))?;
                self.set(*id, row);
            }
        }
        if let Some(Some(value)) = epoch.first() {
            let epoch = rows::decode_number(value).map_err(|_| corrupt(&[]))?;
            self.set_epoch(partition, epoch);
        }
        Ok(())
    }

    /// Takes over what others linked and un-linked around these identifiers, however far their customers reach.
    pub(crate) async fn catch_up(&self, state: &dyn State, ids: &[IdentifierId]) -> Result<()> {
        let mut asked: BTreeSet<PartitionId> = BTreeSet::new();
        loop {
            let mut reached: BTreeSet<PartitionId> = BTreeSet::new();
            for id in ids {
                let customer = self.customer(*id);
                let all = self.identifiers(customer);
                let of = [*id, customer].into_iter().chain(all);
                reached.extend(of.map(|i| i.partition()));
            }
            let fresh: Vec<PartitionId> = reached.difference(&asked).copied().collect();
            if fresh.is_empty() {
                return Ok(());
            }
            self.learn(state, &fresh).await?;
            asked.extend(fresh);
        }
    }

    /// Reads again those of the partitions in which somebody else linked.
    pub(crate) async fn learn(&self, state: &dyn State, partitions: &[PartitionId]) -> Result<()> {
        let known: Vec<_> = partitions.iter().map(|p| self.epoch_row(*p)).collect();
        let keys: Vec<_> = known.iter().map(|e| e.key.clone()).collect();
        let found = state.get(&keys).await?;
        for ((partition, known), found) in partitions.iter().zip(known).zip(found) {
            if known.value != found {
                self.refresh_at(state, *partition).await?;
            }
        }
        Ok(())
    }

    /// The row that says how often identity changed in a partition, as this map knows it. Whoever commits what it computed
    /// from this map expects that row: then nobody linked meanwhile.
    pub(crate) fn epoch_row(&self, partition: PartitionId) -> Expect {
        let epoch = self.epoch(partition);
        Expect {
            key: rows::identity_epoch(partition),
            value: (epoch > 0).then(|| rows::encode_number(epoch)),
        }
    }

    /// How often identity changed in a partition.
    pub(crate) fn epoch(&self, partition: PartitionId) -> u64 {
        self.inner
            .read()
            .epochs
            .get(&partition)
            .copied()
            .unwrap_or(0)
    }

    /// Takes over a committed epoch, after the rows that it stands for.
    pub(crate) fn set_epoch(&self, partition: PartitionId, epoch: u64) {
        let mut inner = self.inner.write();
        let known = inner.epochs.entry(partition).or_default();
        *known = epoch.max(*known);
    }

    /// The customer of an identifier: itself unless linked.
    pub(crate) fn customer(&self, id: IdentifierId) -> CustomerId {
        self.inner.read().rows.get(&id).map_or(id, |r| r.customer)
    }

    /// The identity row of an identifier that was ever linked.
    pub(crate) fn row(&self, id: IdentifierId) -> Option<IdentityRow> {
        self.inner.read().rows.get(&id).copied()
    }

    /// All identifiers of a customer, ascending; the canonical one alone when nothing is linked.
    pub(crate) fn identifiers(&self, customer: CustomerId) -> Vec<IdentifierId> {
        self.inner
            .read()
            .customers
            .get(&customer)
            .cloned()
            .unwrap_or_else(|| vec![customer])
    }

    /// Customers of more than one identifier, ascending.
    pub(crate) fn linked(&self) -> Vec<CustomerId> {
        self.inner.read().customers.keys().copied().collect()
    }

    /// True when the identifier is its customer's only one.
    pub(crate) fn is_single(&self, id: IdentifierId) -> bool {
        let inner = self.inner.read();
        inner.rows.get(&id).is_none_or(|r| r.customer == id) && !inner.customers.contains_key(&id)
    }

    /// Takes over a committed identity row; an older revision than the one known is ignored.
    pub(crate) fn set(&self, id: IdentifierId, row: IdentityRow) {
        let mut inner = self.inner.write();
        let before = inner.rows.get(&id).copied();
        if before.is_some_and(|b| b.revision >= row.revision) {
            return;
        }
        let old = before.map_or(id, |b| b.customer);
        if let Some(list) = inner.customers.get_mut(&old) {
            list.retain(|i| *i != id);
            if list.len() <= 1 {
                inner.customers.remove(&old);
            }
        }
        if row.customer != id {
            let list = inner
                .customers
                .entry(row.customer)
                .or_insert_with(|| vec![row.customer]);
            list.push(id);
            list.sort_unstable();
            list.dedup();
        }
        inner.rows.insert(id, row);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn link_and_unlink_are_exact() {
        let map = IdentityMap::default();
        let (a, b, c) = (
            IdentifierId([1; 16]),
            IdentifierId([2; 16]),
            IdentifierId([3; 16]),
        );
        map.set(
            b,
            IdentityRow {
                customer: a,
                revision: 1,
            },
        );
        map.set(
            c,
            IdentityRow {
                customer: a,
                revision: 1,
            },
        );
        assert_eq!(map.identifiers(a), vec![a, b, c]);
        assert!(!map.is_single(a) && !map.is_single(b));
        map.set(
            b,
            IdentityRow {
                customer: b,
                revision: 2,
            },
        );
        assert_eq!(map.identifiers(a), vec![a, c]);
        assert!(map.is_single(b));
        map.set(
            b,
            IdentityRow {
                customer: a,
                revision: 1,
            },
        );
        assert_eq!(map.customer(b), b, "an older revision changes nothing");
        map.set(
            c,
            IdentityRow {
                customer: c,
                revision: 2,
            },
        );
        assert!(map.is_single(a) && map.identifiers(a) == vec![a]);
    }
}
