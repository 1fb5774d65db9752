//! What happens to products: re-ratings, suspensions, ends, restated prices; and everything said of products, as plain
//! types in order of time. All of it is fixed when the world is made. It must never know a customer.

use super::days::{TradingDays, start_of};
use super::market::{GROWTH_UNITS, Market};
use super::product::Product;
use crate::chance::{Purpose, stream_at};
use luopan_kernel::time::{HOUR_US, Micros};

/// How often things happen, a product and year.
const RERATED: f64 = 0.08;
const SUSPENDED: f64 = 0.06;
const FROZEN: f64 = 0.006;
const ENDED: f64 = 0.012;
const RESTATED: f64 = 0.004;
/// Trading days from the announcement of an end to it.
const NOTICE: usize = 20;
/// Trading days before an end from which nothing is redeemed any more, so that no order is open then.
const STILL: usize = 6;
/// Hour at which prices of the day are published, and at which suspensions and ends of tomorrow are announced.
const PRICES_HOUR: i64 = 21;
const NOTICE_HOUR: i64 = 20;

/// A time in which a product is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Spell {
    pub(crate) from: i64,
    pub(crate) to: i64,
    pub(crate) buying: bool,
    pub(crate) redeeming: bool,
}

/// How a product ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) announced: i64,
    /// The day with whose price everybody is paid out.
    pub(crate) day: i64,
    pub(crate) into: Option<u32>,
}

/// A price that was published wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Restated {
    pub(crate) t: usize,
    pub(crate) right: i64,
    /// The day on which it is put right.
    pub(crate) told: i64,
}

/// All that happens to a product.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Story {
    /// Ascending by the day from which it counts.
    pub(crate) ratings: Vec<(i64, u8)>,
    pub(crate) spells: Vec<Spell>,
    pub(crate) end: Option<End>,
    pub(crate) restated: Vec<Restated>,
}

impl Story {
    pub(crate) fn is_closed(&self, day: i64, redeeming: bool) -> bool {
        self.spells.iter().any(|s| {
            (s.from..=s.to).contains(&day) && if redeeming { s.redeeming } else { s.buying }
        })
    }
}

/// What is said of a product.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ProductChange {
    /// The price of a trading day, yuan a share times 10,000.
    Nav {
        /// Trading day.
        day: i64,
        /// Units of 1e-4 yuan.
        nav_e4: i64,
    },
    /// What a money-market fund earned since the trading day before, yuan for 10,000 shares.
    Income {
        /// Trading day.
        day: i64,
        /// Yuan for 10,000 shares.
        per_10k: f64,
    },
    /// A price said before was wrong.
    Restated {
        /// Trading day whose price it is.
        day: i64,
        /// As published, units of 1e-4 yuan.
        wrong_e4: i64,
        /// As it should have been.
        right_e4: i64,
    },
    /// Another rating counts from now.
    Rerated {
        /// Before.
        from: u8,
        /// From now.
        to: u8,
    },
    /// Orders of these sides are not taken for the trading days `from..=to`.
    Suspended {
        /// Purchases.
        buying: bool,
        /// Redemptions.
        redeeming: bool,
        /// First day.
        from: i64,
        /// Last day; `i64::MAX` when it stays closed.
        to: i64,
    },
    /// Open again.
    Resumed,
    /// It will end: with the price of `day` everybody is paid out.
    EndAnnounced {
        /// Day.
        day: i64,
        /// The product that it is merged into; none when it is wound up.
        into: Option<u32>,
    },
    /// It is no more.
    Ended {
        /// The product that it was merged into.
        into: Option<u32>,
    },
}

impl ProductChange {
    /// Its word in files.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Nav { .. } => "nav",
            Self::Income { .. } => "income",
            Self::Restated { .. } => "restated",
            Self::Rerated { .. } => "rerated",
            Self::Suspended { .. } => "suspended",
            Self::Resumed => "resumed",
            Self::EndAnnounced { .. } => "end_announced",
            Self::Ended { .. } => "ended",
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Ended { .. } => 0,
            Self::Resumed => 1,
            Self::Rerated { .. } => 2,
            Self::EndAnnounced { .. } => 3,
            Self::Suspended { .. } => 4,
            Self::Restated { .. } => 5,
            Self::Nav { .. } => 6,
            Self::Income { .. } => 7,
        }
    }
}

