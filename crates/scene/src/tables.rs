//! The key tables of packs and of import mappings: every key there is, its kind and its meaning. The checker and the JSON
//! Schema are both made from these, so a key that is not here does not exist.

use crate::shape::{EXPRESSION_BYTES_MAX, Kind, KeyRule, Shape};
use luopan_kernel::plan::policy::{CONTACTS_MAX, SLATE_MAX};
use luopan_kernel::plan::tag::TILES_MAX;
use luopan_kernel::value::NUMBER_MAX;

const fn must(name: &'static str, kind: &'static Kind, doc: &'static str) -> KeyRule {
    KeyRule {
        name,
        kind,
        required: true,
        doc,
    }
}

const fn may(name: &'static str, kind: &'static Kind, doc: &'static str) -> KeyRule {
    KeyRule {
        name,
        kind,
        required: false,
        doc,
    }
}

const fn shape(name: &'static str, doc: &'static str, keys: &'static [KeyRule]) -> Shape {
    Shape {
        name,
        doc,
        keys,
        unless: None,
    }
}

static NAME: Kind = Kind::Name;
static LINE: Kind = Kind::Text(200);
static PARAGRAPH: Kind = Kind::Text(4000);
static BOOLEAN: Kind = Kind::Boolean;
static CEL: Kind = Kind::Cel;
static SCALAR: Kind = Kind::Scalar;
static DURATION: Kind = Kind::Duration;
static CURRENCY: Kind = Kind::Currency;
static ZONE: Kind = Kind::Zone;
static DAY: Kind = Kind::Day;
static CLOCK: Kind = Kind::Clock;
static DECIMAL: Kind = Kind::Decimal;
static ANY_NUMBER: Kind = Kind::Number(-NUMBER_MAX, NUMBER_MAX);
static SHARE: Kind = Kind::Number(0.0, 1.0);
static POSITIVE: Kind = Kind::Positive(NUMBER_MAX);
static VERSION: Kind = Kind::Integer(1, u32::MAX as i64);
static TEXTS: Kind = Kind::List(&SCALAR, 1);
static NUMBERS: Kind = Kind::List(&ANY_NUMBER, 1);
static NAMES: Kind = Kind::List(&NAME, 0);
static DAYS: Kind = Kind::List(&DAY, 0);

static TYPE: Kind = Kind::Choice(&[
    ("boolean", "true or false"),
    ("integer", "a signed whole number of 64 bits"),
    ("number", "a finite binary64 number"),
    ("money", "an amount in minor units of a currency"),
    ("text", "utf-8 text of at most 4096 bytes"),
    ("time", "a point in time, utc microseconds"),
    ("duration", "a length of time"),
]);

static FIELD_SHAPE: Shape = shape(
    "field",
    "A property of an event, an attribute of a customer or item, or a field of a request.",
    &[
        must("type", &TYPE, "its type"),
        may("required", &BOOLEAN, "an event without it goes to quarantine"),
        may("personal", &BOOLEAN, "sealed with the customer's own key; no tag or rule can read it"),
        may("currency", &CURRENCY, "currency of a money field"),
        may("one_of", &TEXTS, "the texts allowed"),
        may("not_a_feature", &LINE, "why no model may use it, for instance: known only afterwards"),
        may("description", &PARAGRAPH, "what it means"),
    ],
);
static FIELD: Kind = Kind::Any(&[&TYPE, &Kind::Object(&FIELD_SHAPE)]);
static FIELDS: Kind = Kind::Map(&FIELD);
static CONTEXT: Kind = Kind::Map(&Kind::Any(&[
    &TYPE,
    &Kind::Object(&shape(
        "request field",
        "A field of the context of a decision request.",
        &[
            must("type", &TYPE, "its type"),
            may("one_of", &TEXTS, "the texts expected; categories of a one-hot feature"),
            may("not_a_feature", &LINE, "why no model may use it"),
            may("description", &PARAGRAPH, "what it means"),
        ],
    )),
]));

static EVENT: Kind = Kind::Object(&shape(
    "event",
    "A type of event.",
    &[
        may("description", &PARAGRAPH, "what happened"),
        may("fields", &FIELDS, "its properties"),
    ],
));

