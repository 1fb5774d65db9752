//! Learners: one task a model, on each node the only writer of its state there. Samples stand in the model's stream (a partition of the log);
//! the learner reads it in order, drops repeats, learns sample by sample and publishes immutable snapshots. Checkpoint and
//! log rebuild any version, bit for bit. Of several nodes each learns from the stream for itself and comes to the same bits; the
//! one that the stream falls to writes the checkpoints.

use crate::counters::Counters;
use crate::fold::core::Settled;
use crate::relay::{self, OutboxRow};
use crate::scenes::SceneRuntime;
use crate::{Inner, rows};
use bytes::Bytes;
use luopan_kernel::codec::{Reader, Writer};
use luopan_kernel::id::{DecisionId, PartitionId, Position, hash128};
use luopan_kernel::learn::{ModelState, Sample, learn};
use luopan_kernel::plan::ModelPlan;
use luopan_kernel::record::DecisionRecord;
use luopan_store::{Advance, Commit, Durability, Table, Write};
use parking_lot::RwLock;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Sample ids remembered to drop repeats. A repeat can only come from a relay that crashed between appending a batch and
/// deleting it, so it follows within a batch of the relay; this is several of those.
const REMEMBERED: usize = 16_384;
/// Bytes of stream read at once.
const READ_BYTES: usize = 1 << 20;
/// Of the checkpoints, one in so many is kept for ever; beside them the newest.
const KEPT_EVERY: u64 = 16;

/// A model with its newest snapshot.
#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) name: String,
    pub(crate) plan: ModelPlan,
    pub(crate) stream: PartitionId,
    snapshot: RwLock<Arc<ModelState>>,
    position: RwLock<Position>,
    /// Raised with every published snapshot.
    pub(crate) published: luopan_store::Signal,
}

impl Model {
    /// The newest snapshot.
    pub(crate) fn snapshot(&self) -> Arc<ModelState> {
        self.snapshot.read().clone()
    }

    /// Position of the stream that the newest snapshot reflects.
    pub(crate) fn position(&self) -> Position {
        *self.position.read()
    }
}

/// All models, by stream.
pub(crate) type Models = RwLock<BTreeMap<PartitionId, Arc<Model>>>;

/// A learner's state at a position of its stream.
#[derive(Debug, Clone, Default)]
pub(crate) struct Learner {
    pub(crate) at: Position,
    pub(crate) state: ModelState,
    recent: VecDeque<u128>,
}

impl Learner {
    /// Remembers a sample, forgetting the oldest.
    pub(crate) fn remember(&mut self, sample: u128) {
        self.recent.push_back(sample);
        if self.recent.len() > REMEMBERED {
            self.recent.pop_front();
        }
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut w = Writer::with_format(1);
        w.uint(self.at.0);
        w.uint(self.recent.len() as u64);
        for id in &self.recent {
            w.raw(&id.to_le_bytes());
        }
        w.bytes(&self.state.encode());
        w.into_bytes()
    }

    pub(crate) fn decode(bytes: &[u8]) -> luopan_kernel::codec::Result<Self> {
        let mut r = Reader::new(bytes);
        r.format("learner checkpoint", 1)?;
        let at = Position(r.uint()?);
        let n = r.count(16)?;
        let recent = (0..n)
            .map(|_| r.array().map(u128::from_le_bytes))
            .collect::<Result<_, _>>()?;
        let state = ModelState::decode(r.bytes()?)?;
        r.done()?;
        Ok(Self { at, state, recent })
    }

    /// Learns one message of the stream; returns how many samples were new. Stops after version `until`, when given.
    pub(crate) fn take(
        &mut self,
        plan: &ModelPlan,
        first: Position,
        count: u32,
        message: &[u8],
        until: Option<u64>,
    ) -> luopan_kernel::codec::Result<u64> {
        let mut new = 0;
        for (i, sample) in decode_samples(message)?.into_iter().enumerate() {
            let position = Position(first.0 + i as u64);
            if position < self.at {
                continue;
            }
            if until.is_some_and(|v| self.state.samples >= v) {
                return Ok(new);
            }
            new += u64::from(self.take_one(plan, position, &sample));
        }
        debug_assert!(self.at.0 <= first.0 + u64::from(count));
        Ok(new)
    }

    /// Learns the sample at a position of the stream; false of a repeat.
    pub(crate) fn take_one(
        &mut self,
        plan: &ModelPlan,
        position: Position,
        sample: &Sample,
    ) -> bool {
        let id = hash128(&[&sample.id.0.0[..], &sample.id.1.to_le_bytes()].concat());
        self.at = Position(position.0 + 1);
        if self.recent.contains(&id) {
            return false;
        }
        self.remember(id);
        learn(plan, &mut self.state, std::slice::from_ref(sample));
        true
    }
}

pub(crate) fn encode_samples(samples: &[Sample]) -> Vec<u8> {
    let mut w = Writer::with_format(1);
    w.uint(samples.len() as u64);
    for s in samples {
        w.bytes(&s.encode());
    }
    w.into_bytes()
}