/// Something said of a product.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ProductEvent {
    /// When.
    pub at: Micros,
    /// Number of the product.
    pub product: u32,
    /// What.
    pub change: ProductChange,
}

/// The stories of all products, between `start` and `end`; wrong prices are written into the market.
pub(crate) fn tell(
    seed: u64,
    calendar: &TradingDays,
    market: &mut Market,
    products: &[Product],
    start: i64,
    end: i64,
) -> Vec<Option<Box<Story>>> {
    let days = market.days.clone();
    let first = days.partition_point(|d| *d < start);
    let live = days.partition_point(|d| *d < end) - first;
    let years = live as f64 / 244.0;
    let count = products.len();
    (0..count)
        .map(|number| {
            let product = &products[number];
            let mut c = stream_at(seed, Purpose::Market, number as u64, 3);
            let mut story = Story::default();
            // Numbers are drawn alike for all, so that one rate does not move the dice of another.
            let hits = [RERATED, SUSPENDED, FROZEN, ENDED, RESTATED].map(|rate| {
                let hit = c.uniform() < rate * years;
                (hit, c.uniform(), c.uniform())
            });
            let at = |u: f64| days[first + ((live as f64 * u) as usize).min(live - 1)];
            if live < 2 {
                return None;
            }
            let (hit, when, how) = hits[0];
            if let (true, Some(rating), false) = (hit, product.rating, product.is_cash()) {
                let up = if how < 0.6 {
                    rating + 1
                } else {
                    rating.max(2) - 1
                };
                let to = up.clamp(1, 5);
                let day = at(when);
                if to != rating && day > start {
                    story.ratings.push((day, to));
                }
            }
            for (hit, redeeming) in [(1, false), (2, true)] {
                let (hit, when, how) = hits[hit];
                if hit && !(redeeming && product.is_cash()) {
                    let from = at(when);
                    let length = if redeeming { 3.0 } else { 25.0 };
                    let to = calendar
                        .nth_after(from, 1 + (how * length) as usize)
                        .unwrap_or(from);
                    if from > start {
                        story.spells.push(Spell {
                            from,
                            to,
                            buying: true,
                            redeeming,
                        });
                    }
                }
            }
            let (hit, when, how) = hits[3];
            let t = first + (live as f64 * when) as usize;
            let fits = t > first + NOTICE + 2 && t + 10 < first + live;
            if hit && fits && !product.is_cash() {
                let into = (how < 0.5 && count > 1)
                    .then(|| {
                        ((number + 1 + (how * 2.0 * (count - 1) as f64) as usize) % count) as u32
                    })
                    .filter(|into| *into as usize != number);
                let (announced, day) = (days[t - NOTICE], days[t]);
                story.spells.retain(|s| s.to < announced);
                story.ratings.retain(|(d, _)| *d < announced);
                for (from, to, redeeming) in [
                    (announced, days[t - STILL] - 1, false),
                    (days[t - STILL], i64::MAX, true),
                ] {
                    story.spells.push(Spell {
                        from,
                        to,
                        buying: true,
                        redeeming,
                    });
                }
                story.end = Some(End {
                    announced,
                    day,
                    into,
                });
            }
            let (hit, when, how) = hits[4];
            if hit && !product.is_cash() {
                let day = at(when);
                let is_alive = day >= product.launched.max(start)
                    && story.end.is_none_or(|e| day < e.announced);
                if let (true, Some(t), Some(told)) = (
                    is_alive,
                    market.place(calendar, day),
                    calendar.nth_after(day, 3),
                ) {
                    let right = market.level(number, t);
                    let wrong = (right as f64 * (1.0 + 0.02 * (how - 0.5))) as i64;
                    if wrong != right && wrong > 0 {
                        market.set_level(number, t, wrong);
                        story.restated.push(Restated { t, right, told });
                    }
                }
            }
            (story != Story::default()).then(|| Box::new(story))
        })
        .collect()
}

