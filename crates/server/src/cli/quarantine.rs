//! `luopan quarantine list|retry`.

use super::Common;
use super::output::Said;
use crate::answer;
use crate::data::{Opened, Opening};
use crate::incoming::{self, cut};
use crate::limits::PAGE_MAX;
use crate::problem::Result;
use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(super) enum Quarantine {
    /// List quarantined inputs, oldest first
    List {
        /// Only inputs of this scene
        #[arg(long)]
        scene: Option<String>,
        /// Only inputs behind this id
        #[arg(long, value_name = "ID")]
        after: Option<String>,
        /// Most inputs to list
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=PAGE_MAX as u64))]
        limit: u64,
    },
    /// Try quarantined inputs again
    Retry {
        /// Their ids
        #[arg(required_unless_present = "all", value_name = "ID")]
        ids: Vec<String>,
        /// All that are in quarantine now
        #[arg(long, conflicts_with = "ids")]
        all: bool,
        /// With --all: only inputs of this scene
        #[arg(long, requires = "all")]
        scene: Option<String>,
    },
}

pub(super) async fn run(common: &Common, quarantine: Quarantine) -> Result<Said> {
    let opened = common.open(Opening::Existing).await?;
    opened.settle().await?;
    if let Quarantine::List { scene, .. } | Quarantine::Retry { scene, .. } = &quarantine
        && let Some(scene) = scene
        && let Err(refusal) = opened.engine.plan(scene)
    {
        opened.close().await;
        return Err(refusal.into());
    }
    let said = match quarantine {
        Quarantine::List {
            scene,
            after,
            limit,
        } => list(&opened, scene.as_deref(), after.as_deref(), limit as usize).await,
        Quarantine::Retry { ids, all, scene } => retry(&opened, ids, all, scene.as_deref()).await,
    };
    opened.close().await;
    said
}

async fn list(
    opened: &Opened,
    scene: Option<&str>,
    after: Option<&str>,
    limit: usize,
) -> Result<Said> {
    let found = opened.engine.quarantine(scene, after, limit).await?;
    let next = (found.len() == limit)
        .then(|| found.last().map(|q| q.id.clone()))
        .flatten();
    let inputs: Vec<answer::QuarantinedInput> = found.into_iter().map(Into::into).collect();
    // A reason is a sentence, too long for a column.
    let mut text: String = (inputs.iter())
        .map(|q| {
            format!(
                "{}  {}  {}\n  {}\n  {}\n",
                q.id,
                q.at,
                q.code,
                one_line(&q.reason),
                one_line(cut(&q.raw, SHOWN_BYTES))
            )
        })
        .collect();
    if inputs.is_empty() {
        text.push_str("nothing stands in quarantine\n");
    }
    if let Some(next) = &next {
        text.push_str(&format!("there may be more: --after {next}\n"));
    }
    Said::new(&answer::QuarantinePage { inputs, next }, text)
}

/// Most bytes of an input that are shown.
const SHOWN_BYTES: usize = 120;

fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

async fn retry(opened: &Opened, ids: Vec<String>, all: bool, scene: Option<&str>) -> Result<Said> {
    let mut total = answer::Retried {
        accepted: 0,
        quarantined: 0,
        position: String::new(),
    };
    let mut token = luopan_engine::api::PositionToken::default();
    let ids = if all {
        every(opened, scene).await?
    } else {
        ids
    };
    for some in ids.chunks(PAGE_MAX) {
        let receipt = opened
            .engine
            .retry_quarantine(some, &incoming::event)
            .await?;
        total.accepted += receipt.accepted;
        total.quarantined += receipt.quarantined;
        for (partition, position) in receipt.token.0 {
            token.include(partition, position);
        }
    }
    total.position = token.to_string();
    let text = format!(
        "{} accepted, {} still in quarantine",
        total.accepted, total.quarantined
    );
    Said::new(&total, text)
}

/// The ids of all inputs in quarantine, taken before any is tried, so that none is tried twice.
async fn every(opened: &Opened, scene: Option<&str>) -> Result<Vec<String>> {
    let mut ids: Vec<String> = Vec::new();
    loop {
        let page = opened
            .engine
            .quarantine(scene, ids.last().map(String::as_str), PAGE_MAX)
            .await?;
        let done = page.len() < PAGE_MAX;
        ids.extend(page.into_iter().map(|q| q.id));
        if done {
            return Ok(ids);
        }
    }
}
