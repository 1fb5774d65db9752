//! What a customer does unasked in one session. It must never look at what will be: she sees prices up to yesterday's, and
//! at offers only through what they did to her mood.

use super::days::{day_at, start_of};
use super::ground::Ground;
use super::orders::{LOTS_MAX, Wanted, refusal, submit};
use super::person::{CONSENT, NEVER_WILL, Person};
use super::product::Kind;
use super::said::{Happening, Page, Side};
use super::shard::Due;
use crate::chance::{exponential, log_normal, weighted};
use luopan_kernel::random::Random;
use luopan_kernel::time::{HOUR_US, MINUTE_US, Micros, SECOND_US};
use std::sync::Arc;

/// Share of purchases that are tried without asking whether they are allowed.
pub const ATTEMPT_SHARE: f64 = 0.02;
/// Share of fast redemptions that ask for more than the day's limit.
const OVER_LIMIT: f64 = 0.02;

/// A session and its clock.
struct Session<'a> {
    g: &'a Ground,
    p: &'a mut Person,
    c: &'a mut Random,
    at: Micros,
    out: &'a mut Vec<(Micros, Due)>,
}

/// Plays the session that begins at `at`; returns its end.
pub(crate) fn play(
    g: &Ground,
    p: &mut Person,
    c: &mut Random,
    at: Micros,
    out: &mut Vec<(Micros, Due)>,
) -> Micros {
    let mut s = Session { g, p, c, at, out };
    s.say(Happening::Login);
    s.view(Page::Home, None);
    if !s.p.lots.is_empty() && s.c.uniform() < 0.4 {
        s.view(Page::Holdings, None);
    }
    if s.c.uniform() < 0.02 {
        s.view(Page::Service, None);
    }
    s.assess();
    s.deposit();
    let favourite = s.browse();
    s.redeem();
    s.buy(favourite);
    if s.c.uniform() < 0.000_5 {
        s.wait();
        s.p.flags ^= CONSENT;
        let attributes = s.p.attributes();
        s.say(Happening::Attributes(attributes));
    }
    s.at
}

