//! Those who use the simulated installation: they send events, ask for decisions, answer to them, link and un-link, and ask
//! again under the same ids when no answer came. What they say is kept as in the crash tests: sent before, acknowledged
//! after.

use super::node::Cluster;
use crate::dice::Dice;
use crate::lines::Line;
use crate::scene::{POLICIES, SCENE, weight};
use luopan_engine::api::{
    DecideRequest, DecisionAnswer, Incoming, IngestReceipt, Outcome, PositionToken, Raw, Refusal,
};
use luopan_engine::{Engine, RefusalKind};
use luopan_kernel::event::Origin;
use luopan_kernel::id::hash64;
use luopan_kernel::time::{Micros, SECOND_US};
use luopan_kernel::value::Value;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Customers of one kind.
pub const CUSTOMERS: u64 = 4;
/// Most tries of one call.
const TRIES: u64 = 40;
/// Longest pause between two tries, in microseconds.
const AGAIN_US: u64 = 700_000;
/// How long a decision waits for what its client has seen acknowledged.
const WAIT_US: i64 = 20 * SECOND_US;

/// An event, as sent again and again.
#[derive(Debug, Clone)]
struct Sent {
    id: String,
    customer: String,
    kind: &'static str,
    occurred_at: Option<Micros>,
    /// The decision that it answers to, and what a receipt says.
    decision: Option<(String, Option<&'static str>)>,
}

/// A decision that was answered.
#[derive(Debug, Clone)]
struct Made {
    decision: String,
    customer: String,
    policy: &'static str,
    chosen: bool,
}

/// One client.
pub struct Client {
    cluster: Arc<Cluster>,
    number: u64,
    dice: Dice,
    made: Vec<Made>,
    sent: Vec<Sent>,
    keys: Vec<(String, String, &'static str, Origin)>,
    /// Visits acknowledged to this client, and the positions that came with them.
    visits: BTreeMap<String, BTreeSet<String>>,
    token: PositionToken,
    /// Events acknowledged, in the order in which they were sent.
    pub order: Vec<String>,
}

impl Client {
    /// A client.
    pub fn new(cluster: &Arc<Cluster>, number: u64) -> Self {
        Self {
            cluster: cluster.clone(),
            number,
            dice: cluster.fresh_dice(),
            made: Vec::new(),
            sent: Vec::new(),
            keys: Vec::new(),
            visits: BTreeMap::new(),
            token: PositionToken::default(),
            order: Vec::new(),
        }
    }

    fn say(&self, lines: impl IntoIterator<Item = Line>) {
        let mut said = self.cluster.said.lock();
        lines.into_iter().for_each(|l| said.take(l));
    }

    /// Does so many things, one after another.
    pub async fn run(mut self, things: u64) -> Self {
        for n in 0..things {
            match self.dice.below(100) {
                0..=44 => self.send(n).await,
                45..=79 => self.decide(n).await,
                80..=91 => self.answer().await,
                92..=94 => self.other_body().await,
                _ => {
                    let us = self.dice.below(2_000_000) as i64;
                    self.cluster.sim.sleep(us).await;
                }
            }
            let us = self.dice.below(60_000) as i64;
            self.cluster.sim.sleep(us).await;
        }
        self
    }

    fn customer(&mut self) -> String {
        let n = self.dice.below(CUSTOMERS);
        match self.dice.below(5) {
            0 => format!("t{n}a"),
            1 => format!("t{n}b"),
            2 => format!("f{n}a"),
            3 => format!("f{n}b"),
            _ => format!("s{n}"),
        }
    }

    /// Asks until an answer comes that is not a refusal for the moment; none when nobody answered.
    async fn insist<T: Send + 'static, F>(
        &mut self,
        what: &str,
        question: impl Fn(Arc<Engine>) -> F,
    ) -> Option<Result<T, Refusal>>
    where
        F: Future<Output = Result<T, Refusal>> + Send + 'static,
    {
        for _ in 0..TRIES {
            let node = self.dice.below(self.cluster.shape.nodes as u64) as usize;
            let answer = self.cluster.ask(node, &mut self.dice, &question).await;
            match answer {
                Some(Ok(answer)) => return Some(Ok(answer)),
                Some(Err(e)) if passing(&e) => {}
                Some(Err(e)) => return Some(Err(e)),
                None => {}
            }
            // Some give up; whether it was done, they never learn.
            if self.dice.percent(2) {
                break;
            }
            let us = self.dice.below(AGAIN_US) as i64;
            self.cluster.sim.sleep(us).await;
        }
        let _ = what;
        None
    }

