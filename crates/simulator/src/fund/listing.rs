//! What the platform's catalogue is told of the world's products, in the attributes of the `fund` scene. It must never tell
//! what nobody knows: forces, charm, alpha.

use super::days::{date_of, start_of};
use super::market::NAV_UNITS;
use super::product::Product;
use super::said::quoted;
use super::story::{ProductChange, ProductEvent};
use luopan_kernel::time::Micros;
use luopan_kernel::value::Value;

/// Attributes that are not made up.
const REAL: [&str; 3] = ["name", "fine_type", "kind"];

/// Attributes by name.
pub type Values = Vec<(&'static str, Value<'static>)>;

/// Something that a catalogue is told of an item.
#[derive(Debug, Clone, PartialEq)]
pub struct Listing {
    /// The product's code.
    pub key: String,
    /// When.
    pub at: Micros,
    /// What.
    pub what: Change,
}

/// What a catalogue is told, as events of the environment have it.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// The item as a whole.
    Set(Values),
    /// Some attributes change; missing takes a value away.
    Changed(Values),
    /// It is offered no more; the code of the product that takes its place.
    Withdrawn(Option<String>),
    /// Net asset value of a day, yuan; told again it is restated.
    Nav {
        /// Days since 1970-01-01.
        day: i64,
        /// Yuan a share.
        nav: f64,
    },
    /// An announcement.
    Announced {
        /// A word.
        kind: &'static str,
        /// What it says.
        text: String,
    },
}

fn whole(v: i64) -> Value<'static> {
    Value::Int(v)
}

impl Product {
    /// What the catalogue knows of it at the start. Money is in fen, a share of 0.15 % is 0.0015.
    pub fn listing(&self) -> Listing {
        let mut values: Values = vec![
            ("name", Value::text(self.name.clone())),
            ("fine_type", Value::text(self.fine.clone())),
            ("kind", Value::text(self.kind.word())),
            ("term_days", whole(i64::from(self.term_days))),
            ("least_order", whole(self.least_fen)),
            ("on_sale", Value::Bool(true)),
            (
                "subscription_fee",
                Value::Number(f64::from(self.buy_fee_ppm) / 1e6),
            ),
            // Empty says that there is none.
            ("redemption_fees", Value::text(self.ladder)),
            ("confirmation_days", whole(i64::from(self.confirm_lag))),
            ("payment_days", whole(i64::from(self.pay_lag))),
            ("inception", Value::Time(start_of(self.launched))),
        ];
        if self.is_cash() {
            values.push(("fast_redemption_limit", whole(self.fast_limit_fen)));
        }
        if let Some(rating) = self.rating {
            values.push(("risk_level", whole(i64::from(rating))));
        }
        if self.generated {
            // Net asset values and incomes come as events, day by day.
            let mut marks: Vec<&str> = (values.iter().map(|(name, _)| *name))
                .filter(|name| !REAL.contains(name))
                .chain(["nav"])
                .chain(self.is_cash().then_some("income_per_10k"))
                .collect();
            marks.sort_unstable();
            values.push(("generated", Value::text(marks.join(", "))));
        }
        Listing {
            key: self.code.clone(),
            at: start_of(self.launched),
            what: Change::Set(values),
        }
    }
}

