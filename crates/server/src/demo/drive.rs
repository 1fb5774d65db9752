//! The loop of the demo: let simulated time pass, send what customers did through intake, decide for those who came, put
//! the choices to them, send receipts. Everything goes through the engine as any application's would; the demo adds
//! nothing that the engine does not see, and what it measures it measures from answers.

use super::clock::DemoEnv;
use super::feed;
use super::pack::SCENE;
use super::score::{Arm, Figures, Score};
use crate::problem::{Problem, Result};
use luopan_engine::Engine;
use luopan_engine::api::{DecideRequest, PositionToken, SegmentCount, Stats};
use luopan_kernel::event::Origin;
use luopan_kernel::id::DecisionId;
use luopan_kernel::plan::{EventSchema, ObjectiveValue, RewardPlan, ScenePlan, Scorer, SlotId};
use luopan_kernel::rule::{Lookup, eval, truth};
use luopan_kernel::time::{DAY_US, HOUR_US, Micros, SECOND_US};
use luopan_kernel::value::Value;
use luopan_simulator::fund::{Product, World};
use luopan_simulator::{SimEvent, customer_name};
use serde::Serialize;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Decisions asked for in one call.
const DECISIONS_PER_CALL: usize = 1_000;
/// Entries not yet folded at which simulated time stands still until the fold has caught up.
const FOLD_LAG_MAX: u64 = 20_000;
/// Longest stretch of simulated time in one turn.
const TURN_US_MAX: i64 = 2 * HOUR_US;
/// Wait for the last entries to be folded, in this environment's time.
const SETTLE_US: i64 = 30 * SECOND_US;
/// Longest wait for the decisions of a turn to reach the log, in real time.
const RELAY_MAX: Duration = Duration::from_secs(5);
/// Longest wait for the last entries, in real time.
const SETTLE_MAX: Duration = Duration::from_secs(120);

/// What the demo shows.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Snapshot {
    /// Simulated time.
    pub(crate) now: Micros,
    /// Simulated days since the start.
    pub(crate) days: f64,
    /// Simulated hours in the last real second.
    pub(crate) hours_per_second: f64,
    /// Events accepted.
    pub(crate) events: u64,
    /// Events a real second, lately.
    pub(crate) events_per_second: f64,
    /// Inputs quarantined.
    pub(crate) quarantined: u64,
    /// Decisions made.
    pub(crate) decisions: u64,
    /// Decisions a real second, lately.
    pub(crate) decisions_per_second: f64,
    /// Figures of the learned policy.
    pub(crate) learned: Figures,
    /// Figures of the random policy.
    pub(crate) random: Figures,
    /// Reward of a decision by simulated day, learned policy.
    #[serde(skip)]
    pub(crate) learned_series: Vec<(f64, f64)>,
    /// And random policy.
    #[serde(skip)]
    pub(crate) random_series: Vec<(f64, f64)>,
    /// Budgets of the scene.
    pub(crate) budgets: Vec<Budget>,
    /// Segments and their sizes.
    pub(crate) segments: Vec<SegmentCount>,
    /// Models and the samples behind them.
    pub(crate) models: Vec<(String, u64)>,
    /// Log entries not yet folded.
    pub(crate) fold_lag: u64,
    /// Partitions that stopped, with the reason.
    pub(crate) halted: Vec<(u16, String)>,
    /// The newest decision that reached somebody.
    pub(crate) decision: Option<DecisionId>,
    /// The customer of it.
    pub(crate) customer: Option<String>,
}

/// How far history is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Past {
    /// Days that passed.
    pub(crate) day: i64,
    /// Events of customers.
    pub(crate) events: u64,
}

/// A budget: minor units of its currency, or a count.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Budget {
    /// Name in the scene.
    pub(crate) name: String,
    /// Spent or held in the newest period that was drawn on.
    pub(crate) spent: i64,
    /// Limit of a period.
    pub(crate) limit: i64,
    /// Spent or held in all periods.
    pub(crate) in_all: i64,
}

