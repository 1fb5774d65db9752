//! A part of the customers and what comes due for them, day by day: the order of time is that of a heap over the day, and
//! later days wait in a list each. It must never depend on how time is cut, or on which other customers are in its part.

use super::days::start_of;
use super::ground::Ground;
use super::offers;
use super::offers::Answer;
use super::orders::{Open, confirm, release, submit};
use super::person::{Person, TOLD, UNSUBSCRIBED};
use super::said::{Event, Happening, Page};
use super::session::{answer, paid_out, play, spend};
use crate::chance::{Purpose, stream_at};
use luopan_kernel::time::{DAY_US, HOUR_US, Micros, SECOND_US};
use std::cmp::{Ordering, Reverse};
use std::collections::{BTreeSet, BinaryHeap};
use std::sync::Arc;

/// What comes due.
#[derive(Debug, Clone)]
pub(crate) enum Due {
    /// She comes (or is first heard of).
    Session,
    /// This is said.
    Say(Happening),
    /// An order is confirmed, or fails.
    Confirm(Box<Open>),
    /// An order is taken back.
    Cancel(Box<Open>),
    /// Money of order so and so, fen; true when it leaves the platform.
    Pay(u32, i64, bool),
    /// She is offered a product under a decision.
    Offer(u32, Arc<str>),
    /// She orders what she was offered.
    Order(u32, Arc<str>),
    /// A product that she holds ends today.
    PayOut(u32),
}

#[derive(Debug, Clone)]
struct Item {
    at: Micros,
    /// Number of the customer in the world.
    customer: u32,
    turn: u32,
    due: Due,
}

impl Item {
    fn key(&self) -> (Micros, u32, u32) {
        (self.at, self.customer, self.turn)
    }
}
impl PartialEq for Item {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}
impl Eq for Item {}
impl PartialOrd for Item {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Item {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

/// A part of the world's customers: those whose number leaves `part` when divided by `parts`.
#[derive(Debug, Clone)]
pub(crate) struct Shard {
    part: u32,
    parts: u32,
    pub(crate) people: Vec<Person>,
    /// The day that is being played, after the start.
    day: usize,
    heap: BinaryHeap<Reverse<Item>>,
    /// By day: places of those who come for a session, and what else is due.
    visits: Vec<Vec<u32>>,
    dues: Vec<Vec<Item>>,
    planned: Vec<(Micros, Due)>,
    /// Orders, by customer and number, that whoever listens did not take ([`super::World::refuse`]).
    refused: BTreeSet<(u32, u32)>,
}

impl Shard {
    pub(crate) fn new(g: &Ground, part: u32, parts: u32, customers: u32) -> Self {
        let days = g.days as usize;
        let people: Vec<Person> = (part..customers)
            .step_by(parts as usize)
            .map(|n| Person::new(g.seed, n, g.start_day, &g.hidden))
            .collect();
        let mut shard = Self {
            part,
            parts,
            people,
            day: 0,
            heap: BinaryHeap::new(),
            visits: vec![Vec::new(); days],
            dues: vec![Vec::new(); days],
            planned: Vec::new(),
            refused: BTreeSet::new(),
        };
        for place in 0..shard.people.len() {
            let day = g.since_start(shard.people[place].next_at);
            if let Some(visits) = shard.visits.get_mut(day as usize) {
                visits.push(place as u32);
            }
        }
        shard.begin(g);
        shard
    }

    fn number(&self, place: usize) -> u32 {
        place as u32 * self.parts + self.part
    }

