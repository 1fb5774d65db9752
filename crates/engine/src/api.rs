//! What the loop offers to the rim: plain values in and out. The server turns HTTP and command lines into these and
//! back; nothing here knows JSON documents, status codes or files.

use luopan_kernel::event::Origin;
use luopan_kernel::id::{IdentifierId, PartitionId, Position};
use luopan_kernel::record::DecisionRecord;
use luopan_kernel::time::Micros;
use luopan_kernel::value::Value;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

/// Most events of one call of [`crate::Engine::ingest`].
pub const EVENTS_PER_CALL_MAX: usize = 10_000;
/// Largest event, as received, in bytes.
pub const EVENT_BYTES_MAX: usize = 1 << 20;
/// How far an event may lie in the future of the clock, in microseconds.
pub const FUTURE_SKEW_US_MAX: i64 = 5 * luopan_kernel::time::MINUTE_US;
/// Longest wait for `at_least`, in microseconds.
pub const WAIT_US_MAX: i64 = 30 * luopan_kernel::time::SECOND_US;
/// Most attempts of one decision before it records the null action.
pub const DECIDE_ATTEMPTS_MAX: u32 = 8;

/// A property value as it came in, before it is looked at through the schema.
#[derive(Debug, Clone, PartialEq)]
pub enum Raw<'a> {
    /// JSON null or an empty cell: the property is absent.
    Null,
    /// Boolean.
    Bool(bool),
    /// Integer that fits 64 bits.
    Int(i64),
    /// Any other number.
    Number(f64),
    /// Text.
    Text(Cow<'a, str>),
    /// An array or object; no declared type accepts it. The text says which.
    Compound(&'static str),
}

/// A value as it comes in; a time in microseconds.
impl<'v> From<Value<'v>> for Raw<'v> {
    fn from(value: Value<'v>) -> Self {
        match value {
            Value::Missing => Raw::Null,
            Value::Bool(v) => Raw::Bool(v),
            Value::Int(v) => Raw::Int(v),
            Value::Number(v) => Raw::Number(v),
            Value::Text(v) => Raw::Text(v),
            Value::Time(v) => Raw::Int(v.0),
        }
    }
}

/// What is said of an item of a catalogue, before it is looked at through the declaration.
#[derive(Debug, Clone, PartialEq)]
pub enum ProductInput {
    /// The item as a whole: attributes that are not named are not known.
    Set {
        /// Key, 1..=128 bytes.
        key: String,
        /// Values by attribute.
        values: Vec<(String, Raw<'static>)>,
    },
    /// Some attributes change (a re-rating, a suspension), the others stay. Null takes a value away.
    Change {
        /// Key of an item that is there.
        key: String,
        /// Values by attribute.
        values: Vec<(String, Raw<'static>)>,
    },
    /// The item is offered no more: merged, wound up. It stays readable, and imports do not bring it back.
    Withdraw {
        /// Key of an item that is there.
        key: String,
        /// When; now when absent.
        at: Option<Micros>,
        /// Key of the item that takes its place.
        successor: Option<String>,
        /// The opposite: it is offered again.
        restored: bool,
    },
    /// Net asset value of a day. Told again for the same day it is restated: the latest wins.
    Nav {
        /// Key of an item that is there.
        key: String,
        /// Day of valuation, days since 1970-01-01.
        day: i32,
        /// NAV of a unit, above zero.
        nav: Raw<'static>,
        /// Unit NAV with all payments added back, where it is published.
        accumulated: Raw<'static>,
    },
    /// An announcement about the item.
    Announce {
        /// Key of an item that is there.
        key: String,
        /// Kind, a word of the sender's.
        kind: String,
        /// What it says, at most 4,096 bytes.
        title: String,
        /// When; now when absent.
        at: Option<Micros>,
    },
}

/// An item of a catalogue as it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct ItemView {
    /// Key.
    pub key: String,
    /// Attributes in declared order, measures among them; missing ones too.
    pub attributes: Vec<(String, Value<'static>)>,
    /// Names of attributes whose values were generated, not published.
    pub generated: Vec<String>,
    /// Since when it is offered no more.
    pub withdrawn_at: Option<Micros>,
    /// What took its place.
    pub successor: Option<String>,
}

/// Items of a catalogue, ascending by key.
#[derive(Debug, Clone, PartialEq)]
pub struct ItemPage {
    /// Version of the catalogue: the position of the environment partition that it reflects.
    pub version: u64,
    /// Candidates in the whole catalogue.
    pub candidates: u64,
    /// Withdrawn items in it.
    pub withdrawn: u64,
    /// The items.
    pub items: Vec<ItemView>,
    /// True when there are more behind the last one.
    pub more: bool,
}

/// An event as it came in.
#[derive(Debug, Clone, PartialEq)]
pub struct Incoming<'a> {
    /// Sender's id of the event, 1..=128 bytes.
    pub id: Cow<'a, str>,
    /// Whose event, as the sender names them, 1..=128 bytes.
    pub customer: Cow<'a, str>,
    /// Declared type.
    pub kind: Cow<'a, str>,
    /// When it happened; absent, it is the time of intake.
    pub occurred_at: Option<Micros>,
    /// Properties, in any order.
    pub properties: Vec<(Cow<'a, str>, Raw<'a>)>,
    /// Context, in any order.
    pub context: Vec<(Cow<'a, str>, Raw<'a>)>,
    /// Id of the event that this one corrects; it carries the difference.
    pub corrects: Option<Cow<'a, str>>,
    /// The input as received, kept when it goes to quarantine.
    pub raw: Cow<'a, str>,
}

/// Input that could not even be read as an event (malformed JSON, ragged row); it goes to quarantine as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable<'a> {
    /// The input as received (cut at [`EVENT_BYTES_MAX`]).
    pub raw: Cow<'a, str>,
    /// Stable code of the fault.
    pub code: &'static str,
    /// What was found and what to write instead.
    pub reason: String,
}

