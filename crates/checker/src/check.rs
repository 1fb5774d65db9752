//! The rules, one by one, as `market-rules.md` numbers them. One pass in order of time; each look at a rule is kept, violated
//! or unknown. A fact that is missing where an offer needs it is a violation, since what is unknown must not be offered;
//! unknown is only what the record cannot tell: days past the calendar's end, what was not recorded.
//!
//! This room must never be written from the engine's code or from a scene pack.

use crate::calendar::{Calendar, offset};
use crate::config::{Config, FeeStep, Raise, check_ladder};
use crate::record::*;
use crate::report::{Example, Report, Verdict};
use crate::state::{Customer, Fast, LEVELS, OrderState, PRICES_MAX, Position, Product, Queued};
use crate::text;
use Verdict::{Kept, Unknown, Violated};
use jiff::civil::{Date, DateTime};
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp, ToSpan};
use std::collections::HashMap;

mod contact;
mod content;
mod orders;
mod suits;

/// Parts into which a fee is counted: millionths of a share, millionths of its value, billionths of a rate.
const FEE_QUANTA: i128 = 1_000_000_000_000_000_000_000;
/// Owners of orders at which those of forgotten orders are first looked for.
const OWNERS_LOOK_AT: usize = 1_024;

/// The checker: what is remembered, and what was found so far.
#[derive(Debug)]
pub struct Checker {
    config: Config,
    calendar: Option<Calendar>,
    report: Report,
    customers: HashMap<String, Customer>,
    products: HashMap<String, Product>,
    /// Whose an order id is, so that one that two customers use is seen.
    owners: HashMap<Box<str>, Box<str>>,
    /// Number of owners at which those of forgotten orders are looked for next.
    owners_look_at: usize,
    last: Option<Timestamp>,
}

/// What the rules about an item and a customer need besides the two.
struct Occasion<'r> {
    at: Timestamp,
    record: &'r str,
    customer: &'r str,
    product: &'r str,
    purpose: Purpose,
    channel: &'r str,
    recording: bool,
    trail: bool,
    /// The customer's own purchase, answering no offer.
    is_own: bool,
}

impl Occasion<'_> {
    fn example(&self, found: String) -> Example {
        Example {
            at: self.at,
            record: self.record.to_owned(),
            customer: self.customer.to_owned(),
            product: self.product.to_owned(),
            found,
        }
    }
}

/// Kept, or violated with what was found.
fn judged(fault: Option<String>) -> (Verdict, String) {
    match fault {
        None => (Kept, String::new()),
        Some(found) => (Violated, found),
    }
}

/// Evidence that names something: a text of nothing but spaces names nothing.
fn is_named(evidence: Option<&String>) -> bool {
    evidence.is_some_and(|text| !text.trim().is_empty())
}

/// A word for a number that may be missing.
fn shown<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(|| "unknown".to_owned(), |v| v.to_string())
}

impl Checker {
    /// A checker that has seen nothing. Without a calendar every answer that needs one is unknown.
    pub fn new(config: Config, calendar: Option<Calendar>) -> Self {
        Self {
            config,
            calendar,
            report: Report {
                rules: (1..=16).map(|rule| (rule, Default::default())).collect(),
                ..Report::default()
            },
            customers: HashMap::new(),
            products: HashMap::new(),
            owners: HashMap::new(),
            owners_look_at: OWNERS_LOOK_AT,
            last: None,
        }
    }

    /// What was found.
    pub fn finish(mut self) -> Report {
        // Fast redemptions of which nothing more was told: they may have been taken.
        let mut waiting: Vec<(String, String, Fast)> = Vec::new();
        for (name, customer) in &mut self.customers {
            for (id, order) in &mut customer.orders {
                if order.ended.is_none()
                    && let Some(fast) = order.fast.take()
                {
                    waiting.push((name.clone(), id.clone(), fast));
                }
            }
        }
        waiting.sort_by(|a, b| (a.2.at, &a.0, &a.1).cmp(&(b.2.at, &b.0, &b.1)));
        for (customer, id, fast) in waiting {
            self.redeemed_fast(Some(fast), &customer, &format!("order {id}"));
        }
        let mut unsent: Vec<(String, String, Queued)> = Vec::new();
        for (name, customer) in &mut self.customers {
            let queued = customer.queued.drain();
            unsent.extend(queued.map(|(id, queued)| (name.clone(), id, queued)));
        }
        unsent.sort_by(|a, b| (a.2.at, &a.0, &a.1).cmp(&(b.2.at, &b.0, &b.1)));
        for (customer, id, queued) in unsent {
            self.unsent(&customer, &id, &queued);
        }
        self.report.customers = self.customers.len() as u64;
        self.report.products = self.products.len() as u64;
        self.report
    }