/// What is said of products on one day of the exchange, in order of time.
pub(crate) fn said_on(
    day: i64,
    calendar: &TradingDays,
    market: &Market,
    products: &[Product],
    stories: &[Option<Box<Story>>],
    out: &mut Vec<ProductEvent>,
) {
    let midnight = start_of(day);
    let notice = midnight.plus(NOTICE_HOUR * HOUR_US);
    let prices = midnight.plus(PRICES_HOUR * HOUR_US);
    let begun = out.len();
    let mut say = |at: Micros, product: usize, change: ProductChange| {
        out.push(ProductEvent {
            at,
            product: product as u32,
            change,
        });
    };
    for (number, story) in stories.iter().enumerate() {
        let Some(story) = story else { continue };
        let mut before = products[number].rating.unwrap_or(0);
        for (from, to) in &story.ratings {
            if *from == day {
                say(
                    midnight,
                    number,
                    ProductChange::Rerated {
                        from: before,
                        to: *to,
                    },
                );
            }
            before = *to;
        }
        for spell in &story.spells {
            if spell.from == day + 1 {
                let (buying, redeeming) = (spell.buying, spell.redeeming);
                let (from, to) = (spell.from, spell.to);
                say(
                    notice,
                    number,
                    ProductChange::Suspended {
                        buying,
                        redeeming,
                        from,
                        to,
                    },
                );
            }
            let ends = spell.to != i64::MAX && spell.to + 1 == day;
            if ends && !story.is_closed(day, false) {
                say(midnight, number, ProductChange::Resumed);
            }
        }
        if let Some(end) = story.end {
            if end.announced == day + 1 {
                let (day, into) = (end.day, end.into);
                say(notice, number, ProductChange::EndAnnounced { day, into });
            }
            if calendar.nth_after(end.day, 1) == Some(day) {
                say(midnight, number, ProductChange::Ended { into: end.into });
            }
        }
        for restated in &story.restated {
            if restated.told == day {
                let wrong_e4 = market.level(number, restated.t);
                say(
                    notice,
                    number,
                    ProductChange::Restated {
                        day: market.days[restated.t],
                        wrong_e4,
                        right_e4: restated.right,
                    },
                );
            }
        }
    }
    if let Some(t) = market.place(calendar, day) {
        for (number, product) in products.iter().enumerate() {
            // Prices of funds that invest abroad are known a trading day later.
            let late = usize::from(product.confirm_lag > 1);
            let Some(t) = t.checked_sub(late) else {
                continue;
            };
            let of_day = market.days[t];
            let is_over = stories[number]
                .as_ref()
                .and_then(|s| s.end)
                .is_some_and(|e| of_day > e.day);
            let level = market.level(number, t);
            if is_over || level == 0 || of_day < product.launched {
                continue;
            }
            if product.is_cash() {
                if t > 0 {
                    let before = market.level(number, t - 1);
                    let per_10k = (level - before) as f64 / before as f64 * 10_000.0;
                    say(
                        prices,
                        number,
                        ProductChange::Income {
                            day: of_day,
                            per_10k,
                        },
                    );
                }
            } else {
                say(
                    prices,
                    number,
                    ProductChange::Nav {
                        day: of_day,
                        nav_e4: level,
                    },
                );
            }
        }
    }
    out[begun..].sort_by_key(|e| (e.at, e.product, e.change.rank()));
}

/// What a holding of `shares` (hundredths) of a money-market fund has earned between two places, fen.
pub(crate) fn earned(shares: i64, from: i64, to: i64) -> i64 {
    if from <= 0 || to <= from {
        return 0;
    }
    debug_assert!(from >= GROWTH_UNITS);
    // A share is one yuan, so hundredths of shares are fen.
    (i128::from(shares) * i128::from(to - from) / i128::from(from)) as i64
}
