//! `luopan learn drift`.

use super::super::Common;
use super::super::output::{Said, table};
use crate::data::Opening;
use crate::drift::{Look, look};
use crate::problem::{Problem, Result};
use clap::Args;
use luopan_engine::drift::Drift;
use luopan_engine::{Engine, Env};
use luopan_kernel::time::Micros;
use serde_json::json;

/// Measures that are shown of one monitor, beside those that changed.
const SHOWN: usize = 8;

#[derive(Debug, Args)]
pub(in crate::cli) struct Monitors {
    /// Scene
    #[arg(long)]
    scene: String,
    /// One of its monitors; all when left out
    #[arg(long)]
    monitor: Option<String>,
    /// As of this time, RFC 3339 with a zone; now when left out
    #[arg(long, value_parser = crate::time::parse, value_name = "TIME")]
    at: Option<Micros>,
    /// What monitors of a running server have told the log since --at, instead of looking
    #[arg(long, requires = "at", conflicts_with = "monitor")]
    told: bool,
}

pub(super) async fn run(common: &Common, asked: Monitors) -> Result<Said> {
    let opened = common.open(Opening::Existing).await?;
    let outcome = match opened.settle().await {
        Ok(()) => work(&opened.engine, &asked, opened.env.now()).await,
        Err(e) => Err(e),
    };
    opened.close().await;
    outcome
}

async fn work(engine: &Engine, asked: &Monitors, now: Micros) -> Result<Said> {
    let at = asked.at.unwrap_or(now);
    if asked.told {
        let found = engine.drifts(&asked.scene, at).await?;
        return told(&found);
    }
    let plan = engine.plan(&asked.scene)?;
    let known: Vec<&str> = plan.monitors.iter().map(|m| m.name.as_str()).collect();
    if let Some(name) = &asked.monitor
        && !known.contains(&name.as_str())
    {
        let near = luopan_scene::nearest(name, known.iter().copied());
        let near = near.map_or(String::new(), |n| format!("; did you mean `{n}`?"));
        return Err(Problem::new(
            "unknown_monitor",
            format!("scene `{}` has no monitor `{name}`{near}", asked.scene),
        ));
    }
    if known.is_empty() {
        return Err(Problem::new(
            "unknown_monitor",
            format!(
                "scene `{}` has no monitors; declare one under `monitors` in its pack",
                asked.scene
            ),
        ));
    }
    let mut looks = Vec::new();
    for monitor in &plan.monitors {
        if asked.monitor.as_ref().is_none_or(|n| *n == monitor.name) {
            looks.push(look(engine, &plan, monitor, at).await?);
        }
    }
    let is_drift = looks.iter().any(|l| l.is_drift);
    let words: Vec<String> = looks.iter().map(words).collect();
    Ok(Said::new(&json!({"monitors": looks}), words.join("\n"))?.unless(!is_drift))
}

fn told(found: &[Drift]) -> Result<Said> {
    let json: Vec<_> = (found.iter())
        .map(|d| {
            json!({
                "at": crate::time::write(d.at),
                "monitor": d.monitor,
                "policy": d.policy,
                "measure": d.measure,
                "of": d.of,
                "value": d.value,
                "limit": d.limit,
            })
        })
        .collect();
    let rows: Vec<Vec<String>> = (found.iter())
        .map(|d| {
            vec![
                crate::time::write(d.at),
                d.monitor.clone(),
                d.measure.clone(),
                d.of.clone(),
                format!("{:.4}", d.value),
                format!("{:.4}", d.limit),
            ]
        })
        .collect();
    let words = match rows.is_empty() {
        true => "no monitor has told the log of a change\n".to_owned(),
        false => table(&["at", "monitor", "measure", "of", "value", "limit"], &rows),
    };
    Said::new(&json!({ "drifts": json }), words)
}

fn words(of: &Look) -> String {
    let mut out = format!(
        "{}: policy {}, {} decisions before and {} lately; of {} and {} the reward is known\n",
        of.monitor, of.policy, of.reference, of.recent, of.reference_settled, of.recent_settled
    );
    let rows: Vec<Vec<String>> = (of.measures.iter().enumerate())
        .filter(|(i, m)| m.is_drift || *i < SHOWN)
        .map(|(_, m)| {
            vec![
                match m.is_drift {
                    true => "drift".to_owned(),
                    false => String::new(),
                },
                m.measure.to_owned(),
                m.of.clone(),
                format!("{:.4}", m.value),
                format!("{:.4}", m.limit),
                format!("{:.4}", m.chance),
                m.words.clone(),
            ]
        })
        .collect();
    if !rows.is_empty() {
        out.push_str(&table(
            &["", "measure", "of", "value", "limit", "chance", "what"],
            &rows,
        ));
    }
    for why in &of.not_measured {
        out.push_str(&format!("not measured, {why}\n"));
    }
    if !of.is_drift {
        out.push_str("nothing changed beyond its limit and beyond chance\n");
    }
    out
}
