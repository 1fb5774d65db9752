//! What the simulator does not model and market rules ask for: consents and standings of customers, ratings of fund houses,
//! private funds, notices and their versions, what customers sign before they buy. All of it is drawn from the seed and the
//! numbers alone. It must never look at a rule, so that what it draws both keeps and breaks them until the platform decides.

use luopan_kernel::time::Micros;
use luopan_kernel::value::Value;
use luopan_simulator::fund::{Product, days::start_of};

/// What is drawn.
#[derive(Debug, Clone, Copy)]
#[repr(u64)]
pub enum Draw {
    /// Consent to text messages.
    ConsentSms = 1,
    /// Personalisation switched off.
    Personalisation,
    /// Professional investors.
    Professional,
    /// Qualified investors.
    Qualified,
    /// What a fund house says of its risk.
    Issuer,
    /// What a seller says.
    Seller,
    /// Private funds.
    Private,
    /// Funds with a notice.
    Notice,
    /// The day on which the notice changes.
    NoticeDay,
    /// Whether a notice is acknowledged before a purchase, and in which version.
    Acknowledges,
    /// Whether a warning is signed before a purchase above the class.
    Signs,
    /// Whether a purchase leaves its trail.
    Trail,
    /// Pushes at a login.
    AtLogin,
    /// Shelves at a visit.
    AtVisit,
    /// What a shelf shows.
    Shows,
    /// Who is asked for on a day.
    OfDay,
    /// Which policy pushes.
    Model,
    /// How long a push waits.
    Waits,
    /// Seeds of decisions.
    Decision,
}

/// 64 bits drawn from all of these (splitmix64, Steele, Lea and Flood 2014).
pub fn bits(seed: u64, what: Draw, a: u64, b: u64) -> u64 {
    let mut x = seed ^ (what as u64).wrapping_mul(0xd134_2543_de82_ef95);
    for part in [a, b] {
        x = x.wrapping_add(part).wrapping_add(0x9e37_79b9_7f4a_7c15);
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^= x >> 31;
    }
    x
}

/// A number of 0..1.
pub fn share(seed: u64, what: Draw, a: u64, b: u64) -> f64 {
    (bits(seed, what, a, b) >> 11) as f64 / (1u64 << 53) as f64
}

/// Attributes of a customer that come with the simulator's, at the `turn`th time that attributes are told: a few change
/// their minds.
pub fn customer(seed: u64, customer: u32, turn: u32) -> Vec<(&'static str, Value<'static>)> {
    let (who, turn) = (u64::from(customer), u64::from(turn));
    let mut out = Vec::with_capacity(4);
    match share(seed, Draw::ConsentSms, who, turn) {
        u if u < 0.62 => out.push(("consent_sms", Value::Bool(true))),
        u if u < 0.85 => out.push(("consent_sms", Value::Bool(false))),
        _ => {}
    }
    match share(seed, Draw::Personalisation, who, turn) {
        u if u < 0.04 => out.push(("personalisation", Value::Bool(false))),
        u if u < 0.5 => out.push(("personalisation", Value::Bool(true))),
        _ => {}
    }
    if share(seed, Draw::Professional, who, 0) < 0.01 {
        out.push(("professional", Value::Bool(true)));
    }
    if share(seed, Draw::Qualified, who, 0) < 0.02 {
        out.push(("qualified", Value::Bool(true)));
    }
    out
}

/// What is drawn of a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Beside {
    /// Rating by the fund house.
    pub issuer: Option<i64>,
    /// Rating by the seller.
    pub seller: Option<i64>,
    /// A private fund: sold with a recording.
    pub is_private: bool,
    /// Has a notice, in version 1 and from this day of the world on in version 2.
    pub notice: Option<i64>,
}

/// What is drawn of product number `number` in a world of `days`.
pub fn product(seed: u64, number: u32, product: &Product, days: i64) -> Beside {
    let n = u64::from(number);
    let beside = |what: Draw, told: f64| {
        let u = share(seed, what, n, 0);
        let rating = i64::from(product.rating?);
        if u >= told {
            return None;
        }
        let by = match u / told {
            u if u < 0.1 => 1,
            u if u < 0.2 => -1,
            _ => 0,
        };
        Some((rating + by).clamp(1, 5))
    };
    Beside {
        issuer: beside(Draw::Issuer, 0.3),
        seller: beside(Draw::Seller, 0.1),
        is_private: !product.is_cash() && share(seed, Draw::Private, n, 0) < 0.004,
        notice: (!product.is_cash() && share(seed, Draw::Notice, n, 0) < 0.08)
            .then(|| 1 + (share(seed, Draw::NoticeDay, n, 0) * days as f64) as i64),
    }
}

impl Beside {
    /// Version of the notice on a day of the world.
    pub fn notice_on(&self, day: i64) -> Option<&'static str> {
        self.notice.map(|from| if day >= from { "2" } else { "1" })
    }
}

/// The beginning of the day on which a product began.
pub fn inception(product: &Product) -> Micros {
    start_of(product.launched)
}

/// What a shelf says beside the funds, as context of its request: nothing, their performance, or advice.
pub fn shows(seed: u64, customer: u32, turn: u64) -> Vec<(&'static str, Value<'static>)> {
    match share(seed, Draw::Shows, u64::from(customer), turn) {
        // Half of them annualised; one in ten over less than a year, one in ten without the volatility.
        u if u < 0.3 => vec![
            ("shows_annualised", Value::Bool(u < 0.15)),
            ("shows_return", Value::Bool(true)),
            ("shows_volatility", Value::Bool(u < 0.27)),
            (
                "shows_window_days",
                Value::Int(if u < 0.03 { 180 } else { 365 }),
            ),
        ],
        u if u < 0.32 => vec![("advice", Value::text("portfolio"))],
        _ => Vec::new(),
    }
}

/// The version of a notice that is acknowledged before a purchase: the present one, an old one, or none.
pub fn acknowledges(
    seed: u64,
    customer: u32,
    order: u32,
    version: &'static str,
) -> Option<&'static str> {
    match share(
        seed,
        Draw::Acknowledges,
        u64::from(customer),
        u64::from(order),
    ) {
        u if u < 0.85 => Some(version),
        u if u < 0.9 => Some("0"),
        _ => None,
    }
}

/// Whether the warning of a fund of this rating is signed before a purchase: some do, whatever their own class.
pub fn signs(seed: u64, customer: u32, order: u32, rating: i64) -> bool {
    rating >= 3 && share(seed, Draw::Signs, u64::from(customer), u64::from(order)) < 0.1
}

/// The electronic trail of a purchase; one in a thousand leaves none.
pub fn trail(seed: u64, customer: u32, order: u32) -> Option<String> {
    let u = share(seed, Draw::Trail, u64::from(customer), u64::from(order));
    (u >= 0.001).then(|| format!("t-{customer}-{order}"))
}
