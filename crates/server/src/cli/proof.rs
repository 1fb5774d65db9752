//! `luopan proof` writes why every decision and order of a period was allowed; `luopan proof verify` checks such a file
//! without a data folder.

use super::Common;
use super::output::Said;
use crate::data::{Opening, open};
use crate::problem::{Problem, Result};
use clap::{Args, Subcommand};
use luopan_kernel::time::Micros;
use serde_json::json;
use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Proof {
    #[command(subcommand)]
    verify: Option<Verify>,
    /// Scene; may be left out when only one is applied
    #[arg(long)]
    scene: Option<String>,
    /// Begin and end, `2026-11-01..2026-12-01`: days of UTC or times with an offset, the end not included
    #[arg(long, value_name = "FROM..TO", required = true)]
    period: Option<String>,
    /// File to write
    #[arg(long, value_name = "FILE", required = true)]
    output: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Verify {
    /// Check a proof: its chain of hashes and every rule, from the file alone
    Verify {
        /// The file
        file: PathBuf,
    },
}

pub(super) async fn run(common: &Common, proof: Proof) -> Result<Said> {
    match proof {
        Proof {
            verify: Some(Verify::Verify { file }),
            ..
        } => verify(&file),
        Proof {
            scene,
            period: Some(period),
            output: Some(output),
            ..
        } => make(common, scene, &period, &output).await,
        _ => Err(Problem::new("command_line", "write --period and --output")),
    }
}

/// A day of UTC or a time.
fn moment(text: &str) -> Result<Micros> {
    let whole = if text.len() == 10 {
        format!("{text}T00:00:00Z")
    } else {
        text.to_owned()
    };
    crate::time::parse(&whole).map_err(|e| {
        Problem::new(
            "command_line",
            format!(
                "`{text}` is no begin or end of a period ({e}); write `2026-11-01..2026-12-01`"
            ),
        )
    })
}

async fn make(common: &Common, scene: Option<String>, period: &str, output: &Path) -> Result<Said> {
    let Some((from, to)) = period.split_once("..") else {
        return Err(Problem::new(
            "command_line",
            format!("`{period}` is no period; write `2026-11-01..2026-12-01`"),
        ));
    };
    let (from, to) = (moment(from)?, moment(to)?);
    if from >= to {
        return Err(Problem::new(
            "command_line",
            format!("the period `{period}` ends before it begins; write the earlier time first"),
        ));
    }
    let opened = open(&common.data, Opening::Existing).await?;
    opened.settle().await?;
    let scene = match scene {
        Some(scene) => scene,
        None => match &opened.engine.scenes()[..] {
            [one] => one.name.clone(),
            several => {
                let names: Vec<_> = several.iter().map(|s| format!("`{}`", s.name)).collect();
                return Err(Problem::new(
                    "scene_wanted",
                    format!("applied are {}; write --scene NAME", names.join(", ")),
                ));
            }
        },
    };
    let unwritable = |e: std::io::Error| {
        Problem::new(
            "file_unreadable",
            format!("{} cannot be written: {e}", output.display()),
        )
    };
    // Half a proof is none: it gets its name when it is whole.
    let part = output.with_extension("part");
    let file = File::create(&part).map_err(unwritable)?;
    let written = crate::proof::write(&opened.engine, &scene, from, to, BufWriter::new(file)).await;
    opened.close().await;
    let (tally, head) = written?;
    File::open(&part)
        .and_then(|f| f.sync_all())
        .map_err(unwritable)?;
    std::fs::rename(&part, output).map_err(unwritable)?;
    let text = format!(
        "{}: {} decisions that offered something ({} offered nothing), {} of them not provable; {} orders, {} purchases without a decision that allowed them\nhash {head}; keep it apart from the file\n",
        output.display(),
        tally.decisions,
        tally.silent,
        tally.failed,
        tally.orders,
        tally.unproved
    );
    let json = json!({ "file": output, "scene": scene, "tally": tally, "hash": head });
    Ok(Said::new(&json, text)?.unless(tally.failed == 0))
}

fn verify(path: &Path) -> Result<Said> {
    let file = File::open(path).map_err(|e| {
        Problem::new(
            "file_unreadable",
            format!("{} cannot be read: {e}", path.display()),
        )
    })?;
    let found = crate::proof::verify(BufReader::new(file))?;
    let mut text = format!(
        "scene {}, {} to {}: {} decisions, {} not allowed; {} orders, {} purchases without a decision that allowed them\nhash {}\n",
        found.scene,
        found.from,
        found.to,
        found.tally.decisions,
        found.tally.failed,
        found.tally.orders,
        found.tally.unproved,
        found.head
    );
    for fault in &found.faults {
        text.push_str(&format!("- {fault}\n"));
    }
    text.push_str(&match found.faults_count {
        0 => {
            "every rule of every decision was evaluated again and allowed it; the chain is whole\n"
                .to_owned()
        }
        n => format!("{n} faults\n"),
    });
    Ok(Said::new(&found, text)?.unless(found.faults_count == 0))
}
