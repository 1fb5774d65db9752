//! What is in the log. Everything that changes meaning is an [`Entry`]: events from outside, decisions (as events of type
//! [`DECISION_TYPE`]), fired timers, applied scenes, links between identifiers, erasures.
//!
//! A log message is a batch of entries of one partition; positions count entries.

use crate::codec::{Reader, Result, Writer};
use crate::id::{CustomerId, IdentifierId, SceneNo, TenantId};
use crate::time::Micros;
use crate::value::Value;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// Newest format of a log message.
pub const MESSAGE_FORMAT: u8 = 1;

/// Type by which an outcome or a receipt reaches the other identifiers of a customer who has several.
pub const OUTCOME_TYPE: &str = "luopan.outcome";

/// True for types that only the system writes; senders are refused.
pub fn is_of_system(kind: &str) -> bool {
    kind == DECISION_TYPE || kind == OUTCOME_TYPE || kind == DRIFT_TYPE
}

/// Type of the event that tells of a decision; its id is the decision's id.
pub const DECISION_TYPE: &str = "luopan.decision";
/// Type of the event that sets attributes of a customer (imports into `customers`).
pub const CUSTOMER_TYPE: &str = "luopan.customer";
/// Type of the event that sets a catalogue item (imports into `products`), on the environment partition.
pub const PRODUCT_TYPE: &str = "luopan.product";
/// Type of the event that changes the named attributes of an item and no others, on the environment partition.
pub const PRODUCT_CHANGED_TYPE: &str = "luopan.product_changed";
/// Type of the event that withdraws an item (or, with `luopan.restored`, offers it again), on the environment partition.
pub const PRODUCT_WITHDRAWN_TYPE: &str = "luopan.product_withdrawn";
/// Type of the event that tells an item's net asset value of a day, on the environment partition.
pub const NAV_TYPE: &str = "luopan.nav";
/// Type of an announcement about an item, on the environment partition.
pub const ANNOUNCEMENT_TYPE: &str = "luopan.announcement";
/// Type of the event that tells what a monitor found to have changed, on the environment partition: properties `monitor`, `policy`,
/// `measure`, `of`, `value` and `limit`.
pub const DRIFT_TYPE: &str = "luopan.drift";
/// Type of a delivery receipt: properties `decision_id` (text) and `status` (`delivered` posts the hold; `failed` voids it, and
/// the decision's rewards are awaited no more).
pub const RECEIPT_TYPE: &str = "luopan.receipt";

/// Most properties of one event.
pub const PROPERTIES_MAX: usize = 128;

/// Where an event or decision comes from. Only `Live` can lead to a send or a spend.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// It happened now, to a real customer.
    #[default]
    Live,
    /// History brought in from a file.
    Import,
    /// Made by the simulator.
    Simulated,
    /// A rehearsal.
    DryRun,
}

impl Origin {
    /// True when what happened under `other` may answer a decision made under this one: history that was brought in answers
    /// for what was live, and a rehearsal for nothing but itself.
    pub fn is_answered_by(self, other: Self) -> bool {
        let real = |o| matches!(o, Self::Live | Self::Import);
        self == other || (real(self) && real(other))
    }

    /// The origin of a byte in stored forms.
    pub fn of_code(code: u8) -> Option<Self> {
        Some(match code {
            0 => Self::Live,
            1 => Self::Import,
            2 => Self::Simulated,
            3 => Self::DryRun,
            _ => return None,
        })
    }

    /// The word in APIs and files.
    pub fn word(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Import => "import",
            Self::Simulated => "simulated",
            Self::DryRun => "dry_run",
        }
    }
    /// The byte in stored forms.
    pub fn code(self) -> u8 {
        self as u8
    }
    /// Reads [`Origin::code`]; `r` names the place of a byte that is none.
    ///
    /// # Errors
    /// A byte that is no origin.
    pub fn from_code(r: &Reader<'_>, c: u8) -> Result<Self> {
        Self::of_code(c).ok_or_else(|| r.malformed("an origin of 0 to 3"))
    }
}

/// A personal field, sealed with the customer's own key; destroying the key erases it everywhere at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed<'a> {
    /// Property name.
    pub name: Cow<'a, str>,
    /// Number of the key in the customer's key ring.
    pub key_no: u32,
    /// Nonce and ciphertext.
    pub ciphertext: Cow<'a, [u8]>,
}

/// An event as it stands in the log.
#[derive(Debug, Clone, PartialEq)]
pub struct Event<'a> {
    /// The sender's id of the event; deduplication is by identifier and this.
    pub id: Cow<'a, str>,
    /// Tenant.
    pub tenant: TenantId,
    /// Scene whose types it was validated against.
    pub scene: SceneNo,
    /// Whose event it is.
    pub identifier: IdentifierId,
    /// Declared type name.
    pub kind: Cow<'a, str>,
    /// When it happened, as the sender says.
    pub occurred_at: Micros,
    /// When intake took it (log time).
    pub received_at: Micros,
    /// Origin.
    pub origin: Origin,
    /// Properties, strictly ascending by name.
    pub properties: Vec<(Cow<'a, str>, Value<'a>)>,
    /// Context (device, page, place), strictly ascending by name.
    pub context: Vec<(Cow<'a, str>, Value<'a>)>,
    /// Id of the event that this one corrects.
    pub corrects: Option<Cow<'a, str>>,
    /// Sealed personal fields, in order of name.
    pub sealed: Vec<Sealed<'a>>,
}

