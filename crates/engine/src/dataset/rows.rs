//! Rows from decisions: partitions are folded past every position that a decision saw, and on to the end for its rewards.

use super::shadow::{Again, Decided, Rolled};
use super::versions::Versions;
use super::wanted::Wanted;
use super::{Dataset, DatasetRead, DatasetRow, Outcome, TOLD_MAX};
use crate::api::Result;
use crate::fold::core::{Effects, Rows};
use crate::fold::rebuild::{Watch, fold_along};
use luopan_kernel::id::{DecisionId, IdentifierId, PartitionId, Position, SceneNo};
use luopan_kernel::plan::{SlotSource, Stage};
use luopan_kernel::profile::Profile;
use luopan_kernel::rule::Lookup;
use luopan_kernel::slots::{CustomerSlots, ItemLookup, ItemSlots, SlotSet, Stages};
use luopan_kernel::time::Micros;
use luopan_kernel::value::Value;
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

/// What is known of one decision so far.
#[derive(Default)]
struct Known {
    /// Profiles that were reached.
    profiles: Vec<Profile>,
    /// Identifiers whose place was reached, with a profile or without.
    reached: usize,
    /// Features, one row a choice.
    features: Vec<Vec<Value<'static>>>,
    /// What candidates would have done, one each.
    shadows: Vec<Option<Decided>>,
    is_erased: bool,
}

/// What rows are made from beside the log.
pub(super) struct Sources<'a> {
    pub(super) versions: &'a Versions,
    /// States of the models that candidates use.
    pub(super) rolled: &'a Rolled,
    /// How far each partition is read.
    pub(super) until: &'a BTreeMap<PartitionId, Position>,
}

