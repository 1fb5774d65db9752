//! `luopan decide`: one decision from the command line, recorded like any other.

use super::Common;
use super::output::Said;
use crate::answer::Decision;
use crate::asked::Words;
use crate::data::{Opening, open};
use crate::problem::Result;
use clap::Args;

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
    let request = words.body()?.request(decide.scene.clone(), None)?;
    let opened = open(&common.data, Opening::Existing).await?;
    opened.settle().await?;
    let answer = opened.engine.decide(request).await;
    let plan = opened.engine.plan(&decide.scene).ok();
    opened.close().await;
    let answer = answer?;
    let decision = Decision::new(
        &decide.scene,
        plan.as_deref(),
        answer.record,
        answer.repeated,
    );
    let text = words_of(&decision);
    Said::new(&decision, text)
}

/// A decision in words.
pub(super) fn words_of(decision: &Decision) -> String {
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
            decision.propensity
        )),
        None => {
            for choice in &decision.choices {
                out.push_str(&format!(
                    "{}. {} with probability {}, score {}\n",
                    choice.position + 1,
                    choice.item,
                    choice.propensity,
                    choice.score
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
