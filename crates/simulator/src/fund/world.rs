//! The world of a wealth platform: what it is made of, letting time pass, and putting offers to customers. It must never
//! depend on how time is cut into steps or on the number of threads.

use super::days::{BadCalendar, TradingDays, day_at, start_of};
use super::ground::Ground;
use super::market::{History, Market};
use super::product::{BadProducts, Listed, Product, made_up, make};
use super::said::Event;
use super::shard::{Due, Shard};
use super::story::{ProductEvent, said_on, tell};
use crate::event::SimEvent;
use luopan_kernel::time::{HOUR_US, Micros};
use std::collections::BTreeMap;

/// Most customers of a population.
pub const CUSTOMERS_MAX: u32 = 10_000_000;
/// Longest world, days.
pub const DAYS_MAX: i64 = 3_660;
/// Most threads, and so most parts that customers are divided into.
pub const THREADS_MAX: usize = 64;
/// Days that the calendar must go on after the end, so that every order can be placed.
pub const CALENDAR_AHEAD: i64 = 30;
/// Customers times hours that are played between two merges of the parts, so that what waits to be merged stays small.
const STEP_CUSTOMER_HOURS: i64 = 4_000_000;

/// What a world is made of. The same settings give the same world; the number of threads changes nothing.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Seed of everything.
    pub seed: u64,
    /// Number of customers, 1 to [`CUSTOMERS_MAX`].
    pub customers: u32,
    /// First day, by the exchange's clock, since 1970-01-01.
    pub start_day: i64,
    /// Days that it lasts, 1 to [`DAYS_MAX`].
    pub days: i64,
    /// Days of prices before the first day, where the calendar goes back so far.
    pub price_history_days: i64,
    /// Products; made up (9,000 of them) when none are given.
    pub products: Option<Vec<Listed>>,
    /// Trading days; made up when none are given.
    pub calendar: Option<TradingDays>,
    /// Index history to resample; a stated process when none is given.
    pub history: Option<History>,
    /// Threads, 1 to [`THREADS_MAX`].
    pub threads: usize,
}

impl Settings {
    /// A year of `customers` people and 9,000 made-up products from `start_day`, with a year of prices before.
    pub fn new(seed: u64, customers: u32, start_day: i64) -> Self {
        Self {
            seed,
            customers,
            start_day,
            days: 365,
            price_history_days: 365,
            products: None,
            calendar: None,
            history: None,
            threads: 1,
        }
    }
}

/// Number of products when none are given.
pub const MADE_UP_PRODUCTS: usize = 9_000;

/// Settings of which no world can be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadWorld {
    /// A number is out of range.
    #[error("{what} is {found}; write {least} to {most}")]
    Range {
        /// Which.
        what: &'static str,
        /// As given.
        found: i64,
        /// Least.
        least: i64,
        /// Most.
        most: i64,
    },
    /// The calendar does not cover the time.
    #[error(
        "the calendar tells of days {from} to {to} since 1970, and the world needs {needs_from} to {needs_to} \
         (30 days past its end); give a longer calendar or a shorter world"
    )]
    Calendar {
        /// First day of the calendar.
        from: i64,
        /// Last day.
        to: i64,
        /// First day that is needed.
        needs_from: i64,
        /// Last day that is needed.
        needs_to: i64,
    },
    /// The calendar is none.
    #[error(transparent)]
    BadCalendar(#[from] BadCalendar),
    /// The product list is none.
    #[error(transparent)]
    BadProducts(#[from] BadProducts),
}

/// An offer that cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadOffer {
    /// No such product.
    #[error("`{0}` is no product of this world; offer one of its list")]
    Product(String),
    /// No such customer.
    #[error("customer {0} is not in this world of {1}; customers are numbered from 0")]
    Customer(u32, u32),
}

/// A device that is known to be a customer's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Customer.
    pub customer: u32,
    /// The device's id.
    pub device: String,
}

/// A world and its clock.
#[derive(Debug, Clone)]
pub struct World {
    pub(crate) ground: Ground,
    pub(crate) shards: Vec<Shard>,
    customers: u32,
    now: Micros,
    codes: BTreeMap<String, u32>,
}

