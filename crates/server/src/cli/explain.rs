//! `luopan explain ID`: computes a recorded decision again, compares, and says why it came out so.

use super::Common;
use super::decide::words_of;
use super::output::{Said, table};
use crate::answer::{Contributed, Explained, value};
use crate::data::Opening;
use crate::problem::{Problem, Result};
use clap::Args;
use luopan_kernel::decide::Candidate;
use std::collections::BTreeMap;

#[derive(Debug, Args)]
pub(super) struct Explain {
    /// Decision
    id: String,
    /// Say what each thing that was known of the customer added to the score, against other customers, in place of the record
    #[arg(long)]
    pub(super) contributions: bool,
    /// Key of the item whose score is taken apart; what was chosen when left out
    #[arg(long, requires = "contributions", value_name = "KEY")]
    item: Option<String>,
}

pub(super) async fn run(common: &Common, explain: Explain) -> Result<Said> {
    let id = explain
        .id
        .parse()
        .map_err(|e| Problem::new("bad_id", format!("{e}")))?;
    let opened = common.open(Opening::Existing).await?;
    opened.settle().await?;
    if explain.contributions {
        let found = opened.engine.contributions(id, explain.item.as_deref());
        let found = found.await.map(Contributed::from);
        opened.close().await;
        let found = found?;
        let text = taken_apart(&found);
        return Said::new(&found, text);
    }
    let explained = opened
        .engine
        .explain(id)
        .await
        .map(|e| Explained::new(&opened.engine, e));
    opened.close().await;
    let explained = explained?;
    let text = words(&explained);
    let agrees = explained.agrees != Some(false);
    Ok(Said::new(&explained, text)?.unless(agrees))
}

fn taken_apart(found: &Contributed) -> String {
    let mut out = String::new();
    for of in &found.items {
        out.push_str(&format!(
            "{}{} scored {:.4}; for {} other customers its mean is {:.4}\n",
            of.item,
            if of.chosen {
                ""
            } else {
                ", which was not chosen,"
            },
            of.score,
            of.others,
            of.base
        ));
        let rows: Vec<Vec<String>> = (of.added.iter())
            .map(|a| {
                vec![
                    a.slot.clone(),
                    a.value.to_string(),
                    format!("{:+.4}", a.adds),
                    format!("{:.4}", a.standard_error),
                ]
            })
            .collect();
        match rows.is_empty() {
            true => {
                out.push_str("nothing that is known of the customer makes a difference to it\n")
            }
            false => out.push_str(&table(&["known", "value", "adds", "standard error"], &rows)),
        }
        if of.unknown > 0 {
            out.push_str(&format!(
                "{} of {} orders were left out: something that the score needs was not known on the way\n",
                of.unknown,
                of.unknown + of.orders
            ));
        }
        out.push('\n');
    }
    out
}

fn words(explained: &Explained) -> String {
    let decision = &explained.recorded.decision;
    let record = &explained.recorded.record;
    let mut out = words_of(decision, &record.decision.trace);
    out.push_str(&format!(
        "scene {} version {}, policy {}, at {}, origin {}, semantics {}\n",
        decision.scene,
        decision.scene_version,
        decision.policy,
        decision.at,
        decision.origin,
        record.semantics
    ));
    if let Some(model) = &decision.model {
        out.push_str(&format!(
            "model {} after {} samples\n",
            model.name, model.version
        ));
    }
    match (&explained.agrees, &explained.not_recomputed) {
        (Some(true), _) => out.push_str("computed again from its record: the same to the bit\n"),
        (_, Some(why)) => out.push_str(&format!("not computed again: {why}\n")),
        _ => {
            out.push_str("computed again from its record: it differs\n");
            for difference in &explained.differences {
                out.push_str(&format!("- {difference}\n"));
            }
        }
    }
    // Items with the same made-up attributes in one line, the chosen ones by name.
    let mut alike: BTreeMap<&[String], Vec<&str>> = BTreeMap::new();
    for (item, names) in &explained.generated {
        alike.entry(names).or_default().push(item);
    }
    for (names, items) in alike {
        let is_chosen = |item: &&&str| decision.choices.iter().any(|c| c.item == **item);
        let named: Vec<&str> = match items.len() {
            0..=3 => items.clone(),
            _ => items.iter().filter(is_chosen).copied().collect(),
        };
        let others = match items.len() - named.len() {
            0 => String::new(),
            n if named.is_empty() => format!("{n} candidates"),
            n => format!(" and {n} other candidates"),
        };
        out.push_str(&format!(
            "{}{others}: {} made up, not published\n",
            named.join(", "),
            names.join(", ")
        ));
    }
    let read: Vec<Vec<String>> = record
        .decision
        .slots_read
        .iter()
        .map(|(name, v)| vec![name.clone(), value(v).to_string()])
        .collect();
    if !read.is_empty() {
        out.push('\n');
        out.push_str(&table(&["read", "value"], &read));
    }
    let silence = decision.null_action.as_deref().unwrap_or("(silence)");
    let traced: Vec<Vec<String>> = record
        .decision
        .trace
        .iter()
        .map(|c| traced(c, silence))
        .collect();
    if !traced.is_empty() {
        out.push('\n');
        out.push_str(&table(
            &["candidate", "score", "probability", "why"],
            &traced,
        ));
    }
    out
}

fn traced(candidate: &Candidate, silence: &str) -> Vec<String> {
    let why = match &candidate.refusal {
        Some(refusal) => {
            // Since when a rule is in force stands in front of it, and says nothing about what it refused.
            let clause = refusal.clause.as_deref().unwrap_or_default();
            let shown = clause
                .strip_prefix("(env.now < time(")
                .and_then(|rest| rest.split_once(")) || "))
                .map_or(clause, |(_, rest)| rest);
            let read: Vec<String> = (refusal.reads.iter())
                .filter(|(name, _)| shown.contains(name.as_str()))
                .map(|(name, v)| format!("{name} = {}", value(v)))
                .collect();
            let read = read.join(", ");
            let mut why = format!("refused by `{}`", refusal.rule);
            for (mark, part) in [(": ", shown), ("; ", read.as_str())] {
                if !part.is_empty() {
                    why.push_str(mark);
                    why.push_str(part);
                }
            }
            why
        }
        None => candidate
            .contributions
            .iter()
            .map(|c| format!("{} {:+.3}", c.feature, c.value))
            .collect::<Vec<_>>()
            .join(", "),
    };
    vec![
        candidate.item.clone().unwrap_or_else(|| silence.to_owned()),
        candidate
            .score
            .map(|s| format!("{s:.4}"))
            .unwrap_or_default(),
        format!("{:.4}", candidate.probability),
        why,
    ]
}
