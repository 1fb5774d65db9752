//! The lines that are read: facts of customers and products as they become known, decisions, sends, orders, and what else a
//! rule speaks of. Fields are told one by one in `crates/checker/README.md`. A field that is not known is refused by name, so
//! that a slip of the pen is not taken for a missing fact.

use crate::config::FeeStep;
use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Deserializer};

/// A fact in a line: not named, taken away (null), or set.
pub type Told<T> = Option<Option<T>>;

fn told<'de, T: Deserialize<'de>, D: Deserializer<'de>>(d: D) -> Result<Told<T>, D::Error> {
    Option::<T>::deserialize(d).map(Some)
}

/// One line.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Record {
    /// Facts of a customer, from `at` on.
    Customer(CustomerFacts),
    /// Facts of a product, from `at` on.
    Product(ProductFacts),
    /// A risk notice was acknowledged.
    Acknowledgement(Acknowledgement),
    /// A warning about a risk above the class was signed.
    Warning(Warning),
    /// A decision as it was recorded.
    Decision(Box<Decision>),
    /// What became of a queued decision.
    Send(Send),
    /// A step of an order.
    Order(Box<Order>),
    /// An order was counted as a conversion.
    Conversion(Conversion),
    /// A journey was put in force.
    Journey(Journey),
    /// A price was set for a customer.
    Price(Price),
    /// Data of a customer was used for something that needs a consent of its own.
    Use(Use),
    /// The customer was erased.
    Erased(OfCustomer),
    /// A sealed copy was laid down.
    Sealed(Sealed),
    /// The sealed copy was read.
    Read(Read),
}

impl Record {
    /// When it happened.
    pub fn at(&self) -> Timestamp {
        match self {
            Self::Customer(r) => r.at,
            Self::Product(r) => r.at,
            Self::Acknowledgement(r) => r.at,
            Self::Warning(r) => r.at,
            Self::Decision(r) => r.at,
            Self::Send(r) => r.at,
            Self::Order(r) => r.at,
            Self::Conversion(r) => r.at,
            Self::Journey(r) => r.at,
            Self::Price(r) => r.at,
            Self::Use(r) => r.at,
            Self::Erased(r) => r.at,
            Self::Sealed(r) => r.at,
            Self::Read(r) => r.at,
        }
    }

    /// Of lines of one moment in different files, facts come first, then what was decided, then what followed.
    pub fn rank(&self) -> u8 {
        match self {
            Self::Product(_) => 0,
            Self::Customer(_) | Self::Acknowledgement(_) | Self::Warning(_) | Self::Sealed(_) => 1,
            Self::Erased(_) | Self::Journey(_) => 2,
            Self::Decision(_) | Self::Price(_) | Self::Use(_) | Self::Read(_) => 3,
            Self::Send(_) => 4,
            Self::Order(_) => 5,
            Self::Conversion(_) => 6,
        }
    }
}

/// Facts of a customer. What is not named stays as it was; null takes a fact away.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "told in README.md, field by field")]
pub struct CustomerFacts {
    pub at: Timestamp,
    pub customer: String,
    #[serde(default, deserialize_with = "told")]
    pub risk_appetite: Told<i64>,
    #[serde(default, deserialize_with = "told")]
    pub assessed_at: Told<Timestamp>,
    #[serde(default, deserialize_with = "told")]
    pub appetite_expires_at: Told<Timestamp>,
    #[serde(default, deserialize_with = "told")]
    pub consent_sms: Told<bool>,
    #[serde(default, deserialize_with = "told")]
    pub consent_biometrics: Told<bool>,
    #[serde(default, deserialize_with = "told")]
    pub consent_partners: Told<bool>,
    #[serde(default, deserialize_with = "told")]
    pub opted_out: Told<bool>,
    #[serde(default, deserialize_with = "told")]
    pub utc_offset: Told<String>,
    #[serde(default, deserialize_with = "told")]
    pub zone: Told<String>,
    #[serde(default, deserialize_with = "told")]
    pub professional: Told<bool>,
    #[serde(default, deserialize_with = "told")]
    pub qualified: Told<bool>,
    #[serde(default, deserialize_with = "told")]
    pub personalisation: Told<bool>,
    #[serde(default, deserialize_with = "told")]
    pub age: Told<i64>,
    #[serde(default, deserialize_with = "told")]
    pub experience_years: Told<i64>,
}

