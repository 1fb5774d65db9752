//! `luopan proof` writes why every decision and order of a period was allowed; `luopan proof verify` checks such a file
//! without a data folder.

use super::Common;
use super::output::Said;
use crate::data::Opening;
use crate::problem::{Problem, Result};
use crate::proof::{Expected, PlanHeld, Written};
use crate::whole::beside;
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
    /// Check a proof from the file alone: its chain of hashes, every rule of every decision, which decision permits each order
    ///
    /// That nothing was left out of the file, and that its plans are those that were in force, no file can say of itself: give
    /// the hash that was kept when it was written, and those of the plans.
    Verify {
        /// The file
        file: PathBuf,
        /// Hash that `luopan proof` printed when the file was written; another is a fault
        #[arg(long, value_name = "HEX", value_parser = sha256)]
        hash: Option<String>,
        /// Hash of a plan that may be in it, as often as there are plans; any other plan is a fault
        #[arg(long = "plan", value_name = "HASH", value_parser = sha256)]
        plans: Vec<String>,
        /// Make an order without a permit a fault
        #[arg(long)]
        require_permits: bool,
    },
}

/// A hash as this program writes it.
fn sha256(text: &str) -> std::result::Result<String, String> {
    if text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Ok(text.to_ascii_lowercase());
    }
    Err("no hash; write the 64 hexadecimal digits that `luopan proof` printed".to_owned())
}

pub(super) async fn run(common: &Common, proof: Proof) -> Result<Said> {
    match proof {
        Proof {
            verify:
                Some(Verify::Verify {
                    file,
                    hash,
                    plans,
                    require_permits,
                }),
            ..
        } => verify(
            &file,
            &Expected {
                hash,
                plans,
                permits: require_permits,
            },
        ),
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
    let opened = common.open(Opening::Existing).await?;
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
    let part = beside(output).map_err(unwritable)?;
    let file = part.reopen().map_err(unwritable)?;
    let written = crate::proof::write(&opened.engine, &scene, from, to, BufWriter::new(file)).await;
    opened.close().await;
    let Written { tally, hash, plans } = written?;
    part.as_file().sync_all().map_err(unwritable)?;
    part.persist(output).map_err(|e| unwritable(e.error))?;
    let mut text = format!(
        "{}: {} decisions that offered something ({} of them before the period; {} of it offered nothing), {} of them not provable; {}\n",
        output.display(),
        tally.decisions,
        tally.earlier,
        tally.silent,
        tally.failed,
        tally.of_orders()
    );
    text.push_str(&lines(&plans));
    text.push_str(&format!(
        "hash {hash}; keep it, and those of the plans, apart from the file\n"
    ));
    let json = json!({
        "file": output, "scene": scene, "tally": tally, "hash": hash, "plans": plans,
    });
    Ok(Said::new(&json, text)?.unless(tally.failed == 0))
}

fn lines(plans: &[PlanHeld]) -> String {
    plans.iter().map(|p| p.line() + "\n").collect()
}

fn verify(path: &Path, expected: &Expected) -> Result<Said> {
    let file = File::open(path).map_err(|e| {
        Problem::new(
            "file_unreadable",
            format!("{} cannot be read: {e}", path.display()),
        )
    })?;
    let found = crate::proof::verify(BufReader::new(file), expected)?;
    let mut text = format!(
        "scene {}, {} to {}: {} decisions, {} not allowed; {}\n",
        found.scene,
        found.from,
        found.to,
        found.tally.decisions,
        found.tally.failed,
        found.tally.of_orders()
    );
    text.push_str(&lines(&found.plans));
    text.push_str(&format!("hash {}\n", found.head));
    for fault in &found.faults {
        text.push_str(&format!("- {fault}\n"));
    }
    if found.faults_count > 0 {
        text.push_str(&format!("{} faults\n", found.faults_count));
    } else {
        text.push_str(
            "the chain is whole, and every decision in the file is allowed by every rule of its plan, evaluated again",
        );
        text.push_str(match found.tally.unproved {
            0 => "\n",
            _ => "; of the orders without a permit nothing is proved (--require-permits makes them faults)\n",
        });
        if expected.hash.is_none() {
            text.push_str(
                "whether anything was left out of the file only the hash that was kept can tell (--hash)\n",
            );
        }
    }
    Ok(Said::new(&found, text)?.unless(found.faults_count == 0))
}
