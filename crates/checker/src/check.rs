//! The rules, one by one, as `market-rules.md` numbers them. One pass in order of time; each look at a rule is kept, violated
//! or unknown. A fact that is missing where an offer needs it is a violation, since what is unknown must not be offered;
//! unknown is only what the record cannot tell: days past the calendar's end, what was not recorded.
//!
//! This room must never be written from the engine's code or from a scene pack.

use crate::calendar::{Calendar, offset};
use crate::config::{Config, FeeStep, Raise, check_ladder};
use crate::record::*;
use crate::report::{Example, Report, Verdict};
use crate::state::{Customer, Fast, OrderState, PRICES_MAX, Position, Product, Queued};
use crate::text;
use Verdict::{Kept, Unknown, Violated};
use jiff::civil::{Date, DateTime};
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp, ToSpan};
use std::collections::HashMap;

/// Parts into which a fee is counted: millionths of a share, millionths of its value, billionths of a rate.
const FEE_QUANTA: i128 = 1_000_000_000_000_000_000_000;

/// The checker: what is remembered, and what was found so far.
#[derive(Debug)]
pub struct Checker {
    config: Config,
    calendar: Option<Calendar>,
    report: Report,
    customers: HashMap<String, Customer>,
    products: HashMap<String, Product>,
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
            last: None,
        }
    }

    /// What was found.
    pub fn finish(mut self) -> Report {
        // Fast redemptions of which nothing more was told: they may have been taken.
        let mut waiting: Vec<(String, String, Fast)> = Vec::new();
        for (name, customer) in &mut self.customers {
            for (id, order) in &mut customer.orders {
                if let Some(fast) = order.fast.take() {
                    waiting.push((name.clone(), id.clone(), fast));
                }
            }
        }
        waiting.sort_by(|a, b| (a.2.at, &a.0, &a.1).cmp(&(b.2.at, &b.0, &b.1)));
        for (customer, id, fast) in waiting {
            self.redeemed_fast(Some(fast), &customer, &format!("order {id}"));
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
                (self.customers.entry(f.customer.clone()).or_default()).tell(f);
            }
            Record::Product(f) => {
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
        for item in &d.items {
            let on = Occasion {
                at: d.at,
                record: &record,
                customer: &d.customer,
                product: item,
                purpose: d.purpose,
                channel: &d.channel,
                recording: d.recording.is_some(),
                trail: d.trail.is_some(),
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
        if d.items.is_empty() {
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
                };
                if let Some(customer) = self.customers.get_mut(&d.customer) {
                    customer.queue(d.id.clone(), queued);
                }
            } else {
                self.reached(&on);
            }
        }
    }

    /// Rules 1, 2, 4, 5, 6 and 7 of one item for one customer.
    fn suits(&mut self, on: &Occasion<'_>) {
        let (Some(c), Some(p)) = (
            self.customers.get(on.customer),
            self.products.get(on.product),
        ) else {
            return;
        };
        let mut notes: Vec<(u8, (Verdict, String))> = Vec::new();
        let assessment = self.assessment(c, p, on.at);
        let rating = p.rating();
        // 4
        let rated = (rating.is_none()).then(|| "the product has no risk rating".to_owned());
        notes.push((4, judged(assessment.clone().err().or(rated))));
        // 1 and 2
        if let (Ok(class), Some(rating)) = (assessment, rating) {
            notes.push(self.level(c, class, rating, on));
            notes.push((1, judged(self.beyond_level(c, p, class, rating))));
        }
        let position = c.positions.get(on.product);
        if on.purpose == Purpose::Buy {
            // 5
            if let Some(version) = &p.notice_version {
                let acknowledged = position.and_then(|x| x.acknowledged.as_ref());
                let fault = (acknowledged != Some(version)).then(|| {
                    format!(
                        "the notice is version {version}, acknowledged was {}",
                        shown(acknowledged)
                    )
                });
                notes.push((5, judged(fault)));
            }
            // 6
            if let Some(channels) = &p.recording_channels
                && channels.iter().any(|x| x == on.channel)
            {
                let fault = (!on.recording)
                    .then(|| format!("no recording, which channel {} needs", on.channel));
                notes.push((6, judged(fault)));
            }
            let online = self.config.online_channels.iter().any(|x| x == on.channel);
            if self.config.online_needs_trail && online && regime(p) == "fund" {
                let fault = (!on.trail).then(|| "no electronic trail".to_owned());
                notes.push((6, judged(fault)));
            }
        } else if c.erased {
            notes.push((6, judged(Some("the customer was erased".to_owned()))));
        }
        // 7
        if p.private == Some(true) {
            let fault = (c.qualified != Some(true)).then(|| {
                "a private fund, and the customer is not known to be qualified".to_owned()
            });
            notes.push((7, judged(fault)));
        }
        for (rule, judged) in notes {
            self.note(rule, judged, on);
        }
    }

    /// The class that counts at `at`, or why there is none.
    fn assessment(&self, c: &Customer, p: &Product, at: Timestamp) -> Result<i64, String> {
        let class = c.risk_appetite.ok_or("the customer has no assessment")?;
        let days = self.config.assessment_days.get(regime(p));
        let by_regime = match days {
            None => None,
            Some(days) => {
                let assessed = (c.assessed_at)
                    .ok_or("the regime sets a validity and the day of assessment is not known")?;
                Some(assessed + SignedDuration::from_hours(24 * days))
            }
        };
        let ends = (c.appetite_expires_at.into_iter())
            .chain(by_regime)
            .min()
            .ok_or("it is not known until when the assessment is valid")?;
        if at >= ends {
            return Err(format!("the assessment expired at {ends}"));
        }
        Ok(class)
    }

    /// Risk against class: rule 2 of what is pushed and of a warning, else rule 1.
    fn level(
        &self,
        c: &Customer,
        class: i64,
        rating: i64,
        on: &Occasion<'_>,
    ) -> (u8, (Verdict, String)) {
        let is_professional = c.professional == Some(true);
        let exempt = is_professional && self.config.professionals_exempt;
        let above = rating > class;
        let found = |what: &str| Some(format!("risk {rating}, class {class}: {what}"));
        match on.purpose {
            Purpose::Push => {
                let may = is_professional && self.config.push_to_professionals;
                let fault = (above && !may).then(|| found("pushed")).flatten();
                (2, judged(fault))
            }
            Purpose::Show => {
                let fault = above && !exempt && self.config.shelf_is_an_offer;
                (1, judged(fault.then(|| found("shown")).flatten()))
            }
            Purpose::Buy => {
                if !above || exempt {
                    return (1, judged(None));
                }
                if class <= self.config.lowest_class {
                    return (1, judged(found("the lowest class never goes higher")));
                }
                let position = c.positions.get(on.product);
                let warned = (position.and_then(|p| p.warned))
                    .is_some_and(|w| self.config.warning_opens_own_purchase && w >= rating);
                match (warned, on.is_own) {
                    (true, true) => (2, judged(None)),
                    (true, false) => (2, judged(found("bought on an offer, warning or not"))),
                    (false, _) => (1, judged(found("bought without a warning of this risk"))),
                }
            }
        }
    }

    /// Suitability beyond the level: age, experience, term, exceptions of the product; only what the settings ask for.
    fn beyond_level(&self, c: &Customer, p: &Product, class: i64, rating: i64) -> Option<String> {
        let s = &self.config;
        let unknown_or = |value: Option<i64>, good: &dyn Fn(i64) -> bool| !value.is_some_and(good);
        if s.least_age.is_some_and(|a| unknown_or(c.age, &|x| x >= a)) {
            return Some(format!("age {}, which is too young", shown(c.age)));
        }
        let oldest = s.oldest_by_risk.get(&rating);
        if oldest.is_some_and(|a| unknown_or(c.age, &|x| x <= *a)) {
            return Some(format!("age {} for risk {rating}", shown(c.age)));
        }
        let least = s.experience_by_risk.get(&rating);
        if least.is_some_and(|y| unknown_or(c.experience_years, &|x| x >= *y)) {
            let years = shown(c.experience_years);
            return Some(format!("{years} years of experience for risk {rating}"));
        }
        let term = s.longest_term_by_class.get(&class);
        if term.is_some_and(|d| unknown_or(p.term_days, &|x| x <= *d)) {
            return Some(format!(
                "a term of {} days for class {class}",
                shown(p.term_days)
            ));
        }
        (p.not_for_classes.as_ref())
            .is_some_and(|list| list.contains(&class))
            .then(|| format!("the product is not for class {class}"))
    }

    /// Rule 8 of a text and what is given.
    fn wording(&mut self, d: &Decision, on: &Occasion<'_>) {
        if let Some(t) = &d.text {
            let fault = text::found(t, &self.config.forbidden_words)
                .map(|word| format!("the text says `{word}`"));
            self.note(8, judged(fault), on);
        }
        if let Some(incentive) = &d.incentive {
            let fault = (!d.items.is_empty()).then(|| format!("{} with a product", incentive.kind));
            self.note(8, judged(fault), on);
        }
    }

    fn journey(&mut self, j: &Journey) {
        let Some(incentive) = &j.incentive else {
            return;
        };
        let condition = incentive.conditional_on.as_deref();
        let fault = (condition == Some("fund_purchase"))
            .then(|| format!("{} on condition of a purchase", incentive.kind));
        let record = format!("journey {}", j.id);
        self.report.note(8, judged(fault.clone()).0, || Example {
            at: j.at,
            record,
            customer: String::new(),
            product: String::new(),
            found: fault.unwrap_or_default(),
        });
    }

    /// Rule 9.
    fn performance(&mut self, d: &Decision, on: &Occasion<'_>) {
        let Some(shows) = d.shows.as_ref().filter(|s| s.performance || s.annualised) else {
            return;
        };
        let today = self.house_day(d.at);
        let inception = self.products.get(on.product).and_then(|p| p.inception);
        let fault = match inception {
            None => Some("performance of a fund whose inception is not known".to_owned()),
            Some(day) => {
                let reached = |months: i64| {
                    let span = jiff::Span::new().try_months(months).ok();
                    span.and_then(|s| day.checked_add(s).ok())
                        .is_some_and(|d| d <= today)
                };
                let full_year = shows.window_days.is_some_and(|w| w >= 365) && reached(12);
                if !reached(self.config.performance_months) {
                    Some(format!("performance of a fund that began on {day}"))
                } else if shows.annualised && !full_year {
                    Some(format!(
                        "annualised over {} days of a fund that began on {day}",
                        shown(shows.window_days)
                    ))
                } else if !shows.volatility {
                    Some("a return without its volatility".to_owned())
                } else {
                    None
                }
            }
        };
        self.note(9, judged(fault), on);
    }

    fn undeclared<'r>(&self, reads: &'r [String]) -> Option<&'r String> {
        reads.iter().find(|read| {
            !self
                .config
                .declared_reads
                .iter()
                .any(|name| match name.strip_suffix('*') {
                    Some(begin) => read.starts_with(begin),
                    None => *read == name,
                })
        })
    }

    /// Rule 10 of a decision.
    fn personalisation(&mut self, d: &Decision, on: &Occasion<'_>) {
        let off = self
            .customers
            .get(&d.customer)
            .is_some_and(|c| c.personalisation == Some(false));
        if !off || d.purpose == Purpose::Buy {
            return;
        }
        let verdict = match &d.reads {
            None => (Unknown, "what was read is not recorded".to_owned()),
            Some(reads) => judged(
                self.undeclared(reads)
                    .map(|r| format!("personalisation is off and `{r}` was read")),
            ),
        };
        self.note(10, verdict, on);
    }

    fn price(&mut self, p: &Price) {
        let record = format!("price of {}", p.product);
        let on = occasion(p.at, &record, &p.customer, &p.product);
        let verdict = match &p.reads {
            None => (Unknown, "what was read is not recorded".to_owned()),
            Some(reads) => judged(
                self.undeclared(reads)
                    .map(|r| format!("the price reads `{r}`")),
            ),
        };
        self.note(10, verdict, &on);
        let Some(declared) = &p.declared else { return };
        let prices = &mut self.products.entry(p.product.clone()).or_default().prices;
        let verdict = match prices.get(declared) {
            Some(before) => judged((*before != p.price).then(|| {
                format!(
                    "the same declared inputs cost {before} before and {} now",
                    p.price
                )
            })),
            None if prices.len() >= PRICES_MAX => {
                (Unknown, "more combinations of inputs than are kept".into())
            }
            None => {
                prices.insert(declared.clone(), p.price.clone());
                (Kept, String::new())
            }
        };
        self.note(10, verdict, &on);
    }

    fn used(&mut self, u: &Use) {
        let c = self.customers.entry(u.customer.clone()).or_default();
        let (consent, word) = match u.of {
            UseOf::Biometrics => (c.consent_biometrics, "biometrics"),
            UseOf::Partners => (c.consent_partners, "partners"),
        };
        let fault = (consent != Some(true)).then(|| format!("no consent for {word}"));
        let on = occasion(u.at, "use", &u.customer, "");
        self.note(10, judged(fault), &on);
    }

    /// Rules 7 and 11 at the moment at which a push reaches the customer.
    fn reached(&mut self, on: &Occasion<'_>) {
        let Some(c) = self.customers.get(on.customer) else {
            return;
        };
        let mut notes = Vec::new();
        if let Some(signed) = c.private_signed {
            let quiet = SignedDuration::from_hours(self.config.cooling_off_hours);
            let since = on.at.duration_since(signed);
            if since < quiet {
                let fault = format!("contact {since:#} after a private fund was signed");
                notes.push((7, judged(Some(fault))));
            } else {
                notes.push((7, judged(None)));
            }
        }
        let out = (c.opted_out == Some(true)).then(|| "pushed after opting out".to_owned());
        notes.push((11, judged(out)));
        if on.channel == "sms" {
            let consent =
                (c.consent_sms != Some(true)).then(|| "no consent to text messages".to_owned());
            notes.push((11, judged(consent)));
            notes.push((11, self.hours(c, on.at)));
        }
        for (rule, judged) in notes {
            self.note(rule, judged, on);
        }
    }

    fn hours(&self, c: &Customer, at: Timestamp) -> (Verdict, String) {
        let local: Option<DateTime> = match (&c.utc_offset, &c.zone) {
            (Some(text), _) => offset(text).map(|o| o.to_datetime(at)),
            (None, Some(zone)) => TimeZone::get(zone).ok().map(|z| z.to_datetime(at)),
            (None, None) => offset(&self.config.utc_offset).map(|o| o.to_datetime(at)),
        };
        let Some(local) = local else {
            return (Unknown, "the customer's zone cannot be read".to_owned());
        };
        let minute = i64::from(local.hour()) * 60 + i64::from(local.minute());
        let good = (self.config.sms_from_minute..self.config.sms_to_minute).contains(&minute);
        judged((!good).then(|| format!("a text message at {} local time", local.time())))
    }

    /// Rule 3, and what is due when a queued decision goes out.
    fn send(&mut self, s: &Send) {
        let record = format!("send of {}", s.decision);
        let c = self.customers.entry(s.customer.clone()).or_default();
        let Some(queued) = c.queued.remove(&s.decision) else {
            let on = occasion(s.at, &record, &s.customer, "");
            self.note(3, (Unknown, "no such decision is queued".to_owned()), &on);
            return;
        };
        if s.status == Sent::Cancelled {
            return;
        }
        let class = c.risk_appetite;
        for (item, before) in &queued.items {
            let on = Occasion {
                channel: &queued.channel,
                ..occasion(s.at, &record, &s.customer, item)
            };
            // 4: the offer is made when it goes out.
            if let (Some(c), Some(p)) = (self.customers.get(&s.customer), self.products.get(item)) {
                let expired = self.assessment(c, p, s.at).err();
                self.note(4, judged(expired), &on);
            }
            let now = self.products.get(item).and_then(Product::rating);
            let raised = match (*before, now) {
                (Some(before), Some(now)) => now > before,
                (_, None) => true,
                (None, Some(_)) => false,
            };
            let above = class.zip(now).is_none_or(|(class, now)| now > class);
            let cancels = match self.config.raise_cancels {
                Raise::Any => raised,
                Raise::AboveClass => raised && above,
            };
            let fault = cancels.then(|| {
                format!(
                    "risk {} when queued, {} when sent",
                    shown(*before),
                    shown(now)
                )
            });
            self.note(3, judged(fault), &on);
        }
        let on = Occasion {
            channel: &queued.channel,
            ..occasion(
                s.at,
                &record,
                &s.customer,
                queued.items.first().map_or("", |(item, _)| item),
            )
        };
        self.reached(&on);
    }

    /// Rules 14 and 15 of advice.
    fn advice(&mut self, d: &Decision, on: &Occasion<'_>) {
        if d.advice.as_deref() == Some("portfolio") {
            let fault = (!self.config.portfolio_licence)
                .then(|| "portfolio advice without the licence".to_owned());
            self.note(15, judged(fault), on);
        }
        let Some(from) = &d.switch_from else { return };
        let today = self.house_day(d.at);
        let lots = (self.customers.get(&d.customer))
            .and_then(|c| c.positions.get(from))
            .map_or(&[][..], |p| &p.lots);
        let shares: f64 = lots.iter().map(|(_, s)| s).sum();
        let due = self.fees_due(from, lots, today, shares, 1.0);
        let verdict = match (d.redemption_fee_shown, due) {
            (None, _) => judged(Some("switching advice shows no redemption fee".to_owned())),
            (Some(_), None) => (Unknown, "what is held is not known".to_owned()),
            (Some(shown), Some(due)) => {
                let rate = due as f64 / FEE_QUANTA as f64 / shares;
                judged((shown + 1e-9 < rate).then(|| format!("shown {shown}, due is {rate}")))
            }
        };
        self.note(14, verdict, on);
    }

    /// Least fee of redeeming `shares` of `lots`, oldest first, in [`FEE_QUANTA`] of what `nav` is in; none when they are not
    /// there. Exact in what was told: rounding must neither make a fault nor hide one.
    fn fees_due(
        &self,
        product: &str,
        lots: &[(Date, f64)],
        day: Date,
        shares: f64,
        nav: f64,
    ) -> Option<i128> {
        let p = self.products.get(product)?;
        let exempt = p.fee_exempt == Some(true);
        let ladder: &[FeeStep] = p.fee_ladder.as_deref().unwrap_or(&self.config.fee_ladder);
        let (mut left, mut due) = (shares, 0i128);
        if left <= 0.0 {
            return None;
        }
        let whole = |v: f64, parts: f64| (v * parts).round() as i128;
        for (bought, held) in lots {
            let taken = held.min(left);
            let days = i64::from((day - *bought).get_days());
            let rate = ladder
                .iter()
                .find(|step| days < step.under_days)
                .map_or(0.0, |step| step.rate);
            if !exempt {
                let of_lot = whole(taken, 1e6)
                    .saturating_mul(whole(nav, 1e6))
                    .saturating_mul(whole(rate, 1e9));
                due = due.saturating_add(of_lot);
            }
            left -= taken;
            if left <= 1e-9 {
                return Some(due);
            }
        }
        None
    }

    fn order(&mut self, o: &Order) {
        let record = format!("order {}", o.id);
        let on = Occasion {
            purpose: Purpose::Buy,
            channel: &o.channel,
            recording: o.recording.is_some(),
            trail: o.trail.is_some(),
            is_own: o.decision.is_none(),
            ..occasion(o.at, &record, &o.customer, &o.product)
        };
        self.products.entry(o.product.clone()).or_default();
        let kept = SignedDuration::from_hours(24 * self.config.orders_kept_days);
        let c = self.customers.entry(o.customer.clone()).or_default();
        if c.last_order
            .is_none_or(|last| o.at.duration_since(last) > SignedDuration::from_hours(24))
        {
            (c.orders).retain(|_, x| x.ended.is_none_or(|e| o.at.duration_since(e) <= kept));
        }
        c.last_order = Some(o.at);
        let state = c.orders.entry(o.id.clone()).or_insert(OrderState {
            submitted: None,
            confirmed: None,
            ended: None,
            side: o.side,
            fast: None,
        });
        let before = state.clone();
        match o.step {
            Step::Submitted if before.submitted.is_none() => {
                state.submitted = Some(o.at);
                state.fast = (o.fast && o.side == Side::Redeem).then(|| Fast {
                    at: o.at,
                    product: o.product.clone(),
                    amount: o.amount,
                });
            }
            // Taken: what it takes of the day's limit is judged now.
            Step::Accepted => {
                let fast = state.fast.take();
                return self.redeemed_fast(fast, &o.customer, &record);
            }
            Step::Confirmed if before.confirmed.is_none() && before.ended.is_none() => {
                state.confirmed = Some(o.at);
                state.ended = Some(o.at);
                state.fast = None;
            }
            // What was refused took nothing of the day's limit.
            Step::Failed | Step::Cancelled if before.ended.is_none() => {
                state.ended = Some(o.at);
                state.fast = None;
            }
            Step::CancelRefused => {}
            // A step told again, or after the end, changes nothing.
            _ => return,
        }
        match o.step {
            Step::Submitted => self.submitted(o, &on),
            Step::Confirmed => {
                self.redeemed_fast(before.fast.clone(), &o.customer, &record);
                self.confirmed(o, &before, &on);
            }
            Step::CancelRefused => self.cancel_refused(&before, &on),
            _ => {}
        }
    }

    fn submitted(&mut self, o: &Order, on: &Occasion<'_>) {
        if o.side == Side::Buy {
            self.suits(on);
            if self.products[on.product].private == Some(true)
                && let Some(c) = self.customers.get_mut(on.customer)
            {
                c.private_signed = Some(o.at);
            }
        }
        // 12
        if let Some(told) = o.trade_day {
            let day = self.calendar.as_ref().and_then(|c| c.order_day(o.at));
            let verdict = match day {
                None => (Unknown, "the calendar does not tell the day".to_owned()),
                Some(day) => judged((day != told).then(|| format!("counts for {day}, not {told}"))),
            };
            self.note(12, verdict, on);
        }
    }

    /// Rule 13: fast redemptions of a customer, product and day, as far as they were taken.
    fn redeemed_fast(&mut self, fast: Option<Fast>, customer: &str, record: &str) {
        let Some(Fast {
            at,
            product,
            amount,
        }) = fast
        else {
            return;
        };
        let today = self.house_day(at);
        let limit = self
            .products
            .get(&product)
            .and_then(|p| p.fast_redemption_limit);
        let taken = &mut self.position(customer, &product).fast;
        let before = taken.filter(|(day, _)| *day == today).map_or(0, |f| f.1);
        let sum = before.saturating_add(amount.unwrap_or(0));
        *taken = Some((today, sum));
        let verdict = match (limit, amount) {
            (Some(limit), Some(_)) => {
                judged((sum > limit).then(|| format!("fast redemptions of {sum}, limit {limit}")))
            }
            _ => (Unknown, "limit or amount is not known".to_owned()),
        };
        self.note(13, verdict, &occasion(at, record, customer, &product));
    }

    fn confirmed(&mut self, o: &Order, before: &OrderState, on: &Occasion<'_>) {
        let p = &self.products[on.product];
        let calendar = self.calendar.as_ref();
        let exchange = |at| calendar.map_or_else(|| self.house_day(at), |c| c.day(at));
        let day = o.confirmed_on.unwrap_or_else(|| exchange(o.at));
        let mut notes = Vec::new();
        // 7
        if p.private == Some(true) && before.side == Side::Buy {
            let quiet = SignedDuration::from_hours(self.config.cooling_off_hours);
            notes.push((
                7,
                match before.submitted {
                    None => (Unknown, "when it was signed is not known".to_owned()),
                    Some(signed) => {
                        let since = o.at.duration_since(signed);
                        judged(
                            (since < quiet)
                                .then(|| format!("confirmed {since:#} after it was signed")),
                        )
                    }
                },
            ));
        }
        // 12
        let days = p.confirmation_days.unwrap_or(match p.qdii {
            Some(true) => self.config.confirmation_days_qdii,
            _ => self.config.confirmation_days,
        });
        let due = (before.submitted)
            .and_then(|at| calendar?.order_day(at))
            .and_then(|t| calendar?.after(t, days));
        let is_fast = o.fast && before.side == Side::Redeem;
        notes.push((
            12,
            match due {
                // The text has days for ordinary orders alone.
                _ if is_fast => (
                    Unknown,
                    "the text gives a fast redemption no day".to_owned(),
                ),
                None => (Unknown, "the day of confirmation is not known".to_owned()),
                Some(due) => {
                    let late = day > due && self.config.late_confirmation_is_violation;
                    judged((day < due || late).then(|| format!("confirmed on {day}, due on {due}")))
                }
            },
        ));
        // 13
        if p.money_market == Some(true) {
            let due = calendar.and_then(|c| c.after(day, p.earning_days.unwrap_or(1)));
            notes.push((
                13,
                match (due, o.earning_changes_on) {
                    _ if is_fast => (
                        Unknown,
                        "the text gives a fast redemption no day".to_owned(),
                    ),
                    (Some(due), Some(told)) => judged(
                        (due != told).then(|| format!("earning changes on {due}, not {told}")),
                    ),
                    (None, _) => (Unknown, "the calendar does not tell the day".to_owned()),
                    (_, None) => (Unknown, "no day of earning is recorded".to_owned()),
                },
            ));
        }
        // 14
        if before.side == Side::Redeem {
            notes.push((14, self.fee(o, day, on)));
        }
        for (rule, judged) in notes {
            self.note(rule, judged, on);
        }
        let Some(shares) = o.shares.filter(|s| *s > 0.0) else {
            return;
        };
        let lots = &mut self.position(on.customer, on.product).lots;
        match before.side {
            Side::Buy => match lots.iter_mut().find(|(d, _)| *d == day) {
                Some((_, held)) => *held += shares,
                None => {
                    lots.push((day, shares));
                    lots.sort_by_key(|(d, _)| *d);
                }
            },
            Side::Redeem => {
                let mut left = shares;
                for (_, held) in lots.iter_mut() {
                    let taken = held.min(left);
                    *held -= taken;
                    left -= taken;
                }
                lots.retain(|(_, held)| *held > 1e-9);
            }
        }
    }

    fn fee(&self, o: &Order, day: Date, on: &Occasion<'_>) -> (Verdict, String) {
        let lots = (self.customers.get(on.customer))
            .and_then(|c| c.positions.get(on.product))
            .map_or(&[][..], |p| &p.lots);
        let (Some(shares), Some(nav), Some(fee)) = (o.shares, o.nav, o.fee) else {
            return (Unknown, "shares, nav or fee are not recorded".to_owned());
        };
        let Some(due) = self.fees_due(on.product, lots, day, shares, nav * 100.0) else {
            return (Unknown, "more is redeemed than was seen bought".to_owned());
        };
        let least = due / FEE_QUANTA;
        judged((i128::from(fee) < least).then(|| format!("fee {fee}, at least {least}")))
    }

    /// Rule 7: within the hesitation period the customer may always step back.
    fn cancel_refused(&mut self, before: &OrderState, on: &Occasion<'_>) {
        let Some(days) = self.products[on.product].hesitation_days else {
            return;
        };
        let verdict = match before.confirmed.or(before.submitted) {
            None => (Unknown, "when it began is not known".to_owned()),
            Some(began) => {
                let within = on.at.duration_since(began) < SignedDuration::from_hours(24 * days);
                judged(within.then(|| format!("refused within {days} days of hesitation")))
            }
        };
        self.note(7, verdict, on);
    }

    /// Rule 16.
    fn conversion(&mut self, c: &Conversion) {
        let record = format!("conversion by order {}", c.order);
        let on = occasion(c.at, &record, &c.customer, "");
        let order = (self.customers.get(&c.customer)).and_then(|x| x.orders.get(&c.order));
        let verdict = match order {
            None => (Unknown, "the order is not known".to_owned()),
            Some(o) => judged((o.confirmed.is_none()).then(|| "not confirmed".to_owned())),
        };
        self.note(16, verdict, &on);
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
    let level = |name: &str, told: Told<i64>| match told.flatten() {
        Some(v) if !(1..=5).contains(&v) => Err(format!("{name} is {v}; write 1 to 5, or null")),
        _ => Ok(()),
    };
    match record {
        Record::Customer(f) => level("risk_appetite", f.risk_appetite),
        Record::Product(f) => {
            level("risk_level", f.risk_level)?;
            level("issuer_rating", f.issuer_rating)?;
            level("seller_rating", f.seller_rating)?;
            match &f.fee_ladder {
                Some(Some(ladder)) => check_ladder(ladder),
                _ => Ok(()),
            }
        }
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