    /// What was found so far.
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// Looks at the next line.
    ///
    /// # Errors
    /// A sentence, when the line comes before the one read last or holds what no line can hold.
    pub fn take(&mut self, record: Record) -> Result<(), String> {
        let at = record.at();
        if let Some(last) = self.last.filter(|last| at < *last) {
            return Err(format!(
                "{at} comes after {last}; lines must be in order of time"
            ));
        }
        check(&record)?;
        self.last = Some(at);
        self.report.records += 1;
        match record {
            Record::Customer(f) => {
                self.is_level("risk_appetite", f.risk_appetite, at, &f.customer, "");
                (self.customers.entry(f.customer.clone()).or_default()).tell(f);
            }
            Record::Product(f) => {
                for (name, told) in [
                    ("risk_level", f.risk_level),
                    ("issuer_rating", f.issuer_rating),
                    ("seller_rating", f.seller_rating),
                ] {
                    self.is_level(name, told, at, "", &f.product);
                }
                (self.products.entry(f.product.clone()).or_default()).tell(f);
            }
            Record::Acknowledgement(a) => {
                self.position(&a.customer, &a.product).acknowledged = Some(a.version);
            }
            Record::Warning(w) => {
                self.position(&w.customer, &w.product).warned = Some(w.rating);
            }
            Record::Decision(d) => self.decision(&d),
            Record::Send(s) => self.send(&s),
            Record::Order(o) => self.order(&o),
            Record::Conversion(c) => self.conversion(&c),
            Record::Journey(j) => self.journey(&j),
            Record::Price(p) => self.price(&p),
            Record::Use(u) => self.used(&u),
            Record::Erased(e) => self.erased(&e),
            Record::Sealed(s) => {
                let until = &mut self.customers.entry(s.customer).or_default().sealed_until;
                *until = (*until).max(Some(s.until));
            }
            Record::Read(r) => self.read(&r),
        }
        Ok(())
    }

    fn position(&mut self, customer: &str, product: &str) -> &mut Position {
        let customer = self.customers.entry(customer.to_owned()).or_default();
        customer.positions.entry(product.to_owned()).or_default()
    }

    fn note(&mut self, rule: u8, (verdict, found): (Verdict, String), on: &Occasion<'_>) {
        self.report.note(rule, verdict, || on.example(found));
    }

    /// Rule 4: a class or rating that is none of the five is no class or rating; whoever told it is named.
    fn is_level(
        &mut self,
        name: &str,
        told: Told<i64>,
        at: Timestamp,
        customer: &str,
        product: &str,
    ) {
        let Some(v) = told.flatten().filter(|v| !LEVELS.contains(v)) else {
            return;
        };
        let record = format!("{name} of {customer}{product}");
        let on = occasion(at, &record, customer, product);
        let found = format!("{name} is {v}, which is none; write 1 to 5, or null");
        self.note(4, (Unknown, found), &on);
    }

    /// Date and time at `at` by the offset that the settings give.
    fn house_day(&self, at: Timestamp) -> Date {
        let clock = offset(&self.config.utc_offset).unwrap_or(Offset::UTC);
        clock.to_datetime(at).date()
    }