impl Budget {
    /// From the engine's ledger, whose rows are named `SCENE/BUDGET/PERIOD` after the origin; periods sort by their name.
    fn of(name: &str, limit: i64, ledger: &[(String, i64)]) -> Self {
        let mut mine: Vec<_> = ledger
            .iter()
            .filter(|(row, _)| row.split('/').nth(1) == Some(name))
            .collect();
        mine.sort();
        Self {
            name: name.to_owned(),
            spent: mine.last().map_or(0, |(_, spent)| *spent),
            limit,
            in_all: mine.iter().map(|(_, spent)| spent).sum(),
        }
    }
}

/// The fields of a simulated event, for the scene's reward.
struct Fields<'e>(&'e EventSchema, &'e SimEvent);

impl Lookup for Fields<'_> {
    fn slot(&self, id: SlotId) -> &Value<'_> {
        match self.0.fields.get(usize::from(id.0)) {
            Some(field) => self.1.property(&field.name),
            None => &Value::Missing,
        }
    }
}

/// The reward that the learned policy's model learns: what the score counts.
#[derive(Debug)]
struct Valued {
    schema: EventSchema,
    reward: RewardPlan,
}

impl Valued {
    fn of(plan: &ScenePlan) -> Result<Self> {
        let missing =
            |what: &str| Problem::internal(format!("the scene inside the program has no {what}"));
        let policy = plan
            .policies
            .iter()
            .find(|p| p.name == Arm::Learned.policy());
        let policy = policy.ok_or_else(|| missing("policy `learned`"))?;
        let model = match &policy.scorer {
            Scorer::Model(model) => Some(model),
            // What is explored is what the policy is after.
            Scorer::Objectives(o) => (o.explored)
                .and_then(|i| o.objectives.get(usize::from(i)))
                .and_then(|o| match &o.value {
                    ObjectiveValue::Model(model) => Some(model),
                    ObjectiveValue::Expression(_) => None,
                }),
            Scorer::Expression(_) => None,
        };
        let model = model.ok_or_else(|| missing("model behind policy `learned`"))?;
        let model = plan
            .models
            .iter()
            .find(|m| m.name == *model)
            .ok_or_else(|| missing("such model"))?;
        let reward = plan
            .rewards
            .get(usize::from(model.reward))
            .ok_or_else(|| missing("such reward"))?;
        let schema = plan
            .events
            .get(usize::from(reward.event))
            .ok_or_else(|| missing("such event"))?;
        Ok(Self {
            schema: schema.clone(),
            reward: reward.clone(),
        })
    }

    /// What the event is worth to its decision, if the reward is declared over it.
    fn value(&self, event: &SimEvent) -> Option<f64> {
        if event.kind != self.schema.name {
            return None;
        }
        let fields = Fields(&self.schema, event);
        if !self
            .reward
            .filter
            .as_ref()
            .is_none_or(|f| truth(f, &fields).is_true())
        {
            return None;
        }
        eval(&self.reward.value, &fields).as_number()
    }
}

/// The demo while it runs.
pub(crate) struct Drive {
    engine: Arc<Engine>,
    env: Arc<DemoEnv>,
    world: World,
    score: Score,
    valued: Valued,
    limits: Vec<(String, i64)>,
    names: Vec<String>,
    start: Micros,
    end: Micros,
    /// Simulated microseconds in a real one.
    pace: f64,
    receipts: Vec<(u32, DecisionId)>,
    turns: u64,
    decisions: u64,
    last: Option<(DecisionId, u32)>,
    rates: Rates,
}

/// What was counted when, for figures a second.
#[derive(Debug)]
struct Rates {
    at: Instant,
    now: Micros,
    events: u64,
    decisions: u64,
}

fn decision_of(event: &SimEvent) -> Option<DecisionId> {
    match event.property("decision_id") {
        Value::Text(id) => id.parse().ok(),
        _ => None,
    }
}

