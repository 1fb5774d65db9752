//! What is done with it: rules, segments, rewards, models, budgets, policies.

use super::base::*;
use super::score::*;
use crate::shape::{KeyRule, Kind, Shape};
use luopan_kernel::plan::model::REPLICATES_MAX;
use luopan_kernel::plan::policy::{CONTACTS_MAX, SLATE_MAX};

pub(super) static RULE_SHAPE: Shape = shape(
    "rule",
    "A condition.",
    &[
        must("rule", &CEL, "the condition"),
        may(
            "version",
            &LINE,
            "version or effective date, cited with a refusal",
        ),
        may(
            "authority",
            &LINE,
            "law, regulation or house rule that it follows",
        ),
        may(
            "effective",
            &DAY,
            "first day of its validity, in the scene's zone; before it nothing is refused by it",
        ),
        may(
            "description",
            &PARAGRAPH,
            "what it is for and where it comes from",
        ),
    ],
);

pub(super) static SEGMENT: Kind = Kind::Any(&[&CEL, &Kind::Object(&RULE_SHAPE)]);

pub(super) static RULE: Kind = Kind::Any(&[&CEL, &Kind::Object(&RULE_SHAPE)]);

/// Names of rules.
pub(super) static RULE_SET: Kind = Kind::List(&NAME, 1);

pub(super) static NAMED_RULES: Kind = Kind::List(
    &Kind::Tagged(&[
        &shape(
            "named rule",
            "A condition with a name.",
            &[
                must("rule", &CEL, "the condition"),
                must("name", &NAME, "its name in traces and refusals"),
                may(
                    "version",
                    &LINE,
                    "version or effective date, cited with a refusal",
                ),
                may(
                    "authority",
                    &LINE,
                    "law, regulation or house rule that it follows",
                ),
                may(
                    "effective",
                    &DAY,
                    "first day of its validity, in the scene's zone; before it nothing is refused by it",
                ),
                may(
                    "description",
                    &PARAGRAPH,
                    "what it is for and where it comes from",
                ),
            ],
        ),
        &shape(
            "use of a rule",
            "A rule declared under `rules`, or all rules of a set under `rule_sets`.",
            &[must("use", &NAME, "its name")],
        ),
    ]),
    0,
);

pub(super) static REWARD: Kind = Kind::Object(&shape(
    "reward",
    "Which later events say how good a decision was.",
    &[
        must("event", &NAME, "type of the outcome event"),
        may(
            "version",
            &VERSION,
            "raised when the definition changes; 1 when left out",
        ),
        may("where", &CEL, "condition over the event's fields"),
        must(
            "join",
            &Kind::Any(&[
                &Kind::Choice(&[(
                    "customer",
                    "all pending decisions of the customer within the window",
                )]),
                &Kind::Tagged(&[
                    &shape(
                        "join",
                        "How an outcome finds its decision.",
                        &[must(
                            "decision",
                            &NAME,
                            "text field that holds the decision's id",
                        )],
                    ),
                    &shape(
                        "join by order",
                        "How an outcome finds its decision through an order.",
                        &[must(
                            "order",
                            &NAME,
                            "text field that holds the order's id; the order knows its decision since it was submitted",
                        )],
                    ),
                ]),
            ]),
            "`customer`, `{decision: FIELD}` or `{order: FIELD}`",
        ),
        must(
            "value",
            &CEL,
            "value of one outcome: number, integer, money (minor units) or boolean (0 or 1)",
        ),
        must(
            "window",
            &DURATION,
            "how long after the decision an outcome counts",
        ),
        may(
            "combine",
            &Kind::Choice(&[
                ("first", "the first outcome settles it at once"),
                ("sum", "their sum, when the window ends"),
                (
                    "max",
                    "the greatest of them, when the window ends: for what a model learns, so that it does not hear of successes before it hears of failures",
                ),
            ]),
            "several outcomes; `first` when left out",
        ),
        may(
            "default",
            &ANY_NUMBER,
            "value when nothing came; 0 when left out",
        ),
        may("description", &PARAGRAPH, "what it means"),
    ],
));

pub(super) static STANDARD: Shape = shape(
    "standard feature",
    "(x - mean) / scale, held within ±clip.",
    &[
        must("standard", &CEL, "slot"),
        must("mean", &ANY_NUMBER, "centre"),
        must("scale", &POSITIVE, "above zero"),
        may("clip", &POSITIVE, "4 when left out"),
        may(
            "prior_variance",
            &POSITIVE,
            "of its weights; the model's when left out",
        ),
    ],
);

