//! The row of one identifier in one scene: its profile (the kernel's fold) and what its decisions still wait for.
//!
//! The profile is derived: it can be folded anew when tags change. The rest (`pending`, `holds`, `recent`) is what
//! happened with decisions and is carried over unchanged.

use luopan_kernel::codec::{Reader, Result, Writer};
use luopan_kernel::event::Origin;
use luopan_kernel::id::{DecisionId, IdentifierId, Position};
use luopan_kernel::profile::{Layout, Profile};
use luopan_kernel::time::Micros;

/// Format of the row.
pub(crate) const FORMAT: u8 = 1;
/// A decision that waits for its reward.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Pending {
    pub(crate) decision: DecisionId,
    pub(crate) origin: Origin,
    /// When it was decided.
    pub(crate) at: Micros,
    /// Hash of the reward's name.
    pub(crate) reward: u64,
    /// When silence becomes the answer.
    pub(crate) due: Micros,
    /// Sum of outcomes so far; `None` when none came.
    pub(crate) sum: Option<f64>,
}

/// Log time of a row that was made for a link and has seen no entry of its own.
pub(crate) const NEVER: Micros = Micros(i64::MIN);

/// Money held for a send that is neither confirmed nor failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hold {
    pub(crate) decision: DecisionId,
    pub(crate) origin: Origin,
    /// When it is voided: the send intent has expired, and so has the time that its receipt may take.
    pub(crate) due: Micros,
    /// What was debited.
    pub(crate) debits: Vec<Debit>,
}

/// One debit of a hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Debit {
    /// Budget and period.
    pub(crate) budget: String,
    /// Rows the budget is kept in.
    pub(crate) rows: u16,
    /// Home row.
    pub(crate) home: u16,
    /// Amount.
    pub(crate) amount: i64,
}

/// An outcome, remembered for a decision that reaches the log after it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Recent {
    /// Hash of the reward's name.
    pub(crate) reward: u64,
    /// Decision named by the outcome, when the join asks for one.
    pub(crate) decision: Option<DecisionId>,
    pub(crate) origin: Origin,
    /// When it happened.
    pub(crate) occurred_at: Micros,
    /// Log time.
    pub(crate) at: Micros,
    /// Value.
    pub(crate) value: f64,
}

/// The row.
#[derive(Debug, Clone)]
pub(crate) struct CustomerRow {
    pub(crate) profile: Profile,
    pub(crate) pending: Vec<Pending>,
    pub(crate) holds: Vec<Hold>,
    /// Holds that expired lately; `due` is when.
    pub(crate) lapsed: Vec<Hold>,
    pub(crate) recent: Vec<Recent>,
    /// The timer row that is set, if any.
    pub(crate) timer_at: Option<Micros>,
    /// Position behind the last entry that was folded into it; 0 where none was.
    pub(crate) folded_to: Position,
}

impl CustomerRow {
    pub(crate) fn new(profile: Profile) -> Self {
        Self {
            profile,
            pending: Vec::new(),
            holds: Vec::new(),
            lapsed: Vec::new(),
            recent: Vec::new(),
            timer_at: None,
            folded_to: Position(0),
        }
    }

    /// True while no entry of this identifier was folded: the row only carries the membership of those linked to it.
    pub(crate) fn has_seen_nothing(&self) -> bool {
        self.profile.first_seen_at == NEVER
    }

    /// The earliest time at which something of this row comes due.
    pub(crate) fn next_due(&self) -> Option<Micros> {
        let flip = self.profile.flip_at;
        let pending = self.pending.iter().map(|p| p.due).min();
        let hold = self.holds.iter().map(|h| h.due).min();
        [flip, pending, hold].into_iter().flatten().min()
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut w = Writer::with_format(FORMAT);
        match self.timer_at {
            None => w.u8(0),
            Some(at) => {
                w.u8(1);
                w.int(at.0);
            }
        }
        w.uint(self.folded_to.0);
        w.uint(self.pending.len() as u64);
        for p in &self.pending {
            w.raw(&p.decision.0);
            w.u8(p.origin.code());
            w.int(p.at.0);
            w.raw(&p.reward.to_le_bytes());
            w.int(p.due.0);
            match p.sum {
                None => w.u8(0),
                Some(v) => {
                    w.u8(1);
                    w.f64(v);
                }
            }
        }
        write_holds(&mut w, &self.holds);
        write_holds(&mut w, &self.lapsed);
        w.uint(self.recent.len() as u64);
        for r in &self.recent {
            w.raw(&r.reward.to_le_bytes());
            match r.decision {
                None => w.u8(0),
                Some(d) => {
                    w.u8(1);
                    w.raw(&d.0);
                }
            }
            w.u8(r.origin.code());
            w.int(r.occurred_at.0);
            w.int(r.at.0);
            w.f64(r.value);
        }
        let profile = self.profile.encode();
        w.bytes(&profile);
        w.into_bytes()
    }

