//! A year of weekly decisions in the simulator: whom to contact, with which of two funds and how often within the week. What is known
//! of a customer is what events told. This room must never show a policy a chance, nor anything that no event told.

use luopan_bench::Fault;
use luopan_kernel::random::Random;
use luopan_kernel::time::{DAY_US, HOUR_US, Micros};
use luopan_learning::gbdt::{Column, Kind};
use luopan_simulator::fund::days::day_of;
use luopan_simulator::fund::{Happening, Kind as Fund, Settings, Side, World};

/// Days that are watched before the first week, weeks that follow, days in which the last orders come.
const WATCHED: i64 = 28;
pub(crate) const WEEKS: usize = 52;
const TAIL: i64 = 31;
const WEEK_US: i64 = 7 * DAY_US;

/// What can be done in a week: contacts, of the steady fund or the bold one.
pub(crate) const ACTIONS: [&str; 5] = [
    "rest",
    "steady once",
    "steady daily",
    "bold once",
    "bold daily",
];
const CONTACTS: [(usize, i64); 5] = [(0, 0), (0, 1), (0, 7), (1, 1), (1, 7)];
/// A look at the fund within so long after a contact answers it.
const ANSWER_US: i64 = HOUR_US;
/// UTC hour of a contact; most customers live at UTC+8.
const HOUR: i64 = 12;

/// What is known of a customer; counts fade with half-lives of one and of four weeks.
#[derive(Clone, Default)]
struct Known {
    there: bool,
    age: f64,
    income: f64,
    tier: f64,
    appetite: f64,
    contacts: [f64; 2],
    dismissed: [f64; 2],
    answered: [f64; 2],
    looks: [f64; 2],
    logins: [f64; 2],
    deposits: [f64; 2],
    /// Yuan that came in less what was spent.
    balance: f64,
    held: f64,
    gone: bool,
    /// What is done this week: its number, its start, the fund and the days of contacts.
    plan: Option<(usize, Micros, usize, i64)>,
}

pub(crate) const FEATURES: [&str; 19] = [
    "age",
    "income",
    "tier",
    "appetite",
    "contacts_1",
    "contacts_4",
    "dismissed_1",
    "dismissed_4",
    "answered_1",
    "answered_4",
    "looks_1",
    "looks_4",
    "logins_1",
    "logins_4",
    "deposits_1",
    "deposits_4",
    "balance",
    "held",
    "week",
];

impl Known {
    fn fade(&mut self) {
        for pair in [
            &mut self.contacts,
            &mut self.dismissed,
            &mut self.answered,
            &mut self.looks,
            &mut self.logins,
            &mut self.deposits,
        ] {
            pair[0] *= 0.5;
            pair[1] *= 0.5f64.powf(0.25);
        }
    }

    /// The week and fund of a contact that was made a moment before `at`.
    fn contact(&self, at: Micros) -> Option<(usize, usize)> {
        let (week, begins, fund, times) = self.plan?;
        let since = at.since(begins) - HOUR * HOUR_US;
        let is_soon = (0..times * DAY_US).contains(&since) && since % DAY_US < ANSWER_US;
        is_soon.then_some((week, fund))
    }

    fn features(&self, week: usize) -> [f64; FEATURES.len()] {
        let log = |x: f64| x.max(0.0).ln_1p();
        let [a, b] = self.contacts;
        let [c, d] = self.dismissed;
        let [e, f] = self.answered;
        let [g, h] = self.looks;
        let [i, j] = self.logins;
        let [k, l] = self.deposits;
        [
            self.age,
            self.income,
            self.tier,
            self.appetite,
            a,
            b,
            c,
            d,
            e,
            f,
            log(g),
            log(h),
            log(i),
            log(j),
            k,
            l,
            log(self.balance),
            self.held,
            week as f64,
        ]
    }
}

/// Who decides a week, for customers of whom the features are told, row by row.
pub(crate) type Decide<'a> = dyn FnMut(usize, &[f64]) -> Result<Vec<u8>, Fault> + 'a;

