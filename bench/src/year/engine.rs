//! The same platform through the real engine on embedded stores, for fewer people and days: intake, fold workers, the
//! decisions' commits, learners, the catalogue's log; what the checker reads is exported from the data folder. The clock
//! stands at each event while the platform decides about it. It must never tell the checker a fact, a decision or an order
//! that was not read back from the stores, but for the terms of products that the pack has no place for.

use super::around::{self, Draw};
use super::judge::{self, Found, Judge};
use super::part::TEXT;
use super::scene::{SCENE, Scene, Way, compiled};
use super::shop::Shop;
use super::tally::Tally;
use super::{Size, is_of_products, start_day};
use crate::Fault;
use crate::moved::Moved;
use luopan_embedded::{Embedded, Options};
use luopan_engine::api::{
    DecideRequest, Incoming, PositionToken, ProductInput, Raw, RefusalKind, WAIT_US_MAX,
};
use luopan_engine::{Engine, Limits};
use luopan_kernel::event::{CUSTOMER_TYPE, Origin, RECEIPT_TYPE};
use luopan_kernel::record::DecisionRecord;
use luopan_kernel::time::{HOUR_US, Micros, SECOND_US};
use luopan_kernel::value::Value;
use luopan_server::checked::{self, Exported, Names, Terms};
use luopan_simulator::fund::days::{EXCHANGE_OFFSET_S, date_of, day_at};
use luopan_simulator::fund::{
    Event, Happening, NAV_UNITS, Page, ProductChange, ProductEvent, Settings, Side, World, made_up,
};
use luopan_simulator::{SimEvent, customer_name};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Longest wait for the fold, in real time.
const FOLD_TIME_MAX: Duration = Duration::from_secs(60);
/// Inputs handed over in one call.
const INPUTS: usize = 2_000;

/// What came of it.
#[derive(Debug)]
pub struct Outcome {
    /// What was done.
    pub tally: Tally,
    /// What was exported.
    pub exported: Exported,
    /// What the checker found.
    pub found: Found,
    /// Decisions of which `explain` computed something else than was recorded, and how many were asked.
    pub explained: (u64, u64),
    /// Differences that `verify` found between the log replayed and the stores.
    pub differences: u64,
    /// From the first day to the last.
    pub took: Duration,
    /// Most memory of the checker, bytes.
    pub checker_peak: u64,
}

/// An event that waits for intake, with its context.
struct Waiting {
    event: SimEvent,
    context: Vec<(&'static str, Raw<'static>)>,
}

struct Drive {
    engine: Arc<Engine>,
    env: Arc<Moved>,
    scene: Scene,
    shop: Shop,
    world: World,
    size: Size,
    waiting: Vec<Waiting>,
    seen: PositionToken,
    untaken: BTreeSet<(u32, u32)>,
    fast: BTreeSet<(u32, u32)>,
    cash: BTreeSet<(u32, u32)>,
    made: Vec<luopan_kernel::id::DecisionId>,
    decisions: Vec<u32>,
    extra: u64,
    tally: Tally,
}

fn date(day: i64) -> Raw<'static> {
    let (y, m, d) = date_of(day);
    Raw::Text(Cow::Owned(format!("{y:04}-{m:02}-{d:02}")))
}

impl Drive {
    fn at(&self, at: Micros) {
        self.env.to(at);
    }

    /// Waits until everything handed over is folded. The engine's own waits are in this clock's time, which stands still.
    async fn folded(&mut self) -> Result<(), Fault> {
        let started = Instant::now();
        loop {
            match self.engine.wait_for(&self.seen, WAIT_US_MAX).await {
                Ok(()) => break,
                Err(e) if e.kind == RefusalKind::Timeout && started.elapsed() < FOLD_TIME_MAX => {}
                Err(e) => return Err(e.into()),
            }
        }
        self.seen = PositionToken::default();
        Ok(())
    }

    /// Hands what waits to intake.
    async fn flush(&mut self) -> Result<(), Fault> {
        let waiting = std::mem::take(&mut self.waiting);
        for some in waiting.chunks(INPUTS) {
            let inputs: Vec<_> = (some.iter())
                .map(|Waiting { event, context }| {
                    self.extra += 1;
                    Ok(Incoming {
                        id: Cow::Owned(format!("e{}", self.extra)),
                        customer: Cow::Owned(customer_name(event.customer)),
                        kind: Cow::Borrowed(event.kind),
                        occurred_at: Some(event.at),
                        properties: (event.properties.iter())
                            .map(|(n, v)| (Cow::Borrowed(*n), Raw::from(v.clone())))
                            .collect(),
                        context: (context.iter())
                            .map(|(n, v)| (Cow::Borrowed(*n), v.clone()))
                            .collect(),
                        corrects: None,
                        raw: Cow::Borrowed(""),
                    })
                })
                .collect();
            let receipt = self.engine.ingest(SCENE, Origin::Live, &inputs).await?;
            if receipt.quarantined > 0 {
                return Err(format!(
                    "events went to quarantine: {:?}",
                    receipt
                        .outcomes
                        .iter()
                        .find(|o| { matches!(o, luopan_engine::api::Outcome::Quarantined { .. }) })
                )
                .into());
            }
            for (partition, position) in receipt.token.0 {
                self.seen.include(partition, position);
            }
            self.tally.folded += some.len() as u64;
        }
        Ok(())
    }

