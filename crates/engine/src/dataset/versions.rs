//! The catalogues as decisions saw them: each version is laid out once, and of it what was chosen is kept.

use super::wanted::Wanted;
use super::{Dataset, VERSIONS_MAX};
use crate::api::{Refusal, RefusalKind, Result};
use luopan_kernel::artifact::Artifacts;
use luopan_kernel::catalogue::Catalogue;
use luopan_kernel::slots::Around;
use luopan_kernel::value::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What was chosen, by version of the catalogues.
#[derive(Default)]
pub(super) struct Seen(BTreeMap<u64, BTreeSet<String>>);

/// A version of the catalogues.
struct Version {
    market: Vec<Value<'static>>,
    /// The policy's, with what was chosen alone.
    chosen: Catalogue,
}

/// All versions that were seen.
pub(super) struct Versions {
    artifacts: Arc<Artifacts>,
    of: BTreeMap<u64, Version>,
}

impl Seen {
    pub(super) fn note(&mut self, wanted: &Wanted) {
        let record = &wanted.record;
        let items = self.0.entry(record.catalogue_version).or_default();
        for choice in &record.decision.choices {
            if !items.contains(&choice.item) {
                items.insert(choice.item.clone());
            }
        }
    }

    /// Lays out all that was noted.
    pub(super) async fn lay_out(self, of: &Dataset) -> Result<Versions> {
        if self.0.len() > VERSIONS_MAX {
            return Err(Refusal {
                code: "too_many_versions",
                kind: RefusalKind::Invalid,
                message: format!(
                    "the decisions saw {} versions of the catalogues, and at most {VERSIONS_MAX} are laid out for one training set; \
                     name a shorter time",
                    self.0.len()
                ),
            });
        }
        let plan = &of.scene.plan;
        let number = usize::from(of.policy().catalogue);
        let mut out = BTreeMap::new();
        for (version, items) in self.0 {
            let catalogues = of.inner.catalogues_at(&of.scene, version).await?;
            let of_number = |n: u16| catalogues.get(usize::from(n)).map(AsRef::as_ref);
            let Some(whole) = catalogues.get(number) else {
                continue;
            };
            let version_of = Version {
                market: luopan_kernel::market::values(plan, of_number),
                chosen: whole.only(&items),
            };
            out.insert(version, version_of);
        }
        Ok(Versions {
            artifacts: of.inner.artifacts_of(&of.scene).await?,
            of: out,
        })
    }
}

impl Versions {
    pub(super) fn len(&self) -> usize {
        self.of.len()
    }

    /// What is known beside the customer at a version.
    pub(super) fn around(&self, version: u64) -> Around<'_> {
        let market = self.of.get(&version).map_or(&[][..], |v| &v.market);
        Around {
            market,
            artifacts: &self.artifacts,
        }
    }

    /// What was chosen from a version.
    pub(super) fn chosen(&self, version: u64) -> Option<&Catalogue> {
        self.of.get(&version).map(|v| &v.chosen)
    }
}
