//! The world: all customers, what they will say next, and the two things that may be done with it: let time pass, and
//! put something to a customer. It must never depend on how time is cut into steps.

use crate::catalogue::{Offer, find};
use crate::customer::Customer;
use crate::event::SimEvent;
use crate::habit::{self, HabitOrAnswer, Said};
use crate::hidden::Hidden;
use crate::response::{self, Answer, CONFIRMED_SHARE};
use luopan_kernel::event::CUSTOMER_TYPE;
use luopan_kernel::time::Micros;
use luopan_kernel::value::Value;
use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// Most customers of a population.
pub const CUSTOMERS_MAX: u32 = 10_000_000;

/// An action that is no product of the scene.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{found}` is no product that the population knows; write a key of the scene's catalogue")]
pub struct UnknownAction {
    /// What was found.
    pub found: String,
}

/// What comes due.
#[derive(Debug, Clone)]
enum Due {
    /// She comes.
    Session,
    /// She says this; `true` when it is the unsubscribing that ends all answers.
    Say(&'static str, Vec<(&'static str, Value<'static>)>),
}

#[derive(Debug, Clone)]
struct Scheduled {
    at: Micros,
    customer: u32,
    turn: u32,
    due: Due,
}

impl Scheduled {
    fn key(&self) -> (Micros, u32, u32) {
        (self.at, self.customer, self.turn)
    }
}
impl PartialEq for Scheduled {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}
impl Eq for Scheduled {}
impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Scheduled {
    /// The earliest is the greatest, for the heap.
    fn cmp(&self, other: &Self) -> Ordering {
        other.key().cmp(&self.key())
    }
}

/// A population and its clock.
#[derive(Debug, Clone)]
pub struct Population {
    pub(crate) hidden: Hidden,
    pub(crate) customers: Vec<Customer>,
    queue: BinaryHeap<Scheduled>,
    now: Micros,
}

impl Population {
    /// The world of `seed` with `customers` people (held at [`CUSTOMERS_MAX`]), whose time begins at `start`. Their
    /// attributes are the first events, at `start`.
    pub fn new(seed: u64, customers: u32, start: Micros) -> Self {
        let count = customers.min(CUSTOMERS_MAX);
        let hidden = Hidden::new(seed);
        let customers: Vec<Customer> = (0..count)
            .map(|n| Customer::new(seed, n, start, &hidden))
            .collect();
        let mut world = Self {
            hidden,
            customers,
            queue: BinaryHeap::with_capacity(2 * count as usize),
            now: start,
        };
        for number in 0..count {
            let customer = &mut world.customers[number as usize];
            let attributes = customer.attributes();
            let first = habit::first_session(customer, start);
            world.schedule(number, start, Due::Say(CUSTOMER_TYPE, attributes));
            world.schedule(number, first, Due::Session);
        }
        world
    }

    /// Number of customers.
    pub fn len(&self) -> u32 {
        self.customers.len() as u32
    }

    /// True when nobody lives here.
    pub fn is_empty(&self) -> bool {
        self.customers.is_empty()
    }

    /// Until when time has passed.
    pub fn now(&self) -> Micros {
        self.now
    }

    /// Lets time pass until `until` (inclusive) and returns what was said, in order of time. A time that has passed gives
    /// nothing.
    pub fn step(&mut self, until: Micros) -> Vec<SimEvent> {
        let mut out = Vec::new();
        while let Some(next) = self.queue.peek() {
            if next.at > until {
                break;
            }
            let Some(next) = self.queue.pop() else { break };
            self.now = self.now.max(next.at);
            match next.due {
                Due::Session => self.session(next.customer, next.at),
                Due::Say(kind, properties) => {
                    let customer = &mut self.customers[next.customer as usize];
                    let number = customer.emitted;
                    customer.emitted += 1;
                    out.push(SimEvent {
                        customer: next.customer,
                        number,
                        kind,
                        at: next.at,
                        properties,
                    });
                }
            }
        }
        self.now = self.now.max(until);
        out
    }

    /// Puts `action` to a customer at `at` under a decision, and schedules how she answers: with silence, a look, a
    /// dismissal, an unsubscribing, or an order that is confirmed later. `None` is to stay silent: nothing happens and
    /// nothing is remembered. A customer number that is not in the world is nobody, and nothing happens.
    ///
    /// # Errors
    /// [`UnknownAction`] when the action is no product of the scene.
    pub fn contact(
        &mut self,
        customer: u32,
        action: Option<&str>,
        decision_id: &str,
        at: Micros,
    ) -> Result<(), UnknownAction> {
        let Some(action) = action else { return Ok(()) };
        let offer = find(action).ok_or_else(|| UnknownAction {
            found: action.chars().take(64).collect(),
        })?;
        // Nobody answers in the past.
        let at = at.max(self.now);
        let Some(who) = self.customers.get_mut(customer as usize) else {
            return Ok(());
        };
        let chances = response::chances(&self.hidden, who, offer, at);
        let answer = response::draw(&chances, who);
        response::remember(who, at, 1.0);
        let when = at.plus(response::delay_us(&self.hidden, who, answer));
        for (t, kind, properties) in answer_said(who, answer, offer, decision_id, when) {
            self.schedule(customer, t, Due::Say(kind, properties));
        }
        Ok(())
    }

    fn session(&mut self, number: u32, at: Micros) {
        let customer = &mut self.customers[number as usize];
        let said = habit::session(&self.hidden, customer, at);
        let next = habit::next_session(customer, at);
        for (t, kind, properties) in said {
            self.schedule(number, t, Due::Say(kind, properties));
        }
        self.schedule(number, next, Due::Session);
    }

    fn schedule(&mut self, customer: u32, at: Micros, due: Due) {
        let who = &mut self.customers[customer as usize];
        let turn = who.scheduled;
        who.scheduled += 1;
        self.queue.push(Scheduled {
            at,
            customer,
            turn,
            due,
        });
    }
}

fn answer_said(
    who: &mut Customer,
    answer: Answer,
    offer: &'static Offer,
    decision_id: &str,
    at: Micros,
) -> Vec<Said> {
    let decision = || ("decision_id", Value::text(decision_id.to_owned()));
    match answer {
        Answer::Ignored => Vec::new(),
        Answer::View => vec![(
            at,
            "page_view",
            vec![
                ("item", Value::text(offer.key)),
                ("page", Value::text("fund")),
            ],
        )],
        Answer::Dismissed => {
            // A refusal is remembered longer than a silence.
            response::remember(who, at, 0.5);
            vec![(at, "dismissed", vec![decision()])]
        }
        Answer::Unsubscribed => {
            who.unsubscribed = true;
            vec![(at, "unsubscribed", Vec::new())]
        }
        Answer::Order => {
            let yuan = habit::spend(who, HabitOrAnswer::Answer);
            let confirmed = who.answer.uniform() < CONFIRMED_SHARE;
            let wait = who.answer.uniform();
            habit::order(who, at, offer.key, yuan, Some(decision_id), confirmed, wait)
        }
    }
}
