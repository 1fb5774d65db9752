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

pub(super) static CATALOGUE: Kind = Kind::Object(&shape(
    "catalogue",
    "Items of one kind: products, e-mails, articles.",
    &[
        may("description", &PARAGRAPH, "what its items are"),
        may("attributes", &FIELDS, "what is known of an item"),
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
            &Kind::Text(10),
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
