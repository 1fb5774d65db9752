//! Facts of customers and products, by the names that a scene's attributes and the checker share. It must never make a fact
//! up: what a scene does not hold is not told.

use super::{At, Day, write};
use luopan_kernel::time::{DAY_US, Micros, SECOND_US};
use luopan_kernel::value::{Value, ValueType};
use serde::{Serialize, Serializer, ser::SerializeMap};

/// Facts of a customer that the checker reads, by name, with the type in which a scene declares them.
const OF_CUSTOMER: [(&str, ValueType); 13] = [
    ("age", ValueType::Integer),
    ("appetite_expires_at", ValueType::Time),
    ("assessed_at", ValueType::Time),
    ("consent_biometrics", ValueType::Boolean),
    ("consent_partners", ValueType::Boolean),
    ("consent_sms", ValueType::Boolean),
    ("experience_years", ValueType::Integer),
    ("opted_out", ValueType::Boolean),
    ("personalisation", ValueType::Boolean),
    ("professional", ValueType::Boolean),
    ("qualified", ValueType::Boolean),
    ("risk_appetite", ValueType::Integer),
    ("zone", ValueType::Text),
];

/// The same of a product. `inception` is told as a day, `not_for_classes` (`13` for C1 and C3) as a list.
const OF_PRODUCT: [(&str, ValueType); 17] = [
    ("confirmation_days", ValueType::Integer),
    ("earning_days", ValueType::Integer),
    ("fast_redemption_limit", ValueType::Money),
    ("fee_exempt", ValueType::Boolean),
    ("hesitation_days", ValueType::Integer),
    ("inception", ValueType::Time),
    ("issuer_rating", ValueType::Integer),
    ("money_market", ValueType::Boolean),
    ("not_for_classes", ValueType::Text),
    ("notice_version", ValueType::Text),
    ("on_sale", ValueType::Boolean),
    ("private", ValueType::Boolean),
    ("qdii", ValueType::Boolean),
    ("regime", ValueType::Text),
    ("risk_level", ValueType::Integer),
    ("seller_rating", ValueType::Integer),
    ("term_days", ValueType::Integer),
];

/// True of an attribute of customers that the checker reads.
pub fn is_fact_of_customer(name: &str) -> bool {
    OF_CUSTOMER.iter().any(|(n, _)| *n == name)
}

/// A value as the checker reads it; null takes a fact away.
struct Told<'a>(&'a Value<'a>);

impl Serialize for Told<'_> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Missing => s.serialize_none(),
            Value::Bool(v) => s.serialize_bool(*v),
            Value::Int(v) => s.serialize_i64(*v),
            Value::Number(v) => s.serialize_f64(*v),
            Value::Text(v) => s.serialize_str(v),
            Value::Time(at) => At(*at).serialize(s),
        }
    }
}

fn fits(known: &[(&str, ValueType)], name: &str, value: &Value<'_>) -> bool {
    (known.iter()).any(|(n, kind)| *n == name && (value.is_missing() || value.fits(*kind)))
}

struct CustomerLine<'a> {
    at: Micros,
    customer: &'a str,
    told: &'a [(&'a str, Value<'a>)],
}

impl Serialize for CustomerLine<'_> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut map = s.serialize_map(None)?;
        map.serialize_entry("type", "customer")?;
        map.serialize_entry("at", &At(self.at))?;
        map.serialize_entry("customer", self.customer)?;
        for (name, value) in self.told {
            if fits(&OF_CUSTOMER, name, value) {
                map.serialize_entry(name, &Told(value))?;
            }
        }
        map.end()
    }
}

