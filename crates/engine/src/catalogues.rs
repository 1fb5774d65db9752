//! Catalogues in memory: immutable snapshots, swapped whole when the environment partition was folded further.

use crate::Inner;
use crate::rows;
use crate::scenes::SceneRuntime;
use bytes::Bytes;
use luopan_kernel::artifact::Artifacts;
use luopan_kernel::catalogue::Catalogue;
use luopan_kernel::decide::Prepared;
use luopan_kernel::event::{Entry, Event, PRODUCT_TYPE, decode_message};
use luopan_kernel::id::{PartitionId, Position, SceneNo};
use luopan_kernel::plan::policy::PolicyPlan;
use luopan_kernel::plan::{CataloguePlan, ItemPlan, ScenePlan};
use luopan_kernel::value::Value;
use luopan_store::{Row, Table, Write};
use parking_lot::RwLock;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Format of an item's row.
const FORMAT: u8 = 1;
const ENVIRONMENT: PartitionId = PartitionId(luopan_kernel::ENVIRONMENT_PARTITION);
/// Rows or bytes read at once.
const READ_ROWS: usize = 10_000;
const READ_BYTES: usize = 4 << 20;

/// Catalogues by scene and its version.
#[derive(Debug, Default)]
pub(crate) struct Catalogues {
    inner: RwLock<BTreeMap<(SceneNo, u32), Arc<Snapshot>>>,
}

/// The catalogues of one scene version at one moment, with its policies made ready for them.
#[derive(Debug)]
pub(crate) struct Snapshot {
    catalogues: Vec<Arc<Catalogue>>,
    /// One a policy; none for a policy whose catalogue the plan does not have.
    prepared: Vec<Option<Prepared>>,
}

impl Snapshot {
    fn new(plan: &ScenePlan, catalogues: Vec<Catalogue>, artifacts: &Artifacts) -> Self {
        let prepare = |policy: &PolicyPlan| {
            let catalogue = catalogues.get(usize::from(policy.catalogue))?;
            Some(Prepared::new(plan, policy, catalogue, artifacts))
        };
        Self {
            prepared: plan.policies.iter().map(prepare).collect(),
            catalogues: catalogues.into_iter().map(Arc::new).collect(),
        }
    }

    /// Catalogue `number`.
    pub(crate) fn catalogue(&self, number: u16) -> Option<&Arc<Catalogue>> {
        self.catalogues.get(usize::from(number))
    }

    /// What policy number `policy` decides over.
    pub(crate) fn of_policy(
        &self,
        plan: &ScenePlan,
        policy: usize,
    ) -> Option<(&Catalogue, &Prepared)> {
        let catalogue = plan.policies.get(policy)?.catalogue;
        let prepared = self.prepared.get(policy)?.as_ref()?;
        Some((self.catalogue(catalogue)?, prepared))
    }
}

impl Catalogues {
    /// The newest snapshot, laid out for this version of its scene.
    pub(crate) fn get(&self, scene: &SceneRuntime) -> Option<Arc<Snapshot>> {
        self.inner.read().get(&(scene.no, scene.version)).cloned()
    }
}

/// Row number of a catalogue: a hash of its name, so that another catalogue beside it changes nothing.
pub(crate) type CatalogueNo = u64;

/// Row number of the catalogue of this name.
pub(crate) fn number(name: &str) -> CatalogueNo {
    luopan_kernel::id::hash64(name.as_bytes())
}

/// An item as imported: values by attribute name, so that a later plan may have other attributes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Imported {
    values: Vec<(String, Value<'static>)>,
}

impl Imported {
    /// The value of its row.
    pub(crate) fn encode(&self) -> Bytes {
        let mut out = vec![FORMAT];
        // Values are finite and names are text: this cannot fail.
        out.extend(serde_json::to_vec(self).unwrap_or_default());
        Bytes::from(out)
    }

    /// Catalogue and key, and the item, of a row.
    pub(crate) fn decode(row: &Row) -> luopan_store::Result<(SceneNo, CatalogueNo, String, Self)> {
        let corrupt = |cause: String| luopan_store::Error::Corrupt {
            store: "state",
            at: format!("catalogue item {}", String::from_utf8_lossy(&row.key)),
            cause,
        };
        let (Some((scene, rest)), Some((format, json))) =
            (row.key.split_first_chunk::<2>(), row.value.split_first())
        else {
            return Err(corrupt("a key and a value are wanted".into()));
        };
        let Some((catalogue, name)) = rest.split_first_chunk::<8>() else {
            return Err(corrupt("a key with a catalogue is wanted".into()));
        };
        if *format != FORMAT {
            return Err(corrupt(format!(
                "it has format {format}, this program reads up to {FORMAT}; use a newer program"
            )));
        }
        let name = std::str::from_utf8(name).map_err(|e| corrupt(e.to_string()))?;
        let item = serde_json::from_slice(json).map_err(|e| corrupt(e.to_string()))?;
        Ok((
            SceneNo(u16::from_be_bytes(*scene)),
            u64::from_be_bytes(*catalogue),
            name.to_owned(),
            item,
        ))
    }
}

