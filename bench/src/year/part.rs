//! A part of the customers: what they say is folded, what is decided about them is decided by the kernel, and every decision,
//! fact and order becomes a line for the checker, in order of time. It must never leave a decision or an order out, and never
//! ask whether a rule was kept.

use super::around::{self, Draw};
use super::person::{Context, Open, Over, Person};
use super::scene::{Scene, Way};
use super::shop::Shop;
use super::tally::Tally;
use crate::Fault;
use luopan_kernel::decide::Decision;
use luopan_kernel::event::CUSTOMER_TYPE;
use luopan_kernel::id::DecisionId;
use luopan_kernel::time::{HOUR_US, MINUTE_US, Micros};
use luopan_kernel::value::Value;
use luopan_server::checked::{self, Decided, Ordered, SendStatus, Step};
use luopan_simulator::customer_name;
use luopan_simulator::fund::days::{TradingDays, day_at, start_of};
use luopan_simulator::fund::{Event, Happening, Page, Side, Told, order_id};
use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Text of every message: sender, way out, and nothing promised.
pub(super) const TEXT: &str =
    "【罗盘】您关注的基金有新信息，请在应用内查看。基金有风险，投资须谨慎。拒收请回复R";
/// Channel of text messages.
const SMS: &str = "sms";

/// How often what is asked for, a day or an occasion.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rates {
    /// Pushes in the app: share of the customers a day.
    pub push_a_day: f64,
    /// Text messages: share of the customers a day.
    pub text_a_day: f64,
    /// Pushes at a login.
    pub push_a_login: f64,
    /// Shelves at a visit.
    pub shelf_a_visit: f64,
    /// Share of the pushes and text messages that the shipped policies with their models make, the others those without.
    pub with_model: f64,
}

/// Hour and minute of the exchange at which the day's pushes and text messages are asked for.
const PUSHES_AT: i64 = 10 * HOUR_US;
const TEXTS_AT: i64 = 20 * HOUR_US + 10 * MINUTE_US;

/// What comes due for the part itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    /// The day's pushes or text messages.
    Batch(Way),
    /// A push that waited: customer, decision, product, way.
    Send(u32, DecisionId, u32, Way),
}

/// Something for the world: after the part's step it is told.
#[derive(Debug)]
pub(super) enum ForWorld {
    Offer(u32, u32, String, Micros),
    Refuse(u32, u32),
}

/// What is the same for all parts.
#[derive(Clone, Copy)]
pub(super) struct Ground<'a> {
    pub(super) scene: &'a Scene,
    pub(super) shop: &'a Shop,
    pub(super) calendar: &'a TradingDays,
    pub(super) rates: &'a Rates,
    pub(super) seed: u64,
    pub(super) parts: u32,
}

/// A part: customers whose number leaves `part` when divided by the number of parts.
#[derive(Debug)]
pub(super) struct Part {
    part: u32,
    people: Vec<Option<Box<Person>>>,
    /// Places of those whose profiles are not stored away; they are at the end of the day.
    awake: Vec<u32>,
    due: BinaryHeap<Reverse<(Micros, u64, Due)>>,
    turn: u64,
    /// Spent today, once a budget; each part has an equal share of every budget.
    spent: Vec<i64>,
    day: i64,
    pub(super) lines: Vec<u8>,
    pub(super) for_world: Vec<ForWorld>,
    pub(super) tally: Tally,
}

impl Part {
    pub(super) fn new(scene: &Scene, part: u32, parts: u32, customers: u32) -> Self {
        let mine = customers.saturating_sub(part).div_ceil(parts);
        Self {
            part,
            people: (0..mine).map(|_| None).collect(),
            awake: Vec::new(),
            due: BinaryHeap::new(),
            turn: 0,
            spent: vec![0; scene.plan.budgets.len()],
            day: i64::MIN,
            lines: Vec::new(),
            for_world: Vec::new(),
            tally: Tally::default(),
        }
    }

    fn wake(&mut self, g: Ground<'_>, place: usize) -> Result<(), Fault> {
        if let Some(person) = &mut self.people[place]
            && person.wake(g.scene)?
        {
            self.awake.push(place as u32);
        }
        Ok(())
    }

    fn plan(&mut self, at: Micros, due: Due) {
        self.turn += 1;
        self.due.push(Reverse((at, self.turn, due)));
    }

