//! What customers of the wealth platform say: small values in the order of time, and the same in the words of the `fund`
//! scene. It must never carry anything hidden.

use super::listing::written;
use super::product::Product;
use crate::event::{SimEvent, customer_name};
use luopan_kernel::event::CUSTOMER_TYPE;
use luopan_kernel::time::Micros;
use luopan_kernel::value::Value;
use std::sync::Arc;

/// Income bands from low to high.
pub(crate) const INCOME_BANDS: [&str; 5] = ["A", "B", "C", "D", "E"];

/// Zones that customers live in, with their offset from UTC in hours (none of them has summer time).
pub(crate) const ZONES: [(&str, f64, f64); 4] = [
    ("Asia/Shanghai", 8.0, 0.90),
    ("Asia/Urumqi", 6.0, 0.04),
    ("Asia/Hong_Kong", 8.0, 0.04),
    ("Asia/Tokyo", 9.0, 0.02),
];

/// A page of the application.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Page {
    /// The first.
    Home,
    /// A fund's.
    Fund,
    /// The questions about risk.
    RiskAssessment,
    /// What is held.
    Holdings,
    /// Service.
    Service,
}

impl Page {
    /// Its word in the scene.
    pub fn word(self) -> &'static str {
        match self {
            Self::Home => "home",
            Self::Fund => "fund",
            Self::RiskAssessment => "risk_assessment",
            Self::Holdings => "holdings",
            Self::Service => "service",
        }
    }
}

/// Purchase or redemption.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Money becomes shares.
    Buy,
    /// Shares become money.
    Redeem,
}

impl Side {
    /// Its word in the scene.
    pub fn word(self) -> &'static str {
        match self {
            Self::Buy => "buy",
            Self::Redeem => "redeem",
        }
    }
}

/// Why the platform or the fund house refused an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refusal {
    /// Never assessed.
    NoAssessment,
    /// The assessment has run out.
    AssessmentExpired,
    /// The product has no rating.
    NoRating,
    /// The rating is above the customer's appetite.
    RiskAboveAppetite,
    /// Closed to purchases on the day for which the order counts.
    BuyingSuspended,
    /// Closed to redemptions on that day.
    RedeemingSuspended,
    /// The money is bound for longer.
    TermNotOver,
    /// Less than the smallest purchase.
    BelowLeast,
    /// More than there is on the account.
    NotEnoughMoney,
    /// More than is held, or another redemption of it is open.
    NotEnoughShares,
    /// More than the day's limit of fast redemption.
    FastLimit,
    /// The calendar does not say when it would be confirmed.
    CalendarEnded,
    /// The fund house refused it for a reason of its own.
    FundHouse,
}

impl Refusal {
    /// Its word in events.
    pub fn word(self) -> &'static str {
        match self {
            Self::NoAssessment => "no_assessment",
            Self::AssessmentExpired => "assessment_expired",
            Self::NoRating => "no_rating",
            Self::RiskAboveAppetite => "risk_above_appetite",
            Self::BuyingSuspended => "buying_suspended",
            Self::RedeemingSuspended => "redeeming_suspended",
            Self::TermNotOver => "term_not_over",
            Self::BelowLeast => "below_least",
            Self::NotEnoughMoney => "not_enough_money",
            Self::NotEnoughShares => "not_enough_shares",
            Self::FastLimit => "fast_limit",
            Self::CalendarEnded => "calendar_ended",
            Self::FundHouse => "fund_house",
        }
    }
}

/// Attributes of a customer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attributes {
    /// Years.
    pub age: u8,
    /// Band, 0 lowest to 4.
    pub income: u8,
    /// 1 to 5.
    pub city_tier: u8,
    /// Number of the zone.
    pub zone: u8,
    /// Consents to offers.
    pub consent: bool,
    /// C1 to C5 as 1 to 5, when assessed.
    pub appetite: Option<u8>,
    /// When the assessment runs out; of no meaning without one.
    pub expires: Micros,
}

/// An order as it is told: what was submitted, or what was confirmed.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    /// Number among the customer's orders.
    pub order: u32,
    /// Product.
    pub product: u32,
    /// Side.
    pub side: Side,
    /// Fen: what a purchase pays, fee included; what a redemption is worth, or after its confirmation what it brings.
    pub amount: i64,
    /// Hundredths of shares; of a purchase none before it is confirmed.
    pub shares: i64,
    /// Units of 1e-4 yuan, when confirmed.
    pub nav_e4: i64,
    /// Fen, when confirmed.
    pub fee: i64,
    /// Out of a money-market fund at once.
    pub fast: bool,
    /// The exchange's day for which it counts; none when the calendar does not tell it, and of what is redeemed fast, which
    /// counts for no day.
    pub day: Option<i64>,
    /// The decision that it answers.
    pub decision: Option<Arc<str>>,
}

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Happening {
    /// Attributes, at the start, when she joins, and when they change.
    Attributes(Attributes),
    /// She opened the application.
    Login,
    /// She looked at a page, of a product for [`Page::Fund`].
    PageView(Page, Option<u32>),
    /// Money came in, fen.
    Deposit(i64),
    /// She closed an offer.
    Dismissed(Option<Arc<str>>),
    /// She wants no more offers.
    Unsubscribed,
    /// An order was placed.
    Submitted(Arc<Told>),
    /// It was taken.
    Accepted(u32),
    /// It was confirmed.
    Confirmed(Arc<Told>),
    /// It was refused.
    Failed(u32, Refusal),
    /// She took it back.
    Cancelled(u32),
    /// Its money arrived, fen.
    Paid(u32, i64),
}

