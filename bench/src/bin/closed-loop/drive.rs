//! One policy through the engine for a quarter: events by intake, decisions in a batch a day, answers fed back as events, every offer
//! held, confirmed and counted by the engine, whoever chose it. This room must never offer what the engine did not decide.

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use luopan_bench::Fault;
use luopan_bench::moved::Moved;
use luopan_embedded::{Embedded, Options};
use luopan_engine::api::{
    DecideRequest, Incoming, IngestReceipt, Outcome, PositionToken, ProductInput, Raw, RefusalKind,
    WAIT_US_MAX,
};
use luopan_engine::{Engine, Limits};
use luopan_kernel::event::{Origin, RECEIPT_TYPE};
use luopan_kernel::plan::ScenePlan;
use luopan_kernel::record::DecisionRecord;
use luopan_kernel::time::{HOUR_US, MINUTE_US, Micros};
use luopan_kernel::value::Value;
use luopan_simulator::{SimEvent, customer_name};

use super::judge::{self, Judged};
use super::oracle;
use super::scene::{self, CATALOGUE, SCENE, encoded, key, price, product_of};
use super::trees::{self, Known};
use super::vw::Peer;
use super::world::{Platform, QUARTER, TAIL, WATCHED, WINDOW_DAYS, lot};

/// Decisions and inputs of one call.
const DECISIONS: usize = 500;
const INPUTS: usize = 2_000;
/// Longest wait for the engine to come to rest, in real time.
const REST_MAX: Duration = Duration::from_secs(60);

/// The policy of the first week of all who learn, and days of it.
const START: &str = "random";
const START_DAYS: i64 = 7;
/// Shares of the opportunities that `random` takes: so that the budget lasts for the quarter, and in the first week of those who learn.
const SHARE: f64 = 0.255;
const START_SHARE: f64 = 0.34;

/// Who chooses.
pub(crate) enum Who<'a> {
    /// Every product and silence alike, to the end.
    Random,
    /// The policy `learned` of the scene, behind the first week.
    Learned,
    /// The policy `trees`, behind the first week; its trees are trained anew every week.
    Trees,
    /// The policy `blended`, likewise.
    Blended,
    /// Vowpal Wabbit, behind the first week.
    Peer(&'a mut Peer),
    /// Somebody who knows the chance of every answer: the best product, where its chance is above the price.
    Oracle(f64),
}

impl Who<'_> {
    /// The scene's policies that decide for it.
    fn policies(&self) -> Vec<&'static str> {
        match self {
            Self::Random => vec![START],
            Self::Learned => vec![START, "learned"],
            Self::Trees => vec![START, "trees"],
            Self::Blended => vec![START, "blended"],
            Self::Peer(_) => vec![START, "imposed"],
            Self::Oracle(_) => vec!["imposed"],
        }
    }

    /// The policy that decides on a day of the quarter.
    fn policy(&self, day: i64) -> &'static str {
        let all = self.policies();
        let at = usize::from(day >= START_DAYS).min(all.len() - 1);
        all[at]
    }
}

/// One decision that could have offered something.
#[derive(Clone)]
pub(crate) struct Row {
    pub(crate) customer: u32,
    /// Since the first day of the quarter.
    pub(crate) day: i64,
    pub(crate) name: String,
    /// What could be offered, and the chance of an answer to each.
    pub(crate) permitted: Vec<usize>,
    pub(crate) chances: Vec<f64>,
    /// What was; none for silence.
    pub(crate) chosen: Option<usize>,
    pub(crate) propensity: f64,
    /// Where the policy read what its model reads: that, as numbers and encoded.
    pub(crate) known: Known,
    pub(crate) features: Vec<f64>,
    pub(crate) price: f64,
    pub(crate) is_answered: bool,
}

impl Row {
    /// The chance of an answer to what was chosen.
    pub(crate) fn chance(&self) -> f64 {
        let at = |p: usize| self.permitted.iter().position(|q| *q == p);
        let place = self.chosen.and_then(at);
        place.map_or(0.0, |i| self.chances[i])
    }
}

/// What came of a quarter.
pub(crate) struct Played {
    pub(crate) rows: Vec<Row>,
    /// Of what was known at a row.
    pub(crate) names: Vec<String>,
    pub(crate) judged: Judged,
    pub(crate) seconds: f64,
}

struct Drive<'a> {
    engine: Arc<Engine>,
    env: Arc<Moved>,
    plan: &'a ScenePlan,
    platform: Platform,
    told: u64,
    spent: i64,
    rows: Vec<Row>,
    /// What is kept of what decisions read.
    names: Vec<String>,
}

