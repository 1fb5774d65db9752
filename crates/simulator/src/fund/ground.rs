//! What all customers stand on and none of them changes: calendar, market, products with their stories, seasons, hidden
//! types. It must never know a customer.

use super::days::{TradingDays, season, start_of};
use super::market::Market;
use super::person::DayMood;
use super::product::{Kind, Parameters, Product};
use super::said::Side;
use super::story::Story;
use crate::chance::{Purpose, stream_at};
use crate::hidden::Hidden;
use luopan_kernel::time::{DAY_US, Micros};

/// The fixed part of a world.
#[derive(Debug, Clone)]
pub(crate) struct Ground {
    pub(crate) seed: u64,
    /// First day.
    pub(crate) start_day: i64,
    /// Days that it lasts.
    pub(crate) days: i64,
    pub(crate) start: Micros,
    pub(crate) calendar: TradingDays,
    pub(crate) market: Market,
    pub(crate) products: Vec<Product>,
    pub(crate) parameters: Vec<Parameters>,
    pub(crate) stories: Vec<Option<Box<Story>>>,
    pub(crate) hidden: Hidden,
    /// Products by kind, the best known first.
    pub(crate) kinds: Vec<(Kind, Vec<u32>)>,
    pub(crate) moods: Vec<DayMood>,
}

impl Ground {
    #[allow(clippy::too_many_arguments)]
    pub(crate) fn new(
        seed: u64,
        start_day: i64,
        days: i64,
        calendar: TradingDays,
        market: Market,
        products: Vec<Product>,
        parameters: Vec<Parameters>,
        stories: Vec<Option<Box<Story>>>,
    ) -> Self {
        let moods = (start_day..start_day + days)
            .map(|day| {
                let season = season(day);
                let seen = market.seen(&calendar, day);
                let [day_return, week, _] = market.lately(seen);
                // People come to look after a day that moved, and more after a fall than after a rise.
                let shaken = (12.0 * (day_return.abs() - 0.012).max(0.0)
                    + 5.0 * (-0.03 - week).max(0.0))
                .min(1.2);
                DayMood {
                    season,
                    attention: season.sessions * (1.0 + shaken),
                    seen,
                    closure: if calendar.is_trading(day) {
                        calendar.closure_ahead(day)
                    } else {
                        0
                    },
                }
            })
            .collect();
        let mut kinds: Vec<(Kind, Vec<(u64, u32)>)> = Vec::new();
        for (number, product) in products.iter().enumerate() {
            let known = stream_at(seed, Purpose::Product, number as u64, 1).bits();
            let entry = (known, number as u32);
            match kinds.iter_mut().find(|(k, _)| *k == product.kind) {
                Some((_, of_kind)) => of_kind.push(entry),
                None => kinds.push((product.kind, vec![entry])),
            }
        }
        kinds.sort_by_key(|(kind, _)| *kind);
        let kinds = kinds
            .into_iter()
            .map(|(kind, mut of_kind)| {
                of_kind.sort_unstable();
                (kind, of_kind.into_iter().map(|(_, n)| n).collect())
            })
            .collect();
        Self {
            seed,
            start_day,
            days,
            start: start_of(start_day),
            calendar,
            market,
            products,
            parameters,
            stories,
            hidden: Hidden::new(seed),
            kinds,
            moods,
        }
    }

    /// Days after the start in which `at` lies.
    pub(crate) fn since_start(&self, at: Micros) -> i64 {
        at.since(self.start).div_euclid(DAY_US)
    }

    pub(crate) fn mood(&self, at: Micros) -> &DayMood {
        let last = self.moods.len() as i64 - 1;
        &self.moods[self.since_start(at).clamp(0, last) as usize]
    }

    /// The rating that counts on a day of the exchange.
    pub(crate) fn rating(&self, product: u32, day: i64) -> Option<u8> {
        let first = self.products[product as usize].rating?;
        let Some(story) = &self.stories[product as usize] else {
            return Some(first);
        };
        let latest = story.ratings.iter().rev().find(|(from, _)| *from <= day);
        Some(latest.map_or(first, |(_, rating)| *rating))
    }

    /// Closed to this side for the trading day `day`.
    pub(crate) fn is_closed(&self, product: u32, side: Side, day: i64) -> bool {
        self.stories[product as usize]
            .as_ref()
            .is_some_and(|s| s.is_closed(day, side == Side::Redeem))
    }

    /// The price with which an order for the trading day `day` is confirmed, units of 1e-4 yuan; one yuan for money-market
    /// funds.
    pub(crate) fn nav(&self, product: u32, day: i64) -> i64 {
        if self.products[product as usize].is_cash() {
            return super::market::NAV_UNITS;
        }
        self.market
            .place(&self.calendar, day)
            .map_or(0, |t| self.market.level(product as usize, t))
    }

    /// The last price that everybody has seen at `at`.
    pub(crate) fn seen_nav(&self, product: u32, at: Micros) -> i64 {
        if self.products[product as usize].is_cash() {
            return super::market::NAV_UNITS;
        }
        self.market.level(product as usize, self.mood(at).seen)
    }
}