    /// Reads a row as it is.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self> {
        Self::read(bytes, Profile::decode)
    }

    /// Reads a row and lays its profile out for a plan.
    pub(crate) fn decode_for(bytes: &[u8], layout: &Layout) -> Result<Self> {
        Self::read(bytes, |profile| Profile::decode_for(profile, layout))
    }

    fn read(bytes: &[u8], profile: impl FnOnce(&[u8]) -> Result<Profile>) -> Result<Self> {
        let mut r = Reader::new(bytes);
        r.format("customer row", FORMAT)?;
        let timer_at = match r.u8()? {
            0 => None,
            _ => Some(Micros(r.int()?)),
        };
        let folded_to = Position(r.uint()?);
        let n = r.count(10)?;
        let mut pending = Vec::with_capacity(n);
        for _ in 0..n {
            pending.push(Pending {
                decision: DecisionId(r.array()?),
                origin: read_origin(&mut r)?,
                at: Micros(r.int()?),
                reward: u64::from_le_bytes(r.array()?),
                due: Micros(r.int()?),
                sum: match r.u8()? {
                    0 => None,
                    _ => Some(r.f64()?),
                },
            });
        }
        let holds = read_holds(&mut r)?;
        let lapsed = read_holds(&mut r)?;
        let n = r.count(10)?;
        let mut recent = Vec::with_capacity(n);
        for _ in 0..n {
            recent.push(Recent {
                reward: u64::from_le_bytes(r.array()?),
                decision: match r.u8()? {
                    0 => None,
                    _ => Some(DecisionId(r.array()?)),
                },
                origin: read_origin(&mut r)?,
                occurred_at: Micros(r.int()?),
                at: Micros(r.int()?),
                value: r.f64()?,
            });
        }
        let profile = profile(r.bytes()?)?;
        r.done()?;
        Ok(Self {
            profile,
            pending,
            holds,
            lapsed,
            recent,
            timer_at,
            folded_to,
        })
    }
}

fn write_holds(w: &mut Writer, holds: &[Hold]) {
    w.uint(holds.len() as u64);
    for h in holds {
        w.raw(&h.decision.0);
        w.u8(h.origin.code());
        w.int(h.due.0);
        write_debits(w, &h.debits);
    }
}

fn read_holds(r: &mut Reader<'_>) -> Result<Vec<Hold>> {
    let n = r.count(10)?;
    let mut holds = Vec::with_capacity(n);
    for _ in 0..n {
        holds.push(Hold {
            decision: DecisionId(r.array()?),
            origin: read_origin(r)?,
            due: Micros(r.int()?),
            debits: read_debits(r)?,
        });
    }
    Ok(holds)
}

fn read_origin(r: &mut Reader<'_>) -> Result<Origin> {
    let code = r.u8()?;
    Origin::from_code(r, code)
}

fn write_debits(w: &mut Writer, debits: &[Debit]) {
    w.uint(debits.len() as u64);
    for d in debits {
        w.str(&d.budget);
        w.uint(u64::from(d.rows));
        w.uint(u64::from(d.home));
        w.int(d.amount);
    }
}

fn read_debits(r: &mut Reader<'_>) -> Result<Vec<Debit>> {
    let n = r.count(4)?;
    let mut out = Vec::with_capacity(n);
    for _ in 0..n {
        out.push(Debit {
            budget: r.str()?.to_owned(),
            rows: read_u16(r)?,
            home: read_u16(r)?,
            amount: r.int()?,
        });
    }
    Ok(out)
}

fn read_u16(r: &mut Reader<'_>) -> Result<u16> {
    u16::try_from(r.uint()?).map_err(|_| r.malformed("a 16-bit number"))
}

/// Debits as text for the context of the decision's event, so that replaying the log alone gives the same holds.
pub(crate) fn debits_to_text(debits: &[Debit]) -> String {
    debits
        .iter()
        .map(|d| format!("{}\t{}\t{}\t{}", d.budget, d.rows, d.home, d.amount))
        .collect::<Vec<_>>()
        .join("\n")
}

/// Reads [`debits_to_text`]; what does not read is no debit.
pub(crate) fn debits_from_text(text: &str) -> Vec<Debit> {
    text.lines()
        .filter_map(|line| {
            let mut parts = line.split('\t');
            Some(Debit {
                budget: parts.next()?.to_owned(),
                rows: parts.next()?.parse().ok()?,
                home: parts.next()?.parse().ok()?,
                amount: parts.next()?.parse().ok()?,
            })
        })
        .collect()
}

/// Whose row it is, for messages that may not carry foreign ids.
pub(crate) fn describe(scene: luopan_kernel::id::SceneNo, id: IdentifierId) -> String {
    format!("scene {} identifier {id}", scene.0)
}
