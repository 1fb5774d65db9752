//! A scene with every aggregate over every sort of window, and random events for it.

use luopan_kernel::event::{CUSTOMER_TYPE, Event, Origin};
use luopan_kernel::id::{IdentifierId, SceneNo, TenantId};
use luopan_kernel::plan::*;
use luopan_kernel::time::Micros;
use luopan_kernel::value::{Value, ValueType};
use proptest::prelude::*;
use std::borrow::Cow;

/// A filter that both the plan (as an expression) and the oracle (as code) know.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Filter {
    None,
    AmountOver50,
    NegativeOrFlagged,
}

/// A measure of events of type `act`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Measured {
    pub(crate) of: Option<&'static str>,
    pub(crate) filter: Filter,
}

/// A tag as the oracle knows it.
#[derive(Debug, Clone)]
pub(crate) struct Spec {
    pub(crate) plan: TagPlan,
    pub(crate) measure: Measured,
    pub(crate) denominator: Option<Measured>,
}

/// One thing that happened.
#[derive(Debug, Clone)]
pub(crate) struct Act {
    pub(crate) who: u8,
    pub(crate) id: String,
    pub(crate) kind: &'static str,
    pub(crate) occurred_at: i64,
    pub(crate) received_at: i64,
    /// Ascending by name.
    pub(crate) properties: Vec<(&'static str, Value<'static>)>,
}

impl Act {
    pub(crate) fn get(&self, name: &str) -> Value<'static> {
        (self.properties.iter())
            .find(|(n, _)| *n == name)
            .map_or(Value::Missing, |(_, v)| v.clone())
    }

    pub(crate) fn event(&self) -> Event<'_> {
        Event {
            id: Cow::Borrowed(&self.id),
            tenant: TenantId(1),
            scene: SceneNo(1),
            identifier: identifier(self.who),
            kind: Cow::Borrowed(self.kind),
            occurred_at: Micros(self.occurred_at),
            received_at: Micros(self.received_at),
            origin: Origin::Live,
            properties: (self.properties.iter())
                .map(|(n, v)| (Cow::Borrowed(*n), v.clone()))
                .collect(),
            context: vec![],
            corrects: None,
            sealed: vec![],
        }
    }
}

pub(crate) fn identifier(who: u8) -> IdentifierId {
    IdentifierId([who; 16])
}

const FIELDS: [(&str, ValueType); 6] = [
    ("amount", ValueType::Money),
    ("count", ValueType::Integer),
    ("flag", ValueType::Boolean),
    ("name", ValueType::Text),
    ("when", ValueType::Time),
    ("x", ValueType::Number),
];

pub(crate) fn field(name: &str, kind: ValueType) -> Field {
    Field {
        name: name.to_owned(),
        kind,
        required: false,
        personal: false,
        currency: None,
        one_of: vec![],
        not_a_feature: None,
    }
}

fn field_index(name: &str) -> u16 {
    FIELDS.iter().position(|(n, _)| *n == name).unwrap() as u16
}

pub(crate) fn slot(i: u16) -> Expr {
    Expr::Slot(SlotId(i))
}

pub(crate) fn constant(v: Value<'static>) -> Expr {
    Expr::Const(v)
}

pub(crate) fn binary(op: BinaryOp, a: Expr, b: Expr) -> Expr {
    Expr::Binary(op, Box::new(a), Box::new(b))
}

fn expr(filter: Filter) -> Option<Expr> {
    match filter {
        Filter::None => None,
        Filter::AmountOver50 => Some(binary(
            BinaryOp::Gt,
            slot(field_index("amount")),
            constant(Value::Int(50)),
        )),
        Filter::NegativeOrFlagged => Some(binary(
            BinaryOp::Or,
            binary(
                BinaryOp::Lt,
                slot(field_index("x")),
                constant(Value::Number(0.0)),
            ),
            slot(field_index("flag")),
        )),
    }
}

fn measure(m: Measured) -> Measure {
    Measure {
        of: m.of.map(field_index),
        filter: expr(m.filter),
    }
}

/// Windows that lateness of up to 120 seconds falls inside, across and outside of.
pub(crate) const WINDOWS: [Window; 4] = [
    Window::Lifetime,
    Window::Sliding {
        tile_us: 1_000_000,
        tiles: 10,
    },
    Window::Sliding {
        tile_us: 7_000_001,
        tiles: 5,
    },
    Window::Sliding {
        tile_us: 3_000_000,
        tiles: 64,
    },
];

