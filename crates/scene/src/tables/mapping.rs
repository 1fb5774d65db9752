//! Import mappings.

use super::base::*;
use crate::shape::{Kind, Shape};

pub(super) static CONVERSION: Kind = Kind::Any(&[
    &SCALAR,
    &Kind::Tagged(&[
        &shape(
            "column",
            "A value read from a column.",
            &[
                must("column", &SCALAR, "its name in the file"),
                may(
                    "map",
                    &Kind::TextMap(&SCALAR),
                    "texts of the file and what they become",
                ),
                may(
                    "missing",
                    &TEXTS,
                    "texts that mean nothing is known; the empty text always does",
                ),
                may(
                    "decimal",
                    &Kind::Choice(&[(".", "a point"), (",", "a comma")]),
                    "decimal separator; `.` when left out",
                ),
                may(
                    "thousands",
                    &Kind::Choice(&[
                        (",", "a comma"),
                        (".", "a point"),
                        (" ", "a space"),
                        ("'", "an apostrophe"),
                        ("_", "an underscore"),
                    ]),
                    "thousands separator; none when left out",
                ),
                may(
                    "unit",
                    &UNIT,
                    "of money: `major` (12.50) or `minor` (1250); of a duration: seconds and so on",
                ),
                may(
                    "prefix",
                    &LINE,
                    "text before the value that is taken away where it stands",
                ),
                may(
                    "pad",
                    &Kind::Integer(1, 32),
                    "of a code: so many digits, shorter ones are filled with zeros in front",
                ),
                may(
                    "format",
                    &LINE,
                    "of a time: `%Y-%m-%d %H:%M` and so on; rfc 3339 when left out",
                ),
                may(
                    "zone",
                    &ZONE,
                    "of a time without an offset; the scene's when left out",
                ),
            ],
        ),
        &shape(
            "constant",
            "The same value for every row.",
            &[must("constant", &SCALAR, "the value")],
        ),
        &shape(
            "template",
            "Text made from columns: `{column}`, `{row}` for the row's number from 1, `{file}` for the file's name without its endings, `{file:6}` for its first 6 characters.",
            &[must("template", &Kind::Text(500), "the text")],
        ),
    ]),
]);

pub(super) static UNIT: Kind = Kind::Choice(&[
    ("major", "money as 12.50"),
    ("minor", "money as 1250"),
    ("percent", "a number as 1.5 or 1.5%, divided by 100"),
    ("milliseconds", "a duration or a time since 1970"),
    ("seconds", "a duration or a time since 1970"),
    ("minutes", "a duration"),
    ("hours", "a duration"),
    ("days", "a duration, or a time as days since 1970"),
]);

pub(super) static CONVERSIONS: Kind = Kind::Map(&CONVERSION);

pub(super) static WHEN: Kind = Kind::Object(&shape(
    "condition on a row",
    "Rows for which it does not hold give nothing.",
    &[
        must("column", &SCALAR, "its name in the file"),
        may("equals", &SCALAR, "the text that must stand there"),
        may("one_of", &TEXTS, "the texts of which one must stand there"),
        may("not", &SCALAR, "the text that must not stand there"),
    ],
));

pub(super) static OUTCOME: Kind = Kind::Object(&shape(
    "outcome",
    "An event that followed the logged action of this row.",
    &[
        must("event", &NAME, "type of event"),
        may("when", &WHEN, "only for rows where this holds"),
        may(
            "after",
            &DURATION,
            "how long after the action; 1h when left out",
        ),
        may(
            "fields",
            &CONVERSIONS,
            "its properties; the decision's id is set by the replay",
        ),
    ],
));

pub(super) static MAPPING_SHAPE: Shape = shape(
    "mapping",
    "How a row of a file becomes a customer, an event, a product, or a line of a logged campaign.",
    &[
        must(
            "into",
            &Kind::Choice(&[
                ("customers", "attributes of customers"),
                ("events", "events of one type"),
                ("products", "items of a catalogue"),
                (
                    "product_changes",
                    "attributes of items that are there: those that stand in the row",
                ),
                ("withdrawals", "items that are offered no more"),
                (
                    "navs",
                    "net asset values: fields `day`, `nav` and, where it is published, `accumulated`",
                ),
                (
                    "campaign",
                    "customers with the logged action and its outcomes, for `campaign replay`",
                ),
            ]),
            "what a row becomes",
        ),
        may("description", &PARAGRAPH, "which file it is for"),
        may(
            "file",
            &Kind::Object(&shape(
                "file format",
                "How the file is written.",
                &[
                    may(
                        "format",
                        &Kind::Choice(&[
                            ("auto", "by the file's name"),
                            ("csv", "comma-separated values"),
                            ("jsonl", "a json object a line"),
                            ("parquet", "apache parquet"),
                        ]),
                        "`auto` when left out",
                    ),
                    may(
                        "delimiter",
                        &Kind::Choice(&[(",", ""), (";", ""), ("|", ""), ("\t", "tab")]),
                        "of csv; `,` when left out",
                    ),
                    may(
                        "quote",
                        &Kind::Choice(&[("\"", ""), ("'", "")]),
                        "of csv; `\"` when left out",
                    ),
                    may(
                        "encoding",
                        &Kind::Choice(&[
                            ("auto", "utf-8, else gb18030"),
                            ("utf-8", ""),
                            ("gb18030", ""),
                        ]),
                        "`auto` when left out",
                    ),
                ],
            )),
            "how the file is written",
        ),
        may(
            "id",
            &CONVERSION,
            "the customer's foreign id (or the item's key); needed except for `campaign`, where the row's number stands in",
        ),
        may(
            "event_id",
            &CONVERSION,
            "id of an event, for deduplication; made from the row's content when left out",
        ),
        may("event", &NAME, "type of the events"),
        may("catalogue", &NAME, "catalogue of the products"),
        may(
            "generated",
            &NAMES,
            "products: fields whose values the mapping makes up; the attribute `generated` of each item says so",
        ),
        may(
            "occurred_at",
            &CONVERSION,
            "when it happened; the time of the import when left out",
        ),
        may(
            "when",
            &WHEN,
            "rows for which this does not hold are passed over",
        ),
        may(
            "fields",
            &CONVERSIONS,
            "properties or attributes; a bare text is the name of a column",
        ),
        may(
            "request",
            &CONVERSIONS,
            "campaign: fields of the decision request's context",
        ),
        may(
            "action",
            &CONVERSION,
            "campaign: the logged action, a key of the catalogue or the null action's name",
        ),
        may(
            "policy",
            &NAME,
            "campaign: policy whose catalogue the logged actions are of",
        ),
        may(
            "outcomes",
            &Kind::List(&OUTCOME, 0),
            "campaign: events that followed",
        ),
    ],
);

/// A mapping file.
pub(crate) static MAPPING: Kind = Kind::Object(&MAPPING_SHAPE);
