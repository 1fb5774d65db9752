//! What each thing that was known of a customer added to the score of an item, in a decision that was made: its record, what it was
//! made with, and the customers of other decisions of the same policy and version to compare her with.
//!
//! This room must never write.

use crate::Inner;
use crate::api::{Refusal, RefusalKind, Result};
use crate::explain::Made;
use crate::rows;
use luopan_kernel::decide::attribute::{Attribution, Error, Scores};
use luopan_kernel::id::{DecisionId, PartitionId, hash64};
use luopan_kernel::record::{self, DecisionRecord};
use luopan_kernel::slots::CustomerSlots;
use luopan_kernel::time::DAY_US;
use luopan_store::Table;
use std::collections::BTreeSet;

/// Most customers that one is compared with.
pub const OTHERS_MAX: usize = 200;
/// Records that are looked at for others, before fewer have to do.
const LOOKED_AT_MAX: usize = 4_096;
/// Records read of one partition.
const READ_RECORDS: usize = 16;
/// Pairs of orders that are drawn, for all items of a slate together.
const ORDERS: u32 = 200;
/// Pairs, and other customers, for each item of a slate however long it is.
const EACH_LEAST: usize = 10;

/// A decision's scores, taken apart.
#[derive(Debug, Clone)]
pub struct Contributions {
    /// The decision.
    pub decision: DecisionId,
    /// Each item with what made its score, in order of position.
    pub items: Vec<Item>,
}

/// An item of a decision, with its score taken apart.
#[derive(Debug, Clone)]
pub struct Item {
    /// Key.
    pub key: String,
    /// True when the decision chose it.
    pub is_chosen: bool,
    /// Its score, taken apart.
    pub score: Attribution,
}

fn cannot(message: String) -> Refusal {
    Refusal {
        code: "cannot_attribute",
        kind: RefusalKind::Invalid,
        message,
    }
}

impl Inner {
    /// Takes the scores of what a decision chose apart, or of the item that is named.
    pub(crate) async fn contributions(
        &self,
        id: DecisionId,
        item: Option<&str>,
    ) -> Result<Contributions> {
        let record = self.decision(id).await?;
        let made = (self.made_with(&record).await?)
            .map_err(|why| cannot(format!("decision {id} cannot be looked into: {why}")))?;
        if is_refused(&record) {
            return Err(cannot(format!(
                "decision {id} scored nothing, since a rule of the customer refused: `luopan explain {id}` says which"
            )));
        }
        if let Some(named) = item
            && named == made.policy().null_action.name
        {
            return Err(cannot(format!(
                "`{named}` is silence, not an item: nothing takes its score apart"
            )));
        }
        let items = items(&record, item).ok_or_else(|| {
            cannot(format!(
                "decision {id} chose nothing and no item had a score: name one of the catalogue"
            ))
        })?;
        let others = self.others(&record, &made).await?;
        let objective_models = made.objective_models();
        let scores = Scores {
            scene: &made.scene.plan,
            policy: made.policy(),
            catalogue: made.catalogue(),
            model: made.model.as_ref(),
            objective_models: &objective_models,
            artifacts: &made.artifacts,
        };
        let customer = customer(&record, &made);
        let seed = hash64(&id.0);
        // The items of a slate share what one alone is worth: it is bounded work.
        let each = (OTHERS_MAX / items.len().max(1)).max(EACH_LEAST);
        let others = &others[..others.len().min(each)];
        let orders = (ORDERS / items.len().max(1) as u32).max(EACH_LEAST as u32);
        let mut out = Vec::with_capacity(items.len());
        for key in items {
            let found = (scores.attribute(&customer, others, &record.request, &key, orders, seed))
                .map_err(|e| told(id, &key, e))?;
            out.push(Item {
                is_chosen: record.decision.choices.iter().any(|c| c.item == key),
                key,
                score: found,
            });
        }
        Ok(Contributions {
            decision: id,
            items: out,
        })
    }

    /// Customers of other decisions of the same policy and version, each once: of decisions from a day before it on, a few of each
    /// partition, its own first; where these are too few, of any.
    async fn others(
        &self,
        record: &DecisionRecord,
        made: &Made,
    ) -> Result<Vec<CustomerSlots<'static>>> {
        let own = record.request.decision;
        let first = rows::decision_partition(own).0;
        let mut known = BTreeSet::from([record.request.customer]);
        let mut out = Vec::new();
        let mut looked_at = 0;
        for from in [day_before(own), Vec::new()] {
            for step in 0..luopan_kernel::PARTITIONS {
                let partition = PartitionId((first + step) % luopan_kernel::PARTITIONS);
                let found = (self.state)
                    .scan(Table::Decision, partition, &from, None, READ_RECORDS)
                    .await?;
                looked_at += found.len();
                for row in &found {
                    // One that cannot be read is told of by whoever asks for it.
                    let Ok(other) = DecisionRecord::decode(&row.value) else {
                        continue;
                    };
                    let is_alike = other.scene == record.scene
                        && other.scene_version == record.scene_version
                        && other.policy == record.policy
                        && other.semantics == record.semantics
                        && !is_refused(&other);
                    if is_alike && known.insert(other.request.customer) {
                        out.push(customer(&other, made));
                    }
                    if out.len() == OTHERS_MAX {
                        return Ok(out);
                    }
                }
                if looked_at >= LOOKED_AT_MAX {
                    return Ok(out);
                }
            }
        }
        Ok(out)
    }
}

/// The first id that may have been given a day before this one: ids begin with their time in milliseconds (UUIDv7, RFC 9562).
fn day_before(id: DecisionId) -> Vec<u8> {
    let mut time = [0u8; 8];
    time[2..].copy_from_slice(&id.0[..6]);
    let day_ms = (DAY_US / 1_000) as u64;
    u64::from_be_bytes(time)
        .saturating_sub(day_ms)
        .to_be_bytes()[2..]
        .to_vec()
}

/// True where a rule of the customer refused, so that nothing was scored and little recorded.
fn is_refused(record: &DecisionRecord) -> bool {
    (record.decision.refusals.iter()).any(|r| r.gate.is_of_customer())
}

fn customer(record: &DecisionRecord, made: &Made) -> CustomerSlots<'static> {
    record::customer(record, &made.scene.plan, made.policy(), &made.artifacts)
}

/// The item that is named; else those that were chosen, or the best of those that were not.
fn items(record: &DecisionRecord, named: Option<&str>) -> Option<Vec<String>> {
    if let Some(named) = named {
        return Some(vec![named.to_owned()]);
    }
    let decision = &record.decision;
    if !decision.choices.is_empty() {
        return Some(decision.choices.iter().map(|c| c.item.clone()).collect());
    }
    let mut scored = decision.trace.iter().filter(|c| c.score.is_some());
    let best = scored.find_map(|c| c.item.clone())?;
    Some(vec![best])
}

fn told(id: DecisionId, key: &str, e: Error) -> Refusal {
    let key = crate::intake::cut(key);
    cannot(match e {
        Error::NoItem => {
            format!("decision {id} saw no item `{key}` in its catalogue: look at its key")
        }
        Error::NoOthers => format!(
            "there is nobody to compare the customer of decision {id} with, for whom `{key}` has a score: those of other decisions of the same policy and \
             scene version are compared with; make some more"
        ),
        e => format!("decision {id}, item `{key}`: {e}"),
    })
}
