//! What is remembered between lines: one entry a customer and one a product, with what is open between them. Nothing here
//! grows with the number of decisions: queued sends end when they are sent, orders are forgotten `orders_kept_days` after
//! their end, lots when they are redeemed.

use crate::config::FeeStep;
use crate::record::{CustomerFacts, ProductFacts, Side, Told};
use jiff::Timestamp;
use jiff::civil::Date;
use std::collections::{BTreeMap, HashMap};

/// Most prices remembered of one product, one for each combination of declared inputs.
pub(crate) const PRICES_MAX: usize = 256;
/// Most queued decisions remembered of one customer; older ones are forgotten first, and a send of them is unknown.
pub(crate) const QUEUED_MAX: usize = 256;

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
}

/// What is known of an order.
#[derive(Debug, Clone)]
pub(crate) struct OrderState {
    pub(crate) submitted: Option<Timestamp>,
    pub(crate) confirmed: Option<Timestamp>,
    pub(crate) ended: Option<Timestamp>,
    pub(crate) side: Side,
    /// A fast redemption that was submitted and not judged yet.
    pub(crate) fast: Option<Fast>,
}

/// A fast redemption as it was asked for.
#[derive(Debug, Clone)]
pub(crate) struct Fast {
    pub(crate) at: Timestamp,
    pub(crate) product: String,
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
    /// Fast redemptions of one day, in minor units.
    pub(crate) fast: Option<(Date, i64)>,
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

    /// Forgets the oldest queued decision when there are too many.
    pub(crate) fn queue(&mut self, id: String, queued: Queued) {
        if self.queued.len() >= QUEUED_MAX {
            let oldest = (self.queued.iter()).min_by(|a, b| (a.1.at, a.0).cmp(&(b.1.at, b.0)));
            if let Some(id) = oldest.map(|(id, _)| id.clone()) {
                self.queued.remove(&id);
            }
        }
        self.queued.insert(id, queued);
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

    /// The highest of the ratings that are known; none without any.
    pub(crate) fn rating(&self) -> Option<i64> {
        (self.risk_level.into_iter())
            .chain(self.issuer_rating)
            .chain(self.seller_rating)
            .max()
    }
}
