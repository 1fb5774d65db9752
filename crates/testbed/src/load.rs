//! The load: several tasks that send events (again and again, some of them), ask for decisions under keys, confirm and fail
//! sends, answer with outcomes, link and un-link, and watch the budgets, until the process is killed. It says what it sends
//! before it sends it and what was acknowledged after the engine answered, never the other way round (unless told to lie).

use crate::dice::Dice;
use crate::lines::{Line, Said, Tie, say};
use crate::scene::{POLICIES, SCENE, over, weight};
use luopan_engine::api::{DecideRequest, Incoming, Input, Outcome, PositionToken, Raw};
use luopan_engine::{Engine, RefusalKind};
use luopan_kernel::event::Origin;
use luopan_kernel::id::hash64;
use luopan_kernel::time::{Micros, SECOND_US};
use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::mpsc;

/// Customers of one kind that are new in each round.
const NEW_A_ROUND: u64 = 6;
/// Customers of one kind that are hot in a round.
const HOT: u64 = 8;
/// Most events of one call.
const BATCH_MAX: u64 = 24;
/// Longest that a victim runs when nobody kills it.
const RUN_MAX: Duration = Duration::from_secs(60);

/// What the load is made of.
#[derive(Debug, Clone)]
pub struct Load {
    /// Seed of the whole run.
    pub seed: u64,
    /// Number of the round, from 0; ids of different rounds differ.
    pub round: u64,
    /// Planted fault: events are acknowledged when they are sent.
    pub acknowledge_early: bool,
}

/// A decision that was answered, for those who answer to it.
#[derive(Debug, Clone)]
struct Made {
    decision: String,
    customer: String,
    policy: String,
    chosen: bool,
}

struct Victim {
    engine: Arc<Engine>,
    load: Load,
    /// Events of earlier rounds: id, customer, type; acknowledged or not.
    old_events: Vec<(String, String, String)>,
    /// Keys of earlier rounds: key, customer, policy.
    old_keys: Vec<(String, String, String)>,
}

/// Runs the load until the process is killed, or a minute passed.
pub async fn run(engine: Arc<Engine>, load: Load, said: &Said) {
    let triples = |m: &std::collections::BTreeMap<String, (String, String)>| {
        m.iter()
            .map(|(k, (a, b))| (k.clone(), a.clone(), b.clone()))
            .collect::<Vec<_>>()
    };
    let victim = Arc::new(Victim {
        engine,
        old_events: triples(&said.events_sent)
            .into_iter()
            .filter(|(_, _, kind)| kind == "visit")
            .collect(),
        old_keys: triples(&said.decisions_sent),
        load,
    });
    victim.tie_pairs(said).await;
    say(&[Line::Ready]);
    let (made, mut answered) = mpsc::channel(1_000);
    for task in 0..3 {
        let v = victim.clone();
        tokio::spawn(async move { v.send_events(task).await });
    }
    for task in 10..12 {
        let (v, made) = (victim.clone(), made.clone());
        tokio::spawn(async move { v.decide(task, &made).await });
    }
    let v = victim.clone();
    tokio::spawn(async move { v.link(20).await });
    let v = victim.clone();
    tokio::spawn(async move { v.watch().await });
    let v = victim.clone();
    tokio::spawn(async move {
        let mut dice = v.dice(30);
        while let Some(first) = answered.recv().await {
            let mut batch = vec![first];
            while let Ok(more) = answered.try_recv() {
                batch.push(more);
            }
            v.answer(&mut dice, &batch).await;
        }
    });
    tokio::time::sleep(RUN_MAX).await;
}

impl Victim {
    fn dice(&self, task: u64) -> Dice {
        Dice::new(self.load.seed, self.load.round * 100 + task + 1)
    }

    /// A customer: mostly a hot one, sometimes one of long ago.
    fn customer(&self, dice: &mut Dice) -> String {
        let newest = self.load.round * NEW_A_ROUND + HOT;
        let n = match dice.below(10) {
            0..=4 => newest - 1 - dice.below(HOT),
            5..=8 => newest - 1 - dice.below(newest.min(6 * HOT)),
            _ => dice.below(newest),
        };
        match dice.below(5) {
            0 => format!("t{n}a"),
            1 => format!("t{n}b"),
            2 => format!("f{n}a"),
            3 => format!("f{n}b"),
            _ => format!("s{n}"),
        }
    }

