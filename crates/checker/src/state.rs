//! What is remembered between lines: one entry a customer and one a product, with what is open between them. Nothing here
//! grows with the number of decisions: queued sends end when they are sent, orders are forgotten `orders_kept_days` after
//! their end, lots when they are redeemed.

use crate::config::FeeStep;
use crate::record::{CustomerFacts, Order, ProductFacts, Side, Step, Told};
use crate::report::Verdict;
use jiff::Timestamp;
use jiff::civil::Date;
use std::collections::{BTreeMap, HashMap};

/// Most prices remembered of one product, one for each combination of declared inputs.
pub(crate) const PRICES_MAX: usize = 256;
/// Most queued decisions remembered of one customer; older ones are forgotten first, and a send of them is unknown.
pub(crate) const QUEUED_MAX: usize = 256;

/// Classes and ratings.
pub(crate) const LEVELS: std::ops::RangeInclusive<i64> = 1..=5;
/// Most days of fast redemptions remembered of one customer and product; earlier ones are forgotten and then unknown.
pub(crate) const FAST_DAYS_MAX: usize = 32;

fn tell<T>(place: &mut Option<T>, told: Told<T>) {
    if let Some(value) = told {
        *place = value;
    }
}

/// Facts of a customer and what is open.
#[derive(Debug, Default)]
pub(crate) struct Customer {
    pub(crate) risk_appetite: Option<i64>,
    pub(crate) assessed_at: Option<Timestamp>,
    pub(crate) appetite_expires_at: Option<Timestamp>,
    pub(crate) consent_sms: Option<bool>,
    pub(crate) consent_biometrics: Option<bool>,
    pub(crate) consent_partners: Option<bool>,
    pub(crate) opted_out: Option<bool>,
    pub(crate) utc_offset: Option<String>,
    pub(crate) zone: Option<String>,
    pub(crate) professional: Option<bool>,
    pub(crate) qualified: Option<bool>,
    pub(crate) personalisation: Option<bool>,
    pub(crate) age: Option<i64>,
    pub(crate) experience_years: Option<i64>,
    pub(crate) erased: bool,
    pub(crate) sealed_until: Option<Date>,
    /// Day of the last step of any order.
    pub(crate) last_order: Option<Timestamp>,
    /// When a private fund was last signed.
    pub(crate) private_signed: Option<Timestamp>,
    /// Queued decisions by id, with a running number to forget the oldest.
    pub(crate) queued: HashMap<String, Queued>,
    pub(crate) orders: HashMap<String, OrderState>,
    pub(crate) positions: HashMap<String, Position>,
}

/// A decision that waits to be sent.
#[derive(Debug, Clone)]
pub(crate) struct Queued {
    pub(crate) at: Timestamp,
    pub(crate) channel: String,
    /// Items with their ratings when it was decided.
    pub(crate) items: Vec<(String, Option<i64>)>,
    /// What rule 10 says of what it read, should personalisation be switched off.
    pub(crate) reads: (Verdict, String),
}

/// What is known of an order.
#[derive(Debug, Clone)]
pub(crate) struct OrderState {
    pub(crate) submitted: Option<Timestamp>,
    pub(crate) confirmed: Option<Timestamp>,
    pub(crate) ended: Option<Timestamp>,
    /// The step that ended it.
    pub(crate) ended_by: &'static str,
    pub(crate) product: Box<str>,
    pub(crate) side: Side,
    /// Any line of it said so.
    pub(crate) is_fast: bool,
    /// A fast redemption that was submitted and not judged yet.
    pub(crate) fast: Option<Fast>,
    /// It was judged.
    pub(crate) fast_counted: bool,
}

impl OrderState {
    /// An order of which nothing was told before this line.
    pub(crate) fn new(o: &Order) -> Self {
        Self {
            submitted: None,
            confirmed: None,
            ended: None,
            ended_by: "",
            product: o.product.as_str().into(),
            side: o.side,
            is_fast: false,
            fast: None,
            fast_counted: false,
        }
    }

    /// What a fast redemption that is taken now takes of its day's limit; none of one that was counted.
    pub(crate) fn taken(&mut self, o: &Order) -> Option<Fast> {
        if !self.is_fast || self.fast_counted {
            return None;
        }
        self.fast_counted = true;
        let mut fast = self.fast.take().unwrap_or_else(|| Fast::of(o));
        // A confirmation tells what came after the fee.
        if o.step == Step::Accepted {
            fast.amount = fast.amount.or(o.amount);
        }
        Some(fast)
    }
}

impl Fast {
    pub(crate) fn of(o: &Order) -> Self {
        Self {
            at: o.at,
            product: o.product.as_str().into(),
            amount: o.amount,
        }
    }
}

/// A fast redemption as it was asked for.
#[derive(Debug, Clone)]
pub(crate) struct Fast {
    pub(crate) at: Timestamp,
    pub(crate) product: Box<str>,
    /// Minor units.
    pub(crate) amount: Option<i64>,
}

/// What lies between one customer and one product.
#[derive(Debug, Default)]
pub(crate) struct Position {
    pub(crate) acknowledged: Option<String>,
    /// Rating for which a warning was signed.
    pub(crate) warned: Option<i64>,
    /// Shares by day of confirmation, oldest first.
    pub(crate) lots: Vec<(Date, f64)>,
    /// Fast redemptions by the day on which they were asked for.
    pub(crate) fast: BTreeMap<Date, FastDay>,
    /// The last day of fast redemptions that was forgotten.
    pub(crate) fast_forgotten: Option<Date>,
}

