//! The stored form of a book, a part of a stored profile. What is read is checked: no number is taken that folding could not
//! have left there.

use super::{
    Anomaly, Book, ENDED_KEPT, End, Ended, FAST_KEPT, FastDay, HOLDINGS_MAX, Holding,
    ITEM_BYTES_MAX, LOTS_MAX, Lot, OPEN_ORDERS_MAX, OpenOrder, Short, Side, Stage, Totals,
};
use crate::codec::{Reader, Result, Writer};
use crate::id::DecisionId;
use crate::time::Micros;
use std::collections::VecDeque;

const STAGES: [Stage; 3] = [Stage::Submitted, Stage::Accepted, Stage::Unpaid];
const ENDS: [End; 4] = [End::Confirmed, End::Failed, End::Cancelled, End::Paid];

fn write_time(w: &mut Writer, base: Micros, at: Micros) {
    w.int(at.0.wrapping_sub(base.0));
}

fn read_time(r: &mut Reader<'_>, base: Micros) -> Result<Micros> {
    Ok(Micros(base.0.wrapping_add(r.int()?)))
}

fn item(r: &mut Reader<'_>) -> Result<String> {
    let item = r.str()?;
    if item.is_empty() || item.len() > ITEM_BYTES_MAX {
        return Err(r.malformed("a key of an item"));
    }
    Ok(item.to_owned())
}

/// A number of shares or money that is not below `least`.
fn amount(r: &mut Reader<'_>, least: i128) -> Result<i128> {
    let v = r.int128()?;
    if v < least {
        return Err(r.malformed("an amount that is not negative"));
    }
    Ok(v)
}

fn bounded(r: &mut Reader<'_>, bytes_each: usize, most: usize) -> Result<usize> {
    let n = r.count(bytes_each)?;
    if n > most {
        return Err(r.malformed("a count within the limits of a book"));
    }
    Ok(n)
}

impl Book {
    /// Appends the book; times are written relative to `base`. `fast` says that fast redemptions are written too, as profiles
    /// of format 3 have them.
    pub(crate) fn write(&self, w: &mut Writer, base: Micros, fast: bool) {
        w.uint(self.open.len() as u64);
        for o in &self.open {
            w.raw(&o.order.to_le_bytes());
            w.u8(u8::from(o.side == Side::Redeem)
                | (o.stage as u8) << 1
                | u8::from(o.paid) << 3
                | u8::from(o.amount.is_some()) << 4
                | u8::from(o.shares.is_some()) << 5
                | u8::from(o.decision.is_some()) << 6
                | u8::from(o.fast.is_some()) << 7);
            w.str(&o.item);
            write_time(w, base, o.at);
            w.raw(&o.digest.to_le_bytes());
            if let Some(amount) = o.amount {
                w.int(amount);
            }
            if let Some(shares) = o.shares {
                w.int128(shares);
            }
            if let Some(decision) = o.decision {
                w.raw(&decision.0);
            }
            if let Some(amount) = o.fast {
                w.u8(u8::from(amount.is_some()));
                if let Some(amount) = amount {
                    w.int(amount);
                }
            }
        }
        w.uint(self.ended.len() as u64);
        for e in &self.ended {
            w.raw(&e.order.to_le_bytes());
            w.u8(e.end as u8 | u8::from(e.decision.is_some()) << 2);
            w.raw(&e.digest.to_le_bytes());
            if let Some(decision) = e.decision {
                w.raw(&decision.0);
            }
        }
        w.uint(self.holdings.len() as u64);
        for h in &self.holdings {
            w.str(&h.item);
            for v in [h.bought, h.redeemed, h.realised, h.fees] {
                w.int128(v);
            }
            write_time(w, base, h.last_at);
            w.u8(u8::from(h.first_buy_at.is_some())
                | u8::from(h.nav.is_some()) << 1
                | u8::from(h.short.shares > 0) << 2);
            if let (Some(first), Some(last)) = (h.first_buy_at, h.last_buy_at) {
                write_time(w, base, first);
                write_time(w, base, last);
            }
            if let Some((at, nav)) = h.nav {
                write_time(w, base, at);
                w.int128(nav);
            }
            if h.short.shares > 0 {
                w.int128(h.short.shares);
                w.int128(h.short.proceeds);
            }
            w.uint(h.lots.len() as u64);
            let mut before = 0i64;
            for lot in &h.lots {
                w.int(lot.day.wrapping_sub(before));
                before = lot.day;
                w.int128(lot.shares);
                w.int128(lot.cost);
            }
        }
        let gone = self.gone;
        for v in [gone.bought, gone.redeemed, gone.realised, gone.fees] {
            w.int128(v);
        }
        w.uint(self.anomalies.len() as u64);
        self.anomalies.iter().for_each(|n| w.uint(*n));
        if !fast {
            return;
        }
        w.u8(u8::from(self.fast_lost.is_some()));
        if let Some(day) = self.fast_lost {
            w.int(day);
        }
        w.uint(self.fast.len() as u64);
        for f in &self.fast {
            w.int(f.day);
            w.str(&f.item);
            w.u8(u8::from(f.amount.is_some()));
            if let Some(amount) = f.amount {
                w.int128(amount);
            }
        }
    }

