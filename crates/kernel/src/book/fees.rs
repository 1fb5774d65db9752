//! Redemption fees by holding time (market rule 14): ladders as texts of items, and the rate of a whole holding.

use super::Lot;
use crate::plan::orders::{FEE_STEPS_MAX, FeeStep};

/// Reads a ladder such as `7d 1.5%, 30d 1%, 180d 0.5%`: what was held for fewer than so many days pays so much; what is
/// held longer pays nothing. Steps ascend by days; rates have at most four decimal places and are at most 100 %. The empty
/// text is a ladder without steps.
pub fn fee_ladder(text: &str) -> Option<Vec<FeeStep>> {
    let mut out: Vec<FeeStep> = Vec::new();
    if text.trim().is_empty() {
        return Some(out);
    }
    for step in text.split(',') {
        let (days, rate) = step.trim().split_once(' ')?;
        let under_days: u32 = digits(days.trim().strip_suffix('d')?)?;
        let rate = rate.trim().strip_suffix('%')?;
        let (whole, fraction) = rate.split_once('.').unwrap_or((rate, "0"));
        if fraction.len() > 4 {
            return None;
        }
        let fraction =
            digits::<u32>(fraction)?.checked_mul(10u32.pow(4 - fraction.len() as u32))?;
        let rate_ppm = digits::<u32>(whole)?
            .checked_mul(10_000)?
            .checked_add(fraction)?;
        let is_next = out.last().is_none_or(|last| last.under_days < under_days);
        if rate_ppm > 1_000_000 || !is_next || out.len() == FEE_STEPS_MAX {
            return None;
        }
        out.push(FeeStep {
            under_days,
            rate_ppm,
        });
    }
    Some(out)
}

fn digits<T: core::str::FromStr>(text: &str) -> Option<T> {
    let is_bare = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    is_bare.then(|| text.parse().ok()).flatten()
}

/// The rate, of what is redeemed, that redeeming all of `lots` on `day` would cost: each lot's own rate by its holding time,
/// weighted by shares. Zero for no lots.
pub fn fee_rate(lots: &[Lot], ladder: &[FeeStep], day: i64) -> f64 {
    let (mut shares, mut paid) = (0i128, 0i128);
    for lot in lots {
        let held = day.saturating_sub(lot.day);
        let rate = (ladder.iter())
            .find(|s| held < i64::from(s.under_days))
            .map_or(0, |s| i128::from(s.rate_ppm));
        shares = shares.saturating_add(lot.shares);
        paid = paid.saturating_add(lot.shares.saturating_mul(rate));
    }
    if shares <= 0 {
        return 0.0;
    }
    // Lots of one rate give just that rate.
    let (whole, rest) = (paid / shares, paid % shares);
    (whole as f64 + rest as f64 / shares as f64) / 1e6
}

/// As [`fee_rate`], of redeeming so many `shares` (quanta), the oldest lots first. None when that is more than is held, or
/// nothing.
pub fn fee_rate_of(lots: &[Lot], shares: i128, ladder: &[FeeStep], day: i64) -> Option<f64> {
    let mut left = shares;
    let mut taken = Vec::new();
    for lot in lots {
        let part = lot.shares.min(left);
        if part > 0 {
            taken.push(Lot {
                shares: part,
                ..*lot
            });
            left -= part;
        }
    }
    (shares > 0 && left == 0).then(|| fee_rate(&taken, ladder, day))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ladders_are_read_or_refused() {
        let read = fee_ladder(" 7d 1.5%, 30d 1% ,180d 0.5%").unwrap();
        let pairs: Vec<_> = read.iter().map(|s| (s.under_days, s.rate_ppm)).collect();
        assert_eq!(pairs, [(7, 15_000), (30, 10_000), (180, 5_000)]);
        assert_eq!(fee_ladder(""), Some(vec![]));
        assert_eq!(fee_ladder("7d 0.0001%").unwrap()[0].rate_ppm, 1);
        for wrong in [
            "7d",
            "7 1.5%",
            "7d 1.5",
            "30d 1%, 7d 1.5%",
            "7d 1%, 7d 2%",
            "7d 101%",
            "7d -1%",
            "7d 1.00001%",
            "7d 1%,",
            "+7d 1%",
            "99999999999d 1%",
        ] {
            assert_eq!(fee_ladder(wrong), None, "{wrong}");
        }
        let long: Vec<String> = (1..=17).map(|d| format!("{d}d 1%")).collect();
        assert_eq!(fee_ladder(&long.join(",")), None);
    }

    #[test]
    fn each_lot_pays_by_its_own_holding_time() {
        let ladder = fee_ladder("7d 1.5%, 30d 1%, 180d 0.5%").unwrap();
        let lot = |day, shares| Lot {
            day,
            shares,
            cost: 0,
        };
        let rate = |lots: &[Lot], day| fee_rate(lots, &ladder, day);
        // Six days are under seven, seven are not.
        for (held, wanted) in [
            (0, 0.015),
            (6, 0.015),
            (7, 0.01),
            (29, 0.01),
            (30, 0.005),
            (179, 0.005),
            (180, 0.0),
        ] {
            assert_eq!(rate(&[lot(100, 5)], 100 + held), wanted, "{held}");
        }
        assert_eq!(rate(&[lot(0, 3), lot(195, 1)], 200), 0.003_75);
        assert_eq!(rate(&[lot(0, 1 << 90), lot(1, 7)], 3), 0.015);
        assert_eq!(rate(&[], 200), 0.0);
        // The oldest are redeemed first: three of the old lot and one of the young.
        let lots = [lot(0, 3), lot(195, 5)];
        let of = |shares| fee_rate_of(&lots, shares, &ladder, 200);
        assert_eq!((of(3), of(4)), (Some(0.0), Some(0.003_75)));
        assert_eq!(of(8), Some(rate(&lots, 200)));
        assert_eq!((of(9), of(0), of(-1)), (None, None, None));
    }
}