/// Hands out the rows of these decisions, in their order.
pub(super) async fn of(
    of: &Dataset,
    wanted: &[Wanted],
    sources: &Sources<'_>,
    told: &mut DatasetRead,
    see: &mut (dyn FnMut(DatasetRow<'_>) -> Result<()> + Send),
) -> Result<()> {
    if wanted.is_empty() {
        return Ok(());
    }
    let mut making = Making {
        of,
        wanted,
        versions: sources.versions,
        again: Again {
            of,
            shadows: &of.shadows,
            rolled: sources.rolled,
            chosen: &sources.versions.items,
        },
        set: SlotSet::all(&of.scene.plan),
        items: ItemSlots::new(&of.scene.plan, of.policy().catalogue),
        places: BTreeMap::new(),
        known: wanted.iter().map(|_| Known::default()).collect(),
        by_id: (wanted.iter().enumerate())
            .map(|(i, w)| (w.record.request.decision, i))
            .collect(),
        settled: HashMap::new(),
        compared: 0,
        differ: 0,
        differences: Vec::new(),
    };
    making.find_places();
    for (partition, places) in std::mem::take(&mut making.places) {
        let until = sources.until.get(&partition).copied().unwrap_or_default();
        let stops: Vec<Position> = places.iter().map(|p| p.0).collect();
        let mut watching = Watching {
            making: &mut making,
            scene: of.scene.no,
            places: &places,
            stops,
        };
        let folded = fold_along(&of.inner, partition, until, &of.running(), &mut watching).await?;
        let (rows, entries) = folded;
        told.entries += entries;
        making.erased(&rows);
    }
    making.hand_out(told, see)
}

struct Making<'a> {
    of: &'a Dataset,
    wanted: &'a [Wanted],
    versions: &'a Versions,
    again: Again<'a>,
    set: SlotSet,
    items: ItemSlots,
    /// By partition, ascending by position: where a decision saw an identifier.
    places: BTreeMap<PartitionId, Vec<(Position, usize, IdentifierId)>>,
    known: Vec<Known>,
    by_id: HashMap<DecisionId, usize>,
    settled: HashMap<(usize, u64), (f64, Micros)>,
    compared: u64,
    differ: u64,
    differences: Vec<String>,
}

impl Making<'_> {
    fn find_places(&mut self) {
        for (i, wanted) in self.wanted.iter().enumerate() {
            for id in identifiers(wanted) {
                let partition = id.partition();
                if let Some(at) = wanted.position(partition) {
                    (self.places.entry(partition).or_default()).push((at, i, id));
                }
            }
            // Its rewards are settled where it stands.
            self.places
                .entry(wanted.record.identifier.partition())
                .or_default();
        }
        for places in self.places.values_mut() {
            places.sort_unstable();
        }
    }

    /// The profile of one of a decision's identifiers, as it was.
    fn reached(&mut self, i: usize, profile: Option<&Profile>) {
        let wanted = &self.wanted[i];
        let all = identifiers(wanted).count();
        self.known[i].reached += 1;
        if all == 1 {
            self.known_by(i, &profile.into_iter().collect::<Vec<_>>());
            return;
        }
        self.known[i].profiles.extend(profile.cloned());
        if self.known[i].reached == all {
            let mut profiles = std::mem::take(&mut self.known[i].profiles);
            profiles.sort_by_key(|p| p.identifier);
            self.known_by(i, &profiles.iter().collect::<Vec<_>>());
        }
    }

    /// What is known of a decision from the profiles of the customer.
    fn known_by(&mut self, i: usize, profiles: &[&Profile]) {
        self.known[i].features = self.features(i, profiles);
        let record = &self.wanted[i].record;
        let Some((ground, market)) = self.versions.ground(record.catalogue_version) else {
            return;
        };
        let (shadows, compared, differ) = self.again.decide(record, ground, market, profiles);
        self.compared += compared;
        self.differ += differ;
        if differ > 0 && self.differences.len() < TOLD_MAX {
            let id = record.request.decision;
            self.differences.push(format!(
                "decision {id} drew from another distribution than its policy has when it decides again"
            ));
        }
        self.known[i].shadows = shadows;
    }

    /// The features of a decision's choices.
    fn features(&mut self, i: usize, profiles: &[&Profile]) -> Vec<Vec<Value<'static>>> {
        let record = &self.wanted[i].record;
        let plan = &self.of.scene.plan;
        let moment = record.request.moment;
        let context: Vec<(Cow<'_, str>, Value<'_>)> = (record.context.iter())
            .map(|(n, v)| (Cow::Borrowed(n.as_str()), v.clone()))
            .collect();
        let version = record.catalogue_version;
        let around = self.versions.around(version);
        let mut customer =
            CustomerSlots::read_within(plan, &self.set, profiles, moment, &context, around);
        let number = self.of.policy().catalogue;
        let chosen = self.versions.chosen(version);
        if let Some(chosen) = chosen {
            customer.hold(plan, &self.set, number, chosen, profiles, moment);
        }
        // Of the same version nothing may differ; another one may have meant something else by the same name.
        let is_same = record.scene_version == self.of.scene.version;
        let mut out = Vec::with_capacity(record.decision.choices.len().max(1));
        let mut wrong: Vec<(String, Value<'static>, Value<'static>)> = Vec::new();
        let mut compared = 0;
        let mut compare = |name: &str, recorded: &Value<'static>, found: &Value<'_>| {
            compared += 1;
            if recorded != found {
                wrong.push((
                    name.to_owned(),
                    recorded.clone(),
                    found.clone().into_owned(),
                ));
            }
        };
        if is_same {
            for (name, recorded) in &record.decision.slots_read {
                if let Some(id) = plan.slot(name) {
                    compare(name, recorded, customer.slot(id));
                }
            }
        }
        let null = Value::text(self.of.policy().null_action.name.as_str());
        let mut row = |key: &Value<'_>, reads: &[(String, Value<'static>)]| {
            let item = match key {
                Value::Text(key) => chosen.and_then(|c| Some(c.values(c.row(key)?))),
                _ => None,
            };
            let read = |stage: Stage| {
                let is_it =
                    |s: &luopan_kernel::plan::SlotPlan| s.source == SlotSource::Stage(stage);
                let name = plan
                    .slots
                    .iter()
                    .find(|s| is_it(s))
                    .map(|s| s.name.as_str());
                let found = reads.iter().find(|(n, _)| Some(n.as_str()) == name);
                found.map_or(Value::Missing, |(_, v)| v.clone())
            };
            let stages: Stages = [read(Stage::Retrieved), read(Stage::Ranked)];
            let lookup = ItemLookup::new(
                &customer,
                &self.items,
                key,
                item.unwrap_or_default(),
                &stages,
            );
            if is_same {
                for (name, recorded) in reads {
                    if let Some(id) = plan.slot_for(name, number) {
                        compare(name, recorded, lookup.slot(id));
                    }
                }
            }
            let values = (self.of.slots.iter()).map(|id| lookup.slot(*id).clone().into_owned());
            out.push(values.collect());
        };
        if record.decision.choices.is_empty() {
            row(&null, &[]);
        }
        for choice in &record.decision.choices {
            row(&Value::text(choice.item.as_str()), &choice.reads);
        }
        self.compared += compared;
        self.differ += wrong.len() as u64;
        for (name, recorded, found) in wrong {
            if self.differences.len() < TOLD_MAX {
                let id = record.request.decision;
                self.differences.push(format!(
                    "decision {id} read {name} {recorded:?}, the log says {found:?}"
                ));
            }
        }
        out
    }

    fn erased(&mut self, rows: &Rows) {
        for (_, id) in &rows.erased {
            for (i, wanted) in self.wanted.iter().enumerate() {
                self.known[i].is_erased |= identifiers(wanted).any(|mine| mine == *id);
            }
        }
    }

    fn hand_out(
        self,
        told: &mut DatasetRead,
        see: &mut (dyn FnMut(DatasetRow<'_>) -> Result<()> + Send),
    ) -> Result<()> {
        told.compared += self.compared;
        told.differ += self.differ;
        let room = TOLD_MAX.saturating_sub(told.differences.len());
        told.differences
            .extend(self.differences.into_iter().take(room));
        let null = &self.of.policy().null_action.name;
        for (i, (wanted, known)) in self.wanted.iter().zip(&self.known).enumerate() {
            let record = &wanted.record;
            if known.is_erased {
                told.skipped.erased += 1;
                continue;
            }
            if known.features.is_empty() {
                told.skipped.truncated += 1;
                continue;
            }
            let at = record.request.moment.now;
            let reward = |no: &u64, window_us: i64| {
                let (value, settled) = self.settled.get(&(i, *no)).copied()?;
                // What nothing settled before its window was over is settled by whatever the log tells next.
                let after_us = settled.since(at).min(window_us);
                Some(Outcome { value, after_us })
            };
            let nos = (self.of.policy().rewards.iter())
                .filter_map(|r| self.of.scene.reward_nos.get(usize::from(*r)));
            let rewards: Vec<Option<Outcome>> = (nos.zip(&self.of.rewards))
                .map(|(no, declared)| reward(no, declared.window_us))
                .collect();
            told.decisions += 1;
            told.unshadowed += known.shadows.iter().filter(|s| s.is_none()).count() as u64;
            let decision = &record.decision;
            let silent = decision.null_propensity.unwrap_or(decision.propensity);
            for (position, features) in known.features.iter().enumerate() {
                let choice = decision.choices.get(position);
                let propensity = choice.map_or(silent, |c| c.propensity);
                told.rows += 1;
                told.settled += u64::from(rewards.iter().all(Option::is_some));
                see(DatasetRow {
                    decision: record.request.decision,
                    customer: record.request.customer,
                    at,
                    origin: record.request.origin,
                    contest: record.contest.as_deref(),
                    scene_version: record.scene_version,
                    position: choice.map_or(0, |c| c.position),
                    arm: choice.map_or(null.as_str(), |c| c.item.as_str()),
                    is_null: choice.is_none(),
                    is_silent: wanted.is_silent,
                    score: choice.map(|c| c.score),
                    propensity,
                    weight: 1.0 / propensity,
                    is_forced: record.request.forced.is_some(),
                    features,
                    rewards: &rewards,
                    shadows: &known.shadows,
                })?;
            }
        }
        Ok(())
    }
}

/// The identifiers that were seen as one; the one that was named, where nothing was linked.
fn identifiers(wanted: &Wanted) -> impl Iterator<Item = IdentifierId> {
    let record = &wanted.record;
    let alone = record.identifiers.is_empty().then_some(record.identifier);
    record.identifiers.iter().copied().chain(alone)
}

/// One partition under way.
struct Watching<'m, 'a> {
    making: &'m mut Making<'a>,
    scene: SceneNo,
    places: &'m [(Position, usize, IdentifierId)],
    stops: Vec<Position>,
}

impl Watch for Watching<'_, '_> {
    fn stops(&self) -> &[Position] {
        &self.stops
    }

    fn reached(&mut self, stop: usize, rows: &Rows) {
        let Some((_, i, id)) = self.places.get(stop).copied() else {
            return;
        };
        let slot = rows.slots.get(&(self.scene, id));
        self.making.reached(i, slot.map(|s| &s.row.profile));
    }

    fn asked(&mut self, effects: Effects) {
        for s in effects.settled {
            if let Some(i) = self.making.by_id.get(&s.decision) {
                let place = (*i, s.reward);
                self.making.settled.entry(place).or_insert((s.value, s.at));
            }
        }
    }
}