impl Drive {
    /// A world over an engine that has the scene. Decisions are made from `start` to `end`.
    pub(crate) fn new(
        engine: Arc<Engine>,
        env: Arc<DemoEnv>,
        plan: &ScenePlan,
        world: World,
        (start, end): (Micros, Micros),
        pace: f64,
    ) -> Result<Self> {
        let names: Vec<String> = (0..world.customers()).map(customer_name).collect();
        let valued = Valued::of(plan)?;
        let score = Score::new(
            start,
            valued.reward.window_us,
            names.iter().map(String::as_str),
        );
        Ok(Self {
            limits: plan
                .budgets
                .iter()
                .map(|b| (b.name.clone(), b.limit))
                .collect(),
            rates: Rates {
                at: Instant::now(),
                now: start,
                events: 0,
                decisions: 0,
            },
            receipts: Vec::new(),
            turns: 0,
            decisions: 0,
            last: None,
            engine,
            env,
            world,
            score,
            valued,
            names,
            start,
            end,
            pace,
        })
    }

    /// Lists the products with the prices they had, and lets history pass without a decision: what customers did before the
    /// platform had Luopan, as an import would bring it. `say` is told of each week.
    pub(crate) async fn past(&mut self, say: &mut dyn FnMut(Past) -> Result<()>) -> Result<()> {
        let listings: Vec<_> = (self.world.products().iter())
            .map(Product::listing)
            .collect();
        feed::listings(&self.engine, &listings).await?;
        // A day before, so that the prices of all days are there.
        self.tell(Micros(i64::MIN / 4)).await?;
        let mut told = self.world.now();
        let (mut events, mut day) = (0, 0);
        while self.world.now() < self.start {
            let until = self.world.now().plus(DAY_US).min(self.start);
            self.env.advance(until);
            let said = self.world.step(until);
            events += said.len() as u64;
            self.send(&said).await?;
            day += 1;
            if day % 7 == 0 || until == self.start {
                self.tell(told).await?;
                told = self.world.now();
                say(Past { day, events })?;
            }
        }
        self.settle().await
    }

    /// From here on decisions are made, and waits are as short as simulated time is.
    pub(crate) async fn begin(&mut self) -> Result<()> {
        self.env.hurry();
        self.rates.at = Instant::now();
        self.rates.now = self.world.now();
        self.rates.events = self.engine.stats().await?.events_accepted;
        Ok(())
    }

    /// True when simulated time has caught up with its end.
    pub(crate) fn ended(&self) -> bool {
        self.world.now() >= self.end
    }

    /// One turn: as much simulated time as `real` is worth, unless the fold is behind.
    pub(crate) async fn turn(&mut self, real: Duration) -> Result<()> {
        let stats = self.engine.stats().await?;
        if let Some((partition, reason)) = stats.halted.first() {
            return Err(Problem::new(
                "partition_halted",
                format!("partition {partition} stopped: {reason}"),
            ));
        }
        if stats.fold_lag > FOLD_LAG_MAX {
            return Ok(());
        }
        let us = ((real.as_micros() as f64 * self.pace) as i64).min(TURN_US_MAX);
        let until = self.world.now().plus(us).min(self.end);
        self.env.advance(until);
        let from = self.world.now();
        let events = self.world.step(until);
        self.tell(from).await?;
        let came: Vec<u32> = events
            .iter()
            .filter(|e| e.kind == "login")
            .map(|e| e.customer)
            .collect();
        self.count(&events);
        self.send(&events).await?;
        self.decide(&came).await?;
        self.confirm().await?;
        self.turns += 1;
        if self.turns.is_multiple_of(256) {
            self.score.prune(until);
        }
        Ok(())
    }

    /// Notes what the events say about earlier decisions.
    fn count(&mut self, events: &[SimEvent]) {
        for event in events {
            if let (Some(decision), Some(value)) = (decision_of(event), self.valued.value(event)) {
                self.score.rewarded(decision, value, event.at);
            }
            match event.kind {
                "dismissed" => self.score.dismissed(event.customer),
                "unsubscribed" => self.score.unsubscribed(event.customer),
                _ => {}
            }
        }
    }

    /// Hands events, and receipts of the last contacts, to intake.
    async fn send(&mut self, events: &[SimEvent]) -> Result<()> {
        let receipts = std::mem::take(&mut self.receipts);
        feed::events(
            &self.engine,
            &self.names,
            &receipts,
            self.world.now(),
            events,
        )
        .await
    }