impl Happening {
    /// Declared type, or [`CUSTOMER_TYPE`] for attributes.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Attributes(_) => CUSTOMER_TYPE,
            Self::Login => "login",
            Self::PageView(..) => "page_view",
            Self::Deposit(_) => "deposit",
            Self::Dismissed(_) => "dismissed",
            Self::Unsubscribed => "unsubscribed",
            Self::Submitted(_) => "order_submitted",
            Self::Accepted(_) => "order_accepted",
            Self::Confirmed(_) => "order_confirmed",
            Self::Failed(..) => "order_failed",
            Self::Cancelled(_) => "order_cancelled",
            Self::Paid(..) => "order_paid",
        }
    }
}

/// Something that a customer said, or that was said of her orders.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// When.
    pub at: Micros,
    /// Whose, `0..customers`.
    pub customer: u32,
    /// Number among the customer's own events, ascending from zero.
    pub number: u32,
    /// What.
    pub what: Happening,
}

/// The shop's number of an order.
pub fn order_id(customer: u32, order: u32) -> String {
    format!("o{customer:07}-{order}")
}

impl Event {
    /// The event in the words of the scene: properties ascending by name, money in fen.
    pub fn to_sim(&self, products: &[Product]) -> SimEvent {
        let id = |order: u32| ("order_id", Value::text(order_id(self.customer, order)));
        // Ascending by name.
        let about = |product: u32| {
            let of = |name, said: fn(&Product) -> Value<'static>| {
                let found = products.get(product as usize);
                (name, found.map_or(Value::text(""), said))
            };
            [
                of("fine_type", |p| Value::text(p.fine.clone())),
                of("item", |p| Value::text(p.code.clone())),
                of("kind", |p| Value::text(p.kind.word())),
            ]
        };
        let decision = |d: &Option<Arc<str>>| {
            d.as_ref()
                .map(|d| ("decision_id", Value::text(d.as_ref().to_owned())))
        };
        let properties = match &self.what {
            Happening::Attributes(a) => attributes(a),
            Happening::Login | Happening::Unsubscribed => Vec::new(),
            Happening::PageView(page, product) => product
                .iter()
                .flat_map(|p| about(*p))
                .chain([("page", Value::text(page.word()))])
                .collect(),
            Happening::Deposit(fen) => vec![("amount", Value::Int(*fen))],
            Happening::Dismissed(d) => decision(d).into_iter().collect(),
            Happening::Submitted(o) => {
                let mut p = vec![("amount", Value::Int(o.amount))];
                p.extend(decision(&o.decision));
                if o.fast {
                    p.push(("fast", Value::Bool(true)));
                }
                p.extend(about(o.product));
                p.push(id(o.order));
                if o.side == Side::Redeem {
                    p.push(("shares", Value::Number(o.shares as f64 / 100.0)));
                }
                p.push(("side", Value::text(o.side.word())));
                p
            }
            Happening::Confirmed(o) => {
                let mut p = vec![("amount", Value::Int(o.amount))];
                p.extend(decision(&o.decision));
                p.push(("fee", Value::Int(o.fee)));
                p.extend(about(o.product));
                p.extend([
                    ("nav", Value::Number(o.nav_e4 as f64 / 10_000.0)),
                    id(o.order),
                    ("shares", Value::Number(o.shares as f64 / 100.0)),
                    ("side", Value::text(o.side.word())),
                ]);
                p
            }
            Happening::Accepted(order) | Happening::Cancelled(order) => vec![id(*order)],
            Happening::Failed(order, why) => vec![id(*order), ("reason", Value::text(why.word()))],
            Happening::Paid(order, fen) => vec![("amount", Value::Int(*fen)), id(*order)],
        };
        SimEvent {
            customer: self.customer,
            number: self.number,
            kind: self.what.kind(),
            at: self.at,
            properties,
        }
    }

    /// Appends the event as a line of JSON, as `POST /v1/events` takes it.
    pub fn line(&self, products: &[Product], out: &mut String) {
        use std::fmt::Write as _;
        let sim = self.to_sim(products);
        let name = customer_name(self.customer);
        let _ = write!(
            out,
            "{{\"id\":\"{name}-{}\",\"customer\":\"{name}\",\"type\":\"{}\",\"occurred_at\":{}",
            self.number, sim.kind, self.at.0
        );
        if !sim.properties.is_empty() {
            out.push_str(",\"properties\":{");
            for (i, (name, value)) in sim.properties.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                let _ = write!(out, "\"{name}\":");
                written(value, out);
            }
            out.push('}');
        }
        out.push_str("}\n");
    }
}

/// Appends a JSON text.
pub(crate) fn quoted(text: &str, out: &mut String) {
    use std::fmt::Write as _;
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if u32::from(c) < 0x20 => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

fn attributes(a: &Attributes) -> Vec<(&'static str, Value<'static>)> {
    let mut out = vec![("age", Value::Int(i64::from(a.age)))];
    if a.appetite.is_some() {
        out.push(("appetite_expires_at", Value::Time(a.expires)));
    }
    out.push(("city_tier", Value::Int(i64::from(a.city_tier))));
    out.push(("consent_marketing", Value::Bool(a.consent)));
    let band = INCOME_BANDS[usize::from(a.income) % INCOME_BANDS.len()];
    out.push(("income_band", Value::text(band)));
    if let Some(appetite) = a.appetite {
        out.push(("risk_appetite", Value::Int(i64::from(appetite))));
    }
    let zone = ZONES[usize::from(a.zone) % ZONES.len()].0;
    out.push(("zone", Value::text(zone)));
    out
}