impl Session<'_> {
    fn wait(&mut self) {
        let us = (35.0 * SECOND_US as f64 * exponential(self.c)) as i64;
        self.at = self.at.plus(us.min(20 * MINUTE_US) + SECOND_US);
    }

    fn say(&mut self, what: Happening) {
        self.out.push((self.at, Due::Say(what)));
    }

    fn view(&mut self, page: Page, product: Option<u32>) {
        self.wait();
        self.say(Happening::PageView(page, product));
    }

    /// Who has no valid assessment sometimes makes one.
    fn assess(&mut self) {
        let is_valid = self.p.appetite > 0 && self.p.expires() > self.at.plus(HOUR_US);
        if is_valid || self.p.has(NEVER_WILL) || self.c.uniform() >= 0.25 {
            return;
        }
        self.view(Page::RiskAssessment, None);
        self.wait();
        let found = f64::from(self.p.courage) + 0.6 * self.c.normal();
        self.p.appetite = found.round().clamp(1.0, 5.0) as u8;
        self.p.assessed = day_at(self.at) as i32;
        let attributes = self.p.attributes();
        self.say(Happening::Attributes(attributes));
    }

    fn deposit(&mut self) {
        let mood = self.g.mood(self.at);
        let moment = self.p.local(self.at);
        let (year, month, _) = moment.civil();
        let since = self.p.since_payday(moment);
        let this_month = (year * 12 + month) as u16;
        let is_paid = since <= 6 && self.p.paid_month != this_month;
        let chance = if is_paid {
            0.4 * libm::exp2(-(since as f64) / 3.0)
        } else {
            0.015
        };
        let gets_bonus = mood.season.bonus && self.p.bonus_year != year as u16;
        let mut yuan = 0.0;
        if self.c.uniform() < chance * mood.season.deposits {
            let share = if is_paid { 0.4 } else { 0.3 };
            yuan += f64::from(self.p.salary) * share * log_normal(self.c, 0.5);
            if is_paid {
                self.p.paid_month = this_month;
            }
        }
        if gets_bonus && self.c.uniform() < 0.12 {
            self.p.bonus_year = year as u16;
            yuan += f64::from(self.p.salary) * 1.5 * log_normal(self.c, 0.5);
        }
        if yuan <= 0.0 {
            return;
        }
        self.wait();
        let fen = ((yuan / 10.0).round().max(1.0) * 1_000.0) as i64;
        self.p.cash += fen;
        self.p.deposited_at = (self.at.since(self.g.start) / MINUTE_US) as u32;
        self.say(Happening::Deposit(fen));
    }

    /// Looks at funds; the last one stays in mind.
    fn browse(&mut self) -> Option<u32> {
        let mut favourite = None;
        while self.c.uniform() < 0.5 {
            let product = self.pick();
            self.view(Page::Fund, Some(product));
            favourite = Some(product);
        }
        favourite
    }

    /// A product that catches the eye: a kind by taste, courage and what rose lately, then a product of it, the best known
    /// most often.
    fn pick(&mut self) -> u32 {
        let (g, at) = (self.g, self.at);
        let taste = self.p.taste(&g.hidden, at);
        let (courage, chase) = (f64::from(self.p.courage), self.p.chase());
        let seen = g.mood(at).seen;
        let weights = g.kinds.iter().map(|(kind, of_kind)| {
            let nature = kind.nature();
            let liking: f64 = (0..nature.len()).map(|k| taste[k] * nature[k]).sum::<f64>() / 2.0;
            let risk = 1.0 + 2.6 * (nature[0] + 0.8).min(2.0) * 0.5 + 0.5;
            let fear = (risk - courage).max(0.0);
            let rose = g.market.kind_return(*kind, seen);
            // The number of products of a kind counts for little: shelves are arranged.
            let shelf = libm::sqrt(of_kind.len() as f64);
            shelf * libm::exp(1.5 * liking - 0.8 * fear + 10.0 * chase * rose.clamp(-0.15, 0.15))
        });
        let (_, of_kind) = &g.kinds[weighted(self.c, weights)];
        let u = self.c.uniform();
        let place = (of_kind.len() as f64 * u * u * u) as usize;
        of_kind[place.min(of_kind.len() - 1)]
    }

    fn order(&mut self, wanted: Wanted) {
        self.wait();
        let at = self.at;
        submit(self.g, self.p, self.c, at, wanted, self.out);
        self.at = at.plus(4 * SECOND_US);
    }

    /// Sells what fell (panic), what rose enough, or what is needed; and takes money out of money-market funds.
    fn redeem(&mut self) {
        let mood = *self.g.mood(self.at);
        let mut products: Vec<u32> = self.p.lots.iter().map(|l| l.product.into()).collect();
        products.sort_unstable();
        products.dedup();
        let today = self.g.since_start(self.at);
        for product in products {
            let u = self.c.uniform();
            let terms = &self.g.products[product as usize];
            let fast = terms.is_cash() && self.c.uniform() < 0.7;
            let chance = if terms.is_cash() {
                0.03 * mood.season.spending
            } else {
                let week = self.g.market.product_return(product as usize, mood.seen, 5);
                let quarter = self
                    .g
                    .market
                    .product_return(product as usize, mood.seen, 60);
                let fear = self.p.panic() * (6.0 * (-0.015 - week).max(0.0)).min(0.5);
                let pleased = 0.05 * (quarter - 0.08).clamp(0.0, 0.4);
                let patience = if self.p.youngest(product, today) < 7 {
                    0.35
                } else {
                    1.0
                };
                (0.006 * mood.season.redemptions + fear + pleased) * patience
            };
            if u >= chance {
                continue;
            }
            let (held, _) = self.p.held(product);
            let mut shares = if self.c.uniform() < 0.6 {
                held
            } else {
                ((held as f64 * (0.2 + 0.6 * self.c.uniform())) as i64).clamp(1, held)
            };
            let goes_over = self.c.uniform() < OVER_LIMIT;
            let leaves = terms.is_cash() && self.c.uniform() < 0.5;
            let mut wanted = Wanted {
                product,
                side: Side::Redeem,
                amount: 0,
                shares,
                fast,
                leaves,
                forced: false,
                decision: None,
            };
            if fast {
                if !goes_over {
                    shares = shares.min(self.p.fast_left(terms, today as u16));
                }
                wanted.shares = shares;
            }
            if shares <= 0 {
                continue;
            }
            // She asks for what the platform lets her have, but for the few who do not look at the limit.
            if goes_over && fast || refusal(self.g, self.p, self.at, &wanted).is_none() {
                self.order(wanted);
            }
        }
    }

    fn buy(&mut self, favourite: Option<u32>) {
        if self.p.lots.len() >= LOTS_MAX || self.p.cash < 10_000 {
            return;
        }
        let mood = *self.g.mood(self.at);
        let [_, week, month] = self.g.market.lately(mood.seen);
        let chase = self.p.chase();
        let mut wanted = Wanted {
            product: 0,
            side: Side::Buy,
            amount: 0,
            shares: 0,
            fast: false,
            leaves: false,
            forced: false,
            decision: None,
        };
        if let Some(product) = favourite {
            let rose = month.clamp(-0.1, 0.1);
            let afraid = self.p.panic() * (8.0 * (-0.02 - week).max(0.0)).min(0.8);
            let chance = 0.22 * (1.0 + 8.0 * chase * rose).max(0.1) * (1.0 - afraid);
            let tries = self.c.uniform() < ATTEMPT_SHARE;
            let rating = self.g.parameters[product as usize].natural_rating;
            let dares = f64::from(rating) <= f64::from(self.p.courage) + 0.7;
            if self.c.uniform() < chance && (dares || tries) {
                wanted.product = product;
                wanted.amount = self.spend(product);
                if tries || refusal(self.g, self.p, self.at, &wanted).is_none() {
                    self.order(wanted);
                    return;
                }
            }
        }
        // Idle money goes where it earns every day; most before a closure of the market, by those who wish it.
        let is_eve = mood.closure >= 2 && self.at.since(start_of(day_at(self.at))) < 15 * HOUR_US;
        let wish = self.p.wish();
        let chance = if is_eve { 0.35 * wish } else { 0.06 * wish };
        if self.p.cash < 50_000 || self.c.uniform() >= chance {
            return;
        }
        let own = self.own_cash_fund();
        if let Some(product) = own {
            self.view(Page::Fund, Some(product));
            wanted.product = product;
            wanted.amount = self.p.cash / 10_000 * 10_000;
            if refusal(self.g, self.p, self.at, &wanted).is_none() {
                self.order(wanted);
            }
        }
    }

    /// The money-market fund that she uses: one that she holds, else a well-known one.
    fn own_cash_fund(&mut self) -> Option<u32> {
        let held = self
            .p
            .lots
            .iter()
            .find(|l| self.g.products[usize::from(l.product)].is_cash());
        if let Some(lot) = held {
            return Some(lot.product.into());
        }
        let (_, of_kind) = self.g.kinds.iter().find(|(k, _)| *k == Kind::Cash)?;
        let u = self.c.uniform();
        of_kind
            .get((of_kind.len() as f64 * u * u * u) as usize)
            .copied()
    }

    fn spend(&mut self, product: u32) -> i64 {
        spend(self.g, self.p, self.c, product)
    }
}

/// Fen that a purchase takes of the account: a share of it, in tens of yuan, not less than the product's least.
pub(crate) fn spend(g: &Ground, p: &Person, c: &mut Random, product: u32) -> i64 {
    let share = (0.25 * log_normal(c, 0.5)).min(0.9);
    let fen = (p.cash as f64 * share / 1_000.0) as i64 * 1_000;
    fen.max(g.products[product as usize].least_fen).max(1_000)
}

/// The order that pays out a holder of a product that ends.
pub(crate) fn paid_out(p: &Person, product: u32) -> Option<Wanted> {
    let (shares, locked) = p.held(product);
    (shares > 0 && !locked).then_some(Wanted {
        product,
        side: Side::Redeem,
        amount: 0,
        shares,
        fast: false,
        leaves: false,
        forced: true,
        decision: None,
    })
}

/// A purchase that answers an offer.
pub(crate) fn answer(product: u32, amount: i64, decision: Arc<str>) -> Wanted {
    Wanted {
        product,
        side: Side::Buy,
        amount,
        shares: 0,
        fast: false,
        leaves: false,
        forced: false,
        decision: Some(decision),
    }
}