pub(crate) fn decode_samples(message: &[u8]) -> luopan_kernel::codec::Result<Vec<Sample>> {
    let mut r = Reader::new(message);
    r.format("sample message", 1)?;
    let n = r.count(8)?;
    let out = (0..n)
        .map(|_| Sample::decode(r.bytes()?))
        .collect::<Result<_, _>>()?;
    r.done()?;
    Ok(out)
}

/// For each settled reward the outbox rows that carry it to the models that learn it. Decisions of slates teach no model
/// in this release: an outcome does not say which position it belongs to.
pub(crate) async fn sample_rows(
    inner: &Inner,
    settled: &[Settled],
) -> luopan_store::Result<Vec<Vec<OutboxRow>>> {
    let keys: Vec<_> = settled.iter().map(|s| rows::decision(s.decision)).collect();
    let found = if keys.is_empty() {
        Vec::new()
    } else {
        inner.state.get(&keys).await?
    };
    let mut out = Vec::with_capacity(settled.len());
    for (s, value) in settled.iter().zip(found) {
        let mut mine = Vec::new();
        let record = value.and_then(|v| DecisionRecord::decode(&v).ok());
        if let (Some(scene), Some(record)) = (inner.scenes.newest_known(s.scene), record) {
            for (i, model) in scene
                .plan
                .models
                .iter()
                .enumerate()
                .filter(|(_, m)| scene.reward(s.reward) == Some(usize::from(m.reward)))
            {
                let Some(features) =
                    crate::training::learned_features(inner, &scene, &record, model)
                else {
                    continue;
                };
                let (arm, propensity) = crate::training::learned_arm(&record);
                let sample = Sample {
                    id: (s.decision, model.reward),
                    arm,
                    features,
                    reward: s.value,
                    weight: 1.0,
                    propensity,
                    at: s.at,
                };
                mine.push(outbox_row(scene.streams[i], s.decision, &sample));
            }
        }
        out.push(mine);
    }
    Ok(out)
}

fn outbox_row(stream: PartitionId, decision: DecisionId, sample: &Sample) -> OutboxRow {
    let key = rows::outbox(
        stream,
        &[&decision.0[..], &sample.id.1.to_be_bytes()].concat(),
    );
    relay::row(key, 1, &encode_samples(std::slice::from_ref(sample)))
}

/// Most bytes of one row of a checkpoint.
const PART_BYTES: usize = 1 << 20;

/// Number of rows of a checkpoint of so many bytes.
fn parts_of(bytes: usize) -> u16 {
    bytes.div_ceil(PART_BYTES).max(1) as u16
}

/// The newest checkpoint of a stream at or before version `until`, or nothing learned yet. A model has learned at most as many
/// samples as its stream had entries, so none that stands later can be meant.
async fn checkpoint(
    inner: &Inner,
    stream: PartitionId,
    until: Option<u64>,
) -> luopan_store::Result<Learner> {
    let to = until.map(|v| v.saturating_add(1).to_be_bytes());
    let mut from = Vec::new();
    let mut newest: Vec<u8> = Vec::new();
    let mut newest_at = Vec::new();
    loop {
        let found = inner
            .state
            .scan(
                Table::Checkpoint,
                stream,
                &from,
                to.as_ref().map(<[u8; 8]>::as_slice),
                16,
            )
            .await?;
        let Some(last) = found.last() else { break };
        from = [&last.key[..], &[0]].concat();
        for row in found {
            let at = row.key.get(..8).unwrap_or(&[]);
            if newest_at != at {
                newest_at = at.to_vec();
                newest.clear();
            }
            newest.extend_from_slice(&row.value);
        }
    }
    if newest.is_empty() {
        return Ok(Learner::default());
    }
    Learner::decode(&newest).map_err(|e| luopan_store::Error::Corrupt {
        store: "state",
        at: format!("checkpoint of stream {}", stream.0),
        cause: e.to_string(),
    })
}

/// The state of a model at a version, from the nearest checkpoint and the log; from nothing when `from_nothing`.
pub(crate) async fn rebuild(
    inner: &Inner,
    model: &Model,
    version: Option<u64>,
    from_nothing: bool,
) -> luopan_store::Result<Learner> {
    let mut learner = if from_nothing {
        Learner::default()
    } else {
        checkpoint(inner, model.stream, version).await?
    };
    loop {
        if version.is_some_and(|v| learner.state.samples >= v) {
            return Ok(learner);
        }
        let messages = inner.log.read(model.stream, learner.at, READ_BYTES).await?;
        if messages.is_empty() {
            return Ok(learner);
        }
        for m in &messages {
            learner
                .take(&model.plan, m.first, m.count, &m.message, version)
                .map_err(|e| unreadable(model, &e))?;
        }
    }
}

pub(crate) fn unreadable(model: &Model, e: &luopan_kernel::codec::Error) -> luopan_store::Error {
    luopan_store::Error::Corrupt {
        store: "log",
        at: format!("stream of model {}", model.name),
        cause: e.to_string(),
    }
}