/// One input of a batch.
pub type Input<'a> = std::result::Result<Incoming<'a>, Unreadable<'a>>;

/// What became of one input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum Outcome {
    /// Durable in the log. Whether it is a duplicate is known once it is folded.
    Accepted {
        /// Partition.
        partition: PartitionId,
        /// Position after the event: State that reflects it has seen the event.
        position: Position,
    },
    /// Durable in quarantine.
    Quarantined {
        /// Id of the quarantine row.
        quarantine_id: String,
        /// Stable code.
        code: String,
        /// What was found and what to write instead.
        reason: String,
    },
}

/// Positions to wait for: the greatest per partition. Written as `3:17,200:4`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PositionToken(pub BTreeMap<PartitionId, Position>);

impl PositionToken {
    /// Widens the token to include a position.
    pub fn include(&mut self, partition: PartitionId, position: Position) {
        let at = self.0.entry(partition).or_default();
        *at = (*at).max(position);
    }
}

impl fmt::Display for PositionToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (p, at)) in self.0.iter().enumerate() {
            write!(f, "{}{}:{}", if i > 0 { "," } else { "" }, p.0, at.0)?;
        }
        Ok(())
    }
}

impl std::str::FromStr for PositionToken {
    type Err = String;
    fn from_str(s: &str) -> std::result::Result<Self, String> {
        let mut out = Self::default();
        for part in s.split(',').filter(|p| !p.is_empty()) {
            let fault = || {
                format!(
                    "`{part}` is not a position; write PARTITION:POSITION, as an answer gave it"
                )
            };
            let (p, at) = part.split_once(':').ok_or_else(fault)?;
            out.include(
                PartitionId(p.parse().map_err(|_| fault())?),
                Position(at.parse().map_err(|_| fault())?),
            );
        }
        Ok(out)
    }
}

/// The answer to a batch of events: everything in it is durable.
#[derive(Debug, Clone, Default)]
pub struct IngestReceipt {
    /// One a given input, in order.
    pub outcomes: Vec<Outcome>,
    /// Number accepted.
    pub accepted: u64,
    /// Number quarantined.
    pub quarantined: u64,
    /// Positions to hand to `at_least`.
    pub token: PositionToken,
}

