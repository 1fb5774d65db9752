//! The event ids that a profile remembers, so that an event delivered twice is folded once. The memory is bounded: what no
//! longer fits is handed to the caller for a side table, and the profile remembers until when that table must be asked.

use crate::codec::{Reader, Result, Writer};
use crate::time::Micros;
use std::collections::VecDeque;

/// Most event ids kept inside a profile.
pub const DEDUP_KEPT: usize = 256;

/// Whether an event is new to a profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It was not seen within the horizon. An older id that no longer fits is handed out.
    New(Option<Spilled>),
    /// It was.
    Duplicate,
}

/// An event id that the caller has to keep in its side table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spilled {
    /// Last log time at which it must still be found.
    pub expires_at: Micros,
    /// Hash of the id.
    pub hash: u128,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    at: Micros,
    // Two words: an aligned u128 would pad every entry by a quarter.
    high: u64,
    low: u64,
}

impl Entry {
    fn hash(&self) -> u128 {
        u128::from(self.high) << 64 | u128::from(self.low)
    }
}

/// Remembered event ids in order of log time.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Seen {
    entries: VecDeque<Entry>,
    spilled_until: Option<Micros>,
}

impl Seen {
    /// Takes note of the event `hash` that arrives at `log_time`, unless it is known. Ids are remembered as long as log time
    /// is at most `horizon_us` past the id's own; whether it is in the side table, the caller has asked first
    /// ([`Seen::must_ask_side_table`]).
    pub fn admit(&mut self, hash: u128, log_time: Micros, horizon_us: i64) -> Admission {
        self.forget(log_time, horizon_us);
        let entry = Entry {
            at: log_time,
            high: (hash >> 64) as u64,
            low: hash as u64,
        };
        let known = |e: &Entry| e.low == entry.low && e.high == entry.high;
        let (a, b) = self.entries.as_slices();
        if b.iter().any(known) || a.iter().any(known) {
            return Admission::Duplicate;
        }
        let place = match self.entries.back() {
            Some(last) if last.at > log_time => self.entries.partition_point(|e| e.at <= log_time),
            _ => self.entries.len(),
        };
        self.entries.insert(place, entry);
        if self.entries.len() <= DEDUP_KEPT {
            return Admission::New(None);
        }
        Admission::New(self.entries.pop_front().map(|oldest| {
            let spilled = Spilled {
                expires_at: oldest.at.plus(horizon_us),
                hash: oldest.hash(),
            };
            self.spilled_until = self.spilled_until.max(Some(spilled.expires_at));
            spilled
        }))
    }

    /// Forgets what is older than the horizon at `log_time`.
    pub fn forget(&mut self, log_time: Micros, horizon_us: i64) {
        while (self.entries.front()).is_some_and(|e| log_time.since(e.at) > horizon_us) {
            self.entries.pop_front();
        }
        if self.spilled_until.is_some_and(|until| until < log_time) {
            self.spilled_until = None;
        }
    }

    /// True when an event that arrives at `log_time` may be a repeat of one whose id was spilled.
    pub fn must_ask_side_table(&self, log_time: Micros) -> bool {
        self.spilled_until.is_some_and(|until| until >= log_time)
    }

    /// Last log time at which the side table must be asked.
    pub fn spilled_until(&self) -> Option<Micros> {
        self.spilled_until
    }

    /// Number of ids held here.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True when no id is held here.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn write(&self, w: &mut Writer, base: Micros) {
        match self.spilled_until {
            None => w.u8(0),
            Some(until) => {
                w.u8(1);
                w.int(until.0.wrapping_sub(base.0));
            }
        }
        w.uint(self.entries.len() as u64);
        let mut before = base.0;
        for e in &self.entries {
            w.int(e.at.0.wrapping_sub(before));
            before = e.at.0;
            w.raw(&e.hash().to_le_bytes());
        }
    }

    pub(super) fn read(r: &mut Reader<'_>, base: Micros) -> Result<Self> {
        let spilled_until = match r.u8()? {
            0 => None,
            1 => Some(Micros(r.int()?.wrapping_add(base.0))),
            _ => return Err(r.malformed("a flag of 0 or 1")),
        };
        let n = r.count(17)?;
        if n > DEDUP_KEPT {
            return Err(r.malformed("at most 256 remembered event ids"));
        }
        let mut entries = VecDeque::with_capacity(n + 1);
        let mut before = base.0;
        for i in 0..n {
            let at = before.wrapping_add(r.int()?);
            if i > 0 && at < before {
                return Err(r.malformed("event ids in order of log time"));
            }
            before = at;
            let hash = u128::from_le_bytes(r.array()?);
            entries.push_back(Entry {
                at: Micros(at),
                high: (hash >> 64) as u64,
                low: hash as u64,
            });
        }
        Ok(Self {
            entries,
            spilled_until,
        })
    }
}