    /// Loads the day.
    fn begin(&mut self, g: &Ground) {
        for place in std::mem::take(&mut self.visits[self.day]) {
            let at = self.people[place as usize].next_at;
            self.push(place as usize, at, Due::Session);
        }
        for item in std::mem::take(&mut self.dues[self.day]) {
            self.heap.push(Reverse(item));
        }
        let today = g.start_day + self.day as i64;
        let at = start_of(today).plus(10 * HOUR_US);
        for (product, story) in g.stories.iter().enumerate() {
            let ends = story
                .as_ref()
                .and_then(|s| s.end)
                .is_some_and(|e| e.day == today);
            if !ends {
                continue;
            }
            for place in 0..self.people.len() {
                let product = product as u32;
                if self.people[place]
                    .lots
                    .iter()
                    .any(|l| u32::from(l.product) == product)
                {
                    self.push(place, at, Due::PayOut(product));
                }
            }
        }
    }

    /// Into the heap of today, whatever day it is of.
    fn push(&mut self, place: usize, at: Micros, due: Due) {
        let customer = self.number(place);
        let person = &mut self.people[place];
        let turn = person.turn;
        person.turn += 1;
        self.heap.push(Reverse(Item {
            at,
            customer,
            turn,
            due,
        }));
    }

    /// Notes that an order was not taken: nothing more is said of it, and what it holds is given back when it would have
    /// come to its end.
    pub(crate) fn refuse(&mut self, customer: u32, order: u32) {
        self.refused.insert((customer, order));
    }

    /// Schedules; what lies past the end of the world is let go.
    pub(crate) fn schedule(&mut self, g: &Ground, place: usize, at: Micros, due: Due) {
        let day = g.since_start(at).max(0) as usize;
        if day <= self.day {
            return self.push(place, at, due);
        }
        if day >= self.dues.len() {
            return;
        }
        let customer = self.number(place);
        let person = &mut self.people[place];
        let turn = person.turn;
        person.turn += 1;
        self.dues[day].push(Item {
            at,
            customer,
            turn,
            due,
        });
    }

    /// Lets time pass until `until` inclusive; what is said is appended in order of (time, customer).
    pub(crate) fn advance(&mut self, g: &Ground, until: Micros, out: &mut Vec<Event>) {
        loop {
            while let Some(Reverse(next)) = self.heap.peek() {
                if next.at > until {
                    return;
                }
                if let Some(Reverse(item)) = self.heap.pop() {
                    self.settle(g, item, out);
                }
            }
            let end = g.start.plus((self.day as i64 + 1) * DAY_US);
            if until < end || self.day + 1 >= self.dues.len() {
                return;
            }
            self.day += 1;
            self.begin(g);
        }
    }