/// What came of a year: a row for each customer and week until she wants no more.
#[derive(Default)]
pub(crate) struct Year {
    pub(crate) customers: Vec<u32>,
    pub(crate) weeks: Vec<i64>,
    pub(crate) actions: Vec<u32>,
    pub(crate) rewards: Vec<f64>,
    pub(crate) ends: Vec<bool>,
    /// rows x features.
    pub(crate) features: Vec<f64>,
    /// How often each action was taken.
    pub(crate) taken: [usize; ACTIONS.len()],
}

impl Year {
    /// Rewards of the first weeks, a week less by `discount`, a customer.
    pub(crate) fn value(&self, weeks: usize, discount: f64, customers: usize) -> f64 {
        let within = self
            .weeks
            .iter()
            .zip(&self.rewards)
            .filter(|(w, _)| (**w as usize) < weeks);
        let worth: f64 = within.map(|(w, r)| discount.powi(*w as i32) * r).sum();
        worth / customers as f64
    }

    /// Features by column.
    pub(crate) fn columns(features: &[f64]) -> Vec<Vec<f64>> {
        (0..FEATURES.len())
            .map(|at| {
                features
                    .iter()
                    .skip(at)
                    .step_by(FEATURES.len())
                    .copied()
                    .collect()
            })
            .collect()
    }
}

pub(crate) fn named(columns: &[Vec<f64>]) -> Vec<Column<'_>> {
    (FEATURES.iter().zip(columns))
        .map(|(name, values)| Column {
            name,
            values,
            kind: Kind::Number,
        })
        .collect()
}

/// A world that was watched, from which years begin.
pub(crate) struct Begun {
    world: World,
    known: Vec<Known>,
    codes: [String; 2],
    funds: [u32; 2],
    /// Customers who have joined.
    pub(crate) there: Vec<u32>,
}

impl Begun {
    pub(crate) fn new(seed: u64, customers: u32) -> Result<Self, Fault> {
        let mut settings = Settings::new(seed, customers, day_of(2025, 9, 1));
        settings.days = WATCHED + 7 * WEEKS as i64 + TAIL;
        settings.products = Some(luopan_simulator::fund::made_up(seed, 400));
        let mut world = World::new(settings)?;
        let first = |kinds: &[Fund]| {
            (world.products().iter())
                .find(|p| kinds.contains(&p.kind) && p.rating.is_some())
                .map(|p| p.code.clone())
                .ok_or("no fund of a kind")
        };
        let codes = [
            first(&[Fund::ShortBond, Fund::LongBond, Fund::MixedBond])?,
            first(&[Fund::MixedTowardsShares, Fund::Equity])?,
        ];
        let place = |code: &String| world.product(code).ok_or("no such fund");
        let funds = [place(&codes[0])?, place(&codes[1])?];
        let mut known = vec![Known::default(); customers as usize];
        let until = world.start().plus(WATCHED * DAY_US - 1);
        let mut ignored = Vec::new();
        listen(&mut world, until, funds, &mut known, &mut ignored);
        let there = (0..customers)
            .filter(|c| known[*c as usize].there)
            .collect();
        Ok(Self {
            world,
            known,
            codes,
            funds,
            there,
        })
    }