/// Facts of a product. What is not named stays as it was; null takes a fact away.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "told in README.md, field by field")]
pub struct ProductFacts {
    pub at: Timestamp,
    pub product: String,
    #[serde(default, deserialize_with = "told")]
    pub risk_level: Told<i64>,
    #[serde(default, deserialize_with = "told")]
    pub issuer_rating: Told<i64>,
    #[serde(default, deserialize_with = "told")]
    pub seller_rating: Told<i64>,
    #[serde(default, deserialize_with = "told")]
    pub regime: Told<String>,
    #[serde(default, deserialize_with = "told")]
    pub on_sale: Told<bool>,
    #[serde(default, deserialize_with = "told")]
    pub qdii: Told<bool>,
    #[serde(default, deserialize_with = "told")]
    pub money_market: Told<bool>,
    #[serde(default, deserialize_with = "told")]
    pub private: Told<bool>,
    #[serde(default, deserialize_with = "told")]
    pub inception: Told<Date>,
    #[serde(default, deserialize_with = "told")]
    pub term_days: Told<i64>,
    #[serde(default, deserialize_with = "told")]
    pub not_for_classes: Told<Vec<i64>>,
    #[serde(default, deserialize_with = "told")]
    pub confirmation_days: Told<u32>,
    #[serde(default, deserialize_with = "told")]
    pub earning_days: Told<u32>,
    #[serde(default, deserialize_with = "told")]
    pub fast_redemption_limit: Told<i64>,
    #[serde(default, deserialize_with = "told")]
    pub hesitation_days: Told<i64>,
    #[serde(default, deserialize_with = "told")]
    pub fee_ladder: Told<Vec<FeeStep>>,
    #[serde(default, deserialize_with = "told")]
    pub fee_exempt: Told<bool>,
    #[serde(default, deserialize_with = "told")]
    pub notice_version: Told<String>,
    #[serde(default, deserialize_with = "told")]
    pub recording_channels: Told<Vec<String>>,
}

/// The customer acknowledged the notice `version` of a product.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "told in README.md, field by field")]
pub struct Acknowledgement {
    pub at: Timestamp,
    pub customer: String,
    pub product: String,
    pub version: String,
}

/// The customer signed that the product's risk, `rating` when it was signed, is above the own class.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "told in README.md, field by field")]
pub struct Warning {
    pub at: Timestamp,
    pub customer: String,
    pub product: String,
    pub rating: i64,
}

/// What a decision is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// The platform reaches out with it.
    Push,
    /// It stands on a shelf that the customer browses.
    Show,
    /// The customer's own purchase.
    Buy,
    /// A redemption of the customer's own is checked: it offers nothing.
    Redeem,
}

/// What a decision shows of performance.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "told in README.md, field by field")]
pub struct Shows {
    #[serde(rename = "return", default)]
    pub performance: bool,
    #[serde(default)]
    pub window_days: Option<i64>,
    #[serde(default)]
    pub annualised: bool,
    #[serde(default)]
    pub volatility: bool,
}

/// What is given for something.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "told in README.md, field by field")]
pub struct Incentive {
    pub kind: String,
    #[serde(default)]
    pub conditional_on: Option<String>,
}

