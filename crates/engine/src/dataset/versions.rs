//! The catalogues as decisions saw them: each version is laid out once, and of it what was chosen is kept.

use super::shadow::Ground;
use super::wanted::Wanted;
use super::{Dataset, SHADOW_ROWS_MAX, VERSIONS_MAX};
use crate::api::{Refusal, RefusalKind, Result};
use luopan_kernel::artifact::Artifacts;
use luopan_kernel::catalogue::Catalogue;
use luopan_kernel::slots::Around;
use luopan_kernel::value::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

fn too_many_rows(found: usize) -> Refusal {
    Refusal {
        code: "too_many_versions",
        kind: RefusalKind::Invalid,
        message: format!(
            "what the decisions saw of the catalogue has {found} rows and more in all its versions, and at most {SHADOW_ROWS_MAX} are laid out \
             for a policy in shadow; name a shorter time"
        ),
    }
}

/// What was chosen, by version of the catalogues.
#[derive(Default)]
pub(super) struct Seen(BTreeMap<u64, BTreeSet<String>>);

/// A version of the catalogues.
struct Version {
    market: Vec<Value<'static>>,
    /// The policy's, with what was chosen alone.
    chosen: Catalogue,
    /// The whole, where candidates decide again.
    ground: Option<Ground>,
}

/// All versions that were seen.
pub(super) struct Versions {
    artifacts: Arc<Artifacts>,
    of: BTreeMap<u64, Version>,
    /// Items that any decision chose.
    pub(super) items: BTreeSet<Arc<str>>,
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
        let mut laid_out = 0;
        let all: BTreeSet<Arc<str>> = (self.0.values().flatten())
            .map(|key| Arc::from(key.as_str()))
            .collect();
        for (version, items) in self.0 {
            let catalogues = of.inner.catalogues_at(&of.scene, version).await?;
            let of_number = |n: u16| catalogues.get(usize::from(n)).map(AsRef::as_ref);
            let Some(whole) = catalogues.get(number) else {
                continue;
            };
            let mut ground = None;
            if !of.shadows.is_empty() {
                laid_out += whole.len();
                if laid_out > SHADOW_ROWS_MAX {
                    return Err(too_many_rows(laid_out));
                }
                ground = Some(Ground::new(of, &of.shadows, whole.clone()));
            }
            let version_of = Version {
                market: luopan_kernel::market::values(plan, of_number),
                chosen: whole.only(&items),
                ground,
            };
            out.insert(version, version_of);
        }
        Ok(Versions {
            artifacts: of.inner.artifacts_of(&of.scene).await?,
            of: out,
            items: all,
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

    /// A version for candidates, and the market then.
    pub(super) fn ground(&self, version: u64) -> Option<(&Ground, &[Value<'static>])> {
        let found = self.of.get(&version)?;
        Some((found.ground.as_ref()?, &found.market))
    }

    /// What was chosen from a version.
    pub(super) fn chosen(&self, version: u64) -> Option<&Catalogue> {
        self.of.get(&version).map(|v| &v.chosen)
    }
}