impl<'a> Event<'a> {
    /// The property `name`, or missing.
    pub fn property(&self, name: &str) -> &Value<'a> {
        static MISSING: Value<'static> = Value::Missing;
        match self
            .properties
            .binary_search_by(|(n, _)| n.as_ref().cmp(name))
        {
            Ok(i) => &self.properties[i].1,
            Err(_) => &MISSING,
        }
    }

    /// The hash that names this event within its identifier for deduplication.
    ///
    /// Ids that the system gives and ids that senders give do not meet: an outcome may well bear the id of its decision.
    pub fn dedup_hash(&self) -> u128 {
        let hash = crate::id::hash128(self.id.as_bytes());
        if is_of_system(&self.kind) {
            !hash
        } else {
            hash
        }
    }

    /// When it happened, as far as can be: what `occurred_at` says, but never after it was received.
    pub fn happened_at(&self) -> Micros {
        self.occurred_at.min(self.received_at)
    }

    /// What orders events of one [`Event::happened_at`]: those of a fast clock stand behind the others, in the order of their
    /// sender to the microsecond, and all else goes by the upper half of the deduplication hash.
    pub fn rank(&self) -> u64 {
        const FAST: u64 = 1 << 63;
        const AHEAD_BITS: u32 = 30;
        let hash = (self.dedup_hash() >> 64) as u64;
        match u64::try_from(self.occurred_at.since(self.received_at)) {
            Ok(ahead) if ahead > 0 => {
                let ahead = ahead.min((1 << AHEAD_BITS) - 1);
                FAST | ahead << (63 - AHEAD_BITS) | hash >> (1 + AHEAD_BITS)
            }
            _ => hash >> 1,
        }
    }

    fn write(&self, w: &mut Writer) {
        w.str(&self.id);
        w.uint(u64::from(self.tenant.0));
        w.uint(u64::from(self.scene.0));
        w.raw(&self.identifier.0);
        w.str(&self.kind);
        w.int(self.occurred_at.0);
        w.int(self.received_at.0);
        w.u8(self.origin.code());
        for list in [&self.properties, &self.context] {
            w.uint(list.len() as u64);
            for (name, value) in list {
                w.str(name);
                value.write(w);
            }
        }
        match &self.corrects {
            None => w.u8(0),
            Some(id) => {
                w.u8(1);
                w.str(id);
            }
        }
        w.uint(self.sealed.len() as u64);
        for s in &self.sealed {
            w.str(&s.name);
            w.uint(u64::from(s.key_no));
            w.bytes(&s.ciphertext);
        }
    }

    fn read(r: &mut Reader<'a>) -> Result<Self> {
        let id = Cow::Borrowed(r.str()?);
        let tenant = TenantId(read_u32(r)?);
        let scene = SceneNo(read_u16(r)?);
        let identifier = IdentifierId(r.array()?);
        let kind = Cow::Borrowed(r.str()?);
        let occurred_at = Micros(r.int()?);
        let received_at = Micros(r.int()?);
        let code = r.u8()?;
        let origin = Origin::from_code(r, code)?;
        let properties = read_fields(r)?;
        let context = read_fields(r)?;
        let corrects = match r.u8()? {
            0 => None,
            1 => Some(Cow::Borrowed(r.str()?)),
            _ => return Err(r.malformed("a flag of 0 or 1")),
        };
        let n = r.count(3)?;
        let mut sealed = Vec::with_capacity(n);
        for _ in 0..n {
            sealed.push(Sealed {
                name: Cow::Borrowed(r.str()?),
                key_no: read_u32(r)?,
                ciphertext: Cow::Borrowed(r.bytes()?),
            });
        }
        Ok(Self {
            id,
            tenant,
            scene,
            identifier,
            kind,
            occurred_at,
            received_at,
            origin,
            properties,
            context,
            corrects,
            sealed,
        })
    }
}

fn read_fields<'a>(r: &mut Reader<'a>) -> Result<Vec<(Cow<'a, str>, Value<'a>)>> {
    let n = r.count(2)?;
    let mut out: Vec<(Cow<'a, str>, Value<'a>)> = Vec::with_capacity(n);
    for _ in 0..n {
        let name = r.str()?;
        if out.last().is_some_and(|(last, _)| last.as_ref() >= name) {
            return Err(r.malformed("property names in ascending order"));
        }
        out.push((Cow::Borrowed(name), Value::read(r)?));
    }
    Ok(out)
}

