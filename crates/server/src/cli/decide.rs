//! `luopan decide`: one decision from the command line, recorded like any other.

use super::Common;
use super::output::Said;
use crate::answer::Decision;
use crate::asked::Words;
use crate::data::{Opened, Opening};
use crate::problem::Result;
use clap::Args;
use luopan_kernel::decide::{Candidate, Gate};
use luopan_kernel::plan::ScenePlan;
use luopan_kernel::record::DecisionRecord;

#[derive(Debug, Args)]
pub(super) struct Decide {
    /// Scene
    #[arg(long)]
    scene: String,
    /// Policy of the scene
    #[arg(long)]
    policy: String,
    /// The customer, as the sender of events names them
    #[arg(long)]
    customer: String,
    /// A field of the request, as the scene declares it; may stand several times
    #[arg(long = "context", value_name = "NAME=VALUE")]
    context: Vec<String>,
    /// Where the decision comes from; only `live` spends and contacts on the live ledger
    #[arg(long, default_value = "live", value_parser = ["live", "simulated", "dry_run"])]
    origin: String,
    /// Positions of the slate, 1 or more, when fewer than the policy's; what is more is cut to the policy's
    #[arg(long)]
    slots: Option<u32>,
    /// The one item that is asked for: chosen when it is available, otherwise nothing is
    #[arg(long)]
    item: Option<String>,
    /// Idempotency key: the same key gives the first decision again
    #[arg(long)]
    key: Option<String>,
}

pub(super) async fn run(common: &Common, decide: Decide) -> Result<Said> {
    let words = Words {
        policy: decide.policy,
        customer: decide.customer,
        context: decide.context,
        origin: Some(decide.origin),
        slots: decide.slots,
        item: decide.item,
        key: decide.key,
    };
    let asked = words.item.clone();
    let request = words.body()?.request(decide.scene.clone(), None)?;
    let opened = common.open(Opening::Existing).await?;
    opened.settle().await?;
    let answer = opened.engine.decide(request).await;
    let plan = opened.engine.plan(&decide.scene).ok();
    let hint = match (&answer, &plan) {
        (Ok(answer), Some(plan)) => hint(
            &opened,
            plan,
            &decide.scene,
            &answer.record,
            asked.as_deref(),
        ),
        _ => String::new(),
    };
    opened.close().await;
    let answer = answer?;
    let trace = answer.record.decision.trace.clone();
    let decision = Decision::new(
        &decide.scene,
        plan.as_deref(),
        answer.record,
        answer.repeated,
    );
    let text = words_of(&decision, &trace) + &hint;
    Said::new(&decision, text)
}

/// Why nothing came of it, where that is no rule: a catalogue without items, an item that is not there or is withdrawn.
fn hint(
    opened: &Opened,
    plan: &ScenePlan,
    scene: &str,
    record: &DecisionRecord,
    asked: Option<&str>,
) -> String {
    let catalogue = (plan.policy(&record.policy))
        .and_then(|p| plan.catalogues.get(usize::from(p.catalogue)))
        .map_or("", |c| c.name.as_str());
    if record.decision.candidates == 0 {
        return format!(
            "catalogue `{catalogue}` has no items; `luopan import --into products` brings them in\n"
        );
    }
    let Some(item) = asked else {
        return String::new();
    };
    match opened.engine.item(scene, catalogue, item) {
        Err(refusal) => format!("{}\n", refusal.message),
        Ok(found) => found.withdrawn_at.map_or_else(String::new, |at| {
            format!(
                "`{item}` is offered no more since {}\n",
                crate::time::write(at)
            )
        }),
    }
}

/// A number without the digits that nobody reads.
fn rounded(v: f64) -> String {
    if v != 0.0 && v.abs() < 1e-6 {
        return format!("{v:e}");
    }
    let text = format!("{v:.6}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A decision in words.
pub(super) fn words_of(decision: &Decision, trace: &[Candidate]) -> String {
    let mut out = format!(
        "decision {}{}\n",
        decision.id,
        if decision.repeated {
            " (made earlier under this key)"
        } else {
            ""
        }
    );
    match &decision.null_action {
        Some(silence) => out.push_str(&format!(
            "{silence}, with probability {}\n",
            rounded(decision.propensity)
        )),
        None => {
            for choice in &decision.choices {
                out.push_str(&format!(
                    "{}. {} with probability {}, score {}\n",
                    choice.position + 1,
                    choice.item,
                    rounded(choice.propensity),
                    rounded(choice.score)
                ));
            }
        }
    }
    out.push_str(&format!(
        "{} of {} candidates were available\n",
        decision.available, decision.candidates
    ));
    if let Some(withheld) = &decision.withheld {
        out.push_str(&format!("withheld: {withheld}\n"));
    }
    for refusal in &decision.refusals {
        if refusal.gate == Gate::Forced {
            let rules: Vec<String> = (trace.iter())
                .filter(|c| c.item.as_ref() == Some(&refusal.rule))
                .filter_map(|c| c.refusal.as_ref())
                .filter(|r| r.gate != Gate::Forced)
                .map(|r| format!("`{}`", r.rule))
                .collect();
            let why = match rules.as_slice() {
                [] => "may not be chosen".to_owned(),
                rules => format!("is refused by {}", rules.join(", ")),
            };
            out.push_str(&format!("`{}`, which was asked for, {why}\n", refusal.rule));
            continue;
        }
        let gate = serde_json::to_value(refusal.gate)
            .ok()
            .and_then(|g| g.as_str().map(str::to_owned))
            .unwrap_or_default();
        out.push_str(&format!(
            "refused by {gate} `{}`: {}",
            refusal.rule, refusal.count
        ));
        if refusal.unknown > 0 {
            out.push_str(&format!(
                " ({} because something is not known)",
                refusal.unknown
            ));
        }
        out.push('\n');
    }
    out
}
