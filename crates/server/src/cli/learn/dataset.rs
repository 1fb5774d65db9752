//! `luopan learn dataset`.

use super::super::Common;
use super::super::output::Said;
use crate::data::Opening;
use crate::learn::dataset::{self, Written};
use crate::problem::{Problem, Result};
use crate::whole::writable;
use clap::Args;
use luopan_engine::dataset::DatasetSpec;
use luopan_engine::dataset::shadow::Candidate;
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
    /// A policy of the scene in shadow: beside each decision stands what it would have done. `POLICY@MODEL:VERSION` gives it a version
    /// of a registered model in place of the one in force. Again for each further policy
    #[arg(long, value_parser = candidate, value_name = "POLICY[@MODEL:VERSION]")]
    shadow: Vec<Candidate>,
}

fn candidate(text: &str) -> std::result::Result<Candidate, String> {
    let wrong = || {
        format!(
            "`{text}` names no policy in shadow; write a policy, as `next`, or a policy with a version of a registered model, as `next@buy:3`"
        )
    };
    let (policy, model) = match text.split_once('@') {
        None => (text, None),
        Some((policy, rest)) => {
            let (model, version) = rest.split_once(':').ok_or_else(wrong)?;
            let version: u32 = version.parse().ok().filter(|v| *v > 0).ok_or_else(wrong)?;
            if model.is_empty() {
                return Err(wrong());
            }
            (policy, Some((model.to_owned(), version)))
        }
    };
    match policy.is_empty() {
        true => Err(wrong()),
        false => Ok(Candidate {
            policy: policy.to_owned(),
            model,
        }),
    }
}

pub(super) async fn run(common: &Common, asked: Dataset) -> Result<Said> {
    if asked.output.extension().is_none_or(|e| e != "parquet") {
        return Err(Problem::new(
            "command_line",
            format!(
                "{}: a training set is Parquet; write a name that ends in .parquet",
                asked.output.display()
            ),
        ));
    }
    writable(&asked.output)?;
    super::in_order(asked.from, asked.until)?;
    if let Some(twice) = (asked.shadow.iter().enumerate())
        .find_map(|(i, c)| asked.shadow[..i].contains(c).then_some(c))
    {
        return Err(Problem::new(
            "command_line",
            format!("--shadow {twice} is written twice; write each once"),
        ));
    }
    let spec = DatasetSpec {
        from: asked.from,
        until: asked.until,
        ..DatasetSpec::default()
    };
    let opened = common.open(Opening::Existing).await?;
    let outcome = match opened.settle().await {
        Ok(()) => {
            let (engine, output) = (&opened.engine, &asked.output);
            dataset::write(
                engine,
                &asked.scene,
                &asked.policy,
                &spec,
                &asked.shadow,
                output,
            )
            .await
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
        "{}: {} rows of {} decisions, {} features, {} rewards; {} rows are settled\n",
        output.display(),
        written.rows,
        written.decisions,
        written.features.len(),
        written.rewards.len(),
        written.settled,
    );
    if written.compared > 0 {
        out.push_str(&format!(
            "{} recorded values equal what the log says\n",
            written.compared
        ));
    } else if written.decisions > 0 {
        out.push_str("nothing recorded could be compared with the log: decisions read nothing, or were made under earlier versions of the scene\n");
    }
    for shadow in written.shadows.iter().filter(|_| written.rows > 0) {
        out.push_str(&format!(
            "{shadow} in shadow: `luopan learn evaluate --logs {} --policy shadow:{shadow}`\n",
            output.display()
        ));
    }
    if written.unshadowed > 0 {
        out.push_str(&format!(
            "{} decisions could not be decided again: they recorded too little, or were made before what the candidate has learned from was over (before its version was registered, or its file applied)\n",
            written.unshadowed
        ));
    }
    if written.is_thinned {
        out.push_str("there are too many states of models to keep them all: some decisions in shadow were given a somewhat earlier one\n");
    }
    if !skipped.is_empty() {
        out.push_str(&format!("without a row: {}\n", skipped.join(", ")));
    }
    if written.decisions == 0 {
        out.push_str("no decision of this policy is in the log: the file has columns and no rows; look at the name of the policy\n");
    }
    out.push_str(&format!("sha256 {}\n", written.sha256));
    out
}
