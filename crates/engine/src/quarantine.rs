//! Quarantine: input that did not fit, durable with the reason, listed and tried again after the scene was mended.

use crate::Inner;
use crate::api::{
    EVENT_BYTES_MAX, IngestReceipt, Input, Outcome, Quarantined, Refusal, RefusalKind, Result,
};
use crate::rows;
use bytes::Bytes;
use luopan_kernel::event::Origin;
use luopan_kernel::id::{DecisionId, PartitionId};
use luopan_kernel::time::Micros;
use luopan_store::{Commit, Durability, Table, Write};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

const FORMAT: u8 = 1;

#[derive(Serialize, Deserialize)]
struct Stored {
    scene: String,
    at: Micros,
    code: String,
    reason: String,
    origin: Origin,
    raw: String,
}

/// An input that is tried again: its quarantine id, and when it was taken in first.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Again {
    pub(crate) id: [u8; 16],
    pub(crate) at: Micros,
}

/// An id as text.
pub(crate) fn id_text(id: [u8; 16]) -> String {
    DecisionId(id).to_string()
}

fn parse_id(text: &str) -> Result<[u8; 16]> {
    text.parse::<DecisionId>()
        .map(|d| d.0)
        .map_err(|e| Refusal {
            code: "bad_id",
            kind: RefusalKind::Invalid,
            message: e.to_string(),
        })
}

/// The row of one quarantined input. What is longer than an event may be is cut, and the reason says so.
pub(crate) fn write(
    id: [u8; 16],
    scene: &str,
    at: Micros,
    code: &str,
    reason: &str,
    origin: Origin,
    raw: &str,
) -> Write {
    let mut end = raw.len().min(EVENT_BYTES_MAX);
    while !raw.is_char_boundary(end) {
        end -= 1;
    }
    let stored = Stored {
        scene: scene.to_owned(),
        at,
        code: code.to_owned(),
        reason: if end < raw.len() {
            format!("{reason} (only the first {end} bytes are kept)")
        } else {
            reason.to_owned()
        },
        origin,
        raw: raw[..end].to_owned(),
    };
    let mut value = vec![FORMAT];
    value.extend(serde_json::to_vec(&stored).unwrap_or_default());
    Write {
        key: rows::quarantine(id),
        value: Some(Bytes::from(value)),
    }
}

impl Inner {
    pub(crate) async fn commit_quarantine(&self, writes: Vec<Write>) -> Result<()> {
        if writes.is_empty() {
            return Ok(());
        }
        let mut commit = Commit::new(Durability::Durable);
        commit.writes = writes;
        self.state.commit(vec![commit]).await?;
        Ok(())
    }

    pub(crate) async fn quarantine_rows(&self, most: usize) -> Result<usize> {
        let counted = (self.state).count(Table::Quarantine, PartitionId(0), most);
        Ok(counted.await?)
    }

    pub(crate) async fn quarantined(
        &self,
        scene: Option<&str>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Quarantined>> {
        let mut from = match after {
            Some(text) => [&parse_id(text)?[..], &[0]].concat(),
            None => Vec::new(),
        };
        let mut out = Vec::new();
        while out.len() < limit {
            let found = self
                .state
                .scan(Table::Quarantine, PartitionId(0), &from, None, 1_000)
                .await?;
            let Some(last) = found.last() else { break };
            from = [&last.key[..], &[0]].concat();
            for row in &found {
                let Some(q) = read(&row.key, &row.value) else {
                    continue;
                };
                if scene.is_none_or(|s| s == q.scene) && out.len() < limit {
                    out.push(q);
                }
            }
        }
        Ok(out)
    }

    /// Tries quarantined inputs again: what now fits is appended and leaves quarantine, what does not stays under its id
    /// with the newest reason. `parse` reads an input as the rim received it.
    pub(crate) async fn retry_quarantine(
        &self,
        ids: &[String],
        parse: &(dyn for<'r> Fn(&'r str) -> Input<'r> + Send + Sync),
    ) -> Result<IngestReceipt> {
        let parsed = ids
            .iter()
            .map(|t| parse_id(t))
            .collect::<Result<Vec<_>>>()?;
        let keys: Vec<_> = parsed.iter().map(|id| rows::quarantine(*id)).collect();
        let found = self.state.get(&keys).await?;
        let mut groups: BTreeMap<(String, u8), Vec<(usize, Quarantined)>> = BTreeMap::new();
        for (i, (key, value)) in keys.iter().zip(found).enumerate() {
            let Some(q) = value.and_then(|v| read(&key.key, &v)) else {
                return Err(Refusal {
                    code: "unknown_quarantine",
                    kind: RefusalKind::NotFound,
                    message: format!("nothing is quarantined under {}", ids[i]),
                });
            };
            groups
                .entry((q.scene.clone(), q.origin as u8))
                .or_default()
                .push((i, q));
        }
        let mut total = IngestReceipt::default();
        for ((scene, _), members) in groups {
            let origin = members[0].1.origin;
            let mut inputs: Vec<Input<'_>> = Vec::with_capacity(members.len());
            let mut again = Vec::with_capacity(members.len());
            for (i, q) in &members {
                match parse(&q.raw) {
                    Ok(mut incoming) => {
                        // It happened when it was sent, not when it is tried again.
                        incoming.occurred_at.get_or_insert(q.at);
                        inputs.push(Ok(incoming));
                        again.push(Again {
                            id: parsed[*i],
                            at: q.at,
                        });
                    }
                    // What is no event (a row of a file, a product) can only come again as what it was: it stays as it is.
                    Err(_) => {
                        total.quarantined += 1;
                        total.outcomes.push(Outcome::Quarantined {
                            quarantine_id: q.id.clone(),
                            code: q.code.clone(),
                            reason: format!(
                                "{}; it was not tried again, since it is no event: send it again from where it came",
                                q.reason
                            ),
                        });
                    }
                }
            }
            // What is refused again stays under its id, with the newest reason.
            let receipt = self.ingest_again(&scene, origin, &inputs, &again).await?;
            let mut commit = Commit::new(Durability::Durable);
            commit.writes = (receipt.outcomes.iter().zip(&again))
                .filter(|(outcome, _)| matches!(outcome, Outcome::Accepted { .. }))
                .map(|(_, again)| Write {
                    key: rows::quarantine(again.id),
                    value: None,
                })
                .collect();
            self.state.commit(vec![commit]).await?;
            total.accepted += receipt.accepted;
            total.quarantined += receipt.quarantined;
            total.outcomes.extend(receipt.outcomes);
            for (p, at) in receipt.token.0 {
                total.token.include(p, at);
            }
        }
        Ok(total)
    }
}

pub(crate) fn read(key: &[u8], value: &[u8]) -> Option<Quarantined> {
    let id: [u8; 16] = key.try_into().ok()?;
    let (format, json) = value.split_first()?;
    if *format != FORMAT {
        return None;
    }
    let s: Stored = serde_json::from_slice(json).ok()?;
    Some(Quarantined {
        id: id_text(id),
        scene: s.scene,
        at: s.at,
        code: s.code,
        reason: s.reason,
        origin: s.origin,
        raw: s.raw,
    })
}
