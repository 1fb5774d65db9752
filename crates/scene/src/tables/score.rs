//! How candidates are narrowed down, scored and explored.

use super::act::FEATURES;
use super::base::*;
use crate::shape::Kind;
use luopan_kernel::plan::policy::{EACH_KEPT_MAX, KEPT_MAX, SLATE_MAX};

static NOT_NEGATIVE: Kind = Kind::Number(0.0, luopan_kernel::value::NUMBER_MAX);
static KEEP: Kind = Kind::Integer(1, KEPT_MAX as i64);

static ARTIFACT_KIND: Kind = Kind::Choice(&[
    (
        "trees",
        "gradient-boosted trees: LightGBM's text model, or Luopan's own form",
    ),
    ("factors", "vectors of customers' features and of items"),
    (
        "sequence",
        "what follows the words of a sequence: a model of intention",
    ),
]);

pub(super) static ARTIFACT: Kind = Kind::Tagged(&[
    &shape(
        "artifact of a file",
        "A trained file of the pack's folder `artifacts`.",
        &[
            must(
                "file",
                &LINE,
                "path within the pack, such as `artifacts/order.txt`",
            ),
            must("kind", &ARTIFACT_KIND, "what it holds"),
            may("description", &PARAGRAPH, "what it was trained on and when"),
        ],
    ),
    &shape(
        "artifact of a model",
        "The version of a registered model that is in force; `luopan model promote` puts another one in its place.",
        &[
            must("model", &NAME, "the model, as it was registered"),
            must("kind", &ARTIFACT_KIND, "what it holds"),
            may("description", &PARAGRAPH, "what it is for"),
        ],
    ),
]);

pub(super) static RETRIEVAL: Kind = Kind::Object(&shape(
    "retrieval",
    "Keeps the best of the catalogue by factors; what they gave is `score.retrieved`.",
    &[
        must("factors", &NAME, "an artifact of kind `factors`"),
        must(
            "customer",
            &FEATURES,
            "features of the customer, as the factors were trained with",
        ),
        may(
            "item",
            &FEATURES,
            "features of the item beside its own vector; none when left out",
        ),
        must("keep", &KEEP, "how many are kept"),
        may(
            "each",
            &KEEP_EACH,
            "what is kept beside them: the best of each value of an attribute",
        ),
        may(
            "learn_from",
            &Kind::List(&LEARN_FROM, 1),
            "what `luopan train factors` trains the factors from",
        ),
    ],
));

static KEEP_EACH: Kind = Kind::Object(&shape(
    "the best of each",
    "The best of each value of an attribute are kept beside the best of all, so that the score can choose among kinds that the factors would leave out.",
    &[
        must("by", &CEL, "attribute of the item, such as `item.kind`"),
        must(
            "keep",
            &Kind::Integer(1, EACH_KEPT_MAX as i64),
            "of each value; of more than 64 values those count that most items have",
        ),
    ],
));

static LEARN_FROM: Kind = Kind::Object(&shape(
    "what factors are trained from",
    "Events that say which item a customer chose.",
    &[
        must("event", &NAME, "type of event"),
        may(
            "item",
            &NAME,
            "text field that holds the item's key; `item` when left out",
        ),
        may("where", &CEL, "condition over the event's fields"),
        may(
            "weight",
            &POSITIVE,
            "how much one event counts; 1 when left out",
        ),
    ],
));

static INPUT: Kind = Kind::Any(&[
    &CEL,
    &Kind::Object(&shape(
        "input of trees",
        "A text, told to the trees as its place among categories.",
        &[
            must("of", &CEL, "tag or attribute"),
            must(
                "categories",
                &TEXTS,
                "in the order that the trees were trained with, from zero",
            ),
        ],
    )),
]);

pub(super) static RANKING: Kind = Kind::Object(&shape(
    "ranking",
    "Orders candidates by trees; what they gave is `score.ranked`.",
    &[
        must("trees", &NAME, "an artifact of kind `trees`"),
        may(
            "inputs",
            &Kind::LooseMap(&INPUT),
            "what each feature of the trees is; one that is left out is the tag or attribute of its name",
        ),
        must("keep", &KEEP, "how many are kept"),
    ],
));

static FIGURES: Kind = Kind::LooseMap(&ANY_NUMBER);

static OBJECTIVE: Kind = Kind::Tagged(&[
    &shape(
        "objective of a model",
        "A model's prediction as one of several objectives.",
        &[
            must("model", &NAME, "the model"),
            may(
                "weight",
                &ANY_NUMBER,
                "in the score; below zero for what is to be avoided; 1 when left out",
            ),
            may("floor", &ANY_NUMBER, "a candidate of less is not available"),
        ],
    ),
    &shape(
        "objective of an expression",
        "An expression as one of several objectives.",
        &[
            must("value", &CEL, "number, integer, money or boolean"),
            may(
                "weight",
                &ANY_NUMBER,
                "in the score; below zero for what is to be avoided; 1 when left out",
            ),
            may("floor", &ANY_NUMBER, "a candidate of less is not available"),
        ],
    ),
]);

