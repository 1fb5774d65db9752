//! What is known: events, fields, tags, calendars, catalogues.

use super::base::*;
use crate::shape::{Kind, Shape};

pub(super) static TYPE: Kind = Kind::Choice(&[
    ("boolean", "true or false"),
    ("integer", "a signed whole number of 64 bits"),
    ("number", "a finite binary64 number"),
    ("money", "an amount in minor units of a currency"),
    ("text", "utf-8 text of at most 4096 bytes"),
    ("time", "a point in time, utc microseconds"),
    ("duration", "a length of time"),
]);

pub(super) static FIELD_SHAPE: Shape = shape(
    "field",
    "A property of an event, an attribute of a customer or item, or a field of a request.",
    &[
        must("type", &TYPE, "its type"),
        may(
            "required",
            &BOOLEAN,
            "an event without it goes to quarantine",
        ),
        may(
            "personal",
            &BOOLEAN,
            "sealed with the customer's own key; no tag or rule can read it; this release cannot seal and refuses it",
        ),
        may("currency", &CURRENCY, "currency of a money field"),
        may("one_of", &WORDS, "the texts allowed"),
        may(
            "not_a_feature",
            &LINE,
            "why no model may use it, for instance: known only afterwards",
        ),
        may("description", &PARAGRAPH, "what it means"),
    ],
);

pub(super) static FIELD: Kind = Kind::Any(&[&TYPE, &Kind::Object(&FIELD_SHAPE)]);

pub(super) static FIELDS: Kind = Kind::Map(&FIELD);

pub(super) static CONTEXT: Kind = Kind::Map(&Kind::Any(&[
    &TYPE,
    &Kind::Object(&shape(
        "request field",
        "A field of the context of a decision request.",
        &[
            must("type", &TYPE, "its type"),
            may(
                "one_of",
                &WORDS,
                "the texts expected; categories of a one-hot feature",
            ),
            may("not_a_feature", &LINE, "why no model may use it"),
            may("description", &PARAGRAPH, "what it means"),
        ],
    )),
]));

pub(super) static SETTING: Kind = Kind::Object(&shape(
    "setting",
    "A constant that rules, scores and conditions read as `settings.NAME`. A pack of rules keeps its numbers here, for an operator to adapt.",
    &[
        must(
            "type",
            &TYPE,
            "its type: any but text; a setting of several texts is a boolean for each",
        ),
        may("value", &SCALAR, "its value; unknown when left out"),
        may("currency", &CURRENCY, "currency of an amount"),
        may("description", &PARAGRAPH, "what it decides"),
    ],
));

pub(super) static EVENT: Kind = Kind::Object(&shape(
    "event",
    "A type of event.",
    &[
        may("description", &PARAGRAPH, "what happened"),
        may("fields", &FIELDS, "its properties"),
    ],
));

pub(super) static MEASURE: Kind = Kind::Object(&shape(
    "measure",
    "What is counted or summed.",
    &[
        may(
            "of",
            &NAME,
            "field to sum; left out, each event counts as one",
        ),
        may("where", &CEL, "condition over the event's fields"),
    ],
));

pub(super) static TAG: Kind = Kind::Object(&shape(
    "tag",
    "What is known of a customer: an aggregate over events of one type.",
    &[
        must("event", &NAME, "type of event"),
        must(
            "aggregate",
            &Kind::Choice(&[
                ("count", "number of events"),
                ("sum", "exact sum"),
                ("min", "least value"),
                ("max", "greatest value"),
                ("mean", "mean, a number"),
                ("last", "value of the latest event"),
                ("first", "value of the earliest event"),
                ("distinct", "number of different values"),
                ("recency", "time since the latest event"),
                (
                    "ewma",
                    "exponentially weighted moving average in continuous time",
                ),
                (
                    "quantile",
                    "quantile of the values, at most 1/64 above the true one and never below it",
                ),
                (
                    "ratio",
                    "the tag's own sum or count over that of `denominator`",
                ),
            ]),
            "how events become one value",
        ),
        may("of", &NAME, "field that is aggregated"),
        may(
            "where",
            &CEL,
            "condition over the event's fields; unknown does not count",
        ),
        may(
            "window",
            &WINDOW,
            "`lifetime` or a length of time such as `30d`",
        ),
        may(
            "tile",
            &DURATION,
            "the window's step; chosen when left out (at most 64 steps)",
        ),
        may(
            "half_life",
            &DURATION,
            "of an ewma: the time in which an event's weight halves",
        ),
        may("denominator", &MEASURE, "of a ratio"),
        may(
            "q",
            &SHARE,
            "of a quantile: 0.9 is the 90th percentile, by nearest rank",
        ),
        may(
            "without_latest",
            &BOOLEAN,
            "of a quantile: the newest value is left out, so that it can be compared with those before it",
        ),
        may(
            "default",
            &SCALAR,
            "value when nothing was seen; zero for counts and sums",
        ),
        may("description", &PARAGRAPH, "what it means"),
    ],
));

