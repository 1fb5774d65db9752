//! Kinds that many keys share.

use crate::shape::{KeyRule, Kind, Shape};
use luopan_kernel::value::{NUMBER_MAX, TEXT_BYTES_MAX};

pub(super) const fn must(name: &'static str, kind: &'static Kind, doc: &'static str) -> KeyRule {
    KeyRule {
        name,
        kind,
        required: true,
        doc,
    }
}

pub(super) const fn may(name: &'static str, kind: &'static Kind, doc: &'static str) -> KeyRule {
    KeyRule {
        name,
        kind,
        required: false,
        doc,
    }
}

pub(super) const fn shape(
    name: &'static str,
    doc: &'static str,
    keys: &'static [KeyRule],
) -> Shape {
    Shape {
        name,
        doc,
        keys,
        unless: None,
    }
}

pub(super) static NAME: Kind = Kind::Name;
pub(super) static LINE: Kind = Kind::Text(200);
pub(super) static PARAGRAPH: Kind = Kind::Text(4000);
pub(super) static BOOLEAN: Kind = Kind::Boolean;
pub(super) static CEL: Kind = Kind::Cel;
pub(super) static SCALAR: Kind = Kind::Scalar;
pub(super) static DURATION: Kind = Kind::Duration;
pub(super) static CURRENCY: Kind = Kind::Currency;
pub(super) static ZONE: Kind = Kind::Zone;
pub(super) static DAY: Kind = Kind::Day;
pub(super) static CLOCK: Kind = Kind::Clock;
pub(super) static DECIMAL: Kind = Kind::Decimal;
pub(super) static ANY_NUMBER: Kind = Kind::Number(-NUMBER_MAX, NUMBER_MAX);
pub(super) static SHARE: Kind = Kind::Number(0.0, 1.0);
pub(super) static POSITIVE: Kind = Kind::Positive(NUMBER_MAX);
pub(super) static VERSION: Kind = Kind::Integer(1, u32::MAX as i64);
pub(super) static TEXTS: Kind = Kind::List(&SCALAR, 1);
pub(super) static WORDS: Kind = Kind::List(&Kind::Text(TEXT_BYTES_MAX), 1);
pub(super) static NUMBERS: Kind = Kind::List(&ANY_NUMBER, 1);
pub(super) static NAMES: Kind = Kind::List(&NAME, 0);
pub(super) static DAYS: Kind = Kind::List(&DAY, 0);
pub(super) static WINDOW: Kind =
    Kind::Any(&[&Kind::Choice(&[("lifetime", "all events ever")]), &DURATION]);
