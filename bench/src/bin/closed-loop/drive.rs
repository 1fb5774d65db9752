//! One policy through the engine for a quarter: events by intake, decisions in a batch a day, answers fed back as events, every offer
//! held, confirmed and counted by the engine, whoever chose it. This room must never offer what the engine did not decide.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use luopan_bench::Fault;
use luopan_bench::moved::Moved;
use luopan_embedded::{Embedded, Options};
use luopan_engine::api::{DecideRequest, PositionToken};
use luopan_engine::{Engine, Limits};
use luopan_kernel::event::{Origin, RECEIPT_TYPE};
use luopan_kernel::plan::ScenePlan;
use luopan_kernel::record::DecisionRecord;
use luopan_kernel::time::{HOUR_US, MINUTE_US, Micros};
use luopan_kernel::value::Value;
use luopan_scene::Checked;
use luopan_simulator::{SimEvent, customer_name};

use super::intake::Intake;
use super::judge::{self, Judged};
use super::oracle;
use super::scene::{self, SCENE, encoded, key, price, product_of};
use super::trees::{self, Known, Names};
use super::vw::{Peer, Told};
use super::who::{LOTS, START_DAYS, Who};
use super::world::{Platform, QUARTER, TAIL, WATCHED, WINDOW_DAYS, lot};

/// Decisions of one call.
const DECISIONS: usize = 500;

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
    pub(crate) names: Names,
    pub(crate) judged: Judged,
    pub(crate) seconds: f64,
}

struct Drive {
    intake: Intake,
    env: Arc<Moved>,
    /// The scene, with the base price of this week.
    plan: ScenePlan,
    platform: Platform,
    spent: i64,
    /// The base price, where it is not the pack's any more.
    base: Option<f64>,
    /// The scene with the newest trees, as it was applied.
    trained: Option<Checked>,
    rows: Vec<Row>,
    /// What is kept of what decisions read.
    names: Names,
    /// The day of every opportunity, and what the best product scored before a price was taken off.
    scored: Vec<(i64, f64)>,
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
            intake: Intake::new(engine),
            env,
            plan: plan.clone(),
            platform,
            spent: 0,
            base: None,
            trained: None,
            rows: Vec::new(),
            names: Names::default(),
            scored: Vec::new(),
        };
        drive.intake.list(&drive.platform).await?;
        for day in 0..WATCHED + QUARTER + TAIL {
            let at = drive.platform.hour(day);
            let events = drive.platform.pass(at);
            drive.env.to(at);
            drive.intake.tell(&events).await?;
            drive.intake.rest().await?;
            if let Who::Peer(peer) = &mut who {
                drive.answer(peer, day - WATCHED)?;
            }
            if (WATCHED..WATCHED + QUARTER).contains(&day) {
                let of = day - WATCHED;
                let is_priced = matches!(who, Who::Trees | Who::Blended | Who::Peer(_));
                if is_priced && of > START_DAYS {
                    drive.settle_base(of).await?;
                }
                if matches!(who, Who::Trees | Who::Blended) && is_taught(of) {
                    drive.train(of, seed).await?;
                }
                drive.decide(&mut who, day, at).await?;
            }
        }
        let policies = who.policies();
        let judged = judge::of_log(
            &drive.intake.engine,
            &drive.plan,
            &policies,
            &drive.platform,
        )
        .await?;
        drive.intake.engine.stop().await;
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

/// True on the days on which trees are trained: as soon as an answer is settled, twice a week while most is new, and then every week.
fn is_taught(day: i64) -> bool {
    day >= START_DAYS && (day == START_DAYS || day % 7 == 0 || (day < 28 && day % 7 == 3))
}

/// The lot of a customer on a day, 0 to 1.
fn drawn(customer: u32, day: i64) -> f64 {
    (lot(u64::from(customer) + (1 << 40), day) >> 11) as f64 / (1u64 << 53) as f64
}

impl Drive {
    /// Makes the base of the price that at which the last week's opportunities would have taken, a day, what is left of the budget for a day
    /// that is left.
    async fn settle_base(&mut self, day: i64) -> Result<(), Fault> {
        let week = (day - 7).max(START_DAYS)..day;
        let days = (day - week.start) as f64;
        let mut best: Vec<f64> = (self.scored.iter())
            .filter(|(day, _)| week.contains(day))
            .map(|(_, best)| *best)
            .collect();
        let left = (scene::limit(&self.plan) - self.spent).max(0) as f64;
        let wanted = (left * days / (QUARTER - day) as f64) as usize;
        if best.is_empty() {
            return Ok(());
        }
        best.sort_by(|a, b| b.total_cmp(a));
        let base = best.get(wanted).copied().unwrap_or(0.0).max(0.0);
        self.base = Some(base);
        scene::set_base(&mut self.plan, base);
        if let Some(checked) = &mut self.trained {
            scene::set_base(&mut checked.plan, base);
            let (plan, artifacts) = (&checked.plan, &checked.artifacts);
            (self.intake.engine)
                .apply_trained_scene(plan, artifacts, &[], SCENE)
                .await?;
            self.intake.rest().await?;
        }
        Ok(())
    }

