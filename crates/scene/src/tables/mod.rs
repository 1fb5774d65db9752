//! The key tables of packs and of import mappings: every key there is, its kind and its meaning. The checker and the JSON
//! Schema are both made from these, so a key that is not here does not exist.

mod act;
mod base;
mod know;
mod mapping;
mod moment;
mod score;
mod watch;

pub(crate) use act::{POLICY_MUSTS, WHOLE_POLICY};
pub(crate) use mapping::MAPPING;

use crate::shape::{EXPRESSION_BYTES_MAX, Kind, Shape};
use act::{BUDGET, MODEL, POLICY, REWARD, RULE, RULE_SET, SEGMENT};
use base::{DURATION, NAME, PARAGRAPH, ZONE, may, shape};
use know::{CALENDAR, CATALOGUE, CONTEXT, DERIVED, EVENT, FIELDS, ORDERS, SETTING, TAG};
use luopan_kernel::plan::tag::TILES_MAX;
use moment::{INTENTION, MARKET, SEQUENCE};
use score::ARTIFACT;
use watch::{CONTEST, MONITOR};

static PACK_SHAPE: Shape = shape(
    "pack",
    "A file of a scene pack. Any file may hold any section; all files of a pack together are the scene.",
    &[
        may("scene", &NAME, "name of the scene; exactly one file has it"),
        may("description", &PARAGRAPH, "what the scene is for"),
        may(
            "zone",
            &ZONE,
            "iana zone of customers whose own is unknown; UTC when left out",
        ),
        may(
            "zone_attribute",
            &NAME,
            "customer attribute (text) that holds the customer's iana zone",
        ),
        may(
            "dedup_horizon",
            &DURATION,
            "how long an event id is remembered; 7d when left out",
        ),
        may(
            "settings",
            &Kind::Map(&SETTING),
            "constants that rules read as `settings.NAME`",
        ),
        may(
            "customer",
            &FIELDS,
            "attributes of customers, set by imports; each is a tag of the same name",
        ),
        may("events", &Kind::LooseMap(&EVENT), "types of events"),
        may("tags", &Kind::Map(&TAG), "what is known of a customer"),
        may(
            "sequences",
            &Kind::Map(&SEQUENCE),
            "the customer's latest acts, each a tag: a text of words",
        ),
        may("derived", &Kind::Map(&DERIVED), "expressions over tags"),
        may(
            "request",
            &CONTEXT,
            "fields of the context of a decision request, read as `request.NAME`",
        ),
        may(
            "calendars",
            &Kind::Map(&CALENDAR),
            "trading days, read as `env.trading_day_NAME` and the like",
        ),
        may(
            "market",
            &Kind::Map(&MARKET),
            "how the market moved, by catalogues; read as `env.market_NAME`",
        ),
        may(
            "catalogues",
            &Kind::Map(&CATALOGUE),
            "items, their attributes read as `item.NAME`",
        ),
        may(
            "orders",
            &Kind::Map(&ORDERS),
            "by catalogue: the life of orders for its items; read as `book.CATALOGUE.NAME` and `held.NAME`",
        ),
        may(
            "segments",
            &Kind::LooseMap(&SEGMENT),
            "groups of customers kept up to date",
        ),
        may(
            "rules",
            &Kind::LooseMap(&RULE),
            "conditions that several policies use",
        ),
        may(
            "rule_sets",
            &Kind::LooseMap(&RULE_SET),
            "rules that go together, used by one name",
        ),
        may(
            "rewards",
            &Kind::LooseMap(&REWARD),
            "what a decision is judged by",
        ),
        may("models", &Kind::LooseMap(&MODEL), "what is learned"),
        may("budgets", &Kind::LooseMap(&BUDGET), "what may be spent"),
        may(
            "artifacts",
            &Kind::Map(&ARTIFACT),
            "trained files: trees, factors, models of sequences",
        ),
        may(
            "intentions",
            &Kind::Map(&INTENTION),
            "next acts predicted, read as `intention.NAME.CLASS`",
        ),
        may(
            "policies",
            &Kind::LooseMap(&POLICY),
            "whom to reach with what",
        ),
        may(
            "contests",
            &Kind::Map(&CONTEST),
            "which policy decides in the place of which, for a share of the customers",
        ),
        may(
            "monitors",
            &Kind::Map(&MONITOR),
            "what is watched of policies, and how much of a change is told",
        ),
    ],
);

/// What a section must be.
pub(crate) fn section_kind(name: &str) -> Option<&'static Kind> {
    PACK_SHAPE
        .keys
        .iter()
        .find(|k| k.name == name)
        .map(|k| k.kind)
}

/// A file of a pack.
pub(crate) static PACK: Kind = Kind::Object(&PACK_SHAPE);

const _: () = assert!(
    TILES_MAX == 64 && EXPRESSION_BYTES_MAX == 4096,
    "the documentation above says so"
);
