//! Which ids were erased after a backup was taken: from a newer backup, from the key store of the installation itself, or from a list.
//! It holds internal ids alone.

use super::manifest::{MANIFEST, Manifest};
use super::{bad, read};
use crate::problem::Result;
use async_trait::async_trait;
use luopan_kernel::id::{DEFAULT_TENANT, IdentifierId, TenantId};
use luopan_store::Keys;
use luopan_store::copy::{BATCH_KEYS, Part, Record, Sink};
use luopan_store::keys::following;
use std::collections::BTreeSet;
use std::path::Path;

type Ids = BTreeSet<(TenantId, IdentifierId)>;

struct Gathered(Ids);

#[async_trait]
impl Sink for Gathered {
    async fn put(&mut self, records: Vec<Record>) -> luopan_store::Result<()> {
        self.0.extend(records.into_iter().filter_map(|r| match r {
            Record::Erased(tenant, id) => Some((tenant, id)),
            _ => None,
        }));
        Ok(())
    }
}

/// All that a key store was ever told to erase.
async fn told(keys: &dyn Keys) -> Result<Ids> {
    let mut out = Ids::new();
    let mut from = Some((TenantId(0), IdentifierId([0; 16])));
    while let Some(at) = from {
        let found = keys.erased(at, BATCH_KEYS).await?;
        from = found.last().and_then(|last| following(*last));
        out.extend(found);
    }
    Ok(out)
}

/// Reads which ids were erased: `path` is the folder of a backup, a data folder that no process holds, the configuration of a cluster
/// (`*.toml`), or a file with one internal id a line.
///
/// # Errors
/// `bad_backup` with what was found; those of the stores.
pub async fn erasures(path: &Path) -> Result<Ids> {
    if path.join(MANIFEST).exists() {
        let manifest = Manifest::read(path)?;
        read::sound(path, &manifest, Part::Erased)?;
        let mut gathered = Gathered(Ids::new());
        read::part(path, &manifest, Part::Erased, &mut gathered).await?;
        return Ok(gathered.0);
    }
    if path.is_dir() {
        let keys = luopan_embedded::keys(path, luopan_embedded::Options::default()).await?;
        return told(keys.as_ref()).await;
    }
    if path.extension().is_some_and(|e| e == "toml") {
        let cluster = crate::cluster::read(path)?.cluster;
        let keys = crate::cluster::postgres(&cluster).await?.keys;
        return told(keys.as_ref()).await;
    }
    let shown = path.display();
    let text = std::fs::read_to_string(path).map_err(|e| {
        bad(format!(
            "{shown} cannot be read: {e}; name a backup, a data folder, a luopan.toml, or a file with one internal id a line"
        ))
    })?;
    let mut out = Ids::new();
    for (i, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() {
            continue;
        }
        let id: IdentifierId =
            (line.parse()).map_err(|e| bad(format!("{shown} line {}: {e}", i + 1)))?;
        out.insert((DEFAULT_TENANT, id));
    }
    Ok(out)
}
