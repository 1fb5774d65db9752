//! The simulated platform as an application sees it: customers with a life before the first offer, eight of its products, who may be
//! offered something when, and which looks and orders answer an offer. Truth is told of an offer when it is made, and only to those who
//! judge or to the oracle. This room must never let what a policy does decide who may be offered something, or when.

use std::collections::BTreeMap;

use luopan_bench::Fault;
use luopan_kernel::id::hash64;
use luopan_kernel::time::{DAY_US, HOUR_US, Micros};
use luopan_kernel::value::Value;
use luopan_simulator::SimEvent;
use luopan_simulator::fund::days::day_of;
use luopan_simulator::fund::truth::truth;
use luopan_simulator::fund::{Event, Happening, Settings, World, made_up};

use super::scene::{PRODUCTS, key};

/// Days before the first offer, and those of the quarter; in those after it the last answers come.
pub(crate) const WATCHED: i64 = 365;
pub(crate) const QUARTER: i64 = 91;
pub(crate) const TAIL: i64 = 5;
pub(crate) const WEEKS: usize = (QUARTER / 7) as usize;
/// Products of the world, of which eight are offered.
const MADE: usize = 400;
/// Hour of the exchange's day at which offers are made.
const HOUR: i64 = 20;
/// A look within so long after an offer of the product answers it; an order that names the decision within so long.
const LOOK_US: i64 = HOUR_US;
pub(crate) const WINDOW_DAYS: i64 = 3;
const ORDER_US: i64 = WINDOW_DAYS * DAY_US;
/// Days between two opportunities of a customer.
const EVERY: i64 = 2;
const WEEK_US: i64 = 7 * DAY_US;

/// What the application knows of a customer.
#[derive(Clone, Default)]
struct Known {
    is_there: bool,
    consents: bool,
    has_left: bool,
    appetite: Option<u8>,
    expires: Micros,
    offers: Vec<Micros>,
}

/// An offer that was made.
#[derive(Clone)]
pub(crate) struct Offer {
    pub(crate) product: usize,
    pub(crate) at: Micros,
    pub(crate) is_answered: bool,
}

/// See the module.
#[derive(Clone)]
pub(crate) struct Platform {
    world: World,
    codes: Vec<String>,
    numbers: Vec<u32>,
    pub(crate) ratings: Vec<u8>,
    pub(crate) kinds: Vec<&'static str>,
    known: Vec<Known>,
    /// By the name under which they were made.
    pub(crate) offers: BTreeMap<String, Offer>,
    /// The latest offer of each customer.
    latest: Vec<Option<String>>,
    weekly: usize,
}

impl Platform {
    /// The world of `seed`, before its first day.
    pub(crate) fn new(seed: u64, customers: u32, weekly: usize) -> Result<Self, Fault> {
        let mut settings = Settings::new(seed, customers, day_of(2025, 6, 1));
        settings.days = WATCHED + QUARTER + TAIL;
        settings.price_history_days = 90;
        settings.products = Some(made_up(seed, MADE));
        let world = World::new(settings)?;
        // The first of each rating in turn.
        let mut rated: Vec<(usize, u8, u32)> = Vec::new();
        let mut seen = [0; 8];
        for (number, product) in (0u32..).zip(world.products()) {
            if let Some(rating) = product.rating {
                let at = usize::from(rating).min(7);
                rated.push((seen[at], rating, number));
                seen[at] += 1;
            }
        }
        rated.sort_unstable();
        rated.truncate(PRODUCTS);
        if rated.len() < PRODUCTS {
            return Err(format!("{} rated products", rated.len()).into());
        }
        let product = |number: u32| &world.products()[number as usize];
        Ok(Self {
            codes: rated.iter().map(|r| product(r.2).code.clone()).collect(),
            kinds: rated.iter().map(|r| product(r.2).kind.word()).collect(),
            ratings: rated.iter().map(|r| r.1).collect(),
            numbers: rated.iter().map(|r| r.2).collect(),
            known: vec![Known::default(); customers as usize],
            offers: BTreeMap::new(),
            latest: vec![None; customers as usize],
            weekly,
            world,
        })
    }

    pub(crate) fn start(&self) -> Micros {
        self.world.start()
    }

    /// When offers are made on a day since the start.
    pub(crate) fn hour(&self, day: i64) -> Micros {
        self.start().plus(day * DAY_US + HOUR * HOUR_US)
    }

