//! A slow, single-threaded reading of the log: which events there are, what holds and rewards became of decisions. It shares
//! no code with the engine's fold, and keeps everything in memory.

use luopan_kernel::codec::Reader;
use luopan_kernel::event::{DECISION_TYPE, Entry, Event, RECEIPT_TYPE, decode_message};
use luopan_kernel::id::{DecisionId, IdentifierId, PartitionId, Position};
use luopan_kernel::learn::Sample;
use luopan_kernel::record::DecisionRecord;
use luopan_kernel::time::{Micros, SECOND_US};
use luopan_kernel::value::Value;
use luopan_store::{EventLog, Stores, Table};
use std::collections::{BTreeMap, BTreeSet};

/// Window of the reward in the load scene.
const REWARD_WINDOW_US: i64 = 2 * SECOND_US;
/// How long after that a receipt may come, in the load scene.
const RECEIPTS_WITHIN_US: i64 = SECOND_US;
const READ_BYTES: usize = 4 << 20;

/// What the visits and outcomes of one identifier sum up to, each event once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sums {
    /// Visits.
    pub visits: i64,
    /// Sum of their weights.
    pub weight: i64,
    /// Outcomes.
    pub buys: i64,
}

/// A reward that must have been learned.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reward {
    /// Its value.
    pub value: f64,
    /// True when the outcome came so near the end of the window that the order of log and clock decides.
    pub near: bool,
}

/// What the stores hold, read without the engine.
#[derive(Debug, Default)]
pub struct Told {
    /// Entries read.
    pub entries: u64,
    /// Events from outside by id, with the identifier; a repeated id is one event.
    pub events: BTreeMap<String, IdentifierId>,
    /// Where each of them came first: partition, and number of the entry read.
    pub order: BTreeMap<String, (PartitionId, u64)>,
    /// Sums per identifier.
    pub sums: BTreeMap<IdentifierId, Sums>,
    /// Decisions in State.
    pub records: BTreeMap<DecisionId, DecisionRecord>,
    /// Decisions that the log tells of.
    pub decisions_in_log: BTreeSet<DecisionId>,
    /// Decisions whose money was given back.
    pub voided: BTreeSet<DecisionId>,
    /// Decisions whose money was given back and taken again, since a receipt came later still.
    pub retaken: BTreeSet<DecisionId>,
    /// Decisions whose delivery was confirmed in time.
    pub posted: BTreeSet<DecisionId>,
    /// Receipts that reached the log before their decision.
    pub receipts_that_overtook: u64,
    /// Rewards of decisions by the policy `learned`.
    pub rewards: BTreeMap<DecisionId, Reward>,
    /// Samples in the streams, repeats by relays dropped.
    pub samples: BTreeMap<(DecisionId, u16), Sample>,
    /// Repeated samples in the streams.
    pub samples_repeated: u64,
    /// What cannot be.
    pub broken: Vec<String>,
}

/// What one identifier waits for.
#[derive(Debug, Default)]
struct Waiting {
    time: Micros,
    seen: BTreeSet<String>,
    holds: Vec<(Micros, DecisionId)>,
    lapsed: BTreeSet<DecisionId>,
    rewards: Vec<(Micros, Micros, DecisionId)>,
    outcomes: Vec<(DecisionId, Micros)>,
    receipts: BTreeMap<DecisionId, bool>,
}

/// Heads of all partitions, streams included.
///
/// # Errors
/// When the log fails.
pub async fn heads(log: &dyn EventLog) -> luopan_store::Result<Vec<(PartitionId, Position)>> {
    let partitions = log.partitions().await?;
    let heads = log.heads(&partitions).await?;
    Ok(partitions.into_iter().zip(heads).collect())
}

