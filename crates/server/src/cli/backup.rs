//! `luopan backup`, `luopan restore` and `luopan migrate`: everything into a folder, back from it, and from a data folder into a
//! cluster.

use super::Common;
use super::output::Said;
use crate::backup::{self, Manifest, Source};
use crate::cluster;
use crate::data::{self, Opening};
use crate::problem::Result;
use clap::Args;
use luopan_store::copy::Part;
use serde_json::json;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(super) struct Backup {
    /// New or empty folder for the backup
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
}

#[derive(Debug, Args)]
pub(super) struct Restore {
    /// Folder of the backup
    #[arg(long, value_name = "DIR")]
    from: PathBuf,
    /// Forget again what was erased since: a newer backup, the data folder or luopan.toml of the installation itself, or a file with
    /// one internal id a line; may be given several times
    #[arg(long, value_name = "PATH")]
    erasures: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct Migrate {
    /// Configuration of the empty cluster (docs/cluster.md)
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
}

fn told(manifest: &Manifest) -> String {
    format!(
        "{} entries of the log, {} rows, {} ids, {} bytes",
        manifest.entries(),
        manifest.records(Part::State),
        manifest.records(Part::Keys),
        manifest.bytes()
    )
}

pub(super) async fn backup(common: &Common, args: Backup) -> Result<Said> {
    let source = match &common.config {
        Some(config) => {
            let (stores, postgres) = cluster::stores(&cluster::read(config)?.cluster).await?;
            let installation = postgres.installation().to_owned();
            Source {
                stores,
                installation,
            }
        }
        None => {
            let (stores, installation) = data::stores(&common.data, Opening::Existing).await?;
            Source {
                stores,
                installation,
            }
        }
    };
    let manifest = backup::take(&source, &args.to).await?;
    data::let_go(&source.stores).await;
    let text = format!("{}: {}\n", args.to.display(), told(&manifest));
    Said::new(&json!({ "folder": args.to, "manifest": manifest }), text)
}

pub(super) async fn restore(common: &Common, args: Restore) -> Result<Said> {
    let (restored, place) = match &common.config {
        Some(config) => {
            let cluster = cluster::read(config)?.cluster;
            let restored = backup::into_cluster(&args.from, &cluster, &args.erasures).await?;
            (restored, config)
        }
        None => {
            let restored = backup::into_folder(&args.from, &common.data, &args.erasures).await?;
            (restored, &common.data)
        }
    };
    let text = format!(
        "{}: restored as of {}: {}; {} ids erased since were forgotten again. `luopan verify` compares all of it with its log\n",
        place.display(),
        restored.manifest.began,
        told(&restored.manifest),
        restored.erased
    );
    Said::new(&restored, text)
}

pub(super) async fn migrate(common: &Common, args: Migrate) -> Result<Said> {
    let cluster = cluster::read(&args.to)?.cluster;
    let moved = backup::migrate(&common.data, cluster).await?;
    let text = format!(
        "{} is moved into installation {}: {} entries of the log in {:.1} s ({:.0} a second), and everything agrees with them. \
         Start nodes with `luopan --config {} serve`; the data folder is kept, and refused from now on\n",
        common.data.display(),
        moved.installation,
        moved.entries,
        moved.seconds,
        moved.entries as f64 / moved.seconds.max(1e-9),
        args.to.display()
    );
    Said::new(&moved, text)
}