    /// Links the pairs that stay linked, before anything is decided for them.
    async fn tie_pairs(&self, said: &Said) {
        for n in 0..self.load.round * NEW_A_ROUND + HOT {
            let pair = (format!("t{n}a"), format!("t{n}b"));
            if said.ties.get(&pair) == Some(&Tie::Linked) {
                continue;
            }
            say(&[Line::LinkSent(pair.0.clone(), pair.1.clone())]);
            match self.engine.link(&pair.0, &pair.1, "load").await {
                Ok(()) => say(&[Line::Linked(pair.0, pair.1)]),
                Err(e) => say(&[Line::Broken(format!("link of {pair:?} refused: {e}"))]),
            }
        }
    }

    async fn send_events(&self, task: u64) {
        let mut dice = self.dice(task);
        let mut mine: Vec<(String, String, String)> = Vec::new();
        for n in 0u64.. {
            let mut batch: Vec<(String, String, String)> = Vec::new();
            for i in 0..=dice.below(BATCH_MAX) {
                let again = match dice.below(100) {
                    0..=7 => dice.one(&mine),
                    8..=13 => dice.one(&self.old_events),
                    14..=16 => dice.one(&batch),
                    _ => None,
                };
                let event = again.cloned().unwrap_or_else(|| {
                    (
                        format!("e{}-{task}-{n}-{i}", self.load.round),
                        self.customer(&mut dice),
                        "visit".to_owned(),
                    )
                });
                batch.push(event);
            }
            let bad = dice.percent(5);
            self.send(&mut dice, &batch, bad).await;
            mine.extend(batch);
            if mine.len() > 2_000 {
                mine.drain(..1_000);
            }
            if dice.percent(10) {
                tokio::time::sleep(Duration::from_millis(dice.below(8))).await;
            }
        }
    }

    /// Sends visits: what an event holds is a function of its id.
    async fn send(&self, dice: &mut Dice, batch: &[(String, String, String)], bad: bool) {
        let now = now();
        let mut inputs: Vec<Input<'_>> = (batch.iter())
            .map(|(id, customer, kind)| {
                let properties = vec![
                    (Cow::Borrowed("weight"), Raw::Int(weight(id))),
                    (
                        Cow::Borrowed("page"),
                        Raw::Text(format!("p{}", hash64(id.as_bytes()) % 7).into()),
                    ),
                ];
                let late = dice.percent(20).then(|| dice.below(3_600) as i64);
                Ok(Incoming {
                    occurred_at: late.map(|s| now.plus(-s * SECOND_US)),
                    ..incoming(id, customer, kind, properties)
                })
            })
            .collect();
        if bad {
            inputs.push(Ok(incoming("bad", "bad", "no_such_type", Vec::new())));
        }
        self.ingest(batch, &inputs).await;
    }