    fn tell(
        &mut self,
        customer: u32,
        kind: &'static str,
        at: Micros,
        said: Vec<(&'static str, Value<'static>)>,
    ) {
        let event = SimEvent {
            customer,
            number: 0,
            kind,
            at,
            properties: said,
        };
        self.waiting.push(Waiting {
            event,
            context: Vec::new(),
        });
    }

    async fn decide(
        &mut self,
        customer: u32,
        way: Way,
        at: Micros,
        context: Vec<(String, Raw<'static>)>,
        item: Option<String>,
    ) -> Result<DecisionRecord, Fault> {
        self.at(at);
        self.flush().await?;
        self.folded().await?;
        let request = DecideRequest {
            scene: SCENE.into(),
            policy: way.policy().into(),
            customer: customer_name(customer),
            idempotency_key: None,
            body_hash: [0; 32],
            context,
            at_least: PositionToken::default(),
            wait_us: 0,
            origin: Origin::Live,
            slots: None,
            item,
        };
        let record = self.engine.decide(request).await?.record;
        let count = self.tally.decisions.entry(way.policy()).or_default();
        count.0 += 1;
        count.1 += u64::from(!record.decision.null);
        self.decisions[customer as usize] += 1;
        self.made.push(record.request.decision);
        Ok(record)
    }

    /// Asks, and puts what was chosen to the customer; a receipt follows, as from a channel.
    async fn offer(
        &mut self,
        customer: u32,
        way: Way,
        at: Micros,
        context: Vec<(String, Raw<'static>)>,
    ) -> Result<(), Fault> {
        let record = self.decide(customer, way, at, context, None).await?;
        let Some(choice) = record.decision.choices.first() else {
            return Ok(());
        };
        let id = record.request.decision.to_string();
        self.world.offer(customer, &choice.item, &id, at)?;
        self.tally.offers += 1;
        if !record.decision.debits.is_empty() {
            let said = vec![
                ("decision_id", Value::text(id)),
                ("status", Value::text("delivered")),
            ];
            self.tell(customer, RECEIPT_TYPE, at, said);
        }
        Ok(())
    }

    async fn products(&mut self, at: Micros, out: &mut Vec<u8>) -> Result<(), Fault> {
        let mut said: Vec<ProductEvent> = Vec::new();
        self.world
            .product_events(at.plus(-1), at, &mut |e| said.push(*e));
        self.shop.hear(&self.scene, at, &said, &mut Vec::new())?;
        self.at(at);
        let code = |n: u32| self.shop.products()[n as usize].code.clone();
        let mut inputs = Vec::new();
        for event in &said {
            if let ProductChange::Nav { day, nav_e4 } = event.change {
                inputs.push(ProductInput::Nav {
                    key: code(event.product),
                    day: day as i32,
                    nav: Raw::Number(nav_e4 as f64 / NAV_UNITS as f64),
                    accumulated: Raw::Null,
                });
            }
        }
        for n in self.shop.changed.clone() {
            inputs.push(match self.shop.ended(n) {
                Some(why) => ProductInput::Withdraw {
                    key: code(n),
                    at: Some(why.at),
                    successor: why.successor.clone(),
                    restored: false,
                },
                None => self.whole(n, true),
            });
            self.terms(n, at, out)?;
        }
        self.change(&inputs).await
    }

    fn whole(&self, n: u32, change: bool) -> ProductInput {
        let plan = &self.scene.plan.catalogues[usize::from(self.scene.catalogue)];
        let key = self.shop.products()[n as usize].code.clone();
        let values = self.shop.attributes(plan, n).into_iter();
        let values = values
            .map(|(name, v)| (name.to_owned(), Raw::from(v)))
            .collect();
        match change {
            true => ProductInput::Change { key, values },
            false => ProductInput::Set { key, values },
        }
    }

    fn terms(&self, n: u32, at: Micros, out: &mut Vec<u8>) -> Result<(), Fault> {
        let told: &Terms = self.shop.terms(n);
        let terms = Terms {
            qdii: None,
            money_market: None,
            ..told.clone()
        };
        let key = &self.shop.products()[n as usize].code;
        // After what the export tells of the product, which the engine's clock may put some microseconds later.
        let at = at.plus(SECOND_US);
        Ok(checked::product(
            out,
            at,
            key,
            &[],
            &terms,
            &[],
            EXCHANGE_OFFSET_S,
        )?)
    }

    async fn change(&mut self, inputs: &[ProductInput]) -> Result<(), Fault> {
        let catalogue = self.scene.plan.catalogues[usize::from(self.scene.catalogue)]
            .name
            .clone();
        for some in inputs.chunks(INPUTS) {
            let receipt = self.engine.change_products(SCENE, &catalogue, some).await?;
            if receipt.quarantined > 0 {
                return Err("what was said of products went to quarantine".into());
            }
            for (partition, position) in receipt.token.0 {
                self.seen.include(partition, position);
            }
        }
        Ok(())
    }

    async fn hear(&mut self, event: &Event) -> Result<(), Fault> {
        let (customer, at) = (event.customer, event.at);
        self.tally.events += 1;
        if let Happening::Submitted(told) = &event.what
            && told.side == Side::Buy
        {
            let code = self.shop.products()[told.product as usize].code.clone();
            let item = || ("item", Value::text(code.clone()));
            if let Some(seen) = (self.shop.notice(told.product))
                .and_then(|v| around::acknowledges(self.size.seed, customer, told.order, v))
            {
                self.tell(
                    customer,
                    "notice_acknowledged",
                    at,
                    vec![item(), ("version", Value::text(seen))],
                );
            }
            if let Some(rating) = (self.shop.rating(told.product))
                .filter(|r| around::signs(self.size.seed, customer, told.order, *r))
            {
                self.tell(
                    customer,
                    "risk_warning_signed",
                    at,
                    vec![item(), ("rating", Value::Int(rating))],
                );
            }
            let mut context = vec![(
                "own_initiative".to_owned(),
                Raw::Bool(told.decision.is_none()),
            )];
            let trail = around::trail(self.size.seed, customer, told.order);
            context.extend(trail.map(|t| ("trail_id".to_owned(), Raw::Text(Cow::Owned(t)))));
            let record = self
                .decide(customer, Way::OwnPurchase, at, context, Some(code))
                .await?;
            if record.decision.null {
                let why = record
                    .decision
                    .refusals
                    .first()
                    .map_or_else(String::new, |r| r.rule.clone());
                *self.tally.refused.entry(why).or_default() += 1;
                self.untaken.insert((customer, told.order));
                self.world.refuse(customer, told.order)?;
                return Ok(());
            }
        }
        let (order, told) = match &event.what {
            Happening::Submitted(told) | Happening::Confirmed(told) => {
                (Some(told.order), Some(told))
            }
            Happening::Accepted(o)
            | Happening::Cancelled(o)
            | Happening::Failed(o, _)
            | Happening::Paid(o, _) => (Some(*o), None),
            _ => (None, None),
        };
        if order.is_some_and(|o| self.untaken.contains(&(customer, o))) {
            return Ok(());
        }
        let mut context = Vec::new();
        if let (Some(order), Some(told)) = (order, told) {
            if told.fast {
                self.fast.insert((customer, order));
                context.push(("fast", Raw::Bool(true)));
            }
            if self.shop.products()[told.product as usize].is_cash() {
                self.cash.insert((customer, order));
            }
            if matches!(event.what, Happening::Confirmed(_)) {
                let today = day_at(at);
                context.push(("confirmed_on", date(today)));
                if self.cash.contains(&(customer, order)) && !told.fast {
                    let changes = self.world.calendar().nth_after(today, 1);
                    context.extend(changes.map(|d| ("earning_changes_on", date(d))));
                }
            } else {
                let count = &mut self.tally.orders;
                *(if told.side == Side::Buy {
                    &mut count.0
                } else {
                    &mut count.1
                }) += 1;
                self.tally.answers += u64::from(told.decision.is_some());
                context.extend(told.day.map(|d| ("trade_day", date(d))));
                let trail = around::trail(self.size.seed, customer, order)
                    .filter(|_| told.side == Side::Buy);
                context.extend(trail.map(|t| ("trail_id", Raw::Text(Cow::Owned(t)))));
            }
        }
        let mut sim = event.to_sim(self.shop.products());
        if sim.kind == CUSTOMER_TYPE {
            sim.properties
                .extend(around::customer(self.size.seed, customer, event.number));
        }
        self.waiting.push(Waiting {
            event: sim,
            context,
        });
        let turn = u64::from(event.number);
        let draw = |what| around::share(self.size.seed, what, u64::from(customer), turn);
        match event.what {
            Happening::Login if draw(Draw::AtLogin) < self.size.rates.push_a_login => {
                let learned = draw(Draw::Model) < self.size.rates.with_model;
                let way = if learned { Way::Learned } else { Way::Random };
                self.offer(customer, way, at, Vec::new()).await
            }
            // As many others are sent a text message.
            Happening::Login if draw(Draw::AtLogin) < 2.0 * self.size.rates.push_a_login => {
                self.offer(customer, Way::TextMessage, at, Vec::new()).await
            }
            Happening::PageView(Page::Home, _)
                if draw(Draw::AtVisit) < self.size.rates.shelf_a_visit =>
            {
                let turn = u64::from(self.decisions[customer as usize]);
                let shows = around::shows(self.size.seed, customer, turn).into_iter();
                let context = shows.map(|(n, v)| (n.to_owned(), Raw::from(v))).collect();
                self.offer(customer, Way::Shelf, at, context).await
            }
            _ => Ok(()),
        }
    }
}

/// Plays it in a data folder of its own under `size.folder`, exports it, and has it checked.
///
/// # Errors
/// As [`super::run`], and what the engine refuses.
pub fn run(size: &Size) -> Result<Outcome, Fault> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let outcome = runtime.block_on(played(size));
    runtime.shutdown_timeout(Duration::from_secs(1));
    outcome
}

async fn played(size: &Size) -> Result<Outcome, Fault> {
    let begun = Instant::now();
    let (data, checks) = (size.folder.join("data"), size.folder.join("checks"));
    for old in [&data, &checks] {
        if old.is_dir() {
            std::fs::remove_dir_all(old)?;
        }
    }
    let mut settings = Settings::new(size.seed, size.customers, start_day());
    settings.days = size.days;
    settings.products = Some(made_up(size.seed, size.products));
    let world = World::new(settings)?;
    let embedded = Embedded::open(&data, Options::default()).await?;
    let stores = embedded.stores();
    let start = world.start();
    let env = Arc::new(Moved::new(start.plus(-HOUR_US)));
    let engine = Engine::open(stores.clone(), env.clone(), Limits::default()).await?;
    engine.start().await?;
    let mut shipped = compiled()?;
    let scene = Scene::shipped()?;
    // The shop sells what the world has, and nothing that the pack holds for show.
    shipped.plan.catalogues[usize::from(scene.catalogue)]
        .items
        .clear();
    engine
        .apply_trained_scene(&shipped.plan, &shipped.artifacts, &[], "year")
        .await?;
    let shop = Shop::new(&scene, &world, size.seed, size.days, &mut Vec::new())?;
    let mut drive = Drive {
        engine: engine.clone(),
        env,
        scene,
        shop,
        decisions: vec![0; size.customers as usize],
        world,
        size: size.clone(),
        waiting: Vec::new(),
        seen: PositionToken::default(),
        untaken: BTreeSet::new(),
        fast: BTreeSet::new(),
        cash: BTreeSet::new(),
        made: Vec::new(),
        extra: 0,
        tally: Tally::default(),
    };
    let mut of_products = Vec::new();
    let all: Vec<ProductInput> = (0..size.products as u32)
        .map(|n| drive.whole(n, false))
        .collect();
    drive.change(&all).await?;
    for n in 0..size.products as u32 {
        drive.terms(n, start, &mut of_products)?;
    }
    let mut at = start;
    let end = drive.world.end();
    while at < end {
        if is_of_products(at) {
            drive.products(at, &mut of_products).await?;
        }
        let until = at.plus(HOUR_US - 1).min(end.plus(-1));
        let mut said = Vec::new();
        drive.world.advance(until, &mut |e| said.push(e.clone()));
        for event in &said {
            drive.at(event.at);
            drive.hear(event).await?;
        }
        drive.at(until);
        drive.flush().await?;
        at = until.plus(1);
    }
    let settling = Instant::now();
    while let Err(e) = engine.settle(WAIT_US_MAX).await {
        if e.kind != RefusalKind::Timeout || settling.elapsed() > FOLD_TIME_MAX {
            return Err(e.into());
        }
    }
    let took = begun.elapsed();
    let mut explained = (0, 0);
    for id in drive.made.iter().step_by((drive.made.len() / 200).max(1)) {
        let explanation = engine.explain(*id).await?;
        explained.0 +=
            u64::from(!explanation.differences.is_empty() || explanation.not_recomputed.is_some());
        explained.1 += 1;
    }
    let names = Names {
        text: Some(("sms".to_owned(), TEXT.to_owned())),
        ..Names::default()
    };
    let exported = checked::export(&engine, &stores.log, SCENE, &names, &checks)
        .await
        .map_err(|e| e.detail.clone())?;
    std::fs::write(checks.join("terms.jsonl"), &of_products)?;
    judge::settings(&checks, drive.world.calendar())?;
    engine.stop().await;
    let differences = engine.verify().await?.differences_count;
    let (found, checker_peak) = Judge::of_folder(&size.checker, Path::new(&checks))?;
    Ok(Outcome {
        tally: drive.tally,
        exported,
        found,
        explained,
        differences,
        took,
        checker_peak,
    })
}