/// Reads everything; `now` is the moment up to which timers have fired.
///
/// # Errors
/// When a store fails or holds what cannot be decoded.
pub async fn read(stores: &Stores, now: Micros) -> Result<Told, String> {
    let mut told = Told::default();
    let failed = |e: luopan_store::Error| e.to_string();
    for p in (0..luopan_kernel::PARTITIONS).map(PartitionId) {
        let mut from = Vec::new();
        loop {
            let rows = (stores.state)
                .scan(Table::Decision, p, &from, None, 1_000)
                .await
                .map_err(failed)?;
            let Some(last) = rows.last() else { break };
            from = [&last.key[..], &[0]].concat();
            for row in &rows {
                let record = DecisionRecord::decode(&row.value).map_err(|e| e.to_string())?;
                told.records.insert(record.request.decision, record);
            }
        }
    }
    for p in (0..luopan_kernel::PARTITIONS).map(PartitionId) {
        let mut waiting: BTreeMap<IdentifierId, Waiting> = BTreeMap::new();
        for message in messages(&*stores.log, p).await? {
            for entry in decode_message(&message).map_err(|e| e.to_string())? {
                told.entries += 1;
                match &entry {
                    Entry::Event(event) => {
                        let at = (p, told.entries);
                        told.order.entry(event.id.to_string()).or_insert(at);
                        told.event(waiting.entry(event.identifier).or_default(), event);
                    }
                    Entry::TimerFired { identifier, at, .. } => {
                        told.pass(waiting.entry(*identifier).or_default(), *at);
                    }
                    _ => {}
                }
            }
        }
        for (_, mut w) in waiting {
            told.pass_timers(&mut w, now);
        }
    }
    let streams = stores.control.streams().await.map_err(failed)?;
    for (_, stream) in streams {
        for message in messages(&*stores.log, stream).await? {
            told.stream(&message)
                .map_err(|e| format!("stream {}: {e}", stream.0))?;
        }
    }
    Ok(told)
}

async fn messages(log: &dyn EventLog, partition: PartitionId) -> Result<Vec<bytes::Bytes>, String> {
    let mut out = Vec::new();
    let mut at = Position(0);
    loop {
        let found = log.read(partition, at, READ_BYTES).await;
        let found = found.map_err(|e| e.to_string())?;
        let Some(last) = found.last() else {
            return Ok(out);
        };
        at = last.end();
        out.extend(found.into_iter().map(|m| m.message));
    }
}