    async fn ingest(&self, batch: &[(String, String, String)], inputs: &[Input<'_>]) {
        let sent: Vec<_> = (batch.iter().cloned())
            .map(|(id, customer, kind)| Line::EventSent(id, customer, kind))
            .collect();
        say(&sent);
        let taken = |i: usize| batch.get(i).map(|(id, _, _)| Line::EventTaken(id.clone()));
        if self.load.acknowledge_early {
            say(&(0..batch.len()).filter_map(taken).collect::<Vec<_>>());
        }
        let answer = self.engine.ingest(SCENE, Origin::Live, inputs).await;
        let lines: Vec<_> = match answer {
            Ok(receipt) => (receipt.outcomes.iter().enumerate())
                .filter_map(|(i, o)| match o {
                    Outcome::Accepted { .. } => taken(i),
                    Outcome::Quarantined { quarantine_id, .. } if i >= batch.len() => {
                        Some(Line::Quarantined(quarantine_id.clone()))
                    }
                    Outcome::Quarantined { reason, .. } => {
                        Some(Line::Broken(format!("a good event was refused: {reason}")))
                    }
                })
                .collect(),
            Err(e) if e.kind == RefusalKind::Busy => {
                tokio::time::sleep(Duration::from_millis(20)).await;
                Vec::new()
            }
            Err(e) => vec![Line::Broken(format!("intake failed: {e}"))],
        };
        say(&lines);
    }

    async fn decide(&self, task: u64, made: &mpsc::Sender<Made>) {
        let mut dice = self.dice(task);
        let mut mine: Vec<(String, String, String)> = Vec::new();
        for n in 0u64.. {
            let mut batch = Vec::new();
            for i in 0..=dice.below(6) {
                let again = match dice.below(100) {
                    0..=9 => dice.one(&mine),
                    10..=14 => dice.one(&self.old_keys),
                    15..=17 => dice.one(&batch),
                    _ => None,
                };
                let new = || {
                    let customer = self.customer(&mut dice);
                    let policy = POLICIES[dice.below(POLICIES.len() as u64) as usize];
                    let key = format!("k{}-{task}-{n}-{i}", self.load.round);
                    (key, customer, policy.to_owned())
                };
                let asked = again.cloned().unwrap_or_else(new);
                batch.push(asked);
            }
            say(&(batch.iter().cloned())
                .map(|(k, c, p)| Line::DecisionSent(k, c, p))
                .collect::<Vec<_>>());
            let requests: Vec<_> = batch.iter().map(|b| request(b, 0)).collect();
            let answers = if dice.percent(20) {
                // The same keys twice at the same time.
                let (a, b) = futures::join!(
                    self.engine.decide_many(&requests),
                    self.engine.decide_many(&requests)
                );
                a.into_iter().zip(b).flat_map(|(a, b)| [a, b]).collect()
            } else {
                self.engine.decide_many(&requests).await
            };
            let each = answers.len() / batch.len().max(1);
            for (i, answer) in answers.into_iter().enumerate() {
                let (key, customer, policy) = &batch[i / each.max(1)];
                match answer {
                    Ok(a) => {
                        let decision = a.record.request.decision.to_string();
                        let choice = a.record.decision.choices.first();
                        let item = choice.map_or_else(|| "-".to_owned(), |c| c.item.clone());
                        let chosen = choice.is_some();
                        say(&[Line::Decided(key.clone(), decision.clone(), item)]);
                        let answered = Made {
                            decision,
                            customer: customer.clone(),
                            policy: policy.clone(),
                            chosen,
                        };
                        // The answers are for some only; a full queue loses none that was promised.
                        drop(made.try_send(answered));
                    }
                    Err(e) if e.kind == RefusalKind::Busy => {}
                    Err(e) => say(&[Line::Broken(format!("decision {key} failed: {e}"))]),
                }
            }
            if let Some(used) = dice.one(&mine).filter(|_| n % 8 == 0) {
                let other = self.engine.decide(request(used, 1)).await;
                if !matches!(&other, Err(e) if e.code == "idempotency_conflict") {
                    let key = &used.0;
                    say(&[Line::Broken(format!(
                        "key {key} with another body was answered: {other:?}"
                    ))]);
                }
            }
            mine.extend(batch);
            if dice.percent(30) {
                tokio::time::sleep(Duration::from_millis(dice.below(10))).await;
            }
        }
    }

    /// Receipts and outcomes for decisions; which, is a function of the decision's id.
    async fn answer(&self, dice: &mut Dice, batch: &[Made]) {
        let mut named: Vec<(String, String, String)> = Vec::new();
        let mut inputs: Vec<Input<'_>> = Vec::new();
        for made in batch {
            let fate = hash64(made.decision.as_bytes()) % 4;
            let status = match (made.policy.as_str(), fate) {
                ("short", 0) if made.chosen => Some("failed"),
                ("short", 1 | 2) | ("long", _) if made.chosen => Some("delivered"),
                _ => None,
            };
            let id = || Raw::Text(made.decision.clone().into());
            let (kind, properties) = match status {
                Some(status) => (
                    "luopan.receipt",
                    vec![
                        (Cow::Borrowed("decision_id"), id()),
                        (Cow::Borrowed("status"), Raw::Text(status.into())),
                    ],
                ),
                None if made.policy == "learned" && fate > 1 => {
                    ("buy", vec![(Cow::Borrowed("decision_id"), id())])
                }
                None => continue,
            };
            for _ in 0..=u64::from(dice.percent(15)) {
                let event = format!("a-{}", made.decision);
                named.push((event, made.customer.clone(), kind.to_owned()));
                let input = incoming("", &made.customer, kind, properties.clone());
                inputs.push(Ok(Incoming {
                    id: format!("a-{}", made.decision).into(),
                    customer: made.customer.clone().into(),
                    kind: kind.into(),
                    ..input
                }));
            }
        }
        if !inputs.is_empty() {
            self.ingest(&named, &inputs).await;
        }
    }

    /// Links and un-links the pairs that do not stay. One task does, so what is sent last decides.
    async fn link(&self, task: u64) {
        let mut dice = self.dice(task);
        loop {
            let newest = self.load.round * NEW_A_ROUND + HOT;
            let n = newest - 1 - dice.below(newest.min(3 * HOT));
            let (a, b) = (format!("f{n}a"), format!("f{n}b"));
            if dice.percent(50) {
                say(&[Line::LinkSent(a.clone(), b.clone())]);
                match self.engine.link(&a, &b, "load").await {
                    Ok(()) => say(&[Line::Linked(a, b)]),
                    Err(e) => say(&[Line::Broken(format!("link of {a} {b} failed: {e}"))]),
                }
            } else {
                say(&[Line::UnlinkSent(a.clone(), b.clone())]);
                match self.engine.unlink(&b, "load").await {
                    Ok(()) => say(&[Line::Unlinked(a, b)]),
                    // What was never seen, or is linked to nobody, is apart.
                    Err(e) if ["not_linked", "unknown_customer"].contains(&e.code) => {
                        say(&[Line::Unlinked(a, b)]);
                    }
                    Err(e) => say(&[Line::Broken(format!("un-link of {a} {b} failed: {e}"))]),
                }
            }
            tokio::time::sleep(Duration::from_millis(dice.below(6))).await;
        }
    }

    /// No budget is over its limit at any moment.
    async fn watch(&self) {
        let Ok(plan) = self.engine.plan(SCENE) else {
            return say(&[Line::Broken("the scene is not there".into())]);
        };
        loop {
            match self.engine.stats().await {
                Ok(stats) => {
                    for (name, spent) in over(&plan, &stats.budgets) {
                        say(&[Line::Broken(format!("budget {name}: {spent} is spent"))]);
                    }
                    for (partition, reason) in &stats.halted {
                        say(&[Line::Broken(format!(
                            "partition {partition} is halted: {reason}"
                        ))]);
                    }
                }
                Err(e) => say(&[Line::Broken(format!("stats failed: {e}"))]),
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

fn now() -> Micros {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

fn incoming<'a>(
    id: &'a str,
    customer: &'a str,
    kind: &'a str,
    properties: Vec<(Cow<'a, str>, Raw<'a>)>,
) -> Incoming<'a> {
    Incoming {
        id: Cow::Borrowed(id),
        customer: Cow::Borrowed(customer),
        kind: Cow::Borrowed(kind),
        occurred_at: None,
        properties,
        context: Vec::new(),
        corrects: None,
        raw: Cow::Borrowed(""),
    }
}

fn request((key, customer, policy): &(String, String, String), body: u8) -> DecideRequest {
    DecideRequest {
        scene: SCENE.into(),
        policy: policy.clone(),
        customer: customer.clone(),
        idempotency_key: Some(key.clone()),
        body_hash: [body; 32],
        context: Vec::new(),
        at_least: PositionToken::default(),
        wait_us: 0,
        origin: Origin::Live,
        slots: None,
        item: None,
    }
}
