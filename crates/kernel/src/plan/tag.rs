//! Tags: what is known of a customer, declared as an aggregate over events. Folding lives in [`crate::fold`], the state
//! of a tag in [`crate::profile`].

use super::rule::Expr;
use super::slot::EnvironmentTag;
use crate::profile::BINS_KEPT;
use crate::value::{TEXT_BYTES_MAX, Value, ValueType};
use serde::{Deserialize, Serialize};

/// Most tiles a sliding window is cut into.
pub const TILES_MAX: u32 = 64;

/// Values a distinct count keeps: exact up to here, above it estimated from the k smallest hashes
/// (Bar-Yossef et al. 2002; relative standard error about 1/sqrt(k-2)).
pub const DISTINCT_KEPT: usize = 128;

/// Most sequences of one scene.
pub const SEQUENCES_MAX: usize = 8;

/// Most acts that a sequence keeps.
pub const SEQUENCE_MAX: usize = 32;

/// Most words of a sequence, and its longest word in bytes, so that the text of a sequence stays below
/// [`TEXT_BYTES_MAX`].
pub const SEQUENCE_WORDS_MAX: usize = 32;
/// See [`SEQUENCE_WORDS_MAX`].
pub const SEQUENCE_WORD_BYTES_MAX: usize = 32;

/// What stands in the text of a sequence where a pause lies.
pub const PAUSE: &str = "|";

/// A word of a sequence, and the events that say it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Word.
    pub word: String,
    /// Index into [`super::ScenePlan::events`].
    pub event: u16,
    /// Condition over the event's fields; unknown does not count. Of several words of one event the first that fits is said.
    pub filter: Option<Expr>,
}

/// What is aggregated: `of` is the index of a field in the event's schema; absent, each event counts as one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measure {
    /// Field index, or none for the event itself.
    pub of: Option<u16>,
    /// Condition over the event's fields; unknown does not count.
    pub filter: Option<Expr>,
}

/// The aggregate functions. Every one merges over linked identifiers and, `first`/`last` by time and event hash, does
/// not depend on the order of arrival; `ewma` depends on it in the last bits only.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Aggregate {
    /// Number of events.
    Count,
    /// Sum, exact in fixed point.
    Sum,
    /// Least value.
    Min,
    /// Greatest value.
    Max,
    /// Mean, from the exact sum and the count.
    Mean,
    /// Value of the latest event.
    Last,
    /// Value of the earliest event.
    First,
    /// Number of different values.
    Distinct,
    /// Time since the latest event, a duration.
    Recency,
    /// Exponentially weighted moving average in continuous time: an event's weight halves every `half_life_us`.
    Ewma {
        /// Half life in microseconds, at least one second.
        half_life_us: i64,
    },
    /// Quantile by nearest rank, from a sketch: at most 1/64 above the true one, never below it.
    Quantile {
        /// Which, in millionths: 900,000 is the 90th percentile.
        millionths: u32,
        /// The newest value is left out, so that it can be compared with those before it.
        without_latest: bool,
    },
    /// The latest acts as a text of words, oldest first, with [`PAUSE`] where nothing was done for long.
    Sequence {
        /// Acts kept, 1..=[`SEQUENCE_MAX`].
        keep: u8,
        /// A pause: this long without an act, in microseconds. None marks no pauses.
        pause_us: Option<i64>,
        /// Words, at most [`SEQUENCE_WORDS_MAX`].
        steps: Vec<Step>,
    },
    /// Ratio of two sums or counts of the same event type: the tag's own measure over `denominator`; unknown when that is zero.
    Ratio {
        /// What the tag's measure is divided by.
        denominator: Measure,
    },
}

/// Over which events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Window {
    /// All of them.
    Lifetime,
    /// The last `tiles * tile_us` microseconds before the moment of reading, cut into tiles aligned to the epoch: at
    /// time t the window holds the tiles `floor(t / tile_us) - tiles + 1 ..= floor(t / tile_us)`.
    Sliding {
        /// Length of a tile, at least one second.
        tile_us: i64,
        /// Number of tiles, 1..=[`TILES_MAX`].
        tiles: u32,
    },
}

impl TagPlan {
    /// Most bytes that the tag's state takes in a stored profile.
    pub fn bytes_max(&self) -> usize {
        let cell = match self.aggregate {
            Aggregate::First | Aggregate::Last if self.kind == ValueType::Text => {
                TEXT_BYTES_MAX + 40
            }
            Aggregate::Distinct => 8 * DISTINCT_KEPT + 40,
            Aggregate::Ratio { .. } => 120,
            Aggregate::Quantile { .. } => 13 * BINS_KEPT + 60,
            Aggregate::Sequence { .. } => 19 * SEQUENCE_MAX + 20,
            _ => 60,
        };
        let tiles = match self.window {
            Window::Lifetime => 1,
            // One more than the window holds: the tile that is just leaving it.
            Window::Sliding { tiles, .. } => tiles as usize + 1,
        };
        16 + tiles * (cell + 10)
    }
}

/// A declared tag.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TagPlan {
    /// Hash of the definition (all but name and default; the names and types of the event and fields it reads rather than
    /// their indexes): a tag whose definition did not change keeps its state, also when it is renamed.
    pub id: u64,
    /// Name.
    pub name: String,
    /// Type of its value.
    #[serde(rename = "type")]
    pub kind: ValueType,
    /// Index into [`super::ScenePlan::events`]; of a sequence, that of its first word.
    pub event: u16,
    /// What is aggregated; of a sequence nothing.
    pub measure: Measure,
    /// How.
    pub aggregate: Aggregate,
    /// Over what.
    pub window: Window,
    /// Value when nothing was seen: zero for counts and sums unless declared, else missing.
    pub default: Value<'static>,
    /// Not usable as a model feature, with the reason (inherited from the field it aggregates).
    #[serde(default)]
    pub not_a_feature: Option<String>,
    /// What conditions over the event read of the exchange's clock when it happened: the slots of their numbers above the
    /// event's fields, in this order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub clock: Vec<EnvironmentTag>,
}

impl TagPlan {
    /// The types of events that the tag reads, by index, in order of the declaration; a type may stand there twice.
    pub fn events(&self) -> Vec<u16> {
        match &self.aggregate {
            Aggregate::Sequence { steps, .. } => steps.iter().map(|s| s.event).collect(),
            _ => vec![self.event],
        }
    }
}