    async fn send(&mut self, n: u64) {
        let mut batch: Vec<Sent> = Vec::new();
        for i in 0..=self.dice.below(6) {
            let again = match self.dice.below(100) {
                0..=9 => self.dice.one(&self.sent).cloned(),
                10..=12 => self.dice.one(&batch).cloned(),
                _ => None,
            };
            let event = match again {
                Some(event) => event,
                None => Sent {
                    id: format!("e{}-{n}-{i}", self.number),
                    customer: self.customer(),
                    kind: "visit",
                    occurred_at: self.dice.percent(20).then(|| {
                        let late = self.dice.below(3_600) as i64 * SECOND_US;
                        Micros(self.cluster.sim.now() - late)
                    }),
                    decision: None,
                },
            };
            batch.push(event);
        }
        self.ingest(batch).await;
    }

    async fn ingest(&mut self, batch: Vec<Sent>) {
        let bad = self.dice.percent(5);
        self.say(
            (batch.iter())
                .map(|e| Line::EventSent(e.id.clone(), e.customer.clone(), e.kind.to_owned())),
        );
        let question = |engine: Arc<Engine>| {
            let batch = batch.clone();
            async move { ingest(&engine, &batch, bad).await }
        };
        let Some(answer) = self.insist("events", question).await else {
            return;
        };
        let receipt = match answer {
            Ok(receipt) => receipt,
            Err(e) => return self.cluster.broken(format!("intake refused: {e}")),
        };
        for (i, outcome) in receipt.outcomes.iter().enumerate() {
            match (outcome, batch.get(i)) {
                (Outcome::Accepted { .. }, Some(event)) => {
                    self.say([Line::EventTaken(event.id.clone())]);
                    if !self.order.contains(&event.id) {
                        self.order.push(event.id.clone());
                    }
                    if event.kind == "visit" {
                        let of = self.visits.entry(event.customer.clone()).or_default();
                        of.insert(event.id.clone());
                    }
                }
                (Outcome::Quarantined { quarantine_id, .. }, None) => {
                    self.say([Line::Quarantined(quarantine_id.clone())]);
                }
                (other, event) => {
                    let what = format!("{event:?} was answered with {other:?}");
                    self.cluster.broken(what);
                }
            }
        }
        for (p, at) in &receipt.token.0 {
            self.token.include(*p, *at);
        }
        self.sent.extend(batch);
    }

    async fn decide(&mut self, n: u64) {
        let again = self
            .dice
            .percent(15)
            .then(|| self.dice.one(&self.keys).cloned());
        let asked = match again.flatten() {
            Some(asked) => asked,
            None => {
                let policy = POLICIES[self.dice.below(POLICIES.len() as u64) as usize];
                let origin = match policy != "learned" && self.dice.percent(20) {
                    true => Origin::Simulated,
                    false => Origin::Live,
                };
                let key = format!("k{}-{n}", self.number);
                (key, self.customer(), policy, origin)
            }
        };
        self.say([Line::DecisionSent(
            asked.0.clone(),
            asked.1.clone(),
            asked.2.to_owned(),
        )]);
        let sees = self.dice.percent(50);
        let twice = self.dice.percent(20);
        let request = DecideRequest {
            at_least: match sees {
                true => self.token.clone(),
                false => PositionToken::default(),
            },
            wait_us: WAIT_US,
            ..request(&asked, 0)
        };
        let cluster = self.cluster.clone();
        let question = |engine: Arc<Engine>| {
            let cluster = cluster.clone();
            let requests = match twice {
                true => vec![request.clone(), request.clone()],
                false => vec![request.clone()],
            };
            async move {
                let mut answers = engine.decide_many(&requests).await.into_iter();
                let first = answers.next();
                match (first, answers.next()) {
                    (Some(Ok(a)), Some(Ok(b)))
                        if a.record.request.decision != b.record.request.decision =>
                    {
                        let key = a.record.idempotency.map(|i| i.key_hash);
                        cluster.broken(format!(
                            "a key has one decision: {key:?} got {} and {} in one call",
                            a.record.request.decision, b.record.request.decision
                        ));
                        Ok(b)
                    }
                    (Some(first), _) => first,
                    (None, _) => Err(Refusal {
                        code: "internal",
                        kind: RefusalKind::Invalid,
                        message: "a request got no answer".into(),
                    }),
                }
            }
        };
        let answer = self.insist("a decision", question).await;
        self.keys.push(asked.clone());
        match answer {
            None => {}
            Some(Ok(answer)) => self.decided(asked, &answer, sees),
            Some(Err(e)) => {
                let what = format!("decision {} was refused: {e}", asked.0);
                self.cluster.broken(what);
            }
        }
    }