    /// Trains trees from what is settled, and puts them in force.
    async fn train(&mut self, day: i64, seed: u64) -> Result<(), Fault> {
        for row in &mut self.rows {
            row.is_answered = (self.platform.offers.get(&row.name)).is_some_and(|o| o.is_answered);
        }
        let trees = trees::trained(&self.rows, &self.names, day - 1 - WINDOW_DAYS, seed)?;
        let mut checked = scene::with_trees(&trees)?;
        checked.plan.budgets.clone_from(&self.plan.budgets);
        if let Some(base) = self.base {
            scene::set_base(&mut checked.plan, base);
        }
        (self.intake.engine)
            .apply_trained_scene(&checked.plan, &checked.artifacts, &[], SCENE)
            .await?;
        self.trained = Some(checked);
        self.intake.rest().await
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
            let answers = self.intake.engine.decide_many(&requests).await;
            for ((customer, item), answer) in some.iter().zip(answers) {
                let record = answer?.record;
                self.note(*customer, *item, day, at, &record, &mut receipts)?;
            }
        }
        self.intake.rest().await?;
        self.env.to(at.plus(MINUTE_US));
        self.intake.tell(&receipts).await?;
        self.intake.rest().await
    }

    /// Whom to decide about, and what with which probability where somebody else has chosen.
    async fn asked(
        &mut self,
        who: &mut Who<'_>,
        day: i64,
        at: Micros,
    ) -> Result<Vec<(u32, Option<(usize, f64)>)>, Fault> {
        let due = self.platform.due(day);
        let left = scene::limit(&self.plan) - self.spent;
        let left = usize::try_from(left).unwrap_or(0);
        let mut asked: Vec<(u32, Option<(usize, f64)>)> = Vec::new();
        if who.policy(day - WATCHED) == LOTS {
            let share = who.share();
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
                        .intake
                        .engine
                        .customer(SCENE, &customer_name(customer))
                        .await?;
                    let slots = || view.tags.iter().map(|(n, v)| (n.as_str(), v));
                    told.push(Told {
                        customer,
                        permitted,
                        features: encoded(&self.plan, slots())?,
                        pairs: scene::pairs(&self.plan, &self.platform, slots()),
                    });
                }
                let price = price(&self.plan, self.spent, at);
                let chosen = peer.decide(day - WATCHED, price, &told)?;
                for (told, said) in told.iter().zip(chosen) {
                    self.scored.push((day - WATCHED, said.best));
                    asked.extend(said.chosen.map(|c| (told.customer, Some(c))));
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
            let left = scene::limit(&self.plan) - self.spent;
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
        let paid = price(&self.plan, spent, at);
        let scored = decision.trace.iter().filter(|c| c.item.is_some());
        let best = scored.filter_map(|c| c.score).reduce(f64::max);
        if imposed.is_none() {
            (self.scored).extend(best.map(|b| (day - WATCHED, b + paid)));
        }
        if self.names.customer.is_empty() {
            self.names = Names {
                customer: trees::names(&decision.slots_read),
                pairs: scene::paired(&self.plan),
            };
        }
        let slots = || decision.slots_read.iter().map(|(n, v)| (n.as_str(), v));
        let pairs = scene::pairs(&self.plan, &self.platform, slots());
        if let Some(choice) = decision.choices.first() {
            self.is_as_read(&pairs, chosen, &choice.reads)?;
        }
        self.rows.push(Row {
            customer,
            day: day - WATCHED,
            name: name.clone(),
            chances,
            chosen,
            propensity,
            known: match imposed {
                Some(_) => Known::default(),
                None => Known {
                    customer: trees::known(&self.names.customer, &decision.slots_read),
                    pairs,
                },
            },
            features: match imposed {
                Some(_) => Vec::new(),
                None => encoded(&self.plan, slots())?,
            },
            price: paid,
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

    /// What is computed here of customer and product must be what the engine recorded of the product that it chose.
    fn is_as_read(
        &self,
        pairs: &[Vec<f64>],
        chosen: Option<usize>,
        reads: &[(String, Value<'static>)],
    ) -> Result<(), Fault> {
        let own = chosen.and_then(|p| pairs.get(p));
        for (name, value) in self.names.pairs.iter().zip(own.into_iter().flatten()) {
            let read = reads.iter().find(|(n, _)| n == name);
            let read = read.map(|(_, v)| v.as_number().unwrap_or(f64::NAN));
            if read.is_some_and(|r| r.total_cmp(value).is_ne()) {
                return Err(format!("{name} is {value} here, and {read:?} was read").into());
            }
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
