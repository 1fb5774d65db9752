//! Putting a backup back, and moving a data folder into a cluster. What is filled is empty before and whole after, or refused to be
//! opened: a folder is filled beside its place and moved there, a cluster bears a mark while it is filled.

use super::manifest::Manifest;
use super::read::{check, pour};
use super::{bad, erasures};
use crate::cluster::{self, Cluster};
use crate::problem::{Problem, Result};
use luopan_embedded::Embedded;
use luopan_engine::api::VerifyReport;
use luopan_kernel::id::{IdentifierId, TenantId};
use luopan_store::Stores;
use luopan_store::copy::{self, BATCH_KEYS, Filler};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Name of the file in a data folder that was moved elsewhere.
pub const MOVED: &str = "MOVED";

/// What was put back.
#[derive(Debug, Clone, Serialize)]
pub struct Restored {
    /// Of which backup.
    pub manifest: Manifest,
    /// Ids that were erased after it, and were forgotten again.
    pub erased: u64,
}

async fn later(paths: &[PathBuf]) -> Result<BTreeSet<(TenantId, IdentifierId)>> {
    let mut out = BTreeSet::new();
    for path in paths {
        out.extend(erasures(path).await?);
    }
    Ok(out)
}

/// Fills empty stores, and forgets what was erased since.
async fn fill(
    from: &Path,
    manifest: &Manifest,
    later: BTreeSet<(TenantId, IdentifierId)>,
    stores: &Stores,
) -> Result<u64> {
    let mut filler = Filler::new(stores.clone());
    pour(from, manifest, &mut filler).await?;
    filler.finish().await?;
    let count = later.len() as u64;
    let mut each: BTreeMap<TenantId, Vec<IdentifierId>> = BTreeMap::new();
    for (tenant, id) in later {
        each.entry(tenant).or_default().push(id);
    }
    for (tenant, ids) in each {
        for some in ids.chunks(BATCH_KEYS) {
            stores.keys.erase(tenant, some).await?;
        }
    }
    Ok(count)
}

fn not_empty(what: String) -> Box<Problem> {
    Problem::new("target_not_empty", what)
}

/// Puts a backup back as a data folder that is not there or empty.
///
/// # Errors
/// `bad_backup`, `target_not_empty`; those of the stores. The folder is then as it was.
pub async fn into_folder(from: &Path, data: &Path, erased: &[PathBuf]) -> Result<Restored> {
    let manifest = check(from).await?;
    let later = later(erased).await?;
    let shown = data.display();
    let found = match std::fs::read_dir(data) {
        Ok(mut found) => found.next().is_some(),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => false,
        Err(e) => return Err(not_empty(format!("{shown} cannot be looked into: {e}"))),
    };
    if found {
        return Err(not_empty(format!(
            "{shown} is not empty; name a new folder with --data, or move this one away"
        )));
    }
    let name = data.file_name().ok_or_else(|| {
        Problem::new(
            "command_line",
            format!("{shown} has no name of its own; name a folder with --data"),
        )
    })?;
    let beside = data.with_file_name(format!("{}.restoring", name.to_string_lossy()));
    if beside.exists() {
        return Err(not_empty(format!(
            "{} is there: restoring was begun before and did not end, or is under way; remove it and give the command again",
            beside.display()
        )));
    }
    let filled = async {
        let embedded = Embedded::open(&beside, luopan_embedded::Options::default()).await?;
        let stores = embedded.stores();
        drop(embedded);
        let erased = fill(from, &manifest, later, &stores).await?;
        crate::data::let_go(&stores).await;
        Ok(erased)
    };
    let erased = match filled.await {
        Ok(erased) => erased,
        Err(problem) => {
            // It is ours; what cannot be removed is named above the next time.
            let _ = std::fs::remove_dir_all(&beside);
            return Err(problem);
        }
    };
    let placed = || -> std::io::Result<()> {
        std::fs::rename(&beside, data)?;
        let above = match data.parent() {
            Some(above) if !above.as_os_str().is_empty() => above,
            _ => Path::new("."),
        };
        std::fs::File::open(above)?.sync_all()
    };
    placed().map_err(|e| {
        not_empty(format!(
            "{} could not be moved to {shown}: {e}; move it there by hand, it is whole",
            beside.display()
        ))
    })?;
    Ok(Restored { manifest, erased })
}

/// Refuses stores that hold something or at which somebody works.
async fn empty(stores: &Stores) -> Result<()> {
    match copy::held(stores).await? {
        None => Ok(()),
        Some(what) => Err(not_empty(format!(
            "the cluster is not empty: {what}. Name empty databases and another stream in the configuration"
        ))),
    }
}

/// Puts a backup back as an empty cluster.
///
/// # Errors
/// `bad_backup`, `target_not_empty`, `cluster_unusable`; those of the stores. From when it begins to be filled until it is whole,
/// the cluster is refused by every command.
pub async fn into_cluster(from: &Path, cluster: &Cluster, erased: &[PathBuf]) -> Result<Restored> {
    let manifest = check(from).await?;
    let later = later(erased).await?;
    let (stores, postgres) = cluster::stores(cluster).await?;
    empty(&stores).await?;
    let what = format!(
        "restoring the backup {} of {}",
        from.display(),
        manifest.began
    );
    postgres.filling(Some(&what)).await?;
    let erased = fill(from, &manifest, later, &stores).await?;
    postgres.filling(None).await?;
    Ok(Restored { manifest, erased })
}

/// What was moved.
#[derive(Debug, Serialize)]
pub struct Moved {
    /// The installation that it became.
    pub installation: String,
    /// Entries of the log.
    pub entries: u64,
    /// Seconds from the beginning until everything was there, without verifying.
    pub seconds: f64,
    /// What verifying found.
    pub verified: VerifyReport,
}

/// Moves a stopped data folder into an empty cluster, and verifies it there. The folder stays as it is, but for a file that says that it
/// was moved; it is refused from then on.
///
/// # Errors
/// `data_in_use`, `data_unusable`, `target_not_empty`, `cluster_unusable`; those of the stores. As [`into_cluster`].
pub async fn migrate(data: &Path, cluster: Cluster) -> Result<Moved> {
    let (source, _) = crate::data::stores(data, crate::data::Opening::Existing).await?;
    let (target, postgres) = cluster::stores(&cluster).await?;
    empty(&target).await?;
    let what = format!("moving the data folder {} here", data.display());
    postgres.filling(Some(&what)).await?;
    let began = std::time::Instant::now();
    let mut filler = Filler::new(target.clone());
    let copied = copy::copy(&source, &mut filler).await?;
    filler.finish().await?;
    let seconds = began.elapsed().as_secs_f64();
    let entries = copied.partitions.values().map(|(head, _)| head.0).sum();
    let opened = cluster::engine(cluster, target, &postgres).await?;
    let verified = opened.verify().await?;
    if verified.differences_count > 0 {
        return Err(bad(format!(
            "what was moved differs from what its log tells in {} places, the first: {}; the cluster stays marked as unfinished, and \
             the data folder as it was: look with `luopan verify` whether it differs too",
            verified.differences_count,
            verified.differences.first().map_or("", String::as_str)
        )));
    }
    let installation = postgres.installation().to_owned();
    let words = format!("This data folder was moved to installation {installation}.\n");
    crate::whole::write_whole(&data.join(MOVED), words.as_bytes())?;
    // Held until here: whoever opened the folder meanwhile would go on with what has moved.
    crate::data::let_go(&source).await;
    postgres.filling(None).await?;
    Ok(Moved {
        installation,
        entries,
        seconds,
        verified,
    })
}
