//! What tells of the moment: sequences of acts and values of the market.

use super::base::*;
use crate::shape::{Kind, Shape};
use luopan_kernel::plan::tag::SEQUENCE_MAX;

static WORD_SHAPE: Shape = shape(
    "word",
    "The events that say a word of a sequence.",
    &[
        must("event", &NAME, "type of event"),
        may(
            "where",
            &CEL,
            "condition over the event's fields; of several words of one event the first that fits is said",
        ),
    ],
);

pub(super) static SEQUENCE: Kind = Kind::Object(&shape(
    "sequence",
    "The latest acts of a customer as a text of words, oldest first: `look look | buy`.",
    &[
        may(
            "keep",
            &Kind::Integer(1, SEQUENCE_MAX as i64),
            "how many acts are kept, at most 32; 16 when left out",
        ),
        may(
            "pause",
            &DURATION,
            "this long without an act, up to now too, is told by `|`; none when left out",
        ),
        must(
            "words",
            &Kind::Map(&Kind::Object(&WORD_SHAPE)),
            "words and the events that say them",
        ),
        may("description", &PARAGRAPH, "what it is for"),
    ],
));

pub(super) static MARKET: Kind = Kind::Object(&shape(
    "value of the market",
    "An attribute of one item, or the median of an attribute over items.",
    &[
        must("catalogue", &NAME, "catalogue whose items tell of it"),
        must("of", &NAME, "attribute, a number or an integer"),
        may(
            "item",
            &SCALAR,
            "key of the item; without it the median over items",
        ),
        may(
            "median_where",
            &CEL,
            "condition over the item: which items the median is of; all when left out",
        ),
        may("description", &PARAGRAPH, "what it tells"),
    ],
));

pub(super) static INTENTION: Kind = Kind::Object(&shape(
    "intention",
    "What a customer will do next, predicted from a sequence of her acts.",
    &[
        must("sequence", &NAME, "the sequence that the model reads"),
        must("model", &NAME, "an artifact of kind `sequence`"),
        may("description", &PARAGRAPH, "what it is for"),
    ],
));