    fn settle(&mut self, g: &Ground, item: Item, out: &mut Vec<Event>) {
        let Item {
            at, customer, due, ..
        } = item;
        let place = (customer / self.parts) as usize;
        let mut said = |person: &mut Person, what: Happening| {
            let number = person.emitted;
            person.emitted += 1;
            out.push(Event {
                at,
                customer,
                number,
                what,
            });
        };
        let person = &mut self.people[place];
        let mut planned = std::mem::take(&mut self.planned);
        let mut comes = false;
        // Of an order that was not taken nothing is said; its last word is forgotten with it.
        let refused = &mut self.refused;
        let mut is_refused = |order: u32, is_last: bool| match is_last {
            _ if refused.is_empty() => false,
            true => refused.remove(&(customer, order)),
            false => refused.contains(&(customer, order)),
        };
        match due {
            Due::Say(Happening::Accepted(order)) if is_refused(order, false) => {}
            Due::Say(Happening::Failed(order, _)) if is_refused(order, true) => {}
            Due::Confirm(open) if is_refused(open.order, true) => release(person, &open.wanted),
            Due::Cancel(open) if is_refused(open.order, true) => release(person, &open.wanted),
            Due::Say(what) => said(person, what),
            Due::Session => {
                let turn = u64::from(person.sessions);
                person.sessions += 1;
                let mut c = stream_at(g.seed, Purpose::Session, u64::from(customer), turn);
                let mut end = at;
                if person.has(TOLD) {
                    end = play(g, person, &mut c, at, &mut planned);
                } else {
                    person.flags |= TOLD;
                    let attributes = person.attributes();
                    said(person, Happening::Attributes(attributes));
                }
                person.busy_until = end;
                person.next_at = person.next_session(&mut c, end, g.start, |t| g.mood(t).attention);
                comes = true;
            }
            Due::Confirm(open) => {
                let (what, pay) = confirm(g, person, at, *open);
                said(person, what);
                planned.extend(pay);
            }
            Due::Cancel(open) => {
                release(person, &open.wanted);
                said(person, Happening::Cancelled(open.order));
            }
            Due::Pay(order, fen, leaves) => {
                if leaves {
                    person.left += fen;
                } else {
                    person.cash += fen;
                }
                said(person, Happening::Paid(order, fen));
            }
            Due::Offer(product, decision) => {
                offered(g, person, customer, at, product, decision, &mut planned)
            }
            Due::Order(product, decision) => {
                let turn = u64::from(person.orders) | 1 << 40;
                let mut c = stream_at(g.seed, Purpose::Offer, u64::from(customer), turn);
                let amount = spend(g, person, &mut c, product);
                let wanted = answer(product, amount, decision);
                submit(g, person, &mut c, at, wanted, &mut planned);
            }
            Due::PayOut(product) => {
                if let Some(wanted) = paid_out(person, product) {
                    let turn = u64::from(product) | 1 << 41;
                    let mut c = stream_at(g.seed, Purpose::Offer, u64::from(customer), turn);
                    submit(g, person, &mut c, at, wanted, &mut planned);
                }
            }
        }
        for (at, due) in planned.drain(..) {
            self.schedule(g, place, at, due);
        }
        self.planned = planned;
        if comes {
            let at = self.people[place].next_at;
            let day = g.since_start(at) as usize;
            if day <= self.day {
                self.push(place, at, Due::Session);
            } else if let Some(visits) = self.visits.get_mut(day) {
                visits.push(place as u32);
            }
        }
    }

    /// Bytes that customers and what is due for them take now.
    pub(crate) fn bytes(&self) -> usize {
        let lots: usize = self.people.iter().map(|p| p.lots.capacity()).sum();
        let visits: usize = self.visits.iter().map(Vec::capacity).sum();
        let dues: usize = self.dues.iter().map(Vec::capacity).sum();
        self.people.capacity() * size_of::<Person>()
            + lots * size_of::<super::person::Lot>()
            + visits * 4
            + (dues + self.heap.capacity()) * size_of::<Item>()
    }
}

/// Draws how she answers an offer, and plans it.
fn offered(
    g: &Ground,
    person: &mut Person,
    customer: u32,
    at: Micros,
    product: u32,
    decision: Arc<str>,
    planned: &mut Vec<(Micros, Due)>,
) {
    if !person.has(TOLD) {
        // She has not joined yet: nobody is there to answer.
        return;
    }
    let turn = u64::from(person.offers) | 1 << 42;
    person.offers += 1;
    let mut c = stream_at(g.seed, Purpose::Offer, u64::from(customer), turn);
    let answer = offers::draw(&offers::chances(g, person, product, at), &mut c);
    person.remember(at, g.start, 1.0);
    let mut when = at.plus(offers::delay_us(g, person, &mut c, answer));
    let what = match answer {
        Answer::Ignored => return,
        Answer::View => Due::Say(Happening::PageView(Page::Fund, Some(product))),
        Answer::Dismissed => {
            // A refusal is remembered longer than a silence.
            person.remember(at, g.start, 0.5);
            Due::Say(Happening::Dismissed(Some(decision)))
        }
        Answer::Unsubscribed => {
            person.flags |= UNSUBSCRIBED;
            Due::Say(Happening::Unsubscribed)
        }
        Answer::Order => {
            // Not amid a session, whose money is spent already.
            when = when.max(person.busy_until.plus(SECOND_US));
            Due::Order(product, decision)
        }
    };
    planned.push((when, what));
}
