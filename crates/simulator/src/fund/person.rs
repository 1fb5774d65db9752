//! One customer, packed: who she is, drawn from (seed, number) alone, and what has happened to her. It must never hold what
//! can be drawn again, and never decide anything.

use super::days::{EXCHANGE_OFFSET_S, Season, start_of};
use super::offers::FATIGUE_HALF_LIFE_US;
use super::product::Product;
use super::said::Attributes;
use super::said::ZONES;
use crate::chance::{Purpose, log_normal, sigmoid, stream, weighted};
use crate::hidden::{Hidden, TASTES, Taste};
use luopan_kernel::random::Random;
use luopan_kernel::time::{DAY_US, HOUR_US, MINUTE_US, Micros, Moment, SECOND_US};

/// Days for which an assessment of risk appetite is valid.
pub const ASSESSMENT_DAYS: i64 = 365;
/// Share of customers who are there at the start; the others join over the first year.
const THERE: f64 = 0.75;
/// Share of customers who were never assessed and never will be.
const NEVER_ASSESSED: f64 = 0.04;
/// Share of customers with a device that is known to be theirs; a third of them have two.
const WITH_DEVICE: f64 = 0.06;
/// Steps of a taste.
const TASTE_STEPS: f64 = 40.0;
/// Days of the month on which salaries come, with weights.
const PAYDAYS: [(u8, f64); 8] = [
    (1, 0.05),
    (5, 0.18),
    (8, 0.08),
    (10, 0.27),
    (15, 0.22),
    (20, 0.09),
    (25, 0.08),
    (28, 0.03),
];
/// Largest factor on the rate of sessions.
const PACE_MAX: f64 = 10.0;
/// Chance after each session that she goes silent for weeks.
const SILENCE: f64 = 0.015;
/// Never.
pub(crate) const NEVER: u32 = u32::MAX;

pub(crate) const CONSENT: u8 = 1;
pub(crate) const UNSUBSCRIBED: u8 = 2;
pub(crate) const NEVER_WILL: u8 = 4;
pub(crate) const TOLD: u8 = 8;
const DEVICE: u8 = 16;
const SECOND_DEVICE: u8 = 32;

/// Some shares of one product, bought on one day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lot {
    /// Hundredths of shares.
    pub(crate) shares: i64,
    /// There are fewer products than 65,536.
    pub(crate) product: u16,
    /// Day of its confirmation, after the world's first.
    pub(crate) day: u16,
    /// A redemption of the product is open.
    pub(crate) locked: bool,
}

/// A customer.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    /// Fen on the account.
    pub(crate) cash: i64,
    /// Fen that left the platform.
    pub(crate) left: i64,
    pub(crate) next_at: Micros,
    /// Until when her last session lasts.
    pub(crate) busy_until: Micros,
    pub(crate) lots: Vec<Lot>,
    /// True appetite on the scale of ratings.
    pub(crate) courage: f32,
    /// Sessions a day on an ordinary one.
    pub(crate) pace: f32,
    /// Contacts as remembered at `remembered_at`.
    pub(crate) remembered: f32,
    /// Minutes after the start.
    pub(crate) remembered_at: u32,
    /// Minutes after the start.
    pub(crate) deposited_at: u32,
    /// Yuan a month.
    pub(crate) salary: u32,
    pub(crate) emitted: u32,
    pub(crate) turn: u32,
    pub(crate) orders: u32,
    pub(crate) sessions: u32,
    pub(crate) offers: u32,
    /// Day of the last assessment.
    pub(crate) assessed: i32,
    /// Fen redeemed fast on `fast_day`.
    pub(crate) fast_used: u32,
    /// Days after the start.
    pub(crate) fast_day: u16,
    /// Months after year 0 in which the last salary was paid in.
    pub(crate) paid_month: u16,
    /// Year in which the last bonus was.
    pub(crate) bonus_year: u16,
    /// Minute of the day around which she is most often here.
    minute: u16,
    pub(crate) taste: [i8; TASTES],
    pub(crate) age: u8,
    income: u8,
    city: u8,
    zone: u8,
    pub(crate) payday: u8,
    /// 1 to 5, zero for none.
    pub(crate) appetite: u8,
    pub(crate) hidden_type: u8,
    pub(crate) flags: u8,
    /// Of 255: how much she wants to see a gain every day.
    wish: u8,
    /// Of 255: how readily she sells in a fall.
    panic: u8,
    /// Of 255: how readily she buys what rose.
    chase: u8,
    /// Of 255: how much offers move her.
    sensitivity: u8,
    /// Of 100: factor on weekends.
    weekend: u8,
}

fn part(x: f64) -> u8 {
    (x.clamp(0.0, 1.0) * 255.0) as u8
}

