//! One simulated customer: what an application could know of her (attributes), what it could not (type, true courage,
//! purse), and what has happened to her so far. It must never decide what happens next; that is for habits and answers.

use crate::chance::{Purpose, log_normal, sigmoid, stream, weighted};
use crate::hidden::{Hidden, Taste};
use luopan_kernel::random::Random;
use luopan_kernel::time::{DAY_US, Micros};
use luopan_kernel::value::Value;

/// How long an assessment of risk appetite is valid.
pub(crate) const ASSESSMENT_US: i64 = 365 * DAY_US;

/// Income bands from low to high.
pub(crate) const INCOME_BANDS: [&str; 5] = ["A", "B", "C", "D", "E"];

/// Zones that the population lives in, with their offset from UTC in hours (none of them has summer time).
pub(crate) const ZONES: [(&str, f64, f64); 4] = [
    ("Asia/Shanghai", 8.0, 0.90),
    ("Asia/Urumqi", 6.0, 0.04),
    ("Asia/Hong_Kong", 8.0, 0.04),
    ("Asia/Tokyo", 9.0, 0.02),
];

/// A customer.
#[derive(Debug, Clone)]
pub(crate) struct Customer {
    // Hidden for ever.
    pub(crate) hidden_type: usize,
    taste: Taste,
    phase: f64,
    /// True risk appetite on the scale of risk levels.
    pub(crate) courage: f64,
    /// Mean sessions a day when active.
    pub(crate) sessions_per_day: f64,
    /// Local hour at which she is most often here.
    pub(crate) hour: f64,
    /// Factor on weekends.
    pub(crate) weekend: f64,
    /// Day of the month on which money comes in.
    pub(crate) payday: i64,
    /// Yuan coming in on a payday.
    pub(crate) salary: f64,
    // Known to the application.
    pub(crate) appetite: Option<i64>,
    pub(crate) appetite_expires_at: Micros,
    age: i64,
    city_tier: i64,
    income: usize,
    consent: bool,
    zone: usize,
    // What has happened.
    /// Yuan on the account.
    pub(crate) cash: f64,
    pub(crate) deposited_at: Option<Micros>,
    /// Contacts as remembered at `remembered_at`.
    pub(crate) remembered: f64,
    pub(crate) remembered_at: Micros,
    pub(crate) unsubscribed: bool,
    /// Events emitted so far.
    pub(crate) emitted: u32,
    /// Things scheduled so far; breaks ties of time the same way however the world is stepped.
    pub(crate) scheduled: u32,
    /// Her own dice for what she does unasked.
    pub(crate) habit: Random,
    /// And for how she answers.
    pub(crate) answer: Random,
}

impl Customer {
    pub(crate) fn new(seed: u64, number: u32, start: Micros, hidden: &Hidden) -> Self {
        let number = u64::from(number);
        let mut c = stream(seed, Purpose::Traits, number);
        let hidden_type = weighted(&mut c, [0.3, 0.18, 0.22, 0.16, 0.14].iter().copied());
        let centre = &hidden.types[hidden_type].taste;
        let own: Taste = std::array::from_fn(|_| 0.35 * c.normal());
        let taste: Taste = std::array::from_fn(|k| centre[k] + own[k]);
        let courage = (3.0 + 0.55 * (taste[0] - taste[1]) + 0.5 * c.normal()).clamp(1.0, 5.4);
        let age = (30.0 + 14.0 * sigmoid(taste[2]) + 9.0 * c.normal())
            .round()
            .clamp(18.0, 80.0);
        let income_level = 2.0 + 0.04 * (age - 30.0) + 1.1 * c.normal();
        let income = income_level.round().clamp(0.0, 4.0) as usize;
        let appetite = (c.uniform() >= 0.06)
            .then(|| (courage + 0.6 * c.normal()).round().clamp(1.0, 5.0) as i64);
        // One in twelve assessments has run out already.
        let expires = (-30.0 + 365.0 * c.uniform()) * DAY_US as f64;
        let salary = 6000.0 * libm::exp(0.45 * (income as f64 - 2.0)) * log_normal(&mut c, 0.3);
        Self {
            hidden_type,
            taste,
            phase: 0.6 * c.normal(),
            courage,
            sessions_per_day: (0.28 * log_normal(&mut c, 0.7)).min(4.0),
            hour: (20.0 - 10.0 * f64::from(c.uniform() < 0.35) + 1.8 * c.normal()).rem_euclid(24.0),
            weekend: 0.5 + c.uniform(),
            payday: 1 + (c.uniform() * 28.0) as i64,
            salary,
            appetite,
            appetite_expires_at: start.plus(expires as i64),
            age: age as i64,
            city_tier: 1 + weighted(&mut c, [0.2, 0.3, 0.25, 0.15, 0.1].iter().copied()) as i64,
            income,
            consent: c.uniform() < 0.88,
            zone: weighted(&mut c, ZONES.iter().map(|z| z.2)),
            cash: salary * log_normal(&mut c, 0.8),
            deposited_at: None,
            remembered: 0.0,
            remembered_at: start,
            unsubscribed: false,
            emitted: 0,
            scheduled: 0,
            habit: stream(seed, Purpose::Habit, number),
            answer: stream(seed, Purpose::Answer, number),
        }
    }

    /// Taste at a time.
    pub(crate) fn taste(&self, hidden: &Hidden, at: Micros) -> Taste {
        hidden.taste_at(&self.taste, self.phase, at)
    }

    /// Hours since local midnight and the ISO weekday, at `at`.
    pub(crate) fn local(&self, at: Micros) -> luopan_kernel::time::Moment {
        luopan_kernel::time::Moment {
            now: at,
            utc_offset_s: (ZONES[self.zone].1 * 3600.0) as i32,
        }
    }

    /// Everything that the platform knows of her by asking, ascending by name.
    pub(crate) fn attributes(&self) -> Vec<(&'static str, Value<'static>)> {
        let mut out = vec![("age", Value::Int(self.age))];
        if self.appetite.is_some() {
            out.push(("appetite_expires_at", Value::Time(self.appetite_expires_at)));
        }
        out.push(("city_tier", Value::Int(self.city_tier)));
        out.push(("consent_marketing", Value::Bool(self.consent)));
        out.push(("income_band", Value::text(INCOME_BANDS[self.income])));
        if let Some(appetite) = self.appetite {
            out.push(("risk_appetite", Value::Int(appetite)));
        }
        out.push(("zone", Value::text(ZONES[self.zone].0)));
        out
    }
}