    /// Plays until `until`, inclusive: what customers said, and what comes due between.
    pub(super) fn step(
        &mut self,
        g: Ground<'_>,
        said: &[Event],
        until: Micros,
    ) -> Result<(), Fault> {
        let today = day_at(until);
        if today != self.day {
            self.day = today;
            for place in self.awake.drain(..) {
                if let Some(person) = &mut self.people[place as usize] {
                    person.sleep();
                }
            }
            self.spent.fill(0);
            self.plan(start_of(today).plus(PUSHES_AT), Due::Batch(Way::Random));
            self.plan(start_of(today).plus(TEXTS_AT), Due::Batch(Way::TextRandom));
        }
        let mut said = said.iter().peekable();
        loop {
            let next = said.peek().map(|e| e.at);
            let due = self
                .due
                .peek()
                .map(|Reverse((at, ..))| *at)
                .filter(|at| *at <= until);
            match (next, due) {
                (None, None) => return Ok(()),
                // What customers say stands before what comes due at the same moment.
                (Some(at), due) if due.is_none_or(|d| at <= d) => {
                    if let Some(event) = said.next() {
                        self.hear(g, event)?;
                    }
                }
                _ => {
                    if let Some(Reverse((at, _, due))) = self.due.pop() {
                        self.comes_due(g, at, due)?;
                    }
                }
            }
        }
    }

    fn comes_due(&mut self, g: Ground<'_>, at: Micros, due: Due) -> Result<(), Fault> {
        match due {
            Due::Batch(way) => {
                let day = day_at(at) as u64;
                let rate = match way {
                    Way::TextRandom => g.rates.text_a_day,
                    _ => g.rates.push_a_day,
                };
                for place in 0..self.people.len() {
                    let number = u64::from(place as u32 * g.parts + self.part);
                    let turn = day * 8 + way as u64;
                    if self.people[place].is_some()
                        && around::share(g.seed, Draw::OfDay, number, turn) < rate
                    {
                        self.wake(g, place)?;
                        self.push(g, place, at, way, true)?;
                    }
                }
                Ok(())
            }
            Due::Send(number, id, product, way) => self.send(g, number, id, product, way, at),
        }
    }

    fn seed(g: Ground<'_>, person: &Person) -> u64 {
        around::bits(
            g.seed,
            Draw::Decision,
            u64::from(person.number),
            u64::from(person.decisions),
        )
    }

    /// Counts a decision, pays for it, notes it, and writes its line.
    #[allow(clippy::too_many_arguments)]
    fn decided(
        &mut self,
        g: Ground<'_>,
        place: usize,
        way: Way,
        at: Micros,
        decision: &Decision,
        context: &[(Cow<'_, str>, Value<'_>)],
        queued: bool,
        answers: Option<&str>,
    ) -> Result<(), Fault> {
        let Some(person) = &mut self.people[place] else {
            return Ok(());
        };
        let policy = g.scene.way(way).1;
        let count = self.tally.decisions.entry(way.policy()).or_default();
        count.0 += 1;
        count.1 += u64::from(!decision.null);
        for debit in &decision.debits {
            // Parts spend alike: what one part may spend is its share.
            self.spent[usize::from(debit.budget)] += debit.amount * i64::from(g.parts);
        }
        let id = person.next_decision().to_string();
        let name = customer_name(person.number);
        let line = Decided {
            at,
            id: &id,
            customer: &name,
            purpose: way.purpose(),
            scene: &g.scene.plan,
            policy,
            decision,
            context,
            text: (policy.channel == SMS && !decision.null).then_some(TEXT),
            queued: queued && !decision.null,
            answers,
        };
        checked::decision(&mut self.lines, &line)?;
        self.tally.lines += 1;
        let numbers: Vec<u32> = (decision.choices.iter())
            .filter_map(|c| g.shop.number(&c.item))
            .collect();
        if numbers.len() != decision.choices.len() {
            return Err("a decision chose what the world does not have".into());
        }
        person.decided(g.scene, way, at, decision, numbers.into_iter());
        self.tally.folded += 1;
        Ok(())
    }