/// A decision. Nothing chosen means silence.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "told in README.md, field by field")]
pub struct Decision {
    pub at: Timestamp,
    pub id: String,
    pub customer: String,
    pub purpose: Purpose,
    #[serde(default)]
    pub policy: String,
    pub channel: String,
    #[serde(default)]
    pub items: Vec<String>,
    #[serde(default)]
    pub other: Vec<String>,
    #[serde(default)]
    pub text: Option<String>,
    #[serde(default)]
    pub queued: bool,
    #[serde(default)]
    pub reads: Option<Vec<String>>,
    #[serde(default)]
    pub shows: Option<Shows>,
    #[serde(default)]
    pub incentive: Option<Incentive>,
    #[serde(default)]
    pub advice: Option<String>,
    #[serde(default)]
    pub switch_from: Option<String>,
    #[serde(default)]
    pub redemption_fee_shown: Option<f64>,
    #[serde(default)]
    pub recording: Option<String>,
    #[serde(default)]
    pub trail: Option<String>,
    #[serde(default)]
    pub answers: Option<String>,
}

/// What became of a queued decision.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "told in README.md, field by field")]
pub struct Send {
    pub at: Timestamp,
    pub decision: String,
    pub customer: String,
    pub status: Sent,
}

/// Sent or cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sent {
    /// It went out.
    Sent,
    /// It did not.
    Cancelled,
}

/// A step in the life of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// The customer placed it; of a private fund, she signed.
    Submitted,
    /// The fund house took it.
    Accepted,
    /// Shares and money moved.
    Confirmed,
    /// It was refused.
    Failed,
    /// The customer took it back.
    Cancelled,
    /// The customer wanted it back and was refused.
    CancelRefused,
    /// The money of a redemption arrived.
    Paid,
}

/// Bought or redeemed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// Bought.
    Buy,
    /// Redeemed.
    Redeem,
}

/// A step of an order. Money is in minor units.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "told in README.md, field by field")]
pub struct Order {
    pub at: Timestamp,
    pub id: String,
    pub customer: String,
    pub product: String,
    pub step: Step,
    pub side: Side,
    #[serde(default)]
    pub channel: String,
    #[serde(default)]
    pub amount: Option<i64>,
    #[serde(default)]
    pub shares: Option<f64>,
    #[serde(default)]
    pub nav: Option<f64>,
    #[serde(default)]
    pub fee: Option<i64>,
    #[serde(default)]
    pub trade_day: Option<Date>,
    #[serde(default)]
    pub confirmed_on: Option<Date>,
    #[serde(default)]
    pub earning_changes_on: Option<Date>,
    #[serde(default)]
    pub fast: bool,
    #[serde(default)]
    pub decision: Option<String>,
    #[serde(default)]
    pub recording: Option<String>,
    #[serde(default)]
    pub trail: Option<String>,
}

/// An order counted as a conversion.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "told in README.md, field by field")]
pub struct Conversion {
    pub at: Timestamp,
    pub customer: String,
    pub order: String,
}

/// A journey with what it gives, and for what.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "told in README.md, field by field")]
pub struct Journey {
    pub at: Timestamp,
    pub id: String,
    #[serde(default)]
    pub incentive: Option<Incentive>,
}

/// A price of a product for a customer, and what it was made of.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "told in README.md, field by field")]
pub struct Price {
    pub at: Timestamp,
    pub customer: String,
    pub product: String,
    pub price: String,
    #[serde(default)]
    pub reads: Option<Vec<String>>,
    #[serde(default)]
    pub declared: Option<String>,
}

/// Use of data that needs a consent of its own.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "told in README.md, field by field")]
pub struct Use {
    pub at: Timestamp,
    pub customer: String,
    pub of: UseOf,
}

/// Uses that need a consent of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UseOf {
    /// Biometric data.
    Biometrics,
    /// Data given to a partner.
    Partners,
}

/// Something that befell a customer.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "told in README.md, field by field")]
pub struct OfCustomer {
    pub at: Timestamp,
    pub customer: String,
}

/// A sealed copy and the day until which it is kept.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "told in README.md, field by field")]
pub struct Sealed {
    pub at: Timestamp,
    pub customer: String,
    pub until: Date,
}

/// A reading of a sealed copy.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "told in README.md, field by field")]
pub struct Read {
    pub at: Timestamp,
    pub customer: String,
    pub path: ReadPath,
}

/// Who read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReadPath {
    /// Those who keep the evidence.
    Legal,
    /// Anything that chooses, scores or sends.
    Marketing,
}