pub(super) static ONE_HOT: Shape = shape(
    "one-hot feature",
    "A position a category, one for any other, one for missing.",
    &[
        must("one_hot", &CEL, "slot"),
        may(
            "categories",
            &TEXTS,
            "categories; the field's `one_of` when left out",
        ),
        may(
            "other",
            &BOOLEAN,
            "a position for any other value; true when left out",
        ),
        may(
            "missing",
            &BOOLEAN,
            "a position for missing; true when left out",
        ),
        may(
            "prior_variance",
            &POSITIVE,
            "of its weights; the model's when left out",
        ),
    ],
);

pub(super) static BINS: Shape = shape(
    "binned feature",
    "A position a bin, one for missing.",
    &[
        must("bins", &CEL, "slot"),
        must(
            "edges",
            &NUMBERS,
            "ascending; a value equal to an edge is in the bin above",
        ),
        may(
            "missing",
            &BOOLEAN,
            "a position for missing; true when left out",
        ),
        may(
            "prior_variance",
            &POSITIVE,
            "of its weights; the model's when left out",
        ),
    ],
);

pub(super) static CROSS: Shape = shape(
    "crossed feature",
    "A position for each pair of two features' positions.",
    &[
        must("cross", &CROSSED, "two features"),
        may(
            "prior_variance",
            &POSITIVE,
            "of its weights; the model's when left out",
        ),
    ],
);

pub(super) static INTERCEPT: Shape = shape(
    "intercept",
    "The constant one.",
    &[
        must("intercept", &Kind::Choice(&[("true", "")]), "`true`"),
        may(
            "prior_variance",
            &POSITIVE,
            "of its weight; the model's when left out",
        ),
    ],
);

pub(super) static CROSSED: Kind =
    Kind::List(&Kind::Tagged(&[&ONE_HOT, &BINS, &STANDARD, &CROSS]), 2);

pub(super) static FEATURES: Kind = Kind::List(
    &Kind::Any(&[
        &Kind::Choice(&[("intercept", "the constant one")]),
        &Kind::Tagged(&[&STANDARD, &ONE_HOT, &BINS, &CROSS, &INTERCEPT]),
    ]),
    1,
);

pub(super) static MODEL: Kind = Kind::Object(&shape(
    "model",
    "Declared features and the online learner behind them.",
    &[
        must(
            "kind",
            &Kind::Choice(&[
                ("linear", "bayesian linear regression"),
                (
                    "logistic",
                    "bayesian logistic regression, for rewards of 0 and 1",
                ),
            ]),
            "likelihood of the reward",
        ),
        must(
            "scope",
            &Kind::Choice(&[
                ("per_item", "items have weights of their own"),
                ("shared", "one model for all items"),
            ]),
            "whether items have weights of their own",
        ),
        must("reward", &NAME, "what it learns"),
        must("catalogue", &NAME, "whose items it scores"),
        must("features", &FEATURES, "features in order"),
        may(
            "prior_variance",
            &POSITIVE,
            "of every weight that its feature does not say; 1 when left out",
        ),
        may(
            "prior_intercept",
            &ANY_NUMBER,
            "prior mean of the intercept (log-odds when logistic); 0 when left out",
        ),
        may(
            "noise_variance",
            &POSITIVE,
            "of a linear model; 1 when left out",
        ),
        may(
            "drift_variance",
            &Kind::Number(0.0, 1.0),
            "variance that every weight gains before each sample; 0 means no drift",
        ),
        may(
            "reward_bounds",
            &Kind::List(&ANY_NUMBER, 2),
            "rewards outside are held at these; [0, 1] for logistic",
        ),
        may(
            "replicates",
            &Kind::Integer(2, REPLICATES_MAX as i64),
            "copies of each belief that learn from resampled answers, for `bootstrap` exploration; none when left out",
        ),
        may("description", &PARAGRAPH, "what it predicts"),
    ],
));

pub(super) static CAP: Kind = Kind::Object(&shape(
    "cap",
    "At most so many contacts within a window.",
    &[
        must("name", &NAME, "its name in traces"),
        must(
            "limit",
            &Kind::Integer(0, CONTACTS_MAX as i64),
            "largest number of contacts; 0 means never",
        ),
        must("window", &WINDOW, "`lifetime` or a length of time"),
        may(
            "scope",
            &Kind::Any(&[
                &Kind::Choice(&[
                    ("customer", "every contact of the customer in the scene"),
                    ("policy", "contacts by this policy"),
                    ("item", "contacts with the same item"),
                ]),
                &Kind::Object(&shape(
                    "cap scope",
                    "Contacts through a channel.",
                    &[must("channel", &NAME, "the channel")],
                )),
            ]),
            "what counts; `customer` when left out",
        ),
    ],
));