    /// Asks whether to push something to a customer; it goes out now or waits.
    fn push(
        &mut self,
        g: Ground<'_>,
        place: usize,
        at: Micros,
        way: Way,
        queued: bool,
    ) -> Result<(), Fault> {
        let Some(person) = &self.people[place] else {
            return Ok(());
        };
        let (number, turn) = (u64::from(person.number), u64::from(person.decisions));
        let learned = around::share(g.seed, Draw::Model, number, turn) < g.rates.with_model;
        let way = match way {
            Way::Random if learned => Way::Learned,
            Way::TextRandom if learned => Way::TextMessage,
            way => way,
        };
        let over = Over {
            scene: g.scene,
            shop: g.shop,
            spent: &self.spent,
        };
        let decision = person.decide(over, way, at, &[], None, None, Self::seed(g, person));
        let id = person.next_decision();
        let number = person.number;
        self.decided(g, place, way, at, &decision, &[], queued, None)?;
        let Some(choice) = decision.choices.first() else {
            return Ok(());
        };
        let Some(product) = g.shop.number(&choice.item) else {
            return Ok(());
        };
        if queued {
            let wait = around::share(g.seed, Draw::Waits, u64::from(number), turn);
            let wait = 5.0 + 54.0 * wait;
            let at = at.plus((wait * MINUTE_US as f64) as i64);
            self.plan(at, Due::Send(number, id, product, way));
        } else {
            self.offer(number, product, id.to_string(), at);
        }
        Ok(())
    }

    fn offer(&mut self, customer: u32, product: u32, id: String, at: Micros) {
        self.tally.offers += 1;
        self.for_world
            .push(ForWorld::Offer(customer, product, id, at));
    }

    /// A push that waited goes out when it would still be made: the same policy is asked for the same fund again.
    fn send(
        &mut self,
        g: Ground<'_>,
        number: u32,
        id: DecisionId,
        product: u32,
        way: Way,
        at: Micros,
    ) -> Result<(), Fault> {
        let place = (number / g.parts) as usize;
        self.wake(g, place)?;
        let Some(person) = &self.people[place] else {
            return Ok(());
        };
        let over = Over {
            scene: g.scene,
            shop: g.shop,
            spent: &self.spent,
        };
        let code = &g.shop.products()[product as usize].code;
        let again = person.decide(
            over,
            way,
            at,
            &[],
            Some(code),
            Some(id),
            Self::seed(g, person),
        );
        let status = if again.null {
            SendStatus::Cancelled
        } else {
            SendStatus::Sent
        };
        checked::send(
            &mut self.lines,
            at,
            &id.to_string(),
            &customer_name(number),
            status,
        )?;
        self.tally.lines += 1;
        if again.null {
            self.tally.sent.1 += 1;
        } else {
            self.tally.sent.0 += 1;
            self.offer(number, product, id.to_string(), at);
        }
        Ok(())
    }

