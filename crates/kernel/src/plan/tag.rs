//! Tags: what is known of a customer, declared as an aggregate over events. Folding lives in [`crate::fold`], the state
//! of a tag in [`crate::profile`].

use super::rule::Expr;
use crate::value::{TEXT_BYTES_MAX, Value, ValueType};
use serde::{Deserialize, Serialize};

/// Most tiles a sliding window is cut into.
pub const TILES_MAX: u32 = 64;

/// Values a distinct count keeps: exact up to here, above it estimated from the k smallest hashes
/// (Bar-Yossef et al. 2002; relative standard error about 1/sqrt(k-2)).
pub const DISTINCT_KEPT: usize = 128;

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
    /// Index into [`super::ScenePlan::events`].
    pub event: u16,
    /// What is aggregated.
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
}