pub(super) static POLICY_KEYS: &[KeyRule] = &[
    may(
        "like",
        &NAME,
        "another policy: what is not written here is as there",
    ),
    must("catalogue", &NAME, "whose items are the candidates"),
    must("channel", &NAME, "what a choice is delivered through"),
    may("eligibility", &NAMED_RULES, "must be true of the customer"),
    may(
        "suitability",
        &NAMED_RULES,
        "must be true of customer and item together",
    ),
    may(
        "exclusions",
        &NAMED_RULES,
        "true excludes, and so does unknown",
    ),
    may("consent", &NAME, "boolean tag that must be true"),
    may(
        "retrieval",
        &RETRIEVAL,
        "keeps the best of the catalogue by factors, before anything else is scored",
    ),
    may(
        "ranking",
        &RANKING,
        "orders what is left by trees, and keeps the best",
    ),
    must(
        "score",
        &SCORE,
        "an expression, `{model: NAME}`, or `{objectives: ...}`",
    ),
    must(
        "exploration",
        &EXPLORATION,
        "how the distribution is made from the scores",
    ),
    may(
        "slots",
        &Kind::Integer(1, SLATE_MAX as i64),
        "positions to fill; 1 when left out",
    ),
    may("diversity", &DIVERSITY, "variety in a slate"),
    must(
        "null_action",
        &Kind::Object(&shape(
            "null action",
            "What silence means.",
            &[
                must("name", &NAME, "its name in records"),
                may("arm", &BOOLEAN, "scored and explored beside the items"),
                may(
                    "score",
                    &ANY_NUMBER,
                    "its score under an expression; 0 when left out",
                ),
            ],
        )),
        "what silence means",
    ),
    may("caps", &Kind::List(&CAP, 0), "frequency caps"),
    may(
        "quiet_period",
        &DURATION,
        "least time between two contacts through the channel",
    ),
    may(
        "quiet_hours",
        &Kind::Object(&shape(
            "quiet hours",
            "Hours of the customer's day in which nothing is sent.",
            &[
                must("from", &CLOCK, "first quiet minute"),
                must("to", &CLOCK, "first minute after"),
            ],
        )),
        "hours of the customer's day in which nothing is sent",
    ),
    may(
        "budgets",
        &Kind::List(
            &Kind::Object(&shape(
                "budget use",
                "What a choice costs a budget.",
                &[
                    must("budget", &NAME, "the budget"),
                    must(
                        "cost",
                        &CEL,
                        "cost of one choice: an integer, or money of the budget's currency",
                    ),
                    may(
                        "price",
                        &PRICE,
                        "what a unit of a daily budget costs the score",
                    ),
                ],
            )),
            0,
        ),
        "what a choice costs",
    ),
    may(
        "valid_for",
        &DURATION,
        "how long a send intent may wait; 1h when left out",
    ),
    may(
        "receipts_within",
        &DURATION,
        "how long after `valid_for` a delivery receipt may still come before the money is given back; 15m when left out",
    ),
    may("rewards", &NAMES, "rewards that its decisions wait for"),
    may(
        "permits",
        &Kind::Choice(&[
            ("buy", "a purchase of the item that it chose"),
            ("redeem", "a redemption of the item that it chose"),
        ]),
        "orders that its decisions permit: where a policy of the catalogue says so, an order is proved by such a decision alone",
    ),
    may("description", &PARAGRAPH, "what it is for"),
];

pub(super) static POLICY: Kind = Kind::Object(&Shape {
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
pub(crate) const POLICY_MUSTS: [&str; 5] = [
    "catalogue",
    "channel",
    "score",
    "exploration",
    "null_action",
];

pub(super) static BUDGET: Kind = Kind::Object(&shape(
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
                    &[
                        must("amount", &DECIMAL, "decimal, such as \"12.50\""),
                        must("currency", &CURRENCY, "iso 4217 code"),
                    ],
                )),
            ]),
            "a count, or `{amount: \"12.50\", currency: CNY}`",
        ),
        must(
            "period",
            &Kind::Choice(&[("total", "once"), ("daily", "each day of the scene's zone")]),
            "how long it runs before it starts anew",
        ),
        may(
            "rows",
            &Kind::Integer(1, 256),
            "rows it is kept in; 16 when left out",
        ),
        may(
            "lasts",
            &Kind::Object(&shape(
                "lasts",
                "The time that a total budget is to last; prices keep pace with it.",
                &[
                    must(
                        "from",
                        &LINE,
                        "time with its offset, such as 2026-11-01T00:00:00+08:00",
                    ),
                    must("until", &LINE, "time with its offset, after `from`"),
                ],
            )),
            "of a total budget: the time that it is to last, for `price`",
        ),
        may("description", &PARAGRAPH, "what it pays for"),
    ],
));