/// Plays the quarter of a platform in a data folder of its own.
pub(crate) fn play(
    plan: &ScenePlan,
    platform: Platform,
    mut who: Who<'_>,
    seed: u64,
    folder: &Path,
) -> Result<Played, Fault> {
    let begun = Instant::now();
    if folder.is_dir() {
        std::fs::remove_dir_all(folder)?;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let played = runtime.block_on(async {
        let stores = Embedded::open(folder, Options::default()).await?.stores();
        let env = Arc::new(Moved::seeded(platform.start().plus(-HOUR_US), seed));
        let engine = Engine::open(stores, env.clone(), Limits::default()).await?;
        engine.start().await?;
        engine.apply_scene(plan, &[], SCENE).await?;
        let mut drive = Drive {
            engine,
            env,
            plan,
            platform,
            told: 0,
            spent: 0,
            rows: Vec::new(),
            names: Vec::new(),
        };
        drive.list().await?;
        for day in 0..WATCHED + QUARTER + TAIL {
            let at = drive.platform.hour(day);
            let events = drive.platform.pass(at);
            drive.env.to(at);
            drive.tell(&events).await?;
            drive.rest().await?;
            if let Who::Peer(peer) = &mut who {
                drive.answer(peer, day - WATCHED)?;
            }
            if (WATCHED..WATCHED + QUARTER).contains(&day) {
                let of = day - WATCHED;
                if matches!(who, Who::Trees | Who::Blended) && of >= START_DAYS && of % 7 == 0 {
                    drive.train(of, seed).await?;
                }
                drive.decide(&mut who, day, at).await?;
            }
        }
        let policies = who.policies();
        let judged = judge::of_log(&drive.engine, drive.plan, &policies, &drive.platform).await?;
        drive.engine.stop().await;
        for row in &mut drive.rows {
            row.is_answered = (drive.platform.offers.get(&row.name)).is_some_and(|o| o.is_answered);
        }
        Ok::<_, Fault>(Played {
            rows: drive.rows,
            names: drive.names,
            judged,
            seconds: begun.elapsed().as_secs_f64(),
        })
    });
    runtime.shutdown_timeout(Duration::from_secs(1));
    std::fs::remove_dir_all(folder)?;
    played
}

fn raw(value: &Value<'_>) -> Raw<'static> {
    match value {
        Value::Missing => Raw::Null,
        Value::Bool(v) => Raw::Bool(*v),
        Value::Int(v) => Raw::Int(*v),
        Value::Number(v) => Raw::Number(*v),
        Value::Text(v) => Raw::Text(Cow::Owned(v.clone().into_owned())),
        Value::Time(v) => Raw::Int(v.0),
    }
}

/// The lot of a customer on a day, 0 to 1.
fn drawn(customer: u32, day: i64) -> f64 {
    (lot(u64::from(customer) + (1 << 40), day) >> 11) as f64 / (1u64 << 53) as f64
}

/// A fault that names the first input of a call that was not taken.
fn quarantined(receipt: &IngestReceipt) -> Result<(), Fault> {
    let is_taken = |o: &&Outcome| matches!(o, Outcome::Accepted { .. });
    match receipt.outcomes.iter().find(|o| !is_taken(o)) {
        Some(outcome) => Err(format!("an input went to quarantine: {outcome:?}").into()),
        None => Ok(()),
    }
}

impl Drive<'_> {
    /// Puts the products into the catalogue.
    async fn list(&self) -> Result<(), Fault> {
        let of = |product: usize| ProductInput::Set {
            key: key(product),
            values: vec![
                (
                    "kind".to_owned(),
                    Raw::Text(Cow::Borrowed(self.platform.kinds[product])),
                ),
                (
                    "risk_level".to_owned(),
                    Raw::Int(i64::from(self.platform.ratings[product])),
                ),
                ("placement".to_owned(), Raw::Number(0.0)),
            ],
        };
        let all: Vec<_> = (0..self.platform.ratings.len()).map(of).collect();
        let receipt = self.engine.change_products(SCENE, CATALOGUE, &all).await?;
        quarantined(&receipt)
    }

    async fn tell(&mut self, events: &[SimEvent]) -> Result<(), Fault> {
        for some in events.chunks(INPUTS) {
            let mut inputs = Vec::with_capacity(some.len());
            for event in some {
                self.told += 1;
                inputs.push(Ok(Incoming {
                    id: Cow::Owned(format!("e{}", self.told)),
                    customer: Cow::Owned(customer_name(event.customer)),
                    kind: Cow::Borrowed(event.kind),
                    occurred_at: Some(event.at),
                    properties: (event.properties.iter())
                        .map(|(n, v)| (Cow::Borrowed(*n), raw(v)))
                        .collect(),
                    context: Vec::new(),
                    corrects: None,
                    raw: Cow::Borrowed(""),
                }));
            }
            let receipt = self.engine.ingest(SCENE, Origin::Live, &inputs).await?;
            quarantined(&receipt)?;
        }
        Ok(())
    }

    /// Waits until everything is folded, due timers have fired, and models have learned. The engine's own waits are in a time that
    /// stands still.
    async fn rest(&self) -> Result<(), Fault> {
        let begun = Instant::now();
        loop {
            match self.engine.settle(WAIT_US_MAX).await {
                Ok(()) if self.engine.timers_idle() => break,
                Err(e) if e.kind != RefusalKind::Timeout => return Err(e.into()),
                _ if begun.elapsed() > REST_MAX => return Err("the engine finds no rest".into()),
                _ => tokio::time::sleep(Duration::from_millis(1)).await,
            }
        }
        // What the timers made.
        Ok(self.engine.settle(WAIT_US_MAX).await?)
    }

    /// Trains trees from what is settled, and puts them in force.
    async fn train(&mut self, day: i64, seed: u64) -> Result<(), Fault> {
        for row in &mut self.rows {
            row.is_answered = (self.platform.offers.get(&row.name)).is_some_and(|o| o.is_answered);
        }
        let trees = trees::trained(&self.rows, &self.names, day - 1 - WINDOW_DAYS, seed)?;
        let mut checked = scene::with_trees(&trees)?;
        checked.plan.budgets.clone_from(&self.plan.budgets);
        let artifacts = &checked.artifacts;
        self.engine
            .apply_trained_scene(&checked.plan, artifacts, &[], SCENE)
            .await?;
        self.rest().await
    }

    fn request(
        &self,
        who: &Who<'_>,
        customer: u32,
        day: i64,
        item: Option<usize>,
    ) -> DecideRequest {
        DecideRequest {
            scene: SCENE.into(),
            policy: who.policy(day - WATCHED).into(),
            customer: customer_name(customer),
            idempotency_key: None,
            body_hash: [0; 32],
            context: Vec::new(),
            at_least: PositionToken::default(),
            wait_us: 0,
            origin: Origin::Live,
            slots: None,
            item: item.map(key),
        }
    }

    /// The day's decisions, offers and receipts.
    async fn decide(&mut self, who: &mut Who<'_>, day: i64, at: Micros) -> Result<(), Fault> {
        let asked = self.asked(who, day, at).await?;
        let mut receipts = Vec::new();
        for some in asked.chunks(DECISIONS) {
            let requests: Vec<DecideRequest> = (some.iter())
                .map(|(customer, item)| self.request(who, *customer, day, item.map(|(p, _)| p)))
                .collect();
            let answers = self.engine.decide_many(&requests).await;
            for ((customer, item), answer) in some.iter().zip(answers) {
                let record = answer?.record;
                self.note(*customer, *item, day, at, &record, &mut receipts)?;
            }
        }
        self.rest().await?;
        self.env.to(at.plus(MINUTE_US));
        self.tell(&receipts).await?;
        self.rest().await
    }

    /// Whom to decide about, and what with which probability where somebody else has chosen.
    async fn asked(
        &mut self,
        who: &mut Who<'_>,
        day: i64,
        at: Micros,
    ) -> Result<Vec<(u32, Option<(usize, f64)>)>, Fault> {
        let due = self.platform.due(day);
        let left = scene::limit(self.plan) - self.spent;
        let left = usize::try_from(left).unwrap_or(0);
        let mut asked: Vec<(u32, Option<(usize, f64)>)> = Vec::new();
        if who.policy(day - WATCHED) == START {
            let share = match who {
                Who::Random => SHARE,
                _ => START_SHARE,
            };
            let taken = due.into_iter().filter(|c| drawn(*c, day) < share);
            return Ok(taken.map(|c| (c, None)).collect());
        }
        match who {
            Who::Random | Who::Learned | Who::Trees | Who::Blended => {
                asked.extend(due.into_iter().map(|c| (c, None)));
            }
            Who::Oracle(price) => {
                for customer in due {
                    let best = oracle::best(&self.platform, customer, at)?;
                    let worth = best.filter(|(_, chance)| chance > price);
                    asked.extend(worth.map(|(product, _)| (customer, Some((product, 1.0)))));
                }
                asked.truncate(left);
            }
            Who::Peer(peer) => {
                let mut told = Vec::new();
                for customer in due {
                    let permitted = self.platform.permitted(customer, at);
                    if permitted.is_empty() {
                        continue;
                    }
                    let view = self
                        .engine
                        .customer(SCENE, &customer_name(customer))
                        .await?;
                    let slots = view.tags.iter().map(|(n, v)| (n.as_str(), v));
                    told.push((customer, permitted, encoded(self.plan, slots)?));
                }
                let price = price(self.plan, self.spent, at);
                let chosen = peer.decide(day - WATCHED, price, &told)?;
                for ((customer, _, _), choice) in told.iter().zip(chosen) {
                    asked.extend(choice.map(|c| (*customer, Some(c))));
                }
                // The limit: who is first in the day's order is first here too.
                asked.truncate(left);
            }
        }
        Ok(asked)
    }

    /// Makes the offer that was decided, and keeps what is judged later.
    fn note(
        &mut self,
        customer: u32,
        imposed: Option<(usize, f64)>,
        day: i64,
        at: Micros,
        record: &DecisionRecord,
        receipts: &mut Vec<SimEvent>,
    ) -> Result<(), Fault> {
        let decision = &record.decision;
        let is_refused = decision.refusals.iter().any(|r| r.gate.is_of_customer());
        let chosen = match decision.choices.first() {
            Some(choice) => Some(product_of(&choice.item).ok_or("an unknown product")?),
            None => None,
        };
        if let Some((product, _)) = imposed
            && chosen != Some(product)
        {
            let why = &decision.refusals;
            return Err(format!("the engine refused what was permitted: {why:?}").into());
        }
        if record.withheld.is_some() {
            return Err(format!("an offer was withheld: {:?}", record.withheld).into());
        }
        let permitted = self.platform.permitted(customer, at);
        if is_refused || permitted.is_empty() {
            return Ok(());
        }
        let chances = (permitted.iter())
            .map(|p| self.platform.chance(customer, *p, at))
            .collect::<Result<Vec<f64>, Fault>>()?;
        let name = record.request.decision.to_string();
        if imposed.is_none() && decision.available as usize != permitted.len() {
            let left = scene::limit(self.plan) - self.spent;
            if left > DECISIONS as i64 {
                let found = decision.available;
                return Err(format!("{found} products for {permitted:?}").into());
            }
        }
        let propensity = match imposed {
            Some((_, propensity)) => propensity,
            None => match decision.choices.first() {
                Some(choice) => choice.propensity,
                None => decision.null_propensity.unwrap_or(decision.propensity),
            },
        };
        let spent = record.spent.first().copied().unwrap_or(0);
        if self.names.is_empty() {
            self.names = trees::names(&decision.slots_read);
        }
        self.rows.push(Row {
            customer,
            day: day - WATCHED,
            name: name.clone(),
            chances,
            chosen,
            propensity,
            known: match imposed {
                Some(_) => Known::new(),
                None => trees::known(&self.names, &decision.slots_read),
            },
            features: match imposed {
                Some(_) => Vec::new(),
                None => {
                    let slots = decision.slots_read.iter();
                    encoded(self.plan, slots.map(|(n, v)| (n.as_str(), v)))?
                }
            },
            price: price(self.plan, spent, at),
            is_answered: false,
            permitted,
        });
        if let Some(product) = chosen {
            self.platform.offer(customer, product, &name, at)?;
            self.spent += 1;
            receipts.push(SimEvent {
                customer,
                number: 0,
                kind: RECEIPT_TYPE,
                at: at.plus(MINUTE_US),
                properties: vec![
                    ("decision_id", Value::text(name)),
                    ("status", Value::text("delivered")),
                ],
            });
        }
        Ok(())
    }

    /// Tells the peer what came of the decisions whose window has ended.
    fn answer(&self, peer: &mut Peer, day: i64) -> Result<(), Fault> {
        let of = day - WINDOW_DAYS;
        for row in (self.rows.iter()).filter(|r| r.day == of && r.chosen.is_some()) {
            let is_answered = (self.platform.offers.get(&row.name)).is_some_and(|o| o.is_answered);
            peer.learn(row, is_answered)?;
        }
        Ok(())
    }
}
