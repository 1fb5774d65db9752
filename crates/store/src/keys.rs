//! The key store: the only place that knows foreign ids beside internal ones. It is erasable and is backed up apart from
//! everything else.

use crate::error::Result;
use crate::queue::Queue;
use async_trait::async_trait;
use luopan_kernel::id::{IdentifierId, TenantId};

/// A foreign identifier as received, at most 128 bytes of UTF-8.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ForeignId {
    /// Tenant.
    pub tenant: TenantId,
    /// As received.
    pub text: String,
}

/// An identifier as resolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resolved {
    /// Internal id.
    pub id: IdentifierId,
    /// True when this call made it.
    pub created: bool,
}

/// The pair that follows in the order of [`Keys::list`]; none behind the last.
#[must_use]
pub fn following((tenant, id): (TenantId, IdentifierId)) -> Option<(TenantId, IdentifierId)> {
    match u128::from_be_bytes(id.0).checked_add(1) {
        Some(next) => Some((tenant, IdentifierId(next.to_be_bytes()))),
        None => Some((TenantId(tenant.0.checked_add(1)?), IdentifierId([0; 16]))),
    }
}

/// Foreign ids and what is sealed for them.
#[async_trait]
pub trait Keys: Send + Sync + 'static {
    /// Internal ids of the given foreign ids, in their order. Unknown ones get the id at the same index of `fresh`
    /// (made by the caller, who owns clock and randomness, and never given twice), durably, before the call returns; two concurrent calls agree
    /// on one id, and so do two equal foreign ids in one call.
    async fn resolve_or_create(
        &self,
        foreign: &[ForeignId],
        fresh: &[IdentifierId],
    ) -> Result<Vec<Resolved>>;

    /// Whether new ids can be made at all, as far as is known without trying.
    ///
    /// # Errors
    /// Why not.
    async fn writable(&self) -> Result<()> {
        Ok(())
    }

    /// Its queues, as they are now; none where nothing waits.
    fn queues(&self) -> Vec<Queue> {
        Vec::new()
    }

    /// Internal ids, `None` for those never seen or erased.
    async fn resolve(&self, foreign: &[ForeignId]) -> Result<Vec<Option<IdentifierId>>>;

    /// Foreign ids behind internal ones, `None` for those never seen or erased.
    async fn reveal(&self, tenant: TenantId, ids: &[IdentifierId]) -> Result<Vec<Option<String>>>;

    /// Forgets both directions, durably, and remembers that each of these ids was erased, so that a store put back from an older
    /// backup can be told. A foreign id that comes again gets a new internal id.
    async fn erase(&self, tenant: TenantId, ids: &[IdentifierId]) -> Result<()>;

    /// Ids as they stand, ascending by tenant and internal id, from `from` on, at most `limit`. What is made or erased meanwhile may
    /// be among them or not.
    async fn list(
        &self,
        from: (TenantId, IdentifierId),
        limit: usize,
    ) -> Result<Vec<(ForeignId, IdentifierId)>>;

    /// Ids that [`Keys::erase`] was ever called with, ascending, from `from` on, at most `limit`.
    async fn erased(
        &self,
        from: (TenantId, IdentifierId),
        limit: usize,
    ) -> Result<Vec<(TenantId, IdentifierId)>>;
}