static GROUP: Kind = Kind::Object(&shape(
    "group of customers",
    "Weights and floors of customers for whom the rule is true.",
    NAMED_GROUP_KEYS,
));

static NAMED_GROUP_KEYS: &[crate::shape::KeyRule] = &[
    must("name", &NAME, "its name"),
    must("rule", &CEL, "who belongs: a condition over tags"),
    may("version", &LINE, "version or effective date"),
    may("weights", &FIGURES, "by objective; others keep their own"),
    may("floors", &FIGURES, "by objective; others keep their own"),
];

pub(super) static SCORE: Kind = Kind::Any(&[
    &CEL,
    &Kind::Tagged(&[
        &shape(
            "score",
            "A model's prediction.",
            &[must("model", &NAME, "the model")],
        ),
        &shape(
            "score of objectives",
            "The sum of several objectives, each times its weight.",
            &[
                must(
                    "objectives",
                    &Kind::LooseMap(&OBJECTIVE),
                    "by name: `{model: NAME}` or `{value: EXPRESSION}`, with `weight` and `floor`",
                ),
                may(
                    "groups",
                    &Kind::List(&GROUP, 0),
                    "other weights and floors; a customer belongs to the first group whose rule is true",
                ),
                may(
                    "explore",
                    &NAME,
                    "the objective whose model's uncertainty is explored; may be left out where only one has a model",
                ),
            ],
        ),
    ]),
]);

pub(super) static DIVERSITY: Kind = Kind::Object(&shape(
    "diversity",
    "At most so many of a slate are alike.",
    &[
        must("by", &CEL, "attribute of the item, such as `item.kind`"),
        may(
            "at_most",
            &Kind::Integer(1, SLATE_MAX as i64),
            "of one value; 1 when left out",
        ),
    ],
));

pub(super) static PRICE: Kind = Kind::Object(&shape(
    "price",
    "What a unit of a budget costs the score: max(0, base + rate * (share spent - share of its time gone)).",
    &[
        may(
            "base",
            &NOT_NEGATIVE,
            "price when spending keeps pace; 0 when left out",
        ),
        must(
            "rate",
            &NOT_NEGATIVE,
            "what a whole limit spent ahead of time adds",
        ),
        may(
            "horizon",
            &Kind::Choice(&[
                ("fixed", "being ahead is a share of the whole time"),
                (
                    "receding",
                    "being ahead is a share of the time that is left, so that what is left of the budget lasts for it",
                ),
            ]),
            "what being ahead is measured by; fixed when left out",
        ),
    ],
));

pub(super) static EXPLORATION: Kind = Kind::Any(&[
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
                        may(
                            "draws",
                            &Kind::Integer(1, 10_000),
                            "posterior draws a decision; 100 when left out",
                        ),
                        may(
                            "floor",
                            &SHARE,
                            "probability spread evenly; 0.01 when left out",
                        ),
                        may(
                            "scale",
                            &POSITIVE,
                            "factor on the posterior's deviation; 1 when left out",
                        ),
                    ],
                )),
                "its setting",
            )],
        ),
        &shape(
            "linucb exploration",
            "The largest score plus so many posterior deviations.",
            &[must(
                "linucb",
                &Kind::Object(&shape(
                    "linucb setting",
                    "The largest score plus so many posterior deviations.",
                    &[
                        may("alpha", &NOT_NEGATIVE, "deviations; 1 when left out"),
                        may(
                            "floor",
                            &SHARE,
                            "probability spread evenly; 0.01 when left out",
                        ),
                    ],
                )),
                "its setting",
            )],
        ),
        &shape(
            "bootstrap exploration",
            "The shares of a model's replicates in which each is the best.",
            &[must(
                "bootstrap",
                &Kind::Object(&shape(
                    "bootstrap setting",
                    "The shares of a model's replicates in which each is the best.",
                    &[may(
                        "floor",
                        &SHARE,
                        "probability spread evenly; 0.01 when left out",
                    )],
                )),
                "its setting",
            )],
        ),
        &shape(
            "squarecb exploration",
            "Probabilities by the inverse of the gap to the best.",
            &[must(
                "squarecb",
                &POSITIVE,
                "gamma: the larger, the less is explored",
            )],
        ),
        &shape(
            "softmax exploration",
            "Softmax of score / temperature.",
            &[must("softmax", &POSITIVE, "temperature")],
        ),
    ]),
]);