fn parse(event: &Event<'_>) -> Option<(CatalogueNo, String, Imported)> {
    let Value::Text(catalogue) = event.property("luopan.catalogue") else {
        return None;
    };
    let Value::Text(key) = event.property("luopan.key") else {
        return None;
    };
    let values = (event.properties.iter())
        .filter(|(n, _)| !n.starts_with("luopan."))
        .map(|(n, v)| (n.clone().into_owned(), v.clone().into_owned()))
        .collect();
    Some((
        number(catalogue),
        key.clone().into_owned(),
        Imported { values },
    ))
}

/// The row that an entry of the environment partition writes.
pub(crate) fn item_write(entry: &Entry<'_>) -> Option<Write> {
    let Entry::Event(event) = entry else {
        return None;
    };
    if event.kind != PRODUCT_TYPE {
        return None;
    }
    let (catalogue, key, imported) = parse(event)?;
    Some(Write {
        key: rows::item(event.scene, catalogue, &key),
        value: Some(imported.encode()),
    })
}

/// The item in the order of the plan's attributes; what it lacks is missing.
fn laid_out(plan: &CataloguePlan, key: String, imported: &Imported) -> ItemPlan {
    let values = (plan.attributes.iter())
        .map(|a| {
            let found = imported
                .values
                .iter()
                .find(|(n, _)| *n == a.name)
                .map(|(_, v)| v.clone());
            found.filter(|v| v.fits(a.kind)).unwrap_or_default()
        })
        .collect();
    ItemPlan { key, values }
}

fn build(
    plan: &ScenePlan,
    version: u64,
    items: &BTreeMap<(CatalogueNo, String), Imported>,
) -> luopan_store::Result<Vec<Catalogue>> {
    (plan.catalogues.iter())
        .map(|catalogue| {
            let no = number(&catalogue.name);
            let mine = (items.iter().filter(|((c, _), _)| *c == no))
                .map(|((_, key), v)| laid_out(catalogue, key.clone(), v));
            Catalogue::new(catalogue, version, mine).map_err(|e| luopan_store::Error::Corrupt {
                store: "state",
                at: format!("catalogue {}", catalogue.name),
                cause: e.to_string(),
            })
        })
        .collect()
}

impl Inner {
    /// Builds every catalogue of every scene from State.
    pub(crate) async fn reload_catalogues(&self) -> luopan_store::Result<()> {
        let version = self.state.positions(&[ENVIRONMENT]).await?[0].0;
        let mut items: BTreeMap<SceneNo, BTreeMap<(CatalogueNo, String), Imported>> =
            BTreeMap::new();
        let mut from = Vec::new();
        loop {
            let found = self
                .state
                .scan(Table::Item, ENVIRONMENT, &from, None, READ_ROWS)
                .await?;
            let Some(last) = found.last() else { break };
            from = [&last.key[..], &[0]].concat();
            for row in &found {
                let (scene, catalogue, name, imported) = Imported::decode(row)?;
                items
                    .entry(scene)
                    .or_default()
                    .insert((catalogue, name), imported);
            }
        }
        let none = BTreeMap::new();
        let mut built = BTreeMap::new();
        for scene in self.scenes.in_use() {
            let mine = items.get(&scene.no).unwrap_or(&none);
            let catalogues = build(&scene.plan, version, mine)?;
            let artifacts = self.artifacts_of(&scene).await?;
            let snapshot = Snapshot::new(&scene.plan, catalogues, &artifacts);
            built.insert((scene.no, scene.version), Arc::new(snapshot));
        }
        *self.catalogues.inner.write() = built;
        Ok(())
    }

    /// A catalogue as it was at a version (a position of the environment partition).
    pub(crate) async fn catalogue_at(
        &self,
        plan: &ScenePlan,
        scene: SceneNo,
        catalogue: u16,
        version: u64,
    ) -> luopan_store::Result<Option<Arc<Catalogue>>> {
        let mut items = BTreeMap::new();
        let mut next = Position(0);
        'log: while next.0 < version {
            let messages = self.log.read(ENVIRONMENT, next, READ_BYTES).await?;
            if messages.is_empty() {
                break;
            }
            for m in &messages {
                let entries =
                    decode_message(&m.message).map_err(|e| luopan_store::Error::Corrupt {
                        store: "log",
                        at: format!("environment position {}", m.first.0),
                        cause: e.to_string(),
                    })?;
                for (i, entry) in entries.iter().enumerate() {
                    if m.first.0 + i as u64 >= version {
                        break 'log;
                    }
                    if let Entry::Event(e) = entry
                        && e.scene == scene
                        && let Some((c, key, imported)) = parse(e)
                    {
                        items.insert((c, key), imported);
                    }
                }
                next = m.end();
            }
        }
        Ok(build(plan, version, &items)?
            .into_iter()
            .nth(usize::from(catalogue))
            .map(Arc::new))
    }
}