/// Every aggregate over every window, over fields of every type it takes.
pub(crate) fn specs() -> Vec<Spec> {
    use ValueType::{Boolean, Duration, Integer, Money, Number, Text, Time};
    let ewma = Aggregate::Ewma {
        half_life_us: 30_000_000,
    };
    let bare = |of| Measured {
        of,
        filter: Filter::None,
    };
    let ratio = |d: Measured| {
        (
            Aggregate::Ratio {
                denominator: measure(d),
            },
            Some(d),
        )
    };
    let plain = |a: Aggregate| (a, None);
    let shapes = [
        (plain(Aggregate::Count), None, Integer),
        (plain(Aggregate::Count), Some("x"), Integer),
        (plain(Aggregate::Sum), None, Integer),
        (plain(Aggregate::Sum), Some("amount"), Money),
        (plain(Aggregate::Sum), Some("flag"), Integer),
        (plain(Aggregate::Sum), Some("x"), Number),
        (plain(Aggregate::Min), Some("amount"), Money),
        (plain(Aggregate::Min), Some("x"), Number),
        (plain(Aggregate::Max), Some("when"), Time),
        (plain(Aggregate::Max), Some("x"), Number),
        (plain(Aggregate::Mean), Some("amount"), Money),
        (plain(Aggregate::Mean), Some("amount"), Number),
        (plain(Aggregate::Mean), Some("x"), Number),
        (plain(Aggregate::First), Some("name"), Text),
        (plain(Aggregate::First), Some("x"), Number),
        (plain(Aggregate::Last), Some("name"), Text),
        (plain(Aggregate::Last), Some("flag"), Boolean),
        (plain(Aggregate::Distinct), Some("name"), Integer),
        (plain(Aggregate::Distinct), Some("count"), Integer),
        (plain(Aggregate::Recency), None, Duration),
        (plain(ewma.clone()), Some("x"), Number),
        (plain(ewma), Some("amount"), Number),
        (ratio(bare(None)), Some("amount"), Number),
        (ratio(bare(Some("x"))), Some("amount"), Number),
        (
            ratio(Measured {
                of: None,
                filter: Filter::NegativeOrFlagged,
            }),
            None,
            Number,
        ),
    ];
    let filters = [
        Filter::None,
        Filter::AmountOver50,
        Filter::NegativeOrFlagged,
    ];
    let mut out = Vec::new();
    for ((aggregate, denominator), of, kind) in shapes {
        for window in WINDOWS {
            let own = Measured {
                of,
                filter: filters[out.len() % filters.len()],
            };
            let default = match (&aggregate, kind) {
                (Aggregate::Count, _) | (Aggregate::Sum, Integer | Money) => Value::Int(0),
                (Aggregate::Sum, _) => Value::Number(0.0),
                _ => Value::Missing,
            };
            out.push(Spec {
                plan: TagPlan {
                    id: luopan_kernel::id::hash64(&(out.len() as u64).to_le_bytes()),
                    name: format!("tag_{}", out.len()),
                    kind,
                    event: 0,
                    measure: measure(own),
                    aggregate: aggregate.clone(),
                    window,
                    default,
                    not_a_feature: None,
                    clock: vec![],
                },
                measure: own,
                denominator,
            });
        }
    }
    out
}

/// [`specs`], and the aggregates that came later: profiles of formats 1 and 2 do not know them.
pub(crate) fn all_specs() -> Vec<Spec> {
    use ValueType::{Integer, Money, Number, Text};
    let mut out = specs();
    let quantile = |millionths, without_latest| Aggregate::Quantile {
        millionths,
        without_latest,
    };
    let shapes = [
        (quantile(900_000, false), "amount", Money),
        (quantile(900_000, true), "amount", Money),
        (quantile(250_000, true), "count", Integer),
        (quantile(500_000, false), "x", Number),
        (quantile(1_000_000, true), "x", Number),
    ];
    let mut add = |aggregate, kind, measured: Measured, window| {
        out.push(Spec {
            plan: TagPlan {
                id: luopan_kernel::id::hash64(&(out.len() as u64).to_le_bytes()),
                name: format!("tag_{}", out.len()),
                kind,
                event: 0,
                measure: measure(measured),
                aggregate,
                window,
                default: Value::Missing,
                not_a_feature: None,
                clock: vec![],
            },
            measure: measured,
            denominator: None,
        });
    };
    for (i, (aggregate, of, kind)) in shapes.into_iter().enumerate() {
        for window in WINDOWS {
            let filter = [Filter::None, Filter::NegativeOrFlagged][i % 2];
            let of = Some(of);
            add(aggregate.clone(), kind, Measured { of, filter }, window);
        }
    }
    for (keep, pause_us) in [(1, None), (5, Some(4_000_000)), (32, Some(30_000_000))] {
        let steps = SAID.map(|(word, event, filter)| Step {
            word: word.to_owned(),
            event,
            filter: expr(filter),
        });
        let aggregate = Aggregate::Sequence {
            keep,
            pause_us,
            steps: steps.to_vec(),
        };
        let nothing = Measured {
            of: None,
            filter: Filter::None,
        };
        add(aggregate, Text, nothing, Window::Lifetime);
    }
    out
}

/// Words of the sequences, with the index of the type of event: 0 is `act`, 1 the customer's.
pub(crate) const SAID: [(&str, u16, Filter); 4] = [
    ("much", 0, Filter::AmountOver50),
    ("odd", 0, Filter::NegativeOrFlagged),
    ("moved", 1, Filter::None),
    ("acted", 0, Filter::None),
];