static MEASURE: Kind = Kind::Object(&shape(
    "measure",
    "What is counted or summed.",
    &[
        may("of", &NAME, "field to sum; left out, each event counts as one"),
        may("where", &CEL, "condition over the event's fields"),
    ],
));

static WINDOW: Kind = Kind::Any(&[
    &Kind::Choice(&[("lifetime", "all events ever")]),
    &DURATION,
]);

static TAG: Kind = Kind::Object(&shape(
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
                ("ewma", "exponentially weighted moving average in continuous time"),
                ("ratio", "the tag's own sum or count over that of `denominator`"),
            ]),
            "how events become one value",
        ),
        may("of", &NAME, "field that is aggregated"),
        may("where", &CEL, "condition over the event's fields; unknown does not count"),
        may("window", &WINDOW, "`lifetime` or a length of time such as `30d`"),
        may("tile", &DURATION, "the window's step; chosen when left out (at most 64 steps)"),
        may("half_life", &DURATION, "of an ewma: the time in which an event's weight halves"),
        may("denominator", &MEASURE, "of a ratio"),
        may("default", &SCALAR, "value when nothing was seen; zero for counts and sums"),
        may("description", &PARAGRAPH, "what it means"),
    ],
));

static DERIVED: Kind = Kind::Any(&[
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

static RULE_SHAPE: Shape = shape(
    "rule",
    "A condition.",
    &[
        must("rule", &CEL, "the condition"),
        may("version", &LINE, "version or effective date, cited with a refusal"),
        may("description", &PARAGRAPH, "what it is for and where it comes from"),
    ],
);
static SEGMENT: Kind = Kind::Any(&[&CEL, &Kind::Object(&RULE_SHAPE)]);
static RULE: Kind = Kind::Any(&[&CEL, &Kind::Object(&RULE_SHAPE)]);

static NAMED_RULES: Kind = Kind::List(
    &Kind::Tagged(&[
        &shape(
            "named rule",
            "A condition with a name.",
            &[
                must("rule", &CEL, "the condition"),
                must("name", &NAME, "its name in traces and refusals"),
                may("version", &LINE, "version or effective date, cited with a refusal"),
                may("description", &PARAGRAPH, "what it is for and where it comes from"),
            ],
        ),
        &shape(
            "use of a rule",
            "A rule declared under `rules`.",
            &[must("use", &NAME, "its name")],
        ),
    ]),
    0,
);

static CATALOGUE: Kind = Kind::Object(&shape(
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

static REWARD: Kind = Kind::Object(&shape(
    "reward",
    "Which later events say how good a decision was.",
    &[
        must("event", &NAME, "type of the outcome event"),
        may("version", &VERSION, "raised when the definition changes; 1 when left out"),
        may("where", &CEL, "condition over the event's fields"),
        must(
            "join",
            &Kind::Any(&[
                &Kind::Choice(&[("customer", "all pending decisions of the customer within the window")]),
                &Kind::Object(&shape(
                    "join",
                    "How an outcome finds its decision.",
                    &[must("decision", &NAME, "text field that holds the decision's id")],
                )),
            ]),
            "`customer`, or `{decision: FIELD}`",
        ),
        must("value", &CEL, "value of one outcome: number, integer, money (minor units) or boolean (0 or 1)"),
        must("window", &DURATION, "how long after the decision an outcome counts"),
        may(
            "combine",
            &Kind::Choice(&[("first", "the first outcome settles it"), ("sum", "their sum, when the window ends")]),
            "several outcomes; `first` when left out",
        ),
        may("default", &ANY_NUMBER, "value when nothing came; 0 when left out"),
        may("description", &PARAGRAPH, "what it means"),
    ],
));

static STANDARD: Shape = shape(
    "standard feature",
    "(x - mean) / scale, held within ±clip.",
    &[
        must("standard", &CEL, "slot"),
        must("mean", &ANY_NUMBER, "centre"),
        must("scale", &POSITIVE, "above zero"),
        may("clip", &POSITIVE, "4 when left out"),
        may("prior_variance", &POSITIVE, "of its weights; the model's when left out"),
    ],
);
static ONE_HOT: Shape = shape(
    "one-hot feature",
    "A position a category, one for any other, one for missing.",
    &[
        must("one_hot", &CEL, "slot"),
        may("categories", &TEXTS, "categories; the field's `one_of` when left out"),
        may("other", &BOOLEAN, "a position for any other value; true when left out"),
        may("missing", &BOOLEAN, "a position for missing; true when left out"),
        may("prior_variance", &POSITIVE, "of its weights; the model's when left out"),
    ],
);
static BINS: Shape = shape(
    "binned feature",
    "A position a bin, one for missing.",
    &[
        must("bins", &CEL, "slot"),
        must("edges", &NUMBERS, "ascending; a value equal to an edge is in the bin above"),
        may("missing", &BOOLEAN, "a position for missing; true when left out"),
        may("prior_variance", &POSITIVE, "of its weights; the model's when left out"),
    ],
);
static CROSS: Shape = shape(
    "crossed feature",
    "A position for each pair of two features' positions.",
    &[
        must("cross", &CROSSED, "two features"),
        may("prior_variance", &POSITIVE, "of its weights; the model's when left out"),
    ],
);
static INTERCEPT: Shape = shape(
    "intercept",
    "The constant one.",
    &[
        must("intercept", &Kind::Choice(&[("true", "")]), "`true`"),
        may("prior_variance", &POSITIVE, "of its weight; the model's when left out"),
    ],
);
static CROSSED: Kind = Kind::List(&Kind::Tagged(&[&ONE_HOT, &BINS, &STANDARD, &CROSS]), 2);
static FEATURES: Kind = Kind::List(
    &Kind::Any(&[
        &Kind::Choice(&[("intercept", "the constant one")]),
        &Kind::Tagged(&[&STANDARD, &ONE_HOT, &BINS, &CROSS, &INTERCEPT]),
    ]),
    1,
);

static MODEL: Kind = Kind::Object(&shape(
    "model",
    "Declared features and the online learner behind them.",
    &[
        must(
            "kind",
            &Kind::Choice(&[("linear", "bayesian linear regression"), ("logistic", "bayesian logistic regression, for rewards of 0 and 1")]),
            "likelihood of the reward",
        ),
        must(
            "scope",
            &Kind::Choice(&[("per_item", "items have weights of their own"), ("shared", "one model for all items")]),
            "whether items have weights of their own",
        ),
        must("reward", &NAME, "what it learns"),
        must("catalogue", &NAME, "whose items it scores"),
        must("features", &FEATURES, "features in order"),
        may("prior_variance", &POSITIVE, "of every weight that its feature does not say; 1 when left out"),
        may("prior_intercept", &ANY_NUMBER, "prior mean of the intercept (log-odds when logistic); 0 when left out"),
        may("noise_variance", &POSITIVE, "of a linear model; 1 when left out"),
        may("drift_variance", &Kind::Number(0.0, 1.0), "variance that every weight gains before each sample; 0 means no drift"),
        may("reward_bounds", &Kind::List(&ANY_NUMBER, 2), "rewards outside are held at these; [0, 1] for logistic"),
        may("description", &PARAGRAPH, "what it predicts"),
    ],
));

static SCORE: Kind = Kind::Any(&[
    &CEL,
    &Kind::Object(&shape(
        "score",
        "A model's prediction.",
        &[must("model", &NAME, "the model")],
    )),
]);

static EXPLORATION: Kind = Kind::Any(&[
    &Kind::Choice(&[("greedy", "the best"), ("uniform", "all alike")]),
    &Kind::Tagged(&[
        &shape(
            "epsilon-greedy exploration",
            "The best, and evenly any with probability epsilon.",
            &[must("epsilon_greedy", &SHARE, "epsilon")],
        ),
        &shape(
            "thompson exploration",
            "Thompson sampling made explicit.",
            &[must(
                "thompson",
                &Kind::Object(&shape(
                    "thompson setting",
                    "Thompson sampling made explicit.",
                    &[
                        may("draws", &Kind::Integer(1, 10_000), "posterior draws a decision; 100 when left out"),
                        may("floor", &SHARE, "probability spread evenly; 0.01 when left out"),
                        may("scale", &POSITIVE, "factor on the posterior's deviation; 1 when left out"),
                    ],
                )),
                "its setting",
            )],
        ),
        &shape(
            "softmax exploration",
            "Softmax of score / temperature.",
            &[must("softmax", &POSITIVE, "temperature")],
        ),
    ]),
]);

static CAP: Kind = Kind::Object(&shape(
    "cap",
    "At most so many contacts within a window.",
    &[
        must("name", &NAME, "its name in traces"),
        must("limit", &Kind::Integer(0, CONTACTS_MAX as i64), "largest number of contacts; 0 means never"),
        must("window", &WINDOW, "`lifetime` or a length of time"),
        may(
            "scope",
            &Kind::Any(&[
                &Kind::Choice(&[
                    ("customer", "every contact of the customer in the scene"),
                    ("policy", "contacts by this policy"),
                    ("item", "contacts with the same item"),
                ]),
                &Kind::Object(&shape("cap scope", "Contacts through a channel.", &[must("channel", &NAME, "the channel")])),
            ]),
            "what counts; `customer` when left out",
        ),
    ],
));

static POLICY_KEYS: &[KeyRule] = &[
    may("like", &NAME, "another policy: what is not written here is as there"),
    must("catalogue", &NAME, "whose items are the candidates"),
    must("channel", &NAME, "what a choice is delivered through"),
    may("eligibility", &NAMED_RULES, "must be true of the customer"),
    may("suitability", &NAMED_RULES, "must be true of customer and item together"),
    may("exclusions", &NAMED_RULES, "true excludes, and so does unknown"),
    may("consent", &NAME, "boolean tag that must be true"),
    must("score", &SCORE, "an expression, or `{model: NAME}`"),
    must("exploration", &EXPLORATION, "how the distribution is made from the scores"),
    may("slots", &Kind::Integer(1, SLATE_MAX as i64), "positions to fill; 1 when left out"),
    must(
        "null_action",
        &Kind::Object(&shape(
            "null action",
            "What silence means.",
            &[
                must("name", &NAME, "its name in records"),
                may("arm", &BOOLEAN, "scored and explored beside the items"),
                may("score", &ANY_NUMBER, "its score under an expression; 0 when left out"),
            ],
        )),
        "what silence means",
    ),
    may("caps", &Kind::List(&CAP, 0), "frequency caps"),
    may("quiet_period", &DURATION, "least time between two contacts through the channel"),
    may(
        "quiet_hours",
        &Kind::Object(&shape(
            "quiet hours",
            "Hours of the customer's day in which nothing is sent.",
            &[must("from", &CLOCK, "first quiet minute"), must("to", &CLOCK, "first minute after")],
        )),
        "hours of the customer's day in which nothing is sent",
    ),
    may(
        "budgets",
        &Kind::List(
            &Kind::Object(&shape(
                "budget use",
                "What a choice costs a budget.",
                &[must("budget", &NAME, "the budget"), must("cost", &CEL, "cost of one choice: an integer, or money of the budget's currency")],
            )),
            0,
        ),
        "what a choice costs",
    ),
    may("valid_for", &DURATION, "how long a send intent may wait; 1h when left out"),
    may("rewards", &NAMES, "rewards that its decisions wait for"),
    may("description", &PARAGRAPH, "what it is for"),
];

static POLICY: Kind = Kind::Object(&Shape {
    name: "policy",
    doc: "Whom to reach with what.",
    unless: Some("like"),
    keys: POLICY_KEYS,
});

/// A policy together with what it inherits: nothing may be left out any more.
pub(crate) static WHOLE_POLICY: Kind = Kind::Object(&Shape {
    name: "policy",
    doc: "Whom to reach with what.",
    unless: None,
    keys: POLICY_KEYS,
});

/// The keys that a policy must have.
pub(crate) const POLICY_MUSTS: [&str; 5] = ["catalogue", "channel", "score", "exploration", "null_action"];

static BUDGET: Kind = Kind::Object(&shape(
    "budget",
    "What may be spent by all decisions together.",
    &[
        must(
            "limit",
            &Kind::Any(&[
                &Kind::Integer(0, i64::MAX),
                &Kind::Object(&shape(
                    "amount",
                    "An amount of money.",
                    &[must("amount", &DECIMAL, "decimal, such as \"12.50\""), must("currency", &CURRENCY, "iso 4217 code")],
                )),
            ]),
            "a count, or `{amount: \"12.50\", currency: CNY}`",
        ),
        must(
            "period",
            &Kind::Choice(&[("total", "once"), ("daily", "each day of the scene's zone")]),
            "how long it runs before it starts anew",
        ),
        may("rows", &Kind::Integer(1, 256), "rows it is kept in; 16 when left out"),
        may("description", &PARAGRAPH, "what it pays for"),
    ],
));

static CALENDAR: Kind = Kind::Object(&shape(
    "calendar",
    "Days on which a market trades: `days`, or `weekdays` less `closed` and more `open`.",
    &[
        must("from", &DAY, "first day the calendar knows"),
        must("to", &DAY, "last day the calendar knows"),
        may("days", &DAYS, "all trading days"),
        may("weekdays", &Kind::List(&Kind::Integer(1, 7), 1), "iso weekdays that trade, Monday 1"),
        may("closed", &DAYS, "such days that do not trade"),
        may("open", &DAYS, "other days that do"),
        may("source", &LINE, "where the days come from"),
    ],
));

static PACK_SHAPE: Shape = shape(
    "pack",
    "A file of a scene pack. Any file may hold any section; all files of a pack together are the scene.",
    &[
        may("scene", &NAME, "name of the scene; exactly one file has it"),
        may("description", &PARAGRAPH, "what the scene is for"),
        may("zone", &ZONE, "iana zone of customers whose own is unknown; UTC when left out"),
        may("zone_attribute", &NAME, "customer attribute (text) that holds the customer's iana zone"),
        may("dedup_horizon", &DURATION, "how long an event id is remembered; 7d when left out"),
        may("customer", &FIELDS, "attributes of customers, set by imports; each is a tag of the same name"),
        may("events", &Kind::LooseMap(&EVENT), "types of events"),
        may("tags", &Kind::Map(&TAG), "what is known of a customer"),
        may("derived", &Kind::Map(&DERIVED), "expressions over tags"),
        may("request", &CONTEXT, "fields of the context of a decision request, read as `request.NAME`"),
        may("calendars", &Kind::Map(&CALENDAR), "trading days, read as `env.trading_day_NAME` and `env.days_to_trading_day_NAME`"),
        may("catalogues", &Kind::Map(&CATALOGUE), "items, their attributes read as `item.NAME`"),
        may("segments", &Kind::LooseMap(&SEGMENT), "groups of customers kept up to date"),
        may("rules", &Kind::LooseMap(&RULE), "conditions that several policies use"),
        may("rewards", &Kind::LooseMap(&REWARD), "what a decision is judged by"),
        may("models", &Kind::LooseMap(&MODEL), "what is learned"),
        may("budgets", &Kind::LooseMap(&BUDGET), "what may be spent"),
        may("policies", &Kind::LooseMap(&POLICY), "whom to reach with what"),
    ],
);

/// A file of a pack.
pub(crate) static PACK: Kind = Kind::Object(&PACK_SHAPE);

static CONVERSION: Kind = Kind::Any(&[
    &SCALAR,
    &Kind::Tagged(&[
        &shape(
            "column",
            "A value read from a column.",
            &[
                must("column", &SCALAR, "its name in the file"),
                may("map", &Kind::TextMap(&SCALAR), "texts of the file and what they become"),
                may("missing", &TEXTS, "texts that mean nothing is known; the empty text always does"),
                may("decimal", &Kind::Choice(&[(".", "a point"), (",", "a comma")]), "decimal separator; `.` when left out"),
                may("thousands", &Kind::Choice(&[(",", "a comma"), (".", "a point"), (" ", "a space"), ("'", "an apostrophe"), ("_", "an underscore")]), "thousands separator; none when left out"),
                may("unit", &UNIT, "of money: `major` (12.50) or `minor` (1250); of a duration: seconds and so on"),
                may("format", &LINE, "of a time: `%Y-%m-%d %H:%M` and so on; rfc 3339 when left out"),
                may("zone", &ZONE, "of a time without an offset; the scene's when left out"),
            ],
        ),
        &shape(
            "constant",
            "The same value for every row.",
            &[must("constant", &SCALAR, "the value")],
        ),
        &shape(
            "template",
            "Text made from columns: `{column}`, and `{row}` for the row's number from 1.",
            &[must("template", &Kind::Text(500), "the text")],
        ),
    ]),
]);

static UNIT: Kind = Kind::Choice(&[
    ("major", "money as 12.50"),
    ("minor", "money as 1250"),
    ("milliseconds", "a duration or a time since 1970"),
    ("seconds", "a duration or a time since 1970"),
    ("minutes", "a duration"),
    ("hours", "a duration"),
    ("days", "a duration, or a time as days since 1970"),
]);

static CONVERSIONS: Kind = Kind::Map(&CONVERSION);

static WHEN: Kind = Kind::Object(&shape(
    "condition on a row",
    "Rows for which it does not hold give nothing.",
    &[
        must("column", &SCALAR, "its name in the file"),
        may("equals", &SCALAR, "the text that must stand there"),
        may("one_of", &TEXTS, "the texts of which one must stand there"),
        may("not", &SCALAR, "the text that must not stand there"),
    ],
));

static OUTCOME: Kind = Kind::Object(&shape(
    "outcome",
    "An event that followed the logged action of this row.",
    &[
        must("event", &NAME, "type of event"),
        may("when", &WHEN, "only for rows where this holds"),
        may("after", &DURATION, "how long after the action; 1h when left out"),
        may("fields", &CONVERSIONS, "its properties; the decision's id is set by the replay"),
    ],
));

static MAPPING_SHAPE: Shape = shape(
    "mapping",
    "How a row of a file becomes a customer, an event, a product, or a line of a logged campaign.",
    &[
        must(
            "into",
            &Kind::Choice(&[
                ("customers", "attributes of customers"),
                ("events", "events of one type"),
                ("products", "items of a catalogue"),
                ("campaign", "customers with the logged action and its outcomes, for `campaign replay`"),
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
                    may("format", &Kind::Choice(&[("auto", "by the file's name"), ("csv", "comma-separated values"), ("jsonl", "a json object a line"), ("parquet", "apache parquet")]), "`auto` when left out"),
                    may("delimiter", &Kind::Choice(&[(",", ""), (";", ""), ("|", ""), ("\t", "tab")]), "of csv; `,` when left out"),
                    may("quote", &Kind::Choice(&[("\"", ""), ("'", "")]), "of csv; `\"` when left out"),
                    may("encoding", &Kind::Choice(&[("auto", "utf-8, else gb18030"), ("utf-8", ""), ("gb18030", "")]), "`auto` when left out"),
                ],
            )),
            "how the file is written",
        ),
        may("id", &CONVERSION, "the customer's foreign id (or the item's key); needed except for `campaign`, where the row's number stands in"),
        may("event_id", &CONVERSION, "id of an event, for deduplication; made from the row's content when left out"),
        may("event", &NAME, "type of the events"),
        may("catalogue", &NAME, "catalogue of the products"),
        may("occurred_at", &CONVERSION, "when it happened; the time of the import when left out"),
        may("when", &WHEN, "rows for which this does not hold are passed over"),
        may("fields", &CONVERSIONS, "properties or attributes; a bare text is the name of a column"),
        may("request", &CONVERSIONS, "campaign: fields of the decision request's context"),
        may("action", &CONVERSION, "campaign: the logged action, a key of the catalogue or the null action's name"),
        may("policy", &NAME, "campaign: policy whose catalogue the logged actions are of"),
        may("outcomes", &Kind::List(&OUTCOME, 0), "campaign: events that followed"),
    ],
);

/// A mapping file.
pub(crate) static MAPPING: Kind = Kind::Object(&MAPPING_SHAPE);

const _: () = assert!(TILES_MAX == 64 && EXPRESSION_BYTES_MAX == 4096, "the documentation above says so");