/// What a model of the load scene is to learn of a decision, worked out from the record by hand: the arm, the features
/// (an intercept, then visits below 1, below 10, from 10 on, and not known) and how likely the arm was. None for a record that
/// does not say.
pub fn learned(record: &DecisionRecord) -> Option<(Option<&str>, [f64; 5], f64)> {
    let decision = &record.decision;
    let (arm, propensity) = match decision.choices.first() {
        Some(c) => (Some(c.item.as_str()), c.propensity),
        None => (None, decision.null_propensity?),
    };
    let read = |(slot, _): &&(String, Value<'_>)| slot.rsplit('.').next() == Some("visits");
    let bin = match decision.slots_read.iter().find(read)?.1 {
        Value::Int(n) if n < 1 => 1,
        Value::Int(n) if n < 10 => 2,
        Value::Int(_) => 3,
        Value::Missing => 4,
        _ => return None,
    };
    let mut features = [1.0, 0.0, 0.0, 0.0, 0.0];
    features[bin] = 1.0;
    Some((arm, features, propensity))
}

impl Told {
    /// Log time of an identifier reaches `at`: what is due is over.
    fn pass(&mut self, w: &mut Waiting, at: Micros) {
        w.time = w.time.max(at);
        for (_, decision) in w.holds.extract_if(.., |(due, _)| *due <= w.time) {
            self.voided.insert(decision);
            w.lapsed.insert(decision);
        }
        for (_, _, decision) in w.rewards.extract_if(.., |(due, _, _)| *due <= w.time) {
            self.reward(decision, 0.0, false);
        }
    }

    /// The clock reaches `now`: timers due by then have fired. Where none is due nothing is over, though a clock that ran
    /// ahead may have taken log time past what is still waited for: its timer fires when its own time comes.
    fn pass_timers(&mut self, w: &mut Waiting, now: Micros) {
        let holds = w.holds.iter().map(|(due, _)| due);
        if (holds.chain(w.rewards.iter().map(|(due, ..)| due))).any(|due| *due <= now) {
            self.pass(w, now);
        }
    }

    fn reward(&mut self, decision: DecisionId, value: f64, near: bool) {
        self.rewards
            .entry(decision)
            .or_insert(Reward { value, near });
    }

    fn event(&mut self, w: &mut Waiting, event: &Event<'_>) {
        if !w.seen.insert(event.id.to_string()) {
            return;
        }
        self.pass(w, event.received_at);
        let named = match event.property("decision_id") {
            Value::Text(t) => t.parse::<DecisionId>().ok(),
            _ => None,
        };
        let sums = self.sums.entry(event.identifier).or_default();
        match (event.kind.as_ref(), named) {
            (DECISION_TYPE, _) => match event.id.parse() {
                Ok(decision) => return self.decision(w, decision),
                Err(_) => self
                    .broken
                    .push(format!("`{}` is no decision id", event.id)),
            },
            ("luopan.outcome", _) => return,
            ("visit", _) => {
                sums.visits += 1;
                if let Value::Int(weight) = event.property("weight") {
                    sums.weight += weight;
                }
            }
            ("buy", Some(decision)) => {
                sums.buys += 1;
                self.outcome(w, decision, event.received_at);
            }
            (RECEIPT_TYPE, Some(decision)) => {
                let delivered =
                    matches!(event.property("status"), Value::Text(s) if s == "delivered");
                let held = w.holds.iter().any(|(_, d)| *d == decision);
                w.holds.retain(|(_, d)| *d != decision);
                if held && delivered {
                    self.posted.insert(decision);
                } else if held {
                    self.voided.insert(decision);
                } else if delivered && w.lapsed.remove(&decision) {
                    // It was sent, though nobody said so in time.
                    self.voided.remove(&decision);
                    self.retaken.insert(decision);
                    self.posted.insert(decision);
                } else if !self.decisions_in_log.contains(&decision) {
                    self.receipts_that_overtook += 1;
                    w.receipts.entry(decision).or_insert(delivered);
                }
            }
            (kind, _) => self.broken.push(format!(
                "event {} of type `{kind}` was never sent",
                event.id
            )),
        }
        let before = self.events.insert(event.id.to_string(), event.identifier);
        if before.is_some_and(|b| b != event.identifier) {
            self.broken
                .push(format!("event {} belongs to two customers", event.id));
        }
    }

    /// The log tells of a decision: its money is held, its reward awaited.
    fn decision(&mut self, w: &mut Waiting, decision: DecisionId) {
        self.decisions_in_log.insert(decision);
        let Some(record) = self.records.get(&decision) else {
            self.broken.push(format!(
                "the log tells of decision {decision}, State has none"
            ));
            return;
        };
        let at = record.request.moment.now;
        if !record.decision.debits.is_empty() {
            match w.receipts.get(&decision) {
                Some(true) => drop(self.posted.insert(decision)),
                Some(false) => drop(self.voided.insert(decision)),
                None => w
                    .holds
                    .push((record.valid_until.plus(RECEIPTS_WITHIN_US), decision)),
            }
        }
        if record.policy == "learned" && record.withheld.is_none() {
            w.rewards.push((at.plus(REWARD_WINDOW_US), at, decision));
            let early = w.outcomes.iter().find(|(d, _)| *d == decision).copied();
            if let Some((_, received)) = early {
                self.outcome(w, decision, received);
            }
        }
    }

    fn outcome(&mut self, w: &mut Waiting, decision: DecisionId, received: Micros) {
        let found = w.rewards.iter().position(|(_, _, d)| *d == decision);
        match found {
            Some(i) => {
                let (due, ..) = w.rewards[i];
                let near = received.since(due).abs() < SECOND_US / 4;
                if received < due {
                    w.rewards.remove(i);
                    self.reward(decision, 1.0, near);
                }
            }
            None => w.outcomes.push((decision, received)),
        }
    }

    fn stream(&mut self, message: &[u8]) -> luopan_kernel::codec::Result<()> {
        let mut r = Reader::new(message);
        r.format("sample message", 1)?;
        for _ in 0..r.count(8)? {
            let sample = Sample::decode(r.bytes()?)?;
            match self.samples.get(&sample.id) {
                None => drop(self.samples.insert(sample.id, sample)),
                Some(before) if before.reward != sample.reward => self.broken.push(format!(
                    "decision {} was rewarded twice, {} and {}",
                    sample.id.0, before.reward, sample.reward
                )),
                Some(before) => {
                    self.samples_repeated += 1;
                    if (&before.arm, &before.features) != (&sample.arm, &sample.features) {
                        self.broken.push(format!(
                            "the sample of decision {} comes again as another",
                            sample.id.0
                        ));
                    }
                }
            }
        }
        r.done()
    }
}