impl World {
    /// Makes the world.
    ///
    /// # Errors
    /// [`BadWorld`].
    pub fn new(settings: Settings) -> Result<Self, BadWorld> {
        let Settings {
            seed,
            customers,
            start_day,
            days,
            price_history_days,
            products,
            calendar,
            history,
            threads,
        } = settings;
        let within = |what, found, least, most| {
            if (least..=most).contains(&found) {
                return Ok(());
            }
            Err(BadWorld::Range {
                what,
                found,
                least,
                most,
            })
        };
        within(
            "the number of customers",
            i64::from(customers),
            1,
            i64::from(CUSTOMERS_MAX),
        )?;
        within("the number of days", days, 1, DAYS_MAX)?;
        within(
            "the number of days of prices before",
            price_history_days,
            0,
            DAYS_MAX,
        )?;
        within(
            "the number of threads",
            threads as i64,
            1,
            THREADS_MAX as i64,
        )?;
        within("the first day", start_day, -100_000, 100_000)?;
        let end_day = start_day + days;
        let (from, to) = (start_day - price_history_days, end_day + CALENDAR_AHEAD);
        let calendar = match calendar {
            Some(calendar) => calendar,
            // Ten days more on each side, so that the ends themselves are within.
            None => TradingDays::made_up(from - 10, to + 10)?,
        };
        let span = calendar.span();
        if span.0 >= start_day || span.1 < to {
            return Err(BadWorld::Calendar {
                from: span.0,
                to: span.1,
                needs_from: start_day - 1,
                needs_to: to,
            });
        }
        let list = products.unwrap_or_else(|| made_up(seed, MADE_UP_PRODUCTS));
        let (products, parameters) = make(seed, list, start_day, price_history_days)?;
        let mut market = Market::new(seed, &calendar, from, to, start_day, history.as_ref());
        market.price(seed, &products, &parameters);
        let stories = tell(seed, &calendar, &mut market, &products, start_day, end_day);
        let codes = products
            .iter()
            .enumerate()
            .map(|(n, p)| (p.code.clone(), n as u32))
            .collect();
        let ground = Ground::new(
            seed, start_day, days, calendar, market, products, parameters, stories,
        );
        let parts = threads as u32;
        let shards = std::thread::scope(|scope| {
            let making: Vec<_> = (0..parts)
                .map(|part| {
                    let ground = &ground;
                    scope.spawn(move || Shard::new(ground, part, parts, customers))
                })
                .collect();
            making.into_iter().map(joined).collect()
        });
        Ok(Self {
            now: ground.start.plus(-1),
            ground,
            shards,
            customers,
            codes,
        })
    }

    /// Number of customers.
    pub fn customers(&self) -> u32 {
        self.customers
    }

    /// Products, in the order of their list.
    pub fn products(&self) -> &[Product] {
        &self.ground.products
    }

    /// The number of the product with this code.
    pub fn product(&self, code: &str) -> Option<u32> {
        self.codes.get(code).copied()
    }

    /// Trading days.
    pub fn calendar(&self) -> &TradingDays {
        &self.ground.calendar
    }

    /// When it begins.
    pub fn start(&self) -> Micros {
        self.ground.start
    }

    /// When it ends: nothing happens at this time or after it.
    pub fn end(&self) -> Micros {
        start_of(self.ground.start_day + self.ground.days)
    }

    /// Until when time has passed, inclusive; before the start at first.
    pub fn now(&self) -> Micros {
        self.now
    }