    /// Lets time pass until `until`; what the application tells of it, in order.
    pub(crate) fn pass(&mut self, until: Micros) -> Vec<SimEvent> {
        let mut heard = Vec::new();
        self.world.advance(until, &mut |e| heard.push(e.clone()));
        let mut told = Vec::with_capacity(heard.len());
        for event in &heard {
            self.hear(event, &mut told);
        }
        told
    }

    fn hear(&mut self, event: &Event, told: &mut Vec<SimEvent>) {
        let known = &mut self.known[event.customer as usize];
        let mut answered = None;
        match &event.what {
            Happening::Attributes(a) => {
                known.is_there = true;
                known.consents = a.consent;
                known.appetite = a.appetite;
                known.expires = a.expires;
            }
            Happening::Unsubscribed => known.has_left = true,
            Happening::PageView(_, Some(number)) => {
                answered = self.latest[event.customer as usize].clone().filter(|name| {
                    self.offers.get(name).is_some_and(|o| {
                        self.numbers[o.product] == *number && event.at.since(o.at) <= LOOK_US
                    })
                });
            }
            Happening::Submitted(order) => {
                answered = order.decision.as_ref().map(ToString::to_string);
                answered = answered.filter(|name| {
                    (self.offers.get(name)).is_some_and(|o| event.at.since(o.at) <= ORDER_US)
                });
            }
            _ => {}
        }
        let mut sim = event.to_sim(self.world.products());
        if !matches!(
            event.what,
            Happening::Accepted(_)
                | Happening::Confirmed(_)
                | Happening::Failed(..)
                | Happening::Cancelled(_)
                | Happening::Paid(..)
        ) {
            // What the scene declares, no more.
            let declared: Option<&[&str]> = match sim.kind {
                "page_view" => Some(&["page", "fine_type"]),
                "order_submitted" => Some(&["side", "amount"]),
                "dismissed" => Some(&[]),
                _ => None,
            };
            if let Some(declared) = declared {
                sim.properties.retain(|(n, _)| declared.contains(n));
            }
            told.push(sim);
        }
        if let Some(name) = answered
            && let Some(offer) = self.offers.get_mut(&name).filter(|o| !o.is_answered)
        {
            offer.is_answered = true;
            told.push(SimEvent {
                customer: event.customer,
                number: event.number,
                kind: "answered",
                at: event.at,
                properties: vec![
                    ("decision_id", Value::text(name)),
                    ("item", Value::text(key(offer.product))),
                ],
            });
        }
    }

    /// Customers whose turn it is on a day, whatever was done to them, in an order drawn from the day.
    pub(crate) fn due(&self, day: i64) -> Vec<u32> {
        let mut out: Vec<u32> = (0u32..)
            .zip(&self.known)
            .filter(|(n, k)| k.is_there && k.consents && (i64::from(*n) + day) % EVERY == 0)
            .map(|(n, _)| n)
            .collect();
        out.sort_by_key(|n| lot(u64::from(*n), day));
        out
    }

    /// The products that the scene's rules and its cap let a customer be offered at `at`; the engine is asked as well.
    pub(crate) fn permitted(&self, customer: u32, at: Micros) -> Vec<usize> {
        let known = &self.known[customer as usize];
        let Some(appetite) = known.appetite else {
            return Vec::new();
        };
        let lately = known.offers.iter().filter(|o| at.since(**o) < WEEK_US);
        if !known.consents || known.has_left || known.expires <= at || lately.count() >= self.weekly
        {
            return Vec::new();
        }
        (0..PRODUCTS)
            .filter(|p| self.ratings[*p] <= appetite)
            .collect()
    }

    /// The chance that she answers an offer of the product at `at`: the truth.
    pub(crate) fn chance(&self, customer: u32, product: usize, at: Micros) -> Result<f64, Fault> {
        let found = truth(&self.world, customer, &self.codes[product], at);
        let t = found.ok_or("an unknown customer or product")?;
        Ok((t.order_submitted + t.view).clamp(0.0, 1.0))
    }

    /// Puts a product to her under a name.
    pub(crate) fn offer(
        &mut self,
        customer: u32,
        product: usize,
        name: &str,
        at: Micros,
    ) -> Result<(), Fault> {
        self.world.offer(customer, &self.codes[product], name, at)?;
        self.known[customer as usize].offers.push(at);
        self.latest[customer as usize] = Some(name.to_owned());
        let offer = Offer {
            product,
            at,
            is_answered: false,
        };
        self.offers.insert(name.to_owned(), offer);
        Ok(())
    }
}

/// A number of a customer and a day, the same for every policy.
pub(crate) fn lot(customer: u64, day: i64) -> u64 {
    hash64(&[customer.to_le_bytes(), day.to_le_bytes()].concat())
}
