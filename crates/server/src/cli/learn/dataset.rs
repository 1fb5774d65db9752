//! `luopan learn dataset`.

use super::super::Common;
use super::super::output::Said;
use crate::data::Opening;
use crate::learn::dataset::{self, Written};
use crate::problem::Result;
use crate::whole::writable;
use clap::Args;
use luopan_engine::dataset::DatasetSpec;
use luopan_kernel::time::Micros;
use serde_json::json;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub(in crate::cli) struct Dataset {
    /// Scene
    #[arg(long)]
    scene: String,
    /// Policy whose decisions they are
    #[arg(long)]
    policy: String,
    /// The Parquet file to write
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
    /// Decisions made at this time and later, RFC 3339 with a zone
    #[arg(long, value_parser = crate::time::parse, value_name = "TIME")]
    from: Option<Micros>,
    /// Decisions made before this time, RFC 3339 with a zone
    #[arg(long, value_parser = crate::time::parse, value_name = "TIME")]
    until: Option<Micros>,
}

pub(super) async fn run(common: &Common, asked: Dataset) -> Result<Said> {
    writable(&asked.output)?;
    let spec = DatasetSpec {
        from: asked.from,
        until: asked.until,
    };
    let opened = common.open(Opening::Existing).await?;
    let outcome = match opened.settle().await {
        Ok(()) => {
            let (engine, output) = (&opened.engine, &asked.output);
            dataset::write(engine, &asked.scene, &asked.policy, &spec, output).await
        }
        Err(e) => Err(e),
    };
    opened.close().await;
    let written = outcome?;
    let mut json = json!(written);
    json["output"] = json!(asked.output);
    json["skipped"] = (written.skipped.iter())
        .map(|(why, n)| ((*why).to_owned(), json!(n)))
        .collect();
    Said::new(&json, words(&written, &asked.output))
}

fn words(written: &Written, output: &Path) -> String {
    let skipped: Vec<String> = (written.skipped.iter())
        .filter(|(_, n)| *n > 0)
        .map(|(why, n)| format!("{n} {}", why.replace('_', " ")))
        .collect();
    let mut out = format!(
        "{}: {} rows of {} decisions, {} features, {} rewards; {} rows are settled\n{} recorded values equal what the log says\n",
        output.display(),
        written.rows,
        written.decisions,
        written.features.len(),
        written.rewards.len(),
        written.settled,
        written.compared,
    );
    if !skipped.is_empty() {
        out.push_str(&format!("without a row: {}\n", skipped.join(", ")));
    }
    if written.decisions == 0 {
        out.push_str("no decision of this policy is in the log: the file has columns and no rows; look at the name of the policy\n");
    }
    out.push_str(&format!("sha256 {}\n", written.sha256));
    out
}