    /// Tells the catalogue what was said of products since `from`.
    async fn tell(&mut self, from: Micros) -> Result<()> {
        let mut listings = Vec::new();
        let world = &self.world;
        world.product_events(from, world.now(), &mut |e| {
            listings.extend(e.listings(world.products()));
        });
        feed::listings(&self.engine, &listings).await
    }

    /// Decides for customers who came and puts the choices to them.
    async fn decide(&mut self, came: &[u32]) -> Result<()> {
        let at = self.world.now();
        for some in came.chunks(DECISIONS_PER_CALL) {
            let requests: Vec<DecideRequest> = (some.iter())
                .map(|customer| DecideRequest {
                    scene: SCENE.into(),
                    policy: self.score.arm(*customer).policy().into(),
                    customer: self.names[*customer as usize].clone(),
                    idempotency_key: None,
                    body_hash: [0; 32],
                    context: Vec::new(),
                    at_least: PositionToken::default(),
                    wait_us: 0,
                    origin: Origin::Simulated,
                    slots: None,
                    item: None,
                })
                .collect();
            for (customer, answer) in some.iter().zip(self.engine.decide_many(&requests).await) {
                let record = answer?.record;
                let id = record.request.decision;
                let chosen = record
                    .decision
                    .choices
                    .first()
                    .filter(|_| !record.decision.null);
                self.decisions += 1;
                self.score.decided(*customer, id, chosen.is_some(), at);
                if let Some(choice) = chosen {
                    let offered = (self.world).offer(*customer, &choice.item, &id.to_string(), at);
                    offered.map_err(|e| Problem::internal(e.to_string()))?;
                    self.receipts.push((*customer, id));
                    self.last = Some((id, *customer));
                }
            }
        }
        Ok(())
    }

    /// Sends receipts of the contacts of this turn, before time moves on: a hold without one runs out. As a channel would,
    /// it delivers what the log tells it to, so a receipt never overtakes its decision.
    async fn confirm(&mut self) -> Result<()> {
        if self.receipts.is_empty() {
            return Ok(());
        }
        let started = Instant::now();
        while self.engine.stats().await?.outbox > 0 && started.elapsed() < RELAY_MAX {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        self.send(&[]).await
    }

    /// Waits until everything sent is folded.
    pub(crate) async fn settle(&mut self) -> Result<()> {
        // The engine's own limit is in this environment's time, which now stands still.
        let settled = tokio::time::timeout(SETTLE_MAX, self.engine.settle(SETTLE_US)).await;
        settled.map_err(|_| {
            Problem::new(
                "not_ready",
                format!("the log was not folded within {} s", SETTLE_MAX.as_secs()),
            )
        })??;
        Ok(())
    }

    /// What there is to show now.
    pub(crate) async fn snapshot(&mut self) -> Result<Snapshot> {
        let stats: Stats = self.engine.stats().await?;
        let segments = self.engine.segments(SCENE).await?;
        let now = self.world.now();
        let seconds = self.rates.at.elapsed().as_secs_f64().max(1e-3);
        let rates = Rates {
            at: Instant::now(),
            now,
            events: stats.events_accepted,
            decisions: self.decisions,
        };
        let before = std::mem::replace(&mut self.rates, rates);
        Ok(Snapshot {
            now,
            days: now.since(self.start) as f64 / (24 * HOUR_US) as f64,
            hours_per_second: now.since(before.now) as f64 / HOUR_US as f64 / seconds,
            events: stats.events_accepted,
            events_per_second: (stats.events_accepted - before.events) as f64 / seconds,
            quarantined: stats.events_quarantined,
            decisions: self.decisions,
            decisions_per_second: (self.decisions - before.decisions) as f64 / seconds,
            learned: self.score.figures(Arm::Learned),
            random: self.score.figures(Arm::Random),
            learned_series: self.score.series(Arm::Learned),
            random_series: self.score.series(Arm::Random),
            budgets: self
                .limits
                .iter()
                .map(|(name, limit)| Budget::of(name, *limit, &stats.budgets))
                .collect(),
            segments,
            models: stats.models,
            fold_lag: stats.fold_lag,
            halted: stats.halted,
            decision: self.last.map(|(id, _)| id),
            customer: self.last.map(|(_, c)| self.names[c as usize].clone()),
        })
    }
}