impl ProductEvent {
    /// What the catalogue is told of it. A closure is told from its announcement on, a day early.
    pub fn listings(&self, products: &[Product]) -> Vec<Listing> {
        let code = |product: u32| {
            (products.get(product as usize)).map_or_else(String::new, |p| p.code.clone())
        };
        let listing = |what| Listing {
            key: code(self.product),
            at: self.at,
            what,
        };
        let nav = |day, e4: i64| Change::Nav {
            day,
            nav: e4 as f64 / NAV_UNITS as f64,
        };
        let date = |day: i64| {
            let (y, m, d) = date_of(day);
            format!("{y:04}-{m:02}-{d:02}")
        };
        // Changed values stay made up: who changes an attribute by name says otherwise.
        let generated = || {
            let product = products.get(self.product as usize)?;
            let Change::Set(values) = product.listing().what else {
                return None;
            };
            values.into_iter().find(|(n, _)| *n == "generated")
        };
        let changed = |mut values: Values| {
            values.extend(generated());
            Change::Changed(values)
        };
        match self.change {
            ProductChange::Nav { day, nav_e4 } => vec![listing(nav(day, nav_e4))],
            ProductChange::Restated { day, right_e4, .. } => vec![listing(nav(day, right_e4))],
            ProductChange::Income { per_10k, .. } => {
                let per_10k = (per_10k * 1e4).round() / 1e4;
                vec![listing(changed(vec![(
                    "income_per_10k",
                    Value::Number(per_10k),
                )]))]
            }
            ProductChange::Rerated { to, .. } => {
                vec![listing(changed(vec![("risk_level", whole(i64::from(to)))]))]
            }
            ProductChange::Suspended {
                buying,
                redeeming,
                from,
                to,
            } => {
                let what = match (buying, redeeming) {
                    (true, true) => "purchases and redemptions",
                    (true, false) => "purchases",
                    _ => "redemptions",
                };
                let until = match to {
                    i64::MAX => String::new(),
                    to => format!(" until {}", date(to)),
                };
                let mut values: Values = Vec::new();
                if buying {
                    values.push(("on_sale", Value::Bool(false)));
                }
                if redeeming {
                    values.push(("redeemable", Value::Bool(false)));
                }
                vec![
                    listing(changed(values)),
                    listing(Change::Announced {
                        kind: "suspension",
                        text: format!("no {what} from {}{until}", date(from)),
                    }),
                ]
            }
            ProductChange::Resumed => vec![listing(changed(vec![
                ("on_sale", Value::Bool(true)),
                ("redeemable", Value::Bool(true)),
            ]))],
            ProductChange::EndAnnounced { day, into } => vec![listing(Change::Announced {
                kind: "end",
                text: match into {
                    Some(into) => format!("merged into {} on {}", code(into), date(day)),
                    None => format!("wound up on {}", date(day)),
                },
            })],
            ProductChange::Ended { into } => vec![listing(Change::Withdrawn(into.map(code)))],
        }
    }
}

impl Listing {
    /// Appends it as a line of JSON, as an event of `POST /v1/scenes/SCENE/catalogues/CATALOGUE/events`.
    pub fn line(&self, out: &mut String) {
        use std::fmt::Write as _;
        let kind = match self.what {
            Change::Set(_) => "luopan.product",
            Change::Changed(_) => "luopan.product_changed",
            Change::Withdrawn(_) => "luopan.product_withdrawn",
            Change::Nav { .. } => "luopan.nav",
            Change::Announced { .. } => "luopan.announcement",
        };
        let _ = write!(out, "{{\"type\":\"{kind}\",\"key\":");
        quoted(&self.key, out);
        match &self.what {
            Change::Set(values) | Change::Changed(values) => {
                out.push_str(",\"values\":{");
                for (i, (name, value)) in values.iter().enumerate() {
                    if i > 0 {
                        out.push(',');
                    }
                    let _ = write!(out, "\"{name}\":");
                    written(value, out);
                }
                out.push('}');
            }
            Change::Withdrawn(successor) => {
                let _ = write!(out, ",\"at\":{}", self.at.0);
                if let Some(successor) = successor {
                    out.push_str(",\"successor\":");
                    quoted(successor, out);
                }
            }
            Change::Nav { day, nav } => {
                let (y, m, d) = date_of(*day);
                let _ = write!(out, ",\"day\":\"{y:04}-{m:02}-{d:02}\",\"nav\":{nav}");
            }
            Change::Announced { kind, text } => {
                let _ = write!(out, ",\"at\":{},\"kind\":\"{kind}\",\"text\":", self.at.0);
                quoted(text, out);
            }
        }
        out.push_str("}\n");
    }
}

/// Appends a value as JSON has it.
pub(super) fn written(value: &Value<'_>, out: &mut String) {
    use std::fmt::Write as _;
    let _ = match value {
        Value::Missing => write!(out, "null"),
        Value::Bool(v) => write!(out, "{v}"),
        Value::Int(v) => write!(out, "{v}"),
        Value::Number(v) => write!(out, "{v}"),
        Value::Time(v) => write!(out, "{}", v.0),
        Value::Text(v) => {
            quoted(v, out);
            Ok(())
        }
    };
}
