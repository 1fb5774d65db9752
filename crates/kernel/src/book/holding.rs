//! One item in a book: its lots in order of age, what it cost and brought. Redemptions use up the oldest lot first.

use super::LOTS_MAX;
use crate::time::Micros;

/// Shares confirmed on one day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lot {
    /// Day of the confirmation, since 1970-01-01, by the clock of the orders' plan.
    pub day: i64,
    /// Quanta of 1e-9 shares, above zero.
    pub shares: i128,
    /// Minor units, at least zero.
    pub cost: i128,
}

/// Shares that were redeemed and never bought, as far as is known, with what they brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Short {
    /// Quanta.
    pub shares: i128,
    /// Minor units.
    pub proceeds: i128,
}

/// One item that is or was held.
#[derive(Debug, Clone, PartialEq)]
pub struct Holding {
    /// Key of the item.
    pub item: String,
    /// Minor units paid for it, ever.
    pub bought: i128,
    /// Minor units that it brought, ever.
    pub redeemed: i128,
    /// Proceeds less cost of what was redeemed.
    pub realised: i128,
    /// Fees.
    pub fees: i128,
    /// Time of the first confirmed purchase.
    pub first_buy_at: Option<Micros>,
    /// Time of the latest confirmed purchase.
    pub last_buy_at: Option<Micros>,
    /// Time of the latest confirmation of any sort.
    pub last_at: Micros,
    /// The net asset value of the latest confirmation that told one, in quanta, with its time.
    pub nav: Option<(Micros, i128)>,
    /// Never beside lots.
    pub short: Short,
    /// Ascending by day, one a day.
    pub lots: Vec<Lot>,
}

impl Holding {
    pub(super) fn new(item: &str) -> Self {
        Self {
            item: item.to_owned(),
            bought: 0,
            redeemed: 0,
            realised: 0,
            fees: 0,
            first_buy_at: None,
            last_buy_at: None,
            last_at: Micros(i64::MIN),
            nav: None,
            short: Short::default(),
            lots: Vec::new(),
        }
    }

    /// Shares held, in quanta.
    pub fn shares(&self) -> i128 {
        (self.lots.iter()).fold(0, |sum: i128, l| sum.saturating_add(l.shares))
    }

    /// True when nothing is held and nothing short.
    pub fn is_empty(&self) -> bool {
        self.lots.is_empty() && self.short.shares == 0
    }

    pub(super) fn buy(&mut self, shares: i128, amount: i64, at: Micros, day: i64) {
        let amount = i128::from(amount);
        self.bought = self.bought.saturating_add(amount);
        self.first_buy_at = Some(self.first_buy_at.map_or(at, |f| f.min(at)));
        self.last_buy_at = Some(self.last_buy_at.map_or(at, |l| l.max(at)));
        self.last_at = self.last_at.max(at);
        let mut lots = vec![Lot {
            day,
            shares,
            cost: amount,
        }];
        self.realised = (self.realised).saturating_add(cover(&mut lots, &mut self.short));
        for lot in lots {
            add_lot(&mut self.lots, lot);
        }
        while self.lots.len() > LOTS_MAX {
            let oldest = self.lots.remove(0);
            self.lots[0].shares = self.lots[0].shares.saturating_add(oldest.shares);
            self.lots[0].cost = self.lots[0].cost.saturating_add(oldest.cost);
        }
    }

    /// Takes shares out, oldest lot first, and gives how many of them were not there.
    pub(super) fn redeem(&mut self, shares: i128, amount: i64, at: Micros) -> i128 {
        let amount = i128::from(amount);
        self.redeemed = self.redeemed.saturating_add(amount);
        self.last_at = self.last_at.max(at);
        let mut asked = Short {
            shares,
            proceeds: amount,
        };
        self.realised = (self.realised).saturating_add(cover(&mut self.lots, &mut asked));
        self.short.shares = self.short.shares.saturating_add(asked.shares);
        self.short.proceeds = self.short.proceeds.saturating_add(asked.proceeds);
        asked.shares
    }
}

/// Puts a lot among lots, joining the one of its day.
pub(super) fn add_lot(lots: &mut Vec<Lot>, lot: Lot) {
    match lots.binary_search_by_key(&lot.day, |l| l.day) {
        Ok(place) => {
            lots[place].shares = lots[place].shares.saturating_add(lot.shares);
            lots[place].cost = lots[place].cost.saturating_add(lot.cost);
        }
        Err(place) => lots.insert(place, lot),
    }
}

