//! `luopan retain`: lets go of log entries older than is kept, once snapshots tell what they told.

use super::Common;
use super::output::Said;
use crate::data::Opening;
use crate::problem::Result;
use crate::retention;
use clap::Args;

#[derive(Debug, Args)]
pub(super) struct Retain {
    /// How much of the log is kept, at least one day: `90d`
    #[arg(long, value_name = "TIME", value_parser = retention::keep)]
    keep: i64,
}

pub(super) async fn run(common: &Common, args: Retain) -> Result<Said> {
    let opened = common.open(Opening::Existing).await?;
    // Nodes of a cluster may be at work: nothing stands still to be compared.
    let compare = common.config.is_none();
    let report = retention::once(&opened, args.keep, compare).await?;
    let text = format!(
        "{} log entries of {} partitions let go, {} left; {} entries were replayed into snapshots of {} parts\n",
        report.entries, report.partitions, report.left, report.replayed, report.parts
    );
    let said = Said::new(&report, text);
    opened.close().await;
    said
}