/// Appends what was said of a customer at `at`: those of the attributes that the checker reads, a missing value as null.
/// Nothing is written when there are none.
///
/// # Errors
/// A time that cannot be written.
pub fn customer(
    out: &mut Vec<u8>,
    at: Micros,
    customer: &str,
    told: &[(&str, Value<'_>)],
) -> Result<(), serde_json::Error> {
    if !(told.iter()).any(|(name, value)| fits(&OF_CUSTOMER, name, value)) {
        return Ok(());
    }
    write(out, &CustomerLine { at, customer, told })
}

/// Terms of a product that a scene's catalogue does not hold; what is none is not told.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Terms {
    /// Trading days from order to confirmation.
    pub confirmation_days: Option<u32>,
    /// Trading days from confirmation until earning changes.
    pub earning_days: Option<u32>,
    /// Minor units that a customer may redeem at once on a day.
    pub fast_redemption_limit: Option<i64>,
    /// Rates of a redemption by the days held, ascending: under so many days, share.
    pub fee_ladder: Option<Vec<(i64, f64)>>,
    /// Redeeming costs nothing.
    pub fee_exempt: Option<bool>,
    /// Invests abroad.
    pub qdii: Option<bool>,
    /// Is a money-market fund.
    pub money_market: Option<bool>,
}

#[derive(Serialize)]
struct FeeStep {
    under_days: i64,
    rate: f64,
}

struct ProductLine<'a> {
    at: Micros,
    product: &'a str,
    told: &'a [(&'a str, &'a Value<'a>)],
    terms: &'a Terms,
    channels: &'a [&'a str],
    utc_offset_s: i32,
}

impl Serialize for ProductLine<'_> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut map = s.serialize_map(None)?;
        map.serialize_entry("type", "product")?;
        map.serialize_entry("at", &At(self.at))?;
        map.serialize_entry("product", self.product)?;
        let t = self.terms;
        let is_term = |name: &str| match name {
            "confirmation_days" => t.confirmation_days.is_some(),
            "earning_days" => t.earning_days.is_some(),
            "fast_redemption_limit" => t.fast_redemption_limit.is_some(),
            "fee_exempt" => t.fee_exempt.is_some(),
            "qdii" => t.qdii.is_some(),
            "money_market" => t.money_market.is_some(),
            _ => false,
        };
        for (name, value) in self.told {
            match (*name, value) {
                // Told below.
                (name, _) if is_term(name) => {}
                // Days that are none count as not told.
                ("confirmation_days" | "earning_days", Value::Int(days)) => {
                    map.serialize_entry(name, &u32::try_from(*days).ok())?;
                }
                ("not_for_classes", Value::Text(classes)) => {
                    let classes = classes.chars().filter_map(|c| c.to_digit(10));
                    map.serialize_entry(name, &classes.collect::<Vec<u32>>())?;
                }
                // The beginning of a day at the exchange.
                ("inception", Value::Time(at)) => {
                    let local = at.plus(i64::from(self.utc_offset_s) * SECOND_US);
                    map.serialize_entry(name, &Day(local.0.div_euclid(DAY_US)))?;
                }
                ("recording_required", Value::Bool(true)) => {
                    map.serialize_entry("recording_channels", self.channels)?;
                }
                ("recording_required", _) => {
                    map.serialize_entry("recording_channels", &None::<()>)?;
                }
                _ if fits(&OF_PRODUCT, name, value) => map.serialize_entry(name, &Told(value))?,
                _ => {}
            }
        }
        macro_rules! said {
            ($($name:ident),*) => {
                $(if let Some(value) = t.$name {
                    map.serialize_entry(stringify!($name), &value)?;
                })*
            };
        }
        said!(
            confirmation_days,
            earning_days,
            fast_redemption_limit,
            fee_exempt,
            qdii,
            money_market
        );
        if let Some(ladder) = &t.fee_ladder {
            let steps: Vec<FeeStep> = (ladder.iter())
                .map(|(under_days, rate)| FeeStep {
                    under_days: *under_days,
                    rate: *rate,
                })
                .collect();
            map.serialize_entry("fee_ladder", &steps)?;
        }
        map.end()
    }
}

/// Appends what a product is from `at` on: those of its attributes that the checker reads (a missing one takes the fact
/// away), with `terms`. `channels` are those in which a product that is sold with a recording needs one; `utc_offset_s` is
/// the exchange's, for days.
///
/// # Errors
/// A time that cannot be written.
pub fn product(
    out: &mut Vec<u8>,
    at: Micros,
    product: &str,
    told: &[(&str, &Value<'_>)],
    terms: &Terms,
    channels: &[&str],
    utc_offset_s: i32,
) -> Result<(), serde_json::Error> {
    let line = ProductLine {
        at,
        product,
        told,
        terms,
        channels,
        utc_offset_s,
    };
    write(out, &line)
}
