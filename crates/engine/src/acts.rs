//! What customers did, in the words of a sequence, read from the log: what a model of intention learns from. The words are those
//! that folding the same events would keep, and linked identifiers are one customer, as they are now.
//!
//! This room must never read what was rehearsed or of whom it was asked to forget, and never anything but words and times.

use crate::Inner;
use crate::api::{Refusal, RefusalKind, Result};
use luopan_kernel::event::{Entry, Event, Origin};
use luopan_kernel::fold::{FoldPlan, fold};
use luopan_kernel::id::{CustomerId, IdentifierId, PartitionId};
use luopan_kernel::plan::{Aggregate, ScenePlan};
use luopan_kernel::profile::{Act, Held, Profile, State};
use luopan_kernel::time::Micros;
use std::collections::{BTreeMap, BTreeSet};

/// Bytes of the log read at once.
const READ_BYTES: usize = 4 << 20;

/// What customers did, in the words of one sequence.
#[derive(Debug, Clone, PartialEq)]
pub struct ActsRead {
    /// The sequence's words, by number.
    pub words: Vec<String>,
    /// Acts that the sequence keeps.
    pub keep: u8,
    /// A pause of the sequence, in microseconds.
    pub pause_us: Option<i64>,
    /// Of each customer of whom there is any, ascending by the customer's id: time, as told by the sender, and number of the word.
    pub acts: Vec<Vec<(Micros, u8)>>,
    /// Entries of the log that are gone: what they told of acts is not among them.
    pub truncated: u64,
    /// Until when the log tells: the greatest time at which an entry was received.
    pub until: Micros,
    /// Entries of the log that were read.
    pub entries: u64,
}

impl Inner {
    /// Reads the acts of a sequence of the newest version of a scene, from the log as far as it is durable now.
    pub(crate) async fn acts(&self, scene: &str, sequence: &str) -> Result<ActsRead> {
        let scene = self.scenes.newest(scene)?;
        let is_it = |t: &&luopan_kernel::plan::TagPlan| {
            t.name == sequence && matches!(t.aggregate, Aggregate::Sequence { .. })
        };
        let Some(tag) = scene.plan.tags.iter().find(is_it) else {
            let known: Vec<&str> = (scene.plan.tags.iter())
                .filter(|t| matches!(t.aggregate, Aggregate::Sequence { .. }))
                .map(|t| t.name.as_str())
                .collect();
            return Err(Refusal {
                code: "unknown_sequence",
                kind: RefusalKind::NotFound,
                message: format!(
                    "scene `{}` has no sequence `{}`; it has {}",
                    scene.plan.name,
                    crate::intake::cut(sequence),
                    match known.as_slice() {
                        [] => "none".to_owned(),
                        known => known.join(", "),
                    }
                ),
            });
        };
        let Aggregate::Sequence {
            keep,
            pause_us,
            steps,
        } = &tag.aggregate
        else {
            return Err(Refusal {
                code: "internal",
                kind: RefusalKind::Unavailable,
                message: "a sequence that is none".to_owned(),
            });
        };
        let alone = ScenePlan {
            tags: vec![tag.clone()],
            orders: Vec::new(),
            ..(*scene.plan).clone()
        };
        let words = Words {
            fold: FoldPlan::new(&alone),
        };
        let partitions: Vec<_> = (0..luopan_kernel::PARTITIONS).map(PartitionId).collect();
        let heads = self.log.heads(&partitions).await?;
        let mut of: BTreeMap<IdentifierId, BTreeSet<Act>> = BTreeMap::new();
        let (mut until, mut entries) = (Micros(0), 0);
        let begins = self.log.begins(&partitions).await?;
        let truncated = begins.iter().map(|b| b.0).sum();
        for ((partition, head), begin) in partitions.iter().zip(&heads).zip(begins) {
            let mut next = begin;
            while next < *head {
                let messages = self.log.read(*partition, next, READ_BYTES).await?;
                let Some(last) = messages.last() else { break };
                next = last.end();
                for message in &messages {
                    for entry in crate::replay::decode(*partition, message)? {
                        entries += 1;
                        until = until.max(entry.at());
                        match entry {
                            Entry::Event(e)
                                if e.scene == scene.no && e.origin != Origin::DryRun =>
                            {
                                // The same event twice is the same act.
                                of.entry(e.identifier).or_default().extend(words.said(&e));
                            }
                            Entry::Erased { identifier, .. } => {
                                of.remove(&identifier);
                            }
                            _ => {}
                        }
                    }
                }
            }
        }
        let mut customers: BTreeMap<CustomerId, Vec<Act>> = BTreeMap::new();
        for (identifier, acts) in of {
            let customer = self.identity.customer(identifier);
            customers.entry(customer).or_default().extend(acts);
        }
        let acts = customers.into_values().filter(|a| !a.is_empty());
        Ok(ActsRead {
            words: steps.iter().map(|s| s.word.clone()).collect(),
            keep: *keep,
            pause_us: *pause_us,
            acts: acts
                .map(|mut acts| {
                    acts.sort_unstable();
                    acts.iter().map(|a| (a.at, a.word)).collect()
                })
                .collect(),
            truncated,
            until,
            entries,
        })
    }
}

/// Finds the word that an event says, by folding it alone.
struct Words {
    fold: FoldPlan,
}

impl Words {
    fn said(&self, event: &Event<'_>) -> Option<Act> {
        let mut profile = Profile::new(event.identifier, self.fold.layout(), event.received_at);
        fold(&self.fold, &mut profile, event);
        let (_, held) = profile.cells().next()?;
        match held {
            Held::Lifetime(State::Sequence(recent)) => recent.acts().last().copied(),
            _ => None,
        }
    }
}