/// A decision that is asked for.
#[derive(Debug, Clone)]
pub struct DecideRequest {
    /// Scene name.
    pub scene: String,
    /// Policy name.
    pub policy: String,
    /// Customer, by a foreign id.
    pub customer: String,
    /// The caller's key: the same key gives the first decision again, 1..=128 bytes.
    pub idempotency_key: Option<String>,
    /// Hash of the request as received: the same key with another body is refused.
    pub body_hash: [u8; 32],
    /// Request context, read by rules as `request.*`; ascending by name is not required.
    pub context: Vec<(String, Raw<'static>)>,
    /// Positions that the decision must have seen.
    pub at_least: PositionToken,
    /// How long to wait for them, microseconds, at most [`WAIT_US_MAX`].
    pub wait_us: i64,
    /// Origin; only `Live` spends and contacts on the live ledger.
    pub origin: Origin,
    /// Positions of the slate, when fewer than the policy's.
    pub slots: Option<u32>,
    /// The item that alone is asked for: chosen when it is available, and otherwise nothing is, with what refused it. This
    /// is how an order that the customer places by herself is checked.
    pub item: Option<String>,
}

/// A decision that was made, or made earlier under the same key.
#[derive(Debug, Clone)]
pub struct DecisionAnswer {
    /// The record as stored.
    pub record: DecisionRecord,
    /// True when the key had been used before and this is its first decision.
    pub repeated: bool,
}

/// What is known of a customer.
#[derive(Debug, Clone)]
pub struct CustomerView {
    /// Scene.
    pub scene: String,
    /// Canonical internal id.
    pub customer: IdentifierId,
    /// Linked identifiers, foreign ids, ascending by internal id.
    pub identifiers: Vec<String>,
    /// As of.
    pub as_of: Micros,
    /// Tags and derived tags with their values, in slot order.
    pub tags: Vec<(String, Value<'static>)>,
    /// Segments the customer is in.
    pub segments: Vec<String>,
    /// Recent contacts, oldest first: time, policy, channel, item.
    pub contacts: Vec<(Micros, String, String, String)>,
    /// Positions reflected, one an identifier.
    pub token: PositionToken,
}

/// A segment and its size.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentCount {
    /// Name.
    pub name: String,
    /// Rule as written.
    pub rule: String,
    /// Members now.
    pub members: u64,
}

/// The result of counting an ad-hoc rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleCount {
    /// Customers for whom the rule is true.
    pub matched: u64,
    /// Customers for whom it is unknown.
    pub unknown: u64,
    /// All customers of the scene.
    pub customers: u64,
}

/// A quarantined input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quarantined {
    /// Id.
    pub id: String,
    /// Scene name.
    pub scene: String,
    /// When it came.
    pub at: Micros,
    /// Stable code.
    pub code: String,
    /// What was found and what to write instead.
    pub reason: String,
    /// Origin.
    pub origin: Origin,
    /// The input as received.
    pub raw: String,
}

/// What log retention did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetainReport {
    /// What was received before was let go, as far as whole messages go.
    pub before: Micros,
    /// Partitions of which something was let go.
    pub partitions: u64,
    /// Log entries let go.
    pub entries: u64,
    /// Log entries left.
    pub left: u64,
    /// Log entries replayed to make snapshots.
    pub replayed: u64,
    /// Parts of the snapshots made: rows, ids of events, links.
    pub parts: u64,
}

/// What `verify` found.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct VerifyReport {
    /// Log entries replayed.
    pub entries: u64,
    /// Partitions that were replayed from a snapshot, since their log was truncated.
    #[serde(default)]
    pub snapshots: u64,
    /// Log entries that are gone: their snapshots tell what they told.
    #[serde(default)]
    pub truncated: u64,
    /// Rows compared.
    pub rows: u64,
    /// Decisions that ledgers were rebuilt from.
    pub decisions: u64,
    /// Samples that models were rebuilt from.
    pub samples: u64,
    /// Seconds spent replaying (decode and fold), on one core, apart from reading State.
    pub replay_seconds: f64,
    /// Differences, at most 100 of them in words.
    pub differences: Vec<String>,
    /// Number of differences.
    pub differences_count: u64,
}

/// Where a scene stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SceneInfo {
    /// Name.
    pub name: String,
    /// Number.
    pub number: u16,
    /// Newest version.
    pub version: u32,
    /// SHA-256 of the plan, hexadecimal.
    pub hash: String,
    /// When it was applied.
    pub at: Micros,
    /// Who applied it.
    pub by: String,
    /// Policies.
    pub policies: Vec<String>,
    /// Segments.
    pub segments: Vec<String>,
}