pub(super) static DERIVED: Kind = Kind::Any(&[
    &CEL,
    &Kind::Object(&shape(
        "derived tag",
        "An expression over tags, environment and request.",
        &[
            must("value", &CEL, "the expression"),
            may("description", &PARAGRAPH, "what it means"),
        ],
    )),
]);

pub(super) static MEASURES: Kind = Kind::Object(&shape(
    "measures",
    "Attributes computed from the history of net asset values (NAV); `docs/measures.md` has the formulas.",
    &[
        may(
            "peer_group",
            &NAME,
            "text attribute whose equals are peers; all items when left out",
        ),
        may(
            "trading_days",
            &Kind::Integer(1, 366),
            "trading days of a year; 250 when left out",
        ),
        may(
            "risk_free_rate",
            &Kind::Number(-1.0, 1.0),
            "a year, as a share: 0.015 is 1.5 %; 0 when left out",
        ),
        may(
            "longest_gap",
            &DURATION,
            "longest time between two NAVs, whole days; over a longer one nothing is known; 15d when left out",
        ),
        may(
            "largest_move",
            &Kind::Number(0.0, 10.0),
            "largest return of a day that is believed, as a share; 0.3 when left out",
        ),
        must(
            "attributes",
            &Kind::Map(&Kind::Object(&shape(
                "computed attribute",
                "What an attribute measures.",
                &[
                    must(
                        "measure",
                        &Kind::Choice(&[
                            ("nav", "newest NAV of a unit"),
                            ("nav_at", "its day"),
                            ("first_nav_at", "day of the first NAV"),
                            ("age_days", "days from the first NAV to the newest"),
                            ("days_down", "newest days in a row on which it fell"),
                            ("return", "total return over the window"),
                            ("annualised_return", "total return a year"),
                            ("volatility", "standard deviation of daily returns, a year"),
                            ("drawdown", "largest fall from a peak within the window"),
                            ("sharpe", "Sharpe ratio"),
                            ("rank", "place among the peers, 1 the best"),
                            ("quantile", "share of the peers that are worse"),
                        ]),
                        "what is measured",
                    ),
                    may(
                        "window",
                        &SCALAR,
                        "how far back: `1d`, `7d`, `1m`, `3m`, `6m`, `1y`, `inception`; what is annualised needs a year at least",
                    ),
                    may("of", &NAME, "of ranks: the attribute that is compared"),
                    may(
                        "best",
                        &Kind::Choice(&[("high", ""), ("low", "")]),
                        "of ranks: which end is the best; `high` when left out",
                    ),
                    may("description", &PARAGRAPH, "what it means"),
                ],
            ))),
            "measures by the name of the attribute that they fill",
        ),
    ],
));

pub(super) static CATALOGUE: Kind = Kind::Object(&shape(
    "catalogue",
    "Items of one kind: products, e-mails, articles.",
    &[
        may("description", &PARAGRAPH, "what its items are"),
        may("attributes", &FIELDS, "what is known of an item"),
        may(
            "measures",
            &MEASURES,
            "attributes computed from the items' net asset values",
        ),
        may(
            "derived",
            &Kind::Map(&DERIVED),
            "expressions over a customer and an item, read as `item.NAME` in scores, features, costs and rules of items",
        ),
        may(
            "key_digits",
            &Kind::Integer(1, 32),
            "imported keys are codes of so many digits; others are refused",
        ),
        may(
            "items",
            &Kind::TextMap(&Kind::TextMap(&SCALAR)),
            "items by key, each with its attributes; imports add to them",
        ),
    ],
));