    fn decided(
        &mut self,
        (key, customer, policy, origin): (String, String, &'static str, Origin),
        answer: &DecisionAnswer,
        sees: bool,
    ) {
        let record = &answer.record;
        let decision = record.request.decision.to_string();
        let choice = record.decision.choices.first();
        let item = choice.map_or_else(|| "-".to_owned(), |c| c.item.clone());
        let chosen = choice.is_some();
        self.say([Line::Decided(key.clone(), decision.clone(), item)]);
        // What was acknowledged before, and asked for, was seen.
        let seen = (record.decision.slots_read.iter())
            .find(|(slot, _)| slot.rsplit('.').next() == Some("visits"));
        if let (true, false, Some((_, Value::Int(seen)))) = (sees, answer.repeated, seen) {
            let known = self.visits.get(&customer).map_or(0, BTreeSet::len);
            if *seen < known as i64 {
                self.cluster.broken(format!(
                    "a decision sees what it asked for: {key} saw {seen} visits of {customer}, {known} were acknowledged"
                ));
            }
        }
        if origin == Origin::Live {
            self.made.push(Made {
                decision,
                customer,
                policy,
                chosen,
            });
        }
    }

    /// Receipts and outcomes; which, is a function of the decision's id.
    async fn answer(&mut self) {
        let mut batch = Vec::new();
        for made in std::mem::take(&mut self.made) {
            let fate = hash64(made.decision.as_bytes()) % 4;
            let status = match (made.policy, fate) {
                ("short", 0) if made.chosen => Some("failed"),
                ("short", 1 | 2) | ("long", _) if made.chosen => Some("delivered"),
                _ => None,
            };
            let kind = match status {
                Some(_) => "luopan.receipt",
                None if made.policy == "learned" && fate > 1 => "buy",
                None => continue,
            };
            for _ in 0..=u64::from(self.dice.percent(15)) {
                batch.push(Sent {
                    id: format!("a-{}", made.decision),
                    customer: made.customer.clone(),
                    kind,
                    occurred_at: None,
                    decision: Some((made.decision.clone(), status)),
                });
            }
        }
        if !batch.is_empty() {
            self.ingest(batch).await;
        }
    }

    /// A key that was used, with another body.
    async fn other_body(&mut self) {
        let answered: Vec<_> = {
            let said = self.cluster.said.lock();
            (self.keys.iter())
                .filter(|(key, ..)| said.decided.contains_key(key))
                .cloned()
                .collect()
        };
        let Some(used) = self.dice.one(&answered).cloned() else {
            return;
        };
        let other = request(&used, 1);
        let question = |engine: Arc<Engine>| {
            let other = other.clone();
            async move { engine.decide(other).await }
        };
        match self.insist("a used key", question).await {
            Some(Ok(a)) => self.cluster.broken(format!(
                "key {} with another body was answered with {}",
                used.0, a.record.request.decision
            )),
            Some(Err(e)) if e.code == "idempotency_conflict" => {}
            Some(Err(e)) => {
                let what = format!("key {} with another body: {e}", used.0);
                self.cluster.broken(what);
            }
            None => {}
        }
    }

    /// Links a pair for good; true when it was acknowledged.
    pub async fn tie(&mut self, a: &str, b: &str) -> bool {
        self.say([Line::LinkSent(a.to_owned(), b.to_owned())]);
        let question = |engine: Arc<Engine>| {
            let (a, b) = (a.to_owned(), b.to_owned());
            async move { engine.link(&a, &b, "sim").await }
        };
        match self.insist("a link", question).await {
            Some(Ok(())) => {
                self.say([Line::Linked(a.to_owned(), b.to_owned())]);
                true
            }
            Some(Err(e)) => {
                self.cluster.broken(format!("link of {a} {b}: {e}"));
                false
            }
            None => false,
        }
    }

    async fn untie(&mut self, a: &str, b: &str) {
        self.say([Line::UnlinkSent(a.to_owned(), b.to_owned())]);
        let question = |engine: Arc<Engine>| {
            let b = b.to_owned();
            async move { engine.unlink(&b, "sim").await }
        };
        match self.insist("an un-link", question).await {
            Some(Ok(())) => self.say([Line::Unlinked(a.to_owned(), b.to_owned())]),
            // What was never seen, or is linked to nobody, is apart.
            Some(Err(e)) if ["not_linked", "unknown_customer"].contains(&e.code) => {
                self.say([Line::Unlinked(a.to_owned(), b.to_owned())]);
            }
            Some(Err(e)) => self.cluster.broken(format!("un-link of {a} {b}: {e}")),
            None => {}
        }
    }

    /// Links and un-links the pairs that do not stay. One client does, so what is sent last decides, unless it gave up: an
    /// attempt of which nothing was heard may still be under way, so that pair is left alone.
    pub async fn link(mut self, things: u64) -> Self {
        let mut left_alone = BTreeSet::new();
        for _ in 0..things {
            let n = self.dice.below(CUSTOMERS);
            let (a, b) = (format!("f{n}a"), format!("f{n}b"));
            if !left_alone.contains(&n) {
                match self.dice.percent(50) {
                    true => drop(self.tie(&a, &b).await),
                    false => self.untie(&a, &b).await,
                }
                let tie = self.cluster.said.lock().ties.get(&(a, b)).copied();
                if tie == Some(crate::lines::Tie::Either) {
                    left_alone.insert(n);
                }
            }
            let us = self.dice.below(400_000) as i64;
            self.cluster.sim.sleep(us).await;
        }
        self
    }
}

/// True for a refusal that says: try again.
fn passing(e: &Refusal) -> bool {
    matches!(
        e.kind,
        RefusalKind::Busy | RefusalKind::Unavailable | RefusalKind::Timeout
    ) || e.code == "unknown_scene"
}

async fn ingest(engine: &Engine, batch: &[Sent], bad: bool) -> Result<IngestReceipt, Refusal> {
    let mut inputs: Vec<_> = batch.iter().map(|e| Ok(incoming(e))).collect();
    if bad {
        inputs.push(Ok(Incoming {
            id: "bad".into(),
            customer: "bad".into(),
            kind: "no_such_type".into(),
            occurred_at: None,
            properties: Vec::new(),
            context: Vec::new(),
            corrects: None,
            raw: Cow::Borrowed(""),
        }));
    }
    engine.ingest(SCENE, Origin::Live, &inputs).await
}

fn incoming(e: &Sent) -> Incoming<'_> {
    let properties = match &e.decision {
        None => vec![
            (Cow::Borrowed("weight"), Raw::Int(weight(&e.id))),
            (
                Cow::Borrowed("page"),
                Raw::Text(format!("p{}", hash64(e.id.as_bytes()) % 7).into()),
            ),
        ],
        Some((decision, status)) => {
            let mut properties = vec![(
                Cow::Borrowed("decision_id"),
                Raw::Text(decision.as_str().into()),
            )];
            if let Some(status) = status {
                properties.push((Cow::Borrowed("status"), Raw::Text((*status).into())));
            }
            properties
        }
    };
    Incoming {
        id: e.id.as_str().into(),
        customer: e.customer.as_str().into(),
        kind: e.kind.into(),
        occurred_at: e.occurred_at,
        properties,
        context: Vec::new(),
        corrects: None,
        raw: Cow::Borrowed(""),
    }
}

fn request(
    (key, customer, policy, origin): &(String, String, &'static str, Origin),
    body: u8,
) -> DecideRequest {
    DecideRequest {
        scene: SCENE.into(),
        policy: (*policy).to_owned(),
        customer: customer.clone(),
        idempotency_key: Some(key.clone()),
        body_hash: [body; 32],
        context: Vec::new(),
        at_least: PositionToken::default(),
        wait_us: 0,
        origin: *origin,
        slots: None,
        item: None,
    }
}