impl Inner {
    /// Makes the models of a scene known and, when the engine runs, starts their learners.
    pub(crate) async fn start_learners(
        self: &Arc<Self>,
        scene: &SceneRuntime,
    ) -> luopan_store::Result<()> {
        for (plan, stream) in scene.plan.models.iter().zip(&scene.streams) {
            if self.models.read().contains_key(stream) {
                continue;
            }
            let learner = checkpoint(self, *stream, None).await?;
            let model = Arc::new(Model {
                name: format!("{}/{}", scene.plan.name, plan.name),
                plan: plan.clone(),
                stream: *stream,
                snapshot: RwLock::new(Arc::new(learner.state.clone())),
                position: RwLock::new(learner.at),
                published: luopan_store::Signal::default(),
            });
            self.models.write().insert(*stream, model.clone());
            if self.is_started() {
                self.spawn_learner(model);
            }
        }
        Ok(())
    }

    pub(crate) fn spawn_learner(self: &Arc<Self>, model: Arc<Model>) {
        let inner = self.clone();
        self.spawn("learner", async move {
            while let Err(e) = run(&inner, &model).await {
                inner
                    .trouble(&e, "a learner failed; it starts again from its checkpoint")
                    .await;
                if inner.stopping() {
                    return;
                }
            }
        });
    }

    /// The model behind a stream.
    pub(crate) fn model(&self, stream: PartitionId) -> Option<Arc<Model>> {
        self.models.read().get(&stream).cloned()
    }
}

async fn run(inner: &Arc<Inner>, model: &Arc<Model>) -> luopan_store::Result<()> {
    let mut learner = checkpoint(inner, model.stream, None).await?;
    let mut saved = (learner.at, parts_of(learner.encode().len()));
    let mut saved_samples = learner.state.samples;
    let mut is_own = inner.fleet.owns(model.stream);
    if learner.at > model.position() {
        // Another node has learned and kept more than this one knew when it opened.
        publish(model, &learner);
    }
    loop {
        let ticket = inner.stream_signal.ticket();
        let messages = inner.log.read(model.stream, learner.at, READ_BYTES).await?;
        if messages.is_empty() {
            if inner.stopping() {
                if is_own && inner.fleet.owns(model.stream) {
                    save(inner, model, &learner, saved).await?;
                }
                return Ok(());
            }
            inner.stream_signal.wait(ticket).await;
            continue;
        }
        let mut new = 0;
        for m in &messages {
            new += learner
                .take(&model.plan, m.first, m.count, &m.message, None)
                .map_err(|e| unreadable(model, &e))?;
        }
        Counters::add(&inner.counters.samples, new);
        publish(model, &learner);
        if learner.state.samples >= saved_samples + inner.limits.checkpoint_samples {
            saved_samples = learner.state.samples;
            if !inner.fleet.owns(model.stream) {
                is_own = false;
                continue;
            }
            if !is_own {
                // Others wrote the last ones.
                let newest = checkpoint(inner, model.stream, None).await?;
                saved = (newest.at, parts_of(newest.encode().len()));
                is_own = true;
            }
            if saved.0 < learner.at {
                saved = save(inner, model, &learner, saved).await?;
            }
        }
    }
}

/// Decisions from now on see what was learned.
fn publish(model: &Model, learner: &Learner) {
    *model.snapshot.write() = Arc::new(learner.state.clone());
    *model.position.write() = learner.at;
    model.published.notify();
}

/// Writes a checkpoint and lets go of the one before (its position and number of rows), unless that is one of those that
/// stay. Gives the same of the new one.
async fn save(
    inner: &Inner,
    model: &Model,
    learner: &Learner,
    (before, parts_before): (Position, u16),
) -> luopan_store::Result<(Position, u16)> {
    if learner.at == before {
        return Ok((before, parts_before));
    }
    let mut commit = Commit::new(Durability::Replayable);
    commit.advance = Some(Advance {
        partition: model.stream,
        from: before,
        to: learner.at,
    });
    let bytes = Bytes::from(learner.encode());
    let parts = parts_of(bytes.len());
    for part in 0..parts {
        let from = usize::from(part) * PART_BYTES;
        commit.writes.push(Write {
            key: rows::checkpoint(model.stream, learner.at, part),
            value: Some(bytes.slice(from..bytes.len().min(from + PART_BYTES))),
        });
    }
    let number = before.0 / inner.limits.checkpoint_samples.max(1);
    if before.0 > 0 && !number.is_multiple_of(KEPT_EVERY) {
        commit.writes.extend((0..parts_before).map(|part| Write {
            key: rows::checkpoint(model.stream, before, part),
            value: None,
        }));
    }
    if let Some(Err(conflict)) = inner.state.commit(vec![commit]).await?.pop() {
        return Err(luopan_store::Error::Unavailable {
            store: "state",
            tried: format!("save a checkpoint of model {}", model.name),
            cause: conflict.to_string(),
        });
    }
    Ok((learner.at, parts))
}
