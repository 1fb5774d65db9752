//! The key store in memory: one map for each direction.

use crate::error::Result;
use crate::keys::{ForeignId, Keys, Resolved};
use crate::limits;
use async_trait::async_trait;
use luopan_kernel::id::{IdentifierId, TenantId};
use parking_lot::RwLock;
use std::collections::{BTreeMap, BTreeSet};

/// A [`Keys`] in memory.
#[derive(Debug, Default)]
pub struct MemoryKeys {
    inner: RwLock<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    internal: BTreeMap<ForeignId, IdentifierId>,
    foreign: BTreeMap<(TenantId, IdentifierId), String>,
    erased: BTreeSet<(TenantId, IdentifierId)>,
}

#[async_trait]
impl Keys for MemoryKeys {
    async fn resolve_or_create(
        &self,
        foreign: &[ForeignId],
        fresh: &[IdentifierId],
    ) -> Result<Vec<Resolved>> {
        limits::foreign(foreign, Some(fresh))?;
        let mut inner = self.inner.write();
        let inner = &mut *inner;
        Ok(foreign
            .iter()
            .zip(fresh)
            .map(|(f, fresh)| match inner.internal.get(f) {
                Some(id) => Resolved {
                    id: *id,
                    created: false,
                },
                None => {
                    inner.internal.insert(f.clone(), *fresh);
                    inner.foreign.insert((f.tenant, *fresh), f.text.clone());
                    Resolved {
                        id: *fresh,
                        created: true,
                    }
                }
            })
            .collect())
    }

    async fn resolve(&self, foreign: &[ForeignId]) -> Result<Vec<Option<IdentifierId>>> {
        limits::foreign(foreign, None)?;
        let inner = self.inner.read();
        Ok(foreign
            .iter()
            .map(|f| inner.internal.get(f).copied())
            .collect())
    }

    async fn reveal(&self, tenant: TenantId, ids: &[IdentifierId]) -> Result<Vec<Option<String>>> {
        let inner = self.inner.read();
        Ok(ids
            .iter()
            .map(|id| inner.foreign.get(&(tenant, *id)).cloned())
            .collect())
    }

    async fn erase(&self, tenant: TenantId, ids: &[IdentifierId]) -> Result<()> {
        let mut inner = self.inner.write();
        for id in ids {
            inner.erased.insert((tenant, *id));
            if let Some(text) = inner.foreign.remove(&(tenant, *id)) {
                inner.internal.remove(&ForeignId { tenant, text });
            }
        }
        Ok(())
    }

    async fn list(
        &self,
        from: (TenantId, IdentifierId),
        limit: usize,
    ) -> Result<Vec<(ForeignId, IdentifierId)>> {
        let inner = self.inner.read();
        let rows = inner.foreign.range(from..).take(limit);
        Ok(rows
            .map(|((tenant, id), text)| {
                let foreign = ForeignId {
                    tenant: *tenant,
                    text: text.clone(),
                };
                (foreign, *id)
            })
            .collect())
    }

    async fn erased(
        &self,
        from: (TenantId, IdentifierId),
        limit: usize,
    ) -> Result<Vec<(TenantId, IdentifierId)>> {
        let inner = self.inner.read();
        Ok(inner.erased.range(from..).take(limit).copied().collect())
    }
}