impl Person {
    /// Customer `number` of the world of `seed` that begins on day `start`. `next_at` is when she is first heard of.
    pub(crate) fn new(seed: u64, number: u32, start: i64, hidden: &Hidden) -> Self {
        let mut c = stream(seed, Purpose::Person, u64::from(number));
        let hidden_type = weighted(&mut c, [0.3, 0.18, 0.22, 0.16, 0.14].iter().copied());
        let centre = &hidden.types[hidden_type].taste;
        let taste: Taste = std::array::from_fn(|k| centre[k] + 0.35 * c.normal());
        let courage = (3.0 + 0.55 * (taste[0] - taste[1]) + 0.5 * c.normal()).clamp(1.0, 5.4);
        let age = (30.0 + 14.0 * sigmoid(taste[2]) + 9.0 * c.normal()).clamp(18.0, 80.0);
        let income = (2.0 + 0.04 * (age - 30.0) + 1.1 * c.normal())
            .round()
            .clamp(0.0, 4.0);
        let never = c.uniform() < NEVER_ASSESSED;
        let unassessed = never || c.uniform() < 0.05;
        let found = (courage + 0.6 * c.normal()).round().clamp(1.0, 5.0) as u8;
        // One assessment in twelve has run out before the start.
        let assessed = start - (c.uniform() * 396.0) as i64;
        let joins = if c.uniform() < THERE {
            0.0
        } else {
            1.0 + c.uniform() * 364.0
        };
        let salary = 6000.0 * libm::exp(0.45 * (income - 2.0)) * log_normal(&mut c, 0.3);
        let cash = salary * log_normal(&mut c, 0.8);
        let mut flags = 0;
        for (flag, chance) in [
            (CONSENT, 0.88),
            (DEVICE, WITH_DEVICE),
            (SECOND_DEVICE, 0.33),
        ] {
            if c.uniform() < chance {
                flags |= flag;
            }
        }
        if flags & DEVICE == 0 {
            flags &= !SECOND_DEVICE;
        }
        if never {
            flags |= NEVER_WILL;
        }
        let payday = PAYDAYS[weighted(&mut c, PAYDAYS.iter().map(|p| p.1))].0;
        let pace = (0.11 * log_normal(&mut c, 0.85)).min(3.0);
        let hour = (20.0 - 10.0 * f64::from(c.uniform() < 0.4) + 1.8 * c.normal()).rem_euclid(24.0);
        let city = 1 + weighted(&mut c, [0.2, 0.3, 0.25, 0.15, 0.1].iter().copied()) as u8;
        let zone = weighted(&mut c, ZONES.iter().map(|z| z.2)) as u8;
        let joined_at = match joins {
            0.0 => start_of(start),
            days => start_of(start).plus((days * DAY_US as f64) as i64),
        };
        let young = sigmoid((40.0 - age) / 8.0);
        Self {
            cash: (cash * 100.0) as i64,
            left: 0,
            next_at: joined_at,
            busy_until: joined_at,
            lots: Vec::new(),
            courage: courage as f32,
            pace: pace as f32,
            remembered: 0.0,
            remembered_at: 0,
            deposited_at: NEVER,
            salary: salary.min(4e7) as u32,
            emitted: 0,
            turn: 0,
            orders: 0,
            sessions: 0,
            offers: 0,
            assessed: assessed as i32,
            fast_used: 0,
            fast_day: u16::MAX,
            paid_month: 0,
            bonus_year: 0,
            minute: (hour * 60.0) as u16,
            taste: std::array::from_fn(|k| (taste[k] * TASTE_STEPS).clamp(-127.0, 127.0) as i8),
            age: age as u8,
            income: income as u8,
            city,
            zone,
            payday,
            appetite: if unassessed { 0 } else { found },
            hidden_type: hidden_type as u8,
            flags,
            wish: part(c.uniform() * c.uniform() + 0.25 * sigmoid(2.0 * taste[1])),
            panic: part(0.55 * c.uniform() + 0.3 * young - 0.06 * courage + 0.15),
            chase: part(0.6 * c.uniform() + 0.35 * young),
            sensitivity: part(0.25 + 0.75 * c.uniform()),
            weekend: (50.0 + 100.0 * c.uniform()) as u8,
        }
    }

    pub(crate) fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// Devices known to be hers.
    pub(crate) fn devices(&self) -> u32 {
        u32::from(self.has(DEVICE)) + u32::from(self.has(SECOND_DEVICE))
    }

    pub(crate) fn wish(&self) -> f64 {
        f64::from(self.wish) / 255.0
    }

    pub(crate) fn panic(&self) -> f64 {
        f64::from(self.panic) / 255.0
    }

    pub(crate) fn chase(&self) -> f64 {
        f64::from(self.chase) / 255.0
    }

    pub(crate) fn sensitivity(&self) -> f64 {
        f64::from(self.sensitivity) / 255.0
    }

    pub(crate) fn taste(&self, hidden: &Hidden, at: Micros) -> Taste {
        let own: Taste = std::array::from_fn(|k| f64::from(self.taste[k]) / TASTE_STEPS);
        hidden.taste_at(&own, 0.0, at)
    }

    /// When the assessment runs out: at the end of its last day by the exchange's clock.
    pub(crate) fn expires(&self) -> Micros {
        start_of(i64::from(self.assessed) + ASSESSMENT_DAYS)
    }