    /// Devices known to be those of a few customers, in order of the customers.
    pub fn links(&self) -> impl Iterator<Item = Link> + '_ {
        (0..self.customers).flat_map(|customer| {
            let devices = self.person(customer).devices();
            (0..devices).map(move |n| Link {
                customer,
                device: format!("d{customer:07}-{n}"),
            })
        })
    }

    pub(crate) fn person(&self, customer: u32) -> &super::person::Person {
        let parts = self.shards.len() as u32;
        &self.shards[(customer % parts) as usize].people[(customer / parts) as usize]
    }

    /// Lets time pass until `until` inclusive (held before [`World::end`]), and gives what customers say to `sink` in order
    /// of time and customer. A time that has passed gives nothing.
    pub fn advance(&mut self, until: Micros, sink: &mut impl FnMut(&Event)) {
        let until = until.min(self.end().plus(-1));
        let hours = (STEP_CUSTOMER_HOURS / i64::from(self.customers)).clamp(1, 24);
        let step = hours * HOUR_US;
        let mut heard: Vec<Vec<Event>> = vec![Vec::new(); self.shards.len()];
        while self.now < until {
            let to = until.min(self.now.plus(step));
            let ground = &self.ground;
            if let [shard] = self.shards.as_mut_slice() {
                shard.advance(ground, to, &mut heard[0]);
            } else {
                std::thread::scope(|scope| {
                    for (shard, out) in self.shards.iter_mut().zip(&mut heard) {
                        scope.spawn(move || shard.advance(ground, to, out));
                    }
                });
            }
            merged(&heard, sink);
            heard.iter_mut().for_each(Vec::clear);
            self.now = to;
        }
    }

    /// [`World::advance`], with what was said in the words of the scene, as [`crate::Population::step`] gives it.
    pub fn step(&mut self, until: Micros) -> Vec<SimEvent> {
        let mut heard = Vec::new();
        self.advance(until, &mut |e| heard.push(e.clone()));
        heard.iter().map(|e| e.to_sim(self.products())).collect()
    }

    /// Offers a product to a customer at `at` (now, when that has passed) under a decision: how she answers is drawn when
    /// time comes there. Answers bear the decision, but a look. Who has not joined yet does not answer.
    ///
    /// # Errors
    /// [`BadOffer`].
    pub fn offer(
        &mut self,
        customer: u32,
        code: &str,
        decision: &str,
        at: Micros,
    ) -> Result<(), BadOffer> {
        let Some(product) = self.product(code) else {
            return Err(BadOffer::Product(code.chars().take(64).collect()));
        };
        if customer >= self.customers {
            return Err(BadOffer::Customer(customer, self.customers));
        }
        let at = at.max(self.now).max(self.ground.start);
        let parts = self.shards.len() as u32;
        let place = (customer / parts) as usize;
        let shard = &mut self.shards[(customer % parts) as usize];
        shard.schedule(
            &self.ground,
            place,
            at,
            Due::Offer(product, decision.into()),
        );
        Ok(())
    }

    /// Tells the world that the platform did not take an order that a customer placed, told of by
    /// [`super::Happening::Submitted`]: nothing more is said of it, and what it holds is given back when it would have been
    /// confirmed or taken back. What was said until now stands; an order that came to its end by now stays as it is.
    ///
    /// # Errors
    /// [`BadOffer::Customer`].
    pub fn refuse(&mut self, customer: u32, order: u32) -> Result<(), BadOffer> {
        if customer >= self.customers {
            return Err(BadOffer::Customer(customer, self.customers));
        }
        let parts = self.shards.len() as u32;
        self.shards[(customer % parts) as usize].refuse(customer, order);
        Ok(())
    }

    /// What is said of products after `from` until `until` inclusive, in order of time. Any time may be asked for: of times
    /// before the start the prices.
    pub fn product_events(
        &self,
        from: Micros,
        until: Micros,
        sink: &mut impl FnMut(&ProductEvent),
    ) {
        let g = &self.ground;
        let first = day_at(from).max(g.market.days.first().copied().unwrap_or(0));
        let last = day_at(until.min(self.end().plus(-1)));
        let mut said = Vec::new();
        for day in first..=last {
            said.clear();
            said_on(
                day,
                &g.calendar,
                &g.market,
                &g.products,
                &g.stories,
                &mut said,
            );
            for event in said.iter().filter(|e| e.at > from && e.at <= until) {
                sink(event);
            }
        }
    }

    /// The price of a product on a trading day as it was published, units of 1e-4 yuan; none before its launch, for
    /// money-market funds, and where the world has no prices.
    pub fn nav_e4(&self, product: u32, day: i64) -> Option<i64> {
        let g = &self.ground;
        if g.products.get(product as usize)?.is_cash() {
            return None;
        }
        let t = g.market.place(&g.calendar, day)?;
        Some(g.market.level(product as usize, t)).filter(|nav| *nav > 0)
    }

    /// Bytes that customers take now, and bytes that market and prices take.
    pub fn bytes(&self) -> (usize, usize) {
        let people = self.shards.iter().map(Shard::bytes).sum();
        (people, self.ground.market.bytes())
    }
}

fn joined<T>(handle: std::thread::ScopedJoinHandle<'_, T>) -> T {
    match handle.join() {
        Ok(made) => made,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

/// Gives events of all parts in order of (time, customer); a customer's own are in order already.
fn merged(heard: &[Vec<Event>], sink: &mut impl FnMut(&Event)) {
    let mut places = vec![0; heard.len()];
    loop {
        let mut next: Option<(usize, &Event)> = None;
        for (part, events) in heard.iter().enumerate() {
            let Some(event) = events.get(places[part]) else {
                continue;
            };
            if next.is_none_or(|(_, n)| (event.at, event.customer) < (n.at, n.customer)) {
                next = Some((part, event));
            }
        }
        let Some((part, event)) = next else { return };
        sink(event);
        places[part] += 1;
    }
}