    /// Plays a year, or some weeks of it, with some of the customers.
    pub(crate) fn year(
        &self,
        customers: &[u32],
        weeks: usize,
        decide: &mut Decide<'_>,
    ) -> Result<Year, Fault> {
        let mut world = self.world.clone();
        let mut known = self.known.clone();
        let mut year = Year::default();
        // The row of each customer and week, for answers that come later.
        let mut rows = vec![[u32::MAX; WEEKS]; known.len()];
        let start = world.start().plus(WATCHED * DAY_US);
        for week in 0..weeks {
            let begins = start.plus(week as i64 * WEEK_US);
            let present: Vec<u32> = (customers.iter().copied())
                .filter(|c| !known[*c as usize].gone)
                .collect();
            let mut features = Vec::with_capacity(present.len() * FEATURES.len());
            for customer in &present {
                features.extend(known[*customer as usize].features(week));
            }
            let chosen = decide(week, &features)?;
            for (customer, action) in present.iter().zip(&chosen) {
                let of = &mut known[*customer as usize];
                of.fade();
                let (fund, times) = CONTACTS[usize::from(*action)];
                of.plan = Some((week, begins, fund, times));
                for day in 0..times {
                    let at = begins.plus(day * DAY_US + HOUR * HOUR_US);
                    world.offer(*customer, &self.codes[fund], &week.to_string(), at)?;
                    of.contacts.iter_mut().for_each(|n| *n += 1.0);
                }
                year.taken[usize::from(*action)] += 1;
                rows[*customer as usize][week] = year.rewards.len() as u32;
                year.customers.push(*customer);
                year.weeks.push(week as i64);
                year.actions.push(u32::from(*action));
                year.rewards.push(0.0);
                year.ends.push(false);
            }
            year.features.extend(features);
            let mut answers = Vec::new();
            listen(
                &mut world,
                begins.plus(WEEK_US - 1),
                self.funds,
                &mut known,
                &mut answers,
            );
            settle(&mut year, &rows, &answers);
            for customer in present.iter().filter(|c| known[**c as usize].gone) {
                year.ends[rows[*customer as usize][week] as usize] = true;
            }
        }
        let mut answers = Vec::new();
        let end = start.plus(weeks as i64 * WEEK_US + TAIL * DAY_US - 1);
        listen(&mut world, end, self.funds, &mut known, &mut answers);
        settle(&mut year, &rows, &answers);
        Ok(year)
    }
}

/// Answers count for the week of their contact.
fn settle(year: &mut Year, rows: &[[u32; WEEKS]], answers: &[(u32, usize)]) {
    for (customer, week) in answers {
        if let Some(reward) = year
            .rewards
            .get_mut(rows[*customer as usize][*week] as usize)
        {
            *reward += 1.0;
        }
    }
}

/// Lets time pass; tells contacts that are answered by a look soon after or by an order, by customer and week.
fn listen(
    world: &mut World,
    until: Micros,
    funds: [u32; 2],
    known: &mut [Known],
    answers: &mut Vec<(u32, usize)>,
) {
    let once = |pair: &mut [f64; 2]| pair.iter_mut().for_each(|n| *n += 1.0);
    world.advance(until, &mut |event| {
        let of = &mut known[event.customer as usize];
        match &event.what {
            Happening::Attributes(a) => {
                of.there = true;
                of.age = f64::from(a.age);
                of.income = f64::from(a.income);
                of.tier = f64::from(a.city_tier);
                of.appetite = a.appetite.map_or(f64::NAN, f64::from);
            }
            Happening::Login => once(&mut of.logins),
            Happening::PageView(_, Some(fund)) => {
                once(&mut of.looks);
                let soon = of
                    .contact(event.at)
                    .filter(|(_, fund_of)| funds[*fund_of] == *fund);
                if let Some((week, _)) = soon {
                    once(&mut of.answered);
                    answers.push((event.customer, week));
                }
            }
            Happening::Deposit(fen) => {
                once(&mut of.deposits);
                of.balance += *fen as f64 / 100.0;
            }
            Happening::Dismissed(_) => once(&mut of.dismissed),
            Happening::Unsubscribed => of.gone = true,
            Happening::Submitted(told) if told.side == Side::Buy => {
                of.balance -= told.amount as f64 / 100.0;
                of.held += 1.0;
                if let Some(week) = told.decision.as_ref().and_then(|d| d.parse().ok()) {
                    once(&mut of.answered);
                    answers.push((event.customer, week));
                }
            }
            Happening::Submitted(_) => of.held -= 1.0,
            Happening::Paid(_, fen) => of.balance += *fen as f64 / 100.0,
            _ => {}
        }
    });
}

/// Every action alike, drawn from the seed.
pub(crate) fn anything(seed: u64) -> impl FnMut(usize, &[f64]) -> Result<Vec<u8>, Fault> {
    let mut random = Random::new(seed);
    move |_, features| {
        let rows = features.len() / FEATURES.len();
        Ok((0..rows)
            .map(|_| (random.bits() % ACTIONS.len() as u64) as u8)
            .collect())
    }
}