/// A scene of these tags; slot `i` is tag `i`.
pub(crate) fn scene(tags: Vec<TagPlan>) -> ScenePlan {
    let mut tags = tags;
    // Attributes of the customer are `last` tags over the reserved type.
    tags.push(TagPlan {
        id: 77,
        name: "city".to_owned(),
        kind: ValueType::Text,
        event: 1,
        measure: Measure {
            of: Some(0),
            filter: None,
        },
        aggregate: Aggregate::Last,
        window: Window::Lifetime,
        default: Value::Missing,
        not_a_feature: None,
        clock: vec![],
    });
    let slots = (tags.iter().enumerate())
        .map(|(i, t)| SlotPlan {
            name: t.name.clone(),
            kind: t.kind,
            source: SlotSource::Tag(i as u16),
        })
        .collect();
    ScenePlan {
        format: PLAN_FORMAT,
        name: "world".to_owned(),
        description: String::new(),
        default_zone: "UTC".to_owned(),
        zone_attribute: None,
        events: vec![
            EventSchema {
                name: "act".to_owned(),
                fields: FIELDS.iter().map(|(n, k)| field(n, *k)).collect(),
            },
            EventSchema {
                name: CUSTOMER_TYPE.to_owned(),
                fields: vec![
                    field("city", ValueType::Text),
                    field("zone", ValueType::Text),
                ],
            },
        ],
        tags,
        derived: vec![],
        paired: vec![],
        calendars: vec![],
        slots,
        catalogues: vec![],
        segments: vec![],
        policies: vec![],
        models: vec![],
        rewards: vec![],
        budgets: vec![],
        artifacts: vec![],
        dedup_horizon_us: 86_400_000_000,
        orders: vec![],
        market: vec![],
        intentions: vec![],
        monitors: vec![],
        contests: vec![],
    }
}

fn property(kind: ValueType) -> BoxedStrategy<Option<Value<'static>>> {
    let some = match kind {
        ValueType::Boolean => any::<bool>().prop_map(Value::Bool).boxed(),
        ValueType::Number => prop_oneof![
            8 => (-1e6f64..1e6).prop_map(Value::Number),
            1 => Just(Value::Number(0.0)),
            1 => Just(Value::Number(-0.0)),
            // Unfit for the field, and beyond the bound of numbers: both are as if absent.
            1 => Just(Value::Int(3)),
            1 => Just(Value::Number(1e300)),
        ]
        .boxed(),
        ValueType::Text => "[a-e]{1,2}".prop_map(Value::text).boxed(),
        ValueType::Time => (-1000i64..1000)
            .prop_map(|t| Value::Time(Micros(t)))
            .boxed(),
        ValueType::Money => prop_oneof![
            8 => (-100i64..200).prop_map(Value::Int),
            1 => Just(Value::Int(i64::MAX)),
        ]
        .boxed(),
        _ => (0i64..9).prop_map(Value::Int).boxed(),
    };
    prop_oneof![1 => Just(None), 3 => some.prop_map(Some)].boxed()
}

/// Up to `n` acts of up to `people` identifiers, in order of log time, some late, some from fast clocks, some of types
/// that the plan does not know. Event ids repeat across identifiers and times repeat often.
pub(crate) fn acts(n: usize, people: u8) -> impl Strategy<Value = Vec<Act>> {
    let one = (
        (0..people, 0i64..8_000_000, 0u8..10),
        prop_oneof![
            4 => Just(0i64),
            3 => 0i64..30_000_000,
            2 => 0i64..250_000_000,
            1 => -5_000_000i64..0,
        ],
        (
            property(ValueType::Money),
            property(ValueType::Integer),
            property(ValueType::Boolean),
        ),
        (
            property(ValueType::Text),
            property(ValueType::Time),
            property(ValueType::Number),
        ),
        // Whether times are cut to seconds, so that ties are common.
        any::<bool>(),
    );
    proptest::collection::vec(one, 1..=n).prop_map(|all| {
        let mut now = 1_000_000_000_000;
        let make = |(i, ((who, step, kind), late, a, b, coarse)): (usize, _)| {
            now += step;
            let (amount, count, flag): (_, _, _) = a;
            let (name, when, x): (Option<Value<'static>>, _, _) = b;
            let named = ["amount", "count", "flag", "name", "when", "x"];
            let act_properties =
                named
                    .into_iter()
                    .zip([amount, count, flag, name.clone(), when, x]);
            let (kind, properties) = match kind {
                0 => ("unknown.type", vec![]),
                1 => (CUSTOMER_TYPE, vec![("city", name)]),
                _ => ("act", act_properties.collect()),
            };
            let occurred_at: i64 = now - late;
            Act {
                who,
                id: format!("e{}", i / 2),
                kind,
                occurred_at: if coarse {
                    occurred_at / 1_000_000 * 1_000_000
                } else {
                    occurred_at
                },
                received_at: now,
                properties: (properties.into_iter())
                    .filter_map(|(n, v): (_, Option<Value<'static>>)| v.map(|v| (n, v)))
                    .collect(),
            }
        };
        all.into_iter().enumerate().map(make).collect()
    })
}