    fn hear(&mut self, g: Ground<'_>, event: &Event) -> Result<(), Fault> {
        let place = (event.customer / g.parts) as usize;
        self.tally.events += 1;
        if self.people[place].is_none() {
            self.people[place] = Some(Box::new(Person::new(g.scene, event.customer, event.at)));
            self.awake.push(place as u32);
        }
        self.wake(g, place)?;
        if let Happening::Submitted(told) = &event.what
            && told.side == Side::Buy
            && !self.buys(g, place, event.at, told)?
        {
            if let Some(person) = &mut self.people[place] {
                person.untaken.push(told.order);
            }
            self.for_world
                .push(ForWorld::Refuse(event.customer, told.order));
            return Ok(());
        }
        let Some(person) = &mut self.people[place] else {
            return Ok(());
        };
        // The world may have said more of an order that was not taken before it was told so.
        let order = match &event.what {
            Happening::Accepted(o)
            | Happening::Cancelled(o)
            | Happening::Failed(o, _)
            | Happening::Paid(o, _) => Some(*o),
            Happening::Confirmed(told) => Some(told.order),
            _ => None,
        };
        if order.is_some_and(|o| person.untaken.contains(&o)) {
            return Ok(());
        }
        let sim = event.to_sim(g.shop.products());
        let name = customer_name(event.customer);
        let mut properties: Context<'_> = (sim.properties.into_iter())
            .map(|(n, v)| (Cow::Borrowed(n), v))
            .collect();
        if sim.kind == CUSTOMER_TYPE {
            properties.extend(
                around::customer(g.seed, event.customer, person.told)
                    .into_iter()
                    .map(|(n, v)| (Cow::Borrowed(n), v)),
            );
            person.told += 1;
            properties.sort_by(|a, b| a.0.cmp(&b.0));
            let told: Vec<(&str, Value<'_>)> = properties
                .iter()
                .map(|(n, v)| (n.as_ref(), v.clone()))
                .collect();
            checked::customer(&mut self.lines, event.at, &name, &told)?;
            self.tally.lines += 1;
        }
        let id = format!("{name}-{}", event.number);
        person.fold(g.scene, sim.kind, event.at, Some(id), properties);
        self.tally.folded += 1;
        if matches!(event.what, Happening::Unsubscribed) {
            let told = [("opted_out", Value::Bool(true))];
            checked::customer(&mut self.lines, event.at, &name, &told)?;
            self.tally.lines += 1;
        }
        self.ordered(g, place, event, &name)?;
        let turn = u64::from(event.number);
        let draw = |what| around::share(g.seed, what, u64::from(event.customer), turn);
        match event.what {
            Happening::Login if draw(Draw::AtLogin) < g.rates.push_a_login => {
                self.push(g, place, event.at, Way::Random, false)
            }
            Happening::PageView(Page::Home, _) if draw(Draw::AtVisit) < g.rates.shelf_a_visit => {
                self.shelf(g, place, event.at)
            }
            _ => Ok(()),
        }
    }

    /// A shelf, sometimes with the funds' performance. She looks at the first fund of it.
    fn shelf(&mut self, g: Ground<'_>, place: usize, at: Micros) -> Result<(), Fault> {
        let Some(person) = &self.people[place] else {
            return Ok(());
        };
        let turn = u64::from(person.decisions);
        let context: Context<'_> = (around::shows(g.seed, person.number, turn).into_iter())
            .map(|(name, value)| (Cow::Borrowed(name), value))
            .collect();
        let over = Over {
            scene: g.scene,
            shop: g.shop,
            spent: &self.spent,
        };
        let decision = person.decide(
            over,
            Way::Shelf,
            at,
            &context,
            None,
            None,
            Self::seed(g, person),
        );
        let (id, number) = (person.next_decision(), person.number);
        self.decided(g, place, Way::Shelf, at, &decision, &context, false, None)?;
        if let Some(product) = decision
            .choices
            .first()
            .and_then(|c| g.shop.number(&c.item))
        {
            self.offer(number, product, id.to_string(), at);
        }
        Ok(())
    }

    /// What she signs, and whether she may buy: true when the order is placed.
    fn buys(
        &mut self,
        g: Ground<'_>,
        place: usize,
        at: Micros,
        told: &Told,
    ) -> Result<bool, Fault> {
        let Some(person) = &mut self.people[place] else {
            return Ok(false);
        };
        let number = person.number;
        let name = customer_name(person.number);
        let code = g.shop.products()[told.product as usize].code.clone();
        if let Some(version) = g.shop.notice(told.product) {
            let seen = around::acknowledges(g.seed, number, told.order, version);
            if let Some(seen) = seen {
                checked::acknowledgement(&mut self.lines, at, &name, &code, seen)?;
                let said = vec![
                    (Cow::Borrowed("item"), Value::text(code.as_str())),
                    (Cow::Borrowed("version"), Value::text(seen)),
                ];
                person.fold(g.scene, "notice_acknowledged", at, None, said);
                self.tally.lines += 1;
                self.tally.folded += 1;
            }
        }
        if let Some(rating) = (g.shop.rating(told.product))
            .filter(|rating| around::signs(g.seed, number, told.order, *rating))
        {
            checked::warning(&mut self.lines, at, &name, &code, rating)?;
            let said = vec![
                (Cow::Borrowed("item"), Value::text(code.as_str())),
                (Cow::Borrowed("rating"), Value::Int(rating)),
            ];
            person.fold(g.scene, "risk_warning_signed", at, None, said);
            self.tally.lines += 1;
            self.tally.folded += 1;
        }
        let trail = around::trail(g.seed, number, told.order);
        let mut context: Context<'_> = vec![(
            Cow::Borrowed("own_initiative"),
            Value::Bool(told.decision.is_none()),
        )];
        if let Some(trail) = &trail {
            context.push((Cow::Borrowed("trail_id"), Value::text(trail.as_str())));
        }
        let over = Over {
            scene: g.scene,
            shop: g.shop,
            spent: &self.spent,
        };
        let decision = person.decide(
            over,
            Way::OwnPurchase,
            at,
            &context,
            Some(&code),
            None,
            Self::seed(g, person),
        );
        if decision.null {
            let why = person.why(over, Way::OwnPurchase, at, &context, &code, &decision);
            *self.tally.refused.entry(why).or_default() += 1;
        }
        let answers = told.decision.as_deref();
        self.decided(
            g,
            place,
            Way::OwnPurchase,
            at,
            &decision,
            &context,
            false,
            answers,
        )?;
        Ok(!decision.null)
    }

    /// The line of a step of an order, as the world told it.
    fn ordered(
        &mut self,
        g: Ground<'_>,
        place: usize,
        event: &Event,
        name: &str,
    ) -> Result<(), Fault> {
        let Some(person) = &mut self.people[place] else {
            return Ok(());
        };
        let (step, number, told) = match &event.what {
            Happening::Submitted(told) => (Step::Submitted, told.order, Some(told)),
            Happening::Confirmed(told) => (Step::Confirmed, told.order, Some(told)),
            Happening::Accepted(order) => (Step::Accepted, *order, None),
            Happening::Failed(order, _) => (Step::Failed, *order, None),
            Happening::Cancelled(order) => (Step::Cancelled, *order, None),
            Happening::Paid(order, _) => (Step::Paid, *order, None),
            _ => return Ok(()),
        };
        if let (Step::Submitted, Some(told)) = (step, told) {
            let count = &mut self.tally.orders;
            *(if told.side == Side::Buy {
                &mut count.0
            } else {
                &mut count.1
            }) += 1;
            self.tally.answers += u64::from(told.decision.is_some());
            person.open.push(Open {
                order: told.order,
                product: told.product,
                side: told.side,
                fast: told.fast,
                decision: told.decision.clone(),
            });
        }
        let Some(at) = person.open.iter().position(|o| o.order == number) else {
            return Err(format!(
                "the world speaks of order {number} of {name}, which was never placed"
            )
            .into());
        };
        let open = person.open[at].clone();
        let is_over = match step {
            Step::Failed | Step::Cancelled | Step::Paid => true,
            Step::Confirmed => open.side == Side::Buy,
            _ => false,
        };
        if is_over {
            person.open.swap_remove(at);
        }
        let is_buy = open.side == Side::Buy;
        let product = &g.shop.products()[open.product as usize];
        let confirmed = (step == Step::Confirmed).then(|| day_at(event.at));
        let earning = confirmed
            .filter(|_| product.is_cash() && !open.fast)
            .and_then(|day| g.calendar.nth_after(day, 1));
        let trail = (step == Step::Submitted && is_buy)
            .then(|| around::trail(g.seed, event.customer, number))
            .flatten();
        let paid = match event.what {
            Happening::Paid(_, fen) => Some(fen),
            _ => None,
        };
        let line = Ordered {
            at: event.at,
            id: &order_id(event.customer, number),
            customer: name,
            product: &product.code,
            step,
            side: if is_buy {
                checked::Side::Buy
            } else {
                checked::Side::Redeem
            },
            channel: "app",
            amount: told.map(|t| t.amount).or(paid),
            shares: told.map(|t| t.shares as f64 / 100.0).filter(|s| *s > 0.0),
            nav: confirmed.and(told).map(|t| t.nav_e4 as f64 / 10_000.0),
            fee: confirmed.and(told).map(|t| t.fee),
            trade_day: told.filter(|_| step == Step::Submitted).and_then(|t| t.day),
            confirmed_on: confirmed,
            earning_changes_on: earning,
            fast: open.fast,
            decision: open.decision.as_deref(),
            recording: None,
            trail: trail.as_deref(),
        };
        checked::order(&mut self.lines, &line)?;
        self.tally.lines += 1;
        // What the pack counts as a conversion: a purchase that answers an offer, when it is confirmed.
        if is_buy && confirmed.is_some() && open.decision.is_some() {
            checked::conversion(&mut self.lines, event.at, name, line.id)?;
            self.tally.lines += 1;
        }
        Ok(())
    }
}