fn read_u32(r: &mut Reader<'_>) -> Result<u32> {
    u32::try_from(r.uint()?).map_err(|_| r.malformed("a 32-bit number"))
}

fn read_u16(r: &mut Reader<'_>) -> Result<u16> {
    u16::try_from(r.uint()?).map_err(|_| r.malformed("a 16-bit number"))
}

/// A link or un-link of an identifier. It is committed in State first (one transaction with the ledgers) and told to the
/// log through the outbox, once in the partition of each identifier it touches; the highest revision wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Identifier whose customer is set.
    pub identifier: IdentifierId,
    /// Its customer from now on (itself when un-linked).
    pub customer: CustomerId,
    /// Ascending with every link and un-link of this identifier.
    pub revision: u64,
    /// When.
    pub at: Micros,
}

/// One entry of the log.
#[derive(Debug, Clone, PartialEq)]
pub enum Entry<'a> {
    /// Something that happened.
    Event(Event<'a>),
    /// A timer of this identifier came due: its segments and pending rewards are looked at as of `at`.
    TimerFired {
        /// Scene of the timer.
        scene: SceneNo,
        /// Whose timer.
        identifier: IdentifierId,
        /// The time it was set for (log time of the entry).
        at: Micros,
    },
    /// From here on the scene is this version; written to every partition.
    SceneApplied {
        /// Scene.
        scene: SceneNo,
        /// Its version, ascending from 1.
        version: u32,
        /// SHA-256 of the compiled plan's canonical bytes.
        hash: [u8; 32],
        /// When.
        at: Micros,
    },
    /// Identity changed.
    Linked(Link),
    /// The customer behind this identifier was erased.
    Erased {
        /// Whose.
        identifier: IdentifierId,
        /// When.
        at: Micros,
    },
}

impl<'a> Entry<'a> {
    /// Log time of the entry.
    pub fn at(&self) -> Micros {
        match self {
            Self::Event(e) => e.received_at,
            Self::TimerFired { at, .. }
            | Self::SceneApplied { at, .. }
            | Self::Erased { at, .. } => *at,
            Self::Linked(l) => l.at,
        }
    }

    /// Appends the entry.
    pub fn write(&self, w: &mut Writer) {
        match self {
            Self::Event(e) => {
                w.u8(1);
                e.write(w);
            }
            Self::TimerFired {
                scene,
                identifier,
                at,
            } => {
                w.u8(2);
                w.uint(u64::from(scene.0));
                w.raw(&identifier.0);
                w.int(at.0);
            }
            Self::SceneApplied {
                scene,
                version,
                hash,
                at,
            } => {
                w.u8(3);
                w.uint(u64::from(scene.0));
                w.uint(u64::from(*version));
                w.raw(hash);
                w.int(at.0);
            }
            Self::Linked(l) => {
                w.u8(4);
                w.raw(&l.identifier.0);
                w.raw(&l.customer.0);
                w.uint(l.revision);
                w.int(l.at.0);
            }
            Self::Erased { identifier, at } => {
                w.u8(5);
                w.raw(&identifier.0);
                w.int(at.0);
            }
        }
    }

    /// Reads what [`Entry::write`] wrote.
    ///
    /// # Errors
    /// As [`Reader`]'s.
    pub fn read(r: &mut Reader<'a>) -> Result<Self> {
        Ok(match r.u8()? {
            1 => Self::Event(Event::read(r)?),
            2 => Self::TimerFired {
                scene: SceneNo(read_u16(r)?),
                identifier: IdentifierId(r.array()?),
                at: Micros(r.int()?),
            },
            3 => Self::SceneApplied {
                scene: SceneNo(read_u16(r)?),
                version: read_u32(r)?,
                hash: r.array()?,
                at: Micros(r.int()?),
            },
            4 => Self::Linked(Link {
                identifier: IdentifierId(r.array()?),
                customer: IdentifierId(r.array()?),
                revision: r.uint()?,
                at: Micros(r.int()?),
            }),
            5 => Self::Erased {
                identifier: IdentifierId(r.array()?),
                at: Micros(r.int()?),
            },
            _ => return Err(r.malformed("an entry kind of 1 to 5")),
        })
    }
}

/// Encodes a log message: format byte, count, entries.
pub fn encode_message(entries: &[Entry<'_>]) -> Vec<u8> {
    let mut w = Writer::with_format(MESSAGE_FORMAT);
    w.uint(entries.len() as u64);
    for e in entries {
        e.write(&mut w);
    }
    w.into_bytes()
}

/// Decodes a log message, borrowing from it.
///
/// # Errors
/// As [`Reader`]'s; a newer format is refused by name.
pub fn decode_message(bytes: &[u8]) -> Result<Vec<Entry<'_>>> {
    let mut r = Reader::new(bytes);
    r.format("log message", MESSAGE_FORMAT)?;
    let n = r.count(1)?;
    let mut out = Vec::with_capacity(n);
    for _ in 0..n {
        out.push(Entry::read(&mut r)?);
    }
    r.done()?;
    Ok(out)
}