    fn decision(&mut self, d: &Decision) {
        let record = format!("decision {}", d.id);
        // A customer or product that was never told of has no facts: everything about it is unknown.
        self.customers.entry(d.customer.clone()).or_default();
        let mut ratings = Vec::with_capacity(d.items.len());
        let offered: &[String] = match d.purpose {
            Purpose::Redeem => &[],
            _ => &d.items,
        };
        for item in offered {
            let on = Occasion {
                at: d.at,
                record: &record,
                customer: &d.customer,
                product: item,
                purpose: d.purpose,
                channel: &d.channel,
                recording: is_named(d.recording.as_ref()),
                trail: is_named(d.trail.as_ref()),
                is_own: d.purpose == Purpose::Buy && d.answers.is_none(),
            };
            self.products.entry(item.clone()).or_default();
            self.suits(&on);
            self.performance(d, &on);
            ratings.push((item.clone(), self.products[item].rating()));
        }
        let on = Occasion {
            at: d.at,
            record: &record,
            customer: &d.customer,
            product: d.items.first().map_or("", String::as_str),
            purpose: d.purpose,
            channel: &d.channel,
            recording: false,
            trail: false,
            is_own: false,
        };
        self.wording(d, &on);
        self.personalisation(d, &on);
        let is_silent = d.items.is_empty() && d.other.is_empty() && d.switch_from.is_none();
        if is_silent || d.purpose == Purpose::Redeem {
            return;
        }
        self.advice(d, &on);
        if d.purpose == Purpose::Push {
            if d.channel == "sms" {
                let fault = match d.text.as_deref() {
                    None => Some("a text message without its text".to_owned()),
                    Some(t) if !text::names_sender(t) => {
                        Some("the text names no sender".to_owned())
                    }
                    Some(t) => (text::found(t, &self.config.opt_out_words).is_none())
                        .then(|| "the text does not say how to opt out".to_owned()),
                };
                self.note(11, judged(fault), &on);
            }
            if d.queued {
                let queued = Queued {
                    at: d.at,
                    channel: d.channel.clone(),
                    items: ratings,
                    reads: self.reads(d),
                };
                let customer = self.customers.entry(d.customer.clone()).or_default();
                if let Some((id, forgotten)) = customer.queue(d.id.clone(), queued) {
                    self.unsent(&d.customer, &id, &forgotten);
                }
            } else {
                self.reached(&on);
            }
        }
    }

    /// Rule 6: what must be left of an erased customer.
    fn erased(&mut self, e: &OfCustomer) {
        let years = self.config.evidence_years;
        let c = self.customers.entry(e.customer.clone()).or_default();
        c.erased = true;
        let (last, until) = (c.last_order, c.sealed_until);
        let Some(last) = last else { return };
        let due = self.house_day(last).checked_add(years.years());
        let fault = match (until, due) {
            (None, _) => Some("no sealed copy was laid down".to_owned()),
            (Some(until), Ok(due)) => {
                (until < due).then(|| format!("the sealed copy ends on {until}, due is {due}"))
            }
            (Some(_), Err(_)) => None,
        };
        let on = occasion(e.at, "erased", &e.customer, "");
        self.note(6, judged(fault), &on);
    }

    fn read(&mut self, r: &Read) {
        let fault = (r.path == ReadPath::Marketing)
            .then(|| "a marketing path read the sealed copy".to_owned());
        let on = occasion(r.at, "read", &r.customer, "");
        self.note(6, judged(fault), &on);
    }
}

fn occasion<'r>(
    at: Timestamp,
    record: &'r str,
    customer: &'r str,
    product: &'r str,
) -> Occasion<'r> {
    Occasion {
        at,
        record,
        customer,
        product,
        purpose: Purpose::Push,
        channel: "",
        recording: false,
        trail: false,
        is_own: false,
    }
}

/// The regime of a product; a fund unless it says otherwise.
fn regime(p: &Product) -> &str {
    p.regime.as_deref().unwrap_or("fund")
}

/// Refuses what no line can hold.
fn check(record: &Record) -> Result<(), String> {
    match record {
        Record::Product(f) => match &f.fee_ladder {
            Some(Some(ladder)) => check_ladder(ladder),
            _ => Ok(()),
        },
        Record::Order(o) => {
            let bad = |v: Option<f64>| v.is_some_and(|v| !v.is_finite() || v < 0.0);
            if bad(o.shares) || bad(o.nav) || o.amount.is_some_and(|a| a < 0) {
                return Err("shares, nav and amount are numbers of zero or more".to_owned());
            }
            Ok(())
        }
        _ => Ok(()),
    }
}