    pub(crate) fn attributes(&self) -> Attributes {
        Attributes {
            age: self.age,
            income: self.income,
            city_tier: self.city,
            zone: self.zone,
            consent: self.has(CONSENT),
            appetite: (self.appetite > 0).then_some(self.appetite),
            expires: self.expires(),
        }
    }

    pub(crate) fn local(&self, at: Micros) -> Moment {
        let offset = ZONES[usize::from(self.zone)].1 * 3600.0;
        Moment {
            now: at,
            utc_offset_s: offset as i32,
        }
    }

    /// Contacts that are still remembered.
    pub(crate) fn remembered(&self, at: Micros, start: Micros) -> f64 {
        let since = at.since(start) - i64::from(self.remembered_at) * MINUTE_US;
        let halves = since.max(0) as f64 / FATIGUE_HALF_LIFE_US as f64;
        f64::from(self.remembered) * libm::exp2(-halves)
    }

    /// Notes a contact beside the older ones.
    pub(crate) fn remember(&mut self, at: Micros, start: Micros, weight: f64) {
        self.remembered = (self.remembered(at, start) + weight) as f32;
        self.remembered_at = (at.since(start) / MINUTE_US) as u32;
    }

    /// How well the hour suits her, 0 to 1.
    pub(crate) fn hour_fit(&self, moment: Moment) -> f64 {
        let minutes = moment.minute_of_day() as f64 - f64::from(self.minute);
        let angle = minutes * (std::f64::consts::PI / 720.0);
        libm::exp(3.0 * (libm::cos(angle) - 1.0))
    }

    /// Days since her last payday by her own clock, 0 on it.
    pub(crate) fn since_payday(&self, moment: Moment) -> i64 {
        let (_, _, day) = moment.civil();
        (day - i64::from(self.payday)).rem_euclid(30)
    }

    /// When she comes next after `from`: thinning of a Poisson process (Lewis and Shedler 1979) whose rate knows the hour,
    /// the weekday, the payday, the season and what the market did. `attention`: what season and market do on a day.
    pub(crate) fn next_session(
        &self,
        c: &mut Random,
        from: Micros,
        start: Micros,
        attention: impl Fn(Micros) -> f64,
    ) -> Micros {
        let mut t = from;
        if c.uniform() < SILENCE * (1.0 + self.remembered(from, start)) {
            let days = 30.0 * log_normal(c, 0.5);
            t = t.plus((days * DAY_US as f64) as i64);
        }
        let gap = DAY_US as f64 / (f64::from(self.pace) * PACE_MAX);
        loop {
            t = t.plus((gap * crate::chance::exponential(c)) as i64 + SECOND_US);
            let u = c.uniform() * PACE_MAX;
            // The rest of the rate is at most this, so most draws are refused cheaply.
            let moment = self.local(t);
            let of_day = 0.06 + 2.55 * self.hour_fit(moment);
            if u >= of_day * 5.0 {
                continue;
            }
            let of_week = match moment.weekday() {
                6 | 7 => f64::from(self.weekend) / 100.0,
                _ => 1.0,
            };
            let of_payday = match self.since_payday(moment) {
                0 => 2.0,
                1 => 1.5,
                _ => 1.0,
            };
            if u < of_day * (of_week * of_payday * attention(t)).min(5.0) {
                return t;
            }
        }
    }

    /// Hundredths of shares of a product, and whether a redemption of it is open.
    pub(crate) fn held(&self, product: u32) -> (i64, bool) {
        let mut held = (0, false);
        for lot in self.lots.iter().filter(|l| u32::from(l.product) == product) {
            held.0 += lot.shares;
            held.1 |= lot.locked;
        }
        held
    }

    pub(crate) fn lock(&mut self, product: u32, locked: bool) {
        for lot in self
            .lots
            .iter_mut()
            .filter(|l| u32::from(l.product) == product)
        {
            lot.locked = locked;
        }
    }

    /// Days for which the youngest lot of a product is held, by `day` after the start.
    pub(crate) fn youngest(&self, product: u32, day: i64) -> i64 {
        self.lots
            .iter()
            .filter(|l| u32::from(l.product) == product)
            .map(|l| day - i64::from(l.day))
            .min()
            .unwrap_or(i64::MAX)
    }

    /// Fen of fast redemption that are left on a day after the start.
    pub(crate) fn fast_left(&self, product: &Product, day: u16) -> i64 {
        let used = if self.fast_day == day {
            i64::from(self.fast_used)
        } else {
            0
        };
        product.fast_limit_fen - used
    }
}

/// Season and market on one day.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DayMood {
    pub(crate) season: Season,
    /// Factor on sessions, of season and market together.
    pub(crate) attention: f64,
    /// Place of the last prices that everybody has seen.
    pub(crate) seen: usize,
    /// Days without trading ahead, when the day trades.
    pub(crate) closure: i64,
}

const _: () = assert!(size_of::<Person>() <= 136 && size_of::<Lot>() == 16);
const _: () = assert!(super::product::PRODUCTS_MAX <= 1 << 16);
const _: () = assert!(EXCHANGE_OFFSET_S as i64 * SECOND_US == 8 * HOUR_US);