/// Fast redemptions of one day.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct FastDay {
    /// Minor units, of those whose amount is known.
    pub(crate) sum: i64,
    /// There was one whose amount is not.
    pub(crate) is_open: bool,
}

impl Position {
    /// Adds a fast redemption to its day: what was taken of the day's limit so far; none of a day that was forgotten.
    pub(crate) fn fast(&mut self, day: Date, amount: Option<i64>) -> Option<FastDay> {
        if self.fast_forgotten.is_some_and(|last| day <= last) {
            return None;
        }
        let taken = self.fast.entry(day).or_default();
        taken.sum = taken.sum.saturating_add(amount.unwrap_or(0));
        taken.is_open |= amount.is_none();
        let out = *taken;
        if self.fast.len() > FAST_DAYS_MAX
            && let Some((day, _)) = self.fast.pop_first()
        {
            self.fast_forgotten = Some(day);
        }
        Some(out)
    }
}

impl Customer {
    pub(crate) fn tell(&mut self, f: CustomerFacts) {
        tell(&mut self.risk_appetite, f.risk_appetite);
        tell(&mut self.assessed_at, f.assessed_at);
        tell(&mut self.appetite_expires_at, f.appetite_expires_at);
        tell(&mut self.consent_sms, f.consent_sms);
        tell(&mut self.consent_biometrics, f.consent_biometrics);
        tell(&mut self.consent_partners, f.consent_partners);
        tell(&mut self.opted_out, f.opted_out);
        tell(&mut self.utc_offset, f.utc_offset);
        tell(&mut self.zone, f.zone);
        tell(&mut self.professional, f.professional);
        tell(&mut self.qualified, f.qualified);
        tell(&mut self.personalisation, f.personalisation);
        tell(&mut self.age, f.age);
        tell(&mut self.experience_years, f.experience_years);
    }

    /// The class; none where it is unknown or none of the five.
    pub(crate) fn class(&self) -> Option<i64> {
        self.risk_appetite.filter(|v| LEVELS.contains(v))
    }

    /// Remembers a queued decision: the one that is forgotten for it, where there is one: the one that had its id, or the oldest
    /// when there are too many.
    pub(crate) fn queue(&mut self, id: String, queued: Queued) -> Option<(String, Queued)> {
        let mut forgotten = self.queued.remove_entry(&id);
        if self.queued.len() >= QUEUED_MAX {
            let oldest = (self.queued.iter()).min_by(|a, b| (a.1.at, a.0).cmp(&(b.1.at, b.0)));
            if let Some(id) = oldest.map(|(id, _)| id.clone()) {
                forgotten = self.queued.remove_entry(&id);
            }
        }
        self.queued.insert(id, queued);
        forgotten
    }
}

/// Facts of a product.
#[derive(Debug, Default)]
pub(crate) struct Product {
    pub(crate) risk_level: Option<i64>,
    pub(crate) issuer_rating: Option<i64>,
    pub(crate) seller_rating: Option<i64>,
    pub(crate) regime: Option<String>,
    pub(crate) qdii: Option<bool>,
    pub(crate) money_market: Option<bool>,
    pub(crate) private: Option<bool>,
    pub(crate) inception: Option<Date>,
    pub(crate) term_days: Option<i64>,
    pub(crate) not_for_classes: Option<Vec<i64>>,
    pub(crate) confirmation_days: Option<u32>,
    pub(crate) earning_days: Option<u32>,
    pub(crate) fast_redemption_limit: Option<i64>,
    pub(crate) hesitation_days: Option<i64>,
    pub(crate) fee_ladder: Option<Vec<FeeStep>>,
    pub(crate) fee_exempt: Option<bool>,
    pub(crate) notice_version: Option<String>,
    pub(crate) recording_channels: Option<Vec<String>>,
    /// Prices by what they were declared to be made of.
    pub(crate) prices: BTreeMap<String, String>,
}

impl Product {
    pub(crate) fn tell(&mut self, f: ProductFacts) {
        tell(&mut self.risk_level, f.risk_level);
        tell(&mut self.issuer_rating, f.issuer_rating);
        tell(&mut self.seller_rating, f.seller_rating);
        tell(&mut self.regime, f.regime);
        tell(&mut self.qdii, f.qdii);
        tell(&mut self.money_market, f.money_market);
        tell(&mut self.private, f.private);
        tell(&mut self.inception, f.inception);
        tell(&mut self.term_days, f.term_days);
        tell(&mut self.not_for_classes, f.not_for_classes);
        tell(&mut self.confirmation_days, f.confirmation_days);
        tell(&mut self.earning_days, f.earning_days);
        tell(&mut self.fast_redemption_limit, f.fast_redemption_limit);
        tell(&mut self.hesitation_days, f.hesitation_days);
        tell(&mut self.fee_ladder, f.fee_ladder);
        tell(&mut self.fee_exempt, f.fee_exempt);
        tell(&mut self.notice_version, f.notice_version);
        tell(&mut self.recording_channels, f.recording_channels);
    }

    /// The highest of the ratings that are known; none without any, and none where one of them is none of the five: it might
    /// be the highest.
    pub(crate) fn rating(&self) -> Option<i64> {
        let told = || {
            (self.risk_level.into_iter())
                .chain(self.issuer_rating)
                .chain(self.seller_rating)
        };
        told().all(|v| LEVELS.contains(&v)).then(|| told().max())?
    }
}