/// Lets `short` use up the oldest of `lots`, and gives proceeds less cost of what was used. Parts of a cost or of proceeds
/// are rounded down and what is left stays with the rest, so that nothing is lost over all parts.
pub(super) fn cover(lots: &mut Vec<Lot>, short: &mut Short) -> i128 {
    let mut result = 0i128;
    let mut used = 0;
    for lot in lots.iter_mut() {
        if short.shares == 0 {
            break;
        }
        let taken = lot.shares.min(short.shares);
        let cost = part(lot.cost, taken, lot.shares);
        let proceeds = part(short.proceeds, taken, short.shares);
        lot.shares -= taken;
        lot.cost -= cost;
        short.shares -= taken;
        short.proceeds -= proceeds;
        result = result.saturating_add(proceeds - cost);
        used += usize::from(lot.shares == 0);
    }
    lots.drain(..used);
    result
}

/// `whole * taken / of`, rounded down, for values of at least zero; all of it when all is taken.
fn part(whole: i128, taken: i128, of: i128) -> i128 {
    if taken >= of {
        return whole;
    }
    mul_div(
        whole.unsigned_abs(),
        taken.unsigned_abs(),
        of.unsigned_abs(),
    )
    .and_then(|v| i128::try_from(v).ok())
    .unwrap_or(0)
}

/// `a * b / c` rounded down with a product of 256 bits; none when it does not fit or `c` is zero.
fn mul_div(a: u128, b: u128, c: u128) -> Option<u128> {
    if let Some(product) = a.checked_mul(b) {
        return product.checked_div(c);
    }
    let half = |v: u128| (v >> 64, v & u128::from(u64::MAX));
    let ((a1, a0), (b1, b0)) = (half(a), half(b));
    let (low, mid, other, high) = (a0 * b0, a1 * b0, a0 * b1, a1 * b1);
    let carry = (half(low).0 + half(mid).1) + half(other).1;
    let lower = (carry << 64) | half(low).1;
    let upper = high + half(mid).0 + half(other).0 + half(carry).0;
    if c == 0 || upper >= c {
        return None;
    }
    // Long division, a bit at a time.
    let (mut rest, mut quotient) = (upper, 0u128);
    for bit in (0..128).rev() {
        let over = rest >> 127 == 1;
        rest = (rest << 1) | (lower >> bit & 1);
        quotient <<= 1;
        if over || rest >= c {
            rest = rest.wrapping_sub(c);
            quotient |= 1;
        }
    }
    Some(quotient)
}

/// The money, in minor units of `minor_digits` decimal places, that `shares` are worth at `nav` (both in quanta), rounded
/// down; none when it does not fit.
pub fn money_of(shares: i128, nav: i128, minor_digits: u8) -> Option<i128> {
    let whole = 10u128.pow(18u32.saturating_sub(u32::from(minor_digits)));
    let value = mul_div(shares.unsigned_abs(), nav.unsigned_abs(), whole)?;
    let value = i128::try_from(value).ok()?;
    Some(if (shares < 0) != (nav < 0) {
        -value
    } else {
        value
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn wide_products_divide_as_narrow_ones(a: u64, b: u64, c in 1u64.., shift in 0u32..60) {
            let (wa, wb, wc) = (u128::from(a), u128::from(b), u128::from(c));
            prop_assert_eq!(mul_div(wa, wb, wc), Some(wa * wb / wc));
            // Scaling a factor and the divisor alike changes nothing but the width.
            prop_assert_eq!(mul_div(wa << shift, wb << 60, wc << shift), mul_div(wa, wb << 60, wc));
        }

        #[test]
        fn a_quotient_times_the_divisor_is_the_product_but_for_a_rest(a: u128, b: u128, c in 1u128..) {
            if let Some(q) = mul_div(a, b, c) {
                // Modulo 2^128 the rest is what is left of the product, and it is below the divisor.
                let rest = a.wrapping_mul(b).wrapping_sub(q.wrapping_mul(c));
                prop_assert!(rest < c);
            }
        }

        #[test]
        fn parts_add_up(whole in 0i128..1 << 100, cuts in proptest::collection::vec(1i128..1 << 90, 1..20)) {
            let all: i128 = cuts.iter().sum();
            let (mut left, mut money, mut sum) = (all, whole, 0);
            for cut in cuts {
                let taken = part(money, cut, left);
                prop_assert!(taken >= 0 && taken <= money);
                money -= taken;
                left -= cut;
                sum += taken;
            }
            prop_assert_eq!((sum, money, left), (whole, 0, 0));
        }
    }

    #[test]
    fn a_share_is_worth_its_value() {
        // 1,234.56 shares at 1.0523 are 1,299.127488 yuan.
        assert_eq!(money_of(1_234_560_000_000, 1_052_300_000, 2), Some(129_912));
        assert_eq!(money_of(i128::MAX, i128::MAX, 0), None);
        assert_eq!(money_of(0, 5, 2), Some(0));
    }
}