/// A recomputed decision.
#[derive(Debug, Clone)]
pub struct Explanation {
    /// The record as stored.
    pub record: DecisionRecord,
    /// Differences between the record and what recomputing gives: empty when they agree.
    pub differences: Vec<String>,
    /// Why it could not be recomputed, when it could not (a semantics older or newer than this program's).
    pub not_recomputed: Option<String>,
    /// Items chosen or traced of which attributes were generated, not published: key, and the names of the attributes.
    pub generated: Vec<(String, Vec<String>)>,
}

/// Counters and gauges, for `/metrics` and the terminal.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Stats {
    /// Events accepted into the log since start.
    pub events_accepted: u64,
    /// Inputs quarantined since start.
    pub events_quarantined: u64,
    /// Events folded since start.
    pub events_folded: u64,
    /// Duplicates dropped by the fold since start.
    pub events_duplicate: u64,
    /// Decisions made since start.
    pub decisions: u64,
    /// Decisions that were the null action.
    pub decisions_null: u64,
    /// Commit conflicts that made a decision start again.
    pub decision_retries: u64,
    /// Rewards settled.
    pub rewards: u64,
    /// Samples learned.
    pub samples: u64,
    /// Timers fired.
    pub timers_fired: u64,
    /// Log entries not yet folded.
    pub fold_lag: u64,
    /// Log entries not yet folded at which intake pauses.
    pub fold_lag_max: u64,
    /// Decisions under way.
    pub decisions_in_flight: u64,
    /// Decisions under way at which more are refused.
    pub decisions_in_flight_max: u64,
    /// Foreign ids that intake remembers.
    pub ids_remembered: u64,
    /// Foreign ids that it remembers at most.
    pub ids_remembered_max: u64,
    /// Catalogue snapshots made since start.
    pub catalogue_snapshots: u64,
    /// Rows of catalogues laid out or copied for them.
    pub catalogue_rows: u64,
    /// Snapshots of earlier versions read from State since start, to explain decisions.
    pub catalogues_past: u64,
    /// Rows waiting in the outbox.
    pub outbox: u64,
    /// Nodes that live, this one among them.
    pub nodes: u64,
    /// Partitions of customers and the environment that fall to this node.
    pub partitions_owned: u64,
    /// Partitions taken over from nodes that ended or died, since start.
    pub takeovers: u64,
    /// Microseconds since this node last told that it lives; none before it started.
    pub beat_age_us: Option<i64>,
    /// Tasks that cannot do their work at present, or died, and why.
    pub failing: Vec<String>,
    /// Stores that take no writes, and why.
    pub unwritable: Vec<String>,
    /// Halted partitions with their reason.
    pub halted: Vec<(u16, String)>,
    /// Spent per budget and period.
    pub budgets: Vec<(String, i64)>,
    /// Samples behind each model's present snapshot.
    pub models: Vec<(String, u64)>,
}

/// A refused call. `code` is stable and has a page under `docs/errors/`.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
#[error("{message}")]
pub struct Refusal {
    /// Stable code, for instance `unknown_scene`.
    pub code: &'static str,
    /// Kind, for the rim to map (404, 409, 413, 422, 429, 503).
    pub kind: RefusalKind,
    /// What was found and what to write instead.
    pub message: String,
}

/// Kinds of refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalKind {
    /// The thing named is not there.
    NotFound,
    /// Another request was here first.
    Conflict,
    /// Too large.
    TooLarge,
    /// Not acceptable as written.
    Invalid,
    /// Over a limit just now.
    Busy,
    /// Waited too long for a position.
    Timeout,
    /// A store failed or a partition is halted.
    Unavailable,
}

impl From<luopan_store::Error> for Refusal {
    fn from(e: luopan_store::Error) -> Self {
        let kind = match e {
            luopan_store::Error::Limit { .. } => RefusalKind::TooLarge,
            luopan_store::Error::Truncated { .. } => RefusalKind::NotFound,
            _ => RefusalKind::Unavailable,
        };
        Self {
            code: match kind {
                RefusalKind::NotFound => "log_truncated",
                _ => "store_unavailable",
            },
            kind,
            message: e.to_string(),
        }
    }
}

/// Result of a call of the engine.
pub type Result<T> = std::result::Result<T, Refusal>;