pub(super) static CALENDAR: Kind = Kind::Object(&shape(
    "calendar",
    "Days on which a market trades: `days`, `days_file`, or `weekdays` less `closed` and more `open`.",
    &[
        must("from", &DAY, "first day the calendar knows"),
        must("to", &DAY, "last day the calendar knows"),
        may("days", &DAYS, "all trading days"),
        may(
            "days_file",
            &LINE,
            "file of the pack with all trading days, one a line: a `.txt` in a folder `calendars`",
        ),
        may(
            "weekdays",
            &Kind::List(&Kind::Integer(1, 7), 1),
            "iso weekdays that trade, Monday 1",
        ),
        may("closed", &DAYS, "such days that do not trade"),
        may("open", &DAYS, "other days that do"),
        may(
            "utc_offset",
            &LINE,
            "the exchange's clock, such as \"+08:00\": fixed, for a market that never moves its clocks",
        ),
        may(
            "cutoff",
            &CLOCK,
            "order line by the exchange's clock: an order before it counts for the day",
        ),
        may(
            "sessions",
            &Kind::List(&Kind::Text(11), 1),
            "trading sessions by the exchange's clock, such as \"09:30-11:30\"",
        ),
        may("source", &LINE, "where the days come from"),
    ],
));

pub(super) static ORDER_STEP: Kind = Kind::Object(&shape(
    "order step",
    "The type of event that tells of a step of an order, and which of its fields hold what.",
    &[
        must("event", &NAME, "type of event"),
        must("order", &NAME, "text field: the order's id"),
        may("item", &NAME, "text field: key of the item"),
        may(
            "side",
            &NAME,
            "text field of `buy` and `redeem`; without it every order is a purchase",
        ),
        may(
            "amount",
            &NAME,
            "money field: what a purchase pays, fee included; what a redemption gives, fee taken off",
        ),
        may("shares", &NAME, "number field: shares bought or redeemed"),
        may(
            "fee",
            &NAME,
            "money field: the fee within or off the amount",
        ),
        may("nav", &NAME, "number field: net asset value a share"),
        may(
            "decision",
            &NAME,
            "text field: id of the decision that the order answers",
        ),
        may(
            "fast",
            &NAME,
            "boolean field of `submitted`: a redemption that is paid out at once, counted by `held.fast_today`",
        ),
    ],
));

pub(super) static ORDERS: Kind = Kind::Object(&shape(
    "orders",
    "How orders for the items of a catalogue live, and how what is held is valued.",
    &[
        must(
            "submitted",
            &ORDER_STEP,
            "the customer placed it; with `item` and `amount`",
        ),
        may("accepted", &ORDER_STEP, "the seller took it"),
        must(
            "confirmed",
            &ORDER_STEP,
            "shares and money moved; with `shares`, or `nav` to reckon them",
        ),
        may("failed", &ORDER_STEP, "it was refused"),
        may("cancelled", &ORDER_STEP, "the customer took it back"),
        may(
            "paid",
            &ORDER_STEP,
            "the money of a redemption arrived; without it redemptions end when they are confirmed",
        ),
        may(
            "calendar",
            &NAME,
            "calendar with an order line: the days that orders count for and holding times are counted in",
        ),
        may(
            "utc_offset",
            &LINE,
            "without a calendar: the fixed clock whose days holding times are counted in, such as \"+08:00\"; utc when left out",
        ),
        may(
            "nav",
            &NAME,
            "attribute (number) of the items: net asset value of today",
        ),
        may(
            "redemption_fees",
            &NAME,
            "attribute (text) of the items: fees by days held, \"7d 1.5%, 30d 1%, 180d 0.5%\"",
        ),
        may(
            "fee_ladder",
            &LINE,
            "fees by days held of items that have none of their own; none when left out",
        ),
        may(
            "confirms_after",
            &CEL,
            "over `item`: trading days from the day of an order to its confirmation; unknown without a calendar",
        ),
        may(
            "earns_after",
            &CEL,
            "over `item`: trading days from a confirmation to the day on which earning begins or ends; unknown without a calendar",
        ),
        may("description", &PARAGRAPH, "whose orders they are"),
    ],
));