    /// Reads what [`Book::write`] wrote.
    pub(crate) fn read(r: &mut Reader<'_>, base: Micros, fast: bool) -> Result<Self> {
        let n = bounded(r, 27, OPEN_ORDERS_MAX)?;
        let mut open: Vec<OpenOrder> = Vec::with_capacity(n);
        for _ in 0..n {
            let order = u128::from_le_bytes(r.array()?);
            let flags = r.u8()?;
            let stage = STAGES.get(usize::from(flags >> 1 & 3)).copied();
            let (Some(stage), false) = (stage, !fast && flags >> 7 == 1) else {
                return Err(r.malformed("the flags of an open order"));
            };
            let item = item(r)?;
            let at = read_time(r, base)?;
            let digest = u64::from_le_bytes(r.array()?);
            let is = |bit: u8| flags >> bit & 1 == 1;
            open.push(OpenOrder {
                order,
                side: if is(0) { Side::Redeem } else { Side::Buy },
                stage,
                item,
                amount: if is(4) { Some(r.int()?) } else { None },
                shares: if is(5) { Some(amount(r, 1)?) } else { None },
                decision: read_decision(r, is(6))?,
                at,
                paid: is(3),
                fast: if is(7) { Some(read_fast(r)?) } else { None },
                digest,
            });
        }
        let n = bounded(r, 25, ENDED_KEPT)?;
        let mut ended = VecDeque::with_capacity(n + 1);
        for _ in 0..n {
            let order = u128::from_le_bytes(r.array()?);
            let flags = r.u8()?;
            if flags > 7 {
                return Err(r.malformed("the flags of an ended order"));
            }
            let digest = u64::from_le_bytes(r.array()?);
            ended.push_back(Ended {
                order,
                end: ENDS[usize::from(flags & 3)],
                decision: read_decision(r, flags >> 2 == 1)?,
                digest,
            });
        }
        let n = bounded(r, 13, HOLDINGS_MAX)?;
        let mut holdings: Vec<Holding> = Vec::with_capacity(n);
        for _ in 0..n {
            let holding = read_holding(r, base)?;
            if holdings
                .last()
                .is_some_and(|last| last.item >= holding.item)
            {
                return Err(r.malformed("holdings in order of item"));
            }
            holdings.push(holding);
        }
        let gone = Totals {
            bought: amount(r, 0)?,
            redeemed: amount(r, 0)?,
            realised: r.int128()?,
            fees: amount(r, 0)?,
        };
        let mut anomalies = [0; Anomaly::ALL.len()];
        let n = bounded(r, 1, anomalies.len())?;
        for count in anomalies.iter_mut().take(n) {
            *count = r.uint()?;
        }
        let (fast, fast_lost) = if fast {
            read_fast_days(r)?
        } else {
            (Vec::new(), None)
        };
        Ok(Self {
            open,
            ended,
            holdings,
            gone,
            anomalies,
            fast,
            fast_lost,
        })
    }
}

fn flag(r: &mut Reader<'_>) -> Result<bool> {
    match r.u8()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(r.malformed("a flag of 0 or 1")),
    }
}

fn read_fast(r: &mut Reader<'_>) -> Result<Option<i64>> {
    if !flag(r)? {
        return Ok(None);
    }
    match r.int()? {
        amount if amount > 0 => Ok(Some(amount)),
        _ => Err(r.malformed("an amount above zero")),
    }
}

fn read_fast_days(r: &mut Reader<'_>) -> Result<(Vec<FastDay>, Option<i64>)> {
    let lost = if flag(r)? { Some(r.int()?) } else { None };
    let n = bounded(r, 3, FAST_KEPT)?;
    let mut days: Vec<FastDay> = Vec::with_capacity(n);
    for _ in 0..n {
        let day = r.int()?;
        let item = item(r)?;
        let known = flag(r)?;
        let amount = if known { Some(amount(r, 0)?) } else { None };
        if (days.last()).is_some_and(|last| (last.day, &last.item) >= (day, &item)) {
            return Err(r.malformed("fast redemptions in order of day and item"));
        }
        days.push(FastDay { item, day, amount });
    }
    Ok((days, lost))
}

fn read_decision(r: &mut Reader<'_>, is_there: bool) -> Result<Option<DecisionId>> {
    Ok(if is_there {
        Some(DecisionId(r.array()?))
    } else {
        None
    })
}

fn read_holding(r: &mut Reader<'_>, base: Micros) -> Result<Holding> {
    let mut h = Holding::new(&item(r)?);
    h.bought = amount(r, 0)?;
    h.redeemed = amount(r, 0)?;
    h.realised = r.int128()?;
    h.fees = amount(r, 0)?;
    h.last_at = read_time(r, base)?;
    let flags = r.u8()?;
    if flags > 7 {
        return Err(r.malformed("the flags of a holding"));
    }
    if flags & 1 == 1 {
        h.first_buy_at = Some(read_time(r, base)?);
        h.last_buy_at = Some(read_time(r, base)?);
    }
    if flags >> 1 & 1 == 1 {
        h.nav = Some((read_time(r, base)?, amount(r, 1)?));
    }
    if flags >> 2 & 1 == 1 {
        h.short = Short {
            shares: amount(r, 1)?,
            proceeds: amount(r, 0)?,
        };
    }
    let n = bounded(r, 5, LOTS_MAX)?;
    if n > 0 && h.short.shares > 0 {
        return Err(r.malformed("lots or a short, not both"));
    }
    let mut before = 0i64;
    for i in 0..n {
        let day = before.wrapping_add(r.int()?);
        if i > 0 && day <= before {
            return Err(r.malformed("lots in order of day"));
        }
        before = day;
        h.lots.push(Lot {
            day,
            shares: amount(r, 1)?,
            cost: amount(r, 0)?,
        });
    }
    Ok(h)
}
